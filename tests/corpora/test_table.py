"""A table of one's own: every format, each quirk, one clear line for what cannot be read, and the pages' one-liners."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from table_miniature import FPS, HEADER, build_miniature

from emoprep.corpora import open_corpus, recognise
from emoprep.corpora.table import parse_seconds
from emoprep.errors import CorpusError, MissingInput
from emoprep.films import loudest_hz, read_colour, read_number
from emoprep.formats import rows as rows_room
from emoprep.media.decode import make_recipe
from emoprep.segment import plan_segment, segment
from emoprep.store.index import COLUMNS
from emoprep.store.shards import read_shard

PAGE = Path(__file__).resolve().parents[2] / "docs" / "table.md"


def fields(*rows, separator=",", ending="\n"):
    """Return csv text."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=ending).writerows(rows)
    return text.getvalue()


def corpus_of(folder, data, name="clips.csv"):
    """Write a table and read the corpus; a list of dicts becomes parquet."""
    folder.mkdir(exist_ok=True)
    if name.endswith(".parquet"):
        parquet.write_table(data if isinstance(data, pyarrow.Table) else pyarrow.Table.from_pylist(data), folder / name)
    else:
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return open_corpus(folder / name)[1]


def failure(folder, data, name="clips.csv", error=CorpusError):
    with pytest.raises(error) as caught:
        corpus_of(folder, data, name)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not decoded here")


def keys(read):
    return [utterance.key for utterance in read.utterances]


# ------------------------------------------------------------------------------------------- the miniature

@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_the_miniature_in_every_format(tmp_path, ending):
    made = build_miniature(tmp_path, ending)

    module, read = open_corpus(made.folder)

    assert module.NAME == read.name == "table"
    assert keys(read) == list(made.truth)
    for utterance, truth in zip(read.utterances, made.truth.values(), strict=True):
        assert (utterance.dialogue, utterance.turn, utterance.split) == (truth.dialogue, truth.turn, truth.split)
        assert (utterance.start, utterance.end) == (truth.start, truth.end)
        assert (utterance.speaker, utterance.text) == (truth.speaker, truth.text)
        assert utterance.annotation == {"emotion": truth.emotion, "arousal_1_5": truth.arousal}
        assert utterance.audio == (truth.media and truth.media.path)
        assert utterance.video == (truth.media.path if truth.media and truth.media.colour else None)
        assert utterance.seconds == (None if truth.start is None else float(truth.end - truth.start))
    assert read.annotation == {"emotion": "string", "arousal_1_5": "float64"}
    assert [(scheme.name, scheme.labels) for scheme in read.schemes] == [
        ("table-emotion", ("anger", "joy", "neutral", "surprise"))]
    line = 12 if ending in ("csv", "tsv") else 10
    assert [(skip.key, skip.reason, skip.detail) for skip in read.skips] == [
        ("table_talks_lost_0", "no-clip", f"clips.{ending}:{line} names 'talks/lost.mp4', which is no file")]
    separated = (r"clips.tsv: fields are separated by '\t'",) if ending == "tsv" else ()
    assert read.notes == (*separated, "column 'Arousal (1-5)' is called arousal_1_5")
    assert read.annotation_files == (f"clips.{ending}",)
    assert (read.root, read.bare_splits, read.settings) == (made.folder.parent, (), {})


def test_the_miniature_cut(tmp_path):
    """Each utterance has the pictures and the tone of its file, from its own moment on."""
    made = build_miniature(tmp_path)
    plan = plan_segment(made.folder, tmp_path / "out", recipe=make_recipe(size=48, fps=str(FPS)))

    result = segment(plan, tmp_path / "out", max_skipped="1")

    assert (result.written, result.skipped) == (9, {"no-clip": 1})
    samples = {key: sample for path in (tmp_path / "out").glob("*.tar") for key, sample in read_shard(path)}
    for key, truth in made.truth.items():
        if truth.media is None:
            continue
        check_sample(samples[key], truth)


def check_sample(members, truth):
    import soundfile
    from PIL import Image

    row = json.loads(members["json"])
    start, end = (0, truth.media.seconds) if truth.start is None else (truth.start, truth.end)
    assert (row["start"], row["end"]) == (float(start), float(end))
    assert (row["has_video"], row["has_audio"]) == (truth.media.colour is not None, truth.media.hz is not None)
    assert row["frames"] == max(1, int((end - start) * FPS + Fraction(1, 2)))
    if truth.media.colour:
        frames = np.asarray(Image.open(io.BytesIO(members["frames.jpg"]))).reshape(-1, 48, 48, 3)
        assert read_colour(frames[0]) == pytest.approx(truth.media.colour, abs=12)
        # Frame 0 is the picture on screen half a frame after the start.
        assert read_number(frames[0]) == int((start + Fraction(1, 2 * FPS)) * FPS)
    if truth.media.hz:
        sound, rate = soundfile.read(io.BytesIO(members["flac"]))
        assert len(sound) == int((end - start) * rate + Fraction(1, 2))
        assert loudest_hz(sound, rate) == pytest.approx(truth.media.hz, abs=2)


# ------------------------------------------------------------------------------------------------ what IN is

def test_a_folder_is_no_table(tmp_path):
    made = build_miniature(tmp_path)

    with pytest.raises(MissingInput) as caught:
        open_corpus(made.folder.parent)
    assert str(caught.value).endswith("a table of your own is given as the file itself")
    with pytest.raises(MissingInput) as caught:
        open_corpus(made.folder.parent, "table")
    assert str(caught.value) == (
        f"{made.folder.parent}: IN is a folder: expected a table (.csv, .tsv, .jsonl, .parquet); give the table "
        "itself, not the folder that it lies in")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.csv/a").touch()
    with pytest.raises(MissingInput, match="IN is no corpus that emoprep knows"):
        recognise(tmp_path / "folder.csv")


PACKED = "IN is an archive: expected the folder of a corpus or of a store; unpack it and give its folder"
OTHER = "IN is a file: expected the folder of a corpus or of a store, or a table (.csv, .tsv, .jsonl, .parquet), got "


