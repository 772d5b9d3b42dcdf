"""Training in two stages: learn representations of the data as they are, and correct the skew only then.

    drw    deferred re-weighting (Cao et al. 2019): no weights, then from 0.8 of the epochs on those of `--scheme`
           (`effective=0.9999` unasked); the authors' 160 of 200 epochs
    crt    classifier re-training (Kang et al. 2020): everything, then from 0.9 of the epochs on a new classifier
           alone, on samples drawn class by class; the authors' 90 epochs and 10 more
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoprep.errors import UsageError

__all__ = ["STAGES", "training_stages"]

STAGES = {"drw": 0.8, "crt": 0.9}
"""The recipes, each with the share of the epochs that its first stage takes."""


def training_stages(recipe: str, plain: Mapping[str, Any], scheme: str, weights: Mapping[str, Any], *,
                    sampler: str = "class-balanced") -> list[dict[str, Any]]:
    """Return the stages of a recipe, as `class_weights.json` has them.

    Each says until which share of the epochs it lasts, what it trains ("all" or "classifier"), which sampler draws
    and which weights go into the loss. `plain` are the weights that correct nothing, `weights` those of `scheme`.

    >>> first, then = training_stages("drw", {"joy": 1.0, "fear": 1.0}, "balanced", {"joy": 0.6, "fear": 3.0})
    >>> first["until"], first["weights"], then["weights"], then["train"], then["sampler"]
    (0.8, {'joy': 1.0, 'fear': 1.0}, {'joy': 0.6, 'fear': 3.0}, 'all', 'instance')
    """
    if recipe not in STAGES:
        raise UsageError("not known", where="--stages", expected=" or ".join(STAGES), got=recipe)
    first = {"until": STAGES[recipe], "train": "all", "sampler": "instance", "scheme": "none", "weights": dict(plain)}
    if recipe == "drw":
        return [first, {**first, "until": 1.0, "scheme": scheme, "weights": dict(weights)}]
    return [first, {**first, "until": 1.0, "train": "classifier", "sampler": sampler, "weights": dict(plain)}]
