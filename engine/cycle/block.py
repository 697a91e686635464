"""The compiled loop under XLA: a block of updates is one launch."""

from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.inputs import Context, Inputs
from engine.cycle.loops import Loop, Read, ReadAt, Turns, timed
from engine.cycle.names import named
from engine.cycle.state import LoopState, Place
from engine.cycle.variables import once

BLOCK_UPDATES = 50  # in one launch of XLA, in whole cycles: with more, its cost shows no less
BLOCK_BYTES = 2**24  # at most, of inputs made ahead for a block
SNAPSHOT_BYTES = 2**26  # at most, of variables that a block can put back; updates of larger nets are long anyway


def suits(turns: Turns) -> bool:
    """Whether variables are few enough to be put back, and inputs can be made phase by phase, ahead of the updates."""
    reading = [step for step in turns.steps if step.inputs.reads.sources]
    shared = len(reading) > 1 and any(step.inputs.in_sequence for step in reading)
    size = sum(v.shape.num_elements() * v.dtype.size for v in _variables(turns))
    calm = not any(step.commit.guards_always for step in turns.steps)
    return turns.schedule.is_static and calm and not shared and size <= SNAPSHOT_BYTES


def by_block(turns: Turns, compiled: Any) -> Loop:
    """A block of updates is one launch, and its updates are not guarded one by one.

    A launch costs as much as a fifth of a small net's update, and a guard around every update (``tf.cond``) makes
    XLA copy the weights in a loop: another tenth. So a block applies its updates as they come; if one of them was
    bad, the block puts every variable back and is run again up to that one, which is run by itself, guarded.

    Args:
      compiled: Decorator that compiles a function as one unit.
    """
    schedule, steps = turns.schedule, turns.steps
    bytes_per_cycle = sum(step.inputs.bytes_per_update * step.phase.repeats / step.phase.every for step in steps)
    cycles = max(1, min(BLOCK_UPDATES // schedule.slots_per_cycle, int(BLOCK_BYTES / max(1, bytes_per_cycle))))

    def ahead(phase: int, start: Place, end: tf.Tensor, context: Context) -> Inputs:
        def numbers(i: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
            place = schedule.later(phase, start, i)
            return place.completed[phase], schedule.first_batches(phase, place)

        wanted = tf.cast(schedule.between(phase, start.slot, end), tf.int32)
        with named(steps[phase].phase.name, "inputs"):
            return steps[phase].inputs.ahead(schedule.at_most(phase, cycles), wanted, numbers, context)

    def made(start: Place, inputs: list[Inputs]) -> ReadAt:
        def read(phase: int, place: Place) -> Read:
            # Not tensor[...]: XLA would compile anew for each value of a computed slice.
            number = place.completed[phase] - start.completed[phase]
            return (tf.nest.map_structure(lambda tensor: tf.gather(tensor, number), inputs[phase]),
                    tf.zeros([], tf.float64))

        return read

    def rush(state: LoopState, start: Place, end: tf.Tensor, inputs: list[Inputs]) -> tuple[LoopState, tf.Tensor]:
        """To the slot ``end``; or, if an update is bad, nothing. Returns the state and the bad slot, or -1."""
        variables = _variables(turns)
        before = [v.read_value() for v in variables]

        def one(state: LoopState, _: tf.Tensor) -> tuple[LoopState, tf.Tensor]:
            slot = state.place.slot
            after = turns.next(made(start, inputs), [step.rush for step in steps],
                               *state._replace(fault_slot=tf.constant(-1, tf.int64)))
            bad = tf.where(after.fault_slot >= 0, slot, tf.constant(-1, tf.int64))
            return after._replace(fault_slot=state.fault_slot, fault_update=state.fault_update), bad

        after, bad = tf.while_loop(lambda state, bad: (LoopState(*state).place.slot < end) & (bad < 0),
                                   lambda state, bad: one(LoopState(*state), bad),
                                   (state, tf.constant(-1, tf.int64)))
        for variable, value in zip(variables, before, strict=True):
            variable.assign(tf.where(bad < 0, variable.read_value(), value))
        return tf.nest.map_structure(lambda old, new: tf.where(bad < 0, new, old), state, after), bad

    block = compiled(rush)

    def some(target: tf.Tensor, context: Context, *carried: Any) -> LoopState:
        """A block, and the updates of it that are run by themselves."""
        state = LoopState(*carried)
        start = state.place
        end = tf.minimum(start.slot + cycles * schedule.slots_per_cycle, target)
        inputs = []
        for phase, step in enumerate(steps):
            read, waited = timed(step.inputs.in_sequence, partial(ahead, phase, start, end, context))
            inputs.append(read)
            state = state._replace(waited=state.waited + waited)

        def more(state: LoopState, bad: tf.Tensor) -> tuple[LoopState, tf.Tensor]:
            return tf.cond(tf.equal(bad, state.place.slot),
                           lambda: (turns.next(made(start, inputs), [step.advance for step in steps], *state),
                                    tf.constant(-1, tf.int64)),
                           lambda: block(state, start, tf.where(bad < 0, end, bad), inputs))

        return LoopState(*tf.while_loop(lambda state, _: turns.going(end, *state),
                                        lambda state, bad: more(LoopState(*state), bad),
                                        (state, tf.constant(-1, tf.int64)))[0])

    def loop(place: Place, streak: tf.Tensor, target: tf.Tensor, context: Context) -> LoopState:
        return LoopState(*tf.while_loop(partial(turns.going, target), partial(some, target, context),
                                        turns.begun(place, streak)))

    return loop


def _variables(turns: Turns) -> list[tf.Variable]:
    return once(v for step in turns.steps for v in step.commit.variables)
