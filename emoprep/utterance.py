"""The nouns: an annotated utterance, one that was left out, and one with its media decoded."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from emoprep.errors import CorpusError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SPLITS", "Sample", "Skip", "Utterance", "check_key", "child_seed"]

SPLITS = ("train", "dev", "test")

# WebDataset ends a sample's key at the first dot of the base name, and a slash would make a folder.
_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One annotated utterance, before any media is opened.

    `video` and `audio` are paths below the corpus root ("/" between the parts); they may be the same file,
    and None where the corpus has none. `start` and `end` are exact seconds on the dialogue's clock; both None
    means the whole file. In the film the utterance lies at `start + video_shift` to `end + video_shift`, in the
    sound file at `start + audio_shift` to `end + audio_shift` (a file that holds this sentence alone has
    `-start`). `view` is the part of the picture that shows the speaker: "left", "right", or None for all of it.
    `seconds` is the length that the annotation promises (None: it promises none).
    `annotation` holds the corpus's own columns, named and typed by `Corpus.annotation`. `words` are (word,
    start, end) in seconds from the utterance's start. `unit` is the corpus's natural unit where it has no
    official split ("ses1"): shards are named by it.
    """

    key: str
    corpus: str
    split: str | None
    dialogue: str
    turn: int
    speaker: str
    text: str
    video: str | None = None
    audio: str | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    seconds: float | None = None
    annotation: dict[str, Any] = field(default_factory=dict)
    words: tuple[tuple[str, float, float], ...] = ()
    flags: tuple[str, ...] = ()
    video_shift: Fraction = Fraction(0)
    audio_shift: Fraction = Fraction(0)
    view: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """An utterance that could not be cut (or was asked to be left out), and why."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Sample:
    """An utterance of a store with its media decoded, as an extractor sees it.

    `frames` is uint8 [F, size, size, 3] in RGB, `samples` float32 [n] in -1..1; None where the utterance
    (not merely the store) has no picture or no sound.
    """

    key: str
    text: str | None
    frames: np.ndarray | None
    fps: float
    samples: np.ndarray | None
    sample_rate: int


def check_key(key: str, where: str = "") -> str:
    """Return `key` if it can name a sample, else raise.

    >>> check_key("meld_train_dia0_utt0")
    'meld_train_dia0_utt0'
    """
    if not _KEY.fullmatch(key) or len(key) > 200:
        raise CorpusError("this key cannot name a sample", where=where,
                          expected="at most 200 letters, digits, '_' and '-'", got=repr(key[:220]))
    return key


def child_seed(seed: int, stage: str, item: str, copy: int) -> int:
    """Return the seed of one made item, which depends on nothing but its name.

    >>> child_seed(0, "smote", "meld_train_dia0_utt0", 1)
    3098591477
    """
    return int.from_bytes(hashlib.sha256(f"{seed}|{stage}|{item}|{copy}".encode()).digest()[:4])
