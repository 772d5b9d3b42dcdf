"""Makes small films with known content: for `emoprep demo`, the tests and the benchmarks.

A film is written with PyAV alone (no ffmpeg program), and the same arguments give the same bytes: one thread,
bit-exact encoders and containers, no dates. Beside the writer stand pictures and sounds that a machine can
recognise again after coding and scaling: `numbered` and `read_number`, `timecode` and `read_timecode`, `tone` and
`loudest_hz`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from emoprep.errors import EmoprepError

__all__ = ["CINEMA", "LAYOUTS", "film_length", "in_channel", "loudest_hz", "numbered", "read_colour",
           "read_number", "read_timecode", "timecode", "tone", "write_film"]

CINEMA = Fraction(24000, 1001)
"""Pictures a second of nearly all of MELD's clips."""

LAYOUTS = {"mono": ("FC",), "stereo": ("FL", "FR"), "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR")}
"""Channel layouts by name, with their channels in the order of FFmpeg."""

_CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".avi": "avi", ".mkv": "matroska", ".flac": "flac",
               ".wav": "wav"}
_SOUND_CODECS = {".avi": "pcm_s16le", ".flac": "flac", ".wav": "pcm_s16le"}
_BITS = 8
_GRID = 4  # blocks a side of a time code
_UNCLEAR = 48  # grey levels around the middle that are neither black nor white

Picture = Callable[[int, float], np.ndarray]


# ------------------------------------------------------------------------------------------------ writing

def write_film(path: Path, *, seconds: float | Fraction, size: tuple[int, int] = (320, 180),
               fps: Fraction | int = CINEMA, picture: Picture | None = None,
               sound: np.ndarray | None = None, sound_start: float | Fraction = 0, sample_rate: int = 48000,
               layout: str = "stereo", codec: str = "libx264", preset: str = "ultrafast", crf: int = 23,
               bit_rate: int | None = None, gop: int = 48, bframes: int = 0) -> Fraction:
    """Write a film and return its exact length in seconds; the ending names the container.

    `picture(i, t)` draws picture i, shown from t = i/fps seconds on, as uint8 [height, width, 3] in RGB; None
    makes a file of sound only. `size` is (width, height) in pixels, both even. There are
    round(seconds · fps) pictures, at least one. `sound` is float32 [channels, n] in -1..1, cut (never
    lengthened) to `seconds`; None makes a film without a sound stream. `sound_start` delays the sound. The
    sound codec follows the container: AAC in mp4, mov and mkv, PCM in avi and wav, FLAC in flac. `crf` is
    libx264's quality, unless `bit_rate` (bit/s) asks for a rate. `gop` is the greatest distance of key
    frames and `bframes` the greatest number of B-frames in a row.
    """
    path = Path(path)
    _check(path, size, picture, sound, layout)
    draft = path.with_name(f".{path.name}.draft")
    options = {"fflags": "+bitexact"}
    fps = Fraction(fps)
    try:
        with av.open(str(draft), "w", format=_CONTAINERS[path.suffix], options=options) as film:
            tracks = []
            if picture is not None:
                stream = film.add_stream(codec, rate=fps, options=_coding(codec, preset, crf, bit_rate))
                stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, bframes
                if bit_rate:
                    stream.bit_rate = bit_rate
                tracks.append(_Pictures(stream, picture, size, fps, film_length(seconds, fps)))
            if sound is not None:
                sound_codec = _SOUND_CODECS.get(path.suffix, "aac")
                stream = film.add_stream(sound_codec, rate=sample_rate, layout=layout)
                tracks.append(_Sound(stream, sound[:, :round(seconds * sample_rate)], sound_start))
            _encode(film, tracks)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return tracks[0].length


def film_length(seconds: float | Fraction, fps: Fraction) -> int:
    """Return how many pictures a film of `seconds` has.

    >>> film_length(0.084, CINEMA), film_length(2, CINEMA), film_length(0, CINEMA)
    (2, 48, 1)
    """
    return max(1, round(seconds * fps))


