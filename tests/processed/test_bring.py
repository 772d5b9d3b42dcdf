"""A processed set becomes a feature store: as a stream, and a store like any other."""

import gc
import itertools
import json
import os
import pickle
import weakref

import numpy as np
import processed_miniatures
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.balance import balance
from emoprep.contracts import Corpus, Processed, modules
from emoprep.errors import CorpusError, MissingInput, UsageError
from emoprep.features import bring, is_pickle, plan_bring
from emoprep.features.bring import GROUP_BYTES, make_plan
from emoprep.features.medians import streamed_medians
from emoprep.methods.nonfinite import train_medians
from emoprep.stats import stats
from emoprep.store.manifest import open_store
from emoprep.store.tables import read_table
from emoprep.utterance import Utterance

MINIATURES = processed_miniatures.MINIATURES


def set_of(splits, features, modalities, **settings):
    """Return a set of utterances in these splits; `features` gives those of each by its number."""
    utterances = tuple(Utterance(f"meld_{number}", "meld", split, f"meld_d{number}", 0, "s", "t",
                                 annotation={"emotion": "joy"}) for number, split in enumerate(splits))
    corpus = Corpus("meld", None, utterances, annotation={"emotion": "string"},
                    schemes=modules("corpora")["meld"].SCHEMES[:1])
    return Processed(corpus, modalities, lambda: map(features, range(len(splits))), **settings)


SEQUENCE = {"dim": 4, "clock": "own", "extractor": "test"}


# ------------------------------------------------------------------------------------------ as a stream

class Watched(np.ndarray):
    """An array of which a weak reference can be held; plain ones have none."""


def test_rows_are_let_go_once_they_are_written(tmp_path):
    """Of 1,800 arrays no more are ever alive than a row group, and what the scaler gathers (256 steps)."""
    alive, most = set(), [0]

    def features(number):
        row = np.full((3, 4), number, np.float32).view(Watched)
        alive.add(number)
        weakref.finalize(row, alive.discard, number)
        if number % 100 == 0:
            gc.collect()
            most[0] = max(most[0], len(alive))
        return {"audio": row}
    splits = ["train"] * 1200 + ["dev"] * 300 + ["test"] * 300
    bring(make_plan(set_of(splits, features, {"audio": SEQUENCE}), inputs={}, size=0), tmp_path / "out")
    assert 300 < most[0] <= 500 + 256 // 3 + 2
    for name, rows in (("train", [500, 500, 200]), ("dev", [300]), ("test", [300])):
        file = pq.ParquetFile(tmp_path / f"out/{name}.parquet")
        assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == rows


def test_long_sequences_end_a_row_group_early(tmp_path):
    steps = GROUP_BYTES // 3 // 16
    plan = make_plan(set_of(["train"] * 7, lambda number: {"audio": np.ones((steps, 4), np.float32)},
                            {"audio": SEQUENCE}), inputs={}, size=0)
    bring(plan, tmp_path / "out")
    file = pq.ParquetFile(tmp_path / "out/train.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [4, 3]


def test_rows_without_a_split(tmp_path):
    splits = ["train"] * 3 + ["test"] + [None] * 2
    vectors = {"audio": {"dim": 1, "clock": "utterance", "extractor": "test"}}
    whole = set_of(splits, lambda number: {"audio": np.float32([number])}, vectors)
    result = bring(make_plan(whole, inputs={}, size=0), tmp_path / "out")
    assert result.counts == {"train": 3, "test": 1, "all": 2}
    _, found = read_table(tmp_path / "out/all.parquet", result.modalities)
    assert found["audio"].values.tolist() == [[4], [5]]
    with np.load(tmp_path / "out/scaler.npz") as scaler:  # of train alone
        assert scaler["audio_mean"] == 1


def test_the_scaler_loses_nothing_where_the_mean_is_large(tmp_path):
    values = np.random.default_rng(0).normal(1e4, 1, (2000, 3)).astype(np.float32)
    plan = make_plan(set_of(["train"] * 2000, lambda number: {"a": values[number]},
                            {"a": {"dim": 3, "clock": "utterance", "extractor": "test"}}), inputs={}, size=0)
    bring(plan, tmp_path / "out")
    with np.load(tmp_path / "out/scaler.npz") as scaler:
        np.testing.assert_allclose(scaler["a_deviation"], values.astype(np.float64).std(axis=0), rtol=1e-5)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), dim=st.integers(1, 3), rows=st.integers(1, 12))
