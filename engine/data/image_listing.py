"""Which picture files a folder holds: flat, or with one folder per class."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data.image_file import SUFFIXES
from engine.errors import require

KINDS = ", ".join(SUFFIXES)


@dataclass(frozen=True)
class Listing:
    """What a folder holds, sorted by name."""

    files: list[Path]
    labels: np.ndarray  # int32 [N], from 0
    classes: tuple[str, ...]  # names of the labels; of a flat folder, its own name
    ignored: int  # hidden files and folders, and files that do not end as pictures do


def scan(path: str | Path) -> Listing:
    """The picture files of a folder, told by their endings.

    If the folder holds folders, these are the classes, each with all pictures at any depth; links are followed, and a
    folder that is reached twice within a class counts once.

    Raises:
      Invalid: one line, for no folder, no pictures, a class without any, or pictures beside class folders.
    """
    root = Path(path)
    require(root.is_dir(), "path", path, "a folder that exists")
    top = list(_shown(root))
    beside = [entry for entry in top if _is_picture(entry)]
    seen = {os.path.realpath(root)}
    folders = [entry for entry in top if entry.is_dir() and os.path.realpath(entry) not in seen]
    require(beside or folders, "path", path, f"a folder with pictures ({KINDS}) or with a folder per class")
    both = " and ".join(entry.name for entry in beside[:1] + folders[:1])
    require(not (beside and folders), "path", path, f"a folder of pictures or of class folders, but has both: {both}")
    if not folders:
        return Listing(beside, np.zeros(len(beside), np.int32), (root.resolve().name,), _count(root) - len(beside))
    found = [_below(folder, set(seen)) for folder in folders]
    for folder, (files, _) in zip(folders, found, strict=True):
        require(files, "path", folder, f"a class folder with at least one picture ({KINDS})")
    labels = np.repeat(np.arange(len(found), dtype=np.int32), [len(files) for files, _ in found])
    ignored = _count(root) - len(folders) + sum(others for _, others in found)
    return Listing([file for files, _ in found for file in files], labels, tuple(f.name for f in folders), ignored)


def _below(folder: Path, seen: set[str]) -> tuple[list[Path], int]:
    """The pictures in and below ``folder``, and how many other entries there are; ``seen`` folders are left out."""
    seen.add(os.path.realpath(folder))
    files, others = [], _count(folder)
    for entry in _shown(folder):
        if entry.is_dir():
            others -= 1
            if os.path.realpath(entry) not in seen:
                inner, inner_others = _below(entry, seen)
                files += inner
                others += inner_others
        elif _is_picture(entry):
            others -= 1
            files.append(entry)
    return files, others


def _shown(folder: Path) -> Iterator[Path]:
    return (folder / name for name in sorted(os.listdir(folder)) if not name.startswith("."))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _count(folder: Path) -> int:
    return len(os.listdir(folder))
