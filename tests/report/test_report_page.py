"""The report's page, as text: its HTML, its numbers, its colours, and what hostile data cannot do."""

import base64
import csv
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import emoprep.report.page as page
from emoprep.audit import CHECKS, Example, Finding
from emoprep.methods.metrics import majority_scores
from emoprep.report import report
from emoprep.report.contents import Balancing, FeatureMap, Made, Sample, Wall
from emoprep.report.page import render
from emoprep.report.page.charts import DARK_FROM, Bar, Box, Change, Stack, bars, boxes, changes, heat, hundred, stacks
from emoprep.report.page.colours import SLOTS, colour_slots
from emoprep.report.page.drawing import length
from emoprep.report.page.feature_map import MARGIN, WIDTH, frame

HOSTILE = "</script ><!--<script></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """A page as a list of elements (tag, attributes, text within), every one of them closed in order."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(html)
        self.close()
        assert not self.open, [element["tag"] for element in self.open]

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        element = {"tag": tag, "text": "", "within": [one["tag"] for one in self.open], **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1]["tag"] == tag, (tag, [one["tag"] for one in self.open], self.getpos())
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        return [one for one in self.elements if one["tag"] == tag
                and all(one.get(name.strip("_").replace("_", "-")) == value for name, value in attributes.items())]

    def text(self, tag="body", **attributes):
        return " ".join(" ".join(one["text"] for one in self.all(tag, **attributes)).replace("\xa0", " ").split())


@pytest.fixture(scope="module")
def pair(demo_road):
    """Return the report of the demo's features before and after SMOTE, with samples of its shards."""
    return report(demo_road / "features", other=demo_road / "smote", shards=demo_road / "shards", samples=2)


@pytest.fixture(scope="module")
def full(pair):
    """Return the page of everything there is, with hostile values wherever a corpus could put some."""
    labels = pair.stats.scheme.labels
    sample = Sample(HOSTILE, None, None, 3, HOSTILE, HOSTILE, [labels[0], labels[1]],
                    {"emotion": HOSTILE, "none": None}, None, None, None, [HOSTILE], "augment", [HOSTILE],
                    {"semitones": 1.5})
    found = FeatureMap("tsne", HOSTILE, labels, np.array([[0, 0], [1, 2], [3, 1]], np.float32), np.array([0, 1, -100]),
                       [HOSTILE, "k1", "k2"], np.array([False, False, True]), np.array([[-1, -1], [-1, -1], [0, 1]]),
                       None, 9, 0)
    made = Made(HOSTILE, labels[1], "interpolate", HOSTILE, HOSTILE, 0.25, {"semitones": -1.5})
    balanced = Balancing("mine", ["weights"], {"target": HOSTILE}, labels, *(dict.fromkeys(labels, 1.0),) * 3,
                         {labels[2]: 3}, None, {"keep": 2, HOSTILE: 1}, {1: 1}, [(HOSTILE, None, 1)], [made],
                         5, 0, 7, 7, 7, 0, HOSTILE, False, HOSTILE)
    return replace(pair, wall=Wall(HOSTILE, {label: [sample] if label != labels[3] else [] for label in labels},
                                   [HOSTILE]), feature_map=found, balancing=balanced, notes=[HOSTILE], licence=HOSTILE,
                   citation=HOSTILE, missing={"map": HOSTILE})


