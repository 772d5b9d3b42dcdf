"""show: what is told of one utterance, its strip, and the film that ffmpeg makes of it, read back with PyAV."""

import csv
import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.films import loudest_hz, numbered, read_colour, read_number, tone, write_film
from emoprep.media.caption import GROUND, Caption, draw_caption
from emoprep.show import look, open_source, show
from emoprep.show.pictures import film_size, sheet
from emoprep.store.index import read_index, with_column, write_index

RED, GREEN = (200, 60, 40), (40, 160, 70)
HOSTILE = "Look\x1b[2J\x07 at \u202ethis\r\nnow"
FPS, SIZE = 5, 64
KEYS = ("both", "silent", "heard", "hostile")


def corpus(folder):
    """Make a table of a film with sound, a silent film, a sound, and a film whose text steers terminals."""
    folder.mkdir()
    for name, colour, hz in (("both.mp4", RED, 440), ("silent.mp4", GREEN, None), ("hostile.mp4", GREEN, 880)):
        sound = None if hz is None else np.tile(tone(hz, 2), (2, 1))
        write_film(folder / name, seconds=2, fps=25, size=(320, 180), picture=numbered(colour), sound=sound)
    write_film(folder / "heard.wav", seconds=2, sound=tone(660, 2)[np.newaxis], layout="mono")
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("key", "file", "speaker", "text", "emotion", "happy", "sad", "dialogue", "turn", "split"))
        table.writerows((
            ("both", "both.mp4", "Ida", "What a lovely evening!", "joy", 1, 1, "a", 0, "train"),
            ("silent", "silent.mp4", "Otto", "", "neutral", 0, 0, "a", 1, "train"),
            ("heard", "heard.wav", "Ida", "Who is there?", "fear", 0, 1, "a", 2, "train"),
            ("hostile", "hostile.mp4", "Eve", HOSTILE, "anger", 0, 0, "b", 0, "dev")))
    return folder / "clips.csv"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("show") / "corpus")


@pytest.fixture(scope="module")
def store(table, emoprep):
    out = table.parent.parent / "store"
    emoprep("segment", table, out, "--fps", FPS, "--size", SIZE, "-q", check=True)
    return out


