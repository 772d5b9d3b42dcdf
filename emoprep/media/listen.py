"""Sound as a browser plays it: MP3, which all of them do. Safari plays Ogg and Opus in its latest versions alone."""

from __future__ import annotations

import io

import numpy as np

__all__ = ["encode_mp3"]

BITS_A_SECOND = 48_000

FADE_S = 0.25

# Rates of MPEG-2 audio, the nearest to what stores have (16 kHz); not every player knows the lower ones of MPEG-2.5.
LOW, HIGH = 16_000, 24_000


def encode_mp3(samples: np.ndarray, sample_rate: int, most_seconds: float) -> tuple[bytes, float]:
    """Return the beginning of a sound, float32 [n] in −1..1, as MP3, and how many seconds of it are there.

    What is longer than `most_seconds` is cut there, and faded out. The same sound gives the same bytes.
    """
    import av
    from av.codec.context import Flags

    most = round(most_seconds * sample_rate)
    heard = _faded(samples[:most], round(FADE_S * sample_rate)) if len(samples) > most else samples
    rate = LOW if sample_rate <= LOW else HIGH
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(heard, np.float32)[np.newaxis], "fltp", "mono")
    frame.sample_rate = sample_rate
    resampler = av.AudioResampler("fltp", "mono", rate)
    with io.BytesIO() as buffer:
        # Without these, the versions of libraries would stand in the file.
        with av.open(buffer, "w", "mp3", options={"id3v2_version": "0", "fflags": "+bitexact"}) as container:
            stream = container.add_stream("libmp3lame", rate, layout="mono", format="fltp", bit_rate=BITS_A_SECOND)
            stream.codec_context.flags |= Flags.bitexact
            for piece in (*resampler.resample(frame), *resampler.resample(None), None):
                container.mux(stream.encode(piece))
        return buffer.getvalue(), len(heard) / sample_rate


def _faded(samples: np.ndarray, count: int) -> np.ndarray:
    """Return a sound whose last `count` samples go down to nothing.

    >>> _faded(np.ones(6, np.float32), 4).tolist()
    [1.0, 1.0, 0.875, 0.625, 0.375, 0.125]
    """
    faded = samples.copy()
    count = min(count, len(faded))
    faded[len(faded) - count:] *= 1 - (np.arange(count, dtype=np.float32) + 0.5) / max(1, count)
    return faded