def _check(path, size, picture, sound, layout):
    if path.suffix not in _CONTAINERS:
        raise EmoprepError("a film's name must end in a known way", where=str(path),
                           expected=", ".join(_CONTAINERS), got=path.suffix or "no ending")
    if picture is None and sound is None:
        raise EmoprepError("a film needs a picture or a sound", where=str(path))
    if picture is not None and (size[0] % 2 or size[1] % 2):
        # 4:2:0 halves both sides of the colour planes.
        raise EmoprepError("width and height must be even", where=str(path), got=f"{size[0]}×{size[1]}")
    if layout not in LAYOUTS:
        raise EmoprepError("this channel layout is not known", where=str(path), expected=" or ".join(LAYOUTS),
                           got=layout)
    if sound is not None and (sound.ndim != 2 or sound.shape[0] != len(LAYOUTS[layout])):
        raise EmoprepError(f"this sound does not fit the layout {layout}", where=str(path),
                           expected=f"[{len(LAYOUTS[layout])}, n]", got=str(list(sound.shape)))


def _coding(codec, preset, crf, bit_rate):
    if codec != "libx264":
        return {}
    return {"preset": preset} if bit_rate else {"preset": preset, "crf": str(crf)}


def _encode(film, tracks):
    """Encode the tracks a second at a time, so that the file is interleaved as real ones are."""
    for track in tracks:
        track.stream.codec_context.flags |= Flags.bitexact
    for second in range(1, 2 + int(max(track.start + track.length for track in tracks))):
        for track in tracks:
            for frame in track.frames(second):
                film.mux(track.stream.encode(frame))
    for track in tracks:
        film.mux(track.stream.encode(None))


