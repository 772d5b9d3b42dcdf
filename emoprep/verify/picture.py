"""The pictures of a source, every one decoded, against the frames of the strips that were cut from it.

Frame i of an utterance must show the picture on screen at (i + ½)/fps after its start: the last one that came until
then, the first where none has come yet, the last where none follows.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emoprep import engine
from emoprep.media.decode import DecodeFailure
from emoprep.media.pyav import BROKEN, open_source, streams
from emoprep.store.shards import SampleReader
from emoprep.verify.cell import Picture
from emoprep.verify.findings import Findings
from emoprep.verify.members import strip_frames

if TYPE_CHECKING:
    from emoprep.verify.deep import SourceTask, Use

__all__ = ["check_pictures", "frames_of"]

# A frame that shows its picture is at least this much like it (PSNR); JPEG of quality 90 takes no more away from any
# picture. Measured on real clips: 40 dB at the least; on drawn ones with hard edges 36 dB.
LEAST_DB = 30.0

# Another picture must fit better by this much to be taken for the one that is shown: neighbours in a still scene are
# told apart by the noise of JPEG alone, which was measured to favour the wrong one by 0.01 dB at the most. Over all
# frames together less is enough.
BETTER_DB, BETTER_TOGETHER_DB = 0.5, 0.1

# Grey levels by which a frame may be brighter or darker throughout: converters round.
SHADE = 2.0

HALF = Fraction(1, 2)
LENGTH_SLACK_S = 1e-6
BEATS = 250  # pictures after which the run is told that this worker still lives


class Due(NamedTuple):
    """The time at which a frame of an utterance looks at the film."""

    time: Fraction
    number: int
    index: int


class _Strip:
    """The frames of one utterance, and how they fit what the film showed."""

    def __init__(self, use: Use):
        self.use, self.frames, self.left = use, None, use.row["frames"]
        self.off: list[str] = []
        # Squared differences to the picture itself, and by the way (−1: before, 1: after) to a neighbour, summed over
        # those frames that have this neighbour: [to the picture, to the neighbour].
        self.sums = {-1: np.zeros(2), 1: np.zeros(2)}

    def compare(self, index: int, shown: np.ndarray, others: dict[int, np.ndarray]) -> None:
        """Compare a frame with the picture that it must show, and with those before and after it."""
        frame = self.frames[index].astype(np.float32)
        error = _squared(frame, shown)
        if decibels(error) < LEAST_DB:
            self.off.append(f"frame {index} is unlike the picture on screen ({decibels(error):.1f} dB)")
            return
        for way, other in others.items():
            different = _squared(frame, other)
            self.sums[way] += error, different
            if decibels(different) > decibels(error) + BETTER_DB:
                self.off.append(f"frame {index} shows the picture {'before' if way < 0 else 'after'} the one on screen "
                                f"({decibels(different):.1f} dB, and {decibels(error):.1f} dB)")

    def tell(self, findings: Findings) -> None:
        key, count = self.use.key, self.use.row["frames"]
        if self.off:
            findings.add("source-picture", key, f"{len(self.off)} of {count} frames: {self.off[0]}")
            return
        for way, (itself, other) in self.sums.items():
            if itself and decibels(other) > decibels(itself) + BETTER_TOGETHER_DB:
                findings.add("source-picture", key, f"the frames together show what is on screen one picture "
                                                    f"{'before' if way < 0 else 'after'} their time")


def _squared(one: np.ndarray, other: np.ndarray) -> float:
    difference = one - other
    return float(np.square(difference - np.clip(difference.mean(), -SHADE, SHADE)).mean())


def decibels(squared: float) -> float:
    """Return the PSNR of a mean squared difference of 8-bit values.

    >>> round(decibels(65.025), 6)
    30.0
    """
    return float(10 * np.log10(255 ** 2 / max(squared, 1e-3)))


def check_pictures(task: SourceTask, findings: Findings) -> None:
    """Decode all of a film, and compare each frame that was cut from it with the picture on screen at its time."""
    uses = [use for use in task.uses if use.row["has_video"]]
    last = None
    comparison = _Comparison(task, uses, findings)
    try:
        for picture in frames_of(task, findings, uses):
            last = picture
            comparison.show(picture)
            if comparison.due is None and not any(use.whole for use in task.uses):
                break
    except DecodeFailure as failure:
        if uses:
            findings.add("source", task.path, failure)
        return
    comparison.end()
    film_end = None if last is None else last.time + last.lasts
    for use in task.uses:
        _check_presence(use, film_end, task.settings["truncate"], findings)


def _check_presence(use: Use, film_end: Fraction | None, truncate: Fraction | None, findings: Findings) -> None:
    has_video = use.row["has_video"]
    if film_end is None or (use.start >= film_end and not use.whole):
        if has_video:
            findings.add("source-picture", use.key, "has_video is true, and the film has no picture then")
        return
    if not has_video:
        findings.add("source-picture", use.key, "has_video is false, and the film has pictures then")
    elif use.whole:
        seconds = film_end if truncate is None else min(film_end, truncate)
        if abs(use.row["end"] - float(seconds)) > LENGTH_SLACK_S:
            findings.add("source-length", use.key, f"it ends at {use.row['end']:.6f} s, and its film at "
                                                   f"{float(seconds):.6f} s")


class _Comparison:
    """The frames of all utterances of a film, in the order of time, while its pictures go by."""

    def __init__(self, task: SourceTask, uses: list[Use], findings: Findings):
        self.task, self.findings, self.reader = task, findings, SampleReader()
        self.strips = [_Strip(use) for use in uses]
        self.dues = heapq.merge(*(self._dues(number, use) for number, use in enumerate(uses)))
        self.due = next(self.dues, None)
        self.before: Picture | None = None
        self.shown: Picture | None = None

    def _dues(self, number: int, use: Use) -> Iterator[Due]:
        for index in range(use.row["frames"]):
            yield Due(use.start + (index + HALF) / self.task.settings["fps"], number, index)

    def show(self, picture: Picture) -> None:
        """Compare the frames that look at the film before this picture comes."""
        while self.shown is not None and self.due is not None and self.due.time < picture.time:
            self._compare(picture)
        self.before, self.shown = self.shown, picture

    def end(self) -> None:
        """Compare the frames that look at the film when its last picture has come."""
        while self.shown is not None and self.due is not None:
            self._compare(None)

    def _compare(self, after: Picture | None) -> None:
        due, strip = self.due, self.strips[self.due.number]
        if due.index == 0:
            strip.frames = self._read(strip.use)
        if strip.frames is not None:
            size, fit = self.task.settings["size"], self.task.settings["fit"]
            cells = {way: picture.cell(strip.use.view, size, fit)
                     for way, picture in ((-1, self.before), (0, self.shown), (1, after)) if picture is not None}
            strip.compare(due.index, cells.pop(0), cells)
        strip.left -= 1
        if not strip.left:
            strip.tell(self.findings)
            strip.frames = None
        self.due = next(self.dues, None)

    def _read(self, use: Use) -> np.ndarray | None:
        """Return the frames of a strip; None where it cannot be read, which its shard's own check tells."""
        facts = {"size": self.task.settings["size"], "frames": use.row["frames"]}
        try:
            return strip_frames(self.reader.read(Path(self.task.store, use.shard), use.key)["frames.jpg"], facts)
        except Exception:  # noqa: BLE001 - whatever it is, that check has told it
            return None


