"""Cepstra, energy, pitch and voicing of the sound: functionals over the utterance, or a row a picture frame.

Everything is own numpy and scipy.fft code: importing librosa takes longer (0.6 s and more) than describing
several hundred utterances here. The mel filters, cepstra and deltas agree with librosa's, and a test holds
them to it.

The sound is looked at 100 times a second: row r stands for the 25 ms around the time (r + ½)/100. Columns:

- 32 mel cepstral coefficients (Davis & Mermelstein 1980; HTK's mel scale, 40 bands from 20 Hz to half the
  sample rate, 8 kHz at most), their deltas and the deltas of those (HTK's regression over ±2 rows)
- log energy and its delta
- zero crossings per sample
- pitch in semitones above 150 Hz, carried on in a line over unvoiced rows, and its delta
- voiced (1 or 0) and the strength of voicing (0 … 1)
- spectral centroid in mel bands
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import check_pool
from emoprep.methods.projection import fit_projection, one_blas_thread

if TYPE_CHECKING:
    from emoprep.contracts import Fitted
    from emoprep.utterance import Sample

__all__ = ["NAME", "cepstra", "clock", "deltas", "describe", "fit", "frame_means", "functionals",
           "mel_filters", "pitch", "prepare", "rows_of_sound"]

NAME = "mfcc"
MODALITY = "audio"
HELP = "cepstra, energy, pitch and voicing (own code, nothing to download)"
DEFAULT = True
DIM = 100
POOLS = ("mean", "none")

ROWS_PER_SECOND = 100
WINDOW_SECONDS = 0.025
# Rows worked on at once: so they stay in the processor's cache, and an hour of sound in memory.
BLOCK_ROWS = 64

BANDS, COEFFICIENTS = 40, 32
LOWEST_HZ, HIGHEST_HZ = 20.0, 8000.0

# Power of the rounding of 16-bit sound, about: what is fainter than this tells of the file, not the voice.
FLOOR = np.float32(1e-10)

# Voices in emotional speech lie within; 40 ms hold 2.4 periods of the lowest.
LOWEST_PITCH, HIGHEST_PITCH = 60.0, 500.0
PITCH_SECONDS = 0.04
PITCH_RATE = 4000
MIDDLE_PITCH = 150.0

# Autocorrelation from which a row counts as voiced; white noise stays below in 99 of 100 rows.
VOICED = np.float32(0.5)
# A shorter period is believed if its peak comes this near to the highest one, lest an octave be lost.
NEAR_HIGHEST = np.float32(0.9)

PERCENTILES = (5, 50, 95)


# ------------------------------------------------------------------------------------------ interface

def prepare(argument: str | None, pool: str) -> dict[str, Any]:
    """Return the settings: how to pool."""
    return {"pool": check_pool(NAME, POOLS, pool)}


def clock(settings: dict[str, Any], fps: float) -> str:
    """Return "utterance", or the picture's clock for a sequence."""
    return "utterance" if settings["pool"] == "mean" else f"fps:{fps:g}"


def describe(sample: Sample, settings: dict[str, Any]) -> np.ndarray | None:
    """Return float32 [functionals], or [frames, columns] with pool "none"; None without sound."""
    if sample.samples is None:
        return None
    rows = rows_of_sound(sample.samples, sample.sample_rate)
    if settings["pool"] == "mean":
        return functionals(rows)
    frames = None if sample.frames is None else len(sample.frames)
    return frame_means(rows, len(sample.samples), sample.sample_rate, sample.fps, frames)


