"""Which face is the speaker's: by size and steadiness, and by how well its mouth's motion follows the sound.

A mouth that speaks moves more where the sound is louder, and is open, so darker, around loud syllables. Of two faces
that both talk, one with the sound and one without, this names the right one in 4 of 10 stretches of 5 s, a wrong one
in 2 of 100, and none in the rest (docs/faces.md); there the larger and steadier face is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from emoprep.media.clock import frame_samples

__all__ = ["RULES", "Candidate", "choose", "follows", "loudness", "most_likely"]

RULES = ("only-face", "mouth-follows-sound", "largest", "none")

LEAST_WEIGHT = 0.5
"""A face of less than this share of the largest one's weight is in the background."""

LEAST_FRAMES = 15  # fewer say nothing

EVIDENCE, FOLLOWS = 2, 1.65
"""By so many standard deviations one mouth must follow the sound better than every other, and follow it at all."""

SMOOTH_S = Fraction(1, 2)
"""Over so many seconds brightness and loudness are averaged before they are compared."""

OPENNESS = 0.5
"""What the mouth's darkness counts beside its motion: it follows the sound less closely."""


@dataclass
class Candidate:
    """A face that may be the speaker's.

    The frames it is in, and in each the number of its track, its side (px) and mouth, uint8 [12, 16]; of those in
    which it was found also how it looks, uint8 [16, 16].
    """

    frames: list[int] = field(default_factory=list)
    tracks: list[int] = field(default_factory=list)
    sides: list[float] = field(default_factory=list)
    mouths: list[np.ndarray] = field(default_factory=list)
    patches: list[np.ndarray] = field(default_factory=list)

    def until(self, frames: int) -> bool:
        """Forget what comes after the first `frames`; tell whether anything is left."""
        kept = sum(frame < frames for frame in self.frames)
        for values in (self.frames, self.tracks, self.sides, self.mouths):
            del values[kept:]
        return kept > 0

    @property
    def track(self) -> int:
        """Return the first of its tracks."""
        return self.tracks[0]

    @property
    def weight(self) -> float:
        """Return how large it is, summed over the frames it is in: a face that comes and goes counts less."""
        return float(np.sum(self.sides))


def most_likely(faces: Sequence[Candidate], most: int) -> list[Candidate]:
    """Return the faces, at most `most` of them, that are not in the background, the weightiest first.

    >>> large, less = Candidate([0, 1], [0, 0], [80, 80]), Candidate([1], [1], [90])
    >>> small = Candidate([0, 1], [2, 2], [30, 30])
    >>> [face.track for face in most_likely([small, less, large], 3)]
    [0, 1]
    """
    ordered = sorted(faces, key=lambda face: (-face.weight, face.track))
    return [face for face in ordered[:most] if face.weight >= LEAST_WEIGHT * ordered[0].weight]


def choose(likely: Sequence[Candidate], *, alone: bool, samples: np.ndarray | None, sample_rate: int, fps: Fraction
           ) -> tuple[int | None, str]:
    """Return which of the likely faces is the speaker's, and the rule that said so (one of `RULES`).

    `alone` tells that no one else's face was found in the utterance, not even in the background.
    """
    if not likely:
        return None, "none"
    if alone:
        return 0, "only-face"
    if samples is None or len(likely) == 1:
        return 0, "largest"
    scores = [follows(face, samples, sample_rate, fps) for face in likely]
    best = int(np.argmax(scores))
    frames = min(len(face.frames) for face in likely)
    ahead = scores[best] - max(score for number, score in enumerate(scores) if number != best)
    # Fisher's z is of variance 1 / (n − 3), the difference of two of twice that.
    if (frames >= LEAST_FRAMES and ahead * np.sqrt((frames - 3) / 2) > EVIDENCE
            and scores[best] * np.sqrt(frames - 3) > FOLLOWS):
        return best, "mouth-follows-sound"
    return 0, "largest"


def follows(face: Candidate, samples: np.ndarray, sample_rate: int, fps: Fraction) -> float:
    """Return how well a mouth follows the sound: Fisher's z of the correlations of its motion with the loudness, and
    of its darkness with that in decibels."""
    loud = loudness(samples, sample_rate, fps, face.frames)
    mouths = np.asarray(face.mouths, float)
    motion = np.abs(np.diff(mouths, axis=0, prepend=mouths[:1])).mean(axis=(1, 2))
    # From one shot to another it is no motion of the mouth.
    together = (np.diff(face.frames, prepend=face.frames[0]) == 1) & (np.diff(face.tracks, prepend=face.track) == 0)
    window = max(1, round(SMOOTH_S * fps))
    darkness, decibels = _smooth(-mouths.mean(axis=(1, 2)), window), _smooth(np.log10(loud + 1e-3), window)
    return _z(motion[together], loud[together]) + OPENNESS * _z(darkness, decibels)


def loudness(samples: np.ndarray, sample_rate: int, fps: Fraction, frames: Sequence[int]) -> np.ndarray:
    """Return float64 [n]: the root mean square of the samples (int16) that each frame covers, full scale is 1.

    >>> loudness(np.array([0, 0, 16384, -16384], np.int16), 4, Fraction(2), [0, 1]).tolist()
    [0.0, 0.5]
    """
    covered = (samples[slice(*frame_samples(frame, fps, sample_rate, len(samples)))] for frame in frames)
    return np.array([np.sqrt(np.mean((part / 32768) ** 2)) if len(part) else 0 for part in covered])


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Return the running mean, at the ends over what there is.

    >>> _smooth(np.array([0., 3., 6., 9.]), 3).tolist()
    [1.5, 3.0, 6.0, 7.5]
    """
    sums = np.concatenate([[0], np.cumsum(values)])
    middle = np.arange(len(values))
    begin = (middle - window // 2).clip(0)
    end = (middle - window // 2 + window).clip(None, len(values))
    return (sums[end] - sums[begin]) / (end - begin)


def _z(some: np.ndarray, others: np.ndarray) -> float:
    """Return Fisher's z of the correlation; 0 where one of them does not vary, or there are none.

    >>> round(_z(np.array([1., 2., 3.]), np.array([1., 2., 2.])), 2), _z(np.ones(3), np.arange(3.))
    (1.32, 0.0)
    """
    if not len(some):
        return 0.0
    some, others = some - some.mean(), others - others.mean()
    both = float(np.sqrt((some ** 2).sum() * (others ** 2).sum()))
    return float(np.arctanh(np.clip((some * others).sum() / both, -.99, .99))) if both > 1e-9 else 0.0
