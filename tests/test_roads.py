"""The roads of IEMOCAP, CMU-MOSEI and a table, from raw corpus to balanced store, as their users type them."""

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import iemocap_miniature
import mosei_miniature
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import table_miniature
from PIL import Image

from emoprep.films import loudest_hz, read_colour


def rows_of(store, *columns):
    return pq.read_table(store / "utterances.parquet", columns=list(columns) or None).to_pylist()


def samples_of(store):
    """Return {key: {member: bytes}} of all shards of a store, and the shard of each."""
    samples, shards = {}, {}
    for path in sorted(store.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, name = member.name.partition(".")
                samples.setdefault(key, {})[name] = tar.extractfile(member).read()
                shards[key] = path.name
    return samples, shards


def picture(sample):
    """Return the first frame of a sample's strip, uint8 [size, size, 3]."""
    size = json.loads(sample["json"])["size"]
    return np.asarray(Image.open(io.BytesIO(sample["frames.jpg"])))[:size, :size]


def sound(sample):
    return soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")


def check_json_is_the_index(store):
    """Every sample lies in the shard that the index names, and its `.json` says what the index says."""
    samples, shards = samples_of(store)
    rows = {row["key"]: row for row in rows_of(store) if row["shard"] is not None}
    assert rows.keys() == samples.keys()
    for key, row in rows.items():
        document = json.loads(samples[key]["json"])
        assert {name: document[name] for name in row} == row
        assert row["shard"] == shards[key]
    return samples


# -------------------------------------------------------------------------------------------- IEMOCAP

@pytest.fixture(scope="module")
def iemocap(once, emoprep):
    """Return (truth by key, colours, folder of stores); `shards` in it is the miniature, cut."""
    def make(folder):
        miniature = iemocap_miniature.build_miniature(folder)
        emoprep("segment", miniature.folder, folder / "shards", "--max-skipped", "50%", check=True)
        shutil.rmtree(miniature.folder)
    folder = once("iemocap-road", make)
    truth = {truth.key: truth for truth in iemocap_miniature._ALL}
    return truth, iemocap_miniature._COLOURS, folder


def test_iemocap_is_cut_once_in_shards_named_by_session(iemocap):
    truth, colours, folder = iemocap
    samples = check_json_is_the_index(folder / "shards")
    assert {shard.name for shard in (folder / "shards").glob("*.tar")} == {
        f"ses{n}-000000.tar" for n in (1, 3, 5)}  # session 4 has annotation only
    rows = rows_of(folder / "shards")
    assert [row["split"] for row in rows] == [None] * len(truth)
    assert {row["key"] for row in rows} == truth.keys()
    for key, sample in samples.items():
        turn, row = truth[key], json.loads(sample["json"])
        seconds = float(turn.end) - float(turn.start)
        samples_read, rate = sound(sample)
        assert abs(len(samples_read) - seconds * rate) <= 0.5
        if turn.dialogue in colours:
            left = turn.name[-4] == turn.dialogue[5]
            expected = colours[turn.dialogue][0 if left else 1]
            assert np.abs(np.subtract(read_colour(picture(sample)), expected)).max() < 12, key
        else:
            assert not row["has_video"] and "no-picture" in row["flags"]
        if turn.wav:
            assert loudest_hz(samples_read, rate) == pytest.approx(turn.tone, abs=2)
        assert json.loads(sample["words.json"]) == [
            {"word": word, "start": start, "end": end} for word, start, end in turn.words]


def test_view_full_has_both_halves(iemocap, emoprep, tmp_path):
    miniature = iemocap_miniature.build_miniature(tmp_path)
    emoprep("segment", miniature.folder, tmp_path / "full", "--view", "full", "--max-skipped", "50%", check=True)
    for key, sample in samples_of(tmp_path / "full")[0].items():
        turn = miniature.truth[key]
        if turn.video:
            image = picture(sample)
            for half, colour in zip(np.split(image, 2, axis=1), miniature.colours[turn.dialogue], strict=True):
                assert np.abs(np.subtract(read_colour(half[:, 8:-8]), colour)).max() < 12


@pytest.mark.parametrize(("protocol", "held_out"), [((), 5), (("--protocol", "loso:1"), 1)])
def test_iemocap_is_split_by_protocol_afterwards(iemocap, emoprep, tmp_path, protocol, held_out):
    _, _, folder = iemocap
    split = emoprep("stats", folder / "shards", *protocol, "--json", check=True)
    splits = json.loads(split.stdout)["splits"]
    test = {row["key"] for row in rows_of(folder / "shards") if row["session"] == held_out}
    assert splits["test"]["utterances"] == len(test)
    emoprep("features", folder / "shards", tmp_path / "features", *protocol, check=True)
    table = pq.read_table(tmp_path / "features/test.parquet")
    assert set(table.column("key").to_pylist()) == test
    assert set(table.column("split").to_pylist()) == {"test"}
    emoprep("balance", tmp_path / "features", tmp_path / "smote", "--strategy", "smote", check=True)
    assert pq.read_table(tmp_path / "smote/test.parquet").equals(table)


def test_copies_of_an_unsplit_store_go_with_all_samples_into_splits(iemocap, emoprep, tmp_path):
    _, _, folder = iemocap
    done = emoprep("balance", folder / "shards", tmp_path / "over", "--strategy", "oversample", "--json", check=True)
    after = json.loads(done.stdout)["after"]
    assert len({count for count in after.values() if count}) == 1
    old, new = samples_of(folder / "shards")[0], check_json_is_the_index(tmp_path / "over")
    assert old.keys() <= new.keys()
    for row in rows_of(tmp_path / "over"):
        if row["shard"] is not None:
            assert row["shard"].startswith(row["split"])
            origin = old[row["base"] or row["key"]]
            assert {name: data for name, data in new[row["key"]].items() if name != "json"} == {
                name: data for name, data in origin.items() if name != "json"}
    manifest = json.loads((tmp_path / "over/manifest.json").read_bytes())
    assert {shard["split"] for shard in manifest["shards"]} == {"train", "dev", "test"}
    assert manifest["settings"]["protocol"] == "session5"


def test_weights_of_an_unsplit_store_without_new_masks_copy_nothing(iemocap, emoprep, tmp_path):
    _, _, folder = iemocap
    scheme = tmp_path / "all.toml"
    codes = sorted({row["emotion"] for row in rows_of(folder / "shards")})
    scheme.write_text(f'column = "emotion"\nlabels = {json.dumps(codes)}\n[mapping]\n'
                      + "".join(f'{code} = "{code}"\n' for code in codes))
    emoprep("balance", folder / "shards", tmp_path / "weights", "--strategy", "weights", "--labels", scheme,
            check=True)
    for shard in (folder / "shards").glob("*.tar"):
        assert (tmp_path / "weights" / shard.name).samefile(shard)
    assert {row["split"] for row in rows_of(tmp_path / "weights")} == {"train", "dev", "test"}


def test_protocol_none_is_no_split(iemocap, emoprep, tmp_path):
    _, _, folder = iemocap
    counted = emoprep("stats", folder / "shards", "--protocol", "none", "--json", check=True)
    assert list(json.loads(counted.stdout)["splits"]) == ["all"]
    for command in (("features",), ("balance", "--strategy", "weights")):
        done = emoprep(command[0], folder / "shards", tmp_path / "out", *command[1:], "--protocol", "none")
        assert done.returncode == 2 and "emoprep split" in done.stderr and "--all-is-train" in done.stderr
        assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------- MOSEI

@pytest.fixture(scope="module")
def mosei(once, emoprep):
    def make(folder):
        miniature = mosei_miniature.build_miniature(folder)
        emoprep("segment", miniature.folder, folder / "shards", "--max-skipped", "100%", check=True)
        emoprep("features", folder / "shards", folder / "features", check=True)
    return once("mosei-road", make)


def test_mosei_is_multi_label_all_the_way(mosei, emoprep, tmp_path):
    check_json_is_the_index(mosei / "shards")
    for store in ("shards", "features"):
        index = pq.read_table(mosei / store / "utterances.parquet")
        assert str(index.schema.field("y_mosei_6").type) == "fixed_size_list<element: int8>[6]"
        labels = ("happy", "sad", "anger", "surprise", "disgust", "fear")
        for row in index.to_pylist():
            assert row["y_mosei_6"] == [int(row[label] > 0) for label in labels]
    raw, store = (json.loads(emoprep("stats", mosei / name, "--json", check=True).stdout)["splits"]
                  for name in ("CMU_MOSEI", "shards"))
    for split in ("train", "dev", "test"):
        for name in ("counts", "none", "irlbl", "mean_ir", "label_sets", "co_occurrence"):
            assert raw[split][name] == store[split][name]
    assert store["train"]["none"] >= 1


def test_mosei_weights_are_pairs_and_draws_are_refused(mosei, emoprep, tmp_path):
    emoprep("balance", mosei / "features", tmp_path / "weights", "--strategy", "weights", check=True)
    document = json.loads((tmp_path / "weights/class_weights.json").read_bytes())
    train = [row for row in rows_of(mosei / "features") if row["split"] == "train" and row["loss_mask"] > 0]
    assert document["task"] == "multi-label" and document["n"] == len(train)
    for label, pair in document["weights"].items():
        positives = sum(row[label] > 0 for row in train)
        if 0 < positives < len(train):
            assert pair["pos"] == pytest.approx(len(train) / (2 * positives))
            assert document["pos_weight"][label] == pytest.approx((len(train) - positives) / positives)
        else:
            assert document["pos_weight"][label] is None
    assert np.load(tmp_path / "weights/class_weights.npy").shape == (6,)
    for strategy in ("smote", "oversample", "undersample"):
        done = emoprep("balance", mosei / "features", tmp_path / "no", "--strategy", strategy)
        assert done.returncode == 2 and "mosei-6 is multi-label: expected --labels mosei-2 or" in done.stderr
    emoprep("balance", mosei / "features", tmp_path / "smote", "--strategy", "smote", "--labels", "mosei-7", check=True)


@pytest.mark.parametrize("sequences", [False, True])
def test_the_loader_of_several_labels_runs(mosei, emoprep, tmp_path, sequences):
    page = (Path(__file__).resolve().parents[1] / "docs/loaders.md").read_text(encoding="utf-8")
    block = re.findall(r"^```python\n(.*?)^```$", page.partition("## i. ")[2], re.M | re.S)[0]
    if sequences:
        miniature = mosei_miniature.build_sequences(tmp_path / "raw")
        emoprep("features", miniature.folder, tmp_path / "features/mosei", check=True)
    else:
        (tmp_path / "features").mkdir()
        (tmp_path / "features/mosei").symlink_to(mosei / "features")
    emoprep("balance", tmp_path / "features/mosei", tmp_path / "weights/mosei", "--strategy", "weights", check=True)
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "recall" in done.stdout


def test_mosei_videos_in_no_fold(mosei):
    rows = [row for row in rows_of(mosei / "shards") if row["split"] is None]
    assert rows and all(row["loss_mask"] == 0 and row["shard"] is None for row in rows)
    reasons = [json.loads(line) for line in (mosei / "shards/skipped.jsonl").read_text().splitlines()]
    assert {row["key"] for row in rows} == {skip["key"] for skip in reasons if skip["reason"] == "no-fold"}


def test_mosei_stores_load_as_datasets(mosei, tmp_path):
    import datasets

    for store in ("shards", "features"):
        loaded = datasets.load_dataset(str(mosei / store), split="train", cache_dir=str(tmp_path / store))
        assert len(loaded)
        row = loaded[0]["json"] if store == "shards" else loaded[0]
        assert len(row["y_mosei_6"]) == 6


# ---------------------------------------------------------------------------------------------- table

@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_table_walks_the_road(ending, emoprep, tmp_path):
    miniature = table_miniature.build_miniature(tmp_path, ending)
    emoprep("segment", miniature.folder, tmp_path / "shards", "--max-skipped", "1", check=True)
    samples = check_json_is_the_index(tmp_path / "shards")
    assert samples.keys() == {key for key, truth in miniature.truth.items() if truth.media}
    for key, sample in samples.items():
        truth, row = miniature.truth[key], json.loads(sample["json"])
        assert (row["emotion"], row["split"], row["speaker"], row["text"]) == (
            truth.emotion, truth.split, truth.speaker, truth.text)
        assert row["has_video"] == (truth.media.colour is not None)
        assert row["has_audio"] == (truth.media.hz is not None)
        if truth.media.colour:
            assert np.abs(np.subtract(read_colour(picture(sample)), truth.media.colour)).max() < 12
        if truth.media.hz:
            assert loudest_hz(*sound(sample)) == pytest.approx(truth.media.hz, abs=2)
    emoprep("features", tmp_path / "shards", tmp_path / "features", check=True)
    emoprep("balance", tmp_path / "features", tmp_path / "smote", "--strategy", "smote", check=True)
    counts = json.loads(emoprep("stats", tmp_path / "smote", "--json", check=True).stdout)["splits"]["train"]["counts"]
    assert len({count for count in counts.values() if count}) == 1


def test_a_table_without_split_is_not_balanced_before_the_user_decides(emoprep, tmp_path):
    miniature = table_miniature.build_miniature(tmp_path)
    header, *lines = miniature.folder.read_text(encoding="utf-8").splitlines(keepends=True)
    assert "split" in header
    miniature.folder.write_text(header.replace("split", "old") + "".join(lines), encoding="utf-8")
    emoprep("segment", miniature.folder, tmp_path / "shards", "--max-skipped", "1", check=True)
    assert [path.name for path in (tmp_path / "shards").glob("*.tar")] == ["all-000000.tar"]
    for source in (miniature.folder, tmp_path / "shards"):
        done = emoprep("balance", source, tmp_path / "out", "--strategy", "weights")
        assert done.returncode == 2
        assert "IN has no split" in done.stderr
        assert "emoprep split IN OUT --by speaker --dev 0.1 --test 0.2" in done.stderr
        done = emoprep("balance", source, tmp_path / f"{source.name}.w", "--strategy", "weights", "--all-is-train")
        assert done.returncode == 0
        assert {row["split"] for row in rows_of(tmp_path / f"{source.name}.w")} == {"train"}
    emoprep("balance", tmp_path / "shards", tmp_path / "over", "--strategy", "oversample", "--all-is-train", check=True)
    check_json_is_the_index(tmp_path / "over")
    emoprep("features", tmp_path / "shards", tmp_path / "features", "--all-is-train", check=True)
    assert [path.name for path in (tmp_path / "features").glob("*.parquet")
            if path.name != "utterances.parquet"] == ["train.parquet"]


def test_a_misread_time_does_not_take_all_memory(emoprep, tmp_path):
    miniature = table_miniature.build_miniature(tmp_path)
    with miniature.folder.open("a", encoding="utf-8") as table:
        header = miniature.folder.read_text(encoding="utf-8-sig").splitlines()[0].split(",")
        values = {"file": "talks/one.mp4", "start": "5", "end": "900000", "split": "train", "emotion": "joy"}
        table.write(",".join(values.get(name.lower(), "") for name in header) + "\n")
    emoprep("segment", miniature.folder, tmp_path / "shards", "--max-skipped", "2", check=True)
    skips = [json.loads(line) for line in (tmp_path / "shards/skipped.jsonl").read_text().splitlines()]
    assert [skip["reason"] for skip in skips if skip["key"] == "table_talks_one_5000"] == ["too-long"]
    emoprep("segment", miniature.folder, tmp_path / "short", "--max-skipped", "2", "--truncate-seconds", "1",
            check=True)
