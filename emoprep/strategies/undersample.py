"""Take utterances of large classes out of the loss, drawn at random without replacement.

imbalanced-learn's RandomUnderSampler in kind. An utterance that is dropped tears a hole into its dialogue,
so by default it stays as context with loss_mask 0; `--drop delete` removes it. With `imblearn_compat` the draws are
RandomUnderSampler's own, given the classes that shrink and their counts.
"""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Decision, Problem, settle
from emoprep.methods.pairs import COMPAT
from emoprep.methods.parents import DROP, gone_as
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "undersample"
HELP = "take utterances of large classes out of the loss (they stay as context), or drop them"
NEEDS = "labels"
DIRECTION = "under"
TASKS = ("single-label",)
MAKES = "nothing"
OPTIONS = {"drop": DROP, "imblearn_compat": COMPAT}


def decide(problem: Problem) -> Decision:
    """Mask or drop rows until every class has its target; rows outside the scheme stay.

    Raises UsageError for a target above what is there, and for another value of `--drop`.

    >>> problem = Problem(("a", "b"), ("d", "d"), np.array([0, 0]), ("joy",), {"joy": 1})
    >>> sorted(decide(problem).kept.tolist())
    ['keep', 'mask']
    """
    options = settle(OPTIONS, problem.options)
    kept, how = np.full(len(problem.keys), "keep"), gone_as(options["drop"])
    shared = np.random.RandomState(problem.seed)
    for label, rows, surplus in class_gaps(problem, "under"):
        if options["imblearn_compat"]:  # one stream of random numbers for all classes, and it draws who stays
            gone = np.delete(rows, shared.choice(len(rows), len(rows) - surplus, replace=False))
        else:
            rng = np.random.default_rng(child_seed(problem.seed, NAME, label, 0))
            gone = rng.choice(rows, min(surplus, len(rows)), replace=False)
        kept[gone] = how
    return Decision.of(problem, kept=kept)
