"""Sound changed by what was drawn for it, through audiomentations, with nothing left to chance.

Each transform gets a range of one value and the probability 1. Noise, which audiomentations draws from the global
generators, is drawn after seeding them; they are put back where they were.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from emoprep.methods.augmentation import FOR_SHORT, SHORT_S

__all__ = ["change_sound"]

LOWER_EDGE_HZ, STEEPNESS_DB = 80.0, 12
"""Of the band-pass: where it begins, which leaves all voices their pitch, and how much an octave beyond it loses."""

DIRECT_DB = 6.0
"""How much louder than all of its echo the direct sound is: somebody an arm's length away in a furnished room."""

LOUDEST = 10 ** (-1 / 20)
"""−1 dB of full scale: what is made is no louder than that, unless what it is made of was."""


def change_sound(samples: np.ndarray, sample_rate: int, parameters: Mapping[str, Any],
                 length: int | None = None) -> np.ndarray:
    """Return float32 [m] in −1..1 of `samples` float32 [n]: first the voice, then room, microphone, noise and level.

    `length` is m where it is known already; without time-stretch it is n. To sound below 0.1 s only time-stretch, noise
    and gain are done.
    """
    import audiomentations as sound

    if not len(samples):
        return np.zeros(length or 0, np.float32)  # which it takes no noise for

    def wanted(name: str) -> bool:
        return name in parameters and (len(samples) >= SHORT_S * sample_rate or name in FOR_SHORT)

    made, before = samples, _peak(samples)
    if "time-stretch" in parameters:
        rate = parameters["time-stretch"]
        # Unasked it would cut or pad the sound to what it was, and so lose step with the frames.
        made = sound.TimeStretch(rate, rate, leave_length_unchanged=False, p=1)(made, sample_rate)
        made = _of_length(made, length if length is not None else round(len(samples) / rate))
    if wanted("pitch"):
        made = sound.PitchShift(parameters["pitch"], parameters["pitch"], p=1)(made, sample_rate)
    if wanted("room"):
        made = _in_room(made, sample_rate, parameters["room"], parameters["room-seed"])
    if wanted("band-pass"):
        made = _band_pass(made, sample_rate, parameters["band-pass"])
    if wanted("noise"):
        with _drawn_from(parameters["noise-seed"]):
            made = sound.AddGaussianSNR(parameters["noise"], parameters["noise"], p=1)(made, sample_rate)
    if wanted("gain"):
        made = sound.Gain(parameters["gain"], parameters["gain"], p=1)(made, sample_rate)
    limit = max(LOUDEST, before)
    return made * np.float32(limit / peak) if (peak := _peak(made)) > limit else made


def _peak(samples: np.ndarray) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _of_length(samples: np.ndarray, length: int) -> np.ndarray:
    """Return the first `length` samples, with silence where there are fewer: lengths are rounded once, by the clock."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def _in_room(samples: np.ndarray, sample_rate: int, seconds: float, seed: int) -> np.ndarray:
    """Return the sound with an echo that falls by 60 dB in `seconds`, as long and as loud (RMS) as it was.

    The echo is noise that dies away (Polack 1988), after the direct sound, which stays where it was. (Of
    audiomentations, RoomSimulator needs one more package, and ApplyImpulseResponse takes echoes from files and makes
    the sound louder or softer.)
    """
    from scipy.signal import oaconvolve

    time = np.arange(1, max(2, round(seconds * sample_rate))) / sample_rate
    echo = np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    echo *= 10 ** (-DIRECT_DB / 20) / np.sqrt(np.square(echo).sum())
    made = oaconvolve(samples, np.concatenate([[1.0], echo]))[:len(samples)]
    power = float(np.square(made).mean())
    factor = np.sqrt(float(np.square(samples, dtype=np.float64).mean()) / power) if power > 0 else 1.0
    return (made * factor).astype(np.float32)


def _band_pass(samples: np.ndarray, sample_rate: int, upper: float) -> np.ndarray:
    import audiomentations as sound

    upper = min(upper, 0.49 * sample_rate)
    middle, fraction = (upper + LOWER_EDGE_HZ) / 2, 2 * (upper - LOWER_EDGE_HZ) / (upper + LOWER_EDGE_HZ)
    # Forward and backward: a filter in one direction would delay the sound.
    return sound.BandPassFilter(middle, middle, fraction, fraction, STEEPNESS_DB, STEEPNESS_DB, zero_phase=True,
                                p=1)(samples, sample_rate)


@contextmanager
def _drawn_from(seed: int) -> Iterator[None]:
    """Let the global generators begin at `seed` inside, and go on after it as if nothing had been."""
    plain, of_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(of_numpy)
