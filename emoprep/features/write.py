"""Feature tables, their index and the scaler of train, written in one pass; whoever made the features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import Modality
from emoprep.methods.projection import Scaler
from emoprep.store.card import card
from emoprep.store.folder import CARD, INDEX, Run, draft, write_bytes
from emoprep.store.index import with_column
from emoprep.store.manifest import Manifest, open_store
from emoprep.store.tables import has_column, write_table
from emoprep.utterance import SPLITS

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FeaturesResult", "earlier_result", "of_split", "seal", "write_tables"]

Pieces = Iterable[tuple[int, dict[str, Modality]]]
"""Features of runs of rows, in the order of the index: how many rows, and a Modality each. The dict is emptied."""


@dataclass(frozen=True)
class FeaturesResult:
    out: str
    corpus: str
    counts: dict[str, int]
    modalities: dict[str, dict[str, Any]]
    missing: dict[str, list[str]]
    notes: tuple[str, ...]
    fresh: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"schema": "emoprep.features/1", "corpus": self.corpus, "out": self.out, "counts": self.counts,
                "modalities": self.modalities, "missing": self.missing, "notes": list(self.notes),
                "fresh": self.fresh}


def write_tables(out: Path, index: pyarrow.Table, names: Iterable[str],
                 features: Callable[[pyarrow.Table], Pieces]) -> list[dict[str, Any]]:
    """Write a table a split, the index and, where there is a train split, its scaler; return the tables' facts.

    `index` has the rows of all splits, `names` are the modalities. `features` is called for the rows of each split
    in turn (train, dev, test, those without a split) and gives their features piece by piece; a piece is written,
    counted into the scaler and let go before the next is asked for.
    """
    import pyarrow
    from pyarrow import parquet

    for name in names:
        if has_column(name) not in index.column_names:
            index = with_column(index, has_column(name), [False] * index.num_rows)
    scalers = {name: Scaler() for name in names}
    tables, parts = [], []
    for split in _splits(index):
        members = of_split(index, split)
        pieces = _written(members, features(members), parts, scalers if split == "train" else {})
        tables.append(write_table(out / f"{split}.parquet", pieces))
    with draft(out / INDEX) as sketch:
        parquet.write_table(pyarrow.concat_tables(parts), sketch)
    if any(table["split"] == "train" for table in tables):
        found = {name: scaler.told() for name, scaler in scalers.items()}
        with draft(out / "scaler.npz") as sketch, sketch.open("wb") as file:
            np.savez(file, **{f"{name}_{what}": array for name, both in found.items()
                              for what, array in zip(("mean", "deviation"), both, strict=True)})
    return tables


def of_split(index: pyarrow.Table, split: str) -> pyarrow.Table:
    """Return the rows of a split; "all" are those without one."""
    import pyarrow.compute as compute

    column = index.column("split")
    return index.filter(compute.is_null(column) if split == "all" else compute.equal(column, split))


def _splits(index: pyarrow.Table) -> list[str]:
    there = set(index.column("split").to_pylist())
    return [split for split in SPLITS if split in there] + (["all"] if None in there else [])


def _written(members: pyarrow.Table, pieces: Pieces, parts: list[pyarrow.Table], scalers: Mapping[str, Scaler]
             ) -> Iterator[tuple[pyarrow.Table, Mapping[str, Modality]]]:
    """Yield each piece with its index rows, note these in `parts`, and count it into the scalers."""
    at = 0
    for count, features in pieces:
        parts.append(_counted(with_column(members.slice(at, count), "shard", [None] * count), features, scalers))
        at += count
        yield parts[-1], features
        features.clear()  # who asks for the next piece may still hold this one


def _counted(part: pyarrow.Table, features: Mapping[str, Modality], scalers: Mapping[str, Scaler]) -> pyarrow.Table:
    """Return the index rows with what they have; count their features into the scalers."""
    for name, modality in features.items():
        part = with_column(part, has_column(name), modality.present.tolist())
        for row in np.flatnonzero(modality.present) if name in scalers else ():
            scalers[name].add(modality.values[row])
    return part


def seal(run: Run, manifest: Manifest, missing: Mapping[str, list[str]] | None = None) -> FeaturesResult:
    """Write the card and, last, the manifest; return what is to be shown."""
    write_bytes(run.out / CARD, card(manifest))
    run.seal(manifest.to_bytes())
    return _result(run.out, manifest, missing or {}, fresh=True)


def earlier_result(out: Path) -> FeaturesResult:
    """Return the result of a run that was complete already."""
    return _result(out, open_store(out).manifest, {}, fresh=False)


def _result(out: Path, manifest: Manifest, missing, *, fresh: bool) -> FeaturesResult:
    return FeaturesResult(str(out), manifest.corpus, dict(manifest.counts), dict(manifest.modalities), dict(missing),
                          tuple(manifest.notes), fresh)
