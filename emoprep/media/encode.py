"""The members of a sample: film strip ↔ JPEG, sound ↔ FLAC."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from emoprep.media.clock import strip_shape

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["BLACK", "Strip", "decode_flac", "decode_strip", "encode_flac", "join_strips"]

QUALITY = 90
BLACK = (0, 128, 128)  # in YCbCr
BLOCK = 16  # px a side of what 4:2:0 encodes together

# Markers of JPEG: sides of the picture, and start of scan.
SOF, SOS = 0xC0, 0xDA


class Strip:
    """A film strip in the making, of which only the JPEG of its pictures is held.

    Pictures are encoded some at a time, and each of their rows of blocks on its own, between restart markers
    (ITU-T T.81, B.2.1 and E.2.4). These pieces depend on nothing before them, so that in the end, when the number of
    columns is known, they only have to be put in order.
    """

    def __init__(self, size: int):
        self.size, self.frames, self.head = size, 0, b""
        self.at_once = max(1, min(MOST_AT_ONCE, BYTES_AT_ONCE // (3 * size * size)))
        self.waiting: list[np.ndarray] = []
        self.scans: list[tuple[int, bytes]] = []  # how many frames, and their pieces

    def __len__(self) -> int:
        return self.frames

    def append(self, picture: np.ndarray) -> None:
        """Take the next picture, uint8 [size, size, 3] in YCbCr (quickest where a colour's values lie together)."""
        self.frames += 1
        self.waiting.append(picture)
        if len(self.waiting) == self.at_once:
            self._encode()

    def extend(self, frames: np.ndarray) -> None:
        """Take the next pictures, uint8 [n, size, size, 3] in RGB; they are encoded now."""
        from PIL import Image

        self._encode()
        for begin in range(0, len(frames), self.at_once):
            some = frames[begin:begin + self.at_once]
            self.head, scan = _encoded(Image.fromarray(some.reshape(-1, self.size, 3)))
            self.scans.append((len(some), scan))
        self.frames += len(frames)

    def skip_to(self, frame: int) -> None:
        """Leave all pictures before this one black that have not come; those that have are encoded now."""
        self._encode()
        self.scans += [(1, _black(self.size)[1])] * (frame - self.frames)
        self.frames = max(frame, self.frames)

    def finish(self, frames: int) -> tuple[bytes, int]:
        """Return the JPEG of the first `frames` pictures, and its columns; what is missing is black."""
        rows, columns = strip_shape(frames, self.size)
        self._encode()
        each = self.size // BLOCK
        if (columns, frames) == (1, self.frames) and all(count * each % 8 == 0 for count, _ in self.scans[:-1]):
            words = _between([scan for _, scan in self.scans], [RESTARTS[7]])  # in order, and their markers too
        else:
            pieces = [piece for _, scan in self.scans for piece in RESTART.split(scan)][:frames * each]
            pieces += RESTART.split(_black(self.size)[1]) * (rows * columns - len(pieces) // each)
            # Frames run downward, column by column; a picture is stored row by row.
            ordered = [pieces[(column * rows + row) * each + line]
                       for row in range(rows) for line in range(each) for column in range(columns)]
            words = _between(ordered, RESTARTS)
        head = _resized(self.head or _black(self.size)[0], columns * self.size, rows * self.size)
        return b"".join([head, *words, END]), columns  # at once: each step on the way would hold as much again

    def _encode(self) -> None:
        if self.waiting:
            self.head, scan = _scan(self.waiting)
            self.scans.append((len(self.waiting), scan))
            self.waiting.clear()


def join_strips(whose: Sequence[Strip | None], size: int) -> Strip:
    """Return a strip with each frame of the strip that is named for it, as it is encoded there; None: black."""
    each, pieces, ordered, joined = size // BLOCK, {}, [], Strip(size)
    for strip in {id(strip): strip for strip in whose if strip is not None}.values():
        strip.skip_to(len(whose))
        pieces[id(strip)] = [piece for _, scan in strip.scans for piece in RESTART.split(scan)]
        joined.head = strip.head
    black = RESTART.split(_black(size)[1])
    for frame, strip in enumerate(whose):
        ordered += black if strip is None else pieces[id(strip)][frame * each:(frame + 1) * each]
    joined.frames, joined.scans = len(whose), [(len(whose), b"".join(_between(ordered, RESTARTS)))]
    return joined


MOST_AT_ONCE, BYTES_AT_ONCE = 64, 2 ** 21
"""How many pictures are encoded together: each time costs a little, and larger heaps do not fit into the cache."""

# Restart markers go round from 0 to 7. Within a scan, FF is followed by 00 unless it begins a marker.
RESTARTS = [bytes((0xFF, 0xD0 + number)) for number in range(8)]
RESTART = re.compile(b"\xff[\xd0-\xd7]")
END = b"\xff\xd9"


@functools.cache
def _black(size: int) -> tuple[bytes, bytes]:
    return _scan([np.broadcast_to(np.array(BLACK, np.uint8), (size, size, 3))])


def _scan(pictures: Sequence[np.ndarray]) -> tuple[bytes, bytes]:
    """Return head and scan of the JPEG of pictures, uint8 [size, size, 3] in YCbCr, one piece a row of blocks."""
    from PIL import Image

    count, size = len(pictures), len(pictures[0])
    planes = np.empty((3, count, size, size), np.uint8)
    for number, picture in enumerate(pictures):
        planes[:, number] = picture.transpose(2, 0, 1)
    return _encoded(Image.merge("YCbCr", [Image.frombuffer("L", (size, count * size), plane, "raw", "L", 0, 1)
                                          for plane in planes]))


def _encoded(image: Image.Image) -> tuple[bytes, bytes]:
    """Return head and scan of a picture's JPEG."""
    with io.BytesIO() as buffer:
        image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0", restart_marker_rows=1)
        jpeg = buffer.getvalue()
    start = _scan_start(jpeg)
    return jpeg[:start], jpeg[start:-len(END)]


def _between(pieces: Sequence[bytes], markers: Sequence[bytes]) -> Iterator[bytes]:
    """Yield pieces, and the markers in turn between them.

    >>> b"".join(_between([b"a", b"b", b"c", b"d"], [b"0", b"1"]))
    b'a0b1c0d'
    """
    for number, piece in enumerate(pieces):
        if number:
            yield markers[(number - 1) % len(markers)]
        yield piece


def _segments(jpeg: bytes) -> Iterator[tuple[int, int]]:
    """Yield the code and the place of each marker of a JPEG's head, up to the one that the scan follows."""
    at = 2  # SOI has no length
    while True:
        code = jpeg[at + 1]
        yield code, at
        if code == SOS:
            return
        at += 2 + int.from_bytes(jpeg[at + 2:at + 4])


def _scan_start(jpeg: bytes) -> int:
    at = next(at for code, at in _segments(jpeg) if code == SOS)
    return at + 2 + int.from_bytes(jpeg[at + 2:at + 4])


def _resized(head: bytes, width: int, height: int) -> bytes:
    """Return the head of a JPEG with other sides."""
    at = next(at for code, at in _segments(head) if code == SOF) + 5  # marker, length, bits a sample
    return head[:at] + height.to_bytes(2) + width.to_bytes(2) + head[at + 4:]


def decode_strip(jpeg: bytes, size: int, frames: int) -> np.ndarray:
    """Return the frames of a film strip as uint8 [F, size, size, 3] in RGB."""
    from PIL import Image

    # The strip of a long utterance is larger than Pillow's guard against bombs allows; its size is checked below,
    # before anything is decoded.
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        rows, columns = strip_shape(frames, size)
        if image.size != (columns * size, rows * size):
            raise ValueError(f"the strip is {image.size[0]}×{image.size[1]} px, not {columns * size}×{rows * size}")
        img = np.asarray(image.convert("RGB"))
    return img.reshape(img.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)[:frames]


def encode_flac(samples: np.ndarray, sample_rate: int) -> bytes:
    """Return int16 [n] as FLAC."""
    import soundfile

    with io.BytesIO() as buffer:
        soundfile.write(buffer, samples, sample_rate, subtype="PCM_16", format="FLAC")
        return buffer.getvalue()


def decode_flac(flac: bytes) -> tuple[np.ndarray, int]:
    """Return the samples as float32 [n] in −1..1, and their rate in Hz."""
    import soundfile

    return soundfile.read(io.BytesIO(flac), dtype="float32")
