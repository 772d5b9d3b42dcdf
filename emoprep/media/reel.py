"""Windows of a source while it streams by: which pictures and which sound lie in each of them.

Pictures are chosen by stamps, whole numbers on the film's own clock: a dialogue has thousands of pictures and
dozens of windows, and exact fractions for each pair would cost more than decoding.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from emoprep.media.clock import HALF, frame_count, sample_count

if TYPE_CHECKING:
    from emoprep.media.decode import Recipe
    from emoprep.media.whole import Whole

__all__ = ["LARGEST_STRIP", "Clip", "DecodeFailure", "DecodeTimeout", "Develop", "Follower", "Picture", "Reel", "Reels",
           "Roll", "Sound", "TooLong", "Window", "most_frames"]

# A sound that starts or ends this much beside the pictures is worth a flag; a frame of AAC is 0.02 s.
LATE_S = Fraction(1, 10)

# A file that claims to last longer has broken times, and would be filled up with one picture for years.
LONGEST_S = 24 * 3600

LARGEST_STRIP = 2 ** 31
"""Bytes of the pictures that one utterance may have, 95 minutes at the defaults: a misread time must not take all
memory. What is held of so much, sound and encoded pictures, is about 300 MB."""

NEVER = (math.inf, -1, None)

class Roll(list):
    """Pictures one after another; when all are there, `finish` returns what is kept of the first `frames` of them."""

    def finish(self, frames: int) -> Any:
        return self[:frames]


Develop = Callable[[], Any]
"""Gives a roll, or what keeps pictures in another way and has its `append`, `finish` and length."""


class DecodeFailure(Exception):
    """A source that cannot be decoded; becomes a skip with this text as its detail."""

    reason = "undecodable"


class DecodeTimeout(DecodeFailure):
    """A source that decoding came to no end with, on this machine and this day."""

    reason = "decode-timeout"


class TooLong(DecodeFailure):
    """A film that is one utterance, and has more frames than one may have."""

    reason = "too-long"


class Follower(Protocol):
    """Looks at a window's pictures at their full size: each frame's in order, the same as scaled, then the end of the
    first `frames` of them."""

    def see(self, whole: Whole, scaled: np.ndarray) -> None: ...

    def end(self, frames: int) -> None: ...


class Window(NamedTuple):
    """Exact seconds of a source; both None: the whole of it, from 0 to the end of its last picture.

    `view` is the half of the picture that is wanted ("left" or "right" as displayed; None: all of it). Without
    `sound`, only pictures are. `follow()` makes one who looks at them at their full size.
    """

    start: Fraction | None = None
    end: Fraction | None = None
    view: str | None = None
    sound: bool = True
    follow: Callable[[], Follower] | None = None


class Picture(NamedTuple):
    """A decoded picture that comes on screen at `stamp` · `base` seconds.

    `duration()` returns how long it stays if no other follows; it is asked of the last one only.
    `scaled(view)` returns it, or half of it, as uint8 [size, size, 3] in full-range BT.601 YCbCr, which is what
    a JPEG holds; `whole(view)` at its full size, always the same object.
    """

    stamp: int | Fraction
    base: Fraction
    duration: Callable[[], Fraction]
    scaled: Callable[[str | None], np.ndarray]
    whole: Callable[[str | None], Whole]

    @property
    def time(self) -> Fraction:
        return self.stamp * self.base


class Sound(NamedTuple):
    """Int16 mono samples at the recipe's rate, `offset` samples after the run they belong to began (seconds)."""

    run: Fraction
    offset: int
    samples: np.ndarray


@dataclass
class Clip:
    """What one window holds: exact length, pictures (F of them, or none) and samples (or None).

    `whole_seconds` is the length before it was truncated. `film_end` and `sound_end` are where the source's
    pictures and its sound end, if the pass came so far (None: they go on beyond the window, or there are none).
    `follower` has seen the pictures, where the window has one. `view` is [x, y, w, h] of what a picture shows, in
    pixels of the film as displayed.
    """

    seconds: Fraction = Fraction(0)
    whole_seconds: Fraction = Fraction(0)
    pictures: Any = field(default_factory=list)
    samples: np.ndarray | None = None
    flags: list[str] = field(default_factory=list)
    film_end: Fraction | None = None
    sound_end: Fraction | None = None
    follower: Any = None
    view: list[float] = field(default_factory=list)


def most_frames(size: int) -> int:
    """Return the frames that an utterance may have.

    >>> most_frames(112)
    57065
    """
    return LARGEST_STRIP // (size * size * 3)


