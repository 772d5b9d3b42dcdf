"""The index, row by row: columns, keys, turns, the clock, labels, and what the manifest counts."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from emoprep.errors import EmoprepError
from emoprep.media.clock import frame_count, sample_count
from emoprep.store.folder import INDEX, MANIFEST
from emoprep.store.index import COLUMNS, MEDIA_COLUMNS, SAMPLE_WEIGHT, schema
from emoprep.store.manifest import Store
from emoprep.store.tables import has_column
from emoprep.utterance import SPLITS, check_key
from emoprep.verify.findings import Findings, listed
from emoprep.verify.folder import read_skips

if TYPE_CHECKING:
    import pyarrow

__all__ = ["check_index", "fits_clock"]

# Times are stored as float64, so that what lay on the border between two frames may have come to lie beside it.
SLACK_S = Fraction(1, 10 ** 9)


def check_index(store: Store, findings: Findings) -> pyarrow.Table | None:
    """Check the index, and return it where its columns are as they should be: only then can rows be compared."""
    if not (store.path / INDEX).is_file():
        return None  # told with the other files
    with findings.guarded("index", INDEX):
        index = store.index()
        if not _columns_are_right(index, store, findings):
            return None
        for check in (_check_keys, _check_turns, _check_dialogues, _check_counts, _check_skips, _check_media,
                      _check_labels):
            with findings.guarded("index", INDEX):
                check(store, index, findings)
        return index
    return None


def _columns_are_right(index: pyarrow.Table, store: Store, findings: Findings) -> bool:
    import pyarrow

    manifest = store.manifest
    extra = {has_column(name): pyarrow.bool_() for name in manifest.modalities if has_column(name) not in COLUMNS} \
        if manifest.kind == "features" else {}
    if (length := manifest.sample_weights) is not None:
        extra[SAMPLE_WEIGHT] = pyarrow.list_(pyarrow.float32(), length) if length else pyarrow.float32()
    expected = schema(manifest.annotation, manifest.schemes.values(), extra)
    there = {field.name: field.type for field in index.schema}
    if len(there) != len(index.schema):
        findings.add("index", INDEX, "a column comes twice")
        return False
    for field in expected:
        if field.name not in there:
            findings.add("index", INDEX, f"column {field.name} is missing")
        elif there[field.name] != field.type:
            findings.add("index", INDEX, f"column {field.name} is {there[field.name]}, not {field.type}")
    if unknown := [name for name in there if name not in expected.names]:
        findings.add("index", INDEX, f"columns that the manifest does not name: {listed(unknown)}")
    return there == {field.name: field.type for field in expected}


def _check_keys(store: Store, index: pyarrow.Table, findings: Findings) -> None:
    seen = set()
    for key in index.column("key").to_pylist():
        try:
            check_key(key or "")
        except EmoprepError:
            findings.add("keys", INDEX, f"{key!r} cannot name a sample")
        if key in seen:
            findings.add("keys", key, "two rows have this key")
        seen.add(key)


def _check_turns(store: Store, index: pyarrow.Table, findings: Findings) -> None:
    turns = defaultdict(list)
    for dialogue, turn in _columns(index, "dialogue", "turn"):
        turns[dialogue].append(turn)
    for dialogue, found in turns.items():
        if found != list(range(len(found))):
            findings.add("turns", dialogue, f"turns are {listed(found, 8)}")


def _check_dialogues(store: Store, index: pyarrow.Table, findings: Findings) -> None:
    for what in ("shard", "split"):
        places = defaultdict(set)
        for dialogue, place in _columns(index, "dialogue", what):
            if place is not None or what == "split":
                places[dialogue].add(place)
        for dialogue, found in places.items():
            if len(found) > 1:
                findings.add("dialogues", dialogue, f"it has more than one {what}: {listed(sorted(map(str, found)))}")


def _check_counts(store: Store, index: pyarrow.Table, findings: Findings) -> None:
    manifest = store.manifest
    by_split = Counter(index.column("split").to_pylist())
    without = sum(number for name, number in manifest.counts.items() if name not in SPLITS)
    for split, there in (*((split, by_split[split]) for split in SPLITS), ("no split", by_split[None])):
        told = without if split == "no split" else manifest.counts.get(split, 0)
        if there != told:
            findings.add("counts", INDEX, f"{split}: {there} rows, {told} in the manifest")
    if unknown := set(by_split) - {*SPLITS, None}:
        findings.add("counts", INDEX, f"no splits: {listed(unknown)}")
    in_shards = Counter(index.column("shard").to_pylist())
    told = {"shards": sum(in_shards.values()) - in_shards[None], "features": index.num_rows, "annotation": 0}
    if told[manifest.kind] != manifest.written:
        findings.add("counts", MANIFEST, f"written is {manifest.written}, and the index has {told[manifest.kind]}")
    for piece in manifest.shards:
        if in_shards[piece["name"]] != piece["utterances"]:
            findings.add("counts", piece["name"], f"{in_shards[piece['name']]} rows of the index, "
                                                  f"{piece['utterances']} in the manifest")
    if lost := set(in_shards) - {None, *(piece["name"] for piece in manifest.shards)}:
        findings.add("counts", INDEX, f"shards that the manifest does not list: {listed(lost)}")


def _check_skips(store: Store, index: pyarrow.Table, findings: Findings) -> None:
    """What has no sample was skipped, unless nothing of its dialogue was cut: its split or unit has no media."""
    skips = read_skips(store, findings)
    if skips is None or store.manifest.kind != "shards":
        return
    keys = set(index.column("key").to_pylist())
    cut_or_skipped, bare = set(), []
    for key, dialogue, shard in _columns(index, "key", "dialogue", "shard"):
        if shard is not None or key in skips:
            cut_or_skipped.add(dialogue)
        if shard is None and key not in skips:
            bare.append((key, dialogue))
        if shard is not None and key in skips:
            findings.add("skips", key, f"it is listed as skipped ({skips[key]}), and has a sample")
    for key, dialogue in bare:
        if dialogue in cut_or_skipped:
            findings.add("skips", key, "it has no sample, and no reason why")
    if store.manifest.facts["command"] == "segment" and (lost := [key for key in skips if key not in keys]):
        findings.add("skips", listed(lost), "skipped, and not in the index")


def _check_media(store: Store, index: pyarrow.Table, findings: Findings) -> None:
    media, shards = [name for name in MEDIA_COLUMNS if name != "shard"], store.manifest.kind == "shards"
    for row in index.select(["key", "text", "has_text", "shard", "flags", *media]).to_pylist():
        there = [name for name in media if row[name] is not None and row[name] is not False]
        timed = [name for name in there if not name.startswith("has_")]
        if shards and row["shard"] is None and there:
            findings.add("media-columns", row["key"], f"it has no sample, and yet {listed(there)}")
        elif shards and row["shard"] is not None and (
                len(timed) != 6 or (len(timed) == len(there) and "text-only" not in (row["flags"] or ()))):
            findings.add("media-columns", row["key"], "a sample has start, end, frames, fps, samples, sample_rate, and "
                                                      f"a picture or sound; this one has {listed(there, 8)}")
        if not shards and row["shard"] is not None:
            findings.add("media-columns", row["key"], "it names a shard, and the store has none")
        if store.manifest.kind != "features" and row["has_text"] != bool((row["text"] or "").strip()):
            findings.add("media-columns", row["key"], f"has_text is {row['has_text']}, and text {row['text']!r}")
        if len(timed) == 6:
            _check_clock(row, findings)


def _check_clock(row: Mapping[str, Any], findings: Findings) -> None:
    if not (0 <= row["end"] - row["start"] < 1e7 and 0 < row["fps"] <= 1000 and 0 < row["sample_rate"] <= 192_000):
        findings.add("clock", row["key"], f"from {row['start']} to {row['end']} s at {row['fps']} fps and "
                                          f"{row['sample_rate']} Hz")
        return
    seconds, fps = Fraction(row["end"]) - Fraction(row["start"]), Fraction(row["fps"])
    if not fits_clock(row["frames"], seconds, fps):
        findings.add("clock", row["key"], f"{row['frames']} frames in {float(seconds):.3f} s at {row['fps']} fps, not "
                                          f"{frame_count(seconds, fps)}")
    if not fits_clock(row["samples"], seconds, Fraction(row["sample_rate"])):
        findings.add("clock", row["key"], f"{row['samples']} samples in {float(seconds):.3f} s at "
                                          f"{row['sample_rate']} Hz, not {sample_count(seconds, row['sample_rate'])}")


def fits_clock(count: int, seconds: Fraction, rate: Fraction) -> bool:
    """Tell whether `seconds`, which may be off by a rounding of float64, have `count` frames or samples.

    >>> fits_clock(5, Fraction(0.45), Fraction(10)), fits_clock(4, Fraction(0.45), Fraction(10))
    (True, True)
    >>> fits_clock(5, Fraction(0.44), Fraction(10))
    False
    """
    return any(count == frame_count(seconds + slack, rate) for slack in (-SLACK_S, SLACK_S))


def _check_labels(store: Store, index: pyarrow.Table, findings: Findings) -> None:
    columns = list(dict.fromkeys(itertools.chain.from_iterable(scheme.reads
                                                               for scheme in store.manifest.schemes.values())))
    rows = index.select([name for name in columns if name in index.column_names]).to_pylist()
    keys = index.column("key").to_pylist()
    for scheme in store.manifest.schemes.values():
        there = index.column(scheme.index_column).to_pylist()
        for key, found, expected in zip(keys, there, scheme.encode(rows), strict=True):
            if found != expected:
                findings.add("labels", key, f"{scheme.index_column} is {found}, and the annotation gives {expected}")


def _columns(index: pyarrow.Table, *names: str):
    return zip(*(index.column(name).to_pylist() for name in names), strict=True)
