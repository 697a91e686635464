"""Rows of several lengths in buckets, a strategy over them, and the same in plain TensorFlow."""

import keras
import numpy as np
import tensorflow as tf

from engine import BucketedSource, LossStrategy, Phase, Ratio, Update
from engine.data.source import BUCKET
from engine.noise import Request, key
from tests import toys

BUCKETS, RATE, SIZE = (3, 6, 10), 0.1, 60
RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 11, SIZE)
ROWS = [RNG.normal(size=[length, 2]).astype("float32") for length in LENGTHS]
INDEX = np.arange(SIZE, dtype="int32")
SEEN = []  # lengths at which the loss was called


def rows(batch_size=4, **options):
    return BucketedSource({"x": ROWS, "index": INDEX}, batch_size, BUCKETS, **options)


def net(rate=0.0):
    """Of each step by itself."""
    made = keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dropout(rate), keras.layers.Dense(1)])
    made.build([None, None, 2])
    return made


class Steps(LossStrategy):
    """Each step's sum of x, seen through noise: a masked mean over steps; and one of all, padding too."""

    def __init__(self, **options):
        self.options = {"separable": True, **options}

    @property
    def seen(self):
        """Lengths at which it was called; no attribute, which would be a change of the strategy."""
        return SEEN

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], **self.options)]

    def loss(self, nets, batch, noise):
        assert set(batch) == {"x", "index", "length"}
        x, steps = batch["x"], batch["x"].shape[1]
        self.seen.append(steps)
        there = tf.cast(tf.range(steps) < batch["length"][:, None], tf.float32)
        y = nets["net"](x + 0.1 * noise.normal("blur", [steps, 2]), training=True)[:, :, 0]
        error = tf.square(y - tf.reduce_sum(x, axis=2))
        return {"error": Ratio(there * error, there), "size": 0.3 * tf.reduce_mean(tf.square(y), axis=1)}

    def metrics(self, nets, batch, noise):
        self.seen.append(batch["x"].shape[1])
        y = nets["net"](batch["x"] + 0.1 * noise.normal("blur", batch["x"].shape[1:]))[:, :, 0]
        there = tf.cast(tf.range(batch["x"].shape[1]) < batch["length"][:, None], tf.float32)
        return {"index": batch["index"], "length": batch["length"], "padded": batch["length"] * 0 + batch["x"].shape[1],
                "sum": tf.reduce_sum(there * tf.reduce_sum(batch["x"], axis=2), axis=1), "y": y[:, 0]}


def made(plan="graph", batch_size=4, accumulate=1, strategy=None, **options):
    keras.utils.set_random_seed(0)
    nets = {"net": options.pop("net", None) or net()}
    strategy = strategy or Steps()
    engine = toys.engine(strategy, nets, {"fit": Update(keras.optimizers.SGD(RATE), accumulate=accumulate)},
                         rows(batch_size), plan=plan, **options)
    return engine, nets, strategy


def stored(batch_size, number):
    """(x cut to its bucket, lengths, steps) of batch ``number``."""
    raw = rows(batch_size).batch(tf.constant(number, tf.int64), ())
    steps = BUCKETS[int(raw[BUCKET][0])]
    return raw["x"][:, :steps], raw["length"], steps


def by_hand(weights, updates, batch_size=4, accumulate=1):
    """Plain TensorFlow on the cut batches. Weights, the sums of the ratio, and the lengths of all batches."""
    weights, total, over, seen = [tf.Variable(each) for each in weights], 0.0, 0.0, []
    for update in range(updates):
        drawn = Request("normal", (BUCKETS[-1], 2)).draw(key(0, "fit", update, "blur"), batch_size * accumulate)
        batches = [stored(batch_size, accumulate * update + i) for i in range(accumulate)]
        with tf.GradientTape() as tape:
            values, counts, sizes = [], [], []
            for i, (x, length, steps) in enumerate(batches):
                blur = drawn[batch_size * i:batch_size * (i + 1), :steps]
                y = (tf.tanh((x + 0.1 * blur) @ weights[0] + weights[1]) @ weights[2] + weights[3])[:, :, 0]
                there = tf.sequence_mask(length, steps, tf.float32)
                values.append(tf.reduce_sum(there * tf.square(y - tf.reduce_sum(x, axis=2))))
                counts.append(tf.reduce_sum(there))
                sizes.append(0.3 * tf.reduce_mean(tf.square(y)))
            loss = tf.add_n(values) / tf.add_n(counts) + tf.add_n(sizes) / accumulate
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            variable.assign_sub(RATE * gradient)
        total, over = total + float(tf.add_n(values)), over + float(tf.add_n(counts))
        seen += [steps for _, _, steps in batches]
    return [variable.numpy() for variable in weights], (total, over), seen
