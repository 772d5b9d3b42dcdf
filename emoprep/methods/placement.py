"""Where a made utterance lives in a conversation: alone, or in a copy of its base's dialogue.

    orphan            each made item is a dialogue of its own
    replace-in-copy   the base's dialogue is copied, and the made item stands in the base's place
    append            the base's dialogue is copied, and the made item follows its base

All other rows of a copied dialogue are context: they have loss_mask 0. Items whose bases are different rows of one
dialogue share a copy, so that a dialogue has as many copies as its busiest row has items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emoprep.contracts import Decision
from emoprep.methods.parents import copy_numbers

__all__ = ["PLACEMENTS", "dialogue_spans", "in_context"]

PLACEMENTS = ("orphan", "replace-in-copy", "append")


def dialogue_spans(dialogues: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each dialogue and the row after its last, int64 [D]; its rows lie together.

    >>> [span.tolist() for span in dialogue_spans(["d0", "d0", "d1"])]
    [[0, 2], [2, 3]]
    """
    starts = np.array([row for row in range(len(dialogues)) if row == 0 or dialogues[row] != dialogues[row - 1]],
                      dtype=np.int64)
    return starts, np.append(starts[1:], len(dialogues)).astype(np.int64)


def in_context(decision: Decision, dialogues: Sequence[str], placement: str) -> tuple[Decision, np.ndarray]:
    """Return the decision with its lone items placed, and which item of the given one each item is, int64 [m].

    −1 stands for context. Items that are part of a made dialogue already stay as they are. Rows that are dropped are
    in no copy.

    >>> from emoprep.contracts import Problem
    >>> rows = Problem(("a", "b", "c"), ("d", "d", "e"), np.array([0, 1, 1]), ("joy", "fear"), {})
    >>> placed, item = in_context(Decision.of(rows, "repeat", [1, 1]), rows.dialogues, "replace-in-copy")
    >>> placed.base.tolist(), placed.dialogue.tolist(), placed.loss_mask.tolist(), item.tolist()
    ([0, 1, 0, 1], [0, 0, 1, 1], [0.0, 1.0, 0.0, 1.0], [-1, 0, -1, 1])
    """
    number = len(decision.base)
    given = np.full(number, -1) if decision.dialogue is None else decision.dialogue
    if placement == "orphan" or not (given < 0).any():
        return decision, np.arange(number)
    base, item, dialogue = _copies(decision, np.flatnonzero(given < 0), dialogue_spans(dialogues), placement)
    dialogue = dialogue + given.max(initial=-1) + 1
    whole = np.flatnonzero(given >= 0)
    base = np.concatenate([decision.base[whole], base])
    return (_taken(decision, np.concatenate([whole, item]), base, np.concatenate([given[whole], dialogue])),
            np.concatenate([whole, item]))


def _copies(decision: Decision, lone: np.ndarray, spans: tuple[np.ndarray, np.ndarray],
            placement: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return base, item (−1: context) and number of the made dialogue, of all rows of the copied dialogues."""
    starts, ends = spans
    base = decision.base[lone]
    home = np.searchsorted(starts, base, side="right") - 1
    # The n-th item of a row goes to the n-th copy of its dialogue.
    copies, copy = np.unique(np.stack([home, copy_numbers(base)], axis=1), axis=0, return_inverse=True)
    length = (ends - starts)[copies[:, 0]]
    first = np.cumsum(length) - length
    dialogue = np.repeat(np.arange(len(copies)), length)
    row = np.arange(length.sum()) - np.repeat(first - starts[copies[:, 0]], length)
    item = np.full(len(row), -1)
    at = first[copy.ravel()] + base - starts[home]
    if placement == "append":
        at = np.sort(at) + 1, np.argsort(at, kind="stable")
        row, dialogue, item = (np.insert(values, at[0], new[at[1]]) for values, new in
                               ((row, base), (dialogue, copy.ravel()), (item, lone)))
    else:
        item[at] = lone
    there = (np.asarray(decision.kept)[row] != "drop") | (item >= 0)
    return row[there], item[there], dialogue[there]


def _taken(decision: Decision, item: np.ndarray, base: np.ndarray, dialogue: np.ndarray) -> Decision:
    """Return the decision whose made items are these of the given one; −1 is a copy of `base` as context."""
    context = item < 0

    def take(values, otherwise):
        return np.where(context.reshape(-1, *[1] * (values.ndim - 1)), otherwise, values[item])
    noise, parameters, labels = decision.noise, decision.parameters, decision.label_rows
    mask = np.ones(len(decision.base)) if decision.loss_mask is None else decision.loss_mask
    return replace(
        decision, base=base, dialogue=dialogue, op=take(np.asarray(decision.op, dtype=object), "repeat"),
        neighbor=take(decision.neighbor, -1), lam=take(decision.lam, np.nan), loss_mask=take(mask, 0.0),
        parameters=None if parameters is None else [{} if at < 0 else parameters[at] for at in item.tolist()],
        label_rows=None if labels is None else take(labels, base[:, None]),
        noise=None if noise is None else lambda some: noise_of(noise, item[some]))


def noise_of(noise, item: np.ndarray) -> dict[str, np.ndarray]:
    """Return the noise of items of which some (−1) have none.

    >>> noise_of(lambda some: {"text": np.ones((len(some), 1), np.float32)}, np.array([4, -1]))["text"].tolist()
    [[1.0], [0.0]]
    """
    there = item >= 0
    found = {}
    for name, values in noise(item[there]).items():
        found[name] = np.zeros((len(item), values.shape[1]), values.dtype)
        found[name][there] = values
    return found
