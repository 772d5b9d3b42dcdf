"""A plan carried out: train written anew where it changes, everything else taken over as it is."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.balance.plan import BalancePlan
from emoprep.contracts import Modality
from emoprep.errors import UsageError
from emoprep.methods.interpolate import made_features, unit_modalities
from emoprep.repack import copy_shards, pack_rows
from emoprep.store.card import card
from emoprep.store.folder import CARD, FACES, INDEX, SKIPPED, Run, draft, start_run, take_over, write_bytes
from emoprep.store.index import with_column
from emoprep.store.manifest import versions
from emoprep.store.tables import GROUP_ROWS, file_facts, has_column, write_table

if TYPE_CHECKING:
    import pyarrow

__all__ = ["apply"]


def apply(plan: BalancePlan, out: Path, *, jobs: int = 1, overwrite: bool = False,
          progress: Callable[[int, int], None] = lambda done, skipped: None) -> bool:
    """Write the balanced store; return False where it was complete already."""
    if plan.source.kind == "annotation" and plan.makes != "nothing" and len(plan.decision.base):
        raise UsageError(f"{plan.strategy} makes items, and IN has no media to make them of",
                         where=f"--strategy {plan.strategy}",
                         remedy="run `emoprep segment` first and balance its store, or --dry-run for the counts")
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            return False
        train = _train_index(plan)
        write = {"features": _write_tables, "shards": _write_shards, "annotation": _write_nothing}
        train, pieces = write[plan.source.kind](plan, run, train, jobs, progress)
        _seal(plan, run, train, pieces)
        return True


# ------------------------------------------------------------------------------------------- the index

def _train_index(plan: BalancePlan) -> pyarrow.Table:
    """Return the index rows of the new train split, in order: a made row is its base's with another name."""
    import pyarrow

    train, items = plan.source.rows("train"), plan.items
    staying = items.staying
    rows, made = items.row[staying], items.made[staying]
    table = train.take(pyarrow.array(rows))
    is_made = made >= 0
    if not is_made.any() and len(staying) == train.num_rows:
        return with_column(table, "loss_mask", items.loss_mask[staying])
    keys = [items.key[at] for at in staying]
    dialogues, groups, flags = (train.column(name).to_pylist() for name in ("dialogue", "groups", "flags"))
    synthetic = np.array([items.op[at] == "interpolate" for at in staying])
    parents = [_groups(plan, groups, row, number) for row, number in zip(rows, made, strict=True)]
    columns = {
        "key": keys,
        # A made utterance is a dialogue of its own, so that (dialogue, turn) stays unique.
        "dialogue": [key if new else dialogues[row] for key, new, row in zip(keys, is_made, rows, strict=True)],
        "groups": parents,
        "flags": [flags[row] + ["feature-only"] if new else flags[row]
                  for new, row in zip(synthetic, rows, strict=True)],
        "op": [items.op[at] if items.op[at] not in ("keep", "mask") else "keep" for at in staying],
        "base": [plan.keys[row] if new else None for new, row in zip(is_made, rows, strict=True)],
        "loss_mask": items.loss_mask[staying],
    }
    for name, values in columns.items():
        table = with_column(table, name, values)
    return with_column(table, "turn", _dense_turns(table.column("dialogue").to_pylist()))


def _groups(plan, groups, row, number) -> list[str]:
    """Return the dialogues of all parents: grouped validation must keep a made row away from each of them."""
    neighbor = plan.decision.neighbor[number] if number >= 0 else -1
    return sorted({*groups[row], *(groups[neighbor] if neighbor >= 0 else ())})


def _dense_turns(dialogues: list[str]) -> list[int]:
    """Count turns within each dialogue; the rows of a dialogue lie together and in order."""
    return [turn for _, group in itertools.groupby(dialogues) for turn, _ in enumerate(group)]


# -------------------------------------------------------------------------------------- feature tables

def _write_tables(plan: BalancePlan, run: Run, train: pyarrow.Table, jobs: int, progress):
    tables = []
    for facts in plan.source.manifest.tables:
        path = run.out / facts["name"]
        if facts["split"] == "train" and not _unchanged(plan):
            pieces = _table_pieces(plan, train, progress)
            present: dict[str, list[np.ndarray]] = {}
            tables.append(write_table(path, _noting(pieces, present)))
            for name, found in present.items():
                train = with_column(train, has_column(name), np.concatenate(found))
        else:
            take_over(plan.source.store.path / facts["name"], path)
            tables.append(file_facts(path, facts["utterances"]))
    take_over(plan.source.store.path / "scaler.npz", run.out / "scaler.npz")
    return train, {"tables": tables}


def _noting(pieces, present):
    for index, features in pieces:
        for name, modality in features.items():
            present.setdefault(name, []).append(modality.present)
            index = with_column(index, has_column(name), modality.present)
        yield index, features


def _table_pieces(plan: BalancePlan, train: pyarrow.Table, progress
                  ) -> Iterator[tuple[pyarrow.Table, dict[str, Modality]]]:
    """Yield 500 rows at a time, so that the made vectors never lie in memory all at once."""
    items, staying = plan.items, plan.items.staying
    unit = unit_modalities(plan.features, plan.renorm) if plan.features else frozenset()
    features = plan.features if plan.features is not None else plan.source.features()
    decision = plan.decision
    for start in range(0, len(staying), GROUP_ROWS):
        some = staying[start:start + GROUP_ROWS]
        row, made = items.row[some], items.made[some]
        is_made = made >= 0
        # A row that stays is an item without a neighbour: a copy of itself.
        neighbor, lam = np.full(len(some), -1), np.full(len(some), np.nan)
        neighbor[is_made], lam[is_made] = decision.neighbor[made[is_made]], decision.lam[made[is_made]]
        yield (train.slice(start, len(some)),
               made_features(features, row, neighbor, lam, seconds=plan.seconds, unit=unit))
        progress(len(some), 0)


