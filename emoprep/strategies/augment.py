"""New utterances of small classes: copies whose sound and picture are changed as far as the emotion bears it.

Copies are spread evenly over a class: of one that grows m-fold each utterance appears ⌊m⌋ or ⌈m⌉ times, the original
included. Everything that is applied is drawn here, for each copy from a seed of its own, and stands in the plan, so
that any one of them can be made again alone (`emoprep.augment`). Where only the small classes are augmented, what
augmenting leaves behind tells the class; `augment_others` does the same to some of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.contracts import Decision, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.augmentation import SHORT_S, TEXT_ONLY, draw_parameters, read_ranges
from emoprep.methods.pairs import evenly
from emoprep.methods.parents import item_seeds
from emoprep.methods.rewording import punctuated, read_synonyms, reworded
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "augment"
HELP = "copy utterances of small classes with sound and picture changed"
NEEDS = "labels"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "media"
OPTIONS = {
    "param": Setting((), "a transform's range, as pitch=1.5, or off, as hue=off", "NAME=VALUE"),
    "force": Setting(False, "go beyond the bounds that keep the emotion"),
    "augment_others": Setting(0.0, "share of the other classes' rows to augment in their place", "P"),
    "text_augment": Setting(None, "change the words too: commas put in, or synonyms in copies without media",
                            "aeda|synonyms:FILE"),
}

SYNONYMS = "synonyms:"

ENOUGH = 0.3
"""The share of the other classes that must be augmented for the artefacts not to tell the class."""

Draw = Callable[[int, int], dict[str, Any]]
"""(row, seed) → the parameters of an item."""


def decide(problem: Problem) -> Decision:
    """Copy rows until every class has its target, and draw what is done to each copy.

    Raises UsageError for a target below what is there, a class without rows, parameters beyond the bounds, and
    texts that are to be changed and are not there.

    >>> problem = Problem(("a", "b"), ("d", "d"), np.array([0, 1]), ("joy", "fear"), {"joy": 1, "fear": 2},
    ...                   options={"param": ("pitch=1.5", *(f"{name}=off" for name in ("noise", "gain", "room")))})
    >>> decision = decide(problem)
    >>> decision.op.tolist(), decision.base.tolist(), sorted(decision.parameters[0])
    (['augment'], [1], ['band-pass', 'flip', 'rotate', 'saturation'])
    """
    options = settle(OPTIONS, problem.options)
    share = options["augment_others"]
    if not 0 <= share <= 1:
        raise UsageError("this is no share", where="--augment-others", expected="0 to 1", got=f"{share:g}",
                         remedy="write for example --augment-others 0.3")
    draw, notes = _drawing(problem, options)
    gaps = list(class_gaps(problem, "over"))
    base = [np.empty(0, dtype=np.int64)]
    for label, rows, missing in gaps:
        rng = np.random.default_rng(child_seed(problem.seed, NAME, label, 0))
        base.append(evenly(rng, rows, missing))
    base = np.concatenate(base)
    seeds = item_seeds(problem, NAME, base)
    parameters = [draw(row, seed) for row, seed in zip(base.tolist(), seeds.tolist(), strict=True)]
    others = _others(problem, [label for label, _, _ in gaps], share)
    altered = {row: draw(row, child_seed(problem.seed, NAME, problem.keys[row], 0)) for row in others}
    notes += [*_short(problem, base), *_unchanged(problem, base, parameters), *_shortcut(problem, gaps, share)]
    return Decision.of(problem, "augment", base, parameters=parameters, altered=altered, notes=tuple(notes))


def recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of the options: a list of synonyms by its name and its bytes, not by its place.

    Raises UsageError for a list that cannot be read.

    >>> recorded({"param": ("pitch=1",), "text_augment": "aeda"})
    {'param': ['pitch=1'], 'text_augment': 'aeda'}
    """
    found, text = {**options, "param": list(options["param"])}, options["text_augment"]
    if text is not None and text.startswith(SYNONYMS):
        path = text.removeprefix(SYNONYMS)
        found |= {"text_augment": SYNONYMS + Path(path).name, "synonyms_sha256": read_synonyms(path).sha256}
    return found


