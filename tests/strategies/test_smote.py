"""SMOTE in our own space, and bit for bit as imbalanced-learn draws it."""

from functools import partial

import made_problems
import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from made_problems import LABELS, make_problem, vectors
from sklearn.neighbors import NearestNeighbors

from emoprep.contracts import Modality, Problem
from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.interpolate import made_features, made_vectors
from emoprep.strategies import smote

make_data = partial(made_problems.make_data, apart=3)



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


# ------------------------------------------------------------------------------- who may be a partner

def bounded(problem, **known):
    return smote.decide(Problem(**{**vars(problem), **known}))


@pytest.mark.parametrize("kind", ["speaker", "session"])
def test_parents_share_their_speaker_or_session(kind):
    x, y = make_data([60, 30, 12, 9], 5)
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 200), within=kind)
    names = tuple(None if row % 7 == 0 else f"s{row % 4}" for row in range(len(y)))
    decision = bounded(problem, **{kind + "s": names})
    two = decision.neighbor >= 0
    assert all(names[i] == names[j] for i, j in zip(decision.base[two], decision.neighbor[two], strict=True))
    # Who has a partner: of a known speaker, who has another one of the class. Each of them gets one.
    for row in set(decision.base.tolist()):
        partners = [other for other in range(len(y)) if other != row and y[other] == y[row] and names[row]
                    and names[other] == names[row]]
        assert set(two[decision.base == row].tolist()) == {bool(partners)}
        if partners:
            distance = ((x[partners] / x.std(axis=0) - x[row] / x.std(axis=0)) ** 2).sum(axis=1)
            near = {partners[at] for at in np.argsort(distance)[:5]}
            assert set(decision.neighbor[decision.base == row].tolist()) <= near
    lonely = np.bincount(y[decision.base[~two]], minlength=4)
    made = np.bincount(y[decision.base], minlength=4)
    assert decision.notes == tuple(
        f"{label}: {lonely[number]} of {made[number]} new items repeat an utterance that has no neighbour"
        for number, label in enumerate(LABELS) if lonely[number])
    assert lonely.any()


@pytest.mark.parametrize("names", [None, (None,) * 46])
def test_bounds_that_nobody_knows_are_refused(names):
    x, y = make_data([20, 9, 9, 8], 4)
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), within="session")
    with pytest.raises(UsageError) as refused:
        bounded(problem, sessions=names)
    assert str(refused.value) == ("--within: nobody knows the sessions of this corpus: expected a session for train "
                                  "utterances, got none; leave --within out")