class Reel:
    """What was chosen for one window so far.

    Its pictures go on a roll, which `develop` gives.
    """

    def __init__(self, number: int, window: Window, recipe: Recipe, *, video: bool, audio: bool, develop: Develop):
        self.number, self.window, self.recipe = number, window, recipe
        self.start = window.start or Fraction(0)
        self.length = None if window.end is None else window.end - self.start
        if recipe.truncate is not None:
            # A whole file may still turn out to be shorter; then `clip` cuts again.
            self.length = recipe.truncate if self.length is None else min(self.length, recipe.truncate)
        self.frames = None if self.length is None else frame_count(self.length, recipe.fps)
        self.most = most_frames(recipe.size)
        self.pictures, self.sounds, self.samples = develop(), [], None
        self.view: list[float] = []
        self.follower = window.follow() if video and window.follow is not None else None
        # Complete before the source ends: all pictures are there, and so is all sound.
        self.seen, self.heard = not video, not (audio and window.sound)

    @property
    def stop(self) -> Fraction | None:
        """The time from which on nothing more is wanted (None: not known before the source ends)."""
        return None if self.length is None else self.start + self.length

    def due_stamps(self, base: Fraction) -> Iterator[int]:
        """Yield for each frame the stamp up to which a picture may have come to be the one it shows.

        Frame i shows the last picture that came at (i + ½)/fps or before.
        """
        first, step = (self.start + HALF / self.recipe.fps) / base, 1 / (self.recipe.fps * base)
        unit = math.lcm(first.denominator, step.denominator)
        first, step = int(first * unit), int(step * unit)
        for index in range(frame_count(LONGEST_S, self.recipe.fps) if self.frames is None else self.frames):
            yield (first + index * step) // unit

    def dues(self, base: Fraction) -> Iterator[tuple[int, int, Reel]]:
        """Yield (stamp, number, self) for each frame, and once more for the end of the window, if it has one."""
        stamp = 0
        for stamp in self.due_stamps(base):
            yield stamp, self.number, self
        if self.window.end is not None:
            yield max(stamp, math.floor(self.stop / base)), self.number, self

    def show(self, picture: Picture) -> None:
        """Take `picture` for the next frame; a window that is full has been passed."""
        if len(self.pictures) == self.frames:
            self.seen = True
            self._develop(self.frames)
        elif len(self.pictures) >= self.most:
            raise TooLong(f"it goes on after {self.most} frames, which is more than one utterance may have "
                          "(--truncate-seconds cuts it off)")
        else:
            self._take(picture)

    def _take(self, picture: Picture) -> None:
        scaled = picture.scaled(self.window.view)
        self.pictures.append(scaled)
        if not self.view:
            self.view = picture.whole(self.window.view).view(self.recipe.fit)
        if self.follower is not None:
            self.follower.see(picture.whole(self.window.view), scaled)

    def _develop(self, frames: int) -> None:
        self.pictures = self.pictures.finish(frames)
        if self.follower is not None:
            self.follower.end(frames)

    def clip(self, *, last: Picture | None, film_end: Fraction | None, sound_start: Fraction | None,
             sound_end: Fraction | None, flags: list[str]) -> Clip:
        """Return the clip. What is not complete yet never will be: it is filled up, as far as it has begun.

        `film_end` and `sound_end` are None as long as there may be more.
        """
        source_end = film_end if film_end is not None else sound_end
        whole = (source_end if self.window.end is None else self.window.end) - self.start
        if self.window.end is None:
            _check_length(whole)
        clip = Clip(whole, whole, film_end=film_end, sound_end=sound_end,
                    flags=[flag for flag in flags if self.window.sound or flag != "several-sound-tracks"])
        if self.recipe.truncate is not None and whole > self.recipe.truncate:
            clip.seconds = self.recipe.truncate
            clip.flags.append("truncated")
        stop = self.start + clip.seconds
        if self.window.end is not None and source_end is not None and stop > source_end + LATE_S:
            clip.flags.append("beyond-the-source")
        self._fill(clip, last, film_end)
        clip.pictures, clip.follower, clip.view = self.pictures, self.follower, self.view
        if self.window.sound and sound_start is not None:
            self._add_sound(clip, sound_start, sound_end)
        return clip

    def _add_sound(self, clip: Clip, sound_start: Fraction, sound_end: Fraction | None) -> None:
        if not self.heard and self._begins_after(sound_end):
            clip.flags.append("beyond-the-sound")
            return
        clip.samples = self.samples if self.heard else self._lay_out(clip.seconds)
        if sound_start > self.start + LATE_S:
            clip.flags.append("sound-starts-late")
        if not self.heard and sound_end < self.start + clip.seconds - LATE_S:
            clip.flags.append("sound-ends-early")

    def _begins_after(self, end: Fraction) -> bool:
        return self.window.start is not None and self.start >= end

    def _fill(self, clip: Clip, last: Picture | None, film_end: Fraction | None) -> None:
        """Fill up to the window's frames with the last picture, or cut down to them."""
        if self.seen or film_end is None:
            return
        if self._begins_after(film_end):
            self.pictures, self.follower = [], None
            clip.flags.append("beyond-the-film")
            return
        frames = frame_count(clip.seconds, self.recipe.fps)
        while len(self.pictures) < frames:
            self._take(last)
        self._develop(frames)

    def hear(self) -> None:
        """All sound of the window has come."""
        self.heard = True
        self.samples = self._lay_out(self.length)

    def _lay_out(self, length: Fraction) -> np.ndarray:
        """Return the window's samples: each run at its time, silence where there is none."""
        rate = self.recipe.sample_rate
        total = sample_count(length, rate)
        laid = np.zeros(total, np.int16)
        self.sounds.reverse()
        while self.sounds:  # what is laid out is let go: an hour of sound need not lie here twice
            sound = self.sounds.pop()
            # Rounded for the run as a whole: its pieces must neither overlap nor part.
            at = round((sound.run - self.start) * rate) + sound.offset
            begin, stop = max(at, 0), min(at + len(sound.samples), total)
            if begin < stop:
                laid[begin:stop] = sound.samples[begin - at:stop - at]
        return laid


