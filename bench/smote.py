"""Time and peak memory of SMOTE at MELD's shape, against imbalanced-learn's.

    python bench/smote.py

Each variant runs in a fresh process (peak memory belongs to a process), the variants taking turns, and the
median of three is printed. `emoprep` makes the same table as imbalanced-learn, old rows and new in one array;
`emoprep-compat` does so with imbalanced-learn's parents and must give its bytes; `emoprep-stream` makes the
new rows 500 at a time, as a store is written. Loading and making the data is not timed, and is in the memory
of all. The last lines are JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

COUNTS = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271,
          "anger": 1109}
DIMENSIONS = (712, 6373)
VARIANTS = ("imblearn", "emoprep", "emoprep-compat", "emoprep-stream")
ROUNDS = 3


def main() -> None:
    # The package beside this folder, whether it is installed or not.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    for dimension in DIMENSIONS:
        runs = {variant: [] for variant in VARIANTS}
        for _ in range(ROUNDS):
            for variant in VARIANTS:
                command = [sys.executable, __file__, variant, str(dimension)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
                runs[variant].append(json.loads(done.stdout))
        report(dimension, runs)


def report(dimension: int, runs: dict[str, list[dict]]) -> None:
    """Print one dimension's table and JSON line; fail if compat mode gives other bytes."""
    assert runs["imblearn"][0]["sha256"] == runs["emoprep-compat"][0]["sha256"], "compat mode differs"
    reference = {measure: median(run[measure] for run in runs["imblearn"]) for measure in ("seconds", "mb")}
    print(f"\n{sum(COUNTS.values())} × {dimension} float32 → {len(COUNTS) * max(COUNTS.values())} rows")
    print(f"{'variant':<16}{'seconds':>9}{'× faster':>10}{'peak MB':>9}{'of imblearn':>13}")
    summary = {"bench": "smote", "dimensions": dimension, "compat_equal": True, "variants": {}}
    for variant, found in runs.items():
        seconds, mb = (median(run[measure] for run in found) for measure in ("seconds", "mb"))
        speed, share = reference["seconds"] / seconds, mb / reference["mb"]
        print(f"{variant:<16}{seconds:>9.2f}{speed:>10.2f}{mb:>9.0f}{share:>13.2f}")
        summary["variants"][variant] = {"seconds": round(seconds, 3), "peak_mb": round(mb), "faster":
                                        round(speed, 2), "memory_share": round(share, 3)}
    print(json.dumps(summary), flush=True)


def measure(variant: str, dimension: int) -> None:
    """Run one variant in this process and print what it took, as JSON."""
    x, y = make_data(dimension)
    prepared = PREPARE[variant](x, y)
    start = time.perf_counter()
    result = prepared()
    seconds = time.perf_counter() - start
    # ru_maxrss is in KiB on Linux, in bytes on macOS.
    unit = 2 ** 20 if sys.platform == "darwin" else 2 ** 10
    print(json.dumps({"seconds": seconds, "sha256": hashlib.sha256(result).hexdigest(),
                      "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}))


def make_data(dimension: int):
    """Return x float32 [9989, dimension] and y int16: classes a little apart, features of unequal scale."""
    import numpy as np
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(len(COUNTS), dtype=np.int16), list(COUNTS.values())))
    centre = rng.standard_normal((len(COUNTS), dimension), dtype=np.float32) * np.float32(0.3)
    scale = np.exp(rng.standard_normal(dimension)).astype(np.float32)
    x = np.empty((len(y), dimension), dtype=np.float32)
    # In pieces, so that making the data does not set the peak that is being measured.
    for start in range(0, len(y), 500):
        rows = y[start:start + 500]
        x[start:start + 500] = (rng.standard_normal((len(rows), dimension), dtype=np.float32)
                                + centre[rows]) * scale
    return x, y


def prepare_imblearn(x, y):
    from imblearn.over_sampling import SMOTE
    return lambda: SMOTE(random_state=0).fit_resample(x, y)[0]


def prepare_emoprep(x, y, compat=False):
    import numpy as np

    from emoprep.methods.interpolate import made_vectors
    from emoprep.strategies import smote
    problem = make_problem(x, y, compat)
    if compat:
        import sklearn.neighbors  # noqa: F401  loading is not timed for imbalanced-learn either

    def run():
        decision = smote.decide(problem)
        table = np.empty((len(x) + len(decision.base), x.shape[1]), dtype=np.float32)
        table[:len(x)] = x
        made_vectors(problem.features["features"], decision.base, decision.neighbor, decision.lam,
                     out=table[len(x):])
        return table

    return run


def prepare_stream(x, y):
    from emoprep.methods.interpolate import made_features
    from emoprep.store.tables import GROUP_ROWS
    from emoprep.strategies import smote
    problem = make_problem(x, y, compat=False)

    def run():
        decision = smote.decide(problem)
        for start in range(0, len(decision.base), GROUP_ROWS):  # as `balance` writes them
            some = slice(start, start + GROUP_ROWS)
            made = made_features(problem.features, decision.base[some], decision.neighbor[some], decision.lam[some])
            made["features"].values.sum()
        return b""

    return run


def make_problem(x, y, compat):
    import numpy as np

    from emoprep.contracts import Modality, Problem
    from emoprep.methods.targets import decide_targets
    keys = tuple(f"u{row}" for row in range(len(y)))
    return Problem(keys, keys, y, tuple(COUNTS), decide_targets("auto", COUNTS, "over"), seed=0,
                   options={"imblearn_compat": compat},
                   features={"features": Modality(x, np.ones(len(y), dtype=bool))})


PREPARE = {"imblearn": prepare_imblearn, "emoprep": prepare_emoprep, "emoprep-stream": prepare_stream,
           "emoprep-compat": lambda x, y: prepare_emoprep(x, y, compat=True)}


if __name__ == "__main__":
    # The parent stays small: on Linux a child's peak memory begins with what its parent held.
    if len(sys.argv) > 1:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        main()
