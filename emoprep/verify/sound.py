"""The sound of a source, decoded at its own rate, against the sound that was cut from it.

Every second of an utterance is looked for in the source around the place where it must be: it must be most like what
is there, to within one sample. Since each second is looked for by itself, sound that drifts away from the pictures is
found as well as sound that is late throughout.
"""

from __future__ import annotations

import io
import itertools
import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av
import numpy as np

from emoprep import engine
from emoprep.media.decode import DecodeFailure
from emoprep.media.pyav import BROKEN, open_source, streams
from emoprep.store.shards import SampleReader
from emoprep.verify.findings import Findings

if TYPE_CHECKING:
    from emoprep.verify.deep import SourceTask, Use

__all__ = ["check_sounds", "offset_of"]

AROUND_S = Fraction(3, 20)
"""How far around its place a second is looked for."""

# Samples that the sound may lie beside its place: it is laid out on whole samples, which makes half a one.
WITHIN = 1.0

# How like the source it must be there (correlation); noise up to half the rate that lies half a sample off has 0.64.
LEAST_LIKE = 0.6

# How much more it must be like another place to be taken for what is there: a tone is almost as much like itself a
# period later.
MORE_LIKE = 0.005

# What is quieter than three steps of 16 bit has no shape to be found by.
QUIET = 3 / 32768

# Twentieths of a second in which one has four times the power of the other, which is more than a resampler makes of
# anything, and is not all but silent either: but for what a few samples at their edges may hold.
PIECES_A_SECOND, LOUDER, FAINT, EDGE = 20, 4.0, 8 * QUIET, 16

# Runs of sound whose times disagree by less than a 50th of a second are one run: containers round their times.
GAPS_A_SECOND = 50
LENGTH_SLACK_S = 1e-3
BEATS = 500


class Chunk(NamedTuple):
    """Mono sound, float32 [n], from sample `at` of the source on, at its own rate."""

    at: int
    samples: np.ndarray


class Block(NamedTuple):
    """Samples `first` to `stop` of an utterance, which begin at `start` seconds of the source."""

    start: Fraction
    number: int
    first: int
    stop: int


def check_sounds(task: SourceTask, findings: Findings) -> None:
    """Decode all sound of a file, and compare what was cut from it, second by second."""
    comparison = _Comparison(task, findings)
    try:
        for rate, chunk in _chunks(task, findings):
            comparison.hear(rate, chunk)
    except DecodeFailure as failure:
        if any(use.row["has_audio"] for use in task.uses):
            findings.add("source", task.path, failure)
        return
    comparison.end()


