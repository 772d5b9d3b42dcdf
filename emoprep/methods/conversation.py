"""How emotions follow each other in conversations: transitions, persistence, shifts, and which dialogues have which.

Rows come as in the index, a dialogue's turns in time order; its rows need not be neighbours. `dialogue` and `speaker`
are columns of names or numbers [N]. `y` is int [N], the class of each row, −100 outside the scheme: such a row keeps
its turn, so a pair with it is left out, and no pair is made across it.

An emotion shift (Poria et al. 2019, MELD) is a change between two turns that a speaker takes one after the other in
a dialogue, whoever speaks between them: `count_shifts(y, *follow(dialogue, speaker))`. Between neighbouring turns of
whatever speaker it is `count_shifts(y, *follow(dialogue))`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoprep.labels import OUTSIDE

__all__ = ["count_dialogues", "count_dialogues_together", "count_label_transitions", "count_shifts",
           "count_transitions", "follow", "transition_shares"]


def follow(*columns: Sequence[object] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (earlier, later): the rows int64 [M] that follow each other among rows alike in all `columns`.

    >>> earlier, later = follow(["d1", "d1", "d1", "d2"], ["Ross", "Joey", "Ross", "Ross"])
    >>> earlier.tolist(), later.tolist()
    ([0], [2])
    """
    group = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        numbers = _numbered(column)
        group = group * (numbers.max(initial=0) + 1) + numbers
    order = np.argsort(group, kind="stable")
    alike = group[order[1:]] == group[order[:-1]]
    return order[:-1][alike], order[1:][alike]


def count_transitions(y: np.ndarray, earlier: np.ndarray, later: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 [K, K]: how often a row of class a is followed by one of class b.

    >>> count_transitions(np.array([0, 1, 1, -100, 0]), *follow([7, 7, 7, 7, 7]), 2).tolist()
    [[0, 1], [0, 1]]
    """
    before, after = _inside(y, earlier, later)
    return np.bincount(before * classes + after, minlength=classes * classes).reshape(classes, classes)


def count_label_transitions(y: np.ndarray, earlier: np.ndarray, later: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (int64 [K, K], how often a row with label a is followed by one with label b; int64 [K], by any).

    `y` is 0 or 1 [N, K], −100 outside. A row of several labels counts for each of them.

    >>> together, followed = count_label_transitions(np.array([[1, 0], [1, 1], [-100, -100], [0, 1]]), *follow([7] * 4))
    >>> together.tolist(), followed.tolist()
    ([[1, 1], [0, 0]], [1, 0])
    """
    inside = (y[earlier, 0] != OUTSIDE) & (y[later, 0] != OUTSIDE)
    # Products of float64 take BLAS; of whole numbers they are a plain loop. Counts stay exact up to 2^53.
    before, after = (y[rows[inside]].astype(np.float64) for rows in (earlier, later))
    return (before.T @ after).astype(np.int64), before.sum(axis=0).astype(np.int64)


def transition_shares(counts: np.ndarray) -> np.ndarray:
    """Return float64 [K, K], each row of `counts` divided by its sum; NaN for a class that nothing follows.

    The diagonal is each class's persistence.

    >>> transition_shares(np.array([[3, 1], [0, 2]])).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    sums = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)


def count_shifts(y: np.ndarray, earlier: np.ndarray, later: np.ndarray) -> tuple[int, int]:
    """Return (pairs whose classes differ, pairs).

    >>> count_shifts(np.array([0, 1, 1, -100]), *follow(["d"] * 4))
    (1, 2)
    """
    before, after = _inside(y, earlier, later)
    return int((before != after).sum()), len(before)


def count_dialogues(dialogue: Sequence[object] | np.ndarray, y: np.ndarray, classes: int) -> tuple[np.ndarray, int]:
    """Return (int64 [K], how many dialogues have each class; how many dialogues there are).

    `y` may also be int [N, K], with 1 for each label of a row.

    >>> counts, dialogues = count_dialogues(["d1", "d1", "d2"], np.array([0, 0, -100]), 2)
    >>> counts.tolist(), dialogues
    ([1, 0], 2)
    """
    numbers = _numbered(dialogue)
    return _having(numbers, y, classes).sum(axis=0), int(np.count_nonzero(np.bincount(numbers)))


def count_dialogues_together(dialogue: Sequence[object] | np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 [K, K]: how many dialogues have both of two classes; the diagonal is that of `count_dialogues`.

    >>> count_dialogues_together(["d1", "d1", "d2"], np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [1, 2]]
    """
    has = _having(_numbered(dialogue), y, classes).astype(np.float64)
    return (has.T @ has).astype(np.int64)


def _having(numbers: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Tell which dialogue has which class, bool [D, K]."""
    y = np.asarray(y)
    rows, labels = (y == 1).nonzero() if y.ndim == 2 else ((y != OUTSIDE).nonzero()[0], y[y != OUTSIDE])
    has = np.zeros((int(numbers.max(initial=-1)) + 1, classes), bool)
    has[numbers[rows], labels] = True
    return has


def _inside(y: np.ndarray, earlier: np.ndarray, later: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y = np.asarray(y).astype(np.int64)
    before, after = y[earlier], y[later]
    inside = (before != OUTSIDE) & (after != OUTSIDE)
    return before[inside], after[inside]


def _numbered(names: Sequence[object] | np.ndarray) -> np.ndarray:
    """Return int64 [N], a number from 0 for each name; a dictionary is quicker than sorting a million texts.

    Numbers that are hardly larger than there are rows stay as they are.
    """
    if isinstance(names, np.ndarray) and names.dtype.kind in "iu" and len(names) \
            and names.min() >= 0 and names.max() <= 4 * len(names):
        return names.astype(np.int64)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.fromiter(map(numbers.__getitem__, names), np.int64, len(names))
