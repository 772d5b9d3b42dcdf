"""Which utterances of two splits sound or look the same, from the fingerprints of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from emoprep.audit.checks import Example, Finding
from emoprep.audit.media import Measured
from emoprep.audit.rows import Rows
from emoprep.audit.shared import Found
from emoprep.methods.equal_words import pairs_with_equal_words
from emoprep.methods.picture_fingerprint import MIRRORED, same_movement
from emoprep.methods.sound_fingerprint import HOP_S, WINDOW_S, shift_and_error
from emoprep.utterance import SPLITS

__all__ = ["picture_duplicates", "sound_duplicates"]

LEAST_MOMENTS = 40  # words of sound: with the window of the first, 0.8 s
LEAST_SHARE = 0.5  # of the shorter one's words must be compared: a jingle inside two scenes makes them no copies


def sound_duplicates(rows: Rows, measured: Mapping[int, Measured], threshold: float) -> Found:
    """Find utterances that sound like one of an earlier split, on the whole or in the part that they share.

    `measured` is by row. `threshold` is the greatest share of bits that may differ.
    """
    heard = {row: one.sound for row, one in measured.items() if one.sound is not None and one.sound[1].any()}
    if not heard:
        return _nothing_there(rows, "sound")
    numbers = list(heard)
    # 0 says nothing, so that words are moved up by one.
    prints = [np.where(telling, words.astype(np.uint64) + np.uint64(1), np.uint64(0))
              for words, telling in heard.values()]

    def compare(first: int, second: int, shifts: Sequence[int]) -> tuple[float, str] | None:
        one, other = heard[numbers[first]], heard[numbers[second]]
        error, moments, _ = min(shift_and_error(one, other, shift) for shift in shifts)
        least = max(LEAST_MOMENTS, LEAST_SHARE * min(one[1].sum(), other[1].sum()))
        if error > threshold or moments < least:
            return None
        return -error, f"{WINDOW_S + moments * HOP_S:.1f} s, {100 * error:.0f} % of the bits differ"
    pairs = pairs_with_equal_words(prints, _groups(rows, numbers))
    return _found(rows, "sound-duplicate", numbers, pairs, compare)


def picture_duplicates(rows: Rows, measured: Mapping[int, Measured], threshold: float) -> Found:
    """Find utterances whose pictures move like those of an earlier split, also mirrored.

    Pictures that stand still are not compared. `threshold` is the least likeness.
    """
    seen = {row: one for row, one in measured.items() if one.hashes is not None and one.hashes.any()}
    if not seen:
        return _nothing_there(rows, "picture")
    numbers = list(seen)
    count = len(numbers)
    # The mirrored ones stand behind the others, as if they were utterances of their own.
    prints = [_halves(one.hashes, mirrored) for mirrored in (False, True) for one in seen.values()]

    def compare(first: int, second: int, shifts: Sequence[int]) -> tuple[float, str] | None:
        mirrored = second >= count
        one, other = seen[numbers[first]], seen[numbers[second % count]]
        likeness, _, frames = same_movement(one.movement, other.movement, mirrored)
        if likeness < threshold:
            return None
        return likeness, f"{frames} frames, likeness {likeness:.2f}{', mirrored' if mirrored else ''}"
    pairs = ((first, second, shifts) for first, second, shifts in
             pairs_with_equal_words(prints, _groups(rows, numbers) * 2, by_length=True) if first < count)
    return _found(rows, "picture-duplicate", numbers, pairs, compare)


def _halves(hashes: np.ndarray, mirrored: bool) -> np.ndarray:
    """Return two words a frame, each half of its hash: re-compression turns a bit or two, seldom in both."""
    turned = np.where(hashes == 0, 0, hashes ^ MIRRORED) if mirrored else hashes
    words = np.empty(2 * len(hashes), np.uint64)
    words[::2] = np.where(turned == 0, 0, (turned >> np.uint64(32)) | np.uint64(1 << 32))
    words[1::2] = np.where(turned == 0, 0, (turned & np.uint64(0xFFFFFFFF)) | np.uint64(2 << 32))
    return words


def _groups(rows: Rows, numbers: Sequence[int]) -> list[int]:
    """Return the split of each row as a number; utterances without a split are each on their own."""
    return [SPLITS.index(rows.splits[row]) if rows.splits[row] is not None else len(SPLITS) + row for row in numbers]


def _found(rows: Rows, check: str, numbers: Sequence[int], pairs, compare: Callable) -> list[Finding]:
    """Compare the candidates; of each later utterance the earlier one that is most like it is told."""
    best: dict[tuple[str, ...], dict[int, tuple[float, int, str]]] = defaultdict(dict)
    for first, second, shifts in pairs:
        if (told := compare(first, second, shifts)) is None:
            continue
        one, other = sorted((numbers[first], numbers[second % len(numbers)]),
                            key=lambda row: (SPLITS.index(rows.splits[row]) if rows.splits[row] else -1, row))
        splits = (rows.splits[one], rows.splits[other]) if rows.splits[one] else ("all",)
        best[splits][other] = max(best[splits].get(other, (-np.inf, 0, "")), (told[0], one, told[1]))
    of = {split: len(members) for split, members in rows.members.items()} | {"all": len(rows)}
    order = [*rows.pairs, ("all",)]
    return [Finding(check, splits, len(best[splits]), "utterances", of[splits[-1]], examples=[
        Example((rows.keys[one], rows.keys[other]), detail)
        for other, (_, one, detail) in sorted(best[splits].items(), key=lambda item: -item[1][0])])
        for splits in order if best[splits]]


def _nothing_there(rows: Rows, what: str) -> str:
    return f"no utterance has a {what} that could be compared"
