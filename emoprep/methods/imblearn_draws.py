"""What imbalanced-learn 0.14 draws with an integer seed, for `--imblearn-compat`: its random numbers and neighbours.

imbalanced-learn does not tell the parents of what it makes (its issue 772), so its draws are followed here, on the
concatenated raw features of the rows that the label scheme takes; the tests hold each strategy to the library itself.
Nearest rows are scikit-learn's, since no others have its ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emoprep.contracts import Modality, Problem
from emoprep.errors import UsageError
from emoprep.methods.neighbors import require_finite
from emoprep.methods.pairs import BASE_CHOICE, PAIR_OPTIONS, check_count

__all__ = ["absent_note", "check_compat", "check_members", "draw_pairs", "raw_rows", "sklearn_neighbors"]

WHERE = "--imblearn-compat"
# imbalanced-learn knows no other way to do these.
_FOREIGN = {**{name: PAIR_OPTIONS[name] for name in ("within", "not_within", "neighbor_modalities", "modality_weight")},
            "base_choice": BASE_CHOICE}


def check_compat(problem: Problem, options: Mapping[str, Any], method: str) -> None:
    """Raise UsageError for sequences and for options that imbalanced-learn lacks, EmoprepError for NaN and ∞."""
    if "k_neighbors" in options:
        check_count("k_neighbors", options["k_neighbors"], 5)
    for name, setting in _FOREIGN.items():
        if name in options and options[name] != setting.default:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"imbalanced-learn has no {flag}", where=WHERE, got=f"{flag} {options[name]}",
                             remedy="leave one of the two out")
    if not problem.features:
        raise UsageError("there is no feature to make vectors of", where=WHERE, expected="a feature store",
                         remedy="run `emoprep features` first")
    for name, modality in problem.features.items():
        if isinstance(modality.values, list):
            raise UsageError(f"imbalanced-learn has no {method} for sequences, and {name} is one", where=WHERE,
                             expected="vectors", got=f"clock {modality.clock}",
                             remedy="leave --imblearn-compat out, or make features with --pool mean")
        # A few rows at a time: the answer for all at once would be a quarter of the features in size.
        for start in range(0, len(problem.keys), 500):
            some = np.arange(start, min(start + 500, len(problem.keys)))
            require_finite(name, modality.values, some, problem.keys)


def check_members(label: str, rows: np.ndarray, k: int, method: str) -> None:
    """Raise UsageError where a class has too few rows for scikit-learn to find k neighbours.

    >>> check_members("fear", np.arange(6), 5, "SMOTE")
    """
    if len(rows) <= k:
        raise UsageError(
            f"imbalanced-learn's {method} cannot add to {label}", where=WHERE,
            expected=f"more than {k} members for {k} neighbours", got=f"{label} has {len(rows)}",
            remedy=f"use --k-neighbors {max(1, len(rows) - 1)}, or leave --imblearn-compat out")


def raw_rows(features: Mapping[str, Modality], rows: np.ndarray) -> np.ndarray:
    """Return these rows of all modalities side by side, float32 [n, D].

    >>> text = Modality(np.array([[1], [2]]), np.ones(2, bool))
    >>> raw_rows({"text": text, "audio": text}, np.array([1])).tolist()
    [[2.0, 2.0]]
    """
    return np.hstack([np.asarray(modality.values, dtype=np.float32)[rows] for modality in features.values()])


def sklearn_neighbors(x: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest rows of x [n, D] for each query, the nearest (which should be itself) left out.

    In one thread: among rows that are equally near scikit-learn's choice depends on how many there are.
    """
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(queries, return_distance=False)[:, 1:]


def draw_pairs(seed: int, near: np.ndarray, missing: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row, column of `near` [n, k] and λ of new items, as `BaseSMOTE._make_samples` draws them.

    The generator starts anew for each class, since imbalanced-learn reads its integer seed again there: its
    classes share their random numbers.

    >>> [part.tolist() for part in draw_pairs(0, np.zeros((3, 2), int), 3)][:2]
    [[2, 2, 0], [0, 1, 0]]
    """
    random = np.random.RandomState(seed)
    pick = random.randint(low=0, high=near.size, size=missing)
    lam = random.uniform(size=missing)
    return *np.divmod(pick, near.shape[1]), lam


def absent_note(features: Mapping[str, Modality]) -> list[str]:
    """Return a note if rows lack modalities: imbalanced-learn knows no such thing."""
    lacking = sum(int((~np.asarray(modality.present)).sum()) for modality in features.values())
    return [f"imbalanced-learn took {lacking} absent modalities for zeros when it chose neighbours"] if lacking else []
