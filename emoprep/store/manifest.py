"""manifest.json: what a store holds and how it was made; and opening a finished store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep import __version__
from emoprep.errors import EmoprepError, MissingInput
from emoprep.labels import MULTI, LabelScheme
from emoprep.store.folder import INDEX, MANIFEST, PLAN, fingerprint, pieces_intact, read_json

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Manifest", "Store", "is_store", "open_store", "versions"]

SCHEMA = "emoprep.store/1"


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    `kind` is "shards", "features" or "annotation" (rows without media or features). `facts` are those of the
    fingerprint. `modalities` says of each modality how it was made; `counts` has utterances by split (all that
    are annotated), `written` those that have a sample or a feature row. `shards` lists tar files, `tables` the
    feature tables, each {name, split, utterances, size, sha256}.
    """

    corpus: str
    title: str
    kind: str
    facts: Mapping[str, Any]
    counts: Mapping[str, int]
    written: int
    modalities: Mapping[str, Any]
    schemes: Mapping[str, LabelScheme]
    annotation: Mapping[str, str]
    shards: list[dict[str, Any]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    skipped: Mapping[str, int] = field(default_factory=dict)
    citation: str = ""
    licence: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    balance: Mapping[str, Any] | None = None

    def to_bytes(self) -> bytes:
        """Return the file's content; the same store gives the same bytes."""
        data = {
            "schema": SCHEMA, "corpus": self.corpus, "title": self.title, "kind": self.kind, **self.facts,
            "versions": self.versions, "counts": self.counts, "written": self.written, "skipped": self.skipped,
            "modalities": self.modalities,
            "label_schemes": {name: scheme.to_json() for name, scheme in self.schemes.items()},
            "annotation": self.annotation, "shards": [_ordered(piece) for piece in self.shards],
            "tables": [_ordered(piece) for piece in self.tables], "balance": self.balance,
            "notes": self.notes, "licence": self.licence, "citation": self.citation,
            "fingerprint": fingerprint(self.facts),
        }
        return (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode()

    @property
    def sample_weights(self) -> int | None:
        """How long the lists in the column `sample_weight` are: 0 for plain numbers, None without the column."""
        if not (self.balance or {}).get("sample_weights"):
            return None
        return len(self.balance["labels"]) if self.balance["task"] == MULTI else 0

    @classmethod
    def from_bytes(cls, raw: bytes, where: str) -> Manifest:
        """Read a manifest; raises EmoprepError where it is none."""
        try:
            data = read_json(raw)
            if data.get("schema") != SCHEMA:
                raise EmoprepError("this manifest is of another kind", where=where, expected=SCHEMA,
                                   got=str(data.get("schema")))
            _check(data)
            schemes = {name: LabelScheme.from_json(name, scheme, where)
                       for name, scheme in data["label_schemes"].items()}
            return cls(data["corpus"], data["title"], data["kind"],
                       {name: data[name] for name in ("command", "settings", "inputs")}, data["counts"],
                       data["written"], data["modalities"], schemes, data["annotation"], data["shards"],
                       data["tables"], data["skipped"], data["citation"], data["licence"], data["versions"],
                       data["notes"], data["balance"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EmoprepError("this manifest cannot be read", where=where, got=repr(error)[:200],
                               remedy="make the store again") from error


_KINDS = {str: ("corpus", "title", "kind", "command", "citation", "licence"), int: ("written",),
          dict: ("settings", "inputs", "counts", "modalities", "label_schemes", "annotation", "skipped", "versions"),
          list: ("shards", "tables", "notes")}


def _check(data: Mapping[str, Any]) -> None:
    """Raise ValueError for an entry of the wrong kind, or a table whose name would lead out of the store."""
    for kind, names in _KINDS.items():
        for name in names:
            if type(data[name]) is not kind:
                raise ValueError(f"{name} is {type(data[name]).__name__}, not {kind.__name__}")
    if not (data["balance"] is None or isinstance(data["balance"], dict)):
        raise ValueError("balance is no object")
    for piece in (*data["shards"], *data["tables"]):
        if type(_ordered(piece)["name"]) is not str:
            raise ValueError("the name of a piece is no text")
    for table in data["tables"]:
        if Path(table["name"]).name != table["name"]:
            raise ValueError(f"{table['name']!r} is no name of a table")
    if not all(isinstance(note, str) for note in data["notes"]):
        raise ValueError("a note is no text")


def _ordered(piece: Mapping[str, Any]) -> dict[str, Any]:
    """Return a piece's facts in one order, whether they come from this run or from the notes of an earlier one."""
    return {name: piece[name] for name in ("name", "split", "utterances", "size", "sha256")}


@dataclass(frozen=True)
class Store:
    """A finished store: its folder and its manifest."""

    path: Path
    manifest: Manifest

    def index(self, columns: list[str] | None = None) -> pyarrow.Table:
        """Return the index, or some of its columns."""
        from emoprep.store.index import read_index

        return self._read(read_index, columns)

    def plan(self, columns: Sequence[str]) -> pyarrow.Table | None:
        """Return these columns of what `balance` decided for each train item, None where there is no plan."""
        from pyarrow import parquet

        path = self.path / PLAN
        if not path.is_file():
            return None
        try:
            return parquet.read_table(path, columns=list(columns), use_threads=False, partitioning=None).select(columns)
        except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are ValueErrors and KeyErrors
            raise EmoprepError("the plan cannot be read", where=str(path), got=str(error),
                               remedy="balance again") from error

    def column(self, name: str) -> pyarrow.ChunkedArray:
        """Return one column of the index, texts as a dictionary (see `read_column`)."""
        from emoprep.store.index import read_column

        return self._read(read_column, name)

    def rows(self, keys: Sequence[str], name: str = INDEX) -> list[dict[str, Any]]:
        """Return the rows of these keys, as far as they are there; `name` is the index, or another of the tables."""
        from emoprep.store.index import read_rows

        return self._read(read_rows, keys, name)

    def _read(self, read: Callable[[Path, Any], Any], what: Any, name: str = INDEX) -> Any:
        path = self.path / name
        if not path.is_file():  # of a pipe in its place the end never comes
            raise MissingInput(f"the store has no {'index' if name == INDEX else 'such table'}", where=str(path),
                               remedy="make the store again")
        try:
            return read(path, what)
        # pyarrow's errors are all of these; of another type, a column cannot be compared with keys.
        except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise EmoprepError(f"the {'index' if name == INDEX else 'table'} cannot be read", where=str(path),
                               got=str(error), remedy="make the store again") from error

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.manifest.facts)

    def require_intact(self) -> Store:
        """Raise where a table is missing, or a shard is or has another size than the manifest says.

        A table may have been edited: parquet itself tells whether it is whole.
        """
        lost = next((table["name"] for table in self.manifest.tables if not (self.path / table["name"]).is_file()),
                    pieces_intact(self.path, {"shards": self.manifest.shards}))
        if lost is not None:
            raise MissingInput("a piece of the store is missing, or not as long as the manifest says",
                               where=str(self.path / lost),
                               remedy="run the command that made the store again: it makes what was lost")
        return self


def is_store(path: Path) -> bool:
    """Tell whether a folder is a finished store."""
    return (path / MANIFEST).is_file()


def open_store(path: Path) -> Store:
    """Open a finished store."""
    where = path / MANIFEST
    try:
        raw = where.read_bytes()
    except OSError as error:
        raise MissingInput("this is no store", where=str(path), expected=f"a folder with {MANIFEST}",
                           remedy="a store that was interrupted has none: run its command again") from error
    return Store(path, Manifest.from_bytes(raw, str(where)))


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of emoprep and of the packages that decided the bytes."""
    from importlib.metadata import version

    return {"emoprep": __version__, **{name: version(name) for name in packages}}
