"""The members of a sample: film strip ↔ JPEG, sound ↔ FLAC."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from emoprep.media.clock import strip_shape

__all__ = ["BLACK", "Strip", "decode_flac", "decode_strip", "encode_flac", "encode_strip"]

QUALITY = 90
BLACK = (0, 128, 128)  # in YCbCr
BLOCK = 16  # px a side of what 4:2:0 encodes together
AT_ONCE = 16  # pictures that are encoded together: each time costs a little

# Markers of JPEG: sides of the picture, and start of scan.
SOF, SOS = 0xC0, 0xDA


class Strip:
    """A film strip in the making, of which only the JPEG of its pictures is held.

    Pictures are encoded a few at a time, and each of their rows of blocks on its own, between restart markers
    (ITU-T T.81, B.2.1 and E.2.4). These pieces depend on nothing before them, so that in the end, when the number of
    columns is known, they only have to be put in order.
    """

    def __init__(self, size: int):
        self.size, self.frames, self.head = size, 0, b""
        self.waiting: list[np.ndarray] = []
        self.pieces: list[bytes] = []  # size / 16 for each frame

    def __len__(self) -> int:
        return self.frames

    def append(self, picture: np.ndarray) -> None:
        """Take the next picture, uint8 [size, size, 3] in YCbCr (quickest where a colour's values lie together)."""
        self.frames += 1
        self.waiting.append(picture)
        if len(self.waiting) == AT_ONCE:
            self._encode()

    def skip_to(self, frame: int) -> None:
        """Leave all pictures before this one black that have not come; those that have are encoded now."""
        self._encode()
        head, black = _black(self.size)
        self.head = self.head or head
        self.pieces += black * (frame - self.frames)
        self.frames = max(frame, self.frames)

    def finish(self, frames: int) -> tuple[bytes, int]:
        """Return the JPEG of the first `frames` pictures, and its columns; what is missing is black."""
        rows, columns = strip_shape(frames, self.size)
        self._encode()
        each, cells = self.size // BLOCK, rows * columns
        pieces = self.pieces[:frames * each]
        if len(pieces) < cells * each:
            head, black = _black(self.size)
            self.head = self.head or head
            pieces += black * (cells - len(pieces) // each)
        # Frames run downward, column by column; a picture is stored row by row.
        ordered = (pieces[(column * rows + row) * each + line]
                   for row in range(rows) for line in range(each) for column in range(columns))
        marked = (piece for place, piece in enumerate(ordered) for piece in (RESTARTS[place % 8], piece))
        next(marked)  # a restart marker stands between two pieces, and before the first is none
        return b"".join([_resized(self.head, columns * self.size, rows * self.size), *marked, END]), columns

    def _encode(self) -> None:
        if self.waiting:
            self.head, pieces = _scan(self.waiting)
            self.pieces += pieces
            self.waiting.clear()


# The markers go round; the first one stands before the second piece.
RESTARTS = [bytes((0xFF, 0xD0 + (number - 1) % 8)) for number in range(8)]
END = b"\xff\xd9"


@functools.cache
def _black(size: int) -> tuple[bytes, list[bytes]]:
    return _scan([np.broadcast_to(np.array(BLACK, np.uint8), (size, size, 3))])


def _scan(pictures: Sequence[np.ndarray]) -> tuple[bytes, list[bytes]]:
    """Return the head of the JPEG of pictures, uint8 [size, size, 3] in YCbCr, and its pieces, one a row of blocks."""
    from PIL import Image

    count, size = len(pictures), len(pictures[0])
    planes = np.empty((3, count, size, size), np.uint8)
    for number, picture in enumerate(pictures):
        planes[:, number] = picture.transpose(2, 0, 1)
    image = Image.merge("YCbCr", [Image.frombuffer("L", (size, count * size), plane, "raw", "L", 0, 1)
                                  for plane in planes])
    with io.BytesIO() as buffer:
        image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0", restart_marker_rows=1)
        jpeg = buffer.getvalue()
    start = _scan_start(jpeg)
    # Within a scan, FF is followed by 00 unless it begins a marker.
    return jpeg[:start], re.split(b"\xff[\xd0-\xd7]", jpeg[start:-len(END)])


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


def encode_strip(pictures: Iterable[np.ndarray], size: int, frames: int | None = None) -> tuple[bytes, int]:
    """Return the JPEG of a film strip, and its columns.

    `pictures` are uint8 [size, size, 3] in YCbCr; where they are fewer than `frames`, black ones follow.
    """
    strip = Strip(size)
    for picture in pictures:
        strip.append(picture)
    return strip.finish(len(strip) if frames is None else frames)


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
