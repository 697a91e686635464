"""train_gan.py as a person runs it."""

import json

import numpy as np
from PIL import Image

from engine.reporting import table
from tests.painted import class_folder
from tests.scripts.running import run, run_process

SMALL = ("--width", "4", "--batch-size", "8", "--log-every", "1")


def test_a_run_moves_both_nets_and_draws_samples(tmp_path):
    folder = tmp_path / "run"
    done = run("train_gan.py", *SMALL, "--kind", "hinge", "--cycles", "3", "--run-dir", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((folder / "config.json").read_text())
    assert [config[name] for name in ("size", "learning_rate", "discriminator_updates")] == [28, 2e-4, 1]
    rows = table.read(folder / "metrics.csv")
    assert rows["cycle"] == rows["batches"] == [1, 2, 3]
    for phase in ("discriminator", "generator"):
        assert min(rows[f"{phase}/gradient_norm"]) > 0
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    assert set(metrics) == {"discriminator_loss", "generator_loss"}
    with Image.open(folder / "pictures" / "samples-3.png") as picture:
        page = np.asarray(picture)[..., 0]
    first, second = page[2:58:2, 2:58:2], page[2:58:2, 60:116:2]
    assert first.shape == (28, 28)
    assert (first != second).any()


def test_wasserstein_clips_the_critics_weights(tmp_path):
    folder = tmp_path / "run"
    done = run("train_gan.py", *SMALL, "--kind", "wasserstein", "--plan", "eager", "--cycles", "2", "--run-dir", folder,
               cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((folder / "config.json").read_text())
    assert [config[name] for name in ("learning_rate", "discriminator_updates")] == [5e-5, 5]
    assert table.read(folder / "metrics.csv")["batches"] == [5, 10]
    with np.load(folder / "checkpoints" / "2" / "state.npz") as arrays:
        largest = {name: abs(arrays[name]).max() for name in arrays.files if name.endswith((".kernel", ".gamma"))}
    critics = [value for name, value in largest.items() if name.startswith("nets/critic/")]
    assert len(critics) == 4  # three kernels and a scale
    assert max(critics) == np.float32(0.01)
    assert max(value for name, value in largest.items() if name.startswith("nets/generator/")) > 0.05


def test_other_pictures_are_brought_to_the_nearest_side(tmp_path):
    data = class_folder(tmp_path / "data", {"a": 20, "b": 20}, height=40, width=40)
    folder = tmp_path / "run"
    done = run_process("train_gan.py", *SMALL, "--dataset", "image-folder", "--data-dir", data, "--image-size", "40",
                       "--kind", "least-squares", "--plan", "eager", "--cycles", "1", "--run-dir", folder,
                       cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "config.json").read_text())["size"] == 32
    with Image.open(folder / "pictures" / "samples-1.png") as picture:
        assert picture.width == 8 * (2 * 32 + 2) + 2
        colours = np.asarray(picture).astype(int)
    assert (colours[..., 0] != colours[..., 1]).any()

    wrong = run("train_gan.py", "--size", "48", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "`--size` (48) must be one of 28, 32, 64" in wrong.stderr
