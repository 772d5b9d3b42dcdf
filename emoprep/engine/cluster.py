"""Workers of a Dask cluster: one on this machine, or one that is there already and whose workers see the same disk.

Dask hands tasks out and gives those of a worker that died to another one. What it does not tell is where in its task
a worker was: each worker tells that through the scheduler, and waits until the scheduler knows. So it is known even if
the next thing that the worker does is to die, and so a worker notices that nobody waits for its task any more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import platform
import queue
import re
import secrets
import signal
import socket
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

from emoprep import __version__, engine
from emoprep.errors import EmoprepError, MissingInput, UsageError

__all__ = ["ClusterRun"]

ATTEMPTS = 3

MOST_ROUNDS = 5
"""How often a task is handed to Dask anew when its workers died, each time at another place."""

REACHED_WITHIN = "10s"
LOOK_EVERY_S = 1.0
DIED = "its Dask worker died"

# These talk to each other, and what they say differs from release to release.
_DASK = ("python", "dask", "distributed")


class ClusterRun:
    """Tasks on their way through a cluster; arguments are those of `engine.run`."""

    def __init__(self, function: Callable[[Any], Any], tasks: Sequence[Any], *, jobs: int, heard: engine.Heard,
                 without: engine.Without | None, cluster: engine.Cluster):
        self.function, self.tasks, self.jobs = function, list(tasks), jobs
        self.heard, self.without, self.cluster = heard, without, cluster
        self.needs = _Needs(cluster.files, cluster.versions)
        self.topic = f"emoprep-{secrets.token_hex(8)}"
        self.news: queue.SimpleQueue = queue.SimpleQueue()  # what Dask's thread hears: (task number, what)
        self.places: dict[int, str] = {}  # where the worker of each running task is
        self.alone: dict[int, bool] = {}  # whether its worker takes one task at a time
        self.deaths: Counter[tuple[int, str]] = Counter()
        self.rounds: Counter[int] = Counter()
        self.futures: dict[int, Any] = {}

    def work(self) -> Iterator[tuple[int, Any]]:
        """Yield (task number, result) until all is done; nothing is left pending, however it ends."""
        with _client(self.cluster.address, self.jobs) as client:
            client.subscribe_topic(self.topic, lambda event: self.news.put((event[1]["number"], event[1])))
            try:
                for number in range(len(self.tasks)):
                    self._hand_out(client, number)
                while self.futures:
                    number, what = self._next(client)
                    if number in self.futures and isinstance(what, dict):
                        self._hear(number, what)
                    elif what is self.futures.get(number):
                        yield from self._take(client, number, what)
            finally:
                with contextlib.suppress(Exception):  # the scheduler may be what went
                    client.cancel(list(self.futures.values()))

    def _hand_out(self, client, number):
        self.rounds[number] += 1
        key = f"{self.topic}-{number}-{self.rounds[number]}"
        order = pickle.dumps((_serve, (self.function, self.tasks[number], number, self.topic, self.needs)))
        future = client.submit(_porter(), order, key=key, pure=False)
        self.futures[number] = future
        self._await(number, future)

    def _await(self, number, future):
        future.add_done_callback(lambda future: self.news.put((number, future)))

    def _next(self, client):
        while True:
            try:
                return self.news.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                if client.status not in ("running", "connecting"):
                    raise self._gone() from None

    def _hear(self, number, told):
        if told["begins"]:
            self._mourn(number)  # where it was begun before, that worker is gone
            self.alone[number] = told["threads"] == 1
        self.places[number] = told["place"]
        self.heard(number, told["place"])

    def _mourn(self, number):
        place = self.places.pop(number, None)
        if place is not None:
            self.deaths[number, place] += 1
        return place

    def _take(self, client, number, future):
        from distributed import CancelledError, KilledWorker

        if future.status in ("pending", "lost"):  # its worker died before the result was fetched: it is made again
            self._await(number, future)
            return
        try:
            said, what = future.result()
        except KilledWorker:
            self._again(client, number)
            return
        except (OSError, CancelledError) as error:
            raise self._gone() from error
        if said == "lacks":
            raise EmoprepError("a worker cannot import what it needs", where="--engine dask", got=what,
                               remedy="install the same emoprep where the workers run")
        if said != "done":
            raise what if said == "failed" else RuntimeError(f"a worker failed:\n{what}")
        del self.futures[number]
        self.places.pop(number, None)
        yield number, what

    def _again(self, client, number):
        """Hand out anew what Dask gave up because its workers died: without what they died of, if that is known.

        A worker of several threads takes more tasks than one with it, and then nobody knows whose fault it was.
        """
        place, task = self._mourn(number), self.tasks[number]
        deaths = self.deaths[number, place]
        if place and deaths >= ATTEMPTS and self.without and self.alone[number]:
            self.tasks[number] = self.without(task, place, DIED)
        elif deaths >= ATTEMPTS or self.rounds[number] >= MOST_ROUNDS:
            died = sum(count for (other, _), count in self.deaths.items() if other == number)
            raise EmoprepError(
                f"Dask workers died {died} times over one task", where=str(task), got=f"the last at {place or 'start'}",
                remedy="finished shards are kept; give workers more memory, and one thread each (--nthreads 1) so that "
                       "it shows which utterance does it; or --exclude it")
        self._hand_out(client, number)

    def _gone(self):
        return EmoprepError("the Dask scheduler has gone", where=self.cluster.address or "--engine dask",
                            remedy="finished shards are kept: start it and run the same command again to go on")


# ------------------------------------------------------------------------------------------- the cluster

@contextlib.contextmanager
def _client(address: str | None, jobs: int):
    """Connect to the scheduler at `address`, or to a cluster of one's own that ends with the block."""
    if address is not None and not re.fullmatch(r"((tcp|tls|wss?)://)?[^\s/]+:[0-9]{1,5}", address):
        raise UsageError("this is no address", where="--scheduler", got=address,
                         expected="what `dask scheduler` prints, as tcp://HOST:8786")
    try:
        import distributed  # noqa: F401 - whether it is there
    except ImportError as error:
        raise MissingInput("an optional package is missing", where="--engine dask", got=str(error),
                           remedy='pip install "emoprep[dask]"') from error
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(("distributed", "tornado"))]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what matters of it is told by errors of ours
    with contextlib.ExitStack() as open_, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # among them that versions differ: that is an error here
        at = address or open_.enter_context(_own_cluster(jobs))
        client = open_.enter_context(_connected(at))
        _require_versions(client)
        yield client


