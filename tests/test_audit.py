"""`emoprep audit` from the shell: what is true of MELD's real rows, exit codes, acceptance, settings, JSON."""

import json

import pytest

from emoprep.audit import CHECKS, audit, plan_audit


@pytest.fixture(scope="module")
def meld(shared):
    """Return the findings on MELD's real csv files, by check and splits."""
    result = audit(plan_audit(shared / "real" / "meld"))
    return {(finding.check, finding.splits): finding for finding in result.findings}


def counts(findings, check):
    return {splits: finding.count for (name, splits), finding in findings.items() if name == check}


# ------------------------------------------------- MELD's real rows, with figures counted without this program

def test_keys_of_meld_that_collide(meld):
    assert counts(meld, "key-collision") == {("train", "dev"): 675, ("train", "test"): 1740, ("dev", "test"): 670}


def test_episodes_and_speakers_of_meld(meld):
    episodes, speakers = meld["episode-overlap", ("train", "test")], meld["speaker-overlap", ("train", "test")]
    assert (episodes.count, episodes.of) == (142, 143)
    assert (speakers.count, speakers.of, round(speakers.facts["share"], 3)) == (2501, 2610, 0.958)
    assert not counts(meld, "dialogue-overlap")


def test_texts_of_meld(meld):
    texts = meld["text-overlap", ("train", "test")]
    assert (texts.count, texts.of, texts.facts["five_words"]) == (400, 2610, 8)
    assert not counts(meld, "dialogue-text-overlap")  # none but "Hello?" and the like


def test_times_of_meld(meld):
    assert counts(meld, "time-overlap") == {("train", "test"): 35, ("train", "dev"): 8}
    same, other = counts(meld, "same-time"), counts(meld, "same-time-other-label")
    assert sum(count for splits, count in same.items() if len(splits) == 1) == 25
    assert sum(count for splits, count in other.items() if len(splits) == 1) == 13
    assert sum(count for splits, count in same.items() if len(splits) == 2) == 5
    leaks = {one.keys for one in meld["same-time", ("train", "test")].examples}
    assert {("meld_train_dia12_utt7", "meld_test_dia85_utt0"),
            ("meld_train_dia12_utt8", "meld_test_dia85_utt1")} < leaks


def test_broken_rows_of_meld(meld):
    assert {one.keys[0] for one in meld["too-long", ("test",)].examples} == {
        "meld_test_dia38_utt4", "meld_test_dia220_utt0"}
    short = {one.keys[0] for one in meld["too-short", ("train",)].examples}
    assert {f"meld_train_dia{clip}" for clip in ("71_utt0", "179_utt8", "312_utt9", "332_utt1", "406_utt2",
                                                  "523_utt10", "338_utt3")} < short
    assert not counts(meld, "label-sentiment") and not counts(meld, "resampled-before-split")


def test_labels_of_mosei_against_their_sentiment(shared):
    """Segments with only happy, or only some of sad, anger, disgust and fear, and the other sentiment of 1 or more."""
    import h5py

    with h5py.File(shared / "real" / "mosei" / "CMU_MOSEI_Labels.csd") as file:
        labels = [row for video in file["All Labels/data"].values() for row in video["features"][()]]
    # sentiment, happy, sad, anger, surprise, disgust, fear
    wrong = sum(bool((row[0] >= 1 and row[1] <= 0 and max(row[2], row[3], row[5], row[6]) > 0)
                     or (row[0] <= -1 and row[1] > 0 and max(row[2], row[3], row[5], row[6]) <= 0)) for row in labels)
    result = audit(plan_audit(shared / "real" / "mosei"))
    assert sum(one.count for one in result.findings if one.check == "label-sentiment") == wrong > 300


# ----------------------------------------------------------------------------------------------- the command

def test_findings_end_with_code_4(emoprep, demo_road):
    done = emoprep("audit", demo_road / "MELD.Raw")
    assert done.returncode == 4
    line = next(line for line in done.stdout.splitlines() if line.startswith("speaker-overlap  train, test: "))
    assert "20 of 20 utterances (100.0 % of test; 5 of its 5 speakers)" in line
    assert done.stdout.count("→ split by speaker") == 1
    assert done.stdout.splitlines()[-1].endswith(" findings") and "95 utterances" in done.stdout.splitlines()[-1]
    assert "not possible: session-overlap: there is no column session" in done.stderr
    assert "not possible" not in emoprep("audit", demo_road / "MELD.Raw", "-q").stderr


def test_json_is_the_contracts(emoprep, demo_road):
    done = emoprep("audit", demo_road / "features", "--json", "-q")
    assert done.returncode == 4 and done.stderr == ""
    document = json.loads(done.stdout)
    assert document["schema"] == "emoprep.audit/1" and document["utterances"] == 95
    for finding in document["findings"]:
        assert {"check", "splits", "count", "examples", "accepted"} <= set(finding)
        assert finding["check"] in CHECKS and type(finding["count"]) is int and finding["accepted"] is False
        assert len(finding["examples"]) <= 20 and finding["examples"][0]["keys"]
    assert set(document["thresholds"]) == set(CHECKS)
    assert "sound-duplicate" in document["not_possible"]


