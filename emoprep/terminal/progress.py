"""How far a run is, as a person reads it: a bar on a terminal, now and then a line where there is none."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from emoprep.engine.tally import Progress, Tally

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["duration", "lines", "moving_bar", "one_line", "reasons", "speed"]

OFTEN_S, SELDOM_S = 5.0, 60.0


def moving_bar(console: Console, title: str, tally: Tally, unit: str):
    """Show a bar with all that is known, as long as the block lasts; then it goes."""
    from rich.live import Live

    return Live(get_renderable=lambda: _bar(title, tally.progress(), unit), console=console, transient=True,
                refresh_per_second=4)


def _bar(title: str, progress: Progress, unit: str) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(min_width=len(title))
    row.add_column(ratio=1)
    row.add_column(no_wrap=True)
    row.add_row(Text(title), ProgressBar(total=progress.total or None, completed=progress.done,
                                         pulse=not progress.total),
                Text(", ".join(_facts(progress, unit))))
    return row


@contextlib.contextmanager
def lines(console: Console, title: str, tally: Tally, unit: str) -> Iterator[None]:
    """Print a line every few seconds, later every minute, and one at the end; a run of seconds says nothing.

    The lines come from a thread: they come also while nothing is finished.
    """
    over, begun, told = threading.Event(), time.monotonic(), False

    def keep() -> None:
        nonlocal told
        while not over.wait(pause(time.monotonic() - begun)):
            _print(console, one_line(title, tally.progress(), unit))
            told = True
    thread = threading.Thread(target=keep, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if told:
            passed = duration(time.monotonic() - begun)
            _print(console, f"{one_line(title, tally.progress(), unit, ended=True)}, in {passed}")


def _print(console: Console, line: str) -> None:
    with contextlib.suppress(OSError):  # a log on a full disk does not end a run
        console.print(Text(line), soft_wrap=True)


def pause(passed: float) -> float:
    """Return after how many seconds the next line comes.

    >>> [pause(passed) for passed in (0, 20, 100, 1000)]
    [5.0, 5.0, 20.0, 60.0]
    """
    return min(SELDOM_S, max(OFTEN_S, passed / 5))


def one_line(title: str, progress: Progress, unit: str = "clips", *, ended: bool = False) -> str:
    """Return how far a run is in one line.

    >>> one_line("segment", Progress(1234, 1200, 13706, skipped={"undecodable": 3}, per_second=12.34,
    ...                              seconds_left=1011.0, decoding=0.934))
    'segment: 1,234 of 13,706 (9 %), 12.3 clips/s, 17 min left, 3 skipped, decoding 93 %'
    """
    return f"{title}: {', '.join(_facts(progress, unit, ended=ended))}"


def _facts(progress: Progress, unit: str, *, ended: bool = False) -> Iterator[str]:
    if progress.total:
        yield f"{progress.done:,} of {progress.total:,} ({progress.done * 100 // progress.total} %)"
    else:
        yield f"{progress.done:,}"
    if progress.per_second and not ended:
        yield speed(progress.per_second, unit)
    if progress.seconds_left and not ended:
        yield f"{duration(progress.seconds_left)} left"
    if skipped := sum((progress.skipped or {}).values()):
        yield f"{skipped:,} skipped"
    if progress.decoding is not None:
        yield f"decoding {progress.decoding * 100:.0f} %"


def speed(per_second: float, unit: str = "clips") -> str:
    """Return a speed with as many digits as mean something.

    >>> speed(123.4), speed(12.34), speed(0.0512)
    ('123 clips/s', '12.3 clips/s', '0.051 clips/s')
    """
    digits = 0 if per_second >= 100 else 1 if per_second >= 1 else 3
    return f"{per_second:,.{digits}f} {unit}/s"


def duration(seconds: float) -> str:
    """Return a time that passes, as a person says it.

    >>> duration(4.2), duration(1011), duration(4000), duration(200_000)
    ('4 s', '17 min', '1 h 07 min', '2 d 7 h')
    """
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def reasons(skipped: dict[str, int]) -> str:
    """Return skips by reason.

    >>> reasons({"no-clip": 3, "undecodable": 1}), reasons({})
    ('3 no-clip, 1 undecodable', 'none')
    """
    return ", ".join(f"{number:,} {reason}" for reason, number in skipped.items()) or "none"
