"""The Makefile of docs/makefile-recipes.md is run: everything once, nothing twice, and no-ops after a touch."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "makefile-recipes.md"
STORES = ("shards/meld", "features/meld", "balanced/meld-smote", "weights/meld")
STATS = ("stats/meld.json", "stats/meld-smote.json")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make program")


def make(folder, *args):
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of the `make test` that this may run in
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(["make", f"EMOPREP={sys.executable} -m emoprep", *args], cwd=folder, capture_output=True,
                          text=True, encoding="utf-8", check=False, timeout=300, env={**environment, "LC_ALL": "C"})


def commands(done):
    """Return the emoprep commands that make printed, in order."""
    return re.findall(r"-m emoprep (\w+) (\S+)", done.stdout)


def files(folder):
    """Return {name: (bytes' size, mtime)} of all that was made."""
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
            for root in ("shards", "features", "balanced", "weights", "stats", "report.html")
            for path in sorted([folder / root, *(folder / root).rglob("*")]) if path.is_file()}


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the page's Makefile."""
    (code,) = re.findall(r"^```make\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    (tmp_path / "Makefile").write_text(code, encoding="utf-8")
    return tmp_path


@pytest.fixture
def corpus(demo_road, folder):
    """Return a corpus of its own beside the Makefile."""
    return shutil.copytree(demo_road / "MELD.Raw", folder / "MELD.Raw")


def test_the_road_is_made_once_and_then_left_alone(folder, corpus):
    first = make(folder)
    assert first.returncode == 0, first.stderr
    assert sorted(commands(first)) == [
        ("balance", "MELD.Raw"), ("balance", "features/meld"), ("features", "shards/meld"),
        ("report", "features/meld"), ("segment", "MELD.Raw"), ("stats", "balanced/meld-smote"),
        ("stats", "shards/meld")]
    for store in STORES:
        assert json.loads((folder / store / "manifest.json").read_text())["schema"] == "emoprep.store/1"
    counts = [json.loads((folder / name).read_text())["splits"]["train"]["counts"] for name in STATS]
    assert list(counts[0].values()) == [28, 7, 2, 4, 10, 3, 6] and set(counts[1].values()) == {28}

    before = files(folder)
    second = make(folder)
    assert second.returncode == 0, second.stderr
    assert "Nothing to be done for 'all'" in second.stdout and not commands(second)
    assert files(folder) == before

    # Nor after the annotation was touched: every command runs, finds its output complete, and says so to make.
    for table in corpus.rglob("*.csv"):
        table.touch()
    third = make(folder)
    assert third.returncode == 0, third.stderr
    assert len(commands(third)) == 7
    after = files(folder)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {*(f"{store}/manifest.json" for store in STORES), *STATS, "report.html"}
    assert {name: size for name, (size, _) in after.items()} == {name: size for name, (size, _) in before.items()}
    assert "Nothing to be done for 'all'" in make(folder).stdout


def test_a_changed_annotation_is_not_written_over_unasked(folder, corpus):
    weights = "weights/meld/manifest.json"
    assert make(folder, weights).returncode == 0
    table, before = corpus / "train" / "train_sent_emo.csv", files(folder)
    text = table.read_bytes()
    assert b",disgust," in text
    table.write_bytes(text.replace(b",disgust,", b",anger,", 1))
    stopped = make(folder, weights)
    assert stopped.returncode == 2 and "train_sent_emo.csv" in stopped.stderr and "--overwrite" in stopped.stderr
    assert files(folder) == before
    asked = make(folder, weights, "OVERWRITE=--overwrite")
    assert asked.returncode == 0, asked.stderr
    counts = json.loads((folder / "weights/meld/class_weights.json").read_text())["counts"]
    assert (counts["anger"], counts["disgust"]) == (7, 2)


def test_a_failure_leaves_no_target(folder):
    failed = make(folder)  # there is no MELD.Raw
    assert failed.returncode == 2 and "MELD.Raw" in failed.stderr
    assert not list(folder.rglob("*.json"))
    # A store that is there and cannot be counted: the half-written JSON goes.
    (folder / "MELD.Raw").mkdir()
    (folder / "shards/meld").mkdir(parents=True)
    (folder / "shards/meld/manifest.json").write_text("no manifest")
    failed = make(folder, "stats/meld.json")
    assert failed.returncode == 2 and "Deleting file 'stats/meld.json'" in failed.stderr
    assert not (folder / "stats/meld.json").exists()