@pytest.mark.parametrize("name, told", [
    ("IEMOCAP_full_release.zip", PACKED), ("MELD.Raw.tar.gz", PACKED), ("CREMA-D.RAR", PACKED),
    ("clips.csv.gz", PACKED),
    ("aligned_50.pkl", "IN is a pickle: expected a corpus, a table or a store; `emoprep features aligned_50.pkl OUT` "
                       "makes a store of features from it"),
    ("clips.xlsx", OTHER + ".xlsx; give a folder"), ("README", OTHER + "no ending; give a folder"),
])
def test_files_that_are_no_table(tmp_path, name, told):
    (tmp_path / name).write_bytes(b"file\na.wav\n")
    with pytest.raises(MissingInput) as caught:
        open_corpus(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {told}"


def test_a_file_for_a_corpus_that_is_a_folder(tmp_path):
    (tmp_path / "clips.csv").write_text("file\na.wav\n")
    with pytest.raises(MissingInput) as caught:
        open_corpus(tmp_path / "clips.csv", "meld")
    assert str(caught.value) == (f"{tmp_path}/clips.csv: IN is a file, and not one that meld can be: expected table; "
                                 "give the folder, or another --corpus")


def test_what_is_waited_for_forever_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "clips.csv")
    with pytest.raises(MissingInput, match="IN is a file"):
        open_corpus(tmp_path / "clips.csv")


def test_a_csv_of_meld_in_its_folder(tmp_path):
    header = "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID"
    assert failure(tmp_path, f"{header}\n", "train_sent_emo.csv") == (
        "train_sent_emo.csv: a column is missing: expected file, got utterance, speaker, emotion, sentiment, "
        "dialogue_id, utterance_id; its folder looks like meld: give the folder")


def test_a_table_in_melds_folder_is_a_table(tmp_path):
    touch(tmp_path, "train_sent_emo.csv", "train_splits/dia0_utt0.mp4")
    read = corpus_of(tmp_path, "file\ntrain_splits/dia0_utt0.mp4\n")
    assert keys(read) == ["table_train_splits_dia0_utt0_0"]


