"""State that the engine does not know is refused by name, with its remedy (and what is known is advanced)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import engine
from engine import ArraySource, Invalid, LossStrategy, Phase, Trainer
from tests import toys


class Held(LossStrategy):
    """``term(self, y, batch)`` is the loss; ``held`` belongs to the strategy."""

    def __init__(self, term, held=None, transform=None):
        self.term, self.held, self.transform = term, held, transform

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        return {"error": self.term(self, nets["net"](batch["x"], training=True)[:, 0], batch)}


def assigns(self, y, batch):
    self.held.assign(0.9 * self.held + 0.1 * tf.reduce_mean(y))
    return tf.square(y) + self.held


def counts(self, y, batch):
    self.held.update_state(y)
    return tf.square(y)


def scoped(self, y, batch):
    net = self.held
    with keras.StatelessScope([(v, 0.5 * tf.convert_to_tensor(v.value)) for v in net.trainable_variables]):
        return tf.square(net(batch["x"], training=True)[:, 0]) + y


DROPPED = keras.Sequential([keras.layers.Dense(4), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
DROPPED.build([None, 6])

CASES = {
    "a dropout of the strategy": (lambda self, y, batch: tf.square(self.held(y, training=True)),
                                  lambda: keras.layers.Dropout(0.5), r"seed_generator_state.* must be of a layer"),
    "keras.random without a seed": (lambda self, y, batch: tf.square(y + keras.random.normal([8])), lambda: None,
                                    r"seed_generator_state.* must be of a layer in one of the nets"),
    "a seed generator": (lambda self, y, batch: tf.square(y + keras.random.normal([8], seed=self.held)),
                         lambda: keras.random.SeedGenerator(3), r"seed_generator_state.* must be of a layer in one"),
    "a layer": (lambda self, y, batch: tf.square(self.held(y[:, None])[:, 0]), lambda: keras.layers.Dense(1),
                r"kernel.* must belong to one of the nets of the Trainer"),
    "a Keras variable": (assigns, lambda: keras.Variable(1.0, trainable=False),
                         r"`variable.*` \(a variable that phase fit uses\) must belong to one of the nets"),
    "a metric": (counts, lambda: keras.metrics.Mean(), r"\(a variable that phase fit uses\) must belong to one of"),
    "a tf.Variable": (assigns, lambda: tf.Variable(1.0, name="balance"),
                      r"\(a variable that phase fit assigns\) must be state of the strategy, .*LossStrategy.state"),
    "tf.random": (lambda self, y, batch: tf.square(y + tf.random.normal([8])), lambda: None,
                  r"`phase fit` \(the random operation RandomStandardNormal\) must be without"),
    "a tf.random.Generator": (lambda self, y, batch: tf.square(y + self.held.normal([8])),
                              lambda: tf.random.Generator.from_seed(1), r"\(the random operation RngReadAndSkip\)"),
    "tf.random in a branch": (
        lambda self, y, batch: tf.square(y) + tf.cond(y[0] > 0, lambda: tf.random.uniform([]), lambda: 0.0),
        lambda: None, r"\(the random operation RandomUniform\)"),
    "a scope of Keras's": (scoped, lambda: DROPPED, r"must not be read inside a keras.StatelessScope: .*engine.at"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_by_name(name):
    term, held, message = CASES[name]
    nets = {"net": toys.net(1)} | ({"other": DROPPED} if name == "a scope of Keras's" else {})
    with pytest.raises(Invalid, match=message):
        toys.engine(Held(term, held()), nets, {"fit": toys.adam()}, toys.points())


def test_so_are_draws_of_a_transform_and_of_the_metrics():
    source = ArraySource({"x": toys.POINTS}, 8, transform=lambda batch, noise: {
        "x": batch["x"] + tf.random.normal([8, 6])})
    with pytest.raises(Invalid, match=r"`phase fit` \(the random operation RandomStandardNormal\)"):
        toys.engine(Held(lambda self, y, batch: tf.square(y)), {"net": toys.net(1)}, {"fit": toys.adam()}, source)
    strategy = toys.Fit()
    strategy.metrics = lambda nets, batch, noise: {"noisy": tf.random.normal([8]) + nets["net"](batch["x"])[:, 0]}
    with pytest.raises(Invalid, match=r"`evaluation` \(the random operation RandomStandardNormal\)"):
        Trainer(strategy, {"net": toys.net(1)}, toys.adam(), toys.points())


class Counting(keras.optimizers.SGD):
    """Keeps a count where Keras does not see it."""

    def build(self, variables):
        super().build(variables)
        self.steps = [tf.Variable(0, name="steps")]

    def update_step(self, gradient, variable, learning_rate):
        self.steps[0].assign_add(1)
        super().update_step(gradient, variable, learning_rate)


def test_a_variable_inside_an_optimizer_is_refused():
    with pytest.raises(Invalid, match=r"`optimizer counting` \(.*\) must be without variables of its own but those of"):
        toys.engine(toys.Fit(), {"net": toys.net(1)}, {"fit": Counting(0.1)}, toys.points())


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
@pytest.mark.parametrize("where", ["at", "keras layer"])
def test_a_dropout_draws_anew_at_every_update(plan, where):
    """Inside ``engine.at``, too, where a scope of Keras's would give six times the same."""
    class Dropping(toys.Fit):
        def loss(self, nets, batch, noise):
            net = nets["net"]
            ones = tf.ones([8, 6])
            if where == "at":
                with engine.at(net, engine.weights_of(net)):
                    y = net(ones, training=True)[:, 0]
            else:
                y = net(ones, training=True)[:, 0]
            return {"sum": y}

    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    net.build([None, 6])
    made = toys.engine(Dropping(), {"net": net}, {"fit": keras.optimizers.SGD(0.0)}, toys.points(), plan=plan)
    assert len({float(made.run(1).totals["fit"]["sum"][0]) for _ in range(6)}) == 6


