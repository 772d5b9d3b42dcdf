"""What the page is of, what it says in short, and the numbers to see at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emoprep.audit import CHECKS
from emoprep.labels import MULTI
from emoprep.report.contents import Report
from emoprep.report.page.blocks import Card, Cards, Section
from emoprep.report.page.findings import audited_sides, changed_checks, checks_made, checks_with_findings
from emoprep.report.page.numbers import arrow, count, plural
from emoprep.report.page.splits import main_split, named, sides
from emoprep.stats import Stats


@dataclass(frozen=True)
class Head:
    """What stands above the sections; `says` has for each sentence in short the anchor of its section."""

    title: str
    kind: str
    says: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]
    cards: Cards
    notes: Sequence[str]
    licence: str
    licence_of: str
    citation: str


def head(report: Report, sections: Sequence[Section]) -> Head:
    """Return what stands above these sections."""
    names = [name for name, _ in sides(report)]
    stats = report.stats
    kind = "Before and after balancing" if len(names) > 1 else f"What is in {names[0]}"
    facts = [("corpus", report.corpus)]
    facts += [("utterances" if len(names) == 1 else f"utterances, {name}", _sizes(one)) for name, one in sides(report)]
    task = "several labels an utterance" if stats.scheme.task == MULTI else "one class an utterance"
    facts.append(("label scheme", f"{stats.scheme.name} ({task}): {', '.join(stats.scheme.labels)}"))
    if stats.protocol is not None:
        facts.append(("protocol", stats.protocol))
    shown = "pictures, sounds and texts" if report.wall is not None else "texts quoted"
    says = [(one.id, one.says) for one in sections if one.says]
    return Head(" → ".join(names), kind, says, facts, Cards(_cards(report)), report.notes,
                report.licence, shown, report.citation)


def _sizes(stats: Stats) -> str:
    parts = [f"{named(split)} {count(group['utterances'])}" for split, group in stats.splits.items()]
    whole = count(sum(group["utterances"] for group in stats.splits.values()))
    return f"{whole}: {', '.join(parts)}" if len(parts) > 1 or "all" not in stats.splits else whole


def _cards(report: Report) -> list[Card]:
    return [*(_of_classes(report) if report.stats.splits and len(report.stats.scheme.labels) > 1 else ()),
            *(_of_audits(report) if report.audits else ())]


def _of_classes(report: Report) -> list[Card]:
    split, labels = main_split(report.stats), len(report.stats.scheme.labels)
    groups = [stats.splits[split] for _, stats in sides(report) if split in stats.splits]
    of = "" if split == "all" else f", {named(split)}"
    # A class without a member makes the ratio unbounded; where no class has one, there is none.
    ratios = ["∞" if group["imbalance_ratio"] is None and any(group["counts"].values()) else
              count(group["imbalance_ratio"], 1) for group in groups]

    def values(field: str, digits: int) -> str:
        return arrow(*(count(group[field], digits) for group in groups))
    return [Card(f"imbalance ratio{of}", arrow(*ratios), "the largest class ÷ the smallest; even: 1", "skew"),
            Card(f"evenness{of}", values("evenness", 2), "from 0, one class alone, to 1, all alike", "skew"),
            Card(f"effective classes{of}", values("effective_classes", 1),
                 f"as varied as so many even classes; there are {labels}", "skew")]


def _of_audits(report: Report) -> list[Card]:
    """Return the card of the audit: nothing was found is good news only where something was looked at."""
    sides_of = audited_sides(report)
    made = len(checks_made(sides_of[0]))
    lacking = len(CHECKS) - made
    note = f"of {plural(made, 'check')} that could be made; {count(lacking)} could not" if lacking else \
        f"of {plural(made, 'check')}"
    found = [len(checks_with_findings(sides_of[0]))]
    if len(sides_of) > 1:
        new, gone = changed_checks(report)
        found.append(found[0] + len(new) - len(gone))
    return [Card("audit checks with findings", arrow(*map(count, found)) if made else "–",
                 note if made else "no check could be made", "audit")]
