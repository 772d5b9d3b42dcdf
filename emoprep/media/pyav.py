"""The default decoder: FFmpeg's libraries in this process, through PyAV; no ffmpeg program is needed.

One decoding thread: a process a core with one thread each beats threads (docs/performance.md).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

import av

from emoprep.media.decode import DecodeFailure, Events, Picture, Recipe, Watch
from emoprep.media.scale import Scaler
from emoprep.media.spare import Sparing
from emoprep.media.tape import Tape

__all__ = ["Facts", "open_source", "pictures_and_sound", "probe", "read_container", "read_facts"]

OnScreen = Callable[[Fraction], Callable[[int, int], bool]]
"""Given a film's time base, a function that tells whether a picture from one stamp to another is wanted."""

ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: a cover, not a film


# What may be opened. Playlists (hls, concat, dash …) are not among it: one that calls itself .mp4 would open others.
CONTAINERS = ("aac,ac3,aiff,amr,asf,au,avi,caf,dv,flac,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mp3,mpeg,mpegts,"
              "mpegvideo,mxf,nut,ogg,rm,swf,w64,wav,webm,wtv,wv")
MOST_STREAMS = 64
GUARD = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS, "max_streams": str(MOST_STREAMS)}

# libav decodes a picture or two to find out what a file holds: those may be larger, so that their size can be told.
PROBED_PIXELS = 64_000_000

# libav would search the first 128 KB of each wav for DTS sound that calls itself PCM, which takes longer than to
# decode a sentence, and hand it out in pieces of 2 KB.
WAV = {"max_probe_packets": "0", "max_size": "8192"}

# What is left out with --fast: the filter that smooths the edges of a picture's blocks.
FAST = {"skip_loop_filter": "all"}

# PyAV gives libav's codes as errors of several families.
BROKEN = (av.FFmpegError, OSError, ValueError)


def open_source(path: str | os.PathLike):
    """Open a media file, or raise DecodeFailure with libav's words."""
    # "file:" and the whole path: "take:1.mp4" is a name, and not a protocol called take.
    url = f"file:{os.path.abspath(path)}"
    opening = partial(av.open, url, options={**GUARD, **(WAV if url.lower().endswith(".wav") else {})},
                      metadata_errors="replace")
    try:
        try:
            return opening(stream_options=[{"max_pixels": str(PROBED_PIXELS)}] * MOST_STREAMS)
        except ValueError as error:
            if isinstance(error, av.FFmpegError):
                raise
            # FLV, SWF and MPEG program streams tell which streams they have only while they are read: PyAV has nowhere
            # to put options for them.
            return opening()
    except BROKEN as error:
        raise DecodeFailure(_reason(error)) from error


@dataclass(frozen=True)
class Facts:
    """What a container says that does not survive a pipe of raw pictures: how its colours are meant, how many
    sound tracks it has, the channels of the first, and how long each picture lasts (by its time)."""

    colorspace: int
    color_range: int
    tracks: int
    channels: tuple[str, ...] = ()
    durations: dict[Fraction, Fraction] = field(default_factory=dict)


def read_facts(path: str, recipe: Recipe, watch: Watch, *, video: bool) -> Facts | None:
    """Read the facts without decoding anything; None where libav cannot open the file."""
    try:
        container = open_source(path)
    except DecodeFailure:
        return None
    with container:
        film, track = streams(container)
        channels = tuple(channel.name for channel in track.layout.channels) if track is not None else ()
        tracks = len(container.streams.audio)
        if film is None or not video:
            return Facts(2, 0, tracks, channels)
        _check_size(film, recipe)
        durations = {}
        for packet in _packets(container, [film]):
            watch.check()
            if packet is not None and packet.pts is not None and packet.duration:
                durations[packet.pts * packet.time_base] = packet.duration * packet.time_base
        context = film.codec_context
        return Facts(int(context.colorspace), int(context.color_range), tracks, channels, durations)


def _check_size(film, recipe: Recipe) -> None:
    width, height = film.codec_context.width, film.codec_context.height
    if width * height > recipe.max_pixels:
        raise DecodeFailure(f"its pictures are {width}×{height} px, more than {recipe.max_pixels} (--max-pixels)")


def probe(path: str) -> tuple[bool, bool]:
    """Tell whether the file has pictures and whether it has sound; (False, False) where it cannot be opened."""
    try:
        with open_source(path) as container:
            video, audio = streams(container)
            return video is not None, audio is not None
    except DecodeFailure:
        return False, False


