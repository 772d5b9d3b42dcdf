"""Balancing a store: the plan, what is written, what is refused, and what stays untouched."""

import json
import shutil

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest

from emoprep.balance import balance
from emoprep.balance.items import spread
from emoprep.errors import EmoprepError, UsageError
from emoprep.features import features, plan_features
from emoprep.stats import stats
from emoprep.store.manifest import open_store
from emoprep.store.tables import read_table
from emoprep.utterance import child_seed

COUNTS = {"neutral": 28, "surprise": 7, "fear": 2, "sadness": 4, "joy": 10, "disgust": 3, "anger": 6}


def plan_of(store):
    return pq.read_table(store / "plan.parquet").to_pylist()


def features_of(store):
    return read_table(store / "train.parquet", open_store(store).manifest.modalities)


def test_smote_rows_lie_between_their_named_parents(demo_road):
    index, made = features_of(demo_road / "smote")
    old_index, old = features_of(demo_road / "features")
    at = {key: row for row, key in enumerate(old_index.column("key").to_pylist())}
    keys = index.column("key").to_pylist()
    checked = 0
    for item in plan_of(demo_road / "smote"):
        if item["op"] != "interpolate":
            continue
        row, base, neighbor = keys.index(item["key"]), at[item["base"]], at[item["neighbor"]]
        assert base != neighbor and 0 <= item["lambda"] < 1
        for name, modality in made.items():
            if old[name].present[base] and old[name].present[neighbor]:
                x, y = (old[name].values[parent].astype(np.float64) for parent in (base, neighbor))
                # One pair of parents and one λ for sound, picture and text.
                np.testing.assert_allclose(modality.values[row], x + item["lambda"] * (y - x), rtol=1e-5, atol=1e-5)
                checked += 1
    assert checked > 300


def test_plan_has_a_row_for_each_train_item(demo_road):
    plan = plan_of(demo_road / "smote")
    assert set(plan[0]) == {"key", "op", "base", "neighbor", "lambda", "copy", "repeat", "seed", "parameters",
                            "loss_mask"}
    assert sum(item["op"] == "keep" for item in plan) == 60
    assert len(plan) == 7 * 28 and len({item["key"] for item in plan}) == len(plan)
    for item in plan:
        if item["op"] == "keep":
            assert item["base"] is None and item["seed"] is None
        else:
            assert item["key"].startswith(item["base"] + "__")
            assert item["seed"] == child_seed(0, "smote", item["base"], item["copy"])
            json.loads(item["parameters"])


def test_parents_are_of_the_class(demo_road):
    index = {row["key"]: row for row in pq.read_table(demo_road / "smote/utterances.parquet").to_pylist()}
    for item in plan_of(demo_road / "smote"):
        if item["op"] == "interpolate":
            classes = {index[key]["y_meld_7"] for key in (item["key"], item["base"], item["neighbor"])}
            assert len(classes) == 1
            assert index[item["key"]]["groups"] == sorted({index[item["base"]]["dialogue"],
                                                           index[item["neighbor"]]["dialogue"]})
            assert index[item["key"]]["op"] == "interpolate" and index[item["key"]]["base"] == item["base"]
            assert "feature-only" in index[item["key"]]["flags"]


@pytest.mark.parametrize(("strategy", "source"), [("smote", "features"), ("oversample", "features"),
                                                  ("undersample", "features"), ("weights", "features")])
def test_dev_and_test_are_carried_over_untouched(demo_road, tmp_path, strategy, source):
    balance(demo_road / source, tmp_path / "out", strategy=strategy)
    for name in ("dev.parquet", "test.parquet", "scaler.npz"):
        assert (tmp_path / "out" / name).read_bytes() == (demo_road / source / name).read_bytes()
    old, new = (pq.read_table(folder / "utterances.parquet").to_pylist()
                for folder in (demo_road / source, tmp_path / "out"))
    assert [row for row in old if row["split"] != "train"] == [row for row in new if row["split"] != "train"]


def test_unchanged_shards_share_their_bytes_with_in(demo_road):
    """Weights copy no media: the shards are the same files."""
    source, target = demo_road / "shards", demo_road / "oversample"
    assert (source / "dev-000000.tar").stat().st_ino == (target / "dev-000000.tar").stat().st_ino
    assert (source / "train-000000.tar").stat().st_ino != (target / "train-000000.tar").stat().st_ino


