"""What balancing changed, and from which parents: read from a balanced store's manifest, plan and weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.errors import EmoprepError, MissingInput
from emoprep.labels import MULTI, OUTSIDE, LabelScheme
from emoprep.report.contents import Balancing, Made
from emoprep.report.train import TrainRows, find, read_plan, read_train, truths
from emoprep.store.folder import MANIFEST, PLAN, read_json
from emoprep.store.manifest import Store

if TYPE_CHECKING:
    import pyarrow

__all__ = ["gather_balancing"]

WEIGHTS = "class_weights.json"

MOST_USED = 10

MOST = 2 ** 63  # of anything that is counted, or weighs; an int of JSON may be larger than any float


def gather_balancing(store: Store, *, shown: int = 20) -> Balancing | None:
    """Return what balancing did to the train split of a store; None where the store is not balanced.

    Classes are those of the label scheme that it was balanced by. An item is made if the plan gives it another one as
    base and it is in the loss: what was copied along with its dialogue is context. An utterance that was changed in its
    place is its own base, and nobody's child. Each made item is one child of its base, and one of its
    neighbour. `made` has the first `shown` of each class, in the order of the plan; of several labels an item has the
    rarest. `weights` are pos_weight for several labels, without a label that none or all rows have.

    Raises EmoprepError where the plan, the weights or the manifest's `balance` cannot be what `balance` writes.
    """
    balance, where = store.manifest.balance, str(store.path / MANIFEST)
    if balance is None:
        return None
    plan = read_plan(store)
    if plan is None:
        raise MissingInput("the store was balanced, and its plan is missing", where=str(store.path / PLAN),
                           remedy="balance again")
    labels = _texts(balance.get("labels"), where, "labels")
    before, requested, after = (_numbers(balance.get(name), labels, where, name)
                                for name in ("before", "requested", "after"))
    strategy, *then = _texts([balance.get("strategy"), *_texts(balance.get("then", []), where, "then")], where,
                             "strategy")
    scheme = _scheme(store)
    if labels != list(scheme.labels):
        raise EmoprepError("labels of the balancing are not those of its label scheme", where=where,
                           expected=", ".join(scheme.labels), got=", ".join(labels), remedy="balance again")
    train, (made, touched, items) = read_train(store, scheme), _items(plan)
    children, most_used = _children(made, train, labels)
    upon = balance.get("upon")
    return Balancing(strategy, then, _settings(store), labels, before, requested, after,
                     {label: requested[label] - after[label] for label in labels if requested[label] != after[label]},
                     _weights(store), _counted(plan["op"]), children, most_used,
                     _some(touched, train, labels, shown, str(store.path / PLAN)), made.num_rows,
                     touched.num_rows - made.num_rows, **items, scheme=scheme.name, several=scheme.task == MULTI,
                     upon=None if upon is None else _texts([upon], where, "upon")[0])


# ----------------------------------------------------------------------------------------------- the plan

def _items(plan: pyarrow.Table) -> tuple[pyarrow.Table, pyarrow.Table, dict[str, int]]:
    """Return what was made and is in the loss, the same with what was changed in its place, and the numbers of items.

    A null in the plan's base is one that was there; a null in its loss_mask counts nothing.
    """
    from pyarrow import compute

    there = truths(compute.is_null(plan["base"])) | truths(compute.equal(plan["base"], plan["key"]))
    stays = truths(compute.not_equal(plan["op"], "drop"))
    in_loss = truths(compute.greater(plan["loss_mask"], 0)) & stays
    touched = in_loss & truths(compute.is_valid(plan["base"]))
    numbers = {"items_before": there, "items_after": stays, "in_loss": in_loss, "context": stays & ~there & ~in_loss}
    return plan.filter(touched & ~there), plan.filter(touched), {name: int(which.sum())
                                                                 for name, which in numbers.items()}


def _children(born: pyarrow.Table, train: TrainRows, labels: Sequence[str]
              ) -> tuple[dict[int, int], list[tuple[str, str | None, int]]]:
    """Return how many parents have so many children, and those that have most, with their class."""
    import pyarrow
    from pyarrow import compute

    second = born["neighbor"].filter(compute.not_equal(born["neighbor"], born["base"]))
    counted = pyarrow.chunked_array([*born["base"].chunks, *second.chunks], pyarrow.string()).value_counts()
    parents, number = counted.field("values"), counted.field("counts")
    histogram = _counted(number)
    first = compute.sort_indices(pyarrow.table({"number": number, "key": parents}),
                                 [("number", "descending"), ("key", "ascending")])[:MOST_USED]
    named = [_label(code, labels) for code in _classes([parents.take(first)], train).tolist()]
    return {count: histogram[count] for count in sorted(histogram)}, list(
        zip(parents.take(first).to_pylist(), named, number.take(first).to_pylist(), strict=True))


def _some(touched: pyarrow.Table, train: TrainRows, labels: Sequence[str], shown: int, where: str) -> list[Made]:
    """Return the first `shown` items of each class, class by class, those without one at the end."""
    y = _classes([touched["key"], touched["base"]], train)
    codes = np.where(y == OUTSIDE, len(labels), y)
    order = np.argsort(codes, kind="stable")
    rank = np.arange(len(order)) - np.searchsorted(codes[order], codes[order])
    chosen = order[rank < shown]
    return [Made(item["key"], _label(code, labels), item["op"], item["base"], item["neighbor"],
                 item["lambda"] if item["lambda"] is not None and math.isfinite(item["lambda"]) else None,
                 _parameters(item, where))
            for item, code in zip(touched.take(chosen).to_pylist(), y[chosen].tolist(), strict=True)]


def _classes(names: Iterable[pyarrow.ChunkedArray], train: TrainRows) -> np.ndarray:
    """Return the class of the first of these keys that is a train row, int16 [n]; −100 where none is.

    By a recipe made items are in the plan alone: they have their base's class.
    """
    y = None
    for keys in names:
        row = find(keys, train.keys)
        found = np.where(row < 0, OUTSIDE, train.y[row])
        y = found if y is None else np.where(y == OUTSIDE, found, y)
    return y


def _label(code: int, labels: Sequence[str]) -> str | None:
    return None if code == OUTSIDE else labels[code]


def _counted(column: pyarrow.Array | pyarrow.ChunkedArray) -> dict[Any, int]:
    return {pair["values"]: pair["counts"] for pair in column.value_counts().to_pylist()}


def _parameters(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        found = read_json((item["parameters"] or "{}").encode())
        if not isinstance(found, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise EmoprepError("the parameters of this item cannot be read", where=f"{where}: {item['key']}",
                           expected="a JSON object", got=str(error), remedy="balance again") from error
    return found


# ------------------------------------------------------------------------------- the manifest, the weights

def _scheme(store: Store) -> LabelScheme:
    """Return the label scheme that the store was balanced by: one of its own, or somebody's TOML file."""
    name, written = store.manifest.balance.get("label_scheme"), store.manifest.facts["settings"].get("label_scheme")
    if isinstance(name, str) and name in store.manifest.schemes:
        return store.manifest.schemes[name]
    return LabelScheme.from_json(str(name), written if isinstance(written, dict) else {}, str(store.path / MANIFEST))


