"""Any sampler of imbalanced-learn by its class name: `imblearn:SVMSMOTE`, `imblearn:TomekLinks`, and later ones too.

The sampler draws; emoprep makes. A sampler sees the space in which every modality counts the same
(`emoprep.methods.neighbors`), what it drew comes back as parents and λ (`emoprep.methods.recorder`), and vectors are
made from these in all modalities. With `imblearn_compat` it sees the concatenated raw features and --seed itself, and
what comes out is what plain imbalanced-learn gives in one thread.

    over-sampling       --target as everywhere
    under-sampling      --target as everywhere
    cleaning            takes out what its rule says, so there is no --target; --clean says from which classes
    SMOTE and cleaning  --target is what SMOTE makes; cleaning then takes from all classes, made rows too

Cleaning can empty a class of emotion data: one that keeps less than `min_keep` of its members is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.imblearn_draws import check_compat, raw_rows
from emoprep.methods.imblearn_samplers import KINDS, built_sampler, find_sampler, first_sentence, read_parameters
from emoprep.methods.neighbors import neighbor_space
from emoprep.methods.pairs import COMPAT, PAIR_OPTIONS
from emoprep.methods.parents import DROP, gone_as
from emoprep.methods.recorder import Resampled, Unnamed, resampled
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "imblearn:"
HELP = "any sampler of imbalanced-learn by its class name, as imblearn:SVMSMOTE"
NEEDS = "features"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "vectors"
OPTIONS = {
    "param": Setting((), "a parameter of the sampler, as out_step=0.5", "NAME=VALUE"),
    "imblearn_compat": COMPAT,
    "renorm": PAIR_OPTIONS["renorm"],
    "drop": DROP,
    "clean": Setting("auto", "classes to clean: auto (all but the smallest), all, majority, or names", "CLASSES"),
    "min_keep": Setting(0.5, "share of each class that cleaning must leave", "SHARE")}

# Their rule for one class does not look at what is asked for another: each class is drawn from a seed of its own.
_BY_CLASS = ("SMOTE", "BorderlineSMOTE", "SVMSMOTE", "ADASYN", "RandomOverSampler", "RandomUnderSampler")
_LABELS_ONLY = ("RandomOverSampler", "RandomUnderSampler")


def chosen(argument: str, given: Mapping[str, Any]) -> Sampler:
    """Return the sampler called `argument` as a strategy, its parameters checked.

    Raises UsageError for one that there is not, for one that works on categories or makes rows without parents, and
    for a parameter that it does not have.

    >>> tomek = chosen("TomekLinks", {})
    >>> tomek.NAME, tomek.DIRECTION, tomek.MAKES, sorted(tomek.OPTIONS)
    ('imblearn:TomekLinks', 'own', 'nothing', ['clean', 'drop', 'imblearn_compat', 'min_keep', 'param'])
    """
    from imblearn.over_sampling.base import BaseOverSampler

    name = NAME + argument
    where = f"--strategy {name}"
    kind = find_sampler(argument, where)
    parameters = read_parameters(given.get("param", ()), kind, where)
    if argument == "ClusterCentroids" and parameters.get("voting", "auto") != "hard":
        raise UsageError("it makes means of clusters, and a mean has no parents to name", where=where,
                         remedy="say --param voting=hard, which keeps the utterances nearest to them")
    if parameters.get("shrinkage") is not None:
        raise UsageError("with shrinkage it adds noise that cannot be told", where=where, got="--param shrinkage",
                         remedy="use --strategy rose")
    over, own = (KINDS[kind._sampling_type] == direction for direction in ("over", "own"))
    random, both = argument in _LABELS_ONLY, over and not issubclass(kind, BaseOverSampler)
    reads = ("param", "imblearn_compat", *["renorm"] * (over and not random), *["drop"] * (both or not over),
             *["clean"] * own, *["min_keep"] * (both or own))
    return Sampler(name, f"imbalanced-learn's {argument}", "labels" if random else "features",
                   KINDS[kind._sampling_type], TASKS, ("copies" if random else "vectors") if over else "nothing",
                   {option: OPTIONS[option] for option in reads}, kind, parameters)


@dataclass(frozen=True)
class Sampler:
    """A sampler of imbalanced-learn with the attributes of `contracts.StrategyModule`."""

    NAME: str
    HELP: str
    NEEDS: str
    DIRECTION: str
    TASKS: tuple[str, ...]
    MAKES: str
    OPTIONS: dict[str, Setting]
    kind: type
    parameters: Mapping[str, Any]

    def decide(self, problem: Problem) -> Decision:
        """Let the sampler draw, and name who stays and the parents of what is made.

        Raises UsageError for targets that cannot be, for what the sampler cannot do, for made rows whose parents
        cannot be named, and where too little of a class would stay; EmoprepError for a value that is not finite.
        """
        options = settle(self.OPTIONS, problem.options)
        _check_options(options)
        compat, rows = options["imblearn_compat"], np.flatnonzero(problem.y >= 0)
        asked = _classes_to_clean(problem, options["clean"]) if "clean" in options else _final_counts(self, problem)
        if not asked:
            return Decision.of(problem)
        x, notes = _points(self, problem, rows, compat)
        y = problem.y[rows]
        done = _run(self, problem, x, y, asked, compat)
        _require_members(self, problem, y, done, options.get("min_keep", 0))
        more = _told(self, problem, y, done, asked)
        base, neighbor, lam = _made(self, y, done, asked, trim=not compat)
        kept = np.full(len(problem.keys), "keep")
        kept[rows[~done.kept]] = gone_as(options.get("drop", "mask"))
        return Decision.of(problem, np.where(neighbor < 0, "repeat", "interpolate"), rows[base],
                           np.where(neighbor < 0, -1, rows[neighbor]), lam, kept=kept, notes=(*notes, *more))


# ------------------------------------------------------------------------------------- what is asked for

def _check_options(options: Mapping[str, Any]) -> None:
    gone_as(options.get("drop", "mask"))
    if not 0 <= options.get("min_keep", 0) <= 1:
        raise UsageError("this share is not possible", where="--min-keep", expected="a number from 0 to 1",
                         got=str(options["min_keep"]), remedy="write for example --min-keep 0.5")


def _final_counts(sampler: Sampler, problem: Problem) -> dict[int, int]:
    """Return the final count of each class that must change; items made by earlier strategies are not the sampler's."""
    sign = 1 if sampler.DIRECTION == "over" else -1
    return {problem.labels.index(label): max(0, len(rows) + sign * gap)
            for label, rows, gap in class_gaps(problem, sampler.DIRECTION)}


