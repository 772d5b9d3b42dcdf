"""SMOTE in our own space, and bit for bit as imbalanced-learn draws it."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.neighbors import NearestNeighbors

from emoprep.contracts import Modality, Problem
from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.interpolate import made_features, made_vectors
from emoprep.strategies import smote

LABELS = ("neutral", "surprise", "fear", "sadness")


def vectors(values, present=None):
    values = np.asarray(values, dtype=np.float32)
    return Modality(values, np.ones(len(values), bool) if present is None else np.asarray(present))


def make_data(counts, dimension, seed=0):
    """Return x float32 [N, d] and y int16 [N], shuffled, classes apart."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int16)
    return (rng.standard_normal((len(y), dimension)) + 3 * y[:, None]).astype(np.float32), y


def make_problem(features, y, targets, seed=0, labels=LABELS, **options):
    keys = tuple(f"u{row}" for row in range(len(y)))
    return Problem(keys, keys, np.asarray(y, dtype=np.int16), labels, targets, seed, options, features)


# ---------------------------------------------------------------------------------------- own draws

def test_neighbours_are_among_the_k_nearest_of_the_class_and_all_are_used():
    x, y = make_data([60, 30, 12, 9], 5)
    targets = dict.fromkeys(LABELS, 900)
    decision = smote.decide(make_problem({"a": vectors(x)}, y, targets, k_neighbors=3))
    z = (x - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)
    for number in range(4):
        rows = np.flatnonzero(y == number)
        near = rows[NearestNeighbors(n_neighbors=3).fit(z[rows]).kneighbors(return_distance=False)]
        allowed = set(zip(np.repeat(rows, 3).tolist(), near.ravel().tolist(), strict=True))
        mine = y[decision.base] == number
        used = set(zip(decision.base[mine].tolist(), decision.neighbor[mine].tolist(), strict=True))
        assert used <= allowed
        assert len(used) > 0.9 * len(allowed)
    assert decision.lam.mean() == pytest.approx(0.5, abs=0.02)
    assert decision.lam.var() == pytest.approx(1 / 12, abs=0.005)


def test_classes_do_not_share_random_numbers():
    x, y = make_data([40, 20, 20, 40], 4)
    decision = smote.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 40)))
    surprise, fear = (decision.lam[y[decision.base] == number] for number in (1, 2))
    assert len(surprise) == len(fear) == 20
    assert not np.intersect1d(surprise, fear).size


def test_all_modalities_choose_the_neighbours_together():
    # Audio alone would pair 0 with 1, text alone 0 with 2; together 3 is the nearest to 0.
    audio, text = [[0], [0.1], [6], [1]], [[0], [6], [0.1], [1]]
    y, targets = [0] * 4, {"neutral": 40}
    problem = make_problem({"audio": vectors(audio), "text": vectors(text)}, y, targets, labels=("neutral",),
                           k_neighbors=1)
    decision = smote.decide(problem)
    assert set(decision.neighbor[decision.base == 0]) == {3}
    made = made_features(problem.features, decision.base, decision.neighbor, decision.lam)
    share = (made["audio"].values.ravel() - np.array(audio).ravel()[decision.base]) / (
        np.array(audio).ravel()[decision.neighbor] - np.array(audio).ravel()[decision.base])
    np.testing.assert_allclose(share, decision.lam, atol=1e-5)


def test_the_scale_of_a_modality_does_not_matter():
    x, y = make_data([40, 12, 9, 8], 6)
    targets = dict.fromkeys(LABELS, 40)
    plain = smote.decide(make_problem({"a": vectors(x[:, :3]), "b": vectors(x[:, 3:])}, y, targets))
    # A power of two, so that not even rounding differs.
    scaled = smote.decide(make_problem({"a": vectors(x[:, :3] * 1024), "b": vectors(x[:, 3:])}, y, targets))
    assert np.array_equal(plain.neighbor, scaled.neighbor)


