"""Pictures that no frame shows and no other picture refers to are not decoded; no bit of the rest changes."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable

from emoprep.media.decode import CannotSpare

__all__ = ["Sparing"]

# No codec keeps more pictures back than this before it shows one.
MOST_AHEAD = 100


class Sparing:
    """Tells the decoder of a film, packet by packet, whether anybody will see the picture.

    `wanted(stamp, until)` says that of a picture which stays from one stamp to another. Only pictures that are
    stored after a later one (B-frames) are spared, but not the first, which stands for the time before it. When
    the next one comes is known as soon as packets are read that are decoded after it comes on screen: nothing
    comes on screen before it is decoded.
    """

    def __init__(self, film, wanted: Callable[[int, int], bool]):
        self.film, self.wanted = film, wanted
        self.on, self.spared, self.skipping = True, False, False
        # Stamps of the pictures that were read and whose end is not known yet; where the known ones end; the
        # greatest that was read.
        self.stamps: list[int] = []
        self.known = self.newest = -math.inf
        # Packets not handed on yet, each with whether to spare it (None: not known yet), and those by their stamp.
        self.held: deque[list] = deque()
        self.waiting: dict[int, list] = {}

    def doubt(self) -> None:
        """Spare nothing any more; raise CannotSpare if something was spared already, perhaps wrongly."""
        if self.spared:
            raise CannotSpare
        self.on = False

    def packets(self, packets):
        """Yield the packets, each of the film's after the decoder was told whether its picture is wanted."""
        for packet in packets:
            if packet is not None and packet.stream is not self.film:
                yield packet
                continue
            if packet is None:  # the container broke off
                self.doubt()
            if not self.on:
                yield from self._release()
                yield packet
                continue
            self.held.append([packet, False])
            if packet.size and not packet.is_discard:
                self._read(packet)
            while self.held and (self.held[0][1] is not None or not self.on):
                yield self._told(*self.held.popleft())
        yield from self._release()

    def _read(self, packet) -> None:
        stamp = packet.pts
        if stamp is None or stamp < self.known or stamp in self.stamps or len(self.stamps) > MOST_AHEAD:
            self.doubt()
            return
        if stamp > self.newest:
            self.newest = stamp
        else:
            self.held[-1][1] = None
            self.waiting[stamp] = self.held[-1]
        bisect.insort(self.stamps, stamp)
        while packet.dts is not None and len(self.stamps) > 1 and self.stamps[1] <= packet.dts:
            begun, first, self.known = self.stamps.pop(0), self.known == -math.inf, self.stamps[0]
            if begun in self.waiting:
                self.waiting.pop(begun)[1] = not first and not self.wanted(begun, self.known)

    def _release(self):
        while self.held:
            yield self._told(*self.held.popleft())

    def _told(self, packet, spare: bool | None):
        if bool(spare) != self.skipping:
            self.skipping = not self.skipping
            self.film.codec_context.skip_frame = "NONREF" if self.skipping else "DEFAULT"
        self.spared = self.spared or self.skipping
        return packet
