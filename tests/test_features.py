"""Features of a store: fitted on train only, embeddings of one's own, and the tables that come of it."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest

from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.features import features, plan_features
from emoprep.store.manifest import open_store
from emoprep.store.tables import read_table


def keys_of(store):
    return pq.read_table(store / "utterances.parquet").column("key").to_pylist()


def run(source, out, **settings):
    return features(plan_features(source, **settings), out)


def read(store, split):
    return read_table(store / f"{split}.parquet", open_store(store).manifest.modalities)


def test_tables_have_all_annotated_utterances(demo_road):
    index = pq.read_table(demo_road / "shards/utterances.parquet").to_pylist()
    for split in ("train", "dev", "test"):
        rows, found = read(demo_road / "features", split)
        assert rows.column("key").to_pylist() == [row["key"] for row in index if row["split"] == split]
        assert {name: modality.values.shape[1] for name, modality in found.items()} \
            == {"audio": 100, "video": 512, "text": 100}
        cut = {row["key"]: row for row in index}
        for key, there in zip(rows.column("key").to_pylist(), found["video"].present, strict=True):
            assert there == cut[key]["has_video"]
        for modality in found.values():
            assert not modality.values[~modality.present].any()  # zeros where there is none
            assert np.isfinite(modality.values).all()


def test_what_is_fitted_sees_train_only(demo_road, emoprep, tmp_path):
    """A store without dev and test gives the same train table to the byte."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train").symlink_to((demo_road / "MELD.Raw/train").resolve())
    assert emoprep("segment", raw, tmp_path / "shards").returncode == 0
    assert emoprep("features", tmp_path / "shards", tmp_path / "features").returncode == 0
    assert (tmp_path / "features/train.parquet").read_bytes() == (demo_road / "features/train.parquet").read_bytes()
    assert (tmp_path / "features/scaler.npz").read_bytes() == (demo_road / "features/scaler.npz").read_bytes()


def test_scaler_is_that_of_train(demo_road):
    _, found = read(demo_road / "features", "train")
    with np.load(demo_road / "features/scaler.npz") as scaler:
        for name, modality in found.items():
            values = modality.values[modality.present].astype(np.float64)
            np.testing.assert_allclose(scaler[f"{name}_mean"], values.mean(axis=0), atol=1e-5)
            deviation = values.std(axis=0)
            told = deviation > 1e-6
            np.testing.assert_allclose(scaler[f"{name}_deviation"][told], deviation[told], rtol=1e-4)


def test_jobs_do_not_change_bytes(demo_road, tmp_path):
    for jobs in (1, 2):
        features(plan_features(demo_road / "shards"), tmp_path / str(jobs), jobs=jobs)
        for name in ("train.parquet", "dev.parquet", "utterances.parquet", "scaler.npz", "manifest.json"):
            assert (tmp_path / str(jobs) / name).read_bytes() == (demo_road / "features" / name).read_bytes()


def test_sequences_follow_the_clock_of_the_strip(demo_road, tmp_path):
    result = run(demo_road / "shards", tmp_path / "out", pool="none", dims={"audio": 7, "video": 9})
    assert result.modalities["audio"]["clock"] == result.modalities["video"]["clock"] == "fps:10"
    assert any(note.startswith("text: tfidf knows no --pool none") for note in result.notes)
    rows, found = read(tmp_path / "out", "train")
    for number, frames in enumerate(rows.column("frames").to_pylist()):
        for name in ("audio", "video"):
            assert len(found[name].values[number]) == (frames if found[name].present[number] else 1)
    assert found["video"].values[0].shape[1] == 9


