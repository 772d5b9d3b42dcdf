"""What an imbalanced-learn sampler did, told row by row: who stays, and which parents a made row has.

imbalanced-learn gives vectors back and no parents (its issue 772). They are recovered while the sampler itself does
all the drawing, so that its output is what it would have been anyway:

    SMOTE and its family    interpolate in one method, `_generate_samples`, which a subclass made on the fly listens to;
                            the rows that it is given know where they come from, by a number beside them that enters
                            no distance
    ADASYN                  draws inside its own loop: what it drew is drawn once more from the same seed
    SMOTEENN, SMOTETomek    a SMOTE that is listened to, then what their cleaning says it kept
    all that choose rows    `sample_indices_`, else the rows themselves are found again

What was recovered is held against the sampler's output. A row whose parents do not make it is not passed on.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Resampled", "Unnamed", "recording", "resampled"]

_TOLERANCE = 1e-5
_CHUNK_VALUES = 1_000_000


class Unnamed(Exception):
    """A sampler made rows whose parents cannot be named; the text says which rows."""


@dataclass(frozen=True)
class Resampled:
    """What became of the rows of x [n, d], and the m rows made of them.

    `kept` bool [n]; made row i is x[base[i]] + lam[i]·(x[neighbor[i]] − x[base[i]]), and where `neighbor` is −1
    (`lam` NaN) a copy of its base. `stays` bool [m] is False for made rows that the sampler itself took out again.
    """

    kept: np.ndarray
    base: np.ndarray
    neighbor: np.ndarray
    lam: np.ndarray
    stays: np.ndarray

    def __post_init__(self):
        # A row between a row and itself (its duplicate came out as its neighbour) is a copy.
        alone = self.neighbor == self.base
        object.__setattr__(self, "neighbor", np.where(alone, -1, self.neighbor))
        object.__setattr__(self, "lam", np.where(self.neighbor < 0, np.nan, self.lam))


def resampled(sampler: Any, x: np.ndarray, y: np.ndarray) -> Resampled:
    """Run a sampler (one that `recording` returned) on x float32 [n, d] and y int [n], and tell what it did.

    Raises Unnamed, and whatever the sampler raises. Its warnings stay off the screen. It works in one thread: with
    several, scikit-learn finds other neighbours among rows that are equally near.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values, labels = sampler.fit_resample(x, y)
        drawn = _adasyn_draws(sampler, x, y) if _is_adasyn(sampler) else None
    inner = [part for name, part in vars(sampler).items() if name.endswith("_") and hasattr(part, "fit_resample")]
    drawn = next((part.drawn for part in (sampler, *inner) if hasattr(part, "drawn")), drawn)
    if drawn is None:
        chosen, parents = _copies(_chosen(sampler, x, y, values, labels), len(x))
    else:
        cleaned = next((part.sample_indices_ for part in inner if hasattr(part, "sample_indices_")), None)
        empty = (0, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        _, *parents = (np.hstack(parts) for parts in zip(empty, *drawn, strict=True))
        chosen = np.arange(len(x) + len(parents[0])) if cleaned is None else np.asarray(cleaned)
    if len(chosen) != len(values):
        raise Unnamed(f"{len(values)} rows came out, and the parents of {len(chosen)} are known")
    _check(x, y, values, labels, chosen, parents)
    told = np.bincount(chosen, minlength=len(x) + len(parents[0])) > 0
    return Resampled(told[:len(x)], *parents, told[len(x):])


# ------------------------------------------------------------------------------------------- listening

class _Rows(np.ndarray):
    """Rows of a table that know their numbers in it, `rows` int64 [n]; taking some of them takes their numbers too."""

    rows: np.ndarray | None = None

    def __getitem__(self, key):
        taken = super().__getitem__(key)
        if isinstance(taken, _Rows) and self.rows is not None and taken.ndim == self.ndim:
            taken.rows = self.rows[key[0] if isinstance(key, tuple) else key]
        return taken


@functools.cache
def recording(sampler: type) -> type:
    """Return the same sampler, with a list `drawn` of (class, base, neighbor, λ) of the rows that it interpolates.

    The four are an int, and int64, int64 and float64 [m]; they come in the order of the made rows. A class that the
    sampler passes over does not appear. A sampler that has no `_generate_samples` comes back as it is.

    >>> from imblearn.over_sampling import SMOTE
    >>> smote = recording(SMOTE)(k_neighbors=1, random_state=0, sampling_strategy={1: 3})
    >>> _ = smote.fit_resample(np.array([[0.0], [5.0], [1.0], [2.0]]), np.array([1, 0, 1, 0]))
    >>> [(label, base.tolist(), neighbor.tolist()) for label, base, neighbor, _ in smote.drawn]
    [(1, [0], [2])]
    """
    if not hasattr(sampler, "_generate_samples"):
        return sampler

    def _fit_resample(self, x, y, **params):
        self.drawn = []
        numbered = x.view(_Rows)
        numbered.rows = np.arange(len(x))
        made, labels = super(recorder, self)._fit_resample(numbered, y, **params)
        return np.asarray(made), labels

    def _generate_samples(self, x, nn_data, nn_num, rows, cols, steps, y_type=None, y=None):
        first, second, near = np.asarray(x), np.asarray(nn_data), nn_num[rows, cols]
        made = super(recorder, self)._generate_samples(first, second, nn_num, rows, cols, steps, y_type, y)
        lam = _weights((first, rows), (second, near), steps.ravel(), made)
        self.drawn.append((int(y_type), _numbers(x)[rows], _numbers(nn_data)[near], lam))
        return made

    # The library's name, since its messages tell it.
    recorder = type(sampler.__name__, (sampler,),
                    {"_fit_resample": _fit_resample, "_generate_samples": _generate_samples})
    return recorder


def _numbers(taken: np.ndarray) -> np.ndarray:
    if getattr(taken, "rows", None) is None:
        raise Unnamed("it interpolates between rows that are none of those that went in")
    return taken.rows


def _weights(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], steps: np.ndarray,
             made: np.ndarray) -> np.ndarray:
    """Return λ float64 [m] of rows made [m, d] from first to second (a table and rows [m] of it each).

    They are `steps`, unless the sampler changed one: Borderline-2 shortens its step towards a neighbour of another
    class. There λ is ⟨x − x_i, δ⟩ / ⟨δ, δ⟩ with δ = x_j − x_i.
    """
    lam, block = np.array(steps, dtype=np.float64), max(1, _CHUNK_VALUES // max(1, made.shape[1]))
    for start in range(0, len(lam), block):
        some = slice(start, start + block)
        near, far = first[0][first[1][some]], second[0][second[1][some]]
        asked = (near + lam[some, None] * (far - near)).astype(made.dtype)
        changed = (asked != made[some]).any(axis=1)
        wide = far[changed].astype(np.float64) - near[changed]
        gone = made[some][changed].astype(np.float64) - near[changed]
        lam[some][changed] = np.einsum("ij,ij->i", wide, gone) / np.einsum("ij,ij->i", wide, wide)
    return lam


def _is_adasyn(sampler: Any) -> bool:
    from imblearn.over_sampling import ADASYN

    return isinstance(sampler, ADASYN)


def _adasyn_draws(sampler: Any, x: np.ndarray, y: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Return what imbalanced-learn 0.12 to 0.14's `ADASYN._fit_resample` drew, from its seed."""
    random, drawn = np.random.RandomState(sampler.random_state), []
    k = sampler.nn_.n_neighbors - 1
    for label, missing in sampler.sampling_strategy_.items():
        if missing == 0:
            continue
        members = np.flatnonzero(y == label)
        near = sampler.nn_.fit(x).kneighbors(x[members], return_distance=False)[:, 1:]
        share = (y[near] != label).sum(axis=1) / k
        share /= share.sum()
        row = np.repeat(np.arange(len(members)), np.rint(share * missing).astype(int))
        near = sampler.nn_.fit(x[members]).kneighbors(x[members], return_distance=False)[:, 1:]
        column = random.choice(k, size=len(row))
        lam = random.uniform(size=(len(row), 1)).ravel()
        drawn.append((int(label), members[row], members[near[row, column]], lam))
    return drawn


# ------------------------------------------------------------------------------------------- checking

def _chosen(sampler: Any, x: np.ndarray, y: np.ndarray, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the row of x that each row of the output is, int64 [m]."""
    if hasattr(sampler, "sample_indices_"):
        told = np.asarray(sampler.sample_indices_, dtype=np.int64)
        # Where there is nothing to clean, RepeatedEditedNearestNeighbours gives rows in another order than it tells.
        if len(told) == len(values) and (values[:1] == x[told[:1]]).all() and (labels == y[told]).all():
            return told
    free: dict[tuple[int, bytes], list[int]] = {}
    for number, (label, row) in enumerate(zip(y.tolist(), x, strict=True)):
        free.setdefault((label, row.tobytes()), []).append(number)
    found = np.full(len(values), -1, np.int64)
    for place, (label, row) in enumerate(zip(labels.tolist(), values.astype(x.dtype), strict=True)):
        alike = free.get((label, row.tobytes()), [])
        if alike:
            # Of rows that are alike each is found once, before the first is found again.
            found[place] = alike[0]
            alike.append(alike.pop(0))
    if (found < 0).any():
        raise Unnamed(f"{(found < 0).sum()} of {len(found)} rows that came out are none of those that went in")
    return found


def _copies(chosen: np.ndarray, n: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return `chosen` with each row after its first appearance as a made row, and the parents of those.

    >>> chosen, (base, neighbor, lam) = _copies(np.array([0, 2, 2]), 3)
    >>> chosen.tolist(), base.tolist(), neighbor.tolist()
    ([0, 2, 3], [2], [-1])
    """
    again = np.ones(len(chosen), bool)
    again[np.unique(chosen, return_index=True)[1]] = False
    base = chosen[again]
    return (np.where(again, n + np.cumsum(again) - 1, chosen),
            [base, np.full(len(base), -1), np.full(len(base), np.nan)])


def _check(x: np.ndarray, y: np.ndarray, values: np.ndarray, labels: np.ndarray, chosen: np.ndarray,
           parents: list[np.ndarray]) -> None:
    """Raise Unnamed unless each row of the output is the row of x, or made of the parents, that `chosen` says."""
    block = max(1, _CHUNK_VALUES // max(1, x.shape[1]))
    for start in range(0, len(chosen), block):
        some = slice(start, start + block)
        number = chosen[some] - len(x)
        made = number >= 0
        base, neighbor, lam = (part[number[made]] for part in parents)
        first = np.where(made, 0, chosen[some])
        first[made] = base
        told = x[first].astype(np.float64)
        other = np.where(neighbor < 0, base, neighbor)
        step = np.nan_to_num(lam)[:, None] * (x[other].astype(np.float64) - x[base])
        scale = np.abs(told).max(axis=1, initial=0)
        scale[made] += np.abs(step).max(axis=1, initial=0)
        told[made] += step
        off = np.abs(told - values[some]).max(axis=1, initial=0) > _TOLERANCE * scale
        if off.any() or (labels[some] != y[first]).any():
            raise Unnamed(f"row {start + int(off.argmax())} that came out is not what its parents make")
