"""What every module in `processed/` must keep; a new one is held to this as soon as its file lies in the folder.

Its miniatures are those of `processed_miniatures.MINIATURES` whose name begins with the module's.
"""

import inspect
import json
import re
import subprocess
import sys
from itertools import groupby, islice

import numpy as np
import processed_miniatures
import pyarrow.parquet as pq
import pytest

import emoprep.processed
from emoprep.contracts import Corpus, Processed, modules
from emoprep.errors import CorpusError
from emoprep.features import bring, plan_bring
from emoprep.formats.pickles import load
from emoprep.processed import open_processed
from emoprep.store.index import COLUMNS
from emoprep.store.manifest import open_store
from emoprep.store.tables import read_table
from emoprep.utterance import SPLITS, check_key

FORMATS = modules("processed")
MINIATURES = processed_miniatures.MINIATURES
TYPES = {"string": str, "int32": int, "float64": float}


@pytest.fixture(scope="module", params=MINIATURES)
def miniature(request, tmp_path_factory):
    """Return (name of the module, path, what is so)."""
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.pkl"
    return request.param.partition("-")[0], path, MINIATURES[request.param](path)


@pytest.mark.parametrize("name, module", FORMATS.items())
def test_what_a_module_defines(name, module):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert module.__name__ == f"emoprep.processed.{name}"
    assert module.__doc__.strip()
    for text in (module.TITLE, module.LICENCE):
        assert text and text.strip() == text and "\n" not in text
    assert re.match(r"@\w+\{\w+,", module.CITATION)
    assert module.CITATION.count("{") == module.CITATION.count("}")
    assert list(inspect.signature(module.recognise).parameters) == ["loaded"]
    assert list(inspect.signature(module.read).parameters) == ["loaded", "path"]
    assert module.recognise.__doc__.strip() and module.read.__doc__.strip()
    assert "# Quirks" in inspect.getsource(module)
    assert any(key.partition("-")[0] == name for key in MINIATURES)


@pytest.mark.parametrize("name", FORMATS)
def test_importing_needs_nothing_heavy(name):
    script = (f"import sys, emoprep.processed.{name} as m\nm.recognise({{'train': {{'id': []}}}})\n"
              "print(sorted(set(sys.modules) & {'numpy', 'pyarrow', 'pandas', 'h5py', 'scipy', 'typer', 'rich'}))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", FORMATS.values(), ids=list(FORMATS))
def test_recognising_never_raises(module):
    odd = [None, 1, "x", b"", [], (), {}, [{}] * 9, ({},) * 10, [{}, {}, {}, [], [], []], {"train": None},
           {"train": []}, {"train": {"id": 1, "labels": 2}}, [{1: 2}] * 7 + [[], []],
           [{1: np.array(3.0)}] * 7 + [[1]] * 3,
           [{"a": [{}]}] * 4 + [set()] * 3, np.zeros(3), {"train": {"id": []}, "valid": 3}]
    for loaded in odd:
        assert module.recognise(loaded) in (True, False)


def test_each_is_recognised_by_one_module(miniature):
    name, path, _ = miniature
    loaded = load(path)
    assert [module.NAME for module in FORMATS.values() if module.recognise(loaded)] == [name]
    assert open_processed(path)[0] is FORMATS[name]


def test_what_is_read(miniature):
    _, path, truth = miniature
    module, processed = open_processed(path)
    corpus = processed.corpus
    assert isinstance(processed, Processed) and isinstance(corpus, Corpus)
    assert corpus.annotation_files == (path.name,) and corpus.root == path.parent
    assert corpus.schemes
    for scheme in corpus.schemes:
        assert set(scheme.reads) <= set(corpus.annotation)
        assert scheme.name.startswith(f"{corpus.name}-")
    assert set(corpus.annotation.values()) <= set(TYPES)
    for name, how in processed.modalities.items():
        assert check_key(name) and name not in {*COLUMNS, *corpus.annotation} - {"text"}
        assert how["dim"] > 0 and how["clock"] in ("utterance", "words", "own") and how["extractor"] == module.NAME
        json.dumps(how)
    keys = [utterance.key for utterance in corpus.utterances]
    assert len(set(keys)) == len(keys)
    for utterance, row in zip(corpus.utterances, truth, strict=True):
        assert check_key(utterance.key) and check_key(utterance.dialogue)
        for field in ("key", "split", "dialogue", "turn", "speaker", "text"):
            assert getattr(utterance, field) == getattr(row, field)
        assert utterance.corpus == corpus.name and utterance.key.startswith(f"{corpus.name}_")
        assert list(utterance.annotation) == list(corpus.annotation)
        assert utterance.annotation == row.annotation
        assert {name: type(value) for name, value in utterance.annotation.items()} == {
            name: TYPES[kind] for name, kind in corpus.annotation.items()}


