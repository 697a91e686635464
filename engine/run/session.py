"""Session: the training in this process, from call to call of the compiled loop."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.cycle.health import BadUpdate, Fault
from engine.cycle.step_engine import StepEngine
from engine.errors import Invalid, require
from engine.run import environment, signals
from engine.run.agenda import Agenda
from engine.run.checkpoint_manager import CheckpointManager, Facts
from engine.run.counters import Counters
from engine.run.evaluator import Evaluator
from engine.run.events import Event, Stop
from engine.run.facts import RunFacts
from engine.run.failure import told
from engine.run.pace import Pace
from engine.run.recovery import Calls
from engine.run.signals import Interrupted
from engine.run.trial import Trial

ROLLBACKS = 3  # of one run


class Session:
    """Calls the compiled loop, lets events act, saves, rolls back and gives up.

    Args:
      plan: Name of a plan; "auto" has one chosen before the first update.
      cycles_per_call: Cycles in one call of the compiled loop, or "auto".
      rolls_back: Whether a bad update takes the run back to its last checkpoint.
      act: ``act(event, means)`` lets an event act.
      say: ``say(line)``, to people.
    """

    def __init__(self, engine: StepEngine, facts: RunFacts, agenda: Agenda, checkpoints: CheckpointManager,
                 evaluator: Evaluator, *, plan: str, cycles_per_call: int | str, rolls_back: bool,
                 act: Callable[[Event, Mapping[str, float]], Any], clock: Callable[[], float],
                 say: Callable[[str], None]) -> None:
        self._engine, self._facts, self._agenda, self._checkpoints = engine, facts, agenda, checkpoints
        self._plan, self._cycles_per_call, self._rolls_back = plan, cycles_per_call, rolls_back
        self._act, self._clock, self._say, self._evaluator = act, clock, say, evaluator
        self._workers = engine.division.workers
        self.pace = Pace()
        self._calls = Calls(engine, checkpoints, facts, self._now, self._save_beginning, say)
        self.started = 0.0  # seconds from the process's start to the training
        self._save_wanted = False  # by an event that acted
        self._unbegun: tuple[int, Any, Facts] | None = None  # the state of a new run, until a checkpoint is there
        self._training = threading.Lock()  # held while the compiled loop changes the state

    def train(self, target: int) -> None:
        """To cycle ``target``. Raises ``BadUpdate``, ``Interrupted``."""
        require(not self._facts.torn, "Trainer", f"after cycle {self._engine.cycles}",
                "made anew: an update failed half-way")
        self.started = self.started or environment.age()
        with self._checkpoints.held(), signals.Watch(self.overdue).watching() as watch:
            self._train(target, watch)

    def save(self, wait: bool = True) -> Path | None:
        """A checkpoint now; in an event one when all that are due have acted."""
        if self._agenda.is_acting:
            self._save_wanted = True
            return self._checkpoints.path_of(self._engine.cycles)
        self._checkpoints.require_same_state(self._engine.cycles)
        return self._checkpoints.save(self._engine.cycles, self._now(), self._facts.worth_keeping, wait)

    def _now(self, again: bool = False) -> Facts:
        """What a checkpoint holds; with ``again`` as it was before the event that acts now."""
        return self._facts.now(self._agenda.saved(again))

    def _train(self, target: int, watch: signals.Watch) -> None:
        self._unbegun = None  # what is set between two trainings is not in it
        if self._rolls_back and not self._facts.continued:
            self.save()
        elif self._checkpoints.has_folder and not self._facts.continued and not self.pace.first_call:
            self._unbegun = self._engine.cycles, self._checkpoints.copied(), self._now()
        if self._plan == "auto" and not self._engine.place.slot and not self._facts.trial:
            with self._training:
                self._choose_plan(target)
        self._calls.begin()
        self._agenda.start(self._facts.restored.get("events", []))
        self._facts.restored = {}
        now, stop = self._clock(), 0
        while self._agenda.is_pending or (self._engine.cycles < target and not self._facts.stopped):
            if not self._agenda.is_pending:
                with self._training:
                    self._call(target)
                    now = self._passed(now)
                    self._agenda.collect(ending=self._engine.cycles >= target)
            acted = self._fire()
            if self._facts.stopped:  # the others see the end, too
                self._agenda.end(acted)
                self._fire()
            stop = self._stop(watch)
            if stop:
                break
        if self._facts.stopped:
            self._say(f"training ends: {self._facts.stopped}")
        self._checkpoints.wait()  # a signal now would lose the last checkpoint
        stop = stop or self._stop(watch)
        if stop:
            self.save()
            raise Interrupted(stop, self._kept_safe())

    def _stop(self, watch: signals.Watch) -> int:
        """The signal by which all end, at the same cycle, whoever got it; 0 for none.

        ``watch`` is only read: a signal may come meanwhile, or later by itself to one that has learnt it from another.
        """
        return self._workers.most(watch.caught or 0, "signal")

    def _choose_plan(self, target: int) -> None:
        began = self._clock()
        choice = Trial(self._engine, target, self._clock).choose()
        self._facts.trial, self.pace.trial = choice.facts, max(0.0, self._clock() - began)
        self._evaluator.forget()  # they follow the plan
        self._say(str(choice))

    def _passed(self, before: float) -> float:
        """Count the seconds since ``before``, none if the clock went backwards; the clock now."""
        now = self._clock()
        self._facts.seconds += max(0.0, now - before)
        return now

    def overdue(self, signum: int) -> None:
        """A signal was not served in time: leave from here if the state is consistent, else let the main thread."""
        if not self._workers.is_chief:
            return  # the chief saves, and all end together
        if not self._training.acquire(blocking=False):
            if self.pace.first_call:
                return  # within one call
            save: Callable[[], object] = self._save_beginning  # it compiles, for as long as that takes
        else:
            save = self._save_before_event
        try:
            save()
        except Exception as error:  # the main thread may be blocked for good: leave all the same
            signals.leave(signum, f"no checkpoint could be saved ({error}), the last one stands")
        signals.leave(signum, self._kept_safe())

    def _save_beginning(self) -> bool:
        if self._unbegun:  # of a continued run the checkpoint is there
            self._checkpoints.write(*self._unbegun, set())
        return self._unbegun is not None

    def _save_before_event(self) -> None:
        self._checkpoints.save(self._engine.cycles, self._now(again=True), self._facts.worth_keeping)

    def _kept_safe(self) -> str:
        saved = self._checkpoints.has_folder
        return "a checkpoint was saved" if saved else "the run has no folder, nothing was saved"

    def _fire(self) -> set[int]:
        """Let the pending events act, and save what they want saved. Returns the ids of those that acted."""
        self._checkpoints.check()
        try:
            with told("events", f"after cycle {self._engine.cycles}", "they take smaller examples or nets"):
                acted = self._agenda.act(self._heard)
        except Invalid as error:
            raise Invalid(f"{error}; {self._left()}") from None
        if self._save_wanted:
            self._save_wanted = False
            self.save(wait=False)
        return acted

    def _heard(self, event: Event, means: Mapping[str, float]) -> None:
        """Let one event act, and note what it wants done."""
        wish = self._act(event, means)
        require(not isinstance(wish, str) or wish == "save", "event", repr(wish), 'made to return "save" or Stop(why)')
        self._save_wanted |= wish == "save"
        if isinstance(wish, Stop):
            self._facts.stopped = wish.why

    def _left(self) -> str:
        """What is left when an event has failed: the state of before it, on the disk if there is a folder."""
        if self._workers.count > 1:
            return "the last checkpoint stands"
        if not self._checkpoints.has_folder:
            return f"it stands at cycle {self._engine.cycles}, and has no folder to be saved in"
        self.save()
        return f"cycle {self._engine.cycles} was saved"

    def _call(self, target: int) -> None:
        now = self._engine.cycles
        wanted = self.pace.cycles if self._cycles_per_call == "auto" else int(self._cycles_per_call)
        until = min(target, now + wanted, self._agenda.next_cycle())
        cycles = max(1, int(until) - now)
        began, self._facts.fault = self._clock(), None
        report = self._calls.run(cycles)
        self.pace.ran(cycles, self._clock() - began, report.waited)
        if self._checkpoints.newest >= 0:
            self._unbegun = None
        self._agenda.count(report)
        rejected = self._facts.rejected
        for phase, count in report.rejected.items():
            rejected[phase] = rejected.get(phase, 0) + count
        if report.fault and report.stopped:
            self._give_up_or_roll_back(report.fault)
        elif report.fault:
            self._say(f"skipped {sum(report.rejected.values())} update(s), the last at {report.fault}")

    def _give_up_or_roll_back(self, fault: Fault) -> None:
        engine = self._engine
        self._facts.faults.append(str(fault))
        facts = self._checkpoints.restore() if self._rolls_back and engine.rollbacks < ROLLBACKS else None
        if facts is None:
            self._facts.fault = fault
            self.save()
            raise BadUpdate(fault, engine.streak)
        self._facts.rolled_back(facts)
        self._agenda.start(facts["events"])
        self.save()
        self._say(f"rolled back to cycle {engine.cycles}, and on from batch {Counters.of(engine).batches} with other "
                  f"draws (rollback {engine.rollbacks} of at most {ROLLBACKS}), because of {fault}")
