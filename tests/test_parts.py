"""A run in parts, and the closing step: the same bytes as of an undivided run, whoever makes which part when."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from many_clips import build_clips
from meld_miniature import build_miniature

from emoprep.errors import EmoprepError, MissingInput, TooManySkipped, UsageError
from emoprep.media.decode import make_recipe
from emoprep.segment import allowed_skips, plan_segment, read_part, seal, segment
from emoprep.store.folder import Part, start_run

SIZE = 48
FAULTS = "3"  # the miniature has three rows that cannot be cut


@pytest.fixture(scope="session")
def mini(once):
    """Return the folder of a corpus of 16 utterances in five shards, some of them faulty. Read only."""
    folder = once("parts-miniature", build_miniature)
    return next(folder.rglob("train_sent_emo.csv")).parent.parent


@pytest.fixture(scope="session")
def store(once, mini):
    """Return its store, made undivided. Read only."""
    return once("parts-store", lambda out: cut(mini, out))


@pytest.fixture(scope="session")
def clips(once):
    return once("parts-clips", lambda folder: build_clips(folder, 48, dev=4))


@pytest.fixture(scope="session")
def clips_store(once, clips):
    return once("parts-clips-store", lambda out: cut(clips, out, shard_utterances=2))


def plan_of(source, out, *, shard_utterances=3, size=SIZE, **options):
    return plan_segment(source, out, recipe=make_recipe(size=size), shard_utterances=shard_utterances, **options)


def cut(source, out, *, part=None, overwrite=False, max_skipped=FAULTS, **options):
    return segment(plan_of(source, out, **options), out, part=part, overwrite=overwrite, max_skipped=max_skipped)


def digests(out):
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.rglob("*")) if path.is_file()}


def start(source, out, *args):
    return subprocess.Popen([sys.executable, "-m", "emoprep", "segment", str(source), str(out), "--size", str(SIZE),
                             "--shard-utterances", "2", "-q", "-j", "1", *args],
                            start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


# -------------------------------------------------------------------------------------------- the same bytes

@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_one_after_another(mini, store, tmp_path, order):
    out = tmp_path / "out"
    for number in order:
        result = cut(mini, out, part=(number, 3))
        assert not (out / "manifest.json").exists()
        assert result.part == f"{number}/3"
    assert result.missing == {}
    sealed = seal(out, max_skipped=FAULTS)
    assert digests(out) == digests(store)
    assert (sealed.written, sealed.skipped) == (13, {"undecodable": 1, "length-mismatch": 1, "no-clip": 1})
    assert len(sealed.skips) == 3 and sealed.fresh
    again = seal(out)
    assert not again.fresh and (again.written, again.shards) == (sealed.written, sealed.shards)
    assert digests(out) == digests(store)


@pytest.mark.long
def test_at_the_same_time(clips, clips_store, tmp_path, emoprep):
    out = tmp_path / "out"
    runs = [start(clips, out, "--part", f"{number}/3") for number in (1, 2, 3)]
    for number, run in enumerate(runs, 1):
        told, complaints = run.communicate(timeout=60)
        assert (run.returncode, complaints) == (0, ""), complaints
        assert told.startswith(f"{out}: part {number}/3: ")
    done = emoprep("seal", out, "--json", check=True)
    assert digests(out) == digests(clips_store)
    assert json.loads(done.stdout)["written"] == 52


def test_each_part_has_its_share_of_each_split(clips, tmp_path):
    made = {number: cut(clips, tmp_path / "out", part=(number, 2), shard_utterances=4, size=16).shards
            for number in (1, 2)}
    assert made == {1: [f"train-{number:06d}.tar" for number in range(0, 12, 2)] + ["dev-000000.tar"],
                    2: [f"train-{number:06d}.tar" for number in range(1, 12, 2)]}


def test_a_part_made_again_makes_nothing_new(mini, tmp_path):
    out = tmp_path / "out"
    first = cut(mini, out, part=(1, 3))
    times = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    second = cut(mini, out, part=(1, 3))
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.tar")} == times
    assert first.to_json() == second.to_json()


def test_an_undivided_run_finishes_what_parts_began(mini, store, tmp_path):
    out = tmp_path / "out"
    cut(mini, out, part=(2, 3))
    times = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    cut(mini, out)
    assert times and {path: path.stat().st_mtime_ns for path in times} == times
    assert digests(out) == digests(store)


def test_an_undivided_run_that_was_stopped_before_sealing_is_sealed(mini, store, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TooManySkipped):
        cut(mini, out, max_skipped="0")
    seal(out, max_skipped=FAULTS)
    assert digests(out) == digests(store)


def test_more_parts_than_shards(mini, store, tmp_path):
    out = tmp_path / "out"
    results = [cut(mini, out, part=(number, 7)) for number in range(1, 8)]
    assert [len(result.shards) for result in results] == [1, 1, 1, 1, 1, 0, 0]
    seal(out, max_skipped=FAULTS)
    assert digests(out) == digests(store)


def test_what_was_excluded_and_what_has_no_clip(mini, tmp_path):
    """What sealing tells of them it can only know from what was written down."""
    listed = tmp_path / "leave.txt"
    listed.write_text("meld_train_dia0_utt0\nmeld_test_dia0_utt1\n")
    shutil.copytree(mini, tmp_path / "in")
    shutil.rmtree(tmp_path / "in/dev_splits_complete")
    cut(tmp_path / "in", tmp_path / "whole", exclude=listed)
    for number in (2, 1):
        cut(tmp_path / "in", tmp_path / "parts", exclude=listed, part=(number, 2))
    result = seal(tmp_path / "parts", max_skipped=FAULTS)
    assert digests(tmp_path / "parts") == digests(tmp_path / "whole")
    assert result.without_media == ("dev",) and result.skipped["excluded"] == 2
    assert any(note.startswith("no clips for dev") for note in result.notes)


def test_sealing_asks_for_nothing_but_the_folder(mini, store, tmp_path, emoprep):
    """On another machine, say, which has no corpus, after OUT was moved."""
    for number in (1, 2):
        cut(mini, tmp_path / "out", part=(number, 2))
    (tmp_path / "out").rename(tmp_path / "moved")
    done = emoprep("seal", "moved", "--max-skipped", "3", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "moved: 13 utterances in 5 shards; skipped: 1 undecodable, "
                                                 "1 length-mismatch, 1 no-clip\n")
    assert digests(tmp_path / "moved") == digests(store)


# ------------------------------------------------------------------------------------------- what is refused

def test_a_missing_part_is_named(mini, tmp_path, emoprep):
    out = tmp_path / "out"
    told = cut(mini, out, part=(2, 3)).missing
    assert told == {"1/3": ["train-000000.tar", "dev-000000.tar"], "3/3": ["train-000002.tar"]}
    before = digests(out)
    done = emoprep("seal", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"emoprep: {out}: 3 of 5 shards are missing (train-000000.tar, train-000002.tar, "
                           "dev-000000.tar); run `emoprep segment` as before with --part 1/3 and --part 3/3, then seal "
                           "again\n")
    cut(mini, out, part=(1, 3))
    (out / "train-000001.tar").unlink()
    with pytest.raises(EmoprepError, match="--part 2/3 and --part 3/3, then seal again"):
        seal(out)
    assert before and not (out / "utterances.parquet").exists()


def test_an_undivided_run_is_not_told_of_parts(mini, tmp_path):
    with pytest.raises(TooManySkipped):
        cut(mini, tmp_path / "out", max_skipped="0")
    (tmp_path / "out/train-000001.tar").unlink()
    with pytest.raises(EmoprepError, match=r"1 of 5 shards are missing \(train-000001.tar\); run `emoprep seg"):
        seal(tmp_path / "out")


def test_too_many_are_skipped(mini, store, tmp_path):
    """A part ends like this only where it alone skipped more than all may."""
    out = tmp_path / "out"
    for number in (1, 2, 3):
        cut(mini, out, part=(number, 3), max_skipped="2")
    with pytest.raises(TooManySkipped, match="3 of 16 utterances were skipped: expected at most 2"):
        seal(out, max_skipped="2")
    with pytest.raises(TooManySkipped, match="2 of 16 utterances were skipped: expected at most 1, got 1 no-clip,"):
        cut(mini, out, part=(1, 3), max_skipped="1")
    seal(out, max_skipped=FAULTS)
    assert digests(out) == digests(store)


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/3/5", "1 / 3", "1.0/3", "١/٣"])
def test_what_is_no_part(text):
    with pytest.raises(UsageError, match="--part: cannot be read: expected I/N with I from 1 to N"):
        read_part(text)
    assert read_part("08/10") == (8, 10)


def test_a_part_does_not_start_anew(mini, tmp_path):
    with pytest.raises(UsageError, match="a part cannot start anew what other parts share; remove OUT first"):
        cut(mini, tmp_path / "out", part=(1, 2), overwrite=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make, told, code", [
    (lambda out: None, "no run has begun here; `emoprep segment IN OUT --part I/N` makes the shards", 5),
    (lambda out: (out / ".emoprep").mkdir(parents=True), "no run has begun here", 5),
    (lambda out: begun(out, "features"), "only what `emoprep segment` makes is sealed: got features; run that", 2),
    (lambda out: begun(out, "segment"), "what was planned cannot be read: got [Errno 2]", 1),
])
def test_what_cannot_be_sealed(tmp_path, make, told, code):
    make(tmp_path / "out")
    with pytest.raises((MissingInput, UsageError, EmoprepError)) as caught:
        seal(tmp_path / "out")
    assert told in str(caught.value) and caught.value.exit_code == code and "\n" not in str(caught.value)


def begun(out, command):
    with start_run(out, {"command": command, "settings": {}, "inputs": {}}):
        pass


@pytest.mark.parametrize("file", ["plan.json", "annotated.parquet"])
def test_what_was_written_down_is_damaged(mini, store, tmp_path, file):
    out = tmp_path / "out"
    with pytest.raises(TooManySkipped):
        cut(mini, out, max_skipped="0")
    path = out / ".emoprep" / file
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(EmoprepError) as caught:
        seal(out)
    assert str(caught.value).startswith(f"{path}: what was planned cannot be read: got ")
    cut(mini, out)
    assert digests(out) == digests(store)


def test_other_settings_are_another_run(mini, tmp_path):
    cut(mini, tmp_path / "out", part=(1, 2))
    with pytest.raises(UsageError, match="size 48 there, 64 now"):
        cut(mini, tmp_path / "out", part=(2, 2), size=64)


def test_a_part_with_other_versions(mini, tmp_path):
    """Two decoders of different age on two machines would make two kinds of shards."""
    out = tmp_path / "out"
    cut(mini, out, part=(1, 2))
    path = out / ".emoprep/plan.json"
    data = json.loads(path.read_bytes())
    here, data["manifest"]["versions"]["av"] = data["manifest"]["versions"]["av"], "16.0"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError) as caught:
        cut(mini, out, part=(2, 2))
    assert str(caught.value) == (f"{out}: another part was made with other versions: expected av 16.0, got av {here}; "
                                 "install the same on all machines, or begin anew in another OUT")


def test_max_skipped_is_read_before_anything_else(tmp_path):
    with pytest.raises(UsageError, match="--max-skipped: cannot be read"):
        seal(tmp_path, max_skipped="many")
    assert allowed_skips("5%", 0) == 0


# ------------------------------------------------------------------------------------- who may be there at once

FACTS = {"command": "segment", "settings": {"size": 48}, "inputs": {}}

HOLDER = """
import sys, pathlib
from emoprep.store.folder import Part, start_run
part = eval(sys.argv[3])
with start_run(pathlib.Path(sys.argv[1]), eval(sys.argv[2]), part=part and Part(*part, frozenset(["a.tar"]))):
    print("in", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holding(out, part):
    """Have another process at work in OUT."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(out), repr(FACTS), repr(part)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "in\n"
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


@pytest.mark.parametrize("there, now, told", [
    ((1, 3), (2, 3), None),
    ((1, 3), (1, 3), "this part is at work already; wait for it"),
    ((1, 3), None, "another run is at work here; wait for it, or give another OUT"),
    (None, (1, 3), "another run is at work here; wait for it, or give another OUT"),
    ((1, 3), (2, 4), "the run at work here is cut into other parts: expected --part I/3; or wait for those parts to "
     "end"),
])
def test_who_is_let_in_beside_whom(tmp_path, there, now, told):
    out = tmp_path / "out"
    part = now and Part(*now, frozenset(["b.tar"]))
    with holding(out, there):
        (out / ".emoprep/a.tar.0123.draft").write_bytes(b"being written")
        (out / ".emoprep/b.tar.0123.draft").write_bytes(b"of a run that was killed")
        if told:
            with pytest.raises(UsageError) as caught, start_run(out, FACTS, part=part):
                pass
            assert str(caught.value).endswith(told)
        else:
            with start_run(out, FACTS, part=part):
                assert not (out / ".emoprep/b.tar.0123.draft").exists()
                (out / ".emoprep/b.tar.4567.draft").write_bytes(b"of a worker that is dismissed")
            assert not (out / ".emoprep/b.tar.4567.draft").exists()
        assert (out / ".emoprep/a.tar.0123.draft").exists(), "it is another one's"
    with start_run(out, FACTS, part=part):
        assert not list(out.rglob("*.tar.*.draft"))


def test_parts_of_another_run_are_not_let_in(tmp_path):
    with holding(tmp_path / "out", (1, 3)), pytest.raises(UsageError, match="size 48 there, 64 now"), \
            start_run(tmp_path / "out", {**FACTS, "settings": {"size": 64}}, part=Part(2, 3, frozenset())):
        pass


def test_nothing_is_sealed_while_a_part_is_at_work(tmp_path):
    with holding(tmp_path / "out", (1, 3)), pytest.raises(UsageError, match="another run is at work here"):
        seal(tmp_path / "out")


def test_after_all_parts_ended_they_may_be_cut_otherwise(mini, store, tmp_path):
    out = tmp_path / "out"
    cut(mini, out, part=(1, 3))
    assert cut(mini, out, part=(1, 2)).missing == {"2/2": ["train-000001.tar"]}
    cut(mini, out, part=(2, 2))
    seal(out, max_skipped=FAULTS)
    assert digests(out) == digests(store)


@pytest.mark.long
def test_a_part_that_is_killed_goes_on(clips, clips_store, tmp_path):
    """While the other one is at work, whose drafts are its own."""
    out = tmp_path / "out"
    first, second = (start(clips, out, "--part", f"{number}/2") for number in (1, 2))
    until(lambda: len(list((out / ".emoprep/pieces").glob("*.json"))) >= 4 or first.poll() is not None)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL, "it was over before it could be killed"
    again = start(clips, out, "--part", "1/2")
    for run in (second, again):
        _, complaints = run.communicate(timeout=60)
        assert (run.returncode, complaints) == (0, "")
    assert {Path(name).name for name in digests(out) if name.endswith(".tar")} == {
        name for name in digests(clips_store) if name.endswith(".tar")}
    seal(out)
    assert digests(out) == digests(clips_store)


@pytest.mark.long
def test_a_closing_step_that_is_killed_is_taken_again(clips, clips_store, tmp_path, emoprep):
    out = tmp_path / "out"
    for number in (1, 2):
        cut(clips, out, part=(number, 2), shard_utterances=2)
    process = subprocess.Popen([sys.executable, "-m", "emoprep", "seal", str(out), "-q"])
    until(lambda: (out / "utterances.parquet").exists() or process.poll() is not None)
    process.kill()
    process.wait()
    emoprep("seal", out, check=True)
    assert digests(out) == digests(clips_store)
