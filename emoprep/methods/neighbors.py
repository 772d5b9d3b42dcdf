"""Which utterances of a class are alike: one neighbour space over all modalities, and exact nearest rows.

A modality counts the same whatever its dimension and scale: each feature is z-scored with the mean and
deviation of the train rows that have the modality and clipped to ±10, and each modality is divided by the
square root of its number of features. (At CBERL's 100, 512 and 100 dimensions with unequal raw scales, the
squared distance would come to 100 % from one modality; so it is a third each.) Sequences enter as the mean
and deviation over their steps. Between rows that lack modalities the distance is taken over those they have
in common and scaled up by their share, as in the nan-Euclidean distance (Dixon 1979).

The space is never held for all rows: it is computed for the rows of one class at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError

__all__ = ["NeighborSpace", "class_neighbors", "nearest_rows", "neighbor_space", "pooled_steps",
           "require_finite"]

CLIP = 10.0
SMALLEST_DEVIATION = 1e-8

# Bounds on what is held at once: two pieces of 8 MB in float64, and 16 MB of distances.
_FLOAT64_VALUES = 1_000_000
_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class _Block:
    """One modality of the space: values float32 [N, d], and its mean and factor, float32 [d]."""

    values: np.ndarray
    present: np.ndarray
    mean: np.ndarray
    factor: np.ndarray
    limit: np.float32

    def scaled(self, index: np.ndarray) -> np.ndarray:
        """Return float32 [n, d] for these rows, zeros where the modality is absent."""
        z = self.values[index]
        with np.errstate(over="ignore"):  # an overflow is an outlier, and is clipped
            z -= self.mean
            z *= self.factor
        np.clip(z, -self.limit, self.limit, out=z)
        z[~self.present[index]] = 0
        return z


@dataclass(frozen=True)
class NeighborSpace:
    """The fitted space of D dimensions; modality m spans columns `edges[m]` to `edges[m + 1]`."""

    blocks: tuple[_Block, ...]
    edges: tuple[int, ...]

    def rows(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates float32 [n, D] of rows, and which modalities they have, bool [n, M]."""
        present = np.stack([block.present[index] for block in self.blocks], axis=1)
        if len(self.blocks) == 1:
            return self.blocks[0].scaled(index), present
        z = np.empty((len(index), self.edges[-1]), dtype=np.float32)
        for block, (low, high) in zip(self.blocks, pairwise(self.edges), strict=True):
            z[:, low:high] = block.scaled(index)
        return z, present


def neighbor_space(features: Mapping[str, Modality], keys: Sequence[str] = ()) -> NeighborSpace:
    """Fit the neighbour space on the train rows; `keys` name a row that holds a value that is not finite.

    Raises EmoprepError for such a value, and where there is no modality.

    >>> text = Modality(np.array([[0, 5], [2, 5], [0, 5], [2, 5]], np.float32), np.ones(4, bool))
    >>> z, present = neighbor_space({"text": text}).rows(np.array([0, 1]))
    >>> z.tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    if not features:
        raise EmoprepError("there is no feature to find neighbours with", where="features",
                           remedy="run `emoprep features` first")
    blocks = tuple(_fit(name, modality, keys) for name, modality in features.items())
    edges = np.cumsum([0, *(block.values.shape[1] for block in blocks)]).tolist()
    return NeighborSpace(blocks, tuple(edges))


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


def class_neighbors(space: NeighborSpace, rows: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest other rows of each of `rows` among them, int64 [n, k], nearest first.

    Rows that repeat another one exactly count as one place: its first row stands for all of them, and a row
    is never a neighbour of itself or of its duplicates. −1 fills up where there are fewer than k.
    """
    z, present = space.rows(rows)
    first, place = _distinct_rows(z, present)
    if len(first) < len(rows):
        z, present = z[first], present[first]
    found = nearest_rows(z, k, present, space.edges)
    # Index −1 means none, and must not pick the last row.
    return np.where(found < 0, -1, rows[first][found])[place]


