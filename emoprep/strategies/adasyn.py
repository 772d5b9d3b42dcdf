"""ADASYN: the more neighbours of other classes an utterance has, the more is made of it (He et al. 2008).

r is the share of other classes among the k nearest utterances of any class; of the G items that a class lacks,
G·r/Σr are made of each utterance, each between it and a near one of its class. The shares are rounded by largest
remainders, so that the class reaches its target exactly.

With `imblearn_compat` the outcome is, bit for bit, that of `imblearn.over_sampling.ADASYN`, which rounds each share by
itself and so misses the target by a few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoprep.contracts import Decision, Problem, settle
from emoprep.errors import UsageError
from emoprep.methods.imblearn_draws import (
    WHERE,
    absent_note,
    check_compat,
    check_members,
    raw_rows,
    sklearn_neighbors,
)
from emoprep.methods.pairs import PAIR_OPTIONS, choose_bases, find_partners, foreign_neighbors, pairs_decision
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "adasyn"
HELP = "as smote, with more made of the utterances that lie among other classes"
NEEDS = "features"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "vectors"
OPTIONS = PAIR_OPTIONS


def decide(problem: Problem) -> Decision:
    """Draw parents and λ until every class has its target.

    A class that has no neighbour of another class gets plain SMOTE, and a note says so; compat mode refuses it.
    Raises as `smote`.

    >>> from emoprep.contracts import Modality
    >>> text = Modality(np.array([[0], [4], [5], [6], [8]], np.float32), np.ones(5, bool))
    >>> problem = Problem(tuple("abcde"), tuple("abcde"), np.array([0, 0, 0, 1, 1]), ("fear", "joy"),
    ...                   {"fear": 6, "joy": 2}, options={"k_neighbors": 3}, features={"text": text})
    >>> decide(problem).base.tolist()
    [0, 1, 2]
    """
    options = settle(OPTIONS, problem.options)
    gaps = list(class_gaps(problem, "over"))
    if options["imblearn_compat"]:
        return _as_imblearn(problem, gaps, options["k_neighbors"])
    partners, drawn, notes = find_partners(problem, options, NAME), [], []
    counted = foreign_neighbors(partners.space, problem.y, [rows for _, rows, _ in gaps], partners.k)
    for (label, rows, missing), (found, foreign) in zip(gaps, counted, strict=True):
        rng = np.random.default_rng(child_seed(problem.seed, NAME, label, 0))
        ratio = foreign / np.maximum(1, found)
        if ratio.any():
            base = np.repeat(rows, largest_remainders(ratio, missing))
        else:
            notes.append(f"{label}: none of its {len(rows)} utterances has a neighbour of another class, so its "
                         f"{missing} new items are plain SMOTE's")
            base = choose_bases(rng, rows, missing, "random")
        drawn.append((label, base, *partners.pair(rng, base, rows)))
    return pairs_decision(problem, drawn, notes)


def largest_remainders(ratio: np.ndarray, total: int) -> np.ndarray:
    """Return whole numbers int64 [n] that sum to `total`, as near to ratio/Σratio·total as can be; ties to the first.

    >>> largest_remainders(np.array([1, 2, 2]), 4).tolist()
    [1, 2, 1]
    """
    share = ratio / ratio.sum() * total
    whole = np.floor(share).astype(np.int64)
    left = np.argsort(whole - share, kind="stable")[:total - whole.sum()]
    whole[left] += 1
    return whole


# ------------------------------------------------------------------------------- imbalanced-learn's draws

def _as_imblearn(problem: Problem, gaps: Sequence[tuple[str, np.ndarray, int]], k: int) -> Decision:
    """Draw as `ADASYN._fit_resample`: one generator for all classes."""
    check_compat(problem, settle(OPTIONS, problem.options), "ADASYN")
    inside = np.flatnonzero(problem.y >= 0)
    random, drawn, notes = np.random.RandomState(problem.seed), [], absent_note(problem.features)
    x = raw_rows(problem.features, inside) if gaps else None
    for label, rows, missing in gaps:
        check_members(label, rows, k, "ADASYN")
        mine = np.searchsorted(inside, rows)
        near = inside[sklearn_neighbors(x, x[mine], k)]
        ratio = (problem.y[near] != problem.labels.index(label)).sum(axis=1) / k
        share = np.rint(ratio / (ratio.sum() or 1) * missing).astype(int)
        if not share.any():
            raise UsageError(
                f"imbalanced-learn's ADASYN cannot add to {label}", where=WHERE,
                expected="neighbours of other classes", remedy="use --strategy smote, or leave --imblearn-compat out",
                got=f"none for the {len(rows)} of {label}" if not ratio.any() else "shares that all round to 0")
        near = rows[sklearn_neighbors(x[mine], x[mine], k)]
        row = np.repeat(np.arange(len(rows)), share)
        column = random.choice(k, size=len(row))
        drawn.append((label, rows[row], near[row, column], random.uniform(size=len(row))))
        if len(row) != missing:
            notes.append(f"{label}: imbalanced-learn's ADASYN makes {len(row)} for {missing}, since it rounds each "
                         f"share by itself")
    return pairs_decision(problem, drawn, notes)
