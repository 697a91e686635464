"""Calls of the compiled loop. What one that fails half-way had done is not known, so the state is made again."""

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from engine.cycle.report import Report
from engine.cycle.step_engine import StepEngine
from engine.errors import Invalid
from engine.run import checkpoint, environment
from engine.run.check_report import memory_of
from engine.run.check_text import size
from engine.run.checkpoint_manager import CheckpointManager, Facts
from engine.run.facts import RunFacts
from engine.run.failure import FAILURES, is_of_memory, rule_of
from engine.workers.workers import check_partners

FRACTION = 0.01  # of the time goes into copies


class Copy(NamedTuple):
    """The state of a run in memory."""

    cycle: int
    state: checkpoint.State
    facts: Facts


class Calls:
    """Runs the engine. A call that fails loses nothing that was before it, or little.

    Data that are read along the way, as pictures from files, may break at any time, those of earlier epochs too: of
    runs on them a copy of the state is in memory, as new as a hundredth of the time allows. From it, or else from the
    last checkpoint, the updates up to the call are made again, which gives the same bits. But not from what is older
    than the training that ``begin`` began: weights may have been set since. Then the checkpoint itself stands.

    Args:
      now: What a checkpoint holds beside tensors.
      save_beginning: Function that saves the state in which this training began, if there is no checkpoint yet, and
        tells whether it did.
    """

    def __init__(self, engine: StepEngine, checkpoints: CheckpointManager, facts: RunFacts, now: Callable[[], Facts],
                 save_beginning: Callable[[], bool], say: Callable[[str], None]) -> None:
        self._engine, self._checkpoints, self._facts, self._say = engine, checkpoints, facts, say
        self._now, self._save_beginning = now, save_beginning
        self._copies = any(source.in_sequence for source in engine.sources.values())
        self._copy: Copy | None = None
        self._next = 0.0  # when the next copy is due, by the process's clock
        self._before = -1  # the newest checkpoint when this training began

    def begin(self) -> None:
        """A training begins."""
        self._copy, self._next, self._before = None, 0.0, self._checkpoints.newest

    def run(self, cycles: int) -> Report:
        """Run ``cycles`` cycles. Raises ``Invalid`` for an error of data, loss or memory, in one line."""
        if self._copies and (began := time.monotonic()) >= self._next:
            self._copy = Copy(self._engine.cycles, self._checkpoints.copied(), copy.deepcopy(self._now()))
            ended = time.monotonic()
            self._next = ended + (ended - began) / FRACTION
        try:
            return self._engine.run(cycles)
        except tf.errors.UnimplementedError:
            raise
        except FAILURES as error:
            check_partners()
            place, rule = f"after cycle {self._engine.cycles}", rule_of(error, self._smaller())
            if is_of_memory(error):
                place += f", batch_size {self._engine.source.batch_size}"
        done = self._made_again() if self._engine.division.workers.count == 1 else "the last checkpoint stands"
        raise Invalid(f"`training` ({place}) must be {rule}; {done}") from None

    def _smaller(self) -> str:
        return (f"take a smaller batch_size (in use were up to {size(environment.peak_memory())}, of which "
                f"{memory_of(self._engine, self._engine.nets)})")

    def _made_again(self) -> str:
        cycle, before = self._engine.cycles, self._now()
        if self._copy and self._copy.facts["rollbacks"] != self._engine.rollbacks:
            self._copy = None  # of what was rolled back
        mine = self._save_beginning() or self._copy is not None or self._checkpoints.newest > self._before
        if not self._go_back():
            self._facts.torn = True
            return "nothing is saved: there is no checkpoint"
        if not mine:
            return f"of the checkpoints that of cycle {self._engine.cycles} stands"
        if self._engine.cycles < cycle:
            try:
                self._engine.run(cycle - self._engine.cycles)
            except FAILURES:
                self._go_back()
        if self._engine.cycles == cycle:
            self._put_back(before)
        if not self._checkpoints.has_folder:
            return f"it stands at cycle {self._engine.cycles}, and has no folder to be saved in"
        self._checkpoints.save(self._engine.cycles, self._now_restored(), self._facts.worth_keeping)
        return f"cycle {self._engine.cycles} was saved"

    def _now_restored(self) -> Facts:
        return {**self._now(), "events": self._facts.restored["events"]}

    def _go_back(self) -> bool:
        found: Facts | None
        if self._copy is None or self._checkpoints.newest > self._copy.cycle:
            found = self._checkpoints.restore()
        else:
            self._checkpoints.put(self._copy.state)
            found = self._copy.facts
        for source in self._engine.sources.values():
            source.left_at(-1)  # nowhere: a reader that is open has gone on
        if found:
            self._put_back(found)
        return found is not None

    def _put_back(self, facts: Facts) -> None:
        self._facts.put_back(facts, self._say)
        self._facts.tell_kept(facts)
