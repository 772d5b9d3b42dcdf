"""Fingerprints of real speech and real faces survive what happens to clips, and those of other clips differ."""

import io
import itertools

import av
import numpy as np
import pytest
from PIL import Image

from emoprep.methods.equal_words import MOST_OWNERS, pairs_with_equal_words
from emoprep.methods.picture_fingerprint import (
    LEAST_FRAMES,
    MIRRORED,
    area_mean,
    hash_frames,
    movement,
    same_movement,
)
from emoprep.methods.sound_fingerprint import fingerprint_sound, shift_and_error
from emoprep.methods.time_overlap import overlaps

RATE, SIZE, FPS = 16_000, 112, 10
SPEECH = ("talking_25fps", "talking_mpeg4_25fps", "talking_vfr", "face_sound_a", "face_sound_b", "face_sound_c")


def read_sound(file, rate=RATE):
    resampler = av.AudioResampler("fltp", "mono", rate)
    with av.open(file) as source:
        parts = [part.to_ndarray()[0] for frame in source.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([*parts, *(part.to_ndarray()[0] for part in resampler.resample(None))])


def recoded(sound, codec, container, bit_rate, rate=48_000):
    """Return a sound after a codec's way there and back."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(sound[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        out.mux(stream.encode(frame) + stream.encode(None))
    file.seek(0)
    return read_sound(file)


@pytest.fixture(scope="module")
def voices(shared):
    """Return three seconds of each real voice, float32 [48000] at 16 kHz."""
    return {name: read_sound(str(shared / "real" / "video" / f"{name}.mp4"))[RATE:4 * RATE] for name in SPEECH}


def least_error(first, second, least=60):
    """Return the least error over all shifts that leave so many moments, with moments and shift."""
    tried = (shift_and_error(first, second, shift, 0) for shift in range(-120, 121))
    return min(found for found in tried if found[1] >= least)


CHANGES = {
    "gain": lambda sound: 0.5 * sound,
    "louder": lambda sound: np.clip(2 * sound, -1, 1),
    "mp3": lambda sound: recoded(sound, "libmp3lame", "mp3", 48_000),
    "opus": lambda sound: recoded(sound, "libopus", "ogg", 24_000),
    "aac": lambda sound: recoded(sound, "aac", "adts", 48_000),
    "narrow": lambda sound: recoded(sound, "pcm_s16le", "wav", 0, 8000),
    "cut": lambda sound: sound[round(0.0073 * RATE):],
    "cut much": lambda sound: sound[round(0.4 * RATE):round(2.4 * RATE)],
    "all of it": lambda sound: 0.5 * recoded(sound[round(0.017 * RATE):], "libopus", "ogg", 24_000),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_voice_is_known_again(voices, change):
    for name, sound in voices.items():
        whole, other = fingerprint_sound(sound, RATE), fingerprint_sound(CHANGES[change](sound), RATE)
        error, moments, shift = least_error(whole, other)
        assert error < 0.17 and moments > 90, (name, error, moments)
        found = list(pairs_with_equal_words([words.astype(np.uint64) + np.uint64(1) for words, _ in (whole, other)],
                                            [0, 1]))
        assert found and min(abs(shift - tried) for tried in found[0][2]) <= 2, name


def test_other_voices_are_not(voices):
    prints = [fingerprint_sound(part, RATE) for sound in voices.values() for part in (sound[:RATE * 3 // 2],
                                                                                      sound[RATE * 3 // 2:])]
    errors = [least_error(first, second)[0] for first, second in itertools.combinations(prints, 2)]
    assert len(errors) == 66 and min(errors) > 0.3


def test_nothing_is_said_where_nothing_is_heard():
    for silent in (np.zeros(RATE, np.float32), 1e-5 * np.ones(RATE, np.float32),
                   0.3 * np.sin(np.arange(3 * RATE) * 2 * np.pi * 440 / RATE).astype(np.float32)):
        words, telling = fingerprint_sound(silent, RATE)
        assert len(words) == len(telling) > 0 and not telling.any()
    for short in (0, 1, 800, 6000):
        assert len(fingerprint_sound(np.ones(short, np.float32), RATE)[0]) == 0


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_any_rate_will_do(voices, rate):
    sound = voices["face_sound_c"]
    at = np.arange(int(3 * rate)) / rate
    other = fingerprint_sound(np.interp(at, np.arange(len(sound)) / RATE, sound).astype(np.float32), rate)
    assert least_error(fingerprint_sound(sound, RATE), other)[0] < 0.1


# --------------------------------------------------------------------------------------------- pictures

def read_frames(path, start, count=30):
    """Return pictures at 10 fps, uint8 [count, 112, 112, 3]; fewer where the film ends."""
    frames, shown = [], None
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            while shown is not None and len(frames) < count and frame.time > start + (len(frames) + 0.5) / FPS:
                frames.append(shown)
            if len(frames) == count:
                break
            shown = frame.reformat(SIZE, SIZE, "rgb24").to_ndarray()
    return np.stack(frames)


def described(frames, quality=90):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frames).reshape(-1, SIZE, 3)).save(file, "JPEG", quality=quality)
    blocks = area_mean(np.asarray(Image.open(file).convert("L")).reshape(-1, SIZE, SIZE))
    return hash_frames(blocks)[0], movement(blocks)


@pytest.fixture(scope="module")
def faces(shared):
    """Return three seconds of real faces from two places of each film: {(name, start): frames}."""
    names = ("talking_25fps", "talking_mpeg4_25fps", "face_sound_a", "face_sound_b", "face_sound_c")
    return {(name, start): read_frames(shared / "real" / "video" / f"{name}.mp4", start)
            for name in names for start in (0.0, 3.0)}


def test_pictures_are_known_again(faces, shared):
    for (name, start), frames in faces.items():
        late = read_frames(shared / "real" / "video" / f"{name}.mp4", start + 0.03)
        hashes, moved = described(frames)
        for mirrored, other in ((False, described(frames, quality=30)), (True, described(frames[:, :, ::-1], 50)),
                                (False, described((0.7 * frames + 20).astype(np.uint8))), (False, described(late))):
            likeness, shift, _count = same_movement(moved, other[1], mirrored)
            assert likeness > 0.7 and abs(shift) <= 1, (name, start)
            turned = other[0] ^ MIRRORED if mirrored else other[0]
            length = min(len(hashes), len(turned))
            assert np.median(np.bitwise_count(hashes[:length] ^ turned[:length])) <= 8
            assert set((hashes >> np.uint64(32)).tolist()) & set((turned >> np.uint64(32)).tolist())
        if name != "face_sound_b":  # which is cut so fast that 0.03 s are other pictures
            assert same_movement(moved, described(late)[1])[0] > 0.85


def test_other_moments_of_the_same_scene_are_not(faces):
    moved = {place: described(frames)[1] for place, frames in faces.items()}
    for (one, first), (other, second) in itertools.combinations(moved.items(), 2):
        for mirrored in (False, True):
            assert same_movement(first, second, mirrored)[0] < 0.8, (one, other)


def test_what_stands_still_or_is_too_short_is_not_compared():
    rng = np.random.default_rng(0)
    walk = (120 + np.cumsum(rng.integers(-4, 5, (40, 64)), axis=0)).clip(0, 255).astype(np.uint8)
    still = np.repeat(walk[:1], 40, axis=0)
    assert same_movement(still, still)[0] == 0 and same_movement(walk, still)[0] == 0
    assert same_movement(walk[:LEAST_FRAMES - 1], walk)[0] == 0
    assert same_movement(walk[:LEAST_FRAMES], walk)[0] > 0.99
    # A part of both that is shorter than half of the shorter one makes them no copies.
    assert same_movement(walk[:20], np.concatenate([walk[12:20], still[:12]]))[0] < 0.85


# ----------------------------------------------------------------------------------------------- search

def test_pairs_are_those_with_a_word_in_common():
    rng = np.random.default_rng(1)
    prints = [rng.integers(1, 400, rng.integers(0, 30)).astype(np.uint64) for _ in range(60)]
    groups = rng.integers(0, 3, 60).tolist()
    found = {(one, other): shifts for one, other, shifts in pairs_with_equal_words(prints, groups)}
    expected = {(one, other) for one, other in itertools.combinations(range(60), 2)
                if groups[one] != groups[other] and set(prints[one].tolist()) & set(prints[other].tolist())}
    assert set(found) == expected
    for (one, other), shifts in found.items():
        first, second = prints[one].tolist(), prints[other].tolist()
        # Of a word that comes twice, the first time counts.
        assert set(shifts) <= {first.index(word) - second.index(word) for word in set(first) & set(second)}


def test_a_word_that_all_have_makes_no_pairs_except_among_one_length():
    crowd = [np.full(number % 50 + 1, 7, np.uint64) for number in range(10 * MOST_OWNERS)]
    groups = [number % 2 for number in range(len(crowd))]
    assert list(pairs_with_equal_words(crowd, groups)) == []
    near = list(pairs_with_equal_words(crowd, groups, by_length=True))
    assert near and all(abs(len(crowd[one]) - len(crowd[other])) <= 1 for one, other, _ in near)
    assert (0, 1) in {(one, other) for one, other, _ in near}
    alike = [np.array([7], np.uint64)] * (10 * MOST_OWNERS)
    assert list(pairs_with_equal_words(alike, groups, by_length=True)) == []


def test_nothing_has_no_pairs():
    assert list(pairs_with_equal_words([], [])) == []
    assert list(pairs_with_equal_words([np.zeros(5, np.uint64)] * 3, [0, 1, 2], by_length=True)) == []


def test_overlaps_are_those_of_all_pairs():
    rng = np.random.default_rng(2)
    places = [(int(rng.integers(3)), start, start + float(rng.uniform(0, 3))) if rng.uniform() < 0.9 else None
              for start in rng.uniform(0, 30, 200).tolist()]
    expected = {(one, other): min(first[2], second[2]) - max(first[1], second[1])
                for (one, first), (other, second) in itertools.combinations(enumerate(places), 2)
                if first and second and first[0] == second[0]
                and min(first[2], second[2]) > max(first[1], second[1])}
    found = {(one, other): seconds for one, other, seconds in overlaps(places)}
    assert found.keys() == expected.keys() and all(np.isclose(found[pair], expected[pair]) for pair in found)
