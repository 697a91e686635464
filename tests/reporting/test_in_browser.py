"""Pages in a browser: what page.js draws, and what it does on a click, a key and a pointer's move.

Skipped where there is none. PHASELOOP_BROWSER names a Chromium; else it is the first of some usual names on the path.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.reporting.chart import VALUE, Across, Line, chart
from engine.reporting.page import axis_switch, box, folded, page
from engine.reporting.report import write_report
from tests.reporting.browser import PATH, Browser, browser
from tests.reporting.test_report import make_run

pytestmark = pytest.mark.skipif(not PATH, reason="no browser: PHASELOOP_BROWSER may name a Chromium")

HELP = """
const plots = document.querySelectorAll(".plot"), tip = document.querySelector(".tip");
const ticks = (i) => [...plots[i].querySelectorAll("text")].map((t) => t.textContent).join(" ");
const tipText = () => tip.hidden ? "" : tip.innerText.replace(/\\s+/g, " ");
const key = (name) => plots[0].dispatchEvent(new KeyboardEvent("keydown", {key: name, cancelable: true}));
const hover = (part) => { const box = plots[0].getBoundingClientRect();
  plots[0].dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + part * box.width, clientY: box.top})); };
const frame = () => new Promise((done) => setTimeout(done, 50));
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as found:
        yield found
        assert not found.asked and not found.thrown


def opened(window: Browser, path: Path, html: bytes, width: int = 800) -> Browser:
    path.write_bytes(html)
    window.open(path, width)
    window.run(HELP)
    return window


def test_charts_are_drawn_and_answer(window: Browser, tmp_path: Path) -> None:
    x = {"epochs": [0.5, 1.0, 1.5], "cycles": [100.0, 200.0, 300.0], "seconds": [1.0, 2.0, 4.0]}
    charts = [chart("loss", [Line("<training>", x, [90.0, 10.0, 1.0]),
                             Line("validation", {unit: places[2:] for unit, places in x.items()}, [4.0])]),
              chart("gaps", [Line("a", x, [1.0, math.nan, 2.0])]), chart("none", [Line("a", x, [math.nan] * 3)])]
    away = folded("more", [chart("away", [Line("a", x, [0.0, -1.0, 5.0])])])
    shown = opened(window, tmp_path / "page.html", page("t", [axis_switch(), box("charts", charts), away]))
    assert shown.run("ticks(0)") == "0 20 40 60 80 100 0 0.2 0.4 0.6 0.8 1.0 1.2 1.4 epoch"
    assert shown.run("plots[1].querySelectorAll('circle').length") == 2 and shown.run("ticks(2)") == "no values yet"
    shown.run("document.querySelector('button.log').click()")
    assert shown.run("document.querySelector('button.log').ariaPressed") == "true"
    assert shown.run("ticks(0)") == "1 2 5 10 20 50 100 0 0.2 0.4 0.6 0.8 1.0 1.2 1.4 epoch"
    for unit, ticks in (("seconds", " 0 0.5 1.0 1.5 2.0 2.5 3.0 3.5 4.0 seconds"),
                        ("cycles", " 0 50 100 150 200 250 300 cycle")):
        shown.run(f"document.querySelector('input[value={unit}]').click()")
        assert str(shown.run("ticks(0)")).endswith(ticks)
    assert shown.run("key('ArrowRight'), tipText()") == "cycle 100 <training> 90.00 validation (at 300) 4.000"
    assert shown.run("for (let i = 0; i < 5; i++) key('ArrowRight'); tipText()"
                     ) == "cycle 300 <training> 1.000 validation 4.000"
    assert shown.run("key('Escape'), tipText()") == ""
    assert str(shown.run("hover(0.68), tipText()")).startswith("cycle 200 <training> 10.00")
    assert shown.run("plots[0].querySelectorAll('.over circle').length") == 2
    shown.run("document.querySelector('details').open = true, frame()")
    assert str(shown.run("ticks(3)")).startswith("-2 0 2 4 6")


