"""Members that are damaged, or say what is not so: each is told with its place, and nothing large is made of it."""

import io
import json
import math
import resource
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from augment_sample import RATE, SIZE, facts_of, make_sample, smooth
from PIL import Image
from test_sample import BOX, EVERYTHING, with_faces

from emoprep.augment.sample import augmented
from emoprep.errors import EmoprepError
from emoprep.media.encode import Strip
from emoprep.methods.augmentation import augmented_row

WHERE = "in/train-000000.tar a"
REMEDY = "run `emoprep verify` on IN, and make that store again"
STRETCHED, SHIFTED = EVERYTHING, {"pitch": 1.0, "flip": True, "rotate": 6.0}


def refused(members, parameters=SHIFTED, row=None):
    """Return what is told of a sample that cannot be augmented, without the place and the remedy."""
    with pytest.raises(EmoprepError) as raised:
        augmented(members, parameters, row, where=WHERE)
    assert raised.value.exit_code == 1
    line = str(raised.value)
    assert line.startswith(f"{WHERE}: ") and line.endswith(f"; {REMEDY}") and "\n" not in line and line.isprintable()
    return line[len(WHERE) + 2:-len(REMEDY) - 2]


def with_facts(members, **facts):
    """Return the members with other facts in `.json`; ... takes one away."""
    whole = {**facts_of(members), **facts}
    return {**members, "json": json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()}


@pytest.mark.parametrize("raw, got", [
    (b"", "Expecting value"), (b"[" * 100_000, "it is nested too deep"), (b'"a"', ""),
    (b'{"a": NaN}', "NaN is no JSON"), (b'{"a": "\\ud800"}', "surrogates not allowed"), (b"\xff\xfe{", "can't decode"),
    (b'{"a": 1e999}', "not JSON compliant"), (b'{"a": ' + b"9" * 5000 + b"}", "integer string conversion")])
def test_what_is_no_json(raw, got):
    told = refused({**make_sample(), "json": raw})
    assert told.startswith(".json cannot be read: expected the index row, and how the media were made, got ")
    assert got in told
    told = refused({**make_sample(), "words.json": raw})
    assert told.startswith(".words.json cannot be read: expected a list of words, each with start and end in seconds")


@pytest.mark.parametrize("parameters", [SHIFTED, STRETCHED])
@pytest.mark.parametrize("name, values", [
    ("frames", [0, -5, None, "x", 1.5, True, 10 ** 12, 10 ** 400, ...]), ("samples", [0, None, "x", 10 ** 15, ...]),
    ("fps", [0, -1.0, None, 1e300, "10", ...]), ("sample_rate", [0, None, 16000.5, ...]),
    ("start", [None, "0", 1e300, ...]), ("end", [1e15, None, -1.0, "x", ...]), ("size", [0, None, 8, 40, 10 ** 6, ...]),
    ("columns", [0, None, 2, "1", ...]), ("has_video", [None, 1, ...]), ("has_audio", ["true", ...]),
    ("flags", [None, "a", [1], ...]), ("faces", [None, 3, [BOX], [BOX] * 19 + ["x"], [BOX] * 19 + [[1, 2]], ...]),
    ("view", [7, [0, 0, 0, 0], [0, 0, 640], [0, 0, 1e300, 1e-300], [0, 0, 640, -360], [1e9, 0, 640, 360],
              [0, 0, 640, "x"], [0, 0, 9000, 9]])])
def test_facts_that_cannot_be(parameters, name, values):
    sample = with_faces()
    for value in values:
        told = refused(with_facts(sample, **{name: value}), parameters)
        assert told.startswith((f"{name} in .json is not possible: expected ", "samples in .json is not possible: "
                                "expected ", "frames in .json is not possible: expected ")), value


def test_what_is_told_of_a_fact():
    sample = make_sample()
    assert refused(with_facts(sample, frames="x")) == (
        "frames in .json is not possible: expected a whole number of at least 1, got 'x'")
    assert refused(with_facts(sample, fps=...)) == "fps in .json is not possible: expected frames a second, got nothing"
    assert refused(with_facts(sample, frames=30)) == (
        "frames in .json is not possible: expected 20, by start and end, got 30")
    assert refused(with_facts(sample, end=1e9)).startswith(
        "frames in .json is not possible: expected 9999999985, by start and end, got 20")
    assert refused(with_facts(sample, faces=[BOX] * 20)).startswith(
        "faces in .json is not possible: expected 0 of them, as there are pictures of faces")
    assert len(refused(with_facts(sample, flags="\x1b[31m" * 10_000))) < 200


