"""StepEngine: all phases of a strategy as one compiled cycle, and many cycles in one call.

A few integers say where a run stands (``state.Place``): the slot, completed updates of each phase, batches of each
source. Batch numbers, schedules and random keys follow from them, and from the number of rollbacks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle import health
from engine.cycle.average import Teacher
from engine.cycle.division import Division
from engine.cycle.inputs import Context
from engine.cycle.parts import parts_of
from engine.cycle.plan import Plan
from engine.cycle.program import Program, program_of
from engine.cycle.reads import reads_of
from engine.cycle.report import Report
from engine.cycle.schedule import Schedule
from engine.cycle.shards import can_be_sharded
from engine.cycle.state import Place
from engine.cycle.step import Step
from engine.cycle.update import Update
from engine.data.source import Source
from engine.errors import require
from engine.strategy import Nets, Phase
from engine.workers.workers import Workers


class StepEngine:
    """Compiles ``phases`` over ``nets`` and runs cycles of them. Constructing it creates every variable.

    Args:
      phases: Phases in the order of the cycle.
      nets: Keras models, or an ``average_of`` one, by name.
      updates: An ``Update`` per phase name.
      sources: Sources of the training batches, by name; or one alone.
      state: What the strategy remembers, at its start.
      seed: Seed of all random draws.
      plan: Name of a ``Plan``.
      on_bad_update: "stop", "rollback" (which stops too: see ``detour``) or "skip", which stops after 10 bad updates
        in a row.
      loss_scaling: Whether the loss is scaled dynamically (float16).
      spike: Rule by which finite objectives are bad too; None for none.
      workers: Those that train together; None for this process alone.
      reproducible: Number of fixed shards of each batch: see ``Division``.
    """

    def __init__(self, phases: Sequence[Phase], nets: Nets, updates: Mapping[str, Update],
                 sources: Source | Mapping[str, Source], *, state: Mapping[str, Any] | None = None, seed: int = 0,
                 plan: str = "graph", on_bad_update: str = "stop", loss_scaling: bool = False,
                 spike: health.Spike | None = None, workers: Workers | None = None,
                 reproducible: int | None = None) -> None:
        self.phases, self.nets = list(phases), nets
        self.sources = dict(sources) if isinstance(sources, Mapping) else {"data": sources}
        self._limit = health.limit(on_bad_update)
        self.division = Division(workers, reproducible, {name: each.batch_size for name, each in self.sources.items()})
        self.state = {name: tf.Variable(value, trainable=False, name=name) for name, value in (state or {}).items()}
        reads, accumulate = reads_of(self.phases, self.sources), [updates[phase.name].accumulate for phase in phases]
        self.schedule = Schedule(self.phases, reads, list(self.sources), accumulate)
        require(self.schedule.batches_per_cycle, "phases", [phase.name for phase in self.phases],
                f"with one that reads the first source, {next(iter(self.sources))}")
        self.place = self.schedule.start()
        self.streak = self.rollbacks = 0  # the streak: bad updates in a row, up to now
        self.parts = parts_of(self.phases, nets, updates, reads, list(self.sources), self.state, self.division, seed,
                              loss_scaling, spike)
        self.program = self.compiled(plan)

    def compiled(self, plan: str) -> Program:
        """The phases by another ``plan``; set ``program`` to it, and it is what runs."""
        return program_of(plan, self.parts, self.schedule, self.division, list(self.sources.values()), self._limit,
                          [v for net in self.nets.values() for v in net.variables])

    @property
    def source(self) -> Source:
        """The first source, whose epochs are the run's."""
        return next(iter(self.sources.values()))

    @property
    def plan(self) -> Plan:
        """How the program that runs is compiled."""
        return self.program.plan

    @property
    def steps(self) -> dict[str, Step]:
        """Each phase as the loop runs it, by name, in the order of the cycle."""
        return self.program.steps

    @property
    def separable(self) -> set[str]:
        """The phases whose batches can be computed in shards."""
        return {name for name, part in self.parts.items() if can_be_sharded(part.compute, self.division)}

    @property
    def cycles(self) -> int:
        """Completed cycles."""
        return int(self.schedule.cycle(self.place.slot))

    @property
    def completed(self) -> dict[str, int]:
        """Completed updates of each phase."""
        return dict(zip(self.parts, self.place.completed, strict=True))

    @property
    def batches(self) -> dict[str, int]:
        """Batches read from each source, those that a rollback passed over included."""
        return dict(zip(self.sources, self.place.batches, strict=True))

    @property
    def teachers(self) -> dict[str, Teacher]:
        """The nets that are averages of others, by name."""
        return {name: net for name, net in self.nets.items() if isinstance(net, Teacher)}

    @property
    def averages(self) -> list[tuple[Any, Any]]:
        """(variable, average) pairs of every phase whose weights are averaged for evaluation."""
        return [pair for part in self.parts.values() if part.average for pair in part.average.pairs]

    def restart_averages(self) -> None:
        """From what the weights are now."""
        every: list[Any] = [*self.parts.values(), *self.teachers.values()]
        for average in filter(None, (each.average for each in every)):
            average.restart()

    def detour(self, place: Place) -> None:
        """Go on from ``place``, whose state was put back, after the batches read so far, with other draws."""
        stuck = self.schedule.passed(self.schedule.phase_at(self.place.slot), self.place)
        self.place, self.streak, self.rollbacks = place._replace(batches=stuck.batches), 0, self.rollbacks + 1

    def run(self, cycles: int) -> Report:
        """Run ``cycles`` more cycles, or to an update that the health watch stops; a further call tries it again."""
        start = self.place
        target = (self.cycles + cycles) * self.schedule.slots_per_cycle
        readers = {name: source.open(self.batches[name], self.division.workers.part)
                   for name, source in self.sources.items() if source.in_sequence}
        state = self.program.loop(_int64(start), _int64(min(self.streak, self._limit - 1)), _int64(target),
                                  Context(readers, _int64(self.rollbacks)))
        state = tf.nest.map_structure(lambda tensor: tensor.numpy(), state)
        self.place, self.streak = tf.nest.map_structure(int, state.place), int(state.streak)
        stopped = self.streak >= self._limit
        if not stopped:
            for name, source in self.sources.items():
                source.left_at(self.batches[name])
        return Report.read(list(self.steps.values()), self.schedule, start, state, stopped)


def _int64(numbers: Any) -> Any:
    return tf.nest.map_structure(lambda number: tf.constant(number, tf.int64), numbers)
