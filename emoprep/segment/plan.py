"""Which utterance goes into which shard, decided before anything is written."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from emoprep.contracts import Corpus
from emoprep.corpora import annotation_digests, open_corpus
from emoprep.errors import MissingInput, UsageError
from emoprep.faces.detectors import find_detector
from emoprep.media.clock import frame_count
from emoprep.media.decode import Recipe
from emoprep.media.reel import most_frames
from emoprep.segment.cut import ShardTask
from emoprep.store.shards import pack, shard_name
from emoprep.utterance import Skip, Utterance

__all__ = ["ASKED_FOR", "SegmentPlan", "estimated_bytes", "plan_segment"]


ASKED_FOR = ("excluded", "no-fold")
"""Reasons of skips that the user or the corpus's own folds ask for: listed and counted, and no fault of the corpus."""


GRACE_S = 30.0
"""How long scaling and encoding an utterance may take beyond decoding it."""


@dataclass(frozen=True)
class SegmentPlan:
    """What segmenting will do, decided before anything is written."""

    module: ModuleType
    corpus: Corpus
    tasks: tuple[ShardTask, ...]
    recipe: Recipe
    modalities: tuple[str, ...]
    skips: tuple[Skip, ...]
    facts: dict[str, Any]
    face_packages: tuple[str, ...] = ()

    @property
    def patience(self) -> float | None:
        """Seconds after which a worker that is still at one utterance hangs: decoders give up by themselves before."""
        allowed = self.tasks[0].patience if self.tasks else None
        return None if allowed is None else allowed + GRACE_S

    @property
    def seconds(self) -> float:
        return sum(utterance.seconds or 0 for task in self.tasks for utterance in task.utterances)

    @property
    def utterances(self) -> int:
        return sum(len(task.utterances) for task in self.tasks)

    @property
    def to_cut(self) -> int:
        """The utterances that should have become samples: those of the shards, and those whose clip is missing."""
        return self.utterances + sum(skip.reason not in ASKED_FOR for skip in self.skips)


def plan_segment(source: Path, out: Path, *, corpus: str | None = None, options: dict[str, str] | None = None,
                 recipe: Recipe = Recipe(), exclude: Path | None = None,  # noqa: B008 - frozen
                 limit: int | None = None, shard_utterances: int = 100, max_mismatch: float = 5.0,
                 decode_timeout: float | None = None, faces: str | None = None) -> SegmentPlan:
    """Decide which utterances go into which shard; writes nothing.

    `max_mismatch`: seconds by which a clip may differ in length from its annotation before it is skipped.
    `decode_timeout`: seconds that decoding may take until the next utterance is complete.
    `faces`: the detector that finds them (`retinaface`, `yunet:FILE` …); None: nobody looks.
    Raises MissingInput where no utterance has a clip, or the detector is not installed.
    """
    if (source / "manifest.json").is_file():
        raise UsageError("IN is a store, and is segmented already", where=str(source),
                         expected="the folder of a raw corpus")
    detector, argument = find_detector(faces) if faces is not None else (None, None)
    found_by = detector.prepare(argument) if detector else {}
    module, read = open_corpus(source, corpus, options)
    excluded = _excluded(exclude, read)  # before --limit: a key beyond it is a key of the corpus all the same
    if limit is not None:
        read = _limited(read, limit)
    skipped = {skip.key: skip for skip in read.skips}
    skipped.update((key, Skip(key, "excluded", f"listed in {exclude.name}")) for key in excluded)
    for skip in (*_not_files(read), *_too_long(read, recipe)):
        skipped.setdefault(skip.key, skip)
    bare = set(read.bare_splits)
    chosen = [utterance for utterance in read.utterances
              if utterance.key not in skipped and _part(utterance) not in bare]
    if not chosen:
        if excluded and len(excluded) >= len(read.utterances):
            raise UsageError("every utterance is excluded", where=f"--exclude {exclude}", got=f"{len(excluded)} keys")
        reasons = Counter(skip.reason for skip in skipped.values())
        raise MissingInput("no utterance has a clip", where=str(source),
                           expected="clips beside the annotation (docs/corpora.md shows the layouts)",
                           got="; ".join([*read.notes, *(f"{number} {reason}" for reason, number in reasons.items())])
                               or f"{len(read.utterances)} annotated utterances, no clip",
                           remedy="`emoprep stats` and `balance --strategy weights` work without media")
    if recipe.decoder == "ffmpeg":
        from emoprep.media.ffmpeg import program

        program()  # so that a missing program is told before anything is made
    modalities = _modalities(read.root, chosen, recipe)
    if detector and "video" not in modalities:
        raise UsageError("there are no pictures to find faces in", where="--faces", got=", ".join(modalities))
    sizes = _sizes(read.root, chosen)
    tasks = tuple(ShardTask(name, str(out), str(read.root), utterances, read.schemes, recipe, modalities, max_mismatch,
                            decode_timeout, faces=found_by, sizes={path: sizes[path] for path in _media(utterances)})
                  for name, utterances in _shards(chosen, shard_utterances))
    facts = _facts(read, sizes, recipe, exclude, limit=limit, shard_utterances=shard_utterances,
                   max_mismatch=max_mismatch, modalities=modalities,
                   faces={name: value for name, value in found_by.items() if name != "argument"} or None)
    skips = tuple(skipped[utterance.key] for utterance in read.utterances if utterance.key in skipped)
    return SegmentPlan(module, read, tasks, recipe, modalities, skips, facts, detector.PACKAGES if detector else ())


