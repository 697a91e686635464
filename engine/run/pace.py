"""How long a call of the compiled loop should be, and how fast the run is."""


class Pace:
    """How many cycles make about half a second, so that events and signals are never far away."""

    def __init__(self) -> None:
        self.cycles = 1
        self.first_call = 0.0  # tracing and compiling are in it
        self._done, self._spent = 0, 0.0

    @property
    def cycles_per_second(self) -> float:
        """Of the compiled loop, without the first call and without events."""
        return self._done / self._spent if self._spent else 0.0

    def ran(self, cycles: int, seconds: float) -> None:
        """Count in one call. A clock that goes backwards gives less than no seconds."""
        seconds = max(seconds, 1e-9)
        if not self.first_call:
            self.first_call = seconds
            return
        self._done, self._spent = self._done + cycles, self._spent + seconds
        fitting = int(0.5 * cycles / seconds)
        self.cycles = max(1, min(fitting, 4 * self.cycles, 10_000))
