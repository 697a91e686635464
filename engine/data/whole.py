"""A file that is there whole or not at all."""

import contextlib
import glob
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a file beside ``path`` to write; it takes the place of ``path`` when all went well, else it is removed.

    What killed processes of this machine left of others is removed, too.

    Raises:
      OSError: An error that names ``path``, if the disk refuses.
    """
    mine = f"{socket.gethostname()}-{os.getpid()}"
    for stale in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        host, _, process = stale.name[len(path.name) + 2:-len(".part")].rpartition("-")
        if host == socket.gethostname() and process.isdecimal() and not _is_alive(int(process)):
            with contextlib.suppress(OSError):
                stale.unlink()
    part = path.with_name(f".{path.name}.{mine}.part")
    try:
        yield part
        part.replace(path)
    except OSError as fault:
        if fault.filename is None and fault.errno:  # of a write: "No space left on device", and not where
            raise OSError(fault.errno, os.strerror(fault.errno), str(path)) from fault
        raise
    finally:
        part.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # there is no harmless way to ask
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
