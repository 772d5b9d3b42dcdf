"""MELD (Poria et al., ACL 2019): 13,708 utterances of *Friends*, one clip each, seven emotions.

Its quirks, and what is done about each, stand at the foot of this file and on `docs/meld.md`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from emoprep.contracts import Corpus, Option
from emoprep.errors import CorpusError, MissingInput
from emoprep.formats.rows import csv_rows
from emoprep.labels import LabelScheme
from emoprep.utterance import SPLITS, Skip, Utterance

NAME = "meld"
TITLE = "MELD: Multimodal EmotionLines Dataset"
LICENCE = "GPL-3.0 (annotation); the clips are excerpts of a television series: research use"
CITATION = """\
@inproceedings{poria2019meld,
  title = {{MELD}: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations},
  author = {Poria, Soujanya and Hazarika, Devamanyu and Majumder, Navonil and Naik, Gautam and
            Cambria, Erik and Mihalcea, Rada},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  year = {2019},
  pages = {527--536}
}"""

EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
SENTIMENTS = ("neutral", "positive", "negative")

ANNOTATION = {
    "emotion": "string",
    "sentiment": "string",
    "season": "int32",
    "episode": "int32",
    "source_start": "float64",
    "source_end": "float64",
}

# The order is the one of the declare-lab features, which every MELD model since DialogueRNN shares.
SCHEMES = (
    LabelScheme("meld-7", "emotion", EMOTIONS, {emotion: emotion for emotion in EMOTIONS}),
    LabelScheme("meld-3", "sentiment", SENTIMENTS, {sentiment: sentiment for sentiment in SENTIMENTS}),
)

OPTIONS = {
    "twins": Option(("corrected", "plain"), "corrected",
                    "which clip to take where the test split has two of one utterance: the corrected re-cut "
                    "(final_videos_test…) or the plain one"),
}

PROTOCOLS = {}  # MELD has an official split


def recognise(source: Path) -> bool:
    """Tell whether `source` is laid out like MELD, by names alone."""
    return any(_annotation_file(source, split) or _clip_folders(source, split) for split in SPLITS)


def read(source: Path, options: dict[str, str]) -> Corpus:
    """Read the csv of each split that is there, and list its clips.

    Raises MissingInput where there is no csv at all, and CorpusError (file and line) for a row that cannot be
    read, an unknown emotion or sentiment, a missing column or two rows with one key.
    """
    folder, twins = source, options.get("twins", OPTIONS["twins"].default)
    utterances, skips, files, bare, unused, notes = [], [], [], [], [], []
    for split in SPLITS:
        clips, clip_notes = _list_clips(folder, split, twins)
        notes += clip_notes
        path = _annotation_file(folder, split)
        if path is None:
            beside = f"{len(clips)} clips but " if clips else ""
            if not clip_notes:
                notes.append(f"{split}: {beside}no {split}_sent_emo.csv; the split is left out")
            continue
        files.append(path.relative_to(folder).as_posix())
        read_utterances, read_skips = _read_split(folder, path, split, clips)
        utterances += read_utterances
        if not read_utterances:
            notes.append(f"{split}: {files[-1]} has no row below its header")
        if clips:
            skips += read_skips
            unused += [clip.path for clip in clips.values() if not clip.taken]
        else:
            bare.append(split)
    if not files:
        raise MissingInput("MELD's annotation is missing", where=str(folder),
                           expected=", ".join(f"{split}_sent_emo.csv" for split in SPLITS), got="none of them",
                           remedy="put the csv files beside the clips (train_sent_emo.csv comes in train.tar.gz)")
    return Corpus(NAME, folder, tuple(utterances), tuple(skips), tuple(files), {"twins": twins}, tuple(bare),
                  tuple(sorted(unused)), tuple(notes), ANNOTATION, SCHEMES)


# ------------------------------------------------------------------------------------------ annotation

_COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode",
            "StartTime", "EndTime")
_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d),(\d{1,3})", re.ASCII)

# Files from before November 2020, and those in MELD.Raw.tar.gz, hold cp1252 text that was decoded as latin-1.
_C1 = {0x85: "…", 0x91: "‘", 0x92: "’", 0x93: "“", 0x94: "”", 0x96: "–", 0x97: "—", 0xA0: " "}


class _Row(NamedTuple):
    line: int
    dialogue: int
    utterance: int
    clip: tuple[int, int]
    speaker: str
    text: str
    seconds: float | None
    annotation: dict


def parse_time(text: str) -> float:
    """Return the seconds of a MELD time stamp; the fraction is padded on the right.

    >>> parse_time("0:01:05,28"), parse_time("00:01:02,500")
    (65.28, 62.5)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("H:MM:SS,mmm")
    hours, minutes, seconds, fraction = match.groups()
    # In whole milliseconds: a sum of floats would give 65.28000000000001.
    return (int(hours) * 3_600_000 + int(minutes) * 60_000 + int(seconds) * 1000
            + int(fraction.ljust(3, "0"))) / 1000


