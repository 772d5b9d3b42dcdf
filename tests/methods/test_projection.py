"""Principal components in one pass, and the scaler."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.errors import EmoprepError
from emoprep.methods.projection import Unprojected, fit_projection, keep_or_project, scaler


def table(rows=300, columns=12, seed=0):
    """Correlated columns of very different scales, as features are."""
    generator = np.random.default_rng(seed)
    mixed = generator.standard_normal((rows, columns)) @ generator.standard_normal((columns, columns))
    return (mixed * np.logspace(-3, 3, columns) + np.linspace(-50, 50, columns)).astype(np.float32)


def up_to_sign(ours, theirs):
    return ours * np.sign((ours * theirs).sum(axis=0))


def test_it_is_scikit_learns_pca_of_standardised_columns_up_to_sign():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    data = table()
    fitted = fit_projection(lambda: iter(data), dim=5)
    ours = np.array([fitted.transform(row) for row in data])
    standard = StandardScaler().fit_transform(data.astype(np.float64))
    theirs = PCA(5, svd_solver="full").fit_transform(standard)
    np.testing.assert_allclose(up_to_sign(ours, theirs), theirs, rtol=1e-4, atol=1e-4)
    assert fitted.dim == 5 and fitted.notes == () and ours.dtype == np.float32


def test_steps_of_sequences_are_rows():
    data = table(120)
    whole = fit_projection(lambda: iter(data), dim=3)
    pieces = fit_projection(lambda: iter(np.split(data, [1, 40, 41, 100])), dim=3)
    assert pieces.transform(data).shape == (120, 3)
    np.testing.assert_allclose(pieces.transform(data), [whole.transform(row) for row in data], atol=1e-5)


def test_the_asked_dimension_is_kept_and_what_cannot_be_told_is_zero():
    data = table(41, 600)
    fitted = fit_projection(lambda: iter(data), dim=512)
    vector = fitted.transform(data[0])
    assert vector.shape == (512,) and vector[:40].all() and not vector[40:].any()
    assert fitted.notes == ("512 asked, 40 can be told from 41 train rows; the rest is 0",)


@pytest.mark.parametrize("rows", [0, 1])
def test_without_two_rows_everything_is_zero(rows):
    fitted = fit_projection(lambda: iter(table(rows)), dim=4)
    assert not fitted.transform(table(3)).any()
    assert fitted.notes == (f"4 asked, 0 can be told from {rows} train rows; the rest is 0",)


def test_constant_and_doubled_columns_add_nothing():
    data = table(100, 3)
    wide = np.column_stack([np.full(100, 0.1), data, np.full(100, 1e9), data]).astype(np.float32)
    fitted = fit_projection(lambda: iter(wide), dim=6)
    assert fitted.columns.tolist() == [1, 2, 3, 5, 6, 7]
    assert len(fitted.weights) == 3
    strange = wide[0] + np.array([1e6, 0, 0, 0, 1e6, 0, 0, 0], np.float32)
    assert np.isfinite(fitted.transform(strange)).all()


def test_a_descriptor_is_transformed_alike_whatever_went_before():
    data = table(50)
    fitted = fit_projection(lambda: iter(data), dim=4)
    alone = fitted.transform(data[7].copy())
    for _ in range(3):
        fitted.transform(data)
        assert fitted.transform(data[7]).tobytes() == alone.tobytes()
    # Another layout in memory is the same descriptor.
    assert fitted.transform(np.asfortranarray(data)).tobytes() == fitted.transform(data).tobytes()


def test_signs_are_fixed_and_a_fit_survives_pickling():
    data = table(200)
    fitted = fit_projection(lambda: iter(data), dim=6)
    components = fitted.weights * (data.std(axis=0, dtype=np.float64))
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(6), largest] > 0).all()
    again = pickle.loads(pickle.dumps(fitted))
    assert again.transform(data).tobytes() == fitted.transform(data).tobytes()


def test_bytes_do_not_depend_on_the_number_of_threads():
    program = (
        "import hashlib, numpy as np\n"
        "from emoprep.methods.projection import fit_projection\n"
        "data = np.random.default_rng(0).standard_normal((700, 300)).astype(np.float32)\n"
        "fitted = fit_projection(lambda: iter(data), 200)\n"
        "out = [fitted.weights, fitted.transform(data), fitted.transform(data[0])]\n"
        "print(hashlib.sha256(b''.join(part.tobytes() for part in out)).hexdigest())\n")
    digests = {
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True,
                       env=os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}).stdout
        for threads in ("1", "2", "4")}
    assert len(digests) == 1


def test_a_large_offset_costs_no_precision():
    data = np.random.default_rng(0).standard_normal((400, 5)) @ np.triu(np.ones((5, 5)))
    near, far = fit_projection(lambda: iter(data), 5), fit_projection(lambda: iter(data + 1e5), 5)
    np.testing.assert_allclose(far.transform(data + 1e5), near.transform(data), atol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    data = table(20)
    fitted = fit_projection(lambda: iter(data), 2)
    spoilt = data[0].copy()
    spoilt[3] = bad
    for use in (fitted.transform, Unprojected(12).transform, lambda row: fit_projection(lambda: [row], 2)):
        with pytest.raises(EmoprepError, match=r"a descriptor holds NaN or an infinity: .* shape \[12\]"):
            use(spoilt)


def test_a_models_own_dimension_is_kept_unless_one_is_asked_for():
    data = table(30)
    own = keep_or_project(lambda: iter(data), None)
    assert own.dim == 12 and own.transform(data[0]).tobytes() == data[0].tobytes()
    assert keep_or_project(lambda: iter(data), 3).transform(data[0]).shape == (3,)
    with pytest.raises(EmoprepError, match="no train utterance has this modality"):
        keep_or_project(lambda: iter(()), None)


def test_scaler_is_the_population_mean_and_deviation():
    data = table(600)
    data[:, 4] = 7.25
    for arrays in (iter(data), np.split(data, [10, 300, 301])):
        mean, deviation = scaler(arrays)
        assert mean.dtype == deviation.dtype == np.float32
        np.testing.assert_allclose(mean, data.mean(axis=0, dtype=np.float64), rtol=1e-5)
        expected = data.std(axis=0, dtype=np.float64)
        expected[4] = 1
        np.testing.assert_allclose(deviation, expected, rtol=1e-5)
    assert [len(part) for part in scaler([])] == [0, 0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 9), st.integers(1, 12),
       st.integers(0, 99))
def test_any_shape_gives_finite_numbers_of_the_asked_width(lengths, columns, dim, seed):
    generator = np.random.default_rng(seed)
    sequences = [generator.integers(-2, 3, (length, columns)).astype(np.float32) for length in lengths]
    fitted = fit_projection(lambda: iter(sequences), dim)
    assert len(fitted.weights) <= min(sum(lengths) - 1, columns)
    for sequence in sequences:
        projected = fitted.transform(sequence)
        assert projected.shape == (len(sequence), dim) and np.isfinite(projected).all()
