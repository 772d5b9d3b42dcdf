"""Sets by dialogue: DialogueRNN's of IEMOCAP and MELD, MMGCN's, and COSMIC's lists and layers."""

import pickle

import numpy as np
import pytest
from processed_miniatures import cosmic, dialoguernn_iemocap, dialoguernn_meld, dump

from emoprep.errors import CorpusError
from emoprep.features import bring, plan_bring
from emoprep.formats.pickles import load
from emoprep.processed import open_processed
from emoprep.split import plan_split, split
from emoprep.stats import stats


def changed(tmp_path, make, part, change):
    """Return the path of a miniature one of whose parts was changed."""
    path = tmp_path / "x.pkl"
    make(path)
    content = list(load(path))
    replaced = change(content[part])
    content[part] = content[part] if replaced is None else replaced
    return dump(path, tuple(content))


def at(dialogue, place, value):
    def change(part):
        part[dialogue][place] = value
    return change


# ----------------------------------------------------------------------------------------------- IEMOCAP

def test_iemocap_counts_by_six_classes(tmp_path):
    dialoguernn_iemocap(tmp_path / "x.pkl")
    bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "out")
    found = stats(tmp_path / "out")
    assert (found.corpus, found.scheme.name) == ("iemocap", "iemocap-6")
    assert found.splits["train"]["counts"] == {"happy": 2, "sad": 2, "neutral": 2, "angry": 2, "excited": 1,
                                               "frustrated": 1}
    assert stats(tmp_path / "out", labels="iemocap-4").splits["train"]["counts"]["happy"] == 3
    assert set(stats(tmp_path / "out", labels="iemocap-5").splits) == {"train", "test"}


def test_the_note_on_dev_is_true(tmp_path):
    truth = dialoguernn_iemocap(tmp_path / "x.pkl")
    result = bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "out")
    assert "there is no dev split: `emoprep split IN OUT --protocol dialoguernn` makes COSMIC's" in result.notes
    split(plan_split(tmp_path / "out", protocol="dialoguernn"), tmp_path / "cosmic")
    again = stats(tmp_path / "cosmic").splits
    of_dev = [row for row in truth if "Ses01F" not in row.key and "Ses05" not in row.key and "Ses03" not in row.key]
    assert again["dev"]["utterances"] == len(of_dev) == 2  # Ses02M_script01_2 is one of the twelve
    assert again["train"]["utterances"] + 2 + again["test"]["utterances"] == len(truth)


def test_a_vector_of_zeros_is_none(tmp_path):
    truth = dialoguernn_iemocap(tmp_path / "x.pkl")
    result = bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "out")
    assert "video: utterances without it: 1" in result.notes
    assert [row.key for row in truth if "video" not in row.steps] == ["iemocap_Ses05F_impro01_F001"]


def test_dialogues_of_no_list_have_no_split(tmp_path):
    path = changed(tmp_path, dialoguernn_iemocap, 7, lambda train: train - {"Ses01F_impro01"})
    result = bring(plan_bring(path), tmp_path / "out")
    assert result.counts == {"train": 5, "test": 2, "all": 5}
    assert "dialogues that are in no list of the file: 1 (first Ses01F_impro01)" in result.notes
    assert stats(tmp_path / "out").splits["none"]["utterances"] == 5


def test_sets_have_no_order(tmp_path):
    truth = dialoguernn_iemocap(tmp_path / "x.pkl")
    path = changed(tmp_path, dialoguernn_iemocap, 7, lambda train: sorted(train, reverse=True))
    assert [one.key for one in open_processed(path)[1].corpus.utterances] == [row.key for row in truth]


# -------------------------------------------------------------------------------------------------- MELD

