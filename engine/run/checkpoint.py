"""Checkpoints: complete, atomic, verified; tensors in, tensors out.

``checkpoints/<cycle>/`` holds ``state.npz``, every variable by name, and ``manifest.json``, everything else: the
position (one integer), counters, each variable's shape and dtype, size and SHA-256 of the state's file, and its own
SHA-256. Both are readable with NumPy alone; nothing in them is ever executed or unpickled. A second checkpoint of
one cycle (after a stop in the middle of the next, or a rollback) is ``<cycle>.1`` and takes the place of the first.
"""

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from engine.errors import Invalid
from engine.run.durable import digest_of, read_json, sync, sync_folder
from engine.run.plausible import strange

FORMAT, OTHER_FORMAT = 2, "it is of format"  # of what is written here; another one is refused
KEEP = 3  # newest checkpoints kept; two survive a fault in the newest
STATE, MANIFEST = "state.npz", "manifest.json"
HEADER_BYTES = 2**12  # most that an array's header takes

State = dict[str, np.ndarray]


def copied(variables: Mapping[str, Any]) -> State:
    """The values of ``variables`` now, in memory of their own."""
    return {name: np.array(tf.convert_to_tensor(variable)) for name, variable in variables.items()}  # one copy each


def save(folder: Path, cycle: int, state: Mapping[str, np.ndarray], facts: Mapping[str, Any], keep: int = KEEP,
         also: Collection[int] = (), is_good: Callable[[Path], object] = lambda path: not fault_of(path)
         ) -> Path:
    """Write ``folder/<cycle>``: into a partial folder, synced to disk, then renamed.

    A kill between any two of its steps leaves the checkpoints that were there, or them and this one.

    Args:
      state: {name: array}: the complete state.
      facts: JSON values that a continued run needs (position, seconds ...).
      keep: Newest good checkpoints to keep, at least 2.
      also: Cycles of others to keep.
      is_good: Whether a checkpoint verifies; by default it is looked at. Those that do not never count.
    """
    before = [path for path in listed(folder) if cycle_of(path) == cycle]
    revision = max((_order(path)[1] for path in before), default=-1) + 1
    final, partial = folder / (f"{cycle}.{revision}" if revision else str(cycle)), folder / f".partial-{cycle}"
    sweep(folder)
    folder.mkdir(exist_ok=True)  # not its parents: the run's folder may have been removed
    partial.mkdir()
    with (partial / STATE).open("wb") as file:
        np.savez(file, **{name: _plain(array) for name, array in state.items()})  # type: ignore[arg-type]
        sync(file)
    described = {name: [list(array.shape), str(array.dtype)] for name, array in state.items()}
    size = {"bytes": (partial / STATE).stat().st_size, "sha256": digest_of(partial / STATE)}
    manifest = {"format": FORMAT, **facts, "cycle": cycle, "revision": revision, "variables": described,
                "files": {STATE: size}}
    with (partial / MANIFEST).open("w") as file:
        json.dump({**manifest, "sha256": _seal(manifest)}, file, indent=1)
        sync(file)
    sync_folder(partial)
    partial.rename(final)
    sync_folder(folder)
    others = [path for path in listed(folder) if path not in before]
    kept = [path for path in others if path == final or is_good(path)][-keep:]
    if len(kept) == keep:  # else nothing is too much yet
        others = [path for path in others if _order(path) < _order(kept[0]) and cycle_of(path) not in also]
        before += others
    for old in before:
        old.rename(folder / f".removed-{old.name}")
    sweep(folder)
    return final


def listed(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if re.fullmatch(r"\d+(\.\d+)?", path.name)), key=_order)


def cycle_of(path: Path) -> int:
    """The cycle of a checkpoint, by its name."""
    return _order(path)[0]


def _order(path: Path) -> tuple[int, int]:
    cycle, _, revision = path.name.partition(".")
    return int(cycle), int(revision or 0)


def newest(folder: Path, say: Callable[[str], None], config: Mapping[str, Any] | None = None) -> Path | None:
    """The newest checkpoint that verifies; each one rejected is named with its fault.

    Args:
      config: Configuration of the run; a checkpoint of another one is rejected. None takes any.

    Raises:
      Invalid: One of another format.
    """
    for path in reversed(listed(folder)):
        fault = fault_of(path)
        if fault and fault.startswith(OTHER_FORMAT):
            raise Invalid(f"`checkpoint` ({path}) must be of this version of phaseloop: {fault}; continue with the one "
                          "that wrote it, or in another folder")
        if fault is None and config is not None and manifest_of(path).get("config") != config:
            fault = "it is of a run of another configuration"
        if fault is None:
            return path
        say(f"checkpoint {path} is passed over: {fault}")
    return None


