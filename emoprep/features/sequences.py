"""Computational sequences (.csd) → features: aligned to words as the CMU-MultimodalSDK does, or on their own clocks.

`docs/sequences.md` states every rule. One video is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from emoprep.contracts import Corpus, Processed
from emoprep.corpora import annotation_digests, open_corpus
from emoprep.errors import CorpusError, MissingInput, UsageError
from emoprep.features.bring import BringPlan, make_plan
from emoprep.formats import csd
from emoprep.methods.align import in_time_order, overlapping, span_means, steady_rate, within
from emoprep.utterance import Utterance

__all__ = ["ALIGNMENTS", "find_sequences", "plan_sequences", "read_sequences"]

ALIGNMENTS = ("words", "own")

_FILES = {
    "audio": ("COVAREP", "CMU_MOSEI_COVAREP.csd"),
    "video": ("FACET 4.2", "CMU_MOSEI_VisualFacet42.csd"),
    "openface": ("OpenFace 2", "CMU_MOSEI_VisualOpenFace2.csd"),
    "text": ("GloVe", "CMU_MOSEI_TimestampedWordVectors.csd"),
}
_WORDS, _PHONES = "CMU_MOSEI_TimestampedWords.csd", "CMU_MOSEI_TimestampedPhones.csd"

Rows = list[dict[str, np.ndarray]]
Read = Callable[[], tuple[np.ndarray, np.ndarray]]
Span = tuple[float, float]

# Below IN or IN/Raw; the named ones are those of the server that the SDK downloads from.
_FOLDERS = ("", "acoustic", "visual", "language", "languages", "csd")


@dataclass(frozen=True)
class _Track:
    """One file: the videos of the corpus that it has, in the corpus's order, and the width of its features."""

    name: str
    path: Path
    videos: tuple[str, ...]
    dim: int
    notes: tuple[str, ...]

    def read(self, sequence: csd.Sequence, video: str) -> tuple[np.ndarray, np.ndarray]:
        """Return intervals [N, 2] and features float32 [N, dim] (of words: the words).

        A step that ends before it begins is an error; a word that does is left out where words are aligned to.
        """
        intervals, features = sequence.read(video)
        if self.name != "words" and isinstance(features, list):
            raise CorpusError("these features are words", where=f"{self.path}, {video}", expected="numbers",
                              remedy="take the file that CMU ships under this name")
        if self.name not in ("text", "words") and (back := np.flatnonzero(intervals[:, 1] < intervals[:, 0])).size:
            begin, end = intervals[back[0]].tolist()
            raise CorpusError("a step ends before it begins", where=f"{self.path}, {video}",
                              got=f"{begin:g} to {end:g} in row {back[0]}", remedy="download the file again")
        return intervals, features


