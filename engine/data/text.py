"""Labelled texts as they are: from a CSV file, or from one folder per class."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.data import utf8
from engine.data.delimited import Row, position, table
from engine.data.parts import check_classes, is_shown, parts_of
from engine.errors import require

UNLABELLED = "unsup"  # the folder of aclImdb whose texts have no label


class Part(NamedTuple):
    """Texts and their labels."""

    texts: list[str]
    labels: np.ndarray  # int32 [N], from 0


@dataclass(frozen=True)
class Corpus:
    """Labelled texts, with the test part where their authors published one."""

    name: str
    train: Part
    test: Part | None  # held out by the authors
    classes: tuple[str, ...]  # names of the labels 0, 1, ..., in the order of the alphabet or of the integers
    validation: Part | None = None  # to choose by, where its authors parted it


def text_csv(path: str | Path, text: str = "text", label: str = "label", where: str | None = None) -> Corpus:
    """The texts of a CSV file: comma separated, with a header, quoted where there are commas or ends of lines.

    Labels are names, or integers, then in the order of their values. Empty lines are passed over.

    Args:
      path: A file of UTF-8 text, plain or packed by gzip.
      text: The column of the texts.
      label: The column of the labels.
      where: ``column=value``: only the rows with this value in this column; None for all rows.

    Raises:
      Invalid: One line, for a file that is no UTF-8 or no CSV, has no such column or no rows, a row of too few or
        too many fields or without text or label, or a single class.
    """
    path = Path(path)
    header, rows = table(path, (text, label))
    if where is not None:
        rows = _where(rows, header, where, path)
    texts, names = (_column(rows, header, name, path) for name in (text, label))
    labels, classes = numbered(names)
    require(len(classes) > 1, "file", path, f"of at least two classes, but every {label} is {classes[0]}")
    return Corpus("text-csv", Part(texts, labels), None, classes)


def _where(rows: list[Row], header: list[str], where: str, path: Path) -> list[Row]:
    name, equals, value = where.partition("=")
    require(equals, "where", where, "column=value")
    place = position(header, name.strip(), path)
    kept = [row for row in rows if row[1][place].strip() == value.strip()]
    found = sorted({fields[place].strip() for _, fields in rows})
    require(kept, "where", where, f"true of some row; {name.strip()} is {', '.join(found[:5])}")
    return kept


def _column(rows: list[Row], header: list[str], name: str, path: Path) -> list[str]:
    place = position(header, name, path)
    values = [fields[place].strip() for _, fields in rows]
    empty = next((line for (line, _), value in zip(rows, values, strict=True) if not value), 0)
    require(not empty, "file", path, f"of rows with a {name}, but the row in line {empty} has none")
    return values


def numbered(names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels int32 [N] from 0, and the classes that they number: sorted, by value if all are integers."""
    if all(re.fullmatch("[+-]?[0-9]{1,18}", name) for name in names):
        values, places = np.unique([int(name) for name in names], return_inverse=True)
    else:
        values, places = np.unique(np.array(names, object), return_inverse=True)
    return places.astype(np.int32), tuple(str(value) for value in values)


def text_folder(path: str | Path) -> Corpus:
    """The texts of a folder with one folder per class, which holds .txt files; in the order of their names.

    With the folders train and test (or val, validation) in it, each of which has the folders of the classes, it is
    read as the layout of aclImdb (A. Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011), whose
    unlabelled texts (train/unsup) are left out.

    Raises:
      Invalid: One line, for no such folder, fewer than two classes, a class without texts, other classes in test
        than in train, or a file that is empty or not UTF-8.
    """
    path = Path(path)
    require(path.is_dir(), "folder", path, "a folder that exists")
    parts = parts_of(path, _folders(path))
    classes = _classes(parts.get("train", path))
    for folder in parts.values():
        check_classes(folder, _classes(folder), classes)
    read = {kind: _part(folder, classes) for kind, folder in (parts or {"train": path}).items()}
    if "test" not in read and "validation" in read:
        read["test"] = read.pop("validation")
    return Corpus("text-folder", read["train"], read.get("test"), classes, read.get("validation"))


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir()
                  if each.is_dir() and each.name != UNLABELLED and is_shown(each.name))


def _classes(folder: Path) -> tuple[str, ...]:
    names = [each.name for each in _folders(folder)]
    require(len(names) > 1, "folder", folder, f"of at least two folders, one per class, but has {len(names)}")
    return tuple(names)


def _part(folder: Path, classes: Sequence[str]) -> Part:
    texts: list[str] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        files = sorted(each for each in (folder / name).iterdir()
                       if each.suffix.lower() == ".txt" and not each.name.startswith("."))
        require(files, "folder", folder / name, "of at least one .txt file, as each class")
        for file in files:
            texts.append(utf8.read(file).strip())
            require(texts[-1], "file", file, "of some text, but is empty")
        labels += [number] * len(files)
    return Part(texts, np.array(labels, np.int32))
