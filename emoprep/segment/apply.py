"""A plan carried out: the missing shards are made, all or those of one part; then the closing step."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

from emoprep import engine
from emoprep.engine.tally import Tally
from emoprep.errors import UsageError
from emoprep.segment.cut import ShardTask, cut_shard, without
from emoprep.segment.parts import by_part, share
from emoprep.segment.plan import SegmentPlan
from emoprep.segment.planned import plan_versions, write_plan
from emoprep.segment.seal import SegmentResult, allowed_skips, check_skips, finish, result_of
from emoprep.store.folder import Part, Run, refuse_same, start_run
from emoprep.store.manifest import open_store
from emoprep.utterance import Skip

__all__ = ["segment"]


def segment(plan: SegmentPlan, out: Path, *, jobs: int = 1, cluster: engine.Cluster | None = None,
            part: tuple[int, int] | None = None, max_skipped: str = "5%", overwrite: bool = False,
            tally: Tally | None = None) -> SegmentResult:
    """Carry out a plan: make the shards that are missing, then index, card and manifest.

    `part` (2, 3) makes the second third of the shards, and leaves the closing step to `seal` or to a run without part.
    `tally` counts what is done, as it is done. Raises TooManySkipped (and writes no manifest) where more were skipped
    than allowed; the shards stay.
    """
    allowed_skips(max_skipped, plan.to_cut)  # so that a bad one is told before anything is made
    tally = Tally() if tally is None else tally
    refuse_same(plan.corpus.root, out)
    if part and overwrite:
        raise UsageError("a part cannot start anew what other parts share", where="--part with --overwrite",
                         remedy="remove OUT first, or give another one")
    tasks = share(plan.tasks, *part) if part else plan.tasks
    pieces = Part(*part, frozenset(task.name for task in tasks)) if part else None
    with start_run(out, plan.facts, overwrite=overwrite, part=pieces) as run:
        if run.complete:
            return result_of(open_store(out).manifest, out, without_media=plan.corpus.bare_splits)
        tally.expect(sum(len(task.utterances) for task in tasks), len(tasks), [skip.reason for skip in plan.skips])
        run.tell(lambda: asdict(tally.progress()))
        write_plan(plan, run, in_parts=part is not None)
        missing = []
        for task in tasks:
            note = run.finished(task.name)
            if note is None or note["again"]:
                missing.append(task)
            else:
                tally.before(note)
        if cluster:
            cluster, missing = _as_seen_elsewhere(cluster, plan, run, missing)
        # Closed before the run is: workers that outlived it could finish shards that nobody holds the lock for.
        with contextlib.closing(engine.run(
                cut_shard, missing, jobs=jobs, preload=("emoprep.segment.loaded",), heard=tally.heard,
                without=without, patience=plan.patience, cluster=cluster)) as made:
            for number, note in made:
                tally.finish(number, note)
        # What the notes say is read from the disk, as `seal` reads it: nothing of it is kept while others are made.
        return _part_made(plan, run, pieces, max_skipped) if pieces else finish(run, max_skipped)


def _as_seen_elsewhere(cluster: engine.Cluster, plan: SegmentPlan, run: Run, tasks: list[ShardTask]
                       ) -> tuple[engine.Cluster, list[ShardTask]]:
    """Return the cluster with what its workers must have, and the tasks with paths that hold in any working folder."""
    out, root = os.path.abspath(run.out), os.path.abspath(plan.corpus.root)
    # The workshop is there while a run is at work: no folder of that name that happens to lie on another machine.
    seen = replace(cluster, files=(root, os.path.join(out, run.workshop.name)), versions=plan_versions(plan))
    return seen, [replace(task, out=out, root=root) for task in tasks]


def _part_made(plan: SegmentPlan, run: Run, part: Part, max_skipped: str) -> SegmentResult:
    """Return what a part made and what is missing; raise where it alone skipped more than all may."""
    run.look()
    found = {task.name: run.finished(task.name) for task in plan.tasks}
    notes = [note for name, note in found.items() if note and name in part.pieces]
    skips = [Skip(*skip) for note in notes for skip in note["skips"]]
    check_skips([*plan.skips, *skips], plan.to_cut, max_skipped, run.out)
    missing = by_part(list(found), [name for name, note in found.items() if note is None], part.of)
    return SegmentResult(plan.corpus.name, str(run.out), sum(len(note["rows"]) for note in notes),
                         dict(Counter(skip.reason for skip in skips)),
                         [note["shard"]["name"] for note in notes if note["shard"]],
                         without_media=plan.corpus.bare_splits, skips=tuple(skips), part=str(part), missing=missing)
