"""The segments of CMU-MOSEI: the transcripts, the csv of the raters (Mechanical Turk), and how labels meet them.

The parsers take the text of a file and say in CorpusError (file and line) what of it cannot be read. Labels and
transcripts are joined by clip number where both have it, else by time. What finds no partner is counted, with
`tell(number, what)`.
"""

from __future__ import annotations

import csv
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from operator import itemgetter
from typing import NamedTuple

from emoprep.errors import CorpusError

__all__ = ["SCALES", "VIDEO", "Line", "Segment", "check_values", "join_by_number", "join_by_time", "mean_ratings",
           "parse_ratings", "parse_seconds", "parse_transcript"]

SCALES = {"sentiment": -3, "happy": 0, "sad": 0, "anger": 0, "surprise": 0, "disgust": 0, "fear": 0}
"""Where each scale begins, in the order of the features of CMU_MOSEI_Labels.csd; all end at 3."""

VIDEO = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""The id of a video: YouTube's or a number; it may begin with "-" and hold "__"."""

Values = tuple[float, ...]
Clip = tuple[str, int]
Tell = Callable[[int, str], None]

# A .csd may hold float32, which is off by 0.00003 s towards the end of a long video; the two segments of one video
# that are most alike differ by 0.22 s.
_SAME_TIME_S = 0.001

_SECONDS = re.compile(r"[+-]?\d{1,6}(?:\.\d{0,18})?(?:e-\d{1,2})?", re.ASCII)
# The shortest id whose rest fits, for an id may end in "_"; the text may hold "___".
_LINE = re.compile(rf"({VIDEO.pattern}?)___(\d{{1,9}})___({_SECONDS.pattern})___({_SECONDS.pattern})___(.*)",
                   re.ASCII | re.DOTALL)
_COLUMNS = ("Input.VIDEO_ID", "Input.CLIP", "Answer.sentiment", "Answer.happiness", "Answer.sadness", "Answer.anger",
            "Answer.surprise", "Answer.disgust", "Answer.fear")
_ANSWER = re.compile(r"-?\d(\.\d{0,18})?", re.ASCII)


class Line(NamedTuple):
    """A segment as its transcript has it; `start` and `end` are decimals for `parse_seconds`."""

    start: str
    end: str
    text: str
    where: str


class Segment(NamedTuple):
    """A labelled segment. Its times are those of the annotation, and may begin before 0; None: not known."""

    video: str
    clip: int | None
    start: Fraction | None
    end: Fraction | None
    text: str
    values: Values
    where: str

    @property
    def key(self) -> str:
        if self.clip is not None:
            return f"mosei_{self.video}_{self.clip}"
        return f"mosei_{self.video}_t{round(self.start * 10_000)}_{round(self.end * 10_000)}"

    @property
    def begin(self) -> Fraction | None:
        """Where it begins in the video, which has nothing before 0."""
        return self.start if self.start is None or self.start >= 0 else Fraction(0)


# ----------------------------------------------------------------------------------------------- parsing

def parse_seconds(text: str) -> Fraction:
    """Return the exact seconds of a transcript's decimal. Raises ValueError.

    >>> parse_seconds("7.5625"), parse_seconds("-0.4875")
    (Fraction(121, 16), Fraction(-39, 80))
    """
    if not _SECONDS.fullmatch(text):
        raise ValueError(f"{text!r} is no number of seconds")
    if "e" in text:
        return Fraction(text)
    whole, _, decimals = text.partition(".")
    return Fraction(int(whole + decimals), 10 ** len(decimals))  # Fraction(text) takes three times as long


def check_values(values: Values, where: str) -> Values:
    """Return the values of SCALES if each lies on its scale, else raise.

    >>> check_values((-3.0, 0.0, 0.0, 1.5, 3.0, 0.0, 0.0), "")
    (-3.0, 0.0, 0.0, 1.5, 3.0, 0.0, 0.0)
    """
    for (name, low), value in zip(SCALES.items(), values, strict=True):
        if not low <= value <= 3:  # nor is NaN
            raise CorpusError(f"{name} lies outside its scale", where=where, expected=f"{low} to 3", got=str(value))
    return values


def parse_transcript(text: str, where: str) -> Iterator[tuple[str, int, Line]]:
    """Yield (video, clip, line) of a transcript, `<video>___<clip>___<start>___<end>___<text>` a line.

    >>> next(parse_transcript("-aBcD_3fGh9___10___7.0125___12.3___we___", "a.txt"))
    ('-aBcD_3fGh9', 10, Line(start='7.0125', end='12.3', text='we___', where='a.txt:1'))
    """
    # Not splitlines(), which would split at U+0085 and U+2028 too.
    for number, line in enumerate(text.split("\n"), 1):
        if (line := line.removesuffix("\r")).strip():
            match = _LINE.fullmatch(line)
            if match is None:
                raise CorpusError("this line is no segment", where=f"{where}:{number}", got=repr(line[:80]),
                                  expected="<video>___<clip>___<start>___<end>___<text>", remedy="mend the line")
            video, clip, start, end, said = match.groups()
            yield video, int(clip), Line(start, end, said, f"{where}:{number}")


def parse_ratings(text: str, where: str) -> tuple[list[str], dict[Clip, list[Values | None]]]:
    """Return the columns that an MTurk csv lacks, and what its raters answered, by video and clip number.

    Answers are in the order of SCALES, None where a rater has left one out. There are none where a column is lacking.
    """
    # Lines with their ends, as csv wants them; io.StringIO would take half as long again.
    reader = csv.reader((f"{line}\n" for line in text.split("\n")), strict=True)
    try:
        header = next(reader, [])
        missing = [column for column in _COLUMNS if column not in header]
        return missing, {} if missing else _answers_of_clips(reader, header, where)
    except csv.Error as error:
        raise CorpusError("this row is no csv", where=f"{where}:{reader.line_num}", got=str(error),
                          remedy="mend the row (an open quote?)") from error


