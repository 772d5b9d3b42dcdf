"""Each frame through a network in an ONNX file (an expression or face model, say): `--video onnx:FILE`.

The model has one input, float32 [N, 3, H, W], red, green, blue in 0 … 1, and its first output is [N, d].
Another scale (a mean and deviation taken off, 0 … 255) belongs into the model's first layer. Where the model
fixes H and W frames are scaled to it, else they come in the strip's size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import check_pool
from emoprep.errors import MissingInput, UsageError
from emoprep.formats.checkpoint import digest, need_packages
from emoprep.methods.projection import keep_or_project

if TYPE_CHECKING:
    from emoprep.contracts import Fitted
    from emoprep.utterance import Sample

__all__ = ["NAME", "clock", "describe", "fit", "prepare"]

NAME = "onnx:"
MODALITY = "video"
HELP = "each frame through an ONNX model, RGB in 0..1 to a vector, onnx:FILE (needs emoprep[onnx])"
DEFAULT = False
DIM = None
POOLS = ("mean", "none")

# So many frames at once, for memory's sake: a long utterance has thousands.
BATCH_FRAMES = 32

# How protobuf writes the key that names the file of a tensor kept outside the model.
EXTERNAL_DATA = b"\n\x08location"


@dataclass(frozen=True)
class Network:
    """An open model: `batch` frames a call (1 where it fixes that), `height` and `width` None where free."""

    path: str
    session: Any
    batch: int
    height: int | None
    width: int | None

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 [N, d] of pixels float32 [N, 3, H, W]; raise UsageError where it gives no such."""
        try:
            output = self.session.run(None, {self.session.get_inputs()[0].name: pixels})[0]
        except _failures() as error:
            raise UsageError("the model cannot run on frames", where=self.path, got=_first_line(error),
                             expected=f"an input of {list(pixels.shape)}") from error
        if not isinstance(output, np.ndarray) or output.ndim != 2 or len(output) != len(pixels):
            raise UsageError("the model's first output is no vector a frame", where=self.path,
                             expected=f"[{len(pixels)}, d]", got=str(list(np.shape(output))))
        return output.astype(np.float32)


# ------------------------------------------------------------------------------------------ interface

def prepare(argument: str | None, pool: str) -> dict[str, Any]:
    """Open the model once to check it; return the pool, its file name and sha256.

    Raises MissingInput where onnxruntime or the file is missing, UsageError where it is no such model.
    """
    path = Path(argument or "")
    need_packages("onnx", "onnxruntime")
    if not path.is_file():
        raise MissingInput("this is no file", where=str(path), expected="an ONNX model",
                           remedy="models are never downloaded: fetch it first, then give its path")
    network = _open(str(path))
    if network.height and network.width:
        network.run(np.zeros((1, 3, network.height, network.width), np.float32))
    return {"pool": check_pool(NAME, POOLS, pool), "model": path.name, "sha256": digest(path),
            "pixels": "RGB 0..1", "argument": str(path)}


def clock(settings: dict[str, Any], fps: float) -> str:
    """Return "utterance", or the picture's clock for a sequence."""
    return "utterance" if settings["pool"] == "mean" else f"fps:{fps:g}"


def describe(sample: Sample, settings: dict[str, Any]) -> np.ndarray | None:
    """Return float32 [d], the mean over time, or [F, d] with pool "none"; None without frames."""
    if sample.frames is None:
        return None
    network = _open(settings["argument"])
    vectors = np.concatenate([
        network.run(_pixels(sample.frames[start:start + network.batch], network.height, network.width))
        for start in range(0, len(sample.frames), network.batch)])
    return vectors if settings["pool"] == "none" else vectors.mean(axis=0)


def fit(descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted:
    """Keep the model's own dimension, or fit principal components where one is asked for."""
    return keep_or_project(descriptors, dim)


# ---------------------------------------------------------------------------------------------- parts

@functools.cache
def _open(path: str) -> Network:
    """Return the model in a file, checked; loaded once a process."""
    import onnxruntime

    data = Path(path).read_bytes()
    if EXTERNAL_DATA in data:
        # Its bytes would stand in no manifest, and the runtime looks for it in the working folder.
        raise UsageError("this model keeps weights in another file", where=path,
                         expected="one file with all weights",
                         remedy="onnx.save(onnx.load(FILE), OTHER) puts them inside")
    options = onnxruntime.SessionOptions()
    # Workers share the cores among them already; and sums over one thread have one order.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _failures() as error:
        raise UsageError("this is no usable ONNX model", where=path, got=_first_line(error)) from error
    inputs = session.get_inputs()
    # A size is a number where the model fixes it, else a name or None.
    sizes = [size if isinstance(size, int) else None for size in inputs[0].shape] if len(inputs) == 1 else []
    if len(sizes) != 4 or inputs[0].type != "tensor(float)" or sizes[0] not in (1, None) \
            or sizes[1] not in (3, None):
        raise UsageError("this model does not take frames", where=path,
                         expected="one input, tensor(float) [N, 3, H, W] with N free or 1",
                         got=" and ".join(f"{each.type} {each.shape}" for each in inputs) or "no input")
    return Network(path, session, sizes[0] or BATCH_FRAMES, *sizes[2:])


def _pixels(frames: np.ndarray, height: int | None, width: int | None) -> np.ndarray:
    """Return float32 [N, 3, H, W] in 0 … 1 of frames uint8 [N, h, w, 3], scaled where a size is given.

    >>> _pixels(np.full((1, 2, 2, 3), 255, np.uint8), 1, None).tolist()
    [[[[1.0, 1.0]], [[1.0, 1.0]], [[1.0, 1.0]]]]
    """
    size = (width or frames.shape[2], height or frames.shape[1])
    if size != (frames.shape[2], frames.shape[1]):
        from PIL import Image

        frames = np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
                           for frame in frames])
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def _failures() -> tuple[type[Exception], ...]:
    """Return all that onnxruntime raises: its exceptions have no parent of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(kind for kind in vars(state).values()
                 if isinstance(kind, type) and issubclass(kind, Exception))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
