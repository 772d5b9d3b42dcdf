"""The numbers of a report's page, table by table and drawing by drawing, against `stats` and the files themselves."""

import re
from collections import Counter

import pandas
import pytest
from test_report_page import Page, check_document, leads

from emoprep.balance import balance
from emoprep.report import report
from emoprep.report.page import render
from emoprep.report.page.drawing import svg

SEVERAL = """
name = "several"
labels = ["any", "second", "late"]
above = 3
[columns]
any = "season"
second = "episode"
late = "source_start"
"""


@pytest.fixture(scope="module")
def shown(demo_road):
    """Return the page of the demo's features before and after SMOTE, and the figures that `stats` has of both."""
    gathered = report(demo_road / "features", other=demo_road / "smote", samples=0)
    before = gathered.figures.to_json()
    return check_document(render(gathered)), before, before["compare"]["with"]


@pytest.fixture(scope="module")
def several(demo_road, tmp_path_factory):
    """Return the page of the demo's features with several labels an utterance, and their figures."""
    scheme = tmp_path_factory.mktemp("several") / "several.toml"
    scheme.write_text(SEVERAL)
    gathered = report(demo_road / "features", labels=str(scheme), samples=0, audited="none", mapped="pca")
    return check_document(render(gathered)), gathered.figures.to_json()


def table(found, caption):
    """Return the rows of the one table whose caption begins so, as {column: what its cells hold in CSV}."""
    tables = []
    for one in found.elements:
        if one["tag"] == "table":
            tables.append({"caption": "", "columns": [], "rows": []})
        elif one["tag"] == "caption":
            tables[-1]["caption"] = one["text"]
        elif one["tag"] == "tr" and "tbody" in one["within"]:
            tables[-1]["rows"].append([])
        elif one["tag"] in ("th", "td"):
            cells = tables[-1]["columns"] if one.get("scope") == "col" else tables[-1]["rows"][-1]
            cells.append(one.get("data-v", one["text"]))
    (only,) = [one for one in tables if one["caption"].startswith(caption)]
    assert all(len(row) == len(only["columns"]) for row in only["rows"])
    return [dict(zip(only["columns"], row, strict=True)) for row in only["rows"]]


def drawing(found, title):
    """Return the elements of the one drawing whose title begins so."""
    drawings = []
    for one in found.elements:
        if one["tag"] == "svg" and one.get("role") == "img":
            drawings.append([])
        elif drawings and "svg" in one["within"]:
            drawings[-1].append(one)
    (only,) = [one for one in drawings if one[0]["text"].startswith(title)]
    return only


def cells(parts):
    return [one["text"] for one in parts if one["tag"] == "text" and one.get("class", "").startswith("in ")]


def clips(road):
    """Return the demo's train utterances as rows of a table of clips."""
    rows = pandas.read_parquet(road / "features/utterances.parquet").query("split == 'train'")
    return rows[["dialogue", "speaker", "emotion", "split"]].assign(file=rows["key"] + ".wav")


def number(cell):
    return float(cell) if cell else None


def percents(values):
    return [f"{100 * value:.0f}" for value in values]


def close(values):
    return pytest.approx(values, rel=1e-6, nan_ok=True)


# ----------------------------------------------------------------------------------------------------- the figures

def test_classes_of_both_sides_and_what_changed(shown):
    found, before, after = shown
    rows = {(row["split"], row["class"]): row for row in table(found, "Classes of each split")}
    assert len(rows) == 3 * 7
    for (split, label), row in rows.items():
        old, new = before["splits"][split], after["splits"][split]
        assert number(row["utterances features"]) == old["counts"][label]
        assert number(row["utterances smote"]) == new["counts"][label]
        assert number(row["share features"]) == close(old["shares"][label])
        assert number(row["share smote"]) == close(new["shares"][label])
        assert number(row["difference"]) == new["counts"][label] - old["counts"][label]
        assert number(row["largest ÷ it"]) == close(new["ratios"][label])
        assert number(row["lacks"]) == new["lacks"][label]
    assert number(rows["train", "fear"]["difference"]) == 26
    lead = found.text("section", id="skew")
    assert "From features to smote the imbalance ratio of train goes 14 → 1." in lead
    # Two bars a class, the pale one first: what was.
    bars = [one for one in drawing(found, "Classes of train") if one["tag"] == "rect"]
    shares = before["splits"]["train"]["shares"], after["splits"]["train"]["shares"]
    assert ["pale" in one["class"] for one in bars] == [True, False] * 7
    widest = max(float(one["width"]) for one in bars)
    assert [float(one["width"]) / widest for one in bars] == pytest.approx(
        [side[label] / max(shares[0].values()) for label in shares[0] for side in shares], abs=0.01)


