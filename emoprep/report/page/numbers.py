"""Numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["arrow", "count", "figure", "listed", "percent", "plural"]


def count(number: float | None, digits: int = 2) -> str:
    """Return a number with commas, a whole one without decimals; a dash where there is none.

    >>> count(4710), count(17.5746), count(14.0), count(None)
    ('4,710', '17.57', '14', '–')
    """
    if number is None:
        return "–"
    return f"{int(number):,}" if float(number).is_integer() else f"{number:,.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent.

    >>> percent(0.47152), percent(None)
    ('47.2 %', '–')
    """
    return "–" if share is None else f"{100 * share:.{digits}f} %"


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


def listed(parts: Sequence[str]) -> str:
    """Return parts as a sentence has them.

    >>> listed(["train"]), listed(["train", "dev", "test"])
    ('train', 'train, dev and test')
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
