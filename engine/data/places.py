"""Where data sets lie on this machine."""

import os
from pathlib import Path

from engine.errors import require


def folder(data_dir: str | Path | None) -> Path | None:
    """``data_dir`` as a path, or None.

    Raises:
      Invalid: If it is no folder that exists.
    """
    require(data_dir is None or Path(data_dir).is_dir(), "data_dir", data_dir, "a folder that exists")
    return None if data_dir is None else Path(data_dir)


def unused(data_dir: str | Path | None, why: str) -> None:
    """Raise ``Invalid`` if there is a ``data_dir``, which must be left out for the reason ``why``."""
    require(data_dir is None, "data_dir", data_dir, f"left out for {why}")


def keras() -> Path:
    """The folder where Keras keeps its data sets (KERAS_HOME is honoured)."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def cache(name: str) -> Path:
    """Where phaseloop keeps what it downloads for ``name``: ~/.cache/phaseloop (XDG_CACHE_HOME is honoured)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phaseloop" / name
