"""The state of a run as another shell can see it: from the files in OUT alone, without touching the run or its lock."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emoprep.errors import EmoprepError, MissingInput
from emoprep.segment.parts import by_part, share
from emoprep.segment.plan import ASKED_FOR
from emoprep.segment.planned import Planned, read_plan
from emoprep.store.folder import MANIFEST, STATE, Run, begun, pieces_intact
from emoprep.store.heartbeat import Beat, beats
from emoprep.store.manifest import Manifest

__all__ = ["STATES", "Done", "Status", "status"]

STATES = {
    "running": "a process is at work",
    "interrupted": "it was ended before it was done; what is finished is kept",
    "waiting": "parts are missing, or all are there and `emoprep seal` is not done yet",
    "complete": "there is a manifest, and its shards or tables are as long as it says",
    "damaged": "there is a manifest, and a shard or table is missing or has another length",
    "not begun": "nothing was finished or planned yet",
}


@dataclass(frozen=True)
class Done:
    """How many are done, and of how many: None where that is not known."""

    done: int
    planned: int | None = None


@dataclass(frozen=True)
class Status:
    """What is known of a run; `state` is one of STATES.

    `shards` are shards or, of other commands, finished pieces. `utterances` are those of `segment`; those begun in
    unfinished shards count while it runs. `parts` has the shards of each part. `processes` are what is at work, as
    (process id, host). `heard` is how many seconds ago the run last told of itself, `written` when a shard was last
    finished (seconds since 1970). `ended` is why it ended, and `go_on` the command that goes on.
    """

    out: str
    state: str
    command: str | None = None
    corpus: str | None = None
    shards: Done = Done(0)
    utterances: Done | None = None
    parts: dict[str, Done] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    clips_per_second: float | None = None
    seconds_left: float | None = None
    decoding: float | None = None
    processes: tuple[tuple[int, str], ...] = ()
    heard: float | None = None
    written: float | None = None
    ended: str | None = None
    go_on: str | None = None

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["processes"] = [{"pid": pid, "host": host} for pid, host in self.processes]
        for name in ("heard", "written"):
            del data[name]
        return {"schema": "emoprep.status/1", **data, "last_heard_seconds": self.heard,
                "last_written": None if self.written is None
                else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.written))}


def status(out: Path) -> Status:
    """Tell the state of the run that fills or filled OUT.

    Raises MissingInput where no run of emoprep has been, and EmoprepError where a manifest cannot be read.
    """
    if not out.is_dir():
        raise MissingInput("OUT is a file" if out.exists() else "OUT is not there", where=str(out),
                           expected="a folder that emoprep fills or has filled")
    told = None if (out / MANIFEST).is_file() else _unfinished(out)
    if (out / MANIFEST).is_file():  # it may have come meanwhile
        return _sealed(out)
    if told is None:
        raise MissingInput("no run of emoprep has been here", where=str(out),
                           expected=f"{MANIFEST}, or {STATE}/ of a run that is not done")
    return told


def _unfinished(out: Path) -> Status | None:
    if not (out / STATE).is_dir() and any(out.iterdir()):
        return None
    facts, run = begun(out), Run(out, complete=False)
    # `balance` on shards takes features first, in the workshop of its OUT.
    told = beats(run.workshop) or beats(run.workshop / "features" / STATE)
    if facts is None and not told:
        return Status(str(out), "not begun")
    if facts is None or facts["command"] != "segment":
        return _unsealed(run, (facts or {}).get("command"), told)
    return _segmenting(run, facts, told)


def _sealed(out: Path) -> Status:
    manifest = Manifest.from_bytes((out / MANIFEST).read_bytes(), str(out / MANIFEST))
    pieces = [*manifest.shards, *manifest.tables]
    lost = pieces_intact(out, {"shards": pieces})
    return Status(
        str(out), "damaged" if lost else "complete", manifest.facts["command"], manifest.corpus,
        Done(len(pieces), len(pieces)), Done(manifest.written, sum(manifest.counts.values())),
        skipped=dict(manifest.skipped), written=(out / MANIFEST).stat().st_mtime,
        ended=f"{lost} is missing, or has another length" if lost else None,
        go_on="run the command that made it again: it notices" if lost else None)


def _unsealed(run: Run, command: str | None, told: Sequence[Beat]) -> Status:
    """Return what is known of a run of another command: which pieces are finished, and whether it is at work."""
    notes = list(run.workshop.glob("**/pieces/*.json"))
    return Status(str(run.out), _state(told), command, shards=Done(len(notes)), written=_newest(notes),
                  go_on=_go_on(told), **_of_beats(told))


def _segmenting(run: Run, facts: dict[str, Any], told: Sequence[Beat]) -> Status:
    """Return the state of `segment` before its manifest: what is finished from the notes, the rest from its word."""
    parts = facts.get("parts")
    try:
        planned = read_plan(run)
    except EmoprepError:  # it has only just begun, or was begun by an older version
        return _unsealed(run, "segment", told)
    notes = {name: note for name in planned.shards
             if (note := run.finished(name)) is not None and not note.get("again")}
    counted = Counter(skip.reason for skip in planned.skips)
    counted.update(reason for note in notes.values() for _, reason, _ in note["skips"])
    done = sum(len(note["rows"]) + len(note["skips"]) for note in notes.values())
    alive = [beat.values for beat in told if beat.alive and "done" in beat.values]
    if parts:
        done += sum(values["done"] - values["safe"] for values in alive)
    else:
        done = max([done, *(values["done"] for values in alive)])  # its word is up to two seconds old
    missing = [name for name in planned.shards if name not in notes]
    state = _state(told)
    return Status(
        str(run.out), "waiting" if parts and state != "running" else state, "segment", planned.manifest.corpus,
        Done(len(notes), len(planned.shards)), Done(min(done, _to_cut(planned)), _to_cut(planned)),
        _parts(planned.shards, missing, parts) if parts else {}, dict(counted),
        written=_newest(run.workshop.glob("pieces/*.json")), go_on=_go_on(told, run.out, missing, planned, parts),
        **_of_beats(told))


def _to_cut(planned: Planned) -> int:
    """Return how many utterances the shards are to hold: those to cut, less those whose clip was missing."""
    return planned.to_cut - sum(skip.reason not in ASKED_FOR for skip in planned.skips)


def _parts(shards: Sequence[str], missing: Sequence[str], parts: int) -> dict[str, Done]:
    lacks = by_part(shards, missing, parts)
    sizes = {f"{part}/{parts}": len(share(shards, part, parts)) for part in range(1, parts + 1)}
    return {part: Done(size - len(lacks.get(part, ())), size) for part, size in sizes.items()}


def _state(told: Sequence[Beat]) -> str:
    return "running" if any(beat.alive for beat in told) else "interrupted"


def _of_beats(told: Sequence[Beat]) -> dict[str, Any]:
    """Return what only the runs themselves know."""
    alive = [beat for beat in told if beat.alive]
    if not alive:
        ends = [beat.ended for beat in told if beat.ended != ""]
        return {"ended": ends[-1] or "it was killed, or its machine stopped" if ends else None,
                "heard": told[-1].age if told else None}
    speeds, left, shares = ([value for beat in alive if (value := beat.values.get(name)) is not None]
                            for name in ("per_second", "seconds_left", "decoding"))
    return {"clips_per_second": sum(speeds) or None, "seconds_left": max(left, default=None),
            "decoding": sum(shares) / len(shares) if shares else None,
            "processes": tuple((beat.pid, beat.host) for beat in alive), "heard": max(beat.age for beat in alive)}


def _go_on(told: Sequence[Beat], out: Path | None = None, missing: Sequence[str] = (), planned: Planned | None = None,
           parts: int | None = None) -> str | None:
    """Return the command that goes on with a run that nobody is at work on."""
    if any(beat.alive for beat in told):
        return None
    if parts and planned and not missing:
        return shlex.join(["emoprep", "seal", str(out)])
    if not told:
        return "run the same command again"
    last = told[-1]
    command = last.command_line
    for beat in told if parts and planned else ():
        words = shlex.split(beat.command_line.replace("--part=", "--part "))
        if "--part" in words:  # another part is made by the same command but for its number
            words[words.index("--part") + 1] = next(iter(by_part(planned.shards, missing, parts)))
            last, command = beat, shlex.join(words)
    return command if last.folder == os.getcwd() else f"cd {shlex.quote(last.folder)} && {command}"


def _newest(paths: Iterable[Path]) -> float | None:
    times = []
    for path in paths:
        with contextlib.suppress(OSError):  # the folder goes when the run is sealed
            times.append(path.stat().st_mtime)
    return max(times, default=None)
