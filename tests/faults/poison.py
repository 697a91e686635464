"""NaN, infinities and spikes in a term, one gradient or one input, at random positions, under every policy.

  python -m tests.faults.poison [--positions 100]      stop, skip and rollback, graph and xla: some minutes

Each time: cycle, phase, update and term are named; the bad update changes no bit of the state; and the run ends with
the bits of a run that was led past it by hand. Under xla some 50 updates are one launch, which is put back.
"""

import argparse
import random
import re
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from engine import ArraySource, BadUpdate, Event, Every, LossStrategy, Phase, Spike, Trainer, prepare
from engine.run.state import variables_of
from tests import toys
from tests.faults.workloads import state_hash

EXAMPLES, BATCH, CYCLES = 800, 8, 25  # 75 updates: each example is met once at most, also after a rollback
UPDATES = {"pair": 2, "single": 1}  # per cycle
CHECKPOINTS = 4  # cycles between two
SPIKE = Spike(window=8, standard_deviations=1e4)
NAMED = {"term": {"squared_error"}, "gradient": {"gradient_norm"}, "spike": {"objective"},
         "input": {"squared_error", "absolute_error", "gradient_norm"}}
KINDS = tuple(NAMED)


class Poisoned(LossStrategy):
    """Least squares by two phases; bad when ``example`` is in the batch, in the way that ``kind`` says."""

    def __init__(self):
        self.example, self.kind, self.value = tf.Variable(-1), tf.Variable(0), tf.Variable(np.nan)

    def phases(self):
        return [Phase("pair", self.pair, updates=["pair"], repeats=2),
                Phase("single", self.single, updates=["single"])]

    def pair(self, nets, batch, noise):
        return self.loss(nets["pair"], batch, noise)

    def single(self, nets, batch, noise):
        return self.loss(nets["single"], batch, noise)

    def harm(self, kind, batch):
        """[B]: is the example bad in this way?"""
        return (batch["number"] == self.example) & (self.kind == KINDS.index(kind))

    def transform(self, batch, noise):
        place = self.harm("input", batch)[:, None] & tf.constant([True] + [False] * 5)
        return {**batch, "x": tf.where(place, self.value, batch["x"])}

    def loss(self, net, batch, noise):
        error = net(batch["x"])[:, 0] - batch["y"] + 0.1 * noise.normal("jitter", [])
        derivative = tf.where(tf.reduce_any(self.harm("gradient", batch)), self.value, 0.0)
        bad = tf.where(self.harm("term", batch), self.value, 0.0) + tf.where(self.harm("spike", batch), 1e12, 0.0)
        return {"squared_error": tf.square(error) + bad + _trap(net.trainable_variables[1].value, derivative),
                "absolute_error": tf.abs(error)}


@tf.custom_gradient
def _trap(weight, derivative):
    """Zero, with the gradient ``derivative`` to ``weight``."""
    return tf.zeros([]), lambda upstream: (tf.fill(weight.shape, derivative), None)


def make(plan, policy, folder=None, events=(), say=lambda line: None):
    """A trainer, and its strategy, of the same start each time."""
    prepare(0)
    strategy, rng = Poisoned(), np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, 6)).astype(np.float32)
    data = ArraySource({"x": x, "y": x.sum(1), "number": np.arange(EXAMPLES, dtype=np.int32)}, BATCH, seed=2,
                       transform=strategy.transform)
    updates = {name: keras.optimizers.Adam(1e-2) for name in UPDATES}
    trainer = Trainer(strategy, {name: toys.net(1) for name in UPDATES}, updates, data, plan=plan, run_dir=folder,
                      record=False,
                      events=events, on_bad_update=policy, spike=SPIKE, cycles_per_call=CYCLES, say=say)
    return strategy, trainer


class Case:
    """One injection: kind and value, and where it is by plain arithmetic."""

    def __init__(self, rng, data):
        self.kind = rng.choice(KINDS)
        self.value = rng.choice([np.nan, np.inf, -np.inf])
        self.position = rng.randrange(30 if self.kind == "spike" else 0, 3 * CYCLES)  # a spike needs a window before
        self.cycle, offset = divmod(self.position, 3)
        self.phase = "pair" if offset < 2 else "single"
        self.update = 2 * self.cycle + offset if offset < 2 else self.cycle
        read = data.batch(tf.constant(self.position, tf.int64), ())["number"].numpy()  # each update reads one batch
        self.example = int(rng.choice(list(read)))
        self.place = f"cycle {self.cycle}, phase {self.phase}, update {self.update}: "

    def inject(self, strategy):
        strategy.example.assign(self.example)
        strategy.kind.assign(KINDS.index(self.kind))
        strategy.value.assign(self.value)

    def told(self, line):
        """Whether a line for people names it: place, terms, and no others."""
        return self.place in line and set(re.findall(rf"{self.phase}/(\w+) is ", line)) == NAMED[self.kind]


