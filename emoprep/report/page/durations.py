"""How long utterances are, by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoprep.report.contents import Report
from emoprep.report.page.blocks import Column, Figure, Panel, Section, Table, class_cell, count_cell
from emoprep.report.page.charts import Box, boxes
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import called, count, seconds, sentence
from emoprep.report.page.splits import heading, main_split, of_first, other_splits, spoken
from emoprep.stats import Stats

_TOLD = {"mean": "mean", "shortest": "shortest", "p25": "25 %", "median": "median", "p75": "75 %", "p95": "95 %",
         "p99": "99 %", "longest": "longest"}


def durations(report: Report) -> Section | None:
    """Return the section of the lengths, None where no utterance has one."""
    stats = report.stats
    if all(group["seconds"]["median"] is None for group in stats.splits.values()):
        return None
    shown = [_figure(stats, main_split(stats)), *other_splits(stats, lambda split: _figure(stats, split))]
    return Section("durations", "How long they are", "Durations", _lead(stats),
                   [block for block in shown if block is not None], of_first(report))


def _lead(stats: Stats) -> str:
    split = main_split(stats)
    group = stats.splits[split]["seconds"]
    by_class = {label: one for label, one in stats.splits[split]["seconds_by_class"].items() if one["total"]}
    if group["median"] is None:
        return f"No length is known of {spoken(split)}."
    whole = f"{sentence(spoken(split))} is {seconds(group['total'])} long"
    shortest, middle, late, longest = (count(group[name], 1) for name in ("shortest", "median", "p95", "longest"))
    told = f"Every utterance of it takes {middle} s." if shortest == longest else \
        f"Half of its utterances take {middle} s or less, and the longest takes {longest} s." if late == longest else \
        f"Half of its utterances take {middle} s or less, one in twenty {late} s or more, and the longest {longest} s."
    least = min(by_class, key=lambda label: by_class[label]["total"]) if len(by_class) > 1 else None
    rare = f"; {called(least)} has least of it, {seconds(by_class[least]['total'])}" if least else ""
    return f"{whole}{rare}. {told}"


def _figure(stats: Stats, split: str) -> Figure | None:
    group, slots = stats.splits[split], colour_slots(stats.scheme.labels)
    # The last is of all classes; one of them may be called that, too.
    found = [(label, slots[label], one) for label, one in group["seconds_by_class"].items()]
    found.append(("all", None, group["seconds"]))
    if group["seconds"]["median"] is None:
        return None
    # To the 95th percentile: one clip of five minutes would press all others into a line.
    longest = max(one["p95"] for _, _, one in found if one["p95"] is not None)
    drawn = [Box(label, slot, _five(one), _all_of(one["total"])) for label, slot, one in found]
    told = ", ".join(f"{label} {count(one['median'], 1)} s" for label, _, one in found)
    table = Table(f"Seconds an utterance in {spoken(split)}",
                  [Column("class", False), Column("minutes"), *(Column(told) for told in _TOLD.values())],
                  [[class_cell(label, slot), count_cell(one["total"] / 60, 1),
                    *(count_cell(one[name]) for name in _TOLD)] for label, slot, one in found])
    return Figure(f"{heading(split)}seconds an utterance. The box holds the middle half, the line in it is the median; "
                  "the whiskers go from the shortest to the 95th percentile. To the right, how much there is in all",
                  [Panel("", boxes(drawn, longest, ticks(longest), f"Median length in {spoken(split)}: {told}"))],
                  [table], wide=True)


def _all_of(number: float) -> str:
    return f"{count(number / 60, 1)} min" if number >= 60 else f"{count(number, 1)} s"


def _five(seconds: Mapping[str, Any]) -> tuple[float, float, float, float, float] | None:
    numbers = tuple(seconds[name] for name in ("shortest", "p25", "median", "p75", "p95"))
    return None if numbers[0] is None else numbers


def ticks(longest: float) -> list[float]:
    """Return round numbers from 0 to at most `longest`, about six of them.

    >>> ticks(8.4), ticks(0.7), ticks(0)
    ([0, 2, 4, 6, 8], [0, 0.2, 0.4, 0.6], [0])
    """
    steps = [mantissa * 10.0 ** power for power in range(-4, 7) for mantissa in (1, 2, 5)]
    step = next((step for step in steps if longest / step <= 6), steps[-1])
    return [0, *(round(step * number, 6) if step < 1 else int(step * number)
                 for number in range(1, int(longest / step) + 1))]