def fit(descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted:
    """Fit principal components to the train descriptors; nothing is drawn, so `seed` changes nothing."""
    return fit_projection(descriptors, dim or DIM)


# -------------------------------------------------------------------------------- over the whole time

def functionals(rows: np.ndarray) -> np.ndarray:
    """Return each column's mean, deviation, 5 %, 50 % and 95 % quantiles, and slope per second.

    >>> rows = np.arange(5, dtype=np.float32)[:, None]
    >>> [round(float(value), 2) for value in functionals(rows)]
    [2.0, 1.41, 0.2, 2.0, 3.8, 100.0]
    """
    mean = rows.mean(axis=0)
    centred = rows - mean
    # numpy.percentile takes ten times as long as sorting whole columns that lie together in memory.
    ordered = np.sort(rows.T.copy(), axis=1)
    quantiles = []
    for percent in PERCENTILES:
        place = percent / 100 * (len(rows) - 1)
        below = int(place)
        above = min(below + 1, len(rows) - 1)
        quantiles.append(ordered[:, below] + (ordered[:, above] - ordered[:, below]) * (place - below))
    seconds = (np.arange(len(rows), dtype=np.float32) - (len(rows) - 1) / 2) / ROWS_PER_SECOND
    slope = (seconds[:, None] * centred).sum(axis=0) / max(float(np.square(seconds).sum()), 1e-12)
    return np.concatenate([mean, rows.std(axis=0), *quantiles, slope]).astype(np.float32)


def frame_means(rows: np.ndarray, samples: int, sample_rate: int, fps: float,
                frames: int | None = None) -> np.ndarray:
    """Return float32 [F, columns]: for each picture frame the mean of the rows whose centre it covers.

    Frame i covers the samples ⌊i·sr/fps⌋ to ⌊(i + 1)·sr/fps⌋. F is `frames`, the length of the picture,
    where the utterance has one; else max(1, ⌊D·fps + ½⌋) with D = samples/sr. A frame that covers no
    centre (it lies beyond the sound, or is shorter than a row) takes the nearest row.

    >>> rows = np.arange(25, dtype=np.float32)[:, None]
    >>> frame_means(rows, 4000, 16000, 10.0)[:, 0].tolist()
    [4.5, 14.5, 22.0]
    """
    # A float such as 23.976023976… stands for 24000/1001, and products below are to be exact.
    rate = Fraction(fps).limit_denominator(1_000_000)
    if frames is None:
        frames = max(1, int(Fraction(samples, sample_rate) * rate + Fraction(1, 2)))
    edges = [int(frame * sample_rate / rate) for frame in range(frames + 1)]
    found = np.searchsorted(_centres(len(rows), sample_rate), edges)
    first = np.minimum(found[:-1], len(rows) - 1)
    last = np.maximum(found[1:], first + 1)
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    return ((sums[last] - sums[first]) / (last - first)[:, None]).astype(np.float32)


# -------------------------------------------------------------------------------------- rows of sound

def rows_of_sound(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return float32 [R, columns] at 100 rows a second, R = max(1, ⌊100·n/sr + ½⌋); never NaN."""
    count = max(1, (2 * ROWS_PER_SECOND * len(samples) + sample_rate) // (2 * sample_rate))
    centres = _centres(count, sample_rate)
    # A constant offset is no voice.
    sound = samples.astype(np.float32)
    sound -= sound.mean() if len(sound) else 0
    windows = _windows(sound, centres[-1], max(2, round(WINDOW_SECONDS * sample_rate)))
    with one_blas_thread():
        hertz, strength = pitch(sound, sample_rate, centres)
        blocks = [_block(windows[centres[start:start + BLOCK_ROWS]], sample_rate)
                  for start in range(0, count, BLOCK_ROWS)]
    coefficients, energy, others = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    semitones = _carried_on(hertz)[:, None]
    change = deltas(coefficients)
    return np.concatenate([
        coefficients, change, deltas(change), energy, deltas(energy), semitones, deltas(semitones),
        (hertz > 0)[:, None], strength[:, None], others,
    ], axis=1).astype(np.float32, copy=False)


def _block(pieces: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cepstra [R, 32], log energy [R, 1], and centroid and zero crossings [R, 2] of pieces [R, n]."""
    coefficients, centroid = cepstra(pieces, sample_rate)
    energy = np.log(np.einsum("ij,ij->i", pieces, pieces) / pieces.shape[1] + FLOOR)
    negative = np.signbit(pieces)
    crossings = (negative[:, 1:] != negative[:, :-1]).mean(axis=1, dtype=np.float32)
    return coefficients, energy[:, None], np.stack([centroid, crossings], axis=1)


def cepstra(pieces: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cepstral coefficients [R, 32] and the spectral centroid in mel bands [R] of pieces [R, n]."""
    from scipy import fft

    width = pieces.shape[1]
    size = 1 << (width - 1).bit_length()
    spectrum = fft.rfft(pieces * _hamming(width), size)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = power @ mel_filters(sample_rate, size).T + FLOOR
    coefficients = fft.dct(np.log(bands), norm="ortho")[:, :COEFFICIENTS]
    return coefficients, (bands * np.arange(BANDS, dtype=np.float32)).sum(axis=1) / bands.sum(axis=1)


@functools.cache
def mel_filters(sample_rate: int, size: int) -> np.ndarray:
    """Return float32 [40, size // 2 + 1]: triangles of height 1, evenly spaced on HTK's mel scale."""
    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    highest = min(HIGHEST_HZ, sample_rate / 2)
    corners = 700 * (10 ** (np.linspace(mel(LOWEST_HZ), mel(highest), BANDS + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * (sample_rate / size)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    slopes = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    return np.maximum(slopes, 0).astype(np.float32)


def deltas(rows: np.ndarray) -> np.ndarray:
    """Return the slope of each column over ±2 rows (the HTK book, equation 5.16), ends repeated.

    >>> deltas(np.arange(6, dtype=np.float32)[:, None] ** 2)[:, 0].tolist()[2:4]
    [4.0, 6.0]
    """
    padded = np.concatenate([rows[:1], rows[:1], rows, rows[-1:], rows[-1:]])
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) * np.float32(0.1)


def pitch(sound: np.ndarray, sample_rate: int, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pitch in Hz [R], 0 where unvoiced, and the strength of voicing [R] in 0 … 1, around `centres`.

    Autocorrelation over 40 ms divided by the window's own (Boersma 1993, equation 9), of the sound at about
    4 kHz; the period is the shortest among the peaks near the highest, between samples by a parabola.
    """
    step = max(1, sample_rate // PITCH_RATE)
    slower = sound[:len(sound) // step * step].reshape(-1, step) @ np.full(step, 1 / step, np.float32)
    at = centres // step
    windows = _windows(slower, at[-1], max(4, round(PITCH_SECONDS * sample_rate / step)))
    periods, strengths = zip(*(_periods(windows[at[start:start + BLOCK_ROWS]], sample_rate / step)
                               for start in range(0, len(at), BLOCK_ROWS)), strict=True)
    period, strength = np.concatenate(periods), np.concatenate(strengths)
    return np.where(strength > VOICED, sample_rate / step / period, 0).astype(np.float32), strength


def _periods(pieces: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeliest period in samples [R], and the autocorrelation there [R], 0 without a peak."""
    from scipy import fft

    window = pieces.shape[1]
    shortest, longest = max(2, int(rate / HIGHEST_PITCH)), int(rate / LOWEST_PITCH) + 1
    pieces = (pieces - pieces.mean(axis=1, keepdims=True)) * _hann(window)
    size = 1 << (window + longest).bit_length()
    spectrum = fft.rfft(pieces, size)
    likeness = fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), size)[:, :longest + 2]
    heard = likeness[:, :1] > FLOOR * window
    likeness = likeness / np.where(heard, likeness[:, :1], 1) / _hann_likeness(window, size)[:longest + 2]

    # Peaks inside the range only: at its edges the curve may still be rising.
    inner = likeness[:, shortest:longest + 1]
    left, right = likeness[:, shortest - 1:longest], likeness[:, shortest + 1:longest + 2]
    tilt, bend = left - right, left - 2 * inner + right
    shift = 0.5 * tilt / np.where(bend < 0, bend, -1)
    peaks = np.where((inner > left) & (inner >= right) & heard, inner - 0.25 * tilt * shift, 0)
    chosen = (peaks >= NEAR_HIGHEST * peaks.max(axis=1, keepdims=True)).argmax(axis=1)
    at = np.arange(len(peaks)), chosen
    return chosen + shortest + shift[at], np.clip(peaks[at], 0, 1)


# ---------------------------------------------------------------------------------------------- parts

def _centres(count: int, sample_rate: int) -> np.ndarray:
    """Return the sample at the centre of each row, ⌊(r + ½)·sr/100⌋.

    >>> _centres(3, 16000).tolist(), _centres(3, 22050).tolist()
    ([80, 240, 400], [110, 330, 551])
    """
    return (2 * np.arange(count) + 1) * sample_rate // (2 * ROWS_PER_SECOND)


def _windows(sound: np.ndarray, furthest: int, width: int) -> np.ndarray:
    """Return a view whose item i is the `width` samples around sample i, up to `furthest`, silence outside.

    >>> _windows(np.array([1, 2, 3], np.float32), 4, 3)[[0, 2, 4]].tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
    """
    before = width // 2
    padded = np.zeros(max(len(sound), furthest + 1) + width, np.float32)
    padded[before:before + len(sound)] = sound
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def _carried_on(hertz: np.ndarray) -> np.ndarray:
    """Return semitones above 150 Hz with unvoiced rows filled in a line; 0 where no row is voiced.

    >>> _carried_on(np.array([0, 150, 0, 300])).tolist()
    [0.0, 0.0, 6.0, 12.0]
    """
    voiced = np.flatnonzero(hertz)
    if not len(voiced):
        return np.zeros(len(hertz), np.float32)
    semitones = 12 * np.log2(hertz[voiced] / MIDDLE_PITCH)
    return np.interp(np.arange(len(hertz)), voiced, semitones).astype(np.float32)


@functools.cache
def _hamming(width: int) -> np.ndarray:
    """Return Hamming's window, float32 [width], scaled so that power does not depend on the width."""
    window = np.hamming(width)
    return (window / np.sqrt(np.square(window).sum())).astype(np.float32)


@functools.cache
def _hann(width: int) -> np.ndarray:
    return np.hanning(width + 2)[1:-1].astype(np.float32)


@functools.cache
def _hann_likeness(width: int, size: int) -> np.ndarray:
    """Return the autocorrelation of Hann's window at each lag, 1 at lag 0 and never below a small number."""
    spectrum = np.fft.rfft(_hann(width).astype(np.float64), size)
    likeness = np.fft.irfft(np.abs(spectrum) ** 2, size)
    return np.maximum(likeness / likeness[0], 0.05).astype(np.float32)
