"""plan="auto": what is chosen on a clock of the test's own, and that the trial leaves no trace."""

import numpy as np
import pytest
import tensorflow as tf

from engine import Trainer
from engine.cycle.step_engine import StepEngine
from engine.run import trial
from engine.run.trial import Choice, Trial
from tests import toys

PROGRAMS = {}  # (engine, plan) -> what was compiled: the GAN's serve all tests
GAN = []


def gan():
    """A GAN before its first update, and its nets."""
    if not GAN:
        made, nets = toys.gan()
        PROGRAMS[made, "graph"] = made.program
        GAN.extend([made, nets, toys.rewinding(made)])
    made, nets, rewind = GAN
    rewind()
    made.program = PROGRAMS[made, "graph"]
    return made, nets


class Machine:
    """A clock on which a cycle of each plan takes the given seconds, and compiling with XLA 0.1 s."""

    def __init__(self, monkeypatch, **seconds):
        self.now, self.seconds, self.ran = 0.0, seconds, []
        run, compiled = StepEngine.run, StepEngine.compiled

        def timed_run(engine, cycles):
            name = engine.plan.name
            self.now += cycles * self.seconds.get(name, self.seconds.get("mixed", 1.0))
            self.ran.append((name, cycles))
            return run(engine, min(cycles, 2))

        def timed_compiled(engine, plan):
            self.now += 0.1 if "xla" in plan else 0.0
            if (engine, plan) not in PROGRAMS:
                PROGRAMS[engine, plan] = compiled(engine, plan)
            return PROGRAMS[engine, plan]

        monkeypatch.setattr(StepEngine, "run", timed_run)
        monkeypatch.setattr(StepEngine, "compiled", timed_compiled)

    def clock(self):
        return self.now


@pytest.fixture(autouse=True)
def _graphs_alone(monkeypatch):
    """What XLA would compile is compiled as a graph: its speed is the test's own anyway."""
    monkeypatch.setattr("engine.cycle.plan.Plan.block", None)
    monkeypatch.setattr("engine.cycle.plan.Plan.part", lambda plan, function, apart=False: tf.function(function))


def chosen(machine, cycles=1000, **options):
    made, nets = toys.gan(**options) if options else gan()
    before = toys.bits(made, nets)
    choice = Trial(made, cycles, machine.clock).choose()
    np.testing.assert_array_equal(toys.bits(made, nets), before)
    assert (made.place.slot, made.streak, made.plan.name) == (0, 0, choice.plan)
    return choice


@pytest.mark.parametrize(("seconds", "plan"), [
    ({"graph": 0.1, "xla": 0.05, "mixed": 0.2}, "xla"),
    ({"graph": 0.1, "xla": 0.3, "mixed": 0.2}, "graph"),
    ({"graph": 0.1, "xla": 0.05, "mixed": 0.04}, "critic=graph generator=xla"),
])
def test_the_fastest_plan_is_chosen(monkeypatch, seconds, plan):
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    choice = chosen(Machine(monkeypatch, **seconds), cycles=10_000)
    assert choice.plan == plan
    assert choice.speeds["graph"] == pytest.approx(10.0) and choice.speeds["xla"] == pytest.approx(1 / seconds["xla"])
    assert choice.facts["plan"] == plan and choice.seconds > 0


@pytest.mark.parametrize(("xla", "halves", "slow", "plan"), [
    (0.05, 0.07, False, "xla"), (0.2, 0.07, True, "halves"), (0.2, 0.15, True, "graph")])
def test_halves_are_tried_where_examples_are_independent(monkeypatch, xla, halves, slow, plan):
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    monkeypatch.setattr(trial, "SLOW_UNDER_XLA", ("MatMul",) if slow else ())
    machine = Machine(monkeypatch, graph=0.1, halves=halves, xla=xla)
    made = toys.engine(toys.Fit(separable=True), {"net": toys.net(4, 1)}, {"fit": toys.adam()}, toys.points())
    choice = Trial(made, 10_000, machine.clock).choose()
    assert choice.plan == plan == made.plan.name
    assert list(choice.speeds) == ["graph", *(["halves", "xla"] if slow else ["xla", "halves"])]