def _part(utterance: Utterance) -> str:
    """Return what its shards are named by: the split, the corpus's natural unit where there is none, or "all"."""
    return utterance.split or utterance.unit or "all"


def _limited(read: Corpus, limit: int) -> Corpus:
    """Keep the first dialogues of each split (or unit) until it has `limit` utterances; dialogues stay whole."""
    kept, count = [], Counter()
    for _, group in itertools.groupby(read.utterances, lambda utterance: utterance.dialogue):
        dialogue = list(group)
        if count[_part(dialogue[0])] < limit:
            count[_part(dialogue[0])] += len(dialogue)
            kept += dialogue
    keys = {utterance.key for utterance in kept}
    return replace(read, utterances=tuple(kept), skips=tuple(skip for skip in read.skips if skip.key in keys))


def _not_files(read: Corpus) -> Iterator[Skip]:
    """Find the clips that are no files: links that lead nowhere, and pipes, which would be waited for."""
    is_file = functools.cache(lambda path: (read.root / path).is_file())  # a dialogue's film has many utterances
    for utterance in read.utterances:
        for path in {utterance.video, utterance.audio} - {None}:
            if not is_file(path):
                yield Skip(utterance.key, "no-clip", f"{path} is no file, or a link that leads to none")


def _too_long(read: Corpus, recipe: Recipe) -> Iterator[Skip]:
    most = most_frames(recipe.size)
    for utterance in read.utterances:
        if utterance.end is None or recipe.truncate is not None:
            continue
        seconds = utterance.end - utterance.start
        if (frames := frame_count(seconds, recipe.fps)) > most:
            yield Skip(utterance.key, "too-long", f"it lasts {float(seconds):.3f} s, which is {frames} frames; at most "
                                                  f"{most} are cut (--truncate-seconds cuts it off)")


def _excluded(path: Path | None, read: Corpus) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingInput("the list of keys cannot be read", where=f"--exclude {path}", got=str(error)) from error
    keys = [key for line in lines if (key := line.partition("#")[0].strip())]
    unknown = sorted(set(keys) - {utterance.key for utterance in read.utterances})
    if unknown:
        raise UsageError("the corpus has no such key", where=f"--exclude {path}", got=", ".join(unknown[:5]),
                         expected=f"keys like {read.utterances[0].key}" if read.utterances else "")
    return keys


def _modalities(root: Path, utterances: Sequence[Utterance], recipe: Recipe) -> tuple[str, ...]:
    """Return which members all samples have: those that any source brings; looks no further than needed."""
    from emoprep.media.pyav import probe

    found = {"video": False, "audio": False}
    for path in dict.fromkeys(path for utterance in utterances for path in (utterance.video, utterance.audio) if path):
        video, audio = probe(root / path)
        found = {"video": found["video"] or video, "audio": found["audio"] or audio}
        if all(found.values()):
            break
    if not any(found.values()) and recipe.decoder != "pyav":
        found = {"video": True, "audio": True}  # only the other decoder may know what these files hold
    return (*(name for name, there in found.items() if there), "text")


def _shards(utterances: Sequence[Utterance], aim: int) -> Iterator[tuple[str, tuple[Utterance, ...]]]:
    for part, members_of in itertools.groupby(utterances, _part):
        dialogues = [tuple(group) for _, group in itertools.groupby(members_of, lambda utterance: utterance.dialogue)]
        for number, members in enumerate(pack(map(len, dialogues), aim)):
            yield (shard_name(part, number),
                   tuple(itertools.chain.from_iterable(dialogues[member] for member in members)))


def _media(utterances: Iterable[Utterance]) -> dict[str, None]:
    """Return the paths of their media files, each once, in order."""
    return dict.fromkeys(path for utterance in utterances for path in (utterance.video, utterance.audio) if path)


def _sizes(root: Path, utterances: Iterable[Utterance]) -> dict[str, int]:
    """Return the size of each media file: what is cut must be what the fingerprint tells of."""
    sizes = {}
    for path in _media(utterances):
        try:
            sizes[path] = os.stat(f"{root}/{path}").st_size
        except OSError as error:
            raise MissingInput("a clip has vanished", where=str(root / path), got=error.strerror or "") from error
    return sizes


def _facts(read, sizes, recipe, exclude, **settings) -> dict[str, Any]:
    """Return what decides the bytes: settings, annotation (sha256), and each media file's path and size."""
    media = hashlib.sha256()
    for path, size in sizes.items():
        media.update(f"{path}\0{size}\n".encode())
    recipe_settings = {name: str(value) if isinstance(value, Fraction) else value
                       for name, value in vars(recipe).items()}
    return {
        "command": "segment",
        "settings": {"corpus": read.name, **read.settings, **recipe_settings, **settings,
                     "exclude": hashlib.sha256(exclude.read_bytes()).hexdigest() if exclude else None},
        "inputs": {"annotation": annotation_digests(read),
                   "media": {"files": len(sizes), "bytes": sum(sizes.values()), "sha256": media.hexdigest()}},
    }


def estimated_bytes(plan: SegmentPlan) -> int:
    """Return about how large the store will be; the picture's part grows with its area and the frame rate."""
    recipe, pictures = plan.recipe, 2 if plan.facts["settings"]["faces"] else 1
    per_second = {"video": 22_000 * pictures * (recipe.size / 112) ** 2 * float(recipe.fps) / 10,
                  "audio": 18_000 * recipe.sample_rate / 16_000, "text": 0}
    overhead = 5_000  # annotation, and tar's blocks of 512 bytes
    return round(plan.seconds * sum(per_second[name] for name in plan.modalities) + overhead * plan.utterances)
