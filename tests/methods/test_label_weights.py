"""Weights of several labels, against the values of paper 002 and of the real CMU-MOSEI labels."""

import json

import numpy as np
import pytest

from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.label_weights import label_weights

LABELS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
# The standard train fold of CMU-MOSEI: 16,327 segments.
TRAIN = dict(zip(LABELS, (8735, 4269, 3526, 1642, 2955, 1331), strict=True))


def test_pairs_of_the_real_train_fold():
    found = label_weights(TRAIN, 16327)
    np.testing.assert_allclose([pair["pos"] for pair in found.weights.values()], [
        0.9345735546651402, 1.91227453736238, 2.3152297220646627, 4.971680876979294, 2.762605752961083,
        6.13335837716003], rtol=1e-12)
    np.testing.assert_allclose([pair["neg"] for pair in found.weights.values()], [
        1.075276606954689, 0.6770194062033504, 0.6377236153425514, 0.5559073884916581, 0.6104920729883339,
        0.5443785009335823], rtol=1e-12)
    np.testing.assert_allclose(list(found.pos_weight.values()), [
        0.8691471093302805, 2.82454907472476, 3.630459444129325, 8.943361753958587, 4.525211505922166,
        11.26671675432006], rtol=1e-12)
    assert found.to_array().dtype == np.float32


def test_pairs_of_paper_002():
    rates = {"happy": 0.533, "angry": 0.225, "sad": 0.255, "fear": 0.086, "disgust": 0.178, "surprise": 0.102}
    found = label_weights(rates, 1)
    assert [round(pair["pos"], 4) for pair in found.weights.values()] == [0.9381, 2.2222, 1.9608, 5.814, 2.809, 4.902]
    assert [round(pair["neg"], 4) for pair in found.weights.values()] == [1.0707, 0.6452, 0.6711, 0.547, 0.6083, 0.5568]


@pytest.mark.parametrize("scheme", ["balanced", "inv-sqrt", "alpha=0.25", "alpha=0"])
def test_every_pair_keeps_the_scale_of_its_loss(scheme):
    found = label_weights(TRAIN, 16327, scheme, max_ratio=5)
    for label, pair in found.weights.items():
        assert TRAIN[label] * pair["pos"] + (16327 - TRAIN[label]) * pair["neg"] == pytest.approx(16327)
        assert pair["pos"] / pair["neg"] == pytest.approx(found.pos_weight[label])
    assert max(found.pos_weight.values()) <= 5


def test_tempering_is_a_power():
    full, half = label_weights(TRAIN, 16327), label_weights(TRAIN, 16327, "inv-sqrt")
    np.testing.assert_allclose([value ** 0.5 for value in full.pos_weight.values()], list(half.pos_weight.values()))


def test_a_label_that_none_or_all_have():
    found = label_weights({"none": 0, "all": 4, "some": 1}, 4)
    assert found.absent == ("none", "all")
    assert found.pos_weight == {"none": None, "all": None, "some": 3.0}
    assert found.to_array().tolist() == [1, 1, 3]
    assert found.weights["none"] == {"pos": 1.0, "neg": 1.0}


@pytest.mark.parametrize(("options", "message"), [
    ({"scheme": "effective"}, "--scheme: this scheme weights classes"),
    ({"scheme": "log"}, "expected balanced, inv-sqrt, alpha=A or none"),
    ({"normalize": "mean1"}, "--normalize: the weights of a label come in pairs"),
    ({"max_ratio": 0.5}, "--max-ratio: this cap of pos_weight is not possible"),
    ({"max_ratio": float("nan")}, "--max-ratio"),
])
def test_refused(options, message):
    with pytest.raises(UsageError, match=message):
        label_weights(TRAIN, 16327, **options)


def test_nothing_to_weight():
    with pytest.raises(EmoprepError, match="no train utterance is in the label scheme"):
        label_weights({"a": 0}, 0)


def test_no_weights():
    found = label_weights(TRAIN, 16327, "none")
    assert set(found.pos_weight.values()) == {1.0} and found.params == {"alpha": 0.0}
    assert all(pair == {"pos": 1.0, "neg": 1.0} for pair in found.weights.values())


def test_sample_weights_of_rows():
    y = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [-100, -100, -100]])
    mask = np.array([1, 1, 1, 0.5, 1])
    found = label_weights({"a": 2, "b": 1, "c": 0}, 3.5).of_rows(y, mask)
    assert found.dtype == np.float32 and not found[4].any()
    # n₊·w_true + n₋·w_false = n for each label; one that nobody has weighs 1.
    np.testing.assert_allclose(found.sum(axis=0), 3.5, rtol=1e-6)
    np.testing.assert_allclose(found[:, 0], [3.5 / 4, 3.5 / 4, 3.5 / 3, 3.5 / 6, 0], rtol=1e-6)
    assert found[:, 2].tolist() == [1, 1, 1, 0.5, 0]


def test_every_number_of_the_blocks_of_several_labels(shared):
    golden = json.loads((shared / "specs" / "golden_imbalance.json").read_text(encoding="utf-8"))
    paper, train, whole, toy = (golden[name] for name in ("mosei_seed002", "mosei_sdk_train_16327",
                                                          "mosei_real_all_23259", "multilabel_toy"))
    rows = np.array(toy["Y"])
    assert rows.sum(axis=0).tolist() == toy["counts"]
    for block, labels, positives, n in (
            (paper, paper["labels"], paper["train_rate"], 1), (train, train["labels"], train["positives"], train["n"]),
            (whole, whole["labels"], whole["positives"], whole["n"]), (toy, "abc", toy["counts"], len(rows))):
        found = label_weights(dict(zip(labels, positives, strict=True)), n)
        made = {"pos_weight": list(found.pos_weight.values()),
                **{name: [pair["pos"] for pair in found.weights.values()] for name in ("w_true", "w_pos")},
                **{name: [pair["neg"] for pair in found.weights.values()] for name in ("w_false", "w_neg")},
                "rates": [count / found.n for count in found.counts.values()]}
        compared = set(made) & set(block)
        assert "pos_weight" in compared
        for name in compared:
            np.testing.assert_allclose(made[name], block[name], rtol=1e-6, err_msg=name)
