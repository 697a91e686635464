"""Small strategies and nets whose behaviour is known, for the tests of the engine."""

from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from engine import ArraySource, LossStrategy, Phase, StepEngine, Update
from engine.run.preflight import named_nets
from engine.run.state import variables_of

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

    def __init__(self, counts=False):
        self.counts = counts  # in a state of 200 numbers: how often each example was read

    def state(self):
        return {"seen": np.zeros(200, "int32")} if self.counts else {}

    def phases(self):
        watching = {"passes": ["index"], "after": self.count} if self.counts else {}
        return [Phase("critic", self.critic, updates=["critic"], repeats=5, weights={"penalty": 10.0}, **watching),
                Phase("generator", self.generator, updates=["generator"], reads=None)]

    def count(self, nets, state, seen):
        return {"seen": tf.tensor_scatter_nd_add(state["seen"], seen["index"][:, None], tf.ones_like(seen["index"]))}

    def critic(self, nets, batch, noise):
        real, fake = batch["x"], nets["generator"](noise.normal("z", [4]), training=True)
        between = real + noise.uniform("mix", [1]) * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            scores = nets["critic"](between, training=True)
        slope = tape.gradient(scores, between)
        passed = {"index": batch["index"]} if self.counts else {}
        return {**passed, "wasserstein": (nets["critic"](fake) - nets["critic"](real))[:, 0],
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
    nets, phases = named_nets(nets), strategy.phases()
    divided = options.get("workers") or options.get("reproducible")
    updates = {name: update if isinstance(update, Update) else Update(update) for name, update in updates.items()}
    if divided or any(update.accumulate > 1 for update in updates.values()):
        phases = [replace(phase, separable=True) for phase in phases]  # without it a batch is not taken apart
    return StepEngine(phases, nets, updates, source, state=strategy.state(), **options)


def gan(source=None, counts=False, accumulate=1, average=None, **options):
    """A StepEngine of ``TinyGAN`` and its nets."""
    nets = gan_nets()
    updates = {"critic": Update(adam(), clip_norm=0.5, accumulate=accumulate, average=average),
               "generator": Update(adam(), accumulate=accumulate)}
    return engine(TinyGAN(counts), nets, updates, source or points(), **options), nets


def put(made, slot):
    """Have the engine stand at ``slot``."""
    made.place = made.schedule.shifted(made.schedule.start(), slot)


def done(made):
    """Updates of each phase, and batches under the key ""."""
    return {**made.completed, "": made.place.batches[0]}


def bits(made, nets):
    """All numbers of the nets and of the optimizers, in order."""
    variables = [v for each in nets.values() for v in each.variables if v.name != "seed_generator_state"]
    for part in made.parts.values():
        variables += [v for optimizer in part.commit.update.optimizers for v in optimizer.variables]
        variables += [average for _, average in part.average.pairs] if part.average else []
    variables += list(made.state.values())
    return np.concatenate([np.asarray(v.numpy(), "float64").ravel() for v in variables])


def rewinding(made):
    """A function that puts ``made`` back to where it stands now: what was compiled is used again."""
    variables = list(variables_of(made).values())
    values, place, streak = [v.numpy() for v in variables], made.place, made.streak

    def rewind():
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        made.place, made.streak = place, streak

    return rewind
