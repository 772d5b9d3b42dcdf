"""The room of the .csd files: what the SDK writes comes back, and any other file is refused in one line."""

import functools
import json
import os
import pickle
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mosei_miniature import build_sequences, write_csd

from emoprep.errors import CorpusError, EmoprepError, MissingInput
from emoprep.formats.csd import find_first, open_csd

TIMES = [[0.0, 0.5], [0.5, 1.25], [1.0, 2.0]]
VALUES = np.array([[1.5, -np.inf], [np.nan, 0.1], [3.0, 4.0]], np.float32)


def write(folder, intervals=TIMES, features=VALUES, name="COVAREP.csd", **how):
    return write_csd(folder / name, {"-aBc__1": (intervals, features)}, **how)


def made(folder, fill):
    """Write an HDF5 file by `fill(group of the video)`, which makes the two datasets."""
    path = folder / "made.csd"
    with h5py.File(path, "w") as file:
        fill(file.create_group("COVAREP/data/a"))
    return path


def read(path, video="a"):
    with open_csd(path) as sequence:
        return sequence.read(video)


def refused(path, video="a", error=CorpusError):
    with pytest.raises(error) as caught:
        read(path, video)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


# --------------------------------------------------------------------------------------- what the SDK writes

@pytest.mark.parametrize("metadata", [True, False])
def test_a_sequence_comes_back_as_it_was_written(tmp_path, metadata):
    with open_csd(write(tmp_path, metadata=metadata)) as sequence:
        assert (sequence.name, sequence.videos) == ("COVAREP", ("-aBc__1",))
        assert sequence.dims("-aBc__1") == 2
        assert sequence.notes == (() if metadata else
                                  ("COVAREP.csd has no metadata; its version and source are unknown",))
        intervals, features = sequence.read("-aBc__1")
    assert (intervals.dtype, features.dtype) == (np.float64, np.float32)
    assert intervals.tolist() == TIMES
    np.testing.assert_array_equal(features, VALUES)  # −inf and NaN are not this room's business


def test_a_broken_key_in_the_metadata_hinders_nobody(tmp_path):
    """A missing comma in the SDK makes it ask for a key that no file has."""
    path = write(tmp_path)
    with h5py.File(path, "a") as file:
        file["COVAREP/metadata"].create_dataset("dimension namescomputational sequence version", data=b"not JSON {")
    assert read(path, "-aBc__1")[1].shape == (3, 2)


def test_the_files_of_a_miniature(tmp_path):
    build_sequences(tmp_path)
    found = {}
    for path in sorted(tmp_path.iterdir()):
        with open_csd(path) as sequence:
            found[sequence.name] = (sequence.dims("-3g5yACwYnA"), len(sequence.videos), "25522" in sequence.videos)
            if sequence.name == "COVAREP":
                features = sequence.read("-3g5yACwYnA")[1]
                assert features[3, 1] == -np.inf
                assert np.isnan(features[4, 1])
            if sequence.name == "words":
                assert sequence.read("255224")[1][2:5] == ["word2", "sp", "word4"]
    assert found == {"All Labels": (7, 8, True), "COVAREP": (74, 9, True), "FACET 4.2": (35, 8, False),
                     "glove_vectors": (300, 9, True), "words": (1, 9, True)}


@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8", ">f8", "f2", "i4", "u1"])
def test_times_and_values_of_other_types(tmp_path, dtype):
    times, values = np.array([[0, 1], [1, 2]], dtype), np.array([[5], [7]], dtype)
    intervals, features = read(write(tmp_path, times, values, dtype=dtype), "-aBc__1")
    assert (intervals.tolist(), features.tolist()) == ([[0, 1], [1, 2]], [[5], [7]])
    assert (intervals.dtype, features.dtype) == (np.float64, np.float32)


def test_float32_times_are_not_rounded(tmp_path):
    assert read(write(tmp_path, [[0.1, 0.7]], [[1.0]], dtype="f4"), "-aBc__1")[0].tolist() == [
        [float(np.float32(0.1)), float(np.float32(0.7))]]


def test_beyond_float32_is_infinite(tmp_path):
    assert read(write(tmp_path, [[0, 1]], np.array([[1e300, -1e300]])), "-aBc__1")[1].tolist() == [[np.inf, -np.inf]]


