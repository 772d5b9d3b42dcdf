"""`emoprep segment`: raw corpus → store of aligned frame / audio / text shards.

    plan.py    annotations → utterances → shard tasks, decided before anything is written
    cut.py     one task in a worker: decode each source once, cut, encode, write one shard and note its rows
    apply.py   the missing tasks are run; then index, card and, last, the manifest
"""

from emoprep.segment.apply import SegmentResult, allowed_skips, segment
from emoprep.segment.plan import SegmentPlan, estimated_bytes, plan_segment

__all__ = ["SegmentPlan", "SegmentResult", "allowed_skips", "estimated_bytes", "plan_segment", "segment"]