def find_sequences(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the computational sequences below `root` by modality, "words" and "phones" among them, and notes.

    A note names a file that is there twice. Raises MissingInput where such a name is there and is no file.
    """
    names = {modality: name for modality, (_, name) in _FILES.items()} | {"words": _WORDS, "phones": _PHONES}
    found, notes = {}, []
    for modality, name in names.items():
        path, told = csd.find_first(root, [f"{base}{folder}/{name}".lstrip("/") for folder in _FOLDERS
                                           for base in ("", "Raw/")])
        notes += told
        if path is not None:
            found[modality] = path
    return found, notes


def plan_sequences(source: Path, *, align: str | None = None, nonfinite: str | None = None, corpus: str | None = None,
                   options: Mapping[str, str] | None = None, seed: int = 0) -> BringPlan:
    """Read a raw corpus with computational sequences, and decide how they are brought into a store; writes nothing.

    Raises as `open_corpus` and `read_sequences`. `nonfinite` says what is done about NaN and infinity ("zero" unless
    said), `corpus` and `options` are those of `open_corpus`.
    """
    _, read = open_corpus(source, corpus, options)
    processed = read_sequences(read, align=align, where=source)
    # By size, as media are: a digest would read twenty gigabytes.
    sizes = {how["file"]: how["bytes"] for how in processed.modalities.values()}
    return make_plan(processed, inputs={"annotation": annotation_digests(read), "features": sizes},
                     size=sum(sizes.values()), nonfinite=nonfinite, seed=seed)


def read_sequences(corpus: Corpus, *, align: str | None = None, where: Path | None = None) -> Processed:
    """Return the features of a corpus whose folder holds computational sequences.

    `align` is "words" or "own"; unsaid, "words" where there are word vectors or words. Raises MissingInput where
    there is no sequence, UsageError for an alignment that cannot be, CorpusError (file and video) for a file that
    cannot be read or whose videos differ in their number of features.
    """
    found, notes = find_sequences(corpus.root)
    reference = next((name for name in ("text", "words") if name in found), None)
    align = _check_align(align, reference, corpus.root)
    timed = [utterance for utterance in corpus.utterances if utterance.start is not None]
    videos = list(dict.fromkeys(map(_video, timed)))
    tracks = {}
    for name, path in found.items():
        if name in _FILES or (name == reference and align == "words"):
            tracks[name] = _open_track(name, path, videos)
            notes += [*tracks[name].notes, *_note_videos(tracks[name], videos)]
    tracks = {name: track for name, track in tracks.items() if track.videos}
    if not tracks.keys() & _FILES.keys() or (align == "words" and reference not in tracks):
        raise MissingInput("IN is a raw corpus, and has no features of its own", where=str(where or corpus.root),
                           expected="a store of shards, or " + ", ".join(name for _, name in _FILES.values()),
                           got="; ".join(notes) or "none of them",
                           remedy="cut its media with `emoprep segment` and give that store")
    utterances = tuple(map(_with_text, corpus.utterances))
    if told := sum(one is not other for one, other in zip(utterances, corpus.utterances, strict=True)):
        notes.append(f"utterances whose text is that of {_WORDS}: {told:,}")
    if "phones" in found:
        notes.append(f"{_PHONES} is not used")
    if untimed := len(corpus.utterances) - len(timed):
        notes.append(f"utterances whose times are unknown, and which so have no features: {untimed:,}")
    modalities = {name: _facts(track, align, corpus.root) for name, track in tracks.items() if name in _FILES}
    rows = partial(_word_rows, reference=reference) if align == "words" else _own_rows
    # Once each: the words' file was read with the corpus too.
    read = replace(corpus, utterances=utterances, notes=tuple(dict.fromkeys([*corpus.notes, *notes])))
    return Processed(read, modalities,
                     partial(_rows, utterances, tracks, rows), {**corpus.settings, "align": align},
                     ("numpy", "pyarrow", "h5py"))


def _check_align(align: str | None, reference: str | None, root: Path) -> str:
    if align is None:
        return "own" if reference is None else "words"
    if align not in ALIGNMENTS:
        raise UsageError("not known", where="--align", expected=" or ".join(ALIGNMENTS), got=align)
    if align == "words" and reference is None:
        raise UsageError("there are no words to align to", where="--align words",
                         expected=f"{_FILES['text'][1]} or {_WORDS} in {root}", got="neither",
                         remedy="--align own keeps each modality's own steps")
    return align


def _with_text(utterance: Utterance) -> Utterance:
    if utterance.text or not utterance.words:
        return utterance
    return replace(utterance, text=" ".join(word for word, _, _ in utterance.words))


def _video(utterance: Utterance) -> str:
    return utterance.dialogue.removeprefix(f"{utterance.corpus}_")


def _open_track(name: str, path: Path, videos: Iterable[str]) -> _Track:
    """Look at the width of each video's features, before any is read."""
    with csd.open_csd(path) as sequence:
        known = frozenset(sequence.videos)
        there = tuple(video for video in videos if video in known)
        dims = {}
        for video in there:
            dims.setdefault(sequence.dims(video), video)
        notes = sequence.notes
    if len(dims) > 1:
        (one, of_one), (other, of_other) = list(dims.items())[:2]
        raise CorpusError("the videos differ in their number of features", where=str(path),
                          expected=f"{one} as for {of_one}", got=f"{other} for {of_other}",
                          remedy="download the current release (old ones of COVAREP have 43 for half of the videos)")
    return _Track(name, path, there, next(iter(dims), 0), notes)


def _note_videos(track: _Track, videos: Sequence[str]) -> list[str]:
    known = frozenset(track.videos)
    if missing := [video for video in videos if video not in known]:
        return [f"{track.name}: videos that are not in {track.path.name}: {len(missing):,} of {len(videos):,} "
                f"(first {missing[0]})"]
    return []


def _facts(track: _Track, align: str, root: Path) -> dict[str, str | int]:
    """Return what the manifest says of a modality."""
    return {"dim": track.dim, "clock": "words" if align == "words" or track.name == "text" else _clock(track),
            "extractor": _FILES[track.name][0], "file": track.path.relative_to(root).as_posix(),
            "bytes": track.path.stat().st_size}


def _clock(track: _Track) -> str:
    """Return what a step is, judged by the first video that has more than one."""
    with csd.open_csd(track.path) as sequence:
        for video in track.videos:
            intervals, _ = track.read(sequence, video)
            if len(intervals) > 1:
                rate = steady_rate(intervals)
                return "own" if rate is None else f"rate:{rate:g}"
    return "own"


# ------------------------------------------------------------------------------------------ row by row

def _rows(utterances: Sequence[Utterance], tracks: Mapping[str, _Track],
          rows_of: Callable[[Mapping[str, Read], Sequence[Span | None]], Rows]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the features of each utterance, video by video."""
    with ExitStack() as stack:
        sequences = {name: stack.enter_context(csd.open_csd(track.path)) for name, track in tracks.items()}
        having = {name: frozenset(track.videos) for name, track in tracks.items()}
        for video, group in groupby(utterances, key=_video):
            reads = {name: partial(track.read, sequences[name], video) for name, track in tracks.items()
                     if video in having[name]}
            spans = [(float(utterance.start), float(utterance.end)) if utterance.start is not None else None
                     for utterance in group]
            yield from rows_of(reads, spans)


def _word_rows(reads: Mapping[str, Read], spans: Sequence[Span | None], *, reference: str) -> Rows:
    """Return what each span of a video has of each modality: a step for each of its words."""
    rows: Rows = [{} for _ in spans]
    if reference not in reads:
        return rows
    intervals, vectors = reads[reference]()
    order = in_time_order(intervals)
    words = intervals[order]
    inside = [span and overlapping(words, *span) for span in spans]
    for name in [name for name in reads if name in _FILES]:
        steps, count = ((vectors[order], np.ones(len(order))) if name == reference
                        else span_means(words, *reads[name]()))
        for row, chosen in zip(rows, inside, strict=True):
            # A word without a step is zeros, as the SDK imputes; without any step the modality is not there.
            if chosen is not None and count[chosen].any():
                row[name] = steps[chosen]
    return rows


def _own_rows(reads: Mapping[str, Read], spans: Sequence[Span | None]) -> Rows:
    """Return what each span of a video has of each modality: the steps whose middle lies in it."""
    rows: Rows = [{} for _ in spans]
    for name, read in reads.items():
        intervals, values = read()
        middles = (intervals / 2).sum(axis=1)
        order = np.argsort(middles, kind="stable")
        middles = middles[order]
        for row, span in zip(rows, spans, strict=True):
            chosen = order[within(middles, *span)] if span else order[:0]
            if len(chosen):
                row[name] = values[chosen]  # a copy, so that the video itself can be let go
    return rows
