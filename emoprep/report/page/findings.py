"""What the audit found, how to mend it, what is accepted and why, and what could not be looked at.

Several audits are told as one: balancing leaves dev and test as they were, and so most of what is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from emoprep.audit import CHECKS, AuditResult, Finding
from emoprep.report.contents import Report
from emoprep.report.page.blocks import (
    Block,
    Column,
    Figure,
    Fold,
    Panel,
    Partial,
    Section,
    Table,
    count_cell,
    percent_cell,
    text_cell,
)
from emoprep.report.page.charts import Bar, bars
from emoprep.report.page.numbers import arrow, count, listed, percent, plural, sentence
from emoprep.report.page.splits import main_split, named

__all__ = ["audit", "audited_sides", "changed_checks", "checks_made", "checks_with_findings"]

EXAMPLES = 3

PARENTHESIS = r" \([^)]*\)"

NO_LEAK = ("key-collision",)
"""Checks between splits that say nothing of what a model may know of the other one."""


class Told(NamedTuple):
    """A finding, and of several audits whose it is, where not all have it."""

    finding: Finding
    whose: str


def audit(report: Report) -> Section | None:
    """Return the section of the audit, None where nothing was audited."""
    if not report.audits:
        return None
    told = list(_merged(report.audits))
    results = list(report.audits.values())
    open_ones = [one for one in told if one.finding.reason is None]
    figure = _figure(report)
    blocks: list[Block] = [] if figure is None else [figure]
    blocks.append(Partial("audit.html", {
        "nothing_open": bool(not open_ones and checks_made(results)),
        "notes": list(dict.fromkeys(note for result in results for note in result.notes)),
        "open": _by_check(open_ones, report),
        "accepted": _by_check([one for one in told if one.finding.reason is not None], report)}))
    if told:
        blocks.append(Fold("All findings as a table", [_table(told, report)], printed=False))
    if len(checks_made(results)) < len(CHECKS):
        blocks.append(Fold("What could not be looked at", [_not_possible(report.audits)], printed=False))
    return Section("audit", "What would make results wrong", "Audit", " ".join(_lead(report, told)), blocks,
                   says=_in_short(report))


def audited_sides(report: Report) -> list[list[AuditResult]]:
    """Return the audits of IN, those of a store with its samples among them, and of a pair those of the other, too."""
    of_other = report.names[1:]
    before = [result for name, result in report.audits.items() if name not in of_other]
    return [before, *([report.audits[name]] for name in of_other if name in report.audits)]


def checks_made(results: Sequence[AuditResult]) -> list[str]:
    """Return the names of the checks that could be made."""
    return [check for check in CHECKS if any(check not in result.not_possible for result in results)]


def checks_with_findings(results: Sequence[AuditResult]) -> list[str]:
    """Return the names of the checks that have findings which are not accepted."""
    found = {one.check for result in results for one in result.open}
    return [check for check in CHECKS if check in found]


def _merged(audits: Mapping[str, AuditResult]) -> Iterator[Told]:
    """Yield all findings in the order of the checks, once where all audits that could make the check say the same."""
    places = dict.fromkeys((one.check, one.splits) for check in CHECKS for result in audits.values()
                           for one in result.findings if one.check == check)
    for place in places:
        same: dict[Any, list[tuple[str, Finding]]] = {}
        for name, result in audits.items():
            for one in result.findings:
                if (one.check, one.splits) == place:
                    same.setdefault((one.count, one.of, one.detail, one.reason), []).append((name, one))
        able = [name for name, result in audits.items() if place[0] not in result.not_possible]
        for members in same.values():
            names = [name for name, _ in members]
            yield Told(members[0][1], "" if names == able else listed(names))


# ------------------------------------------------------------------------------------------------------ in words

def _lead(report: Report, told: Sequence[Told]) -> Iterator[str]:
    first, *others = audited_sides(report)
    made, found = len(checks_made(first)), len(checks_with_findings(first))
    if not made:
        yield "No check could be made here; below it says why."
        return
    which = plural(made, "check") + (" that could be made" if made < len(CHECKS) else "")
    accepted = " that is not accepted" if any(one.finding.reason is not None for one in told) else ""
    yield f"Of {which}, {count(found) if found else 'none'} found something{accepted}."
    shared = _shared(report)
    if shared:
        one = shared[0]
        yield f"Above all, {re.sub(PARENTHESIS, '', CHECKS[one.check].means)}: {_count(one)} of {one.splits[1]}."
    if others:
        new, gone = changed_checks(report)
        yield from [f"New after balancing: {listed(new)}."] if new else []
        yield from [f"Gone after balancing: {listed(gone)}."] if gone else []
        if not new and not gone:
            yield "Balancing added none."


def changed_checks(report: Report) -> tuple[list[str], list[str]]:
    """Return which checks find something after balancing alone, and before alone, of those made both times."""
    before, after = audited_sides(report)
    # That nothing is made is known before anything is; there these checks need not be made.
    both = {*checks_made(before), "synthetic-leak", "resampled-before-split"} & set(checks_made(after))
    old, new = checks_with_findings(before), checks_with_findings(after)
    return [check for check in new if check in both and check not in old], [
        check for check in old if check in both and check not in new]


def _in_short(report: Report) -> str:
    first = audited_sides(report)[0]
    made, found = checks_made(first), checks_with_findings(first)
    # Whose long texts are shared, shares texts.
    shared = [one for one in _shared(report) if one.check != "long-text-overlap"][:2]
    if shared:
        left, right = shared[0].splits
        return (f"{sentence(left)} and {right} are not apart: "
                f"{listed([f'{one.check} in {_count(one)}' for one in shared])}.")
    if found:
        return f"{count(len(found))} of {plural(len(made), 'check')} of the audit found something."
    return f"The audit's {plural(len(made), 'check')} found nothing." if made else ""


def _between(report: Report, results: Sequence[AuditResult]) -> dict[tuple[str, str], Finding]:
    """Return by split and check what some audits find that the split shares with the one that is shown first."""
    split = main_split(report.stats) if report.stats.splits else ""
    return {(one.splits[1], one.check): one for result in results for one in result.open
            if len(one.splits) == 2 and one.splits[0] == split and one.of and one.check not in NO_LEAK}


def _shared(report: Report) -> list[Finding]:
    """Return what the last split (test) shares with the first, the largest share first."""
    found = _between(report, audited_sides(report)[0])
    last = [split for split in report.stats.splits if any(split == name for name, _ in found)][-1:]
    return sorted((one for (name, _), one in found.items() if [name] == last), key=lambda one: -_share(one))


def _share(finding: Finding | None) -> float | None:
    return None if finding is None else finding.count / finding.of


# ------------------------------------------------------------------------------------------------------ the blocks

def _figure(report: Report) -> Figure | None:
    """Return what other splits share with the first, before and after; None where they share nothing."""
    found = [(_between(report, results), checks_made(results)) for results in audited_sides(report)]
    places = {place for one, _ in found for place in one}
    if not places:
        return None
    first, checks = main_split(report.stats), [check for check in CHECKS if any(check == name for _, name in places)]
    drawn = {split: [_bar([shared.get((split, check)) for shared, made in found if check in made], check)
                     for check in checks] for split in dict.fromkeys(split for one, _ in found for split, _ in one)}
    panels = [Panel(f"{first} – {split}", bars(rows, 1.0, f"What {split} shares with {first}: " + ", ".join(
        f"{bar.label} {bar.text}" for bar in rows)), bars=True) for split, rows in drawn.items()]
    sides_of = [Column(name) for name in (report.names if len(found) > 1 else ["share"])]
    table = Table(f"What other splits share with {first}",
                  [Column("check", False), Column("split", False), *sides_of],
                  [[text_cell(check), text_cell(named(split)),
                    *(percent_cell(_share(shared.get((split, check)))) for shared, _ in found)]
                   for split in drawn for check in checks])
    changed = any(len(bar.values) > 1 for rows in drawn.values() for bar in rows)
    return Figure(f"How much of the other splits {first} has already, in percent of what each check counts (–: nothing "
                  "above its threshold)", panels, [table], [("pale", "before"), ("full", "after")] if changed else [])


def _bar(findings: Sequence[Finding | None], check: str) -> Bar:
    """Return what a check found on one side or on both, None where it is no more than what it lets pass."""
    shares = [_share(one) for one in findings]
    values = [share or 0.0 for share in shares]
    return Bar(check, None, values[:1] if len(set(values)) == 1 else values, arrow(*map(percent, shares)))


def _by_check(told: Sequence[Told], report: Report) -> list[dict[str, Any]]:
    """Return what the template shows: each check with its findings, in the order of the checks."""
    groups: dict[str, list[Told]] = {}
    for one in told:
        groups.setdefault(one.finding.check, []).append(one)
    found = []
    for check, members in groups.items():
        lines = [{"splits": _places(one.finding, report), "whose": one.whose, "count": _count(one.finding),
                  "detail": one.finding.detail, "examples": one.finding.examples[:EXAMPLES],
                  "more": count(len(one.finding.examples) - EXAMPLES) if len(one.finding.examples) > EXAMPLES else ""}
                 for one in members]
        found.append({"id": f"audit-{check}", "check": check, "means": CHECKS[check].means, "mend": CHECKS[check].mend,
                      "reason": members[0].finding.reason, "findings": lines,
                      "examples": [line for line in lines if line["examples"]]})
    return found


def _places(finding: Finding, report: Report) -> str:
    """Return the splits of a finding; the audit calls "all" what is in no split, be it all there is or not."""
    splits = ["none" if split == "all" and "none" in report.stats.splits else split for split in finding.splits]
    return " – ".join(map(named, splits)) or "all"


def _count(finding: Finding) -> str:
    """Return how many were found, of how many.

    >>> _count(Finding("episode-overlap", ("train", "test"), 142, "episodes", 143))
    '142 of 143 episodes'
    """
    if finding.of is not None:
        return f"{count(finding.count)} of {count(finding.of)} {finding.unit}"
    return f"{count(finding.count)} {finding.unit.removesuffix('s') if finding.count == 1 else finding.unit}"


def _table(told: Sequence[Told], report: Report) -> Table:
    whose = [Column("in", False)] if len(report.audits) > 1 else []
    reason = [Column("accepted because", False)] if any(one.finding.reason for one in told) else []
    return Table("Findings", [Column("check", False), Column("splits", False), *whose, Column("count"), Column("of"),
                              Column("share"), Column("unit", False), *reason],
                 [[text_cell(one.check), text_cell(_places(one, report)), *[text_cell(of or "all") for _ in whose],
                   count_cell(one.count), count_cell(one.of), percent_cell(one.count / one.of if one.of else None),
                   text_cell(one.unit), *[text_cell(one.reason or "") for _ in reason]] for one, of in told])


def _not_possible(audits: Mapping[str, AuditResult]) -> Table:
    """Return which checks could not be made and why; of a pair, of which where not of both."""
    reasons = dict.fromkeys((check, why) for check in CHECKS for result in audits.values()
                            for name, why in result.not_possible.items() if name == check)
    rows = []
    possible = checks_made(list(audits.values()))
    for check, why in reasons:
        if check in possible:
            continue
        names = [name for name, result in audits.items() if result.not_possible.get(check) == why]
        rows.append([text_cell(check), text_cell(why if len(names) == len(audits) else f"{names[0]}: {why}")])
    return Table("Checks that could not be made", [Column("check", False), Column("why", False)], rows)
