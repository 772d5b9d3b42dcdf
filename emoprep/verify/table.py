"""Feature tables in workers, and the scaler that lies beside them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep import engine
from emoprep.store.folder import INDEX
from emoprep.store.index import SAMPLE_WEIGHT, read_index
from emoprep.store.manifest import Store
from emoprep.store.tables import GROUP_ROWS, TRANSCRIPT, has_column
from emoprep.verify.findings import Findings, listed
from emoprep.verify.folder import check_file, open_arrays
from emoprep.verify.shard import Checked

if TYPE_CHECKING:
    import pyarrow

__all__ = ["TableTask", "check_scaler", "check_table"]

@dataclass(frozen=True)
class TableTask:
    """A feature table to check: what the manifest says of it, and whether the index can be compared with."""

    store: str
    facts: Mapping[str, Any]
    how: Mapping[str, Mapping[str, Any]]
    with_index: bool
    dead: tuple[tuple[str, str], ...] = ()

    def __str__(self):
        return self.facts["name"]

    @property
    def utterances(self) -> int:
        return self.facts["utterances"]

    def without(self, place: str, cause: str) -> TableTask:
        return replace(self, dead=(*self.dead, (place, cause)))


def check_table(task: TableTask) -> Checked:
    """Check one feature table, a row group at a time. Runs in a worker."""
    from pyarrow import parquet

    findings, name, rows = Findings(), task.facts["name"], 0
    engine.at(name)
    for _, cause in task.dead:
        findings.add("worker", name, cause)
        return Checked(tuple(findings.all))
    path = Path(task.store, name)
    with findings.guarded("table", name):
        if check_file(path, task.facts, findings):
            index = _rows(task) if task.with_index else None
            with parquet.ParquetFile(path) as file:
                _check_shape(task, file, index, findings)
                for number in range(file.num_row_groups):
                    engine.at(name)
                    group = file.read_row_group(number, use_threads=False)
                    _check_group(task, group, None if index is None else index.slice(rows, group.num_rows), findings)
                    rows += group.num_rows
    engine.at("")
    return Checked(tuple(findings.all), rows)


def _rows(task: TableTask) -> pyarrow.Table:
    """Return the index rows of the table's split, with the columns as a table names them."""
    import pyarrow.compute as compute

    index = read_index(Path(task.store, INDEX))
    column, split = index.column("split"), Path(task.facts["name"]).stem
    rows = index.filter(compute.is_null(column) if split == "all" else compute.equal(column, split))
    if split != "train" and SAMPLE_WEIGHT in rows.column_names:
        rows = rows.drop_columns([SAMPLE_WEIGHT])  # these tables are IN's own
    return rows.rename_columns([TRANSCRIPT if name == "text" else name for name in rows.column_names])


def _check_shape(task: TableTask, file, index: pyarrow.Table | None, findings: Findings) -> None:
    name, meta = task.facts["name"], file.metadata
    if meta.num_rows != task.facts["utterances"]:
        findings.add("counts", name, f"{meta.num_rows} rows, {task.facts['utterances']} in the manifest")
    if index is not None and meta.num_rows != index.num_rows:
        findings.add("counts", name, f"{meta.num_rows} rows, {index.num_rows} in the index")
    if (largest := max((meta.row_group(at).num_rows for at in range(meta.num_row_groups)), default=0)) > GROUP_ROWS:
        findings.add("table", name, f"a row group has {largest} rows, more than {GROUP_ROWS}")
    there = file.schema_arrow.names
    expected = [*(index.column_names if index is not None else ()), *task.how]
    if lacking := [column for column in expected if column not in there]:
        findings.add("table", name, f"columns are missing: {listed(lacking)}")
    if index is not None and (unknown := [column for column in there if column not in expected]):
        findings.add("table", name, f"columns that the index and the manifest do not name: {listed(unknown)}")


