"""The stores as others read them: plain webdataset, Hugging Face datasets, pandas and the tar program.

Nothing of emoprep is imported here. What these readers see is what docs/store.md promises.
"""

import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

SPLITS = ("train", "dev", "test")
MEMBERS = ["flac", "frames.jpg", "json", "txt", "words.json"]
EMOTIONS = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
COUNTS = dict(zip(EMOTIONS, (28, 7, 2, 4, 10, 3, 6), strict=True))
SHARD_STORES = ("shards", "oversample")
FEATURE_STORES = ("features", "smote")
BALANCED = ("oversample", "smote")


def read_index(store):
    return pd.read_parquet(store / "utterances.parquet")


def read_plan(store):
    return pd.read_parquet(store / "plan.parquet")


def manifest_of(store):
    return json.loads((store / "manifest.json").read_text(encoding="utf-8"))


def samples_of(shard):
    """Return {key: {member: bytes}} of a shard in its order, by tarfile."""
    found = {}
    with tarfile.open(shard) as tar:
        for member in tar:
            key, _, suffix = member.name.partition(".")
            found.setdefault(key, {})[suffix] = tar.extractfile(member).read()
    return found


def all_samples(store):
    return {key: (shard.name, members) for shard in sorted(store.glob("*.tar"))
            for key, members in samples_of(shard).items()}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def plain(value):
    """Return a value of a pandas cell as JSON would have it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value


def with_sample(rows, name):
    """Tell which rows count: in a store of shards those in a shard; a feature table has a row for each."""
    return rows["shard"].notna() if name in SHARD_STORES else rows["key"].notna()


def made_rows(index):
    return index[(index["split"] == "train") & index["base"].notna()]


# -------------------------------------------------------------------------------------------- shards

@pytest.mark.parametrize("name", SHARD_STORES)
def test_every_sample_has_the_same_members_in_one_piece(demo_road, name):
    for shard in sorted((demo_road / name).glob("*.tar")):
        with tarfile.open(shard) as tar:
            members = tar.getmembers()
        # Members of a sample lie together, sorted: a key that came back later would be a second sample.
        assert len(members) % len(MEMBERS) == 0
        for at in range(0, len(members), len(MEMBERS)):
            names = [member.name for member in members[at:at + len(MEMBERS)]]
            key = names[0].partition(".")[0]
            assert names == [f"{key}.{suffix}" for suffix in MEMBERS]
        # Nothing of the machine or the day is in a shard.
        assert {(member.mtime, member.uid, member.gid) for member in members} == {(0, 0, 0)}


@pytest.mark.parametrize("name", SHARD_STORES)
def test_keys_are_safe_unique_and_in_the_shard_that_the_index_names(demo_road, name):
    store, index = demo_road / name, read_index(demo_road / name)
    found = [(shard.name, key) for shard in sorted(store.glob("*.tar")) for key in samples_of(shard)]
    keys = [key for _, key in found]
    assert len(set(keys)) == len(keys) and index["key"].is_unique
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", key) for key in index["key"])
    cut = index[index["shard"].notna()]
    assert set(found) == set(zip(cut["shard"], cut["key"], strict=True))
    for shard, rows in cut.groupby("shard"):
        # In the order of the index, and all of one split, which names the shard.
        assert [key for at, key in found if at == shard] == rows["key"].tolist()
        assert re.fullmatch(rf"{rows['split'].unique().item()}-\d{{6}}\.tar", shard)
    assert (cut.groupby("dialogue")["shard"].nunique() == 1).all()  # no dialogue spans two shards


@pytest.mark.parametrize("name", SHARD_STORES)
def test_a_samples_json_is_its_row(demo_road, name):
    index = read_index(demo_road / name).set_index("key", drop=False)
    names = None
    for key, (_, members) in all_samples(demo_road / name).items():
        row = json.loads(members["json"])
        names = names or list(row)
        assert list(row) == names  # the same keys in every sample, null where there is nothing
        expected = {column: plain(value) for column, value in index.loc[key].items()}
        assert {column: row[column] for column in expected} == expected
        assert set(row) - set(expected) == {"size", "columns", "view", "faces", "face_mask", "face_rule"}
        assert members["txt"].decode() == row["text"] == expected["text"]
        assert json.loads(members["words.json"]) == []


@pytest.mark.parametrize("name", SHARD_STORES)
def test_media_obey_the_clock(demo_road, name):
    for _, members in all_samples(demo_road / name).values():
        row = json.loads(members["json"])
        seconds = Fraction(row["end"] - row["start"]).limit_denominator(10**6)
        assert row["frames"] == max(1, int(seconds * Fraction(row["fps"]) + Fraction(1, 2)))
        assert row["samples"] == max(1, int(seconds * row["sample_rate"] + Fraction(1, 2)))
        sound = soundfile.info(io.BytesIO(members["flac"]))
        assert (sound.frames, sound.samplerate, sound.channels, sound.subtype) == (row["samples"], 16000, 1, "PCM_16")
        strip, size = np.asarray(Image.open(io.BytesIO(members["frames.jpg"]))), row["size"]
        assert strip.shape[1] == row["columns"] * size and strip.shape[0] <= 65_500
        pictures = strip.reshape(strip.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)
        assert 0 <= len(pictures) - row["frames"] < row["columns"]
        assert pictures[:row["frames"]].any() == row["has_video"]
        if not row["has_audio"]:
            assert not soundfile.read(io.BytesIO(members["flac"]))[0].any()


def test_webdataset_reads_and_decodes(demo_road):
    webdataset = pytest.importorskip("webdataset")
    index = read_index(demo_road / "shards").set_index("key")
    for split in SPLITS:
        shards = sorted(map(str, (demo_road / "shards").glob(f"{split}-*.tar")))
        samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
        expected = index[(index["split"] == split) & index["shard"].notna()]
        assert [sample["__key__"] for sample in samples] == list(expected.index)
        for sample in samples:
            row = sample["json"]  # decoded by its ending, as are the text and the words
            assert (sample["txt"], sample["words.json"]) == (row["text"], [])
            assert sample["frames.jpg"].dtype == np.uint8
            assert sample["frames.jpg"].shape[0] * row["columns"] >= row["frames"] * row["size"]
            assert isinstance(sample["flac"], bytes)
    pairs = webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8").to_tuple("frames.jpg", "json", "txt")
    assert sum(1 for _ in pairs) == len(samples)


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar program")
def test_the_tar_program_reads(demo_road, tmp_path):
    shard = demo_road / "shards" / "dev-000000.tar"
    listed = subprocess.run(["tar", "tf", shard], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    index = read_index(demo_road / "shards")
    keys = index[index["shard"] == shard.name]["key"].tolist()
    assert listed.stdout.split() == [f"{key}.{suffix}" for key in keys for suffix in MEMBERS]
    subprocess.run(["tar", "xf", shard, "-C", tmp_path], check=True)
    for key in keys:
        row = json.loads((tmp_path / f"{key}.json").read_text(encoding="utf-8"))
        assert row["key"] == key and (tmp_path / f"{key}.txt").read_text(encoding="utf-8") == row["text"]


# ----------------------------------------------------------------------------------- feature tables

@pytest.mark.parametrize("name", FEATURE_STORES)
def test_tables_are_the_index_and_vectors_for_pandas(demo_road, name):
    index, modalities = read_index(demo_road / name), manifest_of(demo_road / name)["modalities"]
    for split in SPLITS:
        table = pd.read_parquet(demo_road / name / f"{split}.parquet")
        rows = index[index["split"] == split].reset_index(drop=True)
        columns = [column for column in rows if column != "text"]
        # A whole number beside a null is a float to pandas, so types follow what else is in the file.
        pd.testing.assert_frame_equal(table[columns], rows[columns], check_dtype=False)
        # `text` is the modality's column there; what was said is in `transcript`.
        assert table["transcript"].tolist() == rows["text"].tolist()
        for modality, facts in modalities.items():
            vectors = np.stack(table[modality])
            assert vectors.shape == (len(rows), facts["dim"]) and vectors.dtype == np.float32
            assert np.isfinite(vectors).all() and table[modality].notna().all()
            assert not vectors[~table[f"has_{modality}"].to_numpy()].any()
            assert vectors[table[f"has_{modality}"].to_numpy()].any(axis=1).mean() > 0.9


def test_the_scaler_is_that_of_train(demo_road):
    scaler = np.load(demo_road / "features" / "scaler.npz")
    table = pd.read_parquet(demo_road / "features" / "train.parquet")
    for modality in ("audio", "video", "text"):
        vectors = np.stack(table[table[f"has_{modality}"]][modality]).astype(np.float64)
        assert scaler[f"{modality}_mean"] == pytest.approx(vectors.mean(0), abs=1e-4)
        constant = vectors.std(0) < 1e-6
        assert scaler[f"{modality}_deviation"][~constant] == pytest.approx(vectors.std(0)[~constant], rel=1e-3)
        assert (scaler[f"{modality}_deviation"] > 0).all()  # so that one can divide by it


# ------------------------------------------------------------------------------------ load_dataset

READ_ALL = """
import json, os, sys
from pathlib import Path
import datasets
datasets.disable_progress_bars()
root, out = Path(sys.argv[1]), Path(sys.argv[2])
found = {}
for name in sys.argv[3:]:
    for streaming in (False, True):
        try:
            store = datasets.load_dataset(str(root / name), streaming=streaming)
            found[f"{name} {streaming}"] = {
                split: {"columns": list(rows.features),
                        "types": {column: str(kind) for column, kind in rows.features.items()},
                        "rows": [{column: row[column] for column in row if column in WANTED} for row in rows],
                        "pictures": [list(row["frames.jpg"].size) for row in rows if "frames.jpg" in row],
                        "sounds": [len(row["flac"]) for row in rows if "flac" in row]}
                for split, rows in store.items()}
        except Exception as error:
            found[f"{name} {streaming}"] = f"{type(error).__name__}: {error}"[-600:]
