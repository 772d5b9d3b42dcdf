"""ML-ROS: repeat utterances that have a rare label (Charte et al. 2015, Neurocomputing 163, algorithm 3).

A label is rare while its IRLbl is above MeanIR. Rare labels take turns: one of the utterances that have the label is
drawn and repeated, and all counts with it. It stops at `--percent` of the data, or when no label is rare any more. A
repeated utterance takes its other labels along, frequent ones too: `--strategy repeat --unit utterance` chooses label
sets by what they do to all labels, and comes out more even at the same size.
"""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.methods.multilabel import check_percent, effect, inside_rows, label_ratios, rare_labels
from emoprep.utterance import child_seed

NAME = "ml-ros"
HELP = "several labels: repeat utterances that have a rare label"
NEEDS = "labels"
DIRECTION = "own"
TASKS = ("multi-label",)
MAKES = "copies"
OPTIONS = {"percent": Setting(25, "how many to make, in percent of the data", "P")}


def decide(problem: Problem) -> Decision:
    """Draw utterances of the rare labels in turn. Raises UsageError for an impossible `--percent`.

    >>> y = np.array([[1, 0]] * 7 + [[0, 1]], np.int8)
    >>> problem = Problem(tuple("abcdefgh"), tuple("abcdefgh"), y, ("happy", "fear"), {}, options={"percent": 50})
    >>> decision = decide(problem)
    >>> decision.base.tolist(), decision.notes
    ([7, 7, 7, 7], ('4 made: MeanIR 4.00 → 1.20',))
    """
    inside = inside_rows(problem.y)
    size = check_percent(settle(OPTIONS, problem.options)["percent"], len(inside))
    y = problem.y.astype(np.int64)
    counts = y[inside].sum(axis=0)
    drawn = _drawn(problem, y, inside, counts, size)
    notes = effect(problem, counts, counts + y[drawn].sum(axis=0), len(drawn))
    if len(drawn) < size and counts.any():
        notes += (f"{size:,} were asked for; after {len(drawn):,} no label has an IRLbl above MeanIR",)
    return Decision.of(problem, "repeat", drawn, notes=notes)


def _drawn(problem: Problem, y: np.ndarray, inside: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """Return the rows to repeat, int64 [≤ size], in the order in which they are drawn."""
    counts = counts.copy()
    present, drawn = counts > 0, []
    draws = {}
    for label in np.flatnonzero(rare_labels(counts)):
        bag = inside[y[inside, label] == 1]
        rng = np.random.default_rng(child_seed(problem.seed, NAME, problem.labels[label], 0))
        draws[label] = iter(bag[rng.integers(len(bag), size=size)])
    while draws and len(drawn) < size:
        for label in list(draws):
            if len(drawn) == size:
                break
            drawn.append(next(draws[label]))
            counts += y[drawn[-1]]
            ratios = label_ratios(counts)
            if ratios[label] <= ratios[present].mean():
                del draws[label]
    return np.array(drawn, dtype=np.int64)
