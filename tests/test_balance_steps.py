"""Strategies one after the other, and made items in whole dialogues: what each step sees, and what is written."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest

from emoprep.augment.sample import augmented
from emoprep.balance import balance, plan_balance
from emoprep.balance.items import spread
from emoprep.balance.steps import read_steps
from emoprep.errors import EmoprepError, UsageError
from emoprep.store.manifest import open_store
from emoprep.store.shards import SampleReader, read_shard, write_shard
from emoprep.store.tables import read_table
from emoprep.verify import plan_verify, verify

COUNTS = {"neutral": 28, "surprise": 7, "fear": 2, "sadness": 4, "joy": 10, "disgust": 3, "anger": 6}


def rows_of(path):
    return pq.read_table(path).to_pylist()


def findings_of(store):
    return verify(plan_verify(store)).findings


def train_of(store):
    return [row for row in rows_of(store / "utterances.parquet") if row["split"] == "train"]


# ------------------------------------------------------------------------------------------------ sequences

def test_a_step_fills_what_the_one_before_left(demo_road):
    """Half of what fear lacks is repeated, the rest interpolated: together they reach the target, and not more."""
    plan = plan_balance(demo_road / "features", strategy="oversample", target="0.5", then=["smote target=auto"])
    ops = Counter(plan.items.op)
    assert set(plan.after.values()) == {28} and plan.requested == plan.after
    half = sum(max(0, 14 - count) for count in COUNTS.values())
    assert ops["keep"] == 60 and ops["repeat"] == half and ops["interpolate"] == 7 * 28 - 60 - half
    assert set(plan.weighing.weights.weights.values()) == {1.0}


def test_items_that_a_step_made_are_nobodys_parent(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="oversample", target="0.5", then=["smote"])
    originals = {row["key"] for row in train_of(demo_road / "features")}
    plan = rows_of(tmp_path / "out/plan.parquet")
    assert {item[name] for item in plan for name in ("base", "neighbor")} - {None} <= originals
    assert len({item["key"] for item in plan}) == len(plan) == 7 * 28
    assert not findings_of(tmp_path / "out")
    manifest = open_store(tmp_path / "out").manifest
    assert manifest.balance["strategy"] == "oversample" and manifest.balance["then"] == ["smote"]


def test_rows_that_a_step_masked_are_nobodys_parent(demo_road):
    plan = plan_balance(demo_road / "features", strategy="undersample", target="neutral=10,joy=4",
                        then=["smote target=auto"])
    masked = {row for row, op in zip(plan.items.row, plan.items.op, strict=True) if op == "mask"}
    decision = plan.items.decision
    assert len(masked) == 24 and not masked & {*decision.base.tolist(), *decision.neighbor.tolist()}
    assert set(plan.after.values()) == {10}


def test_each_step_has_its_own_options():
    first, second = read_steps("undersample", "neutral=5", {"k_neighbors": 3, "drop": "delete"}, ["smote target=0.5"])
    assert (first.target, first.given) == ("neutral=5", {"drop": "delete"})
    assert (second.target, second.given) == ("0.5", {"k_neighbors": 3})


@pytest.mark.parametrize(("settings", "message"), [
    ({"then": ["smote k_neighbors"]}, "--then: this step is not understood: expected NAME option=value …"),
    ({"then": [""]}, "--then: this step is not understood"),
    ({"then": ["nothing"]}, "--then: not known"),
    ({"then": ["undersample"]}, "--then: undersample takes rows away, so it comes before what makes some: got "
                                "oversample, then undersample; use --strategy undersample --then \"oversample …\""),
    ({"then": ["smote k_neighbors=few"]}, "--k-neighbors: this value is not possible: .* a whole number, got few"),
    ({"then": ["smote drop=mask"]}, "--drop: smote does not read this option: expected --k-neighbors"),
    ({"then": ["weights target=auto"]}, "--target: weights does not read this option"),
    ({"then": ["oversample"]}, "--then: a strategy cannot follow itself: got oversample"),
    ({"then": ["repeat"]}, "--then: repeat sets the counts by rules of its own, so it can only come first"),
    ({"given": {"k_neighbors": 5}}, "--k-neighbors: oversample does not read this option: expected --even"),
    ({"placement": "append", "target": "auto"}, "at most 5 ×, got 606 train rows, 10.1 × the 60 there are"),
])
def test_what_cannot_be_is_refused(demo_road, settings, message):
    with pytest.raises(UsageError, match=message):
        plan_balance(demo_road / "features", strategy="oversample", **settings)


def test_strict_counts_fail_where_a_class_falls_short(demo_road):
    settings = {"strategy": "imblearn:SVMSMOTE", "target": "joy=28"}
    plan = plan_balance(demo_road / "features", **settings)
    assert plan.shortfall
    with pytest.raises(EmoprepError, match="--strict-counts: not every class reaches what was asked for: got "):
        plan_balance(demo_road / "features", **settings, strict_counts=True)


# ------------------------------------------------------------------------------------------------ dialogues

@pytest.mark.parametrize("placement", ["replace-in-copy", "append"])
@pytest.mark.parametrize(("strategy", "source"), [("smote", "features"), ("oversample", "shards")])
def test_made_items_stand_among_their_bases_neighbours(demo_road, tmp_path, strategy, source, placement):
    out = tmp_path / "out"
    balance(demo_road / source, out, strategy=strategy, target="+fear=3,+disgust=2", placement=placement)
    old = {row["key"]: row for row in train_of(demo_road / source)}
    found: dict[str, list] = {}
    for row in train_of(out):
        found.setdefault(row["dialogue"], []).append(row)
    copies = {name: rows for name, rows in found.items() if "__copy" in name}
    assert sum(row["loss_mask"] for rows in copies.values() for row in rows) == 5
    for name, rows in copies.items():
        original = [row["key"] for row in old.values() if row["dialogue"] == name.partition("__copy")[0]
                    and (source == "features" or row["shard"])]
        made = [row for row in rows if row["loss_mask"]]
        assert made and all(row["emotion"] in ("fear", "disgust") for row in made)
        bases = [row["base"] for row in rows]
        assert bases == original if placement == "replace-in-copy" else sorted(set(bases), key=bases.index) == original
        assert [row["turn"] for row in rows] == list(range(len(rows)))
        # A model of context sees the whole dialogue: each of its rows has the parents of all.
        assert len({tuple(row["groups"]) for row in rows}) == 1
        assert {group for row in made for group in old[row["base"]]["groups"]} <= set(rows[0]["groups"])
    assert not findings_of(out)


def test_copies_lie_apart():
    dialogues = [f"d{row // 3}" for row in range(300)]
    base = np.concatenate([np.arange(30, 33)] * 4 + [np.arange(150, 153)])
    row, made = spread(dialogues, base, 0, np.repeat(np.arange(5), 3))
    assert row[made >= 0].tolist().count(31) == 4
    at = np.flatnonzero(row == 31)
    gaps = np.diff([*at, at[0] + len(row)])
    assert gaps.min() > 55 and len(at) == 5
    for number in range(5):
        assert (np.diff(np.flatnonzero(np.isin(made, np.arange(3 * number, 3 * number + 3)))) == 1).all()


def test_context_on_real_meld_multiplies_the_rows(shared):
    """Balanced whole, each utterance in its dialogue: ten times the data, which has to be asked for."""
    meld = shared / "real/meld"
    with pytest.raises(UsageError, match=r"expected at most 5 ×, got 1\d\d,\d{3} train rows, 1\d\.\d × the 9,989"):
        plan_balance(meld, strategy="oversample", placement="replace-in-copy")
    plan = plan_balance(meld, strategy="oversample", placement="replace-in-copy", force=True)
    assert plan.after == dict.fromkeys(plan.after, 4710)
    assert 105_000 < plan.rows["after"] < 120_000  # 112,914 where SMOTE draws the bases
    half = plan_balance(meld, strategy="oversample", placement="replace-in-copy", target="alpha=0.5")
    assert sum(half.after.values()) == 16_290 and 3.3 < half.rows["after"] / 9989 < 4.3
    assert half.announced[0].startswith("whole dialogues are copied: ")


# --------------------------------------------------------------------------------------------------- recipes

@pytest.mark.parametrize("source", ["shards", "features", "MELD.Raw"])
def test_a_recipe_leaves_train_as_it_is(demo_road, tmp_path, source):
    out = tmp_path / "out"
    result = balance(demo_road / source, out, strategy="oversample", recipe=True, then=["weights"])
    assert result.to_json()["recipe"] is True and len(set(result.plan.after.values())) == 1
    plan = rows_of(out / "plan.parquet")
    keys = [row["key"] for row in train_of(out)]
    assert len(plan) > 150 and [item["key"] for item in plan if item["op"] == "keep"] == keys
    assert {item["base"] for item in plan} - {None} <= set(keys)
    if source != "MELD.Raw":
        for name in [path.name for path in (demo_road / source).glob("*.tar")] or ["train.parquet"]:
            assert (out / name).stat().st_ino == (demo_road / source / name).stat().st_ino
        assert not findings_of(out)
    assert json.loads((out / "class_weights.json").read_text())["counts"]["fear"] >= 27


# ------------------------------------------------------------------------------------------------- new media

@pytest.fixture(scope="module")
def augmented_store(demo_road, tmp_path_factory):
    out = tmp_path_factory.mktemp("augmented") / "out"
    balance(demo_road / "shards", out, strategy="augment", target="max-multiplier=2", jobs=2,
            given={"augment_others": 0.5, "param": ("time-stretch=0.9:1.1",)})
    return out


def samples_of(store, split):
    reader = SampleReader()
    return {row["key"]: reader.read(store / row["shard"], row["key"])
            for row in rows_of(store / "utterances.parquet") if row["split"] == split and row["shard"]}


def test_augmented_items_can_be_replayed_one_by_one(demo_road, augmented_store):
    """The plan and the base's sample are all it takes: the same members come out, byte by byte."""
    old, new = samples_of(demo_road / "shards", "train"), samples_of(augmented_store, "train")
    plan = rows_of(augmented_store / "plan.parquet")
    made = [item for item in plan if item["op"] == "augment"]
    in_place = [item for item in made if item["key"] == item["base"]]
    assert len(made) > 30 and 3 < len(in_place) < 28
    for item in made[::5]:
        members = augmented(old[item["base"]], json.loads(item["parameters"]))
        for name in ("flac", "frames.jpg", "words.json", "txt"):
            assert members[name] == new[item["key"]][name], (item["key"], name)
    kept = [item["key"] for item in plan if item["op"] == "keep"]
    assert all(new[key]["flac"] == old[key]["flac"] for key in kept if key in old)


