"""What a phase that seldom runs costs, from numbers made up."""

import cli
import pytest
from benchmarks import every


def test_the_fraction_is_of_the_time_that_is_added():
    # A cycle takes 1 s; the penalty adds 2 s, or an eighth of a second.
    rounds = [{"without": 1.0, "every=1": 1.0 / 3.0, "every=16": 1.0 / 1.125}]
    assert every.fractions(rounds) == [pytest.approx(1.0 / 16.0)]


def test_a_line_per_plan_of_what_the_processes_found(monkeypatch):
    asked = []

    def run(name, point):
        asked.append((name, point["plan"], point["rounds"]))
        return {"plan": point["plan"], "rounds": [{"without": 4.0, "every=1": 2.0, "every=16": 4.0}] * 2}

    monkeypatch.setattr(every.program, "run", run)
    _, text = every.work(cli.Command(every.Options(), None).parse(["--rounds", "3"]))
    assert asked == [("every", "graph", 3), ("every", "xla", 3)]
    assert text.splitlines()[0].split() == ["plan", "without", "every=1", "every=16", "fraction"]
    assert text.splitlines()[2].split()[:3] == ["graph", "4.00", "(4.00..4.00)"]
    assert text.splitlines()[3].split()[-2:] == ["0.00", "(0.00..0.00)"]
