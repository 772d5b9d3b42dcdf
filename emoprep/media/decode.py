"""One pass over a source: which pictures and which sound lie in each window of it.

The decoders (`pyav`, `ffmpeg`) only deliver pictures and sound with their times; what is chosen from them is
decided here once, so that all decoders keep the same clock.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from emoprep.errors import UsageError
from emoprep.media.clock import HALF, frame_count, frames_before, sample_count

__all__ = ["DECODERS", "Clip", "DecodeFailure", "Recipe", "Window", "decode", "make_recipe"]

DECODERS = {"pyav": "emoprep.media.pyav", "ffmpeg": "emoprep.media.ffmpeg"}

# Decoders that leave out pictures which no frame shows.
SPARING = ("pyav",)

# A sound that starts or ends this much beside the pictures is worth a flag; a frame of AAC is 0.02 s.
LATE_S = Fraction(1, 10)


class DecodeFailure(Exception):
    """A source that cannot be decoded; becomes a skip with this text as its detail."""


class Window(NamedTuple):
    """Exact seconds of a source; both None: the whole of it, from 0 to the end of its last picture."""

    start: Fraction | None = None
    end: Fraction | None = None


@dataclass(frozen=True)
class Recipe:
    """How media are made: frames a second, strip size in px, how a picture is fitted, and the sound's form."""

    fps: Fraction = Fraction(10)
    size: int = 112
    fit: str = "stretch"
    sample_rate: int = 16_000
    downmix: str = "mix"
    truncate: Fraction | None = None
    decoder: str = "pyav"
    hwaccel: str | None = None


FITS = ("stretch", "pad", "crop")
DOWNMIXES = ("mix", "centre", "first")


def make_recipe(*, fps: str = "10", truncate: str | None = None, **settings: Any) -> Recipe:
    """Return the recipe that the command line describes; times and rates are read exactly.

    >>> make_recipe(fps="24000/1001").fps
    Fraction(24000, 1001)
    """
    recipe = Recipe(fps=_positive(fps, "--fps", 1000),
                    truncate=None if truncate is None else _positive(truncate, "--truncate-seconds", 1_000_000),
                    **settings)
    for option, value, known in (("--fit", recipe.fit, FITS), ("--downmix", recipe.downmix, DOWNMIXES),
                                 ("--decoder", recipe.decoder, tuple(DECODERS))):
        if value not in known:
            raise UsageError("not known", where=option, expected=" or ".join(known), got=value)
    if recipe.size % 16 or not 16 <= recipe.size <= 2048:
        raise UsageError("not possible", where="--size", expected="a multiple of 16 from 16 to 2048",
                         got=str(recipe.size))
    if recipe.hwaccel and recipe.decoder != "ffmpeg":
        raise UsageError("only the ffmpeg program decodes with hardware", where="--hwaccel",
                         remedy="add --decoder ffmpeg")
    return recipe


def _positive(text: str, option: str, most: int) -> Fraction:
    try:
        value = Fraction(text)
        if not 0 < value <= most:
            raise ValueError
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError("cannot be read", where=option, expected=f"a number above 0, at most {most}",
                         got=text) from error
    return value


class Picture(NamedTuple):
    """A decoded picture and when it comes on screen.

    `duration()` returns how long it stays if no other follows; it is asked of the last one only. `scaled()`
    returns it as uint8 [size, size, 3] in full-range BT.601 YCbCr, which is what a JPEG holds.
    """

    time: Fraction
    duration: Callable[[], Fraction]
    scaled: Callable[[], np.ndarray]


class Sound(NamedTuple):
    """A run of int16 mono samples at the recipe's rate that begins at `time` (seconds)."""

    time: Fraction
    samples: np.ndarray


Events = Iterator[Picture | Sound]


@dataclass
class Clip:
    """What one window holds: exact length, pictures (F of them, or none) and samples (or None).

    `whole_seconds` is the length before it was truncated.
    """

    seconds: Fraction = Fraction(0)
    whole_seconds: Fraction = Fraction(0)
    pictures: list[np.ndarray] = field(default_factory=list)
    samples: np.ndarray | None = None
    flags: list[str] = field(default_factory=list)


class _Reel:
    """The pictures of one window, chosen while the source streams by."""

    def __init__(self, window: Window, recipe: Recipe):
        self.start = window.start or Fraction(0)
        self.length = None if window.end is None else window.end - self.start
        if recipe.truncate is not None:
            # A whole file may still turn out to be shorter; then `close` cuts again.
            self.length = recipe.truncate if self.length is None else min(self.length, recipe.truncate)
        self.frames = None if self.length is None else frame_count(self.length, recipe.fps)
        self.fps, self.pictures = recipe.fps, []
        self.due = self.start + HALF / self.fps  # the time of the next frame that is wanted

    def show(self, picture: Picture, until: Fraction) -> None:
        """Take `picture` for all frames whose time lies before `until` and that have none yet."""
        wanted = frames_before(until - self.start, self.fps)
        if self.frames is not None:
            wanted = min(wanted, self.frames)
        if wanted > len(self.pictures):
            self.pictures += [picture.scaled()] * (wanted - len(self.pictures))
            self.due = self.start + (wanted + HALF) / self.fps

    @property
    def full(self) -> bool:
        return self.frames is not None and len(self.pictures) >= self.frames

    def close(self, length: Fraction, last: Picture | None) -> None:
        """Fill up to the frames of `length` with the last picture, or cut down to them."""
        frames = frame_count(length, self.fps)
        if last is not None and frames > len(self.pictures):
            self.pictures += [last.scaled()] * (frames - len(self.pictures))
        del self.pictures[frames:]


