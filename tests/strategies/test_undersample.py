"""Taking utterances out of the loss, or out of the data."""

import numpy as np
import pytest

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
