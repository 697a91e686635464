"""What a loss does, found by tracing it once without running it. The trace creates the nets' variables, too.

It tells the engine which draws to make, which terms come out in which form, what the forward pass assigns (batch
normalisation's statistics) and which variables have a gradient at all; and it refuses what would be silently wrong.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from engine.cycle import keras_internals
from engine.cycle.converted import as_loss, converted
from engine.cycle.reads import Reads
from engine.cycle.refusals import refuse_foreign_variables, refuse_hidden_state
from engine.cycle.scope import Scope
from engine.cycle.terms import Form, collected, forms_of, regularization
from engine.data.source import Source
from engine.errors import Invalid, require
from engine.noise import Noise, Request
from engine.strategy import Nets, Phase

INSIDE = ("without layers that keep something, as dropout or batch normalisation, and without assignments, inside an "
          "`if` or `while` on a tensor: call them outside, and choose by tf.where")
Shape = tuple[int, ...]
Specs = Mapping[str, tf.TensorSpec]


@dataclass(frozen=True)
class Traced:
    """The result: see the module's docstring.

    Attributes:
      shapes, dtypes: Of all results, by name.
      requests: Draws of the loss. data_requests: Draws of the transforms, by source.
      terms: {name: its form}; empty for a function that is no loss.
      assigned: Variables of nets that the forward pass assigns, but the states of seed generators.
      without_gradient: Trained variables that the objective does not reach.
      regularized: Whether there are penalties of weights or outputs.
      whole: Whether a layer adds a loss of the whole batch, which cannot be taken apart.
      weights_move: Whether a gradient reaches the weights of a ``Ratio``.
      single: Whether a normalisation has a single value to take its mean of, so that nothing is left of it.
      inner_gradient: Whether the loss takes a gradient itself, as a gradient penalty does.
      loops: Whether it holds a loop, as a recurrent net's does.
    """

    shapes: dict[str, Shape]
    dtypes: dict[str, tf.DType]
    requests: dict[str, Request]
    data_requests: dict[str, dict[str, Request]]
    terms: dict[str, Form] = field(default_factory=dict)
    assigned: list[Any] = field(default_factory=list)
    without_gradient: list[Any] = field(default_factory=list)
    regularized: bool = False
    whole: bool = False
    weights_move: bool = False
    single: bool = False
    inner_gradient: bool = False
    loops: bool = False

    @property
    def ratios(self) -> list[str]:
        """Names of the terms that are a ``Ratio``."""
        return [name for name, form in self.terms.items() if form is Form.RATIO]


class _Symbolic(Scope):
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


def survey(function: Callable[..., Any], nets: Nets, reads: Reads, place: str, state: Specs | None = None) -> Traced:
    """Trace ``function(nets, batch, noise)`` that is no phase's loss: metrics, pictures."""
    with _tracing(place) as (scope, traced), scope.tape:
        results, noise, data_requests = _called(function, nets, reads, place, state or {})
        values = {name: tf.convert_to_tensor(value) for name, value in results.items()}
    refuse_foreign_variables([*scope.read, *scope.assigned], nets, place)
    refuse_hidden_state(traced, nets, place)
    return Traced(*_forms(values), noise.requests, data_requests)


def trace(phase: Phase, nets: Nets, reads: Reads, state: Specs | None = None) -> Traced:
    """Trace ``phase.loss``.

    Raises:
      Invalid: for terms of a wrong name or shape, and for state that the engine does not know.
    """
    place = f"phase {phase.name}"
    with _tracing(place) as (scope, traced):
        with scope.tape, _building(scope, place):
            results, noise, data_requests = _called(phase.loss, nets, reads, place, state or {})
            forms = forms_of(phase, results, reads)
            penalties = regularization(phase, nets)
            values = {name: form.values(results[name]) for name, form in forms.items()}
            counted = [tf.reduce_sum(tf.cast(values[name], tf.float32)) for name in forms if name not in phase.watch]
            objective = tf.add_n(counted + penalties)
            weights = [tf.reduce_sum(tf.cast(results[name].weights, tf.float32)) for name, form in forms.items()
                       if form is Form.RATIO]
            over = tf.add_n(weights) if weights else None
        activities = [loss for name in phase.updates for loss in collected(nets[name])]
        operations = list(keras_internals.every_operation(traced))
        trained = trainable(phase, nets)
        lost = _unreached(scope, objective, trained)
        moving = over is not None and len(_unreached(scope, over, trained)) < len(trained)
        values |= {name: tf.convert_to_tensor(results[name]) for name in phase.passes}
    assigned = [v for v in scope.assigned if v.name != "seed_generator_state"]
    hidden = [v.path for v in assigned if scope.get_current_value(v).graph is not traced]
    require(not hidden, place, ", ".join(hidden), INSIDE)
    if scope.unbuilt:  # now that the nets have weights
        return trace(phase, nets, reads, state)
    refuse_foreign_variables([*scope.read, *scope.assigned], nets, place)
    refuse_hidden_state(traced, nets, place)
    return Traced(
        *_forms(values), noise.requests, data_requests, terms=forms,
        assigned=assigned, without_gradient=lost,
        regularized=bool(penalties), whole=any(tuple(each.shape) != (reads.examples,) for each in activities),
        weights_move=moving, single=any(map(_is_single, operations)),
        inner_gradient=any("gradient_tape/" in each.name for each in operations),
        loops=any(each.type in ("While", "StatelessWhile") for each in operations))


def _is_single(operation: Any) -> bool:
    """Whether it is the mean of a normalisation, over one value each."""
    return bool(operation.type == "Mean" and operation.name.rpartition("/")[0].endswith("moments")
                and operation.inputs[0].shape.num_elements() == operation.outputs[0].shape.num_elements())


