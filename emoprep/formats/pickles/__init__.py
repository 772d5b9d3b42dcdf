"""Pickles as data: numpy arrays and plain containers are admitted, and nothing else is.

A pickle is a program for a small machine, and Python's own reader lets it call whatever it names. This one
knows the instructions that numbers, strings, containers and arrays need. Nothing is imported for a pickle, no
method of an object is called by it, and what it makes is bounded by the size of its file.

    reader.py      the machine: Python's own, with its table of instructions cut down
    stand_ins.py   what the few names stand for that a pickle of arrays asks for, each checking what it is given
    weight.py      what came of it: only what is admitted, of a size that can be walked
"""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path
from typing import Any

from emoprep.errors import CorpusError, MissingInput
from emoprep.formats.pickles.reader import Reader

__all__ = ["load"]

_OTHERS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip (as torch.save writes)",
           b"\x89HDF": "HDF5", b"\x93NUMPY": "npy", b"PAR1": "parquet"}
_PACKED = ("gzip", "bzip2", "xz")


def load(path: Path) -> Any:
    """Return what a pickle holds: None, numbers, str, bytes, list, tuple, dict, set and numpy arrays.

    Strings of Python 2 are decoded as latin-1. An OrderedDict or a defaultdict comes as a dict, a numpy scalar as
    a Python one. Arrays are read-only views of the file, whose pages come as they are looked at: a file may be
    larger than memory. Raises MissingInput where there is no file, and CorpusError (file and byte) for anything
    but a pickle of these, naming what it asks for.
    """
    where = str(path)
    try:
        if not path.is_file():
            raise MissingInput("this is no file" if path.exists() else "the pickle is not there", where=where,
                               expected="a file", remedy="check the path")
        with path.open("rb") as file:
            start = file.read(8)
            raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if start else b""
    except OSError as error:
        raise MissingInput("the pickle cannot be read", where=where, got=error.strerror or str(error)) from error
    other = next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), None)
    # Of protocol 2 and later the first byte is 0x80; of every protocol the last one is a full stop.
    if other is None and not (start[:1] == pickle.PROTO or raw[-1:] == pickle.STOP):
        other = f"a file that begins with {start!a}" if start else "an empty file"
    if other is not None:
        raise CorpusError("this is no pickle", where=where, got=other,
                          remedy="unpack it first" if other in _PACKED else "give the file that pickle.dump wrote")
    return Reader(raw, where).load()
