"""Where tasks run: three rooms under one contract.

    here        in this process (`-j 1`)
    local.py    in local processes, which may die without taking the others along
    cluster.py  on the workers of a Dask cluster, on this machine or on others

`run` gives each task to a function, and yields what it returned as tasks finish. A function may say with `at` where in
its task it is: that is shown, and it tells whose fault it was should the process die or hang there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cluster", "Heard", "Without", "at", "cores", "prepare", "run"]

Heard = Callable[[int, str], None]
"""`heard(task number, place)`: a worker is now there."""

Without = Callable[[Any, str, str], Any]
"""`without(task, place, cause)`: the task without what stands at `place`, where its workers died or hung."""


@dataclass(frozen=True)
class Cluster:
    """A Dask cluster: that of the scheduler at `address`, or one of its own on this machine.

    Each worker must see `files` where this process sees them, and have the packages of `versions` in these versions.
    """

    address: str | None = None
    files: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


_here = threading.local()


def at(place: str) -> None:
    """Say where in its task this worker is ("" where it is at nothing of its own, as when it closes a file)."""
    tell = getattr(_here, "tell", None)
    if tell is not None:
        tell(place)


def listen(tell: Callable[[str], None] | None) -> None:
    """Have `at` call `tell` in this thread; for the rooms."""
    _here.tell = tell


def cores() -> int:
    """Return the cores at hand."""
    return len(os.sched_getaffinity(0))


def prepare(preload: Sequence[str]) -> None:
    """Have workers' modules imported in the background, ahead of a `run` with the same `preload`."""
    from emoprep.engine.local import prepare

    prepare(preload)


def run(function: Callable[[Any], Any], tasks: Sequence[Any], *, jobs: int, preload: Sequence[str] = (),
        heard: Heard = lambda number, place: None, without: Without | None = None, patience: float | None = None,
        cluster: Cluster | None = None) -> Iterator[tuple[int, Any]]:
    """Yield (task number, result) as tasks finish, in any order.

    `function` and tasks must be picklable. `preload` names modules that every worker needs; they are imported
    once. An exception of a task ends the run. Where workers died three times at one place, or stayed there for more
    than `patience` seconds, the task goes on `without` it; where that is None, EmoprepError is raised. In this process
    (`jobs=1`) nothing can be done about either.

    With `cluster` the workers are those of a Dask cluster, where nobody watches for `patience`; one that is started for
    this run has `jobs` of them.
    """
    if cluster is not None:
        from emoprep.engine.cluster import ClusterRun

        if tasks:
            yield from ClusterRun(function, tasks, jobs=jobs, heard=heard, without=without, cluster=cluster).work()
        return
    # One task that may kill its worker must not kill the run either.
    if jobs <= 1 or not tasks or (len(tasks) == 1 and without is None):
        yield from _here_and_now(function, tasks, heard)
        return
    from emoprep.engine.local import Crew

    yield from Crew(function, tasks, jobs=min(jobs, len(tasks)), preload=preload, heard=heard, without=without,
                    patience=patience).work()


def _here_and_now(function, tasks, heard):
    try:
        for number, task in enumerate(tasks):
            listen(lambda place, number=number: heard(number, place))
            yield number, function(task)
    finally:
        listen(None)
