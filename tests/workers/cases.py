"""The trainings of the matrix: what several workers must compute as one does."""

import hashlib
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import nets
from engine import ArraySource, Trainer, Update, average_of, prepare
from engine.data.augment import Chain, Flip, Shift, scale
from engine.run.state import variables_of
from losses.strategies import VAE, WGANGP, Binary, Supervised
from tests.strategies.published import test_byol, test_fixmatch, test_masked_mean, test_moco
from tests.strategies.published.method import dense, points

BATCH, EXAMPLES, SIDE = 16, 200, 8
RATES = {"classifier": 0.1, "vae": 0.01, "accumulation": 0.1, "wgan-gp": 0.01, "lstm": 0.5, "fixmatch": 0.1,
         "byol": 0.1, "ratio": 0.2, "state": 0.1}  # of SGD
NAMES = tuple(RATES)
UPDATES = {"wgan-gp": 6}  # of one cycle, where they are several
ROUNDING = {"float32": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-11}  # of a number, where it is computed with
# Of a loss, from the beginning: at the first scale the sums of a whole batch may overflow where those of its parts do
# not, and the updates that are left out are others.
SETTLED = 2.0**12
ONE_SUM = ("vae", "accumulation", "wgan-gp", "lstm", "byol")  # no batch norm, Ratio or passes


class Case(NamedTuple):
    """One training.

    Attributes:
      cycles: Cycles to train up to. dropout: Whether layers drop; batch norm's workload always does.
      nudged: Whether the run starts from weights one rounding away: a difference that is rounding is as large.
      shards: What ``reproducible`` is; None for rounding. adam: Whether Adam moves the weights in place of SGD.
      folder: Folder of the run; "" for none.
    """

    workload: str
    plan: str
    precision: str
    cycles: int
    dropout: bool = False
    nudged: bool = False
    shards: int | None = None
    adam: bool = False
    folder: str = ""

    @property
    def updates(self) -> int:
        """Updates of all phases up to the end."""
        return self.cycles * UPDATES.get(self.workload, 1)

    def trainer(self) -> Trainer:
        """Made anew, all from seed 0."""
        prepare(0, self.precision)
        rate = 0.01 if self.adam else RATES[self.workload]
        strategy, made, updates, data = MAKERS[self.workload](
            lambda: (keras.optimizers.Adam if self.adam else keras.optimizers.SGD)(rate), self.dropout)
        trainer = Trainer(strategy, made, updates, data, plan=self.plan, precision=self.precision, cycles_per_call=5,
                          run_dir=self.folder or None, record=False, reproducible=self.shards, say=lambda line: None)
        for part in trainer.engine.parts.values() if self.precision == "float16" else ():
            part.commit.loss_scale.scale.assign(SETTLED)
        if self.nudged:
            draw = np.random.default_rng(0)
            for v in (v for net in made.values() for v in getattr(net, "trainable_variables", ())):
                v.assign(v.numpy() * (1 + draw.choice([-1, 1], v.shape) * ROUNDING[self.precision]))
        return trainer


def images():
    rng = np.random.default_rng(0)
    return {"image": rng.integers(0, 256, (EXAMPLES, SIDE, SIDE, 1)).astype(np.uint8),
            "label": rng.integers(0, 4, EXAMPLES).astype(np.int32)}



def _classifier(optimizer, dropout):
    net = keras.Sequential([keras.layers.Conv2D(4, 3, use_bias=False), keras.layers.BatchNormalization(),
                            keras.layers.ReLU(), keras.layers.Flatten(), keras.layers.Dropout(0.5),
                            keras.layers.Dense(4, dtype="float32")])
    data = ArraySource(images(), BATCH, seed=1, transform=Chain(Flip(), Shift(2), scale))
    return Supervised(), {"classifier": net}, optimizer(), data


def _vae(optimizer, dropout):
    net = nets.create("dense-vae", latent_dim=3, hidden=16, image_shape=(SIDE, SIDE, 1))
    data = ArraySource({"image": images()["image"]}, BATCH, seed=1, transform=scale)
    beta = keras.optimizers.schedules.PolynomialDecay(0.0, 50, 1.0)
    return VAE(beta), {"vae": net}, Update(optimizer(), clip_norm=20.0, average=0.9), data


