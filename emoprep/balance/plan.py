"""What balancing does to each train item, decided before anything is written, as a pure value.

A plan has one row a train item: those that stay, those that go, and those that are made, each naming its
parents. Made items are spread evenly among the dialogues: appended class by class, they would reach a trainer
that reads in order as long runs of one class.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.balance.problem import Input, open_input
from emoprep.class_weights import ClassWeights, class_weights, parse_scheme
from emoprep.contracts import Decision, Modality, Problem, find
from emoprep.errors import EmoprepError, UsageError
from emoprep.labels import OUTSIDE, LabelScheme, choose_scheme
from emoprep.nonfinite import check_policy, replace_nonfinite
from emoprep.targets import decide_targets
from emoprep.utterance import child_seed

if TYPE_CHECKING:
    import pyarrow

__all__ = ["BalancePlan", "Items", "plan_balance"]

PLACEMENTS = ("orphan",)
OUTSIDES = ("mask", "drop")
SUFFIX = {"repeat": "rep", "interpolate": "smote"}
"""How the key of a made item ends, by its op: `<base>__smote1`, `<base>__rep2`."""


@dataclass(frozen=True)
class Items:
    """The train items in the order of the new store; those that are dropped stand where they stood.

    `row` int64 [n] is the train row that an item is (or is made of), `made` int64 [n] its number in the
    decision (−1: not made). `copy` counts the items made of one base from 1.
    """

    key: list[str]
    op: list[str]
    row: np.ndarray
    made: np.ndarray
    copy: np.ndarray
    loss_mask: np.ndarray

    @property
    def staying(self) -> np.ndarray:
        return np.flatnonzero(np.array(self.op) != "drop")


@dataclass(frozen=True)
class BalancePlan:
    """What balancing will do. `decision` is None for a dry run without the features that parents need."""

    source: Input
    strategy: str
    makes: str
    scheme: LabelScheme
    facts: dict[str, Any]
    before: dict[str, float]
    requested: dict[str, int]
    after: dict[str, float]
    weights: ClassWeights
    seed: int
    renorm: str
    keys: tuple[str, ...]
    y: np.ndarray
    decision: Decision | None
    items: Items | None
    features: dict[str, Modality] | None
    seconds: np.ndarray | None
    notes: tuple[str, ...]
    imputed: bool = False

    @property
    def shortfall(self) -> dict[str, float]:
        """What a class lacks to (or has above) its request."""
        return {label: self.requested[label] - self.after[label] for label in self.scheme.labels
                if self.requested[label] != self.after[label]}

    def estimate(self) -> dict[str, float]:
        """Return how many seconds of speech the new train split has, and about how many bytes it will take."""
        seconds = self.source.train_seconds()
        pieces = [piece for piece in (*self.source.manifest.shards, *self.source.manifest.tables)
                  if piece["split"] == "train"]
        a_row = sum(piece["size"] for piece in pieces) / max(1, sum(piece["utterances"] for piece in pieces))
        if self.items is None:  # parents are not drawn yet: the new rows are as long as the old ones are on average
            factor = sum(self.after.values()) / max(1, sum(self.before.values()))
            return {"seconds": round(float(seconds.sum()) * factor, 3),
                    "estimated_bytes": round(a_row * len(seconds) * factor)}
        staying = self.items.row[self.items.staying]
        return {"seconds": round(float(seconds[staying].sum()), 3), "estimated_bytes": round(a_row * len(staying))}

    def to_json(self) -> dict[str, Any]:
        return {"schema": "emoprep.balance/1", "corpus": self.source.manifest.corpus, "strategy": self.strategy,
                "label_scheme": self.scheme.name, "labels": list(self.scheme.labels), "before": self.before,
                "requested": self.requested, "after": self.after, "shortfall": self.shortfall,
                "weights": dict(self.weights.weights), "notes": list(self.notes)}

    def table(self) -> pyarrow.Table:
        """Return the plan as the rows of plan.parquet."""
        import pyarrow

        items, decision = self.items, self.decision
        is_made = items.made >= 0
        number = np.where(is_made, items.made, 0)

        def of_made(values, kind):
            found = values[number] if len(values) else np.zeros(len(number))
            return pyarrow.array(found, kind, mask=~is_made)
        neighbors = [self.keys[decision.neighbor[at]] if at >= 0 and decision.neighbor[at] >= 0 else None
                     for at in items.made]
        bases = [self.keys[row] if made >= 0 else None for row, made in zip(items.row, items.made, strict=True)]
        seeds = [child_seed(self.seed, self.strategy, base, int(copy)) if base is not None else None
                 for base, copy in zip(bases, items.copy, strict=True)]
        parameters = [json.dumps({"renorm": self.renorm}) if op == "interpolate" and self.renorm != "off" else "{}"
                      for op in items.op]
        lam = decision.lam
        return pyarrow.table({
            "key": items.key, "op": items.op, "base": pyarrow.array(bases, pyarrow.string()),
            "neighbor": pyarrow.array(neighbors, pyarrow.string()),
            "lambda": pyarrow.array([None if value is None or np.isnan(value) else value
                                     for value in of_made(lam, pyarrow.float64()).to_pylist()], pyarrow.float64()),
            "copy": pyarrow.array(items.copy, pyarrow.int32()),
            "repeat": pyarrow.array(np.array(items.op) != "drop", pyarrow.bool_()).cast(pyarrow.int32()),
            "seed": pyarrow.array(seeds, pyarrow.int64()), "parameters": parameters,
            "loss_mask": pyarrow.array(items.loss_mask, pyarrow.float32())})


def plan_balance(source: Path | Input, *, strategy: str, labels: str | None = None, target: str | None = None,
                 scheme: str = "balanced", normalize: str | None = None, max_ratio: float | None = None,
                 placement: str = "orphan", outside: str = "mask", split: str = "train",
                 nonfinite: str | None = None, seed: int = 0, given: Mapping[str, Any] | None = None,
                 corpus: str | None = None, options: Mapping[str, str] | None = None,
                 counts_only: bool = False, extracted: Mapping[str, Any] | None = None) -> BalancePlan:
    """Decide what happens to each train item; nothing is written.

    `given` are options of the strategy itself; one that it does not read is refused. With `counts_only`,
    features that are not there yet do not matter: no parents are drawn. `extracted` are the settings of
    features that balance takes by itself; they are part of the fingerprint.
    """
    if split != "train":
        raise UsageError("only train is ever balanced", where=f"--split {split}", expected="train",
                         remedy="dev and test must stay as the world is, or the results on them mean nothing")
    module = find("strategies", strategy, "--strategy")
    given = _own_options(module, given or {}, target, nonfinite)
    nonfinite = check_policy(nonfinite or "impute-median")
    parse_scheme(scheme)
    _one_of("--placement", placement, PLACEMENTS)
    _one_of("--outside", outside, OUTSIDES)
    opened = source if isinstance(source, Input) else open_input(source, corpus=corpus, options=options)
    label_scheme = choose_scheme(labels, opened.manifest.schemes, opened.manifest.annotation)
    train = opened.rows("train")
    _check_train(opened, train, module)
    annotation = train.column(label_scheme.column).to_pylist()
    y = np.array(label_scheme.encode({label_scheme.column: value} for value in annotation), np.int16)
    mask = train.column("loss_mask").to_numpy()
    features, notes = None, list(label_scheme.check_values(set(annotation))) if labels is not None else []
    if opened.kind == "shards":
        # An utterance without a sample is in no trainer's loss, and nothing can be copied from it.
        uncut = train.column("shard").is_null().to_numpy()
        mask = np.where(uncut, 0, mask)
        notes += [f"train utterances without a sample, which do not count: {uncut.sum()}"] if uncut.any() else []
    before = _counts(y, mask, label_scheme.labels)
    targets = dict(before)
    if module.DIRECTION != "none":
        counts = {name: int(count) for name, count in before.items()}
        targets = decide_targets("auto" if target is None else target, counts, module.DIRECTION)
    imputed = False
    if module.DIRECTION != "none" and opened.kind == "features":
        features, mended = replace_nonfinite(opened.features(), nonfinite, train.column("key").to_pylist())
        notes, imputed = notes + mended, bool(mended)
    keys = tuple(train.column("key").to_pylist())
    # A masked row is context: it does not count, and is nobody's parent.
    problem = Problem(keys, tuple(train.column("dialogue").to_pylist()), np.where(mask > 0, y, OUTSIDE),
                      label_scheme.labels, targets, seed, given, features if module.NEEDS == "features" else None,
                      opened.train_seconds())
    known = module.NEEDS == "labels" or features is not None
    if not known and not counts_only:
        raise UsageError(f"{strategy} needs features, and IN has none", where=opened.where,
                         remedy="run `emoprep segment` and `emoprep features` first, or --dry-run for the counts")
    decision = module.decide(problem) if known else None
    notes += [f"made items without {name}, because their base has none: {lacking}"
              for name, modality in (features or {}).items() if (lacking := (~modality.present[decision.base]).sum())]
    items = _items(problem, decision, y, mask, outside, train) if known else None
    after = _counts(y[items.row], items.loss_mask, label_scheme.labels) if known else {
        name: float(targets[name]) for name in targets}
    facts = {"command": "balance", "inputs": dict(opened.inputs), "settings": {
        "strategy": strategy, "labels": label_scheme.name, "label_scheme": label_scheme.to_json(),
        "target": None if module.DIRECTION == "none" else "auto" if target is None else target, "scheme": scheme,
        "normalize": normalize, "max_ratio": max_ratio, "placement": placement, "outside": outside,
        "nonfinite": nonfinite, "seed": seed, **{**module.OPTIONS, **given},
        **({"features": dict(extracted)} if extracted else {})}}
    return BalancePlan(
        opened, strategy, module.MAKES, label_scheme, facts, _whole(before), _whole(targets), _whole(after),
        class_weights(_whole(after), scheme, normalize=normalize, max_ratio=max_ratio), seed,
        str(given.get("renorm", "off")), keys, y, decision, items, features, problem.seconds,
        (*notes, *(decision.notes if decision else ())), imputed)


def _own_options(module, given: Mapping[str, Any], target: str | None, nonfinite: str | None) -> dict[str, Any]:
    given = {name: value for name, value in given.items() if value is not None}
    foreign = sorted(set(given) - set(module.OPTIONS))
    changes_train = module.DIRECTION != "none"
    if not changes_train:
        foreign += [name for name, value in (("target", target), ("nonfinite", nonfinite)) if value is not None]
    if foreign:
        known = [*module.OPTIONS, *(["target", "nonfinite"] if changes_train else [])]
        raise UsageError(f"{module.NAME} does not read this option", where=_flag(foreign[0]),
                         expected=", ".join(map(_flag, known)) or "none of its own",
                         remedy="leave it out, or choose another --strategy")
    return given


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _one_of(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError("not known", where=option, expected=" or ".join(known), got=value)


def _check_train(opened: Input, train: pyarrow.Table, module) -> None:
    where = opened.where
    if not train.num_rows:
        raise UsageError("there is no train split, and dev and test are never balanced", where=where,
                         got=", ".join(str(name) for name in opened.manifest.counts) or "no utterance")
    made = set(train.column("op").to_pylist()) != {"keep"}
    if made and module.MAKES != "nothing":
        # Copies and synthetic rows would become parents: SMOTE would draw lines between an utterance and itself.
        raise UsageError("IN is balanced already", where=where,
                         got=(opened.manifest.balance or {}).get("strategy", "made rows"),
                         remedy="balance the store that it was made from, or use --strategy weights on this one")


def _counts(y: np.ndarray, mask: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    inside = y != OUTSIDE
    sums = np.bincount(y[inside], weights=mask[inside], minlength=len(labels))
    return dict(zip(labels, sums.tolist(), strict=True))


def _whole(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: int(count) if float(count).is_integer() else float(count) for name, count in counts.items()}


# --------------------------------------------------------------------------------------------- placing

def _items(problem: Problem, decision: Decision, y: np.ndarray, mask: np.ndarray, outside: str,
           train: pyarrow.Table) -> Items:
    """Put the items in order: dialogues as they come, and after each its share of the made items."""
    kept = np.array(decision.kept, dtype=object)
    kept[(y == OUTSIDE) & (kept == "keep")] = outside
    copies, counter = np.zeros(len(decision.base), np.int32), Counter()
    for number, base in enumerate(decision.base.tolist()):
        counter[base] += 1
        copies[number] = counter[base]
    made_keys = [f"{problem.keys[base]}__{SUFFIX[op]}{copy}" for base, op, copy in
                 zip(decision.base.tolist(), decision.op.tolist(), copies.tolist(), strict=True)]
    taken = set(problem.keys)
    if clash := next((key for key in made_keys if key in taken), None):
        raise EmoprepError("a made item would take a key that is there", where=clash)
    row, made = spread(problem.dialogues, decision.base, problem.seed)
    is_made = made >= 0
    key = [made_keys[number] if number >= 0 else problem.keys[at] for at, number in zip(row, made, strict=True)]
    op = [str(decision.op[number]) if number >= 0 else str(kept[at]) for at, number in zip(row, made, strict=True)]
    factor = np.where(np.isin(kept, ("drop", "mask")), 0.0, 1.0) * mask
    copy = np.where(is_made, copies[made] if len(copies) else 0, 0)
    return Items(key, op, row, made, copy.astype(np.int32), np.where(is_made, 1.0, factor[row]).astype(np.float32))


def spread(dialogues: Sequence[str], base: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (row, made) of all items in order: rows stay in order, made items fall evenly between dialogues.

    Which made item comes where is drawn, so that classes mix.

    >>> row, made = spread(["d1", "d1", "d2", "d3"], np.array([3, 0]), seed=0)
    >>> row.tolist(), made.tolist()
    ([0, 1, 0, 2, 3, 3], [-1, -1, 1, -1, -1, 0])
    """
    starts = [number for number in range(len(dialogues))
              if number == 0 or dialogues[number] != dialogues[number - 1]]
    ends = np.array([*starts[1:], len(dialogues)])
    order = np.random.default_rng(child_seed(seed, "spread", "", 0)).permutation(len(base))
    after = ((np.arange(len(base)) + 0.5) * len(ends) / max(len(base), 1)).astype(np.int64)
    at = ends[after]  # a made item comes right before the row that begins the next dialogue
    row = np.insert(np.arange(len(dialogues)), at, base[order])
    made = np.insert(np.full(len(dialogues), -1), at, order)
    return row, made
