"""What balance leaves beside the rows, in the hands of those it is for: scikit-learn, PyTorch, Keras, LightGBM.

EMOPREP_LOADERS_PYTHON names another interpreter for PyTorch and Keras, as in test_loaders.py.
"""

import functools
import importlib.resources
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emoprep.balance.weigh import weigh, write_sampler
from emoprep.contracts import find
from emoprep.labels import LabelScheme
from emoprep.methods.class_weights import class_weights
from emoprep.methods.samplers import sampler

PAGE = Path(__file__).resolve().parent.parent / "docs" / "weights.md"
PYTHON = os.environ.get("EMOPREP_LOADERS_PYTHON") or sys.executable
MELD7 = find("corpora", "meld", "").SCHEMES[0]
MOSEI6 = find("corpora", "mosei", "").SCHEMES[0]
COUNTS = dict(zip(MELD7.labels, (94, 24, 5, 14, 35, 6, 22), strict=True))
SEVERAL = dict(zip(MOSEI6.labels, (100, 50, 40, 20, 0, 15), strict=True))
DRAW = np.random.default_rng(0)
Y = DRAW.permutation(np.repeat(np.arange(7), list(COUNTS.values())))
X = DRAW.normal(size=(200, 4)) + Y[:, np.newaxis] * 0.3


def weighing(**settings):
    return weigh(MELD7, COUNTS, COUNTS, 200, 200, strategy="weights", **settings)


@pytest.fixture
def files(tmp_path):
    """Return a folder with the three files, as balance leaves them, and logits of 200 utterances."""
    weighing().write(tmp_path, corpus="meld", seed=0)
    write_sampler(sampler("class-balanced", [f"u{at}" for at in range(200)], Y, np.ones(200), MELD7.labels),
                  tmp_path / "sampler.npz")
    np.savez(tmp_path / "rows.npz", x=X.astype(np.float32), y=Y, logits=np.random.default_rng(1).normal(size=(200, 7)),
             sample_weight=weighing().sample_weights(Y, np.ones(200)))
    return tmp_path


# --------------------------------------------------------------------------------- the losses of the page

def losses(folder, monkeypatch):
    """Return the functions of the page's block, with `document` read from `folder`."""
    block = next(code for code in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
                 if "def focal" in code)
    (folder / "weights").mkdir(exist_ok=True)
    (folder / "weights" / "raw").symlink_to(folder)
    monkeypatch.chdir(folder)
    names = {}
    exec(block.partition("\nlogits, y = ")[0], names)
    return SimpleNamespace(**names)


def test_losses_come_to_the_numbers_of_the_specification(shared, tmp_path, monkeypatch):
    toy = json.loads((shared / "specs" / "golden_imbalance.json").read_text(encoding="utf-8"))["loss_toy"]
    scheme = LabelScheme("toy", "emotion", ("a", "b", "c"), {"a": "a", "b": "b", "c": "c"})
    counts = {label: round(10 * share) for label, share in zip("abc", toy["prior"], strict=True)}
    logits, y = np.array([toy["logits"]], float), np.array([toy["y"]])
    weigh(scheme, counts, counts, 10, 10, strategy="weights", weighting="none").write(tmp_path, corpus="toy", seed=0)
    of = losses(tmp_path, monkeypatch)
    assert of.cross_entropy(logits, y) == pytest.approx(toy["ce"], rel=1e-6)
    assert of.logit_adjusted_cross_entropy(logits, y) == pytest.approx(toy["logit_adjusted_ce"], rel=1e-6)
    assert of.predict_adjusted(logits).tolist() == [toy["posthoc_argmax"]] != [int(logits.argmax())]
    np.testing.assert_allclose(logits[0] - of.by_class(of.document["logit_adjust"]["adjustments"]),
                               toy["posthoc_scores"], rtol=1e-6)
    assert of.focal(logits, y) == pytest.approx(toy["focal_g3"], rel=1e-6)
    of.document["focal"]["gamma"] = 2
    assert of.focal(logits, y) == pytest.approx(toy["focal_g2"], rel=1e-6)


