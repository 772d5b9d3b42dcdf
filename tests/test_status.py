"""status: what another shell is told of a run, in each state, without disturbing it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
from meld_miniature import HEADER, build_miniature
from test_progress import command, long_films, of_session, start, until  # noqa: F401 - long_films is a fixture

from emoprep.errors import MissingInput
from emoprep.media.decode import make_recipe
from emoprep.segment import plan_segment, segment
from emoprep.status import STATES, status
from emoprep.store.folder import start_run
from emoprep.store.heartbeat import beats
from emoprep.terminal import Terminal
from emoprep.terminal.status import show


def told_of(out, capsys):
    show(Terminal(), status(out))
    return capsys.readouterr().out


def snapshot(out):
    """Return what lies below OUT but for what a run itself writes now and then."""
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("*")
            if path.is_file() and not path.name.startswith("progress")}


# --------------------------------------------------------------------------------------------- a run at work

def test_running(long_films, tmp_path, emoprep, capsys):  # noqa: F811
    out = tmp_path / "out"
    process = start(long_films, out, "-q")
    # The third one's worker has made another before, and has told so.
    until(lambda: len(list(out.glob(".emoprep/pieces/*.json"))) >= 3, process)
    workers = [pid for pid in of_session(process.pid) if pid != process.pid]
    for pid in workers:  # so that nothing is written while it is looked at
        os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: json.loads((out / ".emoprep/progress.json").read_bytes())["shards"] >= 1, process)
        before = snapshot(out)
        told, shown = status(out), told_of(out, capsys)
        assert snapshot(out) == before
        finished = len(list(out.glob(".emoprep/pieces/*.json")))
        second = emoprep("segment", long_films, out, "--shard-utterances", "4")
        assert second.returncode == 2 and "another run is at work here" in second.stderr
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert (told.state, told.command, told.corpus) == ("running", "segment", "meld")
    assert (told.shards.done, told.shards.planned, told.utterances.planned) == (finished, 7, 28)
    assert 4 * finished <= told.utterances.done < 28
    assert told.processes == ((process.pid, os.uname().nodename),)
    assert told.go_on is told.ended is None
    assert told.heard < 60 and abs(told.written - time.time()) < 60
    assert 0 < told.decoding < 1
    assert shown.startswith(f"{out}: running (segment meld)\n") and f"process     {process.pid} on" in shown
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert status(out).state == "complete"
    assert not (out / ".emoprep").exists()


def test_asking_at_any_moment_disturbs_nothing(long_films, tmp_path):  # noqa: F811
    """From before the folder is there until it is sealed; nothing that is half written trips it up."""
    out, states = tmp_path / "out", []
    process = start(long_films, out, "-q", "--limit", "16")
    while process.poll() is None:
        try:
            states.append(status(out).state)
        except MissingInput as error:
            assert not states and "OUT is not there" in str(error)
        time.sleep(0.005)
    assert process.returncode == 0, process.stderr.read()
    states.append(status(out).state)
    in_order = list(dict.fromkeys(states))
    assert in_order in (["not begun", "running", "complete"], ["running", "complete"]), in_order


# ------------------------------------------------------------------------------------------ a run that ended

def test_killed_and_gone_on_with(long_films, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "out"
    process = start(long_films, out, "-q", "--overwrite")
    until(lambda: len(list(out.glob(".emoprep/pieces/*.json"))) >= 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close(), process.stderr.close()
    told = status(out)
    assert told.state == "interrupted"
    assert told.ended == "it was killed, or its machine stopped"
    assert 2 <= told.shards.done < 7
    assert told.utterances.done == 4 * told.shards.done
    assert told.clips_per_second is told.seconds_left is None and told.processes == ()
    # As the program was started, but for --overwrite.
    assert told.go_on == " ".join(["emoprep", *command(long_films, out, "-q")[3:]])
    assert f"go on with  {told.go_on}" in told_of(out, capsys)
    done = subprocess.run([sys.executable, "-m", *told.go_on.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert status(out).state == "complete"


def test_the_way_back_to_where_it_was_begun(long_films, tmp_path):  # noqa: F811
    (tmp_path / "a place").mkdir()
    process = subprocess.Popen(command(long_films, "out", "-q"), cwd=tmp_path / "a place", start_new_session=True,
                               stderr=subprocess.DEVNULL)
    until(lambda: (tmp_path / "a place/out/train-000000.tar").exists(), process)
    process.terminate()
    assert process.wait(20) == 143
    told = status(tmp_path / "a place/out")
    assert (told.state, told.ended) == ("interrupted", "interrupted")
    assert told.go_on.startswith(f"cd '{tmp_path}/a place' && emoprep segment {long_films} out ")


def test_too_many_skipped(tmp_path, emoprep, capsys):
    source = build_miniature(tmp_path).folder
    done = emoprep("segment", source, tmp_path / "out", "--size", "16", "--max-skipped", "0", "-q")
    assert done.returncode == 3
    told = status(tmp_path / "out")
    assert told.state == "interrupted"
    assert (told.shards.done, told.shards.planned) == (3, 3)
    assert (told.utterances.done, told.utterances.planned) == (15, 15)
    assert told.skipped == {"no-clip": 1, "undecodable": 1, "length-mismatch": 1}
    assert f"emoprep: {told.ended}" == done.stderr.strip()
    assert "  skipped     1 no-clip, 1 undecodable, 1 length-mismatch\n" in told_of(tmp_path / "out", capsys)


def test_features_too(demo_road, tmp_path):
    """A command that plans no utterances tells which pieces are finished."""
    facts = {"command": "features", "settings": {}, "inputs": {}}
    with pytest.raises(RuntimeError), start_run(tmp_path / "out", facts) as run:
        run.finish("train-000000", {"files": {}})
        told = status(tmp_path / "out")
        assert (told.state, told.command, told.shards.done) == ("running", "features", 1)
        raise RuntimeError("the disk has a bad day")
    told = status(tmp_path / "out")
    assert (told.state, told.ended) == ("interrupted", "the disk has a bad day")


# --------------------------------------------------------------------------------------------------- parts

def test_parts(long_films, tmp_path, emoprep, capsys):  # noqa: F811
    out = tmp_path / "out"

    def part(text):
        done = emoprep("segment", long_films, out, "--shard-utterances", "8", "--part", text, "-q", cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    part("1/3")
    told = status(out)
    assert told.state == "waiting"
    assert {name: (done.done, done.planned) for name, done in told.parts.items()} == {
        "1/3": (2, 2), "2/3": (0, 1), "3/3": (0, 1)}
    assert told.go_on.startswith(f"cd {tmp_path} && emoprep segment") and "--part 2/3" in told.go_on
    assert emoprep("seal", out).returncode == 1  # too early
    assert status(out).go_on == told.go_on and "2 of 4 shards are missing" in status(out).ended
    assert "  parts       2/3 has 0 of 1; 3/3 has 0 of 1\n" in told_of(out, capsys)
    part("2/3")
    part("3/3")
    told = status(out)
    assert (told.state, told.go_on) == ("waiting", f"emoprep seal {out}")
    assert (told.shards.done, told.utterances.done) == (4, 28)
    sealed = emoprep("seal", out)
    assert sealed.returncode == 0, sealed.stderr
    assert status(out).state == "complete"


# ------------------------------------------------------------------------------------------- finished stores

def test_complete(demo_road, emoprep):
    for store, kind in (("shards", "segment"), ("features", "features"), ("smote", "balance")):
        done = emoprep("status", demo_road / store, "--json", check=True)
        data = json.loads(done.stdout)
        assert (data["schema"], data["state"], data["command"]) == ("emoprep.status/1", "complete", kind)
    data = json.loads(emoprep("status", demo_road / "shards", "--json").stdout)
    assert data["shards"] == {"done": 3, "planned": 3}
    assert data["utterances"] == {"done": 93, "planned": 95}
    assert data["skipped"] == {"undecodable": 1, "no-clip": 1}
    assert data["processes"] == [] and data["go_on"] is None
    assert datetime.fromisoformat(data["last_written"]).timestamp() == pytest.approx(
        (demo_road / "shards/manifest.json").stat().st_mtime, abs=1)


def test_a_store_that_lost_a_shard(demo_road, tmp_path):
    shutil.copytree(demo_road / "shards", tmp_path / "out")
    (tmp_path / "out/train-000000.tar").write_bytes(b"half")
    told = status(tmp_path / "out")
    assert (told.state, told.ended) == ("damaged", "train-000000.tar is missing, or has another length")


@pytest.mark.parametrize("what, words", [("nothing", "OUT is not there"), ("file", "OUT is a file"),
                                         ("other", "no run of emoprep has been here")])
def test_what_is_no_store(tmp_path, emoprep, what, words):
    if what == "file":
        (tmp_path / "out").write_text("")
    elif what == "other":
        (tmp_path / "out").mkdir()
        (tmp_path / "out/notes.txt").write_text("nothing of ours")
    done = emoprep("status", tmp_path / "out")
    assert done.returncode == 5 and words in done.stderr and not done.stdout


def test_not_begun(tmp_path, emoprep):
    (tmp_path / "out/.emoprep").mkdir(parents=True)
    assert emoprep("status", tmp_path / "out").stdout == f"{tmp_path}/out: not begun\n"
    assert set(STATES) == {"running", "interrupted", "waiting", "complete", "damaged", "not begun"}


# --------------------------------------------------------------------------------------------- the heartbeat

def write_beat(folder, **changes):
    """Leave what a run of this process would have written, but for some changes."""
    facts = {"command": "segment", "settings": {}, "inputs": {}}
    with start_run(folder, facts) as run:
        data = json.loads((run.workshop / "progress.json").read_bytes())
    data.update(ended=None, **changes)
    (folder / ".emoprep/progress.json").write_text(json.dumps(data))


@pytest.mark.parametrize("changes, state", [
    ({}, "running"),
    ({"started": "1"}, "interrupted"),  # another process has the number now
    ({"pid": 2**22 + 1}, "interrupted"),  # more than the kernel gives
    ({"told": 0}, "running"),  # a suspended process is one, and goes on
    ({"machine": "elsewhere", "host": "node7"}, "running"),
    ({"machine": "elsewhere", "host": "node7", "told": 0}, "interrupted"),
])
def test_whether_the_process_is_there(tmp_path, changes, state):
    write_beat(tmp_path, **changes)
    assert status(tmp_path).state == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"told": "x", "pid": {}}'])
def test_a_heartbeat_that_cannot_be_read_is_none(tmp_path, text):
    write_beat(tmp_path)
    (tmp_path / ".emoprep/progress.json").write_text(text)
    assert beats(tmp_path / ".emoprep") == []
    assert status(tmp_path).go_on == "run the same command again"


def test_a_disk_that_takes_no_heartbeat_does_not_end_the_run(tmp_path):
    """Where the file should lie is a folder, which nothing is renamed onto."""
    (tmp_path / "out/.emoprep/progress.json/in the way").mkdir(parents=True)
    source = tmp_path / "in"
    (source / "train_splits").mkdir(parents=True)
    shutil.copyfile(build_miniature(tmp_path).folder / "train/train_splits/dia0_utt0.mp4",
                    source / "train_splits/dia0_utt0.mp4")
    (source / "train_sent_emo.csv").write_text(
        ",".join(HEADER) + '\r\n1,Hi,Ida,joy,positive,0,0,1,1,"0:00:00,000","0:00:01,540"\r\n')
    plan = plan_segment(source, tmp_path / "out", recipe=make_recipe(size=16))
    assert segment(plan, tmp_path / "out").written == 1
    assert not (tmp_path / "out/.emoprep").exists()
    assert not list((tmp_path / "out").rglob("*.draft"))
