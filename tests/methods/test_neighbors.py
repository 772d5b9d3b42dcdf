"""The neighbour space, and nearest rows against brute force in float64 and against scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics.pairwise import nan_euclidean_distances
from sklearn.neighbors import NearestNeighbors

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError
from emoprep.methods import nearest, neighbors
from emoprep.methods.distances import Held
from emoprep.methods.neighbors import (
    any_neighbors,
    class_neighbors,
    moments,
    neighbor_space,
    places_of,
    pooled_steps,
    require_finite,
)


def nearest_rows(z, k, present=None, edges=()):
    """Return the k nearest other rows of each row of z [n, D], int64 [n, k]; of all modalities unless told."""
    if present is None:
        present, edges = np.ones((len(z), 1), dtype=bool), (0, z.shape[1])
    every = np.arange(len(z))
    return nearest.nearest(Held(z, present, edges, (1.0,) * present.shape[1]), every, every, k, nearest.Bars(every))


def vectors(values, present=None):
    values = np.asarray(values, dtype=np.float32)
    return Modality(values, np.ones(len(values), bool) if present is None else np.asarray(present))


def brute_force(z, k):
    """Return the k nearest other rows by float64 differences, ties by lowest row."""
    z = np.asarray(z, dtype=np.float64)
    found = []
    for row in range(len(z)):
        distance = ((z - z[row]) ** 2).sum(axis=1)
        distance[row] = np.inf
        found.append(np.lexsort((np.arange(len(z)), distance))[:k])
    return np.array(found)


# ---------------------------------------------------------------------------------------- nearest rows

@pytest.mark.parametrize(("n", "d", "k"), [(300, 3, 5), (200, 700, 5), (50, 40, 49), (2, 5, 1)])
def test_nearest_rows_are_those_of_brute_force_and_of_scikit_learn(n, d, k):
    z = np.random.default_rng(n).standard_normal((n, d), dtype=np.float32)
    found = nearest_rows(z, k)
    assert found.tolist() == brute_force(z, k).tolist()
    theirs = NearestNeighbors(n_neighbors=k).fit(z.astype(np.float64)).kneighbors(return_distance=False)
    assert found.tolist() == theirs.tolist()


@settings(deadline=None)
@given(npst.arrays(np.int8, st.tuples(st.integers(2, 25), st.integers(1, 3)),
                   elements=st.integers(0, 3), unique=False), st.integers(1, 6))
def test_ties_go_to_the_lowest_row(grid, k):
    z = grid.astype(np.float32)
    k = min(k, len(z) - 1)
    assert nearest_rows(z, k).tolist() == brute_force(z, k).tolist()


def test_near_ties_that_float32_cannot_tell_apart_come_out_right():
    # Far from the origin the screened distances are mostly rounding: |a|² is 10⁸ times the distances.
    noise = np.random.default_rng(0).standard_normal((150, 8)) * 0.01
    z = (100 + noise).astype(np.float32)
    squares = (z * z).sum(axis=1)
    screened = squares[:, None] + squares - 2 * (z @ z.T)
    np.fill_diagonal(screened, np.inf)
    expected = brute_force(z, 5)
    assert not np.array_equal(np.argsort(screened, axis=1)[:, :5], expected)
    assert np.array_equal(nearest_rows(z, 5), expected)


def test_result_does_not_depend_on_the_size_of_blocks(monkeypatch):
    z = np.random.default_rng(1).integers(0, 3, (120, 6)).astype(np.float32)
    whole = nearest_rows(z, 5)
    monkeypatch.setattr(nearest, "_BLOCK_VALUES", 1000)
    monkeypatch.setattr(nearest, "_FLOAT64_VALUES", 20)
    monkeypatch.setattr(nearest, "_MOST_QUERIES", 7)
    assert np.array_equal(nearest_rows(z, 5), whole)
    assert np.array_equal(whole, brute_force(z, 5))


def test_a_row_is_never_its_own_neighbour():
    z = np.zeros((4, 2), np.float32)
    assert nearest_rows(z, 3).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_fewer_rows_than_neighbours_leave_places_empty():
    assert nearest_rows(np.array([[0], [1]], np.float32), 3).tolist() == [[1, -1, -1], [0, -1, -1]]
    assert nearest_rows(np.zeros((1, 2), np.float32), 2).tolist() == [[-1, -1]]
    assert nearest_rows(np.zeros((3, 2), np.float32), 0).shape == (3, 0)


@settings(deadline=None)
@given(st.integers(0, 2 ** 32 - 1))
def test_missing_modalities_are_nan_euclidean_over_what_both_have(seed):
    rng = np.random.default_rng(seed)
    z = rng.integers(-3, 4, (12, 3)).astype(np.float32)
    present = rng.random((12, 3)) < 0.6
    z[~present] = 0
    # With one feature a modality, scikit-learn's scaling by features is the scaling by modalities.
    distance = nan_euclidean_distances(np.where(present, z, np.nan).astype(np.float64), squared=True)
    np.fill_diagonal(distance, np.nan)
    found = nearest_rows(z, 4, present, (0, 1, 2, 3))
    for row in range(12):
        order = np.lexsort((np.arange(12), distance[row].round(9)))
        expected = [int(other) for other in order if not np.isnan(distance[row, other])][:4]
        assert found[row].tolist() == expected + [-1] * (4 - len(expected))


def test_missing_modalities_of_several_features():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((60, 9)).astype(np.float32)
    present = np.ones((60, 2), bool)
    present[:20, 0] = False
    present[40:, 1] = False
    z[~present[:, 0], :4] = 0
    z[~present[:, 1], 4:] = 0
    found = nearest_rows(z, 3, present, (0, 4, 9))
    for row in range(60):
        distance = np.full(60, np.inf)
        for other in range(60):
            common = present[row] & present[other]
            if other != row and common.any():
                squares = (z[row].astype(float) - z[other]) ** 2
                parts = squares[:4].sum(), squares[4:].sum()
                distance[other] = sum(part for part, both in zip(parts, common, strict=True) if both)
                distance[other] *= 2 / common.sum()
        assert found[row].tolist() == np.argsort(distance, kind="stable")[:3].tolist()


def test_ties_of_more_rows_than_are_kept_come_out_right():
    # Sixty rows at the same distance from each of sixty others: no list of candidates holds them at once.
    z = np.zeros((120, 2), np.float32)
    z[:60, 1], z[60:, 0] = np.arange(60), 500
    z[60:, 1] = 1000
    found = nearest_rows(z, 3)
    assert np.array_equal(found, brute_force(z, 3))
    assert found[60:].max() < 64


def test_weights_count_in_the_distance_and_in_what_is_in_common():
    rng = np.random.default_rng(5)
    present = {"audio": rng.random(40) < 0.7, "text": rng.random(40) < 0.8}
    features = {"audio": vectors(rng.standard_normal((40, 3)), present["audio"]),
                "text": vectors(rng.standard_normal((40, 2)), present["text"])}
    weights = {"audio": 0.5, "text": 3.0}
    found = class_neighbors(neighbor_space(features, weights=weights), np.arange(40), 4)
    plain = {name: neighbor_space({name: modality}).rows(np.arange(40))[0].astype(float)
             for name, modality in features.items()}
    for row in range(40):
        squares, common = np.zeros(40), np.zeros(40)
        for name, z in plain.items():
            both = present[name] & present[name][row]
            squares += both * weights[name] * ((z - z[row]) ** 2).sum(axis=1)
            common += both * weights[name]
        distance = np.where(common > 0, squares * 3.5 / np.maximum(common, 0.1), np.inf)
        distance[row] = np.inf
        expected = [other for other in np.argsort(distance, kind="stable")[:4] if np.isfinite(distance[other])]
        assert found[row].tolist() == expected + [-1] * (4 - len(expected))


def test_a_modality_of_weight_0_is_left_out_but_checked():
    rng = np.random.default_rng(5)
    features = {"audio": vectors(rng.standard_normal((40, 3))), "text": vectors(rng.standard_normal((40, 2)))}
    space = neighbor_space(features, weights={"audio": 0})
    alone = neighbor_space({"text": features["text"]})
    assert np.array_equal(space.rows(np.arange(40))[0], alone.rows(np.arange(40))[0])
    features["audio"].values[3, 1] = np.nan
    with pytest.raises(EmoprepError, match="row 3: this audio feature has a value that is not finite"):
        neighbor_space(features, weights={"audio": 0})


# --------------------------------------------------------------------------------------------- space

def test_each_feature_is_standardised_with_the_rows_that_have_it():
    text = vectors([[1, 2], [3, 6], [0, 0], [8, 1]], [True, True, False, True])
    z, present = neighbor_space({"text": text}).rows(np.array([3, 2, 0]))
    values = np.array([[1, 2], [3, 6], [8, 1]], float)
    expected = (values - values.mean(axis=0)) / values.std(axis=0) / np.sqrt(2)
    np.testing.assert_allclose(z, [expected[2], [0, 0], expected[0]], rtol=1e-6)
    assert present.tolist() == [[True], [False], [True]]


def test_each_modality_has_the_same_share_of_the_squared_distance():
    # CBERL's dimensions with scales far apart: without the scaling one modality has it all.
    rng = np.random.default_rng(0)
    sizes, scales = {"text": 100, "video": 512, "audio": 100}, {"text": 1, "video": 0.01, "audio": 1000}
    features = {name: vectors(rng.standard_normal((400, size)) * scales[name])
                for name, size in sizes.items()}
    space = neighbor_space(features)
    z, _ = space.rows(np.arange(400))
    assert space.edges == (0, 100, 612, 712)
    shares = [((z[:200, a:b] - z[200:, a:b]) ** 2).sum() for a, b in ((0, 100), (100, 612), (612, 712))]
    np.testing.assert_allclose(np.array(shares) / sum(shares), 1 / 3, atol=0.01)


def test_constant_features_do_not_count():
    # 0.1 has no exact float and 10⁹ a coarse one: neither may turn into a deviation.
    rng = np.random.default_rng(0)
    varying = rng.standard_normal((50, 1))
    constant = np.column_stack([varying, np.full(50, 0.1), np.full(50, 1e9), varying * 1e-9])
    with_constants, _ = neighbor_space({"a": vectors(constant)}).rows(np.arange(50))
    alone, _ = neighbor_space({"a": vectors(varying)}).rows(np.arange(50))
    assert np.array_equal(with_constants[:, :1], alone)
    assert not with_constants[:, 1:].any()


def test_outliers_are_clipped_for_distances():
    values = np.zeros((1000, 2), np.float32)
    values[:, 1] = np.arange(1000)
    values[0, 0] = 3e38
    z, _ = neighbor_space({"a": vectors(values)}).rows(np.arange(1000))
    assert z[0, 0] == pytest.approx(10 / np.sqrt(2))
    assert np.isfinite(z).all()


def test_moments_are_merged_over_blocks(monkeypatch):
    values = (np.random.default_rng(0).standard_normal((500, 7)) * 0.01 + 1000).astype(np.float32)
    present = np.random.default_rng(1).random(500) < 0.7
    monkeypatch.setattr(neighbors, "_FLOAT64_VALUES", 7 * 13)
    mean, deviation = moments("a", values, np.flatnonzero(present))
    np.testing.assert_allclose(mean, values[present].astype(float).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation, values[present].astype(float).std(axis=0), rtol=1e-9)


def test_sequences_enter_as_mean_and_deviation_of_their_steps():
    steps = [np.array([[1, 5], [3, 5]], np.float32), np.array([[7, 0]], np.float32),
             np.array([[0, 0], [0, 3], [0, 6]], np.float32)]
    assert pooled_steps(steps).tolist() == [[2, 5, 1, 0], [7, 0, 0, 0], [0, 3, 0, pytest.approx(np.sqrt(6))]]
    present = np.ones(3, bool)
    z, _ = neighbor_space({"a": Modality(steps, present, "fps:10")}).rows(np.arange(3))
    pooled, _ = neighbor_space({"a": Modality(pooled_steps(steps), present)}).rows(np.arange(3))
    assert np.array_equal(z, pooled)
    assert z.shape == (3, 4)


def test_a_modality_that_nobody_has_counts_for_nothing():
    audio = vectors(np.zeros((3, 2)), [False, False, False])
    z, present = neighbor_space({"audio": audio, "text": vectors([[1], [2], [4]])}).rows(np.arange(3))
    assert not z[:, :2].any()
    assert present[:, 0].tolist() == [False] * 3


def test_the_space_is_never_held_for_all_rows():
    values = np.random.default_rng(0).standard_normal((4000, 2000), dtype=np.float32)
    modality = vectors(values)
    tracemalloc.start()
    try:
        space = neighbor_space({"a": modality})
        class_neighbors(space, np.arange(0, 4000, 20), 5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two pieces of 1,000,000 values in float64 and a class of 200 rows, against 32 MB in float32.
    assert peak < 20e6 < values.nbytes


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_key_and_dimension(value):
    values = np.ones((4, 3), np.float32)
    values[2, 1] = value
    with pytest.raises(EmoprepError) as refused:
        neighbor_space({"audio": vectors(values)}, ("a", "b", "c", "d"))
    assert str(refused.value) == (f"c: this audio feature has a value that is not finite: expected finite "
                                  f"numbers, got {value} in dimension 1; use --nonfinite impute-median, zero "
                                  f"or drop")
    with pytest.raises(EmoprepError, match="row 2: this audio feature"):
        require_finite("audio", values, np.arange(1, 4))


def test_a_row_that_lacks_the_modality_is_not_looked_at():
    values = np.array([[1], [np.nan], [3]], np.float32)
    z, _ = neighbor_space({"a": vectors(values, [True, False, True])}).rows(np.arange(3))
    assert z.ravel().tolist() == [-1, 0, 1]


def test_no_features_are_refused():
    with pytest.raises(EmoprepError, match="there is no feature to find neighbours with; run"):
        neighbor_space({})


# ------------------------------------------------------------------------------------ within a class

def test_class_neighbors_are_rows_of_the_split():
    values = [[0], [50], [1], [51], [3], [57]]
    space = neighbor_space({"a": vectors(values)})
    assert class_neighbors(space, np.array([0, 2, 4]), 2).tolist() == [[2, 4], [0, 4], [2, 0]]
    assert class_neighbors(space, np.array([1, 3, 5]), 1).tolist() == [[3], [1], [3]]


def test_duplicates_are_one_place():
    # Rows 0, 1 and 3 are the same: none is a neighbour of the others, and row 0 stands for them.
    values = [[0, 0], [-0.0, 0], [1, 0], [0, 0], [5, 0]]
    space = neighbor_space({"a": vectors(values)})
    found = class_neighbors(space, np.arange(5), 3)
    assert found.tolist() == [[2, 4, -1], [2, 4, -1], [0, 4, -1], [2, 4, -1], [2, 0, -1]]


def test_rows_that_differ_in_nothing_that_counts_are_duplicates():
    # The second feature hardly varies and is left out: it must not tell 0.0 from −0.0 either.
    space = neighbor_space({"a": vectors([[0, 1e-10], [0, -1e-10], [4, 1e-10], [9, -1e-10]])})
    assert class_neighbors(space, np.arange(4), 2).tolist() == [[2, 3], [2, 3], [0, 3], [2, 0]]


def test_a_class_of_copies_has_no_neighbours():
    space = neighbor_space({"a": vectors([[1], [1], [1], [2]])})
    assert class_neighbors(space, np.arange(3), 2).tolist() == [[-1, -1]] * 3


def test_rows_equal_in_values_but_not_in_what_they_have_are_no_duplicates():
    # Row 0 lacks audio; its zero is not row 1's, whose audio is the mean.
    audio = vectors([[0], [4], [2], [6]], [False, True, True, True])
    text = vectors([[1], [1], [2], [5]])
    z, _ = (space := neighbor_space({"audio": audio, "text": text})).rows(np.arange(4))
    assert z[0].tolist() == z[1].tolist()
    assert class_neighbors(space, np.arange(4), 1)[:2].tolist() == [[1], [0]]


def test_rows_without_a_common_modality_have_no_neighbour():
    audio = vectors([[0], [0], [2], [6]], [False, False, True, True])
    text = vectors([[1], [3], [0], [0]], [True, True, False, False])
    space = neighbor_space({"audio": audio, "text": text})
    assert class_neighbors(space, np.array([0, 2]), 1).tolist() == [[-1], [-1]]
    assert class_neighbors(space, np.arange(4), 2).tolist() == [[1, -1], [0, -1], [3, -1], [2, -1]]


def test_some_rows_may_seek_among_others():
    values = np.random.default_rng(2).standard_normal((50, 4))
    space = neighbor_space({"a": vectors(values)})
    among = np.arange(0, 50, 2)
    assert np.array_equal(class_neighbors(space, among, 3, among[[4, 7]]), class_neighbors(space, among, 3)[[4, 7]])


@settings(deadline=None)
@given(st.integers(0, 2 ** 32 - 1))
def test_rows_that_are_apart_are_no_neighbours(seed):
    # So few values that there are duplicates within dialogues and across them.
    rng = np.random.default_rng(seed)
    values, dialogue = rng.integers(0, 4, (25, 2)), rng.integers(0, 4, 25)
    space = neighbor_space({"a": vectors(values)})
    z = space.rows(np.arange(25))[0].astype(float)
    found = class_neighbors(space, np.arange(25), 3, apart=dialogue)
    for row in range(25):
        allowed = (dialogue != dialogue[row]) & (z != z[row]).any(axis=1)
        distance = np.where(allowed, ((z - z[row]) ** 2).sum(axis=1), np.inf)
        near = found[row][found[row] >= 0]
        assert allowed[near].all()
        # Of rows that are alike the first one that is allowed stands for all.
        places = np.unique(z[allowed], axis=0)
        assert len(near) == min(3, len(places)) == len(np.unique(z[near], axis=0))
        nearest_places = np.sort(((places - z[row]) ** 2).sum(axis=1))[:len(near)]
        np.testing.assert_allclose(distance[near], nearest_places, rtol=1e-12)
        for other in near:
            assert other == np.flatnonzero(allowed & (z == z[other]).all(axis=1))[0]


# ------------------------------------------------------------------------------------ of any class

@settings(deadline=None)
@given(st.integers(0, 2 ** 32 - 1), st.integers(1, 12))
def test_copies_count_among_rows_of_any_class(seed, m):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((12, 3))[rng.integers(0, 12, 20)]
    space = neighbor_space({"a": vectors(values)})
    rows = np.sort(rng.permutation(20)[:15])
    found = any_neighbors(space, places_of(space, rows), rows, m)
    z = space.rows(np.arange(20))[0].astype(float)
    for row, near in zip(rows, found, strict=True):
        others = rows[rows != row]
        distance = ((z[others] - z[row]) ** 2).sum(axis=1)
        assert near.tolist() == sorted([-1] * (m - 14) + others[np.argsort(distance, kind="stable")][:m].tolist())


def test_fewer_rows_of_any_class_leave_places_empty():
    audio = vectors([[0], [1], [2], [6]], [True, True, False, True])
    text = vectors([[0], [0], [5], [0]], [False, False, True, False])
    space = neighbor_space({"audio": audio, "text": text})
    every = places_of(space, np.arange(4))
    assert any_neighbors(space, every, np.arange(4), 3).tolist() == [[-1, 1, 3], [-1, 0, 3], [-1] * 3, [-1, 0, 1]]


def test_neither_the_space_nor_the_distances_are_held_for_all_rows(monkeypatch):
    monkeypatch.setattr(nearest, "_HELD_VALUES", 1_000_000)
    monkeypatch.setattr(nearest, "_MOST_THREADS", 1)
    values = np.random.default_rng(0).standard_normal((8000, 1000), dtype=np.float32)
    modality = vectors(values)
    space = neighbor_space({"a": modality})
    tracemalloc.start()
    try:
        any_neighbors(space, places_of(space, np.arange(8000)), np.arange(0, 8000, 4), 10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 31e6 < values.nbytes
