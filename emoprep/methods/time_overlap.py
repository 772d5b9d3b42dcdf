"""Which stretches of time overlap, found by sorting: the work grows with the stretches and the overlaps there are."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

__all__ = ["overlaps"]


def overlaps(places: Sequence[tuple[Hashable, float, float] | None]) -> Iterator[tuple[int, int, float]]:
    """Yield (one, other, seconds) of each two places of one source that share time; one < other.

    A place is (source, start, end) in seconds, None where it is not known; an end may be infinite. Places that
    only touch share none.

    >>> list(overlaps([("a", 0, 2), ("a", 1.5, 3), ("b", 0, 9), ("a", 2, 2.5), None]))
    [(0, 1, 0.5), (1, 3, 0.5)]
    """
    by_source: dict[Hashable, list[tuple[float, float, int]]] = defaultdict(list)
    for number, place in enumerate(places):
        if place is not None and place[2] > place[1]:
            by_source[place[0]].append((place[1], place[2], number))
    for stretches in by_source.values():
        running: list[tuple[float, int]] = []
        for start, end, number in sorted(stretches):
            while running and running[0][0] <= start:
                heapq.heappop(running)
            for other_end, other in running:
                yield min(number, other), max(number, other), min(end, other_end) - start
            heapq.heappush(running, (end, number))
