"""Decoded pictures in one file: later epochs and runs read them at the speed of memory.

It is a plain ``.npy`` file, a row per picture file with three fields. ``good``: whether the file could be decoded.
``crc``: the picture's CRC-32, by which a byte that has flipped on the disk is noticed when it is read. The first is the
picture, uint8 [h, w, c]; its name holds a sum of everything that the decoded pictures depend on.
"""

import hashlib
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL

from engine.data.picture_files import PictureFiles, survey, tolerate
from engine.data.whole import whole
from engine.errors import Invalid, require

MARK = "phaseloop pictures "


class CachedPictures:
    """The pictures of a store, by way of a cache file that is written if it is not there, stale or broken.

    Attributes:
      bad: {number: reason} of the files that cannot be decoded.

    Args:
      pictures: The store.
      path: The cache file; its folder must exist.
      strict: Whether the first bad picture file ends it.

    Raises:
      Invalid: Bad picture files (see ``picture_files.survey``), a ``path`` that is another kind of file, or that
        cannot be written (a full disk). Then nothing is left of it, and what stood there stays.
    """

    def __init__(self, pictures: PictureFiles, path: str | Path, strict: bool = False) -> None:
        path = Path(path)
        require(path.absolute().parent.is_dir(), "cache", path, "a file in a folder that exists")
        require(not path.is_dir() and _ours(path), "cache", path, "a new file or a cache of pictures: this is neither")
        row = np.dtype([(MARK + _sum(pictures), "u1", pictures.form.shape), ("good", "?"), ("crc", "<u4")])
        found = _open(path, row, pictures, strict)
        if found is None:
            _write(path, row, pictures, strict)
            found = _open(path, row, pictures, strict)
        if found is None:
            raise Invalid(f"`cache` ({path}) must be as it was just written: a picture has changed meanwhile")
        self._rows, self.bad = found
        self._path, self._files = path, pictures.files

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The pictures ``numbers``, uint8 [n, h, w, c]; zeros for bad ones.

        Raises:
          Invalid: One that is not as it was written: a disk's error, say.
        """
        rows = self._rows[numbers]
        found = rows[rows.dtype.names[0]]
        for number, picture, good, crc in zip(numbers, found, rows["good"], rows["crc"], strict=True):
            if good and zlib.crc32(picture.tobytes()) != crc:
                raise Invalid(f"`cache` ({self._path}) must be as it was written, but the picture of "
                              f"{self._files[number]} has changed: remove the cache, it is made anew")
        return found


def _sum(pictures: PictureFiles) -> str:
    digest = hashlib.sha256(f"{pictures.form} {PIL.__version__}".encode())
    for file in pictures.files:
        try:
            status = file.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode())
        except OSError:
            digest.update(b"unreadable ")
        digest.update(os.fsencode(file.absolute()) + b"\0")
    return digest.hexdigest()


def _ours(path: Path) -> bool:
    """Whether ``path`` is not there, empty or begins as a cache: then it may be written anew."""
    if not path.exists():
        return True
    with open(path, "rb") as file:
        start = file.read(200)
    return not start or MARK.encode() in start


def _open(path: Path, row: np.dtype, pictures: PictureFiles, strict: bool
          ) -> tuple[np.ndarray, dict[int, str]] | None:
    """The pictures and the bad files' reasons; None unless the file is a whole cache of just these pictures."""
    try:
        rows = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    if rows.dtype != row or rows.shape != (len(pictures),):
        return None
    suspects = np.flatnonzero(~rows["good"]).tolist()
    again = dict(zip(suspects, pictures.each(suspects), strict=True))
    bad = {number: str(fault) for number, fault in again.items() if isinstance(fault, Invalid)}
    if len(bad) < len(suspects):  # one has become readable
        return None
    tolerate(bad, len(pictures), strict)
    return rows, bad


def _write(path: Path, row: np.dtype, pictures: PictureFiles, strict: bool) -> None:
    try:
        with whole(path) as part, open(part, "wb") as file:
            _fill(file, row, pictures, strict)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        size = len(pictures) * row.itemsize
        raise Invalid(f"`cache` ({path}) must be writable with {size / 2**20:.1f} MiB: {fault.strerror or fault}"
                      ) from None


def _fill(file: BinaryIO, row: np.dtype, pictures: PictureFiles, strict: bool) -> None:
    """By plain writes: on a full disk, writing to mapped memory kills the process."""
    header = {"descr": np.lib.format.dtype_to_descr(row), "fortran_order": False, "shape": (len(pictures),)}
    np.lib.format.write_array_header_1_0(file, header)

    def take(picture: np.ndarray | None) -> None:
        if picture is None:
            file.write(bytes(row.itemsize))
        else:
            file.write(picture.tobytes() + b"\1" + zlib.crc32(picture.tobytes()).to_bytes(4, "little"))

    survey(pictures, strict, take)
