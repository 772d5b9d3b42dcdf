"""Pickles as Python 2 wrote them (protocol 2): `str` is bytes, arrays hold theirs as such a string, sets are calls.

Python 3 cannot write these, and many of the sets that people have are such files.
"""

import struct

import numpy as np


def dumps(value) -> bytes:
    """Return the pickle of numbers, str (as UTF-8 bytes), bytes, containers and arrays; nothing is memoized twice."""
    return b"\x80\x02" + _value(value) + b"."


def _string(raw: bytes) -> bytes:
    return b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)) + raw


def _value(value) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, np.generic):
        return b"cnumpy.core.multiarray\nscalar\n(" + _dtype(value.dtype) + _string(value.tobytes()) + b"tR"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return _string(value.encode())
    if isinstance(value, bytes):
        return _string(value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_value, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_value, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(_value(key) + _value(inner) for key, inner in value.items()) + b"u"
    if isinstance(value, set):
        return b"c__builtin__\nset\n(" + _value(sorted(value)) + b"tR"
    if isinstance(value, np.ndarray):
        return _array(value)
    raise TypeError(type(value))


def _dtype(kind: np.dtype) -> bytes:
    order = {"=": "<"}.get(kind.byteorder, kind.byteorder)
    sizes = (kind.itemsize, 1) if kind.kind == "S" else (-1, -1)
    return (b"cnumpy\ndtype\n(" + _value(f"{kind.kind}{kind.itemsize}") + _value(0) + _value(1) + b"tR("
            + _value(3) + _value(order) + b"NNN" + _value(sizes[0]) + _value(sizes[1]) + _value(0) + b"tb")


def _array(array: np.ndarray) -> bytes:
    return (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + _value(0) + b"t" + _value("b") + b"tR("
            + _value(1) + _value(array.shape) + _dtype(array.dtype) + b"\x89" + _string(array.tobytes()) + b"tb")
