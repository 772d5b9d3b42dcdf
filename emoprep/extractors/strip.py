"""What the frames look like and how much moves: pooled over the utterance, or a row a picture frame.

Frames are reduced by whole pixels to 56 px or somewhat more, brightness runs from 0 to 1. Columns of a frame:

- brightness on a 16 × 16 grid
- colour (red, green, blue) on a 4 × 4 grid
- gradient of brightness on a 6 × 6 grid: how much points in each of 8 directions (after the histograms of
  oriented gradients of Dalal & Triggs 2005, with square roots in place of block norms)
- motion on an 8 × 8 grid: the mean absolute difference to the frame before, 0 in the first
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import check_pool
from emoprep.methods.projection import fit_projection

if TYPE_CHECKING:
    from emoprep.contracts import Fitted
    from emoprep.utterance import Sample

__all__ = ["NAME", "clock", "describe", "fit", "gradient_directions", "motion", "on_grid", "prepare",
           "rows_of_frames", "smaller"]

NAME = "strip"
MODALITY = "video"
HELP = "brightness, colour, edges and motion of the frames (own code, nothing to download)"
DEFAULT = True
DIM = 512
POOLS = ("mean", "none")

WORKING_PX = 56
# Frames worked on at once: so they stay in the processor's cache, and a long utterance in memory.
BLOCK_FRAMES = 16

BRIGHTNESS_GRID, COLOUR_GRID, GRADIENT_GRID, MOTION_GRID = 16, 4, 6, 8
DIRECTIONS = 8

# Rec. 601, as JPEG's own brightness.
BRIGHTNESS = (0.299, 0.587, 0.114)


# ------------------------------------------------------------------------------------------ interface

def prepare(argument: str | None, pool: str) -> dict[str, Any]:
    """Return the settings: how to pool."""
    return {"pool": check_pool(NAME, POOLS, pool)}


def clock(settings: dict[str, Any], fps: float) -> str:
    """Return "utterance", or the picture's clock for a sequence."""
    return "utterance" if settings["pool"] == "mean" else f"fps:{fps:g}"


def describe(sample: Sample, settings: dict[str, Any]) -> np.ndarray | None:
    """Return float32 [2 · columns] (means, then deviations), or [F, columns]; None without frames."""
    if sample.frames is None:
        return None
    rows = rows_of_frames(sample.frames)
    return rows if settings["pool"] == "none" else np.concatenate([rows.mean(axis=0), rows.std(axis=0)])


def fit(descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted:
    """Fit principal components to the train descriptors; nothing is drawn, so `seed` changes nothing."""
    return fit_projection(descriptors, dim or DIM)


# --------------------------------------------------------------------------------------------- frames

def rows_of_frames(frames: np.ndarray) -> np.ndarray:
    """Return float32 [F, 656] of frames uint8 [F, height, width, 3]."""
    rows, before = [], None
    for start in range(0, len(frames), BLOCK_FRAMES):
        colour = smaller(frames[start:start + BLOCK_FRAMES])
        brightness = sum(weight * plane for weight, plane in zip(BRIGHTNESS, colour, strict=True))
        parts = [on_grid(brightness, BRIGHTNESS_GRID), *(on_grid(plane, COLOUR_GRID) for plane in colour),
                 gradient_directions(brightness), motion(brightness, before)]
        rows.append(np.concatenate([part.reshape(len(brightness), -1) for part in parts], axis=1))
        before = brightness[-1:]
    return np.concatenate(rows).astype(np.float32)


def smaller(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return red, green and blue, each float32 [F, h, w] in 0 … 1, reduced by the mean of whole blocks.

    >>> frames = np.zeros((1, 112, 112, 3), np.uint8)
    >>> frames[:, :, :, 1] = 255
    >>> [(plane.shape, float(plane.max())) for plane in smaller(frames)]
    [((1, 56, 56), 0.0), ((1, 56, 56), 1.0), ((1, 56, 56), 0.0)]
    """
    count, height, width, _ = frames.shape
    factor = max(1, min(height, width) // WORKING_PX)
    tall, wide = height // factor, width // factor
    lines = frames[:, :tall * factor, :wide * factor].reshape(count, tall, factor, wide * factor * 3)
    # Adding whole lines, then strided columns, is ten times as fast as one sum over two short axes. Sixteen
    # bits hold the sum of 16 × 16 pixels; a block is larger only above 900 px.
    added = lines[:, :, 0].astype(np.uint16 if factor <= 16 else np.uint32)
    for line in range(1, factor):
        added += lines[:, :, line]
    scale = np.float32(1 / (255 * factor * factor))
    return tuple(
        sum(added[:, :, 3 * column + channel::3 * factor] for column in range(factor)) * scale
        for channel in range(3))


def on_grid(planes: np.ndarray, side: int) -> np.ndarray:
    """Return [F, side, side]: means of planes [F, h, w] over cells from ⌊i·h/side⌋ to ⌊(i + 1)·h/side⌋.

    Where a plane has fewer lines than the grid, lines are repeated.

    >>> on_grid(np.array([[[1.0, 2.0, 3.0, 5.0]] * 2]), 2).tolist()
    [[[1.5, 4.0], [1.5, 4.0]]]
    """
    for axis in (1, 2):
        edges = np.arange(side + 1) * planes.shape[axis] // side
        shape = [side if each == axis else 1 for each in range(3)]
        counts = np.maximum(np.diff(edges), 1).astype(planes.dtype).reshape(shape)
        planes = np.add.reduceat(planes, edges[:-1], axis=axis) / counts
    return planes


def gradient_directions(brightness: np.ndarray) -> np.ndarray:
    """Return [F, 6 · 6 · 8]: for each cell the root of the mean gradient in each of 8 directions.

    A direction is told by the signs of both differences and by which is larger, so no angle is computed.
    """
    count, height, width = brightness.shape
    across, down = np.zeros_like(brightness), np.zeros_like(brightness)
    across[:, :, 1:-1] = brightness[:, :, 2:] - brightness[:, :, :-2]
    down[:, 1:-1] = brightness[:, 2:] - brightness[:, :-2]
    direction = 4 * (across < 0) + 2 * (down < 0) + (np.abs(down) > np.abs(across))
    rows = np.arange(height) * GRADIENT_GRID // height
    columns = np.arange(width) * GRADIENT_GRID // width
    cell = rows[:, None] * GRADIENT_GRID + columns
    cells = GRADIENT_GRID * GRADIENT_GRID
    place = (np.arange(count)[:, None, None] * cells + cell) * DIRECTIONS + direction
    sums = np.bincount(place.ravel(), np.sqrt(across * across + down * down).ravel(),
                       count * cells * DIRECTIONS)
    pixels = np.maximum(np.bincount(cell.ravel(), minlength=cells), 1)
    return np.sqrt(sums.reshape(count, cells, DIRECTIONS) / pixels[:, None]).reshape(count, -1)


def motion(brightness: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Return [F, 8, 8]: the mean absolute change since the frame before.

    `before` [1, h, w] is what the first is compared with; without it the first has not moved.

    >>> motion(np.array([np.zeros((8, 8)), np.ones((8, 8))])).mean(axis=(1, 2)).tolist()
    [0.0, 1.0]
    """
    earlier = brightness[:1] if before is None else before
    return on_grid(np.abs(np.diff(np.concatenate([earlier, brightness]), axis=0)), MOTION_GRID)
