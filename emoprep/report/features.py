"""What `emoprep features` tells."""

from __future__ import annotations

from pathlib import Path

from emoprep.features import FeaturesPlan, FeaturesResult
from emoprep.report.terminal import Terminal, compact, table


def show_plan(terminal: Terminal, plan: FeaturesPlan, out: Path) -> None:
    """Show what would be done (--dry-run)."""
    counts = dict(plan.store.manifest.counts)
    known = [choice.dim or 0 for choice in plan.choices]
    size = 4 * sum(known) * sum(counts.values())
    seconds = plan.seconds()
    terminal.notes(plan.notes)
    if terminal.json:
        terminal.document({"schema": "emoprep.features/1", "dry_run": True, "corpus": plan.store.manifest.corpus,
                           "out": str(out), "counts": counts, "seconds": seconds, "estimated_bytes": size,
                           "modalities": {choice.modality: {**choice.to_json(), "clock": choice.clock}
                                          for choice in plan.choices}})
        return
    rows = table(f"plan: {plan.store.path} → {out}", "modality", "extractor", "pool", "clock", "dimension")
    for choice in plan.choices:
        rows.add_row(choice.modality, choice.extractor, str(choice.settings.get("pool", "–")), choice.clock,
                     compact(choice.dim) if choice.dim else "its own")
    terminal.show(rows, f"{compact(sum(counts.values()))} utterances, {compact(seconds / 60, 1)} minutes; "
                        f"about {compact(size / 1e6, 1)} MB for vectors; "
                        "nothing was written")


def show(terminal: Terminal, result: FeaturesResult) -> None:
    """Show what was written, and the keys that brought embeddings lack."""
    terminal.notes(result.notes)
    terminal.details(f"{name}: not in the file: {key}" for name, keys in result.missing.items() for key in keys)
    if terminal.json:
        terminal.document(result.to_json())
        return
    rows = table(result.out, "modality", "extractor", "clock", "dimension")
    for name, how in result.modalities.items():
        rows.add_row(name, str(how.get("file", how["extractor"])), how["clock"], compact(how["dim"]))
    counts = ", ".join(f"{split} {compact(number)}" for split, number in result.counts.items())
    terminal.show(rows, f"{counts}; fitted on train only"
                        + ("" if result.fresh else " (complete already; nothing to do)"))
