"""MMSA's feature files: padding becomes length, whichever side it is at; CMU-MOSEI is known by its videos."""

import numpy as np
import processed_miniatures
import pytest
from processed_miniatures import DIMS, dump, mmsa

from emoprep.errors import CorpusError
from emoprep.features import bring, plan_bring
from emoprep.formats.pickles import load
from emoprep.processed import open_processed
from emoprep.stats import stats


def changed(tmp_path, change, **settings):
    """Return the path of a miniature whose content was changed."""
    path = tmp_path / "x.pkl"
    mmsa(path, **settings)
    content = load(path)
    change(content)
    return dump(path, content)


def same_features(path, truth):
    processed = open_processed(path)[1]
    for found, row in zip(processed.rows(), truth, strict=True):
        assert found.keys() == row.steps.keys()
        for name, values in found.items():
            np.testing.assert_array_equal(values, row.steps[name])
    return processed


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("aligned", [True, False])
def test_padding_becomes_length(tmp_path, side, aligned, protocol):
    truth = mmsa(tmp_path / "x.pkl", side=side, aligned=aligned, protocol=protocol)
    modalities = same_features(tmp_path / "x.pkl", truth).modalities
    assert {how["padded"] for how in modalities.values()} == {side}
    assert {name: how["padded_length"] for name, how in modalities.items()} == (
        dict.fromkeys(DIMS, 6) if aligned else {"text": 6, "audio": 11, "video": 8})
    assert {how["clock"] for how in modalities.values()} == {"words" if aligned else "own"}


def test_what_lies_in_step_keeps_its_length_together(tmp_path):
    """A word at the padded end without a face is content as long as another modality has it."""
    def blind(content):
        content["train"]["vision"] = content["train"]["vision"].copy()
        content["train"]["vision"][0, 1:] = 0
    path = changed(tmp_path, blind)
    processed = open_processed(path)[1]
    for found in processed.rows():
        assert len({len(values) for values in found.values()}) == 1


def test_bert_padding_is_not_zero(tmp_path):
    truth = mmsa(tmp_path / "x.pkl", masked=True, aligned=False)
    same_features(tmp_path / "x.pkl", truth)
    # Aligned, all three are as long as the text.
    truth = mmsa(tmp_path / "x.pkl", masked=True)
    same_features(tmp_path / "x.pkl", truth)


def test_token_ids_are_no_features(tmp_path):
    path = changed(tmp_path, lambda content: [part.pop("text") for part in content.values()], masked=True)
    processed = open_processed(path)[1]
    assert list(processed.modalities) == ["audio", "video"]
    assert "text_bert holds token ids, which are no features; left out" in processed.corpus.notes


def test_sides_that_differ_are_not_in_step(tmp_path):
    def turn(content):
        for part in content.values():
            part["text"] = np.stack([np.roll(rows, (~rows.any(axis=1)).sum(), axis=0) for rows in part["text"]])
    processed = open_processed(changed(tmp_path, turn))[1]
    assert {name: (how["padded"], how["clock"]) for name, how in processed.modalities.items()} == {
        "text": ("left", "own"), "audio": ("right", "own"), "video": ("right", "own")}
    assert "as many steps, but not in step, so each is on its own clock: text padded at the left, audio padded at " \
           "the right, video padded at the right" in processed.corpus.notes


def test_padding_at_both_sides_is_refused(tmp_path):
    def turn(content):
        audio = content["train"]["audio"] = content["train"]["audio"].copy()
        for row in range(0, len(audio), 2):
            audio[row] = audio[row, ::-1]
    with pytest.raises(CorpusError, match="audio is padded at both sides: expected zeros at one side of every "
                                          r"sequence, got more of them at the left in \d, at the right in \d"):
        open_processed(changed(tmp_path, turn, aligned=False))


def test_without_padding(tmp_path):
    def whole(content):
        for part in content.values():
            for field in ("text", "audio", "vision"):
                part[field] = np.ones_like(part[field])
    modalities = open_processed(changed(tmp_path, whole))[1].modalities
    assert {how["padded"] for how in modalities.values()} == {"nowhere"}


# ------------------------------------------------------------------------------------- corpora and labels

def test_other_corpora_are_called_mmsa(tmp_path):
    mmsa(tmp_path / "x.pkl", corpus="mmsa")
    result = bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "out")
    assert result.corpus == "mmsa"
    found = stats(tmp_path / "out")
    assert (found.corpus, found.scheme.name, found.scheme.labels) == ("mmsa", "mmsa-2", ("negative", "non-negative"))
    assert stats(tmp_path / "out", labels="mmsa-7").scheme.labels[0] == "-3"


def test_one_video_of_another_corpus_is_enough(tmp_path):
    def rename(content):
        content["test"]["id"][0] = "someone_else$_$3"
    assert open_processed(changed(tmp_path, rename))[1].corpus.name == "mmsa"


