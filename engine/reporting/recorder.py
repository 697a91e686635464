"""Recorder: the events that turn a run's numbers into what people look at."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.data.source import Source
from engine.errors import require
from engine.reporting import pictures
from engine.reporting.progress import Progress, describe
from engine.reporting.report import write_report
from engine.reporting.table import Table, read
from engine.reporting.tensorboard import TensorBoard
from engine.run.events import Event, Every
from engine.run.trainer import Trainer

ROUNDING = 1e-4  # of a mean
DIVERGED = 1000.0  # times the first objective, or 1
Drawing = Callable[[Trainer], Mapping[str, Image.Image]]


def strategy_pictures(source: Source, count: int = 32) -> Drawing:
    """Grids of what the strategy's ``pictures`` gives for the first ``count`` examples of ``source``."""
    def draw(trainer: Trainer) -> dict[str, Image.Image]:
        found = trainer.pictures(min(count, source.size), source)
        return {name: pictures.grid(images, columns=8) for name, images in found.items()}
    return draw


class Recorder:
    """Log, evaluation, pictures and checkpoints of one run, into its folder and onto the terminal.

    Args:
      trainer: With a run folder.
      held_out: What to evaluate on.
      draw: Gives the pictures by name.
      target: Cycles at which the training ends, for the time left.
      at_end: {part: source}, evaluated once, when the run is finished; its figures are "part/metric".
    """

    def __init__(self, trainer: Trainer, held_out: Source, draw: Drawing, target: int,
                 at_end: Mapping[str, Source] | None = None) -> None:
        assert trainer.folder is not None
        self._trainer, self._held_out, self._draw = trainer, held_out, draw
        self._at_end = dict(at_end or {})
        self._path: Path = trainer.folder.path
        terms = [f"{phase}/{name}" for phase, names in trainer.term_names.items() for name in names]
        evaluated = [f"eval/{name}" for name in trainer.metric_names(held_out)]
        if trainer.best:
            require(trainer.best.goal.metric in (*terms, *evaluated), "goal", trainer.best.goal.metric,
                    f"one of {', '.join([*evaluated, *terms])}")
        self._columns = ["cycle", "batches", "epoch", "seconds", *terms, *evaluated]
        self._table: Table | None = None
        self._board = TensorBoard(self._path / "tensorboard")
        self._progress = Progress(target, initial=trainer.counters.cycles)
        self._row: dict[str, float] = {}
        self.metrics: dict[str, float] = {}  # the newest evaluation
        self.impossible: dict[str, str] = {}  # means outside of what the strategy says, and what was said of them
        trainer.say = self._progress.line

    def events(self, log: Every, evaluate: Every, checkpoint: Every) -> list[Event]:
        """The events, in the order in which they must run: the checkpoint sees complete rows. Opens metrics.csv."""
        self._table = Table(self._path / "metrics.csv", self._columns)
        self._table.rewind(self._trainer.counters.cycles)
        self._trainer.keep("row", lambda: self._row, self._rewind)
        self._trainer.keep("rows", lambda: self._table.rows if self._table else 0, self._tell_lost)
        return [Event(Every(seconds=0.2), self._advance), Event(log, self._log), Event(evaluate, self._evaluate),
                Event(checkpoint, self._checkpoint)]

    def close(self, finished: bool, stopped: str = "") -> None:
        """Write what is open, report.html, and summary.json of a run that is finished or that a fault has ``stopped``.

        Nothing if the folder is gone.
        """
        self._board.close()
        self._progress.close()
        if finished:
            self._check()
        elif not (self._path / "config.json").exists():
            return
        self._flush()
        assert self._trainer.folder is not None
        summary = self._trainer.folder.read("summary.json")
        told = summary.get("metrics") if summary.get("cycles") == self._trainer.counters.cycles else None
        if finished and isinstance(told, dict):
            self.metrics = told  # nothing was left to do
        elif finished:
            self.metrics = self.metrics or self._trainer.evaluate(self._held_out)
            for part, source in self._at_end.items():
                found = self._trainer.evaluate(source)
                self.metrics |= {f"{part}/{name}": value for name, value in found.items()}
            self._trainer.folder.write("summary.json", self._summary())
        elif stopped:
            self._trainer.folder.write("summary.json", {**self._summary(), "stopped": stopped})
        self._tell_divergence()
        write_report(self._path)

    def _summary(self) -> dict[str, Any]:
        return {"metrics": self.metrics, **self._trainer.summary(), "impossible": list(self.impossible.values())}

    def _tell_divergence(self) -> None:
        """Numbers that stay finite may have lost all sense."""
        path = self._path / "metrics.csv"
        for name, values in (read(path) if path.is_file() else {}).items():
            there = [value for value in values if np.isfinite(value)] if name.endswith("/objective") else []
            if there and abs(there[-1]) > min(DIVERGED * max(1.0, abs(there[0])), DIVERGED**3):
                self._trainer.say(f"warning: {name} is {there[-1]:.4g}, and was {there[0]:.4g} at first: the training "
                                  "has diverged; take a smaller learning rate")

    def _look_at(self, values: Mapping[str, float]) -> None:
        """Say once of each mean that is where it cannot be."""
        for name, value in values.items():
            low, high = self._trainer.strategy.ranges.get(name.rpartition("/")[2], (-np.inf, np.inf))
            slack = ROUNDING * max(1.0, abs(low) if low > -np.inf else 0.0)
            if np.isfinite(value) and name not in self.impossible and not low - slack <= value <= high + slack:
                self.impossible[name] = (f"{name} is {value:.4g} at cycle {self._trainer.counters.cycles} and can only "
                                         f"be from {low:g} to {high:g}: look at the data's labels and scale")
                self._trainer.say(f"warning: {self.impossible[name]}")

    def _advance(self, trainer: Trainer, means: Mapping[str, float]) -> None:
        self._progress.update(trainer.counters.cycles, trainer.counters.epoch, means)

    def _log(self, trainer: Trainer, means: Mapping[str, float]) -> None:
        self._note(means)
        if not self._progress.on_terminal:
            self._progress.line(describe(trainer.counters.cycles, trainer.counters.epoch, means))
        trainer.note(means)

    def _evaluate(self, trainer: Trainer, means: Mapping[str, float]) -> None:
        self.metrics = trainer.evaluate(self._held_out)
        values = {f"eval/{name}": value for name, value in self.metrics.items()}
        self._note(values)
        self._progress.line(describe(trainer.counters.cycles, trainer.counters.epoch, values))
        drawn = self._draw(trainer)
        for name, image in drawn.items():
            self._save(image, f"{name}-{trainer.counters.cycles}.png")
        self._board.images(trainer.counters.cycles, {name: np.asarray(image) for name, image in drawn.items()})
        trainer.note(values)

    def _save(self, image: Image.Image, name: str) -> None:
        folder = self._path / "pictures"
        try:
            folder.mkdir(exist_ok=True)  # not its parents: the run's folder may have been removed
            pictures.save(image, folder / name, parents=False)
        except FileNotFoundError:
            self._check()
            raise

    def _checkpoint(self, trainer: Trainer, means: Mapping[str, float]) -> None:
        self._flush()
        trainer.save()

    def _rewind(self, row: dict[str, float] | None) -> None:
        """Go on from a checkpoint whose open row was ``row``."""
        self._row = dict(row or {})
        cycles = self._trainer.counters.cycles
        assert self._table is not None
        self._table.rewind(int(self._row["cycle"]) - 1 if self._row else cycles)
        self._board.rewind(cycles)

    def _tell_lost(self, rows: int | None) -> None:
        """Go on from a checkpoint that was saved when the table had ``rows``."""
        assert self._table is not None
        if rows and self._table.rows < rows:
            self._trainer.say(f"warning: metrics.csv has {self._table.rows} of the {rows} rows that it had at cycle "
                              f"{self._trainer.counters.cycles}: the others are lost")

    def _note(self, values: Mapping[str, float]) -> None:
        self._check()
        counters = self._trainer.counters
        if self._row.get("cycle") != counters.cycles:
            self._flush()
            self._row = {"cycle": counters.cycles, "batches": counters.batches, "epoch": counters.epoch,
                         "seconds": self._trainer.seconds}
        self._row.update(values)
        self._look_at(values)
        self._board.scalars(counters.cycles, values)

    def _check(self) -> None:
        """Raises ``Invalid`` if the folder was removed: what is written would make it again."""
        assert self._trainer.folder is not None
        self._trainer.folder.check()

    def _flush(self) -> None:
        row, self._row = self._row, {}
        if row and self._table is not None:
            try:
                self._table.write(row)
            except FileNotFoundError:
                self._check()
                raise
