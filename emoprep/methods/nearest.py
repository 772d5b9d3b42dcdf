"""Exact nearest rows by squared Euclidean distance, in blocks: neither coordinates nor distances are held for all.

Distances come from blocks of a float32 matrix product, and each row keeps the few nearest so far. Where the product
cannot tell two of those apart, they are compared again in float64: the result is exact, ties go to the lowest place,
and it depends on neither blocks nor threads. Between rows that lack modalities the distance is taken over those they
have in common and scaled up by their share, as in the nan-Euclidean distance (Dixon 1979).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Any, Protocol

import numpy as np

__all__ = ["Bars", "Coordinates", "Held", "nearest"]

# Bounds on what is held at once: 48 MB of coordinates, and in each thread 8 MB each of places, of distances, and of
# differences in float64.
_HELD_VALUES = 12_000_000
_BLOCK_VALUES = 2_000_000
_FLOAT64_VALUES = 1_000_000
_MOST_QUERIES = 512
_MOST_THREADS = 8
# Places kept beyond the k that are sought. A tie of more than these makes the row seek once more, with more of them.
_SPARE = 8


class Coordinates(Protocol):
    """Rows of D dimensions; modality m spans columns `edges[m]` to `edges[m + 1]` and has the weight `weights[m]`."""

    edges: tuple[int, ...]
    weights: tuple[float, ...]

    def rows(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return z float32 [n, D], zero in modalities that a row lacks, and which it has, bool [n, M]."""
        ...


