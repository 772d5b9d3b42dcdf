"""MulT's and MultiBench's word-aligned files (`mosei_senti_data.pkl`): three modalities in fifty steps.

Its quirks, and what is done about each, stand at the foot of this file and on `docs/processed.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from emoprep.contracts import Processed
from emoprep.errors import CorpusError
from emoprep.processed import (
    FOLDS,
    Segment,
    corpus_of_videos,
    describe,
    entries,
    has_split,
    plain_text,
    sentiment_of,
    sequences,
    splits_of,
    unpadded,
)

NAME = "mult"
TITLE = "features of the Multimodal Transformer and of MultiBench (mosei_senti_data.pkl)"
LICENCE = "MIT (MulT); the corpora have licences of their own"
CITATION = """\
@inproceedings{tsai2019multimodal,
  title = {Multimodal Transformer for Unaligned Multimodal Language Sequences},
  author = {Tsai, Yao-Hung Hubert and Bai, Shaojie and Liang, Paul Pu and Kolter, J. Zico and
            Morency, Louis-Philippe and Salakhutdinov, Ruslan},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  year = {2019},
  pages = {6558--6569}
}"""

MODALITIES = {"text": "text", "audio": "audio", "vision": "video"}
FIELDS = frozenset((*MODALITIES, "labels"))
ANNOTATION = {"sentiment": "float64"}


def recognise(loaded: Any) -> bool:
    """Tell whether this is a dict of splits, each with text, audio, vision and labels."""
    return has_split(loaded, FIELDS)


def read(loaded: Any, path: Path) -> Processed:
    """Read the splits that are there. Raises CorpusError (split, field and row) for what is not as MulT has it."""
    splits, notes = splits_of(loaded, FIELDS, path)
    corpus, segments = corpus_of_videos(
        (segment for number, (name, part) in enumerate(splits.items())
         for segment in _segments(part, name, number, path)),
        NAME, ANNOTATION, path, notes)
    arrays = {modality: [sequences(part, field, len(part["labels"]), f"{path}: {name}")
                         for name, part in splits.items()] for field, modality in MODALITIES.items()}
    return unpadded(corpus, segments, arrays, path, NAME)


# -------------------------------------------------------------------------------------------- splits

_SECONDS = re.compile(r"[+-]?\d{1,6}(\.\d{1,18})?(e-\d{1,2})?", re.ASCII)


def _labels(part: dict, where: str) -> list[float]:
    labels = part["labels"]
    if getattr(labels, "ndim", 0) < 1 or labels.size != len(labels) or labels.dtype.kind not in "fiu":
        raise CorpusError("labels cannot be read", where=where, expected="one sentiment a row, [N, 1, 1]",
                          got=describe(labels))
    return [float(label) for label in labels.reshape(-1).tolist()]


def _segments(part: dict, name: str, number: int, path: Path) -> Iterator[Segment]:
    where = f"{path}: {name}"
    labels, ids = _labels(part, where), part.get("id")
    if entries(ids) != len(labels):
        raise CorpusError("id cannot be read", where=where, expected=f"[{len(labels)}, 3]: video, start and end",
                          got="none, so that nothing says which row is which" if ids is None else describe(ids))
    for row, (fields, sentiment) in enumerate(zip(ids, labels, strict=True)):
        if entries(fields) != 3:
            raise CorpusError("this row cannot be read", where=f"{where}, row {row}", got=describe(fields),
                              expected="video, start and end")
        # Entries of an aligned sequence are named <video>[<row>].
        video = plain_text(fields[0], f"{where}, row {row}").partition("[")[0]
        start, end = (_seconds(text, where, row) for text in fields[1:])
        if not max(start, 0) < end:
            raise CorpusError("this segment has no length", where=f"{where}, row {row}",
                              got=f"{float(start)} to {float(end)} s", expected="an end after its start and after 0")
        yield Segment(FOLDS[name], number, row, video, f"t{round(start * 10_000)}_{round(end * 10_000)}", (start, end),
                      "", {"sentiment": sentiment_of(sentiment, f"{where}, row {row}")}, start, end)


def _seconds(value: Any, where: str, row: int) -> Fraction:
    text = plain_text(value, f"{where}, row {row}")
    if not _SECONDS.fullmatch(text):
        raise CorpusError("a time cannot be read", where=f"{where}, row {row}", expected="seconds, such as 23.199",
                          got=ascii(text[:100]))
    return Fraction(text)


# Quirks
#
# - Left-padded with rows of zeros; the sequence of a word with neither sound nor face is not zero, for its word is
#   there.
# - The segments are named by their video and times, not by the transcript's clip number, which the file does not
#   have. A start before 0 is 0.
# - Written by Python 2: its strings are decoded as latin-1.
# - COVAREP has −inf; MulT puts 0, and so does `--nonfinite zero`, the default for processed sets.
# - The file without alignment (`…_noalign.pkl`) has other numbers of steps in each modality: each is on its own
#   clock.
