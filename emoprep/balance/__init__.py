"""`emoprep balance`: index → label scheme → counts → targets → plan → new store, and the weight files.

    problem.py   IN: a store, or the annotation of a raw corpus
    train.py     its train rows: labels, loss masks and features
    steps.py     the strategies in their order, and what they decide
    items.py     each train item in its place: kept, dropped, or made, naming its parents
    plan.py      what balancing does, decided as a pure value
    rows.py      the index rows of the new train split
    apply.py     the plan carried out: tables or shards, index, weights, manifest
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emoprep.balance.apply import apply
from emoprep.balance.plan import BalancePlan, plan_balance
from emoprep.balance.problem import open_input
from emoprep.balance.steps import read_steps
from emoprep.balance.weigh import Asked
from emoprep.errors import UsageError
from emoprep.features import features, plan_features
from emoprep.presets import Preset
from emoprep.presets import read as read_preset
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
                "fresh": self.state == "written", "notes": [*self.plan.announced, *self.notes]}


def balance(source: Path, out: Path, *, jobs: int = 1, overwrite: bool = False, dry_run: bool = False,
            progress: Callable[[int, int], None] = lambda done, skipped: None,
            announce: Callable[[Iterable[str]], None] = lambda notes: None, corpus: str | None = None,
            options: dict[str, str] | None = None, protocol: str | None = None, all_is_train: bool = False,
            preset: str | None = None, given: Mapping[str, Any] | None = None, **settings: Any) -> BalanceResult:
    """Balance IN into OUT; `settings` and `given` are those of `plan_balance`, those of a preset come before them.

    A strategy that needs features takes the default ones by itself where IN is a store of shards, and OUT is
    then a feature store. `announce` is told before anything is written what multiplies the data.
    """
    if settings.get("strategy") is None and preset is None:
        raise UsageError("say how to balance", where="--strategy", expected="--strategy NAME or --preset NAME",
                         remedy="see `emoprep balance --help`")
    refuse_same(source, out)
    opened = open_input(source, corpus=corpus, options=options, protocol=protocol, all_is_train=all_is_train)
    settings["given"], notes = dict(given or {}), ()
    if preset is not None:
        found = read_preset(preset, opened.manifest.corpus)
        beside = sorted(name for name in found.settings
                        if name != "strategy" and (name in settings or name in settings["given"]))
        notes = (f"preset {found.name}: {found.paper}", *found.notes, *(
            [f"not the preset's: {', '.join('--' + name.replace('_', '-') for name in beside)}"] if beside else ()))
        settings = _with_preset(found, settings)
    lacks_features = _needs_features(settings) and opened.kind == "shards"
    extraction = plan_features(source, seed=settings.get("seed", 0), protocol=protocol,
                               all_is_train=all_is_train) if lacks_features else None
    if extraction is not None:
        settings["extracted"] = extraction.facts["settings"]
    if dry_run or lacks_features:
        plan = plan_balance(opened, counts_only=True, **settings)
        if dry_run:
            announce(plan.announced)
            undrawn = () if plan.items else ("counts only: parents are drawn once there are features",)
            return BalanceResult(plan, str(out), "dry run", (*notes, *plan.notes, *undrawn))
        # Before anything is extracted: OUT may hold another run, or nothing of ours.
        if check_out(out, plan.facts, overwrite=overwrite):
            apply(plan, out)
            return BalanceResult(plan, str(out), "complete already", (*notes, *plan.notes))
    if extraction is not None:
        # In the workshop of OUT, which goes when OUT is complete.
        made = features(extraction, out / STATE / "features", jobs=jobs, progress=progress)
        notes = (*notes, "IN holds shards: default features were taken first (audio, video and text; "
                 "`emoprep features` has choices)", *made.notes)
        opened = replace(open_input(out / STATE / "features"), inputs=opened.inputs, protocol=opened.protocol)
    plan = plan_balance(opened, **settings)
    announce(plan.announced)
    written = apply(plan, out, jobs=jobs, overwrite=overwrite, progress=progress)
    return BalanceResult(plan, str(out), "written" if written else "complete already", (*notes, *plan.notes))


def _with_preset(preset: Preset, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a preset under those that were given: options of strategies among `given`."""
    own = {*inspect.signature(plan_balance).parameters, *(one.name for one in dataclasses.fields(Asked))}
    found = {name: value for name, value in preset.settings.items() if name in own}
    given = {name: value for name, value in preset.settings.items() if name not in own}
    if settings.get("strategy") not in (None, preset.settings["strategy"]):
        raise UsageError("a preset has a strategy of its own", where="--strategy", got=settings["strategy"],
                         expected=preset.settings["strategy"], remedy="leave --strategy or --preset out")
    return {**found, **settings, "given": {**given, **settings["given"]}}


def _needs_features(settings: dict[str, Any]) -> bool:
    steps = read_steps(settings["strategy"], settings.get("target"), settings["given"], settings.get("then", ()),
                       settings.get("force", False))
    return any(step.module.NEEDS == "features" for step in steps)
