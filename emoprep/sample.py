"""One utterance of a store, whole: its index row, `.json`, pictures, sound and words, and what it was made from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emoprep.augment.read import check_against_row, read_sample
from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.store.folder import PLAN, SKIPPED, read_json
from emoprep.store.index import COLUMNS
from emoprep.store.manifest import Store
from emoprep.store.shards import SampleReader

__all__ = ["Opened", "Samples", "has_shard", "near_keys", "open_sample"]

MOST_PIXELS, MOST_SAMPLES = 2 ** 28, 2 ** 25
"""What is longer (35 minutes at 10 frames of 112 px a second, 35 minutes at 16 kHz) is not decoded to be looked at."""

LOWEST_RATE, HIGHEST_RATE = 4000, 192_000  # as --sample-rate takes it

MOST_ASPECT = 4.0  # a frame that shows more than that is drawn narrower than it was

NEAREST = 5  # keys that are named where one is not there
COMPARED = 20_000  # keys that are compared letter by letter, 0.2 s
LONGEST = 200  # letters of a key that is named

_VALUES = {"string": str, "int32": int, "float64": float, "float32": float, "bool": bool, "strings": list}


@dataclass(frozen=True)
class Opened:
    """An utterance of a store.

    `row` is its index row, all columns; `facts` its `.json`, {} where it has no sample. `frames` is uint8
    [F, size, size, 3] in RGB, `sound` float32 [n] in −1..1 and its rate in Hz; None where the utterance has none.
    `words` are {word, start, end}, in seconds from the utterance's start. `parents` are the keys of those it was made
    from, `parameters` how, and `lam` is λ of base + λ (neighbor − base), None where nothing was interpolated. `reason`
    says why there is no sample.
    """

    key: str
    row: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    frames: np.ndarray | None = None
    sound: tuple[np.ndarray, int] | None = None
    words: Sequence[Mapping[str, Any]] = ()
    parents: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lam: float | None = None
    reason: str = ""

    @property
    def aspect(self) -> float:
        """Width ÷ height of what a frame shows of the film: frames are square whatever they were cut from.

        >>> round(Opened("a", {}, {"view": [0, 0, 1280, 720]}).aspect, 3), Opened("a", {}, {"view": []}).aspect
        (1.778, 1.0)
        """
        view = self.facts.get("view")
        return min(MOST_ASPECT, max(1 / MOST_ASPECT, view[2] / view[3])) if view else 1.0


def open_sample(store: Store, key: str) -> Opened:
    """Return one utterance of a store.

    Raises UsageError where there is no such key (and names some that are like it), EmoprepError where its sample
    cannot be read.
    """
    return Samples(store, [key]).read(key)


class Samples:
    """Some utterances of a store, to be read in any order.

    `rows` are the index rows of those of the keys that are there. Raises EmoprepError where the index cannot be read.
    """

    def __init__(self, store: Store, keys: Iterable[str]):
        keys = list(keys)
        self.store, self.reader = store, SampleReader()
        self.rows = {row["key"]: row for row in store.rows(keys)}
        self.plan = {row["key"]: row for row in store.rows(keys, PLAN)} if (store.path / PLAN).is_file() else {}

    def read(self, key: str) -> Opened:
        """Return one of the utterances; raises as `open_sample` does."""
        if key not in self.rows:
            keys = self.store.index(["key"]).column("key")
            raise UsageError("the store has no such utterance", where=str(self.store.path), got=repr(key)[:200],
                             expected=" or ".join(near_keys(str(key), keys)) or "a key")
        row = self.rows[key]
        _check_row(row, f"{self.store.path} {key}")
        made = self._made(key, row)
        if row["shard"] is None:
            return Opened(key, row, **made, reason=self._reason(key))
        if not has_shard(self.store, row["shard"]):
            raise MissingInput("a shard of the store is missing, or is no file",
                               where=f"{self.store.path} {key}", got=ascii(row["shard"])[:60],
                               remedy="make the store again")
        path = self.store.path / row["shard"]
        where = f"{path} {key}"
        try:
            members = self.reader.read(path, key)
            facts = read_sample(members, pictures=False, sound=False, where=where).facts
            check_against_row(facts, row, where)
            _check_size(facts, where)
            sample = read_sample(members, pictures=True, sound=True, where=where)
        except EmoprepError as error:
            raise type(error)(error.what, where=where, expected=error.expected, got=error.got,
                              remedy=error.remedy) from error
        except Exception as error:  # bytes that may be anything go to libraries that raise anything
            raise EmoprepError("the sample cannot be read", where=where, got=repr(error)[:200],
                               remedy="run `emoprep verify` on the store") from error
        sound = None if sample.sound is None else (sample.sound, facts["sample_rate"])
        return Opened(key, row, sample.facts, sample.frames, sound, sample.words, **made)

    def _made(self, key: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return parents, parameters and λ of an utterance, from the plan where the store has one."""
        plan = self.plan.get(key)
        if plan is None:
            return {"parents": _others(key, row["base"])}
        try:
            parameters = read_json(plan["parameters"])
            if not isinstance(parameters, dict):
                raise ValueError("the parameters are no object")
            return {"parents": _others(key, plan["base"], plan["neighbor"]), "parameters": parameters,
                    "lam": None if plan["lambda"] is None else float(plan["lambda"])}
        except (KeyError, TypeError, ValueError) as error:
            raise EmoprepError("the plan cannot be read", where=f"{self.store.path / PLAN} {key}",
                               got=str(error)[:200], remedy="balance again") from error

    def _reason(self, key: str) -> str:
        """Say why an utterance has no sample."""
        if self.store.manifest.kind != "shards":
            return f"the store is one of {self.store.manifest.kind}, without media"
        path = self.store.path / SKIPPED
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            # A key is the same bytes in JSON.
            if key.encode() in line:
                try:
                    skip = read_json(line)
                except ValueError:
                    continue
                if isinstance(skip, dict) and skip.get("key") == key:
                    return ": ".join(str(skip[name]) for name in ("reason", "detail") if skip.get(name))
        return "its split, or its part of the corpus, has no media"


