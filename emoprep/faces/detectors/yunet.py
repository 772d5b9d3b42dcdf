"""YuNet, through OpenCV, with a model file that the user has: `--faces yunet:FILE`.

Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20, 2023. The file is
`face_detection_yunet_….onnx` of OpenCV's model zoo (MIT); nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emoprep.errors import MissingInput, UsageError
from emoprep.faces.detectors import Detect
from emoprep.formats.checkpoint import digest

__all__ = ["HELP", "NAME", "PACKAGES", "detector", "prepare"]

NAME = "yunet:"
HELP = "YuNet with a model file of yours, yunet:FILE"
PACKAGES = ("opencv-python-headless",)

LEAST_SCORE, MOST_OVERLAP, MOST = 0.8, 0.4, 500


def prepare(argument: str | None) -> dict[str, Any]:
    """Open the model once to check it; return its name and sha256.

    Raises MissingInput where there is no such file, UsageError where it is no YuNet.
    """
    path = Path(argument or "").absolute()  # workers may be elsewhere
    if not path.is_file():
        raise MissingInput("this is no file", where=f"--faces {NAME}{argument}", expected="a YuNet model (.onnx)",
                           remedy="models are never downloaded: fetch it first, then give its path")
    settings = {"detector": NAME, "model": path.name, "sha256": digest(path), "argument": str(path)}
    detector(settings)(np.zeros((64, 96, 3), np.uint8))
    return settings


def detector(settings: Mapping[str, Any]) -> Detect:
    """Return the open network."""
    import cv2

    cv2.setNumThreads(1)  # workers share the cores among them already
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what matters is raised
    path = settings["argument"]
    try:
        network = cv2.FaceDetectorYN.create(path, "", (96, 64), LEAST_SCORE, MOST_OVERLAP, MOST)
    except cv2.error as error:
        raise _no_yunet(path, error) from error

    def detect(picture: np.ndarray) -> np.ndarray:
        try:
            network.setInputSize(picture.shape[1::-1])
            found = network.detect(np.ascontiguousarray(picture[..., ::-1]))[1]
        except cv2.error as error:
            raise _no_yunet(path, error) from error
        if found is None:
            return np.zeros((0, 15), np.float32)
        # OpenCV has the score last.
        return found[np.argsort(-found[:, 14], kind="stable")][:, [0, 1, 2, 3, 14, *range(4, 14)]]
    return detect


def _no_yunet(path: str, error: Exception) -> UsageError:
    return UsageError("OpenCV cannot find faces with this model", where=path, expected="a YuNet model",
                      got=str(error).rpartition("error: ")[2].strip().partition("\n")[0])
