"""The store against the corpus that it was cut from: is it the same corpus, and which source holds what of it?

What the sources show and sound like at those times is found out anew, and not by the code that cuts: `picture.py` and
`sound.py` decode every picture and every sample, and compute from the clock's formula what each frame must be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from emoprep import engine
from emoprep.contracts import Corpus, find
from emoprep.corpora import annotation_digests, open_corpus
from emoprep.errors import UsageError
from emoprep.store.folder import MANIFEST
from emoprep.store.index import MEDIA_COLUMNS, index_row
from emoprep.store.manifest import Store
from emoprep.utterance import Utterance
from emoprep.verify.findings import Findings, listed
from emoprep.verify.folder import read_skips
from emoprep.verify.shard import Checked

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow

__all__ = ["SourceTask", "Use", "check_source", "plan_deep"]

# Skip reasons of utterances whose media were tried: the manifest's digest of the media counts them in. (Of those that
# are too long it does so only where that showed in the file.)
TRIED = ("undecodable", "beyond-the-source", "length-mismatch", "decode-timeout", "worker-died")

# What cutting adds to the annotation's own.
CUT_COLUMNS = {*MEDIA_COLUMNS, "flags", "loss_mask"}


class Use(NamedTuple):
    """What an utterance has from a source: from `start` on (seconds there), as its index row says how much.

    `whole` is set where the utterance is the whole file and its length must be that of this source.
    """

    key: str
    shard: str
    start: Fraction
    view: str | None
    row: Mapping[str, Any]
    whole: bool


@dataclass(frozen=True)
class SourceTask:
    """The pictures or the sound of one file, and the utterances that have some of it."""

    store: str
    root: str
    path: str
    what: str
    uses: tuple[Use, ...]
    settings: Mapping[str, Any]
    dead: tuple[tuple[str, str], ...] = ()

    def __str__(self):
        return f"{self.path} ({self.what})"

    @property
    def utterances(self) -> int:
        return len(self.uses)

    def without(self, place: str, cause: str) -> SourceTask:
        return replace(self, dead=(*self.dead, (place, cause)))


def check_source(task: SourceTask) -> Checked:
    """Check what the store has of one source. Runs in a worker."""
    from emoprep.verify.picture import check_pictures
    from emoprep.verify.sound import check_sounds

    findings = Findings()
    engine.at(task.path)
    if task.dead:
        findings.add("worker", task.path, task.dead[-1][1])
    else:
        with findings.guarded("source", task.path):
            (check_pictures if task.what == "pictures" else check_sounds)(task, findings)
    engine.at("")
    return Checked(tuple(findings.all), len(task.uses))


def plan_deep(store: Store, index: pyarrow.Table | None, source: Path, findings: Findings) -> tuple[SourceTask, ...]:
    """Compare the index with the corpus, and list the sources whose pictures or sound are to be looked at.

    Raises UsageError where the store was not cut from a corpus.
    """
    settings = store.manifest.facts["settings"]
    if store.manifest.kind != "shards" or store.manifest.facts["command"] != "segment":
        raise UsageError("this store was not cut from a corpus", where="--deep",
                         expected="what `emoprep segment` wrote", got=f"a store of {store.manifest.facts['command']}",
                         remedy="check the store that it was made from, whose samples it has byte for byte")
    recipe = None
    with findings.guarded("manifest", MANIFEST):
        recipe = _recipe(settings)
    if index is None or recipe is None:
        return ()
    options = find("corpora", str(settings.get("corpus")), MANIFEST).OPTIONS
    _, corpus = open_corpus(source, settings["corpus"], {name: settings[name] for name in options if name in settings})
    rows = {row["key"]: row for row in index.to_pylist()}
    _compare_inputs(store, corpus, rows, findings)
    for key in rows.keys() - {utterance.key for utterance in corpus.utterances}:
        findings.add("annotation-differs", key, "the corpus has no such utterance")
    uses: dict[tuple[str, str], list[Use]] = {}
    for utterance in corpus.utterances:
        row = rows.get(utterance.key)
        if row is None:
            continue  # --limit left it out
        _compare_row(utterance, corpus, row, recipe["truncate"], findings)
        if row["shard"] is not None:
            _check_there(utterance, row, findings)
            for place, use in _uses(utterance, row, store.manifest.modalities):
                uses.setdefault(place, []).append(use)
    return tuple(SourceTask(str(store.path), str(corpus.root), path, what, tuple(found), recipe)
                 for (path, what), found in uses.items())


def _recipe(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the media were made, with exact numbers; raises what a manifest that is none makes it raise."""
    recipe = {"fps": Fraction(settings["fps"]), "size": settings["size"], "fit": settings["fit"],
              "sample_rate": settings["sample_rate"], "downmix": settings["downmix"],
              "truncate": None if settings["truncate"] is None else Fraction(settings["truncate"])}
    if not (0 < recipe["fps"] <= 1000 and 16 <= recipe["size"] <= 2048 and 4000 <= recipe["sample_rate"] <= 192_000):
        raise ValueError("fps, size or sample_rate is none that segment takes")
    return recipe