def test_words_and_what_is_no_utf8(tmp_path):
    words = np.array([[b"well"], [b"caf\xc3\xa9"], [b"\xff"]])
    assert read(write(tmp_path, features=words), "-aBc__1")[1] == ["well", "café", "\ufffd"]


@pytest.mark.parametrize("empty", ["a group without members", "a link"])
def test_metadata_that_says_nothing(tmp_path, empty):
    path = write(tmp_path)
    with h5py.File(path, "a") as file:
        del file["COVAREP/metadata"]
        file["COVAREP/metadata"] = h5py.SoftLink("/COVAREP/data")
        if empty != "a link":
            del file["COVAREP/metadata"]
            file.create_group("COVAREP/metadata")
    with open_csd(path) as sequence:
        assert sequence.notes == ("COVAREP.csd has no metadata; its version and source are unknown",)


def test_a_video_without_steps(tmp_path):
    path = made(tmp_path, lambda group: [group.create_dataset("intervals", (0, 2), "f8"),
                                         group.create_dataset("features", (0, 74), "f4")])
    intervals, features = read(path)
    assert (intervals.shape, features.shape) == ((0, 2), (0, 74))


def test_aligned_entries_are_kept_as_they_are(tmp_path):
    path = write_csd(tmp_path / "aligned.csd", {f"25522[{row}]": (TIMES, VALUES) for row in (0, 1, 10)})
    with open_csd(path) as sequence:
        assert set(sequence.videos) == {"25522[0]", "25522[1]", "25522[10]"}
        assert sequence.read("25522[10]")[0].tolist() == TIMES


@pytest.mark.parametrize("beside, rest", [(["words/data"], ""), (["words"], ""), (["A/data"], ""),
                                          (["A/data", "B", "words/metadata"], " and 2 more")])
def test_the_only_group_with_videos_is_read_and_the_others_are_told(tmp_path, beside, rest):
    path = write(tmp_path, name="glove_vectors")
    with h5py.File(path, "a") as file:
        for group in beside:
            file.create_group(group)
    with open_csd(path) as sequence:
        assert (sequence.name, sequence.videos) == ("glove_vectors", ("-aBc__1",))
        assert sequence.notes == (f"glove_vectors: 'glove_vectors' is read, and not beside it "
                                  f"{beside[0].partition('/')[0]!r}{rest}",)
        assert sequence.read("-aBc__1")[0].tolist() == TIMES


def test_a_second_group_with_videos(tmp_path):
    path = write(tmp_path)
    with h5py.File(path, "a") as file:
        file.create_group("A/data/a")
    assert refused(path) == (": this file holds more than one sequence: expected one, got 'A' and 'COVAREP'; download "
                             "the file again, or put each sequence into a file of its own")


# -------------------------------------------------------------------------------------------- which file

def test_the_first_of_two_places_is_taken_and_the_other_is_told(tmp_path):
    for folder in ("csd", "Raw"):
        (tmp_path / folder).mkdir()
    places = ["a.csd", "csd/a.csd", "Raw/a.csd", "link/a.csd"]
    assert find_first(tmp_path, places) == (None, ())
    (tmp_path / "Raw/a.csd").write_bytes(b"1")
    (tmp_path / "link").symlink_to("Raw")  # which is the same file again
    assert find_first(tmp_path, places) == (tmp_path / "Raw/a.csd", ())
    (tmp_path / "csd/a.csd").write_bytes(b"1")
    assert find_first(tmp_path, places[:3]) == (tmp_path / "csd/a.csd", (
        "a.csd is there twice: csd/a.csd is read, Raw/a.csd is not",))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind, got", [("folder", "a folder or the like"), ("pipe", "a folder or the like"),
                                       ("link", "a link that leads nowhere")])
def test_what_is_there_and_is_no_file(tmp_path, kind, got, first):
    path = tmp_path / "b.csd"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("nowhere")}[kind]()
    (tmp_path / "a.csd").write_bytes(b"1")
    with pytest.raises(MissingInput) as caught:
        find_first(tmp_path, ["b.csd", "a.csd"] if first else ["a.csd", "b.csd"])
    assert str(caught.value) == (f"{path}: this is no file: expected a file, or nothing of this name, got {got}; "
                                 "put the file there, or remove this")


def test_the_file_is_closed_afterwards(tmp_path):
    path = write(tmp_path)
    with open_csd(path) as sequence:
        pass
    with pytest.raises(CorpusError):
        sequence.read("-aBc__1")
    with h5py.File(path, "a"):
        pass


