"""Recording: what is recorded of a run, and when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from engine.data.source import Source
from engine.errors import require
from engine.run.events import Event, Every

LOG = 100  # cycles between rows, where an epoch has as many


@dataclass(frozen=True)
class Recording:
    """What ``Trainer(record=...)`` records, and when.

    Attributes:
      log: Interval between rows of metrics.csv; None for 100 cycles, or an epoch where that is shorter.
      evaluate: Interval between evaluations of what is held out, each with pictures.
      checkpoint: Interval between checkpoints.
      draw: ``draw(trainer) -> {name: picture}``; None for a grid of what the strategy's ``pictures`` gives.
      at_end: {part: source}, evaluated once, when the training is finished, as "part/metric".
      histograms: Whether TensorBoard gets histograms of weights and gradients at each evaluation.
      profile: Cycles that TensorFlow's profiler traces, after the first 10 of a training; 0 for none.
    """

    log: Every | None = None
    evaluate: Every = field(default_factory=lambda: Every(epochs=1))
    checkpoint: Every = field(default_factory=lambda: Every(seconds=60))
    draw: Callable[[Any], Mapping[str, Image.Image]] | None = None
    at_end: Mapping[str, Source] = field(default_factory=dict)
    histograms: bool = False
    profile: int = 0

    def __post_init__(self) -> None:
        require(isinstance(self.profile, int) and self.profile >= 0, "profile", self.profile,
                "a whole number of cycles, or 0")

    def log_of(self, cycles_per_epoch: float) -> Every:
        """When a row is due."""
        if self.log is not None:
            return self.log
        return Every(cycles=LOG) if cycles_per_epoch >= LOG else Every(epochs=1)


def times_of(recording: Recording | None, events: Sequence[Event]) -> dict[str, Any]:
    """By name, what of both happens when, as JSON values: workers that train together do it together."""
    found: dict[str, Any] = {"events": [repr(event.when) if isinstance(event.when, Every) else type(event.when).__name__
                                         for event in events]}
    if recording is not None:
        found |= {f"{name}_every": repr(getattr(recording, name)) for name in ("log", "evaluate", "checkpoint")}
        found |= {"at_end": list(recording.at_end), "histograms": recording.histograms}
    return found
