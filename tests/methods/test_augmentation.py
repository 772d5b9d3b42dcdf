"""What may be drawn, and what is: bounds with their texts, and numbers of known kind."""

import hashlib
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emoprep.errors import UsageError
from emoprep.methods.augmentation import FOR_SHORT, PICTURE, SOUND, TRANSFORMS, draw_parameters, read_ranges
from emoprep.methods.rewording import PROTECTED, punctuated, read_synonyms, reworded

SEEDS = range(4000)


def everything():
    return {name: transform.usual for name, transform in TRANSFORMS.items()}


def off(*names):
    return [f"{name}=off" for name in names]


# ------------------------------------------------------------------------------------------------ bounds

@pytest.mark.parametrize("text, asked", [
    ("pitch=1.5", (-1.5, 1.5)), ("pitch=-1:2", (-1, 2)), ("noise=20", (20, 20)), ("noise=20:60", (20, 60)),
    ("gain=3", (-3, 3)), ("room=0.05:0.2", (0.05, 0.2)), ("band-pass=5000", (5000, 5000)), ("flip=1", (1, 1)),
    ("time-stretch=0.9:1.1", (0.9, 1.1)), ("crop=0.95", (0.95, 1)), ("hue=.01", (-0.01, 0.01))])
def test_what_is_asked_for_is_what_is_drawn_from(text, asked):
    name = text.partition("=")[0]
    ranges = read_ranges([text])
    assert ranges[name] == pytest.approx(asked)
    assert {other: ranges[other] for other in ranges if other != name} == {
        other: limits for other, limits in everything().items() if other not in (name, "time-stretch")}


@pytest.mark.parametrize("text, message", [
    ("pitch=2.5", "--param: this pitch may change the emotion that is heard or seen: expected -2:2 semitones, got "
                  "-2.5:2.5; stay within, or add --force (which goes to -4:4)"),
    ("noise=10:30", "expected 15:60 dB SNR, got 10:30; stay within, or add --force (which goes to 5:60)"),
    ("gain=9", "expected -6:6 dB, got -9:9; stay within, or add --force (which goes to -12:12)"),
    ("room=0.3:0.7", "expected 0.05:0.5 s to 60 dB less, got 0.3:0.7"),
    ("band-pass=3200:4000", "expected 3400:24000 Hz at most, got 3200:4000"),
    ("time-stretch=0.8:1.1", "expected 0.9:1.1 times as fast, got 0.8:1.1"),
    ("rotate=12", "expected -10:10 degrees, got -12:12"),
    ("brightness=0.3", "this brightness may change the emotion"), ("contrast=0.3", "this contrast may change"),
    ("saturation=0.3", "this saturation may change"), ("hue=0.05", "expected -0.02:0.02 of the colour circle"),
    ("crop=0.85", "expected 0.9:1 of the picture's side, got 0.85:1")])
def test_beyond_what_keeps_the_emotion_force_is_needed(text, message):
    with pytest.raises(UsageError) as raised:
        read_ranges([text])
    assert message in str(raised.value) and raised.value.exit_code == 2
    assert text.partition("=")[0] in read_ranges([text], force=True)


@pytest.mark.parametrize("text, message", [
    ("pitch=5", "--param: this pitch is refused, with --force too: it is no longer the same utterance: expected -4:4 "
                "semitones, got -5:5; the usual range is -2:2"),
    ("noise=0:20", "expected 5:60 dB SNR"), ("gain=13", "expected -12:12 dB"), ("room=1", "expected 0.05:0.8 s"),
    ("band-pass=1000:4000", "expected 3000:24000 Hz"), ("time-stretch=0.5:1", "expected 0.8:1.25 times as fast"),
    ("flip=1.5", "expected 0:1 of the utterances"), ("rotate=90", "expected -15:15 degrees"),
    ("brightness=0.6", "expected -0.5:0.5"), ("contrast=1", "expected -0.5:0.5"),
    ("saturation=1", "expected -0.5:0.5"), ("hue=0.5", "expected -0.1:0.1"),
    ("crop=0.5", "expected 0.8:1"), ("crop=1.2:1.3", "expected 0.8:1")])
def test_beyond_what_is_still_an_utterance_nothing_helps(text, message):
    with pytest.raises(UsageError) as raised:
        read_ranges([text], force=True)
    assert message in str(raised.value)


