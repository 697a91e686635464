"""Trainer: cycles -> events -> stop."""

import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.cycle.health import BadUpdate, Fault, Spike
from engine.cycle.optimizers import check_weights
from engine.cycle.state import Place
from engine.cycle.step_engine import StepEngine
from engine.data.source import Source
from engine.errors import require
from engine.run import environment, preflight, signals
from engine.run.agenda import Agenda
from engine.run.changed import Unchanged
from engine.run.check import Check, check
from engine.run.counters import Counters
from engine.run.events import Event
from engine.run.figures import Figures
from engine.run.folder import RunFolder
from engine.run.goal import Best, Goal
from engine.run.keeper import Facts, Keeper
from engine.run.pace import Pace
from engine.run.plateau import Plateau
from engine.run.signals import Interrupted
from engine.run.state import variables_of
from engine.run.trial import Trial
from engine.strategy import Loss, LossStrategy

ROLLBACKS = 3  # of one run


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def place_of(facts: Facts) -> Place:
    """Where a checkpoint was saved."""
    place = facts["place"]
    return Place(place["slot"], tuple(place["updates"].values()), tuple(place["batches"].values()))


def _one(by_source: dict[str, int]) -> Any:
    """The number itself if there is one source."""
    return by_source if len(by_source) > 1 else next(iter(by_source.values()))


