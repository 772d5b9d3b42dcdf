"""Each check of the annotation finds what is planted for it, and nothing in rows that share nothing."""

import json
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet as pq
import pytest

from emoprep.audit import CHECKS, plan_audit
from emoprep.errors import UsageError


def clean(row):
    """Return rows of three splits that have nothing in common: other dialogues, speakers, texts, times, episodes."""
    numbers = {"train": 0, "dev": 3, "test": 5}
    return [row(split, number + dialogue, utterance) for split, number in numbers.items()
            for dialogue in range(2) for utterance in range(4)]


def test_nothing_clean_is_accused(meld, row, findings_of):
    result, _ = findings_of(meld(clean(row)))
    assert result.findings == () and result.utterances == 24
    assert result.not_possible["sound-duplicate"] == "IN has no shards; `emoprep segment` makes them"
    assert not {"key-collision", "time-overlap", "speaker-overlap", "text-overlap"} & set(result.not_possible)


def planted(meld, row, findings_of, *rows, checks, **how):
    """Audit the clean rows and these; return the findings of `checks`, which are all there are."""
    _, found = findings_of(meld([*clean(row), *rows]), **how)
    assert set(found) == set(checks)
    return [found[check] for check in checks]


def test_keys_that_are_one_without_their_split(meld, row, findings_of):
    (findings,) = planted(meld, row, findings_of, row("test", 0, 1), row("test", 0, 2), checks=["key-collision"])
    assert [(one.splits, one.count, one.of) for one in findings] == [(("train", "test"), 2, 10)]
    assert findings[0].examples[0].keys == ("meld_train_dia0_utt1", "meld_test_dia0_utt1")


def test_shared_time(meld, row, findings_of):
    times, episodes = planted(meld, row, findings_of, row("test", 9, 0, episode=0, start=5, end=8),
                              row("dev", 7, 0, episode=1, start=3, end=43),
                              checks=["time-overlap", "episode-overlap"])
    assert [(one.splits, one.count) for one in times] == [(("train", "test"), 1)]
    assert times[0].examples[0].keys == ("meld_train_dia0_utt1", "meld_test_dia9_utt0")
    assert times[0].examples[0].detail == "2.00 s of S1E0"
    assert [(one.splits, one.count, one.of) for one in episodes] == [(("train", "test"), 1, 2)]


def test_times_that_only_touch_are_not_shared(meld, row, findings_of):
    planted(meld, row, findings_of, row("test", 9, 0, episode=0, start=7, end=8), checks=["episode-overlap"])


def test_one_place_and_other_labels(meld, row, findings_of):
    place = {"episode": 7, "start": 50, "end": 53}
    same, other = planted(
        meld, row, findings_of, row("train", 8, 0, **place),
        row("train", 8, 1, emotion="anger", sentiment="negative", **place),
        row("train", 8, 2, episode=7, start=60, end=63), row("train", 8, 3, episode=7, start=60, end=63),
        checks=["same-time", "same-time-other-label"])
    assert [(one.splits, one.count) for one in same] == [(("train",), 2)]
    assert [(one.splits, one.count) for one in other] == [(("train",), 1)]
    assert other[0].examples[0].detail == "S1E7 50 to 53 s: joy, anger"


def test_speakers(meld, row, findings_of):
    (findings,) = planted(meld, row, findings_of, row("test", 9, 0, speaker="train 1"),
                          row("test", 9, 1, speaker="train 1"), row("test", 9, 2, speaker="train 2"),
                          checks=["speaker-overlap"])
    assert [(one.splits, one.count, one.of) for one in findings] == [(("train", "test"), 3, 11)]
    assert findings[0].facts["speakers"] == 2 and findings[0].facts["share"] == 3 / 11
    assert findings[0].examples[0].keys == ("train 1",)


def test_texts_short_and_long(meld, row, findings_of):
    short, long = planted(
        meld, row, findings_of, row("train", 8, 0, text="You have to go to the doctor!"),
        row("test", 9, 0, text=" you have to – GO to the doctor".replace("– ", "")), row("train", 8, 1, text="Oh!"),
        row("test", 9, 1, text="Oh."), row("test", 9, 2, text="…"), row("train", 8, 3, text="…"),
        row("train", 8, 2),
        checks=["text-overlap", "long-text-overlap"])
    assert [(one.splits, one.count, one.facts["five_words"]) for one in short] == [(("train", "test"), 2, 1)]
    assert [(one.splits, one.count) for one in long] == [(("train", "test"), 1)]


