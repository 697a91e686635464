"""Regression: squared or Huber error."""

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.regression import huber, squared_error

ERRORS = ("squared", "huber")


class Regression(LossStrategy):
    """Minimises the error of ``nets["regressor"](batch["x"])`` to ``batch["y"]``, both [B, ...] of one shape.

    Args:
      error: "squared", or "huber" where outliers are to pull less.
      delta: Error from which Huber's is linear, in units of y.
    """

    def __init__(self, error: str = "squared", delta: float = 1.0) -> None:
        require(error in ERRORS, "error", error, f"one of {', '.join(ERRORS)}")
        require(delta > 0, "delta", delta, "above 0")
        self.error, self.delta = error, delta

    def phases(self) -> list[Phase]:
        return [Phase("regressor", self.loss, updates=["regressor"], separable=True)]

    def loss(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        found = nets["regressor"](batch["x"], training=True)
        if self.error == "huber":
            return {"huber": huber(batch["y"], found, self.delta)}
        return {"squared_error": squared_error(batch["y"], found)}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """The squared error, whatever is minimised."""
        return {"squared_error": squared_error(batch["y"], nets["regressor"](batch["x"], training=False))}

    def predictions(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """{"predictions": [B, ...]}, for ``Trainer.examples``."""
        return {"predictions": nets["regressor"](batch["x"], training=False)}
