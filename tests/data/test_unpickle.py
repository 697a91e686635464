"""Pickles: what holds plain values and arrays is read exactly; anything else is refused, and not run."""

import datetime
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from engine.data import unpickle
from engine.errors import Invalid


class Hostile:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def refusal(data):
    with pytest.raises(Invalid) as caught:
        unpickle.loads(data, "the/file")
    text = str(caught.value)
    assert text.startswith("`file` (the/file) must be ") and "\n" not in text
    return text


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("array", [
    np.arange(12, dtype=np.uint8).reshape(3, 4), np.array([-1, 2**40]), np.array([0.5, -2]).astype(">f4"),
    np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)), np.array([True, False])])
def test_arrays_of_numbers(array, protocol):
    value = {"data": array, "labels": [1, 2], "name": "é", "raw": b"\xff\0"}
    read = unpickle.loads(pickle.dumps(value, protocol), "f")
    np.testing.assert_array_equal(read.pop("data"), array, strict=array.dtype.isnative)
    assert read == {"labels": [1, 2], "name": "é", "raw": b"\xff\0"}
    assert unpickle.loads(pickle.dumps(array, protocol), "f").dtype.isnative


@pytest.mark.parametrize("protocol", range(5))
def test_an_array_of_lists_comes_as_a_list(protocol):
    array = np.empty(2, object)
    array[:] = [[1, 2, 300], [70_000]]
    assert unpickle.loads(pickle.dumps(array, protocol), "f") == [[1, 2, 300], [70_000]]


def test_strings_of_python_2():
    # {'data': 'caf\xe9'} by Python 2, protocol 2.
    assert unpickle.loads(b"\x80\x02}q\x00U\x04dataq\x01U\x04caf\xe9q\x02s.", "f") == {"data": "café"}


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path):
    for function, argument, name in [(os.mkdir, tmp_path / "made", "posix.mkdir"), (eval, "1 + 1", "builtins.eval"),
                                     (np.load, "x", "numpy.load"), (getattr, "x", "builtins.getattr")]:
        for protocol in range(5):
            data = pickle.dumps({"data": Hostile(function, str(argument))}, protocol)
            text = refusal(data)
            assert name.rpartition(".")[2] in text and "of numbers, strings, lists" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [OrderedDict(a=1), datetime.date(2020, 1, 1), {1, 2}, np.float32(1), Invalid])
def test_other_values_are_refused(value):
    assert "a harmless pickle: `pickle` (" in refusal(pickle.dumps(value, 2))


@pytest.mark.parametrize("data", [
    b"", b"no pickle", pickle.dumps([1, 2])[:-2], pickle.dumps(np.arange(9), 2)[:-30], pickle.dumps([1]) + b"more",
    pickle.dumps(np.array([None, OrderedDict()]), 2), b"cnumpy\nndarray\n(tR.",
    pickle.dumps(np.array(["2020"], "M8[D]"), 2), pickle.dumps(np.zeros(2, "i4,f4"), 2),
    b"c_codecs\nencode\n(S'a'\nS'zlib'\ntR.", b"\x80\x02]q\x00h\x05.", b"(" * 10 + b"."])
def test_damaged_pickles(data):
    refusal(data)


def test_an_array_that_declares_more_than_it_has():
    data = pickle.dumps(np.arange(4, dtype=np.uint8), 2)
    assert "cannot reshape" in refusal(data.replace(b"K\x04\x85", b"K\x05\x85"))
    data = pickle.dumps(np.array([1, "a", None, 2], object), 2)
    assert "`array` ((5,)) must be a list of objects" in refusal(data.replace(b"K\x04\x85", b"K\x05\x85"))
    assert "`array` ((2, 2)) must be a list" in refusal(pickle.dumps(np.array([[1, "a"], [2, "b"]], object), 2))


def test_a_pickle_cannot_change_what_later_ones_mean():
    # Sets attributes on each stand-in, as the opcode BUILD may: (None, {name: value}).
    for module, name in unpickle.STAND_INS:
        poison = f"c{module}\n{name}\n(N(dS'made'\nI7\nstb.".encode()
        refusal(poison)
    array = np.arange(3)
    np.testing.assert_array_equal(unpickle.loads(pickle.dumps(array, 2), "f"), array)
