"""The tables of `emoprep stats` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emoprep.labels import MULTI
from emoprep.stats import Comparison, Stats
from emoprep.stats.measures import named, of_group
from emoprep.terminal.console import compact, table

# A terminal is no place for MELD's 1,432 dialogues; --csv and --json have them all.
SHOWN_GROUPS = 30
SHOWN_SETS = 10


# -------------------------------------------------------------------------------------------- shown unasked

def classes(stats: Stats, split: str, group: dict[str, Any]):
    multi = stats.scheme.task == MULTI
    rows = table(f"{stats.corpus} {split} ({stats.scheme.name})", "label" if multi else "class",
                 "positives" if multi else "utterances", "share", "", "IRLbl" if multi else "largest ÷ it", "lacks",
                 "minutes", "median s")
    rows.columns[3].justify = "left"
    for label in stats.scheme.labels:
        share, seconds = group["shares"][label], group["seconds_by_class"][label]
        rows.add_row(label, compact(group["counts"][label]), _percent(share), "█" * round(30 * share),
                     compact(group["ratios"][label], 1), compact(group["lacks"][label]),
                     compact(seconds["total"] / 60, 1), compact(seconds["median"]))
    if multi:
        inside = group["utterances"] - group["outside"]
        rows.add_row("(none)", compact(group["none"]), _percent(group["none"] / max(inside, 1)))
    return rows


def together(stats: Stats, group: dict[str, Any]):
    """Return which labels occur together, each pair once."""
    labels = stats.scheme.labels
    rows = table("utterances with both", "", *labels[1:])
    for left in labels[:-1]:
        rows.add_row(left, *("" if right not in group["co_occurrence"][left]
                             else compact(group["co_occurrence"][left][right]) for right in labels[1:]))
    return rows


def label_sets(group: dict[str, Any]):
    sets = group["label_sets"]
    more = f", the {SHOWN_SETS} largest" if len(sets) > SHOWN_SETS else ""
    rows = table(f"label sets: {compact(len(sets))}{more}", "labels", "utterances")
    for found in sets[:SHOWN_SETS]:
        rows.add_row(" + ".join(found["labels"]) or "(none)", compact(found["utterances"]))
    return rows


def summary(group: dict[str, Any]) -> str:
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


def groups(stats: Stats, title: str):
    rows = table(title, stats.by, "utterances", *stats.scheme.labels)
    for name, group in list(stats.groups.items())[:SHOWN_GROUPS]:
        rows.add_row(name, compact(group["utterances"]), *(compact(n) for n in group["counts"].values()))
    return rows


# ----------------------------------------------------------------------------------------------- asked for

def measures(stats: Stats, title: str):
    """Return every measure by the literature's name, a column a split."""
    rows = table(f"{title}: measures ({stats.scheme.name})", "", *stats.splits)
    for field, name in named(stats.scheme.task).items():
        rows.add_row(name, *(compact(of_group(group)[field], 4) for group in stats.splits.values()))
    return rows


def drift(stats: Stats, title: str):
    """Return how far the classes of the splits are apart; for several labels, each label's χ² by itself."""
    rows = table(f"{title}: drift between splits", "", "JS divergence, nats", "JS distance", "χ²", "df", "p")
    for left, others in stats.drift.items():
        for right, found in others.items():
            distances = [_figure(found[name]) for name in ("js_divergence", "js_distance")]
            rows.add_row(f"{left} – {right}", *distances, *(_chi2(found) if "chi2" in found else ()))
            for label, one in found.get("by_class", {}).items():
                rows.add_row(f"  {label}", _figure(one["js_divergence"]), _figure(one["js_distance"]), *_chi2(one))
    return rows


def durations(stats: Stats, group: dict[str, Any], title: str):
    longer = [] if stats.max_seconds is None else [f"over {stats.max_seconds:g} s"]
    rows = table(f"{title}: seconds an utterance", "class", "minutes", "mean", "median", "95 %", "99 %", "shortest",
                 "longest", *longer)
    for label, found in {**group["seconds_by_class"], "(all)": group["seconds"]}.items():
        cut = [] if not longer else [compact(group["cut"]["by_class"].get(label, group["cut"]["utterances"]))]
        rows.add_row(label, compact(found["total"] / 60, 1), *(
            compact(found[name]) for name in ("mean", "median", "p95", "p99", "shortest", "longest")), *cut)
    return rows


