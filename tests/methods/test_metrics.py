"""Scores, held to scikit-learn and imbalanced-learn; and the flaw that no score shows."""

import numpy as np
import pytest

from emoprep.errors import EmoprepError
from emoprep.methods.metrics import confusion, majority_scores, score, score_label, score_labels

MELD = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
SUPPORT = dict(zip(MELD, (1256, 281, 50, 208, 402, 68, 345), strict=True))


def drawn(seed: int, classes: int, rows: int = 400):
    """Return true and predicted classes that agree more often than by chance, some classes being rare."""
    rng = np.random.default_rng(seed)
    true = rng.choice(classes, rows, p=rng.dirichlet(np.full(classes, 0.7)))
    return true, np.where(rng.random(rows) < 0.5, true, rng.integers(classes, size=rows))


@pytest.mark.parametrize(("seed", "classes"), [(0, 2), (1, 3), (2, 7), (3, 7), (4, 12)])
def test_scores_are_those_of_the_libraries(seed, classes):
    from imblearn.metrics import geometric_mean_score
    from sklearn import metrics

    true, predicted = drawn(seed, classes)
    true[:classes] = np.arange(classes)  # no class is absent: there the libraries differ from each other
    names = tuple(f"c{number}" for number in range(classes))
    matrix = confusion([names[y] for y in true], [names[y] for y in predicted], names)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(true, predicted))
    found = score(matrix, names)
    for average, f1, precision in (("macro", found.macro_f1, found.macro_precision),
                                   ("weighted", found.weighted_f1, found.weighted_precision)):
        wanted = metrics.precision_recall_fscore_support(true, predicted, average=average, zero_division=0)
        assert (precision, f1) == pytest.approx((wanted[0], wanted[2]))
    each = metrics.precision_recall_fscore_support(true, predicted, zero_division=0)
    for ours, theirs in zip((found.precision, found.recall, found.f1, found.support), each, strict=True):
        np.testing.assert_allclose(list(ours.values()), theirs)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    assert found.accuracy == pytest.approx(metrics.f1_score(true, predicted, average="micro"))
    assert found.uar == found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(true, predicted))
    assert found.adjusted_uar == pytest.approx(metrics.balanced_accuracy_score(true, predicted, adjusted=True))
    assert found.mcc == pytest.approx(metrics.matthews_corrcoef(true, predicted))
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(true, predicted))
    assert found.g_mean == pytest.approx(geometric_mean_score(true, predicted, average="multiclass"))


def test_macro_f1_is_the_mean_of_f1_and_not_the_f1_of_means():
    found = score([[90, 10], [0, 10]], ("neutral", "fear"))
    of_means = 2 * found.macro_precision * found.uar / (found.macro_precision + found.uar)
    assert found.macro_f1 == pytest.approx((2 * 90 / 190 + 2 * 10 / 30) / 2)
    assert of_means - found.macro_f1 > 0.03


def test_a_class_that_test_lacks_is_in_no_mean_and_is_named():
    from sklearn import metrics

    true, predicted = [0, 0, 0, 1], [0, 0, 2, 1]
    found = score(confusion(true, predicted, (0, 1, 2)), ("joy", "anger", "fear"))
    assert (found.absent, found.never_predicted) == (("fear",), ())
    assert found.uar == pytest.approx((2 / 3 + 1) / 2)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(true, predicted, labels=[0, 1], average="macro"))
    assert found.precision["fear"] == found.recall["fear"] == found.f1["fear"] == 0


def test_a_collapsed_model_shows():
    found = majority_scores(SUPPORT)
    assert found.never_predicted == MELD[1:] and found.prediction_entropy == 0
    assert (found.mcc, found.kappa, found.g_mean, found.adjusted_uar) == (0, 0, 0, pytest.approx(0))
    # Nearly a tenth better in no score: the model of the report on a lightweight MELD model (its Table 3).
    nearly = score([[1253, 0, 0, 0, 0, 0, 3], *[[count - (label == "anger"), *[0] * 5, int(label == "anger")]
                                                for label, count in list(SUPPORT.items())[1:]]], MELD)
    assert nearly.prediction_entropy < 0.02 and len(nearly.never_predicted) == 5
    assert abs(nearly.macro_f1 - found.macro_f1) < 0.01 and abs(nearly.weighted_f1 - found.weighted_f1) < 0.01
    even = score(np.full((7, 7), 5), MELD)
    assert even.prediction_entropy == pytest.approx(np.log(7)) and not even.never_predicted


