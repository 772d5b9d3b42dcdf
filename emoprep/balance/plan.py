"""What balancing does to the train split, decided before anything is written, as a pure value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.balance.items import Items, place_items, plan_table
from emoprep.balance.problem import Input, open_input
from emoprep.contracts import Decision, Modality, Problem, find_strategy, settle
from emoprep.errors import UsageError
from emoprep.labels import MULTI, OUTSIDE, LabelScheme, choose_scheme
from emoprep.methods.class_weights import ClassWeights, class_weights, parse_scheme
from emoprep.methods.label_weights import LabelWeights, label_weights
from emoprep.methods.nonfinite import check_policy, replace_nonfinite
from emoprep.methods.targets import decide_targets
from emoprep.protocols import protocol_notes

if TYPE_CHECKING:
    import pyarrow

__all__ = ["BalancePlan", "plan_balance"]

PLACEMENTS = ("orphan",)
OUTSIDES = ("mask", "drop")


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
    weights: ClassWeights | LabelWeights
    seed: int
    renorm: str
    keys: tuple[str, ...]
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
        return plan_table(self.items, self.decision, self.keys, stage=self.strategy, seed=self.seed,
                          renorm=self.renorm)


def plan_balance(source: Path | Input, *, strategy: str, labels: str | None = None, target: str | None = None,
                 scheme: str = "balanced", normalize: str | None = None, max_ratio: float | None = None,
                 placement: str = "orphan", outside: str = "mask", split: str = "train",
                 nonfinite: str | None = None, seed: int = 0, given: Mapping[str, Any] | None = None,
                 corpus: str | None = None, options: Mapping[str, str] | None = None,
                 counts_only: bool = False, extracted: Mapping[str, Any] | None = None,
                 protocol: str | None = None, all_is_train: bool = False) -> BalancePlan:
    """Decide what happens to each train item; nothing is written.

    `given` are options of the strategy itself; one that it does not read is refused. With `counts_only`,
    features that are not there yet do not matter: no parents are drawn. `extracted` are the settings of
    features that balance takes by itself; they are part of the fingerprint. `protocol` and `all_is_train` are
    for an IN without splits, where `source` is a path.
    """
    if split != "train":
        raise UsageError("only train is ever balanced", where=f"--split {split}", expected="train",
                         remedy="dev and test must stay as the world is, or the results on them mean nothing")
    module = find_strategy(strategy, given or {})
    given = _own_options(module, given or {}, target, nonfinite)
    nonfinite = check_policy(nonfinite or "impute-median")
    parse_scheme(scheme)
    _one_of("--placement", placement, PLACEMENTS)
    _one_of("--outside", outside, OUTSIDES)
    opened = source if isinstance(source, Input) else open_input(
        source, corpus=corpus, options=options, protocol=protocol, all_is_train=all_is_train)
    label_scheme = choose_scheme(labels, opened.manifest.schemes, opened.manifest.annotation)
    _check_task(module, label_scheme, opened.manifest.schemes)
    train = _read_train(opened, module, label_scheme, check_scheme=labels is not None, nonfinite=nonfinite)
    before = _counts(train.y, train.mask, label_scheme.labels)
    targets = dict(before)
    if module.DIRECTION in ("over", "under"):
        counts = {name: int(count) for name, count in before.items()}
        targets = decide_targets("auto" if target is None else target, counts, module.DIRECTION)
    # A masked row is context: it does not count, and is nobody's parent.
    inside = train.y.reshape(len(train.y), -1)[:, 0] != OUTSIDE
    counted = np.where(train.mask > 0, train.y.T, OUTSIDE).T
    problem = Problem(train.keys, train.dialogues, counted.astype(train.y.dtype), label_scheme.labels, targets,
                      seed, given, train.features if module.NEEDS == "features" else None, train.seconds)
    known = module.NEEDS == "labels" or train.features is not None
    if not known and not counts_only:
        raise UsageError(f"{strategy} needs features, and IN has none", where=opened.where,
                         remedy="run `emoprep segment` and `emoprep features` first, or --dry-run for the counts")
    decision, items, after, notes = None, None, {name: float(count) for name, count in targets.items()}, ()
    weighed = float(train.mask[inside].sum())
    if known:
        decision = module.decide(problem)
        items = place_items(problem, decision, inside, train.mask, outside)
        after = _counts(train.y[items.row], items.loss_mask, label_scheme.labels)
        weighed = float(items.loss_mask[inside[items.row]].sum())
        notes = (*decision.notes, *_lacking(train.features or {}, decision))
    facts = {"command": "balance", "inputs": dict(opened.inputs), "settings": {
        "strategy": strategy, "labels": label_scheme.name, "label_scheme": label_scheme.to_json(),
        "target": ("auto" if target is None else target) if module.DIRECTION in ("over", "under") else None,
        "scheme": scheme, "normalize": normalize, "max_ratio": max_ratio, "placement": placement, "outside": outside,
        "nonfinite": nonfinite, "seed": seed, "protocol": opened.protocol, **settle(module.OPTIONS, given),
        **({"features": dict(extracted)} if extracted else {})}}
    return BalancePlan(
        opened, strategy, module.MAKES, label_scheme, facts, _whole(before), _whole(targets), _whole(after),
        _weights(label_scheme, _whole(after), weighed, scheme, normalize=normalize, max_ratio=max_ratio), seed,
        str(given.get("renorm", "off")), train.keys, decision, items, train.features, train.seconds,
        (*protocol_notes(opened.manifest.corpus, opened.protocol, opened.index.column("split").to_pylist()),
         *train.notes, *notes), train.imputed)


@dataclass(frozen=True)
class _Train:
    """The train rows: classes (as `Problem.y`), loss masks, seconds and features, in the index's order."""

    keys: tuple[str, ...]
    dialogues: tuple[str, ...]
    y: np.ndarray
    mask: np.ndarray
    seconds: np.ndarray
    features: dict[str, Modality] | None
    imputed: bool
    notes: tuple[str, ...]


