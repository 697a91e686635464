"""What the engine sees of several processes: one alone, or several that do the same on parts of each batch."""

import atexit
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from engine.errors import Invalid, require
from engine.workers.cluster import Cluster, cluster
from engine.workers.collective_ops import HINTS, CollectiveOps
from engine.workers.collectives import Collectives, packed, unpacked
from engine.workers.heartbeat import Heartbeat
from engine.workers.links import Links
from engine.workers.part import Part


class Workers:
    """One process alone. Nothing here costs it anything: it is not called, or gives back what it is given.

    Attributes:
      rank: Place of this process among them; 0 is the chief. count: Number of processes.
    """

    rank, count = 0, 1

    @property
    def is_chief(self) -> bool:
        """Whether this one reads and writes the run's folder and speaks to people."""
        return self.rank == 0

    @property
    def part(self) -> Part:
        """Of each batch, what is this worker's."""
        return Part(self.rank, self.count)

    @property
    def adds_in_pairs(self) -> bool:
        """Whether ``sum`` goes up one balanced tree, for any number of workers."""
        return True

    def sum(self, tensor: tf.Tensor, name: str) -> tf.Tensor:
        """Traced: the sum over workers of a vector, the same bits on each."""
        return tensor

    def gathered(self, tensor: tf.Tensor, name: str) -> tf.Tensor:
        """Traced: the workers' tensors [b, ...], one after the other: [count * b, ...]."""
        return tensor

    def added(self, values: np.ndarray, name: str) -> np.ndarray:
        """``sum`` of an array, untraced."""
        return values

    def from_chief(self, value: Any, name: str) -> Any:
        """The chief's JSON value."""
        return value

    def from_all(self, value: Any, name: str) -> list[Any]:
        """The JSON value of each worker."""
        return [value]

    def arrays_from_chief(self, arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
        """The chief's arrays."""
        return dict(arrays)

    def arrays_from_all(self, arrays: Mapping[str, np.ndarray], name: str) -> list[dict[str, np.ndarray]]:
        """The arrays of each worker."""
        return [dict(arrays)]

    def agree(self, values: Mapping[str, Any], why: str) -> None:
        """Raise ``Invalid``, on all, unless all workers have the same JSON ``values``."""

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """The chief's seconds, on all: whoever asks, all must."""
        return clock

    def most(self, number: int, name: str) -> int:
        """The largest of all workers' numbers."""
        return number

    def check(self) -> None:
        """Raise ``WorkerLost`` if a partner is lost."""

    def close(self) -> None:
        """This worker has done its part."""


class Several(Workers):
    """This process and its partners."""

    def __init__(self, members: Cluster) -> None:
        self.rank, self.count = members.rank, len(members.addresses)
        self._links = Links(members)
        self._together = Collectives(self._links)
        self._heartbeat = Heartbeat(self._links)
        self.sums = 0  # that were taken in training, by sockets
        transport = os.environ.get("PHASELOOP_TRANSPORT", "sockets")
        require(transport in ("sockets", *HINTS), "PHASELOOP_TRANSPORT", transport,
                f"one of sockets, {', '.join(HINTS)}")
        host, _ = members.addresses[self.rank]
        self._operations = CollectiveOps(self._together, host, transport) if transport in HINTS else None

    @property
    def adds_in_pairs(self) -> bool:
        return self._operations is None

    @property
    def bytes_sent(self) -> int:
        """By this worker, up to now."""
        return self._links.sent

    def sum(self, tensor: tf.Tensor, name: str) -> tf.Tensor:
        if self._operations is not None:
            return self._operations.sum(tensor)

        def together(values: np.ndarray) -> np.ndarray:
            self.sums += 1
            return self._together.sum(values, name)

        return tf.ensure_shape(tf.numpy_function(together, [tensor], tensor.dtype), tensor.shape)

    def gathered(self, tensor: tf.Tensor, name: str) -> tf.Tensor:
        def together(values: np.ndarray) -> np.ndarray:
            parts = self._together.gather(np.ascontiguousarray(values).tobytes(), name)
            return np.concatenate([np.frombuffer(part, values.dtype).reshape(values.shape) for part in parts])

        whole = [tensor.shape[0] * self.count, *tensor.shape[1:]]
        if tensor.dtype in (tf.bfloat16, tf.float16, tf.bool):  # NumPy has not all of them
            return tf.cast(self.gathered(tf.cast(tensor, tf.float32), name), tensor.dtype)
        return tf.ensure_shape(tf.numpy_function(together, [tensor], tensor.dtype), whole)

    def added(self, values: np.ndarray, name: str) -> np.ndarray:
        flat = np.ascontiguousarray(values).reshape(-1)
        return self._together.sum(flat, name).reshape(np.shape(values))

    def from_chief(self, value: Any, name: str) -> Any:
        given = json.dumps(value).encode() if self.is_chief else b""
        return json.loads(self._together.broadcast(given, name))

    def from_all(self, value: Any, name: str) -> list[Any]:
        return [json.loads(each) for each in self._together.gather(json.dumps(value).encode(), name)]

    def arrays_from_chief(self, arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
        return unpacked(self._together.broadcast(packed(arrays) if self.is_chief else b"", name))

    def arrays_from_all(self, arrays: Mapping[str, np.ndarray], name: str) -> list[dict[str, np.ndarray]]:
        return [unpacked(each) for each in self._together.gather(packed(arrays), name)]

    def agree(self, values: Mapping[str, Any], why: str) -> None:
        text = json.dumps(dict(values), sort_keys=True)
        if not self.most(int(self.from_chief(text, why) != text), why):
            return  # what differs is gathered, what does not is not
        each = self.from_all(dict(values), why)
        for name in sorted({name for one in each for name in one}):
            mine = [one.get(name) for one in each]
            other = next((rank for rank, value in enumerate(mine) if value != mine[0]), None)
            if other is not None:
                raise Invalid(f"`{name}` ({mine[0]!r} of worker 0, {mine[other]!r} of worker {other}) must be the same "
                              f"on all workers: {why}")

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        return lambda: float(self.from_chief(clock() if self.is_chief else None, "clock"))

    def most(self, number: int, name: str) -> int:
        return int(self._together.sum(np.array([number]), name, np.maximum)[0])

    def check(self) -> None:
        self._links.check()

    def close(self) -> None:
        self._heartbeat.stop()
        self._links.close()


_here: list[Workers] = []


def workers() -> Workers:
    """Those of this process, as TF_CONFIG says. The first call waits for all of them.

    Raises:
      Invalid: A TF_CONFIG that is none.
      WorkerLost: If not all come in time.
    """
    if not _here:
        members = cluster()
        _here.append(Workers() if members is None else Several(members))
        atexit.register(_here[0].close)
    return _here[0]


def check_partners() -> None:
    """Raise ``WorkerLost`` if an error that was met is but the loss of a partner."""
    for each in _here:
        each.check()
