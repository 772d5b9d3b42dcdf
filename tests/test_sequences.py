"""Computational sequences → features: the page's rules on a miniature whose means are worked out by hand."""

import json
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import h5py
import numpy as np
import pytest
from mosei_miniature import build_sequences

from emoprep.balance import balance
from emoprep.contracts import Corpus
from emoprep.errors import CorpusError, EmoprepError, MissingInput, UsageError
from emoprep.features import bring
from emoprep.features.sequences import find_sequences, plan_sequences, read_sequences
from emoprep.stats import stats
from emoprep.store.manifest import open_store
from emoprep.store.tables import read_table
from emoprep.utterance import Utterance

COVAREP, FACET, OPENFACE = ("CMU_MOSEI_COVAREP.csd", "CMU_MOSEI_VisualFacet42.csd", "CMU_MOSEI_VisualOpenFace2.csd")
GLOVE, WORDS, PHONES = ("CMU_MOSEI_TimestampedWordVectors.csd", "CMU_MOSEI_TimestampedWords.csd",
                        "CMU_MOSEI_TimestampedPhones.csd")
LABELS = "CMU_MOSEI_Labels.csd"
NAMES = {LABELS: "All Labels", COVAREP: "COVAREP", FACET: "FACET 4.2", OPENFACE: "OpenFace_2",
         GLOVE: "glove_vectors", WORDS: "words", PHONES: "phones"}
INF, NAN = float("inf"), float("nan")


def write_csd(folder, name, videos):
    """Write a .csd as the SDK deploys it: {video: (intervals, features)}, in gzip chunks, with its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / name, "w") as file:
        root = file.create_group(NAMES[name])
        data = root.create_group("data")
        for video, (intervals, features) in videos.items():
            group = data.create_group(video)
            group.create_dataset("intervals", data=np.array(intervals, np.float64).reshape(-1, 2), compression="gzip")
            features = np.array(features)
            group.create_dataset("features", compression="gzip",
                                 data=features if features.dtype.kind == "S" else features.astype(np.float32))
        root.create_group("metadata").create_dataset("root name", (1,), dtype=h5py.special_dtype(vlen=str))[0] = (
            json.dumps(NAMES[name]))


def utterance(video, turn, start, end, split="train", text="said"):
    return Utterance(f"mosei_{video}_{turn}", "mosei", split, f"mosei_{video}", turn, video, text,
                     start=None if start is None else Fraction(start), end=None if end is None else Fraction(end))


def corpus(folder, *utterances):
    return Corpus("mosei", folder, utterances)


# A word, a slip of the aligner that lasts no time, a pause, a word; half-second steps of sound, one of them broken
# as COVAREP's are; a picture of the first second alone.
SEGMENTS = [("-aBc__1", 0, 0, 2), ("-aBc__1", 1, "1.5", 4), ("-aBc__1", 2, 10, 11), ("25522", 0, 0, 1)]
MINIATURE = {
    GLOVE: {"-aBc__1": ([[0, 1], [1, 1], [1, 2], [2, 3.5]], [[1, -1], [9, 9], [2, -2], [3, -3]]),
            "25522": ([[0.25, 0.75]], [[4, -4]]),
            "255224": ([[0, 1]], [[6, 6]])},
    COVAREP: {"-aBc__1": ([[i / 2, (i + 1) / 2] for i in range(6)], [[1], [3], [5], [-INF], [7], [8]])},
    FACET: {"-aBc__1": ([[0, 0.5], [0.5, 1]], [[10, 20, 30], [20, 40, 60]]),
            "25522": ([[0, 1]], [[1, 2, 3]])},
}


@pytest.fixture
def miniature(tmp_path):
    """The miniature's folder, and the corpus over it."""
    for name, videos in MINIATURE.items():
        write_csd(tmp_path, name, videos)
    return corpus(tmp_path, *(utterance(*segment) for segment in SEGMENTS))


def rows(processed):
    return [{name: steps.tolist() for name, steps in row.items()} for row in processed.rows()]


# --------------------------------------------------------------------------------------------- words

