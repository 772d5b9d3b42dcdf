"""The map of features: who is on it, where, and whose child; on the demo's stores, and on stores that lie."""

import json
import shutil

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet as pq
import pytest

from emoprep.balance import balance
from emoprep.errors import EmoprepError, UsageError
from emoprep.features import features, plan_features
from emoprep.labels import LabelScheme
from emoprep.report.contents import Absent
from emoprep.report.feature_map import gather_map
from emoprep.store.index import with_column
from emoprep.store.manifest import open_store


def map_of(path, scheme=None, **settings):
    store = open_store(path)
    return gather_map(store, scheme or store.manifest.schemes["meld-7"], **settings)


def places(found):
    return dict(zip(found.keys, found.xy.tolist(), strict=True))


@pytest.fixture
def change(demo_road, tmp_path):
    """Return the function that copies a store of the demo and changes its index, table, plan or manifest."""
    def changed(name="smote", *, index=None, table=None, plan=None, manifest=None):
        out = tmp_path / "changed"
        shutil.copytree(demo_road / name, out)
        for file, how in (("utterances.parquet", index), ("train.parquet", table), ("plan.parquet", plan)):
            if how is not None:
                found = how(pq.read_table(out / file))
                (out / file).unlink()
                pq.write_table(found, out / file)
        if manifest is not None:
            document = json.loads((out / "manifest.json").read_bytes())
            manifest(document)
            (out / "manifest.json").write_text(json.dumps(document))
        return out
    return changed


# ---------------------------------------------------------------------------------------- who is on the map

def test_every_train_row_of_the_demo_is_on_the_map_in_its_class(demo_road):
    found = map_of(demo_road / "smote")
    index = pandas.read_parquet(demo_road / "smote/utterances.parquet").query("split == 'train'")
    assert found.keys == index["key"].tolist() and found.of == len(found.keys) == 196
    assert found.y.tolist() == index["y_meld_7"].tolist() and found.y.dtype == np.int16
    assert found.made.tolist() == (index["op"] != "keep").tolist()
    assert (found.xy.shape, found.xy.dtype, found.parents.dtype) == ((196, 2), np.float32, np.int32)
    assert found.source == "demo-road/smote: audio, video, text" and found.labels[0] == "neutral"
    assert 1 > found.explained[0] > found.explained[1] > 0


def test_made_points_lie_between_the_parents_that_the_plan_names(demo_road):
    found = map_of(demo_road / "smote")
    plan = pandas.read_parquet(demo_road / "smote/plan.parquet").set_index("key")
    keys = np.array(found.keys)
    assert (found.parents[~found.made] == -1).all()
    for row in np.flatnonzero(found.made):
        item, (base, neighbor) = plan.loc[keys[row]], found.parents[row]
        assert keys[[base, neighbor]].tolist() == [item["base"], item["neighbor"]]
        np.testing.assert_allclose(
            found.xy[row], found.xy[base] + item["lambda"] * (found.xy[neighbor] - found.xy[base]), atol=1e-4)


def test_the_map_does_not_depend_on_how_many_were_made(demo_road):
    before, after = map_of(demo_road / "features"), map_of(demo_road / "smote")
    assert after.explained == before.explained and not before.made.any()
    assert all(places(after)[key] == place for key, place in places(before).items())


def test_copies_are_no_points_of_their_own(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="oversample")
    before, after = map_of(demo_road / "features"), map_of(tmp_path / "out")
    assert len(pq.read_table(tmp_path / "out/train.parquet")) == 7 * 28 and after.of == 60
    assert (before.copies, after.copies) == (0, 7 * 28 - 60)
    assert places(after) == places(before)


def test_what_was_changed_in_its_place_is_not_made(demo_road, change):
    """Where all clips were augmented alike, all rows have op `augment`: they are the rows that axes are taken from."""
    def altered(index):
        train = [split == "train" for split in index["split"].to_pylist()]
        own = [key if mine else None for key, mine in zip(index["key"].to_pylist(), train, strict=True)]
        return with_column(with_column(index, "base", own), "op", ["augment" if mine else "keep" for mine in train])
    found = map_of(change("features", index=altered))
    assert not found.made.any() and places(found) == places(map_of(demo_road / "features"))


