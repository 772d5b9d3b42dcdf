"""What moving pictures look like in some bytes a frame: the same after re-compression, mirrored ones found too.

A frame's hash is the signs of its 64 lowest spatial frequencies (a DCT of its brightness, as in Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions"; by sign and not by median, so that mirroring turns
known bits). In one scene before one camera, frames of different sentences have one hash: whether two clips are one is
decided by how they move.
"""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["LEAST_FRAMES", "MIRRORED", "SIDE", "STILL", "area_mean", "hash_frames", "movement", "same_movement"]

SIDE = 16
"""A frame is looked at in 16 × 16 blocks of brightness."""

LEAST_FRAMES = 10
"""Two clips must have as many frames in common: in fewer, two turns of one head in one chair are alike by chance."""

STILL = 0.7
"""A picture whose blocks stay within as many grey levels (root mean square) does not move: that is coding."""

FLAT = 2.0  # grey levels: such a picture is one colour, and its signs are noise
_LOW = 8


def area_mean(frames: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return square frames, uint8 [F, s, s], as the means of `side` × `side` blocks, float32 [F, side, side].

    >>> area_mean(np.array([[[0, 0, 9, 9]] * 4], np.uint8), 2).tolist()
    [[[0.0, 9.0], [0.0, 9.0]]]
    """
    shrink = _shares(frames.shape[1], side)
    return shrink @ frames.astype(np.float32) @ shrink.T


@functools.cache
def _shares(size: int, side: int) -> np.ndarray:
    """Return how much of each of `size` pixels is in each of `side` blocks, float32 [side, size]; rows sum to 1."""
    edges = np.linspace(0, size, side + 1)
    pixels = np.arange(size)
    shares = np.minimum(edges[1:, np.newaxis], pixels + 1) - np.maximum(edges[:-1, np.newaxis], pixels)
    return (np.maximum(shares, 0) * side / size).astype(np.float32)


@functools.cache
def _waves() -> np.ndarray:
    """Return the first nine cosines of the DCT-II over 16 places, float32 [9, 16]."""
    places, waves = np.arange(SIDE) + 0.5, np.arange(_LOW + 1)[:, np.newaxis]
    return np.cos(np.pi * waves * places / SIDE).astype(np.float32)


# All of 8 × 8 but the mean, and one more for it: (down, across).
_TAKEN = [(down, across) for down in range(_LOW) for across in range(_LOW) if down or across] + [(_LOW, 0)]

MIRRORED = np.uint64(sum(1 << (63 - bit) for bit, (_, across) in enumerate(_TAKEN) if across % 2))
"""The bits of a hash that mirroring turns."""


def hash_frames(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a hash of each frame, uint64 [F], and whether there is anything on it, bool [F].

    `blocks` are float32 [F, 16, 16]. Brightness and contrast do not change a hash.

    >>> pictures = np.random.default_rng(0).uniform(0, 255, (3, 16, 16)).astype(np.float32)
    >>> hashes, telling = hash_frames(pictures)
    >>> bool((hash_frames(pictures / 2 + 40)[0] == hashes).all()), telling.tolist()
    (True, [True, True, True])
    >>> bool((hash_frames(pictures[:, :, ::-1])[0] == hashes ^ MIRRORED).all())
    True
    """
    waves = _waves() @ blocks @ _waves().T
    low = np.stack([waves[:, down, across] for down, across in _TAKEN], axis=1)
    hashes = np.packbits(low > 0, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return hashes, blocks.std(axis=(1, 2)) > FLAT


def movement(blocks: np.ndarray) -> np.ndarray:
    """Return what is kept of each frame to compare movement by: uint8 [F, 64], 8 × 8 blocks."""
    return np.round(blocks.reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4))).clip(0, 255).astype(np.uint8).reshape(-1, 64)


def same_movement(first: np.ndarray, second: np.ndarray, mirrored: bool = False) -> tuple[float, int, int]:
    """Return how alike two clips move, −1 to 1, at which shift, and over how many frames they overlap there.

    Both are of `movement`; at shift s the first's frame i is the second's frame i − s. Likeness is the lesser of two
    correlations: of the pictures' deviations from their mean over the overlap, and of these mean pictures. It is 0
    where one of the two stands still or fewer than 10 frames, or than half of the shorter one, overlap.

    >>> walk = np.cumsum(np.random.default_rng(0).integers(-3, 4, (30, 64)), axis=0) + 120
    >>> walk = walk.astype(np.uint8)
    >>> likeness, shift, frames = same_movement(walk, walk[4:])
    >>> round(likeness, 2), shift, frames
    (1.0, 4, 26)
    >>> same_movement(walk, walk[::-1])[0] < 0.7
    True
    """
    one, other = first.astype(np.float32), second.astype(np.float32)
    if mirrored:
        other = other.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
    least = max(LEAST_FRAMES, -(-min(len(one), len(other)) // 2))
    if min(len(one), len(other)) < least:
        return 0.0, 0, 0
    shift = _best_shift(one, other, least)
    begin, stop = max(shift, 0), min(len(one), len(other) + shift)
    one, other = one[begin:stop], other[begin - shift:stop - shift]
    middle, other_middle = one.mean(axis=0), other.mean(axis=0)
    one, other = one - middle, other - other_middle
    if min(np.square(one).mean(), np.square(other).mean()) < STILL ** 2:
        return 0.0, shift, stop - begin
    still = _correlation(middle - middle.mean(), other_middle - other_middle.mean())
    return min(_correlation(one, other), still), shift, stop - begin


def _best_shift(one: np.ndarray, other: np.ndarray, least: int) -> int:
    """Return the shift at which two clips' deviations from their means are most alike."""
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    count, length = len(one), len(other)
    # Rows that are one longer than they are read move each a place on: columns are then sums along one shift.
    slanted = np.zeros((count, count + length), np.float32)
    slanted[:, :length] = one @ other[::-1].T
    common = slanted.reshape(-1)[:count * (count + length - 1)].reshape(count, -1).sum(axis=0)
    shifts = np.arange(count + length - 1) - (length - 1)
    begin, stop = np.maximum(shifts, 0), np.minimum(count, length + shifts)
    power, other_power = (np.concatenate([[0.0], np.cumsum(np.square(each).sum(axis=1), dtype=np.float64)])
                          for each in (one, other))
    size = np.sqrt((power[stop] - power[begin]) * (other_power[stop - shifts] - other_power[begin - shifts]))
    likeness = np.where(stop - begin >= least, common / np.maximum(size, 1e-9), -np.inf)
    return int(shifts[np.argmax(likeness)])


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    size = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0