@pytest.mark.parametrize("kind", ["npz-per-key", "npz-table", "parquet"])
def test_embeddings_of_ones_own_are_a_modality(demo_road, tmp_path, kind):
    keys = keys_of(demo_road / "shards")
    vectors = np.random.default_rng(0).normal(size=(len(keys), 6)).astype(np.float32)
    missing = keys.pop(4), keys.pop()
    vectors = vectors[:len(keys)]
    path = tmp_path / ("minilm.parquet" if kind == "parquet" else "minilm.npz")
    if kind == "npz-per-key":
        np.savez(path, **dict(zip(keys, vectors, strict=True)))
    elif kind == "npz-table":
        np.savez(path, keys=np.array(keys), vectors=vectors)
    else:
        pq.write_table(pyarrow.table({"key": keys, "vector": vectors.tolist()}), path)
    result = run(demo_road / "shards", tmp_path / "out", add={"text": path, "face": path})
    assert result.missing == {"text": list(missing), "face": list(missing)}
    assert any(f"utterances that are not in the file: 2 ({missing[0]}" in note for note in result.notes)
    assert result.modalities["text"]["dim"] == result.modalities["face"]["dim"] == 6
    rows, found = read(tmp_path / "out", "train")
    for key, vector, there in zip(rows.column("key").to_pylist(), found["text"].values, found["face"].present,
                                  strict=True):
        if key in missing:
            assert not there and not vector.any()
        else:
            np.testing.assert_array_equal(vector, vectors[keys.index(key)])
    index = pq.read_table(tmp_path / "out/utterances.parquet")
    assert index.column("has_face").to_pylist().count(False) == 2


def test_leaving_a_modality_out_and_bringing_it_is_no_conflict(demo_road, tmp_path):
    np.savez(tmp_path / "e.npz", **{key: np.ones(2, "f4") for key in keys_of(demo_road / "shards")})
    asked = {"text": tmp_path / "e.npz"}
    assert len(plan_features(demo_road / "shards", extractors={"text": "none"}, add=asked).choices) == 3
    with pytest.raises(UsageError, match="an extractor and embeddings for one modality"):
        plan_features(demo_road / "shards", extractors={"text": "tfidf"}, add=asked)


def test_brought_modality_is_balanced_like_any_other(demo_road, emoprep, tmp_path):
    keys = keys_of(demo_road / "shards")
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "words.npz", **{key: rng.normal(size=(rng.integers(1, 5), 3)).astype("f4") for key in keys})
    run(demo_road / "shards", tmp_path / "features", add={"words": tmp_path / "words.npz"})
    done = emoprep("balance", tmp_path / "features", tmp_path / "out", "--strategy", "smote", "--json")
    assert set(json.loads(done.stdout)["after"].values()) == {28}
    _, found = read(tmp_path / "out", "train")
    assert len(found["words"].values) == 196 and found["words"].clock == "own"
    assert all(1 <= len(steps) < 5 and steps.shape[1] == 3 for steps in found["words"].values)


@pytest.mark.parametrize(("policy", "expected"), [("impute-median", "median"), ("zero", 0.0), ("drop", None)])
def test_nan_in_embeddings(demo_road, tmp_path, policy, expected):
    index = pq.read_table(demo_road / "shards/utterances.parquet").to_pylist()
    values = {row["key"]: np.full(2, float(number), np.float32) for number, row in enumerate(index)}
    broken = index[0]["key"]
    values[broken] = np.array([np.nan, 7], np.float32)
    np.savez(tmp_path / "e.npz", **values)
    result = run(demo_road / "shards", tmp_path / "out", add={"e": tmp_path / "e.npz"}, nonfinite=policy)
    assert any("NaN or infinity in 1 rows" in note for note in result.notes)
    _, found = read(tmp_path / "out", "train")
    train = [values[row["key"]][0] for row in index[1:] if row["split"] == "train"]
    if policy == "drop":
        assert not found["e"].present[0] and not found["e"].values[0].any()
    else:
        wanted = np.median(train) if expected == "median" else expected
        assert found["e"].values[0].tolist() == [wanted, 7]


