"""One process per run folder."""

import fcntl
import os
import stat
from pathlib import Path
from typing import IO

from engine.errors import Invalid, require


class Lock:
    """The file ``.lock`` of a run's folder, locked as long as the process that trains in it lives.

    The operating system gives it up with its process, however that ends, so a stale lock cannot be. The file holds
    the process's id, for people.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".lock"
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Lock the folder, which must exist. Returns whether it was not locked by this process before.

        Raises:
          Invalid: If another process holds it, or it is a link (what it leads to would be overwritten) or no file.
        """
        if self._file is not None:
            return False
        there = os.path.lexists(self._path)
        require(not there or stat.S_ISREG(self._path.lstat().st_mode), ".lock", self._path,
                "a file, or absent: remove it")
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise Invalid(f"`run_dir` ({self._path.parent}) must be free: process {holder} is training in it") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file
        return True

    def release(self) -> None:
        """Give the folder free."""
        if self._file is not None:
            self._file.close()
        self._file = None
