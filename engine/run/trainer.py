"""Trainer: cycles -> events -> stop."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.cycle.health import BadUpdate
from engine.cycle.step import StepEngine
from engine.data.source import Source
from engine.errors import require
from engine.noise import Noise
from engine.run import checkpoint, environment, preflight, signals
from engine.run.counters import Counters
from engine.run.evaluate import Evaluation, first_examples
from engine.run.events import Event
from engine.run.folder import RunFolder
from engine.run.pace import Pace
from engine.run.signals import Interrupted
from engine.run.state import averages_of, variables_of
from engine.strategy import Loss, LossStrategy, NamedNets


def _say(text: str) -> None:
    print(text, file=sys.stderr)


class Trainer:
    """Trains ``nets`` as ``strategy`` says, on ``data``.

    Constructing it creates every variable and optimizer slot and runs the preflight; a run folder that
    holds checkpoints is continued from the newest good one.

    Args:
      strategy: What to minimise.
      nets: {name: keras.Model}.
      updates: {phase: Update or Keras optimizer}; for a single phase the optimizer alone will do.
      data: Of the training batches.
      seed: Of all random draws and of nothing else: nets are initialised, and data ordered, by their own seeds.
      run_dir: Where checkpoints and reports go; None for nowhere.
      config: What else makes two runs the same run, as JSON values; kept in config.json.
      plan: "eager", "graph" or "xla".
      precision: "float32", "bfloat16" or "float16"; the nets must have been made under it (``prepare``).
      cycles_per_call: Cycles in one call of the compiled loop, or "auto": about half a second's worth. It
        does not change the result.
      on_bad_update: "stop" at the first update that is not finite, or "skip" it (and stop after 10 in a row).
      events: What happens along the way.
      clock: Seconds, rising; a test's own.
      say: Takes lines for people.

    Raises:
      Invalid: for every fault that preflight finds.
    """

    def __init__(self, strategy: LossStrategy, nets: Mapping[str, Any], updates: Any, data: Source, *,
                 seed: int = 0, run_dir: Path | str | None = None, config: Mapping[str, Any] | None = None,
                 plan: str = "graph", precision: str = "float32", cycles_per_call: int | str = "auto",
                 on_bad_update: str = "stop", events: Sequence[Event] = (),
                 clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] = _say) -> None:
        environment.deterministic()
        whole = isinstance(cycles_per_call, int) and cycles_per_call >= 1
        require(whole or cycles_per_call == "auto", "cycles_per_call", cycles_per_call,
                'an integer of at least 1, or "auto"')
        self.strategy, self.nets, self.data, self.seed = strategy, NamedNets(nets), data, seed
        self.events, self.say = list(events), say
        self.seconds = 0.0  # of training, over all sessions of the run
        self.rejected: dict[str, int] = {}  # updates not applied, per phase
        self._plan, self._clock, self._cycles_per_call = plan, clock, cycles_per_call
        self._pace = Pace()
        self._evaluations: dict[tuple[int, Any], Evaluation] = {}

        phases = preflight.check_phases(strategy, self.nets)
        chosen = preflight.check_updates(updates, phases)
        preflight.check_precision(precision, self.nets)
        facts = {"seed": seed, "plan": plan, "precision": precision, "batch_size": data.batch_size,
                 "examples": data.size, "accumulate": {name: update.accumulate for name, update in chosen.items()}}
        self.folder = None if run_dir is None else RunFolder(run_dir, {**(config or {}), **facts})
        preflight.build(strategy, phases, self.nets, data)
        self.engine = StepEngine(phases, self.nets, chosen, data, seed=seed, plan=plan,
                                 on_bad_update=on_bad_update, half=precision == "float16")
        self.warnings = preflight.check_outlines(phases, self.nets, self.engine.outlines)
        for warning in self.warnings:
            say(f"warning: {warning}")
        self._intervals: list[Any] = []  # open intervals of the events of a continued run
        self.continued = self._restore()

    @property
    def counters(self) -> Counters:
        """Cycles, updates per phase, batches and epoch, now."""
        return Counters.of(self.engine)

    @property
    def cycles_per_epoch(self) -> float:
        """Cycles in one epoch of the training data."""
        return self.data.batches_per_epoch / self.engine.order.batches_per_cycle

    @property
    def term_names(self) -> dict[str, list[str]]:
        """{phase: names of its terms}, as the logs show them."""
        return self.engine.term_names

    def metric_names(self, source: Source) -> list[str]:
        """What ``evaluate(source)`` gives."""
        return self._evaluation(self.strategy.metrics, source).names

    def cycles_of(self, *, cycles: int | None = None, epochs: float | None = None) -> int:
        """The number of cycles that ``cycles`` or ``epochs`` means; an epoch ends with a whole cycle."""
        require((cycles is None) != (epochs is None), "train", {"cycles": cycles, "epochs": epochs},
                "given exactly one of cycles and epochs")
        name, value = ("epochs", epochs) if cycles is None else ("cycles", float(cycles))
        assert value is not None
        require(math.isfinite(value) and value > 0, name, value, "above 0")
        return math.ceil(value * (self.cycles_per_epoch if cycles is None else 1) - 1e-6)

    def train(self, *, cycles: int | None = None, epochs: float | None = None) -> None:
        """Train up to ``cycles`` cycles or ``epochs`` epochs, counted from the start of the run.

        Raises:
          BadUpdate: stopped by the health watch. The state is that of the last good update.
          Interrupted: by SIGINT or SIGTERM. In both cases a checkpoint was saved.
        """
        target = self.cycles_of(cycles=cycles, epochs=epochs)
        for event in self.events:
            event.start(self.counters.cycles, self.cycles_per_epoch, self.seconds)
        for event, totals in zip(self.events, self._intervals, strict=False):
            event.interval.totals = {name: (total, count) for name, (total, count) in totals.items()}
        self._intervals = []
        began, before = self._clock(), self.seconds
        with signals.collected() as caught:
            while self.counters.cycles < target:
                self._call(target)
                self.seconds = before + self._clock() - began
                self._fire(last=self.counters.cycles >= target)
                if caught:
                    self.save()
                    raise Interrupted(caught[0])

    def evaluate(self, source: Source) -> dict[str, float]:
        """The strategy's metrics on ``source``, averaged over exactly its examples, with averaged weights."""
        return self._evaluation(self.strategy.metrics, source).means()

    def examples(self, function: Loss, source: Source) -> dict[str, np.ndarray]:
        """``function(nets, batch, noise) -> {name: [B, ...]}`` for every example of ``source``, in order."""
        return self._evaluation(function, source).examples()

    def pictures(self, count: int, source: Source | None = None) -> dict[str, np.ndarray]:
        """The strategy's pictures {name: [n, h, w, c] in [0, 1]} of the first ``count`` examples of ``source``.

        The draws are the same each time, so pictures of different moments show the same latents.
        """
        source = source or self.data
        raw = first_examples(source, count)
        found = len(next(iter(raw.values())))
        with keras.StatelessScope([(v, tf.convert_to_tensor(average)) for v, average in averages_of(self.engine)]):
            batch = source.transform(raw, Noise(self.seed, "pictures data", 0, found))
            pictures = self.strategy.pictures(self.nets, batch, Noise(self.seed, "pictures", 0, found))
            return {name: tf.cast(images, tf.float32).numpy() for name, images in pictures.items()}

    def save(self) -> Path | None:
        """Save a checkpoint; None without a run folder. Raises OSError if the disk refuses."""
        if self.folder is None:
            return None
        self.folder.create()
        counters, intervals = self.counters, [event.interval.totals for event in self.events]
        facts = {"position": self.engine.position, "streak": self.engine.streak, "seconds": self.seconds,
                 "rejected": self.rejected, "intervals": intervals, "updates": counters.updates,
                 "batches": counters.batches, "config": self.folder.config, "versions": environment.versions()}
        state = variables_of(self.nets, self.engine)
        return checkpoint.save(self.folder.checkpoints, counters.cycles, state, facts)

    def summary(self) -> dict[str, Any]:
        """Counters, speed, plan and versions of the run, as JSON values."""
        counters = self.counters
        return {"cycles": counters.cycles, "epochs": counters.epoch, "batches": counters.batches,
                "updates": dict(counters.updates), "rejected": self.rejected, "seconds": self.seconds,
                "cycles_per_second": self._pace.cycles_per_second, "first_call_seconds": self._pace.first_call,
                "plan": self._plan, "peak_memory_bytes": environment.peak_memory(),
                "versions": environment.versions()}

    def describe(self) -> list[str]:
        """What the run would do, in lines to read."""
        return preflight.describe(self.engine, self.nets)

    def _restore(self) -> bool:
        found = self.folder and checkpoint.newest(self.folder.checkpoints, self.say)
        if not found:
            return False
        facts = checkpoint.load(found, variables_of(self.nets, self.engine))
        self.engine.position, self.engine.streak = facts["position"], facts["streak"]
        self.seconds, self.rejected = facts["seconds"], facts["rejected"]
        self._intervals = facts["intervals"]
        return True

    def _evaluation(self, function: Loss, source: Source) -> Evaluation:
        place = id(source), function
        if place not in self._evaluations:
            self._evaluations[place] = Evaluation(function, self.nets, source, seed=self.seed, plan=self._plan,
                                                  averages=averages_of(self.engine))
        return self._evaluations[place]

    def _fire(self, last: bool) -> None:
        due = [event for event in self.events
               if event.due(self.counters.cycles, self.seconds) or (last and event.at_end)]
        means = [event.interval.means() for event in due]
        for event in due:  # all intervals end before the first event acts: it may save them
            event.interval.clear()
            event.start(self.counters.cycles, self.cycles_per_epoch, self.seconds)
        for event, mean in zip(due, means, strict=True):
            event.what(self, mean)

    def _call(self, target: int) -> None:
        now = self.counters.cycles
        wanted = self._pace.cycles if self._cycles_per_call == "auto" else int(self._cycles_per_call)
        until = min([target, now + wanted, *(event.due_cycle for event in self.events)])
        cycles = max(1, int(until) - now)
        began = self._clock()
        report = self.engine.run(cycles)
        self._pace.ran(cycles, self._clock() - began)
        for event in self.events:
            event.interval.add(report)
        for phase, count in report.rejected.items():
            self.rejected[phase] = self.rejected.get(phase, 0) + count
        if report.fault and report.stopped:
            self.save()
            raise BadUpdate(report.fault, self.engine.streak)
        if report.fault:
            self.say(f"skipped {sum(report.rejected.values())} update(s), the last at {report.fault}")