@pytest.fixture(autouse=True)
def strips(tmp_path, monkeypatch):
    """Have strips written to a temporary folder of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


# ------------------------------------------------------------------------------------------ what is told

def test_an_utterance_in_a_pipe(store, emoprep, tmp_path):
    done = emoprep("show", store, "both", env={"COLORTERM": "truecolor", "FORCE_COLOR": "", "TERM": "xterm-256color"})
    assert done.returncode == 0 and not done.stderr and "\x1b" not in done.stdout and "▀" not in done.stdout
    lines = {line[:12].strip(): line[12:] for line in done.stdout.splitlines() if line[:12].strip()}
    assert done.stdout.startswith("both\n")
    assert lines["place"] == "train · dialogue table_a · turn 0" and lines["source"] == "0:00.000–0:02.000 of its media"
    assert lines["length"] == "2.000 s · 10 frames of 64 px at 5 a second · 32,000 samples at 16,000 Hz"
    assert lines["annotation"] == "emotion joy · happy 1 · sad 1" and lines["labels"] == "table-emotion joy"
    assert "before" not in lines and lines["now"] == "Ida (joy): What a lovely evening!"
    assert lines["after"] == "Otto (neutral):" and "flags" not in lines and "made" not in lines
    # A sine at 0.3: as loud in each channel, and in their mean.
    assert re.fullmatch(r"peak -10\.\d dBFS, RMS -13\.\d dBFS", lines["sound"])
    drawn = done.stdout.partition("dBFS\n")[2].splitlines()[:3]
    assert all(0x2800 <= ord(letter) < 0x2900 for line in drawn[:2] for letter in line.strip())
    assert drawn[2].split()[0] == "0" and drawn[2].endswith(" s")
    assert lines["strip"] == str(tmp_path / "both.jpg") and Path(lines["strip"]).is_file()


def test_json_is_one_document(store, emoprep, tmp_path):
    done = emoprep("show", store, "heard", "--json")
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    assert told["schema"] == "emoprep.show/1" and (told["kind"], told["corpus"]) == ("shards", "table")
    assert (told["key"], told["turn"], told["seconds"]) == ("heard", 2, 2.0)
    assert told["strip"] is None and told["pictures"] is None
    assert told["labels"] == {"table-emotion": ["fear"]} and told["context"]["after"] is None
    assert told["context"]["before"] == {"key": "silent", "speaker": "Otto", "text": "",
                                         "labels": {"table-emotion": ["neutral"]}}
    assert len(told["sound"]["peaks"]) == 200 and max(told["sound"]["peaks"]) == pytest.approx(0.3, abs=0.02)
    assert told["sound"]["peak_dbfs"] == pytest.approx(-10.5, abs=0.1)
    silent = json.loads(emoprep("show", store, "silent", "--json").stdout)
    assert silent["sound"] is None and "no-sound" in silent["flags"] and silent["strip"] == str(tmp_path / "silent.jpg")


def test_several_labels_of_ones_own_scheme(store, emoprep, tmp_path):
    (tmp_path / "two.toml").write_text(
        'name = "two"\nlabels = ["glad", "sad"]\n[columns]\nglad = "happy"\nsad = "sad"\n')
    shown = emoprep("show", store, "both", "--labels", tmp_path / "two.toml", check=True).stdout
    assert "two glad, sad" in shown and "now         Ida (glad, sad): What" in shown and "table-emotion" not in shown
    assert "after       Otto (none):" in shown
    told = json.loads(emoprep("show", store, "silent", "--labels", tmp_path / "two.toml", "--json").stdout)
    assert told["labels"] == {"two": []} and told["context"]["before"]["labels"] == {"two": ["glad", "sad"]}


def test_a_hostile_text_steers_nothing(store, emoprep, tmp_path):
    copy = shutil.copytree(store, tmp_path / "copy")
    index = read_index(copy / "utterances.parquet")
    write_index(copy / "utterances.parquet", with_column(index, "speaker", ["Eve\x1b]0;owned\x07"] * len(index)))
    done = emoprep("show", copy, "hostile")
    assert done.returncode == 0 and not {"\x1b", "\x07", "\r", "\u202e"} & set(done.stdout)
    assert r"Look\x1b[2J\x07 at \u202ethis\r\nnow" in done.stdout and r"Eve\x1b]0;owned\x07" in done.stdout
    assert json.loads(emoprep("show", store, "hostile", "--json").stdout)["text"] == HOSTILE


def test_what_an_index_may_hold_that_json_cannot(store, tmp_path, emoprep):
    import pyarrow

    copy = shutil.copytree(store, tmp_path / "copy")
    index = read_index(copy / "utterances.parquet")
    at = index.column_names.index("happy")
    write_index(copy / "utterances.parquet", index.set_column(at, "happy", pyarrow.array([float("nan")] * len(index)))
                .set_column(index.column_names.index("sad"), "sad", pyarrow.array([b"\xff"] * len(index))))
    told = json.loads(emoprep("show", copy, "both", "--json").stdout)
    assert told["annotation"] == {"emotion": "joy", "happy": None, "sad": r"b'\xff'"}
    assert r"sad b'\xff'" in emoprep("show", copy, "both", check=True).stdout
    write_index(copy / "utterances.parquet", index.set_column(0, "key", pyarrow.array(range(len(index)))))
    done = emoprep("show", copy, "both")
    assert done.returncode in (1, 2) and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(("key", "code", "words"), [
    ("dia0_utt1", 2, "several utterances end so: expected meld_train_dia0_utt1 or meld_dev_dia0_utt1 or "
                     "meld_test_dia0_utt1, got dia0_utt1; give the whole key"),
    ("meld_dve_dia0_utt2", 2, "IN has no such utterance: expected meld_dev_dia0_utt2 or "),
    ("", 2, "IN has no such utterance"), ("\x1b[2J", 2, r"got '\x1b[2J'")])
def test_keys_that_are_not_there(demo_road, emoprep, key, code, words):
    for source in ("shards", "MELD.Raw"):
        done = emoprep("show", demo_road / source, key)
        assert done.returncode == code and words in done.stderr and not done.stdout
        assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr


def test_the_end_of_a_key_is_enough(demo_road):
    assert look(open_source(demo_road / "weights"), "train_dia0_utt1").key == "meld_train_dia0_utt1"
    with pytest.raises(UsageError, match="no such utterance"):
        look(open_source(demo_road / "weights"), "rain_dia0_utt1")


# ---------------------------------------------------------------------------------------- kinds of IN

def test_made_items_name_their_parents(demo_road, emoprep):
    for name, op in (("smote", "interpolate"), ("oversample", "repeat")):
        plan = next(row for row in pq.read_table(demo_road / name / "plan.parquet").to_pylist() if row["op"] == op)
        told = json.loads(emoprep("show", demo_road / name, plan["key"], "--json", check=True).stdout)
        assert told["op"] == op and told["lambda"] == plan["lambda"]
        assert [parent["key"] for parent in told["parents"]] == [
            key for key in (plan["base"], plan["neighbor"]) if key is not None]
        # It is a dialogue of its own, so it is judged where its base was said.
        assert told["context"]["of"] == plan["base"]
        base = json.loads(emoprep("show", demo_road / name, plan["base"], "--json").stdout)
        assert base["context"] == told["context"] and base["context"]["of"] == plan["base"]
        assert base["op"] == "keep" and base["parents"] == [] and base["lambda"] is None
        shown = emoprep("show", demo_road / name, plan["key"]).stdout
        assert f"made        {op}" in shown and f"(around {plan['base']})" in shown
    assert "base        meld_" in emoprep("show", demo_road / "smote", next(
        row["key"] for row in pq.read_table(demo_road / "smote/plan.parquet").to_pylist() if row["lambda"])).stdout


def test_features_are_told_by_modality(demo_road, emoprep):
    key = "meld_train_dia0_utt1"
    row = next(row for row in pq.read_table(demo_road / "features/train.parquet").to_pylist() if row["key"] == key)
    told = json.loads(emoprep("show", demo_road / "features", key, "--json").stdout)
    assert told["kind"] == "features" and set(told["features"]) == {"audio", "video", "text"}
    for name, found in told["features"].items():
        assert (found["dim"], found["steps"], found["there"]) == (len(row[name]), None, True)
        assert found["norm"] == pytest.approx(np.linalg.norm(row[name]))
    assert told["text"] == row["transcript"] and told["strip"] is None and told["sound"] is None
    shown = " ".join(emoprep("show", demo_road / "features", key).stdout.split())
    assert f"missing the store is one of features, without media; `emoprep show SHARDS {key}` has them" in shown


def test_sequences_have_steps(store, tmp_path, emoprep):
    emoprep("features", store, tmp_path / "f", "--pool", "none", "-q", check=True)
    told = look(open_source(tmp_path / "f"), "both").features
    assert told["video"].steps == 10 and told["video"].clock == f"fps:{FPS}"
    assert not look(open_source(tmp_path / "f"), "silent").features["audio"].there


@pytest.mark.parametrize("source", ["shards", "MELD.Raw"])
@pytest.mark.parametrize(("key", "reason"), [
    ("meld_train_dia9_utt2", "undecodable: "), ("meld_dev_dia1_utt4", "no-clip")])
def test_a_skipped_utterance_is_shown_with_the_reason(demo_road, emoprep, source, key, reason, tmp_path):
    done = emoprep("show", demo_road / source, key)
    assert done.returncode == 0 and f"missing     {reason}" in done.stdout and "\nnow " in done.stdout
    refused = emoprep("show", demo_road / source, key, "--strip", tmp_path / "x.png")
    assert refused.returncode == 2 and f"this utterance has no pictures here: got {reason}" in refused.stderr


def test_a_raw_corpus_is_cut_for_it(table, demo_road, tmp_path):
    shown = look(open_source(table), "both")
    assert shown.kind == "corpus" and shown.opened.frames.shape == (20, 112, 112, 3) and shown.row["shard"] is None
    assert list(map(read_number, shown.opened.frames)) == [int((number + 0.5) / 10 * 25) for number in range(20)]
    assert loudest_hz(*shown.opened.sound) == pytest.approx(440, abs=1)
    assert list(tmp_path.iterdir()) == []
    cut = look(open_source(demo_road / "shards"), "meld_test_dia0_utt0")
    raw = look(open_source(demo_road / "MELD.Raw"), "meld_test_dia0_utt0")
    assert (raw.opened.frames == cut.opened.frames).all() and (raw.opened.sound[0] == cut.opened.sound[0]).all()
    assert raw.opened.row == {**cut.opened.row, "shard": None} and raw.after == cut.after


def test_annotation_without_media(demo_road, tmp_path, emoprep):
    (tmp_path / "csv").mkdir()
    for path in (demo_road / "MELD.Raw").rglob("*.csv"):
        shutil.copy(path, tmp_path / "csv")
    for source in (tmp_path / "csv", demo_road / "weights"):
        done = emoprep("show", source, "meld_train_dia0_utt1")
        assert done.returncode == 0 and "now         Cleo (neutral): The meeting is at four" in done.stdout
        assert "missing " in done.stdout and "strip" not in done.stdout
        refused = emoprep("show", source, "meld_train_dia0_utt1", "--strip", tmp_path / "x.jpg")
        assert refused.returncode == 2 and "no pictures here" in refused.stderr and not (tmp_path / "x.jpg").exists()


# ------------------------------------------------------------------------------------------------ strip

def test_the_strip_is_the_frames_side_by_side(store, tmp_path):
    shown = show(store, "both", strip=tmp_path / "look.png")
    with Image.open(tmp_path / "look.png") as image:
        assert image.format == "PNG"
        seen = np.asarray(image.convert("RGB"))
    # 16:9 again, though frames are square in the shard: 64 px high, 114 wide, 4 px between.
    assert seen.shape[1] == 4 + 10 * (114 + 4)
    for number in range(10):
        frame = seen[4:68, 4 + number * 118:][:, :114]
        assert read_number(frame) == int((number + 0.5) / FPS * 25) == read_number(shown.opened.frames[number])
        assert np.abs(np.subtract(read_colour(frame), RED)).max() <= 6
        assert (seen[:68, number * 118:number * 118 + 4] == GROUND).all()
        assert (seen[70:, 4 + number * 118:][:, :20] != GROUND).any()  # the time


def test_a_long_strip_leaves_frames_out():
    frames = np.zeros((1000, 16, 16, 3), np.uint8)
    frames[:, :, :, 0] = (np.arange(1000) % 250)[:, np.newaxis, np.newaxis]
    seen = np.asarray(sheet(frames, 10))
    tops = [seen[4 + row * (16 + 12 + 8) + 8, 4 + column * 20 + 8, 0] for row in range(25) for column in range(10)]
    assert tops == [number % 250 for number in range(0, 1000, 4)]


def test_files_that_are_there_stay(store, emoprep, tmp_path):
    (tmp_path / "look.jpg").write_text("mine")
    done = emoprep("show", store, "both", "--strip", "look.jpg", cwd=tmp_path)
    assert done.returncode == 2 and "--strip look.jpg: this file is there already; give another name, or --overwrite" \
        in done.stderr and (tmp_path / "look.jpg").read_text() == "mine"
    emoprep("show", store, "both", "--strip", "look.jpg", "--overwrite", cwd=tmp_path, check=True)
    assert Image.open(tmp_path / "look.jpg").format == "JPEG"
    for option, name, words in (("--strip", "look.gif", "expected .jpg or .jpeg or .png, got .gif"),
                                ("--clip", "look.mkv", "expected .mp4, got .mkv"), ("--clip", "no/a.mp4", "its folder"),
                                ("--clip", "a", "got no ending")):
        done = emoprep("show", store, "both", option, name, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["look.jpg"]


def test_a_terminal_with_all_colours_shows_frames(store):
    def on_terminal(**more):
        screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES")}
        with subprocess.Popen([sys.executable, "-m", "emoprep", "show", store, "both"], stdout=terminal,
                              env={**environment, "TERM": "xterm-256color", **more}):
            os.close(terminal)
            read = b""
            try:
                while piece := os.read(screen, 65536):
                    read += piece
            except OSError:  # so Linux says that nobody has the terminal any more
                pass
        os.close(screen)
        return read.decode()
    shown = on_terminal(COLORTERM="truecolor")
    # Three frames of 36 × 20 px, two a half block.
    assert shown.count("▀") == 3 * 36 * 10
    # In one piece, however long: it is there to be copied.
    assert f"{store}/train-000000.tar (shards)\r\n" in shown
    assert "▀" not in on_terminal(COLORTERM="truecolor", NO_COLOR="1") + on_terminal()


# ------------------------------------------------------------------------------------------------- clip

def read_film(path):
    """Return fps, pictures uint8 [n, h, w, 3], codecs, sound float32 [n] (None: no track) and its rate."""
    with av.open(str(path)) as film:
        video = film.streams.video[0]
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video)])
        codecs, fps, sound, rate = [video.codec_context.name], video.average_rate, None, None
        assert video.codec_context.pix_fmt == "yuv420p"
    with av.open(str(path)) as film:
        for audio in film.streams.audio:
            codecs.append(audio.codec_context.name)
            sound = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio)])
            rate = audio.rate
    return fps, pictures, codecs, sound, rate


def test_the_clip_has_pictures_sound_and_caption(store, ffmpeg_on_path, tmp_path):
    shown = show(store, "both", clip=tmp_path / "a.mp4")
    assert shown.to_json()["clip"] == str(tmp_path / "a.mp4")
    fps, pictures, codecs, sound, rate = read_film(tmp_path / "a.mp4")
    assert (fps, len(pictures), codecs) == (FPS, 10, ["h264", "aac"])
    assert pictures.shape[2] == 796 and pictures.shape[1] > 448 + 60
    for number, picture in enumerate(pictures):
        assert read_number(picture[:448]) == int((number + 0.5) / FPS * 25)
        assert np.abs(np.subtract(read_colour(picture[:448]), RED)).max() <= 12
        below = picture[452:].astype(int)
        assert np.median(np.abs(below - GROUND)) <= 6  # the caption's ground, with letters on it
        assert 0.01 < (below.max(axis=2) > 120).mean() < 0.3
    assert loudest_hz(sound, rate) == pytest.approx(440, abs=1) and rate == 16_000
    assert len(sound) / rate == pytest.approx(2, abs=0.15)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "both.jpg"]


def test_what_an_utterance_lacks_is_black_or_silent(store, ffmpeg_on_path, tmp_path):
    show(store, "heard", clip=tmp_path / "heard.mp4")
    fps, pictures, _, sound, rate = read_film(tmp_path / "heard.mp4")
    assert (fps, len(pictures), pictures.shape[2]) == (FPS, 10, 448) and pictures[:, :440].max() <= 8
    assert (pictures[:, 452:].max(axis=3) > 120).mean() > 0.01 and loudest_hz(sound, rate) == pytest.approx(660, abs=1)
    show(store, "silent", clip=tmp_path / "silent.mp4")
    _, pictures, codecs, sound, _ = read_film(tmp_path / "silent.mp4")
    assert codecs == ["h264"] and sound is None
    assert np.abs(np.subtract(read_colour(pictures[3][:448]), GREEN)).max() <= 12


def test_the_clip_of_a_hostile_text_and_the_frame_rate_of_cinema(table, ffmpeg_on_path, tmp_path, emoprep):
    emoprep("segment", table, tmp_path / "cinema", "--fps", "24000/1001", "--size", 32, "-q", check=True)
    show(tmp_path / "cinema", "hostile", clip=tmp_path / "a.mp4")
    fps, pictures, _, sound, rate = read_film(tmp_path / "a.mp4")
    assert (fps.numerator, fps.denominator, len(pictures)) == (24000, 1001, 48)
    assert loudest_hz(sound, rate) == pytest.approx(880, abs=1)


def test_a_clip_is_replaced_only_if_asked_for(store, ffmpeg_on_path, tmp_path):
    (tmp_path / "a.mp4").write_text("mine")
    with pytest.raises(UsageError, match="this file is there already; give another name, or --overwrite"):
        show(store, "both", clip=tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_text() == "mine"
    show(store, "both", clip=tmp_path / "a.mp4", overwrite=True)
    assert len(read_film(tmp_path / "a.mp4")[1]) == 10


def test_no_clip_of_what_has_no_media(demo_road, ffmpeg_on_path, tmp_path):
    with pytest.raises(UsageError, match="no media here: got the store is one of features"):
        show(demo_road / "features", "meld_train_dia0_utt1", clip=tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_without_the_ffmpeg_program(store, emoprep, tmp_path):
    done = emoprep("show", store, "both", "--clip", tmp_path / "a.mp4", env={"PATH": str(tmp_path)})
    assert done.returncode == 5 and "--clip: the program ffmpeg is not there: expected ffmpeg on PATH; install it" \
        in done.stderr and not done.stdout
    assert list(tmp_path.iterdir()) == []  # not even the strip


def test_an_ffmpeg_that_fails_leaves_nothing(store, tmp_path, monkeypatch):
    from emoprep.media import ffmpeg

    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/ffmpeg"
    fake.write_text("#!/bin/sh\necho \"Unknown encoder 'libx264'\" >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    ffmpeg.program.cache_clear()
    try:
        with pytest.raises(EmoprepError, match="could not write the clip: got Unknown encoder 'libx264'") as failed:
            show(store, "both", clip=tmp_path / "a.mp4")
    finally:
        ffmpeg.program.cache_clear()
    assert not isinstance(failed.value, (UsageError, MissingInput))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "both.jpg"]


# ---------------------------------------------------------------------------------------------- caption

def inked(band):
    return (band.astype(int).max(axis=2) > 110)


def test_a_caption_has_room_for_its_text():
    short = draw_caption(Caption("Ida", "joy", "Yes!", "key_1"), 448)
    long = draw_caption(Caption("Ida", "joy", "Yes! " * 60, "key_1"), 448)
    endless = draw_caption(Caption("I" * 500, "joy, " * 90, "y" * 100_000, "k" * 200), 448)
    assert short.shape[1:] == long.shape[1:] == (448, 3) and len(short) < len(long) <= len(endless) < 448
    assert all(len(band) % 2 == 0 for band in (short, long, endless))
    for band in (short, long, endless):
        # Nothing reaches the edges, so nothing is cut off.
        assert inked(band).any() and not inked(band)[:, [0, 1, -2, -1]].any() and not inked(band)[[0, -1]].any()


def test_control_characters_draw_nothing():
    plain, steered = (draw_caption(Caption("Ida", "joy", text, "k"), 448) for text in ("a b", "a\x1b\n\u202e\x00b"))
    assert (plain == steered).all()


def test_letters_that_no_font_has_are_boxes(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))  # no fontconfig: Pillow's own font, which is Latin
    boxes, more = (draw_caption(Caption("", "", text, ""), 448) for text in ("\u4e2d", "\u4e2d\u6587"))
    assert inked(boxes).any() and inked(more).sum() == 2 * inked(boxes).sum()


def test_films_are_no_smaller_than_can_be_watched():
    for size, aspect in ((16, 1.0), (112, 16 / 9), (2048, 0.25), (224, 0.5)):
        width, height = film_size(size, aspect)
        assert width % 2 == height % 2 == 0 and min(width, height) >= 448 and width / height == pytest.approx(
            aspect, rel=0.01)
