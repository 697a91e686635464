"""Time to quality: its verdicts and settings with processes of the test's own, and both sides on a few pictures."""

import itertools
import time

import cli
import pytest
from benchmarks import quality, quality_sides

EPOCHS = [{"seconds": 10.0, "metric": 0.88}, {"seconds": 15.0, "metric": 0.92}, {"seconds": 20.0, "metric": 0.90}]


def test_the_first_epoch_that_reaches_the_goal_counts():
    assert quality.judged(EPOCHS, quality.GOALS["convnet"], 0.91) == {
        "seconds_to_goal": 15.0, "epochs_to_goal": 2, "final": 0.90}
    assert quality.judged(EPOCHS, quality.GOALS["convnet"], 0.95)["seconds_to_goal"] is None
    assert quality.judged(EPOCHS, quality.GOALS["vae"], 0.9)["epochs_to_goal"] == 1  # fewer nats are better


def side(seconds, final=0.91):
    """A judged training."""
    return {"seconds_to_goal": seconds, "epochs_to_goal": seconds and 2, "final": final}


def test_the_ratio_is_taken_pair_by_pair_and_only_if_all_reached_the_goal():
    row = quality.summary([(side(10.0), side(20.0)), (side(20.0), side(30.0)), (side(10.0), side(30.0))])
    assert row["ratio"] == {"median": 2.0, "min": 1.5, "max": 3.0}
    assert (row["ours"]["seconds"], row["theirs"]["seconds"]) == (10.0, 30.0)
    missed = quality.summary([(side(10.0), side(20.0)), (side(10.0), side(None, 0.87))])
    assert missed["ratio"] is None and missed["theirs"] == {"seconds": None, "final": pytest.approx(0.89),
                                                            "epochs": [2, None]}
    names = {"workload": "convnet", "goal": 0.91, "metric": "accuracy", "plan": "graph",
             "keras": {"jit": "no", "steps": 32}}
    lines = quality.table([{**row, **names}, {**missed, **names}]).splitlines()
    assert "10.0 (2 2 2)" in lines[2] and "2.00 (1.50..3.00)" in lines[2] and "jit=no steps=32" in lines[2]
    assert "not reached" in lines[3]


@pytest.fixture
def asked(monkeypatch):
    """The points that processes were asked for; Keras is fastest with XLA, one step at a time."""
    points = []

    def run(name, point):
        points.append(point)
        each = 1.0 if (point.get("jit"), point.get("steps")) == ("auto", 1) else 3.0
        return {"epochs": [{"seconds": 5.0, "metric": 250.0}, {"seconds": 5.0 + each, "metric": 245.0}]}

    monkeypatch.setattr(quality.program, "run", run)
    return points


def test_keras_gets_its_best_settings_and_pairs_have_a_seed_of_their_own(asked):
    chosen = cli.Command(quality.Options(), None).parse(["--workload", "vae", "--pairs", "2"])
    row = quality.compare(chosen, "vae")
    trials, timed = asked[:4], asked[4:]
    assert all(each["epochs"] == 2 and each["goal"] is None and each["examples"] == 12_800 for each in trials)
    assert [(each["side"], each["seed"]) for each in timed] == [("ours", 0), ("keras", 0), ("keras", 1), ("ours", 1)]
    assert row["keras"] == {"jit": "auto", "steps": 1} and row["plan"] == "xla"
    assert row["ratio"]["median"] == pytest.approx(6 / 8)  # it is a fake: ours takes 3 s for an epoch
    assert all(each["began"] <= time.monotonic() for each in asked)


def test_given_settings_are_not_tried(asked):
    chosen = cli.Command(quality.Options(), None).parse(["--keras-jit", "yes", "--keras-steps", "8", "--pairs", "1"])
    assert quality.compare(chosen, "convnet")["keras"] == {"jit": "yes", "steps": 8}
    assert len(asked) == 2


@pytest.mark.parametrize("workload, who, extra", [
    ("convnet", "ours", {"plan": "graph", "average": 0.0}), ("convnet", "keras", {"jit": "no", "steps": 2}),
    ("vae", "ours", {"plan": "graph", "average": 0.9}), ("vae", "keras", {"jit": "no", "steps": 1})])
def test_both_sides_train_and_end_at_the_goal(workload, who, extra):
    goal = {"convnet": 0.15, "vae": 560.0}[workload]
    point = {"workload": workload, "side": who, "goal": goal, "epochs": 4, "dataset": "fashion-mnist-10k",
             "data_dir": None, "examples": 640, "seed": 0, "began": time.monotonic(), **extra}
    epochs = quality_sides.measured(point)["epochs"]
    good = [quality.GOALS[workload].reached(goal, epoch["metric"]) for epoch in epochs]
    assert good == [False] * (len(epochs) - 1) + [True]
    assert all(0 < before["seconds"] < after["seconds"] for before, after in itertools.pairwise(epochs))
