"""The default decoder: FFmpeg's libraries in this process, through PyAV; no ffmpeg program is needed.

One decoding thread: a process a core with one thread each beats threads (docs/performance.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from emoprep.media.decode import DecodeFailure, Events, Picture, Recipe, Sound

__all__ = ["Facts", "open_source", "pictures_and_sound", "probe", "read_container", "read_facts"]

# Runs of sound whose times disagree by more than this are laid out apart; below it, it is rounding of the
# container's clock (Matroska counts milliseconds).
GAP_S = Fraction(1, 50)

HELD_BYTES = 64 << 20
"""A file up to this size is held packet by packet to see which pictures are on screen before they are decoded."""

OnScreen = Callable[[list[Fraction]], list[bool] | None]

ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: a cover, not a film


# What may be opened. Playlists (hls, concat, dash …) are not among it: one that calls itself .mp4 would open others.
CONTAINERS = ("aac,ac3,aiff,amr,asf,au,avi,caf,dv,flac,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mp3,mpeg,mpegts,"
              "mpegvideo,mxf,nut,ogg,rm,swf,w64,wav,webm,wtv,wv")
GUARD = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}

# PyAV gives libav's codes as errors of several families.
BROKEN = (av.FFmpegError, OSError, ValueError)


def open_source(path: str):
    """Open a media file, or raise DecodeFailure with libav's words."""
    try:
        # "file:" and the whole path: "take:1.mp4" is a name, and not a protocol called take.
        return av.open(f"file:{os.path.abspath(path)}", options=GUARD, metadata_errors="replace")
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


def read_facts(path: str) -> Facts | None:
    """Read the facts without decoding anything; None where libav cannot open the file."""
    try:
        with open_source(path) as container:
            film, track = streams(container)
            channels = tuple(channel.name for channel in track.layout.channels) if track is not None else ()
            tracks = len(container.streams.audio)
            if film is None:
                return Facts(2, 0, tracks, channels)
            durations = {packet.pts * packet.time_base: packet.duration * packet.time_base
                         for packet in _packets(container, [film])
                         if packet is not None and packet.pts is not None and packet.duration}
            context = film.codec_context
            return Facts(int(context.colorspace), int(context.color_range), tracks, channels, durations)
    except DecodeFailure:
        return None


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
                       flags: list[str], on_screen: OnScreen | None = None) -> Events:
    """Yield pictures and sound with their times, in one pass; stop once all is past `until`.

    `on_screen(times)` tells which pictures are wanted; of the others, those that no picture refers to are not
    decoded, which changes no bit of the rest.
    """
    with open_source(path) as container:
        yield from read_container(container, recipe, video=video, audio=audio, until=until, flags=flags,
                                  on_screen=on_screen)


def read_container(container, recipe: Recipe, *, video: bool, audio: bool, until: Fraction | None,
                   flags: list[str], facts: Facts | None = None, on_screen: OnScreen | None = None) -> Events:
    """Yield what an open container holds. `facts` are those of the source, where the container is a pipe."""
    film, track = streams(container)
    film, track = film if video else None, track if audio else None
    wanted = [stream for stream in (film, track) if stream is not None]
    if film is not None:
        film.codec_context.thread_count = 1
    if audio and (facts.tracks if facts else len(container.streams.audio)) > 1:
        flags.append("several-sound-tracks")
    scaler, tape = _Scaler(recipe, film), _Tape(recipe)
    previous, damaged, open_streams = None, False, {stream.index for stream in wanted}
    packets = _packets(container, wanted)
    if film is not None and on_screen is not None and 0 < container.size <= HELD_BYTES:
        packets = _spared(list(packets), film, on_screen)
    for packet in packets:
        if packet is None:  # the container broke off
            damaged = True
            continue
        if packet.stream.index not in open_streams:
            continue
        try:
            frames = packet.decode()
        except BROKEN:  # one broken packet; its neighbours may be whole
            damaged = True
            continue
        for frame in frames:
            if packet.stream is track:
                yield from tape.add(frame)
            else:
                previous = _picture(frame, previous, film, scaler, facts)
                yield previous
            if until is not None and (tape.time if packet.stream is track else previous.time) > until + 1:
                open_streams.discard(packet.stream.index)
        if not open_streams:
            break
    yield from tape.flush()
    if damaged:
        flags.append("damaged")


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


def _spared(packets, film, on_screen: OnScreen):
    """Yield the packets, each after the decoder was told whether its picture is wanted.

    Pictures that others refer to are decoded all the same. A film whose packets have no times is left alone.
    """
    of_film = [packet for packet in packets if packet is not None and packet.size and packet.stream is film]
    times = sorted({packet.pts for packet in of_film if packet.pts is not None and not packet.is_discard})
    wanted = None
    if times and None not in packets and not any(packet.pts is None for packet in of_film):
        wanted = on_screen([time * film.time_base for time in times])
    spare = {time for time, there in zip(times, wanted or (), strict=False) if not there}
    context, sparing = film.codec_context, False
    for packet in packets:
        if spare and packet.stream is film and (packet.pts in spare) != sparing:
            sparing = not sparing
            context.skip_frame = "NONREF" if sparing else "DEFAULT"
        yield packet


