"""What `balance` leaves beside its rows: the plan, the class weights and the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.labels import MULTI
from emoprep.store.folder import read_json
from emoprep.store.manifest import Store
from emoprep.verify.findings import Findings, listed
from emoprep.verify.folder import is_number, open_arrays

if TYPE_CHECKING:
    import pyarrow

__all__ = ["check_balanced"]

PLANNED = ("key", "op", "base", "loss_mask")
"""What the plan and the index both say of a train row."""


def _check_plan(plan: Sequence[Mapping[str, Any]], index: pyarrow.Table, balanced: Mapping[str, Any],
                findings: Findings) -> None:
    """Check that the plan's items are the train rows, and that both say the same of them.

    With a recipe train is as it was: the plan's originals are its rows, and there is nothing else to compare. Where IN
    was balanced already (`upon`), rows that stay say how that one made them.
    """
    recipe, upon = balanced.get("recipe") is True, balanced.get("upon") is not None
    rows = index.select([*PLANNED, "split"]).to_pylist()
    train = {row["key"]: row for row in rows if row["split"] == "train"}
    # In the index an original is kept, also one that loss_mask takes out of the loss.
    kept = {item["key"]: {**item, "op": "keep" if item["op"] == "mask" else item["op"]}
            for item in plan if (is_original(item) if recipe else item["repeat"])}
    stay = {key for key, item in kept.items() if item["op"] == "keep"} if upon else set()
    if other := sorted(map(str, kept.keys() ^ train.keys())):
        findings.add("balance", "plan.parquet", f"its items are not the train rows: {listed(other)}")
    for name in () if recipe else PLANNED[1:]:
        if differ := [key for key in kept.keys() & train.keys() if kept[key][name] != train[key][name]
                      and (name == "loss_mask" or key not in stay)]:
            findings.add("balance", "plan.parquet",
                         f"{name} is not that of the index: {listed(sorted(map(str, differ)))}")


def is_original(item: Mapping[str, Any]) -> bool:
    """Tell whether an item of a plan is a row of IN: one that changed in its place is its own base."""
    return item["base"] is None or item["base"] == item["key"]


def _check_parents(plan: Sequence[Mapping[str, Any]], lowest: int, findings: Findings) -> None:
    """Check that made items, and they alone, have parents, all of them among the plan's originals.

    `lowest` is the least λ: 0 between two parents, −1 where a sampler goes beyond its base, away from the neighbour.
    """
    originals = {item["key"] for item in plan if is_original(item)}
    orphans = [item["key"] for item in plan for parent in (item["base"], item["neighbor"])
               if parent is not None and parent not in originals]
    if orphans:
        findings.add("balance", "plan.parquet", f"parents that are no train rows: {listed(sorted(map(str, orphans)))}")
    between = [item["key"] for item in plan if (item["op"] == "interpolate") != (
        item["base"] is not None and item["neighbor"] is not None and item["lambda"] is not None
        and lowest <= item["lambda"] <= 1)]
    if between:
        findings.add("balance", "plan.parquet", "interpolated, and not between two parents by 0 to 1 (or the other way "
                                                f"round): {listed(sorted(map(str, between)))}")


def check_balanced(store: Store, index: pyarrow.Table | None, findings: Findings) -> None:
    """Check what `balance` leaves beside its rows, where it is there; the folder's check tells what is missing."""
    from pyarrow import parquet

    path, keys = store.path / "plan.parquet", None
    if path.is_file():
        with findings.guarded("balance", path.name):
            plan = parquet.read_table(path, columns=[*PLANNED, "neighbor", "lambda", "repeat"],
                                      use_threads=False).to_pylist()
            balanced = store.manifest.balance or {}
            strategies = [balanced.get("strategy"), *balanced.get("then", ())]
            _check_parents(plan, -1 if any(str(name).startswith("imblearn:") for name in strategies) else 0, findings)
            keys = [item["key"] for item in plan if item["repeat"]]
            if index is not None:
                _check_plan(plan, index, balanced, findings)
    if (store.path / "class_weights.json").is_file():
        _check_weights(store, findings)
    if (store.path / "sampler.npz").is_file():
        _check_sampler(store, keys, findings)


def _check_weights(store: Store, findings: Findings) -> None:
    path = store.path / "class_weights.json"
    with findings.guarded("balance", path.name):
        found = read_json(path.read_bytes())
        # Of several labels the array holds pos_weight, 1 for a label that none or all of the rows have.
        several = found.get("task") == MULTI
        numbers = found["pos_weight" if several else "weights"]
        weights = [1.0 if several and numbers[label] is None else numbers[label] for label in found["labels"]]
        if not all(map(is_number, weights)) or set(numbers) != set(found["labels"]):
            raise ValueError("there is not one number for each class")
        array = np.load(store.path / "class_weights.npy", allow_pickle=False)
        if array.shape != (len(weights),) or not np.array_equal(array, np.array(weights, np.float32)):
            findings.add("balance", "class_weights.npy", f"it has other weights than {path.name}")


def _check_sampler(store: Store, keys: Sequence[str] | None, findings: Findings) -> None:
    """Check that the sampler draws the plan's items, in their order, by weights that sum to 1."""
    path = store.path / "sampler.npz"
    with findings.guarded("balance", path.name), open_arrays(path) as sampler:
        ids = sampler["ids"]
        if keys is not None and ids.tolist() != list(keys):
            findings.add("balance", path.name, "its ids are not the plan's items, in their order")
        for name in ("weights", *(["weights_last"] if "weights_last" in sampler.files else [])):
            weights = sampler[name]
            if weights.shape != ids.shape or not (np.isfinite(weights).all() and (weights >= 0).all()
                                                  and abs(weights.sum() - 1) < 1e-6):
                findings.add("balance", path.name, f"{name} are not a number from 0 for each id, with the sum 1")
