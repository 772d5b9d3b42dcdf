"""CMU-MOSEI (Bagher Zadeh et al., ACL 2018): 23,259 segments of 3,293 videos, six intensities and a sentiment each.

Its quirks, and what is done about each, stand at the foot of this file and on `docs/mosei.md`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emoprep.contracts import Corpus, Option
from emoprep.corpora.mosei.segments import (
    SCALES,
    VIDEO,
    Line,
    Segment,
    Values,
    check_values,
    join_by_number,
    join_by_time,
    mean_ratings,
    parse_ratings,
    parse_transcript,
)
from emoprep.errors import CorpusError, MissingInput
from emoprep.formats.csd import find_first, open_csd
from emoprep.labels import LabelScheme
from emoprep.utterance import SPLITS, Skip, Utterance

NAME = "mosei"
TITLE = "CMU-MOSEI: CMU Multimodal Opinion Sentiment and Emotion Intensity"
LICENCE = "Annotation as published by CMU (the SDK has an MIT licence); the videos are their owners': research use"
CITATION = """\
@inproceedings{bagherzadeh2018mosei,
  title = {Multimodal Language Analysis in the Wild: {CMU-MOSEI} Dataset and Interpretable Dynamic Fusion Graph},
  author = {Bagher Zadeh, AmirAli and Liang, Paul Pu and Poria, Soujanya and Cambria, Erik and
            Morency, Louis-Philippe},
  booktitle = {Proceedings of the 56th Annual Meeting of the Association for Computational Linguistics},
  year = {2018},
  pages = {2236--2246}
}"""

EMOTIONS = ("happy", "sad", "anger", "surprise", "disgust", "fear")

ANNOTATION = dict.fromkeys(("sentiment", *EMOTIONS), "float64")

SCHEMES = (
    LabelScheme("mosei-6", labels=EMOTIONS, columns={emotion: emotion for emotion in EMOTIONS}, above=0.0),
    # The two binary protocols of the literature: zero is not negative, or zero is left out.
    LabelScheme("mosei-2", "sentiment", ("negative", "non-negative"),
                intervals={"negative": "[-3, 0)", "non-negative": "[0, 3]"}),
    LabelScheme("mosei-2-without-neutral", "sentiment", ("negative", "positive"),
                intervals={"negative": "[-3, 0)", "positive": "(0, 3]"}),
    # Rounded to the nearest, halves to the even number, as numpy rounds and the published figures are made.
    LabelScheme("mosei-7", "sentiment", ("-3", "-2", "-1", "0", "1", "2", "3"),
                intervals={"-3": "[-3, -2.5)", "-2": "[-2.5, -1.5]", "-1": "(-1.5, -0.5)", "0": "[-0.5, 0.5]",
                           "1": "(0.5, 1.5)", "2": "[1.5, 2.5]", "3": "(2.5, 3]"}),
)

OPTIONS = {
    "no-fold": Option(("skip", "train"), "skip",
                      "what becomes of the videos that no standard fold names: skipped and counted, or put into train"),
}

PROTOCOLS = {}  # CMU-MOSEI has official folds


def recognise(source: Path) -> bool:
    """Tell whether `source` is laid out like CMU-MOSEI, or is a .csd file, by names alone."""
    if not source.is_dir():
        return source.suffix.lower() == ".csd"
    names = (*_LABELS, *(f"Labels/{name}.csv" for name in _RATINGS))
    return (any(source.glob("CMU_MOSEI_*.csd")) or any(os.path.lexists(source / place) for place in _places(names))
            or any(_folders(source, [_TRANSCRIPTS[0], _FILMS[0], _CLIPS[0]])))


def read(source: Path, options: dict[str, str]) -> Corpus:
    """Read the labels (the .csd, else the MTurk csv), join them with the transcripts, and list films and sounds.

    A file is the label .csd alone. Raises MissingInput where there are no labels, and CorpusError (file, and line
    or video) for what cannot be read, is there twice, or lies outside its scale.
    """
    no_fold, told = options.get("no-fold", OPTIONS["no-fold"].default), _Told()
    if source.is_file():
        root, words, media = source.parent, {}, _Media()
        segments = join_by_time(_read_labels(root, source, told), {}, {}, told.count)
    else:
        root, lines, ratings = source, _read_transcripts(source, told), _read_ratings(source, told)
        labels = _first(root, _LABELS, told)
        if labels is None and not ratings:
            others = sorted(path.name for path in source.glob("*.csd"))
            raise MissingInput("CMU-MOSEI's labels are missing", where=str(source), got="; ".join(others + told.notes),
                               expected=f"{_LABELS[0]}, or the MTurk csv files in Labels/",
                               remedy=f"put {_LABELS[0]} into this folder")
        segments = join_by_time(_read_labels(root, labels, told), lines, ratings, told.count) if labels else \
            join_by_number(ratings, lines, told.count)
        words, media = _read_words(root, segments, told), _list_media(root)
    folds = standard_folds()
    utterances, skips, bare = _in_order(segments, folds, words, media, no_fold)
    videos = {segment.video for segment in segments}
    _tell_folds(folds, videos, told)
    unused = [path for paths in (media.films, media.sounds) for video, path in paths.items() if video not in videos]
    return Corpus(NAME, root, tuple(utterances), tuple(skips), tuple(told.files), {"no-fold": no_fold}, tuple(bare),
                  tuple(sorted(unused)), tuple(told.notes), ANNOTATION, SCHEMES)


# --------------------------------------------------------------------------------------- what lies where

# Each below IN or IN/Raw; the first is that of the archive and of the SDK.
_LABELS = tuple(f"{folder}CMU_MOSEI_Labels.csd" for folder in ("", "labels/", "Labels/", "csd/"))
_WORDS = tuple(f"{folder}CMU_MOSEI_TimestampedWords.csd" for folder in ("", "language/", "languages/", "csd/"))
_TRANSCRIPTS = ("Transcript/Segmented/Combined", "Transcript/Segmented", "Transcript/Combined")
_FILMS = ("Videos/Full/Combined", "Videos/Full", "Videos")
_CLIPS = ("Videos/Segmented/Combined", "Videos/Segmented")
_SOUNDS = ("Audio/Full/WAV_16000", "Audio/WAV_16000", "Audio/Full", "Audio")
_COPIED = "pom_extra_sqa_mono_results"
_RATINGS = ("5000_batch_raw", "Batch_2980374_batch_results", "extreme_sentiment_results", "mosi_pom_output",
            "mturk_extra_v2", _COPIED, f"{_COPIED}_mod")


@dataclass
class _Told:
    """The annotation files that were read, as paths below the root, and what is to be told of them."""

    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, number: int, what: str) -> None:
        if number:
            self.notes.append(f"{what}: {number:,}")


def _places(names: Iterable[str]) -> list[str]:
    return [f"{base}{name}" for name in names for base in ("", "Raw/")]


def _first(root: Path, names: Iterable[str], told: _Told) -> Path | None:
    path, notes = find_first(root, _places(names))
    told.notes += notes
    return path


def _folders(root: Path, names: Iterable[str]) -> Iterator[Path]:
    return (path for base in (root, root / "Raw") for name in names if (path := base / name).is_dir())


def _files(root: Path, names: tuple[str, ...], ending: str) -> dict[str, str]:
    """Return the files of these folders by their stem, the first folder's first, as paths below the root."""
    found = {}
    for folder in _folders(root, names):
        below = folder.relative_to(root).as_posix()
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, _, kind = entry.name.rpartition(".")
                # The pattern leaves out "._" stubs; a pipe would be waited for.
                if kind == ending and VIDEO.fullmatch(stem) and entry.is_file():
                    found.setdefault(stem, f"{below}/{entry.name}")
    return dict(sorted(found.items()))


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


