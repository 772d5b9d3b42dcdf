"""Where an utterance is looked up: a store, or a raw corpus, of which the one utterance is cut for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emoprep.corpora import open_corpus
from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.labels import LabelScheme
from emoprep.sample import Opened, near_keys, open_sample
from emoprep.segment import SegmentPlan, plan_segment, segment
from emoprep.store.index import index_row
from emoprep.store.manifest import Manifest, Store, is_store, open_store
from emoprep.utterance import Utterance

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Source", "open_source"]

DECODE_TIMEOUT_S = 300.0
NAMED = 8  # keys that an error lists


class Source(NamedTuple):
    """What an utterance is looked up in.

    `kind` is that of the store, or "corpus". `places` has `key`, `dialogue` and `turn` of all utterances;
    `rows(keys)` returns index rows, `open(key)` an utterance with its media. `manifest` is None for a corpus.
    """

    path: Path
    kind: str
    corpus: str
    schemes: Mapping[str, LabelScheme]
    annotation: Mapping[str, str]
    places: pyarrow.Table
    rows: Callable[[Sequence[str]], list[dict[str, Any]]]
    open: Callable[[str], Opened]
    store: Store | None = None

    def key(self, asked: str) -> str:
        """Return the key that is asked for, whole or by its end.

        Raises UsageError where there is none, or several end so.
        """
        import pyarrow.compute as compute

        keys = self.places.column("key")
        if compute.index(keys, asked).as_py() >= 0:
            return asked
        # "_" before it: "utt1" must not be taken for the end of "dia0_xutt1".
        ends = keys.filter(compute.ends_with(keys, "_" + asked)).slice(0, NAMED + 1).to_pylist() if asked else []
        if len(ends) == 1:
            return ends[0]
        if ends:
            raise UsageError("several utterances end so", where=str(self.path), got=asked,
                             expected=" or ".join(ends[:NAMED]) + (" or more" if len(ends) > NAMED else ""),
                             remedy="give the whole key")
        raise UsageError("IN has no such utterance", where=str(self.path), got=ascii(asked[:200]),
                         expected=" or ".join(near_keys(asked, keys)))


def open_source(path: Path, corpus: str | None = None, options: Mapping[str, str] | None = None) -> Source:
    """Open a store or a raw corpus; media are opened when an utterance is."""
    if not is_store(path):
        return _of_corpus(path, corpus, options)
    if options:
        raise UsageError("IN is a store, and cut already", where=f"--{next(iter(options))}",
                         remedy="give this option to `emoprep segment`")
    store = open_store(path)
    told: Manifest = store.manifest
    if corpus not in (None, told.corpus):
        raise UsageError("the store is of another corpus", where="--corpus", expected=told.corpus, got=corpus)
    return Source(path, told.kind, told.corpus, told.schemes, told.annotation,
                  _places(store), store.rows, lambda key: open_sample(store, key), store)


def _places(store: Store) -> pyarrow.Table:
    import pyarrow

    types = pyarrow.schema({"key": pyarrow.string(), "dialogue": pyarrow.string(), "turn": pyarrow.int32()})
    try:
        places = store.index(types.names).cast(types)
        places.validate(full=True)
        if places.column("key").null_count:
            raise ValueError("an utterance has no key")
        return places
    except (ValueError, TypeError, NotImplementedError) as error:  # of pyarrow: other types, or no UTF-8
        raise EmoprepError("the index cannot be read", where=str(store.path), got=str(error)[:200],
                           remedy="run `emoprep verify` on the store") from error


def _of_corpus(path: Path, corpus: str | None, options: Mapping[str, str] | None) -> Source:
    import pyarrow

    try:
        # The folder is only named in the plan until the one shard is cut.
        plan = plan_segment(path, Path(tempfile.gettempdir()), corpus=corpus, options=dict(options or {}),
                            decode_timeout=DECODE_TIMEOUT_S)
        read = plan.corpus
    except MissingInput:  # of the annotation without media; where that is missing too, it is said now
        plan, read = None, open_corpus(path, corpus, options)[1]
    utterances = {utterance.key: utterance for utterance in read.utterances}
    places = pyarrow.table({name: [getattr(utterance, name) for utterance in read.utterances]
                            for name in ("key", "dialogue", "turn")})
    return Source(path, "corpus", read.name, {scheme.name: scheme for scheme in read.schemes}, read.annotation, places,
                  lambda keys: [index_row(utterances[key], read.schemes) for key in keys],
                  lambda key: _cut(plan, utterances[key], read.schemes))


def _cut(plan: SegmentPlan | None, utterance: Utterance, schemes: Sequence[LabelScheme]) -> Opened:
    """Return an utterance of a raw corpus, cut as `segment` cuts it by default: into a store of one sample."""
    task = plan and next((task for task in plan.tasks if utterance in task.utterances), None)
    if not task:
        skip = next((skip for skip in plan.skips if skip.key == utterance.key), None) if plan else None
        return Opened(utterance.key, index_row(utterance, schemes),
                      reason=f"{skip.reason}: {skip.detail}" if skip else "its part of the corpus has no media")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "store"
        alone = replace(task, out=str(out), utterances=(utterance,), sizes={
            path: size for path, size in task.sizes.items() if path in (utterance.video, utterance.audio)})
        segment(replace(plan, tasks=(alone,), skips=()), out, max_skipped="100%")
        opened = open_sample(open_store(out), utterance.key)
    return replace(opened, row={**opened.row, "shard": None})
