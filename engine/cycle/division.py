"""How the batch of an update is divided among workers; and into fixed shards, where bits must not tell their number.

A worker makes what is its own of batches and draws, computes terms and gradients of it, and one sum over workers makes
them those of the whole. Without shards the trajectory is that of one worker within rounding: batch normalisation takes
its statistics over all workers (``synchronised``), and dropout the rows of the whole batch's draw.

With shards (``Trainer(reproducible=L)``) each of the L is computed by itself, with statistics and seeds of its own, and
their sums go up one balanced tree, within a worker and then between pairs of workers: the same bits for 1, 2, ..., L.
"""

from collections.abc import Mapping

import tensorflow as tf

from engine.cycle.inputs import Inputs
from engine.errors import require
from engine.workers.part import Part
from engine.workers.workers import Workers

APART = 0x9E3779B9  # between the seeds of two shards


class Division:
    """Among ``workers``, into ``shards`` of the whole batch; None for one part per worker.

    Attributes:
      count: Parts of the whole batch. mine: Numbers of those that this worker computes.
      exact: Whether they are fixed shards.
    """

    def __init__(self, workers: Workers | None = None, shards: int | None = None,
                 batch_sizes: Mapping[str, int] | None = None) -> None:
        self.workers = workers or Workers()
        self.exact = shards is not None
        self.count = self.workers.count if shards is None else shards
        require((self.count & (self.count - 1) == 0 and self.count >= 1) or shards is None, "reproducible", shards,
                "a power of two")
        require(self.count % self.workers.count == 0, "reproducible", shards,
                f"a multiple of the number of workers, {self.workers.count}")
        require(shards is None or self.workers.adds_in_pairs, "reproducible", shards,
                "None with PHASELOOP_TRANSPORT=ring or nccl, which add in an order of their own")
        for name, size in (batch_sizes or {}).items():
            require(size % self.count == 0, "batch_size", size if len(batch_sizes or {}) == 1 else f"{size} of {name}",
                    f"a multiple of {self.count} {'shards' if self.exact else 'workers'}")
        each = self.count // self.workers.count
        self.mine = range(self.workers.rank * each, (self.workers.rank + 1) * each)

    @property
    def whole(self) -> bool:
        """Whether nothing is divided."""
        return self.count == 1

    @property
    def synchronises(self) -> bool:
        """Whether layers' batch statistics are those of all workers."""
        return self.workers.count > 1 and not self.exact

    def inputs(self, inputs: Inputs, number: int) -> Inputs:
        """Of what this worker was given, with the micro-batches in the first axis, the part ``number``."""
        if len(self.mine) == 1:
            return inputs if not self.exact else inputs._replace(seeds=self._seeds(inputs.seeds, number))
        part = Part(number - self.mine[0], len(self.mine))

        def take(tensor: tf.Tensor) -> tf.Tensor:
            return tensor[:, part.rows(tensor.shape[1])]

        raw, data, loss = tf.nest.map_structure(take, (inputs.raw, inputs.data, inputs.loss))
        return Inputs(raw, data, loss, self._seeds(inputs.seeds, number))

    @staticmethod
    def _seeds(seeds: tf.Tensor, number: int) -> tf.Tensor:
        return seeds + tf.constant(number * APART, seeds.dtype)
