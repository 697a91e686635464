"""A term's weight from gradients at the last layer."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import tensorflow as tf

from losses import guard
from losses.gradients.norms import Choice, Gradients, norm, scaled, summed
from losses.gradients.tasks import check


def adaptive_weight(term: str, relative_to: str | Sequence[str], layer: str, most: float = 1e4,
                    smallest: float = 1e-6) -> Choice:
    """The objective's gradient, with a term weighed so that it pulls at the last layer as much as others do (VQGAN).

    Formula: ``g + factor weight g_term`` with ``weight = min(most, ||g_others|| / (||g_term|| + smallest))``, where the
    norms are of gradients at the layer, ``g_others`` that of the terms ``relative_to`` times their factors, ``g_term``
    that of the term alone, and ``g`` that of all the objective but the term. No gradient goes through the weight.

    Args:
      term: Name of the term to weigh, as the adversarial one; its factor in the objective counts beside the weight.
      relative_to: Name or names of the terms that it is measured by, as the reconstruction; watched ones, too.
      layer: Pattern of the layer's weights among the pull's paths, as ``"decoder/*last/kernel"``, with ``*`` and ``?``.
      most: Upper bound of the weight, above 0.
      smallest: Number that is added to the norm below, above 0, in units of the gradient (1e-4 in the authors' code).

    Returns:
      A function of a pull, for ``Update(gradient=...)``; it gives a tensor of the shape of each weight. Finite in
      float32 while the norms times ``most`` are.

    Raises:
      ValueError: What is no name, a name twice, or a number out of range; in the first update a pattern that fits
        no weight, or a name that is no term.

    Source: Esser et al. 2021 (arXiv 2012.09841), equation 7; the upper bound from the authors' code.

    Example:
        >>> from losses.gradients import adaptive_weight
        >>> update = Update(SGD(0.1), gradient=adaptive_weight("adversarial", "reconstruction", "net/*last/kernel"))
    """
    names = (relative_to,) if isinstance(relative_to, str) else tuple(relative_to)
    check((term, *names))
    guard.require(bool(names), "relative_to", relative_to, "at least one term")
    for name, value in (("most", most), ("smallest", smallest)):
        guard.require(value > 0.0, name, value, "above 0")

    def gradient(pull: Any) -> Gradients:
        places = [place for place, path in enumerate(pull.paths) if fnmatchcase(path, layer)]
        guard.require(bool(places), "layer", layer, f"a pattern of a weight that the phase moves, as {pull.paths[0]}")
        rest = {name: factor for name, factor in pull.factors.items() if name != term}
        others = {name: pull.factors.get(name, 1.0) for name in names}
        separate = [rest] if rest and set(rest) != set(others) else []
        mine, theirs, *found = pull.gradients({term: 1.0}, others, *separate)
        ratio = norm([theirs[place] for place in places]) / (norm([mine[place] for place in places]) + smallest)
        weight = tf.where(ratio > most, tf.constant(most, ratio.dtype), ratio)  # NaN stays, and is refused
        plain = found if separate or not rest else [theirs]
        return summed([scaled(pull.factors.get(term, 1.0), scaled(weight, mine)), *plain])

    return gradient