def test_streamed_medians_are_those_of_the_whole(data, dim, rows):
    number = st.floats(width=32) | st.sampled_from([0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-45, 3e38, -3e38])
    arrays = [np.array(data.draw(st.lists(st.lists(number, min_size=dim, max_size=dim), min_size=1, max_size=4)),
                       np.float32) for _ in range(rows)]
    found = streamed_medians(lambda: ({"a": array} for array in arrays), {"a": dim})["a"]
    with np.errstate(over="ignore"):
        wanted = train_medians([array.astype(np.float64) for array in arrays], np.ones(rows, bool))
    np.testing.assert_array_equal(found, wanted)


def test_medians_are_those_of_train(tmp_path):
    rows = [1, 2, 4, np.nan, 100, 100, np.nan]
    plan = make_plan(set_of(["train"] * 4 + ["dev"] * 3, lambda number: {"a": np.float32([rows[number]])},
                            {"a": {"dim": 1, "clock": "utterance", "extractor": "test"}}),
                     inputs={}, size=0, nonfinite="impute-median")
    result = bring(plan, tmp_path / "out")
    found = [read_table(tmp_path / f"out/{split}.parquet", result.modalities)[1]["a"].values.ravel().tolist()
             for split in ("train", "dev")]
    assert found == [[1, 2, 4, 2], [100, 100, 2]]
    assert "a: NaN or infinity in 2 rows (first meld_3): impute-median" in result.notes


def test_errors_on_the_way_leave_no_manifest(tmp_path):
    def features(number):
        if number == 700:
            raise CorpusError("broken", where="here")
        return {"audio": np.ones((1, 4), np.float32)}
    plan = make_plan(set_of(["train"] * 900, features, {"audio": SEQUENCE}), inputs={}, size=0)
    with pytest.raises(CorpusError, match="here: broken"):
        bring(plan, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()
    assert not list((tmp_path / "out").glob("*.parquet"))


# ------------------------------------------------------------------------------- a store like any other

def test_what_the_manifest_tells(tmp_path):
    MINIATURES["mmsa"](tmp_path / "aligned_50.pkl")
    bring(plan_bring(tmp_path / "aligned_50.pkl", seed=3), tmp_path / "out")
    manifest = open_store(tmp_path / "out").manifest
    known = modules("corpora")["mosei"]
    assert (manifest.corpus, manifest.title) == ("mosei", known.TITLE)
    assert manifest.facts["settings"] == {"corpus": "mosei", "format": "mmsa", "seed": 3, "nonfinite": "zero"}
    assert list(manifest.facts["inputs"]["annotation"]) == ["aligned_50.pkl"]
    assert manifest.modalities["video"] == {"dim": 5, "clock": "words", "padded": "right", "padded_length": 6,
                                            "extractor": "mmsa"}
    assert known.CITATION in manifest.citation and "mao2022msena" in manifest.citation
    assert str(tmp_path) not in (tmp_path / "out/manifest.json").read_text()


def test_another_file_or_policy_is_another_run(tmp_path):
    path = tmp_path / "x.pkl"
    MINIATURES["mult"](path)
    assert bring(plan_bring(path), tmp_path / "out").fresh
    assert not bring(plan_bring(path), tmp_path / "out").fresh
    with pytest.raises(UsageError, match="OUT holds another run: got settings nonfinite zero there, drop now"):
        bring(plan_bring(path, nonfinite="drop"), tmp_path / "out")
    MINIATURES["mult"](path)  # other numbers
    with pytest.raises(UsageError, match="OUT holds another run"):
        bring(plan_bring(path), tmp_path / "out")
    assert bring(plan_bring(path), tmp_path / "out", overwrite=True).fresh


@pytest.mark.parametrize("name", ["mult", "mmsa-unaligned", "dialoguernn-iemocap", "cosmic-iemocap"])
def test_smote_on_what_was_brought(tmp_path, name):
    truth = MINIATURES[name](tmp_path / "x.pkl")
    brought = bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "store")
    result = balance(tmp_path / "store", tmp_path / "out", strategy="smote")
    after = {label: count for label, count in result.plan.after.items() if count}
    assert len(set(after.values())) == 1 and sum(after.values()) > sum(row.split == "train" for row in truth)
    rows, found = read_table(tmp_path / "out/train.parquet", brought.modalities)
    assert rows.num_rows == sum(after.values())
    for modality, how in brought.modalities.items():
        assert len(found[modality].values) == rows.num_rows
        for values, there in zip(found[modality].values, found[modality].present, strict=True):
            assert values.shape[-1] == how["dim"] and np.isfinite(values).all() and (there or not values.any())
    if name == "mult":  # word by word: all modalities of a made row are as long
        for made in zip(*(found[modality].values for modality in brought.modalities), strict=True):
            assert len({len(steps) for steps in made}) == 1
    assert stats(tmp_path / "out").splits["train"]["utterances"] == rows.num_rows
    assert (tmp_path / "out/test.parquet").read_bytes() == (tmp_path / "store/test.parquet").read_bytes()


