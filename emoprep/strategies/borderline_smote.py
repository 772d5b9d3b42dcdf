"""Borderline-SMOTE: SMOTE from the utterances alone that lie where classes meet (Han, Wang & Mao 2005).

Of the m nearest utterances of any class, m' are of another one. An utterance is in danger if m/2 ≤ m' < m; those with
m' = m are noise and the others safe. Only utterances in danger become bases. Kind 1 interpolates toward near ones of
the class; kind 2 toward near ones of any class, with λ·U(0, ½) toward another's: it makes points on the way to other
classes under the label of this one, and a note counts them.

With `imblearn_compat` the outcome is, bit for bit, that of `imblearn.over_sampling.BorderlineSMOTE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.imblearn_draws import (
    WHERE,
    absent_note,
    check_compat,
    check_members,
    draw_pairs,
    raw_rows,
    sklearn_neighbors,
)
from emoprep.methods.interpolate import blend
from emoprep.methods.pairs import (
    BASE_CHOICE,
    PAIR_OPTIONS,
    check_count,
    choose_bases,
    find_partners,
    foreign_neighbors,
    pairs_decision,
)
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "borderline-smote"
HELP = "as smote, from the utterances alone that lie where classes meet"
NEEDS = "features"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "vectors"
OPTIONS = {**PAIR_OPTIONS, "base_choice": BASE_CHOICE,
           "m_neighbors": Setting(10, "neighbours of any class that tell who is in danger", "M"),
           "kind": Setting(1, "interpolate toward the class alone, or toward any class", "1|2")}


def decide(problem: Problem) -> Decision:
    """Draw parents and λ until every class has its target.

    A class without utterances in danger gets plain SMOTE, and a note says so (imbalanced-learn, and so compat mode,
    adds nothing to it). Raises as `smote`.

    >>> from emoprep.contracts import Modality
    >>> text = Modality(np.array([[0], [4], [5], [6], [7], [8], [30]], np.float32), np.ones(7, bool))
    >>> problem = Problem(tuple("abcdefg"), tuple("abcdefg"), np.array([0, 0, 0, 1, 1, 1, 1]), ("fear", "joy"),
    ...                   {"fear": 9, "joy": 4}, options={"m_neighbors": 3}, features={"text": text})
    >>> sorted(set(decide(problem).base.tolist()))
    [1, 2]
    """
    options = settle(OPTIONS, problem.options)
    check_count("m_neighbors", options["m_neighbors"], 10)
    if options["kind"] not in (1, 2):
        raise UsageError("this kind of Borderline-SMOTE is not known", where="--kind", expected="1 or 2",
                         got=str(options["kind"]), remedy="1 interpolates within the class, 2 toward other classes too")
    gaps = list(class_gaps(problem, "over"))
    inside = np.flatnonzero(problem.y >= 0)
    if options["imblearn_compat"]:
        return _as_imblearn(problem, gaps, inside, options)
    partners, drawn, notes = find_partners(problem, options, NAME), [], []
    counted = foreign_neighbors(partners.space, problem.y, [rows for _, rows, _ in gaps], options["m_neighbors"])
    for (label, rows, missing), (found, foreign) in zip(gaps, counted, strict=True):
        rng = np.random.default_rng(child_seed(problem.seed, NAME, label, 0))
        danger = rows[in_danger(found, foreign)]
        if not len(danger):
            notes.append(f"{label}: none of its {len(rows)} utterances is where classes meet, so its {missing} new "
                         f"items are plain SMOTE's")
        base = choose_bases(rng, danger if len(danger) else rows, missing, options["base_choice"])
        beyond = options["kind"] == 2 and len(danger) > 0
        neighbor, lam = partners.pair(rng, base, inside if beyond else rows)
        toward = (neighbor >= 0) & (problem.y[neighbor] != problem.y[base])
        lam[toward] *= rng.uniform(0, 0.5, np.count_nonzero(toward))
        notes += _foreign_note(label, toward)
        drawn.append((label, base, neighbor, lam))
    return pairs_decision(problem, drawn, notes)


def in_danger(found: np.ndarray | int, foreign: np.ndarray) -> np.ndarray:
    """Return which rows are in danger, from how many near rows they have and how many of these are foreign.

    >>> in_danger(4, np.array([1, 2, 3, 4])).tolist()
    [False, True, True, False]
    """
    return (foreign >= found / 2) & (foreign < found)


def _foreign_note(label: str, foreign: np.ndarray) -> list[str]:
    if not foreign.any():
        return []
    return [f"{label}: {np.count_nonzero(foreign)} of {len(foreign)} new items lie on the way to an utterance of "
            f"another class"]


# ------------------------------------------------------------------------------- imbalanced-learn's draws

def _as_imblearn(problem: Problem, gaps: Sequence[tuple[str, np.ndarray, int]], inside: np.ndarray,
                 options: dict[str, Any]) -> Decision:
    """Draw as `BorderlineSMOTE._fit_resample`."""
    check_compat(problem, options, "BorderlineSMOTE")
    k, m = options["k_neighbors"], options["m_neighbors"]
    if gaps and len(inside) <= max(k, m):
        raise UsageError("imbalanced-learn's BorderlineSMOTE finds too few utterances", where=WHERE,
                         expected=f"more than {max(k, m)} in train", got=str(len(inside)),
                         remedy="lower --m-neighbors and --k-neighbors, or leave --imblearn-compat out")
    drawn, scale, notes = [], [np.empty(0)], absent_note(problem.features)
    x = raw_rows(problem.features, inside) if gaps else None
    for label, rows, missing in gaps:
        number, mine = problem.labels.index(label), np.searchsorted(inside, rows)
        near = inside[sklearn_neighbors(x, x[mine], m)]
        danger = mine[in_danger(m, (problem.y[near] != number).sum(axis=1))]
        if not len(danger):
            notes.append(f"{label}: none of its {len(rows)} utterances is where classes meet, so imbalanced-learn "
                         f"adds none of {missing}")
            continue
        if options["kind"] == 1:
            check_members(label, rows, k, "BorderlineSMOTE")
        among = mine if options["kind"] == 1 else np.arange(len(inside))
        near = among[sklearn_neighbors(x[among], x[danger], k)]
        row, column, lam = draw_pairs(problem.seed, near, missing)
        base, neighbor = inside[danger[row]], inside[near[row, column]]
        foreign, factor = problem.y[neighbor] != number, np.ones(missing)
        # Here too the library reads its integer seed again.
        factor[foreign] = np.random.RandomState(problem.seed).uniform(0.0, 0.5, np.count_nonzero(foreign))
        notes += _foreign_note(label, foreign)
        drawn.append((label, base, neighbor, lam))
        scale.append(factor)
    return _scaled(problem, pairs_decision(problem, drawn, notes), np.concatenate(scale))


def _scaled(problem: Problem, decision: Decision, factor: np.ndarray) -> Decision:
    """Scale λ toward foreign neighbours; noise is what the library's rounding of factor·(x_j − x_i) adds."""
    if (factor == 1).all():
        return decision
    lam = decision.lam * factor

    def noise(items: np.ndarray) -> dict[str, np.ndarray]:
        base, neighbor, found = decision.base[items], decision.neighbor[items], {}
        for name, modality in problem.features.items():
            values = np.asarray(modality.values, dtype=np.float32)
            first, second = values[base], values[neighbor]
            step = ((second - first) * factor[items, None]).astype(np.float32)
            theirs = (first + decision.lam[items, None] * step).astype(np.float32)
            found[name] = theirs.astype(np.float64) - blend(first, second, lam[items])
        return found

    return replace(decision, lam=lam, noise=noise)
