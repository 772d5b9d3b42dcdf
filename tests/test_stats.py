"""Class skew: real rows against counts that nobody here made, measures against their formulas."""

import csv
import io
import json
import math
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoprep.errors import EmoprepError, UsageError
from emoprep.methods.skew import measure
from emoprep.stats import compare, stats
from emoprep.stats.figures import durations

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


# ------------------------------------------------------------------------------ conversations, speakers, lengths

@pytest.mark.shared
def test_conversations_of_meld(shared):
    """imbalance.md §5.3; MELD's README has 4003, 427 and 1003 shifts, train there with a dialogue more."""
    splits = stats(shared / "real" / "meld").splits
    for split, own, neighbours, pairs in (("train", 4001, 5371, 8951), ("dev", 427, 607, 995),
                                          ("test", 1003, 1353, 2330)):
        shift = splits[split]["emotion_shift"]
        assert (shift["own"]["shifts"], shift["neighbours"]["shifts"], shift["neighbours"]["pairs"]) \
            == (own, neighbours, pairs)
        assert sum(splits[split]["followed"].values()) == pairs
    train = splits["train"]
    assert {label: round(share, 4) for label, share in train["persistence"].items()} == {
        "neutral": 0.5553, "surprise": 0.1648, "fear": 0.1157, "sadness": 0.2434, "joy": 0.3364, "disgust": 0.1610,
        "anger": 0.3146}
    golden = json.loads((shared / "specs/golden_imbalance.json").read_text())["meld"]
    labels = golden["labels"]
    assert [[train["transitions"][a][b] for b in labels] for a in labels] == golden["transition_counts_train"]
    assert [train["dialogue_frequency"][label] for label in labels] == pytest.approx(
        golden["dialogue_frequency_train"])


