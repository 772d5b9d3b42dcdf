"""Borderline-SMOTE in our own space, against its rule by hand, and bit for bit as imbalanced-learn makes it."""

import numpy as np
import pytest
from imblearn.over_sampling import BorderlineSMOTE
from made_problems import LABELS, make_data, make_problem, vectors

from emoprep.contracts import Problem
from emoprep.errors import UsageError
from emoprep.methods.interpolate import made_features
from emoprep.methods.neighbors import neighbor_space
from emoprep.strategies import borderline_smote, smote


def made_with_noise(problem, decision):
    """Return the vectors as `balance` writes them: noise is added to what was interpolated."""
    made = made_features(problem.features, decision.base, decision.neighbor, decision.lam)
    if decision.noise is not None:
        for name, noise in decision.noise(np.arange(len(decision.base))).items():
            made[name].values[...] += noise
    return np.hstack([made[name].values for name in problem.features])


def danger_by_hand(z, y, number, m):
    found = []
    for row in np.flatnonzero(y == number):
        distance = ((z.astype(float) - z[row].astype(float)) ** 2).sum(axis=1)
        distance[(y < 0) | (np.arange(len(y)) == row)] = np.inf
        foreign = (y[np.argsort(distance, kind="stable")[:m]] != number).sum()
        if m / 2 <= foreign < m:
            found.append(row)
    return found


# ---------------------------------------------------------------------------------------- own draws

def test_bases_are_the_rows_in_danger():
    x, y = make_data([80, 40, 25, 30], 5)
    y[::11] = -100
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 600), m_neighbors=6)
    decision = borderline_smote.decide(problem)
    z = neighbor_space(problem.features).rows(np.arange(len(y)))[0]
    for number in range(4):
        danger = danger_by_hand(z, y, number, 6)
        assert 0 < len(danger) < (y == number).sum()
        assert set(decision.base[y[decision.base] == number]) == set(danger)
    assert (y[decision.neighbor] == y[decision.base]).all()
    assert decision.notes == ()
    assert np.bincount(y[decision.base]).tolist() == [600 - (y == number).sum() for number in range(4)]


def test_kind_2_goes_at_most_half_way_to_another_class_and_says_how_often():
    x, y = make_data([80, 40, 25, 30], 5)
    targets = {"neutral": 80, "surprise": 40, "fear": 25, "sadness": 900}
    problem = make_problem({"a": vectors(x)}, y, targets, kind=2)
    decision = borderline_smote.decide(problem)
    foreign = y[decision.neighbor] != y[decision.base]
    assert 0 < foreign.sum() < 870
    assert decision.lam[foreign].max() < 0.5 < decision.lam[~foreign].max()
    # λ·U(0, ½) is ½·½·½ on average.
    assert decision.lam[foreign].mean() == pytest.approx(0.125, abs=0.02)
    assert decision.notes == (
        f"sadness: {foreign.sum()} of 870 new items lie on the way to an utterance of another class",)


def test_a_class_without_danger_gets_plain_smote_and_a_note():
    x, y = make_data([60, 20, 12, 12], 4, apart=40)
    targets = {"neutral": 60, "surprise": 20, "fear": 60, "sadness": 12}
    for kind in (1, 2):
        decision = borderline_smote.decide(make_problem({"a": vectors(x)}, y, targets, kind=kind))
        assert decision.notes == ("fear: none of its 12 utterances is where classes meet, so its 48 new items are "
                                  "plain SMOTE's",)
        assert len(decision.base) == 48 and len(set(decision.base)) > 6
        assert (y[decision.neighbor] == 2).all()


def test_bounds_on_parents_hold_here_too():
    x, y = make_data([80, 40, 25, 30], 5)
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 200), within="speaker", kind=2)
    speakers = tuple(f"s{row % 3}" for row in range(len(y)))
    decision = borderline_smote.decide(Problem(**{**vars(problem), "speakers": speakers}))
    two = decision.neighbor >= 0
    assert two.any()
    assert (decision.base[two] % 3 == decision.neighbor[two] % 3).all()


# ---------------------------------------------------------------------------- as imbalanced-learn draws

@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("seed", [0, 12345])
@pytest.mark.parametrize(("counts", "dimension", "k", "m"), [
    ([80, 40, 25, 30], 5, 5, 10), ([30, 80, 25, 40], 40, 3, 6), ([40, 26, 90, 60], 12, 5, 10)])
