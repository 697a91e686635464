"""The recorder: what happens along the way of a run, handed to its writers; the report; and the last look."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from engine.cycle.health import BadUpdate
from engine.data.source import Source
from engine.errors import require
from engine.notebook import in_notebook
from engine.reporting import pictures
from engine.reporting.notebook import Notebook
from engine.reporting.picture_files import PictureFiles
from engine.reporting.profile import Profile
from engine.reporting.progress import Progress, describe
from engine.reporting.recording import Recording
from engine.reporting.report_file import ReportFile
from engine.reporting.rows import CSV, Rows
from engine.reporting.tensorboard import TensorBoard
from engine.reporting.writer import History, Start, Timestamp, Writer
from engine.run import environment
from engine.run.events import Event, Every

if TYPE_CHECKING:
    from engine.trainer import Trainer

ROUNDING = 1e-4  # of a mean
DIVERGED = 1000.0  # times the first objective, or 1
SHOWN = 32  # examples in a grid of pictures


def usual_writers(has_folder: bool) -> list[Writer]:
    """What records a run where nobody says otherwise."""
    progress = Notebook() if in_notebook() else Progress()
    return [progress, CSV(), TensorBoard(), PictureFiles(), ReportFile()] if has_folder else [progress, Rows()]


class Recorder:
    """Rows, evaluation, pictures and checkpoints of one run, into its writers.

    Args:
      trainer: Trainer whose run it is.
      held_out: Source to evaluate on; None evaluates nothing, and the pictures are of the training data.
      recording: What is recorded, and when.
      writers: Writers that are told; None for the usual ones.

    Attributes:
      metrics: The newest evaluation.
      impossible: Means outside of what the strategy says, and what was said of them.
    """

    def __init__(self, trainer: "Trainer", held_out: Source | None, recording: Recording | None = None,
                 writers: Sequence[Writer] | None = None) -> None:
        self._trainer, self._held_out, self._recording = trainer, held_out, recording or Recording()
        self._writers = usual_writers(trainer.folder is not None) if writers is None else list(writers)
        if not any(isinstance(writer, Rows) for writer in self._writers):
            self._writers.append(Rows())  # for the history
        columns = trainer.columns()
        if trainer.best:
            require(trainer.best.goal.metric in columns, "goal", trainer.best.goal.metric,
                    f"one of {', '.join(columns)}")
        evaluated = columns[:-sum(map(len, trainer.term_names.values()))]
        self._names = (*columns[len(evaluated):], *trainer.learning_rates, *evaluated)
        self._say = trainer.say
        require(trainer.workers.count == 1 or not self._recording.profile, "profile", self._recording.profile,
                "left out on several workers: profile one")
        self._profile = Profile(trainer, self._recording.profile) if self._recording.profile else None
        self._opened: list[Writer] = []
        self.metrics: dict[str, float] = {}
        self.impossible: dict[str, str] = {}

    def events(self) -> list[Event]:
        """The events, in the order in which they must run: the checkpoint sees complete rows."""
        when = self._recording
        log = when.log_of(self._trainer.cycles_per_epoch)
        usual = [Event(Every(seconds=0.2), self._progress), Event(log, self._log), Event(when.evaluate, self._evaluate),
                 Event(when.checkpoint, self._checkpoint)]
        return [self._profile.first, *usual] if self._profile else usual

    def last_events(self) -> list[Event]:
        """Those that act after all others."""
        return [self._profile.last] if self._profile else []

    def check(self, target: int) -> None:
        """Raise ``Invalid`` for what cannot be recorded of a training to cycle ``target``; nothing is written yet."""
        if self._profile:
            self._profile.check(target)

    @contextlib.contextmanager
    def recording(self, target: int) -> Iterator[None]:
        """Open the writers for a training to cycle ``target``; at its end write the last files, and close."""
        finished, stopped = False, ""
        self._opened = []
        if self._profile:
            self._profile.open()

        def close(writer: Writer) -> None:
            if writer in self._opened:
                writer.close(finished)

        with contextlib.ExitStack() as stack:
            for writer in reversed(self._writers):  # each is closed, in their order, whatever happens
                stack.callback(close, writer)
            self.open(target)
            if self._profile:
                stack.callback(self._profile.close)
            try:
                yield
                finished = True
            except BadUpdate as error:
                stopped = str(error)
                raise
            finally:
                self._end(finished, stopped)

    def open(self, target: int) -> None:
        """Open the writers for a training to cycle ``target``."""
        trainer, at = self._trainer, self._trainer.counters.cycles
        folder = trainer.folder
        if folder:
            folder.write("environment.json", environment.described())
        start = Start(folder.path if folder else None, self._names, folder.config if folder else {}, at, target,
                      trainer.cycles_per_epoch, lambda line: trainer.say(line))
        for writer in self._writers:
            writer.open(start)
            self._opened.append(writer)
        if any(type(writer).line is not Writer.line for writer in self._writers):
            trainer.say = self._line
        trainer.register("recorded", lambda: True, lambda _: self._rewind())
        for writer in self._writers:
            for name, (get, put) in writer.kept().items():
                trainer.register(name, get, put)
        if trainer.continued and folder:
            trainer.say(f"already at cycle {at} of {target}: nothing to do" if at >= target else
                        f"continues {folder.path} at cycle {at} of {target}")

    def history(self) -> History:
        """What the rows say so far."""
        rows = next((writer.columns() for writer in self._writers if isinstance(writer, Rows)), {})
        return History(rows, self.metrics)

    def _end(self, finished: bool, stopped: str) -> None:
        """The open row, and summary.json of a run that is finished or that a fault has ``stopped``."""
        folder = self._trainer.folder
        if folder and not finished and not (folder.path / "config.json").exists():
            return  # it is gone
        self._tell("flush")
        told = finished and self._last_look()
        if folder and (finished or stopped) and not told:
            folder.write("summary.json", self._summary() | ({"stopped": stopped} if stopped else {}))
        self._tell_divergence()
        self._trainer.say = self._say

    def _last_look(self) -> bool:
        """The metrics at the end, those of the parts that wait for it among them; whether summary.json has them."""
        folder = self._trainer.folder
        summary = folder.read("summary.json") if folder else {}
        told = summary.get("metrics") if summary.get("cycles") == self._trainer.counters.cycles else None
        told = self._trainer.workers.from_chief(told, "metrics of the end")
        if isinstance(told, dict):
            self.metrics = told  # nothing was left to do
            return True
        if not self.metrics and self._held_out is not None:
            self.metrics = self._trainer.evaluate(self._held_out)
        for part, source in self._recording.at_end.items():
            found = self._trainer.evaluate(source)
            self.metrics |= {f"{part}/{name}": value for name, value in found.items()}
        return False

    def _summary(self) -> dict[str, Any]:
        return {"metrics": self.metrics, **self._trainer.summary(), "impossible": list(self.impossible.values()),
                "better": dict(self._trainer.strategy.better)}

    def _tell_divergence(self) -> None:
        """Numbers that stay finite may have lost all sense."""
        for name, there in self.history().items():
            if name.endswith("/objective") and len(there := there[np.isfinite(there)]) and \
                    abs(there[-1]) > min(DIVERGED * max(1.0, abs(there[0])), DIVERGED**3):
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

    def _progress(self, trainer: "Trainer", means: Mapping[str, float]) -> None:
        for writer in self._writers:
            writer.progress(self._timestamp(), means)

    def _log(self, trainer: "Trainer", means: Mapping[str, float]) -> str | None:
        self._note({**means, **trainer.learning_rates})
        if not any(isinstance(writer, Progress) and writer.on_terminal for writer in self._writers):
            self._line(describe(trainer.counters.cycles, trainer.counters.epoch, means))
        return "save" if trainer.note(means) else None

    def _evaluate(self, trainer: "Trainer", means: Mapping[str, float]) -> str | None:
        values: dict[str, float] = {}
        if self._held_out is not None:
            self.metrics = trainer.evaluate(self._held_out)
            values = {f"eval/{name}": value for name, value in self.metrics.items()}
            self._note(values)
            self._line(describe(trainer.counters.cycles, trainer.counters.epoch, values))
        images = self._images()
        if images:
            self._tell("images", self._timestamp(), {name: np.asarray(image) for name, image in images.items()})
        if self._recording.histograms:
            self._tell("histograms", self._timestamp(), self._weights_and_gradients())
        self._tell("flush")
        return "save" if trainer.note(values) else None

    def _weights_and_gradients(self) -> dict[str, np.ndarray]:
        weights = {f"weights/{name}/{v.path}": np.asarray(v) for name, net in self._trainer.nets.items()
                   for v in net.trainable_variables}
        return weights | {f"gradients/{name}": value for name, value in self._trainer.gradients().items()}

    def _images(self) -> Mapping[str, Image.Image]:
        if self._recording.draw is not None:
            return self._recording.draw(self._trainer)
        source = self._held_out or self._trainer.data
        found = self._trainer.pictures(min(SHOWN, source.size), source)
        return {name: pictures.grid(images, columns=8) for name, images in found.items()}

    def _checkpoint(self, trainer: "Trainer", means: Mapping[str, float]) -> str:
        self._tell("flush")
        return "save"

    def _rewind(self) -> None:
        """The run goes on from a checkpoint."""
        for writer in self._writers:
            writer.rewind(self._trainer.counters.cycles)

    def _note(self, values: Mapping[str, float]) -> None:
        self._tell("scalars", self._timestamp(), values)
        self._look_at(values)

    def _timestamp(self) -> Timestamp:
        counters = self._trainer.counters
        return Timestamp(counters.cycles, counters.batches, counters.epoch, self._trainer.seconds)

    def _line(self, text: str) -> None:
        for writer in self._writers:
            writer.line(text)

    def _tell(self, what: str, *given: Any) -> None:
        """Have each writer do it. Raises ``Invalid`` if the run's folder was removed: nothing makes it again."""
        self._check()
        try:
            for writer in self._writers:
                getattr(writer, what)(*given)
        except FileNotFoundError:
            self._check()
            raise

    def _check(self) -> None:
        if self._trainer.folder:
            self._trainer.folder.check()
