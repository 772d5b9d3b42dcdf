"""What is done about NaN and infinity in features: COVAREP's −inf, an embedding that went wrong.

Medians are those of train, so that nothing of dev or test reaches it; the spec's reasons stand on
`docs/features.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError, UsageError

__all__ = ["POLICIES", "check_policy", "replace_nonfinite", "train_medians"]

POLICIES = ("impute-median", "zero", "drop", "error")


def check_policy(policy: str) -> str:
    if policy not in POLICIES:
        raise UsageError("not known", where="--nonfinite", expected=" or ".join(POLICIES), got=policy)
    return policy


def train_medians(values: np.ndarray | list[np.ndarray], present: np.ndarray) -> np.ndarray:
    """Return the median of the finite values of each dimension, float32 [d]; 0 where there is none.

    >>> train_medians(np.array([[1, np.nan], [3, -np.inf], [5, np.nan]], np.float32), np.ones(3, bool)).tolist()
    [3.0, 0.0]
    """
    rows = _stacked(values, present)
    finite = np.where(np.isfinite(rows), rows, np.nan)
    medians = np.zeros(rows.shape[1], np.float32)
    known = ~np.isnan(finite).all(axis=0)
    if known.any():
        medians[known] = np.nanmedian(finite[:, known], axis=0)
    return medians


def _stacked(values, present) -> np.ndarray:
    if isinstance(values, list):
        chosen = [steps for steps, there in zip(values, present, strict=True) if there]
        return np.concatenate(chosen) if chosen else np.empty((0, values[0].shape[1] if values else 0), np.float32)
    return values[present]


def replace_nonfinite(features: Mapping[str, Modality], policy: str, keys: Iterable[str],
                      medians: Mapping[str, np.ndarray] | None = None
                      ) -> tuple[dict[str, Modality], list[str]]:
    """Return features without NaN or infinity, and what was done, told per modality.

    "impute-median" puts the train median (of `medians`, or of these rows), "zero" puts 0, "drop" takes the
    modality away from the row, "error" raises EmoprepError with the first key.
    """
    clean, notes, keys = {}, [], list(keys)
    for name, modality in features.items():
        bad = _bad_rows(modality)
        if not bad.any():
            clean[name] = modality
            continue
        first = keys[int(np.argmax(bad))]
        if policy == "error":
            raise EmoprepError(f"{name} is not finite", where=first, expected="numbers", got="NaN or infinity",
                               remedy="--nonfinite impute-median, zero or drop says what to do with it")
        if policy == "drop":
            fill, present = np.zeros(1, np.float32), modality.present & ~bad
        else:
            known = medians[name] if medians else train_medians(modality.values, modality.present)
            fill, present = (known if policy == "impute-median" else np.zeros(1, np.float32)), modality.present
        clean[name] = Modality(_filled(modality.values, bad, fill, wipe=policy == "drop"), present, modality.clock)
        empty = _empty_columns(modality) if policy == "impute-median" else 0
        notes.append(f"{name}: NaN or infinity in {int(bad.sum())} rows (first {first}): {policy}"
                     + (f"; {empty} dimensions have no number at all, and are 0" if empty else ""))
    return clean, notes


def _empty_columns(modality: Modality) -> int:
    rows = _stacked(modality.values, modality.present)
    return int((~np.isfinite(rows)).all(axis=0).sum()) if len(rows) else 0


def _bad_rows(modality: Modality) -> np.ndarray:
    if isinstance(modality.values, list):
        return np.array([not np.isfinite(steps).all() for steps in modality.values], bool)
    return ~np.isfinite(modality.values).all(axis=1)


def _filled(values, bad, fill, *, wipe: bool):
    def mended(row):
        return np.zeros((1, *row.shape[1:]) if row.ndim == 2 else row.shape, np.float32) if wipe \
            else np.where(np.isfinite(row), row, fill).astype(np.float32)
    if isinstance(values, list):
        return [mended(row) if broken else row for row, broken in zip(values, bad, strict=True)]
    values = values.copy()
    values[bad] = [mended(row) for row in values[bad]]
    return values
