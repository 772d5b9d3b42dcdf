"""The Dask room: the same contract and the same bytes, whatever dies on the way."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import distributed
import pytest
from many_clips import build_clips

from emoprep import engine
from emoprep.engine import cluster as room
from emoprep.errors import CorpusError, EmoprepError, MissingInput, UsageError

SHARDS = ("--shard-utterances", "2", "--size", "48")


# --------------------------------------------------------------------------------- functions for the workers

@dataclass(frozen=True)
class Task:
    """`folder` is where workers leave word for the test."""

    name: str
    folder: Path
    places: tuple[str, ...] = ()

    def __str__(self):
        return f"shard {self.name}"

    def tell(self, what):
        with (self.folder / what).open("a") as file:
            file.write(f"{os.getpid()}\n")

    def told(self, what):
        path = self.folder / what
        return path.read_text().split() if path.exists() else []


def work(task):
    """Be at each place of the task, and do what the place says."""
    done = []
    for place in task.places:
        engine.at(place)
        task.tell("places")
        if place == "dies" or (place == "dies-once" and not task.told("died")):
            task.tell("died")
            os.kill(os.getpid(), signal.SIGKILL)
        if place == "fault":
            raise CorpusError("the row is wrong", where="a.csv:7", expected="a number", got="'x'", remedy="mend it")
        if place == "bug":
            return {}["no such key"]
        if place == "waits":
            time.sleep(0.2)
        done.append(place)
    engine.at("")
    return task.name, done


def without(task, place, cause):
    assert cause == "its Dask worker died"
    return replace(task, places=tuple(other for other in task.places if other != place))


def threads(_task):
    import numpy  # noqa: F401 - brings the library whose threads are counted
    from threadpoolctl import threadpool_info

    return {pool["num_threads"] for pool in threadpool_info()}


# ------------------------------------------------------------------------------------------------- a cluster

def dask(*args, quiet=True):
    """Start one of Dask's own programs in a process group of its own."""
    return subprocess.Popen([sys.executable, "-m", "dask", *map(str, args)], start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL if quiet else None,
                            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)})


def kill(process):
    """Kill a program with all its children: a nanny would start its worker anew."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def scheduling(folder):
    """Give a scheduler's address, and a function that starts a worker for it; all end with the block."""
    told, started = folder / "scheduler.json", []
    started.append(dask("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", told))

    def worker(*args):
        started.append(dask("worker", address, "--nthreads", 1, "--no-dashboard", "--local-directory",
                            folder / "dask", *args))
        return started[-1]
    try:
        until(lambda: told.exists() and told.read_text().endswith("}"))
        address = json.loads(told.read_bytes())["address"]
        yield address, worker
    finally:
        for process in started:
            kill(process)