# --------------------------------------------------------------------------------------------- one clear line

def test_no_file(tmp_path):
    for path in (tmp_path / "no.csd", tmp_path):
        assert refused(path, error=MissingInput) == ": the computational sequence is not there; check the path"


@pytest.mark.parametrize("data", [b"", b"vid,start,end\n", bytes(5000), pickle.dumps({"a": 1})])
def test_no_hdf5(tmp_path, data):
    path = tmp_path / "no.csd"
    path.write_bytes(data)
    assert refused(path).startswith(": this is no HDF5 file that can be read: expected a computational sequence (.csd)")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_is_cut_off(tmp_path, share):
    data = write(tmp_path).read_bytes()
    path = tmp_path / "cut.csd"
    path.write_bytes(data[:int(len(data) * share)])
    assert refused(path).startswith(": the file is cut off: expected a computational sequence (.csd), got ")
    assert refused(path).endswith("; download it again")


@pytest.mark.parametrize("make, told", [
    (lambda file: None, ": the file is empty: expected <name>/data/<video>"),
    (lambda file: file.create_dataset("All Labels", data=[1]), ", All Labels: this is no group"),
    (lambda file: file.create_group("All Labels/metadata"), ", All Labels/data: there is no group of this name"),
    (lambda file: file.create_dataset("All Labels/data", data=[1]), ", All Labels/data: this is no group"),
    (lambda file: file.create_group("All Labels/data"), ", a: there is no such video"),
    (lambda file: file.create_dataset("All Labels/data/a", data=[1]), ", a: this is no group"),
    (lambda file: file.create_group("All Labels/data/a"), ", a/intervals: there is no dataset of this name"),
    (lambda file: file.create_group("All Labels/data/a/intervals"), ", a/intervals: this is no dataset"),
    (lambda file: file.create_dataset("All Labels/data/a/intervals", data=TIMES),
     ", a/features: there is no dataset of this name"),
])
def test_what_a_file_lacks(tmp_path, make, told):
    path = tmp_path / "lacks.csd"
    with h5py.File(path, "w") as file:
        make(file)
    assert refused(path) == told


@pytest.mark.parametrize("intervals, features, told", [
    (np.zeros((3, 3)), VALUES, "/intervals: the intervals have another shape: expected [N, 2], got [3, 3]"),
    (np.zeros(6), VALUES, "/intervals: the intervals have another shape: expected [N, 2], got [6]"),
    (TIMES, np.zeros(3), "/features: the features have another shape: expected [N, D], got [3]"),
    (TIMES, np.zeros((3, 2, 1)), "/features: the features have another shape: expected [N, D], got [3, 2, 1]"),
    (TIMES, np.zeros((3, 0)), "/features: the features have another shape: expected [N, D], got [3, 0]"),
    (TIMES, VALUES[:2], ": intervals and features differ in length: expected 3 features, got 2"),
    ([[0, 1], [np.nan, 2], [2, 3]], VALUES,
     "/intervals: a time is no finite number: got [nan 2.] in row 1"),
    ([[0, 1], [1, 2], [2, np.inf]], VALUES, "/intervals: a time is no finite number: got [ 2. inf] in row 2"),
    (TIMES, np.array([[b"so", b"it"]] * 3), "/features: these words are not one a row: expected [N, 1], got [3, 2]"),
])
def test_values_that_do_not_fit(tmp_path, intervals, features, told):
    path = made(tmp_path, lambda group: [group.create_dataset("intervals", data=np.array(intervals)),
                                         group.create_dataset("features", data=features)])
    assert refused(path) == f", a{told}"


def test_times_that_are_text(tmp_path):
    path = made(tmp_path, lambda group: [group.create_dataset("intervals", data=np.array([[b"0.0", b"0.5"]])),
                                         group.create_dataset("features", data=VALUES[:1])])
    assert refused(path) == ", a/intervals: these times are no numbers: got |S3"


def test_shapes_that_are_none(tmp_path):
    path = made(tmp_path, lambda group: [group.create_dataset("intervals", data=h5py.Empty("f8")),
                                         group.create_dataset("features", data=VALUES)])
    assert refused(path) == ", a/intervals: the intervals have another shape: expected [N, 2], got []"