def has_shard(store: Store, name: Any) -> bool:
    """Tell whether what the index names is there, and a file: of a pipe the end never comes."""
    try:
        return (store.path / name).is_file()
    except (OSError, TypeError):  # longer than any name, or no text
        return False


def _others(key: str, *parents: Any) -> tuple[str, ...]:
    """Return the parents that are others: what was changed in its place names itself.

    >>> _others("a", "b", None), _others("a", "a")
    (('b',), ())
    """
    return tuple(str(parent) for parent in parents if parent not in (None, key))


def _check_row(row: Mapping[str, Any], where: str) -> None:
    """Raise EmoprepError where a column of the index is missing, or holds what its type cannot."""
    for name, kind in COLUMNS.items():
        value, demanded = row.get(name), name in ("key", "text", "op")
        fits = name in row and (type(value) is _VALUES[kind] or (value is None and not demanded))
        if not fits or (kind == "strings" and not all(type(one) is str for one in value or ())):
            raise EmoprepError(f"{name} in the index is not possible", where=where, expected=kind,
                               got=ascii(value)[:60] if name in row else "no such column",
                               remedy="run `emoprep verify` on the store")


def _check_size(facts: Mapping[str, Any], where: str) -> None:
    pixels, samples, rate = facts["frames"] * facts["size"] ** 2, facts["samples"], facts["sample_rate"]
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise EmoprepError("sample_rate in .json is not possible", where=where,
                           expected=f"{LOWEST_RATE} to {HIGHEST_RATE} Hz", got=str(rate))
    if pixels > MOST_PIXELS or samples > MOST_SAMPLES:
        raise EmoprepError("the utterance is too long to be shown", where=where,
                           expected=f"at most {MOST_PIXELS} px and {MOST_SAMPLES} samples",
                           got=f"{pixels} px and {samples} samples")


def near_keys(key: str, keys: Any) -> list[str]:
    """Return some of the keys (a column of the index) that may be meant: those with `key` in them, or like it.

    >>> import pyarrow
    >>> column = pyarrow.chunked_array([["meld_dev_dia0_utt1", "meld_dev_dia0_utt2", "meld_dev_dia1_utt1"]])
    >>> near_keys("dia1_utt1", column), near_keys("meld_dve_dia0_utt2", column)[0]
    (['meld_dev_dia1_utt1'], 'meld_dev_dia0_utt2')
    """
    import pyarrow
    import pyarrow.compute as compute

    try:
        keys = keys.cast(pyarrow.string()).drop_null()
        keys.validate(full=True)
    except (ValueError, NotImplementedError):  # there is none that anybody could ask for
        return []
    keys = keys.filter(compute.less_equal(compute.utf8_length(keys), LONGEST))
    if key:
        found = keys.filter(compute.match_substring(keys, key, ignore_case=True)).slice(0, NEAREST).to_pylist()
        if found:
            return found
    near = keys.filter(compute.less_equal(compute.abs(compute.subtract(compute.utf8_length(keys), len(key))), 2))
    return difflib.get_close_matches(key, near.slice(0, COMPARED).to_pylist(), NEAREST) \
        or keys.slice(0, NEAREST).to_pylist()