def test_what_has_one_parent_has_one(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="rose", target="0.5")
    found = map_of(tmp_path / "out")
    assert found.made.any() and (found.parents[found.made, 0] >= 0).all() and (found.parents[:, 1] == -1).all()


def test_a_large_store_is_drawn_in_part(demo_road):
    found, whole = map_of(demo_road / "smote", most=90), places(map_of(demo_road / "smote"))
    assert 85 <= len(found.keys) <= 90 and found.of == 196
    assert (np.bincount(found.y, minlength=7) >= 5).all() and found.made.sum() > 20
    assert (found.parents[found.made] >= 0).all()
    assert all(whole[key] == place for key, place in places(found).items())
    again, other = map_of(demo_road / "smote", most=90), map_of(demo_road / "smote", most=90, seed=1)
    assert again.keys == found.keys != other.keys


def test_axes_are_those_of_some_rows_where_there_are_too_many(demo_road, monkeypatch):
    monkeypatch.setattr("emoprep.report.feature_map.FITTED", 30)
    found = map_of(demo_road / "smote")
    assert len(found.keys) == 196 and found.explained != map_of(demo_road / "features", modality="text").explained
    assert found.explained[0] > 0 and np.isfinite(found.xy).all()


def test_one_modality_alone(demo_road):
    found = map_of(demo_road / "features", modality="text")
    vectors = np.stack(pq.read_table(demo_road / "features/train.parquet")["text"].to_pylist())
    _, s, vt = np.linalg.svd(vectors - vectors.mean(axis=0))
    exact = (vectors - vectors.mean(axis=0)) @ vt[:2].T / np.sqrt(vectors.var(axis=0).sum())
    np.testing.assert_allclose(np.abs(found.xy), np.abs(exact), atol=1e-3)
    np.testing.assert_allclose(found.explained, (s ** 2 / (s ** 2).sum())[:2], rtol=1e-3)
    assert found.source == "demo-road/features: text"


def test_rows_without_features_are_no_points(demo_road, change):
    def silent(table):
        return with_column(table, "has_audio", [number >= 5 for number in range(len(table))])
    path = change("features", index=silent)
    assert map_of(path, modality="audio").of == 55 and map_of(path).of == 60


def test_several_labels_show_the_rarest(demo_road):
    scheme = LabelScheme("two", labels=("any", "late"), columns={"any": "season", "late": "episode"}, above=3)
    found = map_of(demo_road / "features", scheme)
    index = pandas.read_parquet(demo_road / "features/utterances.parquet").query("split == 'train'")
    any_, late = (index["season"] > 3).to_numpy(), (index["episode"] > 3).to_numpy()
    rarest = 0 if any_.sum() <= late.sum() else 1
    both = np.where(any_, 0, np.where(late, 1, -100))
    assert found.y.tolist() == np.where(any_ & late, rarest, both).tolist()


def test_a_store_without_splits_is_mapped_whole(demo_road, change):
    def one_table(document):
        document["tables"] = [{**facts, "name": "all.parquet", "split": "all"} for facts in document["tables"]
                              if facts["split"] == "train"]

    def unsplit(table):
        train = table.filter(pyarrow.compute.equal(table["split"], "train"))
        return with_column(train, "split", [None] * len(train))
    path = change("features", index=unsplit, manifest=one_table)
    (path / "train.parquet").rename(path / "all.parquet")
    assert places(map_of(path)) == places(map_of(demo_road / "features"))


