"""Writes the corpus of `emoprep demo`: small, invented, in MELD's real layout, with MELD's skew and faults.

A plan is drawn first (rows, lines, faults), then the files are made from it. Faces, voices and lines carry a
little of the emotion, so that features of all three modalities have something to find. No line, name, picture
or sound is from a dataset.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from emoprep.demo.actors import SPEAKERS, face, manner_of, voice
from emoprep.films import CINEMA, in_channel, write_film
from emoprep.utterance import child_seed

__all__ = ["COUNTS", "DemoCorpus", "DemoRow", "plan_demo_corpus", "write_demo_corpus"]

COUNTS = {
    "train": {"neutral": 28, "surprise": 7, "fear": 2, "sadness": 4, "joy": 10, "disgust": 3, "anger": 6},
    "dev": {"neutral": 6, "surprise": 2, "fear": 1, "sadness": 1, "joy": 2, "disgust": 1, "anger": 2},
    "test": {"neutral": 9, "surprise": 2, "fear": 1, "sadness": 1, "joy": 3, "disgust": 1, "anger": 3},
}
"""Annotated utterances of each split and class; train has MELD's skew (47 % neutral)."""

# MELD.Raw after unpacking: (clips, csv).
_PLACES = {"train": ("train/train_splits", "train/train_sent_emo.csv"),
           "dev": ("dev_splits_complete", "dev_sent_emo.csv"),
           "test": ("output_repeated_splits_test", "test_sent_emo.csv")}
_HEADER = ("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season",
           "Episode", "StartTime", "EndTime")
_SENTIMENT = {"joy": "positive", "neutral": "neutral"}
# As in MELD.Raw.tar.gz: cp1252 text that was decoded as latin-1.
_C1 = str.maketrans("…‘’“”–—", "\x85\x91\x92\x93\x94\x96\x97")
_STUB = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(188)


@dataclass(frozen=True)
class DemoRow:
    """One row of the demo's csv, and how its clip is made.

    `start` and `end` are seconds of an invented episode; the csv repeats `start` where the fault is
    "start-is-end". `fault` is what was planted on the row, or "". `clip` is below MELD.Raw, None without one.
    """

    split: str
    dialogue: int
    utterance: int
    speaker: str
    emotion: str
    sentiment: str
    text: str
    start: float
    end: float
    fault: str = ""
    clip: str | None = None
    size: tuple[int, int] = (320, 180)
    fps: Fraction = CINEMA
    layout: str | None = "stereo"

    @property
    def key(self) -> str:
        return f"meld_{self.split}_dia{self.dialogue}_utt{self.utterance}"

    @property
    def seconds(self) -> float:
        return round(self.end - self.start, 3)


