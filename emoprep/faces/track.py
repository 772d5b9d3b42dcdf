"""Faces followed by overlap: looked for in some of the frames; in between they move straight.

A track is one face in one shot. It goes on with the face that overlaps with it most where it was seen last.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from emoprep.faces.boxes import overlaps

__all__ = ["Track", "Tracks"]

LEAST_OVERLAP = 0.25

STILL = 0.6
"""A face that has moved little overlaps by this much with where it was; what it did in between need not be seen."""

LARGE = 0.5
"""A large face is at least this share of the largest one's height."""


@dataclass
class Track:
    """One face: the frames in which it was found, and the rows float32 [15] there."""

    number: int
    frames: list[int] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)

    def add(self, frame: int, face: np.ndarray) -> None:
        """Take the face that was found in a later frame."""
        self.frames.append(frame)
        self.faces.append(face)

    def at(self, frame: int, before: int, after: int, longest: int) -> tuple[np.ndarray, bool] | None:
        """Return the face in a frame, and whether it was found there; None where it is not there.

        `before` and `after` are the looks around the frame. It moves straight between two frames that it was found in,
        unless they are more than `longest` apart; from there to a look that it was not found in it stays half the way.

        >>> track = Track(0, [4, 8], [np.zeros(15), np.full(15, 8.)])
        >>> [int(track.at(frame, 4, 8, longest=4)[0][0]) for frame in (4, 6, 8)], track.at(8, 8, 8, longest=4)[1]
        ([0, 4, 8], True)
        >>> int(track.at(9, 8, 12, longest=4)[0][0]), track.at(10, 8, 12, longest=4)
        (8, None)
        """
        place = bisect.bisect_left(self.frames, frame)
        if place < len(self.frames) and self.frames[place] == frame:
            return self.faces[place], True
        earlier = self.frames[place - 1] if place else None
        later = self.frames[place] if place < len(self.frames) else None
        if earlier is not None and later is not None and later - earlier <= longest:
            share = np.float32((frame - earlier) / (later - earlier))
            return self.faces[place - 1] * (1 - share) + self.faces[place] * share, False
        if earlier == before and frame - before < after - frame:
            return self.faces[place - 1], False
        if later == after and after - frame < frame - before:
            return self.faces[place], False
        return None


class Tracks:
    """The faces of an utterance, as far as it was looked at.

    Between two looks there are at most `longest` frames; a face that was not found goes on within `patience` frames.
    """

    def __init__(self, longest: int, patience: int):
        self.longest, self.patience, self.count = longest, max(longest, patience), 0
        self.recent: list[Track] = []
        self.looks: list[int] = []

    def look(self, frame: int, faces: np.ndarray, *, cut: bool = False) -> None:
        """Take the faces [n, 15] found in a frame; after a `cut` none of them is one that was there before."""
        if cut:
            self.recent, self.looks = [], []
        going_on = [track for track in self.recent if track.frames[-1] >= frame - self.patience]
        pairs = _pairs(going_on, faces)
        for number, face in enumerate(faces):
            if number in pairs:
                going_on[pairs[number]].add(frame, face)
            else:
                self.recent.append(Track(self.count))
                self.recent[-1].add(frame, face)
                self.count += 1
        self.looks.append(frame)
        # `at` is asked of frames up to twice `longest` ago, which a face may have been found half an interval before.
        self.recent = [track for track in self.recent if track.frames[-1] >= frame - self.patience - 3 * self.longest]

    def agree(self, faces: np.ndarray) -> bool:
        """Tell whether the faces [n, 15] of the next look are those of the last one and are still about there.

        Small ones, beside the largest, are not asked.
        """
        before = np.reshape([track.faces[-1] for track in self.recent if track.frames[-1] == self.looks[-1]], (-1, 15))
        highest = max([*before[:, 3], *faces[:, 3]], default=0)
        shared = np.pad(overlaps(before, faces), ((0, 1), (0, 1)))
        return all(shared[asked[:, 3] >= LARGE * highest].max(axis=1).min(initial=1) >= STILL
                   for asked, shared in ((before, shared[:-1]), (faces, shared.T[:-1])))

    def at(self, frame: int) -> Iterator[tuple[int, np.ndarray, bool]]:
        """Yield (track, face, found) of each face in a frame between two looks."""
        before = self.looks[bisect.bisect_right(self.looks, frame) - 1]
        after = self.looks[bisect.bisect_left(self.looks, frame)]
        for track in self.recent:
            if (at := track.at(frame, before, after, self.longest)) is not None:
                yield track.number, *at


def _pairs(tracks: list[Track], faces: np.ndarray) -> dict[int, int]:
    """Return for faces [n, 15] the tracks that go on with them, those that overlap most first; numbers of both."""
    shared = overlaps(np.reshape([track.faces[-1] for track in tracks], (-1, 15)), faces)
    pairs: dict[int, int] = {}
    while shared.size and shared.max() >= LEAST_OVERLAP:
        track, face = (int(number) for number in np.unravel_index(shared.argmax(), shared.shape))
        pairs[face] = track
        shared[track], shared[:, face] = 0, 0
    return pairs
