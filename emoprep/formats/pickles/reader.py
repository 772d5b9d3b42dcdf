"""Python's own unpickler, its table of instructions cut down to those that data need."""

from __future__ import annotations

import mmap
import pickle
import pickletools
import struct
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from emoprep.errors import CorpusError
from emoprep.formats.pickles.stand_ins import ATOMS, NAMES, ArrayToBe, DtypeToBe, Named, array_of, ordered_dtype
from emoprep.formats.pickles.weight import heaviest, weigh

__all__ = ["Reader"]

VIEWED = 65_536
"""Bytes from which on a string is a view of the file, good for nothing but the content of an array."""

_TORCH = 0x1950A86A20F9469CFC6C  # the first of the several pickles in a file of the old torch.save
_RESAVE = "save it again as dicts, lists and numpy arrays, with the program that wrote it"

# Python's own words for what is broken are those of its insides; only an UnpicklingError speaks of the pickle.
_SAID = ((UnicodeError, "text that cannot be decoded"), (ValueError, "a number or a text that cannot be read"),
         (ArithmeticError, "a number that is too large"), (MemoryError, "more than fits into memory"),
         (TypeError, "an operation with operands of another kind"),
         ((LookupError, AttributeError, struct.error), "an operation without its operands"))


class Reader(pickle._Unpickler):
    """Reads one pickle from `raw`; `where` names it in errors.

    What stands in `dispatch` can be done, and nothing else: instructions that make instances, extensions and
    persistent ids are not there. `spent` counts what the stand-ins copy.
    """

    dispatch: ClassVar[dict[int, Callable]] = {}  # filled at the foot of this file

    def __init__(self, raw: mmap.mmap | bytes, where: str):
        super().__init__(self, encoding="latin1")
        self.raw, self.where, self.at, self.spent = raw, where, 0, 0
        self.stack, self.metastack = [], []
        self.append = self.stack.append

    def load(self) -> Any:
        dispatch, raw, start = self.dispatch, self.raw, 0
        try:
            while True:
                start = self.at
                self.at += 1
                operation = raw[start]
                if operation == pickle.STOP[0]:
                    break
                dispatch[operation](self)
            value = self.stack.pop()
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError, struct.error,
                pickle.UnpicklingError) as error:
            raise self._broken(start, error) from error
        if self.at < len(raw):
            torch = " (a file of torch.save)" if type(value) is int and value == _TORCH else ""
            raise self.refused("the file goes on after the pickle's end", got=f"{len(raw) - self.at} bytes more{torch}",
                               expected="one pickle")
        if weigh(value, self.refused) > (most := heaviest(len(raw))):
            raise self.refused("this pickle refers to its own parts again and again: it amounts to far more than it "
                               "holds", expected=f"at most {most} bytes")
        return value

    def _broken(self, start: int, error: Exception) -> CorpusError:
        if start >= len(self.raw):
            return self.refused("the pickle ends early", got=f"{len(self.raw)} bytes, and no end mark",
                                remedy="fetch the file again")
        operation = self.raw[start]
        known = pickletools.code2op.get(chr(operation))
        if operation in self.dispatch or operation == pickle.STOP[0] or known is None:
            self.at = start
            said = next((words for kind, words in _SAID if isinstance(error, kind)), ascii(str(error))[1:100])
            return self.refused("the pickle is broken here", remedy="fetch the file again, or make it again",
                                got=said if known else f"{operation:#04x}, which is no instruction")
        if operation in (pickle.PERSID[0], pickle.BINPERSID[0]):
            return self.refused("this pickle refers to something outside itself", expected="all data in one file",
                                got="a persistent id, as torch.save writes")
        return self.too_much(f"the instruction {known.name}")

    def refused(self, what: str, *, expected: str = "", got: str = "", remedy: str = _RESAVE) -> CorpusError:
        return CorpusError(what, where=f"{self.where} at byte {self.at}", expected=expected, got=got, remedy=remedy)

    def too_much(self, asked: str) -> CorpusError:
        return self.refused("this pickle is more than data", expected="numpy arrays and plain containers",
                            got=ascii(asked[:100])[1:-1])

    def spend(self, count: int) -> None:
        """Count what a stand-in copies: made once, nothing takes more room than it has in the file."""
        self.spent += count
        if self.spent > 4 * len(self.raw) + 4096:
            raise self.refused("this pickle copies its own parts again and again", expected=f"{len(self.raw)} bytes",
                               got="more than four times as much")

    # ------------------------------------------------------------------------------------------- bytes

    def read(self, count: int) -> bytes:
        """Return the next bytes; there is no way to ask for more than the file has."""
        self._require(count)
        self.at += count
        return self.raw[self.at - count:self.at]

    def readline(self) -> bytes:
        end = self.raw.find(b"\n", self.at) + 1
        return self.read(end - self.at if end else len(self.raw))

    def _require(self, count: int) -> None:
        if count > len(self.raw) - self.at:
            raise self.refused("the pickle ends early", expected=f"{count} bytes more",
                               got=f"{len(self.raw) - self.at}", remedy="fetch the file again")

    def load_proto(self):
        if (protocol := self.read(1)[0]) > pickle.HIGHEST_PROTOCOL:
            raise self.refused("the protocol of this pickle is not known", got=str(protocol),
                               expected=f"0 to {pickle.HIGHEST_PROTOCOL}")

    def load_frame(self):
        """Frames only say how much a reader may fetch at once, and this one fetches nothing."""
        self.read(8)

    def load_binbytes(self):
        self.append(self._string(4))

    def load_binbytes8(self):
        self.append(self._string(8))

    def load_binstring(self):
        found = self._string(4)
        self.append(found.decode("latin1") if type(found) is bytes else found)

    def _string(self, size: int) -> bytes | memoryview:
        count = int.from_bytes(self.read(size), "little")
        if count < VIEWED:
            return self.read(count)
        self._require(count)
        self.at += count
        return memoryview(self.raw)[self.at - count:self.at]

    def load_digits(self):
        """Take a whole number written out (protocol 0), of a length that Python will print again."""
        line = self.readline()
        if len(line) > 600:
            raise self.refused("a whole number is too long", expected="at most 600 digits", got=f"{len(line)}")
        if line in (pickle.TRUE[1:], pickle.FALSE[1:]):
            self.append(line == pickle.TRUE[1:])
        else:
            self.append(int(line.removesuffix(b"\n").removesuffix(b"L")))

    # -------------------------------------------------------------------------------------- containers

    def key(self, value: Any) -> Any:
        """Return what may be a key of a dict or a member of a set: hashing it calls nothing, and is quick.

        Text has a hash that no file can foresee. Of numbers many can be made that share one, so that each is
        compared with all before it: whole numbers beyond 64 bits, and tuples of several numbers.
        """
        kind = type(value)
        if kind is int and not -2 ** 63 <= value < 2 ** 64:
            raise self.refused("this cannot be a key", expected="a whole number of 64 bits", got="a larger one")
        if kind in ATOMS:
            return value
        numbers = [part for part in value if type(part) not in (str, bytes)] if kind is tuple else []
        if kind is not tuple or len(value) > 8 or len(numbers) > 1 or tuple in map(type, numbers):
            raise self.refused("this cannot be a key", got=kind.__name__,
                               expected="a number, a string, or a few strings with one number at most")
        for number in numbers:
            self.key(number)
        return value

    def _own(self, kind: type) -> Any:
        """Return the container on top of the stack, which must be a plain one."""
        if type(self.stack[-1]) is not kind:
            raise self.refused(f"this is no {kind.__name__} to add to", got=type(self.stack[-1]).__name__)
        return self.stack[-1]

    def load_append(self):
        value = self.stack.pop()
        self._own(list).append(value)

    def load_appends(self):
        values = self.pop_mark()
        self._own(list).extend(values)

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._own(dict)[self.key(key)] = value

    def load_setitems(self):
        items = self._pairs()
        target = self._own(dict)
        for key, value in items:
            target[self.key(key)] = value

    def load_dict(self):
        items = self._pairs()  # which changes where `append` appends
        self.append({self.key(key): value for key, value in items})

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        items = self.pop_mark()
        if len(items) % 2:
            raise pickle.UnpicklingError("a key without its value")
        return zip(items[::2], items[1::2], strict=True)

    def load_additems(self):
        members = self.pop_mark()
        self._own(set).update(map(self.key, members))

    def load_frozenset(self):
        members = self.pop_mark()  # which changes where `append` appends
        self.append(frozenset(map(self.key, members)))

    def _memoize(self, place: int) -> None:
        made = self.stack[-1]
        if type(made) is ArrayToBe:
            made.places.append(place)
        self.memo[place] = made

    def load_put(self):
        self._memoize(int(self.readline()))

    def load_binput(self):
        self._memoize(self.read(1)[0])

    def load_long_binput(self):
        self._memoize(int.from_bytes(self.read(4), "little"))

    def load_memoize(self):
        self._memoize(len(self.memo))

    # ------------------------------------------------------------------------------------ what is named

    def find_class(self, module: str, name: str) -> Named:
        named = NAMES.get(f"{module}.{name}")
        if named is None:
            raise self.too_much(f"{module}.{name}")
        return named

    def load_inst(self):
        """Name what would have been an instance of a class of Python 2; none is admitted."""
        raise self.too_much(".".join(self.readline()[:-1].decode("latin1") for _ in range(2)))

    def load_reduce(self):
        given, named = self.stack.pop(), self.stack[-1]
        if type(named) is not Named or named.call is None or type(given) is not tuple:
            raise self.too_much(f"a call of {named.name if type(named) is Named else type(named).__name__}")
        self.stack[-1] = named.call(self, *given)

    def load_build(self):
        state, made = self.stack.pop(), self.stack[-1]
        if type(made) is ArrayToBe:
            self.stack[-1] = array = array_of(self, *state)
            places, made.places = made.places, []  # once: filling it again changes nothing, and takes no time
            self.memo.update(dict.fromkeys(places, array))
        elif type(made) is DtypeToBe:
            made.dtype = ordered_dtype(self, made.dtype, *state)
        else:
            raise self.too_much(f"the state of a {type(made).__name__}")


