"""A plan carried out: train written anew where it changes, everything else taken over as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.balance.plan import BalancePlan
from emoprep.balance.rows import recipes, train_rows
from emoprep.balance.weigh import write_sampler
from emoprep.contracts import Modality
from emoprep.errors import EmoprepError
from emoprep.methods.interpolate import made_features, unit_modalities
from emoprep.methods.placement import noise_of
from emoprep.repack import copy_shards, pack_rows
from emoprep.store.card import card
from emoprep.store.folder import CARD, FACES, INDEX, PLAN, SKIPPED, Run, draft, start_run, take_over, write_bytes
from emoprep.store.index import SAMPLE_WEIGHT, with_column
from emoprep.store.manifest import versions
from emoprep.store.tables import GROUP_ROWS, file_facts, has_column, write_table

if TYPE_CHECKING:
    import pyarrow

__all__ = ["apply"]

# Whose versions decide bytes, by what is made.
_PACKAGES = {"vectors": ("scikit-learn",),
             "media": ("albumentations", "albucore", "audiomentations", "python-stretch", "opencv-python-headless",
                       "pillow", "scipy", "soundfile")}


def apply(plan: BalancePlan, out: Path, *, jobs: int = 1, overwrite: bool = False,
          progress: Callable[[int, int], None] = lambda done, skipped: None) -> bool:
    """Write the balanced store; return False where it was complete already."""
    with start_run(out, plan.facts, overwrite=overwrite) as run:
        if run.complete:
            return False
        train = train_rows(plan)
        write = {"features": _write_tables, "shards": _write_shards, "annotation": _write_nothing}
        if plan.sample_weights and plan.source.kind == "features":
            train = with_column(train, SAMPLE_WEIGHT, plan.weighing.sample_weights(plan.y, plan.loss_mask))
        train, pieces = write[plan.source.kind](plan, run, train, jobs, progress)
        _seal(plan, run, train, pieces)
        return True


# -------------------------------------------------------------------------------------- feature tables

def _write_tables(plan: BalancePlan, run: Run, train: pyarrow.Table, jobs: int, progress):
    tables = []
    for facts in plan.source.manifest.tables:
        path = run.out / facts["name"]
        if facts["split"] == "train" and plan.changes_train:
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
    items, staying, decision = plan.items, plan.items.staying, plan.items.decision
    features = plan.train.features if plan.train.features is not None else plan.source.features()
    unit = unit_modalities(features, plan.renorm)
    for start in range(0, len(staying), GROUP_ROWS):
        some = staying[start:start + GROUP_ROWS]
        row, made = items.row[some], items.made[some]
        is_made = made >= 0
        # A row that stays is an item without a neighbour: a copy of itself.
        neighbor, lam = np.full(len(some), -1), np.full(len(some), np.nan)
        neighbor[is_made], lam[is_made] = decision.neighbor[made[is_made]], decision.lam[made[is_made]]
        found = made_features(features, row, neighbor, lam, seconds=plan.train.seconds, unit=unit)
        if decision.noise is not None:
            for name, noise in noise_of(decision.noise, made).items():
                found[name].values[found[name].present] += noise[found[name].present]
        rows = train.slice(start, len(some))
        _require_finite(found, rows)
        yield rows, found
        progress(len(some), 0)


def _require_finite(features: dict[str, Modality], rows: pyarrow.Table) -> None:
    """Raise EmoprepError where two finite parents are so far apart that what lies between them has no number."""
    for name, modality in features.items():
        values = modality.values
        if not isinstance(values, list) and np.isfinite(values).all():
            continue
        bad = next((row for row, one in enumerate(values) if not np.isfinite(one).all()), None)
        if bad is not None:
            raise EmoprepError(f"the {name} feature of this item is not finite", expected="numbers below 1e38",
                               where=rows.column("key")[bad].as_py(), got="parents too large to be subtracted",
                               remedy="scale the features first")


# ---------------------------------------------------------------------------------------------- shards

def _write_shards(plan: BalancePlan, run: Run, train: pyarrow.Table, jobs: int, progress):
    store, rest, tasks = plan.source.store, _rest(plan), []
    kept = [facts for facts in plan.source.manifest.shards if facts["split"] != "train" or not plan.changes_train]
    if plan.changes_train:
        aim = plan.source.manifest.facts["settings"].get("shard_utterances", 100)
        samples = _origins(plan.source.rows("train"))
        train, tasks = pack_rows(train, [samples[row] for row in plan.items.row[plan.items.staying]], "train", aim,
                                 store.path, run.out, recipes(plan))
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
    if (plan.makes == "nothing" or plan.recipe) and source.stat().st_dev != out.stat().st_dev:
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
    rest = list(pieces.get("rest", _rest(plan)).values())
    if plan.sample_weights:
        # Of shards they stand in the index alone: `.json` of dev and test, which stay as they are, has no such entry.
        weights = plan.weighing.sample_weights(plan.y, plan.loss_mask)
        train = with_column(train, SAMPLE_WEIGHT, weights)
        rest = [with_column(rows, SAMPLE_WEIGHT, pyarrow.nulls(rows.num_rows, weights.type)) for rows in rest]
    index = pyarrow.concat_tables([train, *rest])
    with draft(run.out / INDEX) as sketch:
        parquet.write_table(index, sketch)
    with draft(run.out / PLAN) as sketch:
        parquet.write_table(plan.table(), sketch)
    plan.weighing.write(run.out, corpus=source.manifest.corpus, seed=plan.seed)
    if plan.sampler is not None:
        write_sampler(plan.sampler, run.out / "sampler.npz")
    for name in (SKIPPED, FACES):
        if source.store is not None and (source.store.path / name).is_file():
            take_over(source.store.path / name, run.out / name)
    counts = {**source.manifest.counts, "train": train.num_rows}
    packages = ("numpy", "pyarrow", *_PACKAGES.get(plan.makes, ()),
                *(("imbalanced-learn", "scikit-learn") if "imblearn:" in plan.strategy else ()),
                *(("scipy",) if plan.steps[0].given.get("objective") == "min-ir" else ()))
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