# ------------------------------------------------------------------------------------------ annotation

def _read_transcripts(root: Path, told: _Told) -> dict[str, dict[int, Line]]:
    """Return the lines of the transcripts by video and clip number."""
    lines: dict[str, dict[int, Line]] = {}
    for name in _files(root, _TRANSCRIPTS, "txt").values():
        told.files.append(name)
        for video, clip, line in parse_transcript(_read_text(root / name), name):
            twin = lines.setdefault(video, {}).setdefault(clip, line)
            if twin is not line:
                raise CorpusError(f"clip {clip} of {video} is there twice", where=line.where,
                                  got=f"the first in {twin.where}", remedy="remove one of the two lines")
    return lines


def _read_ratings(root: Path, told: _Told) -> dict[tuple[str, int], Values]:
    """Return the mean of each clip's raters, by video and clip number."""
    for name in _RATINGS:
        _first(root, [f"Labels/{name}.csv"], told)  # which refuses what is there and is no file
    files, raters, unfilled = _files(root, ("Labels",), "csv"), {}, 0
    for name, where in files.items():
        if name == f"{_COPIED}_mod" and _COPIED in files:
            continue  # the same rows with shorter ids, which would count twice
        if name not in _RATINGS:
            told.notes.append(f"{where} is not read: it is none of the MTurk files")
            continue
        missing, of_clips = parse_ratings(_read_text(root / where), where)
        if missing:
            told.notes.append(f"{where} is not read: it has no {', '.join(missing)}")
            continue
        told.files.append(where)
        for clip, rows in of_clips.items():
            filled = [row for row in rows if row is not None]
            unfilled += len(rows) - len(filled)
            if filled:
                raters.setdefault(clip, []).extend(filled)
    told.count(unfilled, "rows of the MTurk csv that lack an answer, and count as no rater")
    return mean_ratings(raters)