def test_a_store_without_a_modality_is_balanced_by_its_labels(tmp_path):
    MINIATURES["cosmic-lists-iemocap"](tmp_path / "x.pkl")
    bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "store")
    result = balance(tmp_path / "store", tmp_path / "out", strategy="oversample")
    assert set(result.plan.after.values()) <= {0, 2}
    assert pq.read_table(tmp_path / "out/train.parquet").num_rows == 10
    with pytest.raises(UsageError, match="--strategy smote: there is no feature to interpolate"):
        balance(tmp_path / "store", tmp_path / "no", strategy="smote")


@pytest.mark.parametrize("name", MINIATURES)
def test_hugging_face_reads_it(tmp_path, name):
    import datasets
    truth = MINIATURES[name](tmp_path / "x.pkl")
    bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    rows = list(itertools.chain.from_iterable(loaded[split] for split in ("train", "dev", "test") if split in loaded))
    assert [row["key"] for row in rows] == [row.key for row in truth]
    for row, so in zip(rows, truth, strict=True):
        assert row["transcript"] == so.text
        for modality, wanted in so.steps.items():
            np.testing.assert_array_equal(np.array(row[modality], np.float32),
                                          np.where(np.isfinite(wanted), wanted, 0))


# --------------------------------------------------------------------------------------------- refusals

def test_what_is_brought(tmp_path):
    assert is_pickle(tmp_path / "a.PKL") and is_pickle(tmp_path / "a.pickle") and not is_pickle(tmp_path / "a.npz")
    (tmp_path / "folder.pkl").mkdir()
    assert not is_pickle(tmp_path / "folder.pkl")
    with pytest.raises(MissingInput, match="nothing.pkl: the pickle is not there"):
        plan_bring(tmp_path / "nothing.pkl")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(UsageError, match="--nonfinite: not known: expected .*, got hope"):
        plan_bring(tmp_path / "x.pkl", nonfinite="hope")
    with pytest.raises(CorpusError, match="this pickle is in no format that emoprep knows: .*, got list of 1: int"):
        plan_bring(tmp_path / "x.pkl")


def test_the_command(tmp_path, emoprep):
    truth = MINIATURES["mmsa"](tmp_path / "aligned_50.pkl")
    done = emoprep("features", tmp_path / "aligned_50.pkl", tmp_path / "out", "--json", check=True)
    said = json.loads(done.stdout)
    assert said["counts"] == {"train": 14, "dev": 2, "test": 3} and said["fresh"]
    assert said["modalities"]["audio"]["padded"] == "right"
    assert f"audio: NaN or infinity in 1 rows (first {truth[0].key}): zero" in said["notes"]

    class Hidden:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'hit'}",)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"train": Hidden()}))
    done = emoprep("features", tmp_path / "x.pkl", tmp_path / "other")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "this pickle is more than data: expected numpy arrays and plain containers, got posix.system" in done.stderr
    assert not (tmp_path / "hit").exists() and not (tmp_path / "other").exists()
