"""IEMOCAP as users have it: every layout, each quirk of its tree and of its lines, the protocols, the true counts."""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import av
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from iemocap_miniature import CODES, COUNTS, LAYOUTS, STUB, alignment_text, build_miniature, build_release

from emoprep.corpora import open_corpus, recognise
from emoprep.corpora.iemocap import PROTOCOLS, SCHEMES, leave_session_out
from emoprep.corpora.iemocap import recognise as looks_like_iemocap
from emoprep.errors import CorpusError, MissingInput, UsageError
from emoprep.films import loudest_hz, read_colour
from emoprep.protocols import assign_splits

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
HEAD = "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]"
EVALUATION = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
TRANSCRIPTION = "Session1/dialog/transcriptions/Ses01F_impro01.txt"
ALIGNMENT = "Session1/sentences/ForcedAlignment/Ses01F_impro01/Ses01F_impro01_F000.wdseg"
NAME = "iemocap_Ses01F_impro01_F000"
SPOKEN = [f"Ses01F_impro01_{name} [006.2901-008.2357]: {text}" for name, text in
          (("F000", "Hello."), ("F001", "[LAUGHTER]"), ("F002", ""), ("FXX0", "Mm."), ("M007", "Not rated."))]


def write(folder, name, data=b"not decoded here"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def corpus_of(folder, *lines, transcription=None, alignment=None, options=None, ending="\n"):
    """Write a dialogue of these lines and read the corpus."""
    write(folder, EVALUATION, lines[0] if isinstance(lines[0], bytes) else ending.join([HEADER, "", *lines, ""]))
    for name, data in ((TRANSCRIPTION, transcription), (ALIGNMENT, alignment)):
        (folder / name).unlink(missing_ok=True)
        if data is not None:
            write(folder, name, data)
    return open_corpus(folder, options=options)[1]


def failure(folder, *lines, error=CorpusError, **files):
    with pytest.raises(error) as caught:
        corpus_of(folder, *lines, **files)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


def quoted(text):
    """Return a line as messages show it: its beginning, and one space where there are several."""
    return " ".join(repr(text[:100]).split())


def only(read):
    assert len(read.utterances) == 1
    return read.utterances[0]


# ------------------------------------------------------------------------------------------- the miniature

@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_miniature_in_every_layout(tmp_path, layout):
    made = build_miniature(tmp_path, layout)

    module, read = open_corpus(made.folder)

    assert module.NAME == read.name == "iemocap"
    assert [utterance.key for utterance in read.utterances] == list(made.truth)
    for utterance, truth in zip(read.utterances, made.truth.values(), strict=True):
        session = int(truth.name[4])
        assert (utterance.split, utterance.unit) == (None, f"ses{session}")
        assert utterance.dialogue == f"iemocap_{truth.dialogue}"
        assert utterance.speaker == f"Ses0{session}{truth.name[-4]}"
        assert utterance.text == ("" if "no-transcription" in truth.flags else truth.text)
        assert (utterance.start, utterance.end) == (Fraction(truth.start), Fraction(truth.end))
        assert utterance.seconds == pytest.approx(float(truth.end) - float(truth.start))
        assert (utterance.video, utterance.audio, utterance.view) == (truth.video, truth.audio, truth.view)
        assert utterance.video_shift == 0
        assert utterance.audio_shift == (-Fraction(truth.start) if truth.wav else 0)
        assert utterance.words == truth.words
        assert utterance.flags == truth.flags
        assert {name: utterance.annotation[name] for name in ("emotion", "session", "scenario", "gender")} == {
            "emotion": truth.emotion, "session": session, "gender": truth.name[-4],
            "scenario": "script" if session == 5 else "impro"}
        assert [utterance.annotation[name] for name in ("valence", "arousal", "dominance")] == list(truth.means)
        said = [len(utterance.annotation[name]) for name in ("votes", "attributes")]
        assert said == [sum(rater.startswith(letter) for rater, _ in truth.raters) for letter in ("C-", "A-")]
    below = LAYOUTS[layout].format(n=5)
    assert [(skip.key, skip.reason, skip.detail) for skip in read.skips] == [(
        "iemocap_Ses05M_script01_1b_M000", "no-clip",
        f"{below} has neither dialog/avi/DivX/Ses05M_script01_1b.avi nor "
        "sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_M000.wav nor dialog/wav/Ses05M_script01_1b.wav")]
    assert read.bare_splits == ("ses4",)
    first = LAYOUTS[layout].format(n=1)
    assert read.unused_clips == (f"{first}/sentences/wav/Ses01F_impro01/Ses01F_impro01_FXX0.wav",)
    assert read.notes == (
        "not there: Session2",
        "left out: 3 transcribed lines without a turn's name (M:, FXX0 …) (the first: "
        f"{first}/dialog/transcriptions/Ses01F_impro01.txt:6)")
    assert len(read.annotation_files) == 2 * 6 + sum(truth.segments is not None for truth in made.truth.values())


def test_the_miniature_holds_what_its_truth_says(tmp_path):
    """The speaker's half has its colour, and each sentence's wav its tone; so other tests may rely on it."""
    made = build_miniature(tmp_path)
    for dialogue, colours in made.colours.items():
        with av.open(str(made.folder / f"Session{dialogue[4]}/dialog/avi/DivX/{dialogue}.avi")) as film:
            assert film.streams.video[0].codec_context.name == "mpeg4"
            image = next(film.decode(video=0)).to_ndarray(format="rgb24")
        assert image.shape == (480, 720, 3)
        for half, colour in zip((image[:, :350], image[:, 370:]), colours, strict=True):
            assert read_colour(half) == pytest.approx(colour, abs=8)
    for truth in made.truth.values():
        if truth.wav:
            sound, rate = soundfile.read(made.folder / truth.audio)
            assert len(sound) == round((Fraction(truth.end) - Fraction(truth.start)) * 16000)
            assert loudest_hz(sound, rate) == pytest.approx(truth.tone, abs=3)


def test_turns_are_in_the_order_of_time_though_the_file_has_all_of_one_actor_first(tmp_path):
    made = build_miniature(tmp_path)
    lines = (made.folder / EVALUATION).read_text().split("\n")
    in_file = [line.split("\t")[1][-4:] for line in lines if line.startswith("[")]
    assert in_file == ["F000", "F001", "F002", "M000", "M001"]

    read = open_corpus(made.folder)[1]

    turns = [utterance for utterance in read.utterances if utterance.dialogue == "iemocap_Ses01F_impro01"]
    assert [turn.key[-4:] for turn in turns] == ["F000", "M000", "F001", "M001", "F002"]
    assert [turn.turn for turn in turns] == [0, 1, 2, 3, 4]
    # They overlap, and one lies within another.
    assert turns[1].start < turns[0].end
    assert turns[1].start < turns[2].start < turns[2].end < turns[1].end


def test_turns_that_start_at_once_are_ordered_by_their_end_and_then_by_name(tmp_path):
    heads = ("[1.0000 - 3.0000]\tSes01F_impro01_F000", "[1.0000 - 2.0000]\tSes01F_impro01_M001",
             "[1.0000 - 2.0000]\tSes01F_impro01_M000")
    read = corpus_of(tmp_path, *(f"{head}\tneu\t[3, 3, 3]" for head in heads))
    assert [utterance.key[-4:] for utterance in read.utterances] == ["M000", "M001", "F000"]


def test_each_raters_vote_is_kept(tmp_path):
    read = {utterance.key: utterance.annotation for utterance in open_corpus(build_miniature(tmp_path).folder)[1]
            .utterances}

    several = read["iemocap_Ses01F_impro01_M000"]
    # An empty self report, a remark that stops at its apostrophe, three outside raters, a digit that is missing.
    assert several["votes"] == ["E1:Excited;Happiness", "E2:Other(amused, doesn)", "E4:Happiness", "M1:"]
    assert several["attributes"] == ["E3:val=5,act=3,dom=3", "E4:val=4,act=3,dom=2(relaxed, polite)",
                                     "E6:val=4,act=3,dom=3", "M1:val=3,act=3,dom="]
    assert [several[name] for name in ("valence", "arousal", "dominance")] == [4.3333, 3.0, 2.6667]
    # No majority, and a self report that would give one: schemes decide.
    undecided = read["iemocap_Ses01F_impro01_M001"]
    assert undecided["emotion"] == "xxx"
    assert undecided["votes"] == ["E1:Neutral", "E2:Frustration", "E4:Excited", "M1:Happiness"]
    assert [scheme.encode([undecided]) for scheme in SCHEMES] == [[-100]] * 3


def test_averages_outside_the_scale_are_kept_and_flagged(tmp_path):
    read = {utterance.key: utterance for utterance in open_corpus(build_miniature(tmp_path).folder)[1].utterances}
    assert read["iemocap_Ses03M_impro05a_M000"].annotation["valence"] == 5.5
    assert read["iemocap_Ses03M_impro05a_F000"].annotation["dominance"] == 0.5
    flagged = [key for key, utterance in read.items() if "rating-outside-scale" in utterance.flags]
    assert flagged == ["iemocap_Ses03M_impro05a_M000", "iemocap_Ses03M_impro05a_F000"]


@pytest.mark.parametrize("mean, flagged", [("1.0000", False), ("5.0000", False), ("0.9999", True), ("5.0001", True)])
def test_the_ends_of_the_scale_belong_to_it(tmp_path, mean, flagged):
    head = HEAD.replace("2.5000]", f"{mean}]")
    assert only(corpus_of(tmp_path, head, transcription="")).flags == (
        *(("rating-outside-scale",) if flagged else ()), "no-transcription")


def test_the_schemes():
    codes = [{"emotion": code} for code in ("hap", "exc", "sad", "neu", "ang", "fru", "xxx", "sur", "fea", "dis",
                                            "oth")]
    assert [(scheme.name, scheme.labels, scheme.encode(codes)[:6]) for scheme in SCHEMES] == [
        ("iemocap-4", ("happy", "sad", "neutral", "angry"), [0, 0, 1, 2, 3, -100]),
        ("iemocap-5", ("happy", "sad", "neutral", "angry", "frustrated"), [0, 0, 1, 2, 3, 4]),
        ("iemocap-6", ("happy", "sad", "neutral", "angry", "excited", "frustrated"), [0, 4, 1, 2, 3, 5])]
    assert all(scheme.encode(codes)[6:] == [-100] * 5 for scheme in SCHEMES)


# --------------------------------------------------------------------------------- which half, which sound, when

@pytest.mark.parametrize("dialogue, actor, view", [
    ("Ses01F_impro01", "F", "left"), ("Ses01F_impro01", "M", "right"), ("Ses01M_impro01", "M", "left"),
    ("Ses01M_impro01", "F", "right")])
def test_at_the_left_is_the_actor_with_the_markers(tmp_path, dialogue, actor, view):
    read = open_corpus(build_miniature(tmp_path).folder)[1]
    views = {utterance.view for utterance in read.utterances
             if utterance.dialogue == f"iemocap_{dialogue}" and utterance.speaker == f"Ses01{actor}"}
    assert views == {view}


def test_the_whole_picture_on_demand(tmp_path):
    folder = build_miniature(tmp_path).folder
    half, full = (open_corpus(folder, options={"view": view})[1] for view in ("half", "full"))
    assert {utterance.view for utterance in full.utterances} == {None}
    assert {utterance.view for utterance in half.utterances if utterance.video} == {"left", "right"}
    assert [replace(utterance, view=None) for utterance in half.utterances] == list(full.utterances)
    assert (half.settings["view"], full.settings["view"]) == ("half", "full")


@pytest.mark.parametrize("text, seconds, setting", [
    ("0.2", Fraction(1, 5), "0.2"), ("-0.167", Fraction(-167, 1000), "-0.167"), ("+.50", Fraction(1, 2), "0.5"),
    ("100", Fraction(100), "100"), ("-0", Fraction(0), "0"), ("3.", Fraction(3), "3")])
def test_films_that_run_behind_their_sound(tmp_path, text, seconds, setting):
    folder = build_miniature(tmp_path).folder

    read = open_corpus(folder, options={"av-offset": text})[1]

    assert read.settings["av-offset"] == setting
    for utterance in read.utterances:
        assert utterance.video_shift == (seconds if utterance.video else 0)
        if utterance.audio is not None and utterance.audio == utterance.video:
            assert utterance.audio_shift == seconds
        else:
            wav = utterance.audio is not None and "/sentences/" in utterance.audio
            assert utterance.audio_shift == (-utterance.start if wav else 0)


@pytest.mark.parametrize("text", ["", "fast", "1e3", "nan", "inf", "1,5", "0x1", "--1", ".", "1_0", "١", "99999",
                                  "0.1s", "0.1234567", "9" * 5000])
def test_an_offset_that_is_no_number(tmp_path, text):
    build_miniature(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_corpus(tmp_path / "IEMOCAP", options={"av-offset": text})
    assert str(caught.value) == (f"--av-offset: this is no number of seconds: expected 0.2, -0.167 or the like, got "
                                 f"{text[:100]!r}")


def test_the_sentences_wav_before_the_dialogues_and_that_before_the_films(tmp_path):
    folder = build_miniature(tmp_path).folder
    places = ("sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav", "dialog/wav/Ses01F_impro01.wav",
              "dialog/avi/DivX/Ses01F_impro01.avi")
    for number, place in enumerate(places):
        utterance = open_corpus(folder, options={"av-offset": "0.25"})[1].utterances[0]
        assert utterance.audio == f"Session1/{place}"
        assert utterance.audio_shift == (-utterance.start, 0, Fraction(1, 4))[number]
        assert utterance.flags == ((), ("dialogue-sound",), ("dialogue-sound",))[number]
        (folder / "Session1" / place).unlink()
    read = open_corpus(folder)[1]
    assert (read.utterances[0].video, read.utterances[0].audio, read.utterances[0].flags) == (None, None, ())
    # Its other turns have their own wavs still.
    assert [skip.key for skip in read.skips if "Ses01F" in skip.key] == [NAME]


def test_the_name_of_a_dialogue_may_begin_anothers(tmp_path):
    """Ses05M_script01_1 has a film and a sound, Ses05M_script01_1b has not."""
    read = open_corpus(build_miniature(tmp_path).folder)[1]
    later = [utterance for utterance in read.utterances if utterance.dialogue == "iemocap_Ses05M_script01_1b"]
    assert [(utterance.video, utterance.turn) for utterance in later] == [(None, 0), (None, 1)]
    assert later[0].audio == "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_F000.wav"
    assert later[1].audio is None


# ------------------------------------------------------------------------------------- what may not be there

@pytest.mark.parametrize("kept, has", [
    ("sentences/wav", {"audio"}), ("dialog/wav", {"audio"}), ("dialog/avi", {"video", "audio"})])
def test_media_of_one_kind(tmp_path, kept, has):
    folder = build_miniature(tmp_path).folder
    for place in {"sentences/wav", "dialog/wav", "dialog/avi"} - {kept}:
        for session in (1, 3, 4, 5):
            shutil.rmtree(folder / f"Session{session}" / place, ignore_errors=True)
    read = open_corpus(folder)[1]
    used = [utterance for utterance in read.utterances if utterance.audio or utterance.video]
    assert used
    assert {name for utterance in used for name in ("video", "audio") if getattr(utterance, name)} == has
    assert all(f"/{kept}/" in (utterance.audio or utterance.video) for utterance in used)


def test_annotation_alone(tmp_path):
    folder = build_miniature(tmp_path).folder
    for session in (1, 3, 4, 5):
        for place in ("sentences/wav", "dialog/wav", "dialog/avi"):
            shutil.rmtree(folder / f"Session{session}" / place, ignore_errors=True)
    read = open_corpus(folder)[1]
    assert len(read.utterances) == 16
    assert read.bare_splits == ("ses1", "ses3", "ses4", "ses5")
    assert read.skips == ()


def test_some_sessions(tmp_path):
    folder = build_miniature(tmp_path).folder
    for session in (1, 4):
        shutil.rmtree(folder / f"Session{session}")
    read = open_corpus(folder)[1]
    assert {utterance.unit for utterance in read.utterances} == {"ses3", "ses5"}
    assert read.notes == ("not there: Session1, Session2, Session4",)


def test_a_session_without_its_evaluation_is_named(tmp_path):
    folder = build_miniature(tmp_path).folder
    shutil.rmtree(folder / "Session5/dialog/EmoEvaluation")
    read = open_corpus(folder)[1]
    assert {utterance.unit for utterance in read.utterances} == {"ses1", "ses3", "ses4"}
    assert read.notes[0] == "Session5: no dialog/EmoEvaluation; the session is left out"
    assert "Session5/dialog/avi/DivX/Ses05M_script01_1.avi" in read.unused_clips


def test_a_dialogue_without_its_evaluation_is_named(tmp_path):
    folder = build_miniature(tmp_path).folder
    (folder / EVALUATION.replace("Ses01F", "Ses01M")).unlink()
    read = open_corpus(folder)[1]
    assert not any("Ses01M" in utterance.key for utterance in read.utterances)
    assert "left out: 1 dialogues without a file in EmoEvaluation (the first: Ses01M_impro01)" in read.notes
    assert {"Session1/dialog/avi/DivX/Ses01M_impro01.avi", "Session1/dialog/wav/Ses01M_impro01.wav"} \
        <= set(read.unused_clips)


def test_no_evaluation_at_all(tmp_path):
    write(tmp_path, "Session1/dialog/avi/DivX/Ses01F_impro01.avi")
    with pytest.raises(MissingInput) as caught:
        open_corpus(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: IEMOCAP's annotation is missing: expected Session1/dialog/EmoEvaluation/Ses01F_impro01.txt and "
        "the like, got none of them; give the folder that holds Session1 … Session5, with their dialog/EmoEvaluation")


def test_a_dialogue_without_its_transcription(tmp_path):
    folder = build_miniature(tmp_path).folder
    (folder / TRANSCRIPTION).unlink()
    read = open_corpus(folder)[1]
    turns = [utterance for utterance in read.utterances if utterance.dialogue == "iemocap_Ses01F_impro01"]
    assert {utterance.text for utterance in turns} == {""}
    assert all("no-transcription" in utterance.flags for utterance in turns)
    assert TRANSCRIPTION not in read.annotation_files


def test_a_session_without_transcriptions_is_named(tmp_path):
    folder = build_miniature(tmp_path).folder
    shutil.rmtree(folder / "Session5/dialog/transcriptions")
    assert "Session5: no dialog/transcriptions; its texts are empty" in open_corpus(folder)[1].notes


def test_an_alignment_is_flagged_as_missing_only_where_there_are_some(tmp_path):
    folder = build_miniature(tmp_path).folder
    flagged = [utterance.key for utterance in open_corpus(folder)[1].utterances if "no-alignment" in utterance.flags]
    assert flagged == ["iemocap_Ses01F_impro01_F001"]
    shutil.rmtree(folder / "Session1/sentences/ForcedAlignment")
    read = open_corpus(folder)[1]
    assert not any("no-alignment" in utterance.flags for utterance in read.utterances)
    assert {utterance.words for utterance in read.utterances if utterance.unit == "ses1"} == {()}


def test_names_that_are_nothing(tmp_path):
    folder = build_miniature(tmp_path).folder
    before = open_corpus(folder)[1]
    for name in ("dialog/EmoEvaluation/._Ses01F_impro02.txt", "dialog/transcriptions/._Ses01F_impro02.txt",
                 "dialog/wav/._Ses01F_impro02.wav", "dialog/avi/DivX/._Ses01F_impro02.avi",
                 "sentences/wav/Ses01F_impro01/._Ses01F_impro01_F009.wav", "dialog/EmoEvaluation/Thumbs.db",
                 "sentences/ForcedAlignment/Ses01F_impro01/._Ses01F_impro01_F001.wdseg",
                 "sentences/ForcedAlignment/Ses01F_impro01/Ses01F_impro01_F001.phseg"):
        write(folder / "Session1", name, STUB)
    # A folder, a pipe and a link to nowhere are no files, whatever their names.
    (folder / "Session1/dialog/transcriptions/Ses01F_impro03.txt").symlink_to("nowhere")
    (folder / "Session1/dialog/EmoEvaluation/Categorical.txt").mkdir()
    assert open_corpus(folder)[1] == before


@pytest.mark.parametrize("kind, got", [("folder", "a folder or the like"), ("pipe", "a folder or the like"),
                                       ("link", "a link that leads nowhere")])
def test_an_evaluation_that_is_no_file(tmp_path, kind, got):
    folder = build_miniature(tmp_path).folder
    path = folder / EVALUATION
    path.unlink()
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("nowhere")}[kind]()
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder)
    assert str(caught.value) == (f"{EVALUATION}: this evaluation is no file: got {got}; fetch it again, or "
                                 "remove it to leave the dialogue out")