def nearest_rows(z: np.ndarray, k: int, present: np.ndarray | None = None,
                 edges: tuple[int, ...] = ()) -> np.ndarray:
    """Return the k nearest other rows of each row of z float32 [n, D], int64 [n, k], ties by lowest row.

    `present` bool [n, M] tells the modalities that a row has, which span the columns between `edges`; z is
    zero elsewhere. −1 stands where fewer than k other rows have a modality in common with the row.

    Distances come from blocks of a float32 matrix product. Where those cannot tell two rows apart, the rows
    that compete are compared again in float64: the result is exact and depends on neither blocks nor threads.

    >>> nearest_rows(np.array([[0], [1], [3], [1]], np.float32), 2).tolist()
    [[1, 3], [3, 0], [1, 3], [1, 0]]
    """
    if present is None or present.all():
        present, edges = np.ones((len(z), 1), dtype=bool), (0, z.shape[1])
    space = _Coordinates(z, present, edges)
    neighbors = np.full((len(z), k), -1, dtype=np.int64)
    if min(k, len(z) - 1) < 1:
        return neighbors
    norms = np.stack([np.einsum("ij,ij->i", z[:, low:high], z[:, low:high])
                      for low, high in pairwise(edges)], axis=1)
    step = max(1, _BLOCK_VALUES // len(z))
    for start in range(0, len(z), step):
        block = slice(start, min(start + step, len(z)))
        near = _ranked(space, _screened(space, norms, block), norms[block].sum(axis=1), start, k)
        neighbors[block, :near.shape[1]] = near
    return neighbors


@dataclass(frozen=True)
class _Coordinates:
    """The rows of one class: z float32 [n, D], present bool [n, M], edges [M + 1]."""

    z: np.ndarray
    present: np.ndarray
    edges: tuple[int, ...]

    def exact(self, row: int, others: np.ndarray) -> np.ndarray:
        """Return the squared distances float64 [m] of a row to others, ∞ without a common modality."""
        common = self.present[others] & self.present[row]
        squares = np.zeros(len(others))
        step = max(1, _FLOAT64_VALUES // self.z.shape[1])
        for start in range(0, len(others), step):
            some = slice(start, start + step)
            difference = np.subtract(self.z[others[some]], self.z[row], dtype=np.float64)
            difference *= difference
            for modality, (low, high) in enumerate(pairwise(self.edges)):
                part = difference[:, low:high].sum(axis=1)
                squares[some] += np.where(common[some, modality], part, 0)
        return self.over_common(squares, common.sum(axis=1))

    def over_common(self, squares: np.ndarray, common: np.ndarray) -> np.ndarray:
        """Scale sums over the common modalities to all of them, ∞ where there is none in common."""
        return np.where(common > 0, squares * (self.present.shape[1] / np.maximum(common, 1)), np.inf)

    def rounding(self, norms: np.ndarray, farthest: np.ndarray) -> np.ndarray:
        """Return how far the screened distances of rows may be off, float64 [b], up to `farthest` (squared).

        Eight deviations of the rounding of an inner product, √D·u·(|a|² + |b|²) (Higham & Mary 2019), plus
        that of the sums; |b| is at most |a| + √farthest. Few common modalities scale it up.
        """
        a = norms.astype(np.float64)
        b = (np.sqrt(a) + np.sqrt(farthest)) ** 2
        return (8 * np.sqrt(self.z.shape[1]) + 4) * 2.0 ** -24 * (a + b) * self.present.shape[1]


def _screened(space: _Coordinates, norms: np.ndarray, block: slice) -> np.ndarray:
    """Return squared distances float32 [b, n] of the rows of a block to all rows, ∞ to themselves."""
    distances = space.z[block] @ space.z.T
    distances *= -2
    if space.present.shape[1] == 1:
        distances += norms[block]
        distances += norms[:, 0]
    else:
        # |a|² and |b|² each over the modalities that the other row has too; a·b has zeros in the others.
        there = space.present.astype(np.float32)
        distances += norms[block] @ there.T
        distances += there[block] @ norms.T
        distances = space.over_common(distances, there[block] @ there.T)
    np.fill_diagonal(distances[:, block], np.inf)
    return distances


def _ranked(space: _Coordinates, distances: np.ndarray, norms: np.ndarray, start: int, k: int) -> np.ndarray:
    """Return the k nearest rows int64 [b, ≤ k] of rows start … start + b, from screened distances [b, n]."""
    # One more than k, to see whether the last place is contested.
    wide = min(k + 1, distances.shape[1] - 1)
    found = np.argpartition(distances, wide - 1, axis=1)[:, :wide]
    near = np.take_along_axis(distances, found, axis=1)
    order = np.argsort(near, axis=1)
    found, near = np.take_along_axis(found, order, axis=1), np.take_along_axis(near, order, axis=1)
    last = near[:, min(k, wide) - 1].astype(np.float64)
    slack = 2 * space.rounding(norms, np.maximum(last, 0))
    with np.errstate(invalid="ignore"):  # ∞ − ∞: neither is a neighbour
        unsure = (np.diff(near, axis=1) <= slack[:, None]).any(axis=1)
    for row in np.flatnonzero(unsure):
        rivals = np.flatnonzero((distances[row] <= last[row] + slack[row]) & np.isfinite(distances[row]))
        exact = space.exact(start + row, rivals)
        # A stable sort of rows in order: of equally near ones the lowest comes first.
        order = np.argsort(exact, kind="stable")[:wide]
        found[row, :len(order)], near[row, :len(order)] = rivals[order], exact[order]
    return np.where(np.isinf(near), -1, found)[:, :k]


def _distinct_rows(z: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each distinct one [u], and which of those each row is [n]."""
    seen: dict[bytes, int] = {}
    first, place = [], np.empty(len(z), dtype=np.int64)
    for row in range(len(z)):
        # Adding 0 turns −0.0, which equals 0.0 but has another bit, into 0.0.
        content = hashlib.blake2b(z[row] + np.float32(0), digest_size=16)
        content.update(present[row])
        digest = content.digest()
        if digest not in seen:
            seen[digest] = len(first)
            first.append(row)
        place[row] = seen[digest]
    return np.array(first, dtype=np.int64), place


def _fit(name: str, modality: Modality, keys: Sequence[str]) -> _Block:
    """Take mean and deviation over the rows that have the modality, block by block."""
    sequence = isinstance(modality.values, list)
    values = pooled_steps(modality.values) if sequence else np.asarray(modality.values, dtype=np.float32)
    present = np.asarray(modality.present, dtype=bool)
    mean, deviation = _moments(name, values, present, keys)
    varies = deviation >= SMALLEST_DEVIATION
    root = np.sqrt(max(1, varies.sum()))
    factor = np.divide(1 / root, deviation, out=np.zeros_like(deviation), where=varies)
    return _Block(values, present, mean.astype(np.float32), factor.astype(np.float32),
                  np.float32(CLIP / root))


def _moments(name: str, values: np.ndarray, present: np.ndarray,
             keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation float64 [d], merging blocks as Chan, Golub & LeVeque (1983) do."""
    rows = np.flatnonzero(present)
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


