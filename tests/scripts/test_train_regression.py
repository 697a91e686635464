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


def houses(rows, seed):
    """A table whose price is 3 area + 40 in Ulm + 100, and its cheapest rows first."""
    draw = np.random.default_rng(seed)
    area, city = draw.integers(40, 140, rows), draw.choice(["Bonn", "Ulm"], rows)
    price = 3 * area + 40 * (city == "Ulm") + 100
    lines = sorted(zip(price, area, city, strict=True))
    return "".join(["area,city,price\n", *(f"{a},{c},{p}\n" for p, a, c in lines)]), [p for p, _, _ in lines]


def test_a_table_of_ones_own_is_learned_evaluated_and_predicted(tmp_path):
    (tmp_path / "houses.csv").write_text(houses(400, 0)[0])
    options = ("--dataset", "csv", "--data-dir", "houses.csv", "--target", "price", "--validation", 0.25)
    done = run("train_regression.py", *options, "--epochs", 30, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "data      csv (houses.csv): 3 features (area, city=Bonn, city=Ulm)\n" in done.stderr
    assert "split     300 examples to train on, 100" in done.stderr
    learned = dict(re.findall(r"^(area|city=\w+|b) +(\S+)$", done.stdout, re.MULTILINE))
    assert float(learned["city=Ulm"]) - float(learned["city=Bonn"]) == pytest.approx(40, abs=0.1)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["metrics"]["squared_error"] < 0.01
    done = run("evaluate.py", "run", "--data-dir", "houses.csv", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["examples"] == 100 and found["metrics"]["squared_error"] == summary["metrics"]["squared_error"]
    (tmp_path / "houses.csv").unlink()
    table, prices = houses(20, 1)
    (tmp_path / "new.csv").write_text(table)
    done = run("evaluate.py", "run", "--dataset", "csv", "--data-dir", "new.csv", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["examples"] == 20 and found["metrics"]["squared_error"] < 0.01
    done = run("predict.py", "run", "new.csv", cwd=tmp_path)
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert rows[0] == ["file", "price"] and [name for name, _ in rows[1:]] == [f"new.csv:{i}" for i in range(2, 22)]
    assert [float(value) for _, value in rows[1:]] == pytest.approx(prices, abs=0.2)
    (tmp_path / "new.csv").write_text(table.replace("area", "surface"))
    for script, *more in (("predict.py", "new.csv"), ("evaluate.py", "--dataset", "csv", "--data-dir", "new.csv")):
        done = run(script, "run", *more, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr == ("error: `columns` (area) must be there once each, but those of "
                                                        "new.csv are surface, city, price\n")
    done = run("predict.py", "run", "new.csv", "--text", "a", cwd=tmp_path)
    assert done.returncode == 2 and "`--text` (a) must be left out" in done.stderr


def test_a_table_whose_columns_changed_is_another_run(tmp_path):
    options = ("--dataset", "csv", "--data-dir", "t.csv", "--target", "price", "--cycles", 3, "--run-dir", "run")
    (tmp_path / "t.csv").write_text(houses(40, 0)[0])
    assert run("train_regression.py", *options, cwd=tmp_path).returncode == 0
    (tmp_path / "t.csv").write_text(houses(40, 0)[0].replace("Ulm", "Rom"))
    done = run("train_regression.py", *options, cwd=tmp_path)
    assert done.returncode == 2 and "Rom" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    for wrong, said in ((("--degree", 3), "`--degree` (3) must be left out for csv"),
                        (("--target", "cost"), "`column` (cost) must be there once among those of t.csv: area, city,"),
                        (("--without", "cost"), "`column` (cost) must be there once")):
        done = run("train_regression.py", *options, *wrong, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.startswith(f"error: {said}"), done.stderr
