"""What a notebook shows, without one: HTML that is whole by itself; and that no notebook is seen where none is."""

import re
import signal
from xml.etree import ElementTree

import numpy as np
import pytest

from engine import History, Interrupted, notebook
from engine.reporting import fan_out, recorder
from engine.reporting.chart import Line
from engine.reporting.notebook import Notebook
from engine.reporting.progress import Progress
from engine.reporting.svg import svg
from engine.run import environment, signals

COLUMNS = {"cycle": [10, 20], "batches": [10, 20], "epoch": [1.0, 2.0], "seconds": [1, 2], "fit/error": [4.0, 1.0],
           "eval/error": [np.nan, 2.0]}


def points(drawn):
    """The corners of each line of a chart."""
    lines = ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}polyline")
    return [[tuple(map(float, point.split(","))) for point in line.get("points").split()] for line in lines]


def test_a_chart_has_a_corner_per_number_higher_where_it_is_larger():
    (first, second), (other,) = points(svg("error", [Line("training", {"epochs": [1, 2]}, [4.0, 1.0]),
                                                     Line("validation", {"epochs": [2]}, [2.0])]))
    assert first[0] < second[0] == other[0] and first[1] < other[1] < second[1]
    assert other[1] == pytest.approx((2 * second[1] + first[1]) / 3, abs=0.1)


def test_numbers_that_are_not_finite_are_left_out():
    assert len(points(svg("x", [Line("x", {"epochs": [1, 2, 3]}, [1.0, np.nan, 2.0])]))[0]) == 2
    assert svg("x", [Line("x", {"epochs": [1]}, [np.inf])]) == ""


def test_a_history_is_a_table_and_curves_without_scripts():
    shown = History(COLUMNS, {"error": 2.0})._repr_html_()
    assert re.search(r"<td>error</td><td[^>]*>1.000</td><td[^>]*>2.000</td>", shown)
    assert shown.count("<svg") == 1 and "<script" not in shown
    assert ElementTree.fromstring(shown) is not None  # well-formed
    assert History({}, {})._repr_html_()


def test_here_is_no_notebook():
    assert not notebook.in_notebook()
    usual = recorder.usual_writers(False)[0]
    assert isinstance(usual, Progress) and not isinstance(usual, Notebook)


@pytest.fixture
def in_a_notebook(monkeypatch):
    for module in (signals, fan_out, notebook):
        monkeypatch.setattr(module, "in_notebook", lambda: True)


def test_in_a_notebook_no_file_of_the_kernel_is_named(in_a_notebook, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/opt/ipykernel_launcher.py", "-f", "kernel.json"])
    assert isinstance(recorder.usual_writers(True)[0], Notebook)
    line = Interrupted(signal.SIGINT)._render_traceback_()
    assert line == ["SIGINT: a checkpoint was saved; train(...) of the same trainer goes on from here"]
    assert environment.described()["command"] == "a notebook"
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/first try.ipynb")
    assert environment.described()["command"] == "notebook first try.ipynb"


def test_an_interrupt_while_files_are_written_waits(in_a_notebook):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="SIGINT: the training had ended"), signals.deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    with signals.deferred():
        signal.raise_signal(signal.SIGINT)  # while files are opened: the training has it
        with signals.Watch(lambda signum: None).watching() as watch:
            assert watch.caught == signal.SIGINT
            signal.raise_signal(signal.SIGINT)  # and again
    assert signal.getsignal(signal.SIGINT) is before