@pytest.mark.parametrize("make", [dialoguernn_meld, lambda path: cosmic(path, "meld")])
def test_meld_has_places_not_utterance_numbers(tmp_path, make):
    make(tmp_path / "x.pkl")
    keys = [one.key for one in open_processed(tmp_path / "x.pkl")[1].corpus.utterances]
    assert keys[:5] == ["meld_train_dia0_pos0", "meld_train_dia0_pos1", "meld_train_dia0_pos2",
                        "meld_train_dia1038_pos0", "meld_dev_dia0_pos0"]
    assert keys[6] == "meld_test_dia0_pos0" and keys[-1] == "meld_test_dia279_pos0"


def test_meld_speakers_are_those_of_a_dialogue(tmp_path):
    dialoguernn_meld(tmp_path / "x.pkl")
    speakers = [one.speaker for one in open_processed(tmp_path / "x.pkl")[1].corpus.utterances[:4]]
    assert speakers == ["meld_train_dia0_speaker0", "meld_train_dia0_speaker1", "meld_train_dia0_speaker0",
                        "meld_train_dia1038_speaker2"]


def test_numbers_as_text(tmp_path):
    cosmic(tmp_path / "x.pkl", "meld")
    content = [{str(key): value for key, value in part.items()} if isinstance(part, dict) else list(map(str, part))
               for part in load(tmp_path / "x.pkl")]
    names = [one.key for one in open_processed(tmp_path / "x.pkl")[1].corpus.utterances]
    dump(tmp_path / "x.pkl", content)
    assert [one.key for one in open_processed(tmp_path / "x.pkl")[1].corpus.utterances] == names


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_labels_and_features(tmp_path, protocol):
    """The same set with arrays where others have lists."""
    truth = dialoguernn_meld(tmp_path / "x.pkl")
    ids, speakers, emotion, text, audio, texts, train, test, sentiment = load(tmp_path / "x.pkl")
    packed = [{key: np.array(value) for key, value in part.items()}
              for part in (speakers, emotion, text, audio, sentiment)]
    dump(tmp_path / "x.pkl", (ids, *packed[:4], texts, train, test, packed[4]), protocol)
    processed = open_processed(tmp_path / "x.pkl")[1]
    assert [one.annotation for one in processed.corpus.utterances] == [row.annotation for row in truth]
    for found, row in zip(processed.rows(), truth, strict=True):
        np.testing.assert_array_equal(found["text"], row.steps["text"])


# ------------------------------------------------------------------------------------------------ COSMIC

def test_lists_give_a_store_without_a_modality(tmp_path):
    cosmic(tmp_path / "x.pkl", "iemocap", features=False)
    result = bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "out")
    assert result.modalities == {} and result.counts == {"train": 8, "dev": 2, "test": 2}
    assert stats(tmp_path / "out").splits["dev"]["utterances"] == 2


# ------------------------------------------------------------------------------------------------ errors

IEMOCAP = "Ses01F_impro01"


