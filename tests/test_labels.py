"""Label schemes: by values, by intervals, for several labels; what is no scheme is told."""

import json

import pytest

from emoprep.errors import UsageError
from emoprep.labels import MULTI, OUTSIDE, SINGLE, Interval, LabelScheme, choose_scheme, read_scheme

NEAREST = LabelScheme("three", "score", ("-1", "0", "1"), intervals={"-1": "[-inf, -0.5)", "0": "[-0.5, 0.5]",
                                                                     "1": "(0.5, inf]"})
BOTH = LabelScheme("both", labels=("sad", "glad"), columns={"glad": "joy", "sad": "tears"}, above=0.5)


def scores(*values):
    return [{"score": value} for value in values]


def test_intervals_take_their_ends_or_not():
    assert NEAREST.encode(scores(-3.0, -0.5, 0, 0.5, 0.500001, float("inf"))) == [0, 1, 1, 1, 2, 2]
    assert NEAREST.task == SINGLE and NEAREST.reads == ("score",)


def test_what_no_interval_takes_is_outside():
    gap = LabelScheme("gap", "score", ("low", "high"), intervals={"low": "[0, 1)", "high": "(1, 2]"})
    assert gap.encode(scores(1, float("nan"), None, "1.5", -1, 3)) == [OUTSIDE] * 6


@pytest.mark.parametrize("text", ["", "1, 2", "[2, 1]", "(1, 1]", "[nan, 1]", "[1; 2]", "[1, 2, 3]", "[a, b]", "[1]"])
def test_what_is_no_interval_is_told(text):
    with pytest.raises(ValueError, match="."):
        Interval.read(text)
    with pytest.raises(UsageError, match="an interval cannot be read"):
        LabelScheme("x", "score", ("a",), intervals={"a": text})


@pytest.mark.parametrize(("one", "other", "meet"), [
    ("[0, 1]", "[1, 2]", True), ("[0, 1)", "[1, 2]", False), ("[0, 1]", "(1, 2]", False), ("[0, 3]", "(1, 2)", True),
    ("[0, 0]", "[0, 0]", True), ("[0, 0]", "(0, 1]", False), ("(0, 1)", "(0, 1)", True)])
def test_overlapping_intervals(one, other, meet):
    for left, right in ((one, other), (other, one)):
        assert Interval.read(left).meets(Interval.read(right)) is meet
    def make():
        return LabelScheme("x", "score", ("a", "b"), intervals={"a": one, "b": other})
    if meet:
        with pytest.raises(UsageError, match="two intervals overlap: got a and b"):
            make()
    else:
        make()


def test_several_labels_hold_above_the_threshold():
    rows = [{"joy": 1.0, "tears": 0.6}, {"joy": 0.5, "tears": 0.0}, {"joy": None, "tears": 3.0}]
    # In the order of labels, whatever the order of columns.
    assert BOTH.encode(rows) == [[1, 1], [0, 0], [OUTSIDE, OUTSIDE]]
    assert BOTH.task == MULTI and BOTH.reads == ("tears", "joy") and BOTH.outside == [OUTSIDE, OUTSIDE]


@pytest.mark.parametrize("scheme", [NEAREST, BOTH, LabelScheme("v", "s", ("a",), {"1": "a"})])
def test_a_scheme_survives_the_manifest(scheme):
    assert LabelScheme.from_json(scheme.name, json.loads(json.dumps(scheme.to_json()))) == scheme


@pytest.mark.parametrize(("given", "message"), [
    ({"labels": ["a"], "columns": {"b": "x"}}, "names one column for each label"),
    ({"labels": ["a"], "columns": {"a": "x"}, "column": "y"}, "names one column for each label"),
    ({"labels": ["a"], "column": "x"}, "either a mapping or intervals"),
    ({"labels": ["a"], "column": "x", "mapping": {"1": "a"}, "intervals": {"a": "[0, 1]"}}, "either a mapping or"),
    ({"labels": [], "column": "x", "mapping": {"1": "a"}}, "labels must be distinct, and at least one"),
    ({"labels": ["a"], "columns": {"a": "x"}, "above": "much"}, "this label scheme is incomplete"),
    ({"column": "x", "mapping": {"1": "a"}}, "this label scheme is incomplete"),
    ({"labels": ["a"], "columns": ["x"]}, "this label scheme is incomplete"),
    ({"labels": ["a"], "column": "x", "mapping": {"1": "a"}, "task": "multi-label"}, "not that of the scheme's rule"),
])
def test_what_is_no_scheme_is_told(given, message):
    with pytest.raises(UsageError, match=message):
        LabelScheme.from_json("own", given)


def test_the_three_forms_as_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('labels = ["sad", "glad"]\nabove = 0.5\n[columns]\nsad = "tears"\nglad = "joy"\n')
    assert read_scheme(path) == LabelScheme("mine", labels=("sad", "glad"), columns={"sad": "tears", "glad": "joy"},
                                            above=0.5)
    path.write_text('column = "score"\nlabels = ["low"]\n[intervals]\nlow = "[1, 2.5)"\n')
    assert read_scheme(path).encode(scores(2.5, 1)) == [OUTSIDE, 0]
    with pytest.raises(UsageError, match="reads a column that the corpus does not have.*expected joy, got tears"):
        path.write_text('labels = ["sad", "glad"]\n[columns]\nsad = "tears"\nglad = "joy"\n')
        choose_scheme(str(path), {}, {"joy": "float64"})


def test_no_scheme_at_all():
    with pytest.raises(UsageError, match="there is no label scheme here.*--labels FILE.toml"):
        choose_scheme(None, {}, {"file": "string"})


def test_a_scheme_that_no_row_is_in_is_told():
    with pytest.raises(UsageError, match="no row falls into this label scheme"):
        BOTH.check_values([{"joy": None, "tears": 1.0}])
    assert BOTH.check_values([{"joy": 0.0, "tears": 0.0}]) == ()
    assert NEAREST.check_values(scores(1, 5)) == ()


def test_lists_and_text_where_numbers_are_needed(tmp_path):
    columns = {"votes": "strings", "emotion": "string", "joy": "float64"}
    path = tmp_path / "mine.toml"
    for text, message in (('column = "votes"\nlabels = ["a"]\n[mapping]\nx = "a"\n', "does not have.*got votes"),
                          ('labels = ["a"]\n[columns]\na = "emotion"\n', "needs numbers.*expected joy, got emotion"),
                          ('column = "emotion"\nlabels = ["a"]\n[intervals]\na = "[0, 1]"\n', "needs numbers"),
                          ('labels = ["a"]\nabvoe = 2\n[columns]\na = "joy"\n', "no such entry.*got abvoe"),
                          ('labels = ["a"]\nabove = nan\n[columns]\na = "joy"\n', "this threshold is no number")):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            choose_scheme(str(path), {}, columns)
