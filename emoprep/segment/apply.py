"""A plan carried out: the missing shards are made; then index, card and, last, the manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emoprep import engine
from emoprep.contracts import Corpus
from emoprep.errors import TooManySkipped, UsageError
from emoprep.segment.cut import cut_shard, without
from emoprep.segment.plan import ASKED_FOR, SegmentPlan
from emoprep.store.card import card
from emoprep.store.folder import CARD, INDEX, SKIPPED, Run, refuse_same, start_run, write_bytes
from emoprep.store.index import index_row, schema, write_index
from emoprep.store.manifest import Manifest, open_store, versions
from emoprep.utterance import Skip

__all__ = ["SegmentResult", "allowed_skips", "segment"]


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


def segment(plan: SegmentPlan, out: Path, *, jobs: int = 1, max_skipped: str = "5%", overwrite: bool = False,
            progress: Callable[[int, int], None] = lambda written, skipped: None) -> SegmentResult:
    """Carry out a plan: make the shards that are missing, then index, card and manifest.

    `progress(written, skipped)` is called after each shard. Raises TooManySkipped (and writes no manifest)
    where more utterances were skipped than allowed; the shards stay.
    """
    allowed = allowed_skips(max_skipped, plan.to_cut)
    refuse_same(plan.corpus.root, out)
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            return _result_of(open_store(out).manifest, out, plan)
        notes = {task.name: note for task in plan.tasks
                 if (note := run.finished(task.name)) is not None and not note["again"]}
        for note in notes.values():
            progress(len(note["rows"]), len(note["skips"]))
        missing = [task for task in plan.tasks if task.name not in notes]
        for number, note in engine.run(cut_shard, missing, jobs=jobs, preload=_PRELOAD[plan.recipe.decoder],
                                       without=without, patience=plan.patience):
            notes[missing[number].name] = note
            progress(len(note["rows"]), len(note["skips"]))
        return _seal(plan, run, [notes[task.name] for task in plan.tasks], allowed, max_skipped)


_PRELOAD = {"pyav": ("emoprep.segment.cut", "emoprep.media.pyav", "emoprep.media.encode", "webdataset.writer",
                     "soundfile", "PIL.JpegImagePlugin"),
            "ffmpeg": ("emoprep.segment.cut", "emoprep.media.ffmpeg", "emoprep.media.encode", "webdataset.writer",
                       "soundfile", "PIL.JpegImagePlugin")}


def allowed_skips(text: str, utterances: int) -> float:
    """Return how many of `utterances` may be skipped: `12` is a count, `0.05` or `5%` a share.

    >>> allowed_skips("12", 1000), allowed_skips("5%", 1000), allowed_skips("0.05", 1000)
    (12.0, 50.0, 50.0)
    """
    try:
        if text.endswith("%"):
            value = float(text[:-1]) / 100 * utterances
            if value > utterances:
                raise ValueError
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
    schemes = plan.corpus.schemes
    # What was left out on purpose stays annotated, and counts nowhere: neither in a loss nor in what is fitted.
    excluded = {skip.key for skip in plan.skips if skip.reason in ASKED_FOR}
    index = [rows.get(utterance.key) or index_row(utterance, schemes, loss_mask=float(utterance.key not in excluded))
             for utterance in plan.corpus.utterances]
    write_index(run.out / INDEX, index, schema(plan.corpus.annotation, schemes))
    lines = (json.dumps({"key": skip.key, "reason": skip.reason, "detail": skip.detail}, ensure_ascii=False) + "\n"
             for skip in skips)
    write_bytes(run.out / SKIPPED, "".join(lines).encode())
    manifest = _manifest(plan, skips, shards, rows.values())
    write_bytes(run.out / CARD, card(manifest))
    run.seal(manifest.to_bytes())
    return _result_of(manifest, run.out, plan, fresh=True, skips=tuple(skips))


def _check_skips(skips: list[Skip], plan: SegmentPlan, allowed: float, max_skipped: str, out: Path) -> None:
    faults = [skip for skip in skips if skip.reason not in ASKED_FOR]
    if len(faults) > allowed:
        reasons = ", ".join(f"{number} {reason}" for reason, number in Counter(s.reason for s in faults).items())
        raise TooManySkipped(
            f"{len(faults)} of {plan.to_cut} utterances were skipped", where=str(out),
            expected=f"at most {max_skipped}", got=f"{reasons}; first {faults[0].key}: {faults[0].detail}",
            remedy="shards are kept, no manifest was written; mend IN or run again with a larger --max-skipped")


def _manifest(plan: SegmentPlan, skips: list[Skip], shards: list[dict], rows: Collection[dict]) -> Manifest:
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
        written=len(rows), modalities={name: how[name] for name in plan.modalities},
        schemes={scheme.name: scheme for scheme in plan.corpus.schemes}, annotation=plan.corpus.annotation,
        shards=shards, skipped=dict(Counter(skip.reason for skip in skips)), citation=module.CITATION,
        licence=module.LICENCE, versions=versions(*packages), notes=[*_notes(plan.corpus), *_lost(rows)])


def _notes(corpus: Corpus) -> list[str]:
    notes = list(corpus.notes)
    if corpus.bare_splits:
        notes.append(f"no clips for {', '.join(corpus.bare_splits)}: annotation only")
    if corpus.unused_clips:
        names = ", ".join(name.rsplit("/", 1)[-1] for name in corpus.unused_clips[:10])
        more = f" and {len(corpus.unused_clips) - 10} more" if len(corpus.unused_clips) > 10 else ""
        notes.append(f"clips without a row in the annotation: {len(corpus.unused_clips)} ({names}{more})")
    return notes


LOSSES = ("film-undecodable", "sound-undecodable", "beyond-the-film", "beyond-the-sound", "damaged", "no-picture",
          "no-sound")
"""Flags of utterances that lack what others have: a half-copied disk must not look like success."""


def _lost(rows: Collection[dict]) -> list[str]:
    """Tell how many samples lack pictures or sound, by the first flag that says why."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if flag := next((flag for flag in LOSSES if flag in row["flags"]), None):
            found.setdefault(flag, []).append(row["key"])
    return [f"{flag}: {len(keys)} of {len(rows)} utterances (first {keys[0]})" for flag, keys in found.items()]


def _result_of(manifest: Manifest, out: Path, plan: SegmentPlan, *, fresh: bool = False,
               skips: tuple[Skip, ...] = ()) -> SegmentResult:
    return SegmentResult(manifest.corpus, str(out), manifest.written, dict(manifest.skipped),
                         [shard["name"] for shard in manifest.shards], tuple(manifest.notes),
                         plan.corpus.bare_splits, fresh, skips)
