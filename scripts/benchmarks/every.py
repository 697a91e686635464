"""What a phase that seldom runs costs: the gradient penalty of a WGAN-GP's critic at every=1, every=16, and none.

  python scripts/benchmarks/every.py
  python scripts/benchmarks/every.py --plan xla --rounds 30

Three trainers in one process, of equal nets and data, take turns of a second, so that a drift of the machine strikes
all: the critic alone; with the penalty as a phase of its own after each update, on the same batch; and after each 16th.
A cycle is one update of the critic. "fraction" is the time that the penalty adds to a cycle at every=16, over that
which it adds at every=1, round by round: 1/16 = 0.06 if what is not due costs nothing.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import rules
from fields import option
from rules import Choice

from benchmarks import program
from benchmarks.workloads import PENALTY_WEIGHT, WORKLOADS

NAME, EVERY = "every", 16
CASES = {"without": None, "every=1": 1, f"every={EVERY}": EVERY}
WORKLOADS_HERE = tuple(name for name, each in WORKLOADS.items() if each.loss == "wgan-gp")


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    workload: str = option(WORKLOADS_HERE[0], "whose phase is not due in every cycle", Choice(*WORKLOADS_HERE))
    plan: tuple[str, ...] = option(("graph", "xla"), "(default: both)", Choice("graph", "xla"), nargs="+")
    rounds: int = option(15, "turns of each", rules.whole)
    seconds: float = option(1.0, "of a turn", rules.positive)


def measured(point: dict[str, Any]) -> program.Result:
    """What the process of one plan does: updates per second of the critic, by round and case."""
    from benchmarks import inputs

    workload = WORKLOADS[point["workload"]]
    arrays = inputs.made(workload)
    engines = {name: _engine(workload, arrays, every, point["plan"]) for name, every in CASES.items()}
    counts = {}
    for name, engine in engines.items():
        engine.run(2 * EVERY)
        rate = EVERY / min(_seconds(engine, EVERY) for _ in range(3))
        counts[name] = EVERY * max(1, round(rate * point["seconds"] / EVERY))  # so that every=16 has its due
    rounds = []
    for number in range(point["rounds"]):
        names = list(engines)[::-1 if number % 2 else 1]
        rounds.append({name: counts[name] / _seconds(engines[name], counts[name]) for name in names})
    return {"plan": point["plan"], "rounds": rounds}


def _engine(workload: Any, arrays: Any, every: int | None, plan: str) -> Any:
    """The critic's updates, with a phase for the penalty or without."""
    import keras

    from benchmarks import ours, plain_tf
    from engine import LossStrategy, Phase, Trainer, prepare
    from losses import gradient_penalty, wasserstein_critic

    class Critic(LossStrategy):
        def phases(self) -> list[Phase]:
            found = [Phase("critic", self.critic, updates=["critic"], separable=True)]
            if every is not None:
                found.append(Phase("penalty", self.penalty, updates=["critic"], every=every, reads="same",
                                   weights={"gradient_penalty": PENALTY_WEIGHT * every}, separable=True))
            return found

        def made(self, nets: Any, batch: Any, noise: Any) -> Any:
            return 2.0 * batch["image"] - 1.0, nets["generator"](noise.normal("z", [workload.latent_dim]))

        def critic(self, nets: Any, batch: Any, noise: Any) -> Any:
            real, fake = self.made(nets, batch, noise)
            return {"wasserstein": wasserstein_critic(nets["critic"](real), nets["critic"](fake))}

        def penalty(self, nets: Any, batch: Any, noise: Any) -> Any:
            real, fake = self.made(nets, batch, noise)
            return {"gradient_penalty": gradient_penalty(nets["critic"], real, fake, noise.uniform("mix"))}

    prepare(0)
    optimizer = keras.optimizers.Adam(workload.learning_rate, *workload.betas)
    strategy = Critic()
    return Trainer(strategy, plain_tf.make_nets(workload), {phase.name: optimizer for phase in strategy.phases()},
                   ours.source(workload, arrays), plan=plan).engine


def _seconds(engine: Any, cycles: int) -> float:
    began = time.perf_counter()
    engine.run(cycles)
    return time.perf_counter() - began


def fractions(rounds: list[dict[str, float]]) -> list[float]:
    """Of each round: the time that the penalty adds to a cycle at every=16, over that at every=1."""
    added = [{name: 1.0 / each[name] - 1.0 / each["without"] for name in CASES} for each in rounds]
    return [each[f"every={EVERY}"] / each["every=1"] for each in added]


def table(rows: list[program.Result]) -> str:
    """A line per plan: updates per second of the critic, median (range), and the fraction."""
    lines = [[row["plan"], *(program.shown(program.spread([each[name] for each in row["rounds"]])) for name in CASES),
              program.shown(program.spread(fractions(row["rounds"])))] for row in rows]
    return program.columns(["plan", *CASES, "fraction"], lines)


def work(chosen: Options) -> tuple[program.Result, str]:
    if chosen.quick:
        chosen = dataclasses.replace(chosen, rounds=2, seconds=0.1)
    rows = [program.run(NAME, {"workload": chosen.workload, "plan": plan, "rounds": chosen.rounds,
                               "seconds": chosen.seconds}) for plan in chosen.plan]
    return {"workload": chosen.workload, "rows": rows}, table(rows)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
