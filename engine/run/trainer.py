"""Trainer: cycles -> events -> stop."""

import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.cycle.health import BadUpdate, Fault, Spike
from engine.cycle.step import StepEngine
from engine.data.source import Source
from engine.errors import require
from engine.noise import Noise
from engine.run import environment, preflight, signals
from engine.run.check import Check, check
from engine.run.counters import Counters
from engine.run.evaluate import Evaluation, first_examples
from engine.run.events import Event
from engine.run.folder import RunFolder
from engine.run.goal import Best, Goal
from engine.run.keeper import Facts, Keeper
from engine.run.pace import Pace
from engine.run.signals import Interrupted
from engine.run.state import averages_of, variables_of
from engine.strategy import Loss, LossStrategy, NamedNets

ROLLBACKS = 3  # of one run


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
      on_bad_update: "stop" at the first update that is not finite; "skip" it (and stop after 10 in a row); or
        "rollback": go back to the last checkpoint and on behind the batches read so far, with other draws, at most
        3 times.
      spike: Which finite objectives are bad too; None for none.
      goal: The figure whose best checkpoint is kept, and that may end the training early.
      keep: Newest checkpoints to keep, at least 2.
      deterministic: Whether a repeat must give the same bits.
      events: What happens along the way.
      clock: Seconds, rising; a test's own.
      say: Takes lines for people.

    Raises:
      Invalid: for every fault that preflight finds.
    """

    def __init__(self, strategy: LossStrategy, nets: Mapping[str, Any], updates: Any, data: Source, *,
                 seed: int = 0, run_dir: Path | str | None = None, config: Mapping[str, Any] | None = None,
                 plan: str = "graph", precision: str = "float32", cycles_per_call: int | str = "auto",
                 on_bad_update: str = "stop", spike: Spike | None = None, goal: Goal | None = None, keep: int = 3,
                 deterministic: bool = True, events: Sequence[Event] = (),
                 clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] = _say) -> None:
        environment.deterministic(deterministic)
        whole = isinstance(cycles_per_call, int) and cycles_per_call >= 1
        require(whole or cycles_per_call == "auto", "cycles_per_call", cycles_per_call,
                'an integer of at least 1, or "auto"')
        self.strategy, self.nets, self.data, self.seed = strategy, NamedNets(nets), data, seed
        self.events, self.say = list(events), say
        self.seconds = 0.0  # of training, over all sessions of the run
        self.rejected: dict[str, int] = {}  # updates not applied, per phase
        self.best = Best(goal) if goal else None
        self.stopped = ""  # why the training ended early
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
                                 on_bad_update=on_bad_update, half=precision == "float16", spike=spike)
        self.warnings = preflight.check_outlines(phases, self.nets, self.engine.outlines)
        for warning in self.warnings:
            say(f"warning: {warning}")
        self._rolls_back = on_bad_update == "rollback"
        self._kept: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}
        self._pending: list[Event] = []  # due now, and yet to act
        self._acting: tuple[Event, Any] | None = None  # with what its interval held
        self._save_wanted = False  # by an event that acted
        self._unbegun: tuple[int, Any, Facts] | None = None  # the state of a new run before its first call
        self._training = threading.Lock()  # held while the compiled loop changes the state
        self._keeper = Keeper(self.folder, variables_of(self.nets, self.engine), keep, say)
        self._restored = self._keeper.restore() or {}
        self.continued = bool(self._restored)
        self._put_back(self._restored)

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
        self.open()
        try:
            with signals.Watch(self._overdue).watching() as watch:
                self._train(target, watch)
        finally:
            self._keeper.close()

    def _train(self, target: int, watch: signals.Watch) -> None:
        if self._rolls_back and not self.continued:
            self.save()
        elif self.folder and not self.continued:
            self._unbegun = self.counters.cycles, self._keeper.copied(), self._facts()
        self._start_events(self._restored)
        now = self._clock()
        while self._pending or (self.counters.cycles < target and not self.stopped):
            if not self._pending:
                with self._training:
                    self._call(target)
                    now = self._passed(now)
                    ending = self.counters.cycles >= target
                    self._pending = self._pending or [  # a rollback may have brought some back
                        event for event in self.events if event.due(self.counters.cycles, self.seconds)
                        or (event.at_end and ending)]
            acted = {id(event) for event in self._pending}
            self._fire()
            if self.stopped:  # the others see the end, too
                self._pending = [event for event in self.events if event.at_end and id(event) not in acted]
                self._fire()
            if watch.caught:
                break
        self._keeper.wait()  # a signal now would lose the last checkpoint
        if watch.caught:
            self.save()
            raise Interrupted(watch.caught, self._kept_safe())

    def open(self) -> None:
        """Make the run's folder and lock it; ``train`` does, and gives it free at its end.

        Raises:
          Invalid: if another process trains in it.
        """
        self._keeper.open()

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

    def save(self, wait: bool = True) -> Path | None:
        """Save a checkpoint; None without a run folder.

        In an event it is saved when all events that are due have acted, and none acts twice in a continued run; a
        writer puts it on the disk while training goes on.

        Args:
          wait: Until it is on the disk, out of an event.

        Raises:
          OSError: if the disk refuses; out of ``wait`` before the next event, or at the end.
        """
        if self._acting is not None:
            self._save_wanted = True
            return None if self.folder is None else self.folder.checkpoints / str(self.counters.cycles)
        return self._keeper.save(self.counters.cycles, self._facts(), self._worth_keeping(), wait)

    def keep(self, name: str, get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        """Make a JSON value part of the run's state.

        ``put`` is called now if the run is continued from a checkpoint that holds it, and after each rollback.
        """
        self._kept[name] = get, put
        if name in self._restored.get("kept", {}):
            put(self._restored["kept"][name])

    def note(self, figures: Mapping[str, float]) -> None:
        """Hand in figures by their column in metrics.csv: the goal is judged by them."""
        if self.best is None or self.best.goal.metric not in figures:
            return
        if self.best.note(figures, self.counters, self.seconds):
            self.save()
        else:
            self.stopped = self.best.exhausted(self.counters, self.seconds)

    def summary(self) -> dict[str, Any]:
        """Counters, speed, plan, determinism and versions of the run, as JSON values."""
        counters, doubts = self.counters, environment.doubts(self.data)
        return {"cycles": counters.cycles, "epochs": counters.epoch, "batches": counters.batches,
                "updates": dict(counters.updates), "rejected": self.rejected, "seconds": self.seconds,
                "cycles_per_second": self._pace.cycles_per_second, "first_call_seconds": self._pace.first_call,
                "rollbacks": self.engine.salt, "best": self.best.facts if self.best else {}, "stopped": self.stopped,
                "deterministic": not doubts, "not_deterministic_because": doubts, "plan": self._plan,
                "peak_memory_bytes": environment.peak_memory(), "versions": environment.versions()}

    def check(self, *, cycles: int | None = None, epochs: float | None = None) -> Check:
        """What the run would do and cost, and what is wrong with it: every phase is tried, and nothing changed.

        ``cycles`` or ``epochs`` is the length that the time is estimated for; an epoch if neither is given.
        """
        target = self.cycles_of(cycles=cycles, epochs=epochs if cycles or epochs else 1.0)
        return check(self.engine, self.nets, self.warnings, target)

    def _facts(self, again: bool = False) -> Facts:
        """All of the state that is no tensor; with ``again`` as it was before the event that acts now."""
        counters, engine = self.counters, self.engine
        pending = {id(event): event.interval.saved() for event in self._pending}
        if again and self._acting:
            pending[id(self._acting[0])] = self._acting[1]
        events = [{"totals": pending.get(id(event), event.interval.saved()), "pending": id(event) in pending}
                  for event in self.events]
        return {"position": engine.position, "streak": engine.streak, "skipped": engine.skipped, "salt": engine.salt,
                "seconds": self.seconds, "rejected": self.rejected, "events": events, "updates": counters.updates,
                "batches": counters.batches, "best": self.best.facts if self.best else {},
                "kept": {name: get() for name, (get, _) in self._kept.items()}, "versions": environment.versions()}

    def _put_back(self, facts: Facts) -> None:
        if not facts:
            return
        engine = self.engine
        engine.position, engine.streak = facts["position"], facts["streak"]
        engine.skipped, engine.salt = facts["skipped"], facts["salt"]
        self.seconds, self.rejected = facts["seconds"], facts["rejected"]
        if self.best:
            self.best.facts = facts["best"]
            self.stopped = self.best.exhausted(self.counters, self.seconds)

    def _worth_keeping(self) -> set[int]:
        return {self.best.facts["cycle"]} if self.best and self.best.facts else set()

    def _start_events(self, facts: Facts) -> None:
        """Set each event's next time; those of a continued run go on where they were."""
        for event in self.events:
            event.start(self.counters.cycles, self.cycles_per_epoch, self.seconds)
        for event, saved in zip(self.events, facts.get("events", []), strict=False):
            event.interval.restore(saved["totals"])
            if saved["pending"]:
                self._pending.append(event)
        self._restored = {}

    def _passed(self, before: float) -> float:
        """Count the seconds since ``before``, none if the clock went backwards; the clock now."""
        now = self._clock()
        self.seconds += max(0.0, now - before)
        return now

    def _overdue(self, signum: int) -> None:
        """A signal was not served in time: leave from here if the state is consistent, else let the main thread."""
        if not self._training.acquire(blocking=False):
            if self._pace.first_call:
                return  # within one call
            save = self._save_beginning  # it compiles, for as long as that takes
        else:
            save = self._save_before_event
        try:
            save()
        except Exception as error:  # the main thread may be blocked for good: leave all the same
            signals.leave(signum, f"no checkpoint could be saved ({error}), the last one stands")
        signals.leave(signum, self._kept_safe())

    def _save_beginning(self) -> None:
        if self._unbegun:  # of a continued run the checkpoint is there
            self._keeper.write(*self._unbegun, set())

    def _save_before_event(self) -> None:
        self._keeper.save(self.counters.cycles, self._facts(again=True), self._worth_keeping())

    def _kept_safe(self) -> str:
        return "a checkpoint was saved" if self.folder else "the run has no folder, nothing was saved"

    def _evaluation(self, function: Loss, source: Source) -> Evaluation:
        place = id(source), function
        if place not in self._evaluations:
            self._evaluations[place] = Evaluation(function, self.nets, source, seed=self.seed, plan=self._plan,
                                                  averages=averages_of(self.engine))
        return self._evaluations[place]

    def _fire(self) -> None:
        """Let the pending events act, one after the other, and save what they want saved."""
        self._keeper.check()
        try:
            while self._pending:
                event = self._pending[0]
                self._acting = event, event.interval.saved()
                means, self._pending = event.interval.means(), self._pending[1:]
                event.interval.clear()
                event.start(self.counters.cycles, self.cycles_per_epoch, self.seconds)
                event.what(self, means)
        finally:
            self._acting = None
        if self._save_wanted:
            self._save_wanted = False
            self.save(wait=False)

    def _call(self, target: int) -> None:
        now = self.counters.cycles
        wanted = self._pace.cycles if self._cycles_per_call == "auto" else int(self._cycles_per_call)
        until = min([target, now + wanted, *(event.due_cycle for event in self.events)])
        cycles = max(1, int(until) - now)
        began = self._clock()
        report = self.engine.run(cycles)
        self._pace.ran(cycles, self._clock() - began)
        self._unbegun = None
        for event in self.events:
            event.interval.add(report)
        for phase, count in report.rejected.items():
            self.rejected[phase] = self.rejected.get(phase, 0) + count
        if report.fault and report.stopped:
            self._give_up_or_roll_back(report.fault)
        elif report.fault:
            self.say(f"skipped {sum(report.rejected.values())} update(s), the last at {report.fault}")

    def _give_up_or_roll_back(self, fault: Fault) -> None:
        facts = self._keeper.restore() if self._rolls_back and self.engine.salt < ROLLBACKS else None
        if facts is None:
            self.save()
            raise BadUpdate(fault, self.engine.streak)
        self.engine.detour(facts["position"])
        if self.best:
            self.best.facts = facts["best"]
        self._start_events(facts)
        for name, (_, put) in self._kept.items():
            put(facts["kept"].get(name))
        self.save()
        self.say(f"rolled back to cycle {self.counters.cycles}, and on from batch {self.counters.batches} with other "
                 f"draws (rollback {self.engine.salt} of at most {ROLLBACKS}), because of {fault}")