@pytest.mark.shared
def test_classes_in_one_dialogue(shared):
    """Counted here dialogue by dialogue; one label an utterance, and several."""
    with Path(shared, "real/meld/train_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        dialogues = defaultdict(set)
        for row in csv.DictReader(file):
            dialogues[row["Dialogue_ID"]].add(row["Emotion"])
    train = stats(shared / "real" / "meld").splits["train"]
    assert train["dialogue_co_occurrence"] == {
        left: {right: sum({left, right} <= classes for classes in dialogues.values()) for right in MELD_TRAIN}
        for left in MELD_TRAIN}
    several = stats(shared / "real" / "mosei").splits["test"]
    assert several["dialogue_co_occurrence"]["happy"]["happy"] == several["dialogue_counts"]["happy"]
    assert several["dialogue_co_occurrence"]["sad"]["fear"] == several["dialogue_co_occurrence"]["fear"]["sad"]


@pytest.mark.shared
def test_skew_and_speakers_of_meld(shared):
    """imbalance.md §5.3. Its V of .0507 is that of the six largest speakers and all others as one."""
    found = stats(shared / "real" / "meld")
    splits, train = found.splits, found.splits["train"]
    assert [round(splits[split]["imbalance_ratio"], 3) for split in splits] == [17.575, 21.364, 25.12]
    assert [round(splits[split]["evenness"], 5) for split in splits] == [0.78969, 0.83123, 0.78109]
    wanted = {"entropy": 1.536666, "effective_classes": 4.6491, "inverse_simpson": 3.4991, "kl_to_uniform": 0.409245,
              "lrid": 8175.887, "tv_to_uniform": 0.360296, "mean_ratio": 7.6727, "speakers": 260}
    assert {field: train[field] for field in wanted} == pytest.approx(wanted, rel=2e-5)
    assert train["largest_speakers"]["speakers"] == 6
    assert train["largest_speakers"]["share"] == pytest.approx(0.8315, abs=5e-5)
    assert train["effective_speakers"] == pytest.approx(16.1, abs=0.05)
    assert train["largest_speakers"]["cramers_v"] == pytest.approx(0.0507, abs=5e-5)
    assert train["speaker_association"]["df"] == 259 * 6
    # "MELD test 32 clips ≤ .2 s …; dia38_utt4 304.9 s, dia220_utt0 235.1 s"
    assert splits["test"]["seconds"]["longest"] == pytest.approx(304.9, abs=0.05)
    cut = stats(shared / "real" / "meld", max_seconds=230).splits["test"]["cut"]
    assert (cut["utterances"], cut["of"], cut["by_class"]["joy"], cut["by_class"]["disgust"]) == (2, 2610, 1, 1)
    assert cut["seconds"] == pytest.approx(304.9 + 235.1 - 460, abs=0.1)


@pytest.mark.shared
def test_drift_of_meld_is_scipys(shared):
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import chi2_contingency

    truth = json.loads((shared / "real/true_counts.json").read_text())["MELD"]
    counts = {split: [truth[split]["emotion"][label] for label in MELD_TRAIN] for split in ("train", "dev", "test")}
    found = stats(shared / "real" / "meld").to_json()["drift"]
    assert {left: list(others) for left, others in found.items()} == {"train": ["dev", "test"], "dev": ["test"]}
    for left, others in found.items():
        for right, one in others.items():
            theirs = chi2_contingency([counts[left], counts[right]])
            assert (one["chi2"], one["df"], one["p"]) == pytest.approx((theirs.statistic, theirs.dof, theirs.pvalue))
            assert one["js_distance"] == pytest.approx(jensenshannon(counts[left], counts[right]))
            assert one["js_divergence"] == pytest.approx(one["js_distance"] ** 2)


def test_store_converses_as_its_corpus(demo_road):
    corpus, store = stats(demo_road / "MELD.Raw"), stats(demo_road / "shards")
    for split, group in corpus.splits.items():
        for field in ("emotion_shift", "transitions", "transition_shares", "dialogue_counts", "speaker_emotions",
                      "speaker_association", "largest_speakers", "speaker_counts", "evenness", "lrid"):
            assert store.splits[split][field] == group[field], field
    assert corpus.drift == store.drift


def test_masked_rows_keep_their_turn_and_are_not_counted(demo_road, emoprep, tmp_path):
    from pyarrow import parquet

    assert emoprep("balance", demo_road / "shards", tmp_path / "under", "--strategy", "undersample").returncode == 0
    rows = [row for row in parquet.read_table(tmp_path / "under" / "utterances.parquet").to_pylist()
            if row["split"] == "train"]
    pairs = Counter((a["emotion"], b["emotion"]) for a, b in pairwise(rows)
                    if a["dialogue"] == b["dialogue"] and a["loss_mask"] and b["loss_mask"])
    train = stats(tmp_path / "under").splits["train"]
    assert {(a, b): n for a, row in train["transitions"].items() for b, n in row.items() if n} == pairs
    assert sum(sum(row.values()) for row in train["speaker_emotions"].values()) == 14
    assert sum(train["speaker_counts"].values()) == 60


def test_several_labels_by_the_golden_toy(tmp_path):
    """golden_imbalance.json, `multilabel_toy`; the transitions by hand."""
    rows = [(1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1), (0, 0, 0), (1, 1, 0)]
    table, scheme = tmp_path / "toy.csv", tmp_path / "toy.toml"
    table.write_text("file,dialogue,speaker,start,end,a,b,c\n" + "".join(
        f"toy.wav,d,{'IO'[at % 2]},{at},{at + 1},{','.join(map(str, row))}\n" for at, row in enumerate(rows)))
    scheme.write_text('labels = ["a", "b", "c"]\n[columns]\na = "a"\nb = "b"\nc = "c"\n')
    found = stats(table, labels=str(scheme)).splits["all"]
    assert found["counts"] == {"a": 6, "b": 3, "c": 2} and found["none"] == 1
    assert found["irlbl"] == {"a": 1, "b": 2, "c": 3} and (found["mean_ir"], found["cvir"]) == (2, 0.5)
    assert found["scumble"] == pytest.approx(0.03357007699227045)
    assert (found["cardinality"], found["density"]) == (1.375, pytest.approx(0.4583333333333333))
    assert len(found["label_sets"]) == 5
    assert found["transitions"] == {"a": {"a": 4, "b": 2, "c": 2}, "b": {"a": 1, "b": 0, "c": 1},
                                    "c": {"a": 0, "b": 1, "c": 1}}
    assert found["followed"] == {"a": 5, "b": 2, "c": 2}
    assert found["persistence"] == {"a": 0.8, "b": 0, "c": 0.5}
    assert found["emotion_shift"]["neighbours"] == {"shifts": 5, "pairs": 7, "share": 5 / 7}
    assert found["emotion_shift"]["own"] == {"shifts": 5, "pairs": 6, "share": 5 / 6}
    assert found["speaker_emotions"] == {"I": {"a": 3, "b": 0, "c": 1}, "O": {"a": 3, "b": 3, "c": 1}}


@pytest.mark.shared
def test_several_labels_drift_label_by_label(shared):
    from scipy.stats import chi2_contingency

    truth = json.loads((shared / "real/true_counts.json").read_text())["CMU-MOSEI"]
    found = stats(shared / "real" / "mosei").drift["train"]["test"]["by_class"]
    for label, one in found.items():
        table = [[truth[fold][label], truth[fold]["segments"] - truth[fold][label]] for fold in ("train", "test")]
        assert one["chi2"] == pytest.approx(chi2_contingency(table, correction=False).statistic)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=60))
