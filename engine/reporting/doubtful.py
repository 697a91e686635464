"""Means that cannot be, and objectives that have lost all sense: numbers that are finite, and yet wrong."""

from collections.abc import Callable, Mapping

import numpy as np

ROUNDING = 1e-4  # of a mean
DIVERGED = 1000.0  # times the first objective, or 1


class Ranges:
    """Where means can be.

    Args:
      ranges: {name of a term or metric: (lowest, highest)}, as the strategy says.

    Attributes:
      impossible: Means outside of them, and what was said of each.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        self._ranges = ranges
        self.impossible: dict[str, str] = {}

    def look_at(self, values: Mapping[str, float], cycle: int, say: Callable[[str], None]) -> None:
        """Say once of each mean that is where it cannot be."""
        for name, value in values.items():
            low, high = self._ranges.get(name.rpartition("/")[2], (-np.inf, np.inf))
            slack = ROUNDING * max(1.0, abs(low) if low > -np.inf else 0.0)
            if np.isfinite(value) and name not in self.impossible and not low - slack <= value <= high + slack:
                self.impossible[name] = (f"{name} is {value:.4g} at cycle {cycle} and can only be from {low:g} to "
                                         f"{high:g}: look at the data's labels and scale")
                say(f"warning: {self.impossible[name]}")


def tell_divergence(history: Mapping[str, np.ndarray], say: Callable[[str], None]) -> None:
    """Say which objectives ended far above where they began."""
    for name, there in history.items():
        if name.endswith("/objective") and len(there := there[np.isfinite(there)]) and \
                abs(there[-1]) > min(DIVERGED * max(1.0, abs(there[0])), DIVERGED**3):
            say(f"warning: {name} is {there[-1]:.4g}, and was {there[0]:.4g} at first: the training has diverged; take "
                "a smaller learning rate")