def test_a_name_that_cannot_be_written(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/clips\xff.csv"))
    path.write_text("file\na.wav\n")
    with pytest.raises(MissingInput, match=r"^'clips\\udcff.csv': this name is not UTF-8; rename the file$"):
        open_corpus(path)


# --------------------------------------------------------------------------------------------------- columns

def test_file_alone_is_enough(tmp_path):
    touch(tmp_path, "a.wav", "b.mp4")
    read = corpus_of(tmp_path, "file\na.wav\nb.mp4\n")
    assert [(u.key, u.dialogue, u.turn, u.split, u.speaker, u.text, u.start, u.end, u.seconds, u.annotation)
            for u in read.utterances] == [
        (f"table_{name}_0", f"table_{name}", 0, None, "", "", None, None, None, {}) for name in "ab"]
    assert (read.annotation, read.schemes, read.skips, read.notes) == ({}, (), (), ())


def test_names_of_columns(tmp_path):
    read = corpus_of(tmp_path, fields([" FILE ", "Emotion", "Valence (mean)", "F0-max", "__x__", "Split"],
                                      ["a.wav", "joy", "1", "2", "y", "train"]))
    assert read.annotation == {"emotion": "string", "valence_mean": "float64", "f0_max": "float64", "x": "string"}
    assert read.utterances[0].split == "train"
    assert read.notes == ("column 'Valence (mean)' is called valence_mean", "column 'F0-max' is called f0_max",
                          "column '__x__' is called x")


GIVEN = {"key", "split", "dialogue", "turn", "speaker", "text", "start", "end"}


@pytest.mark.parametrize("name", [*sorted(set(COLUMNS) - GIVEN), "size", "columns", "faces", "face_mask", "audio",
                                  "video", "words", "transcript", "y_mine", "Has face"])
def test_names_that_the_store_needs(tmp_path, name):
    assert failure(tmp_path, f"file,{name}\na.wav,1\n") == (
        f"clips.csv: this name of a column is taken by the store: got {name!r}; rename the column")


@pytest.mark.parametrize("name", ["情感", "1st", "!", "a" * 101])
def test_names_that_cannot_be_used(tmp_path, name):
    assert failure(tmp_path, f"file,{name}\na.wav,1\n") == (
        "clips.csv: this name of a column cannot be used: expected at most 100 letters, digits and '_', a letter "
        f"first, got {name[:100]!r}; rename the column")


def test_two_columns_of_one_name(tmp_path):
    assert failure(tmp_path, "file,joy,joy\na.wav,1,2\n") == (
        "clips.csv: a column is there twice: expected one of each name, got 'joy'; rename or remove one of the two")
    assert failure(tmp_path, "file,Joy,joy\na.wav,1,2\n") == (
        "clips.csv: two columns have one name: expected joy once, got 'Joy' and 'joy'; rename or remove one of the two")


@pytest.mark.parametrize("data, told", [
    ("", "a column is missing: expected file, got none; add a column `file` that says where each utterance lies"),
    ("path,emotion\na.wav,joy\n", "a column is missing: expected file, got path, emotion; add a column `file` that "
                                  "says where each utterance lies"),
    ("file,emotion\n", "the table has no row: expected one for each utterance"),
    ("file,emotion\n,\n,\n", "the table has no row: expected one for each utterance"),
])
def test_tables_without_anything(tmp_path, data, told):
    assert failure(tmp_path, data) == f"clips.csv: {told}"


def test_what_pandas_leaves_in_a_table(tmp_path):
    """Row numbers, NaN for an empty cell, and 3.0 for 3."""
    import pandas

    frame = pandas.DataFrame({"file": ["a.wav", "b.wav", "c.wav"], "dialogue": "d", "turn": [3.0, 1.0, 2.0],
                              "valence": [0.1, float("nan"), 3.0], "start": [None, 0.1, None],
                              "end": [None, 0.7, None]})
    frame.to_csv(tmp_path / "one.csv")
    frame = pandas.read_csv(tmp_path / "one.csv")
    frame.to_csv(tmp_path / "two.csv", na_rep="NaN", columns=["Unnamed: 0", "file", "dialogue", "turn", "valence"])
    pandas.DataFrame(frame.iloc[:, 1:]).set_index(pandas.Index([7, 9, 8])).to_parquet(tmp_path / "three.parquet")
    frame.iloc[:, 1:].to_json(tmp_path / "four.jsonl", orient="records", lines=True)

    read = {path.stem: open_corpus(path)[1] for path in tmp_path.iterdir()}

    for one in read.values():
        assert [u.audio or u.key for u in one.utterances] == keys(one)
        assert [u.annotation for u in one.utterances] == [{"valence": None}, {"valence": 3.0}, {"valence": 0.1}]
    assert [(u.start, u.end) for u in read["three"].utterances] == [(Fraction(1, 10), Fraction(7, 10)), (None, None),
                                                                    (None, None)]
    assert read["one"].notes == ("one.csv: a column without a name of its own is left out: ''",)
    assert read["two"].notes == ("two.csv: a column without a name of its own is left out: ''",
                                 "two.csv: a column without a name of its own is left out: 'Unnamed: 0'")
    assert read["three"].notes == (
        "three.parquet: a column without a name of its own is left out: '__index_level_0__'",)
    assert read["four"].notes == ()


def test_rows_without_any_cell_are_told(tmp_path):
    read = corpus_of(tmp_path, "file,emotion\n,\na.wav,joy\n\n , \n")
    assert keys(read) == ["table_a_0"]
    assert read.notes == ("clips.csv: rows without any cell: 2",)


# ----------------------------------------------------------------------------------------------------- times

@pytest.mark.parametrize("text, seconds", [
    ("0", "0"), ("12.34", "12.34"), (".5", "0.5"), ("5.", "5"), ("1e2", "100"), ("2.5E-1", "0.25"),
    ("1e-05", "0.00001"), ("1000000", "1000000"), ("0.30000000000000004", "0.30000000000000004"), ("007", "7")])
def test_seconds_are_exact(text, seconds):
    assert parse_seconds(text) == Fraction(seconds)


@pytest.mark.parametrize("start, end", [
    ("1", ""), ("", "1"), ("2", "1"), ("1", "1"), ("-1", "1"), ("0", "1000000.1"), ("0", "1e400"), ("0", "9" * 5000),
    ("0", "1,5"), ("0:01", "0:02"), ("0", "nan"), ("0", "inf"), ("0", "1_0"), ("0", "١"), (".", "1"), ("0", "e1"),
    ("0", "1e99"), ("0", "0." + "1" * 31)])
def test_times_that_cannot_be_read(tmp_path, start, end):
    told = failure(tmp_path, fields(["file", "start", "end"], ["a.wav", "0", "1"], ["b.wav", start, end]))
    assert told == ("clips.csv:3: start and end cannot be read: expected seconds such as 12.5, from 0 to 1000000, the "
                    f"end after the start (neither: the whole file), got {start!r} and {end[:100]!r}; mend the row")


def test_floats_are_read_as_they_are_written(tmp_path):
    """0.1 is a tenth in every format, in parquet also of 32 bits."""
    rows = [{"file": "a.wav", "start": 0.1, "end": 0.7, "valence": 0.3}]
    narrow = pyarrow.table({"file": ["a.wav"], **{name: pyarrow.array([rows[0][name]], pyarrow.float32())
                                                  for name in ("start", "end", "valence")}})
    read = [corpus_of(tmp_path, rows, "wide.parquet"), corpus_of(tmp_path, narrow, "narrow.parquet"),
            corpus_of(tmp_path, json.dumps(rows[0]), "clips.jsonl"),
            corpus_of(tmp_path, "file,start,end,valence\na.wav,0.1,0.7,0.3\n")]
    for one in read:
        assert (one.utterances[0].start, one.utterances[0].end) == (Fraction(1, 10), Fraction(7, 10))
        assert one.utterances[0].seconds == 0.6
        assert one.utterances[0].annotation == {"valence": 0.3}


# ----------------------------------------------------------------------------- files, keys, dialogues, turns

def test_films_and_sounds(tmp_path):
    names = ["a.mp4", "b.WAV", "c.flac", "d.mkv", "e", "f.Mp3", "g.m4a", "h.flv", "i.opus"]
    touch(tmp_path, *names)
    read = corpus_of(tmp_path, "\n".join(["file", *names]))
    assert [u.audio for u in read.utterances] == names
    assert [u.video for u in read.utterances if u.video] == ["a.mp4", "d.mkv", "e", "h.flv"]


def test_files_outside_the_tables_folder(tmp_path):
    touch(tmp_path, "films/a.mp4", "tables/b.mp4", "tables/sub/c.mp4", "tables/d.mp4")
    cells = ["../films/a.mp4", str(tmp_path / "tables/b.mp4"), "./sub//c.mp4", str(tmp_path / "films/../tables/d.mp4")]
    read = corpus_of(tmp_path / "tables", fields(["file"], *([cell] for cell in cells)))
    assert [u.video for u in read.utterances] == ["../films/a.mp4", "b.mp4", "sub/c.mp4", "d.mp4"]
    assert keys(read) == ["table_films_a_0", "table_b_0", "table_sub_c_0", "table_d_0"]
    assert read.skips == ()


def test_an_absolute_path_through_a_link(tmp_path):
    """The folder is given by another name than the files."""
    touch(tmp_path, "disk/deep/er/data/a.mp4", "disk/films/b.mp4")
    (tmp_path / "data").symlink_to(tmp_path / "disk/deep/er/data")
    real = tmp_path / "disk/deep/er/data/a.mp4"
    read = corpus_of(tmp_path / "data", fields(["file"], [str(real)], [str(tmp_path / "disk/films/b.mp4")]))
    assert [u.video for u in read.utterances] == ["a.mp4", "../../../films/b.mp4"]
    assert read.skips == ()
    assert keys(read) == ["table_a_0", "table_films_b_0"]


def test_no_absolute_path_gets_into_a_store(tmp_path):
    made = build_miniature(tmp_path / "films")
    films = made.folder.parent
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    cells = [str(films / "talks/one.mp4"), str(films / "talks/lost.mp4"), str(tmp_path / "broken.mp4")]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/clips.csv").write_text(fields(["file", "split"], *([cell, "train"] for cell in cells)))
    out = tmp_path / "out"

    result = segment(plan_segment(tmp_path / "tables/clips.csv", out), out, max_skipped="2")

    assert result.written == 1
    assert result.skipped == {"no-clip": 1, "undecodable": 1}
    for path in out.rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes()


@pytest.mark.parametrize("file", ["lost.wav", "folder", "a" * 5000, "/dev/null", "link.wav", "a.wav/b.wav",
                                  "http://host/a.wav", "~/a.wav", "one\ntwo.wav", "."])
def test_files_that_are_not_there(tmp_path, file):
    touch(tmp_path, "a.wav", "folder/b.wav")
    (tmp_path / "link.wav").symlink_to("nowhere.wav")
    read = corpus_of(tmp_path, fields(["file", "split", "start", "end"], ["a.wav", "test", "", ""],
                                      [file, "test", 1, 2]))
    assert [(u.video, u.audio) for u in read.utterances] == [(None, "a.wav"), (None, None)]
    (skip,) = read.skips
    assert (skip.key, skip.reason) == (read.utterances[1].key, "no-clip")
    assert re.match(r"clips\.csv:[34] names '.*', which is no file$", skip.detail)
    assert tmp_path.name not in skip.detail


def test_a_split_without_any_file(tmp_path):
    touch(tmp_path, "a.wav")
    read = corpus_of(tmp_path, fields(["file", "split"], ["a.wav", "train"], ["b.wav", "train"], ["c.wav", "dev"]))
    assert read.bare_splits == ("dev",)
    assert [skip.key for skip in read.skips] == ["table_b_0"]


@pytest.mark.parametrize("cells, row", [(["a.wav", ""], 3), (["", ""], 2)])
def test_a_row_without_a_file(tmp_path, cells, row):
    told = failure(tmp_path, fields(["file", "emotion"], *([cell, "joy"] for cell in cells)))
    assert told.startswith(f"clips.csv:{row}: file is empty: expected a file in ")


@pytest.mark.parametrize("file, key", [
    ("talks/one.mp4", "table_talks_one_1500"), ("a b (1).tar.mp4", "table_a_b__1__tar_1500"),
    ("é.wav", "table_u00e9_1500"), ("甲.wav", "table_u7532_1500"), (".hidden", "table__hidden_1500"),
    ("x" * 150 + ".wav", f"table_{'x' * 150}_1500"), ("-_.wav", "table_-__1500"),
    ("x" * 151 + ".wav", f"table_{'x' * 140}_{hashlib.sha256(b'x' * 151).hexdigest()[:8]}_1500")])
def test_keys(tmp_path, file, key):
    read = corpus_of(tmp_path, fields(["file", "start", "end"], [file, "1.5009", "2"]))
    assert keys(read) == [key]
    assert read.utterances[0].dialogue == key.removesuffix("_1500")


def test_keys_of_ones_own(tmp_path):
    read = corpus_of(tmp_path, fields(["key", "file"], ["first-1", "a.wav"], ["second", "a.wav"]))
    assert keys(read) == ["first-1", "second"]
    assert [(u.dialogue, u.turn) for u in read.utterances] == [("table_a", 0), ("table_a", 1)]
    assert failure(tmp_path, fields(["key", "file"], ["a.b", "a.wav"])) == (
        "clips.csv:2: this key cannot name a sample: expected at most 200 letters, digits, '_' and '-', got 'a.b'")
    assert failure(tmp_path, fields(["key", "file"], ["a", "a.wav"], ["", "b.wav"])) == (
        "clips.csv:3: key is empty: expected a key in all rows or in none, got 1 of 2 rows without; fill it, or remove "
        "the column")


@pytest.mark.parametrize("rows", [
    [["a.wav", "", ""], ["b.wav", "", ""], ["a.wav", "", ""]],
    [["a.wav", "0", "1"], ["b.wav", "0", "1"], ["a.mp4", "", ""]],
    [["a.wav", "0.0001", "1"], ["b.wav", "", ""], ["./a.wav", "0.0009", "2"]]])
def test_two_rows_with_one_key(tmp_path, rows):
    assert failure(tmp_path, fields(["file", "start", "end"], *rows)) == (
        "clips.csv:4: two rows have one key: got table_a_0, which line 2 has too; remove one, or give each row a `key` "
        "of its own")


def test_two_dialogues_that_would_be_one(tmp_path):
    assert failure(tmp_path, fields(["file", "dialogue"], ["a.wav", "1 a"], ["b.wav", "1.a"])) == (
        "clips.csv:3: two dialogues would have one name: got '1.a' and in line 2 '1 a', both table_1_a; name them "
        "apart in a column `dialogue`")
    assert "two dialogues would have one name" in failure(
        tmp_path, fields(["file", "start", "end"], ["a.wav", "0", "1"], ["a.mp4", "1", "2"]))


@pytest.mark.parametrize("header, rows, got", [
    (["file", "split", "dialogue"], [["a.wav", "train", "0"], ["b.wav", "test", "0"]], "test for '0'"),
    (["file", "split", "start", "end"], [["a.wav", "train", "0", "1"], ["a.wav", "test", "1", "2"]],
     "test for 'a.wav'")])
def test_a_dialogue_in_two_splits(tmp_path, header, rows, got):
    assert failure(tmp_path, fields(header, *rows)) == (
        f"clips.csv:3: a dialogue stands in two splits: expected train, as in line 2, got {got}; keep it in one split; "
        "if these are two, name them apart in a column `dialogue`")


@pytest.mark.parametrize("word, split", [
    ("train", "train"), ("Training", "train"), ("DEV", "dev"), ("val", "dev"), ("valid", "dev"), ("validation", "dev"),
    ("development", "dev"), ("test", "test"), ("testing", "test"), ("eval", "test"), (" Evaluation ", "test")])
def test_words_for_splits(tmp_path, word, split):
    assert corpus_of(tmp_path, fields(["file", "split"], ["a.wav", word])).utterances[0].split == split


def test_splits_that_cannot_be_read(tmp_path):
    assert failure(tmp_path, fields(["file", "split"], ["a.wav", "train"], ["b.wav", "fold1"])) == (
        "clips.csv:3: split cannot be read: expected train, training, dev, val, valid, validation, development, test, "
        "testing, eval, evaluation, got 'fold1'; mend the row")
    assert failure(tmp_path, fields(["file", "split"], ["a.wav", ""], ["b.wav", "train"], ["c.wav", ""])) == (
        "clips.csv:2: split is empty: expected a split in all rows or in none, got 2 of 3 rows without; fill it, or "
        "remove the column")


def test_order(tmp_path):
    """Split by split, dialogues as they come, turns by time within a file, by the table in several."""
    rows = [["b.mp4", "2", "3", "test"], ["a.mp4", "5", "6", "train"], ["c.mp4", "", "", "dev"],
            ["a.mp4", "1", "6", "train"], ["b.mp4", "1", "3", "test"], ["a.mp4", "3", "4", "train"]]
    header = ["file", "start", "end", "split"]
    read = corpus_of(tmp_path, fields(header, *rows))
    assert keys(read) == ["table_a_1000", "table_a_3000", "table_a_5000", "table_c_0", "table_b_1000", "table_b_2000"]
    assert [u.turn for u in read.utterances] == [0, 1, 2, 0, 0, 1]

    rows = [[*row[:3], "x", turn] for row, turn in zip(rows, ("9", "100", "20", "0", "3.0", "007"), strict=True)]
    read = corpus_of(tmp_path, fields(["file", "start", "end", "dialogue"], *(row[:4] for row in rows)))
    assert [(u.key, u.turn) for u in read.utterances] == [
        ("table_b_2000", 0), ("table_a_5000", 1), ("table_c_0", 2), ("table_a_1000", 3), ("table_b_1000", 4),
        ("table_a_3000", 5)]
    read = corpus_of(tmp_path, fields(["file", "start", "end", "dialogue", "turn"], *rows))
    assert [(u.key, u.turn) for u in read.utterances] == [
        ("table_a_1000", 0), ("table_b_1000", 1), ("table_a_3000", 2), ("table_b_2000", 3), ("table_c_0", 4),
        ("table_a_5000", 5)]


def test_turns_that_cannot_be_read(tmp_path):
    header = ["file", "dialogue", "turn"]
    for turn in ("-1", "1.5", "one", "1_0", "9" * 10, "٣"):
        assert failure(tmp_path, fields(header, ["a.wav", "d", turn])) == (
            f"clips.csv:2: turn cannot be read: expected a whole number, got {turn!r}; mend the row")
    assert failure(tmp_path, fields(header, ["a.wav", "d", "1"], ["b.wav", "e", "1"], ["c.wav", "d", "01"])) == (
        "clips.csv:4: two rows of a dialogue have one turn: got 1, which line 2 has too; mend one")


# ------------------------------------------------------------------------------------------------ annotation

def test_columns_of_numbers_and_of_text(tmp_path):
    header = ["file", "joy", "sadness", "participant", "id", "note", "mixed", "empty", "speaker"]
    read = corpus_of(tmp_path, fields(header, ["a.wav", "0.5", "-1e-3", "01", "1234567890123456", " x ", "1", "", "7"],
                                      ["b.wav", "", "+3", "02", "2", "", "two", "", "8"],
                                      ["c.wav", "NaN", ".5", "03", "3", "nan", "3", "", "9"]))
    assert read.annotation == {"joy": "float64", "sadness": "float64", "participant": "string", "id": "string",
                               "note": "string", "mixed": "string", "empty": "string"}
    assert [list(u.annotation.values()) for u in read.utterances] == [
        [0.5, -0.001, "01", "1234567890123456", "x", "1", None], [None, 3.0, "02", "2", None, "two", None],
        [None, 0.5, "03", "3", "nan", "3", None]]
    assert read.notes == ("column id is text: clips.csv:2 has '1234567890123456' among numbers",
                          "column mixed is text: clips.csv:3 has 'two' among numbers")
    (scheme,) = read.schemes
    assert (scheme.name, scheme.task, scheme.labels) == ("table-intensities", "multi-label", ("joy", "sadness"))
    assert scheme.encode(u.annotation for u in read.utterances) == [[1, 0], [-100, -100], [-100, -100]]


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e400", "-1e999"])
def test_numbers_that_are_not_finite(tmp_path, cell):
    assert failure(tmp_path, fields(["file", "joy"], ["a.wav", "1"], ["b.wav", cell])) == (
        f"clips.csv:3: joy cannot be read: expected a finite number, got {cell!r}; mend the row")


def test_the_scheme_of_emotions(tmp_path):
    cells = ["sad", " angry", "", "very\n sad", "angry", "sad"]
    read = corpus_of(tmp_path, fields(["file", "emotion", "valence"],
                                      *([f"{n}.wav", cell, n] for n, cell in enumerate(cells))))
    (scheme,) = read.schemes
    assert (scheme.name, scheme.column, scheme.labels) == ("table-emotion", "emotion", ("angry", "sad", "very sad"))
    assert scheme.encode(u.annotation for u in read.utterances) == [1, 0, -100, 2, 0, 1]
    assert read.notes == ()


def test_emotions_by_number_and_by_capitals(tmp_path):
    read = corpus_of(tmp_path, fields(["file", "emotion"], *([f"{n}.wav", n] for n in (10, 2, 0, 1))))
    assert read.annotation == {"emotion": "string"}
    assert read.schemes[0].labels == ("0", "1", "2", "10")
    read = corpus_of(tmp_path, fields(["file", "emotion"], ["a.wav", "Sad"], ["b.wav", "sad"]))
    assert read.schemes[0].labels == ("Sad", "sad")
    assert read.notes == ("emotions that differ in capitals are classes of their own: Sad, sad",)


def test_no_label_at_all(tmp_path):
    assert corpus_of(tmp_path, fields(["file", "emotion", "note"], ["a.wav", "", "x"])).schemes == ()
    read = corpus_of(tmp_path, fields(["file", "emotion", "joy"], ["a.wav", "", "1"]))
    assert [scheme.name for scheme in read.schemes] == ["table-intensities"]


def test_too_many_classes(tmp_path):
    rows = [[f"{n}.wav", f"text {n}"] for n in range(1001)]
    assert failure(tmp_path, fields(["file", "emotion"], *rows)) == (
        "clips.csv: there are too many classes: expected at most 1000: emotions, or columns of intensities, got 1001; "
        "rename the column `emotion`, or keep features out of the table")
    header = ["file", *(f"f{n}" for n in range(1001))]
    assert "too many classes" in failure(tmp_path, fields(header, ["a.wav", *range(1001)]))
    read = corpus_of(tmp_path, fields([*header, "emotion"], ["a.wav", *range(1001), "joy"]))
    assert read.schemes[0].labels == ("joy",)


@pytest.mark.parametrize("column", ["emotion", "speaker"])
def test_names_that_a_terminal_would_obey(tmp_path, column):
    told = failure(tmp_path, fields(["file", column], ["a.wav", "joy"], ["b.wav", "\x1b[2Jjoy"]))
    assert told == (f"clips.csv:3: {column} cannot be printed: expected characters that can be seen, got "
                    r"'\x1b[2Jjoy'; mend the row")


@pytest.mark.parametrize("text", ['He said "no", twice.', "one\r\ntwo", "a\u2028b", "  spaces  ", "", "😀 ☎", "'", ";",
                                  "\t", "=1+1", "\x1c", "\x1b[0m", "3.0"])
def test_any_text_survives(tmp_path, text):
    row = {"file": "a.wav", "text": text}
    for read in (corpus_of(tmp_path, fields(list(row), row.values())), corpus_of(tmp_path, [row], "clips.parquet"),
                 corpus_of(tmp_path, json.dumps(row), "clips.jsonl")):
        assert read.utterances[0].text == text


# --------------------------------------------------------------------------------------------------- the csv

@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["clips.csv", "clips.TSV"])
def test_separators_line_ends_and_the_mark_of_windows(tmp_path, separator, ending, mark, name):
    rows = [["emotion", "file", "text"], ["joy", "a.wav", "one;two,three\tfour"], ["sad", "b.wav", "x"]]
    read = corpus_of(tmp_path, mark + fields(*rows, separator=separator, ending=ending).encode(), name)
    assert [(u.audio or u.key, u.text, u.annotation["emotion"]) for u in read.utterances] == [
        ("table_a_0", "one;two,three\tfour", "joy"), ("table_b_0", "x", "sad")]
    assert read.notes == (() if separator == "," else (f"{name}: fields are separated by {separator!r}",))


