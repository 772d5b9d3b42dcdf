"""What corrects the skew that the plan leaves: class_weights.json and .npy, sampler.npz, sample weights.

One skew is corrected once. All numbers are of what a trainer will meet: the rows after the plan, or, with a sampler,
its draws. `--weights-from original` takes the counts before the plan instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.errors import UsageError
from emoprep.labels import MULTI, LabelScheme
from emoprep.methods.class_weights import (
    ClassWeights,
    class_weights,
    ldam_margins,
    logit_adjustments,
    parse_scheme,
    plain_number,
)
from emoprep.methods.label_weights import LabelWeights, label_weights
from emoprep.methods.samplers import Sampler, parse_sampler
from emoprep.methods.stages import STAGES, training_stages
from emoprep.store.folder import draft, write_bytes

if TYPE_CHECKING:
    import pyarrow

__all__ = ["WEIGHTS_FROM", "Asked", "Weighing", "choose_weighting", "weigh", "write_sampler"]

WEIGHTS_FROM = ("residual", "original")

LDAM_SCALE = 30
"""The factor s of the logits in the LDAM loss, as its authors have it."""


@dataclass(frozen=True)
class Weighing:
    """The weights of a run, and the other corrections that its counts give; one of them is for a loss.

    `focal` and `stages` are as `class_weights.json` has them; so are `ldam` and `logit_adjust`, which are None for a
    multi-label scheme. `counts_source` says which counts: "original", "plan:<strategy>" or "sampler:<name>".
    """

    scheme: LabelScheme
    weights: ClassWeights | LabelWeights
    counts_source: str
    focal: dict[str, Any]
    ldam: dict[str, Any] | None
    logit_adjust: dict[str, Any] | None
    stages: list[dict[str, Any]] | None

    def document(self, *, corpus: str, seed: int) -> dict[str, Any]:
        """Return the document `class_weights.json`."""
        single = {} if self.scheme.task == MULTI else {"ldam": self.ldam, "logit_adjust": self.logit_adjust}
        return {**self.weights.to_json(task=self.scheme.task, counts_source=self.counts_source), "focal": self.focal,
                **single, "stages": self.stages, "corpus": corpus, "label_scheme": self.scheme.name, "seed": seed}

    def write(self, out: Path, *, corpus: str, seed: int) -> None:
        """Write class_weights.json and class_weights.npy."""
        document = json.dumps(self.document(corpus=corpus, seed=seed), ensure_ascii=False, indent=1, allow_nan=False)
        write_bytes(out / "class_weights.json", (document + "\n").encode())
        with draft(out / "class_weights.npy") as sketch, sketch.open("wb") as file:
            np.save(file, self.weights.to_array())

    def line(self) -> str:
        """Return the numbers of class_weights.npy on one line, for a Makefile or a shell.

        Each is the shortest decimal that reads back as the same float32.
        """
        return " ".join(np.format_float_positional(weight, trim="-") for weight in self.weights.to_array())

    def sample_weights(self, y: np.ndarray, loss_mask: np.ndarray) -> pyarrow.Array:
        """Return the column `sample_weight` of rows with classes `y` and these loss masks.

        It is float32, of a multi-label scheme a list of float32 in the order of the labels; 0 for a row that is in
        no loss.
        """
        import pyarrow

        values = self.weights.of_rows(y, loss_mask)
        if values.ndim == 1:
            return pyarrow.array(values)
        return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), values.shape[1])


@dataclass(frozen=True)
class Asked:
    """What was asked of the weights: the options of `emoprep balance` of these names."""

    scheme: str | None = None
    normalize: str | None = None
    max_ratio: float | None = None
    weights_from: str = "residual"
    sampler: str | None = None
    empty_weight: float | None = None
    stages: str | None = None
    focal_gamma: float = 3.0
    focal_alpha: bool = False
    tau: float | None = None
    sample_weights: bool = False

    def __post_init__(self):
        """Raise UsageError for what is not possible before anything is read."""
        self.weighting  # noqa: B018
        if self.empty_weight is not None and self.sampler is None:
            raise UsageError("only a sampler reads this", where="--empty-weight",
                             remedy="leave it out, or add --sampler")

    @property
    def weighting(self) -> str:
        """The weighting scheme; raises UsageError for what cannot be meant."""
        found = choose_weighting(self.scheme, sampler=self.sampler, stages=self.stages, weights_from=self.weights_from,
                                 normalize=self.normalize, max_ratio=self.max_ratio)
        if found == "none" and self.focal_alpha:
            raise UsageError("all weights are 1, so this changes nothing", where="--focal-alpha", remedy="leave it out")
        return found

    def weigh(self, scheme: LabelScheme, before: tuple[Mapping[str, float], float],
              after: tuple[Mapping[str, float], float], *, strategy: str, sampler: Sampler | None) -> Weighing:
        """Return the weights; `before` and `after` are counts by class, and the rows in the scheme."""
        return weigh(scheme, before[0], after[0], before[1], after[1], strategy=strategy, weighting=self.weighting,
                     normalize=self.normalize, max_ratio=self.max_ratio, weights_from=self.weights_from,
                     sampler=sampler, stages=self.stages, focal_gamma=self.focal_gamma, focal_alpha=self.focal_alpha,
                     tau=self.tau)


def choose_weighting(scheme: str | None, *, sampler: str | None = None, stages: str | None = None,
                     weights_from: str = "residual", normalize: str | None = None, max_ratio: float | None = None
                     ) -> str:
    """Return the weighting scheme of a run; `scheme` is what was asked for, if anything.

    Where a sampler or cRT's second stage corrects the skew, no weights do; asking for both is refused unless
    `weights_from` says that it is meant.

    >>> choose_weighting(None), choose_weighting(None, sampler="square-root"), choose_weighting(None, stages="drw")
    ('balanced', 'none', 'effective=0.9999')
    """
    for option, value, known in (("--weights-from", weights_from, WEIGHTS_FROM), ("--stages", stages, STAGES)):
        if value is not None and value not in known:
            raise UsageError("not known", where=option, expected=" or ".join(known), got=value)
    if scheme is not None:
        parse_scheme(scheme)
    sampled = sampler is not None and parse_sampler(sampler)[1:] != (1.0, 1.0)
    if weights_from == "residual" and (sampled or stages == "crt"):
        _refuse_twice(scheme, f"--sampler {sampler}" if sampled else "--stages crt", stages)
    if scheme is None and stages == "drw":
        scheme = "effective=0.9999"
    if scheme is None:
        elsewhere = weights_from == "residual" and (sampler is not None or stages == "crt")
        scheme = "none" if elsewhere else "balanced"
    if stages == "crt" and sampler is not None and not sampled:
        raise UsageError("classifier re-training draws classes otherwise than they are there",
                         where=f"--sampler {sampler}", expected="class-balanced, square-root, progressive or q",
                         remedy="leave --sampler out")
    if scheme == "none" and (normalize is not None or max_ratio is not None):
        raise UsageError("all weights are 1, so this changes nothing", remedy="leave it out",
                         where="--normalize" if normalize is not None else "--max-ratio")
    return scheme


def _refuse_twice(scheme: str | None, corrects: str, stages: str | None) -> None:
    asked = "--stages drw" if stages == "drw" else f"--scheme {scheme}" if scheme not in (None, "none") else None
    if asked:
        raise UsageError(f"{corrects} corrects the skew already, and these weights would correct it a second time",
                         where=asked, remedy="leave one of them out, or add --weights-from original if both are meant")


def weigh(scheme: LabelScheme, before: Mapping[str, float], after: Mapping[str, float], n_before: float,
          n_after: float, *, strategy: str, weighting: str = "balanced", normalize: str | None = None,
          max_ratio: float | None = None, weights_from: str = "residual", sampler: Sampler | None = None,
          stages: str | None = None, focal_gamma: float = 3.0, focal_alpha: bool = False, tau: float | None = None
          ) -> Weighing:
    """Return the weights of classes (or labels) with these counts before and after the plan of a strategy.

    `n_before` and `n_after` are the train rows in the scheme (sums of loss_mask), `weighting` is what
    `choose_weighting` returned. `focal_alpha` puts the weights into the focal loss, too; `tau` (1 unasked) is that of
    the logit adjustment.
    """
    counts, n, source = after, n_after, "original" if before == after else f"plan:{strategy}"
    if weights_from == "original":
        counts, n, source = before, n_before, "original"
    elif sampler is not None and sampler.corrects:
        counts, n, source = sampler.draws, sampler.num_samples, f"sampler:{sampler.name}"
    counts, n = {label: plain_number(count) for label, count in counts.items()}, plain_number(n)
    multi = scheme.task == MULTI
    if multi and (tau is not None or stages == "drw"):
        raise UsageError("this is for one class an utterance, and the label scheme is multi-label",
                         where="--tau" if tau is not None else "--stages drw", got=scheme.name,
                         remedy="leave it out, or choose a single-label scheme with --labels")

    def weights_of(name: str, **settings: Any) -> ClassWeights | LabelWeights:
        return label_weights(counts, n, name, **settings) if multi else class_weights(counts, name, **settings)
    weights = weights_of(weighting, normalize=normalize, max_ratio=max_ratio)
    alpha = weights_of(weighting, normalize=None if multi else "mean1", max_ratio=max_ratio).weights
    tau = _not_negative("--tau", 1.0 if tau is None else tau, most=1000)
    return Weighing(
        scheme, weights, source,
        focal={"gamma": _not_negative("--focal-gamma", focal_gamma), "alpha": dict(alpha) if focal_alpha else None},
        ldam=None if multi else {"max_m": 0.5, "s": LDAM_SCALE, "margins": ldam_margins(counts, 0.5)},
        logit_adjust=None if multi else {"tau": tau, "adjustments": logit_adjustments(counts, tau)},
        stages=None if stages is None else training_stages(
            stages, weights_of("none").weights, weighting, weights.weights,
            sampler=sampler.name if sampler is not None and sampler.corrects else "class-balanced"))


def write_sampler(sampler: Sampler, path: Path) -> None:
    """Write sampler.npz; its arrays are plain, so that it is read without pickle."""
    with draft(path) as sketch, sketch.open("wb") as file:
        np.savez_compressed(file, **sampler.arrays())


def _not_negative(option: str, value: float, most: float = math.inf) -> float:
    if not (0 <= value <= most and value < math.inf):
        raise UsageError("this number is not possible", where=option, got=str(value),
                         expected="a number of at least 0" if most == math.inf else f"a number from 0 to {most:g}",
                         remedy=f"write for example {option} 1")
    return float(value)