def trace_after(phase: Phase, nets: Nets, seen: Specs, state: Specs) -> list[Any]:
    """Trace ``phase.after``; the variables that it reads.

    Raises:
      Invalid: for values that are no state, or of another shape or dtype; for a layer with state of its own.
    """
    assert phase.after is not None
    place = f"after of phase {phase.name}"
    require(state, place, "a function", "with a state: LossStrategy.state() names its values")
    with _tracing(place) as (scope, traced), scope.tape:
        given, had = ({name: _placeholder(spec) for name, spec in specs.items()} for specs in (seen, state))
        values = converted(phase.after, nets.values())(nets, had, given)
        require(isinstance(values, Mapping), f"result of {place}", values, "a dict {name: new value}")
        for name, value in values.items():
            require(name in state, f"result of {place}", name, f"one of the state: {', '.join(state)}")
            tensor = tf.convert_to_tensor(value)
            require(tuple(tensor.shape) == tuple(state[name].shape) and tensor.dtype == state[name].dtype,
                    f"{name} {place}", f"{tensor.dtype.name}{list(tensor.shape)}",
                    f"{state[name].dtype.name}{list(state[name].shape)}, as in state()")
    require(not scope.assigned, place, [v.path for v in scope.assigned], "without layers that assign variables")
    refuse_foreign_variables(scope.read, nets, place)
    refuse_hidden_state(traced, nets, place)
    return scope.read


def trainable(phase: Phase, nets: Nets) -> list[Any]:
    """The trainable variables of the nets that ``phase`` updates, each once."""
    return once(variable for name in phase.updates for variable in nets[name].trainable_variables)


def seed_states(nets: Nets) -> list[Any]:
    """The states of all Keras ``SeedGenerator``s (Dropout ...) in the nets, each once."""
    return once(v for net in nets.values() for v in net.variables if v.name == "seed_generator_state")


def once(variables: Iterable[Any]) -> list[Any]:
    """The variables, each in its first place alone."""
    return list({id(variable): variable for variable in variables}.values())


@contextmanager
def _tracing(place: str) -> Iterator[tuple[_Symbolic, Any]]:
    traced = keras_internals.graph("".join(letter if letter.isalnum() else "_" for letter in place))
    tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
    try:
        with _Symbolic(traced, tape) as scope, traced.as_default():
            yield scope, traced
    except AttributeError as error:
        if "'handle'" not in str(error):
            raise
        raise Invalid(f"`tape.gradient` ({place}) must be of tensors, not of variables: "
                      "weights = engine.weights_of(net); tape.watch(weights); tape.gradient(loss, weights)") from error
    except keras_internals.InaccessibleTensorError as error:
        raise Invalid(f"`{place}` (a layer with state) must be {INSIDE}") from error


@contextmanager
def _building(scope: Scope, place: str) -> Iterator[None]:
    """Of what goes wrong because a net has no weights yet, that is said."""
    try:
        yield
    except Exception as error:
        if not scope.unbuilt:
            raise
        raise Invalid(f"`{scope.unbuilt[0].name}` (of {place}) must have its weights before they are asked for: call "
                      f"it on a batch before the training, or net.build(shape) ({error})") from error


def _called(function: Callable[..., Any], nets: Nets, reads: Reads, place: str, specs: Specs
            ) -> tuple[Mapping[str, Any], Noise, dict[str, dict[str, Request]]]:
    batches, data_requests = {}, {}
    for name, source in reads.sources.items():
        batches[name], data_requests[name] = _symbolic_batch(source)
    update = _placeholder(tf.TensorSpec([], tf.int64))
    noise = Noise(phase=place, update=update, examples=reads.examples, sizes=reads.sizes)
    state = {name: _placeholder(spec) for name, spec in specs.items()}
    results = as_loss(function, nets)(nets, reads.batch_of(batches), noise, state)
    require(isinstance(results, Mapping), f"result of {place}", results, "a dict {name: tensor}")
    return results, noise, data_requests


def _symbolic_batch(source: Source) -> tuple[Mapping[str, tf.Tensor], dict[str, Request]]:
    """A transformed batch of placeholders, and the draws of the transform."""
    noise = Noise(examples=source.batch_size)
    batch = converted(source.transform)({name: _placeholder(spec) for name, spec in source.spec.items()}, noise)
    for name, value in batch.items():
        shape = tuple(tf.convert_to_tensor(value).shape)
        require(shape[:1] == (source.batch_size,), f"batch[{name!r}]", f"shape {list(shape)}",
                f"[{source.batch_size}, ...], an entry for each example; two views of one are two names")
    return batch, noise.requests


def _forms(values: Mapping[str, tf.Tensor]) -> tuple[dict[str, Shape], dict[str, tf.DType]]:
    return ({name: tuple(value.shape) for name, value in values.items()},
            {name: value.dtype for name, value in values.items()})


def _placeholder(spec: tf.TensorSpec) -> tf.Tensor:
    return tf.raw_ops.Placeholder(dtype=spec.dtype, shape=spec.shape)


def _unreached(scope: Scope, target: tf.Tensor, trained: Sequence[Any]) -> list[Any]:
    """The variables that no gradient of ``target`` reaches."""
    leaves = [scope.leaves.get(id(v), []) for v in trained]
    flat = [leaf for each in leaves for leaf in each]
    found = iter(scope.tape.gradient(target, flat))
    return [v for v, each in zip(trained, leaves, strict=True) if all([next(found) is None for _ in each])]
