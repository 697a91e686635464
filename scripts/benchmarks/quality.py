"""Time to quality: seconds from a process's start until the net is good enough, ours against Keras fit.

  python scripts/benchmarks/quality.py --data-dir /usr/share/datasets/fashion-mnist
  python scripts/benchmarks/quality.py --workload vae --pairs 5

The same net, batch (128), Adam (1e-3) and data, both evaluated on the test set after each epoch; each in a fresh
process, in pairs that alternate. Ours is a person's run: health watch, logs, pictures, checkpoints. The clock begins
when the process is started and ends with the first evaluation that reaches the goal: convnet 0.91 test accuracy on the
full Fashion-MNIST, vae 246 nats of negative ELBO per test image. Keras's settings are found by a short trial.
"""

import dataclasses
import itertools
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import rules
from fields import option
from rules import Choice

from benchmarks import program

NAME = "quality"


@dataclass(frozen=True)
class Goal:
    """What is to be reached."""

    metric: str  # its name in ours
    value: float
    higher: bool  # is better
    epochs: int  # at most
    plan: str  # of ours

    def reached(self, value: float, metric: float) -> bool:
        """Whether ``metric`` is as good as ``value``."""
        return metric >= value if self.higher else metric <= value


GOALS = {"convnet": Goal("accuracy", 0.91, True, 15, "halves"),
         "vae": Goal("negative_elbo", 246.0, False, 40, "xla")}
JITS, STEPS = ("auto", "no"), (1, 32)  # candidates; "auto" is XLA wherever Keras can


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    workload: tuple[str, ...] = option(tuple(GOALS), "(default: both)", Choice(*GOALS), nargs="+")
    data_dir: Path | None = option(None, "folder of the full Fashion-MNIST (default: the usual places)", Path)
    dataset: str = option("fashion-mnist", "that is trained on", Choice("fashion-mnist", "fashion-mnist-10k"))
    pairs: int = option(3, "trainings of each side; pair i has the seed i - 1", rules.whole)
    goal: float | None = option(None, "another one (default: " + ", ".join(
        f"{goal.value:g} for {name}" for name, goal in GOALS.items()) + ")", rules.positive)
    epochs: int | None = option(None, "at most (default: " + ", ".join(
        f"{goal.epochs} for {name}" for name, goal in GOALS.items()) + ")", rules.whole)
    plan: str | None = option(None, "of ours (default: " + ", ".join(
        f"{goal.plan} for {name}" for name, goal in GOALS.items()) + ")", Choice("graph", "halves", "xla"))
    average: float = option(0.0, "ours: decay of averaged weights to evaluate with, which Keras is not given, 0 for "
                            "none", rules.fraction)
    keras_jit: str | None = option(None, "(default: the better of auto and no)", Choice("auto", "yes", "no"))
    keras_steps: int | None = option(None, "steps_per_execution (default: the better of 1 and 32)", rules.whole)


def one(point: program.Result) -> program.Result:
    """A training in a fresh process, told epoch by epoch; "seconds_to_goal" is None if it was not reached."""
    found = program.run(NAME, {**point, "began": time.monotonic()})
    for number, epoch in enumerate(found["epochs"], 1):
        program.say(f"    {point['workload']}, {point['side']}, epoch {number}: {epoch['metric']:.4f} at "
                    f"{epoch['seconds']:.1f} s")
    return {**found, **judged(found["epochs"], GOALS[point["workload"]], point["goal"])}


def judged(epochs: list[dict[str, float]], goal: Goal, value: float) -> program.Result:
    """Seconds and epochs to the goal, and the last metric."""
    good = [number for number, epoch in enumerate(epochs) if goal.reached(value, epoch["metric"])]
    return {"seconds_to_goal": epochs[good[0]]["seconds"] if good else None,
            "epochs_to_goal": good[0] + 1 if good else None, "final": epochs[-1]["metric"]}


