"""compare_runs.py as a person runs it, on folders as runs leave them."""

import json
import os

import pytest

from engine.reporting.table import Table
from tests.scripts.running import run


def make(folder, accuracy, net, finished=True):
    folder.mkdir(parents=True)
    table = Table(folder / "metrics.csv", ["cycle", "batches", "epoch", "seconds", "eval/accuracy"])
    for i in (1, 2):
        table.write({"cycle": i, "batches": i, "epoch": i / 2, "seconds": i, "eval/accuracy": accuracy * i / 2})
    (folder / "config.json").write_text(json.dumps({"script": "train_classifier", "net": net, "seed": 0}))
    if finished:
        (folder / "summary.json").write_text(json.dumps({"metrics": {"accuracy": accuracy}, "seconds": 2.0}))
    return folder


def test_runs_are_compared_and_left_as_they_are(tmp_path):
    one, two = make(tmp_path / "runs" / "mlp", 0.5, "mlp"), make(tmp_path / "runs" / "sweep" / "a", 0.75, "convnet")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    done = run("compare_runs.py", "runs/mlp", two, cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    page = tmp_path / "runs" / "comparison.html"
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["accuracy", "seconds"], ["mlp", "0.5000", "2.000"], ["a", "0.7500", "2.000"], [str(page)]]
    text = page.read_text()
    assert '<td class="number best" title="best">0.7500</td>' in text
    assert "<tr><td>net</td><td>mlp</td><td>convnet</td></tr>" in text and "2 options are the same" in text
    page.unlink()
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    other = make(tmp_path / "runs" / "other" / "a", 0.1, "mlp", finished=False)
    done = run("compare_runs.py", two, other, one, "--out", "here.html", "--title", "<Nets>", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["sweep/a", "other/a", "runs/mlp", "here.html"]
    text = (tmp_path / "here.html").read_text()
    assert "&lt;Nets&gt;" in text and "other/a: unfinished" in text


@pytest.mark.parametrize(("options", "line"), [
    (["a"], "`RUN` (a) must be two or more different runs"),
    (["a", "./a"], "`RUN` (a a) must be two or more different runs"),
    (["a", "gone"], "`RUN` (gone) must be the folder of a run: there is no such folder"),
    (["a", "empty"], "`RUN` (empty) must be the folder of a run: it has neither config.json nor metrics.csv"),
    (["a", "b", "--out", "b"], "`--out` (b) must be a file that ends in .html"),
    (["a", "b", "--out", "folder.html"], "`--out` (folder.html) must be a file, but is a folder"),
    (["a", "spoilt"], "`metrics.csv` (line 2: 1,x) must be 2 numbers: ")])
def test_what_cannot_be_compared_is_one_line(tmp_path, options, line):
    make(tmp_path / "a", 0.5, "mlp")
    make(tmp_path / "b", 0.5, "mlp")
    for name in ("empty", "folder.html", "spoilt"):
        (tmp_path / name).mkdir()
    (tmp_path / "spoilt" / "metrics.csv").write_text("cycle,eval/accuracy\n1,x\n")
    done = run("compare_runs.py", *options, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and line in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.html/*")) and not (tmp_path / "comparison.html").exists()


def test_a_page_that_cannot_be_written_is_one_line(tmp_path):
    runs = [make(tmp_path / name, 0.5, "mlp") for name in "ab"]
    (tmp_path / "file").touch()
    done = run("compare_runs.py", *runs, "--out", os.path.join("file", "x.html"), cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
