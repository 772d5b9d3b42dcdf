"""Time and peak memory of `emoprep stats` on the index of a million utterances, from the shell.

    python bench/stats.py [--utterances 1000000] [--runs 5]

Two stores are made, each an index and a manifest: MELD's shape (one class, ten turns a dialogue, 1,000 speakers, its
class shares) and CMU-MOSEI's (six labels, seven segments a video, each video a speaker). Every run is a fresh process
that prints all tables; the median of the wall time and the largest peak memory are told, beside those of reading the
same columns with pyarrow alone. The last line is JSON.
"""

from __future__ import annotations

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

SHARES = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271, "anger": 1109}
RATES = {"happy": 0.54, "sad": 0.26, "anger": 0.21, "surprise": 0.10, "disgust": 0.18, "fear": 0.08}
TURNS, SEGMENTS, SPEAKERS = 10, 7, 1000
READ = """
import sys
import pyarrow.parquet
pyarrow.parquet.read_table(sys.argv[1], columns=sys.argv[2].split(","), use_threads=False)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_store(options.make, {"meld": meld, "mosei": mosei}[options.make.name](options.utterances))
        return
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for corpus in ("meld", "mosei"):
            store = Path(scratch, corpus)
            # A process counts the memory of the one that started it as its own, so this one stays small.
            subprocess.run([sys.executable, __file__, "--utterances", str(options.utterances), "--make", str(store)],
                           check=True)
            read = ["split", "dialogue", "speaker", "start", "end", "loss_mask",
                    *(["emotion"] if corpus == "meld" else RATES)]
            commands = {
                "pyarrow alone": [sys.executable, "-c", READ, str(store / "utterances.parquet"), ",".join(read)],
                "stats": [sys.executable, "-m", "emoprep", "stats", str(store), "-q"],
                "stats, all tables": [sys.executable, "-m", "emoprep", "stats", str(store), "-q", "--measures",
                                      "--transitions", "--speakers", "--max-seconds", "10"],
                "stats --json": [sys.executable, "-m", "emoprep", "stats", str(store), "-q", "--json"],
            }
            for name, command in commands.items():
                runs = [stopwatch(command) for _ in range(options.runs)]
                found[f"{corpus}, {name}"] = {"median_s": round(statistics.median(wall for wall, _ in runs), 3),
                                              "peak_mb": round(max(peak for _, peak in runs))}
                told = found[f"{corpus}, {name}"]
                print(f"{corpus}, {name:20} {told['median_s']:6.2f} s {told['peak_mb']:6d} MB", flush=True)
    print(json.dumps({"bench": "stats", "utterances": options.utterances, "runs": options.runs, "found": found}))


def meld(number: int) -> dict:
    rng = np.random.default_rng(0)
    names, shares = list(SHARES), np.array(list(SHARES.values())) / sum(SHARES.values())
    dialogue, speakers = np.arange(number) // TURNS, rng.zipf(1.6, number) % SPEAKERS
    sentiments = dict.fromkeys(names, "negative") | {"neutral": "neutral", "joy": "positive", "surprise": "positive"}
    emotion = rng.choice(len(names), number, p=shares)
    return {"split": splits(dialogue), "dialogue": [f"meld_train_dia{place}" for place in dialogue.tolist()],
            "turn": np.arange(number) % TURNS, "speaker": [f"Speaker {one}" for one in speakers.tolist()],
            "emotion": [names[one] for one in emotion.tolist()], "y_meld_7": emotion,
            "sentiment": [sentiments[names[one]] for one in emotion.tolist()]}


def mosei(number: int) -> dict:
    rng = np.random.default_rng(0)
    video = np.arange(number) // SEGMENTS
    names = [f"mosei_video{place:07d}" for place in video.tolist()]
    return {"split": splits(video), "dialogue": names, "turn": np.arange(number) % SEGMENTS, "speaker": names,
            **{name: np.where(rng.random(number) < rate, rng.integers(1, 10, number) / 3, 0.0)
               for name, rate in RATES.items()}}


def splits(dialogue: np.ndarray) -> list[str]:
    """Return eight of ten dialogues as train, and one of each other split."""
    return np.array(["train"] * 8 + ["dev", "test"])[dialogue % 10].tolist()


def make_store(folder: Path, columns: dict) -> None:
    """Write an index in the layout of a store of annotation, and its manifest; columns not given are null."""
    import pyarrow

    from emoprep.contracts import modules
    from emoprep.store.index import schema, write_index
    from emoprep.store.manifest import Manifest

    corpus, number = folder.name, len(columns["split"])
    module = modules("corpora")[corpus]
    fields, rng = schema(module.ANNOTATION, module.SCHEMES), np.random.default_rng(1)
    columns |= {"key": [f"{corpus}_{place}" for place in range(number)], "corpus": [corpus] * number,
                "start": np.zeros(number), "end": rng.gamma(2.0, 1.6, number), "op": ["keep"] * number,
                "loss_mask": np.ones(number), "text": ["What?"] * number}
    folder.mkdir()
    write_index(folder / "utterances.parquet", pyarrow.Table.from_arrays(
        [pyarrow.array(columns[field.name]).cast(field.type) if field.name in columns
         else pyarrow.nulls(number, field.type) for field in fields], schema=fields))
    facts = {"command": "bench", "settings": {}, "inputs": {}}
    manifest = Manifest(corpus, module.TITLE, "annotation", facts, {}, number, {},
                        {scheme.name: scheme for scheme in module.SCHEMES}, dict(module.ANNOTATION))
    (folder / "manifest.json").write_bytes(manifest.to_bytes())


def stopwatch(command: list[str]) -> tuple[float, float]:
    """Return wall seconds and peak memory in MB of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
