"""Checkpoints: complete, atomic, verified; tensors in, tensors out.

``checkpoints/<cycle>/state.npz`` holds every variable by name, ``manifest.json`` everything else: the
position (one integer), counters, each variable's shape and dtype, and the SHA-256 of the state file.
Both are readable with NumPy alone; nothing in them is ever executed or unpickled.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Invalid

KEEP = 3  # newest checkpoints kept; two survive a fault in the newest


def save(folder: Path, cycle: int, variables: Mapping[str, Any], facts: Mapping[str, Any], keep: int = KEEP) -> Path:
    """Write ``folder/<cycle>``: into a partial folder, synced to disk, then renamed.

    Args:
      variables: {name: variable}: the complete state.
      facts: JSON values that a continued run needs (position, seconds ...).
    """
    final, partial = folder / str(cycle), folder / f".partial-{cycle}"
    for stale in folder.glob(".partial-*"):  # of a save that a kill or a full disk ended
        shutil.rmtree(stale)
    partial.mkdir(parents=True)
    arrays = {name: variable.numpy() for name, variable in variables.items()}
    with (partial / "state.npz").open("wb") as file:
        np.savez(file, **arrays)
        _sync(file)
    described = {name: [list(array.shape), str(array.dtype)] for name, array in arrays.items()}
    manifest = {**facts, "variables": described, "sha256": _digest(partial / "state.npz")}
    with (partial / "manifest.json").open("w") as file:
        json.dump(manifest, file, indent=1)
        _sync(file)
    if final.exists():  # a stop by the health watch in the middle of this cycle: the newer state counts
        shutil.rmtree(final)
    partial.rename(final)
    _sync_folder(folder)
    for old in listed(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def listed(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def newest(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that verifies; each one rejected is named with its fault."""
    for path in reversed(listed(folder)):
        fault = _fault(path)
        if fault is None:
            return path
        say(f"checkpoint {path} is passed over: {fault}")
    return None


def load(path: Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Put a verified checkpoint's values into ``variables`` and return its manifest.

    Raises:
      Invalid: if names, shapes or dtypes differ; nothing is restored then.
    """
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    there = {name: (tuple(shape), dtype) for name, (shape, dtype) in manifest["variables"].items()}
    here = {name: (tuple(v.shape), np.dtype(_dtype(v)).name) for name, v in variables.items()}
    if there != here:
        lines = [f"{name}: {_show(there.get(name))} in the checkpoint, {_show(here.get(name))} in this run"
                 for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
        raise Invalid(f"`checkpoint` ({path}) must be of the same variables: " + "; ".join(lines[:8])
                      + (f"; and {len(lines) - 8} more" if len(lines) > 8 else ""))
    with np.load(path / "state.npz", allow_pickle=False) as arrays:
        for name, variable in variables.items():
            variable.assign(arrays[name])
    return manifest


def _fault(path: Path) -> str | None:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        if _digest(path / "state.npz") != manifest["sha256"]:
            return "state.npz is not what the manifest says (SHA-256)"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _dtype(variable: Any) -> str:
    return str(getattr(variable.dtype, "name", variable.dtype))


def _show(form: tuple[tuple[int, ...], str] | None) -> str:
    return "absent" if form is None else f"{form[1]}{list(form[0])}"


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
