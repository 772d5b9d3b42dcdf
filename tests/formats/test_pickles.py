"""Pickles as data: what is admitted comes as it was, and nothing else is done for a pickle."""

import collections
import datetime
import gzip
import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import python2_pickles
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.errors import CorpusError, EmoprepError, MissingInput
from emoprep.formats.pickles import load
from emoprep.formats.pickles.weight import heaviest

PLAIN = {
    "numbers": [0, 1, 255, 65_536, -5, 2**40, -(2**70), 2.5, float("inf"), True, False, None],
    "strings": ["", "plain", "it’s 好", "\x00\x85", b"", b"\x00\xff", "long " * 2000],
    "containers": [[], {}, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1, "a", b"b"}, frozenset([2.5, None])],
    "keys": {1: "a", "b": 2, None: 3, (1, "x"): 4, 2.5: 5, b"y": 6},
}
ARRAYS = {
    "float32": np.arange(12, dtype=np.float32).reshape(3, 4), "float64": np.array([[np.nan, -np.inf, 1e300]]),
    "float16": np.array([1, 2], np.float16), "big-endian": np.arange(5, dtype=">i4"), "bool": np.array([True, False]),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)), "scalar": np.array(3.5),
    "no-rows": np.zeros((0, 3)), "int8": np.array([-1], np.int8), "uint64": np.array([2**64 - 1], np.uint64),
    "text": np.array(["ab", "é好", ""]), "bytes": np.array([b"ab", b""]), "view": np.arange(10.0)[::2],
    "objects": np.array(["x", None, [1, 2], 3.5], object), "large": np.random.default_rng(0).random((200, 100)),
    "large-text": np.array(["some words"] * 5000),
}


def put(tmp_path, raw):
    path = tmp_path / "x.pkl"
    path.write_bytes(raw)
    return path


def refusal(tmp_path, raw, kind=CorpusError):
    with pytest.raises(kind) as caught:
        load(put(tmp_path, raw))
    assert str(caught.value).startswith(str(tmp_path / "x.pkl"))
    assert len(str(caught.value)) < 600
    return str(caught.value)


def same(one, other):
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)
    else:
        assert type(one) is type(other)
        assert one == other


# -------------------------------------------------------------------------------------- what is admitted

@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_come_as_they_were(tmp_path, protocol):
    found = load(put(tmp_path, pickle.dumps(PLAIN, protocol)))
    assert found == PLAIN
    for name, values in PLAIN.items():
        if isinstance(values, list):
            for value, there in zip(values, found[name], strict=True):
                same(value, there)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_as_they_were(tmp_path, name, protocol):
    # Twice: the second is a reference to the first.
    one, two = load(put(tmp_path, pickle.dumps([ARRAYS[name]] * 2, protocol)))
    same(ARRAYS[name], one)
    assert two is one


def test_what_a_dict_or_a_number_is_made_of_does_not_matter(tmp_path):
    odd = {"ordered": collections.OrderedDict(b=1, a=[2]), "default": collections.defaultdict(list, {"x": [1]}),
           "float": np.float32(1.5), "int": np.int64(7), "text": np.str_("é"), np.int64(3): "key"}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        found = load(put(tmp_path, pickle.dumps(odd, protocol)))
        assert found == {"ordered": {"b": 1, "a": [2]}, "default": {"x": [1]}, "float": 1.5, "int": 7, "text": "é",
                         3: "key"}
        assert {type(value) for value in found.values()} == {dict, float, int, str}
        assert {type(key) for key in found} == {str, int}


def test_python_2(tmp_path):
    """Strings are bytes there, and so is the content of arrays; both are decoded as latin-1."""
    array = np.arange(20_000, dtype=np.float64).reshape(100, 200)  # longer than what is copied
    there = {"a": array, "b": np.array([b"xy", b"z"]), "s": {3, 1}, "t": ("é", b"\xff", 1, 2.5, None, True),
             "n": [np.int64(200), np.float32(0.5)]}
    found = load(put(tmp_path, python2_pickles.dumps(there)))
    same(array, found["a"])
    same(there["b"], found["b"])
    assert found["s"] == {1, 3}
    assert found["t"] == ("Ã©", "ÿ", 1, 2.5, None, True)
    assert found["n"] == [200, 0.5] and list(map(type, found["n"])) == [int, float]


