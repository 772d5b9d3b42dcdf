"""Time of augmenting a clip of 3 s, against the bare libraries' for the same work, in all cores.

    python bench/augment.py

The clip has 30 frames of 112 px and sound at 16 kHz; it gets pitch, noise, mirror, rotation and colour. `libraries`
does what a script would: decode with Pillow and soundfile, `albumentations.Compose` on all frames,
`audiomentations.Compose`, encode again; `libraries, frame by frame` gives albumentations one frame at a time. `emoprep`
takes the members of a sample and returns those of another one. Each core has a process of its own, and they work at the
same time; the variants take turns, and the median is printed. Importing is not timed. The last line is JSON.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import time
from statistics import median

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

SECONDS, FPS, SIZE, RATE = 3, 10, 112, 16_000
ROUNDS, CLIPS = 5, 20
PARAMETERS = {"pitch": 1.5, "noise": 20.0, "noise-seed": 7, "flip": True, "rotate": 8.0, "brightness": 0.1,
              "contrast": -0.1, "saturation": 0.1, "hue": 0.02}
AIM = 1.3


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    runs: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores) as pool:
        for number in range(ROUNDS + 1):
            for variant, times in runs.items():
                found = pool.map(measure, [variant] * cores, chunksize=1)
                if number:  # the first round imports and warms up
                    times.append(median(found))
    times = {variant: median(found) * 1e3 for variant, found in runs.items()}
    print(f"{cores} processes, {SECONDS} s, {SECONDS * FPS} frames of {SIZE} px")
    for variant, found in times.items():
        print(f"{variant:<32}{found:>8.1f} ms{found / times['libraries']:>8.2f}")
    print(json.dumps({"bench": "augment", "cores": cores, "aim": AIM,
                      "ratio": round(times["emoprep"] / times["libraries"], 3),
                      "ms": {variant: round(found, 2) for variant, found in times.items()}}))


def measure(variant: str) -> float:
    """Return how many seconds a clip takes, on average."""
    members = make_sample()
    run = VARIANTS[variant]()
    run(members)
    start = time.perf_counter()
    for _ in range(CLIPS):
        run(members)
    return (time.perf_counter() - start) / CLIPS


def make_sample() -> dict[str, bytes]:
    """Return the members of a sample of smooth pictures and a voice of harmonics."""
    import numpy as np

    from emoprep.media.encode import Strip, encode_flac
    rng = np.random.default_rng(0)
    frames, samples = SECONDS * FPS, SECONDS * RATE
    strip, rows = Strip(SIZE), np.arange(SIZE)
    for frame in range(frames):
        shade = 128 + 60 * np.sin((rows[:, None] + 3 * frame) / 9) * np.cos(rows[None] / 13)
        shade += rng.normal(0, 4, (SIZE, SIZE))
        strip.append(np.stack([shade, 0.3 * shade + 90, 170 - 0.3 * shade], -1).clip(0, 255).astype(np.uint8))
    jpeg, columns = strip.finish(frames)
    moment = np.arange(samples) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * n * moment) / n for n in range(1, 20)) * np.sin(np.pi * moment) ** 2 * 4000
    facts = {"key": "a", "start": 0.0, "end": float(SECONDS), "frames": frames, "fps": float(FPS), "samples": samples,
             "sample_rate": RATE, "has_video": True, "has_audio": True, "flags": [], "text": "", "size": SIZE,
             "columns": columns, "view": [0.0, 0.0, SIZE, SIZE], "faces": [], "face_mask": [], "face_rule": None}
    return {"json": json.dumps(facts).encode(), "frames.jpg": jpeg, "flac": encode_flac(voice.astype(np.int16), RATE),
            "txt": b"", "words.json": b"[]"}


def emoprep():
    from emoprep.augment.sample import augmented
    return lambda members: augmented(members, PARAMETERS)


def libraries(apart: bool = False):
    """Return the function of a script; `apart` gives albumentations one frame at a time."""
    import albumentations
    import audiomentations
    import cv2
    import numpy as np
    import soundfile
    from PIL import Image

    cv2.setNumThreads(1)
    pictures = albumentations.Compose([
        albumentations.HorizontalFlip(p=1),
        albumentations.Rotate((8, 8), border_mode=cv2.BORDER_REFLECT_101, p=1),
        albumentations.ColorJitter((1.1, 1.1), (0.9, 0.9), (1.1, 1.1), (0.02, 0.02), p=1)], seed=0)
    sound = audiomentations.Compose([audiomentations.PitchShift(1.5, 1.5, p=1),
                                     audiomentations.AddGaussianSNR(20, 20, p=1)])

    def run(members):
        strip = np.asarray(Image.open(io.BytesIO(members["frames.jpg"])).convert("RGB"))
        frames = strip.reshape(-1, SIZE, SIZE, 3)
        changed = np.stack([pictures(image=frame)["image"] for frame in frames]) if apart \
            else pictures(images=frames)["images"]
        with io.BytesIO() as jpeg:
            Image.fromarray(changed.reshape(-1, SIZE, 3)).save(jpeg, "JPEG", quality=90, subsampling="4:2:0")
        samples, rate = soundfile.read(io.BytesIO(members["flac"]), dtype="float32")
        with io.BytesIO() as flac:
            soundfile.write(flac, sound(samples, rate), rate, format="FLAC", subtype="PCM_16")
    return run


VARIANTS = {"libraries": libraries, "libraries, frame by frame": lambda: libraries(apart=True), "emoprep": emoprep}


if __name__ == "__main__":
    main()
