"""What is counted: the rows of a raw corpus or of a store as columns of numbers, for a million of them too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emoprep.corpora import open_corpus
from emoprep.errors import EmoprepError, UsageError
from emoprep.labels import MULTI, OUTSIDE, LabelScheme
from emoprep.protocols import assign_splits
from emoprep.store.manifest import Store, is_store, open_store

if TYPE_CHECKING:
    import pyarrow

__all__ = ["GROUPINGS", "Named", "Rows", "Source", "open_source"]

GROUPINGS = ("split", "speaker", "dialogue")


class Named(NamedTuple):
    """A column of names: `codes` int [N] into `names`, each of which occurs once; None is a name like any other."""

    codes: np.ndarray
    names: list[Any]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Named:
        """Return the column of these values.

        >>> found = Named.of(["Joey", None, "Joey"])
        >>> found.codes.tolist(), found.names
        ([0, 1, 0], ['Joey', None])
        """
        names = dict.fromkeys(values)
        numbers = dict(zip(names, range(len(names)), strict=True))
        return cls(np.fromiter(map(numbers.__getitem__, values), np.int32, len(values)), list(names))


@dataclass(frozen=True)
class Rows:
    """Utterances in the order of the index, so a dialogue's are in time order.

    `seconds` is float64 [N], NaN where no length is known. `y` is the class of each, int16 [N], −100 outside the
    scheme; for several labels int8 [N, K] of 0 and 1, −100 throughout for a row outside. `weight` is loss_mask.
    """

    split: Named
    dialogue: Named
    speaker: Named
    by: Named
    seconds: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, rows: np.ndarray) -> Rows:
        """Return some of the rows: numbers, or a truth for each."""
        def some(column):
            return Named(column.codes[rows], column.names) if isinstance(column, Named) else column[rows]
        return Rows(*(some(getattr(self, field.name)) for field in fields(self)))

    @property
    def inside(self) -> np.ndarray:
        """Tell which rows are in the scheme, bool [N]."""
        return (self.y if self.y.ndim == 1 else self.y[:, 0]) != OUTSIDE

    @property
    def counted(self) -> np.ndarray:
        """`y` with −100 for masked rows too: what measures of more than one row go by."""
        return np.where(self.weight > 0 if self.y.ndim == 1 else (self.weight > 0)[:, None], self.y, OUTSIDE)

    def groups(self, column: str) -> dict[Any, Rows]:
        """Return the rows by split (train, dev, test, others), or by another column, the largest group first."""
        codes, names = getattr(self, column)
        sizes = np.bincount(codes, minlength=len(names)).tolist()
        known = [code for code, size in enumerate(sizes) if size]
        if column == "split":
            # A protocol gives the dialogues of a session several splits, so their rows come mixed.
            order = {"train": 0, "dev": 1, "test": 2}
            known.sort(key=lambda code: order.get(names[code], 3))
        else:
            known.sort(key=lambda code: (-sizes[code], str(names[code])))
        if len(known) == 1:
            return {names[known[0]]: self}
        places = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])
        return {names[code]: self[places[code]] for code in known}

    def split_by(self, corpus: str, protocol: str | None) -> tuple[Rows, str | None]:
        """Return the rows with the splits of `--protocol` (see `assign_splits`), and which one it was."""
        splits = self.split.names
        if any(split is not None for split in splits):  # they stay; the error for a protocol is that of assign_splits
            return self, assign_splits(splits, [""] * len(splits), corpus=corpus, protocol=protocol)[1]
        dialogues = self.dialogue.names
        given, used = assign_splits([None] * len(dialogues), dialogues, corpus=corpus, protocol=protocol)
        if used is None:
            return self, None
        of_dialogue = Named.of(given)
        split = Named(of_dialogue.codes[self.dialogue.codes], of_dialogue.names)
        return Rows(split, self.dialogue, self.speaker, self.by, self.seconds, self.y, self.weight), used


class Source(NamedTuple):
    """Where rows come from: `rows(scheme, by)` → (Rows, rows of annotation of which each kind is there, for
    `LabelScheme.check_values`)."""

    corpus: str
    schemes: Mapping[str, LabelScheme]
    columns: Mapping[str, str]
    rows: Callable[[LabelScheme, str], tuple[Rows, list[dict[str, Any]]]]
    notes: Iterable[str]


def open_source(source: Path, corpus: str | None, options: Mapping[str, str] | None) -> Source:
    """Open a raw corpus or a store; no media is opened."""
    if not is_store(source):
        module, read = open_corpus(source, corpus, options)
        return Source(module.NAME, {scheme.name: scheme for scheme in read.schemes}, read.annotation,
                      lambda scheme, by: _of_utterances(read.utterances, scheme, by), read.notes)
    if options:
        raise UsageError("IN is a store, and cut already", where=f"--{next(iter(options))}",
                         remedy="give this option to `emoprep segment`")
    store = open_store(source)
    if corpus is not None and corpus != store.manifest.corpus:
        raise UsageError("the store is of another corpus", where="--corpus", expected=store.manifest.corpus,
                         got=corpus)
    return Source(store.manifest.corpus, store.manifest.schemes, store.manifest.annotation,
                  lambda scheme, by: _of_store(store, scheme, by), ())


# ---------------------------------------------------------------------------------------------- a raw corpus

def _of_utterances(utterances: Sequence[Any], scheme: LabelScheme, by: str) -> tuple[Rows, list[dict[str, Any]]]:
    annotations = [utterance.annotation for utterance in utterances]
    shape = (-1, len(scheme.labels)) if scheme.task == MULTI else (-1,)
    names = {name: Named.of([getattr(utterance, name) for utterance in utterances]) for name in GROUPINGS}
    seconds = [np.nan if utterance.seconds is None else utterance.seconds for utterance in utterances]
    return Rows(**names, by=names[by] if by in names else Named.of([row[by] for row in annotations]),
                seconds=np.array(seconds, np.float64), y=np.array(scheme.encode(annotations), np.int16).reshape(shape),
                weight=np.ones(len(utterances))), annotations


# --------------------------------------------------------------------------------------------------- a store

def _of_store(store: Store, scheme: LabelScheme, by: str) -> tuple[Rows, list[dict[str, Any]]]:
    # One column after the other: each is several times as large while it is read as it is afterwards.
    named = {name: _named(store, name) for name in dict.fromkeys([*GROUPINGS, by])}
    (weight, unknown), (start, no_start), (end, no_end) = (_numbers(store, name)
                                                           for name in ("loss_mask", "start", "end"))
    weight[unknown | ~np.isfinite(weight)] = 1
    seconds = np.where(no_start | no_end | ~np.isfinite(end) | ~np.isfinite(start), np.nan, end - start)
    if scheme.task == MULTI:
        y, kinds = _compared(store, scheme)
    else:  # a column has few values, however many rows
        codes, values = named.get(scheme.column) or _named(store, scheme.column)
        kinds = [{scheme.column: value} for value in values]
        y = np.array(scheme.encode(kinds), np.int16)[codes]
    return Rows(**{name: named[name] for name in GROUPINGS}, by=named[by], seconds=seconds, y=y, weight=weight), kinds


def _named(store: Store, name: str) -> Named:
    """Return a column of names; null is None."""
    from pyarrow.types import is_dictionary

    column = store.column(name)
    if not len(column):
        return Named(np.empty(0, np.int32), [])
    coded = (column if is_dictionary(column.type) else column.dictionary_encode()).unify_dictionaries().combine_chunks()
    try:
        names = coded.dictionary.to_pylist()
    except UnicodeDecodeError as error:
        raise EmoprepError("a column of the index is no UTF-8", where=f"{store.path}: {name}", got=str(error),
                           remedy="make the store again") from error
    codes = _values(coded.indices)
    if coded.null_count:
        codes, names = np.where(_missing(coded), np.int32(len(names)), codes), [*names, None]
    return Named(codes, names)


def _numbers(store: Store, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as float64 [N], and where it is null, bool [N]."""
    from pyarrow.types import is_floating, is_integer

    column = store.column(name)
    if not (is_floating(column.type) or is_integer(column.type)):
        raise EmoprepError("a column of the index holds no numbers", where=f"{store.path}: {name}",
                           got=str(column.type), remedy="make the store again")
    if not len(column):
        return np.empty(0), np.empty(0, bool)
    array = column.combine_chunks()
    return _values(array).astype(np.float64), _missing(array)


# pyarrow's own ways to numpy import pandas where it is installed: 0.2 s and 45 MB for nothing.

def _values(array: pyarrow.Array) -> np.ndarray:
    """Return what an array of numbers holds, whatever where it is null."""
    dtype = np.dtype(array.type.to_pandas_dtype())
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)


def _missing(array: pyarrow.Array) -> np.ndarray:
    """Tell where an array is null, bool [N]."""
    if not array.null_count:
        return np.zeros(len(array), bool)
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    return np.unpackbits(bits, bitorder="little")[array.offset:array.offset + len(array)] == 0


def _compared(store: Store, scheme: LabelScheme) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return 0 or 1 for each label by comparing whole columns, as `LabelScheme.encode` does row by row."""
    holds, lost = [], False
    for name in scheme.reads:
        values, missing = _numbers(store, name)
        holds.append(values > scheme.above)
        lost = lost | missing
    y = np.column_stack(holds).astype(np.int8)
    y[lost] = OUTSIDE
    # `check_values` asks whether any row is inside; which values are there it asks of mappings alone.
    return y, [dict.fromkeys(scheme.reads, None if lost.all() else 0.0)] if len(y) else []
