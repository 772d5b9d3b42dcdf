"""Numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["arrow", "called", "count", "figure", "listed", "percent", "plural", "seconds", "sentence", "worded"]


def count(number: float | None, digits: int = 2) -> str:
    """Return a number with commas, a whole one without decimals; a dash where there is none.

    >>> count(4710), count(17.5746), count(14.0), count(None)
    ('4,710', '17.57', '14', '–')
    """
    if number is None:
        return "–"
    return f"{int(number):,}" if float(number).is_integer() else f"{number:,.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent; what is not nothing is not told as nothing, what is not all not as all.

    >>> percent(0.47152), percent(0), percent(1), percent(0.0002), percent(0.9999), percent(None)
    ('47.2 %', '0 %', '100 %', '<0.1 %', '>99.9 %', '–')
    """
    if share is None:
        return "–"
    least = 10.0 ** -(digits + 2)
    if share == int(share):
        return f"{int(share) * 100} %"
    if 0 < share < least / 2 or 1 - least / 2 <= share < 1:
        return f"<{100 * least:.{digits}f} %" if share < 0.5 else f">{100 * (1 - least):.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


def figure(number: float | None) -> str:
    """Return a number that may be tiny with three digits that count.

    >>> figure(0.0042931), figure(2.2e-06), figure(None)
    ('0.00429', '2.2e-06', '–')
    """
    return "–" if number is None else f"{number:.3g}"


def arrow(*values: str) -> str:
    """Return values before and after; one value where nothing changes.

    >>> arrow("17.6", "1"), arrow("7", "7")
    ('17.6 → 1', '7')
    """
    return " → ".join(dict.fromkeys(values))


def plural(number: float, one: str, several: str = "") -> str:
    """Return a number with its word.

    >>> plural(1, "finding"), plural(1740, "key"), plural(2, "dialogue has", "dialogues have")
    ('1 finding', '1,740 keys', '2 dialogues have')
    """
    return f"{count(number)} {one if number == 1 else several or one + 's'}"


def listed(parts: Sequence[str], most: int = 7, last: str = "and") -> str:
    """Return parts as a sentence has them, at most so many of them.

    >>> listed(["train"]), listed(["train", "dev", "test"]), listed(["train", "dev", "test"], last="or")
    ('train', 'train, dev and test', 'train, dev or test')
    >>> listed(["a", "b", "c", "d"], 3)
    'a, b and 2 others'
    """
    if len(parts) > most:
        parts = [*parts[:most - 1], f"{len(parts) - most + 1} others"]
    return f" {last} ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def called(label: str) -> str:
    """Return a class's name as a sentence has it: one that is a number would be read as one.

    >>> called("fear"), called("-3")
    ('fear', '“-3”')
    """
    return label if any(map(str.isalpha, label)) else f"“{label}”"


def seconds(number: float) -> str:
    """Return a length of time as a person says it.

    >>> seconds(31342.7), seconds(895.4), seconds(4.0), seconds(0.25)
    ('8.7 hours', '14.9 minutes', '4 s', '0.2 s')
    """
    if number >= 2 * 3600:
        return f"{number / 3600:.1f} hours"
    return f"{number / 60:.1f} minutes" if number >= 120 else f"{count(round(number, 1), 1)} s"


def worded(value: Any, digits: int = 9, deep: int = 3) -> str:
    """Return a value of a setting or of an annotation as a person reads it, a broken number with so many decimals.

    >>> worded(None), worded(True), worded({"k": 5, "even": False}), worded([1, "a"]), worded(1000.92), worded(2.0)
    ('none', 'yes', 'k 5, even no', '1, a', '1000.92', '2')
    >>> worded(1 / 3, 3), worded(1e-7), worded([[[[]]]])
    ('0.333', '1e-07', '…')
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.{digits}f}".rstrip("0").rstrip(".") if 1e-3 <= abs(value) < 1e9 else f"{value:g}"
    if not isinstance(value, Mapping | list | tuple):
        return str(value)
    if not deep:
        return "…"
    parts = [worded(one, digits, deep - 1) for one in (value.values() if isinstance(value, Mapping) else value)]
    return ", ".join(f"{name} {part}" for name, part in zip(value, parts, strict=True)) \
        if isinstance(value, Mapping) else ", ".join(parts)


def sentence(text: str) -> str:
    """Return a text as a sentence begins.

    >>> sentence("the whole corpus")
    'The whole corpus'
    """
    return text[:1].upper() + text[1:]