def test_the_loss_of_paper_002_comes_to_its_numbers(shared, tmp_path, monkeypatch):
    toy = json.loads((shared / "specs" / "golden_imbalance.json").read_text(encoding="utf-8"))["loss_toy"]["seed002"]
    scheme = LabelScheme("toy", labels=("fear",), columns={"fear": "fear"})
    # 8.6 % of the segments are fear; the paper prints its weights to three digits.
    weigh(scheme, {"fear": 86}, {"fear": 86}, 1000, 1000, strategy="weights").write(tmp_path, corpus="toy", seed=0)
    of = losses(tmp_path, monkeypatch)
    found = of.several_labels(np.full((2, 1), toy["f"]), np.array([[1], [0]]))
    np.testing.assert_allclose(found[:, 0], [toy["L_y1"], toy["L_y0"]], rtol=1e-4)
    of.document["weights"]["fear"] = {"pos": toy["alpha"], "neg": toy["beta"]}
    found = of.several_labels(np.full((2, 1), toy["f"]), np.array([[1], [0]]))
    np.testing.assert_allclose(found[:, 0], [toy["L_y1"], toy["L_y0"]], rtol=1e-6)


def test_an_absent_class_takes_no_part_and_is_not_predicted(tmp_path, monkeypatch):
    counts = {**COUNTS, "fear": 0}
    weigh(MELD7, counts, counts, 195, 195, strategy="weights").write(tmp_path, corpus="meld", seed=0)
    of = losses(tmp_path, monkeypatch)
    logits = np.zeros((1, 7))
    logits[0, 2] = 50
    assert of.predict_adjusted(logits)[0] != 2
    assert of.logit_adjusted_cross_entropy(logits, np.array([0])) == pytest.approx(-np.log(94 / 195))
    assert np.isfinite(of.ldam(logits / 50, np.array([0])))


# ------------------------------------------------------------------------------------------ scikit-learn

def test_scikit_learn_takes_either():
    from sklearn.linear_model import LogisticRegression

    table = {MELD7.labels.index(label): weight for label, weight in weighing().weights.weights.items()}
    column = weighing().sample_weights(Y, np.ones(200)).to_numpy()
    how = {"tol": 1e-10, "max_iter": 1000}
    models = [LogisticRegression(class_weight=table, **how).fit(X, Y),
              LogisticRegression(**how).fit(X, Y, sample_weight=column),
              LogisticRegression(class_weight="balanced", **how).fit(X, Y)]
    for model in models[1:]:
        np.testing.assert_allclose(model.coef_, models[0].coef_, atol=1e-5)
    assert abs(LogisticRegression(**how).fit(X, Y).coef_ - models[0].coef_).max() > 0.01


def test_adaboost_starts_from_sample_weights():
    from sklearn.ensemble import AdaBoostClassifier

    column = weighing().sample_weights(Y, np.ones(200)).to_numpy()
    found = AdaBoostClassifier(n_estimators=1, random_state=0).fit(X, Y, sample_weight=column)
    wrong = found.estimators_[0].predict(X) != Y
    error = column[wrong].sum() / column.sum()
    assert 0.5 < error < 6 / 7 and error != pytest.approx(wrong.mean(), abs=0.01)
    assert found.estimator_errors_[0] == pytest.approx(error)
    assert found.estimator_weights_[0] == pytest.approx(np.log((1 - error) / error) + np.log(6))


def test_lightgbm_takes_the_column():
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not there")
    table = {MELD7.labels.index(label): weight for label, weight in weighing().weights.weights.items()}
    column = weighing().sample_weights(Y, np.ones(200)).to_numpy()
    how = {"n_estimators": 3, "min_child_samples": 2, "n_jobs": 1, "verbose": -1}
    mine = lightgbm.LGBMClassifier(**how).fit(X, Y, sample_weight=column).predict_proba(X)
    np.testing.assert_allclose(mine, lightgbm.LGBMClassifier(class_weight=table, **how).fit(X, Y).predict_proba(X),
                               rtol=1e-6)
    assert abs(mine - lightgbm.LGBMClassifier(**how).fit(X, Y).predict_proba(X)).max() > 0.05


# -------------------------------------------------------------------------------------- PyTorch and Keras

@functools.cache
def lacks(module):
    return bool(subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False,
                               env={**os.environ, "KERAS_BACKEND": "torch"}).returncode)


