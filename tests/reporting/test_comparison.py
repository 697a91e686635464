"""The page of several runs: the table, what is best in it, the common curves and what differs."""

import json
import math
import re
from html import unescape

import numpy as np
import pytest

from engine.reporting.comparison import ABSENT, Comparison, differences
from engine.reporting.record import Record
from engine.reporting.table import Table


def run_of(folder, accuracies, metrics=None, config=None, extra=()):
    """A run that was evaluated every half epoch; NaN for a row without an evaluation."""
    folder.mkdir()
    table = Table(folder / "metrics.csv", ["cycle", "batches", "epoch", "seconds", "net/loss", "eval/accuracy", *extra])
    for i, accuracy in enumerate(accuracies, start=1):
        row = {"cycle": i, "batches": i, "epoch": i / 2, "seconds": i, "net/loss": 1 / i}
        table.write({**row, **dict.fromkeys(extra, 7), **({} if math.isnan(accuracy) else {"eval/accuracy": accuracy})})
    (folder / "config.json").write_text(json.dumps(config or {}))
    if metrics:
        (folder / "summary.json").write_text(json.dumps({"metrics": metrics, "seconds": 9, "cycles_per_second": 2.5}))
    return folder


@pytest.fixture
def runs(tmp_path):
    return {"<mine>": run_of(tmp_path / "a b", [0.5, math.nan, 0.75], {"accuracy": 0.75, "test/error": 0.2},
                             {"net": "<mine>", "seed": 0, "adam": {"rate": 0.1}}, extra=("eval/only_here",)),
            "plain": run_of(tmp_path / "plain", [0.25, 0.5], {"accuracy": 0.5, "test/error": 0.3},
                            {"net": "plain", "seed": 0, "shift": 2}),
            "begun": run_of(tmp_path / "begun", [0.625])}


def test_the_table_holds_the_final_metrics_and_marks_the_best(runs):
    found = Comparison.of(runs, {"plain": {"parameters": 1234}})
    assert found.rows == [
        ["", "accuracy", "only here", "test/error", "parameters", "seconds", "cycles per second"],
        ["<mine>", "0.7500", "7.000", "0.2000", "", "9.000", "2.500"],
        ["plain", "0.5000", "", "0.3000", "1,234", "9.000", "2.500"],
        ["begun", "0.6250", "", "", "", "1.000", ""]]
    assert found.best == [(1, 1), (1, 3)] and found.sums == 0


def test_equal_values_are_all_best_or_none_is(tmp_path):
    three = {str(i): run_of(tmp_path / str(i), [accuracy]) for i, accuracy in enumerate([0.5, 0.75, 0.75])}
    assert Comparison.of(three).best == [(2, 1), (3, 1)]
    assert Comparison.of({name: three[name] for name in "12"}).best == []


def test_folds_are_summed_up(runs):
    found = Comparison.of(runs, summed=True)
    accuracies = [0.75, 0.5, 0.625]
    assert [row[:2] for row in found.rows[-2:]] == [["mean", f"{np.mean(accuracies):.4f}"],
                                                    ["standard deviation", f"{np.std(accuracies, ddof=1):.4f}"]]
    assert found.rows[-1][2] == ABSENT and found.sums == 2 and found.best == []


def test_columns_of_two_runs_have_a_chart_in_which_each_run_keeps_its_colour(runs):
    found = Comparison.of(runs)
    evaluated, trained = found.charts()
    assert [title for title, _ in evaluated] == ["accuracy"] and [title for title, _ in trained] == ["net/loss"]
    assert [(line.name, line.x.get("epochs"), line.y) for line in evaluated[0][1]] == [
        ("<mine>", [0.5, 1.5], [0.5, 0.75]), ("plain", [0.5, 1.0], [0.25, 0.5]), ("begun", [0.5], [0.625])]
    (runs["begun"] / "metrics.csv").write_text("cycle,epoch,eval/accuracy\n")
    assert [(line.name, line.y) for line in Comparison.of(runs).charts()[0][0][1]][2] == ("begun", [])


def test_what_differs_is_told(runs):
    records = {name: Record.load(folder) for name, folder in runs.items()}
    assert differences(records) == {"net": ["<mine>", "plain", ABSENT], "seed": ["0", "0", ABSENT],
                                    "adam.rate": ["0.1000", ABSENT, ABSENT], "shift": [ABSENT, "2", ABSENT]}
    del records["begun"]
    assert list(differences(records)) == ["net", "adam.rate", "shift"]


def test_the_page_has_the_table_the_charts_and_the_ways(runs, tmp_path):
    for name in ("a b", "plain"):
        (tmp_path / name / "report.html").write_text("")
    page = Comparison.of(runs).write(tmp_path / "new" / "page.html", "All & more").read_text()
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", page)]
    assert [unescape(cell) for cell in rows[1]] == ["<mine>", "0.7500", "7.000", "0.2000", "9.000", "2.500"]
    assert '<td class="number best" title="best">0.7500</td>' in page and "<title>All &amp; more</title>" in page
    assert "<mine>" not in page and "http" not in page and page.count('<figure class="chart">') == 2
    assert 'href="../a%20b/report.html"' in page and 'href="../plain/report.html"' in page
    assert "begun: unfinished" in page and "begun/report" not in page and "1 options are the same" not in page
