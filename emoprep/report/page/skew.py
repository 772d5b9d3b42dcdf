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
    Prose,
    Section,
    Table,
    class_cell,
    count_cell,
    percent_cell,
    text_cell,
)
from emoprep.report.page.charts import Bar, bars, hundred
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import arrow, called, count, figure, listed, percent, plural
from emoprep.report.page.splits import compared, main_split, named, sides, spoken
from emoprep.stats import Stats
from emoprep.stats.measures import named as measures
from emoprep.stats.measures import of_group


def skew(report: Report) -> Section | None:
    """Return the section of the classes, None where there is no utterance."""
    stats, multi = report.stats, report.stats.scheme.task == MULTI
    if not stats.splits:
        return None
    blocks: list[Block] = [_figure(report), *map(Prose, _uncounted(report))]
    if not multi and _told_apart(stats):
        blocks.append(_always(stats))
    blocks.append(Fold("All measures, by their names in the literature",
                       [*([_labels(stats)] if multi else []), _measures(report)]))
    drift = [_drift(f"Drift between the splits{f' of {name}' if len(sides(report)) > 1 else ''}", one)
             for name, one in sides(report) if one.drift]
    if drift:
        blocks.append(Fold("Drift between the splits", drift))
    return Section("skew", "Class skew", "Skew", " ".join(_lead(report)), blocks, says=_in_short(stats))


def _told_apart(stats: Stats) -> bool:
    """Tell whether there is anything to tell apart: two classes, and utterances of some."""
    return len(stats.scheme.labels) > 1 and any(sum(group["counts"].values()) for group in stats.splits.values())


# ------------------------------------------------------------------------------------------------------ in words

def _lead(report: Report) -> Iterator[str]:
    stats, split = report.stats, main_split(report.stats)
    counts = stats.splits[split]["counts"]
    if not any(counts.values()):
        yield f"No utterance of {spoken(split)} has a class of {stats.scheme.name}."
        return
    if len(counts) == 1:
        yield f"There is one class only, {called(next(iter(counts)))}: a model of this data has nothing to tell apart."
        return
    yield _of_labels(stats, split) if stats.scheme.task == MULTI else _of_majority(stats, split)
    largest, smallest = max(counts, key=counts.get), min(counts, key=counts.get)
    absent = _absent(counts)
    if absent:
        yield f"Of {absent} there is nothing in {spoken(split)}: no model can learn it here."
    elif counts[smallest] == counts[largest]:
        yield f"Every class has {plural(counts[largest], 'utterance')} in {spoken(split)}."
    else:
        of = stats.splits[split]["utterances"] - stats.splits[split]["outside"]
        are, share = "is" if counts[smallest] == 1 else "are", percent(counts[smallest] / of)
        yield (f"Of {called(smallest)} there {are} {count(counts[smallest])} in {count(of)} ({share}), one for every "
               f"{count(counts[largest] / counts[smallest], 1)} of {called(largest)}.")
    for name, other in sides(report)[1:]:
        if split not in other.splits:
            continue
        ratios = [_ratio(one.splits[split]["imbalance_ratio"]) for one in (stats, other)]
        yield (f"From {report.names[0]} to {name} the imbalance ratio of {split} goes {arrow(*ratios)}."
               if len(set(ratios)) > 1 else f"In {name} the imbalance ratio of {split} is the same, {ratios[0]}.")


def _uncounted(report: Report) -> Iterator[str]:
    """Yield which utterances are in none of the counts, and why."""
    for field, told in (("outside", f"Outside {report.stats.scheme.name}, and so in no class"),
                        ("masked", "Masked, and so in no loss and no count")):
        parts = [f"{count(group[field])} of {plural(group['utterances'], 'utterance')} "
                 f"{'in no split' if split == 'none' else f'of {spoken(split)}'}"
                 f"{f' ({name})' if len(sides(report)) > 1 else ''}"
                 for name, stats in sides(report) for split, group in stats.splits.items() if group[field]]
        if parts:
            yield f"{told}: {listed(parts, 12)}."
    if len(sides(report)) > 1 and not compared(report):
        yield "The two have no split in common, so each one's are shown by themselves."