def test_miniature_aligned_to_words(miniature):
    processed = read_sequences(miniature)
    assert rows(processed) == [
        # "so" has the steps 1 and 3, the pause 5 (its other step is −inf); no picture of the pause: zeros.
        {"audio": [[2], [5]], "video": [[15, 30, 45], [0, 0, 0]], "text": [[1, -1], [2, -2]]},
        # The pause reaches into this segment too, with the mean over all of it; there is no picture at all.
        {"audio": [[5], [7.5]], "text": [[2, -2], [3, -3]]},
        {},
        {"video": [[1, 2, 3]], "text": [[4, -4]]},
    ]
    assert {name: (how["dim"], how["clock"], how["extractor"]) for name, how in processed.modalities.items()} == {
        "audio": (1, "words", "COVAREP"), "video": (3, "words", "FACET 4.2"), "text": (2, "words", "GloVe")}
    assert processed.settings == {"align": "words"}
    assert "audio: videos that are not in CMU_MOSEI_COVAREP.csd: 1 of 2 (first 25522)" in processed.corpus.notes


def test_rows_can_be_read_again_and_left_early(miniature):
    processed = read_sequences(miniature)
    first = processed.rows()
    next(first)
    first.close()
    assert rows(processed) == rows(processed)


def test_word_without_a_finite_value_stays_nan(tmp_path):
    write_csd(tmp_path, GLOVE, {"a": ([[0, 1], [1, 2]], [[1], [2]])})
    write_csd(tmp_path, COVAREP, {"a": ([[0, 0.5], [0.5, 1], [1, 2]], [[-INF, 1], [NAN, 3], [4, INF]])})
    (row,) = read_sequences(corpus(tmp_path, utterance("a", 0, 0, 2))).rows()
    np.testing.assert_array_equal(row["audio"], np.array([[NAN, 2], [4, NAN]], np.float32))


def test_words_alone_are_enough_to_align_to(tmp_path):
    write_csd(tmp_path, WORDS, {"a": ([[0, 1], [1, 2]], np.array([[b"well"], [b"sp"]]))})
    write_csd(tmp_path, COVAREP, {"a": ([[0, 1], [1, 2]], [[1], [2]])})
    processed = read_sequences(corpus(tmp_path, utterance("a", 0, 0, 2)))
    assert rows(processed) == [{"audio": [[1], [2]]}]
    assert list(processed.modalities) == ["audio"] and processed.modalities["audio"]["clock"] == "words"


def test_word_vectors_come_before_words(tmp_path):
    write_csd(tmp_path, WORDS, {"a": ([[0, 2]], np.array([[b"well"]]))})
    write_csd(tmp_path, GLOVE, {"a": ([[0, 1], [1, 2]], [[1], [2]])})
    write_csd(tmp_path, COVAREP, {"a": ([[0, 1], [1, 2]], [[1], [2]])})
    assert rows(read_sequences(corpus(tmp_path, utterance("a", 0, 0, 2)))) == [
        {"audio": [[1], [2]], "text": [[1], [2]]}]


def test_words_in_any_order_are_put_in_order(tmp_path):
    write_csd(tmp_path, GLOVE, {"a": ([[2, 3], [0, 1.5], [1, 2]], [[3], [1], [2]])})
    write_csd(tmp_path, COVAREP, {"a": ([[2, 3], [1, 2], [0, 1]], [[30], [20], [10]])})
    assert rows(read_sequences(corpus(tmp_path, utterance("a", 0, 0, 3)))) == [
        {"audio": [[15], [20], [30]], "text": [[1], [2], [3]]}]


def test_videos_are_told_apart_by_their_whole_id(miniature):
    # The SDK purges by prefix: 25522 would take 255224 with it.
    ((row,),) = [rows(read_sequences(corpus(miniature.root, utterance("255224", 0, 0, 1))))]
    assert row == {"text": [[6, 6]]}


# ---------------------------------------------------------------------------------------- their own clocks

def test_miniature_on_its_own_clocks(miniature):
    processed = read_sequences(miniature, align="own")
    assert rows(processed) == [
        {"audio": [[1], [3], [5], [-INF]], "video": [[10, 20, 30], [20, 40, 60]], "text": [[1, -1], [9, 9], [2, -2]]},
        {"audio": [[-INF], [7], [8]], "text": [[2, -2], [3, -3]]},  # the middle of the pause is the start
        {},
        {"video": [[1, 2, 3]], "text": [[4, -4]]},
    ]
    assert {name: how["clock"] for name, how in processed.modalities.items()} == {
        "audio": "rate:2", "video": "rate:2", "text": "words"}
    assert processed.settings == {"align": "own"}


