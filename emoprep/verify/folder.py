"""The folder of a store: its manifest, and the files that it implies."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.errors import MissingInput
from emoprep.store.folder import CARD, FACES, INDEX, MANIFEST, SKIPPED, STATE, read_json
from emoprep.store.manifest import Manifest, Store, open_store
from emoprep.verify.findings import Findings, listed

__all__ = ["check_file", "check_folder", "is_balanced", "open_arrays", "open_for_checks", "read_skips"]

LARGEST_TEXT = 2 ** 30
"""Bytes of a file that is read as a whole: `skipped.jsonl` of ten million utterances has less."""

LARGEST_ARRAYS = 2 ** 30
"""Bytes of a .npz once it is unpacked: the sampler of a million rows has 200 MB."""


def open_for_checks(path: Path, findings: Findings) -> Store | None:
    """Open a store whose manifest may be anything; None where nothing else can be checked.

    Raises MissingInput where there is no manifest: then the folder does not claim to be a store.
    """
    if not (path / MANIFEST).is_file():
        return open_store(path)  # which says so
    try:
        store = open_store(path)
        data = json.loads((path / MANIFEST).read_bytes())
        if data.get("fingerprint") != store.fingerprint:
            findings.add("fingerprint", MANIFEST, f"{data.get('fingerprint')} there, {store.fingerprint} by its facts")
    except MissingInput:
        raise
    except Exception as error:  # noqa: BLE001 - see Findings.guarded
        findings.add("manifest", MANIFEST, error)
        return None
    return store if _entries_are_right(store.manifest, findings) else None


def _entries_are_right(manifest: Manifest, findings: Findings) -> bool:
    """Check what `Manifest.from_bytes` takes as it comes."""
    before = len(findings.all)
    if manifest.kind not in ("shards", "features", "annotation"):
        findings.add("manifest", MANIFEST, f"kind {manifest.kind!r} is not known")
    for piece in (*manifest.shards, *manifest.tables):
        kinds = {"name": str, "utterances": int, "size": int, "sha256": str}
        wrong = [name for name, kind in kinds.items() if type(piece[name]) is not kind]
        if wrong or "\0" in piece["name"]:
            findings.add("manifest", MANIFEST, f"{', '.join(wrong) or 'name'} of a shard or table is of another kind")
        elif piece in manifest.shards and Path(piece["name"]).name != piece["name"] and not is_balanced(manifest):
            findings.add("manifest", MANIFEST, f"{piece['name']!r} lies outside the store, which is not balanced")
    named = [piece["name"] for piece in (*manifest.shards, *manifest.tables)]
    if len(findings.all) == before and len(set(named)) != len(named):
        findings.add("manifest", MANIFEST, "a shard or table is listed twice")
    for name, numbers in (("counts", manifest.counts), ("skipped", manifest.skipped)):
        if not all(type(number) is int and number >= 0 for number in numbers.values()):
            findings.add("manifest", MANIFEST, f"{name} are no counts")
    for name, kind in manifest.annotation.items():
        if kind not in ("string", "strings", "bool", "int32", "int64", "float32", "float64"):
            findings.add("manifest", MANIFEST, f"column {name} has type {kind!r}, which no annotation has")
    if not all(isinstance(how, Mapping) for how in manifest.modalities.values()):
        findings.add("manifest", MANIFEST, "a modality is no object")
    elif manifest.kind == "features":
        for name, how in manifest.modalities.items():
            if type(how.get("dim")) is not int or how["dim"] < 1 or not isinstance(how.get("clock"), str):
                findings.add("manifest", MANIFEST, f"{name} has no dimension or no clock")
    return len(findings.all) == before


def is_balanced(manifest: Manifest) -> bool:
    """Tell whether a store came from `balance`, and may point to shards of the store it came from."""
    return manifest.facts["command"] == "balance"


def check_folder(store: Store, findings: Findings) -> None:
    """Check that the files are there which the manifest implies, and no other shard, table or draft.

    Shards and tables themselves are checked one by one (`check_file`).
    """
    manifest = store.manifest
    expected = [INDEX, CARD]
    if manifest.skipped or manifest.facts["command"] == "segment":
        expected.append(SKIPPED)
    if any(table["name"] == "train.parquet" for table in manifest.tables):
        expected.append("scaler.npz")
    if is_balanced(manifest):
        expected += ["plan.parquet", "class_weights.json", "class_weights.npy"]
    if manifest.kind == "shards" and manifest.modalities.get("video", {}).get("faces"):
        expected.append(FACES)
        _check_face_table(store, findings)
    for name in expected:
        if not (store.path / name).is_file():
            findings.add("missing-file", name, "it is not there")
    ours = {*expected, *(piece["name"] for piece in (*manifest.shards, *manifest.tables))}
    for entry in sorted(store.path.iterdir()):
        if entry.name == STATE:
            findings.add("stray-file", STATE, "what a run leaves that did not end, or one is at work here")
        elif entry.suffix in (".tar", ".parquet", ".draft") and entry.name not in ours:
            findings.add("stray-file", entry.name, "the manifest does not list it, and readers would take it in")


def _check_face_table(store: Store, findings: Findings) -> None:
    facts = store.manifest.modalities["video"].get("face_table")
    if not (isinstance(facts, Mapping) and facts.get("name") == FACES and type(facts.get("size")) is int
            and isinstance(facts.get("sha256"), str)):
        findings.add("manifest", MANIFEST, f"it says nothing of {FACES} (name, size, sha256)")
    elif (store.path / FACES).is_file():
        check_file(store.path / FACES, facts, findings)


def check_file(path: Path, facts: Mapping[str, Any], findings: Findings) -> bool:
    """Check size and sha256 of a shard or a table; tell whether it is there at all."""
    if not path.is_file():  # also a pipe, which would be waited for
        findings.add("missing-file", facts["name"], "it is not there, or no file")
        return False
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size != facts["size"]:
            findings.add("size", facts["name"], f"{size} bytes, not {facts['size']}")
            return True
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != facts["sha256"]:
        findings.add("sha256", facts["name"], f"{found[:12]}… there, {facts['sha256'][:12]}… in the manifest")
    return True


def read_skips(store: Store, findings: Findings) -> dict[str, str] | None:
    """Return the reason by key of each skipped utterance, and compare their counts with the manifest's.

    None where `skipped.jsonl` is not there or cannot be read.
    """
    path, reasons = store.path / SKIPPED, {}
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST_TEXT:
        findings.add("skips", SKIPPED, f"{path.stat().st_size} bytes are no list of utterances")
        return None
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        with findings.guarded("skips", f"{SKIPPED}:{number}"):
            skip = read_json(line)
            if set(skip) != {"key", "reason", "detail"} or not all(type(text) is str for text in skip.values()):
                raise ValueError("a skip has key, reason and detail, and all of them are text")
            if skip["key"] in reasons:
                raise ValueError(f"{skip['key']} comes twice")
            reasons[skip["key"]] = skip["reason"]
    if (found := dict(Counter(reasons.values()))) != dict(store.manifest.skipped):
        findings.add("skips", SKIPPED, f"{_counted(found)} there, {_counted(store.manifest.skipped)} in the manifest")
    return reasons


def _counted(reasons: Mapping[str, int]) -> str:
    return listed((f"{number} {reason}" for reason, number in reasons.items()), most=5) or "none"


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[Any]:
    """Open a .npz of plain arrays; raise ValueError where it would unpack to more than any of ours has."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > LARGEST_ARRAYS:
            raise ValueError("it unpacks to more than any such file has")
    with np.load(path, allow_pickle=False) as arrays:
        yield arrays


def is_number(value: object) -> bool:
    """Tell whether a JSON value is a finite number.

    >>> is_number(1), is_number(float("inf")), is_number(True)
    (True, False, False)
    """
    return type(value) in (int, float) and math.isfinite(value)
