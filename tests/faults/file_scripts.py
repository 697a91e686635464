"""The training scripts at their smallest: each has all kinds of files, and is done in about a second."""

import sys
from pathlib import Path

from tests.faults.interposed import Script

ROOT = Path(__file__).parent.parent.parent
PICTURES = ("--dataset", "npz", "--data-dir", "data.npz")
SCRIPTS = {
    "train_vae": ("train_vae.py", *PICTURES, "--net-option", "hidden=8", "--latent-dim", "2", "--average", "0.9"),
    "train_regression": ("train_regression.py", "--dataset", "polynomial", "--examples", "16"),
    "train_classifier": ("train_classifier.py", *PICTURES, "--net", "mlp", "--net-option", "hidden=[4]"),
    "train_gan": ("train_gan.py", *PICTURES, "--width", "2", "--latent-dim", "2"),
    "train_wgan_gp": ("train_wgan_gp.py", *PICTURES, "--size", "28", "--latent-dim", "2", "--critic-updates", "1"),
    "train_text": ("train_text.py", "--dataset", "text-csv", "--data-dir", "data.csv", "--words", "12", "--length", "4",
                   "--validation", "0.3", "--net-option", "embedding=2", "--net-option", "units=[2]"),
    "train_autoencoder": ("train_autoencoder.py", *PICTURES, "--net-option", "hidden=[4]", "--latent-dim", "2"),
    "kfold": ("kfold.py", "regression", "--folds", "2", "--dataset", "polynomial", "--examples", "32"),
    "compare_nets": ("compare_nets.py", *PICTURES, "--nets", "mlp", "convnet", "--net-option", "mlp.hidden=[4]",
                     "--optimizer", "sgd", "--average", "0"),
}
OFTEN = ("--batch-size", "8", "--cycles", "3", "--keep", "2", "--log-every", "2", "--evaluate-every", "1",
         "--checkpoint-every", "1e-6")  # an epoch of two cycles, a checkpoint per call of the loop; the third ends one


def script(name, place, plan):
    """Its command, with data in ``place``."""
    _pictures(place / "data.npz")
    _texts(place / "data.csv")
    file, *options = SCRIPTS[name]
    return Script(name, [str(ROOT / "scripts" / file), *options, *OFTEN, "--plan", plan], place)


def _pictures(path):
    import numpy as np

    draw, arrays = np.random.default_rng(0), {}
    for part, count in (("train", 16), ("test", 8)):
        arrays[f"x_{part}"] = draw.integers(0, 256, (count, 12, 12, 1)).astype(np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % 2
    np.savez(path, **arrays)


def _texts(path):
    rows = [f"{'good fine' if number % 2 else 'bad poor'} film {number},{'ab'[number % 2]}"
            for number in range(28)]
    path.write_text("\n".join(["text,label", *rows, ""]))


def imported():
    """All that the scripts import: once, and not used."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import kfold  # noqa: F401
    import train_vae  # noqa: F401
    import wiring

    with wiring.quiet():
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401

        import losses.strategies  # noqa: F401
        import nets  # noqa: F401
        from engine.data import catalog  # noqa: F401
        from engine.reporting import comparison, confusion, points, recorder  # noqa: F401