def trial(chosen: Options, point: program.Result) -> program.Result:
    """Keras's settings with the shortest second epoch, on a part of the data; given ones are kept."""
    jits = (chosen.keras_jit,) if chosen.keras_jit else JITS
    counts = (chosen.keras_steps,) if chosen.keras_steps else STEPS
    candidates = [{"jit": jit, "steps": steps} for jit, steps in itertools.product(jits, counts)]
    if len(candidates) == 1:
        return candidates[0]
    best, least = candidates[0], float("inf")
    for settings in candidates:
        found = program.run(NAME, {**point, **settings, "side": "keras", "epochs": 2, "goal": None,
                                   "examples": point["examples"] or 12_800, "began": time.monotonic()})
        took = found["epochs"][1]["seconds"] - found["epochs"][0]["seconds"]
        program.say(f"    {point['workload']}, keras {settings}: {took:.2f} s for the second epoch of a trial")
        best, least = (settings, took) if took < least else (best, least)
    return best


def compare(chosen: Options, workload: str) -> program.Result:
    """The row of one workload."""
    goal = GOALS[workload]
    point = {"workload": workload, "goal": chosen.goal or goal.value, "epochs": chosen.epochs or goal.epochs,
             "dataset": chosen.dataset, "data_dir": str(chosen.data_dir) if chosen.data_dir else None,
             "examples": None, "seed": 0}
    if chosen.quick:
        small = {"dataset": "fashion-mnist-10k", "data_dir": None, "examples": 1024, "epochs": 2}
        point = {**point, **small, "goal": chosen.goal or (0.1 if goal.higher else 600.0)}
    keras = {**point, "side": "keras", **trial(chosen, point)}
    ours = {**point, "side": "ours", "plan": chosen.plan or goal.plan, "average": chosen.average}
    pairs = program.alternate(lambda seed: one({**ours, "seed": seed}), lambda seed: one({**keras, "seed": seed}),
                              1 if chosen.quick else chosen.pairs)
    return {**summary(pairs), "workload": workload, "goal": point["goal"], "metric": goal.metric, "plan": ours["plan"],
            "keras": {name: keras[name] for name in ("jit", "steps")}}


def summary(pairs: list[tuple[program.Result, program.Result]]) -> program.Result:
    """Medians, and the ratio Keras : ours pair by pair, None unless both reached the goal in every pair."""
    row: program.Result = {"pairs": pairs, "ratio": None}
    for side, number in (("ours", 0), ("theirs", 1)):
        seconds = [pair[number]["seconds_to_goal"] for pair in pairs]
        row[side] = {"seconds": None if None in seconds else statistics.median(seconds), "final": statistics.median(
            pair[number]["final"] for pair in pairs), "epochs": [pair[number]["epochs_to_goal"] for pair in pairs]}
    if row["ours"]["seconds"] and row["theirs"]["seconds"]:
        row["ratio"] = program.spread([second["seconds_to_goal"] / first["seconds_to_goal"] for first, second in pairs])
    return row


def table(rows: list[program.Result]) -> str:
    """The rows for people."""
    lines = []
    for row in rows:
        cells = [f"{row[side]['seconds']:.1f} ({' '.join(map(str, row[side]['epochs']))})" if row[side]["seconds"]
                 else "not reached" for side in ("ours", "theirs")]
        lines.append([row["workload"], f"{row['metric']} {row['goal']:g}", row["plan"],
                      f"jit={row['keras']['jit']} steps={row['keras']['steps']}", *cells,
                      program.shown(row["ratio"]) if row["ratio"] else "-",
                      f"{row['ours']['final']:.4f} : {row['theirs']['final']:.4f}"])
    return program.columns(["workload", "goal", "our plan", "Keras", "ours, s (epochs)", "Keras, s (epochs)",
                            "Keras : ours (min..max)", "final metric"], lines)


def work(chosen: Options) -> tuple[program.Result, str]:
    rows = [compare(chosen, workload) for workload in chosen.workload]
    return {"rows": rows}, table(rows)


def measured(point: program.Result) -> program.Result:
    """What one process does."""
    from benchmarks import quality_sides

    return quality_sides.measured(point)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
