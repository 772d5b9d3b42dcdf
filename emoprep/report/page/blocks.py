"""What a section is made of: tables, figures, folds, cards. Each names the template that shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from emoprep.report.page.numbers import count, percent

__all__ = ["Block", "Card", "Cards", "Cell", "Column", "Figure", "Fold", "Panel", "Partial", "Prose", "Section",
           "Table", "class_cell", "count_cell", "percent_cell", "text_cell"]


@dataclass(frozen=True)
class Section:
    """A part of the page: `id` is its anchor, `short` its name in the navigation, `lead` what it says in a sentence.

    `of` says whose figures these are, where that is in doubt; `says` is for the head of the page.
    """

    id: str
    title: str
    short: str
    lead: str
    blocks: Sequence[Block]
    of: str = ""
    says: str = ""


class Column(NamedTuple):
    """A column of a table; `number` columns are set to the right, sort as numbers and stay numbers in CSV."""

    name: str
    number: bool = True


class Cell(NamedTuple):
    """What a cell shows, and `raw`, what it sorts by and has in CSV; `slot` is a class's colour beside a name."""

    shown: str
    raw: str
    slot: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows under columns; the first cell of a row names it. `caption` also names the table for a screen reader."""

    template: ClassVar[str] = "table.html"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


class Panel(NamedTuple):
    """One drawing of a figure, under a name of its own where there are several; `svg` is markup of charts.py.

    `bars` may grow and shrink with the page; a heat map stays as it is, and scrolls where it is too wide.
    """

    name: str
    svg: str
    bars: bool = False


@dataclass(frozen=True)
class Figure:
    """Drawings and the table of their numbers, which opens below them; `legend` explains marks by class slot or name.

    `wide` drawings take the whole width; others stand side by side.
    """

    template: ClassVar[str] = "figure.html"
    caption: str
    panels: Sequence[Panel]
    numbers: Sequence[Table]
    legend: Sequence[tuple[str, str]] = ()
    wide: bool = False


@dataclass(frozen=True)
class Fold:
    """Blocks that open on request; on paper all are open that are `printed`, and what was opened before."""

    template: ClassVar[str] = "fold.html"
    title: str
    blocks: Sequence[Block]
    printed: bool = True


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    template: ClassVar[str] = "prose.html"
    text: str


class Card(NamedTuple):
    """A number to see at a glance; `link` is the anchor of the section that explains it."""

    name: str
    value: str
    note: str
    link: str


@dataclass(frozen=True)
class Cards:
    """A row of cards."""

    template: ClassVar[str] = "cards.html"
    cards: Sequence[Card]


@dataclass(frozen=True)
class Partial:
    """A block that only one section has, with a template of its own, which sees `data`."""

    template: str
    data: Mapping[str, Any]


Block = Table | Figure | Fold | Prose | Cards | Partial


# ----------------------------------------------------------------------------------------------------- cells

def count_cell(number: float | None, digits: int = 2) -> Cell:
    """Return the cell of a number.

    >>> count_cell(4710), count_cell(17.5746268657)[:2], count_cell(None)[:2]
    (Cell(shown='4,710', raw='4710', slot=None), ('17.57', '17.57462687'), ('–', ''))
    """
    return Cell(count(number, digits), _raw(number))


def percent_cell(share: float | None, digits: int = 1) -> Cell:
    """Return the cell of a share, shown in percent; its CSV has the share itself.

    >>> percent_cell(0.4715186705)[:2]
    ('47.2 %', '0.4715186705')
    """
    return Cell(percent(share, digits), _raw(share))


def text_cell(text: str) -> Cell:
    """Return the cell of a text."""
    return Cell(text, text)


def class_cell(label: str, slot: int | None) -> Cell:
    """Return the cell of a class with its colour."""
    return Cell(label, label, slot)


def _raw(number: float | None) -> str:
    return "" if number is None else str(number) if isinstance(number, int) else f"{number:.10g}"
