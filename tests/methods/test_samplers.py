"""Sampling weights against Kang et al.'s formula, the specification's numbers for MELD, and draws."""

import numpy as np
import pytest

from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.samplers import SAMPLERS, class_probabilities, parse_sampler, sampler

LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
MELD = np.array([4710, 1205, 268, 683, 1743, 271, 1109])
Y = np.repeat(np.arange(7), MELD)
IDS = [f"meld_train_{number}" for number in range(len(Y))]
ALL = np.ones(len(Y), np.float32)  # as the index has it
# q = ½ and half way between q = 1 and q = 0, to six digits.
SQUARE_ROOT = [.289136, .146246, .068970, .110104, .175890, .069355, .140300]
HALF_WAY = [.307188, .131745, .084843, .105616, .158675, .084993, .126940]


def shares(weights):
    return np.bincount(Y, weights=weights)


@pytest.mark.parametrize(("text", "expected"), [
    ("instance", MELD / 9989), ("square-root", SQUARE_ROOT), ("class-balanced", [1 / 7] * 7), ("0.5", SQUARE_ROOT),
    ("0.25", MELD ** 0.25 / (MELD ** 0.25).sum()), ("progressive", MELD / 9989)])
def test_classes_are_drawn_by_their_power(text, expected):
    found = sampler(text, IDS, Y, ALL, LABELS)
    np.testing.assert_allclose(shares(found.weights), expected, atol=5e-7)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert all(len(set(found.weights[label == Y])) == 1 for label in range(7))  # within a class all rows alike
    assert (found.num_samples, found.weights.dtype) == (9989, np.float64)


def test_progressive_goes_from_the_rows_to_the_classes():
    found = sampler("progressive", IDS, Y, ALL, LABELS)
    for t, expected in ((0, MELD / 9989), (0.5, HALF_WAY), (1, [1 / 7] * 7)):
        np.testing.assert_allclose(shares((1 - t) * found.weights + t * found.weights_last), expected, atol=5e-7)
    assert found.notes[0].startswith("sampler progressive: of 9,989 draws an epoch half way takes neutral 3,068 times")
    assert sampler("0.3", IDS, Y, ALL, LABELS).weights_last is None


def test_what_an_epoch_takes_is_told():
    found = sampler("class-balanced", IDS, Y, ALL, LABELS)
    assert all(value == 1427 for value in found.draws.values())
    # n(1 − (1 − 1/n)^m) with m draws of the class: nearly all of fear, a quarter of neutral.
    expected = MELD * (1 - (1 - 1 / MELD) ** 1427)
    np.testing.assert_allclose(list(found.different.values()), expected, rtol=2e-3)
    assert found.notes == (
        "sampler class-balanced: of 9,989 draws an epoch takes neutral 1,427 times (1,231 different), "
        "surprise 1,427 times (836 different), fear 1,427 times (267 different), sadness 1,427 times (598 different), "
        "joy 1,427 times (974 different), disgust 1,427 times (270 different), anger 1,427 times (803 different)",)
    assert sampler("instance", IDS, Y, ALL, LABELS).draws == dict(zip(LABELS, MELD.tolist(), strict=True))


def test_draws_are_what_is_expected_of_them():
    """The documented rule of PyTorch's WeightedRandomSampler: multinomial, with replacement, by these weights."""
    found = sampler("square-root", IDS, Y, ALL, LABELS)
    draw = np.random.default_rng(0)
    epochs = [draw.choice(len(Y), found.num_samples, replace=True, p=found.weights) for _ in range(40)]
    drawn = np.mean([np.bincount(Y[epoch], minlength=7) for epoch in epochs], axis=0)
    different = np.mean([np.bincount(Y[np.unique(epoch)], minlength=7) for epoch in epochs], axis=0)
    # Five standard errors of a binomial count, over forty epochs.
    p = np.array(list(found.draws.values())) / 9989
    assert (abs(drawn - 9989 * p) < 5 * np.sqrt(9989 * p * (1 - p) / 40)).all()
    np.testing.assert_allclose(different, list(found.different.values()), rtol=0.01)


def test_rows_that_do_not_count_are_never_drawn():
    y = np.array([0, 0, 0, 1, 1, -100])
    mask = np.array([1, 0.5, 0, 1, 0, 1])
    found = sampler("class-balanced", "abcdef", y, mask, ("joy", "fear", "anger"))
    np.testing.assert_allclose(found.weights, [1 / 3, 1 / 6, 0, 1 / 2, 0, 0])
    assert found.num_samples == 3 and found.draws["anger"] == 0
    found = sampler("instance", "abcdef", y, mask, ("joy", "fear", "anger"))
    np.testing.assert_allclose(found.weights, np.array([1, 0.5, 0, 1, 0, 0]) / 2.5)