def test_uneven_steps_have_a_clock_of_their_own(tmp_path):
    write_csd(tmp_path, OPENFACE, {"a": ([[0, 1], [1, 2], [5, 6]], [[1], [2], [3]])})
    processed = read_sequences(corpus(tmp_path, utterance("a", 0, 0, 9)))
    assert rows(processed) == [{"openface": [[1], [2], [3]]}]
    assert processed.modalities["openface"]["clock"] == "own" and processed.settings == {"align": "own"}


def test_clock_is_judged_by_the_first_video_with_two_steps(tmp_path):
    write_csd(tmp_path, COVAREP, {"a": ([[0, 0.01]], [[1]]), "b": ([[i / 100, i / 100] for i in range(9)], [[2]] * 9)})
    processed = read_sequences(corpus(tmp_path, utterance("a", 0, 0, 1), utterance("b", 0, 0, 1)))
    assert processed.modalities["audio"]["clock"] == "rate:100"
    assert [len(row["audio"]) for row in processed.rows()] == [1, 9]


# ------------------------------------------------------------------------------------------ which files

@pytest.mark.parametrize("folder", ["", "acoustic", "visual", "language", "languages", "csd", "Raw", "Raw/csd"])
def test_files_are_found_where_they_usually_lie(tmp_path, folder):
    for name in set(NAMES) - {LABELS}:
        write_csd(tmp_path / folder, name, {})
    found, notes = find_sequences(tmp_path)
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()} == {
        modality: f"{folder}/{name}".lstrip("/") for modality, name in (
            ("audio", COVAREP), ("video", FACET), ("openface", OPENFACE), ("text", GLOVE), ("words", WORDS),
            ("phones", PHONES))}
    assert notes == []


def test_the_same_file_in_two_places_is_told(miniature):
    write_csd(miniature.root / "Raw", COVAREP, {})
    processed = read_sequences(miniature)
    assert f"{COVAREP} is there twice: {COVAREP} is read, Raw/{COVAREP} is not" in processed.corpus.notes
    assert "audio" in processed.modalities


def test_what_is_said_of_a_file_is_said_once(tmp_path):
    """Though the words' file is read with the corpus and with its features."""
    build_sequences(tmp_path)
    (tmp_path / GLOVE).unlink()
    for name in (COVAREP, WORDS, LABELS):
        with h5py.File(tmp_path / name, "a") as file:
            del file[f"{NAMES[name]}/metadata"]
    notes = plan_sequences(tmp_path).processed.corpus.notes
    assert sorted(note for note in notes if "metadata" in note) == [
        f"{name} has no metadata; its version and source are unknown" for name in (COVAREP, LABELS, WORDS)]


def test_openface_is_not_video_even_alone(tmp_path):
    write_csd(tmp_path, OPENFACE, {"a": ([[0, 1]], [[1, 2]])})
    assert list(read_sequences(corpus(tmp_path, utterance("a", 0, 0, 9))).modalities) == ["openface"]


def test_phones_are_not_used_and_that_is_said(miniature):
    write_csd(miniature.root, PHONES, {"-aBc__1": ([[0, 1]], np.array([[b"AH0"]]))})
    processed = read_sequences(miniature)
    assert "CMU_MOSEI_TimestampedPhones.csd is not used" in processed.corpus.notes
    assert set(processed.modalities) == {"audio", "video", "text"}


def test_utterances_of_unknown_times_have_no_features(miniature):
    unknown = corpus(miniature.root, utterance("-aBc__1", 0, None, None), utterance("-aBc__1", 1, 0, 1))
    for align in ("words", "own"):
        processed = read_sequences(unknown, align=align)
        assert [bool(row) for row in processed.rows()] == [False, True]
        assert any("times are unknown" in note and note.endswith(": 1") for note in processed.corpus.notes)


def test_words_stand_in_for_a_missing_transcript(miniature):
    spoken = replace(utterance("-aBc__1", 0, 0, 2, text=""), words=(("so", 0.0, 1.0), ("there", 1.0, 2.0)))
    read = read_sequences(replace(miniature, utterances=(spoken, utterance("25522", 0, 0, 1)))).corpus
    assert [one.text for one in read.utterances] == ["so there", "said"]
    assert "utterances whose text is that of CMU_MOSEI_TimestampedWords.csd: 1" in read.notes


# -------------------------------------------------------------------------------------------------- refusals

def refusal(error, *args, **options):
    with pytest.raises(error) as raised:
        for _ in read_sequences(*args, **options).rows():
            pass
    return str(raised.value)


