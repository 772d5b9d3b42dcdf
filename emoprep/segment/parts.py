"""Parts of a run (`--part 2/3`): which shards each makes, and which are missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from emoprep.errors import UsageError
from emoprep.segment.plan import SegmentPlan

__all__ = ["by_part", "part_of", "read_part", "share"]


def read_part(text: str) -> tuple[int, int]:
    """Return the number of a part, from 1, and of how many it is one.

    >>> read_part("2/3")
    (2, 3)
    """
    match = re.fullmatch(r"0*([1-9][0-9]{0,5})/0*([1-9][0-9]{0,5})", text, re.ASCII)
    if not match or int(match[1]) > int(match[2]):
        raise UsageError("cannot be read", where="--part", expected="I/N with I from 1 to N, as 2/3", got=repr(text))
    return int(match[1]), int(match[2])


def part_of(plan: SegmentPlan, part: tuple[int, int]) -> SegmentPlan:
    """Return the plan with the shards of one part only."""
    return replace(plan, tasks=share(plan.tasks, *part))


def share(names: Sequence[Any], part: int, parts: int) -> Sequence[Any]:
    """Return what the part makes: every so manieth, so that each part has its share of each split.

    >>> share("abcdefgh", 2, 3)
    'beh'
    """
    return names[part - 1::parts]


def by_part(shards: Sequence[str], missing: Collection[str], parts: int) -> dict[str, list[str]]:
    """Return which of the missing shards each part would make.

    >>> by_part(["a", "b", "c", "d"], ["b", "d"], 2)
    {'2/2': ['b', 'd']}
    """
    missing = set(missing)
    found = {f"{part}/{parts}": [name for name in share(shards, part, parts) if name in missing]
             for part in range(1, parts + 1)}
    return {part: names for part, names in found.items() if names}
