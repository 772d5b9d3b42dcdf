"""Files that explode, never end or kill whoever reads them, and names that would lead elsewhere.

Each lies among whole clips, and `segment` has to get past it: the utterance is skipped with a reason, all others are
made, no process needs more than its share of memory, and nothing is written beside OUT.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from fractions import Fraction
from pathlib import Path

import pytest

from emoprep.errors import EmoprepError
from emoprep.films import numbered, tone, write_film
from emoprep.media.decode import make_recipe
from emoprep.segment import plan_segment, segment
from emoprep.store.shards import read_shard

pytestmark = pytest.mark.usefixtures("ffmpeg_on_path")

SIZE = (160, 96)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A film of 2 s that is as it should be."""
    path = tmp_path_factory.mktemp("films") / "whole.mp4"
    write_film(path, seconds=2, size=SIZE, fps=25, picture=numbered((200, 40, 40), SIZE), sound=tone(440, 2)[None],
               layout="mono")
    return path


def table(folder, whole, *odd):
    """Write clips.csv: the odd files, each between two whole clips; return its path."""
    names = ["clip0.mp4"]
    for number, name in enumerate(odd, 1):
        names += [name, f"clip{number}.mp4"]
    for name in names[::2]:
        os.link(whole, folder / name)
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "emotion"])
        rows.writerows([name, "joy"] for name in names)
    return folder / "clips.csv"


# Tells at the end how much memory this process had at most; VmHWM, since ru_maxrss begins with what its parent had.
SCRIPT = """
import re, sys
from emoprep.__main__ import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""


def run(clips, out, *more, jobs=2, script=("-m", "emoprep")):
    return subprocess.run([sys.executable, *script, "segment", clips, out, "--size", "48", "-j", str(jobs), "--json",
                           "--shard-utterances", "1", "--max-skipped", "10", *more], capture_output=True, text=True,
                          timeout=120, check=False)


def keys(out):
    return {key for shard in out.glob("*.tar") for key, _ in read_shard(shard)}


def skips(out):
    return {skip["key"]: skip for skip in map(json.loads, (out / "skipped.jsonl").read_text().splitlines())}


# --------------------------------------------------------------------------------------------------- media

def png(width, height):
    """Return a PNG of zeros: some kilobytes that stand for any number of pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compressobj(9)
    line = bytes(1 + width)
    packed = b"".join(rows.compress(line) for _ in range(height)) + rows.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bomb(path):
    """Pictures of 12,000×12,000 px, 140 kB each."""
    film_of(path, png(12_000, 12_000), 3)


def tiresome(path, count=400):
    """Pictures that are just small enough; each has 15 kB, and takes some hundredths of a second."""
    film_of(path, png(3_900, 3_900), count)


def film_of(path, picture, count):
    import av

    with av.open(str(path), "w", format="mov") as film:
        stream = film.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "gray"
        for number in range(count):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1)
            packet.is_keyframe = True
            film.mux_one(packet)


def nested(path):
    """Atoms within atoms, 50,000 deep, each of which claims to hold all that follows."""
    depth = 50_000
    path.write_bytes(b"\0\0\0\x14ftypisom\0\0\2\0isom"
                     + b"".join(struct.pack(">I", 8 * (depth - level)) + b"moov" for level in range(depth)))


def playlist(path):
    """A list of films that is its own first film."""
    path.write_text(f"ffconcat version 1.0\nfile '{path}'\nfile /etc/passwd\n")


def hls(path):
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path.name}\n#EXTINF:10,\nfile:///etc/passwd\n")


def streams(path):
    """A transport stream of 3,000 streams."""
    head = b"\0\0\1\xe0\0\0\x80\x80\5!\0\1\0\1".ljust(184, b"\xff")
    path.write_bytes(b"".join(b"\x47" + struct.pack(">H", 0x4000 | 0x100 + number) + b"\x10" + head
                              for number in range(3000)))


def endless_zeros(path):
    """Ten gigabytes of nothing, which take no room on the disk."""
    path.write_bytes(b"\0\0\0\x14ftypisom\0\0\2\0isom")
    os.truncate(path, 10 * 2 ** 30)


HOSTILE = {"empty": lambda path: path.write_bytes(b""), "bomb": bomb, "nested": nested, "playlist": playlist,
           "hls": hls, "streams": streams, "zeros": endless_zeros,
           "text": lambda path: path.write_text("no film at all\n" * 100)}


