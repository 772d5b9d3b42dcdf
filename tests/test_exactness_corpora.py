"""The clock in the layouts of MELD and IEMOCAP, at random windows, and on real clips; see `test_exactness`."""

import contextlib
import csv
import functools
import math
import os
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clock_films import (
    H264,
    MPEG4,
    NTSC,
    PCM,
    RATE,
    SIZE,
    TAKES,
    check_chirps,
    check_pictures,
    chirp_times,
    chirps,
    expected_codes,
    half_up,
    late_s,
    on_screen,
    probe,
    raw,
    read_store,
    shoot,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from iemocap_miniature import Truth, write_session
from meld_miniature import HEADER

from emoprep.films import CINEMA, read_timecode
from emoprep.media.decode import make_recipe
from emoprep.segment import plan_segment, segment

BOTH = ("pyav", "ffmpeg")

pytestmark = pytest.mark.usefixtures("ffmpeg_on_path")


def cut(source, out, decoder, *, fps="10", size=SIZE, **settings):
    """Segment in this process, without skipping anything, and return the samples by key."""
    plan = plan_segment(source, out, recipe=make_recipe(fps=fps, size=size, decoder=decoder), max_mismatch=1e6,
                        **settings)
    segment(plan, out, max_skipped="0")
    return read_store(out)


# ------------------------------------------------------------------------------------------ MELD: whole files

CLIPS = ("h264-23.976", "h264-29.917", "hevc-25", "uneven", "sound-late", "cut-in-gop", "begins-later")


@pytest.fixture(scope="session")
def films(once):
    """Return the folder of the films that are clips here. Read only."""
    def make(folder):
        folder.mkdir()
        for name in CLIPS:
            TAKES[name].make(folder)
    return once("exactness-clips", make)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fps", ["10", "24000/1001"])
def test_a_clip_of_meld_is_the_whole_file(films, tmp_path, decoder, fps):
    """From 0 to the end of its last picture, whatever its edit list hides or puts off."""
    corpus = tmp_path / "MELD.Raw"
    (corpus / "train_splits").mkdir(parents=True)
    with (corpus / "train_sent_emo.csv").open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(HEADER)
        for number, name in enumerate(CLIPS):
            os.link(films / f"{name}.mp4", corpus / f"train_splits/dia0_utt{number}.mp4")
            rows.writerow((number, "Oh.", "Ida", "joy", "positive", 0, number, 1, 1, "0:00:00,000", "0:00:09,000"))

    samples = cut(corpus, tmp_path / "out", decoder, fps=fps)

    for number, name in enumerate(CLIPS):
        path = films / f"{name}.mp4"
        tick, ticks, codes, end = on_screen(path)
        row, frames, sound = samples[f"meld_train_dia0_utt{number}"]
        if name == "uneven":
            # How long its last picture stays mp4 does not say: it has durations in the order of decoding.
            end = Fraction(row["end"]).limit_denominator(90_000)
            assert 0 < end - ticks[-1] * tick < 0.1
        else:
            assert abs(end - (Fraction(int(codes[-1]) + 1) / TAKES[name].fps + TAKES[name].shift)) < 0.003
        check_pictures(path, Fraction(0), end, Fraction(fps), row, frames, sound)
        assert len(check_chirps(path, name, Fraction(0), end, sound)) >= 16


# ----------------------------------------------------------------------- IEMOCAP: halves, and sound beside a film

TURNS = [("F000", "0.2000", "1.4250"), ("M000", "1.1000", "2.7003"), ("F001", "1.4300", "1.6300"),
         ("M001", "3.0117", "9.5031"), ("F002", "8.4000", "9.2000"), ("F003", "10.1101", "11.9999")]
DIALOGUES = {"Ses01F_impro01": MPEG4, "Ses01M_impro01": (*MPEG4, "-bf", 2)}
VOTE = (("C-E1", "Neutral;\t()"), ("A-E3", "val 3; act 2; dom  2;\t()"))
OTHER = 30_000  # what the right actor's time code counts from
LONGER = {"F001": 2400, "M001": -5600}  # samples by which a sentence's file is longer than its turn


def sentence(dialogue, turn, start, end):
    """Return a sound that no other sentence has, int16 [n]."""
    draw = np.random.default_rng([ord(letter) for letter in dialogue + turn])
    count = half_up((Fraction(end) - Fraction(start)) * RATE) + LONGER.get(turn, 0)
    return draw.integers(-9000, 9000, count).astype(np.int16)


@pytest.fixture(scope="session")
def iemocap(once):
    """Return IEMOCAP's folder: films of two actors, a dialogue sound, and sentences of most turns. Read only."""
    def make(folder):
        session = folder / "Session1"
        truths = [Truth(f"{dialogue}_{turn}", start, end, "neu", VOTE, "Oh.", wav=turn != "F002")
                  for dialogue in DIALOGUES for turn, start, end in TURNS]
        write_session(session, truths, {})
        for dialogue, coding in DIALOGUES.items():
            film, dialog = session / f"dialog/avi/DivX/{dialogue}.avi", session / f"dialog/wav/{dialogue}.wav"
            sentences = session / f"sentences/wav/{dialogue}"
            for place in (film.parent, dialog.parent, sentences):
                place.mkdir(parents=True, exist_ok=True)
            sound = chirps(chirp_times(12), 12, RATE)
            shoot(film, fps=NTSC, seconds=Fraction(12), coding=coding, sounding=PCM, sound=sound, beside=(OTHER,),
                  rate=RATE)
            soundfile.write(dialog, np.stack([sound, sound], 1), RATE, subtype="PCM_16")
            for turn, start, end in TURNS:
                if turn != "F002":
                    soundfile.write(sentences / f"{dialogue}_{turn}.wav", sentence(dialogue, turn, start, end), RATE)
    return once("exactness-iemocap", make)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fps", ["10", "30000/1001"])
def test_a_turn_of_iemocap_and_its_sentence(iemocap, tmp_path, decoder, fps):
    """Pictures from the speaker's half of the film; sound from the sentence's own file, to the last bit."""
    samples = cut(iemocap, tmp_path / "out", decoder, fps=fps)

    for dialogue in DIALOGUES:
        film = iemocap / f"Session1/dialog/avi/DivX/{dialogue}.avi"
        for turn, start, end in TURNS:
            row, frames, sound = samples[f"iemocap_{dialogue}_{turn}"]
            begin, length = Fraction(start), Fraction(end) - Fraction(start)
            assert len(frames) == half_up(length * Fraction(fps))
            right = OTHER if turn[0] != dialogue[5] else 0
            np.testing.assert_array_equal(read_timecode(frames),
                                          expected_codes(film, begin, len(frames), Fraction(fps)) + right)
            whole = np.zeros(half_up(length * RATE), np.int16)
            if turn == "F002":  # it has no file, so its sound is the dialogue's
                assert "dialogue-sound" in row["flags"]
                said, _rate = soundfile.read(iemocap / f"Session1/dialog/wav/{dialogue}.wav", dtype="int16")
                whole[:] = said[round(begin * RATE):, 0][:len(whole)]
            else:
                said = sentence(dialogue, turn, start, end)[:len(whole)]
                whole[:len(said)] = said
            np.testing.assert_array_equal(sound, whole)
            assert ("sound-ends-early" in row["flags"]) == (turn == "M001")


# ------------------------------------------------------------------------------------------ clocks that part

@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("pace", [1.002, 0.998])
def test_a_recorder_whose_sound_drifts(tmp_path, pace, decoder):
    """The container's times of its sound part from the count of samples, by 60 ms after 30 s: the times rule."""
    seconds = Fraction(30)
    path = shoot(tmp_path / "film.mkv", fps=25, seconds=seconds, coding=H264, sound=chirps(chirp_times(30), 30, 48000),
                 sounding=(*PCM, "-af", f"asetpts=PTS*{pace}"))
    table = tmp_path / "table.csv"
    table.write_text(f"file,start,end,key\n{path.name},0,30,whole\n{path.name},20,29,late\n")

    samples = cut(table, tmp_path / "out", decoder)

    for key, start in (("whole", 0), ("late", 20)):
        row, frames, sound = samples[key]
        check_pictures(path, Fraction(start), Fraction(row["end"]), Fraction(10), row, frames, sound)
        played = [time * pace - start for time in chirp_times(30)]
        played = [time for time in played if 0.1 < time < row["end"] - start - 0.2]
        found = []
        for time in played:
            with contextlib.suppress(AssertionError):  # sound is cut or repeated in the middle of it
                found.append(late_s(sound, RATE, time))
        assert len(found) >= len(played) - 2 > 10
        # Less than a picture: a 50th of a second later or earlier, sound is laid out anew.
        assert np.abs(found).max() <= 1 / 50 + 1 / RATE


# ------------------------------------------------------------------------------------------------ random windows

windows = st.lists(st.tuples(st.integers(0, 11_500_000), st.integers(60_000, 12_000_000)), min_size=1, max_size=6)


@pytest.mark.parametrize("decoder", BOTH)
def test_a_frame_that_is_due_long_after_its_utterance(films, tmp_path, decoder):
    """There is always one: at a third of a frame a second, it is the picture 1.5 s after the start."""
    name = "h264-23.976.mp4"
    os.link(films / name, tmp_path / name)
    (tmp_path / "table.csv").write_text(f"file,start,end,key\n{name},2,2.06,short\n")

    _row, frames, _sound = cut(tmp_path / "table.csv", tmp_path / "out", decoder, fps="1/3")["short"]

    assert read_timecode(frames).tolist() == [math.floor(Fraction(7, 2) * CINEMA)]


@pytest.mark.long
@settings(max_examples=20, deadline=None, derandomize=True)
@given(windows=windows, name=st.sampled_from(["h264-23.976", "uneven", "cut-in-gop"]), decoder=st.sampled_from(BOTH),
       fps=st.one_of(st.sampled_from([Fraction(10), CINEMA, Fraction(1, 3)]),
                     st.fractions(Fraction(1, 2), 90, max_denominator=1001)))
def test_any_windows_of_a_film(films, windows, name, decoder, fps):
    """Windows in microseconds, at any rate, with each other: each has what it would have alone."""
    path = films / f"{name}.mp4"
    last = on_screen(path)[3]
    spans = [(Fraction(start, 10 ** 6) % last, Fraction(length, 10 ** 6)) for start, length in windows]
    spans = [(begin - begin % Fraction(1, 10 ** 6), length) for begin, length in spans]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.csv")
        shutil.copyfile(path, table.with_name(path.name))
        table.write_text("file,start,end,key\n" + "".join(
            f"{path.name},{float(start):.6f},{float(start + length):.6f},u{number}\n"
            for number, (start, length) in enumerate(spans)))
        samples = cut(table, Path(folder, "out"), decoder, fps=str(fps))
    for number, (start, length) in enumerate(spans):
        check_pictures(path, start, start + length, fps, *samples[f"u{number}"])
        check_chirps(path, name, start, start + length, samples[f"u{number}"][2])


# --------------------------------------------------------------------------------------------------- real clips

REAL = ("talking_vfr.mp4", "hevc_vfr_audio_starts_late.mov", "person_29.917fps.mp4", "no_duration.webm",
        "two_audio_streams.mp4", "six_channel_audio.mp4", "talking_25fps.mp4", "talking_mpeg4_25fps.mp4",
        "face_sound_a.mp4", "face_sound_34s.mp4", "face_silent_audio.mp4", "face_no_audio_stream.mp4")
SIDE_PX = 96


@functools.cache
def real_pictures(path):
    """Return (tick in seconds, ticks, pictures [n, 96, 96] less their mean): ffprobe's times, ffmpeg's pictures."""
    told = probe(path, "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp:stream=time_base")
    grey = raw(path, "-map", "0:v:0", "-vf", f"scale={SIDE_PX}:{SIDE_PX}:flags=area,format=gray", "-f", "rawvideo",
               "-fps_mode", "passthrough", "-enc_time_base", -1)
    ticks = np.array([frame["best_effort_timestamp"] for frame in told["frames"]])
    pictures = np.frombuffer(grey, np.uint8).reshape(len(ticks), SIDE_PX, SIDE_PX).astype(np.float32)
    return Fraction(told["streams"][0]["time_base"]), ticks, pictures - pictures.mean((1, 2), keepdims=True)


@functools.cache
def real_sound(path):
    """Return (when its first sample is heard, samples at 16 kHz), or None: ffprobe's time, ffmpeg's samples."""
    told = probe(path, "-select_streams", "a:0", "-read_intervals", "%+5", "-show_entries",
                 "frame=pts:stream=time_base")
    if not told["streams"]:
        return None
    samples = np.frombuffer(raw(path, "-map", "0:a:0", "-f", "s16le", "-ac", "1", "-ar", RATE), np.int16)
    return told["frames"][0]["pts"] * Fraction(told["streams"][0]["time_base"]), samples.astype(float)


@pytest.mark.long
@pytest.mark.shared
@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", REAL)
def test_real_clips(shared, tmp_path, name, decoder):
    """Of the pictures around it, none is more like a frame than the one that is on screen at its time."""
    path, draw = shared / "real/video" / name, np.random.default_rng(0)
    tick, ticks, pictures = real_pictures(path)
    end = ticks[-1] * tick
    spans = [(Fraction(int(begin * 1000), 1000), Fraction(int(length * 1000) + 60, 1000)) for begin, length in
             zip(draw.uniform(0, float(end) - 0.2, 6), draw.exponential(2, 6), strict=True)]
    table = tmp_path / "table.csv"
    table.write_text("file,start,end,key\n" + "".join(
        f"{path},{float(start)},{float(start + length)},u{number}\n" for number, (start, length) in enumerate(spans)))

    samples = cut(table, tmp_path / "out", decoder, fps="12", size=SIDE_PX)

    unlike, heard, known = np.zeros(9), 0, real_sound(path)
    for number, (start, length) in enumerate(spans):
        _row, frames, sound = samples[f"u{number}"]
        assert len(frames) == half_up(length * 12)
        for index, frame in enumerate(frames @ np.array([0.299, 0.587, 0.114], np.float32)):
            due = (start + Fraction(2 * index + 1, 24)) / tick
            on = max(0, int(np.searchsorted(ticks, math.floor(due), side="right")) - 1)
            near = np.arange(max(0, on - 4), min(len(ticks), on + 5))
            off = np.abs(frame - frame.mean() - pictures[near]).mean((1, 2))
            # Two scalers and JPEG differ by more than some neighbours do.
            assert off[near == on] <= 1.1 * off.min() + 0.05, (number, index, off)
            if len(near) == 9:
                unlike += off
        if known and len(sound) > RATE / 2:
            heard += check_real_sound(sound.astype(float), start, *known)
    # All frames together: a picture too early or too late would be less like them.
    assert (unlike[4] * 1.03 < np.delete(unlike, 4)).all(), unlike
    assert heard > 0 or name in ("no_duration.webm", "face_silent_audio.mp4", "face_no_audio_stream.mp4")


def check_real_sound(sound, start, begin, known):
    """Assert that the sound lies where `known` does, which begins at `begin` seconds; tell whether there was any."""
    first = round((start - begin) * RATE)
    reach = 64
    there = np.zeros(len(sound) + 2 * reach)
    low, high = max(0, first - reach), min(len(known), first + len(sound) + reach)
    if high - low < RATE / 4:
        return False
    there[low - first + reach:high - first + reach] = known[low:high]
    if np.abs(sound).max() < 300:
        return False
    scores = np.correlate(there, sound, "valid")
    best = int(np.argmax(scores))
    assert scores[best] > 0.98 * np.linalg.norm(sound) * np.linalg.norm(there[best:best + len(sound)])
    assert abs(best - reach) <= 1, best - reach
    return True