def _in_short(stats: Stats) -> str:
    split = main_split(stats)
    counts = stats.splits[split]["counts"]
    if len(counts) < 2 or not any(counts.values()):
        return ""
    largest, smallest = max(counts, key=counts.get), min(counts, key=counts.get)
    if not counts[smallest]:
        return f"There is no {_absent(counts)} in {spoken(split)}."
    if counts[smallest] == counts[largest]:
        return f"In {spoken(split)} every class is there equally often."
    times = count(counts[largest] / counts[smallest], 1)
    return f"For each utterance of {called(smallest)}, {spoken(split)} has {times} of {called(largest)}."


def _absent(counts: Mapping[str, float]) -> str:
    """Return the classes that have no member, as a sentence has them."""
    return listed([called(label) for label, number in counts.items() if not number], last="or")


def _of_majority(stats: Stats, split: str) -> str:
    scores = _majority(stats)
    parts = [f"{percent(found.accuracy)} of {spoken(name)}" for name, found in scores.items()]
    counts = stats.splits[split]["counts"]
    others = sum(map(bool, counts.values())) > 1
    never = "; it never finds any other class, and so its macro F1 on " \
            f"{spoken(split)} is {percent(scores[split].macro_f1)}" if others else ""
    return f"A model that always says {called(max(counts, key=counts.get))} is right for {listed(parts)}{never}."


def _of_labels(stats: Stats, split: str) -> str:
    group = stats.splits[split]
    least = min(group["shares"], key=group["shares"].get)
    inside = group["utterances"] - group["outside"]
    none = f"; {count(group['none'])} of {count(inside)} have none" if group["none"] else ""
    share = percent(1 - group["shares"][least])
    right = f" A model that never says {called(least)} is right about it {share} of the time." \
        if group["counts"][least] else ""
    return f"An utterance of {spoken(split)} has {count(group['cardinality'])} labels on average{none}.{right}"


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
    stats, multi = report.stats, report.stats.scheme.task == MULTI
    names, several = [name for name, _ in sides(report)], len(stats.scheme.labels) > 1
    both = compared(report)
    shown = [(named(split), spoken(split), groups) for split, groups in both] if both else \
        [(f"{named(split)}, {name}", f"{spoken(split)} of {name}", [group])
         for name, one in sides(report) for split, group in one.splits.items()]
    names = names if both else ["all"]
    drawn = {(split, told): [_bar(stats, label, groups) for label in stats.scheme.labels]
             for split, told, groups in shown
             if told == spoken(main_split(stats)) or any(any(group["counts"].values()) for group in groups)}
    longest = max((share for found in drawn.values() for bar in found for share in bar.values), default=0)
    texts = [bar.text for found in drawn.values() for bar in found]
    even = 1 / len(stats.scheme.labels) if several and not multi and longest else None
    panels = [] if multi or not several else _tiles(report)
    panels += [Panel(split if split != "all" else "Each class" if panels else "",
                     bars(found, longest, f"Classes of {told}: {_spoken(found)}", texts, even), bars=True)
               for (split, told), found in drawn.items()]
    what = "How many utterances have each label, and their share" if multi else \
        "How many utterances each class has, and its share of the split"
    line = "; the dashed line is an even share" if even is not None else ""
    scale = "; all splits on one scale" if len(drawn) > 1 else ""
    changed = any(len(bar.values) > 1 for found in drawn.values() for bar in found)
    return Figure(f"{what} ({stats.scheme.name}){scale}{line}", panels,
                  [Table("Classes of each split", _class_columns(names),
                         [[text_cell(split), class_cell(label, colour_slots(stats.scheme.labels)[label]),
                           *_class_cells(groups, label)]
                          for split, _, groups in shown for label in stats.scheme.labels])],
                  [("pale", f"before: {names[0]}"), ("full", f"after: {names[-1]}")] if changed else [])