def test_an_augmented_store_is_whole_and_its_dev_and_test_are_ins(demo_road, augmented_store):
    assert not findings_of(augmented_store)
    for path in demo_road.glob("shards/[dt]e*.tar"):
        assert (augmented_store / path.name).stat().st_ino == path.stat().st_ino
    manifest = open_store(augmented_store).manifest
    assert {"audiomentations", "albumentations"} <= set(manifest.versions)
    after, before = manifest.balance["after"], manifest.balance["before"]
    assert after == {name: max(count, min(2 * count, before["neutral"])) for name, count in before.items()}


def test_augmented_bytes_do_not_depend_on_the_number_of_processes(demo_road, augmented_store, tmp_path):
    balance(demo_road / "shards", tmp_path / "out", strategy="augment", target="max-multiplier=2", jobs=1,
            given={"augment_others": 0.5, "param": ("time-stretch=0.9:1.1",)})
    for path in sorted(augmented_store.iterdir()):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


def test_augmented_words_stand_in_index_and_sample(demo_road, tmp_path):
    balance(demo_road / "shards", tmp_path / "out", strategy="augment", target="fear=4", given={"text_augment": "aeda"})
    rows = {row["key"]: row for row in train_of(tmp_path / "out")}
    made = [row for row in rows.values() if row["op"] == "augment"]
    assert made and all(row["text"] != rows[row["base"]]["text"] for row in made)
    samples = samples_of(tmp_path / "out", "train")
    assert all(samples[row["key"]]["txt"].decode() == row["text"] for row in made)


