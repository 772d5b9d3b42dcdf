"""The index, utterances.parquet: its columns in order, and the row of an utterance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep.labels import OUTSIDE, SINGLE, LabelScheme
from emoprep.store.folder import draft

if TYPE_CHECKING:
    import pyarrow

    from emoprep.utterance import Utterance

__all__ = ["COLUMNS", "CUT_COLUMNS", "MEDIA_COLUMNS", "SAMPLE_WEIGHT", "index_row", "index_table", "read_column",
           "read_index", "read_rows", "schema", "with_column", "with_media", "write_index"]

COLUMNS = {
    "key": "string", "corpus": "string", "split": "string", "dialogue": "string", "turn": "int32",
    "speaker": "string", "text": "string", "start": "float64", "end": "float64", "frames": "int32",
    "fps": "float64", "samples": "int32", "sample_rate": "int32", "has_video": "bool", "has_audio": "bool",
    "has_text": "bool", "flags": "strings", "groups": "strings", "op": "string", "base": "string",
    "loss_mask": "float32", "shard": "string",
}
"""The columns that every store has, with their types; the corpus's annotation and `y_<scheme>` follow."""

MEDIA_COLUMNS = {"start": None, "end": None, "frames": None, "fps": None, "samples": None, "sample_rate": None,
                 "has_video": False, "has_audio": False, "shard": None}
"""What an utterance without media has in these columns."""

SAMPLE_WEIGHT = "sample_weight"
"""The column that `balance --sample-weights` adds to the train rows of the index and of tables, null elsewhere."""

CUT_COLUMNS = (*MEDIA_COLUMNS, "flags")
"""The columns that cutting an utterance decides; annotation decides all others."""


def schema(annotation: Mapping[str, str], schemes: Iterable[LabelScheme],
           extra: Mapping[str, Any] = {}) -> pyarrow.Schema:
    """Return the Arrow schema of an index whose corpus has these annotation columns and schemes."""
    import pyarrow

    fields = [(name, pyarrow.list_(pyarrow.string()) if kind == "strings" else pyarrow.type_for_alias(kind))
              for name, kind in {**COLUMNS, **annotation}.items()]
    fields += [(scheme.index_column, pyarrow.int16() if scheme.task == SINGLE
                else pyarrow.list_(pyarrow.int8(), len(scheme.labels))) for scheme in schemes]
    return pyarrow.schema(fields + list(extra.items()))


_ANNOTATED = {
    **{name: attrgetter(name) for name in ("key", "corpus", "split", "dialogue", "turn", "speaker", "text")},
    "has_text": lambda utterance: bool(utterance.text.strip()),
    "flags": lambda utterance: list(utterance.flags), "groups": lambda utterance: [utterance.dialogue],
    "op": lambda utterance: "keep", "base": lambda utterance: None, "loss_mask": lambda utterance: 1.0,
}
"""The columns that annotation alone decides."""


def index_row(utterance: Utterance, schemes: Iterable[LabelScheme], **media: Any) -> dict[str, Any]:
    """Return the index row of an utterance; `media` gives what cutting it taught (see MEDIA_COLUMNS)."""
    row = {**{name: of(utterance) for name, of in _ANNOTATED.items()}, **MEDIA_COLUMNS, **media,
           **utterance.annotation}
    for scheme in schemes:
        row[scheme.index_column] = scheme.encode([utterance.annotation])[0]
    order = [*COLUMNS, *utterance.annotation, *(scheme.index_column for scheme in schemes)]
    return {name: row[name] for name in order}


def index_table(utterances: Sequence[Utterance], annotation: Mapping[str, str],
                schemes: Sequence[LabelScheme]) -> pyarrow.Table:
    """Return the index of a corpus none of whose utterances is cut: the rows of `index_row`, column by column."""
    import pyarrow

    columns = {name: list(map(of, utterances)) for name, of in _ANNOTATED.items()}
    columns |= {name: [value] * len(utterances) for name, value in MEDIA_COLUMNS.items()}
    columns |= {name: [utterance.annotation[name] for utterance in utterances] for name in annotation}
    columns |= {scheme.index_column: scheme.encode([utterance.annotation for utterance in utterances])
                for scheme in schemes}
    fields = schema(annotation, schemes)
    return pyarrow.Table.from_pydict({name: columns[name] for name in fields.names}, schema=fields)


def with_media(table: pyarrow.Table, rows: Iterable[Mapping[str, Any]]) -> pyarrow.Table:
    """Return an index in which these rows of what was cut ("key" and CUT_COLUMNS) are filled in."""
    place = {key: number for number, key in enumerate(table.column("key").to_pylist())}
    filled = {name: table.column(name).to_pylist() for name in CUT_COLUMNS}
    for row in rows:
        number = place[row["key"]]
        for name, values in filled.items():
            values[number] = row[name]
    for name, values in filled.items():
        table = with_column(table, name, values)
    return table


def write_index(path: Path, table: pyarrow.Table, workshop: Path | None = None) -> None:
    """Write an index as parquet; `workshop` as in `draft`."""
    from pyarrow import parquet

    with draft(path, workshop) as sketch:
        # Pages end where chunks do: the same rows give the same bytes however they were put together.
        parquet.write_table(table.combine_chunks(), sketch)


def with_column(table: pyarrow.Table, name: str, values: Any) -> pyarrow.Table:
    """Return the table with a column's values replaced (its type stays), or with a new column at the end."""
    import pyarrow

    if name not in table.column_names:
        return table.append_column(name, pyarrow.array(values))
    at = table.column_names.index(name)
    field = table.schema.field(at)
    return table.set_column(at, field, pyarrow.array(values, field.type))


def read_index(path: Path, columns: list[str] | None = None) -> pyarrow.Table:
    """Read an index, or some of its columns."""
    from pyarrow import parquet

    return parquet.read_table(path, columns=columns, use_threads=False)


def read_rows(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of an index, or of another table with keys, whose key is one of these, in its order."""
    import pyarrow
    from pyarrow import compute, parquet

    asked = pyarrow.array(list(keys), pyarrow.string())
    return parquet.read_table(path, filters=compute.field("key").isin(asked), use_threads=False).to_pylist()


def read_column(path: Path, name: str) -> pyarrow.ChunkedArray:
    """Read one column of an index; of texts as a dictionary: each text once, and a number a row.

    Of a million rows, column by column so takes a tenth of `read_index`'s time and half its memory.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(path, read_dictionary=[name]) as file:
        return file.read([name], use_threads=False).column(name)


assert OUTSIDE == -100  # the number stands in stores that others read
