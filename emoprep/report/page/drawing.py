"""What charts are drawn of: names that fit their place, rectangles, and the SVG around them.

Texts are escaped here; `short` cuts what is too long, and the whole of it is in the element's title.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

__all__ = ["kind_of", "length", "name_before", "px", "rect", "room", "short", "svg", "text_behind"]

SMALLEST = 0.8  # of its size is how small a drawing gets
LINE = 12
LONGEST = 200  # letters of which anything is drawn


def svg(width: float, height: float, title: str, drawn: Sequence[str]) -> str:
    """Return a drawing of this size; `title` is read out in its place."""
    # On a phone it shrinks as long as its letters can be read, and then scrolls.
    return (f'<svg role="img" viewBox="0 0 {px(width)} {px(height)}" width="{px(width)}" height="{px(height)}" '
            f'style="min-width:{px(SMALLEST * width)}px"><title>{escape(title)}</title>{"".join(drawn)}</svg>')


def kind_of(slot: int | None) -> str:
    """Return the class of style.css that colours what is of a class of the corpus, or of none."""
    return "accent" if slot is None else f"c{slot}"


def rect(kind: str, left: float, top: float, width: float, height: float) -> str:
    """Return a rectangle."""
    return f'<rect class="{kind}" x="{px(left)}" y="{px(top)}" width="{px(width)}" height="{px(height)}"/>'


def text_behind(text: str, end: float, top: float) -> str:
    """Return the text behind a bar."""
    return f'<text class="value" x="{px(end + 6)}" y="{top + 17}">{escape(text)}</text>'


def name_before(label: str, place: float, top: float) -> str:
    """Return the name before a bar, in so many px."""
    return f'<text x="{place - 8}" y="{px(top + 17)}" text-anchor="end">{short(label, place - 8)}</text>'


def px(number: float, digits: int = 1) -> str:
    """Return a coordinate in few letters.

    >>> px(12.0), px(0.25)
    ('12', '0.2')
    """
    return f"{number:.{digits}f}".rstrip("0").rstrip(".") if digits else str(round(number))


def length(text: str) -> float:
    """Return about how many px a text of 12 px takes, in the wider fonts that a browser may have.

    >>> length("lily") < length("joyy") < length("WWWW"), length("joy") < length("喜怒哀")
    (True, True)
    """
    return sum(map(_letter, text))


def _letter(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return LINE
    if letter in "fijlrt.,:;'|!()[]/ -":
        return 4.8
    if letter in "mwMW%@" or letter in "жмшщюфыЖМШЩЮФЫ":
        return 10.9
    return 8.4 if letter.isupper() or letter > "\u024f" else 7.6


def room(texts: Sequence[str], most: float) -> int:
    """Return the px that the longest of some texts takes with its margin, at most `most`."""
    return round(min(max(map(length, texts), default=0), most)) + 12


def short(text: str, place: float) -> str:
    """Return a text, escaped, that fits into `place` px, with the whole as its title where it had to be cut.

    >>> short("joy", 50), short("<b>", 50)
    ('joy', '&lt;b&gt;')
    >>> short("a very long class", 50)
    'a ver…<title>a very long class</title>'
    """
    if length(text) <= place + 2:
        return escape(text)
    cut = text[:LONGEST]
    while cut and length(cut) > place - LINE:
        cut = cut[:-1]
    return f"{escape(cut.rstrip())}…<title>{escape(text)}</title>"