def test_augmentation_needs_media_or_a_recipe(demo_road, tmp_path):
    with pytest.raises(UsageError, match="augment changes pictures and sound, and IN has features; run it"):
        balance(demo_road / "features", tmp_path / "out", strategy="augment")
    with pytest.raises(UsageError, match="IN has no media to make them of; .*--recipe and --dry-run work"):
        balance(demo_road / "MELD.Raw", tmp_path / "out", strategy="augment")
    balance(demo_road / "MELD.Raw", tmp_path / "out", strategy="augment", recipe=True)
    plan = [item for item in rows_of(tmp_path / "out/plan.parquet") if item["op"] == "augment"]
    assert plan and all(json.loads(item["parameters"]) for item in plan)


# ------------------------------------------------------------------------- stores that are odd, or balanced before

def edited(store, out, **columns):
    """Copy a feature store with other values in columns of its train rows, in the table and in the index."""
    shutil.copytree(store, out)
    for path in (out / "train.parquet", out / "utterances.parquet"):
        table = pq.read_table(path)
        train = [split == "train" for split in table["split"].to_pylist()]
        for name, change in columns.items():
            values = table[name].to_pylist()
            rows = [row for row, there in enumerate(train) if there]
            for row, value in zip(rows, change([values[row] for row in rows]), strict=True):
                values[row] = value
            table = table.set_column(table.column_names.index(name), table.schema.field(name),
                                     pyarrow.array(values, table.schema.field(name).type))
        pq.write_table(table, path, row_group_size=500)
    return out


