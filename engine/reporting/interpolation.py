"""Ways from one latent to another, to be looked at."""

import numpy as np

from engine.errors import require

PARALLEL = 1e-6  # sine of the angle below which there is no plane to turn in; float64 keeps ten digits there


def linear(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Straight ways: for codes without a prior, and for uniform latents.

    Args:
      start: [n, ...].
      end: The same shape.
      steps: Points on each way, both ends counted; at least 2.

    Returns:
      [n, steps, ...] of start's dtype. The first and the last point are ``start`` and ``end``, bit for bit.

    Raises:
      Invalid: Shapes that differ, or fewer than 2 steps.
    """
    fractions = _fractions(start, end, steps)
    return _mixed(start, end, 1 - fractions, fractions)


def spherical(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Ways that turn evenly from one direction to the other: for Gaussian latents.

    Nearly all of a high-dimensional Gaussian lies at one distance from 0; a straight way leaves that shell, the
    decoder's home, in its middle. With the angle a between the two, the point at fraction t is
    ``sin((1 - t) a) / sin(a) start + sin(t a) / sin(a) end``. Latents of one or of opposite direction, as all of one
    dimension are, have no plane to turn in: their way is straight.

    Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, section 3.3; White, "Sampling
    generative networks", 2016, section 2.1.

    Args, returns, raises: as ``linear``; a latent is a row of [n, ...], flattened.
    """
    fractions = _fractions(start, end, steps)
    flat = [np.asarray(each, np.float64).reshape(len(start), -1) for each in (start, end)]
    lengths = [np.linalg.norm(each, axis=1) for each in flat]
    cosine = np.sum(flat[0] * flat[1], axis=1) / np.maximum(lengths[0] * lengths[1], np.finfo(np.float64).tiny)
    angle = np.arccos(np.clip(cosine, -1, 1))[:, None]  # [n, 1]
    turns = (np.sin(angle) > PARALLEL) & ((lengths[0] > 0) & (lengths[1] > 0))[:, None]
    sine = np.where(turns, np.sin(angle), 1)
    first = np.where(turns, np.sin((1 - fractions) * angle) / sine, 1 - fractions)
    second = np.where(turns, np.sin(fractions * angle) / sine, fractions)
    return _mixed(start, end, first, second)


def _fractions(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """[1, steps] from 0 to 1."""
    require(np.shape(start) == np.shape(end), "end", f"shape {list(np.shape(end))}",
            f"of start's shape {list(np.shape(start))}")
    require(isinstance(steps, int) and steps >= 2, "steps", steps, "an integer of at least 2")
    return np.linspace(0, 1, steps)[None]


def _mixed(start: np.ndarray, end: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``first`` times start plus ``second`` times end, both [n or 1, steps]; the ends are those given."""
    beyond = (...,) + (None,) * (np.ndim(start) - 1)
    mixed = first[beyond] * np.asarray(start)[:, None] + second[beyond] * np.asarray(end)[:, None]
    mixed = mixed.astype(np.asarray(start).dtype)
    mixed[:, 0], mixed[:, -1] = start, end
    return mixed