def test_several_labels():
    y = np.array([[1, 0], [1, 0], [1, 1], [1, 0], [0, 0], [1, 1], [-100, -100]], np.int8)
    found = sampler("class-balanced", "abcdefg", y, np.array([1, 1, 1, 1, 1, 0, 1]), ("happy", "fear"))
    # happy 4, fear 1: a row has the rarest of its labels; none has the median of 1/4, 1/4, 1, 1/4.
    np.testing.assert_allclose(found.weights * 2, [0.25, 0.25, 1, 0.25, 0.25, 0, 0])
    assert found.draws == {"happy": 4.375, "fear": 2.5} and found.num_samples == 5
    without = sampler("class-balanced", "abcdefg", y, np.ones(7), ("happy", "fear"), empty_weight=0)
    assert without.weights[4] == 0 and without.num_samples == 6
    assert len(set(sampler("instance", "abcdefg", y, np.ones(7), ("happy", "fear")).weights[:6])) == 1


def test_the_real_labels_come_more_evenly(shared):
    """CMU-MOSEI's train fold: MeanIR 3.39 as it is, 2.19 and 1.63 as it is drawn."""
    from emoprep.balance.problem import open_input

    opened = open_input(shared / "real" / "mosei")
    y = np.array(opened.rows("train").column("y_mosei_6").to_pylist())
    keys, labels = opened.rows("train").column("key").to_pylist(), opened.manifest.schemes["mosei-6"].labels
    for text, expected in (("instance", 3.394), ("square-root", 2.185), ("class-balanced", 1.631)):
        draws = np.array(list(sampler(text, keys, y, np.ones(len(y)), labels).draws.values()))
        assert (draws.max() / draws).mean() == pytest.approx(expected, abs=1e-3)


def test_arrays_need_no_pickle(tmp_path):
    found = sampler("progressive", IDS, Y, ALL, LABELS, seed=7)
    np.savez(tmp_path / "sampler.npz", **found.arrays())
    with np.load(tmp_path / "sampler.npz", allow_pickle=False) as read:
        assert set(read) == {"ids", "weights", "weights_last", "num_samples", "replacement", "level", "sampler", "seed",
                             "labels"}
        assert read["ids"].tolist() == IDS and read["labels"].tolist() == list(LABELS)
        assert (int(read["num_samples"]), bool(read["replacement"]), int(read["seed"])) == (9989, True, 7)
        assert (str(read["level"]), str(read["sampler"])) == ("utterance", "progressive")
        assert read["weights"].dtype == np.float64
    assert "weights_last" not in sampler("0", IDS, Y, ALL, LABELS).arrays()


def test_names_and_numbers():
    assert {name: parse_sampler(name)[1:] for name in SAMPLERS} == SAMPLERS
    assert parse_sampler("0")[0] == "class-balanced" and parse_sampler("1.0")[0] == "instance"
    assert class_probabilities(np.array([0, 3, 0]), 0).tolist() == [0, 1, 0]


def test_a_single_row_is_always_drawn():
    found = sampler("0", ["a"], np.array([0]), np.array([1.0]), ("joy",))
    assert found.weights.tolist() == [1.0] and found.different == {"joy": 1.0}


@pytest.mark.parametrize("text", ["random", "", "-1", "1.5", "nan", "inf"])
def test_another_sampler_is_refused(text):
    with pytest.raises(UsageError) as refused:
        sampler(text, IDS, Y, ALL, LABELS)
    assert str(refused.value) == (
        "--sampler: this sampler is not known: expected instance, square-root, class-balanced, progressive, or a "
        f"number q from 0 to 1, got {text!r}; write for example --sampler square-root")


def test_refused():
    with pytest.raises(EmoprepError, match="--sampler: no train utterance is in a class, so there is nothing to draw: "
                                           "got joy; choose another label scheme"):
        sampler("0", ["a"], np.array([-100]), np.array([1.0]), ("joy",))
    with pytest.raises(EmoprepError, match="nothing to draw"):
        sampler("0", ["a"], np.array([[0]]), np.array([1.0]), ("joy",))
    with pytest.raises(UsageError, match="--empty-weight: only a row of several labels can be without any"):
        sampler("0", IDS, Y, ALL, LABELS, empty_weight=2)
    for value in (-1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--empty-weight: this weight is not possible: expected a number of at"):
            sampler("0", ["a"], np.array([[1]]), np.array([1.0]), ("joy",), empty_weight=value)
