"""Every sampler of the installed imbalanced-learn: carried out, equal to the plain one, or refused with its reason."""

import importlib
import warnings

import numpy as np
import pytest
from imblearn import combine, over_sampling, under_sampling
from imblearn.over_sampling.base import BaseOverSampler
from threadpoolctl import threadpool_limits

from emoprep.contracts import Modality, Problem, find_strategy
from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.imblearn_samplers import samplers
from emoprep.methods.interpolate import made_features
from emoprep.methods.targets import decide_targets

LABELS = ("neutral", "joy", "fear", "disgust")
COUNTS = (60, 40, 30, 0)
# What imbalanced-learn itself names as public, found in another way than the strategy finds it.
ALL = sorted(name for package in (over_sampling, under_sampling, combine) for name in package.__all__)
PARAMETERS = {"ClusterCentroids": ("voting=hard",), "KMeansSMOTE": ("kmeans_estimator=4",),
              "InstanceHardnessThreshold": ("cv=3",)}
REFUSED = {
    "SMOTEN": "--strategy imblearn:SMOTEN: SMOTEN votes on categories, and features are numbers; use imblearn:SMOTE, "
              "or --strategy smote",
    "SMOTENC": "--strategy imblearn:SMOTENC: SMOTENC votes on categories, and features are numbers; use "
               "imblearn:SMOTE, or --strategy smote"}
CARRIED_OUT = [name for name in ALL if name not in REFUSED]


def make_data(counts=COUNTS, dimension=6, seed=0, apart=1.5):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int16)
    return (rng.standard_normal((len(y), dimension)) + apart * y[:, None]).astype(np.float32), y


def vectors(values, present=None):
    return Modality(np.asarray(values, np.float32), np.ones(len(values), bool) if present is None else present)


def make_problem(strategy, x, y, target="auto", seed=0, features=None, labels=LABELS, **options):
    keys = tuple(f"u{row}" for row in range(len(y)))
    counts = {label: int((y == number).sum()) for number, label in enumerate(labels)}
    targets = decide_targets(target, counts, strategy.DIRECTION) if strategy.DIRECTION in ("over", "under") else {}
    half = x.shape[1] // 2
    features = {"audio": vectors(x[:, :half]), "text": vectors(x[:, half:])} if features is None else features
    return Problem(keys, keys, y, labels, targets, seed, options, features)


def decide(name, x, y, *, param=(), **more):
    """Return what `imblearn:NAME` decides about this problem."""
    strategy = find_strategy(f"imblearn:{name}", {"param": param})
    return strategy.decide(make_problem(strategy, x, y, param=param, **more))


def refusal(name, *data, **more):
    with pytest.raises(EmoprepError) as refused:
        decide(name, *data, **more)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def outcome(decision, x, y):
    """Return the rows that stay and those that are made, with their classes, sorted."""
    made = made_features({"all": vectors(x)}, decision.base, decision.neighbor, decision.lam)["all"].values
    kept = decision.kept == "keep"
    return in_one_order(np.concatenate([x[kept], made]), np.concatenate([y[kept], y[decision.base]]))


def in_one_order(x, y):
    order = np.lexsort((*x.T, y))
    return x[order], y[order].astype(int)


# ---------------------------------------------------------------------------------------- every sampler

def test_all_that_there_are_are_found():
    assert list(samplers()) == ALL
    assert len(ALL) >= 20


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_its_reason(name):
    with pytest.raises(UsageError) as refused:
        find_strategy(f"imblearn:{name}")
    assert str(refused.value) == REFUSED[name]


@pytest.mark.parametrize("name", CARRIED_OUT)
def test_compat_comes_to_what_plain_imbalanced_learn_gives(name):
    x, y = make_data()
    texts = PARAMETERS.get(name, ())
    strategy = find_strategy(f"imblearn:{name}", {"param": texts})
    settings = {text.partition("=")[0]: {"hard": "hard"}.get(text.partition("=")[2]) or int(text.partition("=")[2])
                for text in texts}
    asked = {"over": {1: 60, 2: 60}, "under": {0: 30, 1: 30}, "own": [0, 1]}[strategy.DIRECTION]
    kind = samplers()[name]
    if "random_state" in kind().get_params():
        settings["random_state"] = 7
    plain = kind(sampling_strategy=asked, **settings).fit_resample(x, y)
    decision = decide(name, x, y, param=texts, seed=7, imblearn_compat=True, **(
        {"min_keep": 0.0} if "min_keep" in strategy.OPTIONS else {}))
    ours, classes = outcome(decision, x, y)
    theirs, their_classes = in_one_order(*plain)
    assert np.array_equal(classes, their_classes)
    assert np.array_equal(ours, theirs)
    assert len(theirs) != len(x)