def _check_length(seconds: Fraction) -> None:
    if seconds > LONGEST_S:
        raise DecodeFailure(f"it claims to last {float(seconds):.0f} s; such times are broken")


class Reels:
    """All windows of one pass over a source."""

    def __init__(self, windows: Mapping[int, Window], recipe: Recipe, *, video: bool, audio: bool,
                 develop: Develop):
        self.rate = recipe.sample_rate
        self.left = {number: Reel(number, window, recipe, video=video, audio=audio, develop=develop)
                     for number, window in windows.items()}
        self.shown: Picture | None = None
        self.due, self.dues, self.latest = NEVER, None, math.inf
        self.sound_start = self.sound_end = None
        # Windows that the sound has not reached, the next one last; and those that it is in.
        self.ahead = sorted((reel for reel in self.left.values() if not reel.heard), key=lambda reel: reel.start,
                            reverse=True)
        self.open: list[Reel] = []

    def on_screen(self, base: Fraction) -> Callable[[int, int], bool]:
        """Return a function that tells whether a picture which stays from one stamp to another is any frame's.

        It must be asked in the order of time.
        """
        dues = heapq.merge(*(reel.due_stamps(base) for reel in self.left.values() if not reel.seen))
        due = next(dues, math.inf)

        def wanted(stamp: int, until: int) -> bool:
            nonlocal due
            while due < stamp:
                due = next(dues, math.inf)
            return due < until
        return wanted

    def take(self, event: Picture | Sound) -> list[Reel]:
        """Hand a picture or a sound to the windows that it lies in; return those that became complete."""
        touched = self._hear(event) if isinstance(event, Sound) else self._show(event)
        complete = [reel for reel in touched if reel.seen and reel.heard]
        for reel in complete:
            del self.left[reel.number]
        return complete

    def clip(self, reel: Reel, flags: list[str], *, ended: bool = False) -> Clip:
        """Return the clip of a complete window, or after the end of the source of any."""
        film_end = self.shown.time + self.shown.duration() if ended and self.shown is not None else None
        return reel.clip(last=self.shown, film_end=film_end, sound_start=self.sound_start,
                         sound_end=self.sound_end if ended else None, flags=flags)

    def _show(self, picture: Picture) -> list[Reel]:
        # A picture holds until the next one comes; the first one also stands for the time before it.
        shown, self.shown, passed = self.shown, picture, []
        if picture.stamp > self.latest:
            _check_length(picture.time)
        if self.dues is None:
            if any(reel.stop is None for reel in self.left.values()):
                self.latest = LONGEST_S / picture.base
            self.dues = heapq.merge(*(reel.dues(picture.base) for reel in self.left.values() if not reel.seen))
            self.due = next(self.dues, NEVER)
        while shown is not None and self.due[0] < picture.stamp:
            reel = self.due[2]
            reel.show(shown)
            if reel.seen:
                passed.append(reel)
            self.due = next(self.dues, NEVER)
        return passed

    def _hear(self, sound: Sound) -> list[Reel]:
        begin = sound.run + Fraction(sound.offset, self.rate)
        end = begin + Fraction(len(sound.samples), self.rate)
        self.sound_start = begin if self.sound_start is None else min(begin, self.sound_start)
        self.sound_end = end if self.sound_end is None else max(end, self.sound_end)
        while self.ahead and self.ahead[-1].start < end:
            self.open.append(self.ahead.pop())
        for reel in self.open:
            if reel.stop is None or begin < reel.stop:
                reel.sounds.append(sound)
        passed = [reel for reel in self.open if reel.window.end is not None and reel.stop <= end]
        for reel in passed:
            reel.hear()
        self.open = [reel for reel in self.open if not reel.heard]
        return passed
