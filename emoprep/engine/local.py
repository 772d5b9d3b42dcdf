"""Local processes. A bare `ProcessPoolExecutor` loses everything when one worker is killed; here each worker has its
own pipe, and the task of a dead one is given to a fresh one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from typing import Any

from emoprep import engine
from emoprep.errors import EmoprepError

__all__ = ["Crew", "prepare"]

ATTEMPTS = 3

# A worker decodes or projects; libraries that start threads of their own would only fight over the cores, and
# some sum in another order then.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def prepare(preload: Sequence[str]) -> None:
    """Start the server of workers, which imports these modules once for all of them."""
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    forkserver.set_forkserver_preload(["__main__", *preload])
    resource_tracker.ensure_running()  # the server starts it, and on the way lets through what is blocked here
    # Ctrl-C reaches the whole group, and would find the server in the middle of an import. It keeps this mask.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@dataclass
class _Worker:
    """A process at work on a task: where in it, since when, and whether it was killed for staying there too long."""

    process: Any
    number: int
    place: str = ""
    since: float = field(default_factory=time.monotonic)
    hung: bool = False


class Crew:
    """Workers, each on one task at a time; arguments are those of `engine.run`."""

    def __init__(self, function: Callable[[Any], Any], tasks: Sequence[Any], *, jobs: int, preload: Sequence[str],
                 heard: engine.Heard, without: engine.Without | None, patience: float | None):
        prepare(preload)
        self.context = multiprocessing.get_context("forkserver")
        self.function, self.tasks, self.jobs = function, list(tasks), jobs
        self.heard, self.without, self.patience = heard, without, patience
        self.waiting = deque(range(len(tasks)))
        self.deaths: Counter[tuple[int, str]] = Counter()
        self.workers: dict[Any, _Worker] = {}  # by their pipes

    def work(self):
        """Yield (task number, result) until all is done; leave no process behind, however it ends."""
        try:
            for _ in range(self.jobs):
                self._hire()
            while self.workers:
                for pipe in wait(list(self.workers), self._time_left()):
                    yield from self._hear(pipe)
                self._kill_hanging()
        finally:
            self._dismiss()

    def _hire(self):
        if not self.waiting:
            return
        pipe, far_end = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(far_end, self.function, os.environ.get("PATH", "")),
                                       daemon=True)
        process.start()
        far_end.close()
        self._hand_out(pipe, process)

    def _hand_out(self, pipe, process):
        worker = self.workers[pipe] = _Worker(process, self.waiting.popleft())
        with contextlib.suppress(OSError):  # a worker that died at once is noticed when its pipe is read
            pipe.send(self.tasks[worker.number])

    def _hear(self, pipe):
        worker = self.workers[pipe]
        try:
            said, what = pipe.recv()
        except (EOFError, OSError):
            pipe.close()
            worker.process.join()
            del self.workers[pipe]
            self._mourn(worker)
            return
        if said == "at":
            worker.place, worker.since = what, time.monotonic()
            self.heard(worker.number, what)
            return
        del self.workers[pipe]
        if said != "done":
            pipe.close()  # the worker ends with its pipe
            worker.process.join()
            raise what if said == "failed" else RuntimeError(f"a worker failed:\n{what}")
        if self.waiting:
            self._hand_out(pipe, worker.process)
        else:
            pipe.close()
        yield worker.number, what

    def _mourn(self, worker):
        """Have the task of a dead worker done again, without what killed it if that is known."""
        task, code = self.tasks[worker.number], worker.process.exitcode
        cause = f"no end after {self.patience:g} s" if worker.hung \
            else f"signal {-code}" if code and code < 0 else f"exit code {code}"
        self.deaths[worker.number, worker.place] += 1
        deaths = self.deaths[worker.number, worker.place]
        if worker.hung or deaths >= ATTEMPTS:
            if not worker.place or self.without is None:
                raise EmoprepError(
                    f"a worker died {deaths} times over one task", where=str(task), got=cause,
                    remedy="finished shards are kept; run again with fewer --jobs if memory was short, or --exclude "
                           "the utterance that does it")
            self.tasks[worker.number] = self.without(task, worker.place, cause)
        self.waiting.appendleft(worker.number)
        self._hire()

    def _time_left(self) -> float | None:
        """Return how long the worker that has been at one place for longest may still stay there."""
        since = [worker.since for worker in self.workers.values() if worker.place]
        return max(0.0, min(since) + self.patience - time.monotonic()) if self.patience and since else None

    def _kill_hanging(self):
        for worker in self.workers.values():
            if self.patience and worker.place and time.monotonic() > worker.since + self.patience:
                worker.hung = True
                worker.process.kill()  # its pipe closes, and it is heard of

    def _dismiss(self):
        for pipe, worker in self.workers.items():
            worker.process.terminate()
            pipe.close()
        for worker in self.workers.values():
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()


def _serve(pipe, function, path):
    """Work until the pipe closes; what a task raises goes back as data."""
    os.environ["PATH"] = path  # programs are found as the run finds them, not as the server of workers once did
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent()
    engine.listen(lambda place: pipe.send(("at", place)))
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = ("done", function(task))
        except EmoprepError as error:
            answer = ("failed", error)
        except Exception:  # noqa: BLE001 - a bug must reach the parent as a bug, with its traceback
            answer = ("bug", traceback.format_exc())
        try:
            pipe.send(answer)
        except OSError:
            return


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent, the server of workers, goes: it goes with the run.

    A worker that outlived a killed run could rename its shard into a folder that another run has begun to fill.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # Linux only; elsewhere it ends with its pipe, one task later
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
