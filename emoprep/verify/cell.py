"""What a frame of a strip must look like, made of a decoded picture without any of the code that made the strip.

Only brightness is compared, as JPEG has it (BT.601, full range): it is averaged over the area of each pixel of the
frame by a product of matrices, straight from the planes of the picture where these are 8-bit YUV.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

__all__ = ["Picture", "area_weights"]

# How much of red and of blue is in the brightness of a film (ITU-T H.273, table 4, by its MatrixCoefficients). What
# says nothing of itself counts as BT.601, as in ffmpeg.
BRIGHTNESS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
              9: (0.2627, 0.0593)}
BT601 = 6

PLANAR = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p")
FULL_RANGE = 2  # AVCOL_RANGE_JPEG


class Picture:
    """A decoded picture, the time at which it comes on screen, and how long the container says it stays there."""

    def __init__(self, frame: av.VideoFrame, time: Fraction, lasts: Fraction, pixel_aspect: Fraction):
        self.frame, self.time, self.lasts, self.pixel_aspect = frame, time, lasts, pixel_aspect
        self.cells: dict[str | None, np.ndarray] = {}

    def cell(self, view: str | None, size: int, fit: str) -> np.ndarray:
        """Return its brightness, or that of half of it, as a frame of the strip must have it: float32 [size, size]."""
        if view not in self.cells:
            turns = round(self.frame.rotation / 90) % 4
            planes = [(_seen(plane, turns, view, shares), weight, zero)
                      for plane, shares, weight, zero in _planes(self.frame, turns)]
            height, width = planes[0][0].shape
            across, down = _fitted(Fraction(width, height) * self.pixel_aspect, size, fit)
            small = sum(weight * (_averaged(plane, across, down) - zero) for plane, weight, zero in planes)
            self.cells[view] = np.rot90(_centred(np.clip(small, 0, 255), size), turns)
        return self.cells[view]


def _averaged(plane: np.ndarray, across: int, down: int) -> np.ndarray:
    height, width = plane.shape
    return _few(down, height) @ plane.astype(np.float32) @ area_weights(across, width).T


@lru_cache(maxsize=64)
def _few(into: int, of: int):
    """Return `area_weights` without its zeros, which are most of it: a fifth of the time for a large picture."""
    from scipy.sparse import csr_array

    return csr_array(area_weights(into, of))


def _planes(frame: av.VideoFrame, turns: int) -> Iterator[tuple[np.ndarray, int, float, int]]:
    """Yield planes whose weighted sum is full-range BT.601 brightness: (plane, shares, weight, what counts as 0).

    `shares` are the pixels, along a line as it is displayed, that share a colour sample.
    """
    if frame.format.name not in PLANAR:
        shares = 64 // (frame.format.chroma_height(64) if turns % 2 else frame.format.chroma_width(64))
        frame = frame.reformat(format="yuvj444p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG)
        yield _plane(frame, 0), shares, 1.0, 0
        return
    full = frame.format.name.startswith("yuvj") or int(frame.color_range) == FULL_RANGE
    colour = frame.planes[1]
    shares = round(frame.height / colour.height if turns % 2 else frame.width / colour.width)
    yield _plane(frame, 0), shares, 1.0 if full else 255 / 219, 0 if full else 16
    for number, weight in enumerate(_colour_weights(int(frame.colorspace)), start=1):
        if weight:
            yield _plane(frame, number), 1, weight * (1.0 if full else 255 / 224), 128


def _colour_weights(colorspace: int) -> tuple[float, float]:
    """Return how much BT.601 brightness there is in the colour planes (U, V) of another system.

    >>> [round(weight, 4) for weight in _colour_weights(1)], _colour_weights(6)
    ([0.1016, 0.1961], (0.0, 0.0))
    """
    (red, blue), (red_601, blue_601) = BRIGHTNESS.get(colorspace, BRIGHTNESS[BT601]), BRIGHTNESS[BT601]
    green, green_601 = 1 - red - blue, 1 - red_601 - blue_601
    weights = (2 * (1 - blue) * (blue_601 - green_601 * blue / green),
               2 * (1 - red) * (red_601 - green_601 * red / green))
    return tuple(weight if abs(weight) > 1e-9 else 0.0 for weight in weights)


def _plane(frame: av.VideoFrame, number: int) -> np.ndarray:
    plane = frame.planes[number]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:plane.height, :plane.width]


def _seen(plane: np.ndarray, turns: int, view: str | None, shares: int) -> np.ndarray:
    """Return the half of a plane that is displayed at one side, still as it is stored.

    A colour sample that belongs to both halves is left out of both, with its pixels.
    """
    if view is None:
        return plane
    shown = np.rot90(plane, turns)
    width, both = shown.shape[1], 2 * shares
    half = shown[:, :width // both * shares] if view == "left" else shown[:, -(-width // both) * shares:]
    return np.rot90(half, -turns)


def _fitted(aspect: Fraction, size: int, fit: str) -> tuple[int, int]:
    """Return the width and height to which a picture of this aspect is brought before it is padded or cropped.

    >>> _fitted(Fraction(16, 9), 112, "pad"), _fitted(Fraction(16, 9), 112, "crop")
    ((112, 63), (199, 112))
    """
    if fit == "stretch":
        return size, size
    if (aspect > 1) == (fit == "pad"):
        return size, max(1, round(size / aspect))
    return max(1, round(size * aspect)), size


def _centred(small: np.ndarray, size: int) -> np.ndarray:
    """Fill with black, or cut, to a square."""
    for axis in (0, 1):
        length = small.shape[axis]
        before = abs(length - size) // 2
        if length > size:
            small = small.take(range(before, before + size), axis)
        elif length < size:
            pad = [(0, 0), (0, 0)]
            pad[axis] = (before, size - length - before)
            small = np.pad(small, pad)
    return small


@lru_cache(maxsize=64)
def area_weights(into: int, of: int) -> np.ndarray:
    """Return float32 [into, of]: how much of each old pixel is in each new one; between pixels where there are fewer.

    >>> (3 * area_weights(2, 3)).round().tolist()
    [[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]
    >>> area_weights(4, 2).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    if into > of:
        at = np.clip((np.arange(into) + 0.5) * of / into - 0.5, 0, of - 1)[:, None]
        return np.clip(1 - np.abs(at - np.arange(of)), 0, None).astype(np.float32)
    edges, pixels = np.arange(into + 1)[:, None] * of / into, np.arange(of)
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return (np.clip(overlap, 0, None) * into / of).astype(np.float32)
