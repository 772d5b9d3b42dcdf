"""What the closing step needs of a plan, written down when a run begins.

    .emoprep/plan.json           the manifest as planned, the shards in order, and what was skipped before cutting
    .emoprep/annotated.parquet   the index, with nothing cut yet

The closing step may be taken on another day and another machine than the cutting.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emoprep.contracts import Corpus
from emoprep.errors import EmoprepError, UsageError
from emoprep.segment.plan import ASKED_FOR, SegmentPlan
from emoprep.store.folder import Run, write_bytes
from emoprep.store.index import index_table, read_index, with_column, write_index
from emoprep.store.manifest import Manifest, versions
from emoprep.utterance import Skip

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Planned", "plan_versions", "read_annotated", "read_plan", "write_plan"]

DECIDE_BYTES = ("av", "numpy", "pillow", "pyarrow", "soundfile", "webdataset")
"""The packages whose versions decide the bytes of a store."""

PLAN = "plan.json"
ANNOTATED = "annotated.parquet"


@dataclass(frozen=True)
class Planned:
    """What plan.json holds: the manifest but for what cutting teaches, and what came of planning."""

    manifest: Manifest
    shards: tuple[str, ...]
    skips: tuple[Skip, ...]
    to_cut: int
    without_media: tuple[str, ...]


def write_plan(plan: SegmentPlan, run: Run, *, in_parts: bool = False) -> None:
    """Write down what the closing step needs, before anything is cut.

    Raises UsageError where another part was made with other versions of what decides the bytes.
    """
    manifest, corpus = _manifest(plan), plan.corpus
    if in_parts:
        _require_versions(manifest, run)
    # What was left out on purpose stays annotated, and counts nowhere: neither in a loss nor in what is fitted.
    excluded = {skip.key for skip in plan.skips if skip.reason in ASKED_FOR}
    table = with_column(index_table(corpus.utterances, corpus.annotation, corpus.schemes), "loss_mask",
                        [float(utterance.key not in excluded) for utterance in corpus.utterances])
    write_index(run.workshop / ANNOTATED, table, run.workshop)
    data = {"manifest": json.loads(manifest.to_bytes()), "shards": [task.name for task in plan.tasks],
            "skips": [[skip.key, skip.reason, skip.detail] for skip in plan.skips], "to_cut": plan.to_cut,
            "without_media": list(corpus.bare_splits)}
    # Not sorted: the order of splits and of label schemes means something.
    write_bytes(run.workshop / PLAN, json.dumps(data, ensure_ascii=False).encode(), run.workshop)


def _require_versions(manifest: Manifest, run: Run) -> None:
    try:
        earlier = read_plan(run).manifest
    except EmoprepError:
        return  # this part is the first one
    if earlier.versions != manifest.versions:
        differ = [name for name, version in manifest.versions.items() if earlier.versions.get(name) != version]
        raise UsageError("another part was made with other versions", where=str(run.out),
                         expected=", ".join(f"{name} {earlier.versions.get(name)}" for name in differ),
                         got=", ".join(f"{name} {manifest.versions[name]}" for name in differ),
                         remedy="install the same on all machines, or begin anew in another OUT")


def read_plan(run: Run) -> Planned:
    """Read plan.json; raises EmoprepError."""
    path = run.workshop / PLAN
    try:
        data = json.loads(path.read_bytes())
        return Planned(Manifest.from_bytes(json.dumps(data["manifest"]).encode(), str(path)), tuple(data["shards"]),
                       tuple(Skip(*skip) for skip in data["skips"]), data["to_cut"], tuple(data["without_media"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error


def read_annotated(run: Run) -> pyarrow.Table:
    """Read the index with nothing cut; raises EmoprepError."""
    path = run.workshop / ANNOTATED
    try:
        return read_index(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> EmoprepError:
    return EmoprepError("what was planned cannot be read", where=str(path), got=str(error),
                        remedy="run `emoprep segment` again as before: finished shards are kept")


def _manifest(plan: SegmentPlan) -> Manifest:
    module, recipe = plan.module, plan.recipe
    how = {
        "video": {"fps": float(recipe.fps), "size": recipe.size, "fit": recipe.fit, "decoder": recipe.decoder},
        "audio": {"sample_rate": recipe.sample_rate, "downmix": recipe.downmix, "decoder": recipe.decoder},
        "text": {},
    }
    if plan.facts["settings"]["faces"]:
        how["video"]["faces"] = plan.facts["settings"]["faces"]
    counts = Counter(utterance.split or "all" for utterance in plan.corpus.utterances)
    return Manifest(
        corpus=module.NAME, title=module.TITLE, kind="shards", facts=plan.facts, counts=dict(counts), written=0,
        modalities={name: how[name] for name in plan.modalities},
        schemes={scheme.name: scheme for scheme in plan.corpus.schemes}, annotation=plan.corpus.annotation,
        citation=module.CITATION, licence=module.LICENCE, versions=plan_versions(plan), notes=_notes(plan.corpus))


def plan_versions(plan: SegmentPlan) -> dict[str, str]:
    """Return the versions of what will decide the bytes of the store, as installed here."""
    return versions(*DECIDE_BYTES, *plan.face_packages)


def _notes(corpus: Corpus) -> list[str]:
    notes = list(corpus.notes)
    if corpus.bare_splits:
        notes.append(f"no clips for {', '.join(corpus.bare_splits)}: annotation only")
    if corpus.unused_clips:
        names = ", ".join(name.rsplit("/", 1)[-1] for name in corpus.unused_clips[:10])
        more = f" and {len(corpus.unused_clips) - 10} more" if len(corpus.unused_clips) > 10 else ""
        notes.append(f"clips without a row in the annotation: {len(corpus.unused_clips)} ({names}{more})")
    return notes
