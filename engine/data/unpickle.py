"""Reading pickles of plain values and NumPy arrays, and of nothing else.

A pickle is a program: what it names is imported and called. Here every name is refused but those that an array
needs, and these stand for two small classes of ours, which only keep what they are told. The arrays are made
from that afterwards. (Python's documentation of pickle, "Restricting Globals".)
"""

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Invalid, require


class _Array:
    """What a pickle says of an array: (version, shape, type, whether by columns, values)."""

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def made(self) -> np.ndarray | list:
        """The array in the machine's byte order; the plain list where it is of objects."""
        _, shape, kind, by_columns, values = self.state
        if kind.code.startswith("O"):
            require(type(values) is list and shape == (len(values),), "array", shape, "a list of objects")
            return values
        raw = values.encode("latin1") if isinstance(values, str) else values  # str: written by Python 2
        array = np.frombuffer(raw, kind.dtype()).reshape(shape, order="F" if by_columns else "C")
        return array.astype(array.dtype.newbyteorder("="))


class _Type:
    """What a pickle says of an array's type: a code such as u1 or O8, and the byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype:
        require(re.fullmatch("[<>|=][biuf][1248]", self.order + self.code), "array", self.code, "of numbers")
        return np.dtype(self.order + self.code)


STAND_INS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # from NumPy 2 on
    ("_codecs", "encode"): str.encode,  # how protocol 2 writes bytes
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        require((module, name) in STAND_INS, "pickle", f"{module}.{name}",
                "of numbers, strings, lists, dictionaries and arrays alone")
        return STAND_INS[module, name]


def loads(data: bytes, path: str | Path) -> Any:
    """The value in ``data``: numbers, strings, lists, dictionaries; arrays at its top or in its top dictionary.

    Strings that Python 2 wrote are read as Latin-1. An array of objects comes as a list.

    Args:
      data: One pickle, of any protocol.
      path: The file that it is from, for the message.

    Raises:
      Invalid: One line that names ``path``, for a pickle that asks for anything else (nothing of it is run), or
        that is damaged or cut short.
    """
    stream = io.BufferedReader(io.BytesIO(data))
    try:
        value = _Unpickler(stream, encoding="latin1").load()
        require(not stream.read(1), "pickle", path, "of nothing more than one value")
        return {key: _made(each) for key, each in value.items()} if type(value) is dict else _made(value)
    except Invalid as fault:
        raise Invalid(f"`file` ({path}) must be a harmless pickle: {fault}") from None
    except Exception as fault:  # a damaged pickle raises nearly anything
        reason = " ".join(f"{type(fault).__name__}: {fault}".split())[:200]
        raise Invalid(f"`file` ({path}) must be an intact pickle: {reason}") from None


def _made(value: Any) -> Any:
    return value.made() if isinstance(value, _Array) else value
