"""train_wgan_gp.py on pictures of other sizes and colours, as a person runs it."""

import json

import numpy as np
from PIL import Image

from engine.reporting import table
from tests.painted import class_folder, noise
from tests.scripts.running import run


def test_colour_pictures_of_a_folder_go_to_64_pixels(tmp_path):
    data, folder = class_folder(tmp_path / "data", {"a": 10, "b": 10}), tmp_path / "run"
    options = ("--dataset", "image-folder", "--data-dir", data, "--image-size", "20", "--batch-size", "4")
    done = run("train_wgan_gp.py", *options, "--one-sided", "--target", "0.5", "--critic-updates", "2", "--cycles",
               "2", "--log-every", "1", "--run-dir", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((folder / "config.json").read_text())
    assert [config[name] for name in ("size", "target", "one_sided")] == [64, 0.5, True]
    assert table.read(folder / "metrics.csv")["batches"] == [2, 4]
    with Image.open(folder / "pictures" / "samples-2.png") as picture:
        colours = np.asarray(picture).astype(int)
        assert picture.size == (2 + 8 * (64 + 2), 2 + 64 + 2)
    assert (colours[2:66, 2:66, 0] != colours[2:66, 2:66, 1]).any()

    grey = run("train_wgan_gp.py", *options, "--size", "28", cwd=tmp_path)
    assert grey.returncode == 2
    assert grey.stderr == "error: `--size` (28) must be 64 for colour images\n"


def test_grey_pictures_of_another_size_may_go_to_28(tmp_path):
    pictures = np.stack([noise(i, 32, 32, 1) for i in range(20)])
    np.savez(tmp_path / "mine.npz", image=pictures, label=np.zeros(20, np.int32))
    done = run("train_wgan_gp.py", "--dataset", "npz", "--data-dir", tmp_path / "mine.npz", "--size", "28", "--plan",
               "eager", "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]
