"""A table of clips with planted leaks and broken clips, and clean ones in the same scene: what belongs to which check.

All pictures have one background, before which bright spots wander: clips of one scene differ in their movement alone.
All sounds are noise in the bands of speech that swells and fades in syllables.
"""

import csv
import io

import av
import numpy as np

from emoprep.films import write_film

FPS, SIZE, RATE = 25, (96, 96), 48_000

PLANTED = {
    "sound-duplicate": {"test_mp3": "train_0", "test_opus": "train_1", "test_narrow": "train_2", "dev_late": "train_3"},
    "picture-duplicate": {"dev_mirrored": "train_4", "test_blocky": "train_5", "test_dim": "train_6"},
    "silent": {"dev_silent"}, "clipped": {"dev_clipped"}, "frozen": {"dev_frozen"}, "black": {"test_black"},
    "too-short": {"train_short"}, "too-long": {"train_long"}, "text-rate": {"train_fast"},
    "av-length-differs": {"test_gap"}, "duration-differs": {"train_promise"},
}
"""What each check must find: keys, or for duplicates the later key and the train key that it copies."""


def speech(seed: int, seconds: float = 3.0) -> np.ndarray:
    """Return sound like speech in its bands and syllables, float32 [n] at 48 kHz."""
    rng, count = np.random.default_rng(seed), round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    peaks = sum(np.exp(-0.5 * ((hertz - middle) / width) ** 2) for middle, width in
                zip(rng.uniform((250, 700, 1500), (600, 1400, 3000)), (150, 250, 400), strict=True))
    syllables = np.interp(np.arange(count) / RATE, np.arange(0, seconds + 0.2, 0.1),
                          rng.uniform(0.1, 1, len(np.arange(0, seconds + 0.2, 0.1))))
    sound = np.fft.irfft(spectrum * peaks, count) * syllables
    return (0.25 * sound / np.abs(sound).max()).astype(np.float32)


def wander(seed: int, seconds: float = 3.0) -> np.ndarray:
    """Return spots that wander before the one background, uint8 [frames, 96, 96, 3]."""
    rng, count, (width, height) = np.random.default_rng(seed), round(seconds * FPS), SIZE
    down, across = np.mgrid[:height, :width]
    scene = 60 + 50 * np.sin(across / 13) * np.cos(down / 17) + across / 3
    frames = np.empty((count, height, width, 3), np.uint8)
    places = np.cumsum(rng.standard_normal((count, 3, 2)), axis=0) * 2.5 + rng.uniform(25, 70, (3, 2))
    for at in range(count):
        spots = sum(90 * np.exp(-((down - y) ** 2 + (across - x) ** 2) / 120) for y, x in places[at])
        frames[at] = np.clip(scene + spots, 0, 255)[..., np.newaxis]
    return frames


def recoded(sound: np.ndarray, codec: str, container: str, bit_rate: int, rate: int = RATE) -> np.ndarray:
    """Return a sound after a codec's way there and back, float32 [n] at 48 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(sound[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        out.mux(list(stream.encode(frame)) + stream.encode(None))
    file.seek(0)
    resampler = av.AudioResampler("fltp", "mono", RATE)
    with av.open(file) as source:
        parts = [part.to_ndarray()[0] for frame in source.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([*parts, *(part.to_ndarray()[0] for part in resampler.resample(None))])


def write_clip(folder, name, sound=None, pictures=None, **how):
    """Write a clip: a film, or a sound file where there are no pictures."""
    ending, seconds = (".wav", len(sound) / RATE) if pictures is None else (".mp4", len(pictures) / FPS)
    write_film(folder / f"{name}{ending}", seconds=seconds, size=SIZE, fps=FPS, layout="mono",
               picture=None if pictures is None else lambda index, _: pictures[index],
               sound=None if sound is None else sound[np.newaxis], **{"crf": 18, **how})
    return f"{name}{ending}"


def build_leaky(folder):
    """Write the clips and `clips.csv` into a folder that is not there yet; return the table."""
    folder.mkdir(parents=True)
    rows = []

    def add(key, sound=None, pictures=None, text=None, promised=None, **how):
        split, number = key.split("_")[0], len(rows)
        seconds = len(pictures) / FPS if pictures is not None else len(sound) / RATE
        rows.append({"key": key, "file": write_clip(folder, key, sound, pictures, **how), "split": split,
                     "speaker": f"{split} {number}", "dialogue": f"{split}_{number}", "text": text or f"Line {number}",
                     "emotion": ("joy", "anger")[number % 2], "season": 1, "episode": number, "source_start": 10,
                     "source_end": 10 + (promised or seconds)})
    for number in range(10):
        add(f"train_{number}", speech(number), wander(number))
    for number, split in enumerate(["dev", "test"] * 4, 20):
        add(f"{split}_{number}", speech(number), wander(number))
    add("test_mp3", 0.5 * recoded(speech(0), "libmp3lame", "mp3", 48_000), wander(40))
    add("test_opus", recoded(speech(1)[round(0.013 * RATE):], "libopus", "ogg", 24_000), wander(41))
    add("test_narrow", 2 * recoded(speech(2), "pcm_s16le", "wav", 0, 8000))
    add("dev_late", speech(3)[round(0.8 * RATE):])
    add("dev_mirrored", speech(44), wander(4)[:, :, ::-1], crf=34)
    add("test_blocky", speech(45), wander(5), crf=38)
    add("test_dim", speech(46), (0.7 * wander(6)[3:] + 15).astype(np.uint8))
    add("dev_silent", np.zeros(2 * RATE, np.float32), wander(50, 2))
    add("dev_clipped", np.clip(12 * speech(51), -1, 1))
    add("dev_frozen", speech(52), np.repeat(wander(52)[:1], 75, axis=0))
    add("test_black", speech(53), np.zeros((75, 96, 96, 3), np.uint8))
    add("train_short", speech(54, 0.12))
    add("train_long", speech(55, 61))
    add("train_fast", speech(56, 0.5), text="Nobody can say all of these words in half a second")
    add("test_gap", speech(57, 2), wander(57), sound_start=0.7)
    add("train_promise", speech(58), wander(58), promised=4.2)
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "clips.csv"