@pytest.mark.parametrize("decoder", ["pyav", "ffmpeg"])
def test_hostile_films_are_skipped_and_all_others_are_made(whole, tmp_path, decoder):
    for kind, make in HOSTILE.items():
        make(tmp_path / f"{kind}.mp4")

    done = run(table(tmp_path, whole, *(f"{kind}.mp4" for kind in HOSTILE)), tmp_path / "out", "--decoder", decoder,
               jobs=1, script=("-c", SCRIPT))

    assert done.returncode == 0, done.stderr
    told, peak_kb = done.stdout.splitlines()
    assert json.loads(told)["written"] == len(HOSTILE) + 1
    assert keys(tmp_path / "out") == {f"table_clip{number}_0" for number in range(len(HOSTILE) + 1)}
    assert {key: skip["reason"] for key, skip in skips(tmp_path / "out").items()} == {
        f"table_{kind}_0": "undecodable" for kind in HOSTILE}
    assert int(peak_kb) < 300_000


# ------------------------------------------------------------------------------------- no end, and sudden ends

@pytest.mark.parametrize("jobs", [1, 2])
def test_a_film_that_takes_too_long_is_given_up(whole, tmp_path, jobs):
    tiresome(tmp_path / "tiresome.mp4")
    clips, out = table(tmp_path, whole, "tiresome.mp4"), tmp_path / "out"

    done = run(clips, out, "--decode-timeout", "1", jobs=jobs)

    assert done.returncode == 0, done.stderr
    assert skips(out)["table_tiresome_0"] == {
        "key": "table_tiresome_0", "reason": "decode-timeout",
        "detail": "tiresome.mp4: nothing came of it in 1 s (--decode-timeout)"}
    assert keys(out) == {"table_clip0_0", "table_clip1_0"}


def test_what_a_slow_machine_gave_up_is_tried_again(whole, tmp_path):
    """Where it was too much for --max-skipped, the same command with more patience makes what is missing."""
    tiresome(tmp_path / "tiresome.mp4", 60)
    clips, out = table(tmp_path, whole, "tiresome.mp4"), tmp_path / "out"
    assert run(clips, out, "--decode-timeout", "0.3", "--max-skipped", "0").returncode == 3
    made = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert len(made) == 2

    done = run(clips, out, "--max-skipped", "0")

    assert done.returncode == 0, done.stderr
    assert keys(out) == {"table_clip0_0", "table_clip1_0", "table_tiresome_0"}
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_an_utterance_that_kills_its_worker_three_times_is_left_out(whole, tmp_path):
    """Whoever opens the film is killed, as the kernel does with those that take too much memory."""
    tiresome(tmp_path / "deadly.mp4")
    clips, out = table(tmp_path, whole, "deadly.mp4"), tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-m", "emoprep", "segment", clips, out, "--size", "48", "-j", "2", "-q",
                                "--max-skipped", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed = []
    while process.poll() is None:
        for pid in readers_of(tmp_path / "deadly.mp4"):
            if pid not in killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)

    assert process.returncode == 0, process.stderr.read()
    assert len(killed) == 3
    assert skips(out) == {"table_deadly_0": {"key": "table_deadly_0", "reason": "worker-died",
                                             "detail": "the process that cut it ended: signal 9"}}
    assert keys(out) == {"table_clip0_0", "table_clip1_0"}


def readers_of(path):
    """Return the processes that have a file open, but for one that reads what it holds before the run begins."""
    found = []
    for place in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(place) == str(path) and b"multiprocessing" in (place.parents[1] / "cmdline").read_bytes():
                found.append(int(place.parts[2]))
        except OSError:  # it has just ended
            continue
    return found


# -------------------------------------------------------------------------------------------------- names

EVIL = ("../../evil", "/tmp/evil-emoprep", "..", "a/../../evil", "evil\\name", "-rf", "con evil", "%s%n",
        "$(touch evil)", "evil.tar", ".emoprep", "manifest.json", "x" * 300)


