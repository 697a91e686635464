"""A pull made of functions of the weights, as the engine's in what a transformation may ask."""

import tensorflow as tf

PLANS = ["eager", "graph", "xla"]


class FakePull:
    """``terms``: {name: function of a list of weights}; ``factors`` of those that are minimised, 1 if not given."""

    def __init__(self, terms, weights, factors=None, update=0, paths=None):
        self.weights, self._terms = weights, terms
        self.factors = dict.fromkeys(terms, 1.0) if factors is None else factors
        self.update = tf.convert_to_tensor(update, tf.int64)
        self.paths = paths or [f"net/layer_{place}/kernel" for place in range(len(weights))]
        self.asked = 0

    def gradients(self, *objectives, at=None):
        weights = self.weights if at is None else at
        found = []
        for objective in objectives or (self.factors,):
            self.asked += 1
            with tf.GradientTape() as tape:
                tape.watch(weights)
                value = tf.add_n([tf.cast(factor, tf.float64) * tf.cast(self._terms[name](weights), tf.float64)
                                  for name, factor in objective.items()])
            found.append(tape.gradient(value, weights, unconnected_gradients="zero"))
        return found


def linear(gradient):
    """A term whose gradient is this list of arrays, whatever the weights."""
    return lambda weights: tf.add_n([tf.cast(tf.reduce_sum(tf.cast(g, w.dtype) * w), tf.float64)
                                     for g, w in zip(gradient, weights, strict=True)])


def of_gradients(gradients, dtype="float32", **options):
    """A pull of terms ``{name: list of arrays}`` that are linear, at weights of 1."""
    weights = [tf.ones(tf.constant(g).shape, dtype) for g in next(iter(gradients.values()))]
    return FakePull({name: linear(each) for name, each in gradients.items()}, weights, **options)


def chosen(choice, make, plan, update=0):
    """What a transformation gives for ``make(update)``, as arrays; under xla the update is no constant."""
    def run(update):
        return choice(make(update))

    if plan != "eager":
        run = tf.function(run, jit_compile=plan == "xla")
    return [each.numpy() for each in run(tf.constant(update, tf.int64))]