def check_document(html):
    """Return the parsed page after what must be so of each."""
    found = Page(html)
    ids = [one["id"] for one in found.elements if "id" in one]
    assert len(ids) == len(set(ids))
    for link in found.all("a"):
        assert link["href"].startswith("#") and link["href"][1:] in ids
    for one in found.elements:
        assert not [name for name in one if name.startswith("on")]
        assert one.get("src", "data:").startswith("data:")
    levels = [int(one["tag"][1]) for one in found.elements if re.fullmatch("h[1-6]", one["tag"])]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    for drawing in found.all("svg", role="img"):
        assert drawing["text"].strip()
    assert all(one["scope"] in ("col", "row") for one in found.all("th"))
    assert all(one["alt"] for one in found.all("img"))
    assert len(found.all("caption")) == len(found.all("table")) == len(found.all("button", class_="quiet csv"))
    script = next(one["text"] for one in found.all("script") if "type" not in one)
    policy = next(one["content"] for one in found.all("meta") if one.get("http-equiv"))
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert re.sub("sha256-[^']+", "sha256-…", policy) == (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-…'; "
        "base-uri 'none'; form-action 'none'")
    return found


def test_page_of_a_pair(pair):
    found = check_document(render(pair))
    assert found.text("h1") == "features → smote"
    assert [one["id"] for one in found.all("section")] == ["skew", "transitions", "speakers", "durations", "together",
                                                           "balancing", "map", "audit", "wall"]
    assert "From features to smote the imbalance ratio of train goes 14 → 1." in found.text("p", class_="lead")
    assert len(found.all("audio")) == sum(sample.sound is not None for samples in pair.wall.samples.values()
                                          for sample in samples) > 0
    assert all(one["src"].startswith("data:audio/mpeg;base64,") for one in found.all("audio"))
    points = json.loads(found.text("script", id="points"))
    assert [points["prefix"] + key for key in points["keys"]] == list(pair.feature_map.keys)
    assert len(points["parents"]) == pair.feature_map.made.sum() > 0


def test_hostile_values_stay_text(full):
    html = render(full)
    found = check_document(html)
    assert len(found.all("script")) == 2 and not [one for one in found.all("img") if "onerror" in one]
    assert json.loads(found.text("script", id="points"))["keys"][0] == HOSTILE
    # A browser reads on after `<!--<script>`, so there is no such letter.
    assert "<" not in re.search('id="points">(.*?)</script>', html)[1]
    for tag in ("blockquote", "pre", "dd", "li", "th", "td", "code", "b", "span"):
        assert HOSTILE in found.text(tag), tag
    assert not found.all("p", class_="axes")  # t-SNE has none that mean anything
    assert found.text("blockquote").count("alert(1)") == len(full.stats.scheme.labels) - 1
    assert found.text("p", class_="none").count("No sample of this class.") == 1


def test_hostile_corpus(demo_road, tmp_path):
    """Speakers, texts and the folder's own name come from outside, too."""
    source = tmp_path / "<b onclick=alert(3)>"
    source.mkdir()
    with (demo_road / "MELD.Raw/dev_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (source / "dev_sent_emo.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"Speaker": HOSTILE, "Utterance": HOSTILE} for row in rows)
    found = check_document(render(report(source)))
    assert found.text("h1").endswith("/<b onclick=alert(3)>")
    assert HOSTILE in found.text("th", scope="row")
    assert found.all("section", id="missing") and not found.all("section", id="wall")


def test_nothing_to_show(demo_road, tmp_path):
    header = (demo_road / "MELD.Raw/dev_sent_emo.csv").read_text(encoding="utf-8").split("\n")[0]
    (tmp_path / "dev_sent_emo.csv").write_text(header + "\n", encoding="utf-8")
    found = check_document(render(report(tmp_path, audited="none")))
    assert [one["id"] for one in found.all("section")] == ["missing"]
    assert "5 sections have nothing to show." in found.text("p", class_="lead")


