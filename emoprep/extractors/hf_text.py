"""Text through a Hugging Face encoder in a local folder (BERT, RoBERTa, MiniLM …): `--text hf:DIR`.

What lies beyond the model's longest input (512 tokens, mostly) is cut off.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from emoprep.contracts import check_pool
from emoprep.errors import MissingInput, UsageError
from emoprep.formats.checkpoint import open_encoder, open_part, transformer_settings
from emoprep.methods.projection import keep_or_project

if TYPE_CHECKING:
    import numpy as np

    from emoprep.contracts import Fitted
    from emoprep.utterance import Sample

__all__ = ["NAME", "clock", "describe", "fit", "prepare"]

NAME = "hf:"
MODALITY = "text"
HELP = "a transformers encoder in a local folder, hf:DIR (needs emoprep[text])"
DEFAULT = False
DIM = None
POOLS = ("mean", "cls", "none")

# A tokenizer that was saved without its longest input says 10^30 instead.
UNSET_LENGTH = 10**6
COMMON_LENGTH = 512


def prepare(argument: str | None, pool: str) -> dict[str, Any]:
    """Check the folder; return the pool, its name and the sha256 of its files.

    Raises MissingInput where the packages, the folder, its config, weights or tokenizer are missing.
    """
    settings, config = transformer_settings(argument or "", check_pool(NAME, POOLS, pool))
    if config.get("is_encoder_decoder"):
        raise UsageError("this model also writes text", where=settings["argument"],
                         expected="an encoder such as BERT, RoBERTa or MiniLM",
                         got=str(config.get("model_type")))
    if not any(name.startswith(("tokenizer", "vocab", "spiece", "sentencepiece"))
               for name in settings["sha256"]):
        raise MissingInput("this folder has no tokenizer", where=settings["argument"],
                           expected="tokenizer.json", got=", ".join(settings["sha256"]),
                           remedy="save the model's tokenizer into the same folder")
    return settings


def clock(settings: dict[str, Any], fps: float) -> str:
    """Return "utterance", or "tokens" for a sequence."""
    return "tokens" if settings["pool"] == "none" else "utterance"


def describe(sample: Sample, settings: dict[str, Any]) -> np.ndarray | None:
    """Return float32 [d], or [tokens, d] with pool "none"; None without text.

    Tokens are the model's, those it puts around every text (such as [CLS]) included, so that even an empty
    text has some; "mean" is over all of them, "cls" the first.
    """
    if sample.text is None:
        return None
    import torch

    tokenizer, model, longest = _open(settings["argument"])
    tokens = tokenizer(sample.text, return_tensors="pt", truncation=True, max_length=longest)
    with torch.inference_mode():
        vectors = model(**tokens).last_hidden_state[0].numpy()
    if settings["pool"] == "mean":
        return vectors.mean(axis=0)
    return vectors[0] if settings["pool"] == "cls" else vectors


def fit(descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted:
    """Keep the model's own dimension, or fit principal components where one is asked for."""
    return keep_or_project(descriptors, dim)


@functools.cache
def _open(folder: str) -> tuple[Any, Any, int]:
    """Return tokenizer, model and the most tokens it takes; loaded once a process."""
    from transformers import AutoTokenizer

    tokenizer, model = open_part(AutoTokenizer, folder), open_encoder(folder)
    positions = getattr(model.config, "max_position_embeddings", None) or COMMON_LENGTH
    if tokenizer.model_max_length < UNSET_LENGTH:
        return tokenizer, model, min(tokenizer.model_max_length, positions)
    # RoBERTa and its kin keep two positions for padding.
    return tokenizer, model, max(positions - 2, 1)
