"""Nothing is ever half: drafts, the lock, whose folder it is, and what --overwrite may take away."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emoprep.errors import EmoprepError, UsageError
from emoprep.store.folder import (
    MANIFEST,
    canonical_json,
    check_out,
    draft,
    fingerprint,
    start_run,
    take_over,
    write_bytes,
)

FACTS = {"command": "segment", "settings": {"size": 112, "fps": "10", "corpus": "meld"},
         "inputs": {"annotation": {"train.csv": "ab" * 32}, "media": {"files": 3}}}
OTHER = {**FACTS, "settings": {**FACTS["settings"], "size": 224}}


def tree(folder):
    """Return every file and folder with its bytes and time (the lock's aside: it is opened to ask for it)."""
    return {path.relative_to(folder).as_posix(): (path.read_bytes() if path.is_file() else None,
                                                  path.stat().st_mtime_ns if path.name != "lock" else 0)
            for path in sorted(folder.rglob("*"))}


def manifest_of(facts, **more):
    return json.dumps({"schema": "emoprep.store/1", **facts, "fingerprint": fingerprint(facts), **more}).encode()


def complete(out, facts=FACTS):
    """Make a finished store with one shard."""
    with start_run(out, facts) as run:
        write_bytes(out / "train-000000.tar", b"shard")
        run.finish("train-000000.tar", {"files": {"train-000000.tar": 5}, "rows": []})
        run.seal(manifest_of(facts))


def interrupted(out, facts=FACTS):
    """Leave a run with one finished piece and a draft, as a killed process does."""
    with start_run(out, facts) as run:
        write_bytes(out / "train-000000.tar", b"shard")
        run.finish("train-000000.tar", {"files": {"train-000000.tar": 5}})
    (out / ".emoprep/train-000001.tar.1.draft").write_bytes(b"half")


def refused(out, facts=FACTS, **options):
    """Return the message with which a run is refused; nothing may have changed."""
    before = tree(out) if out.is_dir() else None
    with pytest.raises(UsageError) as caught, start_run(out, facts, **options):
        raise AssertionError("the run was let in")
    if before is not None:
        assert tree(out) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------- drafts

def test_a_draft_is_renamed_when_all_went_well(tmp_path):
    with draft(tmp_path / "a.tar") as sketch:
        sketch.write_bytes(b"all")
        assert not (tmp_path / "a.tar").exists()
        assert not list(tmp_path.glob("*.tar*")), "no glob over the store meets a draft"
    assert (tmp_path / "a.tar").read_bytes() == b"all"
    assert not list((tmp_path / ".emoprep").iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failing_writer_leaves_what_was_there(tmp_path, error):
    (tmp_path / "a.tar").write_bytes(b"old")
    for name in ("a.tar", "b.tar"):
        with pytest.raises(error), draft(tmp_path / name) as sketch:
            sketch.write_bytes(b"half")
            raise error
    assert (tmp_path / "a.tar").read_bytes() == b"old"
    assert not (tmp_path / "b.tar").exists()
    assert not list((tmp_path / ".emoprep").iterdir())


def test_a_disk_that_refuses_is_told_with_the_remedy(tmp_path):
    with pytest.raises(EmoprepError) as caught, draft(tmp_path / "a.tar") as sketch:
        sketch.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert caught.value.exit_code == 1
    assert str(caught.value) == (f"{tmp_path}/a.tar: cannot write: got No space left on device; make room or choose "
                                 "another OUT, then run the same command again: finished shards are kept")
    assert not (tmp_path / "a.tar").exists()


def test_a_draft_that_was_never_written(tmp_path):
    with pytest.raises(EmoprepError, match="cannot write"), draft(tmp_path / "a.tar"):
        pass
    assert not (tmp_path / "a.tar").exists()


def test_a_place_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EmoprepError, match="cannot write"), start_run(tmp_path / "file/out", FACTS):
        pass
    with pytest.raises(EmoprepError, match="cannot write"):
        write_bytes(tmp_path / "file/out", b"")


def test_a_file_that_does_not_change_is_linked_not_copied(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.tar").write_bytes(b"shard")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.tar").write_bytes(b"old")
    for _ in range(2):  # also where it is there already
        take_over(tmp_path / "in/a.tar", tmp_path / "out/a.tar")
        assert (tmp_path / "out/a.tar").samefile(tmp_path / "in/a.tar")
        assert not list((tmp_path / "out/.emoprep").iterdir())


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no second disk")
def test_a_file_on_another_disk_is_copied(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second disk")
        Path(other, "a.tar").write_bytes(b"shard")
        take_over(Path(other, "a.tar"), tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == b"shard"


# ---------------------------------------------------------------------------------------------- fingerprints

def test_a_fingerprint_knows_no_order():
    turned = {name: FACTS[name] for name in reversed(FACTS)}
    turned["settings"] = dict(reversed(FACTS["settings"].items()))
    assert fingerprint(turned) == fingerprint(FACTS) != fingerprint(OTHER)
    assert len(fingerprint(FACTS)) == 64
    assert canonical_json({"b": "ü", "a": [1, None]}) == '{"a":[1,null],"b":"ü"}'.encode()


def test_complete_is_only_what_is_sealed_and_the_same(tmp_path):
    out = tmp_path / "out"
    assert not check_out(out, FACTS)
    interrupted(out)
    assert not check_out(out, FACTS)
    with start_run(out, FACTS) as run:
        run.seal(manifest_of(FACTS))
    assert check_out(out, FACTS)
    with pytest.raises(UsageError, match="OUT holds another run"):
        check_out(out, OTHER)


# ------------------------------------------------------------------------------------------------- runs

def test_a_new_run(tmp_path):
    out = tmp_path / "deep/er/out"
    with start_run(out, FACTS) as run:
        assert not run.complete
        assert run.finished("train-000000.tar") is None
        assert not (out / MANIFEST).exists()
        run.seal(manifest_of(FACTS))
    assert [path.name for path in out.iterdir()] == [MANIFEST]


def test_going_on_with_an_interrupted_run(tmp_path):
    out = tmp_path / "out"
    interrupted(out)

    with start_run(out, FACTS) as run:
        assert not run.complete
        assert run.finished("train-000000.tar") == {"files": {"train-000000.tar": 5}}
        assert run.finished("train-000001.tar") is None
        assert not list((out / ".emoprep").rglob("*.draft"))
        assert (out / "train-000000.tar").read_bytes() == b"shard"


@pytest.mark.parametrize("damage", ["gone", "cut", "note torn"])
def test_a_piece_that_is_no_longer_whole_is_not_finished(tmp_path, damage):
    out = tmp_path / "out"
    interrupted(out)
    if damage == "gone":
        (out / "train-000000.tar").unlink()
    elif damage == "cut":
        (out / "train-000000.tar").write_bytes(b"sh")
    else:
        (out / ".emoprep/pieces/train-000000.tar.json").write_bytes(b'{"fil')
    with start_run(out, FACTS) as run:
        assert run.finished("train-000000.tar") is None


def test_a_run_whose_first_file_is_torn_begins_again(tmp_path):
    out = tmp_path / "out"
    (out / ".emoprep").mkdir(parents=True)
    (out / ".emoprep/run.json").write_bytes(b'{"finger')
    with start_run(out, FACTS) as run:
        assert not run.complete
    assert json.loads((out / ".emoprep/run.json").read_bytes())["fingerprint"] == fingerprint(FACTS)


def test_a_complete_run_is_only_touched(tmp_path):
    out = tmp_path / "out"
    complete(out)
    for path in out.iterdir():
        os.utime(path, (1000, 1000))

    with start_run(out, FACTS) as run:
        assert run.complete

    assert (out / MANIFEST).stat().st_mtime > 10**9
    assert (out / "train-000000.tar").stat().st_mtime == 1000
    assert sorted(path.name for path in out.iterdir()) == [MANIFEST, "train-000000.tar"]


def test_what_differs_is_named(tmp_path):
    out = tmp_path / "out"
    complete(out)
    assert refused(out, OTHER) == (f"{out}: OUT holds another run: got settings size 112 there, 224 now; give another "
                                   "OUT, or --overwrite to start anew")
    many = {"command": "features", "settings": {"size": 16, "fps": "25", "corpus": "iemocap", "dims": "9"},
            "inputs": {}}
    told = refused(out, many)
    assert "command segment there, features now" in told
    changed = {**FACTS, "inputs": {"annotation": {"train.csv": "cd" * 32}, "media": {"files": 3}}}
    assert "annotation train.csv abababababab… there, cdcdcdcdcdcd… now" in refused(out, changed)


def test_an_interrupted_run_of_another_kind_is_refused_too(tmp_path):
    out = tmp_path / "out"
    interrupted(out)
    assert "size 112 there, 224 now" in refused(out, OTHER)
    assert (out / ".emoprep/train-000001.tar.1.draft").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_else_is_refused(tmp_path, overwrite):
    (tmp_path / "thesis.doc").write_bytes(b"years of work")
    assert refused(tmp_path, overwrite=overwrite) == (
        f"{tmp_path}: OUT is not empty and holds no store: expected an empty folder, or a name that is free")


def test_files_of_ours_without_a_run_are_somebodys(tmp_path):
    (tmp_path / "train-000000.tar").write_bytes(b"a copy of a shard")
    assert "holds no store" in refused(tmp_path, overwrite=True)


def test_out_may_not_be_a_file(tmp_path):
    (tmp_path / "out").write_bytes(b"x")
    assert refused(tmp_path / "out") == (f"{tmp_path}/out: OUT is a file: expected a folder, or a name that is free")
    assert (tmp_path / "out").read_bytes() == b"x"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"text"', b"3"])
def test_a_manifest_that_cannot_be_read(tmp_path, content, overwrite):
    (tmp_path / MANIFEST).write_bytes(content)
    told = refused(tmp_path, overwrite=overwrite)
    assert told.startswith(f"{tmp_path}: OUT holds a manifest that cannot be read: got ")
    assert told.endswith("; give another OUT, or remove that folder")


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}"])
def test_a_first_file_of_another_kind(tmp_path, content):
    """Whatever stands in `.emoprep/run.json`, there is no traceback."""
    out = tmp_path / "out"
    (out / ".emoprep").mkdir(parents=True)
    (out / ".emoprep/run.json").write_bytes(content)
    try:
        with start_run(out, FACTS) as run:
            assert not run.complete
    except UsageError as error:
        assert "OUT holds another run" in str(error)


def test_the_manifest_of_another_program(tmp_path):
    (tmp_path / MANIFEST).write_bytes(b'{"name": "my web app", "icons": []}')
    assert "OUT holds another run" in refused(tmp_path)


def test_the_manifest_of_another_program_is_not_overwritten(tmp_path):
    """A web application has a manifest.json, too, and it is not ours to remove."""
    (tmp_path / MANIFEST).write_bytes(b'{"name": "my web app", "icons": []}')
    (tmp_path / "README.md").write_bytes(b"my app")
    refused(tmp_path, overwrite=True)


def test_overwrite_begins_anew(tmp_path):
    out = tmp_path / "out"
    complete(out)
    with start_run(out, OTHER, overwrite=True) as run:
        assert not run.complete
        assert run.finished("train-000000.tar") is None
        assert not (out / MANIFEST).exists()
        assert not (out / "train-000000.tar").exists()
        run.seal(manifest_of(OTHER))
    assert check_out(out, OTHER)


def test_overwrite_of_the_same_run_makes_it_again(tmp_path):
    out = tmp_path / "out"
    complete(out)
    with start_run(out, FACTS, overwrite=True) as run:
        assert not run.complete
        assert run.finished("train-000000.tar") is None


def test_overwrite_removes_only_our_files(tmp_path):
    out = tmp_path / "out"
    complete(out)
    ours = ["dev-000012.tar", "utterances.parquet", "plan.parquet", "train.parquet", "skipped.jsonl", "README.md",
            "class_weights.json", "class_weights.npy", "sampler.npz", "scaler.npz"]
    foreign = ["notes.txt", "train.tar", "results.json", "weights.npy", "sub/train-000000.tar", "backup.tar.gz",
               "model.npz", ".hidden"]
    for name in [*ours, *foreign]:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"x")

    with start_run(out, OTHER, overwrite=True):
        left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}

    assert left == {*foreign, ".emoprep/run.json", ".emoprep/lock", ".emoprep/door", ".emoprep/progress.json"}


