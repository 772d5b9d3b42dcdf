"""What a report shows, as values: gathered by this room's files, made a page of by `page/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.audit import AuditResult
from emoprep.errors import EmoprepError
from emoprep.stats import Comparison, Stats

__all__ = ["SECTIONS", "Absent", "Balancing", "FeatureMap", "Made", "Report", "Sample", "Wall", "name_of"]

SECTIONS = ("balancing", "map", "audit", "wall")
"""The sections that a report may lack, by the names that `missing` and `--json` have."""


class Absent(EmoprepError):
    """A section has nothing to show, and the page says why."""


def name_of(path: Path) -> str:
    """Return what a path is called on a page: its last two parts, so that nothing is told of the machine.

    >>> name_of(Path("/home/ida/shards/meld")), name_of(Path("meld"))
    ('shards/meld', 'meld')
    """
    return "/".join((path if path.name not in ("", "..") else path.resolve()).parts[-2:]).removeprefix("//")


@dataclass(frozen=True)
class Made:
    """One train item that balancing made: its key, class, what was done (`op`), and whose child it is.

    `lam` is λ of the interpolation base + λ (neighbor − base), None where nothing was interpolated; `parameters` are
    those of the plan (semitones, SNR …).
    """

    key: str
    label: str | None
    op: str
    base: str
    neighbor: str | None
    lam: float | None
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Balancing:
    """What balancing changed, from the manifest and the plan of a balanced store.

    `before`, `requested`, `after` count train items by class; `ops` counts the plan's rows by op; `weights` are those
    of the classes, None where there are none. `shortfall` says how many a class lacks of what was requested; where it
    has more than that, less than 0. `children` says how many parents have so many children (of all that were made),
    `most_used` which parents have most, as (key, class, children). `made` has some items of each class that were made,
    `made_total` of them, or changed in their own place, `changed_total` of them.

    Of several labels an item counts for each, so `items_before` and `items_after` count the items themselves; of the
    latter `in_loss` count in the loss, and `context` came with copied dialogues. `scheme` is the label scheme that
    balancing went by, `several` whether it has several labels an item; `upon` is the strategy that the store had been
    balanced by before.
    """

    strategy: str
    then: Sequence[str]
    settings: Mapping[str, Any]
    labels: Sequence[str]
    before: Mapping[str, float]
    requested: Mapping[str, float]
    after: Mapping[str, float]
    shortfall: Mapping[str, float]
    weights: Mapping[str, float] | None
    ops: Mapping[str, int]
    children: Mapping[int, int]
    most_used: Sequence[tuple[str, str | None, int]]
    made: Sequence[Made]
    made_total: int
    changed_total: int
    items_before: int
    items_after: int
    in_loss: int
    context: int
    scheme: str
    several: bool
    upon: str | None


@dataclass(frozen=True)
class FeatureMap:
    """Train rows of a feature store in two dimensions.

    `method` is "pca" or "tsne", `source` names the store and its modalities. `xy` is float32 [N, 2]; `y` int16 [N], the
    class of each, −100 where it has none; `made` bool [N]; `parents` int32 [N, 2], rows of this map, −1 where there is
    none or it is not drawn (a made row's parents are always drawn). `explained` are the shares of the variance that
    the two axes hold, None for t-SNE. `of` is how many rows there are, of which N are drawn; `copies` are how many more
    repeat one of these and lie where it lies.
    """

    method: str
    source: str
    labels: Sequence[str]
    xy: np.ndarray
    y: np.ndarray
    keys: Sequence[str]
    made: np.ndarray
    parents: np.ndarray
    explained: tuple[float, float] | None
    of: int
    copies: int


@dataclass(frozen=True)
class Sample:
    """One utterance to look at and listen to.

    `annotation` is the corpus's own; `labels` are its classes in the report's scheme (one, several or none).
    `strip` is a JPEG with a picture for each of `times` (in seconds from the utterance's start), four a row, `size` is
    its width and height in px; `sound` is MP3. Both are None where the utterance has none. `heard_seconds` is how much
    of the sound is there. `parents` are the keys of those it was made from.
    """

    key: str
    split: str | None
    dialogue: str | None
    turn: int | None
    speaker: str | None
    text: str
    labels: Sequence[str]
    annotation: Mapping[str, Any]
    seconds: float | None
    start: float | None
    end: float | None
    flags: Sequence[str]
    op: str
    parents: Sequence[str]
    parameters: Mapping[str, Any]
    strip: bytes | None = None
    size: tuple[int, int] = (0, 0)
    times: Sequence[float] = ()
    sound: bytes | None = None
    heard_seconds: float = 0.0


@dataclass(frozen=True)
class Wall:
    """For each class some samples of a store of shards, in the order of the labels."""

    source: str
    samples: Mapping[str, Sequence[Sample]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    `names` are those of IN and, for a pair, of the other; `audits` has the result for each name, and for the store
    whose samples are shown where its media were asked for. `balancing`, `feature_map` and `wall` are None where
    IN has nothing for them; `missing` says why, by the name of the section.
    """

    names: Sequence[str]
    corpus: str
    figures: Stats | Comparison
    audits: Mapping[str, AuditResult]
    balancing: Balancing | None
    feature_map: FeatureMap | None
    wall: Wall | None
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    licence: str = ""
    citation: str = ""

    @property
    def sections(self) -> list[str]:
        """Which of SECTIONS are there, the figures before them."""
        return ["figures", *(name for name in SECTIONS if name not in self.missing)]

    @property
    def stats(self) -> Stats:
        """The figures of IN (of a pair, of the first)."""
        return self.figures.before if isinstance(self.figures, Comparison) else self.figures
