"""All that is told of one utterance, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.errors import EmoprepError
from emoprep.labels import MULTI, OUTSIDE, LabelScheme, choose_scheme
from emoprep.sample import Opened
from emoprep.show.source import Source
from emoprep.show.waveform import levels, outline
from emoprep.store.tables import has_column

__all__ = ["Described", "Line", "Shown", "look"]

PEAKS = 200  # in the JSON document
SAID = ("key", "corpus", "split", "dialogue", "turn", "speaker", "text", "start", "end", "frames", "fps", "samples",
        "sample_rate", "has_video", "has_audio", "has_text", "flags", "op", "loss_mask", "shard")
"""The columns of the index that the JSON document has under their own names."""


@dataclass(frozen=True)
class Line:
    """An utterance beside another: `labels` has its classes by label scheme, None outside of it."""

    key: str
    speaker: str | None
    text: str
    labels: Mapping[str, tuple[str, ...] | None]

    @property
    def label(self) -> str | None:
        """Its class by the first scheme that it is in, several in one text; None where it is in none.

        >>> Line("a", "Ses01M", "", {"iemocap-4": None, "iemocap-5": ("frustrated",)}).label
        'frustrated'
        """
        return next((", ".join(found) or "none" for found in self.labels.values() if found is not None), None)

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key, "speaker": self.speaker, "text": self.text,
                "labels": {name: None if found is None else list(found) for name, found in self.labels.items()}}


@dataclass(frozen=True)
class Described:
    """An utterance's features of one modality: `steps` is None for a vector, `norm` is Euclidean, over all steps."""

    extractor: str
    clock: str
    dim: int
    steps: int | None
    norm: float
    there: bool


@dataclass(frozen=True)
class Shown:
    """One utterance, with what stands beside it.

    `row` is its index row and `opened` has its media. `before` and `after` are its neighbours in the dialogue: for a
    made item that is a dialogue of its own, those of the item `context`, which it was made from. `features` are by
    modality. `strip` and `clip` are the files that were written.
    """

    path: Path
    kind: str
    corpus: str
    annotation: Mapping[str, Any]
    line: Line
    opened: Opened
    context: str
    before: Line | None
    after: Line | None
    parents: tuple[Line, ...]
    features: Mapping[str, Described]
    strip: Path | None = None
    clip: Path | None = None

    @property
    def key(self) -> str:
        return self.line.key

    @property
    def row(self) -> Mapping[str, Any]:
        return self.opened.row

    @property
    def label(self) -> str | None:
        return self.line.label

    @property
    def seconds(self) -> float | None:
        start, end = self.row["start"], self.row["end"]
        return None if start is None or end is None else end - start

    @property
    def remedy(self) -> str:
        """What to do where there are no media; "" where nothing helps."""
        if self.kind == "shards" or (self.kind == "features" and self.row["op"] not in ("keep", "repeat", "mask")):
            return "look at its parents" if self.parents else ""
        return {"features": f"`emoprep show SHARDS {self.key}` has them, SHARDS being what the features were taken of",
                "annotation": f"`emoprep show CORPUS {self.key}` cuts them, CORPUS being what was balanced"
                }.get(self.kind, "")

    def to_json(self) -> dict[str, Any]:
        """Return what is told to programs; what is not known is null."""
        opened = self.opened
        document = {"schema": "emoprep.show/1", "in": str(self.path), "kind": self.kind,
                    **{name: self.row[name] for name in SAID}, "seconds": self.seconds,
                    "annotation": self.annotation, "labels": self.line.to_json()["labels"],
                    "context": {"of": self.context, "before": self.before and self.before.to_json(),
                                "after": self.after and self.after.to_json()},
                    "parents": [parent.to_json() for parent in self.parents], "lambda": opened.lam,
                    "parameters": opened.parameters, "words": list(opened.words), "sound": self._sound(),
                    "pictures": None if opened.frames is None else {
                        name: opened.facts.get(name) for name in ("size", "columns", "view", "faces", "face_rule")},
                    "features": {name: vars(found) for name, found in self.features.items()},
                    "missing": opened.reason or None, "strip": self.strip and str(self.strip),
                    "clip": self.clip and str(self.clip)}
        return _as_json(document)

    def _sound(self) -> dict[str, Any] | None:
        if self.opened.sound is None:
            return None
        sound, rate = self.opened.sound
        low, high = outline(sound, PEAKS)
        peak, rms = levels(sound)
        return {"seconds": len(sound) / rate, "peak_dbfs": peak, "rms_dbfs": rms,
                "peaks": np.maximum(-low, high).round(4).astype(float).tolist()}


