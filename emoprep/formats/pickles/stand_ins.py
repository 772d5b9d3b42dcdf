"""What the few names stand for that a pickle of arrays asks for, each checking what it is given.

An array comes in two steps: an empty one is made (`reconstruct`), and its state is set (`array_of`). `reader` is
the Reader that met the name; it counts what is copied and says where an error is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ATOMS", "NAMES", "ArrayToBe", "DtypeToBe", "Named", "array_of", "ordered_dtype"]

ATOMS = frozenset((type(None), bool, int, float, str, bytes))
"""What may be a key of a dict."""

_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9]\d{0,8}|O[48]?", re.ASCII)


class Named(NamedTuple):
    """What stands for a name; `call` is None where it is only referred to."""

    name: str
    call: Callable[..., Any] | None = None


class ArrayToBe:
    """An array before its state is known, and where the memo holds it."""

    def __init__(self):
        self.places = []


class DtypeToBe:
    """A dtype; its byte order comes later, as its state."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype


# ---------------------------------------------------------------------------------------------- arrays

def dtype(reader, text, _align=False, _copy=True) -> DtypeToBe:
    if type(text) is not str or not _DTYPE.fullmatch(text):
        raise reader.refused("this kind of array is not admitted", got=ascii(text)[:100],
                             expected="numbers, strings or objects: b1, i8, f4, S5, U5, O …")
    return DtypeToBe(np.dtype("O" if text[0] == "O" else text))


def ordered_dtype(reader, kind, version, order, subdtype, names, fields, itemsize, _alignment, _flags) -> np.dtype:
    plain = (version, subdtype, names, fields) == (3, None, None, None) and itemsize in (-1, kind.itemsize)
    if not plain or order not in ("<", ">", "|", "="):
        raise reader.refused("this kind of array is not admitted", expected="one value in each place",
                             got="fields, or a state of another version")
    return kind.newbyteorder(order) if order in "<>" else kind


def reconstruct(reader, kind, shape, _code) -> ArrayToBe:
    if kind is not _NDARRAY or shape != (0,):
        raise reader.refused("this array is not made as numpy makes them", expected="numpy.ndarray, shape (0,)",
                             got=kind.name if type(kind) is Named else type(kind).__name__)
    return ArrayToBe()


def array_of(reader, _version, shape, kind, fortran, content) -> np.ndarray:
    return frombuffer(reader, content, kind, shape, "F" if fortran else "C")


def frombuffer(reader, content, kind, shape, order="C") -> np.ndarray:
    """Return an array over bytes of the file, or over a list where it holds objects."""
    if type(shape) is not tuple or len(shape) > 32 or not all(type(size) is int and 0 <= size < 2 ** 48
                                                              for size in shape) \
            or type(kind) is not DtypeToBe or order not in ("C", "F"):
        raise reader.refused("this array is not made as numpy makes them", expected="a shape, a dtype and content")
    count, kind = math.prod(shape), kind.dtype
    if kind.kind == "O":
        return _objects(reader, content, count).reshape(shape, order=order)
    content = _bytes(reader, content)
    if len(content) != count * kind.itemsize:
        raise reader.refused("the content of an array is not as long as its shape says", got=f"{len(content)} bytes",
                             expected=f"{list(shape)} of {kind}: {count * kind.itemsize} bytes")
    array = np.frombuffer(content, kind) if count else np.empty(0, kind)
    if kind.kind == "U" and count and array.view(f"{kind.byteorder}u4").max() > 0x10FFFF:
        raise reader.refused("the content of an array is no text", expected="characters up to U+10FFFF")
    return array.reshape(shape, order=order)


def _objects(reader, content, count: int) -> np.ndarray:
    if type(content) is not list or len(content) != count:
        raise reader.refused("the content of an array is not as long as its shape says", expected=f"{count} objects",
                             got=f"{len(content)}" if type(content) is list else type(content).__name__)
    reader.spend(count)
    array = np.empty(count, object)
    for place, value in enumerate(content):  # numpy would take a list of lists for rows and columns
        array[place] = value
    return array


def _bytes(reader, content) -> bytes | memoryview:
    if type(content) is str:  # Python 2 had no others; they were decoded as latin-1
        reader.spend(len(content))
        return content.encode("latin1")
    if type(content) not in (bytes, memoryview):
        raise reader.refused("the content of an array is no bytes", got=type(content).__name__)
    return content


def scalar(reader, kind, content) -> Any:
    reader.spend(len(content))
    return frombuffer(reader, content, kind, ()).item()


# ------------------------------------------------------------------------------------ plain containers

def encode(reader, text, codec="latin1") -> bytes:
    """Return bytes as protocols 0 to 2 write them: as text of the same numbers."""
    if codec not in ("latin1", "latin-1") or type(text) is not str:
        raise reader.too_much("text in another encoding")
    reader.spend(len(text))
    return text.encode("latin1")


def members(reader, values=()) -> set:
    if type(values) not in (list, tuple):
        raise reader.refused("this is no set", expected="a list of its members", got=type(values).__name__)
    reader.spend(len(values))
    return set(map(reader.key, values))


def frozen_members(reader, values=()) -> frozenset:
    return frozenset(members(reader, values))


def pairs(reader, values=()) -> dict:
    reader.spend(len(values))
    return {reader.key(key): value for key, value in values}


def defaults(_reader, _factory=None) -> dict:
    return {}


def no_bytes(_reader) -> bytes:
    return b""


_NDARRAY = Named("numpy.ndarray")

NAMES = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": Named("numpy.dtype", dtype),
    "_codecs.encode": Named("_codecs.encode", encode),
    "collections.OrderedDict": Named("collections.OrderedDict", pairs),
    "collections.defaultdict": Named("collections.defaultdict", defaults),
    # numpy 2 renamed its core, and Python 3 its builtins.
    **{f"numpy.{core}.{name}": Named(f"numpy {name}", call) for core in ("core", "_core") for name, call in
       (("multiarray._reconstruct", reconstruct), ("multiarray.scalar", scalar), ("numeric._frombuffer", frombuffer))},
    **{f"{builtins}.{name}": Named(name, call) for builtins in ("builtins", "__builtin__") for name, call in
       (("set", members), ("frozenset", frozen_members), ("bytes", no_bytes), ("list", None), ("dict", None),
        ("int", None))},
}
"""What a pickle may ask for by name, and what it is given."""
