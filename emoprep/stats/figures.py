"""The figures of one group of rows, by the names that `--json` has; docs/stats.md says what each is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emoprep.labels import MULTI, OUTSIDE, LabelScheme
from emoprep.methods.association import associate, cross, keep_largest
from emoprep.methods.conversation import (
    count_dialogues,
    count_dialogues_together,
    count_label_transitions,
    count_shifts,
    count_transitions,
    follow,
    transition_shares,
)
from emoprep.methods.multilabel import label_sets, scumble
from emoprep.methods.skew import measure, measure_labels
from emoprep.stats.rows import Rows

__all__ = ["LARGEST_SPEAKERS", "conversations", "count", "durations", "speakers", "whole"]

TOLD_SPEAKERS = 10
# MELD has six who speak in every episode; their share and V are what its literature tells.
LARGEST_SPEAKERS = 6


def count(rows: Rows, scheme: LabelScheme, max_seconds: float | None = None) -> dict[str, Any]:
    """Return counts, skew, durations and how many dialogues and speakers there are."""
    labels, inside, multi = scheme.labels, rows.inside, scheme.task == MULTI
    y, weight = rows.y[inside], rows.weight[inside]
    totals = weight @ y if multi else np.bincount(y, weights=weight, minlength=len(labels))
    skew = vars(measure({label: whole(total) for label, total in zip(labels, totals.tolist(), strict=True)}))
    of_speaker = np.bincount(rows.speaker.codes, minlength=len(rows.speaker.names))
    largest = np.argsort(-of_speaker, kind="stable")[:TOLD_SPEAKERS].tolist()
    lengths = _by_class(rows.seconds[inside], y, labels)
    group = {
        "utterances": len(rows), **skew, "outside": int(len(rows) - inside.sum()),
        "masked": int((rows.weight == 0).sum()),
        "dialogues": int(np.count_nonzero(np.bincount(rows.dialogue.codes))),
        "speakers": int(np.count_nonzero(of_speaker)),
        "speaker_counts": {rows.speaker.names[code]: int(of_speaker[code]) for code in largest if of_speaker[code]},
        "seconds": durations(rows.seconds),
        "seconds_by_class": {label: durations(found) for label, found in lengths.items()},
    }
    if multi:
        group |= _of_labels(y, weight, skew["counts"], labels)
    if max_seconds is not None:
        group["cut"] = _cut(rows.seconds, max_seconds) | {
            "by_class": {label: _cut(found, max_seconds)["utterances"] for label, found in lengths.items()}}
    return group


def whole(number: float) -> int | float:
    """Whole numbers stay whole: only fractional loss masks give fractional counts.

    >>> whole(4710.0), whole(0.5)
    (4710, 0.5)
    """
    return int(number) if float(number).is_integer() else number


def _by_class(seconds: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
    return {label: seconds[y == number if y.ndim == 1 else y[:, number] == 1] for number, label in enumerate(labels)}


def durations(seconds: np.ndarray) -> dict[str, float | None]:
    """Return what there is to tell about lengths in seconds [N]; NaN is no length.

    >>> found = durations(np.array([1.0, 2.0, 6.0, np.nan]))
    >>> found["total"], found["mean"], found["median"], found["p95"], found["longest"]
    (9.0, 3.0, 2.0, 5.6, 6.0)
    """
    known = np.sort(seconds[~np.isnan(seconds)])
    if not len(known):
        return {"total": 0.0, **dict.fromkeys(
            ("mean", "p25", "median", "p75", "p95", "p99", "shortest", "longest"))}
    return {"total": round(float(known.sum()), 3), "mean": float(known.mean()), "p25": _quantile(known, 0.25),
            "median": _quantile(known, 0.5), "p75": _quantile(known, 0.75), "p95": _quantile(known, 0.95),
            "p99": _quantile(known, 0.99), "shortest": float(known[0]), "longest": float(known[-1])}


def _quantile(known: np.ndarray, share: float) -> float:
    """Return a quantile of sorted numbers, on the line between its neighbours (Hyndman and Fan's type 7, numpy's)."""
    place = share * (len(known) - 1)
    below = math.floor(place)
    low, high = known[below], known[min(below + 1, len(known) - 1)]
    return float(low + (high - low) * (place - below))


def _cut(seconds: np.ndarray, longest: float) -> dict[str, float | None]:
    """Return what a maximum length cuts of lengths in seconds [N]: how many, which share, how much of their time."""
    known = seconds[~np.isnan(seconds)]
    longer = known[known > longest]
    return {"max_seconds": longest, "utterances": len(longer), "of": len(known),
            "share": len(longer) / len(known) if len(known) else None,
            "seconds": round(float((longer - longest).sum()), 3)}


def _of_labels(y: np.ndarray, weight: np.ndarray, counts: Mapping[str, float], labels: Sequence[str]) -> dict[str, Any]:
    """Return what a multi-label group has beside the others; shares are then those of the utterances."""
    sets, number = label_sets(y)
    skew = measure_labels(zip(sets.tolist(), map(whole, np.bincount(number, weights=weight).tolist()), strict=True),
                          labels)
    total, unmasked = float(weight.sum()), y[weight > 0]
    return {
        "shares": {label: count / total if total else 0.0 for label, count in counts.items()},
        "none": whole(skew.none), "irlbl": skew.irlbl, "mean_ir": skew.mean_ir, "cvir": skew.cvir,
        "scumble": float(scumble(unmasked).mean()) if len(unmasked) else None,
        "cardinality": skew.cardinality, "density": skew.density,
        "label_sets": [{"labels": list(names), "utterances": whole(number)} for names, number in skew.label_sets],
        "co_occurrence": {left: {right: whole(number) for right, number in row.items()}
                          for left, row in skew.together.items()},
    }


# ------------------------------------------------------------------------------------ conversations and speakers

def conversations(rows: Rows, labels: Sequence[str]) -> dict[str, Any]:
    """Return how emotions follow each other; a row outside the scheme, or masked, keeps its turn and is not counted."""
    y, dialogue = rows.counted, rows.dialogue.codes
    own, neighbours = follow(dialogue, rows.speaker.codes), follow(dialogue)
    if y.ndim == 1:
        classes, counts = y, count_transitions(y, *neighbours, len(labels))
        followed, shares = counts.sum(axis=1), transition_shares(counts)
    else:
        inside, classes = y[:, 0] != OUTSIDE, np.full(len(y), OUTSIDE)
        classes[inside] = label_sets(y[inside])[1]
        counts, followed = count_label_transitions(y, *neighbours)
        shares = np.divide(counts, followed[:, None], out=np.full(counts.shape, np.nan), where=followed[:, None] > 0)
    having, dialogues = count_dialogues(dialogue, y, len(labels))
    together = count_dialogues_together(dialogue, y, len(labels))
    return {
        "dialogue_counts": _named(labels, having),
        "dialogue_frequency": _named(labels, having / max(dialogues, 1)),
        "dialogue_co_occurrence": {label: _named(labels, row) for label, row in zip(labels, together, strict=True)},
        "emotion_shift": {"own": _shift(*count_shifts(classes, *own)),
                          "neighbours": _shift(*count_shifts(classes, *neighbours))},
        "followed": _named(labels, followed),
        "transitions": {label: _named(labels, row) for label, row in zip(labels, counts, strict=True)},
        "transition_shares": {label: _named(labels, row) for label, row in zip(labels, shares, strict=True)},
        "persistence": _named(labels, shares.diagonal()),
    }


def _shift(shifts: int, pairs: int) -> dict[str, Any]:
    return {"shifts": shifts, "pairs": pairs, "share": shifts / pairs if pairs else None}


def _named(labels: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    """Return values [K] by class, NaN as None."""
    return {label: None if value != value else value for label, value in zip(labels, values.tolist(), strict=True)}


def speakers(rows: Rows, labels: Sequence[str]) -> dict[str, Any]:
    """Return who says what: the largest speakers' counts, and how far speaker and emotion go together."""
    codes, names = rows.speaker
    sizes = np.bincount(codes, minlength=len(names))
    y, unmasked = rows.counted, rows.inside & (rows.weight > 0)
    if y.ndim == 1:
        table = cross(codes[unmasked], y[unmasked], len(names), len(labels))
    else:
        table = np.column_stack([np.bincount(codes[y[:, number] == 1], minlength=len(names))
                                 for number in range(len(labels))])
    largest = np.argsort(-sizes, kind="stable")[:TOLD_SPEAKERS].tolist()
    six = {"speakers": min(LARGEST_SPEAKERS, int(np.count_nonzero(sizes))),
           "share": float(np.sort(sizes)[::-1][:LARGEST_SPEAKERS].sum() / len(rows))}
    found = {"speaker_emotions": {names[code]: _named(labels, table[code]) for code in largest if sizes[code]},
             "effective_speakers": _hill(sizes)}
    if y.ndim == 1:
        first = associate(keep_largest(table, LARGEST_SPEAKERS))
        return found | {"speaker_association": associate(table)._asdict(), "largest_speakers": six | {
            "cramers_v": first.cramers_v, "cramers_v_corrected": first.cramers_v_corrected}}
    said = np.bincount(codes[unmasked], minlength=len(names))
    return found | {"largest_speakers": six, "speaker_association_by_class": {
        label: associate(np.column_stack([table[:, number], said - table[:, number]]))._asdict()
        for number, label in enumerate(labels)}}


def _hill(sizes: np.ndarray) -> float:
    """Return e^H of counts: how many speakers of equal size would be as varied; as `measure` does, for any number."""
    shares = sizes[sizes > 0] / sizes.sum()
    return math.exp(-float((shares * np.log(shares)).sum()))