@pytest.mark.parametrize("name", ["Ses02F_impro01.txt", "Ses01F_impro01 (1).txt", "Ses01X_impro01.txt", "notes.txt",
                                  "Ses01F_impro١١.txt", "Ses01F_impro01\n.txt", "Ses01F_impro1.txt"])
def test_annotation_of_another_name_is_told(tmp_path, name):
    folder = build_miniature(tmp_path).folder
    write(folder, f"Session1/dialog/EmoEvaluation/{name}", f"{HEADER}\n\n{HEAD}\n")
    read = open_corpus(folder)[1]
    assert len(read.utterances) == 16
    path = ascii(f"Session1/dialog/EmoEvaluation/{name}")
    assert f"left out: 1 files whose name is no dialogue's of their session (the first: {path})" in read.notes


def test_what_looks_like_iemocap(tmp_path):
    assert recognise(build_miniature(tmp_path).folder).NAME == "iemocap"
    assert not looks_like_iemocap(tmp_path / "nothing")
    for name in ("Session1/clips/a.avi", "Session6/dialog/wav/a.wav", "session1/dialog/a.wav", "train_splits/a.mp4",
                 "IEMOCAP_full_release/README.txt"):
        write(tmp_path / "other", name)
    assert not looks_like_iemocap(tmp_path / "other")


