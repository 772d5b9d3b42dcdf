"""Scores of predictions, from a confusion matrix: rows are the true classes, columns the predicted ones.

    precision, recall   of a class: tp / predicted, tp / true; F1 = 2·tp / (predicted + true)
    accuracy            Σ tp / N. Speech papers call it WA, and CBERL WAA; micro-F1 is the same number
    UAR                 the mean recall of the classes; balanced accuracy, and what speech papers call UA
    adjusted UAR        (UAR − 1/K) / (1 − 1/K): 0 for one class throughout, 1 for no error
    macro-F1            the mean of the classes' F1, never the F1 of mean precision and mean recall
    weighted-F1         the classes' F1 weighted by how many true rows they have
    MCC                 (c·s − Σ p·t) / √((s² − Σ p²)(s² − Σ t²)) with c = Σ tp, s = N, p and t the sums of columns and
                        rows (Gorodkin 2004, Computational Biology and Chemistry 28)
    κ                   (accuracy − e) / (1 − e) with e = Σ p·t / N² (Cohen 1960)
    G-mean              (Π recall)^(1/K): 0 as soon as one class is never found

A quotient without a denominator is 0. A class that no true row has is in no mean, and is listed as `absent`.

Of two classes, "weighted accuracy" is another thing in CMU-MOSEI's papers: (tp·N₋/N₊ + tn) / (2·N₋) (Tong et al. 2017).
That equals the mean of the two recalls, which others call unweighted accuracy. Say which, whenever you say WA or UA.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emoprep.errors import EmoprepError
from emoprep.labels import OUTSIDE

__all__ = ["LabelScores", "Scores", "confusion", "majority_scores", "score", "score_label", "score_labels"]


@dataclass(frozen=True)
class Scores:
    """Scores of one class an utterance; per class by name, in the order of `labels`. All between 0 and 1 but MCC and κ.

    `absent` have no true row, `never_predicted` no predicted one. `prediction_entropy` is that of the predicted
    classes, in nats: 0 where one class is predicted throughout. A model has collapsed if it is near 0, if
    `never_predicted` is long, or if `majority_scores` of the same support are as good.
    """

    labels: tuple[str, ...]
    support: dict[str, int]
    precision: dict[str, float]
    recall: dict[str, float]
    f1: dict[str, float]
    accuracy: float
    uar: float
    adjusted_uar: float | None
    macro_f1: float
    weighted_f1: float
    macro_precision: float
    weighted_precision: float
    mcc: float
    kappa: float
    g_mean: float
    absent: tuple[str, ...]
    never_predicted: tuple[str, ...]
    prediction_entropy: float

    @property
    def balanced_accuracy(self) -> float:
        """The other name of UAR."""
        return self.uar


@dataclass(frozen=True)
class LabelScores:
    """Scores of one label that an utterance has or not. `precision`, `recall` and `f1` are those of having it.

    `unweighted_accuracy` is the mean recall of the two classes: paper 002's UA, and the "weighted accuracy" of
    CMU-MOSEI's papers. It is None where one of them has no true row.
    """

    accuracy: float
    unweighted_accuracy: float | None
    precision: float
    recall: float
    f1: float

    @property
    def mosei_weighted_accuracy(self) -> float | None:
        """The other name of `unweighted_accuracy` (Tong et al. 2017)."""
        return self.unweighted_accuracy


def confusion(true: Sequence[Hashable], predicted: Sequence[Hashable], labels: Sequence[Hashable]) -> np.ndarray:
    """Return int64 [K, K]: how many rows of each true class (rows) got each predicted class (columns).

    `true` and `predicted` hold the classes themselves: names, or numbers where `labels` are numbers. Rows whose true
    class is −100 (outside the scheme, or masked) are left out. Raises EmoprepError for any other foreign class.

    >>> confusion(["joy", "joy", "fear"], ["joy", "fear", "fear"], ("joy", "fear")).tolist()
    [[1, 1], [0, 1]]
    """
    if len(true) != len(predicted):
        raise EmoprepError("predictions and true classes differ in number", where="metrics", expected=f"{len(true)}",
                           got=f"{len(predicted)}")
    numbers = {label: number for number, label in enumerate(labels)}
    pairs = [(row, truth, guess) for row, (truth, guess) in enumerate(zip(true, predicted, strict=True))
             if truth != OUTSIDE]
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for row, truth, guess in pairs:
        foreign = next((name for name in (truth, guess) if name not in numbers), None)
        if foreign is not None:
            raise EmoprepError("this is none of the classes", where=f"row {row}", got=repr(foreign),
                               expected=", ".join(map(str, labels)))
        matrix[numbers[truth], numbers[guess]] += 1
    return matrix


def score(matrix: np.ndarray, labels: Sequence[str]) -> Scores:
    """Return the scores of a confusion matrix [K, K] (rows true). Raises EmoprepError where it holds no row.

    >>> scores = score([[8, 2], [3, 1]], ("neutral", "fear"))
    >>> round(scores.accuracy, 4), round(scores.uar, 4), round(scores.macro_f1, 4), round(scores.kappa, 4)
    (0.6429, 0.525, 0.5238, 0.0541)
    """
    counts = np.asarray(matrix, np.float64)
    if counts.shape != (len(labels), len(labels)) or not (counts >= 0).all() or not counts.any():
        raise EmoprepError("this is no confusion matrix of these classes", where="metrics",
                           expected=f"{len(labels)} × {len(labels)} counts, none negative, at least one above 0",
                           got=f"{' × '.join(map(str, counts.shape))}, sum {counts.sum():g}")
    n, hits, true, guessed = counts.sum(), counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall, f1 = _quotient(hits, guessed), _quotient(hits, true), _quotient(2 * hits, true + guessed)
    there, classes = true > 0, int((true > 0).sum())
    uar, agreement = recall[there].mean(), float(guessed @ true)
    return Scores(
        tuple(labels), dict(zip(labels, true.astype(int).tolist(), strict=True)),
        *(dict(zip(labels, values.tolist(), strict=True)) for values in (precision, recall, f1)),
        accuracy=float(hits.sum() / n), uar=float(uar),
        adjusted_uar=float((uar - 1 / classes) / (1 - 1 / classes)) if classes > 1 else None,
        macro_f1=float(f1[there].mean()), weighted_f1=float(f1 @ true / n),
        macro_precision=float(precision[there].mean()), weighted_precision=float(precision @ true / n),
        mcc=_ratio(hits.sum() * n - agreement, math.sqrt((n * n - guessed @ guessed) * (n * n - true @ true))),
        kappa=_ratio(hits.sum() * n - agreement, n * n - agreement),
        g_mean=float(recall[there].prod() ** (1 / classes)),
        absent=_named(labels, ~there), never_predicted=_named(labels, guessed == 0),
        prediction_entropy=float(-sum(share * math.log(share) for share in guessed / n if share)))


def majority_scores(support: Mapping[str, int]) -> Scores:
    """Return what always saying the largest class scores: no result that is worth telling lies below this.

    >>> scores = majority_scores({"neutral": 1256, "surprise": 281, "fear": 50, "sadness": 208, "joy": 402,
    ...                           "disgust": 68, "anger": 345})
    >>> [round(value, 4) for value in (scores.accuracy, scores.macro_f1, scores.weighted_f1, scores.uar)]
    [0.4812, 0.0928, 0.3127, 0.1429]
    """
    matrix = np.zeros((len(support), len(support)))
    matrix[:, int(np.argmax(list(support.values())))] = list(support.values())
    return score(matrix, tuple(support))


def score_label(tp: int, fn: int, fp: int, tn: int) -> LabelScores:
    """Return the scores of a label from how many rows have it and got it (tp), have it and did not (fn), and so on.

    >>> found = score_label(20, 30, 40, 410)
    >>> round(found.accuracy, 4), round(found.unweighted_accuracy, 4), round(found.f1, 4)
    (0.86, 0.6556, 0.3636)
    """
    scores = score([[tn, fp], [fn, tp]], ("no", "yes"))
    return LabelScores(scores.accuracy, None if scores.absent else scores.uar, scores.precision["yes"],
                       scores.recall["yes"], scores.f1["yes"])


def score_labels(true: np.ndarray, predicted: np.ndarray, labels: Sequence[str]) -> dict[str, LabelScores]:
    """Return the scores of each label; `true` and `predicted` are 0 or 1 [N, K], −100 for a row outside the scheme.

    The mean of their `unweighted_accuracy` is what papers on CMU-MOSEI report. Raises EmoprepError for other shapes and
    for values that are neither 0 nor 1, such as probabilities: where to cut those is the caller's decision.

    >>> found = score_labels([[1, 0], [0, 1]], [[1, 1], [0, 1]], ("happy", "fear"))
    >>> found["happy"].f1, found["fear"].unweighted_accuracy
    (1.0, 0.5)
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape or true.shape[1:] != (len(labels),):
        raise EmoprepError("predictions and true labels differ in shape", where="metrics",
                           expected=f"N × {len(labels)} both", got=f"{true.shape} and {predicted.shape}")
    rows = (true != OUTSIDE).all(axis=1)
    has, got = true[rows] == 1, predicted[rows] == 1
    for name, values, ones in (("true", true[rows], has), ("predicted", predicted[rows], got)):
        if (ones != values).any():
            raise EmoprepError(f"the {name} labels are more than yes and no", where="metrics", expected="0 or 1",
                               got=str(values[ones != values][0]), remedy="cut probabilities at a threshold first")
    return {label: score_label(*(int(both[:, at].sum()) for both in (has & got, has & ~got, ~has & got, ~has & ~got)))
            for at, label in enumerate(labels)}


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below else 0.0


def _named(labels: Sequence[str], chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(label for label, taken in zip(labels, chosen, strict=True) if taken)
