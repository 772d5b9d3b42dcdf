"""What turns decided parents into features: x_i + λ(x_j − x_i), the same parents and λ in every modality.

Vectors are computed a few rows at a time, so that a table of any size can be written in pieces. Sequences
are brought to a common length on their own clock first; nothing is ever padded. A modality that a parent
lacks is never invented:

    in both parents          interpolated
    only in the base         copied from the base
    only in the neighbour    absent, as in neither: zeros

An item without a neighbour (op "repeat") is a copy of its base.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError, UsageError

__all__ = ["blend", "check_renorm", "made_features", "made_vectors", "resample", "unit_modalities"]

# So few values that the rows at work stay in a core's cache: three times as fast as whole tables.
_CHUNK_VALUES = 65_536
_UNIT_TOLERANCE = 1e-3


def made_features(features: Mapping[str, Modality], base: np.ndarray, neighbor: np.ndarray, lam: np.ndarray,
                  *, seconds: np.ndarray | None = None,
                  unit: frozenset[str] = frozenset()) -> dict[str, Modality]:
    """Return every modality of the items with these parents, in their order; any rows of a decision will do.

    `base`, `neighbor` (−1: none) and `lam` are [n]. The modalities in `unit` are brought back to length 1.
    """
    lengths = _step_counts(features, base, neighbor, lam, seconds)
    made = {}
    for name, modality in features.items():
        if name in lengths:
            made[name] = _made_sequences(modality, base, neighbor, lam, lengths[name])
        else:
            values, present = made_vectors(modality, base, neighbor, lam, unit=name in unit)
            made[name] = Modality(values, present, modality.clock)
    return made


def made_vectors(modality: Modality, base: np.ndarray, neighbor: np.ndarray, lam: np.ndarray, *,
                 unit: bool = False, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors float32 [n, d] of the items with these parents, and which have the modality, bool [n].

    `out` takes the vectors if given. With `unit`, interpolated vectors are brought back to length 1.

    >>> audio = Modality(np.array([[10], [20], [40]], np.float32), np.array([True, True, False]))
    >>> base, neighbor, lam = np.array([0, 1, 2, 0]), np.array([1, 2, 1, -1]), np.array([.25, .5, .5, np.nan])
    >>> values, present = made_vectors(audio, base, neighbor, lam)
    >>> values.ravel().tolist(), present.tolist()
    ([12.5, 20.0, 0.0, 10.0], [True, True, False, True])
    """
    # Integers would be truncated on the way back, so arithmetic sees float32 only.
    values = np.asarray(modality.values, dtype=np.float32)
    out = np.empty((len(base), values.shape[1]), dtype=np.float32) if out is None else out
    present, both = _presence(modality, base, neighbor)
    step = max(1, _CHUNK_VALUES // max(1, values.shape[1]))
    for start in range(0, len(base), step):
        some = slice(start, start + step)
        first, mixed = values[base[some]], both[some]
        if mixed.all():
            out[some] = blend(first, values[neighbor[some]], lam[some], unit=unit)
            continue
        first[~present[some]] = 0
        first[mixed] = blend(first[mixed], values[neighbor[some][mixed]], lam[some][mixed], unit=unit)
        out[some] = first
    return out, present


def blend(first: np.ndarray, second: np.ndarray, lam: np.ndarray, *, unit: bool = False) -> np.ndarray:
    """Return x_i + λ(x_j − x_i) for rows [n, d] and λ [n] (Chawla et al. 2002), float32.

    The arithmetic is imbalanced-learn's to the last bit: a float32 difference, times a float64 λ, added in
    float64, and rounded once.

    >>> blend(np.array([[0, 0]], np.float32), np.array([[4, 0]], np.float32), np.array([0.25])).tolist()
    [[1.0, 0.0]]
    """
    first, second = np.asarray(first, dtype=np.float32), np.asarray(second, dtype=np.float32)
    mixed = np.multiply(second - first, np.asarray(lam)[:, None], dtype=np.float64)
    mixed += first
    if unit:
        length = np.linalg.norm(mixed, axis=1, keepdims=True)
        # Half-way between opposite directions there is no direction; that one stays as it is.
        np.divide(mixed, length, out=mixed, where=length > 0)
    return mixed.astype(np.float32)


def check_renorm(renorm: str) -> None:
    """Raise UsageError for another value of `--renorm` than off and auto."""
    if renorm not in ("off", "auto"):
        raise UsageError("this way to renormalise is not known", where="--renorm", expected="off or auto",
                         got=renorm, remedy="use auto for embeddings of length 1")


def unit_modalities(features: Mapping[str, Modality], renorm: str) -> frozenset[str]:
    """Return the modalities to bring back to length 1: with `--renorm auto` those of unit vectors.

    They are unit vectors if every row that has the modality has a length within 0.001 of 1, as speaker and
    sentence embeddings do. Sequences are left alone.

    >>> unit_modalities({"text": Modality(np.eye(2, dtype=np.float32), np.ones(2, bool))}, "auto")
    frozenset({'text'})
    """
    if renorm == "off":
        return frozenset()
    return frozenset(name for name, modality in features.items()
                     if not isinstance(modality.values, list) and _is_unit(modality))


def resample(sequence: np.ndarray, length: int) -> np.ndarray:
    """Return a sequence [L, d] at `length` evenly spaced points from its first to its last step, float64.

    >>> resample(np.array([[0.0], [2.0], [4.0]]), 5).ravel().tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    steps = np.asarray(sequence, dtype=np.float64)
    if len(steps) == length:
        return steps
    position = np.linspace(0, len(steps) - 1, length)
    before = np.minimum(position.astype(np.int64), len(steps) - 1)
    after = np.minimum(before + 1, len(steps) - 1)
    return steps[before] + (position - before)[:, None] * (steps[after] - steps[before])


def _presence(modality: Modality, base: np.ndarray, neighbor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which items have the modality, and which have it from two parents, bool [n] each."""
    there = np.asarray(modality.present, dtype=bool)
    present = there[base]
    # Index −1 would look at the last row, so it is asked about first.
    return present, present & (neighbor >= 0) & there[neighbor]


def _is_unit(modality: Modality) -> bool:
    values, rows = np.asarray(modality.values, dtype=np.float32), np.flatnonzero(modality.present)
    step = max(1, _CHUNK_VALUES // max(1, values.shape[1]))
    lengths = (np.linalg.norm(values[rows[start:start + step]].astype(np.float64), axis=1)
               for start in range(0, len(rows), step))
    return bool(len(rows)) and all((np.abs(length - 1) < _UNIT_TOLERANCE).all() for length in lengths)


# ------------------------------------------------------------------------------------------- sequences

def _step_counts(features: Mapping[str, Modality], base: np.ndarray, neighbor: np.ndarray, lam: np.ndarray,
                 seconds: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the number of steps int64 [n] of each item in each modality that is a sequence.

    On a `rate:R` clock it follows from the interpolated duration, round(R·((1−λ)τ_i + λτ_j)). On a clock that
    modalities share (`fps:10`, `words`) the first of them that both parents have is interpolated in length,
    and the others follow in the same proportion: what was in step stays in step. Where the neighbour has none
    of them, frames follow the duration, and words stay as many as they are. Halves are rounded up, as on the
    store's clock.
    """
    sequences = {name: modality for name, modality in features.items() if isinstance(modality.values, list)}
    own = {name: np.array([len(steps) for steps in modality.values]) for name, modality in sequences.items()}
    two = neighbor >= 0
    share, other = np.where(two, lam, 0.0), np.where(two, neighbor, base)
    duration = None if seconds is None else (1 - share) * seconds[base] + share * seconds[other]
    stretch: dict[str, np.ndarray] = {}
    for name, modality in sequences.items():
        both = _presence(modality, base, neighbor)[1]
        length = _half_up((1 - share) * own[name][base] + share * own[name][other])
        known = stretch.setdefault(_shared_clock(name, modality), np.full(len(base), np.nan))
        np.copyto(known, length / own[name][base], where=both & np.isnan(known))
    counts = {}
    for name, modality in sequences.items():
        kind, _, rate = modality.clock.partition(":")
        factor = stretch[_shared_clock(name, modality)]
        if kind == "fps" and duration is not None:
            by_time = np.divide(duration, seconds[base], out=np.ones(len(base)), where=seconds[base] > 0)
            factor = np.where(np.isnan(factor), by_time, factor)
        counts[name] = _half_up(own[name][base] * np.nan_to_num(factor, nan=1.0))
        if kind == "rate":
            _require_durations(name, modality.clock, None if duration is None else duration[two])
            counts[name][two] = _half_up(float(rate) * duration[two])
    return counts


def _require_durations(name: str, clock: str, durations: np.ndarray | None) -> None:
    if durations is None or not np.isfinite(durations).all():
        raise EmoprepError("steps at a rate of their own need the durations of the utterances",
                           where=f"feature {name}", expected="seconds for every row", got=f"clock {clock}",
                           remedy="make the features again with `emoprep features`")


def _shared_clock(name: str, modality: Modality) -> str:
    """Return what a sequence is stretched by: a clock that others follow too, or itself alone (its own tokens)."""
    return modality.clock if modality.clock == "words" or modality.clock.startswith("fps:") else name


def _half_up(number: np.ndarray) -> np.ndarray:
    return np.maximum(1, np.floor(number + 0.5)).astype(np.int64)


def _made_sequences(modality: Modality, base: np.ndarray, neighbor: np.ndarray, lam: np.ndarray,
                    lengths: np.ndarray) -> Modality:
    present, both = _presence(modality, base, neighbor)
    made = []
    for item, length in enumerate(lengths):
        first = np.asarray(modality.values[base[item]], dtype=np.float32)
        if not present[item]:
            made.append(np.zeros((1, first.shape[1]), dtype=np.float32))
            continue
        steps = resample(first, length)
        if both[item]:
            steps = steps + lam[item] * (resample(modality.values[neighbor[item]], length) - steps)
        made.append(steps.astype(np.float32))
    return Modality(made, present, modality.clock)
