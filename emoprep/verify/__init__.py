"""`emoprep verify`: is a store whole, readable, and what its manifest says; and with a corpus, what its media say?

    findings.py   the checks by name, and what they found
    folder.py     the manifest, and the files that it implies
    index.py      the index: keys, turns, clock, labels, counts
    shard.py      a shard in a worker: samples against the index; members.py: each of their members
    table.py      a feature table in a worker; scaler, plan and weights
    deep.py       the store against the corpus it was cut from: which source is whose
    picture.py    the pictures of a source in a worker, decoded anew and plainly; sound.py: its sound
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep import engine
from emoprep.store.manifest import Store
from emoprep.verify.balanced import check_balanced
from emoprep.verify.deep import SourceTask, check_source, plan_deep
from emoprep.verify.findings import CHECKS, Finding, Findings, listed
from emoprep.verify.folder import check_folder, is_balanced, open_for_checks
from emoprep.verify.index import check_index
from emoprep.verify.shard import Checked, ShardTask, check_shard
from emoprep.verify.table import TableTask, check_scaler, check_table

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CHECKS", "Finding", "VerifyPlan", "VerifyResult", "check_piece", "plan_verify",
           "verify"]

Task = ShardTask | TableTask | SourceTask

# A worker that is still at one sample or one source after this long hangs.
PATIENCE_S = 900.0

PRELOAD = ("emoprep.verify", "emoprep.verify.picture", "emoprep.verify.sound", "emoprep.media.pyav", "soundfile",
           "PIL.JpegImagePlugin", "pyarrow.parquet", "pyarrow.compute")


@dataclass(frozen=True)
class VerifyPlan:
    """What was found in manifest, folder and index, and the pieces that are left to check."""

    path: Path
    store: Store | None
    tasks: tuple[Task, ...]
    findings: tuple[Finding, ...]
    deep: bool = False

    @property
    def utterances(self) -> int:
        """How many utterances there are to check; with a corpus each counts once more for each of its sources."""
        return sum(task.utterances for task in self.tasks)


@dataclass(frozen=True)
class VerifyResult:
    """What was found; `shards` and `utterances` are what was there to be checked."""

    path: str
    shards: int
    tables: int
    utterances: int
    sources: int
    deep: bool
    findings: tuple[Finding, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"schema": "emoprep.verify/1", "store": self.path, "shards": self.shards, "tables": self.tables,
                "utterances": self.utterances, "deep": self.deep, "sources": self.sources,
                "findings": [asdict(finding) for finding in self.findings]}


def plan_verify(path: Path, *, deep: Path | None = None) -> VerifyPlan:
    """Check manifest, folder and index, and list the pieces that are left; `deep` is the corpus of the store.

    Raises MissingInput where `path` is no store or `deep` no corpus, and UsageError where the two do not go together.
    """
    findings = Findings()
    store = open_for_checks(path, findings)
    if store is None:
        return VerifyPlan(path, None, (), tuple(findings.all), deep is not None)
    with findings.guarded("missing-file", path):
        check_folder(store, findings)
    index = check_index(store, findings)
    check_scaler(store, findings)
    if is_balanced(store.manifest):
        check_balanced(store, index, findings)
    sources = () if deep is None else plan_deep(store, index, deep, findings)
    return VerifyPlan(path, store, (*_pieces(store, index), *sources), tuple(findings.all), deep is not None)


def _pieces(store: Store, index: pyarrow.Table | None) -> tuple[ShardTask | TableTask, ...]:
    manifest, with_index = store.manifest, index is not None
    shards = (ShardTask(str(store.path), facts, manifest.modalities, manifest.annotation, with_index,
                        is_balanced(manifest)) for facts in manifest.shards)
    tables = (TableTask(str(store.path), facts, manifest.modalities, with_index) for facts in manifest.tables)
    return *shards, *tables


def verify(plan: VerifyPlan, *, jobs: int = 1, progress: Callable[[int, int], None] = lambda done, skipped: None
           ) -> VerifyResult:
    """Check the pieces of a plan; `progress` is told the utterances of each. Findings come in the order of pieces."""
    checked: dict[int, Checked] = {}
    for number, outcome in engine.run(check_piece, plan.tasks, jobs=jobs, preload=PRELOAD, patience=PATIENCE_S,
                                      without=lambda task, place, cause: task.without(place, cause)):
        checked[number] = outcome
        progress(plan.tasks[number].utterances, 0)
    together = Findings()
    _compare_shards(plan.tasks, checked, together)
    findings = [*plan.findings, *together.all]
    for number in range(len(plan.tasks)):
        findings += checked[number].findings
    sources = [task for task in plan.tasks if isinstance(task, SourceTask)]
    manifest = plan.store.manifest if plan.store is not None else None
    return VerifyResult(
        str(plan.path), len(manifest.shards) if manifest else 0, len(manifest.tables) if manifest else 0,
        sum(one.samples for number, one in checked.items() if not isinstance(plan.tasks[number], SourceTask)),
        len({task.path for task in sources}), plan.deep, tuple(findings))


def check_piece(task: Task) -> Checked:
    """Check a shard, a feature table, or a source. Runs in a worker."""
    check = {ShardTask: check_shard, TableTask: check_table, SourceTask: check_source}
    return check[type(task)](task)


def _compare_shards(tasks: Sequence[Task], checked: dict[int, Checked], findings: Findings) -> None:
    """Check that the samples of all shards have the same members and the same keys in `.json`."""
    first: Checked | None = None
    for number, task in enumerate(tasks):
        found = checked[number]
        if not isinstance(task, ShardTask) or not found.members:
            continue
        first = first or found
        for check, here, there in (("members", found.members, first.members), ("json", found.keys, first.keys)):
            if other := sorted(set(here) ^ set(there)):
                findings.add(check, task, f"its samples differ from those of the first shard in {listed(other)}")
