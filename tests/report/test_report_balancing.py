"""What a report says of balancing, against pandas on the same files; and manifests, plans and weights that lie."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import pandas
import pyarrow
import pyarrow.parquet as pq
import pytest

from emoprep.balance import balance
from emoprep.errors import EmoprepError, MissingInput
from emoprep.report.balancing import gather_balancing
from emoprep.store.index import with_column
from emoprep.store.manifest import open_store

COUNTS = {"neutral": 28, "surprise": 7, "fear": 2, "sadness": 4, "joy": 10, "disgust": 3, "anger": 6}

SEVERAL = """
name = "several"
labels = ["any", "second", "late"]
above = 3
[columns]
any = "season"
second = "episode"
late = "source_start"
"""


def told(path, **settings):
    return gather_balancing(open_store(path), **settings)


def planned(path):
    """The plan, the made items of it that are in the loss, and each one's parents."""
    plan = pandas.read_parquet(path / "plan.parquet")
    made = plan[plan["base"].notna() & (plan["loss_mask"] > 0)]
    born = made[made["base"] != made["key"]]
    parents = [parent for base, neighbor in zip(born["base"], born["neighbor"], strict=True)
               for parent in {base, neighbor} if isinstance(parent, str)]
    return plan, made, Counter(parents)


def check_against_pandas(path):
    """Hold all that does not depend on the label scheme to the plan as pandas reads it; return what was told."""
    found, (plan, made, parents) = told(path, shown=3), planned(path)
    assert found.ops == plan["op"].value_counts().to_dict()
    born = made["base"] != made["key"]
    assert (found.made_total, found.changed_total) == (born.sum(), (~born).sum())
    stays, there = plan["op"] != "drop", plan["base"].isna() | (plan["base"] == plan["key"])
    assert (found.items_before, found.items_after) == (there.sum(), stays.sum())
    assert found.in_loss == (stays & (plan["loss_mask"] > 0)).sum()
    assert found.context == (stays & ~there & (plan["loss_mask"] == 0)).sum()
    assert found.children == Counter(parents.values()) and list(found.children) == sorted(found.children)
    expected = sorted(parents.items(), key=lambda one: (-one[1], one[0]))[:10]
    assert [(key, number) for key, _, number in found.most_used] == expected
    rows = plan.set_index("key")
    for item in found.made:
        row = rows.loc[item.key]
        assert (item.op, item.base, item.parameters) == (row["op"], row["base"], json.loads(row["parameters"]))
        assert item.neighbor == (row["neighbor"] if isinstance(row["neighbor"], str) else None)
        assert item.lam == (None if pandas.isna(row["lambda"]) else row["lambda"])
    return found


def check_classes(path, found, shown=3):
    """The first `shown` of each class, in the order of the plan, the classes in the order of the labels."""
    index = pandas.read_parquet(path / "utterances.parquet").set_index("key")
    _, made, _ = planned(path)
    expected = [(key, label) for label in found.labels
                for key in [key for key in made["key"] if index.loc[key, "emotion"] == label][:shown]]
    assert [(item.key, item.label) for item in found.made] == expected
    assert all(label == index.loc[key, "emotion"] for key, label, _ in found.most_used)


# -------------------------------------------------------------------------------------------- what was done

def test_smote(demo_road):
    found = check_against_pandas(demo_road / "smote")
    check_classes(demo_road / "smote", found)
    assert found.strategy == "smote" and found.then == [] and found.labels == list(COUNTS)
    assert found.before == COUNTS and set(found.requested.values()) == set(found.after.values()) == {28}
    assert found.shortfall == {} and found.ops == {"keep": 60, "interpolate": 136} and found.made_total == 136
    assert sum(children * parents for children, parents in found.children.items()) == 2 * 136
    assert found.weights == dict.fromkeys(COUNTS, 1.0)
    assert (found.items_before, found.items_after, found.in_loss, found.context) == (60, 196, 196, 0)
    assert (found.scheme, found.several, found.upon) == ("meld-7", False, None)
    assert found.settings["k_neighbors"] == 5 and found.settings["seed"] == 0
    assert not {"strategy", "then", "label_scheme", "sampler"} & set(found.settings)
    assert len(found.made) == 6 * 3 and all(0 <= item.lam <= 1 for item in found.made)
    assert Counter(item.label for item in told(demo_road / "smote").made)["joy"] == 28 - 10 < 20  # all there are


def test_oversample(demo_road):
    found = check_against_pandas(demo_road / "oversample")
    check_classes(demo_road / "oversample", found)
    assert found.ops == {"keep": 60, "repeat": 130} and all(item.neighbor is item.lam is None for item in found.made)