def test_the_separator_is_the_one_that_gives_a_file(tmp_path):
    read = corpus_of(tmp_path, "a,b,c;file\n1,5;x.wav\n")
    assert read.utterances[0].annotation == {"a_b_c": "1,5"}
    assert corpus_of(tmp_path, "file\na.wav\n").notes == ()


@pytest.mark.parametrize("line, got", [("a.wav\n", 1), ("a.wav,joy,\n", 3), (" \n", 1)])
def test_another_number_of_fields(tmp_path, line, got):
    assert failure(tmp_path, f"file,emotion\nb.wav,joy\n{line}") == (
        f"clips.csv:3: this row has another number of fields than the header: expected 2, got {got}; mend the row (a "
        "stray separator or quote?)")


def test_quotes_that_do_not_close(tmp_path):
    assert failure(tmp_path, 'file,text\na.wav,"x\nb.wav,y\n') == (
        "clips.csv:3: this row is no csv: got unexpected end of data; mend the row (an open quote?)")
    assert "clips.csv:2: this row is no csv" in failure(tmp_path, 'file,text\na.wav,"x" y\n')
    assert "clips.csv:2: this row is no csv: got field larger than field limit" in failure(
        tmp_path, f"file,text\na.wav,{'x' * 200_000}\n")


@pytest.mark.parametrize("name, data", [("clips.csv", b"file,text\na.wav,ok\nb.wav,caf\xe9 au lait\n"),
                                        ("clips.jsonl", b'\n{"file": "a.wav"}\n{"text": "caf\xe9 au lait"}\n')])