def _classes_to_clean(problem: Problem, text: str) -> list[int]:
    counts = {number: int((problem.y == number).sum()) for number in range(len(problem.labels))}
    there = [number for number, count in counts.items() if count]
    names = [name.strip() for name in text.split(",")]
    if all(name in problem.labels and counts[problem.labels.index(name)] for name in names):
        return sorted({problem.labels.index(name) for name in names})
    smallest, largest = min(there, key=counts.__getitem__, default=-1), max(there, key=counts.__getitem__, default=-1)
    words = {"auto": [number for number in there if number != smallest], "all": there,
             "majority": [number for number in there if number == largest]}
    if text not in words:
        raise UsageError("these classes cannot be cleaned", where="--clean", got=text,
                         expected="auto, all, majority, or some of " + ", ".join(problem.labels[at] for at in there))
    return words[text]


# ---------------------------------------------------------------------------------- what the sampler sees

def _points(sampler: Sampler, problem: Problem, rows: np.ndarray, compat: bool) -> tuple[np.ndarray, list[str]]:
    """Return the points [n, D] of these rows that the sampler works on, and notes on what they hide."""
    if sampler.NEEDS == "labels":
        return np.arange(len(rows), dtype=np.float64)[:, None], []
    if not problem.features:
        raise UsageError("there is no feature to compare", where=f"--strategy {sampler.NAME}",
                         expected="a feature store", remedy="run `emoprep features` first")
    absent = {name: int((~np.asarray(modality.present)[rows]).sum()) for name, modality in problem.features.items()}
    lacking = ", ".join(f"{name} of {count}" for name, count in absent.items() if count)
    if not compat:
        notes = [f"{sampler.kind.__name__} took absent modalities for average ones: {lacking}"] if lacking else []
        return neighbor_space(problem.features, problem.keys).rows(rows)[0], notes
    check_compat(problem, {}, sampler.kind.__name__)
    notes = [f"{sampler.kind.__name__} took absent modalities for zeros: {lacking}"] if lacking else []
    return raw_rows(problem.features, rows), notes


