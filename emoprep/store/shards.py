"""WebDataset shards: one tar, samples one after another, every sample with the same members."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from emoprep.errors import EmoprepError, MissingInput
from emoprep.store.folder import draft
from emoprep.utterance import check_key

__all__ = ["Member", "SampleReader", "entries", "pack", "pack_evenly", "read_shard", "sample_json", "shard_name",
           "write_shard"]

BLOCK = tarfile.BLOCKSIZE
MAX_OPEN_SHARDS = 500  # below the usual limit of 1,024 open files


class Member(NamedTuple):
    """Where the bytes of a sample's member lie in its shard."""

    name: str
    offset: int
    size: int


class _HashingFile:
    """A file that knows the sha256 and the size of what was written to it."""

    def __init__(self, file):
        self.file, self.sha256, self.size = file, hashlib.sha256(), 0

    def write(self, data) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.file.write(data)


def shard_name(prefix: str, number: int) -> str:
    """Return the name of a shard.

    >>> shard_name("train", 3)
    'train-000003.tar'
    """
    return f"{prefix}-{number:06d}.tar"


def pack(sizes: Iterable[int], aim: int) -> list[list[int]]:
    """Put dialogues of these sizes into shards of about `aim` utterances, in order and undivided.

    >>> pack([60, 30, 30, 200, 5], 100)
    [[0, 1], [2], [3], [4]]
    """
    shards: list[list[int]] = []
    filled = 0
    for number, size in enumerate(sizes):
        if not shards or filled + size > aim:
            shards.append([])
            filled = 0
        shards[-1].append(number)
        filled += size
    return shards


def pack_evenly(sizes: Sequence[int], aim: int) -> list[list[int]]:
    """Put dialogues into as many shards as `aim` gives, in order, undivided, and all of about one size.

    A last shard of three samples would leave one of a trainer's readers idle.

    >>> pack_evenly([60, 30, 30, 50, 5], 100)
    [[0, 1], [2, 3, 4]]
    """
    total = sum(sizes)
    count = max(1, math.ceil(total / aim))
    shards: dict[int, list[int]] = {}
    before = 0
    for number, size in enumerate(sizes):
        shards.setdefault((2 * before + size) * count // (2 * total), []).append(number)
        before += size
    return list(shards.values())


def write_shard(path: Path, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> dict[str, Any] | None:
    """Write samples (key, {member: bytes}) as one shard, and return its name, size, sha256 and count.

    Writes nothing and returns None where there are no samples. Raises where a key cannot name a sample, comes
    twice, or brings other members than the first.
    """
    from webdataset.writer import TarWriter

    samples = iter(samples)
    first = next(samples, None)
    if first is None:
        return None
    seen: set[str] = set()
    members = set(first[1])
    with draft(path) as sketch, sketch.open("wb") as file:
        sink = _HashingFile(file)
        # A fixed mtime makes two runs over the same input byte-identical.
        with TarWriter(sink, mtime=0, encoder=False, compress=False) as tar:
            for key, sample in itertools.chain([first], samples):
                if key in seen:
                    raise EmoprepError("two samples have one key", where=path.name, got=check_key(key))
                seen.add(check_key(key, path.name))
                if set(sample) != members:
                    # Readers take the members of the first samples for those of all.
                    raise EmoprepError("a sample has other members than the first", where=f"{path.name} {key}",
                                       expected=", ".join(sorted(members)), got=", ".join(sorted(sample)))
                tar.write({"__key__": key, **sample})
    return {"name": path.name, "utterances": len(seen), "size": sink.size, "sha256": sink.sha256.hexdigest()}


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield (key, {member: bytes}) of a shard, in order.

    Raises MissingInput where it is not there, and EmoprepError where it is no tar, is damaged or breaks off.
    """
    with _opened(path) as file:
        places = _places(path, file)
        for key, members in places.items():
            yield key, {member: os.pread(file.fileno(), size, offset) for member, offset, size in members}


class SampleReader:
    """Samples of several shards by key, in any order; only the headers are read ahead."""

    def __init__(self):
        self.shards: dict[Path, tuple[Any, dict[str, list[Member]]]] = {}

    def read(self, path: Path, key: str) -> dict[str, bytes]:
        """Return {member: bytes} of one sample of a shard; raises as `read_shard` does."""
        file, places = self._shard(path)
        if key not in places:
            raise EmoprepError("a sample of the index is missing", where=f"{path} {key}", remedy="make the store again")
        return {member: os.pread(file.fileno(), size, offset) for member, offset, size in places[key]}

    def keys(self, path: Path) -> list[str]:
        """Return the keys of a shard, in order."""
        return list(self._shard(path)[1])

    def _shard(self, path: Path):
        if path not in self.shards:
            if len(self.shards) >= MAX_OPEN_SHARDS:
                self.shards.pop(next(iter(self.shards)))[0].close()
            file = _opened(path)
            self.shards[path] = file, _places(path, file)
        return self.shards[path]


def _opened(path: Path):
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise MissingInput("a shard of the store is missing", where=str(path),
                           remedy="make the store again") from error
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error


def _damaged(path: Path, reason: str) -> EmoprepError:
    return EmoprepError("a shard cannot be read", where=str(path), got=reason, remedy="make the store again")


def _places(path: Path, file) -> dict[str, list[Member]]:
    """Return where each sample's members lie, from the headers alone."""
    places: dict[str, list[Member]] = {}
    for name, offset, size, plain in entries(path, file):
        # A name with a folder in it is none of ours, and neither is a link or a device.
        if plain and "." in name and "/" not in name:
            key, _, member = name.partition(".")
            places.setdefault(key, []).append(Member(member, offset, size))
    return places


def entries(path: Path, file: BinaryIO) -> Iterator[tuple[str, int, int, bool]]:
    """Yield (name, offset, size, is it a plain file) of each entry of an open shard, in order.

    tarfile's own reader follows extended headers, whose sizes it believes and whose absence at the end it
    forgives; a shard has only plain files, and must end as a tar ends. Raises EmoprepError.
    """
    end, at = os.fstat(file.fileno()).st_size, 0
    while True:
        header = os.pread(file.fileno(), BLOCK, at)
        if header == bytes(BLOCK):
            return
        try:
            entry = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            raise _damaged(path, f"{error} at byte {at}" if at < end else "it breaks off") from error
        at += BLOCK
        if not 0 <= entry.size <= end - at:
            raise _damaged(path, f"{entry.name!r} should be {entry.size} bytes long, and the file ends before")
        yield entry.name, at, entry.size, entry.isreg()
        at += -(-entry.size // BLOCK) * BLOCK


def sample_json(row: Mapping[str, Any], **made: Any) -> bytes:
    """Return the `.json` member: the index row, and how the media were made."""
    return json.dumps({**row, **made}, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
