"""The compiled loop under XLA: blocks of updates."""

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.draws import Course, Drawn
from engine.cycle.loop import Given, Loop, State
from engine.cycle.order import Order
from engine.cycle.phase_step import PhaseStep

BLOCK_UPDATES = 50  # in one launch of XLA, in whole cycles: with more, its cost shows no less
BLOCK_BYTES = 2**24  # at most, of draws made ahead for a block
SNAPSHOT_BYTES = 2**26  # at most, of variables that a block can put back; updates of larger nets are long anyway


class BlockLoop(Loop):
    """The loop under XLA: a block of updates is one launch, and its updates are not guarded one by one.

    A launch costs as much as a fifth of a small net's update, and a guard around every update (``tf.cond``) makes
    XLA copy the weights in a loop: another tenth. So a block applies its updates as they come; if one of them was
    bad, the block puts every variable back and is run again up to that one, which is run by itself, guarded.

    Args:
      compiled: Compiles a function as one unit.
    """

    def __init__(self, steps: list[PhaseStep], order: Order, limit: int,
                 compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        super().__init__(steps, order, limit, write_out=False)
        bytes_per_cycle = sum(step.draws.bytes_per_update * step.phase.repeats for step in steps)
        cycles = min(BLOCK_UPDATES // order.updates_per_cycle, BLOCK_BYTES // max(1, bytes_per_cycle))
        self._updates = order.updates_per_cycle * max(1, cycles)
        self._variables = list({id(v): v for step in steps for v in step.updater.variables}.values())
        self._block = compiled(self._rush)

    @staticmethod
    def suits(steps: list[PhaseStep]) -> bool:
        """Whether the variables are few enough to be put back, and the batches can be read phase by phase."""
        reading = [step for step in steps if step.draws.batches]
        return (len(reading) <= 1 or not any(step.draws.in_sequence for step in reading)) and sum(
            v.shape.num_elements() * v.dtype.size for step in steps for v in step.updater.variables) <= SNAPSHOT_BYTES

    def forward(self, state: State, target: tf.Tensor, course: Course) -> State:
        """One block of updates."""
        start = state["position"]
        end = tf.minimum(start + self._updates, target)
        ahead = []
        for phase in range(len(self.steps)):
            given, waited = self.timed(phase, partial(self._ahead, phase, start, end, course))
            ahead.append(given)
            state = {**state, "waited": state["waited"] + waited}

        def alone(state: State) -> tuple[State, tf.Tensor]:
            return self.one(state, self._drawn(start, ahead), self.advance), tf.constant(-1, tf.int64)

        def more(state: State, bad: tf.Tensor) -> tuple[State, tf.Tensor]:
            return tf.cond(tf.equal(bad, state["position"]), lambda: alone(state), lambda: self._block(
                state, start, tf.where(bad < 0, end, bad), ahead))

        going = self.going(end)
        return tf.while_loop(lambda state, _: going(state), more, [state, tf.constant(-1, tf.int64)])[0]

    def _rush(self, state: State, start: tf.Tensor, end: tf.Tensor, ahead: list[Drawn]) -> tuple[State, tf.Tensor]:
        """To ``end``; or, if an update is bad, nothing. Returns the state and the bad update's position, or -1."""
        before = [v.read_value() for v in self._variables]
        drawn = self._drawn(start, ahead)

        def advance(phase: int, update: tf.Tensor, mine: State, drawn: Drawn) -> State:
            after, good = self.steps[phase].rush(update, mine, drawn)
            return {**after, "bad": tf.where(good, tf.constant(-1, tf.int64), mine["position"])}

        def going(state: State) -> tf.Tensor:
            return (state["position"] < end) & (state["bad"] < 0)

        started = {**state, "bad": tf.constant(-1, tf.int64)}
        after = tf.while_loop(going, lambda state: [self.one(state, drawn, advance)], [started])[0]
        bad = after.pop("bad")
        for variable, value in zip(self._variables, before, strict=True):
            variable.assign(tf.where(bad < 0, variable.read_value(), value))
        return tf.nest.map_structure(lambda old, new: tf.where(bad < 0, new, old), state, after), bad

    def _ahead(self, phase: int, start: tf.Tensor, end: tf.Tensor, course: Course) -> Drawn:
        """Draws of the phase for the updates from ``start`` to ``end``."""
        first = self.order.updates(phase, start)
        count = self._updates // self.order.updates_per_cycle * self.order.repeats[phase]
        wanted = tf.cast(self.order.updates(phase, end) - first, tf.int32)
        return self.steps[phase].draws.ahead(count, first, lambda update: self.order.first_batch(phase, update), wanted,
                                             course)

    def _drawn(self, start: tf.Tensor, ahead: list[Drawn]) -> Callable[[int, tf.Tensor], Given]:
        def drawn(phase: int, update: tf.Tensor) -> Given:
            # Not tensor[...]: XLA would compile anew for each value of a computed slice.
            place = update - self.order.updates(phase, start)
            given = tf.nest.map_structure(lambda tensor: tf.gather(tensor, place), ahead[phase])
            return given, tf.zeros([], tf.float64)

        return drawn
