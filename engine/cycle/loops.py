"""The compiled loop, update by update and cycle by cycle. (By blocks under XLA: block.py; on a GPU: launch.py.)

Each is a function ``forward(state, target, context) -> state`` that goes some way from ``state`` to slot ``target``.
"""

import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from engine.cycle.inputs import Context, Inputs
from engine.cycle.schedule import Schedule
from engine.cycle.state import LoopState, Outcome, Place
from engine.cycle.step import Step
from engine.device import device

Forward = Callable[[LoopState, tf.Tensor, Context], LoopState]
Read = tuple[Inputs, tf.Tensor]  # with the seconds (float64) that a reader of batches was waited for
ReadAt = Callable[[int, Place], Read]  # of a phase's update at a place
UNROLLED = 12  # updates at most of a cycle that is unrolled: inputs and commit of each are traced anew


class Turns:
    """What all loops share: whose turn it is, and what a turn does to the state.

    Args:
      limit: Bad updates in a row at which the loop stops.
    """

    def __init__(self, steps: list[Step], schedule: Schedule, limit: int) -> None:
        self.steps, self.schedule, self.limit = steps, schedule, limit

    def run(self, forward: Forward, place: Place, streak: tf.Tensor, target: tf.Tensor, context: Context) -> LoopState:
        """From ``place`` to the slot ``target``, or to a stop."""
        state = LoopState(place, streak, tf.constant(-1, tf.int64), tf.constant(0, tf.int64),
                          tuple(step.begun() for step in self.steps), tf.zeros([], tf.float64))
        return LoopState(*tf.while_loop(lambda *state: self.going(LoopState(*state), target),
                                        lambda *state: tuple(forward(LoopState(*state), target, context)), state))

    def going(self, state: LoopState, target: tf.Tensor) -> tf.Tensor:
        """Whether there is more to do."""
        return (state.place.slot < target) & (state.streak < self.limit)

    def next(self, state: LoopState, inputs: ReadAt, advance: Callable[..., Outcome]) -> LoopState:
        """One slot, of the phase whose turn it is."""
        def turn(phase: int) -> LoopState:
            return self.turn(phase, state, state.place, inputs, advance)

        if len(self.steps) == 1:
            return turn(0)
        offset = self.schedule.offset(state.place.slot)
        which = sum(tf.cast(offset >= start, tf.int32) for start in self.schedule.starts[1:])
        return LoopState(*tf.switch_case(which, [lambda phase=phase: tuple(turn(phase))
                                                 for phase in range(len(self.steps))]))

    def turn(self, phase: int, state: LoopState, place: Place, inputs: ReadAt,
             advance: Callable[..., Outcome], on: tf.Tensor | bool = True) -> LoopState:
        """One slot of the phase, if it is due: ``place`` is where its update stands. Nothing unless ``on``."""
        def run() -> LoopState:
            given, waited = inputs(phase, place)
            outcome = advance(phase, place.updates[phase], state.streak, state.tallies[phase], given)
            return self.settled(phase, state, outcome, on)._replace(waited=state.waited + waited)

        if self.schedule.always(phase):
            return run()
        rest = state._replace(place=state.place._replace(slot=state.place.slot + tf.cast(on, tf.int64)))
        due = on & self.schedule.due(phase, place, self.steps[phase].commit.values())
        return LoopState(*tf.cond(due, lambda: tuple(run()), lambda: tuple(rest)))

    def settled(self, phase: int, state: LoopState, outcome: Outcome, on: tf.Tensor | bool) -> LoopState:
        """The state after an update."""
        by = tf.cast((outcome.streak < self.limit) & on, tf.int64)  # a stop stays before its update
        slot, number = state.place.slot, state.place.updates[phase]
        tallies = (*state.tallies[:phase], outcome.tally, *state.tallies[phase + 1:])
        return state._replace(
            place=self.schedule.passed(phase, state.place, by), streak=outcome.streak, tallies=tallies,
            fault_slot=tf.where(outcome.fault, slot, state.fault_slot),
            fault_update=tf.where(outcome.fault, number, state.fault_update))

    def read(self, phase: int, place: Place, context: Context) -> Read:
        """The inputs of the phase's update at ``place``."""
        inputs = self.steps[phase].inputs
        return timed(inputs.in_sequence, lambda: inputs.of(
            place.updates[phase], self.schedule.first_batches(phase, place), context))


def by_update(turns: Turns) -> Forward:
    """One update after the other."""
    def advance(phase: int, *update: Any) -> Outcome:
        outcome: Outcome = turns.steps[phase].advance(*update)
        return outcome

    def forward(state: LoopState, target: tf.Tensor, context: Context) -> LoopState:
        return turns.next(state, lambda phase, place: turns.read(phase, place, context), advance)

    return forward


def by_cycle(turns: Turns) -> Forward:
    """A cycle of several updates is unrolled.

    So what an update does not take from the one before, as the images that a generator draws for the next update of its
    critic, is computed beside it. All updates of a cycle are computed, and those applied that the run has not passed.
    """
    schedule = turns.schedule

    def forward(state: LoopState, target: tf.Tensor, context: Context) -> LoopState:
        done = schedule.offset(state.place.slot)
        first, planned = state.place.slot - done, state.place
        for slot in range(schedule.slots_per_cycle):
            # Not of the state's own place, which waits for the update before; but ``when`` must wait for it.
            phase, place = schedule.phase_at(slot), planned if schedule.is_static else state.place
            on = turns.going(state, target) & tf.equal(state.place.slot, first + slot)

            def advance(phase: int, *update: Any, on: tf.Tensor = on) -> Outcome:
                outcome: Outcome = turns.steps[phase].advance(*update, on)
                return outcome

            state = turns.turn(phase, state, place, lambda phase, place: turns.read(phase, place, context), advance, on)
            runs = tf.cast(done <= slot, tf.int64) * tf.cast(schedule.runs(phase, place), tf.int64)
            planned = schedule.passed(phase, planned, runs)
        return state

    return forward


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