@pytest.mark.parametrize("texts, message", [
    (["reverse=1"], "augment draws nothing by this name: expected pitch, noise, gain, room, band-pass, time-stretch, "
                    "flip, rotate, brightness, contrast, saturation, hue, crop, got 'reverse=1'; write for example "
                    "--param pitch=1.5"),
    (["pitch"], "augment draws nothing by this name"),
    (["pitch=1", "pitch=2"], "pitch is given twice: expected each name once, got 'pitch=2'; leave one of them out"),
    (["pitch="], "the value of pitch is not understood: expected pitch=V, pitch=LOW:HIGH or pitch=off, got ''; it is "
                 "in semitones; write for example pitch=-2:2"),
    (["pitch=nan"], "is not understood"), (["pitch=1e9"], "is not understood"), (["noise=1:2:3"], "is not understood"),
    (["noise=30:20"], "the range of noise is empty: expected LOW:HIGH, got 30:20; write noise=20:30"),
    (["pitch=0.1"], "this pitch changes nothing: expected at least 0.25 from 0, got 0.1; write pitch=off to leave it "
                    "out"),
    (["flip=0"], "this flip changes nothing"), (["crop=1"], "this crop changes nothing"),
    (["hue=0.001"], "this hue changes nothing: expected at least 0.00278 from 0"),
    (off(*TRANSFORMS), "everything is off, so nothing would be augmented; leave one on, or use --strategy oversample "
                       "for plain copies")])
def test_what_cannot_be_is_told(texts, message):
    with pytest.raises(UsageError) as raised:
        read_ranges(texts)
    assert message in str(raised.value)


# ------------------------------------------------------------------------------------------------ drawing

def test_what_is_drawn_lies_in_its_range_evenly_and_as_often_as_told():
    drawn = [draw_parameters(everything(), seed) for seed in SEEDS]
    for name, transform in TRANSFORMS.items():
        values = np.array([item[name] for item in drawn if name in item], dtype=float)
        # At least one of the sound's and of the picture's is taken, which adds a little.
        assert len(values) / len(SEEDS) == pytest.approx(transform.probability, abs=0.035), name
        if name == "flip":
            continue
        low, high = transform.usual
        assert values.min() >= low and values.max() <= high
        near = np.abs(values - transform.neutral).min() if transform.neutral is not None else transform.least
        assert near >= transform.least - 1e-4
        places = (values - low) / (high - low - transform.least * (name == "crop"))
        assert places.mean() == pytest.approx(0.5, abs=0.03), name
        assert places.std() == pytest.approx(12 ** -0.5, abs=0.025), name


def test_what_is_drawn_is_json_and_its_own_seeds_alone():
    first = draw_parameters(everything(), 5)
    assert json.loads(json.dumps(first)) == first == draw_parameters(everything(), 5)
    assert first != draw_parameters(everything(), 6)


def test_turning_one_off_changes_no_other():
    for seed in range(200):
        whole = draw_parameters(everything(), seed)
        fewer = draw_parameters({name: limits for name, limits in everything().items() if name != "pitch"}, seed)
        kept = {name: value for name, value in whole.items() if name != "pitch"}
        # Where there was one of the sound's only, it may have been taken so that there is one.
        assert fewer == kept or sum(name in TRANSFORMS and TRANSFORMS[name].changes == SOUND for name in whole) == 1


@pytest.mark.parametrize("on", [("pitch",), ("hue",), ("pitch", "flip"), ("time-stretch",), ("noise", "time-stretch")])
def test_no_item_is_a_plain_copy(on):
    ranges = {name: TRANSFORMS[name].usual for name in on}
    for seed in range(300):
        drawn = {TRANSFORMS[name].changes for name in draw_parameters(ranges, seed) if name in TRANSFORMS}
        # Stretching changes both.
        assert "time" in drawn or drawn == {TRANSFORMS[name].changes for name in on} - {"time"} != set()


def test_short_utterances_get_noise_gain_and_what_the_picture_has():
    for seed in range(300):
        drawn = {name for name in draw_parameters(everything(), seed, 0.09) if name in TRANSFORMS}
        assert drawn <= {*FOR_SHORT, *(name for name in TRANSFORMS if TRANSFORMS[name].changes == PICTURE)}
        assert drawn & set(FOR_SHORT)
    assert any("pitch" in draw_parameters(everything(), seed, 0.1) for seed in range(20))


