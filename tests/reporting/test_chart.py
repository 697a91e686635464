"""Charts: well-formed SVG whose points lie where the numbers say."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

import pytest

from engine.errors import Invalid
from engine.reporting.chart import WIDTH, chart, thin
from engine.reporting.scale import Axis, nice_step, text

NAN = math.nan


def drawn(x: Sequence[float], series: Mapping[str, Sequence[float]], title: str = "t") -> ET.Element:
    return ET.fromstring(chart(title, x, series, "cycle"))


def texts(svg: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in svg.iter("text")]


def lines(svg: ET.Element) -> list[list[tuple[float, float]]]:
    return [[tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
            for line in svg.iter("polyline")]


def test_points_lie_where_the_axes_say() -> None:
    svg = drawn([0, 50, 100], {"a": [0.0, 10.0, 5.0]})
    (left, bottom), (middle, top), (right, half) = lines(svg)[0]
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert half == pytest.approx((top + bottom) / 2, abs=0.1)
    assert texts(svg) == ["t", "0", "5", "10", "0", "20", "40", "60", "80", "100", "cycle", "a 5.000"]
    labels = {"".join(e.itertext()): e.attrib for e in svg.iter("text")}
    assert float(labels["100"]["x"]) == pytest.approx(right, abs=0.1)
    assert float(labels["10"]["y"]) - 4 == pytest.approx(top, abs=0.1)


def test_every_series_has_its_own_look_and_a_place_in_the_legend() -> None:
    svg = drawn([1, 2], {f"term_{i}": [i, i + 1] for i in range(16)})
    groups = [g for g in svg.iter("g") if g.attrib.get("fill") == "none"]
    looks = [(g.attrib["stroke"], g.attrib["stroke-dasharray"]) for g in groups]
    assert len(set(looks)) == 16
    legend = [p for p in svg.iter("path") if p.attrib["stroke"] != "currentColor"]
    assert [(p.attrib["stroke"], p.attrib["stroke-dasharray"]) for p in legend] == looks
    assert [t for t in texts(svg) if t.startswith("term_")][-1] == "term_15 16.00"


def test_nan_and_infinity_leave_gaps_and_lone_points_are_dots() -> None:
    values = [1.0, 2.0, NAN, 3.0, math.inf, *([5.0] * 40)]
    svg = drawn(range(45), {"a": values})
    assert [len(line) for line in lines(svg)] == [2, 40]
    assert [dot.find("title").text for dot in svg.iter("circle")] == ["a, cycle 3: 3.000"]


def test_few_points_are_dots_too() -> None:
    assert len(list(drawn([1, 2, 3], {"a": [1, 2, 3]}).iter("circle"))) == 3
    assert not list(drawn(range(100), {"a": range(100)}).iter("circle"))


def test_a_single_point_is_a_dot_in_the_middle() -> None:
    svg = drawn([100], {"a": [3.5]})
    assert not lines(svg) and len(list(svg.iter("circle"))) == 1
    assert {"99", "100", "101"} <= set(texts(svg))


@pytest.mark.parametrize("values", [[], [NAN, NAN]])
def test_no_numbers_make_no_axes(values: list[float]) -> None:
    svg = drawn(range(len(values)), {"a": values})
    assert texts(svg) == ["t", "no figures yet", "a"]


def test_text_is_escaped() -> None:
    svg = drawn([1, 2], {"<b>&": [1, 2]}, title='<script>"x"')
    assert texts(svg)[0] == '<script>"x"' and "<b>& 2.000" in texts(svg)
    assert svg.attrib["aria-label"] == '<script>"x"'


def test_a_series_of_another_length_is_refused() -> None:
    with pytest.raises(Invalid, match=r"`a` \(2 points\) must be a number for each of the 3 x"):
        chart("t", [1, 2, 3], {"a": [1, 2]}, "cycle")


@pytest.mark.parametrize("values", [
    [0, 0, 0], [1e308, -1e308, 0], [5e-324, 0, 1e-320], [1e12, 1e12 + 1, 1e12], [-1e-9, 2e-9, 0],
    [1.0, 1.0 + 2e-16, 1.0], [-7.0, -7.0, -7.0]])
def test_strange_numbers_stay_on_the_chart(values: list[float]) -> None:
    svg = drawn([1, 10, 1_000_000], {"a": values})
    view = [float(part) for part in svg.attrib["viewBox"].split()]
    points = [point for line in lines(svg) for point in line]
    assert len(points) == 3
    assert all(0 <= x <= WIDTH and 0 <= y <= view[3] for x, y in points)
    assert all(0 <= float(e.attrib["x"]) <= WIDTH for e in svg.iter("text"))


def test_thin_keeps_ends_and_spikes() -> None:
    values = [0.0] * 10_000
    values[4321], values[7000], values[-1] = 9.0, -9.0, 1.0
    points = thin(range(10_000), values)
    assert len(points) <= 500 and points == sorted(points)
    assert {(0.0, 0.0), (4321.0, 9.0), (7000.0, -9.0), (9999.0, 1.0)} <= set(points)
    assert thin([1, 2], [3, 4]) == [(1, 3), (2, 4)]


def test_thin_keeps_gaps() -> None:
    points = thin(range(2000), [NAN if 500 <= i < 1000 else 1.0 for i in range(2000)])
    assert len(points) <= 500
    assert any(math.isnan(y) for x, y in points if 500 <= x < 1000)
    assert not any(math.isnan(y) for x, y in points if not 490 <= x < 1010)


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
