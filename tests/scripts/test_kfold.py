"""kfold.py as a person runs it: disjoint folds, mean and standard deviation, and what is finished is not done again."""

import json
import re
import shutil

import numpy as np
import pytest

from engine.reporting.progress import digits
from tests.scripts.running import run, run_process

REGRESSION = ("kfold.py", "regression", "--folds", "3", "--examples", "90", "--log-every", "5", "--plan", "eager")


def metrics_of(folder):
    return json.loads((folder / "summary.json").read_text())["metrics"]


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("checkpoints/*/state.npz")}


def test_folds_are_run_summed_up_and_continued(tmp_path):
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    done = run(*REGRESSION, "--cycles", "20", "--run-dir", whole, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    configs = [json.loads((whole / f"fold-{number}" / "config.json").read_text()) for number in (1, 2, 3)]
    assert [(each["script"], each["fold"], each["examples"]) for each in configs] == [
        ("train_regression", f"{number}/3", 60) for number in (1, 2, 3)]
    each = [metrics_of(whole / f"fold-{number}")["squared_error"] for number in (1, 2, 3)]
    assert len(set(each)) == 3
    found = metrics_of(whole)["squared_error"]
    assert found["folds"] == each
    assert (found["mean"], found["standard_deviation"]) == pytest.approx((np.mean(each), np.std(each, ddof=1)))
    assert re.search(rf"^mean +{re.escape(digits(found['mean']))} ", done.stdout, re.MULTILINE)
    spread = re.escape(digits(found["standard_deviation"]))
    assert re.search(rf"^standard deviation +{spread} ", done.stdout, re.MULTILINE)
    page = (whole / "index.html").read_text()
    assert 'href="fold-3/report.html"' in page and "standard deviation" in page and "<td>2/3</td>" in page

    before = stamps(whole)
    again = run(*REGRESSION, "--cycles", "20", "--run-dir", whole, cwd=tmp_path)
    assert again.returncode == 0 and stamps(whole) == before and metrics_of(whole)["squared_error"] == found

    assert run(*REGRESSION, "--cycles", "10", "--run-dir", begun, cwd=tmp_path).returncode == 0
    shutil.rmtree(begun / "fold-3")  # as if it had been stopped in the third fold, before a checkpoint
    more = run(*REGRESSION, "--cycles", "20", "--run-dir", begun, cwd=tmp_path)
    assert "fold-2 at cycle 10 of 20" in more.stderr and "fold-3 at cycle" not in more.stderr
    assert metrics_of(begun) == metrics_of(whole)

    other = run(*REGRESSION, "--folds", "4", "--cycles", "20", "--run-dir", whole, cwd=tmp_path)
    assert other.returncode == 2 and "folds was 3 and is 4" in other.stderr


def test_a_classifier_smokes_and_bad_options_are_one_line(tmp_path):
    done = run_process("kfold.py", "classifier", "--folds", "2", "--net", "mlp", "--plan", "eager", "--smoke",
                       cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("smoke passed") == 2
    for options, line in ((("--validation", "0.2"), "`--validation` (0.2) must be left out: each fold is held out"),
                          (("--folds", "1"), "`--folds` (1) must be an integer of at least 2"),
                          (("--fold", "3/2"), "`--fold` (3/2) must be I/K: fold I of K, K at least 2")):
        done = run("kfold.py", "classifier", *options, cwd=tmp_path)
        assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