def test_a_teacher_that_a_loss_assigns_by_hand_moves():
    class ByHand(toys.Fit):
        def loss(self, nets, batch, noise):
            for slow, fast in zip(nets["slow"].variables, nets["net"].variables, strict=True):
                slow.assign(0.5 * slow + 0.5 * fast)
            return {"error": tf.square(nets["net"](batch["x"])[:, 0] - nets["slow"](batch["x"])[:, 0] - 1.0)}

    nets = {"net": toys.net(1), "slow": toys.net(1)}
    for net in nets.values():
        net.build([None, 6])
    for plan in ("eager", "graph", "xla"):
        nets["slow"].set_weights([0.0 * w for w in nets["slow"].get_weights()])
        nets["net"].set_weights([0.0 * w + 1.0 for w in nets["net"].get_weights()])
        made = toys.engine(ByHand(), nets, {"fit": keras.optimizers.SGD(0.0)}, toys.points(), plan=plan)
        made.run(3)
        np.testing.assert_allclose(nets["slow"].get_weights()[1], 1.0 - 0.5**3)


def test_a_layers_own_queue_is_refused_where_workers_would_average_it():
    class Queue(keras.layers.Layer):
        def build(self, shape):
            self.queue = self.add_weight(shape=[4, 6], initializer="ones", trainable=False, name="queue")

        def call(self, x):
            self.queue.assign(tf.math.l2_normalize(x[:4], axis=1))
            return x

    with pytest.raises(Invalid, match=r"queue` \(assigned in phase fit on several workers\)"):
        toys.engine(toys.Fit(), {"net": keras.Sequential([Queue(), keras.layers.Dense(1)])}, {"fit": toys.adam()},
                    toys.points(), reproducible=2)


def test_variables_are_no_targets_of_a_tape_and_that_is_said():
    def penalised(self, y, batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.held(batch["x"])))
        return y + tf.reduce_sum(tape.gradient(loss, self.held.trainable_variables)[0])

    net = toys.net(1)
    with pytest.raises(Invalid, match=r"`tape.gradient` \(phase fit\) must be of tensors, .*engine.weights_of\(net\)"):
        toys.engine(Held(penalised, net), {"net": net}, {"fit": toys.adam()}, toys.points())


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_a_kernel_read_as_a_tensor_may_be_watched(plan):
    class Watching(toys.Fit):
        def loss(self, nets, batch, noise):
            kernel = tf.convert_to_tensor(nets["net"].layers[0].kernel)
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                y = nets["net"](batch["x"])[:, 0]
            gradient = tape.gradient(y, kernel)
            return {"gradient": tf.reduce_sum(tf.square(gradient)), "error": tf.square(y)}

    net = toys.net(1)
    net.build([None, 6])
    made = toys.engine(Watching(), {"net": net}, {"fit": toys.adam()}, toys.points(), plan=plan)
    x = made.source.batch(tf.constant(0, tf.int64), ())["x"].numpy()
    total = made.run(1).totals["fit"]["gradient"][0]
    assert float(total) == pytest.approx(float(np.sum(x.sum(axis=0) ** 2)), rel=1e-5)


def branching(layer):
    """A loss that calls ``layer`` in every fourth update."""
    class Branching(toys.Fit):
        def loss(self, nets, batch, noise):
            y = batch["x"]
            if noise.update % 4 == 0:
                y = nets["net"].layers[0](y, training=True)
            return {"error": tf.square(nets["net"].layers[1](y)[:, 0])}

    net = keras.Sequential([layer, keras.layers.Dense(1)])
    net.build([None, 6])
    return toys.engine(Branching(), {"net": net}, {"fit": toys.adam()}, toys.points())


def test_statistics_in_a_branch_are_refused():
    with pytest.raises(Invalid, match=r"moving_mean.*\) must be without layers that keep .*by tf.where"):
        branching(keras.layers.BatchNormalization())


def test_a_dropout_in_a_branch_draws():
    assert not branching(keras.layers.Dropout(0.5)).run(8).fault
