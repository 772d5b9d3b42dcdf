"""A sample's members read, and held against each other, before anything is made of them.

They may be damaged, or say what is not so. Nothing larger is decoded than what the index row, `.json` and the member
itself agree upon, so memory is bounded by what is there.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from emoprep.errors import EmoprepError
from emoprep.media.clock import frame_count, sample_count, strip_shape
from emoprep.media.encode import decode_strip
from emoprep.media.reel import most_frames
from emoprep.store.folder import read_json

__all__ = ["STRIPS", "Sample", "check_against_row", "read_sample"]

REMEDY = "run `emoprep verify` on IN, and make that store again"

MOST_SAMPLES = 2 ** 27
"""More than two hours at 16 kHz. To change sound takes up to 40 bytes a sample."""

MOST_PX_A_BYTE = 256
"""A JPEG has at least two bits for each 8 × 8 px: one for their mean, and one that says that nothing else follows."""

MOST_SECONDS, MOST_PX, MOST_ASPECT = 1e9, 2 ** 20, 256
"""Beyond any time, any place and any shape of a film. What turns into sight is mirrored once for each side's length."""

PIECE = 2 ** 18  # samples that are decoded at once

STRIPS = ("frames.jpg", "faces.jpg")


@dataclass(frozen=True)
class Sample:
    """What `.json` and `words.json` say, and what was asked for of the rest (None: not asked for, or not there).

    `frames` and `faces` are uint8 [F, size, size, 3] in RGB, `sound` float32 [n] in −1..1.
    """

    facts: dict[str, Any]
    words: list[dict[str, Any]]
    frames: np.ndarray | None
    faces: np.ndarray | None
    sound: np.ndarray | None


def read_sample(members: Mapping[str, bytes], *, pictures: bool, sound: bool, where: str) -> Sample:
    """Return a sample of a store, its pictures and its sound decoded if asked for.

    Raises EmoprepError where a member is missing, damaged, or not what `.json` says.
    """
    facts = _read_facts(members, where)
    frames, size, samples = facts["frames"], facts["size"], facts["samples"]
    expected = f"a JPEG of {frames} frames of {size} px"
    strips: dict[str, np.ndarray | None] = {}
    for name in [name for name in STRIPS if name in members]:
        with _reading(name, where, expected):
            _check_strip(members[name], size, frames)
            strips[name] = decode_strip(members[name], size, frames) if pictures and facts["has_video"] else None
    heard = None
    if "flac" in members:
        with _reading("flac", where, f"FLAC of one channel, {samples} samples at {facts['sample_rate']} Hz"):
            heard = _read_sound(members["flac"], samples, facts["sample_rate"], sound and facts["has_audio"])
    with _reading("words.json", where, "a list of words, each with start and end in seconds"):
        words = _read_words(members["words.json"])
    return Sample(facts, words, *map(strips.get, STRIPS), heard)


def check_against_row(facts: Mapping[str, Any], row: Mapping[str, Any], where: str) -> None:
    """Check that `.json` says of the media what the index does; raises EmoprepError."""
    for name in ("start", "end", "frames", "fps", "samples", "sample_rate", "has_video", "has_audio"):
        if facts[name] != row[name]:
            raise EmoprepError(f"{name} in .json and in the index differ", where=where, expected=repr(row[name]),
                               got=_told(facts[name]), remedy=REMEDY)


@contextmanager
def _reading(name: str, where: str, expected: str) -> Iterator[None]:
    # Pillow's failures are OSErrors, which would be taken for the disk's; soundfile's are RuntimeErrors.
    try:
        yield
    except KeyError as error:
        raise EmoprepError(f".{name} is missing", where=where, expected=expected, remedy=REMEDY) from error
    except (ValueError, OSError, RuntimeError) as error:
        raise EmoprepError(f".{name} cannot be read", where=where, expected=expected, got=str(error)[:200],
                           remedy=REMEDY) from error


def _told(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


# ------------------------------------------------------------------------------------------------ .json

def _is_number(value: object, least: float, most: float) -> bool:
    """Tell whether a JSON value is a number between the two.

    >>> _is_number(1, 0, 2), _is_number(float("nan"), 0, 2), _is_number(10 ** 400, 0, 2), _is_number(True, 0, 2)
    (True, False, False, False)
    """
    return type(value) in (int, float) and least <= value <= most


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value < 2 ** 31


def _is_place(value: object) -> bool:
    """Tell whether this is [x, y, w, h], or [] (as with what has no picture, or no face)."""
    return isinstance(value, list) and len(value) in (0, 4) and \
        all(_is_number(one, -MOST_PX if at < 2 else 0, MOST_PX) for at, one in enumerate(value))


def _is_view(value: object) -> bool:
    """Tell whether this is what a frame can show of a film.

    >>> _is_view([-140.0, 0.0, 640, 360]), _is_view([]), _is_view([0, 0, 0, 0]), _is_view([0, 0, 2000, 1])
    (True, True, False, False)
    """
    if not _is_place(value):
        return False
    return not value or 1 <= min(value[2:]) <= max(value[2:]) <= MOST_ASPECT * min(value[2:])


_SECONDS = "seconds", lambda value: _is_number(value, -MOST_SECONDS, MOST_SECONDS)
_COUNT = "a whole number of at least 1", _is_count
_TRUTH = "true or false", lambda value: type(value) is bool
_FACTS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "start": _SECONDS, "end": _SECONDS, "frames": _COUNT, "samples": _COUNT, "sample_rate": _COUNT,
    "fps": ("frames a second", lambda value: _is_number(value, 1e-6, 1e6)), "has_video": _TRUTH, "has_audio": _TRUTH,
    "flags": ("a list of texts", lambda value: isinstance(value, list) and all(type(one) is str for one in value)),
    "size": ("a multiple of 16 from 16 to 2048",  # as --size takes it
             lambda value: type(value) is int and 16 <= value <= 2048 and value % 16 == 0),
    "faces": ("a list of [x, y, w, h], or [] where there is none",
              lambda value: isinstance(value, list) and all(map(_is_place, value))),
    # Stores that were cut before there was a view lack it.
    "view": (f"[x, y, w, h] of the film, no side {MOST_ASPECT} times the other, or []",
             lambda value: value is None or _is_view(value)),
}
"""What `.json` must say for a sample to be augmented: what each is, and whether a value can be that."""