def test_all_examples_with_verbose(emoprep, demo_road):
    few, all_of_them = (json.loads(emoprep("audit", demo_road / "MELD.Raw", "--json", *more).stdout)
                        for more in ((), ("-v",)))
    collisions = [next(one for one in document["findings"] if one["splits"] == ["train", "test"]
                       and one["check"] == "text-overlap") for document in (few, all_of_them)]
    assert len(collisions[1]["examples"]) == collisions[1]["count"] >= len(collisions[0]["examples"])


ALL_OF_THE_DEMO = ("key-collision", "time-overlap", "speaker-overlap", "episode-overlap", "text-overlap",
                   "long-text-overlap", "too-short")


def test_accepted_findings_pass_with_their_reason(emoprep, demo_road, tmp_path):
    settings = tmp_path / "emoprep.toml"
    reasons = "\n".join(f'{check} = "it is a demo = no data"' for check in ALL_OF_THE_DEMO)
    settings.write_text(f'[audit]\nlabels = "meld-3"\n[audit.accept]\n{reasons}\n[stats]\nlabels = "meld-3"\n')
    done = emoprep("audit", demo_road / "MELD.Raw", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "    accepted: it is a demo = no data" in done.stdout and "→" not in done.stdout
    assert "nothing was found, " in done.stdout.splitlines()[-1]
    document = json.loads(emoprep("audit", demo_road / "MELD.Raw", "--json", cwd=tmp_path).stdout)
    assert {(one["accepted"], one["reason"]) for one in document["findings"]} == {(True, "it is a demo = no data")}
    # The command line wins.
    assert emoprep("audit", demo_road / "MELD.Raw", "--accept", "too-short=so it is", cwd=tmp_path).returncode == 4
    assert emoprep("stats", demo_road / "MELD.Raw", cwd=tmp_path).returncode == 0


def test_thresholds_in_the_settings(emoprep, demo_road, tmp_path):
    (tmp_path / "emoprep.toml").write_text("[audit.threshold]\nspeaker-overlap = 1\ntoo-short = 0.01\n"
                                           "text-overlap = 1.0\n")
    done = emoprep("audit", demo_road / "MELD.Raw", "--json", "-q", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert not {"speaker-overlap", "text-overlap"} & {one["check"] for one in document["findings"]}
    assert document["thresholds"]["too-short"] == 0.01


@pytest.mark.parametrize(("text", "message"), [
    ('[audit.accept]\nspeakers = "few"\n', "no such check"),
    ('[audit.accept]\nspeaker-overlap = ""\n', "a finding is accepted with a reason"),
    ("[audit.accept]\nspeaker-overlap = 1\n", "a finding is accepted with a reason"),
    ("[audit.accept]\nspeaker-overlap = true\n", "this entry is no text and no number"),
    ('[audit.threshold]\ntoo-long = "long"\n', "this threshold is not possible"),
    ('[audit.accepted]\nspeaker-overlap = "few"\n', "the command has no such option"),
])
def test_settings_that_are_wrong_are_refused(emoprep, demo_road, tmp_path, text, message):
    (tmp_path / "emoprep.toml").write_text(text)
    done = emoprep("audit", demo_road / "MELD.Raw", cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_in_that_is_none(emoprep, tmp_path, demo_road):
    assert emoprep("audit", tmp_path / "nothing").returncode == 5
    assert emoprep("audit", demo_road / "features", "--twins", "plain").returncode == 2
    assert emoprep("audit", demo_road / "features", "--corpus", "iemocap").returncode == 2


def test_names_that_could_steer_a_terminal_are_shown_as_text(emoprep, tmp_path):
    (tmp_path / "a.wav").touch()
    rows = [f"{key},a.wav,{at},{at + 3},{split} {key},{key},Hello [red] \x1b[2J all of you out there,joy,{split}"
            for key, at, split in (("one", 0, "train"), ("two", 10, "test"))]
    (tmp_path / "clips.csv").write_text("\n".join([
        "key,file,start,end,speaker,dialogue,text,emotion,split", *rows, ""]))
    done = emoprep("audit", tmp_path / "clips.csv")
    assert done.returncode == 4 and "\x1b" not in done.stdout
    assert "one = two  Hello [red] \\x1b[2J all of you out there" in done.stdout


def test_the_page_has_an_entry_for_every_check():
    import re
    from pathlib import Path

    page = (Path(__file__).resolve().parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    entries = re.findall(r"^### ([a-z-]+)\n\n(.*?)(?=^##|\Z)", page, re.M | re.S)
    assert [name for name, _ in entries] == list(CHECKS)
    for name, entry in entries:
        number = f"{CHECKS[name].threshold:g}".replace("-", "−")
        assert f"Threshold: {number}" in entry, name
        assert "To do:" in entry, name
