"""The index: its columns as the contract names them, and the row of an utterance."""

import hashlib

import pyarrow
import pytest
from pyarrow import parquet

from emoprep.labels import LabelScheme
from emoprep.store.index import (
    COLUMNS,
    MEDIA_COLUMNS,
    index_row,
    index_table,
    read_index,
    schema,
    with_media,
    write_index,
)
from emoprep.utterance import Utterance

SCHEMES = (LabelScheme("mini-3", "emotion", ("sad", "glad"), {"tears": "sad", "smile": "glad"}),
           LabelScheme("mini 2/x", "emotion", ("any",), {"tears": "any", "smile": "any", "yawn": "any"}))
ANNOTATION = {"emotion": "string", "season": "int32", "valence": "float64"}

# ../shared/contract.md, "Index columns".
CONTRACT = {
    **dict.fromkeys(("key", "corpus", "split", "dialogue", "speaker", "text", "shard", "base", "op"),
                    pyarrow.string()),
    **dict.fromkeys(("turn", "frames", "samples", "sample_rate"), pyarrow.int32()),
    **dict.fromkeys(("start", "end", "fps"), pyarrow.float64()), "loss_mask": pyarrow.float32(),
    **dict.fromkeys(("flags", "groups"), pyarrow.list_(pyarrow.string())),
    **dict.fromkeys(("has_video", "has_audio", "has_text"), pyarrow.bool_()),
}


def utterance(number=0, **more):
    return Utterance(**{
        "key": f"mini_train_dia0_utt{number}", "corpus": "mini", "split": "train", "dialogue": "mini_train_dia0",
        "turn": number, "speaker": "Ida", "text": "Hello.",
        "annotation": {"emotion": "smile", "season": 3, "valence": 0.5}, **more})


def test_the_columns_are_those_of_the_contract():
    made = schema(ANNOTATION, SCHEMES)
    assert {field.name: field.type for field in made if field.name in COLUMNS} == CONTRACT
    assert made.names == [*COLUMNS, "emotion", "season", "valence", "y_mini_3", "y_mini_2_x"]
    assert made.field("y_mini_3").type == pyarrow.int16()
    assert made.field("season").type == pyarrow.int32()
    assert schema(ANNOTATION, (), {"vote": pyarrow.int8()}).field("vote").type == pyarrow.int8()


def test_the_row_of_an_utterance_that_was_cut():
    media = {"start": 0.0, "end": 1.5, "frames": 15, "fps": 10.0, "samples": 24000, "sample_rate": 16000,
             "has_video": True, "has_audio": True, "flags": ["twin-corrected", "no-sound"], "shard": "train-000000.tar"}
    row = index_row(utterance(2, flags=("twin-corrected",)), SCHEMES, **media)

    assert list(row) == schema(ANNOTATION, SCHEMES).names
    assert {name: row[name] for name in media} == media
    assert (row["op"], row["base"], row["loss_mask"], row["groups"]) == ("keep", None, 1.0, ["mini_train_dia0"])
    assert (row["turn"], row["emotion"], row["y_mini_3"], row["y_mini_2_x"]) == (2, "smile", 1, 0)
    assert row["has_text"] is True


def test_the_row_of_an_utterance_without_media():
    row = index_row(utterance(flags=("csv-time-reversed",), text=" \n"), SCHEMES)
    assert {name: row[name] for name in MEDIA_COLUMNS} == MEDIA_COLUMNS
    assert row["shard"] is None
    assert row["flags"] == ["csv-time-reversed"]
    assert row["has_text"] is False


@pytest.mark.parametrize("emotion, numbers", [("tears", [0, 0]), ("yawn", [-100, 0]), ("hiccup", [-100, -100]),
                                              (None, [-100, -100])])
def test_rows_outside_a_scheme_are_ignored_by_number(emotion, numbers):
    row = index_row(utterance(annotation={"emotion": emotion, "season": 1, "valence": None}), SCHEMES)
    assert [row["y_mini_3"], row["y_mini_2_x"]] == numbers


def rows():
    return [index_row(utterance(number, text=text, split=split), SCHEMES) for number, (text, split) in enumerate(
        [("a, \"b\"\n…", "train"), ("", "dev"), ("😀\0", None)])]


def table_of(rows):
    return pyarrow.Table.from_pylist(rows, schema=schema(ANNOTATION, SCHEMES))


def test_a_table_has_the_rows_of_its_utterances():
    utterances = [utterance(0, flags=("twin-corrected",), text=" "), utterance(1, split=None, annotation={
        "emotion": None, "season": 2, "valence": None}), utterance(2)]
    made = index_table(utterances, ANNOTATION, SCHEMES)
    assert made.to_pylist() == [index_row(one, SCHEMES) for one in utterances]
    assert index_table([], ANNOTATION, SCHEMES).schema == made.schema == schema(ANNOTATION, SCHEMES)


def test_what_was_cut_is_filled_in():
    media = {"start": 0.0, "end": 1.5, "frames": 15, "fps": 10.0, "samples": 24000, "sample_rate": 16000,
             "has_video": True, "has_audio": False, "flags": ["no-sound"], "shard": "train-000000.tar"}
    utterances = [utterance(number) for number in range(3)]
    made = with_media(index_table(utterances, ANNOTATION, SCHEMES), [{"key": utterances[1].key, **media}])
    assert made.schema == schema(ANNOTATION, SCHEMES)
    assert made.to_pylist() == [index_row(utterances[0], SCHEMES), index_row(utterances[1], SCHEMES, **media),
                                index_row(utterances[2], SCHEMES)]


def test_what_is_written_is_read_by_anyone(tmp_path):
    write_index(tmp_path / "utterances.parquet", table_of(rows()))

    table = parquet.read_table(tmp_path / "utterances.parquet")
    assert table.schema.remove_metadata() == schema(ANNOTATION, SCHEMES)
    assert table.to_pylist() == rows()
    assert read_index(tmp_path / "utterances.parquet") == table
    assert read_index(tmp_path / "utterances.parquet", ["key", "y_mini_3"]).to_pylist() == [
        {"key": row["key"], "y_mini_3": row["y_mini_3"]} for row in rows()]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    digests = set()
    for name in ("a", "b"):
        whole = table_of(rows())
        write_index(tmp_path / name, whole if name == "a" else pyarrow.concat_tables([whole[:1], whole[1:]]))
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_no_rows_are_still_an_index(tmp_path):
    write_index(tmp_path / "utterances.parquet", table_of([]))
    assert parquet.read_table(tmp_path / "utterances.parquet").schema.names == schema(ANNOTATION, SCHEMES).names


def test_a_row_that_does_not_fit():
    with pytest.raises((pyarrow.ArrowInvalid, pyarrow.ArrowTypeError)):
        index_table([utterance(turn="first")], ANNOTATION, SCHEMES)
