"""One pass over a source: which pictures and which sound lie in each window of it.

The decoders (`pyav`, `ffmpeg`) only deliver pictures and sound with their times; what is chosen from them is
decided here once, so that all decoders keep the same clock.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from emoprep.errors import UsageError
from emoprep.media.reel import Clip, DecodeFailure, DecodeTimeout, Develop, Picture, Reels, Roll, Sound, Window
from emoprep.media.watch import Watch

__all__ = ["DECODERS", "CannotSpare", "Clip", "DecodeFailure", "DecodeTimeout", "Events", "Picture", "Recipe", "Sound",
           "Watch", "Window", "clips", "decode", "make_recipe"]

DECODERS = {"pyav": "emoprep.media.pyav", "ffmpeg": "emoprep.media.ffmpeg"}

# Decoders that leave out pictures which no frame shows.
SPARING = ("pyav",)


class CannotSpare(Exception):
    """Which pictures of a source are on screen cannot be told before it is decoded."""


@dataclass(frozen=True)
class Recipe:
    """How media are made: frames a second, strip size in px, how a picture is fitted, and the sound's form.

    Of larger pictures than `max_pixels` none is decoded. `fast` decodes H.264 and HEVC without their loop filter.
    """

    fps: Fraction = Fraction(10)
    size: int = 112
    fit: str = "stretch"
    sample_rate: int = 16_000
    downmix: str = "mix"
    truncate: Fraction | None = None
    decoder: str = "pyav"
    hwaccel: str | None = None
    max_pixels: int = 16_000_000
    fast: bool = False


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


Events = Iterator[Picture | Sound]


def decode(path: str, windows: list[Window], recipe: Recipe, *, video: bool = True, audio: bool = True
           ) -> list[Clip]:
    """Decode the source once and return what lies in each window.

    Raises DecodeFailure where nothing can be read. A window that ends beyond the source shows its last picture
    and holds silence there, flagged; one that begins after the last picture has none, and after the last sound
    no samples.
    """
    return [clip for _, clip in sorted(clips(path, windows, recipe, video=video, audio=audio), key=lambda one: one[0])]


def clips(path: str, windows: list[Window], recipe: Recipe, *, video: bool = True, audio: bool = True,
          develop: Develop = Roll, watch: Watch | None = None) -> Iterator[tuple[int, Clip]]:
    """Decode the source once, and yield each window's number and clip as soon as all of it has come.

    `develop` gives each clip the roll that keeps its pictures (encoded, say). What is held meanwhile
    are the pictures and the sound of the windows that the source is in, however long it is. `watch` bounds the time.
    """
    left, watch = dict(enumerate(windows)), watch or Watch()
    sparing = video and recipe.decoder in SPARING
    while left:
        try:
            for number, clip in _pass(path, dict(left), recipe, video, audio, develop, watch, sparing=sparing):
                del left[number]
                watch.pause()
                yield number, clip
                watch.renew()
        except CannotSpare:
            sparing = False  # what was yielded came before the place where this showed


def _pass(path: str, windows: Mapping[int, Window], recipe: Recipe, video: bool, audio: bool, develop: Develop,
          watch: Watch, *, sparing: bool) -> Iterator[tuple[int, Clip]]:
    decoder = importlib.import_module(DECODERS[recipe.decoder])
    audio = audio and any(window.sound for window in windows.values())
    reels, flags = Reels(windows, recipe, video=video, audio=audio, develop=develop), []
    # An utterance shorter than half a frame has one all the same, which is due after its end.
    until = None if any(window.end is None for window in windows.values()) \
        else max(max(window.end, window.start + 1 / (2 * recipe.fps)) for window in windows.values())
    with contextlib.closing(decoder.pictures_and_sound(
            path, recipe, video=video, audio=audio, until=until, flags=flags, watch=watch,
            on_screen=reels.on_screen if sparing else None)) as events:
        for event in watch.timed(events):
            complete = reels.take(event)
            if not reels.left:
                events.close()  # before the last clip is handed out: it may be long until the next is asked for
            for reel in complete:
                yield reel.number, reels.clip(reel, flags)
            if not reels.left:
                return
    if reels.shown is None and reels.sound_end is None:
        raise DecodeFailure("no picture and no sound could be decoded" if video and audio
                            else f"no {'picture' if video else 'sound'} could be decoded")
    for reel in reels.left.values():
        yield reel.number, reels.clip(reel, flags, ended=True)
