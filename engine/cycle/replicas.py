"""The cycle under ``tf.distribute``: this replica's part of the global batch, and reductions.

Batches and draws are made once, for the global batch, in cross-replica context; each replica takes its
part. With one replica every function here is the identity.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.inputs import Inputs
from engine.errors import require


class Replicas:
    """The ``tf.distribute`` strategy that was current when the engine was made."""

    def __init__(self, *batch_sizes: int) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.count: int = self.strategy.num_replicas_in_sync
        for size in batch_sizes:
            require(size % self.count == 0, "batch_size", size, f"a multiple of {self.count} replicas")

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """``function`` on every replica."""
        return function(*args) if self.count == 1 else self.strategy.run(function, args=args)

    def inputs(self, inputs: Inputs) -> Inputs:
        """In a replica: its equal part of the examples, and other seeds for Keras's generators than its neighbours."""
        if self.count == 1:
            return inputs
        mine = tf.distribute.get_replica_context().replica_id_in_sync_group

        def take(tensor: tf.Tensor) -> tf.Tensor:
            each = tensor.shape[0] // self.count
            return tf.ensure_shape(tensor[mine * each:(mine + 1) * each], [each, *tensor.shape[1:]])

        raw, data, loss = tf.nest.map_structure(take, (inputs.raw, inputs.data, inputs.loss))
        return Inputs(raw, data, loss, inputs.seeds + tf.cast(mine, inputs.seeds.dtype) * 0x9E3779B9)

    def sum(self, values: Sequence[Any]) -> list[tf.Tensor]:
        """Per-replica tensors, summed."""
        return self._reduce("SUM", values)

    def mean(self, values: Sequence[Any]) -> list[tf.Tensor]:
        """Per-replica tensors, averaged (integers: the first replica's)."""
        return self._reduce("MEAN", values)

    def gathered(self, value: Any) -> tf.Tensor:
        """Per-replica tensors [B, ...], one after the other."""
        return value if self.count == 1 else tf.concat(self.strategy.experimental_local_results(value), axis=0)

    def _reduce(self, how: str, values: Sequence[Any]) -> list[tf.Tensor]:
        if self.count == 1:
            return list(values)
        return [self.strategy.reduce(how, value, axis=None) for value in values]