def _drawing(problem: Problem, options: Mapping[str, Any]) -> tuple[Draw, list[str]]:
    """Return the function that draws an item's parameters, and notes."""
    text = options["text_augment"]
    if text not in (None, "aeda") and not text.startswith(SYNONYMS):
        raise UsageError("not known", where="--text-augment", expected="aeda or synonyms:FILE", got=text)
    if text is not None and problem.texts is None:
        raise UsageError("IN has no texts to change", where="--text-augment", remedy="leave it out")
    if text is not None and text != "aeda":
        return _drawing_texts(problem, options, text.removeprefix(SYNONYMS))
    ranges = read_ranges(options["param"], force=options["force"])

    def draw(row: int, seed: int) -> dict[str, Any]:
        parameters = draw_parameters(ranges, seed, _seconds(problem, row))
        if text == "aeda":
            words = punctuated(problem.texts[row], np.random.default_rng(child_seed(seed, NAME, "aeda", 0)))
            parameters |= {"text": words} if words != problem.texts[row] else {}
        return parameters
    return draw, []


def _drawing_texts(problem: Problem, options: Mapping[str, Any], path: str) -> tuple[Draw, list[str]]:
    """Return the same for copies of other words, which have neither sound nor picture: they would say the old ones."""
    for name, given in (("param", options["param"]), ("augment-others", options["augment_others"])):
        if given:
            raise UsageError("copies with other words have no sound and picture to change", where=f"--{name}",
                             got="--text-augment synonyms", remedy="leave one of them out, or use --text-augment aeda")
    synonyms, left_out, _ = read_synonyms(path)

    def draw(row: int, seed: int) -> dict[str, Any]:
        return {"text": reworded(problem.texts[row], synonyms, np.random.default_rng(seed)), TEXT_ONLY: True}
    return draw, [f"words of the list that carry emotion and are never replaced: {left_out}"] if left_out else []


def _others(problem: Problem, growing: Sequence[str], share: float) -> list[int]:
    """Return a share of the rows of each class that does not grow, in order."""
    chosen = []
    for number, label in enumerate(problem.labels):
        rows = (problem.y == number).nonzero()[0]
        if label not in growing and len(rows):
            rng = np.random.default_rng(child_seed(problem.seed, NAME, f"others {label}", 0))
            chosen += rng.choice(rows, int(share * len(rows) + 0.5), replace=False).tolist()
    return sorted(chosen)


def _seconds(problem: Problem, row: int) -> float | None:
    """Return how long an utterance is, None where that is not known."""
    return float(problem.seconds[row]) or None if problem.seconds is not None else None


# ---------------------------------------------------------------------------------------- what the user is told

def _short(problem: Problem, base: np.ndarray) -> list[str]:
    short = sum((seconds := _seconds(problem, row)) is not None and seconds < SHORT_S for row in base.tolist())
    return [f"copies shorter than {SHORT_S:g} s, whose sound only gets noise and gain: {short}"] if short else []


def _unchanged(problem: Problem, base: np.ndarray, parameters: Sequence[Mapping[str, Any]]) -> list[str]:
    same = sum(TEXT_ONLY in drawn and drawn["text"] == problem.texts[row]
               for row, drawn in zip(base.tolist(), parameters, strict=True))
    return [f"copies whose words stay, since no word of the list is among them: {same}"] if same else []


def _shortcut(problem: Problem, gaps: Sequence[tuple[str, np.ndarray, int]], share: float) -> list[str]:
    """Warn where what augmenting leaves behind tells the class: only the small classes have it."""
    growing = [label for label, _, _ in gaps]
    others = [label for number, label in enumerate(problem.labels)
              if label not in growing and (problem.y == number).any()]
    if not growing or not others or share >= ENOUGH:
        return []
    return [f"augmented: {', '.join(growing)}; {'hardly' if share else 'not'}: {', '.join(others)}. A model can learn "
            f"that a pitch-shifted voice or a turned picture means {growing[0]}: add --augment-others {ENOUGH:g}"]