def test_a_small_class_uses_the_members_it_has():
    x, y = make_data([20, 3, 2, 1], 4)
    decision = smote.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20)))
    made = y[decision.base]
    assert np.bincount(made).tolist() == [0, 17, 18, 19]
    assert (decision.op[made < 3] == "interpolate").all()
    assert (decision.op[made == 3] == "repeat").all()
    assert np.isnan(decision.lam[made == 3]).all()
    assert decision.notes == ("sadness: 19 of 19 new items repeat an utterance that has no neighbour",)


def test_copies_are_no_neighbours():
    # Four-fold copies: plain SMOTE would find each row's copies and make nothing but copies.
    x, y = make_data([60, 6, 6, 6], 4)
    rows = np.concatenate([np.arange(78), np.repeat(np.flatnonzero(y == 2), 3)])
    x, y = x[rows], y[rows]
    targets = {"neutral": 60, "surprise": 6, "fear": 124, "sadness": 6}
    problem = make_problem({"a": vectors(x)}, y, targets)
    decision = smote.decide(problem)
    assert len(decision.base) == 100
    assert (x[decision.base] != x[decision.neighbor]).any(axis=1).all()
    theirs, _ = SMOTE(random_state=0, k_neighbors=3,
                      sampling_strategy={2: 124}).fit_resample(x, y)
    copies = (theirs[len(x):, None] == x[None]).all(axis=2).any(axis=1)
    assert copies.all()


def test_rows_without_a_modality_in_common_are_repeated_and_told():
    audio = vectors([[1], [2], [0], [4]], [True, True, False, True])
    text = vectors([[0], [0], [7], [0]], [False, False, True, False])
    problem = make_problem({"audio": audio, "text": text}, [0, 0, 0, 1], {"neutral": 60, "fear": 1},
                           labels=("neutral", "fear"))
    decision = smote.decide(problem)
    repeated = decision.base == 2
    assert 0 < repeated.sum() < 57
    assert np.array_equal(decision.op == "repeat", repeated)
    assert decision.notes == (
        f"neutral: {repeated.sum()} of 57 new items repeat an utterance that has no neighbour",)


def test_sequences_are_interpolated_too():
    rng = np.random.default_rng(0)
    steps = [rng.standard_normal((1 + row % 5, 3)).astype(np.float32) for row in range(20)]
    features = {"audio": Modality(steps, np.ones(20, bool), "fps:10")}
    problem = make_problem(features, [0] * 12 + [1] * 8, {"neutral": 12, "surprise": 12}, labels=LABELS[:2])
    decision = smote.decide(problem)
    made = made_features(features, decision.base, decision.neighbor, decision.lam)["audio"]
    assert (decision.op == "interpolate").all()
    assert [one.shape[1] for one in made.values] == [3] * 4


def test_integer_features_do_not_truncate():
    features = {"a": Modality(np.arange(12).reshape(6, 2), np.ones(6, bool))}
    problem = make_problem(features, [0, 0, 0, 0, 1, 1], {"neutral": 4, "surprise": 4}, labels=LABELS[:2])
    decision = smote.decide(problem)
    values, _ = made_vectors(features["a"], decision.base, decision.neighbor, decision.lam)
    assert (values % 1 != 0).any()


# ---------------------------------------------------------------------------- as imbalanced-learn draws

@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("counts", [[60, 25, 8, 11], [7, 60, 25, 9], [9, 8, 30, 60]])
def test_compat_is_imbalanced_learn_to_the_last_bit(seed, k, counts):
    x, y = make_data(counts, 12, seed)
    features = {"audio": vectors(x[:, :5]), "text": vectors(x[:, 5:6]), "video": vectors(x[:, 6:])}
    problem = make_problem(features, y, dict.fromkeys(LABELS, 60), seed, imblearn_compat=True, k_neighbors=k)
    decision = smote.decide(problem)
    made = made_features(features, decision.base, decision.neighbor, decision.lam)
    ours = np.hstack([made[name].values for name in features])
    theirs, labels = SMOTE(random_state=seed, k_neighbors=k).fit_resample(x, y)
    assert np.array_equal(ours, theirs[len(x):])
    assert np.array_equal(y[decision.base], labels[len(x):])
    assert ours.dtype == theirs.dtype == np.float32
    assert len(ours) > 100


