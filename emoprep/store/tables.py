"""Feature tables: one parquet file a split, one row an utterance, one column a modality."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError, MissingInput
from emoprep.store.folder import draft

if TYPE_CHECKING:
    import pyarrow

__all__ = ["GROUP_ROWS", "TRANSCRIPT", "file_facts", "has_column", "read_pieces", "read_table", "write_table"]

GROUP_ROWS = 500  # so that a reader can take a piece without the whole

TRANSCRIPT = "transcript"
"""The index column `text` (what was said) in a feature table, where `text` is the modality's column."""


def has_column(modality: str) -> str:
    """Return the column that tells whether a row has a modality.

    >>> has_column("audio")
    'has_audio'
    """
    return f"has_{modality}"


def write_table(path: Path, pieces: Iterable[tuple[pyarrow.Table, Mapping[str, Modality]]]) -> dict[str, Any]:
    """Write pieces (index rows, features of those rows) as one table, and return its name, size and sha256.

    Pieces may have any number of rows; row groups have at most 500.
    """
    from pyarrow import parquet

    writer, rows = None, 0
    with draft(path) as sketch:
        try:
            for index, features in pieces:
                table = _joined(index, features)
                if writer is None:
                    # Vectors do not repeat: a dictionary would only cost time.
                    plain = [name for name in table.column_names if name not in features]
                    writer = parquet.ParquetWriter(sketch, table.schema, use_dictionary=plain)
                writer.write_table(table, row_group_size=GROUP_ROWS)
                rows += table.num_rows
        finally:
            if writer is not None:
                writer.close()
    return file_facts(path, rows)


def file_facts(path: Path, rows: int) -> dict[str, Any]:
    """Return what the manifest says of a table."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "split": path.stem, "utterances": rows, "size": path.stat().st_size,
            "sha256": digest}


def _joined(index: pyarrow.Table, features: Mapping[str, Modality]) -> pyarrow.Table:
    table = index.rename_columns([TRANSCRIPT if name == "text" else name for name in index.column_names])
    for name, modality in features.items():
        table = table.append_column(name, _column(modality))
    return table


def _column(modality: Modality) -> pyarrow.Array:
    import pyarrow

    def vectors(rows: np.ndarray):
        flat = pyarrow.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
        return pyarrow.FixedSizeListArray.from_arrays(flat, rows.shape[1])
    if not isinstance(modality.values, list):
        return vectors(modality.values)
    if not modality.values:
        return pyarrow.array([], pyarrow.list_(pyarrow.list_(pyarrow.float32())))
    ends = np.cumsum([0, *map(len, modality.values)], dtype=np.int32)
    return pyarrow.ListArray.from_arrays(pyarrow.array(ends), vectors(np.concatenate(modality.values)))


def read_table(path: Path, modalities: Mapping[str, Mapping[str, Any]], *, rows: slice | None = None
               ) -> tuple[pyarrow.Table, dict[str, Modality]]:
    """Return the index rows of a feature table (with `text` for what was said) and its features.

    `modalities` are the manifest's; their clocks go into the features.
    """
    from pyarrow import parquet

    with _told(path):
        table = parquet.read_table(path, use_threads=False, partitioning=None)
    return _parted(table if rows is None else table.slice(rows.start, rows.stop - rows.start), modalities, path)


def read_pieces(path: Path, modalities: Mapping[str, Mapping[str, Any]]
                ) -> Iterator[tuple[pyarrow.Table, dict[str, Modality]]]:
    """Yield what `read_table` returns, a row group at a time: a table may be larger than memory."""
    from pyarrow import parquet

    with _told(path), parquet.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield _parted(file.read_row_group(number, use_threads=False), modalities, path)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise MissingInput("a table of the store is missing", where=str(path),
                           remedy="make the store again") from error
    except (OSError, ValueError) as error:
        raise EmoprepError("a table cannot be read", where=str(path), got=str(error),
                           remedy="make the store again") from error


def _parted(table: pyarrow.Table, modalities: Mapping[str, Mapping[str, Any]], path: Path
            ) -> tuple[pyarrow.Table, dict[str, Modality]]:
    missing = [name for modality in modalities for name in (modality, has_column(modality))
               if name not in table.column_names]
    if missing:
        raise EmoprepError("a column of the manifest is missing", where=str(path), expected=", ".join(missing),
                           remedy="make the store again")
    features = {name: Modality(_values(table.column(name)),
                               table.column(has_column(name)).to_numpy(zero_copy_only=False).astype(bool),
                               how["clock"])
                for name, how in modalities.items()}
    index = table.drop_columns(list(modalities))
    return index.rename_columns(["text" if name == TRANSCRIPT else name for name in index.column_names]), features


def _values(column: pyarrow.ChunkedArray) -> np.ndarray | list[np.ndarray]:
    import pyarrow

    array = column.combine_chunks()
    if isinstance(array, pyarrow.ChunkedArray):  # no rows at all
        array = array.chunk(0) if array.num_chunks else pyarrow.array([], column.type)
    if pyarrow.types.is_fixed_size_list(array.type):
        return array.flatten().to_numpy().reshape(len(array), array.type.list_size)
    if not len(array):
        return []
    if not (pyarrow.types.is_list(array.type) and pyarrow.types.is_fixed_size_list(array.type.value_type)):
        raise ValueError(f"a column of {array.type} holds neither vectors nor sequences")
    steps = array.flatten()
    flat = steps.flatten().to_numpy().reshape(len(steps), array.type.value_type.list_size)
    ends = np.cumsum([0, *array.value_lengths().to_numpy()])
    return [flat[start:stop] for start, stop in itertools.pairwise(ends)]
