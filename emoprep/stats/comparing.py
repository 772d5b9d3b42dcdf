"""How far the classes of two groups differ: two splits, or a split before and after balancing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from emoprep.labels import MULTI, LabelScheme
from emoprep.methods.drift import drift, label_drift

__all__ = ["changes", "drifts"]


def drifts(splits: Mapping[str, Mapping[str, Any]], scheme: LabelScheme) -> dict[str, dict[str, Any]]:
    """Return how far each split's classes are from those of each later one."""
    found: dict[str, dict[str, Any]] = {}
    for left, right in combinations(splits, 2):
        found.setdefault(left, {})[right] = _apart(splits[left], splits[right], scheme)
    return found


def changes(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]],
            scheme: LabelScheme) -> dict[str, dict[str, Any]]:
    """Return what each class gains from `before` to `after`, in each split that both have, and how far they differ."""
    return {split: {"difference": {label: after[split]["counts"][label] - before[split]["counts"][label]
                                   for label in scheme.labels},
                    **_apart(before[split], after[split], scheme)} for split in before if split in after}


def _apart(left: Mapping[str, Any], right: Mapping[str, Any], scheme: LabelScheme) -> dict[str, Any]:
    """Return the drift of the classes; for several labels, JS of their shares among all positives, and of each χ²."""
    counts = [np.array([group["counts"][label] for label in scheme.labels], np.float64) for group in (left, right)]
    found = drift(*counts)._asdict()
    if scheme.task != MULTI:
        return found
    rows = [_utterances(group) for group in (left, right)]
    return {name: found[name] for name in ("js_divergence", "js_distance")} | {"by_class": {
        label: one._asdict() for label, one in zip(scheme.labels, label_drift(*counts, *rows), strict=True)}}


def _utterances(group: Mapping[str, Any]) -> float:
    return sum(found["utterances"] for found in group["label_sets"])
