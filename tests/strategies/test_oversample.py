"""Repeating utterances, at random and evenly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler

from emoprep.contracts import Problem
from emoprep.errors import UsageError
from emoprep.strategies import oversample


def decide(counts, targets, seed=0, **options):
    y = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.int16)
    keys = tuple(f"u{row}" for row in range(len(y)))
    return y, oversample.decide(Problem(keys, keys, y, tuple(counts), targets, seed, options))


def test_random_draws_are_with_replacement_and_leave_some_out():
    y, decision = decide({"joy": 400, "fear": 200}, {"joy": 400, "fear": 400})
    assert (decision.op == "repeat").all()
    assert (decision.neighbor == -1).all()
    assert np.isnan(decision.lam).all()
    times = np.bincount(decision.base, minlength=len(y))
    assert not times[:400].any()
    # 200 draws from 200 leave e⁻¹ of them out.
    assert (times[400:] == 0).mean() == pytest.approx(np.exp(-1), abs=0.1)
    assert times.max() > 2


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 200), st.integers(0, 9))
def test_even_uses_each_utterance_as_often_as_the_next(present, more, seed):
    y, decision = decide({"joy": present}, {"joy": present + more}, seed, even=True)
    times = 1 + np.bincount(decision.base, minlength=len(y))
    assert times.sum() == present + more
    assert times.min() == (present + more) // present
    assert times.max() == -(-(present + more) // present)


def test_even_chooses_the_remainder_by_the_seed():
    _, first = decide({"joy": 50}, {"joy": 60}, 0, even=True)
    _, second = decide({"joy": 50}, {"joy": 60}, 1, even=True)
    assert sorted(first.base) != sorted(second.base)


def test_one_member_is_repeated():
    _, decision = decide({"joy": 3, "fear": 1}, {"joy": 3, "fear": 3})
    assert decision.base.tolist() == [3, 3]


@pytest.mark.parametrize("seed", [0, 12345])
def test_compat_draws_what_imbalanced_learn_draws(seed):
    rng = np.random.default_rng(seed)
    y = rng.choice(4, 200, p=[0.5, 0.2, 0.2, 0.1]).astype(np.int16)
    inside = rng.random(200) < 0.9
    y[~inside] = -100
    keys = tuple(f"u{row}" for row in range(200))
    counts = np.bincount(y[inside])
    for targets in (dict.fromkeys("abcd", int(counts.max())), dict(zip("abcd", counts.tolist(), strict=True)) | {
            "b": 70, "d": 50}):
        decision = oversample.decide(Problem(keys, keys, y, tuple("abcd"), targets, seed, {"imblearn_compat": True}))
        sampler = RandomOverSampler(random_state=seed, sampling_strategy=dict(enumerate(targets.values())))
        sampler.fit_resample(np.zeros((inside.sum(), 1)), y[inside])
        assert np.array_equal(decision.base, np.flatnonzero(inside)[sampler.sample_indices_[inside.sum():]])
        assert len(decision.base) > 20


def test_compat_and_even_exclude_each_other():
    with pytest.raises(UsageError, match="--imblearn-compat: imbalanced-learn has no --even: got --even; leave one of "
                                         "the two out"):
        decide({"joy": 3, "fear": 1}, {"joy": 3, "fear": 3}, even=True, imblearn_compat=True)