def test_on_a_gpu_xla_is_tried_first_and_no_halves(monkeypatch):
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    monkeypatch.setattr(trial, "SLOW_UNDER_XLA", ("MatMul",))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0"])
    machine = Machine(monkeypatch, graph=0.1, halves=0.01, xla=0.05)
    made = toys.engine(toys.Fit(separable=True), {"net": toys.net(4, 1)}, {"fit": toys.adam()}, toys.points())
    choice = Trial(made, 1000, machine.clock).choose()
    assert (choice.plan, list(choice.speeds), choice.left_out) == ("xla", ["graph", "xla"], {})


def test_a_short_run_is_left_as_a_graph_and_costs_two_cycles(monkeypatch):
    machine = Machine(monkeypatch, graph=0.1, xla=0.001)
    choice = chosen(machine, cycles=99)
    assert (choice.plan, choice.speeds) == ("graph", {})
    assert machine.ran == [("graph", 0), ("graph", 1), ("graph", 1)]
    assert choice.left_out == {"xla": "a run of 9.9 s is too short"}
    assert str(choice) == "plan      graph: xla not tried, a run of 9.9 s is too short"


@pytest.mark.parametrize(("choice", "line"), [
    (Choice("xla", {"graph": 10.0, "halves": 8.0, "xla": 19.04}), "xla: 1.90 times as fast as graph"),
    (Choice("graph", {"graph": 10.0, "halves": 8.0}, {"xla": "12.0 s to compile, 2.5 s left"}),
     "graph: 1.25 times as fast as halves; xla not tried"),
    (Choice("graph", {"graph": 10.0}, {"halves": "4.1 s to compile, 2.5 s left", "xla": "why it is left out"}),
     "graph: halves and xla not tried, 4.1 s to compile, 2.5 s left"),
    (Choice("graph", {"graph": 10.0}, {"xla": "it cannot be compiled: " + "long " * 20}),
     "graph: xla not tried, it cannot be compiled: long long long long long…"),
    (Choice("graph", {"graph": 10.0}), "graph: there is no other")])
def test_why_it_is_this_plan_fits_in_a_line(choice, line):
    assert str(choice) == f"plan      {line}" and len(str(choice)) <= 80


def test_what_takes_too_long_to_compile_is_left_out_unless_the_run_is_long(monkeypatch):
    monkeypatch.setattr(trial, "SLOW_UNDER_XLA", ("MatMul",))
    seconds = {"graph": 0.1, "xla": 0.05, "mixed": 0.2}
    short = chosen(Machine(monkeypatch, **seconds), cycles=1000)
    assert short.plan == "graph" and "s to compile" in short.left_out["xla"]
    assert chosen(Machine(monkeypatch, **seconds), cycles=10_000).plan == "xla"


def test_the_trial_keeps_to_its_fraction_of_the_run(monkeypatch):
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    for cycles in (1000, 100_000):
        choice = chosen(Machine(monkeypatch, graph=0.01, xla=0.01, mixed=0.01), cycles=cycles)
        assert choice.seconds < max(trial.LEAST, trial.FRACTION * cycles * 0.01)


def test_the_name_of_a_phase_says_nothing_of_what_its_plan_costs(monkeypatch):
    class Two(toys.Fit):
        def phases(self):
            return [toys.Phase(name, self.loss, updates=["net"], separable=True) for name in ("xla", "other")]

    monkeypatch.setitem(trial.COMPILING, "xla", 1e6)
    machine = Machine(monkeypatch, graph=0.1, halves=0.1, mixed=0.05)
    made = toys.engine(Two(), {"net": toys.net(4, 1)}, {"xla": toys.adam(), "other": toys.adam()}, toys.points())
    choice = Trial(made, 10_000, machine.clock).choose()
    assert choice.plan == "xla=halves other=graph" and "xla" in choice.left_out


def test_a_plan_that_is_hopeless_costs_two_cycles(monkeypatch):
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    machine = Machine(monkeypatch, graph=0.1, xla=0.31, mixed=0.31)
    assert chosen(machine, cycles=10_000).speeds["xla"] == pytest.approx(1 / 0.31)
    assert [cycles for plan, cycles in machine.ran if plan == "xla"] == [1, 1]


