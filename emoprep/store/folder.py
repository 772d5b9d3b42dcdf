"""A folder that is being filled or is complete: who may write there, and how nothing is ever half.

Finished pieces are renamed into place; what is in the making, the locks and the list of finished pieces lie in
`.emoprep/`, which goes when the manifest comes. A folder with `manifest.json` is complete. One run at a time fills a
folder, or several parts of one run, each with pieces of its own.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emoprep.errors import UsageError
from emoprep.store.drafts import STATE, disk_error, draft, take_over, write_bytes
from emoprep.store.heartbeat import Heartbeat, beating
from emoprep.store.locks import LOCKS, Part, at_the_door, just_ended, let_in

__all__ = ["CARD", "FACES", "INDEX", "MANIFEST", "PLAN", "SKIPPED", "STATE", "Part", "Run", "begun", "canonical_json",
           "check_out", "draft", "fingerprint", "pieces_intact", "read_json", "refuse_same", "start_run", "take_over",
           "tidy", "write_bytes"]

MANIFEST = "manifest.json"
INDEX = "utterances.parquet"
SKIPPED = "skipped.jsonl"
CARD = "README.md"
FACES = "faces.parquet"
PLAN = "plan.parquet"

FACTS = ("command", "settings", "inputs")
"""What a fingerprint is taken over: the command, its settings that change bytes, and what it reads."""

# What `--overwrite` may remove: only names that emoprep itself writes.
_OURS = ("*-[0-9][0-9][0-9][0-9][0-9][0-9].tar", INDEX, FACES, PLAN, "train.parquet", "dev.parquet",
         "test.parquet", "all.parquet", MANIFEST, SKIPPED, CARD, "class_weights.json",
         "class_weights.npy", "sampler.npz", "scaler.npz")


def canonical_json(data: Any) -> bytes:
    """Return one spelling of JSON data, for hashing and for files that must not differ between runs."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def read_json(raw: bytes) -> Any:
    """Read JSON as it is defined: NaN and infinity are none, and nesting has an end. Raises ValueError."""
    def refuse(word: str):
        raise ValueError(f"{word} is no JSON")
    try:
        data = json.loads(raw, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    return data


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return the sha256 over everything that decides the bytes of a store."""
    return hashlib.sha256(canonical_json(facts)).hexdigest()


class Run:
    """One run that fills a folder: which pieces are finished, and the closing step.

    A piece (a shard, a table) is finished when `pieces/<name>.json` lies in `.emoprep/`; that file holds what
    the closing step needs of it.
    """

    def __init__(self, out: Path, complete: bool, beat: Heartbeat | None = None):
        self.out, self.complete, self.beat = out, complete, beat

    def tell(self, values: Callable[[], Mapping[str, Any]]) -> None:
        """Have `emoprep status` told these values, as they are when they are asked for."""
        if self.beat:
            self.beat.tell(values)

    @property
    def workshop(self) -> Path:
        """Where drafts and notes lie until the manifest comes."""
        return self.out / STATE

    def look(self) -> None:
        """Have the disk look again for what others finished: network disks remember for a while what was missing."""
        for folder in (self.out, self._note("").parent):
            with contextlib.suppress(OSError):
                os.listdir(folder)

    def finished(self, name: str) -> dict[str, Any] | None:
        """Return what was noted of a finished piece, or None where it has to be made."""
        try:
            note = json.loads(self._note(name).read_bytes())
        except (OSError, ValueError):
            return None
        files = note.get("files", {})
        intact = all((self.out / file).is_file() and (self.out / file).stat().st_size == size
                     for file, size in files.items())
        return note if intact else None

    def _note(self, name: str) -> Path:
        return self.workshop / "pieces" / f"{name}.json"

    def finish(self, name: str, note: Mapping[str, Any]) -> None:
        """Note that a piece is in place (its files were renamed before)."""
        path = self._note(name)
        with _reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with draft(path, self.workshop) as sketch:
            sketch.write_bytes(canonical_json(note))

    def seal(self, manifest: bytes) -> None:
        """Write the manifest, the last file of a store, and clear the workshop."""
        write_bytes(self.out / MANIFEST, manifest)
        if self.beat:
            self.beat.stop()
        shutil.rmtree(self.workshop, ignore_errors=True)


def tidy(out: Path) -> None:
    """Clear the workshop of a complete store, whose run was killed before it could."""
    shutil.rmtree(out / STATE, ignore_errors=True)


def refuse_same(source: Path, out: Path) -> None:
    """Raise UsageError where OUT is IN: filling it would begin with clearing what is to be read."""
    if out.exists() and source.exists() and os.path.samefile(source, out):
        raise UsageError("OUT is IN", where=str(out), expected="another folder")


def pieces_intact(folder: Path, manifest: Mapping[str, Any]) -> str | None:
    """Return the first shard or table of a manifest that is missing or has another size, or None."""
    for piece in (*manifest.get("shards", ()), *manifest.get("tables", ())):
        path = folder / piece["name"]
        if not path.is_file() or path.stat().st_size != piece["size"]:
            return piece["name"]
    return None


def check_out(out: Path, facts: Mapping[str, Any], *, overwrite: bool = False) -> bool:
    """Tell whether OUT is complete and holds the run that `facts` describe; nothing is changed.

    Raises UsageError where OUT holds another run (naming what differs), or something that is no store.
    """
    facts = json.loads(canonical_json(facts))  # as it will be read back, so that differences are real ones
    if out.exists() and not out.is_dir():
        raise UsageError("OUT is a file", where=str(out), expected="a folder, or a name that is free")
    try:
        earlier = _earlier(out)
    except ValueError as error:
        raise UsageError("OUT holds a manifest that cannot be read", where=str(out), got=str(error),
                         remedy="give another OUT, or remove that folder") from error
    if earlier is None:
        _refuse_foreign(out, overwrite)
        return False
    sealed = (out / MANIFEST).is_file()
    if earlier["fingerprint"] == fingerprint(facts):
        # A piece that was lost since is made again, with all others: what remains was not checked.
        return sealed and not overwrite and pieces_intact(out, earlier["pieces"]) is None
    if earlier["fingerprint"] is None and sealed:
        raise UsageError("OUT holds another run", where=str(out), expected="a name that is free",
                         got=f"a {MANIFEST} that emoprep did not write")
    if not overwrite:
        made_by, now = earlier["facts"]["command"], facts["command"]
        raise UsageError("OUT holds another run", where=str(out),
                         got=_difference(earlier["facts"], facts) if made_by == now
                         else f"command {made_by} there, {now} now",
                         remedy="give another OUT, or --overwrite to start anew")
    return False


@contextlib.contextmanager
def start_run(out: Path, facts: Mapping[str, Any], *, overwrite: bool = False, part: Part | None = None
              ) -> Iterator[Run]:
    """Open OUT for the run that `facts` describe: a new one, one to go on with, or one that is complete.

    With `part`, other parts of the same run may be at work there. Raises as `check_out`, and UsageError where another
    process is at work in OUT.
    """
    if check_out(out, facts, overwrite=overwrite):
        # make compares times: a run with nothing left to do still brings its target up to date.
        os.utime(out / MANIFEST)
        tidy(out)
        yield Run(out, complete=True)
        return
    with _reported(out):
        (out / STATE).mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with at_the_door(out):
            alone = let_in(out, part, held)
            if check_out(out, facts, overwrite=overwrite):
                raise just_ended(out)
            if not alone and (parts := (begun(out) or {}).get("parts")) != part.of:
                raise UsageError("the run at work here is cut into other parts", where=f"{out} --part {part}",
                                 expected=f"--part I/{parts}", remedy="or wait for those parts to end")
            if alone and overwrite:
                _clear(out)
            # Before anything is written: a run that tells nothing of itself counts as one that has ended.
            beat = held.enter_context(beating(out / STATE, f"{part.number}-of-{part.of}" if part else ""))
            if alone:
                _begin(out, facts, part)
            _remove_drafts(out, part)  # of runs that were killed
        try:
            yield Run(out, complete=False, beat=beat)
        finally:
            _remove_drafts(out, part)  # of workers that were dismissed; on a full disk their space is wanted


def begun(out: Path) -> dict[str, Any] | None:
    """Return the facts of the run that has begun in OUT, with "parts" where it is done in parts; None: none has."""
    try:
        data = json.loads((out / STATE / "run.json").read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and set(FACTS) <= set(data) else None


def _begin(out: Path, facts: Mapping[str, Any], part: Part | None) -> None:
    """Clear away what a run that was killed left, and write down which run this is."""
    _remove_drafts(out)
    with _reported(out):
        # Also without --overwrite: a store that has lost a piece no longer claims to be whole.
        (out / MANIFEST).unlink(missing_ok=True)
    parts = part.of if part else (begun(out) or {}).get("parts")
    told = {"fingerprint": fingerprint(facts), **facts, **({"parts": parts} if parts else {})}
    write_bytes(out / STATE / "run.json", canonical_json(told), out / STATE)


def _remove_drafts(out: Path, part: Part | None = None) -> None:
    """Remove all drafts, or those of the pieces of a part: others may be at work on theirs."""
    for sketch in (out / STATE).glob("*.draft"):
        if part is None or sketch.name.startswith(tuple(f"{piece}." for piece in part.pieces)):
            sketch.unlink(missing_ok=True)


@contextlib.contextmanager
def _reported(out: Path):
    try:
        yield
    except OSError as error:
        raise disk_error(error, out) from error


def _earlier(out: Path) -> dict[str, Any] | None:
    """Return the fingerprint and facts of what OUT holds, complete or not; None where no run has begun there.

    Raises ValueError where the manifest cannot be read.
    """
    for path in (out / MANIFEST, out / STATE / "run.json"):
        if path.is_file():
            try:
                data = json.loads(path.read_bytes())
                if not isinstance(data, dict):
                    raise ValueError(f"{type(data).__name__} instead of an object")
            except ValueError:
                if path.name == MANIFEST:
                    raise
                return None  # run.json is the first file of a run; torn, it says that nothing was made yet
            try:
                pieces = {name: [{"name": piece["name"], "size": piece["size"]} for piece in data.get(name, ())]
                          for name in ("shards", "tables")}
            except (TypeError, KeyError) as error:
                raise ValueError("shards or tables are not as emoprep writes them") from error
            return {"fingerprint": data.get("fingerprint"), "facts": {name: data.get(name) for name in FACTS},
                    "pieces": pieces}
    return None


def _refuse_foreign(out: Path, overwrite: bool) -> None:
    """Raise UsageError where OUT has no manifest and no run, and yet is not empty."""
    names = [entry.name for entry in out.iterdir() if entry.name != STATE] if out.is_dir() else []
    foreign = any(not any(fnmatch.fnmatch(name, ours) for ours in _OURS) for name in names)
    if foreign or (names and INDEX not in names):  # shards alone may be somebody's copies
        raise UsageError("OUT is not empty and holds no store", where=str(out),
                         expected="an empty folder, or a name that is free")
    if names and not overwrite:
        raise UsageError("OUT holds a store that has lost its manifest", where=str(out),
                         remedy="give another OUT, or --overwrite to start anew")


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name what differs between two runs.

    >>> _difference({"size": 112, "fps": "10"}, {"size": 224, "fps": "10"})
    'size 112 there, 224 now'
    """
    told = list(_differences(earlier, now))
    return ", ".join(told[:4]) + (f" and {len(told) - 4} more" if len(told) > 4 else "") or "other settings"


def _differences(earlier: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in dict.fromkeys([*earlier, *now]):
        old, new = earlier.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{name} ")
        else:
            shown = [text if len(text := str(value)) <= 40 else text[:12] + "…" for value in (old, new)]
            yield f"{prefix}{name} {shown[0]} there, {shown[1]} now"


def _clear(out: Path) -> None:
    for pattern in (MANIFEST, *_OURS):  # the manifest first: without it the folder no longer claims to be whole
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)
    for path in (out / STATE).iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif not path.name.startswith(LOCKS):  # we hold these
            path.unlink(missing_ok=True)
