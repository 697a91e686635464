"""A complete row per cycle that is logged: as metrics.csv, or in memory for a run without a folder."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.reporting import table
from engine.reporting.record import COUNTERS
from engine.reporting.writer import Start, Timestamp, Writer


class Rows(Writer):
    """Rows in memory. One is open until its cycle is over: an evaluation joins the log of the same cycle."""

    def __init__(self) -> None:
        self._row: dict[str, float] = {}
        self._names: tuple[str, ...] = ()
        self._whole: list[dict[str, float]] = []

    def open(self, start: Start) -> None:
        """Begin."""
        self._names = (*COUNTERS, *start.names)

    def scalars(self, timestamp: Timestamp, values: Mapping[str, float]) -> None:
        """Add to the row of this cycle; an earlier one is complete."""
        if self._row.get("cycle") != timestamp.cycle:
            self.flush()
            self._row = timestamp._asdict()
        self._row.update(values)

    def flush(self) -> None:
        """Complete the open row."""
        row, self._row = self._row, {}
        if row:
            self._write(row)

    def rewind(self, cycle: int) -> None:
        """Drop the rows after ``cycle``."""
        self._row = {}
        self._whole = [row for row in self._whole if row["cycle"] <= cycle]

    def columns(self) -> dict[str, list[float]]:
        """All rows, {name: a number per row}, NaN where the row has none."""
        nan = float("nan")
        return {name: [row.get(name, nan) for row in self._whole] for name in self._names}

    def _write(self, row: dict[str, float]) -> None:
        self._whole.append(row)


class CSV(Rows):
    """metrics.csv of a run's folder."""

    def open(self, start: Start) -> None:
        """Read what is there, up to where the run stands."""
        super().open(start)
        assert start.folder is not None
        self._start, self._at = start, start.cycle
        self._table = table.Table(start.folder / "metrics.csv", self._names)
        self._table.rewind(start.cycle)

    def rewind(self, cycle: int) -> None:
        """Drop the rows after ``cycle``."""
        self._row, self._at = {}, cycle
        self._table.rewind(cycle)

    def kept(self) -> Mapping[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
        """The open row, and how many are in the file."""
        return {"row": (lambda: self._row, self._reopen), "rows": (lambda: self._table.rows, self._tell_lost)}

    def columns(self) -> dict[str, list[float]]:
        """All rows of the file."""
        return table.read(self._table.path) if self._table.path.exists() else super().columns()

    def _write(self, row: dict[str, float]) -> None:
        self._table.write(row)

    def _reopen(self, row: dict[str, float] | None) -> None:
        """Go on from a checkpoint whose open row was ``row``."""
        self._row = dict(row or {})
        if self._row:
            self._table.rewind(int(self._row["cycle"]) - 1)

    def _tell_lost(self, rows: int | None) -> None:
        """Go on from a checkpoint that was saved when the table had ``rows``."""
        if rows and self._table.rows < rows:
            self._start.say(f"warning: metrics.csv has {self._table.rows} of the {rows} rows that it had at cycle "
                            f"{self._at}: the others are lost")