def test_points_and_faint_lines_answer_one_at_a_time(window: Browser, tmp_path: Path) -> None:
    points = [Line(f"trial-{i}", {VALUE: [10.0 ** -i]}, [float(i) if i < 3 else math.nan], faint=i > 0)
              for i in range(4)]
    x = {"epochs": [1.0, 2.0]}
    lines = [Line("best", x, [1.0, 0.5]), Line("low", x, [2.0] * 2, faint=True), Line("high", x, [9.0] * 2, faint=True)]
    names = [Line("a", {VALUE: [0.0]}, [1.0]), Line("b", {VALUE: [1.0]}, [2.0])]
    charts = [chart("rate", points, Across("rate", log=True)), chart("curves", lines),
              chart("net", names, Across("net", names=["<mlp>", "convnet"]))]
    shown = opened(window, tmp_path / "page.html", page("t", [axis_switch(), box("charts", charts)]))
    assert shown.run("ticks(0)") == "0 0.5 1.0 1.5 2.0 0.001 0.01 0.1 1 rate"
    assert shown.run("plots[0].querySelectorAll('svg > g:not(.over) circle').length") == 3  # and a cross
    assert shown.run("plots[0].querySelectorAll('path[d*=\"m0 -7\"]').length") == 1
    assert str(shown.run("ticks(2)")).endswith("<mlp> convnet net")
    assert shown.run("key('ArrowRight'), tipText()") == "rate 0.001 trial-3 failed"
    assert shown.run("key('ArrowRight'), tipText()") == "rate 0.01 trial-2 2.000"
    near = """(part) => { const box = plots[1].getBoundingClientRect(), tip = document.querySelectorAll(".tip")[1];
      plots[1].dispatchEvent(new PointerEvent("pointermove",
        {clientX: box.left + 0.9 * box.width, clientY: box.top + part * box.height}));
      return tip.innerText.replace(/\\s+/g, " "); }"""
    assert shown.run(f"({near})(0.02)") == "epoch 2 best 0.5000 high 9.000"
    assert shown.run(f"({near})(0.7)") == "epoch 2 best 0.5000 low 2.000"


def test_the_slider_shows_each_evaluation(window: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "pictures" / "a & b-600.png").unlink()
    (run / "pictures" / "a & b-1200.png").rename(run / "pictures" / "other-600.png")
    shown = opened(window, tmp_path / "page.html", write_report(run).read_bytes())
    state = """(at) => { const slider = document.querySelector(".slider input"); slider.value = at;
      slider.dispatchEvent(new Event("input"));
      return [slider.getAttribute("aria-valuetext"), ...[...document.querySelectorAll(".gallery img")]
        .map((i) => `${i.alt}: ${i.hidden ? "hidden" : i.src.slice(0, 15)}`)]; }"""
    for at, caption, a, b in ((0, "cycle 100, epoch 0.25 (1 of 11)", "data:image/png;", "hidden"),
                              (5, "cycle 600 (6 of 11)", "hidden", "data:image/png;"),
                              (10, "cycle 1,100 (11 of 11)", "data:image/png;", "hidden")):
        assert shown.run(f"({state})({at})") == [caption, f"a & b, {caption}: {a}", f"other, {caption}: {b}"]


@pytest.mark.parametrize("width", [400, 1300])
def test_a_report_fits_the_window_in_light_and_dark_and_asks_for_nothing(window: Browser, tmp_path: Path, width: int
                                                                         ) -> None:
    report = write_report(make_run(tmp_path / "run"))
    backgrounds = []
    for scheme in ("light", "dark"):
        window.open(report, width, scheme)
        window.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert window.run("document.documentElement.scrollWidth <= innerWidth")
        assert window.run("[...document.querySelectorAll('.plot svg')].every((s) => s.clientWidth > 250)")
        backgrounds.append(window.run("getComputedStyle(document.body).backgroundColor"))
    light, dark = (sum(map(int, re.findall(r"\d+", colour))) for colour in backgrounds)
    assert light > 700 and dark < 100


def test_a_page_with_one_evaluation_or_none_is_drawn(window: Browser, tmp_path: Path) -> None:
    for drawings in (0, 1):
        window.open(write_report(make_run(tmp_path / str(drawings), drawings=drawings)))
        assert window.run("document.querySelectorAll('.gallery').length") == drawings
        assert window.run("document.querySelectorAll('.plot svg').length") == 3
    assert not window.thrown