class Bench:
    """One compiled trainer for many cases, always from the same start; and the ends that it gives."""

    def __init__(self, plan, policy):
        self.said = []
        self.strategy, self.trainer = make(plan, policy, say=self.said.append)
        self.variables = variables_of(self.trainer.engine)
        self.start = {name: variable.numpy().copy() for name, variable in self.variables.items()}
        self.clean = self.run(None)

    def run(self, case):
        """From the start to the end, or to a stop; the state's hash."""
        self.to_start()
        self.trainer.rejected.clear()
        self.said.clear()
        return self.on(case)

    def on(self, case, cycles=CYCLES):
        """Go on, with the case in the data or, for None, without."""
        self.strategy.example.assign(-1)
        if case:
            case.inject(self.strategy)
        self.trainer.train(cycles=cycles)
        return state_hash(self.trainer)

    def past(self, case):
        """Up to the bad update, and without it to the end."""
        assert _stopped(self.run, case)
        engine = self.trainer.engine
        engine.place = engine.schedule.shifted(engine.place, engine.place.slot + 1)
        engine.streak = 0
        return self.on(None)

    def around(self, case, checkpoint):
        """Up to a checkpoint's cycle, and from there after the batches read, with other draws."""
        self.run_to(checkpoint)
        engine = self.trainer.engine
        engine.place, engine.rollbacks = engine.place._replace(batches=(case.position + 1,)), 1
        return self.on(None)

    def run_to(self, cycle):
        self.to_start()
        if cycle:
            self.on(None, cycle)

    def to_start(self):
        engine = self.trainer.engine
        for name, value in self.start.items():
            self.variables[name].assign(value)
        engine.place, engine.streak, engine.rollbacks = engine.schedule.start(), 0, 0


def _stopped(act, *args):
    """The BadUpdate that ``act`` ends with, or None."""
    try:
        act(*args)
    except BadUpdate as error:
        return error
    return None


def stops(bench, case):
    """Named; the state is that before; going on stops there again; and without the harm it is the clean run."""
    error = _stopped(bench.run, case)
    if error is None:
        return False
    fault, before = error.fault, state_hash(bench.trainer)
    named = (fault.cycle, fault.phase, fault.update) == (case.cycle, case.phase, case.update)
    named &= set(fault.terms) == NAMED[case.kind] and case.told(str(error))
    again = _stopped(bench.on, case)
    same = state_hash(bench.trainer) == before and again is not None and again.fault.update == case.update
    return bool(named and same and bench.trainer.engine.place.slot == case.position and bench.on(None) == bench.clean)


def skips(bench, case, stopping):
    """Named in one line, counted once, and all other updates as if it were not there."""
    end = bench.run(case)
    line = bench.said[0] if len(bench.said) == 1 else f"not one line: {bench.said}"
    count = {phase: int(phase == case.phase) for phase in UPDATES}
    return bool(case.told(line) and line.startswith("skipped 1 update(s), the last at ")
                and bench.trainer.rejected == count and end == stopping.past(case) != bench.clean)


def rolls_back(plan, case, stopping):
    """Named in one line; from the last checkpoint on after the batches read so far, with other draws."""
    said, save = [], Event(Every(cycles=CHECKPOINTS), lambda trainer, means: trainer.save())
    with tempfile.TemporaryDirectory() as folder:
        strategy, trainer = make(plan, "rollback", Path(folder), [save], said.append)
        case.inject(strategy)
        trainer.train(cycles=CYCLES)
    checkpoint = case.cycle // CHECKPOINTS * CHECKPOINTS
    line = said[0] if len(said) == 1 else f"not one line: {said}"
    begins = f"rolled back to cycle {checkpoint}, and on from batch {case.position + 1} with other draws (rollback 1 of"
    found = [case.told(line), line.startswith(begins), trainer.summary()["rollbacks"] == 1,
             trainer.counters.cycles == CYCLES, state_hash(trainer) == stopping.around(case, checkpoint)]
    if not all(found):
        print(f"{plan} rollback: {found}: {line}", file=sys.stderr)
    return all(found)


def count(plan, positions, seed=0, policies=("stop", "skip", "rollback")):
    """{policy: how many of so many random positions ended as they must}."""
    rng, stopping = random.Random(seed), Bench(plan, "stop")
    cases = [Case(rng, stopping.trainer.data) for _ in range(positions)]
    skipping = Bench(plan, "skip") if "skip" in policies else None
    tries = {"stop": lambda case: stops(stopping, case), "skip": lambda case: skips(skipping, case, stopping),
             "rollback": lambda case: rolls_back(plan, case, stopping)}
    found = {}
    for policy in policies:
        results = [tries[policy](case) for case in cases]
        found[policy] = sum(results)
        for case in (case for case, good in zip(cases, results, strict=True) if not good):
            print(f"{plan} {policy}: wrong for {case.kind} {case.value} at {case.place}", file=sys.stderr)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--positions", type=int, default=100, help="(default: %(default)s; under xla a rollback, which "
                        "compiles anew, is tried at a tenth of them)")
    positions, lost = parser.parse_args().positions, 0
    for plan, number, policies in (("graph", positions, ("stop", "skip", "rollback")),
                                   ("xla", positions, ("stop", "skip")), ("xla", -(-positions // 10), ("rollback",))):
        for policy, good in count(plan, number, policies=policies).items():
            lost += number - good
            print(f"{plan:7}{policy:10}{good}/{number} named, state unchanged, and to the right bits", flush=True)
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