@dataclass(frozen=True)
class DemoCorpus:
    """The demo's corpus on disk. `folder` is what a user gives as IN.

    `rows` are in the csv's order. `faults` gives for each planted fault its key, or the path (below `folder`)
    of a file that belongs to no row; "utterance-gap" is the key that was left out.
    """

    folder: Path
    rows: tuple[DemoRow, ...]
    faults: dict[str, str]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The annotated utterances of each split and class."""
        counted = Counter((row.split, row.emotion) for row in self.rows)
        return {split: {emotion: counted[split, emotion] for emotion in classes}
                for split, classes in COUNTS.items()}


def write_demo_corpus(folder: Path, *, seed: int = 0) -> DemoCorpus:
    """Write the demo's corpus into `folder`/MELD.Raw, and return what was planted.

    The same seed gives the same bytes.
    """
    root = Path(folder) / "MELD.Raw"
    rows = plan_demo_corpus(seed)
    for split, (clips, table) in _PLACES.items():
        (root / clips).mkdir(parents=True, exist_ok=True)
        (root / table).write_bytes(_table([row for row in rows if row.split == split]))
    strays = _plan_strays(rows)
    with ThreadPoolExecutor(2) as pool:  # the encoder lets other threads run
        list(pool.map(partial(_write_clip, root, seed), [row for row in [*rows, *strays] if row.clip]))
    stub = root / _PLACES["test"][0] / "._dia0_utt0.mp4"
    stub.write_bytes(_STUB)
    faults = {row.fault: row.key for row in rows if row.fault} | {"utterance-gap": "meld_train_dia1_utt1"}
    faults |= {row.fault: row.clip for row in strays} | {"stub": stub.relative_to(root).as_posix()}
    return DemoCorpus(root, rows, faults)


# ------------------------------------------------------------------------------------------------ plan

# Planted on neutral rows, so that no small class loses a member.
_FAULTS = {
    "train": ("truncated", "no-sound", "centre-speech", "old-picture", "two-pictures", "short-fraction"),
    "dev": ("no-clip",),
    "test": ("start-is-end",),
}


def plan_demo_corpus(seed: int = 0) -> tuple[DemoRow, ...]:
    """Decide all rows and faults, in the order of the csv files.

    >>> rows = plan_demo_corpus(0)
    >>> len(rows), rows[0].key, sorted({row.fault for row in rows if row.split == "test"})
    (95, 'meld_train_dia0_utt0', ['', 'start-is-end', 'twin'])
    """
    rows = []
    for split, counts in COUNTS.items():
        rng = np.random.default_rng(child_seed(seed, "demo", split, 0))
        rows += _plant(_plan_split(split, counts, rng), _FAULTS[split], rng)
    return tuple(rows)


def _plan_split(split, counts, rng) -> list[DemoRow]:
    """Spread the classes over dialogues of three to eight turns between two or three speakers."""
    emotions = rng.permutation([emotion for emotion, count in counts.items() for _ in range(count)]).tolist()
    lines = {emotion: rng.permutation(_LINES[emotion]).tolist() for emotion in counts}
    rows, dialogue = [], 0
    while emotions:
        cast = rng.permutation(list(SPEAKERS))[:rng.integers(2, 4)].tolist()
        clock = round(float(rng.uniform(60, 1200)), 3)
        turns = int(rng.integers(3, 9))
        if len(emotions) - turns < 3:
            turns = len(emotions)
        for turn in range(turns):
            emotion = emotions.pop()
            text = lines[emotion][sum(row.emotion == emotion for row in rows) % len(lines[emotion])]
            end = round(clock + float(rng.uniform(0.9, 2.2)), 3)
            # Dialogue 1 of each split lacks its utterance 1, as some of MELD's do.
            utterance = turn + (dialogue == 1 and turn > 0)
            name = f"{_PLACES[split][0]}/dia{dialogue}_utt{utterance}.mp4"
            sentiment = _SENTIMENT.get(emotion, "negative")
            if emotion == "surprise" and rng.random() < 0.5:
                sentiment = "positive"
            rows.append(DemoRow(split, dialogue, utterance, cast[turn % len(cast)], emotion, sentiment, text,
                                clock, end, clip=name))
            clock = round(end + float(rng.uniform(-0.1, 0.5)), 3)
        dialogue += 1
    return rows


def _plant(rows: list[DemoRow], faults: tuple[str, ...], rng) -> list[DemoRow]:
    candidates = [number for number, row in enumerate(rows) if row.emotion == "neutral" and number]
    chosen = rng.choice(candidates, len(faults), replace=False).tolist()
    for fault, number in zip(faults, chosen, strict=True):
        row = rows[number]
        change = {
            "no-clip": {"clip": None},
            "no-sound": {"layout": None},
            "centre-speech": {"layout": "5.1"},
            "old-picture": {"size": (496, 384), "fps": Fraction(25)},
            "two-pictures": {"end": round(row.start + 0.084, 3), "text": "Oh"},
            # Written `,28`: whoever reads 28 ms gets another length.
            "short-fraction": {"end": int(row.start) + 2.28},
        }.get(fault, {})
        rows[number] = replace(row, fault=fault, **change)
    if rows[0].split == "test":
        rows[0] = replace(rows[0], fault="twin", clip=rows[0].clip.replace("/dia", "/final_videos_testdia"))
    return rows


def _plan_strays(rows) -> list[DemoRow]:
    """Return the clips that no row uses: the plain twin of test 0_0, and one that dev has no row for."""
    corrected = next(row for row in rows if row.fault == "twin")
    plain = replace(corrected, fault="plain-twin", end=corrected.end + 0.6,
                    clip=corrected.clip.replace("final_videos_test", ""))
    last = [row for row in rows if row.split == "dev" and row.dialogue == 0][-1]
    number = last.utterance + 1
    return [plain, replace(last, fault="no-row", utterance=number,
                           clip=f"{_PLACES['dev'][0]}/dia0_utt{number}.mp4")]


# ----------------------------------------------------------------------------------------------- files

def _table(rows: list[DemoRow]) -> bytes:
    """Return a split's csv in the form that MELD.Raw.tar.gz has: minimal quoting, CRLF, C1 characters."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(_HEADER)
    for number, row in enumerate(rows):
        hours = "0" if number % 4 == 1 else "00"
        end = row.start if row.fault == "start-is-end" else row.end
        times = [_stamp(seconds, hours) for seconds in (row.start, end)]
        if row.fault == "short-fraction":
            times[1] = times[1].removesuffix("0")
        table.writerow([1 + number + number // 9, row.text.translate(_C1), row.speaker.translate(_C1),
                        row.emotion, row.sentiment, row.dialogue, row.utterance, 1 + row.dialogue % 9,
                        1 + row.dialogue % 23, *times])
    return text.getvalue().encode()