def _accumulation(optimizer, dropout):
    net = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(12, activation="tanh"),
                            keras.layers.Dropout(0.5 if dropout else 0.0), keras.layers.Dense(4, dtype="float32")])
    data = ArraySource(images(), BATCH, seed=1, transform=Chain(Flip(), Shift(2), scale))
    return Supervised(), {"classifier": net}, Update(optimizer(), accumulate=2, average=0.9), data


def _wgan_gp(optimizer, dropout):
    generator = keras.Sequential([keras.layers.Dense(8, activation="tanh"),
                                  keras.layers.Dense(SIDE * SIDE, activation="tanh", dtype="float32"),
                                  keras.layers.Reshape((SIDE, SIDE, 1), dtype="float32")])
    critic = keras.Sequential([keras.layers.Conv2D(4, 3, 2, activation="tanh"), keras.layers.Flatten(),
                               keras.layers.Dense(1, dtype="float32")])
    critic = Scores(critic)
    data = ArraySource({"image": images()["image"]}, BATCH, seed=1, transform=scale)
    return WGANGP(latent_dim=4), {"generator": generator, "critic": critic}, {
        "critic": Update(optimizer(), average=0.9), "generator": optimizer()}, data


class Scores(keras.Model):
    """[B] in place of [B, 1]."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def call(self, images, training=False):
        return self.net(images, training=training)[:, 0]


def _lstm(optimizer, dropout):
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 30, (EXAMPLES, 12)).astype(np.int32)
    tokens *= np.arange(12) < rng.integers(3, 13, (EXAMPLES, 1))
    data = ArraySource({"tokens": tokens, "label": rng.integers(0, 2, EXAMPLES).astype(np.int32)}, BATCH, seed=1)
    net = nets.create("lstm", vocabulary=30, embedding=6, units=(5, 5), dropout=0.5 if dropout else 0.0)
    return Binary(), {"classifier": net}, Update(optimizer(), clip_norm=1.0), data


def _small(*widths):
    """A net whose numbers are float32 at the end."""
    return dense(*widths, dtype="float32")


def _fixmatch(optimizer, dropout):
    data = {"labelled": points(BATCH // 2, examples=40), "unlabelled": points(BATCH, seed=1, examples=100)}
    return test_fixmatch.FixMatch(), {"net": _small(8, 3)}, optimizer(), data


def _byol(optimizer, dropout):
    predictor = keras.Sequential([keras.layers.Dense(4, dtype="float32")])
    predictor.build([None, 4])
    made = {"online": _small(8, 4), "predictor": predictor, "target": average_of("online", test_byol.DECAY)}
    return test_byol.BYOL(), made, optimizer(), points(BATCH)


def _ratio(optimizer, dropout):
    method = test_masked_mean
    net = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(method.TOKENS * method.WORDS,
                                                                              dtype="float32")])
    net.build([None, method.TOKENS * method.WORDS])
    return method.MaskedTokens(), {"net": net}, Update(optimizer(), accumulate=2), method.sentences(BATCH // 2)


def _state(optimizer, dropout):
    made = {"query": _small(8, test_moco.SIZE), "key": average_of("query", test_moco.DECAY)}
    return test_moco.MoCo(), made, optimizer(), points(BATCH // 2)


MAKERS = dict(zip(NAMES, (_classifier, _vae, _accumulation, _wgan_gp, _lstm, _fixmatch, _byol, _ratio, _state),
                  strict=True))


def floats(trainer: Trainer) -> dict[str, Any]:
    """All of the state that is a floating number and may move."""
    return {name: np.asarray(tf.convert_to_tensor(v), "float64") for name, v in variables_of(trainer.engine).items()
            if tf.as_dtype(v.dtype).is_floating and not name.endswith("learning_rate")}


def state_hash(trainer: Trainer) -> str:
    """SHA-256 of the complete state and of where the run stands."""
    digest = hashlib.sha256(repr(trainer.engine.place).encode())
    for name, variable in sorted(variables_of(trainer.engine).items()):
        digest.update(name.encode() + np.asarray(tf.convert_to_tensor(variable)).tobytes())
    return digest.hexdigest()
