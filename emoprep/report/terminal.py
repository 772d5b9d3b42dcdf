"""Where results, notes and progress go."""

from __future__ import annotations

import contextlib
import json as json_module
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Terminal", "compact", "table"]

# A table in a pipe or a log file has no terminal to fit; rich would cut it at 80 columns.
WIDTH_OFF_TERMINAL = 120


class Terminal:
    """Speaks to the user as the options --json, -q and -v ask for."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False):
        self.json, self.quiet, self.verbose = json, quiet, verbose
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)

    def document(self, data: Any) -> None:
        """Print one JSON document on stdout."""
        sys.stdout.write(json_module.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")

    def show(self, *parts: Any) -> None:
        """Print tables or lines on stdout."""
        for part in parts:
            # Text and not str: what stands in [brackets] is data, never markup.
            self.out.print(Text(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))

    def notes(self, lines: Iterable[str]) -> None:
        """Print notes on stderr, unless quiet."""
        if not self.quiet:
            for line in lines:
                self.err.print(Text(line), soft_wrap=True)

    def details(self, lines: Iterable[str]) -> None:
        """Print on stderr what only --verbose asks for."""
        if self.verbose:
            self.notes(lines)

    @contextlib.contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int, int], None]]:
        """Give a function advance(done, skipped) that moves a bar; without a terminal it does nothing."""
        if self.quiet or not self.err.is_terminal:
            yield lambda done, skipped=0: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                      TextColumn("{task.fields[skipped]}"), console=self.err, transient=True) as bar:
            task, skips = bar.add_task(title, total=total, skipped=""), 0

            def advance(done: int, skipped: int = 0) -> None:
                nonlocal skips
                skips += skipped
                bar.update(task, advance=done + skipped, skipped=f"{skips} skipped" if skips else "")
            yield advance


def _console(file) -> Console:
    console = Console(file=file, highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, markup=False, width=WIDTH_OFF_TERMINAL)
    return console


def table(title: str, *columns: str) -> Table:
    """Return an empty table: the first column to the left, numbers to the right."""
    from rich import box

    made = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        made.add_column(name, justify="left" if number == 0 else "right", no_wrap=number > 0)
    return made


def compact(number: float | None, digits: int = 2) -> str:
    """Return a number as a person reads it; a dash where there is none.

    >>> compact(4710), compact(17.5746), compact(None)
    ('4,710', '17.57', '–')
    """
    if number is None:
        return "–"
    if isinstance(number, int) or float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.{digits}f}"
