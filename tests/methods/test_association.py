"""χ², its p, Cramér's V and the Jensen-Shannon divergence, against scipy and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoprep.methods.association import associate, chi2_p, cross, keep_largest
from emoprep.methods.drift import drift, js_divergence, label_drift

COUNTS = st.lists(st.integers(0, 5000), min_size=2, max_size=9)


@pytest.mark.parametrize("df", [1, 2, 3, 6, 7, 30, 31, 1554, 100_001])
def test_p_is_scipys(df):
    from scipy.stats import chi2

    for value in (1e-9, 0.3, 1.0, df / 2, 0.98 * df, df, 1.02 * df, 2.0 * df, 3 * df + 20):
        assert chi2_p(value, df) == pytest.approx(chi2.sf(value, df), rel=1e-7, abs=1e-300)


@pytest.mark.parametrize("seed", range(4))
def test_tables_are_scipys(seed):
    from scipy.stats import chi2_contingency
    from scipy.stats.contingency import association

    rng = np.random.default_rng(seed)
    left, right = rng.integers(5, size=200), rng.integers(4, size=200)
    table = cross(left, right, 5, 4)
    wanted = np.zeros((5, 4), int)
    np.add.at(wanted, (left, right), 1)
    np.testing.assert_array_equal(table, wanted)
    found, theirs = associate(table), chi2_contingency(table, correction=False)
    assert (found.chi2, found.df, found.p) == pytest.approx((theirs.statistic, theirs.dof, theirs.pvalue))
    assert found.cramers_v == pytest.approx(association(table, method="cramer"))
    assert found.smallest_expected == pytest.approx(theirs.expected_freq.min())
    # A row or a column that nobody has changes nothing.
    wider = np.pad(table, ((1, 1), (0, 1)))
    assert associate(wider) == pytest.approx(found)


def test_v_of_what_goes_together_and_of_what_does_not():
    same = associate(np.diag([10, 10, 10]))
    assert same.cramers_v == 1 and same.cramers_v_corrected == pytest.approx(1)
    apart = associate(np.full((3, 4), 5))
    assert (apart.chi2, apart.p, apart.cramers_v, apart.cramers_v_corrected) == (0, 1, 0, 0)


def test_bergsma_takes_out_what_many_rows_do_to_v():
    """Speakers who choose by chance: V is far from 0, the corrected one is not."""
    rng = np.random.default_rng(0)
    found = associate(cross(rng.integers(200, size=600), rng.integers(7, size=600), 200, 7))
    assert found.cramers_v > 0.5 and found.cramers_v_corrected < 0.12


@pytest.mark.parametrize("table", [[[3, 4]], [[3], [4]], [[0, 0], [0, 0]], [[1, 2], [0, 0]]])
def test_nothing_to_go_together(table):
    found = associate(np.array(table))
    assert (found.chi2, found.df, found.p, found.cramers_v, found.cramers_v_corrected) == (None, 0, None, None, None)


def test_as_many_speakers_as_lines_tell_nothing():
    assert associate(np.eye(3)).cramers_v_corrected is None


def test_largest_and_all_others_as_one():
    table = np.array([[1, 1], [0, 9], [4, 0], [1, 1]])
    assert keep_largest(table, 2).tolist() == [[0, 9], [4, 0], [2, 2]]
    assert keep_largest(table, 4).tolist() == [[0, 9], [4, 0], [1, 1], [1, 1]]


@given(COUNTS, st.randoms())
def test_js_is_scipys_distance_squared(counts, random):
    from scipy.spatial.distance import jensenshannon

    left, right = np.array(counts), np.array(random.sample(counts, len(counts)))
    found = js_divergence(left, right)
    if not sum(counts):
        assert found is None
        return
    assert found == pytest.approx(jensenshannon(left, right) ** 2, abs=1e-12)
    assert 0 <= found <= math.log(2) + 1e-12
    assert found == pytest.approx(js_divergence(right, left), abs=1e-15)


def test_drift_of_nothing_and_of_one_class():
    empty = drift(np.array([1, 2]), np.array([0, 0]))
    assert (empty.js_divergence, empty.js_distance, empty.chi2, empty.p) == (None,) * 4
    one = drift(np.array([4, 0]), np.array([9, 0]))
    assert (one.js_divergence, one.chi2, one.p, one.df) == (0, None, None, 0)


def test_each_label_is_a_class_and_its_absence():
    left, right = np.array([30, 5]), np.array([20, 5])
    found = label_drift(left, right, 40, 50)
    assert found == [drift(np.array([30, 10]), np.array([20, 30])), drift(np.array([5, 35]), np.array([5, 45]))]
