"""What the parts of the check share: where they run, how long, and the results, written as they come."""

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass
class Report:
    """Facts of the machine and the rows of each part, kept in a file of JSON and one of text.

    Args:
      folder: Folder of ``results.json`` and ``results.txt``.
      shown: Function that gives the text of all that is known so far.
    """

    folder: Path
    shown: Callable[["Report"], str]
    facts: Row = field(default_factory=dict)
    parts: dict[str, Row] = field(default_factory=dict)  # part -> its seconds and error
    rows: dict[str, list[Row]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.RLock)

    def add(self, part: str, row: Row) -> None:
        """A result of ``part``."""
        with self._lock:
            self.rows.setdefault(part, []).append(row)
            self.write()

    def write(self) -> None:
        """Both files, each whole or as it was."""
        with self._lock:
            found = {"machine": self.facts, "parts": self.parts, "rows": self.rows}
            for name, text in (("results.json", json.dumps(found, indent=1)), ("results.txt", self.shown(self))):
                part = self.folder / f"{name}.part"
                part.write_text(text + "\n")
                os.replace(part, self.folder / name)

    @property
    def faults(self) -> list[Row]:
        """Rows that say that something is wrong."""
        return [row for rows in self.rows.values() for row in rows if row.get("ok") is False]


@dataclass(frozen=True)
class Kit:
    """How a part is to run.

    Attributes:
      device: "gpu" or "cpu".
      smoke: Tiny sizes and few cases, to see that all works.
      width: Processes at once, where nothing is timed.
      folder: Folder for what the part writes on the way; logs are in ``logs`` within.
      precisions: Precisions that are timed.
      deadline: Time by which the part must be done, of ``time.monotonic``.
      say: Function that takes lines of progress.
    """

    device: str
    smoke: bool
    width: int
    folder: Path
    deadline: float
    report: Report
    torch_python: str
    precisions: Sequence[str]
    say: Callable[[str], None]

    @property
    def logs(self) -> Path:
        """Standard error, and output, of every process."""
        return self.folder / "logs"

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()
