"""How much work it is to cut the utterances of long dialogues, beside decoding alone and two ffmpeg calls each.

    python bench/dialogue.py [--rounds 3] [--minutes 5] [--cache FOLDER]

The dialogues are like IEMOCAP's: 720×480 MPEG-4 with about 1.3 Mbit/s and PCM in AVI, 30 pictures a second, two
people side by side; a wav for each sentence; 60 utterances of 4.5 s on average in 5 minutes, most of which overlap
their neighbour. One film, made once and kept in the cache, stands for both dialogues, whose utterances differ. All
variants run in turn, round by round, each in a process of its own; figures are medians. CPU is user + system of
that process and its children once it has started: a corpus has 151 dialogues, and its workers start once.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path

from segment import REPOSITORY, decode_clip, ffmpeg

SIZE = (720, 480)
FPS = 30
BITS = 1_300_000
GOP = 300  # DivX's own
DIALOGUES = 2
EVERY_S = 5  # seconds of dialogue to an utterance


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "emoprep-bench")
    # How this file starts itself, so that each variant is a process of its own.
    parser.add_argument("--as", dest="part", choices=list(PARTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run(options)
    else:
        compare(options)


def compare(options):
    make_films(options.cache, (options.minutes, 3 * options.minutes))
    runs = {part: [] for part in PARTS}
    for number in range(options.rounds):
        for part in PARTS:
            print(f"round {number + 1}: {part}", file=sys.stderr)
            runs[part].append(measure(options, part, options.minutes)["cpu"])
    peaks = {minutes: measure(options, "cut", minutes)["peak_mb"] for minutes in (options.minutes, 3 * options.minutes)}
    report(options, runs, peaks)


def measure(options, part, minutes):
    """Run a part in a process of its own; return its CPU seconds after start-up, and its peak memory."""
    command = [sys.executable, __file__, "--as", part, "--minutes", str(minutes), "--cache", str(options.cache)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY).stdout)


def run(options):
    import emoprep.segment.loaded  # noqa: F401 - what workers have loaded before they begin

    with tempfile.TemporaryDirectory() as out:
        before = cpu_seconds()
        PARTS[options.part](60 * options.minutes, options.cache, Path(out))
        print(json.dumps({"cpu": cpu_seconds() - before,
                          "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def cpu_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


# ------------------------------------------------------------------------------------------- variants

def decode_floor(seconds, cache, _out):
    """Decode all pictures and all sound of the dialogues, and write nothing."""
    for _ in range(DIALOGUES):
        decode_clip(film_of(cache, seconds))


def cut(seconds, cache, out, *, sentences=True):
    """Cut the dialogues as `emoprep segment` does: the speaker's half, the sentence's wav or the film's sound."""
    from emoprep.media.decode import make_recipe
    from emoprep.segment.cut import ShardTask, cut_shard
    from emoprep.utterance import Utterance

    film = film_of(cache, seconds)
    for dialogue in range(DIALOGUES):
        utterances = tuple(Utterance(
            f"d{dialogue}_{turn}", "bench", None, f"d{dialogue}", turn, "Ida", "Hello.", video=film.name,
            audio=sentence_of(cache, seconds, dialogue, turn).relative_to(cache / "dialogue").as_posix()
            if sentences else film.name,
            audio_shift=-start if sentences else Fraction(0), start=start, end=end,
            view=("left", "right")[turn % 2])
            for turn, (start, end) in enumerate(spans(seconds, dialogue)))
        note = cut_shard(ShardTask(f"all-{dialogue:06d}.tar", str(out), str(cache / "dialogue"), utterances, (),
                                   make_recipe(), ("video", "audio", "text"), 5.0))
        assert len(note["rows"]) == len(utterances), note["skips"]


def call_twice(seconds, cache, out):
    """Call ffmpeg twice an utterance, as the preprocessing scripts of this field do; it seeks, which is quick."""
    film = film_of(cache, seconds)
    for dialogue in range(DIALOGUES):
        for turn, (start, end) in enumerate(spans(seconds, dialogue)):
            frames = out / f"{dialogue}_{turn}"
            frames.mkdir(parents=True)
            place = ("-ss", float(start), "-t", float(end - start), "-i", film)
            ffmpeg(*place, "-vf", f"crop=iw/2:ih:{turn % 2}*iw/2:0,fps=10,scale=112:112", frames / "%03d.jpg")
            ffmpeg(*place, "-vn", "-ac", "1", "-ar", "16000", out / f"{dialogue}_{turn}.wav")


