"""WebDataset shards: one tar, samples one after another, every sample with the same members."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emoprep.errors import EmoprepError, MissingInput
from emoprep.store.folder import draft
from emoprep.utterance import check_key

__all__ = ["SampleReader", "pack", "read_shard", "sample_json", "shard_name", "write_shard"]

MAX_MEMBER_BYTES = 1 << 30  # a tar header may claim anything
MAX_OPEN_SHARDS = 500  # below the usual limit of 1,024 open files


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
    """Yield (key, {member: bytes}) of a shard, in order."""
    key, sample = None, {}
    try:
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                if not entry.isreg() or "." not in entry.name or "/" in entry.name:
                    continue
                if entry.size > MAX_MEMBER_BYTES:
                    raise EmoprepError("a member is too large", where=f"{path} {entry.name}",
                                       expected=f"at most {MAX_MEMBER_BYTES} bytes", got=str(entry.size))
                name, _, member = entry.name.partition(".")
                if name != key:
                    if key is not None:
                        yield key, sample
                    key, sample = name, {}
                sample[member] = tar.extractfile(entry).read()
    except FileNotFoundError as error:
        raise MissingInput("a shard of the store is missing", where=str(path),
                           remedy="make the store again") from error
    except (tarfile.TarError, OSError) as error:
        raise EmoprepError("a shard cannot be read", where=str(path), got=str(error),
                           remedy="make the store again") from error
    if key is not None:
        yield key, sample


class SampleReader:
    """Samples of several shards by key, in any order; only the headers are read ahead."""

    def __init__(self):
        self.files: dict[Path, Any] = {}
        self.places: dict[Path, dict[str, list[tuple[str, int, int]]]] = {}

    def read(self, path: Path, key: str) -> dict[str, bytes]:
        """Return {member: bytes} of one sample of a shard."""
        if path not in self.places:
            self._list(path)
        try:
            members = self.places[path][key]
        except KeyError:
            raise EmoprepError("a sample of the index is missing", where=f"{path} {key}",
                               remedy="make the store again") from None
        return {member: os.pread(self.files[path].fileno(), size, offset) for member, offset, size in members}

    def _list(self, path: Path) -> None:
        places: dict[str, list[tuple[str, int, int]]] = {}
        try:
            if len(self.files) >= MAX_OPEN_SHARDS:
                oldest = next(iter(self.files))
                self.files.pop(oldest).close()
                self.places.pop(oldest)
            with tarfile.open(path, "r:") as tar:
                for entry in tar:
                    if entry.isreg() and "." in entry.name and "/" not in entry.name:
                        key, _, member = entry.name.partition(".")
                        places.setdefault(key, []).append((member, entry.offset_data, entry.size))
            self.files[path], self.places[path] = path.open("rb"), places
        except FileNotFoundError as error:
            raise MissingInput("a shard of the store is missing", where=str(path),
                               remedy="make the store again") from error
        except (tarfile.TarError, OSError) as error:
            raise EmoprepError("a shard cannot be read", where=str(path), got=str(error),
                               remedy="make the store again") from error


def sample_json(row: Mapping[str, Any], **made: Any) -> bytes:
    """Return the `.json` member: the index row, and how the media were made."""
    return json.dumps({**row, **made}, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
