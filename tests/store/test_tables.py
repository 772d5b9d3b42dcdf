"""Feature tables: vectors and sequences go in and come out, in pieces of any size."""

import hashlib

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from emoprep.contracts import Modality
from emoprep.errors import EmoprepError, MissingInput
from emoprep.store.tables import GROUP_ROWS, file_facts, has_column, read_table, write_table

HOW = {"audio": {"clock": "utterance", "dim": 3}, "text": {"clock": "words", "dim": 2}}


def piece(first, rows, seed=0, lengths=None):
    """Return (index rows, features): a vector of 3 and a sequence of 1 to 4 steps of 2."""
    draw = np.random.default_rng((seed, first))
    lengths = draw.integers(1, 5, rows) if lengths is None else lengths
    present = draw.random(rows) < 0.8
    vectors = draw.standard_normal((rows, 3)).astype(np.float32)
    vectors[~present] = 0
    index = pyarrow.table({
        "key": pyarrow.array([f"k{first + row}" for row in range(rows)], pyarrow.string()),
        "text": pyarrow.array([f"said {first + row}, “{row}”" for row in range(rows)], pyarrow.string()),
        "flags": pyarrow.array([["a"] * (row % 3) for row in range(rows)], pyarrow.list_(pyarrow.string())),
        "has_audio": pyarrow.array(present, pyarrow.bool_()), "has_text": pyarrow.array([True] * rows,
                                                                                        pyarrow.bool_())})
    return index, {"audio": Modality(vectors, present),
                   "text": Modality([draw.standard_normal((length, 2)).astype(np.float32) for length in lengths],
                                    np.ones(rows, bool), "words")}


def check(path, pieces, rows=slice(None)):
    """Compare what is read with what was written."""
    index, features = read_table(path, HOW, rows=None if rows == slice(None) else rows)
    expected = pyarrow.concat_tables([table for table, _ in pieces]).to_pylist()[rows]
    assert index.to_pylist() == expected
    assert list(features) == ["audio", "text"]
    assert (features["audio"].clock, features["text"].clock) == ("utterance", "words")
    vectors = np.concatenate([made["audio"].values for _, made in pieces])[rows]
    assert features["audio"].values.dtype == np.float32
    np.testing.assert_array_equal(features["audio"].values, vectors)
    np.testing.assert_array_equal(features["audio"].present,
                                  np.concatenate([made["audio"].present for _, made in pieces])[rows])
    assert features["audio"].present.dtype == bool
    sequences = [sequence for _, made in pieces for sequence in made["text"].values][rows]
    assert len(features["text"].values) == len(sequences)
    for read, written in zip(features["text"].values, sequences, strict=True):
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize("sizes", [(1,), (7, 3), (500,), (501,), (1300, 2), (250, 250, 250)])
def test_there_and_back(tmp_path, sizes):
    starts = np.cumsum([0, *sizes])
    pieces = [piece(int(first), size) for first, size in zip(starts, sizes, strict=False)]

    told = write_table(tmp_path / "train.parquet", iter(pieces))

    raw = (tmp_path / "train.parquet").read_bytes()
    assert told == {"name": "train.parquet", "split": "train", "utterances": sum(sizes), "size": len(raw),
                    "sha256": hashlib.sha256(raw).hexdigest()} == file_facts(tmp_path / "train.parquet", sum(sizes))
    check(tmp_path / "train.parquet", pieces)
    groups = parquet.ParquetFile(tmp_path / "train.parquet").metadata
    assert max(groups.row_group(number).num_rows for number in range(groups.num_row_groups)) <= GROUP_ROWS == 500
    if sizes == (1300, 2):
        assert groups.num_row_groups <= 4


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 99), st.data())
def test_any_pieces_and_any_rows_of_them(tmp_path_factory, sizes, seed, data):
    path = tmp_path_factory.mktemp("table") / "train.parquet"
    starts = np.cumsum([0, *sizes])
    pieces = [piece(int(first), size, seed) for first, size in zip(starts, sizes, strict=False)]
    write_table(path, pieces)
    check(path, pieces)
    start = data.draw(st.integers(0, sum(sizes)))
    check(path, pieces, slice(start, data.draw(st.integers(start, sum(sizes)))))


