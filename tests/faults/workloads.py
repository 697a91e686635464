"""Small trainings that hold all that a resume must bring back, and the process around one of them.

Dropout, batch normalisation, keyed augmentation, moving averages, a KL schedule, several optimizers, repeats,
recurrent layers, gradient clipping; and, of published methods, several sources, a teacher, a strategy's state and a
phase that rests; each with the Recorder's events, over the edge of an epoch.
"""

import hashlib
import importlib
import os
import sys
import traceback
from pathlib import Path

import keras
import numpy as np

import nets
from engine import ArraySource, Event, Every, Interrupted, Recording, Trainer, Update, prepare
from engine.data.augment import Chain, Flip, Shift, scale
from engine.run.state import variables_of
from losses.strategies import VAE, WGANGP, Binary, Supervised

CYCLES = 60
EXAMPLES, BATCH = 320, 8  # an epoch of 40 batches: edges at cycles 40 (or, at 5 batches a cycle, every 8)
NAMES = ("classifier", "vae", "wgan-gp", "lstm")
# Published methods: several sources, a teacher, state that a controller moves, a phase that rests 15 times of 16.
METHODS = {"fixmatch": "FIX", "byol": "BYOL_METHOD", "began": "MADE", "lazy-regularization": "LAZY"}


def _images(side=8):
    rng = np.random.default_rng(0)
    return {"image": rng.integers(0, 256, (EXAMPLES, side, side, 1)).astype(np.uint8),
            "label": rng.integers(0, 4, EXAMPLES).astype(np.int32)}


def _classifier():
    net = keras.Sequential([keras.layers.Conv2D(4, 3, use_bias=False), keras.layers.BatchNormalization(),
                            keras.layers.ReLU(), keras.layers.Flatten(), keras.layers.Dropout(0.5),
                            keras.layers.Dense(4)])
    data = ArraySource(_images(), BATCH, seed=1, transform=Chain(Flip(), Shift(2), scale))
    return Supervised(), {"classifier": net}, Update(keras.optimizers.Adam(1e-3), average=0.9), data


def _vae():
    beta = keras.optimizers.schedules.PolynomialDecay(0.0, 50, 1.0)
    net = nets.create("dense-vae", latent_dim=3, hidden=16, image_shape=(8, 8, 1))
    data = ArraySource({"image": _images()["image"]}, BATCH, seed=1, transform=scale)
    return VAE(beta), {"vae": net}, Update(keras.optimizers.Adam(1e-3), average=0.99), data


def _wgan_gp():
    chosen = {"generator": nets.create("dcgan-generator", latent_dim=4, side=28, channels=1, width=2),
              "critic": nets.create("critic28", width=2)}
    data = ArraySource({"image": _images(28)["image"]}, BATCH, seed=1, transform=scale)
    updates = {"critic": keras.optimizers.Adam(1e-3, beta_1=0.5), "generator": Update(
        keras.optimizers.RMSprop(1e-3), average=0.9)}
    return WGANGP(latent_dim=4), chosen, updates, data


def _lstm():
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 30, (EXAMPLES, 12)).astype(np.int32)
    tokens *= np.arange(12) < rng.integers(3, 13, (EXAMPLES, 1))
    data = ArraySource({"tokens": tokens, "label": rng.integers(0, 2, EXAMPLES).astype(np.int32)}, BATCH, seed=1)
    net = nets.create("lstm", vocabulary=30, embedding=6, units=(5, 5))
    return Binary(), {"classifier": net}, Update(keras.optimizers.Adam(1e-2), clip_norm=1.0), data


def _method(name):
    def make():
        module = importlib.import_module(f"tests.strategies.published.test_{name.replace('-', '_')}")
        method = getattr(module, METHODS[name])
        return method.strategy(**(method.arguments or {})), method.nets(), method.updates(), method.data()

    return make


MAKERS = {**dict(zip(NAMES, (_classifier, _vae, _wgan_gp, _lstm), strict=True)),
          **{name: _method(name) for name in METHODS}}


def make(name, plan, folder, *before, checkpoint_every=5, clock=None, **options):
    """A Trainer of the workload ``name`` that records. ``before``: events that come after the recorder's."""
    prepare(0)
    strategy, made, updates, data = MAKERS[name]()
    options = {"say": lambda line: None, **options}
    first = next(iter(data.values())) if isinstance(data, dict) else data
    often = Recording(Every(cycles=7), Every(cycles=13), Every(cycles=checkpoint_every), lambda trainer: {})
    return Trainer(strategy, made, updates, data, plan=plan, run_dir=folder, held_out=first, record=often,
                   events=before, **options)


def train(trainer, cycles=CYCLES):
    """To the end, as a script does it; whether that was reached."""
    try:
        trainer.train(cycles=cycles)
    except Interrupted:
        return False
    return True


def state_hash(trainer):
    """SHA-256 over all variables, in the order of their names."""
    digest = hashlib.sha256()
    for name, variable in sorted(variables_of(trainer.engine).items()):
        digest.update(name.encode() + variable.numpy().tobytes())
    return digest.hexdigest()


def table_hash(folder):
    """SHA-256 over metrics.csv without its clock column."""
    rows = [line.split(",") for line in (Path(folder) / "metrics.csv").read_text().splitlines()]
    clock = rows[0].index("seconds")
    return hashlib.sha256("\n".join(",".join(row[:clock] + row[clock + 1:]) for row in rows).encode()).hexdigest()


def each_cycle(act):
    """An event at every cycle that does nothing but ``act(trainer)``."""
    return Event(Every(cycles=1), lambda trainer, means: act(trainer), at_end=False)


def fork(act, *args):
    """Run ``act(*args)`` in a new process; its id. This process must not have used TensorFlow, only imported it."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = act(*args) or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def wait(pid):
    """The exit code of a process, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