def test_the_page_has_every_transform_with_its_numbers():
    page = (Path(__file__).resolve().parents[2] / "docs" / "augmentation.md").read_text(encoding="utf-8")
    rows = {cells[1].strip(" `"): [cell.strip() for cell in cells[2:-1]] for cells in
            (line.split("|") for line in page.partition("## What is drawn")[2].partition("\n## ")[0].splitlines()
             if line.startswith("| `"))}
    assert list(rows) == list(TRANSFORMS)
    for name, (_, _, usual, often, _, most) in rows.items():
        transform = TRANSFORMS[name]
        assert float(often) == transform.probability
        numbers = [float(number.replace("−", "-")) for number in re.findall(r"−?[0-9.]+", usual)]
        assert name == "flip" or numbers[:2] == list(transform.usual)
        for number in re.findall(r"[0-9.]+", most):
            assert float(number) in map(abs, transform.most)


# -------------------------------------------------------------------------------------------------- words

def test_punctuation_is_put_in_and_every_word_stays():
    text = "Oh my God! I thought that you would never tell me, you know?"
    for seed in range(100):
        made = punctuated(text, np.random.default_rng(seed))
        added = len(made) - len(text)
        assert 1 <= added <= len(text.split()) // 3
        assert made.replace(",", "").replace(";", "") == text.replace(",", "")
        assert (made.count("!"), made.count("?")) == (1, 1) and not made.startswith((",", ";"))
    assert punctuated("Hey!", np.random.default_rng(0)) == "Hey!" and punctuated("", np.random.default_rng(0)) == ""


def test_synonyms_replace_a_tenth_and_no_word_that_carries_the_emotion():
    synonyms = dict.fromkeys(["coffee", "table", "will", "happy", "not", "can't", "very", "grace"], ("thing",))
    text = "Will, I am not happy; I can't put Grace’s very hot coffee on the table when Will is here."
    made = {reworded(text, synonyms, np.random.default_rng(seed)) for seed in range(200)}
    # 18 words: two of "Will" (which begins the sentence), "coffee", "table"; names and the rest stay.
    assert len(made) == 3 and all(other.count("hing") == 2 for other in made)
    assert all(word in other for other in made for word in ("not happy", "can't", "Grace’s very", "when Will is"))
    assert reworded("What's that?", synonyms, np.random.default_rng(0)) == "What's that?"


def test_a_text_of_a_megabyte_takes_no_more_time_for_each_word():
    code = """
import numpy as np
from emoprep.methods.rewording import punctuated, reworded
text = "I drank coffee at the table. " * 40_000
made = reworded(text, {"coffee": ("espresso",), "table": ("desk",)}, np.random.default_rng(0))
assert made.count("espresso") + made.count("desk") == 24_000, made.count("espresso") + made.count("desk")
assert made.replace("espresso", "coffee").replace("desk", "table") == text
assert punctuated(text, np.random.default_rng(0)).replace(",", "").replace(";", "") == text
"""
    # Time grows with the square of the text where each word looks at all before it: then it is hours.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=lambda: (
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))))
    assert done.returncode == 0, done.stderr


def test_a_file_of_synonyms(tmp_path):
    path = tmp_path / "synonyms.txt"
    path.write_text("# mine\ncoffee: espresso, latte ,espresso\n\nHappy: glad\ncan’t: cannot\n", encoding="utf-8")
    assert read_synonyms(str(path))[:2] == ({"coffee": ("espresso", "latte")}, 2)
    assert read_synonyms(str(path)).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"\xef\xbb\xbfcoffee: espresso\r\n")  # as Notepad saves it
    assert read_synonyms(str(path)).by_word == {"coffee": ("espresso",)}
    assert {"happy", "not", "very"} <= PROTECTED


@pytest.mark.parametrize("content, message", [
    (b"coffee espresso\n", "synonyms.txt:1: this is no line of synonyms: expected `word: one, another`, each word "
                           "once, got 'coffee espresso'"),
    (b"coffee:\n", "synonyms.txt:1: this is no line of synonyms"),
    (b"tea: a\ncoffee: b\nTea: c\n", "synonyms.txt:3: this is no line of synonyms"),
    (b"\xff\xfe", "synonyms.txt: the synonyms cannot be read"), (b"# only\n", "there is no synonym to use"),
    (b"happy: glad\n", "got 1 words, all of which carry emotion")])
def test_a_file_that_is_no_list_of_synonyms_is_refused(tmp_path, content, message):
    path = tmp_path / "synonyms.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        read_synonyms(str(path))
    assert message in str(raised.value)
    with pytest.raises(UsageError, match="the synonyms cannot be read: got No such file"):
        read_synonyms(str(tmp_path / "none.txt"))
    for endless in ("/dev/zero", "a\0b"):
        with pytest.raises(UsageError, match="the synonyms cannot be read"):
            read_synonyms(endless)
