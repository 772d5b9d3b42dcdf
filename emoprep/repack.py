"""Samples of a store packed into other shards under other index rows; nothing is decoded.

The members of a sample go over byte by byte, and `.json` is written anew, so that it and the index say the same.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep import engine
from emoprep.errors import EmoprepError
from emoprep.store.folder import Run, read_json
from emoprep.store.index import with_column
from emoprep.store.shards import SampleReader, pack_evenly, shard_name, write_shard

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CopyTask", "copy_shard", "copy_shards", "pack_rows", "place_samples"]


@dataclass(frozen=True)
class CopyTask:
    """A shard to write: each sample's new index row, the shard and key that its members come from, and how it changes.

    The last is None for a sample that is copied as it is, else the parameters of `augment.sample.augmented`.
    """

    name: str
    out: str
    items: tuple[tuple[dict[str, Any], str, str, Mapping[str, Any] | None], ...]

    def __str__(self):
        return self.name


def place_samples(dialogues: Sequence[str], with_sample: Sequence[bool], prefix: str, aim: int) -> list[str | None]:
    """Return the shard of each row, None for one without a sample; no dialogue spans two shards.

    The rows of a dialogue lie together. Shards have about `aim` samples, all of them about as many.

    >>> place_samples(["d0", "d0", "d1", "d2"], [True, True, True, False], "train", 2)
    ['train-000000.tar', 'train-000000.tar', 'train-000001.tar', None]
    """
    blocks = [[row for row in group if with_sample[row]]
              for _, group in itertools.groupby(range(len(dialogues)), dialogues.__getitem__)]
    blocks = [block for block in blocks if block]
    shards: list[str | None] = [None] * len(dialogues)
    for number, members in enumerate(pack_evenly([len(block) for block in blocks], aim)):
        for row in itertools.chain.from_iterable(blocks[member] for member in members):
            shards[row] = shard_name(prefix, number)
    return shards


def pack_rows(rows: pyarrow.Table, origins: Sequence[tuple[str | None, str]], prefix: str, aim: int, source: Path,
              out: Path, recipes: Sequence[Mapping[str, Any] | None] | None = None
              ) -> tuple[pyarrow.Table, list[CopyTask]]:
    """Return index rows with their new shards in OUT, and a task for each of these.

    `origins` are shard (below `source`; None: it has no sample, and gets none) and key of each row's sample. `recipes`
    say how each is augmented, None for one that is not.
    """
    rows = with_column(rows, "shard", place_samples(rows.column("dialogue").to_pylist(),
                                                    [shard is not None for shard, _ in origins], prefix, aim))
    placed = [(row, str(source / shard), key, recipe) for row, (shard, key), recipe in
              zip(rows.to_pylist(), origins, recipes or [None] * len(origins), strict=True) if shard is not None]
    return rows, [CopyTask(name, str(out), tuple(items))
                  for name, items in itertools.groupby(placed, lambda item: item[0]["shard"])]


_reader: list[SampleReader] = []  # one a worker: listing the shards again for each task would take longer


def copy_shard(task: CopyTask) -> dict[str, Any]:
    """Write one shard of samples of other shards under new rows. Runs in a worker."""
    if not _reader:
        _reader.append(SampleReader())

    # Only a task that augments needs the libraries that do.
    if any(recipe is not None for *_, recipe in task.items):
        from emoprep.augment.sample import augmented

    def samples():
        for row, shard, key, recipe in task.items:
            members = _reader[0].read(Path(shard), key)
            if recipe is not None:
                members = augmented(members, recipe, row, where=f"{shard} {key}")
            yield row["key"], {**members, "json": _facts_under(row, members["json"], f"{shard} {key}")}
    shard = write_shard(Path(task.out, task.name), samples())
    Run(Path(task.out), complete=False).finish(task.name, {"shard": shard, "files": {task.name: shard["size"]}})
    return shard


def _facts_under(row: Mapping[str, Any], raw: bytes, where: str) -> bytes:
    """Return `.json` with a new index row, and what it says of the media beside it."""
    try:
        made = {name: value for name, value in read_json(raw).items() if name not in row}
        return json.dumps({**row, **made}, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, AttributeError) as error:  # no JSON, no object, or text that UTF-8 cannot hold
        raise EmoprepError(".json cannot be read", where=where, expected="a JSON object", got=str(error),
                           remedy="run `emoprep verify` on IN, and make that store again") from error


def copy_shards(run: Run, tasks: Sequence[CopyTask], *, jobs: int, progress: Callable[[int, int], None]
                ) -> list[dict[str, Any]]:
    """Write the shards that are not finished yet; return the facts of all with their splits, in the tasks' order."""
    _reader.clear()  # in this process it may know an older file of the same name
    shards = {task.name: note["shard"] for task in tasks if (note := run.finished(task.name)) is not None}
    missing = [task for task in tasks if task.name not in shards]
    augments = any(recipe is not None for task in missing for *_, recipe in task.items)
    preload = ("emoprep.repack", "webdataset.writer",
               # In this order: the first keeps the second from asking the network for a newer version of itself.
               *(("emoprep.augment.sample", "albumentations", "audiomentations") if augments else ()))
    for number, shard in engine.run(copy_shard, missing, jobs=jobs, preload=preload):
        shards[missing[number].name] = shard
        progress(shard["utterances"], 0)
    return [{**shards[task.name], "split": task.items[0][0]["split"]} for task in tasks]
