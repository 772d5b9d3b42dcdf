"""One shard in a worker: its bytes, its samples against the index, and each of their members."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from emoprep import engine
from emoprep.errors import EmoprepError
from emoprep.store.folder import INDEX, read_json
from emoprep.store.index import COLUMNS, SAMPLE_WEIGHT
from emoprep.store.manifest import open_store
from emoprep.store.shards import Member, entries
from emoprep.verify.findings import Finding, Findings, listed
from emoprep.verify.folder import check_file
from emoprep.verify.members import check_faces, check_sound, check_strip, check_text, check_words

__all__ = ["ShardTask", "check_shard"]

# No member of a sample is larger: sixteen hours of sound, a strip of 2 ** 29 pixels.
LARGEST_MEMBER = 2 ** 30

ALWAYS = ("json", "txt", "words.json")
MEDIA = {"audio": "flac", "video": "frames.jpg"}

_KINDS = {"string": str, "bool": bool, "strings": list, "int32": int, "int64": int, "float32": float, "float64": float}


@dataclass(frozen=True)
class ShardTask:
    """A shard to check: what the manifest says of it, and whether the index can be compared with.

    `how` says of each modality how it was made. `linked` shards are those of a store that was balanced: of what
    balancing decided, their `.json` knows only what it was. `dead` are keys (or the shard) at which the process that
    read them died, and how.
    """

    store: str
    facts: Mapping[str, Any]
    how: Mapping[str, Mapping[str, Any]]
    annotation: Mapping[str, str]
    with_index: bool
    linked: bool
    dead: tuple[tuple[str, str], ...] = ()

    def __str__(self):
        return self.facts["name"]

    @property
    def utterances(self) -> int:
        return self.facts["utterances"]

    def without(self, place: str, cause: str) -> ShardTask:
        return replace(self, dead=(*self.dead, (place, cause)))


@dataclass(frozen=True)
class Checked:
    """What was found in a piece: findings, how many samples it has, and the members and `.json` keys of them."""

    findings: tuple[Finding, ...]
    samples: int = 0
    members: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def check_shard(task: ShardTask) -> Checked:
    """Check one shard. Runs in a worker."""
    findings, name, dead = Findings(), task.facts["name"], dict(task.dead)
    engine.at(name)
    if name in dead:
        findings.add("worker", name, dead[name])
        return Checked(tuple(findings.all))
    path, shard = Path(task.store, name), None
    with findings.guarded("tar", name):
        if not check_file(path, task.facts, findings):
            return Checked(tuple(findings.all))
        shard = _Shard(task, findings)
        with path.open("rb") as file:
            for key, members in _samples(path, file, name, findings):
                engine.at(key)
                if key in dead:
                    findings.add("worker", key, dead[key])
                    shard.seen.append(key)
                else:
                    shard.check(key, members, file)
    engine.at(name)
    if shard is None:
        return Checked(tuple(findings.all))
    shard.compare_order()
    engine.at("")
    return Checked(tuple(findings.all), len(shard.seen), shard.members, shard.keys)


def _samples(path: Path, file, name: str, findings: Findings) -> Iterator[tuple[str, dict[str, Member]]]:
    """Yield each sample's key and members as a reader of WebDataset sees them: neighbours with one key."""
    key, members, seen = None, {}, set()
    try:
        for entry, offset, size, plain in entries(path, file):
            if not plain or "." not in entry or "/" in entry:
                findings.add("tar", name, f"{entry!r} is no member of a sample")
                continue
            found, _, member = entry.partition(".")
            if found != key:
                if key is not None:
                    yield key, members
                seen.add(key)
                key, members = found, {}
                if key in seen:
                    findings.add("samples", key, "it comes twice, or its members do not lie together")
            if member in members:
                findings.add("members", key, f".{member} comes twice")
            members[member] = Member(member, offset, size)
    except EmoprepError as error:  # what came before the place where it breaks off is checked all the same
        findings.add("tar", name, error.args[2] or error)
    if key is not None:
        yield key, members


