"""Every value of the golden file, each leaf of it, against what our functions give.

A claim below computes leaves by their path; `GIVEN` says of the others why nothing can. A leaf that nobody claims
fails the test by its name, and so does a claim without a leaf.
"""

import csv
import json
import math

import numpy as np
import pytest

from emoprep.contracts import Modality, Problem
from emoprep.corpora.mosei import SCHEMES, read
from emoprep.methods.augmentation import augmented_row
from emoprep.methods.class_weights import class_weights, ldam_margins, logit_adjustments
from emoprep.methods.conversation import count_dialogues, count_shifts, count_transitions, follow
from emoprep.methods.interpolate import made_features, resample
from emoprep.methods.label_weights import label_weights
from emoprep.methods.metrics import majority_scores, score, score_label
from emoprep.methods.multilabel import rare_sets, scumble
from emoprep.methods.repeats import least_ratio_repeats, repeat_factors
from emoprep.methods.samplers import class_probabilities
from emoprep.methods.skew import measure, measure_labels
from emoprep.methods.targets import decide_targets
from emoprep.strategies import smote

pytestmark = pytest.mark.shared

COUNTED = ["meld/train", "meld/dev", "meld/test", "meld/after_table6", "iemocap6/train_valid",
           "iemocap6/train_108_dialogues", "iemocap6/after_table6"]

INPUT = "an input of the toy beside it"
GIVEN = {
    "about": "says what the file is",
    **{f"{block}/labels": "the order of the lists beside it, which every claim here reads by" for block in (
        "meld", "iemocap6", "mosei_seed002", "seed004_table3", "mosei_real_all_23259", "mosei_sdk_train_16327",
        "iemocap6_majority_vote", "iemocap4_all")},
    "iemocap6/train_108_dialogues/n": "COSMIC's split of DialogueRNN's pickle, which nobody may pass on",
    "iemocap6/dialogues_by_session": "the corpus's files, which nobody may pass on",
    **{f"mosei_seed002/{leaf}": "printed in paper 002, Table I and section III" for leaf in (
        "train_rate", "test_rate", "n_train", "n_test")},
    **{f"cberl_fig6/{corpus}/matrix_rows_true": "printed in CBERL's Fig. 6" for corpus in ("meld", "iemocap")},
    **{f"seed004_table3/{leaf}": "printed in paper 004, Table 3" for leaf in ("support", "precision", "recall", "f1")},
    "multilabel_toy/Y": INPUT,
    **{f"smote_toy/{leaf}": INPUT for leaf in ("X", "y", "random_state", "k")},
    "smote_toy/note": "says what it equals",
    **{f"multimodal_toy/{leaf}": INPUT for leaf in ("text", "audio", "base", "neighbor", "lambda")},
    **{f"sequence_toy/{leaf}": INPUT for leaf in ("a", "b", "lambda")},
    **{f"repeat_toy/{leaf}": INPUT for leaf in ("A", "min_ir/lo", "min_ir/R", "min_ir/budget")},
    **{f"loss_toy/{leaf}": INPUT for leaf in ("logits", "prior", "y", "seed002/alpha", "seed002/beta", "seed002/f")},
    **{f"binary_toy/{leaf}": INPUT for leaf in ("tp", "fn", "fp", "tn")},
    **{f"stretch_toy/{leaf}": INPUT for leaf in ("n_samples", "rate", "frames_in", "fps")},
}

CLAIMS = {}


def claim(name, *arguments):
    """Register a function (golden, shared folder, *arguments) → {path: value} under a name."""
    def registered(function):
        CLAIMS[name] = lambda golden, shared: function(golden, shared, *arguments)
        return function
    return registered


