"""The features in two dimensions, coloured by class, made rows marked, as in CBERL's figure 9."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from emoprep.labels import MULTI, OUTSIDE
from emoprep.report.contents import FeatureMap, Report
from emoprep.report.page.blocks import Cell, Column, Partial, Section, Table, class_cell, count_cell
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import count, percent, plural

WIDTH, LEAST, MOST, MARGIN = 1000, 420, 800, 16
SPARSE, CROWDED = 300, 1500  # points
STEPS = 9999
FAR_OUT = 3.0  # times the distance of the quartiles
CROSS = 5  # half of a made row's cross


class Marks(NamedTuple):
    """The points of a class: what is drawn for real rows, and for made ones; `number` is −100 for those without."""

    number: int
    label: str
    slot: int | None
    real: str
    made: str
    rows: int


def feature_map(report: Report) -> Section | None:
    """Return the section of the map, None where there is none."""
    found = report.feature_map
    if found is None:
        return None
    framed = frame(found.xy)
    x, y = framed.px(found.xy)
    marks = _marks(found, x, y, colour_slots(report.stats.scheme.labels))
    title = f"Map of {found.source}: {count(len(found.keys))} rows, {count(int(found.made.sum()))} of them made"
    data = {"marks": marks, "width": WIDTH, "height": framed.height, "points": _points(found, framed),
            "axes": _axes(found), "density": _density(len(found.keys)), "title": title,
            "caption": _caption(found, framed, report.stats.scheme.task == MULTI),
            "numbers": [_table(found, marks)],
            "any_made": bool(found.made.any())}
    return Section("map", "A map of the features", "Map", _lead(found), [Partial("map.html", data)])


def _lead(found: FeatureMap) -> str:
    made = int(found.made.sum())
    drawn = f"{count(len(found.keys))} of {count(found.of)}" if len(found.keys) < found.of else f"All {count(found.of)}"
    told = f"; balancing made {count(made)} of them" if made else ""
    trust = ("t-SNE keeps near ones near; how far apart others lie means little."
             if found.method == "tsne" else
             f"The two axes hold {percent(sum(found.explained))} of the variance: what lies far apart differs, and "
             "what lies together may differ in what is not drawn." if found.explained is not None else "")
    rows, copies = "train rows", ""
    if found.copies:
        rows = "train rows that are no copies,"
        copies = f" {plural(found.copies, 'row more is a copy and lies', 'rows more are copies and lie')} on " \
            f"{'its original' if found.copies == 1 else 'their originals'}."
    return f"{drawn} {rows} of {found.source}{told}.{copies} {trust}".strip()


def _caption(found: FeatureMap, framed: Frame, several: bool) -> str:
    beyond = int((np.clip(found.xy, *framed.bounds) != found.xy).any(axis=1).sum()) if len(found.keys) else 0
    edges = f" {plural(beyond, 'point lies', 'points lie')} beyond the edge and " \
        f"{'is' if beyond == 1 else 'are'} drawn at it." if beyond else ""
    rarest = " Of several labels it has the colour of the rarest." if several else ""
    marks = ("Each dot is an utterance, each cross one that balancing made; point at one to see its key, and at a "
             "cross to see its parents too." if found.made.any() else
             "Each dot is an utterance; point at one to see its key.")
    return f"{marks} Classes can be switched off and on.{rarest}{edges}"


def _density(drawn: int) -> str:
    """Return how crowded a map is, for the size and the strength of its marks."""
    return "sparse" if drawn <= SPARSE else "crowded" if drawn > CROWDED else ""


def _axes(found: FeatureMap) -> tuple[str, ...]:
    """Return the names of the axes; t-SNE has none that mean anything."""
    if found.method == "tsne":
        return ()
    shares = found.explained or (None, None)
    return tuple(f"PC {number}" + ("" if share is None else f" ({percent(share)})")
                 for number, share in enumerate(shares, 1))


class Frame(NamedTuple):
    """How coordinates become px of the drawing: x·scale + left, and top − y·scale, since y goes upward.

    `bounds` are the least and the largest x and y that are drawn; what lies beyond is drawn at the edge.
    """

    scale: float
    left: float
    top: float
    height: int
    bounds: tuple[tuple[float, float], tuple[float, float]]

    def px(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whole px, int [N] each, of points [N, 2]."""
        xy = np.clip(np.asarray(xy, np.float64).reshape(-1, 2), *self.bounds)
        return (np.rint(self.left + self.scale * xy[:, 0]).astype(int),
                np.rint(self.top - self.scale * xy[:, 1]).astype(int))


