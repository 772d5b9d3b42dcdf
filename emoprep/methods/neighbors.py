"""Which utterances of a class are alike: one neighbour space over all modalities, and exact nearest rows.

A modality counts the same whatever its dimension and scale: each feature is z-scored with the mean and
deviation of the train rows that have the modality and clipped to ±10, and each modality is divided by the
square root of its number of features. (At CBERL's 100, 512 and 100 dimensions with unequal raw scales, the
squared distance would come to 100 % from one modality; so it is a third each.) Sequences enter as the mean
and deviation over their steps. Between rows that lack modalities the distance is taken over those they have
in common and scaled up by their share, as in the nan-Euclidean distance (Dixon 1979).

The space is never held for all rows: it is computed for some of them at a time. Rows that are equal in all that
counts are one place, since an utterance is no neighbour of its own copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError
from emoprep.methods.nearest import Bars, nearest

__all__ = ["NeighborSpace", "Places", "any_neighbors", "class_neighbors", "moments", "neighbor_space",
           "places_of", "pooled_steps", "require_finite"]

CLIP = 10.0
SMALLEST_DEVIATION = 1e-8

# A bound on what is held at once: pieces of 8 MB in float64.
_FLOAT64_VALUES = 1_000_000
_SKETCHED = 16


@dataclass(frozen=True)
class _Block:
    """One modality of the space: values float32 [N, d], and its mean and factor, float32 [d]."""

    values: np.ndarray
    present: np.ndarray
    mean: np.ndarray
    factor: np.ndarray
    limit: np.float32

    def scaled(self, index: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        """Return float32 [n, d] for these rows (or some columns of them), zeros where the modality is absent."""
        z = self.values[index] if columns is None else self.values[index[:, None], columns]
        mean, factor = (part if columns is None else part[columns] for part in (self.mean, self.factor))
        with np.errstate(over="ignore"):  # an overflow is an outlier, and is clipped
            z -= mean
            z *= factor
        np.clip(z, -self.limit, self.limit, out=z)
        z[~self.present[index]] = 0
        return z


@dataclass(frozen=True)
class NeighborSpace:
    """The fitted space of D dimensions; modality m spans columns `edges[m]` to `edges[m + 1]`."""

    blocks: tuple[_Block, ...]
    edges: tuple[int, ...]
    weights: tuple[float, ...]

    def rows(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates float32 [n, D] of rows, and which modalities they have, bool [n, M]."""
        present = np.stack([block.present[index] for block in self.blocks], axis=1)
        if len(self.blocks) == 1:
            return self.blocks[0].scaled(index), present
        z = np.empty((len(index), self.edges[-1]), dtype=np.float32)
        for block, (low, high) in zip(self.blocks, pairwise(self.edges), strict=True):
            z[:, low:high] = block.scaled(index)
        return z, present


def neighbor_space(features: Mapping[str, Modality], keys: Sequence[str] = (),
                   weights: Mapping[str, float] | None = None) -> NeighborSpace:
    """Fit the neighbour space on the train rows; `keys` name a row that holds a value that is not finite.

    `weights` are those of each modality in the squared distance, 1 unless given; at 0 it is left out. Raises
    EmoprepError for such a value, and where there is no modality.

    >>> text = Modality(np.array([[0, 5], [2, 5], [0, 5], [2, 5]], np.float32), np.ones(4, bool))
    >>> z, present = neighbor_space({"text": text}).rows(np.array([0, 1]))
    >>> z.tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    if not features:
        raise EmoprepError("there is no feature to find neighbours with", where="features",
                           remedy="run `emoprep features` first")
    weigh = {name: float((weights or {}).get(name, 1)) for name in features}
    fitted = {name: _fit(name, modality, keys, weigh[name] or 1.0) for name, modality in features.items()}
    blocks = tuple(block for name, block in fitted.items() if weigh[name])
    edges = np.cumsum([0, *(block.values.shape[1] for block in blocks)]).tolist()
    return NeighborSpace(blocks, tuple(edges), tuple(weight for weight in weigh.values() if weight))


def require_finite(name: str, values: np.ndarray, rows: np.ndarray, keys: Sequence[str] = ()) -> None:
    """Raise EmoprepError if these rows of values [N, d] hold NaN or ±∞; it names the first such place."""
    bad = np.argwhere(~np.isfinite(values[rows]))
    if len(bad):
        row, column = rows[bad[0][0]], bad[0][1]
        raise EmoprepError(f"this {name} feature has a value that is not finite",
                           where=keys[row] if len(keys) else f"row {row}", expected="finite numbers",
                           got=f"{values[row, column]} in dimension {column}",
                           remedy="use --nonfinite impute-median, zero or drop")


def pooled_steps(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Return mean ‖ deviation over the steps of each sequence [L, d], float32 [N, 2d].

    >>> pooled_steps([np.array([[1.0], [3.0]])]).tolist()
    [[2.0, 1.0]]
    """
    rows = [np.asarray(sequence, dtype=np.float64) for sequence in sequences]
    return np.array([np.concatenate([row.mean(axis=0), row.std(axis=0)]) for row in rows], dtype=np.float32)


