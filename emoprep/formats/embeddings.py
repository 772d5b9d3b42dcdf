"""Embeddings that people bring along: `--add NAME=FILE`, a key and a vector or a sequence in each row.

    npz       one array a key (the array's name), [d] or [L, d]; or `keys` [n] and one array [n, d]
    parquet   a column `key` and one column of lists (a vector) or of lists of lists (a sequence)
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emoprep.errors import EmoprepError, MissingInput, UsageError

__all__ = ["read_embeddings"]


def read_embeddings(path: Path) -> dict[str, np.ndarray]:
    """Return float32 [d] or [L, d] by key; all have the same d and are all vectors or all sequences.

    Raises MissingInput where the file is not there, UsageError where it is neither npz nor parquet, and
    EmoprepError (with the key) for what is no embedding. Pickled objects are never loaded.
    """
    if not path.is_file():
        raise MissingInput("the file of embeddings is not there", where=str(path), remedy="check the path")
    readers = {".npz": _read_npz, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise UsageError("embeddings of this kind cannot be read", where=str(path), expected=".npz or .parquet",
                         got=path.suffix or "no ending")
    found = {key: _numbers(values, f"{path} {key}") for key, values in readers[path.suffix](path).items()}
    if not found:
        raise EmoprepError("the file holds no embedding", where=str(path))
    first_key, first = next(iter(found.items()))
    for key, values in found.items():
        if values.ndim not in (1, 2) or 0 in values.shape:
            raise EmoprepError("this is neither a vector nor a sequence", where=f"{path} {key}",
                               expected="shape [d] or [L, d]", got=str(list(values.shape)))
        if (values.ndim, values.shape[-1]) != (first.ndim, first.shape[-1]):
            raise EmoprepError("embeddings differ in kind", where=f"{path} {key}", got=str(list(values.shape)),
                               expected=f"{list(first.shape)} like {first_key}")
    return found


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    """Return real numbers as float32; what is too large becomes infinite, and is then treated as such."""
    if np.asarray(values).dtype.kind not in "fiub":
        raise EmoprepError("these are no real numbers", where=where, got=str(np.asarray(values).dtype))
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def _read_npz(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise EmoprepError("this npz cannot be read", where=str(path), got=" ".join(str(error).split()),
                           expected="arrays of numbers", remedy="save it with numpy.savez") from error
    if "keys" in arrays and arrays["keys"].dtype.kind in "US":
        keys = arrays.pop("keys").astype(str)
        if len(arrays) != 1:
            raise EmoprepError("keys go with one array", where=str(path), got=", ".join(arrays) or "none")
        (values,) = arrays.values()
        if len(values) != len(keys):
            raise EmoprepError("keys and vectors differ in number", where=str(path), expected=str(len(keys)),
                               got=str(len(values)))
        return _unique(path, zip(keys.tolist(), values, strict=True))
    return arrays


def _read_parquet(path: Path) -> Mapping[str, np.ndarray]:
    from pyarrow import parquet, types

    try:
        table = parquet.read_table(path, use_threads=False, partitioning=None)
    except (OSError, ValueError) as error:
        raise EmoprepError("this parquet cannot be read", where=str(path), got=str(error)) from error
    lists = [field.name for field in table.schema
             if types.is_list(field.type) or types.is_fixed_size_list(field.type) or types.is_large_list(field.type)]
    if "key" not in table.column_names or len(lists) != 1:
        raise EmoprepError("the columns are not those of embeddings", where=str(path),
                           expected="key, and one column of lists", got=", ".join(table.column_names))
    keys, values = table.column("key").to_pylist(), table.column(lists[0]).to_pylist()
    try:
        return _unique(path, ((str(key), np.array(value, np.float32)) for key, value in zip(keys, values, strict=True)))
    except (ValueError, TypeError) as error:
        raise EmoprepError("a row is no vector and no sequence", where=f"{path} {lists[0]}",
                           got=" ".join(str(error).split())) from error


def _unique(path: Path, pairs) -> dict[str, np.ndarray]:
    found = {}
    for key, values in pairs:
        if key in found:
            raise EmoprepError("a key is there twice", where=f"{path} {key}", remedy="keep one row a key")
        found[key] = values
    return found
