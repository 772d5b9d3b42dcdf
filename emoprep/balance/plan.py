"""What balancing does to the train split, decided before anything is written, as a pure value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep.balance.items import Items, place_items, plan_table
from emoprep.balance.problem import Input, open_input
from emoprep.balance.steps import Step, decide_steps, made_classes, read_steps
from emoprep.balance.train import Train, class_counts, read_train
from emoprep.balance.weigh import Asked, Weighing
from emoprep.contracts import Decision, Modality, settle
from emoprep.errors import EmoprepError, UsageError
from emoprep.labels import MULTI, LabelScheme, choose_scheme
from emoprep.methods.class_weights import plain_number
from emoprep.methods.nonfinite import check_policy
from emoprep.methods.placement import PLACEMENTS
from emoprep.methods.samplers import Sampler
from emoprep.methods.samplers import sampler as make_sampler
from emoprep.methods.targets import decide_targets
from emoprep.protocols import protocol_notes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

__all__ = ["BalancePlan", "plan_balance"]

OUTSIDES = ("mask", "drop")

MOST_TIMES = 5
"""Copied dialogues may make so many times the rows there are without --force."""


@dataclass(frozen=True)
class BalancePlan:
    """What balancing will do. `items` is None for a dry run without the features that parents need.

    `y` and `loss_mask` are of the items that stay.

    With `recipe` the plan and the weights are all that is written: train stays as it is.
    """

    source: Input
    steps: tuple[Step, ...]
    scheme: LabelScheme
    facts: dict[str, Any]
    before: dict[str, float]
    requested: dict[str, float]
    after: dict[str, float]
    weighing: Weighing
    sampler: Sampler | None
    sample_weights: bool
    seed: int
    recipe: bool
    train: Train
    items: Items | None
    y: np.ndarray | None
    loss_mask: np.ndarray | None
    notes: tuple[str, ...]
    announced: tuple[str, ...]

    @property
    def strategy(self) -> str:
        """The strategies in their order, as a person reads them."""
        return ", then ".join(step.module.NAME for step in self.steps)

    @property
    def makes(self) -> str:
        """What the steps make, all in all: "nothing", "copies", "media" or "vectors"."""
        return next((kind for kind in ("media", "vectors", "copies")
                     if kind in {step.module.MAKES for step in self.steps}), "nothing")

    @property
    def renorm(self) -> str:
        return next((str(step.given["renorm"]) for step in self.steps if "renorm" in step.given), "off")

    @property
    def changes_train(self) -> bool:
        """Whether train is written anew: else its files can be taken over."""
        if self.source.kind == "features" and (self.sample_weights or self.source.manifest.sample_weights is not None):
            return True
        if self.recipe:
            return False
        return (bool(len(self.items.decision.base)) or any(op != "keep" for op in self.items.op)
                or self.train.imputed)

    @property
    def shortfall(self) -> dict[str, float]:
        """What a class lacks to (or has above) its request."""
        return {label: self.requested[label] - self.after[label] for label in self.scheme.labels
                if self.requested[label] != self.after[label]}

    @property
    def rows(self) -> dict[str, int | None]:
        """How many train rows there are before and after."""
        return {"before": len(self.train.keys), "after": None if self.items is None else len(self.items.staying)}

    def estimate(self) -> dict[str, float]:
        """Return how many seconds of speech the new train split has, and about how many bytes it will take."""
        seconds = self.train.seconds
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
        return {"schema": "emoprep.balance/1", "corpus": self.source.manifest.corpus,
                "strategy": self.steps[0].module.NAME, "then": [step.module.NAME for step in self.steps[1:]],
                "upon": (self.source.manifest.balance or {}).get("strategy"),
                "recipe": self.recipe, "sample_weights": self.sample_weights, "task": self.scheme.task,
                "rows": self.rows, "label_scheme": self.scheme.name,
                "labels": list(self.scheme.labels), "before": self.before,
                "requested": self.requested, "after": self.after, "shortfall": self.shortfall,
                "weights": dict(self.weighing.weights.weights), "notes": list(self.notes)}

    def table(self) -> pyarrow.Table:
        """Return the plan as the rows of plan.parquet."""
        return plan_table(self.items, self.train.keys, self.renorm)


def plan_balance(source: Path | Input, *, strategy: str, labels: str | None = None, target: str | None = None,
                 then: Sequence[str] = (), placement: str = "orphan", outside: str = "mask", split: str = "train",
                 nonfinite: str | None = None, seed: int = 0, given: Mapping[str, Any] | None = None,
                 recipe: bool = False, strict_counts: bool = False, force: bool = False, corpus: str | None = None,
                 options: Mapping[str, str] | None = None, counts_only: bool = False,
                 extracted: Mapping[str, Any] | None = None, protocol: str | None = None, all_is_train: bool = False,
                 **weighing: Any) -> BalancePlan:
    """Decide what happens to each train item; nothing is written.

    `given` are options of the strategies themselves; one that none of them reads is refused. `then` are further
    strategies (see `read_steps`). With `counts_only`, features that are not there yet do not matter: no parents are
    drawn. `extracted` are the settings of features that balance takes by itself; they are part of the fingerprint.
    `protocol` and `all_is_train` are for an IN without splits, where `source` is a path. `weighing` are the fields of
    `Asked`.
    """
    if split != "train":
        raise UsageError("only train is ever balanced", where=f"--split {split}", expected="train",
                         remedy="dev and test must stay as the world is, or the results on them mean nothing")
    steps, asked = read_steps(strategy, target, given or {}, then, force), Asked(**weighing)
    if nonfinite is not None and all(step.module.DIRECTION == "none" for step in steps):
        raise UsageError(f"{strategy} does not read this option", where="--nonfinite", remedy="leave it out")
    nonfinite = check_policy(nonfinite or "impute-median")
    _one_of("--placement", placement, PLACEMENTS)
    _one_of("--outside", outside, OUTSIDES)
    opened = source if isinstance(source, Input) else open_input(
        source, corpus=corpus, options=options, protocol=protocol, all_is_train=all_is_train)
    if recipe and (asked.sample_weights or opened.manifest.sample_weights is not None):
        raise UsageError("a recipe leaves train as it is, its sample weights too", where="--recipe",
                         remedy="leave --sample-weights out, or balance a store without them")
    scheme = choose_scheme(labels, opened.manifest.schemes, opened.manifest.annotation)
    _check_steps(steps, scheme, opened, recipe=recipe or counts_only)
    if placement != "orphan" and not any(map(_makes_lone_items, steps)):
        raise UsageError(f"{strategy} makes no utterance that could be placed", where=f"--placement {placement}",
                         remedy="leave it out")
    train = read_train(opened, steps, scheme, check_scheme=labels is not None, nonfinite=nonfinite)
    before = class_counts(train.y, train.mask, scheme.labels)
    known = train.features is not None or all(step.module.NEEDS == "labels" for step in steps)
    if not known and not counts_only:
        raise UsageError(f"{strategy} needs features, and IN has none", where=opened.where,
                         remedy="run `emoprep segment` and `emoprep features` first, or --dry-run for the counts")
    outcome = _decided(steps, train, scheme, before, seed, outside=outside, placement=placement, force=force) \
        if known else _expected(steps, train, before)
    sampler = None if asked.sampler is None else _sampler(asked, train, outcome, scheme, seed)
    facts = {"command": "balance", "inputs": dict(opened.inputs), "settings": {
        **steps[0].to_json(), "then": [step.to_json() for step in steps[1:]], "labels": scheme.name,
        "label_scheme": scheme.to_json(), **asdict(asked), "scheme": asked.weighting, "placement": placement,
        "outside": outside, "nonfinite": nonfinite, "recipe": recipe, "seed": seed, "protocol": opened.protocol,
        **({"features": dict(extracted)} if extracted else {})}}
    name = ", then ".join(step.module.NAME for step in steps)
    weighed = asked.weigh(scheme, (_whole(before), float(train.mask[train.inside].sum())),
                          (_whole(outcome.after), outcome.weighed), strategy=name, sampler=sampler)
    plan = BalancePlan(
        opened, steps, scheme, facts, _whole(before), _whole(outcome.requested), _whole(outcome.after), weighed,
        sampler, asked.sample_weights, seed, recipe, train, outcome.items, outcome.y, outcome.mask,
        (*protocol_notes(opened.manifest.corpus, opened.protocol, opened.index.column("split").to_pylist()),
         *train.notes, *(["of these the plan alone knows: a recipe leaves train as it is"]
                         if recipe and train.imputed else ()),
         *outcome.notes, *(sampler.notes if sampler else ())), outcome.announced)
    if strict_counts and plan.shortfall:
        raise EmoprepError("not every class reaches what was asked for", where="--strict-counts",
                           got=", ".join(f"{label} {abs(lack)} {'too few' if lack > 0 else 'too many'}"
                                         for label, lack in plan.shortfall.items()),
                           remedy="ask for less with --target, or leave --strict-counts out")
    return plan


@dataclass(frozen=True)
class _Outcome:
    """What the steps lead to; `y` and `mask` are of the items that stay, `weighed` sums the masks in the scheme."""

    requested: Mapping[str, float]
    after: Mapping[str, float]
    weighed: float
    items: Items | None = None
    y: np.ndarray | None = None
    mask: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()


def _decided(steps: Sequence[Step], train: Train, scheme: LabelScheme, before: Mapping[str, float], seed: int, *,
             outside: str, placement: str, force: bool) -> _Outcome:
    """Let the steps decide, and put the items in their places."""
    decided = decide_steps(steps, train, scheme, before, seed)
    items = place_items(train, decided, outside=outside, placement=placement, seed=seed)
    is_made = items.made >= 0
    y = train.y[items.row]
    y[is_made] = made_classes(items.decision, train.y)[items.made[is_made]]
    after = class_counts(y, items.loss_mask, scheme.labels)
    staying = items.staying
    return _Outcome(decided.targets or after, after, float(items.loss_mask[train.inside[items.row]].sum()), items,
                    y[staying], items.loss_mask[staying],
                    (*decided.decision.notes, *_lacking(train.features or {}, items.decision)),
                    _check_size(items, len(train.keys), placement, force))


def _expected(steps: Sequence[Step], train: Train, counts: Mapping[str, float]) -> _Outcome:
    """Return what the targets ask for, where features are not there to draw parents by."""
    for step in steps:
        if step.target is not None:
            counts = decide_targets(step.target, {name: int(count) for name, count in counts.items()},
                                    step.module.DIRECTION)
    counts = {name: float(count) for name, count in counts.items()}
    return _Outcome(counts, counts, float(train.mask[train.inside].sum()))


def _sampler(asked: Asked, train: Train, outcome: _Outcome, scheme: LabelScheme, seed: int) -> Sampler:
    keys, y, mask = train.keys, train.y, train.mask
    if outcome.items is not None:
        keys, y, mask = [outcome.items.key[at] for at in outcome.items.staying.tolist()], outcome.y, outcome.mask
    return make_sampler(asked.sampler, keys, y, mask, scheme.labels, seed=seed, empty_weight=asked.empty_weight)


def _check_size(items: Items, rows: int, placement: str, force: bool) -> tuple[str, ...]:
    """Return a note on what multiplies the rows; raise where copied dialogues make too many."""
    after = len(items.staying)
    text = f"{after:,} train rows, {after / rows:.1f} × the {rows:,} there are"
    if items.decision.dialogue is None:
        return (f"this makes {text}",) if after > MOST_TIMES * rows else ()
    if after > MOST_TIMES * rows and not force:
        where, remedy = ("--strategy repeat", "ask for less with its options, or say --force") \
            if placement == "orphan" else ("--placement", "lower --target, use --placement orphan, or say --force")
        raise UsageError("copied dialogues make too many rows", where=where, expected=f"at most {MOST_TIMES} ×",
                         got=text, remedy=remedy)
    in_loss = int((items.loss_mask > 0).sum())
    return (f"whole dialogues are copied: {text}, {in_loss / max(1, after):.0%} of them in the loss",)


def _lacking(features: Mapping[str, Modality], decision: Decision) -> list[str]:
    return [f"made items without {name}, because their base has none: {lacking}"
            for name, modality in features.items() if (lacking := int((~modality.present[decision.base]).sum()))]


def _makes_lone_items(step: Step) -> bool:
    return step.module.MAKES != "nothing" and not (
        step.module.NAME == "repeat" and settle(step.module.OPTIONS, step.given)["unit"] == "dialogue")


def _check_steps(steps: Sequence[Step], scheme: LabelScheme, opened: Input, *, recipe: bool) -> None:
    for step in steps:
        module = step.module
        if scheme.task not in module.TASKS:
            others = [name for name, other in opened.manifest.schemes.items() if other.task in module.TASKS]
            called = getattr(module, "CALLED", module.NAME)
            where, expected = f"--strategy {module.NAME}", "--labels " + " or ".join(others) if others else \
                f"a {module.TASKS[0]} scheme"
            if scheme.task == MULTI:
                raise UsageError(f"{called} takes one class an utterance, and {scheme.name} is {scheme.task}",
                                 where=where, expected=expected,
                                 remedy="weights, repeat, ml-ros, lp-ros and mlsmote take several labels")
            raise UsageError(f"{called} takes several labels an utterance, and {scheme.name} is {scheme.task}",
                             where=where, expected=expected, remedy="repeat and oversample take one class an utterance")
        # Copies of what is not there yet are rows of the index; media cannot be made of nothing.
        if module.MAKES == "media" and opened.kind == "annotation" and not recipe:
            raise UsageError(f"{module.NAME} makes items, and IN has no media to make them of",
                             where=f"--strategy {module.NAME}",
                             remedy="run `emoprep segment` first and balance its store; --recipe and --dry-run work "
                                    "without media")
        if module.MAKES == "media" and opened.kind == "features":
            raise UsageError(f"{module.NAME} changes pictures and sound, and IN has features", where=opened.where,
                             remedy="run it on the store of shards, and `emoprep features` on what it makes")


def _one_of(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError("not known", where=option, expected=" or ".join(known), got=value)


def _whole(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: plain_number(count) for name, count in counts.items()}
