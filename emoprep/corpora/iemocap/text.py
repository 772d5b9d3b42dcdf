"""The text files of an IEMOCAP dialogue: its evaluation, its transcription, and the alignment of a turn's words.

Each function takes the text of a file and says in CorpusError which line of it cannot be read. What is no turn at
all (a remark, a line that no annotator got to see) goes to `leave_out(what, where)`, so that it can be told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from emoprep.errors import CorpusError

__all__ = ["EMOTIONS", "Spoken", "Turn", "parse_alignment", "parse_attributes", "parse_evaluation", "parse_seconds",
           "parse_transcription", "parse_vote"]

EMOTIONS = ("neu", "hap", "sad", "ang", "exc", "fru", "sur", "fea", "dis", "oth", "xxx")
"""The codes of EmoEvaluation; `xxx` is a turn without a majority."""

LeaveOut = Callable[[str, str], None]


class Turn(NamedTuple):
    """A turn as EmoEvaluation has it: exact seconds on the dialogue's clock, means over the outside raters."""

    line: int
    start: Fraction
    end: Fraction
    emotion: str
    valence: float
    arousal: float
    dominance: float
    votes: list[str]
    attributes: list[str]


class Spoken(NamedTuple):
    """What was said in a turn, and when (exact seconds on the dialogue's clock)."""

    text: str
    start: Fraction
    end: Fraction


_SECONDS = r"(\d{1,6}\.\d{1,9})"
_MEAN = r"(\d{1,6}(?:\.\d{1,9})?)"
_HEAD = re.compile(rf"\[{_SECONDS} - {_SECONDS}\]\t([^\t]+)\t([^\t]+)\t\[{_MEAN}, {_MEAN}, {_MEAN}\]", re.ASCII)
_RATER = re.compile(r"([CA])-([EFM]\d):(.*)", re.ASCII)
_SPOKEN = re.compile(rf"(Ses\w{{1,40}}_[FM]\d{{3}}) \[{_SECONDS}-{_SECONDS}\]:(.*)", re.ASCII)
_NAME = re.compile(r"Ses\w{1,40}_[FM]\d{3}(?!\w)", re.ASCII)
_WORD = re.compile(r"\s*(\d{1,6})\s+(\d{1,6})\s+-?\d+\s+(\S+?)(?:\(\d+\))?\s*", re.ASCII)
_SILENCE = ("<s>", "</s>", "<sil>")


def _lines(text: str):
    # Not str.splitlines(), which also splits at U+0085 and other characters of a remark.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return ((number, line.rstrip()) for number, line in enumerate(lines, 1))


def _error(what: str, where: str, line: str, expected: str) -> CorpusError:
    return CorpusError(what, where=where, expected=expected, got=repr(line[:100]), remedy="mend the line")


def parse_seconds(text: str) -> Fraction:
    """Return the exact seconds of a decimal.

    >>> parse_seconds("6.2901"), parse_seconds("006.2901") == parse_seconds("6.2901")
    (Fraction(62901, 10000), True)
    """
    whole, _, part = text.partition(".")
    return Fraction(int(whole + part), 10 ** len(part))


# -------------------------------------------------------------------------------------------- evaluation

def parse_evaluation(text: str, dialogue: str, where: str, leave_out: LeaveOut) -> dict[str, Turn]:
    """Return the turns of a dialogue by name, in the file's order: all of one actor, then all of the other."""
    turns: dict[str, Turn] = {}
    turn = None
    for number, line in _lines(text):
        at = f"{where}:{number}"
        if not line or line.startswith("% [START_TIME"):
            continue
        if line.startswith("["):
            name, turn = _parse_head(line, number, dialogue, at)
            if turns.setdefault(name, turn) is not turn:
                raise CorpusError(f"{name} is there twice", where=at, got=f"the first in line {turns[name].line}",
                                  remedy="remove one of the two")
        elif (match := _RATER.fullmatch(line)) and turn:
            try:
                if match[1] == "C":
                    turn.votes.append(parse_vote(match[2], match[3]))
                else:
                    turn.attributes.append(parse_attributes(match[2], match[3]))
            except ValueError as error:
                raise _error("a rater's attributes cannot be read", at, line, str(error)) from error
        elif line.startswith(("C-", "A-")) or _NAME.search(line):
            raise _error("this line cannot be read", at, line, "a turn, or below it a line of one of its raters")
        else:
            leave_out("lines of an evaluation that are no turn's and no rater's", at)
    if not turns:
        raise CorpusError("this evaluation holds no turn", where=f"{where}:1",
                          expected="[start - end], name, emotion, [V, A, D] in a line",
                          remedy="fetch it again, or remove the file to leave the dialogue out")
    return turns


