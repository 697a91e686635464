"""metrics.csv: a complete row per log, in columns that are fixed when the run starts."""

import math
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engine.errors import require
from engine.reporting.files import write_whole

LONGEST_HEADER, LARGEST = 2**20, 2**28  # bytes


class Table:
    """A run's table of metrics. Nothing is written before the first row.

    Args:
      path: The file, ``metrics.csv`` of a run's folder.
      columns: ``cycle,batches,epoch,seconds,<phase>/<term>…,eval/<metric>…``; ``cycle`` must be there.

    Attributes:
      rows: Number of rows, as far as this object has read and written them.

    Raises:
      Invalid: If the columns cannot head a table, or the file has other columns.
    """

    def __init__(self, path: Path | str, columns: Sequence[str]) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        require("cycle" in self.columns, "columns", ",".join(columns), "a list with `cycle` in it")
        require(len(set(columns)) == len(columns), "columns", ",".join(columns), "without doubles")
        bad = [name for name in columns if not name or set(name) & set(',"\r\n')]
        require(not bad, "columns", bad, "names without commas, quotes and ends of line")
        self.rows = 0
        if os.path.lexists(self.path):  # a link that leads nowhere would be written through
            self._open()

    def write(self, row: Mapping[str, float]) -> None:
        """Append one row, in one write.

        Args:
          row: {column: number}, ``cycle`` among them; columns without a number stay empty.

        Raises:
          Invalid: A column that the table does not have, or a row without ``cycle``.
          FileNotFoundError: If its folder is gone; it is not made again.
        """
        unknown = [name for name in row if name not in self.columns]
        require(not unknown, "row", ",".join(unknown), f"one of the columns {','.join(self.columns)}")
        require("cycle" in row, "row", ",".join(row), "a row with its `cycle`")
        text = _line(_number(row[name]) if name in row else "" for name in self.columns)
        with open(self.path, "ab") as file:  # closing it flushes
            file.write(text if file.tell() else _line(self.columns) + text)
        self.rows += 1

    def rewind(self, cycle: int) -> None:
        """Drop the rows after ``cycle``: a run continues from a checkpoint that lies before them.

        Args:
          cycle: The checkpoint's cycle; its own row stays.
        """
        if not self.path.exists():
            return
        cycles = read(self.path).get("cycle", [])
        if all(value <= cycle for value in cycles):
            return
        data = self.path.read_bytes()
        header, *rows = data[:data.rfind(b"\n") + 1].splitlines(keepends=True)
        kept = [row for row, value in zip(rows, cycles, strict=True) if value <= cycle]
        write_whole(self.path, b"".join([header, *kept]), parents=False)
        self.rows = len(kept)

    def _open(self) -> None:
        """Check the columns; drop a last row, or a header, that was cut in the middle."""
        _check_file(self.path)
        data = self.path.read_bytes()
        header, end, _ = data.partition(b"\n")
        cut = not end and _line(self.columns).startswith(header)
        agrees = header.decode(errors="replace").rstrip("\r") == ",".join(self.columns)
        require(cut or agrees, self.path.name, f"columns {header.decode(errors='replace')}",
                f"a table with the columns {','.join(self.columns)}: {self.path}")
        self.rows = max(0, data.count(b"\n") - 1)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self.path, whole)


def read(path: Path | str) -> dict[str, list[float]]:
    """Read a table, as far as it is complete.

    Args:
      path: A ``metrics.csv``; a last row cut in the middle is left out.

    Returns:
      {column: a number per row}; NaN where the row has none.

    Raises:
      Invalid: If a row does not fit the header or holds something else than numbers.
    """
    path = Path(path)
    _check_file(path)
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    if not lines:
        return {}
    header, rows = lines[0].split(","), [line.split(",") for line in lines[1:]]
    for number, row in enumerate(rows, start=2):
        fits = len(row) == len(header) and all(map(_is_number, row))
        require(fits, path.name, f"line {number}: {','.join(row)}", f"{len(header)} numbers: {path}")
    return {name: [float(row[i]) if row[i] else math.nan for row in rows]
            for i, name in enumerate(header)}


def _check_file(path: Path) -> None:
    """Raises ``Invalid`` for what is no table of a run, before more than its first line is read."""
    require(path.is_file(), path.name, path, "a file")
    with path.open("rb") as file:
        header = file.readline(LONGEST_HEADER)
    require(not header.endswith(b"\n") or b"cycle" in header.split(b","), path.name,
            f"columns {header[:80].decode(errors='replace').strip()}", f"a table with the column cycle: {path}")
    require(path.stat().st_size <= LARGEST, path.name, path, f"of at most {LARGEST} bytes")


def _line(cells: Iterable[str]) -> bytes:
    return (",".join(cells) + "\n").encode(errors="backslashreplace")


def _number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return str(int(value)) if isinstance(value, numbers.Integral) else repr(float(value))


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True
