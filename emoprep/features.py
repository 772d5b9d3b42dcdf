"""`emoprep features`: store of shards → store of feature vectors or sequences.

Each shard is described in a worker (sample → descriptor), then what has to be fitted is fitted on the train
descriptors alone, and the tables are written split by split, a shard at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep import engine
from emoprep.contracts import Modality, find_extractor, modules
from emoprep.embeddings import read_embeddings
from emoprep.errors import EmoprepError, UsageError
from emoprep.nonfinite import check_policy, replace_nonfinite, train_medians
from emoprep.store.card import card
from emoprep.store.folder import CARD, INDEX, STATE, Run, draft, start_run, write_bytes
from emoprep.store.manifest import Store, open_store, versions
from emoprep.store.shards import read_shard
from emoprep.store.tables import has_column, read_table, write_table
from emoprep.utterance import SPLITS, Sample, check_key

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FeaturesPlan", "FeaturesResult", "features", "plan_features"]

NOT_CUT = "rows-without-a-sample"


@dataclass(frozen=True)
class Choice:
    """An extractor with its settings, or embeddings that were brought along (then `file` names them)."""

    modality: str
    extractor: str
    settings: dict[str, Any]
    clock: str
    dim: int | None = None
    file: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest records: no path, since the folder may move."""
        recorded = {name: value for name, value in self.settings.items() if name != "argument"}
        return {"extractor": self.extractor, "asked_dim": self.dim, **recorded}


@dataclass(frozen=True)
class FeaturesPlan:
    store: Store
    choices: tuple[Choice, ...]
    seed: int
    nonfinite: str
    facts: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FeaturesResult:
    out: str
    corpus: str
    counts: dict[str, int]
    modalities: dict[str, dict[str, Any]]
    missing: dict[str, list[str]]
    notes: tuple[str, ...]
    fresh: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"schema": "emoprep.features/1", "corpus": self.corpus, "out": self.out, "counts": self.counts,
                "modalities": self.modalities, "missing": self.missing, "notes": list(self.notes),
                "fresh": self.fresh}


# ------------------------------------------------------------------------------------------- deciding

def plan_features(source: Path, *, extractors: Mapping[str, str | None] | None = None, pool: str | None = None,
                  dims: Mapping[str, int] | None = None, add: Mapping[str, Path] | None = None, seed: int = 0,
                  nonfinite: str = "impute-median") -> FeaturesPlan:
    """Decide which extractor makes each modality; nothing is decoded.

    `extractors` maps a modality to what `--audio`, `--video` or `--text` said ("none" leaves it out, None
    takes the default); `add` maps a modality's name to a file of embeddings, which then stands for it.
    """
    store = open_store(source)
    if store.manifest.kind != "shards":
        raise UsageError("IN has no shards to take features from", where=str(source),
                         expected="a store that `emoprep segment` made", got=f"a store of {store.manifest.kind}")
    check_policy(nonfinite)
    add, dims, notes, choices = dict(add or {}), dict(dims or {}), [], []
    asked = dict(extractors or {})
    for modality in ("audio", "video", "text"):
        if modality in add:
            if asked.get(modality) is not None:
                raise UsageError("an extractor and embeddings for one modality", where=f"--add {modality}",
                                 got=f"--{modality} {asked[modality]}", remedy="leave one of the two out")
            continue
        if asked.get(modality) == "none":
            continue
        if modality not in store.manifest.modalities:
            if asked.get(modality) is not None:
                raise UsageError("the store has no such modality", where=f"--{modality}",
                                 expected=", ".join(store.manifest.modalities), got=modality)
            continue
        choices.append(_choice(store, modality, asked.get(modality), pool, dims, notes))
    choices += [_added(name, path, dims) for name, path in add.items()]
    unknown = sorted(set(dims) - {choice.modality for choice in choices})
    if unknown:
        raise UsageError("no such modality here", where="--dims", got=", ".join(unknown),
                         expected=", ".join(choice.modality for choice in choices))
    if not choices:
        raise UsageError("no modality is left to take features from", where=str(source))
    facts = {"command": "features",
             "settings": {"corpus": store.manifest.corpus, "seed": seed, "nonfinite": nonfinite,
                          **{choice.modality: choice.to_json() for choice in choices}},
             "inputs": {"store": store.fingerprint}}
    return FeaturesPlan(store, tuple(choices), seed, nonfinite, facts, tuple(notes))