class _Pictures:
    """The pictures of a film on their way to the encoder."""

    start = 0

    def __init__(self, stream, picture, size, fps, count):
        self.stream, self.picture, self.fps, self.count, self.done = stream, picture, fps, count, 0
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        # Threads would change the bytes with the number of cores.
        stream.codec_context.thread_count, stream.codec_context.time_base = 1, 1 / fps

    @property
    def length(self) -> Fraction:
        return self.count / self.fps

    def frames(self, until: int) -> Iterator[av.VideoFrame]:
        """Draw what begins before `until` seconds and was not drawn yet."""
        while self.done < self.count and self.done / self.fps < until:
            image = np.ascontiguousarray(self.picture(self.done, float(self.done / self.fps)), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = self.done, 1 / self.fps
            self.done += 1
            yield frame


class _Sound:
    """The sound of a film on its way to the encoder."""

    def __init__(self, stream, sound, start):
        self.stream, self.sound, self.start, self.done = stream, sound, start, 0
        self.rate, self.layout = stream.sample_rate, stream.layout.name

    @property
    def length(self) -> Fraction:
        return Fraction(self.sound.shape[1], self.rate)

    def frames(self, until: int) -> Iterator[av.AudioFrame]:
        """Cut what is heard before `until` seconds and was not cut yet."""
        first = round(self.start * self.rate)
        end = min(self.sound.shape[1], until * self.rate - first)
        if end > self.done:
            planes = np.ascontiguousarray(self.sound[:, self.done:end], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=self.layout)
            frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
            frame.pts = first + self.done
            self.done = end
            yield frame


# --------------------------------------------------------------------------- pictures and sounds to recognise

def numbered(colour: tuple[int, int, int], size: tuple[int, int] = (320, 180)) -> Picture:
    """Return a picture of one colour whose lower quarter spells its number in black and white blocks.

    There are eight blocks, the lowest bit at the left, so that numbers repeat after 256 pictures (10.7 s).

    >>> numbered((200, 40, 40))(5, 0.2)[170, ::40, 0]
    array([255,   0, 255,   0,   0,   0,   0,   0], dtype=uint8)
    """
    width, height = size
    blank = np.empty((height, width, 3), np.uint8)
    blank[:] = colour
    edges = np.linspace(0, width, _BITS + 1).astype(int)

    def draw(index: int, _seconds: float) -> np.ndarray:
        image = blank.copy()
        for bit in range(_BITS):
            image[height * 3 // 4:, edges[bit]:edges[bit + 1]] = 255 * (index >> bit & 1)
        return image

    return draw


def read_number(image: np.ndarray) -> int:
    """Return the number that a picture of `numbered` spells, at any size: uint8 [height, width, 3].

    >>> read_number(numbered((10, 90, 200))(93, 0.0))
    93
    """
    height, width = image.shape[:2]
    row = image[height * 7 // 8].astype(float).mean(axis=-1)
    centres = ((np.arange(_BITS) + 0.5) * width / _BITS).astype(int)
    return int(sum(1 << bit for bit, value in enumerate(row[centres]) if value > 127))


def timecode(size: tuple[int, int] = (64, 64)) -> Picture:
    """Return a picture that spells its number in 4 × 4 black and white blocks, for films of up to 65,536 pictures.

    The lowest bit is at the upper left, and bits run along the rows. Sides that are multiples of 64 px keep each block
    on the macroblocks of a codec.

    >>> timecode()(0b1000_0000_0000_0011, 0.0)[::16, ::16, 0].tolist()
    [[255, 255, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 255]]
    """
    width, height = size
    row, column = np.arange(height) * _GRID // height, np.arange(width) * _GRID // width
    bits = row[:, np.newaxis] * _GRID + column

    def draw(index: int, _seconds: float) -> np.ndarray:
        return np.repeat(((index >> bits & 1) * 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)

    return draw


def read_timecode(images: np.ndarray) -> np.ndarray:
    """Return the numbers that pictures of `timecode` spell, at any size: uint8 [..., height, width, 3] → int64 [...].

    Raises ValueError where a block is neither black nor white: such a picture is mixed of two.

    >>> read_timecode(np.stack([timecode()(number, 0.0)[::4, ::4] for number in (0, 51966, 65535)])).tolist()
    [0, 51966, 65535]
    """
    height, width = images.shape[-3:-1]
    # The middle half of each block, because its border may take something from the neighbours.
    rows, columns = ([slice((4 * number + 1) * side // (4 * _GRID), -(-(4 * number + 3) * side // (4 * _GRID)))
                      for number in range(_GRID)] for side in (height, width))
    grey = np.stack([images[..., down, across, :].mean(axis=(-3, -2, -1)) for down in rows for across in columns], -1)
    if (np.abs(grey - 127.5) < _UNCLEAR).any():
        raise ValueError("a block of the time code is neither black nor white")
    return (grey > 127.5) @ (1 << np.arange(_GRID * _GRID))


def read_colour(image: np.ndarray) -> tuple[int, int, int]:
    """Return the mean colour of a picture's upper half, uint8 [height, width, 3] → RGB.

    >>> read_colour(numbered((10, 90, 200))(93, 0.0))
    (10, 90, 200)
    """
    return tuple(round(value) for value in image[:image.shape[0] // 2].mean(axis=(0, 1)).tolist())


def tone(hz: float, seconds: float | Fraction, sample_rate: int = 48000,
         amplitude: float = 0.3) -> np.ndarray:
    """Return a sine, float32 [n].

    >>> tone(250, 1, sample_rate=1000, amplitude=0.5)[:4].round(3).tolist()
    [0.0, 0.5, 0.0, -0.5]
    """
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def in_channel(sound: np.ndarray, layout: str, channel: str) -> np.ndarray:
    """Return [channels, n] with `sound`, [n], in one channel and silence in all others.

    >>> in_channel(tone(440, 0.1), "5.1", "FC").any(axis=1).tolist()
    [False, False, True, False, False, False]
    """
    planes = np.zeros((len(LAYOUTS[layout]), len(sound)), np.float32)
    planes[LAYOUTS[layout].index(channel)] = sound
    return planes


def loudest_hz(sound: np.ndarray, sample_rate: int) -> float:
    """Return the frequency with most energy in `sound`, [n], within ±0.5 Hz of a pure tone's.

    >>> round(loudest_hz(tone(440, 1.0), 48000))
    440
    """
    length = max(2 * sample_rate, len(sound))
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), length))
    return float(np.argmax(spectrum) * sample_rate / length)
