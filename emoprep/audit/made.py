"""Rows that balancing made: children of dev or test in train, and what was resampled before it was split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from emoprep.audit.checks import Example, Finding
from emoprep.audit.rows import Rows
from emoprep.audit.shared import Found
from emoprep.store.folder import PLAN

__all__ = ["planned_ops", "resampled_before_split", "synthetic_leak"]


def synthetic_leak(rows: Rows, threshold: float) -> Found:
    """Find train rows that were made of dev or test utterances: by base, neighbour or groups."""
    if rows.store is None:
        return "a raw corpus does not say what its rows were made of"
    if rows.store.manifest.balance is not None and not (rows.store.path / PLAN).is_file():
        return f"the store was balanced, and its {PLAN} is missing"
    split_of = dict(zip(rows.keys, rows.splits, strict=True))
    of_dialogue = {dialogue: split for dialogue, split, op in
                   zip(*(rows.columns[name] for name in ("dialogue", "split", "op")), strict=True) if op == "keep"}
    leaks: dict[str, dict[str, str]] = defaultdict(dict)

    def told(key: str, parent: str | None, split: str | None, how: str) -> None:
        if split not in (None, "train"):
            leaks[split].setdefault(key, f"{how} {parent}")
    for row in rows.members.get("train", ()):
        base = rows.columns["base"][row]
        told(rows.keys[row], base, split_of.get(base), "made of")
        for group in rows.columns["groups"][row] or () if rows.columns["op"][row] != "keep" else ():
            told(rows.keys[row], group, of_dialogue.get(group), "made of the dialogue")
    for key, parent in _planned(rows):
        told(key, parent, split_of.get(parent), "made of")
    total = len(rows.members.get("train", ()))
    return [Finding("synthetic-leak", ("train", split), len(made), "train rows", total,
                    examples=[Example((key,), detail) for key, detail in made.items()])
            for split, made in leaks.items() if len(made) > threshold]


def _planned(rows: Rows) -> Iterator[tuple[str, str]]:
    """Yield the key of each made row of the plan with each of its parents."""
    for key, *parents in _plan(rows, ["key", "base", "neighbor"]):
        for parent in parents:
            if parent is not None and parent != key:
                yield key, parent


def planned_ops(rows: Rows) -> set[str]:
    """Return what the plan does to rows; nothing where there is no plan."""
    return {op for op, in _plan(rows, ["op"])}


def _plan(rows: Rows, columns: list[str]) -> Iterator[tuple]:
    table = rows.store.plan(columns)
    if table is not None:
        yield from zip(*(table.column(name).to_pylist() for name in columns), strict=True)


def resampled_before_split(rows: Rows, threshold: float) -> Found:
    """Find made rows in dev and test, and more than the share `threshold` of rows that are copies of train rows."""
    found = []
    train = {_content(rows, row): row for row in rows.members.get("train", ())}
    for split, members in rows.members.items():
        if split == "train":
            continue
        made = [row for row in members if rows.columns["op"][row] != "keep" or rows.columns["base"][row] is not None]
        copies = [row for row in members if _content(rows, row) in train and _content(rows, row) is not None]
        if made:
            found.append(Finding("resampled-before-split", (split,), len(made), "utterances", len(members),
                                 "rows that were made", [
                                     Example((rows.keys[row],), f"{rows.columns['op'][row]} of "
                                                                f"{rows.columns['base'][row]}") for row in made]))
        if len(copies) > threshold * len(members):
            found.append(Finding("resampled-before-split", ("train", split), len(copies), "utterances", len(members),
                                 "copies of train rows, in all that the annotation says", [
                                     Example((rows.keys[train[_content(rows, row)]], rows.keys[row]))
                                     for row in copies]))
    return found


def _content(rows: Rows, row: int) -> tuple | None:
    """Return all that the annotation says of a row but its names; None where it says too little to know it again."""
    place, text = rows.places[row], rows.plain[row]
    if place is None and len(text.split()) < 5:
        return None
    annotated = tuple(repr(rows.columns[name][row]) for name in rows.types)
    return place, text, rows.columns["speaker"][row], *annotated
