"""Sharpness-aware minimisation."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from losses import guard
from losses.gradients.norms import Choice, Gradients, unit

ETA = 0.01  # what the authors of the adaptive form add, so that weights of 0 are moved, too


def sharpness_aware(radius: float = 0.05, adaptive: bool = False) -> Choice:
    """The gradient at the weights moved uphill: it leads to minima that are flat all around.

    Formula: ``g(w + e)`` with ``g`` the objective's gradient and ``e = radius g(w) / ||g(w)||``; adaptive:
    ``e = radius T^2 g(w) / ||T g(w)||`` with ``T = |w| + 0.01``, element by element. The norm is over all that the
    phase moves. Both gradients are of the same global batch, with the same draws; statistics move once.

    Args:
      radius: Length of the step, at least 0, in units of the weights; 0 is the plain gradient. Adaptive: a fraction of
        the weights, about ten times as large (0.5 in the paper).
      adaptive: Whether large weights are moved further, so that a rescaling of the weights which leaves the
        net as it is (as around a ReLU) changes little.

    Returns:
      A function of a pull, for ``Update(gradient=...)``; it gives a tensor of the shape of each weight. Where the
      gradient is 0 nothing is moved.

    Raises:
      ValueError: ``radius`` out of range.

    Source: Foret et al. 2021 (arXiv 2010.01412), equation 2 and algorithm 1; adaptive: Kwon et al. 2021
        (arXiv 2102.11600), algorithm 1, the 0.01 (eta) from the authors' code.

    Example:
        >>> from losses.gradients import sharpness_aware
        >>> update = Update(SGD(0.1), gradient=sharpness_aware(radius=0.05))
    """
    guard.require(0.0 <= radius < math.inf, "radius", radius, "at least 0 and finite")

    def gradient(pull: Any) -> Gradients:
        gradient = pull.gradients()[0]
        if adaptive:
            scale = [tf.abs(w) + ETA for w in pull.weights]
            uphill = _product(scale, unit(_product(scale, gradient)))
        else:
            uphill = unit(gradient)
        found: Gradients = pull.gradients(at=[w + radius * u for w, u in zip(pull.weights, uphill, strict=True)])[0]
        return found

    return gradient


def _product(first: Gradients, second: Gradients) -> Gradients:
    return [a * b for a, b in zip(first, second, strict=True)]