@pytest.mark.parametrize("features", [
    np.array([["so"], ["it"], ["is"]], object),
    np.array([(1, 2.0)] * 3, [("x", "i4"), ("y", "f4")]).reshape(3, 1),
    np.array([[True]] * 3), np.array([[1j]] * 3)])
def test_types_that_no_sequence_has(tmp_path, features):
    def fill(group):
        text = {"dtype": h5py.string_dtype()} if features.dtype == object else {}
        group.create_dataset("intervals", data=TIMES)
        group.create_dataset("features", data=features, **text)
    assert refused(made(tmp_path, fill)).startswith(", a/features: this is neither numbers nor text of a fixed length")


def test_references_are_not_followed(tmp_path):
    def fill(group):
        group.create_dataset("intervals", data=TIMES)
        group.create_dataset("features", data=np.array([[group.ref]] * 3, h5py.ref_dtype), dtype=h5py.ref_dtype)
    assert refused(made(tmp_path, fill)).startswith(", a/features: this is neither numbers nor text of a fixed length")


def test_a_video_that_is_not_in_the_file(tmp_path):
    """Nor is a path within it a video."""
    path = write(tmp_path)
    for video in ("25522", "", ".", "..", "-aBc__1/features", "/COVAREP/data/-aBc__1"):
        assert refused(path, video).endswith("there is no such video")
        with open_csd(path) as sequence, pytest.raises(CorpusError, match="there is no such video"):
            sequence.dims(video)


# -------------------------------------------------------------------------------- what would leave the file

@pytest.fixture
def secret(tmp_path):
    """Return another HDF5 file that looks like a sequence, and bytes beside it."""
    (tmp_path / "secret.bin").write_bytes(np.arange(6.0, dtype=np.float64).tobytes() * 10)
    return write_csd(tmp_path / "secret.csd", {"a": (TIMES, VALUES)}, "COVAREP")


@pytest.mark.parametrize("place, rest", [("COVAREP", ""), ("COVAREP/data", "/data"), ("COVAREP/data/a", "/data/a"),
                                         ("COVAREP/data/a/intervals", "/data/a/intervals")])
@pytest.mark.parametrize("kind", ["external", "soft"])
def test_links_are_not_followed(tmp_path, secret, place, rest, kind):
    path = tmp_path / "links.csd"
    with h5py.File(path, "w") as file:
        parent = file.require_group(place.rpartition("/")[0] or "/")
        file["\x7felsewhere"] = h5py.ExternalLink(secret.name, "/")  # sorts behind all others
        parent[place.rpartition("/")[2]] = h5py.ExternalLink(secret.name, f"/COVAREP{rest}") if kind == "external" \
            else h5py.SoftLink(f"/\x7felsewhere/COVAREP{rest}")
        if rest.endswith("intervals"):
            parent.create_dataset("features", data=VALUES)
    with h5py.File(path) as file:  # HDF5 would follow it
        assert place in file
    assert "this is a link, which may lead out of the file" in refused(path)


def test_values_in_another_file_are_not_read(tmp_path, secret):
    def external(group):
        group.create_dataset("intervals", (3, 2), "f8", external=[(str(tmp_path / "secret.bin"), 0, 48)])
        group.create_dataset("features", data=VALUES)

    def virtual(group):
        layout = h5py.VirtualLayout((3, 2), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "COVAREP/data/a/intervals", (3, 2))
        group.create_virtual_dataset("intervals", layout)
        group.create_dataset("features", data=VALUES)

    for fill in (external, virtual):
        path = made(tmp_path, fill)
        with h5py.File(path) as file:
            assert file["COVAREP/data/a/intervals"][0, 1] in (1.0, 0.5)  # HDF5 does read them
        assert refused(path) == ", a/intervals: the values lie in another file"


def test_a_name_with_a_slash(tmp_path):
    """HDF5 would walk along it, and may leave the file on the way."""
    path = write_csd(tmp_path / "x.csd", {"elsewhereXa": (TIMES, VALUES)}, "COVAREP")
    path.write_bytes(path.read_bytes().replace(b"elsewhereXa", b"elsewhere/a"))
    assert refused(path) == ", COVAREP/data: this cannot be a name: got 'elsewhere/a'"


def test_a_name_that_is_no_text(tmp_path):
    path = write_csd(tmp_path / "x.csd", {"elsewhereXa": (TIMES, VALUES)}, "COVAREP")
    path.write_bytes(path.read_bytes().replace(b"elsewhereXa", b"elsewhere\xffa"))
    assert refused(path).startswith(", COVAREP/data: the names in this group cannot be read: got ")


