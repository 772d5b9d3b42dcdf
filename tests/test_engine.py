"""The engine: the same results whatever the number of workers, and no task lost when one of them dies."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from emoprep.engine import at, cores, run
from emoprep.errors import CorpusError, EmoprepError

# A task is anything that can be pickled; the functions below run in the workers.


@dataclass(frozen=True)
class Task:
    """`folder` is where workers leave word for the test."""

    name: str
    folder: Path

    def __str__(self):
        return f"shard {self.name}"

    def tell(self, what):
        with (self.folder / what).open("a") as file:
            file.write(f"{os.getpid()}\n")

    def told(self, what):
        path = self.folder / what
        return [int(line) for line in path.read_text().split()] if path.exists() else []


def square(number):
    return number * number


def payload(size):
    return os.urandom(1)[:0] + b"x" * size


def slow(task):
    task.tell("pids")
    time.sleep(0.05)
    return task.name


def work(task):
    """Do what the task's name says."""
    task.tell("pids")
    task.tell(f"attempts-{task.name}")
    if task.name == "dies-once" and len(task.told("attempts-dies-once")) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name == "exits":
        os._exit(7)
    if task.name == "late-fault":
        time.sleep(0.3)
        raise CorpusError("the row is wrong", where="a.csv:7", expected="a number", got="'x'", remedy="mend it")
    if task.name == "fault":
        raise CorpusError("the row is wrong", where="a.csv:7", expected="a number", got="'x'", remedy="mend it")
    if task.name == "bug":
        return {}["no such key"]
    if task.name == "hangs":
        time.sleep(600)
    time.sleep(0.01)
    return task.name


def environment(_task):
    return [os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")]


def interrupt_oneself(_task):
    """What a worker gets when Ctrl-C is pressed."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return "alive"


def alive(pid):
    """Tell whether a process is there and not merely waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids, within=5):
    """Wait until all these processes are gone."""
    end = time.monotonic() + within
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, pids))


# ------------------------------------------------------------------------------------------------- results

@pytest.mark.parametrize("jobs", [1, 2, 3, 50])
def test_results_do_not_depend_on_the_number_of_workers(jobs):
    results = list(run(square, range(20), jobs=jobs))
    assert sorted(results) == [(number, number * number) for number in range(20)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_tasks_no_results(jobs):
    assert list(run(square, [], jobs=jobs)) == []


def test_one_task_is_done_in_this_process(tmp_path):
    task = Task("a", tmp_path)
    assert list(run(work, [task], jobs=8)) == [(0, "a")]
    assert task.told("pids") == [os.getpid()]


def test_many_tasks_are_shared_by_as_many_processes_as_asked_for(tmp_path):
    tasks = [Task(str(number), tmp_path) for number in range(12)]
    assert {result for _, result in run(slow, tasks, jobs=2)} == {str(number) for number in range(12)}
    pids = tasks[0].told("pids")
    assert len(pids) == 12
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    assert gone(pids)


def test_results_come_as_they_are_made(tmp_path):
    """The first is there long before the last is."""
    tasks = [Task(str(number), tmp_path) for number in range(30)]
    stream = run(slow, tasks, jobs=2)
    next(stream)
    assert len(tasks[0].told("pids")) < 10
    stream.close()


def test_large_tasks_and_results():
    """Larger than a pipe holds, in both directions at once."""
    results = dict(run(len, [b"x" * 3_000_000] * 6, jobs=2))
    assert results == dict.fromkeys(range(6), 3_000_000)
    assert {number: len(data) for number, data in run(payload, [2_000_000 + n for n in range(6)], jobs=2)} == {
        number: 2_000_000 + number for number in range(6)}


PRELOADED = """
import sys, test_engine
import emoprep.engine as engine
if __name__ == "__main__":
    preload = tuple(sys.argv[2:])
    if sys.argv[1] == "ahead":
        engine.prepare(preload)
    print([there for _, there in engine.run(test_engine.is_loaded, ["colorsys"] * 2, jobs=2, preload=preload)])
"""


def is_loaded(module):
    return module in sys.modules


@pytest.mark.parametrize("when", ["ahead", "then"])
@pytest.mark.parametrize("preload, loaded", [(("colorsys",), True), (("fractions",), False)])
def test_modules_are_loaded_beforehand(when, preload, loaded):
    """In a process of its own: the server of workers is started once."""
    done = subprocess.run([sys.executable, "-c", PRELOADED, when, *preload], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)})
    assert done.stdout.strip() == str([loaded] * 2)