def test_no_features_at_all(tmp_path):
    write_csd(tmp_path, WORDS, {"a": ([[0, 1]], np.array([[b"well"]]))})
    told = refusal(MissingInput, corpus(tmp_path, utterance("a", 0, 0, 1)))
    assert "IN is a raw corpus, and has no features of its own" in told


def test_files_of_another_corpus(miniature):
    other = corpus(miniature.root, utterance("zzz", 0, 0, 1))
    line = refusal(MissingInput, other)
    assert "videos that are not in CMU_MOSEI_COVAREP.csd: 1 of 1 (first zzz)" in line


def test_words_of_other_videos(miniature):
    write_csd(miniature.root, GLOVE, {"zzz": ([[0, 1]], [[1]])})
    assert "not in CMU_MOSEI_TimestampedWordVectors.csd: 2 of 2" in refusal(MissingInput, miniature)
    assert len(rows(read_sequences(miniature, align="own"))) == 4


def test_videos_that_differ_in_their_number_of_features(miniature):
    videos = {"-aBc__1": MINIATURE[COVAREP]["-aBc__1"], "25522": ([[0, 1]], [[1, 2]])}
    write_csd(miniature.root, COVAREP, videos)
    line = refusal(CorpusError, miniature)
    assert "expected 1 as for -aBc__1, got 2 for 25522" in line and "old ones of COVAREP have 43" in line


def test_words_in_place_of_numbers(miniature):
    write_csd(miniature.root, COVAREP, {"-aBc__1": ([[0, 1]], np.array([[b"so"]]))})
    line = refusal(CorpusError, miniature)
    assert "these features are words" in line and "CMU_MOSEI_COVAREP.csd, -aBc__1" in line


@pytest.mark.parametrize("align", ["words", "own"])
@pytest.mark.parametrize("name", [COVAREP, FACET])
def test_a_step_that_ends_before_it_begins(miniature, name, align):
    write_csd(miniature.root, name, {"-aBc__1": ([[0, 0.5], [0.5, 0.5], [1, 0.75]], [[1]] * 3)})
    assert refusal(CorpusError, miniature, align=align) == (
        f"{miniature.root / name}, -aBc__1: a step ends before it begins: got 1 to 0.75 in row 2; download the file "
        "again")


@pytest.mark.parametrize("align", ["words", "own"])
def test_a_word_that_ends_before_it_begins_is_no_error(miniature, align):
    write_csd(miniature.root, GLOVE, {"-aBc__1": ([[0, 1], [1, 0.75]], [[1], [2]])})
    assert rows(read_sequences(miniature, align=align))[0]["text"] == {"words": [[1]], "own": [[1], [2]]}[align]


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_name_that_is_there_and_is_no_file(miniature, kind):
    path = miniature.root / "acoustic" / COVAREP
    path.parent.mkdir()
    path.mkdir() if kind == "folder" else path.symlink_to("nowhere")
    assert refusal(MissingInput, miniature).startswith(f"{path}: this is no file: ")


def test_unknown_alignment(miniature):
    assert refusal(UsageError, miniature, align="frames") == "--align: not known: expected words or own, got frames"


def test_no_words_to_align_to(tmp_path):
    write_csd(tmp_path, COVAREP, {"a": ([[0, 1]], [[1]])})
    line = refusal(UsageError, corpus(tmp_path, utterance("a", 0, 0, 1)), align="words")
    assert "there are no words to align to" in line and "--align own" in line


def test_file_that_is_no_csd(miniature):
    (miniature.root / FACET).write_bytes(b"not HDF5")
    assert FACET in refusal(CorpusError, miniature)


@pytest.mark.parametrize("align", ["words", "own"])
def test_absurd_times(tmp_path, align):
    huge = [[-1e308, 1e308], [1e308, -1e308], [1e308, 1e308], [0, 1]]
    write_csd(tmp_path, GLOVE, {"a": (huge, [[1], [2], [3], [4]])})
    write_csd(tmp_path, COVAREP, {"a": ([huge[0], *huge[2:]], [[1], [3], [5]])})
    (row,) = rows(read_sequences(corpus(tmp_path, utterance("a", 0, 0, 1)), align=align))
    assert row["audio"] == {"words": [[3], [3]], "own": [[1], [5]]}[align]


# ------------------------------------------------------------------------------------ the road on a miniature

@pytest.fixture(scope="module")
def mosei(tmp_path_factory):
    """A folder with CMU-MOSEI's labels and sequences, and nothing else."""
    return build_sequences(tmp_path_factory.mktemp("mosei")).folder