def look(source: Source, key: str, labels: str | None = None) -> Shown:
    """Look at one utterance; writes nothing. `key` and `labels` are as in `show`."""
    key = source.key(key)
    schemes = list(source.schemes.values()) if labels is None else [
        choose_scheme(labels, source.schemes, source.annotation)]
    opened = source.open(key)
    context, keys = _neighbours(source, opened)
    wanted = [*opened.parents, *filter(None, keys)]
    lines = {row["key"]: _line(row, schemes) for row in source.rows(wanted)}
    annotation = {name: opened.row.get(name) for name in source.annotation}
    return Shown(source.path, source.kind, source.corpus, annotation, _line(opened.row, schemes), opened, context,
                 *map(lines.get, keys), tuple(lines[parent] for parent in opened.parents if parent in lines),
                 _features(source, key))


def _neighbours(source: Source, opened: Opened) -> tuple[str, tuple[str | None, str | None]]:
    """Return whose dialogue it is, and the keys before and after it there (None: there is none)."""
    for key in (opened.key, *opened.parents[:1]):
        dialogue = _dialogue(source, key)
        if len(dialogue) > 1:
            at = dialogue.index(key)
            return key, (dialogue[at - 1] if at else None, dialogue[at + 1] if at + 1 < len(dialogue) else None)
    return opened.key, (None, None)


def _dialogue(source: Source, key: str) -> list[str]:
    """Return the keys of the dialogue that an utterance is in, turn by turn; none where nobody knows it."""
    import pyarrow.compute as compute

    places = source.places
    at = compute.index(places.column("key"), key).as_py()
    dialogue = places.column("dialogue")[at].as_py() if at >= 0 else None
    if dialogue is None:
        return []
    found = places.filter(compute.equal(places.column("dialogue"), dialogue)).sort_by("turn")
    return found.column("key").to_pylist()


def _line(row: Mapping[str, Any], schemes: list[LabelScheme]) -> Line:
    return Line(row["key"], row["speaker"], row["text"] or "", {scheme.name: _classes(row, scheme)
                                                                 for scheme in schemes})


def _classes(row: Mapping[str, Any], scheme: LabelScheme) -> tuple[str, ...] | None:
    """Return the classes that a row has in a scheme, None where it is outside."""
    try:
        found = scheme.encode([row])[0]
    except TypeError as error:  # a text where the scheme compares numbers
        raise EmoprepError("this annotation does not fit the label scheme", where=f"{row['key']}, scheme {scheme.name}",
                           got=str(error), remedy="run `emoprep verify` on the store") from error
    if scheme.task == MULTI:
        return None if OUTSIDE in found else tuple(
            label for label, there in zip(scheme.labels, found, strict=True) if there)
    return None if found == OUTSIDE else (scheme.labels[found],)


def _features(source: Source, key: str) -> dict[str, Described]:
    """Return what a store of features has of an utterance, by modality."""
    if source.kind != "features":
        return {}
    for table in source.store.manifest.tables:
        rows = source.store.rows([key], table["name"])
        if rows:
            return {name: _described(rows[0], name, how, source) for name, how in
                    source.store.manifest.modalities.items()}
    return {}


def _described(row: Mapping[str, Any], name: str, how: Mapping[str, Any], source: Source) -> Described:
    try:
        values = np.asarray(row[name], np.float64)
        return Described(str(how["extractor"]), str(how["clock"]), values.shape[-1],
                         None if values.ndim == 1 else len(values), float(np.linalg.norm(values)),
                         bool(row[has_column(name)]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise EmoprepError("the features cannot be read", where=f"{source.path} {row['key']} {name}",
                           got=repr(error)[:200], remedy="run `emoprep verify` on the store") from error


def _as_json(value: Any) -> Any:
    """Return a value as JSON can hold it: None for what is no finite number, texts of what it has no type for.

    >>> _as_json({"start": float("nan"), "word": "half a pair: " + chr(0xd83d), "votes": (b"joy", 1)})
    {'start': None, 'word': 'half a pair: \\\\ud83d', 'votes': ["b'joy'", 1]}
    """
    if isinstance(value, Mapping):
        return {_as_json(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else str(value).encode(errors="backslashreplace").decode()
