"""One utterance of a store, opened whole, and what is said of one that cannot be."""

import json
import os
import shutil

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest

from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.media.encode import decode_flac, decode_strip
from emoprep.sample import Samples, near_keys, open_sample
from emoprep.store.manifest import open_store
from emoprep.store.shards import SampleReader, read_shard, write_shard

KEY, SHARD = "meld_dev_dia0_utt0", "dev-000000.tar"


@pytest.fixture
def shards(demo_road, tmp_path):
    return shutil.copytree(demo_road / "shards", tmp_path / "shards")


def test_all_that_there_is_of_an_utterance(demo_road):
    folder = demo_road / "shards"
    opened, members = open_sample(open_store(folder), KEY), SampleReader().read(folder / SHARD, KEY)
    assert opened.facts == json.loads(members["json"]) and opened.words == [] and opened.reason == ""
    assert {name: opened.facts[name] for name in opened.row} == opened.row
    assert (opened.frames == decode_strip(members["frames.jpg"], 112, opened.row["frames"])).all()
    assert (opened.sound[0] == decode_flac(members["flac"])[0]).all() and opened.sound[1] == 16_000
    assert opened.parents == () and opened.parameters == {} and opened.lam is None


def test_parents_are_those_of_the_plan(demo_road):
    for name in ("oversample", "smote"):
        store = open_store(demo_road / name)
        plan = {row["key"]: row for row in pq.read_table(store.path / "plan.parquet").to_pylist()}
        made = [key for key, row in plan.items() if row["op"] != "keep"]
        samples = Samples(store, made)
        assert set(samples.rows) == set(made)
        for key in made:
            opened = samples.read(key)
            assert opened.parents == tuple(filter(None, (plan[key]["base"], plan[key]["neighbor"])))
            assert opened.lam == plan[key]["lambda"] and (opened.frames is None) == (name == "smote")
    assert len(opened.parents) == 2 and opened.reason == "the store is one of features, without media"


@pytest.mark.parametrize(("key", "reason"), [
    ("meld_train_dia9_utt2", "undecodable: train/train_splits/dia9_utt2.mp4: "),
    ("meld_dev_dia1_utt4", "no-clip: dev_sent_emo.csv:12 names dia1_utt4, which no clip has")])
def test_why_there_is_no_sample(demo_road, shards, key, reason):
    opened = open_sample(open_store(demo_road / "shards"), key)
    assert opened.reason.startswith(reason) and (opened.frames, opened.sound, opened.facts) == (None, None, {})
    assert open_sample(open_store(demo_road / "weights"), key).reason == \
        "the store is one of annotation, without media"
    (shards / "skipped.jsonl").write_bytes(b'{"key": NaN, "' + key.encode() + b'"\n[[[[\n\xff\n')
    assert open_sample(open_store(shards), key).reason == "its split, or its part of the corpus, has no media"


def test_a_key_that_is_not_there(demo_road):
    store = open_store(demo_road / "shards")
    for asked, meant in (("dev_dia0_utt0", KEY), ("meld_dev_dia0utt0", KEY), ("MELD_DEV_DIA0_UTT0", KEY)):
        with pytest.raises(UsageError, match=f"the store has no such utterance: expected .*{meant}.*, got '{asked}'"):
            open_sample(store, asked)
    for asked in ("", "[(\\", "x" * 1000):
        with pytest.raises(UsageError, match="the store has no such utterance"):
            open_sample(store, asked)


JSON = {
    "not JSON": lambda facts: b"{",
    "nested": lambda facts: b"[" * 100_000,
    "a list": lambda facts: b"[]",
    "NaN": lambda facts: json.dumps(facts | {"fps": float("nan")}).encode(),
    "no text": lambda facts: b"\xff\xfe",
    "nothing": lambda facts: b"{}",
    **{f"{name} {value!r}": lambda facts, name=name, value=value: json.dumps(facts | {name: value}).encode()
       for name, value in (("size", 10 ** 9), ("size", "112"), ("size", -16), ("frames", 10 ** 12), ("frames", 12),
                           ("frames", None), ("fps", 0), ("fps", 1e300), ("samples", 2 ** 40), ("samples", 1.5),
                           ("sample_rate", 1), ("sample_rate", 48_000), ("has_video", "yes"), ("has_audio", None),
                           ("end", -1), ("faces", [[1]]), ("flags", [None]), ("view", [0, 0, 1e9, 1e9]))}}


@pytest.mark.parametrize("harm", JSON.values(), ids=JSON)
def test_json_that_says_what_cannot_be(shards, harm):
    check_told(shards, lambda members: members | {"json": harm(json.loads(members["json"]))})


