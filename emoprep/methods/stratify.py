"""Which group goes to which split: groups stay whole, and every split looks like the whole.

A group is what must not be torn apart: a dialogue, or a speaker with all dialogues it takes part in (and all
speakers of those). To the method it is a row of numbers: its utterances, then its utterances of each class.
With x_gk these numbers, T_k their totals and s_j the asked shares, split j should get e_jk = s_j·T_k of column
k. What is made small is Pearson's X² of what it gets, and what is missing:

    X² = Σ_j Σ_k (Σ_{g in j} x_gk − e_jk)² / e_jk  +  Σ_j m_j·(0.05)²·T_0 / s_j

Pearson's statistic weighs each class as chance does: a class of 20 may be off by some, one of 2,000 may not. m_j
counts the classes that split j lacks although it could have them: a class in one group should be in train, in
two also in test, in three in all. Such a gap weighs as much as 5 points of the split's size.

A start is iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label
Data", algorithm 1) with groups in the place of examples: the class with the fewest utterances left is dealt out
first, its richest group first, to the split that still lacks most of it. Then single groups are moved, and pairs
swapped, the best one each time, until none makes the sum smaller. Where groups are few this is done again and again
with a few groups of the best one thrown about (an iterated local search, Lourenço, Martin and Stützle 2003).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emoprep.errors import UsageError
from emoprep.utterance import SPLITS

__all__ = ["connected_groups", "stratify"]

GAP = 0.05
"""A class that a split could have and lacks weighs as much as this share of the split's size."""

NEGLIGIBLE = 1e-6
MOST_STEPS = 3000
KICKS, KICK = 100, 4  # so often, so many groups are thrown about
GROUPS_KICKED = 50_000  # many groups need no second try
PAIRS = 250  # groups of each split that are tried for a swap

_PRIORITY = ("train", "test", "dev")
"""Who has a rare class first: what is not learned cannot be tested, and what is not tested is not known."""


def connected_groups(rows: Iterable[Sequence[Hashable]]) -> list[int]:
    """Return the group of each row, numbered as they come: rows that share a value in any column are together.

    Two rows are in one group also where a chain of others links them.

    >>> connected_groups([("dia0", "Joey"), ("dia1", "Ross"), ("dia2", "Joey"), ("dia1", "Joey"), ("dia3", "Max")])
    [0, 0, 0, 0, 1]
    """
    parent: dict[Hashable, Hashable] = {}

    def root(node):
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node
    first = []
    for row in rows:
        nodes = list(enumerate(row))  # a speaker may be called like a dialogue
        for node in nodes[1:]:
            parent[root(node)] = root(nodes[0])
        first.append(nodes[0])
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(root(node), len(numbers)) for node in first]


