"""Sound through a Hugging Face encoder in a local folder (wav2vec 2.0, HuBERT, WavLM …): `--audio hf:DIR`.

Sound at another rate than the model's is resampled; sound shorter than one step of the model is followed by
silence up to one step.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import check_pool
from emoprep.errors import UsageError
from emoprep.formats.checkpoint import open_encoder, open_part, read_json, transformer_settings
from emoprep.methods.projection import keep_or_project

if TYPE_CHECKING:
    from emoprep.contracts import Fitted
    from emoprep.utterance import Sample

__all__ = ["NAME", "clock", "describe", "fit", "prepare", "shortest_input"]

NAME = "hf:"
MODALITY = "audio"
HELP = "a wav2vec2-like transformers encoder in a local folder, hf:DIR (needs emoprep[text])"
DEFAULT = False
DIM = None
POOLS = ("mean", "none")


def prepare(argument: str | None, pool: str) -> dict[str, Any]:
    """Check the folder; return the pool, its name, the sha256 of its files, and the model's rates.

    `sample_rate` is the model's, in Hz; `step` and `shortest` are samples at that rate: between two steps,
    and needed for one. Raises MissingInput where packages or files are missing, UsageError where the model
    is not like wav2vec 2.0 (its steps could not be placed in time).
    """
    settings, config = transformer_settings(argument or "", check_pool(NAME, POOLS, pool))
    kernels, strides = config.get("conv_kernel"), config.get("conv_stride")
    if not kernels or not strides or config.get("add_adapter"):
        raise UsageError("this is no speech encoder with convolutions over the sound",
                         where=settings["argument"],
                         expected="wav2vec 2.0, HuBERT or WavLM, without an adapter on top",
                         got=str(config.get("model_type")))
    path = Path(settings["argument"]) / "preprocessor_config.json"
    sample_rate = read_json(path, "the sampling_rate that the model was trained on").get("sampling_rate")
    if not isinstance(sample_rate, int) or sample_rate < 1:
        raise UsageError("no usable sampling_rate", where=str(path), expected="a rate in Hz, mostly 16000",
                         got=repr(sample_rate))
    return {**settings, "sample_rate": sample_rate, "step": math.prod(strides),
            "shortest": shortest_input(kernels, strides)}


def clock(settings: dict[str, Any], fps: float) -> str:
    """Return "utterance", or "rate:50" (the model's steps a second) for a sequence."""
    steps = settings["sample_rate"] / settings["step"]
    return "utterance" if settings["pool"] == "mean" else f"rate:{steps:g}"


def describe(sample: Sample, settings: dict[str, Any]) -> np.ndarray | None:
    """Return float32 [d], or [steps, d] with pool "none"; None without sound."""
    if sample.samples is None:
        return None
    import torch

    extractor, model = _open(settings["argument"])
    sound = _resampled(sample.samples, sample.sample_rate, settings["sample_rate"])
    sound = np.pad(sound, (0, max(0, settings["shortest"] - len(sound))))
    values = extractor(sound, sampling_rate=settings["sample_rate"], return_tensors="pt").input_values
    with torch.inference_mode():
        vectors = model(values.float()).last_hidden_state[0].numpy()
    return vectors if settings["pool"] == "none" else vectors.mean(axis=0)


def fit(descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted:
    """Keep the model's own dimension, or fit principal components where one is asked for."""
    return keep_or_project(descriptors, dim)


def shortest_input(kernels: list[int], strides: list[int]) -> int:
    """Return the fewest samples from which a stack of convolutions makes one step.

    >>> shortest_input([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
    400
    """
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def _resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted or not len(samples):
        return samples.astype(np.float32)
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return resample_poly(samples.astype(np.float32), wanted // common, rate // common).astype(np.float32)


@functools.cache
def _open(folder: str) -> tuple[Any, Any]:
    """Return what prepares the sound for the model, and the model; loaded once a process."""
    from transformers import AutoFeatureExtractor

    return open_part(AutoFeatureExtractor, folder), open_encoder(folder)
