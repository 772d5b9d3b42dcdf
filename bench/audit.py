"""What `emoprep audit` costs: MELD's rows from the shell, a fingerprint, and the search among as many clips.

    python bench/audit.py [--runs 5] [--clips 13708] [--shared ../shared]

The rows are MELD's 13,708 real ones, without media. Fingerprints are taken of three seconds of noise in the bands of
speech, coded as a store has them (FLAC; a film strip of 112 px), in one thread; median processor time.
The search is among fingerprints of noise, of which every hundredth is a copy with a tenth of its bits turned; real
recordings have more words in common than noise, so a tenth of them are drawn from few.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402 - after the number of its threads

REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS, RATE, FRAMES, SIZE = 3, 16_000, 30, 112


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--clips", type=int, default=13_708)
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared")
    options = parser.parse_args()
    meld = options.shared / "real" / "meld"
    if meld.is_dir():
        print(f"emoprep audit, MELD's rows: {statistics.median(shell(meld) for _ in range(options.runs)):.2f} s")
    else:
        print(f"MELD's rows are left out: no {meld}", file=sys.stderr)
    for what, seconds in fingerprints(options.runs).items():
        print(f"{what}: {1e3 * seconds:.2f} ms a clip of {SECONDS} s")
    for what, (seconds, found) in search(options.clips).items():
        print(f"{what} among {options.clips:,} clips: {seconds:.1f} s, {found}")


def shell(folder: Path) -> float:
    """Return how long the command takes, from the start of its process to the end."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "emoprep", "audit", folder, "--json"], capture_output=True)
    assert done.returncode == 4, done.stderr
    return time.perf_counter() - start


def fingerprints(runs: int) -> dict[str, float]:
    """Return the processor seconds of each step, with and without decoding."""
    from emoprep.audit import media
    from emoprep.media.encode import Strip, decode_flac, encode_flac
    from emoprep.methods.sound_fingerprint import fingerprint_sound

    rng = np.random.default_rng(0)
    sound = np.convolve(rng.standard_normal(SECONDS * RATE), np.ones(6) / 6, "same")
    flac = encode_flac((8000 * sound / np.abs(sound).max()).astype(np.int16), RATE)
    strip = Strip(SIZE)
    down, across = np.mgrid[:SIZE, :SIZE]
    strip.extend(np.stack([np.repeat((120 + 80 * np.sin((across + 3 * at) / 17) * np.cos(down / 11)
                                      )[..., np.newaxis], 3, axis=2).astype(np.uint8) for at in range(FRAMES)]))
    jpeg, _ = strip.finish(FRAMES)
    samples, _ = decode_flac(flac)
    steps = {"sound fingerprint": lambda: fingerprint_sound(samples, RATE),
             "sound decoded and measured": lambda: media.measure_sound(*decode_flac(flac)),
             "pictures decoded and measured": lambda: media.measure_pictures(
                 media.strip_blocks(jpeg, SIZE, FRAMES), 10)}
    taken = {}
    for what, step in steps.items():
        step()
        rounds = []
        for _ in range(runs * 10):
            start = time.process_time()
            step()
            rounds.append(time.process_time() - start)
        taken[what] = statistics.median(rounds)
    return taken


def search(clips: int) -> dict[str, tuple[float, str]]:
    """Return the seconds of the search among so many clips, and what it finds."""
    from emoprep.methods.equal_words import pairs_with_equal_words
    from emoprep.methods.sound_fingerprint import shift_and_error

    rng = np.random.default_rng(0)
    few = rng.integers(1, 2 ** 32, 2000, np.uint64)
    prints = []
    for number in range(clips):
        words = rng.integers(0, 2 ** 32, 226, np.uint64)
        words[rng.uniform(size=226) < 0.1] = rng.choice(few, 1)
        if number % 100 == 99:
            turned = np.packbits(rng.uniform(size=(226, 32)) < 0.1, axis=1).view(">u4")[:, 0].astype(np.uint64)
            words = prints[-50] ^ turned
        prints.append(words)
    groups = [number // 50 % 2 for number in range(clips)]
    start = time.perf_counter()
    pairs = list(pairs_with_equal_words([words + np.uint64(1) for words in prints], groups))
    whole = [(words.astype(np.uint32), np.ones(226, bool)) for words in prints]
    copies = sum(min(shift_and_error(whole[one], whole[other], shift) for shift in shifts)[0] < 0.2
                 for one, other, shifts in pairs)
    taken = time.perf_counter() - start
    return {"search for sounds": (taken, f"{len(pairs):,} pairs compared, {copies} of {clips // 100} copies found")}


if __name__ == "__main__":
    main()
