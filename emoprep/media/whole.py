"""A picture at its full size, for whoever looks closer than a strip does: reduced, or a part of it cut out.

Places are pixels of the picture as displayed: upright, and widened until its pixels are square. (0, 0) is the
corner of the top left pixel, (½, ½) its middle.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from emoprep.media.encode import BLACK

__all__ = ["Whole", "to_ycbcr"]

# Formats whose planes are taken as they are; all others are converted as a whole first, which costs more.
PLANAR = ("yuv420p", "yuvj420p")

# libav's codes of colour spaces that a JPEG's is: not said, BT.470BG, SMPTE 170M (BT.601 under other names).
JPEG_COLOURS = (2, 5, 6)

FILM_BLACK = (16, 128, 128)


class Whole:
    """A picture, or the half of one that is wanted.

    `turns` are quarter turns against the clock before display. `corner` is where the half begins, from the left of
    the displayed picture: places are told in the whole of it, and what is beyond the half is never seen.
    """

    def __init__(self, frame: av.VideoFrame, turns: int = 0, pixel_aspect: Fraction | int = 1, corner: float = 0.0):
        self.frame, self.turns, self.aspect, self.corner = frame, turns, float(pixel_aspect), corner

    @property
    def width(self) -> float:
        """Return the width as displayed."""
        return float(self.frame.height) if self.turns % 2 else self.frame.width * self.aspect

    @property
    def height(self) -> float:
        """Return the height as displayed."""
        return self.frame.width * self.aspect if self.turns % 2 else float(self.frame.height)

    def view(self, fit: str) -> list[float]:
        """Return [x, y, w, h]: what of the displayed picture a frame of the strip shows, fitted into it as `fit` says.

        With `pad` it is more than there is.
        """
        across, down = self.width, self.height
        if fit != "stretch":
            across = down = max(across, down) if fit == "pad" else min(across, down)
        return [self.corner + (self.width - across) / 2, (self.height - down) / 2, across, down]

    @property
    def pixels(self) -> int:
        """Return how many pixels are held."""
        return self.frame.width * self.frame.height

    def reduced(self, longest: int) -> tuple[np.ndarray, float]:
        """Return uint8 [h, w, 3] in RGB with no side above `longest`, and how many displayed pixels one of it is.

        It is never enlarged. Its left side is `corner`.
        """
        width, height = self.frame.width * self.aspect, self.frame.height
        factor = max(1.0, max(width, height) / longest)
        small = _reformatter("reduce").reformat(
            self.frame, max(1, round(width / factor)), max(1, round(height / factor)), "rgb24",
            interpolation=Interpolation.AREA, threads=1)
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), self.turns)), factor

    def cut(self, matrix: np.ndarray, size: int) -> np.ndarray:
        """Return the square that `matrix` takes out, uint8 [size · 3/2, size]: YCbCr of a JPEG at 4:2:0.

        `matrix` float64 [2, 3] gives for a place in the square that in the displayed picture. What lies beyond the
        picture is black.
        """
        planes, black, done = self._planes
        stored = self._to_stored @ np.vstack([matrix, (0, 0, 1)])
        rows = [_warp(planes[0], stored, size, black[0])]
        for plane, shade in zip(planes[1:], black[1:], strict=True):
            # A colour sample stands for 2 × 2 places, in the film and in the square: only the shift is halved.
            half = stored * ((1, 1, .5), (1, 1, .5))
            rows.append(_warp(plane, half, size // 2, shade).reshape(-1, size))
        square = np.concatenate(rows)
        return square if done else self._in_jpeg_colours(square)

    @functools.cached_property
    def _planes(self) -> tuple[list[np.ndarray], tuple[int, int, int], bool]:
        """Return the film's three planes, what is black in them, and whether they have a JPEG's colours."""
        frame, black = self.frame, BLACK
        done = frame.format.name not in PLANAR
        if done:
            frame = _reformatter("convert").reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU601,
                                                     dst_color_range=ColorRange.JPEG, threads=1)
        elif frame.format.name == "yuvj420p" or frame.color_range == ColorRange.JPEG:
            done = frame.colorspace in JPEG_COLOURS
        else:
            black = FILM_BLACK
        return [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:plane.height, :plane.width]
                for plane in frame.planes], black, done

    @property
    def _to_stored(self) -> np.ndarray:
        """Return float64 [2, 3]: displayed place → place in the stored picture."""
        width, height = self.frame.width * self.aspect, self.frame.height
        upright = np.array({0: ((1, 0, 0), (0, 1, 0)), 1: ((0, -1, width), (1, 0, 0)),
                            2: ((-1, 0, width), (0, -1, height)), 3: ((0, 1, 0), (-1, 0, height))}[self.turns], float)
        upright[:, 2] -= upright[:, 0] * self.corner
        upright[0] /= self.aspect
        return upright

    def _in_jpeg_colours(self, square: np.ndarray) -> np.ndarray:
        small = av.VideoFrame.from_ndarray(square, format=self.frame.format.name)
        small.colorspace, small.color_range = self.frame.colorspace, self.frame.color_range
        return _reformatter("colours").reformat(small, format="yuv420p", dst_colorspace=Colorspace.ITU601,
                                                dst_color_range=ColorRange.JPEG, threads=1).to_ndarray()


@functools.cache
def _reformatter(purpose: str) -> VideoReformatter:
    # One for each purpose: another size or format makes all tables anew.
    return VideoReformatter()


def _warp(plane: np.ndarray, matrix: np.ndarray, size: int, black: int) -> np.ndarray:
    """Return uint8 [size, size] of a plane uint8 [h, w]; `matrix` [2, 3] gives the place in it of each place.

    Where several pixels fall into one they are averaged first: bilinear interpolation alone would leave some out.
    """
    import cv2

    (a, b, x), (c, d, y) = matrix.tolist()  # numpy would take longer over six numbers than OpenCV over the picture
    step = max(1, round(math.sqrt(abs(a * d - b * c))))
    left, right = _touched(x, a * size, b * size, step, plane.shape[1])
    top, bottom = _touched(y, c * size, d * size, step, plane.shape[0])
    if right <= left or bottom <= top:
        return np.full((size, size), black, np.uint8)
    part = plane[top:bottom, left:right]
    if step > 1:
        part = cv2.resize(part, ((right - left) // step, (bottom - top) // step), interpolation=cv2.INTER_AREA)
    # Pixel i of an array has its middle at i + ½.
    moved = np.array([(a / step, b / step, (x - left + (a + b) / 2) / step - .5),
                      (c / step, d / step, (y - top + (c + d) / 2) / step - .5)])
    return cv2.warpAffine(part, moved, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_CONSTANT, borderValue=black)


def _touched(begin: float, across: float, down: float, step: int, length: int) -> tuple[int, int]:
    """Return which of `length` pixels a square touches that begins somewhere and extends `across` and `down`.

    A little more, and of a length that `step` divides.

    >>> _touched(10.5, 20, 0, 2, 100), _touched(10.5, 20, -10, 2, 100), _touched(-50, 20, 0, 2, 100)
    ((6, 34), (0, 34), (0, -26))
    """
    first = max(0, math.floor(begin + min(0, across) + min(0, down)) - 2 * step)
    last = min(length, math.ceil(begin + max(0, across) + max(0, down)) + 2 * step)
    return first, last - (last - first) % step


def to_ycbcr(square: np.ndarray) -> np.ndarray:
    """Return uint8 [size, size, 3] of a square at 4:2:0, uint8 [size · 3/2, size].

    >>> to_ycbcr(np.arange(6, dtype=np.uint8).reshape(3, 2)).tolist()
    [[[0, 4, 5], [1, 4, 5]], [[2, 4, 5], [3, 4, 5]]]
    """
    size = square.shape[1]
    colours = square[size:].reshape(2, size // 2, size // 2).repeat(2, axis=1).repeat(2, axis=2)
    return np.stack([square[:size], *colours], axis=-1)
