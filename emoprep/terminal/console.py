"""Where results, notes and progress go."""

from __future__ import annotations

import contextlib
import json as json_module
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emoprep.engine.tally import Tally

__all__ = ["Terminal", "compact", "plain", "table"]

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
        line = json_module.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"
        # Half of a surrogate pair (a path that is no UTF-8) cannot be written; its escape can.
        line = line.encode(errors="backslashreplace").decode()
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except BrokenPipeError:
            mute(sys.stdout)

    def show(self, *parts: Any) -> None:
        """Print tables or lines on stdout."""
        for part in parts:
            # Text and not str: what stands in [brackets] is data, never markup.
            self.out.print(Text(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, (str, Text)))

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
    def progress(self, title: str, total: int = 0, *, unit: str = "clips") -> Iterator[Tally]:
        """Give a tally of so many units, and show it: a bar on a terminal, else a line now and then; nothing if quiet.

        The tally is also a function advance(done, skipped) for runs that only count.
        """
        tally = Tally(total)
        if self.quiet:
            yield tally
            return
        from emoprep.terminal.progress import lines, moving_bar

        # FORCE_COLOR makes rich take a log file for a terminal; a bar that moves needs a real one.
        shown = moving_bar if self.err.is_interactive and sys.stderr.isatty() else lines
        with shown(self.err, title, tally, unit):
            yield tally


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on without a word when the reader has left (`| head`); rich would end the program, in mid-run."""
        self.quiet = True
        mute(self.file)


def mute(stream) -> None:
    """Send what is still written to a stream nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _console(file) -> Console:
    console = _Console(file=file, highlight=False, markup=False)
    if not console.is_terminal:
        console = _Console(file=file, highlight=False, markup=False, width=WIDTH_OFF_TERMINAL)
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


def plain(text: str, most: int = 160) -> str:
    """Return at most so many letters of a text that cannot steer a terminal: texts and names are a corpus's own.

    >>> plain("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    shown = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode()
                    for letter in text[:most + 1])
    return shown if len(text) <= most else shown[:most] + "…"
