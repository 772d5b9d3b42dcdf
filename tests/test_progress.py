"""Progress, and stopping: what is counted, what a person sees of it, and what is left when a signal comes."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from meld_miniature import HEADER

from emoprep.engine.tally import Tally
from emoprep.films import in_channel, numbered, tone, write_film

LINE = r"segment: [0-9]+ of 28 \([0-9]+ %\)"


# -------------------------------------------------------------------------------------------------- helpers

@pytest.fixture(scope="session")
def long_films(once):
    """Return a corpus of 28 utterances whose films take some 120 ms each to decode. Read only."""
    def make(folder):
        clips = folder / "train_splits"
        clips.mkdir(parents=True)
        write_film(folder / "take.mp4", seconds=10, size=(1280, 720), fps=25, gop=25,
                   picture=numbered((40, 90, 200), (1280, 720)), sound=in_channel(tone(300, 10), "stereo", "FL"))
        rows = [",".join(HEADER)]
        for number in range(28):
            dialogue, utterance = divmod(number, 4)
            os.link(folder / "take.mp4", clips / f"dia{dialogue}_utt{utterance}.mp4")
            rows.append(f'{number},Line {number}.,Ida,joy,positive,{dialogue},{utterance},1,1,"0:00:00,000",'
                        '"0:00:10,000"')
        (folder / "take.mp4").unlink()
        (folder / "train_sent_emo.csv").write_text("\r\n".join(rows) + "\r\n")
    return once("progress-long-films", make)


def command(source, out, *more):
    return [sys.executable, "-m", "emoprep", "segment", str(source), str(out), "--shard-utterances", "4", "-j", "2",
            *more]


def on_terminal(arguments, *, columns=120, keys=None, environment=None):
    """Run a command on a terminal of its own and return (exit code, all that it showed).

    `keys(shown)` gives the keys to press by what was shown so far; "" is none.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.execve(arguments[0], arguments, {**os.environ, "TERM": "xterm", **(environment or {})})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    shown, stop = b"", time.monotonic() + 60
    while time.monotonic() < stop:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # the terminal is closed
                break
            shown += piece
        if keys and (press := keys(shown.decode(errors="replace"))):
            os.write(terminal, press.encode())
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def start(source, out, *more):
    def prepare():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background would ignore it
    return subprocess.Popen(command(source, out, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True, preexec_fn=prepare)


def until(condition, process, within=30):
    stop = time.monotonic() + within
    while not condition() and process.poll() is None and time.monotonic() < stop:
        time.sleep(0.01)
    assert condition(), "it never came to this"


def of_session(session):
    """Return the processes of a session that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, _group, number = path.read_text().rpartition(")")[2].split()[:4]
            if int(number) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


# ------------------------------------------------------------------------------------------------ the tally

class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def note(rows, *reasons, seconds=10.0, decoding=8.0):
    return {"rows": [{}] * rows, "skips": [[f"key{number}", reason, "why"] for number, reason in enumerate(reasons)],
            "seconds": seconds, "decoding": decoding}


def test_what_is_in_the_making_counts_as_it_is_done():
    tally = Tally(clock=Clock())
    tally.expect(20, 2, ["no-clip"])
    for place in ("a", "b", "c"):
        tally.heard(0, place)
    tally.heard(1, "k")
    told = tally.progress()
    assert (told.done, told.safe, told.total, told.shards, told.shards_total) == (2, 0, 20, 0, 2)
    tally.heard(0, "")
    assert tally.progress().done == 3
    tally.finish(0, note(9, "undecodable"))
    told = tally.progress()
    assert (told.done, told.safe, told.shards) == (10, 10, 1)
    assert told.skipped == {"no-clip": 1, "undecodable": 1}
    assert told.decoding == pytest.approx(0.8)


def test_a_shard_that_is_tried_again_counts_once():
    tally = Tally(clock=Clock())
    tally.expect(4, 1)
    done = []
    for place in ("a", "b", "c", "a", "b", "c", "d", ""):  # its worker died at c
        tally.heard(0, place)
        done.append(tally.progress().done)
    assert done == [0, 1, 2, 2, 2, 2, 3, 4]
    tally.finish(0, note(4))
    assert tally.progress().done == 4


def test_the_speed_is_that_of_the_last_while_and_of_this_run():
    clock = Clock()
    tally = Tally(clock=clock)
    tally.expect(10_000, 100)
    tally.before(note(5000))
    clock.now = 3.0  # libraries are loaded
    tally.heard(0, "first")
    told = tally.progress()
    assert (told.done, told.per_second, told.seconds_left) == (5000, None, None)
    for second in range(1, 201):
        clock.now = 3.0 + second
        tally(10 if second <= 100 else 2)
    told = tally.progress()
    assert told.done == 6200
    assert told.per_second == pytest.approx(2, rel=0.05)
    assert told.seconds_left == pytest.approx(1900, rel=0.05)
    clock.now += 600  # it hangs
    assert tally.progress().per_second < 0.4


def test_without_a_word_from_workers_shards_still_count():
    """As on a cluster, whose workers tell nothing until a shard is done."""
    clock = Clock()
    tally = Tally(clock=clock)
    tally.expect(400, 4)
    for number in range(4):
        clock.now += 20
        tally.finish(number, note(100))
    told = tally.progress()
    assert (told.done, told.shards, told.seconds_left) == (400, 4, 0)
    assert told.per_second == pytest.approx(5)


# --------------------------------------------------------------------------------------------- what is shown

def test_a_bar_on_a_terminal(long_films, tmp_path):
    code, shown = on_terminal(command(long_films, tmp_path / "out", "-j", "1"))
    assert code == 0, shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"segment [━╸╺]+ [0-9]+ of 28 \([0-9]+ %\), [0-9.]+ clips/s, [0-9]+ s left", plain), plain[-2000:]
    assert re.search(r"left, decoding [0-9]+ %", plain)
    assert "\x1b[2K" in shown.rpartition("━")[2], "the bar goes"
    assert "28 utterances in 7 shards" in plain.rpartition("━")[2]


def test_no_bar_where_quiet_or_where_a_terminal_is_only_claimed(long_films, tmp_path):
    code, shown = on_terminal([*command(long_films, tmp_path / "out", "-q", "--limit", "4")])
    assert code == 0 and "━" not in shown
    done = subprocess.run(command(long_films, tmp_path / "other", "--limit", "4"), capture_output=True, text=True,
                          env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"})
    assert done.returncode == 0 and "━" not in done.stderr


def test_lines_where_there_is_no_terminal(long_films, tmp_path):
    """The run is stopped for as long as a line takes to come; stdout has its one document."""
    out = tmp_path / "out"
    process = start(long_films, out, "--json")
    until(lambda: (out / "train-000000.tar").exists(), process)
    workers = [pid for pid in of_session(process.pid) if pid != process.pid]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    told = process.stderr.readline()
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    document, rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert re.match(LINE + r", [0-9.]+ clips/s, [0-9]+ (s|min) left", told), told
    assert re.search(r"^segment: 28 of 28 \(100 %\), decoding [0-9]+ %, in [0-9]+ s$", rest, re.M)
    assert json.loads(document)["written"] == 28


def test_a_short_run_says_nothing_on_the_way(long_films, tmp_path):
    process = start(long_films, tmp_path / "out", "--limit", "4")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert not re.search(LINE.replace("28", "4"), told)


# --------------------------------------------------------------------------------------------------- stopping

def test_ctrl_c_on_a_terminal(long_films, tmp_path):
    out, pressed = tmp_path / "out", []

    def keys(shown):
        if len(pressed) < 2 and re.search(r"\([1-9][0-9]* %\)", shown):  # twice, as who is impatient does
            pressed.append(time.monotonic())
            return "\x03"
        return ""
    code, shown = on_terminal(command(long_films, out), keys=keys)
    assert code == 130
    assert re.search(rf"emoprep: interrupted; [0-9]+ of 7 shards \([0-9]+ utterances\) are safe in {out}; run the "
                     r"same command again to go on\r\n", shown), shown[-1000:]
    assert "Traceback" not in shown and "\x1b[?25h" in shown, "the cursor is back"
    assert not list(out.rglob("*.draft"))


@pytest.mark.parametrize("number, code, word", [(signal.SIGINT, 130, "interrupted"),
                                                (signal.SIGTERM, 143, "terminated")])
@pytest.mark.parametrize("moment", ["imports", "planning", "decoding", "sealing"])
def test_stopped_at_any_moment(long_films, tmp_path, number, code, word, moment):
    out = tmp_path / "out"
    process = start(long_films, out)
    if moment == "imports":
        until(lambda: "numpy" in Path(f"/proc/{process.pid}/maps").read_text(), process)
    elif moment == "planning":
        until(lambda: (out / ".emoprep").exists(), process)
    elif moment == "decoding":
        until(lambda: any(out.glob(".emoprep/*.tar.*.draft")), process)
    else:
        until(lambda: len(list(out.glob("*.tar"))) == 7, process)
    os.killpg(process.pid, number)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    _, told = process.communicate(timeout=20)
    assert "Traceback" not in told, told
    if moment == "sealing" and process.returncode == 0:
        assert (out / "manifest.json").exists() and not (out / ".emoprep").exists()
    else:
        assert process.returncode == code, told
        assert told.splitlines()[-1].startswith(f"emoprep: {word}; "), told
        assert told.rstrip().endswith(("run the same command again to go on", "run the same command again"))
    stop = time.monotonic() + 5  # what only waits for the parent's end goes a moment later
    while of_session(process.pid) and time.monotonic() < stop:
        time.sleep(0.02)
    assert not of_session(process.pid)
    assert not list(out.rglob("*.draft"))


def test_stopped_while_it_starts_anew(long_films, tmp_path):
    out = tmp_path / "out"
    process = start(long_films, out, "--overwrite")
    until(lambda: (out / "train-000000.tar").exists(), process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.rstrip().endswith("run the same command without --overwrite to go on")


def test_a_command_that_keeps_nothing_says_so(tmp_path):
    """Reading waits for a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "keys")
    (tmp_path / "train_sent_emo.csv").write_text(",".join(HEADER) + "\r\n")
    process = start(tmp_path, tmp_path / "out", "--exclude", str(tmp_path / "keys"))
    until(lambda: "waiting" if Path(f"/proc/{process.pid}/wchan").read_text() == "wait_for_partner" else "", process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told == "emoprep: interrupted; nothing is left half done: run the same command again\n"


# --------------------------------------------------------------------------------- a reader that has left

@pytest.mark.parametrize("arguments", ["stats {} --by dialogue", "stats {} --json", "--help"])
def test_whoever_reads_our_output_may_leave(demo_road, arguments):
    """`true` ends at once, and reads nothing."""
    arguments = arguments.format(demo_road / "MELD.Raw")
    done = subprocess.run(f"({sys.executable} -m emoprep {arguments}; echo $? >&2) | true", shell=True,
                          executable="/bin/bash", capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "0" and "emoprep:" not in done.stderr


def test_a_run_goes_on_when_nobody_reads_its_notes(long_films, tmp_path):
    out = tmp_path / "out"
    line = " ".join(command(long_films, out, "--limit", "8"))
    done = subprocess.run(f"({line}; echo $? > code) 2>&1 | true", shell=True, executable="/bin/bash", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "code").read_text() == "0\n"
    assert (out / "manifest.json").exists()


def test_a_bad_value_in_the_settings_names_the_file(emoprep, demo_road, tmp_path):
    (tmp_path / "own.toml").write_text('[segment]\nlimit = "many"\n')
    given = ("segment", demo_road / "MELD.Raw", "x", "--dry-run", "--config", "own.toml")
    assert emoprep(*given, cwd=tmp_path).stderr.startswith("emoprep: own.toml [segment]: Invalid value for '--limit'")
    told = emoprep(*given, "--limit", "few", cwd=tmp_path).stderr
    assert told.startswith("emoprep: Invalid value for '--limit'")
