"""Which classes come together: labels of an utterance, or emotions of a dialogue."""

from __future__ import annotations

from collections.abc import Mapping
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
from emoprep.report.page.numbers import count, percent
from emoprep.report.page.splits import main_split, other_splits, spoken
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
    blocks += other_splits(stats, lambda split: (_utterances if multi else _dialogues)(stats, split))
    if multi:
        blocks.append(_label_sets(stats, split))
    return Section("together", "Which come together", "Co-occurrence", _lead(stats, split), blocks)


def _lead(stats: Stats, split: str) -> str:
    group = stats.splits[split]
    if stats.scheme.task == MULTI:
        pairs = {(left, right): number for left, row in group["co_occurrence"].items() for right, number in row.items()}
        left, right = max(pairs, key=pairs.get)
        return (f"The pair of labels that {spoken(split)} has most often is {left} with {right}: "
                f"{count(pairs[left, right])} utterances. SCUMBLE is {count(group['scumble'], 3)}: the higher, "
                "the more rare labels come along with frequent ones, so that repeating their utterances repeats both.")
    rare = min((label for label, number in group["dialogue_counts"].items() if number),
               key=group["dialogue_counts"].get)
    return (f"The class {rare} is in {count(group['dialogue_counts'][rare])} of {count(group['dialogues'])} dialogues "
            f"of {spoken(split)} ({percent(group['dialogue_frequency'][rare])}). Whoever repeats whole dialogues for "
            "its sake repeats what comes with it, too.")


def _dialogues(stats: Stats, split: str) -> Figure | None:
    group, labels = stats.splits[split], stats.scheme.labels
    having = group["dialogue_counts"]
    if not any(number for left, row in group["dialogue_co_occurrence"].items()
               for right, number in row.items() if left != right):
        return None
    return _figure(
        stats, f"{split}: of the dialogues with the row's class, the percentage that also have the column's",
        [[_of(group["dialogue_co_occurrence"][a][b], having[a]) if a != b else None for b in labels] for a in labels],
        f"Dialogues of {split} with both classes", group["dialogue_co_occurrence"],
        Panel("Dialogues that have the class", _bars(
            [Bar(label, colour_slots(labels)[label], (number,), f"{count(number)} · {percent(share)}")
             for (label, number), share in zip(having.items(), group["dialogue_frequency"].values(), strict=True)],
            f"Dialogues of {split} that have each class"), True))


def _utterances(stats: Stats, split: str) -> Figure | None:
    group, labels = stats.splits[split], stats.scheme.labels
    both = {label: {label: group["counts"][label]} for label in labels}
    for left, row in group["co_occurrence"].items():  # has each pair once
        for right, number in row.items():
            both[left][right] = both[right][left] = number
    if len(labels) < 2 or not any(group["counts"].values()):
        return None
    return _figure(
        stats, f"{split}: of the utterances with the row's label, the percentage that also have the column's",
        [[_of(both[a][b], group["counts"][a]) if a != b else None for b in labels] for a in labels],
        f"Utterances of {split} with both labels", both,
        Panel("The most frequent label sets", _bars(
            [Bar(" + ".join(found["labels"]) or "(none)", None, (found["utterances"],), count(found["utterances"]))
             for found in group["label_sets"][:DRAWN_SETS]], f"The most frequent label sets of {split}"), True))


def _bars(drawn: list[Bar], title: str) -> str:
    longest = max((bar.values[0] for bar in drawn), default=0)
    return bars(drawn, longest, title + ": " + ", ".join(f"{bar.label} {bar.text}" for bar in drawn))


def _of(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _figure(stats: Stats, caption: str, shares: list[list[float | None]], title: str,
            counts: Mapping[str, Mapping[str, Any]], beside: Panel) -> Figure:
    labels, slots = stats.scheme.labels, colour_slots(stats.scheme.labels)
    texts = [["" if share is None else f"{100 * share:.0f}" for share in row] for row in shares]
    table = Table(title, [Column("with", False), *(Column(label) for label in labels)],
                  [[class_cell(left, slots[left]), *(count_cell(counts[left][right]) for right in labels)]
                   for left in labels])
    strongest = max(share for row in shares for share in row if share is not None)
    return Figure(caption, [Panel("", heat(labels, labels, shares, texts, title, strongest=strongest)), beside],
                  [table])


def _label_sets(stats: Stats, split: str) -> Table:
    sets, group = stats.splits[split]["label_sets"], stats.splits[split]
    whole = sum(found["utterances"] for found in sets)
    more = f", the {SHOWN_SETS} most frequent of {count(len(sets))}" if len(sets) > SHOWN_SETS else ""
    return Table(f"Label sets of {split}{more}", [Column("labels", False), Column("utterances"), Column("share")],
                 [[text_cell(" + ".join(found["labels"]) or "(none)"), count_cell(found["utterances"]),
                   percent_cell(_of(found["utterances"], whole))]
                  for found in group["label_sets"][:SHOWN_SETS]])
