"""What is audited: the rows of a raw corpus, a table or a store, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from emoprep.corpora import open_corpus
from emoprep.errors import EmoprepError, UsageError
from emoprep.labels import LabelScheme, choose_scheme
from emoprep.methods.repeated_text import plain_text
from emoprep.protocols import assign_splits, protocol_notes
from emoprep.store.index import COLUMNS
from emoprep.store.manifest import Store, is_store, open_store
from emoprep.utterance import SPLITS

__all__ = ["Place", "Rows", "open_rows"]

Place = tuple[Any, float, float]
"""(source, start, end): where an utterance was taken from, in seconds of that source."""

_INDEX = ("key", "split", "dialogue", "turn", "speaker", "text", "start", "end", "has_audio", "has_video", "op", "base",
          "groups", "flags", "shard", "loss_mask")


@dataclass(frozen=True)
class Rows:
    """IN, row by row. All columns have one length; None stands where a row says nothing.

    `columns` are those of the index (only the ones that the audit reads) and the annotation's. `seconds` is how long
    each is, as cut or as annotated, and `promised` what the annotation says where that is something else than the cut.
    `places` are None where it is not known which source an utterance is from. `store` is None for a raw corpus.
    """

    path: Path
    corpus: str
    kind: str
    columns: Mapping[str, Sequence[Any]]
    types: Mapping[str, str]
    schemes: Mapping[str, LabelScheme]
    scheme: LabelScheme | None
    seconds: Sequence[float | None]
    promised: Sequence[float | None]
    places: Sequence[Place | None]
    store: Store | None = None
    protocol: str | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.columns["key"])

    @property
    def keys(self) -> Sequence[str]:
        return self.columns["key"]

    @property
    def splits(self) -> Sequence[str | None]:
        return self.columns["split"]

    @cached_property
    def counting(self) -> Rows:
        """The rows that are in some loss: what was masked or left out (loss_mask 0) makes no result wrong."""
        stay = [row for row, mask in enumerate(self.columns["loss_mask"]) if mask]
        if len(stay) == len(self):
            return self

        def of(values):
            return [values[row] for row in stay]
        return replace(self, columns={name: of(values) for name, values in self.columns.items()},
                       seconds=of(self.seconds), promised=of(self.promised), places=of(self.places))

    @cached_property
    def members(self) -> dict[str, list[int]]:
        """The rows of each split that is there, in the order train, dev, test."""
        found: dict[str, list[int]] = {split: [] for split in SPLITS}
        for row, split in enumerate(self.splits):
            if split is not None:
                found[split].append(row)
        return {split: rows for split, rows in found.items() if rows}

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each two splits."""
        return list(combinations(self.members, 2))

    @cached_property
    def plain(self) -> list[str]:
        """Each row's text by its letters, digits and inner spaces."""
        known = {text: plain_text(text or "") for text in set(self.columns["text"])}
        return [known[text] for text in self.columns["text"]]

    @cached_property
    def labels(self) -> list[Any]:
        """Each row's class number (multi-label: its tuple of 0 and 1), None outside the scheme or without one."""
        if self.scheme is None:
            return [None] * len(self)
        rows = zip(*(self.columns[name] for name in self.scheme.reads), strict=True)
        found = self.scheme.encode([dict(zip(self.scheme.reads, values, strict=True)) for values in rows])
        return [None if label == self.scheme.outside else tuple(label) if isinstance(label, list) else label
                for label in found]

    def label_name(self, row: int) -> str:
        """Return the class of a row for a reader."""
        label = self.labels[row]
        if label is None:
            return "(outside)"
        if isinstance(label, tuple):
            return " + ".join(name for name, there in zip(self.scheme.labels, label, strict=True) if there) or "(none)"
        return self.scheme.labels[label]


