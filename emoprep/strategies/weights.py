"""Weights only: every row stays, nothing is made, and the loss is weighted by `class_weights.json`."""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Decision, Problem

NAME = "weights"
HELP = "leave the data as it is and write loss weights (the cheapest, and a hard one to beat)"
NEEDS = "labels"
DIRECTION = "none"
TASKS = ("single-label", "multi-label")
MAKES = "nothing"
OPTIONS = {}


def decide(problem: Problem) -> Decision:
    """Keep every row; `problem.targets` are not looked at.

    >>> decision = decide(Problem(("a", "b"), ("d", "d"), np.array([0, 1]), ("joy", "fear"), {}))
    >>> decision.kept.tolist(), len(decision.base)
    (['keep', 'keep'], 0)
    """
    none = np.empty(0, dtype=np.int64)
    return Decision(kept=np.full(len(problem.keys), "keep"), op=np.empty(0, dtype="<U6"),
                    base=none, neighbor=none, lam=np.empty(0))
