"""The compiled loop: updates one after the other, each of the phase whose turn it is."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.draws import Course, Drawn
from engine.cycle.order import Order
from engine.cycle.phase_step import PhaseStep
from engine.device import device

State = dict[str, Any]  # what the loop carries; a list has one entry per phase
Given = tuple[Drawn, tf.Tensor]  # with the seconds (float64) that a reader of batches was waited for
Advance = Callable[[int, tf.Tensor, State, Drawn], State]  # of a phase by one update: from its part of the state
WRITTEN_OUT = 12  # updates at most of a cycle that is written out: draws and commit of each are traced anew


class Loop:
    """Runs ``steps`` in the given order; the health watch stops it after ``limit`` bad updates in a row.

    A cycle of several updates is written out, one after the other. So what an update does not take from the one before,
    as the images that a generator draws for the next update of its critic, is computed beside it.

    Args:
      write_out: Whether a cycle may be written out. It is not if a batch can only be read once, in its turn.
    """

    def __init__(self, steps: list[PhaseStep], order: Order, limit: int, write_out: bool = True) -> None:
        self.steps, self.order, self.limit = steps, order, limit
        reading = any(step.draws.batches and step.draws.in_sequence for step in steps)
        self._written_out = write_out and 1 < order.updates_per_cycle <= WRITTEN_OUT and not reading

    def run(self, start: tf.Tensor, target: tf.Tensor, streak: tf.Tensor, course: Course) -> State:
        """From position ``start`` to ``target`` (int64 scalars), or to a stop."""
        return tf.while_loop(self.going(target), lambda state: [self.forward(state, target, course)],
                             [self.begun(start, streak)])[0]

    def begun(self, start: tf.Tensor, streak: tf.Tensor) -> State:
        """The state before the first update."""
        return {
            "position": start, "streak": streak, "fault_at": tf.constant(-1, tf.int64),
            "rejected": [tf.constant(0, tf.int64)] * len(self.steps),
            "sums": [tf.zeros([2, len(step.names)], tf.float64) for step in self.steps],
            "fault": [tf.zeros([len(step.names)]) for step in self.steps], "waited": tf.zeros([], tf.float64)}

    def going(self, target: tf.Tensor) -> Callable[[State], tf.Tensor]:
        """The condition of a loop that ends at ``target``."""
        return lambda state: (state["position"] < target) & (state["streak"] < self.limit)

    def forward(self, state: State, target: tf.Tensor, course: Course) -> State:
        """To the end of the cycle, if it is written out; else one update."""
        def drawn(phase: int, update: tf.Tensor) -> Given:
            draws, batch = self.steps[phase].draws, self.order.first_batch(phase, update)
            return self.timed(phase, lambda: draws.of(update, batch, course))

        return self._cycle(state, target, drawn) if self._written_out else self.one(state, drawn, self.advance)

    def one(self, state: State, drawn: Callable[[int, tf.Tensor], Given], advance: Advance) -> State:
        """One update, of the phase whose turn it is, on what was drawn for it."""
        def turn(phase: int) -> State:
            return self._turn(phase, self.order.updates(phase, state["position"]), state, drawn, advance)

        if len(self.steps) == 1:
            return turn(0)
        offset = self.order.offset(state["position"])
        which = sum(tf.cast(offset >= start, tf.int32) for start in self.order.starts[1:])
        return tf.switch_case(which, [lambda phase=phase: turn(phase) for phase in range(len(self.steps))])

    def _cycle(self, state: State, target: tf.Tensor, drawn: Callable[[int, tf.Tensor], Given]) -> State:
        """To the end of the cycle. All its updates are computed, and those applied that are not yet behind the run."""
        first = state["position"] - self.order.offset(state["position"])
        for place in range(self.order.updates_per_cycle):
            # Not of the state's position, which waits for the update before.
            phase, position = self.order.phase_at(place), first + place
            due = self.going(target)(state) & tf.equal(state["position"], position)
            advance = partial(self.advance, due=due)
            state = self._turn(phase, self.order.updates(phase, position), state, drawn, advance)
        return state

    def _turn(self, phase: int, update: tf.Tensor, state: State, drawn: Callable[[int, tf.Tensor], Given],
              advance: Advance) -> State:
        mine = {name: value[phase] if isinstance(value, list) else value for name, value in state.items()}
        given, waited = drawn(phase, update)
        after = {**advance(phase, update, mine, given), "waited": state["waited"] + waited}
        return {name: [after[name] if i == phase else other for i, other in enumerate(value)]
                if isinstance(value, list) else after[name] for name, value in state.items()}

    def advance(self, phase: int, update: tf.Tensor, mine: State, drawn: Drawn, due: tf.Tensor | bool = True) -> State:
        """The phase's update number ``update``, if it is ``due`` and good."""
        return self.steps[phase].advance(update, mine, drawn, due)

    def timed(self, phase: int, drawn: Callable[[], Drawn]) -> Given:
        """What is drawn, and how long a reader took to give it."""
        draws = self.steps[phase].draws
        if not (draws.batches and draws.in_sequence):
            return drawn(), tf.zeros([], tf.float64)
        began = _now()
        with tf.control_dependencies([began]):
            given = drawn()
        with tf.control_dependencies(list(given.raw.values())):
            return given, _now() - began


def _now() -> tf.Tensor:
    """Seconds, float64. ``tf.timestamp`` refuses where ``enable_op_determinism`` is on."""
    if device().op_determinism:
        return tf.ensure_shape(tf.numpy_function(time.time, [], tf.float64), [])
    return tf.timestamp()
