"""`emoprep report` from the command line: what IN may be, what is not on the page and why, and where it is written."""

from __future__ import annotations

import json
import os
import re
import shutil

import mosei_miniature
import pytest

from emoprep.audit import plan_audit
from emoprep.errors import UsageError
from emoprep.report import report


def told(done):
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1  # one document
    return json.loads(done.stdout)


@pytest.mark.parametrize("source, sections, missing", [
    ("MELD.Raw", ["figures", "audit"], {"balancing": "balance", "map": "features", "wall": "segment"}),
    ("shards", ["figures", "audit", "wall"], {"balancing": "balance", "map": "--features STORE"}),
    ("features", ["figures", "map", "audit"], {"balancing": "balance", "wall": "--shards STORE"}),
    ("smote", ["figures", "balancing", "map", "audit"], {"wall": "--shards STORE"}),
    ("oversample", ["figures", "balancing", "audit", "wall"], {"map": "--features STORE"}),
    ("weights", ["figures", "balancing", "audit"], {"map": "features", "wall": "shards"}),
])
def test_what_is_there_is_shown_and_of_the_rest_is_told_why(demo_road, tmp_path, emoprep, source, sections, missing):
    found = told(emoprep("report", demo_road / source, "-o", "page.html", "--json", cwd=tmp_path))
    assert (found["schema"], found["out"], found["sections"]) == ("emoprep.report/1", "page.html", sections)
    assert found["missing"].keys() == missing.keys()
    assert all(word in found["missing"][name] for name, word in missing.items())
    page = (tmp_path / "page.html").read_text()
    assert found["bytes"] == len(page.encode()) and page.startswith("<!DOCTYPE html>")
    assert str(demo_road) not in page  # a page that is sent away tells nothing of the machine
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_default_file_and_what_is_said(demo_road, tmp_path, emoprep):
    done = emoprep("report", demo_road / "features", "--samples", 0, "--map", "none", "--audit", "none", cwd=tmp_path)
    assert re.fullmatch(r"report\.html: figures; 0\.[0-9] MB\n", done.stdout)
    assert done.stderr.splitlines() == [
        "not on the page: audit: it was not asked for (--audit none)",
        "not on the page: balancing: nothing was balanced; `emoprep balance` does it",
        "not on the page: map: it was not asked for (--map none)",
        "not on the page: wall: it was not asked for (--samples 0)"]
    assert (tmp_path / "report.html").is_file()
    done = emoprep("report", demo_road / "features", "-q", cwd=tmp_path)
    assert done.stderr == ""


def test_samples_and_features_come_from_where_they_are_named(demo_road, tmp_path, emoprep):
    found = told(emoprep("report", demo_road / "MELD.Raw", "--shards", demo_road / "shards", "--samples", 1,
                         "--features", demo_road / "smote", "--modality", "text", "-o", tmp_path / "a.html", "--json"))
    assert found["sections"] == ["figures", "map", "audit", "wall"]
    page = (tmp_path / "a.html").read_text()
    assert page.count("<audio ") == 7 and "text" in page


@pytest.mark.parametrize("arguments, code, said", [
    (["--shards", "features"], 2, "the store is of another kind: expected shards, got features"),
    (["--features", "shards"], 2, "the store is of another kind: expected features, got shards"),
    (["--features", "nowhere"], 5, "this is no store"),
    (["--map", "umap"], 2, "--map: not known: expected pca, tsne, none, got umap"),
    (["--audit", "some"], 2, "--audit: not known: expected rows, all, none, got some"),
    (["--modality", "smell"], 2, "expected audio or video or text, got smell"),
    (["--samples", "51"], 2, "--samples"),
    (["--samples", "0", "--shards", "shards"], 2, "--shards and --samples 0 exclude each other"),
    (["--map", "none", "--features", "features"], 2, "--features and --map none exclude each other"),
    (["--map", "none", "--modality", "text"], 2, "--modality and --map none exclude each other"),
    (["--compare", "nowhere"], 5, "IN is not there"),
    (["-o", "nowhere/page.html"], 2, "no page can be written here"),
    (["-o", "features"], 2, "something that is no file"),
    (["--accept", "key-collision="], 2, "key-collision"),
])
def test_what_cannot_be_done_is_told_in_a_line(demo_road, tmp_path, emoprep, arguments, code, said):
    for name in ("features", "shards"):
        (tmp_path / name).symlink_to(demo_road / name)
    done = emoprep("report", "features", *arguments, cwd=tmp_path)
    assert done.returncode == code and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "report.html").exists()