def test_weights_make_nothing(demo_road):
    found = check_against_pandas(demo_road / "weights")
    assert (found.children, found.most_used, found.made, found.made_total) == ({}, [], [], 0)
    assert found.before == found.requested == found.after == COUNTS
    assert found.weights["fear"] == pytest.approx(60 / (7 * 2)) and list(found.weights) == list(COUNTS)


def test_what_is_not_balanced_has_no_balancing(demo_road):
    assert told(demo_road / "features") is None and told(demo_road / "shards") is None


def test_several_strategies(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="undersample", target="neutral=10",
            then=["smote target=0.5 k_neighbors=3"])
    found = check_against_pandas(tmp_path / "out")
    check_classes(tmp_path / "out", found)
    assert (found.strategy, found.then) == ("undersample", ["smote"]) and found.ops["mask"] == 18
    assert found.settings["target"] == "neutral=10" and found.settings["smote: target"] == "0.5"
    assert found.settings["smote: k_neighbors"] == 3


def test_copied_dialogues_have_context_that_is_nobodys_child(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="oversample", target="0.5",
            placement="replace-in-copy")
    plan, made, _ = planned(tmp_path / "out")
    found = check_against_pandas(tmp_path / "out")
    context = plan["base"].notna() & (plan["loss_mask"] == 0)
    assert found.context == context.sum() > 0 and found.made_total == len(made) == found.ops["repeat"] - context.sum()


def test_repeated_dialogues(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="repeat", force=True)
    found = check_against_pandas(tmp_path / "out")
    check_classes(tmp_path / "out", found)
    assert found.strategy == "repeat" and found.made_total > 0
    assert found.shortfall == {label: found.requested[label] - found.after[label] for label in COUNTS
                               if found.requested[label] != found.after[label]}


def test_augmented_clips_have_their_parameters(demo_road, tmp_path):
    balance(demo_road / "shards", tmp_path / "out", strategy="augment", target="fear=4",
            given={"augment_others": 0.2}, recipe=True)
    found = check_against_pandas(tmp_path / "out")
    in_place = [item for item in found.made if item.base == item.key]
    born = [item for item in found.made if item.base != item.key]
    assert in_place and all(item.op == "augment" and item.parameters for item in found.made)
    # A recipe leaves the index as it is: what is made has its base's class.
    assert {item.label for item in born} == {"fear"} and sum(found.children.values()) <= 2
    index = pandas.read_parquet(tmp_path / "out/utterances.parquet").set_index("key")
    assert all(item.label == index.loc[item.base, "emotion"] for item in found.made)


def test_several_labels(demo_road, tmp_path):
    (tmp_path / "several.toml").write_text(SEVERAL)
    balance(demo_road / "features", tmp_path / "out", strategy="ml-ros", labels=str(tmp_path / "several.toml"),
            given={"percent": 50})
    found = check_against_pandas(tmp_path / "out")
    document = json.loads((tmp_path / "out/class_weights.json").read_bytes())
    assert found.weights == {label: value for label, value in document["pos_weight"].items() if value is not None}
    assert "late" not in found.weights  # every utterance has it
    # An item counts for each of its labels, and is one item.
    assert (found.items_before, found.items_after) == (60, 90) and sum(found.before.values()) > 60
    assert (found.scheme, found.several) == ("several", True)
    index = pandas.read_parquet(tmp_path / "out/utterances.parquet").query("split == 'train'").set_index("key")
    has = pandas.DataFrame({"any": index["season"] > 3, "second": index["episode"] > 3, "late": True}, index.index)
    rarest = list(has[index["op"] == "keep"].sum().sort_values(kind="stable").index)
    assert found.made and [item.label for item in found.made] == [
        next(label for label in rarest if has.loc[item.key, label]) for item in found.made]


# -------------------------------------------------------------------------------------------- what lies

@pytest.fixture
def broken(demo_road, tmp_path):
    """Return the function that copies the demo's SMOTE store and changes its plan, its manifest or its weights."""
    def changed(*, plan=None, balance=None, weights=None):
        out = tmp_path / "broken"
        shutil.copytree(demo_road / "smote", out)
        if plan is not None:
            found = plan(pq.read_table(out / "plan.parquet"))
            (out / "plan.parquet").unlink()
            pq.write_table(found, out / "plan.parquet")
        for name, how in (("manifest.json", balance), ("class_weights.json", weights)):
            if how is not None:
                document = json.loads((out / name).read_bytes())
                (out / name).unlink()
                document |= {"balance": {**document["balance"], **how}} if name == "manifest.json" else how
                (out / name).write_text(json.dumps(document))
        return out
    return changed


def every(name, value):
    return lambda plan: with_column(plan, name, [value] * len(plan))


