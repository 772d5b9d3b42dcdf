"""`emoprep split`: the same utterances under train, dev and test as a rule or a protocol says; nothing is decoded.

    source.py   what is to be split: the rows of a store or of a table
    plan.py     which split each row goes to, decided as a pure value
    apply.py    the plan carried out on a store: shards or tables, index, manifest
    sheet.py    the plan carried out on a table: the same file with its column `split` filled in
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoprep.split.apply import apply
from emoprep.split.plan import SplitPlan, percent, plan_split
from emoprep.split.sheet import write_sheet
from emoprep.store.folder import refuse_same

__all__ = ["SplitPlan", "SplitResult", "percent", "plan_split", "split"]


@dataclass(frozen=True)
class SplitResult:
    """The plan, and whether it was carried out: "written", "complete already" or "dry run"."""

    plan: SplitPlan
    out: str
    state: str

    def to_json(self) -> dict[str, Any]:
        return {**self.plan.to_json(), "out": self.out, "dry_run": self.state == "dry run",
                "fresh": self.state == "written"}


def split(plan: SplitPlan, out: Path, *, jobs: int = 1, overwrite: bool = False, dry_run: bool = False,
          progress: Callable[[int, int], None] = lambda done, skipped: None) -> SplitResult:
    """Carry out a plan: OUT is a store where IN is one, and a table where IN is one."""
    refuse_same(plan.source.path, out)
    if dry_run:
        return SplitResult(plan, str(out), "dry run")
    if plan.source.store is None:
        written = write_sheet(plan, out, overwrite=overwrite)
    else:
        written = apply(plan, out, jobs=jobs, overwrite=overwrite, progress=progress)
    return SplitResult(plan, str(out), "written" if written else "complete already")
