"""What `emoprep split` tells."""

from __future__ import annotations

from emoprep.split import SplitResult, percent
from emoprep.terminal.console import Terminal, compact, table


def show(terminal: Terminal, result: SplitResult) -> None:
    """Show what each split holds, how far it is from the whole, and what could not be as it was asked for."""
    plan = result.plan
    terminal.notes(plan.notes)
    if terminal.json:
        terminal.document(result.to_json())
        return
    terminal.details(f"{dialogue}: {split or 'no split'}" for dialogue, split
                     in dict(zip(plan.source.dialogues, plan.splits, strict=True)).items())
    labels = plan.scheme.labels if plan.scheme else ()
    how = plan.facts["settings"]["protocol"] or f"by {plan.facts['settings']['by']}"
    title = f"{plan.source.corpus} {how}" + (f" ({plan.scheme.name})" if plan.scheme else "")
    rows = table(title + (" – dry run" if result.state == "dry run" else ""), "", *plan.parts, "all")
    parts = [*plan.parts.values(), plan.whole]
    for name in ("utterances", "dialogues", "speakers"):
        rows.add_row(name, *(compact(part[name]) for part in parts))
    rows.add_row("share", *(percent(part["share"]) for part in parts))
    if plan.facts["settings"]["by"]:
        rows.add_row("asked", *(percent(part["asked"]) for part in plan.parts.values()))
    rows.add_section()
    for label in labels:
        rows.add_row(label, *(percent(part["shares"][label]) for part in parts))
    terminal.show(rows)
    if (far := plan.deviation) is not None:
        points = 100 * (far["share"] - far["in_all"])
        terminal.show(f"largest deviation of a class: {far['label']} in {far['split']}, {points:+.2f} points")
    terminal.show(*(f"not as asked: {line}" for line in plan.unmet))
    terminal.show(_end(result))


def _end(result: SplitResult) -> str:
    if result.state == "dry run":
        source = result.plan.source
        return (f"{compact(source.seconds / 60, 1)} minutes, about {compact(source.bytes / 1e6, 1)} MB; "
                "nothing was written")
    return f"{result.out}: " + ("written" if result.state == "written" else "complete already; nothing to do")
