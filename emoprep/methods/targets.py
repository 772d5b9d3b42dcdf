"""The `--target` grammar: how many items of each class there should be, decided before anything is drawn.

    auto  all  minority  not-minority  not-majority  majority     as imbalanced-learn's `sampling_strategy`
    0.5                                the smallest class relative to the largest, for any number of classes
    alpha=0.5                          tempering: 0 changes nothing, 1 makes all classes equal
    fear=468,disgust=471               final counts; other classes stay
    +fear=200,+disgust=200             added counts; other classes stay
    preset:cberl-table6                the counts that CBERL added (Meng et al. 2023, Table VI)
    max-multiplier=3                   a cap for each class; beside any of the above, or alone: auto, capped

What they mean, with n the count of a class, n_max the largest and n_min the smallest count of a class that
has members, for over-sampling | under-sampling:

    auto            not-majority | not-minority
    all             every class to n_max | to n_min
    not-majority    every class but the majority to n_max | to n_min
    not-minority    every class but the minority to n_max | to n_min
    minority        the minority to n_max | refused
    majority        refused | the majority to n_min
    r               max(n, ⌊r·n_max⌋) | min(n, ⌊n_min/r⌋)
    alpha=a         ⌊n^(1−a)·n_max^a + ½⌋ | ⌊n^(1−a)·n_min^a + ½⌋
    class=count     count, at least n | at most n
    +class=count    n + count | refused, as is the preset
    max-multiplier  at most ⌊m·n⌋ | at least ⌈n/m⌉

The majority (minority) is the first class with the largest (smallest) count. A class without members cannot
be made from anything: the rules leave it at 0, and asking for it by name is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from emoprep.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from emoprep.contracts import Problem

__all__ = ["PRESETS", "check_targets", "class_gaps", "decide_targets"]

PRESETS = {
    # Meng et al. 2023 (CBERL, arXiv:2312.06337), Table VI: items added to a class, for two lists of labels.
    "cberl-table6": {
        ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"):
            {"fear": 200, "disgust": 200, "sadness": 60, "anger": 60},
        ("happy", "sad", "neutral", "angry", "excited", "frustrated"):
            {"happy": 250, "sad": 120, "neutral": 80, "angry": 250, "excited": 120, "frustrated": 80},
    },
}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?|[+-]?nan|[+-]?inf(inity)?", re.ASCII | re.I)
_FORMS = ("auto, all, minority, majority, not-minority, not-majority, a ratio such as 0.5, alpha=0.5, "
          "class=count, +class=count or preset:cberl-table6, and max-multiplier=3 beside it")
_WHERE = "--target"

MOST = 10_000_000
"""Rows of one class that a target may ask for: a slip of the keyboard must not fill memory or disk."""


def decide_targets(text: str, counts: Mapping[str, int], direction: str) -> dict[str, int]:
    """Return the requested final count of every class, in the order of `counts`.

    `direction` is "over" (no class shrinks) or "under" (no class grows). Raises UsageError for a text outside
    the grammar, an unknown class, a count that goes the wrong way, and a class without members that is named.

    >>> decide_targets("alpha=0.5,max-multiplier=2", {"neutral": 100, "joy": 25, "fear": 4}, "over")
    {'neutral': 100, 'joy': 50, 'fear': 8}
    >>> decide_targets("auto", {"neutral": 100, "joy": 25, "fear": 0}, "under")
    {'neutral': 25, 'joy': 25, 'fear': 0}
    """
    if direction not in ("over", "under"):
        raise UsageError("this strategy makes and drops nothing, so it has no target", where=_WHERE,
                         got=text, remedy="leave --target out")
    parts, multiplier = _take_multiplier([part.strip() for part in text.split(",")])
    rules = [part for part in parts if "=" not in part or part.startswith("alpha=")]
    if "" in parts:
        raise _not_understood(text)
    if rules and len(parts) > 1:
        raise UsageError("two targets cannot be combined", where=_WHERE, expected="one of them",
                         got=", ".join(parts), remedy="only max-multiplier=… goes beside another target")
    named = not rules
    if named or parts[0].startswith("preset:"):
        targets = _named(parts, counts, direction) if named else _preset(parts[0], counts, direction)
        check_targets(targets, counts, direction)
    else:
        present = {label: count for label, count in counts.items() if count > 0}
        rule = _rule(parts[0], present, direction)
        targets = {label: rule(label, count) if count > 0 else 0 for label, count in counts.items()}
    return {label: _capped(target, counts[label], multiplier, direction) for label, target in targets.items()}


def check_targets(targets: Mapping[str, int], counts: Mapping[str, int], direction: str) -> None:
    """Raise UsageError unless `direction` can lead from `counts` to `targets`.

    >>> check_targets({"joy": 3, "fear": 2}, {"joy": 3, "fear": 1}, "over")
    """
    for label, target in targets.items():
        present = counts[label]
        if target > MOST:
            raise UsageError("this is more than can be made", where=_WHERE, expected=f"at most {MOST:,} of a class",
                             got=f"{label}={target}", remedy="lower the count")
        if target > 0 and present == 0:
            raise UsageError(f"{label} has no member in train, so none can be made or kept", where=_WHERE,
                             expected=f"{label}=0", got=f"{label}={target}",
                             remedy=f"leave {label} out, or choose a label scheme without it")
        if direction == "over" and target < present:
            raise UsageError(f"over-sampling takes nothing away from {label}", where=_WHERE,
                             expected=f"at least the {present} that are there", got=f"{label}={target}",
                             remedy="raise the count, or use --strategy undersample")
        if direction == "under" and target > present:
            raise UsageError(f"under-sampling adds nothing to {label}", where=_WHERE,
                             expected=f"at most the {present} that are there", got=f"{label}={target}",
                             remedy="lower the count, or use --strategy oversample")


def class_gaps(problem: Problem, direction: str) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield (class, its rows int64, how far its count is from the target) of the classes that must change.

    Classes come in the order of the labels. Raises UsageError as `check_targets` does.

    >>> import numpy as np
    >>> from emoprep.contracts import Problem
    >>> problem = Problem(("a", "b", "c"), ("d", "d", "d"), np.array([0, 1, 0]), ("x", "y"), {"x": 2, "y": 4})
    >>> list(class_gaps(problem, "over"))
    [('y', array([1]), 3)]
    """
    rows = {label: (problem.y == number).nonzero()[0] for number, label in enumerate(problem.labels)}
    # What earlier strategies of a sequence made counts, and is nobody's parent.
    there = {label: len(found) + problem.made.get(label, 0) for label, found in rows.items()}
    check_targets(problem.targets, there, direction)
    for label in problem.labels:
        gap = abs(problem.targets.get(label, there[label]) - there[label])
        if gap:
            yield label, rows[label], gap