def _read_labels(root: Path, path: Path, told: _Told) -> Iterator[tuple[str, float, float, Values, str]]:
    """Yield the rows of the label .csd: video, start, end, values, and where it stands."""
    name = path.relative_to(root).as_posix()
    told.files.append(name)
    with open_csd(path) as sequence:
        told.notes += sequence.notes
        for entry in sequence.videos:
            # Aligned entries are named <video>[<row>].
            video, where = entry.partition("[")[0], f"{name}, video {entry[:110]}"
            if not VIDEO.fullmatch(video):
                raise CorpusError("this cannot be the id of a video", where=where, got=repr(entry[:110]),
                                  expected="letters, digits, '_' and '-'")
            times, features = sequence.read(entry)
            width = 1 if isinstance(features, list) else features.shape[1]
            if width != len(SCALES):
                raise CorpusError(f"{sequence.name} is no sequence of labels", where=where, got=f"{width} a row",
                                  expected=f"{len(SCALES)} values a row ({', '.join(SCALES)})",
                                  remedy="take CMU_MOSEI_Labels.csd")
            for (start, end), values in zip(times.tolist(), features.tolist(), strict=True):
                if not max(abs(start), abs(end)) < 1e6:
                    raise CorpusError("these are no times of a video", where=where, got=f"{start} to {end}")
                yield video, start, end, check_values(tuple(values), where), where


def _read_words(root: Path, segments: list[Segment], told: _Told) -> dict[str, tuple[tuple[str, float, float], ...]]:
    """Return the words of each segment, by key: those whose middle lies in it, in seconds from its start."""
    path = _first(root, _WORDS, told)
    if path is None:
        return {}
    import numpy as np

    from emoprep.methods.align import within

    where, of_video, words = path.relative_to(root).as_posix(), {}, {}
    told.files.append(where)
    for segment in segments:
        if segment.start is not None:
            of_video.setdefault(segment.video, []).append(segment)
    with open_csd(path) as sequence:
        told.notes += sequence.notes
        for video in filter(of_video.__contains__, sequence.videos):
            times, spoken = sequence.read(video)
            if not isinstance(spoken, list):
                raise CorpusError(f"{sequence.name} is no sequence of words", where=f"{where}, video {video}",
                                  expected="a word a row", got=f"{sequence.dims(video)} numbers")
            middles = (times / 2).sum(axis=1)  # halved first, so that absurd times do not overflow
            order = np.argsort(middles, kind="stable")
            order = order[[spoken[row] != "sp" for row in order.tolist()]]  # "sp" is a pause
            for segment in of_video[video]:
                begin, end = float(segment.begin), float(segment.end)
                inside = order[within(middles[order], begin, end)]
                spans = (times[inside] - begin).clip(0, end - begin).round(4).tolist()
                words[segment.key] = tuple((spoken[row], *span) for row, span in zip(inside, spans, strict=True))
    return words


# ------------------------------------------------------------------------------------------------ media

@dataclass(frozen=True)
class _Media:
    """Films and sounds of whole videos by the video's id, and clips of one segment by <video>_<clip>."""

    films: dict[str, str] = field(default_factory=dict)
    clips: dict[str, str] = field(default_factory=dict)
    sounds: dict[str, str] = field(default_factory=dict)

    def of(self, segment: Segment) -> dict[str, Any]:
        """Return what an Utterance says of its media; nothing where there are none."""
        film, clip, sound = (paths.get(name) for paths, name in (
            (self.films, segment.video), (self.clips, f"{segment.video}_{segment.clip}"), (self.sounds, segment.video)))
        if segment.start is None:  # nobody knows where it lies in the whole video
            film = sound = None
        video, audio = film or clip, sound or film or clip
        if audio is None:
            return {}
        found = {"video": video, "audio": audio}
        if of_clip := [kind for kind, path in found.items() if path and path == clip]:
            found["flags"] = ("segmented-clip",)
            if segment.start is not None:  # a clip begins where its segment does, but not before the video
                found |= {f"{kind}_shift": -segment.begin for kind in of_clip}
        return found


def _list_media(root: Path) -> _Media:
    return _Media(_files(root, _FILMS, "mp4"), _files(root, _CLIPS, "mp4"), _files(root, _SOUNDS, "wav"))


# ------------------------------------------------------------------------------------------------- folds

