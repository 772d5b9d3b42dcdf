"""A plan carried out on a store: shards re-packed or tables re-sorted, then index, card and, last, the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError
from emoprep.features.write import write_tables
from emoprep.repack import copy_shards, pack_rows
from emoprep.split.plan import SplitPlan
from emoprep.store.card import card
from emoprep.store.folder import CARD, FACES, INDEX, SKIPPED, Run, draft, start_run, take_over, write_bytes
from emoprep.store.index import with_column
from emoprep.store.manifest import versions
from emoprep.store.tables import read_pieces
from emoprep.utterance import SPLITS

if TYPE_CHECKING:
    import pyarrow

__all__ = ["apply"]


def apply(plan: SplitPlan, out: Path, *, jobs: int = 1, overwrite: bool = False,
          progress: Callable[[int, int], None] = lambda done, skipped: None) -> bool:
    """Write the store with its new splits; return False where it was complete already."""
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            return False
        write = _write_shards if plan.source.kind == "shards" else _write_tables
        _seal(plan, run, write(plan, run, jobs, progress))
        return True


# ---------------------------------------------------------------------------------------------- shards

def _write_shards(plan: SplitPlan, run: Run, jobs: int, progress) -> dict[str, Any]:
    """Write the shards and the index, both in the order train, dev, test, what has no split; inside in that of IN."""
    import pyarrow
    from pyarrow import parquet

    index, splits = plan.source.store.index(), np.array(plan.splits, object)
    parts, tasks = [], []
    for split in (*SPLITS, None):
        rows = np.flatnonzero(splits == split)
        part = with_column(index.take(rows), "split", [split] * len(rows))
        origins = list(zip(part.column("shard").to_pylist(), part.column("key").to_pylist(), strict=True))
        part, more = pack_rows(part, origins, split or "all", plan.facts["settings"]["shard_utterances"],
                               plan.source.path, run.out)
        parts.append(part)
        tasks += more
    shards = copy_shards(run, tasks, jobs=jobs, progress=progress)
    with draft(run.out / INDEX) as sketch:
        parquet.write_table(pyarrow.concat_tables(parts), sketch)
    return {"shards": shards}


# -------------------------------------------------------------------------------------- feature tables

def _write_tables(plan: SplitPlan, run: Run, jobs: int, progress) -> dict[str, Any]:
    index = with_column(plan.source.store.index(), "split", plan.splits)

    def features(members: pyarrow.Table) -> Iterator[tuple[int, dict[str, Modality]]]:
        for count, found in _features_of(plan, members.column("key").to_pylist()):
            yield count, found
            progress(count, 0)
    return {"tables": write_tables(run.out, index, list(plan.source.store.manifest.modalities), features)}


def _features_of(plan: SplitPlan, keys: list[str]) -> Iterator[tuple[int, dict[str, Modality]]]:
    """Yield the features of some rows of IN a piece at a time, out of all its tables, in the order of the index."""
    wanted, there = set(keys), []
    manifest = plan.source.store.manifest
    for facts in manifest.tables:
        for index, features in read_pieces(plan.source.path / facts["name"], manifest.modalities):
            of_piece = index.column("key").to_pylist()
            rows = np.array([row for row, key in enumerate(of_piece) if key in wanted], np.int64)
            there += [of_piece[row] for row in rows]
            if len(rows):
                yield len(rows), {name: _taken(modality, rows) for name, modality in features.items()}
    if there != keys:
        raise EmoprepError("the index and the tables have other rows", where=str(plan.source.path),
                           expected=f"{len(keys)} rows, in the order of the index", got=f"{len(there)}",
                           remedy="make the store again")


def _taken(modality: Modality, rows: np.ndarray) -> Modality:
    values = [modality.values[row] for row in rows] if isinstance(modality.values, list) else modality.values[rows]
    return Modality(values, modality.present[rows], modality.clock)


# --------------------------------------------------------------------------------------------- sealing

def _seal(plan: SplitPlan, run: Run, pieces: dict[str, Any]) -> None:
    of = plan.source.store
    for name in (SKIPPED, FACES):
        if (of.path / name).is_file():
            take_over(of.path / name, run.out / name)
    manifest = replace(
        of.manifest, facts=plan.facts, counts={name: part["utterances"] for name, part in plan.parts.items()},
        shards=pieces.get("shards", []), tables=pieces.get("tables", []),
        # Those that decided the bytes of the media still stand.
        versions={**of.manifest.versions, **versions("numpy", "pyarrow")},
        notes=[*of.manifest.notes, *plan.unmet])
    write_bytes(run.out / CARD, card(manifest))
    run.seal(manifest.to_bytes())