def test_workers_calculate_with_one_thread():
    script = ("import test_engine, emoprep.engine as e, os\n"
              "if __name__ == '__main__':\n"
              "    print([result for _, result in e.run(test_engine.environment, [0, 1], jobs=2)])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                          env={**{name: value for name, value in os.environ.items() if "NUM_THREADS" not in name},
                               "PYTHONPATH": str(Path(__file__).parent)})
    assert done.stdout.strip() == str([["1"] * 3] * 2)


def test_cores_are_those_this_process_may_use():
    assert cores() == len(os.sched_getaffinity(0)) >= 1


# -------------------------------------------------------------------------------------------- dying workers

def test_a_worker_that_is_killed_once_costs_nothing(tmp_path):
    tasks = [Task(name, tmp_path) for name in ("a", "b", "dies-once", "c", "d")]

    results = sorted(run(work, tasks, jobs=2))

    assert results == list(enumerate(["a", "b", "dies-once", "c", "d"]))
    assert len(tasks[0].told("attempts-dies-once")) == 2
    # Nothing else was done twice, and the dead one was replaced.
    assert len(tasks[0].told("pids")) == 6
    assert len(set(tasks[0].told("pids"))) == 3


@pytest.mark.parametrize("name, got", [("dies", "signal 9"), ("exits", "exit code 7")])
def test_a_task_that_always_kills_is_named_after_three_attempts(tmp_path, name, got):
    tasks = [Task(task, tmp_path) for task in ("a", "b", name, "c", "d")]
    finished = []

    with pytest.raises(EmoprepError) as caught:
        finished.extend(result for _, result in _kept(run(work, tasks, jobs=2), finished))

    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        f"shard {name}: a worker died 3 times over one task: got {got}; finished shards are kept; run again with fewer "
        "--jobs if memory was short, or --exclude the utterance that does it")
    assert len(tasks[0].told(f"attempts-{name}")) == 3
    assert {"a", "b"} <= set(finished)
    assert gone(tasks[0].told("pids"))


def _kept(stream, finished):
    """Yield nothing, but remember every result that came before the failure."""
    for _number, result in stream:
        finished.append(result)
    yield from ()


def test_all_workers_may_die_at_once(tmp_path):
    """Each of two tasks kills its worker twice; a third attempt would do, but for both of them."""
    tasks = [Task("dies-once", tmp_path), Task("a", tmp_path), Task("b", tmp_path)]
    assert sorted(run(work, tasks, jobs=3)) == [(0, "dies-once"), (1, "a"), (2, "b")]


# --------------------------------------------------------------------------- what kills a worker is left out

@dataclass(frozen=True)
class Steps:
    """A task of several steps, some of which kill or hang the worker; `folder` is where workers leave word."""

    steps: tuple[str, ...]
    folder: Path

    def __str__(self):
        return "steps"