def test_unsplit_corpus_with_odd_classes(tmp_path):
    labels = ["a class whose name is long", "خوف", "喜び", *(f"class {number}" for number in range(9)), "nobody"]
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "dialogue", "speaker", "emotion"])
        writer.writerows([f"{row}.mp4", f"d{row // 6}", "", labels[row % 12]] for row in range(60))
    scheme = tmp_path / "own.toml"
    scheme.write_text(f'column = "emotion"\nlabels = {json.dumps(labels, ensure_ascii=False)}\n[mapping]\n' + "".join(
        f"{json.dumps(label, ensure_ascii=False)} = {json.dumps(label, ensure_ascii=False)}\n" for label in labels),
        encoding="utf-8")
    found = check_document(render(report(tmp_path / "rows.csv", labels=str(scheme))))
    lead = found.text("p", class_="lead")
    assert "Of nobody there is nothing in the whole corpus: no model can learn it here." in lead
    assert "No check could be made here; below it says why." in lead
    # What was not looked at is not clean.
    assert [one["text"] for one in found.all("strong")] == ["∞", "0.97", "12.0", "–"]
    assert "خوف" in found.text("svg") and "all: " not in found.text("figcaption")
    # No speaker has no name: a table without the column is no corpus of one speaker.
    assert [one["id"] for one in found.all("section")] == ["skew", "transitions", "together", "audit", "missing"]
    lacking = found.text("ul", class_="lacking")
    assert "Who speaks: nobody is named" in lacking and "How long they are: no length is known" in lacking
    assert [one["text"] for one in found.all("code") if one["text"].startswith("emoprep ")] == [
        "emoprep split IN SPLIT --by dialogue --dev 0.1 --test 0.2", "emoprep balance SPLIT OUT --strategy oversample",
        "emoprep report SPLIT --compare OUT",
        "emoprep segment IN SHARDS", "emoprep features SHARDS FEATURES", "emoprep report IN --features FEATURES",
        "emoprep segment IN SHARDS", "emoprep report IN --shards SHARDS"]


@pytest.mark.shared
def test_numbers_of_meld(shared):
    gathered = report(shared / "real" / "meld")
    html = render(gathered)
    found = check_document(html)
    assert len(html.encode()) < 250_000  # a map of 3,000 points takes 160 kB beside it
    lead = found.text("p", class_="lead")
    assert found.text("ul", class_="says") == (
        "For each utterance of fear, train has 17.6 of neutral. Train and test are not apart: episode-overlap in 142 "
        "of 143 episodes and speaker-overlap in 2,501 of 2,610 utterances.")
    assert ("A model that always says neutral is right for 47.2 % of train, 42.4 % of dev and 48.1 % of test; it never "
            "finds any other class, and so its macro F1 on train is 9.2 %. Of fear there are 268 in 9,989 (2.7 %), one "
            "for every 17.6 of neutral.") in lead
    assert ("In train, after neutral the next turn is neutral again 55.5 % of the time, after fear it is fear again "
            "11.6 %.") in lead
    assert "47 neutral 17 joy 12 surprise" in " ".join(one["text"] for one in found.all("text"))
    table = next(one["text"] for one in found.all("table") if "What always saying neutral scores" in one["text"])
    for split, group in gathered.stats.splits.items():
        scores = majority_scores(group["counts"])
        for value in (scores.accuracy, scores.weighted_f1, scores.macro_f1, scores.uar):
            assert f"{100 * value:.1f} %" in table, split
    raw = [one.get("data-v") for one in found.all("td")]
    assert f"{gathered.stats.splits['train']['transition_shares']['joy']['anger']:.10g}" in raw
    audited = found.text("section", id="audit")
    assert "142 of 143 episodes" in audited and "1,740 of 2,610 keys" in audited and "and 672 more" in audited
    assert "95.8 % of test" in lead


@pytest.mark.shared
def test_several_labels(shared):
    gathered = report(shared / "real" / "mosei")
    found = check_document(render(gathered))
    train = gathered.stats.splits["train"]
    assert "An utterance of train has 1.38 labels on average; 2,391 of 16,327 have none." in found.text(
        "p", class_="lead")
    assert f"{train['co_occurrence']['anger']['disgust'] / train['counts']['anger'] * 100:.0f}" == "46"
    assert "of the utterances with the row's label" in found.text("figcaption")
    assert "What always saying" not in found.text("caption")
    # 399 utterances are of no fold, and of no split called none; no two people speak in one video.
    assert "23,259: train 16,327, dev 1,871, test 4,662, in no split 399" in found.text("dd")
    assert "in no split 4 of 399 utterances" in found.text("article") and "The same for what is in no split" in \
        found.text("summary")
    assert "own turns" not in found.text("td") and "speaker's next" not in found.text("p", class_="lead")


