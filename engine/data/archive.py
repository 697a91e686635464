"""Reading members of a .tar.gz archive by name. Nothing is extracted, and nothing larger than foreseen is read."""

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from engine.errors import Invalid, require


def members(path: str | Path, largest: Mapping[str, int]) -> dict[str, bytes]:
    """The contents of some members of a .tar.gz archive.

    Args:
      path: The archive.
      largest: {name of a member: the most bytes that it may have}.

    Returns:
      {name: content}, of exactly the names in ``largest``.

    Raises:
      Invalid: One line that names ``path``, for an archive that cannot be read, is damaged or cut short, or a
        member that is missing, no plain file, or larger than foreseen.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for info in archive:
                if info.name in largest and info.name not in found:
                    found[info.name] = _content(archive, info, largest[info.name], path)
                    if len(found) == len(largest):
                        return found
    except (tarfile.TarError, OSError, EOFError, zlib.error) as fault:
        reason = getattr(fault, "strerror", None) or " ".join(str(fault).split())
        raise Invalid(f"`archive` ({path}) must be readable, whole and intact: {reason}") from None
    missing = ", ".join(name for name in largest if name not in found)
    raise Invalid(f"`archive` ({path}) must be whole, but has no {missing}")


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo, largest: int, path: str | Path) -> bytes:
    stream = archive.extractfile(info) if info.isreg() else None
    require(stream is not None, "archive", path, f"of plain files, but {info.name} is none")
    require(info.size <= largest, "archive", path,
            f"of members as published, but {info.name} has {info.size} bytes, more than {largest}")
    assert stream is not None
    with stream:
        return stream.read()
