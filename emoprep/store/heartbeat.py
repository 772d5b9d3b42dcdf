"""A small file by which another shell can tell how a run is doing, without touching the run's lock.

While a run is at work it writes `.emoprep/progress.json` (a part `progress-2-of-4.json`) every two seconds: its process
and machine, the command line, and how far it is. When it ends without sealing, it says there why. The folder goes when
the manifest comes, so no store ever names a machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Beat", "Heartbeat", "beating", "beats"]

EVERY_S = 2.0

SILENT_S = 120.0
"""On another machine nobody can look for the process; network disks show a change up to a minute later."""

PATTERN = "progress*.json"


class Heartbeat:
    """Writes the file from a thread of its own: the run may be waiting for a decoder."""

    def __init__(self, path: Path):
        self.path, self.over, self.lock = path, threading.Event(), threading.Lock()
        self.values: Callable[[], Mapping[str, Any]] = dict
        self.facts = {**_process(), "command_line": _command_line(), "folder": os.getcwd(), "begun": time.time()}
        self.thread = threading.Thread(target=self._keep, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._write()
        self.thread.start()

    def tell(self, values: Callable[[], Mapping[str, Any]]) -> None:
        """Write these values from now on, as they are at that time."""
        self.values = values
        self._write()

    def stop(self, ended: str | None = None) -> None:
        """Write no more; `ended` says why the run ends here, None: its folder is about to go."""
        if self.over.is_set():
            return
        self.over.set()
        self.thread.join()
        if ended is not None:
            self._write(ended)

    def _keep(self) -> None:
        while not self.over.wait(EVERY_S):
            self._write()

    def _write(self, ended: str | None = None) -> None:
        sketch = self.path.with_name(f"{self.path.name}.{os.getpid()}.draft")
        data = {**self.facts, **self.values(), "ended": ended, "told": time.time()}
        # A full disk is told by what the run was made for; that it cannot be told about is no reason to end it.
        with self.lock, contextlib.suppress(OSError):
            try:
                sketch.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
                os.replace(sketch, self.path)
            finally:
                sketch.unlink(missing_ok=True)


@contextlib.contextmanager
def beating(workshop: Path, part: str = "") -> Iterator[Heartbeat]:
    """Tell how the run in this block is doing; `part` is "2-of-4" where several fill a folder.

    What raises is what the file says of the end.
    """
    if part:
        with contextlib.suppress(OSError):  # what a run without parts said last is no news any more
            (workshop / "progress.json").unlink()
    beat = Heartbeat(workshop / (f"progress-{part}.json" if part else "progress.json"))
    beat.start()
    try:
        yield beat
    except Exception as error:
        beat.stop(str(error) or type(error).__name__)
        raise
    except BaseException as stop:
        beat.stop("interrupted")
        stop.add_note(_safe(workshop, beat.values()))  # `__main__` tells it
        raise
    beat.stop("")


def _safe(workshop: Path, values: Mapping[str, Any]) -> str:
    """Say what of a run that was stopped need not be made again."""
    if values:
        return (f"{values['shards']} of {values['shards_total']} shards ({values['safe']:,} utterances) are safe in "
                f"{workshop.parent}")
    pieces = sum(1 for _ in workshop.glob("pieces/*.json"))
    return f"{pieces} finished pieces are safe in {workshop.parent}"


# ------------------------------------------------------------------------------------------- reading it

@dataclass(frozen=True)
class Beat:
    """What a run last told of itself. `values` are those of its tally; `age` is in seconds.

    `ended` is why it ended, "" where it did what it was asked for, None where it did not say: it is at work, or was
    killed.
    """

    pid: int
    host: str
    command_line: str
    folder: str
    age: float
    ended: str | None
    alive: bool
    values: dict[str, Any]


def beats(workshop: Path) -> list[Beat]:
    """Return what the runs that fill a folder last told of themselves, the latest last."""
    found = []
    for path in workshop.glob(PATTERN):
        try:
            data = json.loads(path.read_bytes())
            age = max(0.0, time.time() - float(data["told"]))
            found.append(Beat(int(data["pid"]), str(data["host"]), str(data["command_line"]), str(data["folder"]), age,
                              data["ended"], data["ended"] is None and _alive(data, age), data))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is being replaced, or is none of ours
    return sorted(found, key=lambda beat: -beat.age)


def _alive(data: Mapping[str, Any], age: float) -> bool:
    """Tell whether the process is there: by looking for it on the same machine, by its age from elsewhere."""
    here = _process()
    if data.get("machine") != here["machine"]:
        return age < SILENT_S
    return _started(int(data["pid"])) == data.get("started")


def _process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": os.uname().nodename, "machine": _machine(), "started": _started(os.getpid())}


@cache
def _machine() -> str:
    """Return what is the same only for processes that see each other: the boot of a machine, and the pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return os.uname().nodename


def _started(pid: int) -> str | None:
    """Return when a process began, which tells it from a later one with the same number; None: there is none."""
    try:
        # The name of the program, in brackets, may hold anything. Field 3 is the state, field 22 the start (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"


def _command_line() -> str:
    """Return the command as a person would type it again.

    The program itself goes by its name, wherever it is installed; a script that calls us is told as it was started.
    """
    program = Path(sys.argv[0] if sys.argv else "")
    ours = program.name == "emoprep" or program.parts[-2:] == ("emoprep", "__main__.py")
    # What was begun anew is gone on with without that option: it would begin anew again.
    return shlex.join(["emoprep", *(word for word in sys.argv[1:] if word != "--overwrite")] if ours else sys.orig_argv)
