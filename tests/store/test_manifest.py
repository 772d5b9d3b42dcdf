"""manifest.json: what is written is read again, and what was damaged is told in one line."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emoprep
from emoprep.corpora.meld import ANNOTATION, CITATION, SCHEMES
from emoprep.errors import EmoprepError, MissingInput
from emoprep.store.folder import fingerprint
from emoprep.store.index import index_table, write_index
from emoprep.store.manifest import Manifest, is_store, open_store, versions
from emoprep.utterance import Utterance

FULL = Manifest(
    corpus="meld", title="MELD", kind="shards",
    facts={"command": "segment", "settings": {"size": 112, "truncate": None},
           "inputs": {"annotation": {"train.csv": "ab"}, "media": {"files": 1}}},
    counts={"train": 2, "dev": 1}, written=2, modalities={"video": {"fps": 10.0}, "text": {}},
    schemes={scheme.name: scheme for scheme in SCHEMES}, annotation=ANNOTATION,
    shards=[{"name": "train-000000.tar", "split": "train", "utterances": 2, "size": 9, "sha256": "cd"}],
    tables=[], skipped={"no-clip": 1}, citation=CITATION, licence="GPL", versions={"av": "18"},
    notes=["dev: “no” clips"], balance={"strategy": "smote"})


def told(raw):
    with pytest.raises(EmoprepError) as caught:
        Manifest.from_bytes(raw, "OUT/manifest.json")
    line = str(caught.value)
    assert line.startswith("OUT/manifest.json: ")
    assert "\n" not in line
    return line


def store(folder, manifest=FULL):
    utterance = Utterance("k", "meld", "train", "d", 0, "Ida", "Hi", annotation={
        "emotion": "joy", "sentiment": "positive", "season": 1, "episode": 2, "source_start": 0.0, "source_end": 1.0})
    write_index(folder / "utterances.parquet", index_table([utterance], ANNOTATION, SCHEMES))
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return folder


def test_there_and_back():
    raw = FULL.to_bytes()
    again = Manifest.from_bytes(raw, "")
    assert again == FULL
    assert again.to_bytes() == raw
    assert raw.endswith(b"}\n")


@pytest.mark.parametrize("kind", ["features", "annotation"])
def test_there_and_back_with_little_in_it(kind):
    bare = Manifest("meld", "MELD", kind, {"command": "x", "settings": {}, "inputs": {}}, {}, 0, {}, {}, {})
    assert Manifest.from_bytes(bare.to_bytes(), "") == bare


def test_what_programs_rely_on():
    data = json.loads(FULL.to_bytes())
    assert data["schema"] == "emoprep.store/1"
    assert data["fingerprint"] == fingerprint(FULL.facts)
    assert data["label_schemes"]["meld-3"] == {
        "task": "single-label", "labels": ["neutral", "positive", "negative"], "column": "sentiment",
        "mapping": {"neutral": "neutral", "positive": "positive", "negative": "negative"}}
    assert list(data["label_schemes"]) == ["meld-7", "meld-3"]
    assert data["counts"] == {"train": 2, "dev": 1}
    assert data["shards"][0]["sha256"] == "cd"


@pytest.mark.parametrize("name", sorted(json.loads(FULL.to_bytes()).keys() - {"fingerprint"}))
def test_every_entry_is_needed(name):
    data = json.loads(FULL.to_bytes())
    del data[name]
    line = told(json.dumps(data).encode())
    if name == "schema":
        assert line == "OUT/manifest.json: this manifest is of another kind: expected emoprep.store/1, got None"
    else:
        assert line == f"OUT/manifest.json: this manifest cannot be read: got KeyError('{name}'); make the store again"


def test_a_manifest_of_another_kind():
    data = {**json.loads(FULL.to_bytes()), "schema": "emoprep.store/2"}
    assert told(json.dumps(data).encode()) == (
        "OUT/manifest.json: this manifest is of another kind: expected emoprep.store/1, got emoprep.store/2")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"null", b"[]", b'"x"', b"7", FULL.to_bytes()[:-20]])
def test_what_is_no_manifest(raw):
    assert told(raw).endswith("; make the store again")


@pytest.mark.parametrize("scheme", [
    {}, [], "joy", {"task": "single-label", "labels": [], "column": "emotion", "mapping": {}},
    {"task": "single-label", "labels": ["a", "a"], "column": "emotion", "mapping": {}},
    {"task": "single-label", "labels": ["a"], "column": "emotion", "mapping": {"x": "b"}},
    {"task": "ranking", "labels": ["a"], "column": "emotion", "mapping": {}}, {"labels": 3, "column": 1, "mapping": 2}])
def test_a_damaged_label_scheme(scheme):
    data = json.loads(FULL.to_bytes())
    data["label_schemes"]["meld-7"] = scheme
    with pytest.raises(EmoprepError) as caught:
        Manifest.from_bytes(json.dumps(data).encode(), "OUT/manifest.json")
    assert "\n" not in str(caught.value)


@settings(max_examples=60)
@given(st.sampled_from(sorted(json.loads(FULL.to_bytes()))),
       st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2),
                 st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)))
def test_any_entry_may_be_anything(name, value):
    """It is read or refused; what was read can be written again."""
    data = {**json.loads(FULL.to_bytes()), name: value}
    try:
        manifest = Manifest.from_bytes(json.dumps(data).encode(), "OUT/manifest.json")
    except EmoprepError as error:
        assert "\n" not in str(error)
    else:
        assert json.loads(manifest.to_bytes())[name] == (value if name != "fingerprint" else fingerprint(FULL.facts))


def test_open_store(tmp_path):
    store(tmp_path)
    opened = open_store(tmp_path)
    assert opened.manifest == FULL
    assert opened.fingerprint == fingerprint(FULL.facts)
    assert opened.index().num_rows == 1
    assert opened.index(["key"]).to_pydict() == {"key": ["k"]}
    assert is_store(tmp_path)


def test_what_is_no_store(tmp_path):
    assert not is_store(tmp_path)
    with pytest.raises(MissingInput) as caught:
        open_store(tmp_path)
    assert str(caught.value) == (f"{tmp_path}: this is no store: expected a folder with manifest.json; a store that "
                                 "was interrupted has none: run its command again")
    with pytest.raises(MissingInput):
        open_store(tmp_path / "nowhere")


def test_a_store_without_its_index(tmp_path):
    (store(tmp_path) / "utterances.parquet").unlink()
    with pytest.raises(MissingInput) as caught:
        open_store(tmp_path).index()
    assert str(caught.value) == f"{tmp_path}/utterances.parquet: the store has no index; make the store again"


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: b"x" * 99, lambda raw: raw[:-30],
                                    lambda raw: raw[:4] + bytes(len(raw) // 2) + raw[4 + len(raw) // 2:]])
def test_a_store_whose_index_is_damaged(tmp_path, damage):
    path = store(tmp_path) / "utterances.parquet"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EmoprepError) as caught:
        open_store(tmp_path).index()
    assert str(caught.value).startswith(f"{path}: the index cannot be read: got ")
    assert "\n" not in str(caught.value)


def test_an_index_without_a_column(tmp_path):
    with pytest.raises(EmoprepError, match="y_meld_9"):
        open_store(store(tmp_path)).index(["key", "y_meld_9"])


def test_versions_name_what_decided_the_bytes():
    told_versions = versions("numpy", "pyarrow")
    assert list(told_versions) == ["emoprep", "numpy", "pyarrow"]
    assert told_versions["emoprep"] == emoprep.__version__


def test_pieces_have_one_order_of_facts():
    """Whether they come from this run or from the notes of an earlier one."""
    turned = replace(FULL, shards=[dict(reversed(FULL.shards[0].items()))])
    assert turned.to_bytes() == FULL.to_bytes()


def test_a_manifest_cannot_be_changed_by_accident():
    with pytest.raises(AttributeError):
        FULL.corpus = "other"
    assert replace(FULL, corpus="other").corpus == "other"
    assert len({field.name for field in fields(Manifest)}) == 17
