"""The one clock, on exact rationals: which picture is frame i, and which samples belong to it.

With utterance length D seconds: F = max(1, ⌊D·fps + ½⌋) frames and max(1, ⌊D·rate + ½⌋) samples; frame i is
the picture on screen at (i + ½)/fps.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

__all__ = ["frame_count", "frame_samples", "sample_count", "strip_shape"]

HALF = Fraction(1, 2)
MAX_STRIP_PX = 65_500  # libjpeg's limit for one side of a picture


def frame_count(seconds: Fraction, fps: Fraction) -> int:
    """Return the frames of an utterance of `seconds`.

    >>> frame_count(Fraction(3), Fraction(10)), frame_count(Fraction(1, 100), Fraction(10))
    (30, 1)
    """
    return max(1, floor(seconds * fps + HALF))


def sample_count(seconds: Fraction, sample_rate: int) -> int:
    """Return the samples of an utterance of `seconds`.

    >>> sample_count(Fraction(1, 3), 16000)
    5333
    """
    return max(1, floor(seconds * sample_rate + HALF))


def frame_samples(index: int, fps: Fraction, sample_rate: int, samples: int) -> tuple[int, int]:
    """Return the samples [start, stop) that frame `index` covers, as far as there are any.

    >>> frame_samples(1, Fraction(10), 16000, 2000)
    (1600, 2000)
    """
    start, stop = (floor(Fraction(i * sample_rate) / fps) for i in (index, index + 1))
    return min(start, samples), min(stop, samples)


def strip_shape(frames: int, size: int) -> tuple[int, int]:
    """Return (rows, columns) of the film strip: one column, or as many as keep it below 65,500 px.

    >>> strip_shape(30, 112), strip_shape(1000, 112)
    ((30, 1), (500, 2))
    """
    columns = ceil(frames / (MAX_STRIP_PX // size))
    return ceil(frames / columns), columns
