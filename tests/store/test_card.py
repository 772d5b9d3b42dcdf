"""The card: YAML that loaders honour, and what a person wants to know."""

from dataclasses import replace

import pytest
import yaml

from emoprep.corpora.meld import ANNOTATION, CITATION, LICENCE, SCHEMES, TITLE
from emoprep.store.card import card
from emoprep.store.index import COLUMNS
from emoprep.store.manifest import Manifest

SHARDS = Manifest(
    corpus="meld", title=TITLE, kind="shards",
    facts={"command": "segment", "settings": {"fps": "24000/1001", "size": 112, "truncate": None}, "inputs": {}},
    counts={"train": 20, "dev": 5, "test": 7}, written=30,
    modalities={"video": {"fps": 10.0}, "audio": {"sample_rate": 16000}, "text": {}},
    schemes={scheme.name: scheme for scheme in SCHEMES}, annotation=ANNOTATION,
    shards=[{"name": f"{name}.tar"} for name in ("train-000000", "train-000001", "test-000000")],
    skipped={"no-clip": 1, "undecodable": 1}, citation=CITATION, licence=LICENCE,
    notes=["no clips for dev: annotation only"])

TABLES = replace(SHARDS, kind="features", shards=[], tables=[
    {"name": "train.parquet", "split": "train"}, {"name": "dev.parquet", "split": "dev"}],
                 modalities={"audio": {"dim": 100, "clock": "utterance"}, "gaze": {"dim": 64, "clock": "fps:10"},
                             "text": {"dim": 5, "clock": "words"}})


def parts(manifest):
    """Return the card's YAML head and its text."""
    text = card(manifest).decode()
    start, head, body = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(head), body


def features_of(head):
    return {feature["name"]: {name: value for name, value in feature.items() if name != "name"}
            for feature in head["dataset_info"]["features"]}


def test_each_split_that_is_there_is_named():
    head, _ = parts(SHARDS)
    assert head["configs"] == [{"config_name": "default", "data_files": [
        {"split": "train", "path": "train-*.tar"}, {"split": "test", "path": "test-*.tar"}]}]
    assert parts(TABLES)[0]["configs"][0]["data_files"] == [
        {"split": "train", "path": "train.parquet"}, {"split": "dev", "path": "dev.parquet"}]


def test_a_prefix_with_a_dash_in_it():
    head, _ = parts(replace(SHARDS, shards=[{"name": "ses-1-000000.tar"}, {"name": "ses-1-000001.tar"}]))
    assert head["configs"][0]["data_files"] == [{"split": "ses-1", "path": "ses-1-*.tar"}]


def test_the_features_of_shards():
    features = features_of(parts(SHARDS)[0])
    assert set(features) == {"__key__", "__url__", "json", "txt", "words.json", "flac", "frames.jpg"}
    # A binary column, because an Audio column cannot be loaded without torchcodec.
    assert features["flac"] == {"dtype": "binary"}
    assert features["frames.jpg"] == {"dtype": "image"}
    row = {field["name"]: field for field in features["json"]["struct"]}
    assert list(row) == [*COLUMNS, *ANNOTATION, "y_meld_7", "y_meld_3", "size", "columns", "view",
                         "faces", "face_mask", "face_rule"]
    assert row["turn"]["dtype"] == "int32"
    assert row["flags"]["list"] == "string"
    assert row["y_meld_7"]["dtype"] == "int16"


@pytest.mark.parametrize("modality, member", [("audio", "flac"), ("video", "frames.jpg")])
def test_what_a_store_lacks_is_no_feature(modality, member):
    less = {name: how for name, how in SHARDS.modalities.items() if name != modality}
    assert member not in features_of(parts(replace(SHARDS, modalities=less))[0])


def test_the_features_of_tables():
    features = features_of(parts(TABLES)[0])
    assert features["audio"] == {"list": "float32", "length": 100}
    assert features["gaze"] == {"list": {"list": "float32", "length": 64}}
    # `text` is the modality there; what was said is the transcript.
    assert features["text"] == {"list": {"list": "float32", "length": 5}}
    assert features["transcript"] == {"dtype": "string"}
    assert features["has_gaze"] == features["has_audio"] == {"dtype": "bool"}


def test_a_corpus_without_splits():
    """`datasets` keeps the word "all" for itself."""
    head, _ = parts(replace(SHARDS, shards=[{"name": "all-000000.tar"}]))
    assert head["configs"][0]["data_files"] == [{"split": "unsplit", "path": "all-*.tar"}]


def test_annotation_alone_is_loaded_from_the_index():
    head, body = parts(replace(SHARDS, kind="annotation", shards=[], modalities={}))
    assert head["configs"][0]["data_files"] == [{"split": "utterances", "path": "utterances.parquet"}]
    assert list(features_of(head)) == [*COLUMNS, *ANNOTATION, "y_meld_7", "y_meld_3"]
    assert "utterances.parquet" in body


def test_what_a_person_reads():
    _, body = parts(SHARDS)
    assert body.strip().startswith(f"# {TITLE}")
    for line in ("| train | 20 |", "| dev | 5 |", "| test | 7 |", "With media or features: 30.",
                 "Skipped when cutting: 1 no-clip, 1 undecodable.", '- `fps`: "24000/1001"', "- `size`: 112",
                 "- `truncate`: null", "- no clips for dev: annotation only", LICENCE, CITATION,
                 "- `y_meld_3` (meld-3, single-label): 0 neutral, 1 positive, 2 negative; −100 outside the scheme"):
        assert line in body
    assert 'cast_column("flac", datasets.Audio())' in body


def test_the_loaders_on_the_card_are_python():
    for manifest in (SHARDS, TABLES, replace(SHARDS, kind="annotation", shards=[])):
        code = card(manifest).decode().split("```python\n")[1].split("```")[0]
        compile(code, "card", "exec")


def test_nothing_skipped_and_nothing_to_note():
    body = parts(replace(SHARDS, skipped={}, notes=[]))[1]
    assert "Skipped when cutting: none." in body
    assert "skipped.jsonl" not in body
    assert "## Notes" not in body


def test_titles_and_settings_cannot_break_the_head():
    odd = replace(SHARDS, title='A: "B" #c [d] {e} --- é',
                  facts={**SHARDS.facts, "settings": {"exclude": "a\n---\nb"}})
    head, body = parts(odd)
    assert head["pretty_name"] == 'A: "B" #c [d] {e} --- é (shards)'
    assert '"a\\n---\\nb"' in body


def test_the_same_store_has_the_same_card():
    whole = replace(SHARDS, shards=[{**shard, "split": "train", "utterances": 1, "size": 2, "sha256": "ab"}
                                    for shard in SHARDS.shards])
    assert card(SHARDS) == card(whole) == card(Manifest.from_bytes(whole.to_bytes(), ""))
