"""Pairs of parents: which rows are drawn as bases, who may be their partner, and the λ between them.

What `smote`, `borderline-smote` and `adasyn` have in common, with the options that they share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoprep.contracts import Decision, Problem, Setting
from emoprep.errors import UsageError
from emoprep.methods.neighbors import NeighborSpace, any_neighbors, class_neighbors, neighbor_space, places_of

__all__ = ["BASE_CHOICE", "COMPAT", "PAIR_OPTIONS", "Partners", "check_count", "choose_bases", "evenly",
           "find_partners", "foreign_neighbors", "pairs_decision"]

COMPAT = Setting(False, "draw bit for bit what imbalanced-learn draws")
BASE_CHOICE = Setting("random", "draw each base at random, or use each equally often", "random|even")
PAIR_OPTIONS = {
    "k_neighbors": Setting(5, "neighbours to choose from", "K", "-k"),
    "within": Setting("label", "parents share their class alone, or also their speaker or session",
                      "label|speaker|session"),
    "not_within": Setting(None, "parents are never of the same dialogue", "dialogue"),
    "neighbor_modalities": Setting(None, "modalities that choose neighbours, as text,audio; else all", "NAMES"),
    "modality_weight": Setting((), "weight of a modality when neighbours are chosen; else 1", "NAME=W"),
    "imblearn_compat": COMPAT,
    # Carried out where the vectors are made: see `emoprep.methods.interpolate`.
    "renorm": Setting("off", "bring unit vectors back to length 1", "off|auto")}

Drawn = tuple[str, np.ndarray, np.ndarray, np.ndarray]
"""A class, and base, neighbor (−1: none) and λ (NaN: none) of its new items, [n] each."""


@dataclass(frozen=True)
class Partners:
    """Who may be whose partner: the `k` nearest in `space`, of the same `group` (−1: unknown), not of those `apart`.

    `group` and `apart` are int64 [N], None where there is no such rule.
    """

    space: NeighborSpace
    k: int
    group: np.ndarray | None = None
    apart: np.ndarray | None = None

    def near(self, rows: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Return the partners int64 [n, ≤ k] of `rows` among others (both ascending), −1 where there is none."""
        k = min(self.k, len(among))
        if self.group is None:
            return class_neighbors(self.space, among, k, rows, self.apart)
        found = np.full((len(rows), k), -1, dtype=np.int64)
        for number in np.unique(self.group[rows][self.group[rows] >= 0]):
            mine = self.group[rows] == number
            found[mine] = class_neighbors(self.space, among[self.group[among] == number], k, rows[mine], self.apart)
        return found

    def pair(self, rng: np.random.Generator, base: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw for each base int64 [n] one of its partners, and λ ~ U(0, 1); −1 and NaN where it has none."""
        rows, at = np.unique(base, return_inverse=True)
        near = self.near(rows, among)
        choices = (near >= 0).sum(axis=1)[at]
        place, lam = rng.random(len(base)), rng.random(len(base))
        neighbor = near[at, (place * choices).astype(np.int64)]
        return neighbor, np.where(neighbor < 0, np.nan, lam)


def find_partners(problem: Problem, options: Mapping[str, Any], strategy: str) -> Partners:
    """Read PAIR_OPTIONS: fit the space in which neighbours are found, and take down who may not be a partner.

    Raises UsageError for an option that makes no sense here, EmoprepError for a value that is not finite.
    """
    check_count("k_neighbors", options["k_neighbors"], 5)
    if not problem.features:
        raise UsageError("there is no feature to interpolate", where=f"--strategy {strategy}",
                         expected="a feature store", remedy="run `emoprep features` first")
    group, apart = None, None
    if options["within"] in ("speaker", "session"):
        group = _numbers(getattr(problem, options["within"] + "s"))
        if group is None:
            raise UsageError(f"nobody knows the {options['within']}s of this corpus", where="--within",
                             expected=f"a {options['within']} for train utterances", got="none",
                             remedy="leave --within out")
    elif options["within"] != "label":
        raise UsageError("this bound on parents is not known", where="--within", expected="label, speaker or session",
                         got=str(options["within"]), remedy="leave it out, and parents share their class alone")
    if options["not_within"] == "dialogue":
        apart = _numbers(problem.dialogues)
    elif options["not_within"] is not None:
        raise UsageError("this bound on parents is not known", where="--not-within", expected="dialogue",
                         got=str(options["not_within"]), remedy="leave it out")
    weights = _weights(problem.features, options["neighbor_modalities"], options["modality_weight"])
    return Partners(neighbor_space(problem.features, problem.keys, weights), options["k_neighbors"], group, apart)


def foreign_neighbors(space: NeighborSpace, y: np.ndarray, classes: Sequence[np.ndarray], m: int
                      ) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for the rows of each class how many of their m nearest of any class there are, and how many are foreign.

    `classes` are the rows of some classes; rows with y = −100 are nobody's neighbour.
    """
    inside = np.flatnonzero(y >= 0)
    # All classes at once, since a distance then serves both of its rows.
    queries = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *classes]))
    near = any_neighbors(space, places_of(space, inside), queries, min(m, len(inside)))
    found, foreign = near >= 0, (near >= 0) & (y[near] != y[queries][:, None])
    at = [np.searchsorted(queries, rows) for rows in classes]
    return [(found[rows].sum(axis=1), foreign[rows].sum(axis=1)) for rows in at]


