"""What augmentation may do to an utterance: its transforms, how far each may go, and the drawing of parameters.

How far (docs/augmentation.md gives the evidence): values are drawn from a range (`usual`) that is known to leave the
emotion as it was. Another range may be asked for as long as it lies within what does (`keeps`), and with `force` as
long as it is still an utterance (`most`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from emoprep.errors import EmoprepError, UsageError
from emoprep.media.clock import frame_count, sample_count

__all__ = ["FOR_SHORT", "PICTURE", "SHORT_S", "SOUND", "TEXT_ONLY", "TRANSFORMS", "Range", "Transform",
           "augmented_row", "draw_parameters", "frame_map", "read_ranges"]

Range = tuple[float, float]

SHORT_S = 0.1
"""Of sound shorter than this there is no pitch to shift and no room to be heard: it only gets noise and gain."""

SOUND, PICTURE, TIME = "sound", "picture", "time"


@dataclass(frozen=True)
class Transform:
    """A transform: what it changes, in which unit, and how far.

    `one` says what one number V stands for: "around" −V to V, "only" V itself, "up to 1" V to 1. `neutral` is the value
    that changes nothing (None: there is none); nearer to it than `least` no value is drawn.
    """

    changes: str
    unit: str
    usual: Range
    keeps: Range
    most: Range
    probability: float = 0.5
    one: str = "around"
    neutral: float | None = 0.0
    least: float = 0.0
    off: bool = False


def _around(changes: str, unit: str, usual: float, most: float, least: float = 0.0) -> Transform:
    return Transform(changes, unit, (-usual, usual), (-usual, usual), (-most, most), least=least)


TRANSFORMS: dict[str, Transform] = {
    "pitch": _around(SOUND, "semitones", 2, 4, 0.25),
    "noise": Transform(SOUND, "dB SNR", (15, 30), (15, 60), (5, 60), one="only", neutral=None),
    "gain": _around(SOUND, "dB", 6, 12),
    "room": Transform(SOUND, "s to 60 dB less", (0.15, 0.5), (0.05, 0.5), (0.05, 0.8), 0.3, "only", None),
    "band-pass": Transform(SOUND, "Hz at most", (3400, 7000), (3400, 24_000), (3000, 24_000), 0.2, "only", None),
    "time-stretch": Transform(TIME, "times as fast", (0.9, 1.1), (0.9, 1.1), (0.8, 1.25), 0.3, "only", 1.0, 0.01, True),
    "flip": Transform(PICTURE, "of the utterances", (0.5, 0.5), (0, 1), (0, 1), one="only"),
    "rotate": _around(PICTURE, "degrees", 10, 15, 0.5),
    "brightness": _around(PICTURE, "of the brightness", 0.2, 0.5, 0.01),
    "contrast": _around(PICTURE, "of the contrast", 0.2, 0.5, 0.01),
    "saturation": _around(PICTURE, "of the saturation", 0.2, 0.5, 0.01),
    # OpenCV counts hues of 8 bits in 180 steps, of which this is one half.
    "hue": _around(PICTURE, "of the colour circle", 0.02, 0.1, 1 / 360),
    "crop": Transform(PICTURE, "of the picture's side", (0.9, 1), (0.9, 1), (0.8, 1), 0.5, "up to 1", 1.0, 0.01),
}
"""By the name that `--param` has for it, in the order in which they are drawn. A flip's range is its probability."""

FOR_SHORT = ("noise", "gain")

LONGEST = 2 ** 30
"""Frames or samples of an utterance, eighteen hours at 16 kHz; stretched, they are still an int32."""

TEXT_ONLY = "text-only"
"""The parameter and the flag of a copy whose words are others, so that sound and picture are masked."""

_NUMBER = r"[+-]?(?:\d{1,9}\.?\d{0,9}|\.\d{1,9})"
_VALUE = re.compile(rf"({_NUMBER})(?::({_NUMBER}))?", re.ASCII)
_WHERE = "--param"


# ----------------------------------------------------------------------------------------- what is asked for

