"""`emoprep features`: store of shards → store of feature vectors or sequences.

    plan.py       which extractor makes each modality, decided before anything is decoded
    describe.py   each shard described in a worker: sample → descriptor, kept as a piece on disk
    apply.py      what has to be fitted is fitted on train alone; tables, scaler, manifest
"""

from emoprep.features.apply import FeaturesResult, features
from emoprep.features.plan import FeaturesPlan, plan_features

__all__ = ["FeaturesPlan", "FeaturesResult", "features", "plan_features"]