@dataclass(frozen=True)
class Held:
    """Coordinates that lie in memory."""

    z: np.ndarray
    present: np.ndarray
    edges: tuple[int, ...]
    weights: tuple[float, ...]

    def rows(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.z[index], self.present[index]


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
    from threadpoolctl import threadpool_limits

    found = np.full((len(queries), k), -1, dtype=np.int64)
    left, wide = np.arange(len(queries) if len(places) else 0), min(k + _SPARE, len(places))
    # A product in one thread each: several in one product wait for each other at every step of it.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_threads()) as pool:
        while k > 0 and len(left):
            search = _Search.of(space, queries[left], places, bars.of(left), wide)
            list(pool.map(search.screen, search.blocks()))
            ranked, certain = search.settle(min(k, wide), ordered, pool)
            found[left[certain], :ranked.shape[1]] = ranked[certain]
            left, wide = left[~certain], min(4 * wide, len(places))
    return found


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
        sought = _Sought.of(self.space, self.queries[block])
        self.norms[block] = sought.norms.sum(axis=1)
        mirrored = block.start < self.mirrored
        step = max(self.near.shape[1], _BLOCK_VALUES // max(len(sought.z), sought.z.shape[1]))
        for begin in range(block.start if mirrored else 0, len(self.places), step):
            distances = sought.distances(self.places[begin:begin + step])
            self.bars.close(distances, block, begin)
            self.keep(block, distances, begin)
            low, high = max(begin, block.stop), min(begin + step, self.mirrored)
            if mirrored and low < high:
                self.keep(slice(low, high), distances[:, low - begin:high - begin].T, block.start)

    def keep(self, rows: slice, distances: np.ndarray, begin: int) -> None:
        """Take into the lists of some queries what is nearer than their last entry, of places from `begin` on."""
        wide = self.near.shape[1]
        # Another thread may change the lists meanwhile: then these are some more than need be.
        hits = distances < self.near[rows, -1:]
        count = np.count_nonzero(hits, axis=1)
        many = np.flatnonzero(count > 4 * wide)
        if len(many):  # as in the first block, where all are nearer than nothing
            block = distances if len(many) == len(count) else distances[many]
            best = np.argpartition(block, wide - 1, axis=1)[:, :wide]
            self.merge(rows.start + many, np.take_along_axis(block, best, axis=1), best + begin)
            hits[many] = False
            count[many] = 0
        few = np.flatnonzero(count)
        if len(few):
            row, column = np.nonzero(hits)
            place = np.arange(len(row)) - np.repeat(np.cumsum(count[few]) - count[few], count[few])
            line = np.repeat(np.arange(len(few)), count[few])
            nearer = np.full((len(few), count.max()), np.inf, dtype=np.float32)
            which = np.full(nearer.shape, -1, dtype=np.int64)
            nearer[line, place], which[line, place] = distances[row, column], column + begin
            self.merge(rows.start + few, nearer, which)

    def merge(self, rows: np.ndarray, nearer: np.ndarray, which: np.ndarray) -> None:
        with self.lock:
            both, places = np.hstack([self.near[rows], nearer]), np.hstack([self.found[rows], which])
            order = np.argsort(both, axis=1)[:, :self.near.shape[1]]
            self.near[rows] = np.take_along_axis(both, order, axis=1)
            self.found[rows] = np.take_along_axis(places, order, axis=1)

    def settle(self, k: int, ordered: bool, pool: ThreadPoolExecutor) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest positions int64 [q, k], and for which queries they are certain, bool [q]."""
        last = self.near[:, k - 1].astype(np.float64)
        slack = 2 * self.rounding(np.where(np.isfinite(last), last, 0))
        limit = last + slack
        with np.errstate(invalid="ignore"):  # ∞ − ∞: neither is a neighbour
            gaps = np.diff(self.near[:, :k + 1] if ordered else self.near[:, k - 1:k + 1], axis=1)
            unsure = np.flatnonzero((gaps <= slack[:, None]).any(axis=1))
        found = np.where(np.isinf(self.near), -1, self.turn[self.found])

        def mend(some: np.ndarray) -> None:
            rivals = (self.near[some] <= limit[some, None]) & (found[some] >= 0)
            sought = _Sought.of(self.space, self.queries[some])
            exact = sought.exact(self.places[np.where(rivals, self.found[some], 0)])
            exact[~rivals] = np.inf
            order = np.lexsort((found[some], exact), axis=1)[:, :k]
            found[some, :k] = np.take_along_axis(np.where(rivals, found[some], -1), order, axis=1)

        step = max(1, _FLOAT64_VALUES // (self.near.shape[1] * max(1, self.space.edges[-1])))
        list(pool.map(mend, [unsure[start:start + step] for start in range(0, len(unsure), step)]))
        # Whatever may be as near as the last one is among the candidates, unless even the farthest of them may.
        certain = (self.near[:, -1] > limit) | np.isinf(self.near[:, -1]) | (self.near.shape[1] == len(self.places))
        certain[np.setdiff1d(np.arange(len(certain)), unsure)] = True
        back = np.argsort(self.order)
        return found[back, :k], certain[back]

    def rounding(self, farthest: np.ndarray) -> np.ndarray:
        """Return how far the screened distances of queries may be off, float64 [q], up to `farthest` (squared).

        Eight deviations of the rounding of an inner product, √D·u·(|a|² + |b|²) (Higham & Mary 2019), plus
        that of the sums; |b| is at most |a| + √farthest. Few common modalities scale it up.
        """
        a = self.norms
        b = (np.sqrt(a) + np.sqrt(np.maximum(farthest, 0))) ** 2
        weights = self.space.weights
        return (8 * np.sqrt(self.space.edges[-1]) + 4) * 2.0 ** -24 * (a + b) * (sum(weights) / min(weights))


def _held(space: Coordinates, queries: np.ndarray, places: np.ndarray) -> tuple[Held, np.ndarray, np.ndarray]:
    """Return the coordinates of the rows that matter, held, and the queries and places as rows of these."""
    rows, at = np.unique(np.concatenate([queries, places]), return_inverse=True)
    return Held(*space.rows(rows), space.edges, space.weights), at[:len(queries)], at[len(queries):]


@dataclass(frozen=True)
class _Sought:
    """Some queries: z float32 [q, D], present bool [q, M], and the squared norm in each modality, float32 [q, M]."""

    space: Coordinates
    z: np.ndarray
    present: np.ndarray
    norms: np.ndarray

    @classmethod
    def of(cls, space: Coordinates, rows: np.ndarray) -> _Sought:
        z, present = space.rows(rows)
        return cls(space, z, present, _norms(z, space.edges))

    def distances(self, rows: np.ndarray) -> np.ndarray:
        """Return squared distances float32 [q, b] to rows of the space, ∞ without a common modality."""
        z, present = self.space.rows(rows)
        norms = _norms(z, self.space.edges)
        z *= -2  # exact, and far less to pass over than the distances
        distances = self.z @ z.T
        if self.present.all() and present.all():
            distances += self.norms.sum(axis=1)[:, None]
            distances += norms.sum(axis=1)
            return distances
        # |a|² and |b|² each over the modalities that the other row has too; a·b has zeros in the others.
        mine, theirs = self.present.astype(np.float32), present.astype(np.float32)
        distances += self.norms @ theirs.T
        distances += mine @ norms.T
        common = mine @ (theirs * np.float32(self.space.weights)).T
        distances *= np.float32(sum(self.space.weights)) / np.where(common > 0, common, np.float32(1))
        distances[common == 0] = np.inf
        return distances

    def exact(self, rows: np.ndarray) -> np.ndarray:
        """Return squared distances float64 [q, w] of each query to its own rows [q, w] of the space."""
        z, present = self.space.rows(rows.ravel())
        common = present.reshape(*rows.shape, -1) & self.present[:, None]
        difference = np.subtract(z.reshape(*rows.shape, -1), self.z[:, None], dtype=np.float64)
        difference *= difference
        parts = np.stack([difference[..., low:high].sum(axis=-1) for low, high in pairwise(self.space.edges)], axis=-1)
        weights = np.asarray(self.space.weights)
        shared = (common * weights).sum(axis=-1)
        scale = np.divide(weights.sum(), shared, out=np.full(rows.shape, np.inf), where=shared > 0)
        return np.where(shared > 0, np.where(common, parts, 0).sum(axis=-1) * np.where(shared > 0, scale, 1), np.inf)


def _norms(z: np.ndarray, edges: tuple[int, ...]) -> np.ndarray:
    return np.stack([np.einsum("ij,ij->i", z[:, low:high], z[:, low:high]) for low, high in pairwise(edges)], axis=1)