class _Shard:
    """The samples of one shard, as they come."""

    def __init__(self, task: ShardTask, findings: Findings):
        self.task, self.findings = task, findings
        self.rows = _rows(task.store, task.facts["name"]) if task.with_index else None
        self.kinds = {**COLUMNS, **task.annotation}
        self.seen: list[str] = []
        self.members: tuple[str, ...] = ()
        self.keys: tuple[str, ...] = ()

    def check(self, key: str, members: Mapping[str, Member], file) -> None:
        """Check one sample: its members, its `.json`, and that the others are what that says."""
        self.seen.append(key)
        row = None if self.rows is None else self.rows.get(key)
        if self.rows is not None and row is None:
            self.findings.add("samples", key, f"it is in {self.task}, and not in the index")
        self._check_members(key, members)
        read = partial(self._read, members, file)
        facts = None
        if "json" in members:
            with self.findings.guarded("json", key):
                facts = self._facts(key, read("json"), row)
        checks = {"txt": ("text", check_text), "frames.jpg": ("strip", check_strip), "flac": ("sound", check_sound),
                  "faces.jpg": ("faces", check_faces)}
        for member, (name, check) in checks.items() if facts is not None else ():
            if member in members:
                with self.findings.guarded(name, key):
                    check(self.findings, key, facts, read(member))
        if "words.json" in members:
            with self.findings.guarded("words", key):
                check_words(self.findings, key, read("words.json"))

    def _read(self, members: Mapping[str, Member], file, name: str) -> bytes:
        member = members[name]
        if member.size > LARGEST_MEMBER:
            raise ValueError(f".{name} has {member.size} bytes")
        return os.pread(file.fileno(), member.size, member.offset)

    def _check_members(self, key: str, members: Mapping[str, Member]) -> None:
        expected = {*ALWAYS, *(member for name, member in MEDIA.items() if name in self.task.how)}
        if self.task.how.get("video", {}).get("faces"):
            expected.add("faces.jpg")
        there = set(members)
        if lacking := expected - there:
            self.findings.add("members", key, f"it lacks {listed('.' + name for name in sorted(lacking))}")
        if unknown := there - expected:
            self.findings.add("members", key, f"no sample has {listed('.' + name for name in sorted(unknown))}")
        if not self.members:
            self.members = tuple(sorted(there))

    def _facts(self, key: str, raw: bytes, row: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return what `.json` says, or None where it says so little that nothing can be held against it."""
        facts = read_json(raw)
        if not isinstance(facts, dict):
            raise ValueError("it is no object")
        if not self.keys:
            self.keys = tuple(sorted(facts))
        elif set(facts) != set(self.keys):
            other = sorted(set(facts) ^ set(self.keys))
            self.findings.add("json", key, f"it has other keys than the first sample: {listed(other)}")
        wrong = [name for name, kind in self.kinds.items() if not _is_of(facts.get(name), kind)]
        if wrong:
            self.findings.add("json", key, f"{listed(wrong)} of another type")
        if row is not None:
            self._compare(key, facts, row)
        self._check_made(key, facts)
        needed = {"text": str, "frames": int, "size": int, "columns": int, "samples": int, "sample_rate": int,
                  "has_video": bool, "has_audio": bool}
        lacking = [name for name, kind in needed.items() if type(facts.get(name)) is not kind
                   and not (name == "columns" and "video" not in self.task.how)]
        if lacking:
            self.findings.add("json", key, f"{listed(lacking)} missing or of another type")
        return None if lacking else facts

    def _compare(self, key: str, facts: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        if lacking := [name for name in row if name not in facts]:
            self.findings.add("json", key, f"it lacks {listed(lacking)} of the index")
        for name, expected in row.items():
            value = facts.get(name)
            if name == "shard" and isinstance(expected, str):
                expected = PurePosixPath(expected).name  # the index of a balanced store may say where else it lies
            if name == "split" and self.task.linked and value is None:
                continue  # a protocol gave the split to the index alone
            if self.kinds.get(name) == "float32" and isinstance(value, float):
                value = float(np.float32(value))
            if name in facts and value != expected:
                self.findings.add("json", key, f"{name} is {value!r}, and the index says {expected!r}")

    def _check_made(self, key: str, facts: Mapping[str, Any]) -> None:
        """Check that the media are said to be made as the manifest says."""
        made = {"size": ("video", "size"), "fps": ("video", "fps"), "sample_rate": ("audio", "sample_rate")}
        for name, (modality, setting) in made.items():
            expected = self.task.how.get(modality, {}).get(setting)
            if expected is not None and facts.get(name) != expected:
                self.findings.add("json", key, f"{name} is {facts.get(name)!r}, and the manifest says {expected!r}")

    def compare_order(self) -> None:
        """Check that the index and the shard have the same samples, and each split of it in one order."""
        name, seen = self.task.facts["name"], set(self.seen)
        if len(self.seen) != self.task.facts["utterances"]:
            self.findings.add("counts", name, f"{len(self.seen)} samples, {self.task.facts['utterances']} in the "
                                              "manifest")
        if lost := [key for key in self.rows or () if key not in seen]:
            self.findings.add("samples", name, f"the index has {len(lost)} samples that are not there: {listed(lost)}")
        places = {key: place for place, key in enumerate(self.seen)}
        by_split: dict[str | None, list[str]] = {}
        for key, row in (self.rows or {}).items():
            if key in places:
                by_split.setdefault(row["split"], []).append(key)
        for keys in by_split.values():
            if (late := _out_of_order(keys, places)) is not None:
                self.findings.add("samples", late, f"in {name} it comes before what the index has before it")


def _out_of_order(keys: Sequence[str], places: Mapping[str, int]) -> str | None:
    """Return the first key that lies before one which should come earlier.

    >>> _out_of_order(["a", "b", "c"], {"a": 0, "c": 1, "b": 2})
    'c'
    """
    return next((key for before, key in itertools.pairwise(keys) if places[key] < places[before]), None)


def _is_of(value: object, kind: str) -> bool:
    """Tell whether a JSON value is of a column's type, or null.

    >>> _is_of(1, "float64"), _is_of(1.0, "float64"), _is_of(True, "int32"), _is_of(["a"], "strings")
    (False, True, False, True)
    """
    if value is None:
        return True
    return type(value) is _KINDS[kind] and (kind != "strings" or all(type(one) is str for one in value))


def _rows(store: str, shard: str) -> dict[str, dict[str, Any]]:
    """Return the index rows of a shard by key, in order."""
    import pyarrow.compute as compute

    about = Path(store, INDEX).stat()
    index = _index(store, about.st_mtime_ns, about.st_size)
    return {row["key"]: row for row in index.filter(compute.equal(index.column("shard"), shard)).to_pylist()}


@lru_cache(maxsize=1)
def _index(store: str, _time: int, _size: int):
    """Return the index; each worker reads it once, because to hand out its rows would take longer."""
    index = open_store(Path(store)).index()
    return index.drop_columns([SAMPLE_WEIGHT]) if SAMPLE_WEIGHT in index.column_names else index  # of the index alone
