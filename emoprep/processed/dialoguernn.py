"""DialogueRNN's pickles of IEMOCAP and MELD: a tuple of dicts by dialogue, one vector an utterance.

COSMIC's pickles (`cosmic.py`) are of the same kind. Its quirks, and what is done about each, stand at the foot of
this file and on `docs/processed.md`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from emoprep.contracts import Corpus, Processed
from emoprep.errors import CorpusError
from emoprep.processed import describe, entries, known_schemes, plain_text
from emoprep.utterance import SPLITS, Utterance, check_key

NAME = "dialoguernn"
TITLE = "features of DialogueRNN (IEMOCAP_features_raw.pkl, MELD_features_raw.pkl)"
LICENCE = "MIT (conv-emotion); the corpora have licences of their own"
CITATION = """\
@inproceedings{majumder2019dialoguernn,
  title = {{DialogueRNN}: An Attentive {RNN} for Emotion Detection in Conversations},
  author = {Majumder, Navonil and Poria, Soujanya and Hazarika, Devamanyu and Mihalcea, Rada and
            Gelbukh, Alexander and Cambria, Erik},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  volume = {33},
  pages = {6818--6825},
  year = {2019}
}"""

LISTS = (list, tuple, set, frozenset)


def recognise(loaded: Any) -> bool:
    """Tell whether this is one of the three tuples of dicts by dialogue."""
    return _layout(loaded) is not None


def read(loaded: Any, path: Path) -> Processed:
    """Read all dialogues. Raises CorpusError (field, dialogue and place) for what is not as DialogueRNN has it."""
    return read_dialogues(_layout(loaded), path, NAME)


def _layout(loaded: Any) -> Dialogues | None:
    if not isinstance(loaded, (list, tuple)) or len(loaded) not in (9, 10):
        return None
    dicts = [isinstance(part, dict) for part in loaded]
    lists = [isinstance(part, LISTS) for part in loaded]
    if len(loaded) == 9 and all(dicts[:6]) and all(lists[6:8]) and dicts[8]:
        ids, speakers, emotion, text, audio, texts, train, test, sentiment = loaded
        return Dialogues(emotion, sentiment, speakers, texts, {"train": train, "test": test}, ids,
                         {"text": text, "audio": audio})
    if all(dicts[:7]) and all(lists[7:9]) and not holds_vectors(loaded[2]):
        ids, speakers, emotion, text, audio, video, texts, train, test = loaded[:9]
        notes = ("the tenth part of the tuple is described nowhere, and left out",) if len(loaded) == 10 else ()
        return Dialogues(emotion, None, speakers, texts, {"train": train, "test": test}, ids,
                         {"text": text, "audio": audio, "video": video}, notes)
    return None


# ---------------------------------------------------------------------------- any set laid out by dialogue

IEMOCAP_CODES = ("hap", "sad", "neu", "ang", "exc", "fru")
MELD_EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
MELD_SENTIMENTS = ("neutral", "positive", "negative")

# MELD's dialogues are numbered through: train from 0, dev from 1039, test from 1153.
MELD_NUMBERS = {"train": range(1039), "dev": range(1039, 1153), "test": range(1153, 1433)}

_IEMOCAP = re.compile(r"Ses0[1-5][FM]_(impro|script)\w{2,12}", re.ASCII)


@dataclass(frozen=True)
class Dialogues:
    """A set laid out by dialogue: dicts from a dialogue's id to a list with an entry an utterance.

    `lists` names the dialogues of each split. `ids` has the utterances' own names, where there are any.
    """

    emotion: Mapping
    sentiment: Mapping | None
    speakers: Mapping
    texts: Mapping
    lists: Mapping[str, Any]
    ids: Mapping | None
    vectors: Mapping[str, Mapping]
    notes: tuple[str, ...] = ()

    def dicts(self) -> dict[str, Mapping]:
        named = {"emotion": self.emotion, "sentiment": self.sentiment, "speakers": self.speakers, "text": self.texts,
                 "ids": self.ids, **{f"{name} features": part for name, part in self.vectors.items()}}
        return {name: part for name, part in named.items() if part is not None}


class _Turn(NamedTuple):
    dialogue: Any
    place: int
    utterance: Utterance


def holds_vectors(part: Mapping) -> bool:
    """Tell whether the utterances of a dict by dialogue have vectors rather than numbers.

    >>> holds_vectors({"d1": [], "d2": [[0.1, 0.2]]}), holds_vectors({"d1": [3, 4]})
    (True, False)
    """
    first = next((values[0] for values in part.values() if entries(values)), None)
    return entries(first) is not None


def read_dialogues(found: Dialogues, path: Path, extractor: str) -> Processed:
    """Return a set of IEMOCAP's or MELD's dialogues, with a vector an utterance of each modality."""
    _check(found, path)
    split_of, notes = _splits(found, path)
    notes += found.notes
    if all(isinstance(dialogue, str) and _IEMOCAP.fullmatch(dialogue) for dialogue in found.emotion):
        corpus, turns_of, annotation, first = "iemocap", _iemocap_turns, {"emotion": "string"}, "iemocap-6"
        notes += ["there is no dev split: `emoprep split IN OUT --protocol dialoguernn` makes COSMIC's"] \
            if "dev" not in split_of.values() else []
    elif all(_meld_number(dialogue) is not None for dialogue in found.emotion):
        corpus, turns_of, first = "meld", _meld_turns, None
        annotation = {"emotion": "string", **({"sentiment": "string"} if found.sentiment is not None else {})}
        split_of = {dialogue: _meld_split(dialogue, split, path) for dialogue, split in split_of.items()}
    else:
        raise CorpusError("these are dialogues of a corpus that is not known", where=str(path),
                          expected="IEMOCAP's (Ses01F_impro01) or MELD's (numbers up to 1432)",
                          got=", ".join(ascii(dialogue)[:40] for dialogue in list(found.emotion)[:3]))
    dialogues = sorted(split_of, key=lambda one: (_meld_number(one) or 0, str(one)))
    turns = [turn for split in (*SPLITS, None) for dialogue in dialogues if split_of[dialogue] == split
             for turn in turns_of(found, dialogue, split, path)]
    twin = next((key for key, number in Counter(turn.utterance.key for turn in turns).items() if number > 1), None)
    if twin is not None:
        raise CorpusError("an utterance is there twice", where=str(path), got=twin)
    dims = {name: _dim(part, name, path) for name, part in found.vectors.items()}
    return Processed(
        Corpus(corpus, path.parent, tuple(turn.utterance for turn in turns), annotation_files=(path.name,),
               notes=tuple(notes), annotation=annotation, schemes=known_schemes(corpus, annotation, first)),
        {name: {"dim": dim, "clock": "utterance", "extractor": extractor} for name, dim in dims.items()},
        lambda: _rows(found, turns, dims, path))


def _rows(found: Dialogues, turns: Sequence[_Turn], dims: Mapping[str, int], path: Path) -> Iterator[dict[str, Any]]:
    for turn in turns:
        row = {name: _vector(part[turn.dialogue][turn.place], dims[name], name, turn, path)
               for name, part in found.vectors.items()}
        yield {name: vector for name, vector in row.items() if vector.any()}


def _vector(value: Any, dim: int, name: str, turn: _Turn, path: Path) -> Any:
    import numpy as np

    try:
        with np.errstate(over="ignore"):
            vector = np.asarray(value, np.float32)
    except (TypeError, ValueError, OverflowError):
        vector = None
    if vector is None or vector.shape != (dim,):
        raise CorpusError(f"{name}: these are no features", where=f"{path}: {turn.utterance.key}", got=describe(value),
                          expected=f"{dim} numbers, as most utterances have")
    return vector


def _dim(part: Mapping, name: str, path: Path) -> int:
    """Return how long most vectors are, so that the one that differs is named, the first too."""
    vectors = [value for values in part.values() for value in values]
    counted = Counter(map(entries, vectors)).most_common(1)
    if not counted or not counted[0][0]:
        raise CorpusError(f"{name}: these are no features", where=str(path), expected="a list of numbers an utterance",
                          got=describe(vectors[0] if vectors else vectors))
    return counted[0][0]


def _check(found: Dialogues, path: Path) -> None:
    """Raise unless each dialogue has as many entries in each dict."""
    if not found.emotion:
        raise CorpusError("there are no dialogues", where=str(path))
    for name, part in found.dicts().items():
        if part.keys() != found.emotion.keys():
            lone = next(iter(part.keys() ^ found.emotion.keys()))
            raise CorpusError(f"emotion and {name} are not of the same dialogues", where=str(path),
                              got=f"{ascii(lone)[:100]} in one of them only")
        for dialogue, values in part.items():
            if entries(values) is None or entries(values) != entries(found.emotion[dialogue]):
                raise CorpusError(f"{name} is not as long as the dialogue", got=describe(values),
                                  where=f"{path}: dialogue {ascii(dialogue)[:100]}",
                                  expected=f"a list of {entries(found.emotion[dialogue]) or 'utterances'}")


def _splits(found: Dialogues, path: Path) -> tuple[dict[Any, str | None], list[str]]:
    """Return the split of each dialogue: that of the list that names it, else none."""
    split_of: dict[Any, str | None] = dict.fromkeys(found.emotion)
    for split, listed in found.lists.items():
        for dialogue in listed:
            if not isinstance(dialogue, (str, int)) or dialogue not in split_of:
                raise CorpusError(f"{split} names a dialogue that is not there", where=str(path),
                                  got=ascii(dialogue)[:100])
            if split_of[dialogue] not in (None, split):
                raise CorpusError("a dialogue is in two splits", where=str(path),
                                  got=f"{ascii(dialogue)[:100]} in {split_of[dialogue]} and {split}")
            split_of[dialogue] = split
    lone = [dialogue for dialogue, split in split_of.items() if split is None]
    return split_of, [f"dialogues that are in no list of the file: {len(lone)} (first {lone[0]})"] if lone else []


def _label(values: Any, place: int, names: Sequence[str], field: str, where: str) -> str:
    value = values[place]
    value = value.item() if hasattr(value, "item") and value.size == 1 else value
    if type(value) not in (int, float) or value not in range(len(names)):
        raise CorpusError(f"{field} cannot be read", where=where, got=describe(value),
                          expected=", ".join(f"{code} {name}" for code, name in enumerate(names)))
    return names[int(value)]


# --------------------------------------------------------------------------------------- two corpora

def _iemocap_turns(found: Dialogues, dialogue: str, split: str | None, path: Path) -> Iterator[_Turn]:
    names = found.ids[dialogue] if found.ids is not None else None
    for place in range(len(found.emotion[dialogue])):
        where = f"{path}: dialogue {dialogue}, utterance {place}"
        if names is None:  # only its place among those that the set has is known
            name, gender = f"{dialogue}_pos{place}", plain_text(found.speakers[dialogue][place], where)
        else:
            name = plain_text(names[place], where)
            gender = name[-4:-3]
            if not re.fullmatch(rf"{dialogue}_[FM]\d{{3}}", name, re.ASCII):
                raise CorpusError("this is no utterance of the dialogue", where=where, got=ascii(name[:100]),
                                  expected=f"{dialogue}_F000 and the like")
        if gender not in ("F", "M"):
            raise CorpusError("this speaker is not known", where=where, expected="F or M", got=ascii(gender[:100]))
        yield _Turn(dialogue, place, Utterance(
            key=f"iemocap_{name}", corpus="iemocap", split=split, dialogue=f"iemocap_{dialogue}", turn=place,
            speaker=dialogue[:5] + gender, text=plain_text(found.texts[dialogue][place], where),
            annotation={"emotion": _label(found.emotion[dialogue], place, IEMOCAP_CODES, "emotion", where)}))


def _meld_turns(found: Dialogues, dialogue: Any, split: str, path: Path) -> Iterator[_Turn]:
    name = f"meld_{split}_dia{_meld_number(dialogue) - MELD_NUMBERS[split].start}"
    for place in range(len(found.emotion[dialogue])):
        where = f"{path}: dialogue {dialogue}, utterance {place}"
        annotation = {"emotion": _label(found.emotion[dialogue], place, MELD_EMOTIONS, "emotion", where)}
        if found.sentiment is not None:
            annotation["sentiment"] = _label(found.sentiment[dialogue], place, MELD_SENTIMENTS, "sentiment", where)
        # Nine places, of which one is 1: who that is differs from dialogue to dialogue.
        speaker = found.speakers[dialogue][place]
        hot = [number for number, one in enumerate(speaker if entries(speaker) else ()) if entries(one) is None and one]
        if len(hot) != 1:
            raise CorpusError("this speaker is not known", where=where, got=describe(speaker),
                              expected="nine numbers, one of them 1 and the others 0")
        # Not `utt`: MELD's own utterance numbers have gaps, and the file has places only.
        yield _Turn(dialogue, place, Utterance(
            key=check_key(f"{name}_pos{place}"), corpus="meld", split=split, dialogue=name, turn=place,
            speaker=f"{name}_speaker{hot[0]}", text=plain_text(found.texts[dialogue][place], where),
            annotation=annotation))


def _meld_number(dialogue: Any) -> int | None:
    if isinstance(dialogue, str) and dialogue.isascii() and dialogue.isdigit() and len(dialogue) <= 4:
        dialogue = int(dialogue)
    return dialogue if type(dialogue) is int and any(dialogue in numbers for numbers in MELD_NUMBERS.values()) else None


def _meld_split(dialogue: Any, listed: str | None, path: Path) -> str:
    """Return the split that a dialogue's number says; the lists call dev train where they know no dev."""
    split = next(split for split, numbers in MELD_NUMBERS.items() if _meld_number(dialogue) in numbers)
    if listed not in (None, split) and (listed, split) != ("train", "dev"):
        raise CorpusError("a list of the file and the number of a dialogue disagree", where=str(path),
                          expected=f"{dialogue} in {split}", got=listed)
    return split


# Quirks
#
# - The order of the tuple is not the same for IEMOCAP and MELD, and there is a third with pictures' features for
#   MELD, which MMGCN and its successors use; what is a dict and what a list tells them apart.
# - IEMOCAP has 53 more `hap` than its own evaluation files: turns without a majority, which the actor's vote
#   decided. Turns of other emotions are not in the file, so that turns are counted without them.
# - Train and test may be sets, whose order is not kept: dialogues are sorted.
# - The train list of MELD holds dev too; the numbers of the dialogues tell them apart.
# - MELD's speakers are one-hot in nine places that stand for others in each dialogue.
