"""The faces of one utterance: looked for in every few frames, followed in between, cut out of each full picture.

How it is used: `see` each picture of the strip in order, `end` when all have come, then `choose` with the sound.
What is held meanwhile, however long the utterance is: pictures until the faces in them are known, and strips as JPEG.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from emoprep.faces.alike import STILL_THERE, likeness
from emoprep.faces.crop import Cut, mouth, square
from emoprep.faces.detectors import Detect
from emoprep.faces.person import persons
from emoprep.faces.speaker import Candidate, choose, most_likely
from emoprep.faces.track import Tracks, between
from emoprep.media.encode import Strip, join_strips
from emoprep.media.whole import Whole, to_ycbcr
from emoprep.store.faces import face_rows

__all__ = ["Faces", "Follower"]

LOOK_S = 1
"""Seconds between two looks where nothing moves much; docs/faces.md has what other values cost."""

LONGEST_PX = 512
"""The longer side of the picture that is looked at; faces of 30 px in it are found, 11 % of a film's height."""

PATIENCE_S = 2
"""Seconds after which a face that was lost from sight is another one when it comes again."""

MOST_PIXELS = 20_000_000
"""Of the pictures between two looks, which wait for the next one; those that are large are looked at more often."""

CUT = 0.35
"""From one shot to another a picture changes by more than this share of its contrast."""

CANDIDATES = 3
"""So many faces, the largest of each frame, may be the speaker's and are cut out; the others' boxes are kept."""

NOISE = 8
"""Shades by which pictures without any contrast may differ."""


@dataclass(frozen=True)
class Faces:
    """What was found in an utterance.

    `strip` is the JPEG of the speaker's face (None: there is none), `boxes` its [x, y, w, h] in each frame, in px, []
    where it is not there, `rule` what chose it (`speaker.RULES`; None: nobody looked), `rows` all faces
    (`store.faces.ROW`).
    """

    strip: bytes | None = None
    boxes: list[list[float]] = field(default_factory=list)
    rule: str | None = None
    rows: np.ndarray = field(default_factory=lambda: face_rows([]))

    @property
    def mask(self) -> list[int]:
        """Return 1 for each frame that has the speaker's face."""
        return [int(bool(box)) for box in self.boxes]


