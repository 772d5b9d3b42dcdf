"""The train rows of a store as columns: which there are, their classes, and what the plan says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emoprep.errors import EmoprepError
from emoprep.labels import MULTI, LabelScheme
from emoprep.methods.embedding import main_label
from emoprep.stats.rows import open_source
from emoprep.store.folder import PLAN
from emoprep.store.manifest import Store

if TYPE_CHECKING:
    import pyarrow

__all__ = ["TrainRows", "find", "read_column", "read_plan", "read_train", "truths"]


_PLANNED = {"key": "string", "op": "string", "base": "string", "neighbor": "string", "lambda": "float64",
            "parameters": "string", "loss_mask": "float64"}


@dataclass(frozen=True)
class TrainRows:
    """The train rows of a store (of one without splits: all), in the order of its index and of its feature table.

    `rows` int64 [N] are those of the index. `y` int16 [N] is one class for each, −100 where it has none; of several
    labels the one that the fewest original rows have. `original` bool [N] are those that no balancing made: kept, or
    changed in their place. `copies` bool [N] repeat another row.
    """

    rows: np.ndarray
    keys: pyarrow.StringArray
    bases: pyarrow.StringArray
    y: np.ndarray
    original: np.ndarray
    copies: np.ndarray


def read_train(store: Store, scheme: LabelScheme) -> TrainRows:
    """Read the train rows of a store's index; raises EmoprepError where there is none, or it cannot be read."""
    from pyarrow import compute

    splits = read_column(store, "split")
    rows = np.flatnonzero(truths(compute.equal(splits, "train") if splits.null_count < len(splits)
                                 else compute.is_null(splits)))
    if not len(rows):
        raise EmoprepError("there is no train utterance", where=str(store.path))
    keys, ops, bases = (read_column(store, name).take(rows) for name in ("key", "op", "base"))
    original = truths(compute.equal(compute.fill_null(ops, "keep"), "keep")) | truths(compute.equal(keys, bases))
    y = open_source(store.path, None, None).rows(scheme, "split")[0].y[rows]
    if scheme.task == MULTI:
        y = main_label(y, (y[original] == 1).sum(axis=0))
    return TrainRows(rows, keys, bases, y, original, truths(compute.equal(ops, "repeat")) & ~original)


def read_plan(store: Store) -> pyarrow.Table | None:
    """Return what a balanced store's plan says of items and their parents, checked; None where there is none."""
    import pyarrow
    from pyarrow import compute

    path, table = store.path / PLAN, store.plan(list(_PLANNED))
    if table is None:
        return None
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in _PLANNED.items()])
    try:
        plan = table.cast(schema)
        plan.validate(full=True)
    except (ValueError, NotImplementedError) as error:
        raise EmoprepError("the plan cannot be read", where=str(path), got=str(error),
                           remedy="balance again") from error
    if plan["key"].null_count or plan["op"].null_count or len(compute.unique(plan["key"])) < plan.num_rows:
        raise EmoprepError("the items of the plan do not have an op and a key of their own each", where=str(path),
                           remedy="balance again")
    return plan


def read_column(store: Store, name: str, kind: str = "string") -> pyarrow.Array:
    """Return a column of the index as an array of this type."""
    import pyarrow

    wanted = pyarrow.type_for_alias(kind)
    try:
        column = pyarrow.concat_arrays([pyarrow.array([], wanted), *store.column(name).cast(wanted).chunks])
        column.validate(full=True)
    except (ValueError, NotImplementedError) as error:
        raise EmoprepError("a column of the index is of another type", where=f"{store.path}: {name}", expected=kind,
                           got=str(error), remedy="make the store again") from error
    return column


def find(wanted: pyarrow.Array | pyarrow.ChunkedArray, keys: pyarrow.Array | pyarrow.ChunkedArray) -> np.ndarray:
    """Return where in `keys` each wanted key is, int64 [n]; −1 for null, and for one that is not there.

    >>> import pyarrow
    >>> find(pyarrow.array(["b", None, "c"]), pyarrow.array(["a", "b"])).tolist()
    [1, -1, -1]
    """
    from pyarrow import compute

    found = compute.index_in(wanted, value_set=keys, skip_nulls=True)
    return np.asarray(compute.fill_null(found, -1), np.int64)


def truths(column: pyarrow.BooleanArray | pyarrow.ChunkedArray) -> np.ndarray:
    """Return a column of truths as bool [N]; null is false."""
    from pyarrow import compute

    return np.asarray(compute.fill_null(column, False), bool)