def _run(sampler: Sampler, problem: Problem, x: np.ndarray, y: np.ndarray, asked: dict[int, int] | list[int],
         compat: bool) -> Resampled:
    """Return what the sampler did, class by class where one class is nothing to another."""
    there = np.unique(y)
    if len(there) < 2:
        raise UsageError(f"{sampler.kind.__name__} compares classes, and train has one",
                         where=f"--strategy {sampler.NAME}", got=f"{problem.labels[there[0]]} with {len(y)}")
    # Some samplers take a class's number for its column.
    dense = np.searchsorted(there, y)
    place = {int(number): at for at, number in enumerate(there)}
    if isinstance(asked, list):
        runs = [("", [place[number] for number in asked])]
    elif compat or sampler.kind.__name__ not in _BY_CLASS:
        runs = [("", {place[number]: count for number, count in asked.items()})]
    else:
        runs = [(problem.labels[number], {place[number]: count}) for number, count in asked.items()]
    found = []
    for label, strategy in runs:
        seed = problem.seed if compat else child_seed(problem.seed, sampler.NAME, label, 0)
        drawer = built_sampler(sampler.kind, sampler.parameters, strategy, seed)
        _check_members(sampler, drawer, problem, y, asked)
        try:
            found.append(resampled(drawer, x, dense))
        except Unnamed as error:
            raise UsageError("the parents of what it makes cannot be named", where=f"--strategy {sampler.NAME}",
                             got=str(error), remedy="use --strategy smote, or another sampler") from error
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise _refusal(sampler, problem, y, there[_culprit(sampler, drawer, x, dense, strategy)], error) from error
    return Resampled(np.all([one.kept for one in found], axis=0),
                     *(np.concatenate([getattr(one, name) for one in found])
                       for name in ("base", "neighbor", "lam", "stays")))


# ----------------------------------------------------------------------------------------------- refusals

def _check_members(sampler: Sampler, drawer: Any, problem: Problem, y: np.ndarray, asked: Any) -> None:
    """Raise UsageError where a class to be added to has too few members for its neighbours."""
    parameters = drawer.get_params()
    name = next((name for name in ("smote__k_neighbors", "k_neighbors", "n_neighbors") if name in parameters), None)
    # Borderline-2 looks for neighbours among all classes.
    if sampler.DIRECTION != "over" or name is None or parameters.get("kind") == "borderline-2":
        return
    k = parameters[name]
    for number in asked:
        if (count := int((y == number).sum())) <= k:
            label = problem.labels[number]
            raise UsageError(f"{sampler.kind.__name__} cannot add to {label}", where=f"--strategy {sampler.NAME}",
                             expected=f"more than {k} members for {k} neighbours", got=f"{label} has {count}",
                             remedy=f"say --param {name}={count - 1}" if count > 1 else "use --strategy smote")


def _culprit(sampler: Sampler, drawer: Any, x: np.ndarray, y: np.ndarray, strategy: Any) -> int:
    """Return the class that a sampler failed at: the first that it did not come to, else the smallest one."""
    drawn = getattr(getattr(drawer, "smote_", drawer), "drawn", None)
    if drawn is not None:
        done = {label for label, *_ in drawn}
        return next((label for label in sorted(strategy) if label not in done), int(np.bincount(y).argmin()))
    if sampler.DIRECTION == "over":
        for label, count in strategy.items():
            try:
                resampled(built_sampler(sampler.kind, sampler.parameters, {label: count}, 0), x, y)
            except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, Unnamed, ValueError):
                return label
    return int(np.bincount(y).argmin())


