"""What `emoprep report` costs on a store of MELD's size: 13,708 utterances of about three seconds.

    python bench/report.py [--shared ../shared] [--cache FOLDER] [--runs 3]

The rows are MELD's real ones. MELD's clips may not be passed on, so each row's is one of 24 cuts of three seconds from
free videos of talking faces, hard-linked; the first run cuts them into a store, takes features and balances by SMOTE,
which takes some minutes, and keeps the stores in the cache. What is measured is the command, from the start of its
process to the end, and the page's size: of the shards, and of the features before and after SMOTE with the shards'
samples.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY / "tools"))

from real_meld_tree import PLACES, SAMPLE_RATE, Looped, choose_rows, read_sound  # noqa: E402 - after the path to it

from emoprep.films import in_channel, write_film  # noqa: E402

TAKES, SECONDS, SIZE = 24, 3.0, (320, 180)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("EMOPREP_SHARED")
                                                            or REPOSITORY.parent / "shared"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "emoprep-bench")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    real = options.shared.resolve() / "real"
    if not real.is_dir():
        print(f"left out: MELD's rows and the videos are not there: {real}", file=sys.stderr)
        return
    shards, features, smote = stores(options.cache / "report", real)
    page = options.cache / "report" / "page.html"
    variants = {"shards": [shards], "shards, sounds and pictures audited too": [shards, "--audit", "all"],
                "features before and after SMOTE": [features, "--compare", smote, "--shards", shards]}
    for name, arguments in variants.items():
        seconds = [shell("report", *arguments, "-o", page) for _ in range(options.runs)]
        print(f"{name}: {statistics.median(seconds):.1f} s, {page.stat().st_size / 1e6:.2f} MB", flush=True)


def stores(folder: Path, real: Path) -> list[Path]:
    """Return shards, features and balanced features, made by the first run."""
    tree, *made = (folder / name for name in ("MELD.Raw", "shards", "features", "smote"))
    if not tree.is_dir():
        make_tree(folder / "draft", real)
        (folder / "draft").rename(tree)
    shell("segment", tree, made[0])
    shell("features", made[0], made[1])
    shell("balance", made[1], made[2], "--strategy", "smote", "--force")
    return made


def make_tree(tree: Path, real: Path) -> None:
    """Make MELD's layout: its real rows, and one of the takes for each."""
    takes = tree / "takes"
    takes.mkdir(parents=True, exist_ok=True)
    sources = sorted([*(real / "video").glob("talking_*.mp4"), *(real / "video").glob("face_sound_*.mp4")])
    for number in range(TAKES):
        source, offset = sources[number % len(sources)], 1.7 * number
        length, speech = read_sound(source)
        begin = round(offset % length * SAMPLE_RATE)
        heard = speech[(begin + np.arange(round(SECONDS * SAMPLE_RATE))) % len(speech)]
        write_film(takes / f"{number}.mp4", seconds=SECONDS, size=SIZE, bframes=3, gop=250,
                   picture=Looped(source, offset % length, length, SIZE), sound=in_channel(heard, "stereo", "FL"))
    for split, (place, _) in PLACES.items():
        table = real / "meld" / f"{split}_sent_emo.csv"
        rows, raw = choose_rows(table, split, sys.maxsize)
        (tree / place).mkdir(parents=True, exist_ok=True)
        (tree / table.name).write_bytes(raw)
        for number, row in enumerate(rows):
            os.link(takes / f"{number % TAKES}.mp4",
                    tree / place / f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4")


def shell(*arguments) -> float:
    """Return how long a command takes, from the start of its process to the end."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "emoprep", *map(str, arguments), "--json"], capture_output=True,
                          text=True)
    if done.returncode:
        sys.exit(json.loads(done.stdout)["error"] if done.stdout.startswith("{") else done.stderr)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