def test_utterances_come_in_the_order_of_the_index(miniature):
    """Split by split, dialogue by dialogue (each in one piece), turn by turn from 0 without a gap."""
    utterances = open_processed(miniature[1])[1].corpus.utterances
    splits = [split for split, _ in groupby(utterances, lambda utterance: utterance.split)]
    assert splits == [split for split in (*SPLITS, None) if split in splits]
    dialogues = [(dialogue, list(group)) for dialogue, group in
                 groupby(utterances, lambda utterance: utterance.dialogue)]
    assert len({dialogue for dialogue, _ in dialogues}) == len(dialogues)
    for _, group in dialogues:
        assert [utterance.turn for utterance in group] == list(range(len(group)))


def test_features_are_those_of_the_file(miniature):
    _, path, truth = miniature
    processed = open_processed(path)[1]
    list(islice(processed.rows(), 3))  # what another reader has begun changes nothing
    for found, row in zip(processed.rows(), truth, strict=True):
        assert found.keys() == row.steps.keys()
        for name, values in found.items():
            assert values.dtype == np.float32
            assert values.shape[-1] == processed.modalities[name]["dim"]
            np.testing.assert_array_equal(values, row.steps[name])


def test_the_store_holds_what_the_file_holds(miniature, tmp_path):
    _, path, truth = miniature
    result = bring(plan_bring(path), tmp_path / "out")
    manifest = open_store(tmp_path / "out").require_intact().manifest
    assert result.fresh and result.counts == dict(manifest.counts)
    assert manifest.kind == "features" and manifest.written == len(truth)
    names = list(manifest.modalities)
    index = pq.read_table(tmp_path / "out/utterances.parquet").to_pylist()
    rows, features = [], {name: [] for name in names}
    for table in manifest.tables:
        part, found = read_table(tmp_path / "out" / table["name"], manifest.modalities)
        rows += part.to_pylist()
        for name in names:
            features[name] += zip(found[name].values, found[name].present, strict=True)
        assert pq.ParquetFile(tmp_path / "out" / table["name"]).metadata.num_rows == table["utterances"]
    assert rows == index
    for at, (row, so) in enumerate(zip(rows, truth, strict=True)):
        assert (row["key"], row["split"], row["turn"], row["text"]) == (so.key, so.split, so.turn, so.text)
        assert {name: row[name] for name in so.annotation} == so.annotation
        assert row["loss_mask"] == 1 and row["op"] == "keep" and row["shard"] is None
        for name in names:
            values, there = features[name][at]
            assert there == row[f"has_{name}"] == (name in so.steps)
            wanted = so.steps.get(name)
            np.testing.assert_array_equal(values, np.zeros_like(values) if wanted is None
                                          else np.where(np.isfinite(wanted), wanted, 0))
            assert wanted is not None or values.ndim == 1 or len(values) == 1
    with np.load(tmp_path / "out/scaler.npz") as scaler:
        assert set(scaler.files) == {f"{name}_{what}" for name in names for what in ("mean", "deviation")}
        for name in names:
            train = np.concatenate([np.atleast_2d(values) for (values, there), row in
                                    zip(features[name], rows, strict=True) if there and row["split"] == "train"])
            np.testing.assert_allclose(scaler[f"{name}_mean"], train.astype(np.float64).mean(axis=0), rtol=1e-5)
            np.testing.assert_allclose(scaler[f"{name}_deviation"], train.astype(np.float64).std(axis=0), rtol=1e-4)


def test_two_runs_are_one_to_the_byte(miniature, tmp_path):
    for out in ("one", "two"):
        bring(plan_bring(miniature[1]), tmp_path / out)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert not bring(plan_bring(miniature[1]), tmp_path / "one").fresh


# ------------------------------------------------------------------------------- what is not recognised

def test_an_unknown_pickle_is_described(tmp_path):
    path = processed_miniatures.dump(tmp_path / "x.pkl", {"features": {"v1": np.zeros((3, 2))}, "labels": [1, 2]})
    with pytest.raises(CorpusError) as caught:
        open_processed(path)
    said = str(caught.value)
    assert (f"{path}: this pickle is in no format that emoprep knows: expected a set of {' or '.join(FORMATS)}, "
            in said)
    assert ("got dict of 'features' (dict of 'v1' (array [3, 2] of float64)), 'labels' (list of 2: int); "
            "bring vectors of your own with") in said


def test_an_empty_dict(tmp_path):
    with pytest.raises(CorpusError, match="in no format that emoprep knows: .* got an empty dict; "):
        open_processed(processed_miniatures.dump(tmp_path / "x.pkl", {}))


def test_a_pickle_of_two_formats(tmp_path, monkeypatch):
    """A module is found because it lies in the folder; two that claim one object are an error."""
    (tmp_path / "greedy.py").write_text("NAME = 'greedy'\n\ndef recognise(loaded):\n    return True\n")
    monkeypatch.setattr(emoprep.processed, "__path__", [*emoprep.processed.__path__, str(tmp_path)])
    path = tmp_path / "x.pkl"
    MINIATURES["mult"](path)
    try:
        with pytest.raises(CorpusError, match="is in more than one format: expected one, got mult and greedy"):
            open_processed(path)
    finally:
        sys.modules.pop("emoprep.processed.greedy")
        del emoprep.processed.greedy
