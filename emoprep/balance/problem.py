"""What is to be balanced: the train rows of a store or of a raw corpus, and their features where needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import Modality
from emoprep.corpora import annotation_digests, open_corpus
from emoprep.errors import UsageError
from emoprep.protocols import assign_splits
from emoprep.store.index import SAMPLE_WEIGHT, index_row, schema, with_column
from emoprep.store.manifest import Manifest, Store, is_store, open_store
from emoprep.store.tables import read_table
from emoprep.utterance import SPLITS

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Input", "open_input"]


@dataclass(frozen=True)
class Input:
    """IN: where it lies, its manifest, its index (all splits, in order) and, for a store, the store.

    `protocol` gave the splits where IN had none; then `index` and `manifest.counts` have them too.
    """

    where: str
    manifest: Manifest
    index: pyarrow.Table
    store: Store | None
    inputs: Mapping[str, Any]
    annotated_seconds: tuple[float, ...] = ()
    protocol: str | None = None

    @property
    def kind(self) -> str:
        return self.manifest.kind

    def rows(self, split: str) -> pyarrow.Table:
        import pyarrow.compute as compute

        return self.index.filter(compute.equal(self.index.column("split"), split))

    def train_seconds(self) -> np.ndarray:
        """Return how long each train utterance is, float64 [N]: as cut, else as annotated, 0 where neither is known."""
        train = self.rows("train")
        if self.store is None:
            splits = self.index.column("split").to_pylist()
            return np.array([seconds for seconds, split in zip(self.annotated_seconds, splits, strict=True)
                             if split == "train"])
        start, end = (train.column(name).to_numpy() for name in ("start", "end"))
        return np.nan_to_num((end - start).astype(np.float64))

    def features(self) -> dict[str, Modality]:
        """Return the features of the train rows, in the order of `rows("train")`."""
        _, features = read_table(self.store.path / "train.parquet", self.manifest.modalities)
        return features


def open_input(source: Path, *, corpus: str | None = None, options: Mapping[str, str] | None = None,
               protocol: str | None = None, all_is_train: bool = False) -> Input:
    """Open a finished store, or read the annotation of a raw corpus (its media are not needed to decide).

    `protocol` and `all_is_train` say how an IN without splits is split (see `protocols.assign_splits`).
    """
    opened = _open(source, corpus, options)
    splits, used = assign_splits(
        opened.index.column("split").to_pylist(), opened.index.column("dialogue").to_pylist(),
        corpus=opened.manifest.corpus, protocol=protocol, all_is_train=all_is_train)
    if used is None:
        return opened
    counts = {split: splits.count(split) for split in (*SPLITS, None) if split in splits}
    return replace(opened, index=with_column(opened.index, "split", splits), protocol=used,
                   manifest=replace(opened.manifest, counts={name or "none": count for name, count in counts.items()}))


def _open(source: Path, corpus: str | None, options: Mapping[str, str] | None) -> Input:
    if is_store(source):
        store = open_store(source).require_intact()
        if corpus is not None and corpus != store.manifest.corpus:
            raise UsageError("the store is of another corpus", where="--corpus", expected=store.manifest.corpus,
                             got=corpus)
        if options:
            raise UsageError("IN is a store, and cut already", where=f"--{next(iter(options))}",
                             remedy="give this option to `emoprep segment`")
        index = store.index()
        if SAMPLE_WEIGHT in index.column_names:  # of an earlier balancing; this one decides anew
            index = index.drop_columns([SAMPLE_WEIGHT])
        return Input(str(source), store.manifest, index, store, {"store": store.fingerprint})
    module, read = open_corpus(source, corpus, options)
    import pyarrow

    rows = [index_row(utterance, read.schemes) for utterance in read.utterances]
    counts = Counter(row["split"] or "all" for row in rows)
    manifest = Manifest(
        corpus=module.NAME, title=module.TITLE, kind="annotation",
        facts={"command": "annotation", "settings": dict(read.settings), "inputs": {}}, counts=dict(counts), written=0,
        modalities={}, schemes={scheme.name: scheme for scheme in read.schemes}, annotation=read.annotation,
        citation=module.CITATION, licence=module.LICENCE, notes=list(read.notes))
    index = pyarrow.Table.from_pylist(rows, schema=schema(read.annotation, read.schemes))
    return Input(str(source), manifest, index, None,
                 {"annotation": annotation_digests(read)},
                 tuple(utterance.seconds or 0.0 for utterance in read.utterances))