def test_what_is_long_by_all_it_says_and_is_not_there():
    """start, end, frames and samples fit each other and the index; the members do not have that much."""
    hours = with_facts(make_sample(), start=0.0, end=36_000.0, frames=360_000, samples=576_000_000)
    assert "expected at most 174762" in refused(hours)
    hour = with_facts(make_sample(), start=0.0, end=3600.0, frames=36_000, samples=57_600_000, columns=36)
    assert ".frames.jpg cannot be read: expected a JPEG of 36000 frames of 64 px" in refused(hour)
    blind = with_facts(make_sample(has_video=False), start=0.0, end=36_000.0, frames=360_000, samples=576_000_000)
    assert "expected at most 174762" in refused(blind, STRETCHED) == refused(blind, {"text": "a", "text-only": True})
    heard = {name: member for name, member in blind.items() if name != "frames.jpg"}
    assert "samples in .json is not possible: expected at most 134217728" in refused(heard)


@pytest.mark.parametrize("words", [
    7, ["a"], {}, [{"word": "a", "start": None, "end": 1}], [{"word": 1, "start": 0, "end": 1}],
    [{"word": "a", "start": 2, "end": 1}], [{"word": "a", "start": 0}], [{"word": "\ud800", "start": 0, "end": 1}],
    [{"word": "a", "start": 0, "end": 1e300}], [{"word": "a", "start": 0, "end": 10 ** 400}],
    [{"word": "a", "start": 0, "end": 1, "more": []}]])
def test_words_that_cannot_be(words):
    told = refused({**make_sample(), "words.json": json.dumps(words).encode()})
    assert told.startswith(".words.json cannot be read: expected a list of words, each with start and end in seconds")


@pytest.mark.parametrize("name", ["json", "flac", "frames.jpg", "words.json", "faces.jpg"])
@pytest.mark.parametrize("parameters", [SHIFTED, STRETCHED, {"brightness": 0.1}, {"text": "a", "text-only": True}])
def test_a_member_that_is_not_there(name, parameters):
    sample = with_faces()
    told = refused({member: raw for member, raw in sample.items() if member != name}, parameters)
    assert told.startswith({"json": ".json is missing", "words.json": ".words.json is missing",
                            "flac": "has_audio in .json is not possible: expected false, since there is no .flac",
                            "frames.jpg": "has_video in .json is not possible: expected false, since there is no",
                            "faces.jpg": "faces in .json is not possible: expected 0 of them"}[name])


# ------------------------------------------------------------------------------------------ pictures, sound

def jpeg(image, **settings):
    with io.BytesIO() as buffer:
        image.save(buffer, "JPEG", **settings)
        return buffer.getvalue()


TALL = Image.fromarray(smooth(20).reshape(-1, SIZE, 3))


