"""Parents and λ recovered from imbalanced-learn's samplers, and outputs that are what they would have been."""

import warnings

import numpy as np
import pytest
from imblearn import combine, over_sampling, under_sampling
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.under_sampling.base import BaseCleaningSampler
from threadpoolctl import threadpool_info

from emoprep.methods.imblearn_samplers import built_sampler
from emoprep.methods.interpolate import blend
from emoprep.methods.recorder import Unnamed, recording, resampled

TARGETS = {1: 100, 2: 110}
FAMILY = {
    "SMOTE": {}, "BorderlineSMOTE": {}, "Borderline-2": {"kind": "borderline-2"}, "SVMSMOTE": {"out_step": 0.7},
    "KMeansSMOTE": {"kmeans_estimator": 5}, "ADASYN": {}}


def make_data(counts=(120, 50, 30), dimension=8, seed=0):
    """Return x float32 [n, d] with one duplicate, and y [n], shuffled, classes overlapping."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    x = (1.2 * rng.standard_normal((len(y), dimension)) + 1.5 * y[:, None]).astype(np.float32)
    first, second = np.flatnonzero(y == 1)[:2]
    x[first] = x[second]
    return x, y


def kind_of(name):
    return over_sampling.BorderlineSMOTE if name == "Borderline-2" else getattr(over_sampling, name)


def rebuilt(x, done):
    """Return the made rows, as the parents and λ tell."""
    far = np.where(done.neighbor < 0, done.base, done.neighbor)
    return blend(x[done.base], x[far], np.nan_to_num(done.lam))


@pytest.mark.parametrize("name", FAMILY)
def test_parents_make_what_plain_imbalanced_learn_makes(name):
    x, y = make_data()
    plain, labels = kind_of(name)(sampling_strategy=TARGETS, random_state=3, **FAMILY[name]).fit_resample(x, y)
    done = resampled(built_sampler(kind_of(name), FAMILY[name], TARGETS, 3), x, y)
    made = plain[len(x):]
    assert len(done.base) == len(made) > 100
    assert done.kept.all() and done.stays.all()
    error = np.abs(rebuilt(x, done) - made).max(axis=1) / np.abs(made).max(axis=1)
    # Borderline-2 rounds once more where it shortens a step; all others come out to the bit.
    assert error.max() < 1e-6 if name == "Borderline-2" else error.max() == 0
    assert np.array_equal(labels[len(x):], y[done.base])


@pytest.mark.parametrize("name", [name for name in FAMILY if name != "ADASYN"])
def test_listening_changes_nothing(name):
    x, y = make_data()
    settings = {"sampling_strategy": TARGETS, "random_state": 3, **FAMILY[name]}
    plain = kind_of(name)(**settings).fit_resample(x, y)
    heard = recording(kind_of(name))(**settings).fit_resample(x, y)
    assert type(heard[0]) is np.ndarray
    assert all(one.tobytes() == other.tobytes() for one, other in zip(plain, heard, strict=True))


def test_svm_smote_extrapolates():
    x, y = make_data()
    done = resampled(built_sampler(over_sampling.SVMSMOTE, {"out_step": 0.7}, TARGETS, 3), x, y)
    assert -0.7 < np.nanmin(done.lam) < -0.3
    assert 0.7 < np.nanmax(done.lam) < 1


def test_borderline_2_goes_at_most_half_way_to_another_class():
    x, y = make_data()
    done = resampled(built_sampler(over_sampling.BorderlineSMOTE, {"kind": "borderline-2"}, TARGETS, 3), x, y)
    foreign = (done.neighbor >= 0) & (y[done.neighbor] != y[done.base])
    assert foreign.sum() > 30
    assert np.nanmax(done.lam[foreign]) < 0.5 < np.nanmax(done.lam[~foreign])


def test_a_duplicate_for_a_neighbour_is_a_copy():
    x, y = make_data((20, 6))
    x[np.flatnonzero(y == 1)] = x[np.flatnonzero(y == 1)[0]]
    done = resampled(built_sampler(over_sampling.SMOTE, {}, {1: 40}, 0), x, y)
    copies = done.neighbor < 0
    assert 0 < copies.sum() < 34
    assert np.array_equal(copies, np.isnan(done.lam))
    assert (done.neighbor != done.base).all()


@pytest.mark.parametrize("name", ["SMOTEENN", "SMOTETomek"])
def test_cleaning_tells_which_made_rows_stay(name):
    x, y = make_data()
    kind = getattr(combine, name)
    plain, labels = kind(sampling_strategy=TARGETS, random_state=3).fit_resample(x, y)
    done = resampled(built_sampler(kind, {}, TARGETS, 3), x, y)
    assert len(done.base) == 130
    assert (name == "SMOTETomek") or ((~done.stays).any() and (~done.kept).any())
    made = rebuilt(x, done)[done.stays]
    ours = np.concatenate([x[done.kept], made])
    assert np.array_equal(ours[np.lexsort(ours.T)], plain[np.lexsort(plain.T)])
    assert np.array_equal(np.bincount(labels), np.bincount(np.concatenate([y[done.kept], y[done.base[done.stays]]])))


@pytest.mark.parametrize(("name", "parameters"), [("RandomUnderSampler", {}), ("NearMiss", {"version": 2}),
                                                  ("ClusterCentroids", {"voting": "hard"})])
def test_rows_that_are_chosen_are_named(name, parameters):
    x, y = make_data()
    kind, asked = getattr(under_sampling, name), {0: 40, 1: 30}
    plain, _ = built_sampler(kind, parameters, asked, 3).fit_resample(x, y)
    done = resampled(built_sampler(kind, parameters, asked, 3), x, y)
    assert len(done.base) == 0
    assert np.bincount(y[done.kept]).tolist() == [40, 30, 30]
    assert np.array_equal(x[done.kept][np.lexsort(x[done.kept].T)], plain[np.lexsort(plain.T)])


def test_rows_drawn_twice_are_copies():
    x, y = make_data()
    done = resampled(built_sampler(under_sampling.RandomUnderSampler, {"replacement": True}, {0: 60, 1: 50}, 3), x, y)
    assert done.kept.sum() + len(done.base) == 140
    assert (done.neighbor == -1).all() and len(done.base) > 20
    assert done.kept[done.base].all()


def test_a_sampler_that_says_nothing_is_asked_row_by_row():
    class EverySecond(BaseCleaningSampler):
        def _fit_resample(self, x, y):
            return x[::2], y[::2]

    x, y = make_data()
    x[10] = x[11]  # rows that are alike are told apart as far as they come out
    y[10] = y[11]
    done = resampled(EverySecond(), x, y)
    assert done.kept.sum() == 100 and len(done.base) == 0
    assert np.array_equal(x[done.kept], x[::2])


# ---------------------------------------------------------------------------------------- what cannot be named

class Noise(BaseOverSampler):
    """Makes rows that have no parents."""

    def _fit_resample(self, x, y):
        return np.concatenate([x, x[:5] + 1]), np.concatenate([y, y[:5]])


class Liar(over_sampling.SMOTE):
    """Draws as SMOTE does, and gives something else back."""

    def _fit_resample(self, x, y):
        made, labels = super()._fit_resample(x, y)
        made[len(x) + 4] += 0.01
        return made, labels


class Elsewhere(over_sampling.SMOTE):
    """Interpolates between points that are no rows."""

    def _make_samples(self, x, y_dtype, y_type, nn_data, *rest, **more):
        return super()._make_samples(x, y_dtype, y_type, np.asarray(nn_data) / 2, *rest, **more)


@pytest.mark.parametrize(("kind", "why"), [
    (Noise, "5 of 205 rows that came out are none of those that went in"),
    (Liar, "row 204 that came out is not what its parents make"),
    (Elsewhere, "it interpolates between rows that are none of those that went in")])
def test_rows_without_parents_are_not_passed_on(kind, why):
    x, y = make_data()
    with pytest.raises(Unnamed, match=why):
        resampled(built_sampler(kind, {}, TARGETS, 0), x, y)


def test_random_oversampling_with_noise_is_not_a_copy():
    x, y = make_data()
    with pytest.raises(Unnamed, match="row 200 that came out is not what its parents make"):
        resampled(built_sampler(over_sampling.RandomOverSampler, {"shrinkage": 1.0}, TARGETS, 0), x, y)


# ------------------------------------------------------------------------------------------------ quiet, and one thread

def test_warnings_stay_off_the_screen():
    class Loud(over_sampling.SMOTE):
        def _fit_resample(self, x, y):
            warnings.warn("in a later version", FutureWarning, stacklevel=1)
            np.zeros(1) / np.zeros(1)
            return super()._fit_resample(x, y)

    x, y = make_data()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        resampled(built_sampler(Loud, {}, TARGETS, 0), x, y)
    assert heard == []


def test_one_thread():
    class Looking(over_sampling.KMeansSMOTE):
        def _fit_resample(self, x, y):
            self.kmeans_estimator = 3
            made = super()._fit_resample(x, y)
            self.threads = {library["num_threads"] for library in threadpool_info()}
            return made

    x, y = make_data()
    sampler = built_sampler(Looking, {}, TARGETS, 0)
    resampled(sampler, x, y)
    assert sampler.threads == {1}
