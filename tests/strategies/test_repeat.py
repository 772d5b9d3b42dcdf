"""Repeating dialogues: what is made of whom, what counts in the loss, what is told and what is refused."""

import numpy as np
import pytest

from emoprep.contracts import Problem, find_strategy
from emoprep.errors import UsageError
from emoprep.methods.targets import decide_targets
from emoprep.strategies import repeat

LABELS = ("neutral", "joy", "fear")
DIALOGUES = ("d0",) * 4 + ("d1",) * 3 + ("d2",) * 2
# d1 has the only fear, and an utterance outside the scheme.
Y = np.array([0, 0, 0, 1, 0, 2, -100, 0, 1], np.int16)


def decide(y=Y, dialogues=DIALOGUES, labels=LABELS, targets=None, seed=0, **options):
    keys = tuple(f"u{row}" for row in range(len(y)))
    return repeat.decide(Problem(keys, tuple(dialogues), y, labels, targets or {}, seed, options))


def counts_in_loss(y, decision, classes):
    there = y >= 0
    made = y[decision.base] >= 0
    return (np.bincount(y[there], minlength=classes)
            + np.bincount(y[decision.base][made], weights=decision.loss_mask[made], minlength=classes))


# --------------------------------------------------------------------------------------------- what a copy is

def test_a_repeated_dialogue_is_all_its_rows_in_order_with_a_number_for_each_copy():
    decision = decide(objective="min-ir", max_repeats=3)
    assert decision.base.tolist() == [4, 5, 6, 4, 5, 6, 7, 8]
    assert decision.dialogue.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert set(decision.op.tolist()) == {"repeat"}
    assert (decision.neighbor == -1).all() and np.isnan(decision.lam).all()
    assert (decision.kept == "keep").all()


def test_a_row_outside_the_scheme_is_context_in_the_copy_too():
    assert decide(objective="min-ir", max_repeats=3).loss_mask.tolist() == [1, 1, 0, 1, 1, 0, 1, 1]


def test_utterances_stand_alone_and_come_class_by_class():
    decision = decide(unit="utterance", max_repeats=4)
    assert (decision.dialogue, decision.loss_mask) == (None, None)
    assert decision.base.tolist() == [3, 3, 8, 5, 5, 5]
    assert decision.notes == ("utterances by how often they appear: 5 once, 1 twice, 1 3 times, 1 4 times",
                              "data × 1.67: imbalance ratio 5.00 → 1.25, evenness 0.8194 → 0.9952")


def test_several_labels():
    y = np.array([[1, 0], [1, 0], [1, 1], [0, 0], [-100, -100]], np.int8)
    decision = decide(y, ("d0",) * 5, ("happy", "fear"), unit="utterance")
    assert decision.base.tolist() == [2] * 4
    assert decision.notes[-1] == "data × 1.80: MeanIR 2.00 → 1.20, evenness 0.8113 → 0.9799"
    whole = decide(y, ("d0", "d0", "d1", "d1", "d1"), ("happy", "fear"), max_repeats=2)
    assert whole.base.tolist() == [2, 3, 4]
    assert whole.loss_mask.tolist() == [1, 1, 0]


def test_a_class_without_members_is_told():
    assert decide(labels=(*LABELS, "disgust")).notes[-1] == "disgust has no member in train and stays at 0"
    outside = decide(np.full(9, -100, np.int16))
    assert not len(outside.base)
    assert outside.notes == ("no train utterance is in the label scheme, so nothing is repeated",)


# ------------------------------------------------------------------------------------------------ repeat factors

def test_repeat_factors_are_drawn_by_the_seed():
    y = np.array([0] * 90 + [1] * 10, np.int16)
    alone = tuple(f"d{row}" for row in range(100))
    decision = decide(y, alone, ("neutral", "fear"), objective="rfs", rfs_threshold=0.625)
    # √(0.625 / 0.1) = 2.5: two appearances or three.
    times = np.bincount(decision.base, minlength=100)
    assert not times[:90].any() and set(times[90:].tolist()) == {1, 2}
    assert decision.notes[1] == "repeat factors: fear × 2.50"
    other = decide(y, alone, ("neutral", "fear"), seed=1, objective="rfs", rfs_threshold=0.625)
    assert other.base.tolist() != decision.base.tolist()


