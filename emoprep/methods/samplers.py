"""Sampling weights: how often a trainer draws each row, so that classes come evenly without a file of copies.

With n_c the count of class c, a row's class is drawn with (Kang et al. 2020, section 3)

    p_c(q) = n_c^q / Σ n^q

`instance` is q = 1 (every row alike), `square-root` q = ½, `class-balanced` q = 0 (every class alike).
`progressive` goes from the first to the last over the T epochs of a run: p_c = (1 − t/T)·p_c(1) + (t/T)·p_c(0).
A row has p_c/n_c, so all weights sum to 1.

A multi-label row has the largest 1/n_l^(1−q) of its labels; one without any label has the median of the others,
times `empty_weight`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoprep.errors import EmoprepError, UsageError
from emoprep.labels import OUTSIDE

__all__ = ["SAMPLERS", "Sampler", "class_probabilities", "parse_sampler", "sampler"]

SAMPLERS = {"instance": (1.0, 1.0), "square-root": (0.5, 0.5), "class-balanced": (0.0, 0.0), "progressive": (1.0, 0.0)}
"""The samplers by name, each with the q of the first epoch and of the last."""


@dataclass(frozen=True)
class Sampler:
    """Which row a trainer draws how often.

    `weights` float64 [N] sum to 1 and are what the first epoch draws by; rows that do not count have 0.
    `weights_last` are those of the last epoch, None where they stay. An epoch has `num_samples` draws with
    replacement, as many as there are rows that count. `draws` and `different` are what an epoch takes of each
    class (a progressive one: half way): draws, and different rows among them, both expected.
    """

    name: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    weights: np.ndarray
    weights_last: np.ndarray | None
    num_samples: int
    seed: int
    draws: dict[str, float]
    different: dict[str, float]

    @property
    def corrects(self) -> bool:
        """Whether classes are drawn otherwise than they are there."""
        return SAMPLERS.get(self.name) != (1.0, 1.0)

    @property
    def notes(self) -> tuple[str, ...]:
        taken = ", ".join(f"{label} {self.draws[label]:,.0f} times ({self.different[label]:,.0f} different)"
                          for label in self.labels)
        when = " half way" if self.weights_last is not None else ""
        return (f"sampler {self.name}: of {self.num_samples:,} draws an epoch{when} takes {taken}",)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `sampler.npz` holds: plain arrays, which need no pickle.

        `weights_last` is there where the sampler is progressive: epoch t of T draws by
        (1 − t/T)·weights + (t/T)·weights_last.
        """
        last = {} if self.weights_last is None else {"weights_last": self.weights_last}
        return {"ids": np.array(self.ids, dtype=np.str_), "weights": self.weights, **last,
                "num_samples": np.int64(self.num_samples), "replacement": np.bool_(True),
                "level": np.str_("utterance"), "sampler": np.str_(self.name), "seed": np.int64(self.seed),
                "labels": np.array(self.labels, dtype=np.str_)}


