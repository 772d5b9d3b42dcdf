"""Leaks that only a store of features or a balanced store can have."""

import json
import shutil

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from emoprep.errors import EmoprepError

FEATURES = ("fitted-on-more-than-train", "feature-duplicate", "synthetic-leak", "resampled-before-split")


@pytest.fixture
def own(demo_road, tmp_path):
    """Return the function `own(name)`: a copy of one of the demo's stores, to be changed."""
    return lambda name: shutil.copytree(demo_road / name, tmp_path / name)


@pytest.mark.parametrize("name", ["shards", "features", "smote", "oversample", "weights"])
def test_what_emoprep_makes_has_none_of_them(demo_road, name, findings_of):
    result, found = findings_of(demo_road / name)
    assert not set(FEATURES) & set(found)
    assert "synthetic-leak" not in result.not_possible
    assert ("feature-duplicate" in result.not_possible) == (name not in ("features", "smote"))


def read_scaler(store):
    with np.load(store / "scaler.npz") as arrays:
        return dict(arrays)


def vectors(store, split, modality):
    table = parquet.read_table(store / f"{split}.parquet")
    there = table.column(f"has_{modality}").to_numpy(zero_copy_only=False)
    column = table.column(modality).combine_chunks()
    return table, np.array(column.flatten()).reshape(len(column), -1).copy(), there


def write_vectors(store, split, modality, values):
    table = parquet.read_table(store / f"{split}.parquet")
    at = table.column_names.index(modality)
    flat = pyarrow.array(values.astype(np.float32).reshape(-1))
    column = pyarrow.FixedSizeListArray.from_arrays(flat, values.shape[1])
    parquet.write_table(table.set_column(at, table.schema.field(at).with_type(column.type), column),
                        store / f"{split}.parquet")


def test_a_scaler_of_all_splits(own, findings_of):
    store = own("features")
    scaler = read_scaler(store)
    everything = np.concatenate([values[there] for _, values, there in
                                 (vectors(store, split, "audio") for split in ("train", "dev", "test"))])
    scaler["audio_mean"], scaler["audio_deviation"] = everything.mean(axis=0), everything.std(axis=0)
    np.savez(store / "scaler.npz", **scaler)
    _, found = findings_of(store)
    (finding,) = found["fitted-on-more-than-train"]
    assert finding.splits == ("train", "dev", "test") and (finding.count, finding.of) == (1, 3)
    assert finding.examples[0].keys == ("audio",)
    assert finding.examples[0].detail.startswith("scaler.npz is that of all splits together: off by")


def test_a_scaler_of_something_else_and_a_broken_one(own, findings_of):
    store = own("features")
    scaler = read_scaler(store)
    scaler["video_mean"] = scaler["video_mean"] + 0.1 * scaler["video_deviation"]
    np.savez(store / "scaler.npz", **scaler)
    (finding,) = findings_of(store)[1]["fitted-on-more-than-train"]
    assert finding.examples[0].detail.startswith("scaler.npz is not that of train: off by up to 0.1 ")
    (store / "scaler.npz").write_bytes(b"no arrays")
    with pytest.raises(EmoprepError, match="the scaler cannot be read.*make the store again"):
        findings_of(store)


def test_an_extractor_that_the_manifest_says_was_fitted_on_all(own, findings_of):
    store = own("features")
    manifest = json.loads((store / "manifest.json").read_bytes())
    manifest["modalities"]["text"]["fitted_on"] = "all"
    manifest["modalities"]["audio"]["train_utterances"] += 30
    (store / "manifest.json").write_text(json.dumps(manifest))
    (finding,) = findings_of(store)[1]["fitted-on-more-than-train"]
    assert finding.count == 2
    assert {one.keys[0]: one.detail for one in finding.examples} == {
        "text": "the manifest says that it was fitted on all",
        "audio": "the manifest says that it was fitted on 90 utterances, and train has 60"}