class _Comparison:
    """The utterances of a source, in the order of time, while its sound goes by."""

    def __init__(self, task: SourceTask, findings: Findings):
        self.task, self.findings, self.reader = task, findings, SampleReader()
        self.rate = task.settings["sample_rate"]
        self.blocks = deque(sorted(self._blocks()))
        self.left = dict.fromkeys(range(len(task.uses)), 0)
        for block in self.blocks:
            self.left[block.number] += 1
        self.sounds: dict[int, np.ndarray | None] = {}
        self.off: dict[int, list[str]] = {}
        self.chunks: deque[Chunk] = deque()
        self.native: int | None = None
        self.sound_end = 0

    def _blocks(self) -> Iterator[Block]:
        """Cut each utterance into pieces of one to two seconds."""
        for number, use in enumerate(self.task.uses):
            samples = use.row["samples"]
            pieces = max(1, samples // self.rate)
            edges = [samples * piece // pieces for piece in range(pieces + 1)]
            for first, stop in itertools.pairwise(edges):
                yield Block(use.start + Fraction(first, self.rate), number, first, stop)

    def hear(self, native: int, chunk: Chunk) -> None:
        """Take sound of the source; compare what lies far enough before its end, and let go what nobody waits for."""
        self.native = native
        self.chunks.append(chunk)
        self.sound_end = max(self.sound_end, chunk.at + len(chunk.samples))
        while self.blocks and self._span(self.blocks[0])[1] < chunk.at:
            self._compare(self.blocks.popleft())
        begin = self._span(self.blocks[0])[0] if self.blocks else math.inf
        while self.chunks and self.chunks[0].at + len(self.chunks[0].samples) < begin:
            self.chunks.popleft()

    def end(self) -> None:
        """Compare what is left: the source has no more sound."""
        while self.blocks:
            self._compare(self.blocks.popleft())
        truncate = self.task.settings["truncate"]
        for use in self.task.uses:
            if use.whole and self.native is not None and use.row["has_audio"]:
                seconds = Fraction(self.sound_end, self.native)
                seconds = seconds if truncate is None else min(seconds, truncate)
                if abs(use.row["end"] - float(seconds)) > LENGTH_SLACK_S:
                    self.findings.add("source-length", use.key, f"it ends at {use.row['end']:.6f} s, and its sound at "
                                                                f"{float(seconds):.6f} s")

    def _span(self, block: Block) -> tuple[int, int]:
        """Return the samples of the source among which a block is looked for."""
        end = block.start + Fraction(block.stop - block.first, self.rate)
        return math.floor((block.start - AROUND_S) * self.native), math.ceil((end + AROUND_S) * self.native)

    def _compare(self, block: Block) -> None:
        number, use = block.number, self.task.uses[block.number]
        if block.first == 0:
            self.sounds[number] = self._read(use)
        sound = self.sounds[number]
        if sound is not None and len(sound) >= block.stop:
            told = self._told(block, sound[block.first:block.stop], has_audio=use.row["has_audio"])
            if told is not None:
                self.off.setdefault(number, []).append(f"from {block.first / self.rate:.2f} s on, {told}")
        self.left[number] -= 1
        if not self.left[number]:
            del self.sounds[number]
            if off := self.off.pop(number, None):
                self.findings.add("source-sound", use.key, f"{off[0]}" + (f" (and {len(off) - 1} more places)"
                                                                          if len(off) > 1 else ""))

    def _told(self, block: Block, sound: np.ndarray, *, has_audio: bool) -> str | None:
        """Return what is wrong with a block, or None."""
        source, place = self._source(block)
        there = source[round(place):round(place) + len(sound)]
        if has_audio and min(_loudness(sound), _loudness(there)) > QUIET:
            offset, like = offset_of(sound, source, place)
            if abs(offset) > WITHIN:
                return f"it lies {abs(offset):.1f} samples {'late' if offset < 0 else 'early'}"
            if like < LEAST_LIKE:
                return f"it is not the source's sound (correlation {like:.2f})"
        at = unlike_level(sound, source, round(place), self.rate // PIECES_A_SECOND)
        return None if at is None else f"it is {'louder' if at[1] else 'quieter'} than the source after " \
                                       f"{at[0] / self.rate:.2f} s"

    def _source(self, block: Block) -> tuple[np.ndarray, float]:
        """Return the source around a block at the store's rate, and the place where the block must be in it."""
        from scipy.signal import resample_poly

        begin, end = self._span(block) if self.native is not None else (0, 0)
        laid = np.zeros(end - begin)
        for at, samples in self.chunks:
            first, stop = max(at, begin), min(at + len(samples), end)
            if first < stop:
                laid[first - begin:stop - begin] = samples[first - at:stop - at]
        if self.native is None:
            return laid, 0.0
        common = math.gcd(self.native, self.rate)
        if self.native != self.rate:
            laid = resample_poly(laid, self.rate // common, self.native // common)
        return laid, float((block.start - Fraction(begin, self.native)) * self.rate)

    def _read(self, use: Use) -> np.ndarray | None:
        """Return an utterance's sound in −1..1; None where it cannot be read, which its shard's own check tells."""
        import soundfile

        try:
            flac = self.reader.read(Path(self.task.store, use.shard), use.key)["flac"]
            with soundfile.SoundFile(io.BytesIO(flac)) as file:
                return file.read(use.row["samples"], dtype="float32")
        except Exception:  # noqa: BLE001 - whatever it is, that check has told it
            return None


def offset_of(sound: np.ndarray, source: np.ndarray, place: float) -> tuple[float, float]:
    """Return by how many samples `sound` is like an earlier or a later place of the source, and how like its own.

    `place` is where in the source it should begin. Positive: what is heard comes from a later place than it should.

    >>> noise = np.random.default_rng(0).standard_normal(5000)
    >>> offset, like = offset_of(noise[1000:3000], noise, 1000.0)
    >>> round(offset, 2), round(like, 2)
    (0.0, 1.0)
    >>> round(offset_of(noise[1032:3032], noise, 1000.0)[0])
    32
    """
    from scipy.signal import fftconvolve

    n = len(sound)
    products = fftconvolve(source, sound[::-1].astype(np.float64), mode="valid")
    power = np.concatenate([[0.0], np.cumsum(np.square(source))])
    like = products / np.sqrt(np.maximum(power[n:] - power[:-n], 1e-9) * max(float(np.square(sound).sum()), 1e-9))
    # What is all but silent there has noise for a shape.
    near = np.abs(np.arange(len(like)) - place) <= WITHIN
    best, here = int(np.argmax(like)), float(like[near].max(initial=-1.0))
    return (0.0 if like[best] - here <= MORE_LIKE else best - place), here


def unlike_level(sound: np.ndarray, source: np.ndarray, begin: int, step: int) -> tuple[int, bool] | None:
    """Return where `sound` is first louder or quieter than `source` is from `begin` on, and whether it is louder.

    None where it never is. Pieces of `step` samples are compared.

    >>> hum = np.full(3000, 0.1)
    >>> unlike_level(hum[:2000], hum, 500, 800) is None
    True
    >>> unlike_level(np.where(np.arange(2000) < 1000, 0, hum[:2000]), hum, 500, 800)
    (0, False)
    """
    power, source_power = (np.concatenate([[0.0], np.cumsum(np.square(one, dtype=np.float64))])
                           for one in (sound, source))

    def within(first: int, stop: int) -> float:
        first, stop = (min(max(at, 0), len(source)) for at in (first, stop))
        return source_power[stop] - source_power[first] if first < stop else 0.0
    for first in range(0, len(sound), step):
        stop = min(first + step, len(sound))
        own, faint = power[stop] - power[first], FAINT ** 2 * (stop - first)
        if own > LOUDER * within(begin + first - EDGE, begin + stop + EDGE) + faint:
            return first, True
        if within(begin + first + EDGE, begin + stop - EDGE) > LOUDER * own + faint:
            return first, False
    return None


def _loudness(sound: np.ndarray) -> float:
    return float(np.sqrt(np.square(sound, dtype=np.float64).mean())) if len(sound) else 0.0


def _chunks(task: SourceTask, findings: Findings) -> Iterator[tuple[int, Chunk]]:
    """Yield a source's rate and its sound, as one channel, in order."""
    with open_source(Path(task.root, task.path)) as container:
        _, track = streams(container)
        if track is None:
            return
        native, after, mixer, damaged = None, 0, None, False
        for count, packet in enumerate(container.demux(track)):
            try:
                decoded = packet.decode()
            except BROKEN:
                damaged = True
                continue
            for frame in decoded:
                native = native or frame.sample_rate
                if mixer is None or mixer.form != _form(frame):
                    mixer = _Mixer(frame, native, task.settings["downmix"])
                at = after if frame.pts is None else round(frame.pts * frame.time_base * native)
                if GAPS_A_SECOND * abs(at - after) <= native:
                    at = after
                samples = mixer.mixed(frame)
                after = at + len(samples)
                yield native, Chunk(at, samples)
            if count % BEATS == 0:
                engine.at(task.path)
        if damaged and not any("damaged" in use.row["flags"] for use in task.uses):
            findings.add("source", task.path, "some of its sound cannot be decoded")


def _form(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


class _Mixer:
    """Makes one channel of all, or takes one out; the rate stays."""

    def __init__(self, frame: av.AudioFrame, rate: int, downmix: str):
        names = [channel.name for channel in frame.layout.channels]
        self.form, self.channel = _form(frame), 0
        single = downmix == "first" or (downmix == "centre" and "FC" in names)
        if single and downmix == "centre":
            self.channel = names.index("FC")
        # 16 bit, because libav mixes channels to whole numbers at a lower level than to fractions.
        self.resampler = av.AudioResampler("s16p", frame.layout.name if single else "mono", rate)

    def mixed(self, frame: av.AudioFrame) -> np.ndarray:
        frame.pts = None
        parts = [part.to_ndarray()[self.channel] for part in self.resampler.resample(frame)]
        return np.concatenate([np.empty(0, np.int16), *parts]).astype(np.float32) / 32768