def _bar(stats: Stats, label: str, groups: list[Mapping[str, Any]]) -> Bar:
    """Return a class's bar on one side or on both: one bar where balancing changed nothing."""
    shares = [group["shares"][label] for group in groups]
    told = {f"{count(group['counts'][label])} · {percent(group['shares'][label])}" for group in groups}
    return Bar(label, colour_slots(stats.scheme.labels)[label], shares[:1] if len(set(shares)) == 1 else shares,
               told.pop() if len(told) == 1 else arrow(*map(percent, shares)))


def _tiles(report: Report) -> list[Panel]:
    """Return the first split as a hundred utterances, before and after: this is what a model is shown."""
    split, slots = main_split(report.stats), colour_slots(report.stats.scheme.labels)
    found = [stats.splits[split]["counts"] for _, stats in sides(report) if split in stats.splits]
    found = [counts for counts in found if any(counts.values())]
    if len(found) > 1 and _same_shares(*found):
        found = found[:1]
    when = ("Before: a", "After: a") if len(found) > 1 else ("A",)
    return [Panel(f"{first} hundred utterances of {spoken(split)}",
                  hundred([(slots[label], label, number) for label, number in counts.items()],
                          f"A hundred utterances of {spoken(split)} in the proportions of the classes: "
                          f"{', '.join(f'{label} {count(number)}' for label, number in counts.items())}"), bars=True)
            for first, counts in zip(when, found, strict=False)]


def _same_shares(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(one[label] * sum(other.values()) == other[label] * sum(one.values()) for label in one)


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
    rows = [[text_cell(named(split)),
             *map(percent_cell, (found.accuracy, found.weighted_f1, found.macro_f1, found.uar))]
            for split, found in _majority(stats).items()]
    largest = called(max(main, key=main.get))
    return Table(f"What always saying {largest} scores; a model that does no better has learnt nothing",
                 [Column("split", False), Column("accuracy (WA)"), Column("weighted F1"), Column("macro F1"),
                  Column("UAR (UA)")], rows)


def _labels(stats: Stats) -> Table:
    slots = colour_slots(stats.scheme.labels)
    splits = stats.splits.items()
    return Table("Positives of each label, and IRLbl: the most frequent label's positives ÷ its own (Charte 2015)",
                 [Column("label", False), *(Column(f"{named(split)}: {what}") for split, _ in splits
                                            for what in ("positives", "IRLbl"))],
                 [[class_cell(label, slots[label]), *(cell for _, group in splits for cell in (
                     count_cell(group["counts"][label]), count_cell(group["irlbl"][label])))]
                  for label in stats.scheme.labels])


def _measures(report: Report) -> Table:
    groups = [(f"{named(split)}, {name}" if len(sides(report)) > 1 else named(split), of_group(group))
              for name, stats in sides(report) for split, group in stats.splits.items()]
    return Table("Measures", [Column("measure", False), *(Column(name) for name, _ in groups)],
                 [[text_cell(name), *(count_cell(found[field], 4) for _, found in groups)]
                  for field, name in measures(report.stats.scheme.task).items()])


def _drift(caption: str, stats: Stats) -> Table:
    rows = []
    for left, others in stats.drift.items():
        for right, found in others.items():
            rows.append([text_cell(f"{named(left)} – {named(right)}"), *_drift_cells(found)])
            rows += [[text_cell(f"{named(left)} – {named(right)}: {label}"), *_drift_cells(one)]
                     for label, one in found.get("by_class", {}).items()]
    return Table(f"{caption}; where χ² expects fewer than 5 of a class somewhere, p is rough",
                 [Column("splits", False), Column("JS divergence, nats"), Column("JS distance"), Column("χ²"),
                  Column("df"), Column("p")], rows)


def _drift_cells(found: Mapping[str, Any]) -> list[Cell]:
    tiny = [found["js_divergence"], found["js_distance"]]
    least = found.get("smallest_expected")
    rough = " rough" if least is not None and least < 5 else ""
    return [*(Cell(figure(number), count_cell(number).raw) for number in tiny), count_cell(found.get("chi2")),
            count_cell(found.get("df")), Cell(figure(found.get("p")) + rough, count_cell(found.get("p")).raw)]


def _ratio(number: float | None) -> str:
    return "unbounded" if number is None else count(number, 1)
