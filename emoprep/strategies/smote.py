"""SMOTE: new utterances between an utterance and a near one of its class (Chawla et al. 2002).

One pair of parents and one λ ~ U(0, 1) for each new utterance, applied to all its modalities: interpolating
each modality on its own would pair one utterance's words with another's voice. Neighbours are found in a
space where every modality counts the same (`emoprep.methods.neighbors`). A class has its own random numbers, so that
another class's target changes nothing here.

With `imblearn_compat` the parents and λ are, bit for bit, those that `imblearn.over_sampling.SMOTE` draws on
the concatenated raw features; imbalanced-learn itself does not tell them (its issue 772).
"""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Decision, Problem, settle
from emoprep.methods.imblearn_draws import (
    absent_note,
    check_compat,
    check_members,
    draw_pairs,
    raw_rows,
    sklearn_neighbors,
)
from emoprep.methods.pairs import BASE_CHOICE, PAIR_OPTIONS, Drawn, choose_bases, find_partners, pairs_decision
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "smote"
HELP = "interpolate between near utterances of small classes, all modalities together"
NEEDS = "features"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "vectors"
OPTIONS = {**PAIR_OPTIONS, "base_choice": BASE_CHOICE}


def decide(problem: Problem) -> Decision:
    """Draw parents and λ until every class has its target.

    A class has at most as many neighbours as other members; where there is none, the utterance is repeated,
    and a note says so. Raises UsageError for a target below what is there, a class without rows, and in
    compat mode for sequences and for a class with too few rows; EmoprepError for a value that is not finite.

    >>> from emoprep.contracts import Modality
    >>> text = Modality(np.array([[0], [4], [9]], np.float32), np.ones(3, bool))
    >>> problem = Problem(("a", "b", "c"), ("d", "d", "d"), np.array([0, 0, 1]), ("joy", "fear"),
    ...                   {"joy": 3, "fear": 2}, features={"text": text})
    >>> decision = decide(problem)
    >>> decision.op.tolist(), decision.notes
    (['interpolate', 'repeat'], ('fear: 1 of 1 new items repeat an utterance that has no neighbour',))
    """
    options = settle(OPTIONS, problem.options)
    gaps = list(class_gaps(problem, "over"))
    if options["imblearn_compat"]:
        check_compat(problem, options, "SMOTE")
        drawn = [_as_imblearn(problem, label, rows, missing, options["k_neighbors"]) for label, rows, missing in gaps]
        return pairs_decision(problem, drawn, absent_note(problem.features))
    partners, drawn = find_partners(problem, options, NAME), []
    for label, rows, missing in gaps:
        rng = np.random.default_rng(child_seed(problem.seed, NAME, label, 0))
        base = choose_bases(rng, rows, missing, options["base_choice"])
        drawn.append((label, base, *partners.pair(rng, base, rows)))
    return pairs_decision(problem, drawn)


def _as_imblearn(problem: Problem, label: str, rows: np.ndarray, missing: int, k: int) -> Drawn:
    """Draw as `SMOTE._fit_resample`."""
    check_members(label, rows, k, "SMOTE")
    x = raw_rows(problem.features, rows)
    near = sklearn_neighbors(x, x, k)
    row, column, lam = draw_pairs(problem.seed, near, missing)
    return label, rows[row], rows[near[row, column]], lam