def test_accepted_findings_stand_apart(pair):
    name, result = next(iter(pair.audits.items()))
    findings = [Finding("too-long", ("test",), 1, "utterances", 20, "", [Example(("k",), HOSTILE)]),
                Finding("speaker-overlap", ("train", "test"), 20, "utterances", 20, reason="so is `MELD`")]
    found = check_document(render(replace(pair, audits={name: replace(result, findings=tuple(findings))})))
    open_one, accepted = (found.text("article", id=f"audit-{check}") for check in ("too-long", "speaker-overlap"))
    assert CHECKS["too-long"].mend in open_one and "1 of 20 utterances" in open_one
    assert "Accepted: so is MELD" in accepted and "To mend it" not in accepted
    assert "Nothing that is not accepted was found" not in found.text("section", id="audit")
    clean = check_document(render(replace(pair, audits={name: replace(result, findings=())})))
    assert "Nothing that is not accepted was found" in clean.text("section", id="audit")


def test_every_chart_has_its_numbers(pair):
    found = check_document(render(pair))
    tables = [one for one in found.all("table") if "details" in one["within"] and "figure" in one["within"]]
    # The table of what balancing changed stands open below its bars.
    assert len(found.all("figure")) - 1 == len(tables) == len(found.all("details", class_="numbers"))
    assert "Train items before, as requested, and after" in found.text("caption")


# ---------------------------------------------------------------------------------------------- what it says

def leads(gathered):
    found = check_document(render(gathered))
    return {one["id"]: re.sub(r"\s+", " ", one["text"].replace("\xa0", " ")) for one in found.all("section")}


def test_one_class_and_one_row(tmp_path):
    (tmp_path / "clips.csv").write_text("file,text,emotion,speaker,dialogue,split\na.wav,hi,joy,Ann,d0,train\n")
    found = check_document(render(report(tmp_path / "clips.csv")))
    lead = found.text("p", class_="lead")
    assert "There is one class only, joy" in lead and "macro F1" not in found.text()
    assert "In train 1 person speaks." in lead and "1 largest" not in found.text()
    assert [one["text"] for one in found.all("strong")] == ["–"]


def test_classes_that_are_numbers_are_quoted(tmp_path):
    rows = "".join(f"{row}.wav,{0 if row % 3 else -3},d{row // 8},train\n" for row in range(24))
    (tmp_path / "clips.csv").write_text(f"file,emotion,dialogue,split\n{rows}")
    told = leads(report(tmp_path / "clips.csv"))
    assert "A model that always says “0” is right for 66.7 % of train" in told["skew"]
    assert "Of “-3” there are 8 in 24 (33.3 %), one for every 2 of “0”." in told["skew"]
    assert "is to repeat “-3”." in told["together"] or "is to repeat “0”." in told["together"]


def balanced(pair, **changed):
    labels = pair.stats.scheme.labels
    counts = dict(zip(labels, (28, 7, 2, 4, 10, 3, 6), strict=True))
    facts = {"strategy": "mine", "then": [], "settings": {}, "labels": labels, "before": counts, "requested": counts,
             "after": counts, "shortfall": {}, "weights": None, "ops": {}, "children": {}, "most_used": [], "made": [],
             "made_total": 0, "changed_total": 0, "items_before": 60, "items_after": 60, "in_loss": 60, "context": 0,
             "scheme": pair.stats.scheme.name, "several": False, "upon": None}
    return leads(replace(pair, balancing=Balancing(**facts | changed)))["balancing"]


