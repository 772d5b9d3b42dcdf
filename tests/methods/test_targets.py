"""The `--target` grammar: each row of its table with MELD's train counts, each refusal with its text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.utils import check_sampling_strategy

from emoprep.contracts import Problem
from emoprep.errors import UsageError
from emoprep.methods.targets import check_targets, class_gaps, decide_targets

MELD = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271,
        "anger": 1109}
IEMOCAP = {"happy": 504, "sad": 839, "neutral": 1324, "angry": 933, "excited": 742, "frustrated": 1468}
EMPTY = {"neutral": 40, "joy": 10, "fear": 0}


def decided(text, counts=MELD, direction="over"):
    targets = decide_targets(text, counts, direction)
    assert list(targets) == list(counts)
    return list(targets.values())


@pytest.mark.parametrize(("text", "expected"), [
    ("auto", [4710] * 7),
    ("not-majority", [4710] * 7),
    ("all", [4710] * 7),
    ("minority", [4710, 1205, 4710, 683, 1743, 271, 1109]),
    ("not-minority", [4710, 4710, 268, 4710, 4710, 4710, 4710]),
    ("0.5", [4710, 2355, 2355, 2355, 2355, 2355, 2355]),
    ("1", [4710] * 7),
    ("0.1", [4710, 1205, 471, 683, 1743, 471, 1109]),
    ("alpha=0", list(MELD.values())),
    ("alpha=0.25", [4710, 1694, 549, 1107, 2235, 553, 1592]),
    ("alpha=0.5", [4710, 2382, 1124, 1794, 2865, 1130, 2285]),
    ("alpha=0.75", [4710, 3350, 2300, 2907, 3674, 2307, 3281]),
    ("alpha=1", [4710] * 7),
    ("fear=468,disgust=471", [4710, 1205, 468, 683, 1743, 471, 1109]),
    ("+fear=200,+disgust=200,+sadness=60,+anger=60", [4710, 1205, 468, 743, 1743, 471, 1169]),
    ("preset:cberl-table6", [4710, 1205, 468, 743, 1743, 471, 1169]),
    ("max-multiplier=3", [4710, 3615, 804, 2049, 4710, 813, 3327]),
    ("auto,max-multiplier=3", [4710, 3615, 804, 2049, 4710, 813, 3327]),
    (" max-multiplier=1.5 , alpha=0.5 ", [4710, 1807, 402, 1024, 2614, 406, 1663]),
    ("fear=468,disgust=300,max-multiplier=1.5", [4710, 1205, 402, 683, 1743, 300, 1109]),
    ("preset:cberl-table6,max-multiplier=1.5", [4710, 1205, 402, 743, 1743, 406, 1169]),
])
def test_over_sampling_on_meld(text, expected):
    assert decided(text) == expected


def test_totals_and_imbalance_that_the_literature_gives():
    assert sum(decided("auto")) == 32_970
    assert sum(decided("alpha=0.5")) == 16_290
    tempered, table6 = decided("alpha=0.5"), decided("preset:cberl-table6")
    assert max(tempered) / min(tempered) == pytest.approx(4.19, abs=0.005)
    assert sum(table6) == 10_509
    assert max(table6) / min(table6) == pytest.approx(10.064103, abs=1e-6)


def test_preset_follows_the_labels_whatever_their_order():
    assert decided("preset:cberl-table6", IEMOCAP) == [754, 959, 1404, 1183, 862, 1548]
    turned = dict(reversed(IEMOCAP.items()))
    assert decided("preset:cberl-table6", turned) == [1548, 862, 1183, 1404, 959, 754]


@pytest.mark.parametrize(("text", "expected"), [
    ("auto", [268] * 7),
    ("not-minority", [268] * 7),
    ("all", [268] * 7),
    ("majority", [268, 1205, 268, 683, 1743, 271, 1109]),
    ("not-majority", [4710, 268, 268, 268, 268, 268, 268]),
    ("0.5", [536, 536, 268, 536, 536, 271, 536]),
    ("alpha=0.5", [1124, 568, 268, 428, 683, 269, 545]),
    ("neutral=2000,joy=1000", [2000, 1205, 268, 683, 1000, 271, 1109]),
    ("auto,max-multiplier=3", [1570, 402, 268, 268, 581, 268, 370]),
    ("neutral=0", [0, 1205, 268, 683, 1743, 271, 1109]),
])
def test_under_sampling_on_meld(text, expected):
    assert decided(text, direction="under") == expected


def test_a_ratio_is_exact_where_binary_floating_point_is_not():
    assert int(0.29 * 100) == 28
    assert decided("0.29", {"a": 100, "b": 1}) == [100, 29]


def test_only_the_first_of_equally_large_classes_is_the_majority():
    assert decided("not-minority", {"a": 3, "b": 3, "c": 5, "d": 5}) == [3, 5, 5, 5]
    assert decided("minority", {"a": 3, "b": 3, "c": 5}) == [5, 3, 5]
    assert decided("majority", {"a": 5, "b": 5, "c": 2}, "under") == [2, 5, 2]


@pytest.mark.parametrize("text", ["auto", "all", "not-minority", "0.5", "alpha=0.5", "max-multiplier=3"])
def test_the_rules_leave_a_class_without_members_at_zero(text):
    over, under = decided(text, EMPTY), decided(text, EMPTY, "under")
    assert over[2] == under[2] == 0
    assert over[1] > 10 or text == "not-minority"
    assert under[0] < 40


def test_nothing_at_all_stays_nothing():
    assert decided("auto", {"a": 0, "b": 0}) == [0, 0]
    assert decided("0.5", {"a": 0, "b": 0}, "under") == [0, 0]


def test_a_class_may_be_called_like_a_number_or_begin_with_a_plus():
    assert decided("-3=5,+1=7", {"-3": 2, "+1": 2, "1": 2}) == [5, 7, 2]
    assert decided("+-3=5", {"-3": 2, "+1": 2, "1": 2}) == [7, 2, 2]


LONG = ("auto, all, minority, majority, not-minority, not-majority, a ratio such as 0.5, alpha=0.5, "
        "class=count, +class=count or preset:cberl-table6, and max-multiplier=3 beside it")


@pytest.mark.parametrize(("text", "message"), [
    ("fury=9", "--target: this class is not known: expected neutral, surprise, fear, sadness, joy, disgust, "
               "anger, got fury; use the class names of --labels"),
    ("+fury=9", "--target: this class is not known: expected neutral, surprise, fear, sadness, joy, disgust, "
                "anger, got fury; use the class names of --labels"),
    ("fear=100", "--target: over-sampling takes nothing away from fear: expected at least the 268 that are "
                 "there, got fear=100; raise the count, or use --strategy undersample"),
    ("fear=-3", "--target: the count of fear is not understood: expected a whole number, not negative, "
                "got -3; write for example --target fear=500"),
    ("fear=nan", "--target: the count of fear is not understood: expected a whole number, not negative, "
                 "got nan; write for example --target fear=500"),
    ("fear=468.5", "--target: the count of fear is not understood: expected a whole number, not negative, "
                   "got 468.5; write for example --target fear=500"),
    ("fear=", "--target: the count of fear is not understood: expected a whole number, not negative, "
              "got nothing; write for example --target fear=500"),
    ("fear=500,fear=600", "--target: fear is named twice: expected each class once, got fear=500, fear=600; "
                          "leave one of them out"),
    ("fear=500,+joy=9", "--target: final and added counts cannot be combined: expected class=count or "
                        "+class=count throughout, got fear=500, +joy=9; write all of them with a plus, "
                        "or none"),
    ("auto,alpha=0.5", "--target: two targets cannot be combined: expected one of them, got auto, alpha=0.5; "
                       "only max-multiplier=… goes beside another target"),
    ("fear=500,0.5", "--target: two targets cannot be combined: expected one of them, got fear=500, 0.5; "
                     "only max-multiplier=… goes beside another target"),
    ("preset:cberl-table6,+joy=9", "--target: two targets cannot be combined: expected one of them, got "
                                   "preset:cberl-table6, +joy=9; only max-multiplier=… goes beside another "
                                   "target"),
    ("half", f"--target: this target is not understood: expected {LONG}, got 'half'; "
             "see `emoprep balance --help`"),
    ("", f"--target: this target is not understood: expected {LONG}, got ''; see `emoprep balance --help`"),
    ("fear=500,", f"--target: this target is not understood: expected {LONG}, got 'fear=500,'; "
                  "see `emoprep balance --help`"),
    ("1e400", f"--target: this target is not understood: expected {LONG}, got '1e400'; "
              "see `emoprep balance --help`"),
    ("nan", "--target: this ratio of the smallest to the largest class is not possible: expected a number "
            "above 0 and at most 1, got nan; write for example --target 0.5, or counts as fear=468"),
    ("-0.5", "--target: this ratio of the smallest to the largest class is not possible: expected a number "
             "above 0 and at most 1, got -0.5; write for example --target 0.5, or counts as fear=468"),
    ("1.5", "--target: this ratio of the smallest to the largest class is not possible: expected a number "
            "above 0 and at most 1, got 1.5; write for example --target 0.5, or counts as fear=468"),
    ("alpha=2", "--target: this alpha is not possible: expected alpha=A with A from 0 to 1, got alpha=2; "
                "alpha=0 changes nothing, alpha=1 makes all classes equal"),
    ("alpha=nan", "--target: this alpha is not possible: expected alpha=A with A from 0 to 1, got alpha=nan; "
                  "alpha=0 changes nothing, alpha=1 makes all classes equal"),
    ("max-multiplier=0.5", "--target: max-multiplier is not understood: expected max-multiplier=M once, with "
                           "M of at least 1, got max-multiplier=0.5; write for example "
                           "--target auto,max-multiplier=3"),
    ("max-multiplier=2,max-multiplier=3", "--target: max-multiplier is not understood: expected "
                                          "max-multiplier=M once, with M of at least 1, got "
                                          "max-multiplier=2, max-multiplier=3; write for example "
                                          "--target auto,max-multiplier=3"),
    ("preset:cberl-table7", "--target: this preset is not known: expected preset:cberl-table6, got "
                            "preset:cberl-table7; write the counts out as +fear=200"),
    ("majority", "--target: over-sampling leaves the majority as it is: expected auto, all, not-minority, "
                 "not-majority or counts, got majority; use auto, or the other direction's strategy"),
])
def test_refusals_when_over_sampling(text, message):
    with pytest.raises(UsageError) as refused:
        decide_targets(text, MELD, "over")
    assert str(refused.value) == message


@pytest.mark.parametrize(("text", "message"), [
    ("fear=500", "--target: under-sampling adds nothing to fear: expected at most the 268 that are there, "
                 "got fear=500; lower the count, or use --strategy oversample"),
    ("+fear=200", "--target: under-sampling adds nothing: expected final counts as neutral=1000, got "
                  "+fear=200; write final counts, or use --strategy oversample"),
    ("preset:cberl-table6", "--target: under-sampling adds nothing: expected final counts as neutral=1000, "
                            "got preset:cberl-table6; write final counts, or use --strategy oversample"),
    ("minority", "--target: under-sampling leaves the minority as it is: expected auto, all, not-minority, "
                 "not-majority or counts, got minority; use auto, or the other direction's strategy"),
])
def test_refusals_when_under_sampling(text, message):
    with pytest.raises(UsageError) as refused:
        decide_targets(text, MELD, "under")
    assert str(refused.value) == message


@pytest.mark.parametrize("text", ["fear=5", "+fear=5"])
def test_a_class_without_members_cannot_be_asked_for(text):
    with pytest.raises(UsageError) as refused:
        decide_targets(text, EMPTY, "over")
    assert str(refused.value) == ("--target: fear has no member in train, so none can be made or kept: "
                                  "expected fear=0, got fear=5; leave fear out, or choose a label scheme "
                                  "without it")


def test_a_preset_for_other_classes_is_refused():
    with pytest.raises(UsageError) as refused:
        decide_targets("preset:cberl-table6", EMPTY, "over")
    assert str(refused.value) == (
        "--target: this preset is for other classes: expected neutral, surprise, fear, sadness, joy, "
        "disgust, anger or happy, sad, neutral, angry, excited, frustrated, got neutral, joy, fear; choose "
        "that label scheme, or write the counts out")


def test_a_preset_needs_members_in_the_classes_it_names():
    with pytest.raises(UsageError, match="disgust has no member in train"):
        decide_targets("preset:cberl-table6", {**MELD, "disgust": 0}, "over")


def test_a_strategy_without_direction_has_no_target():
    with pytest.raises(UsageError, match="this strategy makes and drops nothing, so it has no target"):
        decide_targets("auto", MELD, "none")


COUNTS = st.lists(st.integers(1, 60), min_size=2, max_size=5)


@settings(deadline=None)
@given(COUNTS, st.sampled_from(["auto", "all", "minority", "not-minority", "not-majority"]))
def test_over_sampling_words_mean_what_imbalanced_learn_means(counts, text):
    y = np.repeat(np.arange(len(counts)), counts)
    theirs = check_sampling_strategy(text.replace("-", " "), y, "over-sampling")
    expected = [count + theirs.get(number, 0) for number, count in enumerate(counts)]
    assert decided(text, {str(number): count for number, count in enumerate(counts)}) == expected


@settings(deadline=None)
@given(COUNTS, st.sampled_from(["auto", "all", "majority", "not-minority", "not-majority"]))
def test_under_sampling_words_mean_what_imbalanced_learn_means(counts, text):
    y = np.repeat(np.arange(len(counts)), counts)
    theirs = check_sampling_strategy(text.replace("-", " "), y, "under-sampling")
    expected = [theirs.get(number, count) for number, count in enumerate(counts)]
    assert decided(text, {str(number): count for number, count in enumerate(counts)}, "under") == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=7), st.floats(0, 1), st.integers(1, 9))
def test_targets_keep_their_direction_and_their_cap(counts, alpha, multiplier):
    counts = {str(number): count for number, count in enumerate(counts)}
    text = f"alpha={alpha:.6f},max-multiplier={multiplier}"
    top = max(counts.values())
    for label, target in decide_targets(text, counts, "over").items():
        assert counts[label] <= target <= min(top, multiplier * counts[label])
    for label, target in decide_targets(text, counts, "under").items():
        assert counts[label] <= multiplier * target
        assert target <= counts[label]


def test_class_gaps_name_rows_and_refuse_what_cannot_be():
    y = np.array([0, 1, -100, 1, 0, 0], dtype=np.int16)
    problem = Problem(tuple("abcdef"), tuple("dddddd"), y, ("x", "y"), {"x": 3, "y": 5})
    (label, rows, gap), = class_gaps(problem, "over")
    assert (label, rows.tolist(), gap) == ("y", [1, 3], 3)
    with pytest.raises(UsageError, match="under-sampling adds nothing to y"):
        list(class_gaps(problem, "under"))
    with pytest.raises(UsageError, match="z has no member"):
        check_targets({"z": 1}, {"z": 0}, "over")
