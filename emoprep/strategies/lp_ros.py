"""LP-ROS: repeat utterances of rare label sets (Charte et al. 2015, Neurocomputing 163, algorithm 1).

A label set is rare if fewer utterances have it than a label set has on average. The number to be made is shared out
evenly among the rare ones, the largest first; none grows beyond the average, and what one cannot take goes to the later
ones. Having no label is a label set, too, but nobody wants more of it: it is left as it is without `--clone-empty`.
"""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.methods.multilabel import check_percent, effect, inside_rows, rare_sets
from emoprep.utterance import child_seed

NAME = "lp-ros"
HELP = "several labels: repeat utterances of rare label sets"
NEEDS = "labels"
DIRECTION = "own"
TASKS = ("multi-label",)
MAKES = "copies"
OPTIONS = {"percent": Setting(25, "how many to make, in percent of the data", "P"),
           "clone_empty": Setting(False, "repeat utterances without any label, too, where they are rare")}


def decide(problem: Problem) -> Decision:
    """Draw utterances of each rare label set, with replacement. Raises UsageError for an impossible `--percent`.

    >>> y = np.array([[1, 0]] * 6 + [[0, 1]] + [[0, 0]], np.int8)
    >>> decision = decide(Problem(tuple("abcdefgh"), tuple("abcdefgh"), y, ("happy", "fear"), {}))
    >>> decision.base.tolist(), decision.notes[0]
    ([6], 'rare label sets: 1, with fewer utterances than the mean of 2.7')
    """
    options, inside = settle(OPTIONS, problem.options), inside_rows(problem.y)
    size = left = check_percent(options["percent"], len(inside))
    y = problem.y[inside].astype(np.int64)
    rare, mean = rare_sets(y)
    rare = [bag for bag in rare if any(bag[0]) or options["clone_empty"]]
    drawn = [np.empty(0, dtype=np.int64)]
    for number, (labels, rows) in enumerate(rare):
        # What is left is shared evenly by those to come, so what this one cannot take is theirs.
        more = min(int(mean) - len(rows), left // (len(rare) - number))
        named = "+".join(name for name, there in zip(problem.labels, labels, strict=True) if there)
        rng = np.random.default_rng(child_seed(problem.seed, NAME, named, 0))
        drawn.append(inside[rng.choice(rows, more)])
        left -= more
    base, counts = np.concatenate(drawn), y.sum(axis=0)
    notes = (f"rare label sets: {len(rare)}, with fewer utterances than the mean of {mean:.1f}",
             *effect(problem, counts, counts + problem.y[base].sum(axis=0, dtype=np.int64), len(base)))
    if left and rare:
        notes += (f"{size:,} were asked for; then every rare label set has as many as the mean",)
    return Decision.of(problem, "repeat", base, notes=notes)
