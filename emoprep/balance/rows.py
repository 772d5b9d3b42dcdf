"""The index rows of the new train split, and how those that are augmented change."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.balance.items import Items
from emoprep.balance.plan import BalancePlan
from emoprep.contracts import Decision
from emoprep.methods.augmentation import augmented_row
from emoprep.store.index import with_column

if TYPE_CHECKING:
    import pyarrow

__all__ = ["recipes", "train_rows"]


def train_rows(plan: BalancePlan) -> pyarrow.Table:
    """Return the index rows of the new train split, in order: a made row is its base's with another name."""
    import pyarrow

    train, items = plan.source.rows("train"), plan.items
    if plan.recipe:
        return train
    staying = items.staying
    rows, made = items.row[staying], items.made[staying]
    table = train.take(pyarrow.array(rows))
    if not (made >= 0).any() and len(staying) == train.num_rows and not items.decision.altered:
        return with_column(table, "loss_mask", items.loss_mask[staying])
    op = [items.op[at] for at in staying.tolist()]
    flags, earlier, bases = (table.column(name).to_pylist() for name in ("flags", "op", "base"))
    columns = {
        "key": [items.key[at] for at in staying.tolist()],
        "dialogue": [items.dialogue[at] for at in staying.tolist()],
        "groups": _groups(items, train.column("groups").to_pylist()),
        "flags": [[*found, "feature-only"] if one in ("interpolate", "generate") else found
                  for found, one in zip(flags, op, strict=True)],
        # A row that stays says how an earlier balancing made it, if one did.
        "op": [before if one in ("keep", "mask") else one for before, one in zip(earlier, op, strict=True)],
        "base": [before if one in ("keep", "mask") else plan.train.keys[row]
                 for before, row, one in zip(bases, rows.tolist(), op, strict=True)],
        "loss_mask": items.loss_mask[staying],
    }
    for name, values in columns.items():
        table = with_column(table, name, values)
    table = with_column(table, "turn", _dense_turns(columns["dialogue"]))
    if items.decision.label_rows is not None:
        table = _relabelled(plan, table, train, made)
    return _augmented_rows(plan, table)


def _groups(items: Items, groups: list[list[str]]) -> list[list[str]]:
    """Return the dialogues of all parents of each item that stays: grouped validation must keep it away from each.

    A row of a made dialogue has those of the whole dialogue: a model of context sees them all.
    """
    found, whole = [], {}
    for at in items.staying.tolist():
        number = items.made[at]
        parents = {items.row[at], *(_other_parents(items.decision, number) if number >= 0 else ())}
        found.append({name for row in parents for name in groups[row]})
        if number >= 0:
            whole.setdefault(items.dialogue[at], set()).update(found[-1])
    return [sorted(whole.get(items.dialogue[at], own) if items.made[at] >= 0 else own)
            for at, own in zip(items.staying.tolist(), found, strict=True)]


def _other_parents(decision: Decision, number: int) -> set[int]:
    """Return the rows beside its base that a made item takes something from: features, or a label."""
    others = set() if decision.label_rows is None else set(decision.label_rows[number].tolist())
    return others | ({int(decision.neighbor[number])} - {-1})


def _relabelled(plan: BalancePlan, table: pyarrow.Table, train: pyarrow.Table, made: np.ndarray) -> pyarrow.Table:
    """Return index rows in which made items have the annotation of the rows whose labels were chosen."""
    rows = plan.items.row[plan.items.staying]
    for number, name in enumerate(plan.scheme.reads):
        chosen = rows.copy()
        chosen[made >= 0] = plan.items.decision.label_rows[made[made >= 0], number]
        values = train.column(name).to_pylist()
        table = with_column(table, name, [values[row] for row in chosen.tolist()])
    for scheme in plan.source.manifest.schemes.values():
        if set(scheme.reads) & set(plan.scheme.reads):
            annotation = [dict(zip(scheme.reads, values, strict=True)) for values in
                          zip(*(table.column(name).to_pylist() for name in scheme.reads), strict=True)]
            table = with_column(table, scheme.index_column, scheme.encode(annotation))
    return table


def _dense_turns(dialogues: list[str]) -> list[int]:
    """Count turns within each dialogue; the rows of a dialogue lie together and in order."""
    return [turn for _, group in itertools.groupby(dialogues) for turn, _ in enumerate(group)]


def recipes(plan: BalancePlan) -> list[Mapping[str, Any] | None]:
    """Return how each item that stays is augmented, None for those that are copied as they are."""
    items, decision = plan.items, plan.items.decision
    found: list[Mapping[str, Any] | None] = []
    for at in items.staying.tolist():
        number = items.made[at]
        if items.op[at] != "augment":
            found.append(None)
        else:
            found.append(decision.altered[items.row[at]] if number < 0 else decision.parameters[number])
    return found


def _augmented_rows(plan: BalancePlan, table: pyarrow.Table) -> pyarrow.Table:
    """Return index rows as augmentation leaves them: stretched clips have other lengths, say."""
    found = [(place, recipe) for place, recipe in enumerate(recipes(plan)) if recipe is not None]
    rows = table.take(np.array([place for place, _ in found], dtype=np.int64)).to_pylist()
    changes = {place: augmented_row(row, recipe) for (place, recipe), row in zip(found, rows, strict=True)}
    for name in sorted({name for changed in changes.values() for name in changed}):
        values = table.column(name).to_pylist()
        for place, changed in changes.items():
            values[place] = changed.get(name, values[place])
        table = with_column(table, name, values)
    return table
