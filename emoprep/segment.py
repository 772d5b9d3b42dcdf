"""`emoprep segment`: raw corpus → store of aligned frame / audio / text shards.

annotations → utterances → shard tasks (a pure plan) → each task decodes each of its sources once, cuts,
encodes, writes one shard and notes its rows → index, card, manifest.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from emoprep import engine
from emoprep.corpora import annotation_digests, open_corpus
from emoprep.errors import MissingInput, TooManySkipped, UsageError
from emoprep.media.decode import Clip, DecodeFailure, Recipe, Window, decode
from emoprep.store.card import card
from emoprep.store.folder import CARD, INDEX, SKIPPED, Run, start_run, write_bytes
from emoprep.store.index import index_row, schema, write_index
from emoprep.store.manifest import Manifest, open_store, versions
from emoprep.store.shards import pack, sample_json, shard_name, write_shard
from emoprep.utterance import Corpus, Skip, Utterance

__all__ = ["SegmentPlan", "SegmentResult", "allowed_skips", "estimated_bytes", "plan_segment", "segment"]

# A clip whose length is off by more than this from the annotation is flagged; frames last 0.042 s.
MISMATCH_FLAG_S = 0.1


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to make one shard."""

    name: str
    out: str
    root: str
    utterances: tuple[Utterance, ...]
    corpus: str
    recipe: Recipe
    modalities: tuple[str, ...]
    max_mismatch: float

    def __str__(self):
        return self.name


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

    @property
    def seconds(self) -> float:
        return sum(utterance.seconds or 0 for task in self.tasks for utterance in task.utterances)

    @property
    def utterances(self) -> int:
        return sum(len(task.utterances) for task in self.tasks)

    @property
    def to_cut(self) -> int:
        """The utterances that should have become samples: those of the shards, and those whose clip is missing."""
        return self.utterances + sum(skip.reason != "excluded" for skip in self.skips)


