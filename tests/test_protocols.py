"""Splits of corpora without official ones."""

import pytest

from emoprep.errors import UsageError
from emoprep.protocols import assign_splits, find_protocol, protocol_names


def test_rows_with_splits_keep_them():
    splits = ["train", None, "test"]
    assert assign_splits(splits, ["a", "b", "c"], corpus="meld") == (splits, None)
    for asked in ({"protocol": "session5"}, {"protocol": "none"}, {"all_is_train": True}):
        with pytest.raises(UsageError, match="IN has splits already: got test, train"):
            assign_splits(splits, ["a", "b", "c"], corpus="iemocap", **asked)


def test_a_corpus_without_protocols_stays_unsplit():
    assert protocol_names("meld") == protocol_names("somebody's") == ()
    assert assign_splits([None], ["a"], corpus="table") == ([None], None)
    with pytest.raises(UsageError, match="--protocol: no such protocol: expected none: table has no protocols"):
        assign_splits([None], ["a"], corpus="table", protocol="session5")


def test_all_is_train_and_a_protocol_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        assign_splits([None], ["a"], corpus="iemocap", protocol="session5", all_is_train=True)


@pytest.mark.parametrize("name", ["session5:1", "loso", "loso:", "sessions", "loso5", ""])
def test_names_that_are_no_protocol(name):
    with pytest.raises(UsageError, match="no such protocol.*session5 or loso:K or dialoguernn or none"):
        find_protocol("iemocap", name)


def test_the_default_is_the_first():
    dialogues = [f"iemocap_Ses0{session}F_impro0{number}" for session in range(1, 6) for number in range(1, 8)]
    splits, used = assign_splits([None] * 35, dialogues, corpus="iemocap")
    assert used == "session5" == protocol_names("iemocap")[0]
    assert splits[28:] == ["test"] * 7 and set(splits[:28]) == {"train", "dev"}
    assert assign_splits([None] * 35, dialogues, corpus="iemocap", protocol="loso:5")[0] == splits
    assert assign_splits([None] * 35, dialogues, corpus="iemocap", protocol="none") == ([None] * 35, None)
