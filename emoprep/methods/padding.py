"""Padding becomes length: which steps of padded sequences are content.

Sets of one array [N, L, d] pad each sequence with rows of zeros, at the left or at the right. Which side is
found by looking. Only zeros are ever taken away, and only at that side: a row of zeros within a sequence (a
word during which no face was seen) stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.errors import CorpusError

__all__ = ["Padded", "content_spans", "live_steps", "padded_side", "unpad"]

AGREEMENT = 0.9
"""The share of padded sequences that must be padded at one side; the others have zeros of their own."""

_ROWS = 256  # looked at at once, so that no second array of that size is made


@dataclass(frozen=True, eq=False)
class Padded:
    """One modality of a set: an array [N, L, d] a part (a split), and in each the content of every sequence.

    `spans` are (first step, one past the last) and `present` whether there is any content, each [N] a part.
    """

    arrays: tuple[np.ndarray, ...]
    spans: tuple[tuple[np.ndarray, np.ndarray], ...]
    present: tuple[np.ndarray, ...]
    side: str | None
    clock: str

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of the modality."""
        return {"dim": self.arrays[0].shape[2], "clock": self.clock, "padded": self.side or "nowhere",
                "padded_length": self.arrays[0].shape[1]}

    def row(self, part: int, number: int) -> np.ndarray | None:
        """Return the content of one sequence, float32 [L, d]; None where all of it is zero."""
        if not self.present[part][number]:
            return None
        start, stop = (ends[number] for ends in self.spans[part])
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is then treated as such
            return np.ascontiguousarray(self.arrays[part][number, start:stop], np.float32)


def unpad(arrays: Mapping[str, Sequence[np.ndarray]], path: Path, *,
          tokens: Mapping[str, Sequence[np.ndarray]] = {}) -> tuple[dict[str, Padded], list[str]]:
    """Return each modality's content, and what is to be told. `arrays` has an array [N, L, d] a part.

    Modalities of one L that are padded at one side are in step, word by word: they share their spans and the clock
    "words"; all others have a clock of their own. `tokens`, bool [N, L] a part, says of a modality which steps are
    content where that is known otherwise. Raises CorpusError where a modality is padded at both sides.
    """
    lives = {name: tokens.get(name) or [live_steps(array) for array in parts] for name, parts in arrays.items()}
    sides = {name: padded_side(live, name, path) for name, live in lives.items()}
    steps = {parts[0].shape[1] for parts in arrays.values()}
    known, notes = {side for side in sides.values() if side}, []
    in_step = len(arrays) > 1 and len(steps) == 1 and len(known) < 2
    if in_step:
        sides = dict.fromkeys(sides, next(iter(known), None))
    elif len(arrays) > 1 and len(steps) == 1:
        notes.append("as many steps, but not in step, so each is on its own clock: "
                     + ", ".join(f"{name} padded at the {side}" for name, side in sides.items() if side))
    found = {}
    for name, parts in arrays.items():
        spans = [content_spans(np.logical_or.reduce([lives[other][part] for other in lives]) if in_step
                               else lives[name][part], sides[name]) for part in range(len(parts))]
        found[name] = Padded(tuple(parts), tuple(spans), tuple(live.any(axis=1) for live in lives[name]), sides[name],
                             "words" if in_step else "own")
    return found, notes


def live_steps(array: np.ndarray) -> np.ndarray:
    """Return which steps of [N, L, d] are not all zero, bool [N, L]. NaN is not zero.

    >>> live_steps(np.array([[[0, 0], [0, 1]], [[np.nan, 0], [0, 0]]])).tolist()
    [[False, True], [True, False]]
    """
    live = np.empty(array.shape[:2], bool)
    for start in range(0, len(array), _ROWS):
        np.any(array[start:start + _ROWS] != 0, axis=2, out=live[start:start + _ROWS])
    return live


def padded_side(lives: Sequence[np.ndarray], name: str, path: Path) -> str | None:
    """Return "left" or "right": where the sequences of all these [N, L] arrays are padded; None: none is.

    Each sequence that begins or ends with zeros counts for the side with more of them. Raises CorpusError where
    fewer than nine in ten agree.

    >>> padded_side([np.array([[False, False, True], [False, True, True], [True, True, True]])], "audio", Path("a"))
    'left'
    """
    left = right = 0
    for live in lives:
        some = live[live.any(axis=1)]
        before, after = some.argmax(axis=1), some[:, ::-1].argmax(axis=1)
        left, right = left + int((before > after).sum()), right + int((after > before).sum())
    if not left and not right:
        return None
    if max(left, right) < AGREEMENT * (left + right):
        raise CorpusError(f"{name} is padded at both sides", where=str(path),
                          expected="zeros at one side of every sequence",
                          got=f"more of them at the left in {left}, at the right in {right}",
                          remedy="pad all splits alike")
    return "left" if left > right else "right"


def content_spans(live: np.ndarray, side: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the first step and one past the last of each sequence's content, int64 [N] each; equal: there is none.

    >>> start, stop = content_spans(np.array([[False, True, False], [False, False, False]]), "left")
    >>> start.tolist(), stop.tolist()
    ([1, 0], [3, 0])
    """
    steps = live.shape[1]
    start = live.argmax(axis=1) if side == "left" else np.zeros(len(live), np.int64)
    stop = steps - live[:, ::-1].argmax(axis=1) if side == "right" else np.full(len(live), steps)
    nothing = ~live.any(axis=1)
    start[nothing] = stop[nothing] = 0
    return start, stop