def run(script, folder, *modules):
    """Run a script in `folder` by the interpreter that has these modules; return the JSON that it prints."""
    for module in modules:
        if lacks(module):
            pytest.skip(f"{PYTHON} has no {module}; EMOPREP_LOADERS_PYTHON names another interpreter")
    alone = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([PYTHON, "-W", "ignore", "-c", script], cwd=folder, capture_output=True, text=True,
                          timeout=300, env={**os.environ, **alone}, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_pytorch_takes_weights_margins_adjustments_and_the_sampler(files, monkeypatch):
    found = run("""
import json, numpy as np, torch
from torch.nn import functional as F
document = json.load(open("class_weights.json"))
rows, drawn = np.load("rows.npz"), np.load("sampler.npz")
logits, y = torch.from_numpy(rows["logits"]), torch.from_numpy(rows["y"])
def by_class(numbers):
    return torch.tensor([numbers[label] for label in document["labels"]], dtype=torch.float64)
weight = torch.from_numpy(np.load("class_weights.npy"))
each = F.cross_entropy(logits, y, weight=weight.double(), reduction="none")
margins, cosines = by_class(document["ldam"]["margins"]), torch.tanh(logits)
index = torch.zeros_like(cosines, dtype=torch.bool).scatter_(1, y[:, None], True)
x_m = torch.where(index, cosines - margins[y][:, None], cosines)
plain = F.cross_entropy(logits, y, reduction="none")
torch.manual_seed(0)
sampler = torch.utils.data.WeightedRandomSampler(
    drawn["weights"], int(drawn["num_samples"]), replacement=bool(drawn["replacement"]))
epochs = [list(sampler) for _ in range(50)]
print(json.dumps({
    "weighted": each.mean().item(), "reduced": F.cross_entropy(logits, y, weight=weight.double()).item(),
    "ldam": F.cross_entropy(document["ldam"]["s"] * x_m, y).item(),
    "focal": ((1 - torch.exp(-plain)) ** document["focal"]["gamma"] * plain).mean().item(),
    "adjusted": F.cross_entropy(logits + by_class(document["logit_adjust"]["adjustments"]), y).item(),
    "drawn": np.bincount(rows["y"][np.concatenate(epochs)], minlength=7).tolist(), "length": len(epochs[0])}))
""", files, "torch")
    of, rows = losses(files, monkeypatch), np.load(files / "rows.npz")
    logits, y = rows["logits"], rows["y"]
    assert found["weighted"] == pytest.approx(of.cross_entropy(logits, y), rel=1e-6)
    # mean1: over all of train PyTorch's own mean, which divides by Σw, is the same.
    assert found["reduced"] == pytest.approx(found["weighted"], rel=1e-6)
    assert found["ldam"] == pytest.approx(of.ldam(np.tanh(logits), y), rel=1e-9)
    assert found["focal"] == pytest.approx(of.focal(logits, y), rel=1e-9)
    assert found["adjusted"] == pytest.approx(of.logit_adjusted_cross_entropy(logits, y), rel=1e-9)
    assert found["length"] == 200
    # Fifty epochs of 200: each class a seventh, give or take five standard errors.
    assert abs(np.array(found["drawn"]) - 10_000 / 7).max() < 5 * np.sqrt(10_000 * (1 / 7) * (6 / 7))


def test_pytorch_takes_pairs_and_pos_weight(tmp_path):
    weigh(MOSEI6, SEVERAL, SEVERAL, 160, 160, strategy="weights").write(tmp_path, corpus="mosei", seed=0)
    found = run("""
import json, numpy as np, torch
from torch.nn import functional as F
document = json.load(open("class_weights.json"))
draw = torch.Generator().manual_seed(0)
logits = torch.randn(8, 6, generator=draw)
y = (torch.rand(8, 6, generator=draw) > 0.5).float()
pos_weight = torch.from_numpy(np.load("class_weights.npy"))
true, false = (torch.tensor([document["weights"][label][side] for label in document["labels"]])
               for side in ("pos", "neg"))
pair = F.binary_cross_entropy_with_logits(logits, y, weight=true * y + false * (1 - y), reduction="none")
print(json.dumps({"pos_weight": F.binary_cross_entropy_with_logits(logits, y, pos_weight=pos_weight, reduction="none")
                  .tolist(), "pair": pair.tolist(), "false": false.tolist()}))
""", tmp_path, "torch")
    # One ratio, and each label's own scale.
    np.testing.assert_allclose(np.array(found["pos_weight"]) * found["false"], found["pair"], rtol=1e-5)


def test_keras_takes_class_weight_and_sample_weight(files):
    found = run("""
import json, numpy as np, keras
document, rows = json.load(open("class_weights.json")), np.load("rows.npz")
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(7)])
mean = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
def one_step(**how):
    model.compile(keras.optimizers.SGD(0.0), mean)
    return float(np.ravel(model.train_on_batch(rows["x"], rows["y"], **how))[0])
table = {at: document["weights"][label] for at, label in enumerate(document["labels"])}
print(json.dumps({"class": one_step(class_weight=table), "sample": one_step(sample_weight=rows["sample_weight"]),
                  "logits": model.predict(rows["x"], verbose=0).astype(float).tolist()}))
""", files, "keras")
    logits = np.array(found["logits"])
    each = np.log(np.exp(logits).sum(1)) - logits[np.arange(200), Y]
    expected = (class_weights(COUNTS).of_rows(Y, np.ones(200)) * each).mean()
    assert found["class"] == pytest.approx(expected, rel=1e-4) and found["sample"] == pytest.approx(expected, rel=1e-4)


# ------------------------------------------------------------------- whoever reads the files by their schema

@pytest.fixture
def conforms():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not there")

    def check(name, document):
        schema = json.loads((importlib.resources.files("emoprep") / "schemas" / f"{name}.json").read_bytes())
        jsonschema.Draft202012Validator.check_schema(schema)
        return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]
    return check