def _read_facts(members: Mapping[str, bytes], where: str) -> dict[str, Any]:
    with _reading("json", where, "the index row, and how the media were made"):
        facts = read_json(members["json"])
        if not isinstance(facts, dict):
            raise ValueError("it is no object")
        # As it will be written; half a surrogate pair is text to JSON, and none to UTF-8.
        json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()
    for name, (expected, fits) in _FACTS.items():
        if not fits(facts.get(name)):
            raise EmoprepError(f"{name} in .json is not possible", where=where, expected=expected,
                               got=_told(facts[name]) if name in facts else "nothing", remedy=REMEDY)
    _check_lengths(facts, members, where)
    return facts


def _check_lengths(facts: Mapping[str, Any], members: Mapping[str, bytes], where: str) -> None:
    """Check what depends on other facts, or on which members there are."""
    def demand(name: str, expected: object, fits: bool) -> None:
        if not fits:
            raise EmoprepError(f"{name} in .json is not possible", where=where, expected=str(expected),
                               got=_told(facts.get(name)), remedy=REMEDY)
    demand("end", f"not before start, {facts['start']!r}", facts["end"] >= facts["start"])
    seconds = Fraction(facts["end"]) - Fraction(facts["start"])
    for name, found in (("frames", frame_count(seconds, Fraction(facts["fps"]))),
                        ("samples", sample_count(seconds, facts["sample_rate"]))):
        # start and end were rounded to 64 bits after they were counted.
        demand(name, f"{found}, by start and end", abs(facts[name] - found) <= 1)
    strips = [name for name in STRIPS if name in members]
    if strips:
        demand("frames", f"at most {most_frames(facts['size'])}", facts["frames"] <= most_frames(facts["size"]))
    if "frames.jpg" in strips:
        columns = strip_shape(facts["frames"], facts["size"])[1]
        demand("columns", columns, type(facts.get("columns")) is int and facts["columns"] == columns)
    if "flac" in members:
        demand("samples", f"at most {MOST_SAMPLES}", facts["samples"] <= MOST_SAMPLES)
    boxes = facts["frames"] if "faces.jpg" in strips else 0
    demand("faces", f"{boxes} of them, as there are pictures of faces", len(facts["faces"]) == boxes)
    for name, member in (("has_video", "frames.jpg"), ("has_audio", "flac")):
        demand(name, f"false, since there is no .{member}", member in members or not facts[name])


# ----------------------------------------------------------------------------------------- other members

def _check_strip(jpeg: bytes, size: int, frames: int) -> None:
    """Check from the head of a strip that it can be decoded into that many frames; raises ValueError or OSError."""
    from PIL import Image

    if frames * size * size > MOST_PX_A_BYTE * len(jpeg):
        raise ValueError(f"{len(jpeg)} bytes")
    Image.MAX_IMAGE_PIXELS = None  # its size is checked here
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        rows, columns = strip_shape(frames, size)
        if image.size != (columns * size, rows * size):
            raise ValueError(f"{image.size[0]}×{image.size[1]} px instead of {columns * size}×{rows * size}")
        # A progressive one may have any number of scans, each as long to decode as the picture.
        if image.mode != "RGB" or image.info.get("progressive"):
            raise ValueError("a progressive JPEG" if image.info.get("progressive") else f"a JPEG in {image.mode}")


def _read_sound(flac: bytes, samples: int, sample_rate: int, decode: bool) -> np.ndarray | None:
    """Check the head of a member's sound, and return it as float32 [n] where it is to be decoded."""
    import soundfile

    with soundfile.SoundFile(io.BytesIO(flac)) as sound:
        if (sound.format, sound.channels, sound.samplerate) != ("FLAC", 1, sample_rate):
            raise ValueError(f"{sound.format} with {sound.channels} channels at {sound.samplerate} Hz")
        if sound.frames != samples:
            raise ValueError(f"{sound.frames} samples")
        if not decode:
            return None
        pieces, count = [], 0
        # Piece by piece: the head may claim more than there is.
        while len(piece := sound.read(PIECE, dtype="float32")):
            pieces.append(piece)
            count += len(piece)
        if count != samples:
            raise ValueError(f"{count} samples")
        return np.concatenate(pieces)


def _read_words(raw: bytes) -> list[dict[str, Any]]:
    words = read_json(raw)
    if not isinstance(words, list):
        raise ValueError("no list")
    for word in words:
        if not (isinstance(word, dict) and set(word) == {"word", "start", "end"} and type(word["word"]) is str
                and all(_is_number(word[name], -MOST_SECONDS, MOST_SECONDS) for name in ("start", "end"))
                and word["start"] <= word["end"]):
            raise ValueError(_told(word))
        word["word"].encode()
    return words
