"""Whether the cost of `emoprep segment` is linear in the utterances, from 100 on, and what planning and sealing cost.

    python bench/scale.py [--utterances 100 1000 10000] [--cache FOLDER]

One small clip (64×64, 0.5 s) stands for all of a MELD tree of so many utterances, so that what is not decoding shows.
`--utterances 100000` takes ten minutes on two cores. Planning is `plan_segment`; sealing is from the last shard to the
end. Memory is that of the largest process, workers and the run itself told apart.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from segment import REPOSITORY, link_tree

MOST_LINKS = 50_000  # to one file; some file systems allow no more than 65,000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "emoprep-bench")
    # How this file starts itself, so that each measurement is a process of its own.
    parser.add_argument("--run", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(*options.run)))
        return
    print(f"{'utterances':>10} {'plan s':>7} {'cut s':>8} {'seal s':>7} {'ms/utterance':>13} {'worker MB':>10} "
          f"{'run MB':>7}")
    found = {}
    for count in options.utterances:
        tree = make_tree(options.cache, count)
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run([sys.executable, __file__, "--run", str(tree), str(Path(scratch, "out"))],
                                  stdout=subprocess.PIPE, check=True, cwd=REPOSITORY)
        shutil.rmtree(tree)
        found[count] = one = json.loads(done.stdout)
        print(f"{count:10} {one['plan']:7.2f} {one['cut']:8.1f} {one['seal']:7.2f} {1000 * one['cut'] / count:13.2f} "
              f"{one['worker_mb']:10.0f} {one['run_mb']:7.0f}", flush=True)
    print(json.dumps({"bench": "scale", "utterances": found}))


def run(tree, out):
    """Plan and segment with two workers; return seconds and memory."""
    from emoprep.engine.tally import Tally
    from emoprep.segment import plan_segment, segment

    class Stopwatch(Tally):
        """Looks at the clock and at the workers whenever a shard is finished."""

        last, largest = 0.0, 0.0

        def finish(self, task, note):
            super().finish(task, note)
            self.last = time.perf_counter()
            self.largest = max([self.largest, *map(peak_mb, children())])

    begun, watch = time.perf_counter(), Stopwatch()
    plan = plan_segment(tree, out)
    planned = time.perf_counter()
    segment(plan, out, jobs=2, tally=watch)
    return {"plan": planned - begun, "cut": watch.last - planned, "seal": time.perf_counter() - watch.last,
            "worker_mb": watch.largest, "run_mb": peak_mb("self")}


def children():
    """Return the processes below this one: the server of workers, and they."""
    pids = [os.getpid()]
    for pid in pids:
        pids += Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return pids[1:]


def peak_mb(pid):
    try:
        return int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
    except (OSError, TypeError):
        return 0.0  # it has just ended


def make_tree(cache, count):
    """Return a MELD tree of `count` links to one small clip."""
    from emoprep.films import numbered, tone, write_film

    tree = cache / f"scale{count}"

    def clips():
        for number in range(count):
            if number % MOST_LINKS == 0:
                clip = tree / f"{number}.mp4"
                write_film(clip, seconds=0.5, size=(64, 64), fps=25, picture=numbered((200, 40, 40), (64, 64)),
                           sound=tone(440, 0.5)[None], layout="mono")
            yield clip
    return link_tree(tree, clips(), "00:00:01,500")


if __name__ == "__main__":
    main()
