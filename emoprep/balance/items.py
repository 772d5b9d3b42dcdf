"""The train items in the order of the new store: those that stay, those that go, and those that are made.

Made items are spread evenly among the dialogues: appended class by class, they would reach a trainer that
reads in order as long runs of one class.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from emoprep.balance.steps import Decided
from emoprep.balance.train import Train
from emoprep.contracts import Decision
from emoprep.errors import EmoprepError
from emoprep.methods.parents import copy_numbers
from emoprep.methods.placement import dialogue_spans, in_context
from emoprep.utterance import check_key, child_seed

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Items", "place_items", "plan_table", "spread"]

SUFFIX = {"repeat": "rep", "interpolate": "smote", "generate": "gen", "augment": "aug"}
"""How the key of a made item ends, by its op: `<base>__smote1`, `<base>__rep2`; context ends in `__ctx1`."""


@dataclass(frozen=True)
class Items:
    """The train items in the order of the new store; those that are dropped stand where they stood.

    `decision` is what was decided, with made items placed in their dialogues. `row` int64 [n] is the train row that
    an item is (or is made of), `made` int64 [n] its number in the decision (−1: not made). `copy` counts the items
    made of one base from 1; context copies are counted apart. `seed` is −1 where an item has none.
    """

    decision: Decision
    key: list[str]
    dialogue: list[str]
    op: list[str]
    row: np.ndarray
    made: np.ndarray
    copy: np.ndarray
    seed: np.ndarray
    loss_mask: np.ndarray

    @property
    def staying(self) -> np.ndarray:
        return np.flatnonzero(np.array(self.op) != "drop")


def place_items(train: Train, decided: Decided, *, outside: str, placement: str, seed: int) -> Items:
    """Put the items in order: dialogues as they come, and after each its share of the made items.

    `outside` says what becomes of the rows that the label scheme does not take: "mask" or "drop".
    """
    kept = np.array(decided.decision.kept, dtype=object)
    kept[~train.inside & (kept == "keep")] = outside
    decision, source = in_context(replace(decided.decision, kept=kept), train.dialogues, placement)
    gone = (kept == "drop") | train.uncut
    there = np.arange(len(source)) if decision.dialogue is None else np.flatnonzero(
        (decision.dialogue < 0) | ~gone[decision.base])
    mask = np.where(np.isin(kept, ("drop", "mask")), 0.0, 1.0) * train.mask
    row, made = spread(train.dialogues, decision.base[there], seed,
                       None if decision.dialogue is None else decision.dialogue[there])
    made = np.where(made >= 0, there[made] if len(there) else made, -1)
    is_made = made >= 0
    copy, seeds = _of_made(decided.copy, source, 0), _of_made(decided.seed, source, -1)
    copy[source < 0] = copy_numbers(decision.base[source < 0])
    names = _made_names(train, decision, source, copy)
    key, dialogue = ([name[number] if number >= 0 else old[at] for at, number in zip(row.tolist(), made.tolist(),
                                                                                     strict=True)]
                     for name, old in zip(names, (train.keys, train.dialogues), strict=True))
    kept[list(decision.altered)] = "augment"
    op = [str(decision.op[number]) if number >= 0 else str(kept[at]) for at, number in zip(row, made, strict=True)]
    return Items(decision, key, dialogue, op, row, made, np.where(is_made, _at(copy, made), 0).astype(np.int32),
                 np.where(is_made, _at(seeds, made), -1),
                 np.where(is_made, _at(_made_mask(decision, mask), made), mask[row]).astype(np.float32))


def _made_mask(decision: Decision, mask: np.ndarray) -> np.ndarray:
    """Return the loss masks of made items: a row that is copied with its dialogue is as much in the loss as it was."""
    own = np.ones(len(decision.base)) if decision.loss_mask is None else decision.loss_mask
    if decision.dialogue is None:
        return own
    copied = (decision.dialogue >= 0) & (np.asarray(decision.op) == "repeat")
    return np.where(copied, own * mask[decision.base], own)


def _of_made(values: np.ndarray, source: np.ndarray, otherwise: int) -> np.ndarray:
    return np.where(source >= 0, _at(values, source), otherwise)


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return values[index], whatever where the index is −1."""
    return values[index] if len(values) else np.zeros(len(index), values.dtype)


