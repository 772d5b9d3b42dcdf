"""Medians of train that are never in memory all at once: the digits of each median are found one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

__all__ = ["streamed_medians"]

_DIGITS = (11, 11, 10)
"""Bits of a float32 that each pass tells; 2,048 counters a dimension."""


def streamed_medians(rows: Callable[[], Iterable[Mapping[str, np.ndarray]]], dims: Mapping[str, int]
                     ) -> dict[str, np.ndarray]:
    """Return the median of the finite values of each dimension, float32 [d] by modality; 0 where there is none.

    `rows()` gives the features of each row by modality, [d] or [L, d] (each step counts), and is gone through three
    times. The result is that of `nonfinite.train_medians`.

    >>> rows = [{"a": np.array([[1, np.nan], [3, -np.inf]], np.float32)}, {"a": np.array([[4, np.nan]], np.float32)}]
    >>> streamed_medians(lambda: rows, {"a": 2})["a"].tolist()
    [3.0, 0.0]
    """
    found = {name: _Middle(dim) for name, dim in dims.items()}
    for bits in _DIGITS:
        for middle in found.values():
            middle.begin(bits)
        for row in rows():
            for name, values in row.items():
                found[name].count(np.atleast_2d(values))
        for middle in found.values():
            middle.end()
    return {name: middle.told() for name, middle in found.items()}


class _Middle:
    """The two middle values of each dimension (of an odd number they are one), as far as their bits are known.

    A float32 is compared as the unsigned number that its bits make once they are put in order: negative numbers
    are turned around, positive ones come after them.
    """

    def __init__(self, dim: int):
        self.known, self.left = np.zeros((2, dim), np.uint64), 32
        self.rank: np.ndarray | None = None

    def begin(self, bits: int) -> None:
        self.bits, self.left = bits, self.left - bits
        self.counts = np.zeros((2, self.known.shape[1], 1 << bits), np.int64)

    def count(self, values: np.ndarray) -> None:
        with np.errstate(over="ignore"):
            raw = np.ascontiguousarray(values, np.float32).view(np.uint32)
        ordered = np.where(raw >> 31, ~raw, raw | 0x80000000).astype(np.uint64)
        digits, above = ordered >> np.uint64(self.left), ordered >> np.uint64(self.left + self.bits)
        digits &= np.uint64((1 << self.bits) - 1)
        finite = np.isfinite(values)
        for which in (0, 1):
            step, dimension = np.nonzero(finite & (above == self.known[which]))
            np.add.at(self.counts[which], (dimension, digits[step, dimension]), 1)

    def end(self) -> None:
        if self.rank is None:
            number = self.counts[0].sum(axis=1)
            self.rank = np.stack([np.maximum(number - 1, 0) // 2, number // 2])
            self.any = number > 0
        up_to = self.counts.cumsum(axis=2)
        digit = (up_to <= self.rank[..., None]).sum(axis=2) * self.any
        before = np.take_along_axis(up_to, np.maximum(digit - 1, 0)[..., None], axis=2)[..., 0]
        self.rank -= np.where(digit > 0, before, 0)
        self.known = (self.known << np.uint64(self.bits)) | digit.astype(np.uint64)

    def told(self) -> np.ndarray:
        ordered = self.known.astype(np.uint32)
        values = np.where(ordered >> 31, ordered & 0x7FFFFFFF, ~ordered).astype(np.uint32).view(np.float32)
        return np.where(self.any, values.astype(np.float64).mean(axis=0), 0).astype(np.float32)
