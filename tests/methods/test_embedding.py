"""Rows in two dimensions: principal components against an exact decomposition, and who is drawn."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from emoprep.contracts import Modality
from emoprep.methods.embedding import LEAST, draw_families, main_label, principal_components, side_by_side, tsne


def cloud(rng, n, d):
    """Rows with a spectrum that falls, so that axes can be told."""
    return (rng.standard_normal((n, d)) * 0.8 ** np.arange(d) + 3).astype(np.float32)


# -------------------------------------------------------------------------------------- principal components

@pytest.mark.parametrize(("n", "d"), [(40, 6), (300, 20), (900, 60), (30, 700), (600, 1200)])
def test_components_are_those_of_the_exact_decomposition(n, d):
    rows = cloud(np.random.default_rng(1), n + 50, d)
    fitted = np.arange(n + 50) < n
    xy, shares = principal_components(rows, fitted)
    basis = rows[fitted].astype(np.float64)
    _, s, vt = np.linalg.svd(basis - basis.mean(axis=0), full_matrices=False)
    exact = (rows - basis.mean(axis=0)) @ vt[:2].T
    exact *= np.sign(vt[:2][[0, 1], np.abs(vt[:2]).argmax(axis=1)])
    np.testing.assert_allclose(xy, exact, atol=1e-3)
    np.testing.assert_allclose(shares, (s ** 2 / (s ** 2).sum())[:2], rtol=1e-3)


def test_what_lies_between_two_rows_lies_between_them_on_the_map():
    rows = cloud(np.random.default_rng(2), 200, 30)
    mixed = rows[:50] + 0.3 * (rows[50:100] - rows[:50])
    xy, _ = principal_components(np.concatenate([rows, mixed]), np.arange(250) < 200)
    np.testing.assert_allclose(xy[200:], xy[:50] + 0.3 * (xy[50:100] - xy[:50]), atol=1e-4)


def test_the_number_of_threads_changes_no_bit():
    rows, found = cloud(np.random.default_rng(3), 900, 400), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(principal_components(rows, np.ones(900, bool), 50, seed=5)[0].tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("shape", [(5, 3), (5, 0), (1, 3)])
def test_rows_that_are_alike_have_no_axes(shape):
    xy, shares = principal_components(np.ones(shape, np.float32), np.ones(shape[0], bool))
    assert xy.shape == (shape[0], 2) and not xy.any() and not shares.any()


def test_a_single_column_is_the_first_axis():
    xy, shares = principal_components(np.array([[1], [2], [6]], np.float32), np.ones(3, bool))
    assert xy.tolist() == [[-2, 0], [-1, 0], [3, 0]] and shares.tolist() == [1, 0]


# ------------------------------------------------------------------------------------------- side by side

def test_modalities_count_alike_whatever_their_units():
    rng = np.random.default_rng(4)
    there = rng.random(500) < 0.8
    features = {"audio": Modality((rng.standard_normal((500, 40)) * 1e6).astype(np.float32), np.ones(500, bool)),
                "text": Modality((rng.standard_normal((500, 7)) * 1e-3 + 9).astype(np.float32), there)}
    rows = side_by_side(features, np.ones(500, bool)).astype(np.float64)
    assert rows[:, :40].var(axis=0).sum() == pytest.approx(1, rel=1e-4)
    assert rows[there, 40:].var(axis=0).sum() == pytest.approx(1, rel=1e-4)
    assert not rows[~there, 40:].any()


def test_only_fitted_rows_say_what_is_usual():
    values = np.array([[0, 4], [2, 4], [100, -3e38], [-3.4e38, 3.4e38]], np.float32)
    rows = side_by_side({"audio": Modality(values, np.ones(4, bool))}, np.array([True, True, False, False]))
    assert rows.tolist() == [[-1], [1], [10], [-10]]  # the second column is constant where it counts


def test_components_keep_their_proportions():
    values = cloud(np.random.default_rng(5), 400, 12)
    everyone = np.ones(400, bool)
    kept = side_by_side({"audio": Modality(values, everyone)}, everyone, {"audio"}).astype(np.float64)
    np.testing.assert_allclose(kept.std(axis=0), values.std(axis=0) / np.sqrt(values.var(axis=0).sum()), rtol=1e-4)


# ---------------------------------------------------------------------------------------------------- drawing

@pytest.mark.parametrize("most", [3, 60, 400, 3000, 20_000])
def test_each_drawn_row_brings_its_parents_and_no_class_is_lost(most):
    rng = np.random.default_rng(6)
    y = rng.choice(4, 9000, p=[0.7, 0.2, 0.095, 0.005])
    made, parents = np.arange(9000) >= 4000, np.full((9000, 2), -1)
    for label in range(4):
        own = np.flatnonzero(made & (y == label))
        parents[own] = rng.choice(np.flatnonzero(~made & (y == label)), (len(own), 2))
    drawn = draw_families(2 * y + made, parents, most, seed=1)
    assert most - 3 < len(drawn) <= most or len(drawn) == 9000
    assert (np.diff(drawn) > 0).all()
    needed = parents[drawn].ravel()
    assert np.isin(needed[needed >= 0], drawn).all()
    if most >= 400:
        counts = np.bincount((2 * y + made)[drawn], minlength=8)
        assert (counts >= np.minimum(LEAST, np.bincount(2 * y + made))).all()
    assert drawn.tolist() == draw_families(2 * y + made, parents, most, seed=1).tolist()


def test_groups_have_their_share():
    groups = np.repeat([0, 1, 2], [6000, 3000, 1000])
    drawn = draw_families(groups, np.full((10_000, 2), -1), 2000)
    assert np.bincount(groups[drawn]).tolist() == [1200, 600, 200]
    assert draw_families(groups, np.full((10_000, 2), -1), 2000, seed=1).tolist() != drawn.tolist()


def test_where_classes_have_no_room_the_large_ones_wait():
    groups = np.concatenate([np.zeros(1000, int), np.arange(1, 11)])
    assert np.bincount(groups[draw_families(groups, np.full((1010, 1), -1), 10)])[1:].tolist() == [1] * 10


def test_the_rarest_label_is_the_one_that_is_shown():
    y = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 0], [-100, -100, -100]])
    assert main_label(y, np.array([5, 9, 5])).tolist() == [0, 0, -100, -100]  # of equally rare ones the first
    assert main_label(y, np.array([9, 5, 2])).tolist() == [2, 2, -100, -100]


# ------------------------------------------------------------------------------------------------------ t-SNE

def test_near_rows_stay_near():
    rng = np.random.default_rng(7)
    label = np.repeat([0, 1, 2], 40)
    rows = (rng.standard_normal((120, 10)) + 20 * np.eye(3, 10)[label]).astype(np.float32)
    with threadpool_limits(2):
        xy = tsne(rows, seed=3)
    apart = np.linalg.norm(xy[:, None] - xy, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (label[apart.argmin(axis=1)] == label).all()
    assert xy.dtype == np.float32 and tsne(rows, seed=3).tobytes() == xy.tobytes()


@pytest.mark.parametrize("rows", [np.eye(3, 2, dtype=np.float32), np.zeros((5, 4), np.float32)])
def test_few_rows_and_rows_that_are_alike_are_laid_out_too(rows):
    assert np.isfinite(tsne(rows)).all()
