"""Files that are on the disk when a function returns, and what tells that they are what was written."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


JSON_BYTES = 2**26  # most that is read of a file


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises OSError or ValueError if the file cannot be read or is none."""
    if not stat.S_ISREG(path.stat().st_mode):  # a folder, a pipe, a device
        raise ValueError(f"{path.name} is no file")
    if path.stat().st_size > JSON_BYTES:
        raise ValueError(f"{path.name} has more than {JSON_BYTES} bytes")
    try:
        found = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return found


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Put a JSON object in the place of ``path``, whole or not at all, and on the disk."""
    text = json.dumps(values, indent=2) + "\n"
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)  # a link there would lead elsewhere
    with partial.open("x") as file:
        file.write(text)
        sync(file)
    partial.replace(path)
    sync_folder(path.parent)


def sync(file: Any) -> None:
    """Until an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