@pytest.mark.parametrize("name", ["BorderlineSMOTE", "ADASYN"])
def test_rows_that_are_equally_near_are_those_of_one_thread(name):
    # Short utterances repeat: with several threads scikit-learn chooses others among them.
    rng = np.random.default_rng(0)
    x = np.tile(rng.integers(0, 2, (500, 20)).astype(np.float32), (3, 1))
    y = rng.permutation(np.repeat([0, 1, 2], [750, 500, 250])).astype(np.int16)
    with threadpool_limits(1):
        plain = samplers()[name](sampling_strategy={1: 750, 2: 750}, random_state=0).fit_resample(x, y)
    ours = outcome(decide(name, x, y, imblearn_compat=True), x, y)
    assert all(np.array_equal(one, other) for one, other in zip(ours, in_one_order(*plain), strict=True))


@pytest.mark.parametrize("name", CARRIED_OUT)
def test_every_sampler_keeps_the_rules(name):
    x, y = make_data((60, 40, 30, 0, 8))
    y[y == 4] = -100
    texts = PARAMETERS.get(name, ())
    strategy = find_strategy(f"imblearn:{name}", {"param": texts})
    more = {"min_keep": 0.0} if "min_keep" in strategy.OPTIONS else {}
    decision = decide(name, x, y, param=texts, **more)
    assert (strategy.NEEDS == "labels") == name.startswith("Random")
    assert (decision.kept[y == -100] == "keep").all()
    assert (decision.kept == "keep").all() or strategy.DIRECTION != "over" or "drop" in strategy.OPTIONS
    assert len(decision.base) == 0 or strategy.MAKES in ("vectors", "copies")
    assert (y[decision.base] >= 0).all()
    two = decision.neighbor >= 0
    assert np.array_equal(two, decision.op == "interpolate")
    assert np.array_equal(two, ~np.isnan(decision.lam))
    assert (y[decision.base[two]] == y[decision.neighbor[two]]).all()
    assert (decision.base != decision.neighbor).all()
    assert (np.diff(y[decision.base]) >= 0).all()
    assert decision.base.dtype == decision.neighbor.dtype == np.int64
    if strategy.DIRECTION != "own":
        targets = make_problem(strategy, x, y).targets
        for number, label in enumerate(LABELS):
            there = ((y == number) & (decision.kept == "keep")).sum() + (y[decision.base] == number).sum()
            assert there == targets[label] or any(label in note for note in decision.notes)


@pytest.mark.parametrize("name", CARRIED_OUT)
def test_the_seed_decides(name):
    x, y = make_data()
    texts = PARAMETERS.get(name, ())
    more = {"min_keep": 0.0} if "min_keep" in find_strategy(f"imblearn:{name}", {"param": texts}).OPTIONS else {}
    one, same, other = (decide(name, x, y, param=texts, seed=seed, **more) for seed in (1, 1, 2))
    fields = ("kept", "base", "neighbor", "lam")
    assert all(getattr(one, field).tobytes() == getattr(same, field).tobytes() for field in fields)
    if "random_state" in samplers()[name]().get_params():
        assert any(getattr(one, field).tobytes() != getattr(other, field).tobytes() for field in fields)


@pytest.mark.parametrize("name", [name for name in CARRIED_OUT if samplers()[name]._sampling_type != "clean-sampling"])
def test_nothing_asked_for_is_nothing_done(name):
    x, y = make_data((30, 30))
    decision = decide(name, x, y, labels=LABELS[:2], param=PARAMETERS.get(name, ()))
    assert (decision.kept == "keep").all()
    assert len(decision.base) == 0


