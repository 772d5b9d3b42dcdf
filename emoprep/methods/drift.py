"""How far the classes of two sets of rows differ: between splits, or before and after balancing.

    JS  = ½ Σ p ln(p/m) + ½ Σ q ln(q/m),  m = ½ (p + q)     Lin 1991 (IEEE Transactions on Information Theory 37)
    χ²  of the table of both sets' counts (Pearson), with K − 1 degrees of freedom

JS is in nats, from 0 to ln 2; its root is a metric, the Jensen-Shannon distance (Endres and Schindelin 2003), which is
what scipy's `jensenshannon` gives. The p of χ² takes rows for independent. Utterances of a dialogue are not, so it is
smaller than it should be: JS tells how far, p only whether to look.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from emoprep.methods.association import associate

__all__ = ["Drift", "drift", "js_divergence", "label_drift"]


class Drift(NamedTuple):
    """How far two sets of rows differ; None where one of them is empty, χ² and p also where all have one class.

    `smallest_expected` below 5: p is rough.
    """

    js_divergence: float | None
    js_distance: float | None
    chi2: float | None
    df: int
    p: float | None
    smallest_expected: float | None


def js_divergence(left: np.ndarray, right: np.ndarray) -> float | None:
    """Return the Jensen-Shannon divergence of two columns of counts or shares [K], in nats; None where one is all 0.

    >>> js_divergence(np.array([5, 5]), np.array([1, 1])), round(js_divergence(np.array([1, 0]), np.array([0, 3])), 4)
    (0.0, 0.6931)
    """
    if not left.any() or not right.any():
        return None
    p, q = left / left.sum(), right / right.sum()
    middle = (p + q) / 2

    def half(shares: np.ndarray) -> float:
        there = shares > 0
        return float((shares[there] * np.log(shares[there] / middle[there])).sum()) / 2
    return max(0.0, half(p) + half(q))


def drift(left: np.ndarray, right: np.ndarray) -> Drift:
    """Return how far the class counts `right` [K] are from `left` [K].

    >>> found = drift(np.array([30, 10]), np.array([20, 20]))
    >>> round(found.js_divergence, 4), round(found.chi2, 4), found.df, round(found.p, 4)
    (0.0338, 5.3333, 1, 0.0209)
    """
    found, js = associate(np.vstack([left, right])), js_divergence(left, right)
    return Drift(js, None if js is None else math.sqrt(js), found.chi2, found.df, found.p, found.smallest_expected)


def label_drift(left: np.ndarray, right: np.ndarray, rows_left: float, rows_right: float) -> list[Drift]:
    """Return for several labels an utterance how far each differs: rows with it against rows without, [K] of both.

    >>> found = label_drift(np.array([30]), np.array([20]), 40, 40)
    >>> len(found), round(found[0].chi2, 4)
    (1, 5.3333)
    """
    return [drift(np.array([one, rows_left - one]), np.array([other, rows_right - other]))
            for one, other in zip(left, right, strict=True)]
