"""The compiled loop on a GPU: all updates of a call are one launch."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from engine.cycle.draws import Course, Drawn
from engine.cycle.loop import Loop, State
from engine.cycle.order import Order
from engine.cycle.phase_step import PhaseStep


class LaunchLoop(Loop):
    """The loop under XLA, from the first update of a call to the last, without a word to the host.

    Batches are gathered and draws made inside; updates are not branched around but chosen (``PhaseStep.select``); the
    updates of a phase are a loop of known length, and phases stand one behind the other.

    Args:
      compiled: Compiles a function as one unit.
    """

    def __init__(self, steps: list[PhaseStep], order: Order, limit: int,
                 compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        super().__init__(steps, order, limit)
        self._draws = [step.draws.inside() for step in steps]
        self._launch = compiled(self._all)

    def run(self, start: tf.Tensor, target: tf.Tensor, streak: tf.Tensor, course: Course) -> State:
        return self._launch(start, target, streak, course.skipped, course.salt)

    def _all(self, start: tf.Tensor, target: tf.Tensor, streak: tf.Tensor, skipped: tf.Tensor, salt: tf.Tensor
             ) -> State:
        return super().run(start, target, streak, Course((), skipped, salt))

    def forward(self, state: State, target: tf.Tensor, course: Course) -> State:
        """One cycle. Of one that began in its middle, only what is not yet behind the run is kept."""
        first = state["position"] - self.order.offset(state["position"])
        for phase, repeats in enumerate(self.order.repeats):
            begin = first + self.order.starts[phase]

            def one(number: tf.Tensor, state: State, phase: int = phase, begin: tf.Tensor = begin) -> Any:
                return number + 1, self._update(phase, begin + number, state, target, course)

            if repeats == 1:
                _, state = one(tf.constant(0, tf.int64), state)
            else:
                _, state = tf.while_loop(lambda number, _, repeats=repeats: number < repeats, one,
                                         [tf.constant(0, tf.int64), state], maximum_iterations=repeats)
        return state

    def _update(self, phase: int, position: tf.Tensor, state: State, target: tf.Tensor, course: Course) -> State:
        update = self.order.updates(phase, position)
        due = self.going(target)(state) & tf.equal(state["position"], position)

        def drawn(phase: int, update: tf.Tensor) -> tuple[Drawn, tf.Tensor]:
            return (self._draws[phase].of(update, self.order.first_batch(phase, update), course),
                    tf.zeros([], tf.float64))

        def advance(phase: int, update: tf.Tensor, mine: State, drawn: Drawn) -> State:
            return self.steps[phase].select(update, mine, drawn, due)

        return self._turn(phase, update, state, drawn, advance)
