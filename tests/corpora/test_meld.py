"""MELD as users have it: every layout, both generations of the csv, each quirk, and one clear line for bad rows."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from meld_miniature import C1, HEADER, LAYOUTS, STUB, build_miniature

from emoprep.corpora import annotation_digests, open_corpus
from emoprep.corpora.meld import SCHEMES, parse_time
from emoprep.errors import CorpusError, EmoprepError, MissingInput, UsageError

ROW = {"Sr No.": "1", "Utterance": "Hello there.", "Speaker": "Ida", "Emotion": "joy", "Sentiment": "positive",
       "Dialogue_ID": "0", "Utterance_ID": "0", "Season": "3", "Episode": "11", "StartTime": "00:01:02,500",
       "EndTime": "00:01:04,040"}


def table(*rows, header=HEADER, ending="\r\n", quoting=csv.QUOTE_MINIMAL):
    """Return csv text; each row is what differs from ROW."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=ending, quoting=quoting)
    writer.writerow(header)
    for row in rows:
        writer.writerow([{**ROW, **row}[column] for column in header])
    return text.getvalue()


def corpus_of(folder, data, split="train", name=None):
    """Write one csv and read the corpus."""
    folder.mkdir(exist_ok=True)
    (folder / (name or f"{split}_sent_emo.csv")).write_bytes(data if isinstance(data, bytes) else data.encode())
    return open_corpus(folder)[1]


