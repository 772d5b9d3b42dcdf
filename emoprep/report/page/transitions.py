"""Which emotion follows which, how long it lasts, how often it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
from emoprep.report.page.numbers import called, count, listed, percent
from emoprep.report.page.splits import heading, main_split, named, of_first, other_splits, spoken
from emoprep.stats import Stats


def transitions(report: Report) -> Section | None:
    """Return the section of the transitions, None where no utterance follows another."""
    stats = report.stats
    if not any(any(group["followed"].values()) for group in stats.splits.values()):
        return None
    blocks: list[Block] = [] if (first := _figure(stats, main_split(stats))) is None else [first]
    blocks += other_splits(stats, lambda split: _figure(stats, split))
    blocks.append(_shifts(stats))
    return Section("transitions", "Which emotion follows which", "Transitions", " ".join(_lead(stats)), blocks,
                   of_first(report))


def _lead(stats: Stats) -> Iterator[str]:
    split = main_split(stats)
    group = stats.splits[split]
    lasting = {label: share for label, share in group["persistence"].items() if share is not None}
    if lasting:
        yield _of_lasting(lasting, spoken(split))
    neighbours, own = group["emotion_shift"]["neighbours"], group["emotion_shift"]["own"]
    if neighbours["pairs"] and not neighbours["shifts"]:
        yield "The emotion never changes from one turn to the next."
    elif neighbours["pairs"]:
        alone = f", from one turn of a speaker to the same speaker's next {percent(own['share'])}" \
            if own["pairs"] and own != neighbours else ""
        yield f"From one turn to the next the emotion changes {percent(neighbours['share'])} of the time{alone}."


def _of_lasting(lasting: Mapping[str, float], where: str) -> str:
    """Return which class lasts longest, and which shortest.

    >>> _of_lasting({"joy": 0.5, "fear": 0.0}, "train")
    'In train, after joy the next turn is joy again 50.0 % of the time; fear never follows itself.'
    """
    most, least = max(lasting, key=lasting.get), min(lasting, key=lasting.get)
    never = [called(label) for label, share in lasting.items() if not share]
    if not lasting[most]:
        return f"In {where}, no turn has the class of the turn before."
    other = ""
    if never:
        other = f"; {listed(never)} never {'follows itself' if len(never) == 1 else 'follow themselves'}"
    elif lasting[least] < lasting[most]:
        other = f", after {called(least)} it is {called(least)} again {percent(lasting[least])}"
    return (f"In {where}, after {called(most)} the next turn is {called(most)} again {percent(lasting[most])} of the "
            f"time{other}.")


def _figure(stats: Stats, split: str) -> Figure | None:
    group, labels = stats.splits[split], stats.scheme.labels
    if not any(group["followed"].values()):
        return None
    shares = [[group["transition_shares"][a][b] for b in labels] for a in labels]
    texts = [["" if share is None else f"{100 * share:.0f}" for share in row] for row in shares]
    # With several labels a turn counts for each, so a row's shares may sum to more than one.
    more = "; a turn counts for each of its labels" if stats.scheme.task == MULTI else ""
    caption = (f"{heading(split)}of the turns after one of the row's class, how many percent have the column's{more}. "
               "Framed: the same class again. To the right, how many turns that is; of a few, percent mean little")
    svg = heat(labels, labels, shares, texts, f"Which class follows which in {spoken(split)}", diagonal=True,
               strongest=_strongest(stats), behind=[count(group["followed"][label]) for label in labels])
    lasting = Panel("Persistence: the same class again", _persistence(stats, split), bars=True)
    return Figure(caption, [Panel("", svg), lasting], [_table(stats, split)])


def _persistence(stats: Stats, split: str) -> str:
    slots, found = colour_slots(stats.scheme.labels), stats.splits[split]["persistence"]
    longest = max((share for group in stats.splits.values() for share in group["persistence"].values()
                   if share is not None), default=1.0)
    drawn = [Bar(label, slots[label], (share or 0.0,), percent(share)) for label, share in found.items()]
    told = ", ".join(f"{bar.label} {bar.text}" for bar in drawn)
    return bars(drawn, longest, f"Persistence in {spoken(split)}: {told}")


def _strongest(stats: Stats) -> float:
    """Return the largest share of all splits, so that their maps are of one scale."""
    return max((share for group in stats.splits.values() for row in group["transition_shares"].values()
                for share in row.values() if share is not None), default=1.0)


def _table(stats: Stats, split: str) -> Table:
    group, slots = stats.splits[split], colour_slots(stats.scheme.labels)
    rows = [[class_cell(label, slots[label]),
             *(percent_cell(share) for share in group["transition_shares"][label].values()),
             count_cell(group["followed"][label]), percent_cell(group["persistence"][label]),
             percent_cell(group["dialogue_frequency"][label])] for label in stats.scheme.labels]
    return Table(f"What follows each class in {spoken(split)}",
                 [Column("after", False), *(Column(label) for label in stats.scheme.labels), Column("pairs"),
                  Column("persistence"), Column("dialogues with it")], rows)


def _shifts(stats: Stats) -> Table:
    rows = []
    for split, group in stats.splits.items():
        found = group["emotion_shift"]
        # Where each dialogue is a monologue, both are the same.
        whose = {"neighbours": "all turns"}
        whose |= {"own": "own turns"} if found["own"] != found["neighbours"] else {}
        rows += [[text_cell(named(split)), text_cell(told), *(count_cell(found[which][name])
                                                             for name in ("shifts", "pairs")),
                  percent_cell(found[which]["share"])] for which, told in whose.items()]
    return Table("Emotion shift: how often the class changes from one turn to the next, of all turns, and of each "
                 "speaker's own (so MELD's README counts)",
                 [Column("split", False), Column("between", False), Column("shifts"), Column("pairs"), Column("share")],
                 rows)