def check_count(option: str, value: Any, default: int) -> None:
    """Raise UsageError unless this number of neighbours is one.

    >>> check_count("k_neighbors", 1, 5)
    """
    if not isinstance(value, int) or value < 1:
        flag = "--" + option.replace("_", "-")
        raise UsageError("this number of neighbours is not possible", where=flag,
                         expected="a whole number of at least 1", got=str(value), remedy=f"write {flag} {default}")


def choose_bases(rng: np.random.Generator, rows: np.ndarray, missing: int, choice: str) -> np.ndarray:
    """Return `missing` bases among `rows`: at random with replacement, or each about as often.

    >>> sorted(choose_bases(np.random.default_rng(0), np.array([3, 7]), 4, "even").tolist())
    [3, 3, 7, 7]
    """
    if choice not in ("random", "even"):
        raise UsageError("this choice of bases is not known", where="--base-choice", expected="random or even",
                         got=str(choice), remedy="even uses each utterance equally often")
    return evenly(rng, rows, missing) if choice == "even" else rows[rng.integers(len(rows), size=missing)]


def evenly(rng: np.random.Generator, rows: np.ndarray, missing: int) -> np.ndarray:
    """Return each row ⌊missing/n⌋ times, and as many of them at random once more as are left.

    >>> evenly(np.random.default_rng(0), np.array([3, 7]), 4).tolist()
    [3, 7, 3, 7]
    """
    rounds, left = divmod(missing, len(rows))
    return np.concatenate([np.tile(rows, rounds), np.sort(rng.choice(rows, left, replace=False))])


def pairs_decision(problem: Problem, drawn: Sequence[Drawn], notes: Sequence[str] = (), **more: Any) -> Decision:
    """Return the decision that makes these items; those without a neighbour repeat their base, and a note says so."""
    alone = [f"{label}: {lonely} of {len(neighbor)} new items repeat an utterance that has no neighbour"
             for label, _, neighbor, _ in drawn if (lonely := int((neighbor < 0).sum()))]
    empty = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    base, neighbor, lam = (np.concatenate(parts) for parts in zip(empty, *(one[1:] for one in drawn), strict=True))
    return Decision.of(problem, np.where(neighbor < 0, "repeat", "interpolate"), base, neighbor, lam,
                       notes=(*notes, *alone), **more)


def _numbers(names: Sequence[str | None] | None) -> np.ndarray | None:
    """Return a number for each name, −1 for None; None where there is no name at all."""
    if names is None or all(name is None for name in names):
        return None
    known: dict[str | None, int] = {None: -1}
    return np.array([known.setdefault(name, len(known) - 1) for name in names], dtype=np.int64)


def _weights(features: Mapping[str, Any], chosen: str | None, given: Sequence[str]) -> dict[str, float]:
    """Return the weight of each modality in the neighbours' space: 0 for those that are not chosen."""
    names = list(features) if chosen is None else [name.strip() for name in chosen.split(",")]
    if unknown := [name for name in names if name not in features]:
        raise UsageError("there is no such modality", where="--neighbor-modalities", expected=", ".join(features),
                         got=repr(unknown[0]), remedy="write them with commas between, as text,audio")
    weights = {name: float(name in names) for name in features}
    for text in given:
        name, _, number = text.rpartition("=")
        if sum(other.rpartition("=")[0] == name for other in given) > 1:
            raise UsageError("this modality has two weights", where="--modality-weight", got=" and ".join(given),
                             remedy="leave one of them out")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if name not in names or not 1e-6 <= weight <= 1e6:
            raise UsageError("this weight is not understood", where="--modality-weight",
                             expected=" or ".join(f"{known}=W" for known in names) + ", W from 1e-6 to 1e6",
                             got=repr(text), remedy="write for example --modality-weight text=2")
        weights[name] = weight
    return weights
