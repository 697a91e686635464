"""A table of numbers and categories, to predict one of its columns from the others: the data set csv."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.data import columns as of_columns
from engine.data.columns import Columns
from engine.data.dataset import Dataset, Split
from engine.data.delimited import Row, table
from engine.data.folds import holdout
from engine.errors import require

HELD_OUT = 0.2  # fraction of the rows, where none is given


@dataclass(frozen=True, kw_only=True)
class TableDataset(Dataset):
    """Rows in memory: "x" float32 [N, d], standardised or one-hot, and "y" float32 [N, 1], as in the table.

    Attributes:
      columns: What "x" is made of; to be kept with the run.
      left_out: How many rows were left out, and why.
      make: ``make(train, test)`` gives the same of other rows, numbers in the table.
      rows: Numbers of the rows of ``train``.
    """

    columns: Columns
    left_out: Counter[str]
    make: Any = field(repr=False)
    rows: np.ndarray = field(repr=False)

    def parted(self, train: np.ndarray, test: np.ndarray) -> "TableDataset":
        """As ``Dataset.parted``; means and standard deviations are those of the new part to train on."""
        made: TableDataset = self.make(self.rows[train], self.rows[test])
        return made


def load(data_dir: str | Path | None = None, *, target: str | None = None, without: Sequence[str] = (),
         categorical: Sequence[str] = (), skip_missing: bool = False, validation: float = HELD_OUT, seed: int = 0,
         columns: Mapping[str, Any] | None = None, whole: bool = False) -> TableDataset:
    """The table in the file ``data_dir``: .csv or .tsv, with a header, plain or packed by gzip.

    Args:
      target: Column to predict; of numbers.
      without: Columns to leave out.
      categorical: Columns of numbers that are categories.
      skip_missing: Whether rows with a missing value are left out and not refused.
      validation: Fraction of the rows that is held out.
      seed: Seed of that choice.
      columns: Columns of a run, as JSON, to encode with, in place of those of the part to train on.
      whole: Whether all rows are held out; they are the part to train on as well.

    Raises:
      Invalid: One line, with line and column, for a value that is missing or does not fit, and faults of the file.
    """
    require(data_dir is not None, "data_dir", data_dir, "a CSV or TSV file")
    require(target is not None, "--target", target, "the name of the column to predict")
    path = Path(str(data_dir))
    header, rows = table(path, (str(target), *without, *categorical))
    given = None if columns is None else Columns.from_json(columns)
    if given:
        given.check(header, path)
        used = {given.target, *(each.name for each in given.features)}
    else:
        _check_header(header, path, without)
        used = {*header} - {*without}
    rows, left = _complete(header, rows, used, categorical, skip_missing)
    require(len(rows) > 1, "file", path, f"of at least two rows, but has {len(rows)}")

    def make(train: np.ndarray, test: np.ndarray) -> TableDataset:
        found = given or of_columns.columns_of(header, rows, train, str(target), without, categorical)
        return TableDataset("csv", _split(found, header, rows, train), _split(found, header, rows, test),
                            place=str(path), columns=found, left_out=left, make=make, rows=train)

    every = np.arange(len(rows))
    return make(every, every) if whole else make(*holdout(len(rows), validation, seed))


def _split(columns: Columns, header: Sequence[str], rows: Sequence[Row], numbers: np.ndarray) -> Split:
    mine = [rows[number] for number in numbers]
    return {"x": columns.encode(header, mine), "y": columns.targets(header, mine)}


def _check_header(header: Sequence[str], path: Path, without: Sequence[str]) -> None:
    """Raises ``Invalid`` for two columns of one name, a column without, and a header that is a row of numbers."""
    kept = [name for name in header if name not in without]
    require(not all(of_columns.NUMBER.fullmatch(name) for name in header), "file", path,
            f"of a header and rows, but begins with the numbers {', '.join(header[:5])}")
    require("" not in kept, "file", path, f"of named columns, but number {[*header, ''].index('') + 1} has no name: "
            "name it, or leave it out (--without '')")
    twice = [name for name, count in Counter(kept).items() if count > 1]
    require(not twice, "columns", ", ".join(twice), f"there once each in {path}")


def _complete(header: Sequence[str], rows: list[Row], used: set[str], categorical: Sequence[str], skip: bool
              ) -> tuple[list[Row], Counter[str]]:
    """The rows without a missing value, and how many are left out."""
    missing = of_columns.missing(header, rows, used, categorical)
    if missing and not skip:
        row, name = missing[0]
        lines = len({row for row, _ in missing})
        require(False, f"column {name}", f"missing in line {rows[row][0]}, of {lines} such rows",
                "there in every row: --skip-missing leaves such rows out")
    left = {row for row, _ in missing}
    kept = [row for number, row in enumerate(rows) if number not in left]
    return kept, Counter({"rows with missing values": len(left)} if left else {})