def _not_understood(text: str) -> UsageError:
    return UsageError("this target is not understood", where=_WHERE, expected=_FORMS, got=repr(text),
                      remedy="see `emoprep balance --help`")


def _take_multiplier(parts: list[str]) -> tuple[list[str], Fraction | None]:
    """Return the parts without `max-multiplier=…` (auto if none is left), and its value."""
    caps = [part for part in parts if part.startswith("max-multiplier=")]
    if not caps:
        return parts, None
    value = _number(caps[0].partition("=")[2])
    if len(caps) > 1 or value is None or value < 1:
        raise UsageError("max-multiplier is not understood", where=_WHERE,
                         expected="max-multiplier=M once, with M of at least 1", got=", ".join(caps),
                         remedy="write for example --target auto,max-multiplier=3")
    return [part for part in parts if part not in caps] or ["auto"], value


def _capped(target: int, present: int, multiplier: Fraction | None, direction: str) -> int:
    if multiplier is None:
        return target
    if direction == "over":
        return min(target, math.floor(multiplier * present))
    return max(target, math.ceil(present / multiplier))


def _number(text: str) -> Fraction | None:
    """Return a finite decimal number exactly, else None.

    Exact, since ⌊0.29 · 100⌋ is 28 in binary floating point.
    """
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        return None
    return Fraction(text)


def _rule(text: str, present: dict[str, int], direction: str) -> Callable[[str, int], int]:
    """Return the function (class, count) → target for the forms that name no class."""
    if text.startswith("alpha="):
        return _alpha_rule(text, present, direction)
    if _NUMBER.fullmatch(text):
        return _ratio_rule(text, present, direction)
    changes = {"all": lambda label: True,
               "minority": lambda label: label == minority,
               "majority": lambda label: label == majority,
               "not-minority": lambda label: label != minority,
               "not-majority": lambda label: label != majority}
    changes["auto"] = changes["not-majority" if direction == "over" else "not-minority"]
    if text not in changes:
        raise _not_understood(text)
    if (text, direction) in (("minority", "under"), ("majority", "over")):
        raise UsageError(f"{direction}-sampling leaves the {text} as it is", where=_WHERE,
                         expected="auto, all, not-minority, not-majority or counts", got=text,
                         remedy="use auto, or the other direction's strategy")
    majority = max(present, key=present.__getitem__, default="")
    minority = min(present, key=present.__getitem__, default="")
    goal = present.get(majority if direction == "over" else minority, 0)
    return lambda label, count: goal if changes[text](label) else count


