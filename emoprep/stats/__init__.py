"""`emoprep stats`: the class skew of a raw corpus (its annotation is enough), of any store, of two side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoprep.errors import UsageError
from emoprep.labels import LabelScheme, choose_scheme
from emoprep.protocols import protocol_notes
from emoprep.stats.comparing import changes, drifts
from emoprep.stats.figures import conversations, count, speakers
from emoprep.stats.rows import GROUPINGS, open_source
from emoprep.store.manifest import is_store

__all__ = ["GROUPINGS", "Comparison", "Stats", "compare", "stats"]


@dataclass(frozen=True)
class Stats:
    """The figures of each split, of each group where asked for, and how far the splits' classes differ.

    `protocol` is the one that gave the splits, None where the corpus has its own.
    """

    corpus: str
    scheme: LabelScheme
    splits: dict[str, dict[str, Any]]
    by: str = "split"
    groups: dict[str, dict[str, Any]] | None = None
    notes: tuple[str, ...] = ()
    protocol: str | None = None
    max_seconds: float | None = None

    @property
    def drift(self) -> dict[str, dict[str, Any]]:
        return drifts(self.splits, self.scheme)

    def to_json(self) -> dict[str, Any]:
        document = {"schema": "emoprep.stats/1", "corpus": self.corpus, "task": self.scheme.task,
                    "label_scheme": self.scheme.name, "labels": list(self.scheme.labels), "protocol": self.protocol,
                    "splits": self.splits, "drift": self.drift}
        if self.groups is not None:
            document |= {"by": self.by, "groups": self.groups}
        return document


@dataclass(frozen=True)
class Comparison:
    """Two corpora or stores with the same classes, by the names that their paths have apart."""

    before: Stats
    after: Stats
    names: tuple[str, str]

    @property
    def changes(self) -> dict[str, dict[str, Any]]:
        return changes(self.before.splits, self.after.splits, self.before.scheme)

    def to_json(self) -> dict[str, Any]:
        return self.before.to_json() | {"compare": {"names": list(self.names), "with": self.after.to_json(),
                                                    "changes": self.changes}}


def stats(source: Path, *, labels: str | None = None, by: str = "split", corpus: str | None = None,
          options: Mapping[str, str] | None = None, protocol: str | None = None,
          max_seconds: float | None = None) -> Stats:
    """Count a raw corpus or a store; no media is opened.

    `labels` names a label scheme or a TOML file, `by` adds groups: "speaker", "dialogue" or a column of the
    annotation. `protocol` splits a corpus that has no official split ("none": leave it unsplit). `max_seconds` also
    counts what a maximum length would cut.
    """
    if max_seconds is not None and not (math.isfinite(max_seconds) and max_seconds > 0):
        raise UsageError("this length is not possible", where="--max-seconds", expected="finite seconds above 0",
                         got=str(max_seconds))
    opened = open_source(source, corpus, options)
    known = [*GROUPINGS, *(column for column, kind in opened.columns.items() if kind in ("string", "int32"))]
    if by not in known:
        raise UsageError("not known", where="--by", expected=" or ".join(known), got=by)
    scheme = choose_scheme(labels, opened.schemes, opened.columns)
    rows, kinds = opened.rows(scheme, by)
    notes = [*opened.notes, *(scheme.check_values(kinds) if labels is not None else ())]
    rows, used = rows.split_by(opened.corpus, protocol)
    notes += protocol_notes(opened.corpus, used, rows.split.names)
    splits = rows.groups("split")
    unsplit = "none" if any(splits) else "all"
    found = {split or unsplit: count(members, scheme, max_seconds) | conversations(members, scheme.labels)
             | speakers(members, scheme.labels) for split, members in splits.items()}
    groups = None if by == "split" else {str(name): count(members, scheme, max_seconds)
                                         for name, members in rows.groups("by").items()}
    return Stats(opened.corpus, scheme, found, by, groups, tuple(notes), used, max_seconds)


def compare(source: Path, other: Path, *, corpus: str | None = None, options: Mapping[str, str] | None = None,
            **settings: Any) -> Comparison:
    """Count two corpora or stores, before and after balancing for instance; `settings` are those of `stats`.

    Raises UsageError where their classes differ.
    """
    before = stats(source, corpus=corpus, options=options, **settings)
    # A store was cut already, so options of its corpus are none of its own.
    after = stats(other, options=None if is_store(other) else options, **settings)
    if before.scheme.labels != after.scheme.labels or before.scheme.task != after.scheme.task:
        raise UsageError("the two have different classes", where="--compare", got=", ".join(after.scheme.labels),
                         expected=", ".join(before.scheme.labels), remedy="name one scheme for both with --labels")
    return Comparison(before, after, _names(source, other))


def _names(source: Path, other: Path) -> tuple[str, str]:
    """Return as much of the ends of two paths as tells them apart.

    >>> _names(Path("shards/meld"), Path("runs/smote")), _names(Path("a/features/meld"), Path("a/smote/meld"))
    (('meld', 'smote'), ('features/meld', 'smote/meld'))
    """
    parts = source.parts, other.parts
    for depth in range(1, max(map(len, parts)) + 1):
        left, right = ("/".join(part[-depth:]) for part in parts)
        if left and right and left != right:
            return left, right
    return str(source), str(other)
