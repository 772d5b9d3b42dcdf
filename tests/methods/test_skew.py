"""Measures of classes and of several labels, against values that were computed elsewhere."""

import numpy as np
import pytest

from emoprep.methods.skew import measure, measure_labels

LABELS = ("happy", "sad", "anger", "surprise", "disgust", "fear")


def test_toy_of_eight_rows():
    rows = [[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0], [1, 1, 0]]
    found = measure_labels(((row, 1) for row in rows), ("a", "b", "c"))
    assert list(found.irlbl.values()) == [1, 2, 3]
    assert (found.mean_ir, found.cvir, found.cardinality, found.none) == (2, 0.5, 1.375, 1)
    assert found.density == pytest.approx(0.4583333333333333)
    assert found.label_sets[0] == (("a",), 3) and len(found.label_sets) == 5
    assert found.together == {"a": {"b": 2, "c": 1}, "b": {"c": 1}}


def test_masked_rows_and_absent_labels():
    found = measure_labels([((1, 0), 1), ((0, 1), 0), ((0, 0), 0.5)], ("a", "b"))
    assert found.irlbl == {"a": 1.0, "b": None} and found.mean_ir == 1 and found.cvir is None
    assert found.none == 0.5 and found.label_sets == [(("a",), 1), ((), 0.5)]
    empty = measure_labels([], ("a", "b"))
    assert (empty.mean_ir, empty.cardinality, empty.density, empty.label_sets) == (None, None, None, [])


@pytest.mark.shared
def test_real_labels_of_cmu_mosei(shared):
    from emoprep.stats import stats

    groups = stats(shared / "real/mosei", labels="mosei-6").splits
    whole = {name: sum(group["counts"][name] for group in groups.values()) for name in LABELS}
    assert list(whole.values()) == [12465, 5998, 4997, 2320, 4097, 1913]
    assert sum(group["none"] for group in groups.values()) == 3486
    train = groups["train"]
    np.testing.assert_allclose(list(train["irlbl"].values()), [
        1, 2.046146638557039, 2.477311401020987, 5.31973203410475, 2.9560067681895092, 6.562734785875282])
    assert train["mean_ir"] == pytest.approx(3.393655271291261)
    pairs = [[1739, 1506, 1315, 1015, 908], [1669, 733, 1914, 899], [629, 2288, 460], [794, 252], [328]]
    assert [[sum(group["co_occurrence"][left][right] for group in groups.values())
             for right in LABELS[number + 1:]] for number, left in enumerate(LABELS[:-1])] == pairs


def test_measures_agree_with_scipy():
    from scipy.stats import entropy

    counts = dict(zip(("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"),
                      (4710, 1205, 268, 683, 1743, 271, 1109), strict=True))
    found, n = measure(counts), np.array(list(counts.values()))
    shares = n / n.sum()
    assert found.entropy == pytest.approx(entropy(shares))
    assert found.kl_to_uniform == pytest.approx(entropy(shares, np.full(7, 1 / 7)))
    # The likelihood ratio against even classes is the G statistic.
    assert found.lrid == pytest.approx(2 * (n * np.log(n / (n.sum() / 7))).sum())
    assert found.lrid_per_row * n.sum() == pytest.approx(found.lrid)
    assert found.tv_to_uniform == pytest.approx(np.maximum(shares - 1 / 7, 0).sum())
    assert found.inverse_simpson == pytest.approx(n.sum() ** 2 / (n ** 2).sum())
    assert found.minority_share == pytest.approx(268 / 9989)
    assert found.mean_ratio == pytest.approx(np.mean(4710 / n))


def test_even_classes_and_classes_without_members():
    even = measure({"joy": 5, "fear": 5})
    assert (even.kl_to_uniform, even.lrid, even.tv_to_uniform, even.inverse_simpson) == (0, 0, 0, 2)
    absent = measure({"joy": 5, "fear": 0})
    assert (absent.minority_share, absent.entropy, absent.mean_ratio, absent.imbalance_ratio) == (0, 0, 1, None)
    assert absent.kl_to_uniform == pytest.approx(np.log(2)) and absent.tv_to_uniform == 0.5
    none = measure({"joy": 0, "fear": 0})
    assert (none.entropy, none.kl_to_uniform, none.lrid, none.lrid_per_row, none.tv_to_uniform, none.inverse_simpson,
            none.minority_share, none.mean_ratio) == (None,) * 8
