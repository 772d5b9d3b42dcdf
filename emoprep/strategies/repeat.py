"""Repeat whole dialogues, so that classes come out more even and every utterance keeps its context.

A dialogue that brings a rare class brings neutral utterances, too. So how often each one appears is decided for all of
them together, by one of these objectives (`emoprep.methods.repeats` has the methods):

    evenness        raise the evenness of the classes, step by step, within --max-repeats and --budget
    min-ir          the smallest imbalance ratio that is possible within --max-repeats and --budget
    rfs, irfs       repeat-factor sampling (Gupta et al. 2019, LVIS; IRFS, arXiv:2305.08069) with --rfs-threshold t
    masked-copies   exactly the counts of --target: a dialogue is copied as often as its neediest utterance asks for,
                    and in each copy only those utterances are in the loss that their class still needs

The first four take no utterance out of the loss, so they reach no exact counts. Of several labels the label counts are
made even. With `--unit utterance` each utterance is repeated on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.labels import OUTSIDE
from emoprep.methods.pairs import evenly
from emoprep.methods.repeats import (
    class_table,
    even_repeats,
    least_ratio_repeats,
    number_dialogues,
    repeat_factors,
    repeated_rows,
    rounded_repeats,
)
from emoprep.methods.skew import measure
from emoprep.methods.targets import MOST, class_gaps
from emoprep.utterance import child_seed

NAME = "repeat"
HELP = "repeat whole dialogues, or utterances, so that the classes or labels come out even"
NEEDS = "labels"
DIRECTION = "own"
TASKS = ("single-label", "multi-label")
MAKES = "copies"
OPTIONS = {
    "unit": Setting("dialogue", "what is repeated", "dialogue|utterance"),
    "objective": Setting("evenness", "what the repeats aim at", "evenness|min-ir|rfs|irfs|masked-copies"),
    "max_repeats": Setting(5, "how often one may appear, the original included (evenness, min-ir)", "R"),
    "budget": Setting(2.0, "at most this many times the data (evenness, min-ir)", "B"),
    # The largest of 0.1, 0.2 … that keeps MELD within twice its data (rfs: × 1.96, imbalance ratio 12.06); beyond, the
    # data grow (0.5: × 3.08) and the ratio does not follow (11.95, which is its limit).
    "rfs_threshold": Setting(0.2, "share below which a class is repeated (rfs, irfs)", "T"),
}

_READS = {"evenness": ("max_repeats", "budget"), "min-ir": ("max_repeats", "budget"), "rfs": ("rfs_threshold",),
          "irfs": ("rfs_threshold",), "masked-copies": ()}


def chosen(argument: str, given: Mapping[str, Any]) -> SimpleNamespace:
    """Return the strategy as its objective makes it: `masked-copies` takes a target and one class an utterance.

    >>> chosen("", {}).DIRECTION, sorted(chosen("", {"objective": "rfs"}).OPTIONS)
    ('own', ['objective', 'rfs_threshold', 'unit'])
    """
    objective = settle(OPTIONS, given)["objective"]
    _one_of("objective", objective, _READS)
    masked = objective == "masked-copies"
    options = {name: OPTIONS[name] for name in ("unit", "objective", *_READS[objective])}
    return SimpleNamespace(
        NAME=NAME, CALLED=f"{NAME} --objective {objective}", HELP=HELP, NEEDS=NEEDS,
        DIRECTION="over" if masked else DIRECTION, MAKES=MAKES, OPTIONS=options,
        TASKS=("single-label",) if masked else TASKS, decide=decide)


def decide(problem: Problem) -> Decision:
    """Decide how often each dialogue (or utterance) appears.

    Raises UsageError for an option that is out of range, for more rows than can be made, and with `masked-copies` as
    `class_gaps` does; EmoprepError where `min-ir` takes too long.

    >>> problem = Problem(("a", "b", "c"), ("d", "d", "e"), np.array([0, 0, 1]), ("joy", "fear"), {})
    >>> decision = decide(problem)
    >>> decision.base.tolist(), decision.notes[0]
    ([2], 'dialogues by how often they appear: 1 once, 1 twice')
    """
    options = settle(OPTIONS, problem.options)
    _check(options)
    if options["objective"] == "masked-copies":
        return _masked_copies(problem)
    whole = options["unit"] == "dialogue"
    units = number_dialogues(problem.dialogues) if whole else np.arange(len(problem.keys))
    inside = problem.y.reshape(len(units), -1)[:, 0] != OUTSIDE
    counts, lengths = class_table(problem.y, units, len(problem.labels))
    # What has no row inside the scheme is never repeated, and not spoken of.
    within = np.bincount(units[inside], minlength=len(lengths))
    repeats, notes = _repeats(problem, options, counts, lengths, within)
    made = _checked_size((repeats - 1) @ lengths)
    base, _, number = repeated_rows(units, repeats - 1)
    notes = (*_told(options["unit"], repeats[within > 0]), *notes, *_effect(
        problem, counts.sum(axis=0), repeats @ counts, 1 + made / len(units)))
    if not whole:
        return Decision.of(problem, "repeat", base[_by_class(problem.y[base])], notes=notes)
    # A row outside the scheme is context in the copy, too.
    return Decision.of(problem, "repeat", base, dialogue=number, loss_mask=inside[base].astype(np.float64), notes=notes)


def _repeats(problem: Problem, options: Mapping[str, Any], counts: np.ndarray, lengths: np.ndarray,
             within: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return r int64 [D], and what there is to tell about it; `within` [D] are the rows inside the scheme."""
    most, budget = options["max_repeats"], options["budget"]
    if options["objective"] == "evenness":
        return even_repeats(counts, lengths, most, budget), []
    if options["objective"] == "min-ir":
        found, proven = least_ratio_repeats(counts, lengths, most, budget)
        return found, [] if proven else ["min-ir was given up before it was certain that no smaller ratio is possible"]
    shares = counts.sum(axis=0) / max(1, within.sum())
    if options["objective"] == "irfs":
        shares = np.sqrt(shares * (counts > 0).sum(axis=0) / max(1, (within > 0).sum()))
    factors, wanted = repeat_factors(counts, shares, options["rfs_threshold"])
    rng = np.random.default_rng(child_seed(problem.seed, NAME, options["objective"], 0))
    told = [f"{label} × {factor:.2f}" for label, factor, there in
            zip(problem.labels, factors, counts.any(axis=0), strict=True) if there and factor > 1]
    return rounded_repeats(wanted, rng), [f"repeat factors: {', '.join(told) or 'none above 1'}"]


