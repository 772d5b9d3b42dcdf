"""Class skew of each split, why small classes are never predicted, the measures, and the drift between splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from emoprep.labels import MULTI
from emoprep.methods.metrics import score
from emoprep.report.contents import Report
from emoprep.report.page.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Fold,
    Panel,
    Section,
    Table,
    class_cell,
    count_cell,
    percent_cell,
    text_cell,
)
from emoprep.report.page.charts import Bar, bars
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import arrow, count, figure, listed, percent
from emoprep.report.page.splits import compared, main_split, sides, spoken
from emoprep.stats import Stats
from emoprep.stats.measures import named, of_group


def skew(report: Report) -> Section | None:
    """Return the section of the classes, None where there is no utterance."""
    stats, multi = report.stats, report.stats.scheme.task == MULTI
    if not stats.splits:
        return None
    blocks: list[Block] = [_figure(report)]
    if not multi and any(sum(group["counts"].values()) for group in stats.splits.values()):
        blocks.append(_always(stats))
    if multi:
        blocks.append(_labels(stats))
    blocks.append(Fold("All measures, by their names in the literature", [_measures(report)]))
    drift = [_drift(f"Drift between the splits{f' of {name}' if len(sides(report)) > 1 else ''}", one)
             for name, one in sides(report) if one.drift]
    if drift:
        blocks.append(Fold("Drift between the splits", drift))
    return Section("skew", "Class skew", "Skew", " ".join(_lead(report)), blocks)


# ------------------------------------------------------------------------------------------------------ in words

def _lead(report: Report) -> Iterator[str]:
    stats, split = report.stats, main_split(report.stats)
    counts = stats.splits[split]["counts"]
    if not any(counts.values()):
        yield f"No utterance of {spoken(split)} has a class of {stats.scheme.name}."
        return
    yield _of_labels(stats, split) if stats.scheme.task == MULTI else _of_majority(stats, split)
    largest, smallest = max(counts, key=counts.get), min(counts, key=counts.get)
    if counts[smallest] == counts[largest]:
        yield f"Every class has {count(counts[largest])} in {spoken(split)}."
    elif counts[smallest]:
        of = stats.splits[split]["utterances"] - stats.splits[split]["outside"]
        yield (f"The class {smallest} has {count(counts[smallest])} of {count(of)} ({percent(counts[smallest] / of)}), "
               f"one for every {count(counts[largest] / counts[smallest], 1)} of {largest}.")
    else:
        yield f"There is no {smallest} at all in {spoken(split)}: no model can learn it here."
    for name, other in sides(report)[1:]:
        ratios = [one.splits[split]["imbalance_ratio"] for one in (stats, other) if split in one.splits]
        yield f"From {report.names[0]} to {name} the imbalance ratio of {split} goes {arrow(*map(_ratio, ratios))}."


def _of_majority(stats: Stats, split: str) -> str:
    scores = _majority(stats)
    parts = [f"{percent(found.accuracy)} of {spoken(name)}" for name, found in scores.items()]
    label = max(stats.splits[split]["counts"], key=stats.splits[split]["counts"].get)
    return (f"A model that always says {label} is right for {listed(parts)} (accuracy); its macro F1 in "
            f"{spoken(split)} is only {percent(scores[split].macro_f1)}, because it never finds any other class.")


def _of_labels(stats: Stats, split: str) -> str:
    group = stats.splits[split]
    inside = group["utterances"] - group["outside"]
    least = min(group["shares"], key=group["shares"].get)
    return (f"An utterance of {spoken(split)} has {count(group['cardinality'])} labels on average; "
            f"{count(group['none'])} of {count(inside)} have none. A model that never says {least} is right about it "
            f"for {percent(1 - group['shares'][least])} of the utterances.")


def _majority(stats: Stats) -> dict[str, Any]:
    """Return what always saying the main split's largest class scores on each split that has a class."""
    main = stats.splits[main_split(stats)]["counts"]
    always = list(main).index(max(main, key=main.get))
    found = {}
    for split, group in stats.splits.items():
        counts = list(group["counts"].values())
        if sum(counts):
            confusion = np.zeros((len(counts), len(counts)))
            confusion[:, always] = counts
            found[split] = score(confusion, stats.scheme.labels)
    return found


# ------------------------------------------------------------------------------------------------------ the blocks

