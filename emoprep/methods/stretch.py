"""Time-stretched utterances: which frames they have, and what of the index row changes.

A rate above 1 is faster. Of an utterance of D seconds there are D/rate left, and frames and samples as the one clock
has them (`emoprep.media.clock`); sound, frames and words are stretched alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from emoprep.media.clock import frame_count, sample_count

__all__ = ["TEXT_ONLY", "changed_fields", "frame_map"]

TEXT_ONLY = "text-only"
"""The parameter and the flag of a copy whose words are others, so that sound and picture are masked."""


def frame_map(frames: int, stretched: int) -> np.ndarray:
    """Return for each of `stretched` frames which of the `frames` it shows, int64 [stretched].

    Middles lie on middles: the one at (i + ½)/F' of the whole shows what was there.

    >>> frame_map(20, 17).tolist()
    [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 17, 18, 19]
    """
    middles = (np.arange(stretched) + 0.5) * frames / stretched - 0.5
    return np.clip(np.rint(middles), 0, frames - 1).astype(np.int64)


def changed_fields(row: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the index fields that augmentation changes, of a row that has a sample.

    >>> changed_fields({"start": 0.0, "end": 2.0, "fps": 10.0, "sample_rate": 16000}, {"time-stretch": 1.2})
    {'end': 1.6666666666666667, 'frames': 17, 'samples': 26667}
    >>> changed_fields({"flags": ["damaged"]}, {"text": "Well, hello.", "text-only": True})
    {'text': 'Well, hello.', 'has_video': False, 'has_audio': False, 'flags': ['damaged', 'text-only']}
    """
    fields: dict[str, Any] = {}
    if (rate := parameters.get("time-stretch")) is not None:
        seconds = (Fraction(row["end"]) - Fraction(row["start"])) / Fraction(rate)
        fields |= {"end": row["start"] + float(seconds), "frames": frame_count(seconds, Fraction(row["fps"])),
                   "samples": sample_count(seconds, row["sample_rate"])}
    if "text" in parameters:
        fields["text"] = parameters["text"]
    if parameters.get(TEXT_ONLY):
        fields |= {"has_video": False, "has_audio": False, "flags": [*row["flags"], TEXT_ONLY]}
    return fields
