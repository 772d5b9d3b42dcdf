"""Label schemes as data: which classes, in which order, and how the raw annotation maps to them.

A store keeps the annotation as the corpus has it; a scheme is chosen when counting or balancing. Schemes of
a corpus stand in its module (`corpora/meld.py`); anyone's own is a TOML file:

    name = "arousal"
    column = "emotion"
    labels = ["low", "high"]
    [mapping]
    neutral = "low"
    anger = "high"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoprep.errors import MissingInput, UsageError

__all__ = ["OUTSIDE", "LabelScheme", "choose_scheme", "count_classes", "read_scheme"]

OUTSIDE = -100
"""The class number of a row outside the scheme: PyTorch's `ignore_index`."""


@dataclass(frozen=True)
class LabelScheme:
    """Classes in order, and the annotation value → class mapping over one column.

    `task` is "single-label": one class a row. A value that `mapping` does not name is outside the scheme.

    >>> scheme = LabelScheme("valence", "sentiment", ("bad", "good"), {"negative": "bad", "positive": "good"})
    >>> scheme.encode([{"sentiment": "positive"}, {"sentiment": "neutral"}])
    [1, -100]
    """

    name: str
    column: str
    labels: tuple[str, ...]
    mapping: Mapping[str, str]
    task: str = "single-label"

    def __post_init__(self):
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            raise UsageError("labels must be distinct, and at least one", where=f"scheme {self.name}",
                             got=", ".join(self.labels))
        unknown = sorted(set(self.mapping.values()) - set(self.labels))
        if unknown:
            raise UsageError("the mapping names classes that are not in labels", where=f"scheme {self.name}",
                             expected=", ".join(self.labels), got=", ".join(unknown))

    @property
    def index_column(self) -> str:
        """The column of the index that holds this scheme's class numbers, e.g. `y_meld_7`."""
        return "y_" + re.sub(r"[^A-Za-z0-9]+", "_", self.name)

    def encode(self, annotations: Iterable[Mapping[str, Any]]) -> list[int]:
        """Return each row's class number in the order of `labels`, OUTSIDE (−100) where it has none."""
        number = {value: self.labels.index(label) for value, label in self.mapping.items()}
        values = (annotation.get(self.column) for annotation in annotations)
        # A mapping in TOML or JSON has text for keys, also over a column of numbers.
        return [OUTSIDE if value is None else number.get(value if type(value) is str else str(value), OUTSIDE)
                for value in values]

    def check_values(self, values: Iterable[Any]) -> tuple[str, ...]:
        """Return notes on mapped values that do not occur; raise UsageError where no row is in the scheme."""
        there = {value if type(value) is str else str(value) for value in values if value is not None}
        lost = [value for value in self.mapping if value not in there]
        if there and len(lost) == len(self.mapping):
            raise UsageError("no row falls into this label scheme", where=f"scheme {self.name}, column {self.column}",
                             expected=", ".join(sorted(there)[:10]), got=", ".join(self.mapping) or "an empty mapping")
        return (f"scheme {self.name}: no row has {self.column} {', '.join(lost)}",) if lost else ()

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "labels": list(self.labels), "column": self.column,
                "mapping": dict(self.mapping)}

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any], where: str = "") -> LabelScheme:
        """Read a scheme as a manifest or a TOML file has it."""
        try:
            scheme = cls(name, str(data["column"]), tuple(str(label) for label in data["labels"]),
                         {str(value): str(label) for value, label in data["mapping"].items()},
                         str(data.get("task", "single-label")))
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError("this label scheme is incomplete", where=where or f"scheme {name}",
                             expected="column, labels = [...] and a [mapping] table",
                             got=", ".join(map(str, data)) or "nothing") from error
        if scheme.task != "single-label":
            raise UsageError("this task is not known", where=where or f"scheme {name}",
                             expected="single-label", got=scheme.task)
        return scheme


def read_scheme(path: Path) -> LabelScheme:
    """Read a scheme of one's own from a TOML file."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MissingInput("the label scheme cannot be read", where=str(path),
                           got=error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the label scheme is no TOML", where=str(path), got=str(error)) from error
    return LabelScheme.from_json(str(data.get("name", path.stem)), data, where=str(path))


def choose_scheme(name: str | None, schemes: Mapping[str, LabelScheme], columns: Iterable[str]) -> LabelScheme:
    """Return the scheme that `--labels NAME` asks for: the first one unless named, or a TOML file's.

    `columns` are the annotation columns at hand; a scheme over another column is refused.
    """
    if name is None:
        return next(iter(schemes.values()))
    if name in schemes:
        return schemes[name]
    if not name.endswith(".toml"):
        raise UsageError("this label scheme is not known", where="--labels",
                         expected=" or ".join([*schemes, "a .toml file"]), got=name)
    scheme, columns = read_scheme(Path(name)), list(columns)
    if scheme.name in schemes or not re.fullmatch(r"[A-Za-z0-9_-]+", scheme.name):
        raise UsageError("a scheme of one's own needs a name of its own", where=name, got=scheme.name,
                         expected=f"letters, digits, '_' and '-', and none of {', '.join(schemes)}")
    if scheme.column not in columns:
        raise UsageError("the scheme maps a column that the corpus does not have", where=name,
                         expected=", ".join(columns), got=scheme.column)
    return scheme


def count_classes(numbers: Iterable[int], labels: tuple[str, ...]) -> dict[str, int]:
    """Return the rows of each class by name; a class without members is there with 0.

    >>> count_classes([0, 0, 2, OUTSIDE], ("a", "b", "c"))
    {'a': 2, 'b': 0, 'c': 1}
    """
    counts = dict.fromkeys(labels, 0)
    for number in numbers:
        if number != OUTSIDE:
            counts[labels[number]] += 1
    return counts
