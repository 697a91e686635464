"""Options that ``make test`` runs in eager, or in a smaller net, here compiled."""

import csv

import numpy as np
import pytest

from tests.painted import class_folder, noise
from tests.scripts.running import run

pytestmark = pytest.mark.slow


def pictures(folder):
    return class_folder(folder / "data", {"a": 20, "b": 20}, height=40, width=40)


def grey(folder):
    np.savez(folder / "data.npz", image=np.stack([noise(i, 32, 32, 1) for i in range(20)]),
             label=np.zeros(20, np.int32))
    return folder / "data.npz"


def texts(folder):
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *([f"a {['bad', 'good'][i % 2]} film {i}", i % 2]
                                                         for i in range(80))])
    return folder / "data.csv"


def nothing(folder):
    return None


@pytest.mark.parametrize("plan", ["graph", "xla"])
@pytest.mark.parametrize("data, script, options", [
    (nothing, "train_wgan_gp.py", "--size 64 --critic-updates 1"),
    (nothing, "train_wgan_gp.py", "--critic-updates 2 --normalization none --average 0"),
    (grey, "train_wgan_gp.py", "--dataset npz --data-dir DATA --size 28"),
    (nothing, "train_vae.py", "--precision bfloat16"),
    (nothing, "train_classifier.py", "--net resnet18 --net-option width=4 --optimizer sgd --decay cosine --mixup 0.2 "
                                     "--validation 0.1"),
    (nothing, "train_gan.py", "--width 4 --batch-size 8 --kind wasserstein"),
    (pictures, "train_gan.py", "--width 4 --batch-size 8 --dataset image-folder --data-dir DATA --image-size 40 "
                               "--kind least-squares"),
    (pictures, "train_autoencoder.py", "--dataset image-folder --data-dir DATA --image-size 12 --net conv-autoencoder "
                                       "--net-option width=4 --latent-dim 6"),
    (texts, "train_text.py", "--dataset text-csv --data-dir DATA --net-option units=[8] --net-option embedding=8 "
                             "--net-option dropout=0 --length 8 --batch-size 16 --label-smoothing 0.1 --clip-norm 0 "
                             "--average 0"),
    (nothing, "compare_nets.py", "--nets mlp branching"),
    (nothing, "kfold.py", "classifier --folds 2 --net mlp"),
])
def test_smoke_passes_and_keeps_nothing(plan, data, script, options, tmp_path):
    place = data(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run(script, *(str(place) if each == "DATA" else each for each in options.split()), "--plan", plan,
               "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "smoke passed" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before