def frames_of(task: SourceTask, findings: Findings, uses: list[Use]) -> Iterator[Picture]:
    """Yield every picture of a film. In AVI what counts is when its packet is decoded (see media/pyav.py)."""
    with open_source(Path(task.root, task.path)) as container:
        film, _ = streams(container)
        if film is None:
            return
        film.codec_context.thread_count = 1
        pixel_aspect, stored = film.sample_aspect_ratio or Fraction(1), container.format.name == "avi"
        usual = 1 / film.average_rate if film.average_rate else Fraction(1, 25)
        time, damaged, count = None, False, 0
        for packet in container.demux(film):
            try:
                decoded = packet.decode()
            except BROKEN:
                damaged = True
                continue
            for frame in decoded:
                stamps = (frame.dts, frame.pts) if stored else (frame.pts, frame.dts)
                stamp = next((stamp for stamp in stamps if stamp is not None), None)
                lasts = (frame.duration or 0) * film.time_base or usual
                time = stamp * film.time_base if stamp is not None else Fraction(0) if time is None else time + lasts
                yield Picture(frame, time, lasts, pixel_aspect)
                count += 1
                if count % BEATS == 0:
                    engine.at(task.path)
        if damaged and not any("damaged" in use.row["flags"] for use in uses):
            findings.add("source", task.path, "some of its pictures cannot be decoded")