def test_names_lead_nowhere_else(whole, tmp_path):
    """Speakers, dialogues and texts are data; only keys become names of files, and those have letters only."""
    home = tmp_path / "home"
    home.mkdir()
    os.link(whole, home / "clip.mp4")
    with (home / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "key", "split", "dialogue", "speaker", "text", "emotion"])
        rows.writerows(["clip.mp4", f"k{number}", "train", name, name, name, "joy"] for number, name in enumerate(EVIL))
    before = listing(tmp_path, home / "out")

    done = run(home / "clips.csv", home / "out")

    assert done.returncode == 0, done.stderr
    assert listing(tmp_path, home / "out") == before
    assert keys(home / "out") == {f"k{number}" for number in range(len(EVIL))}
    for path in (home / "out").iterdir():
        assert path.is_file() and re.fullmatch(r"train-\d{6}\.tar|utterances\.parquet|README\.md|manifest\.json|"
                                               r"skipped\.jsonl", path.name)


@pytest.mark.parametrize("column", ["key", "split", "file"])
@pytest.mark.parametrize("name", EVIL)
def test_names_that_become_files_are_checked(whole, tmp_path, column, name):
    home = tmp_path / "home"
    home.mkdir()
    os.link(whole, home / "clip.mp4")
    row = {"file": "clip.mp4", "key": "k0", "split": "train", "emotion": "joy", column: name}
    (home / "clips.csv").write_text(",".join(row) + "\n" + ",".join(f'"{value}"' for value in row.values()) + "\n",
                                    encoding="utf-8")
    before = listing(tmp_path, home / "out")

    with contextlib.suppress(EmoprepError):  # what is refused is tests/corpora/test_table.py's; here: where things go
        plan = plan_segment(home / "clips.csv", home / "out", recipe=make_recipe(size=16))
        segment(plan, home / "out", max_skipped="1")

    assert listing(tmp_path, home / "out") == before
    if (home / "out").exists():
        parts = {path.name.rpartition("-")[0] for path in (home / "out").glob("*.tar")}
        assert parts <= {"train", "dev", "test", "all"}


def listing(folder, but):
    return sorted(path for path in folder.rglob("*") if path != but and but not in path.parents)


# --------------------------------------------------------------------------- a store that is no longer what it was

def harmed(demo_road, tmp_path, name="shards"):
    """Return a copy of a store of the demo, to do harm to."""
    return shutil.copytree(demo_road / name, tmp_path / "harmed")


@pytest.mark.parametrize("command", ["stats", "audit", "report", "show"])
def test_a_pipe_in_the_place_of_the_index_is_not_waited_for(demo_road, tmp_path, emoprep, command):
    store = harmed(demo_road, tmp_path)
    (store / "utterances.parquet").unlink()
    os.mkfifo(store / "utterances.parquet")
    done = emoprep(command, store, *(["meld_train_dia0_utt0"] if command == "show" else []), cwd=tmp_path)
    assert done.returncode == 5 and "the store has no index" in done.stderr and done.stderr.count("\n") == 1


def test_a_manifest_that_is_nested_without_end(demo_road, tmp_path, emoprep):
    store = harmed(demo_road, tmp_path)
    (store / "manifest.json").write_text("[" * 200_000)
    done = emoprep("stats", store)
    assert done.returncode == 1 and "this manifest cannot be read" in done.stderr and len(done.stderr) < 1000


def test_what_others_wrote_steers_no_terminal(demo_road, tmp_path, emoprep):
    store = harmed(demo_road, tmp_path)
    manifest = json.loads((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(json.dumps(manifest | {"schema": "\x1b[2Jhalf \ud83d"}))
    done = emoprep("stats", store)
    assert done.returncode == 1 and "\x1b" not in done.stderr and "\\x1b[2Jhalf \\ud83d" in done.stderr
    told = json.loads(emoprep("stats", store, "--json").stdout)
    assert told["exit_code"] == 1 and "another kind" in told["error"]


@pytest.mark.parametrize("column, value", [("split", "validation"), ("split", 3), ("key", None), ("key", b"\xff")])
def test_an_index_that_the_audit_cannot_go_by(demo_road, tmp_path, emoprep, column, value):
    import pyarrow
    from pyarrow import parquet

    store = harmed(demo_road, tmp_path)
    table = parquet.read_table(store / "utterances.parquet")
    values = pyarrow.array([value] * table.num_rows)
    if isinstance(value, bytes):  # bytes that say they are text
        values = pyarrow.StringArray.from_buffers(len(values), *values.buffers()[1:])
    harm = table.set_column(table.column_names.index(column), column, values)
    parquet.write_table(harm, store / "utterances.parquet")
    for command in ("audit", "report"):
        done = emoprep(command, store, cwd=tmp_path)
        assert done.returncode in (1, 2) and done.stderr.count("\n") == 1, done.stderr