def _answers_of_clips(reader, header: list[str], where: str) -> dict[Clip, list[Values | None]]:
    clip_of, answers_of = (itemgetter(*map(header.index, columns)) for columns in (_COLUMNS[:2], _COLUMNS[2:]))
    # 70,000 rows name 23,000 clips and have some thousand answers: each is checked once.
    raters, clips, known = {}, {}, {}
    for fields in reader:
        if not fields:
            continue
        if len(fields) != len(header):
            raise CorpusError("this row has another number of fields than the header",
                              where=f"{where}:{reader.line_num}", expected=str(len(header)), got=str(len(fields)),
                              remedy="mend the row (a stray comma or quote?)")
        clip, answers = clip_of(fields), answers_of(fields)
        rows = clips.get(clip)
        if rows is None:
            rows = clips[clip] = raters.setdefault(_clip(*clip, f"{where}:{reader.line_num}"), [])
        try:
            rows.append(known[answers])
        except KeyError:
            rows.append(known.setdefault(answers, _answers(answers, f"{where}:{reader.line_num}")))
    return raters


def _clip(path: str, number: str, where: str) -> Clip:
    video = path.rpartition("/")[2]  # one of the files has a folder before the id
    if not (VIDEO.fullmatch(video) and number.isascii() and number.isdigit() and len(number) <= 9):
        raise CorpusError("this row names no clip", where=where, got=f"{path[:110]!r}, {number[:20]!r}",
                          expected="an id of letters, digits, '_' and '-', and a whole number", remedy="mend the row")
    return video, int(number)


def _answers(answers: tuple[str, ...], where: str) -> Values | None:
    if "" in answers:
        return None
    for column, answer in zip(_COLUMNS[2:], answers, strict=True):
        if not _ANSWER.fullmatch(answer):
            raise CorpusError(f"{column} cannot be read", where=where, expected="a number of its scale",
                              got=repr(answer[:20]), remedy="mend the row")
    return check_values(tuple(map(float, answers)), where)


# ----------------------------------------------------------------------------------------------- joining

def mean_ratings(raters: Mapping[Clip, Sequence[Values]]) -> dict[Clip, Values]:
    """Return the mean of each clip's raters, as float32 holds it: so do the .csd, and both give the same numbers.

    >>> mean_ratings({("a", 0): [(1.0, 0.0), (0.0, 0.0), (0.0, 3.0)]})
    {('a', 0): (0.3333333432674408, 1.0)}
    """
    means = {}
    for clip, rows in raters.items():
        values = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        means[clip] = struct.unpack(f"{len(values)}f", struct.pack(f"{len(values)}f", *values))
    return means


def join_by_number(ratings: Mapping[Clip, Values], lines: Mapping[str, Mapping[int, Line]], tell: Tell
                   ) -> list[Segment]:
    """Join the ratings with the lines of the transcripts by clip number, which both have."""
    segments, lost = [], 0
    for (video, clip), values in ratings.items():
        line = lines.get(video, {}).get(clip)
        if line is not None:
            segments.append(Segment(video, clip, *_span(line), line.text, values, line.where))
        elif video in lines:
            lost += 1
        else:
            segments.append(Segment(video, clip, None, None, "", values, f"clip {clip} of {video}"))
    tell(lost, "clips of the MTurk csv that their video's transcript does not have, and that are no utterances")
    _tell_rest(lines, segments, tell)
    return segments


def join_by_time(rows: Iterable[tuple[str, float, float, Values, str]], lines: Mapping[str, Mapping[int, Line]],
                 ratings: Mapping[Clip, Values], tell: Tell) -> list[Segment]:
    """Join label rows (video, start, end, values, where) with the lines of the transcripts by start and end.

    A row's number says nothing: rows are in string order of the clip numbers, which have gaps. `ratings` are only
    compared.
    """
    segments, lost, other = [], 0, 0
    for video, start, end, values, where in rows:
        known = lines.get(video, {})
        clip = next((clip for clip, line in known.items() if abs(float(line.start) - start) <= _SAME_TIME_S
                     and abs(float(line.end) - end) <= _SAME_TIME_S), None)
        line = known.get(clip) or Line(f"{start:.4f}", f"{end:.4f}", "", where)
        segments.append(Segment(video, clip, *_span(line), line.text, values, where))
        lost += clip is None and video in lines
        rated = ratings.get((video, clip), values)
        other += any(abs(one - two) > 1e-4 for one, two in zip(values, rated, strict=True))
    tell(lost, "segments of the label .csd that their video's transcript does not have: without text, named by times")
    tell(other, "segments with other values in the MTurk csv than in the .csd, which are taken")
    _tell_rest(lines, segments, tell)
    return segments


def _span(line: Line) -> tuple[Fraction, Fraction]:
    # As floats: a Fraction takes ten times as long to compare, and there are thousands.
    if not max(float(line.start), 0) < float(line.end):
        raise CorpusError("this segment has no length", where=line.where, got=f"{line.start} to {line.end}",
                          expected="an end after its start and after 0", remedy="mend or remove it")
    return parse_seconds(line.start), parse_seconds(line.end)


def _tell_rest(lines: Mapping[str, Mapping[int, Line]], segments: list[Segment], tell: Tell) -> None:
    clips = {(segment.video, segment.clip) for segment in segments}
    tell(sum((video, clip) not in clips for video, of_video in lines.items() for clip in of_video),
         "lines of the transcripts without labels, which are no utterances")
    tell(len({segment.video for segment in segments} - lines.keys()),
         "videos that have labels and no transcript, and so no text")