def _settings(store: Store) -> dict[str, Any]:
    """Return the settings that say something, those of later steps under their strategy's name."""
    found = dict(store.manifest.facts["settings"])
    then = found.pop("then", None)
    steps = [step for step in then if isinstance(step, dict)] if isinstance(then, list) else []
    for step in steps:
        found |= {f"{step.get('strategy')}: {name}": value for name, value in step.items() if name != "strategy"}
    return {name: value for name, value in found.items()
            if name not in ("strategy", "label_scheme") and value is not None and value != []}


def _weights(store: Store) -> dict[str, float] | None:
    path = store.path / WEIGHTS
    if not path.is_file():
        return None
    try:
        found = read_json(path.read_bytes())
        labels, several = found["labels"], found["task"] == MULTI
        numbers = found["pos_weight" if several else "weights"]
        known = [label for label in labels if not (several and numbers[label] is None)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmoprepError("the weights cannot be read", where=str(path), got=repr(error),
                           remedy="balance again") from error
    return _numbers(numbers, _texts(known, str(path), "labels"), str(path), "weights")


def _texts(found: Any, where: str, what: str) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise EmoprepError(f"{what} of the balancing is not what `balance` writes", where=where, expected="texts",
                           got=repr(found)[:80], remedy="balance again")
    return found


def _numbers(found: Any, labels: Sequence[str], where: str, what: str) -> dict[str, float]:
    """Return the numbers of all classes in their order."""
    if not isinstance(found, dict) or not all(type(found.get(label)) in (int, float) and abs(found[label]) <= MOST
                                              for label in labels):
        raise EmoprepError(f"{what} of the balancing is not what `balance` writes", where=where,
                           expected="a number for each class", got=repr(found)[:80], remedy="balance again")
    return {label: found[label] for label in labels}
