"""How far auto is slower than the better of graph and xla, from numbers made up."""

import cli
import pytest
from benchmarks import auto_plan


def row(plan, **rates):
    return {"workload": "vae", "choice": {"plan": plan, "seconds": 2.5}, "rates": {
        name.replace("mixed", "critic=graph generator=xla"): values for name, values in rates.items()}}


@pytest.mark.parametrize(("found", "fraction"), [
    (row("xla", graph=[1.0, 9.0, 4.0], xla=[5.0, 8.0, 9.0]), 0.0),  # medians 4 and 8
    (row("graph", graph=[6.0], xla=[8.0]), 0.25),
    (row("graph", graph=[6.0]), 0.0),
    (row("critic=graph generator=xla", graph=[4.0], xla=[2.0], mixed=[5.0]), -0.25)])
def test_the_choice_is_compared_with_the_better_of_the_two(found, fraction):
    assert auto_plan.slowdown(found) == pytest.approx(fraction)


def test_the_table_has_a_line_for_each_workload(monkeypatch, capsys):
    asked = []

    def run(name, point):
        asked.append((name, point["workload"], point["planned"]))
        return row("xla", graph=[4.0], xla=[8.0])

    monkeypatch.setattr(auto_plan.program, "run", run)
    chosen = cli.Command(auto_plan.Options(), None).parse(["--workload", "vae", "--planned", "600"])
    _, text = auto_plan.work(chosen)
    assert asked == [("auto_plan", "vae", 600.0)]
    assert text.splitlines()[-1].split() == ["vae", "xla", "2.5", "4", "8", "8", "0.0"]
