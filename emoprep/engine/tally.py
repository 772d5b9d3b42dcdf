"""How far a run is: counted as workers tell where they are, told as plain values."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Progress", "Tally"]

WHILE_S = 60.0
"""Over how long the speed is taken: long enough to hold whole shards, short enough to follow a disk that slows down."""

STEP_S = 0.5
SPEED_AFTER_S = 1.0


@dataclass(frozen=True)
class Progress:
    """How far a run is: of `total` utterances (0: not known yet) `done`, the skipped ones among them.

    `safe` are those of finished shards. `skipped` counts by reason all that will be missing from the store, also what
    was skipped before anything was cut. `per_second` is the speed over the last minute, `seconds_left` what follows
    from it. `decoding` is the share of the workers' time that went into decoding: how near the run is to the speed of
    decoding alone.
    """

    done: int
    safe: int
    total: int
    shards: int = 0
    shards_total: int = 0
    skipped: dict[str, int] | None = None
    per_second: float | None = None
    seconds_left: float | None = None
    decoding: float | None = None


class Tally:
    """Counts what is done. Whoever works calls it; whoever shows it may ask from another thread.

    >>> now = [0.0]
    >>> tally = Tally(100, clock=lambda: now[0])
    >>> tally.before({"rows": [{}] * 19, "skips": [["meld_dev_dia0_utt1", "undecodable", "no film"]]})
    >>> now[0] = 10.0
    >>> tally(40)
    >>> told = tally.progress()
    >>> told.done, told.skipped, told.per_second, told.seconds_left
    (60, {'undecodable': 1}, 4.0, 10.0)
    """

    def __init__(self, total: int = 0, *, clock: Callable[[], float] = time.monotonic):
        self.clock, self.total, self.shards, self.shards_total = clock, total, 0, 0
        self.skipped: Counter[str] = Counter()
        self.earlier, self.finished, self.seconds, self.decoding = 0, 0, 0.0, 0.0
        self.places: dict[int, set[str]] = {}  # where the unfinished tasks have been
        self.moments = deque([(clock(), 0)])
        self.lock = threading.Lock()

    def expect(self, utterances: int, shards: int, skipped: Iterable[str] = ()) -> None:
        """Say how much there is to do, and why some of it never will be."""
        with self.lock:
            self.total, self.shards_total = utterances, shards
            self.skipped.update(skipped)

    def before(self, note: Mapping[str, Any]) -> None:
        """Count a shard that an earlier run finished: it is done, and tells nothing about the speed of this one."""
        with self.lock:
            self.earlier += self._count(note)

    def heard(self, task: int, place: str) -> None:
        """A worker is at an utterance of a task, or at the task's end (""); as `engine.run` has it."""
        with self.lock:
            if not self._counted():
                self.moments = deque([(self.clock(), 0)])  # workers that load their libraries are not slow
            # A task that is tried again comes by the same places, which count once.
            self.places.setdefault(task, set()).add(place)
            self._remember()

    def finish(self, task: int, note: Mapping[str, Any]) -> None:
        """Count a shard that was made: its rows, its skips, and how long it and its decoding took."""
        with self.lock:
            self.places.pop(task, None)
            self.finished += self._count(note)
            self.seconds += note["seconds"]
            self.decoding += note["decoding"]
            self._remember()

    def __call__(self, done: int, skipped: int = 0) -> None:
        """Count what was done at once, for runs that tell nothing in between."""
        with self.lock:
            self.finished += done + skipped
            if skipped:
                self.skipped["skipped"] += skipped
            self._remember()

    def _count(self, note: Mapping[str, Any]) -> int:
        self.shards += 1
        self.skipped.update(reason for _, reason, _ in note["skips"])
        return len(note["rows"]) + len(note["skips"])

    def _counted(self) -> int:
        """Return how many utterances this run has done: in an unfinished task those whose next place was come to."""
        return self.finished + sum(len(places) - 1 for places in self.places.values())

    def _remember(self) -> None:
        now = self.clock()
        if now - self.moments[-1][0] >= STEP_S:
            self.moments.append((now, self._counted()))
        while len(self.moments) > 1 and now - self.moments[1][0] >= WHILE_S:
            self.moments.popleft()

    def progress(self) -> Progress:
        """Return how far the run is now."""
        with self.lock:
            counted, (since, then) = self._counted(), self.moments[0]
            passed, done = self.clock() - since, self.earlier + counted
            speed = (counted - then) / passed if passed >= SPEED_AFTER_S and counted > then else None
            return Progress(
                done, self.earlier + self.finished, self.total, self.shards, self.shards_total, dict(self.skipped),
                speed,
                max(0, self.total - done) / speed if speed and self.total else None,
                self.decoding / self.seconds if self.seconds else None)
