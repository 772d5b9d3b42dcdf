"""Several labels an utterance: which labels and label sets are rare, and which labels a made utterance gets.

Charte et al. 2015 (Neurocomputing 163 for the measures, ML-ROS and LP-ROS; Knowledge-Based Systems 89 for MLSMOTE; HAIS
for SCUMBLE). y is 0/1 [N, K], rows inside the label scheme only; a row without any label is a row of its own, never the
first class. Labels that no row has are nobody's concern: they have no IRLbl, and are not in MeanIR.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoprep.contracts import Problem
from emoprep.errors import UsageError
from emoprep.labels import OUTSIDE
from emoprep.methods.skew import measure

__all__ = ["RULES", "check_percent", "effect", "inside_rows", "label_ratios", "label_rows", "label_sets", "rare_labels",
           "rare_sets", "ruled_labels", "scumble"]

RULES = ("ranking", "union", "intersection")


def inside_rows(y: np.ndarray) -> np.ndarray:
    """Return the rows of a problem's y [N, K] that are inside the scheme and not masked, int64.

    >>> inside_rows(np.array([[1, 0], [-100, -100], [0, 0]])).tolist()
    [0, 2]
    """
    return np.flatnonzero(y[:, 0] != OUTSIDE)


# -------------------------------------------------------------------------------------------------- what is rare

def label_ratios(counts: np.ndarray) -> np.ndarray:
    """Return IRLbl = n_max / n of label counts [K], float64; NaN where n is 0.

    >>> label_ratios(np.array([6, 3, 0])).tolist()
    [1.0, 2.0, nan]
    """
    return counts.max() / np.where(counts > 0, counts, np.nan)


def rare_labels(counts: np.ndarray, mean: float | None = None) -> np.ndarray:
    """Tell which labels have an IRLbl above MeanIR, bool [K]; `mean` is another MeanIR than that of these counts.

    >>> rare_labels(np.array([6, 3, 2])).tolist()
    [False, False, True]
    """
    if not counts.any():
        return np.zeros(len(counts), bool)
    ratios = label_ratios(counts)
    return ratios > (np.nanmean(ratios) if mean is None else mean)


def label_sets(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the label sets that occur [S, K], and which of them each row has, int64 [N].

    >>> [part.tolist() for part in label_sets(np.array([[1, 0], [0, 0], [1, 0]]))]
    [[[0, 0], [1, 0]], [1, 0, 1]]
    """
    if y.shape[1] > 62:
        sets, number = np.unique(y, axis=0, return_inverse=True)
        return sets, number.ravel()
    # One whole number a row, in the order of the rows: a million sort thirty times as quickly.
    bits = y.astype(np.int64) @ (1 << np.arange(y.shape[1])[::-1])
    _, first, number = np.unique(bits, return_index=True, return_inverse=True)
    return y[first], number


def rare_sets(y: np.ndarray) -> tuple[list[tuple[tuple[int, ...], np.ndarray]], float]:
    """Return the label sets with fewer rows than the mean and their rows, the largest first; and that mean.

    >>> rare_sets(np.array([[1, 0], [0, 0], [1, 0], [1, 0]]))
    ([((0, 0), array([1]))], 2.0)
    """
    sets, number = label_sets(y)
    mean = len(y) / max(1, len(sets))
    bags = [(tuple(labels.tolist()), np.flatnonzero(number == at)) for at, labels in enumerate(sets)]
    rare = [bag for bag in bags if len(bag[1]) < mean]
    return sorted(rare, key=lambda bag: (-len(bag[1]), bag[0])), mean


def scumble(y: np.ndarray) -> np.ndarray:
    """Return SCUMBLE of each row, float64 [N]: how far frequent and rare labels stand together in it.

        1 − (Π IRLbl)^(1/n) / mean(IRLbl)     over the n labels that it has

    0 where there is at most one label. That of the data is the mean over all rows.

    >>> scumble(np.array([[1, 0], [1, 1], [1, 0], [0, 0]])).round(4).tolist()
    [0.0, 0.134, 0.0, 0.0]
    """
    y = np.asarray(y, dtype=np.float64)
    found, number = np.zeros(len(y)), y.sum(axis=1)
    several = number > 1
    ratios = np.nan_to_num(label_ratios(y.sum(axis=0)), nan=1.0)
    chosen, number = y[several], number[several]
    found[several] = 1 - np.exp(chosen @ np.log(ratios) / number) / (chosen @ ratios / number)
    return found


# -------------------------------------------------------------------------------------------- labels of what is made

def ruled_labels(y: np.ndarray, base: np.ndarray, near: np.ndarray, rule: str) -> np.ndarray:
    """Return the labels of an item made of row `base` [n] with neighbours `near` [n, k] (−1: none), bool [n, K].

    "ranking" gives a label that more than half of these rows have (Charte et al. 2015, MLSMOTE), "union" one that any
    has, "intersection" one that all have.

    >>> y = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]])
    >>> ruled_labels(y, np.array([1]), np.array([[0, 2]]), "ranking").tolist()
    [[True, False, True]]
    """
    there = near >= 0
    rows = 1 + there.sum(axis=1, keepdims=True)
    having = (y[base] == 1) + ((y[near] == 1) & there[..., None]).sum(axis=1)
    return {"ranking": 2 * having > rows, "union": having > 0, "intersection": having == rows}[rule]


def label_rows(y: np.ndarray, base: np.ndarray, near: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each of `labels` bool [n, K] a row that has it so, int64 [n, K]: the base, else the nearest that does.

    Each label is as one of these rows has it, which is so by every rule.

    >>> y = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]])
    >>> label_rows(y, np.array([1]), np.array([[2, 0]]), np.array([[True, False, True]])).tolist()
    [[2, 2, 1]]
    """
    rows = np.column_stack([base, near])
    alike = ((y[rows] == 1) == labels[:, None]) & (rows >= 0)[..., None]
    # The first row that agrees: the base stands first, then the neighbours, nearest first.
    return np.take_along_axis(rows, alike.argmax(axis=1), axis=1)


# ------------------------------------------------------------------------------------------------- what is told

def check_percent(percent: int, rows: int) -> int:
    """Return how many items `--percent` of the rows are, or raise UsageError.

    >>> check_percent(25, 23259)
    5814
    """
    if not isinstance(percent, int) or not 1 <= percent <= 10_000:
        raise UsageError("this share of made utterances is not possible", where="--percent",
                         expected="a whole number from 1 to 10000", got=str(percent), remedy="write --percent 25")
    return rows * percent // 100


def effect(problem: Problem, before: np.ndarray, after: np.ndarray, made: int) -> tuple[str, ...]:
    """Return what the label counts [K] before and after say, and which labels nobody has.

    >>> rows = Problem(("a", "b"), ("d", "d"), np.array([[1, 0], [1, 1]], np.int8), ("happy", "fear"), {})
    >>> effect(rows, np.array([2, 1]), np.array([2, 2]), 1)
    ('1 made: MeanIR 1.50 → 1.00',)
    """
    there = before > 0
    if not there.any():
        return ("no train utterance has a label, so none is rare and nothing is made",)
    first, last = (measure(dict(enumerate(counts[there].tolist()))).mean_ratio for counts in (before, after))
    absent: Sequence[str] = [label for label, known in zip(problem.labels, there, strict=True) if not known]
    return (f"{made:,} made: MeanIR {first:.2f} → {last:.2f}",
            *(f"{label} has no member in train and stays at 0" for label in absent))
