"""The terms of a loss: their forms, what the nets add to them, and their means."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import tensorflow as tf

from engine.cycle.reads import Reads
from engine.errors import require
from engine.strategy import RESERVED_TERMS, Nets, Phase, Ratio


class Form(Enum):
    """How a term is averaged."""

    EXAMPLES = "examples"  # [B]: over the global batch
    SCALAR = "the batch"  # counts once per update
    RATIO = "weights"  # a sum over a sum

    def values(self, term: Any) -> tf.Tensor:
        """The numbers of a term, without the weights of a ratio."""
        return tf.convert_to_tensor(term.values if self is Form.RATIO else term)


def forms_of(phase: Phase, results: Any, reads: Reads) -> dict[str, Form]:
    """{term: its form}. Raises ``Invalid`` for terms of a wrong name or shape."""
    of = f"of phase {phase.name}"
    require(isinstance(results, Mapping) and results, f"terms {of}", results, "a dict {name: tensor} with at least one")
    for name in phase.passes:
        require(name in results, f"passes {of}", name, f"one of {', '.join(results)}: the loss returns these")
        shape = tuple(tf.convert_to_tensor(results[name]).shape)
        require(shape[:1] and shape[0] in _sizes(reads), f"{phase.name}/{name}", f"shape {list(shape)}",
                f"[{reads.examples}, ...]: it is passed on for each example")
    terms = [name for name in results if name not in phase.passes]
    for name in [*phase.weights, *phase.watch]:
        require(name in terms, f"term {of}", name, f"one of {', '.join(terms)}: the loss returns these")
    require(set(terms) - set(phase.watch), f"watch {of}", list(phase.watch), "fewer than all terms")
    return {name: _form(phase, name, results[name], reads) for name in terms}


def _sizes(reads: Reads) -> set[int]:
    return {reads.examples, *reads.sizes.values()}


def _form(phase: Phase, name: str, term: Any, reads: Reads) -> Form:
    require(name not in RESERVED_TERMS, f"term of phase {phase.name}", name, "another name: the engine uses this one")
    if isinstance(term, Ratio):
        for each in term:
            shape = tuple(tf.convert_to_tensor(each).shape)
            require(not shape or shape[0] in _sizes(reads), f"{phase.name}/{name}", f"shape {list(shape)}",
                    f"of values and weights [{reads.examples}, ...], or sums over the batch")
        return Form.RATIO
    shape = tuple(tf.convert_to_tensor(term).shape)
    require(shape == () or (len(shape) == 1 and shape[0] in _sizes(reads)), f"{phase.name}/{name}",
            f"shape {list(shape)}", f"[{reads.examples}], one number per example, or a scalar; two shapes may have "
            "broadcast")
    return Form.EXAMPLES if shape else Form.SCALAR


def mean_of(form: Form, term: Any, ratio: tf.Tensor | None) -> tf.Tensor:
    """The float32 mean of a part of the batch, such that the mean over parts is that of the whole.

    Args:
      ratio: [3]: of the whole batch the sums of values and of weights, and the number of parts; None if this is the
        whole.
    """
    if form is not Form.RATIO:
        return tf.reduce_mean(tf.cast(term, tf.float32))
    values, weights = sums_of(term)
    if ratio is None:
        return tf.math.divide_no_nan(values, weights)
    total, over, parts = tf.unstack(ratio)
    # The value is the part's; the gradient that of the quotient of the whole, also by the weights.
    by_values = tf.math.divide_no_nan(values, over)
    by_weights = tf.math.divide_no_nan(total, over * over) * (weights - tf.stop_gradient(weights))
    return parts * (by_values - by_weights)


def sums_of(ratio: Ratio) -> tuple[tf.Tensor, tf.Tensor]:
    """The float32 sums of the values and of the weights."""
    values, weights = (tf.cast(each, tf.float32) for each in ratio)
    return tf.reduce_sum(values), tf.reduce_sum(weights)


def regularization(phase: Phase, nets: Nets) -> list[tf.Tensor]:
    """Penalties of weights and outputs of the nets that ``phase`` updates, float32; of a layer of two nets once.

    After the loss, in the scope in which it ran. One number per example is averaged.
    """
    found: dict[int, Any] = {}
    for name in phase.updates:
        found |= {id(loss): loss for loss in collected(nets[name])}
        found |= {id(v): v.regularizer(tf.convert_to_tensor(v.value)) for v in nets[name].trainable_weights
                  if v.regularizer is not None and id(v) not in found}
    return [tf.reduce_mean(tf.cast(loss, tf.float32)) for loss in found.values()]


def collected(net: Any) -> list[Any]:
    """What the layers of ``net`` have added to the loss by their outputs."""
    regularized = sum(v.regularizer is not None for v in net.trainable_weights)
    losses = list(net.losses)  # those of the weights stand last, made anew at each reading
    return losses[:len(losses) - regularized]