def test_irfs_looks_at_dialogues_too():
    # fear is 1 utterance of 8, and in 1 dialogue of 3.
    rfs, irfs = (decide(objective=name, rfs_threshold=1.0).notes[1] for name in ("rfs", "irfs"))
    assert rfs == "repeat factors: neutral × 1.26, joy × 2.00, fear × 2.83"
    assert irfs == "repeat factors: neutral × 1.12, joy × 1.57, fear × 2.21"


# ------------------------------------------------------------------------------------------------- masked copies

@pytest.mark.parametrize("target", ["auto", "0.5", "alpha=0.5", "fear=4"])
def test_masked_copies_reach_the_target_exactly(target):
    counts = dict(zip(LABELS, (5, 2, 1), strict=True))
    targets = decide_targets(target, counts, "over")
    decision = decide(targets=targets, objective="masked-copies")
    assert counts_in_loss(Y, decision, 3).tolist() == list(targets.values())
    assert set(decision.loss_mask.tolist()) <= {0, 1}
    # Whole dialogues, and no copy in which nothing counts.
    for number in range(decision.dialogue.max() + 1):
        mine = decision.base[decision.dialogue == number]
        assert mine.tolist() == [row for row in range(9) if DIALOGUES[row] == DIALOGUES[mine[0]]]
        assert decision.loss_mask[decision.dialogue == number].any()


def test_masked_copies_use_each_utterance_of_a_class_about_as_often():
    y = np.repeat(np.arange(2, dtype=np.int16), (50, 7))
    decision = decide(y, [f"d{row % 9}" for row in range(57)], ("joy", "fear"), {"joy": 50, "fear": 30},
                      objective="masked-copies")
    times = 1 + np.bincount(decision.base, weights=decision.loss_mask, minlength=57)
    assert set(times[:50].tolist()) == {1}
    assert sorted(times[50:].tolist()) == [4] * 5 + [5] * 2


# --------------------------------------------------------------------------------------------- options, refusals

def test_the_objective_says_what_is_read():
    assert (repeat.DIRECTION, repeat.TASKS) == ("own", ("single-label", "multi-label"))
    for objective, options in [("evenness", ["budget", "max_repeats"]), ("min-ir", ["budget", "max_repeats"]),
                               ("rfs", ["rfs_threshold"]), ("irfs", ["rfs_threshold"]), ("masked-copies", [])]:
        module = find_strategy("repeat", {"objective": objective})
        assert sorted(module.OPTIONS) == sorted([*options, "objective", "unit"])
        masked = objective == "masked-copies"
        found = module.DIRECTION, module.TASKS
        assert found == (("over", ("single-label",)) if masked else ("own", repeat.TASKS))


@pytest.mark.parametrize(("options", "text"), [
    ({"objective": "even"}, "--objective: not known: expected evenness or min-ir or rfs or irfs or masked-copies, got "
                            "'even'"),
    ({"unit": "scene"}, "--unit: not known: expected dialogue or utterance, got 'scene'"),
    ({"max_repeats": 0}, "--max-repeats: this number of repeats is not possible: expected a whole number of at least "
                         "1, got 0; write --max-repeats 5"),
    ({"budget": 0.9}, "--budget: this budget is not possible: expected a number of at least 1, got 0.9; --budget 2 is "
                      "twice the data"),
    ({"budget": float("nan")}, "--budget: this budget is not possible: expected a number of at least 1, got nan; "
                               "--budget 2 is twice the data"),
    ({"objective": "rfs", "rfs_threshold": 0.0}, "--rfs-threshold: this threshold is not possible: expected a number "
                                                 "above 0, got 0.0; write --rfs-threshold 0.2"),
    ({"objective": "masked-copies", "unit": "utterance"},
     "--unit: masked copies are copies of dialogues: expected dialogue, got utterance; use --strategy oversample "
     "--even, which makes the same counts of lone utterances")])
def test_what_cannot_be_is_refused(options, text):
    with pytest.raises(UsageError) as refused:
        decide(**options)
    assert str(refused.value) == text


