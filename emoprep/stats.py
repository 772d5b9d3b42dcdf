"""`emoprep stats`: the class skew of a raw corpus (its annotation is enough) or of any store."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from emoprep.corpora import open_corpus
from emoprep.errors import UsageError
from emoprep.labels import OUTSIDE, LabelScheme, choose_scheme
from emoprep.store.manifest import is_store, open_store

__all__ = ["GROUPINGS", "Skew", "Stats", "measure", "stats"]

GROUPINGS = ("split", "speaker", "dialogue")


@dataclass(frozen=True)
class Skew:
    """How unevenly utterances fall on classes.

    `counts` are by class name, in the scheme's order; a masked utterance (loss_mask 0) is not counted.
    `imbalance_ratio` is n_max / n_min (None where a class has no member), `evenness` H / ln K (Pielou),
    `effective_classes` e^H, `lacks` what each class lacks to the largest, `ratios` n_max / n_c.
    """

    counts: dict[str, float]
    shares: dict[str, float]
    imbalance_ratio: float | None
    evenness: float | None
    effective_classes: float | None
    lacks: dict[str, float]
    ratios: dict[str, float | None]


@dataclass(frozen=True)
class Stats:
    """Class skew, durations, speakers and dialogues of each split, and of each group where asked for."""

    corpus: str
    scheme: LabelScheme
    splits: dict[str, dict[str, Any]]
    by: str = "split"
    groups: dict[str, dict[str, Any]] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        document = {"schema": "emoprep.stats/1", "corpus": self.corpus, "task": self.scheme.task,
                    "label_scheme": self.scheme.name, "labels": list(self.scheme.labels), "splits": self.splits}
        if self.groups is not None:
            document |= {"by": self.by, "groups": self.groups}
        return document


def measure(counts: Mapping[str, float]) -> Skew:
    """Return the skew of class counts.

    >>> skew = measure({"neutral": 4710, "fear": 268})
    >>> round(skew.imbalance_ratio, 2), round(skew.evenness, 4), skew.lacks["fear"]
    (17.57, 0.3025, 4442)
    """
    total, largest, smallest = sum(counts.values()), max(counts.values()), min(counts.values())
    shares = {name: count / total if total else 0.0 for name, count in counts.items()}
    entropy = -sum(share * math.log(share) for share in shares.values() if share)
    return Skew(
        dict(counts), shares, largest / smallest if smallest else None,
        entropy / math.log(len(counts)) if total and len(counts) > 1 else None,
        math.exp(entropy) if total else None,
        {name: largest - count for name, count in counts.items()},
        {name: largest / count if count else None for name, count in counts.items()})


def stats(source: Path, *, labels: str | None = None, by: str = "split", corpus: str | None = None,
          options: Mapping[str, str] | None = None) -> Stats:
    """Count a raw corpus or a store; no media is opened.

    `labels` names a label scheme or a TOML file, `by` adds groups: "speaker" or "dialogue".
    """
    if by not in GROUPINGS:
        raise UsageError("not known", where="--by", expected=" or ".join(GROUPINGS), got=by)
    if is_store(source):
        name, schemes, columns, rows, notes = _store_rows(source)
        if corpus is not None and corpus != name:
            raise UsageError("the store is of another corpus", where="--corpus", expected=name, got=corpus)
    else:
        name, schemes, columns, rows, notes = _corpus_rows(source, corpus, options)
    scheme = choose_scheme(labels, schemes, columns)
    rows, values = rows(scheme)
    if labels is not None:
        notes = [*notes, *scheme.check_values(values)]
    groups = None
    if by != "split":
        groups = {key: _group(members, scheme.labels) for key, members in _grouped(rows, by).items()}
    splits = {key: _group(members, scheme.labels) for key, members in _grouped(rows, "split").items()}
    return Stats(name, scheme, splits, by, groups, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Row:
    split: str
    dialogue: str
    speaker: str
    seconds: float | None
    label: int
    weight: float


def _corpus_rows(source, corpus, options):
    module, read = open_corpus(source, corpus, options)

    def rows(scheme):
        numbers = scheme.encode(utterance.annotation for utterance in read.utterances)
        return ([_Row(u.split or "all", u.dialogue, u.speaker, u.seconds, number, 1.0)
                 for u, number in zip(read.utterances, numbers, strict=True)],
                {utterance.annotation[scheme.column] for utterance in read.utterances})
    schemes = {scheme.name: scheme for scheme in module.SCHEMES}
    return module.NAME, schemes, module.ANNOTATION, rows, read.notes


def _store_rows(source):
    store = open_store(source)
    manifest = store.manifest

    def rows(scheme):
        names = ["split", "dialogue", "speaker", "start", "end", "loss_mask", scheme.column]
        columns = {name: column.to_pylist() for name, column in
                   zip(names, store.index(names).select(names).itercolumns(), strict=True)}
        numbers = scheme.encode({scheme.column: value} for value in columns[scheme.column])
        return ([_Row(split or "all", dialogue, speaker, None if start is None else end - start, number, weight)
                for split, dialogue, speaker, start, end, weight, number in
                zip(columns["split"], columns["dialogue"], columns["speaker"], columns["start"], columns["end"],
                    columns["loss_mask"], numbers, strict=True)], set(columns[scheme.column]))
    return manifest.corpus, manifest.schemes, manifest.annotation, rows, []


def _grouped(rows: Iterable[_Row], by: str) -> dict[str, list[_Row]]:
    """Return the rows by split (in the order of the index), or by speaker or dialogue, the largest first."""
    groups: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by)].append(row)
    if by == "split":
        return dict(groups)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def _group(rows: Sequence[_Row], labels: tuple[str, ...]) -> dict[str, Any]:
    totals, seconds = [0.0] * len(labels), defaultdict(list)
    for row in rows:
        if row.label != OUTSIDE:
            totals[row.label] += row.weight
            if row.seconds is not None:
                seconds[row.label].append(row.seconds)
    # Whole numbers stay whole: only fractional loss masks give fractional counts.
    counts = {label: int(total) if total.is_integer() else total
              for label, total in zip(labels, totals, strict=True)}
    skew = measure(counts)
    lengths = [row.seconds for row in rows if row.seconds is not None]
    return {
        "utterances": len(rows), "counts": skew.counts, "shares": skew.shares,
        "imbalance_ratio": skew.imbalance_ratio, "evenness": skew.evenness,
        "effective_classes": skew.effective_classes, "lacks": skew.lacks, "ratios": skew.ratios,
        "outside": sum(row.label == OUTSIDE for row in rows),
        "masked": sum(row.weight == 0 for row in rows),
        "dialogues": len({row.dialogue for row in rows}), "speakers": len({row.speaker for row in rows}),
        "speaker_counts": dict(Counter(row.speaker for row in rows).most_common(10)),
        "seconds": _durations(lengths),
        "seconds_by_class": {label: _durations(seconds[number]) for number, label in enumerate(labels)},
    }


def _durations(lengths: Sequence[float]) -> dict[str, float | None]:
    if not lengths:
        return {"total": 0.0, "mean": None, "median": None, "shortest": None, "longest": None}
    return {"total": round(sum(lengths), 3), "mean": sum(lengths) / len(lengths), "median": median(lengths),
            "shortest": min(lengths), "longest": max(lengths)}
