"""`emoprep stats`: the class skew of a raw corpus (its annotation is enough) or of any store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from emoprep.corpora import open_corpus
from emoprep.errors import UsageError
from emoprep.labels import MULTI, LabelScheme, choose_scheme
from emoprep.methods.skew import LabelSkew, measure, measure_labels
from emoprep.protocols import assign_splits, protocol_notes
from emoprep.store.manifest import is_store, open_store

__all__ = ["GROUPINGS", "Stats", "stats"]

GROUPINGS = ("split", "speaker", "dialogue")


@dataclass(frozen=True)
class Stats:
    """Class skew, durations, speakers and dialogues of each split, and of each group where asked for.

    `protocol` is the one that gave the splits, None where the corpus has its own.
    """

    corpus: str
    scheme: LabelScheme
    splits: dict[str, dict[str, Any]]
    by: str = "split"
    groups: dict[str, dict[str, Any]] | None = None
    notes: tuple[str, ...] = ()
    protocol: str | None = None

    def to_json(self) -> dict[str, Any]:
        document = {"schema": "emoprep.stats/1", "corpus": self.corpus, "task": self.scheme.task,
                    "label_scheme": self.scheme.name, "labels": list(self.scheme.labels), "protocol": self.protocol,
                    "splits": self.splits}
        if self.groups is not None:
            document |= {"by": self.by, "groups": self.groups}
        return document


def stats(source: Path, *, labels: str | None = None, by: str = "split", corpus: str | None = None,
          options: Mapping[str, str] | None = None, protocol: str | None = None) -> Stats:
    """Count a raw corpus or a store; no media is opened.

    `labels` names a label scheme or a TOML file, `by` adds groups: "speaker", "dialogue" or a column of the
    annotation. `protocol` splits a corpus that has no official split ("none": leave it unsplit).
    """
    if is_store(source):
        if options:
            raise UsageError("IN is a store, and cut already", where=f"--{next(iter(options))}",
                             remedy="give this option to `emoprep segment`")
        name, schemes, columns, read_rows, notes = _store_rows(source)
        if corpus is not None and corpus != name:
            raise UsageError("the store is of another corpus", where="--corpus", expected=name, got=corpus)
    else:
        name, schemes, columns, read_rows, notes = _corpus_rows(source, corpus, options)
    known = [*GROUPINGS, *(column for column, kind in columns.items() if kind in ("string", "int32"))]
    if by not in known:
        raise UsageError("not known", where="--by", expected=" or ".join(known), got=by)
    scheme = choose_scheme(labels, schemes, columns)
    rows, annotations = read_rows(scheme, by)
    if labels is not None:
        notes = [*notes, *scheme.check_values(annotations)]
    splits, used = assign_splits([row.split for row in rows], [row.dialogue for row in rows], corpus=name,
                                 protocol=protocol)
    if used is not None:
        rows = [replace(row, split=split) for row, split in zip(rows, splits, strict=True)]
        notes = [*notes, *protocol_notes(name, used, splits)]
    unsplit = "none" if any(splits) else "all"
    groups = {} if by == "split" else _grouped(rows, "by")
    return Stats(name, scheme, {split or unsplit: _group(members, scheme)
                                for split, members in _grouped(rows, "split").items()},
                 by, None if by == "split" else {str(key): _group(members, scheme) for key, members in groups.items()},
                 tuple(notes), used)


@dataclass(frozen=True, slots=True)
class _Row:
    split: str | None
    dialogue: str
    speaker: str
    seconds: float | None
    label: int | list[int]
    weight: float
    by: str | int | None


def _corpus_rows(source, corpus, options):
    module, read = open_corpus(source, corpus, options)

    def rows(scheme, by):
        annotations = [utterance.annotation for utterance in read.utterances]
        return ([_Row(u.split, u.dialogue, u.speaker, u.seconds, label, 1.0,
                      getattr(u, by) if by in GROUPINGS else u.annotation[by])
                 for u, label in zip(read.utterances, scheme.encode(annotations), strict=True)], annotations)
    return module.NAME, {scheme.name: scheme for scheme in read.schemes}, read.annotation, rows, read.notes


def _store_rows(source):
    store = open_store(source)
    manifest = store.manifest

    def rows(scheme, by):
        names = list(dict.fromkeys(["split", "dialogue", "speaker", "start", "end", "loss_mask", by, *scheme.reads]))
        columns = {name: column.to_pylist() for name, column in
                   zip(names, store.index(names).select(names).itercolumns(), strict=True)}
        annotations = [dict(zip(scheme.reads, values, strict=True))
                       for values in zip(*(columns[name] for name in scheme.reads), strict=True)]
        return ([_Row(split, dialogue, speaker, None if start is None else end - start, label, weight, group)
                 for split, dialogue, speaker, start, end, weight, group, label in
                 zip(columns["split"], columns["dialogue"], columns["speaker"], columns["start"], columns["end"],
                     columns["loss_mask"], columns[by], scheme.encode(annotations), strict=True)], annotations)
    return manifest.corpus, manifest.schemes, manifest.annotation, rows, []


def _grouped(rows: Iterable[_Row], by: str) -> dict[Any, list[_Row]]:
    """Return the rows by split (in the order of splits), or by another field, the largest group first."""
    groups: dict[Any, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by)].append(row)
    if by == "split":
        # A protocol gives the dialogues of a session several splits, so their rows come mixed.
        order = {"train": 0, "dev": 1, "test": 2}
        return dict(sorted(groups.items(), key=lambda item: order.get(item[0], 3)))
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), str(item[0]))))


def _group(rows: Sequence[_Row], scheme: LabelScheme) -> dict[str, Any]:
    labels, multi = scheme.labels, scheme.task == MULTI
    totals, seconds = [0.0] * len(labels), defaultdict(list)
    for row in rows:
        if row.label == scheme.outside:
            continue
        for number in ([at for at, value in enumerate(row.label) if value] if multi else [row.label]):
            totals[number] += row.weight
            if row.seconds is not None:
                seconds[number].append(row.seconds)
    skew = measure({label: _whole(total) for label, total in zip(labels, totals, strict=True)})
    inside = [row for row in rows if row.label != scheme.outside]
    lengths = [row.seconds for row in rows if row.seconds is not None]
    group = {
        "utterances": len(rows), "counts": skew.counts, "shares": skew.shares,
        "imbalance_ratio": skew.imbalance_ratio, "evenness": skew.evenness,
        "effective_classes": skew.effective_classes, "lacks": skew.lacks, "ratios": skew.ratios,
        "outside": len(rows) - len(inside),
        "masked": sum(row.weight == 0 for row in rows),
        "dialogues": len({row.dialogue for row in rows}), "speakers": len({row.speaker for row in rows}),
        "speaker_counts": dict(Counter(row.speaker for row in rows).most_common(10)),
        "seconds": _durations(lengths),
        "seconds_by_class": {label: _durations(seconds[number]) for number, label in enumerate(labels)},
    }
    if multi:
        group |= _label_measures(measure_labels(((row.label, row.weight) for row in inside), labels),
                                 skew.counts, sum(row.weight for row in inside))
    return group


def _label_measures(skew: LabelSkew, counts: Mapping[str, float], total: float) -> dict[str, Any]:
    """Return what a multi-label group has beside the others; shares are then those of the utterances."""
    return {
        "shares": {label: count / total if total else 0.0 for label, count in counts.items()},
        "none": _whole(skew.none), "irlbl": skew.irlbl, "mean_ir": skew.mean_ir, "cvir": skew.cvir,
        "cardinality": skew.cardinality, "density": skew.density,
        "label_sets": [{"labels": list(names), "utterances": _whole(number)} for names, number in skew.label_sets],
        "co_occurrence": {left: {right: _whole(number) for right, number in row.items()}
                          for left, row in skew.together.items()},
    }


def _whole(number: float) -> int | float:
    """Whole numbers stay whole: only fractional loss masks give fractional counts."""
    return int(number) if float(number).is_integer() else number


def _durations(lengths: Sequence[float]) -> dict[str, float | None]:
    if not lengths:
        return {"total": 0.0, "mean": None, "median": None, "shortest": None, "longest": None}
    return {"total": round(sum(lengths), 3), "mean": sum(lengths) / len(lengths), "median": median(lengths),
            "shortest": min(lengths), "longest": max(lengths)}