def test_what_balancing_did_is_told_as_it_was(pair):
    labels = pair.stats.scheme.labels
    weights = dict(zip(labels, (0.5, 1, 8, 2, 1, 3, 1), strict=True))
    told = balanced(pair, weights=weights)
    assert "left all 60 items of train where they were, and the imbalance ratio stayed 14. In the loss, an item of " \
        "fear weighs 16 times one of neutral." in told
    assert "What each class weighs in the loss" in told and "Train items of each class" not in told
    # What was changed in its place was not made, and has no parent but itself.
    place = Made("k", labels[0], "augment", "k", None, None, {})
    assert "It changed 3 items in place and added none." in balanced(pair, made=[place], changed_total=3)
    child = Made("c", labels[0], "augment", "k", None, None, {})
    told = balanced(pair, made=[place, child], made_total=4, changed_total=57, children={1: 1, 3: 1})
    assert "It made 4 items, from 2 parents, none of which has more than 3 children. It changed 57 items in " \
        "place." in told
    assert "Made items, and those that were changed in place, which are their own base, 2 of 61" in told
    assert "It made 1 item, from one parent." in balanced(pair, made=[child], made_total=1, children={1: 1})
    told = balanced(pair, shortfall={"fear": -1, "joy": 3})
    assert "Not every class has just what was asked for: joy has 3 fewer and fear has 1 more." in told
    assert "lacks (−: has more)" in told
    fewer = dict.fromkeys(labels, 2)
    told = balanced(pair, after=fewer, requested=fewer, items_after=14, in_loss=14)
    assert "from 60 to 14 items, and the imbalance ratio from 14 to 1." in told
    assert "taken away" in told and "added" not in told


def test_a_pair_of_equal_shares_says_so(demo_road):
    shards = demo_road / "shards"
    told = leads(report(shards, other=shards, samples=0))["skew"]
    assert "the imbalance ratio of train is the same, 14." in told and "→" not in told and "before:" not in told


def test_the_audit_of_a_pair_is_told_once(pair):
    name, other = pair.audits
    result = pair.audits[name]
    both = Finding("speaker-overlap", ("train", "test"), 20, "utterances", 20)
    before = replace(result, findings=(both, Finding("text-overlap", ("train", "test"), 4, "utterances", 20),
                                       Finding("text-rate", ("train",), 2, "utterances", 60)),
                     not_possible={"silent": "no sounds"})
    after = replace(result, findings=(both, Finding("text-overlap", ("train", "test"), 5, "utterances", 20),
                                      Finding("synthetic-leak", ("train", "test"), 1, "rows", 20)),
                    not_possible={"silent": "no sounds"})
    html = render(replace(pair, audits={name: before, other: after}))
    found = check_document(html)
    assert [one["id"] for one in found.all("article")] == [
        f"audit-{check}" for check in ("speaker-overlap", "text-overlap", "synthetic-leak", "text-rate")]
    assert f"in {name}" not in found.text("article", id="audit-speaker-overlap")
    assert f"4 of 20 utterances in {name} train – test 5 of 20 utterances in {other}" in found.text(
        "article", id="audit-text-overlap")
    assert "New after balancing: synthetic-leak. Gone after balancing: text-rate." in found.text("p", class_="lead")
    assert "20.0 % → 25.0 %" in html and "– → 5.0 %" in html
    # What could not be looked at afterwards has not gone.
    blind = replace(after, findings=(both,), not_possible={"text-rate": "no times", "text-overlap": "no texts"})
    told = leads(replace(pair, audits={name: before, other: blind}))["audit"]
    assert "Balancing added none." in told and "Gone" not in told and "20.0 % →" not in told
    # Sounds are in a third store: that the others have none is not told of them.
    heard = replace(result, findings=(Finding("silent", ("train",), 3, "utterances", 60),), not_possible={})
    found = check_document(render(replace(pair, audits={name: before, other: after, "heard": heard})))
    assert "3 of 60 utterances" in found.text("article", id="audit-silent")
    assert "in heard" not in found.text("article", id="audit-silent") and "no sounds" not in found.text("section")