@pytest.mark.parametrize("first", ["smote", "rose", "oversample"])
@pytest.mark.parametrize("then", [{"strategy": "weights"}, {"strategy": "undersample", "target": "neutral=10"},
                                  {"strategy": "undersample", "target": "neutral=10", "given": {"drop": "delete"}}])
def test_what_makes_nothing_may_follow_what_made_rows(demo_road, tmp_path, first, then):
    balance(demo_road / "features", tmp_path / "one", strategy=first)
    balance(tmp_path / "one", tmp_path / "two", **then)
    assert not findings_of(tmp_path / "two")
    made = {row["key"]: (row["op"], row["base"]) for row in train_of(tmp_path / "one")}
    assert {row["key"]: (row["op"], row["base"]) for row in train_of(tmp_path / "two")}.items() <= made.items()


def test_both_steps_noise_is_added(demo_road, tmp_path):
    """Borderline-2 carries a rounding as noise: it must not take the place of ROSE's."""
    wide = tmp_path / "wide"
    balance(demo_road / "features", wide, strategy="rose", target="0.5", then=[
        "borderline-smote target=auto kind=2 imblearn_compat=true k_neighbors=1 m_neighbors=8"])
    _, made = read_table(wide / "train.parquet", open_store(wide).manifest.modalities)
    rows = train_of(wide)
    at = {row["key"]: number for number, row in enumerate(rows)}
    generated = [(number, at[row["base"]]) for number, row in enumerate(rows) if row["op"] == "generate"]
    assert len(generated) > 20
    assert all((made["audio"].values[one] != made["audio"].values[base]).any() for one, base in generated)


