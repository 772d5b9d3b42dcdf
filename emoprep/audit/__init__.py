"""`emoprep audit`: what would make results on this data wrong.

    checks.py     the checks by name with their thresholds, what they found, what is accepted
    rows.py       IN, column by column: a raw corpus (its annotation), a table, a store
    shared.py     what splits share: keys, times, speakers, dialogues, sessions, episodes
    texts.py      what they share of texts; texts nobody can say; labels against the sentiment
    made.py       children of dev or test in train; resampled before it was split
    fitted.py     fitted on more than train; the same features in two splits
    media.py      a shard in a worker: fingerprints, and whether a sample is silent, clipped, frozen or black
    alike.py      which utterances of two splits sound or look the same
    integrity.py  utterances that are broken by themselves
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoprep import engine
from emoprep.audit import integrity, made, shared, texts
from emoprep.audit.alike import picture_duplicates, sound_duplicates
from emoprep.audit.checks import CHECKS, Check, Example, Finding, read_accepted, read_thresholds, with_acceptance
from emoprep.audit.fitted import feature_findings
from emoprep.audit.media import Measured, MediaTask, measure_shard
from emoprep.audit.rows import Rows, open_rows
from emoprep.audit.shared import Found

__all__ = ["CHECKS", "AuditPlan", "AuditResult", "Check", "Example", "Finding", "audit", "measure_shard", "plan_audit"]

# A worker that is still at one sample after this long hangs.
PATIENCE_S = 300.0

PRELOAD = ("emoprep.audit.media", "soundfile", "PIL.JpegImagePlugin", "scipy.fft", "threadpoolctl")

OF_ROWS: Mapping[str, Callable[[Rows, float], Found]] = {
    "key-collision": shared.key_collision, "time-overlap": shared.time_overlap, "same-time": shared.same_time,
    "same-time-other-label": shared.same_time_other_label, "speaker-overlap": shared.speaker_overlap,
    "dialogue-overlap": shared.dialogue_overlap, "session-overlap": shared.session_overlap,
    "episode-overlap": shared.episode_overlap, "text-overlap": texts.text_overlap,
    "long-text-overlap": texts.long_text_overlap, "dialogue-text-overlap": texts.dialogue_text_overlap,
    "synthetic-leak": made.synthetic_leak, "resampled-before-split": made.resampled_before_split,
    "label-sentiment": texts.label_sentiment, "too-short": integrity.too_short, "too-long": integrity.too_long,
    "text-rate": texts.text_rate, "duration-differs": integrity.duration_differs,
}
"""The checks that the rows are enough for."""

OF_MADE = ("synthetic-leak", "resampled-before-split")

OF_MEDIA: Mapping[str, Callable[[Rows, Mapping[int, Measured], float], Found]] = {
    "sound-duplicate": sound_duplicates, "picture-duplicate": picture_duplicates,
    "av-length-differs": integrity.av_length_differs,
    **{check: lambda rows, measured, threshold, check=check: integrity.broken_media(rows, measured, check, threshold)
       for check in integrity.MEDIA_CHECKS},
}
"""The checks that need the media of a store of shards."""

BETWEEN_SPLITS = ("key-collision", "time-overlap", "speaker-overlap", "dialogue-overlap", "session-overlap",
                  "episode-overlap", "text-overlap", "long-text-overlap", "dialogue-text-overlap", "synthetic-leak",
                  "resampled-before-split", "fitted-on-more-than-train", "feature-duplicate")


@dataclass(frozen=True)
class AuditPlan:
    """The rows, the thresholds, what is accepted and why, and the shards whose samples are to be measured."""

    rows: Rows
    thresholds: Mapping[str, float]
    accepted: Mapping[str, str]
    tasks: tuple[MediaTask, ...]

    @property
    def utterances(self) -> int:
        """How many samples there are to measure."""
        return sum(task.utterances for task in self.tasks)


@dataclass(frozen=True)
class AuditResult:
    """What was found, in the order of the checks; `not_possible` says of checks why IN cannot answer them."""

    path: str
    corpus: str
    kind: str
    utterances: int
    findings: tuple[Finding, ...]
    not_possible: Mapping[str, str]
    thresholds: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that are not accepted."""
        return tuple(finding for finding in self.findings if finding.reason is None)

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """Return what `--json` prints, with at most so many examples a finding."""
        return {"schema": "emoprep.audit/1", "path": self.path, "corpus": self.corpus, "kind": self.kind,
                "utterances": self.utterances, "findings": [finding.to_json(most) for finding in self.findings],
                "not_possible": dict(self.not_possible), "thresholds": dict(self.thresholds), "notes": list(self.notes)}


