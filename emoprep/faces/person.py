"""Which tracks are one person's: a cut, a gap or a quick motion ends a track, the person may go on as another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from emoprep.faces.alike import likeness
from emoprep.faces.speaker import Candidate

__all__ = ["persons"]

SAME = 0.85
"""So alike two tracks are at best that are one person's; docs/faces.md has what other values do."""


def persons(faces: Sequence[Candidate], *, single: bool) -> list[Candidate]:
    """Return the faces, those joined that are never in one frame and look alike, the weightiest first.

    `single` tells that the pictures show one person: then all are that person's that are never in one frame.

    >>> first, second, other = Candidate([0, 1], [0, 0], [9, 9]), Candidate([2], [1], [8]), Candidate([1], [2], [5])
    >>> [(person.frames, person.tracks) for person in persons([first, second, other], single=True)]
    [([0, 1, 2], [0, 0, 1]), ([1], [2])]
    """
    found: list[list[Candidate]] = []
    for face in sorted(faces, key=lambda face: (-face.weight, face.track)):
        apart = [person for person in found if all(set(face.frames).isdisjoint(other.frames) for other in person)]
        alike = [1.0 if single else max(_likeness(face, other) for other in person) for person in apart]
        if apart and max(alike) >= SAME:
            apart[int(np.argmax(alike))].append(face)
        else:
            found.append([face])
    return [_joined(person) for person in found]


def _likeness(some: Candidate, other: Candidate) -> float:
    return max((likeness(patch, other.patches) for patch in some.patches if other.patches), default=-1.0)


def _joined(faces: Iterable[Candidate]) -> Candidate:
    """Return the frames of several faces as those of one, in order."""
    person = Candidate()
    for face in faces:
        for name, values in vars(person).items():
            values += getattr(face, name)
    order = np.argsort(person.frames)
    for name in ("frames", "tracks", "sides", "mouths"):
        values = getattr(person, name)
        setattr(person, name, [values[place] for place in order[:len(values)]])
    return person
