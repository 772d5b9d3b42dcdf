"""A table of one's own: csv, jsonl or parquet, one row an utterance of any film or sound file.

Its quirks, and what is done about each, stand at the foot of this file and on `docs/table.md`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from emoprep.contracts import Corpus, modules
from emoprep.errors import CorpusError, MissingInput
from emoprep.formats.rows import ENDINGS, Rows, is_table, read_rows
from emoprep.labels import LabelScheme
from emoprep.store.index import COLUMNS
from emoprep.utterance import SPLITS, Skip, Utterance, check_key

NAME = "table"
TITLE = "A table of one's own"
LICENCE = "that of the table and of the media it names, which emoprep does not know"
CITATION = ""  # it is nobody's publication

ANNOTATION = {}  # the table's own columns
SCHEMES = ()  # over the values that occur
OPTIONS = {}
PROTOCOLS = {}  # nothing is known of its sessions; `emoprep split` makes splits


def recognise(source: Path) -> bool:
    """Tell by its name whether `source` is a table; a folder is none."""
    return is_table(source) and not source.is_dir()


def read(source: Path, options: dict[str, str]) -> Corpus:
    """Read the table, and look for the files that it names by their paths from its folder.

    Raises MissingInput where it is no table, and CorpusError (file and line) for a cell that cannot be read, a
    missing or doubled column, two rows with one key, or a dialogue that stands in two splits.
    """
    if source.is_dir():
        raise MissingInput("IN is a folder", where=str(source), expected=f"a table ({', '.join(ENDINGS)})",
                           remedy="give the table itself, not the folder that it lies in")
    rows, root = _named(read_rows(source), source), source.parent
    paths, times, splits = _paths(rows, root), _times(rows), _splits(rows)
    keys, dialogues = _keys(rows, paths, times), _dialogues(rows, paths, splits)
    kinds, annotation, notes = _annotation(rows)
    there = {path: os.path.isfile(root / path) for path in dict.fromkeys(paths)}
    speakers, texts = rows.printable("speaker"), rows.columns.get("text") or [""] * len(paths)
    utterances, skips = [], []
    for row, turn in _order(rows, paths, times, splits, dialogues):
        path, (start, end) = paths[row], times[row]
        media = path if there[path] else None
        if media is None:
            skips.append((splits[row], Skip(keys[row], "no-clip", f"{rows.at(row)} names {path!r}, which is no file")))
        utterances.append(Utterance(
            key=keys[row], corpus=NAME, split=splits[row], dialogue=dialogues[row], turn=turn, speaker=speakers[row],
            text=texts[row], video=None if path.lower().endswith(_SOUND) else media, audio=media, start=start, end=end,
            seconds=None if start is None else float(end - start),
            annotation={name: values[row] for name, values in annotation.items()}))
    bare = _bare_splits(utterances)
    return Corpus(NAME, root, tuple(utterances), tuple(skip for split, skip in skips if split not in bare),
                  (source.name,), {}, bare, (), (*rows.notes, *notes), kinds, _schemes(rows, kinds, annotation))


def _bare_splits(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    clips = {utterance.split for utterance in utterances if utterance.audio}
    rows = {utterance.split for utterance in utterances}
    return tuple(split for split in SPLITS if split in rows - clips)


def row_keys(source: Path) -> dict[int, str]:
    """Return the key of each row by its line: `emoprep split` writes the table again, row by row."""
    rows = _named(read_rows(source), source)
    return dict(zip(rows.lines, _keys(rows, _paths(rows, source.parent), _times(rows)), strict=True))


# -------------------------------------------------------------------------------------------- columns

_OWN = ("key", "file", "start", "end", "text", "speaker", "dialogue", "turn", "split")

# What a sample's `.json` says of its media, and the columns of a feature store.
_TAKEN = {"size", "columns", "view", "faces", "face_mask", "face_rule", "audio", "video", "words", "transcript"}


def column_name(text: str) -> str:
    """Return a column's name as the index has it, "" where nothing is left of it.

    >>> column_name("Valence (mean)"), column_name("F0_max"), column_name("情感")
    ('valence_mean', 'f0_max', '')
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _named(rows: Rows, source: Path) -> Rows:
    """Return the table with the index's names of columns, and notes on those that were renamed."""
    columns, before, notes = {}, {}, list(rows.notes)
    for given, cells in rows.columns.items():
        name = column_name(given)
        if not re.match("[a-z]", name) or len(name) > 100:
            raise CorpusError("this name of a column cannot be used", where=rows.where, got=repr(given[:100]),
                              expected="at most 100 letters, digits and '_', a letter first",
                              remedy="rename the column")
        if name not in _OWN and (name in COLUMNS or name in _TAKEN or name.startswith(("y_", "has_"))):
            raise CorpusError("this name of a column is taken by the store", where=rows.where, got=repr(given),
                              remedy="rename the column")
        if name in columns:
            raise CorpusError("two columns have one name", where=rows.where, got=f"{before[name]!r} and {given!r}",
                              expected=f"{name} once", remedy="rename or remove one of the two")
        columns[name], before[name] = cells, given
        if name != given.lower():
            notes.append(f"column {given!r} is called {name}")
    if "file" not in columns:
        raise CorpusError("a column is missing", where=rows.where, expected="file",
                          got=", ".join(list(columns)[:20]) or "none",
                          remedy=_remedy(source))
    if not rows.lines:
        raise CorpusError("the table has no row", where=rows.where, expected="one for each utterance")
    return replace(rows, columns=columns, notes=tuple(notes))