def test_an_unknown_objective_is_refused_before_anything_is_read():
    with pytest.raises(UsageError, match="--objective: not known"):
        find_strategy("repeat", {"objective": "even"})


def test_more_than_can_be_made_is_refused():
    rows = np.repeat(np.arange(2, dtype=np.int16), (90_000, 1))
    with pytest.raises(UsageError) as refused:
        decide(rows, ["d0"] * len(rows), ("joy", "fear"), objective="rfs", rfs_threshold=20.0)
    assert str(refused.value).startswith("--strategy repeat: this is more than can be made: expected at most "
                                         "10,000,000 items, got 12")


def test_masked_copies_refuse_a_class_by_name_and_count():
    with pytest.raises(UsageError, match="over-sampling takes nothing away from joy: expected at least the 2 that are "
                                         "there, got joy=1"):
        decide(targets={"neutral": 5, "joy": 1, "fear": 1}, objective="masked-copies")
    with pytest.raises(UsageError, match="disgust has no member in train, so none can be made or kept"):
        decide(labels=(*LABELS, "disgust"), targets={"disgust": 3}, objective="masked-copies")


# --------------------------------------------------------------------------------------------------- the real rows

@pytest.fixture(scope="module")
def meld(shared):
    from emoprep.balance.problem import open_input

    rows = open_input(shared / "real/meld").rows("train")
    labels = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    y = np.array([labels.index(emotion) for emotion in rows.column("emotion").to_pylist()], np.int16)
    return y, rows.column("dialogue").to_pylist(), labels


@pytest.mark.shared
def test_meld_unasked(meld):
    decision = decide(*meld)
    assert decision.notes == ("dialogues by how often they appear: 769 once, 1 twice, 268 5 times",
                              "data × 1.98: imbalance ratio 17.57 → 7.60, evenness 0.7897 → 0.8929")
    assert decide(*meld, objective="min-ir").notes[-1].startswith("data × 1.72: imbalance ratio 17.57 → 6.91")
    assert decide(*meld, objective="min-ir", max_repeats=10).notes[-1].startswith(
        "data × 2.00: imbalance ratio 17.57 → 5.01")


@pytest.mark.shared
def test_repeat_factors_on_meld(meld):
    y = meld[0]
    decision = decide(*meld, objective="rfs", rfs_threshold=2.0)
    totals = counts_in_loss(y, decision, 7)
    # The limit is 11.95 in expectation; 268 fears, each in a dialogue that is rounded up or not, spread by about 1 %.
    assert totals.max() / totals.min() == pytest.approx(11.95, abs=0.25)
    assert 1 + len(decision.base) / len(y) == pytest.approx(6.17, abs=0.05)


@pytest.mark.shared
@pytest.mark.parametrize(("target", "bound"), [("alpha=0.25", 2.38), ("alpha=0.5", 3.58), ("alpha=0.75", 5.85),
                                               ("auto", 10.4)])
def test_masked_copies_of_meld(meld, target, bound):
    y, _, labels = meld
    targets = decide_targets(target, dict(zip(labels, np.bincount(y).tolist(), strict=True)), "over")
    decision = decide(*meld, targets, objective="masked-copies")
    assert counts_in_loss(y, decision, 7).tolist() == list(targets.values())
    # The published figures give each utterance of a class as many appearances as the one that has most.
    assert bound * 0.8 < 1 + len(decision.base) / len(y) < bound


@pytest.mark.shared
def test_labels_of_cmu_mosei_come_out_even(mosei_labels):
    for options, size, mean_ratio, evenness in ((
            {}, 1.50, "1.52", "0.8912 → 0.9848"), ({"max_repeats": 10}, 1.98, "1.09", "0.8912 → 0.9989")):
        decision = decide(mosei_labels, [str(row) for row in range(len(mosei_labels))], tuple("abcdef"),
                          unit="utterance", **options)
        assert 1 + len(decision.base) / len(mosei_labels) == pytest.approx(size, abs=0.005)
        assert f"MeanIR 3.42 → {mean_ratio}, evenness {evenness}" in decision.notes[-1]
