"""The strategies in their order (`--strategy`, then each `--then`), and what they decide together.

Each step sees what the earlier ones left: rows that they took out of the loss are nobody's parent, and items that they
made count towards its target. So no skew is corrected twice. Parents are always rows of IN, never made items: SMOTE
between an utterance and its own copy would be that utterance again.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, StrategyModule, find_strategy, settle
from emoprep.errors import UsageError
from emoprep.labels import OUTSIDE, LabelScheme
from emoprep.methods.interpolate import check_renorm
from emoprep.methods.parents import copy_numbers, item_seeds
from emoprep.methods.placement import noise_of
from emoprep.methods.targets import decide_targets

if TYPE_CHECKING:
    from emoprep.balance.train import Train

__all__ = ["Decided", "Step", "decide_steps", "made_classes", "read_steps"]


@dataclass(frozen=True)
class Step:
    """A strategy with its target (None where it takes none) and the options given to it."""

    module: StrategyModule
    target: str | None
    given: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        settings = settle(self.module.OPTIONS, self.given)
        settings = self.module.recorded(settings) if hasattr(self.module, "recorded") else settings
        return {"strategy": self.module.NAME, "target": self.target,
                **{name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}}


@dataclass(frozen=True)
class Decided:
    """What all steps decided together; `seed` int64 [n] and `copy` int32 [n] are those of each made item.

    `targets` are those of the last step that had some, None where the strategies set the counts themselves.
    """

    decision: Decision
    seed: np.ndarray
    copy: np.ndarray
    targets: dict[str, int] | None


# ------------------------------------------------------------------------------------------ what is asked for

def read_steps(strategy: str, target: str | None, given: Mapping[str, Any], then: Sequence[str] = (),
               force: bool = False) -> tuple[Step, ...]:
    """Return the steps. Options go to every strategy that reads them; what stands in `then` goes to that one alone.

    A text of `then` is a strategy's name, and options as NAME=VALUE: "smote target=0.5 k_neighbors=3". Raises
    UsageError for an option that none reads, and for an order that cannot be.

    >>> [step.module.NAME for step in read_steps("undersample", "0.5", {}, ["smote target=auto k_neighbors=3"])]
    ['undersample', 'smote']
    """
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    asked = [(strategy, {} if target is None else {"target": [target]}), *(_then(text) for text in then)]
    steps = tuple(_step(name, own, given, force, "--then" if number else "--strategy")
                  for number, (name, own) in enumerate(asked))
    modules = [step.module for step in steps]
    known = {name for module in modules for name in module.OPTIONS}
    if foreign := sorted(set(given) - known):
        names = " and ".join(map(_called, modules))
        raise UsageError(f"{names} {'does' if len(steps) == 1 else 'do'} not read this option", where=_flag(foreign[0]),
                         expected=", ".join(map(_flag, _options(modules))) or "none of its own",
                         remedy="leave it out, or choose another --strategy")
    _check_order(steps)
    return steps


def _options(modules: Sequence[StrategyModule]) -> list[str]:
    found = dict.fromkeys(name for module in modules for name in module.OPTIONS if name != "force")
    found |= dict.fromkeys(["target"] if any(module.DIRECTION in ("over", "under") for module in modules) else [])
    return [*found, *(["nonfinite"] if any(module.DIRECTION != "none" for module in modules) else [])]


def _then(text: str) -> tuple[str, dict[str, list[str]]]:
    """Return the strategy that a text of `--then` names, and the values of each of its options."""
    try:
        name, *options = shlex.split(text) or [""]
    except ValueError:  # a quotation that does not end
        name, options = "", []
    pairs = [option.partition("=") for option in options]
    if not name or any(not option or not equals for option, equals, _ in pairs):
        raise UsageError("this step is not understood", where="--then", expected="NAME option=value …", got=repr(text),
                         remedy='write for example --then "smote target=0.5 k_neighbors=3"')
    own: dict[str, list[str]] = {}
    for option, _, value in pairs:
        own.setdefault(option.replace("-", "_"), []).append(value)
    return name, own


def _step(name: str, own: Mapping[str, Sequence[str]], given: Mapping[str, Any], force: bool, option: str) -> Step:
    module = find_strategy(name, {**given, **{one: values[-1] for one, values in own.items()}}, option)
    takes = [*module.OPTIONS, *(["target"] if module.DIRECTION in ("over", "under") else [])]
    if foreign := sorted(set(own) - set(takes)):
        known = ", ".join(_flag(one) for one in takes if one != "force")
        raise UsageError(f"{_called(module)} does not read this option", where=_flag(foreign[0]),
                         expected=known or "none of its own", remedy="leave it out, or choose another --strategy")
    mine = {one: value for one, value in given.items() if one in module.OPTIONS}
    for one, values in own.items():
        if one != "target" and type(module.OPTIONS[one].default) is tuple:
            mine[one] = tuple(values)
        elif len(values) > 1:
            raise UsageError("this option is given twice", where=_flag(one), got=" and ".join(values))
        elif one != "target":
            mine[one] = values[0]
    mine = {one: _typed(one, module.OPTIONS[one], value) for one, value in mine.items()}
    if force and "force" in module.OPTIONS:
        mine["force"] = True
    check_renorm(mine.get("renorm", "off"))
    return Step(module, own.get("target", ["auto"])[0] if "target" in takes else None, mine)


def _typed(name: str, setting: Setting, value: Any) -> Any:
    """Return an option's value as its default's type: what comes from `--then` or a preset is text."""
    kind = type(setting.default)
    if kind is tuple:
        return tuple(value)
    if not isinstance(value, str) or setting.default is None or kind is str:
        return value
    try:
        return {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise UsageError("this value is not possible", where=_flag(name), got=value,
                         expected={bool: "true or false", int: "a whole number", float: "a number"}[kind]) from None


def _called(module: StrategyModule) -> str:
    """Return what an error calls a strategy: with the option that decides what else it reads, if there is one."""
    return getattr(module, "CALLED", module.NAME)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_order(steps: Sequence[Step]) -> None:
    modules = [step.module for step in steps]
    names = [module.NAME for module in modules]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError("a strategy cannot follow itself", where="--then", got=twice,
                         remedy="give it the target that both together would have")
    if late := next((module.NAME for module in modules[1:] if module.DIRECTION == "own"), None):
        # It looks at IN's rows alone, and would correct again what the first step corrected.
        raise UsageError(f"{late} sets the counts by rules of its own, so it can only come first", where="--then",
                         got=", then ".join(names), remedy=f"use --strategy {late}")
    making = [step.module.NAME for step in steps if step.module.MAKES != "nothing"]
    if late := next((name for number, name in enumerate(names) if modules[number].DIRECTION == "under"
                     and making and names.index(making[0]) < number), None):
        # It could only take rows of IN away, and would leave what was made of them.
        raise UsageError(f"{late} takes rows away, so it comes before what makes some", where="--then",
                         got=", then ".join(names), remedy=f'use --strategy {late} --then "{making[0]} …"')
    if len(renorms := {step.given.get("renorm", "off") for step in steps if "renorm" in step.module.OPTIONS}) > 1:
        raise UsageError("two steps would bring vectors to length 1 and not", where="--renorm",
                         got=" and ".join(sorted(renorms)), remedy="give --renorm once, for all of them")
    if {"media", "vectors"} <= {module.MAKES for module in modules}:
        raise UsageError("one step makes media, and another one vectors", where="--then", got=", then ".join(names),
                         remedy="run the first, take features of its store, and balance those with --strategy weights")


# --------------------------------------------------------------------------------------------- what is decided

def decide_steps(steps: Sequence[Step], train: Train, scheme: LabelScheme, counts: Mapping[str, float],
                 seed: int) -> Decided:
    """Let each step decide on what the earlier ones left; `counts` are those of IN."""
    decided, y, targets = None, train.counted, None
    counts = {name: int(count) for name, count in counts.items()}
    if not any(counts.values()) and any(step.module.DIRECTION != "none" for step in steps):
        raise UsageError("no train utterance is in the label scheme, so there is nothing to balance",
                         where=f"--labels {scheme.name}", expected=", ".join(scheme.labels),
                         remedy="choose another with --labels")
    for step in steps:
        module, before = step.module, decided
        if step.target is not None:
            targets = decide_targets(step.target, counts, module.DIRECTION)
        problem = Problem(
            train.keys, train.dialogues, y, scheme.labels, targets if step.target is not None else {}, seed, step.given,
            train.features if module.NEEDS == "features" else None, train.seconds, train.speakers, train.sessions,
            {} if before is None else _made_counts(before.decision, train.y, scheme.labels),
            None if before is None else np.bincount(before.decision.base, minlength=len(train.keys)), train.texts)
        decision = module.decide(problem)
        new = Decided(decision, item_seeds(problem, module.NAME, decision.base),
                      copy_numbers(decision.base, problem.copied), targets)
        decided = new if before is None else _joined(before, new)
        y = np.where(np.isin(decided.decision.kept, ("keep",)), y.T, OUTSIDE).T.astype(y.dtype)
        made = _made_counts(decided.decision, train.y, scheme.labels)
        counts = {name: _rows(y, number) + made[name] for number, name in enumerate(scheme.labels)}
    return decided


def made_classes(decision: Decision, y: np.ndarray) -> np.ndarray:
    """Return the classes [n] (several labels: [n, K]) of made items: the base's, or those that were chosen."""
    if decision.label_rows is None:
        return y[decision.base]
    return np.take_along_axis(y, decision.label_rows, axis=0)