def cut(group: dict[str, Any]) -> Iterator[str]:
    """Yield what a maximum length would cut."""
    if "cut" in group:
        found = group["cut"]
        yield (f"a maximum of {found['max_seconds']:g} s cuts {compact(found['utterances'])} of "
               f"{compact(found['of'])} utterances ({_percent(found['share'])}) by {compact(found['seconds'], 1)} s")


def transitions(stats: Stats, group: dict[str, Any], title: str):
    """Return which share of the turns after a class has which class; the diagonal is persistence."""
    rows = table(f"{title}: what the next turn has after …", "", *stats.scheme.labels, "pairs", "dialogues with it")
    for label, shares in group["transition_shares"].items():
        rows.add_row(label, *map(_percent, shares.values()), compact(group["followed"][label]),
                     _percent(group["dialogue_frequency"][label]))
    return rows


def shifts(group: dict[str, Any]) -> Iterator[str]:
    """Yield how often the emotion changes from one turn to the next."""
    told_of = {"own": "a speaker's own consecutive turns", "neighbours": "neighbouring turns, all speakers"}
    for name, told in told_of.items():
        found = group["emotion_shift"][name]
        yield (f"emotion shift, {told}: {compact(found['shifts'])} of {compact(found['pairs'])} pairs "
               f"({_percent(found['share'])})")


def speakers(stats: Stats, group: dict[str, Any], title: str):
    rows = table(f"{title}: the {len(group['speaker_counts'])} largest of {compact(group['speakers'])} speakers",
                 "speaker", "utterances", *stats.scheme.labels)
    for name, counts in group["speaker_emotions"].items():
        rows.add_row(str(name), compact(group["speaker_counts"][name]), *map(compact, counts.values()))
    return rows


def association(group: dict[str, Any]) -> Iterator[str]:
    """Yield how far emotion depends on who speaks."""
    largest = group["largest_speakers"]
    yield (f"the {largest['speakers']} largest: {_percent(largest['share'], 2)} of the utterances · "
           f"{compact(group['effective_speakers'])} effective speakers e^H")
    if "speaker_association" in group:
        found = group["speaker_association"]
        yield (f"Cramér's V of speaker × emotion: {_v(found)}; of the {largest['speakers']} largest and all others as "
               f"one: {_v(largest)}")
    else:
        told = (f"{label} {_v(found)}" for label, found in group["speaker_association_by_class"].items())
        yield f"Cramér's V of speaker × label: {' · '.join(told)}"


# ------------------------------------------------------------------------------------------- side by side

def beside(found: Comparison, split: str):
    """Return a split's classes in both."""
    before, after = (stats.splits.get(split) for stats in (found.before, found.after))
    difference = found.changes[split]["difference"] if before and after else {}
    rows = table(f"{split} ({found.before.scheme.name})", "class", found.names[0], "share", found.names[1], "share",
                 "difference")
    for label in found.before.scheme.labels:
        sides = [cell for group in (before, after) for cell in
                 (("–", "–") if group is None else (compact(group["counts"][label]), _percent(group["shares"][label])))]
        change = difference.get(label)
        rows.add_row(label, *sides, f"{'+' if change and change > 0 else ''}{compact(change)}")
    return rows


def summaries(found: Comparison, split: str) -> Iterator[str]:
    for name, stats in zip(found.names, (found.before, found.after), strict=True):
        if split in stats.splits:
            yield f"{name}: {summary(stats.splits[split])}"
    if split in found.changes:
        yield (f"JS divergence of the classes: {_figure(found.changes[split]['js_divergence'])} nats "
               "(0: alike; 0.693: nothing in common)")


# ------------------------------------------------------------------------------------------------ numbers

def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _figure(number: float | None) -> str:
    """Return a number that may be tiny with three digits that count."""
    return "–" if number is None else f"{number:.3g}"


def _v(found: dict[str, Any]) -> str:
    values = [found[name] for name in ("cramers_v", "cramers_v_corrected")]
    return "–" if values[0] is None else f"{values[0]:.4f}" + (
        "" if values[1] is None else f" ({values[1]:.4f} bias-corrected)")


def _chi2(found: dict[str, Any]) -> tuple[str, str, str]:
    rough = found["smallest_expected"] is not None and found["smallest_expected"] < 5
    return (compact(found["chi2"]), compact(found["df"]), _figure(found["p"]) + (" rough" if rough else ""))
