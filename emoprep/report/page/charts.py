"""Charts as inline SVG: numbers → markup. Colours are classes of style.css, so dark mode and print recolour them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from emoprep.report.page.drawing import kind_of, length, name_before, px, rect, room, short, svg, text_behind
from emoprep.report.page.numbers import count

__all__ = ["Bar", "Box", "Change", "Stack", "bars", "boxes", "changes", "heat", "hundred", "stacks"]

WIDTH, WIDE = 300, 380  # px of a drawing beside others, and of one by itself; both can be read on a phone
ROW = 26
NAME = 150  # px that a name gets at most
TILE = 20
DARK_FROM = 0.75  # of this strength on, a cell of a heat map takes the other ink (style.css has tones to match)


class Bar(NamedTuple):
    """A class's bar: its lengths (one, or before and after), and what stands behind it."""

    label: str
    slot: int | None
    values: Sequence[float]
    text: str


class Change(NamedTuple):
    """How many a class had and has, and what stands behind its bar."""

    label: str
    slot: int | None
    before: float
    after: float
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


def bars(rows: Sequence[Bar], longest: float, title: str, texts: Sequence[str] = (), even: float | None = None) -> str:
    """Return horizontal bars on a scale from 0 to `longest`; of two values, the first is drawn as a pale one above.

    Drawings beside each other are of one scale if each knows the `texts` that stand behind the bars of all. At `even`
    stands a dashed line.

    >>> bars([Bar("joy", 2, (0.5,), "50 %")], 0.5, "shares").count("<rect")
    1
    """
    named, behind, space = _parted([row.label for row in rows], [*texts, *(row.text for row in rows)])
    drawn = []
    if even is not None and longest:
        drawn.append(f'<path class="even" d="M{px(named + space * even / longest)} 0V{len(rows) * ROW}"/>')
    for at, row in enumerate(rows):
        top = at * ROW
        drawn.append(name_before(row.label, named, top))
        high = 16 if len(row.values) == 1 else 8
        for place, value in enumerate(row.values):
            pale = " pale" if place < len(row.values) - 1 else ""
            drawn.append(rect(kind_of(row.slot) + pale, named, top + 5 + place * 8,
                              _seen(space * value / longest if longest else 0, value), high))
        drawn.append(text_behind(row.text, named + (space * max(row.values) / longest if longest else 0), top))
    return svg(named + space + behind, len(rows) * ROW, title, drawn)


def changes(rows: Sequence[Change], title: str) -> str:
    """Return bars of what was there and stayed, with what was added as a pale part and what was taken as an empty one.

    >>> drawn = changes([Change("fear", 5, 2, 8, "2 → 8"), Change("joy", 2, 9, 4, "9 → 4")], "items")
    >>> drawn.count("<rect"), drawn.count("pale"), drawn.count("gone")
    (4, 1, 1)
    """
    named, behind, space = _parted([row.label for row in rows], [row.text for row in rows])
    longest = max((max(row.before, row.after) for row in rows), default=0)
    drawn = []
    for at, row in enumerate(rows):
        top = at * ROW
        low, high = sorted((space * row.before / longest, space * row.after / longest) if longest else (0, 0))
        drawn += [name_before(row.label, named, top),
                  rect(kind_of(row.slot), named, top + 5, _seen(low, min(row.before, row.after)), 16)]
        if high > low:
            part = "pale" if row.after > row.before else "gone"
            drawn.append(rect(f"{kind_of(row.slot)} {part}", named + low, top + 5, high - low, 16))
        drawn.append(text_behind(row.text, named + high, top))
    return svg(named + space + behind, len(rows) * ROW, title, drawn)


