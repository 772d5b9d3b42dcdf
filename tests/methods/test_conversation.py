"""How emotions follow each other, against MELD's published shift counts and against plain loops."""

import csv

import numpy as np
import pytest

from emoprep.methods.conversation import (
    count_dialogues,
    count_label_transitions,
    count_shifts,
    count_transitions,
    follow,
    transition_shares,
)

MELD = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")


def loop(dialogue, speaker, y):
    """Return the pairs of rows, row by row: the last row of the same dialogue and speaker, and each row."""
    last, pairs = {}, []
    for row, group in enumerate(zip(dialogue, speaker, strict=True)):
        if group in last:
            pairs.append((last[group], row))
        last[group] = row
    return pairs


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    dialogue = [f"d{number}" for number in rng.integers(12, size=300)]  # rows of a dialogue lie apart
    speaker, y = rng.integers(3, size=300), rng.choice([-100, 0, 1, 2, 3], 300)
    for columns in ((dialogue, [""] * 300), (dialogue, speaker.tolist())):
        pairs = loop(*columns, y)
        earlier, later = follow(*columns)
        assert sorted(zip(earlier.tolist(), later.tolist(), strict=True)) == sorted(pairs)
        inside = [(y[a], y[b]) for a, b in pairs if y[a] != -100 and y[b] != -100]
        wanted = np.zeros((4, 4), int)
        np.add.at(wanted, tuple(np.transpose(inside)), 1)
        np.testing.assert_array_equal(count_transitions(y, earlier, later, 4), wanted)
        assert count_shifts(y, earlier, later) == (sum(a != b for a, b in inside), len(inside))


def test_no_pair_goes_across_a_dialogue_nor_a_row_outside_the_scheme():
    y = np.array([0, 1, -100, 1, 0, 0], np.int16)
    dialogue = ["a", "a", "a", "a", "b", "b"]
    assert count_transitions(y, *follow(dialogue), 2).tolist() == [[1, 1], [0, 0]]
    assert count_shifts(y, *follow(dialogue, ["x", "y", "x", "y", "x", "y"])) == (0, 1)
    empty = follow([])
    assert [len(rows) for rows in empty] == [0, 0] and count_shifts(y, *empty) == (0, 0)


def test_shares_of_a_class_that_nothing_follows():
    shares = transition_shares(np.array([[3, 1], [0, 0]]))
    assert shares[0].tolist() == [0.75, 0.25] and np.isnan(shares[1]).all()


def test_dialogues_that_have_a_class_or_a_label():
    dialogue = ["a", "a", "b", "c"]
    counts, dialogues = count_dialogues(dialogue, np.array([0, 0, 1, -100]), 3)
    assert (counts.tolist(), dialogues) == ([1, 1, 0], 3)
    counts, dialogues = count_dialogues(dialogue, np.array([[1, 0], [1, 1], [1, 0], [-100, -100]]), 2)
    assert (counts.tolist(), dialogues) == ([2, 1], 3)


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_follow_labels_are_those_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    dialogue, y = rng.integers(20, size=200), (rng.random((200, 4)) < 0.4).astype(np.int8)
    y[rng.random(200) < 0.2] = -100
    wanted, wanted_followed = np.zeros((4, 4), int), np.zeros(4, int)
    for a, b in loop(dialogue.tolist(), [""] * 200, y):
        if y[a, 0] != -100 and y[b, 0] != -100:
            wanted += np.outer(y[a], y[b])
            wanted_followed += y[a]
    together, followed = count_label_transitions(y, *follow(dialogue))
    np.testing.assert_array_equal(together, wanted)
    np.testing.assert_array_equal(followed, wanted_followed)


def test_numbers_group_as_names_do():
    """Small numbers are taken as they are, large and negative ones are not."""
    names, y = ["b", "a", "b", "c", "a"], np.array([0, 1, 1, 0, -100])
    for numbers in ([7, 3, 7, 1, 3], [10**12, 5, 10**12, -4, 5]):
        numbers = np.array(numbers)
        assert {tuple(pair) for pair in np.transpose(follow(numbers)).tolist()} \
            == {tuple(pair) for pair in np.transpose(follow(names)).tolist()} == {(0, 2), (1, 4)}
        counts, dialogues = count_dialogues(numbers, y, 2)
        assert (counts.tolist(), dialogues) == ([2, 2], 3)


@pytest.mark.shared
@pytest.mark.parametrize(("split", "shifts", "neighbours", "pairs"), [
    # MELD's README has 4003, 427, 1003 shifts; train there has a dialogue more than its table.
    ("train", (4001, 7174), 5371, 8951), ("dev", (427, 766), 607, 995), ("test", (1003, 1864), 1353, 2330)])
def test_shifts_of_meld(shared, split, shifts, neighbours, pairs):
    with (shared / "real" / "meld" / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    dialogue, speaker = ([row[name] for row in rows] for name in ("Dialogue_ID", "Speaker"))
    y = np.array([MELD.index(row["Emotion"]) for row in rows])
    assert count_shifts(y, *follow(dialogue, speaker)) == shifts
    assert count_shifts(y, *follow(dialogue)) == (neighbours, pairs)
