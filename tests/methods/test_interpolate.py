"""Interpolation against hand-made examples, imbalanced-learn's arithmetic, and the clocks of sequences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE

from emoprep.contracts import Decision, Modality
from emoprep.errors import EmoprepError, UsageError
from emoprep.methods import interpolate
from emoprep.methods.interpolate import blend, check_renorm, made_features, made_vectors, resample, unit_modalities


def vectors(values, present=None):
    values = np.asarray(values, dtype=np.float32)
    return Modality(values, np.ones(len(values), bool) if present is None else np.asarray(present))


def sequences(steps, clock, present=None):
    steps = [np.asarray(one, dtype=np.float32).reshape(len(one), -1) for one in steps]
    return Modality(steps, np.ones(len(steps), bool) if present is None else np.asarray(present), clock)


def parents(*triples):
    base, neighbor, lam = zip(*triples, strict=True)
    return np.array(base), np.array(neighbor), np.array(lam, dtype=float)


def random_decision(n, made, seed=0):
    rng = np.random.default_rng(seed)
    neighbor = rng.integers(-1, n, made)
    return Decision(np.full(n, "keep"), np.where(neighbor < 0, "repeat", "interpolate"),
                    rng.integers(0, n, made), neighbor, np.where(neighbor < 0, np.nan, rng.random(made)))


# ------------------------------------------------------------------------------------------- vectors

def test_smote_toy_equals_imbalanced_learn():
    x = np.array([[0, 0], [1, 0], [0, 1], [10, 10], [11, 10], [10, 11], [10, 12], [12, 10], [12, 12], [9, 9]],
                 dtype=np.float64)
    y = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    made, _ = made_vectors(vectors(x), *parents(
        (2, 0, 0.8579456176227568), (2, 1, 0.8472517387841254), (0, 1, 0.6235636967859723),
        (1, 2, 0.3843817072926998)))
    expected = [[0.0, 0.14205438237724322], [0.8472517387841254, 0.1527482612158746],
                [0.6235636967859723, 0.0], [0.6156182927073002, 0.3843817072926998]]
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    theirs, _ = SMOTE(random_state=0, k_neighbors=2).fit_resample(x.astype(np.float32), y)
    assert np.array_equal(made, theirs[len(x):])


def test_multimodal_toy_shares_parents_and_lambda():
    features = {"text": vectors([[0, 0], [4, 0], [0, 4]]), "audio": vectors([[10], [20], [40]])}
    made = made_features(features, *parents((0, 1, 0.25), (1, 2, 0.5)))
    assert made["text"].values.tolist() == [[1, 0], [2, 2]]
    assert made["audio"].values.tolist() == [[12.5], [30]]
    assert made["text"].present.all() and made["audio"].clock == "utterance"


def test_arithmetic_is_rounded_once_from_float64():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 50, 400), dtype=np.float32)
    lam = rng.random(50)
    found = blend(first, second, lam)
    assert found.dtype == np.float32
    assert np.array_equal(found, (first + lam[:, None] * (second - first)).astype(np.float32))
    in_float32 = first + lam[:, None].astype(np.float32) * (second - first)
    assert not np.array_equal(found, in_float32)


def test_a_missing_modality_is_never_invented():
    audio = vectors([[10, 1], [20, 2], [99, 99]], [True, True, False])
    values, present = made_vectors(audio, *parents((0, 1, 0.5), (0, 2, 0.5), (2, 0, 0.5), (2, 2, 0.5)))
    assert values.tolist() == [[15, 1.5], [10, 1], [0, 0], [0, 0]]
    assert present.tolist() == [True, True, False, False]


def test_an_item_without_a_neighbour_is_its_base_bit_for_bit():
    odd = np.array([[-0.0, 1e-42, 3.4e38], [1, 2, 3]], dtype=np.float32)
    values, present = made_vectors(vectors(odd), *parents((0, -1, np.nan), (1, 0, 0.5), (0, -1, np.nan)))
    assert values[[0, 2]].tobytes() == odd[[0, 0]].tobytes()
    assert present.all()


def test_integers_are_not_truncated():
    numbers = Modality(np.array([[0, 10], [1, 11]], dtype=np.int64), np.ones(2, bool))
    values, _ = made_vectors(numbers, *parents((0, 1, 0.5)))
    assert values.tolist() == [[0.5, 10.5]]
    assert values.dtype == np.float32


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(1, 4000))
def test_pieces_make_the_same_as_the_whole(made, rows, chunk):
    features = {"a": vectors(np.random.default_rng(0).standard_normal((20, 7)),
                             np.random.default_rng(1).random(20) < 0.7),
                "b": sequences([np.arange(1 + row % 4) + row for row in range(20)], "words")}
    decision = random_decision(20, made)
    expected = made_features(features, decision.base, decision.neighbor, decision.lam)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpolate, "_CHUNK_VALUES", chunk)
        pieces = [made_features(features, *(column[start:start + rows] for column in (
            decision.base, decision.neighbor, decision.lam))) for start in range(0, made, rows)]
    for name in features:
        values = [row for piece in pieces for row in piece[name].values]
        assert all(map(np.array_equal, values, expected[name].values))
        assert len(values) == made
        present = np.concatenate([piece[name].present for piece in pieces])
        assert np.array_equal(present, expected[name].present)


def test_vectors_are_written_where_they_are_wanted():
    table = np.zeros((5, 2), np.float32)
    modality = vectors([[0, 0], [4, 8]])
    made_vectors(modality, *parents((0, 1, 0.25), (1, 0, 0.25)), out=table[3:])
    assert table.tolist() == [[0, 0], [0, 0], [0, 0], [1, 2], [3, 6]]


# ------------------------------------------------------------------------------------------- renorm

def test_unit_vectors_stay_unit_vectors_on_request():
    rng = np.random.default_rng(0)
    unit = rng.standard_normal((6, 8))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    features = {"text": vectors(unit), "audio": vectors(unit * 2)}
    decision = random_decision(6, 40)
    made, plain = (made_features(features, decision.base, decision.neighbor, decision.lam,
                                 unit=unit_modalities(features, renorm)) for renorm in ("auto", "off"))
    lengths = np.linalg.norm(plain["text"].values, axis=1)
    assert lengths.min() < 0.99
    np.testing.assert_allclose(np.linalg.norm(made["text"].values, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(made["text"].values, plain["text"].values / lengths[:, None], atol=1e-6)
    assert np.array_equal(made["audio"].values, plain["audio"].values)


def test_opposite_unit_vectors_have_no_middle_to_bring_to_length_1():
    opposite = np.array([[1, 0]], np.float32), np.array([[-1, 0]], np.float32)
    assert blend(*opposite, np.array([0.5]), unit=True).tolist() == [[0, 0]]
    assert blend(*opposite, np.array([0.25]), unit=True).tolist() == [[1, 0]]


def test_only_rows_that_have_the_modality_decide_whether_it_is_of_unit_vectors():
    unit = [[1, 0], [0, 0], [0.6, 0.8]]
    assert unit_modalities({"a": vectors(unit, [True, False, True])}, "auto") == {"a"}
    assert unit_modalities({"a": vectors(unit)}, "auto") == frozenset()
    assert unit_modalities({"a": vectors(unit, [False] * 3)}, "auto") == frozenset()
    assert unit_modalities({"a": sequences([[1], [1]], "words")}, "auto") == frozenset()
    assert unit_modalities({"a": vectors(unit, [True, False, True])}, "off") == frozenset()
    with pytest.raises(UsageError, match="--renorm: this way to renormalise is not known: expected off or "
                                         "auto, got on; use auto for embeddings of length 1"):
        check_renorm("on")


# ------------------------------------------------------------------------------------------- sequences

def test_sequence_toy():
    features = {"a": sequences([[0, 2, 4], [10, 10, 20, 30, 30]], "fps:10")}
    made = made_features(features, *parents((0, 1, 0.25)))["a"]
    np.testing.assert_allclose(resample(np.array([[0.0], [2], [4]]), 4).ravel(), [0, 4 / 3, 8 / 3, 4])
    np.testing.assert_allclose(resample(np.array([[10.0], [10], [20], [30], [30]]), 4).ravel(),
                               [10, 13.333333333333334, 26.666666666666668, 30])
    np.testing.assert_allclose(made.values[0].ravel(), [2.5, 4.333333333333333, 8.666666666666666, 10.5])
    assert made.values[0].dtype == np.float32
    assert made.clock == "fps:10"


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_resampling_keeps_ends_range_and_straight_lines(length, wanted):
    line = np.linspace(3, 7, length)[:, None]
    found = resample(line, wanted)
    assert found.shape == (wanted, 1)
    np.testing.assert_allclose(found.ravel(), np.linspace(3, 7 if length > 1 else 3, wanted))


def test_a_single_step_is_constant():
    assert resample(np.array([[5.0, 6.0]]), 3).tolist() == [[5, 6]] * 3


def test_modalities_on_one_clock_keep_one_length():
    lengths = [3, 9, 4, 7]
    features = {"video": sequences([np.arange(n) for n in lengths], "fps:10"),
                "face": sequences([np.arange(n) * 2 for n in lengths], "fps:10"),
                "text": sequences([np.arange(n - 2) for n in lengths], "words"),
                "mood": vectors(np.ones((4, 2)))}
    decision = random_decision(4, 60)
    made = made_features(features, decision.base, decision.neighbor, decision.lam)
    for item, (base, neighbor, lam) in enumerate(
            zip(decision.base, decision.neighbor, decision.lam, strict=True)):
        expected = lengths[base] if neighbor < 0 else (1 - lam) * lengths[base] + lam * lengths[neighbor]
        assert len(made["video"].values[item]) == len(made["face"].values[item]) == int(expected + 0.5)
        assert len(made["text"].values[item]) == int(expected - 2 + 0.5)


def test_modalities_that_differ_in_length_on_one_clock_are_stretched_alike():
    features = {"video": sequences([np.arange(4), np.arange(8)], "fps:10"),
                "face": sequences([np.arange(3), np.arange(8)], "fps:10")}
    made = made_features(features, *parents((0, 1, 0.5)))
    assert [len(made[name].values[0]) for name in ("video", "face")] == [6, 5]


def test_a_modality_of_the_base_only_stays_in_step_with_the_clock_it_shares():
    features = {"video": sequences([[0, 1, 2, 3], np.zeros(8)], "fps:10"),
                "face": sequences([[0, 2, 4, 6], [0]], "fps:10", [True, False])}
    made = made_features(features, *parents((0, 1, 0.5), (1, 0, 0.5)))
    assert [len(steps) for steps in made["video"].values] == [6, 6]
    np.testing.assert_allclose(made["face"].values[0].ravel(), np.linspace(0, 6, 6))
    assert made["face"].present.tolist() == [True, False]
    assert made["face"].values[1].tolist() == [[0]]


def test_frames_of_the_base_only_follow_the_duration_and_words_do_not():
    features = {"video": sequences([[0, 1, 2, 3], [0]], "fps:10", [True, False]),
                "text": sequences([[5, 6], [0]], "words", [True, False])}
    made = made_features(features, *parents((0, 1, 0.5)), seconds=np.array([0.4, 0.8]))
    assert len(made["video"].values[0]) == 6
    assert made["text"].values[0].ravel().tolist() == [5, 6]


def test_a_rate_of_its_own_follows_the_duration():
    features = {"audio": sequences([np.arange(100), np.arange(301)], "rate:100"),
                "video": sequences([np.arange(10), np.arange(30)], "fps:10")}
    seconds = np.array([1.0, 3.0])
    made = made_features(features, *parents((0, 1, 0.25), (0, -1, np.nan)), seconds=seconds)
    assert [len(steps) for steps in made["audio"].values] == [150, 100]
    assert [len(steps) for steps in made["video"].values] == [15, 10]
    assert made["audio"].values[1].ravel().tolist() == list(range(100))
    with pytest.raises(EmoprepError, match="feature audio: steps at a rate of their own need the durations "
                                           "of the utterances: expected seconds for every row, got clock "
                                           "rate:100; make the features again"):
        made_features(features, *parents((0, 1, 0.25)))
    unknown = np.array([1.0, np.nan])
    with pytest.raises(EmoprepError, match="expected seconds for every row"):
        made_features(features, *parents((0, 1, 0.25)), seconds=unknown)
    copies = made_features(features, *parents((0, -1, np.nan), (1, -1, np.nan)), seconds=unknown)
    assert [len(steps) for steps in copies["audio"].values] == [100, 301]


def test_a_length_that_falls_half_way_is_rounded_up():
    # As on the store's clock; numpy's rint would make 2 of 2.5.
    features = {"a": sequences([[0, 1], [0, 1, 2]], "fps:10")}
    assert len(made_features(features, *parents((0, 1, 0.5)))["a"].values[0]) == 3
