"""Charts as inline SVG: numbers → markup. Colours are classes of style.css, so dark mode and print recolour them.

Texts are escaped here; `_short` cuts what is too long, and the whole of it is in the element's title.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from emoprep.report.page.numbers import count

__all__ = ["Bar", "Box", "Stack", "bars", "boxes", "heat", "stacks"]

WIDTH, WIDE = 300, 460  # px of a drawing beside others, and of one by itself; both fit a phone
ROW, LINE = 26, 12
SMALLEST = 0.72  # of its size is how small a drawing gets
LETTER = 7.2  # px of a letter of 12 px, on average
DARK_FROM = 0.75  # of this strength on, a cell of a heat map takes the other ink (style.css has tones to match)


class Bar(NamedTuple):
    """A class's bar: its lengths (one, or before and after), and what stands behind it."""

    label: str
    slot: int | None
    values: Sequence[float]
    text: str


class Stack(NamedTuple):
    """A row of parts: (slot, class, value) in order, drawn as shares of their sum."""

    label: str
    parts: Sequence[tuple[int, str, float]]
    text: str


class Box(NamedTuple):
    """Five numbers of a distribution, ends of the whiskers first and last; None where there is nothing."""

    label: str
    slot: int | None
    numbers: tuple[float, float, float, float, float] | None
    text: str


def bars(rows: Sequence[Bar], longest: float, title: str, texts: Sequence[str] = ()) -> str:
    """Return horizontal bars on a scale from 0 to `longest`; of two values, the first is drawn as a pale one above.

    Drawings beside each other are of one scale if each knows the `texts` that stand behind the bars of all.

    >>> bars([Bar("joy", 2, (0.5,), "50 %")], 0.5, "shares").count("<rect")
    1
    """
    named, behind = _room([row.label for row in rows], 110), _room([*texts, *(row.text for row in rows)], 150)
    space = max(WIDTH - named - behind, 110)
    drawn = []
    for at, row in enumerate(rows):
        top = at * ROW
        drawn.append(_name(row.label, named, top))
        high = 16 if len(row.values) == 1 else 8
        for place, value in enumerate(row.values):
            kind = f"c{row.slot}" if row.slot is not None else "accent"
            pale = " pale" if place < len(row.values) - 1 else ""
            # A class that is there is seen, however small.
            drawn.append(f'<rect class="{kind}{pale}" x="{named}" y="{top + 5 + place * 8}" height="{high}" '
                         f'width="{_px(max(space * value / longest, 1.5) if value and longest else 0)}"/>')
        end = named + (space * max(row.values) / longest if longest else 0)
        drawn.append(f'<text class="value" x="{_px(end + 6)}" y="{top + 17}">{escape(row.text)}</text>')
    return _svg(named + space + behind, len(rows) * ROW, title, drawn)


def heat(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]],
         texts: Sequence[Sequence[str]], title: str, *, strongest: float = 1.0, diagonal: bool = False) -> str:
    """Return a heat map; a cell is as strong as its value from 0 to `strongest`, and has its text in it.

    A cell of None is empty. `diagonal` draws a frame around the cells of the diagonal.

    >>> heat(["a"], ["a", "b"], [[1.0, None]], [["100", ""]], "shares").count("<rect")
    2
    """
    size, high = 38, 30
    named = _room(rows, 120)
    upright = all(_length(column) <= size - 4 for column in columns)
    head = 20 if upright else min(max(map(_length, columns), default=0), 90) * 0.72 + 14
    drawn = [_column(column, named + at * size + size / 2, head, upright) for at, column in enumerate(columns)]
    for at, label in enumerate(rows):
        top = head + at * high
        drawn.append(f'<text x="{named - 8}" y="{_px(top + 19)}" text-anchor="end">{_short(label, named - 8)}</text>')
        for place, (value, text) in enumerate(zip(values[at], texts[at], strict=True)):
            strength = None if value is None else min(value / strongest, 1.0) if strongest else 0.0
            drawn.append(_cell(named + place * size, top, size, high, strength, text))
            if diagonal and at == place:
                drawn.append(f'<rect class="frame" x="{named + place * size + 1}" y="{_px(top + 1)}" '
                             f'width="{size - 2}" height="{high - 2}"/>')
    # A slanting name of the last column needs room to the right.
    right = 4 if upright else 40
    return _svg(named + len(columns) * size + right, head + len(rows) * high + 2, title, drawn)


def stacks(rows: Sequence[Stack], title: str, wide: int = WIDE) -> str:
    """Return rows of parts that fill the width, each part with its share where there is room for it.

    >>> stacks([Stack("Joey", [(0, "neutral", 3), (2, "joy", 1)], "4")], "speakers").count("<rect")
    2
    """
    named, behind, high = _room([row.label for row in rows], 130), _room([row.text for row in rows], 70), 28
    space = wide - named - behind
    drawn = []
    for at, row in enumerate(rows):
        top, left, whole = at * high, float(named), sum(part[2] for part in row.parts)
        drawn.append(_name(row.label, named, top))
        for slot, label, value in row.parts:
            width = space * value / whole if whole else 0
            if width:
                share = f"{100 * value / whole:.0f}"
                drawn.append(f'<rect class="c{slot}" x="{_px(left)}" y="{top + 3}" width="{_px(max(width - 1, 0.5))}" '
                             f'height="20"><title>{escape(row.label)}, {escape(label)}: {share} % '
                             f'({count(value)})</title></rect>')
                if width > 24:
                    drawn.append(f'<text class="in i{slot}" x="{_px(left + width / 2)}" y="{top + 17}">{share}</text>')
            left += width
        drawn.append(f'<text class="value" x="{wide - behind + 8}" y="{top + 17}">{escape(row.text)}</text>')
    return _svg(wide, len(rows) * high, title, drawn)


