"""Repeat utterances of small classes: drawn at random with replacement, or each about as often.

Random draws are imbalanced-learn's RandomOverSampler in kind (from a generator of our own, one for each
class, so that another class's target changes nothing here). They leave some utterances out; with `even`, of
a class that grows m-fold each utterance appears ⌊m⌋ or ⌈m⌉ times, the original included. With `imblearn_compat` the
draws are RandomOverSampler's own.
"""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.pairs import COMPAT, evenly
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "oversample"
HELP = "repeat utterances of small classes"
NEEDS = "labels"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "copies"
OPTIONS = {"even": Setting(False, "use each original equally often"), "imblearn_compat": COMPAT}


def decide(problem: Problem) -> Decision:
    """Repeat rows until every class has its target.

    Raises UsageError for a target below what is there, and for a class without rows.

    >>> problem = Problem(("a", "b"), ("d", "d"), np.array([0, 1]), ("joy", "fear"), {"joy": 3, "fear": 1})
    >>> decision = decide(problem)
    >>> decision.op.tolist(), decision.base.tolist()
    (['repeat', 'repeat'], [0, 0])
    """
    options = settle(OPTIONS, problem.options)
    if options["even"] and options["imblearn_compat"]:
        raise UsageError("imbalanced-learn has no --even", where="--imblearn-compat", got="--even",
                         remedy="leave one of the two out")
    # imbalanced-learn has one stream of random numbers for all classes.
    shared = np.random.RandomState(problem.seed)
    drawn = [np.empty(0, dtype=np.int64)]
    for label, rows, missing in class_gaps(problem, "over"):
        rng = shared if options["imblearn_compat"] else np.random.default_rng(
            child_seed(problem.seed, NAME, label, 0))
        drawn.append(evenly(rng, rows, missing) if options["even"] else rng.choice(rows, missing))
    return Decision.of(problem, "repeat", np.concatenate(drawn))