@dataclass(frozen=True)
class SegmentResult:
    """What was written; `fresh` is False where the store was complete already."""

    corpus: str
    out: str
    written: int
    skipped: dict[str, int]
    shards: list[str]
    notes: tuple[str, ...] = ()
    without_media: tuple[str, ...] = ()
    fresh: bool = True
    skips: tuple[Skip, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        return {"schema": "emoprep.segment/1", "corpus": self.corpus, "out": self.out, "written": self.written,
                "skipped": self.skipped, "shards": self.shards, "without_media": list(self.without_media),
                "notes": list(self.notes), "fresh": self.fresh}


# ------------------------------------------------------------------------------------------- deciding

def plan_segment(source: Path, out: Path, *, corpus: str | None = None, options: dict[str, str] | None = None,
                 recipe: Recipe = Recipe(), exclude: Path | None = None,  # noqa: B008 - frozen
                 limit: int | None = None, shard_utterances: int = 100, max_mismatch: float = 5.0) -> SegmentPlan:
    """Decide which utterances go into which shard; writes nothing.

    `max_mismatch`: seconds by which a clip may differ in length from its annotation before it is skipped.
    Raises MissingInput where no utterance has a clip.
    """
    if (source / "manifest.json").is_file():
        raise UsageError("IN is a store, and is segmented already", where=str(source),
                         expected="the folder of a raw corpus")
    module, read = open_corpus(source, corpus, options)
    if limit is not None:
        read = _limited(read, limit)
    skipped = {skip.key: skip for skip in read.skips}
    skipped.update((key, Skip(key, "excluded", f"listed in {exclude.name}")) for key in _excluded(exclude, read))
    bare = set(read.bare_splits)
    chosen = [utterance for utterance in read.utterances
              if utterance.key not in skipped and utterance.split not in bare]
    if not chosen:
        raise MissingInput("no utterance has a clip", where=str(source),
                           expected="clips beside the annotation (docs/corpora.md shows the layouts)",
                           got="; ".join(read.notes) or f"{len(read.utterances)} annotated utterances, no clip",
                           remedy="`emoprep stats` and `balance --strategy weights` work without media")
    if recipe.decoder == "ffmpeg":
        from emoprep.media.ffmpeg import program

        program()  # so that a missing program is told before anything is made
    modalities = _modalities(source, chosen, recipe)
    tasks = tuple(ShardTask(name, str(out), str(source), utterances, module.NAME, recipe, modalities, max_mismatch)
                  for name, utterances in _shards(chosen, shard_utterances))
    facts = _facts(source, read, chosen, recipe, exclude, limit=limit, shard_utterances=shard_utterances,
                   max_mismatch=max_mismatch, modalities=modalities)
    skips = tuple(skipped[utterance.key] for utterance in read.utterances if utterance.key in skipped)
    return SegmentPlan(module, read, tasks, recipe, modalities, skips, facts)


def _limited(read: Corpus, limit: int) -> Corpus:
    """Keep the first dialogues of each split until it has `limit` utterances; dialogues stay whole."""
    kept, count = [], Counter()
    for _, group in itertools.groupby(read.utterances, lambda utterance: utterance.dialogue):
        dialogue = list(group)
        if count[dialogue[0].split] < limit:
            count[dialogue[0].split] += len(dialogue)
            kept += dialogue
    keys = {utterance.key for utterance in kept}
    return Corpus(**{**vars(read), "utterances": tuple(kept),
                     "skips": tuple(skip for skip in read.skips if skip.key in keys)})


def _excluded(path: Path | None, read: Corpus) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingInput("the list of keys cannot be read", where=f"--exclude {path}", got=str(error)) from error
    keys = [key for line in lines if (key := line.partition("#")[0].strip())]
    unknown = sorted(set(keys) - {utterance.key for utterance in read.utterances})
    if unknown:
        raise UsageError("the corpus has no such key", where=f"--exclude {path}", got=", ".join(unknown[:5]),
                         expected=f"keys like {read.utterances[0].key}" if read.utterances else "")
    return keys


def _modalities(source: Path, utterances: Sequence[Utterance], recipe: Recipe) -> tuple[str, ...]:
    """Return which members all samples have: those that any source brings; looks no further than needed."""
    from emoprep.media.pyav import probe

    found = {"video": False, "audio": False}
    for path in dict.fromkeys(utterance.video or utterance.audio for utterance in utterances):
        video, audio = probe(source / path)
        found = {"video": found["video"] or video, "audio": found["audio"] or audio}
        if all(found.values()):
            break
    if not any(found.values()) and recipe.decoder != "pyav":
        found = {"video": True, "audio": True}  # only the other decoder may know what these files hold
    return (*(name for name, there in found.items() if there), "text")


def _shards(utterances: Sequence[Utterance], aim: int) -> Iterator[tuple[str, tuple[Utterance, ...]]]:
    for split, of_split in itertools.groupby(utterances, lambda utterance: utterance.split):
        dialogues = [tuple(group) for _, group in itertools.groupby(of_split, lambda utterance: utterance.dialogue)]
        for number, members in enumerate(pack(map(len, dialogues), aim)):
            yield (shard_name(split or "all", number),
                   tuple(itertools.chain.from_iterable(dialogues[member] for member in members)))


def _facts(source, read, chosen, recipe, exclude, **settings) -> dict[str, Any]:
    """Return what decides the bytes: settings, annotation (sha256), and each media file's path and size."""
    media, total, files = hashlib.sha256(), 0, 0
    for path in dict.fromkeys(path for utterance in chosen for path in (utterance.video, utterance.audio) if path):
        try:
            size = (source / path).stat().st_size
        except OSError as error:
            raise MissingInput("a clip has vanished", where=str(source / path), got=error.strerror or "") from error
        media.update(f"{path}\0{size}\n".encode())
        total, files = total + size, files + 1
    recipe_settings = {name: str(value) if isinstance(value, Fraction) else value
                       for name, value in vars(recipe).items()}
    return {
        "command": "segment",
        "settings": {"corpus": read.name, **read.settings, **recipe_settings, **settings,
                     "exclude": hashlib.sha256(exclude.read_bytes()).hexdigest() if exclude else None},
        "inputs": {"annotation": annotation_digests(read),
                   "media": {"files": files, "bytes": total, "sha256": media.hexdigest()}},
    }


def estimated_bytes(plan: SegmentPlan) -> int:
    """Return about how large the store will be; the picture's part grows with its area and the frame rate."""
    recipe = plan.recipe
    per_second = {"video": 22_000 * (recipe.size / 112) ** 2 * float(recipe.fps) / 10,
                  "audio": 18_000 * recipe.sample_rate / 16_000, "text": 0}
    overhead = 5_000  # annotation, and tar's blocks of 512 bytes
    return round(plan.seconds * sum(per_second[name] for name in plan.modalities) + overhead * plan.utterances)


def allowed_skips(text: str, utterances: int) -> float:
    """Return how many of `utterances` may be skipped: `12` is a count, `0.05` or `5%` a share.

    >>> allowed_skips("12", 1000), allowed_skips("5%", 1000), allowed_skips("0.05", 1000)
    (12.0, 50.0, 50.0)
    """
    try:
        if text.endswith("%"):
            value = float(text[:-1]) / 100 * utterances
        elif text.isdigit():
            value = float(text)
        else:
            value = float(text) * utterances
            if not 0 <= float(text) <= 1:
                raise ValueError
        if not 0 <= value < float("inf"):
            raise ValueError
    except ValueError as error:
        raise UsageError("cannot be read", where="--max-skipped", expected="a count (12) or a share (0.05 or 5%)",
                         got=text) from error
    return round(value, 9)


# --------------------------------------------------------------------------------------------- acting

def segment(plan: SegmentPlan, out: Path, *, jobs: int = 1, max_skipped: str = "5%", overwrite: bool = False,
            progress: Callable[[int, int], None] = lambda written, skipped: None) -> SegmentResult:
    """Carry out a plan: make the shards that are missing, then index, card and manifest.

    `progress(written, skipped)` is called after each shard. Raises TooManySkipped (and writes no manifest)
    where more utterances were skipped than allowed; the shards stay.
    """
    allowed = allowed_skips(max_skipped, plan.to_cut)
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            return _result_of(open_store(out).manifest, out, plan)
        notes = {task.name: note for task in plan.tasks if (note := run.finished(task.name)) is not None}
        for note in notes.values():
            progress(len(note["rows"]), len(note["skips"]))
        missing = [task for task in plan.tasks if task.name not in notes]
        for number, note in engine.run(cut_shard, missing, jobs=jobs, preload=_PRELOAD[plan.recipe.decoder]):
            notes[missing[number].name] = note
            progress(len(note["rows"]), len(note["skips"]))
        return _seal(plan, run, [notes[task.name] for task in plan.tasks], allowed, max_skipped)


_PRELOAD = {"pyav": ("emoprep.segment", "emoprep.media.pyav", "emoprep.media.encode", "webdataset.writer",
                     "soundfile", "PIL.JpegImagePlugin"),
            "ffmpeg": ("emoprep.segment", "emoprep.media.ffmpeg", "emoprep.media.encode", "webdataset.writer",
                       "soundfile", "PIL.JpegImagePlugin")}


def cut_shard(task: ShardTask) -> dict[str, Any]:
    """Make one shard: decode, cut, encode, write, and note its rows and skips. Runs in a worker."""
    from emoprep.contracts import modules

    rows, skips, out = [], [], Path(task.out)
    schemes = modules("corpora")[task.corpus].SCHEMES
    shard = write_shard(out / task.name, _samples(task, schemes, rows, skips))
    note = {"shard": shard, "rows": rows, "skips": [[skip.key, skip.reason, skip.detail] for skip in skips],
            "files": {task.name: shard["size"]} if shard else {}}
    Run(out, complete=False).finish(task.name, note)
    return note


def _samples(task, schemes, rows, skips) -> Iterator[tuple[str, dict[str, bytes]]]:
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
            row, members = _sample(utterance, clip, task, schemes)
            rows.append(row)
            yield utterance.key, members


def _sample(utterance: Utterance, clip: Clip, task: ShardTask, schemes) -> tuple[dict, dict[str, bytes]]:
    """Return the index row and the members of one utterance; what a store has, each of its samples has."""
    import numpy as np

    from emoprep.media.clock import frame_count, sample_count
    from emoprep.media.encode import encode_flac, encode_strip

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
    row = index_row(utterance, schemes, start=float(start), end=float(start + clip.seconds), frames=frames,
                    fps=float(recipe.fps), samples=samples, sample_rate=recipe.sample_rate,
                    has_video=bool(clip.pictures), has_audio=clip.samples is not None,
                    flags=[*utterance.flags, *clip.flags], shard=task.name)
    words = [{"word": word, "start": begin, "end": end} for word, begin, end in utterance.words]
    members["json"] = sample_json(row, size=recipe.size, columns=columns, faces=[])
    members["txt"] = utterance.text.encode()
    members["words.json"] = json.dumps(words, ensure_ascii=False).encode()
    return row, members


# -------------------------------------------------------------------------------------------- sealing

def _seal(plan: SegmentPlan, run: Run, notes: Iterable[dict], allowed: float, max_skipped: str) -> SegmentResult:
    rows, cut_skips, shards = {}, [], []
    for note in notes:
        rows.update((row["key"], row) for row in note["rows"])
        cut_skips += [Skip(*skip) for skip in note["skips"]]
        if note["shard"]:
            shards.append({**note["shard"], "split": note["rows"][0]["split"]})
    order = {utterance.key: number for number, utterance in enumerate(plan.corpus.utterances)}
    skips = sorted([*plan.skips, *cut_skips], key=lambda skip: order[skip.key])
    _check_skips(skips, plan, allowed, max_skipped, run.out)
    schemes = plan.module.SCHEMES
    index = [rows.get(utterance.key) or index_row(utterance, schemes) for utterance in plan.corpus.utterances]
    write_index(run.out / INDEX, index, schema(plan.module.ANNOTATION, schemes))
    lines = (json.dumps({"key": skip.key, "reason": skip.reason, "detail": skip.detail}, ensure_ascii=False) + "\n"
             for skip in skips)
    write_bytes(run.out / SKIPPED, "".join(lines).encode())
    manifest = _manifest(plan, skips, shards, len(rows))
    write_bytes(run.out / CARD, card(manifest))
    run.seal(manifest.to_bytes())
    return _result_of(manifest, run.out, plan, fresh=True, skips=tuple(skips))


def _check_skips(skips: list[Skip], plan: SegmentPlan, allowed: float, max_skipped: str, out: Path) -> None:
    # What the user asked to leave out is listed, but is no fault of the corpus.
    faults = [skip for skip in skips if skip.reason != "excluded"]
    if len(faults) > allowed:
        reasons = ", ".join(f"{number} {reason}" for reason, number in Counter(s.reason for s in faults).items())
        raise TooManySkipped(
            f"{len(faults)} of {plan.to_cut} utterances were skipped", where=str(out),
            expected=f"at most {max_skipped}", got=f"{reasons}; first {faults[0].key}: {faults[0].detail}",
            remedy="shards are kept, no manifest was written; mend IN or run again with a larger --max-skipped")


def _manifest(plan: SegmentPlan, skips: list[Skip], shards: list[dict], written: int) -> Manifest:
    module, recipe = plan.module, plan.recipe
    how = {
        "video": {"fps": float(recipe.fps), "size": recipe.size, "fit": recipe.fit, "decoder": recipe.decoder},
        "audio": {"sample_rate": recipe.sample_rate, "downmix": recipe.downmix, "decoder": recipe.decoder},
        "text": {},
    }
    counts = Counter(utterance.split or "all" for utterance in plan.corpus.utterances)
    packages = ("av", "numpy", "pillow", "pyarrow", "soundfile", "webdataset")
    return Manifest(
        corpus=module.NAME, title=module.TITLE, kind="shards", facts=plan.facts, counts=dict(counts),
        written=written, modalities={name: how[name] for name in plan.modalities},
        schemes={scheme.name: scheme for scheme in module.SCHEMES}, annotation=module.ANNOTATION, shards=shards,
        skipped=dict(Counter(skip.reason for skip in skips)), citation=module.CITATION, licence=module.LICENCE,
        versions=versions(*packages), notes=_notes(plan.corpus))


def _notes(corpus: Corpus) -> list[str]:
    notes = list(corpus.notes)
    if corpus.bare_splits:
        notes.append(f"no clips for {', '.join(corpus.bare_splits)}: annotation only")
    if corpus.unused_clips:
        names = ", ".join(name.rsplit("/", 1)[-1] for name in corpus.unused_clips[:10])
        more = f" and {len(corpus.unused_clips) - 10} more" if len(corpus.unused_clips) > 10 else ""
        notes.append(f"clips without a row in the annotation: {len(corpus.unused_clips)} ({names}{more})")
    return notes


def _result_of(manifest: Manifest, out: Path, plan: SegmentPlan, *, fresh: bool = False,
               skips: tuple[Skip, ...] = ()) -> SegmentResult:
    return SegmentResult(manifest.corpus, str(out), manifest.written, dict(manifest.skipped),
                         [shard["name"] for shard in manifest.shards], tuple(manifest.notes),
                         plan.corpus.bare_splits, fresh, skips)
