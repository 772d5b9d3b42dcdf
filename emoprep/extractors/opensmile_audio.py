"""openSMILE's feature sets (Eyben et al. 2010), such as the IS13_ComParE 6,373 of CBERL: `--audio opensmile:IS13`.

openSMILE is free for research and not for commerce, and what it computes is meant too; hence an extra that
has to be asked for, and a note with each run.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import check_pool
from emoprep.errors import UsageError
from emoprep.formats.checkpoint import need_packages
from emoprep.methods.projection import keep_or_project

if TYPE_CHECKING:
    from emoprep.contracts import Fitted
    from emoprep.utterance import Sample

__all__ = ["NAME", "NOTICE", "clock", "describe", "fit", "prepare"]

NAME = "opensmile:"
MODALITY = "audio"
HELP = "a feature set of openSMILE: eGeMAPSv02, ComParE_2016, IS09 … IS13 (not for commerce)"
DEFAULT = False
DIM = None
POOLS = ("mean", "none")

NOTICE = "openSMILE is licensed for private, research and educational use only"

# Its low-level descriptors are computed every 10 ms.
ROWS_PER_SECOND = 100
# Functionals over fewer rows than this are NaN, so shorter sound is followed by silence.
SHORTEST_SECONDS = 0.5


def prepare(argument: str | None, pool: str) -> dict[str, Any]:
    """Check the feature set's name; raises MissingInput without the package, UsageError for another name."""
    check_pool(NAME, POOLS, pool)
    need_packages("opensmile", "opensmile")
    import opensmile

    known = [feature_set.name for feature_set in opensmile.FeatureSet]
    if argument not in known:
        raise UsageError("openSMILE has no such feature set", where="--audio opensmile:", got=repr(argument),
                         expected=" or ".join(known))
    return {"pool": pool, "feature_set": argument, "argument": argument, "opensmile": opensmile.__version__}


def clock(settings: dict[str, Any], fps: float) -> str:
    """Return "utterance", or the descriptors' own rate for a sequence."""
    return "utterance" if settings["pool"] == "mean" else f"rate:{ROWS_PER_SECOND}"


def describe(sample: Sample, settings: dict[str, Any]) -> np.ndarray | None:
    """Return functionals float32 [d], or low-level descriptors [rows, d] with pool "none"; None without sound."""
    if sample.samples is None:
        return None
    lacking = round(SHORTEST_SECONDS * sample.sample_rate) - len(sample.samples)
    samples = np.pad(sample.samples, (0, max(lacking, 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        table = _smile(settings["feature_set"], settings["pool"]).process_signal(samples, sample.sample_rate)
    rows = np.nan_to_num(table.to_numpy(np.float32))
    return rows[0] if settings["pool"] == "mean" else rows


def fit(descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted:
    """Keep the set's own dimension, or fit principal components where a dimension was asked for."""
    fitted = keep_or_project(descriptors, dim)
    return type(fitted)(**{**vars(fitted), "notes": (*fitted.notes, NOTICE)})


@functools.cache
def _smile(feature_set: str, pool: str):
    import opensmile

    level = opensmile.FeatureLevel.Functionals if pool == "mean" else opensmile.FeatureLevel.LowLevelDescriptors
    return opensmile.Smile(feature_set=opensmile.FeatureSet[feature_set], feature_level=level, num_workers=1)