def test_quantiles_are_numpys(lengths):
    found = durations(np.array([*lengths, np.nan]))
    for field, share in (("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95), ("p99", 0.99)):
        assert found[field] == pytest.approx(np.quantile(lengths, share), rel=1e-12, abs=1e-12)
    assert (found["shortest"], found["longest"]) == (min(lengths), max(lengths))
    assert found["total"] == pytest.approx(sum(lengths), abs=1e-3)


def test_what_a_maximum_length_cuts(demo_road):
    from pyarrow import parquet

    rows = parquet.read_table(demo_road / "shards" / "utterances.parquet").to_pylist()
    lengths = [(row["emotion"], row["end"] - row["start"]) for row in rows
               if row["split"] == "train" and row["end"] is not None]
    cut = stats(demo_road / "shards", max_seconds=1.5).splits["train"]["cut"]
    longer = [(emotion, seconds) for emotion, seconds in lengths if seconds > 1.5]
    assert 0 < cut["utterances"] == len(longer) < cut["of"] == len(lengths)
    assert {label: n for label, n in cut["by_class"].items() if n} == Counter(emotion for emotion, _ in longer)
    assert cut["seconds"] == pytest.approx(sum(seconds - 1.5 for _, seconds in longer), abs=1e-3)
    for impossible in (0, -1, math.nan, math.inf):
        with pytest.raises(UsageError, match="--max-seconds: this length is not possible: expected finite seconds"):
            stats(demo_road / "shards", max_seconds=impossible)


# -------------------------------------------------------------------------------------------------- side by side

def test_before_and_after(demo_road):
    found = compare(demo_road / "features", demo_road / "smote")
    assert found.names == ("features", "smote")
    assert found.before.splits == stats(demo_road / "features").splits
    assert found.after.splits == stats(demo_road / "smote").splits
    before, after = (side.splits["train"]["counts"] for side in (found.before, found.after))
    assert set(after.values()) == {28}
    changes = found.changes
    assert changes["train"]["difference"] == {label: after[label] - before[label] for label in before}
    assert changes["train"]["js_divergence"] > 0.05 and changes["test"]["js_divergence"] == 0
    assert compare(demo_road / "shards", demo_road / "shards").names == (str(demo_road / "shards"),) * 2


def test_two_with_other_classes_are_refused(demo_road, tmp_path):
    table = tmp_path / "clips.csv"
    table.write_text("file,emotion\na.wav,joy\nb.wav,fear\n")
    with pytest.raises(UsageError, match="--compare: the two have different classes: expected neutral, .*, got fear, "
                                         "joy; name one scheme for both with --labels"):
        compare(demo_road / "shards", table)


def test_comparison_from_the_shell(demo_road, emoprep):
    both = (demo_road / "features", "--compare", demo_road / "smote")
    text = emoprep("stats", *both, check=True).stdout
    assert next(line.split() for line in text.splitlines() if line.strip().startswith("fear")) \
        == ["fear", "2", "3.3", "%", "28", "14.3", "%", "+26"]
    assert "smote: 196 utterances" in text
    document = json.loads(emoprep("stats", *both, "--json", check=True).stdout)
    assert document["splits"]["train"]["counts"]["fear"] == 2
    assert document["compare"]["with"]["splits"]["train"]["counts"]["fear"] == 28
    assert document["compare"]["changes"]["train"]["difference"]["fear"] == 26
    rows = list(csv.DictReader(io.StringIO(emoprep("stats", *both, "--csv", check=True).stdout)))
    fear = next(row for row in rows if (row["split"], row["class"]) == ("train", "fear"))
    assert (fear["utterances features"], fear["utterances smote"]) == ("2", "28")


@pytest.mark.parametrize(("option", "keys", "values"), [
    ("--measures", ["split", "measure"], ["value"]), ("--transitions", ["split", "class", "next"], ["pairs", "share"]),
    ("--speakers", ["split", "speaker"], ["utterances", *MELD_TRAIN]),
    ("--durations", ["split", "class"], ["total", "mean", "median", "p95", "p99", "shortest", "longest"])])
def test_tables_asked_for(demo_road, emoprep, option, keys, values):
    shown = emoprep("stats", demo_road / "shards", option, check=True).stdout
    unasked = emoprep("stats", demo_road / "shards", check=True).stdout
    assert shown.startswith(unasked) and len(shown) > len(unasked)
    rows = list(csv.DictReader(io.StringIO(emoprep("stats", demo_road / "shards", option, "--csv", check=True).stdout)))
    assert list(rows[0]) == keys + values and {row["split"] for row in rows} == {"train", "dev", "test"}


def test_csv_is_one_table(demo_road, emoprep):
    done = emoprep("stats", demo_road / "shards", "--csv", "--speakers", "--measures")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--csv prints one table: got --measures, --speakers; ask for one of them" in done.stderr


# ------------------------------------------------------------------------------------------------ columns of a store

def changed(store, folder, change):
    """Return a copy of a store whose index `change` has altered, in several row groups."""
    from pyarrow import parquet

    shutil.copytree(store, folder, ignore=shutil.ignore_patterns("*.tar"))
    parquet.write_table(change(parquet.read_table(store / "utterances.parquet")), folder / "utterances.parquet",
                        row_group_size=17)
    return folder


def test_an_index_of_several_row_groups_counts_alike(demo_road, tmp_path):
    again = changed(demo_road / "shards", tmp_path / "again", lambda table: table)
    assert stats(again).to_json() == stats(demo_road / "shards").to_json()


def test_nulls_in_an_index(demo_road, tmp_path):
    """A null speaker is one like any other, a null loss_mask is 1, a null start or end is no length."""
    def nulls(table):
        import pyarrow

        for name in ("speaker", "loss_mask", "end"):
            at, values = table.column_names.index(name), table.column(name).to_pylist()
            values[3], values[40] = None, math.inf if name == "end" else None
            table = table.set_column(at, table.schema.field(at), pyarrow.array(values, table.schema.field(at).type))
        return table
    found, whole = stats(changed(demo_road / "shards", tmp_path / "nulls", nulls)), stats(demo_road / "shards")
    train = found.splits["train"]
    assert train["counts"] == whole.splits["train"]["counts"] and train["masked"] == 0
    assert train["speaker_counts"][None] == 2 and train["speakers"] == whole.splits["train"]["speakers"] + 1
    assert train["seconds"]["total"] < whole.splits["train"]["seconds"]["total"]
    json.dumps(found.to_json(), allow_nan=False)


def test_a_column_of_another_kind_is_told(demo_road, tmp_path):
    def text_for_numbers(table):
        import pyarrow

        return table.set_column(table.column_names.index("end"), "end", pyarrow.array(["x"] * len(table)))
    store = changed(demo_road / "shards", tmp_path / "other", text_for_numbers)
    with pytest.raises(EmoprepError, match="end: a column of the index holds no numbers: got .*string.*; make the "
                                           "store again"):
        stats(store)
    store = changed(demo_road / "shards", tmp_path / "less", lambda table: table.drop_columns(["speaker"]))
    with pytest.raises(EmoprepError, match="the index cannot be read"):
        stats(store)


def test_names_that_are_no_text_are_told(demo_road, tmp_path):
    def with_speaker(folder, make):
        import pyarrow

        def change(table):
            return table.set_column(table.column_names.index("speaker"), "speaker", make(pyarrow, len(table)))
        return changed(demo_road / "shards", tmp_path / folder, change)

    def bytes_as_text(pyarrow, number):  # as a faulty writer leaves them
        column = pyarrow.array([b"\xff"] * number)
        return pyarrow.StringArray.from_buffers(number, column.buffers()[1], column.buffers()[2])
    with pytest.raises(EmoprepError, match="speaker: a column of the index is no UTF-8: got 'utf-8' codec"):
        stats(with_speaker("bytes", bytes_as_text))
    with pytest.raises(EmoprepError, match="the index cannot be read"):
        stats(with_speaker("lists", lambda pyarrow, number: pyarrow.array([["Ada"]] * number)))


def test_pandas_is_not_imported(demo_road):
    """pyarrow imports it, where it is installed, as soon as one asks it for numpy arrays: 0.2 s."""
    code = ("import sys; from pathlib import Path; from emoprep.stats import stats; "
            "stats(Path(sys.argv[1])).to_json(); sys.exit('pandas' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code, str(demo_road / "shards")]).returncode == 0


@pytest.mark.shared
def test_every_figure_is_on_its_page(shared):
    page = (Path(__file__).resolve().parents[1] / "docs" / "stats.md").read_text(encoding="utf-8")
    plain = {"utterances", "counts", "outside", "masked", "dialogues", "speakers"}
    for corpus in ("meld", "mosei"):
        document = stats(shared / "real" / corpus, max_seconds=10).to_json()
        fields = set(document["splits"]["train"]) - plain
        assert {field for field in fields if f"`{field}`" not in page} == set()
