"""How long annotation takes to read: all of MELD, IEMOCAP and CMU-MOSEI, each in a process of its own.

    python bench/annotation.py [--runs 5] [--shared ../shared]

MELD's csv files and CMU-MOSEI's label .csd are the real ones; IEMOCAP and CMU-MOSEI's raw tree (transcripts, raters'
csv) are written at their real size in the real syntax, since neither may be passed on. Printed are the median
seconds of `open_corpus` (files in the page cache, import not counted) and the largest memory of the process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests/corpora")]

SCRIPT = """
import pathlib, re, sys, time
from emoprep.corpora import open_corpus
start = time.perf_counter()
read = open_corpus(pathlib.Path(sys.argv[1]))[1]
taken = time.perf_counter() - start
# VmHWM, since ru_maxrss begins with what the parent had when it forked.
status = pathlib.Path("/proc/self/status").read_text()
print(len(read.utterances), taken, int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared")
    options = parser.parse_args()
    import iemocap_miniature
    import test_mosei

    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: Path(scratch, name) for name in ("iemocap", "iemocap without words", "mosei raw tree")}
        for folder in folders.values():
            folder.mkdir()
        folders["iemocap"] = iemocap_miniature.build_release(folders["iemocap"])
        folders["iemocap without words"] = iemocap_miniature.build_release(folders["iemocap without words"],
                                                                            words=False)
        test_mosei.build_release(folders["mosei raw tree"])
        for name, place in (("meld", "meld"), ("mosei label .csd", "mosei")):
            if (options.shared / "real" / place).is_dir():
                folders[name] = options.shared / "real" / place
            else:
                print(f"{name} is left out: no {options.shared / 'real' / place}", file=sys.stderr)
        runs = {name: [] for name in folders}
        for _ in range(options.runs):
            for name, folder in folders.items():
                runs[name].append(read(folder))
    report(runs)


def read(folder: Path) -> list[float]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def report(runs: dict[str, list[list[float]]]) -> None:
    medians = {name: [statistics.median(values) for values in zip(*found, strict=True)]
               for name, found in runs.items()}
    print(f"{'annotation of':24}{'utterances':>11}{'seconds':>9}{'MB':>6}")
    for name, (utterances, seconds, megabytes) in medians.items():
        print(f"{name:24}{utterances:11,.0f}{seconds:9.2f}{megabytes:6.0f}")
    print(json.dumps({name: {"utterances": int(number), "seconds": round(seconds, 3), "mb": round(megabytes)}
                      for name, (number, seconds, megabytes) in medians.items()}))


if __name__ == "__main__":
    main()