def leaf_paths(tree, path=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaf_paths(value, f"{path}{key}/")
        else:
            yield f"{path}{key}", value


def at(golden, path):
    for key in path.split("/"):
        golden = golden[key]
    return golden


def named(values):
    """Return counts under names of their place, so that functions which want names can be asked."""
    return {str(place): int(value) for place, value in enumerate(values)}


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden_imbalance.json").read_bytes())


# ----------------------------------------------------------------------------------- counts of one class a row

def counted(golden, shared, path):
    """Return all leaves of a block of class counts but the counts themselves."""
    counts = named(at(golden, path)["n"])
    skew, n = measure(counts), np.array(list(counts.values()))

    def weights(scheme, normalize=None):
        return list(class_weights(counts, scheme, normalize=normalize).weights.values())

    found = {
        "N": sum(counts.values()), "K": len(counts), "balanced": weights("balanced"),
        "inverse_raw": weights("inverse", "none"), "inverse_max1": weights("inverse", "max1"),
        "inverse_min1": weights("inverse", "min1"), "inv_sqrt_mean1": weights("inv-sqrt"),
        "inv_sqrt_sumK": weights("inv-sqrt", "sumK"), "median_frequency": weights("median-frequency"),
        "log_prior": list(class_weights(counts).log_prior.values()),
        "log_count": np.array(list(class_weights(counts).log_prior.values())) + math.log(n.sum()),
        "kish_ess_balanced": class_weights(counts).kish_ess,
        "imbalance/IR": skew.imbalance_ratio, "imbalance/evenness": skew.evenness, "imbalance/H_nats": skew.entropy,
        "imbalance/exp_H": skew.effective_classes, "imbalance/inv_simpson": skew.inverse_simpson,
        "imbalance/KL_to_uniform": skew.kl_to_uniform, "imbalance/LRID": skew.lrid,
        "imbalance/TV_to_uniform": skew.tv_to_uniform, "imbalance/IRLbl": list(skew.ratios.values()),
        "imbalance/MeanIR": skew.mean_ratio, "ldam_margins_maxm0.5": list(ldam_margins(counts, 0.5).values()),
        **{f"kang_class_prob_q{q}": class_probabilities(n, float(q)) for q in ("0.0", "0.5", "1.0")}}
    for beta in ("0.9", "0.99", "0.999", "0.9999"):
        found |= {f"effective_number_beta{beta}": 1 / np.array(weights(f"effective={beta}", "none")),
                  f"ens_weight_sumK_beta{beta}": weights(f"effective={beta}"),
                  f"ens_weight_mean1_beta{beta}": weights(f"effective={beta}", "mean1")}
    for alpha in ("0.25", "0.5", "0.75", "1.0"):
        found |= {f"tempered_alpha{alpha}_mean1": weights(f"alpha={alpha}"),
                  f"target_counts_alpha{alpha}": list(decide_targets(f"alpha={alpha}", counts, "over").values())}
    return {f"{path}/{leaf}": value for leaf, value in found.items()}


for block in COUNTED:
    claim(f"counts of {block}", block)(counted)


@claim("true counts")
def true_counts(golden, shared):
    """The counts that the golden file starts from, against the recount of the public tables."""
    truth = json.loads((shared / "real" / "true_counts.json").read_bytes())
    found = {}
    for split in ("train", "dev", "test"):
        rows = truth["MELD"][split]
        found[f"meld/{split}/n"] = [rows["emotion"][label] for label in golden["meld"]["labels"]]
        found[f"meld/dialogues/{split}"] = rows["dialogues"]
    short = ("hap", "sad", "neu", "ang", "exc", "fru")
    pickled, strict = (truth["IEMOCAP"][name] for name in ("6way_DialogueRNN_COSMIC", "6way_strict_from_EmoEvaluation"))
    four, vote = truth["IEMOCAP"]["4way_hap_plus_exc"], golden["iemocap6_majority_vote"]
    train = [pickled["trainval_Ses01-04"][name] for name in short]
    test = [pickled["test_Ses05"][name] for name in short]
    sessions = np.array(golden["iemocap6"]["by_session"])
    inner = golden["iemocap6"]["train_108_dialogues"]["n"]
    assert sum(golden["iemocap6"]["dialogues_by_session"]) == truth["IEMOCAP"]["all"]["dialogues"]
    # Per session the four-class recount has the classes that both schemes have; the others follow from the sums.
    for at_session, counts in enumerate(vote["by_session"]):
        there = four[f"Ses0{at_session + 1}"]
        assert [counts[0] + counts[4], *counts[1:4]] == [there["hap"], there["sad"], there["neu"], there["ang"]]
        assert (sessions[at_session] - counts).tolist() == [{0: 8, 1: 8, 2: 36, 3: 0, 4: 1}[at_session], *[0] * 5]
    assert np.sum(vote["by_session"], axis=0).tolist() == [strict[name] for name in short]
    assert sum(four["all"].values()) == golden["iemocap4_all"]["n"]
    return found | {
        "iemocap6/train_valid/n": train, "iemocap6/test_session5": test,
        "iemocap6/valid_12_dialogues": np.array(train) - inner,
        "iemocap6/by_session": [*sessions[:3], np.array(train) - sessions[:3].sum(axis=0), test],
        "iemocap6_majority_vote/by_session": [*vote["by_session"][:4], np.array(
            [strict[name] for name in short]) - np.sum(vote["by_session"][:4], axis=0)],
        "iemocap6_majority_vote/train_s1_4": np.sum(vote["by_session"][:4], axis=0),
        "iemocap6_majority_vote/test_s5": vote["by_session"][4],
        "iemocap6_majority_vote/total": strict["total"],
        "iemocap4_all/counts": [four["all"][name] for name in ("hap", "sad", "neu", "ang")],
        "iemocap4_all/n": four["total"],
        "iemocap4_all/by_session_total": [sum(four[f"Ses0{session}"].values()) for session in range(1, 6)]}


@claim("IEMOCAP by majority vote and in four classes")
def iemocap(golden, shared):
    vote, four = named(golden["iemocap6_majority_vote"]["train_s1_4"]), named(golden["iemocap4_all"]["counts"])
    return {"iemocap6_majority_vote/balanced_train": list(class_weights(vote).weights.values()),
            "iemocap6_majority_vote/IR_train": measure(vote).imbalance_ratio,
            "iemocap4_all/balanced": list(class_weights(four).weights.values()),
            "iemocap4_all/IR": measure(four).imbalance_ratio}


@claim("CBERL's Table VI")
def table6(golden, shared):
    found = {}
    for corpus, before in (("meld", "train"), ("iemocap6", "train_valid")):
        block = golden[corpus]
        counts = {label: int(n) for label, n in zip(block["labels"], block[before]["n"], strict=True)}
        targets = decide_targets("preset:cberl-table6", counts, "over")
        found |= {f"{corpus}/cberl_table6_added": [targets[label] - counts[label] for label in counts],
                  f"{corpus}/after_table6/n": list(targets.values())}
    return found


@claim("MELD's conversations")
def conversations(golden, shared):
    labels, found = golden["meld"]["labels"], {}
    for split in ("train", "dev", "test"):
        with (shared / "real" / "meld" / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as table:
            rows = list(csv.DictReader(table))
        dialogue, speaker = [row["Dialogue_ID"] for row in rows], [row["Speaker"] for row in rows]
        y = np.array([labels.index(row["Emotion"]) for row in rows])
        own, following = follow(dialogue, speaker), follow(dialogue)
        found |= {f"meld/intra_speaker_shifts/{split}": count_shifts(y, *own)[0],
                  f"meld/same_speaker_pairs/{split}": count_shifts(y, *own)[1],
                  f"meld/consecutive_shifts/{split}": count_shifts(y, *following)[0],
                  f"meld/consecutive_pairs/{split}": count_shifts(y, *following)[1]}
        if split == "train":
            counts, dialogues = count_dialogues(dialogue, y, 7)
            found |= {"meld/transition_counts_train": count_transitions(y, *following, 7),
                      "meld/dialogue_counts_train": counts, "meld/dialogue_frequency_train": counts / dialogues}
    # MELD's README counts 1,039 train dialogues; its table has 1,038, and two shifts fewer.
    return found | {"meld/intra_speaker_shifts/readme": [
        found["meld/intra_speaker_shifts/train"] + 2, *(found[f"meld/intra_speaker_shifts/{split}"]
                                                        for split in ("dev", "test"))]}


# ---------------------------------------------------------------------------------------- several labels a row

def pairs(counts, n):
    found = label_weights(counts, n)
    return {"pos_weight": list(found.pos_weight.values()),
            "w_true": [pair["pos"] for pair in found.weights.values()],
            "w_false": [pair["neg"] for pair in found.weights.values()]}


@claim("paper 002's rates")
def paper_002(golden, shared):
    block = golden["mosei_seed002"]
    rates = dict(zip(block["labels"], block["train_rate"], strict=True))
    skew = measure(rates)
    weights = pairs({label: rate * block["n_train"] for label, rate in rates.items()}, block["n_train"])
    return {f"mosei_seed002/{leaf}": value for leaf, value in {
        **weights, "IRLbl": list(skew.ratios.values()), "MeanIR": skew.mean_ratio,
        "minority": [label for label, ratio in skew.ratios.items() if ratio > skew.mean_ratio],
        "cardinality_train": sum(rates.values())}.items()}


@claim("CMU-MOSEI's real labels")
def mosei(golden, shared):
    corpus = read(shared / "real" / "mosei", {})
    scheme = next(scheme for scheme in SCHEMES if scheme.name == "mosei-6")
    y = np.array(scheme.encode([utterance.annotation for utterance in corpus.utterances]))
    train = np.array([utterance.split == "train" for utterance in corpus.utterances])
    found = {}
    for name, rows in (("mosei_real_all_23259", y), ("mosei_sdk_train_16327", y[train])):
        assert list(scheme.labels) == golden[name]["labels"]
        skew, counts = measure_labels(((row, 1) for row in rows.tolist()), scheme.labels), rows.sum(axis=0)
        weights = pairs(dict(zip(scheme.labels, counts.tolist(), strict=True)), len(rows))
        together = np.diag(counts)
        for left, row in skew.together.items():
            for right, count in row.items():
                at_left, at_right = scheme.labels.index(left), scheme.labels.index(right)
                together[at_left, at_right] = together[at_right, at_left] = count
        values = {"positives": counts, "n": len(rows), "none": skew.none, "IRLbl": list(skew.irlbl.values()),
                  "MeanIR": skew.mean_ir, "CVIR_ddof1": skew.cvir, "cardinality": skew.cardinality,
                  "labelsets": len(skew.label_sets), "cooccurrence": together, "rates": counts / len(rows),
                  "SCUMBLE": scumble(rows).mean(), **weights,
                  "rows_above_SCUMBLE": (scumble(rows) > scumble(rows).mean()).sum()}
        found |= {f"{name}/{leaf}": value for leaf, value in values.items() if leaf in golden[name]}
    return found


@claim("several labels, the toy")
def several_labels(golden, shared):
    toy = golden["multilabel_toy"]
    rows = np.array(toy["Y"])
    skew = measure_labels(((row, 1) for row in toy["Y"]), ("a", "b", "c"))
    weights, apart, (bags, mean_size) = pairs(named(rows.sum(axis=0)), len(rows)), scumble(rows), rare_sets(rows)
    return {f"multilabel_toy/{leaf}": value for leaf, value in {
        "counts": rows.sum(axis=0), "IRLbl": list(skew.irlbl.values()), "MeanIR": skew.mean_ir,
        "CVIR_ddof1": skew.cvir, "cardinality": skew.cardinality, "density": skew.density,
        "pos_weight": weights["pos_weight"], "w_pos": weights["w_true"], "w_neg": weights["w_false"],
        "SCUMBLE_i": apart, "SCUMBLE": apart.mean(), "remedial_rows": np.flatnonzero(apart > apart.mean()),
        "labelset_mean_size": mean_size,
        "lp_minority_bags": sorted((bag for bag, _ in bags), reverse=True)}.items()}


# ------------------------------------------------------------------------------------------------ whole dialogues

@claim("repeated dialogues, the toy")
def repeats(golden, shared):
    toy = golden["repeat_toy"]
    counts, settings = np.array(toy["A"]), toy["min_ir"]
    of_class, of_dialogue = repeat_factors(counts, counts.sum(axis=0) / counts.sum(), 0.5)
    found, proven = least_ratio_repeats(counts, counts.sum(axis=1), settings["R"], settings["budget"])
    assert proven and found.min() >= settings["lo"]
    totals = found @ counts
    return {"repeat_toy/rfs_t0.5_utterance_freq/r_c": of_class, "repeat_toy/rfs_t0.5_utterance_freq/r_d": of_dialogue,
            "repeat_toy/min_ir/optimal_repeats": found, "repeat_toy/min_ir/counts": totals,
            "repeat_toy/min_ir/IR": totals.max() / totals.min()}


# ------------------------------------------------------------------------------------------------------ scores

@claim("CBERL's confusion matrices")
def confusion_matrices(golden, shared):
    found = {}
    for corpus, labels in (("meld", golden["meld"]["labels"]), ("iemocap", golden["iemocap6"]["labels"])):
        matrix = np.array(golden["cberl_fig6"][corpus]["matrix_rows_true"])
        # The caption says that rows are predictions; their sums are the test split's counts.
        assert matrix.sum(axis=1).tolist() == (golden["meld"]["test"]["n"] if corpus == "meld"
                                               else golden["iemocap6"]["test_session5"])
        scores, n, hits = score(matrix, labels), matrix.sum(), matrix.diagonal()
        values = {"precision": list(scores.precision.values()), "recall": list(scores.recall.values()),
                  "f1": list(scores.f1.values()), "accuracy": scores.accuracy, "uar": scores.uar,
                  "macro_f1": scores.macro_f1, "weighted_f1": scores.weighted_f1,
                  "macro_precision": scores.macro_precision, "weighted_precision": scores.weighted_precision,
                  "mcc": scores.mcc, "kappa": scores.kappa, "g_mean": scores.g_mean,
                  "binary_weighted_accuracy": [
                      score_label(hit, true - hit, guessed - hit, n - true - guessed + hit).mosei_weighted_accuracy
                      for hit, true, guessed in zip(hits, matrix.sum(axis=1), matrix.sum(axis=0), strict=True)]}
        found |= {f"cberl_fig6/{corpus}/{leaf}": value for leaf, value in values.items()}
    return found


@claim("two classes, the toy")
def two_classes(golden, shared):
    toy = golden["binary_toy"]
    found = score_label(*(toy[name] for name in ("tp", "fn", "fp", "tn")))
    return {"binary_toy/seed002_UA": found.unweighted_accuracy, "binary_toy/accuracy": found.accuracy,
            "binary_toy/mosei_weighted_accuracy": found.mosei_weighted_accuracy, "binary_toy/f1_pos": found.f1}


@claim("paper 004's Table 3")
def paper_004(golden, shared):
    """The averages of the printed columns, and what always saying neutral would score on these clips."""
    table = golden["seed004_table3"]
    majority = majority_scores(named(table["support"]))
    return {f"seed004_table3/{leaf}": value for leaf, value in {
        **{f"weighted_{name}": np.average(table[name], weights=table["support"]) for name in
           ("precision", "recall", "f1")}, "macro_f1": np.mean(table["f1"]),
        "majority_baseline_2608/acc": majority.accuracy, "majority_baseline_2608/macro_f1": majority.macro_f1,
        "majority_baseline_2608/weighted_f1": majority.weighted_f1,
        "majority_baseline_2608/uar": majority.uar}.items()}


# -------------------------------------------------------------------------------------------------- made items

@claim("SMOTE, the toy")
def smote_toy(golden, shared):
    toy = golden["smote_toy"]
    text = Modality(np.array(toy["X"], np.float32), np.ones(len(toy["y"]), bool))
    keys = tuple(map(str, range(len(toy["y"]))))
    y = np.array(toy["y"], np.int16)
    decision = smote.decide(Problem(
        keys, keys, y, ("majority", "minority"), {"majority": 7, "minority": 7}, seed=toy["random_state"],
        options={"k_neighbors": toy["k"], "imblearn_compat": True}, features={"text": text}))
    made = made_features({"text": text}, decision.base, decision.neighbor, decision.lam)["text"]
    return {"smote_toy/base": decision.base, "smote_toy/neighbor": decision.neighbor,
            "smote_toy/lambda": decision.lam, "smote_toy/X_new": made.values}


@claim("two modalities, the toy")
def multimodal_toy(golden, shared):
    toy = golden["multimodal_toy"]
    features = {name: Modality(np.array(toy[name], np.float32), np.ones(3, bool)) for name in ("text", "audio")}
    made = made_features(features, *(np.array(toy[name]) for name in ("base", "neighbor", "lambda")))
    return {f"multimodal_toy/{name}_new": made[name].values for name in features}


@claim("sequences, the toy")
def sequence_toy(golden, shared):
    toy = golden["sequence_toy"]
    parents = [np.array(toy[name], np.float32)[:, np.newaxis] for name in ("a", "b")]
    made = made_features({"text": Modality(parents, np.ones(2, bool), "words")}, np.array([0]), np.array([1]),
                         np.array([toy["lambda"]]))["text"].values[0]
    return {"sequence_toy/L_new": len(made), "sequence_toy/new": made.ravel(),
            **{f"sequence_toy/{name}_resampled": resample(parent, len(made)).ravel()
               for name, parent in zip(("a", "b"), parents, strict=True)}}


@claim("a stretched utterance, the toy")
def stretch_toy(golden, shared):
    toy = golden["stretch_toy"]
    row = {"start": 0.0, "end": toy["frames_in"] / toy["fps"], "fps": float(toy["fps"]), "sample_rate": 16000}
    assert row["end"] * row["sample_rate"] == toy["n_samples"]
    found = augmented_row(row, {"time-stretch": toy["rate"]})
    return {"stretch_toy/audio_len": found["samples"], "stretch_toy/frames_out": found["frames"]}


# ------------------------------------------------------------------------------------------------------- losses

@claim("losses, the toy")
def loss_toy(golden, shared):
    """What a trainer computes by the rules of the weights page, with the priors of the weights file."""
    toy = golden["loss_toy"]
    logits, y = np.array(toy["logits"], float), toy["y"]
    counts = {str(place): 100 * share for place, share in enumerate(toy["prior"])}
    prior = np.array(list(logit_adjustments(counts).values()))
    np.testing.assert_allclose(prior, list(class_weights(counts).log_prior.values()))

    def cross_entropy(scores):
        return math.log(np.exp(scores).sum()) - scores[y]

    ce, binary = cross_entropy(logits), toy["seed002"]
    found = {"ce": ce, "logit_adjusted_ce": cross_entropy(logits + prior), "posthoc_scores": logits - prior,
             "posthoc_argmax": np.argmax(logits - prior),
             **{f"focal_g{gamma}": (1 - math.exp(-ce)) ** gamma * ce for gamma in (2, 3)},
             "seed002/L_y1": -binary["alpha"] * math.log(binary["f"]),
             "seed002/L_y0": -binary["beta"] * math.log(1 - binary["f"])}
    return {f"loss_toy/{leaf}": value for leaf, value in found.items()}


# --------------------------------------------------------------------------------------------------- the tests

@pytest.mark.parametrize("name", CLAIMS)
def test_leaves_are_what_our_functions_give(name, golden, shared):
    found, wrong = CLAIMS[name](golden, shared), []
    assert found
    for path, value in found.items():
        wanted = at(golden, path)
        if wanted and isinstance(np.ravel(wanted)[0], str):
            assert list(value) == wanted, path
        elif np.shape(value) != np.shape(wanted) or not np.allclose(value, wanted, rtol=1e-6, atol=1e-9):
            wrong.append(f"{path}: expected {wanted}, got {np.asarray(value).tolist()}")
    assert not wrong, "\n".join(wrong)


def test_no_leaf_is_left_out(golden, shared):
    claimed = [path for function in CLAIMS.values() for path in function(golden, shared)]
    assert len(claimed) == len(set(claimed)), sorted({path for path in claimed if claimed.count(path) > 1})
    leaves = {path for path, _ in leaf_paths(golden)}
    assert not set(claimed) & set(GIVEN), sorted(set(claimed) & set(GIVEN))
    held = set(claimed) | set(GIVEN)
    assert held <= leaves, f"no such leaf: {sorted(held - leaves)}"
    missing = sorted(leaves - held)
    assert not missing, f"{len(missing)} leaves that nothing is held to: " + ", ".join(missing)
