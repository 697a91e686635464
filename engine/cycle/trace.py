"""What a loss does, found by tracing it once without running it. The trace creates the nets' variables, too.

It tells the engine which draws to make, which terms come out in which form, what the forward pass assigns (batch
normalisation's statistics) and which variables have a gradient at all; and it refuses what would be silently wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from engine.cycle import keras_internals
from engine.cycle.lookups import limits_of
from engine.cycle.reads import Reads
from engine.cycle.refusals import refuse_foreign_variables, refuse_hidden_state
from engine.cycle.scope import Scope
from engine.cycle.symbolic import INSIDE, Specs, building, called, tracing
from engine.cycle.terms import Form, forms_of, regularization
from engine.cycle.variables import trainable
from engine.cycle.whole import whole_of
from engine.errors import require
from engine.noise import Request
from engine.strategy import Nets, Phase

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Traced:
    """The result: see the module's docstring.

    Attributes:
      shapes, dtypes: Shapes and dtypes of all results, by name.
      requests: Draws of the loss. data_requests: Draws of the transforms, by source.
      terms: {name: its form}; empty for a function that is no loss.
      assigned: Variables of nets that the forward pass assigns, but the states of seed generators.
      without_gradient: Trained variables that the objective does not reach, nor with ``every_term`` another term.
      regularized: Whether there are penalties of weights or outputs.
      whole: What is one number of the whole batch, so that this cannot be taken apart: terms, losses that layers add.
      weights_move: Whether a gradient reaches the weights of a ``Ratio``.
      single: Whether a normalisation has a single value to take its mean of, so that nothing is left of it.
      inner_gradient: Whether the loss takes a gradient itself, as a gradient penalty does.
      loops: Whether it holds a loop, as a recurrent net's does.
      pools: Whether it holds max pooling. See ``Plan.part``.
      lookups: How many classes or rows there are, of integers that are looked up as stored. See ``lookups``.
      draws: Requests in each bucket, of the loss and by source; ``requests`` hold the largest. See ``buckets``.
    """

    shapes: dict[str, Shape]
    dtypes: dict[str, tf.DType]
    requests: dict[str, Request]
    data_requests: dict[str, dict[str, Request]]
    terms: dict[str, Form] = field(default_factory=dict)
    assigned: list[Any] = field(default_factory=list)
    without_gradient: list[Any] = field(default_factory=list)
    regularized: bool = False
    whole: list[str] = field(default_factory=list)
    weights_move: bool = False
    single: bool = False
    inner_gradient: bool = False
    loops: bool = False
    pools: bool = False
    lookups: dict[tuple[str, str], int] = field(default_factory=dict)
    draws: Sequence[tuple[dict[str, Request], dict[str, dict[str, Request]]]] = ()

    @property
    def ratios(self) -> list[str]:
        """Names of the terms that are a ``Ratio``."""
        return [name for name, form in self.terms.items() if form is Form.RATIO]


def survey(function: Callable[..., Any], nets: Nets, reads: Reads, place: str, state: Specs | None = None) -> Traced:
    """Trace ``function(nets, batch, noise)`` that is no phase's loss: metrics, pictures."""
    with tracing(place) as (scope, traced), scope.tape:
        asked = called(function, nets, reads, place, state or {})
        values = {name: tf.convert_to_tensor(value) for name, value in asked.results.items()}
    refuse_foreign_variables([*scope.read, *scope.assigned], nets, place)
    refuse_hidden_state(traced, nets, place)
    return Traced(*_forms(values), asked.requests, asked.data_requests,
                  lookups=limits_of(keras_internals.every_operation(traced), asked.raw))


def trace(phase: Phase, nets: Nets, reads: Reads, state: Specs | None = None, every_term: bool = False) -> Traced:
    """Trace ``phase.loss``.

    Args:
      every_term: Whether watched terms count, too, in what has a gradient: a ``gradient=`` may use any.

    Raises:
      Invalid: Terms of a wrong name or shape, and state that the engine does not know.
    """
    place = f"phase {phase.name}"
    with tracing(place) as (scope, traced):
        with scope.tape, building(scope, place):
            asked = called(phase.loss, nets, reads, place, state or {})
            results = asked.results
            forms = forms_of(phase, results, reads)
            penalties = regularization(phase, nets)
            values = {name: form.values(results[name]) for name, form in forms.items()}
            counted = [tf.reduce_sum(tf.cast(values[name], tf.float32)) for name in forms
                       if every_term or name not in phase.watch]
            target = tf.add_n(counted + penalties)
            weights = [tf.reduce_sum(tf.cast(results[name].weights, tf.float32)) for name, form in forms.items()
                       if form is Form.RATIO]
            over = tf.add_n(weights) if weights else None
        operations = list(keras_internals.every_operation(traced))
        scalars = {name: values[name] for name, form in forms.items() if form is Form.SCALAR}
        whole = whole_of(phase, nets, reads, asked.examples, scalars)
        trained = trainable(phase, nets)
        lost = _unreached(scope, target, trained)
        moving = over is not None and len(_unreached(scope, over, trained)) < len(trained)
        values |= {name: tf.convert_to_tensor(results[name]) for name in phase.passes}
    assigned = [v for v in scope.assigned if v.name != "seed_generator_state"]
    hidden = [v.path for v in assigned if scope.get_current_value(v).graph is not traced]
    require(not hidden, place, ", ".join(hidden), INSIDE)
    if scope.unbuilt:  # now that the nets have weights
        return trace(phase, nets, reads, state, every_term)
    refuse_foreign_variables([*scope.read, *scope.assigned], nets, place)
    refuse_hidden_state(traced, nets, place)
    return Traced(
        *_forms(values), asked.requests, asked.data_requests, terms=forms, assigned=assigned, without_gradient=lost,
        regularized=bool(penalties), whole=whole, weights_move=moving, single=any(map(_is_single, operations)),
        lookups=limits_of(operations, asked.raw),
        inner_gradient=any("gradient_tape/" in each.name for each in operations),
        loops=any(each.type in ("While", "StatelessWhile") for each in operations),
        pools=any(each.type.startswith("MaxPool") for each in operations))


def _is_single(operation: Any) -> bool:
    """Whether it is the mean of a normalisation, over one value each."""
    return bool(operation.type == "Mean" and operation.name.rpartition("/")[0].endswith("moments")
                and operation.inputs[0].shape.num_elements() == operation.outputs[0].shape.num_elements())


def _forms(values: Mapping[str, tf.Tensor]) -> tuple[dict[str, Shape], dict[str, tf.DType]]:
    return ({name: tuple(value.shape) for name, value in values.items()},
            {name: value.dtype for name, value in values.items()})


def _unreached(scope: Scope, target: tf.Tensor, trained: Sequence[Any]) -> list[Any]:
    """The variables that no gradient of ``target`` reaches."""
    leaves = [scope.leaves.get(id(v), []) for v in trained]
    flat = [leaf for each in leaves for leaf in each]
    found = iter(scope.tape.gradient(target, flat))
    return [v for v, each in zip(trained, leaves, strict=True) if all([next(found) is None for _ in each])]