def _stamp(seconds: float, hours: str) -> str:
    """Write a time of the episode's first hour as MELD does.

    >>> _stamp(62.5, "00")
    '00:01:02,500'
    """
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{hours}:{whole // 60:02d}:{whole % 60:02d},{thousandths:03d}"


def _write_clip(root: Path, seed: int, row: DemoRow) -> None:
    rng = np.random.default_rng(child_seed(seed, "demo clip", row.clip, 0))
    manner = manner_of(row.emotion, float(rng.uniform(0.3, 1.0)))
    sound = None
    if row.layout:
        sound = voice(SPEAKERS[row.speaker], manner, row.seconds, rng)
        sound = in_channel(sound, "5.1", "FC") if row.layout == "5.1" else np.stack([sound, 0.8 * sound])
    picture = face(SPEAKERS[row.speaker], manner, row.size, rng)
    write_film(root / row.clip, seconds=row.seconds, size=row.size, fps=row.fps, picture=picture, sound=sound,
               layout=row.layout or "stereo")
    if row.fault == "truncated":
        # The index of an mp4 (moov) stands at its end: nothing can be decoded without it.
        (root / row.clip).write_bytes((root / row.clip).read_bytes()[:-3000])


# ----------------------------------------------------------------------------------------------- lines

_LINES = {
    "neutral": (
        "The meeting is at four, I think.", "I’ll take the stairs.", "So, this is the blue one.", "Okay.",
        "We keep the spoons in the left drawer.", "He said “maybe”, and then he left.", "It’s on the table…",
        'She wrote "Tuesday", not "Thursday".', "Yeah, the train goes every hour.", "Hm, let me see.",
        "I have to call the office.", "That’s the second door – on the right.", "Could you pass me the list?",
        "My cousin paints fences.", "There are two of them.", "You turn it, then you press it.",
    ),
    "surprise": ("What? You’re back already!", "No way! A piano?", "Oh my, I never expected that!",
                 "Wait — you knew?!", "Really? All of them?"),
    "fear": ("Something is moving in there, I’m scared.", "Please don’t open it, I’m so afraid!",
             "Did you hear that noise? Run!"),
    "sadness": ("I miss the old house so much…", "She’s gone, and I can’t stop crying.",
                "I’m sorry. I lost it all.", "It hurts, you know."),
    "joy": ("This is wonderful, I love it!", "We won! Ha, we won!", "I’m so happy for you both!",
            "Great, great, great!", "What a lovely surprise, thank you!", "Yay, cake!"),
    "disgust": ("Ugh, that’s revolting.", "There’s hair in the soup, how gross!", "Yuck, it smells rotten."),
    "anger": ("Stop it! I hate this!", "How dare you, you liar!", "Get out of my kitchen, now!",
              "I’m furious, do you hear me?", "That’s it. I’ve had enough!"),
}