def test_compat_with_counts_of_ones_own_and_rows_outside_the_scheme():
    x, y = make_data([50, 20, 9, 14], 700, 3)
    y[::9] = -100
    present = {label: int((y == number).sum()) for number, label in enumerate(LABELS)}
    targets = {**present, "sadness": present["sadness"] + 33, "surprise": present["surprise"] + 1}
    problem = make_problem({"a": vectors(x)}, y, targets, 7, imblearn_compat=True, k_neighbors=4)
    decision = smote.decide(problem)
    made, _ = made_vectors(problem.features["a"], decision.base, decision.neighbor, decision.lam)
    sampling = {3: targets["sadness"], 1: targets["surprise"]}
    theirs, _ = SMOTE(random_state=7, k_neighbors=4, sampling_strategy=sampling).fit_resample(x, y)
    assert np.array_equal(made, theirs[len(x):])
    assert len(made) == 34


def test_compat_refuses_what_imbalanced_learn_cannot_do():
    x, y = make_data([20, 5, 9, 8], 4)
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), imblearn_compat=True)
    with pytest.raises(UsageError) as refused:
        smote.decide(problem)
    assert str(refused.value) == ("--imblearn-compat: imbalanced-learn's SMOTE cannot add to surprise: "
                                  "expected more than 5 members for 5 neighbours, got surprise has 5; use "
                                  "--k-neighbors 4, or leave --imblearn-compat out")
    # A class that gets nothing may be as small as it likes.
    asked = {"neutral": 20, "surprise": 5, "fear": 20, "sadness": 8}
    decision = smote.decide(make_problem({"a": vectors(x)}, y, asked, imblearn_compat=True))
    assert len(decision.base) == 11


def test_compat_refuses_sequences():
    features = {"audio": Modality([np.ones((2, 2), np.float32)] * 20, np.ones(20, bool), "fps:10")}
    problem = make_problem(features, [0] * 12 + [1] * 8, {"neutral": 12, "surprise": 12}, labels=LABELS[:2],
                           imblearn_compat=True)
    with pytest.raises(UsageError, match="--imblearn-compat: imbalanced-learn has no SMOTE for sequences, "
                                         "and audio is one: expected vectors, got clock fps:10; leave "
                                         "--imblearn-compat out, or make features with --pool mean"):
        smote.decide(problem)


def test_compat_tells_that_absent_modalities_were_zeros():
    x, y = make_data([20, 9, 9, 8], 4)
    present = np.arange(len(y)) >= 3
    x[~present] = 0
    problem = make_problem({"a": vectors(x, present)}, y, dict.fromkeys(LABELS, 20), imblearn_compat=True)
    assert smote.decide(problem).notes == (
        "imbalanced-learn took 3 absent modalities for zeros when it chose neighbours",)


# ---------------------------------------------------------------------------------------- refusals

@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_one_line(value, compat):
    x, y = make_data([20, 9, 9, 8], 4)
    x[7, 2] = value
    problem = make_problem({"audio": vectors(x)}, y, dict.fromkeys(LABELS, 20), imblearn_compat=compat)
    with pytest.raises(EmoprepError) as refused:
        smote.decide(problem)
    assert str(refused.value) == (f"u7: this audio feature has a value that is not finite: expected finite "
                                  f"numbers, got {value} in dimension 2; use --nonfinite impute-median, zero "
                                  f"or drop")


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_a_number_of_neighbours_that_is_none_is_refused(k):
    x, y = make_data([20, 9, 9, 8], 4)
    with pytest.raises(UsageError) as refused:
        smote.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), k_neighbors=k))
    assert str(refused.value) == ("--k-neighbors: this number of neighbours is not possible: expected a "
                                  f"whole number of at least 1, got {k}; write --k-neighbors 5")


def test_features_are_needed():
    with pytest.raises(UsageError, match="--strategy smote: there is no feature to interpolate: expected a "
                                         "feature store; run `emoprep features` first"):
        smote.decide(make_problem(None, [0, 1], {"neutral": 1, "surprise": 1}, labels=LABELS[:2]))