def test_a_sample_is_told_in_words(pair):
    label = pair.stats.scheme.labels[0]
    sample = Sample("k", "train", None, None, "Ann", "hi", [label],
                    {"votes": ["E1:Neutral", "E2:Sad"], "source_end": 1000.92, "mean": 1 / 3, "sure": True,
                     "box": {"left": 2, "right": None}}, 1.0, 0.0, 1.0, (), "keep", (), {})

    def told(**changed):
        return leads(replace(pair, wall=Wall("store", {label: [replace(sample, **changed)]})))["wall"]
    assert "votes E1:Neutral, E2:Sad · source_end 1000.92 · mean 0.333 · sure yes · box left 2, right none" in told()
    assert "Ann · train · 1.0 s" in told() and "of the sound" not in told(sound=b"ID3", heard_seconds=0.95)
    assert "no speaker named · train" in told(speaker="") and "no speaker named · train" in told(speaker=" ")
    assert "6.0 s · the first 2.5 s of the sound" in told(seconds=6.0, sound=b"ID3", heard_seconds=2.5)
    long = told(text="a" * 10 ** 6, annotation={"note": "b" * 10 ** 6})
    assert f"“{'a' * 4000}…”" in long and f"note {'b' * 4000}…" in long and len(long) < 10_000


def test_utterances_of_one_length_are_seen(pair):
    group = pair.stats.splits["train"]
    seconds = dict.fromkeys(("mean", "shortest", "p25", "median", "p75", "p95", "p99", "longest"), 3.0) | {"total": 180}
    by_class = dict.fromkeys(pair.stats.scheme.labels, seconds)
    stats = replace(pair.stats, splits={"train": group | {"seconds": seconds, "seconds_by_class": by_class}})
    told = leads(replace(pair, figures=stats, names=pair.names[:1]))["durations"]
    assert "Every utterance of it takes 3 s." in told and "longer than" not in told
    drawn = boxes([Box("joy", 2, (3, 3, 3, 3, 3), "")], 3, [0, 3], "seconds")
    assert re.search(r'class="median" d="M[\d.]+ 4v18"', drawn)


def test_a_page_of_paper_for_each_split_is_not_printed(pair):
    found = check_document(render(pair))
    folds = [one for one in found.all("details") if "The same for" in one["text"]]
    assert len(folds) == 6 and all(one["class"] == "fold unprinted" for one in folds)


# ------------------------------------------------------------------------------------------------------- charts

def test_bars_beside_each_other_are_of_one_scale():
    texts = ["4,710 · 47.2 %", "1"]
    widths = [float(re.search(r'<rect[^>]* width="([\d.]+)"', bars([Bar("joy", 2, (0.5,), text)], 0.5, "", texts))[1])
              for text in texts]
    assert widths[0] == widths[1] > 100


def test_nothing_in_a_chart_is_markup():
    label, title, text = (f"{HOSTILE}{number}" for number in range(3))
    for drawn in (bars([Bar(label, 1, (1,), text)], 1, title), changes([Change(label, 1, 1, 2, text)], title),
                  stacks([Stack(label, [(1, label, 1)], text)], title), hundred([(1, label, 1)], title),
                  boxes([Box(label, 1, (1, 2, 3, 4, 5), text)], 5, [0, 5], title),
                  heat([label], [label], [[1.0]], [[text]], title, behind=[text])):
        found = Page(drawn)
        assert {one["tag"] for one in found.elements} <= {"svg", "title", "text", "rect", "path"}
        # A browser takes all that stands here as text; Python's parser does not know `<svg>`'s title to be.
        assert title in found.text("title") and label in found.text("title") + found.text("text")
        assert text in found.text("text") or drawn == hundred([(1, label, 1)], title)


