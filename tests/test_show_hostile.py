"""show where others have been: temporary folders that many share, ffmpeg programs that do not do their work, indexes
that hold anything."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow
import pytest
from PIL import Image

from emoprep.errors import EmoprepError
from emoprep.media import clip, ffmpeg
from emoprep.show import look, open_source, show
from emoprep.store.index import read_index, with_column, write_index

KEY = "meld_train_dia0_utt1"


@pytest.fixture(autouse=True)
def shared_folder(tmp_path, monkeypatch):
    """Return the temporary folder of the system, one of the test's own."""
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return the function that puts a program named ffmpeg on PATH, and before the real one."""
    def put(text):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(text)
        (folder / "ffmpeg").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        ffmpeg.program.cache_clear()
        return folder
    yield put
    ffmpeg.program.cache_clear()


# ------------------------------------------------------------------------------------------------ the strip

PLANTED = {"a link": lambda place, victim: place.symlink_to(victim),
           "a link to nowhere": lambda place, victim: place.symlink_to(victim.with_name("nowhere")),
           "a folder": lambda place, victim: place.mkdir(), "a pipe": lambda place, victim: os.mkfifo(place)}


@pytest.mark.parametrize("what", PLANTED)
def test_what_somebody_put_in_the_strips_place_stays(demo_road, shared_folder, tmp_path, what):
    victim, place = tmp_path / "victim", shared_folder / f"{KEY}.jpg"
    victim.write_text("mine")
    PLANTED[what](place, victim)
    before = place.lstat()
    shown = show(demo_road / "shards", KEY)
    assert place.lstat() == before and victim.read_text() == "mine" and not victim.with_name("nowhere").exists()
    assert shown.strip.parent == shared_folder and shown.strip.name.startswith(f"{KEY}-")
    assert Image.open(shown.strip).format == "JPEG" and len(list(shared_folder.iterdir())) == 2


def test_an_earlier_strip_is_replaced(demo_road, shared_folder):
    for _ in range(2):
        assert show(demo_road / "shards", KEY).strip == shared_folder / f"{KEY}.jpg"
    assert len(list(shared_folder.iterdir())) == 1


# ------------------------------------------------------------------------------------------------- the clip

@pytest.mark.parametrize("script", ["exec sleep 1000", "cat >/dev/null; exec sleep 1000"], ids=["deaf", "no end"])
def test_an_ffmpeg_that_hangs_is_ended(demo_road, program, tmp_path, monkeypatch, script):
    program(f"#!/bin/sh\n{script}\n")
    monkeypatch.setattr(clip, "PATIENCE_S", 0.5)
    with pytest.raises(EmoprepError, match=r"a.mp4: ffmpeg could not write the clip: got nothing for 0.5 s"):
        show(demo_road / "shards", KEY, clip=tmp_path / "a.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "shared"]


def test_an_ffmpeg_that_is_no_program_is_told(demo_road, program, tmp_path):
    folder = program("\0\1\2")
    with pytest.raises(EmoprepError, match="bin/ffmpeg: the program ffmpeg cannot be started: got Exec format error"):
        show(demo_road / "shards", KEY, clip=tmp_path / "a.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, "shared"]


def test_a_film_whose_end_finds_no_room_is_no_film(demo_road, ffmpeg_on_path, program, tmp_path):
    """As on a full disk: ffmpeg by itself calls it done where all but the end could be written."""
    show(demo_road / "shards", KEY, clip=tmp_path / "whole.mp4")
    blocks = (tmp_path / "whole.mp4").stat().st_size // 512
    real = shutil.which("ffmpeg")
    program(f'#!/bin/sh\ntrap "" XFSZ\nulimit -f {blocks}\nexec {real} "$@"\n')
    with pytest.raises(EmoprepError, match="could not write the clip: got .*File too large"):
        show(demo_road / "shards", KEY, clip=tmp_path / "a.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "shared", "whole.mp4"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_clip_leaves_nothing(demo_road, program, tmp_path, number, code):
    program(f"#!/bin/sh\nhead -c 999 >/dev/null\necho $$ >{tmp_path}/began\nexec sleep 1000\n")
    with subprocess.Popen([sys.executable, "-m", "emoprep", "show", demo_road / "shards", KEY, "--clip",
                           tmp_path / "a.mp4"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "began").exists() or not (tmp_path / "began").read_text().endswith("\n"):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code and stderr.count("\n") == 1 and not stdout
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "began").read_text()), 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["began", "bin", "shared"]


# ----------------------------------------------------------------------------------------------- the index

@pytest.fixture
def features(demo_road, tmp_path):
    return Path(shutil.copytree(demo_road / "features", tmp_path / "features"))


def rewritten(folder, **columns):
    index = read_index(folder / "utterances.parquet")
    for name, value in columns.items():
        index = with_column(index, name, [value] * len(index))
    (folder / "utterances.parquet").unlink()
    write_index(folder / "utterances.parquet", index)


def test_nothing_in_a_store_steers_the_terminal(features, emoprep):
    evil = "\x1b[2J\x07\u202e"
    texts = dict.fromkeys(("split", "dialogue", "speaker", "text", "sentiment", evil), evil)
    rewritten(features, flags=[evil], **texts)
    document = json.loads((features / "manifest.json").read_bytes())
    document["kind"] = f"features {evil}"
    document["annotation"][evil] = "string"
    document["modalities"]["audio"]["extractor"] = evil
    document["label_schemes"][evil] = document["label_schemes"].pop("meld-3")
    (features / "manifest.json").unlink()
    (features / "manifest.json").write_text(json.dumps(document))
    done = emoprep("show", features, KEY)
    assert done.returncode == 0 and not set(evil) - {"[", "2", "J"} & set(done.stdout)
    assert r"place       \x1b[2J\x07\u202e · dialogue \x1b[2J\x07\u202e · turn 1" in done.stdout
    assert r" · \x1b[2J\x07\u202e \x1b[2J\x07\u202e" in done.stdout  # a column of the annotation, and its value


@pytest.mark.parametrize("time", [1e308, -1e308, float("nan"), float("inf")])
def test_times_that_no_clock_has(features, emoprep, time):
    rewritten(features, start=0.0, end=time, source_start=time, source_end=time)
    done = emoprep("show", features, KEY)
    assert done.returncode == 0 and not done.stderr and "\nnow " in done.stdout


def test_a_list_without_an_end_has_one_on_screen(features, emoprep):
    rewritten(features, flags=["flag"] * 10_000)
    assert len(emoprep("show", features, KEY, check=True).stdout) < 10_000


@pytest.mark.parametrize("lost", ["one", "all", "no text"])
def test_utterances_without_a_key_are_told(features, lost):
    index = read_index(features / "utterances.parquet")
    keys = {"one": pyarrow.array([*index["key"].to_pylist()[1:], None]), "all": pyarrow.nulls(len(index)),
            "no text": pyarrow.array([b"\xff"] * len(index))}[lost]
    write_index(features / "utterances.parquet", index.set_column(0, "key", keys))
    with pytest.raises(EmoprepError, match="the index cannot be read"):
        look(open_source(features), KEY)
