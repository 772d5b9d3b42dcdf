"""One shard in a worker: decode each source once, cut, encode, write, and note rows and skips."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.labels import LabelScheme
from emoprep.media.clock import frame_count, sample_count
from emoprep.media.decode import Clip, DecodeFailure, Recipe, Window, decode
from emoprep.media.encode import encode_flac, encode_strip
from emoprep.store.folder import Run
from emoprep.store.index import index_row
from emoprep.store.shards import sample_json, write_shard
from emoprep.utterance import Skip, Utterance

__all__ = ["ShardTask", "cut_shard"]

# A clip whose length is off by more than this from the annotation is flagged; frames last 0.042 s.
MISMATCH_FLAG_S = 0.1


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to make one shard."""

    name: str
    out: str
    root: str
    utterances: tuple[Utterance, ...]
    schemes: tuple[LabelScheme, ...]
    recipe: Recipe
    modalities: tuple[str, ...]
    max_mismatch: float

    def __str__(self):
        return self.name


def cut_shard(task: ShardTask) -> dict[str, Any]:
    """Make one shard: decode, cut, encode, write, and note its rows and skips. Runs in a worker."""
    rows, skips, out = [], [], Path(task.out)
    shard = write_shard(out / task.name, _samples(task, rows, skips))
    note = {"shard": shard, "rows": rows, "skips": [[skip.key, skip.reason, skip.detail] for skip in skips],
            "files": {task.name: shard["size"]} if shard else {}}
    Run(out, complete=False).finish(task.name, note)
    return note


def _samples(task, rows, skips) -> Iterator[tuple[str, dict[str, bytes]]]:
    for path, group in itertools.groupby(task.utterances, lambda utterance: utterance.video or utterance.audio):
        utterances = list(group)
        try:
            clips = decode(str(Path(task.root, path)), [Window(u.start, u.end) for u in utterances], task.recipe,
                           video=utterances[0].video is not None, audio=utterances[0].audio is not None)
        except DecodeFailure as failure:
            skips += [Skip(utterance.key, "undecodable", f"{path}: {failure}") for utterance in utterances]
            continue
        for utterance, clip in zip(utterances, clips, strict=True):
            off = abs(float(clip.whole_seconds) - utterance.seconds) if utterance.seconds is not None else 0
            if off > task.max_mismatch:
                skips.append(Skip(utterance.key, "length-mismatch", f"{path} lasts {float(clip.whole_seconds):.3f} s,"
                                                                    f" the annotation says {utterance.seconds:.3f} s"))
                continue
            if off > MISMATCH_FLAG_S:
                clip.flags.append("length-mismatch")
            row, members = _sample(utterance, clip, task)
            rows.append(row)
            yield utterance.key, members


def _sample(utterance: Utterance, clip: Clip, task: ShardTask) -> tuple[dict, dict[str, bytes]]:
    """Return the index row and the members of one utterance; what a store has, each of its samples has."""
    recipe, members, columns = task.recipe, {}, None
    frames, samples = frame_count(clip.seconds, recipe.fps), sample_count(clip.seconds, recipe.sample_rate)
    if "video" in task.modalities:
        members["frames.jpg"], columns = encode_strip(clip.pictures or frames, recipe.size)
        if not clip.pictures:
            clip.flags.append("no-picture")
    if "audio" in task.modalities:
        sound = clip.samples if clip.samples is not None else np.zeros(samples, np.int16)
        members["flac"] = encode_flac(sound, recipe.sample_rate)
        if clip.samples is None:
            clip.flags.append("no-sound")
    start = utterance.start or Fraction(0)
    row = index_row(utterance, task.schemes, start=float(start), end=float(start + clip.seconds), frames=frames,
                    fps=float(recipe.fps), samples=samples, sample_rate=recipe.sample_rate,
                    has_video=bool(clip.pictures), has_audio=clip.samples is not None,
                    flags=[*utterance.flags, *clip.flags], shard=task.name)
    words = [{"word": word, "start": begin, "end": end} for word, begin, end in utterance.words]
    members["json"] = sample_json(row, size=recipe.size, columns=columns, faces=[])
    members["txt"] = utterance.text.encode()
    members["words.json"] = json.dumps(words, ensure_ascii=False).encode()
    return row, members
