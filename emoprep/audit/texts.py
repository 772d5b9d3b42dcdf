"""Texts that two splits share, line by line and as whole dialogues; and labels that contradict the sentiment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from emoprep.audit.checks import Example, Finding
from emoprep.audit.rows import Rows
from emoprep.audit.shared import Found

__all__ = ["by_split", "dialogue_text_overlap", "label_sentiment", "long_text_overlap", "text_overlap", "text_rate"]

LONG = 5  # words; shorter lines ("Oh my God!") are anybody's


def text_overlap(rows: Rows, threshold: float) -> Found:
    """Find utterances whose text is one of an earlier split, by letters, digits and inner spaces."""
    return _same_texts(rows, threshold, "text-overlap", 1)


def long_text_overlap(rows: Rows, threshold: float) -> Found:
    """Find utterances of five words or more whose text is one of an earlier split."""
    return _same_texts(rows, threshold, "long-text-overlap", LONG)


def _same_texts(rows: Rows, threshold: float, check: str, least: int) -> Found:
    plain = rows.plain
    if not any(plain):
        return "there are no texts"
    found = []
    for left, right in rows.pairs:
        where: dict[str, int] = {}
        for row in rows.members[left]:
            where.setdefault(plain[row], row)
        counted = [row for row in rows.members[right] if least == 1 or len(plain[row].split()) >= least]
        same = [row for row in counted if plain[row] and plain[row] in where]
        if same and len(same) > threshold * len(counted):
            long = sum(len(plain[row].split()) >= LONG for row in same)
            same.sort(key=lambda row: -len(plain[row].split()))
            found.append(Finding(
                check, (left, right), len(same), "utterances", len(counted), f"{long} of five words or more",
                [Example((rows.keys[where[plain[row]]], rows.keys[row]), rows.columns["text"][row]) for row in same],
                {"five_words": long}))
    return found



def dialogue_text_overlap(rows: Rows, threshold: float) -> Found:
    """Find whole dialogues with the same texts in two splits.

    They have at least `threshold` utterances, or begin at one time of one source.
    """
    plain = rows.plain
    if not any(plain):
        return "there are no texts"
    dialogues: dict[str, dict[str, list[int]]] = {split: defaultdict(list) for split in rows.members}
    for split, members in rows.members.items():
        for row in members:
            if rows.columns["op"][row] == "keep":
                dialogues[split][rows.columns["dialogue"][row]].append(row)
    found = []
    for left, right in rows.pairs:
        # The first of each kind, and no list: a corpus of a million dialogues "Yes." has that many of one kind.
        alike: dict[tuple[str, ...], str] = {}
        begun: dict[tuple, str] = {}
        for name, members in dialogues[left].items():
            said = _said(plain, members)
            alike.setdefault(said, name)
            begun.setdefault((said, _begin(rows, members)), name)
        same = []
        for name, members in dialogues[right].items():
            said, begin = _said(plain, members), _begin(rows, members)
            other = alike.get(said) if len(members) >= threshold else begun.get((said, begin)) if begin else None
            if other is not None and any(said):
                same.append((other, name, members))
        if same:
            found.append(Finding("dialogue-text-overlap", (left, right), len(same), "dialogues",
                                 len(dialogues[right]), examples=[
                                     Example((other, name), f"{len(members)} utterances")
                                     for other, name, members in same]))
    return found


def _said(plain: Sequence[str], members: Sequence[int]) -> tuple[str, ...]:
    return tuple(plain[row] for row in members)


def _begin(rows: Rows, members: Sequence[int]) -> tuple[Any, float] | None:
    """Return the source of a dialogue and where in it the first utterance begins, None where that is not known."""
    place = rows.places[members[0]]
    return place and place[:2]


# ----------------------------------------------------------------------------------- what a row says of itself

FEWEST_LETTERS = 10  # "Yes." in a tenth of a second is a cut that is too short, which is another check


def text_rate(rows: Rows, threshold: float) -> Found:
    """Find rows with more letters and digits a second than anybody can say."""
    plain = rows.plain
    if not any(plain):
        return "there are no texts"
    if not any(rows.seconds):
        return "no length is known"
    found = []
    for split, members in by_split(rows).items():
        fast = []
        for row in members:
            letters, seconds = len(plain[row].replace(" ", "")), rows.seconds[row]
            if seconds and letters >= FEWEST_LETTERS and letters > threshold * seconds:
                fast.append((letters / seconds, row))
        if fast:
            fast.sort(key=lambda one: -one[0])
            found.append(Finding("text-rate", (split,), len(fast), "utterances", len(members), examples=[
                Example((rows.keys[row],), f"{rate:.0f} letters a second in {rows.seconds[row]:.3f} s: "
                                           f"{rows.columns['text'][row]}") for rate, row in fast]))
    return found


POSITIVE = {"joy", "happy", "happiness", "hap", "exc", "excited", "excitement", "love", "amusement", "amused",
            "content", "contentment", "pride", "relief", "gratitude", "admiration", "optimism"}
NEGATIVE = {"anger", "angry", "ang", "sad", "sadness", "disgust", "disgusted", "dis", "fear", "fearful", "fea",
            "frustrated", "frustration", "fru", "contempt", "annoyance", "grief", "shame", "guilt", "disappointment"}
"""Emotions that have a sign wherever they are used; surprise has none, and nothing is said of neutral rows."""


def label_sentiment(rows: Rows, threshold: float) -> Found:
    """Find rows whose emotion is positive and whose sentiment is negative, or the other way round.

    A sentiment that is a number is positive from `threshold` on and negative from −`threshold`.
    """
    if "sentiment" not in rows.types:
        return "there is no column sentiment"
    scheme = next((scheme for scheme in (rows.scheme, *rows.schemes.values())
                   if scheme is not None and "sentiment" not in scheme.reads), None)
    if scheme is None:
        return "no label scheme names emotions"
    signs = {label: (label.lower() in POSITIVE) - (label.lower() in NEGATIVE) for label in scheme.labels}
    if not any(signs.values()):
        return "no class of the label scheme is positive or negative by itself"
    found = []
    for split, members in by_split(rows).items():
        wrong = []
        for row, label in zip(members, scheme.encode(
                [{name: rows.columns[name][row] for name in scheme.reads} for row in members]), strict=True):
            names = [] if label == scheme.outside else \
                [name for name, there in zip(scheme.labels, label, strict=True) if there] if isinstance(label, list) \
                else [scheme.labels[label]]
            sentiment = rows.columns["sentiment"][row]
            if _contradict({signs[name] for name in names} - {0}, _sign(sentiment, threshold)):
                shown = f"{sentiment:g}" if isinstance(sentiment, float) else sentiment
                wrong.append(Example((rows.keys[row],), f"{' + '.join(names)}, and sentiment {shown}"))
        if wrong:
            found.append(Finding("label-sentiment", (split,), len(wrong), "utterances", len(members), examples=wrong))
    return found


def _sign(sentiment: Any, threshold: float) -> int:
    if isinstance(sentiment, (int, float)):
        return (sentiment >= threshold) - (sentiment <= -threshold)
    return {"positive": 1, "pos": 1, "negative": -1, "neg": -1}.get(str(sentiment).lower(), 0)


def _contradict(signs: set[int], sentiment: int) -> bool:
    """Tell whether all emotions that have a sign have the other one.

    >>> _contradict({1}, -1), _contradict({1, -1}, -1), _contradict(set(), 1)
    (True, False, False)
    """
    return sentiment != 0 and signs == {-sentiment}


def by_split(rows: Rows) -> Mapping[str, Sequence[int]]:
    """Return the annotated rows of each split, those without one as "all"."""
    found: dict[str, list[int]] = {split: [] for split in rows.members}
    for row, split in enumerate(rows.splits):
        if rows.columns["op"][row] == "keep":
            found.setdefault(split or "all", []).append(row)
    return found
