"""Reading the idx format, in which MNIST and its relatives are published.

A file is: two zero bytes, a type code, the number of dimensions, each dimension's size as a 32-bit big-endian
integer, then the values in C order, big endian (Y. LeCun, C. Cortes, C. Burges, "The MNIST database",
http://yann.lecun.com/exdb/mnist/). It is often packed by gzip, which is recognised by content, not by name.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from engine.errors import Invalid, require

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST_PACKING = 1032  # deflate never packs more bytes than this into one
CHUNK = 1 << 20  # bytes


def unpacked(path: Path) -> IO[bytes]:
    """The content of ``path`` as a stream: what it unpacks to where it is packed by gzip, else its bytes."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if packed else open(path, "rb")


def read(path: str | Path) -> np.ndarray:
    """The array in an idx file, plain or packed by gzip, in the machine's byte order.

    Nothing is allocated for values that the file cannot hold: a false header costs no memory.

    Args:
      path: The file.

    Returns:
      An array of the declared sizes and type: uint8, int8, int16, int32, float32 or float64.

    Raises:
      Invalid: A file that cannot be read, is no idx file, is cut short, is too long, or is damaged.
    """
    path = Path(path)
    try:
        with unpacked(path) as stream:
            dtype, shape = _header(stream, path)
            data = _values(stream, path, dtype.itemsize * math.prod(shape))
    except EOFError:
        raise Invalid(f"`file` ({path}) must be complete: its gzip stream is cut short") from None
    except (gzip.BadGzipFile, zlib.error) as fault:
        raise Invalid(f"`file` ({path}) must be intact: its gzip stream is damaged, {fault}") from None
    except OSError as fault:
        raise Invalid(f"`file` ({path}) must be readable: {fault.strerror or fault}") from None
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes], path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    magic = stream.read(4)
    right = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in TYPES and 1 <= magic[3] <= 32
    require(right, "file", path, f"an idx file, but begins with the bytes {magic.hex(' ') or 'of nothing'}")
    sizes = stream.read(4 * magic[3])
    require(len(sizes) == 4 * magic[3], "file", path, "complete, but ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    require(min(shape) >= 1, "file", path, f"of at least one value, but declares the shape {shape}")
    return np.dtype(TYPES[magic[2]]), shape


def _values(stream: IO[bytes], path: Path, declared: int) -> bytearray:
    packing = LARGEST_PACKING if isinstance(stream, gzip.GzipFile) else 1
    possible = path.stat().st_size * packing
    require(declared <= possible, "file", path, f"complete, but declares {declared} bytes of values and "
            f"has at most {possible}")
    data = bytearray()
    while len(data) <= declared and (chunk := stream.read(min(CHUNK, declared + 1 - len(data)))):
        data += chunk
    require(len(data) >= declared, "file", path, f"complete, but declares {declared} bytes of values and "
            f"has {len(data)}")
    require(len(data) == declared, "file", path, f"of the {declared} bytes that it declares, but is longer")
    return data