def plan_audit(source: Path, *, accept: Iterable[str] = (), thresholds: Iterable[str] = (), labels: str | None = None,
               corpus: str | None = None, options: Mapping[str, str] | None = None, protocol: str | None = None,
               media: bool = True) -> AuditPlan:
    """Read the rows of IN, and list the samples to measure where it is a store of shards, unless without `media`.

    `accept` has "NAME=REASON", `thresholds` "NAME=NUMBER". Raises UsageError for a check that there is none of, a
    reason without a word, or a threshold that is no number.
    """
    accepted, numbers = read_accepted(accept), read_thresholds(thresholds)
    rows = open_rows(source, corpus=corpus, options=options, protocol=protocol, labels=labels)
    return AuditPlan(rows, numbers, accepted, _tasks(rows) if media else ())


def _tasks(rows: Rows) -> tuple[MediaTask, ...]:
    """Return a task for each shard, with the samples that were annotated and not made."""
    if rows.kind != "shards":
        return ()
    keys: dict[str, list[str]] = defaultdict(list)
    columns = (rows.columns[name] for name in ("key", "shard", "op", "loss_mask"))
    for key, shard, op, mask in zip(*columns, strict=True):
        if shard is not None and op == "keep" and mask:
            keys[shard].append(key)
    return tuple(MediaTask(str(rows.store.path / shard), tuple(members)) for shard, members in keys.items())


def audit(plan: AuditPlan, *, jobs: int = 1, progress: Callable[[int, int], None] = lambda done, skipped: None
          ) -> AuditResult:
    """Carry out all checks that IN can answer; `progress` is told the samples that were measured."""
    rows, thresholds = plan.rows, plan.thresholds
    # What was made of a row is wrong whether or not that row counts.
    found: dict[str, Found] = {name: check(rows if name in OF_MADE else rows.counting, thresholds[name])
                               for name, check in OF_ROWS.items()}
    found |= feature_findings(rows, thresholds)
    measured, notes = _measure(plan, jobs, progress)
    for name, check in OF_MEDIA.items():
        found[name] = check(rows, measured, thresholds[name]) if plan.tasks else _without_media(rows.kind)
    if len(rows.members) < 2:
        found |= dict.fromkeys(BETWEEN_SPLITS, "there are no two splits")
    not_possible = {name: found[name] for name in CHECKS if isinstance(found[name], str)}
    findings = [finding for name in CHECKS if name not in not_possible for finding in found[name]]
    return AuditResult(str(rows.path), rows.corpus, rows.kind, len(rows), with_acceptance(findings, plan.accepted),
                       not_possible, thresholds,
                       (*rows.notes, *_masked(rows), *notes, *_unused(findings, plan.accepted)))


def _without_media(kind: str) -> str:
    return {"corpus": "IN has no shards; `emoprep segment` makes them",
            "shards": "no sound and no picture was looked at"}.get(kind, "IN has no shards")


def _measure(plan: AuditPlan, jobs: int, progress: Callable[[int, int], None]
             ) -> tuple[dict[int, Measured], Sequence[str]]:
    """Return what was measured, by row, and a note on samples that cannot be read."""
    place = {key: row for row, key in enumerate(plan.rows.keys)}
    measured: dict[int, Measured] = {}
    for number, shard in engine.run(measure_shard, plan.tasks, jobs=jobs, preload=PRELOAD, patience=PATIENCE_S,
                                    without=lambda task, key, cause: task.without(key, cause)):
        measured |= {place[one.key]: one for one in shard}
        progress(plan.tasks[number].utterances, 0)
    unread = [one for _, one in sorted(measured.items()) if one.unread]
    notes = [f"samples that cannot be read: {len(unread)}, first {unread[0].key}: {unread[0].unread}; "
             f"`emoprep verify` tells more"] if unread else []
    return dict(sorted(measured.items())), notes


def _masked(rows: Rows) -> list[str]:
    masked = len(rows) - len(rows.counting)
    return [f"utterances that count in no loss (loss_mask 0), and are not judged: {masked:,}"] if masked else []


def _unused(findings: Sequence[Finding], accepted: Mapping[str, str]) -> list[str]:
    """Tell of what is accepted and was not found: the reason may be out of date."""
    there = {finding.check for finding in findings}
    return [f"{name} is accepted, and nothing was found" for name in accepted if name not in there]