def hundred(parts: Sequence[tuple[int, str, float]], title: str) -> str:
    """Return a hundred tiles, shared out among classes (slot, class, value) by their values, with how many each has.

    Largest remainders: a class of less than half a percent may have none.

    >>> drawn = hundred([(0, "neutral", 2), (5, "fear", 1)], "tiles")
    >>> drawn.count("h18v18"), ">67</text>" in drawn, ">33</text>" in drawn
    (100, True, True)
    """
    parts = sorted(parts, key=lambda part: -part[2])
    numbers = _shared_out([value for _, _, value in parts], 100)
    named = room([label for _, label, _ in parts], NAME - 30)
    left, drawn, at = 10 * TILE + 10, [], 0
    step = max(min(24, 10 * TILE / max(len(parts), 1)), 15)
    for row, ((slot, label, _), number) in enumerate(zip(parts, numbers, strict=True)):
        tiles = "".join(f"M{place % 10 * TILE} {place // 10 * TILE}h18v18h-18z" for place in range(at, at + number))
        top, at = row * step, at + number
        drawn.append(f'<path class="c{slot}" d="{tiles}"/>{rect(f"c{slot}", left, top + 4, 10, 10)}'
                     f'<text x="{left + 42}" y="{px(top + 14)}" text-anchor="end">{number}</text>'
                     f'<text x="{left + 48}" y="{px(top + 14)}">{short(label, named)}</text>')
    return svg(left + 48 + named, max(10 * TILE, len(parts) * step + 2), title, drawn)


def heat(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]],
         texts: Sequence[Sequence[str]], title: str, *, strongest: float = 1.0, diagonal: bool = False,
         behind: Sequence[str] = ()) -> str:
    """Return a heat map; a cell is as strong as its value from 0 to `strongest`, and has its text in it.

    A cell of None is empty. `diagonal` draws a frame around the cells of the diagonal. `behind` has a text for each
    row.

    >>> heat(["a"], ["a", "b"], [[1.0, None]], [["100", ""]], "shares").count("<rect")
    2
    """
    size, high = 38, 30
    named = room(rows, NAME)
    upright = all(length(column) <= size - 4 for column in columns)
    head = 20 if upright else round(min(max(map(length, columns), default=0), 90) * 0.72) + 14
    drawn = [_column(column, named + at * size + size / 2, head, upright) for at, column in enumerate(columns)]
    for at, label in enumerate(rows):
        top = head + at * high
        drawn.append(f'<text x="{named - 8}" y="{px(top + 19)}" text-anchor="end">{short(label, named - 8)}</text>')
        for place, (value, text) in enumerate(zip(values[at], texts[at], strict=True)):
            strength = None if value is None else min(value / strongest, 1.0) if strongest else 0.0
            drawn.append(_cell(named + place * size, top, size, high, strength, text))
            if diagonal and at == place:
                drawn.append(f'<rect class="frame" x="{named + place * size + 1}" y="{px(top + 1)}" '
                             f'width="{size - 2}" height="{high - 2}"/>')
        if behind:
            drawn.append(f'<text class="value" x="{named + len(columns) * size + 8}" y="{px(top + 19)}">'
                         f'{escape(behind[at])}</text>')
    # A slanting name of the last column needs room to the right.
    right = max(4 if upright else 40, room(behind, 70) if behind else 0)
    return svg(named + len(columns) * size + right, head + len(rows) * high + 2, title, drawn)


def stacks(rows: Sequence[Stack], title: str, wide: int = WIDE) -> str:
    """Return rows of parts that fill the width, each part with its share where there is room for it.

    >>> stacks([Stack("Joey", [(0, "neutral", 3), (2, "joy", 1)], "4")], "speakers").count("<rect")
    2
    """
    named, behind, high = room([row.label for row in rows], NAME), room([row.text for row in rows], 70), 28
    space = wide - named - behind
    drawn = []
    for at, row in enumerate(rows):
        top, left, whole = at * high, float(named), sum(part[2] for part in row.parts)
        drawn.append(name_before(row.label, named, top))
        for slot, label, value in row.parts:
            width = space * value / whole if whole else 0
            if width:
                share = f"{100 * value / whole:.0f}"
                drawn.append(f'<rect class="c{slot}" x="{px(left)}" y="{top + 3}" width="{px(max(width - 1, 0.5))}" '
                             f'height="20"><title>{escape(row.label)}, {escape(label)}: {share} % '
                             f'({count(value)})</title></rect>')
                if width > 24:
                    drawn.append(f'<text class="in i{slot}" x="{px(left + width / 2)}" y="{top + 17}">{share}</text>')
            left += width
        drawn.append(f'<text class="value" x="{wide - behind + 8}" y="{top + 17}">{escape(row.text)}</text>')
    return svg(wide, len(rows) * high, title, drawn)


