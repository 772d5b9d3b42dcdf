"""How long it takes to decide on whole dialogues, and on several labels.

    python bench/repeat.py

Dialogues have MELD's shape (9,989 utterances of 7 classes in 1,038 dialogues) and are repeated up to 5, 10 and 20
times: by greedy evenness, and by the integer program of `min-ir`. Segments have CMU-MOSEI's shape (16,327 with six
labels; 35, 74 and 300 features): their labels are made even, ML-ROS draws, and MLSMOTE finds neighbours and makes its
vectors. Everything is made up at random with the real counts. Printed is the median of three runs; making the data and
loading libraries is not timed. The last line is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median

# The package beside this folder, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

CLASSES = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271, "anger": 1109}
DIALOGUES = 1038
POSITIVES = {"happy": 8735, "sad": 4269, "anger": 3526, "surprise": 1642, "disgust": 2955, "fear": 1331}
SEGMENTS = 16_327
WIDTHS = {"visual": 35, "audio": 74, "text": 300}
LIMITS = {"min-ir R=5": 2, "min-ir R=10": 2, "min-ir R=20": 2, "mlsmote": 5}
ROUNDS = 3


def main() -> None:
    import scipy.optimize  # noqa: F401  loading is not timed

    meld, mosei = make_dialogues(), make_segments()
    tasks = {f"{objective} R={most}": (meld, "repeat", {"objective": objective, "max_repeats": most})
             for objective in ("evenness", "min-ir") for most in (5, 10, 20)}
    tasks |= {"labels evenness": (mosei, "repeat", {"unit": "utterance"}), "ml-ros": (mosei, "ml-ros", {}),
              "mlsmote": (mosei, "mlsmote", {})}
    print(f"{'':18}{'items':>8}{'seconds':>9}{'allowed':>9}")
    found = {}
    for name, (problem, strategy, options) in tasks.items():
        runs = [run(problem, strategy, options) for _ in range(ROUNDS)]
        items, seconds = runs[0][0], median(seconds for _, seconds in runs)
        print(f"{name:18}{items:8,}{seconds:9.2f}{LIMITS.get(name, ''):>9}")
        found[name] = {"items": items, "seconds": round(seconds, 3), "allowed": LIMITS.get(name)}
    print(json.dumps({"bench": "repeat", "variants": found}))


def run(problem, strategy, options) -> tuple[int, float]:
    """Return how many items are decided, and the seconds that it takes; vectors are made too, 500 at a time."""
    from dataclasses import replace

    from emoprep.contracts import find_strategy
    from emoprep.methods.interpolate import made_features
    from emoprep.store.tables import GROUP_ROWS

    module = find_strategy(strategy, options)
    start = time.perf_counter()
    decision = module.decide(replace(problem, options=options))
    if module.MAKES == "vectors":
        for first in range(0, len(decision.base), GROUP_ROWS):
            some = slice(first, first + GROUP_ROWS)
            made_features(problem.features, decision.base[some], decision.neighbor[some], decision.lam[some])
    return len(decision.base), time.perf_counter() - start


def make_dialogues():
    """Return a problem of MELD's shape: dialogues of any length, classes at random among them."""
    import numpy as np

    from emoprep.contracts import Problem

    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(len(CLASSES), dtype=np.int16), list(CLASSES.values())))
    bounds = np.sort(rng.choice(np.arange(1, len(y)), DIALOGUES - 1, replace=False))
    dialogues = np.searchsorted(bounds, np.arange(len(y)), side="right")
    return Problem(tuple(f"u{row}" for row in range(len(y))), tuple(f"d{number}" for number in dialogues), y,
                   tuple(CLASSES), {})


def make_segments():
    """Return a problem of CMU-MOSEI's shape, its labels independent of each other."""
    import numpy as np

    from emoprep.contracts import Modality, Problem

    rng = np.random.default_rng(0)
    y = np.stack([rng.permutation(SEGMENTS) < count for count in POSITIVES.values()], axis=1).astype(np.int8)
    keys = tuple(f"s{row}" for row in range(SEGMENTS))
    features = {name: Modality(rng.standard_normal((SEGMENTS, width), dtype=np.float32), np.ones(SEGMENTS, bool))
                for name, width in WIDTHS.items()}
    return Problem(keys, keys, y, tuple(POSITIVES), {}, features=features)


if __name__ == "__main__":
    main()