out.write_text(json.dumps(found))
""".replace("WANTED", repr(["key", "__key__", "json", "txt", "transcript", "audio", "text", "emotion", "y_meld_7"]))


@pytest.fixture(scope="module")
def loaded(demo_road, once):
    """Return what load_dataset gives for every store, streaming and not, offline, in a process of its own."""
    pytest.importorskip("datasets")

    def load(folder):
        folder.mkdir()
        subprocess.run([sys.executable, "-W", "ignore", "-c", READ_ALL, demo_road, folder / "found.json", *SHARD_STORES,
                        *FEATURE_STORES, "weights"], check=True, capture_output=True, timeout=300,
                       env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")})
    return json.loads((once("outside-datasets", load) / "found.json").read_text())


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", SHARD_STORES)
def test_load_dataset_takes_shards_by_their_card(demo_road, loaded, name, streaming):
    found = loaded[f"{name} {streaming}"]
    assert not isinstance(found, str), found
    index = read_index(demo_road / name)
    assert list(found) == list(SPLITS)
    for split, seen in found.items():
        rows = index[(index["split"] == split) & index["shard"].notna()]
        assert seen["columns"] == ["__key__", "__url__", *MEMBERS]
        assert "Image" in seen["types"]["frames.jpg"] and "binary" in seen["types"]["flac"]
        assert [row["__key__"] for row in seen["rows"]] == rows["key"].tolist()
        assert [row["txt"] for row in seen["rows"]] == rows["text"].tolist()
        typed = rows[["frames", "samples", "turn", "y_meld_7"]].astype(int).values.tolist()
        assert [[row["json"][column] for column in ("frames", "samples", "turn", "y_meld_7")]
                for row in seen["rows"]] == typed
        assert [row["json"]["groups"] for row in seen["rows"]] == [list(groups) for groups in rows["groups"]]
        assert [size[0] * size[1] // 112**2 for size in seen["pictures"]] == rows["frames"].astype(int).tolist()
        assert min(seen["sounds"]) > 0


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", FEATURE_STORES)
def test_load_dataset_takes_feature_tables_by_their_card(demo_road, loaded, name, streaming):
    found = loaded[f"{name} {streaming}"]
    assert not isinstance(found, str), found
    assert list(found) == list(SPLITS)
    for split, seen in found.items():
        table = pd.read_parquet(demo_road / name / f"{split}.parquet")
        assert seen["columns"] == list(table.columns)
        assert [row["key"] for row in seen["rows"]] == table["key"].tolist()
        assert [row["transcript"] for row in seen["rows"]] == table["transcript"].tolist()
        for modality in ("audio", "text"):
            assert "float32" in seen["types"][modality] and "100" in seen["types"][modality]
            assert np.float32([row[modality] for row in seen["rows"]]) == pytest.approx(np.stack(table[modality]))


@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_takes_a_store_without_media(demo_road, loaded, streaming):
    """What `--strategy weights` makes of a raw corpus is an index; it too has a card."""
    found = loaded[f"weights {streaming}"]
    assert not isinstance(found, str), found
    index = read_index(demo_road / "weights")
    rows = [row for seen in found.values() for row in seen["rows"]]
    assert sorted(row["key"] for row in rows) == sorted(index["key"])
    assert Counter(row["emotion"] for row in rows) == Counter(index["emotion"])


@pytest.mark.parametrize("name", [*SHARD_STORES, *FEATURE_STORES, "weights"])
def test_a_card_speaks_only_of_files_that_are_there(demo_road, name):
    card = (demo_road / name / "README.md").read_text(encoding="utf-8")
    text = card.split("\n---\n", 1)[1]
    for file in set(re.findall(r"`([\w-]+\.(?:jsonl|json|parquet|npz|tar))`", text)):
        assert (demo_road / name / file).is_file(), f"{name}/README.md speaks of {file}"


# ---------------------------------------------------------------------------------- balanced stores

@pytest.mark.parametrize(("name", "source"), [("oversample", "shards"), ("smote", "features")])
def test_only_train_was_changed(demo_road, name, source):
    index, before = read_index(demo_road / name), read_index(demo_road / source)
    pattern = "{}-*.tar" if source == "shards" else "{}.parquet"
    for split in ("dev", "test"):
        files = sorted((demo_road / source).glob(pattern.format(split)))
        assert files and [path.name for path in files] == [
            path.name for path in sorted((demo_road / name).glob(pattern.format(split)))]
        assert [sha256(path) for path in files] == [sha256(demo_road / name / path.name) for path in files]
        pd.testing.assert_frame_equal(index[index["split"] == split].reset_index(drop=True),
                                      before[before["split"] == split].reset_index(drop=True))
    # The originals of train are all there, in their order, with nothing of them changed but the shard. One that
    # was never cut trains nobody, and its mask says so.
    kept = index[(index["split"] == "train") & index["base"].isna()].reset_index(drop=True)
    train = before[before["split"] == "train"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept.drop(columns=["shard", "loss_mask"]), train.drop(columns=["shard", "loss_mask"]))
    assert kept["loss_mask"].tolist() == with_sample(kept, name).astype(float).tolist()
    assert kept["shard"].isna().tolist() == train["shard"].isna().tolist()


def counts_before(index, name):
    """Return the originals of train by class."""
    train = index[(index["split"] == "train") & index["base"].isna()]
    assert train["emotion"].value_counts().to_dict() == COUNTS
    return train[with_sample(train, name)]["emotion"].value_counts().to_dict()


@pytest.mark.parametrize("name", BALANCED)
def test_every_made_row_has_parents_in_the_plan(demo_road, name):
    index, plan = read_index(demo_road / name), read_plan(demo_road / name).set_index("key")
    train, originals = index[index["split"] == "train"], index[index["base"].isna()].set_index("key")
    assert list(plan.index) == train["key"].tolist()
    made, count = made_rows(index), counts_before(index, name)
    assert len(made) == sum(max(count.values()) - one for one in count.values())
    assert set(plan["op"]) == {"keep", "repeat" if name == "oversample" else "interpolate"}
    for row in made.itertuples():
        planned = plan.loc[row.key]
        assert row.op == planned["op"] and row.base == planned["base"] and row.base in originals.index
        assert originals.loc[row.base, "split"] == "train" and originals.loc[row.base, "emotion"] == row.emotion
        parents = [row.base]
        if name == "smote":
            parents.append(planned["neighbor"])
            assert 0 <= planned["lambda"] < 1 and planned["neighbor"] != row.base
            assert originals.loc[planned["neighbor"], "emotion"] == row.emotion
        assert set(row.groups) == {originals.loc[parent, "dialogue"] for parent in parents}
        assert pd.notna(planned["seed"])
    assert plan["parameters"].map(json.loads).map(type).eq(dict).all()


@pytest.mark.parametrize("name", BALANCED)
def test_dialogue_and_turn_name_one_row(demo_road, name):
    index = read_index(demo_road / name)
    assert not index.duplicated(["dialogue", "turn"]).any()
    made = made_rows(index)
    assert (made["dialogue"] == made["key"]).all() and (made["turn"] == 0).all()
    for _, turns in index.groupby("dialogue"):
        assert turns["turn"].tolist() == list(range(len(turns)))


@pytest.mark.parametrize("name", BALANCED)
def test_counts_after_are_those_asked_for(demo_road, name):
    index, balance = read_index(demo_road / name), manifest_of(demo_road / name)["balance"]
    train = index[index["split"] == "train"]
    sums = train.groupby("emotion")["loss_mask"].sum().to_dict()
    assert sums == balance["after"] == balance["requested"]
    assert balance["labels"] == EMOTIONS and balance["before"] == counts_before(index, name)
    assert set(balance["requested"].values()) == {max(balance["before"].values())} and not balance["shortfall"]
    assert train["y_meld_7"].tolist() == [EMOTIONS.index(emotion) for emotion in train["emotion"]]
    facts = json.loads((demo_road / name / "class_weights.json").read_text())
    assert facts["labels"] == EMOTIONS and facts["counts"] == balance["after"] and set(facts["weights"].values()) == {1}


def test_what_a_trainer_meets_in_the_shards_is_what_the_counts_say(demo_road):
    """A row without a sample trains nobody: it must not be counted, and never be copied.

    One of the 28 neutral utterances of the demo does not decode.
    """
    store = demo_road / "oversample"
    assert made_rows(read_index(store))["shard"].notna().all()
    seen = Counter(json.loads(members["json"])["emotion"] for key, (shard, members) in all_samples(store).items()
                   if shard.startswith("train-"))
    assert seen == manifest_of(store)["balance"]["after"] == dict.fromkeys(EMOTIONS, 27)


def test_a_copy_has_the_media_of_its_base(demo_road):
    samples, originals = all_samples(demo_road / "oversample"), all_samples(demo_road / "shards")
    for row in made_rows(read_index(demo_road / "oversample")).dropna(subset="shard").itertuples():
        members, base = samples[row.key][1], originals[row.base][1]
        for suffix in ("flac", "frames.jpg", "txt", "words.json"):
            assert members[suffix] == base[suffix], row.key
        assert json.loads(members["json"])["key"] == row.key


def test_a_synthetic_row_lies_between_its_parents(demo_road):
    table = pd.read_parquet(demo_road / "smote" / "train.parquet").set_index("key")
    plan = read_plan(demo_road / "smote").set_index("key")
    for key in plan.index[plan["op"] == "interpolate"]:
        base, neighbor, share = (plan.loc[key, name] for name in ("base", "neighbor", "lambda"))
        assert list(table.loc[key, "flags"])[-1] == "feature-only"
        for modality in ("audio", "video", "text"):
            has = [table.loc[name, f"has_{modality}"] for name in (base, neighbor, key)]
            first, second, made = (table.loc[name, modality] for name in (base, neighbor, key))
            assert has[2] == has[0]
            expected = first + share * (second - first) if has[0] and has[1] else first
            assert made == pytest.approx(expected, abs=1e-4)


def longest_run(labels):
    return max(len(list(group)) for _, group in itertools.groupby(labels))


@pytest.mark.parametrize("name", BALANCED)
def test_made_rows_are_spread(demo_road, name):
    """Appended class by class, made rows would reach a trainer that reads in order as runs of one class."""
    index = read_index(demo_road / name)
    train = index[index["split"] == "train"].reset_index(drop=True)
    made = train["base"].notna().to_numpy()
    share = made.mean()
    # A trainer that stops at any third has met about as many of them as of the others.
    for third in np.array_split(made, 3):
        assert abs(third.mean() - share) < 0.15
    assert longest_run(made[made.argmax():]) <= 2 * made.sum() / train[~made]["dialogue"].nunique()
    labels, draw = train["emotion"][made].to_numpy(), np.random.default_rng(0)
    by_chance = [longest_run(draw.permutation(labels)) for _ in range(500)]
    assert longest_run(labels) <= max(by_chance)
    # And each class is spread over the whole, not gathered in a stretch of it.
    for emotion in set(labels):
        at = np.flatnonzero(labels == emotion) / len(labels)
        assert at.min() < 0.3 and at.max() > 0.7, emotion
    if name == "oversample":
        for shard, rows in train.dropna(subset="shard").groupby("shard"):
            assert 0.4 < rows["base"].notna().mean() < 0.95, shard


# ------------------------------------------------------------------------------------------ training

@pytest.mark.parametrize("name", ["weights", "smote"])
def test_scikit_learn_trains_on_it(demo_road, name):
    linear_model = pytest.importorskip("sklearn.linear_model")
    from sklearn.preprocessing import StandardScaler

    facts = json.loads((demo_road / name / "class_weights.json").read_text())
    weight = {at: facts["weights"][label] for at, label in enumerate(facts["labels"])}
    assert np.load(demo_road / name / "class_weights.npy") == pytest.approx(list(weight.values()))
    tables = {split: pd.read_parquet(demo_road / ("smote" if name == "smote" else "features") / f"{split}.parquet")
              for split in SPLITS}
    matrices = {split: np.hstack([np.stack(table[modality]) for modality in ("audio", "video", "text")])
                for split, table in tables.items()}
    scale = StandardScaler().fit(matrices["train"])
    y = tables["train"]["y_meld_7"].to_numpy()
    if name == "weights":
        balanced = len(y) / (7 * np.bincount(y))
        assert list(weight.values()) == pytest.approx(balanced)  # scikit-learn's own "balanced"
    model = linear_model.LogisticRegression(class_weight=weight, max_iter=2000)
    model.fit(scale.transform(matrices["train"]), y)
    assert model.score(scale.transform(matrices["train"]), y) > 0.8
    predicted = model.predict(scale.transform(matrices["test"]))
    assert len(predicted) == 20 and set(predicted) <= set(range(7)) and len(set(predicted)) > 1
