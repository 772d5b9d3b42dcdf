"""The 2-D map of a store's features: train rows coloured by class, made ones with their parents (CBERL's figure 9)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError, UsageError
from emoprep.labels import LabelScheme
from emoprep.methods.embedding import draw_families, principal_components, side_by_side, tsne
from emoprep.methods.neighbors import pooled_steps
from emoprep.methods.nonfinite import replace_nonfinite
from emoprep.report.contents import Absent, FeatureMap, name_of
from emoprep.report.train import TrainRows, find, read_column, read_plan, read_train
from emoprep.store.manifest import Store
from emoprep.store.tables import has_column, read_pieces
from emoprep.utterance import child_seed

if TYPE_CHECKING:
    import pyarrow

__all__ = ["METHODS", "gather_map"]

METHODS = ("pca", "tsne")

FITTED = 10_000
"""Axes are those of at most so many original rows, drawn by chance: a table may be larger than memory."""

LOWEST = 3
"""Two rows lie on a line wherever they are."""

BEFORE_TSNE = 50
"""Principal components that t-SNE starts from (van der Maaten & Hinton 2008 take 30, scikit-learn advises 50)."""


def gather_map(store: Store, scheme: LabelScheme, *, method: str = "pca", modality: str | None = None,
               most: int = 3000, seed: int = 0) -> FeatureMap:
    """Lay out the train rows of a feature store in two dimensions.

    All modalities count alike, as where SMOTE finds neighbours, or `modality` counts alone. Means, deviations and axes
    are those of the original rows, so that the map stays as it is however many were made; made rows are projected. By
    PCA a made vector lies between its parents, a made sequence (which enters as mean and deviation of its steps) nearly
    so. t-SNE keeps near rows near, and nothing else: its distances and sizes mean little.

    At most `most` rows are drawn, some of each class before all others, a made row together with its parents. Copies
    are no points of their own, and rows without features none. A row of several labels has the rarest one's class.
    Raises UsageError for a method or a modality that is not there, Absent where there is nothing to map.
    """
    modalities = _modalities(store, method, modality)
    train = read_train(store, scheme)
    there = np.any([read_column(store, has_column(name), "bool") for name in modalities], axis=0)[train.rows]
    points = np.flatnonzero(there & ~train.copies)
    made, parents = ~train.original[points], _parents(store, train, points)
    seed = child_seed(seed, "map", "", 0)
    drawn = draw_families(2 * train.y[points].astype(np.int64) + made, parents, most, seed)
    basis = np.flatnonzero(~made)
    if min(len(basis), len(drawn)) < LOWEST:
        raise Absent("a map takes three train utterances with features that balancing did not make",
                     got=f"{len(basis)} of {len(points)}")
    if len(basis) > FITTED:
        basis = np.random.default_rng(seed).choice(basis, FITTED, replace=False)
    some = np.union1d(drawn, basis)
    # `--dims` leaves principal components, or an SVD's.
    components = {name for name, how in modalities.items() if how.get("asked_dim") is not None}
    with np.errstate(over="ignore", invalid="ignore"):  # what cannot be reckoned with is told below, or clipped
        features = _features(store, modalities, train.keys, points[some])
        try:
            xy, explained = _laid_out(features, components, np.isin(some, basis), np.searchsorted(some, drawn), method,
                                      seed)
        except Absent:
            raise
        except EmoprepError as error:  # with the words of `balance`, which has an option for it
            raise EmoprepError("the features are too large to be mapped", where=str(store.path), got=error.got,
                               expected=error.expected, remedy="--map none leaves the map out") from error
    place = np.full(len(points) + 1, -1, np.int32)  # the last one is that of parent −1
    place[drawn] = np.arange(len(drawn))
    return FeatureMap(method, f"{name_of(store.path)}: {', '.join(modalities)}", scheme.labels, xy,
                      train.y[points[drawn]], train.keys.take(points[drawn]).to_pylist(), made[drawn],
                      place[parents[drawn]], explained, len(points), int((there & train.copies).sum()))


def _modalities(store: Store, method: str, modality: str | None) -> dict[str, Mapping[str, Any]]:
    """Return what the manifest says of the modalities that count."""
    if method not in METHODS:
        raise UsageError("this map is not known", where="--map", expected=" or ".join(METHODS), got=method)
    known = store.manifest.modalities
    if store.manifest.kind != "features" or not known:
        raise Absent("there are no features to map", where=name_of(store.path), expected="a feature store",
                     remedy="run `emoprep features` first")
    if modality is not None and modality not in known:
        raise UsageError("the store has no such modality", where="--modality", expected=" or ".join(known),
                         got=modality)
    if broken := [name for name, how in known.items() if not isinstance(how, dict) or "clock" not in how]:
        raise EmoprepError("the manifest does not say how a modality was made", where=str(store.path), got=broken[0],
                           expected="its clock", remedy="make the store again")
    return {name: how for name, how in known.items() if modality in (None, name)}


def _parents(store: Store, train: TrainRows, points: np.ndarray) -> np.ndarray:
    """Return both parents of each made point, points themselves, int64 [n, 2]; −1 where there is none."""
    import pyarrow

    plan = read_plan(store)
    number = np.full(len(train.keys), -1)
    number[points[train.original[points]]] = np.flatnonzero(train.original[points])
    parents = np.full((len(points), 2), -1)
    made = np.flatnonzero(~train.original[points])
    keys, named = train.keys.take(points[made]), [train.bases.take(points[made])]
    if plan is not None:
        planned = find(keys, plan["key"])
        named.append(plan["neighbor"].take(pyarrow.array(planned, mask=planned < 0)))
    for column, names in enumerate(named):
        row = find(names, train.keys)
        parents[made, column] = np.where(row < 0, -1, number[row])
    return parents


def _features(store: Store, modalities: Mapping[str, Mapping[str, Any]], keys: pyarrow.Array, rows: np.ndarray
              ) -> dict[str, Modality]:
    """Return the features of some train rows (ascending), a sequence as mean and deviation over its steps.

    The table is read a piece at a time: only what is asked for is held.
    """
    names = {facts["name"] for facts in store.manifest.tables}
    path = store.path / ("train.parquet" if "train.parquet" in names else "all.parquet")
    found: dict[str, list[Modality]] = {name: [] for name in modalities}
    start = 0
    for index, features in read_pieces(path, modalities):
        if not _has_keys(index, keys.slice(start, index.num_rows)):
            break
        low, high = np.searchsorted(rows, (start, start + index.num_rows))
        local, start = rows[low:high] - start, start + index.num_rows
        for name, modality in features.items() if len(local) else ():
            found[name].append(Modality(_vectors(modality.values, local), modality.present[local]))
    if start != len(keys):
        raise EmoprepError("the rows of the table are not those of the index", where=str(path), got=f"row {start}",
                           remedy="make the store again")
    whole = {name: Modality(*(np.concatenate([getattr(piece, part) for piece in pieces] or [np.empty(0, bool)])
                              for part in ("values", "present"))) for name, pieces in found.items()}
    # As balancing does it unasked. A balanced store has no such value any more.
    return replace_nonfinite(whole, "impute-median", keys.take(rows).to_pylist())[0]


def _has_keys(index: pyarrow.Table, keys: pyarrow.Array) -> bool:
    try:
        return index["key"].to_pylist() == keys.to_pylist()
    except (KeyError, UnicodeDecodeError):  # no such column, or two; no text
        return False


def _vectors(values: np.ndarray | list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    if not isinstance(values, list):
        return values[rows]
    # No store of ours has a sequence without steps: as NaN it is mended like any other.
    return pooled_steps([steps if len(steps) else np.full((1, steps.shape[1]), np.nan)
                         for steps in map(values.__getitem__, rows.tolist())])


def _laid_out(features: Mapping[str, Modality], components: Collection[str], fitted: np.ndarray, drawn: np.ndarray,
              method: str, seed: int) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Return the drawn rows float32 [n, 2], and the shares of the variance that the axes hold, if they have some."""
    rows = side_by_side(features, fitted, components)
    xy, shares = principal_components(rows, fitted, 2 if method == "pca" else BEFORE_TSNE, seed)
    if not shares.any():
        raise Absent("all utterances have the same features", expected="some that vary")
    return (xy[drawn], (float(shares[0]), float(shares[1]))) if method == "pca" else (tsne(xy[drawn], seed), None)
