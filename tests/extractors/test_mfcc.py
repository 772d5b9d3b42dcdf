"""Cepstra against librosa, pitch against tones, and sound that would trip a careless extractor."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.extractors import mfcc
from emoprep.utterance import Sample

RATES = (8000, 16000, 22050, 44100)


def sample(sound, sample_rate=16000, fps=10.0, frames=None):
    return Sample("meld_train_dia0_utt0", "", frames, fps, sound, sample_rate)


def noise(seconds=1.0, sample_rate=16000, seed=0):
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal(int(seconds * sample_rate))).astype(np.float32)


def buzz(hertz, sample_rate=16000, harmonics=8):
    """A tone [n] whose pitch follows `hertz` [n], with falling harmonics as a voice has."""
    phase = 2 * np.pi * np.cumsum(hertz) / sample_rate
    return (0.3 * sum(np.sin(k * phase + k) / k for k in range(1, harmonics + 1))).astype(np.float32)


# ------------------------------------------------------------------------------------ against librosa

@pytest.mark.parametrize("sample_rate", RATES)
def test_mel_filters_are_librosas(sample_rate):
    librosa = pytest.importorskip("librosa", reason="comes with audiomentations")
    theirs = librosa.filters.mel(sr=sample_rate, n_fft=1024, n_mels=40, fmin=20, htk=True, norm=None,
                                 fmax=min(8000, sample_rate / 2))
    np.testing.assert_allclose(mfcc.mel_filters(sample_rate, 1024), theirs, atol=1e-5)


def test_cepstra_are_librosas():
    librosa = pytest.importorskip("librosa", reason="comes with audiomentations")
    sound = noise()
    sound -= sound.mean()
    # Row r is centred on sample 160·r + 80; librosa's frames begin where they are told, uncentred.
    padded = np.pad(sound, (200 - 80, 400))
    window = np.hamming(400) / np.sqrt(np.square(np.hamming(400)).sum())
    pieces = librosa.util.frame(padded, frame_length=400, hop_length=160)[:, :100]
    power = np.abs(np.fft.rfft(pieces.T * window, 512)) ** 2
    bands = librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=20, htk=True, norm=None) @ power.T
    theirs = librosa.feature.mfcc(S=np.log(bands + 1e-10), n_mfcc=32, norm="ortho").T
    ours = mfcc.rows_of_sound(sound, 16000)
    np.testing.assert_allclose(ours[:, :32], theirs, atol=2e-3)
    for order in (1, 2):
        change = librosa.feature.delta(theirs.T, width=5, order=1, mode="nearest").T
        np.testing.assert_allclose(ours[:, 32 * order:32 * (order + 1)], change, atol=2e-3)
        theirs = change


# --------------------------------------------------------------------------------------------- pitch

@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("hertz", [80, 110, 155, 220, 310, 400])
@pytest.mark.parametrize("harmonics", [1, 8])
def test_pitch_of_a_steady_tone_is_within_one_percent(sample_rate, hertz, harmonics):
    tone = buzz(np.full(sample_rate, hertz), sample_rate, harmonics)
    found, strength = mfcc.pitch(tone, sample_rate, mfcc._centres(100, sample_rate))
    # The first and last rows hold less than half a window of sound.
    np.testing.assert_allclose(found[2:-2], hertz, rtol=0.01)
    assert (strength[2:-2] > 0.9).all()


@pytest.mark.parametrize(("low", "high"), [(80, 400), (400, 80), (80, 160), (200, 300)])
def test_pitch_follows_a_glide(low, high):
    hertz = low * (high / low) ** (np.arange(32000) / 32000)
    centres = mfcc._centres(200, 16000)
    found, _ = mfcc.pitch(buzz(hertz), 16000, centres)
    np.testing.assert_allclose(found[2:-2], hertz[centres][2:-2], rtol=0.02)


def test_pitch_survives_a_strong_formant_without_the_octave():
    time = np.arange(16000) / 16000
    for hertz in (90, 120, 180, 250, 350):
        partials = np.arange(1, int(3500 / hertz)) * hertz
        gains = np.exp(-((partials - 600) / 200) ** 2) + np.exp(-((partials - 1400) / 250) ** 2) / 2 + 0.02
        voice = sum(gain * np.cos(2 * np.pi * partial * time + partial)
                    for gain, partial in zip(gains, partials, strict=True))
        found, _ = mfcc.pitch((0.2 * voice).astype(np.float32), 16000, mfcc._centres(100, 16000))
        np.testing.assert_allclose(found[2:-2], hertz, rtol=0.01)


def test_noise_and_silence_are_unvoiced():
    for sound in (noise(3), np.zeros(48000, np.float32)):
        found, _ = mfcc.pitch(sound, 16000, mfcc._centres(300, 16000))
        assert (found == 0).mean() > 0.99


def test_voicing_tells_the_voiced_half():
    sound = np.concatenate([buzz(np.full(16000, 200)), noise()])
    voiced = mfcc.rows_of_sound(sound, 16000)[:, 100]
    assert voiced[2:97].all() and voiced[103:].mean() < 0.02


# ------------------------------------------------------------------------------------ the frames' clock

@pytest.mark.parametrize(("fps", "sample_rate"), [(10.0, 16000), (25.0, 16000), (24000 / 1001, 44100),
                                                  (12.5, 22050), (150.0, 16000)])
def test_a_frame_is_the_mean_of_the_rows_centred_in_it(fps, sample_rate):
    exact = Fraction(24000, 1001) if fps == 24000 / 1001 else Fraction(fps)
    rows = np.random.default_rng(0).standard_normal((173, 4)).astype(np.float32)
    samples = 173 * sample_rate // 100
    found = mfcc.frame_means(rows, samples, sample_rate, fps)
    assert len(found) == int(Fraction(samples, sample_rate) * exact + Fraction(1, 2))
    compared = 0
    for frame, mean in enumerate(found):
        low, high = int(frame * sample_rate / exact), int((frame + 1) * sample_rate / exact)
        inside = [row for row in range(173) if low <= (2 * row + 1) * sample_rate // 200 < high]
        if inside:
            np.testing.assert_allclose(mean, rows[inside].mean(axis=0), atol=1e-5)
            compared += 1
    assert compared > 0.6 * len(found)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (799, 1), (1600, 1), (2399, 1), (2400, 2),
                                                 (48000, 30), (48801, 31)])
def test_as_many_steps_as_frames(samples, frames):
    assert len(mfcc.describe(sample(noise(4)[:samples]), {"pool": "none"})) == frames


def test_the_pictures_own_count_wins_where_rounding_would_differ():
    frames = np.zeros((1, 16, 16, 3), np.uint8)
    # 0.14999 s are one frame, but 2400 samples, which alone would look like two.
    assert len(mfcc.describe(sample(noise()[:2400], frames=frames), {"pool": "none"})) == 1


def test_the_clock_is_named():
    assert mfcc.clock({"pool": "mean"}, 10.0) == "utterance"
    assert mfcc.clock({"pool": "none"}, 10.0) == "fps:10"
    assert mfcc.clock({"pool": "none"}, 24000 / 1001) == "fps:23.976"


# ---------------------------------------------------------------------------------------- hard sound

@pytest.mark.parametrize("samples", [0, 1, 2, 3, 79, 160, 320, 401])
@pytest.mark.parametrize("kind", ["silence", "constant", "clipped", "faint"])
@pytest.mark.parametrize("sample_rate", RATES)
def test_short_and_dull_sound_gives_finite_numbers(samples, kind, sample_rate):
    sound = {"silence": np.zeros(samples), "constant": np.full(samples, 0.7),
             "clipped": np.where(np.arange(samples) % 7 < 3, 1.0, -1.0),
             "faint": np.full(samples, 1e-30) * np.arange(samples)}[kind].astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        for pool in mfcc.POOLS:
            described = mfcc.describe(sample(sound, sample_rate), {"pool": pool})
            assert described.dtype == np.float32 and np.isfinite(described).all()
            assert described.shape == ((624,) if pool == "mean" else (1, 104))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9000), st.sampled_from(RATES), st.sampled_from([5.0, 10.0, 25.0, 24000 / 1001]),
       st.integers(0, 99), st.sampled_from([0.0, 1e-4, 0.1, 1.0, 30.0]))
def test_any_sound_gives_finite_numbers(samples, sample_rate, fps, seed, gain):
    sound = np.clip(gain * np.random.default_rng(seed).standard_normal(samples), -1, 1).astype(np.float32)
    for pool in mfcc.POOLS:
        assert np.isfinite(mfcc.describe(sample(sound, sample_rate, fps), {"pool": pool})).all()


def test_an_offset_and_the_input_array_are_left_alone():
    sound = noise(seed=4)
    kept = sound.copy()
    plain, lifted = mfcc.rows_of_sound(sound, 16000), mfcc.rows_of_sound(sound + np.float32(0.25), 16000)
    np.testing.assert_allclose(plain, lifted, atol=2e-2)
    assert sound.tobytes() == kept.tobytes()


def test_functionals_are_numpys():
    rows = np.random.default_rng(0).standard_normal((37, 5)).astype(np.float32)
    mean, deviation, low, middle, high, slope = mfcc.functionals(rows).reshape(6, 5)
    np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(deviation, rows.std(axis=0), atol=1e-6)
    np.testing.assert_allclose([low, middle, high], np.percentile(rows, [5, 50, 95], axis=0), atol=1e-5)
    np.testing.assert_allclose(slope, np.polyfit(np.arange(37) / 100, rows, 1)[0], atol=1e-4)


def test_long_sound_is_worked_on_in_blocks_without_a_seam(monkeypatch):
    sound = noise(1.7)
    whole = mfcc.rows_of_sound(sound, 16000)
    monkeypatch.setattr(mfcc, "BLOCK_ROWS", 10_000)
    np.testing.assert_allclose(mfcc.rows_of_sound(sound, 16000), whole, rtol=1e-4, atol=1e-4)