def test_parents_are_never_of_the_same_dialogue():
    x, y = make_data([60, 30, 12, 9], 5)
    dialogues = tuple(f"d{row // 12}" for row in range(len(y)))
    problem = make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 300))
    plain = bounded(problem, dialogues=dialogues)
    decision = bounded(problem, dialogues=dialogues, options={"not_within": "dialogue"})
    same = [one.base // 12 == one.neighbor // 12 for one in (plain, decision)]
    assert same[0].any() and not same[1].any()
    assert (decision.op == "interpolate").all()
    alone = bounded(problem, dialogues=("d",) * len(y), options={"not_within": "dialogue"})
    assert (alone.op == "repeat").all()


def test_even_bases_are_used_equally_often():
    x, y = make_data([60, 30, 12, 9], 5)
    targets = {"neutral": 60, "surprise": 100, "fear": 47, "sadness": 9}
    decision = smote.decide(make_problem({"a": vectors(x)}, y, targets, base_choice="even"))
    times = np.bincount(decision.base, minlength=len(y))
    assert set(times[y == 1]) == {2, 3} and set(times[y == 2]) == {2, 3}
    random = smote.decide(make_problem({"a": vectors(x)}, y, targets))
    assert np.bincount(random.base, minlength=len(y)).max() > 4


def test_modalities_may_be_chosen_and_weighted():
    # As above: audio alone pairs 0 with 1, text alone 0 with 2, together 3 is the nearest to 0.
    audio, text = [[0], [0.1], [6], [1]], [[0], [6], [0.1], [1]]

    def partners(**options):
        problem = make_problem({"audio": vectors(audio), "text": vectors(text)}, [0] * 4, {"neutral": 40},
                               labels=("neutral",), k_neighbors=1, **options)
        decision = smote.decide(problem)
        return set(decision.neighbor[decision.base == 0].tolist())

    assert partners() == {3}
    assert partners(neighbor_modalities="audio") == {1}
    assert partners(neighbor_modalities="text") == {2}
    assert partners(modality_weight=("text=1000",)) == {2}
    assert partners(modality_weight=("text=2", "audio=2000")) == {1}
    assert partners(neighbor_modalities="audio, text") == {3}


@pytest.mark.parametrize(("options", "text"), [
    ({"within": "dialogue"}, "--within: this bound on parents is not known: expected label, speaker or session, got "
                             "dialogue; leave it out, and parents share their class alone"),
    ({"not_within": "speaker"}, "--not-within: this bound on parents is not known: expected dialogue, got speaker; "
                                "leave it out"),
    ({"base_choice": "all"}, "--base-choice: this choice of bases is not known: expected random or even, got all; even "
                             "uses each utterance equally often"),
    ({"neighbor_modalities": "a,c"}, "--neighbor-modalities: there is no such modality: expected a, b, got 'c'; write "
                                     "them with commas between, as text,audio"),
    ({"modality_weight": ("c=1",)}, "--modality-weight: this weight is not understood: expected a=W or b=W, W from "
                                    "1e-6 to 1e6, got 'c=1'; write for example --modality-weight text=2"),
    ({"modality_weight": ("a=0",)}, "--modality-weight: this weight is not understood: expected a=W or b=W, W from "
                                    "1e-6 to 1e6, got 'a=0'; write for example --modality-weight text=2"),
    ({"neighbor_modalities": "b", "modality_weight": ("a=2",)},
     "--modality-weight: this weight is not understood: expected b=W, W from 1e-6 to 1e6, got 'a=2'; write for example "
     "--modality-weight text=2")])
def test_bounds_that_make_no_sense_are_refused(options, text):
    x, y = make_data([20, 9, 9, 8], 4)
    features = {"a": vectors(x[:, :2]), "b": vectors(x[:, 2:])}
    with pytest.raises(UsageError) as refused:
        smote.decide(make_problem(features, y, dict.fromkeys(LABELS, 20), **options))
    assert str(refused.value) == text


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "", "two", "1e7"])
def test_weights_are_numbers(weight):
    x, y = make_data([20, 9, 9, 8], 4)
    with pytest.raises(UsageError, match="this weight is not understood"):
        smote.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), modality_weight=(f"a={weight}",)))


# ---------------------------------------------------------------------------- as imbalanced-learn draws

def test_smote_toy():
    # Golden values: what imbalanced-learn 0.14.2 makes of it, with the parents found from its random numbers.
    x = [[0, 0], [1, 0], [0, 1], [10, 10], [11, 10], [10, 11], [10, 12], [12, 10], [12, 12], [9, 9]]
    y = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    problem = make_problem({"a": vectors(x)}, y, {"neutral": 7, "surprise": 7}, labels=LABELS[:2], k_neighbors=2,
                           imblearn_compat=True)
    decision = smote.decide(problem)
    assert decision.base.tolist() == [2, 2, 0, 1]
    assert decision.neighbor.tolist() == [0, 1, 1, 2]
    assert decision.lam.tolist() == [0.8579456176227568, 0.8472517387841254, 0.6235636967859723, 0.3843817072926998]
    made, _ = made_vectors(problem.features["a"], decision.base, decision.neighbor, decision.lam)
    np.testing.assert_allclose(made, [[0.0, 0.14205438237724322], [0.8472517387841254, 0.1527482612158746],
                                      [0.6235636967859723, 0.0], [0.6156182927073002, 0.3843817072926998]], rtol=1e-6)


@pytest.mark.parametrize(("options", "text"), [
    ({"within": "speaker"}, "imbalanced-learn has no --within: got --within speaker; leave one of the two out"),
    ({"not_within": "dialogue"}, "has no --not-within"), ({"base_choice": "even"}, "has no --base-choice"),
    ({"neighbor_modalities": "a"}, "has no --neighbor-modalities"),
    ({"modality_weight": ("a=2",)}, "has no --modality-weight")])
def test_compat_refuses_options_that_imbalanced_learn_lacks(options, text):
    x, y = make_data([20, 9, 9, 8], 4)
    with pytest.raises(UsageError, match=text):
        smote.decide(make_problem({"a": vectors(x)}, y, dict.fromkeys(LABELS, 20), imblearn_compat=True, **options))


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
