"""What the page does not show, why, and the command by which it would come to be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from emoprep.labels import MULTI
from emoprep.report.contents import Report
from emoprep.report.page.blocks import Partial, Section
from emoprep.report.page.numbers import plural

_TITLES = {"balancing": "What balancing changed", "map": "A map of the features", "wall": "Look and listen",
           "audit": "What would make results wrong"}
_HOLDS_NO = "IN holds no "
"""What only a command can change; what else is missing (two utterances are no map) no command brings."""

_ASKED = re.compile(r"it was not asked for \((--.+)\)")

_FIGURES = {
    "skew": ("Class skew", "there is no utterance"),
    "transitions": ("Which emotion follows which", "no utterance follows another; a table has a column `dialogue` for "
                                                   "that"),
    "speakers": ("Who speaks", "nobody is named; a table has a column `speaker` for that"),
    "durations": ("How long they are", "no length is known; a table has columns `start` and `end` for that, a store "
                                       "knows it of each clip"),
    "together": ("Which emotions come together", "no dialogue and no utterance has two of them"),
}
"""The sections of the figures, and why they are not there; no command would bring them."""


def missing(report: Report, sections: Sequence[Section]) -> Section | None:
    """Return the section of what is missing beside these, None where nothing is."""
    lacking = [*_without_command(report, [section.id for section in sections]), *_with_command(report)]
    if not lacking:
        return None
    return Section("missing", "What is not on this page", "Missing",
                   f"{plural(len(lacking), 'section has', 'sections have')} nothing to show.",
                   [Partial("missing.html", {"lacking": lacking})])


def _without_command(report: Report, there: Sequence[str]) -> Iterator[tuple[str, str, Sequence[str]]]:
    figures = {"skew": _FIGURES["skew"]} if not report.stats.splits else _FIGURES
    yield from ((title, why, ()) for name, (title, why) in figures.items() if name not in there)


def _with_command(report: Report) -> Iterator[tuple[str, str, Sequence[str]]]:
    for name, why in report.missing.items():
        # Why a section has nothing to show may end with the command that follows here.
        reason, _, remedy = why.partition("; ")
        commands = _commands(report, name, why)
        if asked := _ASKED.fullmatch(why):
            reason = f"it was not asked for: leave out `{asked[1]}`"
        yield _TITLES.get(name, name), reason if asked or (commands and "emoprep" in remedy) else why, commands


def _commands(report: Report, name: str, why: str) -> Sequence[str]:
    """Return the commands that would bring a section, where some would.

    What kind of an input IN is, its other sections tell.
    """
    raw = all(report.missing.get(one, "").startswith(_HOLDS_NO) for one in ("map", "wall"))
    if name == "balancing" and "nothing was balanced" in why:
        several = report.stats.scheme.task == MULTI
        has_features = report.feature_map is not None and report.feature_map.source.startswith(f"{report.names[0]}: ")
        strategy = ("mlsmote" if several else "smote") if has_features else "ml-ros" if several else "oversample"
        split = () if "train" in report.stats.splits else ("emoprep split IN SPLIT --by dialogue --dev 0.1 --test 0.2",)
        source = "SPLIT" if split else "IN"
        return (*split, f"emoprep balance {source} OUT --strategy {strategy}", f"emoprep report {source} --compare OUT")
    if not why.startswith(_HOLDS_NO):
        return ()
    segment = ("emoprep segment IN SHARDS",) if raw else ()
    if name == "map":
        source = "IN" if report.wall is not None and report.wall.source == report.names[0] else "SHARDS"
        return (*segment, f"emoprep features {source} FEATURES", "emoprep report IN --features FEATURES")
    return (*segment, "emoprep report IN --shards SHARDS") if name == "wall" else ()
