"""What `emoprep features` tells."""

from __future__ import annotations

from pathlib import Path

from emoprep.features import BringPlan, FeaturesPlan, FeaturesResult
from emoprep.terminal.console import Terminal, compact, table


def show_plan(terminal: Terminal, plan: FeaturesPlan | BringPlan, out: Path) -> None:
    """Show what would be done (--dry-run)."""
    if isinstance(plan, BringPlan):
        _show_bring_plan(terminal, plan, out)
        return
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


def _show_bring_plan(terminal: Terminal, plan: BringPlan, out: Path) -> None:
    corpus, counts, modalities = plan.processed.corpus, plan.counts(), plan.processed.modalities
    terminal.notes(corpus.notes)
    if terminal.json:
        terminal.document({"schema": "emoprep.features/1", "dry_run": True, "corpus": corpus.name, "out": str(out),
                           "counts": counts, "seconds": plan.seconds(), "estimated_bytes": plan.size,
                           "modalities": dict(modalities)})
        return
    rows = table(f"plan: {corpus.name} → {out}", "modality", "extractor", "clock", "dimension")
    for name, how in modalities.items():
        rows.add_row(name, str(how["extractor"]), how["clock"], compact(how["dim"]))
    terminal.show(rows, f"{compact(sum(counts.values()))} utterances; at most about {compact(plan.size / 1e6, 1)} MB; "
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
    fitted = any("fitted_on" in how for how in result.modalities.values())
    terminal.show(rows, f"{counts}; {'fitted on train only' if fitted else 'taken as they are'}"
                        + ("" if result.fresh else " (complete already; nothing to do)"))
