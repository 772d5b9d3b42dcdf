"""Which of many fingerprints have words in common, and where: the pairs that are worth a comparison.

All words are sorted once. A word that very many have tells nothing of any pair, so the work grows with the number of
words and not with that of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["MOST_OWNERS", "pairs_with_equal_words"]

MOST_OWNERS = 64
"""A word that more than these have is looked at only among those of one length, or not at all."""

TRIED = 4  # shifts of a pair, those with most words first


def pairs_with_equal_words(prints: Sequence[np.ndarray], groups: Sequence[int], *, by_length: bool = False
                           ) -> Iterator[tuple[int, int, list[int]]]:
    """Yield (first, second, shifts) of fingerprints of different groups with a word in common, in order.

    `prints` are words by moment, uint64 [n] each (0 says nothing). Shifts are first's moment less second's, at most
    four, those with most words first. With `by_length`, a word that more than 64 have still counts between fingerprints
    whose lengths differ by one moment at most, unless more than 64 of them have it.

    >>> one, other = np.array([5, 6, 7, 8], np.uint64), np.array([7, 8, 9], np.uint64)
    >>> list(pairs_with_equal_words([one, other, one], [0, 1, 0]))
    [(0, 1, [2]), (1, 2, [-2])]
    """
    words, owners, moments = _sorted(prints)
    runs = _runs(words)
    crowded = runs > MOST_OWNERS
    found = [_pairs(words[~crowded], owners[~crowded], moments[~crowded], np.asarray(groups))]
    if by_length and crowded.any():
        found.append(_among_one_length(words[crowded], owners[crowded], moments[crowded], prints, np.asarray(groups)))
    first, second, shift = (np.concatenate(parts) for parts in zip(*found, strict=True))
    yield from _by_pair(first, second, shift)


def _sorted(prints: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each fingerprint's words once (where each comes first), sorted by word: words, owners, moments."""
    words = np.concatenate([np.empty(0, np.uint64), *prints])
    lengths = [len(words) for words in prints]
    owners = np.repeat(np.arange(len(prints)), lengths)
    moments = np.arange(len(words)) - np.repeat(np.cumsum([0, *lengths])[:-1], lengths)
    order = np.lexsort((owners, words))  # stable, so moments stay in order
    words, owners, moments = words[order], owners[order], moments[order]
    kept = words != 0
    kept[1:] &= (words[1:] != words[:-1]) | (owners[1:] != owners[:-1])
    return words[kept], owners[kept], moments[kept]


def _runs(words: np.ndarray) -> np.ndarray:
    """Return of each of sorted words how often it is there.

    >>> _runs(np.array([3, 3, 4])).tolist()
    [2, 2, 1]
    """
    if not len(words):
        return np.empty(0, np.int64)
    ends = np.flatnonzero(np.append(words[1:] != words[:-1], True))
    counts = np.diff(ends, prepend=-1)
    return np.repeat(counts, counts)


def _among_one_length(words, owners, moments, prints, groups):
    """Pair those of crowded words whose lengths are the same, or next to each other."""
    lengths = np.array([len(words) for words in prints])[owners]
    _, numbers = np.unique(words, return_inverse=True)
    # Each stands under its own length and under the next: two that differ by one meet once, equal ones twice.
    keys = np.concatenate([numbers * (lengths.max() + 2) + lengths, numbers * (lengths.max() + 2) + lengths + 1])
    order = np.lexsort((np.tile(owners, 2), keys))
    keys, owners, moments = keys[order], np.tile(owners, 2)[order], np.tile(moments, 2)[order]
    kept = _runs(keys) <= 2 * MOST_OWNERS
    return _pairs(keys[kept], owners[kept], moments[kept], groups)


def _pairs(words, owners, moments, groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first, second and shift of each two entries with one word, of different groups."""
    alone = _runs(words) == 1
    words, owners, moments = words[~alone], owners[~alone], moments[~alone]
    found = [(np.empty(0, np.int64),) * 3]
    for apart in range(1, 2 * MOST_OWNERS):
        at = np.flatnonzero(words[apart:] == words[:-apart])
        if not len(at):
            break
        at = at[groups[owners[at]] != groups[owners[at + apart]]]
        found.append((owners[at], owners[at + apart], moments[at] - moments[at + apart]))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def _by_pair(first: np.ndarray, second: np.ndarray, shift: np.ndarray) -> Iterator[tuple[int, int, list[int]]]:
    if not len(first):
        return
    # Owners come sorted within a word, so first < second.
    rows, votes = np.unique(np.stack([first, second, shift], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-votes, rows[:, 1], rows[:, 0]))
    rows = rows[order]
    starts = np.flatnonzero(np.append(True, (np.diff(rows[:, :2], axis=0) != 0).any(axis=1)))
    for start, stop in zip(starts, np.append(starts[1:], len(rows)), strict=True):
        yield int(rows[start, 0]), int(rows[start, 1]), rows[start:min(stop, start + TRIED), 2].tolist()
