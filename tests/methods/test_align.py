"""Alignment: every rule of the page on arrays small enough to work out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.methods.align import EPSILON, in_time_order, overlapping, span_means, steady_rate, within

HUNDRED_HZ = np.stack([np.arange(6) / 100, np.arange(1, 7) / 100], axis=1)
NUMBERS = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50], [6, 60]], np.float32)


def means(spans, intervals=HUNDRED_HZ, values=NUMBERS):
    made, count = span_means(np.array(spans, float).reshape(-1, 2), np.array(intervals, float), np.array(values))
    return made.tolist(), count.tolist()


# ---------------------------------------------------------------------------------- which steps, what mean

def test_word_takes_the_plain_mean_of_the_steps_that_it_touches():
    # 0.005…0.025 touches the steps 0, 1, 2: (1 + 2 + 3) / 3; a step that is touched counts as a whole.
    assert means([[0.005, 0.025]]) == ([[2.0, 20.0]], [3])


def test_step_that_only_meets_the_word_is_not_of_it():
    assert means([[0.02, 0.04]]) == ([[3.5, 35.0]], [2])


def test_sharing_has_to_be_longer_than_a_hundred_thousandth_of_a_second():
    # 0.9 · 10⁻⁵ s of step 1 is too little, 1.1 · 10⁻⁵ s is enough; the same on the other side with step 4.
    assert means([[0.02 - 0.9e-5, 0.04 + 0.9e-5]]) == ([[3.5, 35.0]], [2])
    assert means([[0.02 - 1.1e-5, 0.04]]) == ([[3.0, 30.0]], [3])
    assert means([[0.02, 0.04 + 1.1e-5]]) == ([[4.0, 40.0]], [3])


def test_words_may_overlap_and_come_in_any_order():
    assert means([[0.03, 0.06], [0.0, 0.04], [0.02, 0.05]]) == ([[5.0, 50.0], [2.5, 25.0], [4.0, 40.0]], [3, 4, 3])


def test_steps_may_come_in_any_order():
    shuffled = [4, 0, 5, 2, 1, 3]
    assert means([[0.0, 0.02], [0.03, 0.05]], HUNDRED_HZ[shuffled], NUMBERS[shuffled]) == means(
        [[0.0, 0.02], [0.03, 0.05]]) == ([[1.5, 15.0], [4.5, 45.0]], [2, 2])


def test_word_without_a_step_gets_zeros():
    assert means([[0.5, 0.6], [0.0, 0.01]]) == ([[0.0, 0.0], [1.0, 10.0]], [0, 1])


def test_last_word_may_reach_past_the_last_step():
    assert means([[0.04, 9.0]]) == ([[5.5, 55.0]], [2])


def test_steps_within_one_another_count_each():
    # A long step around two short ones: the word 0.1…0.2 touches the long and the first short one.
    assert means([[0.1, 0.2], [0.6, 0.7], [0.35, 0.45]], [[0.0, 1.0], [0.1, 0.3], [0.5, 0.8]],
                 np.array([[3], [5], [9]], np.float32)) == ([[4.0], [6.0], [3.0]], [2, 2, 1])


def test_steps_that_do_not_last_are_of_no_word():
    # A point in time, and one that ends before it begins.
    assert means([[0.0, 1.0]], [[0.5, 0.5], [0.9, 0.1], [0.2, 0.3]],
                 np.array([[7], [8], [9]], np.float32)) == ([[9.0]], [1])


def test_no_words_or_no_steps():
    assert means([]) == ([], [])
    assert means([[0.0, 1.0]], np.empty((0, 2)), np.empty((0, 3), np.float32)) == ([[0.0, 0.0, 0.0]], [0])


# ------------------------------------------------------------------------------------------- NaN, infinity

def test_a_mean_is_over_the_finite_values_of_each_dimension():
    values = NUMBERS.copy()
    values[1, 0], values[2, 1] = -np.inf, np.nan
    # First dimension (1 + 3) / 2, second (10 + 20) / 2.
    assert means([[0.0, 0.03]], values=values) == ([[2.0, 15.0]], [3])


def test_a_dimension_without_a_finite_value_stays_nan():
    values = NUMBERS.copy()
    values[:2, 0] = -np.inf
    (word, other), count = means([[0.0, 0.02], [0.02, 0.04]], values=values)
    assert np.isnan(word[0]) and word[1] == 15.0
    assert other == [3.5, 35.0] and count == [2, 2]


def test_nan_in_one_of_nested_steps():
    values = np.array([[np.nan], [5], [np.inf]], np.float32)
    assert means([[0.1, 0.2], [0.6, 0.7]], [[0.0, 1.0], [0.1, 0.3], [0.5, 0.8]], values)[0][0] == [5.0]
    assert np.isnan(means([[0.6, 0.7]], [[0.0, 1.0], [0.1, 0.3], [0.5, 0.8]], values)[0][0][0])


def test_an_absurd_value_spoils_no_other_word():
    values = NUMBERS.copy()
    values[0] = 3e38
    assert means([[0.01, 0.03], [0.04, 0.06]], values=values) == ([[2.5, 25.0], [5.5, 55.0]], [2, 2])


def test_sums_do_not_overflow():
    assert np.isfinite(means([[0.0, 0.06]], values=np.full((6, 1), 3e38, np.float32))[0][0][0])


def test_values_are_not_changed():
    values = NUMBERS.copy()
    values[3] = np.nan
    before = values.copy()
    means([[0.0, 0.06]], values=values)
    np.testing.assert_array_equal(values, before)


# -------------------------------------------------------------------------------- against the rule itself

def by_the_rule(spans, intervals, values):
    """The rule word by word: what shares more than EPSILON with the word, and the mean of what is finite of it."""
    made = np.zeros((len(spans), values.shape[1]))
    counts = np.zeros(len(spans), int)
    for word, (start, end) in enumerate(spans):
        chosen = np.minimum(intervals[:, 1], end) - np.maximum(intervals[:, 0], start) > EPSILON
        counts[word] = chosen.sum()
        for column in range(values.shape[1]) if chosen.any() else ():
            finite = [float(value) for value in values[chosen, column] if np.isfinite(value)]
            made[word, column] = sum(finite) / len(finite) if finite else np.nan
    return made.astype(np.float32), counts


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(0, 40), words=st.integers(0, 15), longest=st.sampled_from(
    [0.2, 1.0, 10.0]))
def test_means_follow_the_rule(seed, steps, words, longest):
    rng = np.random.default_rng(seed)

    def some(number):
        # On a coarse grid, so that starts and ends fall on each other.
        starts = rng.integers(0, 50, number) / 10
        return np.stack([starts, starts + rng.integers(1, 1 + int(longest * 10), number) / 10], axis=1)
    spans, intervals = some(words), some(steps)
    values = rng.integers(-9, 9, (steps, 3)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = -np.inf
    made, count = span_means(spans, intervals, values)
    expected, expected_count = by_the_rule(spans, intervals, values)
    np.testing.assert_array_equal(count, expected_count)
    np.testing.assert_allclose(made, expected, rtol=1e-6)


# ------------------------------------------------------------------------------- words, segments, own clocks

def test_words_that_do_not_last_are_left_out():
    intervals = np.array([[3.0, 3.5], [1.0, 1.0 + 0.9e-5], [1.0, 1.0 + 1.1e-5], [0.0, 0.5], [2.0, 1.0]])
    assert in_time_order(intervals).tolist() == [3, 2, 0]


def test_words_that_start_together_keep_their_order():
    assert in_time_order(np.array([[1.0, 3.0], [0.0, 1.0], [1.0, 2.0]])).tolist() == [1, 0, 2]


@pytest.mark.parametrize(("start", "end", "inside"), [
    (0.5, 1.2, [True, True, False]),     # touched at both ends
    (1.0, 2.0, [False, True, False]),    # meeting is not sharing
    (2.0 - 2e-5, 2.5, [False, True, True]),
    (2.0 - 0.5e-5, 2.5, [False, False, True]),
    (float("-inf"), float("inf"), [True, True, True]),
    (7.0, 8.0, [False, False, False]),
])
def test_word_is_of_a_segment_that_it_overlaps(start, end, inside):
    assert overlapping(np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]), start, end).tolist() == inside


def test_step_is_of_the_segment_that_holds_its_middle():
    middles = np.array([0.05, 0.15, 0.25, 0.35])
    assert within(middles, 0.15, 0.35) == slice(1, 3)     # a middle on the start is in, one on the end is out
    assert within(middles, 0.16, 0.24) == slice(2, 2)
    assert within(middles, 0.3, 0.1) == slice(3, 3)
    assert within(middles, float("-inf"), float("inf")) == slice(0, 4)


@pytest.mark.parametrize(("starts", "rate"), [
    (np.arange(300) / 100, 100.0),
    (np.round(np.arange(300) / 30, 3), 30.0),              # times in whole milliseconds
    (np.arange(300) * 1001 / 30000, 29.97),
    (np.arange(300)[::-1] / 100, 100.0),                   # in any order
    (np.delete(np.arange(300) / 30, slice(100, 110)), None),  # a gap of ten frames
    ([0.0, 0.2, 1.5, 1.6], None),
    ([1.0], None), ([], None), ([1.0, 1.0, 1.0], None),
])
def test_steady_rate(starts, rate):
    starts = np.array(starts, float)
    assert steady_rate(np.stack([starts, starts + 0.01], axis=1)) == rate
