"""Weights only: the data stay as they are."""

import numpy as np

from emoprep.contracts import Problem
from emoprep.strategies import weights


def test_every_row_is_kept_and_nothing_is_made():
    y = np.array([0, 0, 1, -100], dtype=np.int16)
    decision = weights.decide(Problem(tuple("abcd"), tuple("ddee"), y, ("joy", "fear"), {"fear": 99}))
    assert decision.kept.tolist() == ["keep"] * 4
    assert len(decision.op) == len(decision.base) == len(decision.neighbor) == len(decision.lam) == 0
    assert (weights.DIRECTION, weights.MAKES, weights.OPTIONS) == ("none", "nothing", {})
