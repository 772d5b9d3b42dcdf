"""How often each dialogue (or utterance) appears, so that classes or labels come out more even.

A unit d is repeated as a whole: r_d appearances, its own included, bring r_d times its row of A [D, K] (how many
utterances of each class, or with each label, it has) and cost r_d times its length. The class totals are C = Σ r_d A_d.

    even_repeats          one appearance more where it raises the Shannon entropy of C the most, again and again
    least_ratio_repeats   the smallest max C / min C, by linear and integer programming; of its solutions the shortest
    repeat_factors        r_d = the largest r_c of its classes, r_c = max(1, √(t / f_c)), as for object detection (Gupta
                          et al. 2019, arXiv:1908.03195)

Units with equal rows of A and equal length are interchangeable: they are counted together, and their appearances are
shared out among them as evenly as they go, the first ones getting what is left over.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from emoprep.errors import EmoprepError

__all__ = ["class_table", "even_repeats", "least_ratio_repeats", "number_dialogues", "repeat_factors", "repeated_rows",
           "rounded_repeats"]

TOLERANCE = 0.0003
"""How far above the smallest possible ratio of classes a solution may lie: what is closer buys nothing but data."""

# Branches of one integer program, and seconds of all of them. MELD takes about a hundred branches and a fifth of a
# second. Which solution comes out must not depend on how fast the machine is, so running out of time is an error.
_NODES = 5_000
_SECONDS = 120.0


def number_dialogues(dialogues: tuple[str, ...]) -> np.ndarray:
    """Return the number of each row's dialogue, int64 [N], counted in the order in which they come.

    >>> number_dialogues(("d7", "d7", "d3")).tolist()
    [0, 0, 1]
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in dialogues], dtype=np.int64)


