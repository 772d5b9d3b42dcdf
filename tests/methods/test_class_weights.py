"""Class weights against published formulae, golden values on MELD and IEMOCAP, and scikit-learn."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.class_weights import class_weights, ldam_margins, logit_adjustments, parse_scheme
from emoprep.methods.samplers import class_probabilities
from emoprep.methods.targets import decide_targets

MELD = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271,
        "anger": 1109}

GOLDEN = {
    "balanced": [0.3029723991507431, 1.1842323651452282, 5.324626865671642, 2.089311859443631,
                 0.8187033849684452, 5.265682656826568, 1.2867448151487826],
    "inverse": [0.3029723991507431, 1.1842323651452282, 5.324626865671642, 2.089311859443631,
                0.8187033849684452, 5.265682656826568, 1.2867448151487826],
    "inv-sqrt": [0.6132013508903704, 1.2123277132560726, 2.5706689947671246, 1.6102866952872563,
                 1.0080100519538373, 2.5564006015262346, 1.2637110512036556],
    "alpha=0.25": [0.8029765373642557, 1.129045178874436, 1.6440854422223352, 1.3012265214017351,
                   1.0295175054581733, 1.6395163787579838, 1.152723629558773],
    "alpha=0.5": [0.6132013508903704, 1.2123277132560726, 2.5706689947671246, 1.6102866952872563,
                  1.0080100519538373, 2.5564006015262346, 1.2637110512036556],
    "alpha=0.75": [0.4434047668419381, 1.232610187566112, 3.805966335323171, 1.8869070637534127,
                   0.9345294624506438, 3.774323054837362, 1.3117992505272484],
    "alpha=1": [0.3029723991507431, 1.184232365145228, 5.324626865671641, 2.089311859443631,
                0.8187033849684451, 5.265682656826568, 1.2867448151487826],
    "effective=0.9": [0.9999999999998651, 0.9999999999998651, 1.0000000000004108, 0.9999999999998651,
                      0.9999999999998651, 1.0000000000002631, 0.9999999999998651],
    "effective=0.99": [0.9798619416882636, 0.979867331539378, 1.0509530819725177, 0.9808863110578258,
                       0.9798619658600687, 1.0486932812257328, 0.9798760866562135],
    "effective=0.999": [0.45212281094740836, 0.639640828906872, 1.905064101536841, 0.9050402372734837,
                        0.5430004616226954, 1.8866772373940857, 0.6684543223186139],
    "effective=0.9999": [0.15844915366981666, 0.5242693573790453, 2.2506541449702757, 0.9014953546636221,
                         0.37208341994562527, 2.22607155709814, 0.5669770122734754],
    "median-frequency": [0.23545647558386412, 0.9203319502074688, 4.138059701492537, 1.6237188872620791,
                         0.6362593230063109, 4.092250922509225, 1.0],
}
OVERRIDDEN = {
    ("inverse", "max1"): [0.056900212314225054, 0.22240663900414936, 1.0, 0.3923865300146413,
                          0.15375788869764773, 0.988929889298893, 0.24165915238954014],
    ("inverse", "min1"): [1.0, 3.908713692946058, 17.574626865671643, 6.8960468521229865, 2.70223752151463,
                          17.380073800738007, 4.247069431920649],
    ("inverse", "none"): [0.00021231422505307856, 0.0008298755186721991, 0.0037313432835820895,
                          0.0014641288433382138, 0.0005737234652897303, 0.0036900369003690036,
                          0.0009017132551848512],
    ("inv-sqrt", "sumK"): [0.39617585304289, 0.783258166782201, 1.6608524759673151, 1.040370677955503,
                           0.6512530372426004, 1.6516339821470503, 0.8164558068624398],
    ("effective=0.9999", "mean1"): [0.3534876969736188, 1.1696040240135432, 5.021033763597967,
                                    2.011165786448522, 0.8300890737020189, 4.966191928401543,
                                    1.2648814693146095],
}
LOG_PRIOR = [-0.7517965795216863, -2.115004920607394, -3.618252786021293, -2.6827449069613594,
             -1.7458767210121289, -3.607120945652449, -2.1980257791817825]


@pytest.mark.parametrize("scheme", GOLDEN)
def test_golden_weights_of_meld(scheme):
    found = class_weights(MELD, scheme)
    assert list(found.weights) == list(MELD)
    np.testing.assert_allclose(list(found.weights.values()), GOLDEN[scheme], rtol=1e-12)


@pytest.mark.parametrize(("scheme", "normalize"), OVERRIDDEN)
def test_golden_weights_under_another_normalisation(scheme, normalize):
    found = class_weights(MELD, scheme, normalize=normalize)
    np.testing.assert_allclose(list(found.weights.values()), OVERRIDDEN[scheme, normalize], rtol=1e-12)
    assert found.normalize == normalize


def test_log_scheme():
    found = list(class_weights(MELD, "log").weights.values())
    np.testing.assert_allclose(found, [1, 1, np.log(0.15 * 9989 / 268), 1, 1, np.log(0.15 * 9989 / 271), 1])


def test_iemocap_without_options():
    counts = {"happy": 504, "sad": 839, "neutral": 1324, "angry": 933, "excited": 742, "frustrated": 1468}
    found = class_weights(counts)
    assert (found.scheme, found.normalize) == ("balanced", "mean1")
    np.testing.assert_allclose(list(found.weights.values()),
                               [1.921296, 1.154152, 0.731370, 1.037871, 1.305031, 0.659628], atol=1e-6)
    assert found.kish_ess == pytest.approx(5119, abs=1)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=8))
def test_balanced_is_scikit_learns_to_the_last_bit(counts):
    y = np.repeat(np.arange(len(counts)), counts)
    theirs = compute_class_weight("balanced", classes=np.arange(len(counts)), y=y)
    ours = class_weights({str(number): count for number, count in enumerate(counts)})
    assert list(ours.weights.values()) == theirs.tolist()


@settings(deadline=None)
@given(st.lists(st.floats(0.25, 10_000), min_size=2, max_size=8),
       st.sampled_from([*GOLDEN, "effective", "log"]))
def test_normalisations_hold_for_counts_that_are_sums_of_loss_mask(counts, scheme):
    counts = {str(number): count for number, count in enumerate(counts)}
    n = np.array(list(counts.values()))

    def weights(normalize):
        return np.array(list(class_weights(counts, scheme, normalize=normalize).weights.values()))

    assert (n * weights("mean1")).sum() == pytest.approx(n.sum())
    assert weights("sumK").sum() == pytest.approx(len(n))
    assert weights("max1").max() == pytest.approx(1)
    assert weights("min1").min() == pytest.approx(1)
    np.testing.assert_allclose(weights("mean1") / weights("mean1")[0], weights("none") / weights("none")[0])


def test_effective_keeps_its_digits_where_one_minus_beta_to_the_n_loses_them():
    beta = 1 - 1e-8
    counts = {"a": 3, "b": 11}
    exact = {name: float((1 - Fraction(beta)) / (1 - Fraction(beta) ** n)) for name, n in counts.items()}
    found = class_weights(counts, f"effective={beta!r}", normalize="none").weights
    assert found == pytest.approx(exact, rel=1e-14)
    assert (1 - beta) / (1 - beta ** 3) != pytest.approx(exact["a"], rel=1e-11)


def test_an_absent_class_weighs_nothing_and_is_listed():
    found = class_weights({"a": 6, "b": 0, "c": 3})
    assert found.weights == {"a": 0.75, "b": 0.0, "c": 1.5}
    assert found.absent == ("b",)
    assert found.log_prior["b"] is None
    assert found.log_prior["c"] == pytest.approx(np.log(1 / 3))
    assert found.kish_ess == pytest.approx((4.5 + 4.5) ** 2 / (4.5 * 0.75 + 4.5 * 1.5))


def test_no_weights():
    found = class_weights({"a": 6, "b": 0, "c": 3}, "none")
    assert (found.weights, found.absent, found.kish_ess) == ({"a": 1.0, "b": 0.0, "c": 1.0}, ("b",), 9.0)


def test_margins_and_adjustments_of_the_authors():
    n = np.array(list(MELD.values()))
    # The two lines of LDAM-DRW, losses.py.
    m_list = 1.0 / np.sqrt(np.sqrt(n))
    m_list = m_list * (0.5 / np.max(m_list))
    np.testing.assert_allclose(list(ldam_margins(MELD).values()), m_list, rtol=1e-12)
    np.testing.assert_allclose(list(ldam_margins(MELD, 0.3).values()), m_list * 0.6, rtol=1e-12)
    np.testing.assert_allclose(list(logit_adjustments(MELD, 0.5).values()), np.array(LOG_PRIOR) / 2, rtol=1e-12)
    assert ldam_margins({"a": 0, "b": 0}) == logit_adjustments({"a": 0, "b": 0}) == {"a": None, "b": None}


@given(st.lists(st.tuples(st.integers(-1, 2), st.sampled_from([0, 0.5, 1])), min_size=1, max_size=30))
def test_sample_weights_sum_to_the_rows_that_count(rows):
    """`mean1` in another form: Σ w_{y_i} · loss_mask_i = Σ loss_mask_i, for the counts of these very rows."""
    y, mask = (np.array(column) for column in zip(*rows, strict=True))
    y = np.where(y < 0, -100, y)
    counts = {str(label): mask[y == label].sum() for label in range(3)}
    if not any(counts.values()):
        return
    found = class_weights(counts).of_rows(y, mask)
    assert found.dtype == np.float32 and not found[(y < 0) | (mask == 0)].any()
    assert found.sum() == pytest.approx(mask[y >= 0].sum(), rel=1e-6)


def test_max_ratio_caps_and_normalises_again():
    found = class_weights(MELD, max_ratio=10)
    weights = np.array(list(found.weights.values()))
    assert weights.max() / weights.min() == pytest.approx(10)
    assert (weights * list(MELD.values())).sum() == pytest.approx(9989)
    assert weights[1] / weights[0] == pytest.approx(4710 / 1205)
    assert found.params == {"max_ratio": 10.0}
    assert class_weights(MELD, max_ratio=18).weights == class_weights(MELD).weights


def test_document():
    found = class_weights({**MELD, "joy": 1743.5}, "effective=0.999")
    document = found.to_json(counts_source="plan:abc")
    assert set(document) == {"schema", "task", "split", "labels", "counts", "n", "counts_source", "scheme",
                             "params", "normalize", "weights", "kish_ess", "absent", "log_prior"}
    assert document["schema"] == "emoprep.class_weights/1"
    assert (document["task"], document["split"]) == ("single-label", "train")
    assert document["labels"] == list(MELD)
    assert document["counts"] == {**MELD, "joy": 1743.5}
    assert isinstance(document["counts"]["neutral"], int)
    assert (document["n"], document["counts_source"]) == (9989.5, "plan:abc")
    assert (document["scheme"], document["params"], document["normalize"]) == (
        "effective", {"beta": 0.999}, "sumK")
    assert document["weights"]["fear"] == pytest.approx(1.905, abs=1e-3)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_document_of_meld():
    document = class_weights(MELD).to_json()
    assert document["n"] == 9989
    assert document["counts_source"] == "original"
    assert document["kish_ess"] == pytest.approx(4297.0637362479465)
    np.testing.assert_allclose(list(document["log_prior"].values()), LOG_PRIOR)


def test_array_has_the_order_of_the_labels():
    array = class_weights(MELD).to_array()
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, GOLDEN["balanced"], rtol=1e-6)


@pytest.mark.parametrize(("text", "expected"), [
    ("balanced", ("balanced", {})), ("inv-sqrt", ("inv-sqrt", {"alpha": 0.5})),
    ("alpha=0", ("alpha", {"alpha": 0.0})), ("effective", ("effective", {"beta": 0.999})),
    ("effective=0.9999", ("effective", {"beta": 0.9999})), (" log ", ("log", {})),
])
def test_schemes_are_read(text, expected):
    assert parse_scheme(text) == expected


FORMS = "balanced, inverse, inv-sqrt, alpha=A, effective, effective=BETA, median-frequency, log or none"


@pytest.mark.parametrize("text", ["fair", "alpha", "balanced=2", ""])
def test_an_unknown_scheme_is_refused_with_the_list(text):
    with pytest.raises(UsageError) as refused:
        class_weights(MELD, text)
    assert str(refused.value) == (f"--scheme: this weighting scheme is not known: expected {FORMS}, "
                                  f"got {text!r}; write for example --scheme alpha=0.5")


@pytest.mark.parametrize(("options", "message"), [
    ({"scheme": "alpha=x"}, "--scheme: the number of the scheme alpha is not possible: expected alpha=…, "
                            "A from 0 to 1, got x; write for example --scheme alpha=0.5"),
    ({"scheme": "alpha=nan"}, "--scheme: the number of the scheme alpha is not possible: expected alpha=…, "
                              "A from 0 to 1, got nan; write for example --scheme alpha=0.5"),
    ({"scheme": "effective=1"}, "--scheme: the number of the scheme effective is not possible: expected "
                                "effective=…, BETA above 0 and below 1, got 1; write for example "
                                "--scheme effective=0.999"),
    ({"scheme": "effective="}, "--scheme: the number of the scheme effective is not possible: expected "
                               "effective=…, BETA above 0 and below 1, got nothing; write for example "
                               "--scheme effective=0.999"),
    ({"normalize": "sum"}, "--normalize: this normalisation is not known: expected mean1, sumK, max1, min1, "
                           "none, got sum; leave it out for the scheme's own"),
    ({"max_ratio": 0.5}, "--max-ratio: this cap of the largest to the smallest weight is not possible: "
                         "expected a number of at least 1, got 0.5; write for example --max-ratio 10"),
    ({"max_ratio": float("nan")}, "--max-ratio: this cap of the largest to the smallest weight is not "
                                  "possible: expected a number of at least 1, got nan; write for example "
                                  "--max-ratio 10"),
])
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UsageError) as refused:
        class_weights(MELD, **options)
    assert str(refused.value) == message


def test_counts_that_are_none_are_refused():
    with pytest.raises(EmoprepError, match=r"class b: this count is no count: expected a number, not "
                                           r"negative, got nan; check loss_mask"):
        class_weights({"a": 1, "b": float("nan")})
    with pytest.raises(EmoprepError, match="class weights: no class has a member in train, so there is "
                                           "nothing to weight: got a, b; choose another label scheme"):
        class_weights({"a": 0, "b": 0})


# ------------------------------------------------------------------- the specification's numbers, all of them

BLOCKS = [("meld", "train"), ("meld", "dev"), ("meld", "test"), ("meld", "after_table6"), ("iemocap6", "train_valid"),
          ("iemocap6", "train_108_dialogues"), ("iemocap6", "after_table6")]
COLUMNS = {
    "balanced": ("balanced", None), "inverse_raw": ("inverse", "none"), "inverse_max1": ("inverse", "max1"),
    "inverse_min1": ("inverse", "min1"), "inv_sqrt_mean1": ("inv-sqrt", "mean1"), "inv_sqrt_sumK": ("inv-sqrt", "sumK"),
    "median_frequency": ("median-frequency", None),
    **{f"ens_weight_{normalize}_beta{beta}": (f"effective={beta}", normalize)
       for normalize in ("sumK", "mean1") for beta in (0.9, 0.99, 0.999, 0.9999)},
    **{f"tempered_alpha{alpha}_mean1": (f"alpha={alpha}", "mean1") for alpha in (0.25, 0.5, 0.75, 1.0)}}


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden_imbalance.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("corpus", "part"), BLOCKS)
def test_every_number_of_a_block_of_weights(golden, corpus, part):
    labels, block = golden[corpus]["labels"], golden[corpus][part]
    counts = dict(zip(labels, map(int, block["n"]), strict=True))
    plain = class_weights(counts)
    found = {name: list(class_weights(counts, scheme, normalize=normalize).weights.values())
             for name, (scheme, normalize) in COLUMNS.items()}
    found |= {f"effective_number_beta{beta}": [1 / weight for weight in class_weights(
        counts, f"effective={beta}", normalize="none").weights.values()] for beta in (0.9, 0.99, 0.999, 0.9999)}
    found |= {f"target_counts_alpha{alpha}": list(decide_targets(f"alpha={alpha}", counts, "over").values())
              for alpha in (0.25, 0.5, 0.75, 1.0)}
    found |= {f"kang_class_prob_q{q}": class_probabilities(np.array(block["n"]), q) for q in (0.0, 0.5, 1.0)}
    found |= {"log_prior": list(plain.log_prior.values()),
              "log_count": np.array(list(plain.log_prior.values())) + np.log(plain.n),
              "ldam_margins_maxm0.5": list(ldam_margins(counts).values()),
              "n": list(plain.counts.values()), "N": plain.n, "K": len(plain.labels),
              "kish_ess_balanced": plain.kish_ess}
    assert set(found) == set(block) - {"imbalance"}
    for name, values in found.items():
        np.testing.assert_allclose(values, block[name], rtol=1e-6, err_msg=name)


def test_iemocap_by_majority_vote_and_in_four_classes(golden):
    for block, counts, weights in (("iemocap6_majority_vote", "train_s1_4", "balanced_train"),
                                   ("iemocap4_all", "counts", "balanced")):
        block = golden[block]
        found = class_weights(dict(zip(block["labels"], block[counts], strict=True)))
        np.testing.assert_allclose(list(found.weights.values()), block[weights], rtol=1e-6)
