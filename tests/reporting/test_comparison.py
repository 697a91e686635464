"""comparison.html: the table and the curves of several runs."""

import math
import re
from html import unescape

from engine.reporting.comparison import write_comparison
from engine.reporting.table import Table


def run_of(folder, accuracies):
    """A run that was evaluated every half epoch; NaN for a row without an evaluation."""
    folder.mkdir()
    table = Table(folder / "metrics.csv", ["cycle", "batches", "epoch", "seconds", "eval/accuracy"])
    for i, accuracy in enumerate(accuracies, start=1):
        table.write({"cycle": i, "batches": i, "epoch": i / 2, "seconds": i,
                     **({} if math.isnan(accuracy) else {"eval/accuracy": accuracy})})
    return folder


def test_a_row_a_curve_and_a_way_for_each_run(tmp_path):
    runs = {"<mine>": run_of(tmp_path / "a b", [0.5, math.nan, 0.75]), "plain": run_of(tmp_path / "plain", [0.25, 0.5])}
    rows = [["net", "parameters", "accuracy"], ["<mine>", "1,234", "0.75"], ["plain", "5", ""]]
    page = write_comparison(tmp_path, rows, runs).read_text()
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert [[unescape(cell) for cell in row] for row in cells] == rows
    assert "<mine>" not in page
    assert 'href="a%20b/report.html"' in page and 'href="plain/report.html"' in page
    points = [unescape(title) for title in re.findall(r"<title>(.*?, epoch .*?)</title>", page)]
    assert points == ["<mine>, epoch 0.5: 0.5000", "<mine>, epoch 1.5: 0.7500",
                      "plain, epoch 0.5: 0.2500", "plain, epoch 1: 0.5000"]
