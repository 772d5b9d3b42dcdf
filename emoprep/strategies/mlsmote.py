"""MLSMOTE: new utterances between near ones that share a rare label (Charte et al. 2015, Knowledge-Based Systems 89).

For each label whose IRLbl is above MeanIR, and for each utterance that has it: its k nearest utterances with that
label, one of them drawn, λ ~ U(0, 1), and a point between the two, in all modalities at once (see `smote`). The labels
of the new utterance are decided by the utterance and all k neighbours together: `--label-rule ranking` gives it those
that more than half of them have. The label that it was made for is always among them, since all of them have it.

MeanIR is that of the start, IRLbl counts what was made for the labels before. Parents are always rows of IN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.multilabel import RULES, effect, inside_rows, label_ratios, label_rows, rare_labels, ruled_labels
from emoprep.methods.pairs import PAIR_OPTIONS, Drawn, find_partners, pairs_decision
from emoprep.utterance import child_seed

NAME = "mlsmote"
HELP = "several labels: interpolate between near utterances that share a rare label"
NEEDS = "features"
DIRECTION = "own"
TASKS = ("multi-label",)
MAKES = "vectors"
OPTIONS = {
    # imbalanced-learn has no MLSMOTE that could be drawn bit for bit.
    **{name: setting for name, setting in PAIR_OPTIONS.items() if name != "imblearn_compat"},
    "label_rule": Setting("ranking", "labels of a new utterance: those that most, any or all of the utterance and its "
                                     "neighbours have", "|".join(RULES)),
    "passes": Setting(1, "how many to make of each utterance for each of its rare labels", "P")}


def decide(problem: Problem) -> Decision:
    """Make one utterance of each that has a rare label, for that label; `--passes` times, while the label is rare.

    One that has no neighbour with its label is repeated, and a note says so. Raises UsageError for an option that is
    out of range and where there is no feature; EmoprepError for a value that is not finite.

    >>> from emoprep.contracts import Modality
    >>> text = Modality(np.array([[0], [1], [4], [9], [9], [9]], np.float32), np.ones(6, bool))
    >>> y = np.array([[0, 1], [1, 1], [1, 0], [1, 0], [1, 0], [1, 0]], np.int8)
    >>> problem = Problem(tuple("abcdef"), tuple("dddeee"), y, ("happy", "fear"), {}, features={"text": text})
    >>> decision = decide(problem)
    >>> decision.base.tolist(), decision.neighbor.tolist(), decision.label_rows.tolist()
    ([0, 1], [1, 0], [[0, 0], [0, 1]])
    """
    options = settle(OPTIONS, problem.options)
    _check(options)
    inside, partners = inside_rows(problem.y), find_partners(problem, options, NAME)
    y = problem.y.astype(np.int64)
    before = y[inside].sum(axis=0)
    counts, mean = before.copy(), float(np.nanmean(label_ratios(before))) if before.any() else 1.0
    near: dict[int, np.ndarray] = {}
    drawn, labels = [], [np.empty((0, y.shape[1]), dtype=np.int64)]
    for number in range(options["passes"]):
        for label in range(len(problem.labels)):
            if not rare_labels(counts, mean)[label]:
                continue
            rows = inside[y[inside, label] == 1]
            near[label] = near[label] if label in near else partners.near(rows, rows)
            drawn.append(_drawn(problem, label, rows, near[label], number))
            wanted = ruled_labels(y, rows, near[label], options["label_rule"])
            labels.append(label_rows(y, rows, near[label], wanted))
            counts += np.take_along_axis(y, labels[-1], axis=0).sum(axis=0)
    made = sum(len(one[1]) for one in drawn)
    return pairs_decision(problem, drawn, effect(problem, before, counts, made), label_rows=np.concatenate(labels))


def _drawn(problem: Problem, label: int, rows: np.ndarray, near: np.ndarray, number: int) -> Drawn:
    """Draw one of the neighbours `near` [n, ≤ k] of each row, and λ, for the pass of this number."""
    rng = np.random.default_rng(child_seed(problem.seed, NAME, problem.labels[label], number))
    choices = (near >= 0).sum(axis=1)
    place, lam = rng.random(len(rows)), rng.random(len(rows))
    neighbor = near[np.arange(len(rows)), (place * choices).astype(np.int64)]
    return problem.labels[label], rows, neighbor, np.where(neighbor < 0, np.nan, lam)


def _check(options: Mapping[str, Any]) -> None:
    rule, passes = options["label_rule"], options["passes"]
    if rule not in RULES:
        raise UsageError("not known", where="--label-rule", expected=" or ".join(RULES), got=repr(rule))
    if not isinstance(passes, int) or not 1 <= passes <= 100:
        raise UsageError("this number of passes is not possible", where="--passes",
                         expected="a whole number from 1 to 100", got=str(passes), remedy="write --passes 1")