def test_text_that_is_not_utf8(tmp_path, name, data):
    assert failure(tmp_path, data, name) == (
        rf"{name}:3: this text is not UTF-8: got b'\xe9 au'; save the table as UTF-8")
    assert failure(tmp_path, "file\na.wav\n".encode("utf-16"), name).startswith(f"{name}:1: this text is not UTF-8")


@pytest.mark.parametrize("name, data, line, got", [
    ("clips.csv", b"file,text\na.wav,x\nb\0.wav,x\n", 3, r"\x00"),
    ("clips.csv", b"file,text\na.wav,x\0\n", 2, r"\x00"),
    ("clips.jsonl", rb'{"file": "a\u0000.wav"}', 1, r"\x00"),
    ("clips.jsonl", rb'{"file": "a\ud800.wav"}', 1, r"\ud800"),
    ("clips.jsonl", rb'{"file": "a.wav", "text": "\udfff"}', 1, r"\udfff")])
def test_characters_that_are_none(tmp_path, name, data, line, got):
    told = failure(tmp_path, data, name)
    assert told.startswith((f"{name}:{line}: 'file' holds", f"{name}:{line}: 'text' holds"))
    assert told.endswith(f" holds what is no text: expected characters of Unicode, got '{got}'; mend the row")


def test_pairs_of_surrogates_are_a_character(tmp_path):
    read = corpus_of(tmp_path, rb'{"file": "a.wav", "text": "\ud83d\ude00"}', "clips.jsonl")
    assert read.utterances[0].text == "😀"