def _check_group(task: TableTask, group: pyarrow.Table, index: pyarrow.Table | None, findings: Findings) -> None:
    name = task.facts["name"]
    there = set(group.column_names)
    for column in index.column_names if index is not None else ():
        if column in there and not group.column(column).equals(index.column(column)):
            _tell_difference(name, column, group, index, findings)
    keys = group.column("key").to_pylist() if "key" in there else list(range(group.num_rows))
    lengths: dict[str, np.ndarray] = {}
    for modality, how in task.how.items():
        if modality in there and has_column(modality) in there and group.num_rows:
            with findings.guarded("features", f"{name} {modality}"):
                present = np.array([bool(one) for one in group.column(has_column(modality)).to_pylist()])
                steps = _check_features(f"{name} {modality}", how, group.column(modality), present, keys, findings)
                if how["clock"] == "words" and steps is not None:
                    lengths[modality] = steps
    for (first, one), (second, other) in itertools.pairwise(lengths.items()):
        if len(one) == len(other) and (one != other).any():
            findings.add("features", name, f"{first} and {second} are aligned to words, and differ in length at "
                                           f"{keys[int(np.argmax(one != other))]}")


def _tell_difference(name: str, column: str, group: pyarrow.Table, index: pyarrow.Table, findings: Findings) -> None:
    if group.column(column).type != index.column(column).type:
        findings.add("table", name, f"{column} is {group.column(column).type}, and in the index "
                                    f"{index.column(column).type}")
        return
    pairs = zip(group.column(column).to_pylist(), index.column(column).to_pylist(), strict=False)
    for row, (there, expected) in enumerate(pairs):
        if there != expected:
            key = index.column("key")[row].as_py()
            findings.add("table", f"{name} {key}", f"{column} is {there!r}, and the index says {expected!r}")
            return  # the first tells; rows that were swapped would differ in each column


def _check_features(where: str, how: Mapping[str, Any], column: pyarrow.ChunkedArray, present: np.ndarray, keys: list,
                    findings: Findings) -> np.ndarray | None:
    """Check a modality's rows; return how many steps each has (None: they are vectors)."""
    import pyarrow

    step = pyarrow.list_(pyarrow.float32(), how["dim"])
    vectors = how["clock"] == "utterance"
    fits = column.type == step if vectors else pyarrow.types.is_list(column.type) and column.type.value_type == step
    if not fits:
        findings.add("features", where, f"it is {column.type}, not {step if vectors else pyarrow.list_(step)}")
        return None
    array = pyarrow.concat_arrays(column.chunks)
    steps = None if vectors else array.value_lengths().to_numpy(zero_copy_only=False)
    flat = array if vectors else array.flatten()
    if array.null_count or flat.null_count or flat.flatten().null_count:
        findings.add("features", where, "there are nulls")
        return None
    values = flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, how["dim"])
    row_of = np.arange(len(array)) if vectors else np.repeat(np.arange(len(array)), steps)
    if not vectors and (steps == 0).any():
        findings.add("features", where, f"{keys[int(np.argmax(steps == 0))]} has no step")
    if (broken := ~np.isfinite(values).all(axis=1)).any():
        rows = np.unique(row_of[broken])
        findings.add("features", where, f"NaN or infinity in {len(rows)} rows (first {keys[rows[0]]})")
    if (filled := values.any(axis=1) & ~present[row_of]).any():
        rows = np.unique(row_of[filled])
        findings.add("features", where, f"not zero where it should be missing, in {len(rows)} rows (first "
                                        f"{keys[rows[0]]})")
    return steps


def check_scaler(store: Store, findings: Findings) -> None:
    """Check that `scaler.npz` has two finite numbers for each dimension, and no deviation is 0."""
    path = store.path / "scaler.npz"
    if not any(table["name"] == "train.parquet" for table in store.manifest.tables) or not path.is_file():
        return
    with findings.guarded("scaler", path.name), open_arrays(path) as scaler:
        for name, how in store.manifest.modalities.items():
            for what in ("mean", "deviation"):
                found = scaler[f"{name}_{what}"] if f"{name}_{what}" in scaler.files else None
                if found is None or found.shape != (how["dim"],) or found.dtype != np.float32:
                    findings.add("scaler", path.name, f"{name}_{what} is missing, or not {how['dim']} × float32")
                elif not np.isfinite(found).all() or (what == "deviation" and (found <= 0).any()):
                    findings.add("scaler", path.name, f"{name}_{what} has values that nothing can be scaled by")