def test_a_store_of_another_corpus_is_refused(demo_road, tmp_path, emoprep):
    corpus = mosei_miniature.build_miniature(tmp_path, media=False).folder
    done = emoprep("report", corpus, "--shards", demo_road / "shards", cwd=tmp_path)
    assert done.returncode == 2 and "another corpus: expected mosei, got meld" in done.stderr


def test_only_a_report_is_written_over(demo_road, tmp_path, emoprep):
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>The work of years</title>")
    how = ["report", demo_road / "MELD.Raw", "-o", page]
    done = emoprep(*how)
    assert done.returncode == 2 and "this file is no report" in done.stderr
    assert "work of years" in page.read_text()
    assert emoprep(*how, "--overwrite").returncode == 0
    first = page.read_bytes()
    assert emoprep(*how).returncode == 0  # a report makes way for a newer one
    assert page.read_bytes() == first  # and the same corpus gives the same page


def test_what_the_audit_accepts_is_accepted_here_too(demo_road, tmp_path, emoprep):
    (tmp_path / "emoprep.toml").write_text('[audit.accept]\nkey-collision = "keys have the split"\n'
                                           "[audit.threshold]\ntext-overlap = 1.0\n")
    emoprep("report", demo_road / "MELD.Raw", cwd=tmp_path, check=True)
    page = (tmp_path / "report.html").read_text()
    assert "keys have the split" in page
    assert 'id="audit-text-overlap"' not in page and "long-text-overlap" in page
    # The table of the command itself wins.
    (tmp_path / "emoprep.toml").write_text('[audit.accept]\nkey-collision = "keys have the split"\n'
                                           '[report.accept]\nkey-collision = "for this page"\n')
    emoprep("report", demo_road / "MELD.Raw", cwd=tmp_path, check=True)
    page = (tmp_path / "report.html").read_text()
    assert "for this page" in page and "keys have the split" not in page


def test_sounds_and_pictures_are_audited_when_asked(demo_road):
    shards = demo_road / "shards"
    assert len(plan_audit(shards, media=False).tasks) == 0 < len(plan_audit(shards).tasks)
    rows, everything = (next(iter(report(shards, audited=audited, samples=0).audits.values()))
                        for audited in ("rows", "all"))
    of_media = {"sound-duplicate", "picture-duplicate", "silent", "clipped", "frozen", "black", "av-length-differs"}
    assert {rows.not_possible[check] for check in of_media} == {"no sound and no picture was looked at"}
    assert not of_media & everything.not_possible.keys()
    # A store of features has none; those of the shards that are named with it are looked at.
    of_pair = report(demo_road / "features", shards=shards, audited="all", mapped="none").audits
    assert [result.kind for result in of_pair.values()] == ["features", "shards"]
    assert not of_media & list(of_pair.values())[1].not_possible.keys()
    with pytest.raises(UsageError, match="--audit"):
        report(shards, audited="everything")


def test_a_folder_whose_name_is_no_utf_8(demo_road, tmp_path, emoprep):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    for table in sorted((demo_road / "MELD.Raw").rglob("*_sent_emo.csv")):
        shutil.copy(table, folder)
    found = told(emoprep("report", folder, "-o", tmp_path / "page.html", "--json"))
    assert found["sections"] == ["figures", "audit"] and "\\udce9" in (tmp_path / "page.html").read_text()


def test_a_pair_in_the_wrong_order_is_told(demo_road):
    found = report(demo_road / "smote", other=demo_road / "features", samples=0, mapped="none", audited="none")
    assert any("exchange them" in note for note in found.notes)
    found = report(demo_road / "features", other=demo_road / "smote", samples=0, mapped="none", audited="none")
    assert not any("exchange them" in note for note in found.notes)


def test_meld_as_it_was_published(shared, tmp_path, emoprep):
    """The figures that MELD's annotation is known for stand on the page of the csv files alone."""
    emoprep("report", shared / "real" / "meld", "-o", tmp_path / "page.html", check=True)
    page = (tmp_path / "page.html").read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\xa0", " ")
    for known in ("always says neutral is right for 47.2 %", "142 of 143 episodes",
                  "1,740 of 2,610 keys", "35 of 2,610 utterances"):
        assert known in text, known
    assert len(page) < 400_000
