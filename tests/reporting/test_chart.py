"""Charts: the numbers that a page draws from, what is said of them, and the axis that fits them."""

import json
import math
import re
from collections.abc import Sequence
from html import unescape
from typing import Any

import numpy as np
import pytest

from engine.errors import Invalid
from engine.reporting.chart import COLOURS, FAINT_POINTS, VALUE, Across, Line, chart, thin

NAN = math.nan


def over(*values: float, name: str = "a", look: int | None = None) -> Line:
    return Line(name, {"cycles": [float(i) for i in range(len(values))]}, values, look)


def spec(html: str) -> Any:
    """What page.js reads, by the rules of JSON."""
    text = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1]
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def label(html: str) -> str:
    return unescape(re.search('aria-label="([^"]*)"', html)[1])


def legend(html: str) -> list[str]:
    items = re.findall(r"<li><svg.*?</svg>(.*?)</li>", html)
    return [unescape(re.sub("<.*?>", "", item)) for item in items]


def test_a_chart_holds_its_numbers_and_says_them_in_words() -> None:
    x = {"epochs": [0.5, 1.0, 1.5], "cycles": [10.0, 20.0, 30.0], "seconds": [1.25, 2.5, 4.123456789]}
    html = chart("kl", [Line("training", x, [4.0, 0.25, 1e-9]), Line("validation", {"cycles": [30.0]}, [7.0])])
    assert spec(html) == {"log": True, "lines": [
        {"name": "training", "colour": "#2a86c8", "dash": "none", "y": [4, 0.25, 1e-9],
         "x": {"epochs": [0.5, 1, 1.5], "cycles": [10, 20, 30], "seconds": [1.25, 2.5, 4.123457]}},
        {"name": "validation", "colour": "#d55e00", "dash": "none", "y": [7], "x": {"cycles": [30]}}]}
    assert label(html) == ("kl: training from 4.000 to 1.000e-09, lowest 1.000e-09, highest 4.000; "
                           "validation from 7.000 to 7.000, lowest 7.000, highest 7.000")
    assert legend(html) == ["training 1.000e-09", "validation 7.000"]


def test_every_line_has_its_own_look_and_may_keep_that_of_another_chart() -> None:
    html = chart("t", [over(i, i + 1, name=f"term_{i}") for i in range(16)])
    looks = [(line["colour"], line["dash"]) for line in spec(html)["lines"]]
    assert len(set(looks)) == 16
    assert re.findall(r'<path d="M0 4h22" stroke="(.*?)" stroke-width="2.5" stroke-dasharray="(.*?)"', html) == looks
    assert spec(chart("t", [over(1, look=1)]))["lines"][0]["colour"] == looks[1][0]


def test_nan_and_infinity_leave_gaps() -> None:
    html = chart("t", [over(1.0, NAN, -math.inf, 3.0)])
    assert spec(html)["lines"][0]["y"] == [1, None, None, 3]
    assert label(html) == "t: a from 1.000 to 3.000, lowest 1.000, highest 3.000"


@pytest.mark.parametrize("values", [[], [NAN, NAN]])
def test_no_numbers_are_said(values: list[float]) -> None:
    html = chart("t", [over(*values)])
    assert label(html) == "t: a has no values yet" and "<button" not in html and legend(html) == ["a "]


@pytest.mark.parametrize(("values", "log"), [
    ([520, 300, 280, 260, 250, 240], False), ([0.1, 0.5, 0.8, 0.85, 0.86, 0.9], False), ([1, 1, 1, 1], False),
    ([400, 9, 1, 0.1, 0.05, 0.04, 0.03], True), (np.geomspace(1e-5, 1, 40).tolist(), True),
    ([400, 9, 1, 0, 0.05, 0.04, 0.03], False), ([-5, -0.001, -3], False), ([0.001, 4, 15, 16, 17, 16, 17] * 9, True)])
def test_a_log_axis_is_taken_where_a_linear_one_would_hide_most(values: list[float], log: bool) -> None:
    html = chart("t", [over(*values)])
    assert spec(html)["log"] is log and f'aria-pressed="{str(log).lower()}"' in html + ' aria-pressed="false"'
    assert ("<button" in html) == (max(values) > 0)


