"""Boxes x, y, w, h: how far they overlap, and which of many over one face is kept."""

from __future__ import annotations

import numpy as np

__all__ = ["overlaps", "suppress"]


def overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return float64 [m, n], the shared area over that of both together, of boxes [m, 4] and [n, 4].

    >>> overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 2, 2], [5, 5, 1, 1]])).round(2).tolist()
    [[0.33, 0.0]]
    """
    some, others = np.asarray(some, float)[:, None, :4], np.asarray(others, float)[None, :, :4]
    begin = np.maximum(some[..., :2], others[..., :2])
    end = np.minimum(some[..., :2] + some[..., 2:], others[..., :2] + others[..., 2:])
    shared = (end - begin).clip(0).prod(axis=-1)
    both = some[..., 2:].prod(axis=-1) + others[..., 2:].prod(axis=-1) - shared
    return np.divide(shared, both, out=np.zeros_like(shared), where=both > 0)


def suppress(faces: np.ndarray, most: float) -> np.ndarray:
    """Return the faces [n, 15] best first, without those that overlap with a better one by more than `most`.

    >>> faces = np.zeros((3, 15)); faces[:, :5] = [[0, 0, 9, 9, .8], [0, 0, 9, 8, .9], [20, 0, 9, 9, .7]]
    >>> suppress(faces, 0.4)[:, 4].tolist()
    [0.9, 0.7]
    """
    faces = faces[np.argsort(-faces[:, 4], kind="stable")]
    kept: list[int] = []
    shared = overlaps(faces, faces)
    for number in range(len(faces)):
        if not kept or shared[number, kept].max() <= most:
            kept.append(number)
    return faces[kept]