@pytest.mark.parametrize(("lie", "message"), [
    ({"plan": every("parameters", "{")}, "the parameters of this item cannot be read: expected a JSON object"),
    ({"plan": every("parameters", "[1]")}, "expected a JSON object, got no object; balance again"),
    ({"plan": every("parameters", '{"a": NaN}')}, "got NaN is no JSON"),
    ({"plan": every("parameters", "[" * 100_000)}, "got it is nested too deep"),
    ({"plan": every("op", None)}, "the items of the plan do not have an op and a key of their own each"),
    ({"plan": lambda plan: plan.drop_columns(["base"])}, "plan.parquet: the plan cannot be read"),
    ({"balance": {"labels": "joy"}}, "manifest.json: labels of the balancing is not what `balance` writes: expected "
                                     "texts, got 'joy'; balance again"),
    ({"balance": {"then": [3]}}, "then of the balancing is not what `balance` writes"),
    ({"balance": {"upon": 3}}, "upon of the balancing is not what `balance` writes"),
    ({"balance": {"strategy": None}}, "strategy of the balancing is not what `balance` writes"),
    ({"balance": {"before": {"joy": 1}}}, "before of the balancing is not what `balance` writes: expected a number "
                                          "for each class"),
    ({"balance": {"after": dict.fromkeys(COUNTS, float("inf"))}}, "Infinity is no JSON"),
    ({"balance": {"requested": dict.fromkeys(COUNTS, True)}}, "requested of the balancing is not what"),
    ({"balance": {"after": dict.fromkeys(COUNTS, 10 ** 400)}}, "after of the balancing is not what"),
    ({"balance": {"labels": ["fear"]}}, "labels of the balancing are not those of its label scheme"),
    ({"weights": {"weights": {}}}, "class_weights.json: weights of the balancing is not what `balance` writes"),
    ({"weights": {"labels": None}}, "class_weights.json: the weights cannot be read"),
    ({"weights": {"task": "multi-label"}}, "class_weights.json: the weights cannot be read: got KeyError")])
def test_what_balance_does_not_write_is_told_in_one_line(broken, lie, message):
    with pytest.raises(EmoprepError) as error:
        told(broken(**lie))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["mine", ["meld-7"], None])
def test_a_scheme_of_somebodys_own_stands_in_the_settings(demo_road, broken, name):
    found = told(broken(balance={"label_scheme": name}))
    assert found == replace(told(demo_road / "smote"), scheme=str(name))


@pytest.mark.parametrize("then", [True, 3, "smote", {"strategy": "smote"}])
def test_settings_of_later_steps_that_are_no_list_are_none(demo_road, broken, then):
    path = broken()
    document = json.loads((path / "manifest.json").read_bytes())
    document["settings"]["then"] = then
    (path / "manifest.json").unlink()
    (path / "manifest.json").write_text(json.dumps(document))
    assert told(path) == told(demo_road / "smote")


def test_a_plan_that_is_missing_is_told(broken):
    path = broken()
    (path / "plan.parquet").unlink()
    with pytest.raises(MissingInput, match="the store was balanced, and its plan is missing"):
        told(path)


def test_a_plan_that_is_no_parquet_is_told(broken):
    path = broken()
    (path / "plan.parquet").unlink()
    (path / "plan.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(EmoprepError, match="the plan cannot be read"):
        told(path)


def test_without_a_weights_file_there_are_no_weights(broken):
    path = broken()
    (path / "class_weights.json").unlink()
    assert told(path).weights is None


def test_unknown_ops_are_counted_and_items_without_a_base_are_not_made(broken):
    found = told(broken(plan=lambda plan: with_column(with_column(plan, "op", ["conjure"] * len(plan)), "base",
                                                      [None] * len(plan))))
    assert found.ops == {"conjure": 196} and (found.made_total, found.made, found.children) == (0, [], {})


def test_parents_that_are_not_there_have_no_class(broken):
    found = told(broken(plan=every("base", "nobody")))
    assert found.most_used[0] == ("nobody", None, 196) and found.made[0].label == "neutral"


def test_lambda_that_is_no_number_is_none(broken):
    assert {item.lam for item in told(broken(plan=every("lambda", float("nan")))).made} == {None}


def test_a_large_plan(broken):
    """Only what is shown becomes Python objects: 300,000 made items cost columns alone."""
    def large(plan):
        made = plan.filter(pyarrow.compute.is_valid(plan["base"]))
        many = pyarrow.concat_tables([made] * 2000)
        return pyarrow.concat_tables([plan, with_column(many, "key", [f"made{n}" for n in range(len(many))])])
    found = told(broken(plan=large), shown=5)
    assert found.made_total == 136 * 2001 and len(found.made) == 6 * 5
    assert sum(children * parents for children, parents in found.children.items()) == 2 * found.made_total
