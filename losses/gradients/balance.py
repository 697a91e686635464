"""Gradients of several tasks, brought to one size."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from losses import guard
from losses.gradients.norms import Choice, Gradients, norm, scaled, summed, unit
from losses.gradients.tasks import check, gradients_of


def equal_norms(*terms: str, relax: float = 1.0) -> Choice:
    """The sum of the tasks' gradients, each as long as the first one's (MetaBalance without its moving average).

    Formula: ``g_1 + sum_i [relax ||g_1|| / ||g_i|| + 1 - relax] g_i`` for i = 2, 3, ..., weight by weight: ``g_i`` is
    the gradient of term i times its factor in the objective, for one kernel or one bias. Where ``g_1`` is 0, as in a
    head of another task, ``g_i`` stays as it is.

    Args:
      terms: Names of the tasks, each once; the first is the target, the others help it. None named: all terms
        that are minimised, in the order of the loss. What else the objective holds (other terms,
        ``regularization``) is added as it is; a watched term may be named, with a factor of 1.
      relax: Number from 0, the plain gradient, to 1, equal norms; the paper's r, 0.7 in the authors' code.

    Returns:
      A function of a pull, for ``Update(gradient=...)``; it gives a tensor of the shape of each weight. A gradient
      of 0 stays 0; finite in float32 while the norms are.

    Raises:
      ValueError: What is no name, a name twice, or ``relax`` out of range; in the first update a name that is no term.

    Source: He et al. 2022 (arXiv 2203.06801), section 4, with beta 0 and for each tensor as in the authors' code.

    Example:
        >>> from losses.gradients import equal_norms
        >>> update = Update(SGD(0.1), gradient=equal_norms("reconstruction", "adversarial", relax=0.7))
    """
    check(terms)
    guard.require(0.0 <= relax <= 1.0, "relax", relax, "from 0 to 1")

    def gradient(pull: Any) -> Gradients:
        (target, *others), rest = gradients_of(pull, terms)
        balanced = [[_as_long(goal, each, relax) for goal, each in zip(target, other, strict=True)]
                    for other in others]
        return summed([target, *balanced, *rest])

    return gradient


def _as_long(goal: tf.Tensor, gradient: tf.Tensor, relax: float) -> tf.Tensor:
    """``gradient``, brought nearer to the norm of ``goal``."""
    wanted = norm([goal])
    (full,) = scaled(wanted, unit([gradient]))
    return tf.where(wanted > 0.0, relax * full + (1.0 - relax) * gradient, gradient)