def test_parts_of_a_stack_are_its_shares():
    found = Page(stacks([Stack("Joey", [(0, "neutral", 3), (2, "joy", 1)], "4")], "speakers"))
    assert [one["text"] for one in found.all("title")] == ["speakers", "Joey, neutral: 75 % (3)", "Joey, joy: 25 % (1)"]
    assert [one["text"] for one in found.all("text") if one.get("class", "").startswith("in")] == ["75", "25"]
    widths = [float(one["width"]) + 1 for one in found.all("rect")]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)


def test_a_change_is_drawn_in_its_direction():
    found = Page(changes([Change("fear", 5, 2, 8, "2 → 8"), Change("joy", 2, 9, 3, "9 → 3")], "items"))
    kinds = [(one["class"], float(one["width"])) for one in found.all("rect")]
    assert [kind for kind, _ in kinds] == ["c5", "c5 pale", "c2", "c2 gone"]
    assert kinds[1][1] == pytest.approx(3 * kinds[0][1], rel=0.02) and kinds[3][1] == pytest.approx(
        2 * kinds[2][1], rel=0.02)


def test_the_line_in_a_box_is_its_median():
    found = Page(boxes([Box("joy", 2, (0, 1, 2, 6, 9), "")], 10, [0, 1, 2, 3.6, 6, 10], "seconds"))
    at = {one["text"]: one["x"] for one in found.all("text", class_="tick")}
    for line in ("halo", "median"):
        assert [one["d"] for one in found.all("path", class_=line)] == [f"M{at['2']} 4v18"]
    assert found.all("rect")[0]["x"] == at["1"]


def test_marks_of_a_heat_map_follow_its_values():
    drawn = heat(["a", "b"], ["a", "b"], [[0.2, None], [0.0, 0.4]], [["20", ""], ["0", "40"]], "shares", strongest=0.4)
    assert re.findall(r'fill-opacity="([\d.]+)"', drawn) == ["0.5", "0", "1"]
    assert drawn.count("in on") == 1


def test_names_have_room():
    """Px of 12 px DejaVu Sans, which is wide: what is thought shorter is cut off at the left."""
    for name, taken in {"M3YB7LmMq4": 85, "сдержанное": 78, "surprise": 48, "illicit": 28}.items():
        assert taken <= length(name) < 1.35 * taken, name


def test_what_lies_beyond_the_edge_lies_at_the_edge():
    """A line of points within the drawing would look like something that the features have."""
    rng = np.random.default_rng(0)
    xy = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(40, 2)) * (90, 1), rng.normal(size=(9, 2)) * 900])
    framed = frame(xy.astype(np.float32))
    x, y = framed.px(xy)
    for drawn, size in ((x, WIDTH), (y, framed.height)):
        assert drawn.min() <= MARGIN + 1 and drawn.max() >= size - MARGIN - 1


def test_coordinates_survive_their_steps(pair):
    found = Page(render(pair))
    points = json.loads(found.text("script", id="points"))
    assert np.allclose(np.array(points["xy"]) * points["step"], pair.feature_map.xy.ravel(), atol=points["step"])


def test_points_beyond_the_edge_are_told(pair):
    rng = np.random.default_rng(0)
    for far, told in ((0, ""), (1, "1 point lies beyond the edge and is drawn at it."),
                      (2, "2 points lie beyond the edge and are drawn at it.")):
        xy = rng.uniform(size=(100, 2))
        xy[:far] = 1000
        found = FeatureMap("pca", "store: text", pair.stats.scheme.labels, xy, np.zeros(100, np.int16),
                           [f"k{row}" for row in range(100)], np.zeros(100, bool), np.full((100, 2), -1), (0.3, 0.2),
                           100, 0)
        caption = Page(render(replace(pair, feature_map=found))).text("figcaption")
        assert told in caption and ("beyond the edge" in caption) == bool(told)