# ---------------------------------------------------------------------------------------- sizes that are claimed

@pytest.mark.parametrize("kind, how, room", [
    ("f4", {"chunks": (10**5, 74)}, 15_000_000 * (74 * 4 + 16)), ("f4", {}, 15_000_000 * (74 * 4 + 16)),
    ("u1", {}, 15_000_000 * (74 * 4 + 16)), ("S1", {}, 15_000_000 * (74 * 101 + 16)),
    ("f8", {}, 15_000_000 * (74 * 8 + 16))])
def test_more_than_a_video_can_hold(tmp_path, kind, how, room):
    """A few megabytes of gzip would be gigabytes of zeros."""
    path = made(tmp_path, lambda group: [
        group.create_dataset("intervals", (15_000_000, 2), "f8", chunks=(10**5, 2), compression="gzip"),
        group.create_dataset("features", (15_000_000, 74), kind, **how)])
    told = (f", a: this is more than a video's sequence can hold: expected at most 268,435,456 bytes of values (an "
            f"hour of COVAREP is 107,000,000), got {room:,} bytes; download the file again")
    assert refused(path) == told
    with open_csd(path) as sequence, pytest.raises(CorpusError) as caught:  # before anything is read
        sequence.dims("a")
    assert str(caught.value) == f"{path}{told}"


def test_words_that_would_be_too_many(tmp_path):
    """A word of one letter takes a hundred bytes."""
    def fill(group):
        group.create_dataset("intervals", data=np.zeros((3_000_000, 2), np.uint8), compression="gzip")
        group.create_dataset("features", data=np.full((3_000_000, 1), b"a"), compression="gzip")
    path = made(tmp_path, fill)
    tracemalloc.start()
    told = refused(path)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    assert told.startswith(", a: this is more than a video's sequence can hold")


def test_a_chunk_that_is_larger_than_a_video(tmp_path):
    """HDF5 unpacks all of it for one row."""
    def fill(group):
        group.create_dataset("intervals", data=[[0, 1]])
        group.create_dataset("features", (1, 74), "f4", maxshape=(None, 74), chunks=(10**6, 74), compression="gzip")
    assert refused(made(tmp_path, fill)).startswith(", a: this is more than a video's sequence can hold")


def test_an_hour_of_covarep_is_not_too_much(tmp_path):
    def fill(group):
        group.create_dataset("intervals", (360_000, 2), "f8", compression="gzip")
        group.create_dataset("features", (360_000, 74), "f4", compression="gzip")
    with open_csd(made(tmp_path, fill)) as sequence:
        assert sequence.dims("a") == 74


@pytest.mark.parametrize("how", [{}, {"chunks": (1000, 74), "compression": "gzip"}, {"chunks": (200_000, 74)}])
def test_half_a_million_rows_that_are_not_there(tmp_path, how):
    rows = 500_000
    path = made(tmp_path, lambda group: [group.create_dataset("intervals", (rows, 2), "f8", chunks=how.get("chunks")
                                                              and (how["chunks"][0], 2)),
                                         group.create_dataset("features", (rows, 74), "f4", **how)])
    assert path.stat().st_size < 10_000
    assert refused(path) == (", a/intervals: not all values are there: expected 8,000,000 bytes for "
                             "[500000, 2], got 0 bytes; download the file again")


def test_a_chunk_that_is_missing(tmp_path):
    """It would read as zeros."""
    def fill(group):
        group.create_dataset("intervals", data=np.zeros((30, 2)))
        group.create_dataset("features", (30, 2), "f4", chunks=(10, 2), compression="gzip")[:20] = 1.0
    assert "a/features: not all values are there: expected 240 bytes for [30, 2], got " in refused(made(tmp_path, fill))


def test_a_chunk_that_is_stored_short(tmp_path):
    """HDF5 would take the rest of the chunk from wherever it lies in memory."""
    def fill(group):
        intervals = group.create_dataset("intervals", (1, 2), "f8", maxshape=(None, 2), chunks=(10**6, 2),
                                         compression="gzip")
        intervals.id.write_direct_chunk((0, 0), zlib.compress(bytes(16)))
        group.create_dataset("features", data=VALUES[:1])
    assert refused(made(tmp_path, fill)).startswith(", a/intervals: not all values are there: expected 16 bytes")


