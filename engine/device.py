"""What is done otherwise on a CPU than on a GPU: one table, by measurement (docs/speed.md, docs/gpu.md).

``nets`` and ``losses`` may not import it: their five places ask TensorFlow for a GPU themselves.
"""

from typing import NamedTuple

import tensorflow as tf


class Device(NamedTuple):
    """The ways that suit a kind of device.

    Attributes:
      shards: Whether two shards of a batch are computed side by side under XLA. A CPU runs one product on little more
        than one thread; a GPU is filled by one.
      row_products: Whether squares are summed by products with ones. XLA's reductions are slow on CPUs; on a GPU a
        product may round to TF32.
      one_launch: Whether XLA runs all updates of a call as one launch, batches and draws included. A GPU that waits for
        the host between updates idles most of the time.
      data_bytes: Size up to which arrays are kept where the updates are computed; on a GPU a guess, for cards of 16 GB.
      slow_convolutions: Whether XLA's convolutions are slower than TensorFlow's own.
      op_determinism: Whether ``enable_op_determinism`` is needed for equal bits, not only the arithmetic optimizer's
        absence.
    """

    name: str  # of TensorFlow's device
    shards: bool
    row_products: bool
    one_launch: bool
    data_bytes: int
    slow_convolutions: bool
    op_determinism: bool


CPU = Device("CPU:0", shards=True, row_products=True, one_launch=False, data_bytes=2**63, slow_convolutions=True,
             op_determinism=False)
GPU = Device("GPU:0", shards=False, row_products=False, one_launch=True, data_bytes=2**32, slow_convolutions=False,
             op_determinism=True)


def device() -> Device:
    """Of this process."""
    return GPU if tf.config.list_physical_devices("GPU") else CPU
