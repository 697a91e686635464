"""The idx format: what is right is read exactly; whatever is wrong is one line that names the file."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from engine.data import idx
from engine.errors import Invalid

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def encode(array):
    magic = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return magic + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def file_of(folder, content):
    path = folder / "numbers-idx"
    path.write_bytes(content)
    return path


def refusal(path):
    with pytest.raises(Invalid) as caught:
        idx.read(path)
    text = str(caught.value)
    assert text.startswith(f"`file` ({path}) must be ") and "\n" not in text
    return text


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("code", CODES)
def test_every_type_comes_back_in_native_order(tmp_path, code, pack):
    array = np.array([[1, 2, 100], [-3 % 250, 0, 7]]).astype(code)
    read = idx.read(file_of(tmp_path, pack(encode(array))))
    assert read.dtype == np.dtype(code) and read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_a_hand_written_file(tmp_path):
    # int16, one dimension of 2: 0x0102 = 258, 0xFFFE = -2.
    path = file_of(tmp_path, b"\0\0\x0b\x01" + b"\0\0\0\x02" + b"\x01\x02\xff\xfe")
    assert idx.read(path).tolist() == [258, -2]


@pytest.mark.parametrize("content, why", [
    (b"", "an idx file, but begins with the bytes of nothing"),
    (b"\x89PNG", "an idx file, but begins with the bytes 89 50 4e 47"),
    (b"\0\0\x0a\x01\0\0\0\0", "an idx file, but begins with the bytes 00 00 0a 01"),
    (b"\0\0\x08\0", "an idx file, but begins with the bytes 00 00 08 00"),
    (b"\0\0\x08\x03\0\0\0\x02", "complete, but ends within its header"),
    (b"\0\0\x08\x02\0\0\0\0\0\0\0\x05", r"of at least one value, but declares the shape (0, 5)"),
    (b"\0\0\x08\x01\0\0\0\x08abc", "complete, but declares 8 bytes of values and has 3"),
    (b"\0\0\x08\x01\0\0\0\x02abc", "of the 2 bytes that it declares, but is longer"),
])
def test_wrong_files_plain_and_packed(tmp_path, content, why):
    assert why in refusal(file_of(tmp_path, content))
    assert why in refusal(file_of(tmp_path, gzip.compress(content)))


def test_damaged_gzip(tmp_path):
    packed = gzip.compress(encode(np.random.default_rng(0).integers(0, 256, 5000).astype("u1")))
    assert "cut short" in refusal(file_of(tmp_path, packed[:-100]))
    wrong_sum = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    assert "damaged" in refusal(file_of(tmp_path, wrong_sum))
    assert "damaged" in refusal(file_of(tmp_path, packed + b"more"))
    assert "damaged" in refusal(file_of(tmp_path, packed[:10] + b"\xff" * 50 + packed[60:]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_false_header_costs_no_memory(tmp_path, pack):
    path = file_of(tmp_path, pack(b"\0\0\x08\x03" + b"\xff" * 12 + b"abc"))
    tracemalloc.start()
    assert "complete, but declares 79228162458924105385300197375 bytes" in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21


def test_no_file(tmp_path):
    assert "readable: No such file" in refusal(tmp_path / "none")
    assert "readable: Is a directory" in refusal(tmp_path)
