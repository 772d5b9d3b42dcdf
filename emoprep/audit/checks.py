"""What the audit looks at, by name, with its thresholds; what it found, and what was accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from emoprep.errors import UsageError

__all__ = ["CHECKS", "Check", "Example", "Finding", "read_accepted", "read_thresholds", "with_acceptance"]


@dataclass(frozen=True)
class Check:
    """What a finding of this name means, what to do about it, and its threshold with its meaning."""

    means: str
    mend: str
    threshold: float
    counts: str


_NONE_AT_ALL = "how many are let pass"

CHECKS = {
    "key-collision": Check(
        "keys are the same once the split is dropped from them",
        "keep the split in every key, file name and dictionary", 0, _NONE_AT_ALL),
    "time-overlap": Check(
        "utterances of two splits share time of one source",
        "leave these utterances out of train", 0.1, "seconds that two may share"),
    "same-time": Check(
        "rows have one source, start and end",
        "look at the clips: one of the rows has wrong times, or is a copy", 0, _NONE_AT_ALL),
    "same-time-other-label": Check(
        "rows have one source, start and end, and other labels",
        "look at the clips, and leave out the row whose times or label are wrong", 0, _NONE_AT_ALL),
    "speaker-overlap": Check(
        "speakers of one split speak in another",
        "split by speaker (`emoprep split IN OUT --by speaker`), or state that results are speaker-dependent", 0,
        "the share of a split's utterances that may be by speakers of the other"),
    "dialogue-overlap": Check(
        "a dialogue lies in two splits", "split by dialogue", 0, _NONE_AT_ALL),
    "session-overlap": Check(
        "a recording session lies in two splits",
        "split by session (IEMOCAP: `--protocol session5` for the test), or state it", 0, _NONE_AT_ALL),
    "episode-overlap": Check(
        "an episode lies in two splits",
        "state it, and check results by folds grouped by episode", 0, _NONE_AT_ALL),
    "text-overlap": Check(
        "texts of one split occur in another",
        "report results without these utterances too", 0.05, "the share of a split's utterances that may be so"),
    "long-text-overlap": Check(
        "texts of five words or more occur in another split",
        "report results without these utterances too; IEMOCAP: its improvised dialogues apart", 0.01,
        "the share of a split's texts of five words or more that may be so"),
    "dialogue-text-overlap": Check(
        "whole dialogues have the same texts in two splits",
        "leave these dialogues out of train", 3,
        "the utterances that a dialogue must have, unless episode and time are the same too"),
    "synthetic-leak": Check(
        "train has copies or synthetic children of dev or test utterances",
        "balance again, from the train split alone", 0, _NONE_AT_ALL),
    "resampled-before-split": Check(
        "rows that resampling made lie in dev or test, or copies of train rows do",
        "split first, and balance train alone", 0.01,
        "the share of dev or test that may be copies of train rows; a row known to be made is never let pass"),
    "fitted-on-more-than-train": Check(
        "a scaler or an extractor was fitted on more than train",
        "fit it on train alone (`emoprep features` does), and take the features again", 1e-3,
        "the deviations by which a mean, and the share by which a deviation, may differ from those of train"),
    "feature-duplicate": Check(
        "rows of two splits have the same features to the last bit",
        "leave these utterances out of train", 0, _NONE_AT_ALL),
    "label-sentiment": Check(
        "the emotion contradicts the sentiment", "look at the rows, and mend or mask them", 1,
        "from which a sentiment that is a number is positive, or from its negative on negative"),
    "sound-duplicate": Check(
        "utterances of two splits (of none, any two) have the same sound",
        "listen to the pair, and leave the one in train out", 0.2,
        "the share of the fingerprints' bits that may differ (half do between other sounds)"),
    "picture-duplicate": Check(
        "utterances of two splits (of none, any two) have the same moving pictures, perhaps mirrored",
        "look at the pair, and leave the one in train out", 0.9,
        "how alike the movements must be (1: equal)"),
    "too-short": Check(
        "utterances are shorter than a syllable", "leave them out, or mask them", 0.2, "seconds"),
    "too-long": Check(
        "utterances are far longer than a sentence", "look at the clip: the cut may be wrong", 60, "seconds"),
    "silent": Check(
        "the sound is silence", "leave the sound out (`has_audio` false), or cut from another track", -60,
        "dBFS, root mean square of the whole utterance"),
    "clipped": Check(
        "the sound is clipped", "cut from a source that is not, or mask", 0.01,
        "the share of samples within 5 % of full scale, where more are there than just below"),
    "frozen": Check(
        "the picture stands still", "look at the clip: its film may be damaged", 0.9,
        "the share of frames that are the one before"),
    "black": Check("the picture is black", "leave the picture out, or cut anew", 0.5, "the share of black frames"),
    "text-rate": Check(
        "nobody can say this text in this time", "look at the row: text or times are another's", 35,
        "letters and digits a second, for texts of ten or more"),
    "duration-differs": Check(
        "the clip is not as long as its row says", "look at the clip: it may hold another's words", 0.25, "seconds"),
    "av-length-differs": Check(
        "sound and picture are not of one length", "look at the clip; what is missing is silence in the sample", 0.25,
        "seconds of silence that fill it up"),
}
"""Each check. A finding is what is above the threshold (below it, for `silent` and `too-short`)."""


_SHARES = ("speaker-overlap", "text-overlap", "long-text-overlap", "resampled-before-split", "sound-duplicate",
           "picture-duplicate", "clipped", "frozen", "black")


class Example(NamedTuple):
    """The keys (or names) that a finding is about, and what there is to say of them."""

    keys: tuple[str, ...]
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that would make results wrong: how many (`unit`) of how many (`of`), in one split or between two.

    Between two splits the later one's are counted. `facts` are further numbers for programs. `reason` says why it is
    accepted, None where it is not.
    """

    check: str
    splits: tuple[str, ...]
    count: int
    unit: str
    of: int | None = None
    detail: str = ""
    examples: Sequence[Example] = ()
    facts: Mapping[str, Any] | None = None
    reason: str | None = None

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """Return what `--json` prints; at most so many examples."""
        document = {"check": self.check, "splits": list(self.splits), "count": self.count, "unit": self.unit,
                    "of": self.of, "detail": self.detail, **(self.facts or {}),
                    "examples": [{"keys": list(one.keys), "detail": one.detail} for one in self.examples[:most]],
                    "accepted": self.reason is not None}
        return document | ({"reason": self.reason} if self.reason is not None else {})