@pytest.fixture(scope="module")
def stores(mosei):
    """The store of each alignment."""
    made = {align: mosei.parent / align for align in ("words", "own")}
    for align, out in made.items():
        bring(plan_sequences(mosei, align=align), out)
    return made


def read_store(out):
    """Return the rows of a feature store by key: index columns, and its modalities by name (None: missing)."""
    manifest, found = open_store(out).manifest, {}
    for table in manifest.tables:
        index, features = read_table(out / table["name"], manifest.modalities)
        index = index.rename_columns(["transcript" if name == "text" else name for name in index.column_names])
        for number, row in enumerate(index.to_pylist()):
            for name, modality in features.items():
                assert modality.present[number] == row[f"has_{name}"]
                steps, row[name] = modality.values[number], None
                if modality.present[number]:
                    row[name] = steps
                else:
                    assert len(steps) == 1 and not steps.any()
            found[row["key"]] = row
    return found


def raw(folder, name, video):
    with h5py.File(folder / name) as file:
        (root,) = file.values()
        group = root["data"].get(video)
        return (None, None) if group is None else (group["intervals"][()], group["features"][()])


def of_words(folder, name, video, start, end):
    """The page's rules in a loop: the mean of each word of the segment, None if no word has a step."""
    words, vectors = raw(folder, GLOVE, video)
    chosen = [row for row, (begin, stop) in enumerate(words) if min(stop, end) - max(begin, start) > 1e-5]
    if name == GLOVE:
        return vectors[chosen] if chosen else None
    intervals, values = raw(folder, name, video)
    if intervals is None:
        return None
    made, any_step = [], False
    for begin, stop in words[chosen]:
        steps = values[[min(last, stop) - max(first, begin) > 1e-5 for first, last in intervals]]
        any_step |= bool(len(steps))
        made.append([column[np.isfinite(column)].astype(float).mean() for column in steps.T] if len(steps)
                    else [0] * values.shape[1])
    return np.array(made, np.float32) if any_step else None


def of_middles(folder, name, video, start, end):
    intervals, values = raw(folder, name, video)
    if intervals is None:
        return None
    steps = values[[start <= (begin + stop) / 2 < end for begin, stop in intervals]]
    return np.where(np.isfinite(steps), steps, 0) if len(steps) else None


@pytest.mark.parametrize(("align", "rule"), [("words", of_words), ("own", of_middles)])
def test_store_holds_what_the_rules_say(mosei, stores, align, rule):
    rows = read_store(stores[align])
    assert len(rows) == 26 and len({row["dialogue"] for row in rows.values()}) == 8
    for key, row in rows.items():
        video = row["dialogue"].removeprefix("mosei_")
        for name, modality in ((COVAREP, "audio"), (FACET, "video"), (GLOVE, "text")):
            expected = rule(mosei, name, video, row["start"], row["end"])
            if expected is None:
                assert row[modality] is None, (key, modality)
            else:
                np.testing.assert_allclose(row[modality], expected, rtol=1e-6, err_msg=f"{key} {modality}")


def test_store_says_what_it_is(stores):
    manifest = open_store(stores["words"]).manifest
    assert manifest.corpus == "mosei" and manifest.facts["settings"]["align"] == "words"
    assert manifest.facts["settings"]["nonfinite"] == "zero"
    assert manifest.modalities["audio"] == {"dim": 74, "clock": "words", "extractor": "COVAREP", "file": COVAREP,
                                            "bytes": manifest.facts["inputs"]["features"][COVAREP]}
    assert "video: utterances without it: 4" in manifest.notes  # 25522 has no FACET, 255224 is over before them
    clocks = {name: how["clock"] for name, how in open_store(stores["own"]).manifest.modalities.items()}
    assert clocks == {"audio": "rate:100", "video": "rate:30", "text": "words"}


def test_aligned_modalities_are_of_one_length(stores):
    rows = read_store(stores["words"]).values()
    assert sum(row["audio"] is not None for row in rows) > 15
    for row in rows:
        assert len({len(row[name]) for name in ("audio", "video", "text") if row[name] is not None}) <= 1


def test_text_is_that_of_the_words_file_without_pauses(stores):
    row = read_store(stores["words"])["mosei_--qXJuDtHPw_t-4875_12500"]
    assert row["transcript"] == "word0 word1 word2 word4 word5"


