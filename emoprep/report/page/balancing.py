"""What balancing changed: classes before and after, and whose children the made items are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from emoprep.report.contents import Balancing, Report
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
    text_cell,
)
from emoprep.report.page.charts import Bar, Change, bars, changes
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import arrow, called, count, listed, plural, worded

_DONE = {"keep": "kept as it was", "drop": "left out", "mask": "masked in the loss", "repeat": "repeated",
         "augment": "augmented", "interpolate": "interpolated", "generate": "generated", "decouple": "decoupled"}

MADE = 10
"""So many made items of a class are listed; all are in plan.parquet."""


def balancing(report: Report) -> Section | None:
    """Return the section of balancing, None where IN is no balanced store."""
    found = report.balancing
    if found is None:
        return None
    slots = colour_slots(found.labels)
    blocks: list[Block] = [_figure(found, slots), _table(found, slots), *_parents(found, slots)]
    if found.ops:
        blocks.append(Fold("What was done with each train item", [
            Table("Train items by what was done with them", [Column("op", False), Column("it was", False),
                                                             Column("items")],
                  [[text_cell(op), text_cell(_DONE.get(op, "")), count_cell(number)]
                   for op, number in found.ops.items()])]))
    if found.settings:
        blocks.append(Fold("The settings of this run", [
            Table("Settings", [Column("setting", False), Column("value", False)],
                  [[text_cell(name), text_cell(worded(value))] for name, value in found.settings.items()])]))
    return Section("balancing", "What balancing changed", "Balancing",
                   " ".join(_lead(found, report.stats.scheme.name)), blocks, says=_in_short(found))


def _lead(found: Balancing, scheme: str) -> Iterator[str]:
    how, of_them = _how(found), _of_them(found)
    ratios = [_imbalance(counts) for counts in (found.before, found.after)]
    ratio = f"the imbalance ratio from {ratios[0]} to {ratios[1]}" if ratios[0] != ratios[1] else \
        f"the imbalance ratio stayed {ratios[0]}"
    changed = ratio if ratios[0] == ratios[1] else f"took {ratio}"
    if found.items_before != found.items_after:
        yield (f"{how} took train from {count(found.items_before)} to {plural(found.items_after, 'item')}{of_them}, "
               f"and {ratio}.")
    elif found.before != found.after:
        yield f"{how} left train with its {plural(found.items_after, 'item')}{of_them}, and {changed}."
    else:
        yield f"{how} left all {plural(found.items_after, 'item')} of train where they were{of_them}, and {ratio}."
    yield from _of_children(found)
    if _weighs(found):
        yield _of_weights(found.weights, found.several)
    if found.shortfall:
        yield f"Not every class has just what was asked for: {_short(found.shortfall)}."
    if found.upon is not None:
        yield f"It stands upon {found.upon}, by which the store had been balanced already: that is before."
    if found.scheme != scheme:
        yield f"It went by the classes of {found.scheme}; the rest of this page has those of {scheme}."


def _of_them(found: Balancing) -> str:
    """Return how many items a loss counts, and what the others are for, where there are others."""
    masked = found.items_after - found.in_loss - found.context
    parts = [f"{count(found.in_loss)} in the loss",
             *([f"{count(found.context)} as context in copied dialogues"] if found.context else []),
             *([f"{count(masked)} masked"] if masked else [])]
    return f" ({listed(parts)})" if len(parts) > 1 else ""


def _short(shortfall: Mapping[str, float]) -> str:
    """Return which classes have fewer or more than was asked for, those that are farthest from it first.

    >>> _short({"joy": 3, "fear": -12.5})
    'fear has 12.50 more and joy has 3 fewer'
    """
    farthest = sorted(shortfall.items(), key=lambda one: -abs(one[1]))
    return listed([f"{called(label)} has {count(abs(lacks))} {'fewer' if lacks > 0 else 'more'}"
                   for label, lacks in farthest])


def _of_children(found: Balancing) -> Iterator[str]:
    """Yield how much is made, and from how few."""
    made = f"It made {plural(found.made_total, 'item')}"
    parents, most = sum(found.children.values()), max(found.children, default=0)
    if found.made_total:
        yield f"{made}, {'all ' if found.made_total > 1 else ''}from one parent." if parents == 1 else \
            f"{made}, from {count(parents)} parents, none of which has more than {plural(most, 'child', 'children')}."
    if found.changed_total:
        none = "" if found.made_total else " and added none"
        yield f"It changed {plural(found.changed_total, 'item')} in place{none}."


def _of_weights(weights: Mapping[str, float], several: bool) -> str:
    """Return what the loss still corrects."""
    top, low = max(weights, key=weights.get), min(weights, key=weights.get)
    if several:
        return (f"In the loss, a yes to {called(top)} weighs {count(weights[top])} times a no, a yes to {called(low)} "
                f"{count(weights[low])} times.")
    if not weights[low]:
        return f"In the loss, {called(low)} weighs nothing."
    times = round(weights[top] / weights[low], 1)
    return f"In the loss, an item of {called(top)} weighs {count(times, 1)} times one of {called(low)}."


def _weighs(found: Balancing) -> bool:
    return found.weights is not None and len(set(found.weights.values())) > 1


def _in_short(found: Balancing) -> str:
    ratios = [_imbalance(counts) for counts in (found.before, found.after)]
    how = _how(found)
    if found.before == found.after:
        return f"{how} changes no count" + (": it weighs the classes in the loss." if _weighs(found) else ".")
    if ratios[0] == ratios[1]:
        return f"{how} leaves the imbalance ratio as it was."
    made = f"; {plural(found.made_total, 'train item is', 'train items are')} made" if found.children else ""
    return f"{how} takes the imbalance ratio from {ratios[0]} to {ratios[1]}{made}."


def _how(found: Balancing) -> str:
    return f"Balancing by {', then '.join([found.strategy, *found.then])}"


def _imbalance(counts: Mapping[str, float]) -> str:
    return count(max(counts.values()) / min(counts.values()), 1) if counts and min(counts.values()) else "unbounded"


def _figure(found: Balancing, slots: Mapping[str, int]) -> Figure:
    panels, legend = [], []
    if found.before != found.after or not _weighs(found):
        drawn = [Change(label, slots[label], found.before[label], found.after[label],
                        arrow(count(found.before[label]), count(found.after[label]))) for label in found.labels]
        told = ", ".join(f"{bar.label} {bar.text}" for bar in drawn)
        panels.append(Panel("Train items with each label" if found.several else "Train items of each class",
                            changes(drawn, f"Train items: {told}"), bars=True))
        legend = [("full", "there before")]
        legend += [("pale", "added")] if any(bar.after > bar.before for bar in drawn) else []
        legend += [("gone", "taken away")] if any(bar.after < bar.before for bar in drawn) else []
    if _weighs(found):
        weighed = [Bar(label, slots[label], (weight,), count(weight)) for label, weight in found.weights.items()]
        told = ", ".join(f"{bar.label} {bar.text}" for bar in weighed)
        panels.append(Panel("What each class weighs in the loss",
                            bars(weighed, max(found.weights.values()), f"Weights: {told}"), bars=True))
    return Figure("What a model is trained on, before and after", panels, [], legend)


def _table(found: Balancing, slots: Mapping[str, int]) -> Table:
    weights = [Column("weight")] if found.weights is not None else []
    short = [Column("lacks (−: has more)")] if found.shortfall else []
    rows: list[list[Cell]] = []
    for label in found.labels:
        before, after = found.before[label], found.after[label]
        cells = [class_cell(label, slots[label]), *map(count_cell, (before, found.requested[label], after)),
                 count_cell(after / before if before else None)]
        cells += [count_cell(found.weights.get(label), 4)] if found.weights is not None else []
        cells += [count_cell(found.shortfall.get(label, 0))] if short else []
        rows.append(cells)
    return Table(f"Train items{' with each label:' if found.several else ''} before, as requested, and after",
                 [Column("class", False), *map(Column, ("before", "requested", "after", "after ÷ before")), *weights,
                  *short], rows)


def _parents(found: Balancing, slots: Mapping[str, int]) -> Iterator[Block]:
    if found.children:
        drawn = [Bar(name, None, (parents,), count(parents)) for name, parents in _binned(found.children)]
        told = ", ".join(f"{bar.label}: {bar.text}" for bar in drawn)
        svg = bars(drawn, max(bar.values[0] for bar in drawn), f"Parents by their number of children: {told}")
        table = Table("Parents by their number of children", [Column("children"), Column("parents")],
                      [[count_cell(number), count_cell(parents)] for number, parents in sorted(found.children.items())])
        yield Figure("Whose children the made items are: how many parents have so many of them. The fewer parents, the "
                     "more often a model hears the same again", [Panel("", svg, bars=True)], [table])
    if found.most_used:
        yield Table("The parents with most children",
                    [Column("parent", False), Column("class", False), Column("children")],
                    [[text_cell(key), _class(label, slots), count_cell(children)]
                     for key, label, children in found.most_used])
    if found.made:
        name = "Made items and their parents" if found.made_total else "Items that were changed in place"
        yield Fold(name, [_made(found, slots)], printed=False)


def _binned(children: Mapping[int, int]) -> list[tuple[str, int]]:
    """Return how many parents have so many children; where there are many numbers, in doubling ranges.

    >>> _binned({1: 3, 2: 1})
    [('1 child', 3), ('2 children', 1)]
    >>> _binned({number: 1 for number in range(1, 21)})
    [('1 child', 1), ('2 children', 1), ('3–4', 2), ('5–8', 4), ('9–16', 8), ('17–32', 4)]
    """
    if len(children) <= 10:
        return [(plural(number, "child", "children"), children[number]) for number in sorted(children)]
    found, low, high = [], 1, 1
    while low <= max(children):
        parents = sum(number for born, number in children.items() if low <= born <= high)
        name = f"{low}–{high}" if high > low else plural(low, "child", "children")
        found += [(name, parents)] if parents else []
        low, high = high + 1, high * 2
    return found


def _made(found: Balancing, slots: Mapping[str, int]) -> Table:
    shown, met = [], Counter()
    for made in found.made:
        met[made.label] += 1
        shown += [made] if met[made.label] <= MADE else []
    whole = found.made_total + found.changed_total
    part = f", {count(len(shown))} of {count(whole)}" if len(shown) < whole else ""
    what = "Items that were changed in place" if not found.made_total else "Made items" + (
        ", and those that were changed in place, which are their own base" if found.changed_total else "")
    mixed = any(made.lam is not None for made in shown)
    drawn = any(made.parameters for made in shown)
    how = "; what is interpolated is base + λ (neighbour − base)" if mixed else ""
    rows = [[text_cell(made.key), _class(made.label, slots), text_cell(made.op), text_cell(made.base),
             *([text_cell(made.neighbor or ""), count_cell(made.lam, 3)] if mixed else []),
             *([text_cell(_parameters(made.parameters))] if drawn else [])] for made in shown]
    return Table(f"{what}{part}{how}",
                 [*(Column(name, False) for name in ("made", "class", "op", "base")),
                  *([Column("neighbour", False), Column("λ")] if mixed else []),
                  *([Column("parameters", False)] if drawn else [])], rows)


def _parameters(parameters: Mapping[str, object]) -> str:
    """Return what was drawn, in one line.

    >>> _parameters({"semitones": 1.5, "noise": "white"})
    'semitones 1.5, noise white'
    """
    return worded(parameters, 3)


def _class(label: str | None, slots: Mapping[str, int]) -> Cell:
    return text_cell("") if label is None else class_cell(label, slots.get(label))
