"""What is to be split: the rows of a store or of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.corpora import annotation_digests, open_corpus
from emoprep.errors import UsageError
from emoprep.labels import LabelScheme
from emoprep.store.manifest import Store, is_store, open_store

__all__ = ["Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """IN, row by row: `dialogues`, `speakers` and the annotation's `columns` (named and typed by `types`).

    `counted` bool [N] tells which rows are in a trainer's loss: not those that are masked or have no sample.
    `store` is None where IN is a table. `kept` are settings of IN that OUT goes on with.
    """

    path: Path
    corpus: str
    store: Store | None
    keys: Sequence[str]
    dialogues: Sequence[str]
    speakers: Sequence[str]
    counted: np.ndarray
    columns: Mapping[str, Sequence[Any]]
    types: Mapping[str, str]
    schemes: Mapping[str, LabelScheme]
    inputs: Mapping[str, Any]
    has_splits: bool
    seconds: float
    bytes: int
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "table" if self.store is None else self.store.manifest.kind


def open_source(path: Path, *, corpus: str | None = None) -> Source:
    """Open a store or a table; raises UsageError where IN is neither, or would not be what it was once split."""
    if is_store(path):
        return _of_store(path, corpus)
    module, read = open_corpus(path, corpus)
    if module.NAME != "table" or not path.is_file():
        raise UsageError("IN is a raw corpus" if module.NAME != "table" else "IN is a folder", where=str(path),
                         expected="a store, or the file of a table",
                         remedy="run `emoprep segment` first: its store is split as often as one likes")
    rows = read.utterances
    if not rows:
        raise UsageError("IN has no utterance", where=str(path))
    return Source(
        path=path, corpus=read.name, store=None, keys=[row.key for row in rows],
        dialogues=[row.dialogue for row in rows], speakers=[row.speaker for row in rows],
        counted=np.ones(len(rows), bool),
        columns={name: [row.annotation[name] for row in rows] for name in read.annotation}, types=read.annotation,
        schemes={scheme.name: scheme for scheme in read.schemes}, inputs={"annotation": annotation_digests(read)},
        has_splits=any(row.split for row in rows), seconds=sum(row.seconds or 0.0 for row in rows),
        bytes=path.stat().st_size)


def _of_store(path: Path, corpus: str | None) -> Source:
    store = open_store(path).require_intact()
    manifest = store.manifest
    if corpus is not None and corpus != manifest.corpus:
        raise UsageError("the store is of another corpus", where="--corpus", expected=manifest.corpus, got=corpus)
    index = store.index()
    _check_store(path, manifest, index.column("op").to_pylist())
    mask, shard = (index.column(name).to_pylist() for name in ("loss_mask", "shard"))
    counted = [weight > 0 and (manifest.kind != "shards" or piece is not None)
               for weight, piece in zip(mask, shard, strict=True)]
    length = np.nan_to_num((index.column("end").to_numpy() - index.column("start").to_numpy()).astype(np.float64))
    cut = manifest.facts["settings"]
    return Source(
        path=path, corpus=manifest.corpus, store=store, keys=index.column("key").to_pylist(),
        dialogues=index.column("dialogue").to_pylist(), speakers=index.column("speaker").to_pylist(),
        counted=np.array(counted, bool), columns={name: index.column(name).to_pylist() for name in manifest.annotation},
        types=manifest.annotation, schemes=manifest.schemes, inputs={"store": store.fingerprint},
        has_splits=any(index.column("split").to_pylist()), seconds=float(length.sum()),
        bytes=sum(piece["size"] for piece in (*manifest.shards, *manifest.tables)),
        kept={"shard_utterances": cut.get("shard_utterances", 100)} if manifest.kind == "shards" else {})


def _check_store(path: Path, manifest, ops: Sequence[str]) -> None:
    if manifest.kind == "annotation":
        raise UsageError("IN has neither shards nor features", where=str(path), expected="a store of one of the two",
                         remedy="run `emoprep segment` on the corpus, and split its store")
    if manifest.balance is not None or set(ops) - {"keep"}:
        # Copies, near twins and masked rows of train would go to dev and test.
        raise UsageError("IN is balanced already", where=str(path),
                         got=(manifest.balance or {}).get("strategy", "made rows"),
                         remedy="split the store that it was made from, then balance the train split of that")
    fitted = [name for name, how in manifest.modalities.items() if how.get("fitted_on")]
    if fitted:
        raise UsageError("the features were fitted on the train split that is there", where=str(path),
                         got=", ".join(fitted),
                         remedy="split the store of shards, then run `emoprep features` on that: what was fitted on "
                                "rows of a new dev or test would leak")
    if not ops:
        raise UsageError("IN has no utterance", where=str(path))
