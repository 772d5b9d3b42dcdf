"""`emoprep features`: store of shards → store of feature vectors or sequences.

    plan.py       which extractor makes each modality, decided before anything is decoded
    describe.py   each shard described in a worker: sample → descriptor, kept as a piece on disk
    apply.py      what has to be fitted is fitted on train alone
    bring.py      a processed set of somebody else's, brought into a store as it is
    sequences.py  CMU-MOSEI's computational sequences, aligned to words or on their own clocks
    medians.py    medians of train that are never in memory all at once
    write.py      tables, index, scaler and manifest, for all of these
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoprep.errors import UsageError
from emoprep.features.apply import features
from emoprep.features.bring import BringPlan, bring, is_pickle, plan_bring
from emoprep.features.plan import FeaturesPlan, plan_features
from emoprep.features.sequences import plan_sequences
from emoprep.features.write import FeaturesResult
from emoprep.store.manifest import is_store

__all__ = ["BringPlan", "FeaturesPlan", "FeaturesResult", "bring", "features", "plan_any", "plan_bring",
           "plan_features", "plan_sequences"]


def plan_any(source: Path, *, align: str | None = None, corpus: str | None = None,
             options: Mapping[str, str] | None = None, nonfinite: str | None = None, seed: int = 0,
             of_shards: Mapping[str, Any] | None = None) -> FeaturesPlan | BringPlan:
    """Plan for whatever IN is: a store of shards, a pickle of features, or a raw corpus with sequences.

    `of_shards` are the settings of `plan_features` that only a store of shards has a use for; `align`, `corpus` and
    `options` are those of `plan_sequences`. One that IN has no use for is refused.
    """
    given = {name: value for name, value in (of_shards or {}).items() if value}
    of_corpus = {"align": align, "corpus": corpus, **(options or {})}
    if is_store(source):
        _refuse(of_corpus, "IN is a store")
        return plan_features(source, seed=seed, nonfinite=nonfinite or "impute-median", **given)
    what = "a pickle of features" if is_pickle(source) else "no store: its features are taken as they are"
    _refuse({name: value for name, value in given.items() if name != "extractors"}
            | dict((of_shards or {}).get("extractors") or {}), f"IN is {what}")
    if is_pickle(source):
        _refuse(of_corpus, f"IN is {what}")
        return plan_bring(source, nonfinite=nonfinite, seed=seed)
    return plan_sequences(source, align=align, nonfinite=nonfinite, corpus=corpus, options=options, seed=seed)


def _refuse(options: Mapping[str, Any], why: str) -> None:
    if unused := next((name for name, value in options.items() if value), None):
        raise UsageError(f"{why}, and has no use for this option", where="--" + unused.replace("_", "-"),
                         remedy="leave it out")