@pytest.mark.parametrize("name", ["frames.jpg", "faces.jpg"])
@pytest.mark.parametrize("damage, got", [
    (lambda whole: whole[:len(whole) // 2], "image file is truncated"), (lambda whole: whole[:20], "bytes"),
    (lambda whole: b"", "0 bytes"), (lambda whole: bytes(len(whole)), "cannot identify image file"),
    (lambda whole: Strip(SIZE).finish(19)[0] + bytes(1000), "64×1216 px instead of 64×1280"),
    (lambda whole: jpeg(TALL, progressive=True), "a progressive JPEG"), (lambda whole: jpeg(TALL.convert("L")), "in L"),
    (lambda whole: jpeg(TALL.convert("CMYK")), "in CMYK")])
def test_pictures_that_cannot_be_read(name, damage, got):
    sample = with_faces()
    told = refused({**sample, name: damage(sample[name])})
    assert told.startswith(f".{name} cannot be read: expected a JPEG of 20 frames of 64 px, got ") and got in told


def flac(samples, rate=RATE, form="FLAC"):
    with io.BytesIO() as buffer:
        soundfile.write(buffer, samples, rate, subtype="PCM_16", format=form)
        return buffer.getvalue()


def claiming(whole, samples):
    """Return FLAC whose head claims to have that many samples: 36 bits, from the fourth of the byte at 21."""
    return whole[:21] + bytes([whole[21] & 0xf0 | samples >> 32]) + (samples & 0xffffffff).to_bytes(4) + whole[26:]


@pytest.mark.parametrize("damage, got", [
    (lambda whole: whole[:len(whole) // 2], ""), (lambda whole: whole[:30], ""), (lambda whole: b"", ""),
    (lambda whole: flac(np.zeros((32_000, 2), np.int16)), "FLAC with 2 channels at 16000 Hz"),
    (lambda whole: flac(np.zeros(32_000, np.int16), 8000), "FLAC with 1 channels at 8000 Hz"),
    (lambda whole: flac(np.zeros(31_999, np.int16)), "31999 samples"),
    (lambda whole: flac(np.zeros(32_000, np.int16), form="WAV"), "WAV with 1 channels"),
    (lambda whole: claiming(whole, 2 ** 35), "34359738368 samples"),
    (lambda whole: claiming(flac(np.zeros(31_000, np.int16)), 32_000), "")])
def test_sound_that_cannot_be_read(damage, got):
    sample = make_sample()
    told = refused({**sample, "flac": damage(sample["flac"])})
    assert told.startswith(".flac cannot be read: expected FLAC of one channel, 32000 samples at 16000 Hz, got ")
    assert got in told


def test_what_is_not_changed_is_not_decoded():
    """But its head is looked at, so that no sample is made whose members do not fit each other."""
    sample = make_sample()
    halved = {**sample, "flac": sample["flac"][:len(sample["flac"]) // 2]}
    assert augmented(halved, {"flip": True}, where=WHERE)["flac"] == halved["flac"]
    assert "31999 samples" in refused({**sample, "flac": flac(np.zeros(31_999, np.int16))}, {"flip": True})


# --------------------------------------------------------------------------------------- the index, and memory

def test_the_row_decides():
    sample = make_sample()
    for parameters in (SHIFTED, STRETCHED, {"text": "a", "text-only": True}):
        row = {**facts_of(sample), **augmented_row(facts_of(sample), parameters)}
        assert augmented(sample, parameters, row) == augmented(sample, parameters)
        for name, value in (("start", 1.6), ("end", 9.0), ("frames", 3), ("fps", 25.0), ("samples", 7),
                            ("sample_rate", 8000), ("has_video", None), ("has_audio", None), ("frames", None)):
            assert refused(sample, parameters, {**row, name: value}).startswith(
                f"{name} in .json and in the index differ: expected {value!r}, got "), name


def test_a_row_that_has_no_length_is_refused_before_anything_is_made():
    row = {"key": "a", "start": 0.0, "end": 2.0, "fps": 10.0, "sample_rate": RATE}
    for name, values in {"start": (None, math.nan, -math.inf, 3.0), "end": (math.inf, math.nan, 1e300),
                         "fps": (None, 0.0, -1.0, math.nan, 1e300), "sample_rate": (None, 0, -1)}.items():
        for value in values:
            with pytest.raises(EmoprepError, match=r"^utterances.parquet a: this row has no possible length: expected "
                                                   r"start ≤ end in seconds, fps and sample_rate above 0, got "):
                augmented_row({**row, name: value}, {"time-stretch": 1.1})
    assert augmented_row({**row, "end": None}, {"time-stretch": 1.1}) == {}


BOMB = """
import resource, sys
sys.path.insert(0, {tests!r})
import test_read
test_read.{bomb}()
"""


def picture_bomb():
    """A head of 65,472 × 65,472 px, 12 GB, before a scan of 1 kB."""
    frames = 1023 * 1023
    small = Strip(SIZE).finish(20)[0]
    at = small.index(b"\xff\xc0") + 5
    sides = (1023 * SIZE).to_bytes(2) * 2
    facts = {"start": 0.0, "end": float(frames), "fps": 1.0, "frames": frames, "samples": frames, "sample_rate": 1,
             "columns": 1023}
    refused({**with_facts(make_sample(), **facts), "frames.jpg": small[:at] + sides + small[at + 4:]})


def sound_bomb():
    """Silence of 37 hours, 8 GB, in 7 MB."""
    block = flac(np.zeros(2 ** 22, np.int16))
    first = block.index(b"\xff\xf8", 42)
    whole = claiming(block[:first] + block[first:] * 512, 2 ** 31)
    refused({**make_sample(), "flac": whole})
    facts = {"start": 0.0, "end": 2.0 ** 31 / RATE, "frames": 1_342_177, "samples": 2 ** 31 - 1}
    refused(with_facts({**make_sample(has_video=False), "flac": whole}, **facts), {"gain": 1.0})
    # Where the head says what the index does, no more than that is decoded.
    made = augmented({**make_sample(), "flac": claiming(whole, 32_000)}, {"gain": 1.0})
    assert soundfile.info(io.BytesIO(made["flac"])).frames == 32_000


@pytest.mark.parametrize("bomb", ["picture_bomb", "sound_bomb"])
def test_bombs_take_no_memory(bomb):
    def with_little():
        resource.setrlimit(resource.RLIMIT_AS, (3 * 2 ** 30,) * 2)
    code = BOMB.format(tests=str(__file__.rpartition("/")[0]), bomb=bomb)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=with_little)
    assert done.returncode == 0, done.stderr
