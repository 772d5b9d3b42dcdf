"""How often units are repeated: the greedy rule against itself in plain Python, the programs against brute force."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.errors import EmoprepError
from emoprep.methods.repeats import (
    TOLERANCE,
    class_table,
    even_repeats,
    least_ratio_repeats,
    number_dialogues,
    repeat_factors,
    repeated_rows,
    rounded_repeats,
)
from emoprep.methods.skew import measure

TABLES = st.integers(2, 4).flatmap(lambda classes: st.lists(
    st.tuples(st.lists(st.integers(0, 4), min_size=classes, max_size=classes), st.integers(0, 2)),
    min_size=1, max_size=5))


def table(units):
    """Return A and lengths of ((counts of a unit), its rows outside the scheme)."""
    counts = np.array([found for found, _ in units])
    return counts, counts.sum(axis=1) + [outside for _, outside in units]


def entropy(totals):
    shares = [total / sum(totals) for total in totals if total]
    return -sum(share * math.log(share) for share in shares)


def ratio(totals):
    there = totals[totals > 0]
    return there.max() / there.min() if len(there) else 1.0


# ------------------------------------------------------------------------------------------------ units and rows

def test_dialogues_whose_rows_do_not_lie_together():
    units = number_dialogues(("b", "a", "b", "c"))
    assert units.tolist() == [0, 1, 0, 2]
    row, copy, number = repeated_rows(units, np.array([2, 0, 1]))
    assert row.tolist() == [0, 2, 0, 2, 3]
    assert copy.tolist() == [0, 0, 1, 1, 0]
    assert number.tolist() == [0, 0, 1, 1, 2]


def test_several_labels_are_counted_each_and_rows_outside_only_lengthen():
    y = np.array([[1, 1], [0, 0], [-100, -100], [0, 1]], np.int8)
    counts, lengths = class_table(y, np.array([0, 0, 1, 1]), 2)
    assert counts.tolist() == [[1, 1], [0, 1]]
    assert lengths.tolist() == [2, 2]


# ------------------------------------------------------------------------------------------------------ evenness

def plain_evenness(counts, lengths, most, budget):
    repeats = [1] * len(counts)
    while True:
        now = [sum(r * row[c] for r, row in zip(repeats, counts, strict=True)) for c in range(len(counts[0]))]
        room = budget * sum(lengths) - sum(r * length for r, length in zip(repeats, lengths, strict=True))
        best, gain = None, 1e-9
        for unit, row in enumerate(counts):
            if repeats[unit] < most and lengths[unit] <= room + 1e-9 and any(row):
                more = entropy([a + b for a, b in zip(now, row, strict=True)]) - entropy(now)
                if more > gain + 1e-9:
                    best, gain = unit, more
        if best is None:
            return now, sum(r * length for r, length in zip(repeats, lengths, strict=True))
        repeats[best] += 1


@settings(deadline=None)
@given(TABLES, st.integers(1, 4), st.sampled_from([1, 1.5, 2, 3.3]))
def test_greedy_evenness_is_what_it_says(units, most, budget):
    counts, lengths = table(units)
    repeats = even_repeats(counts, lengths, most, budget)
    assert ((repeats >= 1) & (repeats <= most)).all()
    assert repeats @ lengths <= budget * lengths.sum()
    totals, rows = plain_evenness(counts.tolist(), lengths.tolist(), most, budget)
    assert entropy(repeats @ counts) == pytest.approx(entropy(totals), abs=1e-6)
    assert repeats @ lengths == rows


def test_alike_units_take_turns():
    counts = np.array([[9, 0], [0, 1], [0, 1], [0, 1]])
    # 9 to 3: five more of the three, of which the first two take one more.
    assert even_repeats(counts, counts.sum(axis=1), 5, 17 / 12).tolist() == [1, 3, 3, 2]


def test_a_budget_that_just_fits():
    # 1.1 · 10 is a little above 11 in binary floating point, 1.15 · 20 a little below 23.
    assert even_repeats(np.array([[9, 0], [0, 1]]), np.array([9, 1]), 9, 1.1).tolist() == [1, 2]
    assert even_repeats(np.array([[17, 0], [0, 3]]), np.array([17, 3]), 9, 1.15).tolist() == [1, 2]


def test_nothing_to_repeat():
    for repeats in (even_repeats, lambda *given: least_ratio_repeats(*given)[0]):
        assert repeats(np.zeros((2, 3), int), np.array([2, 1]), 5, 2).tolist() == [1, 1]
        assert repeats(np.array([[4, 0], [1, 0]]), np.array([4, 1]), 5, 2).tolist() == [1, 1]
        assert repeats(np.array([[3, 0], [0, 1]]), np.array([3, 1]), 1, 2).tolist() == [1, 1]
        assert repeats(np.array([[3, 0], [0, 1]]), np.array([3, 1]), 5, 1).tolist() == [1, 1]


# ------------------------------------------------------------------------------------------------- smallest ratio

@settings(deadline=None, max_examples=60)
@given(TABLES, st.integers(1, 4), st.sampled_from([1, 1.5, 2, 3.3]))
def test_the_smallest_ratio_is_that_of_brute_force(units, most, budget):
    counts, lengths = table(units)
    repeats, proven = least_ratio_repeats(counts, lengths, most, budget)
    assert proven
    assert ((repeats >= 1) & (repeats <= most)).all()
    possible = [np.array(found) for found in itertools.product(range(1, most + 1), repeat=len(counts))
                if np.dot(found, lengths) <= budget * lengths.sum()]
    assert any((found == repeats).all() for found in possible)
    smallest, mine = min(ratio(found @ counts) for found in possible), ratio(repeats @ counts)
    assert mine <= smallest * (1 + 2 * TOLERANCE)
    shortest = min(found @ lengths for found in possible if ratio(found @ counts) <= smallest * (1 + 1e-9))
    assert repeats @ lengths <= shortest


@pytest.mark.shared
def test_toy(shared):
    toy = json.loads((shared / "specs/golden_imbalance.json").read_text())["repeat_toy"]
    counts = np.array(toy["A"])
    repeats, proven = least_ratio_repeats(counts, counts.sum(axis=1), toy["min_ir"]["R"], toy["min_ir"]["budget"])
    assert (repeats.tolist(), proven) == (toy["min_ir"]["optimal_repeats"], True)
    assert (repeats @ counts).tolist() == toy["min_ir"]["counts"]
    classes, units = repeat_factors(counts, counts.sum(axis=0) / counts.sum(), 0.5)
    np.testing.assert_allclose(classes, toy["rfs_t0.5_utterance_freq"]["r_c"], atol=1e-9)
    np.testing.assert_allclose(units, toy["rfs_t0.5_utterance_freq"]["r_d"], atol=1e-9)


def make_hard():
    rng = np.random.default_rng(3)
    counts = rng.poisson(np.geomspace(6, 0.3, 5), (30, 5))
    return counts, counts.sum(axis=1)


def test_what_is_given_up_is_no_worse_than_greedy_and_says_so():
    counts, lengths = make_hard()
    best, proven = least_ratio_repeats(counts, lengths, 6, 1.7)
    given_up, certain = least_ratio_repeats(counts, lengths, 6, 1.7, nodes=0)
    assert (proven, certain) == (True, False)
    greedy = ratio(even_repeats(counts, lengths, 6, 1.7) @ counts)
    assert ratio(best @ counts) <= ratio(given_up @ counts) <= greedy
    assert given_up @ lengths <= 1.7 * lengths.sum()


def test_running_out_of_time_is_an_error():
    with pytest.raises(EmoprepError) as refused:
        least_ratio_repeats(*make_hard(), 6, 1.7, seconds=0)
    assert str(refused.value) == ("--objective min-ir: the integer program takes too long: got 30 kinds of units; "
                                  "use --objective evenness")


# ------------------------------------------------------------------------------------------------- repeat factors

def test_factors_round_up_as_often_as_they_say():
    repeats = rounded_repeats(np.full(20_000, 2.3), np.random.default_rng(1))
    assert set(repeats.tolist()) == {2, 3}
    # Three deviations of a binomial share.
    assert repeats.mean() == pytest.approx(2.3, abs=3 * math.sqrt(0.3 * 0.7 / 20_000))


def test_a_class_that_nobody_has_has_no_say():
    _, units = repeat_factors(np.array([[3, 0, 1], [2, 0, 0], [0, 0, 0]]), np.array([5 / 6, 0, 1 / 6]), 2 / 3)
    assert units.tolist() == [2.0, 1.0, 1.0]


# --------------------------------------------------------------------------------------------------- the real rows

@pytest.fixture(scope="module")
def meld(shared):
    from emoprep.balance.problem import open_input

    rows = open_input(shared / "real/meld").rows("train")
    order = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    y = np.array([order.index(emotion) for emotion in rows.column("emotion").to_pylist()])
    return class_table(y, number_dialogues(tuple(rows.column("dialogue").to_pylist())), 7)


@pytest.mark.shared
@pytest.mark.parametrize(("objective", "most", "budget", "data", "expected"), [
    (even_repeats, 5, 2, 1.98, 7.60), (least_ratio_repeats, 3, 1.5, 1.44, 9.04),
    (least_ratio_repeats, 5, 1.5, 1.50, 7.18), (least_ratio_repeats, 5, 2, 1.72, 6.91),
    (least_ratio_repeats, 10, 2, 2.00, 5.01), (least_ratio_repeats, 20, 2, 2.00, 3.85),
    (least_ratio_repeats, 20, 3, 2.67, 3.60)])
def test_dialogues_of_meld(meld, objective, most, budget, data, expected):
    counts, lengths = meld
    found = objective(counts, lengths, most, budget)
    repeats, proven = found if isinstance(found, tuple) else (found, True)
    assert proven and repeats.max() <= most
    assert repeats @ lengths <= budget * lengths.sum()
    # A ratio a thousandth smaller costs up to a hundredth of data, and the published ones are not the very smallest.
    assert repeats @ lengths / lengths.sum() == pytest.approx(data, abs=0.015)
    assert ratio(repeats @ counts) == pytest.approx(expected, abs=0.005)


@pytest.mark.shared
def test_greedy_evenness_of_meld_is_the_pages(meld):
    counts, lengths = meld
    assert (even_repeats(counts, lengths, 5, 2) @ counts).tolist() == [7020, 2649, 924, 1936, 3441, 955, 2853]
    for most, evenness in ((5, 0.8929), (10, 0.9183), (20, 0.9292)):
        totals = even_repeats(counts, lengths, most, 2) @ counts
        assert measure(dict(enumerate(totals.tolist()))).evenness == pytest.approx(evenness, abs=5e-5)


@pytest.mark.shared
def test_repeat_factors_of_meld_come_to_a_limit(meld):
    counts, lengths = meld
    shares = counts.sum(axis=0) / counts.sum()
    found = {}
    for threshold in (0.2, 0.5, 2):
        _, units = repeat_factors(counts, shares, threshold)
        found[threshold] = round(units @ lengths / lengths.sum(), 2), round(ratio(units @ counts), 2)
    assert found == {0.2: (1.96, 12.06), 0.5: (3.08, 11.95), 2: (6.17, 11.95)}
