"""The actors of the demo's corpus: drawn faces and hummed voices, coloured by speaker and emotion.

The signal is weak on purpose (each emotion is mixed with the neutral manner), and nothing of it is of a real
person.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from emoprep.films import Picture

__all__ = ["MANNERS", "SPEAKERS", "Manner", "Speaker", "face", "manner_of", "voice"]


@dataclass(frozen=True)
class Speaker:
    """Voice in Hz, and colours in RGB."""

    pitch: float
    skin: tuple[int, int, int]
    room: tuple[int, int, int]


@dataclass(frozen=True)
class Manner:
    """How an emotion sounds and looks: factors of the speaker's own, rates in 1/s, shares of the face."""

    pitch: float
    swing: float
    loudness: float
    syllables: float
    dullness: float
    smile: float
    brow: float
    eyes: float
    nod: float
    light: float


SPEAKERS = {
    "Ada": Speaker(205, (236, 188, 160), (70, 90, 120)),
    "Bruno": Speaker(112, (198, 140, 104), (110, 80, 60)),
    "Cleo": Speaker(228, (150, 100, 70), (60, 110, 80)),
    "Dimitri": Speaker(98, (240, 205, 180), (95, 70, 110)),
    "Cleo’s Aunt": Speaker(180, (170, 120, 90), (120, 110, 70)),
}
MANNERS = {
    "neutral": Manner(1.00, 0.04, 0.16, 4.0, 1.5, 0.0, 0.0, 1.0, 1.0, 1.00),
    "surprise": Manner(1.45, 0.22, 0.24, 4.6, 1.2, 0.2, 0.9, 1.7, 2.5, 1.10),
    "fear": Manner(1.35, 0.14, 0.13, 6.2, 1.6, -0.4, 0.6, 1.5, 4.5, 0.70),
    "sadness": Manner(0.86, 0.03, 0.08, 2.6, 2.1, -0.8, 0.3, 0.6, 0.5, 0.75),
    "joy": Manner(1.25, 0.18, 0.24, 5.0, 1.2, 1.0, 0.4, 1.1, 3.0, 1.25),
    "disgust": Manner(0.90, 0.08, 0.15, 3.2, 1.8, -0.6, -0.5, 0.5, 1.2, 0.85),
    "anger": Manner(1.15, 0.12, 0.33, 5.4, 0.9, -0.5, -1.0, 0.9, 3.5, 0.95),
}


def manner_of(emotion: str, strength: float) -> Manner:
    """Return an emotion's manner, mixed with the neutral one: `strength` 1 is the emotion alone."""
    pairs = zip(astuple(MANNERS["neutral"]), astuple(MANNERS[emotion]), strict=True)
    return Manner(*((1 - strength) * plain + strength * marked for plain, marked in pairs))


def voice(speaker: Speaker, manner: Manner, seconds: float, rng, sample_rate: int = 48000) -> np.ndarray:
    """Hum syllables: harmonics of a moving pitch under an envelope, with breath; float32 [n] in -1..1."""
    low_rate = 16000  # speech has little above 8 kHz, and this is three times faster
    times = np.arange(int(seconds * low_rate) + 2) / low_rate
    contour = np.sin(2 * np.pi * (0.7 * times + rng.random())) - 0.3 * times
    phase = 2 * np.pi * np.cumsum(speaker.pitch * manner.pitch * (1 + manner.swing * contour)) / low_rate
    wave = sum(np.sin(harmonic * phase) / harmonic ** manner.dullness for harmonic in range(1, 13))
    envelope = 0.15 + 0.85 * np.sin(np.pi * manner.syllables * (times + rng.random())) ** 2
    breath = rng.standard_normal(len(times))
    sound = manner.loudness * envelope * (0.6 * wave + 0.05 * breath) + 0.002 * breath
    fine = np.interp(np.arange(int(seconds * sample_rate)) / sample_rate, times, sound)
    return fine.clip(-0.98, 0.98).astype(np.float32)


def face(speaker: Speaker, manner: Manner, size: tuple[int, int], rng) -> Picture:
    """Return a picture that draws a talking face: (i, t) → uint8 [height, width, 3]."""
    from PIL import Image, ImageDraw

    width, height = size
    unit = height / 2.6
    room = tuple(min(255, int(part * manner.light)) for part in speaker.room)
    place, start = width * rng.uniform(0.4, 0.6), rng.random()
    # Nobody moves twice in the same way; faces that did would pass for copies in the audit.
    rates, phases = rng.uniform(0.3, 1.9, (2, 4)), rng.random((2, 4))

    def draw(_index: int, seconds: float) -> np.ndarray:
        image = Image.new("RGB", size, room)
        pen = ImageDraw.Draw(image)
        beat = np.sin(2 * np.pi * (manner.nod * seconds / 2 + start))
        sway = 0.06 * unit * np.sin(2 * np.pi * (rates * seconds + phases)).sum(axis=1)
        x, y = place + sway[0] + 0.08 * unit * beat, height / 2 + sway[1] + 0.05 * unit * manner.nod * beat
        _oval(pen, x, y, 0.8 * unit, unit, speaker.skin)
        for side in (-1, 1):
            eye, brow = x + side * 0.32 * unit, y - (0.5 + 0.08 * manner.brow) * unit
            tilt = side * 0.1 * unit * manner.brow
            _oval(pen, eye, y - 0.25 * unit, 0.14 * unit, 0.12 * unit * manner.eyes, (250, 250, 250))
            _oval(pen, eye, y - 0.25 * unit, 0.06 * unit, 0.06 * unit, (20, 20, 20))
            pen.line((eye - 0.18 * unit, brow + tilt, eye + 0.18 * unit, brow - tilt), (40, 25, 20), 5)
        opening = 0.06 + 0.16 * np.sin(np.pi * manner.syllables * (seconds + start)) ** 2
        corner, lip = y + (0.45 - 0.15 * manner.smile) * unit, y + (0.45 + 0.12 * manner.smile) * unit
        left, right = x - 0.36 * unit, x + 0.36 * unit
        mouth = [(left, corner), (x, lip), (right, corner), (x, lip + opening * unit)]
        pen.polygon(mouth, fill=(120, 30, 40))
        return np.asarray(image)

    return draw


def _oval(pen, x, y, half_width, half_height, colour):
    pen.ellipse((x - half_width, y - half_height, x + half_width, y + half_height), fill=colour)