# ----------------------------------------------------------------------------------------------- the lines

@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, ending):
    read = corpus_of(tmp_path, HEAD, "C-E1:\tNeutral;\t()", "A-E3:\tval 3; act 2; dom  2;\t()", ending=ending,
                     transcription=f"Ses01F_impro01_F000 [006.2901-008.2357]: Hello.{ending}",
                     alignment=alignment_text([(0, 9, "HELLO")]).replace("\n", ending))
    utterance = only(read)
    assert (utterance.text, utterance.words, utterance.flags) == ("Hello.", (("HELLO", 0.0, 0.1),), ())
    assert utterance.annotation["votes"] == ["E1:Neutral"]
    assert utterance.annotation["attributes"] == ["E3:val=3,act=2,dom=2"]
    assert read.notes == ("not there: Session2, Session3, Session4, Session5",)


def test_times_are_exact(tmp_path):
    utterance = only(corpus_of(tmp_path, HEAD))
    assert (utterance.start, utterance.end) == (Fraction(62901, 10000), Fraction(82357, 10000))


@pytest.mark.parametrize("text", ["[LAUGHTER] Well -- [BREATHING]", "", "a: b [c]", "It's \x85 so\u2028",
                                  "Ses01F_impro01"])
def test_texts_are_taken_as_they_are(tmp_path, text):
    read = corpus_of(tmp_path, HEAD, transcription=f"Ses01F_impro01_F000 [006.2901-008.2357]: {text}\n")
    assert only(read).text == text.strip()
    assert only(read).flags == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings(tmp_path, encoding):
    head, text = f"{HEADER}\n\n{HEAD}\nC-E1:\tOther;\t(blasé)\n", "Ses01F_impro01_F000 [006.2901-008.2357]: Café.\n"
    read = corpus_of(tmp_path, head.encode(encoding), transcription=text.encode(encoding))
    assert only(read).text == "Café."
    assert only(read).annotation["votes"] == ["E1:Other(blasé)"]