def test_features_that_came_scaled_over_all_splits(own, findings_of):
    store = own("features")
    parts = {split: vectors(store, split, "audio") for split in ("train", "dev", "test")}
    everything = np.concatenate([values[there] for _, values, there in parts.values()])
    mean, deviation = everything.mean(axis=0), everything.std(axis=0)
    deviation[deviation == 0] = 1
    for split, (_, values, there) in parts.items():
        write_vectors(store, split, "audio", np.where(there[:, np.newaxis], (values - mean) / deviation, 0))
    scaler = read_scaler(store)
    train = vectors(store, "train", "audio")
    scaler["audio_mean"], scaler["audio_deviation"] = (train[1][train[2]].mean(axis=0), train[1][train[2]].std(axis=0))
    np.savez(store / "scaler.npz", **scaler)
    (finding,) = findings_of(store)[1]["fitted-on-more-than-train"]
    assert [one.detail for one in finding.examples] == [
        "over all splits together its mean is 0 and its deviation 1, over train not"]


def test_rows_with_the_same_features(own, findings_of):
    store = own("features")
    for modality in ("audio", "video"):
        train, test = vectors(store, "train", modality)[1], vectors(store, "test", modality)[1]
        test[4] = train[20]
        write_vectors(store, "test", modality, test)
    keys = [parquet.read_table(store / f"{split}.parquet", columns=["key"]).column("key").to_pylist()
            for split in ("train", "test")]
    (finding,) = findings_of(store)[1]["feature-duplicate"]
    assert (finding.splits, finding.count) == (("train", "test"), 1)
    assert finding.examples[0].keys == (keys[0][20], keys[1][4])


def edit_index(store, edit):
    rows = parquet.read_table(store / "utterances.parquet")
    changed = rows.to_pylist()
    edit(changed)
    parquet.write_table(pyarrow.Table.from_pylist(changed, schema=rows.schema), store / "utterances.parquet")


def test_children_of_test_utterances(own, findings_of):
    store = own("smote")

    def edit(rows):
        made = [row for row in rows if row["op"] == "interpolate"]
        test = next(row for row in rows if row["split"] == "test")
        made[0]["base"] = test["key"]
        made[1]["groups"] = [*made[1]["groups"], test["dialogue"]]
    edit_index(store, edit)
    (finding,) = findings_of(store)[1]["synthetic-leak"]
    assert (finding.splits, finding.count, finding.unit) == (("train", "test"), 2, "train rows")


def test_neighbours_in_the_plan(own, findings_of):
    store = own("smote")
    index = parquet.read_table(store / "utterances.parquet", columns=["key", "split"]).to_pylist()
    dev = next(row["key"] for row in index if row["split"] == "dev")
    plan = parquet.read_table(store / "plan.parquet")
    rows = plan.to_pylist()
    child = next(row for row in rows if row["op"] == "interpolate")
    child["neighbor"] = dev
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=plan.schema), store / "plan.parquet")
    (finding,) = findings_of(store)[1]["synthetic-leak"]
    assert (finding.splits, finding.count) == (("train", "dev"), 1)
    assert (finding.examples[0].keys, finding.examples[0].detail) == ((child["key"],), f"made of {dev}")
    (store / "plan.parquet").write_bytes(b"no plan")
    with pytest.raises(EmoprepError, match="the plan cannot be read"):
        findings_of(store)


def test_made_rows_in_test(own, findings_of):
    store = own("smote")

    def edit(rows):
        for row in rows:
            if row["op"] == "interpolate":
                row["split"] = "test"
    edit_index(store, edit)
    found = findings_of(store)[1]["resampled-before-split"]
    made = parquet.read_table(store / "plan.parquet", columns=["op"]).column("op").to_pylist().count("interpolate")
    assert next((one.splits, one.count, one.detail) for one in found) == (("test",), made, "rows that were made")


def test_evidence_that_is_gone_is_told(own, findings_of):
    store = own("smote")
    (store / "plan.parquet").unlink()
    (store / "scaler.npz").unlink()
    result, _ = findings_of(store)
    assert result.not_possible["synthetic-leak"] == "the store was balanced, and its plan.parquet is missing"
    assert result.not_possible["fitted-on-more-than-train"] == "the store's scaler.npz is missing"


def test_a_dialogue_in_two_splits_makes_no_children(own, findings_of):
    store = own("features")

    def edit(rows):
        next(row for row in rows if row["split"] == "test")["dialogue"] = "meld_train_dia0"
    edit_index(store, edit)
    _, found = findings_of(store)
    assert found["dialogue-overlap"] and "synthetic-leak" not in found
