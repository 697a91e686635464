"""Layers on a part of a batch as on the whole: batch statistics over all workers, and the part's rows of a draw."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.division import Division
from engine.cycle.keras_layers import Statistics, draws_by, statistics_by
from engine.cycle.plan import in_xla
from engine.cycle.reads import Reads
from engine.cycle.symbolic import Specs, called, tracing
from engine.data.source import Batch
from engine.noise import some_of
from engine.strategy import Nets, Phase
from engine.workers.part import Part
from engine.workers.workers import Workers

Shape = tuple[int, ...]


class Drawn:
    """What layers draw for the whole batch of a phase, in each of its buckets: shapes, in the order of the draws.

    Beside the shape of the same draw for a part it shows in which axis the examples lie.
    """

    def __init__(self, phase: Phase, nets: Nets, reads: Reads, state: Specs) -> None:
        self._shapes = {_forms({name: at.specs(name) for name in at.sources}): _drawn(phase, nets, at, state)
                        for at in reads.in_each_bucket}

    def at(self, raw: Mapping[str, Batch]) -> list[Shape]:
        """Shapes in the bucket of ``raw``, by source a batch or a part of one."""
        return self._shapes[_forms(raw)]


def _forms(batches: Mapping[str, Mapping[str, Any]]) -> tuple[Any, ...]:
    """Of each batch the shapes of an example."""
    return tuple((source, tuple(sorted((name, *each.shape[1:]) for name, each in batches[source].items())))
                 for source in sorted(batches))


def _drawn(phase: Phase, nets: Nets, reads: Reads, state: Specs) -> list[Shape]:
    shapes: list[Shape] = []

    def drawn(shape: Shape, draw: Callable[[Any], tf.Tensor], seed: Any) -> tf.Tensor:
        shapes.append(shape)
        return draw(shape)

    with tracing(f"phase {phase.name}") as (scope, _), scope.tape, draws_by(drawn):
        called(phase.loss, nets, reads, f"phase {phase.name}", state)
    return shapes


@contextmanager
def of_one_batch(division: Division, parts: int, reads: Reads, drawn: Drawn | None, raw: Mapping[str, Batch]
                 ) -> Iterator[None]:
    """Inside, layers that are traced see the whole batch through a worker's part, or a shard of this.

    Nothing is changed for one worker, nor where shards have statistics and seeds of their own.

    Args:
      parts: Parts of the whole batch, of which one is computed. raw: It, as stored, by source.
      drawn: What layers draw for the whole batch; None if they draw nothing.
    """
    if not division.synchronises:
        yield
        return
    workers, sizes = division.workers, [reads.examples, *reads.sizes.values()]
    wholes = iter(drawn.at(raw) if drawn else [])
    with ExitStack() as stack:
        stack.enter_context(statistics_by(partial(_of_whole, workers)))
        stack.enter_context(draws_by(partial(_rows, workers.part, parts, sizes, wholes)))
        yield


def _of_whole(workers: Workers, own: Statistics, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Mean and variance [c] over all workers, and number of values, of each one's and the number that it has.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
    """
    mean, variance = own
    channels = mean.shape[0]
    mine = tf.concat([mean, variance, tf.reshape(tf.cast(values, mean.dtype), [1])], axis=0)
    place = tf.reshape(tf.one_hot(workers.rank, workers.count, dtype=mean.dtype), [-1, 1])
    flat = _summed(workers, tf.reshape(place * mine, [-1]))
    means, variances, counts = tf.split(tf.reshape(flat, [workers.count, -1]), [channels, channels, 1], axis=1)
    count = tf.reduce_sum(counts)
    whole = tf.reduce_sum(counts / count * means, axis=0)
    return whole, tf.reduce_sum(counts / count * (variances + tf.square(means - whole)), axis=0), count


def _summed(workers: Workers, vector: tf.Tensor) -> tf.Tensor:
    """The sum over workers. Each one's objective hangs on the vectors of all, and so do gradients."""
    @tf.custom_gradient
    def summed(vector: tf.Tensor) -> Any:
        return workers.sum(vector, "batch statistics"), lambda upstream: _summed(workers, upstream)

    found: tf.Tensor = summed(vector)
    return found


def _rows(part: Part, parts: int, sizes: Sequence[int], wholes: Iterator[Shape], shape: Shape,
          draw: Callable[[Any], tf.Tensor], seed: tf.Tensor | None) -> tf.Tensor:
    """What a layer draws for the batch: of the draw for the whole batch, the part's rows.

    Of several batches of the first source, one after the other, the rows of each. A draw that has the same shape for
    the whole batch is the same everywhere, as noise on weights must be.

    Args:
      parts: Parts of the whole batch, of which one is computed. sizes: Examples of the whole batch, of each source; of
        the first source first. wholes: Shapes for the whole batch, of this draw and all that follow.
      draw: ``draw(shape)``: the layer's own function.
      seed: Seed of uniform numbers, which need not all be drawn; not under XLA, whose numbers hang on their count.
    """
    axis = next((axis for axis, (own, whole) in enumerate(zip(shape, next(wholes, ()), strict=False))
                 if whole != own and whole == own * parts), None)
    if axis is None:
        return draw(shape)
    size = shape[axis] if shape[axis] * parts in sizes or shape[axis] * parts % sizes[0] else sizes[0] // parts
    rows = part.rows(size * part.of)
    if axis == 0 and shape[0] == size and seed is not None and not in_xla():
        return some_of("uniform", seed, shape[1:], rows)
    before, after = shape[:axis], shape[axis + 1:]
    every = tf.reshape(draw([*before, shape[axis] * part.of, *after]),
                       [*before, shape[axis] // size, size * part.of, *after])
    mine = (*[slice(None)] * (axis + 1), rows)
    return tf.reshape(every[mine], shape)
