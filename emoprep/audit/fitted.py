"""What was fitted on more than train: the scaler, the extractors, and features that came scaled already."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from emoprep.audit.checks import Example, Finding
from emoprep.audit.made import planned_ops
from emoprep.audit.rows import Rows
from emoprep.audit.shared import Found
from emoprep.contracts import Modality
from emoprep.errors import EmoprepError
from emoprep.methods.projection import Scaler
from emoprep.store.tables import read_pieces

__all__ = ["feature_findings"]

SCALER = "scaler.npz"


class _Fit:
    """Mean and deviation of a modality over the train rows, and over all rows."""

    def __init__(self):
        self.train, self.everything, self.others = Scaler(), Scaler(), 0

    def add(self, steps: np.ndarray, split: str) -> None:
        self.everything.add(steps)
        if split == "train":
            self.train.add(steps)
        else:
            self.others += len(steps)


def feature_findings(rows: Rows, thresholds: Mapping[str, float]) -> dict[str, Found]:
    """Read the tables of a store of features once, a row group at a time, for both checks that need them."""
    fitted, same = "fitted-on-more-than-train", "feature-duplicate"
    if rows.kind != "features":
        return dict.fromkeys((fitted, same), "IN has no features")
    modalities = rows.store.manifest.modalities
    fits = {name: _Fit() for name in modalities}
    seen: dict[bytes, dict[str, str]] = defaultdict(dict)
    for table in rows.store.manifest.tables:
        for index, features in read_pieces(rows.store.path / table["name"], modalities):
            original = np.array([op == "keep" for op in index.column("op").to_pylist()], bool)
            for name, modality in features.items():
                for row in np.flatnonzero(original & modality.present):
                    steps = np.atleast_2d(modality.values[row])
                    if np.isfinite(steps).all():  # `emoprep verify` tells of those that are not
                        fits[name].add(steps, table["split"])
            for key, digest in _digests(features, index.column("key").to_pylist(), original):
                seen[digest].setdefault(table["split"], key)
    if "train" in rows.members and not (rows.store.path / SCALER).is_file():
        return {fitted: f"the store's {SCALER} is missing", same: _duplicates(rows, seen, thresholds[same])}
    return {fitted: _fitted(rows, fits, thresholds[fitted]), same: _duplicates(rows, seen, thresholds[same])}


def _digests(features: Mapping[str, Modality], keys, original):
    """Yield the key and a digest of the features of each row that has any; of its words only, a row has none.

    Equal texts have equal vectors, and are told as texts.
    """
    import hashlib

    heard = [modality for name, modality in features.items() if name != "text"]
    for row, key in enumerate(keys):
        if original[row] and any(modality.present[row] and np.any(modality.values[row]) for modality in heard):
            digest = hashlib.blake2b(digest_size=16)
            for modality in heard:
                digest.update(np.ascontiguousarray(modality.values[row]).tobytes() + b"|")
            yield key, digest.digest()


def _duplicates(rows: Rows, seen: Mapping[bytes, Mapping[str, str]], threshold: float) -> Found:
    found = []
    for left, right in rows.pairs:
        pairs = [Example((keys[left], keys[right])) for keys in seen.values() if left in keys and right in keys]
        if len(pairs) > threshold:
            found.append(Finding("feature-duplicate", (left, right), len(pairs), "rows", len(rows.members[right]),
                                 examples=pairs))
    return found


def _fitted(rows: Rows, fits: Mapping[str, _Fit], threshold: float) -> Found:
    wrong = [*_told_by_manifest(rows), *_told_by_scaler(rows, fits, threshold), *_scaled_before(fits, threshold)]
    return [Finding("fitted-on-more-than-train", tuple(rows.members), len({one.keys for one in wrong}), "modalities",
                    len(fits), examples=wrong)] if wrong else []


def _told_by_manifest(rows: Rows) -> list[Example]:
    """Compare what the manifest says each extractor was fitted on with the train rows that it counts."""
    wrong, there = [], len(rows.members.get("train", ()))
    balanced = rows.store.manifest.balance is not None  # fitted before, on the rows that there were then
    for name, how in rows.store.manifest.modalities.items():
        if how.get("fitted_on", "train") != "train":
            wrong.append(Example((name,), f"the manifest says that it was fitted on {how['fitted_on']}"))
        counted = how.get("train_utterances")
        if counted is not None and counted > there and not balanced:
            wrong.append(Example((name,), f"the manifest says that it was fitted on {counted} utterances, and train "
                                          f"has {there}"))
    return wrong


def _told_by_scaler(rows: Rows, fits: Mapping[str, _Fit], threshold: float) -> list[Example]:
    """Compare the scaler with mean and deviation of the train rows."""
    path, wrong = rows.store.path / SCALER, []
    # A balanced store has the scaler of all the rows that train had before some of them were dropped.
    if not path.is_file() or "drop" in planned_ops(rows):
        return []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            scaler = {name: arrays[name].astype(np.float64) for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise EmoprepError("the scaler cannot be read", where=str(path), got=str(error),
                           remedy="make the store again") from error
    for name, fit in fits.items():
        told = [scaler[f"{name}_{what}"] for what in ("mean", "deviation") if f"{name}_{what}" in scaler]
        # One that is not there is nobody's mistake in fitting; `emoprep verify` tells.
        off = _off(fit.train, *told) if len(told) == 2 else 0.0
        if off > threshold:
            whose = "that of all splits together" if _off(fit.everything, *told) <= threshold else "not that of train"
            wrong.append(Example((name,), f"{SCALER} is {whose}: off by up to {off:.3g} deviations of train"))
    return wrong


def _off(scaler: Scaler, mean: np.ndarray, deviation: np.ndarray) -> float:
    """Return by how many deviations a mean is off, or by which share a deviation, at most over the dimensions.

    It is 0 where the scaler has no row, and infinite where the dimensions are not the same.
    """
    own_mean, own = scaler.told()
    if not len(own):
        return 0.0
    if mean.shape != own.shape or deviation.shape != own.shape:
        return float("inf")
    deviation = np.where(deviation == 0, 1, deviation)  # of a dimension that never varies: ours has 1 there
    return float((np.maximum(np.abs(mean - own_mean), np.abs(deviation - own)) / own).max())


FEWEST_DIMENSIONS = 4


def _scaled_before(fits: Mapping[str, _Fit], threshold: float) -> list[Example]:
    """Find modalities that have mean 0 and deviation 1 over all splits, but not over train."""
    wrong = []
    for name, fit in fits.items():
        size = len(fit.everything.told()[0])
        zero, one = np.zeros(size), np.ones(size)
        if fit.others and size >= FEWEST_DIMENSIONS and _off(fit.everything, zero, one) <= threshold \
                and _off(fit.train, zero, one) > threshold:
            wrong.append(Example((name,), "over all splits together its mean is 0 and its deviation 1, over train not"))
    return wrong