def stratify(sizes: Sequence[int], classes: np.ndarray, shares: Mapping[str, float], *, seed: int = 0) -> list[str]:
    """Return the split of each group.

    `sizes` has the utterances of each of the G groups, `classes` [G, K] those of each class among them (with
    several labels an utterance they may add up to more, and rows outside the scheme are in `sizes` only).
    `shares` has the asked share of "train", "dev" and "test"; they add up to 1, and 0 leaves a split empty.
    The same arguments give the same splits. Raises UsageError where there are fewer groups than splits.

    >>> classes = np.array([[4, 0], [0, 1], [4, 0], [0, 1], [4, 0], [0, 1], [4, 0], [0, 1]])
    >>> splits = stratify([4, 1, 4, 1, 4, 1, 4, 1], classes, {"train": 0.5, "dev": 0.25, "test": 0.25})
    >>> [splits.count(name) for name in ("train", "dev", "test")], splits[0::2].count("train")
    ([4, 2, 2], 2)
    """
    names = [name for name in SPLITS if shares.get(name, 0) > 0]
    if len(sizes) < len(names):
        raise UsageError("there are fewer groups than splits", got=str(len(sizes)),
                         expected=f"at least one for each of {', '.join(names)}", remedy="a share of 0 makes no split")
    random = np.random.default_rng(seed)
    # What is equally good is taken as it comes: the order is the first thing that the seed decides.
    order = random.permutation(len(sizes))
    wanted = _Wanted.of(np.asarray(sizes)[order], np.asarray(classes)[order], names, [shares[name] for name in names])
    best = _Assignment(wanted, _deal(wanted))
    best.improve(random)
    for _ in range(min(KICKS, GROUPS_KICKED // len(sizes))):
        kicked = best.split.copy()
        kicked[random.integers(len(sizes), size=KICK)] = random.integers(len(names), size=KICK)
        other = _Assignment(wanted, kicked)
        other.improve(random)
        if other.cost() < best.cost() - NEGLIGIBLE:
            best = other
    splits = np.empty(len(sizes), np.int64)
    splits[order] = best.split
    return [names[number] for number in splits]


@dataclass(frozen=True)
class _Wanted:
    """The numbers of each group x [G, 1 + K] (its size first), what each split should get e [J, 1 + K], and gaps.

    `has` [G, 1 + K] is 1 where a group has a class at all, `gap` [J, 1 + K] what it costs a split to lack it: 0
    where it need not be there. To have no group at all is a gap too, larger than all else together.
    """

    x: np.ndarray
    e: np.ndarray
    has: np.ndarray
    gap: np.ndarray

    @classmethod
    def of(cls, sizes, classes, names, shares) -> _Wanted:
        x = np.column_stack([sizes, classes]).astype(np.float64)
        x = x[:, np.append(True, x.sum(axis=0)[1:] > 0)]  # a class that nobody has is in no split
        shares, has = np.array(shares), (x > 0).astype(np.float64)
        has[:, 0] = 1
        priority = [name for name in _PRIORITY if name in names]
        rank = np.array([priority.index(name) for name in names])
        gap = np.where(rank[:, None] < has.sum(axis=0), GAP**2 * x[:, 0].sum() / shares[:, None], 0)
        gap[:, 0] = 2 * x.sum() / shares.min()
        return cls(x, shares[:, None] * x.sum(axis=0), has, gap)


def _deal(wanted: _Wanted) -> np.ndarray:
    """Return a first split of each group, by iterative stratification."""
    x, lacks = wanted.x, wanted.e.copy()
    split, left, rest = np.full(len(x), -1), np.ones(len(x), bool), x.sum(axis=0)
    while left.any():
        # The size is the last class to be dealt out: groups that have no class at all.
        there = np.flatnonzero(rest[1:] > 0) + 1
        rarest = there[rest[there].argmin()] if len(there) else 0
        members = np.flatnonzero(left & (wanted.has[:, rarest] > 0))
        for group in members[np.argsort(-x[members, rarest], kind="stable")]:
            # The split that lacks most of this class; among equals the one that lacks most utterances.
            chosen = max(range(len(lacks)), key=lambda number: (lacks[number, rarest], lacks[number, 0]))
            split[group] = chosen
            lacks[chosen] -= x[group]
        left[members] = False
        rest -= x[members].sum(axis=0)
    return split


class _Assignment:
    """The split of each group while it is being improved, and what each split then has.

    `got` [J, 1 + K] are utterances, `groups` [J, 1 + K] how many groups of the split have a class.
    """

    def __init__(self, wanted: _Wanted, split: np.ndarray):
        self.wanted, self.split = wanted, split
        members = (split == np.arange(len(wanted.e))[:, None]).astype(np.float64)
        self.got, self.groups = members @ wanted.x, members @ wanted.has
        self.square = wanted.x**2 @ (1 / wanted.e).T  # what a group adds to a split that has just enough

    def cost(self) -> float:
        """Return the sum that is made small."""
        wanted = self.wanted
        return float(((self.got - wanted.e)**2 / wanted.e).sum() + wanted.gap[self.groups == 0].sum())

    def improve(self, random: np.random.Generator) -> None:
        """Move or swap groups, the best first, until nothing gets better."""
        for _ in range(MOST_STEPS):
            moves = self._moves()
            group, target = np.unravel_index(moves.argmin(), moves.shape)
            if moves[group, target] < -NEGLIGIBLE:
                self._put(group, target)
                continue
            change, pair = self._best_swap(moves, random)
            if change >= -NEGLIGIBLE:
                return
            for group, target in zip(pair, self.split[pair[::-1]], strict=True):
                self._put(group, target)

    def _put(self, group: int, target: int) -> None:
        for held, numbers in ((self.got, self.wanted.x[group]), (self.groups, self.wanted.has[group])):
            held[self.split[group]] -= numbers
            held[target] += numbers
        self.split[group] = target

    def _moves(self) -> np.ndarray:
        """Return what moving each group to each split would change [G, J]; infinity for where it is."""
        wanted, own = self.wanted, self.split[:, None]
        slope = 2 * wanted.x @ ((self.got - wanted.e) / wanted.e).T
        enter = self.square + slope - wanted.has @ (wanted.gap * (self.groups == 0)).T
        leave = self.square - slope + wanted.has @ (wanted.gap * (self.groups == 1)).T
        moves = enter + np.take_along_axis(leave, own, axis=1)
        np.put_along_axis(moves, own, np.inf, axis=1)
        return moves

    def _best_swap(self, moves: np.ndarray, random: np.random.Generator) -> tuple[float, np.ndarray]:
        """Return what the best swap of two groups changes, and the two.

        It is both moves, less what they have in common: (g − h)² = g² + h² − 2gh.
        """
        wanted, alone = self.wanted, self.wanted.gap * (self.groups == 1)
        best, pair = 0.0, np.empty(0, np.int64)
        for a, b in itertools.combinations(range(len(wanted.e)), 2):
            of_a, of_b = (_some(np.flatnonzero(self.split == number), random) for number in (a, b))
            common = 2 * (wanted.x[of_a] * (1 / wanted.e[[a, b]]).sum(axis=0)) @ wanted.x[of_b].T \
                + (wanted.has[of_a] * alone[[a, b]].sum(axis=0)) @ wanted.has[of_b].T
            change = moves[of_a, b][:, None] + moves[of_b, a] - common
            row, column = np.unravel_index(change.argmin(), change.shape)
            if change[row, column] < best:
                best, pair = change[row, column], np.array([of_a[row], of_b[column]])
        return best, pair


def _some(groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return groups if len(groups) <= PAIRS else random.choice(groups, PAIRS, replace=False)
