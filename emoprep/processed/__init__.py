"""One format of processed feature sets, one file (see `contracts.ProcessedModule`).

This file holds what they share: finding the format, and the segments of a set that is laid out by video.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from emoprep.contracts import Corpus, Processed, modules
from emoprep.errors import CorpusError
from emoprep.labels import LabelScheme
from emoprep.utterance import SPLITS, Utterance, check_key

__all__ = ["FOLDS", "Segment", "clip_number", "corpus_of_videos", "describe", "entries", "has_split", "known_schemes",
           "open_processed", "plain_text", "sentiment_of", "sequences", "splits_of", "unpadded"]

FOLDS = {"train": "train", "valid": "dev", "dev": "dev", "val": "dev", "validation": "dev", "test": "test"}
"""Our splits by the names that these sets use; a set has one name for each."""

LONGEST = 100_000
"""Characters of a text. A file may have a longer one once, and refer to it in every row."""

_HAIR = 1e-4  # by which float32 may miss the ends of a scale


def open_processed(path: Path) -> tuple[ModuleType, Processed]:
    """Read a processed set, in whichever known format it is.

    Raises MissingInput where there is no file, and CorpusError where it is no pickle of data, in no format that
    emoprep knows, or not as its format says.
    """
    from emoprep.formats.pickles import load

    loaded = load(path)
    found = [module for module in modules("processed").values() if module.recognise(loaded)]
    if len(found) > 1:
        raise CorpusError("this pickle is in more than one format", where=str(path), expected="one",
                          got=" and ".join(module.NAME for module in found))
    if not found:
        raise CorpusError("this pickle is in no format that emoprep knows", where=str(path), got=describe(loaded)[:400],
                          expected=f"a set of {' or '.join(modules('processed'))}",
                          remedy="bring vectors of your own with `emoprep features STORE OUT --add NAME=FILE.npz`")
    processed = found[0].read(loaded, path)
    if not any(utterance.split == "train" for utterance in processed.corpus.utterances):
        corpus = replace(processed.corpus, notes=(*processed.corpus.notes, "no utterance is in a train split"))
        processed = replace(processed, corpus=corpus)
    return found[0], processed


def describe(loaded: Any, depth: int = 2) -> str:
    """Say in a few words what an object looks like.

    >>> describe({"train": {"id": ["a"], "x": None}, "y": [1.5, 2.5]})
    "dict of 'train' (dict of 'id' (list of 1: str), 'x' (None)), 'y' (list of 2: float)"
    """
    kind = type(loaded).__name__
    if isinstance(loaded, (dict, list, tuple, set, frozenset)) and not loaded:
        return f"an empty {kind}"
    if kind == "ndarray":
        return f"array {list(loaded.shape)} of {loaded.dtype}"
    if isinstance(loaded, dict) and depth:
        shown = [f"{ascii(key)[:40]} ({describe(value, depth - 1)})" for key, value in list(loaded.items())[:6]]
        return f"dict of {', '.join(shown)}" + (f" and {len(loaded) - 6} more" if len(loaded) > 6 else "")
    if isinstance(loaded, (list, tuple)):
        inner = dict.fromkeys(type(value).__name__ for value in loaded[:20])
        return f"{kind} of {len(loaded)}: {', '.join(inner)}"
    return f"{kind} of {len(loaded)}" if isinstance(loaded, (dict, set, frozenset)) else ascii(loaded)[:60]


def entries(values: Any) -> int | None:
    """Return how many entries a list, a tuple or an array has; None for anything else.

    >>> entries([1, 2]), entries("ab"), entries({})
    (2, None, None)
    """
    return len(values) if isinstance(values, (list, tuple)) or getattr(values, "ndim", 0) else None


def known_schemes(corpus: str, annotation: Mapping[str, str], first: str | None = None) -> tuple[LabelScheme, ...]:
    """Return the label schemes of a corpus that these annotation columns suffice for; `first` comes first.

    >>> [scheme.name for scheme in known_schemes("meld", {"emotion": "string"})]
    ['meld-7']
    """
    schemes = [scheme for scheme in modules("corpora")[corpus].SCHEMES if set(scheme.reads) <= set(annotation)]
    return tuple(sorted(schemes, key=lambda scheme: scheme.name != first))


def plain_text(value: Any, where: str) -> str:
    r"""Return text as it was meant: UTF-8 that Python 2 wrote as bytes, and cp1252 that was taken for latin-1.

    Numbers are written out. Raises CorpusError for anything else, and for more than LONGEST characters.

    >>> [plain_text(text, "") for text in ("Itâ\x80\x99s", "It\x92s", b"caf\xc3\xa9", "café")]
    ['It’s', 'It’s', 'café', 'café']
    """
    if not isinstance(value, (str, bytes, int, float)):
        raise CorpusError("this is no text", where=where, got=describe(value))
    if isinstance(value, (str, bytes)) and len(value) > LONGEST:
        raise CorpusError("this text is too long", where=where, expected=f"at most {LONGEST} characters",
                          got=f"{len(value)}")
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    with contextlib.suppress(UnicodeError):  # where it is no latin-1, or that is no UTF-8
        text = text.encode("latin-1").decode("utf-8")
    if any("\x80" <= character <= "\x9f" for character in text):
        text = "".join(_CP1252.get(character, character) for character in text)
    # Half of a surrogate pair cannot be written as UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")


_CP1252 = {chr(code): bytes([code]).decode("cp1252") for code in range(0x80, 0xA0)
           if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}


# ------------------------------------------------------------------------------------- sets by video

def has_split(loaded: Any, fields: Set[str]) -> bool:
    """Tell whether this is a dict that has a split, under whatever name, with these fields.

    >>> has_split({"train": {"id": ["a"], "x": [1]}}, {"id"}), has_split({"id": ["a"]}, {"id"})
    (True, False)
    """
    return isinstance(loaded, dict) and any(isinstance(part, dict) and fields <= part.keys()
                                            for part in loaded.values())


def splits_of(loaded: Mapping[Any, Any], fields: Set[str], path: Path) -> tuple[dict[str, dict], tuple[str, ...]]:
    """Return the splits under the names that the file has for them, train, dev, test, and what is to be told.

    Raises CorpusError for a split under a name that is not known, for two names of one split, and for a split that
    lacks one of `fields`. What is no split is left out, and told.
    """
    others = [key for key in loaded if key not in FOLDS]
    for key in others:
        part = loaded[key]
        if isinstance(part, dict) and any(entries(values) is not None for values in part.values()):
            raise CorpusError("a split of this name is not known", where=str(path), got=ascii(key)[:100],
                              expected="train, valid (or dev, val, validation) and test",
                              remedy="name it as one of these, or take it out")
    found: dict[str, dict] = {}
    for name in sorted((key for key in loaded if key in FOLDS), key=lambda name: SPLITS.index(FOLDS[name])):
        part, where = loaded[name], f"{path}: {name}"
        if not isinstance(part, dict):
            raise CorpusError("this split cannot be read", where=where, expected="a dict of its fields",
                              got=describe(part))
        if missing := sorted(fields - part.keys()):
            raise CorpusError(f"{missing[0]} is missing", where=where, expected="the fields that other splits have",
                              got=describe(part, 1)[:300])
        twin = next((other for other in found if FOLDS[other] == FOLDS[name]), None)
        if twin is not None:
            raise CorpusError("one split is there under two names", where=str(path), got=f"{twin} and {name}",
                              expected="one of valid, dev, val and validation")
        found[name] = part
    named = ", ".join(ascii(key)[:40] for key in others[:6]) + (f" and {len(others) - 6} more" if others[6:] else "")
    return found, (f"what is no split is left out: {named}",) if others else ()


def sentiment_of(value: Any, where: str) -> float:
    """Return a sentiment from -3 to 3; float32 may miss an end by a hair, and is put there.

    >>> sentiment_of(-3.00001, ""), sentiment_of(1, "")
    (-3.0, 1.0)
    """
    if type(value) not in (int, float) or not abs(value) <= 3 + _HAIR:  # nor is NaN
        raise CorpusError("this sentiment cannot be read", where=where, expected="a number from -3 to 3",
                          got=ascii(value)[:100])
    return float(max(-3, min(3, value)))


def clip_number(clip: str) -> int | None:
    """Return the number that a clip's name is, or None.

    >>> clip_number("0012"), clip_number("t7500_12000")
    (12, None)
    """
    return int(clip) if clip.isascii() and clip.isdigit() and len(clip) <= 9 else None


class Segment(NamedTuple):
    """A row of a set that is laid out by video: where it stands in the file, and what names it.

    `name` is the end of its key ("0012", "t7500_12000"), `place` what orders the segments of a video.
    """

    split: str
    part: int
    row: int
    video: str
    name: str
    place: tuple
    text: str
    annotation: dict[str, Any]
    start: Fraction | None = None
    end: Fraction | None = None


def corpus_of_videos(segments: Iterable[Segment], other: str, annotation: Mapping[str, str], path: Path,
                     notes: tuple[str, ...] = ()) -> tuple[Corpus, list[Segment]]:
    """Return the corpus of a set with sentiments, and its segments in the order of the index.

    It is CMU-MOSEI if each of its videos is in one of MOSEI's standard folds, else the corpus `other`, whose label
    schemes are MOSEI's under another name. MOSEI's clips are numbers; those of others keep the names that their own
    tables have for them ("0012"). A dialogue is a video; where one lies in several splits, a video of a split.
    """
    segments = sorted(segments, key=lambda one: (SPLITS.index(one.split), one.video, one.place))
    splits: dict[str, set[str]] = {}
    for segment in segments:
        splits.setdefault(segment.video, set()).add(segment.split)
    name = "mosei" if splits.keys() <= _mosei_videos() else other
    apart = all(len(several) == 1 for several in splits.values())
    utterances, turns, first = [], {}, {}
    for segment in segments:
        number = clip_number(segment.name) if name == "mosei" else None
        key = f"{name}_{segment.video}_{segment.name if number is None else number}"
        check_key(key, f"{path}: {segment.split} row {segment.row}")
        twin = first.setdefault(key, segment)
        if twin is not segment:
            raise CorpusError(f"{key} is there twice", where=f"{path}: {segment.split} row {segment.row}",
                              got=f"the first in {twin.split} row {twin.row}")
        dialogue = f"{name}_{segment.video}" if apart else f"{name}_{segment.split}_{segment.video}"
        turns[dialogue] = turn = turns.get(dialogue, -1) + 1
        start = None if segment.start is None else max(segment.start, Fraction(0))
        utterances.append(Utterance(
            key=key, corpus=name, split=segment.split, dialogue=dialogue, turn=turn, speaker=segment.video,
            text=segment.text, start=start, end=segment.end, annotation=segment.annotation,
            seconds=None if start is None else float(segment.end - start)))
    notes += () if apart else ("a video lies in several splits: its dialogues are named by split",)
    schemes = tuple(replace(scheme, name=scheme.name.replace("mosei", name))
                    for scheme in known_schemes("mosei", annotation))
    return Corpus(name, path.parent, tuple(utterances), annotation_files=(path.name,), notes=notes,
                  annotation=dict(annotation), schemes=schemes), segments


def sequences(part: Mapping[str, Any], field: str, count: int, where: str) -> Any:
    """Return the features [count, L, d] of a modality in one split, or raise."""
    array = part[field]
    shape = getattr(array, "shape", ())
    if len(shape) != 3 or shape[0] != count or 0 in shape[1:] or array.dtype.kind not in "fiu":
        raise CorpusError(f"{field} cannot be read", where=where, got=describe(array),
                          expected=f"an array [{count}, steps, dimensions] of numbers")
    return array


def unpadded(corpus: Corpus, segments: Sequence[Segment], arrays: Mapping[str, Sequence[Any]], path: Path,
             extractor: str, tokens: Mapping[str, Sequence[Any]] = {}) -> Processed:
    """Return a set whose padded features have become sequences; `arrays` has an array [N, L, d] a part."""
    from emoprep.methods.padding import unpad

    for name, (first, *rest) in arrays.items():
        if any(array.shape[1:] != first.shape[1:] for array in rest):
            raise CorpusError(f"the splits differ in the shape of {name}", where=str(path),
                              got=", ".join(str(list(array.shape)) for array in (first, *rest)))
    padded, notes = unpad(arrays, path, tokens=tokens)

    def rows() -> Iterator[dict[str, Any]]:
        for segment in segments:
            found = {name: whole.row(segment.part, segment.row) for name, whole in padded.items()}
            yield {name: steps for name, steps in found.items() if steps is not None}
    return Processed(replace(corpus, notes=(*corpus.notes, *notes)),
                     {name: {**whole.facts(), "extractor": extractor} for name, whole in padded.items()}, rows)


def _mosei_videos() -> frozenset[str]:
    return frozenset(modules("corpora")["mosei"].standard_folds())