def _ratio_rule(text: str, present: dict[str, int], direction: str) -> Callable[[str, int], int]:
    ratio = _number(text)
    if ratio is None or not 0 < ratio <= 1:
        raise UsageError("this ratio of the smallest to the largest class is not possible", where=_WHERE,
                         expected="a number above 0 and at most 1", got=text,
                         remedy="write for example --target 0.5, or counts as fear=468")
    if direction == "over":
        goal = math.floor(ratio * max(present.values(), default=0))
        return lambda label, count: max(count, goal)
    goal = math.floor(min(present.values(), default=0) / ratio)
    return lambda label, count: min(count, goal)


def _alpha_rule(text: str, present: dict[str, int], direction: str) -> Callable[[str, int], int]:
    value = _number(text.partition("=")[2])
    if value is None or not 0 <= value <= 1:
        raise UsageError("this alpha is not possible", where=_WHERE, expected="alpha=A with A from 0 to 1",
                         got=text, remedy="alpha=0 changes nothing, alpha=1 makes all classes equal")
    alpha = float(value)
    clamp, extreme = (max, max) if direction == "over" else (min, min)
    goal = extreme(present.values(), default=0)
    # The clamp only takes back what the rounding of two powers may lose.
    return lambda label, count: clamp(count, math.floor(count ** (1 - alpha) * goal ** alpha + 0.5))


def _named(parts: list[str], counts: Mapping[str, int], direction: str) -> dict[str, int]:
    """Read `class=count` or `+class=count`, one of the two kinds throughout."""
    asked, added = {}, {}
    for part in parts:
        name, _, value = part.rpartition("=")
        # A class may itself be called "+1", so the whole name is looked up first.
        label = name if name in counts or not name.startswith("+") else name[1:]
        if label not in counts:
            raise UsageError("this class is not known", where=_WHERE, expected=", ".join(counts), got=label,
                             remedy="use the class names of --labels")
        if not re.fullmatch(r"[0-9]+", value):
            raise UsageError(f"the count of {label} is not understood", where=_WHERE,
                             expected="a whole number, not negative", got=value or "nothing",
                             remedy=f"write for example --target {label}=500")
        if label in asked:
            raise UsageError(f"{label} is named twice", where=_WHERE, expected="each class once",
                             got=", ".join(parts), remedy="leave one of them out")
        asked[label], added[label] = int(value), label != name
    if len(set(added.values())) > 1:
        raise UsageError("final and added counts cannot be combined", where=_WHERE,
                         expected="class=count or +class=count throughout", got=", ".join(parts),
                         remedy="write all of them with a plus, or none")
    if all(added.values()):
        return _added(asked, counts, direction, ",".join(parts))
    return {label: asked.get(label, count) for label, count in counts.items()}


def _preset(text: str, counts: Mapping[str, int], direction: str) -> dict[str, int]:
    name = text.partition(":")[2]
    if name not in PRESETS:
        raise UsageError("this preset is not known", where=_WHERE,
                         expected=" or ".join(f"preset:{known}" for known in PRESETS), got=text,
                         remedy="write the counts out as +fear=200")
    for labels, asked in PRESETS[name].items():
        if set(labels) == set(counts):
            return _added(asked, counts, direction, text)
    raise UsageError("this preset is for other classes", where=_WHERE,
                     expected=" or ".join(", ".join(labels) for labels in PRESETS[name]),
                     got=", ".join(counts), remedy="choose that label scheme, or write the counts out")


def _added(asked: Mapping[str, int], counts: Mapping[str, int], direction: str, text: str) -> dict[str, int]:
    if direction == "under":
        raise UsageError("under-sampling adds nothing", where=_WHERE, expected="final counts as neutral=1000",
                         got=text, remedy="write final counts, or use --strategy oversample")
    # Checked before adding: 0 + 5 for a class without members must name that class, not pass as 5.
    check_targets({label: counts[label] + more for label, more in asked.items()}, counts, direction)
    return {label: count + asked.get(label, 0) for label, count in counts.items()}
