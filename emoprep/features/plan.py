"""Which extractor makes each modality, decided before anything is decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoprep.contracts import find_extractor, modules
from emoprep.errors import MissingInput, UsageError
from emoprep.formats.embeddings import read_embeddings
from emoprep.methods.nonfinite import check_policy
from emoprep.protocols import assign_splits, protocol_notes
from emoprep.store.index import COLUMNS, with_column
from emoprep.store.manifest import Store, is_store, open_store
from emoprep.store.tables import TRANSCRIPT
from emoprep.utterance import check_key

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Choice", "FeaturesPlan", "plan_features"]


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
    splits: tuple[str | None, ...] | None = None  # those of a protocol, where the store has none

    def index(self) -> pyarrow.Table:
        """Return the store's index, with the splits of the protocol."""
        index = self.store.index()
        return index if self.splits is None else with_column(index, "split", self.splits)

    def seconds(self) -> float:
        """Return the seconds of all utterances that have a sample."""
        index = self.store.index(["start", "end"])
        return round(sum(end - start for start, end in zip(index["start"].to_pylist(), index["end"].to_pylist(),
                                                           strict=True) if start is not None), 3)


def plan_features(source: Path, *, extractors: Mapping[str, str | None] | None = None, pool: str | None = None,
                  dims: Mapping[str, int] | None = None, add: Mapping[str, Path] | None = None, seed: int = 0,
                  nonfinite: str = "impute-median", protocol: str | None = None, all_is_train: bool = False
                  ) -> FeaturesPlan:
    """Decide which extractor makes each modality; nothing is decoded.

    `extractors` maps a modality to what `--audio`, `--video` or `--text` said ("none" leaves it out, None
    takes the default); `add` maps a modality's name to a file of embeddings, which then stands for it.
    `protocol` and `all_is_train` say how a store without splits is split: what is fitted is fitted on train.
    """
    if not is_store(source):
        raise MissingInput("this is no store", where=str(source), expected="a folder with manifest.json",
                           remedy="run `emoprep segment` first; if it was interrupted, run it again")
    store = open_store(source).require_intact()
    if store.manifest.kind != "shards":
        raise UsageError("IN has no shards to take features from", where=str(source),
                         expected="a store that `emoprep segment` made", got=f"a store of {store.manifest.kind}")
    check_policy(nonfinite)
    add, dims, notes, choices = dict(add or {}), dict(dims or {}), [], []
    asked = dict(extractors or {})
    for modality in ("audio", "video", "text"):
        if modality in add:
            if asked.get(modality) not in (None, "none"):
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
    if pool is not None and not any(choice.settings["pool"] == pool for choice in choices):
        known = sorted({name for module in modules("extractors").values() for name in module.POOLS})
        raise UsageError("no extractor here can pool like this", where="--pool", expected=" or ".join(known), got=pool)
    choices += [_added(store, name, path, dims) for name, path in add.items()]
    unknown = sorted(set(dims) - {choice.modality for choice in choices})
    if unknown:
        raise UsageError("no such modality here", where="--dims", got=", ".join(unknown),
                         expected=", ".join(choice.modality for choice in choices))
    if not choices:
        raise UsageError("no modality is left to take features from", where=str(source))
    splits, used = _splits(store, protocol, all_is_train)
    notes += protocol_notes(store.manifest.corpus, used, splits)
    facts = {"command": "features",
             "settings": {"corpus": store.manifest.corpus, "seed": seed, "nonfinite": nonfinite, "protocol": used,
                          **{choice.modality: choice.to_json() for choice in choices}},
             "inputs": {"store": store.fingerprint}}
    return FeaturesPlan(store, tuple(choices), seed, nonfinite, facts, tuple(notes),
                        None if used is None else tuple(splits))


def _splits(store: Store, protocol: str | None, all_is_train: bool) -> tuple[list[str | None], str | None]:
    index = store.index(["split", "dialogue"])
    splits, used = assign_splits(index.column("split").to_pylist(), index.column("dialogue").to_pylist(),
                                 corpus=store.manifest.corpus, protocol=protocol, all_is_train=all_is_train)
    if "train" not in splits:
        raise UsageError("the store has no train split, and features are fitted on train only", where=str(store.path),
                         got=", ".join(map(str, store.manifest.counts)),
                         remedy="make splits with `emoprep split IN OUT --by speaker --dev 0.1 --test 0.2`, or say "
                                "--all-is-train if dev and test lie elsewhere")
    return splits, used


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
    # From the modality and not from the settings: those are of the last command, and a split or balanced store's
    # know nothing of how it was cut.
    fps = float(store.manifest.modalities.get("video", {}).get("fps", 10))
    return Choice(modality, module.NAME, {"pool": used, **settings}, module.clock(settings, fps),
                  dims.get(modality, module.DIM))


def _added(store: Store, name: str, path: Path, dims) -> Choice:
    check_key(name, "--add")
    taken = {*COLUMNS, *store.manifest.annotation, TRANSCRIPT, "key"} - {"text"}
    if name in taken or name.startswith(("y_", "has_")):
        raise UsageError("this name is a column of the index", where=f"--add {name}",
                         expected="another name, or audio, video or text")
    if name in dims:
        raise UsageError("embeddings keep their own dimension", where="--dims", got=name,
                         remedy=f"leave {name} out of --dims")
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    values = next(iter(read_embeddings(path).values()))
    # Whose clock a brought sequence follows is not known: it is stretched by itself.
    clock = "utterance" if values.ndim == 1 else "own"
    return Choice(name, "file", {"file": path.name, "sha256": digest}, clock, file=path)
