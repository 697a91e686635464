"""Successive halving and Hyperband: how many trials are trained how far, and which go on.

Li et al. 2018, "Hyperband: a novel bandit-based approach to hyperparameter optimization", JMLR 18(185). The numbers of
trials are those of its table 1 and of the authors' code, floor((s_max + 1) / (s + 1)) eta^s, each a multiple of what
goes on; line 3 of its algorithm 1 has ceil((s_max + 1) eta^s / (s + 1)), which is more and gives up a fraction.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Value = Callable[[int, float], float | None]


@dataclass(frozen=True)
class Bracket:
    """Trials of which, from rung to rung, the best are trained on.

    Attributes:
      first: The number of its first trial.
      rungs: (trials, length of a trial), shortest first.
    """

    first: int
    rungs: tuple[tuple[int, float], ...]

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.first + self.rungs[0][0]))


def halving(trials: int, longest: float, shortest: float, eta: int) -> list[Bracket]:
    """One bracket: ``shortest``, eta times as long, and so on, the last ``longest``."""
    rungs, length = [], shortest
    while length < longest * (1 - 1e-9) and trials > 1:
        rungs.append((trials, length))
        trials, length = max(1, trials // eta), length * eta
    return [Bracket(1, (*rungs, (trials, longest)))]


def hyperband(longest: float, shortest: float, eta: int) -> list[Bracket]:
    """All brackets, from the one with the most trials to the one that trains each to the end."""
    most, brackets, first = halvings(longest, shortest, eta), list[Bracket](), 1
    for s in range(most, -1, -1):
        count = (most + 1) // (s + 1) * eta**s
        brackets.append(Bracket(first, tuple((count // eta**i, longest / eta**(s - i)) for i in range(s + 1))))
        first += count
    return brackets


def halvings(longest: float, shortest: float, eta: int) -> int:
    """The floor of log_eta(longest / shortest)."""
    count = 0
    while shortest * eta**(count + 1) <= longest * (1 + 1e-9):
        count += 1
    return count


def climb(bracket: Bracket, is_done: Callable[[int, float], bool], value: Value, better: str
          ) -> Iterator[tuple[float, list[int], list[int]]]:
    """(length, its trials, those that go on) of each rung, up to the first that is not done, of which none goes on.

    Args:
      is_done: Whether a trial was trained to a length.
      value: What it reached there; None if it failed, and then it does not go on.
      better: "lower" or "higher".
    """
    trials = list(bracket)
    for (_, length), count in zip(bracket.rungs, [*(count for count, _ in bracket.rungs[1:]), 0], strict=True):
        if not trials:
            return
        if not all(is_done(trial, length) for trial in trials):
            yield length, trials, []
            return
        best = ranked({trial: value(trial, length) for trial in trials}, better)[:count]
        yield length, trials, sorted(best)
        trials = sorted(best)


def ranked(values: Mapping[int, float | None], better: str) -> list[int]:
    """The trials with a value, the best first; of two with the same the earlier one."""
    found = {trial: value for trial, value in values.items() if value is not None}
    return sorted(found, key=lambda trial: (-found[trial] if better == "higher" else found[trial], trial))