def test_compat_is_imbalanced_learn_to_the_last_bit(kind, seed, counts, dimension, k, m):
    x, y = make_data(counts, dimension, seed)
    outside = np.arange(len(y)) % 13 == 0
    y[outside] = -100
    features = {"audio": vectors(x[:, :2]), "text": vectors(x[:, 2:3]), "video": vectors(x[:, 3:])}
    present = np.bincount(y[~outside])
    targets = dict.fromkeys(LABELS, int(present.max()))
    problem = make_problem(features, y, targets, seed, imblearn_compat=True, k_neighbors=k, m_neighbors=m, kind=kind)
    decision = borderline_smote.decide(problem)
    theirs, labels = BorderlineSMOTE(random_state=seed, k_neighbors=k, m_neighbors=m,
                                     kind=f"borderline-{kind}").fit_resample(x[~outside], y[~outside])
    start = (~outside).sum()
    assert np.array_equal(y[decision.base], labels[start:])
    assert np.array_equal(made_with_noise(problem, decision), theirs[start:])
    assert len(decision.base) > 50
    foreign = (y[decision.neighbor] != y[decision.base]).sum()
    assert (foreign > 20) == (kind == 2)
    assert bool(decision.notes) == (kind == 2)
    # Any of the items, in any order: a store is written in pieces.
    if kind == 2:
        some = np.random.default_rng(0).permutation(len(decision.base))[:30]
        for name, noise in decision.noise(some).items():
            assert np.array_equal(noise, decision.noise(np.arange(len(decision.base)))[name][some])


def test_compat_passes_over_a_class_without_danger_as_the_library_does_and_says_so():
    x, y = make_data([60, 20, 12, 12], 4, apart=40)
    x[y == 3] -= 80  # where surprise is
    targets = {"neutral": 60, "surprise": 20, "fear": 60, "sadness": 60}
    problem = make_problem({"a": vectors(x)}, y, targets, imblearn_compat=True)
    decision = borderline_smote.decide(problem)
    theirs, labels = BorderlineSMOTE(random_state=0, sampling_strategy={2: 60, 3: 60}).fit_resample(x, y)
    assert np.array_equal(y[decision.base], labels[len(x):])
    assert set(labels[len(x):]) == {3}
    assert np.array_equal(made_with_noise(problem, decision), theirs[len(x):])
    assert decision.notes == (
        "fear: none of its 12 utterances is where classes meet, so imbalanced-learn adds none of 48",)


def test_compat_refuses_what_imbalanced_learn_cannot_do():
    x, y = make_data([20, 5, 9, 8], 4)
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), imblearn_compat=True)
    with pytest.raises(UsageError) as refused:
        borderline_smote.decide(problem)
    assert str(refused.value) == ("--imblearn-compat: imbalanced-learn's BorderlineSMOTE cannot add to surprise: "
                                  "expected more than 5 members for 5 neighbours, got surprise has 5; use "
                                  "--k-neighbors 4, or leave --imblearn-compat out")
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), imblearn_compat=True, m_neighbors=42)
    with pytest.raises(UsageError) as refused:
        borderline_smote.decide(problem)
    assert str(refused.value) == ("--imblearn-compat: imbalanced-learn's BorderlineSMOTE finds too few utterances: "
                                  "expected more than 42 in train, got 42; lower --m-neighbors and --k-neighbors, or "
                                  "leave --imblearn-compat out")


# ---------------------------------------------------------------------------------------- refusals

@pytest.mark.parametrize(("options", "text"), [
    ({"kind": 3}, "--kind: this kind of Borderline-SMOTE is not known: expected 1 or 2, got 3; 1 interpolates within "
                  "the class, 2 toward other classes too"),
    ({"m_neighbors": 0}, "--m-neighbors: this number of neighbours is not possible: expected a whole number of at "
                         "least 1, got 0; write --m-neighbors 10"),
    ({"k_neighbors": 0}, "--k-neighbors: this number of neighbours is not possible: expected a whole number of at "
                         "least 1, got 0; write --k-neighbors 5")])
def test_options_that_make_no_sense_are_refused(options, text):
    x, y = make_data([20, 9, 9, 8], 4)
    with pytest.raises(UsageError) as refused:
        borderline_smote.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), **options))
    assert str(refused.value) == text


def test_more_neighbours_than_rows_are_all_of_them():
    x, y = make_data([20, 9, 9, 8], 4)
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), m_neighbors=10 ** 9, k_neighbors=10 ** 9)
    assert len(borderline_smote.decide(problem).base) == 80 - 46


def test_its_random_numbers_are_not_those_of_smote():
    x, y = make_data([60, 20, 12, 12], 4, apart=40)
    problem = make_problem({"a": vectors(x)}, y, {"neutral": 60, "surprise": 20, "fear": 60, "sadness": 12})
    assert not np.intersect1d(borderline_smote.decide(problem).lam, smote.decide(problem).lam).size
