"""Pictures that no frame shows and no picture refers to are not decoded; what is left is the same to the bit."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.films import CINEMA, numbered, tone, write_film
from emoprep.media import decode as decoding
from emoprep.media import pyav
from emoprep.media.decode import DecodeFailure, Picture, Recipe, Watch, Window, clips, decode, make_recipe
from emoprep.media.reel import Reels, Roll
from emoprep.media.spare import Sparing

SIZE = (160, 96)
WINDOWS = {
    "whole": [Window()],
    "overlapping": [Window(Fraction(1, 3), Fraction(9, 5)), Window(Fraction(1), Fraction(5, 2)),
                    Window(Fraction(0), Fraction(1, 50))],
    "beyond": [Window(Fraction(2), Fraction(6))],
    "dozens": [Window(Fraction(n, 21), Fraction(n, 21) + Fraction(1, 2 + n % 7)) for n in range(60)],
}
FILMS = {
    # Three B-frames between references, as most clips on the web have.
    "h264.mp4": {"preset": "medium", "bframes": 3, "fps": CINEMA},
    "h264.mkv": {"preset": "medium", "bframes": 3, "fps": CINEMA},
    "mpeg4.avi": {"codec": "mpeg4", "bit_rate": 600_000, "bframes": 2, "fps": 30},
    "plain.avi": {"codec": "mpeg4", "bit_rate": 600_000, "fps": 30},
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Three seconds each, by name."""
    made = {}
    for name, settings_ in FILMS.items():
        made[name] = tmp_path_factory.mktemp("film") / name
        write_film(made[name], seconds=3, size=SIZE, picture=numbered((40, 90, 160), SIZE), gop=250,
                   sound=np.stack([tone(440, 3)] * 2), **settings_)
    return made


@pytest.fixture
def film(films):
    return films["h264.mp4"]


@pytest.fixture
def unsparing(monkeypatch):
    """Return `decode` with every picture decoded."""
    def decoded(*args):
        with monkeypatch.context() as patch:
            patch.setattr(decoding, "SPARING", ())
            return decode(*args)
    return decoded


def same(first, second):
    for one, other in zip(first, second, strict=True):
        assert one.seconds == other.seconds and one.flags == other.flags
        np.testing.assert_array_equal(np.array(one.pictures), np.array(other.pictures))
        np.testing.assert_array_equal(one.samples, other.samples)