@pytest.mark.parametrize(("settings", "message"), [
    ({"strategy": "smote", "then": ['oversample "']}, "--then: this step is not understood"),
    ({"strategy": "smote", "then": ["oversample =3"]}, "--then: this step is not understood"),
    ({"strategy": "smote", "then": ["oversample target=auto target=0.5"]}, "--target: this option is given twice"),
    ({"strategy": "smote", "then": ["oversample nonfinite=zero"]}, "oversample does not read this option: expected "
                                                                   "--even, --imblearn-compat, --target; "),
    ({"strategy": "weights", "placement": "append"}, "--placement append: weights makes no utterance that could be"),
    ({"strategy": "repeat", "placement": "append"}, "--placement append: repeat makes no utterance that could be"),
    ({"strategy": "repeat", "target": "0.5"}, "--target: repeat --objective evenness does not read this option"),
    ({"strategy": "repeat", "given": {"budget": 20.0, "max_repeats": 1000}},
     "--strategy repeat: copied dialogues make too many rows: .*ask for less with its options, or say --force"),
    ({"strategy": "weights", "stages": "crt", "sampler": "instance"}, "--sampler instance: classifier re-training "),
    ({"strategy": "weights", "sampler": "0.5", "focal_alpha": True}, "--focal-alpha: all weights are 1, so this "),
    ({"strategy": "smote", "given": {"modality_weight": ("text=2", "text=3")}}, "this modality has two weights"),
    ({"strategy": "smote", "given": {"renorm": "bananas"}}, "--renorm: .*expected off or auto, got bananas"),
    ({"strategy": "smote", "then": ["adasyn renorm=auto"]}, "--renorm: two steps would bring vectors to length 1 and "),
    ({"strategy": "weights", "tau": 1e308}, "--tau: this number is not possible: expected a number from 0 to 1000"),
    ({"strategy": "imblearn:SMOTEENN", "given": {"param": ("smote=null",)}}, "--strategy imblearn:SMOTEENN"),
])
def test_what_no_step_can_do_is_refused_before_anything_is_written(demo_road, tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        balance(demo_road / "features", tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_step_takes_options_that_may_be_repeated(demo_road):
    step = read_steps("oversample", "0.5", {}, ["smote modality_weight=text=2 modality-weight=audio=3"])[1]
    assert step.given["modality_weight"] == ("text=2", "audio=3")


@pytest.mark.parametrize(("columns", "settings", "message"), [
    ({"loss_mask": lambda values: [0.3] * len(values)}, {"strategy": "smote"},
     "rows that count in part cannot be resampled: expected 0 or 1, got loss_mask 0.3"),
    ({"loss_mask": lambda values: [None, *values[1:]]}, {"strategy": "weights"}, "this loss_mask is not possible"),
    ({"loss_mask": lambda values: [-1.0, *values[1:]]}, {"strategy": "weights", "sampler": "progressive"},
     "expected a number from 0, got loss_mask -1"),
    ({"groups": lambda values: [None, *values[1:]]}, {"strategy": "smote"}, "groups are lists, and one is missing"),
    ({"dialogue": lambda values: [*values[1:], values[0]]}, {"strategy": "smote"},
     "the rows of a dialogue do not lie together: got meld_train_dia0"),
    ({"emotion": lambda values: ["joy"] * len(values), "loss_mask": lambda values: [0.0] * len(values)},
     {"strategy": "rose"}, "no train utterance is in the label scheme, so there is nothing to balance"),
    ({"audio": lambda values: [np.full(100, 3e38 * (-1) ** row) for row in range(len(values))]},
     {"strategy": "smote"}, "the audio feature of this item is not finite: expected numbers below 1e38"),
    ({"key": lambda values: [f"{number}".rjust(198, "k") for number in range(len(values))]}, {"strategy": "oversample"},
     "this key cannot name a sample: expected at most 200"),
])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_train_rows_that_cannot_be_balanced_are_named(demo_road, tmp_path, columns, settings, message):
    table_only = {name: change for name, change in columns.items() if name == "audio"}
    if table_only:
        shutil.copytree(demo_road / "features", tmp_path / "in")
        table = pq.read_table(tmp_path / "in/train.parquet")
        field = table.schema.field("audio")
        pq.write_table(table.set_column(table.column_names.index("audio"), field, pyarrow.array(
            columns["audio"](range(table.num_rows)), field.type)), tmp_path / "in/train.parquet")
    else:
        edited(demo_road / "features", tmp_path / "in", **columns)
    with pytest.raises(EmoprepError, match=message):
        balance(tmp_path / "in", tmp_path / "out", **settings)
    assert not (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("raw", [b"[[[[", b"[1]", b'{"size": NaN}', b'{"size": "\\ud800"}', b"[" * 100_000])
def test_a_damaged_sample_that_is_only_copied_is_named(demo_road, tmp_path, raw):
    store = Path(shutil.copytree(demo_road / "shards", tmp_path / "in"))
    path = store / "train-000000.tar"
    samples = list(read_shard(path))
    key = samples[3][0]
    facts = write_shard(path, [(name, {**members, **({"json": raw} if name == key else {})})
                               for name, members in samples])
    manifest = json.loads((store / "manifest.json").read_text())
    changed = {name: facts[name] for name in ("size", "sha256")}
    manifest["shards"] = [{**one, **(changed if one["name"] == path.name else {})} for one in manifest["shards"]]
    (store / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EmoprepError, match=f"train-000000.tar {key}: .json cannot be read: expected a JSON object, "):
        balance(store, tmp_path / "out", strategy="oversample", jobs=2)
    assert not (tmp_path / "out/manifest.json").exists()
