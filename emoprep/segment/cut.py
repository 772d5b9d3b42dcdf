"""One shard in a worker: decode each source once, cut, encode, write, and note rows and skips.

A film or a sound file that cannot be decoded (`film-undecodable`, `sound-undecodable`), or that ends before the
utterance begins (`beyond-the-film`, `beyond-the-sound`), counts as a missing modality: the other one is used. An
utterance is skipped only where nothing is left of it: as `undecodable`, as `decode-timeout` if decoding came to no
end, or as `beyond-the-source` if all its media can be read and are over. Where workers died of an utterance, the shard
is made `without` it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from emoprep import engine
from emoprep.faces.follow import Faces
from emoprep.labels import LabelScheme
from emoprep.media.clock import frame_count, sample_count
from emoprep.media.decode import Clip, DecodeFailure, Recipe
from emoprep.media.encode import Strip, encode_flac
from emoprep.segment.sources import Part, Sources, in_film
from emoprep.store.faces import note_faces
from emoprep.store.folder import Run
from emoprep.store.index import CUT_COLUMNS, index_row
from emoprep.store.shards import sample_json, write_shard
from emoprep.utterance import Skip, Utterance

__all__ = ["ShardTask", "cut_shard", "without"]

# A clip whose length is off by more than this from the annotation is flagged; frames last 0.042 s.
MISMATCH_FLAG_S = 0.1


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to make one shard.

    `patience` is for how many seconds a source may be decoded until the next utterance is complete. `given_up` are
    utterances that workers died of. `faces` says how the detector of faces was prepared; {}: none are looked for.
    `sizes` are those of the media files, in bytes.
    """

    name: str
    out: str
    root: str
    utterances: tuple[Utterance, ...]
    schemes: tuple[LabelScheme, ...]
    recipe: Recipe
    modalities: tuple[str, ...]
    max_mismatch: float
    patience: float | None = None
    given_up: tuple[Skip, ...] = ()
    faces: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __str__(self):
        return self.name


def cut_shard(task: ShardTask) -> dict[str, Any]:
    """Make one shard: decode, cut, encode, write, and note its rows and skips. Runs in a worker.

    Returns the note, and how many seconds this took and how many of them went into decoding.
    """
    rows, skips, faces, out, begun = [], [], [], Path(task.out), time.perf_counter()
    sources = Sources(task)
    shard = write_shard(out / task.name, _samples(task, sources, rows, skips, faces))
    files = {task.name: shard["size"]} if shard else {}
    if shard and task.faces:
        files |= note_faces(out, task.name, faces)
    note = {"shard": shard, "rows": [{name: row[name] for name in ("key", *CUT_COLUMNS)} for row in rows],
            "skips": [[skip.key, skip.reason, skip.detail] for skip in skips],
            "files": files,
            # What failed on this machine and this day alone is tried again by the next run.
            "again": bool(task.given_up) or any(source.timed_out for source in sources.read)}
    Run(out, complete=False).finish(task.name, note)
    return {**note, "seconds": time.perf_counter() - begun,
            "decoding": sum(source.watch.decoding for source in sources.read)}


def without(task: ShardTask, key: str, cause: str) -> ShardTask:
    """Return the task without the utterance that its workers died of.

    If another one of the same film was given up before, it is the film, and all that would follow is given up too.
    """
    number = next(number for number, utterance in enumerate(task.utterances) if utterance.key == key)
    lost, given_up = task.utterances[number], {skip.key for skip in task.given_up}
    film = {utterance.key for utterance in task.utterances if utterance.video == lost.video is not None}
    more = film & given_up
    skips = [Skip(utterance.key, "worker-died", f"the process that cut it ended: {cause}")
             for utterance in task.utterances[number:]
             if utterance.key == key or (more and utterance.key in film - given_up)]
    return replace(task, given_up=(*task.given_up, *skips))


def _samples(task, sources, rows, skips, faces) -> Iterator[tuple[str, dict[str, bytes]]]:
    given_up = {skip.key: skip for skip in task.given_up}
    for number, utterance in enumerate(task.utterances):
        if utterance.key in given_up:
            skips.append(given_up[utterance.key])
            continue
        engine.at(utterance.key)
        film = sources.film(number)
        sound = film if in_film(utterance) else sources.sound(number, film)
        outcome = _outcome(utterance, film, sound, task)
        if isinstance(outcome, Skip):
            skips.append(outcome)
        else:
            row, members, found = outcome
            rows.append(row)
            faces.append(found.rows)
            yield utterance.key, members
    engine.at("")


# ---------------------------------------------------------------------------------------------- samples

Made = tuple[dict[str, Any], dict[str, bytes], Faces]
"""The index row and the members of a sample, and the faces in it."""


def _outcome(utterance: Utterance, film: Part, sound: Part, task: ShardTask) -> Skip | Made:
    """Return what was made of one utterance, or why it is skipped."""
    clip = _joined(film, sound)
    if not clip.pictures and clip.samples is None:
        return _nothing_left(utterance, film, sound)
    off = abs(float(clip.whole_seconds) - utterance.seconds) if utterance.seconds is not None else 0
    if off > task.max_mismatch:
        return Skip(utterance.key, "length-mismatch",
                    f"{utterance.video or utterance.audio} lasts {float(clip.whole_seconds):.3f} s,"
                    f" the annotation says {utterance.seconds:.3f} s")
    if off > MISMATCH_FLAG_S:
        clip.flags.append("length-mismatch")
    if (lacking := _lacking(utterance, film, sound)) > task.max_mismatch:
        return Skip(utterance.key, "length-mismatch",
                    f"{utterance.video or utterance.audio} ends {float(lacking):.3f} s before the utterance,"
                    f" which ends at {float(utterance.end):.3f} s")
    return _sample(utterance, clip, task)


