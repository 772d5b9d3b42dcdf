"""What the page is of, and the numbers to see at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emoprep.labels import MULTI
from emoprep.report.contents import Report
from emoprep.report.page.blocks import Card, Cards
from emoprep.report.page.numbers import arrow, count, plural
from emoprep.report.page.splits import main_split, sides


@dataclass(frozen=True)
class Head:
    """What stands above the sections."""

    title: str
    kind: str
    facts: Sequence[tuple[str, str]]
    cards: Cards
    notes: Sequence[str]
    licence: str
    citation: str


def head(report: Report) -> Head:
    """Return what stands above the sections."""
    names = [name for name, _ in sides(report)]
    stats = report.stats
    notes = [*report.notes, *(note for _, one in sides(report) for note in one.notes)]
    kind = "Before and after balancing" if len(names) > 1 else f"What is in {names[0]}"
    facts = [("corpus", report.corpus)]
    facts += [("utterances" if len(names) == 1 else f"utterances, {name}", _sizes(one)) for name, one in sides(report)]
    task = "several labels an utterance" if stats.scheme.task == MULTI else "one class an utterance"
    facts.append(("label scheme", f"{stats.scheme.name} ({task}): {', '.join(stats.scheme.labels)}"))
    if stats.protocol is not None:
        facts.append(("protocol", stats.protocol))
    return Head(" → ".join(names), kind, facts, Cards(_cards(report)), list(dict.fromkeys(notes)), report.licence,
                report.citation)


def _sizes(stats) -> str:
    parts = [f"{split} {count(group['utterances'])}" for split, group in stats.splits.items()]
    whole = sum(group["utterances"] for group in stats.splits.values())
    return f"{count(whole)}: {', '.join(parts)}" if len(parts) > 1 else "".join(parts) or "none"


def _cards(report: Report) -> list[Card]:
    return [*(_of_classes(report) if report.stats.splits else ()), *(_of_audits(report) if report.audits else ())]


def _of_classes(report: Report) -> list[Card]:
    split, labels = main_split(report.stats), len(report.stats.scheme.labels)
    groups = [stats.splits[split] for _, stats in sides(report) if split in stats.splits]

    def values(field: str, digits: int) -> str:
        return arrow(*(count(group[field], digits) for group in groups))
    return [Card(f"imbalance ratio, {split}", values("imbalance_ratio", 1),
                 "the largest class ÷ the smallest; even: 1", "skew"),
            Card(f"evenness, {split}", values("evenness", 2), "from 0, one class alone, to 1, all alike", "skew"),
            Card(f"effective classes, {split}", values("effective_classes", 1),
                 f"as varied as so many even classes; there are {labels}", "skew")]


def _of_audits(report: Report) -> list[Card]:
    found = [len(result.open) for result in report.audits.values()]
    lacking = max(len(result.not_possible) for result in report.audits.values())
    note = f"{plural(lacking, 'check')} could not be made" if lacking else "all checks were made"
    return [Card("open audit findings", arrow(*map(count, found)), note, "audit")]
