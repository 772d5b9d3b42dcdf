"""ADASYN in our own space, against its rule by hand, and bit for bit as imbalanced-learn makes it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import ADASYN
from made_problems import LABELS, make_data, make_problem, vectors

from emoprep.contracts import Problem
from emoprep.errors import UsageError
from emoprep.methods.interpolate import made_features
from emoprep.methods.neighbors import neighbor_space
from emoprep.strategies import adasyn

# ---------------------------------------------------------------------------------------- own draws

def test_counts_are_the_shares_of_foreign_neighbours_and_reach_the_target():
    x, y = make_data([80, 40, 25, 30], 5)
    y[::11] = -100
    targets = dict.fromkeys(LABELS, 301)
    problem = make_problem({"a": vectors(x)}, y, targets, k_neighbors=4)
    decision = adasyn.decide(problem)
    z = neighbor_space(problem.features).rows(np.arange(len(y)))[0].astype(float)
    times = np.bincount(decision.base, minlength=len(y))
    for number in range(4):
        rows, ratio = np.flatnonzero(y == number), []
        for row in rows:
            distance = ((z - z[row]) ** 2).sum(axis=1)
            distance[(y < 0) | (np.arange(len(y)) == row)] = np.inf
            ratio.append((y[np.argsort(distance, kind="stable")[:4]] != number).mean())
        share = np.array(ratio) / np.sum(ratio) * (301 - len(rows))
        assert times[rows].sum() == 301 - len(rows)
        assert np.abs(times[rows] - share).max() < 1
        assert share.max() >= 2 * share.min()
    assert (y[decision.neighbor] == y[decision.base]).all()
    assert decision.notes == ()


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=60).filter(any), st.integers(1, 500))
def test_largest_remainders_sum_up_and_are_off_by_less_than_one(ratio, total):
    ratio = np.array(ratio) / 7
    whole = adasyn.largest_remainders(ratio, total)
    assert whole.sum() == total
    share = ratio / ratio.sum() * total
    assert (np.abs(whole - share) < 1 + 1e-9).all()
    # Whoever is rounded up has no smaller remainder than one that is rounded down.
    up = whole > share
    assert not up.any() or (share - whole)[~up].max(initial=-1) <= ((share % 1)[up].min()) + 1e-9


def test_a_class_that_lies_alone_gets_plain_smote_and_a_note():
    x, y = make_data([60, 20, 12, 12], 4, apart=40)
    targets = {"neutral": 60, "surprise": 20, "fear": 60, "sadness": 12}
    decision = adasyn.decide(make_problem({"a": vectors(x)}, y, targets))
    assert decision.notes == ("fear: none of its 12 utterances has a neighbour of another class, so its 48 new items "
                              "are plain SMOTE's",)
    assert len(decision.base) == 48 and len(set(decision.base)) > 6


def test_rows_that_share_no_modality_with_others_are_no_bases():
    # Row 0 alone has audio: nobody is near it, so nobody of another class is.
    x, y = make_data([20, 8], 3)
    y[0] = 1
    present = np.arange(28) == 0
    features = {"text": vectors(np.where(present[:, None], 0, x), ~present),
                "audio": vectors(present[:, None], present)}
    counts = {"neutral": int((y == 0).sum()), "surprise": 40}
    decision = adasyn.decide(make_problem(features, y, counts, labels=LABELS[:2]))
    assert 0 not in decision.base
    assert (y == 1).sum() + len(decision.base) == 40


# ---------------------------------------------------------------------------- as imbalanced-learn draws

@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize(("counts", "dimension", "k"), [
    ([80, 40, 25, 30], 5, 5), ([30, 80, 25, 40], 40, 3), ([40, 26, 90, 60], 12, 1)])
def test_compat_is_imbalanced_learn_to_the_last_bit(seed, counts, dimension, k):
    x, y = make_data(counts, dimension, seed)
    outside = np.arange(len(y)) % 13 == 0
    y[outside] = -100
    features = {"audio": vectors(x[:, :2]), "text": vectors(x[:, 2:3]), "video": vectors(x[:, 3:])}
    present = np.bincount(y[~outside])
    targets = dict.fromkeys(LABELS, int(present.max()))
    problem = make_problem(features, y, targets, seed, imblearn_compat=True, k_neighbors=k)
    decision = adasyn.decide(problem)
    made = made_features(features, decision.base, decision.neighbor, decision.lam)
    theirs, labels = ADASYN(random_state=seed, n_neighbors=k).fit_resample(x[~outside], y[~outside])
    start = (~outside).sum()
    assert np.array_equal(np.hstack([made[name].values for name in features]), theirs[start:])
    assert np.array_equal(y[decision.base], labels[start:])
    assert len(decision.base) > 50
    told = [f"{label}: imbalanced-learn's ADASYN makes {got} for {present.max() - before}, since it rounds each share "
            f"by itself" for label, got, before in
            zip(LABELS, np.bincount(labels[start:], minlength=4), present, strict=True)
            if got != present.max() - before]
    assert decision.notes == tuple(told)


def test_compat_refuses_what_imbalanced_learn_cannot_do():
    x, y = make_data([60, 20, 12, 5], 4, apart=40)
    problem = make_problem({"a": vectors(x)}, y, {"neutral": 60, "surprise": 20, "fear": 60, "sadness": 5},
                           imblearn_compat=True)
    with pytest.raises(UsageError) as refused:
        adasyn.decide(problem)
    assert str(refused.value) == ("--imblearn-compat: imbalanced-learn's ADASYN cannot add to fear: expected "
                                  "neighbours of other classes, got none for the 12 of fear; use --strategy smote, or "
                                  "leave --imblearn-compat out")
    with pytest.raises(RuntimeError, match="Not any neigbours"):
        ADASYN(sampling_strategy={2: 60}).fit_resample(x, y)
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 60), imblearn_compat=True)
    with pytest.raises(UsageError, match="cannot add to sadness: expected more than 5 members for 5 neighbours, got "
                                         "sadness has 5; use --k-neighbors 4"):
        adasyn.decide(Problem(**{**vars(problem), "targets": {**problem.targets, "surprise": 20, "fear": 12}}))


def test_compat_refuses_shares_that_all_round_to_nothing():
    x, y = make_data([60, 40], 4, apart=0)
    targets = {"neutral": 60, "surprise": 41}
    with pytest.raises(ValueError, match="No samples will be generated"):
        ADASYN(random_state=0, sampling_strategy={1: 41}).fit_resample(x, y)
    with pytest.raises(UsageError, match="cannot add to surprise: .* got shares that all round to 0"):
        adasyn.decide(make_problem({"a": vectors(x)}, y, targets, labels=LABELS[:2], imblearn_compat=True))
    assert len(adasyn.decide(make_problem({"a": vectors(x)}, y, targets, labels=LABELS[:2])).base) == 1
