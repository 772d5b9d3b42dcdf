"""What every strategy must do, whichever it is: the modules are found because they lie in the folder."""

import subprocess
import sys

import numpy as np
import pytest

from emoprep.contracts import Modality, Problem, Setting, modules
from emoprep.errors import UsageError
from emoprep.methods.targets import decide_targets

STRATEGIES = modules("strategies")
SAMPLING = [name for name, module in STRATEGIES.items() if module.DIRECTION != "none"]
LABELS = ("neutral", "joy", "fear", "disgust")
Y = np.array([0] * 30 + [1] * 14 + [2] * 7 + [-100] * 5, dtype=np.int16)
Y = Y[np.random.default_rng(5).permutation(len(Y))]
COUNTS = {"neutral": 30, "joy": 14, "fear": 7, "disgust": 0}


def make_problem(module, target="auto", seed=0, targets=None):
    rng = np.random.default_rng(1)
    audio = Modality(rng.standard_normal((len(Y), 6), dtype=np.float32), np.ones(len(Y), dtype=bool))
    text = Modality(rng.standard_normal((len(Y), 4), dtype=np.float32), rng.random(len(Y)) < 0.9)
    text.values[~text.present] = 0
    if module.DIRECTION == "none":
        targets = {}
    return Problem(
        keys=tuple(f"u{row}" for row in range(len(Y))),
        dialogues=tuple(f"d{row // 4}" for row in range(len(Y))),
        y=Y, labels=LABELS, seed=seed, seconds=np.linspace(1, 3, len(Y)),
        targets=decide_targets(target, COUNTS, module.DIRECTION) if targets is None else targets,
        features={"audio": audio, "text": text} if module.NEEDS == "features" else None)


def fields(decision):
    return [decision.kept.tolist(), decision.op.tolist(), decision.base.tolist(), decision.neighbor.tolist(),
            np.nan_to_num(decision.lam, nan=-1).tolist()]


@pytest.mark.parametrize("name", STRATEGIES)
def test_module_has_what_the_contract_asks_for(name):
    module = STRATEGIES[name]
    assert name == module.NAME
    assert module.HELP and module.HELP[0].islower() and not module.HELP.endswith(".")
    assert module.NEEDS in ("labels", "features")
    assert module.DIRECTION in ("over", "under", "own", "none")
    assert module.TASKS and set(module.TASKS) <= {"single-label", "multi-label"}
    assert module.MAKES in ("nothing", "copies", "media", "vectors")
    assert all(isinstance(setting, Setting) and setting.help for setting in module.OPTIONS.values())


@pytest.mark.parametrize("target", ["auto", "0.5", "alpha=0.5"])
@pytest.mark.parametrize("name", SAMPLING)
def test_every_class_is_at_its_target_or_a_note_says_so(name, target):
    problem = make_problem(STRATEGIES[name], target)
    decision = STRATEGIES[name].decide(problem)
    assert problem.targets != COUNTS
    for number, label in enumerate(LABELS):
        there = ((number == Y) & (decision.kept == "keep")).sum() + (Y[decision.base] == number).sum()
        assert there == problem.targets[label] or any(label in note for note in decision.notes)


@pytest.mark.parametrize("name", STRATEGIES)
def test_decision_has_its_shape(name):
    decision = STRATEGIES[name].decide(make_problem(STRATEGIES[name]))
    made = len(decision.base)
    assert decision.kept.shape == Y.shape
    assert set(decision.kept.tolist()) <= {"keep", "drop", "mask"}
    assert {len(decision.op), len(decision.neighbor), len(decision.lam)} == {made}
    assert decision.base.dtype == decision.neighbor.dtype == np.int64
    assert decision.lam.dtype == np.float64
    assert isinstance(decision.notes, tuple)
    if STRATEGIES[name].MAKES == "nothing":
        assert made == 0


@pytest.mark.parametrize("name", STRATEGIES)
def test_parents_are_named_and_of_the_class(name):
    decision = STRATEGIES[name].decide(make_problem(STRATEGIES[name]))
    two = decision.neighbor >= 0
    assert ((decision.base >= 0) & (decision.base < len(Y))).all()
    assert (Y[decision.base] >= 0).all()
    assert (Y[decision.base[two]] == Y[decision.neighbor[two]]).all()
    assert (decision.base != decision.neighbor).all()
    assert np.array_equal(two, decision.op == "interpolate")
    assert np.array_equal(two, ~np.isnan(decision.lam))
    assert ((decision.lam[two] >= 0) & (decision.lam[two] <= 1)).all()
    # Class by class.
    assert (np.diff(Y[decision.base]) >= 0).all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_rows_outside_the_scheme_stay(name):
    decision = STRATEGIES[name].decide(make_problem(STRATEGIES[name]))
    assert (decision.kept[Y == -100] == "keep").all()
    if STRATEGIES[name].DIRECTION != "under":
        assert (decision.kept == "keep").all()


@pytest.mark.parametrize("name", SAMPLING)
def test_the_seed_decides(name):
    module = STRATEGIES[name]
    first = fields(module.decide(make_problem(module, seed=3)))
    assert fields(module.decide(make_problem(module, seed=3))) == first
    assert fields(module.decide(make_problem(module, seed=4))) != first


@pytest.mark.parametrize("name", SAMPLING)
def test_one_class_does_not_change_another(name):
    module = STRATEGIES[name]
    other = "joy" if module.DIRECTION == "over" else "neutral"
    fear = {**COUNTS, "fear": 20 if module.DIRECTION == "over" else 3}
    alone = module.decide(make_problem(module, targets=fear))
    beside = module.decide(make_problem(module, targets={**fear, other: COUNTS[other] + (
        9 if module.DIRECTION == "over" else -9)}))
    number = LABELS.index("fear")
    assert np.array_equal(alone.kept[number == Y], beside.kept[number == Y])
    for field in ("base", "neighbor"):
        mine = getattr(beside, field)[Y[beside.base] == number]
        assert np.array_equal(getattr(alone, field), mine)


@pytest.mark.parametrize("name", SAMPLING)
def test_nothing_asked_for_is_nothing_done(name):
    module = STRATEGIES[name]
    decision = module.decide(make_problem(module, targets=COUNTS))
    assert (decision.kept == "keep").all()
    assert len(decision.base) == len(decision.op) == len(decision.lam) == 0


@pytest.mark.parametrize("name", SAMPLING)
def test_targets_that_cannot_be_are_refused(name):
    module = STRATEGIES[name]
    wrong, text = {
        "over": (6, "takes nothing away from fear: expected at least the 7 that are there, got fear=6"),
        "under": (8, "adds nothing to fear: expected at most the 7 that are there, got fear=8"),
    }[module.DIRECTION]
    with pytest.raises(UsageError, match=text):
        module.decide(make_problem(module, targets={**COUNTS, "fear": wrong}))
    with pytest.raises(UsageError, match="disgust has no member in train, so none can be made or kept: "
                                         "expected disgust=0, got disgust=2"):
        module.decide(make_problem(module, targets={**COUNTS, "disgust": 2}))


def test_modules_are_cheap_to_import():
    heavy = "('sklearn', 'imblearn', 'scipy', 'pyarrow', 'torch')"
    code = (f"import sys; from emoprep.contracts import modules; assert modules('strategies'); "
            f"print([name for name in {heavy} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
