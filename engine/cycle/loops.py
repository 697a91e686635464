"""The compiled loop, update by update and cycle by cycle. (By blocks under XLA: block.py; on a GPU: launch.py.)

Each is a function ``loop(place, streak, target, context) -> state`` from ``place`` to the slot ``target``, or a stop.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.inputs import Context, Inputs
from engine.cycle.names import named
from engine.cycle.schedule import Schedule
from engine.cycle.state import LoopState, Outcome, Place
from engine.cycle.step import Step
from engine.device import device

Loop = Callable[[Place, tf.Tensor, tf.Tensor, Context], LoopState]
Read = tuple[Inputs, tf.Tensor]  # with the seconds (float64) that a reader of batches was waited for
ReadAt = Callable[[int, Place], Read]  # of a phase's update at a place
Runners = Sequence[Callable[..., Outcome]]  # of each phase: ``Step.advance``, ``select`` or ``rush``
UNROLLED = 12  # updates at most of a cycle that is unrolled: inputs and commit of each are traced anew


class Turns:
    """What all loops share: whose turn it is, and what a turn does to the state.

    Args:
      limit: Bad updates in a row at which the loop stops.
    """

    def __init__(self, steps: list[Step], schedule: Schedule, limit: int) -> None:
        self.steps, self.schedule, self.limit = steps, schedule, limit

    def begun(self, place: Place, streak: tf.Tensor) -> LoopState:
        """Before the first update of a call."""
        return LoopState(place, streak, tf.constant(-1, tf.int64), tf.constant(0, tf.int64),
                         tuple(step.begun() for step in self.steps), tf.zeros([], tf.float64))

    def going(self, target: tf.Tensor, *state: Any) -> tf.Tensor:
        """Whether there is more to do."""
        here = LoopState(*state)
        return (here.place.slot < target) & (here.streak < self.limit)

    def next(self, read: ReadAt, runners: Runners, *carried: Any) -> LoopState:
        """One slot, of the phase whose turn it is."""
        state = LoopState(*carried)
        if len(self.steps) == 1:
            return self.turn(0, state, state.place, read, runners)
        offset = self.schedule.offset(state.place.slot)
        which = sum(tf.cast(offset >= start, tf.int32) for start in self.schedule.starts[1:])
        return LoopState(*tf.switch_case(which, [partial(self.turn, phase, state, state.place, read, runners)
                                                 for phase in range(len(self.steps))]))

    def turn(self, phase: int, state: LoopState, place: Place, read: ReadAt, runners: Runners,
             on: tf.Tensor | bool = True, due: bool = False) -> LoopState:
        """One slot of the phase, whose update stands at ``place``. Nothing unless ``on``; ``due``: that is known."""
        if not due and not self.schedule.always(phase):
            runs = on & self.schedule.due(phase, place, self.steps[phase].commit.values())
            rest = state._replace(place=state.place._replace(slot=state.place.slot + tf.cast(on, tf.int64)))
            return LoopState(*tf.cond(runs, partial(self.turn, phase, state, place, read, runners, on, due=True),
                                      lambda: rest))
        inputs, waited = read(phase, place)
        outcome = runners[phase](place.completed[phase], state.streak, state.tallies[phase], inputs, on)
        by = tf.cast((outcome.streak < self.limit) & on, tf.int64)  # a stop stays before its update
        slot, number = state.place.slot, state.place.completed[phase]
        tallies = (*state.tallies[:phase], outcome.tally, *state.tallies[phase + 1:])
        return LoopState(
            place=self.schedule.passed(phase, state.place, by), streak=outcome.streak, tallies=tallies,
            fault_slot=tf.where(outcome.fault, slot, state.fault_slot),
            fault_update=tf.where(outcome.fault, number, state.fault_update), waited=state.waited + waited)

    def read(self, context: Context, phase: int, place: Place) -> Read:
        """The inputs of the phase's update at ``place``."""
        inputs = self.steps[phase].inputs
        with named(self.steps[phase].phase.name, "inputs"):
            return timed(inputs.in_sequence, lambda: inputs.of(
                place.completed[phase], self.schedule.first_batches(phase, place), context))


def by_update(turns: Turns) -> Loop:
    """One update after the other."""
    runners = [step.advance for step in turns.steps]

    def loop(place: Place, streak: tf.Tensor, target: tf.Tensor, context: Context) -> LoopState:
        return LoopState(*tf.while_loop(partial(turns.going, target),
                                        partial(turns.next, partial(turns.read, context), runners),
                                        turns.begun(place, streak)))

    return loop


def by_cycle(turns: Turns) -> Loop:
    """A cycle of several updates is unrolled.

    So what an update does not take from the one before, as the images that a generator draws for the next update of its
    critic, is computed beside it. All updates of a cycle are computed, and those applied that the run has not passed.
    """
    schedule, runners = turns.schedule, [step.advance for step in turns.steps]

    def cycle(target: tf.Tensor, context: Context, *carried: Any) -> LoopState:
        state = LoopState(*carried)
        done = schedule.offset(state.place.slot)
        first, planned = state.place.slot - done, state.place
        for slot in range(schedule.slots_per_cycle):
            # Not of the state's own place, which waits for the update before; but ``when`` must wait for it.
            phase, place = schedule.phase_at(slot), planned if schedule.is_static else state.place
            on = turns.going(target, *state) & tf.equal(state.place.slot, first + slot)
            state = turns.turn(phase, state, place, partial(turns.read, context), runners, on)
            runs = tf.cast(done <= slot, tf.int64) * tf.cast(schedule.runs(phase, place), tf.int64)
            planned = schedule.passed(phase, planned, runs)
        return state

    def loop(place: Place, streak: tf.Tensor, target: tf.Tensor, context: Context) -> LoopState:
        return LoopState(*tf.while_loop(partial(turns.going, target), partial(cycle, target, context),
                                        turns.begun(place, streak)))

    return loop


def timed(waits: bool, read: Callable[[], Inputs]) -> Read:
    """What is read, and how long that took if it ``waits`` for a reader."""
    if not waits:
        return read(), tf.zeros([], tf.float64)
    began = _now()
    with tf.control_dependencies([began]):
        given = read()
    with tf.control_dependencies(tf.nest.flatten(given.raw)):
        return given, _now() - began


def _now() -> tf.Tensor:
    """Seconds, float64. ``tf.timestamp`` refuses where ``enable_op_determinism`` is on."""
    if device().op_determinism:
        return tf.ensure_shape(tf.numpy_function(time.time, [], tf.float64), [])
    return tf.timestamp()