def manifest_of(path: Path) -> dict[str, Any]:
    """A checkpoint's manifest. Raises OSError or ValueError if it cannot be read or is not what was written."""
    manifest = read_json(path / MANIFEST)
    if manifest.pop("sha256", None) != _seal(manifest):
        raise ValueError(f"{MANIFEST} is not what was written (SHA-256)")
    return manifest


def fault_of(path: Path) -> str | None:
    """Why a checkpoint cannot be loaded; None if it verifies."""
    try:
        manifest = manifest_of(path)
        if manifest.get("format") != FORMAT:
            return f"{OTHER_FORMAT} {manifest.get('format', 1)}, and this one reads {FORMAT}"
        if (manifest["cycle"], manifest["revision"]) != _order(path):
            return f"{MANIFEST} is of cycle {manifest['cycle']}.{manifest['revision']}"
        if set(manifest["files"]) != {STATE}:
            return f"{MANIFEST} does not name {STATE} alone"
        for name, wanted in manifest["files"].items():
            size = (path / name).stat().st_size
            if size != wanted["bytes"]:
                return f"{name} has {size} bytes and not the {wanted['bytes']} that the manifest says"
            if digest_of(path / name) != wanted["sha256"]:
                return f"{name} is not what the manifest says (SHA-256)"
        if odd := strange(manifest):
            return odd
        state_of(path, manifest, read=False)
    except Exception as error:  # whatever damage makes a reader raise: the checkpoint before it is there
        return f"{type(error).__name__}: {error}"
    return None


def state_of(path: Path, manifest: Mapping[str, Any], read: bool = True) -> State:
    """The arrays of a checkpoint; sizes are checked before any memory is taken. Raises ValueError.

    Args:
      read: Whether the contents are read; False checks the sizes alone.
    """
    forms = {name: (tuple(shape), np.dtype(dtype)) for name, (shape, dtype) in manifest["variables"].items()}
    with zipfile.ZipFile(path / STATE) as file:
        sizes = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
    if any(dtype.hasobject or min(shape, default=0) < 0 for shape, dtype in forms.values()):
        raise ValueError(f"{MANIFEST} describes what no variable is")
    if set(sizes) != set(forms):
        raise ValueError(f"{STATE} does not hold the variables of the manifest")
    for name, (shape, dtype) in forms.items():
        wanted, info = int(np.prod(shape, dtype=object)) * dtype.itemsize, sizes[name]
        if info.compress_type != zipfile.ZIP_STORED or not wanted <= info.file_size <= wanted + HEADER_BYTES:
            raise ValueError(f"{name} has {info.file_size} bytes in {STATE}, the manifest says {wanted}")
    if not read:
        return {}
    with np.load(path / STATE, allow_pickle=False) as arrays:
        return {name: arrays[name].view(dtype).reshape(shape) for name, (shape, dtype) in forms.items()}


def load(path: Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Put a verified checkpoint's values into ``variables`` and return its manifest.

    Raises:
      Invalid: If names, shapes or dtypes differ; nothing is restored then.
    """
    manifest = manifest_of(path)
    there = {name: (tuple(shape), dtype) for name, (shape, dtype) in manifest["variables"].items()}
    here = {name: (tuple(v.shape), np.dtype(_dtype(v)).name) for name, v in variables.items()}
    if there != here:
        lines = [f"{name}: {_show(there.get(name))} in the checkpoint, {_show(here.get(name))} in this run"
                 for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
        raise Invalid(f"`checkpoint` ({path}) must be of the same variables: " + "; ".join(lines[:8])
                      + (f"; and {len(lines) - 8} more" if len(lines) > 8 else ""))
    state = state_of(path, manifest)
    for name, variable in variables.items():
        variable.assign(state[name])
    return manifest


def sweep(folder: Path) -> None:
    """Remove what was removed, or what a kill or a full disk left of an earlier save."""
    for stale in [*folder.glob(".partial-*"), *folder.glob(".removed-*")]:
        if stale.is_dir() and not stale.is_symlink():
            shutil.rmtree(stale)
        else:  # of another's making
            stale.unlink()


def _plain(array: np.ndarray) -> np.ndarray:
    """The same bytes in a dtype that a .npy file can name: bfloat16 as uint16."""
    return np.asarray(array).view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's values, whatever its spaces and order."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _dtype(variable: Any) -> str:
    return str(getattr(variable.dtype, "name", variable.dtype))


def _show(form: tuple[tuple[int, ...], str] | None) -> str:
    return "absent" if form is None else f"{form[1]}{list(form[0])}"
