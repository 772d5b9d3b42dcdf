"""Which splits a section shows, and of which side of a pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emoprep.report.contents import Report
from emoprep.report.page.blocks import Block, Fold
from emoprep.stats import Comparison, Stats

__all__ = ["compared", "heading", "main_split", "named", "of_first", "other_splits", "sides", "spoken"]


def sides(report: Report) -> list[tuple[str, Stats]]:
    """Return (name, figures) of IN, and of the other where there is a pair."""
    found = report.figures
    if isinstance(found, Comparison):
        return [(found.names[0], found.before), (found.names[1], found.after)]
    return [(report.names[0] if report.names else found.corpus, found)]


def compared(report: Report) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return (split, its figures on every side) for the splits that all sides have."""
    every = [stats.splits for _, stats in sides(report)]
    return [(split, [splits[split] for splits in every]) for split in every[0]
            if all(split in splits for splits in every)]


def main_split(stats: Stats) -> str:
    """Return the split that is shown first: train, else the largest."""
    if "train" in stats.splits:
        return "train"
    return max(stats.splits, key=lambda split: stats.splits[split]["utterances"])


def of_first(report: Report) -> str:
    """Return whose figures a section shows that has no place for both sides of a pair."""
    return f"{report.names[0]}, before balancing" if len(sides(report)) > 1 else ""


def spoken(split: str) -> str:
    """Return a split as a sentence has it; a corpus that is not split is called "all" by its figures.

    >>> spoken("train"), spoken("all"), spoken("none")
    ('train', 'the whole corpus', 'what is in no split')
    """
    return {"all": "the whole corpus", "none": "what is in no split"}.get(split, split)


def named(split: str) -> str:
    """Return a split as a head or a caption has it.

    >>> named("train"), named("all"), named("none")
    ('train', 'all', 'in no split')
    """
    return "in no split" if split == "none" else split


def heading(split: str) -> str:
    """Return what a caption begins with; a corpus that is not split needs no word for it.

    >>> heading("train"), heading("all")
    ('train: ', '')
    """
    return "" if split == "all" else f"{named(split)}: "


def other_splits(stats: Stats, show: Callable[[str], Block | None]) -> list[Fold]:
    """Return folds with a block for every split that is not shown first, where there is something to show.

    On paper each would be a page more that says much the same.
    """
    shown = {split: show(split) for split in stats.splits if split != main_split(stats)}
    return [Fold(f"The same for {spoken(split)}", [block], printed=False)
            for split, block in shown.items() if block is not None]
