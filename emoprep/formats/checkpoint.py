"""A trained model that a person has on disk: is it whole, which bytes is it, and how it is opened.

Never from the network and never by running code that comes with a model: folders are local, weights are
safetensors (a pickle may do anything when opened), and a folder's own Python is not trusted.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from emoprep.errors import MissingInput, UsageError

__all__ = ["digest", "need_packages", "open_encoder", "open_part", "read_json", "transformer_settings"]

# What the loaders of transformers may read, so what a result may hang on.
READ_SUFFIXES = (".json", ".model", ".safetensors", ".txt")

# Parts that a base model may lack: both are used in training only, or for a pooling that is not used here.
SPARE_WEIGHTS = ("pooler", "masked_spec_embed")


def need_packages(extra: str, *packages: str) -> None:
    """Raise MissingInput unless all packages can be imported, naming the extra that brings them."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingInput("an optional package is missing", got=f"no {' and no '.join(missing)}",
                           remedy=f'pip install "emoprep[{extra}]"')


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, purpose: str) -> dict[str, Any]:
    """Return the JSON object in a file of a model's folder; `purpose` tells a user what it is there for."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInput(f"this folder has no {path.name}", where=str(path.parent),
                           expected=f"a model saved by save_pretrained, with {purpose}") from error
    except (OSError, ValueError) as error:
        raise UsageError("this is no JSON", where=str(path), expected=purpose, got=str(error)) from error
    if not isinstance(data, dict):
        raise UsageError("this is no JSON object", where=str(path), expected=purpose,
                         got=type(data).__name__)
    return data


def transformer_settings(argument: str, pool: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check a folder as `save_pretrained` writes it; return an extractor's settings and the model's config.

    The settings name the folder without its path, and have the sha256 of each file that the loaders may
    read. Nothing is loaded here: a process that has loaded torch should not be forked into workers.
    """
    folder = Path(argument)
    need_packages("text", "transformers", "torch")
    if not folder.is_dir():
        raise MissingInput("this is no folder", where=argument,
                           expected="a local folder with config.json and model.safetensors",
                           remedy="models are never downloaded: fetch it first, then give its folder")
    config = read_json(folder / "config.json", "config.json and model.safetensors")
    if not any(folder.glob("*.safetensors")):
        found = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".h5"))
        raise MissingInput("this folder has no safetensors weights", where=argument,
                           expected="model.safetensors", got=", ".join(found) or "no weights",
                           remedy="pickled weights are not opened: save_pretrained writes safetensors")
    files = sorted(path for path in folder.iterdir() if path.suffix in READ_SUFFIXES and path.is_file())
    settings = {"pool": pool, "model": folder.resolve().name,
                "sha256": {path.name: digest(path) for path in files}, "argument": argument}
    return settings, config


@functools.cache
def open_encoder(folder: str) -> Any:
    """Return the model in a folder, ready to be called; loaded once a process, one thread, float32."""
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    # Workers share the cores among them already; and sums over one thread have one order.
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model, report = open_part(AutoModel, folder, use_safetensors=True, output_loading_info=True)
    missing = sorted(name for name in report["missing_keys"]
                     if not any(spare in name for spare in SPARE_WEIGHTS))
    if missing:
        # transformers fills these with random numbers, and only warns.
        raise UsageError("the weights do not fit the config", where=folder,
                         expected=f"{len(missing)} more weights", got=f"none called {missing[0]}",
                         remedy="take config.json and model.safetensors from one save_pretrained")
    return model.float().eval()


def open_part(kind: Any, folder: str, **options: Any) -> Any:
    """Return what the transformers class `kind` (AutoModel, AutoTokenizer …) reads from a local folder."""
    from safetensors import SafetensorError

    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UsageError(f"{kind.__name__} cannot read this folder", where=folder, got=reason,
                         expected="a model saved by save_pretrained, without code of its own") from error
