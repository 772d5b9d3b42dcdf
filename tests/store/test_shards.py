"""Shards: the same bytes each time, safe keys, whole dialogues; and tar files that somebody else made."""

import hashlib
import io
import json
import tarfile
from itertools import pairwise

import pytest
import webdataset
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emoprep.errors import CorpusError, EmoprepError, MissingInput
from emoprep.store.shards import MAX_OPEN_SHARDS, SampleReader, pack, read_shard, sample_json, shard_name, write_shard


def sample(number, size=10):
    return f"meld_train_dia0_utt{number}", {
        "frames.jpg": bytes([number % 256]) * size, "flac": b"sound", "json": b"{}", "txt": "è".encode(),
        "words.json": b"[]"}


def shard(path, count=3):
    write_shard(path, [sample(number, 700 * number) for number in range(count)])
    return path


def tar(path, *members):
    """Write a tar of (name or TarInfo, bytes)."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as file:
        for info, data in members:
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


# ------------------------------------------------------------------------------------------------ writing

def test_what_is_written_is_what_is_told(tmp_path):
    path = tmp_path / "train-000000.tar"

    told = write_shard(path, [sample(number) for number in range(3)])

    raw = path.read_bytes()
    assert told == {"name": "train-000000.tar", "utterances": 3, "size": len(raw),
                    "sha256": hashlib.sha256(raw).hexdigest()}
    assert dict(read_shard(path)) == dict(sample(number) for number in range(3))
    assert not list((tmp_path / ".emoprep").iterdir())


def test_others_can_read_it(tmp_path):
    """tarfile and webdataset, neither of which knows of emoprep."""
    path = shard(tmp_path / "train-000000.tar")

    with tarfile.open(path) as file:
        members = file.getmembers()
    assert [member.name.partition(".")[0] for member in members] == [
        f"meld_train_dia0_utt{number}" for number in range(3) for _ in range(5)]
    assert {(member.mtime, member.isreg()) for member in members} == {(0, True)}
    read = list(webdataset.WebDataset(str(path), shardshuffle=False))
    assert [item["__key__"] for item in read] == [f"meld_train_dia0_utt{number}" for number in range(3)]
    assert read[2]["frames.jpg"] == bytes([2]) * 1400


def test_the_same_samples_give_the_same_bytes(tmp_path):
    one, two = shard(tmp_path / "a-000000.tar"), shard(tmp_path / "b-000000.tar")
    assert one.read_bytes() == two.read_bytes()


def test_samples_come_from_a_stream(tmp_path):
    told = write_shard(tmp_path / "a.tar", (sample(number) for number in range(5)))
    assert told["utterances"] == 5


def test_nothing_to_write(tmp_path):
    assert write_shard(tmp_path / "a.tar", iter(())) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_stream_that_fails_leaves_no_shard(tmp_path, after):
    def stream():
        for number in range(after):
            yield sample(number, 100_000)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_shard(tmp_path / "a.tar", stream())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("apart", [0, 1])
def test_one_key_twice(tmp_path, apart):
    samples = [sample(0), *[sample(5)] * apart, sample(0)]
    with pytest.raises(EmoprepError) as caught:
        write_shard(tmp_path / "a.tar", samples)
    assert str(caught.value) == "a.tar: two samples have one key: got meld_train_dia0_utt0"
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize("key", ["", "a.b", "a/b", "../a", "a b", "ä", "a\n", "a\0", "x" * 201, ".hidden", "a:b"])
@pytest.mark.parametrize("place", [0, 1])
def test_keys_that_cannot_name_a_sample(tmp_path, key, place):
    samples = [sample(0), sample(1)]
    samples[place] = key, samples[place][1]
    with pytest.raises(CorpusError) as caught:
        write_shard(tmp_path / "a.tar", samples)
    assert str(caught.value).startswith("a.tar: this key cannot name a sample: expected at most 200 letters, digits, "
                                        "'_' and '-', got ")
    assert not (tmp_path / "a.tar").exists()


def test_every_sample_has_the_same_members(tmp_path):
    key, members = sample(1)
    less = {name: data for name, data in members.items() if name != "flac"}
    for other in (less, {**members, "npy": b""}):
        with pytest.raises(EmoprepError) as caught:
            write_shard(tmp_path / "a.tar", [sample(0), (key, other)])
        assert str(caught.value) == ("a.tar meld_train_dia0_utt1: a sample has other members than the first: expected "
                                     f"{', '.join(sorted(members))}, got {', '.join(sorted(other))}")
    assert not (tmp_path / "a.tar").exists()


def test_sample_json_is_json():
    raw = sample_json({"key": "k", "text": "é\u2028", "fps": 10.0, "base": None, "flags": []}, size=112)
    assert json.loads(raw) == {"key": "k", "text": "é\u2028", "fps": 10.0, "base": None, "flags": [], "size": 112}
    with pytest.raises(ValueError, match="Out of range|not JSON compliant"):
        sample_json({"start": float("nan")})


def test_names_of_shards():
    assert shard_name("ses1", 12) == "ses1-000012.tar"
    assert sorted(shard_name("a", n) for n in (2, 10, 100_000)) == [shard_name("a", n) for n in (2, 10, 100_000)]


# ------------------------------------------------------------------------------------------------- packing

@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 200))
def test_packing_keeps_dialogues_whole_and_in_order(sizes, aim):
    shards = pack(sizes, aim)
    assert [number for members in shards for number in members] == list(range(len(sizes)))
    for members, following in pairwise(shards):
        filled = sum(sizes[number] for number in members)
        assert filled <= aim or len(members) == 1
        assert filled + sizes[following[0]] > aim, "a shard is not closed before it is full"
    assert all(shards)


# --------------------------------------------------------------------------------------------- reading

READERS = {"read_shard": lambda path: dict(read_shard(path)),
           "SampleReader": lambda path: {key: SampleReader().read(path, key) for key in _keys(path)}}


def _keys(path):
    reader = SampleReader()
    return reader.keys(path)


reading = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def test_samples_by_key_are_the_samples_in_order(tmp_path):
    paths = [shard(tmp_path / shard_name("train", number), 4) for number in range(3)]
    reader = SampleReader()
    for path in reversed(paths):
        whole = dict(read_shard(path))
        for key in ("meld_train_dia0_utt3", "meld_train_dia0_utt0"):
            assert reader.read(path, key) == whole[key]
    with pytest.raises(EmoprepError) as caught:
        reader.read(paths[0], "meld_train_dia9_utt9")
    assert str(caught.value) == (f"{paths[0]} meld_train_dia9_utt9: a sample of the index is missing; make the store "
                                 "again")


def test_a_reader_of_many_shards_keeps_few_files_open(tmp_path):
    reader, path = SampleReader(), shard(tmp_path / "a.tar", 1)
    for number in range(MAX_OPEN_SHARDS + 5):
        copy = tmp_path / f"{number}.tar"
        copy.hardlink_to(path)
        assert reader.read(copy, "meld_train_dia0_utt0")["txt"] == "è".encode()
        assert len(reader.shards) <= MAX_OPEN_SHARDS
    # One that was closed is opened again.
    assert reader.read(tmp_path / "0.tar", "meld_train_dia0_utt0")["flac"] == b"sound"


@reading
def test_a_shard_that_is_not_there(tmp_path, read):
    with pytest.raises(MissingInput) as caught:
        read(tmp_path / "a.tar")
    assert str(caught.value) == f"{tmp_path}/a.tar: a shard of the store is missing; make the store again"


@reading
def test_members_that_are_no_members(tmp_path, read):
    """Names with a folder, links, folders, devices: nothing of that is a sample, and nothing is written."""
    path = tar(tmp_path / "a.tar",
               ("/etc/cron.d/evil.txt", b"x"), ("../../evil.txt", b"x"), ("sub/k.txt", b"x"), ("k.txt", b"good"),
               (link("k.json", "/etc/passwd", tarfile.SYMTYPE), b""),
               (link("k.flac", "k.txt", tarfile.LNKTYPE), b""),
               (link("k.fifo", "", tarfile.FIFOTYPE), b""), (link("k.dir", "", tarfile.DIRTYPE), b""),
               ("README", b"x"))

    assert read(path) == {"k": {"txt": b"good"}}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tar"]


def headed(name, size, kind=b"0"):
    """Return a tar header that claims any size."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@reading
