"""Utterances that are broken by themselves: too short or long, silent, clipped, frozen, black, of another length."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emoprep.audit.checks import Example, Finding
from emoprep.audit.media import Measured
from emoprep.audit.rows import Rows
from emoprep.audit.shared import Found
from emoprep.audit.texts import by_split

__all__ = ["MEDIA_CHECKS", "av_length_differs", "broken_media", "duration_differs", "too_long", "too_short"]


def too_short(rows: Rows, threshold: float) -> Found:
    """Find utterances shorter than `threshold` seconds, as cut or else as annotated."""
    return _lengths(rows, "too-short", lambda seconds: seconds < threshold, 1)


def too_long(rows: Rows, threshold: float) -> Found:
    """Find utterances longer than `threshold` seconds."""
    return _lengths(rows, "too-long", lambda seconds: seconds > threshold, -1)


def _lengths(rows: Rows, check: str, wrong: Callable[[float], bool], sign: int) -> Found:
    if all(seconds is None for seconds in rows.seconds):
        return "no length is known"
    return _per_split(rows, check, {row: (sign * seconds, f"{seconds:.3f} s") for row, seconds in
                                    enumerate(rows.seconds) if seconds is not None and wrong(seconds)})


def duration_differs(rows: Rows, threshold: float) -> Found:
    """Find samples whose length is not the annotation's, where that gives one of its own (MELD's times)."""
    if rows.kind != "shards":
        return "IN has no shards"
    both = {row: (cut, said) for row, (cut, said) in enumerate(zip(rows.seconds, rows.promised, strict=True))
            if cut is not None and said is not None}
    if not both:
        return "the annotation has no times beside those of the cut"
    return _per_split(rows, "duration-differs", {
        row: (-abs(cut - said), f"{cut:.3f} s, and its row says {said:.3f} s")
        for row, (cut, said) in both.items() if abs(cut - said) > threshold})


LATE, EARLY = "sound-starts-late", "sound-ends-early"


def av_length_differs(rows: Rows, measured: Mapping[int, Measured], threshold: float) -> Found:
    """Find samples whose sound began late or ended early in the source by more than `threshold` seconds together."""
    wrong = {}
    for row, one in measured.items():
        flags = rows.columns["flags"][row] or ()
        if one.silence is None or one.movement is None:
            continue
        lacks = [(seconds, word) for flag, seconds, word in
                 ((LATE, one.silence[0], "before"), (EARLY, one.silence[1], "after")) if flag in flags]
        if (total := sum(seconds for seconds, _ in lacks)) > threshold:
            wrong[row] = (-total, ", ".join(f"{seconds:.2f} s of silence {word} the sound" for seconds, word in lacks))
    return _per_split(rows, "av-length-differs", wrong)


MEDIA_CHECKS: Mapping[str, tuple[str, Callable[[Measured, float], str | bool]]] = {
    "silent": ("loud_db", lambda one, threshold: one.loud_db < threshold and f"{one.loud_db:.0f} dBFS"),
    "clipped": ("clipped", lambda one, threshold: one.clipped > threshold
                and f"{100 * one.clipped:.2f} % of the samples"),
    "frozen": ("still", lambda one, threshold: one.still > threshold and one.black == 0
               and f"{100 * one.still:.0f} % of the frames are the one before"),
    "black": ("black", lambda one, threshold: one.black > threshold and f"{100 * one.black:.0f} % of the frames"),
}
"""What each of these checks reads of a sample, and what it says of one that is wrong."""


def broken_media(rows: Rows, measured: Mapping[int, Measured], check: str, threshold: float) -> Found:
    """Find samples that are silent, clipped, frozen or black."""
    reads, wrong = MEDIA_CHECKS[check]
    there = {row: one for row, one in measured.items() if getattr(one, reads) is not None}
    if not there:
        return f"no utterance has {'sound' if reads in ('loud_db', 'clipped') else 'a picture'}"
    return _per_split(rows, check, {row: (0.0, told) for row, one in there.items() if (told := wrong(one, threshold))})


def _per_split(rows: Rows, check: str, wrong: Mapping[int, tuple[float, str]]) -> list[Finding]:
    """Return a finding for each split with rows that are wrong, by row: (where it stands in order, what is wrong)."""
    found = []
    for split, members in by_split(rows).items():
        there = sorted((wrong[row][0], row) for row in members if row in wrong)
        if there:
            found.append(Finding(check, (split,), len(there), "utterances", len(members), examples=[
                Example((rows.keys[row],), wrong[row][1]) for _, row in there]))
    return found
