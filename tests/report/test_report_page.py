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
from emoprep.report.page.charts import DARK_FROM, Bar, bars, heat
from emoprep.report.page.colours import SLOTS, colour_slots
from emoprep.report.page.feature_map import WIDTH, frame

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}"
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
                       None, 9)
    made = Made(HOSTILE, labels[1], "interpolate", HOSTILE, HOSTILE, 0.25, {"semitones": -1.5})
    balanced = Balancing("mine", ["weights"], {"target": HOSTILE}, labels, *(dict.fromkeys(labels, 1.0),) * 3,
                         {labels[2]: 3}, None, {"keep": 2, HOSTILE: 1}, {1: 1}, [(HOSTILE, None, 1)], [made], 5)
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
    assert policy.startswith("default-src 'none'")
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
    found = check_document(render(full))
    assert len(found.all("script")) == 2 and not [one for one in found.all("img") if "onerror" in one]
    assert json.loads(found.text("script", id="points"))["keys"][0] == HOSTILE
    for tag in ("blockquote", "pre", "dd", "li", "th", "td", "code", "b", "span"):
        assert HOSTILE in found.text(tag), tag
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
    assert found.text("h1") == "<b onclick=alert(3)>"
    assert HOSTILE in found.text("th", scope="row")
    assert found.all("section", id="missing") and not found.all("section", id="wall")


def test_nothing_to_show(demo_road, tmp_path):
    header = (demo_road / "MELD.Raw/dev_sent_emo.csv").read_text(encoding="utf-8").split("\n")[0]
    (tmp_path / "dev_sent_emo.csv").write_text(header + "\n", encoding="utf-8")
    found = check_document(render(report(tmp_path, audited="none")))
    assert [one["id"] for one in found.all("section")] == ["missing"]
    assert "4 sections have nothing to show here." in found.text("p", class_="lead")


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
    assert "There is no nobody at all in the whole corpus: no model can learn it here." in lead
    assert "خوف" in found.text("bdi") and "nothing could be looked at" in found.text("section", id="audit")
    assert not found.all("section", id="durations")


@pytest.mark.shared
def test_numbers_of_meld(shared):
    gathered = report(shared / "real" / "meld")
    html = render(gathered)
    found = check_document(html)
    assert len(html.encode()) < 250_000  # a map of 3,000 points takes 160 kB beside it
    lead = found.text("p", class_="lead")
    assert ("A model that always says neutral is right for 47.2 % of train, 42.4 % of dev and 48.1 % of test "
            "(accuracy); its macro F1 in train is only 9.2 %, because it never finds any other class. The class fear "
            "has 268 of 9,989 (2.7 %), one for every 17.6 of neutral.") in lead
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
    gathered = report(shared / "real" / "mosei", audited="none")
    found = check_document(render(gathered))
    train = gathered.stats.splits["train"]
    assert "An utterance of train has 1.38 labels on average; 2,391 of 16,327 have none." in found.text(
        "p", class_="lead")
    assert f"{train['co_occurrence']['anger']['disgust'] / train['counts']['anger'] * 100:.0f}" == "46"
    assert "of the utterances with the row's label" in found.text("figcaption")
    assert "What always saying" not in found.text("caption")


def test_accepted_findings_stand_apart(pair):
    name, result = next(iter(pair.audits.items()))
    findings = [Finding("too-long", ("test",), 1, "utterances", 20, "", [Example(("k",), HOSTILE)]),
                Finding("speaker-overlap", ("train", "test"), 20, "utterances", 20, reason="so is `MELD`")]
    found = check_document(render(replace(pair, audits={name: replace(result, findings=tuple(findings))})))
    open_one, accepted = (found.text("article", id=f"audit-{check}") for check in ("too-long", "speaker-overlap"))
    assert CHECKS["too-long"].mend in open_one and "1 of 20 utterances" in open_one
    assert "Accepted: so is MELD" in accepted and "To mend it" not in accepted
    clean = check_document(render(replace(pair, audits={name: replace(result, findings=())})))
    assert "Nothing that is not accepted was found" in clean.text("section", id="audit")


def test_every_chart_has_its_numbers(pair):
    found = check_document(render(pair))
    tables = [one for one in found.all("table") if "details" in one["within"] and "figure" in one["within"]]
    # The table of what balancing changed stands open below its bars.
    assert len(found.all("figure")) - 1 == len(tables) == len(found.all("details", class_="numbers"))
    assert "Train items before, as requested, and after" in found.text("caption")


# ------------------------------------------------------------------------------------------------------- charts

def test_bars_beside_each_other_are_of_one_scale():
    texts = ["4,710 · 47.2 %", "1"]
    widths = [float(re.search(r'<rect[^>]* width="([\d.]+)"', bars([Bar("joy", 2, (0.5,), text)], 0.5, "", texts))[1])
              for text in texts]
    assert widths[0] == widths[1] > 100


def test_marks_of_a_heat_map_follow_its_values():
    drawn = heat(["a", "b"], ["a", "b"], [[0.2, None], [0.0, 0.4]], [["20", ""], ["0", "40"]], "shares", strongest=0.4)
    assert re.findall(r'fill-opacity="([\d.]+)"', drawn) == ["0.5", "0", "1"]
    assert drawn.count("in on") == 1


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
