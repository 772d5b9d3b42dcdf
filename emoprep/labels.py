"""Label schemes as data: which classes, in which order, and how the raw annotation maps to them.

A store keeps the annotation as the corpus has it; a scheme is chosen when counting or balancing. Schemes of
a corpus stand in its module (`corpora/meld.py`); anyone's own is a TOML file of one of three forms:

    name = "arousal"                     name = "arousal-3"                   name = "mine-2"
    column = "emotion"                   column = "arousal"                   labels = ["sad", "glad"]
    labels = ["low", "high"]             labels = ["low", "mid", "high"]      above = 0.5
    [mapping]                            [intervals]                          [columns]
    neutral = "low"                      low = "[1, 2.5)"                     sad = "sadness"
    anger = "high"                       mid = "[2.5, 3.5]"                   glad = "happiness"
                                         high = "(3.5, 5]"

The first two give each row one class (single-label); the third gives it every label whose column is above a
threshold (multi-label): none, one or several.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from emoprep.errors import MissingInput, UsageError

__all__ = ["MULTI", "OUTSIDE", "SINGLE", "Interval", "LabelScheme", "choose_scheme", "read_scheme"]

OUTSIDE = -100
"""The class number of a row outside the scheme: PyTorch's `ignore_index`."""

SINGLE, MULTI = "single-label", "multi-label"

_NUMBERS = ("int32", "float64")


_KEYS = {"name", "task", "labels", "column", "mapping", "intervals", "columns", "above"}


class Interval(NamedTuple):
    """Numbers from `low` to `high`; each end belongs to it or not.

    >>> 2.5 in Interval.read("[2.5, 3.5)"), 3.5 in Interval.read("[2.5, 3.5)")
    (True, False)
    """

    low: float
    high: float
    with_low: bool
    with_high: bool

    @classmethod
    def read(cls, text: str) -> Interval:
        """Read "[1, 2.5)"; an end may be inf. Raises ValueError."""
        match = re.fullmatch(r"\s*([\[(])([^,]*),([^,]*)([\])])\s*", text)
        low, high = (float(match[2]), float(match[3])) if match else (math.nan, math.nan)
        found = cls(low, high, bool(match) and match[1] == "[", bool(match) and match[4] == "]")
        if not (low < high or (low == high and found.with_low and found.with_high)):
            raise ValueError(f"{text!r} is no interval such as [1, 2.5)")
        return found

    def __contains__(self, number: float) -> bool:
        return (self.low < number or (self.with_low and self.low == number)) \
            and (number < self.high or (self.with_high and number == self.high))

    def meets(self, other: Interval) -> bool:
        """Tell whether some number lies in both."""
        first, second = sorted((self, other), key=lambda one: (one.low, not one.with_low))
        return second.low < first.high or (second.low == first.high and second.with_low and first.with_high)


