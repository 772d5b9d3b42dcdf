"""Principal components fitted in one pass over the train descriptors, and the scaler of a feature column.

A descriptor is one utterance's array: [d] (a vector) or [L, d] (a sequence, each step a row). Train may be
larger than memory, so rows are read once, in order, and only mean and scatter are held. The bytes of a
result depend neither on the number of cores (BLAS is held to one thread, because it splits sums differently
over several) nor on which utterances are transformed together (each descriptor is transformed by itself).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from emoprep.errors import EmoprepError

__all__ = ["Projection", "Scaler", "Unprojected", "fit_projection", "keep_or_project", "one_blas_thread", "scaler"]

Descriptors = Callable[[], Iterable[np.ndarray]]

CHUNK_ROWS = 256
"""Rows centred and multiplied at once; fixed, because another grouping gives other last bits."""

RELATIVE_NOISE = 1e-6
"""A deviation below this share of the mean is float32 rounding (6e-8) grown by a few operations: constant."""

NEGLIGIBLE_VARIANCE = 1e-10
"""Components below this share of the largest variance tell of rounding, not of data."""


# --------------------------------------------------------------------------------------------- fitted

@dataclass(frozen=True, eq=False)
class Projection:
    """Principal components of z-scored columns; `transform` takes [d] to float32 [dim], [L, d] to [L, dim].

    `columns` are those of the d that are not constant, `mean` their float64 means, and `weights` float64
    [rank, len(columns)] the components over the columns' deviations. Output beyond `rank` is exactly 0.
    """

    dim: int
    notes: tuple[str, ...]
    columns: np.ndarray
    mean: np.ndarray
    weights: np.ndarray

    def transform(self, descriptor: np.ndarray) -> np.ndarray:
        """Project one descriptor; raise EmoprepError where it holds NaN or an infinity."""
        projected = np.zeros((*descriptor.shape[:-1], self.dim), np.float32)
        # One layout for all, since BLAS takes other routes, with other last bits, for other strides.
        centred = np.ascontiguousarray(_finite(descriptor)[..., self.columns], np.float64) - self.mean
        with one_blas_thread():
            projected[..., :len(self.weights)] = centred @ self.weights.T
        return projected


@dataclass(frozen=True)
class Unprojected:
    """A model's own dimension, kept: `transform` only makes float32 of a descriptor.

    >>> Unprojected(2).transform(np.array([1.0, 2.0]))
    array([1., 2.], dtype=float32)
    """

    dim: int
    notes: tuple[str, ...] = ()

    def transform(self, descriptor: np.ndarray) -> np.ndarray:
        """Return float32 [dim] or [L, dim]; raise EmoprepError where it holds NaN or an infinity."""
        return np.ascontiguousarray(_finite(descriptor), np.float32)


# -------------------------------------------------------------------------------------------- fitting

def fit_projection(descriptors: Descriptors, dim: int) -> Projection:
    """Fit principal components (Pearson 1901) to z-scored columns of the train descriptors, in one pass.

    Each vector, and each step of a sequence, is a row. Constant columns are left out. A component's sign is
    chosen so that its largest weight is positive. Where fewer than `dim` components can be told (at most
    rows − 1, at most the columns), the rest of the output is 0 and a note says so: the dimension asked for
    is kept, so that a trainer's input size does not hang on the size of its data.

    >>> line = [np.array([0.0, 1.0, 7.0]), np.array([2.0, 5.0, 7.0])]
    >>> fitted = fit_projection(lambda: line, dim=2)
    >>> [fitted.transform(row).tolist() for row in line]
    [[-1.4142135381698608, 0.0], [1.4142135381698608, 0.0]]
    >>> fitted.notes
    ('2 asked, 1 can be told from 2 train rows; the rest is 0',)
    """
    with one_blas_thread():
        moments = _Moments(cross=True)
        for descriptor in descriptors():
            moments.add(descriptor)
        count, mean, scatter = moments.told()
        deviation = np.sqrt(np.diagonal(scatter) / max(count, 1))
        columns = np.flatnonzero(deviation > RELATIVE_NOISE * np.abs(mean))
        mean, deviation = mean[columns], deviation[columns]
        correlation = scatter[np.ix_(columns, columns)] / max(count, 1) / np.outer(deviation, deviation)
        components = _components(correlation, min(dim, max(count - 1, 0)))
    rank = len(components)
    notes = () if rank == dim else (
        f"{dim} asked, {rank} can be told from {count} train rows; the rest is 0",)
    return Projection(dim, notes, columns, mean, components / deviation)


def keep_or_project(descriptors: Descriptors, dim: int | None) -> Projection | Unprojected:
    """Project to `dim`, or keep a model's own dimension where none is asked for.

    >>> keep_or_project(lambda: [np.zeros((4, 384))], None)
    Unprojected(dim=384, notes=())
    """
    if dim is not None:
        return fit_projection(descriptors, dim)
    first = next(iter(descriptors()), None)
    if first is None:
        raise EmoprepError("the model's dimension cannot be told: no train utterance has this modality",
                           remedy="leave the modality out, or ask for a dimension")
    return Unprojected(first.shape[-1])


class Scaler:
    """Mean and deviation per dimension over vectors [d] or the steps of [L, d], added one after another."""

    def __init__(self):
        self._moments = _Moments(cross=False)

    def add(self, array: np.ndarray) -> None:
        self._moments.add(array)

    def told(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation, float32 [d]; see `scaler`."""
        count, mean, squares = self._moments.told()
        deviation = np.sqrt(squares / max(count, 1))
        deviation[deviation <= RELATIVE_NOISE * np.abs(mean)] = 1
        return mean.astype(np.float32), deviation.astype(np.float32)