def test_text_is_escaped() -> None:
    html = chart('<script>"x"', [over(1, 2, name="</script><b>&")])
    assert spec(html)["lines"][0]["name"] == "</script><b>&" and legend(html) == ["</script><b>& 2.000"]
    assert label(html).startswith('<script>"x": </script><b>& from')
    assert "</script><b>" not in html.partition("</figcaption>")[2] and html.count("<script") == 1


def test_a_line_of_another_length_is_refused() -> None:
    with pytest.raises(Invalid, match=r"`a` \(2 points\) must be a number for each of the 3 cycles"):
        chart("t", [Line("a", {"cycles": [1, 2, 3]}, [1, 2])])


@pytest.mark.parametrize("values", [
    [0, 0, 0], [1e308, -1e308, 0], [5e-324, 0, 1e-320], [1e12, 1e12 + 1, 1e12], [-1e-9, 2e-9, 0],
    [1.0, 1.0 + 2e-16, 1.0], [2**60, math.pi * 1e25, 3.0]])
def test_strange_numbers_stay_within_what_an_axis_can_compute(values: list[float]) -> None:
    found = spec(chart("t", [over(*values)]))["lines"][0]["y"]
    np.testing.assert_allclose(found, np.clip(values, -1e300, 1e300), rtol=5e-7, atol=1e-300)
    assert all(value == 0 or 1e-300 <= abs(value) <= 1e300 for value in found)


def kept(values: Sequence[float]) -> list[tuple[int, float]]:
    return [(int(i), float(values[i])) for i in thin(np.asarray(values, np.float64))]


@pytest.mark.parametrize("count", [501, 502, 999, 1000, 10_000, 12_345])
def test_thin_keeps_ends_and_spikes(count: int) -> None:
    values = [0.0] * count
    values[321], values[400], values[-2], values[-1] = 9.0, -9.0, 5.0, 1.0
    points = kept(values)
    assert len(points) <= 500 and points == sorted(points) and len(set(points)) == len(points)
    assert {(0, 0.0), (321, 9.0), (400, -9.0), (count - 2, 5.0), (count - 1, 1.0)} <= set(points)


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_few_points_are_all_kept(count: int) -> None:
    assert thin(np.zeros(count)).tolist() == list(range(count))


def test_thin_keeps_gaps() -> None:
    points = kept([NAN if 500 <= i < 1000 else 1.0 for i in range(2000)])
    assert len(points) <= 500
    assert any(math.isnan(y) for x, y in points if 500 <= x < 1000)
    assert not any(math.isnan(y) for x, y in points if not 490 <= x < 1010)


def test_one_of_many_lines_lies_grey_behind_the_others_and_is_not_in_the_legend() -> None:
    x = {"cycles": [float(i) for i in range(1000)]}
    lines = [Line("first", x, [1.0] * 1000), *(Line(f"trial {i}", x, [2.0] * 1000, faint=True) for i in range(3)),
             Line("last", x, [3.0] * 1000)]
    html = chart("t", lines)
    drawn = spec(html)["lines"]
    assert [(line["name"], line.get("faint", False)) for line in drawn] == [
        ("trial 0", True), ("trial 1", True), ("trial 2", True), ("first", False), ("last", False)]
    assert [line["colour"] for line in drawn[3:]] == [COLOURS[0], COLOURS[4]]  # those of their places
    assert len(drawn[0]["y"]) <= FAINT_POINTS < len(drawn[3]["y"])
    assert legend(html) == ["first 1.000", "last 3.000"]
    assert label(html).endswith("last from 3.000 to 3.000, lowest 3.000, highest 3.000; and 3 more")


def test_points_have_an_axis_of_their_own() -> None:
    lines = [Line("a", {VALUE: [0.1]}, [1.0]), Line("b", {VALUE: [10.0]}, [NAN])]
    found = spec(chart("rate", lines, Across("rate", log=True)))
    assert found["across"] == {"label": "rate", "log": True, "names": []}
    assert [(line["x"], line["y"]) for line in found["lines"]] == [({"value": [0.1]}, [1]), ({"value": [10]}, [None])]
