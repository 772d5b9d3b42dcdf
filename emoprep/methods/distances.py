"""Squared Euclidean distances between rows that may lack modalities: quickly in float32, or exactly in float64.

Between rows that lack modalities the distance is taken over those they have in common and scaled up by their share, as
in the nan-Euclidean distance (Dixon 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

__all__ = ["Coordinates", "Held", "Sought", "rounding"]


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
class Sought:
    """Some queries: z float32 [q, D], present bool [q, M], and the squared norm in each modality, float32 [q, M]."""

    space: Coordinates
    z: np.ndarray
    present: np.ndarray
    norms: np.ndarray

    @classmethod
    def of(cls, space: Coordinates, rows: np.ndarray) -> Sought:
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


def rounding(space: Coordinates, norms: np.ndarray, farthest: np.ndarray) -> np.ndarray:
    """Return how far float32 distances of rows with these squared norms may be off, float64 [q], up to `farthest`.

    Eight deviations of the rounding of an inner product, √D·u·(|a|² + |b|²) (Higham & Mary 2019), plus that of the
    sums; |b| is at most |a| + √farthest, which is squared as norms are. Few common modalities scale it up.
    """
    b = (np.sqrt(norms) + np.sqrt(np.maximum(farthest, 0))) ** 2
    return (8 * np.sqrt(space.edges[-1]) + 4) * 2.0 ** -24 * (norms + b) * (sum(space.weights) / min(space.weights))
