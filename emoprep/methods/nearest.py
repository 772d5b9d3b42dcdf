"""Exact nearest rows by squared Euclidean distance, in blocks: neither coordinates nor distances are held for all.

Distances come from blocks of a float32 matrix product, and each row keeps the few nearest so far. Where the product
cannot tell two of those apart, they are compared again in float64: the result is exact, ties go to the lowest place,
and it depends on neither blocks nor threads.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from emoprep.methods.distances import Coordinates, Held, Sought, rounding

__all__ = ["Bars", "nearest"]

# Bounds on what is held at once: 48 MB of coordinates, and in each thread 8 MB each of places, of distances, and of
# differences in float64.
_HELD_VALUES = 12_000_000
_BLOCK_VALUES = 2_000_000
_FLOAT64_VALUES = 1_000_000
_MOST_QUERIES = 512
_MOST_THREADS = 8
_LITTLE_WORK = 100_000_000
# Places kept beyond the k that are sought. A tie of more than these makes the row seek once more, with more of them.
_SPARE = 8


@dataclass(frozen=True)
class Bars:
    """Who may not be whose neighbour: place `own[i]` of query i, and each place whose number is the query's.

    `own` is int64 [q] (−1: none). `queries` [q] and `places` [n] are numbers, None where there is no such rule.
    """

    own: np.ndarray
    queries: np.ndarray | None = None
    places: np.ndarray | None = None

    def of(self, some: np.ndarray) -> Bars:
        return Bars(self.own[some], None if self.queries is None else self.queries[some], self.places)

    def turned(self, order: np.ndarray, turn: np.ndarray) -> Bars:
        """Return the bars of queries and places in another order."""
        own = np.where(self.own < 0, -1, np.argsort(turn)[self.own])[order]
        return Bars(own) if self.queries is None else Bars(own, self.queries[order], self.places[turn])

    def mirrored(self, n: int) -> np.ndarray:
        """Return which queries alone stand for one of the n places and have its bars, bool [q]."""
        alone = (self.own >= 0) & (np.bincount(self.own[self.own >= 0], minlength=n)[self.own] == 1)
        return alone if self.queries is None else alone & (self.queries == self.places[self.own])

    def close(self, distances: np.ndarray, some: slice, begin: int) -> None:
        """Set what is barred to ∞ in distances [len(some), b] to the places begin … begin + b."""
        own = self.own[some] - begin
        row = np.flatnonzero((own >= 0) & (own < distances.shape[1]))
        distances[row, own[row]] = np.inf
        if self.queries is not None:
            numbers = self.places[begin:begin + distances.shape[1]]
            np.putmask(distances, self.queries[some][:, None] == numbers, np.inf)


def nearest(space: Coordinates, queries: np.ndarray, places: np.ndarray, k: int, bars: Bars, *,
            ordered: bool = True) -> np.ndarray:
    """Return the k nearest of `places` [n] for each of `queries` [q], both rows of `space`, nearest first.

    What comes back are positions in `places`, int64 [q, k]; −1 fills up where there are fewer that share a modality.
    Unless `ordered`, they are in no order that means anything, which takes fewer comparisons in float64.

    >>> line = Held(np.array([[0], [1], [3], [1]], np.float32), np.ones((4, 1), bool), (0, 1), (1.0,))
    >>> every = np.arange(4)
    >>> nearest(line, every, every, 2, Bars(every)).tolist()
    [[1, 3], [3, 0], [1, 3], [1, 0]]
    """
    found = np.full((len(queries), k), -1, dtype=np.int64)
    left, wide = np.arange(len(queries) if len(places) else 0), min(k + _SPARE, len(places))
    with _each(len(queries) * len(places) * space.edges[-1]) as each:
        while k > 0 and len(left):
            search = _Search.of(space, queries[left], places, bars.of(left), wide)
            each(search.screen, search.blocks())
            ranked, certain = search.settle(min(k, wide), ordered, each)
            found[left[certain], :ranked.shape[1]] = ranked[certain]
            left, wide = left[~certain], min(4 * wide, len(places))
    return found


@contextmanager
def _each(work: int) -> Iterator[Callable[[Callable[[Any], None], Iterable[Any]], None]]:
    """Yield what calls a function with each of some values, in threads where the work (multiplications) is worth it."""
    if work < _LITTLE_WORK:
        yield lambda function, values: [function(value) for value in values]
        return
    # A product in one thread each: several in one product wait for each other at every step of it.
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(_threads()) as pool:
        yield lambda function, values: list(pool.map(function, values))


@functools.cache
def _libraries() -> Any:
    """Return threadpoolctl's list of the libraries loaded; to make it takes about a millisecond."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _threads() -> int:
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@dataclass(frozen=True)
class _Search:
    """The nearest so far of each query: distances `near` float32 [q, w] in order, and `found`, positions of places.

    Queries and places are turned around such that query i is place i for the first `mirrored` ones: a distance
    between two of those is computed once for both. `turn` [n] are the positions that the places had.
    """

    space: Coordinates
    queries: np.ndarray
    places: np.ndarray
    bars: Bars
    mirrored: int
    turn: np.ndarray
    order: np.ndarray
    near: np.ndarray
    found: np.ndarray
    norms: np.ndarray
    lock: Any

    @classmethod
    def of(cls, space: Coordinates, queries: np.ndarray, places: np.ndarray, bars: Bars, wide: int) -> _Search:
        mirrored = bars.mirrored(len(places))
        order = np.concatenate([np.flatnonzero(mirrored), np.flatnonzero(~mirrored)])
        count, own = np.count_nonzero(mirrored), bars.own[mirrored]
        turn = np.concatenate([own, np.delete(np.arange(len(places)), own)])
        if len(places) * space.edges[-1] <= _HELD_VALUES:
            space, queries, places = _held(space, queries, places)
        return cls(space, queries[order], places[turn], bars.turned(order, turn), count, turn, order,
                   np.full((len(queries), wide), np.inf, dtype=np.float32),
                   np.full((len(queries), wide), -1, dtype=np.int64), np.zeros(len(queries)), Lock())

    def blocks(self) -> list[slice]:
        """Return pieces of the queries, mirrored ones and others apart."""
        step = max(1, min(_MOST_QUERIES, _HELD_VALUES // (_threads() * max(1, self.space.edges[-1])),
                          -(-len(self.queries) // _threads())))
        return [slice(start, min(start + step, high)) for low, high in
                ((0, self.mirrored), (self.mirrored, len(self.queries))) for start in range(low, high, step)]

    def screen(self, block: slice) -> None:
        """Compare some queries with all places, or with those that no earlier block has compared them with."""
        sought = Sought.of(self.space, self.queries[block])
        self.norms[block] = sought.norms.sum(axis=1)
        mirrored = block.start < self.mirrored
        step = max(self.near.shape[1], _BLOCK_VALUES // max(len(sought.z), sought.z.shape[1]))
        for begin in range(block.start if mirrored else 0, len(self.places), step):
            distances = sought.distances(self.places[begin:begin + step])
            self.bars.close(distances, block, begin)
            self.keep(block, distances, begin)
            low, high = max(begin, block.stop), min(begin + step, self.mirrored)
            if mirrored and low < high:
                self.keep(slice(low, high), distances[:, low - begin:high - begin], block.start, across=True)

    def keep(self, rows: slice, distances: np.ndarray, begin: int, *, across: bool = False) -> None:
        """Take into the lists of some queries what is nearer than their last entry.

        `distances` are [len(rows), b] to the places from `begin` on, or [b, len(rows)] where they go `across`.
        """
        wide = self.near.shape[1]
        # Another thread may change the lists meanwhile: then these are some more than need be.
        limit = self.near[rows, -1].copy()
        hits = distances < (limit if across else limit[:, None])
        total = np.count_nonzero(hits)
        if total > 4 * wide * len(limit):  # as in the first block, where all are nearer than nothing
            block = distances.T if across else distances
            best = np.argpartition(block, wide - 1, axis=1)[:, :wide]
            self.merge(np.arange(rows.start, rows.stop), np.take_along_axis(block, best, axis=1), best + begin)
        elif total:
            row, column = np.divmod(np.flatnonzero(hits), hits.shape[1])
            found = distances[row, column]
            if across:
                order = np.argsort(column, kind="stable")
                row, column, found = column[order], row[order], found[order]
            few, line, count = np.unique(row, return_inverse=True, return_counts=True)
            place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
            nearer = np.full((len(few), count.max()), np.inf, dtype=np.float32)
            which = np.full(nearer.shape, -1, dtype=np.int64)
            nearer[line, place], which[line, place] = found, column + begin
            self.merge(rows.start + few, nearer, which)

    def merge(self, rows: np.ndarray, nearer: np.ndarray, which: np.ndarray) -> None:
        with self.lock:
            both, places = np.hstack([self.near[rows], nearer]), np.hstack([self.found[rows], which])
            order = np.argsort(both, axis=1)[:, :self.near.shape[1]]
            self.near[rows] = np.take_along_axis(both, order, axis=1)
            self.found[rows] = np.take_along_axis(places, order, axis=1)

    def settle(self, k: int, ordered: bool, each: Callable) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest positions int64 [q, k], and for which queries they are certain, bool [q]."""
        last = self.near[:, k - 1].astype(np.float64)
        slack = 2 * rounding(self.space, self.norms, np.where(np.isfinite(last), last, 0))
        limit = last + slack
        with np.errstate(invalid="ignore"):  # ∞ − ∞: neither is a neighbour
            gaps = np.diff(self.near[:, :k + 1] if ordered else self.near[:, k - 1:k + 1], axis=1)
            unsure = np.flatnonzero((gaps <= slack[:, None]).any(axis=1))
        found = np.where(np.isinf(self.near), -1, self.turn[self.found])

        def mend(some: np.ndarray) -> None:
            rivals = (self.near[some] <= limit[some, None]) & (found[some] >= 0)
            sought = Sought.of(self.space, self.queries[some])
            exact = sought.exact(self.places[np.where(rivals, self.found[some], 0)])
            exact[~rivals] = np.inf
            order = np.lexsort((found[some], exact), axis=1)[:, :k]
            found[some, :k] = np.take_along_axis(np.where(rivals, found[some], -1), order, axis=1)

        step = max(1, _FLOAT64_VALUES // (self.near.shape[1] * max(1, self.space.edges[-1])))
        each(mend, [unsure[start:start + step] for start in range(0, len(unsure), step)])
        # Whatever may be as near as the last one is among the candidates, unless even the farthest of them may.
        certain = (self.near[:, -1] > limit) | np.isinf(self.near[:, -1]) | (self.near.shape[1] == len(self.places))
        certain[np.setdiff1d(np.arange(len(certain)), unsure)] = True
        back = np.argsort(self.order)
        return found[back, :k], certain[back]


def _held(space: Coordinates, queries: np.ndarray, places: np.ndarray) -> tuple[Held, np.ndarray, np.ndarray]:
    """Return the coordinates of the rows that matter, held, and the queries and places as rows of these."""
    rows, at = np.unique(np.concatenate([queries, places]), return_inverse=True)
    return Held(*space.rows(rows), space.edges, space.weights), at[:len(queries)], at[len(queries):]
