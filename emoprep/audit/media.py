"""One shard in a worker: what each sample looks and sounds like, and whether it is silent, clipped, frozen or black."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emoprep import engine
from emoprep.media.clock import strip_shape
from emoprep.media.encode import decode_flac
from emoprep.methods import picture_fingerprint as pictures
from emoprep.methods.sound_fingerprint import fingerprint_sound
from emoprep.store.shards import SampleReader

__all__ = ["Measured", "MediaTask", "measure_pictures", "measure_shard", "measure_sound", "strip_blocks"]

MOST_SECONDS = 60.0
"""So much of an utterance is kept to find it again: an hour's would be a thousand sentences in memory."""

MOST_PIXELS = 2 ** 29  # a strip of more is none that was ever cut
TOP = 0.05  # of full scale: resampling bends the flat tops of clipped sound by some per cent
DARK = 20.0  # of 255, the brightest block of a picture
FEWEST_STEPS = 5  # of half a second nobody can say that it stands still
SAME = 1.0  # grey levels: frames whose 16 × 16 blocks differ by less at most are one picture


@dataclass(frozen=True)
class MediaTask:
    """Samples of one shard to measure; `dead` are keys at which the process that read them died."""

    shard: str
    keys: tuple[str, ...]
    dead: tuple[str, ...] = ()

    def __str__(self):
        return Path(self.shard).name

    @property
    def utterances(self) -> int:
        return len(self.keys)

    def without(self, place: str, cause: str) -> MediaTask:
        return replace(self, dead=(*self.dead, place))


@dataclass(frozen=True)
class Measured:
    """What one sample looks and sounds like; None where it has no sound or no picture, or cannot be read.

    `sound` is its fingerprint, `hashes` and `movement` are of its frames (hash 0: nothing on it). `loud_db` is the
    root mean square in dBFS, `clipped` the share of samples near full scale, `silence` the exact zeros before and
    after the sound in seconds, `still` and `black` shares of the frames.
    """

    key: str
    sound: tuple[np.ndarray, np.ndarray] | None = None
    loud_db: float | None = None
    clipped: float | None = None
    silence: tuple[float, float] | None = None
    hashes: np.ndarray | None = None
    movement: np.ndarray | None = None
    still: float | None = None
    black: float | None = None
    unread: str = ""


def measure_shard(task: MediaTask) -> list[Measured]:
    """Measure the samples of a shard that are asked for, in their order. Runs in a worker."""
    from emoprep.methods.projection import one_blas_thread

    found, reader = [], SampleReader()
    with one_blas_thread():
        for key in task.keys:
            engine.at(key)
            found.append(Measured(key, unread="the process that read it died") if key in task.dead
                         else _measured(reader, Path(task.shard), key))
    engine.at("")
    return found


def _measured(reader: SampleReader, shard: Path, key: str) -> Measured:
    try:
        members = reader.read(shard, key)
        facts = json.loads(members["json"])
        made: dict[str, Any] = {}
        if facts["has_audio"] and "flac" in members:
            made |= measure_sound(*decode_flac(members["flac"]))
        if facts["has_video"] and "frames.jpg" in members:
            made |= measure_pictures(strip_blocks(members["frames.jpg"], facts["size"], facts["frames"]), facts["fps"])
    except Exception as error:  # noqa: BLE001 - bytes that may be anything go to libraries that raise anything
        return Measured(key, unread=str(error) or type(error).__name__)
    return Measured(key, **made)


def measure_sound(samples: np.ndarray, rate: int) -> dict[str, Any]:
    """Return what `Measured` says of a sound, float32 [n] in −1..1 at `rate` Hz.

    >>> told = measure_sound(np.concatenate([np.zeros(800), np.ones(800)]).astype(np.float32), 1600)
    >>> round(told["loud_db"], 2), told["clipped"], told["silence"]
    (-3.01, 0.5, (0.5, 0.0))
    """
    power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
    heard = np.flatnonzero(samples)
    silence = (int(heard[0]) / rate, (len(samples) - 1 - int(heard[-1])) / rate) if len(heard) \
        else (len(samples) / rate, 0.0)
    return {"sound": fingerprint_sound(samples[:round(MOST_SECONDS * rate)], rate),
            "loud_db": 10 * math.log10(max(power, 1e-12)), "silence": silence,
            "clipped": _clipped(np.abs(samples))}


def _clipped(levels: np.ndarray) -> float:
    """Return the share of samples near full scale, 0 where there are not more of them than just below.

    Of sound that is loud and whole, fewer samples lie in each higher stretch of levels.

    >>> _clipped(np.array([0.2, 0.91, 0.99, 0.99])), _clipped(np.array([0.91, 0.92, 0.96]))
    (0.5, 0.0)
    """
    top, below = int((levels >= 1 - TOP).sum()), int(((levels >= 1 - 2 * TOP) & (levels < 1 - TOP)).sum())
    return top / len(levels) if top > below else 0.0


def measure_pictures(frames: np.ndarray, fps: float) -> dict[str, Any]:
    """Return what `Measured` says of pictures, uint8 [F, s, s] of their brightness.

    >>> told = measure_pictures(np.full((20, 32, 32), 9, np.uint8), 10)
    >>> told["still"], told["black"], bool(told["hashes"].any())
    (1.0, 1.0, False)
    """
    blocks = pictures.area_mean(frames)
    steps = np.abs(np.diff(blocks, axis=0)).max(axis=(1, 2))
    kept = blocks[:max(1, round(MOST_SECONDS * fps))]
    hashes, telling = pictures.hash_frames(kept)
    return {"hashes": np.where(telling, hashes, np.uint64(0)), "movement": pictures.movement(kept),
            "still": float((steps < SAME).mean()) if len(steps) >= FEWEST_STEPS else 0.0,
            "black": float((blocks.max(axis=(1, 2)) < DARK).mean())}


def strip_blocks(jpeg: bytes, size: int, frames: int) -> np.ndarray:
    """Return the brightness of a film strip's frames, uint8 [F, s, s], at the least size that has 16 blocks a side.

    JPEG is decoded at a half, a quarter or an eighth of its size at a fraction of the cost.
    """
    from PIL import Image

    # The strip of a long utterance is larger than Pillow's guard allows; its size is checked before it is decoded.
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        rows, columns = strip_shape(frames, size)
        if image.size != (columns * size, rows * size) or frames * size * size > MOST_PIXELS:
            raise ValueError(f"the strip is {image.size[0]}×{image.size[1]} px, not {columns * size}×{rows * size}")
        part = next((part for part in (8, 4, 2) if size // part >= pictures.SIDE), 1)
        image.draft("L", (image.size[0] // part, image.size[1] // part))
        img, side = np.asarray(image.convert("L")), size // part
    return img.reshape(img.shape[0], -1, side).swapaxes(0, 1).reshape(-1, side, side)[:frames]