def sampler(text: str, ids: Sequence[str], y: np.ndarray, loss_mask: np.ndarray, labels: Sequence[str], *,
            seed: int = 0, empty_weight: float | None = None) -> Sampler:
    """Return the sampler that `--sampler` names, for rows with these ids, classes and loss masks.

    `y` is int [N], −100 outside the scheme; of a multi-label scheme int [N, K], −100 throughout outside. Rows
    outside or with loss_mask 0 are never drawn. `empty_weight` (1 unasked) is for several labels only. Raises
    UsageError for a sampler or an `empty_weight` that is not possible, EmoprepError where no row counts.

    >>> found = sampler("class-balanced", "abcd", np.array([0, 0, 0, 1]), np.array([1, 1, 0, 1]), ("joy", "fear"))
    >>> found.weights.tolist(), found.num_samples, found.draws
    ([0.25, 0.25, 0.0, 0.5], 3, {'joy': 1.5, 'fear': 1.5})
    """
    name, first, last = parse_sampler(text)
    mask = np.where(y.reshape(len(y), -1)[:, 0] == OUTSIDE, 0.0, loss_mask).astype(np.float64)
    holds = y == 1 if y.ndim == 2 else y[:, np.newaxis] == np.arange(len(labels))
    if not (holds * mask[:, np.newaxis]).any():
        raise EmoprepError("no train utterance is in a class, so there is nothing to draw", where="--sampler",
                           got=", ".join(labels), remedy="choose another label scheme with --labels")
    empty_weight = _check_empty_weight(empty_weight, y)
    weights, then = (_row_weights(holds, mask, q, empty_weight, multi=y.ndim == 2) for q in (first, last))
    half_way, num_samples = (weights + then) / 2, int((mask > 0).sum())
    with np.errstate(divide="ignore"):  # a row that is drawn always
        # 1 − (1 − w)^m loses its digits for small w.
        seen = -np.expm1(num_samples * np.log1p(-half_way))
    # What is off by the last bit would stand in files as 4709.999999999999.
    draws, different = ((shares @ holds).round(6).tolist() for shares in (num_samples * half_way, seen))
    return Sampler(name, tuple(ids), tuple(labels), weights, then if last != first else None, num_samples, seed,
                   dict(zip(labels, draws, strict=True)), dict(zip(labels, different, strict=True)))


def parse_sampler(text: str) -> tuple[str, float, float]:
    """Return the sampler's name and its q in the first and in the last epoch; a number is q itself.

    >>> parse_sampler("square-root"), parse_sampler("progressive"), parse_sampler("0.25")
    (('square-root', 0.5, 0.5), ('progressive', 1.0, 0.0), ('0.25', 0.25, 0.25))
    """
    if text in SAMPLERS:
        return text, *SAMPLERS[text]
    try:
        q = float(text)
    except ValueError:
        q = math.nan
    if not 0 <= q <= 1:
        raise UsageError("this sampler is not known", where="--sampler",
                         expected=", ".join(SAMPLERS) + ", or a number q from 0 to 1", got=repr(text),
                         remedy="write for example --sampler square-root")
    return next((name for name, both in SAMPLERS.items() if both == (q, q)), f"{q:g}"), q, q


def class_probabilities(counts: np.ndarray, q: float) -> np.ndarray:
    """Return p_c(q) float64 [K]; a class without members is never drawn.

    >>> class_probabilities(np.array([900, 100, 0]), 0.5).tolist()
    [0.75, 0.25, 0.0]
    """
    powers = _powers(np.asarray(counts, dtype=np.float64), q)
    return powers / powers.sum()


def _powers(counts: np.ndarray, exponent: float) -> np.ndarray:
    return np.power(counts, exponent, where=counts > 0, out=np.zeros(len(counts)))


def _row_weights(holds: np.ndarray, mask: np.ndarray, q: float, empty_weight: float, *, multi: bool) -> np.ndarray:
    """Return float64 [N], summing to 1. `holds` is bool [N, K], `mask` float [N]."""
    counts = mask @ holds
    if not multi:
        return (holds @ (class_probabilities(counts, q) * _powers(counts, -1))) * mask
    weights = (holds * _powers(counts, q - 1)).max(axis=1)
    labelled = holds.any(axis=1)
    weights[~labelled] = np.median(weights[labelled & (mask > 0)]) * empty_weight
    weights *= mask
    return weights / weights.sum()


def _check_empty_weight(value: float | None, y: np.ndarray) -> float:
    if value is not None and y.ndim == 1:
        raise UsageError("only a row of several labels can be without any", where="--empty-weight",
                         expected="a multi-label scheme", remedy="leave it out")
    value = 1.0 if value is None else value
    if not 0 <= value < math.inf:
        raise UsageError("this weight is not possible", where="--empty-weight",
                         expected="a number of at least 0", got=str(value))
    return value
