"""Pictures, texts and rows without labels, from files as a person names them: what a prediction reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.data import delimited, utf8
from engine.data.columns import Columns
from engine.data.delimited import is_table
from engine.data.image_file import SUFFIXES, Form
from engine.data.picture_files import PictureFiles
from engine.data.tokeniser import tokenise
from engine.errors import Invalid, require

Named = list[tuple[str, str]]  # a text's name and the text


def listed(paths: Sequence[Path], suffixes: Sequence[str]) -> list[Path]:
    """Files as they are named; in the place of a folder, the files in and below it that end so, sorted.

    Hidden files and folders are left out.

    Raises:
      Invalid: A path that is not there, or a folder without such a file.
    """
    files: list[Path] = []
    for path in paths:
        require(path.exists(), "path", path, "a file or folder that exists")
        inside = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in suffixes and each.is_file()
                  and not any(part.startswith(".") for part in each.relative_to(path).parts)]
        require(inside or not path.is_dir(), "path", path, f"a folder with files that end in {', '.join(suffixes)}")
        files += inside if path.is_dir() else [path]
    return files


def pictures(paths: Sequence[Path], form: Form) -> tuple[PictureFiles, list[int], list[str]]:
    """The pictures of files and folders, the numbers of the good ones, and one line for each bad one.

    Raises:
      Invalid: The same as ``listed``, or if none is good.
    """
    store, good, faults = PictureFiles(listed(paths, SUFFIXES), form), [], []
    for number, found in enumerate(store.each(range(len(store)))):
        if isinstance(found, Invalid):
            faults.append(str(found))
        else:
            good.append(number)
    _some(good, faults)
    return store, good, faults


def texts(paths: Sequence[Path], given: Sequence[str] = (), column: str = "text") -> tuple[Named, list[str]]:
    """The texts of files and folders, and one line for each bad one.

    Args:
      paths: Text files, whose texts have the file's name; CSV files (see ``is_table``), named by file and line; and
        folders of
        .txt files.
      given: Texts themselves; their name is "text".
      column: Column of the CSV files.

    Raises:
      Invalid: The same as ``listed``, or if none has a word.
    """
    found: Named = [("text", text) for text in given]
    faults = []
    for file in listed(paths, (".txt",)):
        try:
            if is_table(file):
                found += [(f"{file}:{line}", text) for line, text in delimited.column(file, column)]
            else:
                found.append((str(file), utf8.read(file)))
        except Invalid as fault:
            faults.append(str(fault))
    good = [(name, text) for name, text in found if tokenise(text)]
    faults += [f"`text` ({name}) must be of at least one word" for name, text in found if not tokenise(text)]
    _some(good, faults)
    return good, faults


def rows(paths: Sequence[Path], columns: Columns) -> tuple[list[str], np.ndarray, list[str]]:
    """Features of the rows of tables: their names (file and line), float32 [N, d], and one line for each bad row.

    Raises:
      Invalid: The same as ``listed``; a table without a column of ``columns``, or if no row is good.
    """
    names, found, faults = [], [], []
    for file in listed(paths, tuple(delimited.ENDINGS)):
        header, lines = delimited.table(file)
        columns.check(header, file, target=False)
        try:
            found.append(columns.encode(header, lines))
            names += [f"{file}:{line}" for line, _ in lines]
        except Invalid:  # of some row: the others are good
            for row in lines:
                try:
                    found.append(columns.encode(header, [row]))
                    names.append(f"{file}:{row[0]}")
                except Invalid as fault:
                    faults.append(f"{fault} of {file}")
    _some(names, faults)
    return names, np.concatenate(found), faults


def _some(good: Sequence[object], faults: Sequence[str]) -> None:
    if not good:
        raise Invalid(f"{faults[0]}" + (f"; and {len(faults) - 1} more" if len(faults) > 1 else "") + ": none is good")