def _unchanged(plan: BalancePlan) -> bool:
    """Tell whether train stays as it is, so that its files can be taken over."""
    return (not len(plan.decision.base) and all(op == "keep" for op in plan.items.op) and not plan.imputed)


# ---------------------------------------------------------------------------------------------- shards

def _write_shards(plan: BalancePlan, run: Run, train: pyarrow.Table, jobs: int, progress):
    store, rest, tasks = plan.source.store, _rest(plan), []
    kept = [facts for facts in plan.source.manifest.shards if facts["split"] != "train" or _unchanged(plan)]
    if not _unchanged(plan):
        aim = plan.source.manifest.facts["settings"].get("shard_utterances", 100)
        samples = _origins(plan.source.rows("train"))
        train, tasks = pack_rows(train, [samples[row] for row in plan.items.row[plan.items.staying]], "train", aim,
                                 store.path, run.out)
        if plan.source.protocol is not None:
            # The shards of IN know no splits: one of them may hold train and dev, so all samples are packed anew.
            kept = []
            for split, rows in rest.items():
                rest[split], more = pack_rows(rows, _origins(rows), split or "all", aim, store.path, run.out)
                tasks += more
    shards = copy_shards(run, tasks, jobs=jobs, progress=progress)
    renamed = {}
    for facts in kept:
        name = _place_shard(plan, store.path / facts["name"], run.out)
        renamed[facts["name"]] = name
        shards.append({**facts, "name": name})
    if renamed:
        train, *others = (with_column(rows, "shard", [renamed.get(name, name) for name in rows["shard"].to_pylist()])
                          for rows in (train, *rest.values()))
        rest = dict(zip(rest, others, strict=True))
    return train, {"shards": shards, "rest": rest}


def _rest(plan: BalancePlan) -> dict[str | None, pyarrow.Table]:
    """Return the index rows that are not train's: dev, test, and those without a split."""
    import pyarrow.compute as compute

    index = plan.source.index
    return {"dev": plan.source.rows("dev"), "test": plan.source.rows("test"),
            None: index.filter(compute.is_null(index.column("split")))}


def _origins(rows: pyarrow.Table) -> list[tuple[str | None, str]]:
    """Return the shard and the key of each row's sample."""
    return list(zip(rows.column("shard").to_pylist(), rows.column("key").to_pylist(), strict=True))


def _place_shard(plan: BalancePlan, source: Path, out: Path) -> str:
    """Put an unchanged shard into OUT and return its name there.

    Where the disk allows no hard link, what makes no media copies none either: the index points to IN.
    """
    if plan.makes == "nothing" and source.stat().st_dev != out.stat().st_dev:
        return os.path.relpath(source, out)
    take_over(source, out / source.name)
    return source.name


def _write_nothing(plan: BalancePlan, run: Run, train: pyarrow.Table, jobs: int, progress):
    return train, {}


# --------------------------------------------------------------------------------------------- sealing

def _seal(plan: BalancePlan, run: Run, train: pyarrow.Table, pieces: dict[str, Any]) -> None:
    import pyarrow
    from pyarrow import parquet

    source = plan.source
    index = pyarrow.concat_tables([train, *pieces.get("rest", _rest(plan)).values()])
    with draft(run.out / INDEX) as sketch:
        parquet.write_table(index, sketch)
    with draft(run.out / "plan.parquet") as sketch:
        parquet.write_table(plan.table(), sketch)
    _write_weights(plan, run.out)
    for name in (SKIPPED, FACES):
        if source.store is not None and (source.store.path / name).is_file():
            take_over(source.store.path / name, run.out / name)
    counts = {**source.manifest.counts, "train": train.num_rows}
    packages = ("numpy", "pyarrow", *(("scikit-learn",) if plan.makes == "vectors" else ()))
    manifest = replace(
        source.manifest, facts=plan.facts, counts=counts, written=_written(index, pieces, source.kind),
        shards=pieces.get("shards", []), tables=pieces.get("tables", []), versions=versions(*packages),
        balance={name: value for name, value in plan.to_json().items() if name not in ("schema", "notes")},
        notes=list(plan.notes))
    write_bytes(run.out / CARD, card(manifest))
    run.seal(manifest.to_bytes())


def _written(index: pyarrow.Table, pieces: dict[str, Any], kind: str) -> int:
    if kind == "features":
        return index.num_rows
    return sum(facts["utterances"] for facts in pieces.get("shards", ()))


def _write_weights(plan: BalancePlan, out: Path) -> None:
    """Write class_weights.json and .npy: of the counts after the plan, so that no skew is corrected twice."""
    resampled = plan.before != plan.after
    document = {**plan.weights.to_json(task=plan.scheme.task, counts_source=f"plan:{plan.strategy}" if resampled
                                       else "original"),
                "corpus": plan.source.manifest.corpus, "label_scheme": plan.scheme.name, "seed": plan.seed}
    write_bytes(out / "class_weights.json", (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())
    with draft(out / "class_weights.npy") as sketch, sketch.open("wb") as file:
        np.save(file, plan.weights.to_array())