def _made_names(train: Train, decision: Decision, source: np.ndarray, copy: np.ndarray) -> tuple[list[str], list[str]]:
    """Return key and dialogue of each made item; raise where one would take a name that is there."""
    keys = [f"{train.keys[base]}__{'ctx' if of < 0 else SUFFIX[op]}{number}" for base, op, of, number in
            zip(decision.base.tolist(), decision.op.tolist(), source.tolist(), copy.tolist(), strict=True)]
    dialogues = keys
    if decision.dialogue is not None:
        copies, names = Counter(), {}
        for base, number in zip(decision.base.tolist(), decision.dialogue.tolist(), strict=True):
            if number >= 0 and number not in names:
                copies[train.dialogues[base]] += 1
                names[number] = f"{train.dialogues[base]}__copy{copies[train.dialogues[base]]}"
        dialogues = [names.get(number, key) for key, number in zip(keys, decision.dialogue.tolist(), strict=True)]
    for key in keys:
        check_key(key, where="a made item")
    for made, there in ((keys, train.keys), (dialogues, train.dialogues)):
        if clash := set(made) & set(there):
            raise EmoprepError("a made item would take a name that is there", where=min(clash))
    return keys, dialogues


def spread(dialogues: Sequence[str], base: np.ndarray, seed: int, dialogue: np.ndarray | None = None
           ) -> tuple[np.ndarray, np.ndarray]:
    """Return (row, made) of all items in order: rows stay in order, made items fall evenly between dialogues.

    Which lone item comes where is drawn, so that classes mix. Made dialogues (items of one number ≥ 0 in `dialogue`)
    stay whole; the copies of one dialogue lie as far from it and from each other as they can.

    >>> row, made = spread(["d1", "d1", "d2", "d3"], np.array([3, 0]), seed=0)
    >>> row.tolist(), made.tolist()
    ([0, 1, 0, 2, 3, 3], [-1, -1, 1, -1, -1, 0])
    """
    starts, ends = dialogue_spans(dialogues)
    place = np.empty(len(base))
    block = np.arange(len(base)) if dialogue is None else np.where(dialogue < 0, -1 - np.arange(len(base)), dialogue)
    lone = np.arange(len(base)) if dialogue is None else np.flatnonzero(dialogue < 0)
    order = np.random.default_rng(child_seed(seed, "spread", "", 0)).permutation(len(lone))
    place[lone[order]] = (np.arange(len(lone)) + 0.5) / max(len(lone), 1)
    if len(lone) < len(base):
        whole = np.flatnonzero(dialogue >= 0)
        home = np.searchsorted(starts, base[whole], side="right") - 1
        place[whole] = _places_of_copies(dialogue[whole], home, len(starts))
    order = np.lexsort((block, place))
    at = ends[(place[order] * len(ends)).astype(np.int64)]  # a made item comes right before the next dialogue
    return np.insert(np.arange(len(dialogues)), at, base[order]), np.insert(np.full(len(dialogues), -1), at, order)


def _places_of_copies(dialogue: np.ndarray, home: np.ndarray, number: int) -> np.ndarray:
    """Return the places in 0 … 1 of copied rows: the copies of a dialogue at p lie at p + i/(copies + 1), modulo 1."""
    _, first, block = np.unique(dialogue, return_index=True, return_inverse=True)
    origin = home[first]
    copies = np.bincount(origin, minlength=number)[origin]
    return ((origin / number + copy_numbers(origin) / (copies + 1)) % 1)[block]


def plan_table(items: Items, keys: Sequence[str], renorm: str) -> pyarrow.Table:
    """Return the rows of plan.parquet: one a train item, dropped ones included, each made one naming its parents.

    `keys` are those of the train rows.
    """
    import pyarrow

    decision, made = items.decision, items.made
    bases = [keys[row] if number >= 0 or op == "augment" else None
             for row, number, op in zip(items.row.tolist(), made.tolist(), items.op, strict=True)]
    neighbor = np.where(made >= 0, _at(decision.neighbor, made), -1)
    lam = np.where(made >= 0, _at(decision.lam, made), np.nan)
    return pyarrow.table({
        "key": items.key, "op": items.op, "base": pyarrow.array(bases, pyarrow.string()),
        "neighbor": pyarrow.array([keys[row] if row >= 0 else None for row in neighbor.tolist()], pyarrow.string()),
        "lambda": pyarrow.array(lam, pyarrow.float64(), from_pandas=True),
        "copy": pyarrow.array(items.copy, pyarrow.int32()),
        "repeat": pyarrow.array([int(op != "drop") for op in items.op], pyarrow.int32()),
        "seed": pyarrow.array(items.seed, pyarrow.int64(), mask=items.seed < 0),
        "parameters": [_parameters(items, number, row, op, renorm) for number, row, op in
                       zip(made.tolist(), items.row.tolist(), items.op, strict=True)],
        "loss_mask": pyarrow.array(items.loss_mask, pyarrow.float32())})


def _parameters(items: Items, number: int, row: int, op: str, renorm: str) -> str:
    """Return what says how an item is made, beyond its parents, as JSON."""
    if number < 0:
        found = items.decision.altered[row] if op == "augment" else {}
    else:
        found = {} if items.decision.parameters is None else items.decision.parameters[number]
        found = {**found, "renorm": renorm} if op == "interpolate" and renorm != "off" else found
    return json.dumps(found) if found else "{}"
