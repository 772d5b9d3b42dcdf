"""Who says what, and how far emotion depends on who speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emoprep.labels import MULTI
from emoprep.report.contents import Report
from emoprep.report.page.blocks import (
    Block,
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
from emoprep.report.page.charts import Stack, stacks
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import count, listed, percent, plural
from emoprep.report.page.splits import heading, main_split, named, of_first, other_splits, spoken
from emoprep.stats import Stats


def speakers(report: Report) -> Section | None:
    """Return the section of the speakers, None where nobody is named."""
    stats = report.stats
    if not any(name not in (None, "") for group in stats.splits.values() for name in group["speaker_emotions"]):
        return None
    blocks: list[Block] = [_figure(stats, main_split(stats))]
    blocks += other_splits(stats, lambda split: _figure(stats, split) if stats.splits[split]["speakers"] else None)
    if (association := _association(stats)) is not None:
        blocks.append(Fold("How far the emotion depends on who speaks: Cramér's V", [association]))
    return Section("speakers", "Who speaks", "Speakers", " ".join(_lead(report)), blocks, of_first(report))


def _lead(report: Report) -> Iterator[str]:
    split = main_split(report.stats)
    group = report.stats.splits[split]
    largest, number = group["largest_speakers"], group["speakers"]
    some = f", the {largest['speakers']} busiest {percent(largest['share'])} of the utterances" \
        if number > largest["speakers"] else ""
    yield f"In {spoken(split)} {plural(number, 'person speaks', 'people speak')}{some}."
    shared = [f"{percent(one.count / one.of)} of {one.splits[-1]}" for one in _overlaps(report)
              if one.splits[0] == split and one.of]
    if shared:
        yield f"Who speaks in {split} also speaks {listed(shared)}: a model may know the voice, and not the emotion."
    told = largest.get("cramers_v")
    if told is not None:
        which = f" for these {largest['speakers']} and all others" if number > largest["speakers"] else ""
        yield (f"How far the emotion depends on who speaks, Cramér's V{which}, is {told:.2f} (0: not at all; 1: "
               "altogether).")


def _figure(stats: Stats, split: str) -> Figure:
    group, slots = stats.splits[split], colour_slots(stats.scheme.labels)
    # Beside each stands how many it has the shares of: utterances of no class, and masked ones, have no part in it.
    rows = [Stack(name, _parts(slots, counts), count(sum(counts.values()))) for name, counts in (
        ("everyone", group["counts"]),
        *((_name(name), counts) for name, counts in group["speaker_emotions"].items()))]
    drawn, there = len(rows) - 1, group["speakers"]
    of = f"the {drawn} busiest of {count(there)} speakers" if drawn < there else plural(there, "speaker")
    caption = f"the labels of {of}, in percent of all that each one has; to the right, how many labels these are" \
        if stats.scheme.task == MULTI else \
        f"the emotions of {of}, in percent of each one's; to the right, how many utterances with a class each has"
    table = Table(f"Utterances of {of} in {spoken(split)}",
                  [Column("speaker", False), Column("utterances"), *(Column(label) for label in stats.scheme.labels)],
                  [[text_cell(_name(name)), count_cell(group["speaker_counts"][name]),
                    *map(count_cell, counts.values())] for name, counts in group["speaker_emotions"].items()])
    svg = stacks(rows, f"Classes by speaker in {spoken(split)}")
    return Figure(f"{heading(split)}{caption}", [Panel("", svg)], [table],
                  [(f"c{slots[label]}", label) for label in stats.scheme.labels], wide=True)


def _parts(slots: Mapping[str, int], counts: Mapping[str, float]) -> list[tuple[int, str, float]]:
    return [(slots[label], label, number) for label, number in counts.items()]


def _name(name: Any) -> str:
    return "(no name)" if name in (None, "") else str(name)


def _association(stats: Stats) -> Table | None:
    rows, slots = [], colour_slots(stats.scheme.labels)
    for split, group in stats.splits.items():
        largest = group["largest_speakers"]
        if "speaker_association" in group:
            found = [("all speakers", group["speaker_association"])]
            if group["speakers"] > largest["speakers"]:
                found.append((f"the {largest['speakers']} busiest, all others as one", largest))
        else:
            found = list(group["speaker_association_by_class"].items())
        rows += [[text_cell(named(split)), class_cell(of, slots.get(of)), count_cell(one["cramers_v"], 4),
                  count_cell(one["cramers_v_corrected"], 4)] for of, one in found if one["cramers_v"] is not None]
    return Table("Cramér's V of speaker × emotion: from 0 (independent) to 1; it grows with every speaker of few lines",
                 [Column("split", False), Column("of", False), Column("V"), Column("V, bias-corrected (Bergsma 2013)")],
                 rows) if rows else None


def _overlaps(report: Report) -> list[Any]:
    audit = report.audits.get(report.names[0]) if report.names else None
    return [finding for finding in (audit.findings if audit else ()) if finding.check == "speaker-overlap"]
