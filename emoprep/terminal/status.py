"""What `emoprep status` tells."""

from __future__ import annotations

import time
from collections.abc import Iterator

from emoprep.status import Done, Status
from emoprep.terminal.console import Terminal
from emoprep.terminal.progress import duration, reasons, speed

SILENT_S = 30.0
"""A run tells of itself every two seconds."""


def show(terminal: Terminal, status: Status) -> None:
    """Show how far a run is, and how to go on with it."""
    if terminal.json:
        terminal.document(status.to_json())
        return
    what = " ".join(part for part in (status.command, status.corpus) if part)
    terminal.show(f"{status.out}: {status.state}{f' ({what})' if what else ''}", *_lines(status))


def _lines(status: Status) -> Iterator[str]:
    segmented = status.command == "segment"
    if status.shards.done or status.shards.planned:
        kind = "shards" if segmented else "pieces"
        yield f"  {kind:<11} {_of(status.shards)}"
    if status.utterances:
        yield f"  utterances  {', '.join([_of(status.utterances), *_pace(status)])}"
    if len(status.parts) > 1:
        told = (f"{part} has {_of(done)}" for part, done in status.parts.items() if done.done < done.planned)
        yield f"  parts       {'; '.join(told) or 'all there'}"
    if status.utterances:
        yield f"  skipped     {reasons(status.skipped)}"
    if status.written is not None:
        yield f"  written     {duration(max(0.0, time.time() - status.written))} ago"
    for pid, host in status.processes:
        silent = f", silent for {duration(status.heard)}" if (status.heard or 0) > SILENT_S else ""
        yield f"  process     {pid} on {host}{silent}"
    if status.ended:
        yield f"  ended       {status.ended}"
    if status.go_on:
        yield f"  go on with  {status.go_on}"


def _pace(status: Status) -> Iterator[str]:
    if status.clips_per_second:
        yield speed(status.clips_per_second)
    if status.seconds_left:
        yield f"{duration(status.seconds_left)} left"
    if status.decoding is not None:
        yield f"decoding {status.decoding * 100:.0f} %"


def _of(done: Done) -> str:
    """Return how many of how many.

    >>> _of(Done(3, 18)), _of(Done(3))
    ('3 of 18', '3')
    """
    return f"{done.done:,}" if done.planned is None else f"{done.done:,} of {done.planned:,}"
