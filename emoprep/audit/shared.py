"""What two splits have in common that they should not: speakers, dialogues, sessions, episodes, keys and times."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence

from emoprep.audit.checks import Example, Finding
from emoprep.audit.rows import Rows
from emoprep.methods.time_overlap import overlaps
from emoprep.utterance import SPLITS

__all__ = ["dialogue_overlap", "episode_overlap", "key_collision", "same_time", "same_time_other_label",
           "session_overlap", "speaker_overlap", "time_overlap"]

Found = list[Finding] | str
"""What a check found, or why it is not possible here."""


def key_collision(rows: Rows, threshold: float) -> Found:
    """Find keys that are the same once the split is dropped from them."""
    bare: dict[str, dict[str, str]] = {split: {} for split in rows.members}
    for split, members in rows.members.items():
        for row in _originals(rows, members):
            bare[split][_without_split(rows.keys[row], split)] = rows.keys[row]
    return [Finding("key-collision", (left, right), len(same), "keys", len(bare[right]),
                    examples=[Example((bare[left][key], bare[right][key]), f"both are {key}") for key in same])
            for left, right in rows.pairs if len(same := [key for key in bare[right] if key in bare[left]]) > threshold]


def _without_split(key: str, split: str) -> str:
    """Return a key without the split's name in it.

    >>> _without_split("meld_train_dia0_utt0", "train"), _without_split("a_train_1", "test")
    ('meld_dia0_utt0', 'a_train_1')
    """
    parts = key.split("_")
    return "_".join(parts[:at] + parts[at + 1:]) if split in parts and (at := parts.index(split)) >= 0 else key


def time_overlap(rows: Rows, threshold: float) -> Found:
    """Find utterances that share more than `threshold` seconds of their source with one of an earlier split."""
    if why := _no_places(rows):
        return why
    # Rows of one split with one place meet the same others: each place is looked at once.
    first: dict[tuple, int] = {}
    alike: dict[int, list[int]] = defaultdict(list)
    for row, place in enumerate(rows.places):
        if place is not None and rows.splits[row] is not None and _is_original(rows, row):
            alike[first.setdefault((rows.splits[row], place), row)].append(row)
    kept = list(alike)
    longest: dict[tuple[str, str], dict[int, tuple[float, int]]] = defaultdict(dict)
    for one, other, seconds in overlaps([rows.places[row] for row in kept]):
        earlier, later = sorted((kept[one], kept[other]), key=lambda row: SPLITS.index(rows.splits[row]))
        pair = rows.splits[earlier], rows.splits[later]
        if pair[0] != pair[1] and seconds > threshold:
            for row in alike[later]:
                longest[pair][row] = max(longest[pair].get(row, (0.0, 0)), (seconds, earlier))
    return [Finding("time-overlap", pair, len(longest[pair]), "utterances", len(rows.members[pair[1]]),
                    examples=[Example((rows.keys[other], rows.keys[row]),
                                      f"{_seconds(shared)} of {rows.places[row][0]}")
                              for row, (shared, other) in sorted(longest[pair].items())])
            for pair in rows.pairs if longest[pair]]


def same_time(rows: Rows, threshold: float) -> Found:
    """Find rows with one source, start and end: in one split, and between two."""
    return _same_time(rows, threshold, "same-time", lambda members: True)


def same_time_other_label(rows: Rows, threshold: float) -> Found:
    """Find rows with one source, start and end whose labels differ."""
    if rows.scheme is None:
        return "there is no label scheme"
    return _same_time(rows, threshold, "same-time-other-label",
                      lambda members: len({rows.labels[row] for row in members}) > 1)


def _same_time(rows: Rows, threshold: float, check: str, counts: Callable[[Sequence[int]], bool]) -> Found:
    if why := _no_places(rows):
        return why
    groups: dict[tuple, list[int]] = defaultdict(list)
    for row, place in enumerate(rows.places):
        if place is not None and _is_original(rows, row):
            groups[place].append(row)
    found: dict[tuple[str, ...], list[list[int]]] = defaultdict(list)
    for members in groups.values():
        by_split: dict[str | None, list[int]] = defaultdict(list)
        for row in members:
            by_split[rows.splits[row]].append(row)
        named = [split for split in SPLITS if split in by_split]
        combined = [(split,) for split in by_split] + [(left, right) for at, left in enumerate(named)
                                                       for right in named[at + 1:]]
        for splits in combined:
            some = [row for split in splits for row in by_split[split]]
            if len(some) > 1 and counts(some):
                found[tuple(split or "all" for split in splits)].append(some)
    return [Finding(check, splits, len(groups), "groups" if len(splits) == 1 else "pairs",
                    examples=[Example(tuple(rows.keys[row] for row in some), _told(rows, some)) for some in groups])
            for splits, groups in sorted(found.items(), key=lambda item: _order(item[0])) if len(groups) > threshold]


def _order(splits: Sequence[str]) -> tuple[int, list[int]]:
    return len(splits), [(*SPLITS, "all").index(split) for split in splits]


def _told(rows: Rows, members: Sequence[int]) -> str:
    source, start, end = rows.places[members[0]]
    labels = "" if rows.scheme is None else ": " + ", ".join(dict.fromkeys(map(rows.label_name, members)))
    return f"{source} {start:g} to {end:g} s{labels}"


def speaker_overlap(rows: Rows, threshold: float) -> Found:
    """Find utterances of a split whose speakers speak in an earlier one."""
    if not any(rows.columns["speaker"]):
        return "no speaker is named"
    found = []
    for left, right in rows.pairs:
        known = {rows.columns["speaker"][row] for row in rows.members[left]} - {"", None}
        heard = Counter(rows.columns["speaker"][row] for row in rows.members[right])
        same = {speaker: count for speaker, count in heard.most_common() if speaker in known}
        count, of = sum(same.values()), len(rows.members[right])
        if count > threshold * of:
            found.append(Finding(
                "speaker-overlap", (left, right), count, "utterances", of,
                f"{100 * count / of:.1f} % of {right}; {len(same)} of its {len(heard)} speakers",
                [Example((speaker,), f"{number:,} utterance{'s' * (number > 1)} of {right}")
                 for speaker, number in same.items()],
                {"share": count / of, "speakers": len(same)}))
    return found


def dialogue_overlap(rows: Rows, threshold: float) -> Found:
    """Find dialogues that lie in two splits."""
    return _groups_in_two(rows, threshold, "dialogue-overlap", "dialogues", lambda row: rows.columns["dialogue"][row])


def session_overlap(rows: Rows, threshold: float) -> Found:
    """Find sessions that lie in two splits."""
    if "session" not in rows.types:
        return "there is no column session"
    return _groups_in_two(rows, threshold, "session-overlap", "sessions", lambda row: rows.columns["session"][row])


def episode_overlap(rows: Rows, threshold: float) -> Found:
    """Find episodes that lie in two splits."""
    if "episode" not in rows.types:
        return "there is no column episode"
    episodes = rows.columns["episode"]
    if "season" not in rows.types:
        return _groups_in_two(rows, threshold, "episode-overlap", "episodes", lambda row: episodes[row])
    seasons = rows.columns["season"]
    return _groups_in_two(rows, threshold, "episode-overlap", "episodes",
                          lambda row: None if episodes[row] is None else f"S{seasons[row]}E{episodes[row]}")


def _groups_in_two(rows: Rows, threshold: float, check: str, unit: str, group: Callable[[int], Hashable]) -> Found:
    counts = {split: Counter(group(row) for row in _originals(rows, members))
              for split, members in rows.members.items()}
    for counted in counts.values():
        counted.pop(None, None)
    found = []
    for left, right in rows.pairs:
        same = [name for name in counts[right] if name in counts[left]]
        if len(same) > threshold:
            held = sum(counts[right][name] for name in same)
            found.append(Finding(
                check, (left, right), len(same), unit, len(counts[right]),
                f"with {held:,} of {len(rows.members[right]):,} utterances of {right}",
                [Example((str(name),), f"{counts[left][name]} in {left}, {counts[right][name]} in {right}")
                 for name in same], {"utterances": held}))
    return found


def _no_places(rows: Rows) -> str:
    if any(place is not None for place in rows.places):
        return ""
    if rows.store is not None:
        return "the index does not name the file of an utterance"
    return "no row has a source that is there"


def _seconds(seconds: float) -> str:
    return "all" if seconds == float("inf") else f"{seconds:.2f} s"


def _is_original(rows: Rows, row: int) -> bool:
    """Tell whether a row is annotated and not made: what was made of it is judged as `synthetic-leak`."""
    return rows.columns["op"][row] == "keep" and rows.columns["base"][row] is None


def _originals(rows: Rows, members: Sequence[int]) -> Iterator[int]:
    return (row for row in members if _is_original(rows, row))
