"""A plan carried out on a table: the same file with its column `split` filled in, everything else as it was."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from emoprep.corpora.table import column_name, row_keys
from emoprep.errors import UsageError
from emoprep.formats.rows import separator_of
from emoprep.split.plan import SplitPlan
from emoprep.store.folder import disk_error

__all__ = ["write_sheet"]


def write_sheet(plan: SplitPlan, out: Path, *, overwrite: bool = False) -> bool:
    """Write the table; return False where OUT holds it already.

    Raises UsageError where OUT is something else and may not be overwritten, or its name has another ending.
    """
    source = plan.source.path
    if out.suffix.lower() != source.suffix.lower():
        raise UsageError("OUT has another format than IN", where=str(out), got=out.suffix or "no ending",
                         expected=f"a name that ends in {source.suffix}")
    if out.is_dir():
        raise UsageError("OUT is a folder", where=str(out), expected=f"a file, such as {out / source.name}")
    made = _WRITERS[source.suffix.lower()](source, _cells(plan, out))
    if out.exists():
        if out.read_bytes() == made:
            os.utime(out)  # make compares times
            return False
        if not overwrite:
            raise UsageError("OUT is there, and is another table", where=str(out),
                             remedy="give another OUT, or --overwrite to replace it")
    _write_whole(out, made)
    return True


class _Cells(NamedTuple):
    """What is new: the split of each row by its line, and where files lie as seen from the folder of OUT."""

    splits: Mapping[int, str]
    way: str

    def split(self, line: int) -> str:
        return self.splits.get(line, "")  # a row without any cell stays so

    def file(self, cell: str) -> str:
        if self.way == "." or not cell.strip() or os.path.isabs(cell):
            return cell
        return os.path.normpath(os.path.join(self.way, cell))


def _cells(plan: SplitPlan, out: Path) -> _Cells:
    source = plan.source
    split = dict(zip(source.keys, plan.splits, strict=True))
    # Of folders that are links, ".." leads elsewhere than the name says.
    way = os.path.relpath(os.path.realpath(source.path.parent), os.path.realpath(out.parent))
    return _Cells({line: split[key] for line, key in row_keys(source.path).items()}, way)


def _csv(path: Path, cells: _Cells) -> bytes:
    raw = path.read_bytes()
    text, made = raw.decode("utf-8-sig"), io.StringIO(newline="")
    separator = separator_of(text)
    writer = csv.writer(made, delimiter=separator, lineterminator=_line_end(text))
    reader, names = csv.reader(io.StringIO(text, newline=""), delimiter=separator), []
    for row in reader:
        if row and not names:
            names = [column_name(name) for name in row]
            row += [] if "split" in names else ["split"]
        elif row:
            row += [] if "split" in names else [""]
            row[names.index("split") if "split" in names else -1] = cells.split(reader.line_num)
            row[names.index("file")] = cells.file(row[names.index("file")])
        writer.writerow(row)
    return (codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b"") + made.getvalue().encode()


def _line_end(text: str) -> str:
    return "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"


def _jsonl(path: Path, cells: _Cells) -> bytes:
    raw = path.read_bytes()
    lines = [_json_line(text, cells.split(line), cells) if text.strip(" \t\r") else text
             for line, text in enumerate(raw.decode("utf-8").split("\n"), 1)]
    return "\n".join(lines).encode()


def _json_line(text: str, split: str, cells: _Cells) -> str:
    """Return a line with its split. The rest stays letter by letter: a number read and written again may differ."""
    there = False
    for name, value, start, end in reversed(list(_members(text))):
        if column_name(name) == "split":
            there, text = True, text[:start] + json.dumps(split or None) + text[end:]
        elif column_name(name) == "file" and isinstance(value, str) and cells.file(value) != value:
            text = text[:start] + json.dumps(cells.file(value), ensure_ascii=False) + text[end:]
    if there or not split:
        return text
    end = text.rindex("}")
    return f'{text[:end].rstrip()}, "split": {json.dumps(split)}{text[end:]}'


# Numbers as text: one of 5,000 digits is no integer that Python would read.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_BETWEEN = re.compile(r"[ \t\r,:]*")


def _members(text: str) -> Iterator[tuple[str, object, int, int]]:
    """Yield name, value, and where the value begins and ends, of each member of a JSON object without others in it."""
    at = _BETWEEN.match(text, text.index("{") + 1).end()
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _BETWEEN.match(text, at).end()
        value, end = _DECODER.raw_decode(text, start)
        yield name, value, start, end
        at = _BETWEEN.match(text, end).end()


def _parquet(path: Path, cells: _Cells) -> bytes:
    import pyarrow
    from pyarrow import parquet

    with path.open("rb") as file:
        table = parquet.ParquetFile(file).read(use_threads=False)
    names = [column_name(name) for name in table.column_names]
    at = names.index("file")
    files = [cell if cell is None else cells.file(cell) for cell in table.column(at).to_pylist()]
    table = table.set_column(at, table.schema.field(at), pyarrow.array(files, table.schema.field(at).type))
    splits = pyarrow.array([cells.split(line) or None for line in range(1, table.num_rows + 1)], pyarrow.string())
    if "split" in names:
        table = table.set_column(names.index("split"), table.column_names[names.index("split")], splits)
    else:
        table = table.append_column("split", splits)
    made = io.BytesIO()
    parquet.write_table(table, made)
    return made.getvalue()


_WRITERS = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}


def _write_whole(path: Path, data: bytes) -> None:
    # Not in `.emoprep/` as the drafts of a store: the folder is a person's own, and one with that in it would pass
    # for a store that was interrupted.
    sketch = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sketch.write_bytes(data)
        os.replace(sketch, path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        sketch.unlink(missing_ok=True)
