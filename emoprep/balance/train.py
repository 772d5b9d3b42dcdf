"""The train rows that are to be balanced: their classes, loss masks and features, checked."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emoprep.balance.problem import Input
from emoprep.balance.steps import Step
from emoprep.contracts import Modality
from emoprep.errors import EmoprepError, UsageError
from emoprep.labels import MULTI, OUTSIDE, LabelScheme
from emoprep.methods.nonfinite import replace_nonfinite

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Train", "class_counts", "read_train"]


@dataclass(frozen=True)
class Train:
    """The train rows in the index's order: classes (as `Problem.y`), loss masks, seconds and features.

    `sessions` is None where the corpus has none. `uncut` bool [N] are rows of a store of shards that have no sample:
    they are in no trainer's loss, and nothing is copied from them. `imputed` tells whether features that were not
    finite were replaced.
    """

    keys: tuple[str, ...]
    dialogues: tuple[str, ...]
    texts: tuple[str, ...]
    speakers: tuple[str | None, ...]
    sessions: tuple[str | None, ...] | None
    y: np.ndarray
    mask: np.ndarray
    uncut: np.ndarray
    seconds: np.ndarray
    features: dict[str, Modality] | None
    imputed: bool
    notes: tuple[str, ...]

    @property
    def inside(self) -> np.ndarray:
        """Tell which rows the label scheme takes, bool [N]."""
        return self.y.reshape(len(self.y), -1)[:, 0] != OUTSIDE

    @property
    def counted(self) -> np.ndarray:
        """Return the classes with −100 also for masked rows: these are context, do not count, are nobody's parent."""
        return np.where(self.mask > 0, self.y.T, OUTSIDE).T.astype(self.y.dtype)


def read_train(opened: Input, steps: Sequence[Step], scheme: LabelScheme, *, check_scheme: bool,
               nonfinite: str) -> Train:
    """Read the train rows of IN, and their features where a step changes train and IN has some.

    Raises UsageError where there is no train split, and where it is balanced already.
    """
    train = opened.rows("train")
    _check_train(opened, train, any(step.module.MAKES != "nothing" for step in steps))
    _check_columns(opened, train, any(step.module.DIRECTION != "none" for step in steps))
    annotation = [dict(zip(scheme.reads, values, strict=True)) for values in
                  zip(*(train.column(name).to_pylist() for name in scheme.reads), strict=True)]
    notes = list(scheme.check_values(annotation)) if check_scheme else []
    keys = tuple(train.column("key").to_pylist())
    y = np.array(scheme.encode(annotation), np.int8 if scheme.task == MULTI else np.int16)
    mask, features, mended = train.column("loss_mask").to_numpy(), None, []
    uncut = train.column("shard").is_null().to_numpy() & (opened.kind == "shards")
    if uncut.any():
        mask = np.where(uncut, 0, mask)
        notes += [f"train utterances without a sample, which do not count: {uncut.sum()}"]
    if opened.kind == "features" and any(step.module.DIRECTION != "none" for step in steps):
        features, mended = replace_nonfinite(opened.features(), nonfinite, keys)
    sessions = tuple(map(str, train.column("session").to_pylist())) if "session" in train.column_names else None
    return Train(keys, *(tuple(train.column(name).to_pylist()) for name in ("dialogue", "text", "speaker")), sessions,
                 y, mask, uncut, opened.train_seconds(), features, bool(mended), (*notes, *mended))


def class_counts(y: np.ndarray, mask: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Return the sum of loss masks of each class, or of each label of several.

    >>> class_counts(np.array([0, 1, 1, -100]), np.array([1, 1, 0.5, 1]), ("joy", "fear"))
    {'joy': 1.0, 'fear': 1.5}
    """
    if y.ndim == 2:
        sums = ((y == 1) * mask[:, np.newaxis]).sum(axis=0, dtype=np.float64)
    else:
        inside = y != OUTSIDE
        sums = np.bincount(y[inside], weights=mask[inside], minlength=len(labels))
    return dict(zip(labels, sums.tolist(), strict=True))


def _check_columns(opened: Input, train: pyarrow.Table, changes: bool) -> None:
    """Raise EmoprepError for a loss mask, a list or an order of dialogues that no store of ours has."""
    mask = np.array(train.column("loss_mask").to_pylist(), dtype=np.float64)  # null becomes NaN
    wrong = ~(np.isfinite(mask) & (mask >= 0)) if not changes else ~np.isin(mask, (0, 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise EmoprepError("this loss_mask is not possible" if not changes else
                           "rows that count in part cannot be resampled", where=train.column("key")[row].as_py(),
                           expected="0 or 1" if changes else "a number from 0", got=f"loss_mask {mask[row]:g}",
                           remedy="use --strategy weights, or set loss_mask to 0 or 1" if changes else "mend the index")
    for name in ("groups", "flags"):
        if train.column(name).null_count:
            raise EmoprepError(f"{name} are lists, and one is missing", where=opened.where,
                               remedy="make the store again")
    dialogues = train.column("dialogue").to_pylist()
    runs = [name for name, _ in itertools.groupby(dialogues)]
    if len(runs) != len(set(runs)):
        raise EmoprepError("the rows of a dialogue do not lie together", where=opened.where,
                           got=str(next(name for name, times in Counter(runs).items() if times > 1)),
                           remedy="sort the rows by dialogue and turn")


def _check_train(opened: Input, train: pyarrow.Table, makes_items: bool) -> None:
    where = opened.where
    if not train.num_rows:
        if not any(opened.index.column("split").to_pylist()):
            # Copies and near twins of test rows would be in train: docs/evaluation.md has the measurement.
            raise UsageError("IN has no split, and only train is ever balanced (balanced before splitting, a random "
                             "forest on MELD's text seems to rise from 29 to 94 % macro F1: it has seen its test rows)",
                             where=where,
                             remedy="make one with `emoprep split IN OUT --by speaker --dev 0.1 --test 0.2`, or say "
                                    "--all-is-train if dev and test lie elsewhere")
        raise UsageError("there is no train split, and dev and test are never balanced", where=where,
                         got=", ".join(str(name) for name in opened.manifest.counts) or "no utterance")
    if makes_items and set(train.column("op").to_pylist()) != {"keep"}:
        # Copies and synthetic rows would become parents: SMOTE would draw lines between an utterance and itself.
        raise UsageError("IN is balanced already", where=where,
                         got=(opened.manifest.balance or {}).get("strategy", "made rows"),
                         remedy="balance the store that it was made from, or use --strategy weights on this one")
