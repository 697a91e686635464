"""train_regression.py as a person runs it: the true weights are found, and shown beside the learned ones."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from engine.data import catalog, synthetic
from engine.reporting.chart import COLOURS
from tests.scripts.running import run, run_process


def weights(stdout):
    """{name: (true, learned)} of the table that is printed at the end."""
    return {name: (float(true), float(learned))
            for name, true, learned in re.findall(r"^(w\d+|b) +(\S+) +(\S+)$", stdout, re.MULTILINE)}


def errors(stdout):
    """The errors that are printed side by side: train, test."""
    return tuple(map(float, re.search(r"squared error +train (\S+) +test (\S+)", stdout).groups()))


@pytest.mark.parametrize("seed", [0, 1])
def test_three_epochs_find_the_weights_of_linear_data(seed, tmp_path):
    done = run("train_regression.py", "--seed", seed, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = weights(done.stdout)
    assert [true for true, _ in found.values()] == [*synthetic.WEIGHTS, synthetic.BIAS]
    assert all(abs(true - learned) <= 0.002 for true, learned in found.values()), done.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["epochs"] == 3
    metrics = summary["metrics"]
    assert errors(done.stdout) == pytest.approx((metrics["train/squared_error"], metrics["squared_error"]), rel=1e-4)
    assert max(metrics.values()) < 1.3e-4  # the noise alone is 1e-4
    with Image.open(tmp_path / "run" / "pictures" / "fit-300.png") as picture:
        assert np.all(np.asarray(picture) == [int(COLOURS[2][i:i + 2], 16) for i in (1, 3, 5)], axis=-1).sum() > 500


def test_a_line_underfits_a_cubic_fits_and_decay_pulls_the_weights_alone(tmp_path):
    found = {}
    for name, options in {"line": ("--degree", 1), "cubic": ("--degree", 3),
                          "decayed": ("--degree", 3, "--weight-decay", 30)}.items():
        done = run("train_regression.py", "--dataset", "polynomial", *options, "--epochs", 150, "--evaluate-every", 150,
                   "--run-dir", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found[name] = weights(done.stdout), errors(done.stdout)
    assert list(found["line"][0]) == ["w1", "b"] and list(found["cubic"][0]) == ["w1", "w2", "w3", "b"]
    assert min(found["line"][1]) > 1
    assert max(found["cubic"][1]) < 0.05
    assert all(abs(true - learned) < 0.3 for true, learned in found["cubic"][0].values())
    *decayed, (_, constant) = found["decayed"][0].values()
    assert all(abs(learned) < 0.35 for _, learned in decayed)
    assert constant > 1


def test_smoke_with_a_fold_and_bad_options(tmp_path):
    done = run_process("train_regression.py", "--smoke", "--dataset", "polynomial", "--fold", "2/4", "--error",
                       "huber", "--momentum", "0.9", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validation" in done.stdout and "smoke passed" in done.stdout
    done = run("train_regression.py", "--degree", "3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: `--degree` (3) must be left out for linear\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_l2_is_ridge_regression_whatever_the_momentum(momentum, tmp_path):
    command = ("train_regression.py", "--dataset", "polynomial", "--degree", 3, "--examples", 40, "--batch-size", 40,
               "--l2", 0.5, "--momentum", momentum, "--learning-rate", 0.02, "--cycles", 1500, "--log-every", 500,
               "--evaluate-every", 1000, "--plan", "graph", "--run-dir", tmp_path / "run")
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    learned = [now for _, now in weights(done.stdout).values()]
    train = catalog.load("polynomial", degree=3, examples=40, seed=0).train
    x, y = train["x"].astype(np.float64), train["y"][:, 0].astype(np.float64)
    centred, target = x - x.mean(axis=0), y - y.mean()
    w = np.linalg.solve(centred.T @ centred / 40 + 0.25 * np.eye(3), centred.T @ target / 40)
    np.testing.assert_allclose(learned, [*w, y.mean() - x.mean(axis=0) @ w], atol=2e-3)