def scaler(arrays: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation per dimension, float32 [d], over vectors [d] or the steps of [L, d].

    The deviation is the population's (over n, not n − 1), and 1 where a dimension is constant, so that
    `(x - mean) / deviation` never divides by 0. Without any array both are empty.

    >>> mean, deviation = scaler([np.array([1.0, 5.0]), np.array([3.0, 5.0])])
    >>> mean.tolist(), deviation.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    found = Scaler()
    for array in arrays:
        found.add(array)
    return found.told()


def one_blas_thread() -> AbstractContextManager:
    """Return a context in which numpy's linear algebra uses one thread, so that sums have one order."""
    return _numpy_blas().limit(limits=1)


@functools.cache
def _numpy_blas():
    # Kept for the process: listing the loaded libraries takes 0.2 ms, setting their threads 0.006 ms.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


# -------------------------------------------------------------------------------------------- moments

class _Moments:
    """Count, mean [d] and scatter of rows that come one after another: [d, d] with `cross`, else its diagonal [d].

    Rows are gathered into chunks of at least CHUNK_ROWS (the last may have fewer), and these merged by Chan, Golub
    & LeVeque (1979), equation 2.1: unlike a plain sum of squares it loses nothing where the mean is large against
    the deviation, and a constant column comes out as exactly 0.
    """

    def __init__(self, *, cross: bool):
        self.cross, self.count, self.mean = cross, 0, np.zeros(0)
        self.scatter = np.zeros((0, 0) if cross else 0)
        self._gathered: list[np.ndarray] = []
        self._rows = 0

    def add(self, descriptor: np.ndarray) -> None:
        """Take one descriptor, [d] or [L, d]; raise EmoprepError where it holds NaN or an infinity."""
        self._gathered.append(np.atleast_2d(_finite(descriptor)))
        self._rows += len(self._gathered[-1])
        if self._rows >= CHUNK_ROWS:
            self._merge()

    def told(self) -> tuple[int, np.ndarray, np.ndarray]:
        if self._rows:
            self._merge()
        return self.count, self.mean, self.scatter

    def _merge(self) -> None:
        rows = np.concatenate(self._gathered).astype(np.float64)
        self._gathered, self._rows = [], 0
        rows_mean = rows.mean(axis=0)
        if not self.count:
            self.mean = np.zeros_like(rows_mean)
            self.scatter = np.zeros((len(rows_mean),) * (2 if self.cross else 1))
        centred, shift, share = rows - rows_mean, rows_mean - self.mean, len(rows) / (self.count + len(rows))
        if self.cross:
            self.scatter += centred.T @ centred + np.outer(shift, shift) * (self.count * share)
        else:
            self.scatter += np.square(centred).sum(axis=0) + np.square(shift) * (self.count * share)
        self.mean += shift * share
        self.count += len(rows)


def _components(correlation: np.ndarray, most: int) -> np.ndarray:
    """Return up to `most` eigenvectors [k, d], largest first, each with its largest weight positive."""
    values, vectors = np.linalg.eigh(correlation)
    told = np.count_nonzero(values > NEGLIGIBLE_VARIANCE * values.max(initial=0))
    components = vectors.T[::-1][:min(most, told)]
    if not components.size:
        return components
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    return components * np.sign(largest)


def _finite(descriptor: np.ndarray) -> np.ndarray:
    if not np.isfinite(descriptor).all():
        raise EmoprepError("a descriptor holds NaN or an infinity", expected="finite numbers",
                           got=f"an array of shape {list(descriptor.shape)}",
                           remedy="the model may not suit this input; try another")
    return descriptor