def test_columns_as_others_see_them(tmp_path):
    pieces = [piece(0, 5)]
    write_table(tmp_path / "train.parquet", pieces)

    table = parquet.read_table(tmp_path / "train.parquet")
    assert table.column_names == ["key", "transcript", "flags", "has_audio", "has_text", "audio", "text"]
    assert table.schema.field("audio").type == pyarrow.list_(pyarrow.float32(), 3)
    assert table.schema.field("text").type == pyarrow.list_(pyarrow.list_(pyarrow.float32(), 2))
    assert table["transcript"][0].as_py() == "said 0, “0”"
    assert table["audio"].null_count == table["text"].null_count == 0
    np.testing.assert_array_equal(table["audio"].to_pylist(), pieces[0][1]["audio"].values)
    assert has_column("text") in table.column_names


@pytest.mark.parametrize("values", [np.arange(12).reshape(4, 3), np.arange(24.0).reshape(8, 3)[::2],
                                    np.asfortranarray(np.arange(12.0).reshape(4, 3))])
def test_vectors_of_any_making(tmp_path, values):
    """Whole numbers, doubles, and arrays that do not lie in one piece."""
    index, made = piece(0, 4)
    write_table(tmp_path / "train.parquet", [(index, {**made, "audio": Modality(values, made["audio"].present)})])
    np.testing.assert_array_equal(read_table(tmp_path / "train.parquet", HOW)[1]["audio"].values, values)


def test_numbers_at_the_edge_survive(tmp_path):
    index, made = piece(0, 2)
    values = np.array([[np.inf, -0.0, np.float32(1e-45)], [np.nan, np.finfo(np.float32).max, -np.inf]], np.float32)
    write_table(tmp_path / "train.parquet", [(index, {**made, "audio": Modality(values, np.ones(2, bool))})])
    read = read_table(tmp_path / "train.parquet", HOW)[1]["audio"].values
    assert read.tobytes() == values.tobytes()


def test_the_same_rows_give_the_same_bytes(tmp_path):
    one, two = (write_table(tmp_path / name / "train.parquet", [piece(0, 9), piece(9, 4)]) for name in "ab")
    assert one == two


def test_a_split_without_rows(tmp_path):
    """It has its columns all the same."""
    write_table(tmp_path / "dev.parquet", [piece(0, 0)])
    index, features = read_table(tmp_path / "dev.parquet", HOW)
    assert index.num_rows == 0
    assert index.column_names == ["key", "text", "flags", "has_audio", "has_text"]
    assert features["audio"].values.shape == (0, 3)
    assert features["text"].values == []


def test_no_rows_of_a_table(tmp_path):
    write_table(tmp_path / "dev.parquet", [piece(0, 4)])
    index, features = read_table(tmp_path / "dev.parquet", HOW, rows=slice(2, 2))
    assert index.num_rows == 0
    assert features["audio"].values.shape == (0, 3)
    assert features["text"].values == []


def test_long_sequences(tmp_path):
    pieces = [piece(0, 3, lengths=[1, 20_000, 2])]
    write_table(tmp_path / "train.parquet", pieces)
    check(tmp_path / "train.parquet", pieces)


def test_a_stream_that_fails_leaves_no_table(tmp_path):
    def stream():
        yield piece(0, 900)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_table(tmp_path / "train.parquet", stream())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_pieces_that_do_not_fit_together_leave_no_table(tmp_path):
    index, made = piece(2, 2)
    other = (index, {**made, "audio": Modality(np.zeros((2, 4), np.float32), np.ones(2, bool))})
    with pytest.raises(ValueError, match="schema"):
        write_table(tmp_path / "train.parquet", [piece(0, 2), other])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(MissingInput) as caught:
        read_table(tmp_path / "train.parquet", HOW)
    assert str(caught.value) == f"{tmp_path}/train.parquet: a table of the store is missing; make the store again"


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: b"x" * 99, lambda raw: raw[:-9],
                                    lambda raw: raw[:len(raw) // 2]])
def test_a_damaged_table(tmp_path, damage):
    path = tmp_path / "train.parquet"
    write_table(path, [piece(0, 40)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EmoprepError) as caught:
        read_table(path, HOW)
    assert str(caught.value).startswith(f"{path}: a table cannot be read: got ")
    assert "\n" not in str(caught.value)


def test_a_table_without_a_modality_of_the_manifest(tmp_path):
    path = tmp_path / "train.parquet"
    write_table(path, [piece(0, 4)])
    with pytest.raises(EmoprepError) as caught:
        read_table(path, {**HOW, "video": {"clock": "utterance", "dim": 4}})
    assert str(caught.value) == (f"{path}: a column of the manifest is missing: expected video, has_video; make the "
                                 "store again")


def test_a_folder_that_looks_like_a_partition(tmp_path):
    """pyarrow would make a column of `split=train`."""
    path = tmp_path / "split=train" / "train.parquet"
    write_table(path, [piece(0, 4)])
    assert "split" not in read_table(path, HOW)[0].column_names