def test_a_crowd_is_drawn_finer(pair):
    many = 2000
    found = FeatureMap("pca", "store: text", pair.stats.scheme.labels, np.random.default_rng(0).normal(size=(many, 2)),
                       np.zeros(many, np.int16), [f"k{row}" for row in range(many)], np.zeros(many, bool),
                       np.full((many, 2), -1), (0.3, 0.2), many, 0)
    assert Page(render(replace(pair, feature_map=found))).all("div", class_="stage crowded")
    assert Page(render(pair)).all("div", class_="stage sparse")


def test_one_point_far_away_does_not_shrink_the_map():
    xy = np.concatenate([np.random.default_rng(0).normal(size=(200, 2)), [[1000, 1000]]]).astype(np.float32)
    framed = frame(xy)
    x, y = framed.px(xy)
    assert np.ptp(x[:200]) > WIDTH / 4
    assert x.min() >= 0 and y.min() >= 0 and x.max() <= WIDTH and y.max() <= framed.height
    assert len(set(zip(*framed.px(np.zeros((3, 2), np.float32)), strict=True))) == 1


# ------------------------------------------------------------------------------------------------------- colours

STYLE = (Path(page.__file__).parent / "style.css").read_text(encoding="utf-8")


def tones(name):
    """Return a variable's colours on light and dark, float [3] each from 0 to 1."""
    value = re.search(rf"--{name}: (?:light-dark\(([^,]+), ([^)]+)\)|([^;]+));", STYLE)
    both = (value[1], value[2]) if value[1] else (value[3], value[3])
    texts = [text.strip().lstrip("#") for text in both]
    return [np.array([int(part, 16) / 255 for part in re.findall("..", text if len(text) == 6 else
                                                                 "".join(2 * letter for letter in text))])
            for text in texts]


def linear(colour):
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Return the contrast of WCAG 2."""
    light, dark = sorted((float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme):
    for ground in ("paper", "card", "wash"):
        for ink in ("ink", "soft", "accent", "warn"):
            assert contrast(tones(ink)[theme], tones(ground)[theme]) >= 4.5, (ink, ground)
    for slot in range(SLOTS):
        assert contrast(tones(f"i{slot}")[theme], tones(f"c{slot}")[theme]) >= 4.5, slot
        assert contrast(tones(f"c{slot}")[theme], tones("card")[theme]) >= 3, slot
    for strength in np.linspace(0, 1, 101):
        cell = strength * tones("heat")[theme] + (1 - strength) * tones("card")[theme]
        ink = tones("on" if strength >= DARK_FROM else "off")[theme]
        assert contrast(ink, cell) >= 4.4, strength


# Machado et al. 2009, severity 1, on linear RGB.
SEEN_BY = {
    "all cones": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}


def oklab(colours):
    """Return Ottosson's OKLab of linear RGB [K, 3]."""
    cones = np.cbrt(colours @ np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                                        [0.2119034982, 0.6806995451, 0.1073969566],
                                        [0.0883024619, 0.2817188376, 0.6299787005]]).T)
    return cones @ np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                             [0.0259040371, 0.7827717662, -0.8086757660]]).T


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_eight_classes_are_told_apart(theme, eyes):
    colours = linear(np.array([tones(f"c{slot}")[theme] for slot in range(8)]))
    seen = oklab(np.clip(colours @ SEEN_BY[eyes].T, 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(8, 1)]
    assert apart.min() > 0.08  # about four times what is just told apart side by side


def test_slots_are_used_once():
    labels = ["joy", "happy", "neutral", *(f"class {number}" for number in range(9))]
    assert sorted(colour_slots(labels).values()) == list(range(SLOTS))
    assert colour_slots(["anger"])["anger"] == colour_slots([*labels[:2], "anger"])["anger"]
    assert len(colour_slots([f"class {number}" for number in range(30)])) == 30
