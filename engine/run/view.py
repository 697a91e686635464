"""What a trainer shows of where its run stands."""

from engine.cycle.step_engine import StepEngine
from engine.data.source import Source
from engine.run.counters import Counters
from engine.run.facts import RunFacts
from engine.run.goal import Best


class View:
    """Counters and facts of a run.

    Attributes:
      engine: The compiled loop, and where it stands.
      data: Source of the training batches; the first, if there are several.
    """

    engine: StepEngine
    data: Source
    _facts: RunFacts

    @property
    def continued(self) -> bool:
        """Whether the run goes on from a checkpoint."""
        return self._facts.continued

    @property
    def seconds(self) -> float:
        """Of training, over all sessions of the run."""
        return self._facts.seconds

    @property
    def rejected(self) -> dict[str, int]:
        """Updates that were not applied, per phase."""
        return self._facts.rejected

    @property
    def best(self) -> Best | None:
        """By the goal; None without one."""
        return self._facts.best

    @property
    def stopped(self) -> str:
        """Why the training ended early; an event may set it, and it ends."""
        return self._facts.stopped

    @stopped.setter
    def stopped(self, why: str) -> None:
        self._facts.stopped = why

    @property
    def counters(self) -> Counters:
        """Cycles, updates per phase, batches and epoch, now."""
        return Counters.of(self.engine)

    @property
    def cycles_per_epoch(self) -> float:
        """Cycles in one epoch of the training data."""
        return self.data.batches_per_epoch / self.engine.schedule.batches_per_cycle

    @property
    def term_names(self) -> dict[str, list[str]]:
        """{phase: names of its terms}, as the logs show them."""
        return {name: step.names for name, step in self.engine.steps.items()}
