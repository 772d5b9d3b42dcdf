"""Who says what, and how far emotion depends on who speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
from emoprep.report.page.charts import Stack, stacks
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import count, listed, percent
from emoprep.report.page.splits import main_split, other_splits, spoken
from emoprep.stats import Stats


def speakers(report: Report) -> Section | None:
    """Return the section of the speakers, None where nobody is named."""
    stats = report.stats
    if not any(name is not None for group in stats.splits.values() for name in group["speaker_emotions"]):
        return None
    blocks: list[Block] = [_figure(stats, main_split(stats))]
    blocks += other_splits(stats, lambda split: _figure(stats, split) if stats.splits[split]["speakers"] else None)
    blocks.append(_association(stats))
    overlap = _overlap(report)
    if overlap is not None:
        blocks.append(overlap)
    return Section("speakers", "Who speaks", "Speakers", " ".join(_lead(report)), blocks)


def _lead(report: Report) -> Iterator[str]:
    split = main_split(report.stats)
    group = report.stats.splits[split]
    largest = group["largest_speakers"]
    several = group["speakers"] > largest["speakers"]
    yield f"In {spoken(split)} {count(group['speakers'])} speakers have a part" + (
        f"; the {largest['speakers']} largest have {percent(largest['share'])} of the utterances." if several else ".")
    told = largest.get("cramers_v")
    if told is not None:
        which = f", these {largest['speakers']} against all others as one," if several else ""
        yield (f"Cramér's V of speaker × emotion{which} is {told:.3f} (0: who speaks says nothing of the emotion; 1: "
               "it says all).")
    shared = [f"{percent(one.count / one.of)} of {one.splits[-1]}" for one in _overlaps(report)
              if one.splits[0] == split and one.of]
    if shared:
        yield f"Those who speak in {split} also say {listed(shared)}."


def _figure(stats: Stats, split: str) -> Figure:
    group, slots = stats.splits[split], colour_slots(stats.scheme.labels)
    everyone = Stack("everyone", _parts(slots, group["counts"]), count(group["utterances"]))
    rows = [everyone, *(Stack(_name(name), _parts(slots, counts), count(group["speaker_counts"][name]))
                        for name, counts in group["speaker_emotions"].items())]
    most = f"the {len(rows) - 1} largest of {count(group['speakers'])} speakers"
    table = Table(f"Utterances of {most} of {split}",
                  [Column("speaker", False), Column("utterances"), *(Column(label) for label in stats.scheme.labels)],
                  [[text_cell(_name(name)), count_cell(group["speaker_counts"][name]),
                    *map(count_cell, counts.values())] for name, counts in group["speaker_emotions"].items()])
    return Figure(f"{split}: what {most} say, in percent of each; the number of utterances to the right",
                  [Panel("", stacks(rows, f"Classes by speaker in {split}"))], [table],
                  [(f"c{slots[label]}", label) for label in stats.scheme.labels], wide=True)


def _parts(slots: Mapping[str, int], counts: Mapping[str, float]) -> list[tuple[int, str, float]]:
    return [(slots[label], label, number) for label, number in counts.items()]


def _name(name: Any) -> str:
    return "(no name)" if name in (None, "") else str(name)


def _association(stats: Stats) -> Table:
    rows, slots = [], colour_slots(stats.scheme.labels)
    for split, group in stats.splits.items():
        largest = group["largest_speakers"]
        if "speaker_association" in group:
            found = [("all speakers", group["speaker_association"])]
            if group["speakers"] > largest["speakers"]:
                found.append((f"the {largest['speakers']} largest, all others as one", largest))
        else:
            found = list(group["speaker_association_by_class"].items())
        rows += [[text_cell(split), class_cell(of, slots.get(of)), count_cell(one["cramers_v"], 4),
                  count_cell(one["cramers_v_corrected"], 4)] for of, one in found]
    return Table("Cramér's V of speaker × emotion: from 0 (independent) to 1; it grows with every speaker of few lines",
                 [Column("split", False), Column("of", False), Column("V"), Column("V, bias-corrected (Bergsma 2013)")],
                 rows)


def _overlaps(report: Report) -> list[Any]:
    audit = report.audits.get(report.names[0]) if report.names else None
    return [finding for finding in (audit.findings if audit else ()) if finding.check == "speaker-overlap"]


def _overlap(report: Report) -> Table | None:
    found = _overlaps(report)
    return Table("Speakers in two splits (the audit's speaker-overlap)",
                 [Column("splits", False), Column("utterances of the later one by shared speakers"), Column("of"),
                  Column("share")],
                 [[text_cell(" – ".join(one.splits)), count_cell(one.count), count_cell(one.of),
                   percent_cell(one.count / one.of if one.of else None)] for one in found]) if found else None
