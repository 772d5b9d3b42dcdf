"""COSMIC's pickles of IEMOCAP and MELD: its lists, and the same with four layers of RoBERTa.

Its quirks, and what is done about each, stand at the foot of this file and on `docs/processed.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emoprep.contracts import Processed
from emoprep.processed.dialoguernn import LISTS, Dialogues, holds_vectors, read_dialogues

NAME = "cosmic"
TITLE = "lists and RoBERTa features of COSMIC (iemocap.pkl, meld.pkl, iemocap_features_roberta.pkl)"
LICENCE = "MIT (conv-emotion); the corpora have licences of their own"
CITATION = """\
@inproceedings{ghosal2020cosmic,
  title = {{COSMIC}: {CO}mmon{S}ense knowledge for e{M}otion Identification in Conversations},
  author = {Ghosal, Deepanway and Majumder, Navonil and Gelbukh, Alexander and Mihalcea, Rada and
            Poria, Soujanya},
  booktitle = {Findings of the Association for Computational Linguistics: EMNLP 2020},
  pages = {2470--2481},
  year = {2020}
}"""

LAYERS = ("roberta1", "roberta2", "roberta3", "roberta4")


def recognise(loaded: Any) -> bool:
    """Tell whether this is one of the four lists of dicts by dialogue."""
    return _layout(loaded) is not None


def read(loaded: Any, path: Path) -> Processed:
    """Read all dialogues. Raises CorpusError (field, dialogue and place) for what is not as COSMIC has it."""
    return read_dialogues(_layout(loaded), path, NAME)


def _layout(loaded: Any) -> Dialogues | None:
    if not isinstance(loaded, (list, tuple)) or len(loaded) not in (6, 7, 10, 11):
        return None
    *dicts, train, test, dev = loaded
    layers = LAYERS if len(loaded) > 7 else ()
    if not all(isinstance(part, dict) for part in dicts) or not all(isinstance(part, LISTS)
                                                                    for part in (train, test, dev)):
        return None
    speakers, emotion, *rest = dicts
    sentiment = rest.pop(0) if len(dicts) == 4 + len(layers) else None
    *vectors, texts = rest
    if holds_vectors(emotion) or not all(map(holds_vectors, vectors)):
        return None
    return Dialogues(emotion, sentiment, speakers, texts, {"train": train, "dev": dev, "test": test}, None,
                     dict(zip(layers, vectors, strict=True)))


# Quirks
#
# - Train, test, valid is the order of the lists, not train, valid, test.
# - The utterances of IEMOCAP have no names here, only places among the turns that the set has.
# - The lists without features (`iemocap.pkl`, `meld.pkl`) give a store without a modality: labels, texts, splits.
# - The nine commonsense features of `*_features_comet.pkl` have no labels and are in no format by themselves.