# ------------------------------------------------------------------------------------------- jsonl and parquet

NO_OBJECT = 'this line is no JSON object: expected {"file": …}, got '
NO_JSON = "this line is no JSON: got "
EACH = "; mend the line; each holds one object"


@pytest.mark.parametrize("line, told", [
    ("[1]", f"{NO_OBJECT}list{EACH}"), ('"file"', f"{NO_OBJECT}str{EACH}"), ("null", f"{NO_OBJECT}NoneType{EACH}"),
    ("{", f"{NO_JSON}Expecting property name enclosed in double quotes: line 1 column 2 (char 1){EACH}"),
    ('{"file": "a"} {}', f"{NO_JSON}Extra data: line 1 column 15 (char 14){EACH}"),
    ('{"file": NaN}', f"{NO_JSON}NaN is no JSON value{EACH}"),
    ('{"file": "a", "x": -Infinity}', f"{NO_JSON}-Infinity is no JSON value{EACH}"),
    ('{"file": "a", "file": "b"}', f"{NO_JSON}'file' is there twice{EACH}"),
    ('{"file": "a", " file": "b"}', f"{NO_JSON}'file' is there twice{EACH}"),
    ('{"file": "a", "x": [1]}', "a column holds more than one value: expected a text or a number, got a list in 'x'; "
                                "give each value a column of its own"),
    ('{"file": {"bytes": 1}}', "a column holds more than one value: expected a text or a number, got a dict in 'file'; "
                               "give each value a column of its own"),
])
def test_lines_that_are_no_row(tmp_path, line, told):
    assert failure(tmp_path, f'{{"file": "b.wav"}}\n\n{line}\n', "clips.jsonl") == f"clips.jsonl:3: {told}"


def test_json_that_is_nested_without_end(tmp_path):
    told = failure(tmp_path, '{"file": ' + "[" * 100_000, "clips.jsonl")
    assert told.startswith("clips.jsonl:1: this line is no JSON: got maximum recursion depth exceeded")


def test_huge_numbers_in_json(tmp_path):
    read = corpus_of(tmp_path, f'{{"file": "a.wav", "id": {"9" * 5000}}}', "clips.jsonl")
    assert read.annotation == {"id": "string"}
    assert "joy cannot be read" in failure(tmp_path, '{"file": "a.wav", "joy": 1e400}', "clips.jsonl")
    assert "start and end cannot be read" in failure(tmp_path, '{"file": "a", "start": 0, "end": 1e400}', "clips.jsonl")


def test_lines_with_other_names(tmp_path):
    read = corpus_of(tmp_path, '{"file": "a.wav", "joy": 1}\r\n{"sad": 0.5, "file": "b.wav", "joy": null}\n'
                               '{"file": "c.wav", "happy": true}\n', "clips.jsonl")
    assert [u.annotation for u in read.utterances] == [
        {"joy": 1.0, "sad": None, "happy": None}, {"joy": None, "sad": 0.5, "happy": None},
        {"joy": None, "sad": None, "happy": "true"}]


def test_types_of_parquet(tmp_path):
    table = pyarrow.table({
        "file": pyarrow.array(["a.wav", "b.wav"]).dictionary_encode(), "turn": pyarrow.array([1, 0], pyarrow.uint64()),
        "dialogue": pyarrow.array([7, 7], pyarrow.int8()), "text": pyarrow.array(["x", None], pyarrow.large_string()),
        "happy": [True, None], "joy": pyarrow.array([Decimal("1.50"), None]), "none": pyarrow.nulls(2),
        "sad": pyarrow.array([0.5, float("nan")], pyarrow.float32()), "code": [2**53 - 1, 1]})
    read = corpus_of(tmp_path, table, "clips.parquet")
    assert [(u.audio or u.key, u.dialogue, u.turn, u.text) for u in read.utterances] == [
        ("table_b_0", "table_7", 0, ""), ("table_a_0", "table_7", 1, "x")]
    assert read.annotation == {"happy": "string", "joy": "float64", "none": "string", "sad": "float64",
                               "code": "string"}
    assert [list(u.annotation.values()) for u in read.utterances] == [
        [None, None, None, None, "1"], ["true", 1.5, None, 0.5, "9007199254740991"]]


