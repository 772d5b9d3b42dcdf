"""The dataset card: README.md of a store, for a person and, in its YAML head, for `datasets.load_dataset`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emoprep.labels import SINGLE
from emoprep.store.folder import INDEX
from emoprep.store.index import COLUMNS, SAMPLE_WEIGHT
from emoprep.store.manifest import Manifest
from emoprep.store.tables import TRANSCRIPT, has_column

__all__ = ["card"]

_TYPES = {"string": {"dtype": "string"}, "bool": {"dtype": "bool"}, "strings": {"list": "string"}}

# How the media in `.json` were made; beside the index row (docs/store.md).
MADE = {"size": {"dtype": "int32"}, "columns": {"dtype": "int32"}, "view": {"list": "float32"},
        "faces": {"list": {"list": "float32"}}, "face_mask": {"list": "int8"}, "face_rule": {"dtype": "string"}}
WORDS = {"list": [{"name": "word", "dtype": "string"}, {"name": "start", "dtype": "float64"},
                  {"name": "end", "dtype": "float64"}]}


def card(manifest: Manifest) -> bytes:
    """Return the card of a store."""
    head = {"license": "other", "pretty_name": f"{manifest.title} ({manifest.kind})",
            "task_categories": ["audio-classification", "video-classification", "text-classification"]}
    files = _data_files(manifest)
    head["configs"] = [{"config_name": "default",
                        "data_files": [{"split": split, "path": path} for split, path in files.items()]}]
    head["dataset_info"] = {"features": _features(manifest)}
    # JSON is YAML, and quotes every name as it must be.
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items()]
    return ("---\n" + "\n".join(lines) + "\n---\n\n" + _text(manifest)).encode()


def _data_files(manifest: Manifest) -> dict[str, str]:
    """Return a pattern of files by split, named for what is in it."""
    if manifest.kind == "annotation":
        return {"utterances": INDEX}
    if manifest.kind == "features":
        return {_split_name(table["split"]): table["name"] for table in manifest.tables}
    prefixes = dict.fromkeys(shard["name"].rsplit("-", 1)[0] for shard in manifest.shards)
    return {_split_name(prefix.rsplit("/", 1)[-1]): f"{prefix}-*.tar" for prefix in prefixes}


def _split_name(split: str) -> str:
    """Return the name under which `datasets` knows a split: it keeps "all" for the union of all splits."""
    return "unsplit" if split == "all" else split


def _row_features(manifest: Manifest) -> list[dict[str, Any]]:
    row = [{"name": name, **_TYPES.get(kind, {"dtype": kind})}
           for name, kind in {**COLUMNS, **manifest.annotation}.items()]
    return row + [{"name": scheme.index_column, **({"dtype": "int16"} if scheme.task == SINGLE
                                                   else {"list": "int8", "length": len(scheme.labels)})}
                  for scheme in manifest.schemes.values()]


def _sample_weight(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the column that train alone has; where the card names it, the other splits are read as null."""
    length = manifest.sample_weights
    if length is None:
        return []
    return [{"name": SAMPLE_WEIGHT, **({"list": "float32", "length": length} if length else {"dtype": "float32"})}]


def _features(manifest: Manifest) -> list[dict[str, Any]]:
    row = _row_features(manifest)
    if manifest.kind == "annotation":
        return [*row, *_sample_weight(manifest)]
    if manifest.kind == "features":
        for feature in row:
            if feature["name"] == "text":
                feature["name"] = TRANSCRIPT
        extra = [has_column(name) for name in manifest.modalities if has_column(name) not in COLUMNS]
        return [*row, *({"name": name, "dtype": "bool"} for name in extra), *_sample_weight(manifest),
                *({"name": name, **_vector(modality)} for name, modality in manifest.modalities.items())]
    made = [{"name": name, **kind} for name, kind in MADE.items()]
    members = {"json": {"struct": row + made}, "txt": {"dtype": "string"}, "words.json": WORDS}
    if "audio" in manifest.modalities:
        # An Audio column could not be loaded without torchcodec; the text below says how to cast it.
        members["flac"] = {"dtype": "binary"}
    if "video" in manifest.modalities:
        members["frames.jpg"] = {"dtype": "image"}
        if manifest.modalities["video"].get("faces"):
            members["faces.jpg"] = {"dtype": "image"}
    return [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")] \
        + [{"name": name, **members[name]} for name in sorted(members)]


def _vector(modality: Mapping[str, Any]) -> dict[str, Any]:
    vector = {"list": "float32", "length": modality["dim"]}
    return vector if modality["clock"] == "utterance" else {"list": vector}


def _text(manifest: Manifest) -> str:
    counts = "\n".join(f"| {split} | {number} |" for split, number in manifest.counts.items())
    skipped = ", ".join(f"{number} {reason}" for reason, number in manifest.skipped.items()) or "none"
    settings = "\n".join(f"- `{name}`: {json.dumps(value, ensure_ascii=False)}"
                         for name, value in manifest.facts["settings"].items())
    notes = "".join(f"- {note}\n" for note in manifest.notes)
    return f"""# {manifest.title}

Made by `emoprep {manifest.facts["command"]}`: {_KINDS[manifest.kind]}

| split | utterances annotated |
|---|---|
{counts}

With media or features: {manifest.written}. Skipped when cutting: {skipped}. Every annotated utterance is a row of
`utterances.parquet`{", also those that were skipped (`skipped.jsonl` says why)" if manifest.skipped else ""}.

## Settings

{settings}

{"## Notes" + chr(10) + chr(10) + notes if notes else ""}
## Reading it

```python
{_loader(manifest)}
```

## Labels

{_labels(manifest)}
## Licence and citation

{manifest.licence}
{_citation(manifest)}"""


def _citation(manifest: Manifest) -> str:
    return f"\n```bibtex\n{manifest.citation}\n```\n" if manifest.citation else ""


_KINDS = {
    "shards": "WebDataset shards with film strip, sound, text and annotation of each utterance.",
    "features": "feature tables, one row an utterance and one column a modality.",
    "annotation": "an index of annotated utterances without media.",
}

def _loader(manifest: Manifest) -> str:
    """Return how the store is read, by the names of its first split and file."""
    split, pattern = next(iter(_data_files(manifest).items()), ("train", "train-*.tar"))
    return _LOADERS[manifest.kind].format(split=split, file=pattern.replace("*", "000000"))


_LOADERS = {
    "shards": """\
import datasets, webdataset
datasets.load_dataset("THIS_FOLDER", split="{split}", streaming=True)
#   .cast_column("flac", datasets.Audio()) where torchcodec is installed
webdataset.WebDataset("THIS_FOLDER/{file}", shardshuffle=False).decode("rgb8")
# the frames of a sample, uint8 [F, size, size, 3]:
# img.reshape(img.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)[:frames]""",
    "features": """\
import datasets, pandas
datasets.load_dataset("THIS_FOLDER", split="{split}")
pandas.read_parquet("THIS_FOLDER/{file}")""",
    "annotation": """\
import pandas
pandas.read_parquet("THIS_FOLDER/utterances.parquet")""",
}


def _labels(manifest: Manifest) -> str:
    return "".join(f"- `{scheme.index_column}` ({name}, {scheme.task}): "
                   + ", ".join(f"{number} {label}" for number, label in enumerate(scheme.labels))
                   + "; −100 outside the scheme\n" for name, scheme in manifest.schemes.items())