def _annotation_file(folder: Path, split: str) -> Path | None:
    """Find a split's csv: in the corpus folder, with the clips, or one level above them."""
    places = [folder, folder / split]
    for clips in _clip_folders(folder, split):
        places += [clips, clips.parent]
    # `_dya` is the dyadic subset, whose rows name the clips of the full corpus.
    for name in (f"{split}_sent_emo.csv", f"{split}_sent_emo_dya.csv"):
        for place in places:
            if (place / name).is_file():
                return place / name
    return None


def _rows(path: Path, where: str):
    """Yield (line, {column: text}) of a csv file."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    for code, meant in _C1.items():
        text = text.replace(chr(code), meant)
    rows = csv_rows(text, where)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise CorpusError("a column is missing", where=where, expected=", ".join(_COLUMNS),
                          got=f"no {', '.join(missing)}", remedy="take the csv as MELD ships it")
    if twice := next((name for name in _COLUMNS if header.count(name) > 1), None):
        raise CorpusError("a column is there twice", where=where, expected="one of each name", got=twice,
                          remedy="remove one of the two")
    for line, fields in rows:
        yield line, dict(zip(header, fields, strict=True))


def _parse_row(line: int, fields: dict[str, str], where: str) -> _Row:
    def cell(column, parse, expected):
        try:
            return parse(fields[column])
        except ValueError as error:
            raise CorpusError(f"{column} cannot be read", where=f"{where}:{line}", expected=expected,
                              got=repr(fields[column]), remedy="mend the row") from error

    def one_of(choices):
        def parse(text):
            if (value := text.strip().lower()) not in choices:
                raise ValueError
            return value
        return parse

    def natural(text):
        # int() would also take "1_0", " 1" and "-1".
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise ValueError
        return int(text)

    start, end = (cell(column, parse_time, "H:MM:SS,mmm") for column in ("StartTime", "EndTime"))
    dialogue, number = (cell(column, natural, "a whole number") for column in ("Dialogue_ID", "Utterance_ID"))
    clip = (dialogue, number)
    if "Old_Dialogue_ID" in fields:
        clip = tuple(cell(column, natural, "a whole number") for column in ("Old_Dialogue_ID", "Old_Utterance_ID"))
    annotation = {
        "emotion": cell("Emotion", one_of(EMOTIONS), " or ".join(EMOTIONS)),
        "sentiment": cell("Sentiment", one_of(SENTIMENTS), " or ".join(SENTIMENTS)),
        "season": cell("Season", natural, "a whole number"),
        "episode": cell("Episode", natural, "a whole number"),
        "source_start": start,
        "source_end": end,
    }
    return _Row(line, dialogue, number, clip, fields["Speaker"].strip(), fields["Utterance"],
                round(end - start, 3) if end >= start else None, annotation)


def _read_split(folder, path, split, clips) -> tuple[list[Utterance], list[Skip]]:
    where = path.relative_to(folder).as_posix()
    rows: dict[tuple[int, int], _Row] = {}
    for line, fields in _rows(path, where):
        row = _parse_row(line, fields, where)
        twin = rows.setdefault((row.dialogue, row.utterance), row)
        if twin is not row:
            raise CorpusError(f"dialogue {row.dialogue} utterance {row.utterance} is there twice",
                              where=f"{where}:{line}", got=f"the first in line {twin.line}",
                              remedy="remove one of the two rows")
    utterances, skips, turns = [], [], {}
    for (dialogue, number), row in sorted(rows.items()):
        key, turn = f"meld_{split}_dia{dialogue}_utt{number}", turns.get(dialogue, 0)
        turns[dialogue] = turn + 1
        clip = clips.get(row.clip)
        if clip is None:
            skips.append(Skip(key, "no-clip", f"{where}:{row.line} names dia{row.clip[0]}_utt{row.clip[1]}, "
                                              f"which no clip has"))
        else:
            clip.taken = True
        utterances.append(Utterance(
            key=key, corpus=NAME, split=split, dialogue=f"meld_{split}_dia{dialogue}", turn=turn,
            speaker=row.speaker, text=row.text, seconds=row.seconds, annotation=row.annotation,
            video=clip.path if clip and clip.path.endswith(".mp4") else None,
            audio=clip.path if clip else None,
            flags=(*(clip.flags if clip else ()), *(() if row.seconds is not None else ("csv-time-reversed",)))))
    return utterances, skips


# ----------------------------------------------------------------------------------------------- clips

_CLIP = re.compile(r"(?P<fix>final_videos_test)?dia(?P<D>\d{1,9})_utt(?P<U>\d{1,9})\.(?P<type>mp4|wav|flac)")


class _Clip:
    """A clip file, the twin that lost against it, and whether a row has claimed it."""

    def __init__(self, path, flags):
        self.path, self.flags, self.taken = path, flags, False


def _clip_folders(folder: Path, split: str) -> list[Path]:
    names = [f"{split}_splits", f"{split}_splits_complete", f"{split}/{split}_splits",
             f"{split}/{split}_splits_complete"]
    if split == "test":
        names += ["output_repeated_splits_test", "test/output_repeated_splits_test",
                  "test_splits/output_repeated_splits_test"]
    names += [split, f"audio/{split}"]
    return [folder / name for name in names if (folder / name).is_dir()]


def _list_clips(folder: Path, split: str, twins: str) -> tuple[dict[tuple[int, int], _Clip], list[str]]:
    """Return the clips of a split by (dialogue, utterance), and what is to be told about them."""
    for place in _clip_folders(folder, split):
        found: dict[tuple[int, int], dict[bool, str]] = {}
        # Sorted by type, so that the mp4 is the last to be written where a wav lies beside it.
        names = [match for name in os.listdir(place) if (match := _CLIP.fullmatch(name))]
        for match in sorted(names, key=lambda match: (match["type"] == "mp4", match["type"] == "flac", match[0])):
            found.setdefault((int(match["D"]), int(match["U"])), {})[bool(match["fix"])] = match[0]
        if found:
            below = place.relative_to(folder).as_posix()
            return {ids: _choose_twin(below, pair, twins) for ids, pair in found.items()}, []
    packed = next((folder / name for name in (f"{split}.tar.gz", f"{split}/{split}.tar.gz")
                   if (folder / name).is_file()), None)
    return {}, [f"{split}: {packed.name} is still packed (tar xzf {packed.name})"] if packed else []


def _choose_twin(below: str, pair: dict[bool, str], twins: str) -> _Clip:
    corrected = True in pair and (twins == "corrected" or False not in pair)
    flags = ("twin-corrected" if corrected else "twin-plain",) if len(pair) == 2 else ()
    return _Clip(f"{below}/{pair[corrected]}", flags)


# Quirks
#
# - Ids restart at 0 in every split, so the split is part of the key; 675 / 1,740 / 670 keys collide otherwise.
# - The times are those of the episode, never of the clip: the clip is taken whole, and End − Start only
#   checks its length.
# - `,28` means 280 ms (three rows; verified against the clips' lengths). One-digit hours in 3,367 rows.
# - `final_videos_test…` twins: 132 test clips were cut again; the plain ones are longer by 0.6 s on average and
#   hold a neighbour's words.
# - `._dia0_utt0.mp4` are AppleDouble stubs of 212 bytes that archive tools on a Mac leave; the pattern of
#   clip names leaves them out.
# - dev 110_7 has no clip, train 125_3 does not decode, nine clips (four in dev, five in test) have no row.
