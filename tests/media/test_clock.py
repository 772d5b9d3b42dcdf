"""The clock's formulas, and what must hold for any length, rate and size."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoprep.media.clock import frame_count, frame_samples, sample_count, strip_shape

CINEMA = Fraction(24000, 1001)

seconds = st.fractions(min_value=0, max_value=400, max_denominator=100_000)
rates = st.one_of(st.sampled_from([Fraction(10), Fraction(25), Fraction(30), CINEMA, Fraction(30000, 1001)]),
                  st.fractions(min_value=Fraction(1, 10), max_value=1000, max_denominator=1001))
sample_rates = st.sampled_from([4000, 8000, 11025, 16000, 22050, 44100, 48000])


@pytest.mark.parametrize("length, fps, frames", [
    (0, 10, 1), (Fraction(1, 100), 10, 1), (Fraction(3), 10, 30),
    # ½ rounds up: 0.05 s are half a frame, and with 1 frame already so 0.15 s shows it.
    (Fraction(15, 100), 10, 2), (Fraction(149, 1000), 10, 1), (Fraction(1001, 12000), 10, 1),
    # 37 pictures at 24000/1001 last 1.5432 s.
    (37 / CINEMA, 10, 15), (48 / CINEMA, CINEMA, 48), (Fraction(1), Fraction(1, 10), 1),
])
def test_frames_of_a_length(length, fps, frames):
    assert frame_count(Fraction(length), Fraction(fps)) == frames


@pytest.mark.parametrize("length, rate, samples", [
    (0, 16000, 1), (Fraction(1, 3), 16000, 5333), (Fraction(1, 32000), 16000, 1), (Fraction(3, 32000), 16000, 2),
    (48 / CINEMA, 16000, 32032), (Fraction(1, 7), 44100, 6300),
])
def test_samples_of_a_length(length, rate, samples):
    assert sample_count(Fraction(length), rate) == samples


@given(seconds, rates)
def test_frames_are_the_rounded_length(length, fps):
    frames = frame_count(length, fps)
    assert isinstance(frames, int)
    assert frames >= 1
    # Half a frame at most is added or lost, but for the one frame that everything has.
    assert frames == 1 or -Fraction(1, 2) < frames - length * fps <= Fraction(1, 2)


@given(seconds, sample_rates)
def test_samples_are_the_rounded_length(length, rate):
    samples = sample_count(length, rate)
    assert samples == 1 or -Fraction(1, 2) < samples - length * rate <= Fraction(1, 2)


@given(rates.filter(lambda fps: fps <= 60), sample_rates, st.fractions(min_value=0, max_value=30,
                                                                       max_denominator=5000))
def test_frames_part_the_samples(fps, rate, length):
    frames, samples = frame_count(length, fps), sample_count(length, rate)
    spans = [frame_samples(index, fps, rate, samples) for index in range(frames)]
    assert spans[0][0] == 0
    for (_, stop), (start, _) in pairwise(spans):
        assert stop == start
    assert all(0 <= start <= stop <= samples for start, stop in spans)
    # Up to half a frame of sound follows the last frame, and no more (one sample is lost to each floor).
    assert 0 <= samples - spans[-1][1] <= rate / fps / 2 + 2
    for index, (start, stop) in enumerate(spans[:-1]):
        assert start == index * rate * fps.denominator // fps.numerator
        assert abs(stop - start - rate / fps) < 1


@given(st.integers(1, 300_000), st.sampled_from(range(16, 2049, 16)))
def test_a_strip_holds_all_frames_and_is_never_too_tall(frames, size):
    rows, columns = strip_shape(frames, size)
    assert 1 <= rows * size <= 65_500
    assert rows * columns >= frames
    # No more columns than it takes, and no row is empty.
    assert (columns - 1) * (65_500 // size) < frames
    assert (rows - 1) * columns < frames


@pytest.mark.parametrize("frames, size, shape", [
    (1, 112, (1, 1)), (30, 112, (30, 1)), (584, 112, (584, 1)), (585, 112, (293, 2)), (4093, 16, (4093, 1)),
    (4094, 16, (2047, 2)), (31, 2048, (31, 1)), (32, 2048, (16, 2)),
])
def test_columns_begin_where_one_would_be_too_tall(frames, size, shape):
    assert strip_shape(frames, size) == shape
