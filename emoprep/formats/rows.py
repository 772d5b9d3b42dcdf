"""Rows of a table that somebody made, csv, jsonl or parquet, as columns of text with the line of each row.

What the text means is not this room's business (see `corpora/table.py`): the same table in another of these
formats gives the same columns.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoprep.errors import CorpusError, MissingInput

__all__ = ["ENDINGS", "Rows", "csv_rows", "is_table", "read_rows", "separator_of"]

# A parquet file of a few kilobytes can claim a thousand million rows.
MOST_BYTES, MOST_CELLS = 2**30, 50_000_000

# NUL ends a path for the system, and half of a surrogate pair (a JSON escape can spell one) cannot be written.
_BROKEN = re.compile("[\0\ud800-\udfff]")

# Row numbers that pandas writes beside the data.
_ROW_NUMBERS = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?", re.ASCII)


@dataclass(frozen=True)
class Rows:
    """A table: its cells by column, "" where there is nothing; every column is as long as `lines`.

    `where` is the file's name, `lines` say where each row stands (in parquet: its number, from 1).
    """

    where: str
    lines: Sequence[int]
    columns: dict[str, list[str]]
    notes: tuple[str, ...] = ()

    def at(self, row: int) -> str:
        """Return the place of a row for an error."""
        return f"{self.where}:{self.lines[row]}"

    def column(self, name: str) -> list[str]:
        """Return a column's cells, stripped; of a column that is not there, empty ones."""
        return [cell.strip() for cell in self.columns.get(name) or [""] * len(self.lines)]

    def whole(self, name: str) -> list[str] | None:
        """Return a column that all rows have, or None where none has it; raise CorpusError where some have it."""
        cells = self.column(name)
        if not any(cells):
            return None
        if "" in cells:
            raise CorpusError(f"{name} is empty", where=self.at(cells.index("")),
                              expected=f"a {name} in all rows or in none",
                              got=f"{cells.count('')} of {len(cells)} rows without",
                              remedy="fill it, or remove the column")
        return cells

    def printable(self, name: str) -> list[str]:
        """Return a column of names, with single blanks; a terminal would obey some characters."""
        cells = [" ".join(cell.split()) for cell in self.column(name)]
        for row, cell in enumerate(cells):
            if not cell.isprintable():
                raise CorpusError(f"{name} cannot be printed", where=self.at(row), got=repr(cell[:100]),
                                  expected="characters that can be seen", remedy="mend the row")
        return cells


def is_table(path: Path) -> bool:
    """Tell by the name whether a file is a table that `read_rows` reads.

    >>> is_table(Path("clips.CSV")), is_table(Path("clips.xlsx"))
    (True, False)
    """
    return path.suffix.lower() in ENDINGS


def read_rows(path: Path) -> Rows:
    """Read a table; rows without any cell and pandas' row numbers are left out, with a note.

    Raises MissingInput where the ending is none of ENDINGS, CorpusError (file and line) for what cannot be
    read: text that is not UTF-8, a row with another number of fields than the header, a line that is no JSON
    object of plain values, a column that is there twice, a parquet type that is neither text nor number.
    """
    if not is_table(path):
        raise MissingInput("this is no table", where=str(path), expected=" or ".join(ENDINGS),
                           got=path.suffix or "no ending")
    if _BROKEN.search(path.name):
        raise MissingInput("this name is not UTF-8", where=repr(path.name), remedy="rename the file")
    _check_bytes(path.name, path.stat().st_size)
    rows = ENDINGS[path.suffix.lower()](path)
    _check_characters(rows)
    return _without_blanks(rows)


# ------------------------------------------------------------------------------------------------ csv

def separator_of(text: str) -> str:
    """Return what separates the fields of a csv's header: the one that gives it a column `file`.

    >>> separator_of("file;emotion, as heard;text")
    ';'
    """
    def fit(separator: str) -> tuple[bool, int]:
        # 64 KiB hold any header, and are within the csv module's limit for one field.
        header = next(filter(None, csv.reader(io.StringIO(text[:65_536], newline=""), delimiter=separator)), [])
        return "file" in (name.strip().lower() for name in header), len(header)
    return max(",;\t", key=fit)