def _picture(frame, previous, film, scaler, facts) -> Picture:
    if facts is not None:
        frame.colorspace, frame.color_range = facts.colorspace, facts.color_range
    base, pts_duration = frame.time_base or film.time_base, frame.duration
    if frame.pts is not None:
        time = frame.pts * base
    elif previous is not None:
        time = previous.time + previous.duration()  # AVI with packed B-frames has pictures without a time
    else:
        time = Fraction(0)

    def duration() -> Fraction:
        known = facts.durations.get(time) if facts else (pts_duration or 0) * base
        return known or (1 / film.average_rate if film.average_rate else Fraction(1, 25))
    return Picture(time, duration, scaler.of(frame))


class _Scaler:
    """Scales pictures straight from the film's YUV to the strip's YCbCr, without RGB on the way."""

    def __init__(self, recipe: Recipe, film):
        self.size, self.fit, self.reformatter = recipe.size, recipe.fit, VideoReformatter()
        self.pixel_aspect = (film is not None and film.sample_aspect_ratio) or 1

    def of(self, frame):
        """Return a function that scales `frame` once, when it is first wanted."""
        made = []

        def scaled() -> np.ndarray:
            if not made:
                made.append(self._scale(frame))
            return made[0]
        return scaled

    def _scale(self, frame) -> np.ndarray:
        width, height = self._fitted(frame)
        # JPEG is full-range BT.601, whatever the film is (unspecified counts as BT.601, as in ffmpeg itself).
        small = self.reformatter.reformat(frame, width, height, "yuvj444p", interpolation=Interpolation.AREA,
                                          dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG)
        picture = np.empty((height, width, 3), np.uint8)
        for channel, plane in enumerate(small.planes):
            picture[..., channel] = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, :width]
        picture = _centre(picture, self.size)
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture

    def _fitted(self, frame) -> tuple[int, int]:
        """Return the width and height to scale to, before the square is cut or filled."""
        if self.fit == "stretch":
            return self.size, self.size
        aspect = Fraction(frame.width, frame.height) * self.pixel_aspect
        wide = (aspect > 1) == (self.fit == "pad")  # does the width fill the square exactly?
        if wide:
            return self.size, max(1, round(self.size / aspect))
        return max(1, round(self.size * aspect)), self.size


def _centre(picture: np.ndarray, size: int) -> np.ndarray:
    """Cut or fill with black to a centred square."""
    if picture.shape[:2] == (size, size):
        return picture
    square = np.empty((size, size, 3), np.uint8)
    square[:] = (0, 128, 128)
    (top, height), (left, width) = ((abs(length - size) // 2, min(length, size)) for length in picture.shape[:2])
    rows, columns = slice(top, top + height), slice(left, left + width)
    whole_rows, whole_columns = slice(0, height), slice(0, width)
    tall, broad = picture.shape[0] > size, picture.shape[1] > size
    square[whole_rows if tall else rows, whole_columns if broad else columns] = \
        picture[rows if tall else whole_rows, columns if broad else whole_columns]
    return square


class _Tape:
    """Resamples sound to mono int16 and keeps each unbroken run with the time at which it begins."""

    def __init__(self, recipe: Recipe):
        self.rate, self.downmix = recipe.sample_rate, recipe.downmix
        self.resampler, self.form, self.start, self.fed, self.chunks = None, None, Fraction(0), 0, []

    @property
    def time(self) -> Fraction | None:
        """The time up to which sound was fed."""
        return None if self.form is None else self.start + Fraction(self.fed, self.form[2])

    def add(self, frame):
        """Take a frame; yield the run before it where it does not follow."""
        if self.downmix != "mix":
            frame = self._one_channel(frame)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self.form or not self._follows(frame):
            start = (self.time or Fraction(0)) if frame.pts is None else frame.pts * frame.time_base
            yield from self.flush()
            # Chunks of a second: a sound frame lasts 0.02 s, and each chunk costs a call or two.
            self.resampler = av.AudioResampler(format="s16", layout="mono", rate=self.rate, frame_size=self.rate)
            self.form, self.start, self.fed = form, start, 0
        self.fed += frame.samples
        frame.pts = None
        self.chunks += [chunk.to_ndarray()[0] for chunk in self.resampler.resample(frame)]

    def _follows(self, frame) -> bool:
        if frame.pts is None:
            return True
        base, rate = frame.time_base, self.form[2]
        # In units of 1 / (base · rate), because Fractions for each of 50 frames a second would show.
        off = (frame.pts * base.numerator * rate - self.fed * base.denominator) * self.start.denominator \
            - self.start.numerator * base.denominator * rate
        return abs(off) <= GAP_S * base.denominator * rate * self.start.denominator

    def flush(self):
        if self.resampler is not None:
            self.chunks += [chunk.to_ndarray()[0] for chunk in self.resampler.resample(None)]
            self.resampler = None
            # The resampler's filter may give a few samples more or fewer than the time it was fed.
            total = round((self.time - self.start) * self.rate)
            samples = np.concatenate(self.chunks)[:total] if self.chunks else np.empty(0, np.int16)
            self.chunks = []
            yield Sound(self.start, samples)

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


def _reason(error: BaseException) -> str:
    """Return libav's words without the path, which the message has anyway."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
