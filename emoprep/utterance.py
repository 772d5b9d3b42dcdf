"""The nouns: an annotated utterance, a corpus of them, one that was left out, and one with its media decoded."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep.errors import CorpusError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SPLITS", "Corpus", "Sample", "Skip", "Utterance", "check_key", "child_seed"]

SPLITS = ("train", "dev", "test")

# WebDataset ends a sample's key at the first dot of the base name, and a slash would make a folder.
_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One annotated utterance, before any media is opened.

    `video` and `audio` are paths below the corpus root ("/" between the parts); they may be the same file,
    and None where the corpus has none. `start` and `end` are exact seconds in that media; both None means
    the whole file. `seconds` is the length that the annotation promises (None: it promises none).
    `annotation` holds the corpus's own columns, named and typed by the corpus module's ANNOTATION.
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


@dataclass(frozen=True, slots=True)
class Skip:
    """An utterance that could not be cut (or was asked to be left out), and why."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Corpus:
    """What a corpus module reads from a folder.

    `utterances` come in the order of the index: split by split, dialogue by dialogue, turn by turn.
    `skips` are those whose media the reader already knows to be missing. `annotation_files` are below `root`.
    `settings` are the reader's options that change the result. `bare_splits` have annotation but no clip at
    all; their utterances are counted by `stats`, and are neither cut nor counted as skipped.
    """

    name: str
    root: Path
    utterances: tuple[Utterance, ...]
    skips: tuple[Skip, ...] = ()
    annotation_files: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    bare_splits: tuple[str, ...] = ()
    unused_clips: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
