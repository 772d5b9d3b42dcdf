"""Sound: what is heard afterwards, measured."""

import json
import random

import numpy as np
import pytest
from augment_sample import RATE, voice

from emoprep.augment.sound import DIRECT_DB, LOUDEST, change_sound


def tone(frequency, seconds=3.0, level=0.3):
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def strongest(sound):
    """Return the frequency of the strongest tone, in Hz."""
    middle = sound[len(sound) // 8:-len(sound) // 8]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 20))
    return np.argmax(spectrum) * RATE / (1 << 20)


def level(sound):
    return 20 * np.log10(np.sqrt(np.square(sound, dtype=np.float64).mean()))


def bursts(seconds=3.0):
    """Return silence with four bursts of noise, and where they begin."""
    sound, rng = np.zeros(int(seconds * RATE), np.float32), np.random.default_rng(0)
    places = 8000, 16000, 24000, 40000
    for place in places:
        sound[place:place + 800] = 0.2 * rng.standard_normal(800)
    return sound, places


def burst_at(sound, place):
    """Return where the burst nearest to a place begins."""
    begin = max(0, int(place) - 2000)
    energy = np.convolve(np.square(sound[begin:int(place) + 3000]), np.ones(800), "valid")
    return begin + int(np.argmax(energy))


@pytest.mark.parametrize("semitones", [-2, -1, 0.5, 1, 2])
@pytest.mark.parametrize("frequency", [220, 440, 880])
def test_pitch_is_shifted_by_semitones_and_the_length_stays(frequency, semitones):
    made = change_sound(tone(frequency), RATE, {"pitch": semitones})
    assert len(made) == 3 * RATE
    # 220 Hz two semitones up are 246.94 Hz. The method is within a tenth of a semitone of it, which nobody hears.
    assert abs(12 * np.log2(strongest(made) / (frequency * 2 ** (semitones / 12)))) < 0.1


@pytest.mark.parametrize("semitones", [-2, 2])
def test_a_shifted_voice_stays_in_step(semitones):
    sound, places = bursts()
    made = change_sound(sound, RATE, {"pitch": semitones})
    assert all(abs(burst_at(made, place) - place) < 0.005 * RATE for place in places)


@pytest.mark.parametrize("snr", [5.0, 15.0, 30.0])
def test_noise_is_as_loud_as_was_drawn(snr):
    sound = voice(3 * RATE).astype(np.float32)
    made = change_sound(sound, RATE, {"noise": snr, "noise-seed": 7})
    assert level(sound) - level(made - sound) == pytest.approx(snr, abs=0.15)


def test_noise_is_that_of_its_seed_and_the_global_generators_go_on_as_if_nothing_had_been():
    sound = voice(RATE).astype(np.float32)
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    made = [change_sound(sound, RATE, {"noise": 20.0, "noise-seed": seed}) for seed in (1, 1, 2)]
    assert (random.random(), np.random.random()) == expected
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])


@pytest.mark.parametrize("gain", [-6.0, -0.5, 6.0])
def test_gain_is_in_decibels(gain):
    sound = 0.2 * tone(220)
    assert level(change_sound(sound, RATE, {"gain": gain})) - level(sound) == pytest.approx(gain, abs=1e-3)


def test_nothing_becomes_louder_than_one_decibel_below_full_scale_that_was_not():
    assert np.abs(change_sound(tone(220, level=0.8), RATE, {"gain": 6.0})).max() == pytest.approx(LOUDEST)
    loud = tone(220, level=0.99)
    assert np.abs(change_sound(loud, RATE, {"gain": 6.0})).max() == pytest.approx(np.abs(loud).max())
    assert np.abs(change_sound(loud, RATE, {"gain": -6.0})).max() == pytest.approx(0.99 * 10 ** -0.3, rel=1e-3)


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_an_echo_dies_away_in_its_time_and_the_rest_stays_where_it_was(seconds):
    sound = np.zeros(2 * RATE, np.float32)
    sound[RATE // 2] = 0.5
    made = change_sound(sound, RATE, {"room": seconds, "room-seed": 4})
    assert len(made) == len(sound) and np.argmax(np.abs(made)) == RATE // 2
    assert level(made) == pytest.approx(level(sound), abs=1e-3)
    echo = np.square(made[RATE // 2 + 1:], dtype=np.float64)
    # Schroeder's integral falls by 30 dB in half the time (Kuttruff, Room Acoustics).
    left = 10 * np.log10(np.cumsum(echo[::-1])[::-1] / echo.sum())
    fallen = np.argmax(left < -5), np.argmax(left < -25)
    assert 3 * (fallen[1] - fallen[0]) / RATE == pytest.approx(seconds, rel=0.1)
    assert 10 * np.log10(made[RATE // 2] ** 2 / echo.sum()) == pytest.approx(DIRECT_DB, abs=0.1)


def test_a_band_keeps_what_lies_in_it_and_loses_what_lies_beyond():
    lost = {frequency: level(tone(frequency)) - level(change_sound(tone(frequency), RATE, {"band-pass": 3500.0}))
            for frequency in (20, 80, 200, 1000, 3500, 7000)}
    assert max(lost[200], lost[1000]) < 1.5 and min(lost[20], lost[7000]) > 20
    assert (lost[80], lost[3500]) == pytest.approx((6, 6), abs=0.1)  # its edges, filtered forward and backward


def test_a_band_is_in_step_and_an_edge_above_the_rate_is_no_error():
    sound, places = bursts()
    made = change_sound(sound, RATE, {"band-pass": 20_000.0})
    assert all(abs(burst_at(made, place) - place) <= 8 for place in places)


@pytest.mark.parametrize("rate", [0.8, 0.9, 1.1, 1.2, 1.25])
def test_stretched_sound_has_its_length_and_what_is_in_it_its_place(rate):
    sound, places = bursts()
    made = change_sound(sound, RATE, {"time-stretch": rate})
    assert len(made) == round(3 * RATE / rate)
    assert all(abs(burst_at(made, place / rate) + 400 - (place + 400) / rate) < 0.01 * RATE for place in places)
    assert strongest(change_sound(tone(440), RATE, {"time-stretch": rate})) == pytest.approx(440, rel=0.003)


def test_stretched_sound_of_the_golden_example(shared):
    toy = json.loads((shared / "specs" / "golden_imbalance.json").read_text(encoding="utf-8"))["stretch_toy"]
    made = change_sound(voice(toy["n_samples"]).astype(np.float32), RATE, {"time-stretch": toy["rate"]})
    assert len(made) == toy["audio_len"]


@pytest.mark.parametrize("samples", [0, 1, 40, 1599])
def test_short_sound_gets_noise_and_gain_only(samples):
    sound = voice(samples).astype(np.float32)
    everything = {"pitch": 2.0, "room": 0.5, "room-seed": 1, "band-pass": 3500.0, "noise": 20.0, "noise-seed": 2,
                  "gain": -3.0}
    made = change_sound(sound, RATE, everything)
    assert np.array_equal(made, change_sound(sound, RATE, {"noise": 20.0, "noise-seed": 2, "gain": -3.0}))
    assert len(made) == samples


def test_silence_stays_silence():
    everything = {"pitch": 2.0, "room": 0.5, "room-seed": 1, "band-pass": 3500.0, "noise": 20.0, "noise-seed": 2,
                  "gain": 6.0}
    assert not change_sound(np.zeros(RATE, np.float32), RATE, everything).any()
