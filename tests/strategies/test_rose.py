"""ROSE: its noise from each item's own seed, and bit for bit as imbalanced-learn draws it."""

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from made_problems import LABELS, make_problem, vectors

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError, UsageError
from emoprep.strategies import rose
from emoprep.utterance import child_seed


def make_data(counts, dimension, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int16)
    return (rng.standard_normal((len(y), dimension)) * np.arange(1, dimension + 1) + y[:, None]).astype(np.float32), y


# ---------------------------------------------------------------------------------------- own draws

def test_noise_has_the_width_of_the_smoothed_bootstrap():
    x, y = make_data([300, 100, 60, 200], 6)
    present = np.arange(len(y)) % 7 != 0
    x[~present, 4:] = 0
    problem = make_problem({"a": vectors(x[:, :4]), "b": vectors(x[:, 4:], present)}, y,
                           {"neutral": 300, "surprise": 4000, "fear": 60, "sadness": 4000}, shrinkage=0.5)
    decision = rose.decide(problem)
    noise = decision.noise(np.arange(len(decision.base)))
    height = 0.5 * (4 / (8 * 660)) ** (1 / 10)
    for number in (1, 3):
        mine = y[decision.base] == number
        found = noise["a"][mine]
        expected = height * x[y == number, :4].std(axis=0, dtype=float)
        np.testing.assert_allclose(found.std(axis=0), expected, rtol=0.06)
        assert np.abs(found.mean(axis=0) / expected).max() < 0.06
        there = present[decision.base]
        assert not noise["b"][mine & ~there].any()
        expected = height * x[(y == number) & present, 4:].std(axis=0, dtype=float)
        np.testing.assert_allclose(noise["b"][mine & there].std(axis=0), expected, rtol=0.06)
    assert (decision.op == "generate").all() and (decision.neighbor == -1).all() and np.isnan(decision.lam).all()
    assert decision.parameters[0] == {"shrinkage": 0.5, "width": height}


def test_noise_can_be_replayed_from_the_seed_in_the_plan():
    x, y = make_data([40, 20, 9, 8], 5)
    problem = make_problem({"a": vectors(x[:, :2]), "b": vectors(x[:, 2:])}, y, dict.fromkeys(LABELS, 40), seed=7)
    decision = rose.decide(problem)
    copies = {}
    for item, row in enumerate(decision.base.tolist()):
        copies[row] = copies.get(row, 0) + 1
        drawn = np.random.default_rng(child_seed(7, "rose", f"u{row}", copies[row])).standard_normal(5)
        deviation = x[y == y[row]].std(axis=0, dtype=float)
        found = decision.noise(np.array([item]))
        np.testing.assert_allclose(np.hstack([found["a"][0], found["b"][0]]),
                                   drawn * decision.parameters[item]["width"] * deviation, rtol=1e-9)
    assert max(copies.values()) > 2


def test_noise_of_some_items_is_that_of_all():
    x, y = make_data([40, 20, 9, 8], 5)
    for compat in (False, True):
        decision = rose.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 40), imblearn_compat=compat))
        every = decision.noise(np.arange(len(decision.base)))["a"]
        some = np.random.default_rng(0).permutation(len(every))[:30]
        assert np.array_equal(decision.noise(some)["a"], every[some])
        assert decision.noise(np.empty(0, dtype=int))["a"].shape == (0, 5)


def test_a_class_of_one_is_repeated_and_told():
    x, y = make_data([20, 8, 1, 1], 3)
    decision = rose.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20)))
    single = y[decision.base] >= 2
    assert np.array_equal(decision.op == "repeat", single)
    assert not decision.noise(np.flatnonzero(single))["a"].any()
    assert decision.parameters[int(np.flatnonzero(single)[0])] == {}
    assert decision.notes == (
        "fear: 19 of 19 new items repeat its one utterance, which has no deviation",
        "sadness: 19 of 19 new items repeat its one utterance, which has no deviation")


# ---------------------------------------------------------------------------- as imbalanced-learn draws

@pytest.mark.parametrize("seed", [0, 12345])
@pytest.mark.parametrize("shrinkage", [1.0, 0.3])
@pytest.mark.parametrize(("counts", "dimension"), [([60, 25, 8, 11], 4), ([7, 60, 25, 9], 33)])
def test_compat_is_imbalanced_learn_to_the_last_bit(seed, shrinkage, counts, dimension):
    x, y = make_data(counts, dimension, seed)
    outside = np.arange(len(y)) % 13 == 0
    y[outside] = -100
    features = {"audio": vectors(x[:, :1]), "text": vectors(x[:, 1:3]), "video": vectors(x[:, 3:])}
    targets = dict.fromkeys(LABELS, int(np.bincount(y[~outside]).max()))
    problem = make_problem(features, y, targets, seed, imblearn_compat=True, shrinkage=shrinkage)
    decision = rose.decide(problem)
    noise = decision.noise(np.arange(len(decision.base)))
    sampler = RandomOverSampler(random_state=seed, shrinkage=shrinkage)
    theirs, labels = sampler.fit_resample(x[~outside], y[~outside])
    start = (~outside).sum()
    assert np.array_equal(decision.base, np.flatnonzero(~outside)[sampler.sample_indices_[start:]])
    assert np.array_equal(y[decision.base], labels[start:])
    made = np.hstack([features[name].values[decision.base] + noise[name] for name in features])
    assert made.dtype == theirs.dtype == np.float64
    assert np.array_equal(made, theirs[start:])
    assert len(made) > 50


# ---------------------------------------------------------------------------------------- refusals

@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_a_width_that_is_none_is_refused(value):
    x, y = make_data([20, 9, 9, 8], 4)
    with pytest.raises(UsageError) as refused:
        rose.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), shrinkage=value))
    assert str(refused.value) == ("--shrinkage: this width of the noise is not possible: expected a number above 0, "
                                  f"got {value}; write --shrinkage 1, or use --strategy oversample for plain copies")


def test_sequences_are_refused():
    features = {"audio": Modality([np.ones((2, 2), np.float32)] * 20, np.ones(20, bool), "fps:10")}
    with pytest.raises(UsageError) as refused:
        rose.decide(make_problem(features, [0] * 12 + [1] * 8, {"neutral": 12, "surprise": 12}, labels=LABELS[:2]))
    assert str(refused.value) == ("--strategy rose: noise on each step of a sequence is no smoothed bootstrap, and "
                                  "audio is a sequence: expected vectors, got clock fps:10; make features with --pool "
                                  "mean, or use --strategy smote")


def test_features_are_needed_and_finite():
    with pytest.raises(UsageError, match="--strategy rose: there is no feature to add noise to: expected a feature "
                                         "store; run `emoprep features` first"):
        rose.decide(make_problem(None, [0, 1], {"neutral": 1, "surprise": 1}, labels=LABELS[:2]))
    x, y = make_data([20, 9, 9, 8], 4)
    row = int(np.flatnonzero(y == 1)[0])
    x[row, 2] = np.nan
    for compat in (False, True):
        with pytest.raises(EmoprepError, match=f"u{row}: this a feature has a value that is not finite"):
            rose.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), imblearn_compat=compat))
