"""What verify looks at, by name, and what it found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["CHECKS", "Finding", "Findings"]

CHECKS = {
    "manifest": "`manifest.json` can be read, and each entry is of its kind",
    "fingerprint": "the fingerprint is that of the command, the settings and the inputs",
    "missing-file": "every file that the manifest implies is there",
    "stray-file": "no shard or table that the manifest does not list, no draft, no `.emoprep/`",
    "size": "shards and tables are as long as the manifest says",
    "sha256": "shards, tables and `faces.parquet` have the bytes that the manifest says",
    "index": "`utterances.parquet` can be read, with the columns and types of the manifest",
    "keys": "keys can name a sample, and none comes twice",
    "turns": "turns count each dialogue's utterances from 0 without gaps, in the order of the index",
    "dialogues": "no dialogue lies in two shards, and none in two splits",
    "counts": "utterances of each split, of each shard and in all are as many as the manifest says",
    "skips": "`skipped.jsonl` and the manifest name the utterances without a sample, and no others",
    "media-columns": "times, frames and samples stand in the index where there is a sample, and only there",
    "clock": "frames and samples follow from start, end, fps and sample rate",
    "labels": "each `y_` column follows from the annotation by its label scheme",
    "tar": "shards can be read to their end, and hold plain files only",
    "samples": "every sample of the index is in its shard, every sample of a shard in the index, in one order",
    "members": "every sample has the members that the store's modalities imply",
    "json": "`.json` can be read, has the same keys everywhere, and the types and values of the index row",
    "text": "`.txt` is the text of the index",
    "words": "`.words.json` is a list of words with their times",
    "strip": "the film strip decodes to its frames in its columns; it is black where there is no picture",
    "faces": "`.faces.jpg` decodes to the shape of the strip",
    "sound": "the sound decodes to its samples, mono, 16 bit; it is silent where there is none",
    "table": "feature tables can be read, and have the rows of the index in its order",
    "features": "features have their dimension, are finite, and zero where `has_…` is false",
    "scaler": "`scaler.npz` has a mean and a deviation for each dimension",
    "balance": "`plan.parquet`, the class weights and the sampler can be read and fit the index and each other; what "
               "was made has train rows as parents",
    "worker": "no piece kills or stops the process that reads it",
    "annotation-changed": "the annotation is the one that the store was cut from",
    "media-changed": "the media have the paths and sizes that they had then",
    "annotation-differs": "the index says of each utterance what the annotation says",
    "source": "the media can still be decoded",
    "source-length": "an utterance is as long as the annotation or, where it is a whole file, the file says",
    "source-picture": "each frame shows the picture that is on screen at its time, by its brightness",
    "source-sound": "the sound is the source's, to within one sample",
}
"""Each check, and what holds where it finds nothing."""

LONGEST = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: the check, the file or key, and what was found there."""

    check: str
    where: str
    detail: str


class Findings:
    """Findings as they come; no check stops at the first."""

    def __init__(self):
        self.all: list[Finding] = []

    def add(self, check: str, where: object, detail: object) -> None:
        self.all.append(Finding(check, _plain(where), _plain(detail)))

    @contextlib.contextmanager
    def guarded(self, check: str, where: object) -> Iterator[None]:
        """Make whatever is raised in the block a finding.

        The block hands bytes that may be anything to libraries that raise anything.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - see above
            self.add(check, where, str(error) or type(error).__name__)


def _plain(text: object) -> str:
    """Return text that cannot steer a terminal, at most 300 characters of it.

    >>> _plain("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    shown = str(text)[:LONGEST + 1]
    plain = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in shown)
    return plain if len(plain) <= LONGEST else plain[:LONGEST] + "…"


def listed(names: Iterable[object], most: int = 3) -> str:
    """Return the first names, and how many more there are.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