def test_clips_of_mosei_are_numbers(tmp_path):
    def rename(content):
        content["test"]["id"] = [name.replace("$_$", "$_$000") for name in content["test"]["id"]]
    mmsa(tmp_path / "x.pkl")
    keys = [one.key for one in open_processed(tmp_path / "x.pkl")[1].corpus.utterances]
    assert [one.key for one in open_processed(changed(tmp_path, rename))[1].corpus.utterances] == keys


def test_clips_of_others_keep_their_names_and_the_order_of_their_numbers(tmp_path):
    def rename(content):
        content["valid"]["id"] = ["v$_$0010", "v$_$2"]
    corpus = open_processed(changed(tmp_path, rename))[1].corpus
    assert [one.key for one in corpus.utterances if one.split == "dev"] == ["mmsa_v_2", "mmsa_v_0010"]


def test_a_video_in_several_splits(tmp_path):
    """CH-SIMS splits clips, not videos: a dialogue is then a video's clips of one split."""
    def share(content):
        content["train"]["id"][0], content["test"]["id"][0] = "video_0001$_$0001", "video_0001$_$0002"
    corpus = open_processed(changed(tmp_path, share, corpus="mmsa"))[1].corpus
    of_video = [utterance for utterance in corpus.utterances if utterance.speaker == "video_0001"]
    assert [(one.key, one.dialogue, one.turn) for one in of_video] == [
        ("mmsa_video_0001_0001", "mmsa_train_video_0001", 0), ("mmsa_video_0001_0002", "mmsa_test_video_0001", 0)]
    assert "a video lies in several splits: its dialogues are named by split" in corpus.notes


def test_what_the_extraction_tool_adds(tmp_path):
    def more(content):
        content["config"] = {"audio": {"tool": "librosa"}}
        for name in ("train", "valid", "test"):
            for letter in "TAV":
                content[name][f"regression_labels_{letter}"] = [0.5] * len(content[name]["id"])
            del content[name]["annotations"]
    corpus = open_processed(changed(tmp_path, more))[1].corpus
    assert list(corpus.annotation) == ["sentiment", "sentiment_text", "sentiment_audio", "sentiment_video", "polarity"]
    assert corpus.utterances[0].annotation["sentiment_audio"] == 0.5
    assert corpus.notes == ("what is no split is left out: 'config'",)
    assert {one.annotation["polarity"] for one in corpus.utterances} == {"negative", "neutral", "positive"}


def test_one_split_alone(tmp_path):
    path = changed(tmp_path, lambda content: [content.pop(name) for name in ("train", "valid")])
    result = bring(plan_bring(path), tmp_path / "out")
    assert result.counts == {"test": 3}
    assert "no utterance is in a train split" in result.notes
    assert not (tmp_path / "out/scaler.npz").exists()  # there is no train to take it from


@pytest.mark.parametrize("name", ["dev", "val", "validation"])
def test_other_names_of_valid(tmp_path, name):
    truth = mmsa(tmp_path / "x.pkl")
    content = load(tmp_path / "x.pkl")
    dump(tmp_path / "y.pkl", {name: content["valid"], "test": content["test"], "train": content["train"]})
    corpus = same_features(tmp_path / "y.pkl", truth).corpus
    assert [one.split for one in corpus.utterances] == [row.split for row in truth]


def test_a_float32_that_misses_the_end_of_the_scale(tmp_path):
    corpus = open_processed(changed(tmp_path, field("regression_labels", np.float32([-3.00005, 3.00005]))))[1].corpus
    assert {one.annotation["sentiment"] for one in corpus.utterances if one.split == "dev"} == {-3.0, 3.0}


@pytest.mark.parametrize(("policy", "wanted"), [("zero", 0.0), ("impute-median", "median"), ("drop", None)])
def test_infinity_in_covarep(tmp_path, policy, wanted):
    truth = mmsa(tmp_path / "x.pkl")
    result = bring(plan_bring(tmp_path / "x.pkl", nonfinite=policy), tmp_path / "out")
    first = next(row for row in truth if not np.isfinite(row.steps["audio"]).all())
    assert f"audio: NaN or infinity in 1 rows (first {first.key}): {policy}" in result.notes
    from emoprep.store.tables import read_table
    rows, found = read_table(tmp_path / "out/train.parquet", result.modalities)
    at = rows.column("key").to_pylist().index(first.key)
    if policy == "drop":
        assert not found["audio"].present[at] and found["audio"].values[at].tolist() == [[0.0] * DIMS["audio"]]
        assert "audio: utterances without it: 1" in result.notes
        return
    if wanted == "median":
        column = np.concatenate([row.steps["audio"][:, 0] for row in truth if row.split == "train"])
        wanted = np.float32(np.median(column[np.isfinite(column)]))
    assert found["audio"].values[at][0, 0] == wanted
    np.testing.assert_array_equal(found["audio"].values[at][0, 1:], first.steps["audio"][0, 1:])