class Trainer:
    """Trains ``nets`` as ``strategy`` says, on ``data``.

    Constructing it creates every variable and optimizer slot and runs the preflight; a run folder that
    holds checkpoints is continued from the newest good one.

    Args:
      strategy: What to minimise.
      nets: {name: keras.Model, or average_of another}.
      updates: {phase: Update or Keras optimizer}; for a single phase the optimizer alone will do.
      data: Source of the training batches, or {name: source}: the first one's epochs are the run's.
      seed: Of all random draws and of nothing else: nets are initialised, and data ordered, by their own seeds.
      run_dir: Where checkpoints and reports go; None for nowhere.
      config: What else makes two runs the same run, as JSON values; kept in config.json.
      plan: How the cycle is compiled: "eager", "graph", "halves", "xla", one of the last three for each phase as
        "critic=graph generator=xla", or "auto": the fastest in a trial before the first update.
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
      controllers: What is moved by the figures that ``note`` is handed.
      clock: Seconds, rising; a test's own.
      say: Takes lines for people.

    Raises:
      Invalid: for every fault that preflight finds.
    """

    def __init__(self, strategy: LossStrategy, nets: Mapping[str, Any], updates: Any,
                 data: Source | Mapping[str, Source], *, seed: int = 0, run_dir: Path | str | None = None,
                 config: Mapping[str, Any] | None = None, plan: str = "auto", precision: str = "float32",
                 cycles_per_call: int | str = "auto", on_bad_update: str = "stop", spike: Spike | None = None,
                 goal: Goal | None = None, keep: int = 3, deterministic: bool = True, events: Sequence[Event] = (),
                 controllers: Sequence[Plateau] = (),
                 clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] = _say) -> None:
        environment.deterministic(deterministic)
        whole = isinstance(cycles_per_call, int) and cycles_per_call >= 1
        require(whole or cycles_per_call == "auto", "cycles_per_call", cycles_per_call,
                'an integer of at least 1, or "auto"')
        sources = preflight.named_sources(data)
        self.strategy, self.nets, self.seed = strategy, preflight.named_nets(nets), seed
        self.data = next(iter(sources.values()))
        self.say = say
        self._agenda = Agenda(events, lambda: (self.counters.cycles, self.cycles_per_epoch, self.seconds))
        self.seconds = 0.0  # of training, over all sessions of the run
        self._seconds_before = 0.0  # of those, in earlier processes
        self._started = 0.0  # seconds from the process's start to the training
        self.rejected: dict[str, int] = {}  # updates not applied, per phase
        self.best = Best(goal) if goal else None
        self.stopped = ""  # why the training ended early
        self._plan, self._clock, self._cycles_per_call = plan, clock, cycles_per_call
        self._pace = Pace()
        self._trial: dict[str, Any] = {}  # what was found, if a plan was chosen

        require(run_dir is not None or on_bad_update != "rollback", "on_bad_update", on_bad_update,
                "with a run_dir, where the checkpoints to go back to are")
        phases = preflight.check_phases(strategy, self.nets)
        chosen = preflight.check_updates(updates, phases)
        preflight.check_precision(precision, self.nets)
        state = preflight.check_state(strategy)
        facts = {"seed": seed, "plan": plan, "precision": precision,
                 "batch_size": _one({name: source.batch_size for name, source in sources.items()}),
                 "examples": _one({name: source.size for name, source in sources.items()}),
                 "repeats": {phase.name: phase.repeats for phase in phases},
                 "accumulate": {name: update.accumulate for name, update in chosen.items()}}
        if every := {phase.name: phase.every for phase in phases if phase.every > 1}:
            facts["every"] = every
        if buckets := {name: [{key: list(spec.shape[1:]) for key, spec in specs.items()} for specs in source.buckets]
                       for name, source in sources.items() if source.buckets}:
            facts["buckets"] = buckets
        self.folder = None if run_dir is None else RunFolder(run_dir, {**(config or {}), **facts})
        self.engine = StepEngine(phases, self.nets, chosen, sources, state=state, seed=seed,
                                 plan="graph" if plan == "auto" else plan, on_bad_update=on_bad_update,
                                 half=precision == "float16", spike=spike)
        preflight.check_shown(strategy, self.engine)
        self._unchanged = Unchanged(strategy, self.engine)
        self._figures = Figures(strategy, self.nets, self.engine, seed)
        self.warnings = preflight.check_traces(self.engine)
        for warning in self.warnings:
            say(f"warning: {warning}")
        self._rolls_back = on_bad_update == "rollback"
        self._kept: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}
        self._save_wanted = False  # by an event that acted
        self._unbegun: tuple[int, Any, Facts] | None = None  # the state of a new run before its first call
        self._training = threading.Lock()  # held while the compiled loop changes the state
        self._keeper = Keeper(self.folder, variables_of(self.engine), keep, say)
        self._restored = self._keeper.restore() or {}
        self.continued = bool(self._restored)
        self._put_back(self._restored)
        self._controllers = list(controllers)
        for controller in self._controllers:
            controller.attach(self)

    @property
    def events(self) -> list[Event]:
        """What happens along the way; may be set until the training begins."""
        return self._agenda.events

    @events.setter
    def events(self, events: Sequence[Event]) -> None:
        self._agenda.events = list(events)

    @property
    def counters(self) -> Counters:
        """Cycles, updates per phase, batches and epoch, now."""
        return Counters.of(self.engine)

    @property
    def cycles_per_epoch(self) -> float:
        """Cycles in one epoch of the training data."""
        return self.data.batches_per_epoch / self.engine.schedule.batches_per_cycle

    @property
    def term_names(self) -> dict[str, list[str]]:
        """{phase: names of its terms}, as the logs show them."""
        return {name: step.names for name, step in self.engine.steps.items()}

    def metric_names(self, source: Source) -> list[str]:
        """What ``evaluate(source)`` gives."""
        return self._figures.of(self.strategy.metrics, source).names

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
          Invalid: for a strategy, net or optimizer that was changed since the trainer was made.
      BadUpdate: stopped by the health watch. The state is that of the last good update.
          Interrupted: by SIGINT or SIGTERM. In both cases a checkpoint was saved.
        """
        target = self.cycles_of(cycles=cycles, epochs=epochs)
        self._unchanged.check()
        check_weights(self.nets)
        if not self.engine.place.slot:
            self.engine.restart_averages()  # weights may have been set since the trainer was made
        self._started = self._started or environment.age()
        self.open()
        try:
            with signals.Watch(self._overdue).watching() as watch:
                self._train(target, watch)
        finally:
            self._keeper.close()

    def _train(self, target: int, watch: signals.Watch) -> None:
        if self._rolls_back and not self.continued:
            self.save()
        elif self.folder and not self.continued and not self._pace.first_call:
            self._unbegun = self.counters.cycles, self._keeper.copied(), self._facts()
        if self._plan == "auto" and not self.engine.place.slot and not self._trial:
            with self._training:
                self._choose_plan(target)
        self._agenda.start(self._restored.get("events", []))
        self._restored = {}
        now = self._clock()
        while self._agenda.is_pending or (self.counters.cycles < target and not self.stopped):
            if not self._agenda.is_pending:
                with self._training:
                    self._call(target)
                    now = self._passed(now)
                    self._agenda.collect(ending=self.counters.cycles >= target)
            acted = self._fire()
            if self.stopped:  # the others see the end, too
                self._agenda.end(acted)
                self._fire()
            if watch.caught:
                break
        self._keeper.wait()  # a signal now would lose the last checkpoint
        if watch.caught:
            self.save()
            raise Interrupted(watch.caught, self._kept_safe())

    def _choose_plan(self, target: int) -> None:
        began = self._clock()
        choice = Trial(self.engine, target, self._clock).choose()
        self._trial, self._pace.trial = choice.facts, max(0.0, self._clock() - began)
        self._figures.forget()  # they follow the plan
        if choice.speeds:
            self.say(str(choice))

    def open(self) -> None:
        """Make the run's folder and lock it; ``train`` does, and gives it free at its end.

        Raises:
          Invalid: if another process trains in it.
        """
        self._keeper.open()

    def evaluate(self, source: Source) -> dict[str, float]:
        """The strategy's metrics on ``source``, averaged over exactly its examples, with averaged weights."""
        return self._figures.of(self.strategy.metrics, source).means()

    def examples(self, function: Loss, source: Source) -> dict[str, np.ndarray]:
        """``function(nets, batch, noise) -> {name: [B, ...]}`` for every example of ``source``, in order."""
        return self._figures.of(function, source).examples()

    def pictures(self, count: int, source: Source | None = None) -> dict[str, np.ndarray]:
        """The strategy's pictures {name: [n, h, w, c] in [0, 1]} of the first ``count`` examples of ``source``.

        The draws are the same each time, so pictures of different moments show the same latents.
        """
        return self._figures.pictures(source or self.data, count)

    def save(self, wait: bool = True) -> Path | None:
        """Save a checkpoint; None without a run folder.

        In an event it is saved when all events that are due have acted, and none acts twice in a continued run; a
        writer puts it on the disk while training goes on.

        Args:
          wait: Until it is on the disk, out of an event.

        Raises:
          OSError: if the disk refuses; out of ``wait`` before the next event, or at the end.
        """
        if self._agenda.is_acting:
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
        """Hand in figures by their column in metrics.csv: the goal is judged, and controllers are moved by them."""
        for controller in self._controllers:
            controller.note(self, figures)
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
                "cycles_per_second": self._pace.cycles_per_second,
                "process_seconds": {"start": self._started, **self._pace.parts(self.seconds - self._seconds_before)},
                "rollbacks": self.engine.rollbacks, "best": self.best.facts if self.best else {},
                "stopped": self.stopped,
                "deterministic": not doubts, "not_deterministic_because": doubts, "plan": self.engine.plan.name,
                "trial": self._trial, "peak_memory_bytes": environment.peak_memory(),
                "versions": environment.versions()}

    def check(self, *, cycles: int | None = None, epochs: float | None = None) -> Check:
        """What the run would do and cost, and what is wrong with it: every phase is tried, and nothing changed.

        ``cycles`` or ``epochs`` is the length that the time is estimated for; an epoch if neither is given.
        """
        target = self.cycles_of(cycles=cycles, epochs=epochs if cycles or epochs else 1.0)
        return check(self.engine, self.nets, self.warnings, target)

    def measure(self, *, cycles: int | None = None, epochs: float | None = None) -> float:
        """Cycles per second of such a run by its plan. The state is then that of a few updates, of no further use."""
        target = self.cycles_of(cycles=cycles, epochs=epochs)
        choice = Trial(self.engine, target, self._clock).choose() if self._plan == "auto" else None
        if choice and choice.speeds:
            return choice.speeds[choice.plan]
        return Trial(self.engine, target, self._clock).speed()

    def _facts(self, again: bool = False) -> Facts:
        """All of the state that is no tensor; with ``again`` as it was before the event that acts now."""
        counters, engine = self.counters, self.engine
        return {"place": {"slot": engine.place.slot, "updates": engine.updates, "batches": engine.batches},
                "streak": engine.streak, "rollbacks": engine.rollbacks, "seconds": self.seconds,
                "rejected": self.rejected, "events": self._agenda.saved(again),
                "updates": dict(counters.updates), "batches": counters.batches, "plan": engine.plan.name,
                "trial": self._trial, "best": self.best.facts if self.best else {},
                "kept": {name: get() for name, (get, _) in self._kept.items()}, "versions": environment.versions()}

    def _put_back(self, facts: Facts) -> None:
        if not facts:
            return
        engine = self.engine
        engine.place, engine.streak, engine.rollbacks = place_of(facts), facts["streak"], facts["rollbacks"]
        self.seconds, self.rejected = facts["seconds"], facts["rejected"]
        self._seconds_before = self.seconds
        self._trial = facts["trial"]
        if facts["plan"] != engine.plan.name:
            engine.program = engine.compiled(facts["plan"])
        if self.best:
            self.best.facts = facts["best"]
            self.stopped = self.best.exhausted(self.counters, self.seconds)

    def _worth_keeping(self) -> set[int]:
        return {self.best.facts["cycle"]} if self.best and self.best.facts else set()

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

    def _fire(self) -> set[int]:
        """Let the pending events act, and save what they want saved. Returns the ids of those that acted."""
        self._keeper.check()
        acted = self._agenda.act(lambda event, means: event.what(self, dict(means)))
        if self._save_wanted:
            self._save_wanted = False
            self.save(wait=False)
        return acted

    def _call(self, target: int) -> None:
        now = self.counters.cycles
        wanted = self._pace.cycles if self._cycles_per_call == "auto" else int(self._cycles_per_call)
        until = min(target, now + wanted, self._agenda.next_cycle())
        cycles = max(1, int(until) - now)
        began = self._clock()
        report = self.engine.run(cycles)
        self._pace.ran(cycles, self._clock() - began, report.waited)
        self._unbegun = None
        self._agenda.count(report)
        for phase, count in report.rejected.items():
            self.rejected[phase] = self.rejected.get(phase, 0) + count
        if report.fault and report.stopped:
            self._give_up_or_roll_back(report.fault)
        elif report.fault:
            self.say(f"skipped {sum(report.rejected.values())} update(s), the last at {report.fault}")

    def _give_up_or_roll_back(self, fault: Fault) -> None:
        facts = self._keeper.restore() if self._rolls_back and self.engine.rollbacks < ROLLBACKS else None
        if facts is None:
            self.save()
            raise BadUpdate(fault, self.engine.streak)
        self.engine.detour(place_of(facts))
        if self.best:
            self.best.facts = facts["best"]
        self._agenda.start(facts["events"])
        for name, (_, put) in self._kept.items():
            put(facts["kept"].get(name))
        self.save()
        self.say(f"rolled back to cycle {self.counters.cycles}, and on from batch {self.counters.batches} with other "
                 f"draws (rollback {self.engine.rollbacks} of at most {ROLLBACKS}), because of {fault}")
