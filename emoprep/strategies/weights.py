"""Weights only: every row stays, nothing is made, and the loss is weighted by `class_weights.json`."""

from __future__ import annotations

from emoprep.contracts import Decision, Problem, Setting

NAME = "weights"
HELP = "leave the data as it is and write loss weights (the cheapest, and a hard one to beat)"
NEEDS = "labels"
DIRECTION = "none"
TASKS = ("single-label", "multi-label")
MAKES = "nothing"
OPTIONS: dict[str, Setting] = {}


def decide(problem: Problem) -> Decision:
    """Keep every row; `problem.targets` are not looked at.

    >>> import numpy as np
    >>> decision = decide(Problem(("a", "b"), ("d", "d"), np.array([0, 1]), ("joy", "fear"), {}))
    >>> decision.kept.tolist(), len(decision.base)
    (['keep', 'keep'], 0)
    """
    return Decision.of(problem)
