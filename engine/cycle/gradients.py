"""From a batch to gradients: the first half of every update, up to the health check."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from engine.cycle.outline import Outline, seed_states, trainable
from engine.cycle.replicas import Replicas
from engine.data.source import Source
from engine.noise import Noise, Request, key
from engine.strategy import Nets, Phase


class Measured(NamedTuple):
    """What is known of an update before it is applied."""

    vector: tf.Tensor  # [len(names)] float32: means of all terms, last the gradients' global norm
    gradients: list[tf.Tensor]  # one per trained variable, of the global batch
    buffers: list[tf.Tensor]  # new values of the outline's buffers


class PhaseGradients:
    """One phase: its draws, its objective and the gradients, for one micro-batch or several.

    Args:
      phase, outline, nets, source, replicas: see there.
      seed: The run's seed.
      accumulate: Micro-batches per update, each a batch of the source.
    """

    def __init__(self, phase: Phase, outline: Outline, nets: Nets, source: Source, replicas: Replicas,
                 seed: int, accumulate: int) -> None:
        self.phase, self.outline, self.accumulate = phase, outline, accumulate
        self._nets, self._source, self._replicas, self._seed = nets, source, replicas, seed
        self.variables = trainable(phase, nets)
        self._states = seed_states(nets)
        self.names = ["objective", *outline.terms, *["regularization"] * outline.regularized, "gradient_norm"]

    def draw(self, update: tf.Tensor, batch: tf.Tensor, micro: tf.Tensor | int, reader: Any) -> tuple[Any, ...]:
        """Everything random or stored that a micro-batch needs; outside XLA, for the global batch.

        Args:
          update: The phase's update count, int64. batch: Number of the batch to read, int64.
          micro: Which micro-batch of the update this is. reader: Of the source.
        """
        raw = self._source.batch(batch, reader) if self.phase.reads_batch else {}
        data_draws = self._draw("data", batch, self.outline.data_requests, 1, 0)
        draws = self._draw(self.phase.name, update, self.outline.requests, self.accumulate, micro)
        return raw, data_draws, draws, self._seeds(update * self.accumulate + tf.cast(micro, tf.int64))

    def _seeds(self, moment: tf.Tensor) -> tf.Tensor:
        """Values [n, 2] for the states of Keras's seed generators."""
        if not self._states:
            return tf.zeros([0, 2], tf.int64)
        pair = key(self._seed, self.phase.name, moment, "seed generators")
        return tf.random.stateless_uniform([len(self._states), 2], pair, None, None, tf.int64, alg="philox")

    def _draw(self, place: str, number: tf.Tensor, requests: Mapping[str, Request], parts: int,
              part: tf.Tensor | int) -> dict[str, tf.Tensor]:
        examples = self._source.batch_size
        drawn = {name: request.draw(key(self._seed, place, number, name), examples * parts)
                 for name, request in requests.items()}
        if parts == 1:
            return drawn
        start = tf.cast(part, tf.int32) * examples
        return {name: tf.ensure_shape(tensor[start:start + examples], [examples, *tensor.shape[1:]])
                for name, tensor in drawn.items()}

    def gradients(self, update: tf.Tensor, scale: tf.Tensor | float, buffers: Sequence[tf.Tensor], raw: Any,
                  data_draws: Any, draws: Any, seeds: tf.Tensor) -> Measured:
        """In a replica: its share of the gradients and the means over its examples.

        The nets run in a Keras ``StatelessScope``: they read weights, statistics and seeds from here and
        assign nothing, so an update that turns out bad leaves no trace.
        """
        raw, data_draws, draws = self._replicas.part((raw, data_draws, draws))
        examples = self._source.batch_size // self._replicas.count
        values = [tf.convert_to_tensor(v.value) for v in self.variables]
        state = [*zip(self.variables, values, strict=True), *zip(self.outline.buffers, buffers, strict=True),
                 *zip(self._states, tf.unstack(self._replicas.own_seeds(seeds), len(self._states)), strict=True)]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            with keras.StatelessScope(state, collect_losses=True) as scope:
                batch = self._source.transform(raw, Noise(examples=examples, drawn=data_draws)) if raw else {}
                terms = self.phase.loss(self._nets, batch, Noise(examples=examples, drawn=draws))
                means = self._means(terms, update)
            share = means[0] * scale / self._replicas.count
        gradients = tape.gradient(share, values, unconnected_gradients="zero")
        return Measured(tf.stack(means), [tf.convert_to_tensor(gradient) for gradient in gradients],
                        [scope.get_current_value(v) for v in self.outline.buffers])

    def _means(self, terms: Mapping[str, tf.Tensor], update: tf.Tensor) -> list[tf.Tensor]:
        means = {name: tf.reduce_mean(tf.cast(terms[name], tf.float32)) for name in self.outline.terms}
        if self.outline.regularized:
            penalties = [tf.cast(loss, tf.float32) for net in self.phase.updates for loss in self._nets[net].losses]
            means["regularization"] = tf.add_n(penalties)
        counted = [self._weight(name, update) * mean for name, mean in means.items() if name not in self.phase.watch]
        return [tf.add_n(counted), *means.values()]

    def _weight(self, name: str, update: tf.Tensor) -> Any:
        weight = self.phase.weights.get(name, 1.0)
        return tf.cast(weight(update), tf.float32) if callable(weight) else weight

    def finish(self, parts: Measured, scale: tf.Tensor | float) -> Measured:
        """Mean over micro-batches, gradients without the loss scale, and their norm into the vector."""
        factor = 1.0 / (self.accumulate * scale)
        if self.accumulate > 1 or not isinstance(scale, float):
            parts = parts._replace(gradients=[gradient * factor for gradient in parts.gradients])
        vector = parts.vector / self.accumulate if self.accumulate > 1 else parts.vector
        norm = tf.sqrt(tf.add_n([_squared_sum(gradient) for gradient in parts.gradients]))
        return parts._replace(vector=tf.concat([vector, [norm]], axis=0))


def _squared_sum(gradient: tf.Tensor) -> tf.Tensor:
    # Rows by a product with ones, then their few sums: XLA on CPUs has a fast product and a slow reduction
    # (the norm of 209 000 gradients as one reduction cost 14 % of a VAE update, this way 3 to 9 %).
    # On GPUs a product might round to TF32.
    squares = tf.square(tf.cast(gradient, tf.float32))
    if tf.config.list_physical_devices("GPU"):
        return tf.reduce_sum(squares)
    size = gradient.shape.num_elements()
    width = next(width for width in (1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1) if size % width == 0)
    return tf.reduce_sum(tf.linalg.matvec(tf.reshape(squares, [size // width, width]), tf.ones([width])))
