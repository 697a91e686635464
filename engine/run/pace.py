"""How long a call of the compiled loop should be, how fast the run is, and where its time goes."""


class Pace:
    """How many cycles make about half a second, so that events and signals are never far away.

    Attributes:
      first_call: Seconds of the first call of this process: tracing and compiling are in it.
      waited: Seconds in calls that went by for batches that had to be read.
      trial: Seconds of choosing a plan.
    """

    def __init__(self) -> None:
        self.cycles = 1
        self.first_call = self.waited = self.trial = 0.0
        self._first_cycles = self._done = 0
        self._spent = 0.0

    @property
    def cycles_per_second(self) -> float:
        """Of the compiled loop, without the first call and without events."""
        return self._done / self._spent if self._spent else 0.0

    def ran(self, cycles: int, seconds: float, waited: float = 0.0) -> None:
        """Count in one call. A clock that goes backwards gives less than no seconds."""
        seconds = max(seconds, 1e-9)
        self.waited += waited
        if not self.first_call:
            self.first_call = seconds
            self._first_cycles = cycles
            return
        self._done, self._spent = self._done + cycles, self._spent + seconds
        fitting = int(0.5 * cycles / seconds)
        self.cycles = max(1, min(fitting, 4 * self.cycles, 10_000))

    def parts(self, seconds: float) -> dict[str, float]:
        """Where ``seconds`` of training in this process went: {"compile", "compute", "input", "events"}, in seconds.

        Compiling is what the first call took beyond the usual, and the trial of plans.
        """
        usual = self._first_cycles / self.cycles_per_second if self._spent else 0.0
        compiling = max(0.0, self.first_call - usual)
        compute = max(0.0, self.first_call + self._spent - compiling - self.waited)
        return {"compile": compiling + self.trial, "compute": compute, "input": self.waited,
                "events": max(0.0, seconds - self.first_call - self._spent)}
