"""The measures of a group by the names that the literature has for them; where one has two names, both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoprep.labels import MULTI

__all__ = ["named", "of_group"]

_NAMES = {
    "imbalance_ratio": "imbalance ratio IR, n max ÷ n min",
    "mean_ratio": "mean of n max ÷ n",
    "minority_share": "minority share, n min ÷ N",
    "entropy": "entropy H, nats (Shannon)",
    "evenness": "evenness H ÷ ln K (Pielou), or normalised entropy",
    "effective_classes": "effective classes e^H (Hill, order 1)",
    "inverse_simpson": "inverse Simpson 1 ÷ Σp² (Hill, order 2)",
    "kl_to_uniform": "KL to uniform, ln K − H, nats, or Theil's T",
    "lrid": "LRID, 2N · KL (Zhu 2018)",
    "lrid_per_row": "LRID ÷ N",
    "tv_to_uniform": "TV to uniform, ½ Σ|p − 1/K|, or Hoover index",
}
_OF_LABELS = {
    "mean_ir": "MeanIR, mean IRLbl (Charte 2015)",
    "cvir": "CVIR, deviation of IRLbl ÷ MeanIR",
    "scumble": "SCUMBLE (Charte 2014)",
    "cardinality": "cardinality, labels an utterance",
    "density": "density, cardinality ÷ K",
    "distinct_label_sets": "label sets",
}
_OF_CONVERSATIONS = {
    "emotion_shift_own": "emotion shift, a speaker's own turns",
    "emotion_shift_neighbours": "emotion shift, neighbouring turns",
    "effective_speakers": "effective speakers e^H",
}


def named(task: str) -> dict[str, str]:
    """Return the name of each measure of a task."""
    return {**_NAMES, **(_OF_LABELS if task == MULTI else {}), **_OF_CONVERSATIONS}


def of_group(group: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the measures of a split, by the same fields."""
    found = dict(group)
    if "label_sets" in group:
        found["distinct_label_sets"] = len(group["label_sets"])
    for pairs, shift in group["emotion_shift"].items():
        found[f"emotion_shift_{pairs}"] = shift["share"]
    return found