@pytest.mark.parametrize("column, kind", [
    (pyarrow.array([[1.0]]), "list<element: double>"), (pyarrow.array([{"bytes": b"x"}]), "struct<bytes: binary>"),
    (pyarrow.array([b"x"]), "binary"), (pyarrow.array([1], pyarrow.timestamp("us")), "timestamp[us]"),
    (pyarrow.array([1], pyarrow.time64("us")), "time64[us]"), (pyarrow.array([b"x"]).dictionary_encode(),
                                                               "dictionary<values=binary, indices=int32, ordered=0>")])
def test_types_of_parquet_that_are_no_annotation(tmp_path, column, kind):
    told = failure(tmp_path, pyarrow.table({"file": ["a.wav"], "x": column}), "clips.parquet")
    assert told == ("clips.parquet: a column is neither text nor numbers: expected text, numbers or booleans, got 'x' "
                    f"of type {kind}; turn it into text, or take it out")


def test_a_parquet_that_is_none(tmp_path):
    path = tmp_path / "clips.parquet"
    for data in (b"", b"file\na.wav\n", b"PAR1" + b"\0" * 100 + b"PAR1"):
        path.write_bytes(data)
        with pytest.raises(CorpusError, match=r"^clips\.parquet: this parquet cannot be read: got .*; write it again$"):
            open_corpus(path)


def test_parquet_whose_text_is_not_utf8(tmp_path):
    table = pyarrow.table({"file": pyarrow.array([b"a\xff.wav"]).view(pyarrow.string())})
    assert failure(tmp_path, table, "clips.parquet").startswith("clips.parquet: this parquet cannot be read: got ")


def test_a_parquet_that_unpacks_to_more_than_it_should(tmp_path):
    """Small on disk: a column of nulls, and one long text many times."""
    table = pyarrow.table({"file": pyarrow.nulls(50_000_001, pyarrow.string())})
    assert failure(tmp_path, table, "clips.parquet") == (
        "clips.parquet: the table is too large: expected at most 50000000 cells, got 50000001 rows of 1 columns; split "
        "it, or leave columns out")
    assert (tmp_path / "clips.parquet").stat().st_size < 200_000
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(20_000, np.int32)), ["x" * 100_000])
    began = time.monotonic()
    told = failure(tmp_path, pyarrow.table({"file": texts}), "clips.parquet")
    assert told.startswith("clips.parquet: the table is too large: expected at most 1073741824 bytes, got 1")
    assert (tmp_path / "clips.parquet").stat().st_size < 1_000_000
    assert time.monotonic() - began < 60


def test_a_jsonl_whose_lines_have_nothing_in_common(tmp_path, monkeypatch):
    """n lines of n names are n² cells, however small the file."""
    monkeypatch.setattr(rows_room, "MOST_CELLS", 10_000)
    lines = "".join(json.dumps({"file": f"{n}.wav", f"c{n}": 1}) + "\n" for n in range(200))
    assert failure(tmp_path, lines, "clips.jsonl") == (
        "clips.jsonl: the table is too large: expected at most 10000 cells, got 100 rows of 101 columns; split it, or "
        "leave columns out")


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_room, "MOST_BYTES", 100)
    assert failure(tmp_path, "file\n" + "a.wav\n" * 20) == (
        "clips.csv: the table is too large: expected at most 100 bytes, got 125 or more; split it, and keep media and "
        "features out of it")


# ----------------------------------------------------------------------------------------- whatever stands there

def outcome(folder, data, name="clips.csv"):
    """Return the corpus, or None where one CorpusError was raised; anything else is a bug."""
    try:
        return corpus_of(folder, data, name)
    except CorpusError as error:
        line = str(error)
        assert line.startswith(name)
        assert "\n" not in line
        line.encode()
        return None


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = fields(["file", "start", "end", "text", "emotion", "joy", "split"],
              ["a.wav", "0.5", "1.25", 'one, "two"', "joy", "0.5", "train"],
              ["b.mp4", "", "", "three\nfour", "sad", "", "dev"])
GOOD_LINES = ('{"file": "a.wav", "start": 0.5, "end": 1.25, "text": "one", "joy": 0.5}\n'
              '{"file": "b.mp4", "happy": true}\n')


def count_of(data):
    """Return how many rows the csv module alone finds, those with nothing in them aside."""
    text = data.decode("utf-8-sig")
    found = csv.reader(io.StringIO(text, newline=""), delimiter=rows_room.separator_of(text))
    return sum(1 for row in found if "".join(row).strip()) - 1


@fuzz
@given(st.binary(max_size=60), st.integers(0, len(GOOD.encode())), st.integers(0, 40))
@example(b"\0", 70, 0)
@example(b"\r", 70, 0)
@example(b"\xff\xfe", 0, 0)
@example(b'"', 60, 0)
@example(b"1e400", 54, 3)
def test_any_bytes_in_a_csv(tmp_path, noise, place, cut):
    data = GOOD.encode()[:place] + noise + GOOD.encode()[place + cut:]
    read = outcome(tmp_path, data)
    if read is not None:
        # A column that has no name of its own is left out, and may have been all that a row had.
        blank = sum(int(note.rpartition(" ")[2]) for note in read.notes if "rows without any cell" in note)
        lost = any("without a name" in note for note in read.notes)
        assert len(read.utterances) == count_of(data) or (lost and len(read.utterances) + blank >= count_of(data))


@fuzz
@given(st.binary(max_size=60), st.integers(0, len(GOOD_LINES)), st.integers(0, 40))
@example(b"1e400", 25, 3)
@example(b"\xed\xa0\x80", 12, 0)
def test_any_bytes_in_a_jsonl(tmp_path, noise, place, cut):
    data = GOOD_LINES.encode()[:place] + noise + GOOD_LINES.encode()[place + cut:]
    read = outcome(tmp_path, data, "clips.jsonl")
    if read is not None:
        lines = [json.loads(line) for line in data.decode("utf-8-sig").split("\n") if line.strip(" \t\r")]
        assert len(read.utterances) == sum(any(value not in (None, "") for value in line.values()) for line in lines)


