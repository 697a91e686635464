"""Everything of an update that is random or stored: its batches, its noise, the seeds of Keras's layers.

All of it follows from a few integers, so it can be made ahead of the update; and it is made outside XLA, whose random
functions give other numbers, or inside by our own (``PhaseInputs.inside``), which give the same.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from engine import philox
from engine.cycle.reads import Reads
from engine.cycle.stacked import each_of, stack
from engine.cycle.trace import Traced
from engine.noise import Request, key, rows_of
from engine.strategy import Phase
from engine.workers.part import WHOLE, Part

Numbers = Callable[[tf.Tensor], tuple[tf.Tensor, Sequence[tf.Tensor]]]

DATA = "/data"  # where the draws of a transform are keyed, as a phase of a name that no phase can have


class Context(NamedTuple):
    """Where batches come from, and how often the run was rolled back: other draws after each time."""

    readers: Mapping[str, Any] = {}  # of sources that need one
    rollbacks: Any = 0  # int64

    def fold_in(self, number: tf.Tensor) -> tf.Tensor:
        """``number``, of an update or batch, as part of a draw's key."""
        return number + self.rollbacks * 2**40


class Inputs(NamedTuple):
    """What one update, or one micro-batch of it, is given. For an update each tensor is [accumulate, ...]."""

    raw: dict[str, dict[str, tf.Tensor]]  # the batches as stored, by source; empty for a phase that reads none
    data: dict[str, dict[str, tf.Tensor]]  # draws of the transforms, by source
    loss: dict[str, tf.Tensor]  # draws of the loss
    seeds: tf.Tensor  # [seed generators, 2] int64

    def micro(self, number: tf.Tensor | int) -> "Inputs":
        """The part of micro-batch ``number``."""
        return tf.nest.map_structure(lambda tensor: tensor[number], self)


class PhaseInputs:
    """The inputs of one phase, for the global batch.

    Args:
      sources: Names of all sources of the run, in order.
      seed_states: Number of Keras seed generators in the nets.
      seed: The run's seed.
      accumulate: Micro-batches per update, each a batch of the source.
      part: Part of every batch that this worker is given.
    """

    def __init__(self, phase: Phase, traced: Traced, reads: Reads, sources: Sequence[str], seed_states: int, seed: int,
                 accumulate: int, part: Part = WHOLE) -> None:
        self._phase, self._traced, self.reads = phase, traced, reads
        self._places = {name: place for place, name in enumerate(sources) if name in reads.sources}
        self._seed_states, self._seed, self._parts = seed_states, seed, accumulate
        self._inside, self._part = False, part

    @property
    def in_sequence(self) -> bool:
        """Whether it reads from a source whose batches come one after the other."""
        return any(source.in_sequence for source in self.reads.sources.values())

    def inside(self) -> "PhaseInputs":
        """The same, made of operations that XLA compiles to the same numbers."""
        other = copy.copy(self)
        other._inside = True
        return other

    def of(self, update: tf.Tensor, batches: Sequence[tf.Tensor], context: Context) -> Inputs:
        """For the phase's update number ``update``, which begins to read at these ``batches`` of the sources."""
        raw = {name: stack([self._batch(name, batches[place] + i, context) for i in range(self._parts)])
               for name, place in self._places.items()}
        return Inputs(raw, *self._noise(update, batches, context))

    def _batch(self, name: str, number: tf.Tensor, context: Context) -> Any:
        source, reader = self.reads.sources[name], context.readers.get(name, ())
        return source.batch_inside(number) if self._inside else source.part(number, reader, self._part)

    def ahead(self, count: int, wanted: tf.Tensor, numbers: Numbers, context: Context) -> Inputs:
        """For ``count`` updates, each tensor [count, accumulate, ...].

        Only the first ``wanted`` (int32) are drawn and read, the others are zeros. In a loop: fifty draws side by side
        took seconds to trace.

        Args:
          numbers: ``numbers(i) -> (update, batches)``, as ``of`` takes them, of the i-th; i is int64, a vector too.
        """
        _, starts = numbers(tf.range(count, dtype=tf.int64))
        parts = tf.range(self._parts, dtype=tf.int64)
        raw: dict[str, dict[str, tf.Tensor]] = {}
        for name, place in self._places.items():
            read = self.reads.sources[name].batches(tf.reshape(starts[place][:, None] + parts, [-1]),
                                                    wanted * self._parts, context.readers.get(name, ()))
            raw[name] = {key: tf.reshape(tensor, [count, self._parts, *tensor.shape[1:]])
                         for key, tensor in read.items()}

        def noise(i: tf.Tensor) -> Any:
            return self._noise(*numbers(tf.cast(i, tf.int64)), context)

        return Inputs(raw, *each_of(noise, count, wanted))

    def _noise(self, update: tf.Tensor, batches: Sequence[tf.Tensor], context: Context) -> tuple[Any, Any, tf.Tensor]:
        data = {}
        for name, place in self._places.items():
            requests, size = self._traced.data_requests[name], {"": self.reads.sources[name].batch_size}
            # As ever for the first source; each other one by its name.
            at = f"{DATA}/{name}" if place else DATA
            each = [self._draw(at, context.fold_in(batches[place] + i), requests, size, 1) for i in range(self._parts)]
            data[name] = {key: tensor[:, 0] for key, tensor in stack(each).items()}
        # One draw for all micro-batches: an example's draw depends on its place in the whole batch.
        sizes = {"": self.reads.examples, **self.reads.sizes}
        loss = self._draw(self._phase.name, context.fold_in(update), self._traced.requests, sizes, self._parts)
        return data, loss, tf.stack([self._seeds(context.fold_in(update * self._parts + i))
                                     for i in range(self._parts)])

    @property
    def bytes_per_update(self) -> int:
        """Memory of what one update is given."""
        sizes = {"": self.reads.examples, **self.reads.sizes}
        requests = [*self._traced.requests.values()]
        size = sum(4 * sizes[request.of] * math.prod(request.shape) for request in requests)
        for name, source in self.reads.sources.items():
            size += sum(4 * source.batch_size * math.prod(request.shape)
                         for request in self._traced.data_requests[name].values())
            size += sum(spec.shape.num_elements() * spec.dtype.size for spec in source.spec.values())
        return self._parts * size

    def _seeds(self, number: tf.Tensor) -> tf.Tensor:
        if not self._seed_states:
            return tf.zeros([0, 2], tf.int64)
        pair = key(self._seed, self._phase.name, number, "seed generators")
        if self._inside:
            return philox.integers([self._seed_states, 2], pair)
        return tf.random.stateless_uniform([self._seed_states, 2], pair, None, None, tf.int64, alg="philox")

    def _draw(self, place: str, number: tf.Tensor, requests: Mapping[str, Request], sizes: Mapping[str, int],
              batches: int) -> dict[str, tf.Tensor]:
        return {name: rows_of(request, key(self._seed, place, number, name), sizes[request.of], batches, self._part,
                              self._inside) for name, request in requests.items()}
