"""The closing step: from what was written down and the notes of all shards to index, list of skips, card and manifest.

It has OUT alone: a run in parts is closed by whoever comes last (planned.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emoprep.errors import EmoprepError, MissingInput, TooManySkipped, UsageError
from emoprep.segment.parts import by_part
from emoprep.segment.plan import ASKED_FOR
from emoprep.segment.planned import read_annotated, read_plan
from emoprep.store.card import card
from emoprep.store.faces import join_faces
from emoprep.store.folder import CARD, FACTS, INDEX, SKIPPED, Run, begun, start_run, tidy, write_bytes
from emoprep.store.index import with_media, write_index
from emoprep.store.manifest import Manifest, is_store, open_store
from emoprep.utterance import Skip

__all__ = ["SegmentResult", "allowed_skips", "check_skips", "finish", "result_of", "seal"]


@dataclass(frozen=True)
class SegmentResult:
    """What was written; `fresh` is False where the store was complete already.

    Of a part ("2/3") it tells what this part made, and by part which shards are `missing` yet.
    """

    corpus: str
    out: str
    written: int
    skipped: dict[str, int]
    shards: list[str]
    notes: tuple[str, ...] = ()
    without_media: tuple[str, ...] = ()
    fresh: bool = True
    skips: tuple[Skip, ...] = field(default=(), repr=False)
    part: str | None = None
    missing: dict[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"schema": "emoprep.segment/1", "corpus": self.corpus, "out": self.out, "written": self.written,
                "skipped": self.skipped, "shards": self.shards, "without_media": list(self.without_media),
                "notes": list(self.notes), "fresh": self.fresh, "part": self.part, "missing": self.missing}


def seal(out: Path, *, max_skipped: str = "5%") -> SegmentResult:
    """Close a store whose shards were made in parts.

    Raises MissingInput where no run has begun in OUT, EmoprepError where shards are missing, and TooManySkipped.
    """
    allowed_skips(max_skipped, 0)  # so that a bad one is told whether it is needed or not
    if is_store(out):
        tidy(out)
        return result_of(open_store(out).manifest, out)
    told = begun(out)
    if told is None:
        raise MissingInput("no run has begun here", where=str(out),
                           remedy="`emoprep segment IN OUT --part I/N` makes the shards")
    if told["command"] != "segment":
        raise UsageError("only what `emoprep segment` makes is sealed", where=str(out), got=str(told["command"]),
                         remedy="run that command again: it goes on, and closes the store")
    with start_run(out, {name: told[name] for name in FACTS}) as run:
        if run.complete:  # somebody else was quicker
            return result_of(open_store(out).manifest, out)
        return finish(run, max_skipped)


def finish(run: Run, max_skipped: str) -> SegmentResult:
    """Write index, list of skips, card and, last, the manifest; raise where shards are missing."""
    planned, table = read_plan(run), read_annotated(run)
    notes = _notes(run, planned.shards)
    place = {key: number for number, key in enumerate(table.column("key").to_pylist())}
    skips = sorted([*planned.skips, *(Skip(*skip) for note in notes for skip in note["skips"])],
                   key=lambda skip: place[skip.key])
    check_skips(skips, planned.to_cut, max_skipped, run.out)
    rows = [row for note in notes for row in note["rows"]]
    write_index(run.out / INDEX, with_media(table, rows))
    modalities = dict(planned.manifest.modalities)
    if planned.manifest.facts["settings"]["faces"]:
        modalities["video"] = {**modalities["video"], "face_table": join_faces(run.out, notes)}
    lines = (json.dumps({"key": skip.key, "reason": skip.reason, "detail": skip.detail}, ensure_ascii=False) + "\n"
             for skip in skips)
    write_bytes(run.out / SKIPPED, "".join(lines).encode())
    splits = table.column("split").to_pylist()
    shards = [{**note["shard"], "split": splits[place[note["rows"][0]["key"]]]} for note in notes if note["shard"]]
    manifest = replace(planned.manifest, written=len(rows), shards=shards, modalities=modalities,
                       skipped=dict(Counter(skip.reason for skip in skips)),
                       notes=[*planned.manifest.notes, *_lost(rows)])
    write_bytes(run.out / CARD, card(manifest))
    run.seal(manifest.to_bytes())
    return result_of(manifest, run.out, without_media=planned.without_media, fresh=True, skips=tuple(skips))


def _notes(run: Run, shards: Sequence[str]) -> list[dict[str, Any]]:
    """Return the notes of all shards, in order; raise where shards are missing."""
    run.look()
    found = {name: run.finished(name) for name in shards}
    missing = [name for name, note in found.items() if note is None]
    if missing:
        parts = (begun(run.out) or {}).get("parts")
        again = " and ".join(f"--part {part}" for part in by_part(shards, missing, parts)) if parts else ""
        raise EmoprepError(
            f"{len(missing)} of {len(shards)} shards are missing ({', '.join(missing[:5])}"
            f"{' …' if len(missing) > 5 else ''})", where=str(run.out),
            remedy=f"run `emoprep segment` as before with {again}, then seal again" if parts else
                   "run `emoprep segment` again as before; workers on other machines must see the same OUT")
    return list(found.values())


def check_skips(skips: Sequence[Skip], to_cut: int, max_skipped: str, out: Path) -> None:
    """Raise TooManySkipped where more are skipped than allowed, apart from those that were asked for."""
    faults = [skip for skip in skips if skip.reason not in ASKED_FOR]
    if len(faults) > allowed_skips(max_skipped, to_cut):
        reasons = ", ".join(f"{number} {reason}" for reason, number in Counter(s.reason for s in faults).items())
        raise TooManySkipped(
            f"{len(faults)} of {to_cut} utterances were skipped", where=str(out),
            expected=f"at most {max_skipped}", got=f"{reasons}; first {faults[0].key}: {faults[0].detail}",
            remedy="shards are kept, no manifest was written; mend IN or run again with a larger --max-skipped")


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


LOSSES = ("film-undecodable", "sound-undecodable", "beyond-the-film", "beyond-the-sound", "damaged", "no-picture",
          "no-sound")
"""Flags of utterances that lack what others have: a half-copied disk must not look like success."""


def _lost(rows: Collection[Mapping[str, Any]]) -> list[str]:
    """Tell how many samples lack pictures or sound, by the first flag that says why."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if flag := next((flag for flag in LOSSES if flag in row["flags"]), None):
            found.setdefault(flag, []).append(row["key"])
    return [f"{flag}: {len(keys)} of {len(rows)} utterances (first {keys[0]})" for flag, keys in found.items()]


def result_of(manifest: Manifest, out: Path, *, without_media: Sequence[str] = (), fresh: bool = False,
              skips: tuple[Skip, ...] = ()) -> SegmentResult:
    """Return what a finished store holds."""
    return SegmentResult(manifest.corpus, str(out), manifest.written, dict(manifest.skipped),
                         [shard["name"] for shard in manifest.shards], tuple(manifest.notes), tuple(without_media),
                         fresh, skips)
