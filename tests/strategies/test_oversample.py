"""Repeating utterances, at random and evenly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.contracts import Problem
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
