"""What features cost over the bare loop, from numbers made up."""

import cli
import pytest
from benchmarks import features


def row(saving=0.0, **rates):
    rounds = [dict(zip(rates, each, strict=True)) for each in zip(*rates.values(), strict=True)]
    return {"workload": "vae", "plan": "xla", "rounds": rounds, "saving": saving}


def test_the_cost_is_the_time_over_that_of_the_bare_loop_pair_by_pair():
    found = features.cost(row(ours=[10.0, 8.0, 5.0], bare=[11.0, 8.0, 4.0]))
    assert found == pytest.approx({"median": 0.0, "min": -0.2, "max": 0.1})


def test_a_checkpoint_each_minute_is_part_of_it():
    assert features.cost(row(0.5, ours=[10.0], bare=[10.0]))["median"] == pytest.approx(1.0)


def test_small_updates_are_compiled_by_xla_and_others_as_a_graph(monkeypatch):
    asked = []

    def run(name, point):
        asked.append((name, point["workload"], point["plan"], point["rounds"]))
        return row(ours=[10.0], bare=[10.2])

    monkeypatch.setattr(features.program, "run", run)
    chosen = cli.Command(features.Options(), None).parse(["--workload", "vae", "convnet", "--rounds", "3"])
    _, text = features.work(chosen)
    assert asked == [("features", "vae", "xla", 3), ("features", "convnet", "graph", 3)]
    assert text.splitlines()[-1].split() == ["vae", "xla", "10", "10.2", "2.0", "2.0", "to", "2.0"]
