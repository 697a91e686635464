"""A profile of some cycles of a training: a file for TensorBoard, one for Perfetto, and a table for people."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from engine.errors import Invalid, require
from engine.reporting import operations, xspace
from engine.reporting.chrome_trace import chrome_trace
from engine.reporting.files import write_whole
from engine.run.events import Event

if TYPE_CHECKING:
    from engine.trainer import Trainer

WARM_UP = 10  # cycles: compiling, the first touch of memory and the choices of libraries are done then
FOLDER = "profile"  # of a run's folder


class At:
    """When an event is due that happens once: at a cycle that is set later."""

    unit = "cycles"
    cycle = math.inf

    def next_cycle(self, cycles: int, cycles_per_epoch: float) -> float:
        """As of ``Every``."""
        return self.cycle if cycles < self.cycle else math.inf


class Profile:
    """Traces ``cycles`` cycles of a training, some time after its begin.

    It looks on: the run's bits are those of a run without it. The first event must act before all others, the last one
    after them, so that what happens along the way is not in the trace at its ends.
    """

    def __init__(self, trainer: "Trainer", cycles: int) -> None:
        require(trainer.folder is not None, "profile", cycles, "left out without a run_dir, where it is written")
        self._trainer, self._cycles = trainer, cycles
        self._from, self._to = At(), At()
        self._begun, self._done = -1, False
        self.first = Event(self._to, self._stop, at_end=True, remembered=False)  # type: ignore[arg-type]
        self.last = Event(self._from, self._start, at_end=False, remembered=False)  # type: ignore[arg-type]

    def check(self, target: int) -> None:
        """Raise ``Invalid`` if a training to cycle ``target`` is too short, or not compiled."""
        if self._done:
            return
        left, plan = max(0, target - self._trainer.counters.cycles), self._trainer.engine.plan.name
        require(plan != "eager", "profile", self._cycles, "left out under the plan eager, which tells no phases")
        most = f"at most {left - WARM_UP}" if left > WARM_UP else "left out"
        require(self._cycles <= left - WARM_UP, "profile", self._cycles,
                f"{most}: {left} cycles are left to train, and the first {WARM_UP} warm up")

    def open(self) -> None:
        """Note when it begins and ends."""
        if self._done:
            return
        at = self._trainer.counters.cycles
        self._from.cycle, self._to.cycle = at + WARM_UP, at + WARM_UP + self._cycles

    def close(self) -> None:
        """Forget what was begun and did not come to its end."""
        if self._begun >= 0 and not self._done:
            tf.profiler.experimental.stop(save=False)
        self._begun = -1

    @property
    def _folder(self) -> Path:
        assert self._trainer.folder is not None
        return self._trainer.folder.path / FOLDER

    def _start(self, trainer: "Trainer", means: Any) -> None:
        if self._begun >= 0 or self._done:
            return
        self._folder.mkdir(exist_ok=True)
        try:
            tf.profiler.experimental.start(str(self._folder), tf.profiler.experimental.ProfilerOptions(
                host_tracer_level=2, python_tracer_level=0, device_tracer_level=1))
        except tf.errors.AlreadyExistsError:
            raise Invalid(f"`profile` ({self._cycles}) must be the only one: a profile of this process is under way"
                          ) from None
        self._begun = trainer.counters.cycles

    def _stop(self, trainer: "Trainer", means: Any) -> None:
        if self._begun < 0 or self._done:
            return
        self._done, cycles = True, trainer.counters.cycles - self._begun
        tf.profiler.experimental.stop()
        newest = max(self._folder.glob("plugins/profile/*/*.xplane.pb"), key=lambda path: path.stat().st_mtime_ns)
        ran = list(xspace.operations(xspace.read(newest.read_bytes())))
        places = operations.Places(trainer.term_names, trainer.layer_names)
        write_whole(self._folder / "trace.json.gz", chrome_trace(ran, places), parents=False)
        table = operations.aligned(operations.table(operations.times(ran, places), cycles))
        write_whole(self._folder / "operations.txt", f"{table}\n".encode(), parents=False)
        trainer.say(f"{table}\nprofile of {cycles} cycles: {self._folder / 'trace.json.gz'} opens at ui.perfetto.dev, "
                    f"{self._folder} in TensorBoard with its plugin (pip install xprof)")
