"""What the audit found, how to mend it, what is accepted and why, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoprep.audit import CHECKS, AuditResult, Finding
from emoprep.report.contents import Report
from emoprep.report.page.blocks import (
    Block,
    Column,
    Fold,
    Partial,
    Section,
    Table,
    count_cell,
    percent_cell,
    text_cell,
)
from emoprep.report.page.numbers import count, listed, plural

EXAMPLES = 3


def audit(report: Report) -> Section | None:
    """Return the section of the audit, None where nothing was audited."""
    if not report.audits:
        return None
    several = len(report.audits) > 1
    blocks: list[Block] = []
    for at, (name, result) in enumerate(report.audits.items()):
        findings = _new(report.audits, at)
        anchor, of = (f"audit-{at}", f" in {name}") if several else ("audit", "")
        same, done = len(result.findings) - len(findings), len(CHECKS) - len(result.not_possible)
        blocks.append(Partial("audit.html", {
            "name": name if several else "", "summary": _summary(result), "notes": result.notes, "same": same,
            "before": ", ".join(list(report.audits)[:at]), "nothing_open": bool(done and not result.open),
            "open": _by_check([one for one in findings if one.reason is None], anchor),
            "accepted": _by_check([one for one in findings if one.reason is not None], anchor)}))
        if result.findings:
            blocks.append(Fold(f"All findings{of} as a table", [_table(result)], printed=False))
        if result.not_possible:
            blocks.append(Fold(f"What could not be looked at{of}", [_not_possible(result)]))
    return Section("audit", "What would make results wrong", "Audit", _lead(report.audits), blocks)


def _new(audits: Mapping[str, AuditResult], at: int) -> list[Finding]:
    """Return the findings of one audit that none before it has: balancing leaves dev and test as they were."""
    def told(one: Finding) -> tuple[Any, ...]:
        return one.check, one.splits, one.count, one.of, one.detail, one.reason
    results = list(audits.values())
    known = {told(one) for result in results[:at] for one in result.findings}
    return [one for one in results[at].findings if told(one) not in known]


def _lead(audits: Mapping[str, AuditResult]) -> str:
    told = []
    for at, (name, result) in enumerate(audits.items()):
        names = list(dict.fromkeys(finding.check for finding in _new(audits, at) if finding.reason is None))
        which = f", of {plural(len(names), 'check')}: {listed(names)}" if names else ""
        old = ", the same as before" if at and result.open and not names else ""
        told.append(f"The audit of {name} has {plural(len(result.open), 'open finding')}{which}{old}.")
    return " ".join(told)


def _summary(result: AuditResult) -> str:
    done, accepted = len(CHECKS) - len(result.not_possible), len(result.findings) - len(result.open)
    told = (plural(len(result.open), "finding") if result.open else
            "nothing was found" if done else "nothing could be looked at")
    return (f"{plural(result.utterances, 'utterance')}, {count(done)} of {count(len(CHECKS))} checks: {told}"
            + (f", {count(accepted)} accepted" if accepted else "") + ".")


def _by_check(findings: list[Finding], anchor: str) -> list[dict[str, Any]]:
    """Return what the template shows: each check with its findings, in the order of the checks."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.check, []).append(finding)
    found = []
    for check, members in groups.items():
        told = [{"splits": " – ".join(one.splits) or "all", "count": _count(one), "detail": one.detail,
                 "examples": one.examples[:EXAMPLES],
                 "more": count(len(one.examples) - EXAMPLES) if len(one.examples) > EXAMPLES else ""}
                for one in members]
        found.append({"id": f"{anchor}-{check}", "check": check, "means": CHECKS[check].means,
                      "mend": CHECKS[check].mend, "reason": members[0].reason, "findings": told,
                      "examples": [one for one in told if one["examples"]]})
    return found


def _count(finding: Finding) -> str:
    """Return how many were found, of how many.

    >>> _count(Finding("episode-overlap", ("train", "test"), 142, "episodes", 143))
    '142 of 143 episodes'
    """
    if finding.of is not None:
        return f"{count(finding.count)} of {count(finding.of)} {finding.unit}"
    return f"{count(finding.count)} {finding.unit.removesuffix('s') if finding.count == 1 else finding.unit}"


def _table(result: AuditResult) -> Table:
    return Table("Findings", [Column("check", False), Column("splits", False), Column("count"), Column("of"),
                              Column("share"), Column("unit", False), Column("accepted because", False)],
                 [[text_cell(one.check), text_cell(" – ".join(one.splits)), count_cell(one.count), count_cell(one.of),
                   percent_cell(one.count / one.of if one.of else None), text_cell(one.unit),
                   text_cell(one.reason or "")] for one in result.findings])


def _not_possible(result: AuditResult) -> Table:
    return Table("Checks that IN cannot answer", [Column("check", False), Column("why", False)],
                 [[text_cell(name), text_cell(why)] for name, why in result.not_possible.items()])
