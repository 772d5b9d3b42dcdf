"""What papers did, as data: each preset is one that balance can carry out, and stands on its page as it is."""

import json
import re
from pathlib import Path

import pytest

from emoprep import presets
from emoprep.cli import program
from emoprep.contracts import find_strategy, modules, settle
from emoprep.errors import UsageError
from emoprep.labels import MULTI
from emoprep.methods.augmentation import read_ranges
from emoprep.methods.class_weights import SCHEMES, class_weights
from emoprep.methods.label_weights import label_weights
from emoprep.methods.targets import decide_targets

RECIPES = Path(__file__).resolve().parents[1] / "docs" / "recipes"
BOTH = [(name, corpus) for name in presets.names() for corpus in presets.corpora(name)]
MELD = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271, "anger": 1109}


def scheme_of(corpus, name):
    return next(scheme for scheme in modules("corpora")[corpus].SCHEMES if scheme.name == name)


@pytest.mark.parametrize(("name", "corpus"), BOTH)
def test_settings_are_options_of_balance(name, corpus):
    preset = presets.read(name, corpus)
    options = {parameter.name: parameter for parameter in program().commands["balance"].params}
    unknown = set(preset.settings) - set(options)
    assert not unknown, unknown
    for option, value in preset.settings.items():
        assert isinstance(value, tuple) == bool(getattr(options[option], "multiple", False)), option
    # The random seed, where things lie and what is overwritten are no paper's business.
    assert not {"in", "out", "seed", "jobs", "force", "overwrite", "dry_run"} & set(preset.settings)


@pytest.mark.parametrize(("name", "corpus"), BOTH)
def test_settings_are_understood(name, corpus):
    settings = presets.read(name, corpus).settings
    strategy, scheme = find_strategy(settings["strategy"], settings), scheme_of(corpus, settings["labels"])
    assert scheme.task in strategy.TASKS
    settle(strategy.OPTIONS, {option: value for option, value in settings.items() if option in strategy.OPTIONS})
    assert ("target" in settings) == (strategy.DIRECTION in ("over", "under"))
    if "target" in settings:
        counts = dict.fromkeys(scheme.labels, 1000)
        assert set(decide_targets(settings["target"], counts, strategy.DIRECTION)) == set(counts)
    if strategy.NAME == "augment":
        read_ranges(settings["param"])  # within what keeps the emotion: without force
    assert settings["scheme"].partition("=")[0] in SCHEMES
    assert settings.get("focal_gamma", 0) >= 0


@pytest.mark.parametrize("name", presets.names())
def test_the_page_has_the_settings(name):
    text = (RECIPES / f"{name}.md").read_text(encoding="utf-8")
    there = presets.corpora(name)
    section = text.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M))
    columns = {key: [cell.strip() for cell in row.split(" | ")] for key, row in rows.items()}
    for at, corpus in enumerate(there):
        shown = {key: cells[0] if cells[at] == "the same" else cells[at] for key, cells in columns.items()}
        wanted = {key: ", ".join(f"`{part}`" for part in (value if isinstance(value, tuple) else (value,)))
                  for key, value in presets.read(name, corpus).settings.items()}
        assert shown == wanted
    assert f"--preset {name}" in text
    for heading in ("What is exact", "leaves open, and how it was decided", "Errata"):
        assert re.search(rf"^## .*{heading}$", text, re.M), heading


def test_each_page_has_its_preset():
    assert sorted(path.stem for path in RECIPES.glob("*.md")) == list(presets.names())


def test_what_they_come_to():
    """The numbers on the pages, from the settings."""
    table6 = presets.read("cberl-table6", "meld").settings
    assert list(decide_targets(table6["target"], MELD, "over").values()) == [4710, 1205, 468, 743, 1743, 471, 1169]
    assert set(class_weights(MELD, table6["scheme"]).weights.values()) == {1.0}
    iemocap = dict(zip(scheme_of("iemocap", presets.read("cberl-table6", "iemocap").settings["labels"]).labels,
                       (504, 839, 1324, 933, 742, 1468), strict=True))
    assert list(decide_targets("preset:cberl-table6", iemocap, "over").values()) == [754, 959, 1404, 1183, 862, 1548]
    light, framework = presets.read("meld-lightweight", "meld").settings, presets.read("mcea", "meld").settings
    assert decide_targets(light["target"], MELD, "over") == MELD
    assert set(read_ranges(light["param"])) == {"pitch", "noise", "flip", "rotate", "brightness", "contrast",
                                                "saturation", "hue"}
    assert set(read_ranges(framework["param"])) == {"pitch", "flip", "brightness"}
    assert set(decide_targets(framework["target"], MELD, "over").values()) == {4710}
    mosei = presets.read("mosei-class-weights", "mosei").settings
    assert scheme_of("mosei", mosei["labels"]).task == MULTI
    pair = label_weights({"fear": 8600}, 100_000, mosei["scheme"]).weights["fear"]
    assert [round(weight, 4) for weight in pair.values()] == [5.8140, 0.5470]


@pytest.mark.parametrize("name", presets.names())
def test_titles_papers_and_notes(name):
    for corpus in presets.corpora(name):
        preset = presets.read(name, corpus)
        assert preset.name == name and preset.title and preset.paper and preset.notes
        assert all(isinstance(note, str) and "\n" not in note for note in preset.notes)
        assert corpus in modules("corpora")


@pytest.mark.parametrize("name", [name for name, corpus in BOTH if corpus == "meld"])
def test_a_run_by_a_preset_alone(name, emoprep, demo_road, tmp_path):
    done = emoprep("balance", demo_road / "MELD.Raw", tmp_path / "out", "--preset", name, "--dry-run", "--json",
                   check=True)
    document, preset = json.loads(done.stdout), presets.read(name, "meld")
    assert document["strategy"] == preset.settings["strategy"] and document["label_scheme"] == preset.settings["labels"]
    assert document["requested"] == decide_targets(preset.settings["target"], document["before"], "over")
    assert any(preset.paper in note for note in document["notes"])
    assert set(preset.notes) <= set(document["notes"])


@pytest.mark.parametrize(("name", "corpus", "text"), [
    ("cberl", "meld", "--preset: no such preset: expected cberl-table6 or mcea or meld-lightweight or "
                      "mosei-class-weights, got cberl"),
    ("../presets/mcea", "meld", "--preset: no such preset: expected cberl-table6 or mcea or meld-lightweight or "
                                "mosei-class-weights, got ../presets/mcea"),
    ("cberl-table6", "mosei", "--preset: cberl-table6 is of another corpus: expected meld or iemocap, got mosei; for "
                              "mosei there is mosei-class-weights"),
    ("mcea", "table", "--preset: mcea is of another corpus: expected meld or iemocap, got table; no preset is for "
                      "table; give --strategy and its options"),
])
def test_what_there_is_not(name, corpus, text):
    with pytest.raises(UsageError) as refused:
        presets.read(name, corpus)
    assert str(refused.value) == text