@pytest.fixture
def scheduler(tmp_path):
    with scheduling(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Return a cluster of two workers, for all tests that leave it whole."""
    with scheduling(tmp_path_factory.mktemp("pair")) as (address, worker):
        worker(), worker()
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield engine.Cluster(address)


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def clips(once):
    return once("cluster-clips", lambda folder: build_clips(folder, 48, dev=4))


@pytest.fixture(scope="session")
def alone(once, clips, emoprep):
    """Return the store of the clips, made by one process and undisturbed. Read only."""
    return once("cluster-alone", lambda out: emoprep("segment", clips, out, *SHARDS, "-j", 1, "-q", check=True))


def digests(out):
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.rglob("*")) if path.is_file()}


def start(source, out, *args):
    return subprocess.Popen([sys.executable, "-m", "emoprep", "segment", str(source), str(out), *SHARDS, "-q", *args],
                            start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# -------------------------------------------------------------------------------------------- the same bytes

@pytest.mark.long
def test_a_worker_that_is_killed_changes_no_byte(clips, alone, scheduler, tmp_path):
    address, worker = scheduler
    victim, _ = worker(), worker()
    out = tmp_path / "out"
    run = start(clips, out, "--engine", "dask", "--scheduler", address)
    until(lambda: len(list(out.glob("*.tar"))) >= 4 or run.poll() is not None)
    assert run.poll() is None, "it was over before a worker could be killed"
    kill(victim)
    told, complaints = run.communicate(timeout=60)
    assert (run.returncode, complaints) == (0, ""), complaints
    assert "52 utterances" in told
    assert digests(out) == digests(alone)


def test_a_cluster_of_its_own_changes_no_byte(clips, alone, tmp_path, emoprep):
    """From another working folder, by a path that holds only there."""
    done = emoprep("segment", os.path.relpath(clips, tmp_path), "out", *SHARDS, "--engine", "dask", "-j", 2, "-q",
                   cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert digests(tmp_path / "out") == digests(alone)


def test_a_scheduler_that_goes(clips, alone, scheduler, tmp_path):
    address, worker = scheduler
    worker()
    out = tmp_path / "out"
    run = start(clips, out, "--engine", "dask", "--scheduler", address)
    until(lambda: list(out.glob("*.tar")) or run.poll() is not None)
    os.kill(scheduler_of(address), signal.SIGKILL)
    _, complaints = run.communicate(timeout=60)
    assert run.returncode == 1
    assert complaints == (f"emoprep: {address}: the Dask scheduler has gone; finished shards are kept: start it and "
                          "run the same command again to go on\n")
    assert not (out / "manifest.json").exists()
    assert start(clips, out).wait(60) == 0
    assert digests(out) == digests(alone)


def scheduler_of(address):
    """Return the process that listens there."""
    port = f"{int(address.rpartition(':')[2]):04X}"
    inodes = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
              if line.split()[1].endswith(f":{port}") and line.split()[3] == "0A"}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) in {f"socket:[{inode}]" for inode in inodes}:
                return int(link.parts[2])
    raise AssertionError("nobody listens there")


def test_ctrl_c(clips, tmp_path):
    """The key reaches all processes of the group; one line is told, and none is left."""
    out = tmp_path / "out"
    run = start(clips, out, "--engine", "dask", "-j", "2")
    until(lambda: list(out.glob("*.tar")) or run.poll() is not None)
    os.killpg(run.pid, signal.SIGINT)
    _, complaints = run.communicate(timeout=60)
    assert run.returncode == 130
    assert complaints.startswith("emoprep: interrupted; ") and complaints.count("\n") == 1
    assert not list(out.rglob("*.tar.*.draft"))
    until(lambda: not of_group(run.pid))


def of_group(group):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(stat.parts[2]))
    return found


# ---------------------------------------------------------------------------------------------- the contract

def run(tasks, *, cluster, function=work, **options):
    return engine.run(function, tasks, jobs=2, cluster=cluster, **options)


def test_results_and_places(tmp_path, pair):
    tasks = [Task(str(number), tmp_path, ("a", "b")) for number in range(8)]
    heard = []
    results = sorted(run(tasks, cluster=pair, heard=lambda number, place: heard.append((number, place))))
    assert results == [(number, (str(number), ["a", "b"])) for number in range(8)]
    for number in range(8):
        assert [place for other, place in heard if other == number] == ["", "a", "b", ""]
    assert len(set(tasks[0].told("places"))) == 2
    assert str(os.getpid()) not in tasks[0].told("places")


def test_no_tasks_start_no_cluster():
    assert list(run([], cluster=engine.Cluster("tcp://127.0.0.1:9"))) == []


def test_workers_calculate_with_one_thread(pair):
    assert list(run([0], function=threads, cluster=pair)) == [(0, {1})]


def test_an_expected_failure_comes_through_as_it_is(tmp_path, pair):
    with pytest.raises(CorpusError) as caught:
        list(run([Task("a", tmp_path, ("waits",)), Task("b", tmp_path, ("fault",))], cluster=pair))
    assert str(caught.value) == "a.csv:7: the row is wrong: expected a number, got 'x'; mend it"


def test_a_bug_arrives_with_its_traceback(tmp_path, pair):
    with pytest.raises(RuntimeError) as caught:
        list(run([Task("a", tmp_path, ("bug",))], cluster=pair))
    assert "KeyError: 'no such key'" in str(caught.value) and "test_cluster.py" in str(caught.value)
    assert not isinstance(caught.value, EmoprepError)


@pytest.mark.long
def test_a_task_goes_on_without_what_its_workers_died_of(tmp_path, pair):
    """And nothing else is lost, though it waited on the same workers."""
    tasks = [Task("bad", tmp_path, ("a", "dies", "b")),
             *(Task(str(number), tmp_path, ("waits", "c")) for number in range(6))]
    results = dict(run(tasks, cluster=pair, without=without))
    assert results == {0: ("bad", ["a", "b"]), **{number + 1: (str(number), ["waits", "c"]) for number in range(6)}}
    assert 3 <= len(tasks[0].told("died")) <= 4


def test_a_worker_that_dies_once_costs_nothing(tmp_path, pair):
    tasks = [Task("bad", tmp_path, ("a", "dies-once", "b"))]
    assert list(run(tasks, cluster=pair)) == [(0, ("bad", ["a", "dies-once", "b"]))]


@pytest.mark.long
def test_whose_fault_it_is_cannot_be_told_of_a_worker_of_many_threads(scheduler, tmp_path):
    address, worker = scheduler
    worker("--nthreads", 2)
    with pytest.raises(EmoprepError) as caught:
        list(run([Task("bad", tmp_path, ("a", "dies", "b"))], cluster=engine.Cluster(address), without=without))
    assert str(caught.value) == (
        "shard bad: Dask workers died 4 times over one task: got the last at dies; finished shards are kept; give "
        "workers more memory, and one thread each (--nthreads 1) so that it shows which utterance does it; or "
        "--exclude it")


def test_a_worker_stops_when_its_run_was_killed(scheduler, tmp_path):
    """It could finish a shard of a run that has long begun anew."""
    address, worker = scheduler
    worker()
    script = ("import sys, pathlib, test_cluster\n"
              "task = test_cluster.Task('long', pathlib.Path(sys.argv[2]), ('waits',) * 100)\n"
              "list(test_cluster.run([task], cluster=test_cluster.engine.Cluster(sys.argv[1])))")
    process = subprocess.Popen([sys.executable, "-c", script, address, str(tmp_path)],
                               env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)})
    task = Task("long", tmp_path)
    until(lambda: len(task.told("places")) >= 3)
    kill_one(process)
    time.sleep(1)  # the scheduler notices that the connection is gone
    before = len(task.told("places"))
    time.sleep(1)
    assert len(task.told("places")) == before < 30
    assert list(run([Task("next", tmp_path, ("a",))], cluster=engine.Cluster(address))) == [(0, ("next", ["a"]))]


def kill_one(process):
    process.kill()
    process.wait()


# -------------------------------------------------------------------------------------------- what is missing

def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr(room, "REACHED_WITHIN", "1s")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    begun = time.monotonic()
    with pytest.raises(MissingInput) as caught:
        list(run([0], cluster=engine.Cluster(address)))
    assert time.monotonic() - begun < 10
    assert str(caught.value).startswith(f"--scheduler {address}: the Dask scheduler cannot be reached: got ")
    assert str(caught.value).endswith("check that it runs there and that this machine may reach it")


@pytest.mark.parametrize("address", ["", "nonsense", "host", "http://host:1", "tcp://host", "tcp://host:port", "a b:1"])
def test_what_is_no_address(address):
    with pytest.raises(UsageError, match="this is no address: expected what `dask scheduler` prints"):
        list(run([0], cluster=engine.Cluster(address)))


def test_a_scheduler_whose_keys_are_missing():
    with pytest.raises(MissingInput, match="the keys for this scheduler are missing"):
        list(run([0], cluster=engine.Cluster("tls://127.0.0.1:9")))


def test_without_the_package(clips, tmp_path):
    script = "import sys; sys.modules['distributed'] = None; from emoprep.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", script, "segment", str(clips), str(tmp_path / "out"), "--engine",
                           "dask", "-q"], capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stderr.startswith("emoprep: --engine dask: an optional package is missing: got ")
    assert done.stderr.endswith('; pip install "emoprep[dask]"\n')


@pytest.mark.parametrize("needs, told", [
    ({"versions": {"numpy": "0.0"}}, "other versions than on this machine: "
     "expected numpy 0.0, got numpy "),
    ({"versions": {"no-such-package": "1"}}, "expected no-such-package 1, got no-such-package not installed; install "
     "the same everywhere"),
    ({"files": ("/", "/no/such/place")}, "a worker does not see this path: got /no/such/place; IN and OUT must lie on "
     "a disk that all machines have under the same path"),
])
def test_workers_that_would_make_something_else(tmp_path, pair, needs, told):
    with pytest.raises(EmoprepError) as caught:
        list(run([Task("a", tmp_path, ("a",))], cluster=replace(pair, **needs)))
    assert told in str(caught.value) and f"Dask worker on {socket.gethostname()}" in str(caught.value)
    assert not Task("a", tmp_path).told("places")


def test_a_worker_without_emoprep(scheduler, tmp_path):
    address, _ = scheduler
    script = "import sys; sys.modules['emoprep'] = None; from distributed.cli.dask_worker import main; main()"
    process = subprocess.Popen([sys.executable, "-c", script, address, "--no-nanny", "--no-dashboard",
                                "--local-directory", str(tmp_path)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with pytest.raises(EmoprepError) as caught:
            list(run([0], function=abs, cluster=engine.Cluster(address)))
    finally:
        kill_one(process)
    assert str(caught.value).startswith("--engine dask: a worker cannot import what it needs: got ")
    assert str(caught.value).endswith("install the same emoprep where the workers run")


@pytest.mark.parametrize("args, told", [
    (["--engine", "ray"], "--engine: not known: expected local or dask, got ray"),
    (["--scheduler", "tcp://h:1"], "--scheduler: only a Dask cluster has a scheduler: got tcp://h:1; add --engine "
     "dask"),
    (["--engine", "dask", "--scheduler", "tcp://h:1", "-j", "2"], "--jobs with --scheduler: that cluster has its "
     "workers already; leave --jobs out: how many there are is the cluster's business"),
])
def test_options_that_make_no_sense(tmp_path, emoprep, args, told):
    done = emoprep("segment", tmp_path / "in", tmp_path / "out", *args)
    assert (done.returncode, done.stderr) == (2, f"emoprep: {told}\n")