def test_transitions_are_those_of_the_row_s_class(shown):
    found, before, _ = shown
    group, labels = before["splits"]["train"], before["labels"]
    shares = group["transition_shares"]
    assert any(shares[a][b] != shares[b][a] for a in labels for b in labels)
    rows = table(found, "What follows each class in train")
    for row in rows:
        for label in labels:
            assert number(row[label]) == close(shares[row["after"]][label])
        assert number(row["pairs"]) == group["followed"][row["after"]]
        assert number(row["persistence"]) == close(group["persistence"][row["after"]])
    parts = drawing(found, "Which class follows which in train")
    assert cells(parts) == percents(shares[a][b] for a in labels for b in labels)
    assert [one["text"] for one in parts if one.get("class") == "value"] == [
        str(group["followed"][label]) for label in labels]


def test_dialogues_with_both_are_of_those_with_the_row_s_class(shown):
    found, before, _ = shown
    group, labels = before["splits"]["train"], before["labels"]
    both, having = group["dialogue_co_occurrence"], group["dialogue_counts"]
    assert len(set(having.values())) > 1
    assert cells(drawing(found, "Dialogues of train with both classes")) == percents(
        both[a][b] / having[a] for a in labels for b in labels if a != b)
    for row in table(found, "Dialogues of train with both classes"):
        assert [number(row[label]) for label in labels] == [both[row["with"]][label] for label in labels]
    rare = min(having, key=having.get)
    assert f"In train, {rare} comes up in {having[rare]} of {group['dialogues']} dialogues" in \
        found.text("section", id="together")


def test_lengths_and_their_boxes(shown):
    found, before, _ = shown
    group, labels = before["splits"]["train"], before["labels"]
    lengths = [*(group["seconds_by_class"][label] for label in labels), group["seconds"]]
    names = {"mean": "mean", "shortest": "shortest", "25 %": "p25", "median": "median", "75 %": "p75", "95 %": "p95",
             "99 %": "p99", "longest": "longest"}
    for row, one in zip(table(found, "Seconds an utterance in train"), lengths, strict=True):
        assert {name: number(row[name]) for name in names} == {
            name: close(one[field]) for name, field in names.items()}
        assert number(row["minutes"]) == close(one["total"] / 60)
    parts = drawing(found, "Median length in train")
    ticks = [(float(one["x"]), float(one["text"])) for one in parts if one.get("class") == "tick"]
    (left, low), (right, high) = ticks[0], ticks[-1]

    def seconds(x):
        return low + (float(x) - left) * (high - low) / (right - left)
    medians = [seconds(re.match(r"M([\d.]+) ", one["d"])[1]) for one in parts if one.get("class") == "median"]
    assert medians == pytest.approx([one["median"] for one in lengths], abs=0.03)
    boxes = [one for one in parts if one["tag"] == "rect"]
    assert [seconds(one["x"]) for one in boxes] == pytest.approx([one["p25"] for one in lengths], abs=0.03)
    assert [seconds(float(one["x"]) + float(one["width"])) for one in boxes] == pytest.approx(
        [one["p75"] for one in lengths], abs=0.05)


def test_speakers_and_everyone(shown):
    found, before, _ = shown
    group = before["splits"]["train"]
    for row in table(found, "Utterances of 5 speakers in train"):
        assert number(row["utterances"]) == group["speaker_counts"][row["speaker"]]
        assert {label: number(row[label]) for label in before["labels"]} == group["speaker_emotions"][row["speaker"]]
    parts = drawing(found, "Classes by speaker in train")
    told = [one["text"] for one in parts if one["tag"] == "title"][1:]
    expected = [f"{name}, {label}: {100 * part / sum(counts.values()):.0f} % ({part})" for name, counts in
                (("everyone", group["counts"]), *group["speaker_emotions"].items())
                for label, part in counts.items() if part]
    assert told == expected
    assert [one["text"] for one in parts if one.get("class") == "value"] == [
        str(number) for number in (60, *group["speaker_counts"].values())]
    # What stands in a part is its share; there are those without room for it.
    inside = cells(parts)
    assert inside and not Counter(inside) - Counter(re.search(r": (\d+) %", one)[1] for one in expected)


