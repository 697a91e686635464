"""``Update``: how one phase moves its nets, and which optimizer moves which variable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import keras

from engine.cycle.average import Decay
from engine.errors import require
from engine.strategy import Nets, Phase

Group = tuple[Any, list[Any]]  # an optimizer, and the variables that it moves


@dataclass(frozen=True)
class Update:
    """How one phase moves its nets.

    Attributes:
      optimizer: A Keras optimizer, without clipping, averaging or accumulation; or {pattern: optimizer or None}: each
        variable is moved by the optimizer whose pattern its path matches, as ``"net/*bias"``, and not at all by None.
        Two phases may share an optimizer; they then share its moments and its count.
      clip_norm: Upper bound of the gradients' global norm, taken over all workers; None for none.
      accumulate: Batches whose mean gradient makes one update: ``a`` batches of B are one of ``a * B``.
      average: Decay of a moving average of the weights (EMA) that evaluation and pictures use, with the statistics
        that belong to them; None for none. After ``n`` updates the decay is min(average, (1 + n) / (10 + n)), as in
        tf.train.ExponentialMovingAverage. Or a function of the updates averaged before, as ``lambda n: n / (n + 1)``
        for their plain mean (stochastic weight averaging, Izmailov et al. 2018).
      clip_weights: Bound to which every weight that the phase moves is clamped after each update, [-clip_weights,
        clip_weights] (Arjovsky et al. 2017, algorithm 1); None for none. The average is taken of the clamped weights.
      gradient: ``gradient(pull) -> gradients``: another gradient than that of the objective, see ``Pull``; before
        clipping. One of ``losses.gradients`` (``sharpness_aware``, ``conflict_projection``, ``equal_norms``,
        ``adaptive_weight``) or a function of your own. It may use any term, and the phase moves what any term reaches,
        a watched one too. The logged terms and objective stay those of the loss.

    Raises:
      Invalid: If a field breaks its rule.
    """

    optimizer: Any
    clip_norm: float | None = None
    accumulate: int = 1
    average: Decay | None = None
    clip_weights: float | None = None
    gradient: Callable[[Any], Sequence[Any]] | None = None

    def __post_init__(self) -> None:
        require(self.optimizers or isinstance(self.optimizer, Mapping), "optimizer", self.optimizer,
                "a Keras optimizer, or a dict {pattern: optimizer}")
        for optimizer in self.optimizers:
            _check_optimizer(optimizer)
        require(self.clip_norm is None or self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0, or None")
        require(isinstance(self.accumulate, int) and self.accumulate >= 1, "accumulate", self.accumulate,
                "an integer of at least 1")
        require(self.average is None or callable(self.average) or 0 < self.average < 1, "average", self.average,
                "between 0 and 1, or None, or a function of the updates")
        require(self.clip_weights is None or self.clip_weights > 0, "clip_weights", self.clip_weights,
                "above 0, or None")
        require(self.gradient is None or callable(self.gradient), "gradient", self.gradient, "callable, or None")

    @property
    def optimizers(self) -> list[Any]:
        """Every optimizer, once."""
        several = self.optimizer.values() if isinstance(self.optimizer, Mapping) else [self.optimizer]
        return list({id(each): each for each in several if each is not None}.values())

    def groups(self, phase: Phase, nets: Nets) -> list[Group]:
        """Which optimizer moves which of the phase's variables.

        Raises:
          Invalid: A path that no pattern matches, or two, and a pattern that matches none.
        """
        paths = paths_of(phase, nets)
        variables = {id(v): v for name in phase.updates for v in nets[name].trainable_variables}
        if not isinstance(self.optimizer, Mapping):
            return [(self.optimizer, list(variables.values()))]
        require(self.optimizers, f"optimizer of phase {phase.name}", "None for all", "an optimizer for some part")
        found: dict[str, list[Any]] = {pattern: [] for pattern in self.optimizer}
        for key, path in paths.items():
            fitting = [pattern for pattern in found if fnmatchcase(path, pattern)]
            require(len(fitting) == 1, f"optimizer of phase {phase.name}", f"{path}: {', '.join(fitting) or 'none'}",
                    "given by exactly one pattern for each variable")
            found[fitting[0]].append(variables[key])
        for pattern, fitted in found.items():
            require(fitted, f"optimizer of phase {phase.name}", pattern,
                    f"a pattern of a variable, as {next(iter(paths.values()))}")
        by_optimizer: dict[int, Group] = {}
        for pattern, fitted in found.items():
            if (optimizer := self.optimizer[pattern]) is not None:
                by_optimizer.setdefault(id(optimizer), (optimizer, []))[1].extend(fitted)
        return list(by_optimizer.values())


def paths_of(phase: Phase, nets: Nets) -> dict[int, str]:
    """{id of a variable that the phase updates: its path, the net's name first}."""
    return {id(v): f"{name}/{v.path}" for name in phase.updates for v in nets[name].trainable_variables}


def as_update(update: Any) -> Update:
    """``update`` itself, or an ``Update`` around a bare Keras optimizer."""
    return update if isinstance(update, Update) else Update(update)


def _check_optimizer(optimizer: Any) -> None:
    require(isinstance(optimizer, keras.optimizers.Optimizer), "optimizer", optimizer, "a Keras optimizer")
    require(not isinstance(optimizer, keras.optimizers.LossScaleOptimizer), "optimizer", optimizer,
            'the optimizer inside it: Trainer(precision="float16") scales the loss')
    for name in ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps", "loss_scale_factor"):
        require(getattr(optimizer, name, None) is None, f"{name} of the optimizer", getattr(optimizer, name, None),
                "unset: Update clips, scales and accumulates, after the sum over workers")
    require(not optimizer.use_ema, "use_ema of the optimizer", True, "False: use Update(average=...)")
