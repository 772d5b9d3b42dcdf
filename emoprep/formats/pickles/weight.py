"""What came of a pickle: only what is admitted, not nested without end, and of a size that can be walked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from emoprep.errors import CorpusError

__all__ = ["DEEPEST", "heaviest", "weigh"]

DEEPEST = 20
"""Containers within containers; the sets that people have need five."""

_ALONE = {"memoryview": "long bytes that are no array's", "Named": "a name by itself", "DtypeToBe": "a dtype by itself",
          "ArrayToBe": "an array without content"}
_NUMBERS = frozenset((type(None), bool, int, float))


def heaviest(size: int) -> int:
    """Return how many bytes a pickle of `size` bytes may amount to, where it refers to a part again and again.

    >>> heaviest(10 ** 6), heaviest(10 ** 9) - 10 ** 9
    (65048576, 2147483648)
    """
    return size + min(63 * size + 2 ** 20, 2 ** 31)


def weigh(value: Any, refused: Callable[..., CorpusError]) -> int:
    """Return how many bytes `value` amounts to for whoever walks it all.

    A list of ten references to a list of ten references … takes few bytes in a file, and no end to walk; it is
    weighed without being walked. Raises what `refused` makes for an object that is not admitted, for a container
    that holds itself, and for more than DEEPEST of them in one another.
    """
    return _weigh(value, refused, {}, set())


def _weigh(value: Any, refused, known: dict[int, int], around: set[int]) -> int:
    """`known` has the weight of each container, so that each is walked once, `around` those that this lies in."""
    kind = type(value)
    if kind in _NUMBERS:
        return 1
    if kind is str or kind is bytes:
        return 1 + len(value)
    if kind is np.ndarray and value.dtype.kind != "O":
        return 1 + value.nbytes
    if kind not in (list, tuple, dict, set, frozenset, np.ndarray):
        raise refused("this pickle is more than data", expected="numpy arrays and plain containers",
                      got=_ALONE.get(kind.__name__, kind.__name__))
    if id(value) in known:
        return known[id(value)]
    if id(value) in around or len(around) >= DEEPEST:
        raise refused("this pickle is nested too deep, or without end", expected=f"{DEEPEST} levels at most")
    around.add(id(value))
    inner = value.values() if kind is dict else value.flat if kind is np.ndarray else value
    weight = 1 + sum(1 if type(part) in _NUMBERS else _weigh(part, refused, known, around) for part in inner)
    if kind is dict:
        weight += sum(1 + len(key) if type(key) in (str, bytes) else 9 for key in value)
    around.discard(id(value))
    known[id(value)] = weight
    return weight