def read_ranges(texts: Sequence[str], *, force: bool = False) -> dict[str, Range]:
    """Return the range of each transform that is on, as `NAME=VALUE` texts change what is usual.

    VALUE is V, LOW:HIGH or off. Raises UsageError where it is not understood, where it lies beyond the bounds, and
    where nothing is left on.

    >>> read_ranges(["pitch=1.5", "noise=20:30", "crop=off"])["pitch"]
    (-1.5, 1.5)
    >>> "time-stretch" in read_ranges([]), read_ranges(["time-stretch=0.8:1.25"], force=True)["time-stretch"]
    (False, (0.8, 1.25))
    """
    given: dict[str, Range | None] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in TRANSFORMS or not equals:
            raise UsageError("augment draws nothing by this name", where=_WHERE, expected=", ".join(TRANSFORMS),
                             got=repr(text), remedy="write for example --param pitch=1.5")
        if name in given:
            raise UsageError(f"{name} is given twice", where=_WHERE, expected="each name once", got=repr(text),
                             remedy="leave one of them out")
        given[name] = None if value == "off" else _read_range(name, value, force=force)
    ranges = {name: given.get(name, None if transform.off else transform.usual)
              for name, transform in TRANSFORMS.items()}
    on = {name: limits for name, limits in ranges.items() if limits is not None}
    if not on:
        raise UsageError("everything is off, so nothing would be augmented", where=_WHERE,
                         remedy="leave one on, or use --strategy oversample for plain copies")
    return on


def _read_range(name: str, text: str, *, force: bool) -> Range:
    transform, found = TRANSFORMS[name], _VALUE.fullmatch(text)
    if found is None:
        raise UsageError(f"the value of {name} is not understood", where=_WHERE,
                         expected=f"{name}=V, {name}=LOW:HIGH or {name}=off", got=repr(text),
                         remedy=f"it is in {transform.unit}; write for example {name}={_told(transform.usual)}")
    low, high = float(found[1]), float(found[2] or found[1])
    if found[2] is None and transform.one == "around":
        low, high = -abs(low), abs(low)
    elif found[2] is None and transform.one == "up to 1":
        high = 1.0
    if low > high:
        raise UsageError(f"the range of {name} is empty", where=_WHERE, expected="LOW:HIGH", got=text,
                         remedy=f"write {name}={high:g}:{low:g}")
    _check_bounds(name, (low, high), force=force)
    if not _pieces(name, (low, high)):
        raise UsageError(f"this {name} changes nothing", where=_WHERE,
                         expected=f"at least {transform.least:.3g} from {transform.neutral:g}", got=text,
                         remedy=f"write {name}=off to leave it out")
    return low, high


def _check_bounds(name: str, asked: Range, *, force: bool) -> None:
    transform = TRANSFORMS[name]
    if not _within(asked, transform.most):
        raise UsageError(f"this {name} is refused, with --force too: it is no longer the same utterance", where=_WHERE,
                         expected=f"{_told(transform.most)} {transform.unit}", got=_told(asked),
                         remedy=f"the usual range is {_told(transform.usual)}")
    if not force and not _within(asked, transform.keeps):
        raise UsageError(f"this {name} may change the emotion that is heard or seen", where=_WHERE,
                         expected=f"{_told(transform.keeps)} {transform.unit}", got=_told(asked),
                         remedy=f"stay within, or add --force (which goes to {_told(transform.most)})")


def _within(some: Range, limits: Range) -> bool:
    return limits[0] <= some[0] and some[1] <= limits[1]


def _told(limits: Range) -> str:
    """Return a range as `--param` takes it.

    >>> _told((0.5, 0.5)), _told((-2, 2))
    ('0.5', '-2:2')
    """
    return f"{limits[0]:g}" if limits[0] == limits[1] else f"{limits[0]:g}:{limits[1]:g}"


def _pieces(name: str, limits: Range) -> list[Range]:
    """Return the parts of a range that are far enough from what changes nothing.

    >>> _pieces("pitch", (-2, 1)), _pieces("pitch", (-0.1, 0.2)), _pieces("noise", (20, 20))
    ([(-2, -0.25), (0.25, 1)], [], [(20, 20)])
    """
    low, high = limits
    if name == "flip":
        return [limits] if high > 0 else []
    transform = TRANSFORMS[name]
    if transform.neutral is None:
        return [limits]
    below, above = transform.neutral - transform.least, transform.neutral + transform.least
    pieces = [(low, min(high, below)), (max(low, above), high)]
    return [(begin, end) for begin, end in pieces if begin < end or (begin == end != transform.neutral)]


# ----------------------------------------------------------------------------------------------- drawing

