"""What corrects the skew after a plan: one correction, of what a trainer meets, and files that say which."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from emoprep.balance.weigh import Asked, choose_weighting, weigh, write_sampler
from emoprep.contracts import find
from emoprep.errors import UsageError
from emoprep.methods.samplers import SAMPLERS, sampler
from emoprep.methods.stages import STAGES
from emoprep.verify import plan_verify, verify

MELD7 = find("corpora", "meld", "").SCHEMES[0]
MOSEI6 = find("corpora", "mosei", "").SCHEMES[0]
MELD = dict(zip(MELD7.labels, (4710, 1205, 268, 683, 1743, 271, 1109), strict=True))
TABLE6 = dict(zip(MELD7.labels, (4710, 1205, 468, 743, 1743, 471, 1169), strict=True))
MOSEI = dict(zip(MOSEI6.labels, (8735, 4269, 3526, 1642, 2955, 1331), strict=True))
FIELDS = ["schema", "task", "split", "labels", "counts", "n", "counts_source", "scheme", "params", "normalize",
          "weights", "kish_ess", "absent", "log_prior", "focal", "ldam", "logit_adjust", "stages", "corpus",
          "label_scheme", "seed"]


def of_meld(after=MELD, **settings):
    return weigh(MELD7, MELD, after, 9989, sum(after.values()), strategy="smote", **settings)


def drawn(name, counts=MELD):
    y = np.repeat(np.arange(7), list(counts.values()))
    return sampler(name, list(map(str, y)), y, np.ones(len(y)), MELD7.labels)


# ------------------------------------------------------------------------------------- one correction

@pytest.mark.parametrize(("asked", "expected"), [
    ({}, "balanced"), ({"scheme": "inv-sqrt"}, "inv-sqrt"),
    ({"sampler": "0"}, "none"), ({"sampler": "instance"}, "none"),
    ({"stages": "crt"}, "none"), ({"stages": "crt", "sampler": "class-balanced"}, "none"),
    ({"stages": "drw"}, "effective=0.9999"), ({"stages": "drw", "scheme": "inv-sqrt"}, "inv-sqrt"),
    ({"stages": "drw", "sampler": "instance"}, "effective=0.9999"),
    # Drawn as they are, nothing is corrected by the sampler.
    ({"sampler": "1", "scheme": "balanced"}, "balanced"), ({"sampler": "0", "scheme": "none"}, "none"),
    ({"sampler": "0", "weights_from": "original"}, "balanced"),
    ({"sampler": "0", "weights_from": "original", "scheme": "inv-sqrt"}, "inv-sqrt"),
    ({"sampler": "0", "weights_from": "original", "stages": "drw"}, "effective=0.9999"),
    ({"weights_from": "original"}, "balanced"),
    ({"scheme": "inverse", "normalize": "max1", "max_ratio": 9}, "inverse")])
def test_which_weights(asked, expected):
    assert choose_weighting(**{"scheme": None, **asked}) == expected


TWICE = ("corrects the skew already, and these weights would correct it a second time; leave one of them out, or add "
         "--weights-from original if both are meant")


@pytest.mark.parametrize(("asked", "message"), [
    ({"scheme": "balanced", "sampler": "square-root"}, f"--scheme balanced: --sampler square-root {TWICE}"),
    ({"scheme": "inv-sqrt", "sampler": "progressive"}, f"--scheme inv-sqrt: --sampler progressive {TWICE}"),
    ({"scheme": None, "sampler": "0", "stages": "drw"}, f"--stages drw: --sampler 0 {TWICE}"),
    ({"scheme": "balanced", "stages": "crt"}, f"--scheme balanced: --stages crt {TWICE}"),
    ({"scheme": None, "sampler": "0", "normalize": "sumK"}, "--normalize: all weights are 1, so this changes nothing; "
                                                            "leave it out"),
    ({"scheme": "none", "max_ratio": 3.0}, "--max-ratio: all weights are 1, so this changes nothing; leave it out"),
    ({"scheme": None, "weights_from": "plan"}, "--weights-from: not known: expected residual or original, got plan"),
    ({"scheme": None, "stages": "lws"}, "--stages: not known: expected drw or crt, got lws")])
def test_twice_and_in_vain_is_refused(asked, message):
    with pytest.raises(UsageError) as refused:
        choose_weighting(**asked)
    assert str(refused.value) == message


@pytest.mark.parametrize("asked", [{"scheme": "fair"}, {"scheme": "balanced", "sampler": "random"}])
def test_misspelt_names_are_refused_before_anything_is_read(asked):
    with pytest.raises(UsageError, match="is not known"):
        choose_weighting(**asked)


def test_what_was_asked_is_checked_before_anything_is_read():
    assert Asked(sampler="0", empty_weight=0.5).weighting == "none"
    with pytest.raises(UsageError, match="--empty-weight: only a sampler reads this; leave it out, or add --sampler"):
        Asked(empty_weight=0.5)
    with pytest.raises(UsageError, match="--scheme inverse: --sampler 0 corrects the skew already"):
        Asked(scheme="inverse", sampler="0")


# ------------------------------------------------------------------------------------ what is counted

def test_weights_are_of_what_the_plan_leaves():
    even = dict.fromkeys(MELD, 4710)
    found = of_meld(even)
    assert set(found.weights.weights.values()) == {1.0} and found.counts_source == "plan:smote"
    assert set(found.ldam["margins"].values()) == {0.5}
    assert of_meld().counts_source == "original"
    assert of_meld(TABLE6).weights.counts == TABLE6


def test_original_counts_are_for_who_asks():
    found = of_meld(dict.fromkeys(MELD, 4710), weights_from="original")
    assert found.counts_source == "original" and found.weights == of_meld().weights


def test_with_a_sampler_nothing_else_corrects():
    found = of_meld(weighting="none", sampler=drawn("class-balanced"))
    document = found.document(corpus="meld", seed=0)
    assert document["counts_source"] == "sampler:class-balanced" and document["counts"] == dict.fromkeys(MELD, 1427)
    assert set(document["weights"].values()) == {1.0} and document["kish_ess"] == 9989
    # One that is put into a loss all the same changes nothing either.
    assert len(set(document["logit_adjust"]["adjustments"].values())) == 1
    assert set(document["ldam"]["margins"].values()) == {0.5}
    partly = of_meld(weighting="none", sampler=drawn("square-root"))
    assert partly.logit_adjust["adjustments"]["neutral"] == pytest.approx(np.log(0.289136), abs=1e-5)
    assert of_meld(weighting="none", sampler=drawn("instance")).counts_source == "original"
    both = of_meld(TABLE6, sampler=drawn("class-balanced", TABLE6), weights_from="original")
    assert both.weights == of_meld().weights


# ------------------------------------------------------------------------------------- the document

def test_the_document_has_every_correction():
    document = of_meld(weighting="inv-sqrt", focal_gamma=2, focal_alpha=True, normalize="sumK", tau=0.5).document(
        corpus="meld", seed=3)
    assert list(document) == FIELDS
    assert (document["corpus"], document["label_scheme"], document["seed"]) == ("meld", "meld-7", 3)
    assert document["focal"]["gamma"] == 2 and sum(document["weights"].values()) == pytest.approx(7)
    # α has mean 1 over the rows, whatever the weights' own scale.
    assert sum(document["focal"]["alpha"][label] * count for label, count in MELD.items()) == pytest.approx(9989)
    assert document["ldam"]["max_m"] == 0.5 and document["ldam"]["s"] == 30
    assert document["ldam"]["margins"]["fear"] == 0.5
    assert document["ldam"]["margins"]["neutral"] == pytest.approx(0.2442015836716066)
    for label, adjustment in document["logit_adjust"]["adjustments"].items():
        assert adjustment == pytest.approx(0.5 * document["log_prior"][label])
    plain = of_meld().document(corpus="meld", seed=0)
    assert plain["focal"] == {"gamma": 3.0, "alpha": None} and plain["stages"] is None
    assert plain["logit_adjust"]["adjustments"] == plain["log_prior"]


def test_a_class_without_members_has_no_margin():
    counts = {**MELD, "fear": 0}
    found = weigh(MELD7, counts, counts, 9721, 9721, strategy="weights").document(corpus="meld", seed=0)
    assert found["absent"] == ["fear"] and found["weights"]["fear"] == 0
    assert found["ldam"]["margins"]["fear"] is found["logit_adjust"]["adjustments"]["fear"] is None
    assert found["ldam"]["margins"]["disgust"] == 0.5


def test_stages():
    first, then = of_meld(weighting="effective=0.9999", stages="drw").stages
    assert (first["until"], then["until"]) == (0.8, 1.0) and {first["train"], then["train"]} == {"all"}
    assert set(first["weights"].values()) == {1.0} and first["scheme"] == "none"
    assert then["weights"]["fear"] == pytest.approx(2.2506541449702757) and then["scheme"] == "effective=0.9999"
    first, then = of_meld(weighting="none", stages="crt").stages
    assert (first["until"], first["train"], first["sampler"]) == (0.9, "all", "instance")
    assert (then["until"], then["train"], then["sampler"]) == (1.0, "classifier", "class-balanced")
    assert set(first["weights"].values()) == set(then["weights"].values()) == {1.0}
    assert of_meld(weighting="none", stages="crt", sampler=drawn("0.25")).stages[1]["sampler"] == "0.25"


def test_several_labels():
    found = weigh(MOSEI6, MOSEI, MOSEI, 16327, 16327.0, strategy="weights", focal_alpha=True, weighting="none",
                  stages="crt")
    document = found.document(corpus="mosei", seed=0)
    assert "ldam" not in document and "logit_adjust" not in document and document["n"] == 16327
    assert document["focal"]["alpha"]["fear"] == document["stages"][1]["weights"]["fear"] == {"pos": 1.0, "neg": 1.0}
    assert found.line() == "1 1 1 1 1 1"
    for settings in ({"tau": 1.0}, {"stages": "drw", "weighting": "effective=0.9999"}):
        with pytest.raises(UsageError, match="(--tau|--stages drw): this is for one class an utterance, and the label "
                                             "scheme is multi-label: got mosei-6"):
            weigh(MOSEI6, MOSEI, MOSEI, 16327, 16327, strategy="weights", **settings)


@pytest.mark.parametrize(("option", "value"), [("focal_gamma", -1), ("focal_gamma", float("nan")), ("tau", -0.5),
                                               ("tau", float("inf"))])
def test_impossible_numbers(option, value):
    flag = option.replace("_", "-")
    with pytest.raises(UsageError, match=f"--{flag}: this number is not possible: expected a number .* got "
                                         f"{value}"):
        of_meld(**{option: value})


def test_samplers_in_the_table_of_the_page_are_what_they_come_to():
    text = (Path(__file__).resolve().parent.parent / "docs" / "weights.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.-]+)` \| [^|]+ \| ([\d., ]+) \|$", text, re.M)
    assert [name for name, _ in rows] == ["instance", "square-root", "class-balanced", "0.25"]
    for name, numbers in rows:
        found = drawn(name)
        assert numbers == ", ".join(f"{draws / found.num_samples:.4f}" for draws in found.draws.values())
    assert all(f"| `{name}` |" in text for name in SAMPLERS)
    assert all(f"| `{name}` (" in text for name in STAGES)


# ------------------------------------------------------------------------------------------ the files

def test_files(tmp_path):
    found = of_meld()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        found.write(tmp_path / folder, corpus="meld", seed=0)
        write_sampler(drawn("progressive"), tmp_path / folder / "sampler.npz")
    for name in ("class_weights.json", "class_weights.npy", "sampler.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert json.loads((tmp_path / "a/class_weights.json").read_bytes()) == found.document(corpus="meld", seed=0)
    assert np.load(tmp_path / "a/class_weights.npy").tolist() == found.weights.to_array().tolist()
    with np.load(tmp_path / "a/sampler.npz", allow_pickle=False) as read:
        assert len(read["ids"]) == 9989 and read["weights"].sum() == pytest.approx(1)


def test_one_line_for_a_makefile():
    line = of_meld().line()
    assert line == "0.3029724 1.1842324 5.324627 2.0893118 0.8187034 5.2656827 1.2867448"
    assert np.array(line.split(), np.float32).tolist() == of_meld().weights.to_array().tolist()
    tiny = of_meld(weighting="inverse", normalize="none").line()
    assert "e" not in tiny and len(tiny.split()) == 7  # a shell knows no exponents
    several = weigh(MOSEI6, MOSEI, MOSEI, 16327, 16327, strategy="weights")
    assert several.line().split()[-1] == "11.266717"


def test_sample_weights_are_a_column():
    import pyarrow

    found = of_meld().sample_weights(np.array([2, 0, -100, 1]), np.array([1, 0.5, 1, 0]))
    assert found.type == pyarrow.float32()
    assert found.to_pylist() == pytest.approx([5.324627, 0.1514862, 0, 0])
    several = weigh(MOSEI6, MOSEI, MOSEI, 16327, 16327, strategy="weights")
    column = several.sample_weights(np.array([[1, 0, 0, 0, 0, 0], [-100] * 6]), np.array([1, 1]))
    assert column.type == pyarrow.list_(pyarrow.float32(), 6)
    assert column[0].as_py() == pytest.approx([0.934574, 0.677019, 0.637724, 0.555907, 0.610492, 0.544379], abs=1e-6)
    assert column[1].as_py() == [0] * 6


@pytest.mark.shared
def test_verify_takes_the_weights_of_several_labels(shared, tmp_path, emoprep):
    emoprep("balance", shared / "real" / "mosei", tmp_path / "out", "--strategy", "weights", "-q", check=True)
    assert not verify(plan_verify(tmp_path / "out")).findings
    np.save(tmp_path / "out" / "class_weights.npy", np.ones(6, np.float32))
    assert [finding.where for finding in verify(plan_verify(tmp_path / "out")).findings] == ["class_weights.npy"]
