"""Sound leaves the tape piece by piece, and the pieces are what the run as a whole would be."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.films import loudest_hz, tone
from emoprep.media.decode import Recipe
from emoprep.media.tape import Tape


def frames(sound, rate, *, start=0, size=1024):
    """Cut float sound [n] into frames of int16 whose times begin at `start` seconds."""
    values = (sound * 32767).astype(np.int16)[np.newaxis]
    for begin in range(0, values.shape[1], size):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values[:, begin:begin + size]), format="s16",
                                           layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(start * rate) + begin
        yield frame


def through(tape, *runs):
    return [sound for run in runs for frame in run for sound in tape.add(frame)] + list(tape.flush())


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([8000, 11025, 16000, 44100, 48000]), st.integers(1, 60_000), st.sampled_from([16000, 22050]))
def test_pieces_follow_one_another_and_last_as_long_as_the_run(rate, samples, wanted):
    sounds = through(Tape(None, Recipe(sample_rate=wanted), None), frames(tone(500, samples / rate, rate), rate))

    assert {sound.run for sound in sounds} == {Fraction(0)}
    assert sounds[0].offset == 0
    assert all(sound.offset + len(sound.samples) == after.offset for sound, after in pairwise(sounds))
    total = sounds[-1].offset + len(sounds[-1].samples)
    # The resampler may keep back a few samples, and never gives more than was fed.
    expected = round(len(tone(500, samples / rate, rate)) * Fraction(wanted, rate))
    assert expected - 40 <= total <= expected
    assert all(sound.samples.dtype == np.int16 for sound in sounds)


def test_sound_at_the_wanted_rate_is_not_touched():
    values = np.random.default_rng(0).integers(-32768, 32767, 50_000) / 32768
    sounds = through(Tape(None, Recipe(), None), frames(values, 16000))
    assert len(sounds) == 4  # a second each, and the rest
    np.testing.assert_array_equal(np.concatenate([sound.samples for sound in sounds]),
                                  (values * 32767).astype(np.int16))


def test_a_gap_and_another_rate_begin_a_new_run():
    tape = Tape(None, Recipe(), None)
    sounds = through(tape, frames(tone(500, 1, 16000), 16000), frames(tone(500, 1, 16000), 16000, start=3),
                     frames(tone(500, 1, 48000), 48000, start=4))
    assert sorted({sound.run for sound in sounds}) == [0, 3, 4]
    assert loudest_hz(sounds[-1].samples, 16000) == pytest.approx(500, abs=5)


def test_a_frame_that_cannot_be_only_ends_the_run():
    """A broken film may claim a sample rate of 0 for a while."""
    tape = Tape(None, Recipe(), None)
    good, bad, more = frames(tone(500, 1, 16000), 16000), frames(tone(500, 0.1, 16000), 16000), \
        frames(tone(700, 1, 16000), 16000, start=1)
    sounds = [sound for frame in good for sound in tape.add(frame)]
    for frame in bad:
        frame.sample_rate = 0
        with pytest.raises(av.FFmpegError):
            sounds += tape.add(frame)

    sounds += through(tape, more)

    assert {sound.run for sound in sounds} == {0, 1}
    later = np.concatenate([sound.samples for sound in sounds if sound.run == 1])
    assert len(later) == 16000
    assert loudest_hz(later, 16000) == pytest.approx(700, abs=5)
