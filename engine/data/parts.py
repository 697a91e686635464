"""Folders that are split into parts, each with the folders of the classes: train, val, valid, validation, test."""

from collections.abc import Sequence
from pathlib import Path

from engine.errors import require

KINDS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
         "test": "test", "testing": "test"}

SYSTEMS = ("@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found")  # thumbnails and the like


def is_shown(name: str) -> bool:
    """Whether an entry of a folder is neither hidden nor another system's."""
    return not name.startswith(".") and name not in SYSTEMS


def parts_of(root: Path, folders: Sequence[Path]) -> dict[str, Path]:
    """{"train" | "validation" | "test": folder} among the ``folders`` of ``root``; empty if it is not split.

    Raises:
      Invalid: Parts beside other folders, one part twice, or the part train alone.
    """
    named = [folder for folder in folders if folder.name.lower() in KINDS]
    kinds = [KINDS[folder.name.lower()] for folder in named]
    if "train" not in kinds:
        return {}
    names, others = ", ".join(folder.name for folder in named), [each.name for each in folders if each not in named]
    require(not others, "folder", root, f"split into parts or a folder of classes, but has {names} and "
            f"{', '.join(others[:3])}")
    require(len(set(kinds)) == len(kinds), "folder", root, f"of one folder for each part, but has {names}")
    require(len(kinds) > 1, "folder", root, f"split into parts, but has {names} alone: give {named[0]} itself")
    return dict(zip(kinds, named, strict=True))


def check_classes(folder: Path, classes: Sequence[str], of_train: Sequence[str]) -> None:
    """Raises ``Invalid`` for a part that has other classes than train."""
    different = sorted({*classes} ^ {*of_train})
    require(not different, "folder", folder, f"of the classes of train, {', '.join(of_train)}; they differ in "
            f"{', '.join(different[:5])}")
