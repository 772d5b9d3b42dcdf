"""Sound on its way out of the decoder: resampled to mono int16, run by unbroken run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from emoprep.media.decode import Recipe
from emoprep.media.reel import Sound

__all__ = ["Tape"]

# Runs of sound whose times disagree by more than a 50th of a second are laid out apart; below it, it is rounding
# of the container's clock (Matroska counts milliseconds).
GAPS_A_SECOND = 50


class Tape:
    """Resamples sound to mono int16, run by unbroken run."""

    def __init__(self, track, recipe: Recipe, until: Fraction | None):
        self.stream, self.until = track, until
        self.rate, self.downmix = recipe.sample_rate, recipe.downmix
        self.resampler, self.form, self.start = None, None, Fraction(0)
        # Samples of the run that went into the resampler, that are asked for, and that came out of it.
        self.fed, self.limit, self.given = 0, math.inf, 0

    @property
    def time(self) -> Fraction | None:
        """The time up to which sound was fed."""
        return None if self.form is None else self.start + Fraction(self.fed, self.form[2])

    @property
    def past(self) -> bool:
        return self.fed > self.limit

    def add(self, frame) -> Iterator[Sound]:
        """Take a frame; yield the sound that is ready."""
        if self.downmix != "mix":
            frame = self._one_channel(frame)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self.form or not self._follows(frame):
            start = (self.time or Fraction(0)) if frame.pts is None else frame.pts * frame.time_base
            yield from self.flush()
            self.form = None  # as long as there is no resampler for it
            self.resampler = _Resampler(frame, self.rate)
            self.form, self.start, self.fed, self.given = form, start, 0, 0
            if self.until is not None:
                self.limit = math.ceil((self.until + 1 - start) * frame.sample_rate)
        self.fed += frame.samples
        frame.pts = None
        try:
            chunks = self.resampler.pieces(frame)
        except av.FFmpegError:
            self.resampler = self.form = None  # the next frame begins a new run
            raise
        for chunk in chunks:
            yield self._sound(chunk)

    def _sound(self, samples: np.ndarray) -> Sound:
        self.given += len(samples)
        return Sound(self.start, self.given - len(samples), samples)

    def _follows(self, frame) -> bool:
        if frame.pts is None:
            return True
        base, rate = frame.time_base, self.form[2]
        # In units of 1 / (base · rate), because Fractions for each of 50 frames a second would show.
        off = (frame.pts * base.numerator * rate - self.fed * base.denominator) * self.start.denominator \
            - self.start.numerator * base.denominator * rate
        return GAPS_A_SECOND * abs(off) <= base.denominator * rate * self.start.denominator

    def flush(self) -> Iterator[Sound]:
        """Yield the rest of the run."""
        if self.resampler is not None:
            rest = self.resampler.pieces(None)
            self.resampler = None
            # The resampler's filter may give a few samples more or fewer than the time it was fed.
            total = round((self.time - self.start) * self.rate)
            yield self._sound(np.concatenate([np.empty(0, np.int16), *rest])[:max(0, total - self.given)])

    def _one_channel(self, frame):
        """Return the front centre (or the first) channel alone, where the recipe asks for it."""
        names = [channel.name for channel in frame.layout.channels]
        if self.downmix == "mix" or len(names) == 1 or (self.downmix == "centre" and "FC" not in names):
            return frame
        chosen = names.index("FC") if self.downmix == "centre" else 0
        values = frame.to_ndarray()
        if not frame.format.is_planar:
            values = values.reshape(-1, len(names)).T
        alone = av.AudioFrame.from_ndarray(np.ascontiguousarray(values[chosen:chosen + 1]),
                                           format=frame.format.planar.name, layout="mono")
        alone.sample_rate, alone.pts, alone.time_base = frame.sample_rate, frame.pts, frame.time_base
        return alone


class _Resampler:
    """libav's conversion to mono int16 in one thread; PyAV's own starts one for each core."""

    def __init__(self, frame, rate: int):
        self.graph = Graph()
        self.graph.threads = 1
        source = self.graph.add("abuffer", sample_rate=str(frame.sample_rate), sample_fmt=frame.format.name,
                                channel_layout=frame.layout.name, time_base=f"1/{frame.sample_rate}")
        form = self.graph.add("aformat", sample_rates=str(rate), sample_fmts="s16", channel_layouts="mono")
        self.graph.link_nodes(source, form, self.graph.add("abuffersink")).configure()
        # Pieces of a second: a sound frame lasts 0.02 s, and each piece costs a call or two.
        self.graph.set_audio_frame_size(rate)

    def pieces(self, frame) -> list[np.ndarray]:
        """Take a frame (None: the end); return what is ready, int16 [n] each."""
        self.graph.push(frame)
        ready = []
        while True:
            try:
                ready.append(self.graph.pull().to_ndarray()[0])
            except (av.BlockingIOError, av.EOFError):
                return ready