def test_weights_of_a_store_of_shards_copy_nothing(demo_road, tmp_path):
    balance(demo_road / "shards", tmp_path / "out", strategy="weights")
    for path in (demo_road / "shards").glob("*.tar"):
        assert (tmp_path / "out" / path.name).stat().st_ino == path.stat().st_ino


def test_class_weights_are_those_after_the_plan(demo_road):
    after = json.loads((demo_road / "smote/class_weights.json").read_text())
    assert set(after["weights"].values()) == {1.0} and after["counts_source"] == "plan:smote"
    original = json.loads((demo_road / "weights/class_weights.json").read_text())
    assert original["counts"] == COUNTS and original["counts_source"] == "original"
    for label, count in COUNTS.items():
        assert original["weights"][label] == pytest.approx(60 / (7 * count))
    array = np.load(demo_road / "weights/class_weights.npy")
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, [original["weights"][label] for label in original["labels"]], rtol=1e-6)


def test_weights_of_a_store_count_what_a_trainer_will_see(demo_road, tmp_path):
    """One train clip does not decode: it is in the annotation, and in no sample."""
    result = balance(demo_road / "shards", tmp_path / "out", strategy="weights")
    assert "train utterances without a sample, which do not count: 1" in result.notes
    uncut = [row for row in pq.read_table(demo_road / "shards/utterances.parquet").to_pylist()
             if row["split"] == "train" and row["shard"] is None]
    counts = {**COUNTS, uncut[0]["emotion"]: COUNTS[uncut[0]["emotion"]] - 1}
    assert result.to_json()["before"] == counts
    assert json.loads((tmp_path / "out/class_weights.json").read_text())["counts"] == counts


def test_oversampled_shards_hold_what_was_asked_for(demo_road):
    """Counted in the samples themselves, not in the index."""
    import tarfile

    found = dict.fromkeys(COUNTS, 0)
    for path in sorted((demo_road / "oversample").glob("train-*.tar")):
        with tarfile.open(path) as tar:
            for entry in tar:
                if entry.name.endswith(".json") and not entry.name.endswith(".words.json"):
                    found[json.load(tar.extractfile(entry))["emotion"]] += 1
    assert len(set(found.values())) == 1, found


def test_made_items_without_a_modality_are_told(demo_road, tmp_path):
    rows = pq.read_table(demo_road / "shards/utterances.parquet").to_pylist()
    lost = next(row["key"] for row in rows if row["split"] == "train" and row["emotion"] == "fear")
    np.savez(tmp_path / "e.npz", **{row["key"]: np.ones(2, "f4") for row in rows if row["key"] != lost})
    features(plan_features(demo_road / "shards", add={"e": tmp_path / "e.npz"}), tmp_path / "features")
    result = balance(tmp_path / "features", tmp_path / "out", strategy="smote")
    lacking = sum(item["base"] == lost for item in plan_of(tmp_path / "out"))
    assert 0 < lacking < 26
    assert f"made items without e, because their base has none: {lacking}" in result.notes
    assert features_of(tmp_path / "out")[1]["e"].present.tolist().count(False) == lacking + 1


