"""CMU-MOSEI as users have it: raw tree, raters' csv and .csd, alone and together; each quirk; the true counts."""

import csv
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mosei_miniature import (
    CLIPS,
    FILMS,
    HEADER,
    LAYOUTS,
    SOUNDS,
    TRANSCRIPTS,
    VIDEOS,
    build_miniature,
    build_sequences,
    rating_bytes,
    rating_rows,
    write_csd,
)

import emoprep.corpora.mosei
from emoprep.corpora import annotation_digests, open_corpus, recognise
from emoprep.corpora.mosei import ANNOTATION, EMOTIONS, SCHEMES
from emoprep.corpora.mosei.segments import parse_seconds
from emoprep.errors import CorpusError, MissingInput, UsageError

NOTHING = (0.0,) * 7


def put(folder, name, data=b"not decoded here"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def transcript(folder, *lines, name="25522", ending="\n"):
    """Write a transcript of these lines."""
    return put(folder, f"{TRANSCRIPTS}/{name}.txt", "".join(f"{line}{ending}" for line in lines))


def labels(folder, rows, **how):
    """Write a label .csd: {video: [(start, end, values)]}."""
    folder.mkdir(exist_ok=True)
    return write_csd(folder / "CMU_MOSEI_Labels.csd", {
        video: (np.array([row[:2] for row in of_video]).reshape(-1, 2),
                np.array([row[2] for row in of_video], np.float32).reshape(-1, 7))
        for video, of_video in rows.items()}, **how)


def rated(folder, *rows, name="5000_batch_raw", header=HEADER):
    """Write an MTurk csv; each row is what differs from a rater who sees nothing in clip 1 of 25522."""
    nobody = {"Input.VIDEO_ID": "25522", "Input.CLIP": "1", "HITId": "3A", "WorkerId": "A1", "Answer.gender": "2",
              "AssignmentStatus": "Approved", **{column: "0" for column in HEADER if column.startswith("Answer.")}}
    return put(folder, f"Labels/{name}.csv", rating_bytes([{**nobody, **row} for row in rows], header))


def corpus(folder, **options):
    return open_corpus(folder, "mosei", options)[1]


def failure(folder, error=CorpusError):
    with pytest.raises(error) as caught:
        corpus(folder)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_key(read):
    return {utterance.key: utterance for utterance in read.utterances}


# ------------------------------------------------------------------------------------------- the miniature

@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("with_csd", [False, True])
def test_the_miniature_in_every_layout(tmp_path, layout, with_csd):
    made = build_miniature(tmp_path, layout, sequences=with_csd)
    truths = made.truth

    module, read = open_corpus(made.folder)

    assert module.NAME == read.name == "mosei"
    if with_csd:  # a video without a transcript has times now, but no clip numbers
        truths = [replace(truth, skip="no-clip", video=None, audio=None, flags=())
                  if not VIDEOS[truth.name].transcript else truth for truth in truths]
    for utterance, truth in zip(read.utterances, truths, strict=True):
        known = VIDEOS[truth.name].transcript
        assert utterance.key == (truth.key if known or not with_csd else truth.time_key)
        assert (utterance.split, utterance.dialogue) == (truth.split, f"mosei_{truth.name}")
        assert (utterance.speaker, utterance.text) == (truth.name, truth.text)
        assert utterance.annotation == truth.annotation
        assert (utterance.video, utterance.audio) == (truth.video, truth.audio)
        assert utterance.flags == truth.flags
        assert utterance.unit == (None if truth.split else "nofold")
        if known or with_csd:
            assert (utterance.start, utterance.end) == (truth.begin, Fraction(truth.end))
            assert utterance.seconds == float(Fraction(truth.end) - truth.begin)
            for path, at, shift in ((truth.video, truth.video_at, utterance.video_shift),
                                    (truth.audio, truth.audio_at, utterance.audio_shift)):
                assert path is None or utterance.start + shift == at
        else:
            assert (utterance.start, utterance.end, utterance.seconds) == (None, None, None)
    keys = [utterance.key for utterance in read.utterances]
    assert [(skip.key, skip.reason) for skip in read.skips] == [
        (key, truth.skip) for key, truth in zip(keys, truths, strict=True) if truth.skip]
    assert read.bare_splits == ()
    assert read.unused_clips == made.unused
    assert read.notes == (
        "rows of the MTurk csv that lack an answer, and count as no rater: 1",
        "lines of the transcripts without labels, which are no utterances: 2",
        "videos that have labels and no transcript, and so no text: 1",
        "train: videos of the standard fold without labels here: 2,245 of 2,249",
        "dev: videos of the standard fold without labels here: 298 of 300",
        "test: videos of the standard fold without labels here: 677 of 678")


def test_the_media_of_the_miniature_are_where_the_truth_says(tmp_path):
    """Films of whole videos hold all their segments, clips and wavs are what their names say."""
    made = build_miniature(tmp_path)
    for utterance in corpus(made.folder).utterances:
        for path in {utterance.video, utterance.audio} - {None}:
            with av.open(str(made.folder / path)) as film:
                if utterance.start is not None:
                    shift = utterance.video_shift if path == utterance.video else utterance.audio_shift
                    assert utterance.start + shift >= 0
                    assert utterance.end + shift <= Fraction(film.duration, av.time_base) + Fraction(1, 10)
                if path.endswith("-3g5yACwYnA.wav"):
                    assert film.streams.audio[0].channels == 2


def test_turns_are_in_order_of_time_and_rows_in_string_order(tmp_path):
    build_miniature(tmp_path, sequences=True)
    folder = tmp_path / "CMU_MOSEI"
    with h5py.File(folder / "CMU_MOSEI_Labels.csd") as file:
        starts = file["All Labels/data/-3g5yACwYnA/intervals"][:, 0].tolist()
    assert starts[2] == 5.0  # the third row is clip 10

    read = [utterance for utterance in corpus(folder).utterances if utterance.speaker == "-3g5yACwYnA"]

    assert [utterance.turn for utterance in read] == list(range(13))
    assert [utterance.key for utterance in read] == [f"mosei_-3g5yACwYnA_{clip}" for clip in (*range(12), 13)]
    assert [utterance.text for utterance in read] == [f"this is clip {clip}" for clip in (*range(12), 13)]
    assert all(one.end > other.start for one, other in itertools.pairwise(read[:12]))  # neighbours overlap


def test_both_sources_give_the_same_numbers(tmp_path):
    build_miniature(tmp_path, sequences=True)
    both = by_key(corpus(tmp_path / "CMU_MOSEI"))
    (tmp_path / "CMU_MOSEI/CMU_MOSEI_Labels.csd").unlink()
    csv_alone = by_key(corpus(tmp_path / "CMU_MOSEI"))
    shared = both.keys() & csv_alone.keys()
    assert len(shared) == 24
    assert all(both[key].annotation == csv_alone[key].annotation for key in shared)
    assert csv_alone["mosei_25522_2"].annotation["sentiment"] == float(np.float32(-1 / 6))  # six raters


def test_reading_the_tree_needs_neither_numpy_nor_h5py(tmp_path):
    made = build_miniature(tmp_path, media=False)
    script = ("import sys, pathlib; from emoprep.corpora import open_corpus;"
              f"read = open_corpus(pathlib.Path({str(made.folder)!r}))[1];"
              "print(len(read.utterances), {'numpy', 'h5py'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == [str(len(made.truth)), "set()\n"]


# --------------------------------------------------------------------------------------- each of them alone

def test_sequences_alone(tmp_path):
    made = build_sequences(tmp_path)

    module, read = open_corpus(tmp_path)

    assert module.NAME == "mosei"
    assert [utterance.key for utterance in read.utterances] == [truth.time_key for truth in made.truth]
    assert [utterance.annotation for utterance in read.utterances] == [truth.annotation for truth in made.truth]
    assert {utterance.text for utterance in read.utterances} == {""}
    assert read.utterances[0].end == Fraction("0.7125")
    assert by_key(read)["mosei_--qXJuDtHPw_t9000_34875"].end == Fraction("3.4875")  # from 3.487528344671
    assert read.bare_splits == ("train", "dev", "test")
    assert [skip.reason for skip in read.skips] == ["no-fold"]
    assert read.annotation_files == ("CMU_MOSEI_Labels.csd", "CMU_MOSEI_TimestampedWords.csd")
    assert "videos that have labels and no transcript, and so no text: 8" in read.notes


def test_the_label_file_alone(tmp_path):
    """Given as IN, it is all that is read."""
    build_miniature(tmp_path, sequences=True)
    path = tmp_path / "CMU_MOSEI/CMU_MOSEI_Labels.csd"

    module, read = open_corpus(path)

    assert module.NAME == "mosei"
    assert (read.root, read.annotation_files) == (path.parent, (path.name,))
    assert len(read.utterances) == 26
    assert {utterance.text for utterance in read.utterances} == {""}
    assert read.bare_splits == ("train", "dev", "test")
    assert not any(utterance.words for utterance in read.utterances)
    assert list(annotation_digests(read)) == [path.name]


def test_the_csv_alone(tmp_path):
    rated(tmp_path, {"Answer.sadness": "3"}, {}, {"Answer.sentiment": "-2"}, {"Input.CLIP": "10"}, {"Input.CLIP": "2"})

    read = corpus(tmp_path)

    assert [(one.key, one.turn, one.start, one.seconds, one.text) for one in read.utterances] == [
        ("mosei_25522_1", 0, None, None, ""), ("mosei_25522_2", 1, None, None, ""),
        ("mosei_25522_10", 2, None, None, "")]
    assert read.utterances[0].annotation == dict(zip(ANNOTATION, (float(np.float32(-2 / 3)), 0, 1, 0, 0, 0, 0),
                                                     strict=True))
    assert read.bare_splits == ("train",)


def test_clips_that_are_cut_already_need_no_times(tmp_path):
    rated(tmp_path, {}, {"Input.CLIP": "2"})
    path = put(tmp_path, f"{CLIPS}/25522_2.mp4").relative_to(tmp_path).as_posix()
    put(tmp_path, f"{FILMS}/25522.mp4")  # of no use: nobody knows where in it

    read = corpus(tmp_path)

    one, two = read.utterances
    assert (two.video, two.audio, two.start, two.flags) == (path, path, None, ("segmented-clip",))
    assert (two.video_shift, two.audio_shift) == (0, 0)
    assert (one.video, one.audio) == (None, None)
    assert [(skip.key, skip.reason, skip.detail) for skip in read.skips] == [(
        one.key, "no-time", "clip 1 of 25522: no transcript says where it lies in its video, and there is no "
                            f"{CLIPS}/25522_1.mp4")]


def test_transcripts_alone_are_no_corpus_yet(tmp_path):
    transcript(tmp_path, "25522___0___0.0___1.0___so")
    assert recognise(tmp_path).NAME == "mosei"
    assert failure(tmp_path, MissingInput) == (
        f"{tmp_path}: CMU-MOSEI's labels are missing: expected CMU_MOSEI_Labels.csd, or the MTurk csv files in "
        "Labels/; put CMU_MOSEI_Labels.csd into this folder")


def test_the_pair_of_2018_is_named_and_not_guessed(tmp_path):
    for name in ("CMU_MOSEI_LabelsSentiment.csd", "CMU_MOSEI_LabelsEmotions.csd"):
        put(tmp_path, name)
    assert recognise(tmp_path).NAME == "mosei"
    assert "got CMU_MOSEI_LabelsEmotions.csd; CMU_MOSEI_LabelsSentiment.csd; put" in failure(tmp_path, MissingInput)


@pytest.mark.parametrize("name, held", [("CMU_MOSEI_COVAREP.csd", "COVAREP is no sequence of labels: expected 7 values "
                                         "a row (sentiment, happy, sad, anger, surprise, disgust, fear), got 74 a row"),
                                        ("CMU_MOSEI_TimestampedWords.csd", "words is no sequence of labels")])
def test_another_sequence_is_no_label_file(tmp_path, name, held):
    build_sequences(tmp_path)
    told = failure(tmp_path / name)
    assert told.startswith(f"{name}, video --qXJuDtHPw: {held}")
    assert told.endswith("take CMU_MOSEI_Labels.csd")


# ----------------------------------------------------------------------------------- where things may lie

@pytest.mark.parametrize("base", ["", "Raw/"])
@pytest.mark.parametrize("films, sounds, transcripts", [
    (FILMS, SOUNDS, TRANSCRIPTS), ("Videos/Full", "Audio/WAV_16000", "Transcript/Combined"),
    ("Videos", "Audio/Full", "Transcript/Segmented"), ("Videos", "Audio", TRANSCRIPTS)])
def test_where_media_and_text_may_lie(tmp_path, base, films, sounds, transcripts):
    for name in (f"{films}/25522.mp4", f"{sounds}/25522.wav"):
        put(tmp_path, base + name)
    put(tmp_path, f"{base}{transcripts}/25522.txt", "25522___7___0.5___1.0___so\n")
    labels(tmp_path, {"25522": [(0.5, 1.0, NOTHING)]})

    (utterance,) = corpus(tmp_path).utterances

    assert (utterance.key, utterance.text) == ("mosei_25522_7", "so")
    assert (utterance.video, utterance.audio) == (f"{base}{films}/25522.mp4", f"{base}{sounds}/25522.wav")


def test_the_first_of_two_places_is_taken(tmp_path):
    for folder in ("Videos", "Videos/Full", FILMS, f"Raw/{FILMS}"):
        put(tmp_path, f"{folder}/25522.mp4")
    labels(tmp_path, {"25522": [(0.5, 1.0, NOTHING)]})
    assert corpus(tmp_path).utterances[0].video == FILM


@pytest.mark.parametrize("folder", ["", "labels", "Labels", "csd", "Raw", "Raw/Labels"])
def test_where_the_label_file_may_lie(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    path = labels(tmp_path / folder, {"25522": [(0.5, 1.0, NOTHING)]})
    read = open_corpus(tmp_path)[1]
    assert read.annotation_files == (path.relative_to(tmp_path).as_posix(),)


def test_labels_in_two_places(tmp_path):
    for folder in (tmp_path / "csd", tmp_path / "Raw"):
        labels(folder, {"25522": [(0.5, 1.0, NOTHING)]})
    rated(tmp_path)
    rated(tmp_path / "Raw")
    read = corpus(tmp_path)
    assert read.annotation_files == ("Labels/5000_batch_raw.csv", "Raw/CMU_MOSEI_Labels.csd")
    assert [note for note in read.notes if "twice" in note] == [
        "5000_batch_raw.csv is there twice: Labels/5000_batch_raw.csv is read, Raw/Labels/5000_batch_raw.csv is not",
        "CMU_MOSEI_Labels.csd is there twice: Raw/CMU_MOSEI_Labels.csd is read, csd/CMU_MOSEI_Labels.csd is not"]


@pytest.mark.parametrize("name", ["CMU_MOSEI_Labels.csd", "labels/CMU_MOSEI_Labels.csd", "Labels/mturk_extra_v2.csv",
                                  "Raw/Labels/5000_batch_raw.csv", "language/CMU_MOSEI_TimestampedWords.csd"])
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_an_annotation_file_that_is_no_file(tmp_path, name, kind):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if kind == "folder" else path.symlink_to("nowhere")
    if "Words" in name:
        labels(tmp_path, {"25522": [(0.5, 1.0, NOTHING)]})
    assert recognise(tmp_path).NAME == "mosei"
    assert failure(tmp_path, MissingInput).startswith(f"{path}: this is no file: ")


def test_a_label_file_without_metadata_is_told(tmp_path):
    labels(tmp_path, {"25522": [(0.5, 1.0, NOTHING)]}, metadata=False)
    note = "CMU_MOSEI_Labels.csd has no metadata; its version and source are unknown"
    assert note in corpus(tmp_path).notes
    assert note in corpus(tmp_path / "CMU_MOSEI_Labels.csd").notes
    labels(tmp_path, {"25522": [(0.5, 1.0, NOTHING)]})
    assert not any("metadata" in told for told in corpus(tmp_path).notes)


FILM, CLIP, WAV = (f"{FILMS}/25522.mp4", f"{CLIPS}/25522_7.mp4", f"{SOUNDS}/25522.wav")


@pytest.mark.parametrize("there, video, audio, of_clip", [
    ((FILM, CLIP, WAV), FILM, WAV, ""), ((FILM, WAV), FILM, WAV, ""), ((FILM, CLIP), FILM, FILM, ""),
    ((FILM,), FILM, FILM, ""), ((CLIP, WAV), CLIP, WAV, "video"), ((CLIP,), CLIP, CLIP, "video audio"),
    ((WAV,), None, WAV, "")])
def test_any_modality_may_be_missing(tmp_path, there, video, audio, of_clip):
    for name in (*there, f"{CLIPS}/25522_8.mp4", f"{FILMS}/255224.mp4", f"{FILMS}/._25522.mp4"):
        put(tmp_path, name)
    transcript(tmp_path, "25522___7___2.5___4.0___so")
    labels(tmp_path, {"25522": [(2.5, 4.0, NOTHING)]})

    read = corpus(tmp_path)

    (utterance,) = read.utterances
    assert (utterance.video, utterance.audio) == (video, audio)
    assert (utterance.start, utterance.end) == (Fraction(5, 2), Fraction(4))
    assert utterance.video_shift == (Fraction(-5, 2) if "video" in of_clip else 0)
    assert utterance.audio_shift == (Fraction(-5, 2) if "audio" in of_clip else 0)
    assert utterance.flags == (("segmented-clip",) if of_clip else ())
    assert read.unused_clips == (f"{FILMS}/255224.mp4",)  # another video, though its id begins so
    assert read.skips == ()


def test_the_clip_of_a_segment_that_begins_before_its_video_begins_with_the_video(tmp_path):
    put(tmp_path, f"{CLIPS}/25522_7.mp4")
    transcript(tmp_path, "25522___7___-0.4875___4.0___so")
    labels(tmp_path, {"25522": [(-0.4875, 4.0, NOTHING)]})
    (utterance,) = corpus(tmp_path).utterances
    assert (utterance.start, utterance.video_shift, utterance.seconds) == (0, 0, 4.0)
    assert utterance.flags == ("start-clamped", "segmented-clip")


def test_what_has_no_media_is_skipped_where_others_have(tmp_path):
    put(tmp_path, WAV)
    labels(tmp_path, {"25522": [(0, 1, NOTHING)], "255224": [(0, 1, NOTHING)], "101787": [(0, 1, NOTHING)]})
    transcript(tmp_path, "255224___3___0.0___1.0___so", name="255224")

    read = corpus(tmp_path)

    assert [(skip.key, skip.reason, skip.detail) for skip in read.skips] == [(
        "mosei_255224_3", "no-clip", f"CMU_MOSEI_Labels.csd, video 255224: there is no {FILMS}/255224.mp4 and no "
                                     f"{CLIPS}/255224_3.mp4 and no {SOUNDS}/255224.wav")]
    assert read.bare_splits == ("dev",)


def test_links_and_pipes(tmp_path):
    labels(tmp_path, {"25522": [(0, 1, NOTHING)]})
    put(tmp_path, "elsewhere/film.mp4")
    (tmp_path / FILMS).mkdir(parents=True)
    (tmp_path / FILMS / "25522.mp4").symlink_to(tmp_path / "elsewhere/film.mp4")
    (tmp_path / FILMS / "255224.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / TRANSCRIPTS).mkdir(parents=True)
    (tmp_path / TRANSCRIPTS / "255226.txt").mkdir()
    os.mkfifo(tmp_path / TRANSCRIPTS / "25522.txt")

    read = corpus(tmp_path)

    assert read.utterances[0].video == FILM
    assert read.unused_clips == ()
    assert read.annotation_files == ("CMU_MOSEI_Labels.csd",)


# ------------------------------------------------------------------------------------------------- folds

def test_videos_in_no_fold(tmp_path):
    made = build_miniature(tmp_path)
    skipped, in_train = (corpus(made.folder, **{"no-fold": choice}) for choice in ("skip", "train"))

    (left,) = [utterance for utterance in skipped.utterances if utterance.split is None]
    assert (left.key, left.unit, left.video) == ("mosei_nofold_A-1_0", "nofold", None)
    assert [(skip.key, skip.detail) for skip in skipped.skips if skip.reason == "no-fold"] == [
        (left.key, "no standard fold names nofold_A-1")]
    (taken,) = [utterance for utterance in in_train.utterances if utterance.key == left.key]
    assert (taken.split, taken.unit) == ("train", None)
    assert taken.video == f"Raw/{FILMS}/nofold_A-1.mp4"
    assert "no-fold" not in {skip.reason for skip in in_train.skips}
    assert (skipped.settings, in_train.settings) == ({"no-fold": "skip"}, {"no-fold": "train"})
    with pytest.raises(UsageError, match="--no-fold: not known: expected skip or train, got dev"):
        corpus(made.folder, **{"no-fold": "dev"})


def test_the_folds_are_compared_whole(tmp_path):
    """The SDK purges by prefix: 25522 would take 255224 along."""
    labels(tmp_path, {video: [(0, 1, NOTHING)] for video in ("25522", "255224", "2552", "2552244", "101787")})
    assert {one.speaker: one.split for one in corpus(tmp_path).utterances} == {
        "25522": "train", "255224": "train", "101787": "dev", "2552": None, "2552244": None}


def test_the_folds_have_their_source_and_are_disjoint():
    folds = json.loads(Path(emoprep.corpora.mosei.__file__).with_name("folds.json").read_text())
    assert "cmu_mosei_std_folds.py" in folds.pop("source")
    assert {split: len(videos) for split, videos in folds.items()} == {"train": 2249, "dev": 300, "test": 678}
    assert len(set().union(*folds.values())) == 3227


@pytest.mark.shared
def test_the_folds_are_those_of_the_sdk(shared):
    theirs = json.loads((shared / "real/mosei/cmu_mosei_std_folds.json").read_text())
    ours = json.loads(Path(emoprep.corpora.mosei.__file__).with_name("folds.json").read_text())
    for split, name in (("train", "train"), ("dev", "valid"), ("test", "test")):
        assert sorted(theirs[f"standard_{name}_fold"]) == ours[split]


# ------------------------------------------------------------------------------------------- the transcripts

@pytest.mark.parametrize("line, video, text", [
    ("25522___7___0.5___1.0___so today___i will_____try", "25522", "so today___i will_____try"),
    ("25522___7___0.5___1.0___", "25522", ""), ("25522___7___0.5___1.0____", "25522", "_"),
    ("FcAgbLF6__s___7___0.5___1.0___so", "FcAgbLF6__s", "so"), ("-a____7___0.5___1.0___so", "-a_", "so"),
    ("_____7___0.5___1.0___so", "__", "so"), ("---___7___0.5___1.0___so", "---", "so"),
    ("25522___7___0.5___1.0___it’s “café” ☎", "25522", "it’s “café” ☎"),
    ("25522___7___0.5___1.0___\x85 and \u2028 are no ends", "25522", "\x85 and \u2028 are no ends"),
    ("25522___7___+.5e-0___1.0___so", None, None),
    ("25522___007___0.50___1.___ so ", "25522", " so "), ("25522___7___0.5___100000.0e-05___so", "25522", "so")])
def test_lines(tmp_path, line, video, text):
    transcript(tmp_path, line)
    if video is None:
        labels(tmp_path, {"25522": [(0.5, 1, NOTHING)]})
        assert failure(tmp_path).startswith(f"{TRANSCRIPTS}/25522.txt:1: this line is no segment")
        return
    labels(tmp_path, {video: [(0.5, 1, NOTHING)]})
    (utterance,) = corpus(tmp_path).utterances
    assert (utterance.key, utterance.text) == (f"mosei_{video}_7", text)
    assert (utterance.start, utterance.end) == (Fraction(1, 2), Fraction(1))


def test_a_text_that_looks_like_a_line(tmp_path):
    """The id is the shortest that fits, not the longest."""
    transcript(tmp_path, "25522___7___0___1___8___2___3___so")
    rated(tmp_path, {"Input.CLIP": "7"})
    (utterance,) = corpus(tmp_path).utterances
    assert (utterance.key, utterance.end, utterance.text) == ("mosei_25522_7", 1, "8___2___3___so")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_line_ends_and_encodings(tmp_path, ending, encoding):
    lines = ["25522___0___0.5___1.0___it’s", "", "25522___1___1.5___2.0___“café”", ""]
    put(tmp_path, f"{TRANSCRIPTS}/25522.txt", ending.join(lines).encode(encoding))
    labels(tmp_path, {"25522": [(0.5, 1, NOTHING), (1.5, 2, NOTHING)]})
    assert [utterance.text for utterance in corpus(tmp_path).utterances] == ["it’s", "“café”"]


@pytest.mark.parametrize("line", [
    "25522___0___0.5___1.0", "25522___0___0.5", "so", "25522,0,0.5,1.0,so", "25522___zero___0.5___1.0___so",
    "25522___-1___0.5___1.0___so", "25522___0___NaN___1.0___so", "25522___0___0.5___inf___so",
    "25522___0___1e400___1.0___so", "25522___0___0.5___" + "9" * 5000 + "___so",
    "25522___" + "9" * 5000 + "___0___1___so", "25522___0___0,5___1.0___so",
    "25522___0___1_0.5___11.0___so", "25522___٠___0.5___1.0___so",
    "25522___0___0.٥___1.0___so", *(f"{video}___0___0.5___1.0___so" for video in (
        "", " ", "a/b", "../b", "a b", "a.b", "é", "a\0b", "x" * 101)),
    "25522___0___0.5___1.0__so", "\x1a"])
def test_a_line_that_is_no_segment(tmp_path, line):
    transcript(tmp_path, "25522___1___0.0___1.0___so", line)
    labels(tmp_path, {"25522": [(0, 1, NOTHING)]})
    assert failure(tmp_path) == (
        f"{TRANSCRIPTS}/25522.txt:2: this line is no segment: expected <video>___<clip>___<start>___<end>___<text>, "
        f"got {' '.join(repr(line[:80]).split())}; mend the line")


def test_a_clip_that_is_there_twice(tmp_path):
    transcript(tmp_path, "25522___1___0.0___1.0___so", "25522___01___2.0___3.0___it")
    labels(tmp_path, {"25522": [(0, 1, NOTHING)]})
    assert failure(tmp_path) == (f"{TRANSCRIPTS}/25522.txt:2: clip 1 of 25522 is there twice: got the first in "
                                 f"{TRANSCRIPTS}/25522.txt:1; remove one of the two lines")


@pytest.mark.parametrize("start, end", [("1.0", "1.0"), ("2.0", "1.0"), ("-2.0", "-1.0"), ("-1.0", "0.0"),
                                        ("-1.0", "-0.0")])
def test_a_segment_without_length(tmp_path, start, end):
    transcript(tmp_path, "25522___0___3.0___4.0___so", f"25522___1___{start}___{end}___so")
    rated(tmp_path, {})
    assert failure(tmp_path) == (f"{TRANSCRIPTS}/25522.txt:2: this segment has no length: expected an end after its "
                                 f"start and after 0, got {start} to {end}; mend or remove it")
    shutil.rmtree(tmp_path / "Transcript")
    labels(tmp_path, {"25522": [(float(start), float(end), NOTHING)]})
    assert failure(tmp_path).startswith("CMU_MOSEI_Labels.csd, video 25522: this segment has no length")


@pytest.mark.parametrize("text, seconds", [
    ("0", 0), ("0.0", 0), ("7.5625", Fraction(121, 16)), ("-0.4875", Fraction(-39, 80)), ("-0.0", 0),
    ("+5.", 5), ("0.1", Fraction(1, 10)), ("9.5e-05", Fraction(95, 10**6)), ("999999.5", Fraction(1999999, 2)),
    ("1.e-5", Fraction(1, 10**5)), ("3.487528344671", Fraction(3487528344671, 10**12))])
def test_seconds(text, seconds):
    assert parse_seconds(text) == seconds == Fraction(text)


@pytest.mark.parametrize("text", ["", ".5", "1e5", "1e400", "nan", "-inf", "1_0", "1000000", " 1", "1/2", "٣", "0x1",
                                  "1" * 5000, "0." + "1" * 19])
def test_what_is_no_number_of_seconds(text):
    with pytest.raises(ValueError, match="is no number of seconds"):
        parse_seconds(text)


# -------------------------------------------------------------------------------------------- joined by time

def test_rows_are_never_joined_by_number(tmp_path):
    """Row i is clip i in no video of more than ten clips, nor where a number is missing."""
    spans = {clip: (clip * 2.0, clip * 2.0 + 1.5) for clip in (3, 0, 10, 1, 11, 2)}
    transcript(tmp_path, *(f"25522___{clip}___{start}___{end}___clip {clip}" for clip, (start, end) in spans.items()))
    in_string_order = sorted(spans, key=str)
    labels(tmp_path, {"25522": [(*spans[clip], (clip / 6 - 1, *NOTHING[1:])) for clip in in_string_order]})
    assert in_string_order == [0, 1, 10, 11, 2, 3]

    read = corpus(tmp_path).utterances

    assert [(one.key, one.text, one.turn) for one in read] == [
        (f"mosei_25522_{clip}", f"clip {clip}", turn) for turn, clip in enumerate(sorted(spans))]
    assert [one.annotation["sentiment"] for one in read] == [float(np.float32(clip / 6 - 1)) for clip in sorted(spans)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_times_of_either_precision_meet_the_text(tmp_path, dtype):
    """At 2,000 s float32 is off by 0.00006 s; the closest two segments of a video are 0.22 s apart."""
    spans = [("0.1", "0.7"), ("-0.487528344671", "3.3"), ("272.644", "279.123456"), ("1999.9999", "2000.1234")]
    transcript(tmp_path, *(f"25522___{clip}___{start}___{end}___{clip}" for clip, (start, end) in enumerate(spans)))
    labels(tmp_path, {"25522": [(float(start), float(end), NOTHING) for start, end in spans]}, dtype=dtype)
    read = by_key(corpus(tmp_path))
    for clip, (start, end) in enumerate(spans):
        utterance = read[f"mosei_25522_{clip}"]
        assert (utterance.start, utterance.end) == (max(Fraction(start), 0), Fraction(end))  # the text's, exact


def test_segments_that_are_alike_are_told_apart(tmp_path):
    """Each shares its start or its end with another one."""
    spans = [(10.0, 11.0), (10.0, 11.22), (10.22, 11.22), (10.22, 11.0)]
    transcript(tmp_path, *(f"25522___{clip}___{start}___{end}___{clip}" for clip, (start, end) in enumerate(spans)))
    labels(tmp_path, {"25522": [(*span, NOTHING) for span in reversed(spans)]})
    assert {one.key: one.text for one in corpus(tmp_path).utterances} == {
        f"mosei_25522_{clip}": str(clip) for clip in range(4)}


def test_a_row_that_no_line_has(tmp_path):
    transcript(tmp_path, "25522___0___0.0___1.0___so", "25522___1___1.002___2.0___it")
    labels(tmp_path, {"25522": [(0.0, 1.0, NOTHING), (1.0, 2.0, NOTHING)]})

    read = corpus(tmp_path)

    assert {one.key: one.text for one in read.utterances} == {"mosei_25522_0": "so", "mosei_25522_t10000_20000": ""}
    assert read.notes[:2] == (
        "segments of the label .csd that their video's transcript does not have: without text, named by times: 1",
        "lines of the transcripts without labels, which are no utterances: 1")


def test_a_key_by_time_keeps_the_minus(tmp_path):
    labels(tmp_path, {"-9y-fZ3swSY": [(-0.45764, 17.79642, NOTHING)]})
    (utterance,) = corpus(tmp_path).utterances
    assert utterance.key == "mosei_-9y-fZ3swSY_t-4576_177964"
    assert (utterance.start, utterance.end, utterance.flags) == (0, Fraction("17.7964"), ("start-clamped",))


def test_a_row_that_is_there_twice(tmp_path):
    labels(tmp_path, {"25522": [(0.0, 1.0, NOTHING), (1.0, 2.0, NOTHING), (0.00001, 1.0, NOTHING)]})
    told = "CMU_MOSEI_Labels.csd, video 25522: mosei_25522_t0_10000 is there twice; remove one of the two"
    assert failure(tmp_path) == told


def test_keys_of_two_videos_may_meet(tmp_path):
    """Which no two of CMU-MOSEI do."""
    labels(tmp_path, {"a": [(0.0001, 0.0002, NOTHING)], "a_t1": [(5.0, 6.0, NOTHING)]})
    transcript(tmp_path, "a_t1___2___5.0___6.0___so", name="a_t1")
    assert "mosei_a_t1_2 is there twice" in failure(tmp_path)


def test_aligned_entries_are_rows_of_their_video(tmp_path):
    transcript(tmp_path, "25522___3___0.0___1.0___so", "25522___11___1.0___2.0___it")
    labels(tmp_path, {"25522[0]": [(1.0, 2.0, NOTHING)], "25522[1]": [(0.0, 1.0, NOTHING)]})
    assert [(one.key, one.dialogue) for one in corpus(tmp_path).utterances] == [
        ("mosei_25522_3", "mosei_25522"), ("mosei_25522_11", "mosei_25522")]


@pytest.mark.parametrize("video", ["a b", "a.b", "...", "é", "a" * 101, "[0]", "a\nb"])
def test_an_id_that_cannot_name_anything(tmp_path, video):
    labels(tmp_path, {video: [(0, 1, NOTHING)]})
    assert "this cannot be the id of a video: expected letters, digits, '_' and '-', got " in failure(tmp_path)


@pytest.mark.parametrize("row, told", [
    ((0, 1, (3.001, *NOTHING[1:])), "sentiment lies outside its scale: expected -3 to 3, got 3.00"),
    ((0, 1, (0, -0.5, *NOTHING[2:])), "happy lies outside its scale: expected 0 to 3, got -0.5"),
    ((0, 1, (*NOTHING[1:], np.nan)), "fear lies outside its scale: expected 0 to 3, got nan"),
    ((0, 2e6, NOTHING), "these are no times of a video: got 0.0 to 2000000.0"),
    ((-1e300, 1, NOTHING), "these are no times of a video: got -1e+300 to 1.0"),
    ((np.nan, 1, NOTHING), "a time is no finite number: got [nan 1.] in row 0")])
def test_labels_that_cannot_be(tmp_path, row, told):
    labels(tmp_path, {"25522": [row]})
    assert told in failure(tmp_path)
    assert "25522" in failure(tmp_path)


def test_a_label_file_that_is_cut_off(tmp_path):
    path = labels(tmp_path, {"25522": [(0, 1, NOTHING)]})
    path.write_bytes(path.read_bytes()[:-10])
    assert "CMU_MOSEI_Labels.csd: the file is cut off" in failure(tmp_path)


def test_a_label_file_without_rows(tmp_path):
    labels(tmp_path, {})
    assert corpus(tmp_path).utterances == ()


# ------------------------------------------------------------------------------------------------ the raters

def test_the_mean_of_the_raters(tmp_path):
    transcript(tmp_path, *(f"25522___{clip}___{clip}.0___{clip + 1}.0___so" for clip in range(4)))
    rated(tmp_path, *({"Input.CLIP": str(clip), "Answer.sentiment": str(answer)}
                      for clip, answers in enumerate([(3, 2, 2), (-3, -2), (1, 0, 0, 0), (0, 0, 0, 0, 0, -1)])
                      for answer in answers))
    assert [one.annotation["sentiment"] for one in corpus(tmp_path).utterances] == [
        float(np.float32(value)) for value in (7 / 3, -5 / 2, 1 / 4, -1 / 6)]


def test_raters_of_several_files_are_averaged_and_a_copy_is_not(tmp_path):
    transcript(tmp_path, "25522___1___0.0___1.0___so")
    rated(tmp_path, {"Answer.sentiment": "3"})
    rated(tmp_path, {"Answer.sentiment": "0"}, name="mturk_extra_v2")
    rated(tmp_path, {"Answer.sentiment": "0", "Input.VIDEO_ID": "pom/25522"}, name="pom_extra_sqa_mono_results")
    rated(tmp_path, {"Answer.sentiment": "0"}, name="pom_extra_sqa_mono_results_mod")
    assert corpus(tmp_path).utterances[0].annotation["sentiment"] == 1.0
    (tmp_path / "Labels/pom_extra_sqa_mono_results.csv").unlink()
    assert corpus(tmp_path).utterances[0].annotation["sentiment"] == 1.0  # the copy, then


def test_ids_are_text(tmp_path):
    """pandas makes numbers of them: 0025522 is another video."""
    ids = ("25522", "0025522", "-3g5yACwYnA", "1e5", "NaN", "101787")
    rated(tmp_path, *({"Input.VIDEO_ID": name} for name in ids))
    assert {one.speaker for one in corpus(tmp_path).utterances} == set(ids)


def test_a_row_that_is_not_filled_in(tmp_path):
    transcript(tmp_path, "25522___1___0.0___1.0___so", "25522___2___0.0___1.0___so")
    rated(tmp_path, {"Answer.sentiment": "2"}, {"Answer.fear": ""}, {"Answer.sentiment": "1"},
          {"Input.CLIP": "2", "Answer.sentiment": ""})
    read = corpus(tmp_path)
    assert [one.annotation["sentiment"] for one in read.utterances] == [1.5]
    assert read.notes[:2] == ("rows of the MTurk csv that lack an answer, and count as no rater: 2",
                              "lines of the transcripts without labels, which are no utterances: 1")


def test_a_clip_that_no_transcript_has(tmp_path):
    transcript(tmp_path, "25522___1___0.0___1.0___so")
    rated(tmp_path, {}, {"Input.CLIP": "2"})
    read = corpus(tmp_path)
    assert [one.key for one in read.utterances] == ["mosei_25522_1"]
    assert read.notes[0] == "clips of the MTurk csv that their video's transcript does not have, and that are no " \
                            "utterances: 1"


def test_files_that_are_not_read_are_named(tmp_path):
    rated(tmp_path, {"Answer.sentiment": "1"})
    rated(tmp_path, {}, name="mosi_pom_output", header=[column for column in HEADER if "disgust" not in column])
    rated(tmp_path, {}, name="saved_5000_batch_raw")
    put(tmp_path, "Labels/Data_Train_modified.csv", "video,start_time,end_time\n")
    put(tmp_path, "Labels/._5000_batch_raw.csv")
    put(tmp_path, "Labels/mturk_extra_v2.csv", "")
    read = corpus(tmp_path)
    assert read.annotation_files == ("Labels/5000_batch_raw.csv",)
    assert [note for note in read.notes if "not read" in note] == [
        "Labels/Data_Train_modified.csv is not read: it is none of the MTurk files",
        "Labels/mosi_pom_output.csv is not read: it has no Answer.disgust",
        "Labels/mturk_extra_v2.csv is not read: it has no Input.VIDEO_ID, Input.CLIP, Answer.sentiment, "
        "Answer.happiness, Answer.sadness, Answer.anger, Answer.surprise, Answer.disgust, Answer.fear",
        "Labels/saved_5000_batch_raw.csv is not read: it is none of the MTurk files"]


def test_where_both_are_there_the_csd_wins_and_differences_are_counted(tmp_path):
    transcript(tmp_path, "25522___1___0.0___1.0___so", "25522___2___1.0___2.0___it")
    rated(tmp_path, {"Answer.sentiment": "3"}, {"Input.CLIP": "2"}, {"Input.CLIP": "2", "Answer.fear": "1"},
          {"Input.CLIP": "2"}, {"Input.CLIP": "9"})
    labels(tmp_path, {"25522": [(0, 1, (2.0, *NOTHING[1:])), (1, 2, (*NOTHING[1:], 1 / 3))]})
    read = corpus(tmp_path)
    assert [one.annotation["sentiment"] for one in read.utterances] == [2.0, 0.0]
    assert read.notes[0] == "segments with other values in the MTurk csv than in the .csd, which are taken: 1"


@pytest.mark.parametrize("row, told", [
    ({"Input.VIDEO_ID": ""}, "this row names no clip: expected an id of letters, digits, '_' and '-', and a whole "
                             "number, got '', '1'; mend the row"),
    ({"Input.VIDEO_ID": "a b"}, "this row names no clip"), ({"Input.VIDEO_ID": "pom/"}, "this row names no clip"),
    ({"Input.VIDEO_ID": "x" * 101}, "this row names no clip"), ({"Input.VIDEO_ID": ".."}, "this row names no clip"),
    ({"Input.CLIP": "1.0"}, "this row names no clip"), ({"Input.CLIP": "-1"}, "this row names no clip"),
    ({"Input.CLIP": "٣"}, "this row names no clip"), ({"Input.CLIP": "9" * 5000}, "this row names no clip"),
    ({"Answer.fear": "some"}, "Answer.fear cannot be read: expected a number of its scale, got 'some'; mend the row"),
    ({"Answer.sentiment": "1e400"}, "Answer.sentiment cannot be read"),
    ({"Answer.sentiment": "nan"}, "Answer.sentiment cannot be read"),
    ({"Answer.sentiment": "٣"}, "Answer.sentiment cannot be read"),
    ({"Answer.sentiment": "9" * 5000}, "Answer.sentiment cannot be read"),
    ({"Answer.sentiment": "4"}, "sentiment lies outside its scale: expected -3 to 3, got 4.0"),
    ({"Answer.happiness": "-1"}, "happy lies outside its scale: expected 0 to 3, got -1.0")])
def test_a_row_that_cannot_be_read(tmp_path, row, told):
    rated(tmp_path, {}, row, {})
    assert failure(tmp_path).startswith(f"Labels/5000_batch_raw.csv:3: {told}")


def test_rows_that_are_no_csv(tmp_path):
    good = rating_bytes(rating_rows(build_sequences(tmp_path / "any").truth[:1]))
    for line, told in ((b"1,2,3\r\n", ":5: this row has another number of fields than the header: expected 13, got 3"),
                       (b'"an open quote\r\n', ":6: this row is no csv: got unexpected end of data"),
                       (b'"a" stray\r\n', ":5: this row is no csv: got ',' expected after '\"'"),
                       (b'"' + b"x" * 200_000 + b'"\r\n', ":5: this row is no csv: got field larger than field limit")):
        put(tmp_path, "Labels/5000_batch_raw.csv", good + line)
        assert failure(tmp_path).startswith(f"Labels/5000_batch_raw.csv{told}")


def test_a_header_that_is_no_csv(tmp_path):
    put(tmp_path, "Labels/5000_batch_raw.csv", b'"HITId"x,"Input.CLIP"\n')
    assert failure(tmp_path).startswith("Labels/5000_batch_raw.csv:1: this row is no csv")


def test_a_comment_of_several_lines_in_the_csv(tmp_path):
    rated(tmp_path, {"WorkerId": "one\r\ntwo\nthree"}, {"Answer.fear": "x"})
    assert failure(tmp_path).startswith("Labels/5000_batch_raw.csv:5: Answer.fear cannot be read")


# --------------------------------------------------------------------------------------------------- words

def test_words_lie_in_their_segment(tmp_path):
    transcript(tmp_path, "25522___0___1.0___2.0___so it is", "25522___1___1.75___3.0___is it")
    labels(tmp_path, {"25522": [(1.0, 2.0, NOTHING), (1.75, 3.0, NOTHING)], "255224": [(0.0, 1.0, NOTHING)]})
    words = [(0.0, 0.9, b"before"), (1.6, 2.0, b"is"), (0.9, 1.2, b"so"), (1.2, 1.3, b"sp"), (1.3, 1.5, b"it"),
             (1.9, 2.1, b"late")]
    write_csd(tmp_path / "CMU_MOSEI_TimestampedWords.csd", {
        "25522": ([word[:2] for word in words], np.array([[word[2]] for word in words])),
        "elsewhere": ([[0, 1]], np.array([[b"x"]]))})
    read = by_key(corpus(tmp_path))
    assert read["mosei_25522_0"].words == (("so", 0.0, 0.2), ("it", 0.3, 0.5), ("is", 0.6, 1.0))
    # A word is of both neighbours if its middle is; what ends with the segment is of the next.
    assert read["mosei_25522_1"].words == (("is", 0.0, 0.25), ("late", 0.15, 0.35))
    assert read["mosei_255224_t0_10000"].words == ()


def test_words_of_a_segment_that_begins_before_its_video(tmp_path):
    labels(tmp_path, {"25522": [(-0.4, 1.0, NOTHING)], "255224": [(0.0, 1.0, NOTHING)]})
    write_csd(tmp_path / "CMU_MOSEI_TimestampedWords.csd", {
        "25522": ([[-0.4, -0.2], [-0.1, 0.3], [0.3, 0.5]], np.array([[b"no"], [b"so"], [b"it"]])),
        "255224": (np.zeros((0, 2)), np.zeros((0, 1), "S4"))})
    one, other = corpus(tmp_path).utterances
    assert (one.start, one.words) == (0, (("so", 0.0, 0.3), ("it", 0.3, 0.5)))
    assert other.words == ()


def test_numbers_are_no_words(tmp_path):
    labels(tmp_path, {"25522": [(1.0, 2.0, NOTHING)]})
    write_csd(tmp_path / "CMU_MOSEI_TimestampedWords.csd", {"25522": ([[0, 1]], np.zeros((1, 300), np.float32))},
              "glove_vectors")
    assert failure(tmp_path) == ("CMU_MOSEI_TimestampedWords.csd, video 25522: glove_vectors is no sequence of words: "
                                 "expected a word a row, got 300 numbers")


# -------------------------------------------------------------------------------------------------- schemes

def scheme(name):
    return next(one for one in SCHEMES if one.name == name)


def test_the_default_is_multi_label_in_the_order_of_the_sdk():
    assert [one.name for one in SCHEMES] == ["mosei-6", "mosei-2", "mosei-2-without-neutral", "mosei-7"]
    assert SCHEMES[0].labels == EMOTIONS == ("happy", "sad", "anger", "surprise", "disgust", "fear")
    assert SCHEMES[0].task == "multi-label"
    row = dict(zip(ANNOTATION, (0.0, 1 / 6, 0.0, 3.0, 0.0, 0.0, 0.0), strict=True))
    assert SCHEMES[0].encode([row, dict.fromkeys(ANNOTATION, 0.0)]) == [[1, 0, 1, 0, 0, 0], [0] * 6]


THIRDS = sorted({np.float32(numerator / parts) for parts in range(1, 8)
                 for numerator in range(-3 * parts, 3 * parts + 1)})


def test_seven_classes_are_rounded_as_numpy_does():
    """Over every mean of up to seven raters, as float32 holds it."""
    seven = scheme("mosei-7")
    for value in THIRDS:
        (code,) = seven.encode([{"sentiment": float(value)}])
        assert seven.labels[code] == str(int(np.round(value)))
    assert seven.encode([{"sentiment": value} for value in (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)]) == [1, 1, 3, 3, 5, 5]


def test_two_classes_under_both_protocols():
    two, without = scheme("mosei-2"), scheme("mosei-2-without-neutral")
    for value in THIRDS:
        row = [{"sentiment": float(value)}]
        assert two.encode(row) == [int(value >= 0)]
        assert without.encode(row) == [-100 if value == 0 else int(value > 0)]


# --------------------------------------------------------------------------------------- whatever stands there

GOOD_LINES = ("25522___0___0.0___1.0___so it is\n25522___1___0.5___2.0___\n25522___10___-0.25___1.5___we___\n"
              "FcAgbLF6__s___0___0.0___1.0___it’s\n").encode()
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(folder):
    """Return the corpus, or None where one line told why not; anything else is a bug."""
    try:
        read = corpus(folder)
    except (CorpusError, MissingInput) as error:
        assert "\n" not in str(error)
        return None
    assert len({one.key for one in read.utterances}) == len(read.utterances)
    for utterance in read.utterances:
        assert re.fullmatch(r"mosei_[A-Za-z0-9_-]+", utterance.key)
        assert utterance.start is None or 0 <= utterance.start < utterance.end
    return read


@fuzz
@given(st.binary(max_size=40), st.integers(0, len(GOOD_LINES)), st.integers(0, 30))
@example(b"\0", 30, 0)
@example(b"_", 5, 0)
@example(b"___", 8, 0)
@example(b"\r", 30, 0)
@example("٣".encode(), 8, 1)
@example(b"9" * 6000, 8, 1)
@example(b"e-99", 14, 0)
def test_any_bytes_in_a_transcript(tmp_path, noise, place, cut):
    data = GOOD_LINES[:place] + noise + GOOD_LINES[place + cut:]
    put(tmp_path, f"{TRANSCRIPTS}/25522.txt", data)
    if not (tmp_path / "Labels").exists():
        rated(tmp_path, *({"Input.VIDEO_ID": video, "Input.CLIP": clip}
                          for video in ("25522", "FcAgbLF6__s") for clip in ("0", "1", "10")))
        build_csd(tmp_path)
    read = outcome(tmp_path)
    if read is not None:  # every line is an utterance or told
        lines = sum(1 for line in data.decode("utf-8", "replace").split("\n") if line.removesuffix("\r").strip())
        told = sum(int(note.rpartition(": ")[2]) for note in read.notes if note.startswith("lines of"))
        assert sum(1 for one in read.utterances if not re.search(r"_t-?\d+_\d+$", one.key)) + told == lines


def build_csd(folder):
    labels(folder, {"25522": [(0, 1, NOTHING), (0.5, 2, NOTHING), (-0.25, 1.5, NOTHING)]})


GOOD_CSV = rating_bytes([{**dict.fromkeys(HEADER, "1"), "Input.VIDEO_ID": video, "Input.CLIP": clip}
                         for video in ("25522", "pom/FcAgbLF6__s") for clip in ("0", "1", "1")])


@fuzz
@given(st.binary(max_size=40), st.integers(0, len(GOOD_CSV)), st.integers(0, 30))
@example(b"\0", 200, 0)
@example(b'"', 200, 0)
@example(b"\r", 250, 0)
@example(b"x" * 200_000, 250, 0)
def test_any_bytes_in_a_csv(tmp_path, noise, place, cut):
    data = GOOD_CSV[:place] + noise + GOOD_CSV[place + cut:]
    put(tmp_path, "Labels/5000_batch_raw.csv", data)
    read = outcome(tmp_path)
    if read is not None:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", errors="replace")
        table = list(csv.DictReader(io.StringIO(text, newline="")))
        clips = {(row["Input.VIDEO_ID"].rpartition("/")[2], int(row["Input.CLIP"])) for row in table
                 if all(row[column] for column in HEADER if column.startswith("Answer.") and "gender" not in column)}
        assert {(one.speaker, int(one.key.rpartition("_")[2])) for one in read.utterances} == clips


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=30)


@fuzz
@given(st.lists(st.tuples(st.from_regex(r"\A[A-Za-z0-9-]([A-Za-z0-9-]|_{1,2}(?=[A-Za-z0-9-])){0,12}\Z"),
                          st.integers(0, 999), st.decimals("-0.9", "900", places=4),
                          st.decimals("0.0001", "99", places=4), words), min_size=1, max_size=8,
                unique_by=lambda row: row[:2]), st.sampled_from(["\n", "\r\n"]))
def test_any_line_of_a_transcript_comes_back(tmp_path, rows, ending):
    rows = [(video, clip, start, max(start, 0) + length, text) for video, clip, start, length, text in rows]
    transcript(tmp_path, *("___".join(map(str, row)) for row in rows), ending=ending)
    shutil.rmtree(tmp_path / "Labels", ignore_errors=True)
    rated(tmp_path, *({"Input.VIDEO_ID": video, "Input.CLIP": str(clip)} for video, clip, *_ in rows))
    assert {(one.key, one.start, one.end, one.text) for one in corpus(tmp_path).utterances} == {
        (f"mosei_{video}_{clip}", max(Fraction(start), 0), Fraction(end),
         text.removesuffix("\r") if ending == "\n" else text) for video, clip, start, end, text in rows}


# ------------------------------------------------------------------------------------------------ the real rows

@pytest.fixture(scope="module")
def real(shared):
    return open_corpus(shared / "real/mosei")[1]


@pytest.mark.shared
def test_the_real_rows_are_counted_right_fold_by_fold(shared, real):
    true = json.loads((shared / "real/true_counts.json").read_text())["CMU-MOSEI"]
    assert recognise(shared / "real/mosei").NAME == "mosei"
    six = SCHEMES[0]
    for name, split in (("train", "train"), ("valid", "dev"), ("test", "test"), ("in_no_fold", None)):
        rows = [one for one in real.utterances if one.split == split]
        codes = np.array(six.encode([one.annotation for one in rows]))
        sentiments = np.array([one.annotation["sentiment"] for one in rows])
        found = {"videos": len({one.speaker for one in rows}), "segments": len(rows),
                 **dict(zip(EMOTIONS, codes.sum(axis=0).tolist(), strict=True)),
                 "no_emotion": int((codes.sum(axis=1) == 0).sum()), "two_or_more": int((codes.sum(axis=1) > 1).sum()),
                 "sent_neg": int((sentiments < 0).sum()), "sent_zero": int((sentiments == 0).sum()),
                 "sent_pos": int((sentiments > 0).sum())}
        counted = {key: value for key, value in true[name].items() if key != "fold_videos_without_labels"}
        assert {key: found[key] for key in counted} == counted
    assert len(real.utterances) == true["all"]["segments"]
    assert Counter(skip.reason for skip in real.skips) == {"no-fold": true["in_no_fold"]["segments"]}
    without = ", ".join(true["test"]["fold_videos_without_labels"])
    assert f"test: videos of the standard fold without labels here: 2 of 678 ({without})" in real.notes
    assert len(real.notes) == 2


@pytest.mark.shared
def test_the_real_times(real):
    clamped = [one for one in real.utterances if "start-clamped" in one.flags]
    assert len(clamped) == 239
    assert {one.start for one in clamped} == {0}
    assert sum(one.seconds for one in real.utterances) / 3600 == pytest.approx(49.1, abs=0.05)
    # 109.4 s with what would lie before the video.
    assert max(one.seconds for one in real.utterances) == pytest.approx(109.3936 - 0.4875, abs=0.0002)
    assert len({one.key for one in real.utterances}) == 23_259


@pytest.mark.shared
def test_the_real_sentiments_by_scheme(real):
    rows = [one.annotation for one in real.utterances]
    seven = scheme("mosei-7")
    numbers = Counter(seven.labels[code] for code in seven.encode(rows))
    assert numbers == Counter(str(int(np.round(row["sentiment"]))) for row in rows)
    assert Counter(scheme("mosei-2").encode(rows)) == {0: 6683, 1: 16576}
    assert Counter(scheme("mosei-2-without-neutral").encode(rows)) == {0: 6683, 1: 11476, -100: 5100}


@pytest.mark.shared
def test_the_real_rows_joined_with_a_transcript_of_their_times(shared, tmp_path, real):
    """The release's transcripts cannot be passed on: these have its times, in string order of numbers with gaps."""
    folder = tmp_path / TRANSCRIPTS
    folder.mkdir(parents=True)
    with h5py.File(shared / "real/mosei/CMU_MOSEI_Labels.csd") as file:
        for video, group in file["All Labels/data"].items():
            spans = group["intervals"][()].tolist()
            numbers = sorted(range(2, len(spans) + 2), key=str)
            lines = [f"{video}___{number}___{start}___{end}___{start}\n" for number, (start, end) in
                     zip(numbers, spans, strict=True)]
            (folder / f"{video}.txt").write_text("".join(reversed(lines)))
    (tmp_path / "CMU_MOSEI_Labels.csd").symlink_to(shared / "real/mosei/CMU_MOSEI_Labels.csd")

    read = corpus(tmp_path)

    assert [one.annotation for one in read.utterances] == [one.annotation for one in real.utterances]
    assert all(max(float(one.text), 0) == float(one.start) for one in read.utterances)
    assert not any("_t" in one.key.removeprefix(one.dialogue) for one in read.utterances)
    assert len(read.notes) == 1


@pytest.mark.shared
def test_the_real_label_file_takes_less_than_300_mb(shared):
    # VmHWM, since ru_maxrss begins with what the parent had when it forked.
    script = ("import pathlib, re; from emoprep.corpora import open_corpus;"
              f"read = open_corpus(pathlib.Path({str(shared / 'real/mosei')!r}))[1];"
              "status = pathlib.Path('/proc/self/status').read_text();"
              "print(len(read.utterances), int(re.search('VmHWM:\\s*(\\d+)', status)[1]) / 1024)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    number, megabytes = map(float, done.stdout.split())
    assert number == 23_259
    assert megabytes < 300


def test_a_release_of_full_size_is_read(tmp_path):
    """Made-up rows of the real size: 3,293 videos of seven clips, three raters each, forty columns."""
    build_release(tmp_path)
    assert len(corpus(tmp_path).utterances) == 23_051


def build_release(folder):
    header = [*HEADER, *(f"Column{number}" for number in range(27))]
    filler = ",".join(["some text of a questionnaire"] * 27)
    (folder / TRANSCRIPTS).mkdir(parents=True)
    (folder / "Labels").mkdir()
    with (folder / "Labels/5000_batch_raw.csv").open("w") as table:
        table.write(",".join(header) + "\n")
        for video in range(3293):
            (folder / TRANSCRIPTS / f"video{video:06d}.txt").write_text("".join(
                f"video{video:06d}___{clip}___{clip * 6.4375}___{clip * 6.4375 + 7.0125}___some words of a sentence\n"
                for clip in range(8)))
            for clip in range(7):
                for rater in range(3):
                    table.write(f"3A{video},A{rater},Approved,video{video:06d},{clip},0,{rater},0,2,{clip % 4},0,"
                                f"{video % 7 - 3},0,{filler}\n")
