"""Statistics of batch normalisation for averaged weights, measured anew (Izmailov et al. 2018, arXiv 1803.05407).

The mean of weights is no net that any statistics were gathered with; the moving averages of those of its updates are
near, those measured with the weights themselves are right.
"""

from typing import Any

import keras
import tensorflow as tf

from engine.cycle.inputs import Context
from engine.cycle.keras_internals import layers_of
from engine.cycle.measured import Given
from engine.cycle.plan import Plan
from engine.cycle.step_engine import StepEngine
from engine.errors import require
from engine.run.check_data import context


def reestimate(engine: StepEngine, phase: str | None, batches: int) -> None:
    """Set the statistics of the nets that ``phase`` updates to their plain mean over its next ``batches`` batches.

    They are those of its loss's forward pass with the weights that evaluation uses, and go where evaluation reads them:
    into the average if there is one, else into the net. Nothing else changes, and no batch counts as read.

    Raises:
      Invalid: An unknown phase, one without batch normalisation, fixed shards.
    """
    require(phase is None or phase in engine.parts, "phase", phase, f"one of {', '.join(engine.parts)}")
    require(isinstance(batches, int) and batches >= 1, "batches", batches, "an integer of at least 1")
    require(not engine.division.exact, "reproducible", engine.division.count, "None, to measure statistics anew")
    found = {name: _normalised(engine, name) for name in ([phase] if phase else engine.parts)}
    name = next((name for name, layers in found.items() if layers), "")
    require(name, "phase", phase or ", ".join(found), "one whose forward pass moves statistics of batch normalisation")
    means = _means(engine, name, found[name], batches)
    places = {id(variable): average for variable, average in engine.averages}
    for variable, _ in found[name]:
        places.get(id(variable), variable).assign(means[id(variable)])


def _normalised(engine: StepEngine, name: str) -> list[tuple[Any, float]]:
    """(statistic, momentum) of the batch normalisations that the phase's forward pass moves in the nets it updates."""
    part = engine.parts[name]
    assigned = {id(v) for v in part.compute.traced.assigned}
    layers = [layer for net in part.compute.phase.updates for layer in layers_of(engine.nets[net])
              if isinstance(layer, keras.layers.BatchNormalization) and layer.momentum < 1]
    found = {id(v): (v, float(layer.momentum)) for layer in layers
             for v in (layer.moving_mean, layer.moving_variance) if id(v) in assigned}
    return list(found.values())


def _means(engine: StepEngine, name: str, statistics: list[tuple[Any, float]], batches: int) -> dict[int, tf.Tensor]:
    """{id of a statistic: its mean}, float32; sums in float64."""
    part, order = engine.parts[name], list(engine.parts).index(name)
    compute, accumulate = part.compute, part.commit.update.accumulate
    places, takes = engine.schedule.first_batches(order, engine.place), engine.schedule.takes[order]
    momenta = {id(v): momentum for v, momentum in statistics}

    def of_batch(number: tf.Tensor, given: Context) -> list[tf.Tensor]:
        update = number // accumulate
        inputs = part.inputs.of(engine.completed[name] + update,
                                [place + update * take for place, take in zip(places, takes, strict=True)], given)
        # From 0, a moving average with momentum m gives (1 - m) times the batch's own.
        start = [tf.zeros_like(v) if id(v) in momenta else tf.convert_to_tensor(v.value)
                 for v in compute.traced.assigned]
        state = {key: variable.read_value() for key, variable in engine.state.items()}
        values = compute.assigned(Given(tf.constant(engine.completed[name], tf.int64), 1.0, None, start, state),
                                  inputs.micro(tf.cast(number % accumulate, tf.int32)), engine.averages)
        return [tf.cast(value, tf.float64) / (1.0 - momenta[id(v)])
                for v, value in zip(compute.traced.assigned, values, strict=True) if id(v) in momenta]

    def sums(count: tf.Tensor, given: Context) -> Any:
        def one(number: tf.Tensor, totals: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
            return number + 1, [total + each for total, each in zip(totals, of_batch(number, given), strict=True)]

        zeros = [tf.zeros(v.shape, tf.float64) for v in compute.traced.assigned if id(v) in momenta]
        return tf.while_loop(lambda number, _: number < count, one, [tf.constant(0, tf.int64), zeros])[1]

    totals = Plan("eager" if engine.plan.name == "eager" else "graph").loop(sums)(
        tf.constant(batches, tf.int64), context(engine))
    ordered = [v for v in compute.traced.assigned if id(v) in momenta]
    return {id(v): tf.cast(total / batches, v.dtype) for v, total in zip(ordered, totals, strict=True)}
