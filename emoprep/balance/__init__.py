"""`emoprep balance`: index → label scheme → counts → targets → plan → new store, and the weight files.

    problem.py   what is to be balanced: the train rows of IN, their labels and features
    items.py     each train item in its place: kept, dropped, or made, naming its parents
    plan.py      what balancing does, decided as a pure value
    apply.py     the plan carried out: tables or shards, index, weights, manifest
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emoprep.balance.apply import apply
from emoprep.balance.plan import BalancePlan, plan_balance
from emoprep.balance.problem import open_input
from emoprep.contracts import find_strategy
from emoprep.features import features, plan_features
from emoprep.store.folder import STATE, check_out, refuse_same

__all__ = ["BalancePlan", "BalanceResult", "balance", "plan_balance"]


@dataclass(frozen=True)
class BalanceResult:
    """The plan, and whether it was carried out: "written", "complete already" or "dry run"."""

    plan: BalancePlan
    out: str
    state: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        estimate = self.plan.estimate() if self.state == "dry run" else {}
        return {**self.plan.to_json(), "out": self.out, "dry_run": self.state == "dry run", **estimate,
                "fresh": self.state == "written", "notes": list(self.notes)}


def balance(source: Path, out: Path, *, jobs: int = 1, overwrite: bool = False, dry_run: bool = False,
            progress: Callable[[int, int], None] = lambda done, skipped: None, corpus: str | None = None,
            options: dict[str, str] | None = None, protocol: str | None = None, all_is_train: bool = False,
            **settings: Any) -> BalanceResult:
    """Balance IN into OUT; `settings` are those of `plan_balance`.

    A strategy that needs features takes the default ones by itself where IN is a store of shards, and OUT is
    then a feature store.
    """
    refuse_same(source, out)
    opened = open_input(source, corpus=corpus, options=options, protocol=protocol, all_is_train=all_is_train)
    lacks_features = find_strategy(settings["strategy"], settings.get("given") or {}).NEEDS == "features" \
        and opened.kind == "shards"
    extraction = plan_features(source, seed=settings.get("seed", 0), protocol=protocol,
                               all_is_train=all_is_train) if lacks_features else None
    if extraction is not None:
        settings["extracted"] = extraction.facts["settings"]
    if dry_run or lacks_features:
        plan = plan_balance(opened, counts_only=True, **settings)
        if dry_run:
            undrawn = () if plan.decision else ("counts only: parents are drawn once there are features",)
            return BalanceResult(plan, str(out), "dry run", (*plan.notes, *undrawn))
        # Before anything is extracted: OUT may hold another run, or nothing of ours.
        if check_out(out, plan.facts, overwrite=overwrite):
            apply(plan, out)
            return BalanceResult(plan, str(out), "complete already", plan.notes)
    notes = ()
    if extraction is not None:
        # In the workshop of OUT, which goes when OUT is complete.
        made = features(extraction, out / STATE / "features", jobs=jobs, progress=progress)
        notes = ("IN holds shards: default features were taken first (audio, video and text; "
                 "`emoprep features` has choices)", *made.notes)
        opened = replace(open_input(out / STATE / "features"), inputs=opened.inputs, protocol=opened.protocol)
    plan = plan_balance(opened, **settings)
    written = apply(plan, out, jobs=jobs, overwrite=overwrite, progress=progress)
    return BalanceResult(plan, str(out), "written" if written else "complete already", (*notes, *plan.notes))