def boxes(rows: Sequence[Box], longest: float, ticks: Sequence[float], title: str, wide: int = WIDE) -> str:
    """Return box plots on a scale from 0 to `longest`, with a line for each tick.

    >>> boxes([Box("joy", 2, (0.1, 1, 2, 3, 8), "2 s")], 8, [0, 4, 8], "seconds").count("<rect")
    1
    """
    named, behind = _room([row.label for row in rows], 130), _room([row.text for row in rows], 90)
    space, foot = wide - named - behind - 8, len(rows) * ROW + 4

    def x(value: float) -> str:
        return _px(named + space * value / longest if longest else named)
    drawn = [f'<path class="grid" d="M{x(tick)} 0V{foot}"/><text class="tick" x="{x(tick)}" y="{foot + 14}">'
             f'{tick:g}</text>' for tick in ticks]
    for at, row in enumerate(rows):
        top = at * ROW
        drawn.append(_name(row.label, named, top))
        kind = f"c{row.slot}" if row.slot is not None else "accent"
        if row.numbers is not None:
            low, first, middle, third, high = row.numbers
            drawn.append(
                f'<path class="whisker" d="M{x(low)} {top + 13}H{x(first)}M{x(third)} {top + 13}H{x(high)}M{x(high)} '
                f'{top + 9}v8M{x(low)} {top + 9}v8"/><rect class="{kind}" x="{x(first)}" y="{top + 6}" height="14" '
                f'width="{_px(space * (third - first) / longest if longest else 0)}"/>'
                f'<path class="median" d="M{x(middle)} {top + 4}v18"/>')
        drawn.append(f'<text class="value" x="{wide - behind + 4}" y="{top + 17}">{escape(row.text)}</text>')
    return _svg(wide, foot + 20, title, drawn)


# ---------------------------------------------------------------------------------------------------- their parts

def _svg(width: float, height: float, title: str, drawn: Sequence[str]) -> str:
    # On a phone it shrinks as long as its letters can be read, and then scrolls.
    return (f'<svg role="img" viewBox="0 0 {_px(width)} {_px(height)}" width="{_px(width)}" height="{_px(height)}" '
            f'style="min-width:{_px(SMALLEST * width)}px"><title>{escape(title)}</title>{"".join(drawn)}</svg>')


def _name(label: str, room: float, top: float) -> str:
    return f'<text x="{room - 8}" y="{_px(top + 17)}" text-anchor="end">{_short(label, room - 8)}</text>'


def _column(label: str, middle: float, head: float, upright: bool) -> str:
    if upright:
        return f'<text x="{_px(middle)}" y="{_px(head - 6)}" text-anchor="middle">{_short(label, 90)}</text>'
    return f'<text transform="translate({_px(middle - 4)} {_px(head - 6)}) rotate(-45)">{_short(label, 90)}</text>'


def _cell(left: float, top: float, wide: float, high: float, value: float | None, text: str) -> str:
    if value is None:
        return f'<rect class="none" x="{left + 1}" y="{_px(top + 1)}" width="{wide - 2}" height="{high - 2}"/>'
    ink = "on" if value >= DARK_FROM else "off"
    return (f'<rect class="heat" fill-opacity="{_px(value, 2)}" x="{left + 1}" y="{_px(top + 1)}" width="{wide - 2}" '
            f'height="{high - 2}"/>'
            f'<text class="in {ink}" x="{_px(left + wide / 2)}" y="{_px(top + high / 2 + 4)}">{escape(text)}</text>')


def _px(number: float, digits: int = 1) -> str:
    """Return a coordinate in few letters.

    >>> _px(12.0), _px(0.25)
    ('12', '0.2')
    """
    return f"{number:.{digits}f}".rstrip("0").rstrip(".") if digits else str(round(number))


def _length(text: str) -> float:
    """Return about how many px a text of 12 px takes; letters of East Asia take the whole square.

    >>> _length("joy") < _length("喜怒哀")
    True
    """
    return sum(LINE if unicodedata.east_asian_width(letter) in "WF" else 0 if unicodedata.combining(letter) else LETTER
               for letter in text)


def _room(texts: Sequence[str], most: float) -> int:
    """Return the px that the longest of some texts takes with its margin, at most `most`."""
    return round(min(max(map(_length, texts), default=0), most)) + 12


def _short(text: str, room: float) -> str:
    """Return a text, escaped, that fits into `room` px, with the whole as its title where it had to be cut.

    >>> _short("joy", 50), _short("<b>", 50)
    ('joy', '&lt;b&gt;')
    >>> _short("a very long class", 50)
    'a ver…<title>a very long class</title>'
    """
    if _length(text) <= room + 2:
        return escape(text)
    cut = text
    while cut and _length(cut) > room - LETTER:
        cut = cut[:-1]
    return f"{escape(cut.rstrip())}…<title>{escape(text)}</title>"