def _choice(store, modality, text, pool, dims, notes) -> Choice:
    if text is None:
        module, argument = next(module for module in modules("extractors").values()
                                if modality == module.MODALITY and module.DEFAULT), None
    else:
        module, argument = find_extractor(modality, text)
    used = pool or module.POOLS[0]
    if pool is not None and pool not in module.POOLS:
        used = module.POOLS[0]
        notes.append(f"{modality}: {module.NAME.rstrip(':')} knows no --pool {pool}; it takes {used}")
    settings = module.prepare(argument, used)
    fps = store.manifest.modalities.get("video", {}).get("fps") or 10.0
    return Choice(modality, module.NAME, {"pool": used, **settings}, module.clock(settings, fps),
                  dims.get(modality, module.DIM))


def _added(name: str, path: Path, dims) -> Choice:
    check_key(name, "--add")
    if name in dims:
        raise UsageError("embeddings keep their own dimension", where="--dims", got=name,
                         remedy=f"leave {name} out of --dims")
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    values = next(iter(read_embeddings(path).values()))
    # Whose clock a brought sequence follows is not known: it is stretched by itself.
    clock = "utterance" if values.ndim == 1 else "own"
    return Choice(name, "file", {"file": path.name, "sha256": digest}, clock, file=path)


# ------------------------------------------------------------------------------------------ describing

@dataclass(frozen=True)
class DescribeTask:
    """A shard to describe, or (without one) the texts of utterances that have no sample."""

    name: str
    out: str
    shard: str | None
    texts: tuple[tuple[str, str], ...]
    choices: tuple[Choice, ...]

    def __str__(self):
        return self.name


def describe_shard(task: DescribeTask) -> dict[str, Any]:
    """Describe all samples of a shard and keep the descriptors as a piece. Runs in a worker."""
    from emoprep.projection import one_blas_thread

    descriptors: dict[str, list[tuple[str, np.ndarray]]] = {choice.modality: [] for choice in task.choices}
    extractors = [(choice, modules("extractors")[f"{choice.modality}/{choice.extractor}"]) for choice in task.choices]
    with one_blas_thread():
        for sample in _samples(task):
            for choice, extractor in extractors:
                descriptor = extractor.describe(sample, choice.settings)
                if descriptor is not None:
                    descriptors[choice.modality].append((sample.key, descriptor))
    path = _piece(Path(task.out), task.name)
    with draft(path) as sketch, sketch.open("wb") as file:
        np.savez(file, **{f"{modality}/{number:06d}/{key}": descriptor for modality, found in descriptors.items()
                          for number, (key, descriptor) in enumerate(found)})
    Run(Path(task.out), complete=False).finish(task.name, {
        "files": {str(path.relative_to(task.out)): path.stat().st_size}})
    return {}


def _piece(out: Path, name: str) -> Path:
    return out / STATE / "descriptors" / f"{name}.npz"


def _samples(task: DescribeTask) -> Iterator[Sample]:
    import json

    from emoprep.media.encode import decode_flac, decode_strip

    if task.shard is None:
        for key, text in task.texts:
            yield Sample(key, text if text.strip() else None, None, 1.0, None, 1)
        return
    wants = {choice.modality for choice in task.choices}
    for key, members in read_shard(Path(task.shard)):
        try:
            row, text = json.loads(members["json"]), members["txt"].decode()
            frames = samples = None
            if "video" in wants and row["has_video"]:
                frames = decode_strip(members["frames.jpg"], row["size"], row["frames"])
            if "audio" in wants and row["has_audio"]:
                samples, _ = decode_flac(members["flac"])
            yield Sample(key, text if text.strip() else None, frames, row["fps"], samples, row["sample_rate"])
        except (KeyError, ValueError, OSError, RuntimeError) as error:
            raise EmoprepError("a sample cannot be read", where=f"{task.shard} {key}", got=repr(error),
                               remedy="make the store again") from error


def _tasks(plan: FeaturesPlan, out: Path, index: pyarrow.Table) -> list[DescribeTask]:
    choices = tuple(choice for choice in plan.choices if choice.file is None)
    if not choices:
        return []
    tasks = [DescribeTask(Path(shard["name"]).stem, str(out), str(plan.store.path / shard["name"]), (), choices)
             for shard in plan.store.manifest.shards]
    texts = tuple((key, text) for key, text, shard in
                  zip(*(index.column(name).to_pylist() for name in ("key", "text", "shard")), strict=True)
                  if shard is None)
    if texts:
        tasks.append(DescribeTask(NOT_CUT, str(out), None, texts, choices))
    return tasks