def _figure(report: Report) -> Figure:
    stats, slots = report.stats, colour_slots(report.stats.scheme.labels)
    pair = len(sides(report)) > 1
    longest = max(share for _, one in sides(report) for group in one.splits.values()
                  for share in group["shares"].values())
    drawn: dict[str, list[Bar]] = {}
    rows = []
    for split, groups in compared(report):
        drawn[split] = []
        for label in stats.scheme.labels:
            shares = [group["shares"][label] for group in groups]
            # Bars of a pair are compared by share; the counts stand in the table.
            told = arrow(*map(percent, shares)) if pair else \
                f"{count(groups[0]['counts'][label])} · {percent(shares[0])}"
            drawn[split].append(Bar(label, slots[label], shares, told))
            rows.append([text_cell(split), class_cell(label, slots[label]), *_class_cells(groups, label)])
    texts = [bar.text for found in drawn.values() for bar in found]
    panels = [Panel(split if split != "all" else "",
                    bars(found, longest, f"Classes of {split}: {_spoken(found)}", texts), bars=True)
              for split, found in drawn.items()]
    what = "Positives of each label and their share of the utterances" if stats.scheme.task == MULTI \
        else "Utterances of each class and their share of the split"
    names = [name for name, _ in sides(report)]
    legend = [("pale", f"before: {names[0]}"), ("full", f"after: {names[-1]}")] if pair else []
    return Figure(f"{what} ({stats.scheme.name}); all splits on one scale", panels,
                  [Table("Classes of each split", _class_columns(names), rows)], legend)


def _spoken(drawn: list[Bar]) -> str:
    return ", ".join(f"{bar.label} {bar.text}" for bar in drawn)


def _class_columns(names: list[str]) -> list[Column]:
    of = [f" {name}" for name in names] if len(names) > 1 else [""]
    counted = [Column(f"{name}{which}") for which in of for name in ("utterances", "share")]
    return [Column("split", False), Column("class", False), *counted,
            *([Column("difference")] if len(names) > 1 else []), Column("largest ÷ it"), Column("lacks")]


def _class_cells(groups: list[Mapping[str, Any]], label: str) -> list[Cell]:
    cells = [cell for group in groups for cell in (count_cell(group["counts"][label]),
                                                   percent_cell(group["shares"][label]))]
    if len(groups) > 1:
        cells.append(count_cell(groups[1]["counts"][label] - groups[0]["counts"][label]))
    last = groups[-1]
    return [*cells, count_cell(last["ratios"][label], 1), count_cell(last["lacks"][label])]


def _always(stats: Stats) -> Table:
    main = stats.splits[main_split(stats)]["counts"]
    rows = [[text_cell(split), *(percent_cell(value) for value in (found.accuracy, found.weighted_f1, found.macro_f1,
                                                                   found.uar))]
            for split, found in _majority(stats).items()]
    return Table(f"What always saying {max(main, key=main.get)} scores; no result below these is worth telling",
                 [Column("split", False), Column("accuracy (WA)"), Column("weighted F1"), Column("macro F1"),
                  Column("UAR (UA)")], rows)


def _labels(stats: Stats) -> Table:
    slots = colour_slots(stats.scheme.labels)
    splits = stats.splits.items()
    return Table("Positives of each label, and IRLbl: the most frequent label's positives ÷ its own (Charte 2015)",
                 [Column("label", False), *(Column(f"{split} {what}") for split, _ in splits
                                            for what in ("positives", "IRLbl"))],
                 [[class_cell(label, slots[label]), *(cell for _, group in splits for cell in (
                     count_cell(group["counts"][label]), count_cell(group["irlbl"][label])))]
                  for label in stats.scheme.labels])


def _measures(report: Report) -> Table:
    groups = [(f"{split} {name}" if len(sides(report)) > 1 else split, of_group(group))
              for name, stats in sides(report) for split, group in stats.splits.items()]
    return Table("Measures", [Column("measure", False), *(Column(name) for name, _ in groups)],
                 [[text_cell(name), *(count_cell(found[field], 4) for _, found in groups)]
                  for field, name in named(report.stats.scheme.task).items()])


def _drift(caption: str, stats: Stats) -> Table:
    rows = []
    for left, others in stats.drift.items():
        for right, found in others.items():
            rows.append([text_cell(f"{left} – {right}"), *_drift_cells(found)])
            rows += [[text_cell(f"{left} – {right}: {label}"), *_drift_cells(one)]
                     for label, one in found.get("by_class", {}).items()]
    return Table(caption, [Column("splits", False), Column("JS divergence, nats"), Column("JS distance"), Column("χ²"),
                           Column("df"), Column("p")], rows)


def _drift_cells(found: Mapping[str, Any]) -> list[Cell]:
    tiny = [found["js_divergence"], found["js_distance"]]
    return [*(Cell(figure(number), count_cell(number).raw) for number in tiny), count_cell(found.get("chi2")),
            count_cell(found.get("df")), Cell(figure(found.get("p")), count_cell(found.get("p")).raw)]


def _ratio(number: float | None) -> str:
    return "unbounded (a class has no member)" if number is None else count(number, 1)