def test_values_that_would_lie_beyond_the_end(tmp_path):
    """Shape and length agree, and both are untrue: HDF5 says so itself."""
    path = made(tmp_path, lambda group: [group.create_dataset("intervals", data=np.zeros((4321, 2))),
                                         group.create_dataset("features", data=np.zeros((4321, 1), np.float32))])
    data, rows = path.read_bytes(), 10**7
    for size in (1, 4, 16):
        old, new = (4321 * size).to_bytes(8, "little"), (rows * size).to_bytes(8, "little")
        assert old in data
        data = data.replace(old, new)
    path.write_bytes(data)
    assert refused(path).startswith(", a/intervals: ")


def test_a_chunk_that_would_be_longer_than_the_file(tmp_path):
    def fill(group):
        times = group.create_dataset("intervals", data=np.random.default_rng(0).random((250, 2)), chunks=(250, 2),
                                     compression="gzip")
        group.create_dataset("features", data=np.zeros((250, 1), np.float32))
        sizes.append(times.id.get_storage_size())
    sizes = []
    path = made(tmp_path, fill)
    data, old = path.read_bytes(), sizes[0].to_bytes(4, "little")
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, (2**31 - 1).to_bytes(4, "little")))
    assert refused(path).startswith(", a/intervals: not all values are there: expected 4,000 bytes for [250, 2], got "
                                    "2,147,483,647 bytes")


def test_what_compresses_best_is_not_refused(tmp_path):
    def fill(group):
        group.create_dataset("intervals", data=np.zeros((100_000, 2)), compression="gzip")
        group.create_dataset("features", data=np.zeros((100_000, 74), "f4"), compression="gzip",
                             compression_opts=9, chunks=(100_000, 74))
    path = made(tmp_path, fill)
    with h5py.File(path) as file:
        features = file["COVAREP/data/a/features"]
        assert features.id.get_storage_size() < features.nbytes / 1000
    assert not read(path)[1].any()


def test_a_filter_that_is_not_installed(tmp_path):
    path = write(tmp_path)
    data = path.read_bytes()
    with h5py.File(path) as file:
        assert file["COVAREP/data/-aBc__1/features"].compression == "gzip"
    path.write_bytes(data.replace(b"deflate\0", b"unknown\0").replace(
        b"\x01\x00\x08\x00\x01\x00\x01\x00unknown\0", b"\x99\x7f\x08\x00\x01\x00\x01\x00unknown\0"))
    assert "-aBc__1/intervals: the values cannot be read" in refused(path, "-aBc__1")


# ------------------------------------------------------------------------------------ whatever stands there

@functools.cache
def good() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "good.csd")
        with h5py.File(path, "w") as file:
            data = file.create_group("COVAREP/data")
            for video, features, how in (("a", VALUES, {"compression": "gzip"}), ("b", VALUES, {}),
                                         ("w", np.array([[b"so"], [b"sp"], [b"it"]]), {})):
                data.create_dataset(f"{video}/features", data=features, **how)
                data.create_dataset(f"{video}/intervals", data=np.array(TIMES), **how)
            file.create_dataset("COVAREP/metadata/root name", data=json.dumps("COVAREP"))
        return path.read_bytes()


# The same examples each time: HDF5 is C, and what crashed it would end the whole run.
fuzz = settings(max_examples=300, deadline=None, derandomize=True)


@fuzz
@given(st.lists(st.tuples(st.integers(0, len(good()) - 1), st.integers(0, 255)), max_size=12),
       st.integers(0, len(good())))
@example([], len(good()))
def test_any_bytes_give_sequences_or_one_line(patches, length):
    data = bytearray(good())
    for place, value in patches:
        data[place] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fuzzed.csd")
        path.write_bytes(data[:max(length, 1)] if length % 4 == 0 else data)
        try:
            with open_csd(path) as sequence:
                for video in sequence.videos:
                    check_video(sequence, video)
        except EmoprepError as error:
            assert "\n" not in str(error)


def check_video(sequence, video):
    try:
        intervals, features = sequence.read(video)
    except CorpusError as error:
        assert "\n" not in str(error)
        return
    assert intervals.shape == (len(features), 2)
    assert np.isfinite(intervals).all()
    assert isinstance(features, list) or features.shape == (len(intervals), sequence.dims(video))
