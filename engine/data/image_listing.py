"""Which picture files a folder holds: flat, with one folder per class, or split into parts that hold these."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.data.image_file import SUFFIXES
from engine.data.parts import check_classes, is_shown, parts_of
from engine.errors import require

KINDS = ", ".join(SUFFIXES)


@dataclass(frozen=True)
class Listing:
    """What a folder holds, sorted by name.

    Attributes:
      labels: int32 [N], from 0. classes: Names of the labels.
      parts: {"train" | "validation" | "test": positions in ``files``} as the folder is split; empty if it is not.
      left_out: How many files there are that do not end as pictures do, by their endings; hidden and system entries
        count as "hidden".
    """

    files: list[Path]
    labels: np.ndarray
    classes: tuple[str, ...]
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def scan(path: str | Path) -> Listing:
    """The picture files of a folder, told by their endings.

    If the folder holds folders, these are the classes, each with all pictures at any depth; links are followed, and a
    folder that is reached twice within a class counts once. Folders called train, val, valid, validation or test are
    parts, and the classes are the folders in them.

    Raises:
      Invalid: One line, for no folder, no pictures, a class without any, pictures beside class folders, two classes
        that are one folder, folders of parts beside others, or parts of other classes.
    """
    root = Path(path)
    require(root.is_dir(), "path", path, "a folder that exists")
    parts = parts_of(root, _folders(root))
    if not parts:
        return _of_one_part(root)
    found = {kind: _of_one_part(folder) for kind, folder in parts.items()}
    for kind, each in found.items():
        check_classes(parts[kind], each.classes, found["train"].classes)
    ends = np.cumsum([len(each.files) for each in found.values()])
    return Listing([file for each in found.values() for file in each.files],
                   np.concatenate([each.labels for each in found.values()]), found["train"].classes,
                   {kind: np.arange(end - len(found[kind].files), end) for kind, end in zip(found, ends, strict=True)},
                   sum((each.left_out for each in found.values()), _outside(root)))


def _of_one_part(root: Path) -> Listing:
    beside = [entry for entry in _shown(root) if _is_picture(entry)]
    folders = [entry for entry in _folders(root) if os.path.realpath(entry) != os.path.realpath(root)]
    require(beside or folders, "path", root, f"a folder with pictures ({KINDS}) or with a folder per class")
    both = " and ".join(entry.name for entry in beside[:1] + folders[:1])
    require(not (beside and folders), "path", root, f"a folder of pictures or of class folders, but has both: {both}")
    if not folders:
        return Listing(beside, np.zeros(len(beside), np.int32), (root.resolve().name,), left_out=_outside(root))
    places: dict[str, str] = {}
    for folder in folders:
        other = places.setdefault(os.path.realpath(folder), folder.name)
        require(other == folder.name, "path", folder, f"another folder than the class {other}, but is a link to it")
    found = [_below(folder, {os.path.realpath(root)}) for folder in folders]
    for folder, (files, _) in zip(folders, found, strict=True):
        require(files, "path", folder, f"a class folder with at least one picture ({KINDS})")
    labels = np.repeat(np.arange(len(found), dtype=np.int32), [len(files) for files, _ in found])
    return Listing([file for files, _ in found for file in files], labels, tuple(f.name for f in folders),
                   left_out=sum((others for _, others in found), _outside(root)))


def _below(folder: Path, seen: set[str]) -> tuple[list[Path], Counter[str]]:
    """The pictures in and below ``folder``, and what else there is; ``seen`` folders are left out."""
    seen.add(os.path.realpath(folder))
    files, others = [], _outside(folder)
    for entry in _shown(folder):
        if entry.is_dir():
            if os.path.realpath(entry) not in seen:
                inner, inner_others = _below(entry, seen)
                files += inner
                others += inner_others
        elif _is_picture(entry):
            files.append(entry)
    return files, others


def _outside(folder: Path) -> Counter[str]:
    """What is directly in ``folder`` and neither picture nor folder, by endings."""
    shown = list(_shown(folder))
    found = Counter(entry.suffix.lower() or "no ending" for entry in shown
                    if not entry.is_dir() and not _is_picture(entry))
    return found + Counter({"hidden": len(os.listdir(folder)) - len(shown)})


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _shown(folder) if entry.is_dir()]


def _shown(folder: Path) -> Iterator[Path]:
    return (folder / name for name in sorted(os.listdir(folder)) if is_shown(name))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