def _read_train(opened: Input, module, scheme: LabelScheme, *, check_scheme: bool, nonfinite: str) -> _Train:
    train = opened.rows("train")
    _check_train(opened, train, module)
    annotation = [dict(zip(scheme.reads, values, strict=True)) for values in
                  zip(*(train.column(name).to_pylist() for name in scheme.reads), strict=True)]
    notes = list(scheme.check_values(annotation)) if check_scheme else []
    keys = tuple(train.column("key").to_pylist())
    y = np.array(scheme.encode(annotation), np.int8 if scheme.task == MULTI else np.int16)
    mask, features, mended = train.column("loss_mask").to_numpy(), None, []
    if opened.kind == "shards":
        # An utterance without a sample is in no trainer's loss, and nothing can be copied from it.
        uncut = train.column("shard").is_null().to_numpy()
        mask = np.where(uncut, 0, mask)
        notes += [f"train utterances without a sample, which do not count: {uncut.sum()}"] if uncut.any() else []
    if module.DIRECTION != "none" and opened.kind == "features":
        features, mended = replace_nonfinite(opened.features(), nonfinite, keys)
    return _Train(keys, tuple(train.column("dialogue").to_pylist()), y, mask, opened.train_seconds(), features,
                  bool(mended), (*notes, *mended))


def _lacking(features: Mapping[str, Modality], decision: Decision) -> list[str]:
    return [f"made items without {name}, because their base has none: {lacking}"
            for name, modality in features.items() if (lacking := int((~modality.present[decision.base]).sum()))]


def _own_options(module, given: Mapping[str, Any], target: str | None, nonfinite: str | None) -> dict[str, Any]:
    given = {name: value for name, value in given.items() if value is not None}
    foreign = sorted(set(given) - set(module.OPTIONS))
    has_target, changes_train = module.DIRECTION in ("over", "under"), module.DIRECTION != "none"
    if target is not None and not has_target:
        foreign.append("target")
    if nonfinite is not None and not changes_train:
        foreign.append("nonfinite")
    if foreign:
        known = [*module.OPTIONS, *(["target"] if has_target else []), *(["nonfinite"] if changes_train else [])]
        raise UsageError(f"{module.NAME} does not read this option", where=_flag(foreign[0]),
                         expected=", ".join(map(_flag, known)) or "none of its own",
                         remedy="leave it out, or choose another --strategy")
    return given


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_task(module, scheme: LabelScheme, schemes: Mapping[str, LabelScheme]) -> None:
    if scheme.task not in module.TASKS:
        others = [name for name, other in schemes.items() if other.task in module.TASKS]
        raise UsageError(f"{module.NAME} takes one class an utterance, and {scheme.name} is {scheme.task}",
                         where=f"--strategy {module.NAME}", expected="--labels " + " or ".join(others) if others
                         else "a single-label scheme", remedy="--strategy weights takes several labels")


def _weights(scheme: LabelScheme, counts: Mapping[str, float], n: float, name: str, **settings):
    if scheme.task == MULTI:
        return label_weights(counts, int(n) if n.is_integer() else n, name, **settings)
    return class_weights(counts, name, **settings)


def _one_of(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError("not known", where=option, expected=" or ".join(known), got=value)


def _check_train(opened: Input, train: pyarrow.Table, module) -> None:
    where = opened.where
    if not train.num_rows:
        if not any(opened.index.column("split").to_pylist()):
            # Balancing before splitting puts copies and near twins of test rows into train.
            raise UsageError("IN has no split, and only train is ever balanced", where=where,
                             remedy="make one with `emoprep split IN OUT --by speaker --dev 0.1 --test 0.2`, or say "
                                    "--all-is-train if dev and test lie elsewhere")
        raise UsageError("there is no train split, and dev and test are never balanced", where=where,
                         got=", ".join(str(name) for name in opened.manifest.counts) or "no utterance")
    made = set(train.column("op").to_pylist()) != {"keep"}
    if made and module.MAKES != "nothing":
        # Copies and synthetic rows would become parents: SMOTE would draw lines between an utterance and itself.
        raise UsageError("IN is balanced already", where=where,
                         got=(opened.manifest.balance or {}).get("strategy", "made rows"),
                         remedy="balance the store that it was made from, or use --strategy weights on this one")


def _counts(y: np.ndarray, mask: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    if y.ndim == 2:
        sums = ((y == 1) * mask[:, np.newaxis]).sum(axis=0, dtype=np.float64)
    else:
        inside = y != OUTSIDE
        sums = np.bincount(y[inside], weights=mask[inside], minlength=len(labels))
    return dict(zip(labels, sums.tolist(), strict=True))


def _whole(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: int(count) if float(count).is_integer() else float(count) for name, count in counts.items()}
