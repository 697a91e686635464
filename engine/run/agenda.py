"""The events of a run: which are due, which acts, and what a checkpoint holds of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.cycle.report import Report
from engine.run.events import Event

Time = tuple[int, float, float]  # cycles, cycles per epoch, seconds of training
Saved = list[dict[str, Any]]  # of each event: the totals of its interval, and whether it is yet to act


class Agenda:
    """The events, in the order in which they act.

    Args:
      now: Function that tells where the run stands.
    """

    def __init__(self, events: Sequence[Event], now: Callable[[], Time]) -> None:
        self.events, self._now = list(events), now
        self._pending: list[Event] = []  # due now, and yet to act
        self._acting: tuple[Event, Any] | None = None  # with what its interval held

    @property
    def is_pending(self) -> bool:
        """Whether an event is yet to act."""
        return bool(self._pending)

    @property
    def is_acting(self) -> bool:
        """Whether an event acts now."""
        return self._acting is not None

    def start(self, saved: Saved) -> None:
        """Set each event's next time; those of a continued run go on where they were."""
        for event in self.events:
            event.start(*self._now())
        for event, facts in zip(self._remembered(), saved, strict=False):
            event.interval.restore(facts["totals"])
            if facts["pending"]:
                self._pending.append(event)

    def next_cycle(self) -> float:
        """The first at which one is due by its count."""
        return min((event.due_cycle for event in self.events), default=float("inf"))

    def count(self, report: Report) -> None:
        """Add a call of the compiled loop to the interval of every event."""
        for event in self.events:
            event.interval.add(report)

    def collect(self, ending: bool) -> None:
        """Note which are due now; with ``ending`` those of the end too. Those that are pending act first."""
        cycles, _, seconds = self._now()
        self._pending = self._pending or [event for event in self.events if event.due(cycles, seconds)
                                          or (event.at_end and ending)]

    def end(self, acted: set[int]) -> None:
        """The training ends early: note those of the end that are not among ``acted``."""
        self._pending = [event for event in self.events if event.at_end and id(event) not in acted]

    def act(self, act: Callable[[Event, Mapping[str, float]], None]) -> set[int]:
        """Let the pending events act, one after the other. Returns their ids."""
        acted = set()
        try:
            while self._pending:
                event = self._pending[0]
                self._acting = event, event.interval.saved()
                means, self._pending = event.interval.means(), self._pending[1:]
                event.interval.clear()
                event.start(*self._now())
                acted.add(id(event))
                try:
                    act(event, means)
                except Exception:  # it is yet to act
                    event.interval.restore(self._acting[1])
                    self._pending.insert(0, event)
                    raise
        finally:
            self._acting = None
        return acted

    def saved(self, again: bool = False) -> Saved:
        """For a checkpoint; with ``again`` as it was before the event that acts now."""
        pending = {id(event): event.interval.saved() for event in self._pending}
        if again and self._acting:
            pending[id(self._acting[0])] = self._acting[1]
        return [{"totals": pending.get(id(event), event.interval.saved()), "pending": id(event) in pending}
                for event in self._remembered()]

    def _remembered(self) -> list[Event]:
        """Those of which a checkpoint holds something; it tells them by their order."""
        return [event for event in self.events if event.remembered]
