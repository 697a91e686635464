"""The sum over workers by TensorFlow's own collective operations: NCCL between GPUs, a ring over gRPC between CPUs.

Chosen by PHASELOOP_TRANSPORT=nccl or ring; sockets is the default, whose sum has one order for any number of workers
and is two to three times as fast between CPUs (docs/workers.md).
"""

import itertools
import socket

import tensorflow as tf

from engine.errors import Invalid
from engine.workers.collectives import Collectives

GROUP = 1  # key of all workers together
HINTS = {"ring": "RING", "nccl": "NCCL"}


class CollectiveOps:
    """Starts TensorFlow's server, before TensorFlow has done anything; its addresses are told over ``together``.

    Raises:
      Invalid: If TensorFlow is in use already.
    """

    def __init__(self, together: Collectives, host: str, transport: str) -> None:
        self._count, self._hint = together.count, transport
        with socket.socket() as held:
            held.bind(("", 0))
            mine = f"{host}:{held.getsockname()[1]}"
        hosts = [each.decode() for each in together.gather(mine.encode(), "addresses of TensorFlow's servers")]
        implementation = getattr(tf.distribute.experimental.CommunicationImplementation, HINTS[transport])
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": hosts}), task_type="worker", task_id=together.rank, rpc_layer="grpc")
        try:  # its scope is never entered: it starts the server
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy(
                resolver, tf.distribute.experimental.CommunicationOptions(implementation=implementation))
        except RuntimeError as error:
            raise Invalid(f"`PHASELOOP_TRANSPORT` ({transport}) must be chosen before TensorFlow is used: call "
                          f"engine.prepare() first ({str(error).splitlines()[0]})") from None
        self._token = tf.Variable(0.0, trainable=False)  # orders the operations of a worker
        self._instances = itertools.count(1)  # all workers trace their sums in one order

    def sum(self, tensor: tf.Tensor) -> tf.Tensor:
        """Traced."""
        return tf.raw_ops.CollectiveReduceV2(
            input=tensor, group_size=self._count, group_key=GROUP, instance_key=next(self._instances),
            ordering_token=[self._token.handle], merge_op="Add", final_op="Id", communication_hint=self._hint)
