"""Whether ``Phase(separable=True)`` is true: plans that shard a batch, and accumulation, take it at its word."""

import contextlib

import numpy as np
import tensorflow as tf

from engine.cycle.measured import Given
from engine.cycle.shards import is_independent
from engine.cycle.step import Step
from engine.cycle.step_engine import StepEngine
from engine.errors import require
from engine.run.check_data import context

CLOSE = 1e-3  # of a number's size and of all numbers' mean size: the same rows, computed twice


def check_separable(engine: StepEngine, plan: str) -> None:
    """Raises ``Invalid`` for a phase where an example's terms depend on the examples beside it.

    The first shard of the next batch is computed twice: beside the second shard, and beside itself. Draws and dropout
    are the same. Only where it matters: by plans that shard, or may (``auto``), with ``accumulate`` or several workers.
    """
    divided = any(word in plan for word in ("halves", "xla", "auto")) or not engine.division.whole
    for step in engine.steps.values():
        if (divided or step.commit.update.accumulate > 1) and is_independent(step.compute, engine.division.count):
            with contextlib.suppress(tf.errors.OpError):  # of data or loss: told when the training comes to it
                _check(engine, step)


def _check(engine: StepEngine, step: Step) -> None:
    compute, name = step.compute, step.phase.name
    update = tf.constant(engine.completed[name], tf.int64)
    places = engine.schedule.first_batches(list(engine.steps).index(name), engine.place)
    every = step.inputs.of(update, [tf.constant(place, tf.int64) for place in places], context(engine))
    inputs = engine.division.inputs(every, engine.division.mine[0]).micro(0)
    assigned = [tf.convert_to_tensor(v.value) for v in compute.traced.assigned]
    given = Given(update, 1.0, None, assigned, step.commit.values())
    found = []
    for each in (inputs, inputs._replace(**tf.nest.map_structure(_first_shard_twice, {
            "raw": inputs.raw, "data": inputs.data, "loss": inputs.loss}))):
        rows = compute.buckets.choose(each, lambda each: compute.rows(given, each))
        found.append({term: np.asarray(tf.cast(values, tf.float64)) for term, values in rows.items()
                      if values.dtype.is_floating and values.shape.rank})
    for term, values in found[0].items():
        size = len(values) // 2
        ours, theirs = values[:size], found[1][term][:size]
        close = CLOSE * (np.abs(ours) + np.abs(values, where=np.isfinite(values), out=np.zeros_like(values)).mean())
        apart = np.argwhere(~((np.abs(ours - theirs) <= close) | ~np.isfinite(ours)))
        if len(apart):
            at = tuple(apart[0])
            require(False, f"separable of phase {name}", True, f"False: {term} of an example is {ours[at]:.6g} in one "
                    f"batch and {theirs[at]:.6g} beside other examples, so a shard would give another result")


def _first_shard_twice(tensor: tf.Tensor) -> tf.Tensor:
    size = tensor.shape[0] // 2
    return tf.concat([tensor[:size], tensor[:size]], axis=0)