def boxes(rows: Sequence[Box], longest: float, ticks: Sequence[float], title: str, wide: int = WIDE) -> str:
    """Return box plots on a scale from 0 to `longest`, with a line for each tick.

    >>> boxes([Box("joy", 2, (0.1, 1, 2, 3, 8), "2 s")], 8, [0, 4, 8], "seconds").count("<rect")
    1
    """
    named, behind = room([row.label for row in rows], NAME), room([row.text for row in rows], 90)
    space, foot = wide - named - behind - 8, len(rows) * ROW + 4

    def x(value: float) -> str:
        return px(named + space * value / longest if longest else named)
    drawn = [f'<path class="grid" d="M{x(tick)} 0V{foot}"/><text class="tick" x="{x(tick)}" y="{foot + 14}">'
             f'{tick:g}</text>' for tick in ticks]
    for at, row in enumerate(rows):
        top = at * ROW
        drawn.append(name_before(row.label, named, top))
        if row.numbers is not None:
            low, first, middle, third, high = row.numbers
            drawn.append(
                f'<path class="whisker" d="M{x(low)} {top + 13}H{x(first)}M{x(third)} {top + 13}H{x(high)}M{x(high)} '
                f'{top + 9}v8M{x(low)} {top + 9}v8"/><rect class="{kind_of(row.slot)}" x="{x(first)}" y="{top + 6}" '
                f'height="14" width="{px(space * (third - first) / longest if longest else 0)}"/>'
                # A light line below a dark one is seen on every colour, and where the box has no width.
                + "".join(f'<path class="{line}" d="M{x(middle)} {top + 4}v18"/>' for line in ("halo", "median")))
        drawn.append(f'<text class="value" x="{wide - behind + 4}" y="{top + 17}">{escape(row.text)}</text>')
    return svg(wide, foot + 20, title, drawn)


# --------------------------------------------------------------------------------------------------- their parts

def _seen(width: float, value: float) -> float:
    """Return a width that is seen, however small, where there is something."""
    return max(width, 1.5) if value else 0


def _parted(labels: Sequence[str], texts: Sequence[str]) -> tuple[float, float, float]:
    """Return the px of names, of the texts behind bars, and of the bars between them."""
    named, behind = room(labels, NAME), room(texts, 150)
    return named, behind, max(WIDTH - named - behind, 110)


def _shared_out(values: Sequence[float], whole: int) -> list[int]:
    """Return whole numbers in the proportions of values, which sum to `whole` (largest remainders).

    >>> _shared_out([4710, 1743, 1205, 1109, 683, 271, 268], 100)
    [47, 17, 12, 11, 7, 3, 3]
    """
    total = sum(values)
    shares = [whole * value / total if total else 0.0 for value in values]
    numbers = [int(share) for share in shares]
    rest = round(sum(shares)) - sum(numbers)
    for at in sorted(range(len(values)), key=lambda at: numbers[at] - shares[at])[:rest]:
        numbers[at] += 1
    return numbers


def _column(label: str, middle: float, head: float, upright: bool) -> str:
    if upright:
        return f'<text x="{px(middle)}" y="{px(head - 6)}" text-anchor="middle">{short(label, 90)}</text>'
    return f'<text transform="translate({px(middle - 4)} {px(head - 6)}) rotate(-45)">{short(label, 90)}</text>'


def _cell(left: float, top: float, wide: float, high: float, value: float | None, text: str) -> str:
    if value is None:
        return f'<rect class="none" x="{left + 1}" y="{px(top + 1)}" width="{wide - 2}" height="{high - 2}"/>'
    ink = "on" if value >= DARK_FROM else "off"
    return (f'<rect class="heat" fill-opacity="{px(value, 2)}" x="{left + 1}" y="{px(top + 1)}" width="{wide - 2}" '
            f'height="{high - 2}"/>'
            f'<text class="in {ink}" x="{px(left + wide / 2)}" y="{px(top + high / 2 + 4)}">{escape(text)}</text>')