@pytest.mark.parametrize("name", ["SMOTE", "BorderlineSMOTE", "SVMSMOTE", "ADASYN", "RandomOverSampler"])
def test_one_class_does_not_change_another(name):
    x, y = make_data()
    alone, beside = (decide(name, x, y, target=target) for target in ("fear=50", "fear=50,joy=55"))
    mine = y[beside.base] == 2
    assert 0 < mine.sum() < len(beside.base)
    for field in ("base", "neighbor", "lam"):
        assert np.array_equal(getattr(alone, field), getattr(beside, field)[mine], equal_nan=True)


def test_classes_do_not_share_random_numbers():
    x, y = make_data((60, 40, 40, 0))
    decision = decide("SMOTE", x, y)
    assert len(np.unique(decision.lam)) == len(decision.lam) == 40


# ---------------------------------------------------------------------------------------- our own space

def test_the_scale_of_a_modality_does_not_matter():
    x, y = make_data()
    scaled = {"audio": vectors(x[:, :3] * 1024), "text": vectors(x[:, 3:])}
    plain, other = decide("SVMSMOTE", x, y), decide("SVMSMOTE", x, y, features=scaled)
    assert np.array_equal(plain.neighbor, other.neighbor)
    assert np.array_equal(plain.lam, other.lam)


def test_what_is_made_is_coherent_and_extrapolates():
    x, y = make_data()
    problem = make_problem(find_strategy("imblearn:SVMSMOTE"), x, y)
    decision = decide("SVMSMOTE", x, y, param=("out_step=0.9",))
    assert decision.lam.min() < -0.5
    made = made_features(problem.features, decision.base, decision.neighbor, decision.lam)
    both = np.hstack([made["audio"].values, made["text"].values])
    np.testing.assert_allclose(both, x[decision.base] + decision.lam[:, None] * (
        x[decision.neighbor].astype(float) - x[decision.base]), rtol=1e-5, atol=1e-6)


def test_sequences_and_absent_modalities():
    x, y = make_data((30, 20, 15, 0))
    rng = np.random.default_rng(1)
    steps = [rng.standard_normal((1 + row % 4, 3)).astype(np.float32) + y[row] for row in range(len(y))]
    present = np.arange(len(y)) >= 4
    x[~present] = 0
    features = {"audio": Modality(steps, np.ones(len(y), bool), "fps:10"), "text": vectors(x, present)}
    decision = decide("SVMSMOTE", x, y, features=features)
    assert decision.notes[0] == "SVMSMOTE took absent modalities for average ones: text of 4"
    made = made_features(features, decision.base, decision.neighbor, decision.lam)
    assert len(made["audio"].values) == len(decision.base) > 20
    assert all(np.isfinite(one).all() for one in made["audio"].values)


def test_samplers_that_look_at_no_feature_need_none():
    x, y = make_data()
    strategy = find_strategy("imblearn:RandomOverSampler")
    problem = make_problem(strategy, x, y, features={})
    decision = strategy.decide(problem)
    assert strategy.MAKES == "copies" and set(decision.op) == {"repeat"}
    assert np.bincount(y[decision.base]).tolist() == [0, 20, 30]


# ---------------------------------------------------------------------------------------- what stays

def test_dropped_or_masked():
    x, y = make_data()
    masked, dropped = (decide("TomekLinks", x, y, drop=drop) for drop in ("mask", "delete"))
    assert set(masked.kept) == {"keep", "mask"} and set(dropped.kept) == {"keep", "drop"}
    assert np.array_equal(masked.kept == "keep", dropped.kept == "keep")
    assert refusal("TomekLinks", x, y, drop="burn").startswith("--drop: this way to drop is not known")


@pytest.mark.parametrize(("clean", "classes"), [("auto", {0, 1}), ("all", {0, 1, 2}), ("majority", {0}),
                                                ("joy", {1}), ("joy,fear", {1, 2})])
def test_classes_to_clean(clean, classes):
    x, y = make_data(apart=0.3)
    decision = decide("EditedNearestNeighbours", x, y, clean=clean, min_keep=0, param=("kind_sel=mode",))
    assert set(y[decision.kept != "keep"].tolist()) == classes