@pytest.mark.parametrize(("make", "part", "change", "message"), [
    (dialoguernn_iemocap, 2, at(IEMOCAP, 1, 6), "dialogue Ses01F_impro01, utterance 1: emotion cannot be read: "
                                                "expected 0 hap, 1 sad, 2 neu, 3 ang, 4 exc, 5 fru, got 6"),
    (dialoguernn_iemocap, 2, at(IEMOCAP, 1, -1), "emotion cannot be read"),
    (dialoguernn_iemocap, 2, at(IEMOCAP, 1, 1.5), "emotion cannot be read"),
    (dialoguernn_iemocap, 2, at(IEMOCAP, 1, [1]), "emotion cannot be read: .*, got list of 1: int"),
    (dialoguernn_iemocap, 0, at(IEMOCAP, 1, "Ses02F_impro01_F000"), "this is no utterance of the dialogue: expected "
                                                                    "Ses01F_impro01_F000 and the like"),
    (dialoguernn_iemocap, 0, at(IEMOCAP, 1, "Ses01F_impro01_M000"),
     "an utterance is there twice: got iemocap_Ses01F_impro01_M000"),
    (dialoguernn_iemocap, 3, at(IEMOCAP, 1, [1.0]),
     "iemocap_Ses01F_impro01_F001: text: these are no features: expected 10 numbers, as most utterances have, got "
     "list of 1: float"),
    (dialoguernn_iemocap, 3, at(IEMOCAP, 1, ["a"] * 10), "these are no features"),
    (dialoguernn_iemocap, 3, at(IEMOCAP, 0, [1.0]),  # the first: it is the one that differs
     "iemocap_Ses01F_impro01_M000: text: these are no features: expected 10 numbers, as most utterances have, got "
     "list of 1: float"),
    (dialoguernn_iemocap, 3, lambda part: {name: [None] * len(values) for name, values in part.items()},
     "text: these are no features: expected a list of numbers an utterance, got None"),
    (dialoguernn_iemocap, 6, at(IEMOCAP, 1, "x" * 100_001),
     "dialogue Ses01F_impro01, utterance 1: this text is too long: expected at most 100000 characters, got 100001"),
    (dialoguernn_iemocap, 6, at(IEMOCAP, 1, None), "this is no text: got None"),
    (dialoguernn_iemocap, 6, lambda part: part[IEMOCAP].pop() and None,
     "text is not as long as the dialogue: expected a list of 5, got list of 4"),
    (dialoguernn_iemocap, 6, lambda part: part.pop(IEMOCAP) and None,
     "emotion and text are not of the same dialogues: got 'Ses01F_impro01' in one of them only"),
    (dialoguernn_iemocap, 7, lambda part: part | {"Ses04F_impro01"}, "train names a dialogue that is not there"),
    (dialoguernn_iemocap, 8, lambda part: part | {IEMOCAP},
     "a dialogue is in two splits: got 'Ses01F_impro01' in train and test"),
    (dialoguernn_meld, 6, lambda part: [*part, 1153], "a dialogue is in two splits"),
    (dialoguernn_meld, 7, lambda part: [*part, 0], "a dialogue is in two splits"),
    (dialoguernn_meld, 1, at(0, 0, [0] * 9), "this speaker is not known: expected nine numbers, one of them 1"),
    (dialoguernn_meld, 1, at(0, 0, "Joey"), "this speaker is not known"),
    (dialoguernn_meld, 8, at(0, 0, 3), "sentiment cannot be read: expected 0 neutral, 1 positive, 2 negative, got 3"),
    (lambda path: cosmic(path, "iemocap"), 0, at(IEMOCAP, 0, "X"),
     "this speaker is not known: expected F or M, got 'X'"),
])
def test_what_is_not_as_it_should_be(tmp_path, make, part, change, message):
    path = changed(tmp_path, make, part, change)
    with pytest.raises(CorpusError, match=message) as caught:
        for _ in open_processed(path)[1].rows():
            pass
    assert str(caught.value).startswith(str(path))


def test_lists_and_numbers_that_disagree(tmp_path):
    dialoguernn_meld(tmp_path / "x.pkl")
    content = list(load(tmp_path / "x.pkl"))
    content[6], content[7] = [*content[6], 1432], [number for number in content[7] if number != 1432]
    dump(tmp_path / "x.pkl", tuple(content))
    with pytest.raises(CorpusError, match="a list of the file and the number of a dialogue disagree: expected 1432 in "
                                          "test, got train"):
        open_processed(tmp_path / "x.pkl")


def test_other_corpora_are_named(tmp_path):
    """AVEC's tuple is laid out like IEMOCAP's, DailyDialog's list like COSMIC's."""
    dialoguernn_iemocap(tmp_path / "x.pkl")
    content = [{f"a{number}": value for number, value in enumerate(part.values())} if isinstance(part, dict) else []
               for part in load(tmp_path / "x.pkl")]
    with pytest.raises(CorpusError, match="dialogues of a corpus that is not known: .*, got 'a0', 'a1', 'a2'"):
        open_processed(dump(tmp_path / "x.pkl", content))
    with pytest.raises(CorpusError, match="there are no dialogues"):
        open_processed(dump(tmp_path / "x.pkl", [{}, {}, {}, [], [], []]))
