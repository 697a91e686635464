"""Vectors of tokens, whose gradient a GPU adds up with the same bits in each run."""

from typing import Any

import keras
import tensorflow as tf


class Embedding(keras.layers.Embedding):
    """Keras's layer. On a GPU the gradient is added up by a prefix sum over sorted tokens.

    TensorFlow adds it entry by entry in any order there, and XLA, where bits must be equal, by a loop over all tokens:
    of 64 texts of 200 words 35 of 70 ms on an H100.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """inputs [...], integers in [0, V) -> [..., E]."""
        if not tf.config.list_physical_devices("GPU"):
            return super().call(inputs)
        ids = tf.cast(tf.convert_to_tensor(inputs), tf.int32)
        return tf.cast(rows_of(tf.convert_to_tensor(self._embeddings), ids), self.compute_dtype)


@tf.custom_gradient
def rows_of(table: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """table [V, E], ids [...] int32 -> [..., E]; the gradient without a scatter."""
    def gradient(rows: tf.Tensor) -> tuple[tf.Tensor, None]:
        flat = tf.reshape(rows, [-1, tf.shape(table)[1]])
        return sums_by_id(flat, tf.reshape(ids, [-1]), tf.shape(table)[0]), None

    return tf.gather(table, ids), gradient


def sums_by_id(rows: tf.Tensor, ids: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """rows [N, E], ids [N] -> [count, E]: for each id the sum of its rows.

    After the rows comes one of zeros for each id, and all are sorted by id. Then each row gets the sum of the rows of
    its id down to it: by adding the row 1, 2, 4, ... before it where that has the same id (Hillis and Steele, "Data
    parallel algorithms", CACM 29(12), 1986). Those of zeros, the last of their ids, have the sums.
    """
    all_ids = tf.concat([ids, tf.range(count)], axis=0)
    order = tf.argsort(all_ids, stable=True)
    here = tf.gather(all_ids, order)
    sums = tf.gather(tf.concat([rows, tf.zeros([count, tf.shape(rows)[1]], rows.dtype)], axis=0), order)
    total, known = tf.size(here), here.shape[0]

    def add(step: tf.Tensor | int, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        before = tf.maximum(tf.range(total) - step, 0)
        same = tf.equal(tf.gather(here, before), here) & (tf.range(total) >= step)
        return 2 * step, sums + tf.where(same[:, None], tf.gather(sums, before), tf.zeros([], sums.dtype))

    if known is None:
        _, sums = tf.while_loop(lambda step, _: step < total, add, (tf.constant(1), sums))
    else:  # not a loop, at which a GPU may wait for the host
        step: Any = 1
        while step < known:
            step, sums = add(step, sums)
    return tf.gather(sums, tf.argsort(order)[tf.size(ids):])
