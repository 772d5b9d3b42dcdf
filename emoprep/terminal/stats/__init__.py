"""What `emoprep stats` tells: tables, one JSON document, or one table for a spreadsheet."""

from __future__ import annotations

from collections.abc import Collection

from emoprep.labels import MULTI
from emoprep.stats import Comparison, Stats
from emoprep.terminal.console import Terminal
from emoprep.terminal.stats import sheets, tables

__all__ = ["show", "show_comparison"]


def show(terminal: Terminal, stats: Stats, *, csv: bool = False, more: Collection[str] = ()) -> None:
    """Print tables, JSON (which always has everything) or CSV.

    `more` is what is shown only where it is asked for: "measures", "durations", "transitions", "speakers".
    """
    terminal.notes(stats.notes)
    if terminal.json:
        terminal.document(stats.to_json())
    elif csv:
        sheets.write(sheets.sheet(stats, more))
    else:
        for split, group in stats.splits.items():
            terminal.show(tables.classes(stats, split, group), tables.summary(group), "")
            if stats.scheme.task == MULTI:
                terminal.show(tables.together(stats, group), tables.label_sets(group))
        _show_more(terminal, stats, stats.corpus, more)
        _show_groups(terminal, stats, f"by {stats.by}")


def show_comparison(terminal: Terminal, found: Comparison, *, csv: bool = False, more: Collection[str] = ()) -> None:
    """Print two corpora or stores side by side; `more` is shown of one after the other."""
    for name, stats in zip(found.names, (found.before, found.after), strict=True):
        terminal.notes(f"{name}: {note}" for note in stats.notes)
    if terminal.json:
        terminal.document(found.to_json())
    elif csv:
        sheets.write(sheets.beside(*(sheets.sheet(stats, more) for stats in (found.before, found.after)), found.names))
    else:
        for split in dict.fromkeys([*found.before.splits, *found.after.splits]):
            terminal.show(tables.beside(found, split), *tables.summaries(found, split), "")
        for name, stats in zip(found.names, (found.before, found.after), strict=True):
            _show_more(terminal, stats, name, more)
            _show_groups(terminal, stats, f"{name} by {stats.by}")


def _show_more(terminal: Terminal, stats: Stats, name: str, more: Collection[str]) -> None:
    for split, group in stats.splits.items():
        title = f"{name} {split}"
        if "durations" in more:
            terminal.show(tables.durations(stats, group, title), *tables.cut(group), "")
        if "transitions" in more:
            terminal.show(tables.transitions(stats, group, title), *tables.shifts(group), "")
        if "speakers" in more:
            terminal.show(tables.speakers(stats, group, title), *tables.association(group), "")
    if "measures" in more:
        terminal.show(tables.measures(stats, name))
        if stats.drift:
            terminal.show(tables.drift(stats, name))


def _show_groups(terminal: Terminal, stats: Stats, title: str) -> None:
    if stats.groups is not None:
        terminal.show(tables.groups(stats, title))
        if len(stats.groups) > tables.SHOWN_GROUPS:
            terminal.notes([f"… and {len(stats.groups) - tables.SHOWN_GROUPS} more: --csv or --json has all"])