def _lacking(utterance: Utterance, film: Part, sound: Part) -> Fraction:
    """Return how many seconds at the end of the utterance none of its media has."""
    if utterance.end is None:
        return Fraction(0)
    ends = []
    if isinstance(film, Clip) and film.pictures:
        ends.append(film.film_end and film.film_end - utterance.video_shift)
    if isinstance(sound, Clip) and sound.samples is not None:
        ends.append(sound.sound_end and sound.sound_end - utterance.audio_shift)
    return Fraction(0) if None in ends else utterance.end - max(ends)  # None: it goes on after the utterance


def _joined(film: Part, sound: Part) -> Clip:
    """Return a clip with the film's pictures and the sound file's sound, as far as there are any."""
    if sound is film and isinstance(film, Clip):
        return film
    lengths = [part for part in (film, sound) if isinstance(part, Clip)] or [Clip()]
    clip = Clip(lengths[0].seconds, lengths[0].whole_seconds)
    if isinstance(film, Clip):
        clip.pictures, clip.flags, clip.follower = film.pictures, list(film.flags), film.follower
        clip.view = film.view
    elif film is not None:
        clip.flags.append("film-undecodable")
    if isinstance(sound, Clip):
        clip.samples = sound.samples
        # Beside pictures, a sound that ends early has a flag of its own.
        redundant = {*clip.flags, *(["beyond-the-source"] if clip.pictures else [])}
        clip.flags += [flag for flag in sound.flags if flag not in redundant]
    elif sound is not None:
        clip.flags.append("sound-undecodable")
    return clip


def _nothing_left(utterance: Utterance, film: Part, sound: Part) -> Skip:
    """Return the skip of an utterance of whose media nothing can be used."""
    told = {}
    for path, shift, part in ((utterance.video, utterance.video_shift, film),
                              (utterance.audio, utterance.audio_shift, sound)):
        if isinstance(part, Clip):
            end = max(end for end in (part.film_end, part.sound_end) if end is not None)
            told[path] = f"{path} ends at {float(end):.3f} s, the utterance begins at " \
                         f"{float(utterance.start + shift):.3f} s"
        elif part is not None:
            told[path] = f"{path}: {part}"
    detail = "; ".join(told.values())
    failures = [part for part in (film, sound) if isinstance(part, DecodeFailure)]
    if failures:
        return Skip(utterance.key, failures[0].reason, detail)
    return Skip(utterance.key, "beyond-the-source", detail)


# Flags that say why a modality is missing.
NO_PICTURE = {"film-undecodable", "beyond-the-film"}
NO_SOUND = {"sound-undecodable", "beyond-the-sound"}


def _sample(utterance: Utterance, clip: Clip, task: ShardTask) -> Made:
    """Return what was made of one utterance; what a store has, each of its samples has."""
    recipe, members, columns = task.recipe, {}, None
    frames, samples = frame_count(clip.seconds, recipe.fps), sample_count(clip.seconds, recipe.sample_rate)
    if "video" in task.modalities:
        members["frames.jpg"], columns = clip.pictures or Strip(recipe.size).finish(frames)
        if not clip.pictures and NO_PICTURE.isdisjoint(clip.flags):
            clip.flags.append("no-picture")
    if "audio" in task.modalities:
        sound = clip.samples if clip.samples is not None else np.zeros(samples, np.int16)
        members["flac"] = encode_flac(sound, recipe.sample_rate)
        if clip.samples is None and NO_SOUND.isdisjoint(clip.flags):
            clip.flags.append("no-sound")
    faces = _faces(clip, frames, task)
    if task.faces:
        members["faces.jpg"] = faces.strip or Strip(recipe.size).finish(frames)[0]
    start = utterance.start or Fraction(0)
    row = index_row(utterance, task.schemes, start=float(start), end=float(start + clip.seconds), frames=frames,
                    fps=float(recipe.fps), samples=samples, sample_rate=recipe.sample_rate,
                    has_video=bool(clip.pictures), has_audio=clip.samples is not None,
                    flags=[*utterance.flags, *clip.flags], shard=task.name)
    words = [{"word": word, "start": begin, "end": end} for word, begin, end in utterance.words]
    members["json"] = sample_json(row, size=recipe.size, columns=columns, view=clip.view if clip.pictures else [],
                                  faces=faces.boxes, face_mask=faces.mask, face_rule=faces.rule)
    members["txt"] = utterance.text.encode()
    members["words.json"] = json.dumps(words, ensure_ascii=False).encode()
    return row, members, faces


def _faces(clip: Clip, frames: int, task: ShardTask) -> Faces:
    """Return the faces in an utterance, the speaker's chosen by its sound."""
    if not task.faces:
        return Faces()
    if not clip.pictures:  # which a flag says already
        return Faces(boxes=[[] for _ in range(frames)], rule="none")
    faces = clip.follower.choose(clip.samples, task.recipe.sample_rate)
    if faces.strip is None:
        clip.flags.append("no-face")
    return faces