@pytest.mark.parametrize("line, counted", [
    ("M: Mmhmm.", "transcribed lines without a turn's name (M:, FXX0 …)"),
    ("Ses01F_impro01_FXX0 [010.0000-011.0000]: [LAUGHTER]", "transcribed lines without a turn's name (M:, FXX0 …)"),
    ("Ses01F_impro01_F001 [010.0000-011.0000]: Nobody rated this.", "transcribed turns that no evaluation has")])
def test_what_is_transcribed_beyond_the_turns_is_counted(tmp_path, line, counted):
    read = corpus_of(tmp_path, HEAD, transcription=f"{SPOKEN[0]}\n{line}\n\n{line}\n")
    assert only(read).text == "Hello."
    assert read.notes[1:] == (f"left out: 2 {counted} (the first: {TRANSCRIPTION}:2)",)


def test_a_line_that_is_there_twice_alike_is_one(tmp_path):
    line = f"{SPOKEN[0]}\n"
    assert only(corpus_of(tmp_path, HEAD, transcription=2 * line)).text == "Hello."
    told = failure(tmp_path, HEAD, transcription=line + line.replace("Hello", "Goodbye"))
    assert told == (f"{TRANSCRIPTION}:2: Ses01F_impro01_F000 is transcribed twice, and differently; remove one of the "
                    "two lines")