def _parse_head(line: str, number: int, dialogue: str, at: str) -> tuple[str, Turn]:
    match = _HEAD.fullmatch(line)
    if match is None:
        raise _error("this turn cannot be read", at, line, "[start - end], name, emotion, [V, A, D], tabs between them")
    first, last, name, emotion, *means = match.groups()
    if name[:-4] != f"{dialogue}_" or not _NAME.fullmatch(name):
        raise _error("this is no turn of the dialogue", at, name, f"{dialogue}_F000 and the like")
    if emotion not in EMOTIONS:
        raise _error("this emotion is not known", at, emotion, " or ".join(EMOTIONS))
    start, end = parse_seconds(first), parse_seconds(last)
    if end <= start:
        raise _error("this turn does not end after it starts", at, f"{first} - {last}", "the start, then the end")
    return name, Turn(number, start, end, emotion, *map(float, means), [], [])


@lru_cache(4096)  # 70,000 lines of raters say a few hundred different things
def parse_vote(rater: str, said: str) -> str:
    """Return what a rater said of a turn's emotion, as the column `votes` has it: "rater:word;word(remark)".

    >>> parse_vote("E1", " Excited; Happiness;  ()"), parse_vote("E2", "Other; (amused)"), parse_vote("F1", ";()")
    ('E1:Excited;Happiness', 'E2:Other(amused)', 'F1:')
    """
    words, remark = _said(said)
    return f"{rater}:{';'.join(words)}{remark}"


@lru_cache(4096)
def parse_attributes(rater: str, said: str) -> str:
    """Return a rater's numbers for a turn, as the column `attributes` has them; a digit may be missing.

    Raises ValueError for anything but val, act and dom.

    >>> parse_attributes("E3", "val 3; act 2; dom  2;   ()"), parse_attributes("F1", "val 3; act 3; dom  ;(calm)")
    ('E3:val=3,act=2,dom=2', 'F1:val=3,act=3,dom=(calm)')
    """
    parts, remark = _said(said)
    numbers = {name: number.strip() for name, _, number in (part.partition(" ") for part in parts)}
    if len(parts) != 3 or numbers.keys() != {"val", "act", "dom"} or not re.fullmatch(
            r"\d*", "".join(numbers.values()), re.ASCII):
        raise ValueError("val 3; act 2; dom 2;")
    return f"{rater}:val={numbers['val']},act={numbers['act']},dom={numbers['dom']}{remark}"


def _said(said: str) -> tuple[list[str], str]:
    """Split "this; that; (remark)"; a remark may lack its end, for IEMOCAP's stop at an apostrophe."""
    parts, _, remark = said.partition("(")
    remark = remark.strip().removesuffix(")")
    return [part.strip() for part in parts.split(";") if part.strip()], f"({remark})" if remark else ""


# ---------------------------------------------------------------------------- transcription and alignment

def parse_transcription(text: str, turns: Container[str], where: str, leave_out: LeaveOut) -> dict[str, Spoken]:
    """Return what was said in each of the `turns` that is transcribed."""
    found: dict[str, Spoken] = {}
    for number, line in _lines(text):
        at, match = f"{where}:{number}", _SPOKEN.fullmatch(line)
        if match is None:
            if _NAME.match(line):
                raise _error("this line cannot be read", at, line, "name [start-end]: text")
            if line:
                leave_out("transcribed lines without a turn's name (M:, FXX0 …)", at)
        elif match[1] not in turns:
            leave_out("transcribed turns that no evaluation has", at)
        else:
            spoken = Spoken(match[4].strip(), parse_seconds(match[2]), parse_seconds(match[3]))
            if found.setdefault(match[1], spoken) != spoken:
                raise CorpusError(f"{match[1]} is transcribed twice, and differently", where=at,
                                  remedy="remove one of the two lines")
    return found


def parse_alignment(text: str, where: str) -> tuple[tuple[str, float, float], ...]:
    """Return the (word, start, end) of an aligned turn, seconds from its start; silence is left out.

    A frame lasts 10 ms, and the last one belongs to the word; "(2)" says which pronunciation it was.

    >>> parse_alignment("	 SFrm  EFrm SegAScr Word\\n	 0 40 -9 <s>\\n	 41 72 -17 WHAT(2)\\n Total score: -26", "a")
    (('WHAT', 0.41, 0.73),)
    """
    words, whole = [], False
    for number, line in _lines(text):
        if (match := _WORD.fullmatch(line)) and (first := int(match[1])) <= (last := int(match[2])):
            if (word := match[3]) not in _SILENCE:
                words.append((word, first / 100, (last + 1) / 100))
        elif line.lstrip().startswith("Total score:"):
            whole = True
        elif line.strip() and line.split()[0] != "SFrm":
            raise _error("this line cannot be read", f"{where}:{number}", line, "first frame, last frame, score, word")
    if not whole:
        raise CorpusError("the alignment ends early", where=f"{where}:{number}", expected="Total score: … at its end",
                          remedy="unpack the file again, or remove it: alignments are optional")
    return tuple(words)