# --------------------------------------------------------------------------------------------------- masked copies

def _masked_copies(problem: Problem) -> Decision:
    """Copy dialogues until each class has its target in the loss, each utterance of a class about as often."""
    more = np.zeros(len(problem.keys), np.int64)
    for label, rows, missing in class_gaps(problem, "over"):
        rng = np.random.default_rng(child_seed(problem.seed, NAME, label, 0))
        more += np.bincount(evenly(rng, rows, missing), minlength=len(more))
    units = number_dialogues(problem.dialogues)
    copies = np.zeros(units.max() + 1, np.int64)
    np.maximum.at(copies, units, more)
    _checked_size(copies @ np.bincount(units))
    base, copy, number = repeated_rows(units, copies)
    return Decision.of(problem, "repeat", base, dialogue=number, loss_mask=(copy < more[base]).astype(np.float64),
                       notes=tuple(_told("dialogue", copies + 1)))


# ------------------------------------------------------------------------------------------------- what is told

def _told(unit: str, repeats: np.ndarray) -> list[str]:
    times, there = np.unique(repeats, return_counts=True)
    words = {1: "once", 2: "twice"}
    told = [f"{number:,} {words.get(time, f'{time} times')}" for time, number in
            zip(times.tolist(), there.tolist(), strict=True)]
    return [f"{unit}s by how often they appear: {', '.join(told)}"] if told else []


def _effect(problem: Problem, before: np.ndarray, after: np.ndarray, data: float) -> list[str]:
    """Return what the counts [K] before and after say, and which classes have no member."""
    there = before > 0
    if not there.any():
        return ["no train utterance is in the label scheme, so nothing is repeated"]
    name, ratio = ("imbalance ratio", "imbalance_ratio") if problem.y.ndim == 1 else ("MeanIR", "mean_ratio")
    first, last = (measure(dict(enumerate(counts[there].tolist()))) for counts in (before, after))
    told = f"data × {data:.2f}: {name} {getattr(first, ratio):.2f} → {getattr(last, ratio):.2f}"
    if first.evenness is not None:
        told += f", evenness {first.evenness:.4f} → {last.evenness:.4f}"
    return [told, *(f"{label} has no member in train and stays at 0"
                    for label, known in zip(problem.labels, there, strict=True) if not known)]


def _by_class(y: np.ndarray) -> np.ndarray:
    """Return the order of items [n] class by class; items of several labels stay in their order."""
    return np.argsort(y, kind="stable") if y.ndim == 1 else np.arange(len(y))


# -------------------------------------------------------------------------------------------------- what is refused

def _check(options: Mapping[str, Any]) -> None:
    _one_of("objective", options["objective"], _READS)
    _one_of("unit", options["unit"], ("dialogue", "utterance"))
    if options["objective"] == "masked-copies" and options["unit"] == "utterance":
        raise UsageError("masked copies are copies of dialogues", where="--unit", expected="dialogue", got="utterance",
                         remedy="use --strategy oversample --even, which makes the same counts of lone utterances")
    most, budget, threshold = (options[name] for name in ("max_repeats", "budget", "rfs_threshold"))
    if not isinstance(most, int) or not 1 <= most <= MOST:
        raise UsageError("this number of repeats is not possible", where="--max-repeats",
                         expected="a whole number of at least 1", got=str(most), remedy="write --max-repeats 5")
    if not 1 <= budget <= MOST:
        raise UsageError("this budget is not possible", where="--budget", expected="a number of at least 1",
                         got=str(budget), remedy="--budget 2 is twice the data")
    if not 0 < threshold <= MOST:
        raise UsageError("this threshold is not possible", where="--rfs-threshold", expected="a number above 0",
                         got=str(threshold), remedy="write --rfs-threshold 0.2")


def _one_of(option: str, value: Any, known: Any) -> None:
    if value not in known:
        raise UsageError("not known", where=f"--{option}", expected=" or ".join(known), got=repr(value))


def _checked_size(made: Any) -> int:
    if made > MOST:
        raise UsageError("this is more than can be made", where=f"--strategy {NAME}",
                         expected=f"at most {MOST:,} items", got=f"{int(made):,}", remedy="ask for less")
    return int(made)
