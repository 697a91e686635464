"""The compiled loop on a GPU: all updates of a call are one launch."""

from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.inputs import Context
from engine.cycle.loops import Loop, Read, Turns
from engine.cycle.names import named
from engine.cycle.state import LoopState, Place


def by_launch(turns: Turns, compiled: Any) -> Loop:
    """From the first update of a call to the last, without a word to the host.

    Batches are gathered and draws made inside; updates are not branched around but chosen (``Step.select``), but for
    phases that are not always due; the updates of a phase are a loop of known length, and phases stand one after the
    other.

    Args:
      compiled: Decorator that compiles a function as one unit.
    """
    schedule = turns.schedule
    inside, runners = [step.inputs.inside() for step in turns.steps], [step.select for step in turns.steps]

    def update(phase: int, slot: tf.Tensor, state: LoopState, target: tf.Tensor, context: Context) -> LoopState:
        on = turns.going(target, *state) & tf.equal(state.place.slot, slot)

        def read(phase: int, place: Place) -> Read:
            with named(turns.steps[phase].phase.name, "inputs"):
                return (inside[phase].of(place.completed[phase], schedule.first_batches(phase, place), context),
                        tf.zeros([], tf.float64))

        return turns.turn(phase, state, state.place, read, runners, on)

    def cycle(target: tf.Tensor, context: Context, *carried: Any) -> LoopState:
        """One cycle. Of one that began in its middle, only what the run has not passed is kept."""
        state = LoopState(*carried)
        first = state.place.slot - schedule.offset(state.place.slot)
        for phase, each in enumerate(schedule.phases):
            begin = first + schedule.starts[phase]

            def one(number: tf.Tensor, state: LoopState, phase: int = phase, begin: tf.Tensor = begin) -> Any:
                return number + 1, update(phase, begin + number, LoopState(*state), target, context)

            if each.repeats == 1:
                _, state = one(tf.constant(0, tf.int64), state)
            else:
                _, state = tf.while_loop(lambda number, _, repeats=each.repeats: number < repeats, one,
                                         (tf.constant(0, tf.int64), state), maximum_iterations=each.repeats)
            state = LoopState(*state)
        return state

    def run(place: Place, streak: tf.Tensor, target: tf.Tensor, rollbacks: tf.Tensor) -> LoopState:
        return LoopState(*tf.while_loop(partial(turns.going, target), partial(cycle, target, Context({}, rollbacks)),
                                        turns.begun(place, streak)))

    launch = compiled(run)
    return lambda place, streak, target, context: launch(place, streak, target, context.rollbacks)