@dataclass(frozen=True)
class LabelScheme:
    """Classes in order, and how annotation becomes a class: by `mapping`, by `intervals`, or by `columns`.

    `mapping` goes from a value of `column` to a class, `intervals` from a class to the numbers of `column` that
    it takes ("[-0.5, 0.5]"). `columns` goes from each label to a column of numbers, and makes the scheme
    multi-label: a label holds where its column is above `above`. What no rule takes is outside the scheme.

    >>> scheme = LabelScheme("valence", "sentiment", ("bad", "good"), {"negative": "bad", "positive": "good"})
    >>> scheme.encode([{"sentiment": "positive"}, {"sentiment": "neutral"}])
    [1, -100]
    >>> both = LabelScheme("two", labels=("sad", "glad"), columns={"sad": "sadness", "glad": "happiness"})
    >>> both.task, both.encode([{"sadness": 0.0, "happiness": 0.0}, {"sadness": 1.0, "happiness": None}])
    ('multi-label', [[0, 0], [-100, -100]])
    """

    name: str
    column: str | None = None
    labels: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    above: float = 0.0

    def __post_init__(self):
        where = f"scheme {self.name}"
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            raise UsageError("labels must be distinct, and at least one", where=where, got=", ".join(self.labels))
        if self.columns:
            if set(self.columns) != set(self.labels) or self.column or self.mapping or self.intervals:
                raise UsageError("a multi-label scheme names one column for each label, and nothing else", where=where,
                                 expected=", ".join(self.labels), got=", ".join(self.columns))
            if math.isnan(self.above):
                raise UsageError("this threshold is no number", where=where, expected="above = 0.5", got="nan")
            return
        if not self.column or bool(self.mapping) == bool(self.intervals):
            raise UsageError("a scheme has a column, and either a mapping or intervals", where=where,
                             expected="column, and [mapping] or [intervals]; or [columns]",
                             got=", ".join(name for name in ("column", "mapping", "intervals") if getattr(self, name)))
        unknown = sorted((set(self.mapping.values()) | set(self.intervals)) - set(self.labels))
        if unknown:
            raise UsageError("a rule names classes that are not in labels", where=where,
                             expected=", ".join(self.labels), got=", ".join(unknown))
        self._check_intervals(where)

    def _check_intervals(self, where: str) -> None:
        try:
            pieces = list(self._pieces.items())
        except ValueError as error:
            raise UsageError("an interval cannot be read", where=where, got=str(error),
                             expected="[low, high) and the like, inf allowed") from error
        for number, (label, piece) in enumerate(pieces):
            for other, second in pieces[:number]:
                if piece.meets(second):
                    raise UsageError("two intervals overlap", where=where, got=f"{other} and {label}")

    @cached_property
    def _pieces(self) -> dict[str, Interval]:
        return {label: Interval.read(text) for label, text in self.intervals.items()}

    @property
    def task(self) -> str:
        return MULTI if self.columns else SINGLE

    @property
    def reads(self) -> tuple[str, ...]:
        """The annotation columns that it looks at."""
        return tuple(self.columns[label] for label in self.labels) if self.columns else (self.column,)

    @property
    def index_column(self) -> str:
        """The column of the index that holds this scheme's class numbers, e.g. `y_meld_7`."""
        return "y_" + re.sub(r"[^A-Za-z0-9]+", "_", self.name)

    @property
    def outside(self) -> int | list[int]:
        """What a row outside the scheme has in `index_column`."""
        return [OUTSIDE] * len(self.labels) if self.columns else OUTSIDE

    def encode(self, annotations: Iterable[Mapping[str, Any]]) -> list:
        """Return each row's class number in the order of `labels`; multi-label: a list of 0 and 1 a row.

        A row that is outside the scheme has OUTSIDE (−100), or a list of it.
        """
        if self.columns:
            reads = self.reads
            return [self.outside if None in (values := [row.get(column) for column in reads])
                    else [int(value > self.above) for value in values] for row in annotations]
        column, values = self.column, {}
        found = []
        for row in annotations:
            value = row.get(column)
            if value not in values:  # a million rows have a few hundred values
                values[value] = OUTSIDE if value is None else self._number(value)
            found.append(values[value])
        return found

    def _number(self, value: Any) -> int:
        if self.intervals:
            # Strings are no numbers, and NaN lies in no interval.
            hit = next((label for label, piece in self._pieces.items()
                        if isinstance(value, (int, float)) and value in piece), None)
        else:
            # A mapping in TOML or JSON has text for keys, also over a column of numbers.
            hit = self.mapping.get(value if type(value) is str else str(value))
        return OUTSIDE if hit is None else self.labels.index(hit)

    def check_values(self, rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
        """Return notes on mapped values that do not occur; raise UsageError where no row is in the scheme."""
        rows = list(rows)
        if rows and all(code == self.outside for code in self.encode(rows)):
            there = {str(row.get(column)) for row in rows[:10_000] for column in self.reads}
            raise UsageError("no row falls into this label scheme",
                             where=f"scheme {self.name}, column {', '.join(self.reads)}",
                             expected=", ".join(sorted(there)[:10]),
                             got=", ".join([*self.mapping, *self.intervals.values()]) or "numbers")
        if not self.mapping:
            return ()
        there = {str(row.get(self.column)) for row in rows}
        lost = [value for value in self.mapping if value not in there]
        return (f"scheme {self.name}: no row has {self.column} {', '.join(lost)}",) if rows and lost else ()

    def to_json(self) -> dict[str, Any]:
        rule = {"columns": dict(self.columns), "above": self.above} if self.columns else \
            {"column": self.column, **({"mapping": dict(self.mapping)} if self.mapping
                                       else {"intervals": dict(self.intervals)})}
        return {"task": self.task, "labels": list(self.labels), **rule}

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any], where: str = "") -> LabelScheme:
        """Read a scheme as a manifest or a TOML file has it."""
        def table(key):
            return {str(left): str(right) for left, right in data.get(key, {}).items()}
        # A misspelt `above` would leave its default standing, and all labels wrong.
        if unknown := sorted(set(data) - _KEYS):
            raise UsageError("a label scheme has no such entry", where=where or f"scheme {name}",
                             expected=", ".join(sorted(_KEYS)), got=", ".join(unknown))
        try:
            column = data.get("column")
            scheme = cls(name, None if column is None else str(column), tuple(str(label) for label in data["labels"]),
                         table("mapping"), table("intervals"), table("columns"), float(data.get("above", 0)))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError("this label scheme is incomplete", where=where or f"scheme {name}",
                             expected="labels = [...], and column with [mapping] or [intervals], or [columns]",
                             got=", ".join(map(str, data)) or "nothing") from error
        if data.get("task", scheme.task) != scheme.task:
            raise UsageError("this task is not that of the scheme's rule", where=where or f"scheme {name}",
                             expected=scheme.task, got=str(data["task"]))
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


def choose_scheme(name: str | None, schemes: Mapping[str, LabelScheme], columns: Mapping[str, str]) -> LabelScheme:
    """Return the scheme that `--labels NAME` asks for: the first one unless named, or a TOML file's.

    `columns` are the annotation columns at hand with their types; a scheme over another column, over lists, or over
    text where it needs numbers, is refused.
    """
    if name is None:
        if not schemes:
            raise UsageError("there is no label scheme here", where="--labels",
                             expected="a column of emotions, or a .toml file",
                             remedy="--labels FILE.toml says which column holds which classes")
        return next(iter(schemes.values()))
    if name in schemes:
        return schemes[name]
    if not name.endswith(".toml"):
        raise UsageError("this label scheme is not known", where="--labels",
                         expected=" or ".join([*schemes, "a .toml file"]), got=name)
    scheme, numbers = read_scheme(Path(name)), [column for column, kind in columns.items() if kind in _NUMBERS]
    columns = [column for column, kind in columns.items() if kind != "strings"]
    if scheme.name in schemes or not re.fullmatch(r"[A-Za-z0-9_-]+", scheme.name):
        raise UsageError("a scheme of one's own needs a name of its own", where=name, got=scheme.name,
                         expected=f"letters, digits, '_' and '-', and none of {', '.join(schemes)}")
    if missing := [column for column in scheme.reads if column not in columns]:
        raise UsageError("the scheme reads a column that the corpus does not have", where=name,
                         expected=", ".join(columns), got=", ".join(missing))
    if not scheme.mapping and (texts := [column for column in scheme.reads if column not in numbers]):
        raise UsageError("the scheme needs numbers, and this column holds text", where=name,
                         expected=", ".join(numbers) or "a column of numbers", got=", ".join(texts))
    return scheme
