"""MulT's files: left-padded words, ids of a video and two times, written by Python 2."""

import numpy as np
import pytest
from processed_miniatures import dump, mult

from emoprep.errors import CorpusError
from emoprep.features import bring, plan_bring
from emoprep.formats.pickles import load
from emoprep.processed import open_processed


def changed(tmp_path, change, **settings):
    mult(tmp_path / "x.pkl", **settings)
    content = load(tmp_path / "x.pkl")
    change(content)
    return dump(tmp_path / "x.pkl", content)


@pytest.mark.parametrize("python2", [True, False])
def test_words_on_one_line_of_time(tmp_path, python2):
    truth = mult(tmp_path / "x.pkl", python2=python2)
    processed = open_processed(tmp_path / "x.pkl")[1]
    assert {(how["padded"], how["padded_length"], how["clock"]) for how in processed.modalities.values()} == {
        ("left", 6, "words")}
    for utterance, found, row in zip(processed.corpus.utterances, processed.rows(), truth, strict=True):
        assert (float(utterance.start), float(utterance.end), utterance.seconds) == (row.start, row.end, 2.25)
        assert {len(values) for values in found.values()} == {len(row.steps["text"])}


def test_times_reach_the_store(tmp_path):
    import pyarrow.parquet as pq

    truth = mult(tmp_path / "x.pkl")
    bring(plan_bring(tmp_path / "x.pkl"), tmp_path / "out")
    index = pq.read_table(tmp_path / "out/utterances.parquet").to_pylist()
    assert [(row["start"], row["end"]) for row in index] == [(row.start, row.end) for row in truth]
    assert plan_bring(tmp_path / "x.pkl").seconds() == 2.25 * len(truth)


def ids(*rows):
    def change(content):
        content["valid"]["id"] = np.array(rows)
    return change


def test_a_segment_that_begins_before_its_video(tmp_path):
    """The key has the file's time, as CMU-MOSEI's labels give it; the video has nothing before 0."""
    video = next(iter(open_processed(changed(tmp_path, lambda content: None))[1].corpus.utterances)).speaker
    path = changed(tmp_path, ids([video, "-0.0125", "7.5"], [video + "[3]", "8e-05", "2.25"]))
    found = {one.key: one for one in open_processed(path)[1].corpus.utterances}
    first = next(one for key, one in found.items() if key.endswith(f"{video}_t-125_75000"))
    assert (first.start, first.end, first.seconds) == (0, 7.5, 7.5)
    assert any(key.endswith(f"{video}_t1_22500") for key in found)


def test_other_corpora_are_called_mult(tmp_path):
    mult(tmp_path / "x.pkl", corpus="mult")
    assert open_processed(tmp_path / "x.pkl")[1].corpus.name == "mult"


def test_a_split_called_dev(tmp_path):
    def rename(content):
        content["dev"] = content.pop("valid")
    corpus = open_processed(changed(tmp_path, rename))[1].corpus
    assert [utterance.split for utterance in corpus.utterances].count("dev") == 2


def test_a_file_without_alignment(tmp_path):
    def longer(content):
        for part in content.values():
            part["audio"] = np.concatenate([np.zeros_like(part["audio"]), part["audio"]], axis=1)
    modalities = open_processed(changed(tmp_path, longer))[1].modalities
    assert {name: (how["clock"], how["padded_length"]) for name, how in modalities.items()} == {
        "text": ("own", 6), "audio": ("own", 12), "video": ("own", 6)}


def labels(value):
    def change(content):
        content["valid"]["labels"] = value
    return change


@pytest.mark.parametrize(("change", "message"), [
    (ids(["a", "0", "1"]),
     r"x.pkl: valid: id cannot be read: expected \[2, 3\]: video, start and end, got array \[1, 3\]"),
    (ids(["a", "0"], ["a", "1"]), "valid, row 0: this row cannot be read"),
    (ids(["a", "0", "1"], ["a", "x", "1"]),
     "valid, row 1: a time cannot be read: expected seconds, such as 23.199, got 'x'"),
    (ids(["a", "0", "1"], ["a", "9" * 5000, "1"]), "a time cannot be read"),
    (ids(["a", "0", "1"], ["a", "٣", "4"]), "a time cannot be read"),
    (ids(["a", "0", "1"], ["a", "2", "1"]), "this segment has no length: expected an end after its start and after 0, "
                                            "got 2.0 to 1.0 s"),
    (ids(["a", "0", "1"], ["a", "0", "1"]), "mult_a_t0_10000 is there twice"),
    (ids(["a.b", "0", "1"], ["a", "0", "1"]), "this key cannot name a sample"),
    (lambda content: content["test"].pop("id"), "test: id cannot be read: .* got none, so that nothing says which row"),
    (labels(np.zeros((2, 1, 7))),
     r"labels cannot be read: expected one sentiment a row, \[N, 1, 1\], got array \[2, 1, 7\]"),
    (labels(np.array([[[1.0]], [[np.nan]]])),
     "valid, row 1: this sentiment cannot be read: expected a number from -3 to 3, got nan"),
    (labels(np.array([[[7.0]], [[1.0]]])), "valid, row 0: this sentiment cannot be read: .* got 7.0"),
    (ids(["a", "0", "1"], ["a" * 100_001, "0", "1"]), "valid, row 1: this text is too long"),
    (lambda content: content["test"].pop("labels"), "x.pkl: test: labels is missing: expected the fields that other"),
    (lambda content: content.update(extra=content.pop("valid")), "a split of this name is not known: .* got 'extra'"),
    (labels([1, 2]), "labels cannot be read"),
])
def test_what_is_not_as_mult_has_it(tmp_path, change, message):
    with pytest.raises(CorpusError, match=message):
        open_processed(changed(tmp_path, change))
