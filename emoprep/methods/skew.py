"""How unevenly utterances fall on classes, or labels on utterances: the measures that the literature names.

    imbalance ratio     n_max / n_min; a class's ratio is n_max / n_c
    minority share      n_min / N
    entropy             H = −Σ p ln p of the class shares, in nats (Shannon)
    evenness            H / ln K (Pielou)
    effective classes   e^H, Hill's number of order 1; the inverse Simpson index 1 / Σp² is that of order 2
    KL                  Σ p ln (K p) = ln K − H: the Kullback-Leibler divergence from even classes, in nats
    LRID                2 Σ n ln (K n / N) = 2N · KL, the likelihood ratio against even classes (Zhu et al. 2018,
                        Pattern Recognition Letters 116); it grows with N, LRID / N does not
    TV                  ½ Σ |p − 1/K|: the total variation from even classes; the share that would have to move
    IRLbl               n_max / n_l of a label l; MeanIR is its mean, CVIR its deviation (ddof 1) ÷ MeanIR
                        (Charte et al. 2015, Neurocomputing 163)
    cardinality         labels an utterance has on average; density is that ÷ K
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean, stdev

__all__ = ["LabelSkew", "Skew", "measure", "measure_labels"]


@dataclass(frozen=True)
class Skew:
    """How unevenly utterances fall on classes.

    `counts` are by class name, in the scheme's order; a masked utterance (loss_mask 0) is not counted.
    `imbalance_ratio` is None where a class has no member. `lacks` is what each class lacks to the largest,
    `ratios` n_max / n_c, and `mean_ratio` their mean over the classes that have members. Without any member the
    measures are None.
    """

    counts: dict[str, float]
    shares: dict[str, float]
    imbalance_ratio: float | None
    evenness: float | None
    effective_classes: float | None
    lacks: dict[str, float]
    ratios: dict[str, float | None]
    mean_ratio: float | None
    minority_share: float | None
    entropy: float | None
    inverse_simpson: float | None
    kl_to_uniform: float | None
    lrid: float | None
    lrid_per_row: float | None
    tv_to_uniform: float | None


@dataclass(frozen=True)
class LabelSkew:
    """What only multi-label data has: `none` are the utterances without any label.

    `irlbl` is None for a label that no utterance has, and such a label is not in MeanIR. `label_sets` are the
    combinations that occur with their counts, the most frequent first, the empty one included. `together`
    counts the utterances that have two labels, for each pair in the scheme's order.
    """

    none: float
    irlbl: dict[str, float | None]
    mean_ir: float | None
    cvir: float | None
    cardinality: float | None
    density: float | None
    label_sets: list[tuple[tuple[str, ...], float]]
    together: dict[str, dict[str, float]]


def measure(counts: Mapping[str, float]) -> Skew:
    """Return the skew of class counts.

    >>> skew = measure({"neutral": 4710, "fear": 268})
    >>> round(skew.imbalance_ratio, 2), round(skew.evenness, 4), skew.lacks["fear"]
    (17.57, 0.3025, 4442)
    >>> round(skew.entropy, 4), round(skew.kl_to_uniform, 4), round(skew.lrid), round(skew.tv_to_uniform, 4)
    (0.2097, 0.4835, 4814, 0.4462)
    """
    total, largest, smallest = sum(counts.values()), max(counts.values()), min(counts.values())
    shares = {name: count / total if total else 0.0 for name, count in counts.items()}
    entropy = sum(-share * math.log(share) for share in shares.values() if share)
    divergence = math.log(len(counts)) - entropy
    ratios = {name: largest / count if count else None for name, count in counts.items()}

    def known(value: float) -> float | None:
        return value if total else None
    return Skew(
        dict(counts), shares, largest / smallest if smallest else None,
        entropy / math.log(len(counts)) if total and len(counts) > 1 else None, known(math.exp(entropy)),
        {name: largest - count for name, count in counts.items()}, ratios,
        mean(ratio for ratio in ratios.values() if ratio is not None) if total else None,
        minority_share=known(min(shares.values())), entropy=known(entropy),
        inverse_simpson=1 / sum(share ** 2 for share in shares.values()) if total else None,
        kl_to_uniform=known(divergence), lrid=known(2 * total * divergence), lrid_per_row=known(2 * divergence),
        tv_to_uniform=known(sum(abs(share - 1 / len(counts)) for share in shares.values()) / 2))


def measure_labels(rows: Iterable[tuple[Sequence[int], float]], labels: Sequence[str]) -> LabelSkew:
    """Return the skew of rows of (0 or 1 for each label, weight).

    >>> skew = measure_labels([((1, 0), 1), ((1, 1), 1), ((0, 0), 1), ((1, 0), 1)], ("happy", "fear"))
    >>> skew.none, skew.irlbl, skew.mean_ir, skew.cardinality, skew.together
    (1, {'happy': 1.0, 'fear': 3.0}, 2.0, 1.0, {'happy': {'fear': 1}})
    >>> skew.label_sets
    [(('happy',), 2), ((), 1), (('happy', 'fear'), 1)]
    """
    sets: Counter[tuple[int, ...]] = Counter()
    for values, weight in rows:
        if weight:
            sets[tuple(values)] += weight
    total = sum(sets.values())
    positives = [sum(weight for values, weight in sets.items() if values[at]) for at in range(len(labels))]
    largest = max(positives, default=0)
    irlbl = {label: largest / count if count else None for label, count in zip(labels, positives, strict=True)}
    known = [ratio for ratio in irlbl.values() if ratio is not None]
    mean_ir = mean(known) if known else None
    together: dict[str, dict[str, float]] = {}
    for left, right in combinations(range(len(labels)), 2):
        together.setdefault(labels[left], {})[labels[right]] = sum(
            weight for values, weight in sets.items() if values[left] and values[right])
    cardinality = sum(positives) / total if total else None
    return LabelSkew(
        sets.get((0,) * len(labels), 0), irlbl, mean_ir, stdev(known) / mean_ir if len(known) > 1 else None,
        cardinality, None if cardinality is None else cardinality / len(labels),
        [(tuple(label for label, there in zip(labels, values, strict=True) if there), weight)
         for values, weight in sorted(sets.items(), key=lambda item: (-item[1], sum(item[0]), [-v for v in item[0]]))],
        together)