@pytest.mark.parametrize("clean", ["sadness", "disgust", "joy,joyy", ""])
def test_classes_that_cannot_be_cleaned(clean):
    x, y = make_data()
    assert refusal("TomekLinks", x, y, clean=clean) == (
        f"--clean: these classes cannot be cleaned: expected auto, all, majority, or some of neutral, joy, fear"
        f"{', got ' + clean if clean else ''}")


def test_cleaning_that_takes_too_much_is_refused():
    x, y = make_data(apart=0.3)
    assert refusal("EditedNearestNeighbours", x, y, param=("n_neighbors=2",)) == (
        "--strategy imblearn:EditedNearestNeighbours: EditedNearestNeighbours would take too much of a class: "
        "expected at least 50% of each to stay, got neutral 60 → 25, joy 40 → 8; choose another --strategy, or say "
        "--min-keep 0 if that is wanted")
    kept = decide("EditedNearestNeighbours", x, y, param=("n_neighbors=2",), min_keep=0.1).kept == "keep"
    assert np.bincount(y[kept]).tolist() == [25, 8, 30]


def test_a_class_that_would_be_gone_is_always_refused():
    x, y = make_data(apart=0)
    assert refusal("EditedNearestNeighbours", x, y, min_keep=0, clean="all", param=("n_neighbors=9",)) == (
        "--strategy imblearn:EditedNearestNeighbours: EditedNearestNeighbours would leave nothing of a class: got "
        "neutral 60 → 0, joy 40 → 0, fear 30 → 0; choose other classes, or another --strategy")
    assert "joy 40 → 0" in refusal("RandomUnderSampler", x, y, target="joy=0")


def test_smote_and_cleaning_are_guarded_too():
    x, y = make_data(apart=0.3)
    text = refusal("SMOTEENN", x, y)
    assert "expected at least 50% of each to stay, made ones counted, got neutral 60 → " in text
    decision = decide("SMOTEENN", x, y, min_keep=0.0, target="fear=40")
    assert set(y[decision.base]) == {2} and len(decision.base) < 10
    assert (decision.kept == "mask").sum() > 10
    taken = np.bincount(y[decision.kept == "mask"])
    assert decision.notes == (f"fear: SMOTEENN came to {len(decision.base)} of 10 new items", *(
        f"{label}: SMOTEENN takes {gone} of {count} out of the loss"
        for label, gone, count in zip(LABELS[:3], taken, COUNTS[:3], strict=True)))


@pytest.mark.parametrize("share", [-0.1, 1.5, np.nan])
def test_a_share_that_is_none(share):
    x, y = make_data()
    assert refusal("TomekLinks", x, y, min_keep=share) == (
        f"--min-keep: this share is not possible: expected a number from 0 to 1, got {share}; write for example "
        "--min-keep 0.5")


# ---------------------------------------------------------------------------------------- off the target

def test_a_class_that_is_passed_over_is_told():
    x, y = make_data(apart=30)
    assert decide("BorderlineSMOTE", x, y).notes == ("joy: BorderlineSMOTE came to none of 20 new items",
                                                     "fear: BorderlineSMOTE came to none of 30 new items")


def test_more_than_asked_for_is_trimmed_but_in_compat():
    x, y = make_data()
    texts = ("kmeans_estimator=4",)
    ours, theirs = (decide("KMeansSMOTE", x, y, param=texts, imblearn_compat=compat) for compat in (False, True))
    assert np.bincount(y[ours.base]).tolist() == [0, 20, 30]
    made = np.bincount(y[theirs.base]).tolist()
    assert made[1] > 20 or made[2] > 30
    assert any(f"KMeansSMOTE came to {number} of" in note for number in made for note in theirs.notes)


def test_borderline_2_says_that_it_mixes_classes():
    x, y = make_data(apart=0.5)
    decision = decide("BorderlineSMOTE", x, y, param=("kind=borderline-2",))
    foreign = (y[decision.base] != y[decision.neighbor]).sum()
    assert f"{foreign} of 50 new items lie on the way to a neighbour of another class" in decision.notes


def test_rows_drawn_twice_stay_once_and_are_told():
    x, y = make_data()
    decision = decide("RandomUnderSampler", x, y, param=("replacement=true",))
    assert len(decision.base) == 0
    assert any(note.startswith("RandomUnderSampler drew rows more than once, and they stay once: ")
               for note in decision.notes)


