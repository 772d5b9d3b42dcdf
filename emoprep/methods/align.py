"""Steps on a clock of their own → words, segments: which step belongs to which span of time, and their means.

The rules are those of the CMU-MultimodalSDK's `align` (`docs/sequences.md` states each of them). A step
belongs to a word if the two share more than 0.00001 s; the word's value is the plain mean of its steps.
"""

from __future__ import annotations

import numpy as np

__all__ = ["EPSILON", "in_time_order", "overlapping", "span_means", "steady_rate", "within"]

EPSILON = 1e-5
"""Seconds that two intervals must share, and that a word must last; the SDK's own number."""


def in_time_order(intervals: np.ndarray) -> np.ndarray:
    """Return the rows of `intervals` [N, 2] (seconds) that last, earliest start first.

    What is shorter than EPSILON, or ends before it begins, is left out.

    >>> in_time_order(np.array([[2.0, 3.0], [1.0, 1.0], [0.0, 1.0]])).tolist()
    [2, 0]
    """
    lasting = np.flatnonzero(intervals[:, 1] >= intervals[:, 0] + EPSILON)
    return lasting[np.argsort(intervals[lasting, 0], kind="stable")]


def overlapping(intervals: np.ndarray, start: float, end: float) -> np.ndarray:
    """Return which of `intervals` [N, 2] share more than EPSILON seconds with start…end, bool [N].

    >>> overlapping(np.array([[0.0, 1.0], [1.0, 2.0], [2.5, 3.0]]), 1.0, 2.6).tolist()
    [False, True, True]
    """
    return np.minimum(intervals[:, 1], end) - np.maximum(intervals[:, 0], start) > EPSILON


def within(middles: np.ndarray, start: float, end: float) -> slice:
    """Return the run of `middles` [N] (seconds, ascending) for which start ≤ middle < end.

    >>> within(np.array([0.5, 1.0, 1.5, 2.0]), 1.0, 2.0)
    slice(1, 3, None)
    """
    first, stop = np.searchsorted(middles, [start, end])
    return slice(int(first), int(max(first, stop)))


def span_means(spans: np.ndarray, intervals: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the steps in each span, float32 [W, d], and how many these are, int64 [W].

    `spans` [W, 2], `intervals` [N, 2] (seconds, in any order, overlapping or not), `values` float32 [N, d]. A step
    counts as a whole however little of it lies in the span. NaN and infinity are left out of a mean; where nothing
    else is there the mean is NaN. A span without any step gets zeros.

    >>> steps = np.array([[0.0, 0.5], [0.5, 1.0], [1.0, 1.5]])
    >>> means, count = span_means(np.array([[0.0, 0.9], [0.6, 1.2], [5.0, 6.0]]), steps,
    ...                           np.array([[2.0, np.nan], [4.0, 1.0], [6.0, -np.inf]], np.float32))
    >>> means.tolist(), count.tolist()
    ([[3.0, 1.0], [5.0, 1.0], [0.0, 0.0]], [2, 2, 0])
    """
    total, known = np.zeros((len(spans), values.shape[1])), np.zeros((len(spans), values.shape[1]), np.int64)
    count = np.zeros(len(spans), np.int64)
    for layer in _layers(intervals):
        first, stop = _runs(spans, intervals[layer])
        count += stop - first
        rows = values[layer]
        finite = np.isfinite(rows)
        if finite.all():
            known += (stop - first)[:, None]
        else:
            known += _run_sums(finite, first, stop, np.int64)
            rows[~finite] = 0
        total += _run_sums(rows, first, stop, np.float64)
    total[(known == 0) & (count > 0)[:, None]] = np.nan
    return (total / np.maximum(known, 1)).astype(np.float32), count


def _layers(intervals: np.ndarray):
    """Yield rows whose starts and ends both ascend, so that those in a span are one run.

    One layer is all there is unless intervals lie within one another.
    """
    left = in_time_order(intervals)
    while len(left):
        ends = intervals[left, 1]
        forward = ends >= np.maximum.accumulate(ends)
        yield left[forward]
        left = left[~forward]


def _runs(spans: np.ndarray, intervals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and one past the last of the intervals in each span, int64 [W] each."""
    first = np.searchsorted(intervals[:, 1], spans[:, 0] + EPSILON, side="right")
    stop = np.searchsorted(intervals[:, 0], spans[:, 1] - EPSILON, side="left")
    return first, np.maximum(first, stop)


def _run_sums(rows: np.ndarray, first: np.ndarray, stop: np.ndarray, dtype: type) -> np.ndarray:
    """Return the sum of rows first…stop of each run, [W, d].

    Each run is summed by itself, so that an absurd value spoils no other word (differences of running sums would).
    """
    sums, filled = np.zeros((len(first), rows.shape[1]), dtype), np.flatnonzero(stop > first)
    if len(filled):
        edges = np.stack([first[filled], stop[filled]], axis=1).reshape(-1)
        # reduceat takes no edge past the last row.
        rows = np.concatenate([rows, np.zeros((1, rows.shape[1]), rows.dtype)])
        sums[filled] = np.add.reduceat(rows, edges, axis=0, dtype=dtype)[::2]
    return sums


def steady_rate(intervals: np.ndarray) -> float | None:
    """Return how many steps a second there are, to two decimals; None if they are not evenly spaced.

    Evenly means that no start is further than half a step from where the average step puts it.

    >>> steady_rate(np.array([[0.0, 0.033], [0.033, 0.067], [0.067, 0.1]])), steady_rate(np.array([[0.0, 1.0]]))
    (29.85, None)
    """
    starts = np.sort(intervals[:, 0])
    with np.errstate(over="ignore"):
        step = (starts[-1] - starts[0]) / (len(starts) - 1) if len(starts) > 1 else 0.0
    if not EPSILON < step < 100:
        return None
    even = starts[0] + step * np.arange(len(starts))
    return round(float(1 / step), 2) if np.abs(starts - even).max() <= step / 2 else None
