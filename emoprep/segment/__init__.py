"""`emoprep segment`: raw corpus → store of aligned frame / audio / text shards.

    plan.py    annotations → utterances → shard tasks, decided before anything is written
    cut.py     one task in a worker: cut, encode, write one shard and note its rows
    sources.py its media files, each decoded once for all utterances that use it
    planned.py what the closing step needs of the plan, written down when a run begins
    parts.py   which shards are whose, where several runs fill one OUT
    apply.py   the missing tasks are run
    seal.py    the closing step: index, card and, last, the manifest, from what lies in OUT alone
"""

from emoprep.segment.apply import segment
from emoprep.segment.parts import part_of, read_part
from emoprep.segment.plan import SegmentPlan, estimated_bytes, plan_segment
from emoprep.segment.seal import SegmentResult, allowed_skips, seal

__all__ = ["SegmentPlan", "SegmentResult", "allowed_skips", "estimated_bytes", "part_of", "plan_segment", "read_part",
           "seal", "segment"]
