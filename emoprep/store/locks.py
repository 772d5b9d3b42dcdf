"""Who may be at work in a folder: one run, or several parts of one.

`lock` is held by all that are at work: by a whole run alone, by a part together with others, which also holds
`part-2-of-3`. Whoever comes goes through `door`, one at a time. All are file locks, so what a killed process held is
free at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from emoprep.errors import EmoprepError, UsageError
from emoprep.store.drafts import STATE, disk_error

__all__ = ["LOCKS", "Part", "at_the_door", "just_ended", "let_in"]

DOOR, LOCK, PART_LOCK = "door", "lock", "part-"
LOCKS = (DOOR, LOCK, PART_LOCK)
"""How the names of all locks begin."""


@dataclass(frozen=True)
class Part:
    """One of `of` runs that fill a folder together: its number, from 1, and the names of the pieces it makes."""

    number: int
    of: int
    pieces: frozenset[str]

    def __str__(self):
        return f"{self.number}/{self.of}"


@contextlib.contextmanager
def at_the_door(out: Path):
    """Wait until nobody else is coming in: parts that start together find what the first of them wrote."""
    with _locked(out, DOOR, fcntl.LOCK_EX):
        yield


def let_in(out: Path, part: Part | None, held: contextlib.ExitStack) -> bool:
    """Hold OUT until `held` ends, a part beside others; tell whether no other run is there."""
    busy = UsageError("another run is at work here", where=str(out), remedy="wait for it, or give another OUT")
    if part is None:
        held.enter_context(_locked(out, LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB, busy))
        return True
    same = UsageError("this part is at work already", where=f"{out} --part {part}", remedy="wait for it")
    held.enter_context(_locked(out, f"{PART_LOCK}{part.number}-of-{part.of}", fcntl.LOCK_EX | fcntl.LOCK_NB, same))
    try:
        with _locked(out, LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB, busy):
            alone = True
    except UsageError as error:
        if error is not busy:
            raise
        alone = False
    held.enter_context(_locked(out, LOCK, fcntl.LOCK_SH | fcntl.LOCK_NB, busy))
    return alone


@contextlib.contextmanager
def _locked(out: Path, name: str, how: int, busy: EmoprepError | None = None):
    """Hold a lock in OUT's workshop; raise `busy` where others hold it."""
    place = out / STATE / name
    try:
        # Network disks give a lock for writing only to who may write, and one for reading to who may read.
        file = place.open("a+b")
    except FileNotFoundError as error:
        raise just_ended(out) from error
    except OSError as error:
        raise disk_error(error, out) from error
    with file:
        try:
            fcntl.flock(file, how)
        except BlockingIOError as error:
            raise busy from error
        except OSError as error:
            raise EmoprepError("cannot lock this folder", where=str(out), got=error.strerror or str(error),
                               remedy="choose an OUT whose disk knows file locks") from error
        if not place.exists() or place.stat().st_ino != os.fstat(file.fileno()).st_ino:
            # It was sealed between our opening the file and locking it: the lock holds nobody off.
            raise just_ended(out)
        yield


def just_ended(out: Path) -> UsageError:
    """Return what to tell whom another run let wait and then left nothing to do."""
    return UsageError("another run has just ended here", where=str(out), remedy="run the same command again")