def streams(container):
    """Return the first film and the first sound track, or None for each."""
    films = [stream for stream in container.streams.video
             if not int(stream.disposition) & ATTACHED_PICTURE and stream.codec_context is not None]
    tracks = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return (films or [None])[0], (tracks or [None])[0]


def pictures_and_sound(path: str, recipe: Recipe, *, video: bool, audio: bool, until: Fraction | None,
                       flags: list[str], watch: Watch, on_screen: OnScreen | None = None) -> Events:
    """Yield pictures and sound with their times, in one pass; stop once all is past `until`.

    `on_screen` tells which pictures are wanted; of the others, those that no picture refers to are not decoded,
    which changes no bit of the rest. Raises CannotSpare where that turns out to be no longer certain.
    """
    with open_source(path) as container:
        yield from read_container(container, recipe, video=video, audio=audio, until=until, flags=flags, watch=watch,
                                  on_screen=on_screen)


def read_container(container, recipe: Recipe, *, video: bool, audio: bool, until: Fraction | None,
                   flags: list[str], watch: Watch, facts: Facts | None = None, on_screen: OnScreen | None = None
                   ) -> Events:
    """Yield what an open container holds. `facts` are those of the source, where the container is a pipe."""
    film, track = streams(container)
    screen = _Screen(film, recipe, facts, until) if video and film is not None else None
    tape = Tape(track, recipe, until) if audio and track is not None else None
    reading = {reader.stream.index: reader for reader in (screen, tape) if reader is not None}
    if audio and (facts.tracks if facts else len(container.streams.audio)) > 1:
        flags.append("several-sound-tracks")
    packets, sparing = _packets(container, [reader.stream for reader in reading.values()]), None
    if screen is not None and on_screen is not None and film.codec_context.has_b_frames:
        sparing = Sparing(film, on_screen(film.time_base))
        packets = sparing.packets(packets)

    def damage():
        if sparing is not None:
            sparing.doubt()
        if "damaged" not in flags:
            flags.append("damaged")

    for packet in packets:
        watch.check()
        if packet is None:  # the container broke off
            damage()
            continue
        reader = reading.get(packet.stream.index)
        if reader is None:
            continue
        try:
            for frame in packet.decode():
                yield from reader.add(frame)
        except BROKEN:  # one broken packet; its neighbours may be whole
            damage()
        if reader.past:
            del reading[packet.stream.index]
            if not reading:
                break
    if tape is not None:
        try:
            yield from tape.flush()
        except BROKEN:
            damage()


def _packets(container, wanted):
    packets = container.demux(wanted) if wanted else iter(())
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except BROKEN:
            # libav cannot say where it would go on; what was read stands.
            yield None
            return


class _Screen:
    """Gives each picture of a film the time at which it comes on screen.

    That is its presentation time. AVI has none, and libav guesses wrong where B-frames are packed, but what comes
    out of the decoder at the time of a packet is on screen then.
    """

    def __init__(self, film, recipe: Recipe, facts: Facts | None, until: Fraction | None):
        _check_size(film, recipe)
        film.codec_context.thread_count = 1
        # Pictures may also grow later on; then libav refuses them.
        film.codec_context.options = {"max_pixels": str(recipe.max_pixels), **(FAST if recipe.fast else {})}
        self.stream, self.base, self.facts, self.scaler = film, film.time_base, facts, Scaler(recipe, film)
        self.stored = film.container.format.name == "avi"
        self.limit = math.inf if until is None else math.ceil((until + 1) / self.base)
        self.last: Picture | None = None

    @property
    def past(self) -> bool:
        return self.last is not None and self.last.stamp > self.limit

    def add(self, frame) -> Iterator[Picture]:
        """Take a frame; yield it with its time."""
        if self.facts is not None:
            frame.colorspace, frame.color_range = self.facts.colorspace, self.facts.color_range
        stamp, lasts = self._stamp(frame.pts, frame.dts), frame.duration
        film, base, facts = self.stream, self.base, self.facts

        def duration() -> Fraction:
            known = facts.durations.get(stamp * base) if facts else (lasts or 0) * base
            return known or (1 / film.average_rate if film.average_rate else Fraction(1, 25))
        self.last = Picture(stamp, base, duration, self.scaler.of(frame), partial(self.scaler.whole, frame))
        yield self.last

    def _stamp(self, pts: int | None, dts: int | None) -> int | Fraction:
        for stamp in (dts, pts) if self.stored else (pts, dts):
            if stamp is not None:
                return stamp
        return 0 if self.last is None else self.last.stamp + self.last.duration() / self.base


def _reason(error: BaseException) -> str:
    """Return libav's words without the path, which the message has anyway."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