def _remedy(source: Path) -> str:
    """Return what to do about a table that names no files: it may be a part of a corpus that is known."""
    known = [name for name, module in modules("corpora").items() if module.recognise(source.parent)]
    return f"its folder looks like {' or '.join(known)}: give the folder" if known \
        else "add a column `file` that says where each utterance lies"


# ------------------------------------------------------------------------------------- files and times

# Whatever has another ending is looked into for pictures, too.
_SOUND = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".au", ".amr")

_SECONDS = re.compile(r"(\d{0,12})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
MOST_SECONDS = 1_000_000


def _paths(rows: Rows, root: Path) -> list[str]:
    """Return each row's file as a path from the table's folder."""
    cells = rows.whole("file")
    if cells is None:
        raise CorpusError("file is empty", where=rows.at(0), expected="a file in each row", got="none in any")
    paths = {cell: _from_folder(cell, root) for cell in dict.fromkeys(cells)}
    return [paths[cell] for cell in cells]


def _from_folder(cell: str, root: Path) -> str:
    if not os.path.isabs(cell):
        return PurePosixPath(cell).as_posix()
    # An absolute path would carry the places of one machine into the store.
    near = os.path.relpath(cell, os.path.abspath(root))
    return os.path.relpath(cell, os.path.realpath(root)) if near.startswith("../") else near


def parse_seconds(text: str) -> Fraction:
    """Return the seconds that a decimal says, exactly.

    >>> parse_seconds("12.34"), parse_seconds("5e-1")
    (Fraction(617, 50), Fraction(1, 2))
    """
    match = _SECONDS.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        raise ValueError("a decimal number")
    digits, decimals = int(match[1] + (match[2] or "")), len(match[2] or "") - int(match[3] or 0)
    seconds = Fraction(digits, 10**decimals) if decimals >= 0 else Fraction(digits * 10**-decimals)
    if seconds > MOST_SECONDS:
        raise ValueError("too many seconds")
    return seconds


def _times(rows: Rows) -> list[tuple[Fraction | None, Fraction | None]]:
    """Return each row's start and end; (None, None) is the whole file."""
    times = []
    for row, pair in enumerate(zip(rows.column("start"), rows.column("end"), strict=True)):
        if not any(pair):
            times.append((None, None))
            continue
        try:
            start, end = map(parse_seconds, pair)
            if start >= end:
                raise ValueError
        except ValueError as error:
            raise CorpusError("start and end cannot be read", where=rows.at(row),
                              expected=f"seconds such as 12.5, from 0 to {MOST_SECONDS}, the end after the start "
                                       "(neither: the whole file)",
                              got=" and ".join(repr(text[:100]) for text in pair), remedy="mend the row") from error
        times.append((start, end))
    return times


# -------------------------------------------------------------------------- keys, splits and dialogues

_SPLITS = {"train": "train", "training": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev",
           "development": "dev", "test": "test", "testing": "test", "eval": "test", "evaluation": "test"}


def _splits(rows: Rows) -> list[str | None]:
    cells = rows.whole("split") or []
    for row, cell in enumerate(cells):
        if cell.lower() not in _SPLITS:
            raise CorpusError("split cannot be read", where=rows.at(row), expected=", ".join(_SPLITS),
                              got=repr(cell[:100]), remedy="mend the row")
    return [_SPLITS[cell.lower()] for cell in cells] or [None] * len(rows.lines)


def safe_name(text: str) -> str:
    """Return `text` as part of a key: other letters by their numbers, what is too long by a digest.

    >>> safe_name("clips/a b-1"), safe_name("é")
    ('clips_a_b-1', 'u00e9')
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", lambda one: "_" if one[0].isascii() else f"u{ord(one[0]):04x}", text)
    return safe if len(safe) <= 150 else f"{safe[:140]}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def place_name(path: str) -> str:
    """Return a file's path as a part of keys: without its ending, and without the way out of the folder.

    >>> place_name("clips/a.b.wav"), place_name("../../films/a.mp4")
    ('clips_a_b', 'films_a')
    """
    return safe_name(re.sub(r"^(\.\./)+", "", os.path.splitext(path)[0]))


def _keys(rows: Rows, paths: list[str], times: list) -> list[str]:
    given = rows.whole("key")
    if given is None:
        names = {path: place_name(path) for path in dict.fromkeys(paths)}
        keys = [f"{NAME}_{names[path]}_{0 if start is None else start.numerator * 1000 // start.denominator}"
                for path, (start, _) in zip(paths, times, strict=True)]
    else:
        keys = [check_key(key, rows.at(row)) for row, key in enumerate(given)]
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        if first.setdefault(key, row) != row:
            raise CorpusError("two rows have one key", where=rows.at(row),
                              got=f"{key}, which line {rows.lines[first[key]]} has too",
                              remedy="remove one, or give each row a `key` of its own")
    return keys


def _dialogues(rows: Rows, paths: list[str], splits: list[str | None]) -> list[str]:
    """Return each row's dialogue: that of the table, else its file."""
    given = rows.whole("dialogue")
    texts = given or paths
    names = {text: f"{NAME}_{safe_name(text) if given else place_name(text)}" for text in dict.fromkeys(texts)}
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        one = first.setdefault(names[text], row)
        if texts[one] != text:
            raise CorpusError("two dialogues would have one name", where=rows.at(row),
                              got=f"{text!r} and in line {rows.lines[one]} {texts[one]!r}, both {names[text]}",
                              remedy="name them apart in a column `dialogue`")
        if splits[one] != splits[row]:
            raise CorpusError("a dialogue stands in two splits", where=rows.at(row),
                              expected=f"{splits[one]}, as in line {rows.lines[one]}",
                              got=f"{splits[row]} for {text!r}",
                              remedy="keep it in one split; if these are two, name them apart in a column `dialogue`")
    return [names[text] for text in texts]


def _order(rows: Rows, paths, times, splits, dialogues) -> list[tuple[int, int]]:
    """Return (row, turn) in the order of the index: split by split, dialogue by dialogue, in time order."""
    turns = _turns(rows)
    groups: dict[str, list[int]] = {}
    for row, dialogue in enumerate(dialogues):
        groups.setdefault(dialogue, []).append(row)
    for members in groups.values():
        if turns is not None:
            members.sort(key=turns.__getitem__)
            for one, other in itertools.pairwise(members):
                if turns[one] == turns[other]:
                    raise CorpusError("two rows of a dialogue have one turn", where=rows.at(other),
                                      got=f"{turns[other]}, which line {rows.lines[one]} has too", remedy="mend one")
        elif len({paths[row] for row in members}) == 1:
            # Times in several files say nothing of their order: then the table's order stands.
            members.sort(key=lambda row: times[row][0] or 0)
    rank = [*SPLITS, None]
    ordered = sorted(groups.values(), key=lambda members: rank.index(splits[members[0]]))
    return [(row, turn) for members in ordered for turn, row in enumerate(members)]


def _turns(rows: Rows) -> list[int] | None:
    cells = rows.whole("turn")
    for row, cell in enumerate(cells or ()):
        # pandas writes whole numbers as 3.0 where a cell of the column was empty once.
        if not re.fullmatch(r"\d{1,9}(\.0)?", cell, re.ASCII):
            raise CorpusError("turn cannot be read", where=rows.at(row), expected="a whole number",
                              got=repr(cell[:100]), remedy="mend the row")
    return cells and [int(cell.partition(".")[0]) for cell in cells]


# ----------------------------------------------------------------------------------------- annotation

# With a zero in front, or with more digits than a float holds, it is a name.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d{0,14})(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_NO_NUMBER = re.compile(r"nan|[+-]?inf(inity)?", re.IGNORECASE | re.ASCII)
MOST_CLASSES = 1000


def _annotation(rows: Rows) -> tuple[dict[str, str], dict[str, list[Any]], list[str]]:
    """Return the types of all other columns, their values by row, and notes."""
    kinds, annotation, notes = {}, {}, []
    for name in rows.columns:
        if name in _OWN:
            continue
        cells = rows.printable(name) if name == "emotion" else rows.column(name)
        texts = [row for row, cell in enumerate(cells)
                 if cell and not _NUMBER.fullmatch(cell) and not _NO_NUMBER.fullmatch(cell)]
        numbers = name != "emotion" and any(map(_NUMBER.fullmatch, cells))
        if numbers and not texts:
            kinds[name], annotation[name] = "float64", _numbers(rows, name, cells)
            continue
        if numbers:
            notes.append(f"column {name} is text: {rows.at(texts[0])} has {cells[texts[0]][:100]!r} among numbers")
        kinds[name], annotation[name] = "string", [cell or None for cell in cells]
    spellings = {spelling for spelling in annotation.get("emotion", ()) if spelling}
    if len({spelling.lower() for spelling in spellings}) < len(spellings):
        notes.append("emotions that differ in capitals are classes of their own: " + ", ".join(sorted(spellings)[:20]))
    return kinds, annotation, notes


def _numbers(rows: Rows, name: str, cells: list[str]) -> list[float | None]:
    """Return the cells as numbers; an empty cell and NaN are none."""
    numbers = [None if cell.lower() in ("", "nan") else float(cell) for cell in cells]
    for row, number in enumerate(numbers):
        if number is not None and not math.isfinite(number):
            raise CorpusError(f"{name} cannot be read", where=rows.at(row), expected="a finite number",
                              got=repr(cells[row]), remedy="mend the row")
    return numbers


def _schemes(rows: Rows, kinds: dict[str, str], annotation: dict[str, list[Any]]) -> tuple[LabelScheme, ...]:
    """Return the scheme over the emotions that occur, else over all columns of numbers (multi-label)."""
    emotions = sorted(set(annotation.get("emotion", ())) - {None})
    if all(re.fullmatch(r"\d{1,9}", emotion, re.ASCII) for emotion in emotions):
        emotions.sort(key=int)  # so that codes 0, 1 … 10 are their own class numbers
    labels = tuple(emotions or (name for name, kind in kinds.items() if kind == "float64"))
    if len(labels) > MOST_CLASSES:
        raise CorpusError("there are too many classes", where=rows.where, got=str(len(labels)),
                          expected=f"at most {MOST_CLASSES}: emotions, or columns of intensities",
                          remedy="rename the column `emotion`, or keep features out of the table")
    same = {label: label for label in labels}
    if emotions:
        return (LabelScheme("table-emotion", "emotion", labels, same),)
    return (LabelScheme("table-intensities", labels=labels, columns=same),) if labels else ()


# Quirks
#
# - Every cell is text until its column is known to hold numbers, whatever the format: the same table as csv,
#   jsonl and parquet is the same corpus. 0.1 in a parquet file is read as 0.1, not as the nearest float.
# - Excel writes `;` where the decimal mark is a comma; the header tells. A decimal comma is refused.
# - pandas writes row numbers as a column without a name (`to_csv`), reads them back as `Unnamed: 0`, and keeps
#   them as `__index_level_0__` in parquet: left out, with a note. It turns whole numbers into 3.0 where a cell
#   is empty, and an empty cell into NaN.
# - A file may lie outside the table's folder: an absolute path becomes one from the folder, and keys leave the
#   `..` out.
# - Numbers with a zero in front (RAVDESS' 01, participants) are names, not intensities.
# - A split that is there for some rows only, and a dialogue that stands in two, are mistakes that nothing later
#   on could find.