def test_the_writer_of_python_2_pickles_is_read_by_python_too(tmp_path):
    there = {"a": np.arange(6.0).reshape(2, 3), "s": {1}, "t": ("é", [1, (2,)])}
    found = pickle.loads(python2_pickles.dumps(there), encoding="latin1")
    same(there["a"], found["a"])
    assert found["s"] == {1} and found["t"] == ("Ã©", [1, (2,)])


def test_arrays_are_views_of_the_file(tmp_path):
    """Loading an array takes no memory: its pages come as they are looked at."""
    path = tmp_path / "x.pkl"
    with path.open("wb") as file:
        pickle.dump({"a": np.zeros((3000, 10_000), np.float32)}, file, 4)  # 120 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    array = load(path)["a"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB
    assert not array.flags.owndata and not array.flags.writeable
    assert array[2999, 9999] == 0


# --------------------------------------------------------------------------------------- what is refused

class Calls:
    def __init__(self, function, *given):
        self.reduced = function, given

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(("function", "given", "name"), [
    (os.system, ("touch hit",), "posix.system"), (eval, ("open('hit', 'w')",), "eval"),
    (subprocess.Popen, (["touch", "hit"],), ".Popen"), (getattr, (1, "real"), "getattr"),
    (io.open, ("hit", "w"), "open"), (np.load, ("x.npy",), "numpy.load"), (__import__, ("os",), "__import__"),
    (collections.deque, ([1],), "collections.deque"), (datetime.date, (2020, 1, 1), "datetime.date"),
    (bytearray, (10**12,), "bytearray"), (np.zeros, (10**12,), "numpy.zeros"), (np.memmap, ("hit",), "numpy.memmap"),
])
def test_nothing_is_called(tmp_path, monkeypatch, protocol, function, given, name):
    monkeypatch.chdir(tmp_path)
    said = refusal(tmp_path, pickle.dumps({"data": [1, Calls(function, *given)]}, protocol))
    assert "this pickle is more than data: expected numpy arrays and plain containers, got " in said
    assert name in said
    assert not (tmp_path / "hit").exists()