def test_same_seed_same_bytes_and_another_seed_not(demo_road, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        balance(demo_road / "features", tmp_path / name, strategy="smote", seed=seed)
    for file in ("train.parquet", "plan.parquet", "utterances.parquet", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (demo_road / "smote" / file).read_bytes()
    assert (tmp_path / "a/train.parquet").read_bytes() != (tmp_path / "b/train.parquet").read_bytes()


def test_jobs_do_not_change_oversampled_shards(demo_road, tmp_path):
    for jobs in (1, 2):
        balance(demo_road / "shards", tmp_path / str(jobs), strategy="oversample", jobs=jobs)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_compat_equals_imbalanced_learn_on_the_store(demo_road, tmp_path):
    from imblearn.over_sampling import SMOTE

    balance(demo_road / "features", tmp_path / "out", strategy="smote", seed=3,
            given={"imblearn_compat": True, "k_neighbors": 1})
    index, old = features_of(demo_road / "features")
    everything = np.hstack([modality.values for modality in old.values()])
    y = index.column("y_meld_7").to_numpy()
    expected, classes = SMOTE(k_neighbors=1, random_state=3).fit_resample(everything, y)
    new_index, new = features_of(tmp_path / "out")
    found = np.hstack([modality.values for modality in new.values()])
    made = np.array(new_index.column("op").to_pylist()) == "interpolate"
    present = np.all([modality.present for modality in new.values()], axis=0)
    rows = {tuple(row) for row in np.column_stack([expected, classes])[len(y):].astype(np.float32).tolist()}
    ours = np.column_stack([found, new_index.column("y_meld_7").to_numpy()])[made & present].astype(np.float32)
    # The order differs (made items are spread), and where a modality is missing ours stays missing.
    assert len(ours) > 50 and {tuple(row) for row in ours.tolist()} <= rows


def test_smote_on_shards_extracts_features_first(demo_road, tmp_path):
    result = balance(demo_road / "shards", tmp_path / "out", strategy="smote", jobs=2)
    assert any("default features were taken first" in note for note in result.notes)
    assert (tmp_path / "out/train.parquet").read_bytes() == (demo_road / "smote/train.parquet").read_bytes()
    assert not (tmp_path / "out/.emoprep").exists()
    again = balance(demo_road / "shards", tmp_path / "out", strategy="smote")
    assert again.state == "complete already"


def test_mask_keeps_context_and_delete_does_not(demo_road, tmp_path):
    balance(demo_road / "shards", tmp_path / "mask", strategy="undersample")
    balance(demo_road / "shards", tmp_path / "gone", strategy="undersample", given={"drop": "delete"})
    masked, gone = (pq.read_table(tmp_path / name / "utterances.parquet").to_pylist() for name in ("mask", "gone"))
    assert len(masked) == 95 and sum(row["loss_mask"] for row in masked if row["split"] == "train") == 14
    train = [row for row in gone if row["split"] == "train"]
    # The one that was never cut stays an annotated utterance, in no sample and no loss.
    assert len(train) == 15 and [row["loss_mask"] for row in train if row["shard"] is None] == [0]
    for dialogue in {row["dialogue"] for row in train}:
        turns = [row["turn"] for row in train if row["dialogue"] == dialogue]
        assert turns == list(range(len(turns)))
    assert len(plan_of(tmp_path / "gone")) == 60


def test_sequences_are_interpolated_too(demo_road, emoprep, tmp_path):
    assert emoprep("features", demo_road / "shards", tmp_path / "seq", "--pool", "none", "--dims",
                   "audio=5,video=6,text=4").returncode == 0
    balance(tmp_path / "seq", tmp_path / "out", strategy="smote")
    index, made = features_of(tmp_path / "out")
    frames = [len(steps) for steps in made["video"].values]
    new = np.array(index.column("op").to_pylist()) == "interpolate"
    assert new.sum() == 7 * 28 - 60 and made["text"].values.shape == (196, 4)
    for row in np.flatnonzero(new & made["audio"].present & made["video"].present):
        assert len(made["audio"].values[row]) == frames[row]  # in step by construction


def test_oversample_even_uses_each_original_equally(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="oversample", given={"even": True})
    uses = {}
    for item in plan_of(tmp_path / "out"):
        uses[item["base"] or item["key"]] = uses.get(item["base"] or item["key"], 0) + 1
    index = {row["key"]: row["emotion"] for row in pq.read_table(demo_road / "features/utterances.parquet").to_pylist()}
    for label in COUNTS:
        of_label = [number for key, number in uses.items() if index[key] == label]
        assert max(of_label) - min(of_label) <= 1


def test_outside_rows_are_context_or_gone(demo_road, tmp_path):
    scheme = tmp_path / "own.toml"
    scheme.write_text('column = "emotion"\nlabels = ["joy", "anger"]\n[mapping]\njoy = "joy"\nanger = "anger"\n')
    for outside in ("mask", "drop"):
        balance(demo_road / "features", tmp_path / outside, strategy="smote", labels=str(scheme), outside=outside)
    masked = pq.read_table(tmp_path / "mask/train.parquet").to_pylist()
    assert len(masked) == 64 and sum(row["loss_mask"] for row in masked) == 20
    assert len(pq.read_table(tmp_path / "drop/train.parquet").to_pylist()) == 20


def test_made_items_are_spread_evenly():
    dialogues = [f"d{number // 5}" for number in range(500)]
    row, made = spread(dialogues, np.arange(300), seed=1)
    assert row[made < 0].tolist() == list(range(500))
    assert sorted(made[made >= 0].tolist()) == list(range(300))
    tenths = [(made[start:start + 80] >= 0).sum() for start in range(0, 800, 80)]
    assert max(tenths) - min(tenths) <= 6
    for place in np.flatnonzero(made >= 0):  # never inside a dialogue
        before = row[:place][made[:place] < 0]
        after = row[place:][made[place:] < 0]
        assert not len(after) or dialogues[before[-1]] != dialogues[after[0]]


@pytest.fixture
def broken(demo_road, tmp_path):
    """A feature store with a NaN in the sound of one train row."""
    shutil.copytree(demo_road / "features", tmp_path / "broken")
    table = pq.read_table(tmp_path / "broken/train.parquet")
    audio = table.column("audio").combine_chunks().flatten().to_numpy().copy()
    audio[3] = np.nan
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(audio), 100)
    at = table.column_names.index("audio")
    pq.write_table(table.set_column(at, "audio", column), tmp_path / "broken/train.parquet")
    return tmp_path / "broken"


@pytest.mark.parametrize("strategy", ["smote", "oversample", "undersample"])
def test_nan_features_are_imputed_or_refused(broken, tmp_path, strategy):
    result = balance(broken, tmp_path / "out", strategy=strategy)
    assert any(note.startswith("audio: NaN or infinity in 1 rows") for note in result.notes)
    assert np.isfinite(features_of(tmp_path / "out")[1]["audio"].values).all()
    with pytest.raises(EmoprepError, match="audio is not finite: expected numbers"):
        balance(broken, tmp_path / "no", strategy=strategy, nonfinite="error")
    assert not (tmp_path / "no").exists()


def test_weights_change_no_feature(broken, tmp_path):
    with pytest.raises(UsageError, match="--nonfinite: weights does not read this option"):
        balance(broken, tmp_path / "out", strategy="weights", nonfinite="error")
    balance(broken, tmp_path / "out", strategy="weights")
    assert (tmp_path / "out/train.parquet").read_bytes() == (broken / "train.parquet").read_bytes()


def test_a_scheme_that_no_row_is_in(demo_road, tmp_path):
    scheme = tmp_path / "own.toml"
    scheme.write_text('column = "season"\nlabels = ["low"]\n[mapping]\n77 = "low"\n')
    for count in (balance, lambda source, out, **how: stats(source, labels=how["labels"])):
        with pytest.raises(UsageError, match="no row falls into this label scheme"):
            count(demo_road / "features", tmp_path / "out", strategy="weights", labels=str(scheme))
    scheme.write_text('column = "emotion"\nlabels = ["high", "low"]\n[mapping]\nangr = "high"\njoy = "low"\n')
    result = balance(demo_road / "features", tmp_path / "out", strategy="weights", labels=str(scheme))
    assert "scheme own: no row has emotion angr" in result.notes
    scheme.write_text('name = "meld-7"\ncolumn = "emotion"\nlabels = ["low"]\n[mapping]\njoy = "low"\n')
    with pytest.raises(UsageError, match="a scheme of one's own needs a name of its own"):
        stats(demo_road / "features", labels=str(scheme))


def test_a_store_with_weights_may_be_balanced(demo_road, tmp_path):
    """Nothing was made in it."""
    balance(demo_road / "features", tmp_path / "weights", strategy="weights")
    assert balance(tmp_path / "weights", tmp_path / "out", strategy="oversample").state == "written"


def test_oversampled_shards_are_of_a_size(demo_road, tmp_path):
    from emoprep.segment import plan_segment, segment

    segment(plan_segment(demo_road / "MELD.Raw", tmp_path / "s", shard_utterances=30), tmp_path / "s")
    balance(tmp_path / "s", tmp_path / "out", strategy="oversample")
    sizes = [shard["utterances"] for shard in open_store(tmp_path / "out").manifest.shards if shard["split"] == "train"]
    assert sum(sizes) == 189 and len(sizes) >= 7 and min(sizes) > 15, sizes


@pytest.mark.parametrize(("settings", "message"), [
    ({"strategy": "smote", "split": "test"}, "--split test: only train is ever balanced"),
    ({"strategy": "smote", "target": "fear=1"}, "takes nothing away from fear"),
    ({"strategy": "smote", "target": "joyy=40"}, "neutral, surprise, fear"),
    ({"strategy": "weights", "target": "auto"}, "--target: weights does not read this option"),
    ({"strategy": "smote", "given": {"even": True}}, "--even: smote does not read this option"),
    ({"strategy": "smote", "given": {"imblearn_compat": True}}, "more than 5 members for 5 neighbours, got fear has 2"),
    ({"strategy": "weights", "scheme": "foo"}, "balanced, inverse, inv-sqrt"),
    ({"strategy": "smote", "placement": "beside"}, "--placement: not known: expected orphan or .* or append"),
    ({"strategy": "smote", "target": "fear=99999999999999999999"}, "this is more than can be made"),
    ({"strategy": "smote", "target": ""}, "--target"),
    ({"strategy": "nope"}, "--strategy: not known: expected .*oversample or .*smote"),
])
def test_refusals_say_what_is_expected(demo_road, tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        balance(demo_road / "features", tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_balanced_stores_are_not_balanced_again(demo_road, tmp_path):
    with pytest.raises(UsageError, match="IN is balanced already: got smote"):
        balance(demo_road / "smote", tmp_path / "out", strategy="oversample")
    balance(demo_road / "smote", tmp_path / "weights", strategy="weights")
    assert stats(tmp_path / "weights").splits["train"]["imbalance_ratio"] == 1


def test_annotation_alone_is_repeated_in_the_index(demo_road, tmp_path):
    """What needs no media works on csv files: the index has the repeats, and there is no shard."""
    balance(demo_road / "MELD.Raw", tmp_path / "raw", strategy="oversample")
    balance(demo_road / "features", tmp_path / "made", strategy="oversample")
    raw, made = (pq.read_table(tmp_path / name / "utterances.parquet", columns=["key", "base", "op", "loss_mask"])
                 for name in ("raw", "made"))
    assert raw == made and set(raw["op"].to_pylist()) == {"keep", "repeat"}
    assert not list((tmp_path / "raw").glob("*.tar")) and open_store(tmp_path / "raw").manifest.written == 0


def test_annotation_has_no_features_to_draw_on(demo_road, tmp_path):
    with pytest.raises(UsageError, match="smote needs features, and IN has none"):
        balance(demo_road / "MELD.Raw", tmp_path / "out", strategy="smote")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("strategy", ["smote", "oversample", "undersample", "weights"])
def test_dry_run_on_annotation_decides_the_counts(demo_road, tmp_path, strategy):
    result = balance(demo_road / "MELD.Raw", tmp_path / "out", strategy=strategy, dry_run=True)
    document = result.to_json()
    assert document["before"] == COUNTS and document["dry_run"]
    wanted = {"undersample": 2, "smote": 28, "oversample": 28}
    assert document["after"] == (dict.fromkeys(COUNTS, wanted[strategy]) if strategy in wanted else COUNTS)
    assert not (tmp_path / "out").exists()


def test_train_is_needed(demo_road, tmp_path):
    for name in ("dev_sent_emo.csv", "test_sent_emo.csv"):
        shutil.copy(demo_road / "MELD.Raw" / name, tmp_path)
    with pytest.raises(UsageError, match="there is no train split, and dev and test are never balanced"):
        balance(tmp_path, tmp_path / "out", strategy="weights")


@pytest.mark.shared
def test_targets_on_the_real_rows(shared, tmp_path):
    """imbalance.md §0.6: what each target gives on MELD's train split."""
    def after(target):
        result = balance(shared / "real/meld", tmp_path / "out", strategy="smote", target=target, dry_run=True)
        return list(result.to_json()["after"].values())
    assert after("auto") == [4710] * 7
    assert after("0.5") == [4710, 2355, 2355, 2355, 2355, 2355, 2355]
    assert after("alpha=0.5") == [4710, 2382, 1124, 1794, 2865, 1130, 2285]
    assert after("preset:cberl-table6") == [4710, 1205, 468, 743, 1743, 471, 1169]


def test_nothing_is_extracted_into_an_out_that_is_refused(demo_road, tmp_path):
    """SMOTE on shards takes features first, and they lie in OUT: what stands there is looked at before."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.doc").write_text("years of work")
    with pytest.raises(UsageError, match="OUT is not empty and holds no store"):
        balance(demo_road / "shards", tmp_path / "thesis", strategy="smote")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.doc"]
    balance(demo_road / "features", tmp_path / "other", strategy="weights")
    before = sorted(path.name for path in (tmp_path / "other").iterdir())
    with pytest.raises(UsageError, match="OUT holds another run"):
        balance(demo_road / "shards", tmp_path / "other", strategy="smote")
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == before


def test_smote_on_shards_makes_a_lost_table_again(demo_road, tmp_path):
    balance(demo_road / "shards", tmp_path / "out", strategy="smote")
    whole = (tmp_path / "out/train.parquet").read_bytes()
    (tmp_path / "out/train.parquet").unlink()
    assert balance(demo_road / "shards", tmp_path / "out", strategy="smote").state == "written"
    assert (tmp_path / "out/train.parquet").read_bytes() == whole
