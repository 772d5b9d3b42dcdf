"""Pictures that no frame shows and no picture refers to are not decoded; what is left is the same to the bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.films import CINEMA, numbered, tone, write_film
from emoprep.media import decode as decoding
from emoprep.media import pyav
from emoprep.media.decode import Picture, Recipe, Window, make_recipe

SIZE = (160, 96)
WINDOWS = {
    "whole": [Window()],
    "overlapping": [Window(Fraction(1, 3), Fraction(9, 5)), Window(Fraction(1), Fraction(5, 2)),
                    Window(Fraction(0), Fraction(1, 50))],
    "beyond": [Window(Fraction(2), Fraction(6))],
}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three seconds of H.264 with three B-frames between references, as most clips on the web have."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_film(path, seconds=3, size=SIZE, fps=CINEMA, picture=numbered((40, 90, 160), SIZE), preset="medium", gop=250,
               bframes=3, sound=np.stack([tone(440, 3)] * 2))
    return path


def same(first, second):
    for one, other in zip(first, second, strict=True):
        assert one.seconds == other.seconds and one.flags == other.flags
        np.testing.assert_array_equal(np.array(one.pictures), np.array(other.pictures))
        np.testing.assert_array_equal(one.samples, other.samples)


@pytest.mark.parametrize("windows", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("fps", ["3", "10", "24000/1001", "60"])
def test_spared_or_not_the_clips_are_the_same(film, windows, fps):
    recipe = make_recipe(fps=fps, size=64)
    spared, all_decoded = (decoding._decode(str(film), windows, recipe, True, True, sparing=sparing)
                           for sparing in (True, False))
    same(spared, all_decoded)


def test_pictures_are_really_spared(film):
    """At 10 frames a second from 24 a third of this film is never decoded; at its own rate, nothing is."""
    def shown(fps, sparing):
        reels = [decoding._Reel(Window(), make_recipe(fps=fps))]
        wanted = (lambda times: decoding._on_screen(reels, times)) if sparing else None
        return sum(isinstance(event, Picture) for event in pyav.pictures_and_sound(
            str(film), Recipe(), video=True, audio=True, until=None, flags=[], on_screen=wanted))
    assert shown("10", False) == 72
    assert shown("10", True) < 54
    assert shown("24000/1001", True) == 72


def test_a_damaged_film_is_decoded_in_full(film, tmp_path):
    broken = bytearray(film.read_bytes())
    middle = len(broken) // 2
    broken[middle:middle + 400] = bytes(400)
    path = tmp_path / "broken.mp4"
    path.write_bytes(broken)
    recipe = Recipe(size=64)
    same(decoding.decode(str(path), [Window()], recipe),
         decoding._decode(str(path), [Window()], recipe, True, True, sparing=False))


@settings(max_examples=60)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=40, unique=True), st.integers(1, 30),
       st.lists(st.tuples(st.integers(0, 200), st.integers(1, 150)), max_size=3))
def test_on_screen_against_brute_force(times, fps, spans):
    times = [Fraction(time, 100) for time in sorted(times)]
    windows = [Window(Fraction(a, 100), Fraction(a + b, 100)) for a, b in spans] or [Window()]
    reels = [decoding._Reel(window, Recipe(fps=Fraction(fps))) for window in windows]
    expected = {0}
    for reel in reels:
        frames = reel.frames if reel.frames is not None else int((times[-1] + 2) * fps)
        for frame in range(frames):
            at = reel.start + (frame + Fraction(1, 2)) / fps
            expected.add(max((k for k, time in enumerate(times) if time <= at), default=0))
    found = {k for k, there in enumerate(decoding._on_screen(reels, times)) if there}
    assert found == expected or found == expected | {len(times) - 1}