def test_sequences_enter_as_mean_and_deviation(demo_road, tmp_path):
    features(plan_features(demo_road / "shards", pool="none", extractors={"text": "none"}), tmp_path / "sequences")
    balance(tmp_path / "sequences", tmp_path / "out", strategy="smote", target="0.5")
    found = map_of(tmp_path / "out")
    # One utterance has neither sound nor pictures, and so no features here.
    assert found.of == 28 + 6 * 14 - 1 and (found.parents[found.made] >= 0).all()
    between = found.xy[found.parents[found.made]].mean(axis=1)
    off = np.linalg.norm(found.xy[found.made] - between, axis=1)
    apart = np.linalg.norm(np.diff(found.xy[found.parents[found.made]], axis=1)[:, 0], axis=1)
    assert np.median(off / apart) < 0.6  # half of the way between them, where they lie on a line


def test_tsne_is_the_same_each_time(demo_road):
    found, again = (map_of(demo_road / "smote", method="tsne", seed=4) for _ in range(2))
    assert found.explained is None and found.method == "tsne" and np.isfinite(found.xy).all()
    assert found.xy.tobytes() == again.xy.tobytes() and found.parents.tolist() == again.parents.tolist()
    assert found.keys == map_of(demo_road / "smote").keys


# ------------------------------------------------------------------------------------- what cannot be mapped

@pytest.mark.parametrize(("settings", "message"), [
    ({"modality": "smell"}, "--modality: the store has no such modality: expected audio or video or text, got smell"),
    ({"method": "umap"}, "--map: this map is not known: expected pca or tsne, got umap")])
def test_what_is_not_there_is_refused(demo_road, settings, message):
    with pytest.raises(UsageError) as error:
        map_of(demo_road / "features", **settings)
    assert str(error.value) == message


def test_without_features_there_is_no_map(demo_road):
    with pytest.raises(Absent) as error:
        map_of(demo_road / "shards")
    assert str(error.value) == ("demo-road/shards: there are no features to map: expected a feature store; run "
                                "`emoprep features` first")


def test_two_utterances_are_no_map(demo_road, change):
    def two(table):
        return with_column(table, "has_audio", [number < 2 for number in range(len(table))])
    with pytest.raises(Absent) as error:
        map_of(change("features", index=two), modality="audio")
    assert str(error.value) == ("a map takes three train utterances with features that balancing did not make: got 2 "
                                "of 2")


def constant(table, value=1.5):
    column = table["audio"].combine_chunks()
    flat = pyarrow.array(np.full(len(table) * column.type.list_size, value, np.float32))
    return table.set_column(table.column_names.index("audio"), "audio",
                            pyarrow.FixedSizeListArray.from_arrays(flat, column.type.list_size))


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_features_that_are_all_alike_are_no_map(change, method):
    with pytest.raises(Absent) as error:
        map_of(change("features", table=constant), modality="audio", method=method)
    assert str(error.value) == "all utterances have the same features: expected some that vary"


def test_values_that_are_no_numbers_are_medians(demo_road, change):
    def broken(table):
        values = table["audio"].combine_chunks().flatten().to_numpy().reshape(len(table), -1).copy()
        values[3], values[4, 7] = np.nan, np.inf
        return table.set_column(table.column_names.index("audio"), "audio", pyarrow.FixedSizeListArray.from_arrays(
            pyarrow.array(values.ravel()), values.shape[1]))
    found = map_of(change("features", table=broken), modality="audio")
    assert found.keys == map_of(demo_road / "features", modality="audio").keys and np.isfinite(found.xy).all()


# ------------------------------------------------------------------------------------------ stores that lie

def test_parents_that_are_not_there_are_none(change):
    def orphaned(plan):
        return with_column(plan, "neighbor", ["nobody" if name else None for name in plan["neighbor"].to_pylist()])

    def lonely(index):
        return with_column(index, "base", ["nobody" if name else None for name in index["base"].to_pylist()])
    found = map_of(change(index=lonely, plan=orphaned))
    assert (found.parents == -1).all() and found.made.sum() == 136


def test_without_a_plan_the_base_is_known(change):
    path = change()
    (path / "plan.parquet").unlink()
    found = map_of(path)
    assert (found.parents[found.made, 0] >= 0).all() and (found.parents[:, 1] == -1).all()


