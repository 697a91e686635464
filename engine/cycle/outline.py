"""What a phase does, found by tracing its loss once without running it.

The trace tells the engine which draws to make, which terms come out in which form, which statistics
(batch normalisation) the nets update, and which variables have a gradient at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from engine.cycle.converted import converted
from engine.data.source import Source
from engine.errors import require
from engine.noise import Noise, Request
from engine.strategy import RESERVED_TERMS, Loss, Nets, Phase


@dataclass(frozen=True)
class Outline:
    """The result: see the module's docstring."""

    terms: dict[str, bool]  # name -> is it per example
    requests: dict[str, Request]  # draws of the loss
    data_requests: dict[str, Request]  # draws of the source's transform
    buffers: list[Any]  # variables that are not trained and that the forward pass assigns
    without_gradient: list[Any]  # trained variables that the objective does not reach
    regularized: bool
    inner_gradient: bool  # the loss takes a gradient itself, as a gradient penalty does
    loops: bool  # it holds a loop, as a recurrent net's does


def seed_states(nets: Nets) -> list[Any]:
    """The states of all Keras ``SeedGenerator``s (Dropout ...) in the nets, each once."""
    return once(v for net in nets.values() for v in net.variables if v.name == "seed_generator_state")


def symbolic_batch(source: Source) -> tuple[Mapping[str, tf.Tensor], dict[str, Request]]:
    """In a graph: a transformed batch of placeholders, and the draws of the transform."""
    noise = Noise(examples=source.batch_size)
    raw = {name: tf.raw_ops.Placeholder(dtype=spec.dtype, shape=spec.shape) for name, spec in source.spec.items()}
    batch = converted(source.transform)(raw, noise)
    for name, value in batch.items():
        shape = tuple(tf.convert_to_tensor(value).shape)
        require(shape[:1] == (source.batch_size,), f"batch[{name!r}]", f"shape {list(shape)}",
                f"[{source.batch_size}, ...], an entry for each example; two views of one are two names")
    return batch, noise.requests


class Survey(NamedTuple):
    """What ``function(nets, batch, noise)`` returns and draws."""

    shapes: dict[str, tuple[int, ...]]
    requests: dict[str, Request]
    data_requests: dict[str, Request]


def survey(function: Loss, nets: Nets, source: Source, place: str, reads_batch: bool = True) -> Survey:
    """Trace ``function`` without running it, and create every variable that it uses."""
    noise = Noise(phase=place, examples=source.batch_size)
    with keras.StatelessScope(), tf.__internal__.FuncGraph(f"survey_{place}").as_default():
        batch, data_requests = symbolic_batch(source)
        results = converted(function, nets.values())(nets, batch if reads_batch else {}, noise)
        require(isinstance(results, Mapping), f"result of {place}", results, "a dict {name: tensor}")
        shapes = {name: tuple(tf.convert_to_tensor(value).shape) for name, value in results.items()}
    return Survey(shapes, noise.requests, data_requests)


def outline(phase: Phase, nets: Nets, source: Source) -> Outline:
    """Trace ``phase.loss`` on built ``nets``. Raises ``Invalid`` for terms of a wrong name or shape."""
    every = once(v for net in nets.values() for v in net.variables)
    trained = trainable(phase, nets)
    with tf.__internal__.FuncGraph(f"outline_{phase.name}").as_default() as graph:
        batch, data_requests = symbolic_batch(source)
        noise = Noise(phase=phase.name, examples=source.batch_size)
        values = [tf.convert_to_tensor(v.value) for v in trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            with keras.StatelessScope(list(zip(trained, values, strict=True)), collect_losses=True) as scope:
                terms = converted(phase.loss, nets.values())(nets, batch if phase.reads_batch else {}, noise)
                form = _check_terms(phase, terms, source.batch_size)
                penalties = regularization(phase, nets)
                counted = [tf.reduce_sum(tf.cast(terms[name], tf.float32)) for name in form if name not in phase.watch]
                objective = tf.add_n(counted + penalties)
        operations = graph.get_operations()
        gradients = tape.gradient(objective, values)
    changed = [v for v in every if not v.trainable and scope.get_current_value(v) is not None]
    return Outline(
        terms=form, requests=noise.requests, data_requests=data_requests if phase.reads_batch else {},
        buffers=[v for v in changed if v.name != "seed_generator_state"],
        without_gradient=[v for v, gradient in zip(trained, gradients, strict=True) if gradient is None],
        regularized=bool(penalties), inner_gradient=any("gradient_tape/" in each.name for each in operations),
        loops=any(each.type in ("While", "StatelessWhile") for each in operations))


def trainable(phase: Phase, nets: Nets) -> list[Any]:
    """The trainable variables of the nets that ``phase`` updates, each once."""
    return once(variable for name in phase.updates for variable in nets[name].trainable_variables)


def regularization(phase: Phase, nets: Nets) -> list[tf.Tensor]:
    """Penalties of weights and outputs of the nets that ``phase`` updates, float32; of a layer of two nets once.

    After the loss, in the scope in which it ran.
    """
    found: dict[int, Any] = {}
    for name in phase.updates:
        regularized = [v for v in nets[name].trainable_weights if v.regularizer is not None]
        losses = nets[name].losses  # those of the weights stand last, made anew at each reading
        found |= {id(loss): loss for loss in losses[:len(losses) - len(regularized)]}
        found |= {id(v): v.regularizer(tf.convert_to_tensor(v.value)) for v in regularized if id(v) not in found}
    return [tf.cast(loss, tf.float32) for loss in found.values()]


def once(variables: Iterable[Any]) -> list[Any]:
    """The variables, each in its first place alone."""
    return list({id(variable): variable for variable in variables}.values())


def _check_terms(phase: Phase, terms: Any, examples: int) -> dict[str, bool]:
    where = f"of phase {phase.name}"
    require(isinstance(terms, Mapping) and terms, f"terms {where}", terms, "a dict {name: tensor} with at least one")
    for name in [*phase.weights, *phase.watch]:
        require(name in terms, f"term {where}", name, f"one of {', '.join(terms)}: the loss returns these")
    require(set(terms) - set(phase.watch), f"watch {where}", list(phase.watch), "fewer than all terms")
    for name, term in terms.items():
        require(name not in RESERVED_TERMS, f"term {where}", name, "another name: the engine uses this one")
        shape = tuple(tf.convert_to_tensor(term).shape)
        require(shape in ((), (examples,)), f"{phase.name}/{name}", f"shape {list(shape)}",
                f"[{examples}], one number per example, or a scalar; two shapes may have broadcast")
    return {name: tuple(term.shape) == (examples,) for name, term in terms.items()}