def _refusal(sampler: Sampler, problem: Problem, y: np.ndarray, number: int, error: Exception) -> UsageError:
    return UsageError(
        f"{sampler.kind.__name__} cannot do this", where=f"--strategy {sampler.NAME}",
        got=f"{problem.labels[number]} has {(y == number).sum()} members: {first_sentence(error)}",
        remedy="change --param or the classes, or use --strategy "
               + ("smote" if sampler.DIRECTION == "over" else "undersample"))


def _require_members(sampler: Sampler, problem: Problem, y: np.ndarray, done: Resampled, least: float) -> None:
    """Raise UsageError where a class would be gone, or keep less than the share `least` of its members."""
    size = len(problem.labels)
    before = np.bincount(y, minlength=size) + np.bincount(y[done.base], minlength=size)
    after = np.bincount(y[done.kept], minlength=size) + np.bincount(y[done.base[done.stays]], minlength=size)
    told = [f"{label} {was} → {left}" for label, was, left in zip(problem.labels, before, after, strict=True)]
    gone, few = (before > 0) & (after == 0), after < least * before
    where = f"--strategy {sampler.NAME}"
    if gone.any():
        raise UsageError(f"{sampler.kind.__name__} would leave nothing of a class", where=where,
                         got=", ".join(np.array(told)[gone]), remedy="choose other classes, or another --strategy")
    if few.any():
        share = f"at least {least:.0%} of each to stay" + ", made ones counted" * (sampler.DIRECTION == "over")
        raise UsageError(f"{sampler.kind.__name__} would take too much of a class", where=where,
                         expected=share, got=", ".join(np.array(told)[few]),
                         remedy="choose another --strategy, or say --min-keep 0 if that is wanted")


# --------------------------------------------------------------------------------------- what it comes to

def _made(sampler: Sampler, y: np.ndarray, done: Resampled, asked: Any, *, trim: bool
          ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return base, neighbor and λ of the made rows that stay, class by class; with `trim` none above what is asked."""
    if sampler.DIRECTION != "over":
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    stays, counts = np.flatnonzero(done.stays), np.bincount(y)
    order = []
    for number, count in sorted(asked.items()):
        mine = stays[y[done.base[stays]] == number]
        order.append(mine[:count - counts[number]] if trim else mine)
    order = np.concatenate(order)
    return done.base[order], done.neighbor[order], done.lam[order]


def _told(sampler: Sampler, problem: Problem, y: np.ndarray, done: Resampled, asked: Any) -> list[str]:
    """Return notes on classes that are not at their targets, and on made rows that are not what they seem."""
    name, base, neighbor = sampler.kind.__name__, done.base[done.stays], done.neighbor[done.stays]
    notes = []
    for number, count in asked.items() if isinstance(asked, dict) else ():
        label, made, left = problem.labels[number], (y[base] == number).sum(), (y[done.kept] == number).sum()
        if sampler.DIRECTION == "over" and made != (gap := count - (y == number).sum()):
            notes.append(f"{label}: {name} came to {made or 'none'} of {gap} new items")
        if sampler.DIRECTION == "under" and left != count:
            notes.append(f"{label}: {name} leaves {left} where {count} were asked for")
    for number in np.unique(y[~done.kept]) if sampler.DIRECTION == "over" else ():
        taken = (y[~done.kept] == number).sum()
        notes.append(f"{problem.labels[number]}: {name} takes {taken} of {(y == number).sum()} out of the loss")
    if sampler.DIRECTION != "over":
        return [*notes, f"{name} drew rows more than once, and they stay once: {len(base)}"] if len(base) else notes
    alone, foreign = (neighbor < 0).sum(), ((neighbor >= 0) & (y[neighbor] != y[base])).sum()
    if alone and sampler.MAKES == "vectors":
        notes.append(f"{alone} of {len(base)} new items repeat an utterance whose neighbour is its duplicate")
    if foreign:
        notes.append(f"{foreign} of {len(base)} new items lie on the way to a neighbour of another class")
    return notes