def test_duplicates_as_neighbours_are_told():
    x, y = make_data()
    x[y == 2] = x[y == 2][0]
    decision = decide("SMOTE", x, y, target="fear=40")
    copies = (decision.op == "repeat").sum()
    assert copies > 0
    assert decision.notes == (f"{copies} of 10 new items repeat an utterance whose neighbour is its duplicate",)


# ---------------------------------------------------------------------------------------- what it cannot do

def test_too_few_members():
    x, y = make_data((60, 40, 4, 0))
    assert refusal("SVMSMOTE", x, y) == (
        "--strategy imblearn:SVMSMOTE: SVMSMOTE cannot add to fear: expected more than 5 members for 5 neighbours, "
        "got fear has 4; say --param k_neighbors=3")
    assert "say --param smote__k_neighbors=3" in refusal("SMOTETomek", x, y)
    assert decide("SMOTETomek", x, y, param=("smote__k_neighbors=3",)).lam.size > 50
    x, y = make_data((60, 40, 1, 0))
    assert refusal("ADASYN", x, y).endswith("got fear has 1; use --strategy smote")


@pytest.mark.parametrize("compat", [False, True])
def test_no_neighbour_of_another_class(compat):
    x, y = make_data(apart=30)
    x[y == 1] = x[y == 0][:40]  # joy is among neutral, fear far from both
    assert refusal("ADASYN", x, y, imblearn_compat=compat) == (
        "--strategy imblearn:ADASYN: ADASYN cannot do this: got fear has 30 members: Not any neigbours belong to the "
        "majority class; change --param or the classes, or use --strategy smote")


def test_no_cluster():
    x, y = make_data(apart=0)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        text = refusal("KMeansSMOTE", x, y, target="joy=60,fear=60", param=("cluster_balance_threshold=0.99",))
    assert text == (
        "--strategy imblearn:KMeansSMOTE: KMeansSMOTE cannot do this: got joy has 40 members: No clusters found with "
        "sufficient samples; change --param or the classes, or use --strategy smote")
    assert heard == []


def test_all_support_vectors_noise():
    x, y = make_data((200, 8, 8, 0), apart=0)
    assert "members: All support vectors are considered as noise" in refusal("SVMSMOTE", x, y)


def test_the_smallest_class_is_named_where_it_is_too_small():
    x, y = make_data((60, 40, 2, 0))
    text = refusal("NearMiss", x, y)
    assert text.startswith("--strategy imblearn:NearMiss: NearMiss cannot do this: got fear has 2 members: Expected "
                           "n_neighbors <= n_samples_fit")
    assert text.endswith("use --strategy undersample")


def test_one_class_alone():
    x, y = make_data((60, 0, 0, 0))
    assert refusal("TomekLinks", x, y, clean="all") == (
        "--strategy imblearn:TomekLinks: TomekLinks compares classes, and train has one: got neutral with 60")


@pytest.mark.parametrize(("name", "param", "text"), [
    ("SVMSMOTE", ("out_stepp=1",),
     "--param out_stepp=1: SVMSMOTE has no such parameter: expected k_neighbors=…, m_neighbors=…, out_step=…, "
     "svm_estimator=…, got out_stepp; see its page in imbalanced-learn's guide"),
    ("SVMSMOTE", ("out_step=1", "out_step=2"),
     "--param out_step=2: this parameter is given twice: expected k_neighbors=…, m_neighbors=…, out_step=…, "
     "svm_estimator=…, got out_step; see its page in imbalanced-learn's guide"),
    ("SVMSMOTE", ("random_state=1",), "--param random_state: emoprep sets this parameter; use --seed"),
    ("SMOTEENN", ("smote__sampling_strategy=all",), "--param smote__sampling_strategy: emoprep sets this parameter; "
                                                    "use --target, or --clean where the sampler cleans"),
    ("TomekLinks", ("n_jobs=2",), "--param n_jobs: emoprep sets this parameter; leave it out: what comes out must "
                                  "not depend on the cores"),
    ("BorderlineSMOTE", ("kind=third",),
     "--param kind=third: this parameter is not possible: got The 'kind' parameter of BorderlineSMOTE must be a str "
     "among {'borderline-1', 'borderline-2'}. Got 'third' instead.; mend it, or leave it out"),
    ("RandomOverSampler", ("shrinkage=1",), "--strategy imblearn:RandomOverSampler: with shrinkage it adds noise that "
                                            "cannot be told: got --param shrinkage; use --strategy rose"),
    ("ClusterCentroids", (), "--strategy imblearn:ClusterCentroids: it makes means of clusters, and a mean has no "
                             "parents to name; say --param voting=hard, which keeps the utterances nearest to them")])
