"""LP-ROS: what each rare label set gets, and that nobody's label set is left alone."""

import numpy as np
import pytest

from emoprep.contracts import Problem
from emoprep.errors import UsageError
from emoprep.strategies import lp_ros

LABELS = ("a", "b", "c")
# Five label sets, 8 rows each on average: ab, c and none are rare.
Y = np.array([[1, 0, 0]] * 20 + [[0, 1, 0]] * 10 + [[1, 1, 0]] * 6 + [[0, 0, 1]] * 2 + [[0, 0, 0]] * 2
             + [[-100] * 3] * 3, np.int8)


def decide(y=Y, seed=0, **options):
    keys = tuple(f"u{row}" for row in range(len(y)))
    return lp_ros.decide(Problem(keys, keys, y, LABELS, {}, seed, options))


def made(decision):
    """Return how many were made of ab, of c, and of those without a label."""
    times = np.bincount(decision.base, minlength=len(Y))
    return [times[30:36].sum(), times[36:38].sum(), times[38:40].sum()]


def test_what_one_cannot_take_is_the_next_ones():
    # 15 % of 40 are 6, 3 for each: ab takes the 2 that it lacks to 8, c the 4 that are left.
    decision = decide(percent=15)
    assert made(decision) == [2, 4, 0]
    assert decision.notes == ("rare label sets: 2, with fewer utterances than the mean of 8.0",
                              "6 made: MeanIR 5.21 → 2.41")
    assert len(decision.base) == 6


def test_nothing_grows_beyond_the_mean():
    decision = decide(percent=50)
    assert made(decision) == [2, 6, 0]
    assert decision.notes[-1] == "20 were asked for; then every rare label set has as many as the mean"


def test_utterances_without_a_label_are_repeated_on_request_only():
    assert made(decide(percent=50, clone_empty=True)) == [2, 6, 6]
    # 4 for three sets: 1, then 1, then 2. Of equally large ones none comes before c.
    assert made(decide(percent=10, clone_empty=True)) == [1, 2, 1]


def test_draws_are_with_replacement_and_by_the_seed():
    drawn = {tuple(decide(seed=seed, percent=50).base.tolist()) for seed in range(5)}
    assert len(drawn) == 5
    assert all(len(set(base)) < len(base) for base in drawn)


def test_nothing_to_do():
    assert not len(decide(np.array([[1, 0, 0], [0, 1, 0]], np.int8)).base)
    assert decide(np.full((3, 3), -100, np.int8)).notes[-1] == (
        "no train utterance has a label, so none is rare and nothing is made")


def test_an_impossible_share_is_refused():
    with pytest.raises(UsageError, match="--percent: this share of made utterances is not possible"):
        decide(percent=0)


@pytest.mark.shared
def test_the_real_labels(mosei_labels):
    keys = tuple(map(str, range(len(mosei_labels))))
    decision = lp_ros.decide(Problem(keys, keys, mosei_labels, tuple("abcdef"), {}))
    assert len(decision.base) == 5814
    assert decision.notes[0] == "rare label sets: 51, with fewer utterances than the mean of 363.4"
    sizes = np.unique(np.concatenate([mosei_labels, mosei_labels[decision.base]]), axis=0, return_counts=True)[1]
    before = np.unique(mosei_labels, axis=0, return_counts=True)[1]
    assert (sizes >= before).all() and (sizes[before < 363.4] <= 363).all()
    assert np.array_equal(sizes[before > 363.4], before[before > 363.4])
