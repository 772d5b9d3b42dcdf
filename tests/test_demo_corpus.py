"""The demo's corpus is what its record says: skewed like MELD, and with each fault in its place."""

import csv
import hashlib
import io
from collections import Counter
from fractions import Fraction

import av
import numpy as np
import pytest

from emoprep.demo.corpus import COUNTS, plan_demo_corpus, write_demo_corpus

TABLES = {"train": "train/train_sent_emo.csv", "dev": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo_corpus(tmp_path_factory.mktemp("demo"))


def rows_of(demo, split):
    """Read a csv with nothing but the csv module."""
    text = (demo.folder / TABLES[split]).read_bytes().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def clip_of(demo, fault):
    """Return the path of the clip that a fault was planted on."""
    return demo.folder / next(row.clip for row in demo.rows if row.fault == fault)


def digests(folder):
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_tables_hold_what_was_planted(demo):
    for split, counts in COUNTS.items():
        rows = rows_of(demo, split)
        assert Counter(row["Emotion"] for row in rows) == counts
        planted = [row for row in demo.rows if row.split == split]
        assert [(int(row["Dialogue_ID"]), int(row["Utterance_ID"]), row["Sentiment"]) for row in rows] == [
            (row.dialogue, row.utterance, row.sentiment) for row in planted]
    assert demo.counts == COUNTS
    assert len({row.key for row in demo.rows}) == len(demo.rows) == 95


def test_the_skew_is_melds():
    total = sum(COUNTS["train"].values())
    meld = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271,
            "anger": 1109}
    for emotion, count in COUNTS["train"].items():
        assert count / total == pytest.approx(meld[emotion] / 9989, abs=0.025), emotion
    assert min(min(counts.values()) for counts in COUNTS.values()) >= 1


def test_the_csv_has_melds_bytes(demo):
    for split, table in TABLES.items():
        data = (demo.folder / table).read_bytes()
        assert data.startswith(b"Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,"
                               b"Episode,StartTime,EndTime\r\n"), split
        assert data.count(b"\r\n") == data.count(b"\n") == sum(COUNTS[split].values()) + 1
        assert b"\xc2\x92" in data
        assert "’".encode() not in data
        assert b',"0:' in data
        assert b',"00:' in data
    train = (demo.folder / TABLES["train"]).read_bytes()
    assert b'""Tuesday""' in train
    assert b',28"\r\n' in train
    numbers = [int(row["Sr No."]) for row in rows_of(demo, "train")]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > len(numbers)
    assert demo.faults["utterance-gap"] not in {row.key for row in demo.rows}


def test_the_faults_are_in_the_files(demo):
    with pytest.raises(av.FFmpegError):
        av.open(str(clip_of(demo, "truncated")))
    with av.open(str(clip_of(demo, "no-sound"))) as film:
        assert [stream.type for stream in film.streams] == ["video"]
    with av.open(str(clip_of(demo, "old-picture"))) as film:
        picture = film.streams.video[0]
        assert (picture.width, picture.height, picture.average_rate) == (496, 384, Fraction(25))
    with av.open(str(clip_of(demo, "two-pictures"))) as film:
        assert len(list(film.decode(video=0))) == 2
    with av.open(str(clip_of(demo, "centre-speech"))) as film:
        loud = np.mean([np.abs(frame.to_ndarray()).mean(axis=1) for frame in film.decode(audio=0)], axis=0)
        assert loud.argmax() == 2
        assert loud[2] > 50 * np.delete(loud, 2).max()


def test_what_is_missing_and_what_is_too_much(demo):
    row = next(row for row in demo.rows if row.key == demo.faults["no-clip"])
    assert row.split == "dev"
    assert not (demo.folder / f"dev_splits_complete/dia{row.dialogue}_utt{row.utterance}.mp4").exists()
    clips = {path.relative_to(demo.folder).as_posix() for path in demo.folder.rglob("*.mp4")}
    extra = clips - {row.clip for row in demo.rows}
    assert extra == {demo.faults[name] for name in ("no-row", "plain-twin", "stub")}
    stub = (demo.folder / demo.faults["stub"]).read_bytes()
    assert len(stub) == 212
    assert stub.startswith(bytes.fromhex("00051607"))
    row = next(row for row in rows_of(demo, "test") if row["StartTime"] == row["EndTime"])
    assert f"meld_test_dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}" == demo.faults["start-is-end"]


def test_clips_are_as_long_as_their_rows_say(demo):
    for row in demo.rows:
        if row.clip and row.fault != "truncated":
            with av.open(str(demo.folder / row.clip)) as film:
                stream = film.streams.video[0]
                seconds = float(stream.duration * stream.time_base)
            assert seconds == pytest.approx(row.seconds, abs=0.022), row.key


def test_faults_spare_the_small_classes(demo):
    assert {row.emotion for row in demo.rows if row.fault and row.fault != "twin"} == {"neutral"}


def test_same_seed_same_bytes(demo, tmp_path):
    again = write_demo_corpus(tmp_path)

    assert again.rows == demo.rows
    assert again.faults == demo.faults
    assert digests(tmp_path / "MELD.Raw") == digests(demo.folder)


@pytest.mark.parametrize("seed", range(1, 30))
def test_every_seed_gives_a_whole_plan(seed):
    rows = plan_demo_corpus(seed)

    assert rows != plan_demo_corpus(0)
    assert len({row.key for row in rows}) == len(rows) == 95
    assert {row.key for row in rows if row.utterance == 0 and row.dialogue == 0} == {
        "meld_train_dia0_utt0", "meld_dev_dia0_utt0", "meld_test_dia0_utt0"}
    assert {row.fault for row in rows} == {
        "", "truncated", "no-sound", "centre-speech", "old-picture", "two-pictures", "short-fraction",
        "no-clip", "start-is-end", "twin"}
    assert all(0.08 < row.seconds < 3.5 for row in rows)
    assert min(Counter((row.split, row.dialogue) for row in rows).values()) >= 3