def test_infinity_may_be_an_error(tmp_path):
    mmsa(tmp_path / "x.pkl")
    with pytest.raises(Exception, match=r"mosei_.*: audio is not finite: expected numbers, got NaN or infinity"):
        bring(plan_bring(tmp_path / "x.pkl", nonfinite="error"), tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()


# ------------------------------------------------------------------------------------------------ errors

def field(name, value):
    def change(content):
        content["valid"][name] = value
    return change


def without(name):
    return lambda content: content["test"].pop(name)


@pytest.mark.parametrize(("change", "message"), [
    (field("id", ["a$_$1", "b"]), r"x.pkl: valid: id cannot be read: expected video\$_\$clip, got 'b' in row 1"),
    (field("id", ["a$_$1", "a$_$1"]), "mmsa_a_1 is there twice: got the first in dev row 0"),
    (field("id", ["a$_$1", "a$_$é"]), "this key cannot name a sample"),
    (field("id", "ab"), "valid: id cannot be read: expected a list of ids, got 'ab'"),
    (field("id", [["a"], 1]), r"valid, id 0: this is no text: got list of 1: str"),
    (field("regression_labels", [1.0]), "valid: regression_labels cannot be read: expected a list of 2, got list of 1"),
    (field("regression_labels", [1.0, float("nan")]), 
     r"x.pkl: valid, regression_labels 1: this sentiment cannot be read: expected a number from -3 to 3, got nan"),
    (field("regression_labels", [5.0, 1.0]), r"valid, regression_labels 0: this sentiment .* to 3, got 5.0"),
    (field("regression_labels", [1.0, -3.001]), r"valid, regression_labels 1: this sentiment .* to 3, got -3.001"),
    (field("regression_labels", [1.0, "3"]), "expected a number from -3 to 3, got '3'"),
    (field("classification_labels", [1, 7]), None),  # not looked at: there are words
    (field("audio", np.zeros((2, 6))), r"valid: audio cannot be read: expected an array \[2, steps, dimensions\] of "
                                       r"numbers, got array \[2, 6\] of float64"),
    (field("audio", np.zeros((3, 6, 7))), "audio cannot be read"),
    (field("audio", np.zeros((2, 6, 9))), r"the splits differ in the shape of audio: got \[14, 6, 7\], \[2, 6, 9\]"),
    (field("vision", [[1]]), "vision cannot be read"),
    (field("raw_text", ["one"]), "raw_text cannot be read"),
    (without("audio"), "only some splits have audio: got train, valid"),
    (without("annotations"), "only some splits have annotations"),
    (without("regression_labels"), "x.pkl: test: regression_labels is missing: expected the fields that other splits "
                                   "have, got dict of 'raw_text'"),
    (lambda content: content.update(test={}), "x.pkl: test: id is missing: .* got an empty dict"),
    (lambda content: content.update(test=[1]), "x.pkl: test: this split cannot be read: expected a dict of its fields"),
    (lambda content: content.update(dev=content["valid"]),
     "one split is there under two names: expected one of valid, dev, val and validation, got valid and dev"),
    (lambda content: content.update({1: content.pop("train")}),
     r"a split of this name is not known: expected train, valid \(or dev, val, validation\) and test, got 1; name"),
    (lambda content: content.update(challenge={"id": []}), "a split of this name is not known: .* got 'challenge'"),
    (field("raw_text", ["a", "x" * 100_001]),
     "valid, raw_text 1: this text is too long: expected at most 100000 characters, got 100001"),
    (field("annotations", ["Positive", "x" * 100_001]), "valid, annotations 1: this text is too long"),
    (field("id", ["a$_$1", "x" * 100_001]), "valid, id 1: this text is too long"),
])
def test_what_is_not_as_mmsa_has_it(tmp_path, change, message):
    path = changed(tmp_path, change)
    if message is None:
        open_processed(path)
        return
    with pytest.raises(CorpusError, match=message) as caught:
        open_processed(path)
    assert str(caught.value).startswith(str(path))


def test_words_for_polarity_may_be_missing(tmp_path):
    def codes(content):
        for part in content.values():
            del part["annotations"]
        content["valid"]["classification_labels"] = [1, 7]
    with pytest.raises(CorpusError, match=r"expected 0, 1 or 2 \(negative, neutral, positive\), got 7 in row 1"):
        open_processed(changed(tmp_path, codes))


def test_text_of_any_encoding(tmp_path):
    def texts(content):
        content["valid"]["raw_text"] = ["Itâ\x80\x99s", "half \ud83d a pair"]
    corpus = open_processed(changed(tmp_path, texts))[1].corpus
    assert sorted(one.text for one in corpus.utterances if one.split == "dev") == ["It’s", "half ? a pair"]


def test_the_split_names_are_ours(tmp_path):
    processed_miniatures.mmsa(tmp_path / "x.pkl")
    assert list(plan_bring(tmp_path / "x.pkl").counts()) == ["train", "dev", "test"]
