"""How long a source may keep the decoder busy: a film may be made to be decoded for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from emoprep.media.reel import DecodeTimeout

__all__ = ["Watch"]

T = TypeVar("T")


class Watch:
    """Watches one pass over a source: at most `patience` seconds may go by until its next clip is complete.

    None: any time may. `decoding` counts the seconds spent in the decoder. The time does not count while whoever asked
    for the clips is busy with one.
    """

    def __init__(self, patience: float | None = None):
        self.patience, self.until, self.decoding = patience, None, 0.0
        self.renew()

    def renew(self) -> None:
        """The next clip is waited for from now on."""
        if self.patience is not None:
            self.until = time.monotonic() + self.patience

    def pause(self) -> None:
        """A clip is complete; until the next is asked for, nobody waits."""
        self.until = None

    @property
    def over(self) -> bool:
        return self.until is not None and time.monotonic() > self.until

    def check(self) -> None:
        """Raise DecodeTimeout where it took too long."""
        if self.over:
            raise DecodeTimeout(f"nothing came of it in {self.patience:g} s (--decode-timeout)")

    def timed(self, events: Iterator[T]) -> Iterator[T]:
        """Yield the events of a decoder, counting the time that it takes."""
        while True:
            begun = time.perf_counter()
            event = next(events, None)
            self.decoding += time.perf_counter() - begun
            if event is None:
                return
            yield event
