"""Augmented copies: how many of which, and what is drawn for each."""

import hashlib
import json
from collections import Counter

import numpy as np
import pytest

from emoprep.contracts import Problem, settle
from emoprep.errors import UsageError
from emoprep.methods.augmentation import draw_parameters, read_ranges
from emoprep.methods.parents import item_seeds
from emoprep.strategies.augment import NAME, OPTIONS, decide, recorded

Y = np.array([0] * 20 + [1] * 6 + [2] * 3 + [-100] * 2, dtype=np.int16)
LABELS = ("neutral", "joy", "fear")


def make_problem(targets=None, **more):
    return Problem(tuple(f"u{row}" for row in range(len(Y))), tuple(f"d{row}" for row in range(len(Y))), Y, LABELS,
                   {"neutral": 20, "joy": 6, "fear": 10} if targets is None else targets,
                   **{"texts": ("I thought that you would come, Ross.",) * len(Y), **more})


def test_copies_are_spread_evenly():
    decision = decide(make_problem({"neutral": 20, "joy": 20, "fear": 10}))
    assert set(decision.op) == {"augment"} and (decision.kept == "keep").all()
    copies = Counter(decision.base.tolist())
    assert sorted(copies[row] for row in range(20, 26)) == [2, 2, 2, 2, 3, 3]
    assert sorted(copies[row] for row in range(26, 29)) == [2, 2, 3]
    assert set(copies) == set(range(20, 29))


def test_any_item_can_be_drawn_again_alone():
    problem = make_problem(seed=7)
    decision = decide(problem)
    seeds = item_seeds(problem, NAME, decision.base)
    for seed, parameters in zip(seeds.tolist(), decision.parameters, strict=True):
        assert draw_parameters(read_ranges([]), seed) == parameters
    assert len({json.dumps(parameters) for parameters in decision.parameters}) == 7


def test_what_is_asked_for_is_drawn():
    decision = decide(make_problem(options={"param": ("pitch=1:1.5", "flip=1", "hue=off")}))
    assert all("hue" not in parameters and parameters["flip"] for parameters in decision.parameters)
    assert all(1 <= parameters["pitch"] <= 1.5 for parameters in decision.parameters if "pitch" in parameters)
    with pytest.raises(UsageError, match="this pitch may change the emotion"):
        decide(make_problem(options={"param": ("pitch=3",)}))
    assert decide(make_problem(options={"param": ("pitch=3",), "force": True})).parameters


def test_only_small_classes_augmented_is_warned_of():
    assert decide(make_problem()).notes == (
        "augmented: fear; not: neutral, joy. A model can learn that a pitch-shifted voice or a turned picture means "
        "fear: add --augment-others 0.3",)
    assert "hardly: neutral, joy" in decide(make_problem(options={"augment_others": 0.1})).notes[0]
    assert decide(make_problem(options={"augment_others": 0.3})).notes == ()
    assert decide(make_problem({"neutral": 21, "joy": 20, "fear": 10})).notes == ()


def test_others_are_augmented_in_their_place():
    decision = decide(make_problem(options={"augment_others": 0.5}))
    assert len(decision.base) == 7 and Counter(Y[list(decision.altered)].tolist()) == {0: 10, 1: 3}
    assert all(draw for draw in decision.altered.values())
    assert not decide(make_problem()).altered
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="--augment-others: this is no share: expected 0 to 1"):
            decide(make_problem(options={"augment_others": share}))


def test_short_utterances_are_told_and_get_no_pitch():
    decision = decide(make_problem(seconds=np.full(len(Y), 0.05), options={"augment_others": 1.0}))
    assert decision.notes == ("copies shorter than 0.1 s, whose sound only gets noise and gain: 7",)
    assert not any({"pitch", "room", "band-pass"} & set(parameters) for parameters in decision.parameters)
    # Of rows without a known length nothing is left out.
    assert decide(make_problem(seconds=np.zeros(len(Y)))).parameters == decide(make_problem()).parameters


def test_earlier_copies_of_a_sequence_count_and_have_other_seeds():
    first = decide(make_problem())
    copied = np.bincount(first.base, minlength=len(Y))
    later = decide(make_problem({"neutral": 20, "joy": 6, "fear": 12}, made={"fear": 7}, copied=copied))
    assert len(later.base) == 2
    assert not {json.dumps(drawn) for drawn in first.parameters} & {json.dumps(drawn) for drawn in later.parameters}


def test_words_with_commas_go_with_sound_and_picture():
    decision = decide(make_problem(options={"text_augment": "aeda"}))
    plain = decide(make_problem())
    for with_text, without in zip(decision.parameters, plain.parameters, strict=True):
        text = with_text["text"]
        assert {**without, "text": text} == with_text
        assert text.replace(",", "").replace(";", "") == "I thought that you would come Ross."
    assert len({parameters["text"] for parameters in decision.parameters}) > 1


def test_other_words_come_without_sound_and_picture(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("come: arrive, appear\nhappy: glad\n")
    decision = decide(make_problem(options={"text_augment": f"synonyms:{path}"}))
    assert {parameters["text"] for parameters in decision.parameters} == {
        "I thought that you would arrive, Ross.", "I thought that you would appear, Ross."}
    assert all(parameters["text-only"] and len(parameters) == 2 for parameters in decision.parameters)
    assert decision.notes[0] == "words of the list that carry emotion and are never replaced: 1"
    # --force also lifts a limit on how many copies there may be; of parameters there are none to go beyond bounds.
    forced = decide(make_problem(options={"text_augment": f"synonyms:{path}", "force": True}))
    assert forced.parameters == decision.parameters and forced.base.tolist() == decision.base.tolist()
    same = decide(make_problem(texts=("Hm.",) * len(Y), options={"text_augment": f"synonyms:{path}"}))
    assert "copies whose words stay, since no word of the list is among them: 7" in same.notes


def test_the_list_of_synonyms_is_recorded_by_its_name_and_its_bytes(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("come: arrive, appear\n")
    options = settle(OPTIONS, {"text_augment": f"synonyms:{path}", "augment_others": 0.3})
    found = recorded(options)
    assert found == {**options, "param": [], "text_augment": "synonyms:mine.txt",
                     "synonyms_sha256": hashlib.sha256(b"come: arrive, appear\n").hexdigest()}
    assert json.loads(json.dumps(found)) == found and str(tmp_path) not in json.dumps(found)
    path.write_text("come: arrive\n")
    assert recorded(options)["synonyms_sha256"] != found["synonyms_sha256"]
    for plain in ({}, {"text_augment": "aeda", "param": ("pitch=1",), "force": True}):
        options = settle(OPTIONS, plain)
        assert recorded(options) == {**options, "param": list(options["param"])}
    with pytest.raises(UsageError, match="the synonyms cannot be read"):
        recorded(settle(OPTIONS, {"text_augment": "synonyms:none.txt"}))


@pytest.mark.parametrize("options, message", [
    ({"text_augment": "eda"}, "--text-augment: not known: expected aeda or synonyms:FILE, got eda"),
    ({"text_augment": "synonyms:a", "param": ("pitch=1",)}, "--param: copies with other words have no sound and "
                                                            "picture to change"),
    ({"text_augment": "synonyms:a", "augment_others": 0.3}, "--augment-others: copies with other words have no sound")])
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(UsageError) as raised:
        decide(make_problem(options=options))
    assert message in str(raised.value)
    with pytest.raises(UsageError, match="IN has no texts to change"):
        decide(make_problem(texts=None, options={"text_augment": "aeda"}))
