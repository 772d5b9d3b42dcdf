"""What `emoprep audit` tells."""

from __future__ import annotations

from emoprep.audit import CHECKS, AuditResult, Example, Finding
from emoprep.terminal.console import Terminal, compact, plain

SHOWN = 2  # examples a finding
IN_JSON = 20


def show(terminal: Terminal, result: AuditResult) -> None:
    """Show each finding with its first examples (all with --verbose), what is accepted, and what to do."""
    terminal.notes(result.notes)
    if terminal.json:
        terminal.document(result.to_json(None if terminal.verbose else IN_JSON))
        return
    told = set()
    for finding in result.findings:
        terminal.show(_line(finding))
        examples = finding.examples if terminal.verbose else finding.examples[:SHOWN]
        terminal.show(*(f"    {_example(example)}" for example in examples))
        if finding.reason is not None:
            terminal.show(f"    accepted: {plain(finding.reason)}")
        elif finding.check not in told:
            terminal.show(f"    → {CHECKS[finding.check].mend}")
            told.add(finding.check)
    terminal.notes(_not_possible(result))
    accepted = len(result.findings) - len(result.open)
    terminal.show(f"{result.path}: {compact(result.utterances)} utterances, "
                  f"{compact(len(CHECKS) - len(result.not_possible))} checks: "
                  + (f"{compact(len(result.open))} finding{'s' * (len(result.open) > 1)}" if result.open
                     else "nothing was found" if len(CHECKS) > len(result.not_possible)
                     else "nothing could be looked at")
                  + (f", {compact(accepted)} accepted" if accepted else ""))


def _line(finding: Finding) -> str:
    """Return what was found in one line.

    >>> _line(Finding("episode-overlap", ("train", "test"), 142, "episodes", 143))
    'episode-overlap  train, test: 142 of 143 episodes: an episode lies in two splits'
    """
    of = f" of {compact(finding.of)}" if finding.of is not None else ""
    unit = finding.unit[:-1] if finding.count == 1 and not of else finding.unit
    detail = f" ({plain(finding.detail)})" if finding.detail else ""
    return f"{finding.check}  {', '.join(finding.splits)}: {compact(finding.count)}{of} {unit}{detail}: " \
           f"{CHECKS[finding.check].means}"


def _example(example: Example) -> str:
    return plain(" = ".join(example.keys) + (f"  {example.detail}" if example.detail else ""))


def _not_possible(result: AuditResult) -> list[str]:
    """Return a line for each reason why checks are not possible."""
    reasons: dict[str, list[str]] = {}
    for name, why in result.not_possible.items():
        reasons.setdefault(why, []).append(name)
    return [f"not possible: {', '.join(names)}: {why}" for why, names in reasons.items()]
