"""Tables in text files: comma separated (.csv) or tab separated (.tsv), with a header, plain or packed by gzip."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from engine.data import utf8
from engine.errors import Invalid, require

LONGEST_FIELD = 1 << 20  # characters; more is a quotation mark left open
Row = tuple[int, list[str]]  # the line that it begins in, and its fields
ENDINGS = {".csv": ",", ".tsv": "\t"}


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name: .csv or .tsv, or packed .csv.gz or .tsv.gz."""
    return _ending(path) in ENDINGS


def table(path: str | Path, names: Sequence[str] = ()) -> tuple[list[str], list[Row]]:
    """The header, which has the columns ``names``, and the rows that are not empty, each of as many fields.

    Fields are quoted where they hold separators or ends of lines.

    Raises:
      Invalid: One line, for a file that is no UTF-8 or no table, lacks a column or rows, or has a row of too few or too
        many fields.
    """
    path = Path(path)
    rows = _rows(path)
    require(rows, "file", path, "a CSV file with a header, but is empty")
    header = [name.strip() for name in rows.pop(0)[1]]
    other = next((sign for sign in (";", "\t") if len(header) == 1 and sign in header[0]), "")
    require(not other, "file", path, f"separated by commas (.csv) or tabs (.tsv), but its header is by {other!r}")
    for name in names:
        position(header, name, path)
    require(rows, "file", path, "of at least one row below its header")
    for line, fields in rows:
        require(len(fields) == len(header), "file", path,
                f"of {len(header)} fields a row, as its header, but has {len(fields)} in line {line}")
    return header, rows


def column(path: str | Path, name: str) -> list[tuple[int, str]]:
    """One column of a table: the line that each row begins in, and its value there, which may be empty.

    Raises:
      Invalid: The same as ``table``.
    """
    header, rows = table(path, (name,))
    at = header.index(name)
    return [(line, fields[at].strip()) for line, fields in rows]


def position(header: list[str], name: str, path: Path) -> int:
    """Position of a column. Raises ``Invalid`` unless there is one of the name."""
    require(header.count(name) == 1, "column", name, f"there once among those of {path}: {', '.join(header)}")
    return header.index(name)


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _rows(path: Path) -> list[Row]:
    """All rows that are not empty."""
    text = io.StringIO(utf8.read(path), newline="")
    reader = csv.reader(text, delimiter=ENDINGS.get(_ending(path), ","), strict=True)
    rows, line = [], 1
    before = csv.field_size_limit(LONGEST_FIELD)  # of the whole process: put back below
    try:
        for fields in reader:
            if fields:
                rows.append((line, fields))
            line = reader.line_num + 1
    except csv.Error as fault:
        raise Invalid(f"`file` ({path}) must be CSV, but is not in the row that begins in line {line}: "
                      f"{fault}") from None
    finally:
        csv.field_size_limit(before)
    return rows
