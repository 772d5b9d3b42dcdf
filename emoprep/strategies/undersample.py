"""Take utterances of large classes out of the loss, drawn at random without replacement.

imbalanced-learn's RandomUnderSampler in kind. An utterance that is dropped tears a hole into its dialogue,
so by default it stays as context with loss_mask 0; `--drop delete` removes it.
"""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "undersample"
HELP = "take utterances of large classes out of the loss (they stay as context), or drop them"
NEEDS = "labels"
DIRECTION = "under"
TASKS = ("single-label",)
MAKES = "nothing"
OPTIONS = {"drop": Setting("mask", "by loss mask (the utterance stays as context), or deleting", "mask|delete")}

_KEPT = {"mask": "mask", "delete": "drop"}


def decide(problem: Problem) -> Decision:
    """Mask or drop rows until every class has its target; rows outside the scheme stay.

    Raises UsageError for a target above what is there, and for another value of `--drop`.

    >>> problem = Problem(("a", "b"), ("d", "d"), np.array([0, 0]), ("joy",), {"joy": 1})
    >>> sorted(decide(problem).kept.tolist())
    ['keep', 'mask']
    """
    drop = settle(OPTIONS, problem.options)["drop"]
    if drop not in _KEPT:
        raise UsageError("this way to drop is not known", where="--drop", expected="mask or delete", got=drop,
                         remedy="mask keeps the utterance as context, delete removes it")
    kept = np.full(len(problem.keys), "keep")
    for label, rows, surplus in class_gaps(problem, "under"):
        rng = np.random.default_rng(child_seed(problem.seed, NAME, label, 0))
        kept[rng.choice(rows, min(surplus, len(rows)), replace=False)] = _KEPT[drop]
    return Decision.of(problem, kept=kept)