@pytest.mark.parametrize("name", ["frames.jpg", "flac", "words.json"])
def test_members_that_are_damaged(shards, name):
    raw = SampleReader().read(shards / SHARD, KEY)[name]
    middle = len(raw) // 2
    for harm in (b"", b"\0" * 1000, raw[:middle] if name != "words.json" else b"{}",
                 b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff"):
        check_told(shards, lambda members, harm=harm: members | {name: harm})
    check_told(shards, lambda members: {one: of for one, of in members.items() if one != name})


def check_told(shards, harm):
    samples = list(read_shard(shards / SHARD))
    (shards / SHARD).unlink()
    write_shard(shards / SHARD, [(key, harm(members)) for key, members in samples])
    with pytest.raises(EmoprepError) as told:
        open_sample(open_store(shards), KEY)
    assert str(told.value).startswith(f"{shards / SHARD} {KEY}: ") and "\n" not in str(told.value)
    (shards / SHARD).unlink()
    write_shard(shards / SHARD, samples)


def test_indexes_that_are_harmed(shards):
    index = pq.read_table(shards / "utterances.parquet")
    place = index.column_names.index

    def written(table):
        pq.write_table(table, shards / "utterances.parquet")
        with pytest.raises(EmoprepError) as told:
            open_sample(open_store(shards), KEY)
        return str(told.value)
    rows = index.num_rows
    assert "speaker in the index is not possible: expected string, got no such column" in written(
        index.drop_columns(["speaker"]))
    assert "text in the index is not possible: expected string, got 3" in written(
        index.set_column(place("text"), "text", pyarrow.array([3] * rows)))
    assert "frames in .json and in the index differ" in written(
        index.set_column(place("frames"), "frames", pyarrow.array([7] * rows, pyarrow.int32())))
    assert "a shard of the store is missing" in written(
        index.set_column(place("shard"), "shard", pyarrow.array(["../nowhere.tar"] * rows)))
    assert "the index cannot be read" in written(index.set_column(0, "key", pyarrow.array(range(rows))))
    assert "the index cannot be read" in written(index.drop_columns(["key"]))
    bad = pyarrow.Array.from_buffers(pyarrow.string(), rows, pyarrow.array([b"\xff"] * rows).buffers())
    assert "the index cannot be read" in written(index.set_column(place("text"), "text", bad))
    (shards / "utterances.parquet").write_bytes(b"PAR1")
    with pytest.raises(EmoprepError, match="the index cannot be read"):
        open_sample(open_store(shards), KEY)


@pytest.mark.parametrize("name", ["pipe.tar", "folder.tar", "x" * 10_000, "../../pipe.tar", "a\0b", ""])
def test_shards_that_are_no_files(shards, name):
    """Whoever opens a pipe waits until somebody writes into it: for ever."""
    os.mkfifo(shards / "pipe.tar")
    (shards / "folder.tar").mkdir()
    index = pq.read_table(shards / "utterances.parquet")
    pq.write_table(index.set_column(index.column_names.index("shard"), "shard", pyarrow.array([name] * len(index))),
                   shards / "utterances.parquet")
    with pytest.raises(MissingInput, match="a shard of the store is missing, or is no file: got") as told:
        open_sample(open_store(shards), KEY)
    assert len(str(told.value)) < 500 and str(told.value).isprintable()


@pytest.mark.parametrize("keys", [range(9), [None, "b"], [b"\xff"], [["a"]], ["x" * 10_000]], ids=str)
def test_columns_of_keys_that_nobody_can_be_told(keys):
    assert near_keys("a", pyarrow.chunked_array([pyarrow.array(keys)])) in ([], ["b"], list(map(str, range(5))))


def test_plans_that_are_harmed(demo_road, tmp_path):
    folder = shutil.copytree(demo_road / "smote", tmp_path / "smote")
    plan = pq.read_table(folder / "plan.parquet")
    key = next(row["key"] for row in plan.to_pylist() if row["op"] != "keep")
    for column in (pyarrow.array(["[1]"] * plan.num_rows), pyarrow.array(["{"] * plan.num_rows),
                   pyarrow.array([1] * plan.num_rows), pyarrow.nulls(plan.num_rows, pyarrow.string())):
        pq.write_table(plan.set_column(plan.column_names.index("parameters"), "parameters", column),
                       folder / "plan.parquet")
        with pytest.raises(EmoprepError, match=f"plan.parquet {key}: the plan cannot be read"):
            open_sample(open_store(folder), key)
    (folder / "plan.parquet").write_bytes(np.random.default_rng(0).bytes(500))
    with pytest.raises(EmoprepError, match="plan.parquet: the table cannot be read"):
        open_sample(open_store(folder), key)
