"""Everything of an update that is random or stored: its batches, its noise, the seeds of Keras's layers.

All of it follows from the number of the update, so it can be made ahead of the update; and it is made outside
XLA, whose random functions give other numbers, or inside by our own (``Draws.inside``), which give the same.
"""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from engine import philox
from engine.cycle.outline import Outline
from engine.data.source import Source
from engine.noise import Request, key
from engine.strategy import Phase

DATA = "/data"  # where the draws of the transform are keyed, as a phase of a name that no phase can have


class Course(NamedTuple):
    """Where the batches come from, and how far a run that was rolled back has left its first course."""

    reader: Any = ()  # of the source
    skipped: tf.Tensor | int = 0  # int64: batches passed over
    salt: tf.Tensor | int = 0  # int64: rollbacks; other draws after each

    def moment(self, number: tf.Tensor) -> tf.Tensor:
        """``number``, of an update or batch, as part of a draw's key."""
        return number + self.salt * 2**40


class Drawn(NamedTuple):
    """What one update, or one micro-batch of it, is given. For an update each tensor is [accumulate, ...]."""

    raw: dict[str, tf.Tensor]  # the batch as stored; empty for a phase that reads none
    data: dict[str, tf.Tensor]  # draws of the source's transform
    loss: dict[str, tf.Tensor]  # draws of the loss
    seeds: tf.Tensor  # [seed generators, 2] int64

    def micro(self, number: tf.Tensor | int) -> "Drawn":
        """The part of micro-batch ``number``."""
        return tf.nest.map_structure(lambda tensor: tensor[number], self)


class Draws:
    """The draws of one phase, for the global batch.

    Args:
      seed_states: Number of Keras seed generators in the nets.
      seed: The run's seed.
      accumulate: Micro-batches per update, each a batch of the source.
    """

    def __init__(self, phase: Phase, outline: Outline, source: Source, seed_states: int, seed: int,
                 accumulate: int) -> None:
        self._phase, self._outline, self._source = phase, outline, source
        self._seed_states, self._seed, self._parts = seed_states, seed, accumulate
        self.batches = accumulate if phase.reads_batch else 0  # of the source, per update
        self.in_sequence = source.in_sequence
        self._inside = False

    def inside(self) -> "Draws":
        """The same, made of operations that XLA compiles to the same numbers."""
        other = copy.copy(self)
        other._inside = True
        return other

    def of(self, update: tf.Tensor, batch: tf.Tensor, course: Course) -> Drawn:
        """For the phase's update number ``update``, which begins to read at batch number ``batch`` (both int64)."""
        numbers = [batch + course.skipped + i for i in range(self._parts)]
        raw = [self._batch(number, course) for number in numbers] if self._phase.reads_batch else [{}]
        return Drawn(_stack(raw), *self._noise(update, numbers, course))

    def _batch(self, number: tf.Tensor, course: Course) -> Any:
        return self._source.batch_inside(number) if self._inside else self._source.batch(number, course.reader)

    def ahead(self, count: int, update: tf.Tensor, batch_of: Callable[[tf.Tensor], tf.Tensor], wanted: tf.Tensor,
              course: Course) -> Drawn:
        """For ``count`` updates from number ``update`` on (int64), each tensor [count, accumulate, ...].

        Only the first ``wanted`` (int32) are drawn and read, the others are zeros. ``batch_of(update)`` is the number
        of the batch at which an update begins to read. In a loop: fifty draws side by side took seconds to trace.
        """
        updates = update + tf.range(count, dtype=tf.int64)
        parts = tf.range(self._parts, dtype=tf.int64)
        batches = (batch_of(updates) + course.skipped)[:, None] + parts  # [count, parts]
        raw = {}
        if self._phase.reads_batch:
            read = self._source.batches(tf.reshape(batches, [-1]), wanted * self._parts, course.reader)
            raw = {name: tf.reshape(tensor, [count, self._parts, *tensor.shape[1:]]) for name, tensor in read.items()}

        def noise(i: tf.Tensor) -> Any:
            return self._noise(updates[i], tf.unstack(batches[i]), course)

        return Drawn(raw, *_each(noise, count, wanted))

    def _noise(self, update: tf.Tensor, batches: list[tf.Tensor], course: Course) -> tuple[Any, Any, tf.Tensor]:
        data = [self._draw(DATA, course.moment(number), self._outline.data_requests, 1) for number in batches]
        # One draw for all micro-batches: an example's draw depends on its place in the whole batch.
        loss = self._draw(self._phase.name, course.moment(update), self._outline.requests, self._parts)
        seeds = [self._seeds(course.moment(update * self._parts + i)) for i in range(self._parts)]
        return _stack(data), self._split(loss), tf.stack(seeds)

    @property
    def bytes_per_update(self) -> int:
        """Memory of what one update is given."""
        requests = [*self._outline.requests.values(), *self._outline.data_requests.values()]
        stored = self._source.spec.values() if self._phase.reads_batch else []
        drawn = sum(4 * self._source.batch_size * math.prod(request.shape) for request in requests)
        return self._parts * (drawn + sum(spec.shape.num_elements() * spec.dtype.size for spec in stored))

    def _seeds(self, moment: tf.Tensor) -> tf.Tensor:
        if not self._seed_states:
            return tf.zeros([0, 2], tf.int64)
        pair = key(self._seed, self._phase.name, moment, "seed generators")
        if self._inside:
            return philox.integers([self._seed_states, 2], pair)
        return tf.random.stateless_uniform([self._seed_states, 2], pair, None, None, tf.int64, alg="philox")

    def _draw(self, place: str, number: tf.Tensor, requests: Mapping[str, Request], parts: int
              ) -> dict[str, tf.Tensor]:
        return {name: request.draw(key(self._seed, place, number, name), self._source.batch_size * parts, self._inside)
                for name, request in requests.items()}

    def _split(self, drawn: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        shape = [self._parts, self._source.batch_size]
        return {name: tf.reshape(tensor, [*shape, *tensor.shape[1:]]) for name, tensor in drawn.items()}


def _each(draw: Callable[[tf.Tensor], Any], count: int, wanted: tf.Tensor) -> Any:
    """``draw(i)`` for i below ``wanted``, and zeros from there to ``count``, stacked."""
    example = draw(tf.constant(0))  # for its form; nothing reads it
    arrays = [tf.TensorArray(tensor.dtype, count, element_shape=tensor.shape) for tensor in tf.nest.flatten(example)]

    def one(i: tf.Tensor, arrays: list[Any]) -> tuple[tf.Tensor, list[Any]]:
        drawn = tf.nest.flatten(draw(i))
        return i + 1, [array.write(i, tensor) for array, tensor in zip(arrays, drawn, strict=True)]

    _, arrays = tf.while_loop(lambda i, _: i < wanted, one, [tf.constant(0), arrays])
    return tf.nest.pack_sequence_as(example, [array.stack() for array in arrays])


def _stack(parts: list[Any]) -> Any:
    return tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *parts)
