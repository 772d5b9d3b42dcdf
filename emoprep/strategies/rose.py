"""ROSE: utterances of small classes repeated with Gaussian noise (a smoothed bootstrap; Menardi & Torelli 2014).

A base is drawn at random, and x' = x + ε with ε ~ N(0, diag(h²)) and h = s·(4/((d + 2)·N))^(1/(d + 4))·σ: s is the
shrinkage, d the features of all modalities together, N the utterances of train, and σ the deviation of each feature
in the class. (The paper has the class's own count for N; this is imbalanced-learn's, and the bandwidth hardly differs.)

Each item's noise follows from the seed that plan.parquet gives it: `numpy.random.default_rng(seed)` draws
`standard_normal(d)` once, over the modalities in the order of the store, times h. A modality that the base lacks stays
absent. With `imblearn_compat` bases and noise are, bit for bit, those of `RandomOverSampler(shrinkage=s)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from emoprep.contracts import Decision, Modality, Problem, Setting, settle
from emoprep.errors import UsageError
from emoprep.methods.imblearn_draws import check_compat, raw_rows
from emoprep.methods.neighbors import moments
from emoprep.methods.pairs import COMPAT
from emoprep.methods.parents import item_seeds
from emoprep.methods.targets import class_gaps
from emoprep.utterance import child_seed

NAME = "rose"
HELP = "repeat utterances of small classes with a little noise on their features"
NEEDS = "features"
DIRECTION = "over"
TASKS = ("single-label",)
MAKES = "vectors"
OPTIONS = {"shrinkage": Setting(1.0, "width of the noise; 1 is best for normal data", "S"),
           "imblearn_compat": COMPAT}

Noise = Callable[[np.ndarray], Mapping[str, np.ndarray]]

# Between two states of the generator that are held (2.5 KB each) so many items are drawn anew.
_STATE_EVERY = 4


def decide(problem: Problem) -> Decision:
    """Draw bases until every class has its target, and say the noise of each.

    A class with one member has no deviation: it is repeated, and a note says so. Raises UsageError for sequences, for
    a target below what is there and for a class without rows; EmoprepError for a value that is not finite.

    >>> text = Modality(np.array([[0], [4], [9]], np.float32), np.ones(3, bool))
    >>> problem = Problem(("a", "b", "c"), ("d", "d", "d"), np.array([0, 0, 1]), ("joy", "fear"),
    ...                   {"joy": 3, "fear": 2}, features={"text": text})
    >>> decision = decide(problem)
    >>> decision.op.tolist(), decision.parameters[0]["shrinkage"], decision.noise(np.array([1]))["text"] == 0
    (['generate', 'repeat'], 1.0, array([[ True]]))
    """
    options = settle(OPTIONS, problem.options)
    shrinkage = _shrinkage(options["shrinkage"])
    gaps = list(class_gaps(problem, "over"))
    _check_vectors(problem)
    width = shrinkage * bandwidth(int((problem.y >= 0).sum()), sum(_sizes(problem.features).values()))
    if options["imblearn_compat"]:
        check_compat(problem, options, "RandomOverSampler")
        base, noise = _as_imblearn(problem, gaps, width)
    else:
        bases = [np.random.default_rng(child_seed(problem.seed, NAME, label, 0)).choice(rows, missing)
                 for label, rows, missing in gaps]
        base = np.concatenate([np.empty(0, dtype=np.int64), *bases])
        noise = _noise(problem, gaps, base, width)
    single = {label: missing for label, rows, missing in gaps if len(rows) == 1}
    op = np.repeat(["repeat" if label in single else "generate" for label, _, _ in gaps] or ["generate"],
                   [missing for _, _, missing in gaps] or [0])
    told = {"generate": {"shrinkage": shrinkage, "width": width}, "repeat": {}}
    notes = [f"{label}: {missing} of {missing} new items repeat its one utterance, which has no deviation"
             for label, missing in single.items()]
    return Decision.of(problem, op, base, parameters=[told[one] for one in op.tolist()], noise=noise,
                       notes=tuple(notes))


def bandwidth(n: int, d: int) -> float:
    """Return (4/((d + 2)·n))^(1/(d + 4)): how wide the noise is on n rows of d features, in deviations.

    >>> round(bandwidth(9989, 712), 4), round(bandwidth(100, 1), 4)
    (0.9801, 0.4217)
    """
    return (4 / ((d + 2) * n)) ** (1 / (d + 4))


def _shrinkage(value: float) -> float:
    if not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise UsageError("this width of the noise is not possible", where="--shrinkage", expected="a number above 0",
                         got=str(value), remedy="write --shrinkage 1, or use --strategy oversample for plain copies")
    return float(value)


def _check_vectors(problem: Problem) -> None:
    if not problem.features:
        raise UsageError("there is no feature to add noise to", where=f"--strategy {NAME}",
                         expected="a feature store", remedy="run `emoprep features` first")
    for name, modality in problem.features.items():
        if isinstance(modality.values, list):
            raise UsageError(f"noise on each step of a sequence is no smoothed bootstrap, and {name} is a sequence",
                             where=f"--strategy {NAME}", expected="vectors", got=f"clock {modality.clock}",
                             remedy="make features with --pool mean, or use --strategy smote")


def _sizes(features: Mapping[str, Modality]) -> dict[str, int]:
    return {name: np.asarray(modality.values).shape[1] for name, modality in features.items()}


def _noise(problem: Problem, gaps: list, base: np.ndarray, width: float) -> Noise:
    """Return the noise of items as it follows from their own seeds."""
    sizes, seeds, spread = _sizes(problem.features), item_seeds(problem, NAME, base), {}
    for name, modality in problem.features.items():
        values, present = np.asarray(modality.values, dtype=np.float32), np.asarray(modality.present)
        spread[name] = np.array([width * moments(name, values, rows[present[rows]], problem.keys)[1]
                                 for _, rows, _ in gaps]).reshape(len(gaps), sizes[name])
    group = np.repeat(np.arange(len(gaps)), [missing for _, _, missing in gaps])
    ends = np.cumsum(list(sizes.values()))

    def noise(items: np.ndarray) -> dict[str, np.ndarray]:
        drawn = np.empty((len(items), ends[-1]))
        for at, seed in enumerate(seeds[items].tolist()):
            drawn[at] = np.random.default_rng(seed).standard_normal(ends[-1])
        return {name: part * spread[name][group[items]] * problem.features[name].present[base[items]][:, None]
                for name, part in zip(sizes, np.split(drawn, ends[:-1], axis=1), strict=True)}

    return noise


# ------------------------------------------------------------------------------- imbalanced-learn's draws

def _as_imblearn(problem: Problem, gaps: list, width: float) -> tuple[np.ndarray, Noise]:
    """Draw as `RandomOverSampler._fit_resample`: bases and then noise of one class after the other, in one stream."""
    sizes, random = _sizes(problem.features), np.random.RandomState(problem.seed)
    ends, scales, states, first = np.cumsum(list(sizes.values())), [], [], []
    bases = [np.empty(0, dtype=np.int64)]
    for _, rows, missing in gaps:
        # The deviation in float32 and of all modalities side by side, since its rounding depends on both.
        scales.append(width * np.std(raw_rows(problem.features, rows), axis=0))
        begin = sum(map(len, bases))
        bases.append(random.choice(rows, size=missing, replace=True))
        for start in range(0, missing, _STATE_EVERY):
            states.append(random.get_state())
            first.append(begin + start)
            random.randn(min(_STATE_EVERY, missing - start), ends[-1])
    group = np.repeat(np.arange(len(gaps)), [missing for _, _, missing in gaps])

    def noise(items: np.ndarray) -> dict[str, np.ndarray]:
        drawn, again = np.empty((len(items), ends[-1])), np.random.RandomState()
        piece = np.searchsorted(first, items, side="right") - 1
        for at, item in enumerate(items.tolist()):
            again.set_state(states[piece[at]])
            drawn[at] = again.randn(item - first[piece[at]] + 1, ends[-1])[-1] * scales[group[item]]
        return dict(zip(sizes, np.split(drawn, ends[:-1], axis=1), strict=True))

    return np.concatenate(bases), noise
