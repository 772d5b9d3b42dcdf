"""Face detectors, one file each, found because they lie here; and what each of them must define.

Of all it gives, a detector's faces are float32 [n, 15]: x, y, w, h (px, from the picture's top left corner), score
in 0 … 1, and x, y of five landmarks (`LANDMARKS`); the best first.
"""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from emoprep.errors import UsageError

__all__ = ["LANDMARKS", "Detect", "DetectorModule", "find_detector", "modules", "open_detector"]

LANDMARKS = ("eye", "other_eye", "nose", "mouth", "other_mouth")
"""The eye and the corner of the mouth at the left of the picture come first."""

Detect = Callable[[np.ndarray], np.ndarray]
"""uint8 [h, w, 3] in RGB → faces float32 [n, 15]."""


class DetectorModule(Protocol):
    """One detector. A NAME ending in ":" takes an argument (`yunet:FILE`); PACKAGES decide what it finds.

    `prepare` checks that all is there and returns what the manifest says of it, JSON without paths; what `detector`
    needs beyond that is under "argument", which does not go there. `detector` opens it in a worker, on one thread.
    """

    NAME: str
    HELP: str
    PACKAGES: tuple[str, ...]

    def prepare(self, argument: str | None) -> dict[str, Any]: ...

    def detector(self, settings: Mapping[str, Any]) -> Detect: ...


def modules() -> dict[str, ModuleType]:
    """Return the detectors by their NAME.

    >>> sorted(modules())
    ['mtcnn', 'retinaface', 'yunet:']
    """
    found = [importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)]
    return {module.NAME: module for module in found}


def find_detector(text: str) -> tuple[ModuleType, str | None]:
    """Return the detector that `--faces` names, and its argument.

    >>> module, argument = find_detector("yunet:models/yunet.onnx")
    >>> module.NAME, argument
    ('yunet:', 'models/yunet.onnx')
    """
    name, colon, argument = text.partition(":")
    module = modules().get(name + colon)
    if module is None or (colon and not argument):
        listed = sorted(name + "FILE" if name.endswith(":") else name for name in modules())
        raise UsageError("no such detector of faces", where="--faces", expected=" or ".join(listed), got=repr(text))
    return module, argument or None


def open_detector(settings: Mapping[str, Any]) -> Detect:
    """Return the detector that was prepared as `settings`; it is opened once a process."""
    return _open(json.dumps(settings, sort_keys=True))


@functools.lru_cache(maxsize=1)
def _open(settings: str) -> Detect:
    settings = json.loads(settings)
    return modules()[settings["detector"]].detector(settings)