class _Descriptors:
    """The pieces on disk, read back by key; one shard's at a time, and those of rows without a sample."""

    def __init__(self, out: Path):
        self.out, self.held = out, {}

    def of(self, modality: str, shard: str | None, key: str) -> np.ndarray | None:
        name = Path(shard).stem if shard else NOT_CUT
        if (modality, name) not in self.held:
            keep = {place: found for place, found in self.held.items()
                    if NOT_CUT in (place[1],) or place[1] == name}
            self.held = {**keep, (modality, name): self._load(modality, name)}
        return self.held[modality, name].get(key)

    def _load(self, modality: str, name: str) -> dict[str, np.ndarray]:
        path = _piece(self.out, name)
        if not path.is_file():
            return {}
        with np.load(path) as archive:
            return {entry.split("/", 2)[2]: archive[entry] for entry in archive.files
                    if entry.startswith(modality + "/")}


# -------------------------------------------------------------------------------------------- writing

def features(plan: FeaturesPlan, out: Path, *, jobs: int = 1, overwrite: bool = False,
             progress: Callable[[int, int], None] = lambda done, skipped: None) -> FeaturesResult:
    """Carry out a plan: describe, fit on train, write the tables, the scaler and the manifest."""
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            manifest = open_store(out).manifest
            return FeaturesResult(str(out), manifest.corpus, dict(manifest.counts), dict(manifest.modalities), {},
                                  tuple(manifest.notes), fresh=False)
        index = _index(plan)
        missing = [task for task in _tasks(plan, out, index) if run.finished(task.name) is None]
        for _ in engine.run(describe_shard, missing, jobs=jobs,
                            preload=("emoprep.features", "emoprep.media.encode", "PIL.JpegImagePlugin", "soundfile",
                                     "scipy.fft", "threadpoolctl")):
            progress(1, 0)
        return _write(plan, run, index)


def _index(plan: FeaturesPlan) -> pyarrow.Table:
    index = plan.store.index()
    for choice in plan.choices:
        if has_column(choice.modality) not in index.column_names:
            index = _set(index, has_column(choice.modality), [False] * index.num_rows)
    return index


def _set(table: pyarrow.Table, name: str, values: list) -> pyarrow.Table:
    import pyarrow

    if name not in table.column_names:
        return table.append_column(name, pyarrow.array(values))
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), pyarrow.array(values, table.schema.field(at).type))


def _write(plan: FeaturesPlan, run: Run, index: pyarrow.Table) -> FeaturesResult:
    rows = _Rows(plan, run.out, index)
    tables, parts, written = [], [], 0
    for split in _splits(index):
        members = rows.of_split(split)
        has: list[Mapping[str, Modality]] = []
        tables.append(write_table(run.out / f"{split}.parquet", _pieces(rows, members, has)))
        part = members
        for choice in plan.choices:
            present = np.concatenate([piece[choice.modality].present for piece in has])
            part = _set(part, has_column(choice.modality), present.tolist())
        parts.append(_set(part, "shard", [None] * part.num_rows))
        written += part.num_rows
    _write_index(run.out, parts)
    missing = {choice.modality: rows.missing(choice) for choice in plan.choices if choice.file is not None}
    manifest = _manifest(plan, rows, tables, written, missing)
    with draft(run.out / "scaler.npz") as sketch, sketch.open("wb") as file:
        np.savez(file, **_scaler(run.out, manifest.modalities))
    write_bytes(run.out / CARD, card(manifest))
    run.seal(manifest.to_bytes())
    return FeaturesResult(str(run.out), manifest.corpus, dict(manifest.counts), dict(manifest.modalities), missing,
                          tuple(manifest.notes))


def _splits(index: pyarrow.Table) -> list[str]:
    there = set(index.column("split").to_pylist())
    return [split for split in SPLITS if split in there] + (["all"] if None in there else [])


def _write_index(out: Path, parts: list[pyarrow.Table]) -> None:
    import pyarrow
    from pyarrow import parquet

    with draft(out / INDEX) as sketch:
        parquet.write_table(pyarrow.concat_tables(parts), sketch)


def _pieces(rows: _Rows, members: pyarrow.Table, has: list) -> Iterator[tuple[pyarrow.Table, dict[str, Modality]]]:
    from emoprep.store.tables import GROUP_ROWS

    for start in range(0, members.num_rows, GROUP_ROWS):
        part = members.slice(start, GROUP_ROWS)
        made = rows.features(part)
        has.append(made)
        for name, modality in made.items():
            part = _set(part, has_column(name), modality.present.tolist())
        yield _set(part, "shard", [None] * part.num_rows), made