def open_rows(source: Path, *, corpus: str | None = None, options: Mapping[str, str] | None = None,
              protocol: str | None = None, labels: str | None = None) -> Rows:
    """Read the rows of a raw corpus (its annotation alone), a table or a store.

    Raises as `open_corpus` and `open_store` do, and UsageError where an option does not go with IN.
    """
    store = open_store(source).require_intact() if is_store(source) else None
    if store is not None and options:
        raise UsageError("IN is a store, and cut already", where=f"--{next(iter(options))}",
                         remedy="give this option to `emoprep segment`")
    if store is not None and corpus not in (None, store.manifest.corpus):
        raise UsageError("the store is of another corpus", where="--corpus", expected=store.manifest.corpus, got=corpus)
    name, kind, columns, types, schemes, facts, notes = \
        _of_corpus(source, corpus, options) if store is None else _of_store(store)
    if "split" in columns:
        columns["split"], used = assign_splits(columns["split"], columns["dialogue"], corpus=name, protocol=protocol)
    scheme = choose_scheme(labels, schemes, types) if labels is not None or schemes else None
    return Rows(source, name, kind, columns, types, schemes, scheme, *facts, store, used,
                (*notes, *protocol_notes(name, used, columns["split"])))


def _of_corpus(source: Path, corpus: str | None, options: Mapping[str, str] | None):
    module, read = open_corpus(source, corpus, options)
    rows = read.utterances
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows]
                                     for name in ("key", "split", "dialogue", "turn", "speaker", "text")}
    columns |= {"op": ["keep"] * len(rows), "loss_mask": [1.0] * len(rows), "base": [None] * len(rows),
                "groups": [[row.dialogue] for row in rows],
                "flags": [list(row.flags) for row in rows]}
    columns |= {name: [row.annotation[name] for row in rows] for name in read.annotation}
    places = _episode_places(columns)
    if places is None:
        # A table names its files; elsewhere a dialogue is one recording, on whose clock the times are.
        places = [((row.video or row.audio) if module.NAME == "table" else row.dialogue,
                   *((0.0, float("inf")) if row.start is None else (float(row.start), float(row.end)))) for row in rows]
        places = [None if place[0] is None else place for place in places]
    seconds = [row.seconds for row in rows]
    return (module.NAME, "corpus", columns, dict(read.annotation), {scheme.name: scheme for scheme in read.schemes},
            (seconds, [None] * len(rows), places), read.notes)


def _of_store(store: Store):
    manifest = store.manifest
    names = [*_INDEX, *manifest.annotation]
    table = _checked(store, names)
    columns = {name: table.column(name).to_pylist() for name in names}
    seconds = [None if None in (start, end) else end - start
               for start, end in zip(columns["start"], columns["end"], strict=True)]
    places, promised = _episode_places(columns), [None] * len(seconds)
    if places is not None:
        promised = [None if place is None else round(place[2] - place[1], 3) for place in places]
        if manifest.kind != "shards":
            seconds = [mine if mine is not None else said for mine, said in zip(seconds, promised, strict=True)]
    elif manifest.corpus == "table":
        places = [None] * len(seconds)  # the index does not name the files
    else:
        places = [None if None in (start, end) else (dialogue, start, end) for dialogue, start, end in
                  zip(columns["dialogue"], columns["start"], columns["end"], strict=True)]
    return (manifest.corpus, manifest.kind, columns, dict(manifest.annotation), dict(manifest.schemes),
            (seconds, promised, places), ())


def _checked(store: Store, names: Sequence[str]) -> Any:
    """Return columns of the index: nothing in them is damaged, each row has a key, and one of the splits or none."""
    from pyarrow import compute

    table = store.index(list(dict.fromkeys(names)))
    try:
        table.validate(full=True)
        strange = [split for split in compute.unique(table["split"]).to_pylist() if split not in (*SPLITS, None)]
        if strange or {type(key) for key in table["key"].to_pylist()} - {str}:
            raise ValueError("a row has no key, or a split that is none of train, dev and test")
    except (ValueError, KeyError, NotImplementedError) as error:  # pyarrow's errors are some of these
        raise EmoprepError("the index cannot be read", where=str(store.path), got=str(error)[:200],
                           remedy="make the store again") from error
    return table


_EPISODE = ("season", "episode", "source_start", "source_end")


def _episode_places(columns: Mapping[str, Sequence[Any]]) -> list[Place | None] | None:
    """Return each row's place in its episode, None where the annotation has no such columns."""
    if not set(_EPISODE) <= set(columns):
        return None
    return [None if None in (season, episode, start, end) or end < start else (f"S{season}E{episode}", start, end)
            for season, episode, start, end in zip(*(columns[name] for name in _EPISODE), strict=True)]


assert set(_INDEX) <= set(COLUMNS)
