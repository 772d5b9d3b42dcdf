"""Rows of many features in two dimensions, and which of them are drawn where there are too many to look at.

Principal components (Pearson 1901) are straight: what was interpolated between two rows lies between them on the map
too. t-SNE (van der Maaten & Hinton 2008) keeps near rows near, and nothing else: how far apart two groups lie, and how
large one looks, says little.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from emoprep.contracts import Modality
from emoprep.methods.neighbors import CLIP, SMALLEST_DEVIATION, moments
from emoprep.methods.parents import copy_numbers

__all__ = ["LEAST", "draw_families", "main_label", "principal_components", "side_by_side", "tsne"]

LEAST = 25
"""So many rows of each group are drawn before any group has its share, so that the smallest class can be seen."""

PERPLEXITY = 30.0
"""About how many neighbours a row has in t-SNE, as its authors recommend (5 to 50)."""


def draw_families(groups: np.ndarray, parents: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """Return at most `most` of N rows, ascending, each with all its parents.

    `groups` int [N] numbers the groups: LEAST rows of each come first, then each has its share. `parents` int64
    [N, P] are rows, −1 where there is none.

    >>> parents = np.full((100, 2), -1)
    >>> parents[99] = 3, 4
    >>> draw_families(np.repeat([0, 1], [99, 1]), parents, 3).tolist()
    [3, 4, 99]
    """
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    rank = copy_numbers(groups[shuffled]) - 1
    _, group, size = np.unique(groups[shuffled], return_inverse=True, return_counts=True)
    turn = np.where(rank < LEAST, rank - LEAST, (rank + 0.5) / size[group])
    # The rarest first: where not even LEAST of each have room, it is the large groups that wait.
    order = shuffled[np.lexsort((size[group], turn))]
    families = np.column_stack([order, parents[order]])
    rows, place = families[families >= 0], np.nonzero(families >= 0)[0]
    _, first = np.unique(rows, return_index=True)
    needed = np.cumsum(np.bincount(place[first], minlength=len(order)))
    return np.unique(rows[place < np.searchsorted(needed, most, side="right")])


def main_label(y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return one class for each row of a multi-label scheme, int16 [N]: the rarest of its labels; −100 without any.

    `y` int [N, K] has 1 for each label that a row has; `counts` [K] says how often each is there. A point has one
    colour, and by the rarest label small classes can be seen.

    >>> main_label(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]]), np.array([50, 7, 9])).tolist()
    [1, 0, -100]
    """
    rarest_first = np.argsort(counts, kind="stable")
    has = y[:, rarest_first] == 1
    return np.where(has.any(axis=1), rarest_first[has.argmax(axis=1)], -100).astype(np.int16)


def side_by_side(features: Mapping[str, Modality], fitted: np.ndarray, components: Collection[str] = ()) -> np.ndarray:
    """Return vectors of all modalities as columns, float32 [N, D], each modality of total variance 1.

    Means and deviations are those of the rows in `fitted`, bool [N]. As in the neighbour space, columns are z-scored
    and clipped to ±10 deviations, and a modality that a row lacks is 0. The columns of the modalities in `components`
    keep their proportions: they are principal components already, or an SVD's. z-scored, all of them would have the
    same variance, and which direction comes out first would be left to rounding.

    >>> video = Modality(np.array([[3, 0], [-3, 0], [0, 1], [0, -1]], np.float32), np.ones(4, bool))
    >>> side_by_side({"video": video}, np.ones(4, bool)).astype(float).round(3).tolist()[0::2]
    [[1.0, 0.0], [0.0, 1.0]]
    >>> side_by_side({"video": video}, np.ones(4, bool), {"video"}).astype(float).round(3).tolist()[0::2]
    [[1.342, 0.0], [0.0, 0.447]]
    """
    blocks = []
    for name, modality in features.items():
        mean, deviation = moments(name, modality.values, np.flatnonzero(modality.present & fitted))
        varies = deviation >= SMALLEST_DEVIATION
        whole = np.sqrt(np.square(deviation).sum()) if name in components else deviation * np.sqrt(varies.sum())
        scale = np.divide(1, whole, out=np.zeros_like(deviation), where=varies)
        with np.errstate(over="ignore"):  # an overflow is an outlier, and is clipped
            z = modality.values[:, varies] - mean[varies].astype(np.float32)
            z *= scale[varies].astype(np.float32)
        limit = (CLIP * deviation * scale)[varies].astype(np.float32)
        np.clip(z, -limit, limit, out=z)
        z[~modality.present] = 0
        blocks.append(z)
    return np.hstack(blocks)


def principal_components(rows: np.ndarray, fitted: np.ndarray, dim: int = 2, seed: int = 0
                         ) -> tuple[np.ndarray, np.ndarray]:
    """Return `rows` float32 [N, D] on the first principal components of those in `fitted`, bool [N].

    What comes back are coordinates float32 [N, dim], and the shares float64 [dim] of the variance of the fitted rows
    that each axis holds. Where fewer than `dim` axes can be told, the rest is 0; all of it where the fitted rows are
    alike. An axis points to where its largest weight is positive.

    >>> line = np.array([[0, 5], [1, 5], [2, 5], [8, 5]], np.float32)
    >>> xy, shares = principal_components(line, np.array([True, True, True, False]))
    >>> xy.tolist(), shares.tolist()
    ([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [7.0, 0.0]], [1.0, 0.0])
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    basis, xy, shares = rows[fitted], np.zeros((len(rows), dim), np.float32), np.zeros(dim)
    if not len(basis) or (basis == basis[0]).all():
        return xy, shares
    able = min(dim, *basis.shape)
    # One thread: with several, sums have other last bits.
    with threadpool_limits(1):
        fit = PCA(able, copy=False, random_state=seed).fit(basis)
        xy[:, :able] = fit.transform(rows)
    shares[:able] = fit.explained_variance_ratio_
    return xy, shares


def tsne(rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return rows float32 [N, D] by t-SNE, float32 [N, 2], begun from their first two columns.

    The first columns are to be principal components: with about 50 of them t-SNE takes less time and no noise. The
    perplexity is at most a third of the other rows, of which there are two or more.

    >>> tsne(np.arange(12, dtype=np.float32).reshape(6, 2)).shape
    (6, 2)
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    begin = rows[:, :2] * (1e-4 / max(float(rows[:, 0].std()), 1e-30))
    with threadpool_limits(1):
        return TSNE(init=np.ascontiguousarray(begin, np.float32), perplexity=min(PERPLEXITY, (len(rows) - 1) / 3),
                    random_state=seed).fit_transform(rows)
