"""Writer: what takes the numbers, pictures and lines of a run; and History, what ``train`` gives back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Timestamp(NamedTuple):
    """When a number or picture was taken, counted from the run's start."""

    cycle: int
    batches: int
    epoch: float
    seconds: float


@dataclass(frozen=True)
class Start:
    """What a writer is told before anything else.

    Attributes:
      folder: The run's folder, there and locked; None for a run without one.
      names: All numbers that will come: "<phase>/<term>" and "eval/<metric>".
      config: What makes the run this run, as JSON values.
      cycle: Cycle at which the training begins; above 0 in a continued run.
      target: Cycle at which it ends.
      cycles_per_epoch: Cycles in one pass over the training data.
      say: Function that takes lines for people.
    """

    folder: Path | None
    names: tuple[str, ...]
    config: Mapping[str, Any]
    cycle: int
    target: int
    cycles_per_epoch: float
    say: Callable[[str], None]


class Writer:
    """Base of all writers. No method does anything here: a writer defines those that it needs.

    What a method raises ends the training, after a checkpoint; an ``OSError`` is told in one line.
    """

    def open(self, start: Start) -> None:
        """Begin; called at each ``train``, and followed by ``rewind`` if the run is continued."""

    def scalars(self, timestamp: Timestamp, values: Mapping[str, float]) -> None:
        """Take numbers by name; twice for one cycle if an evaluation falls on a log."""

    def images(self, timestamp: Timestamp, images: Mapping[str, np.ndarray]) -> None:
        """Take pictures by name, uint8 [h, w, 3]."""

    def histograms(self, timestamp: Timestamp, values: Mapping[str, np.ndarray]) -> None:
        """Take weights and gradients by name, arrays of any shape; only of a ``Recording(histograms=True)``."""

    def progress(self, timestamp: Timestamp, means: Mapping[str, float]) -> None:
        """See how far it is, some times a second; ``means`` since the last time."""

    def line(self, text: str) -> None:
        """Take a line for people."""

    def flush(self) -> None:
        """All numbers of this cycle have come: before each checkpoint, after each evaluation."""

    def rewind(self, cycle: int) -> None:
        """Forget what came after ``cycle``: the run goes on from there."""

    def kept(self) -> Mapping[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
        """JSON values that checkpoints hold: {name: (what gives it, what takes it back)}."""
        return {}

    def close(self, finished: bool = True) -> None:
        """End of a ``train``; the run's other files are written.

        Args:
          finished: Whether it came to its end, and was not stopped by a fault, a signal or an error.
        """


class History(Mapping[str, np.ndarray]):
    """What was recorded of a run: {"<phase>/<term>" or "eval/<metric>": its numbers in order}.

    Args:
      columns: {name: a number per row, NaN where the row has none}, "cycle", "batches", "epoch", "seconds" among them.

    Attributes:
      metrics: The final evaluation: {metric: number}.
    """

    def __init__(self, columns: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        self.columns = {name: np.asarray(values, np.float64) for name, values in columns.items()}
        self.metrics = dict(metrics)

    def __getitem__(self, name: str) -> np.ndarray:
        values = self.columns[name]
        return values[~np.isnan(values)]

    def at(self, name: str, counter: str = "epoch") -> np.ndarray:
        """Where the numbers of ``name`` were taken, by "cycle", "batches", "epoch" or "seconds"."""
        return self.columns[counter][~np.isnan(self.columns[name])]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        rows = len(next(iter(self.columns.values()), ()))
        return f"History({rows} rows of {', '.join(self.columns)}{f'; at the end {shown}' if shown else ''})"

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from engine.reporting.rich import of_history

        return of_history(self)
