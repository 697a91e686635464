"""Trainer: a strategy, nets, updates and data made into a run that trains, records and continues."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.cycle.health import Spike
from engine.cycle.optimizers import check_weights
from engine.cycle.step_engine import StepEngine
from engine.data.handed import source_of
from engine.errors import require
from engine.reporting.recorder import Recorder
from engine.reporting.recording import Recording, times_of
from engine.reporting.rich import named
from engine.reporting.writer import History, Writer
from engine.run import environment, exit_codes, preflight
from engine.run.agenda import Agenda
from engine.run.changed import Unchanged
from engine.run.check_separable import check_separable
from engine.run.checkpoint_manager import CheckpointManager
from engine.run.evaluator import Evaluator
from engine.run.events import Event
from engine.run.facts import RunFacts
from engine.run.folder import RunFolder
from engine.run.goal import Goal
from engine.run.gradients import Gradients
from engine.run.identity import identity_of
from engine.run.measures import Measures
from engine.run.parts import parts_of
from engine.run.plateau import Plateau
from engine.run.session import Session
from engine.run.signals import deferred
from engine.run.state import variables_of
from engine.run.summary import summary
from engine.run.together import require_same_run, require_same_threads
from engine.strategy import LossStrategy
from engine.workers.workers import workers


def to_standard_error(line: str) -> None:
    """Where lines for people go, if nobody else takes them."""
    print(line, file=sys.stderr)


def unheard(line: str) -> None:
    """Where lines of a worker go that is not the chief: the chief says them."""


class Trainer(Measures):
    """Trains ``nets`` as ``strategy`` says, on ``data``.

    Constructing it creates every variable and optimizer slot and runs the preflight; a run folder that
    holds checkpoints is continued from the newest good one.

    Args:
      strategy: What to minimise.
      nets: {name: keras.Model, or average_of another}.
      updates: {phase: Update or Keras optimizer}; for a single phase the optimizer alone will do.
      data: Source of the training batches, or {name: source}: the first one's epochs are the run's. A dict of arrays,
        a pandas frame of numbers and a ``tf.data.Dataset`` of dicts are made into one.
      seed: Seed of all random draws and of nothing else: nets are initialised, and data ordered, by their own seeds.
      held_out: Source to evaluate on along the way, or what makes one, as ``data``.
      run_dir: Folder of the run: checkpoints, metrics.csv, pictures, report.html, TensorBoard's events; None for none.
      record: Whether rows, evaluations, pictures and checkpoints are recorded, or a Recording that says when; None:
        if there is a run_dir.
      writers: Writers of what is recorded, in place of the usual files and the progress bar.
      resume: A run that is in ``run_dir``: continue the "same" one, and refuse one of another configuration, optimizers
        or strategy; "always", with what is given now; or "never".
      config: What else makes two runs the same run, as JSON values; kept in config.json.
      plan: How the cycle is compiled: "eager", "graph", "halves", "xla", one of the last three for each phase as
        "critic=graph generator=xla", or "auto": the fastest in a trial before the first update.
      precision: "float32", "bfloat16" or "float16"; the nets must have been made under it (``prepare``).
      cycles_per_call: Cycles in one call of the compiled loop, or "auto": half a second's worth. The result is the
        same.
      on_bad_update: "stop" at the first update that is not finite; "skip" it (and stop after 10 in a row); or
        "rollback": go back to the last checkpoint and on after the batches read so far, with other draws, at most
        3 times.
      spike: Rule by which finite objectives are bad too; None for none.
      goal: The metric whose best checkpoint is kept, and that may end the training early.
      keep: Newest checkpoints to keep, at least 2.
      deterministic: Whether a repeat must give the same bits.
      reproducible: Number of fixed shards of each batch, a power of two, so that the bits are the same on 1, 2, ... as
        many workers; None: the trajectory of one worker within rounding. Batch statistics are then each shard's own.
      events: What happens along the way.
      controllers: What is moved by the metrics that ``note`` is handed.
      clock: Seconds, rising; a test's own.
      say: Function that takes lines for people.

    On several workers (TF_CONFIG, or scripts/launch.py) each process makes the same trainer of the same arguments. The
    first one, the chief, alone reads and writes the folder, and speaks to people.

    Raises:
      Invalid: Every fault that preflight finds.
      WorkerLost: A worker that is not there, or has ended.
    """

    def __init__(self, strategy: LossStrategy, nets: Mapping[str, Any], updates: Any,
                 data: Any, *, seed: int = 0, held_out: Any = None,
                 run_dir: Path | str | None = None, record: bool | Recording | None = None,
                 writers: Sequence[Writer] | None = None, config: Mapping[str, Any] | None = None,
                 plan: str = "auto", precision: str = "float32", cycles_per_call: int | str = "auto",
                 on_bad_update: str = "stop", spike: Spike | None = None, goal: Goal | None = None, keep: int = 3,
                 deterministic: bool = True, reproducible: int | None = None, events: Sequence[Event] = (),
                 resume: str = "same",
                 controllers: Sequence[Plateau] = (), clock: Callable[[], float] = time.monotonic,
                 say: Callable[[str], None] = to_standard_error) -> None:
        environment.deterministic(deterministic)
        exit_codes.install()
        whole = isinstance(cycles_per_call, int) and cycles_per_call >= 1
        require(whole or cycles_per_call == "auto", "cycles_per_call", cycles_per_call,
                'an integer of at least 1, or "auto"')
        sources = preflight.named_sources(data)
        self.strategy, self.nets, self.seed = strategy, preflight.named_nets(nets), seed
        self.data = next(iter(sources.values()))
        self.workers = workers()
        if not self.workers.is_chief:
            say = unheard
        self.say = say
        self._plan, self._clock = plan, self.workers.clock(clock)
        self._held_out = None if held_out is None else source_of(held_out, "held_out", all_examples=True)
        self._writers = writers
        self._recorder: Recorder | None = None
        wanted = run_dir is not None or writers is not None if record is None else record
        self._recording = (Recording() if wanted is True else wanted) or None
        require(run_dir is not None or on_bad_update != "rollback", "on_bad_update", on_bad_update,
                "with a run_dir, where the checkpoints to go back to are")
        phases = preflight.check_phases(strategy, self.nets)
        chosen = preflight.check_updates(updates, phases)
        preflight.check_precision(precision, self.nets)
        state = preflight.check_state(strategy)
        identity = identity_of(strategy, phases, chosen, sources, seed=seed, plan=plan, precision=precision)
        identity |= {} if reproducible is None else {"reproducible": reproducible}
        kept = run_dir is not None
        self.folder = RunFolder(run_dir, {**(config or {}), **identity}, resume) if run_dir is not None and \
            self.workers.is_chief else None
        if self.folder:
            self.folder.parts = parts_of(strategy, self.nets, sources, self._held_out)
        self.engine = StepEngine(phases, self.nets, chosen, sources, state=state, seed=seed,
                                 plan="graph" if plan == "auto" else plan, on_bad_update=on_bad_update,
                                 loss_scaling=precision == "float16", spike=spike, workers=self.workers,
                                 reproducible=reproducible)
        alike = {"on_bad_update": on_bad_update, "spike": repr(spike), "cycles_per_call": cycles_per_call,
                 "goal": repr(goal), "keep": keep, **times_of(self._recording, events)}
        read = sources if self._held_out is None else {**sources, "held_out": self._held_out}
        require_same_run(self.workers, {**(config or {}), **identity, **alike}, read, variables_of(self.engine))
        if reproducible is not None:
            require_same_threads(self.workers)
        preflight.check_shown(strategy, self.engine)
        preflight.check_ranges(strategy, self.engine)
        check_separable(self.engine, plan)
        self._unchanged = Unchanged(strategy, self.engine)
        self._evaluator = Evaluator(strategy, self.nets, self.engine, seed)
        self._gradients = Gradients(self.engine)
        self.warnings = preflight.check_traces(self.engine)
        for warning in self.warnings:
            say(f"warning: {warning}")
        self._facts = RunFacts(self.engine, goal and goal.directed(strategy, self.minimised, self.columns))
        self._agenda = Agenda(events, lambda: (self.counters.cycles, self.cycles_per_epoch, self.seconds))
        self._checkpoints = CheckpointManager(self.folder, variables_of(self.engine), keep, say, self.workers, kept)
        self._session = Session(
            self.engine, self._facts, self._agenda, self._checkpoints, self._evaluator, plan=plan,
            cycles_per_call=cycles_per_call, rolls_back=on_bad_update == "rollback", clock=self._clock,
            act=lambda event, means: event.what(self, dict(means)), say=lambda line: self.say(line))
        self._facts.put_back(self._checkpoints.restore() or {}, say)
        self._controllers = list(controllers)
        for controller in self._controllers:
            controller.attach(self)

    def __repr__(self) -> str:
        counters = self.counters
        nets = ", ".join(f"{name} ({type(net).__name__})" for name, net in self.nets.items())
        where = f", in {str(self.folder.path)!r}" if self.folder else ""
        return (f"Trainer({type(self.strategy).__name__} of {nets}: at cycle {counters.cycles}, epoch "
                f"{counters.epoch:.2f}{where})")

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        return named(repr(self), self._recorder.history() if self._recorder else None)

    def train(self, *, cycles: int | None = None, epochs: float | None = None) -> History:
        """Train up to ``cycles`` cycles or ``epochs`` epochs, counted from the start of the run.

        Returns:
          What was recorded, from the start of the run; empty if nothing is.

        Raises:
          Invalid: A strategy, net or optimizer that was changed since the trainer was made.
          BadUpdate: Stopped by the health watch. The state is that of the last good update; see ``autopsy``.
          Interrupted: SIGINT or SIGTERM. In both cases a checkpoint was saved.
        """
        target = self.cycles_of(cycles=cycles, epochs=epochs)
        self.workers.agree({"cycles": target}, "all end together")
        self._unchanged.check()
        check_weights(self.nets)
        self._checkpoints.require_same_state(self.counters.cycles)
        if not self.engine.place.slot:
            self.engine.restart_averages()  # weights may have been set since the trainer was made
        if self._recording is None:
            self._session.train(target)
            return History({}, {})
        if self._recorder is None:
            writers = self._writers if self.workers.is_chief else []
            self._recorder = Recorder(self, self._held_out, self._recording, writers)
            self._agenda.events = [*self._recorder.events(), *self._agenda.events, *self._recorder.last_events()]
        self._recorder.check(target)
        with deferred(), self._checkpoints.held(), self._recorder.recording(target):
            self._session.train(target)
        return self._recorder.history()

    @property
    def metrics(self) -> dict[str, float]:
        """The newest evaluation that was recorded."""
        return dict(self._recorder.metrics) if self._recorder else {}

    def open(self) -> None:
        """Make the run's folder and lock it until ``close``; without it ``train`` does, as long as it lasts.

        Raises:
          Invalid: If another process trains in it.
        """
        self._checkpoints.open()

    def close(self) -> None:
        """Give the folder free that was opened."""
        self._checkpoints.close()

    def save(self, wait: bool = True) -> Path | None:
        """Save a checkpoint; None without a run folder.

        In an event: when all that are due have acted, none of which acts twice in a continued run; a writer puts it on
        the disk while training goes on.

        Args:
          wait: Whether to return only when it is on the disk; out of an event.

        Raises:
          OSError: If the disk refuses; out of ``wait`` before the next event, or at the end.
        """
        return self._session.save(wait)

    def register(self, name: str, get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        """Make a JSON value part of the run's state.

        ``put`` is called now if the run is continued from a checkpoint that holds it, and after each rollback.
        """
        self._facts.register(name, get, put)

    def note(self, metrics: Mapping[str, float]) -> bool:
        """Hand in numbers by their column in metrics.csv: the goal is judged, and controllers are moved by them.

        Returns:
          Whether they are the best so far: worth a checkpoint.
        """
        for controller in self._controllers:
            controller.note(self, metrics)
        return self._facts.is_best(metrics)

    def summary(self) -> dict[str, Any]:
        """Counters, speed, plan, determinism and versions of the run, as JSON values."""
        doubts = [*environment.doubts(self.data), *self._facts.elsewhere]
        return summary(self.engine, self._facts, self._session.pace, self._session.started, doubts)