def test_drift_marks_what_is_rough(shown):
    found, before, after = shown
    for figures, name in ((before, "features"), (after, "smote")):
        rows = table(found, f"Drift between the splits of {name}")
        pairs = [one for others in figures["drift"].values() for one in others.values()]
        assert [number(row["χ²"]) for row in rows] == [close(one["chi2"]) for one in pairs]
        assert [number(row["p"]) for row in rows] == [close(one["p"]) for one in pairs]
    rough = [one["smallest_expected"] < 5 for figures in (before, after) for others in figures["drift"].values()
             for one in others.values()]
    assert all(rough) and found.text("td").count(" rough") == len(rough)


def test_several_labels(several):
    found, figures = several
    group, labels = figures["splits"]["train"], figures["labels"]
    both = {a: {b: group["co_occurrence"].get(a, {}).get(b, group["co_occurrence"].get(b, {}).get(a))
                for b in labels if a != b} for a in labels}
    assert cells(drawing(found, "Utterances of train with both labels")) == percents(
        both[a][b] / group["counts"][a] for a in labels for b in labels if a != b)
    assert both["any"]["late"] / group["counts"]["any"] == 1 != both["any"]["late"] / group["counts"]["late"]
    parts = drawing(found, "Classes by speaker in train")
    assert [one["text"] for one in parts if one.get("class") == "value"] == [
        str(sum(counts.values())) for counts in (group["counts"], *group["speaker_emotions"].values())]
    told = found.text("figcaption")
    assert "in percent of all that each one has; to the right, how many labels these are" in told
    assert "Of several labels it has the colour of the rarest." in told


def test_utterances_that_are_not_counted_are_told(demo_road, tmp_path):
    rows = clips(demo_road)
    rows.loc[rows.index[:9], "emotion"] = "bored"
    rows.to_csv(tmp_path / "clips.csv", index=False)
    labels = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
    (tmp_path / "seven.toml").write_text(f'column = "emotion"\nlabels = {labels}\n[mapping]\n' + "".join(
        f"{label} = '{label}'\n" for label in labels))
    gathered = report(tmp_path / "clips.csv", labels=str(tmp_path / "seven.toml"))
    found = check_document(render(gathered))
    group = gathered.stats.splits["train"]
    assert group["outside"] == 9 and "Outside seven, and so in no class: 9 of 60 utterances of train." in \
        found.text("section", id="skew")
    parts = drawing(found, "Classes by speaker in train")
    assert next(one["text"] for one in parts if one.get("class") == "value") == "51"
    balance(demo_road / "features", tmp_path / "masked", strategy="undersample")
    assert "Masked, and so in no loss and no count: 46 of 60 utterances of train (masked)." in leads(
        report(demo_road / "features", other=tmp_path / "masked", samples=0))["skew"]


def test_a_pair_without_a_split_in_common(demo_road, tmp_path):
    clips(demo_road).drop(columns="split").to_csv(tmp_path / "whole.csv", index=False)
    clips(demo_road).to_csv(tmp_path / "parted.csv", index=False)
    found = check_document(render(report(tmp_path / "whole.csv", other=tmp_path / "parted.csv", audited="none")))
    told = found.text("section", id="skew")
    assert "The two have no split in common, so each one's are shown by themselves." in told
    assert "is the same" not in told
    rows = table(found, "Classes of each split")
    assert [row["split"] for row in rows] == ["all, whole.csv"] * 7 + ["train, parted.csv"] * 7
    assert sum(number(row["utterances"]) for row in rows) == 120


# -------------------------------------------------------------------------------------------------- what changed

def test_what_balancing_changed(shown, demo_road):
    found, before, after = shown
    counts = [figures["splits"]["train"]["counts"] for figures in (before, after)]
    for row in table(found, "Train items before, as requested, and after"):
        old, new = (side[row["class"]] for side in counts)
        assert [number(row[name]) for name in ("before", "after", "after ÷ before")] == [old, new, close(new / old)]
    plan = pandas.read_parquet(demo_road / "smote/plan.parquet")
    parents = Counter([*plan["base"].dropna(), *plan["neighbor"].dropna()])
    assert {int(row["children"]): int(row["parents"]) for row in table(found, "Parents by their number")} == \
        Counter(parents.values())
    made = plan.set_index("key")
    for row in table(found, "Made items, 60 of 136; what is interpolated is base + λ (neighbour − base)"):
        item = made.loc[row["made"]]
        assert (row["op"], row["base"], row["neighbour"]) == (item["op"], item["base"], item["neighbor"])
        assert number(row["λ"]) == close(item["lambda"])
    told = leads(report(demo_road / "smote", samples=0, audited="none"))["balancing"]
    assert ("Balancing by smote took train from 60 to 196 items, and the imbalance ratio from 14 to 1. It made 136 "
            f"items, from {len(parents)} parents, none of which has more than {max(parents.values())} children."
            ) in told
    drawn = [one for one in drawing(found, "Train items:") if one["tag"] == "rect"]
    assert [one["class"].split()[1:] for one in drawn] == [[], *[[], ["pale"]] * 6]


