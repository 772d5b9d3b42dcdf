"""Class skew: real rows against counts that nobody here made, measures against their formulas."""

import csv
import io
import json
import math
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoprep.errors import UsageError
from emoprep.methods.skew import measure
from emoprep.stats import stats

# imbalance.md §5.3, MELD's train split.
MELD_TRAIN = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271,
              "anger": 1109}


def test_measures_of_meld():
    skew = measure(MELD_TRAIN)
    assert skew.imbalance_ratio == pytest.approx(17.5746268657)
    assert skew.evenness == pytest.approx(0.78969, abs=5e-6)
    assert skew.effective_classes == pytest.approx(4.6491, abs=5e-5)
    assert skew.ratios["disgust"] == pytest.approx(17.380, abs=5e-4)
    assert skew.lacks == {"neutral": 0, "surprise": 3505, "fear": 4442, "sadness": 4027, "joy": 2967,
                          "disgust": 4439, "anger": 3601}


def test_class_without_members_has_no_ratio():
    skew = measure({"a": 4, "b": 0})
    assert (skew.imbalance_ratio, skew.ratios["b"], skew.shares["b"]) == (None, None, 0)


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 10_000), min_size=2, max_size=9))
def test_measures_stay_in_their_bounds(counts):
    skew = measure(counts)
    assert 0 <= skew.evenness <= 1 + 1e-12
    assert 1 - 1e-12 <= skew.effective_classes <= len(counts) + 1e-9
    assert math.isclose(sum(skew.shares.values()), 1)
    assert math.isclose(math.log(skew.effective_classes), skew.evenness * math.log(len(counts)), abs_tol=1e-9)


@pytest.mark.shared
@pytest.mark.parametrize("generation", ["meld", "meld_before_nov_2020"])
def test_real_rows_equal_true_counts(shared, generation):
    truth = json.loads((shared / "real/true_counts.json").read_text())["MELD"]
    seven = stats(shared / "real" / generation)
    three = stats(shared / "real" / generation, labels="meld-3")
    expected = ["train", "dev", "test"] if generation == "meld" else ["dev", "test"]
    assert list(seven.splits) == expected
    for split in expected:
        assert seven.splits[split]["utterances"] == truth[split]["rows"]
        assert seven.splits[split]["counts"] == truth[split]["emotion"]
        assert three.splits[split]["counts"] == truth[split]["sentiment"]
        assert seven.splits[split]["dialogues"] == truth[split]["dialogues"]
        if generation == "meld":  # the older files spell some speakers otherwise
            assert seven.splits[split]["speakers"] == truth[split]["speakers"]


def test_annotation_alone_is_enough(demo_road, tmp_path):
    for name in ("dev_sent_emo.csv", "test_sent_emo.csv", "train/train_sent_emo.csv"):
        shutil.copy(demo_road / "MELD.Raw" / name, tmp_path)
    assert stats(tmp_path).to_json()["splits"].keys() == {"train", "dev", "test"}
    with_media = stats(demo_road / "MELD.Raw").splits["train"]["counts"]
    assert stats(tmp_path).splits["train"]["counts"] == with_media


def test_store_counts_what_its_corpus_counts(demo_road):
    corpus, store = stats(demo_road / "MELD.Raw"), stats(demo_road / "shards")
    for split in ("train", "dev", "test"):
        assert store.splits[split]["counts"] == corpus.splits[split]["counts"]
        assert store.splits[split]["dialogues"] == corpus.splits[split]["dialogues"]
    # The store knows the length of the clips, the corpus that of its annotation: near, not the same.
    seconds = [result.splits["test"]["seconds"]["total"] for result in (corpus, store)]
    assert seconds[0] == pytest.approx(seconds[1], rel=0.2)


def test_masked_rows_do_not_count(demo_road, emoprep, tmp_path):
    assert emoprep("balance", demo_road / "shards", tmp_path / "under", "--strategy", "undersample").returncode == 0
    train = stats(tmp_path / "under").splits["train"]
    assert set(train["counts"].values()) == {2}
    assert train["utterances"] == 60 and train["masked"] == 60 - 7 * 2


def test_groups(demo_road):
    by_speaker = stats(demo_road / "MELD.Raw", by="speaker")
    whole = stats(demo_road / "MELD.Raw")
    assert sum(group["utterances"] for group in by_speaker.groups.values()) \
        == sum(split["utterances"] for split in whole.splits.values())
    sizes = [group["utterances"] for group in by_speaker.groups.values()]
    assert sizes == sorted(sizes, reverse=True)
    by_dialogue = stats(demo_road / "MELD.Raw", by="dialogue")
    assert len(by_dialogue.groups) == sum(split["dialogues"] for split in whole.splits.values())
    assert "meld_train_dia0" in by_dialogue.groups and "meld_dev_dia0" in by_dialogue.groups


def test_own_scheme(demo_road, tmp_path):
    scheme = tmp_path / "arousal.toml"
    scheme.write_text('column = "emotion"\nlabels = ["low", "high"]\n'
                      '[mapping]\nneutral = "low"\nsadness = "low"\nanger = "high"\njoy = "high"\n')
    train = stats(demo_road / "shards", labels=str(scheme)).splits["train"]
    assert train["counts"] == {"low": 32, "high": 16} and train["outside"] == 12


@pytest.mark.parametrize(("text", "message"), [
    ('labels = ["a"]\n[mapping]\nneutral = "a"\n', "a scheme has a column, and either a mapping or intervals"),
    ('column = "emotion"\nlabels = ["a"]\n[mapping]\nneutral = "b"\n', "classes that are not in labels: expected a"),
    ('column = "mood"\nlabels = ["a"]\n[mapping]\nneutral = "a"\n', "a column that the corpus does not have"),
    ("column = ", "the label scheme is no TOML"),
])
def test_bad_scheme_is_told(demo_road, tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        stats(demo_road / "shards", labels=str(tmp_path / "own.toml"))


def test_json_and_csv_from_the_shell(demo_road, emoprep):
    done = emoprep("stats", demo_road / "shards", "--json")
    document = json.loads(done.stdout)
    assert document["schema"] == "emoprep.stats/1" and document["corpus"] == "meld"
    assert document["labels"] == list(MELD_TRAIN) and document["task"] == "single-label"
    assert list(document["splits"]["train"]["counts"]) == document["labels"]
    done = emoprep("stats", demo_road / "shards", "--csv", "--by", "speaker")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert sum(int(row["utterances"]) for row in rows) == 95
    assert {row["class"] for row in rows} == set(MELD_TRAIN)


def test_spreadsheet_runs_no_formula(demo_road, emoprep, tmp_path):
    """A speaker's name is data from outside: a spreadsheet must not run it."""
    source = (demo_road / "MELD.Raw/dev_sent_emo.csv").read_bytes().decode()
    header, first, *rest = source.split("\r\n")
    fields = next(csv.reader([first]))
    fields[2] = "=1+1"
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    Path(tmp_path, "dev_sent_emo.csv").write_text("\r\n".join([header, line.getvalue(), *rest]), encoding="utf-8")
    assert "'=1+1,neutral" in emoprep("stats", tmp_path, "--csv", "--by", "speaker").stdout
