"""How a user's function is traced without running it: every variable and every batch is a placeholder."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf

from engine.cycle import keras_internals
from engine.cycle.converted import as_loss, converted
from engine.cycle.failing import told_by_layer
from engine.cycle.reads import Reads
from engine.cycle.scope import Scope
from engine.data.source import Source
from engine.errors import Invalid, require
from engine.noise import Noise, Request
from engine.strategy import NamedBatch, Nets

Specs = Mapping[str, tf.TensorSpec]
INSIDE = ("without layers that keep something, as dropout or batch normalisation, and without assignments, inside an "
          "`if` or `while` on a tensor: call them outside, and choose by tf.where")


class Symbolic(Scope):
    """Hands every variable a placeholder of the traced graph, the same one at each reading."""

    def __init__(self, traced: Any, tape: Any) -> None:
        super().__init__(tape=tape)
        self.read: list[Any] = []
        self._traced = traced

    def get_current_value(self, variable: Any) -> Any:
        value = super().get_current_value(variable)
        if value is not None:
            return value
        with self._traced.as_default():  # not in the body of a loop that happens to read it first
            value = tf.raw_ops.Placeholder(dtype=keras_internals.stored_dtype(variable), shape=variable.shape)
        self.state_mapping[id(variable)] = value
        self.read.append(variable)
        if variable.trainable and value.dtype.is_floating:
            self.tape.watch(value)
            self.leaves[id(variable)] = [value]
        return value


@contextmanager
def tracing(place: str) -> Iterator[tuple[Symbolic, Any]]:
    """A scope and a graph to trace into. Raises ``Invalid`` for what TensorFlow says of known slips."""
    traced = keras_internals.graph("".join(letter if letter.isalnum() else "_" for letter in place))
    tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
    try:
        with Symbolic(traced, tape) as scope, traced.as_default():
            yield scope, traced
    except AttributeError as error:
        if "'handle'" not in str(error):
            raise
        raise Invalid(f"`tape.gradient` ({place}) must be of tensors, not of variables: "
                      "weights = engine.weights_of(net); tape.watch(weights); tape.gradient(loss, weights)") from error
    except keras_internals.InaccessibleTensorError as error:
        raise Invalid(f"`{place}` (a layer with state) must be {INSIDE}") from error


@contextmanager
def building(scope: Scope, place: str) -> Iterator[None]:
    """Of what goes wrong because a net has no weights yet, that is said."""
    try:
        yield
    except Exception as error:
        if not scope.unbuilt:
            raise
        raise Invalid(f"`{scope.unbuilt[0].name}` (of {place}) must have its weights before they are asked for: call "
                      f"it on a batch before the training, or net.build(shape) ({error})") from error


class Called(NamedTuple):
    """What a function gave and asked for.

    ``examples``: the tensors of the batches that it was handed. ``raw``: those of the batches as stored, by source and
    key.
    """

    results: Mapping[str, Any]
    requests: dict[str, Request]
    data_requests: dict[str, dict[str, Request]]
    examples: list[tf.Tensor]
    raw: dict[tuple[str, str], tf.Tensor]


def called(function: Callable[..., Any], nets: Nets, reads: Reads, place: str, specs: Specs) -> Called:
    """``function`` of placeholders. Raises ``Invalid`` if it gives no dict, or a net cannot take what it is given."""
    batches, data_requests, raw = {}, {}, {}
    for name, source in reads.sources.items():
        stored = {key: placeholder(spec) for key, spec in reads.specs(name).items()}
        raw.update({(name, key): tensor for key, tensor in stored.items()})
        batches[name], data_requests[name] = _batch(source, stored)
    update = placeholder(tf.TensorSpec([], tf.int64))
    noise = Noise(phase=place, update=update, examples=reads.examples, sizes=reads.sizes)
    state = {name: placeholder(spec) for name, spec in specs.items()}
    with told_by_layer(nets, place):
        results = as_loss(function, nets)(nets, reads.batch_of(batches), noise, state)
    require(isinstance(results, Mapping), f"result of {place}", results, "a dict {name: tensor}")
    return Called(results, noise.requests, data_requests,
                  [tf.convert_to_tensor(each) for batch in batches.values() for each in batch.values()], raw)


def _batch(source: Source, stored: Mapping[str, tf.Tensor]) -> tuple[Mapping[str, tf.Tensor], dict[str, Request]]:
    """A transformed batch of placeholders, and the draws of the transform."""
    noise = Noise(examples=source.batch_size)
    batch = NamedBatch(converted(source.transform)(NamedBatch(stored), noise))
    for name, value in batch.items():
        shape = tuple(tf.convert_to_tensor(value).shape)
        require(shape[:1] == (source.batch_size,), f"batch[{name!r}]", f"shape {list(shape)}",
                f"[{source.batch_size}, ...], an entry for each example; two views of one are two names")
    return batch, noise.requests


def placeholder(spec: tf.TensorSpec) -> tf.Tensor:
    """A tensor of this form that is never fed."""
    return tf.raw_ops.Placeholder(dtype=spec.dtype, shape=spec.shape)