BALANCED = {
    "context": ({"strategy": "oversample", "placement": "replace-in-copy", "target": "0.5"},
                "took train from 60 to 244 items (112 in the loss and 132 as context in copied dialogues), and the "
                "imbalance ratio from 14 to 2. It made 52 items, from"),
    "masked": ({"strategy": "undersample"}, "left train with its 60 items (14 in the loss and 46 masked), and took the "
                                            "imbalance ratio from 14 to 1. What"),
    "short": ({"strategy": "imblearn:SVMSMOTE", "target": "joy=28"},
              "Not every class has just what was asked for: joy has 12 fewer."),
    "other": ({"strategy": "smote", "labels": "meld-3"},
              "It went by the classes of meld-3; the rest of this page has those of meld-7."),
}


@pytest.mark.parametrize(("settings", "expected"), BALANCED.values(), ids=BALANCED)
def test_real_stores_are_told_as_they_are(demo_road, tmp_path, settings, expected):
    balance(demo_road / "features", tmp_path / "out", **settings)
    assert expected in leads(report(tmp_path / "out", samples=0, audited="none", mapped="none"))["balancing"]


def test_upon_what_a_balanced_store_stands(demo_road, tmp_path):
    balance(demo_road / "smote", tmp_path / "out", strategy="weights")
    told = leads(report(tmp_path / "out", samples=0, audited="none", mapped="none"))["balancing"]
    assert "left all 196 items of train where they were" in told
    assert "It stands upon smote, by which the store had been balanced already: that is before." in told


def test_what_repeats_another_is_told_of_the_map(demo_road, tmp_path):
    balance(demo_road / "features", tmp_path / "out", strategy="oversample")
    found = check_document(render(report(tmp_path / "out", samples=0, audited="none")))
    told = found.text("section", id="map")
    assert "All 60 train rows that are no copies, of " in told
    assert "audio, video, text. 136 rows more are copies and lie on their originals." in told


# ------------------------------------------------------------------------------------------------------- the rest

def test_commands_that_the_page_gives_work(demo_road, tmp_path, emoprep):
    """From the annotation alone to a page with all there is, by what each page says."""
    found = Page(render(report(demo_road / "MELD.Raw", audited="none", samples=1)))
    commands = [one["text"] for one in found.all("code") if one["text"].startswith("emoprep ")]
    places = {"IN": demo_road / "MELD.Raw", **{name: tmp_path / name for name in ("OUT", "SHARDS", "FEATURES")}}
    for command in dict.fromkeys(commands):
        words = [places.get(word, word) for word in command.split()[1:]]
        more = ["-o", tmp_path / "page.html", "--overwrite"] if words[0] == "report" else []
        emoprep(*words, *more, check=True)
    assert [command.split()[1] for command in commands] == [
        "balance", "report", "segment", "features", "report", "segment", "report"]
    assert "leave out --audit none" in found.text("ul", class_="lacking")


def test_a_store_of_features_is_not_segmented(demo_road, several):
    found = check_document(render(report(demo_road / "features", audited="none")))
    assert [one["text"] for one in found.all("code") if one["text"].startswith("emoprep ")] == [
        "emoprep balance IN OUT --strategy smote", "emoprep report IN --compare OUT",
        "emoprep report IN --shards SHARDS"]
    assert "emoprep balance IN OUT --strategy mlsmote" in several[0].text("code")
    told = leads(report(demo_road / "features", mapped="none", samples=0))["missing"]
    assert "leave out --map none" in told and "leave out --samples 0" in told


def test_nothing_in_a_drawing_is_markup():
    title = svg(10, 10, "</title><script>alert(1)</script>", [])
    assert not Page(title).all("script")
