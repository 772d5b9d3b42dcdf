"""The tables of `emoprep stats` for a spreadsheet: one header, one row for each class, pair, speaker or measure."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from emoprep.errors import UsageError
from emoprep.stats import Stats
from emoprep.stats.measures import named, of_group

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_SECONDS = ("total", "mean", "median", "p95", "p99", "shortest", "longest")


class Sheet(NamedTuple):
    """A table whose rows are known by their first columns, `keys`; the others are `values`."""

    keys: tuple[str, ...]
    values: tuple[str, ...]
    rows: dict[tuple[str, ...], tuple[Any, ...]]


def sheet(stats: Stats, more: Collection[str] = ()) -> Sheet:
    """Return the sheet of the classes, or the one that `more` names."""
    if len(more) > 1:
        raise UsageError("--csv prints one table", where="--csv", got=", ".join(f"--{name}" for name in more),
                         remedy="ask for one of them, or for --json, which has all")
    return {"measures": _measures, "durations": _durations, "transitions": _transitions,
            "speakers": _speakers}[next(iter(more))](stats) if more else _classes(stats)


def beside(left: Sheet, right: Sheet, names: tuple[str, str]) -> Sheet:
    """Return two sheets as one: each column of the values twice, with the name of the one it is from."""
    blank = (None,) * len(left.values)
    return Sheet(left.keys, tuple(f"{value} {name}" for value in left.values for name in names), {
        key: tuple(cell for pair in zip(left.rows.get(key, blank), right.rows.get(key, blank), strict=True)
                   for cell in pair)
        for key in dict.fromkeys([*left.rows, *right.rows])})


def write(sheet: Sheet) -> None:
    """Print a sheet as CSV on stdout."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*sheet.keys, *map(_cell, sheet.values)])
    for keys, values in sheet.rows.items():
        writer.writerow([*map(_cell, keys), *("" if value is None else value for value in values)])


def _classes(stats: Stats) -> Sheet:
    measures = ("imbalance_ratio", "evenness", "effective_classes")
    return Sheet((stats.by, "class"), ("utterances", "share", "ratio_to_largest", "lacks_to_largest", "seconds",
                                       *measures), {
        (name, label): (group["counts"][label], group["shares"][label], group["ratios"][label], group["lacks"][label],
                        group["seconds_by_class"][label]["total"], *(group[measure] for measure in measures))
        for name, group in _groups(stats) for label in stats.scheme.labels})


def _measures(stats: Stats) -> Sheet:
    return Sheet(("split", "measure"), ("value",), {
        (split, field): (of_group(group)[field],) for split, group in stats.splits.items()
        for field in named(stats.scheme.task)})


def _durations(stats: Stats) -> Sheet:
    cut = () if stats.max_seconds is None else ("cut",)
    return Sheet((stats.by, "class"), (*_SECONDS, *cut), {
        (name, label): (*(group["seconds_by_class"][label][field] for field in _SECONDS),
                        *(group["cut"]["by_class"][label] for _ in cut))
        for name, group in _groups(stats) for label in stats.scheme.labels})


def _transitions(stats: Stats) -> Sheet:
    return Sheet(("split", "class", "next"), ("pairs", "share"), {
        (split, left, right): (count, group["transition_shares"][left][right])
        for split, group in stats.splits.items() for left, row in group["transitions"].items()
        for right, count in row.items()})


def _speakers(stats: Stats) -> Sheet:
    return Sheet(("split", "speaker"), ("utterances", *stats.scheme.labels), {
        (split, str(name)): (group["speaker_counts"][name], *counts.values()) for split, group in stats.splits.items()
        for name, counts in group["speaker_emotions"].items()})


def _groups(stats: Stats) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from (stats.splits if stats.groups is None else stats.groups).items()


def _cell(text: str) -> str:
    """Keep a spreadsheet from running a speaker's or a class's name as a formula."""
    return "'" + text if text[:1] in "=+-@\t" and not _NUMBER.fullmatch(text) else text
