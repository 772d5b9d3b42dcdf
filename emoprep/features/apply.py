"""What has to be fitted is fitted on train alone; then tables, scaler and manifest are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep import engine
from emoprep.contracts import Modality, modules
from emoprep.errors import EmoprepError, UsageError
from emoprep.features.describe import Descriptors, describe_shard, describe_tasks
from emoprep.features.plan import Choice, FeaturesPlan
from emoprep.features.write import FeaturesResult, earlier_result, of_split, seal, write_tables
from emoprep.formats.embeddings import read_embeddings
from emoprep.methods.nonfinite import replace_nonfinite, train_medians
from emoprep.methods.projection import one_blas_thread
from emoprep.store.folder import SKIPPED, Run, refuse_same, start_run, take_over
from emoprep.store.manifest import versions
from emoprep.store.tables import GROUP_ROWS

if TYPE_CHECKING:
    import pyarrow

__all__ = ["features"]


def features(plan: FeaturesPlan, out: Path, *, jobs: int = 1, overwrite: bool = False,
             progress: Callable[[int, int], None] = lambda done, skipped: None) -> FeaturesResult:
    """Carry out a plan: describe, fit on train, write the tables, the scaler and the manifest."""
    refuse_same(plan.store.path, out)
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            return earlier_result(out)
        index = plan.index()
        missing = [task for task in describe_tasks(plan, out, index) if run.finished(task.name) is None]
        for _ in engine.run(describe_shard, missing, jobs=jobs,
                            preload=("emoprep.features", "emoprep.media.encode", "PIL.JpegImagePlugin", "soundfile",
                                     "scipy.fft", "threadpoolctl")):
            progress(1, 0)
        return _write(plan, run, index)


def _write(plan: FeaturesPlan, run: Run, index: pyarrow.Table) -> FeaturesResult:
    rows = _Rows(plan, run.out, index)
    tables = write_tables(run.out, index, [choice.modality for choice in plan.choices], rows.pieces)
    if (plan.store.path / SKIPPED).is_file():
        take_over(plan.store.path / SKIPPED, run.out / SKIPPED)
    return seal(run, _manifest(plan, rows, tables), rows.absent)


class _Rows:
    """Every utterance's features: fitted on train, then transformed a few rows at a time."""

    def __init__(self, plan: FeaturesPlan, out: Path, index: pyarrow.Table):
        import pyarrow.compute as compute

        self.plan, self.index, self.descriptors = plan, index, Descriptors(out)
        train = of_split(index, "train")
        # A masked row (one that was excluded) is in no loss, and nothing is fitted on it.
        self.train = train.filter(compute.greater(train.column("loss_mask"), 0))
        if not self.train.num_rows:
            raise EmoprepError("the store has no train split, and features are fitted on train only",
                               where=str(plan.store.path), expected="train rows", got="none")
        self.notes, self.absent = list(plan.notes), {}
        self.files = {choice.modality: self._read(choice) for choice in plan.choices if choice.file is not None}
        self.fitted = {choice.modality: self._fit(choice) for choice in plan.choices if choice.file is None}

    def _raw(self, choice: Choice, part: pyarrow.Table) -> Iterator[np.ndarray | None]:
        for key, shard in zip(part.column("key").to_pylist(), part.column("shard").to_pylist(), strict=True):
            if choice.file is not None:
                yield self.files[choice.modality].get(key)
            else:
                yield self.descriptors.of(choice.modality, shard, key)

    def _fit(self, choice: Choice):
        module = modules("extractors")[f"{choice.modality}/{choice.extractor}"]
        with one_blas_thread():
            fitted = module.fit(lambda: (descriptor for descriptor in self._raw(choice, self.train)
                                         if descriptor is not None), choice.dim, self.plan.seed)
        self.notes += [f"{choice.modality}: {note}" for note in fitted.notes]
        return fitted

    def _read(self, choice: Choice) -> dict[str, np.ndarray]:
        """Read embeddings that were brought along, without NaN or infinity; medians are those of train."""
        found = read_embeddings(choice.file)
        train = [found[key] for key in self.train.column("key").to_pylist() if key in found]
        if not train:
            raise UsageError("no train utterance is among the embeddings", where=f"--add {choice.modality}",
                             expected=f"keys like {self.train.column('key')[0].as_py()}",
                             got=f"keys like {next(iter(found))}")
        as_steps = [values.reshape(-1, values.shape[-1]) for values in train]
        medians = train_medians(as_steps, np.ones(len(as_steps), bool))
        brought = {choice.modality: Modality(list(found.values()), np.ones(len(found), bool), choice.clock)}
        clean, notes = replace_nonfinite(brought, self.plan.nonfinite, found, {choice.modality: medians})
        self.notes += notes
        known = set(self.index.column("key").to_pylist())
        self.absent[choice.modality] = [key for key in self.index.column("key").to_pylist() if key not in found]
        if unknown := sum(key not in known for key in found):
            self.notes.append(f"{choice.modality}: keys of the file that are not in the store: {unknown}")
        mended = clean[choice.modality]
        left = {key: values for key, values, there in zip(found, mended.values, mended.present, strict=True) if there}
        if not left:
            raise UsageError("nothing is left of the embeddings", where=f"--add {choice.modality}",
                             got="NaN or infinity in every row", remedy="--nonfinite impute-median or zero keeps them")
        return left

    def dim(self, choice: Choice) -> int:
        if choice.file is None:
            return self.fitted[choice.modality].dim
        return next(iter(self.files[choice.modality].values())).shape[-1]

    def pieces(self, members: pyarrow.Table) -> Iterator[tuple[int, dict[str, Modality]]]:
        for start in range(0, members.num_rows, GROUP_ROWS):
            part = members.slice(start, GROUP_ROWS)
            yield part.num_rows, {choice.modality: self._modality(choice, part) for choice in self.plan.choices}

    def _modality(self, choice: Choice, part: pyarrow.Table) -> Modality:
        dim, vectors = self.dim(choice), choice.clock == "utterance"
        empty = np.zeros(dim if vectors else (1, dim), np.float32)
        transform = self.fitted[choice.modality].transform if choice.file is None else np.asarray
        raws = list(self._raw(choice, part))
        values = [empty if raw is None else transform(raw) for raw in raws]
        present = np.array([raw is not None for raw in raws], bool)
        return Modality(np.stack(values) if vectors else values, present, choice.clock)


def _manifest(plan: FeaturesPlan, rows: _Rows, tables: list[dict[str, Any]]):
    of = plan.store.manifest
    train_rows = rows.train.num_rows
    modalities = {}
    for choice in plan.choices:
        fitted = {} if choice.file else {"fitted_on": "train", "train_utterances": train_rows}
        modalities[choice.modality] = {"dim": rows.dim(choice), "clock": choice.clock, **choice.to_json(), **fitted}
    notes = list(rows.notes)
    for name, keys in rows.absent.items():
        if keys:
            notes.append(f"{name}: utterances that are not in the file: {len(keys)} ({', '.join(keys[:5])}"
                         + (" …)" if len(keys) > 5 else ")"))
    counts = {table["split"]: table["utterances"] for table in tables}
    return replace(of, kind="features", facts=plan.facts, counts=counts, modalities=modalities, shards=[],
                   tables=tables, written=sum(counts.values()), notes=notes,
                   versions=versions("numpy", "pyarrow", "scikit-learn", "scipy"))