@pytest.mark.parametrize(("lie", "message"), [
    ({"table": lambda table: table.take([1, 0, *range(2, len(table))])},
     "the rows of the table are not those of the index"),
    ({"table": lambda table: table.slice(0, 150)}, "the rows of the table are not those of the index: got row 150"),
    ({"table": lambda table: table.drop_columns(["key"])}, "the rows of the table are not those of the index"),
    ({"table": lambda table: table.append_column("key", table["key"])}, "the rows of the table are not those"),
    ({"table": lambda table: table.set_column(0, "key", pyarrow.array([b"\xff"] * len(table)).view(pyarrow.string()))},
     "the rows of the table are not those of the index: got row 0"),
    ({"table": lambda table: table.drop_columns(["video"])}, "a column of the manifest is missing"),
    ({"index": lambda index: index.drop_columns(["has_audio"])}, "the index cannot be read"),
    ({"index": lambda index: index.set_column(0, "key", pyarrow.array(range(len(index))))},
     "the rows of the table are not those of the index: got row 0"),
    ({"index": lambda index: index.set_column(index.column_names.index("has_audio"), "has_audio", index["dialogue"])},
     "a column of the index is of another type: expected bool"),
    ({"index": lambda index: with_column(index, "split", ["dev"] * len(index))}, "there is no train utterance"),
    ({"plan": lambda plan: plan.drop_columns(["neighbor"])}, "the plan cannot be read"),
    ({"plan": lambda plan: plan.set_column(4, "lambda", plan["key"])}, "the plan cannot be read"),
    ({"plan": lambda plan: with_column(plan, "key", ["a"] * len(plan))},
     "the items of the plan do not have an op and a key of their own each"),
    ({"manifest": lambda document: document["modalities"]["audio"].pop("clock")},
     "the manifest does not say how a modality was made: expected its clock, got audio")])
def test_a_store_that_lies_is_told_in_one_line(change, lie, message):
    with pytest.raises(EmoprepError) as error:
        map_of(change(**lie))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("column", [
    pyarrow.array(["x"] * 60), pyarrow.array(range(60)), pyarrow.array([[1.0] * (row + 1) for row in range(60)]),
    pyarrow.array([None, *[[1.0, 2.0]] * 59], pyarrow.list_(pyarrow.float32(), 2))])
def test_a_column_that_holds_no_features_is_told(change, column):
    path = change("features", table=lambda table: table.set_column(table.column_names.index("audio"), "audio", column))
    with pytest.raises(EmoprepError, match="train.parquet: a table cannot be read: got .*; make the store again"):
        map_of(path)


@pytest.mark.filterwarnings("error")
def test_features_too_large_to_be_reckoned_with_are_told(change):
    steps = pyarrow.array([[[float("inf"), 1]] * 3, *[[[3e38, -3e38]] * 3] * 59],
                          pyarrow.list_(pyarrow.list_(pyarrow.float32(), 2)))
    path = change("features", table=lambda table: table.set_column(table.column_names.index("audio"), "audio", steps))
    with pytest.raises(EmoprepError, match=f"{path}: the features are too large to be mapped: .*; --map none leaves"):
        map_of(path)


@pytest.mark.filterwarnings("error")
def test_a_sequence_without_steps_is_mended(change):
    steps = pyarrow.array([[], *[[[1.0, row], [2.0, row]] for row in range(59)]],
                          pyarrow.list_(pyarrow.list_(pyarrow.float32(), 2)))
    found = map_of(change("features", table=lambda table: table.set_column(
        table.column_names.index("audio"), "audio", steps)), modality="audio")
    assert np.isfinite(found.xy).all() and found.explained == pytest.approx((1, 0), abs=1e-6)


def test_texts_that_are_no_utf8_are_told(change):
    def garbled(index):
        keys = pyarrow.array([b"\xff\xfe", *(key.encode() for key in index["key"].to_pylist()[1:])], pyarrow.binary())
        return index.set_column(0, "key", keys.view(pyarrow.string()))
    with pytest.raises(EmoprepError, match="key: a column of the index is of another type"):
        map_of(change(index=garbled))