class Follower:
    """Follows the faces in the pictures of one window; `single` tells that they show one person."""

    def __init__(self, detect: Detect, size: int, fps: Fraction, *, single: bool = False):
        self.detect, self.size, self.fps, self.single = detect, size, fps, single
        self.count = self.frames = 0
        self.tracks: Tracks | None = None
        # Pictures whose faces are not known yet, by frame; the last one that was looked at; the one before.
        self.held: dict[int, Whole] = {}
        self.looked: tuple[Whole, np.ndarray] | None = None
        self.before: np.ndarray | None = None
        # What was cut out between two looks, by frame and track; by track the patches of the last look.
        self.cuts: dict[tuple[int, int], Cut] = {}
        self.patches: dict[int, np.ndarray] = {}
        self.likenesses: dict[tuple[int, int], float] = {}  # by frame and track, as far as they were compared
        # (frame, track, face, found) of all; by track those that were cut out; those of them that may be chosen.
        self.rows: list[tuple[int, int, np.ndarray, bool]] = []
        self.strips: dict[int, Strip] = {}
        self.faces: dict[int, Candidate] = {}
        self.likely: list[tuple[Candidate, bytes]] = []

    # ------------------------------------------------------------------------------------------- seeing

    def see(self, whole: Whole, small: np.ndarray) -> None:
        """Take the next frame's picture; `small` is the same as uint8 [h, w, 3], its first channel its brightness."""
        frame, self.count = self.count, self.count + 1
        if self.tracks is None:
            self.tracks = Tracks(max(1, min(round(LOOK_S * self.fps), MOST_PIXELS // whole.pixels)),
                                 round(PATIENCE_S * self.fps))
        now = _coarse(small)
        cut = self.before is not None and _differ(self.before, now) > CUT
        self.before = now
        if cut:
            self._look(frame - 1)
        self.held[frame] = whole
        if cut or not self.tracks.looks or frame - self.tracks.looks[-1] >= self.tracks.longest:
            self._look(frame, cut=cut)

    def _look(self, frame: int, *, cut: bool = False) -> None:
        """Find the faces in a frame, and note and cut out those of the frames up to it."""
        if self.tracks.looks and self.tracks.looks[-1] == frame:
            return
        faces = self._find(self.held[frame])
        while not cut and (other := self._doubtful(frame, faces)) is not None:
            self._look(other)
        self.tracks.look(frame, faces, cut=cut)
        self._settle(frame)

    def _doubtful(self, frame: int, faces: np.ndarray) -> int | None:
        """Return a frame between the last look and this one, with its faces [n, 15], that must be looked at first.

        It is half-way where the two do not agree, down to the frame where a face came or went; else the one where
        a large face should be that looks least like it, if it may be none.
        """
        if not self.tracks.looks or frame - (last := self.tracks.looks[-1]) <= 1:
            return None
        if not self.tracks.agree(faces):
            return (frame + last) // 2
        least, doubtful = STILL_THERE, None
        for track, face in self.tracks.going_on(faces):
            found = self.patches[track.number], self._cut_out(frame, track.number, face).patch
            for other in range(last + 1, frame):
                there = between(track.faces[-1], face, (other - last) / (frame - last))
                like = likeness(self._cut_out(other, track.number, there).patch, found)
                self.likenesses[other, track.number] = like
                if like < least:
                    least, doubtful = like, other
        if doubtful is not None:
            self._forget()  # where the faces are will be known better
        return doubtful

    def _find(self, whole: Whole) -> np.ndarray:
        """Return the faces [n, 15] in a picture, in px of it as displayed."""
        if self.looked is None or self.looked[0] is not whole:  # a picture may be shown in many frames
            picture, factor = whole.reduced(LONGEST_PX)
            faces = self.detect(picture)
            # What is no box cannot be cut out.
            faces = faces[np.isfinite(faces).all(axis=1) & (faces[:, 2:4] >= 1).all(axis=1)]
            faces[:, :4] *= factor
            faces[:, 5:] *= factor
            faces[:, [0, *range(5, 15, 2)]] += whole.corner
            self.looked = whole, faces
        return self.looked[1]

    def _settle(self, look: int) -> None:
        """Note the faces of the frames up to the last look, and keep the largest of each frame."""
        before, self.patches = self.patches, {track: self._cut_out(look, track, face).patch
                                              for track, face, _ in self.tracks.at(look)}
        for frame in [frame for frame in self.held if frame <= look]:
            there = [one for one in self.tracks.at(frame) if self._is_there(frame, *one, before)]
            self.rows += [(frame, *one) for one in there]
            for one in sorted(there, key=lambda one: (-one[1][2] * one[1][3], one[0]))[:CANDIDATES]:
                self._keep(frame, *one)
            del self.held[frame]
        self._forget()
        going_on = {track.number for track in self.tracks.recent}
        for track, strip in self.strips.items():
            if track not in going_on:
                strip.skip_to(len(strip))  # what waits to be encoded would wait to the end

    def _is_there(self, frame: int, track: int, face: np.ndarray, found: bool, before: dict[int, np.ndarray]) -> bool:
        """Tell whether a face was found, or looks as it did in the look before or after."""
        if not found and (frame, track) not in self.likenesses:
            looks = [seen[track] for seen in (before, self.patches) if track in seen]
            self.likenesses[frame, track] = likeness(self._cut_out(frame, track, face).patch, looks)
        return found or self.likenesses[frame, track] >= STILL_THERE

    def _forget(self) -> None:
        self.cuts.clear()
        self.likenesses.clear()

    def _cut_out(self, frame: int, track: int, face: np.ndarray) -> Cut:
        """Return what is where a track's face should be, which is cut out once for both uses."""
        if (frame, track) not in self.cuts:
            matrix = square(face, self.size)
            self.cuts[frame, track] = Cut(matrix, self.held[frame].cut(matrix, self.size))
        return self.cuts[frame, track]

    def _keep(self, frame: int, track: int, face: np.ndarray, found: bool) -> None:
        cut = self._cut_out(frame, track, face)
        strip = self.strips.setdefault(track, Strip(self.size))
        if len(strip) < frame:
            strip.skip_to(frame)
        strip.append(to_ycbcr(cut.pixels))
        candidate = self.faces.setdefault(track, Candidate())
        candidate.frames.append(frame)
        candidate.tracks.append(track)
        candidate.sides.append(float(np.sqrt(face[2] * face[3])))
        candidate.mouths.append(mouth(face, cut.matrix, cut.brightness))
        if found:
            candidate.patches.append(cut.patch)

    # ------------------------------------------------------------------------------------------- ending

    def end(self, frames: int) -> None:
        """All pictures have come, of which the first `frames` are wanted: make the strips that may be chosen."""
        if self.held:
            self._look(max(self.held))
        self.looked = self.before = None
        self.frames, self.rows = frames, [row for row in self.rows if row[0] < frames]
        faces = [face for face in self.faces.values() if face.until(frames)]
        likely = most_likely(persons(faces, single=self.single), CANDIDATES)
        of_likely = {track for face in likely for track in face.tracks}
        self.faces, self.strips = {}, {track: strip for track, strip in self.strips.items() if track in of_likely}
        self.likely = [(face, self._strip(face).finish(frames)[0]) for face in likely]

    def _strip(self, face: Candidate) -> Strip:
        """Return the strip of a face that may be in several tracks."""
        strips = {track: self.strips.pop(track) for track in set(face.tracks)}
        if len(strips) == 1:
            return strips[face.track]
        whose: list[Strip | None] = [None] * self.frames
        for frame, track in zip(face.frames, face.tracks, strict=True):
            whose[frame] = strips[track]
        return join_strips(whose, self.size)

    def choose(self, samples: np.ndarray | None, sample_rate: int) -> Faces:
        """Return what was found, with the sound (int16 [n], None where there is none) to tell who speaks."""
        alone = len(self.likely) == 1 and {row[1] for row in self.rows} <= set(self.likely[0][0].tracks)
        chosen, rule = choose([face for face, _ in self.likely], alone=alone, samples=samples,
                              sample_rate=sample_rate, fps=self.fps)
        speaker, strip = (Candidate(), None) if chosen is None else self.likely[chosen]
        rows, boxes = face_rows(self.rows), [[] for _ in range(self.frames)]
        cut_out = set(zip(speaker.frames, speaker.tracks, strict=True))
        for row in rows:
            row["speaker"] = (row["frame"], row["track"]) in cut_out
            if row["speaker"]:
                boxes[row["frame"]] = [round(float(value), 2) for value in row["face"][:4]]
        return Faces(strip, boxes, rule, rows)


# --------------------------------------------------------------------------------------------- pictures

def _coarse(small: np.ndarray) -> np.ndarray:
    """Return float64 [16, 16]: the brightness of a picture, whose sides are multiples of 16, in blocks."""
    rows, columns = small.shape[0] // 16, small.shape[1] // 16
    return small[..., 0].reshape(16, rows, 16, columns).mean(axis=(1, 3))


def _differ(some: np.ndarray, other: np.ndarray) -> float:
    """Return how much two pictures differ, as a share of their contrast.

    >>> _differ(np.zeros((2, 2)), np.full((2, 2), 4.)), round(_differ(np.eye(2) * 100, np.eye(2)[::-1] * 100), 2)
    (0.5, 0.93)
    """
    return float(np.abs(some - other).mean() / (some.std() + other.std() + NOISE))
