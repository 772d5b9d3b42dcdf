"""Rows that go, and items that are made of those that stay: which copy of a row an item is, and the seed of its own."""

from __future__ import annotations

import numpy as np

from emoprep.contracts import Problem, Setting
from emoprep.errors import UsageError
from emoprep.utterance import child_seed

__all__ = ["DROP", "copy_numbers", "gone_as", "item_seeds"]

DROP = Setting("mask", "by loss mask (the utterance stays as context), or deleting", "mask|delete")


def gone_as(drop: str) -> str:
    """Return what `Decision.kept` says of a row that goes; raise UsageError for another value of `--drop`.

    >>> gone_as("delete")
    'drop'
    """
    if drop not in ("mask", "delete"):
        raise UsageError("this way to drop is not known", where="--drop", expected="mask or delete", got=drop,
                         remedy="mask keeps the utterance as context, delete removes it")
    return "mask" if drop == "mask" else "drop"


def copy_numbers(base: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Return for each item of `base` int64 [n] how many items of the same row there are up to it, int32 [n].

    `before` int64 [N] counts those that were made of each row earlier.

    >>> copy_numbers(np.array([4, 2, 4, 4])).tolist()
    [1, 1, 2, 3]
    """
    order = np.argsort(base, kind="stable")
    alike = base[order]
    first = np.searchsorted(alike, alike)
    numbers = np.empty(len(base), np.int32)
    numbers[order] = np.arange(1, len(base) + 1) - first
    return numbers if before is None else numbers + before[base].astype(np.int32)


def item_seeds(problem: Problem, stage: str, base: np.ndarray) -> np.ndarray:
    """Return the seeds int64 [n] of the items that a strategy (`stage` is its NAME) makes of the rows `base`.

    They are those that plan.parquet records: each follows from --seed, the strategy, the base's key and the copy.

    >>> rows = Problem(("a", "b"), ("d", "d"), np.array([0, 1]), ("joy", "fear"), {})
    >>> len(set(item_seeds(rows, "rose", np.array([1, 1, 0])).tolist()))
    3
    """
    copies = copy_numbers(base, problem.copied).tolist()
    return np.array([child_seed(problem.seed, stage, problem.keys[row], copy)
                     for row, copy in zip(base.tolist(), copies, strict=True)], dtype=np.int64)
