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

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.neighbors import NeighborSpace, class_neighbors, neighbor_space, require_finite
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "smote"
HELP = "interpolate between near utterances of small classes, all modalities together"
NEEDS = "features"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "vectors"
# `renorm` is carried out where the vectors are made: see `emoprep.methods.interpolate`.
OPTIONS = {"k_neighbors": Setting(5, "neighbours to choose from", "K"),
           "imblearn_compat": Setting(False, "draw bit for bit what imbalanced-learn draws"),
           "renorm": Setting("off", "bring unit vectors back to length 1", "off|auto")}


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
    k = options["k_neighbors"]
    if not isinstance(k, int) or k < 1:
        raise UsageError("this number of neighbours is not possible", where="--k-neighbors",
                         expected="a whole number of at least 1", got=str(k), remedy="write --k-neighbors 5")
    if not problem.features:
        raise UsageError("there is no feature to interpolate", where=f"--strategy {NAME}",
                         expected="a feature store", remedy="run `emoprep features` first")
    gaps = list(class_gaps(problem, "over"))
    if options["imblearn_compat"]:
        drawn, notes = _drawn_as_imblearn(problem, gaps, k)
    else:
        space = neighbor_space(problem.features, problem.keys)
        drawn = [_drawn(problem.seed, label, space, rows, missing, k) for label, rows, missing in gaps]
        notes = [note for (label, _, _), (_, neighbor, _) in zip(gaps, drawn, strict=True)
                 for note in _alone(label, neighbor)]
    empty = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    base, neighbor, lam = (np.concatenate(parts) for parts in zip(empty, *drawn, strict=True))
    return Decision.of(problem, np.where(neighbor < 0, "repeat", "interpolate"), base, neighbor, lam,
                       notes=tuple(notes))


def _drawn(seed: int, label: str, space: NeighborSpace, rows: np.ndarray, missing: int,
           k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return base, neighbor and λ of one class's new items, [missing] each."""
    rng = np.random.default_rng(child_seed(seed, NAME, label, 0))
    near = class_neighbors(space, rows, min(k, len(rows) - 1))
    choices = (near >= 0).sum(axis=1)
    pick, place, lam = rng.integers(len(rows), size=missing), rng.random(missing), rng.random(missing)
    alone = choices[pick] == 0
    neighbor = np.full(missing, -1, dtype=np.int64)
    column = (place * choices[pick]).astype(np.int64)
    neighbor[~alone] = near[pick[~alone], column[~alone]]
    return rows[pick], neighbor, np.where(alone, np.nan, lam)


def _alone(label: str, neighbor: np.ndarray) -> list[str]:
    alone = int((neighbor < 0).sum())
    if not alone:
        return []
    return [f"{label}: {alone} of {len(neighbor)} new items repeat an utterance that has no neighbour"]


# ------------------------------------------------------------------------------- imbalanced-learn's draws

def _drawn_as_imblearn(problem: Problem, gaps: list[tuple[str, np.ndarray, int]],
                       k: int) -> tuple[list[tuple[np.ndarray, np.ndarray, np.ndarray]], list[str]]:
    """Return base, neighbor and λ for each class as imbalanced-learn 0.14's `SMOTE._make_samples` draws them.

    The generator starts anew for each class, since imbalanced-learn reads its integer seed again there: its
    classes share their random numbers.
    """
    from sklearn.neighbors import NearestNeighbors

    _check_compat(problem, gaps, k)
    drawn = []
    for _, rows, missing in gaps:
        x = np.hstack([np.asarray(modality.values, dtype=np.float32)[rows]
                       for modality in problem.features.values()])
        near = NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x, return_distance=False)[:, 1:]
        random = np.random.RandomState(problem.seed)
        pick = random.randint(low=0, high=near.size, size=missing)
        lam = random.uniform(size=missing)
        row, column = np.divmod(pick, k)
        drawn.append((rows[row], rows[near[row, column]], lam))
    lacking = sum(int((~np.asarray(modality.present)).sum()) for modality in problem.features.values())
    notes = [f"imbalanced-learn took {lacking} absent modalities for zeros when it chose neighbours"]
    return drawn, notes if lacking else []


def _check_compat(problem: Problem, gaps: list[tuple[str, np.ndarray, int]], k: int) -> None:
    where = "--imblearn-compat"
    for name, modality in problem.features.items():
        if isinstance(modality.values, list):
            raise UsageError(f"imbalanced-learn has no SMOTE for sequences, and {name} is one", where=where,
                             expected="vectors", got=f"clock {modality.clock}",
                             remedy="leave --imblearn-compat out, or make features with --pool mean")
        # A few rows at a time: the answer for all at once would be a quarter of the features in size.
        for start in range(0, len(problem.keys), 500):
            some = np.arange(start, min(start + 500, len(problem.keys)))
            require_finite(name, modality.values, some, problem.keys)
    for label, rows, _ in gaps:
        if len(rows) <= k:
            raise UsageError(
                f"imbalanced-learn's SMOTE cannot add to {label}", where=where,
                expected=f"more than {k} members for {k} neighbours", got=f"{label} has {len(rows)}",
                remedy=f"use --k-neighbors {max(1, len(rows) - 1)}, or leave --imblearn-compat out")