def test_rows_outside_the_scheme_are_left_out():
    assert confusion([0, -100, 1], [0, 1, 1], (0, 1)).tolist() == [[1, 0], [0, 1]]
    found = score_labels([[1, 0], [-100, -100]], [[1, 0], [1, 1]], ("happy", "fear"))
    assert found["happy"].accuracy == found["fear"].accuracy == 1
    assert found["happy"].unweighted_accuracy is None  # every row has it: the recall of not having it is no number


def test_weighted_accuracy_by_both_of_its_definitions():
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(5)
    for tp, fn, fp, tn in rng.integers(1, 500, (50, 4)).tolist():
        found, positives, negatives = score_label(tp, fn, fp, tn), tp + fn, fp + tn
        assert found.mosei_weighted_accuracy == pytest.approx((tp * negatives / positives + tn) / (2 * negatives))
        assert found.unweighted_accuracy == pytest.approx((tp / positives + tn / negatives) / 2)
        assert found.unweighted_accuracy == pytest.approx(balanced_accuracy_score(
            [1] * positives + [0] * negatives, [1] * tp + [0] * fn + [1] * fp + [0] * tn))
        assert found.accuracy == pytest.approx((tp + tn) / (positives + negatives))


def test_several_labels_are_scored_each_by_itself():
    from sklearn import metrics

    rng = np.random.default_rng(6)
    true = (rng.random((300, 6)) < [0.53, 0.26, 0.22, 0.1, 0.18, 0.08]).astype(np.int8)
    predicted = np.where(rng.random(true.shape) < 0.7, true, 1 - true)
    found = score_labels(true, predicted, ("happy", "sad", "anger", "surprise", "disgust", "fear"))
    np.testing.assert_allclose([scores.f1 for scores in found.values()],
                               metrics.f1_score(true, predicted, average=None))
    np.testing.assert_allclose([scores.unweighted_accuracy for scores in found.values()],
                               [metrics.balanced_accuracy_score(true[:, at], predicted[:, at]) for at in range(6)])


@pytest.mark.parametrize(("call", "text"), [
    (lambda: confusion(["joy"], ["bliss"], ("joy", "fear")),
     "row 0: this is none of the classes: expected joy, fear, got 'bliss'"),
    (lambda: confusion(["joy"], [], ("joy",)),
     "metrics: predictions and true classes differ in number: expected 1, got 0"),
    (lambda: score([[1, 2]], ("joy", "fear")),
     "metrics: this is no confusion matrix of these classes: expected 2 × 2 counts, none negative, at least one above "
     "0, got 1 × 2, sum 3"),
    (lambda: score([[0, 0], [0, 0]], ("joy", "fear")), "metrics: this is no confusion matrix of these classes"),
    (lambda: score([[2, 0], [0, -1]], ("joy", "fear")), "metrics: this is no confusion matrix of these classes"),
    (lambda: score_labels([[1, 0]], [[1]], ("happy", "fear")),
     "metrics: predictions and true labels differ in shape: expected N × 2 both, got (1, 2) and (1, 1)"),
    (lambda: score_labels([[1, 0]], [[0.7, 0.2]], ("happy", "fear")),
     "metrics: the predicted labels are more than yes and no: expected 0 or 1, got 0.7; cut probabilities at a "
     "threshold first"),
])
def test_what_cannot_be_scored_is_refused(call, text):
    with pytest.raises(EmoprepError) as refused:
        call()
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize("sampler", ["RandomOverSampler", "SMOTE"])
def test_balancing_before_the_split_leaks(sampler):
    """The demonstration of docs/evaluation.md: the same forest, the same rows, only the order of two steps differs."""
    import imblearn.over_sampling
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold

    # Features that say little about the class, and MELD's shares: copies are what there is to be learnt.
    x, y = make_classification(1500, 20, n_informative=3, n_redundant=0, n_classes=4, n_clusters_per_class=2,
                               weights=[0.62, 0.2, 0.12, 0.06], class_sep=0.4, flip_y=0.3, random_state=0)
    draw = getattr(imblearn.over_sampling, sampler)(random_state=0)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)

    def macro_f1(x, y, inside):
        predicted = np.empty_like(y)
        for train, test in folds.split(x, y):
            fitted = draw.fit_resample(x[train], y[train]) if inside else (x[train], y[train])
            predicted[test] = RandomForestClassifier(60, random_state=0).fit(*fitted).predict(x[test])
        return 100 * score(confusion(y, predicted, range(4)), ("a", "b", "c", "d")).macro_f1

    before, inside = macro_f1(*draw.fit_resample(x, y), False), macro_f1(x, y, True)
    assert before - inside > 20, (before, inside)
