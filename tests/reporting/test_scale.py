"""Axes: ticks at nice numbers, written as short as their step allows."""

import pytest

from engine.reporting.scale import Axis, nice_step, text


@pytest.mark.parametrize(("least", "step"), [
    (1, 1), (1.1, 2), (2.5, 5), (6, 10), (0.03, 0.05), (730, 1000), (0.2, 0.2)])
def test_steps_are_nice(least: float, step: float) -> None:
    assert nice_step(least) == pytest.approx(step, rel=1e-12)


@pytest.mark.parametrize(("tick", "step", "shown"), [
    (0.0, 1, "0"), (1500, 500, "1,500"), (0.25, 0.05, "0.25"), (0.3, 0.1, "0.3"), (2e-9, 1e-9, "2e-09"),
    (3e12, 1e12, "3e+12"), (-2, 1, "-2"), (1e-3, 5e-4, "0.0010")])
def test_ticks_are_written_as_short_as_their_step_allows(tick: float, step: float, shown: str) -> None:
    assert text(tick, step) == shown


def test_ticks_of_a_counter_are_whole() -> None:
    axis = Axis.over([1, 2, 3], 0, 400, pad=False, least_step=1.0)
    assert [shown for _, shown in axis.ticks] == ["1", "2", "3"]
    assert (axis.at(1), axis.at(3)) == (0, 400)