def frame(xy: np.ndarray) -> Frame:
    """Return the frame for points [N, 2], with one scale for both axes, so that distances are not distorted.

    One silent clip far away would press all others into a corner: what is more than three times the quartiles' distance
    outside of them (Tukey's far out) is beyond the edge.

    >>> frame(np.array([[0, 0], [2, 1]], np.float32))
    Frame(scale=484.0, left=16.0, top=500.0, height=516, bounds=((0.0, 0.0), (2.0, 1.0)))
    """
    xy = np.asarray(xy, np.float64).reshape(-1, 2)
    if not len(xy):
        return Frame(1.0, 0.0, 0.0, LEAST, ((0.0, 0.0), (0.0, 0.0)))
    first, third = np.quantile(xy, (0.25, 0.75), axis=0)
    low = np.maximum(xy.min(axis=0), first - FAR_OUT * (third - first))
    high = np.minimum(xy.max(axis=0), third + FAR_OUT * (third - first))
    span = high - low
    room = np.array([WIDTH, MOST]) - 2 * MARGIN
    scale = min((float(px / length) for px, length in zip(room, span, strict=True) if length), default=1.0)
    height = round(max(LEAST, scale * span[1] + 2 * MARGIN))
    middle = low + span / 2
    # The axis that did not set the scale has room to spare, for some that would be at an edge within the drawing.
    spare = np.maximum((np.array([WIDTH, height]) - 2 * MARGIN) / scale - span, 0) / 2
    low, high = np.maximum(xy.min(axis=0), low - spare), np.minimum(xy.max(axis=0), high + spare)
    return Frame(scale, float(WIDTH / 2 - scale * middle[0]), float(height / 2 + scale * middle[1]), height,
                 (tuple(low.tolist()), tuple(high.tolist())))


def _marks(found: FeatureMap, x: np.ndarray, y: np.ndarray, slots: Mapping[str, int]) -> list[Marks]:
    """Return the marks of each class, those of none and of large ones first, so that small classes lie on top."""
    made = []
    for number, label in [(OUTSIDE, "no class"), *enumerate(found.labels)]:
        of = np.asarray(found.y) == number
        real, born = np.flatnonzero(of & ~found.made), np.flatnonzero(of & found.made)
        if len(real) or len(born) or number != OUTSIDE:
            made.append(Marks(number, label, slots.get(label), dots(x[real], y[real]), crosses(x[born], y[born]),
                              len(real) + len(born)))
    return sorted(made, key=lambda marks: (marks.number != OUTSIDE, -marks.rows))


def dots(x: Sequence[int], y: Sequence[int]) -> str:
    """Return a path of lines without length, which round caps make dots of.

    >>> dots([1, 5], [2, 6])
    'M1 2h0M5 6h0'
    """
    return "".join(f"M{a} {b}h0" for a, b in zip(x, y, strict=True))


def crosses(x: Sequence[int], y: Sequence[int]) -> str:
    """Return a path of crosses.

    >>> crosses([10], [20])
    'M5 15l10 10m0-10l-10 10'
    """
    return "".join(f"M{a - CROSS} {b - CROSS}l{2 * CROSS} {2 * CROSS}m0-{2 * CROSS}l-{2 * CROSS} {2 * CROSS}"
                   for a, b in zip(x, y, strict=True))


def common_start(keys: Sequence[str]) -> str:
    """Return what all keys begin with, which the page then holds once.

    >>> common_start(["meld_train_dia0_utt0", "meld_train_dia12_utt3"])
    'meld_train_dia'
    """
    first, last = min(keys, default=""), max(keys, default="")
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _points(found: FeatureMap, framed: Frame) -> str:
    """Return what the script needs of each point, as JSON that cannot end its script element."""
    prefix = common_start(found.keys)
    # Coordinates are whole steps: the shortest way to write numbers of one size.
    xy = np.asarray(found.xy, np.float64).ravel()
    step = float(f"{np.abs(xy).max(initial=0) / STEPS or 1.0:.4g}")
    document: dict[str, Any] = {
        "labels": list(found.labels), "prefix": prefix, "keys": [key[len(prefix):] for key in found.keys],
        "frame": framed._asdict(), "step": step, "xy": np.rint(xy / step).astype(int).tolist(),
        "class": np.asarray(found.y).tolist(),
        "parents": {int(row): [parent for parent in found.parents[row].tolist() if parent >= 0]
                    for row in np.flatnonzero(found.made)}}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _table(found: FeatureMap, marks: Sequence[Marks]) -> Table:
    rows, axes = [], _axes(found)
    for mark in sorted(marks, key=lambda one: (one.number == OUTSIDE, one.number)):
        of = np.asarray(found.y) == mark.number
        middle = found.xy[of].mean(axis=0).tolist() if of.any() else [None, None]
        made = int((of & found.made).sum())
        rows.append([class_cell(mark.label, mark.slot), count_cell(int(of.sum()) - made), count_cell(made),
                     *[_coordinate(number) for number, _ in zip(middle, axes, strict=False)]])
    where = ", and where their middle lies" if axes else ""
    return Table(f"Points of each class{where}: {plural(len(found.keys), 'row')} drawn",
                 [Column("class", False), Column("real"), Column("made"),
                  *(Column(f"mean of {axis}") for axis in axes)], rows)


def _coordinate(number: float | None) -> Cell:
    return count_cell(number, 3)
