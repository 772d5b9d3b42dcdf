"""Which classes come together: labels of an utterance, or emotions of a dialogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emoprep.labels import MULTI
from emoprep.report.contents import Report
from emoprep.report.page.blocks import (
    Block,
    Column,
    Figure,
    Panel,
    Section,
    Table,
    class_cell,
    count_cell,
    percent_cell,
    text_cell,
)
from emoprep.report.page.charts import Bar, bars, heat
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import called, count, percent, plural
from emoprep.report.page.splits import heading, main_split, of_first, spoken
from emoprep.stats import Stats

SHOWN_SETS, DRAWN_SETS = 15, 8


def together(report: Report) -> Section | None:
    """Return the section of co-occurrence, None where no two classes ever come together."""
    stats, multi = report.stats, report.stats.scheme.task == MULTI
    if not stats.splits:
        return None
    split = main_split(stats)
    of_dialogues, of_utterances = _dialogues(stats, split), _utterances(stats, split) if multi else None
    blocks: list[Block] = [block for block in (of_utterances, of_dialogues) if block is not None]
    if not blocks:
        return None
    return Section("together", "Which emotions come together", "Co-occurrence", " ".join(_lead(stats, split)), blocks,
                   of_first(report))


def _lead(stats: Stats, split: str) -> Iterator[str]:
    group = stats.splits[split]
    if stats.scheme.task == MULTI:
        pairs = {(left, right): number for left, row in group["co_occurrence"].items()
                 for right, number in row.items() if number}
        if not pairs:
            yield f"No utterance of {spoken(split)} has two labels."
            return
        left, right = max(pairs, key=pairs.get)
        yield (f"The labels that {spoken(split)} has together most often are {called(left)} and {called(right)}, in "
               f"{plural(pairs[left, right], 'utterance')}. SCUMBLE is {count(group['scumble'], 3)}: the higher, the "
               "more rare labels come with frequent ones, so that to repeat the one is to repeat the other.")
        return
    having, both = group["dialogue_counts"], group["dialogue_co_occurrence"]
    rare = min((label for label, number in having.items() if number), key=having.get, default=None)
    if rare is None:
        yield f"No dialogue of {spoken(split)} has a class."
        return
    yield (f"In {spoken(split)}, {called(rare)} comes up in {count(having[rare])} of "
           f"{plural(group['dialogues'], 'dialogue')} ({percent(group['dialogue_frequency'][rare])}).")
    other = max((label for label in having if label != rare), key=lambda label: both[rare][label])
    if both[rare][other]:
        yield (f"{percent(both[rare][other] / having[rare])} of these have {called(other)}, too: to repeat whole "
               f"dialogues for {called(rare)} is to repeat {called(other)}.")


def _dialogues(stats: Stats, split: str) -> Figure | None:
    group, labels = stats.splits[split], stats.scheme.labels
    having = group["dialogue_counts"]
    if not any(number for left, row in group["dialogue_co_occurrence"].items()
               for right, number in row.items() if left != right):
        return None
    return _figure(
        stats, f"{heading(split)}of the dialogues with the row's class, how many percent have the column's, too",
        [[_of(group["dialogue_co_occurrence"][a][b], having[a]) if a != b else None for b in labels] for a in labels],
        f"Dialogues of {spoken(split)} with both classes", group["dialogue_co_occurrence"],
        Panel("Dialogues that have the class", _bars(
            [Bar(label, colour_slots(labels)[label], (number,), f"{count(number)} · {percent(share)}")
             for (label, number), share in zip(having.items(), group["dialogue_frequency"].values(), strict=True)],
            f"Dialogues of {spoken(split)} that have each class"), True))


def _utterances(stats: Stats, split: str) -> Figure | None:
    group, labels = stats.splits[split], stats.scheme.labels
    both = {label: {label: group["counts"][label]} for label in labels}
    for left, row in group["co_occurrence"].items():  # has each pair once
        for right, number in row.items():
            both[left][right] = both[right][left] = number
    if len(labels) < 2 or not any(group["counts"].values()):
        return None
    return _figure(
        stats, f"{heading(split)}of the utterances with the row's label, how many percent have the column's, too",
        [[_of(both[a][b], group["counts"][a]) if a != b else None for b in labels] for a in labels],
        f"Utterances of {spoken(split)} with both labels", both,
        Panel("The most frequent label sets", _bars(
            [Bar(" + ".join(found["labels"]) or "(none)", None, (found["utterances"],), count(found["utterances"]))
             for found in group["label_sets"][:DRAWN_SETS]], f"The most frequent label sets of {spoken(split)}"), True),
        _label_sets(stats, split))


def _bars(drawn: list[Bar], title: str) -> str:
    longest = max((bar.values[0] for bar in drawn), default=0)
    return bars(drawn, longest, title + ": " + ", ".join(f"{bar.label} {bar.text}" for bar in drawn))


def _of(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _figure(stats: Stats, caption: str, shares: list[list[float | None]], title: str,
            counts: Mapping[str, Mapping[str, Any]], beside: Panel, *more: Table) -> Figure:
    labels, slots = stats.scheme.labels, colour_slots(stats.scheme.labels)
    texts = [["" if share is None else f"{100 * share:.0f}" for share in row] for row in shares]
    table = Table(title, [Column("with", False), *(Column(label) for label in labels)],
                  [[class_cell(left, slots[left]), *(count_cell(counts[left][right]) for right in labels)]
                   for left in labels])
    strongest = max(share for row in shares for share in row if share is not None)
    return Figure(caption, [Panel("", heat(labels, labels, shares, texts, title, strongest=strongest)), beside],
                  [table, *more])


def _label_sets(stats: Stats, split: str) -> Table:
    sets, group = stats.splits[split]["label_sets"], stats.splits[split]
    whole = sum(found["utterances"] for found in sets)
    more = f", the {SHOWN_SETS} most frequent of {count(len(sets))}" if len(sets) > SHOWN_SETS else ""
    return Table(f"Label sets of {spoken(split)}{more}",
                 [Column("labels", False), Column("utterances"), Column("share")],
                 [[text_cell(" + ".join(found["labels"]) or "(none)"), count_cell(found["utterances"]),
                   percent_cell(_of(found["utterances"], whole))]
                  for found in group["label_sets"][:SHOWN_SETS]])
