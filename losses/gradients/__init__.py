"""Other gradients than the objective's, one per file: what ``Update(optimizer, gradient=...)`` takes.

Each function here gives a function of a ``pull``: one update whose gradient is still to be chosen (``engine.Pull``).
"""

from losses.gradients.adaptive import adaptive_weight
from losses.gradients.balance import equal_norms
from losses.gradients.projection import conflict_projection
from losses.gradients.sharpness import sharpness_aware

__all__ = ["adaptive_weight", "conflict_projection", "equal_norms", "sharpness_aware"]
