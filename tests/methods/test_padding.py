"""Which steps of padded sequences are content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoprep.errors import CorpusError
from emoprep.methods.padding import content_spans, live_steps, padded_side, unpad


def lives(*rows):
    return np.array([[mark == "x" for mark in row] for row in rows])


@given(lengths=st.lists(st.integers(0, 6), min_size=1), side=st.sampled_from(["left", "right"]))
def test_what_was_padded_comes_back(tmp_path_factory, lengths, side):
    generator = np.random.default_rng(len(lengths))
    sequences = [generator.uniform(0.1, 1, (length, 3)).astype(np.float32) for length in lengths]
    array = np.zeros((len(lengths), 6, 3), np.float32)
    for row, sequence in zip(array, sequences, strict=True):
        row[6 - len(sequence):] = sequence if side == "left" else 0
        row[:len(sequence)] = sequence if side == "right" else row[:len(sequence)]
    found, notes = unpad({"a": [array]}, tmp_path_factory.getbasetemp())
    some_padding = any(0 < length < 6 for length in lengths)
    assert found["a"].side == (side if some_padding else None) and notes == [] and found["a"].clock == "own"
    for number, sequence in enumerate(sequences):
        row = found["a"].row(0, number)
        assert row is None if not len(sequence) else (row == sequence).all()


@pytest.mark.parametrize(("rows", "side"), [
    (["..xx", "xxxx", ".x.x"], "left"), (["xx..", "x...", "...."], "right"), (["xxxx", "...."], None),
    (["..x."], "left"), ([".x.."], "right"), ([".x."], None),  # as many zeros at both ends tell nothing
    (["x..."] * 18 + ["...x"] * 2, "right"), ([], None),
])
def test_the_side_is_found_by_looking(tmp_path, rows, side):
    assert padded_side([lives(*rows).reshape(len(rows), -1 if rows else 4)], "a", tmp_path) == side


def test_sides_that_differ_too_often(tmp_path):
    with pytest.raises(CorpusError, match="a is padded at both sides: .* got more of them at the left in 3, at the "
                                          "right in 18; pad all splits alike"):
        padded_side([lives(*["x..."] * 18), lives(*["...x"] * 3)], "a", tmp_path)


def test_zeros_within_and_at_the_other_end_stay():
    assert [ends.tolist() for ends in content_spans(lives("..x.x.", "......", "xxxxxx"), "left")] \
        == [[2, 0, 0], [6, 0, 6]]
    assert [ends.tolist() for ends in content_spans(lives("..x.x.", "......"), "right")] == [[0, 0], [5, 0]]
    assert [ends.tolist() for ends in content_spans(lives("..x.x."), None)] == [[0], [6]]


def test_nan_is_no_padding():
    array = np.zeros((600, 2, 2))
    array[599, 1, 0], array[0, 0, 1] = np.nan, -np.inf
    assert np.argwhere(live_steps(array)).tolist() == [[0, 0], [599, 1]]


def test_a_modality_that_is_missing_does_not_shorten_the_others(tmp_path):
    text, audio = np.ones((2, 4, 2)), np.ones((2, 4, 3))
    text[0, :2], audio[0, :3], audio[1] = 0, 0, 0
    found, _ = unpad({"text": [text], "audio": [audio]}, tmp_path)
    assert [len(found["text"].row(0, row)) for row in (0, 1)] == [2, 4]
    assert found["audio"].row(0, 0).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert found["audio"].row(0, 1) is None
    assert found["audio"].facts() == {"dim": 3, "clock": "words", "padded": "left", "padded_length": 4}


def test_numbers_of_any_kind_become_float32(tmp_path):
    for array in (np.full((1, 1, 1), 1e300), np.full((1, 1, 1), 3, ">i2"), np.full((1, 1, 1), 3, np.uint8)):
        row = unpad({"a": [array]}, tmp_path)[0]["a"].row(0, 0)
        assert row.dtype == np.float32 and row[0, 0] in (3, np.inf)