DOCUMENTS = [
    weighing(), weighing(weighting="effective=0.9999", stages="drw", focal_alpha=True, tau=0.5, max_ratio=10),
    weigh(MELD7, COUNTS, {**COUNTS, "fear": 0, "joy": 30.5}, 200, 190.5, strategy="undersample", weighting="none",
          stages="crt"),
    weighing(weighting="none", sampler=sampler("progressive", list("u" * 200), Y, np.ones(200), MELD7.labels)),
    weigh(MOSEI6, SEVERAL, SEVERAL, 160, 160, strategy="weights", weighting="inv-sqrt", focal_alpha=True),
    weigh(MOSEI6, SEVERAL, SEVERAL, 160, 160, strategy="weights", weighting="none", stages="crt")]


@pytest.mark.parametrize("made", DOCUMENTS)
def test_weights_conform_to_their_schema(conforms, made):
    document = made.document(corpus="meld", seed=0)
    assert conforms("class_weights", document) == []
    for of in (document["counts"], document["weights"], document.get("pos_weight", document["weights"])):
        assert list(of) == document["labels"]


@pytest.mark.parametrize("change", [
    {"schema": "emoprep.class_weights/2"}, {"labels": []}, {"weights": {"joy": -1.0}}, {"weights": [1, 2, 3]},
    {"weights": {"joy": {"pos": 1.0, "neg": 1.0}}}, {"counts": [1, 2]}, {"counts_source": "hearsay"}, {"stages": []},
    {"focal": {"gamma": 2}}, {"log_prior": {"joy": 1.0}}, {"task": "multi-label"}])
def test_what_the_schema_refuses(conforms, change):
    assert conforms("class_weights", {**weighing().document(corpus="meld", seed=0), **change})


def test_what_balance_prints_conforms_to_its_schema(conforms, demo_road, emoprep, tmp_path):
    for extra in (["--dry-run"], []):
        done = emoprep("balance", demo_road / "features", tmp_path / "out", "--strategy", "smote", "--json", *extra,
                       check=True)
        assert conforms("balance", json.loads(done.stdout)) == []
    assert conforms("balance", {**json.loads(done.stdout), "before": [28, 7]})


# ------------------------------------------------------------------------ whoever reads the column sample_weight

def test_the_column_is_read_by_datasets_and_pandas(demo_road, emoprep, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    import pandas

    out = tmp_path / "out"
    emoprep("balance", demo_road / "features", out, "--strategy", "weights", "--sample-weights", "-q", check=True)
    document = json.loads((out / "class_weights.json").read_bytes())
    train = pandas.read_parquet(out / "train.parquet")
    assert train["sample_weight"].tolist() == pytest.approx([document["weights"][name] for name in train["emotion"]])
    index = pandas.read_parquet(out / "utterances.parquet")
    assert index["sample_weight"].isna().tolist() == (index["split"] != "train").tolist()
    assert index["sample_weight"].dtype == np.float32
    for name in ("dev.parquet", "test.parquet"):
        assert (out / name).read_bytes() == (demo_road / "features" / name).read_bytes()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    read = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert read["train"]["sample_weight"][:] == train["sample_weight"].tolist()
    assert set(read["dev"]["sample_weight"][:]) == set(read["test"]["sample_weight"][:]) == {None}
