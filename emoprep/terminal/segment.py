"""What `emoprep segment` tells."""

from __future__ import annotations

from pathlib import Path

from emoprep.segment import SegmentPlan, SegmentResult, estimated_bytes
from emoprep.terminal.console import Terminal, compact, table


def show_plan(terminal: Terminal, plan: SegmentPlan, out: Path) -> None:
    """Show what would be done (--dry-run)."""
    size = estimated_bytes(plan)
    if terminal.json:
        terminal.document({
            "schema": "emoprep.segment/1", "dry_run": True, "corpus": plan.corpus.name, "out": str(out),
            "utterances": plan.utterances, "seconds": round(plan.seconds, 3), "estimated_bytes": size,
            "skipped": _reasons(plan), "shards": [task.name for task in plan.tasks],
            "without_media": list(plan.corpus.bare_splits), "modalities": list(plan.modalities)})
        return
    rows = table(f"plan: {plan.corpus.name} → {out}", "split", "utterances", "shards", "minutes")
    for split in dict.fromkeys(task.utterances[0].split for task in plan.tasks):
        tasks = [task for task in plan.tasks if task.utterances[0].split == split]
        seconds = sum(utterance.seconds or 0 for task in tasks for utterance in task.utterances)
        rows.add_row(split or "all", compact(sum(len(task.utterances) for task in tasks)), compact(len(tasks)),
                     compact(seconds / 60, 1))
    terminal.show(rows, f"{', '.join(plan.modalities)}; about {compact(size / 1e6, 1)} MB; nothing was written")
    terminal.notes([*plan.corpus.notes, *(f"will be skipped: {skip.key} ({skip.reason}): {skip.detail}"
                                          for skip in plan.skips[:None if terminal.verbose else 5])])


def _reasons(plan: SegmentPlan) -> dict[str, int]:
    from collections import Counter

    return dict(Counter(skip.reason for skip in plan.skips))


def show(terminal: Terminal, result: SegmentResult) -> None:
    """Show what was written, and what was skipped and why."""
    terminal.notes(result.notes)
    if terminal.json:
        terminal.document(result.to_json())
        return
    terminal.details(f"skipped {skip.key} ({skip.reason}): {skip.detail}" for skip in result.skips)
    if not terminal.verbose:
        terminal.notes(f"skipped {skip.key} ({skip.reason}): {skip.detail}" for skip in result.skips[:3])
        if len(result.skips) > 3:
            where = f"in {result.out}/skipped.jsonl" if result.part is None else "(--verbose lists them)"
            terminal.notes([f"… and {len(result.skips) - 3} more {where}"])
    state = "" if result.fresh else " (complete already; nothing to do)"
    skipped = ", ".join(f"{number} {reason}" for reason, number in result.skipped.items()) or "none"
    part = f" part {result.part}:" if result.part else ""
    terminal.show(f"{result.out}:{part} {compact(result.written)} utterances in {len(result.shards)} shards; "
                  f"skipped: {skipped}{state}")
    if result.part:
        terminal.show(_what_is_left(result))


def _what_is_left(result: SegmentResult) -> str:
    if not result.missing:
        return f"all shards are there; emoprep seal {result.out} closes the store"
    parts = ", ".join(f"{part} ({len(names)})" for part, names in list(result.missing.items())[:10])
    more = ", …" if len(result.missing) > 10 else ""
    return f"still missing: shards of {parts}{more}; once they are there, emoprep seal {result.out} closes the store"