def test_one_short_cycle_says_nothing_of_a_plan(monkeypatch):
    """XLA runs blocks of cycles: its first call here takes ten times as long as a cycle."""
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    machine = Machine(monkeypatch, graph=0.002, xla=0.001, mixed=0.004)
    run = StepEngine.run

    def run_with_launch(engine, cycles):
        machine.now += 0.01 if engine.plan.name == "xla" else 0.0
        return run(engine, cycles)

    monkeypatch.setattr(StepEngine, "run", run_with_launch)
    assert chosen(machine, cycles=100_000).plan == "xla"


def test_under_convolutions_a_long_first_cycle_ends_the_try(monkeypatch):
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    monkeypatch.setattr(trial, "SLOW_UNDER_XLA", ("MatMul",))
    machine = Machine(monkeypatch, graph=0.1, xla=2.0, mixed=2.0)
    choice = chosen(machine, cycles=1000)  # 3 s for the trial
    assert choice.left_out["xla"] == "its first cycle took 2.0 s" and choice.plan == "graph"
    assert [cycles for plan, cycles in machine.ran if plan == "xla"] == [1]


def test_a_plan_that_cannot_be_compiled_is_left_out(monkeypatch):
    machine, run = Machine(monkeypatch, graph=0.1, xla=0.05), StepEngine.run

    def failing(engine, cycles):
        if "xla" in engine.plan.name:
            raise tf.errors.InvalidArgumentError(None, None, "Detected unsupported operations")
        return run(engine, cycles)

    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    monkeypatch.setattr(StepEngine, "run", failing)
    choice = chosen(machine)
    assert choice.plan == "graph" and choice.left_out["xla"] == "it cannot be compiled: Detected unsupported operations"


def test_a_bad_first_update_ends_the_trial_and_is_named_by_the_training(monkeypatch):
    source = toys.points(transform=lambda batch, noise: {**batch, "x": batch["x"] * np.nan})
    choice = chosen(Machine(monkeypatch, graph=0.1), source=source)
    assert choice.plan == "graph" and choice.left_out == {"xla": "the first updates are not all good"}


def test_the_strategys_state_is_put_back_too(monkeypatch):
    machine = Machine(monkeypatch, graph=0.1, xla=0.2)
    made, _ = toys.gan(counts=True)
    Trial(made, 1000, machine.clock).choose()
    assert machine.ran and not made.state["seen"].numpy().any()


def trainer(folder, plan, say=lambda line: None, **options):
    nets = toys.gan_nets()
    updates = {"critic": toys.adam(), "generator": toys.adam()}
    return Trainer(toys.TinyGAN(), nets, updates, toys.points(), run_dir=folder, record=False, plan=plan, say=say,
                   **options), nets


def test_a_run_continues_by_the_plan_that_was_chosen(monkeypatch, tmp_path):
    monkeypatch.setitem(trial.COMPILING, "xla", 1e-6)
    machine, said = Machine(monkeypatch, graph=0.1, xla=0.05, mixed=0.2), []
    first, _ = trainer(tmp_path / "run", "auto", said.append, clock=machine.clock)
    monkeypatch.setattr(first, "cycles_of", lambda **length: 1000 if not first._facts.trial else 6)
    first.train(cycles=1000)  # the trial is of a long run
    assert first.counters.cycles >= 6 and first.summary()["plan"] == "xla"
    assert any(line.startswith("plan      xla: 2.00 times as fast as graph") for line in said)
    first.save()
    again, _ = trainer(tmp_path / "run", "auto", clock=machine.clock)
    assert again.engine.plan.name == "xla" and again.summary()["trial"] == first.summary()["trial"]
    runs = len(machine.ran)
    again.train(cycles=again.counters.cycles + 1)
    assert [name for name, _ in machine.ran[runs:]] == ["xla"]  # and no trial


def test_a_trial_does_not_change_the_result(tmp_path):
    ends = []
    for plan in ("graph", "auto"):
        made, nets = trainer(tmp_path / plan, plan)
        made.train(cycles=6)
        ends.append(toys.bits(made.engine, nets))
    np.testing.assert_array_equal(*ends)
