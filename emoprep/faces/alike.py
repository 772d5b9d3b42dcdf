"""How alike two cut out squares are: whether a face is still where it should be, and whether two are the same person's.

Squares are compared small, level and without their brightness and contrast, moved by a little: by the normalised
cross-correlation (Lewis, Fast Normalized Cross-Correlation, 1995).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["STILL_THERE", "likeness", "patch"]

SIDE, SHIFT = 16, 2
"""Pixels of a square that is compared, and by how many it may have moved: 16 % of the face."""

NOISE = 4
"""Shades: less contrast is none."""

STILL_THERE = 0.7
"""What is less like the face that was found before and after may be none; docs/faces.md has what other values do."""


def patch(brightness: np.ndarray) -> np.ndarray:
    """Return uint8 [16, 16] of a square, uint8 [size, size]."""
    import cv2

    return cv2.resize(brightness, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def likeness(some: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """Return how like the most similar of `others` a patch is, −1 to 1; all are uint8 [16, 16].

    >>> drawn = np.add.outer(np.arange(16) ** 2, np.arange(16)).astype(np.uint8)
    >>> round(likeness(np.roll(drawn, 2, axis=1) // 2, [drawn]), 2), likeness(np.zeros((16, 16), np.uint8), [drawn])
    (1.0, 0.0)
    """
    inner = SIDE - 2 * SHIFT
    moved = np.lib.stride_tricks.sliding_window_view(some, (inner, inner)).reshape(-1, inner * inner)
    middles = np.stack([other[SHIFT:-SHIFT, SHIFT:-SHIFT].ravel() for other in others])
    return float((_unit(moved) @ _unit(middles).T).max())


def _unit(values: np.ndarray) -> np.ndarray:
    """Return float32 [n, k] without each row's mean, of length 1, or less where there is but noise."""
    values = values.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    length = np.sqrt((values ** 2).sum(axis=1, keepdims=True))
    return values / np.maximum(length, NOISE * np.sqrt(values.shape[1], dtype=np.float32))