_AS_THEY_ARE = (
    pickle.MARK, pickle.POP, pickle.POP_MARK, pickle.DUP, pickle.GET, pickle.BINGET, pickle.LONG_BINGET,
    pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1,
    pickle.FLOAT, pickle.BINFLOAT, pickle.STRING, pickle.SHORT_BINSTRING, pickle.SHORT_BINBYTES, pickle.UNICODE,
    pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.LIST, pickle.EMPTY_LIST, pickle.EMPTY_DICT,
    pickle.EMPTY_SET, pickle.TUPLE, pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.GLOBAL,
    pickle.STACK_GLOBAL)

_CHECKED = {
    pickle.PROTO: Reader.load_proto, pickle.FRAME: Reader.load_frame, pickle.INT: Reader.load_digits,
    pickle.LONG: Reader.load_digits,
    pickle.BINSTRING: Reader.load_binstring, pickle.BINBYTES: Reader.load_binbytes,
    pickle.BINBYTES8: Reader.load_binbytes8, pickle.BYTEARRAY8: Reader.load_binbytes8,
    pickle.APPEND: Reader.load_append, pickle.APPENDS: Reader.load_appends, pickle.SETITEM: Reader.load_setitem,
    pickle.SETITEMS: Reader.load_setitems, pickle.DICT: Reader.load_dict, pickle.ADDITEMS: Reader.load_additems,
    pickle.FROZENSET: Reader.load_frozenset, pickle.PUT: Reader.load_put, pickle.BINPUT: Reader.load_binput,
    pickle.LONG_BINPUT: Reader.load_long_binput, pickle.MEMOIZE: Reader.load_memoize, pickle.INST: Reader.load_inst,
    pickle.REDUCE: Reader.load_reduce, pickle.BUILD: Reader.load_build}

Reader.dispatch.update({code[0]: pickle._Unpickler.dispatch[code[0]] for code in _AS_THEY_ARE})
Reader.dispatch.update({code[0]: call for code, call in _CHECKED.items()})
