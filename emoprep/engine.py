"""Where tasks run: in this process, or in local processes that may die without taking the others along.

A bare `ProcessPoolExecutor` loses everything when one worker is killed. Here each worker has its own pipe; the
task of a dead one is given to a fresh one, three times.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any

from emoprep.errors import EmoprepError

__all__ = ["cores", "run"]

ATTEMPTS = 3

# A worker decodes or projects; libraries that start threads of their own would only fight over the cores, and
# some sum in another order then.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Return the cores at hand."""
    return len(os.sched_getaffinity(0))


def run(function: Callable[[Any], Any], tasks: Sequence[Any], *, jobs: int, preload: Sequence[str] = ()
        ) -> Iterator[tuple[int, Any]]:
    """Yield (task number, result) as tasks finish, in any order.

    `function` and tasks must be picklable. `preload` names modules that every worker needs; they are imported
    once. An exception of a task ends the run; a task whose worker dies three times raises EmoprepError.
    """
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        for number, task in enumerate(tasks):
            yield number, function(task)
        return
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *preload])
    yield from _Crew(context, function, tasks, jobs).work()


class _Crew:
    def __init__(self, context, function, tasks, jobs):
        self.context, self.function, self.tasks, self.jobs = context, function, tasks, jobs
        self.waiting = deque(range(len(tasks)))
        self.deaths = dict.fromkeys(self.waiting, 0)
        self.workers: dict[Any, tuple[Any, int]] = {}  # pipe → (process, task number)

    def work(self):
        try:
            for _ in range(self.jobs):
                self._hire()
            while self.workers:
                for pipe in wait(list(self.workers)):
                    yield from self._hear(pipe)
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
        number = self.waiting.popleft()
        self.workers[pipe] = process, number
        with contextlib.suppress(OSError):  # a worker that died at once is noticed when its pipe is read
            pipe.send(self.tasks[number])

    def _hear(self, pipe):
        process, number = self.workers.pop(pipe)
        try:
            outcome, result = pipe.recv()
        except (EOFError, OSError):
            pipe.close()
            process.join()
            self._mourn(number, process.exitcode)
            return
        if outcome != "done":
            pipe.close()  # the worker ends with its pipe
            process.join()
            raise result if outcome == "failed" else RuntimeError(f"a worker failed:\n{result}")
        if self.waiting:
            self._hand_out(pipe, process)
        else:
            pipe.close()
        yield number, result

    def _mourn(self, number, exitcode):
        self.deaths[number] += 1
        if self.deaths[number] >= ATTEMPTS:
            raise EmoprepError(
                f"a worker died {ATTEMPTS} times over one task", where=str(self.tasks[number]),
                got=f"signal {-exitcode}" if exitcode and exitcode < 0 else f"exit code {exitcode}",
                remedy="finished shards are kept; run again with fewer --jobs if memory was short, or --exclude "
                       "the utterance that does it")
        self.waiting.appendleft(number)
        self._hire()

    def _dismiss(self):
        for pipe, (process, _) in self.workers.items():
            process.terminate()
            pipe.close()
        for process, _ in self.workers.values():
            process.join(5)
            if process.is_alive():
                process.kill()


def _serve(pipe, function, path):
    """Work until the pipe closes; what a task raises goes back as data."""
    os.environ["PATH"] = path  # programs are found as the run finds them, not as the server of workers once did
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
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
