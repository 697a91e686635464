"""What a run is to reach: the best checkpoint is kept, and training ends when nothing gets better."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import require
from engine.run.counters import Counters
from engine.run.events import Every
from engine.strategy import LossStrategy


@dataclass(frozen=True)
class Goal:
    """A metric by which a run is judged.

    Attributes:
      metric: A column of metrics.csv: "eval/<metric>" or "<phase>/<term>".
      better: "lower" or "higher"; None: as the strategy's ``better`` says, and lower of what is minimised.
      patience: Training stops when the metric has not got better for that long, on the counter that it names; None
        for never.
      least: How much better counts.
    """

    metric: str
    better: str | None = None
    patience: Every | None = None
    least: float = 0.0

    def __post_init__(self) -> None:
        require(self.better in ("lower", "higher", None), "better", self.better, "lower or higher")
        require(self.least >= 0, "least", self.least, "at least 0")

    def directed(self, strategy: LossStrategy, minimised: Collection[str],
                 columns: Callable[[], Collection[str]]) -> "Goal":
        """The same with ``better`` given.

        Args:
          minimised: Names of the terms that are minimised.
          columns: Function that names the columns of metrics.csv.

        Raises:
          Invalid: If nothing says it.
        """
        if self.better is not None:
            return self
        name = self.metric.rpartition("/")[2]
        better = strategy.better.get(name, "lower" if name in minimised else "")
        if not better:
            known = columns()
            require(self.metric in known, "goal", self.metric, f"one of {', '.join(known)}")
        require(better, "goal", self.metric, "given with better, lower or higher: nothing says which it is to be")
        return replace(self, better=better)


class Best:
    """The best value so far, and when it was.

    Attributes:
      facts: {"metric", "better", "value", "cycle", "epoch", "seconds"}; empty before the first value. Saved with each
        checkpoint.
    """

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.facts: dict[str, Any] = {}

    def put_back(self, facts: dict[str, Any]) -> None:
        """Go on from what was saved, if it is of the same goal."""
        same = (facts.get("metric"), facts.get("better")) == (self.goal.metric, self.goal.better)
        self.facts = facts if same else {}

    def note(self, metrics: Mapping[str, float], counters: Counters, seconds: float) -> bool:
        """Whether ``metrics`` hold the goal's metric, and it is the best so far."""
        value = metrics.get(self.goal.metric)
        if value is None or value != value:
            return False
        gain = self.facts.get("value", 0.0) - value
        gain = -gain if self.goal.better == "higher" else gain
        if self.facts and not gain > self.goal.least:
            return False
        self.facts = {"metric": self.goal.metric, "better": self.goal.better, "value": float(value),
                      "cycle": counters.cycles, "epoch": counters.epoch, "seconds": seconds}
        return True

    def exhausted(self, counters: Counters, seconds: float) -> str:
        """Why training should end, if the patience is over; else nothing."""
        patience = self.goal.patience
        if not self.facts or patience is None:
            return ""
        passed = {"cycles": counters.cycles - self.facts["cycle"], "epochs": counters.epoch - self.facts["epoch"],
                  "seconds": seconds - self.facts["seconds"]}[patience.unit]
        if passed < patience.amount - 1e-9:
            return ""
        return (f"{self.goal.metric} has not got better than {self.facts['value']:.6g} for {patience.amount:g} "
                f"{patience.unit}, since cycle {self.facts['cycle']}")
