"""A miniature table of one's own: films and sounds of all kinds, and the table that says what lies where in them.

Every file has its own colour and tone, and numbered pictures, so that a test can tell which file and which
moment it was given.
"""

import csv
import io
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from emoprep.films import numbered, tone, write_film

FPS = 25
HEADER = ("file", "start", "end", "speaker", "text", "emotion", "Arousal (1-5)", "split")


@dataclass(frozen=True)
class Media:
    """A file of the miniature: its length in seconds, the colour of its pictures (None: sound only), its tone in Hz."""

    path: str
    seconds: Fraction
    colour: tuple[int, int, int] | None
    hz: float | None


@dataclass(frozen=True)
class Truth:
    """What is so about one row; `media` is None where its file is not there."""

    key: str
    dialogue: str
    turn: int
    split: str
    start: Fraction | None
    end: Fraction | None
    speaker: str
    text: str
    emotion: str | None
    arousal: float | None
    media: Media | None


@dataclass(frozen=True)
class Miniature:
    """A miniature on disk: `folder` is what a user gives as IN, here a file; `truth` is by key, in order."""

    folder: Path
    truth: dict[str, Truth]


_MEDIA = {media.path: media for media in (
    Media("talks/one.mp4", Fraction(6), (200, 60, 40), 330.0),
    Media("talks/two.mkv", Fraction(4), (40, 160, 70), 440.0),
    Media("talks/silent.mp4", Fraction(2), (60, 80, 200), None),
    Media("voices/Zoë 1.wav", Fraction(3, 2), None, 550.0),
    Media("voices/b.flac", Fraction(5, 2), None, 660.0),
)}

# In the table's order, which is not that of time.
_ROWS = (
    ("talks/one.mp4", "4", "5.52", "Ida", "Is that so?", "surprise", "4", "train"),
    ("talks/one.mp4", "0.5", "2", "Ida", "Well, I said “no”.", "anger", "4.5", "train"),
    ("talks/one.mp4", "1.9", "3.25", "Otto", "Fine; as you like.\nReally.", "neutral", "2", "train"),
    ("talks/two.mkv", ".25", "1.45", "Otto", "Hello.", "joy", "", "training"),
    ("talks/two.mkv", "1.45", "4.0", "Ida", "", "", "1", "training"),
    ("voices/Zoë 1.wav", "", "", "Zoë", "Never.", "anger", "5", "validation"),
    ("talks/silent.mp4", "", "", "Ida", "…", "neutral", "1", "validation"),
    ("voices/b.flac", "0", "1", "Otto", "Ha!", "joy", "3.5", "Test"),
    ("voices/b.flac", "1", "2.3", "Otto", "Oh no", "anger", "3", "Test"),
    ("talks/lost.mp4", "0", "1", "Ida", "Gone.", "neutral", "2", "Test"),
)

# (key, turn, row), as the index has them.
_INDEX = (
    ("table_talks_one_500", 0, 1), ("table_talks_one_1900", 1, 2), ("table_talks_one_4000", 2, 0),
    ("table_talks_two_250", 0, 3), ("table_talks_two_1450", 1, 4),
    ("table_voices_Zou00eb_1_0", 0, 5), ("table_talks_silent_0", 0, 6),
    ("table_voices_b_0", 0, 7), ("table_voices_b_1000", 1, 8), ("table_talks_lost_0", 0, 9),
)


def build_miniature(root: Path, ending: str = "csv") -> Miniature:
    """Write the miniature below `root`, its table as csv, tsv, jsonl or parquet, and return the truth about it."""
    folder = root / "recordings"
    for media in _MEDIA.values():
        _write(folder / media.path, media)
    table = folder / f"clips.{ending}"
    if ending == "parquet":
        _write_parquet(table)
    else:
        table.write_bytes(_lines() if ending == "jsonl" else _fields("," if ending == "csv" else "\t"))
    return Miniature(table, {key: _truth(key, turn, *_ROWS[row]) for key, turn, row in _INDEX})


def _write(path: Path, media: Media) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_film(path, seconds=media.seconds, fps=FPS, layout="mono",
               picture=media.colour and numbered(media.colour),
               sound=None if media.hz is None else tone(media.hz, media.seconds)[np.newaxis])


def _fields(separator: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows([HEADER, *_ROWS])
    return text.getvalue().encode("utf-8-sig")


def _values() -> list[dict]:
    numbers = {"start", "end", "Arousal (1-5)"}
    return [{name: (float(cell) if cell else None) if name in numbers else cell or None
             for name, cell in zip(HEADER, row, strict=True)} for row in _ROWS]


def _lines() -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _values()).encode()


def _write_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(_values()), path)


def _truth(key, turn, file, start, end, speaker, text, emotion, arousal, split) -> Truth:
    return Truth(key, key.rpartition("_")[0], turn,
                 {"training": "train", "validation": "dev", "Test": "test"}.get(split, split),
                 Fraction(start) if start else None, Fraction(end) if end else None, speaker, text, emotion or None,
                 float(arousal) if arousal else None, _MEDIA.get(file))