def draw_parameters(ranges: Mapping[str, Range], seed: int, seconds: float | None = None) -> dict[str, Any]:
    """Draw what is done to one item, as JSON values: every number that is applied, in the units of TRANSFORMS.

    Beside a transform's own value there are `noise-seed` and `room-seed`, and `crop-x`, `crop-y`: where the part lies,
    from 0 (left, top) to 1. All numbers are drawn whatever is on, so that turning one off changes no other's. At least
    one of the sound's and one of the picture's transforms is taken, if there is one on: no item is a plain copy.
    `seconds` is how long the utterance is (None: unknown).

    >>> draw_parameters({"pitch": (-2, 2), "flip": (0.5, 0.5)}, seed=1)
    {'pitch': 1.2595, 'flip': True}
    >>> draw_parameters({"noise": (20, 20)}, seed=2, seconds=0.05)
    {'noise': 20.0, 'noise-seed': 2056914227}
    """
    rng = np.random.default_rng(seed)
    chance, place = rng.random((2, len(TRANSFORMS))).tolist()
    forced, where, seeds = rng.random(2).tolist(), rng.random(2).tolist(), rng.integers(2 ** 31, size=2).tolist()
    order = list(TRANSFORMS)
    short = seconds is not None and seconds < SHORT_S
    able = [name for name in order if name in ranges
            and (not short or TRANSFORMS[name].changes == PICTURE or name in FOR_SHORT)]
    taken = {name for name in able
             if chance[order.index(name)] < (ranges[name][1] if name == "flip" else TRANSFORMS[name].probability)}
    for lot, changes in zip(forced, (SOUND, PICTURE), strict=True):
        choices = [name for name in able if TRANSFORMS[name].changes in (changes, TIME)]
        if choices and taken.isdisjoint(choices):
            taken.add(choices[int(lot * len(choices))])
    parameters: dict[str, Any] = {}
    for name in order:
        if name in taken:
            parameters[name] = True if name == "flip" else _value(name, ranges[name], place[order.index(name)])
    parameters |= {f"{name}-seed": number for name, number in zip(("noise", "room"), seeds, strict=True)
                   if name in taken}
    if "crop" in taken:
        parameters |= {"crop-x": round(where[0], 4), "crop-y": round(where[1], 4)}
    return parameters


def _value(name: str, limits: Range, place: float) -> float:
    """Return the value at `place` (0 to 1) of a range without what changes nothing, to four decimals."""
    pieces = _pieces(name, limits)
    left = place * math.fsum(end - begin for begin, end in pieces)
    for begin, end in pieces[:-1]:
        if left < end - begin:
            return round(begin + left, 4)
        left -= end - begin
    return round(min(pieces[-1][0] + left, pieces[-1][1]), 4)


# ----------------------------------------------------------------------------------------- what follows from it

def frame_map(frames: int, stretched: int) -> np.ndarray:
    """Return for each of `stretched` frames which of the `frames` it shows, int64 [stretched].

    Middles lie on middles: the one at (i + ½)/F' of the whole shows what was there.

    >>> frame_map(20, 17).tolist()
    [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 17, 18, 19]
    """
    middles = (np.arange(stretched) + 0.5) * frames / stretched - 0.5
    return np.clip(np.rint(middles), 0, frames - 1).astype(np.int64)


def augmented_row(row: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the index fields of a row that augmentation changes, with their new values.

    Of D seconds, stretched by a rate (above 1: faster), D/rate are left, with frames and samples as the one clock has
    them. A row without a sample has no length to change. Raises EmoprepError for a row whose times cannot be.

    >>> augmented_row({"start": 0.0, "end": 2.0, "fps": 10.0, "sample_rate": 16000}, {"time-stretch": 1.2})
    {'end': 1.6666666666666667, 'frames': 17, 'samples': 26667}
    >>> augmented_row({"flags": ["damaged"]}, {"text": "Well, hello.", "text-only": True})
    {'text': 'Well, hello.', 'has_video': False, 'has_audio': False, 'flags': ['damaged', 'text-only']}
    """
    fields: dict[str, Any] = {}
    if "time-stretch" in parameters and row["end"] is not None:
        _check_times(row)
        seconds = (Fraction(row["end"]) - Fraction(row["start"])) / Fraction(parameters["time-stretch"])
        fields |= {"end": row["start"] + float(seconds), "frames": frame_count(seconds, Fraction(row["fps"])),
                   "samples": sample_count(seconds, row["sample_rate"])}
    if "text" in parameters:
        fields["text"] = parameters["text"]
    if parameters.get(TEXT_ONLY):
        fields |= {"has_video": False, "has_audio": False, "flags": [*row["flags"], TEXT_ONLY]}
    return fields


def _check_times(row: Mapping[str, Any]) -> None:
    """Check that the clock has a count for a row's frames and samples, which the index holds as int32."""
    start, end, fps, sample_rate = values = [row[name] for name in ("start", "end", "fps", "sample_rate")]
    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in values)
    if not (numbers and start <= end and fps > 0 and sample_rate > 0
            and (end - start) * max(fps, sample_rate) < LONGEST):
        raise EmoprepError(
            "this row has no possible length", where=f"utterances.parquet {row.get('key', '')}".strip(),
            expected="start ≤ end in seconds, fps and sample_rate above 0",
            got=", ".join(map(str, values)), remedy="run `emoprep verify` on IN, and make that store again")
