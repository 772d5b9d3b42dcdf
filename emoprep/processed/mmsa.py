"""MMSA's feature files (`aligned_50.pkl`, `unaligned_50.pkl`, and what MMSA-FET writes): MOSEI, MOSI, CH-SIMS.

Its quirks, and what is done about each, stand at the foot of this file and on `docs/processed.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emoprep.contracts import Processed
from emoprep.errors import CorpusError
from emoprep.processed import (
    FOLDS,
    Segment,
    clip_number,
    corpus_of_videos,
    describe,
    has_split,
    plain_text,
    sentiment_of,
    sequences,
    splits_of,
    unpadded,
)

NAME = "mmsa"
TITLE = "features of the MMSA framework (aligned_50.pkl, unaligned_50.pkl)"
LICENCE = "MIT (MMSA); the corpora have licences of their own"
CITATION = """\
@inproceedings{mao2022msena,
  title = {{M-SENA}: An Integrated Platform for Multimodal Sentiment Analysis},
  author = {Mao, Huisheng and Yuan, Ziqi and Xu, Hua and Yu, Wenmeng and Liu, Yihe and Gao, Kai},
  booktitle = {Proceedings of the 60th Annual Meeting of the Association for Computational Linguistics: System
               Demonstrations},
  year = {2022},
  pages = {204--213}
}"""

MODALITIES = {"text": "text", "audio": "audio", "vision": "video"}
FIELDS = frozenset(("id", "regression_labels"))
POLARITIES = ("negative", "neutral", "positive")
_OF_MODALITY = {"regression_labels_T": "sentiment_text", "regression_labels_A": "sentiment_audio",
                "regression_labels_V": "sentiment_video"}


def recognise(loaded: Any) -> bool:
    """Tell whether this is a dict of splits whose rows have an id and a regression label."""
    return has_split(loaded, FIELDS)


def read(loaded: Any, path: Path) -> Processed:
    """Read the splits that are there. Raises CorpusError (split, field and row) for what is not as MMSA has it."""
    splits, notes = splits_of(loaded, FIELDS, path)
    parts = [_Part(path, name, fields) for name, fields in splits.items()]
    annotation = {"sentiment": "float64"}
    annotation |= {column: "float64" for field, column in _OF_MODALITY.items() if _in_all(parts, field)}
    if _in_all(parts, "annotations") or _in_all(parts, "classification_labels"):
        annotation["polarity"] = "string"
    corpus, segments = corpus_of_videos(
        (segment for number, part in enumerate(parts) for segment in part.segments(number, annotation)),
        NAME, annotation, path, notes)
    arrays = {name: [sequences(part.fields, field, part.count, part.where) for part in parts]
              for field, name in MODALITIES.items() if _in_all(parts, field)}
    tokens = [part.tokens() for part in parts] if "text" in arrays else [None]
    known = all(steps is not None for steps in tokens)
    if not known and _in_all(parts, "text_bert"):
        corpus = replace(corpus, notes=(*corpus.notes, "text_bert holds token ids, which are no features; left out"))
    return unpadded(corpus, segments, arrays, path, NAME, {"text": tokens} if known else {})


# -------------------------------------------------------------------------------------------- splits

class _Part:
    """One split of the file: its fields, of which each has a value a row."""

    def __init__(self, path: Path, name: str, fields: dict):
        self.where, self.name, self.fields = f"{path}: {name}", name, fields
        self.count = len(self.column("id"))

    def __contains__(self, field: str) -> bool:
        return field in self.fields

    def wrong(self, field: str, expected: str, got: str) -> CorpusError:
        return CorpusError(f"{field} cannot be read", where=self.where, expected=expected, got=got)

    def column(self, field: str) -> list:
        values = self.fields[field]
        if hasattr(values, "tolist") and values.ndim in (1, 2) and values.size == len(values):
            values = values.reshape(-1).tolist()
        if not isinstance(values, (list, tuple)) or len(values) != getattr(self, "count", len(values)):
            raise self.wrong(field, f"a list of {getattr(self, 'count', 'ids')}", describe(values))
        return list(values)

    def tokens(self):
        """Return which steps of the text are tokens, bool [N, L], where `text_bert` (ids, mask, segment) says so."""
        ids, text = self.fields.get("text_bert"), self.fields["text"]
        if getattr(ids, "shape", None) != (self.count, 3, text.shape[1]) or ids.dtype.kind not in "fiu":
            return None
        return ids[:, 1] != 0

    def segments(self, number: int, annotation: Sequence[str]) -> Iterator[Segment]:
        texts = self.column("raw_text") if "raw_text" in self else [""] * self.count
        columns = {"sentiment": self._sentiments("regression_labels")}
        columns |= {column: self._sentiments(field) for field, column in _OF_MODALITY.items() if column in annotation}
        if "polarity" in annotation:
            columns["polarity"] = self._polarities()
        for row, (name, text) in enumerate(zip(self.column("id"), texts, strict=True)):
            video, mark, clip = plain_text(name, f"{self.where}, id {row}").partition("$_$")
            if not mark:
                raise self.wrong("id", "video$_$clip", f"{ascii(name)[:100]} in row {row}")
            which = clip_number(clip)
            yield Segment(FOLDS[self.name], number, row, video, clip, (which is None, which or 0, clip),
                          plain_text(text, f"{self.where}, raw_text {row}"),
                          {column: columns[column][row] for column in annotation})

    def _sentiments(self, field: str) -> list[float]:
        return [sentiment_of(value, f"{self.where}, {field} {row}") for row, value in enumerate(self.column(field))]

    def _polarities(self) -> list[str]:
        if "annotations" in self:
            return [plain_text(value, f"{self.where}, annotations {row}").strip().lower()
                    for row, value in enumerate(self.column("annotations"))]
        codes = self.column("classification_labels")
        for row, code in enumerate(codes):
            if type(code) not in (int, float) or code not in (0, 1, 2):
                raise self.wrong("classification_labels", "0, 1 or 2 (negative, neutral, positive)",
                                 f"{ascii(code)[:100]} in row {row}")
        return [POLARITIES[int(code)] for code in codes]


def _in_all(parts: Sequence[_Part], field: str) -> bool:
    """Tell whether each split has a field; raise where only some have it."""
    there = [field in part for part in parts]
    if any(there) and not all(there):
        raise CorpusError(f"only some splits have {field}", where=parts[0].where,
                          got=", ".join(part.name for part in parts if field in part))
    return all(there)


# Quirks
#
# - The file does not say which corpus it is: CMU-MOSEI if every video is in a standard fold of MOSEI's, else the
#   corpus is called "mmsa".
# - `audio_lengths` and `vision_lengths` are not used. MMSA counted them from the left up to the first step whose
#   values sum to zero, so a word without a face ends a sequence, and one that is padded at the left has length 1.
# - `text` may hold what BERT made of its padding; the attention mask in `text_bert` says where the text ends.
# - COVAREP has −inf; MMSA puts 0, and so does `--nonfinite zero`, the default for processed sets.
