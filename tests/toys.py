"""Small strategies and nets whose behaviour is known, for the tests of the engine."""

import keras
import numpy as np
import tensorflow as tf

from engine import ArraySource, LossStrategy, Phase, StepEngine, Update
from engine.cycle.outline import survey
from engine.strategy import NamedNets

POINTS = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")


def points(batch_size=8, **options):
    """200 points of 6 numbers, and each one's index."""
    return ArraySource({"x": POINTS, "index": np.arange(200, dtype="int32")}, batch_size, **options)


def net(*widths, **options):
    """A chain of dense layers with tanh between them."""
    layers = [keras.layers.Dense(width, activation="tanh") for width in widths[:-1]]
    return keras.Sequential([*layers, keras.layers.Dense(widths[-1], **options)])


class Fit(LossStrategy):
    """Least squares of net(x) to the sum of x; ``options`` go to the phase."""

    def __init__(self, **options):
        self.options = options

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], **self.options)]

    def loss(self, nets, batch, noise):
        error = nets["net"](batch["x"], training=True)[:, 0] - tf.reduce_sum(batch["x"], axis=1)
        return {"squared_error": tf.square(error), "absolute_error": tf.abs(error)}

    def metrics(self, nets, batch, noise):
        return {"absolute_error": tf.abs(nets["net"](batch["x"])[:, 0] - tf.reduce_sum(batch["x"], axis=1))}


class TinyGAN(LossStrategy):
    """A WGAN-GP on points: two phases, two optimizers, draws of both kinds, a penalty of second order."""

    def __init__(self, seen=None):
        self.seen = seen  # a tf.Variable [200] that counts how often each example was read

    def phases(self):
        return [Phase("critic", self.critic, updates=["critic"], repeats=5, weights={"penalty": 10.0}),
                Phase("generator", self.generator, updates=["generator"], reads_batch=False)]

    def critic(self, nets, batch, noise):
        if self.seen is not None:
            self.seen.scatter_add(tf.IndexedSlices(tf.ones_like(batch["index"]), batch["index"]))
        real, fake = batch["x"], nets["generator"](noise.normal("z", [4]), training=True)
        between = real + noise.uniform("mix", [1]) * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            scores = nets["critic"](between, training=True)
        slope = tape.gradient(scores, between)
        return {"wasserstein": (nets["critic"](fake) - nets["critic"](real))[:, 0],
                "penalty": tf.square(tf.sqrt(tf.reduce_sum(slope * slope, axis=1) + 1e-12) - 1.0)}

    def generator(self, nets, batch, noise):
        assert not batch
        return {"wasserstein": -nets["critic"](nets["generator"](noise.normal("z", [4]), training=True))[:, 0]}


def gan_nets():
    """Generator 4 -> 6 and critic 6 -> 1, initialised from seed 0."""
    keras.utils.set_random_seed(0)
    return {"generator": net(16, 6), "critic": net(16, 1)}


def adam(rate=1e-2):
    return keras.optimizers.Adam(rate)


def engine(strategy, nets, updates, source, **options):
    """A StepEngine on freshly built nets."""
    nets, phases = NamedNets(nets), strategy.phases()
    for phase in phases:
        survey(phase.loss, nets, source, phase.name, phase.reads_batch)
    updates = {name: update if isinstance(update, Update) else Update(update) for name, update in updates.items()}
    return StepEngine(phases, nets, updates, source, **options)


def gan(source=None, seen=None, accumulate=1, average=None, **options):
    """A StepEngine of ``TinyGAN`` and its nets."""
    nets = gan_nets()
    updates = {"critic": Update(adam(), clip_norm=0.5, accumulate=accumulate, average=average),
               "generator": Update(adam(), accumulate=accumulate)}
    return engine(TinyGAN(seen), nets, updates, source or points(), **options), nets


def bits(made, nets):
    """All numbers of the nets and of the optimizers, in order."""
    variables = [v for each in nets.values() for v in each.variables if v.name != "seed_generator_state"]
    for updater in made.updaters.values():
        variables += [*updater.update.optimizer.variables, *(average for _, average in updater.averages)]
    return np.concatenate([np.asarray(v.numpy(), "float64").ravel() for v in variables])
