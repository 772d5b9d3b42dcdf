"""faces.parquet: every face in every frame of every utterance, so that nobody has to look for them again.

A worker notes its shard's faces as a plain array beside the shard's note; they are joined when the store is sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.store.folder import FACES, STATE, draft

if TYPE_CHECKING:
    import pyarrow

__all__ = ["MARKS", "ROW", "face_rows", "join_faces", "note_faces"]

MARKS = tuple(f"{mark}_{axis}" for mark in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
              for axis in "xy")
"""The landmarks' columns; left is at the left of the picture."""

PLACES = ("x", "y", "w", "h", "score", *MARKS)

ROW = np.dtype([("sample", "<i4"), ("frame", "<i4"), ("track", "<i4"), ("speaker", "?"), ("found", "?"),
                ("face", "<f4", (len(PLACES),))])
"""A face in a frame: of which sample of its shard, in which track, whether that is the speaker's, whether it was found
in this frame or is between two that it was found in, and where (`PLACES`, px of the picture as displayed)."""


def face_rows(faces: Sequence[tuple[int, int, np.ndarray, bool]]) -> np.ndarray:
    """Return the rows of an utterance's faces (frame, track, face float32 [15], found), none of them the speaker's yet.

    Their sample is not set either.
    """
    rows = np.zeros(len(faces), ROW)
    for name, values in zip(("frame", "track", "face", "found"), zip(*faces, strict=True), strict=False):
        rows[name] = values
    return rows


def note_faces(out: Path, shard: str, rows: Sequence[np.ndarray]) -> dict[str, int]:
    """Write the faces of a shard's samples, in order; return the file's name below OUT and its size."""
    parts = [np.zeros(0, ROW), *rows]
    for sample, part in enumerate(rows):
        part["sample"] = sample
    path = out / _piece(shard)
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft(path, out / STATE) as sketch, sketch.open("wb") as file:
        np.save(file, np.concatenate(parts), allow_pickle=False)
    return {_piece(shard): path.stat().st_size}


def _piece(shard: str) -> str:
    return f"{STATE}/pieces/{shard}.faces.npy"


def join_faces(out: Path, notes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Write faces.parquet out of the pieces of all shards that have samples, in the order of their notes.

    Returns its name, size and sha256.
    """
    from pyarrow import parquet

    with draft(out / FACES) as sketch, parquet.ParquetWriter(sketch, _schema()) as writer:
        for note in notes:
            if note["shard"]:
                rows = np.load(out / _piece(note["shard"]["name"]), allow_pickle=False)
                writer.write_table(_table(rows, [row["key"] for row in note["rows"]]))
    with (out / FACES).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"name": FACES, "size": file.tell(), "sha256": digest}


def _table(rows: np.ndarray, keys: Sequence[str]) -> pyarrow.Table:
    import pyarrow

    columns: dict[str, Any] = {"key": pyarrow.array(keys, pyarrow.string()).take(pyarrow.array(rows["sample"]))}
    columns |= {name: np.ascontiguousarray(rows[name]) for name in ("frame", "track", "speaker", "found")}
    columns |= {name: np.ascontiguousarray(rows["face"][:, place]) for place, name in enumerate(PLACES)}
    return pyarrow.table(columns, schema=_schema())


def _schema() -> pyarrow.Schema:
    import pyarrow

    return pyarrow.schema([("key", pyarrow.string()), ("frame", pyarrow.int32()), ("track", pyarrow.int32()),
                           ("speaker", pyarrow.bool_()), ("found", pyarrow.bool_()),
                           *((name, pyarrow.float32()) for name in PLACES)])
