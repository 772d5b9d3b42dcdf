"""What every strategy must do, whichever it is: the modules are found because they lie in the folder."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from emoprep.contracts import Modality, Problem, Setting, find_strategy, modules
from emoprep.errors import UsageError
from emoprep.methods.targets import decide_targets

MODULES = modules("strategies")

# A strategy that takes an argument, or is another one with other options, is tried as each of these.
FORMS = {
    "imblearn:": [("imblearn:SVMSMOTE", {}), ("imblearn:RandomOverSampler", {}), ("imblearn:NearMiss", {}),
                  ("imblearn:TomekLinks", {"min_keep": 0.0}), ("imblearn:SMOTETomek", {"min_keep": 0.0})],
    "repeat": [("repeat", {"objective": objective, "unit": unit}) for objective in ("evenness", "min-ir")
               for unit in ("dialogue", "utterance")] + [
                   ("repeat", {"objective": objective, "rfs_threshold": 0.9}) for objective in ("rfs", "irfs")] + [
                   ("repeat", {"objective": "masked-copies"})],
    "borderline-smote": [("borderline-smote", {"kind": 1}), ("borderline-smote", {"kind": 2})],
    "undersample": [("undersample", {}), ("undersample", {"drop": "delete"})],
    "augment": [("augment", {}), ("augment", {"augment_others": 0.5})],
}
CASES = {" ".join([text, *map(str, given.values())]): (find_strategy(text, given), given)
         for name in MODULES for text, given in FORMS.get(name, [(name, {})])}
TARGETED = [name for name, (module, _) in CASES.items() if module.DIRECTION in ("over", "under")]
# These draw class by class, each with random numbers of its own.
ALONE = [name for name in TARGETED if not name.startswith("imblearn:") and "masked" not in name]
# Greedy and exact optima draw nothing, and so does what looks at distances alone.
DRAWN = [name for name, (module, _) in CASES.items() if module.DIRECTION != "none" and not any(
    word in name for word in ("evenness", "min-ir", "NearMiss", "Tomek"))]

LABELS = ("neutral", "joy", "fear", "disgust")
Y = np.array([0] * 60 + [1] * 28 + [2] * 14 + [-100] * 10, dtype=np.int16)
Y = Y[np.random.default_rng(5).permutation(len(Y))]
COUNTS = {"neutral": 60, "joy": 28, "fear": 14, "disgust": 0}
SEVERAL = (np.random.default_rng(6).random((len(Y), 4)) < (0.5, 0.3, 0.1, 0)).astype(np.int8)
SEVERAL[Y == -100] = -100


def make_problem(name, target="auto", seed=0, targets=None):
    module, given = CASES[name]
    rng = np.random.default_rng(1)
    audio = Modality(rng.standard_normal((len(Y), 6), dtype=np.float32) + Y[:, None].clip(0) * np.float32(0.6),
                     np.ones(len(Y), dtype=bool))
    text = Modality(rng.standard_normal((len(Y), 4), dtype=np.float32), rng.random(len(Y)) < 0.9)
    text.values[~text.present] = 0
    takes = module.DIRECTION in ("over", "under")
    return Problem(
        keys=tuple(f"u{row}" for row in range(len(Y))), dialogues=tuple(f"d{row // 4}" for row in range(len(Y))),
        y=Y if "single-label" in module.TASKS else SEVERAL, labels=LABELS, seed=seed, options=given,
        seconds=np.linspace(1, 3, len(Y)), speakers=tuple("AB"[row % 2] for row in range(len(Y))),
        targets=({} if not takes else decide_targets(target, COUNTS, module.DIRECTION)) if targets is None else targets,
        features={"audio": audio, "text": text} if module.NEEDS == "features" else None)


def decide(name, *arguments, **more):
    problem = make_problem(name, *arguments, **more)
    return problem, CASES[name][0].decide(problem)


def fields(decision):
    return [decision.kept.tolist(), decision.op.tolist(), decision.base.tolist(), decision.neighbor.tolist(),
            np.nan_to_num(decision.lam, nan=-1).tolist(), decision.parameters and list(decision.parameters),
            None if decision.noise is None else {name: values.tolist() for name, values in
                                                 decision.noise(np.arange(len(decision.base))).items()},
            {row: dict(how) for row, how in decision.altered.items()}]


def outside(problem):
    return problem.y.reshape(len(Y), -1)[:, 0] == -100


def in_loss(decision):
    return np.ones(len(decision.base)) if decision.loss_mask is None else decision.loss_mask


@pytest.mark.parametrize("name", MODULES)
def test_module_has_what_the_contract_asks_for(name):
    module = MODULES[name]
    assert name == module.NAME
    assert module.HELP and not module.HELP.endswith(".")
    assert module.NEEDS in ("labels", "features")
    assert module.DIRECTION in ("over", "under", "own", "none")
    assert module.TASKS and set(module.TASKS) <= {"single-label", "multi-label"}
    assert module.MAKES in ("nothing", "copies", "media", "vectors")
    assert all(isinstance(setting, Setting) and setting.help for setting in module.OPTIONS.values())


def test_an_option_that_several_read_is_one_option():
    found: dict[str, set] = {}
    for module in MODULES.values():
        for option, setting in module.OPTIONS.items():
            found.setdefault(option, set()).add((setting.default, setting.metavar, type(setting.default)))
    assert {option: said for option, said in found.items() if len(said) > 1} == {}


@pytest.mark.parametrize("target", ["auto", "0.5", "alpha=0.5"])
@pytest.mark.parametrize("name", TARGETED)
def test_every_class_is_at_its_target_or_a_note_says_so(name, target):
    problem, decision = decide(name, target)
    assert problem.targets != COUNTS
    for number, label in enumerate(LABELS):
        there = ((number == Y) & (decision.kept == "keep")).sum() + in_loss(decision)[Y[decision.base] == number].sum()
        assert there == problem.targets[label] or any(label in note for note in decision.notes)


@pytest.mark.parametrize("name", CASES)
def test_decision_has_its_shape(name):
    problem, decision = decide(name)
    made = len(decision.base)
    assert decision.kept.shape == (len(Y),)
    assert set(decision.kept.tolist()) <= {"keep", "drop", "mask"}
    assert {len(decision.op), len(decision.neighbor), len(decision.lam)} == {made}
    assert set(np.asarray(decision.op).tolist()) <= {"repeat", "augment", "interpolate", "generate"}
    assert decision.base.dtype == decision.neighbor.dtype == np.int64
    assert decision.lam.dtype == np.float64
    assert isinstance(decision.notes, tuple)
    for given, length in ((decision.dialogue, made), (decision.loss_mask, made), (decision.parameters, made)):
        assert given is None or len(given) == length
    assert decision.parameters is None or [json.loads(json.dumps(how)) for how in decision.parameters] == list(
        decision.parameters)
    assert set(decision.altered) <= set(range(len(Y)))
    if decision.label_rows is not None:
        assert decision.label_rows.shape == (made, len(LABELS)) and problem.y.ndim == 2
    if CASES[name][0].MAKES == "nothing":
        assert made == 0


@pytest.mark.parametrize("name", CASES)
def test_parents_are_named_and_of_the_class(name):
    problem, decision = decide(name)
    two, out = decision.neighbor >= 0, outside(problem)
    assert ((decision.base >= 0) & (decision.base < len(Y))).all()
    # A row outside the scheme is in no loss, and only in the copy of its dialogue.
    assert (in_loss(decision)[out[decision.base]] == 0).all() and not out[decision.neighbor[two]].any()
    assert (decision.base != decision.neighbor).all()
    assert np.array_equal(two, decision.op == "interpolate")
    assert np.array_equal(two, ~np.isnan(decision.lam))
    assert ((decision.lam[two] >= (-1 if name.startswith("imblearn:") else 0)) & (decision.lam[two] <= 1)).all()
    if problem.y.ndim == 1:
        foreign = two & (Y[decision.base] != Y[np.where(two, decision.neighbor, decision.base)])
        # Borderline-2 goes at most half the way towards another class.
        assert not foreign.any() if name != "borderline-smote 2" else (decision.lam[foreign] <= 0.5).all()
        if decision.dialogue is None:
            assert (np.diff(Y[decision.base]) >= 0).all()  # class by class


@pytest.mark.parametrize("name", CASES)
def test_rows_outside_the_scheme_stay(name):
    problem, decision = decide(name)
    assert (decision.kept[outside(problem)] == "keep").all()
    assert not any(outside(problem)[row] for row in decision.altered)
    if CASES[name][0].DIRECTION == "over" and "Tomek" not in name:  # which cleans, too
        assert (decision.kept == "keep").all()


@pytest.mark.parametrize("name", [name for name, (module, _) in CASES.items() if module.DIRECTION != "none"])
def test_the_same_seed_decides_the_same(name):
    assert fields(decide(name, seed=3)[1]) == fields(decide(name, seed=3)[1])


@pytest.mark.parametrize("name", DRAWN)
def test_another_seed_decides_otherwise(name):
    assert fields(decide(name, seed=3)[1]) != fields(decide(name, seed=4)[1])


@pytest.mark.parametrize("name", ALONE)
def test_one_class_does_not_change_another(name):
    over = CASES[name][0].DIRECTION == "over"
    other, fear = ("joy" if over else "neutral"), {**COUNTS, "fear": 20 if over else 5}
    _, alone = decide(name, targets=fear)
    _, beside = decide(name, targets={**fear, other: COUNTS[other] + (9 if over else -9)})
    number = LABELS.index("fear")
    assert np.array_equal(alone.kept[number == Y], beside.kept[number == Y])
    assert over == bool(len(alone.base))
    for field in ("base", "neighbor"):
        assert np.array_equal(getattr(alone, field), getattr(beside, field)[Y[beside.base] == number])


@pytest.mark.parametrize("name", TARGETED)
def test_nothing_asked_for_is_nothing_done(name):
    _, decision = decide(name, targets=COUNTS)
    assert (decision.kept == "keep").all()
    assert len(decision.base) == len(decision.op) == len(decision.lam) == 0


@pytest.mark.parametrize("name", TARGETED)
def test_targets_that_cannot_be_are_refused(name):
    module, _ = CASES[name]
    wrong, text = {
        "over": (13, "takes nothing away from fear: expected at least the 14 that are there, got fear=13"),
        "under": (15, "adds nothing to fear: expected at most the 14 that are there, got fear=15"),
    }[module.DIRECTION]
    with pytest.raises(UsageError, match=text):
        decide(name, targets={**COUNTS, "fear": wrong})
    with pytest.raises(UsageError, match="disgust has no member in train, so none can be made or kept: "
                                         "expected disgust=0, got disgust=2"):
        decide(name, targets={**COUNTS, "disgust": 2})


@pytest.mark.parametrize("name", ALONE)
def test_what_earlier_steps_made_counts(name):
    """Of a sequence of strategies a later one fills, or takes away, only what the earlier ones left."""
    over = CASES[name][0].DIRECTION == "over"
    problem = make_problem(name, targets={**COUNTS, "fear": 20 if over else 12})
    made = {"fear": 4 if over else 3}
    decision = CASES[name][0].decide(Problem(**{**vars(problem), "made": made, "copied": np.bincount(
        np.flatnonzero(Y == 2)[:made["fear"]], minlength=len(Y))}))
    fear = LABELS.index("fear") == Y
    assert in_loss(decision).sum() == (2 if over else 0)
    assert (decision.kept[fear] == "keep").sum() == (14 if over else 9)


def test_every_form_is_of_a_strategy_there_is():
    assert set(FORMS) <= set(MODULES) and Counter(map(type, CASES)) == {str: len(CASES)}


def test_modules_are_cheap_to_import():
    heavy = "('sklearn', 'imblearn', 'scipy', 'pyarrow', 'torch', 'audiomentations', 'albumentations', 'cv2')"
    code = (f"import sys; from emoprep.contracts import modules; assert modules('strategies'); "
            f"print([name for name in {heavy} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