def test_whole_dialogues(meld, row, findings_of):
    lines = ["Hello there", "Who are you", "Nobody"]
    texts, dialogues = planted(
        meld, row, findings_of, *(row("train", 8, at, text=line) for at, line in enumerate(lines)),
        *(row("dev", 7, at, text=line + "!") for at, line in enumerate(lines)),
        *(row("train", 2, at, text=f"Two {at}") for at in range(2)),
        *(row("test", 9, at, text=f"Two {at}") for at in range(2)),
        checks=["text-overlap", "dialogue-text-overlap"])
    assert {one.splits for one in texts} == {("train", "dev"), ("train", "test")}
    assert [(one.splits, one.count) for one in dialogues] == [(("train", "dev"), 1)]
    assert dialogues[0].examples[0].keys == ("meld_train_dia8", "meld_dev_dia7")


def test_a_dialogue_that_many_have_is_told_once_each(meld, row, findings_of):
    """Each of many with one of many, and not with all: of a million dialogues that would be all memory."""
    lines = ["Yes", "No", "Well"]
    rows = [row(split, number, at, text=line) for split, first in (("train", 10), ("test", 30))
            for number in range(first, first + 12) for at, line in enumerate(lines)]
    _, found = findings_of(meld(rows))
    (told,) = found["dialogue-text-overlap"]
    assert (told.count, told.of, len(told.examples)) == (12, 12, 12)


def test_a_short_dialogue_counts_where_its_time_is_the_same_too(meld, row, findings_of):
    place = {"episode": 9, "start": 30, "end": 33, "text": "Yes"}
    _, found = findings_of(meld([*clean(row), row("train", 8, 0, **place), row("test", 9, 0, **place)]))
    assert [(one.splits, one.count) for one in found["dialogue-text-overlap"]] == [(("train", "test"), 1)]


def test_copies_of_train_rows(meld, row, findings_of):
    copies = [row("test", 9, at, speaker=f"train {at}", text=f"Words of number {at}", episode=0, start=4 * at)
              for at in range(3)]
    _, found = findings_of(meld([*clean(row), *copies]))
    assert [(one.splits, one.count) for one in found["resampled-before-split"]] == [(("train", "test"), 3)]


def test_emotion_against_sentiment(meld, row, findings_of):
    (findings,) = planted(meld, row, findings_of, row("train", 8, 0, emotion="joy", sentiment="negative"),
                          row("train", 8, 1, emotion="fear", sentiment="positive"),
                          row("train", 8, 2, emotion="surprise", sentiment="negative"),
                          row("train", 8, 3, emotion="neutral", sentiment="positive"), checks=["label-sentiment"])
    assert [(one.splits, one.count) for one in findings] == [(("train",), 2)]
    assert findings[0].examples[1].detail == "fear, and sentiment positive"


def test_lengths_and_rates(meld, row, findings_of):
    short, long, fast = planted(
        meld, row, findings_of, row("train", 8, 0, start=20, end=20), row("dev", 7, 0, start=20, end=99),
        row("test", 9, 0, start=20, end=21, text="This sentence has far more letters than a second has room for"),
        checks=["too-short", "too-long", "text-rate"])
    assert [(one.splits, one.count) for one in (*short, *long, *fast)] == [
        (("train",), 1), (("dev",), 1), (("test",), 1)]


def test_thresholds_let_pass(meld, row, findings_of):
    folder = meld([*clean(row), row("test", 9, 0, speaker="train 1"), row("dev", 7, 0, start=20, end=99)])
    result, _ = findings_of(folder, thresholds=["speaker-overlap=0.2", "too-long=80"])
    assert result.findings == () and result.thresholds["too-long"] == 80


def test_a_little_shared_time_can_be_let_pass(meld, row, findings_of):
    folder = meld([*clean(row), row("test", 9, 0, episode=0, start=6, end=8)])
    assert "time-overlap" in findings_of(folder, thresholds=["time-overlap=0.9"])[1]
    assert "time-overlap" not in findings_of(folder, thresholds=["time-overlap=1.1"])[1]


