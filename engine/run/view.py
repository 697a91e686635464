"""What a trainer shows of where its run stands."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from engine.cycle.keras_internals import layers_of
from engine.cycle.step_engine import StepEngine
from engine.data.source import Source
from engine.errors import require
from engine.run.agenda import Agenda
from engine.run.autopsy import Autopsy, autopsy
from engine.run.counters import Counters, cycles_of
from engine.run.events import Event
from engine.run.facts import RunFacts
from engine.run.goal import Best
from engine.run.gradients import Gradients


class View:
    """Counters and facts of a run.

    Attributes:
      engine: The compiled loop, and where it stands.
      data: Source of the training batches; the first, if there are several.
    """

    engine: StepEngine
    data: Source
    _facts: RunFacts
    _agenda: Agenda
    _gradients: Gradients

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
        """Why the training ended early."""
        return self._facts.stopped

    @property
    def counters(self) -> Counters:
        """Cycles, updates per phase, batches and epoch, now."""
        return Counters.of(self.engine)

    @property
    def cycles_per_epoch(self) -> float:
        """Cycles in one epoch of the training data."""
        return self.data.batches_per_epoch / self.engine.schedule.batches_per_cycle

    def cycles_of(self, *, cycles: int | None = None, epochs: float | None = None) -> int:
        """The number of cycles that ``cycles`` or ``epochs`` means; an epoch ends with a whole cycle."""
        return cycles_of(self.cycles_per_epoch, cycles, epochs)

    @property
    def term_names(self) -> dict[str, list[str]]:
        """{phase: names of its terms}, as the logs show them."""
        return {name: step.names for name, step in self.engine.steps.items()}

    @property
    def layer_names(self) -> set[str]:
        """Names of all layers of all nets, and of the nets."""
        return {layer.name for net in self.engine.nets.values() for layer in layers_of(net)}

    def gradients(self) -> dict[str, np.ndarray]:
        """{"<phase>/<net>/<variable>": gradient}, by the weights of now, of the batch that the phase will read next.

        As the optimizer would be handed it, before clipping. Nothing is changed. Without phases whose data can only be
        read in sequence, as a ``tf.data.Dataset``.
        """
        return self._gradients.now()

    @property
    def learning_rates(self) -> dict[str, float]:
        """{"<phase>/learning_rate": that of the next update}, of each phase with one optimizer."""
        found = {name: part.commit.update.optimizers for name, part in self.engine.parts.items()}
        return {f"{name}/learning_rate": float(tf.convert_to_tensor(each[0].learning_rate))
                for name, each in found.items() if len(each) == 1}

    @property
    def minimised(self) -> set[str]:
        """Names of the terms that some phase minimises, "objective" among them."""
        return {"objective", *(name for part in self.engine.parts.values() for name in part.compute.counted)}

    @property
    def events(self) -> list[Event]:
        """What happens along the way; may be set until the training begins."""
        return self._agenda.events

    @events.setter
    def events(self, events: Sequence[Event]) -> None:
        self._agenda.events = list(events)

    def autopsy(self) -> Autopsy | None:
        """After ``BadUpdate``: the operation, layer and examples that went wrong first; None without.

        The update is computed again, eagerly, from the same state, batch and draws. Nothing is changed.
        """
        return None if self._facts.fault is None else autopsy(self.engine, self._facts.fault)

    def averaged(self, net: str) -> list[np.ndarray]:
        """The weights of ``net`` that evaluation uses, ordered as ``get_weights`` gives them.

        Moving averages where ``Update(average=...)`` keeps them, the weights themselves elsewhere; of an ``average_of``
        its averages. ``copy.set_weights(trainer.averaged("net"))`` makes a net of its own of them.
        """
        nets = self.engine.nets
        require(net in nets, "net", net, f"one of {', '.join(nets)}")
        teacher = self.engine.teachers.get(net)
        pairs = self.engine.averages if teacher is None else teacher.average.pairs if teacher.average else []
        averages = {id(variable): average for variable, average in pairs}
        weights = (nets[net] if teacher is None else teacher.net).weights
        return [tf.convert_to_tensor(averages.get(id(v), v)).numpy() for v in weights]
