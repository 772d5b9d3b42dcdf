"""Where the square around a face lies: level by its eyes, as large as its box and a margin."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from emoprep.faces.alike import patch

__all__ = ["Cut", "mouth", "square"]

MARGIN = 0.3
"""How much larger than the box the square is."""

LEAST_EYES = 0.1
"""Eyes nearer to each other than this share of the box are not levelled."""

MOUTH_WIDTH, MOUTH_HEIGHT = 1.4, 1.2
"""The part of a square that is looked at for the mouth's motion, as shares of the distance of its corners."""

MOUTH_PATCH = (16, 12)  # to which it is scaled: across, down


def square(face: np.ndarray, size: int) -> np.ndarray:
    """Return float64 [2, 3]: place in a square of `size` px → place in the picture, for a face [15].

    The square has the box's middle in its own, and the eyes are level in it.

    >>> face = np.array([10, 20, 60, 80, 1, 20, 40, 60, 40, 40, 60, 30, 80, 50, 80], float)
    >>> (square(face, 104) + 0.).round(6).tolist()  # of 104 px: nothing is scaled or turned
    [[1.0, 0.0, -12.0], [0.0, 1.0, 8.0]]
    """
    eye, other = face[5:7].astype(float), face[7:9].astype(float)
    across, down = other - eye
    length, longest = float(np.hypot(across, down)), float(max(face[2], face[3]))
    # The eyes of a face turned away lie nearly behind one another, and tell no direction.
    cosine, sine = (across / length, down / length) if length > LEAST_EYES * longest else (1.0, 0.0)
    scale = (1 + MARGIN) * longest / size
    turn = scale * np.array([[cosine, -sine], [sine, cosine]])
    middle = face[:2].astype(float) + face[2:4] / 2
    return np.column_stack([turn, middle - turn @ (size / 2, size / 2)])


@dataclass(frozen=True)
class Cut:
    """A square as `Whole.cut` takes it out of a picture with this `matrix`: uint8 [size · 3/2, size]."""

    matrix: np.ndarray
    pixels: np.ndarray

    @property
    def brightness(self) -> np.ndarray:
        """Return uint8 [size, size]."""
        return self.pixels[:self.pixels.shape[1]]

    @functools.cached_property
    def patch(self) -> np.ndarray:
        """Return uint8 [16, 16], to be compared."""
        return patch(self.brightness)


def mouth(face: np.ndarray, matrix: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """Return uint8 [12, 16] around the mouth, out of the uint8 [size, size] that `matrix` cut out."""
    import cv2

    size = len(brightness)
    turn = np.linalg.inv(matrix[:, :2])
    corner, other = (turn @ (face[at:at + 2] - matrix[:, 2]) for at in (11, 13))
    width = max(float(np.hypot(*(other - corner))), size / 16)
    column, row = (corner + other) / 2
    part = brightness[_within(row, MOUTH_HEIGHT * width, size), _within(column, MOUTH_WIDTH * width, size)]
    return cv2.resize(part, MOUTH_PATCH, interpolation=cv2.INTER_AREA)


def _within(middle: float, length: float, size: int) -> slice:
    """Return what lies within `length` around `middle`, at least two pixels, of `size` pixels.

    >>> _within(10, 4, 16), _within(-9, 4, 16), _within(20, 4, 16)
    (slice(8, 12, None), slice(0, 2, None), slice(14, 16, None))
    """
    begin = int(np.clip(round(middle - length / 2), 0, size - 2))
    return slice(begin, int(np.clip(round(middle + length / 2), begin + 2, size)))