def step_by_step(task):
    for step in task.steps:
        at(step)
        with (task.folder / step).open("a") as file:
            file.write("x")
        if step.startswith("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        if step.startswith("hangs"):
            time.sleep(600)
    at("")
    return task.steps


def leave_out(task, step, cause):
    (task.folder / f"cause-{step}").write_text(cause)
    return Steps(tuple(other for other in task.steps if other != step), task.folder)


@pytest.mark.parametrize("jobs", [2, 3])
def test_what_workers_die_of_three_times_is_left_out_and_all_else_is_done(tmp_path, jobs):
    tasks = [Steps(("a", "dies-1", "b", "dies-2"), tmp_path), Steps(("c", "d"), tmp_path), Steps(("dies-3",), tmp_path)]

    results = dict(run(step_by_step, tasks, jobs=jobs, without=leave_out))

    assert results == {0: ("a", "b"), 1: ("c", "d"), 2: ()}
    for number in (1, 2, 3):
        assert (tmp_path / f"dies-{number}").read_text() == "xxx"
        assert (tmp_path / f"cause-dies-{number}").read_text() == "signal 9"


def test_a_single_task_does_not_kill_the_run_either(tmp_path):
    tasks = [Steps(("a", "dies", "b"), tmp_path)]
    assert list(run(step_by_step, tasks, jobs=2, without=leave_out)) == [(0, ("a", "b"))]


def test_a_worker_that_stays_too_long_is_killed_and_what_held_it_left_out_at_once(tmp_path):
    tasks = [Steps(("a", "hangs", "b"), tmp_path), Steps(("c",), tmp_path)]

    results = dict(run(step_by_step, tasks, jobs=2, without=leave_out, patience=0.5))

    assert results == {0: ("a", "b"), 1: ("c",)}
    assert (tmp_path / "hangs").read_text() == "x"
    assert (tmp_path / "cause-hangs").read_text() == "no end after 0.5 s"


def test_patience_is_for_each_step_and_not_for_the_task(tmp_path):
    tasks = [Task(str(number), tmp_path) for number in range(30)]
    assert len(dict(run(slow_steps, tasks, jobs=2, without=leave_out, patience=0.6))) == 30


def slow_steps(task):
    for step in range(3):
        at(str(step))
        time.sleep(0.3 if task.name == "7" else 0)
    return task.name


def test_a_death_at_no_place_in_particular_is_nobodys_fault(tmp_path):
    with pytest.raises(EmoprepError, match="a worker died 3 times over one task"):
        list(run(work, [Task("dies", tmp_path), Task("a", tmp_path)], jobs=2, without=leave_out))


@pytest.mark.parametrize("jobs", [1, 2])
def test_where_workers_are_is_heard(tmp_path, jobs):
    heard = []
    tasks = [Steps(("a", "b"), tmp_path), Steps(("c",), tmp_path)]
    list(run(step_by_step, tasks, jobs=jobs, heard=lambda number, place: heard.append((number, place))))
    assert sorted(heard) == [(0, ""), (0, "a"), (0, "b"), (1, ""), (1, "c")]
    at("nobody listens here any more")
    assert len(heard) == 5


def test_ctrl_c_is_the_parents_business():
    assert sorted(run(interrupt_oneself, range(3), jobs=2)) == [(number, "alive") for number in range(3)]


# ---------------------------------------------------------------------------------------------- exceptions

@pytest.mark.parametrize("jobs", [1, 2])
def test_an_expected_failure_comes_through_as_it_is(tmp_path, jobs):
    tasks = [Task(name, tmp_path) for name in ("a", "fault", "b")]
    with pytest.raises(CorpusError) as caught:
        list(run(work, tasks, jobs=jobs))
    assert type(caught.value) is CorpusError
    assert str(caught.value) == "a.csv:7: the row is wrong: expected a number, got 'x'; mend it"
    assert caught.value.where == "a.csv:7"
    assert len(tasks[0].told("attempts-fault")) == 1


def test_a_bug_reaches_the_parent_with_its_traceback(tmp_path):
    with pytest.raises(RuntimeError) as caught:
        list(run(work, [Task("a", tmp_path), Task("bug", tmp_path)], jobs=2))
    told = str(caught.value)
    assert "Traceback (most recent call last)" in told
    assert "KeyError: 'no such key'" in told
    assert "test_engine.py" in told
    assert not isinstance(caught.value, EmoprepError)


def test_a_bug_in_this_process_is_itself(tmp_path):
    with pytest.raises(KeyError, match="no such key"):
        list(run(work, [Task("bug", tmp_path)], jobs=1))


@pytest.mark.parametrize("end", ["fault", "bug", "dies", "close", "interrupt"])
def test_no_process_is_left_behind(tmp_path, end):
    """Also one that is in the middle of a long task is dismissed."""
    culprit = end if end in ("fault", "bug", "dies") else "a"
    tasks = [Task("hangs", tmp_path), Task(culprit, tmp_path)]
    stream = run(work, tasks, jobs=2)
    with pytest.raises((EmoprepError, RuntimeError, KeyboardInterrupt, StopIteration)):
        if end == "close":
            next(stream)
            stream.close()
            next(stream)
        elif end == "interrupt":
            next(stream)
            stream.throw(KeyboardInterrupt)
        else:
            list(stream)
    pids = tasks[0].told("pids")
    assert len(pids) >= 1
    assert gone(pids, within=3)


ORPHANS = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
import test_engine
from emoprep.engine import run
if __name__ == "__main__":
    tasks = [test_engine.Task(str(n), pathlib.Path(sys.argv[2])) for n in range(2000)]
    for _ in run(test_engine.slow, tasks, jobs=2):
        print("one", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_go_when_their_parent_is_killed(tmp_path, how):
    process = subprocess.Popen([sys.executable, "-c", ORPHANS, str(Path(__file__).parent), str(tmp_path)],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "one\n"
        process.send_signal(how)
        process.wait(10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.stdout.close()
    pids = set(Task("", tmp_path).told("pids"))
    assert 1 <= len(pids) <= 2
    assert gone(pids)
    # They did not work through the rest.
    assert len(Task("", tmp_path).told("pids")) < 100
