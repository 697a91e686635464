"""Every phase, tried on the batch and the draws of its next update. Nothing is applied."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from engine.cycle.inputs import Context, Inputs
from engine.cycle.measured import Measured
from engine.cycle.step import Step
from engine.cycle.step_engine import StepEngine
from engine.run.check_data import context
from engine.run.failure import one_line
from engine.strategy import Nets
from engine.workers.workers import check_partners

SECONDS = 1.5  # of timing, per phase
MOST = 200  # updates timed, per phase


@dataclass(frozen=True)
class Attempt:
    """What one phase gives at its next update.

    Attributes:
      means: The objective, every term, the regularization.
      norms: Norm of the gradient, by net.
      bad: Terms, and paths of variables whose gradient is not finite.
      at_zero: The same when every weight that the phase moves is 0; None where that cannot be tried.
      seconds: Seconds of one update's draws and gradients.
      compiling: Seconds until the first was there.
      error: Why it could not be run, in one line.
    """

    phase: str
    means: dict[str, float] = field(default_factory=dict)
    norms: dict[str, float] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    at_zero: list[str] | None = None
    seconds: float = 0.0
    compiling: float = 0.0
    error: str = ""


def attempt(engine: StepEngine, nets: Nets, name: str, clock: Callable[[], float] = time.perf_counter) -> Attempt:
    """Try the phase ``name``: its values, its gradients, both again with all its weights at 0, and its time."""
    step, place = engine.steps[name], engine.place
    run = _compiled(engine, step)
    weights = [tf.convert_to_tensor(v.value) for v in step.compute.variables]
    batches = engine.schedule.first_batches(list(engine.steps).index(name), place)

    def measured(values: Sequence[tf.Tensor], count: int = 1) -> Measured:
        found: Measured = run(tf.constant(engine.completed[name], tf.int64),
                              [tf.constant(number, tf.int64) for number in batches], tf.constant(count),
                              list(values), context(engine))
        found.vector.numpy()  # waits for it
        return found

    began = clock()
    try:
        found = measured(weights)
        ready, at_zero = clock(), None
        with contextlib.suppress(tf.errors.OpError):  # an assertion in the loss
            zero = measured([tf.zeros_like(v) for v in weights])
            at_zero = _bad(step, zero)
        seconds = _time(lambda count: measured(weights, count), clock() - ready, clock)
    except tf.errors.OpError as error:
        check_partners()
        return Attempt(name, error=one_line(error))
    return Attempt(name, dict(zip(step.names[:-1], found.vector.numpy().tolist(), strict=True)),
                 _norms(step, nets, found.gradients[0]), _bad(step, found), at_zero, seconds,
                 max(0.0, ready - began - seconds))


def _compiled(engine: StepEngine, step: Step) -> Callable[..., Measured]:
    """``run(update, batches, count, weights, context)``: so many updates, one after another, all at ``weights``."""
    plan, alone = engine.plan.of(step.phase.name), engine.division.whole
    takes = engine.schedule.takes[list(engine.steps).index(step.phase.name)]

    def measured(update: tf.Tensor, inputs: Inputs, weights: list[tf.Tensor]) -> Measured:
        return step.candidates.of(update, inputs, weights).measured

    part = plan.part(measured) if alone else measured

    def run(update: tf.Tensor, batches: list[tf.Tensor], count: tf.Tensor, weights: list[tf.Tensor],
            given: Context) -> Measured:
        def inputs(number: tf.Tensor) -> Inputs:
            places = [batch + number * take for batch, take in zip(batches, takes, strict=True)]
            return step.inputs.of(update + number, places, given)

        def one(done: tf.Tensor, last: Measured) -> tuple[tf.Tensor, Measured]:
            number = tf.cast(done, tf.int64)
            return done + 1, part(update + number, inputs(number), weights)

        # In turn, so that the first, whose form all have, is not computed twice.
        return tf.while_loop(lambda done, _: done < count, one,
                             [tf.constant(1), part(update, inputs(tf.constant(0, tf.int64)), weights)])[1]

    return plan.loop(run)


def _time(run: Callable[[int], object], once: float, clock: Callable[[], float]) -> float:
    """Seconds of one update, of as many as fit into ``SECONDS``; ``once`` is what one took."""
    count = int(min(SECONDS / max(once, 1e-9), MOST))
    if count < 2:
        return once
    began = clock()
    run(count)
    return (clock() - began) / count


def _bad(step: Step, found: Measured) -> list[str]:
    """Names of what is not finite: terms, or the objective if none of them is to blame; variables."""
    means = dict(zip(step.names[:-1], found.vector.numpy().tolist(), strict=True))
    terms = [name for name, mean in means.items() if not np.isfinite(mean)]
    terms = [name for name in terms if name != "objective"] or terms
    if step.commit.loss_scale is not None:  # gradients that overflow in float16 are no fault
        return terms
    return terms + [v.path for v, gradient in zip(step.compute.variables, found.gradients[0], strict=True)
                    if not np.isfinite(gradient.numpy()).all()]


def _norms(step: Step, nets: Nets, gradients: Sequence[tf.Tensor]) -> dict[str, float]:
    squares = {id(v): float(np.sum(np.square(gradient.numpy(), dtype=np.float64)))
               for v, gradient in zip(step.compute.variables, gradients, strict=True)}
    return {net: float(np.sqrt(sum(squares.get(id(v), 0.0) for v in nets[net].trainable_variables)))
            for net in step.phase.updates}
