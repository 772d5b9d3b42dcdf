"""Sound as browsers play it: as long as it was, at its place, and the same bytes each time."""

import io

import av
import numpy as np
import pytest

from emoprep.media.listen import encode_mp3


def decoded(mp3):
    with av.open(io.BytesIO(mp3)) as container:
        stream = container.streams.audio[0]
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)]), stream.rate


def chirp(rate, seconds):
    time = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * (200 + 300 * time) * time)).astype(np.float32)


@pytest.mark.parametrize(("rate", "played"), [(4000, 16_000), (8000, 16_000), (11_025, 16_000), (16_000, 16_000),
                                              (22_050, 24_000), (44_100, 24_000), (48_000, 24_000), (192_000, 24_000)])
def test_what_is_played_is_what_was_heard_at_its_time(rate, played):
    mp3, seconds = encode_mp3(chirp(rate, 1.5), rate, 15)
    sound, found = decoded(mp3)
    assert (found, seconds) == (played, pytest.approx(1.5, abs=1 / rate))
    assert len(sound) == pytest.approx(1.5 * played, abs=2)
    wanted = chirp(played, 1.5)
    n = min(len(sound), len(wanted))
    like = [np.dot(np.roll(sound[:n], shift), wanted[:n]) for shift in range(-20, 21)]
    assert abs(int(np.argmax(like)) - 20) <= 1
    assert np.corrcoef(sound[:n], wanted[:n])[0, 1] > 0.98
    assert len(mp3) < 1.5 * 6000 + 1500  # 48 kbit/s


def test_what_is_longer_is_faded_out():
    sound, rate = decoded(encode_mp3(np.full(32_000, 0.3, np.float32) * np.sign(np.sin(np.arange(32_000) / 8)), 16_000,
                                     1.0)[0])
    assert len(sound) == rate == 16_000
    loud = [float(np.abs(sound[at:at + 800]).mean()) for at in (10_000, 11_000, 15_200)]
    assert loud[2] < 0.15 * loud[0] and loud[1] > 0.8 * loud[0]


@pytest.mark.parametrize("count", [1, 575, 576, 577, 1153])
def test_short_sounds_play(count):
    assert len(decoded(encode_mp3(np.full(count, 0.1, np.float32), 16_000, 15)[0])[0]) > 0


def test_the_same_sound_gives_the_same_bytes_without_names_and_dates():
    first, second = (encode_mp3(chirp(16_000, 2), 16_000, 15)[0] for _ in range(2))
    assert first == second and first[:2] == b"\xff\xf3"  # a frame of MPEG-2 layer III, and no tag before it
    assert b"ID3" not in first and b"Lavf6" not in first and b"Lavc6" not in first