@pytest.mark.parametrize("times, flags", [
    ("006.2901-008.2357", ()), ("006.29-008.24", ()), ("006.3101-008.2357", ("times-differ",)),
    ("006.2901-009.2357", ("times-differ",))])
def test_times_of_the_transcription_are_compared(tmp_path, times, flags):
    utterance = only(corpus_of(tmp_path, HEAD, transcription=f"Ses01F_impro01_F000 [{times}]: Hello.\n"))
    assert utterance.flags == flags
    assert utterance.start == Fraction("6.2901")


def test_lines_of_an_evaluation_that_are_nothing_are_counted(tmp_path):
    read = corpus_of(tmp_path, HEAD, "A-E4:\tval 2; act 3; dom  3;\t(upset,", "feels like it)", "", "% remark")
    assert only(read).annotation["attributes"] == ["E4:val=2,act=3,dom=3(upset,)"]
    assert ("left out: 2 lines of an evaluation that are no turn's and no rater's "
            f"(the first: {EVALUATION}:5)") in read.notes


@pytest.mark.parametrize("data", [
    b"", f"{HEADER}\n".encode(), b"\n\n", hashlib.shake_256(b"").digest(200),
    *(f"{HEADER}\n\n{HEAD}\n".encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-16-be"))])
def test_an_evaluation_without_a_turn(tmp_path, data):
    assert failure(tmp_path, data) == (
        f"{EVALUATION}:1: this evaluation holds no turn: expected [start - end], name, emotion, [V, A, D] in a line; "
        "fetch it again, or remove the file to leave the dialogue out")


RATER = "a turn, or below it a line of one of its raters"
PARTS = "[start - end], name, emotion, [V, A, D], tabs between them"


@pytest.mark.parametrize("line, what, expected, got", [
    (HEAD.replace("\tneu", " neu"), "this turn cannot be read", PARTS, None),
    (HEAD.replace("6.2901", "6"), "this turn cannot be read", PARTS, None),
    (HEAD.replace("6.2901", "6.29e400"), "this turn cannot be read", PARTS, None),
    (HEAD.replace("6.2901", f"{'9' * 50}.0"), "this turn cannot be read", PARTS, None),
    (HEAD.replace("6.2901", "٦.2901"), "this turn cannot be read", PARTS, None),
    (HEAD.replace("2.5000]", "]"), "this turn cannot be read", PARTS, None),
    (HEAD.replace("2.5000]", "nan]"), "this turn cannot be read", PARTS, None),
    (HEAD.replace("2.5000]", "2.5.0]"), "this turn cannot be read", PARTS, None),
    (HEAD[:30], "this turn cannot be read", PARTS, None),
    (f"{HEAD}\tmore", "this turn cannot be read", PARTS, None),
    (HEAD[1:], "this line cannot be read", RATER, None),
    (f"% {HEAD}", "this line cannot be read", RATER, None),
    ("C-X1:\tNeutral;\t()", "this line cannot be read", RATER, None),
    ("A-E3 val 3; act 2; dom  2;\t()", "this line cannot be read", RATER, None),
    (HEAD.replace("impro01", "impro02"), "this is no turn of the dialogue", "Ses01F_impro01_F000 and the like",
     "Ses01F_impro02_F000"),
    (HEAD.replace("_F000", "_FXX0"), "this is no turn of the dialogue", "Ses01F_impro01_F000 and the like",
     "Ses01F_impro01_FXX0"),
    (HEAD.replace("_F000", "_F٠٠٠"), "this is no turn of the dialogue", "Ses01F_impro01_F000 and the like",
     "Ses01F_impro01_F٠٠٠"),
    (HEAD.replace("neu", "joy"), "this emotion is not known", " or ".join(
        ("neu", "hap", "sad", "ang", "exc", "fru", "sur", "fea", "dis", "oth", "xxx")), "joy"),
    (HEAD.replace("8.2357", "6.2901"), "this turn does not end after it starts", "the start, then the end",
     "6.2901 - 6.2901"),
    ("A-E3:\tval 3; act 2;\t()", "a rater's attributes cannot be read", "val 3; act 2; dom 2;", None),
    ("A-E3:\tval 3; act x; dom 2;\t()", "a rater's attributes cannot be read", "val 3; act 2; dom 2;", None),
    ("A-E3:\tval 3; val 4; act 3; dom 2;\t()", "a rater's attributes cannot be read", "val 3; act 2; dom 2;", None),
    ("A-E3:\tval 3; val 3; dom 2;\t()", "a rater's attributes cannot be read", "val 3; act 2; dom 2;", None),
    ("A-E3:\tval 3; act ٣; dom 2;\t()", "a rater's attributes cannot be read", "val 3; act 2; dom 2;", None),
])
def test_a_line_of_an_evaluation_that_cannot_be_read(tmp_path, line, what, expected, got):
    first = HEAD.replace("F000", "M000")
    told = failure(tmp_path, first, line)
    assert told == f"{EVALUATION}:4: {what}: expected {expected}, got {quoted(got or line)}; mend the line"


def test_a_rater_of_no_turn(tmp_path):
    told = failure(tmp_path, "C-E1:\tNeutral;\t()", HEAD)
    assert told == (f"{EVALUATION}:3: this line cannot be read: expected {RATER}, got 'C-E1:\\tNeutral;\\t()'; "
                    "mend the line")


def test_two_turns_of_one_name(tmp_path):
    assert failure(tmp_path, HEAD, "", HEAD) == (
        f"{EVALUATION}:5: Ses01F_impro01_F000 is there twice: got the first in line 3; remove one of the two")


@pytest.mark.parametrize("line", [
    "Ses01F_impro01_F000 [006.2901 - 008.2357]: Hello.", "Ses01F_impro01_F000 [006.2901-008.2357] Hello.",
    "Ses01F_impro01_F000", "Ses01F_impro01_F000: Hello.", "Ses01F_impro01_F000 [6-8]: Hello."])
def test_a_transcribed_turn_that_cannot_be_read(tmp_path, line):
    assert failure(tmp_path, HEAD, transcription=f"\n{line}\n") == (
        f"{TRANSCRIPTION}:2: this line cannot be read: expected name [start-end]: text, got {line!r}; mend the line")


# ----------------------------------------------------------------------------------------------- the words

def test_words_with_their_times(tmp_path):
    rows = [(0, 40, "<s>"), (41, 72, "WHAT(2)"), (73, 73, "<sil>"), (74, 80, "++LAUGHTER++"), (81, 99, "DON'T(12)"),
            (100, 101, "</s>")]
    utterance = only(corpus_of(tmp_path, HEAD, alignment=alignment_text(rows)))
    # A hundred frames a second, the last one included; silence is no word, and what is heard besides words is one.
    assert utterance.words == (("WHAT", 0.41, 0.73), ("++LAUGHTER++", 0.74, 0.81), ("DON'T", 0.81, 1.0))


def test_an_alignment_of_silence(tmp_path):
    assert only(corpus_of(tmp_path, HEAD, alignment=alignment_text([(0, 99, "<sil>")]))).words == ()


@pytest.mark.parametrize("row", ["\t   41    40      -9 WHAT", "\t   41    72 WHAT", "\t   41    72      -9", "WHAT",
                                 "\t   41    72      -9 WHAT NOW", "\t   ٤    72      -9 WHAT",
                                 f"\t 1 {'9' * 99} -9 WHAT"])
def test_a_row_of_an_alignment_that_cannot_be_read(tmp_path, row):
    told = failure(tmp_path, HEAD, alignment=f"\t SFrm  EFrm    SegAScr Word\n{row}\n Total score:  -9\n")
    assert told == (f"{ALIGNMENT}:2: this line cannot be read: expected first frame, last frame, score, word, got "
                    f"{quoted(row)}; mend the line")


@pytest.mark.parametrize("data, line", [("", 1), ("\t SFrm  EFrm    SegAScr Word\n\t 0 9 -9 HI\n", 3)])
def test_an_alignment_that_ends_early(tmp_path, data, line):
    """The words that are lost would be missed by nobody."""
    assert failure(tmp_path, HEAD, alignment=data) == (
        f"{ALIGNMENT}:{line}: the alignment ends early: expected Total score: … at its end; unpack the file again, or "
        "remove it: alignments are optional")


# ------------------------------------------------------------------------------------ whatever stands there

fuzz = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
noise = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30)


def outcome(folder, where, *lines, **files):
    """Return the corpus, or None where one CorpusError was raised; anything else is a bug."""
    try:
        return corpus_of(folder, *lines, **files)
    except CorpusError as error:
        assert re.match(rf"{re.escape(where)}:\d+: ", str(error))
        assert "\n" not in str(error)
        return None


def left_out(read):
    return sum(int(note.split()[2]) for note in read.notes if note.startswith("left out: "))


def damaged(lines):
    """Lines of the real syntax, some of them with a piece cut out and noise in its place."""
    def damage(line, at, length, text):
        return line[:at] + text + line[at + length:]
    return st.one_of(st.sampled_from(lines), noise, st.builds(
        damage, st.sampled_from(lines), st.integers(0, 60), st.integers(0, 10), st.one_of(st.just(""), noise)))


HEADS = [HEAD.replace("F000", f"{actor}00{number}") for actor in "FM" for number in range(3)]
RATERS = ["C-E1:\tExcited; Happiness;\t()", "C-F1:\t;\t()", "C-E2:\tOther;\t(amused", HEADER, "",
          "A-E3:\tval 3; act 2; dom  2;\t()", "A-M1:\tval 3; act 3; dom  ;\t(tired)"]


@fuzz
@given(st.lists(damaged(HEADS + RATERS), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
@example(["\x00"], "\n")
@example(["\x85" + HEAD], "\n")
@example([HEAD, "A-E1:" + ";" * 50_000], "\n")
@example(["Ses" * 20_000, "Ses01F_" + "a_" * 20_000], "\n")
@example(["[" + "1" * 5000 + ".0 - 2.0]"], "\n")
def test_any_lines_of_an_evaluation(tmp_path, lines, ending):
    """Each line is a turn, what a rater said, or counted as left out; or the file is refused."""
    lines = [HEAD.replace("F000", "F009"), *lines]
    read = outcome(tmp_path, EVALUATION, "\n".join([HEADER, *lines]).replace("\n", ending).encode())
    if read is not None:
        said = sum(len(utterance.annotation[name]) for utterance in read.utterances for name in ("votes", "attributes"))
        there = [line for line in lines if line.rstrip() and not line.startswith("% [START_TIME")]
        assert len(read.utterances) + said + left_out(read) == len(there)
        assert sum(line.startswith("[") for line in there) == len(read.utterances)
        assert all(utterance.start < utterance.end for utterance in read.utterances)


@fuzz
@given(st.lists(damaged([*SPOKEN, "M: Mmhmm.", ""]), max_size=8))
@example(["Ses" + "x" * 100_000 + "_F000 [1.0-2.0]: a"])
@example(["Ses01F_impro01_F000 [" + "1" * 5000 + ".0-2.0]: a"])
def test_any_lines_of_a_transcription(tmp_path, lines):
    """Each line that names a rated turn is that turn's text, every other one is counted; or the file is refused."""
    read = outcome(tmp_path, TRANSCRIPTION, *HEADS[:3], transcription="\n".join(lines))
    if read is not None:
        there = [line for line in map(str.rstrip, lines) if line]
        named = {line for line in there if re.match(r"Ses01F_impro01_F00[0-2] \[", line)}
        assert left_out(read) == sum(line not in named for line in there)
        for utterance in read.utterances:
            texts = {line.partition("]:")[2].strip() for line in named if line.startswith(f"{utterance.key[8:]} ")}
            assert texts == (set() if "no-transcription" in utterance.flags else {utterance.text})


WORDS = ["\t    0    40     -10840 <s>", "\t   41    72     -17530 WHAT(2)", "\t   73    99     -17530 ++LAUGHTER++",
         " Total score:   -1234567", ""]


@fuzz
@given(st.lists(damaged(WORDS), max_size=8))
@example(["\t 1 2 -" + "9" * 100_000 + " A"])
@example(["\t 1 2 -9 " + "(1)" * 20_000])
@example([" " * 50_000 + "x"])
def test_any_lines_of_an_alignment(tmp_path, lines):
    """Each row is a word or silence; or the file is refused."""
    text = "\n".join(["\t SFrm  EFrm    SegAScr Word", *lines, " Total score: -9"])
    read = outcome(tmp_path, ALIGNMENT, HEAD, alignment=text)
    if read is not None:
        rows = [line for line in lines if line.strip() and not line.lstrip().startswith("Total score:")]
        spoken = [line for line in rows if not re.search(r"\s<(s|/s|sil)>(\(\d+\))?\s*$", line)]
        assert len(only(read).words) == len(spoken)
        assert all(0 <= start < end for _, start, end in only(read).words)


@fuzz
@given(st.binary(max_size=300), st.sampled_from([EVALUATION, TRANSCRIPTION, ALIGNMENT]), st.integers(0, 200))
@example(b"\xff\xfe", EVALUATION, 0)
@example(b"\x00\r\x85", TRANSCRIPTION, 20)
def test_any_bytes(tmp_path, data, where, place):
    corpus_of(tmp_path, HEAD, transcription=SPOKEN[0], alignment=alignment_text([(0, 9, "HELLO")]))
    good = (tmp_path / where).read_bytes()
    (tmp_path / where).write_bytes(good[:place] + data + good[place:])
    try:
        assert len(open_corpus(tmp_path)[1].utterances) <= 1
    except CorpusError as error:
        assert re.match(rf"{re.escape(where)}:\d+: ", str(error))
        assert "\n" not in str(error)


# ----------------------------------------------------------------------------------------------- protocols

@pytest.fixture(scope="module")
def release(once):
    """Return the annotation of a whole release, read: 151 dialogues, 10,039 turns."""
    return open_corpus(once("iemocap-release", build_release))[1]


@pytest.fixture(scope="module")
def dialogues(release):
    return list(dict.fromkeys(utterance.dialogue for utterance in release.utterances))


def split_of(protocol, dialogues):
    splits, _ = assign_splits([None] * len(dialogues), dialogues, corpus="iemocap", protocol=protocol)
    return dict(zip(dialogues, splits, strict=True))


@pytest.mark.parametrize("protocol, test", [(None, "5"), ("session5", "5"), *((f"loso:{k}", k) for k in "12345")])
def test_a_session_is_the_test(dialogues, protocol, test):
    split = split_of(protocol, dialogues)
    assert list(split) == dialogues
    assert {dialogue for dialogue in dialogues if split[dialogue] == "test"} == {
        dialogue for dialogue in dialogues if dialogue.startswith(f"iemocap_Ses0{test}")}
    rest = [dialogue for dialogue in dialogues if split[dialogue] != "test"]
    by_hash = sorted(rest, key=lambda dialogue: hashlib.sha256(dialogue.encode()).hexdigest())
    assert {dialogue for dialogue in rest if split[dialogue] == "dev"} == set(by_hash[:12])
    assert Counter(split.values())["train"] == len(rest) - 12


def test_dev_is_the_same_for_ever(dialogues):
    split = split_of("session5", dialogues)
    assert [dialogue.removeprefix("iemocap_") for dialogue in dialogues if split[dialogue] == "dev"] == [
        "Ses01F_impro02", "Ses01F_impro04", "Ses01F_script01_1", "Ses01F_script02_2", "Ses01M_impro03",
        "Ses02M_impro03", "Ses02M_script01_3", "Ses02M_script02_1", "Ses03F_impro04", "Ses03F_script03_2",
        "Ses04M_script01_1", "Ses04M_script03_2"]


def test_session5_is_loso_5_whatever_the_order(dialogues):
    assert split_of("session5", dialogues) == split_of("loso:5", dialogues[::-1])


def test_the_split_of_dialoguernn_and_cosmic(dialogues):
    split = split_of("dialoguernn", dialogues)
    assert Counter(split.values()) == {"train": 108, "dev": 12, "test": 31}
    assert {dialogue.removeprefix("iemocap_") for dialogue in dialogues if split[dialogue] == "dev"} == {
        "Ses01M_impro01", "Ses01M_script03_1", "Ses02F_impro02", "Ses02F_impro07", "Ses02M_script01_2",
        "Ses03F_impro01", "Ses03M_impro02", "Ses03M_impro08a", "Ses03M_script02_2", "Ses03M_script03_2",
        "Ses04F_impro07", "Ses04F_script02_1"}
    assert all(split[dialogue] == "test" for dialogue in dialogues if "_Ses05" in dialogue)


@pytest.mark.parametrize("protocol", ["session5", "loso:1", "dialoguernn"])
def test_protocols_take_what_is_there(tmp_path, protocol):
    read = open_corpus(build_miniature(tmp_path).folder)[1]
    dialogues = list(dict.fromkeys(utterance.dialogue for utterance in read.utterances))
    split = split_of(protocol, dialogues)
    assert set(split.values()) == {"train", "dev", "test"}
    expected = {"session5": ["iemocap_Ses05M_script01_1", "iemocap_Ses05M_script01_1b"],
                "loso:1": ["iemocap_Ses01F_impro01", "iemocap_Ses01M_impro01"],
                "dialoguernn": ["iemocap_Ses05M_script01_1", "iemocap_Ses05M_script01_1b"]}[protocol]
    assert [dialogue for dialogue in dialogues if split[dialogue] == "test"] == expected


@pytest.mark.parametrize("count, dev", [(0, 0), (1, 0), (2, 1), (14, 1), (15, 2), (120, 12)])
def test_one_dialogue_in_ten_is_dev_and_at_least_one_of_two(dialogues, count, dev):
    rest = [dialogue for dialogue in dialogues if "_Ses05" not in dialogue][:count]
    assert Counter(leave_session_out("5", rest).values())["dev"] == dev


@pytest.mark.parametrize("protocol, told", [
    ("loso:6", "--protocol: there is no such session: expected loso:1, loso:2 … loso:5, got loso:6"),
    ("loso:05", "--protocol: there is no such session: expected loso:1, loso:2 … loso:5, got loso:05"),
    ("loso:٣", "--protocol: there is no such session: expected loso:1, loso:2 … loso:5, got loso:٣")])
def test_a_session_that_is_none(dialogues, protocol, told):
    with pytest.raises(UsageError) as caught:
        split_of(protocol, dialogues)
    assert str(caught.value) == told


@pytest.mark.parametrize("name", ["iemocap_Ses06F_impro01", "meld_train_dia0", "iemocap_Ses05M_script01_1b_copy", ""])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_dialogue_of_no_session(name, protocol):
    with pytest.raises(UsageError, match="^--protocol: this dialogue belongs to no session: "):
        PROTOCOLS[protocol]("5", ["iemocap_Ses01F_impro01", name])


# ------------------------------------------------------------------------------------------- a whole release

def test_a_whole_release_is_counted_right(release, dialogues):
    assert len(release.utterances) == len({utterance.key for utterance in release.utterances}) == 10_039
    assert len(dialogues) == 151
    assert Counter(dialogue[8:13] for dialogue in dialogues) == {
        "Ses01": 28, "Ses02": 30, "Ses03": 32, "Ses04": 30, "Ses05": 31}
    assert release.bare_splits == ("ses1", "ses2", "ses3", "ses4", "ses5")
    assert (release.skips, release.notes, release.unused_clips) == ((), (), ())
    assert {utterance.flags for utterance in release.utterances} == {()}
    assert all(utterance.text and len(utterance.words) == 12 for utterance in release.utterances)
    assert len(release.annotation_files) == 2 * 151 + 10_039
    for session, counts in COUNTS.items():
        found = Counter(utterance.annotation["emotion"] for utterance in release.utterances
                        if utterance.unit == f"ses{session}")
        assert found == {code: count for code, count in zip(CODES, counts, strict=True) if count}


@pytest.mark.shared
def test_the_true_counts(release, shared):
    """Those of the public tables, by way of the real syntax, in every class, session and scheme."""
    true = json.loads((shared / "real/true_counts.json").read_text())["IEMOCAP"]
    rows = [utterance.annotation for utterance in release.utterances]
    assert len(rows) == true["all"]["rows"]
    assert len({utterance.dialogue for utterance in release.utterances}) == true["all"]["dialogues"]
    assert Counter(row["emotion"] for row in rows) == true["all"]["label"]
    assert {f"Ses0{session}": count for session, count in Counter(row["session"] for row in rows).items()} \
        == true["per_session"]

    four, five, six = (dict(zip(scheme.labels, map(Counter(scheme.encode(rows)).get, range(len(scheme.labels))),
                                strict=True)) for scheme in SCHEMES)
    names = {"neu": "neutral", "hap": "happy", "ang": "angry", "sad": "sad", "exc": "excited", "fru": "frustrated"}
    true_four, true_six = true["4way_hap_plus_exc"], true["6way_strict_from_EmoEvaluation"]
    assert four == {names[code]: count for code, count in true_four["all"].items()}
    assert sum(four.values()) == true_four["total"] == 5531
    assert five == {**four, "frustrated": true_six["fru"]}
    assert sum(five.values()) == sum(six.values()) == true_six["total"] == 7380
    assert six == {names[code]: count for code, count in true_six.items() if code in names}
    for session in range(1, 6):
        of_session = Counter(SCHEMES[0].encode(row for row in rows if row["session"] == session))
        assert {label: of_session[number] for number, label in enumerate(SCHEMES[0].labels)} == {
            names[code]: count for code, count in true_four[f"Ses0{session}"].items()}
