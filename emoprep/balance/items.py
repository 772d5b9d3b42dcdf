"""The train items in the order of the new store: those that stay, those that go, and those that are made.

Made items are spread evenly among the dialogues: appended class by class, they would reach a trainer that
reads in order as long runs of one class.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emoprep.contracts import Decision, Problem
from emoprep.errors import EmoprepError
from emoprep.utterance import child_seed

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Items", "place_items", "plan_table", "spread"]

SUFFIX = {"repeat": "rep", "interpolate": "smote"}
"""How the key of a made item ends, by its op: `<base>__smote1`, `<base>__rep2`."""


@dataclass(frozen=True)
class Items:
    """The train items in the order of the new store; those that are dropped stand where they stood.

    `row` int64 [n] is the train row that an item is (or is made of), `made` int64 [n] its number in the
    decision (−1: not made). `copy` counts the items made of one base from 1.
    """

    key: list[str]
    op: list[str]
    row: np.ndarray
    made: np.ndarray
    copy: np.ndarray
    loss_mask: np.ndarray

    @property
    def staying(self) -> np.ndarray:
        return np.flatnonzero(np.array(self.op) != "drop")


def place_items(problem: Problem, decision: Decision, inside: np.ndarray, mask: np.ndarray, outside: str) -> Items:
    """Put the items in order: dialogues as they come, and after each its share of the made items.

    `inside` bool [N] tells which train rows the label scheme takes, `mask` float [N] has their loss masks;
    `outside` says what becomes of the others: "mask" or "drop".
    """
    kept = np.array(decision.kept, dtype=object)
    kept[~inside & (kept == "keep")] = outside
    copies, counter = np.zeros(len(decision.base), np.int32), Counter()
    for number, base in enumerate(decision.base.tolist()):
        counter[base] += 1
        copies[number] = counter[base]
    made_keys = [f"{problem.keys[base]}__{SUFFIX[op]}{copy}" for base, op, copy in
                 zip(decision.base.tolist(), decision.op.tolist(), copies.tolist(), strict=True)]
    taken = set(problem.keys)
    if clash := next((key for key in made_keys if key in taken), None):
        raise EmoprepError("a made item would take a key that is there", where=clash)
    row, made = spread(problem.dialogues, decision.base, problem.seed)
    is_made = made >= 0
    key = [made_keys[number] if number >= 0 else problem.keys[at] for at, number in zip(row, made, strict=True)]
    op = [str(decision.op[number]) if number >= 0 else str(kept[at]) for at, number in zip(row, made, strict=True)]
    factor = np.where(np.isin(kept, ("drop", "mask")), 0.0, 1.0) * mask
    copy = np.where(is_made, copies[made] if len(copies) else 0, 0)
    return Items(key, op, row, made, copy.astype(np.int32), np.where(is_made, 1.0, factor[row]).astype(np.float32))


def spread(dialogues: Sequence[str], base: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (row, made) of all items in order: rows stay in order, made items fall evenly between dialogues.

    Which made item comes where is drawn, so that classes mix.

    >>> row, made = spread(["d1", "d1", "d2", "d3"], np.array([3, 0]), seed=0)
    >>> row.tolist(), made.tolist()
    ([0, 1, 0, 2, 3, 3], [-1, -1, 1, -1, -1, 0])
    """
    starts = [number for number in range(len(dialogues))
              if number == 0 or dialogues[number] != dialogues[number - 1]]
    ends = np.array([*starts[1:], len(dialogues)])
    order = np.random.default_rng(child_seed(seed, "spread", "", 0)).permutation(len(base))
    after = ((np.arange(len(base)) + 0.5) * len(ends) / max(len(base), 1)).astype(np.int64)
    at = ends[after]  # a made item comes right before the row that begins the next dialogue
    row = np.insert(np.arange(len(dialogues)), at, base[order])
    made = np.insert(np.full(len(dialogues), -1), at, order)
    return row, made


def plan_table(items: Items, decision: Decision, keys: Sequence[str], *, stage: str, seed: int, renorm: str
               ) -> pyarrow.Table:
    """Return the rows of plan.parquet: one a train item, dropped ones included, each made one naming its parents.

    `keys` are those of the train rows; `stage` (the strategy's name) and `seed` give each made item its own.
    """
    import pyarrow

    made = items.made.tolist()
    bases = [keys[row] if number >= 0 else None for row, number in zip(items.row, made, strict=True)]
    neighbors = [keys[decision.neighbor[number]] if number >= 0 and decision.neighbor[number] >= 0 else None
                 for number in made]
    lam = [float(decision.lam[number]) if number >= 0 and not np.isnan(decision.lam[number]) else None
           for number in made]
    seeds = [None if base is None else child_seed(seed, stage, base, copy)
             for base, copy in zip(bases, items.copy.tolist(), strict=True)]
    renormed = json.dumps({"renorm": renorm})
    return pyarrow.table({
        "key": items.key, "op": items.op, "base": pyarrow.array(bases, pyarrow.string()),
        "neighbor": pyarrow.array(neighbors, pyarrow.string()), "lambda": pyarrow.array(lam, pyarrow.float64()),
        "copy": pyarrow.array(items.copy, pyarrow.int32()),
        "repeat": pyarrow.array([int(op != "drop") for op in items.op], pyarrow.int32()),
        "seed": pyarrow.array(seeds, pyarrow.int64()),
        "parameters": [renormed if op == "interpolate" and renorm != "off" else "{}" for op in items.op],
        "loss_mask": pyarrow.array(items.loss_mask, pyarrow.float32())})
