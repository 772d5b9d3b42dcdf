"""Sound as numbers to draw and to read: its outline, peak and RMS."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["decibels", "levels", "outline"]


def outline(sound: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest value in each of `columns` equal parts of float32 [n]: two float32 [columns].

    >>> low, high = outline(np.array([0, 0.5, -0.25, 0], np.float32), 2)
    >>> low.tolist(), high.tolist()
    ([0.0, -0.25], [0.5, 0.0])
    """
    edges = np.arange(columns + 1) * len(sound) // columns
    starts = np.minimum(edges[:-1], len(sound) - 1)
    # A part that is shorter than a sample has the sample that it lies in.
    return np.minimum.reduceat(sound, starts), np.maximum.reduceat(sound, starts)


def levels(sound: np.ndarray) -> tuple[float | None, float | None]:
    """Return peak and RMS in dBFS, a full sine's RMS being −3.01; None for silence.

    >>> [round(level, 2) for level in levels(np.sin(np.arange(16000) / 8).astype(np.float32))]
    [0.0, -3.01]
    """
    return decibels(float(np.abs(sound).max())), decibels(math.sqrt(float(np.mean(sound.astype(np.float64) ** 2))))


def decibels(amplitude: float) -> float | None:
    """Return 20·log10 of an amplitude.

    >>> decibels(0.5), decibels(0.0)
    (-6.020599913279624, None)
    """
    return 20 * math.log10(amplitude) if amplitude > 0 else None
