"""MLSMOTE: who is made of whom, which labels it gets, and whose annotation that is."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from emoprep.contracts import Modality, Problem
from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.multilabel import rare_labels
from emoprep.strategies import mlsmote

LABELS = ("happy", "sad", "anger", "fear")


def make_problem(seed=0, size=300, masked=10, y=None, features=None, **options):
    rng = np.random.default_rng(7)
    if y is None:
        y = (rng.random((size, 4)) < [0.6, 0.4, 0.2, 0.05]).astype(np.int8)
        y[:masked] = -100
    keys = tuple(f"u{row}" for row in range(len(y)))
    if features is None:
        features = {name: Modality(rng.standard_normal((len(y), width), dtype=np.float32), np.ones(len(y), bool))
                    for name, width in (("audio", 5), ("text", 3))}
    dialogues = tuple(f"d{row // 5}" for row in range(len(y)))
    return Problem(keys, dialogues, np.asarray(y, np.int8), LABELS[:y.shape[1]], {}, seed, options, features)


def made_labels(problem, decision):
    return np.take_along_axis(problem.y, decision.label_rows, axis=0)


def test_each_utterance_with_a_rare_label_makes_one_with_a_near_one_of_that_label():
    problem = make_problem()
    inside = problem.y[:, 0] >= 0
    rare = np.flatnonzero(rare_labels(problem.y[inside].sum(axis=0, dtype=int)))
    assert rare.tolist() == [3]
    decision = mlsmote.decide(problem)
    rows = np.flatnonzero(problem.y[:, 3] == 1)
    assert decision.base.tolist() == rows.tolist()
    z = np.hstack([(values - values[:].mean(axis=0)) / values.std(axis=0) / np.sqrt(values.shape[1])
                   for values in (modality.values.astype(float) for modality in problem.features.values())])
    near = rows[NearestNeighbors(n_neighbors=5).fit(z[rows]).kneighbors(return_distance=False)]
    assert all(neighbor in allowed for neighbor, allowed in zip(decision.neighbor, near, strict=True))
    assert set(decision.op.tolist()) == {"interpolate"}
    assert ((decision.lam > 0) & (decision.lam < 1)).all()
    # More than half of the six, the utterance and its neighbours, have the label.
    having = problem.y[rows] + problem.y[near].sum(axis=1)
    assert np.array_equal(made_labels(problem, decision), (having > 3).astype(np.int8))


@pytest.mark.parametrize("rule", ["ranking", "union", "intersection"])
def test_the_label_it_is_made_for_is_there_and_each_annotation_is_a_parents_or_neighbours(rule):
    problem = make_problem(label_rule=rule, k_neighbors=3)
    decision = mlsmote.decide(problem)
    labels = made_labels(problem, decision)
    assert (labels[:, 3] == 1).all()
    assert (problem.y[decision.label_rows.ravel(), 0] >= 0).all()
    own = problem.y[decision.base]
    assert np.array_equal(decision.label_rows == decision.base[:, None], labels == own)
    if rule == "union":
        assert (labels >= own).all() and (labels > own).any()
    if rule == "intersection":
        assert (labels <= own).all() and (labels < own).any()


def test_passes_go_on_while_the_label_is_rare():
    problem = make_problem()
    once, often = mlsmote.decide(problem), mlsmote.decide(make_problem(passes=50))
    rows = len(once.base)
    assert len(often.base) % rows == 0 and rows < len(often.base) < 50 * rows
    assert np.array_equal(often.base[:rows], once.base)
    assert np.array_equal(often.neighbor[:rows], once.neighbor)
    assert not np.array_equal(often.lam[rows:2 * rows], once.lam)
    inside = problem.y[problem.y[:, 0] >= 0].astype(int)
    mean = np.mean(inside.sum(axis=0).max() / inside.sum(axis=0))
    totals = inside.sum(axis=0) + np.take_along_axis(problem.y, often.label_rows, axis=0).sum(axis=0)
    assert totals.max() / totals[3] <= mean < totals.max() / (totals[3] - rows)


def test_one_alone_is_repeated_and_told():
    y = np.array([[1, 0], [1, 0], [1, 0], [1, 1]], np.int8)
    decision = mlsmote.decide(make_problem(y=y))
    assert (decision.op.tolist(), decision.neighbor.tolist()) == (["repeat"], [-1])
    assert decision.label_rows.tolist() == [[3, 3]] and np.isnan(decision.lam).all()
    assert decision.notes == ("1 made: MeanIR 2.50 → 1.75",
                              "sad: 1 of 1 new items repeat an utterance that has no neighbour")


def test_bounds_on_parents_are_those_of_smote():
    decision = mlsmote.decide(make_problem(not_within="dialogue"))
    dialogues = np.arange(300) // 5
    two = decision.neighbor >= 0
    assert two.any() and (dialogues[decision.base[two]] != dialogues[decision.neighbor[two]]).all()


def test_nothing_is_rare():
    decision = mlsmote.decide(make_problem(y=np.array([[1, 1], [1, 1]], np.int8)))
    assert len(decision.base) == 0 and decision.label_rows.shape == (0, 2)
    assert decision.notes == ("0 made: MeanIR 1.00 → 1.00",)
    nobody = mlsmote.decide(make_problem(y=np.zeros((3, 2), np.int8)))
    assert nobody.notes == ("no train utterance has a label, so none is rare and nothing is made",)


def test_the_seed_decides():
    first, again, other = (mlsmote.decide(make_problem(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.neighbor, again.neighbor) and np.array_equal(first.lam, again.lam)
    assert not np.array_equal(first.lam, other.lam)


@pytest.mark.parametrize(("options", "text"), [
    ({"label_rule": "vote"}, "--label-rule: not known: expected ranking or union or intersection, got 'vote'"),
    ({"passes": 0}, "--passes: this number of passes is not possible: expected a whole number from 1 to 100, got 0; "
                    "write --passes 1"),
    ({"k_neighbors": 0}, "--k-neighbors: this number of neighbours is not possible: expected a whole number of at "
                         "least 1, got 0; write --k-neighbors 5")])
def test_what_cannot_be_is_refused(options, text):
    with pytest.raises(UsageError) as refused:
        mlsmote.decide(make_problem(**options))
    assert str(refused.value) == text


def test_no_feature_and_a_value_that_is_not_finite_are_refused():
    with pytest.raises(UsageError) as refused:
        mlsmote.decide(make_problem(features={}))
    assert str(refused.value) == ("--strategy mlsmote: there is no feature to interpolate: expected a feature store; "
                                  "run `emoprep features` first")
    values = np.zeros((300, 2), np.float32)
    values[4, 1] = np.nan
    with pytest.raises(EmoprepError, match="u4: this text feature has a value that is not finite"):
        mlsmote.decide(make_problem(features={"text": Modality(values, np.ones(300, bool))}))