def test_same_run_again_is_a_no_op_and_another_is_refused(mosei, stores):
    assert not bring(plan_sequences(mosei, align="words"), stores["words"]).fresh
    with pytest.raises(UsageError, match="align"):
        bring(plan_sequences(mosei, align="own"), stores["words"])


@pytest.mark.parametrize(("policy", "value"), [("zero", 0.0), ("impute-median", 6.0), ("drop", None)])
def test_nonfinite_of_a_whole_word(tmp_path, policy, value):
    write_mosei(tmp_path / "in")
    bring(plan_sequences(tmp_path / "in", nonfinite=policy), tmp_path / "out")
    rows = read_store(tmp_path / "out")
    # Train has the means 4 and 8; the bad frame of the first word is left out of its mean.
    assert rows["mosei_25522_t0_10000"]["audio"].tolist() == [[4, 1]]
    broken = rows["mosei_255224_t0_10000"]["audio"]
    assert broken is None if value is None else broken.tolist() == [[value, 1]]


def test_nonfinite_of_a_whole_word_may_be_an_error(tmp_path):
    write_mosei(tmp_path / "in")
    with pytest.raises(EmoprepError, match="audio is not finite") as raised:
        bring(plan_sequences(tmp_path / "in", nonfinite="error"), tmp_path / "out")
    assert "mosei_255224_t0_10000" in str(raised.value)


@pytest.mark.parametrize(("policy", "align", "lost"), [("drop", "own", 2), ("drop", "words", 0), ("zero", "own", 0)])
def test_drop_that_takes_a_modality_from_most_says_so(tmp_path, policy, align, lost):
    """A frame of COVAREP in ten is broken, and so is nearly every utterance on its own clock."""
    write_mosei(tmp_path / "in")
    bring(plan_sequences(tmp_path / "in", align=align, nonfinite=policy), tmp_path / "out")
    assert [note for note in open_store(tmp_path / "out").manifest.notes if "more than half" in note] == [
        f"audio: more than half of the utterances that have it lose it to --nonfinite drop: {lost} of 3; "
        "--nonfinite zero or impute-median keeps it"] * bool(lost)


def write_mosei(folder):
    """Three train videos of a word each: one frame in two is −inf, none is, all are."""
    word = [[0, 1]]
    frames = {"25522": [[-INF, 1], [4, 1]], "FcAgbLF6__s": [[6, 1], [10, 1]], "255224": [[-INF, 1], [NAN, 1]]}
    write_csd(folder, COVAREP, {video: ([[0, 0.5], [0.5, 1]], values) for video, values in frames.items()})
    write_csd(folder, GLOVE, {video: (word, [[1, 2, 3]]) for video in frames})
    write_csd(folder, LABELS, {video: (word, [[0, 1, 0, 0, 0, 0, 0]]) for video in frames})


def test_statistics_and_smote_run_on_the_store(stores, tmp_path):
    counted = stats(stores["words"], labels="mosei-7").splits["train"]
    assert counted["utterances"] == 19
    result = balance(stores["words"], tmp_path / "balanced", strategy="smote", labels="mosei-7").to_json()
    assert result["before"] == counted["counts"]
    assert {count for count in result["after"].values() if count} == {max(counted["counts"].values())}
    rows = read_store(tmp_path / "balanced")
    made = [row for row in rows.values() if row["op"] == "interpolate"]
    assert made
    for row in made:
        assert len({len(row[name]) for name in ("audio", "video", "text") if row[name] is not None}) == 1


# ----------------------------------------------------------------------------------------------- memory

@pytest.mark.parametrize("align", ["words", "own"])
def test_memory_does_not_grow_with_the_videos(tmp_path, align):
    def peak(videos):
        names = [f"video{number}" for number in range(videos)]
        steps = np.arange(3000)
        frames = np.stack([steps / 100, (steps + 1) / 100], axis=1), np.ones((3000, 74))
        folder = tmp_path / str(videos)
        write_csd(folder, COVAREP, dict.fromkeys(names, frames))
        write_csd(folder, GLOVE, dict.fromkeys(names, ([[0, 15], [15, 30]], np.ones((2, 300)))))
        processed = read_sequences(corpus(folder, *(utterance(name, 0, 0, 30) for name in names)), align=align)
        tracemalloc.start()
        for _ in processed.rows():
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most
    few, many = peak(3), peak(12)
    assert few > 888_000 and many < 1.1 * few  # one video's sound is 888,000 bytes
