"""Which split each utterance goes to, decided before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.errors import UsageError
from emoprep.labels import MULTI, OUTSIDE, LabelScheme, choose_scheme
from emoprep.methods.stratify import connected_groups, stratify
from emoprep.protocols import AS_IT_IS, assign_splits, protocol_notes
from emoprep.split.source import Source, open_source
from emoprep.utterance import SPLITS

__all__ = ["SplitPlan", "percent", "plan_split"]

DEV, TEST = 0.1, 0.2

TOLERANCE = 0.02
"""A share that is further off than this is told."""

UNSPLIT = "none"
"""What utterances are counted under that a protocol leaves without a split."""


@dataclass(frozen=True)
class SplitPlan:
    """The new split of each row (None where a protocol names none), and what each split then holds.

    `parts` has the counts and shares of each split, `whole` those of all rows; a class's share is one of the
    utterances that count and are in the scheme.
    """

    source: Source
    splits: tuple[str | None, ...]
    scheme: LabelScheme | None
    facts: dict[str, Any]
    parts: dict[str, dict[str, Any]]
    whole: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def deviation(self) -> dict[str, Any] | None:
        """The class whose share in a split differs most from its share in all; None without classes."""
        found = [{"split": name, "label": label, "share": share, "in_all": self.whole["shares"][label]}
                 for name, part in self.parts.items() for label, share in part["shares"].items()]
        return max(found, key=lambda one: abs(one["share"] - one["in_all"]), default=None)

    @property
    def unmet(self) -> tuple[str, ...]:
        """What is not as it was asked for: shares more than 2 points off, and classes that a split lacks.

        A protocol asks for no shares: it is what it is.
        """
        told = []
        if self.facts["settings"]["protocol"] is not None:
            return ()
        for name, part in self.parts.items():
            asked = part["asked"]
            if asked is not None and abs(part["share"] - asked) > TOLERANCE:
                told.append(f"{name} has {percent(part['share'])} of the utterances, asked was {percent(asked)}")
            # One utterance more or less is as near as a share can come.
            near = max(TOLERANCE, 1 / max(1, part["utterances"] - part["uncounted"]))
            off = [f"{label} is {percent(share)} there, {percent(in_all)} in all" for label, share in
                   part["shares"].items() if abs(share - (in_all := self.whole["shares"][label])) > near
                   or (in_all and not share)]
            told += [f"{name}: {', '.join(off)}"] if off else []
        return tuple(told)

    def to_json(self) -> dict[str, Any]:
        asked = {name: self.facts["settings"][name] for name in ("by", "protocol", "dev", "test", "seed")}
        return {"schema": "emoprep.split/1", "corpus": self.source.corpus, "kind": self.source.kind, **asked,
                "task": self.scheme.task if self.scheme else None,
                "label_scheme": self.scheme.name if self.scheme else None,
                "labels": list(self.scheme.labels) if self.scheme else [], "splits": self.parts, "all": self.whole,
                "largest_deviation": self.deviation, "unmet": list(self.unmet), "notes": list(self.notes),
                "seconds": round(self.source.seconds, 3), "estimated_bytes": self.source.bytes}


def percent(share: float) -> str:
    """Return a share as a person reads it.

    >>> percent(0.9993)
    '99.9 %'
    """
    return f"{100 * share:.1f} %"


def plan_split(path: Path, *, by: str | None = None, protocol: str | None = None, dev: float | None = None,
               test: float | None = None, seed: int = 0, labels: str | None = None, corpus: str | None = None
               ) -> SplitPlan:
    """Decide the split of each row; nothing is written.

    Either a `protocol` of the corpus says it, or it is drawn: `by` "speaker" (unless said otherwise; no speaker
    and no dialogue is then in two splits), "dialogue" or a column of the annotation, with `dev` and `test` as
    shares of the utterances (0.1 and 0.2), and with the same shares of the classes of the label scheme `labels`
    in each split. Raises UsageError where that cannot be.
    """
    source = open_source(path, corpus=corpus)
    scheme = choose_scheme(labels, source.schemes, source.types) if labels is not None or source.schemes else None
    rows, notes = _labelled(source, scheme, check=labels is not None)
    if protocol is None:
        by, asked = by or "speaker", _asked(dev, test)
        groups = _groups(source, by)
        splits = _drawn(rows, by, groups, asked, seed)
    else:
        _refuse_beside(protocol, by=by, dev=dev, test=test, seed=seed or None)
        groups, asked = connected_groups(zip(source.dialogues)), {}
        splits, _ = assign_splits([None] * len(groups), source.dialogues, corpus=source.corpus, protocol=protocol)
        notes = (*notes, *protocol_notes(source.corpus, protocol, splits)[1:])
    # What all this is for: no group is torn apart, whatever decided the splits.
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    settings = {"by": by, "protocol": protocol, "dev": asked.get("dev"), "test": asked.get("test"),
                "seed": seed if asked else None, "labels": scheme.name if scheme else None,
                "label_scheme": scheme.to_json() if scheme else None, **source.kept}
    parts = {name or UNSPLIT: {"asked": asked.get(name), **rows.part([split == name for split in splits])}
             for name in (*SPLITS, None) if name in splits}
    return SplitPlan(source, tuple(splits), scheme,
                     {"command": "split", "settings": settings, "inputs": dict(source.inputs)}, parts,
                     rows.part([True] * len(groups)), notes)


def _asked(dev: float | None, test: float | None) -> dict[str, float]:
    """Return the share of each split."""
    dev, test = DEV if dev is None else dev, TEST if test is None else test
    # Not "if dev < 0": of NaN that would be false.
    if not (dev >= 0 and test >= 0 and 0 < dev + test < 1):
        raise UsageError("these shares cannot be", where=f"--dev {dev} --test {test}",
                         expected="shares such as 0.1 and 0.2 that leave something for train, not both 0")
    return {"train": round(1 - dev - test, 12), "dev": dev, "test": test}


def _refuse_beside(protocol: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError("a protocol draws nothing and has its own shares", where=f"--{name}",
                             got=f"--protocol {protocol}", remedy="leave one of the two out")
    if protocol == AS_IT_IS:
        raise UsageError("this protocol makes no splits", where="--protocol", got=protocol)


@dataclass(frozen=True)
class _Rows:
    """The rows of IN: which count for classes (`inside` [N]), and which have each label (`positive` [N, K]).

    A row that is masked, has no sample or is outside the scheme counts for the size of a split only.
    """

    source: Source
    scheme: LabelScheme | None
    inside: np.ndarray
    positive: np.ndarray

    @property
    def none(self) -> np.ndarray:
        """Which rows could have labels and have none [N]."""
        return self.inside & ~self.positive.any(axis=1)

    def part(self, members: Sequence[bool]) -> dict[str, Any]:
        """Return the counts and shares of some rows."""
        chosen = np.array(members)
        rows, total = np.flatnonzero(chosen), int((self.inside & chosen).sum())
        counts = dict(zip(self.scheme.labels if self.scheme else (), self.positive[chosen].sum(axis=0).tolist(),
                          strict=True))
        part = {"utterances": len(rows), "share": len(rows) / len(chosen),
                "dialogues": len({self.source.dialogues[row] for row in rows}),
                "speakers": len({self.source.speakers[row] for row in rows} - {""}), "counts": counts,
                "shares": {label: count / total if total else 0.0 for label, count in counts.items()},
                "uncounted": len(rows) - total}
        if self.scheme is not None and self.scheme.task == MULTI:
            part["none"] = int((self.none & chosen).sum())
        return part


def _labelled(source: Source, scheme: LabelScheme | None, *, check: bool) -> tuple[_Rows, tuple[str, ...]]:
    """Return the rows with their labels, and notes."""
    notes = ("IN has splits; they were not looked at",) if source.has_splits else ()
    if scheme is None:
        return _Rows(source, None, source.counted, np.zeros((len(source.counted), 0), bool)), notes
    annotations = [dict(zip(scheme.reads, values, strict=True))
                   for values in zip(*(source.columns[name] for name in scheme.reads), strict=True)]
    if check:
        notes = (*notes, *scheme.check_values(annotations))
    codes = np.array(scheme.encode(annotations)).reshape(len(annotations), -1)
    inside = source.counted & (codes[:, 0] != OUTSIDE)
    positive = codes == (1 if scheme.task == MULTI else np.arange(len(scheme.labels)))
    return _Rows(source, scheme, inside, positive & inside[:, None]), notes


def _groups(source: Source, by: str) -> list[int]:
    """Return the group of each row: what is to stay in one split."""
    if by == "dialogue":
        return _in_order(connected_groups(zip(source.dialogues)), source.dialogues)
    known = ["speaker", "dialogue", *(name for name, kind in source.types.items() if kind != "strings")]
    if by not in known:
        raise UsageError("not known", where="--by", expected=" or ".join(known), got=by)
    values = source.speakers if by == "speaker" else source.columns[by]
    if unknown := sum(value is None or value != value or not str(value).strip() for value in values):
        raise UsageError(f"the {by} is not known of every utterance", where=f"--by {by}",
                         got=f"{unknown} of {len(values)} without",
                         remedy="--by dialogue keeps dialogues whole, whoever speaks in them")
    return _in_order(connected_groups(zip(source.dialogues, values, strict=True)), source.dialogues)


def _in_order(groups: Sequence[int], dialogues: Sequence[str]) -> list[int]:
    """Number the groups by the first of their dialogues' names, so that the order of the rows decides nothing.

    >>> _in_order([0, 1, 0, 2], ["d1", "d2", "d0", "d3"]), _in_order([0, 1, 2], ["d2", "d3", "d1"])
    ([0, 1, 0, 2], [1, 2, 0])
    """
    first: dict[int, str] = {}
    for group, dialogue in zip(groups, dialogues, strict=True):
        first[group] = min(dialogue, first.get(group, dialogue))
    number = {group: number for number, group in enumerate(sorted(first, key=first.__getitem__))}
    return [number[group] for group in groups]


def _drawn(rows: _Rows, by: str, groups: Sequence[int], asked: dict[str, float], seed: int) -> list[str]:
    """Return the split of each row, drawn."""
    columns = rows.positive
    if rows.scheme is not None and rows.scheme.task == MULTI:
        columns = np.column_stack([columns, rows.none])
    sizes, classes = np.bincount(groups), np.zeros((max(groups) + 1, columns.shape[1]), np.int64)
    np.add.at(classes, groups, columns)
    _check_largest(rows.source, by, groups, sizes, asked)
    of_group = stratify(sizes, classes, asked, seed=seed)
    return [of_group[group] for group in groups]


def _check_largest(source: Source, by: str, groups: Sequence[int], sizes: np.ndarray, asked: dict[str, float]) -> None:
    """Raise UsageError where one group leaves the smaller splits less than half of what they should have."""
    share, most = sizes.max() / sizes.sum(), (1 + max(asked.values())) / 2
    if share <= most:
        return
    largest = np.array(groups) == sizes.argmax()
    dialogues = len(set(np.array(source.dialogues, object)[largest]))
    told = f"{percent(share)} in {dialogues} dialogues" if dialogues > 1 else f"{percent(share)} in one dialogue"
    if by == "speaker" and dialogues > 1:
        speakers = Counter(np.array(source.speakers, object)[largest].tolist())
        told += f" linked by {len(speakers)} speakers ({', '.join(name for name, _ in speakers.most_common(3))} …)"
    raise UsageError(
        "what is to stay in one piece is too large", where=f"--by {by}", got=told,
        expected=f"at most {percent(most)} of the utterances",
        remedy="smaller --dev and --test" if dialogues == 1 else "--by dialogue keeps dialogues whole and no more")
