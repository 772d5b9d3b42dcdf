"""Each shard described in a worker: sample → descriptor, kept as a piece until the tables are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import modules
from emoprep.errors import EmoprepError
from emoprep.features.plan import Choice, FeaturesPlan
from emoprep.store.folder import STATE, Run, draft
from emoprep.store.shards import read_shard
from emoprep.utterance import Sample

if TYPE_CHECKING:
    import pyarrow

__all__ = ["DescribeTask", "Descriptors", "describe_shard", "describe_tasks"]

NOT_CUT = "rows-without-a-sample"


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
    from emoprep.methods.projection import one_blas_thread

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


def describe_tasks(plan: FeaturesPlan, out: Path, index: pyarrow.Table) -> list[DescribeTask]:
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


class Descriptors:
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