def test_overwrite_spares_tables_that_it_never_wrote(tmp_path):
    """`embeddings.parquet` for `--add` may well lie beside the store's own tables."""
    out = tmp_path / "out"
    complete(out)
    (out / "embeddings.parquet").write_bytes(b"a week of computing")

    with start_run(out, OTHER, overwrite=True):
        assert (out / "embeddings.parquet").exists()


# ------------------------------------------------------------------------------------------------- the lock

HOLDER = """
import sys, pathlib
from emoprep.store.folder import start_run
with start_run(pathlib.Path(sys.argv[1]), eval(sys.argv[2])):
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that is at work in `out`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "out"), repr(FACTS)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    yield process
    process.stdin.close()
    process.stdout.close()
    process.wait(10)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_run_is_told_and_changes_nothing(tmp_path, holder, overwrite):
    out = tmp_path / "out"
    write_bytes(out / "train-000000.tar", b"shard")
    (out / ".emoprep/train-000001.tar.9.draft").write_bytes(b"being written")

    told = refused(out, overwrite=overwrite)

    assert told == f"{out}: another run is at work here; wait for it, or give another OUT"


def test_a_second_run_of_another_kind_changes_nothing_even_with_overwrite(tmp_path, holder):
    assert "another run is at work here" in refused(tmp_path / "out", OTHER, overwrite=True)


def test_the_lock_goes_with_its_process(tmp_path, holder):
    holder.kill()
    holder.wait(10)
    with start_run(tmp_path / "out", FACTS) as run:
        assert not run.complete


def test_the_lock_goes_after_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), start_run(tmp_path / "out", FACTS):
        raise ZeroDivisionError
    with start_run(tmp_path / "out", FACTS) as run:
        assert not run.complete


def test_the_lock_is_seen_through_another_name(tmp_path, holder):
    (tmp_path / "alias").symlink_to(tmp_path / "out")
    assert "another run is at work here" in refused(Path(tmp_path / "alias"))


def test_a_lock_on_a_folder_that_was_sealed_meanwhile_holds_nobody_off(tmp_path, monkeypatch):
    """A process may open the lock right before the run that holds it ends and clears the workshop."""
    import fcntl
    import shutil

    real = fcntl.flock

    def sealed_meanwhile(file, how):
        shutil.rmtree(tmp_path / "out/.emoprep")
        return real(file, how)
    monkeypatch.setattr(fcntl, "flock", sealed_meanwhile)
    with pytest.raises(UsageError, match="another run has just ended here; run the same command again"), \
            start_run(tmp_path / "out", FACTS):
        pass


def test_drafts_of_dismissed_workers_go_with_the_run(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), start_run(out, FACTS):
        (out / ".emoprep/train-000000.tar.77.draft").write_bytes(bytes(1000))
        raise RuntimeError("the disk is full")
    assert not list(out.rglob("*.draft"))


def test_a_store_that_lost_a_piece_no_longer_claims_to_be_whole(tmp_path):
    """Also while it is made again: that run may be killed, too."""
    out = tmp_path / "out"
    complete(out)
    manifest = json.loads((out / MANIFEST).read_bytes())
    manifest["shards"] = [{"name": "train-000099.tar", "size": 5}]
    (out / MANIFEST).write_bytes(json.dumps(manifest).encode())
    with start_run(out, FACTS) as run:
        assert not run.complete
        assert not (out / MANIFEST).exists()