def _made_counts(decision: Decision, y: np.ndarray, labels: Sequence[str]) -> dict[str, int]:
    there = slice(None) if decision.loss_mask is None else decision.loss_mask > 0
    classes = made_classes(decision, y)[there]
    return {name: _rows(classes, number) for number, name in enumerate(labels)}


def _rows(y: np.ndarray, number: int) -> int:
    return int((y == number).sum() if y.ndim == 1 else (y[:, number] == 1).sum())


def _joined(first: Decided, second: Decided) -> Decided:
    """Return two decisions over the same rows as one; the items of the second come after those of the first."""
    one, two = first.decision, second.decision
    left, right = len(one.base), len(two.base)

    def whole(name, otherwise):
        values = [getattr(decision, name) for decision in (one, two)]
        if all(value is None for value in values):
            return None
        return np.concatenate([np.full(size, otherwise) if value is None else value
                               for value, size in zip(values, (left, right), strict=True)])

    def noise(some):
        first = _noise_of(one, np.where(some < left, some, -1))
        then = _noise_of(two, np.where(some >= left, some - left, -1))
        return {name: sum(found[name] for found in (first, then) if name in found) for name in {**first, **then}}
    dialogue = whole("dialogue", -1)
    if dialogue is not None and one.dialogue is not None:
        dialogue[left:] += (dialogue[left:] >= 0) * (one.dialogue.max(initial=-1) + 1)
    parameters = None if one.parameters is None and two.parameters is None else \
        [*(one.parameters or [{}] * left), *(two.parameters or [{}] * right)]
    decision = replace(
        two, kept=np.where(np.asarray(two.kept) == "keep", one.kept, two.kept),
        **{name: np.concatenate([getattr(one, name), getattr(two, name)])
           for name in ("op", "base", "neighbor", "lam")},
        notes=(*one.notes, *two.notes), dialogue=dialogue, loss_mask=whole("loss_mask", 1.0), parameters=parameters,
        altered={**one.altered, **two.altered}, noise=noise if one.noise or two.noise else None,
        label_rows=None if one.label_rows is None else np.concatenate(
            [one.label_rows, np.repeat(two.base[:, None], one.label_rows.shape[1], axis=1)]))
    return Decided(decision, *(np.concatenate([getattr(first, name), getattr(second, name)])
                               for name in ("seed", "copy")), second.targets)


def _noise_of(decision: Decision, item: np.ndarray) -> dict[str, np.ndarray]:
    return noise_of(decision.noise, item) if decision.noise else {}
