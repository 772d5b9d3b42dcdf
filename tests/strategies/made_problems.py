"""Small problems for the strategies that draw on features: classes of given sizes, apart or overlapping."""

import numpy as np

from emoprep.contracts import Modality, Problem

LABELS = ("neutral", "surprise", "fear", "sadness")


def vectors(values, present=None):
    values = np.asarray(values, dtype=np.float32)
    return Modality(values, np.ones(len(values), bool) if present is None else np.asarray(present))


def make_data(counts, dimension, seed=0, apart=0.5):
    """Return x float32 [N, d] and y int16 [N], shuffled, the classes `apart` deviations from each other."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int16)
    return (rng.standard_normal((len(y), dimension)) + apart * y[:, None]).astype(np.float32), y


def make_problem(features, y, targets, seed=0, labels=LABELS, **options):
    keys = tuple(f"u{row}" for row in range(len(y)))
    return Problem(keys, keys, np.asarray(y, dtype=np.int16), labels, targets, seed, options, features)