def test_parameters_that_cannot_be(name, param, text):
    with pytest.raises(UsageError) as refused:
        find_strategy(f"imblearn:{name}", {"param": param})
    words = str(refused.value)
    if "kind=" in text:  # the order of a set
        words = words.replace("'borderline-2', 'borderline-1'", "'borderline-1', 'borderline-2'")
    assert words == text


def test_no_such_sampler():
    with pytest.raises(UsageError) as refused:
        find_strategy("imblearn:SMOTEFUL")
    listed = ", ".join(name for name in ALL if not name.startswith("SMOTEN") or name == "SMOTEENN")
    assert str(refused.value) == (f"--strategy imblearn:SMOTEFUL: imbalanced-learn has no such sampler: expected "
                                  f"{listed}, got 'SMOTEFUL'")


@pytest.mark.parametrize("compat", [False, True])
def test_a_value_that_is_not_finite_is_one_line(compat):
    x, y = make_data()
    x[7, 2] = np.nan
    assert refusal("SVMSMOTE", x, y, imblearn_compat=compat).startswith(
        "u7: this audio feature has a value that is not finite: expected finite numbers, got nan in dimension 2")


def test_compat_refuses_sequences_and_tells_of_zeros():
    x, y = make_data()
    present = np.arange(len(y)) >= 3
    features = {"audio": Modality([np.ones((2, 2), np.float32)] * len(y), np.ones(len(y), bool), "fps:10")}
    assert refusal("TomekLinks", x, y, features=features, imblearn_compat=True) == (
        "--imblearn-compat: imbalanced-learn has no TomekLinks for sequences, and audio is one: expected vectors, got "
        "clock fps:10; leave --imblearn-compat out, or make features with --pool mean")
    decision = decide("TomekLinks", x, y, features={"text": vectors(x, present)}, imblearn_compat=True)
    assert decision.notes == ("TomekLinks took absent modalities for zeros: text of 3",)


def test_features_are_needed():
    x, y = make_data()
    assert refusal("SVMSMOTE", x, y, features={}) == (
        "--strategy imblearn:SVMSMOTE: there is no feature to compare: expected a feature store; run `emoprep "
        "features` first")


# ---------------------------------------------------------------------------------------- later ones

class HalfWaySMOTE(over_sampling.SMOTE):
    """A sampler of a later version that interpolates as the family does."""

    def _make_samples(self, x, y_dtype, y_type, nn_data, nn_num, n_samples, step_size=1.0, y=None):
        return super()._make_samples(x, y_dtype, y_type, nn_data, nn_num, n_samples, 0.5, y)


class Dreamer(BaseOverSampler):
    """A sampler of a later version that makes rows of nothing."""

    def _fit_resample(self, x, y):
        return np.concatenate([x, x[:5] + 9]), np.concatenate([y, y[:5]])


def test_samplers_of_a_later_version(monkeypatch):
    for kind in (HalfWaySMOTE, Dreamer):
        monkeypatch.setattr(over_sampling, kind.__name__, kind, raising=False)
    x, y = make_data()
    decision = decide("HalfWaySMOTE", x, y)
    assert 0.4 < decision.lam.max() < 0.5
    assert refusal("Dreamer", x, y) == (
        "--strategy imblearn:Dreamer: the parents of what it makes cannot be named: got 5 of 135 rows that came out "
        "are none of those that went in; use --strategy smote, or another sampler")


def test_the_private_method_that_is_listened_to_is_there():
    base = importlib.import_module("imblearn.over_sampling._smote.base").BaseSMOTE
    assert list(base._generate_samples.__code__.co_varnames[:9]) == [
        "self", "X", "nn_data", "nn_num", "rows", "cols", "steps", "y_type", "y"]
