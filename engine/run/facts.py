"""All of a run's state that is no tensor: what a checkpoint's manifest holds."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.cycle.health import Fault
from engine.cycle.state import Place
from engine.cycle.step_engine import StepEngine
from engine.run import environment
from engine.run.checkpoint_manager import Facts
from engine.run.counters import Counters
from engine.run.goal import Best, Goal


class RunFacts:
    """What is known of a run beside its tensors.

    Attributes:
      seconds: Seconds of training, over all sessions of the run; seconds_before: of those, in earlier processes.
      rejected: Updates that were not applied, per phase.
      best: Best metric by the goal; None without one.
      stopped: Why the training ended early.
      faults: The bad updates that stopped it or took it back, the newest last. fault: That at which it stands.
      elsewhere: What its bits depend on and has changed between its processes.
      trial: What was found, if a plan was chosen.
      restored: What the checkpoint held from which the run goes on, until the training begins; continued: whether
        there was one.
      torn: Whether the tensors are those of no cycle: a call failed half-way, and there was no checkpoint.
    """

    def __init__(self, engine: StepEngine, goal: Goal | None) -> None:
        self._engine = engine
        self.seconds, self.seconds_before = 0.0, 0.0
        self.rejected: dict[str, int] = {}
        self.best = Best(goal) if goal else None
        self.stopped = ""
        self.faults: list[str] = []
        self.fault: Fault | None = None
        self.elsewhere: list[str] = []
        self.trial: dict[str, Any] = {}
        self.restored: Facts = {}
        self.continued = self.torn = False
        self._kept: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}

    def now(self, events: Any) -> Facts:
        """JSON values; ``events``: what the agenda saves."""
        engine, counters = self._engine, Counters.of(self._engine)
        return {"place": {"slot": engine.place.slot, "updates": engine.completed, "batches": engine.batches},
                "streak": engine.streak, "rollbacks": engine.rollbacks, "seconds": self.seconds,
                "rejected": self.rejected, "faults": self.faults, "events": events, "updates": dict(counters.updates),
                "batches": counters.batches, "plan": engine.plan.name, "trial": self.trial,
                "best": self.best.facts if self.best else {},
                "kept": {name: get() for name, (get, _) in self._kept.items()},
                "surroundings": self._surroundings(), "elsewhere": self.elsewhere}

    def put_back(self, facts: Facts, say: Callable[[str], None]) -> None:
        """Go on from a checkpoint, whose tensors are in place; what may change its bits from here on is said."""
        self.restored, self.continued = facts, bool(facts)
        if not facts:
            return
        engine = self._engine
        engine.place, engine.streak, engine.rollbacks = place_of(facts), facts["streak"], facts["rollbacks"]
        self.seconds, self.rejected = facts["seconds"], facts["rejected"]
        self.seconds_before, self.trial, self.faults = self.seconds, facts["trial"], facts["faults"]
        changed = _changed({"workers": "1", **facts["surroundings"]}, {"workers": "1", **self._surroundings()})
        self.elsewhere = list(dict.fromkeys([*facts["elsewhere"], *changed]))
        if changed:
            say(f"warning: continued elsewhere, the bits may be others from here on: {'; '.join(changed)}")
        if facts["plan"] != engine.plan.name:
            engine.program = engine.compiled(facts["plan"])
        if self.best:
            self.best.put_back(facts["best"])
            self.stopped = self.best.exhausted(Counters.of(engine), self.seconds)

    def _surroundings(self) -> dict[str, str]:
        division = self._engine.division
        alike = division.workers.count == 1 or division.exact
        return environment.surroundings() | ({} if alike else {"workers": str(division.workers.count)})

    def rolled_back(self, facts: Facts) -> None:
        """Go on from an earlier place of the same session, by a detour."""
        self._engine.detour(place_of(facts))
        if self.best:
            self.best.put_back(facts["best"])
        self.tell_kept(facts)

    def tell_kept(self, facts: Facts) -> None:
        """Hand what ``facts`` hold to those who keep it."""
        for name, (_, put) in self._kept.items():
            put(facts["kept"].get(name))

    def register(self, name: str, get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        """Make a JSON value part of it; ``put`` is called now with what was restored, and after each rollback."""
        self._kept[name] = get, put
        if name in self.restored.get("kept", {}):
            put(self.restored["kept"][name])

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Whether they are the best so far; if not, and the goal's patience is over, the training is ``stopped``."""
        if self.best is None or self.best.goal.metric not in metrics:
            return False
        counters = Counters.of(self._engine)
        found = self.best.note(metrics, counters, self.seconds)
        if not found:
            self.stopped = self.best.exhausted(counters, self.seconds)
        return found

    @property
    def worth_keeping(self) -> set[int]:
        """Cycles whose checkpoints are kept beside the newest."""
        return {self.best.facts["cycle"]} if self.best and self.best.facts else set()


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [f"{name} was {before.get(name)} and is {now[name]}" for name in now if before.get(name) != now[name]]


def place_of(facts: Facts) -> Place:
    """Where a checkpoint was saved."""
    place = facts["place"]
    return Place(place["slot"], tuple(place["updates"].values()), tuple(place["batches"].values()))
