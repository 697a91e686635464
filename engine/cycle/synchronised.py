"""Layers on a part of a batch as on the whole: batch statistics over all workers, and the part's rows of a draw."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.division import Division
from engine.cycle.keras_layers import draws_by, moments_by
from engine.cycle.plan import in_xla
from engine.noise import some_of
from engine.workers.part import Part
from engine.workers.workers import Workers


@contextmanager
def of_one_batch(division: Division, examples: int) -> Iterator[None]:
    """Inside, layers that are traced see the whole batch through the ``examples`` of a worker's part.

    Nothing is changed for one worker, nor where shards have statistics and seeds of their own.
    """
    if not division.synchronises:
        yield
        return
    workers = division.workers
    with ExitStack() as stack:
        stack.enter_context(moments_by(partial(_moments, workers)))
        stack.enter_context(draws_by(partial(_rows, workers.part, examples)))
        yield


def _moments(workers: Workers, own: tuple[tf.Tensor, tf.Tensor], weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance [C] over all workers, of each one's and the weight (number of values) that it has.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
    """
    mean, variance = own
    channels = mean.shape[0]
    mine = tf.concat([mean, variance, tf.reshape(tf.cast(weight, mean.dtype), [1])], axis=0)
    place = tf.reshape(tf.one_hot(workers.rank, workers.count, dtype=mean.dtype), [-1, 1])
    flat = _summed(workers, tf.reshape(place * mine, [-1]))
    means, variances, weights = tf.split(tf.reshape(flat, [workers.count, -1]), [channels, channels, 1], axis=1)
    fractions = weights / tf.reduce_sum(weights)
    whole = tf.reduce_sum(fractions * means, axis=0)
    return whole, tf.reduce_sum(fractions * (variances + tf.square(means - whole)), axis=0)


def _summed(workers: Workers, vector: tf.Tensor) -> tf.Tensor:
    """The sum over workers. Each one's objective hangs on the vectors of all, and so do gradients."""
    @tf.custom_gradient
    def summed(vector: tf.Tensor) -> Any:
        return workers.sum(vector, "batch statistics"), lambda upstream: _summed(workers, upstream)

    found: tf.Tensor = summed(vector)
    return found


def _rows(part: Part, examples: int, shape: tuple[int, ...], draw: Callable[[Any], tf.Tensor],
          seed: tf.Tensor | None) -> tf.Tensor:
    """What a layer draws for the batch: of the draw for the whole batch, the part's rows.

    Of several batches, one after the other, the rows of each. A draw of another form is the same everywhere, as noise
    on weights must be.

    Args:
      draw: ``draw(shape)``: the layer's own function.
      seed: Seed of uniform numbers, which need not all be drawn; not under XLA, whose numbers hang on their count.
    """
    if not shape or shape[0] % examples:
        return draw(shape)
    batches = shape[0] // examples
    if batches == 1 and seed is not None and not in_xla():
        return some_of("uniform", seed, shape[1:], slice(part.number * examples, (part.number + 1) * examples))
    every = tf.reshape(draw([shape[0] * part.of, *shape[1:]]), [batches, examples * part.of, *shape[1:]])
    return tf.reshape(every[:, part.rows(examples * part.of)], shape)