def _own_cluster(jobs: int):
    from distributed import LocalCluster

    resource_tracker.ensure_running()  # the first process would start it, and undo the mask on the way
    # Ctrl-C reaches the whole group; this process decides. Threads and processes keep the mask they are born with.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True, scheduler_port=0,
                            dashboard_address=None, silence_logs=logging.CRITICAL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _connected(address):
    from distributed import Client, Security

    if str(address).startswith(("tls:", "wss:")) and not Security().get_connection_args("client").get("ssl_context"):
        raise MissingInput("the keys for this scheduler are missing", where=f"--scheduler {address}",
                           expected="distributed.comm.tls in Dask's configuration")
    try:
        return Client(address, timeout=REACHED_WITHIN, set_as_default=False)
    except OSError as error:
        raise MissingInput("the Dask scheduler cannot be reached", where=f"--scheduler {address}", got=str(error),
                           remedy="check that it runs there and that this machine may reach it") from error


def _require_versions(client) -> None:
    """Raise where scheduler or workers could not even understand what this process sends them."""
    told = client.get_versions()
    here = _versions(_DASK)
    for where, side in (("Dask scheduler", told["scheduler"]), *told["workers"].items()):
        there = {**side["packages"], "python": ".".join(side["host"]["python"].split(".")[:2])}
        if differ := [name for name in _DASK if there[name] != here[name]]:
            raise _other_versions(where, {name: here[name] for name in differ}, there)


def _other_versions(where: str, expected: Mapping[str, str], got: Mapping[str, str]) -> EmoprepError:
    return EmoprepError("other versions than on this machine", where=where,
                        expected=", ".join(f"{name} {version}" for name, version in expected.items()),
                        got=", ".join(f"{name} {got[name]}" for name in expected),
                        remedy="install the same everywhere: other versions make other bytes")


# -------------------------------------------------------------------------------------------- on a worker

@dataclass(frozen=True)
class _Needs:
    """What each worker must have, or it would make something else."""

    files: tuple[str, ...]
    versions: Mapping[str, str]

    def check(self) -> None:
        where = f"Dask worker on {socket.gethostname()}"
        if lost := next((path for path in self.files if not os.path.exists(path)), None):
            raise EmoprepError("a worker does not see this path", where=where, got=lost,
                               remedy="IN and OUT must lie on a disk that all machines have under the same path")
        have = _versions(self.versions)
        if differ := {name: version for name, version in self.versions.items() if have[name] != version}:
            raise _other_versions(where, differ, have)


def _versions(packages) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(platform.python_version_tuple()[:2]), "emoprep": __version__}
    for name in packages:
        if name not in found:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = "not installed"
    return {name: found[name] for name in packages}


def _porter() -> Callable[[bytes], tuple[str, Any]]:
    """Return what takes an order to a worker: a function that travels by value, as it is defined in another one.

    A worker that cannot import what Dask sends it by name dies of it without a word.
    """
    def carry(order):
        import pickle

        try:
            serve, arguments = pickle.loads(order)
        except ImportError as error:
            return "lacks", str(error)
        return serve(*arguments)
    return carry


class _Unwanted(Exception):
    """Nobody waits for this task any more."""


def _serve(function, task, number, topic, needs):
    """Work on one task in a worker; what it raises goes back as data."""
    from distributed import get_worker
    from distributed.utils import sync
    from threadpoolctl import threadpool_limits

    worker = get_worker()
    key = worker.get_current_task()

    def tell(place, begins=False):
        # A thread cannot be stopped; but a run that was ended may have been begun anew.
        here = worker.state.tasks.get(key)
        if here is None or here.state != "executing":
            raise _Unwanted
        # Worker.log_event would not wait; a client of the worker's own would, and complain when the worker ends.
        sync(worker.loop, worker.scheduler.log_event, topic=topic, msg={
            "number": number, "place": place, "begins": begins, "threads": worker.state.nthreads})

    try:
        needs.check()
        tell("", begins=True)
        engine.listen(tell)
        with threadpool_limits(1):
            return "done", function(task)
    except EmoprepError as error:
        return "failed", error
    except Exception:  # noqa: BLE001 - a bug must reach the run as a bug, with its traceback
        return "bug", traceback.format_exc()
    finally:
        engine.listen(None)