# ---------------------------------------------------------------------------------------- near places

@dataclass(frozen=True)
class Places:
    """Rows of the split int64 [n], ascending, the place of each, [n], and the first row of each place, [p]."""

    rows: np.ndarray
    place: np.ndarray
    first: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of some of the rows."""
        return self.place[np.searchsorted(self.rows, rows)]


def places_of(space: NeighborSpace, rows: np.ndarray) -> Places:
    """Find which of `rows` (ascending) are equal in all that counts; places come in the order of their first rows.

    >>> text = Modality(np.array([[0], [1], [0]], np.float32), np.ones(3, bool))
    >>> places_of(neighbor_space({"text": text}), np.arange(3)).place.tolist()
    [0, 1, 0]
    """
    _, group, count = np.unique(_sketches(space, rows), return_inverse=True, return_counts=True)
    doubtful = np.flatnonzero(count[group] > 1)
    seen: dict[bytes, int] = {}
    like = np.arange(len(rows))
    step = max(1, _FLOAT64_VALUES // max(1, space.edges[-1]))
    for start in range(0, len(doubtful), step):
        some = doubtful[start:start + step]
        z, present = space.rows(rows[some])
        z += np.float32(0)  # turns −0.0, which equals 0.0 but has another bit, into 0.0
        for at, number in enumerate(some.tolist()):
            content = hashlib.blake2b(z[at], digest_size=16)
            content.update(present[at])
            like[number] = seen.setdefault(content.digest(), number)
    first = np.flatnonzero(like == np.arange(len(rows)))
    return Places(rows, np.searchsorted(first, like), rows[first])


def _sketches(space: NeighborSpace, rows: np.ndarray) -> np.ndarray:
    """Return a number uint64 [n] for each row, the same for equal rows, from a few of its features.

    Most rows differ there already, and need not be looked at as a whole.
    """
    factors = np.random.default_rng(0).integers(1, 2 ** 63, (len(space.blocks), _SKETCHED + 1), dtype=np.uint64)
    sketch, step = np.zeros(len(rows), dtype=np.uint64), _FLOAT64_VALUES // _SKETCHED
    for block, factor in zip(space.blocks, factors, strict=True):
        varying = np.flatnonzero(block.factor)
        columns = varying[np.linspace(0, len(varying) - 1, min(_SKETCHED, len(varying))).astype(np.int64)]
        for start in range(0, len(rows), step):
            some = rows[start:start + step]
            bits = (block.scaled(some, columns) + np.float32(0)).view(np.uint32) * factor[:len(columns)]
            sketch[start:start + step] += bits.sum(axis=1, dtype=np.uint64) + block.present[some] * factor[-1]
    return sketch


def class_neighbors(space: NeighborSpace, rows: np.ndarray, k: int, queries: np.ndarray | None = None,
                    apart: np.ndarray | None = None) -> np.ndarray:
    """Return the k nearest of `rows` (ascending) for each of them, or for some, `queries`: int64 [q, k], nearest first.

    Rows that repeat another one exactly count as one place: its first row stands for all of them, and a row
    is never a neighbour of itself or of its duplicates. Nor is it one of rows with the same number in `apart`
    int64 [N], where given. −1 fills up where there are fewer than k.
    """
    places, queries = places_of(space, rows), rows if queries is None else queries
    bars, second = Bars(places.of(queries)), places.first
    if apart is not None:
        # A place whose rows have several numbers is barred to nobody: one of its rows will do.
        differs = apart[rows] != apart[places.first[places.place]]
        second = places.first.copy()
        second[places.place[differs][::-1]] = rows[differs][::-1]
        bars = Bars(bars.own, apart[queries], np.where(second == places.first, apart[places.first], -1))
    found = nearest(space, queries, places.first, k, bars)
    near = places.first[found]
    if apart is not None:
        near = np.where(apart[near] == apart[queries][:, None], second[found], near)
    # Index −1 means none, and must not pick the last place.
    return np.where(found < 0, -1, near)


def any_neighbors(space: NeighborSpace, places: Places, queries: np.ndarray, m: int) -> np.ndarray:
    """Return the m nearest other rows of each of `queries` among those of `places`, int64 [q, m], in ascending order.

    Here each copy of a row counts: those at the query's own place come before all others, and of rows at one place
    the lowest comes first. −1 fills up where fewer than m have a modality in common with the query.
    """
    own, size = places.of(queries), np.bincount(places.place, minlength=len(places.first))
    several = size.max(initial=1) > 1
    found = nearest(space, queries, places.first, m, Bars(own), ordered=several)
    near = np.where(found < 0, -1, places.first[found])
    order, start = np.argsort(places.place, kind="stable"), np.cumsum(size) - size
    many = (size[own] > 1) | ((size[found] > 1) & (found >= 0)).any(axis=1)
    for query in np.flatnonzero(many) if several else ():
        rows = [places.rows[order[start[place]:start[place] + size[place]]]
                for place in (own[query], *found[query]) if place >= 0]
        rows[0] = rows[0][rows[0] != queries[query]]
        nearest_first = np.concatenate(rows)[:m]
        near[query] = -1
        near[query, :len(nearest_first)] = nearest_first
    return np.sort(near, axis=1)


# --------------------------------------------------------------------------------------------- fitting

def _fit(name: str, modality: Modality, keys: Sequence[str], weight: float) -> _Block:
    """Take mean and deviation over the rows that have the modality, block by block."""
    sequence = isinstance(modality.values, list)
    values = pooled_steps(modality.values) if sequence else np.asarray(modality.values, dtype=np.float32)
    present = np.asarray(modality.present, dtype=bool)
    mean, deviation = moments(name, values, np.flatnonzero(present), keys)
    varies = deviation >= SMALLEST_DEVIATION
    root = np.sqrt(max(1, varies.sum()) / weight)
    factor = np.divide(1 / root, deviation, out=np.zeros_like(deviation), where=varies)
    return _Block(values, present, mean.astype(np.float32), factor.astype(np.float32),
                  np.float32(CLIP / root))


def moments(name: str, values: np.ndarray, rows: np.ndarray,
            keys: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation float64 [d] of `rows` (ascending) of values [N, d]; zeros for no row.

    Blocks are merged as Chan, Golub & LeVeque (1983) do. Raises EmoprepError for a value that is not finite.

    >>> mean, deviation = moments("audio", np.array([[1], [9], [3]], np.float32), np.array([0, 2]))
    >>> mean.tolist(), deviation.tolist()
    ([2.0], [1.0])
    """
    count, mean, squares = 0, np.zeros(values.shape[1]), np.zeros(values.shape[1])
    if not len(rows):
        return mean, squares
    # Measured from the first row, a constant feature has deviation 0 exactly, however large it is.
    origin = values[rows[0]].astype(np.float64)
    step = max(1, _FLOAT64_VALUES // max(1, values.shape[1]))
    for start in range(0, len(rows), step):
        some = rows[start:start + step]
        whole = some[-1] - some[0] + 1 == len(some)
        part = np.subtract(values[some[0]:some[-1] + 1] if whole else values[some], origin, dtype=np.float64)
        part_mean = part.mean(axis=0)
        if not np.isfinite(part_mean).all():
            require_finite(name, values, some, keys)
        part -= part_mean
        gap, total = part_mean - mean, count + len(some)
        mean += gap * (len(some) / total)
        squares += np.einsum("ij,ij->j", part, part) + gap ** 2 * (count * len(some) / total)
        count = total
    return mean + origin, np.sqrt(squares / count)