PARTS = {"floor": decode_floor, "cut": cut, "cut, the film's sound": partial(cut, sentences=False),
         "script": call_twice}


# ------------------------------------------------------------------------------------------- dialogues

def spans(seconds, dialogue):
    """Return (start, end) of the utterances: 4.5 s on average, from 0.6 to 34 s, nine of ten overlapping."""
    rng = random.Random(dialogue)
    lengths = [min(34, max(0.6, rng.gammavariate(2.2, 4.5 / 2.2))) for _ in range(round(seconds / EVERY_S))]
    lengths = [length * 4.5 * len(lengths) / sum(lengths) for length in lengths]
    # Three of four follow before the one before them has ended; silence lies between the others.
    steps = [-0.6 if rng.random() < 0.73 else rng.random() for _ in lengths]
    silence = seconds - 8 - sum(lengths) - sum(step for step in steps if step < 0)
    scale = silence / sum(step for step in steps if step > 0)
    begin, found = 4.0, []
    for length, step in zip(lengths, steps, strict=True):
        found.append((Fraction(round(begin * 10_000), 10_000), Fraction(round((begin + length) * 10_000), 10_000)))
        begin += length + (step if step < 0 else step * scale)
    return found


def film_of(cache, seconds):
    return cache / "dialogue" / f"{seconds}.avi"


def sentence_of(cache, seconds, dialogue, turn):
    return cache / "dialogue" / f"{seconds}_{dialogue}" / f"{turn}.wav"


def make_films(cache, lengths):
    """Make the films that are not there yet, and the sentences."""
    (cache / "dialogue").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(make_film, [film_of(cache, 60 * minutes) for minutes in lengths]))
    for seconds in (60 * minutes for minutes in lengths):
        for dialogue in range(DIALOGUES):
            for turn, (start, end) in enumerate(spans(seconds, dialogue)):
                make_sentence(sentence_of(cache, seconds, dialogue, turn), end - start)


def make_film(path):
    """Write a film whose coded size is realistic: two textured halves that sway, with fresh grain."""
    import numpy as np

    from emoprep.films import write_film

    if path.exists():
        return
    rng, seconds, (width, height) = np.random.default_rng(0), int(path.stem), SIZE
    scenes = [np.kron(rng.integers(30, 220, (14, 12, 3), dtype=np.uint8), np.ones((40, 40, 1), np.uint8))
              for _ in range(2)]
    grain = rng.integers(0, 7, (height + 64, width + 64, 1), dtype=np.uint8)

    def picture(index, _seconds):
        x, y, dx, dy = 40 + int(30 * np.sin(index / 20)), 20 + int(15 * np.sin(index / 13)), *rng.integers(0, 64, 2)
        halves = [scene[y:y + height, x:x + width // 2] for scene in scenes]
        return np.concatenate(halves, axis=1) + grain[dy:dy + height, dx:dx + width]

    sound = 0.1 * rng.standard_normal((2, seconds * 16_000)).astype(np.float32)
    write_film(path, seconds=seconds, size=SIZE, fps=FPS, picture=picture, sound=sound, sample_rate=16_000,
               codec="mpeg4", bit_rate=BITS, gop=GOP)


def make_sentence(path, seconds):
    import numpy as np

    from emoprep.films import write_film

    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        sound = 0.1 * np.random.default_rng(0).standard_normal((1, round(seconds * 16_000))).astype(np.float32)
        write_film(path, seconds=seconds, sound=sound, sample_rate=16_000, layout="mono")


# ---------------------------------------------------------------------------------------------- report

def report(options, runs, peaks):
    """Print the table, and one line of JSON for programs."""
    utterances = sum(len(spans(60 * options.minutes, dialogue)) for dialogue in range(DIALOGUES))
    cpu = {part: statistics.median(measured) for part, measured in runs.items()}
    print(f"{'variant':24} {'CPU s':>7} {'ms/utterance':>13} {'CPU ÷ floor':>12} {'script ÷ it':>12}")
    for part, seconds in cpu.items():
        print(f"{part:24} {seconds:7.2f} {1000 * seconds / utterances:13.1f} {seconds / cpu['floor']:12.2f} "
              f"{cpu['script'] / seconds:12.2f}")
    for minutes, peak in peaks.items():
        print(f"cut, {minutes} min a dialogue: {peak:.0f} MB at most")
    print(json.dumps({"bench": "dialogue", "utterances": utterances, "cpu": cpu, "peak_mb": peaks}))


if __name__ == "__main__":
    main()