class _Rows:
    """Every utterance's features: fitted on train, then transformed a few rows at a time."""

    def __init__(self, plan: FeaturesPlan, out: Path, index: pyarrow.Table):
        self.plan, self.index, self.descriptors = plan, index, _Descriptors(out)
        self.files = {choice.modality: read_embeddings(choice.file) for choice in plan.choices if choice.file}
        self.train = self.of_split("train")
        if not self.train.num_rows:
            raise EmoprepError("the store has no train split, and features are fitted on train only",
                               where=str(plan.store.path), expected="train rows", got="none")
        self.notes, self.fitted = list(plan.notes), {}
        for choice in plan.choices:
            if choice.file is None:
                self.fitted[choice.modality] = self._fit(choice)
        self.medians = {choice.modality: self._medians(choice) for choice in plan.choices if choice.file}

    def of_split(self, split: str) -> pyarrow.Table:
        import pyarrow.compute as compute

        column = self.index.column("split")
        return self.index.filter(compute.is_null(column) if split == "all" else compute.equal(column, split))

    def _raw(self, choice: Choice, part: pyarrow.Table) -> Iterator[np.ndarray | None]:
        for key, shard in zip(part.column("key").to_pylist(), part.column("shard").to_pylist(), strict=True):
            if choice.file is not None:
                yield self.files[choice.modality].get(key)
            else:
                yield self.descriptors.of(choice.modality, shard, key)

    def _fit(self, choice: Choice):
        from emoprep.projection import one_blas_thread

        module = modules("extractors")[f"{choice.modality}/{choice.extractor}"]
        with one_blas_thread():
            fitted = module.fit(lambda: (descriptor for descriptor in self._raw(choice, self.train)
                                         if descriptor is not None), choice.dim, self.plan.seed)
        self.notes += [f"{choice.modality}: {note}" for note in fitted.notes]
        return fitted

    def _medians(self, choice: Choice) -> np.ndarray:
        found = [values for values in self._raw(choice, self.train) if values is not None]
        if not found:
            raise UsageError("no train utterance is among the embeddings", where=f"--add {choice.modality}",
                             expected=f"keys like {self.train.column('key')[0].as_py()}",
                             got=f"keys like {next(iter(self.files[choice.modality]))}")
        as_steps = [values.reshape(-1, values.shape[-1]) for values in found]
        return train_medians(as_steps, np.ones(len(as_steps), bool))

    def dim(self, choice: Choice) -> int:
        if choice.file is None:
            return self.fitted[choice.modality].dim
        return next(iter(self.files[choice.modality].values())).shape[-1]

    def features(self, part: pyarrow.Table) -> dict[str, Modality]:
        made = {choice.modality: self._modality(choice, part) for choice in self.plan.choices}
        brought = {name: modality for name, modality in made.items() if name in self.files}
        clean, notes = replace_nonfinite(brought, self.plan.nonfinite, part.column("key").to_pylist(), self.medians)
        self.notes += notes
        return {name: clean.get(name, modality) for name, modality in made.items()}

    def _modality(self, choice: Choice, part: pyarrow.Table) -> Modality:
        dim, vectors = self.dim(choice), choice.clock == "utterance"
        empty = np.zeros(dim if vectors else (1, dim), np.float32)
        transform = self.fitted[choice.modality].transform if choice.file is None else np.asarray
        values = [empty if raw is None else transform(raw) for raw in self._raw(choice, part)]
        present = np.array([raw is not None for raw in self._raw(choice, part)], bool)
        return Modality(np.stack(values) if vectors else values, present, choice.clock)

    def missing(self, choice: Choice) -> list[str]:
        there = self.files[choice.modality]
        return [key for key in self.index.column("key").to_pylist() if key not in there]


def _manifest(plan: FeaturesPlan, rows: _Rows, tables, written: int, missing: Mapping[str, list[str]]):
    of = plan.store.manifest
    train_rows = rows.train.num_rows
    modalities = {}
    for choice in plan.choices:
        fitted = {} if choice.file else {"fitted_on": "train", "train_utterances": train_rows}
        modalities[choice.modality] = {"dim": rows.dim(choice), "clock": choice.clock, **choice.to_json(), **fitted}
    notes = list(rows.notes)
    for name, keys in missing.items():
        if keys:
            notes.append(f"{name}: {len(keys)} utterances are not in the file: {', '.join(keys[:5])}"
                         + (" …" if len(keys) > 5 else ""))
    return replace(of, kind="features", facts=plan.facts, modalities=modalities, shards=[], tables=tables,
                   written=written, versions=versions("numpy", "pyarrow", "scikit-learn", "scipy"), notes=notes)


def _scaler(out: Path, modalities: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return mean and deviation of each dimension over the train rows that have the modality."""
    from emoprep.projection import scaler

    _, found = read_table(out / "train.parquet", modalities)
    arrays = {}
    for name, modality in found.items():
        mean, deviation = scaler(values for values, there in zip(modality.values, modality.present, strict=True)
                                 if there)
        arrays |= {f"{name}_mean": mean, f"{name}_deviation": deviation}
    return arrays
