"""A processed set of somebody else's, brought into a store as it is: nothing is extracted or fitted.

Rows are taken as a stream: a row group is gathered, written and let go.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import Modality, Processed, modules
from emoprep.features.medians import streamed_medians
from emoprep.features.write import FeaturesResult, earlier_result, seal, write_tables
from emoprep.methods.nonfinite import check_policy, replace_nonfinite
from emoprep.processed import open_processed
from emoprep.store.folder import start_run
from emoprep.store.index import index_row, schema
from emoprep.store.manifest import Manifest, versions
from emoprep.store.tables import GROUP_ROWS

if TYPE_CHECKING:
    import pyarrow

__all__ = ["BringPlan", "bring", "is_pickle", "make_plan", "plan_bring"]

DEFAULT_POLICY = "zero"
"""What is done about NaN and infinity unless asked: what MMSA, MulT and the CMU-MultimodalSDK do."""

GROUP_BYTES = 2 ** 26
"""A row group ends before 500 rows where its features are larger than this, so that memory stays bounded."""


@dataclass(frozen=True)
class BringPlan:
    """What will be written: a processed set, the settings that decide its bytes, and what its manifest tells.

    `size` is that of the files that it comes from, in bytes.
    """

    processed: Processed
    facts: dict[str, Any]
    nonfinite: str
    title: str
    licence: str
    citation: str
    size: int

    def counts(self) -> dict[str, int]:
        """Return the utterances of each split, in order; "all" are those without one."""
        return dict(Counter(utterance.split or "all" for utterance in self.processed.corpus.utterances))

    def seconds(self) -> float:
        """Return the seconds of all utterances whose times are known."""
        return round(sum(utterance.seconds or 0 for utterance in self.processed.corpus.utterances), 3)


def is_pickle(source: Path) -> bool:
    """Tell by its name whether IN is a pickle, and so to be brought.

    >>> is_pickle(Path("aligned_50.pkl")), is_pickle(Path("shards/meld"))
    (True, False)
    """
    return source.suffix.lower() in (".pkl", ".pickle") and not source.is_dir()


def plan_bring(source: Path, *, nonfinite: str | None = None, seed: int = 0) -> BringPlan:
    """Read a pickle of features in whichever known format it is, and decide how it is brought; writes nothing.

    Raises as `processed.open_processed`. `nonfinite` says what is done about NaN and infinity ("zero" unless said).
    """
    check_policy(nonfinite or DEFAULT_POLICY)
    module, processed = open_processed(source)
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return make_plan(processed, inputs={"annotation": {source.name: digest}}, size=source.stat().st_size,
                     nonfinite=nonfinite, seed=seed, module=module)


def make_plan(processed: Processed, *, inputs: Mapping[str, Any], size: int, nonfinite: str | None = None,
              seed: int = 0, module: ModuleType | None = None) -> BringPlan:
    """Return the plan for a processed set; `inputs` has the digests of what it was read from, `size` its bytes.

    `module` is the format's, None where the features come with the corpus. Title, licence and citation are the
    corpus's, where it is known, and the format's.
    """
    policy, name = check_policy(nonfinite or DEFAULT_POLICY), processed.corpus.name
    told = [known for known in (modules("corpora").get(name), module) if known is not None]
    facts = {"command": "features", "inputs": dict(inputs), "settings": {
        "corpus": name, **({"format": module.NAME} if module else {}), "seed": seed, "nonfinite": policy,
        **processed.corpus.settings, **processed.settings}}
    return BringPlan(processed, facts, policy, told[0].TITLE, "; ".join(known.LICENCE for known in told),
                     "\n\n".join(known.CITATION for known in told if known.CITATION), size)


def bring(plan: BringPlan, out: Path, *, overwrite: bool = False,
          progress: Callable[[int, int], None] = lambda done, skipped: None) -> FeaturesResult:
    """Carry out a plan: write the tables, the index, the scaler of train, the card and the manifest."""
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            return earlier_result(out)
        rows = _Rows(plan, progress)
        tables = write_tables(run.out, _index(plan), plan.processed.modalities, rows.pieces)
        return seal(run, _manifest(plan, rows, tables))


def _index(plan: BringPlan) -> pyarrow.Table:
    import pyarrow

    corpus = plan.processed.corpus
    rows = [index_row(utterance, corpus.schemes,
                      start=None if utterance.start is None else float(utterance.start),
                      end=None if utterance.end is None else float(utterance.end)) for utterance in corpus.utterances]
    return pyarrow.Table.from_pylist(rows, schema=schema(corpus.annotation, corpus.schemes))


class _Rows:
    """The rows of a set, a group at a time and without NaN or infinity, and what was done to them."""

    def __init__(self, plan: BringPlan, progress: Callable[[int, int], None]):
        self.plan, self.progress = plan, progress
        self.medians = _medians(plan) if plan.nonfinite == "impute-median" else None
        self.rows = plan.processed.rows()
        self.absent: Counter[str] = Counter()
        self.had: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.broken: dict[str, list[str]] = {}

    def pieces(self, members: pyarrow.Table) -> Iterator[tuple[int, dict[str, Modality]]]:
        keys, group, size = [], [], 0
        names = members.column("key").to_pylist()
        for key, row in zip(names, itertools.islice(self.rows, len(names)), strict=True):
            keys.append(key)
            group.append(row)
            size += sum(values.nbytes for values in row.values())
            if len(group) == GROUP_ROWS or size > GROUP_BYTES:
                yield self._piece(keys, group)
                keys, group, size = [], [], 0
        if group:
            yield self._piece(keys, group)

    def _piece(self, keys: list[str], group: list[Mapping[str, np.ndarray]]) -> tuple[int, dict[str, Modality]]:
        features = {name: _modality(group, name, how) for name, how in self.plan.processed.modalities.items()}
        clean, _ = replace_nonfinite(features, self.plan.nonfinite, keys, self.medians)
        for name, modality in clean.items():
            had = int(features[name].present.sum())
            self.absent[name] += int((~modality.present).sum())
            self.had[name] += had
            self.dropped[name] += had - int(modality.present.sum())
            if modality is not features[name]:
                self.broken.setdefault(name, []).extend(
                    key for key, row in zip(keys, group, strict=True)
                    if name in row and not np.isfinite(row[name]).all())
        self.progress(len(group), 0)
        return len(group), clean

    def notes(self) -> list[str]:
        return [f"{name}: NaN or infinity in {len(keys)} rows (first {keys[0]}): {self.plan.nonfinite}"
                for name, keys in self.broken.items()] \
            + [f"{name}: utterances without it: {number}" for name, number in self.absent.items() if number] \
            + [f"{name}: more than half of the utterances that have it lose it to --nonfinite drop: {number} of "
               f"{self.had[name]}; --nonfinite zero or impute-median keeps it"
               for name, number in self.dropped.items() if 2 * number > self.had[name]]


def _modality(group: list[Mapping[str, np.ndarray]], name: str, how: Mapping[str, Any]) -> Modality:
    vectors = how["clock"] == "utterance"
    empty = np.zeros(how["dim"] if vectors else (1, how["dim"]), np.float32)
    values = [row.get(name, empty) for row in group]
    return Modality(np.stack(values) if vectors else values, np.array([name in row for row in group], bool),
                    how["clock"])


def _medians(plan: BringPlan) -> dict[str, np.ndarray]:
    processed = plan.processed
    train = sum(utterance.split == "train" for utterance in processed.corpus.utterances)
    return streamed_medians(lambda: itertools.islice(processed.rows(), train),
                            {name: how["dim"] for name, how in processed.modalities.items()})


def _manifest(plan: BringPlan, rows: _Rows, tables: list[dict[str, Any]]) -> Manifest:
    processed = plan.processed
    corpus = processed.corpus
    return Manifest(
        corpus=corpus.name, title=plan.title, kind="features", facts=plan.facts,
        counts={table["split"]: table["utterances"] for table in tables},
        written=sum(table["utterances"] for table in tables),
        modalities={name: dict(how) for name, how in processed.modalities.items()},
        schemes={scheme.name: scheme for scheme in corpus.schemes}, annotation=dict(corpus.annotation), tables=tables,
        citation=plan.citation, licence=plan.licence, versions=versions(*processed.versions),
        notes=[*corpus.notes, *rows.notes()])
