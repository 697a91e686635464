"""Parting examples: held-out fractions and k folds, seeded, even over the classes.

Both take the examples' integer labels [N], and then keep each class's fraction in every part (R. Kohavi, "A Study of
Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection", IJCAI 1995), or just their number N.
"""

from collections.abc import Sequence

import numpy as np

from engine.errors import require
from engine.noise import fingerprint

Parts = tuple[np.ndarray, np.ndarray]  # positions to train on and positions held out: int64, ascending


def holdout(labels_or_size: np.ndarray | int, fraction: float, seed: int, names: Sequence[str] = ()) -> Parts:
    """Holds out ``fraction`` of the examples: of each class the nearest number, at least one, and never all.

    Args:
      labels_or_size: Integer labels [N], or N.
      fraction: Fraction of the examples, in (0, 1).
      seed: Seed of the choice.
      names: Names of the classes, for messages.

    Returns:
      (train, held_out): disjoint, and together 0..N-1.

    Raises:
      Invalid: A fraction out of range, labels that are no integers [N], or a class of fewer than two examples.
    """
    require(isinstance(fraction, int | float) and 0 < fraction < 1, "fraction", fraction, "above 0 and below 1")
    labels = _labels(labels_or_size)
    _enough(labels, 2, "examples, so that each class has one on either side", names)
    held = np.zeros(len(labels), bool)
    for positions in _by_class(labels, seed, "holdout"):
        count = int(np.clip(round(fraction * len(positions)), 1, len(positions) - 1))
        held[positions[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def k_folds(labels_or_size: np.ndarray | int, k: int, seed: int) -> list[Parts]:
    """``k`` pairs (train, held_out); each example is held out exactly once.

    The sizes of the held-out parts differ by one example at most, and so do those of each class within them.

    Args:
      labels_or_size: Integer labels [N], or N.
      k: Folds, from 2 to the size of the smallest class.
      seed: Seed of the choice.

    Raises:
      Invalid: A k out of range, or labels that are no integers [N].
    """
    require(isinstance(k, int | np.integer) and k >= 2, "k", k, "an integer of at least 2")
    labels = _labels(labels_or_size)
    _enough(labels, int(k), f"examples, for k = {k} folds")
    fold = np.empty(len(labels), np.int64)
    # Dealt like cards, class after class: every run of consecutive cards is even over the hands.
    fold[np.concatenate(_by_class(labels, seed, "folds"))] = np.arange(len(labels)) % k
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(k)]


def _labels(labels_or_size: np.ndarray | int) -> np.ndarray:
    if isinstance(labels_or_size, int | np.integer):
        require(labels_or_size >= 2, "size", labels_or_size, "at least 2 examples")
        return np.zeros(int(labels_or_size), np.int64)
    labels = np.asarray(labels_or_size)
    whole = labels.ndim == 1 and len(labels) > 0 and np.issubdtype(labels.dtype, np.integer)
    require(whole, "labels", f"{labels.dtype} {list(labels.shape)}", "integers of the shape [N]")
    return labels


def _enough(labels: np.ndarray, least: int, what: str, names: Sequence[str] = ()) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    smallest = int(np.argmin(counts))
    which = names[classes[smallest]] if names else classes[smallest]
    name = "the only class" if len(classes) == 1 else f"class {which}"
    require(counts[smallest] >= least, "labels", f"{counts[smallest]} of {name}", f"of at least {least} {what}")


def _by_class(labels: np.ndarray, seed: int, use: str) -> list[np.ndarray]:
    """The positions of each class, shuffled; another order for each use of one seed."""
    shuffled = np.random.default_rng(fingerprint(seed, use)).permutation(len(labels))
    return [shuffled[labels[shuffled] == each] for each in np.unique(labels)]
