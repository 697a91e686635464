"""How a published method is proved: run as a user runs it, beside plain TensorFlow on the same batches and draws."""

import hashlib
import inspect
import io
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, Event, Every, LossStrategy, Trainer, prepare
from engine.noise import Request, key
from engine.run.state import variables_of

PLANS = ["eager", "graph", pytest.param("xla", marks=pytest.mark.fault)]  # compiling takes the most: in `make faults`
CYCLES = 12


@dataclass(frozen=True)
class Method:
    """One method, as a user writes it.

    Attributes:
      strategy: The user's class. lines: Lines of code that it may have, at most; None for any.
      nets, updates, data: Functions that make them; nets may be a dict with ``average_of``.
      arguments: Arguments of the strategy's class.
      cycles: Cycles to run.
      options: A function that makes further arguments of the Trainer.
    """

    strategy: type[LossStrategy]
    nets: Callable[[], Mapping[str, Any]]
    updates: Callable[[], Any]
    data: Callable[[], Any]
    lines: int | None = None
    arguments: Mapping[str, Any] | None = None
    cycles: int = CYCLES
    options: Callable[[], dict[str, Any]] = dict

    def trainer(self, plan: str, run_dir: Any = None, **options: Any) -> Trainer:
        """A trainer of freshly made parts, all from seed 0."""
        prepare(0)
        keras.utils.set_random_seed(0)
        more = self.options()
        more["events"] = [*more.get("events", ()), *options.pop("events", ())]
        return Trainer(self.strategy(**(self.arguments or {})), self.nets(), self.updates(), self.data(), plan=plan,
                       run_dir=run_dir, record=False, say=lambda line: None, **more, **options)

    def trained(self, plan: str) -> Trainer:
        """The same after ``cycles`` cycles."""
        made = self.trainer(plan)
        made.train(cycles=self.cycles)
        return made

    @property
    def written(self) -> int:
        """Lines of code of the strategy, without docstrings, comments and empty lines."""
        return code_lines(inspect.getsource(self.strategy))


def code_lines(source: str) -> int:
    """Lines that hold code."""
    held: set[int] = set()
    skip = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
            tokenize.ENDMARKER)
    last = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(inspect.cleandoc(source)).readline):
        docstring = token.type == tokenize.STRING and last in (tokenize.NEWLINE, tokenize.INDENT, tokenize.NL)
        if token.type not in skip and not docstring:
            held |= set(range(token.start[0], token.end[0] + 1))
        last = token.type
    return len(held)


def points(batch_size: int, seed: int = 0, examples: int = 60, **options: Any) -> ArraySource:
    """Points [B, 6] of a normal, their index, and the label of one of three classes."""
    x = np.random.default_rng(seed).normal(size=(examples, 6)).astype("float32")
    label = np.argmax(x[:, :3], axis=1).astype("int32")
    return ArraySource({"x": x, "index": np.arange(examples, dtype="int32"), "label": label}, batch_size, seed=seed,
                       **options)


def dense(*widths: int, **options: Any) -> keras.Sequential:
    """A chain of dense layers with tanh between them, built for points."""
    layers = [keras.layers.Dense(width, activation="tanh") for width in widths[:-1]]
    net = keras.Sequential([*layers, keras.layers.Dense(widths[-1], **options)])
    net.build([None, 6])
    return net


def batch(source: Any, number: int) -> dict[str, tf.Tensor]:
    """Batch ``number`` of a source, as stored."""
    return dict(source.batch(tf.constant(number, tf.int64), ()))


def normal(phase: str, update: int, name: str, examples: int, shape: tuple[int, ...] = ()) -> tf.Tensor:
    """What ``noise.normal(name, shape)`` gives in a run of seed 0."""
    return Request("normal", shape).draw(key(0, phase, update, name), examples)


def uniform(phase: str, update: int, name: str, examples: int, shape: tuple[int, ...] = ()) -> tf.Tensor:
    """What ``noise.uniform(name, shape)`` gives in a run of seed 0."""
    return Request("uniform", shape).draw(key(0, phase, update, name), examples)


def values(net: Any) -> list[np.ndarray]:
    """All numbers of a net, or of an average."""
    pairs = getattr(getattr(net, "average", None), "pairs", None)
    if pairs is not None:
        return [average.numpy() for _, average in pairs]
    return [v.numpy() for v in net.variables if v.name != "seed_generator_state"]


def assert_same(found: list[Any], expected: list[Any], rtol: float = 2e-4, atol: float = 2e-5) -> None:
    """Equal within float32's rounding over a dozen updates."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def state_hash(trainer: Trainer) -> str:
    """SHA-256 of the complete state and of where the run stands."""
    digest = hashlib.sha256(repr(trainer.engine.place).encode())
    for name, variable in sorted(variables_of(trainer.engine).items()):
        digest.update(name.encode() + np.asarray(tf.convert_to_tensor(variable)).tobytes())
    return digest.hexdigest()


def saving(method: Method, plan: str, run_dir: Any, stop: int | None = None) -> Trainer:
    """A trainer that saves every second cycle; it raises ``Killed`` at cycle ``stop``."""
    def end(trainer: Trainer, means: Any) -> None:
        if trainer.counters.cycles == stop:
            raise Killed

    events = [Event(Every(cycles=2), lambda trainer, means: trainer.save(), at_end=False), Event(Every(cycles=1), end)]
    return method.trainer(plan, run_dir, events=events, cycles_per_call=3)


class Killed(Exception):
    """The end of a process, as far as the run can tell."""


# For references.


def mlp(weights: Any, x: tf.Tensor) -> tf.Tensor:
    """What ``dense(h, n)`` gives for its four weights."""
    return tf.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3]


def variables(net: Any) -> list[tf.Variable]:
    """Copies of the weights of a net."""
    return [tf.Variable(value) for value in values(net)]


def descend(tape: tf.GradientTape, loss: tf.Tensor, weights: Any, rate: float) -> None:
    """A step of plain gradient descent."""
    for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        variable.assign_sub(rate * gradient)


def numbers(weights: Any) -> list[np.ndarray]:
    """The values of variables."""
    return [v.numpy() for v in weights]