@pytest.mark.parametrize(("make", "kind", "message"), [
    (lambda path: np.savez(path, a=np.array([{}], dtype=object)), EmoprepError, "this npz cannot be read"),
    (lambda path: path.write_bytes(b"no zip"), EmoprepError, "this npz cannot be read"),
    (lambda path: np.savez(path, a=np.zeros(3), b=np.zeros(4)), EmoprepError, r"b: embeddings differ in kind"),
    (lambda path: np.savez(path, a=np.zeros((2, 2, 2))), EmoprepError, "neither a vector nor a sequence"),
    (lambda path: np.savez(path, keys=np.array(["a", "a"]), v=np.zeros((2, 3))), EmoprepError, "a key is there twice"),
    (lambda path: np.savez(path, other_keys=np.zeros(3)), UsageError, "no train utterance is among the embeddings"),
])
def test_bad_embeddings_are_told(demo_road, tmp_path, make, kind, message):
    make(tmp_path / "e.npz")
    with pytest.raises(kind, match=message):
        run(demo_road / "shards", tmp_path / "out", add={"text": tmp_path / "e.npz"})
    assert not (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize(("settings", "kind", "message"), [
    ({"extractors": {"audio": "foo"}}, UsageError, "--audio: no such extractor: expected hf:… or mfcc"),
    ({"extractors": {"video": "onnx:/no/where.onnx"}}, MissingInput, "where.onnx"),
    ({"pool": "max"}, UsageError, "--pool: no extractor here can pool like this: expected cls or mean or none"),
    ({"dims": {"smell": 3}}, UsageError, "--dims: no such modality here: expected audio, video, text, got smell"),
    ({"extractors": dict.fromkeys(("audio", "video", "text"), "none")}, UsageError, "no modality is left"),
    ({"nonfinite": "hope"}, UsageError, "--nonfinite: not known"),
    ({"add": {"a.b": None}}, EmoprepError, "this key cannot name a sample"),
])
def test_refusals(demo_road, settings, kind, message):
    with pytest.raises(kind, match=message):
        plan_features(demo_road / "shards", **settings)


def test_features_of_features_are_refused(demo_road, tmp_path):
    with pytest.raises(UsageError, match="IN has no shards to take features from"):
        plan_features(demo_road / "features")
    with pytest.raises(MissingInput, match="this is no store: expected a folder with manifest.json"):
        plan_features(tmp_path)


@pytest.mark.parametrize("name", ["emotion", "key", "transcript", "y_meld_7", "has_text", "shard"])
def test_names_of_the_index_are_taken(demo_road, tmp_path, name):
    np.savez(tmp_path / "e.npz", **{key: np.ones(2, "f4") for key in keys_of(demo_road / "shards")})
    with pytest.raises(UsageError, match=f"--add {name}: this name is a column of the index"):
        plan_features(demo_road / "shards", add={name: tmp_path / "e.npz"})


def test_odd_embeddings(demo_road, tmp_path):
    keys = keys_of(demo_road / "shards")
    path = tmp_path / "e.npz"
    np.savez(path, keys=np.array([*keys, "nobody"]).astype("S"), vectors=np.full((len(keys) + 1, 2), 1e300))
    result = run(demo_road / "shards", tmp_path / "out", add={"e": path}, nonfinite="zero")
    assert "e: keys of the file that are not in the store: 1" in result.notes and result.missing == {"e": []}
    for values, message in ((np.full(2, "a"), "these are no real numbers: got <U1"), (np.ones(2) * 1j, "complex128")):
        np.savez(path, **dict.fromkeys(keys, values))
        with pytest.raises(EmoprepError, match=message):
            plan_features(demo_road / "shards", add={"e": path})
    np.savez(path, **dict.fromkeys(keys, np.full(2, np.nan)))
    with pytest.raises(UsageError, match="nothing is left of the embeddings"):
        run(demo_road / "shards", tmp_path / "none", add={"e": path}, nonfinite="drop")
