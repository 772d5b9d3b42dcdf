"""The index, utterances.parquet: its columns in order, and the row of an utterance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep.labels import OUTSIDE, SINGLE, LabelScheme
from emoprep.store.folder import draft

if TYPE_CHECKING:
    import pyarrow

    from emoprep.utterance import Utterance

__all__ = ["COLUMNS", "MEDIA_COLUMNS", "index_row", "read_index", "schema", "with_column", "write_index"]

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


def schema(annotation: Mapping[str, str], schemes: Iterable[LabelScheme],
           extra: Mapping[str, Any] = {}) -> pyarrow.Schema:
    """Return the Arrow schema of an index whose corpus has these annotation columns and schemes."""
    import pyarrow

    fields = [(name, pyarrow.list_(pyarrow.string()) if kind == "strings" else pyarrow.type_for_alias(kind))
              for name, kind in {**COLUMNS, **annotation}.items()]
    fields += [(scheme.index_column, pyarrow.int16() if scheme.task == SINGLE
                else pyarrow.list_(pyarrow.int8(), len(scheme.labels))) for scheme in schemes]
    return pyarrow.schema(fields + list(extra.items()))


def index_row(utterance: Utterance, schemes: Iterable[LabelScheme], **media: Any) -> dict[str, Any]:
    """Return the index row of an utterance; `media` gives what cutting it taught (see MEDIA_COLUMNS)."""
    row = {
        "key": utterance.key, "corpus": utterance.corpus, "split": utterance.split,
        "dialogue": utterance.dialogue, "turn": utterance.turn, "speaker": utterance.speaker,
        "text": utterance.text, "has_text": bool(utterance.text.strip()), "flags": list(utterance.flags),
        "groups": [utterance.dialogue], "op": "keep", "base": None, "loss_mask": 1.0,
        **MEDIA_COLUMNS, **media, **utterance.annotation,
    }
    for scheme in schemes:
        row[scheme.index_column] = scheme.encode([utterance.annotation])[0]
    order = [*COLUMNS, *utterance.annotation, *(scheme.index_column for scheme in schemes)]
    return {name: row[name] for name in order}


def write_index(path: Path, rows: Iterable[Mapping[str, Any]], columns: pyarrow.Schema) -> None:
    """Write rows as parquet."""
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist(list(rows), schema=columns)
    with draft(path) as sketch:
        parquet.write_table(table, sketch)


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


assert OUTSIDE == -100  # the number stands in stores that others read
