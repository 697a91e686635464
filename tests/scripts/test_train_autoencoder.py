"""train_autoencoder.py as a person runs it."""

import json

import numpy as np
from PIL import Image

from engine.data.catalog import load
from engine.reporting import table
from tests.painted import class_folder
from tests.scripts.running import run, run_process


def test_a_run_learns_to_reconstruct_and_shows_each_original_beside_it(tmp_path):
    folder = tmp_path / "run"
    done = run("train_autoencoder.py", "--error", "bernoulli", "--average", "0.9", "--batch-size", "100", "--plan",
               "graph", "--cycles", "60", "--log-every", "10", "--run-dir", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = table.read(folder / "metrics.csv")
    assert rows["autoencoder/bernoulli_nll"][-1] < 0.8 * rows["autoencoder/bernoulli_nll"][0]
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    assert set(metrics) == {"squared_error", "bernoulli_nll"}
    images = load("fashion-mnist-10k").test["image"]
    assert 0 < metrics["squared_error"] < np.var(images / 255.0)  # of the mean grey for every pixel
    with Image.open(folder / "pictures" / "reconstructions-60.png") as picture:
        page = np.asarray(picture)[..., 0]
    first, second = page[2:58:2, 2:58:2], page[2:58:2, 60:116:2]
    assert (first == images[0, ..., 0]).all()
    assert abs(second.astype(float) - first).mean() < abs(first - first.mean()).mean()


def test_a_folder_of_colour_pictures_and_the_convolutional_net(tmp_path):
    data = class_folder(tmp_path / "data", {"a": 20, "b": 20})
    before = sorted(tmp_path.rglob("*"))
    done = run_process("train_autoencoder.py", "--dataset", "image-folder", "--data-dir", data, "--image-size", "12",
                       "--net", "conv-autoencoder", "--net-option", "width=4", "--latent-dim", "6", "--plan",
                       "eager", "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "squared_error 0." in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_net_that_does_not_fit_is_refused_in_one_line(tmp_path):
    other = run("train_autoencoder.py", "--net", "mlp", cwd=tmp_path)
    data = class_folder(tmp_path / "data", {"a": 20})
    sides = run("train_autoencoder.py", "--dataset", "image-folder", "--data-dir", data, "--image-size", "10", "--net",
                "conv-autoencoder", "--batch-size", "4", "--run-dir", tmp_path / "run", cwd=tmp_path)
    assert (other.returncode, sides.returncode) == (2, 2)
    assert other.stderr == ("error: `--net` (mlp) must be one of dense-autoencoder, conv-autoencoder, or "
                            "module:Class; nearest: dense-autoencoder (see --help)\n")
    assert sides.stderr == ("error: `image_shape` ((10, 10, 3)) must have a height and width that are multiples of "
                            "4\n")
    assert not (tmp_path / "run").exists()
