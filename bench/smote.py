"""Time and peak memory of SMOTE, Borderline-SMOTE and ADASYN at MELD's shape, against imbalanced-learn's.

    python bench/smote.py
    python bench/smote.py --million

Each variant runs in a fresh process (peak memory belongs to a process), the variants taking turns, and the
median of three is printed. `emoprep` makes the same table as imbalanced-learn, old rows and new in one array;
`emoprep-compat` does so with imbalanced-learn's parents and must give its bytes; `emoprep-stream` makes the
new rows 500 at a time, as a store is written. Loading and making the data is not timed, and is in the memory
of all. The last line of each table is JSON.

With `--million` parents alone are decided, by SMOTE, for 1,000,000 rows of 128 dimensions in MELD's proportions: some
minutes. Its peak holds the features themselves, 512 MB.
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
METHODS = {"smote": ("SMOTE", ("imblearn", "emoprep", "emoprep-compat", "emoprep-stream")),
           "borderline-smote": ("BorderlineSMOTE", ("imblearn", "emoprep", "emoprep-compat")),
           "adasyn": ("ADASYN", ("imblearn", "emoprep", "emoprep-compat"))}
ROUNDS = 3
MILLION, MILLION_DIMENSION = 1_000_000, 128


def main() -> None:
    # The package beside this folder, whether it is installed or not.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    for method, (_, variants) in METHODS.items():
        for dimension in DIMENSIONS:
            runs = {variant: [] for variant in variants}
            for _ in range(ROUNDS):
                for variant in variants:
                    command = [sys.executable, __file__, method, variant, str(dimension)]
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
                    runs[variant].append(json.loads(done.stdout))
            report(method, dimension, runs)


def report(method: str, dimension: int, runs: dict[str, list[dict]]) -> None:
    """Print one table and its JSON line; fail if compat mode gives other bytes."""
    assert runs["imblearn"][0]["sha256"] == runs["emoprep-compat"][0]["sha256"], "compat mode differs"
    reference = {measure: median(run[measure] for run in runs["imblearn"]) for measure in ("seconds", "mb")}
    print(f"\n{method}: {sum(COUNTS.values())} × {dimension} float32 → {runs['emoprep'][0]['rows']} rows")
    print(f"{'variant':<16}{'seconds':>9}{'× faster':>10}{'peak MB':>9}{'of imblearn':>13}")
    summary = {"bench": method, "dimensions": dimension, "compat_equal": True, "variants": {}}
    for variant, found in runs.items():
        seconds, mb = (median(run[measure] for run in found) for measure in ("seconds", "mb"))
        speed, share = reference["seconds"] / seconds, mb / reference["mb"]
        print(f"{variant:<16}{seconds:>9.2f}{speed:>10.2f}{mb:>9.0f}{share:>13.2f}")
        summary["variants"][variant] = {"seconds": round(seconds, 3), "peak_mb": round(mb), "faster":
                                        round(speed, 2), "memory_share": round(share, 3)}
    print(json.dumps(summary), flush=True)


def measure(method: str, variant: str, dimension: int) -> None:
    """Run one variant in this process and print what it took, as JSON."""
    x, y = make_data(dimension, COUNTS)
    prepared = PREPARE[variant](method, x, y)
    start = time.perf_counter()
    result = prepared()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "sha256": hashlib.sha256(result).hexdigest(), "rows": len(result),
                      "mb": peak_mb()}))


def measure_million() -> None:
    """Decide parents for a million rows in this process, and print what it took."""
    from emoprep.strategies import smote
    shares = {label: round(count * MILLION / sum(COUNTS.values())) for label, count in COUNTS.items()}
    shares["neutral"] += MILLION - sum(shares.values())
    x, y = make_data(MILLION_DIMENSION, shares)
    problem = make_problem(x, y, shares, compat=False)
    start = time.perf_counter()
    decision = smote.decide(problem)
    summary = {"bench": "million", "rows": len(y), "dimensions": MILLION_DIMENSION, "made": len(decision.base),
               "seconds": round(time.perf_counter() - start, 1), "peak_mb": round(peak_mb())}
    assert summary["peak_mb"] < 4096, f"planning takes {summary['peak_mb']} MB"
    print(json.dumps(summary))


def peak_mb() -> float:
    # ru_maxrss is in KiB on Linux, in bytes on macOS.
    unit = 2 ** 20 if sys.platform == "darwin" else 2 ** 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def make_data(dimension: int, counts: dict[str, int]):
    """Return x float32 [N, dimension] and y int16: classes that overlap as emotions do, features of unequal scale."""
    import numpy as np
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(len(counts), dtype=np.int16), list(counts.values())))
    centre = rng.standard_normal((len(counts), dimension), dtype=np.float32) * np.float32(0.1)
    scale = np.exp(rng.standard_normal(dimension)).astype(np.float32)
    x = np.empty((len(y), dimension), dtype=np.float32)
    # In pieces, so that making the data does not set the peak that is being measured.
    for start in range(0, len(y), 500):
        rows = y[start:start + 500]
        x[start:start + 500] = (rng.standard_normal((len(rows), dimension), dtype=np.float32)
                                + centre[rows]) * scale
    return x, y


def prepare_imblearn(method, x, y):
    import imblearn.over_sampling
    sampler = getattr(imblearn.over_sampling, METHODS[method][0])
    return lambda: sampler(random_state=0).fit_resample(x, y)[0]


def prepare_emoprep(method, x, y, compat=False):
    import numpy as np
    import threadpoolctl  # noqa: F401  loading is not timed for imbalanced-learn either

    from emoprep.contracts import find_strategy
    from emoprep.methods.interpolate import made_vectors
    strategy, problem = find_strategy(method), make_problem(x, y, COUNTS, compat)
    if compat:
        import sklearn.neighbors  # noqa: F401

    def run():
        decision = strategy.decide(problem)
        table = np.empty((len(x) + len(decision.base), x.shape[1]), dtype=np.float32)
        table[:len(x)] = x
        made_vectors(problem.features["features"], decision.base, decision.neighbor, decision.lam,
                     out=table[len(x):])
        return table

    return run


def prepare_stream(method, x, y):
    import threadpoolctl  # noqa: F401

    from emoprep.contracts import find_strategy
    from emoprep.methods.interpolate import made_features
    from emoprep.store.tables import GROUP_ROWS
    strategy, problem = find_strategy(method), make_problem(x, y, COUNTS, compat=False)

    def run():
        decision = strategy.decide(problem)
        for start in range(0, len(decision.base), GROUP_ROWS):  # as `balance` writes them
            some = slice(start, start + GROUP_ROWS)
            made = made_features(problem.features, decision.base[some], decision.neighbor[some], decision.lam[some])
            made["features"].values.sum()
        return b""

    return run


def make_problem(x, y, counts, compat):
    import numpy as np

    from emoprep.contracts import Modality, Problem
    from emoprep.methods.targets import decide_targets
    keys = tuple(f"u{row}" for row in range(len(y)))
    return Problem(keys, keys, y, tuple(counts), decide_targets("auto", counts, "over"), seed=0,
                   options={"imblearn_compat": compat},
                   features={"features": Modality(x, np.ones(len(y), dtype=bool))})


PREPARE = {"imblearn": prepare_imblearn, "emoprep": prepare_emoprep, "emoprep-stream": prepare_stream,
           "emoprep-compat": lambda method, x, y: prepare_emoprep(method, x, y, compat=True)}


if __name__ == "__main__":
    # The parent stays small: on Linux a child's peak memory begins with what its parent held.
    if sys.argv[1:] == ["--million"]:
        measure_million()
    elif len(sys.argv) > 1:
        measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main()
