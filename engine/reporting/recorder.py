"""The recorder: what happens along the way of a run, handed to its writers; the report; and the last look."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from engine.cycle.health import BadUpdate
from engine.data.source import Source
from engine.errors import require
from engine.reporting import pictures
from engine.reporting.doubtful import Ranges, tell_divergence
from engine.reporting.fan_out import FanOut
from engine.reporting.fan_out import usual_writers as usual_writers  # users import it from here
from engine.reporting.profile import Profile
from engine.reporting.progress import describe
from engine.reporting.recording import Recording
from engine.reporting.writer import History, Start, Timestamp, Writer
from engine.run import environment
from engine.run.events import Event, Every

if TYPE_CHECKING:
    from engine.trainer import Trainer

SHOWN = 32  # examples in a grid of pictures


class Recorder:
    """Rows, evaluation, pictures and checkpoints of one run, into its writers.

    Args:
      trainer: Trainer whose run it is.
      held_out: Source to evaluate on; None evaluates nothing, and the pictures are of the training data.
      recording: What is recorded, and when.
      writers: Writers that are told; None for the usual ones.

    Attributes:
      metrics: The newest evaluation.
    """

    def __init__(self, trainer: "Trainer", held_out: Source | None, recording: Recording | None = None,
                 writers: Sequence[Writer] | None = None) -> None:
        self._trainer, self._held_out, self._recording = trainer, held_out, recording or Recording()
        self._writers = FanOut(writers, trainer.folder)
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
        self._ranges = Ranges(trainer.strategy.ranges)
        self.metrics: dict[str, float] = {}

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
        if self._profile:
            self._profile.open()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._writers.closing(lambda: finished))
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
        self._writers.open(start)
        if self._writers.takes_lines:
            trainer.say = self._writers.line
        trainer.register("recorded", lambda: True, lambda _: self._writers.rewind(trainer.counters.cycles))
        for name, (get, put) in self._writers.kept():
            trainer.register(name, get, put)
        if trainer.continued and folder:
            trainer.say(f"already at cycle {at} of {target}: nothing to do" if at >= target else
                        f"continues {folder.path} at cycle {at} of {target}")

    def history(self) -> History:
        """What the rows say so far."""
        return self._writers.history(self.metrics)

    def _end(self, finished: bool, stopped: str) -> None:
        """The open row, and summary.json of a run that is finished or that a fault has ``stopped``."""
        folder = self._trainer.folder
        if folder and not finished and not (folder.path / "config.json").exists():
            return  # it is gone
        self._writers.tell("flush")
        told = finished and self._last_look()
        if folder and (finished or stopped) and not told:
            folder.write("summary.json", self._summary() | ({"stopped": stopped} if stopped else {}))
        tell_divergence(self.history(), self._trainer.say)
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
        return {"metrics": self.metrics, **self._trainer.summary(), "better": dict(self._trainer.strategy.better),
                "impossible": list(self._ranges.impossible.values())}

    def _progress(self, trainer: "Trainer", means: Mapping[str, float]) -> None:
        self._writers.progress(self._timestamp(), means)

    def _log(self, trainer: "Trainer", means: Mapping[str, float]) -> str | None:
        self._note({**means, **trainer.learning_rates})
        if not self._writers.on_terminal:
            self._writers.line(describe(trainer.counters.cycles, trainer.counters.epoch, means))
        return "save" if trainer.note(means) else None

    def _evaluate(self, trainer: "Trainer", means: Mapping[str, float]) -> str | None:
        values: dict[str, float] = {}
        if self._held_out is not None:
            self.metrics = trainer.evaluate(self._held_out)
            values = {f"eval/{name}": value for name, value in self.metrics.items()}
            self._note(values)
            self._writers.line(describe(trainer.counters.cycles, trainer.counters.epoch, values))
        images = self._images()
        if images:
            self._writers.tell("images", self._timestamp(), {name: np.asarray(image) for name, image in images.items()})
        if self._recording.histograms:
            self._writers.tell("histograms", self._timestamp(), self._weights_and_gradients())
        self._writers.tell("flush")
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
        self._writers.tell("flush")
        return "save"

    def _note(self, values: Mapping[str, float]) -> None:
        self._writers.tell("scalars", self._timestamp(), values)
        self._ranges.look_at(values, self._trainer.counters.cycles, self._trainer.say)

    def _timestamp(self) -> Timestamp:
        counters = self._trainer.counters
        return Timestamp(counters.cycles, counters.batches, counters.epoch, self._trainer.seconds)
