"""Miniatures of the processed sets that people have: their structure to the type, with content that tests recognise.

Each function writes a pickle and returns what is so of it. Dimensions are small; nothing in them is of a corpus but
the ids of videos and dialogues.
"""

import json
import pickle
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import python2_pickles

STEPS = 6
DIMS = {"text": 12, "audio": 7, "video": 5}
FIELDS = {"text": "text", "audio": "audio", "video": "vision"}


@dataclass
class Row:
    """What is so of a row: `steps` has the features [L, d] (or [d]) of each modality that it has."""

    key: str
    split: str
    dialogue: str
    turn: int
    speaker: str
    text: str
    annotation: dict
    steps: dict = field(default_factory=dict)
    start: float | None = None
    end: float | None = None


def folds() -> dict:
    return json.loads(resources.files("emoprep.corpora").joinpath("mosei/folds.json").read_text())


def random(*shape) -> np.ndarray:
    """Return float32 numbers in which no two are alike and none is 0."""
    random.generator = getattr(random, "generator", np.random.default_rng(0))
    return random.generator.uniform(0.1, 1, shape).astype(np.float32)


def dump(path: Path, value, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


# ------------------------------------------------------------------------------------- sets by video

# Segments of a video as the file has them: clip 10 before 2.
CLIPS = {"train": [(0, [0, 1, 10, 2]), (1, [3, 5]), (2, [0, 1, 2, 3, 4, 5, 6, 7])], "valid": [(0, [7, 0])],
         "test": [(0, [1]), (1, [4, 2])]}
SENTIMENTS = (-3.0, -1.6666666, -0.3333333, 0.0, 0.3333333, 1.0, 2.3333333, 3.0)
SPLITS = {"train": "train", "valid": "dev", "test": "test"}


def segments(corpus: str = "mosei") -> dict[str, list[Row]]:
    """Return the rows of each split in the order of the file, without features."""
    found, number = {}, 0
    for name, videos in CLIPS.items():
        rows = []
        for which, clips in videos:
            # Ids that begin with "-" and hold "_" come first in the folds.
            video = folds()[SPLITS[name]][which] if corpus == "mosei" else f"{name}__own{which}"
            for clip in clips:
                rows.append(Row(f"{corpus}_{video}_{clip}", SPLITS[name], f"{corpus}_{video}",
                                sorted(clips).index(clip), video, f"clip {clip}: it’s {video}",
                                {"sentiment": float(np.float32(SENTIMENTS[number % len(SENTIMENTS)]))},
                                start=number + 0.25, end=number + 2.5))
                number += 1
        found[name] = rows
    return found


def lengths(rows: list[Row], steps: int, full: int = 1) -> list[int]:
    """Return a length for each row; some are as long as the array."""
    return [steps if number % 5 == full else 1 + number % (steps - 1) for number in range(len(rows))]


def pad(sequence: np.ndarray, steps: int, side: str) -> np.ndarray:
    padded = np.zeros((steps, sequence.shape[1]), sequence.dtype)
    if side == "left":
        padded[steps - len(sequence):] = sequence
    else:
        padded[:len(sequence)] = sequence
    return padded


def mmsa(path: Path, *, aligned: bool = True, corpus: str = "mosei", side: str = "right", protocol: int = 4,
         masked: bool = False) -> list[Row]:
    """Write a feature file of MMSA's. Its last test row has no picture, its first audio an infinity.

    With `masked` the padding of the text is what BERT made of it, and `text_bert` says where the text ends.
    """
    found, steps = segments(corpus), {"text": STEPS, "audio": STEPS, "video": STEPS}
    if not aligned:
        steps |= {"audio": 11, "video": 8}
    content = {}
    for name, rows in found.items():
        arrays, bert = {modality: [] for modality in DIMS}, []
        for row, length in zip(rows, lengths(rows, STEPS), strict=True):
            for modality, dim in DIMS.items():
                many = length if aligned or modality == "text" else min(steps[modality], 2 * length)
                row.steps[modality] = random(many, dim)
            if row.steps["video"].shape[0] > 2:
                row.steps["video"][1] = 0  # a step without a face, within
            if row is found["test"][-1]:
                del row.steps["video"]
            if row is found["train"][0]:
                row.steps["audio"][0, 0] = -np.inf
            for modality, dim in DIMS.items():
                padded = pad(row.steps.get(modality, np.zeros((1, dim), np.float32)), steps[modality], side)
                if masked and modality == "text":
                    padded[length:] = 0.125
                arrays[modality].append(padded)
            bert.append([[101] * length + [0] * (STEPS - length), [1] * length + [0] * (STEPS - length), [0] * STEPS])
            row.annotation["polarity"] = polarity(row.annotation["sentiment"])
        polarities = [row.annotation["polarity"] for row in rows]
        content[name] = {
            "raw_text": np.array([row.text for row in rows]), "id": [mmsa_id(row) for row in rows],
            "audio": np.stack(arrays["audio"]).astype(np.float64), "vision": np.stack(arrays["video"]),
            "text": np.stack(arrays["text"]), "annotations": [text.capitalize() for text in polarities],
            "classification_labels": np.array([("negative", "neutral", "positive").index(text) for text in polarities],
                                              np.float32),
            "regression_labels": np.array([row.annotation["sentiment"] for row in rows], np.float32),
            "audio_lengths": [1 for _ in rows], "vision_lengths": [1 for _ in rows]}
        if masked:
            content[name]["text_bert"] = np.array(bert, np.float32)
    dump(path, content, protocol)
    return in_order(found)


def mmsa_id(row: Row) -> str:
    clip = row.key.rpartition("_")[2]
    return f"{row.speaker}$_${clip}"


def polarity(sentiment: float) -> str:
    return "negative" if sentiment < 0 else "positive" if sentiment > 0 else "neutral"


def in_order(found: dict[str, list[Row]]) -> list[Row]:
    """Return the rows in the order of the index: by video, and within one by turn."""
    return [row for rows in found.values() for row in sorted(rows, key=lambda row: (row.speaker, row.turn))]


def mult(path: Path, *, corpus: str = "mosei", python2: bool = True, named: bool = True) -> list[Row]:
    """Write MulT's file: left-padded, word by word, ids as [video, start, end], by Python 2."""
    found, content = segments(corpus), {}
    for name, rows in found.items():
        arrays = {modality: [] for modality in DIMS}
        for row, length in zip(rows, lengths(rows, STEPS, full=2), strict=True):
            row.key = f"{row.dialogue}_t{round(row.start * 10_000)}_{round(row.end * 10_000)}"
            row.text, row.steps = "", {modality: random(length, dim) for modality, dim in DIMS.items()}
            if row is found["train"][0]:
                row.steps["audio"][0, :2] = -np.inf, np.nan
            for modality in DIMS:
                arrays[modality].append(pad(row.steps[modality], STEPS, "left"))
        # Times follow the file here, so that turns do.
        for video in {row.speaker for row in rows}:
            for turn, row in enumerate(row for row in rows if row.speaker == video):
                row.turn = turn
        content[name] = {FIELDS[modality]: np.stack(array) for modality, array in arrays.items()}
        content[name]["labels"] = np.array([row.annotation["sentiment"] for row in rows], np.float32).reshape(-1, 1, 1)
        if named:
            content[name]["id"] = np.array([[row.speaker, str(row.start), str(row.end)] for row in rows],
                                           "S" if python2 else "U")
    path.write_bytes(python2_pickles.dumps(content) if python2 else pickle.dumps(content, 4))
    return in_order(found)


# ---------------------------------------------------------------------------------- sets by dialogue

IEMOCAP = {"Ses01F_impro01": "MFMFF", "Ses02M_script01_2": "FM", "Ses03M_impro05a": "FFM", "Ses05F_impro01": "MF"}
CODES = ("hap", "sad", "neu", "ang", "exc", "fru")
WIDTHS = {"text": 10, "audio": 8, "video": 6}


def iemocap_rows(names: bool = True) -> dict[str, list[Row]]:
    found, number = {}, 0
    for dialogue, genders in IEMOCAP.items():
        rows = []
        for place, gender in enumerate(genders):
            name = f"{dialogue}_{gender}{place:03d}" if names else f"{dialogue}_pos{place}"
            rows.append(Row(f"iemocap_{name}", "test" if dialogue.startswith("Ses05") else "train",
                            f"iemocap_{dialogue}", place, dialogue[:5] + gender, f"text {number}",
                            {"emotion": CODES[number % 6]}))
            number += 1
        found[dialogue] = rows
    return found


def by_dialogue(found: dict, value) -> dict:
    return {dialogue: [value(row) for row in rows] for dialogue, rows in found.items()}


def with_vectors(found: dict, widths: dict) -> None:
    for rows in found.values():
        for row in rows:
            row.steps = {modality: random(width) for modality, width in widths.items()}


def dialoguernn_iemocap(path: Path) -> list[Row]:
    """Write DialogueRNN's tuple of nine for IEMOCAP, by Python 2; its last utterance has no picture."""
    found = iemocap_rows()
    with_vectors(found, WIDTHS)
    last = found["Ses05F_impro01"][-1]
    vectors = {modality: by_dialogue(found, lambda row, modality=modality: row.steps[modality]) for modality in WIDTHS}
    vectors["video"]["Ses05F_impro01"][-1] = np.zeros(WIDTHS["video"], np.float32)
    del last.steps["video"]
    path.write_bytes(python2_pickles.dumps((
        by_dialogue(found, lambda row: row.key.removeprefix("iemocap_")),
        by_dialogue(found, lambda row: row.speaker[-1]), by_dialogue(found, lambda row: CODES.index(
            row.annotation["emotion"])), vectors["text"], vectors["audio"], vectors["video"],
        by_dialogue(found, lambda row: row.text), {name for name in IEMOCAP if not name.startswith("Ses05")},
        {name for name in IEMOCAP if name.startswith("Ses05")})))
    return [row for name in sorted(found) for row in found[name]]


MELD = {0: ("train", [0, 1, 0]), 1038: ("train", [2]), 1039: ("dev", [0, 0]), 1153: ("test", [1, 0, 2]),
        1432: ("test", [0])}
EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
SENTIMENT_OF = {"neutral": "neutral", "joy": "positive"}
MELD_STARTS = {"train": 0, "dev": 1039, "test": 1153}


def meld_rows() -> dict[int, list[Row]]:
    found, number = {}, 0
    for dialogue, (split, speakers) in MELD.items():
        name, rows = f"meld_{split}_dia{dialogue - MELD_STARTS[split]}", []
        for place, speaker in enumerate(speakers):
            emotion = EMOTIONS[number % 7]
            rows.append(Row(f"{name}_pos{place}", split, name, place, f"{name}_speaker{speaker}", f"it’s {number}",
                            {"emotion": emotion, "sentiment": SENTIMENT_OF.get(emotion, "negative")}))
            number += 1
        found[dialogue] = rows
    return found


def one_hot(row: Row) -> list[int]:
    return [int(place == int(row.speaker[-1])) for place in range(9)]


def dialoguernn_meld(path: Path, *, pictures: bool = False) -> list[Row]:
    """Write DialogueRNN's tuple of nine for MELD, vectors as lists of numbers; with pictures that of MMGCN."""
    found = meld_rows()
    widths = WIDTHS if pictures else {"text": 10, "audio": 8}
    with_vectors(found, widths)
    vectors = [by_dialogue(found, lambda row, modality=modality: row.steps[modality].tolist()) for modality in widths]
    places = by_dialogue(found, lambda row: row.turn)
    emotion = by_dialogue(found, lambda row: EMOTIONS.index(row.annotation["emotion"]))
    sentiment = by_dialogue(found, lambda row: ("neutral", "positive", "negative").index(row.annotation["sentiment"]))
    lists = [[number for number in MELD if number < 1153], [number for number in MELD if number >= 1153]]
    dump(path, (places, by_dialogue(found, one_hot), emotion, *vectors, by_dialogue(found, lambda row: row.text),
                *lists, sentiment), 2)
    if pictures:
        for rows in found.values():
            for row in rows:
                del row.annotation["sentiment"]
    return [row for name in sorted(found) for row in found[name]]


def cosmic(path: Path, corpus: str, *, features: bool = True) -> list[Row]:
    """Write COSMIC's list: of IEMOCAP or MELD, with four layers of RoBERTa or without."""
    found = iemocap_rows(names=False) if corpus == "iemocap" else meld_rows()
    layers = {f"roberta{layer}": 16 for layer in (1, 2, 3, 4)} if features else {}
    with_vectors(found, layers)
    if corpus == "iemocap":
        for row in found["Ses02M_script01_2"]:
            row.split = "dev"
    split_of = {dialogue: rows[0].split for dialogue, rows in found.items()}
    lists = [[dialogue for dialogue, split in split_of.items() if split == wanted]
             for wanted in ("train", "test", "dev")]
    codes = CODES if corpus == "iemocap" else EMOTIONS
    labels = [by_dialogue(found, lambda row: codes.index(row.annotation["emotion"]))]
    if corpus == "meld":
        labels.append(by_dialogue(found, lambda row: ("neutral", "positive", "negative").index(
            row.annotation["sentiment"])))
    vectors = [by_dialogue(found, lambda row, layer=layer: row.steps[layer]) for layer in layers]
    dump(path, [by_dialogue(found, one_hot if corpus == "meld" else lambda row: row.speaker[-1]), *labels, *vectors,
                by_dialogue(found, lambda row: row.text), *lists])
    order = {"train": 0, "dev": 1, "test": 2}
    names = sorted(found, key=lambda name: (order[split_of[name]], name))
    return [row for name in names for row in found[name]]


MINIATURES = {
    "mmsa": lambda path: mmsa(path), "mmsa-unaligned": lambda path: mmsa(path, aligned=False, side="right"),
    "mult": lambda path: mult(path), "dialoguernn-iemocap": dialoguernn_iemocap,
    "dialoguernn-meld": dialoguernn_meld, "dialoguernn-pictures": lambda path: dialoguernn_meld(path, pictures=True),
    "cosmic-iemocap": lambda path: cosmic(path, "iemocap"), "cosmic-meld": lambda path: cosmic(path, "meld"),
    "cosmic-lists-iemocap": lambda path: cosmic(path, "iemocap", features=False),
    "cosmic-lists-meld": lambda path: cosmic(path, "meld", features=False),
}
"""One of each structure; the name begins with that of the module."""
