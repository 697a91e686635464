"""Files that are written whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes, parents: bool = True) -> None:
    """Put ``data`` in ``path`` in one move, so that a kill leaves the old file or the new one.

    Args:
      path: The file.
      data: All of the file.
      parents: Whether its folder is made when it is missing. Not in a run's: that may have been removed.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)  # a link there would lead elsewhere
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
