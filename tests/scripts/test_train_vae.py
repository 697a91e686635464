"""train_vae.py under the importance-weighted bound and on other pictures, as a person runs it."""

import json

from engine.reporting import table
from tests.painted import class_folder
from tests.scripts.running import run


def test_more_samples_are_the_importance_weighted_bound(tmp_path):
    folder = tmp_path / "run"
    done = run("train_vae.py", "--samples", "3", "--batch-size", "100", "--plan", "graph", "--cycles", "40",
               "--log-every", "10", "--run-dir", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = table.read(folder / "metrics.csv")
    assert rows["bound/importance_weighted_nll"][-1] < rows["bound/importance_weighted_nll"][0]
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    assert metrics["importance_weighted_nll"] < metrics["negative_elbo"]  # Jensen's inequality, on the same draws
    assert (folder / "pictures" / "reconstructions-40.png").stat().st_size > 1000


def test_a_folder_of_colour_pictures(tmp_path):
    data = class_folder(tmp_path / "data", {"a": 20, "b": 20})
    done = run("train_vae.py", "--dataset", "image-folder", "--data-dir", data, "--image-size", "12", "--net-option",
               "hidden=16", "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "negative_elbo" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_does_not_fit_is_refused_in_one_line(tmp_path):
    for options, line in ((["--samples", "2", "--free-bits", "0.5"],
                           "`--free-bits` (0.5) must be left out with --samples above 1"),
                          (["--net", "mlp"], "`--net` (mlp) must be one of dense-vae, conv-vae, or "
                           "module:Class; nearest: dense-vae (see --help)")):
        done = run("train_vae.py", *options, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (2, f"error: {line}\n")
    assert not list(tmp_path.iterdir())
