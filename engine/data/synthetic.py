"""Regression data made from a seed, whose true weights are known.

Both are of A. Zhang, Z. C. Lipton, M. Li, A. J. Smola, "Dive into Deep Learning", 2023, https://d2l.ai.
"""

from pathlib import Path

import numpy as np

from engine.data.dataset import Dataset
from engine.data.places import unused
from engine.errors import require
from engine.noise import fingerprint

WEIGHTS, BIAS = (2.0, -3.4), 4.2  # of linear
COEFFICIENTS, CONSTANT = (1.2, -3.4, 5.6), 5.0  # of polynomial, of x^i / i! for i = 1, 2, 3


def linear(data_dir: str | Path | None = None, *, examples: int = 1000, held_out: int = 200, noise: float = 0.01,
           seed: int = 0) -> Dataset:
    """``y = x w + b + e`` with w = [2, -3.4], b = 4.2, x ~ N(0, 1) and e ~ N(0, noise^2) (d2l, section 3.3).

    Args:
      data_dir: None.
      examples: Number of examples to train on.
      held_out: Number of examples to test with.
      noise: The standard deviation of e, in the unit of y.
      seed: Seed of all draws.

    Returns:
      "x" float32 [N, 2] and "y" float32 [N, 1].

    Raises:
      Invalid: An option out of its range, or a ``data_dir``.
    """
    unused(data_dir, "linear, which is made from a seed")
    draw = _generator("linear", seed, noise, examples=examples, held_out=held_out)
    features = draw.standard_normal((examples + held_out, len(WEIGHTS)))
    target = features @ np.array(WEIGHTS) + BIAS + noise * draw.standard_normal(len(features))
    return _parted("linear", features, target, examples)


def polynomial(data_dir: str | Path | None = None, *, degree: int = 20, examples: int = 100, held_out: int = 100,
               noise: float = 0.1, seed: int = 0) -> Dataset:
    """``y = 5 + 1.2 x - 3.4 x^2/2! + 5.6 x^3/3! + e``, to show under- and overfitting.

    x ~ N(0, 1) and e ~ N(0, noise^2), as in d2l, section 3.6 (2020's section 4.4). The features stop before or go
    on after the true degree of 3; the examples are the same for every degree. The 5 is for a net's bias.

    Args:
      data_dir: None.
      degree: The features' highest power.
      examples: Number of examples to train on.
      held_out: Number of examples to test with.
      noise: The standard deviation of e, in the unit of y.
      seed: Seed of all draws.

    Returns:
      "x" float32 [N, degree], x^i / i! for i = 1, ..., degree; and "y" float32 [N, 1].

    Raises:
      Invalid: An option out of its range, or a ``data_dir``.
    """
    unused(data_dir, "polynomial, which is made from a seed")
    draw = _generator("polynomial", seed, noise, degree=degree, examples=examples, held_out=held_out)
    x = draw.standard_normal(examples + held_out)
    target = CONSTANT + _powers(x, 3) @ np.array(COEFFICIENTS) + noise * draw.standard_normal(len(x))
    return _parted("polynomial", _powers(x, degree), target, examples)


def _powers(x: np.ndarray, degree: int) -> np.ndarray:
    """[N, degree]: x^i / i! for i = 1, ..., degree; each is the one before times x / i."""
    return np.cumprod(x[:, None] / np.arange(1, degree + 1), axis=1)


def _generator(name: str, seed: int, noise: float, **counts: int) -> np.random.Generator:
    for option, count in counts.items():
        require(isinstance(count, int) and count >= 1, option, count, "an integer of at least 1")
    require(0 <= noise < float("inf"), "noise", noise, "a number of at least 0")
    return np.random.default_rng(fingerprint(seed, name))


def _parted(name: str, features: np.ndarray, target: np.ndarray, examples: int) -> Dataset:
    arrays = {"x": features.astype(np.float32), "y": target[:, None].astype(np.float32)}
    return Dataset(name, {key: array[:examples] for key, array in arrays.items()},
                   {key: array[examples:] for key, array in arrays.items()}, place="made from a seed")