def decode(path: str, windows: list[Window], recipe: Recipe, *, video: bool = True, audio: bool = True
           ) -> list[Clip]:
    """Decode the source once and return what lies in each window.

    Raises DecodeFailure where nothing can be read. A window beyond the end of the source shows its last
    picture and holds silence, flagged.
    """
    clips = _decode(path, windows, recipe, video, audio, sparing=True)
    if recipe.decoder in SPARING and any("damaged" in clip.flags for clip in clips):
        # Which picture is on screen cannot be told beforehand where some of them may not come.
        clips = _decode(path, windows, recipe, video, audio, sparing=False)
    return clips


def _decode(path, windows, recipe, video, audio, *, sparing: bool) -> list[Clip]:
    decoder = importlib.import_module(DECODERS[recipe.decoder])
    reels = [_Reel(window, recipe) for window in windows]
    sounds: list[Sound] = []
    shown, flags = None, []
    until = None if any(window.end is None for window in windows) else max(window.end for window in windows)
    on_screen = functools.partial(_on_screen, reels) if sparing else None
    for event in decoder.pictures_and_sound(path, recipe, video=video, audio=audio, until=until, flags=flags,
                                            on_screen=on_screen):
        if isinstance(event, Sound):
            sounds.append(event)
            continue
        # A picture holds until the next one comes; the first one also stands for the time before it.
        if shown is not None:
            for reel in reels:
                if reel.due < event.time and not reel.full:
                    reel.show(shown, event.time)
        shown = event
    if shown is None and not sounds:
        raise DecodeFailure("no picture and no sound could be decoded" if video and audio
                            else f"no {'picture' if video else 'sound'} could be decoded")
    picture_end = shown.time + shown.duration() if shown else None
    sound_end = max((_end(sound, recipe) for sound in sounds), default=None)
    source_end = picture_end if picture_end is not None else sound_end
    return [_clip(window, reel, recipe, shown, sounds, source_end, sound_end, flags)
            for window, reel in zip(windows, reels, strict=True)]


# Beyond this many pictures times windows, telling which are on screen would cost more than it spares.
MOST_LOOKED_AT = 50_000


def _on_screen(reels: list[_Reel], times: list[Fraction]) -> list[bool] | None:
    """Tell which of the pictures that come at `times` are on screen at some frame's time; None: not looked into.

    The first and the last count in any case: they stand for the time before and after them.
    """
    if len(times) * len(reels) > MOST_LOOKED_AT:
        return None
    wanted = [False] * len(times)
    for reel in reels:
        most = reel.frames if reel.frames is not None else float("inf")
        before = [min(frames_before(time - reel.start, reel.fps), most) for time in times]
        wanted = [known or earlier < later for known, earlier, later in
                  zip(wanted, before, [*before[1:], float("inf")], strict=True)]
    wanted[:1] = [True]
    return wanted


def _clip(window, reel, recipe, shown, sounds, source_end, sound_end, flags) -> Clip:
    length = source_end if window.end is None else window.end - reel.start
    clip = Clip(whole_seconds=length, flags=list(flags))
    if recipe.truncate is not None and length > recipe.truncate:
        length = recipe.truncate
        clip.flags.append("truncated")
    clip.seconds = length
    if shown is not None:
        reel.close(length, shown)
        clip.pictures = reel.pictures
    if window.end is not None and reel.start + length > source_end + LATE_S:
        clip.flags.append("beyond-the-source")
    if sounds:
        clip.samples = _lay_out(sounds, reel.start, length, recipe.sample_rate)
        if min(sound.time for sound in sounds) > reel.start + LATE_S:
            clip.flags.append("sound-starts-late")
        if sound_end < reel.start + length - LATE_S:
            clip.flags.append("sound-ends-early")
    return clip


def _end(sound: Sound, recipe: Recipe) -> Fraction:
    return sound.time + Fraction(len(sound.samples), recipe.sample_rate)


def _lay_out(sounds: list[Sound], start: Fraction, length: Fraction, sample_rate: int) -> np.ndarray:
    """Return the window's samples: each run at its time, silence where there is none."""
    total = sample_count(length, sample_rate)
    laid = np.zeros(total, np.int16)
    for sound in sounds:
        at = round((sound.time - start) * sample_rate)
        begin, stop = max(at, 0), min(at + len(sound.samples), total)
        if begin < stop:
            laid[begin:stop] = sound.samples[begin - at:stop - at]
    return laid