def test_objects_are_named(tmp_path):
    import pandas
    assert "got pandas." in refusal(tmp_path, pickle.dumps(pandas.DataFrame({"a": [1]})))
    from sklearn.linear_model import LogisticRegression
    assert "got sklearn.linear_model._logistic.LogisticRegression" in refusal(
        tmp_path, pickle.dumps(LogisticRegression()))
    assert "got numpy.matrix" in refusal(tmp_path, pickle.dumps(np.matrix([1])))
    # As torch 1.6 and later names its tensors inside its zip, and joblib its arrays.
    assert "got torch._utils._rebuild_tensor_v2" in refusal(tmp_path, b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.")
    assert "got joblib.numpy_pickle.NumpyArrayWrapper" in refusal(
        tmp_path, b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93.")


@pytest.mark.parametrize(("raw", "said"), [
    (b"(iposix\nsystem\n.", "got posix.system"), (b"(cposix\nsystem\nS'x'\no.", "got posix.system"),
    (b"\x80\x02\x82\x01.", "got the instruction EXT1"),
    (b"\x80\x02c__builtin__\nset\n)\x81.", "the instruction NEWOBJ"),
    (b"\x80\x02K\x01Q.", "got a persistent id, as torch.save writes"), (b"Pstorage\n.", "got a persistent id"),
    (b"\x80\x05\x97.", "the instruction NEXT_BUFFER"), (b"\x80\x02\x8b\x00\x00\x00\x10.", "the instruction LONG4"),
    (b"\x80\x02]K\x01a}b.", "the state of a list"), (b"\x80\x02U\x02lsK\x01\x85R.", "a call of str"),
    (b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", "a call of numpy.ndarray"),
    (b"\x80\x02cnumpy\nndarray\n.", "got a name by itself"),
    (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R.",
     "an array without content"),
    (b"\x80\x02cnumpy\ndtype\nU\x02f4\x85R.", "got a dtype by itself"),
    (b"\x80\x04B\x00\x00\x01\x00" + bytes(65_536) + b".", "got long bytes that are no array's"),
    (b"\x80\x04\x8c\x05a\nb\x1b[\x8c\x01c\x93.", r"got a\nb\x1b[.c"), (b"\xff.", "got 0xff, which is no instruction"),
    (b"\x80\xff.", "the protocol of this pickle is not known: expected 0 to 5, got 255"),
])
def test_instructions_that_data_do_not_need(tmp_path, raw, said):
    assert said in refusal(tmp_path, raw)


@pytest.mark.parametrize("array", [
    np.zeros(3, [("a", "f4")]), np.zeros(3, "M8[s]"), np.zeros(3, complex), np.zeros(3, "V8"),
    np.array([1], np.longdouble)])
def test_arrays_of_other_kinds(tmp_path, array):
    assert "this kind of array is not admitted" in refusal(tmp_path, pickle.dumps(array))


def test_what_is_no_pickle(tmp_path):
    with pytest.raises(MissingInput, match="the pickle is not there"):
        load(tmp_path / "nothing.pkl")
    os.mkfifo(tmp_path / "pipe.pkl")
    for other in (tmp_path, tmp_path / "pipe.pkl"):
        with pytest.raises(MissingInput, match="this is no file: expected a file"):
            load(other)
    packed = gzip.compress(pickle.dumps(PLAIN))
    assert "this is no pickle: got gzip; unpack it first" in refusal(tmp_path, packed)
    for start, kind in ((b"PK\x03\x04", "zip (as torch.save writes)"), (b"\x89HDF\r\n", "HDF5"), (b"PAR1", "parquet"),
                        (b"\x93NUMPY", "npy")):
        assert f"got {kind}" in refusal(tmp_path, start + b"....")
    assert "got an empty file" in refusal(tmp_path, b"")
    assert "got a file that begins with b'video_id'" in refusal(tmp_path, b"video_id,clip_id\n")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_file_that_was_cut_off(tmp_path, protocol):
    whole = pickle.dumps({"a": ARRAYS["float32"], **PLAIN}, protocol)
    for length in (1, 2, 3, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        said = refusal(tmp_path, whole[:length])
        assert "ends early" in said or "no pickle" in said  # protocols 0 and 1 have no mark at their beginning


def test_a_file_that_goes_on(tmp_path):
    second = pickle.dumps([2])
    assert f"the file goes on after the pickle's end: expected one pickle, got {len(second)} bytes more" in refusal(
        tmp_path, pickle.dumps([1]) + second)
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    assert "(a file of torch.save)" in refusal(tmp_path, magic + pickle.dumps(1001, 2))


# ------------------------------------------------------------------------------------------------ bombs

def nested(depth):
    return b"]" * (depth + 1) + b"a" * depth + b"."


def laughs(levels):
    """Return a list of ten references to a list of ten references …: 10^levels strings in a few bytes."""
    raw = b"\x80\x04\x8c\x03lol\x940"
    for level in range(levels):
        raw += b"](" + b"h" + bytes([level]) + (b"h" + bytes([level])) * 9 + b"e\x940"
    return raw + b"h" + bytes([levels]) + b"."


def array_of(shape, content, dtype=b"f4"):
    sizes = b"".join(b"\x8a\x08" + struct.pack("<q", size) for size in shape)
    return (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01(" + sizes
            + b"tcnumpy\ndtype\nU" + bytes([len(dtype)]) + dtype + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
            b"J\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(content)]) + content + b"tb.")


# Multiples of 2^61 - 1, all of which hash to 0: without a bound each would be compared with all before it.
COLLIDING = [b"\x8a\x10" + ((2**61 - 1) * number).to_bytes(16, "little") for number in range(1, 100_000)]
TOO_LARGE = "this cannot be a key: expected a whole number of 64 bits"

BOMBS = {
    "string-length": (b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b".", "expected 4611686018427387904 bytes more"),
    "bytes-length": (b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b".", "ends early"),
    "bytearray-length": (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", "ends early"),
    "negative-length": (b"\x80\x02T\xff\xff\xff\xff.", "ends early"),
    "frame": (b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"]K\x01b.", "the state of a list"),
    "long": (b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"\x01.", "the instruction LONG4"),
    "digits": (b"L" + b"9" * 100_000 + b"L\n.", "a whole number is too long"),
    "memo": (b"\x80\x02K\x01r\xff\xff\xff\xffj\xfe\xff\xff\xff.", "Memo value not found at index 4294967294"),
    "depth": (nested(200_000), "nested too deep, or without end: expected 20 levels at most"),
    "itself": (b"\x80\x02]q\x00h\x00a.", "nested too deep, or without end"),
    "laughs": (laughs(15), "this pickle refers to its own parts again and again"),
    "shared-array": (b"\x80\x04C\xff" + bytes(255) + b"\x940](" + b"h\x00" * 50_000 + b"e.", "again and again"),
    "shape": (array_of((2**40, 2**40), b""), "not as long as its shape says"),
    "no-length-shape": (array_of((0, 2**47), b""), None),
    "short-content": (array_of((3,), b"\0" * 8), "not as long as its shape says: expected [3] of float32: 12 bytes"),
    "no-size": (array_of((2**40,), b"", b"S0"), "this kind of array is not admitted"),
    "characters": (array_of((1,), b"\xff\xff\xff\x7f", b"U1"), "the content of an array is no text"),
    "keys": (b"\x80\x02}(K\x01u.", "broken here: got a key without its value"),
    "dict-keys": (b"(K\x01d.", "broken here: got a key without its value"),
    "colliding-keys": (b"\x80\x04}(" + b"".join(number + b"N" for number in COLLIDING) + b"u.", TOO_LARGE),
    "colliding-members": (b"\x80\x04\x8f(" + b"".join(COLLIDING) + b"\x90.", TOO_LARGE),
    "colliding-frozen": (b"\x80\x04(" + b"".join(COLLIDING) + b"\x91.", TOO_LARGE),
    "colliding-in-tuples": (b"\x80\x04(" + b"".join(number + b"\x85" for number in COLLIDING) + b"\x91.", TOO_LARGE),
    "two-numbers-as-key": (b"\x80\x02}K\x01G" + bytes(8) + b"\x86K\x01s.", "a few strings with one number at most"),
    "tuple-in-tuple-as-key": (b"\x80\x02}K\x01\x85U\x01a\x86K\x01s.", "this cannot be a key"),
    "list-as-key": (b"\x80\x02}]K\x01s.", "this cannot be a key"),
    "tuple-as-key": (b"\x80\x02}K\x01\x85" + b"\x85" * 60 + b"K\x01s.", "this cannot be a key"),
    "long-tuple-as-key": (b"\x80\x02}(" + b"K\x01" * 1000 + b"tK\x01s.", "this cannot be a key"),
    "add-to-array": (array_of((1,), b"\0" * 4)[:-1] + b"K\x01a.", "this is no list to add to: got ndarray"),
    "empty": (b"\x80\x04.", "the pickle is broken here: got an operation without its operands"),
    "mark": (b"\x80\x04(.", "the pickle is broken here: got an operation without its operands"),
    "no-tuple": (b"\x80\x04K\x01\x87.", "broken here: got an operation without its operands"),
    "no-number": (b"Fabc\n.", "broken here: got a number or a text that cannot be read"),
    "no-escape": (b"S'\\xzz'\n.", "broken here: got a number or a text that cannot be read"),
    "no-text": (b"\x80\x02X\x02\x00\x00\x00\xff\xfe.", "broken here: got text that cannot be decoded"),
    "no-quote": (b"Sabc\n.", "broken here: got the STRING opcode argument must be quoted"),
    "no-arguments": (b"\x80\x02c_codecs\nencode\n)R.", "broken here: got an operation with operands of another kind"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path, name):
    raw, said = BOMBS[name]
    started = time.monotonic()
    if said is None:
        assert load(put(tmp_path, raw)).size == 0
    else:
        assert said in refusal(tmp_path, raw)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("key", [2**64 - 1, -2**63, (2**64 - 1, "x"), ("a", b"b", None), (), 1e300])
def test_what_may_be_a_key(tmp_path, key):
    assert load(put(tmp_path, pickle.dumps({key: 1}, 4))) == {key: 1}


def test_how_much_a_pickle_may_amount_to():
    assert heaviest(0) == 2**20 and heaviest(1000) == 64_000 + 2**20
    assert heaviest(10**11) == 10**11 + 2**31  # 64 times as much would be 6.4 TB


def test_what_is_copied_is_counted(tmp_path):
    """Each call copies a long string of the file: a few bytes each, and as many times the string."""
    text = b"\x80\x02X" + struct.pack("<I", 100_000) + b"x" * 100_000 + b"q\x000c_codecs\nencode\nq\x010]("
    call = b"h\x01h\x00U\x06latin1\x86R"
    assert "copies its own parts again and again" in refusal(tmp_path, text + call * 1000 + b"e.")
    members = b"\x80\x02](" + b"".join(b"M" + struct.pack("<H", number) for number in range(60_000)) + b"eq\x000("
    assert "copies its own parts again and again" in refusal(
        tmp_path, members + b"c__builtin__\nset\nh\x00\x85R" * 100 + b"t.")


def test_an_array_is_filled_once(tmp_path):
    """Filling it again and again would go through all its places in the memo each time."""
    head = array_of((1,), b"\0" * 4)
    start, build = head.index(b"R(") + 1, head[head.index(b"R(") + 1:-1]
    raw = head[:start] + b"".join(b"q" + bytes([place % 256]) for place in range(100_000)) + b"2" * 20_000 \
        + (build + b"0") * 20_000 + b"N."
    started = time.monotonic()
    assert load(put(tmp_path, raw)) is None
    assert time.monotonic() - started < 10


# ------------------------------------------------------------------------------------------- broken files

PICKLES = [pickle.dumps({"a": ARRAYS["float32"], "o": ARRAYS["objects"], "t": ARRAYS["text"], "s": {1, 2},
                         "f": np.float32(1), "l": [1, 2.5, (None, True)], "é": "ü"}, protocol)
           for protocol in range(pickle.HIGHEST_PROTOCOL + 1)] + [python2_pickles.dumps(
               {"a": ARRAYS["float32"], "s": {1}, "t": ("é", 2.5)})]


@settings(max_examples=400, deadline=None)
@given(raw=st.sampled_from(PICKLES), data=st.data())
def test_whatever_stands_in_a_file_only_data_or_a_line_come_of_it(tmp_path_factory, raw, data):
    raw = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at:at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        load(put(tmp_path_factory.getbasetemp(), bytes(raw)))
    except EmoprepError as error:
        assert "\n" not in str(error)


@settings(max_examples=100, deadline=None)
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers(-2**200, 2**200) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.text() | st.integers(-2**63, 2**64 - 1), inner) | st.tuples(inner, inner),
    max_leaves=20), protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_any_plain_data(tmp_path_factory, value, protocol):
    assert load(put(tmp_path_factory.getbasetemp(), pickle.dumps(value, protocol))) == value


def test_nothing_is_imported_for_a_pickle(tmp_path):
    put(tmp_path, b"\x80\x02cantigravity\nx\n.")
    done = subprocess.run([sys.executable, "-c", "import sys, pathlib; from emoprep.formats.pickles import load\n"
                           f"try: load(pathlib.Path({str(tmp_path / 'x.pkl')!r}))\nexcept Exception as e: print(e)\n"
                           "print('antigravity' in sys.modules)"], capture_output=True, text=True, check=True)
    assert "got antigravity.x" in done.stdout
    assert done.stdout.endswith("False\n")
