"""Random draws as pure functions of (run seed, phase, update, name, example).

No generator has a state, so nothing random needs saving: a continued run, a run on several workers
and a run with another number of cycles per call see the same numbers.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from engine import philox
from engine.errors import require
from engine.workers.part import WHOLE, Part

PHILOX = 1  # TensorFlow's number of it


def fingerprint(*parts: object) -> int:
    """A 63-bit integer of ``parts``: the same in every process, another one for other parts."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def key(seed: int, phase: str, update: tf.Tensor | int, name: str) -> tf.Tensor:
    """The seed [2] int64 of one draw for TensorFlow's stateless random functions."""
    return tf.stack([tf.constant(fingerprint(seed, phase, name), tf.int64), tf.cast(update, tf.int64)])


class Request(NamedTuple):
    """A draw that a loss asked for: its kind, its shape per example, and the source whose examples get it."""

    kind: str  # "normal" (mean 0, standard deviation 1) or "uniform" (in [0, 1))
    shape: tuple[int, ...]
    of: str = ""

    def draw(self, seed_pair: tf.Tensor, examples: int, inside: bool = False) -> tf.Tensor:
        """[examples, *shape] float32. Philox by name: the same numbers on every kind of device.

        Args:
          inside: A part that XLA compiles, where TensorFlow's functions would give other numbers.
        """
        if inside:
            return {"normal": philox.normal, "uniform": philox.uniform}[self.kind]([examples, *self.shape], seed_pair)
        function = {"normal": tf.random.stateless_normal, "uniform": tf.random.stateless_uniform}[self.kind]
        return function([examples, *self.shape], seed_pair, alg="philox")


def some_of(kind: str, seed_pair: tf.Tensor, shape: Sequence[int], examples: slice) -> tf.Tensor:
    """Of a draw [N, *shape] those of ``examples``, the same bits, without making the others.

    Philox is a function of a counter, and each number of it makes four: so one begins at a later counter.
    """
    each = math.prod(shape)
    first, count = examples.start * each, (examples.stop - examples.start) * each
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed_pair)
    function = {"normal": tf.raw_ops.StatelessRandomNormalV2, "uniform": tf.raw_ops.StatelessRandomUniformV2}[kind]
    drawn = function(shape=[first % 4 + count], key=key, counter=counter + tf.constant([first // 4, 0], tf.uint64),
                     alg=PHILOX)
    return tf.reshape(drawn[first % 4:], [examples.stop - examples.start, *shape])


def rows_of(request: Request, seed_pair: tf.Tensor, size: int, batches: int, part: Part = WHOLE, inside: bool = False
            ) -> tf.Tensor:
    """[batches, b, *shape]: of a draw for batches of ``size`` in a row, of each the rows that are of ``part``."""
    if part.of == 1:
        drawn = request.draw(seed_pair, batches * size, inside)
    else:
        mine = part.rows(size)
        drawn = tf.stack([some_of(request.kind, seed_pair, request.shape,
                                  slice(i * size + mine.start, i * size + mine.stop)) for i in range(batches)])
    return tf.reshape(drawn, [batches, size // part.of, *request.shape])


class Noise:
    """The random draws of one update, by name.

    The draws are made outside the compiled part (``drawn``), because XLA's random functions give other
    numbers than TensorFlow's. A ``Noise`` without ``drawn`` makes them itself, from the same key: that is
    how a loss is tested, and how the engine learns which draws a loss asks for (``requests``).

    Args:
      seed: The run's seed.
      phase: The phase's name.
      update: The update's number within the phase; an int64 scalar.
      examples: Number, B, of examples that get a draw each.
      drawn: Draws made before, by name, each ``[B, *shape]``.
      sizes: {source: its number of examples}, where the phase reads several; ``examples`` is that of the first.

    Attributes:
      update: Number of the update within its phase, from 0: an int64 scalar.
    """

    def __init__(self, seed: int = 0, phase: str = "", update: tf.Tensor | int = 0, examples: int = 1,
                 drawn: Mapping[str, tf.Tensor] | None = None, sizes: Mapping[str, int] | None = None) -> None:
        self.requests: dict[str, Request] = {}
        self.examples, self.update = examples, tf.convert_to_tensor(update, tf.int64)
        self._place = seed, phase, update
        self._drawn, self._sizes = drawn, {"": examples, **(sizes or {})}

    def normal(self, name: str, shape: Sequence[int] = (), of: str = "") -> tf.Tensor:
        """Standard normal numbers, ``[B, *shape]`` float32; ``shape`` is per example, B that of the source ``of``."""
        return self._draw(name, Request("normal", _static(name, shape), of))

    def uniform(self, name: str, shape: Sequence[int] = (), low: float = 0.0, high: float = 1.0, of: str = ""
                ) -> tf.Tensor:
        """Uniform numbers in [low, high), ``[B, *shape]`` float32; ``shape`` is per example."""
        return low + (high - low) * self._draw(name, Request("uniform", _static(name, shape), of))

    def bernoulli(self, name: str, probs: tf.Tensor, of: str = "") -> tf.Tensor:
        """0 or 1 with probability ``probs`` [B, ...] of a 1; the shape of ``probs``, float32."""
        probs = tf.convert_to_tensor(probs, tf.float32)
        return tf.cast(self._draw(name, Request("uniform", _static(name, probs.shape[1:]), of)) < probs, tf.float32)

    def _draw(self, name: str, request: Request) -> tf.Tensor:
        require(name not in self.requests, "noise name", name,
                "used once per loss: a second draw of this name would repeat the first")
        require(request.of in self._sizes, f"source of noise {name}", request.of,
                f"one that the phase reads: {', '.join(filter(None, self._sizes)) or 'it reads one'}")
        self.requests[name] = request
        if self._drawn is not None:
            return self._drawn[name]
        return request.draw(key(*self._place, name), self._sizes[request.of])


def _static(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(shape)
    require(all(isinstance(side, int) for side in shape), f"shape of noise {name}", shape,
            "known before the run: integers, per example")
    return shape
