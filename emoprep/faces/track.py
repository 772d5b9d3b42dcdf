"""Faces followed by overlap: looked for in some of the frames; in between they move straight.

A track is one face in one shot. It goes on with the face that overlaps with it most where it was seen last.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from emoprep.faces.boxes import overlaps

__all__ = ["Track", "Tracks", "between"]

LEAST_OVERLAP = 0.25

STILL = 0.4
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

    def at(self, frame: int, before: int, after: int) -> tuple[np.ndarray, bool] | None:
        """Return the face in a frame, and whether it was found there; None where it is not there.

        `before` and `after` are the looks around the frame, or both the frame itself. Between two looks that both found
        it, it moves straight; from one that did to one that did not it stays half the way.

        >>> track = Track(0, [4, 8], [np.zeros(15), np.full(15, 8.)])
        >>> [int(track.at(frame, 4, 8)[0][0]) for frame in (5, 6, 7)], track.at(8, 8, 8)[1]
        ([2, 4, 6], True)
        >>> int(track.at(9, 8, 12)[0][0]), track.at(10, 8, 12), track.at(12, 12, 12)
        (8, None, None)
        """
        place = bisect.bisect_left(self.frames, frame)
        if place < len(self.frames) and self.frames[place] == frame:
            return self.faces[place], True
        earlier = bool(place) and self.frames[place - 1] == before
        later = place < len(self.frames) and self.frames[place] == after
        if earlier and later:
            return between(self.faces[place - 1], self.faces[place], (frame - before) / (after - before)), False
        if earlier and frame - before < after - frame:
            return self.faces[place - 1], False
        if later and after - frame < frame - before:
            return self.faces[place], False
        return None


def between(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Return the face float32 [15] that has come this share of the way."""
    return before * np.float32(1 - share) + after * np.float32(share)


class Tracks:
    """The faces of an utterance, as far as it was looked at.

    Between two looks there are at most `longest` frames; a face that was lost goes on within `patience` frames.
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
        self.recent = [track for track in self.recent if track.frames[-1] >= frame - self.patience]

    def agree(self, faces: np.ndarray) -> bool:
        """Tell whether the faces [n, 15] of the next look are those of the last one and are still about there.

        Small ones, beside the largest, are not asked.
        """
        before = np.reshape([track.faces[-1] for track in self._last], (-1, 15))
        highest = max([*before[:, 3], *faces[:, 3]], default=0)
        shared = np.pad(overlaps(before, faces), ((0, 1), (0, 1)))
        return all(shared[asked[:, 3] >= LARGE * highest].max(axis=1).min(initial=1) >= STILL
                   for asked, shared in ((before, shared[:-1]), (faces, shared.T[:-1])))

    def going_on(self, faces: np.ndarray) -> Iterator[tuple[Track, np.ndarray]]:
        """Yield each large face [15] of the last look, as its track, with what it goes on as in the next one."""
        last = self._last
        highest = max((track.faces[-1][3] for track in last), default=0)
        for number, track in _pairs(last, faces).items():
            if last[track].faces[-1][3] >= LARGE * highest:
                yield last[track], faces[number]

    @property
    def _last(self) -> list[Track]:
        """Return the tracks that were found in the last look."""
        return [track for track in self.recent if track.frames[-1] == self.looks[-1]]

    def at(self, frame: int) -> Iterator[tuple[int, np.ndarray, bool]]:
        """Yield (track, face, found) of each face in a frame that was looked at or is between two looks."""
        before = self.looks[bisect.bisect_right(self.looks, frame) - 1]
        after = self.looks[bisect.bisect_left(self.looks, frame)]
        for track in self.recent:
            if (at := track.at(frame, before, after)) is not None:
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