def test_rows_without_splits_are_not_compared(tmp_path, findings_of):
    (tmp_path / "a.wav").touch()
    (tmp_path / "clips.csv").write_text("key,file,start,end,speaker,text,emotion\none,a.wav,0,3,Ida,Oh,joy\n"
                                        "two,a.wav,0,3,Ida,Oh,anger\n")
    result, found = findings_of(tmp_path / "clips.csv")
    assert result.not_possible["speaker-overlap"] == "there are no two splits"
    assert [(one.splits, one.count) for one in found["same-time-other-label"]] == [(("all",), 1)]


def test_a_table_knows_its_files(tmp_path, findings_of):
    for name in "abc":
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "clips.csv").write_text(
        "file,start,end,dialogue,speaker,text,emotion,split\na.wav,0,3,one,Ida,Oh well,joy,train\n"
        "b.wav,0,3,one,Ida,Ah,joy,train\na.wav,2.5,4,two,Otto,Never mind,joy,test\nc.wav,2.5,4,two,Otto,No,joy,test\n")
    _result, found = findings_of(tmp_path / "clips.csv")
    assert set(found) == {"time-overlap"} and found["time-overlap"][0].count == 1
    assert found["time-overlap"][0].examples[0].detail == "0.50 s of a.wav"


def test_an_unknown_check_and_an_empty_reason_are_refused(meld, row, findings_of):
    folder = meld(clean(row))
    with pytest.raises(UsageError, match="no such check.*speaker-overlap, .*got speakers"):
        findings_of(folder, accept=["speakers=they are few"])
    for reason in ("", "  ", "-", "1"):
        with pytest.raises(UsageError, match="--accept speaker-overlap: a finding is accepted with a reason"):
            findings_of(folder, accept=[f"speaker-overlap={reason}"])
    with pytest.raises(UsageError, match="says nothing of the check.*NAME=REASON"):
        findings_of(folder, accept=["speaker-overlap"])
    for number in ("", "many", "nan", "inf"):
        with pytest.raises(UsageError, match="--threshold too-long: this threshold is not possible.*seconds"):
            findings_of(folder, thresholds=[f"too-long={number}"])


def test_what_is_accepted_is_told_with_its_reason(meld, row, findings_of):
    folder = meld([*clean(row), row("test", 9, 0, speaker="train 1")])
    result, found = findings_of(folder, accept=["speaker-overlap=it is split by dialogue", "too-long=plays are long"])
    assert found["speaker-overlap"][0].reason == "it is split by dialogue" and result.open == ()
    assert result.notes == ("too-long is accepted, and nothing was found",)
    document = json.loads(json.dumps(result.to_json()))
    assert document["findings"][0]["accepted"] is True
    assert document["findings"][0]["reason"] == "it is split by dialogue"


def test_every_check_says_what_to_do():
    for name, check in CHECKS.items():
        assert name == name.lower() and " " not in name
        assert check.means and check.mend and check.counts


def test_rows_that_count_in_no_loss_are_not_judged(demo_road, tmp_path, findings_of):
    """Who leaves out of train what the audit names has mended it."""
    _, before = findings_of(demo_road / "shards")
    pairs = [example.keys for finding in before["time-overlap"] for example in finding.examples]
    named = sorted({key for keys in pairs for key in keys if "_train_" in key})
    assert named
    store = Path(shutil.copytree(demo_road / "shards", tmp_path / "store"))
    table = pq.read_table(store / "utterances.parquet")
    mask = [0.0 if key in named else 1.0 for key in table["key"].to_pylist()]
    pq.write_table(table.set_column(table.column_names.index("loss_mask"), table.schema.field("loss_mask"),
                                    pyarrow.array(mask, pyarrow.float32())), store / "utterances.parquet")
    result, after = findings_of(store)
    assert "time-overlap" not in after or all(
        not set(named) & set(example.keys) for finding in after["time-overlap"] for example in finding.examples)
    assert f"utterances that count in no loss (loss_mask 0), and are not judged: {len(named)}" in result.notes


@pytest.mark.parametrize(("given", "expected"), [
    ("speaker-overlap=2", "from 0 to 1"), ("key-collision=-5", "of at least 0"),
    ("picture-duplicate=-1", "from 0 to 1"), ("too-long=-1", "of at least 0"), ("silent=-300", "of at least -200")])
def test_thresholds_that_would_switch_a_check_off_or_accuse_all(meld, row, given, expected):
    with pytest.raises(UsageError, match=f"this threshold is not possible: expected a number {expected}: "):
        plan_audit(meld([row("train", 0, 0)]), thresholds=[given])
