"""Made items in copies of their dialogues: who stands where, and who counts."""

import numpy as np
import pytest

from emoprep.contracts import Decision, Problem
from emoprep.methods.placement import dialogue_spans, in_context

DIALOGUES = ("d0",) * 3 + ("d1",) * 2 + ("d2",)
ROWS = Problem(tuple("abcdef"), DIALOGUES, np.array([0, 1, 0, 1, 0, 1]), ("x", "y"), {})


def made(**more):
    return Decision.of(ROWS, np.array(["interpolate", "repeat", "interpolate"], dtype=object), [1, 1, 3],
                       np.array([3, -1, 5]), np.array([0.25, np.nan, 0.75]), **more)


def lines(decision, item):
    return [(int(number), ROWS.keys[base], op, int(mask), int(of)) for number, base, op, mask, of in
            zip(decision.dialogue, decision.base, decision.op, decision.loss_mask, item, strict=True)]


def test_replace_in_copy_puts_the_item_in_its_bases_place():
    placed, item = in_context(made(), DIALOGUES, "replace-in-copy")
    assert lines(placed, item) == [
        (0, "a", "repeat", 0, -1), (0, "b", "interpolate", 1, 0), (0, "c", "repeat", 0, -1),
        (1, "a", "repeat", 0, -1), (1, "b", "repeat", 1, 1), (1, "c", "repeat", 0, -1),
        (2, "d", "interpolate", 1, 2), (2, "e", "repeat", 0, -1)]
    assert placed.neighbor.tolist() == [-1, 3, -1, -1, -1, -1, 5, -1]
    np.testing.assert_array_equal(placed.lam, [np.nan, .25, *[np.nan] * 4, .75, np.nan])


def test_append_puts_the_item_behind_its_base():
    placed, item = in_context(made(), DIALOGUES, "append")
    assert lines(placed, item) == [
        (0, "a", "repeat", 0, -1), (0, "b", "repeat", 0, -1), (0, "b", "interpolate", 1, 0), (0, "c", "repeat", 0, -1),
        (1, "a", "repeat", 0, -1), (1, "b", "repeat", 0, -1), (1, "b", "repeat", 1, 1), (1, "c", "repeat", 0, -1),
        (2, "d", "repeat", 0, -1), (2, "d", "interpolate", 1, 2), (2, "e", "repeat", 0, -1)]


def test_a_dialogue_has_as_many_copies_as_its_busiest_row_has_items():
    placed, item = in_context(Decision.of(ROWS, "repeat", [0, 0, 1, 2, 2, 2]), DIALOGUES, "replace-in-copy")
    assert placed.dialogue.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert item.tolist() == [0, 2, 3, 1, -1, 4, -1, -1, 5]


def test_rows_that_are_dropped_are_in_no_copy():
    kept = np.array(["keep", "keep", "drop", "keep", "mask", "keep"])
    placed, _ = in_context(made(kept=kept), DIALOGUES, "replace-in-copy")
    assert [ROWS.keys[base] for base in placed.base] == ["a", "b", "a", "b", "d", "e"]


def test_what_belongs_to_an_item_moves_with_it():
    decision = made(parameters=[{"n": 0}, {"n": 1}, {"n": 2}], loss_mask=np.array([1, 0.5, 1]),
                    label_rows=np.array([[1, 3], [1, 1], [5, 3]]),
                    noise=lambda some: {"text": some[:, None].astype(np.float32) + 1})
    placed, item = in_context(decision, DIALOGUES, "replace-in-copy")
    assert [found.get("n") for found in placed.parameters] == [None, 0, None, None, 1, None, 2, None]
    assert placed.loss_mask.tolist() == [0, 1, 0, 0, .5, 0, 1, 0]
    assert placed.label_rows[item >= 0].tolist() == [[1, 3], [1, 1], [5, 3]]
    assert (placed.label_rows[item < 0] == placed.base[item < 0, None]).all()
    assert placed.noise(np.arange(8))["text"].ravel().tolist() == [0, 1, 0, 0, 2, 0, 3, 0]


def test_dialogues_that_were_made_whole_stay_whole():
    decision = Decision.of(ROWS, "repeat", [3, 4, 0], dialogue=np.array([0, 0, -1]))
    placed, item = in_context(decision, DIALOGUES, "append")
    assert placed.dialogue.tolist() == [0, 0, 1, 1, 1, 1] and item.tolist() == [0, 1, -1, 2, -1, -1]
    assert placed.loss_mask.tolist() == [1, 1, 0, 1, 0, 0]


@pytest.mark.parametrize("placement", ["replace-in-copy", "append"])
def test_any_decision_is_placed_whole(placement):
    rng = np.random.default_rng(3)
    dialogues = np.repeat([f"d{number}" for number in range(40)], rng.integers(1, 9, 40)).tolist()
    base = rng.integers(0, len(dialogues), 300)
    problem = Problem(tuple(map(str, range(len(dialogues)))), tuple(dialogues), np.zeros(len(dialogues)), ("x",), {})
    placed, item = in_context(Decision.of(problem, "augment", base), dialogues, placement)
    assert sorted(item[item >= 0].tolist()) == list(range(300))
    assert (placed.base[item >= 0] == base[item[item >= 0]]).all()
    starts, ends = dialogue_spans(dialogues)
    for number in range(placed.dialogue.max() + 1):
        rows = placed.base[placed.dialogue == number]
        home = np.searchsorted(starts, rows[0], side="right") - 1
        expected = np.arange(starts[home], ends[home])
        assert sorted(set(rows.tolist())) == expected.tolist() and (np.diff(rows) >= 0).all()
        extra = (item[placed.dialogue == number] >= 0).sum() if placement == "append" else 0
        assert len(rows) == len(expected) + extra
