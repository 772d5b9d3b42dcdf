"""Loss weights, margins and logit adjustments from class counts, and the document `class_weights.json`.

With n_c the count of class c, N their sum and K the number of classes that have members:

    balanced           N/(K·n_c), as scikit-learn's "balanced"                            mean1
    inverse            1/n_c                                                              mean1
    inv-sqrt           n_c^−½                                                             mean1
    alpha=A            n_c^−A                                                             mean1
    effective[=BETA]   (1−β)/(1−β^n_c), β = 0.999 unasked; Cui et al. 2019, eq. 2         sumK
    median-frequency   median(n)/n_c; Eigen & Fergus 2015                                 none
    log                max(1, ln(0.15·N/n_c))                                             none
    none               1                                                                  none

The last column is the normalisation that goes with it: `mean1` (mean over rows: Σ n_c·w_c = N, which keeps
the learning rate), `sumK` (Σ w_c = K), `max1`, `min1`, `none`.

Two corrections are no weights: the margins of LDAM and the adjustments of the logits (`ldam_margins`,
`logit_adjustments`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoprep.errors import EmoprepError, UsageError

__all__ = ["NORMALIZATIONS", "SCHEMES", "ClassWeights", "class_weights", "ldam_margins", "logit_adjustments",
           "parse_scheme", "plain_number"]

SCHEMES = {"balanced": "mean1", "inverse": "mean1", "inv-sqrt": "mean1", "alpha": "mean1",
           "effective": "sumK", "median-frequency": "none", "log": "none", "none": "none"}
"""The schemes, each with the normalisation that goes with it."""

NORMALIZATIONS = ("mean1", "sumK", "max1", "min1", "none")

_FORMS = "balanced, inverse, inv-sqrt, alpha=A, effective, effective=BETA, median-frequency, log or none"
_BETA = 0.999
_LOG_SHARE = 0.15


@dataclass(frozen=True)
class ClassWeights:
    """Weights per class, and what they were computed from.

    Per-class values are keyed by class name in the order of `labels`. A class without members has weight 0,
    is listed in `absent`, and its log prior is None. `kish_ess` is (Σ n_c·w_c)²/Σ n_c·w_c²: how many equally
    weighted rows carry as much as these (Kish 1965).
    """

    labels: tuple[str, ...]
    counts: dict[str, int | float]
    scheme: str
    params: dict[str, float]
    normalize: str
    weights: dict[str, float]
    n: int | float
    kish_ess: float
    absent: tuple[str, ...]
    log_prior: dict[str, float | None]

    def to_array(self) -> np.ndarray:
        """Return float32 [K] in the order of `labels`, as `class_weights.npy` holds it."""
        return np.array([self.weights[label] for label in self.labels], dtype=np.float32)

    def of_rows(self, y: np.ndarray, loss_mask: np.ndarray) -> np.ndarray:
        """Return the sample weights float32 [N] of rows of class `y` int [N]: the class's weight × loss_mask.

        A row outside the scheme (y = −100) has 0.

        >>> class_weights({"neutral": 6, "joy": 3}).of_rows(np.array([1, 0, -100]), np.array([1, 0.5, 1])).tolist()
        [1.5, 0.375, 0.0]
        """
        inside = y >= 0
        return (self.to_array()[np.where(inside, y, 0)] * inside * loss_mask).astype(np.float32)

    def to_json(self, *, task: str = "single-label", counts_source: str = "original") -> dict[str, Any]:
        """Return the document `class_weights.json`; `counts_source` is "original" or says which plan."""
        return {"schema": "emoprep.class_weights/1", "task": task, "split": "train",
                "labels": list(self.labels), "counts": dict(self.counts), "n": self.n,
                "counts_source": counts_source, "scheme": self.scheme, "params": dict(self.params),
                "normalize": self.normalize, "weights": dict(self.weights), "kish_ess": self.kish_ess,
                "absent": list(self.absent), "log_prior": dict(self.log_prior)}


def class_weights(counts: Mapping[str, int | float], scheme: str = "balanced", *,
                  normalize: str | None = None, max_ratio: float | None = None) -> ClassWeights:
    """Return the weights of the classes in `counts` (sums of loss_mask may be fractions).

    `scheme` is a text such as "alpha=0.25". `normalize` overrides the scheme's own normalisation. `max_ratio`
    caps the largest weight at that multiple of the smallest, before normalising. Raises UsageError for a
    scheme, a normalisation or a cap that is not known, EmoprepError for counts that are none.

    >>> class_weights({"neutral": 6, "joy": 3, "fear": 0}).weights
    {'neutral': 0.75, 'joy': 1.5, 'fear': 0.0}
    """
    name, params = parse_scheme(scheme)
    normalize = _check_normalization(normalize or SCHEMES[name])
    labels, n = tuple(counts), _check_counts(counts)
    present = n > 0
    raw = _raw_weights(name, params, n[present])
    if max_ratio is not None:
        raw, params = _cap(raw, max_ratio), {**params, "max_ratio": float(max_ratio)}
    weights = np.zeros(len(n))
    weights[present] = _normalized(raw, n[present], normalize)
    mass = n * weights
    return ClassWeights(
        labels=labels, counts=dict(zip(labels, map(plain_number, n), strict=True)),
        scheme=name, params=params, normalize=normalize,
        weights=dict(zip(labels, weights.tolist(), strict=True)), n=plain_number(round(float(n.sum()), 3)),
        kish_ess=float(mass.sum() ** 2 / (mass * weights).sum()),
        absent=tuple(label for label, there in zip(labels, present, strict=True) if not there),
        log_prior=logit_adjustments(dict(zip(labels, n.tolist(), strict=True))))


def ldam_margins(counts: Mapping[str, int | float], max_m: float = 0.5) -> dict[str, float | None]:
    """Return the margin Δ_c = max_m·(n_min/n_c)^¼ of each class, None for one without members.

    Cao et al. 2019 (LDAM), scaled so that the smallest class has `max_m`, as the authors' code does.

    >>> ldam_margins({"neutral": 1600, "fear": 100, "joy": 0})
    {'neutral': 0.25, 'fear': 0.5, 'joy': None}
    """
    smallest = min((count for count in counts.values() if count > 0), default=0)
    return {label: max_m * (smallest / count) ** 0.25 if count > 0 else None for label, count in counts.items()}


def logit_adjustments(counts: Mapping[str, int | float], tau: float = 1.0) -> dict[str, float | None]:
    """Return τ·ln π_c of each class, π_c its share of the counts; None for one without members.

    Added to the logits in the loss, or subtracted from them when predicting (Menon et al. 2021). At τ = 1 the
    loss is the balanced softmax of Ren et al. 2020.

    >>> logit_adjustments({"neutral": 1, "joy": 1, "fear": 0}, tau=0.5)
    {'neutral': -0.34657359027997264, 'joy': -0.34657359027997264, 'fear': None}
    """
    n = sum(counts.values())
    return {label: tau * math.log(count / n) if count > 0 else None for label, count in counts.items()}


def parse_scheme(text: str) -> tuple[str, dict[str, float]]:
    """Return the scheme's name and its parameters.

    >>> parse_scheme("effective"), parse_scheme("alpha=0.25")
    (('effective', {'beta': 0.999}), ('alpha', {'alpha': 0.25}))
    """
    name, equals, value = text.strip().partition("=")
    if name not in SCHEMES or (equals and name not in ("alpha", "effective")) or text.strip() == "alpha":
        raise UsageError("this weighting scheme is not known", where="--scheme", expected=_FORMS,
                         got=repr(text), remedy="write for example --scheme alpha=0.5")
    if name == "alpha":
        return name, {"alpha": _parameter(name, value, 0.0, 1.0, "A from 0 to 1")}
    if name == "effective":
        # At β = 0 the logarithm has no value, at β = 1 every weight is 0/0.
        low, high = math.nextafter(0.0, 1.0), math.nextafter(1.0, 0.0)
        expected = "BETA above 0 and below 1"
        return name, {"beta": _parameter(name, value, low, high, expected) if equals else _BETA}
    return name, {"alpha": 0.5} if name == "inv-sqrt" else {}


def _parameter(name: str, text: str, low: float, high: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise UsageError(f"the number of the scheme {name} is not possible", where="--scheme",
                         expected=f"{name}=…, {expected}", got=text or "nothing",
                         remedy=f"write for example --scheme {name}={_BETA if name == 'effective' else 0.5}")
    return value


def _check_normalization(name: str) -> str:
    if name not in NORMALIZATIONS:
        raise UsageError("this normalisation is not known", where="--normalize",
                         expected=", ".join(NORMALIZATIONS), got=name,
                         remedy="leave it out for the scheme's own")
    return name


def _check_counts(counts: Mapping[str, int | float]) -> np.ndarray:
    n = np.array(list(counts.values()), dtype=np.float64)
    for label, count in zip(counts, n, strict=True):
        if not (math.isfinite(count) and count >= 0):
            raise EmoprepError("this count is no count", where=f"class {label}",
                               expected="a number, not negative", got=str(count), remedy="check loss_mask")
    if not (n > 0).any():
        raise EmoprepError("no class has a member in train, so there is nothing to weight",
                           where="class weights", got=", ".join(counts) or "no class",
                           remedy="choose another label scheme with --labels")
    return n


def _raw_weights(name: str, params: Mapping[str, float], n: np.ndarray) -> np.ndarray:
    """Return float64 [K] for counts that are all positive."""
    if name == "balanced":
        return n.sum() / (len(n) * n)
    if name == "effective":
        beta = params["beta"]
        # 1 − β^n loses its digits for β near 1; expm1 keeps them.
        return (1 - beta) / -np.expm1(n * math.log(beta))
    if name == "median-frequency":
        return np.median(n) / n
    if name == "none":
        return np.ones(len(n))
    if name == "log":
        return np.maximum(1.0, np.log(_LOG_SHARE * n.sum() / n))
    return 1 / n if name == "inverse" else n ** -params["alpha"]


def _cap(weights: np.ndarray, max_ratio: float) -> np.ndarray:
    if not 1 <= max_ratio < math.inf:
        raise UsageError("this cap of the largest to the smallest weight is not possible",
                         where="--max-ratio", expected="a number of at least 1", got=str(max_ratio),
                         remedy="write for example --max-ratio 10")
    return np.minimum(weights, weights.min() * max_ratio)


def _normalized(weights: np.ndarray, n: np.ndarray, normalize: str) -> np.ndarray:
    scale = {"mean1": n.sum() / (n * weights).sum(), "sumK": len(n) / weights.sum(),
             "max1": 1 / weights.max(), "min1": 1 / weights.min(), "none": 1.0}[normalize]
    # What is already so stays as it is, so that `balanced` equals scikit-learn's to the last bit.
    return weights if abs(scale - 1) < 1e-12 else weights * scale


def plain_number(number: float) -> int | float:
    """Return 4710 for 4710.0: counts that are whole are written as whole numbers."""
    return int(number) if float(number).is_integer() else float(number)
