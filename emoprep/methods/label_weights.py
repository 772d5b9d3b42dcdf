"""Loss weights of multi-label data: a pair for each label, and the `pos_weight` of binary cross-entropy.

With n utterances, of which n₊ have a label and n₋ do not, `balanced` is the pair of Ibrahim et al. 2024 (paper 002 of
this project's sources; k = 2 per label):

    w_true = n / (2·n₊)      w_false = n / (2·n₋)      pos_weight = w_true / w_false = n₋ / n₊

`alpha=A` (`inv-sqrt` is A = ½, `none` is A = 0) tempers it: pos_weight = (n₋ / n₊)^A. Every pair keeps
n₊·w_true + n₋·w_false = n, so that the loss of a label keeps its scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.class_weights import parse_scheme

__all__ = ["LabelWeights", "label_weights"]


@dataclass(frozen=True)
class LabelWeights:
    """Weights per label, and what they were computed from, keyed by label in the order of `labels`.

    `weights` are {"pos": w_true, "neg": w_false}. A label that no utterance has, or that all have, has
    pos_weight None, both weights 1, and is listed in `absent`.
    """

    labels: tuple[str, ...]
    counts: dict[str, int | float]
    n: int | float
    scheme: str
    params: dict[str, float]
    weights: dict[str, dict[str, float]]
    pos_weight: dict[str, float | None]
    absent: tuple[str, ...]

    def to_array(self) -> np.ndarray:
        """Return pos_weight as float32 [K], 1 where it is None: what `BCEWithLogitsLoss` takes."""
        return np.array([1.0 if value is None else value for value in self.pos_weight.values()], np.float32)

    def of_rows(self, y: np.ndarray, loss_mask: np.ndarray) -> np.ndarray:
        """Return the sample weights float32 [N, K] of rows with labels `y` int [N, K] (1 there, 0 not).

        A label that holds has w_true, one that does not w_false, times the row's loss_mask; a row outside the
        scheme (y = −100) has 0 throughout.

        >>> found = label_weights({"happy": 2, "fear": 1}, 4)
        >>> found.of_rows(np.array([[0, 1], [1, 1], [-100, -100]]), np.array([1, 0.5, 1])).tolist()
        [[1.0, 2.0], [0.5, 1.0], [0.0, 0.0]]
        """
        pos, neg = (np.array([pair[side] for pair in self.weights.values()]) for side in ("pos", "neg"))
        weights = np.where(y == 1, pos, neg) * (y >= 0)
        return (weights * np.asarray(loss_mask)[:, np.newaxis]).astype(np.float32)

    def to_json(self, *, task: str, counts_source: str = "original") -> dict[str, Any]:
        """Return the document `class_weights.json`; `counts_source` is "original" or says which plan."""
        return {"schema": "emoprep.class_weights/1", "task": task, "split": "train", "labels": list(self.labels),
                "counts": dict(self.counts), "n": self.n, "counts_source": counts_source, "scheme": self.scheme,
                "params": dict(self.params), "weights": {name: dict(pair) for name, pair in self.weights.items()},
                "pos_weight": dict(self.pos_weight), "absent": list(self.absent)}


def label_weights(positives: Mapping[str, int | float], n: int | float, scheme: str = "balanced", *,
                  normalize: str | None = None, max_ratio: float | None = None) -> LabelWeights:
    """Return the weights of labels of which `positives` of `n` utterances have each.

    `max_ratio` caps pos_weight to between 1/R and R. Raises UsageError for a scheme that weights classes
    rather than labels and for a normalisation (a pair has its own), EmoprepError where there is no utterance.

    >>> found = label_weights({"happy": 2, "fear": 1}, 4)
    >>> found.weights["fear"], found.pos_weight
    ({'pos': 2.0, 'neg': 0.6666666666666666}, {'happy': 1.0, 'fear': 3.0})
    """
    name, params = parse_scheme(scheme)
    if name in ("balanced", "none"):
        params = {"alpha": 1.0 if name == "balanced" else 0.0}
    elif "alpha" not in params:
        raise UsageError("this scheme weights classes, and the label scheme is multi-label", where="--scheme",
                         expected="balanced, inv-sqrt, alpha=A or none", got=scheme)
    if normalize is not None:
        raise UsageError("the weights of a label come in pairs that need no normalisation", where="--normalize",
                         got=normalize, remedy="leave it out")
    if max_ratio is not None and not 1 <= max_ratio < float("inf"):
        raise UsageError("this cap of pos_weight is not possible", where="--max-ratio",
                         expected="a number of at least 1", got=str(max_ratio))
    if not n > 0:
        raise EmoprepError("no train utterance is in the label scheme, so there is nothing to weight",
                           where="class weights", got=", ".join(positives), remedy="choose another with --labels")
    weights, pos_weight = {}, {}
    for label, count in positives.items():
        if not 0 < count < n:
            weights[label], pos_weight[label] = {"pos": 1.0, "neg": 1.0}, None
            continue
        ratio = ((n - count) / count) ** params["alpha"]
        if max_ratio is not None:
            ratio = min(max(ratio, 1 / max_ratio), max_ratio)
        neg = n / (count * ratio + n - count)
        weights[label], pos_weight[label] = {"pos": ratio * neg, "neg": neg}, ratio
    if max_ratio is not None:
        params = {**params, "max_ratio": float(max_ratio)}
    return LabelWeights(tuple(positives), dict(positives), n, name, params, weights, pos_weight,
                        tuple(label for label, value in pos_weight.items() if value is None))