def read_thresholds(given: Iterable[str]) -> dict[str, float]:
    """Return the threshold of each check, those given as "NAME=NUMBER" instead of the defaults.

    >>> read_thresholds(["too-long=30"])["too-long"]
    30.0
    """
    thresholds = {name: check.threshold for name, check in CHECKS.items()}
    for name, text in _pairs(given, "--threshold", "NAME=NUMBER"):
        try:
            thresholds[name] = float(text)
        except ValueError:
            thresholds[name] = math.nan
        low, high = -200.0 if name == "silent" else 0.0, 1.0 if name in _SHARES else math.inf
        if not (math.isfinite(thresholds[name]) and low <= thresholds[name] <= high):
            least = f"from {low:g} to {high:g}" if high == 1 else f"of at least {low:g}"
            raise UsageError("this threshold is not possible", where=f"--threshold {name}", got=repr(text),
                             expected=f"a number {least}: {CHECKS[name].counts}")
    return thresholds


def read_accepted(given: Iterable[str]) -> dict[str, str]:
    """Return the reason for which each check is accepted, from "NAME=REASON".

    >>> read_accepted(["speaker-overlap=MELD is split by dialogue"])
    {'speaker-overlap': 'MELD is split by dialogue'}
    """
    reasons = {}
    for name, reason in _pairs(given, "--accept", "NAME=REASON"):
        if not re.search(r"[^\W\d_]", reason):
            raise UsageError("a finding is accepted with a reason", where=f"--accept {name}", got=repr(reason),
                             expected="words that tell whoever reads the results why this is no mistake")
        reasons[name] = " ".join(reason.split())
    return reasons


def _pairs(given: Iterable[str], option: str, form: str):
    for text in given:
        name, equals, value = text.partition("=")
        if name not in CHECKS:
            raise UsageError("no such check", where=option, got=name, expected=", ".join(CHECKS))
        if not equals:
            raise UsageError("this says nothing of the check", where=option, got=text, expected=form)
        yield name, value


def with_acceptance(findings: Iterable[Finding], accepted: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return the findings, each with the reason for which its check is accepted."""
    return tuple(replace(finding, reason=accepted.get(finding.check)) for finding in findings)