def shown(path, fps, windows=WINDOWS["whole"], *, sparing=True):
    """Return how many pictures are decoded for the windows."""
    reels = Reels(dict(enumerate(windows)), make_recipe(fps=fps), video=True, audio=True, develop=Roll)
    return sum(isinstance(event, Picture) for event in pyav.pictures_and_sound(
        str(path), Recipe(), video=True, audio=True, until=None, flags=[], watch=Watch(),
        on_screen=reels.on_screen if sparing else None))


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("windows", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("fps", ["3", "10", "24000/1001", "60"])
def test_spared_or_not_the_clips_are_the_same(films, unsparing, name, windows, fps):
    recipe = make_recipe(fps=fps, size=64)
    same(decode(str(films[name]), windows, recipe), unsparing(str(films[name]), windows, recipe))


def test_pictures_are_really_spared(films):
    """At 10 frames a second from 24 a third of this film is never decoded; at its own rate, nothing is."""
    assert shown(films["h264.mp4"], "10", sparing=False) == 72
    assert shown(films["h264.mp4"], "10") < 54
    assert shown(films["h264.mp4"], "24000/1001") == 72
    assert shown(films["mpeg4.avi"], "10") < 70
    assert shown(films["plain.avi"], "10") == 90


def test_pictures_of_no_window_are_spared(film):
    """However many windows there are, and although most of the film lies in none."""
    windows = [Window(Fraction(n, 100), Fraction(n + 20, 100)) for n in range(20)]
    whole, few = shown(film, "24000/1001"), shown(film, "24000/1001", windows)
    assert whole == 72
    assert few < 50


def test_few_packets_are_held(films):
    """As many as it takes to see when the next picture comes, and not the whole film; no sound."""
    for name in ("h264.mp4", "mpeg4.avi"):
        with av.open(str(films[name])) as container:
            film = container.streams.video[0]
            sparing = Sparing(film, lambda stamp, until: False)
            most, last = 0, {}
            for packet in sparing.packets(container.demux()):
                most = max(most, len(sparing.held))
                if packet.dts is not None:
                    assert packet.dts >= last.get(packet.stream.index, packet.dts), "out of order"
                    last[packet.stream.index] = packet.dts
        assert 1 <= most <= 8
        assert not sparing.held


def test_a_damaged_film_is_decoded_in_full(film, unsparing, tmp_path):
    path = damaged(film, tmp_path)
    clip, = decode(path, [Window()], Recipe(size=64))
    assert "damaged" in clip.flags
    same([clip], unsparing(path, [Window()], Recipe(size=64)))


def test_what_ended_before_the_damage_is_whole(film, unsparing, tmp_path):
    """And it is handed out once."""
    path, recipe = damaged(film, tmp_path), Recipe(size=64)
    windows = [Window(Fraction(0), Fraction(1, 2)), Window(Fraction(1, 4), Fraction(3, 4)), Window(),
               Window(Fraction(2), Fraction(5, 2))]

    found = list(clips(path, windows, recipe))

    assert sorted(number for number, _ in found) == [0, 1, 2, 3]
    assert {number: "damaged" in clip.flags for number, clip in found} == {0: False, 1: False, 2: True, 3: True}
    same([clip for _, clip in sorted(found, key=lambda one: one[0])], unsparing(path, windows, recipe))


def test_a_picture_that_does_not_come(film, unsparing, tmp_path):
    """The one before it stays on screen instead, even if nobody seemed to want it."""
    with av.open(str(film)) as container:
        stored = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    differ, recipe = 0, Recipe(size=32)
    whole, = decode(str(film), [Window()], recipe)
    for pos, _ in stored[4:24]:
        broken = bytearray(film.read_bytes())
        broken[pos:pos + 4] = b"\xff\xff\xff\xff"  # the length of what follows
        path = tmp_path / f"{pos}.mp4"
        path.write_bytes(broken)
        clip, = decode(str(path), [Window()], recipe)
        same([clip], unsparing(str(path), [Window()], recipe))
        differ += not np.array_equal(np.array(clip.pictures), np.array(whole.pictures))
    assert differ > 5


def damaged(film, folder):
    broken = bytearray(film.read_bytes())
    middle = len(broken) // 2
    broken[middle:middle + 400] = bytes(400)
    path = folder / "broken.mp4"
    path.write_bytes(broken)
    return str(path)


def test_a_picture_shown_exactly_at_a_frames_time_is_that_frames_picture():
    """Frame 0 of 10 a second is due at 0.05 s; what comes then replaces the picture before it."""
    reels = Reels({0: Window()}, Recipe(), video=True, audio=False, develop=Roll)
    dues = reels.left[0].due_stamps(Fraction(1, 100))
    assert [next(dues) for _ in range(3)] == [5, 15, 25]
    dues = reels.left[0].due_stamps(Fraction(1, 30))
    assert [next(dues) for _ in range(3)] == [1, 4, 7]  # 1.5, 4.5 and 7.5, rounded down


@settings(max_examples=60)
@given(st.lists(st.integers(0, 300), min_size=2, max_size=40, unique=True), st.integers(1, 30),
       st.lists(st.tuples(st.integers(0, 200), st.integers(1, 150)), max_size=3))
def test_on_screen_against_brute_force(stamps, fps, spans):
    stamps = sorted(stamps)
    windows = [Window(Fraction(a, 100), Fraction(a + b, 100)) for a, b in spans] or [Window()]
    reels = Reels(dict(enumerate(windows)), Recipe(fps=Fraction(fps)), video=True, audio=True, develop=Roll)
    expected = set()
    for reel in reels.left.values():
        frames = reel.frames if reel.frames is not None else int(5 * fps)
        for frame in range(frames):
            at = 100 * (reel.start + (frame + Fraction(1, 2)) / fps)
            expected.add(max((k for k, stamp in enumerate(stamps) if stamp <= at), default=None))
    wanted = reels.on_screen(Fraction(1, 100))
    found = {k for k, (stamp, until) in enumerate(pairwise(stamps)) if wanted(stamp, until)}
    assert found == expected - {None, len(stamps) - 1}


def test_a_film_that_breaks_off_at_once_fails_once(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(DecodeFailure):
        list(clips(str(path), [Window(), Window(Fraction(1), Fraction(2))], Recipe()))
