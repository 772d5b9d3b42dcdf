"""The members of a sample: film strip ↔ JPEG, sound ↔ FLAC."""

from __future__ import annotations

import io

import numpy as np

from emoprep.media.clock import strip_shape

__all__ = ["BLACK", "decode_flac", "decode_strip", "encode_flac", "encode_strip"]

QUALITY = 90
BLACK = (0, 128, 128)  # in YCbCr


def encode_strip(pictures: list[np.ndarray] | int, size: int) -> tuple[bytes, int]:
    """Return the JPEG of a film strip, and its columns.

    `pictures` are uint8 [size, size, 3] in YCbCr (quickest where a colour's values lie together); a number stands
    for as many black ones.
    """
    from PIL import Image

    frames = pictures if isinstance(pictures, int) else len(pictures)
    rows, columns = strip_shape(frames, size)
    planes = np.empty((3, columns, rows, size, size), np.uint8)
    cells = planes.reshape(3, rows * columns, size, size)
    filled = 0 if isinstance(pictures, int) else frames
    for number in range(filled):
        cells[:, number] = pictures[number].transpose(2, 0, 1)
    cells[:, filled:] = np.reshape(BLACK, (3, 1, 1, 1))
    # [3, columns, rows·size, size] → [3, rows·size, columns·size]: frames run downward, column by column.
    sheet = planes.reshape(3, columns, rows * size, size).swapaxes(1, 2).reshape(3, rows * size, columns * size)
    image = Image.merge("YCbCr", [Image.frombuffer("L", (columns * size, rows * size), plane, "raw", "L", 0, 1)
                                  for plane in sheet])
    with io.BytesIO() as buffer:
        image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0")
        return buffer.getvalue(), columns


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
