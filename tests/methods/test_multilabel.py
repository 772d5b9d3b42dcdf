"""What is rare among several labels, and the labels of what is made, against the toy and against plain Python."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoprep.methods.multilabel import (
    RULES,
    inside_rows,
    label_ratios,
    label_rows,
    label_sets,
    rare_labels,
    rare_sets,
    ruled_labels,
    scumble,
)
from emoprep.methods.skew import measure_labels

Y = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0], [1, 1, 0]])


@pytest.fixture(scope="module")
def toy(shared):
    return json.loads((shared / "specs/golden_imbalance.json").read_text())["multilabel_toy"]


@pytest.mark.shared
def test_toy(toy):
    assert toy["Y"] == Y.tolist()
    counts = Y.sum(axis=0)
    assert counts.tolist() == toy["counts"]
    assert label_ratios(counts).tolist() == toy["IRLbl"]
    assert rare_labels(counts).tolist() == [False, False, True]
    np.testing.assert_allclose(scumble(Y), toy["SCUMBLE_i"], atol=1e-12)
    assert scumble(Y).mean() == pytest.approx(toy["SCUMBLE"], abs=1e-12)
    # REMEDIAL takes apart the rows above the mean.
    assert np.flatnonzero(scumble(Y) > scumble(Y).mean()).tolist() == toy["remedial_rows"]
    bags, mean = rare_sets(Y)
    assert mean == toy["labelset_mean_size"]
    assert sorted(labels for labels, _ in bags) == sorted(map(tuple, toy["lp_minority_bags"]))


@pytest.mark.parametrize(("rule", "expected"), [("ranking", [1, 0, 0]), ("union", [1, 1, 1]),
                                                ("intersection", [0, 0, 0])])
def test_rules_on_the_toy(rule, expected):
    # Row 4 with five others: the labels stand 5, 3 and 2 times in six rows.
    base, near = np.array([4]), np.array([[5, 3, 7, 0, 1]])
    assert ruled_labels(Y, base, near, rule).astype(int).tolist() == [expected]


def test_half_is_not_most():
    assert ruled_labels(np.array([[1], [0]]), np.array([0]), np.array([[1]]), "ranking").tolist() == [[False]]


def test_fewer_neighbours_than_asked_for():
    y = np.array([[1, 0], [1, 1], [0, 1]])
    near = np.array([[1, -1, -1], [-1, -1, -1]])
    for rule, expected in (("ranking", [[1, 0], [0, 1]]), ("union", [[1, 1], [0, 1]]),
                           ("intersection", [[1, 0], [0, 1]])):
        assert ruled_labels(y, np.array([0, 2]), near, rule).astype(int).tolist() == expected


ROWS = st.integers(1, 4).flatmap(lambda labels: st.lists(
    st.lists(st.integers(0, 1), min_size=labels, max_size=labels), min_size=1, max_size=12))


@given(ROWS)
def test_measures_are_those_of_the_statistics(rows):
    y = np.array(rows)
    names = tuple("abcd"[:y.shape[1]])
    found = measure_labels(((row, 1) for row in rows), names)
    if y.any():
        ratios = label_ratios(y.sum(axis=0))
        assert [None if math.isnan(ratio) else ratio for ratio in ratios.tolist()] == list(found.irlbl.values())
        assert rare_labels(y.sum(axis=0)).tolist() == [
            ratio is not None and ratio > found.mean_ir for ratio in found.irlbl.values()]
    sets, number = label_sets(y)
    assert len(sets) == len(found.label_sets)
    assert np.array_equal(sets[number], y)
    bags, mean = rare_sets(y)
    assert mean == pytest.approx(len(y) / len(sets))
    assert all(len(members) < mean and (y[members] == labels).all() for labels, members in bags)
    assert sorted((len(members) for _, members in bags), reverse=True) == [len(members) for _, members in bags]


@given(ROWS)
def test_scumble_in_plain_python(rows):
    y = np.array(rows)
    counts = y.sum(axis=0).tolist()
    for row, found in zip(rows, scumble(y), strict=True):
        ratios = [max(counts) / count for count, there in zip(counts, row, strict=True) if there]
        expected = 1 - math.prod(ratios) ** (1 / len(ratios)) / (sum(ratios) / len(ratios)) if len(ratios) > 1 else 0
        assert found == pytest.approx(expected, abs=1e-12)


@given(ROWS, st.sampled_from(RULES), st.data())
def test_each_label_is_that_of_a_row_of_the_family(rows, rule, data):
    y = np.array(rows)
    index = st.integers(0, len(y) - 1)
    base = np.array([data.draw(index)])
    near = np.array([data.draw(st.lists(st.one_of(index, st.just(-1)), min_size=3, max_size=3))])
    wanted = ruled_labels(y, base, near, rule)
    found = label_rows(y, base, near, wanted)
    assert np.array_equal(np.take_along_axis(y, found, axis=0), wanted.astype(int))
    family = [base[0], *near[0][near[0] >= 0].tolist()]
    for label, row in enumerate(found[0].tolist()):
        agree = [member for member in family if y[member, label] == wanted[0, label]]
        # The base where it agrees, else the nearest that does.
        assert row == agree[0]


def test_masked_rows_are_not_there_and_empty_data_has_no_rare_label():
    assert inside_rows(np.array([[-100, -100], [0, 0]])).tolist() == [1]
    assert not rare_labels(np.zeros(3, int)).any()
    assert rare_labels(np.array([4, 0, 1])).tolist() == [False, False, True]
    assert rare_sets(np.empty((0, 2), int)) == ([], 0)
    assert scumble(np.empty((0, 2), int)).tolist() == []


@pytest.mark.shared
def test_real_labels_of_cmu_mosei(shared):
    from emoprep.balance.problem import open_input

    golden = json.loads((shared / "specs/golden_imbalance.json").read_text())["mosei_real_all_23259"]
    y = np.array(open_input(shared / "real/mosei").index.column("y_mosei_6").to_pylist())
    found = scumble(y)
    assert found.mean() == pytest.approx(golden["SCUMBLE"], abs=1e-9)
    assert (found > found.mean()).sum() == golden["rows_above_SCUMBLE"]
    assert len(label_sets(y)[0]) == golden["labelsets"]
    bags, mean = rare_sets(y)
    assert (len(bags), round(mean, 1)) == (51, 363.4)
    assert rare_labels(y.sum(axis=0)).tolist() == [False, False, False, True, False, True]


@pytest.mark.parametrize("labels", [1, 6, 62, 63])
def test_sets_stand_in_the_order_of_their_rows(labels):
    rng = np.random.default_rng(labels)
    y = (rng.random((200, labels)) < 0.3).astype(np.int8)
    sets, number = label_sets(y)
    np.testing.assert_array_equal(sets, sorted({tuple(row) for row in y.tolist()}))
    np.testing.assert_array_equal(sets[number], y)