@fuzz
@given(st.binary(min_size=1, max_size=8), st.floats(0, 1))
def test_any_bytes_in_a_parquet(tmp_path, noise, place):
    whole = tmp_path / "whole"
    if not whole.exists():
        corpus_of(tmp_path, [{"file": f"{n}.wav", "joy": n / 2, "text": "x" * n} for n in range(20)], "whole.parquet")
        (tmp_path / "whole.parquet").rename(whole)
    data = whole.read_bytes()
    at = int(place * len(data))
    (tmp_path / "clips.parquet").write_bytes(data[:at] + noise + data[at + len(noise):])
    try:
        read = open_corpus(tmp_path / "clips.parquet")[1]
    except CorpusError as error:
        assert str(error).startswith("clips.parquet")
        assert "\n" not in str(error)
    else:
        assert len(read.utterances) == 20


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
cells = {
    "file": st.one_of(st.sampled_from(["a.wav", "b.mp4", "./a.wav", "/a.wav", "../b.mp4"]), words),
    "start": st.one_of(st.sampled_from(["", "0", "1.5", "2e0"]), st.floats().map(str), words),
    "end": st.one_of(st.sampled_from(["", "3", "4.25"]), st.floats().map(str), words),
    "text": words, "speaker": words, "dialogue": st.sampled_from(["", "d", "e"]), "emotion": words,
    "turn": st.one_of(st.just(""), st.integers(-1, 12).map(str)), "split": st.sampled_from(["", "train", "Test"]),
    "joy": st.one_of(st.floats().map(str), words), "key": st.one_of(st.just(""), words)}


@fuzz
@given(st.lists(st.sampled_from(sorted(set(cells) - {"file"})), unique=True).flatmap(lambda names: st.lists(
    st.fixed_dictionaries({name: cells[name] for name in ("file", *names)}), min_size=1, max_size=5)))
def test_any_cells_in_every_format(tmp_path, rows):
    """The same table as csv, jsonl and parquet is the same corpus, or refused; no row is dropped without a word."""
    names = list(rows[0])
    as_csv = outcome(tmp_path, fields(names, *([row[name] for name in names] for row in rows), ending="\r\n"))
    as_lines = outcome(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "clips.jsonl")
    as_parquet = outcome(tmp_path, rows, "clips.parquet")
    for read in (as_csv, as_lines, as_parquet):
        assert (read is None) == (as_csv is None)
        if read is not None:
            blank = sum("".join(row.values()).strip() == "" for row in rows)
            assert len(read.utterances) == len(set(keys(read))) == len(rows) - blank
            assert read.utterances == as_csv.utterances
            assert read.schemes == as_csv.schemes
            assert all(u.seconds is None or u.seconds > 0 for u in read.utterances)


# ------------------------------------------------------------------------------------------------ the page

def one_liner(heading):
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (line,) = re.findall(r"^```sh\n(.*)\n```$", section, re.M)
    return line


def run_in_shell(line, folder):
    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@pytest.mark.skipif(shutil.which("awk") is None, reason="the one-liners need awk")
def test_the_one_liner_for_crema_d(tmp_path):
    emotions = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
    names = [f"1001_DFA_{code}_XX" for code in emotions] + ["1091_WSI_SAD_HI", "1002_IEO_ANG_LO", "1040_ITH_SAD_X"]
    touch(tmp_path, "AudioWAV/._1001_DFA_ANG_XX.wav", *(f"AudioWAV/{name}.wav" for name in names),
          *(f"VideoFlash/{name}.flv" for name in names))

    run_in_shell(one_liner("CREMA-D"), tmp_path)

    read = open_corpus(tmp_path / "crema-d.csv")[1]
    assert sorted(u.audio for u in read.utterances) == sorted(f"AudioWAV/{name}.wav" for name in names)
    assert (read.skips, read.notes, read.bare_splits) == ((), (), ())
    for u in read.utterances:
        actor, sentence, emotion, level = Path(u.audio).stem.split("_")
        assert (u.speaker, u.split, u.video) == (actor, None, None)
        assert u.annotation == {"emotion": emotions[emotion], "sentence": sentence, "level": level}
        assert u.key == f"table_AudioWAV_{Path(u.audio).stem}_0"
    assert read.schemes[0].labels == tuple(sorted(emotions.values()))
    films = one_liner("CREMA-D").replace("AudioWAV", "VideoFlash").replace(".wav", ".flv")
    run_in_shell(films, tmp_path)
    assert [u.video for u in open_corpus(tmp_path / "crema-d.csv")[1].utterances] == [
        f"VideoFlash/{name}.flv" for name in sorted(names)]


@pytest.mark.skipif(shutil.which("awk") is None, reason="the one-liners need awk")
def test_the_one_liner_for_ravdess(tmp_path):
    emotions = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    takes = [f"01-{number:02}-01-02-01-12" for number in range(1, 9)] + ["02-05-02-01-02-01"]
    folders = {take: f"Actor_{take[-2:]}" for take in takes}
    for modality, ending in (("01", "mp4"), ("02", "mp4"), ("03", "wav")):
        touch(tmp_path, *(f"{folder}/{modality}-{take}.{ending}" for take, folder in folders.items()))

    run_in_shell(one_liner("RAVDESS"), tmp_path)

    read = open_corpus(tmp_path / "ravdess.csv")[1]
    assert {u.audio for u in read.utterances} == {f"{folder}/03-{take}.wav" for take, folder in folders.items()}
    assert (read.skips, read.notes) == ((), ())
    assert read.annotation == {"emotion": "string", "strength": "float64"}
    for u in read.utterances:
        _, _, emotion, strength, statement, _, actor = Path(u.audio).stem.split("-")
        assert u.annotation == {"emotion": emotions[int(emotion) - 1], "strength": float(strength)}
        assert u.speaker == f"actor{actor}"
        assert u.text == {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}[statement]
    run_in_shell(one_liner("RAVDESS").replace("03-*.wav", "01-*.mp4"), tmp_path)
    read = open_corpus(tmp_path / "ravdess.csv")[1]
    assert {u.video for u in read.utterances} == {f"{folder}/01-{take}.mp4" for take, folder in folders.items()}


def test_the_page_names_what_the_reader_knows():
    page = PAGE.read_text(encoding="utf-8")
    from emoprep.corpora import table

    assert all(f"| `{ending}" in page or f", `{ending}`" in page for ending in rows_room.ENDINGS)
    assert all(f"`{column}`" in page for column in (*table._OWN, "emotion"))
    assert all(f"`{word}`" in page for word in table._SPLITS)
    assert HEADER[:3] == ("file", "start", "end")


# ------------------------------------------------------------------------------------------------------- speed

@pytest.mark.long
def test_a_hundred_thousand_rows(tmp_path):
    rows = ([f"clips/{n // 20}.mp4", f"{n % 20 * 2.5:.3f}", f"{n % 20 * 2.5 + 2.25:.3f}", "some words, said here",
             f"speaker{n % 50}", ("joy", "anger")[n % 2], f"{n % 7 / 7:.3f}", ("train", "dev", "test")[n // 20 % 3]]
            for n in range(100_000))
    table = fields(["file", "start", "end", "text", "speaker", "emotion", "joy", "split"], *rows)
    began = time.monotonic()
    read = corpus_of(tmp_path, table)
    assert len(read.utterances) == 100_000
    # About 2 s on one core; what grows with the square of the rows would take minutes.
    assert time.monotonic() - began < 30