def standard_folds() -> dict[str, str]:
    """Return the split of each video of the standard folds; their valid is our dev."""
    folds = json.loads(Path(__file__).with_name("folds.json").read_text(encoding="utf-8"))
    return {video: split for split in SPLITS for video in folds[split]}


def _tell_folds(folds: dict[str, str], videos: set[str], told: _Told) -> None:
    for split in SPLITS:
        of_fold = [video for video, fold in folds.items() if fold == split]
        if missing := [video for video in of_fold if video not in videos]:
            named = f" ({', '.join(missing)})" if len(missing) <= 5 else ""
            told.notes.append(f"{split}: videos of the standard fold without labels here: {len(missing):,} of "
                              f"{len(of_fold):,}{named}")


def _in_order(segments: list[Segment], folds: dict[str, str], words, media: _Media, no_fold: str):
    """Return the utterances in the order of the index, the skips, and the splits that have no media at all."""
    of_split: dict[str | None, list[Segment]] = {split: [] for split in (*SPLITS, None)}
    for segment in segments:
        of_split[folds.get(segment.video, "train" if no_fold == "train" else None)].append(segment)
    utterances, skips, bare, turns, keys = [], [], [], Counter(), set()
    for split, members in of_split.items():
        members.sort(key=_place)
        found = [media.of(segment) if split else {} for segment in members]
        if split and members and not any(found):
            bare.append(split)
        else:
            skips += [Skip(segment.key, *_why_not(segment, split))
                      for segment, there in zip(members, found, strict=True) if not there]
        for segment, there in zip(members, found, strict=True):
            utterance = _utterance(segment, split, turns[segment.video], words, there)
            if utterance.key in keys:
                raise CorpusError(f"{utterance.key} is there twice", where=segment.where,
                                  remedy="remove one of the two")
            keys.add(utterance.key)
            turns[segment.video] += 1
            utterances.append(utterance)
    return utterances, skips, bare


def _place(segment: Segment) -> tuple[str, float, float, int]:
    # As floats, which are compared ten times as fast; without times, by the number.
    return segment.video, float(segment.start or 0), float(segment.end or 0), segment.clip or 0


def _utterance(segment: Segment, split: str | None, turn: int, words, media: dict[str, Any]) -> Utterance:
    key, begin = segment.key, segment.begin
    clamped = ("start-clamped",) if begin is not segment.start else ()
    return Utterance(
        key=key, corpus=NAME, split=split, dialogue=f"mosei_{segment.video}", turn=turn, speaker=segment.video,
        text=segment.text, start=begin, end=segment.end,
        seconds=None if begin is None else float(segment.end - begin),
        annotation=dict(zip(SCALES, segment.values, strict=True)), words=words.get(key, ()),
        unit=None if split else "nofold", **{**media, "flags": (*clamped, *media.get("flags", ()))})


def _why_not(segment: Segment, split: str | None) -> tuple[str, str]:
    """Return the reason and the detail of the skip of a segment that has no media."""
    if split is None:
        return "no-fold", f"no standard fold names {segment.video}"
    clip = f"{_CLIPS[0]}/{segment.video}_{segment.clip}.mp4"
    if segment.start is None:
        return "no-time", f"{segment.where}: no transcript says where it lies in its video, and there is no {clip}"
    names = (f"{_FILMS[0]}/{segment.video}.mp4", *([clip] if segment.clip is not None else []),
             f"{_SOUNDS[0]}/{segment.video}.wav")
    return "no-clip", f"{segment.where}: there is no {' and no '.join(names)}"


# Quirks
#
# - Row i of the .csd is not clip i: rows are in string order of the clip numbers ("0", "1", "10", "2"), and the
#   numbers have gaps. Rows and transcripts are joined by their times, and a key never has a row number in it.
# - 239 segments begin before their video (down to −0.4875 s): they are cut from 0, flag `start-clamped`.
# - 13,608 of 19,966 neighbours overlap, by up to 1 s, and only 1,975 videos have their rows in order of time.
# - Ids may begin with "-", hold "__", or be all digits (25522 and 255224 are two videos): they are text, compared
#   whole.
# - 3,837 videos have transcripts and 3,293 labels; 68 of these (399 segments) are in no standard fold, and two ids
#   of the test fold (7l3BNtSE0xc, dZFV0lyedX4) have no labels.
# - `pom_extra_sqa_mono_results_mod.csv` repeats `pom_extra_sqa_mono_results.csv` without the folder in its ids.
# - Some rows of the MTurk csv are not filled in.
# - LabelsSentiment and LabelsEmotions of the 2018 release are not read: public readers disagree about the order
#   of the emotions in them.
# - What P2FA's alignments look like is documented nowhere; words come from CMU_MOSEI_TimestampedWords.csd.
