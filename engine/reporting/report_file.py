"""report.html of a run's folder, from the first evaluation on."""

from collections.abc import Mapping

from engine.reporting import report
from engine.reporting.writer import Start, Timestamp, Writer


class ReportFile(Writer):
    """Writes the report anew after each evaluation, and at the end. Stands after the writers whose files it reads."""

    def open(self, start: Start) -> None:
        """Note where."""
        assert start.folder is not None
        self._folder, self._is_due = start.folder, False

    def scalars(self, timestamp: Timestamp, values: Mapping[str, float]) -> None:
        """An evaluation is shown as soon as its row is complete."""
        self._is_due |= any(name.startswith("eval/") for name in values)

    def flush(self) -> None:
        """Write it, if there is something new."""
        if self._is_due:
            report.write_report(self._folder)
        self._is_due = False

    def close(self, finished: bool = True) -> None:
        """Write it, unless the folder is gone."""
        if (self._folder / "config.json").exists():
            report.write_report(self._folder)
