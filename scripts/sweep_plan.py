"""A sweep as its options say it: which trials, how long, and by which commands."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import search_space
import sweep_options
from brackets import Bracket, climb, ranked
from search_space import Space
from sweep_options import Options
from trials import Results

PLACES = {"--data-dir", "--cache"}  # options that say where, and may be others when the sweep goes on
CONTINUED = ("halving", "hyperband")  # searches that train a trial in several parts


@dataclass(frozen=True)
class Sweep:
    """What is searched, and how.

    Attributes:
      script: Module of the train script.
      search: One of grid, random, halving, hyperband.
      space: What is varied.
      brackets: Brackets: the trials, and how far each is trained.
      unit: What lengths count, epochs or cycles.
      words: Options of the train script that all trials share.
      chosen: The options as they were given.
    """

    script: str
    search: str
    space: Space
    brackets: list[Bracket]
    unit: str
    words: list[str]
    chosen: Options

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        assert self.chosen.run.run_dir is not None
        return self.chosen.run.run_dir

    def options(self, trial: int) -> dict[str, str]:
        """What a trial has of what is varied."""
        if self.search == "grid":
            return search_space.cell(self.space, trial - 1)
        return search_space.drawn(self.space, self.chosen.what.seed, trial)

    def run_dir(self, trial: int) -> Path:
        """Its folder."""
        return self.folder / f"trial-{trial:03}"

    def command(self, trial: int, length: float) -> list[str]:
        """The train script with all its options, to train a trial to a length from wherever it stands."""
        chosen = self.chosen
        better = [f"--better={chosen.what.better}"] if chosen.what.better else []
        return [str(sweep_options.HERE / f"{self.script}.py"), *self.words, *search_space.typed(self.options(trial)),
                f"--{self.unit}={shown(length)}", f"--goal={chosen.what.goal}", *better,
                f"--run-dir={self.run_dir(trial)}"]

    def config(self) -> dict[str, Any]:
        """What makes two sweeps the same, as JSON values."""
        chosen = self.chosen
        held: dict[str, Any] = {}
        if self.search in CONTINUED:
            held = {"eta": chosen.length.eta, "shortest": shortest(chosen)}
        if self.search == "hyperband":
            held["longest"] = longest(chosen)
        varied = {name: str(values) for name, values in self.space.items()}
        return {"script": "sweep", "trains": self.script, "search": self.search, "vary": varied,
                "goal": chosen.what.goal, "better": chosen.what.better, "seed": chosen.what.seed, "unit": self.unit,
                "options": _without_places(self.words), **held}

    def due(self, results: Results) -> tuple[int, float] | None:
        """The next trial to train, and to which length; None at the end."""
        for bracket in self.brackets:
            for length, members, _ in climb(bracket, results.is_done, results.value, results.better):
                for trial in members:
                    if not results.is_done(trial, length):
                        return trial, length
        return None

    def planned(self, results: Results) -> Iterator[tuple[int, float]]:
        """(trainings, length of each) that are left, as far as can be said: none may fail."""
        for bracket in self.brackets:
            climbed = list(climb(bracket, results.is_done, results.value, results.better))
            before = 0.0
            for i, (count, length) in enumerate(bracket.rungs):
                done = sum(results.is_done(trial, length) for trial in climbed[i][1]) if i < len(climbed) else 0
                count = len(climbed[i][1]) if i < len(climbed) else count
                yield max(0, count - done), length - before
                before = length

    def ranking(self, results: Results) -> list[int]:
        """All trials with a result, the best first; those that failed last."""
        values = {trial: results.last(trial)[1].value for trial in results.trials()}
        best = ranked(values, results.better)
        return [*best, *(trial for trial in values if trial not in best)]


def shown(length: float) -> str:
    """A length as an option's value."""
    return f"{length:.6g}" if length < 1e6 else str(round(length))


def longest(chosen: Options) -> float:
    """What --max-epochs or --max-cycles says."""
    return float(chosen.length.max_epochs or chosen.length.max_cycles or 0)


def shortest(chosen: Options) -> float:
    """What --min-epochs or --min-cycles says."""
    return float((chosen.length.min_cycles or 0) if chosen.length.max_cycles else chosen.length.min_epochs or 1.0)


def _without_places(words: Sequence[str]) -> list[str]:
    """Options without those that say where something is."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in PLACES:
            next(rest, "")  # its value
        elif word.partition("=")[0] not in PLACES:
            kept.append(word)
    return kept


def seconds_left(sweep: Sweep, results: Results) -> float:
    """For what is planned, at the speed of what was done; NaN before the first result."""
    every = list(results.every())
    if not every:
        return math.nan
    units = sum({trial: length for trial, length, _ in every}.values())  # of each trial the longest, which comes last
    trained = sum(result.trained for *_, result in every)
    start = sum(max(0.0, result.wall - result.trained) for *_, result in every) / len(every)
    return sum(count * (start + step * trained / units) for count, step in sweep.planned(results))