def _compare_inputs(store: Store, corpus: Corpus, rows: Mapping[str, Any], findings: Findings) -> None:
    """Compare the annotation and the media with what the manifest says of them; see `segment.plan`."""
    inputs = store.manifest.facts["inputs"]
    told, there = inputs.get("annotation"), annotation_digests(corpus)
    if told != there:
        told = told if isinstance(told, Mapping) else {}
        other = sorted(name for name in {*told, *there} if told.get(name) != there.get(name))
        findings.add("annotation-changed", listed(other), "it is not what the store was cut from")
    skips = read_skips(store, Findings()) or {}
    digest, total, files = hashlib.sha256(), 0, 0
    chosen = [utterance for utterance in corpus.utterances
              if utterance.key in rows and (
                  rows[utterance.key]["shard"] is not None or skips.get(utterance.key) in TRIED
                  or (skips.get(utterance.key) == "too-long" and utterance.end is None))]
    for path in dict.fromkeys(path for utterance in chosen for path in (utterance.video, utterance.audio) if path):
        try:
            size = (corpus.root / path).stat().st_size
        except OSError as error:
            findings.add("media-changed", path, error.strerror or error)
            continue
        digest.update(f"{path}\0{size}\n".encode())
        total, files = total + size, files + 1
    now = {"files": files, "bytes": total, "sha256": digest.hexdigest()}
    if inputs.get("media") != now:
        was = inputs.get("media") if isinstance(inputs.get("media"), Mapping) else {}
        findings.add("media-changed", corpus.root.name, f"{was.get('files')} files of {was.get('bytes')} bytes then, "
                                                        f"{files} of {total} now; paths or sizes differ")


def _compare_row(utterance: Utterance, corpus: Corpus, row: Mapping[str, Any], truncate: Fraction | None,
                 findings: Findings) -> None:
    expected = index_row(utterance, corpus.schemes)
    if other := [name for name in expected if name not in CUT_COLUMNS and row.get(name) != expected[name]]:
        findings.add("annotation-differs", utterance.key,
                     "; ".join(f"{name} is {row.get(name)!r}, and the annotation says {expected[name]!r}"
                               for name in other[:3]))
    if row["shard"] is None:
        return
    start = utterance.start or Fraction(0)
    if row["start"] != float(start):
        findings.add("source-length", utterance.key, f"it starts at {row['start']}, and the annotation says "
                                                     f"{float(start)}")
    if utterance.end is not None:
        seconds = utterance.end - start
        seconds = seconds if truncate is None else min(seconds, truncate)
        if row["end"] != float(start + seconds):
            findings.add("source-length", utterance.key, f"it ends at {row['end']}, and the annotation says "
                                                         f"{float(start + seconds)}")


def _check_there(utterance: Utterance, row: Mapping[str, Any], findings: Findings) -> None:
    """Check that what has been cut still has a file to be cut from."""
    for what, path in (("video", utterance.video), ("audio", utterance.audio)):
        if row[f"has_{what}"] and path is None:
            findings.add("source", utterance.key, f"has_{what} is true, and the corpus has no file for it any more")


def _uses(utterance: Utterance, row: Mapping[str, Any], modalities: Mapping[str, Any]
          ) -> Iterator[tuple[tuple[str, str], Use]]:
    """Yield what an utterance has from its film, and from its sound file or the film's own sound."""
    known = utterance.start is not None
    zero = Fraction(0)
    if utterance.video is not None and "video" in modalities:
        yield (utterance.video, "pictures"), Use(
            utterance.key, row["shard"], utterance.start + utterance.video_shift if known else zero, utterance.view,
            row, whole=not known)
    if utterance.audio is not None and "audio" in modalities:
        # Of a whole film, the sound beside it is what lies where the film is 0 and as long as the film lasts.
        with_film = utterance.video is not None and "film-undecodable" not in row["flags"]
        start = utterance.start + utterance.audio_shift if known \
            else utterance.audio_shift - utterance.video_shift if with_film else zero
        yield (utterance.audio, "sound"), Use(utterance.key, row["shard"], start, None, row,
                                              whole=not known and not row["has_video"])
