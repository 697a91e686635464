"""Moving averages of weights: for evaluation (``Update(average=...)``), and teachers that a loss may call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from engine.cycle.converted import converted
from engine.cycle.scope import replaced
from engine.errors import require

Decay = float | Callable[[tf.Tensor], Any]


class WeightAverage:
    """Moving averages of variables; moves after each applied update.

    Args:
      variables: Keras variables of floating dtype: weights, and the statistics that belong to them.
      decay: Decay of the average per update: a number, or a function of the updates averaged before (float32), as
        ``lambda n: n / (n + 1)`` for their plain mean.
      warm_up: Whether a number is approached: after ``n`` updates the decay is min(decay, (1 + n) / (10 + n)), as in
        tf.train.ExponentialMovingAverage.
    """

    def __init__(self, variables: Sequence[Any], decay: Decay, warm_up: bool = False) -> None:
        self._decay = converted(decay) if callable(decay) else decay
        self._warm_up = warm_up and not callable(decay)
        self.pairs = [(v, tf.Variable(v.value, trainable=False, name="average")) for v in variables]
        self.count = tf.Variable(0, dtype=tf.int64, trainable=False, name="averaged")

    @property
    def variables(self) -> list[tf.Variable]:
        """All that ``move`` assigns."""
        return [*(average for _, average in self.pairs), self.count]

    def move(self) -> None:
        """After an update."""
        count = tf.cast(self.count.read_value(), tf.float32)
        decay = self._decay(count) if callable(self._decay) else self._decay
        if self._warm_up:
            decay = tf.minimum(decay, (2.0 + count) / (11.0 + count))
        for variable, average in self.pairs:
            step = tf.cast(1.0 - decay, average.dtype)
            average.assign(average + step * (tf.convert_to_tensor(variable.value) - average))
        self.count.assign_add(1)

    def restart(self) -> None:
        """From what the variables are now."""
        for variable, average in self.pairs:
            average.assign(tf.convert_to_tensor(variable.value))
        self.count.assign(0)


@dataclass(frozen=True)
class average_of:
    """In the nets of a ``Trainer``: a net of moving averages of another one, its statistics included.

    A loss may call it like any other net. It has no weights that are trained, and moves after each applied update of
    a phase that updates ``net``.

    Args:
      net: Name of the other.
      decay: Decay as of ``WeightAverage``; without warm-up.
    """

    net: str
    decay: Decay

    def __post_init__(self) -> None:
        require(callable(self.decay) or 0 <= self.decay <= 1, "decay", self.decay, "from 0 to 1, or a function")


class Teacher:
    """What stands in the nets for an ``average_of``: the other net, called with the averages."""

    trainable_variables: Sequence[Any] = ()
    non_trainable_variables: Sequence[Any] = ()
    trainable_weights: Sequence[Any] = ()
    variables: Sequence[Any] = ()
    losses: Sequence[Any] = ()

    def __init__(self, name: str, net: Any, spec: average_of) -> None:
        self.name, self.net, self.spec = name, net, spec
        self.average: WeightAverage | None = None  # before the net has weights: itself

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The net with the averages as its weights; what it assigns to its statistics is dropped."""
        with replaced(self._values()):
            return self.net(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copying and pickling ask for
            raise AttributeError(name)
        found = getattr(self.net, name)
        if not callable(found):
            return found

        def called(*args: Any, **options: Any) -> Any:
            with replaced(self._values()):
                return found(*args, **options)

        return called

    def build(self) -> None:
        """Once the net has its weights."""
        self.average = WeightAverage(averaged_variables(self.net), self.spec.decay)

    def _values(self) -> list[tuple[Any, tf.Tensor]]:
        pairs = self.average.pairs if self.average else []
        return [(v, tf.convert_to_tensor(average)) for v, average in pairs]


def averaged_variables(net: Any) -> list[Any]:
    """The variables of a net that an average follows: all but integers and seeds."""
    return [v for v in net.variables if tf.as_dtype(v.dtype).is_floating]
