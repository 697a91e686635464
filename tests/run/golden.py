"""A run as checkpoints of today's format keep it: `python -m tests.run.golden` writes it when FORMAT is raised."""

import shutil
from pathlib import Path

import keras

from engine import Trainer, Update, prepare
from engine.run.checkpoint import FORMAT
from tests import toys

FOLDER = Path(__file__).parent / "golden" / f"format-{FORMAT}"


def trainer(folder):
    """A run of a tiny net with an average, of nothing that depends on the machine."""
    prepare(0)
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, activation="tanh"), keras.layers.Dense(1)])
    return Trainer(toys.Fit(), {"net": net}, Update(keras.optimizers.Adam(0.01), average=0.9), toys.points(8),
                   plan="graph", run_dir=folder, record=False, resume="always", say=lambda line: None)


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    made = trainer(FOLDER)
    made.train(cycles=4)
    made.save()
    (FOLDER / ".lock").unlink()
    for each in FOLDER.rglob("*"):
        print(each)