@pytest.mark.parametrize("size", [1 << 31, 1 << 40, (1 << 62) - 1])
def test_a_member_that_claims_to_be_huge(tmp_path, read, size):
    path = tmp_path / "a.tar"
    path.write_bytes(headed("k.txt", size) + bytes(1024))
    with pytest.raises(EmoprepError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}")
    assert "\n" not in str(caught.value)


@reading
@pytest.mark.parametrize("kind", [b"x", b"L"])
def test_an_extended_header_that_claims_to_be_huge(tmp_path, read, kind):
    path = tmp_path / "a.tar"
    path.write_bytes(headed("k.txt", (1 << 62) - 1, kind) + bytes(2048))
    with pytest.raises(EmoprepError) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@reading
@pytest.mark.parametrize("keep", [100, 511, 600, 1024, 1500, 2100, 15_000])
def test_a_shard_that_breaks_off(tmp_path, read, keep):
    """In a header, in a member, between two of them: never less than all without a word."""
    path = tmp_path / "a.tar"
    write_shard(path, [sample(number, 5000) for number in range(3)])
    assert path.stat().st_size > 20_000
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EmoprepError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: a shard cannot be read: got ")
    assert str(caught.value).endswith("; make the store again")


@reading
@pytest.mark.parametrize("content", [b"", b"x" * 3000, b"\x1f\x8b\x08\0" + bytes(2000)])
def test_what_is_no_tar(tmp_path, read, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(EmoprepError, match="a shard cannot be read"):
        read(tmp_path / "a.tar")


@reading
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
@example([(156, ord("x"))], True)
@example([(124, 0x80)], True)
@example([(124, 0xff)], True)
def test_any_byte_may_be_wrong(tmp_path, read, changes, mend):
    """A damaged header gives one line or other samples, never a traceback."""
    path = tmp_path / "a.tar"
    tar(path, ("a.txt", b"one"), ("b.txt", b"two"))
    raw = bytearray(path.read_bytes())
    for place, value in changes:
        raw[place] = value
    if mend:  # with a checksum that agrees, the damage gets further
        raw[148:156] = b"%06o\0 " % (sum(raw[:148]) + sum(raw[156:512]) + 8 * 32)
    path.write_bytes(raw)
    try:
        read(path)
    except EmoprepError as error:
        assert "\n" not in str(error)
