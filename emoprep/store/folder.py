"""A folder that is being filled or is complete: who may write there, and how nothing is ever half.

Finished pieces are renamed into place; what is in the making, the lock and the list of finished pieces lie in
`.emoprep/`, which goes when the manifest comes. A folder with `manifest.json` is complete.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import fnmatch
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emoprep.errors import EmoprepError, UsageError

__all__ = ["CARD", "INDEX", "MANIFEST", "SKIPPED", "STATE", "Run", "canonical_json", "check_out", "draft",
           "fingerprint", "pieces_intact", "refuse_same", "start_run", "take_over", "write_bytes"]

MANIFEST = "manifest.json"
INDEX = "utterances.parquet"
SKIPPED = "skipped.jsonl"
CARD = "README.md"
STATE = ".emoprep"

FACTS = ("command", "settings", "inputs")
"""What a fingerprint is taken over: the command, its settings that change bytes, and what it reads."""

# What `--overwrite` may remove: only names that emoprep itself writes.
_OURS = ("*-[0-9][0-9][0-9][0-9][0-9][0-9].tar", INDEX, "plan.parquet", "train.parquet", "dev.parquet", "test.parquet",
         "all.parquet", MANIFEST, SKIPPED, CARD, "class_weights.json",
         "class_weights.npy", "sampler.npz", "scaler.npz")


def canonical_json(data: Any) -> bytes:
    """Return one spelling of JSON data, for hashing and for files that must not differ between runs."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return the sha256 over everything that decides the bytes of a store."""
    return hashlib.sha256(canonical_json(facts)).hexdigest()


@contextlib.contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Give a draft to write to, and rename it to `path` once the block ends well; else remove it.

    Drafts lie in `.emoprep/` of the same folder, so that no glob over the store ever meets one.
    """
    # The process id keeps two workers apart that were given the same piece after a death.
    sketch = path.parent / STATE / f"{path.name}.{os.getpid()}.draft"
    try:
        sketch.parent.mkdir(parents=True, exist_ok=True)
        yield sketch
        os.replace(sketch, path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            sketch.unlink()


def take_over(source: Path, target: Path) -> None:
    """Hard-link a file that does not change; copy it where the disk does not allow that."""
    with draft(target) as sketch:
        try:
            os.link(source, sketch)
        except OSError:
            shutil.copyfile(source, sketch)


def disk_error(error: OSError, path: Path) -> EmoprepError:
    """Say what the disk refused, and what is safe."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return EmoprepError("cannot write", where=str(path), got=error.strerror or str(error),
                        remedy=("make room or choose another OUT" if full else "choose another OUT")
                        + ", then run the same command again: finished shards are kept")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all."""
    with draft(path) as sketch, sketch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


class Run:
    """One run that fills a folder: which pieces are finished, and the closing step.

    A piece (a shard, a table) is finished when `pieces/<name>.json` lies in `.emoprep/`; that file holds what
    the closing step needs of it.
    """

    def __init__(self, out: Path, complete: bool):
        self.out, self.complete = out, complete

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
        return self.out / STATE / "pieces" / f"{name}.json"

    def finish(self, name: str, note: Mapping[str, Any]) -> None:
        """Note that a piece is in place (its files were renamed before)."""
        path = self._note(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        sketch = path.with_suffix(f".{os.getpid()}.draft")
        try:
            sketch.write_bytes(canonical_json(note))
            os.replace(sketch, path)
        except OSError as error:
            raise disk_error(error, path) from error

    def seal(self, manifest: bytes) -> None:
        """Write the manifest, the last file of a store, and clear the workshop."""
        write_bytes(self.out / MANIFEST, manifest)
        shutil.rmtree(self.out / STATE, ignore_errors=True)


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
def start_run(out: Path, facts: Mapping[str, Any], *, overwrite: bool = False) -> Iterator[Run]:
    """Open OUT for the run that `facts` describe: a new one, one to go on with, or one that is complete.

    Raises as `check_out`, and UsageError where another process is at work in OUT.
    """
    if check_out(out, facts, overwrite=overwrite):
        # make compares times: a run with nothing left to do still brings its target up to date.
        os.utime(out / MANIFEST)
        shutil.rmtree(out / STATE, ignore_errors=True)
        yield Run(out, complete=True)
        return
    try:
        (out / STATE).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, out) from error
    with _lock(out):
        if check_out(out, facts, overwrite=overwrite):
            raise _just_ended(out)
        _remove_drafts(out)  # of a run that was killed
        if overwrite:
            _clear(out)
        with _reported(out):
            # Also without --overwrite: a store that has lost a piece no longer claims to be whole.
            (out / MANIFEST).unlink(missing_ok=True)
            (out / STATE / "run.json").write_bytes(canonical_json({"fingerprint": fingerprint(facts), **facts}))
        try:
            yield Run(out, complete=False)
        finally:
            _remove_drafts(out)  # of workers that were dismissed; on a full disk their space is wanted


def _remove_drafts(out: Path) -> None:
    for sketch in (out / STATE).rglob("*.draft"):
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


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """Name what differs between two runs.

    >>> _difference({"size": 112, "fps": "10"}, {"size": 224, "fps": "10"})
    'size 112 there, 224 now'
    """
    told = []
    for name in dict.fromkeys([*earlier, *now]):
        old, new = earlier.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            told.append(_difference(old, new, f"{name} "))
        else:
            shown = [text if len(text := str(value)) <= 40 else text[:12] + "…" for value in (old, new)]
            told.append(f"{prefix}{name} {shown[0]} there, {shown[1]} now")
    return ", ".join(told[:4]) + (f" and {len(told) - 4} more" if len(told) > 4 else "") or "other settings"


def _just_ended(out: Path) -> UsageError:
    return UsageError("another run has just ended here", where=str(out), remedy="run the same command again")


@contextlib.contextmanager
def _lock(out: Path):
    with (out / STATE / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("another run is at work here", where=str(out),
                             remedy="wait for it, or give another OUT") from error
        place = out / STATE / "lock"
        if not place.exists() or place.stat().st_ino != os.fstat(file.fileno()).st_ino:
            # It was sealed between our opening the file and locking it: the lock holds nobody off.
            raise _just_ended(out)
        yield


def _clear(out: Path) -> None:
    for pattern in (MANIFEST, *_OURS):  # the manifest first: without it the folder no longer claims to be whole
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)
    shutil.rmtree(out / STATE / "pieces", ignore_errors=True)
