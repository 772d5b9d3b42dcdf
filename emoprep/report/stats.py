"""What `emoprep stats` tells."""

from __future__ import annotations

import csv as csv_module
import re
import sys
from typing import Any

from emoprep.labels import MULTI
from emoprep.report.terminal import Terminal, compact, table
from emoprep.stats import Stats

# A terminal is no place for MELD's 1,432 dialogues; --csv and --json have them all.
SHOWN_GROUPS = 30
SHOWN_SETS = 10

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def show(terminal: Terminal, stats: Stats, *, csv: bool = False) -> None:
    """Print tables, JSON or CSV."""
    terminal.notes(stats.notes)
    if terminal.json:
        terminal.document(stats.to_json())
    elif csv:
        _write_csv(stats)
    else:
        for split, group in stats.splits.items():
            terminal.show(_split_table(stats, split, group), _summary(group), "")
            if stats.scheme.task == MULTI:
                terminal.show(_together_table(stats, group), _sets_table(group))
        if stats.groups is not None:
            terminal.show(_groups_table(stats))
            if len(stats.groups) > SHOWN_GROUPS:
                terminal.notes([f"… and {len(stats.groups) - SHOWN_GROUPS} more: --csv or --json has all"])


def _split_table(stats: Stats, split: str, group: dict[str, Any]):
    multi = stats.scheme.task == MULTI
    rows = table(f"{stats.corpus} {split} ({stats.scheme.name})", "label" if multi else "class",
                 "positives" if multi else "utterances", "share", "", "IRLbl" if multi else "largest ÷ it", "lacks",
                 "minutes", "median s")
    rows.columns[3].justify = "left"
    for label in stats.scheme.labels:
        share, seconds = group["shares"][label], group["seconds_by_class"][label]
        rows.add_row(label, compact(group["counts"][label]), f"{100 * share:.1f} %", "█" * round(30 * share),
                     compact(group["ratios"][label], 1), compact(group["lacks"][label]),
                     compact(seconds["total"] / 60, 1), compact(seconds["median"]))
    if multi:
        inside = group["utterances"] - group["outside"]
        rows.add_row("(none)", compact(group["none"]), f"{100 * group['none'] / max(inside, 1):.1f} %")
    return rows


def _together_table(stats: Stats, group: dict[str, Any]):
    """Return which labels occur together, each pair once."""
    labels = stats.scheme.labels
    rows = table("utterances with both", "", *labels[1:])
    for left in labels[:-1]:
        rows.add_row(left, *("" if right not in group["co_occurrence"][left]
                             else compact(group["co_occurrence"][left][right]) for right in labels[1:]))
    return rows


def _sets_table(group: dict[str, Any]):
    sets = group["label_sets"]
    more = f", the {SHOWN_SETS} largest" if len(sets) > SHOWN_SETS else ""
    rows = table(f"label sets: {compact(len(sets))}{more}", "labels", "utterances")
    for found in sets[:SHOWN_SETS]:
        rows.add_row(" + ".join(found["labels"]) or "(none)", compact(found["utterances"]))
    return rows


def _summary(group: dict[str, Any]) -> str:
    parts = [f"{compact(group['utterances'])} utterances", f"{compact(group['dialogues'])} dialogues",
             f"{compact(group['speakers'])} speakers",
             f"imbalance ratio {compact(group['imbalance_ratio'])}",
             f"evenness {compact(group['evenness'], 4)}"]
    if "mean_ir" in group:
        parts += [f"MeanIR {compact(group['mean_ir'])}", f"{compact(group['cardinality'])} labels an utterance"]
    else:
        parts.append(f"{compact(group['effective_classes'])} effective classes")
    if group["outside"]:
        parts.append(f"{compact(group['outside'])} outside the scheme")
    if group["masked"]:
        parts.append(f"{compact(group['masked'])} masked")
    return " · ".join(parts)


def _groups_table(stats: Stats):
    rows = table(f"by {stats.by}", stats.by, "utterances", *stats.scheme.labels)
    for name, group in list(stats.groups.items())[:SHOWN_GROUPS]:
        rows.add_row(name, compact(group["utterances"]), *(compact(n) for n in group["counts"].values()))
    return rows


def _write_csv(stats: Stats) -> None:
    writer = csv_module.writer(sys.stdout, lineterminator="\n")
    writer.writerow([stats.by, "class", "utterances", "share", "ratio_to_largest", "lacks_to_largest", "seconds",
                     "imbalance_ratio", "evenness", "effective_classes"])
    for name, group in (stats.splits if stats.groups is None else stats.groups).items():
        for label in stats.scheme.labels:
            writer.writerow([_cell(name), _cell(label), group["counts"][label], group["shares"][label],
                             _blank(group["ratios"][label]), group["lacks"][label],
                             group["seconds_by_class"][label]["total"],
                             *(_blank(group[measure]) for measure in
                               ("imbalance_ratio", "evenness", "effective_classes"))])


def _blank(value):
    return "" if value is None else value


def _cell(text: str) -> str:
    """Keep a spreadsheet from running a speaker's or a class's name as a formula."""
    return "'" + text if text[:1] in "=+-@\t" and not _NUMBER.fullmatch(text) else text
