"""Time to quality: seconds from a process's start until the net is good enough, ours against Keras fit.

  python scripts/benchmarks/quality.py --data-dir /usr/share/datasets/fashion-mnist
  python scripts/benchmarks/quality.py --workload vae --pairs 5

The same net, batch (128), Adam (1e-3) and data, both evaluated on the test set after each epoch; each in a fresh
process, in pairs that alternate. Ours is a person's run: health watch, logs, pictures, checkpoints. The clock begins
when the process is started and ends with the first evaluation that reaches the goal: convnet 0.91 test accuracy on the
full Fashion-MNIST, vae 246 nats of negative ELBO per test image. Keras's settings are found by a short trial.
"""

import argparse
import itertools
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli

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


def options() -> cli.Parser:
    parser = program.parser(__doc__)
    parser.add_argument("--workload", nargs="+", choices=tuple(GOALS), default=list(GOALS), help="(default: both)")
    parser.add_argument("--data-dir", type=Path, help="folder of the full Fashion-MNIST (default: the usual places)")
    parser.add_argument("--dataset", choices=("fashion-mnist", "fashion-mnist-10k"), default="fashion-mnist",
                        help="(default: %(default)s)")
    parser.add_argument("--pairs", type=cli.whole, default=3, help="(default: %(default)s); pair i has the seed i - 1")
    parser.add_argument("--goal", type=cli.positive, help="another one (default: "
                        + ", ".join(f"{goal.value:g} for {name}" for name, goal in GOALS.items()) + ")")
    parser.add_argument("--epochs", type=cli.whole, help="at most (default: "
                        + ", ".join(f"{goal.epochs} for {name}" for name, goal in GOALS.items()) + ")")
    parser.add_argument("--plan", choices=("graph", "halves", "xla"), help="of ours (default: "
                        + ", ".join(f"{goal.plan} for {name}" for name, goal in GOALS.items()) + ")")
    parser.add_argument("--average", type=cli.share, default=0.0, help="ours: decay of averaged weights to evaluate "
                        "with, which Keras is not given (default: %(default)s, none)")
    parser.add_argument("--keras-jit", choices=("auto", "yes", "no"), help="(default: the better of auto and no)")
    parser.add_argument("--keras-steps", type=cli.whole, metavar="N", help="steps_per_execution (default: the better "
                        "of 1 and 32)")
    return parser


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


def trial(chosen: argparse.Namespace, point: program.Result) -> program.Result:
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


def compare(chosen: argparse.Namespace, workload: str) -> program.Result:
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


def work(chosen: argparse.Namespace) -> tuple[program.Result, str]:
    rows = [compare(chosen, workload) for workload in chosen.workload]
    return {"rows": rows}, table(rows)


def measured(point: program.Result) -> program.Result:
    """What one process does."""
    from benchmarks import quality_sides

    return quality_sides.measured(point)


if __name__ == "__main__":
    raise SystemExit(program.main(options().parse_args(), work, measured))