def clip(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not decoded here")
    return path


def failure(folder, data, split="train", error=CorpusError):
    with pytest.raises(error) as caught:
        corpus_of(folder, data, split)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------- the miniature

@pytest.mark.parametrize("generation", ["new", "old"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_miniature_in_every_layout(tmp_path, layout, generation):
    made = build_miniature(tmp_path, layout, generation)

    module, read = open_corpus(made.folder)

    assert module.NAME == read.name == "meld"
    assert [utterance.key for utterance in read.utterances] == list(made.truth)
    for utterance, truth in zip(read.utterances, made.truth.values(), strict=True):
        assert (utterance.split, utterance.dialogue) == (truth.split, f"meld_{truth.split}_dia{truth.dialogue}")
        assert (utterance.text, utterance.speaker) == (truth.text, truth.speaker)
        assert utterance.annotation == {
            "emotion": truth.emotion, "sentiment": truth.sentiment, "season": 3, "episode": 11,
            "source_start": parse_time(truth.start), "source_end": parse_time(truth.end)}
        assert utterance.seconds == pytest.approx(truth.csv_seconds, abs=1e-9)
        assert utterance.audio == truth.clip
        assert utterance.video == (None if layout == "mirror" else truth.clip)
        assert (utterance.start, utterance.end) == (None, None)
        assert utterance.flags == (("twin-corrected",) if truth.key == "meld_test_dia0_utt0" else ())
    assert [(skip.key, skip.reason) for skip in read.skips] == [("meld_dev_dia0_utt2", "no-clip")]
    where = f"{LAYOUTS[layout]['dev'][1]}/dev_sent_emo.csv".lstrip("/")
    assert read.skips[0].detail == f"{where}:4 names dia0_utt2, which no clip has"
    assert read.unused_clips == tuple(truth.clip for truth in made.unused)
    assert read.bare_splits == ()
    assert read.notes == ()
    assert read.annotation_files == tuple(f"{LAYOUTS[layout][split][1]}/{split}_sent_emo.csv".lstrip("/")
                                          for split in ("train", "dev", "test"))


def test_turns_are_dense_where_ids_are_not(tmp_path):
    _, read = open_corpus(build_miniature(tmp_path).folder)

    turns = {utterance.key: utterance.turn for utterance in read.utterances}
    assert turns["meld_train_dia1_utt3"] == 2  # there is no utterance 2
    assert turns["meld_train_dia2_utt1"] == 0  # nor a 0
    assert turns["meld_dev_dia0_utt2"] == 2  # a turn without a clip is still a turn


def test_the_same_ids_in_every_split_are_other_utterances(tmp_path):
    _, read = open_corpus(build_miniature(tmp_path).folder)

    firsts = [utterance for utterance in read.utterances if utterance.key.endswith("_dia0_utt0")]
    assert [utterance.split for utterance in firsts] == ["train", "dev", "test"]
    assert len({utterance.text for utterance in firsts}) == len({utterance.video for utterance in firsts}) == 3


def test_the_times_of_the_miniature(tmp_path):
    _, read = open_corpus(build_miniature(tmp_path).folder)

    seconds = {utterance.key: utterance.seconds for utterance in read.utterances}
    assert seconds["meld_train_dia0_utt2"] == 1.18  # ",28" is 280 ms
    assert seconds["meld_dev_dia0_utt1"] == 1.5  # ",7" is 700 ms
    assert seconds["meld_test_dia0_utt1"] == 0  # Start == End
    assert seconds["meld_train_dia4_utt0"] == 1.501  # from 9:59:59 to 10:00:01
    assert seconds["meld_train_dia1_utt1"] == 0.084


@pytest.mark.parametrize("layout", ["archive", "mirror"])
def test_the_plain_twin_on_demand(tmp_path, layout):
    made = build_miniature(tmp_path, layout)

    corrected, plain = (open_corpus(made.folder, options={"twins": twins})[1] for twins in ("corrected", "plain"))

    pairs = [(one, other) for one, other in zip(corrected.utterances, plain.utterances, strict=True) if one != other]
    assert len(pairs) == 1
    assert pairs[0][0].audio.rpartition("/")[2].startswith("final_videos_testdia0_utt0.")
    assert pairs[0][1].audio == made.twin.clip
    assert pairs[0][1].flags == ("twin-plain",)
    assert corrected.settings == {"twins": "corrected"}
    assert plain.settings == {"twins": "plain"}
    # The twin that lost is no clip without a row.
    assert corrected.unused_clips == plain.unused_clips


@pytest.mark.parametrize("twins", ["corrected", "plain"])
@pytest.mark.parametrize("name", ["final_videos_testdia0_utt0.mp4", "dia0_utt0.mp4"])
def test_without_a_twin_the_only_clip_is_taken_and_not_flagged(tmp_path, name, twins):
    path = clip(tmp_path, f"output_repeated_splits_test/{name}")
    (tmp_path / "test_sent_emo.csv").write_text(table({}))

    _, read = open_corpus(tmp_path, options={"twins": twins})

    assert read.utterances[0].video == path.relative_to(tmp_path).as_posix()
    assert read.utterances[0].flags == ()


def test_an_option_that_is_not_known(tmp_path):
    build_miniature(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_corpus(tmp_path / "MELD.Raw", options={"twins": "both"})
    assert str(caught.value) == "--twins: not known: expected corrected or plain, got both"
    with pytest.raises(UsageError) as caught:
        open_corpus(tmp_path / "MELD.Raw", options={"halves": "left"})
    assert str(caught.value) == "--halves: meld has no such option"


# ----------------------------------------------------------------------------------- where things may lie

PLACES = [("train", "train"), ("train", "train_splits"), ("train", "train/train_splits"), ("train", "audio/train"),
          ("dev", "dev"), ("dev", "dev_splits"), ("dev", "dev_splits_complete"), ("dev", "dev/dev_splits_complete"),
          ("test", "test"), ("test", "test_splits"), ("test", "output_repeated_splits_test"),
          ("test", "test/output_repeated_splits_test"), ("test", "audio/test")]


@pytest.mark.parametrize("split, place", PLACES)
@pytest.mark.parametrize("beside", ["with the clips", "one level up", "in IN"])
def test_where_clips_and_csv_may_lie(tmp_path, split, place, beside):
    video = clip(tmp_path, f"{place}/dia0_utt0.mp4")
    folder = {"with the clips": video.parent, "one level up": video.parent.parent, "in IN": tmp_path}[beside]
    (folder / f"{split}_sent_emo.csv").write_text(table({}))

    _, read = open_corpus(tmp_path)

    assert [(utterance.split, utterance.video) for utterance in read.utterances] == [(split, f"{place}/dia0_utt0.mp4")]
    assert read.skips == ()
    assert read.annotation_files == ((folder / f"{split}_sent_emo.csv").relative_to(tmp_path).as_posix(),)


def test_a_clip_beside_its_sound(tmp_path):
    for name in ("dia0_utt0.mp4", "dia0_utt0.wav", "dia0_utt0.flac", "dia0_utt1.wav", "dia0_utt1.flac"):
        clip(tmp_path, f"train/{name}")

    read = corpus_of(tmp_path, table({}, {"Utterance_ID": "1"}))

    assert [(utterance.video, utterance.audio) for utterance in read.utterances] == [
        ("train/dia0_utt0.mp4", "train/dia0_utt0.mp4"), (None, "train/dia0_utt1.flac")]
    assert read.unused_clips == ()


def test_names_that_are_no_clips(tmp_path):
    for name in ("._dia0_utt0.mp4", "dia0_utt0.mp4.part", "dia0_utt0.txt", "copy of dia0_utt0.mp4", "dia0.mp4",
                 "final_videos_test_dia0_utt0.mp4", "xdia0_utt0.mp4", "dia0_utt0 (1).mp4", "dia-1_utt0.mp4"):
        clip(tmp_path, f"train/{name}")
    clip(tmp_path, "train/dia9_utt9.mp4")

    read = corpus_of(tmp_path, table({}))

    assert [skip.reason for skip in read.skips] == ["no-clip"]
    assert read.unused_clips == ("train/dia9_utt9.mp4",)


def test_stubs_of_a_mac_are_no_clips(tmp_path):
    clip(tmp_path, "dev_splits_complete/._dia0_utt0.mp4").write_bytes(STUB)

    read = corpus_of(tmp_path, table({}), "dev")

    assert read.bare_splits == ("dev",)
    assert read.utterances[0].video is None


def test_annotation_alone(tmp_path):
    corpus_of(tmp_path, table({}, {"Utterance_ID": "1"}))
    read = corpus_of(tmp_path, table({}), "dev")

    assert len(read.utterances) == 3
    assert read.bare_splits == ("train", "dev")
    assert read.skips == ()


def test_a_split_that_is_still_packed_is_named(tmp_path):
    """`train_sent_emo.csv` and the clips lie in the archive in the archive."""
    clip(tmp_path, "train.tar.gz")
    clip(tmp_path, "dev_splits_complete/dia0_utt0.mp4")

    read = corpus_of(tmp_path, table({}), "dev")

    assert [utterance.split for utterance in read.utterances] == ["dev"]
    assert read.notes == ("train: train.tar.gz is still packed (tar xzf train.tar.gz)",
                          "test: no test_sent_emo.csv; the split is left out")


def test_clips_without_a_csv_are_named(tmp_path):
    clip(tmp_path, "train_splits/dia0_utt0.mp4")

    read = corpus_of(tmp_path, table({}), "dev")

    assert read.notes == ("train: 1 clips but no train_sent_emo.csv; the split is left out",
                          "test: no test_sent_emo.csv; the split is left out")


def test_a_csv_without_rows_is_named(tmp_path):
    header = table({}).split("\r\n")[0] + "\r\n"
    assert "train: train_sent_emo.csv has no row below its header" in corpus_of(tmp_path, header).notes


def test_no_csv_at_all(tmp_path):
    clip(tmp_path, "train_splits/dia0_utt0.mp4")

    with pytest.raises(MissingInput) as caught:
        open_corpus(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}: MELD's annotation is missing: expected train_sent_emo.csv, dev_sent_emo.csv, "
        "test_sent_emo.csv, got none of them; put the csv files beside the clips (train_sent_emo.csv comes in "
        "train.tar.gz)")


def test_the_dyadic_subset_names_the_clips_of_the_whole(tmp_path):
    header = [*HEADER[1:7], "Old_Dialogue_ID", "Old_Utterance_ID", *HEADER[7:]]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for old in (4, 6):
        row = {**ROW, "Dialogue_ID": "0", "Utterance_ID": str(old - 4), "Old_Dialogue_ID": "17",
               "Old_Utterance_ID": str(old)}
        writer.writerow([row[column] for column in header])
    (tmp_path / "train_sent_emo_dya.csv").write_text(text.getvalue())
    for number in (4, 5, 6):
        clip(tmp_path, f"train_splits/dia17_utt{number}.mp4")

    _, read = open_corpus(tmp_path)

    assert [(utterance.key, utterance.video) for utterance in read.utterances] == [
        ("meld_train_dia0_utt0", "train_splits/dia17_utt4.mp4"), ("meld_train_dia0_utt2",
                                                                  "train_splits/dia17_utt6.mp4")]
    assert read.unused_clips == ("train_splits/dia17_utt5.mp4",)


def test_the_digest_is_over_the_bytes(tmp_path):
    one = annotation_digests(corpus_of(tmp_path / "one", table({})))
    same = annotation_digests(corpus_of(tmp_path / "same", table({})))
    other = annotation_digests(corpus_of(tmp_path / "other", table({}, ending="\n")))
    assert one == same
    assert list(one) == list(other) == ["train_sent_emo.csv"]
    assert one != other


# ------------------------------------------------------------------------------------------------ the csv

@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_the_mark_of_windows(tmp_path, ending, bom):
    data = bom + table({"Utterance": "One"}, {"Utterance": "Two", "Utterance_ID": "1"}, ending=ending).encode()
    assert [utterance.text for utterance in corpus_of(tmp_path, data).utterances] == ["One", "Two"]


def test_characters_of_the_old_files(tmp_path):
    """cp1252 that was taken for latin-1 and stored as UTF-8, mixed with real U+2019 and ‘é’."""
    text = "“Well…” – it’s ‘mine’ — café"
    data = table({"Utterance": text.translate(C1)}, {"Utterance": "it’s\xa0so", "Utterance_ID": "1"},
                 {"Utterance": "\x85", "Utterance_ID": "2"})
    assert "\x92" in data
    assert [utterance.text for utterance in corpus_of(tmp_path, data).utterances] == [text, "it’s so", "…"]


def test_a_file_that_is_still_cp1252(tmp_path):
    data = table({"Utterance": "It’s “café”…"}).encode("cp1252")
    assert corpus_of(tmp_path, data).utterances[0].text == "It’s “café”…"


@pytest.mark.parametrize("text", [
    'He said "no", twice.', "one\r\ntwo", "a\u2028b", "  spaces  ", "", "😀 ☎", "'", ";", "\t", "=1+1", "\x1c"])
def test_any_text_survives(tmp_path, text):
    read = corpus_of(tmp_path, table({"Utterance": text}, {"Utterance_ID": "1"}))
    assert [utterance.text for utterance in read.utterances] == [text, ROW["Utterance"]]


def test_columns_in_another_order_and_columns_of_ones_own(tmp_path):
    header = [*reversed(HEADER), "Mine"]
    text = table(header=header)[:-2] + "\r\n" + ",".join(
        f'"{value}"' for value in [*[ROW[column] for column in reversed(HEADER)], "extra"]) + "\r\n"
    read = corpus_of(tmp_path, text)
    assert read.utterances[0].text == ROW["Utterance"]
    assert read.utterances[0].annotation["emotion"] == "joy"


def test_blank_lines_are_no_rows(tmp_path):
    assert len(corpus_of(tmp_path, table({}) + "\r\n\r\n").utterances) == 1


def test_a_table_without_rows(tmp_path):
    read = corpus_of(tmp_path, table())
    assert read.utterances == ()


def test_rows_in_any_order_come_out_in_order(tmp_path):
    ids = [(10, 0), (2, 1), (2, 0), (10, 11), (10, 2)]
    read = corpus_of(tmp_path, table(*({"Dialogue_ID": str(d), "Utterance_ID": str(u)} for d, u in ids)))
    assert [utterance.key.split("_", 2)[2] for utterance in read.utterances] == [
        "dia2_utt0", "dia2_utt1", "dia10_utt0", "dia10_utt2", "dia10_utt11"]


def test_times_that_go_backwards_promise_no_length(tmp_path):
    read = corpus_of(tmp_path, table({"StartTime": "0:00:05,000", "EndTime": "0:00:04,000"}))
    assert read.utterances[0].seconds is None
    assert read.utterances[0].flags == ("csv-time-reversed",)
    assert read.utterances[0].annotation["source_start"] == 5


@pytest.mark.parametrize("text, seconds", [
    ("00:01:02,500", 62.5), ("0:01:05,28", 65.28), ("0:00:00,1", 0.1), ("0:00:00,01", 0.01), ("9:59:59,999", 35999.999),
    (" 0:00:01,000 ", 1.0), ("10:00:00,000", 36000.0)])
def test_times(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "1:2", "00:01:02.500", "00:01:02", "0:00:01,", "0:00:01,1234", "-0:00:01,000",
                                  "0:00:01,5,5", "a:bb:cc,ddd", "100:00:00,000", "0:00:0١,000"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="H:MM:SS,mmm"):
        parse_time(text)


# ------------------------------------------------------------------------------------------- one clear line

COLUMNS = ("Utterance, Speaker, Emotion, Sentiment, Dialogue_ID, Utterance_ID, Season, Episode, StartTime, EndTime")


@pytest.mark.parametrize("missing", HEADER[1:])
def test_a_missing_column(tmp_path, missing):
    told = failure(tmp_path, table({}, header=[column for column in HEADER if column != missing]))
    assert told == (f"train_sent_emo.csv: a column is missing: expected {COLUMNS}, got no {missing}; take the csv "
                    "as MELD ships it")


def test_a_column_that_is_there_twice(tmp_path):
    """The last one would win without a word: joy and anger in one row."""
    header = ",".join([*HEADER, "Emotion"])
    row = '1,Hi,Ida,joy,positive,0,0,1,1,"00:00:01,000","00:00:02,000",anger'
    assert failure(tmp_path, f"{header}\r\n{row}\r\n") == (
        "train_sent_emo.csv: a column is there twice: expected one of each name, got Emotion; remove one of the two")


def test_the_number_that_is_no_index_may_be_missing(tmp_path):
    assert len(corpus_of(tmp_path, table({}, header=HEADER[1:])).utterances) == 1


def test_an_empty_csv(tmp_path):
    assert failure(tmp_path, "") == (f"train_sent_emo.csv: a column is missing: expected {COLUMNS}, got no {COLUMNS}; "
                                     "take the csv as MELD ships it")


@pytest.mark.parametrize("column, value, expected", [
    ("Emotion", "happy", "neutral or surprise or fear or sadness or joy or disgust or anger"),
    ("Emotion", "", "neutral or surprise or fear or sadness or joy or disgust or anger"),
    ("Sentiment", "mixed", "neutral or positive or negative"),
    ("Dialogue_ID", "0.0", "a whole number"), ("Dialogue_ID", "-1", "a whole number"),
    ("Utterance_ID", "", "a whole number"), ("Utterance_ID", "1_0", "a whole number"),
    ("Utterance_ID", "١", "a whole number"), ("Season", "three", "a whole number"),
    ("Episode", "9" * 10, "a whole number"), ("StartTime", "1:2", "H:MM:SS,mmm"),
    ("EndTime", "00:01:02.500", "H:MM:SS,mmm"), ("EndTime", "", "H:MM:SS,mmm"),
    ("EndTime", "0:00:0١,000", "H:MM:SS,mmm"),
])
def test_a_cell_that_cannot_be_read(tmp_path, column, value, expected):
    told = failure(tmp_path, table({}, {"Utterance_ID": "1", column: value}), "dev")
    assert told == f"dev_sent_emo.csv:3: {column} cannot be read: expected {expected}, got {value!r}; mend the row"


def test_the_line_is_that_of_the_file_also_after_a_text_of_several_lines(tmp_path):
    told = failure(tmp_path, table({"Utterance": "one\r\ntwo\r\nthree"}, {"Utterance_ID": "1", "Emotion": "glad"}))
    assert told.startswith("train_sent_emo.csv:5: Emotion cannot be read: ")


def test_where_the_csv_lies_is_told(tmp_path):
    clip(tmp_path, "train/train_splits/dia0_utt0.mp4")
    (tmp_path / "train/train_sent_emo.csv").write_text(table({"Emotion": "glad"}))
    with pytest.raises(CorpusError, match=r"^train/train_sent_emo\.csv:2: Emotion cannot be read"):
        open_corpus(tmp_path)


def test_two_rows_with_one_key(tmp_path):
    told = failure(tmp_path, table({}, {"Utterance_ID": "1"}, {"Utterance": "Again."}))
    assert told == ("train_sent_emo.csv:4: dialogue 0 utterance 0 is there twice: got the first in line 2; remove "
                    "one of the two rows")


def test_the_same_number_written_otherwise_is_the_same_key(tmp_path):
    assert "is there twice" in failure(tmp_path, table({"Dialogue_ID": "7"}, {"Dialogue_ID": "007"}))


@pytest.mark.parametrize("line, got", [("1,too,few\r\n", 3), (f"{',' * 11}\r\n", 12), (" \r\n", 1)])
def test_another_number_of_fields(tmp_path, line, got):
    told = failure(tmp_path, table({}) + line)
    assert told == (f"train_sent_emo.csv:3: this row has another number of fields than the header: expected 11, got "
                    f"{got}; mend the row (a stray separator or quote?)")


def test_an_open_quote(tmp_path):
    told = failure(tmp_path, table({}) + '2,"an open quote,Ida,joy\r\n3,next,row\r\n')
    assert told == ("train_sent_emo.csv:4: this row is no csv: got unexpected end of data; mend the row (an open "
                    "quote?)")


def test_a_stray_quote(tmp_path):
    told = failure(tmp_path, table({}) + '2,"stray" quote,Ida,joy\r\n')
    assert told == ("train_sent_emo.csv:3: this row is no csv: got ',' expected after '\"'; mend the row (an open "
                    "quote?)")


def test_a_csv_that_may_not_be_read(tmp_path):
    (tmp_path / "train_sent_emo.csv").mkdir()
    (tmp_path / "dev_sent_emo.csv").write_text(table({}))
    # A folder of that name is no csv, and is not taken for one.
    assert [utterance.split for utterance in open_corpus(tmp_path)[1].utterances] == ["dev"]


# ------------------------------------------------------------------------------------ whatever stands there

def outcome(folder, data):
    """Return the utterances, or None where one EmoprepError was raised; anything else is a bug."""
    try:
        return corpus_of(folder, data).utterances
    except (CorpusError, MissingInput) as error:
        line = str(error)
        assert line.startswith("train_sent_emo.csv")
        assert "\n" not in line
        return None


def rows_in(data):
    """Count the rows of a csv by the csv module alone."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return sum(1 for fields in csv.reader(io.StringIO(text, newline="")) if fields) - 1


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = table({}, {"Utterance": "two, \"three\"", "Utterance_ID": "1"}, {"Utterance": "it\x92s", "Utterance_ID": "2"})


@fuzz
@given(st.binary(max_size=60), st.integers(0, len(GOOD.encode())), st.integers(0, 40))
@example(b"\0", 150, 0)
@example(b"\r", 150, 0)
@example(b"\xff\xfe", 0, 0)
@example(b'"', 200, 0)
@example(b"x" * 200_000, 130, 0)
def test_any_bytes_give_utterances_or_one_line(tmp_path, noise, place, cut):
    data = GOOD.encode()[:place] + noise + GOOD.encode()[place + cut:]
    utterances = outcome(tmp_path, data)
    if utterances is not None:
        assert len(utterances) == rows_in(data)


@fuzz
@given(st.binary(max_size=400))
def test_bytes_that_are_no_csv_at_all(tmp_path, data):
    assert outcome(tmp_path, data) is None


MENDED = {0x85: "…", 0x91: "‘", 0x92: "’", 0x93: "“", 0x94: "”", 0x96: "–", 0x97: "—", 0xA0: " "}
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@fuzz
@given(st.lists(st.tuples(words, words), min_size=1, max_size=8), st.sampled_from(["\r\n", "\n"]),
       st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_any_words_of_any_speaker(tmp_path, rows, ending, quoting):
    data = table(*({"Utterance": text, "Speaker": speaker, "Utterance_ID": str(number)}
                   for number, (text, speaker) in enumerate(rows)), ending=ending, quoting=quoting)
    utterances = outcome(tmp_path, data.encode())

    if utterances is None:  # NUL is no character of a csv, and a bare CR must be quoted
        assert "\0" in data or "\r" in "".join(text + who for text, who in rows)
    else:
        assert [utterance.text for utterance in utterances] == [text.translate(MENDED) for text, _ in rows]
        assert [utterance.speaker for utterance in utterances] == [who.translate(MENDED).strip() for _, who in rows]


@fuzz
@given(st.lists(st.fixed_dictionaries({}, optional={
    "Emotion": st.sampled_from(["joy", "Joy ", "anger", "happy", ""]), "Dialogue_ID": st.one_of(
        st.integers(-1, 12).map(str), words), "Utterance_ID": st.one_of(st.integers(0, 5).map(str), words),
    "StartTime": st.one_of(st.from_regex(r"\A\d{1,2}:\d\d:\d\d,\d{1,3}\Z"), words),
    "EndTime": st.one_of(st.from_regex(r"\A\d{1,2}:\d\d:\d\d,\d{1,3}\Z"), words), "Season": words,
}), min_size=1, max_size=6))
def test_any_cells(tmp_path, rows):
    """Every row becomes an utterance, or the file is refused."""
    utterances = outcome(tmp_path, table(*rows).encode())
    if utterances is not None:
        assert len(utterances) == len(rows)
        assert len({utterance.key for utterance in utterances}) == len(rows)
        assert all(utterance.seconds is None or utterance.seconds >= 0 for utterance in utterances)


# ------------------------------------------------------------------------------------------------ the real rows

@pytest.fixture(scope="module", params=["meld", "meld_before_nov_2020"])
def real(shared, request):
    return open_corpus(shared / "real" / request.param)[1]


@pytest.mark.shared
def test_the_real_rows_are_counted_right(shared, real):
    counts = json.loads((shared / "real/true_counts.json").read_text())["MELD"]
    splits = [name.removesuffix("_sent_emo.csv") for name in real.annotation_files]
    assert splits == (["train", "dev", "test"] if real.root.name == "meld" else ["dev", "test"])
    assert real.bare_splits == tuple(splits)
    assert real.skips == ()
    for split in splits:
        utterances, true = [utterance for utterance in real.utterances if utterance.split == split], counts[split]
        assert len(utterances) == true["rows"]
        assert len({utterance.dialogue for utterance in utterances}) == true["dialogues"]
        assert len({utterance.speaker for utterance in utterances}) == true["speakers"]
        for column in ("emotion", "sentiment"):
            assert Counter(utterance.annotation[column] for utterance in utterances) == true[column]


@pytest.mark.shared
def test_the_real_texts_hold_no_ruins(real):
    """Neither C1 characters nor what is left where UTF-8 was taken for latin-1."""
    text = "".join(utterance.text + utterance.speaker for utterance in real.utterances)
    assert not [character for character in text if 0x7f <= ord(character) <= 0xa0]
    assert "Ã" not in text
    assert "â€" not in text
    assert "’" in text


@pytest.mark.shared
def test_both_generations_say_the_same(shared):
    new, old = ({utterance.key: utterance for utterance in open_corpus(shared / "real" / name)[1].utterances}
                for name in ("meld", "meld_before_nov_2020"))
    assert {key for key in new if "_train_" not in key} == set(old)
    same = sum(new[key].text == utterance.text for key, utterance in old.items())
    assert same >= 0.99 * len(old)
    assert all(new[key].annotation["emotion"] == utterance.annotation["emotion"] for key, utterance in old.items())


@pytest.mark.shared
def test_the_real_rows_with_a_story(shared):
    read = {utterance.key: utterance for utterance in open_corpus(shared / "real/meld")[1].utterances}
    assert len(read) == 13_708
    assert read["meld_test_dia155_utt3"].seconds == 0  # Start == End
    assert read["meld_train_dia338_utt3"].seconds == 0.006
    assert not [key for key, utterance in read.items() if utterance.seconds is None]
    assert not any(utterance.dialogue == "meld_train_dia60" for utterance in read.values())
    late = {utterance.dialogue for utterance in read.values() if utterance.turn == 0
            and utterance.split == "train" and not utterance.key.endswith("_utt0")}
    assert {f"meld_train_dia{number}" for number in (57, 66, 98, 158, 218, 234, 289, 357, 373, 472)} <= late
    hours = sum(utterance.seconds for utterance in read.values()) / 3600
    assert hours == pytest.approx(8.72 + 0.96 + 2.46, rel=0.02)


@pytest.mark.shared
def test_the_real_rows_whose_fraction_has_two_digits(shared):
    """Padded on the left, they would be off by a quarter of a second and more (see the spec, 1.4)."""
    for split, key in (("train", "dia437_utt2"), ("test", "dia187_utt2"), ("test", "dia233_utt8")):
        read = {utterance.key: utterance for utterance in open_corpus(shared / "real/meld")[1].utterances}
        with (shared / f"real/meld/{split}_sent_emo.csv").open(newline="", encoding="utf-8") as file:
            row = next(row for row in csv.DictReader(file)
                       if key == f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}")
        short = [column for column in ("StartTime", "EndTime") if len(row[column].rpartition(",")[2]) == 2]
        assert short
        for column, name in (("StartTime", "source_start"), ("EndTime", "source_end")):
            clock, _, fraction = row[column].partition(",")
            hours, minutes, seconds = map(int, clock.split(":"))
            whole = hours * 3600 + minutes * 60 + seconds
            assert read[f"meld_{split}_{key}"].annotation[name] == pytest.approx(whole + float(f"0.{fraction}"))


def test_schemes_are_in_the_order_of_the_field():
    seven, three = SCHEMES
    assert (seven.name, seven.labels) == ("meld-7", ("neutral", "surprise", "fear", "sadness", "joy", "disgust",
                                                     "anger"))
    assert (three.name, three.labels) == ("meld-3", ("neutral", "positive", "negative"))
    assert seven.encode([{"emotion": "anger"}]) == [6]


def test_errors_are_told_in_one_line_also_through_pickling(tmp_path):
    import pickle

    with pytest.raises(EmoprepError) as caught:
        corpus_of(tmp_path, table({"Emotion": "glad"}))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert type(again) is CorpusError