def class_table(y: np.ndarray, units: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (A int64 [D, K]: rows of each class, or with each label, by unit; their lengths int64 [D]).

    `y` is that of a Problem, [N] or [N, K]; `units` int64 [N] numbers the unit of each row. A row outside the label
    scheme has no class, and counts for the length.

    >>> [part.tolist() for part in class_table(np.array([0, 0, 1, -100]), np.array([0, 0, 1, 1]), 2)]
    [[[2, 0], [0, 1]], [2, 2]]
    """
    lengths = np.bincount(units)
    there = (y == number if y.ndim == 1 else y[:, number] == 1 for number in range(classes))
    columns = [np.bincount(units[rows], minlength=len(lengths)) for rows in there]
    return np.stack(columns, axis=1), lengths


def repeated_rows(units: np.ndarray, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (row, unit's copy from 0, number from 0 over all copies) of the rows of `copies` [D] of each unit, int64.

    >>> [part.tolist() for part in repeated_rows(np.array([0, 0, 1]), np.array([2, 1]))]
    [[0, 1, 0, 1, 2], [0, 0, 1, 1, 0], [0, 0, 1, 1, 2]]
    """
    lengths, order = np.bincount(units, minlength=len(copies)), np.argsort(units, kind="stable")
    start = np.cumsum(lengths) - lengths
    unit = np.repeat(np.arange(len(copies)), copies)
    copy = np.arange(len(unit)) - np.repeat(np.cumsum(copies) - copies, copies)
    number = np.repeat(np.arange(len(unit)), lengths[unit])
    within = np.arange(len(number)) - np.repeat(np.cumsum(lengths[unit]) - lengths[unit], lengths[unit])
    return order[start[unit][number] + within], copy[number], number


# ---------------------------------------------------------------------------------------------------- alike units

@dataclass(frozen=True)
class _Alike:
    """Units that are counted together: `counts` int64 [G, K] of one of them, `lengths` [G], how many (`members` [G]).

    Groups come in the order of their first units; `group` int64 [D] is that of each unit. Classes that nobody has are
    left out, since nothing can be done about them.
    """

    counts: np.ndarray
    lengths: np.ndarray
    members: np.ndarray
    group: np.ndarray

    def shared_out(self, appearances: np.ndarray) -> np.ndarray:
        """Return r int64 [D] of the appearances [G] of each group together."""
        order = np.argsort(self.group, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - np.repeat(np.cumsum(self.members) - self.members, self.members)
        rounds, left = np.divmod(appearances, self.members)
        return rounds[self.group] + (place < left[self.group])


def _alike(counts: np.ndarray, lengths: np.ndarray) -> _Alike:
    counts = counts[:, counts.any(axis=0)]
    distinct, first, group, members = np.unique(np.column_stack([counts, lengths]), axis=0, return_index=True,
                                                return_inverse=True, return_counts=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return _Alike(distinct[order, :-1], distinct[order, -1], members[order], rank[group.ravel()])


def _room(lengths: np.ndarray, budget: float) -> int:
    """Return how many rows there may be in the end."""
    # A hair more than the product, so that 1.1 · 10 is 11.
    return math.floor(budget * int(lengths.sum()) * (1 + 1e-12))


# -------------------------------------------------------------------------------------------------------- evenness

def even_repeats(counts: np.ndarray, lengths: np.ndarray, most: int, budget: float) -> np.ndarray:
    """Return r int64 [D], 1 ≤ r ≤ most and Σ r·length ≤ budget·Σ length, that make the classes even, greedily.

    Ends where no appearance that still fits raises the entropy. Of equally good ones the first unit's is taken.

    >>> even_repeats(np.array([[3, 0], [2, 1], [0, 1]]), np.array([3, 3, 1]), most=5, budget=2).tolist()
    [1, 1, 4]
    """
    units = _alike(counts, lengths)
    totals = (units.counts * units.members[:, None]).sum(axis=0)
    sizes, room = units.counts.sum(axis=1), _room(lengths, budget) - int(lengths.sum())
    added, possible = np.zeros_like(units.members), units.members * (most - 1)
    entropy = _entropy(totals[None], totals.sum())[0] if totals.any() else 0.0
    while True:
        fits = np.flatnonzero((added < possible) & (units.lengths <= room) & (sizes > 0))
        if not len(fits):
            break
        found = _entropy(totals + units.counts[fits], totals.sum() + sizes[fits])
        best = found.max()
        # What differs by rounding alone is equal, whatever the order of the sum.
        if best <= entropy + 1e-12:
            break
        chosen = fits[np.argmax(found >= best - 1e-12)]
        added[chosen] += 1
        totals, room, entropy = totals + units.counts[chosen], room - units.lengths[chosen], best
    return units.shared_out(units.members + added)


def _entropy(totals: np.ndarray, all_together: np.ndarray | int) -> np.ndarray:
    """Return the Shannon entropy float64 [n] of the class shares of totals [n, K], all of them above 0."""
    return np.log(all_together) - (totals * np.log(totals)).sum(axis=1) / all_together


# -------------------------------------------------------------------------------------------------- smallest ratio

def least_ratio_repeats(counts: np.ndarray, lengths: np.ndarray, most: int, budget: float, *, nodes: int = _NODES,
                        seconds: float = _SECONDS) -> tuple[np.ndarray, bool]:
    """Return r int64 [D] with the smallest ratio of the largest to the smallest class, and whether that is proven.

    The bounds are those of `even_repeats`. The ratio is within 0.03 % of the smallest possible one; of the solutions
    with that ratio it is the shortest (to 0.01 %). It is not proven where an integer program was given up after `nodes`
    branches; the result is no worse than that of `even_repeats` then. Raises EmoprepError after `seconds`.

    >>> least_ratio_repeats(np.array([[3, 0], [2, 1], [0, 1]]), np.array([3, 3, 1]), most=5, budget=2)
    (array([1, 1, 4]), True)
    """
    units = _alike(counts, lengths)
    best, proven = units.members, True
    if not units.counts.shape[1]:
        return units.shared_out(best), proven
    room, deadline = _room(lengths, budget), time.monotonic() + seconds
    low, high = _relaxed_ratio(units, most, room), _ratio(best @ units.counts)
    step = TOLERANCE
    while high > low * (1 + TOLERANCE):
        ratio = max(low * (1 + TOLERANCE), min(low * (1 + step), math.sqrt(low * high)))
        found, complete = _shortest(units, most, room, ratio, nodes, deadline)
        proven &= complete
        if found is None:
            # Nothing lies below this one: look further up, in ever larger steps.
            low, step = ratio, 2 * step
        else:
            best, high = found, min(ratio, _ratio(found @ units.counts))
    if proven:
        return units.shared_out(best), True
    return min((units.shared_out(best), even_repeats(counts, lengths, most, budget)),
               key=lambda repeats: _ratio(repeats @ counts)), False


def _ratio(totals: np.ndarray) -> float:
    """Return the ratio of the largest to the smallest of the classes that have members."""
    return float(totals.max() / totals[totals > 0].min())


def _relaxed_ratio(units: _Alike, most: int, room: int) -> float:
    """Return the smallest ratio that fractions of appearances could reach.

    One linear program: with r = r'/s the fraction max C / min C becomes linear (Charnes & Cooper 1962). Its variables
    are r' [G], s and the ratio ρ; 1 ≤ C' ≤ ρ, s·members ≤ r' ≤ s·most·members, and Σ r'·length ≤ s·room.
    """
    from scipy.optimize import linprog
    from scipy.sparse import block_array, csr_array, eye_array

    totals, members = csr_array(units.counts.T.astype(float)), units.members[:, None].astype(float)
    one = np.ones((totals.shape[0], 1))
    bounds = block_array([[-totals, None, 0 * one],
                          [totals, None, -one],
                          [-eye_array(len(members)), members, None],
                          [eye_array(len(members)), -most * members, None],
                          [units.lengths[None].astype(float), np.array([[-float(room)]]), None]], format="csr")
    right = np.zeros(bounds.shape[0])
    right[:len(one)] = -1
    aim = np.zeros(bounds.shape[1])
    aim[-1] = 1
    solved = linprog(aim, A_ub=bounds, b_ub=right, method="highs")
    # r = 1 always fits, so there always is a solution; never below 1, whatever the rounding.
    return max(1.0, float(solved.fun))


def _shortest(units: _Alike, most: int, room: int, ratio: float, nodes: int,
              deadline: float) -> tuple[np.ndarray | None, bool]:
    """Return the appearances int64 [G] of least length whose classes are within `ratio`, and whether that is certain.

    None where there are none, or none was found within `nodes` branches. Raises EmoprepError after the deadline.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    classes = units.counts.shape[1]
    # The last variable is z: z ≤ C ≤ ratio·z for each class.
    limits = np.vstack([np.column_stack([units.counts.T, -np.ones(classes)]),
                        np.column_stack([units.counts.T, np.full(classes, -ratio)]), np.append(units.lengths, 0)])
    lower = np.concatenate([np.zeros(classes), np.full(classes + 1, -np.inf)])
    upper = np.concatenate([np.full(classes, np.inf), np.zeros(classes), [room]])
    solved = milp(
        np.append(units.lengths, 0).astype(float), integrality=np.append(np.ones(len(units.members)), 0),
        bounds=Bounds(np.append(units.members, 0), np.append(units.members * most, np.inf)),
        constraints=LinearConstraint(limits, lower, upper),
        options={"node_limit": nodes, "time_limit": max(0.0, deadline - time.monotonic())})
    if time.monotonic() >= deadline:
        raise EmoprepError("the integer program takes too long", where="--objective min-ir",
                           got=f"{len(units.members)} kinds of units", remedy="use --objective evenness")
    found = None if solved.x is None else np.rint(solved.x[:-1]).astype(np.int64)
    return found, solved.status in (0, 2)


# -------------------------------------------------------------------------------------------------- repeat factors

def repeat_factors(counts: np.ndarray, shares: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (r float64 [K] of each class, r float64 [D] of each unit) for the shares f [K] of the classes.

    >>> [part.tolist() for part in repeat_factors(np.array([[3, 0], [2, 1]]), np.array([5/6, 1/6]), 1.5)]
    [[1.3416407864998738, 3.0], [1.3416407864998738, 3.0]]
    """
    factors = np.sqrt(threshold / np.maximum(shares, np.finfo(float).tiny)).clip(1)
    return factors, np.where(counts > 0, factors, 1.0).max(axis=1, initial=1.0)


def rounded_repeats(factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ⌊r⌋, or one more with the probability of what r has beyond it, int64 [D].

    >>> rounded_repeats(np.array([1.0, 2.0, 2.5]), np.random.default_rng(0))[:2].tolist()
    [1, 2]
    """
    whole = np.floor(factors)
    return (whole + (rng.random(len(factors)) < factors - whole)).astype(np.int64)