def csv_rows(text: str, where: str, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of the rows of a csv text, its header first; blank lines are passed over.

    Raises CorpusError (`where` and line) for what is no csv, and for a row with more or fewer fields than the header.

    >>> list(csv_rows('a,b\\n\\n1,"x\\ny"\\n', "t.csv"))
    [(1, ['a', 'b']), (4, ['1', 'x\\ny'])]
    """
    # newline="" and the csv module: str.splitlines() would split at U+0085, which stands in MELD's texts.
    reader, width = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), None
    try:
        for fields in filter(None, reader):
            width = width or len(fields)
            if len(fields) != width:
                raise CorpusError("this row has another number of fields than the header",
                                  where=f"{where}:{reader.line_num}", expected=str(width), got=str(len(fields)),
                                  remedy="mend the row (a stray separator or quote?)")
            yield reader.line_num, fields
    except csv.Error as error:
        raise CorpusError("this row is no csv", where=f"{where}:{reader.line_num}", got=str(error),
                          remedy="mend the row (an open quote?)") from error


def _read_csv(path: Path) -> Rows:
    where, text = path.name, _text(path)
    separator = separator_of(text)
    found = csv_rows(text, where, separator)
    _, header = next(found, (0, []))
    lines, rows = [], []
    for line, fields in found:
        lines.append(line)
        rows.append(fields)
    names = [name.strip() for name in header]
    _check_twice(where, names)
    notes = () if separator == "," else (f"{where}: fields are separated by {separator!r}",)
    cells = zip(*rows, strict=True) if rows else ((),) * len(names)
    return Rows(where, lines, {name: list(column) for name, column in zip(names, cells, strict=True)}, notes)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError("this text is not UTF-8", where=f"{path.name}:{raw.count(bytes([10]), 0, error.start) + 1}",
                          got=repr(raw[error.start:error.start + 4]), remedy="save the table as UTF-8") from error


def _check_twice(where: str, names: Iterable[str]) -> None:
    if twice := _twice(names):
        raise CorpusError("a column is there twice", where=where, expected="one of each name", got=repr(twice),
                          remedy="rename or remove one of the two")


def _twice(names: Iterable[str]) -> str | None:
    """Return the first name that was there before; several columns may be without a name."""
    seen = {""}
    for name in names:
        if name in seen and name:
            return name
        seen.add(name)
    return None


# ---------------------------------------------------------------------------------------------- jsonl

def _read_jsonl(path: Path) -> Rows:
    lines, rows, names = [], [], {}
    # "\n" and nothing else: U+2028 may stand in a JSON text.
    for line, text in enumerate(_text(path).split("\n"), 1):
        if text.strip(" \t\r"):
            rows.append(_json_row(text, f"{path.name}:{line}"))
            lines.append(line)
            names.update(dict.fromkeys(rows[-1]))
            _check_cells(path.name, len(rows), len(names))
    return Rows(path.name, lines, {name: [row.get(name, "") for row in rows] for name in names})


def _json_row(text: str, where: str) -> dict[str, str]:
    try:
        # Numbers stay text: 0.1 is to be read exactly, and 5,000 digits not at all.
        row = json.loads(text, object_pairs_hook=_pairs, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CorpusError("this line is no JSON", where=where, got=str(error),
                          remedy="mend the line; each holds one object") from error
    if not isinstance(row, dict):
        raise CorpusError("this line is no JSON object", where=where, expected='{"file": …}',
                          got=type(row).__name__, remedy="mend the line; each holds one object")
    for name, value in row.items():
        if isinstance(value, (dict, list)):
            raise CorpusError("a column holds more than one value", where=where, expected="a text or a number",
                              got=f"a {type(value).__name__} in {name!r}", remedy="give each value a column of its own")
    return {name: _JSON_WORDS.get(value, value) for name, value in row.items()}


_JSON_WORDS = {None: "", True: "true", False: "false"}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {name.strip(): value for name, value in pairs}
    if twice := _twice(name.strip() for name, _ in pairs):
        raise ValueError(f"{twice!r} is there twice")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")


# -------------------------------------------------------------------------------------------- parquet

def _read_parquet(path: Path) -> Rows:
    import pyarrow
    from pyarrow import parquet

    with path.open("rb") as file:
        try:
            table = parquet.ParquetFile(file)
            names = [name.strip() for name in table.schema_arrow.names]
            _check_parquet(path.name, table, names)
            columns, characters = [[] for _ in names], 0
            # Piece by piece: what is packed well is small only until it is unpacked.
            for batch in table.iter_batches(4096, use_threads=False):
                for cells, column in zip(columns, batch.columns, strict=True):
                    # Arrow writes the shortest decimal that is the same float: 0.1, also of 32 bits.
                    texts = ["" if text is None else text for text in column.cast(pyarrow.string()).to_pylist()]
                    characters += sum(map(len, texts))
                    cells += texts
                _check_bytes(path.name, characters)
            number = table.metadata.num_rows
            if short := next((cells for cells in columns if len(cells) != number), None):
                raise ValueError(f"{number} rows are promised, {len(short)} are there")
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
            raise CorpusError("this parquet cannot be read", where=path.name, got=str(error).split("\n")[0],
                              remedy="write it again") from error
    return Rows(path.name, range(1, number + 1), dict(zip(names, columns, strict=True)))


def _check_parquet(where: str, table, names: list[str]) -> None:
    from pyarrow import types

    _check_twice(where, names)
    _check_cells(where, table.metadata.num_rows, len(names))
    known = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean,
             types.is_decimal, types.is_null)
    for name, kind in zip(names, table.schema_arrow.types, strict=True):
        value = kind.value_type if types.is_dictionary(kind) else kind
        if not any(is_kind(value) for is_kind in known):
            raise CorpusError("a column is neither text nor numbers", where=where, expected="text, numbers or booleans",
                              got=f"{name!r} of type {kind}", remedy="turn it into text, or take it out")


# -------------------------------------------------------------------------------------- of all formats

ENDINGS = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
"""How the names of tables end, and what reads them."""


def _check_bytes(where: str, size: int) -> None:
    if size > MOST_BYTES:
        raise CorpusError("the table is too large", where=where, expected=f"at most {MOST_BYTES} bytes",
                          got=f"{size} or more", remedy="split it, and keep media and features out of it")


def _check_cells(where: str, rows: int, columns: int) -> None:
    if rows * columns > MOST_CELLS:
        raise CorpusError("the table is too large", where=where, expected=f"at most {MOST_CELLS} cells",
                          got=f"{rows} rows of {columns} columns", remedy="split it, or leave columns out")


def _check_characters(rows: Rows) -> None:
    for name, cells in rows.columns.items():
        if _BROKEN.search(name):
            raise CorpusError("a column's name cannot be written as UTF-8", where=rows.where, got=repr(name),
                              remedy="rename the column")
        if _BROKEN.search("".join(cells)):
            row = next(row for row, cell in enumerate(cells) if _BROKEN.search(cell))
            raise CorpusError(f"{name!r} holds what is no text", where=rows.at(row), expected="characters of Unicode",
                              got=repr(_BROKEN.search(cells[row])[0]), remedy="mend the row")


def _without_blanks(rows: Rows) -> Rows:
    """Leave out row numbers of pandas and rows without any cell, with a note."""
    numbers = [name for name in rows.columns if _ROW_NUMBERS.fullmatch(name)]
    columns = {name: cells for name, cells in rows.columns.items() if name not in numbers}
    notes = [f"{rows.where}: a column without a name of its own is left out: {name!r}" for name in numbers]
    filled = [row for row, cells in enumerate(zip(*columns.values(), strict=True)) if "".join(cells).strip()]
    if blank := len(rows.lines) - len(filled):
        notes.append(f"{rows.where}: rows without any cell: {blank}")
        columns = {name: [cells[row] for row in filled] for name, cells in columns.items()}
    return Rows(rows.where, [rows.lines[row] for row in filled], columns, (*rows.notes, *notes))
