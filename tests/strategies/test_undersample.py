"""Taking utterances out of the loss, or out of the data."""

import numpy as np
import pytest
from imblearn.under_sampling import RandomUnderSampler

from emoprep.contracts import Problem
from emoprep.errors import UsageError
from emoprep.strategies import undersample

Y = np.array([0] * 20 + [1] * 6 + [-100] * 4, dtype=np.int16)


def decide(targets, seed=0, **options):
    keys = tuple(f"u{row}" for row in range(len(Y)))
    return undersample.decide(Problem(keys, keys, Y, ("neutral", "fear"), targets, seed, options))


@pytest.mark.parametrize(("options", "word"), [({}, "mask"), ({"drop": "mask"}, "mask"),
                                               ({"drop": "delete"}, "drop")])
def test_the_surplus_is_masked_or_dropped(options, word):
    decision = decide({"neutral": 8, "fear": 6}, **options)
    assert (decision.kept[:20] == word).sum() == 12
    assert (decision.kept[:20] == "keep").sum() == 8
    assert (decision.kept[20:] == "keep").all()
    assert len(decision.base) == 0


def test_a_class_may_go_to_nothing():
    assert (decide({"neutral": 0, "fear": 6}).kept[:20] == "mask").all()


def test_every_row_may_be_the_one_that_goes():
    gone = {int(np.flatnonzero(decide({"neutral": 19, "fear": 6}, seed).kept == "mask")[0])
            for seed in range(200)}
    assert gone == set(range(20))


def test_masking_and_deleting_choose_the_same_rows():
    masked, deleted = decide({"neutral": 5, "fear": 2}), decide({"neutral": 5, "fear": 2}, drop="delete")
    assert np.array_equal(masked.kept == "mask", deleted.kept == "drop")


def test_another_way_to_drop_is_refused():
    with pytest.raises(UsageError) as refused:
        decide({"neutral": 5, "fear": 6}, drop="hide")
    assert str(refused.value) == ("--drop: this way to drop is not known: expected mask or delete, got hide; "
                                  "mask keeps the utterance as context, delete removes it")


@pytest.mark.parametrize("seed", [0, 12345])
def test_compat_keeps_what_imbalanced_learn_keeps(seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1, 2, 3, -100], [70, 40, 20, 50, 20])).astype(np.int16)
    inside = y >= 0
    keys = tuple(f"u{row}" for row in range(200))
    for targets in ({"a": 20, "b": 20, "c": 20, "d": 20}, {"a": 60, "b": 40, "c": 20, "d": 3}):
        problem = Problem(keys, keys, y, tuple("abcd"), targets, seed, {"imblearn_compat": True, "drop": "delete"})
        kept = undersample.decide(problem).kept
        shrinks = {number: target for number, target in enumerate(targets.values())
                   if target < (y == number).sum()}
        sampler = RandomUnderSampler(random_state=seed, sampling_strategy=shrinks)
        sampler.fit_resample(np.zeros((inside.sum(), 1)), y[inside])
        stays = np.sort(np.flatnonzero(inside)[sampler.sample_indices_])
        assert np.array_equal(np.flatnonzero((kept == "keep") & inside), stays)
        assert (kept[~inside] == "keep").all()
    # `auto` takes the same rows where no class is as small as the smallest.
    problem = Problem(keys, keys, y, tuple("abcd"), dict.fromkeys("abcd", 20), seed, {"imblearn_compat": True})
    sampler = RandomUnderSampler(random_state=seed)
    sampler.fit_resample(np.zeros((inside.sum(), 1)), y[inside])
    stays = np.sort(np.flatnonzero(inside)[sampler.sample_indices_])
    assert np.array_equal(np.flatnonzero((undersample.decide(problem).kept == "keep") & inside), stays)
