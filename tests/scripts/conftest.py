"""Short runs, made as a person makes them, for the scripts that look at runs."""

import contextlib
import csv

import numpy as np
import pytest

from tests import painted
from tests.scripts.running import run

WORDS = {"good": ("fine", "great", "lovely"), "bad": ("dull", "poor", "weak")}


@contextlib.contextmanager
def _unchanged(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert before
    yield
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.fixture
def unchanged():
    """``with unchanged(folder):`` fails if a byte or a file in the folder changes."""
    return _unchanged


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """``made(script, *options)``: the folder of a run of this script, made once."""
    runs = {}

    def make(script, *options):
        place = script, *map(str, options)
        if place not in runs:
            folder = tmp_path_factory.mktemp("made") / "run"
            done = run(script, *options, "--run-dir", folder, cwd=folder.parent)
            assert done.returncode == 0, done.stderr
            runs[place] = folder
        return runs[place]
    return make


@pytest.fixture(scope="session")
def shades(tmp_path_factory):
    """A folder of two classes of pictures of 10 x 12 pixels, dark and light, 20 of each."""
    root, rng = tmp_path_factory.mktemp("shades"), np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 180)):
        for i in range(20):
            painted.save(root / name / f"{i:02}.png", (low + rng.integers(0, 70, (12, 10, 3))).astype(np.uint8))
    return root


@pytest.fixture(scope="session")
def reviews(tmp_path_factory):
    """A CSV file of 60 reviews that say in one word whether they are good or bad."""
    path, rng = tmp_path_factory.mktemp("reviews") / "reviews.csv", np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(60):
            label = ("good", "bad")[i % 2]
            writer.writerow([f"film {i // 2} was {WORDS[label][rng.integers(3)]}, I say", label])
    return path


@pytest.fixture(scope="session")
def classifier_run(made, shades):
    """A classifier of the two shades, at 8 x 8 pixels."""
    return made("train_classifier.py", "--dataset", "image-folder", "--data-dir", shades, "--image-size", 8, "--net",
                "mlp", "--net-option", "hidden=[8]", "--batch-size", 8, "--cycles", 60, "--learning-rate", 0.01,
                "--average", 0.9, "--plan", "graph")


@pytest.fixture(scope="session")
def text_run(made, reviews):
    """A classifier of the reviews, with a validation part and a test part."""
    return made("train_text.py", "--dataset", "text-csv", "--data-dir", reviews, "--length", 8, "--batch-size", 8,
                "--validation", 0.25, "--cycles", 60, "--learning-rate", 0.03, "--average", 0.9, "--plan", "graph",
                "--net-option", "embedding=4", "--net-option", "units=[4]", "--net-option", "dropout=0")


@pytest.fixture(scope="session")
def vae_run(made):
    """A VAE with averaged weights, on a fraction of the shipped pictures' training part."""
    return made("train_vae.py", "--batch-size", 100, "--cycles", 20, "--plan", "graph", "--average", 0.9,
                "--validation", 0.1, "--latent-dim", 3)


@pytest.fixture(scope="session")
def autoencoder_run(made):
    """An autoencoder of the shipped pictures."""
    return made("train_autoencoder.py", "--batch-size", 100, "--cycles", 20, "--plan", "graph", "--average", 0.9)


@pytest.fixture(scope="session")
def wgan_run(made):
    """A WGAN-GP after two generator updates."""
    return made("train_wgan_gp.py", "--batch-size", 8, "--cycles", 2, "--critic-updates", 1, "--latent-dim", 5)
