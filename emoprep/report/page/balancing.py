"""What balancing changed: classes before and after, and whose children the made items are."""

from __future__ import annotations

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
from emoprep.report.page.charts import Bar, bars
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import arrow, count, listed, plural

_DONE = {"keep": "kept as it was", "drop": "left out", "mask": "masked in the loss", "repeat": "repeated",
         "augment": "augmented", "interpolate": "interpolated", "generate": "generated", "decouple": "decoupled"}


def balancing(report: Report) -> Section | None:
    """Return the section of balancing, None where IN is no balanced store."""
    found = report.balancing
    if found is None:
        return None
    slots = colour_slots(report.stats.scheme.labels)
    blocks: list[Block] = [_figure(found, slots), _table(found, slots)]
    blocks += [Table("What was done with each train item", [Column("op", False), Column("means", False),
                                                            Column("items")],
                     [[text_cell(op), text_cell(_DONE.get(op, "")), count_cell(number)]
                      for op, number in found.ops.items()])] if found.ops else []
    blocks += _parents(found, slots)
    if found.settings:
        blocks.append(Fold("The settings of this run", [
            Table("Settings", [Column("setting", False), Column("value", False)],
                  [[text_cell(name), text_cell(str(value))] for name, value in found.settings.items()])]))
    return Section("balancing", "What balancing changed", "Balancing", " ".join(_lead(found)), blocks)


def _lead(found: Balancing) -> Iterator[str]:
    how = ", then ".join([found.strategy, *found.then])
    before, after = sum(found.before.values()), sum(found.after.values())
    yield f"The strategy {how} took train from {count(before)} to {count(after)} items."
    ratios = [_imbalance(counts) for counts in (found.before, found.after)]
    yield f"The imbalance ratio went {arrow(*ratios)}." if ratios[0] != ratios[1] else \
        f"The imbalance ratio stayed {ratios[0]}."
    if found.made_total and found.children:
        most = plural(max(found.children), "child", "children")
        yield (f"{plural(found.made_total, 'item was', 'items were')} made from "
               f"{plural(sum(found.children.values()), 'parent')}; one has {most} at most.")
    if found.shortfall:
        yield f"Not all that was asked for could be made: {listed(list(found.shortfall))}; see the table."


def _imbalance(counts: Mapping[str, float]) -> str:
    return count(max(counts.values()) / min(counts.values()), 1) if counts and min(counts.values()) else "unbounded"


def _figure(found: Balancing, slots: Mapping[str, int]) -> Figure:
    longest = max([*found.before.values(), *found.after.values()], default=0)
    drawn = [Bar(label, slots.get(label), (found.before[label], found.after[label]),
                 arrow(count(found.before[label]), count(found.after[label]))) for label in found.labels]
    svg = bars(drawn, longest, "Train items: " + ", ".join(f"{bar.label} {bar.text}" for bar in drawn))
    return Figure("Train items of each class", [Panel("", svg, bars=True)], [], [("pale", "before"), ("full", "after")])


def _table(found: Balancing, slots: Mapping[str, int]) -> Table:
    weights = [Column("weight")] if found.weights is not None else []
    short = [Column("shortfall", False)] if found.shortfall else []
    rows: list[list[Cell]] = []
    for label in found.labels:
        change = found.after[label] - found.before[label]
        cells = [class_cell(label, slots.get(label)), *(count_cell(counts.get(label)) for counts in (
            found.before, found.requested, found.after)), Cell(f"{change:+,g}" if change else "0", f"{change:g}")]
        cells += [count_cell(found.weights.get(label), 4)] if found.weights is not None else []
        cells += [text_cell(_told(found.shortfall.get(label)))] if short else []
        rows.append(cells)
    return Table("Train items before, as requested, and after",
                 [Column("class", False), *map(Column, ("before", "requested", "after", "change")), *weights, *short],
                 rows)


def _told(shortfall: object) -> str:
    """Return what is missing of a class and why, in one line."""
    if isinstance(shortfall, Mapping):
        return ", ".join(f"{name}: {value}" for name, value in shortfall.items())
    return "" if shortfall is None else str(shortfall)


def _parents(found: Balancing, slots: Mapping[str, int]) -> Iterator[Block]:
    if found.most_used:
        yield Table("The parents with most children",
                    [Column("parent", False), Column("class", False), Column("children")],
                    [[text_cell(key), _class(label, slots), count_cell(children)]
                     for key, label, children in found.most_used])
    if found.children:
        yield Fold("How many children parents have", [
            Table("Parents by their number of children", [Column("children"), Column("parents")],
                  [[count_cell(children), count_cell(parents)]
                   for children, parents in sorted(found.children.items())])])
    if found.made:
        yield Fold("Made items and their parents", [_made(found, slots)], printed=False)


def _made(found: Balancing, slots: Mapping[str, int]) -> Table:
    part = f", {count(len(found.made))} of {count(found.made_total)}"
    names = [Column(name, False) for name in ("made", "class", "op", "base", "neighbour")]
    return Table(f"Made items{part if len(found.made) < found.made_total else ''}; λ of base + λ (neighbour − base)",
                 [*names, Column("λ"), Column("parameters", False)],
                 [[text_cell(made.key), _class(made.label, slots), text_cell(made.op), text_cell(made.base),
                   text_cell(made.neighbor or ""), count_cell(made.lam, 3), text_cell(_parameters(made.parameters))]
                  for made in found.made])


def _parameters(parameters: Mapping[str, object]) -> str:
    """Return what was drawn, in one line.

    >>> _parameters({"semitones": 1.5, "noise": "white"})
    'semitones 1.5, noise white'
    """
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in parameters.items())


def _class(label: str | None, slots: Mapping[str, int]) -> Cell:
    return text_cell("") if label is None else class_cell(label, slots.get(label))
