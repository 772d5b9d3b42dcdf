"""What a recording sounds like in a few hundred bytes, the same after re-encoding, another gain or a cut of some ms.

The method is that of Haitsma and Kalker (ISMIR 2002, "A highly robust audio fingerprinting system"): the power in 33
bands from 300 to 2,000 Hz, and of each pair of neighbouring bands whether their difference grows from one moment to the
next. That is a word of 32 bits a moment. Two recordings of one sound differ in few of the bits, others in half of them.
"""

from __future__ import annotations

import numpy as np

__all__ = ["HOP_S", "WINDOW_S", "bits_that_differ", "fingerprint_sound", "shift_and_error"]

HOP_S, WINDOW_S = 0.0116, 0.371
"""From one word to the next, and what each is heard over (as in the paper)."""

LOW_HZ, HIGH_HZ, BANDS = 300.0, 2000.0, 33
TAKEN_HZ = 2100.0  # what lies above is not looked at: thin sound has nothing there
QUIET = 1e-7  # of full scale's power (−70 dB): such a moment is noise of the coding
FAINT = 3e-5  # of the loudest moment's power (−45 dB)
STEADY = 2e-3  # of a moment's power: a tone that stands still has no bits but those of rounding


def fingerprint_sound(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a word for each moment, uint32 [n], and whether it says anything, bool [n].

    `samples` are float32 [m] in −1..1 at `rate` Hz. There is none where it is shorter than 0.4 s; a moment that is
    silent, far below the loudest one, or does not differ from the one before, says nothing.

    >>> noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32) / 10
    >>> words, telling = fingerprint_sound(noise, 16000)
    >>> len(words), bool(telling.all()), bool((words == fingerprint_sound(noise / 4, 16000)[0]).all())
    (54, True, True)
    >>> int(fingerprint_sound(np.zeros(16000, np.float32), 16000)[1].sum())
    0
    """
    low, low_rate = _lowered(samples, rate)
    window, hop = round(WINDOW_S * low_rate), HOP_S * low_rate
    count = int((len(low) - window) / hop) + 1
    if len(low) < window or count < 2:
        return np.empty(0, np.uint32), np.empty(0, bool)
    powers = _band_powers(low, low_rate, window, np.round(np.arange(count) * hop).astype(int))
    total = powers.sum(axis=1)
    steps = np.diff(powers[:, :-1] - powers[:, 1:], axis=0)
    words = np.packbits(steps > 0, axis=1).view(">u4")[:, 0].astype(np.uint32)
    moving = np.abs(steps).sum(axis=1) > STEADY * (total[1:] + total[:-1])
    return words, moving & (np.minimum(total[1:], total[:-1]) > max(QUIET, FAINT * float(total.max())))


def _lowered(samples: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """Return the sound at the rate that just holds TAKEN_HZ (or its own, if that is lower), and that rate."""
    from scipy import fft

    length = fft.next_fast_len(max(len(samples), 1), real=True)
    kept = int(length * TAKEN_HZ / rate)
    if kept >= length // 2:
        return np.asarray(samples, np.float32), float(rate)
    # A rate that ends at the band's end needs no filter: the rest of the spectrum is left out.
    short = fft.next_fast_len(2 * kept, real=True)
    spectrum = fft.rfft(np.asarray(samples, np.float32), length)[:short // 2 + 1]
    low = fft.irfft(spectrum, short) * np.float32(short / length)
    return low[:len(samples) * short // length], rate * short / length


def _band_powers(low: np.ndarray, rate: float, window: int, starts: np.ndarray) -> np.ndarray:
    """Return the power of each band at each moment, float64 [n, 33]; full scale is about 1."""
    from scipy import fft

    size = fft.next_fast_len(window, real=True)
    edges = np.round(np.geomspace(LOW_HZ, min(HIGH_HZ, rate * 0.48), BANDS + 1) * size / rate).astype(int)
    shape = np.hanning(window).astype(np.float32)
    powers = np.empty((len(starts), BANDS))
    for begin in range(0, len(starts), 64):  # more would not fit into the cache: three times slower at 500
        some = starts[begin:begin + 64]
        spectrum = fft.rfft(np.lib.stride_tricks.sliding_window_view(low, window)[some] * shape, size, axis=1)
        spectrum = spectrum[:, edges[0]:edges[-1]]
        powers[begin:begin + 64] = np.add.reduceat(spectrum.real ** 2 + spectrum.imag ** 2, edges[:-1] - edges[0],
                                                    axis=1)
    return powers / float(shape.sum()) ** 2


def bits_that_differ(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return in how many of their bits words differ, element by element.

    >>> bits_that_differ(np.array([0, 7], np.uint32), np.array([1, 0], np.uint32)).tolist()
    [1, 3]
    """
    return np.bitwise_count(first ^ second)


def shift_and_error(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], shift: int,
                    around: int = 1) -> tuple[float, int, int]:
    """Return the least share of bits that differ, over how many moments it was taken, and at which shift.

    `first` and `second` are fingerprints; at shift s the first's moment i is the second's moment i − s. Shifts of
    up to `around` more or less are tried. Moments that say nothing in one of the two are left out; with none left the
    share is 1.

    >>> words = np.random.default_rng(0).integers(0, 2 ** 32, 50, np.uint32)
    >>> whole, later = (words, np.ones(50, bool)), (words[7:], np.ones(43, bool))
    >>> shift_and_error(whole, later, 6)
    (0.0, 43, 7)
    """
    best = (1.0, 0, shift)
    for tried in range(shift - around, shift + around + 1):
        begin, stop = max(tried, 0), min(len(first[0]), len(second[0]) + tried)
        if begin >= stop:
            continue
        both = first[1][begin:stop] & second[1][begin - tried:stop - tried]
        told = int(both.sum())
        if told:
            wrong = bits_that_differ(first[0][begin:stop], second[0][begin - tried:stop - tried])[both].sum()
            best = min(best, (float(wrong) / (32 * told), told, tried))
    return best
