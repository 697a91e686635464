"""Two shards of a batch side by side are the batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
from engine.cycle import block
from engine.cycle.inputs import Context
from engine.cycle.measured import Given
from engine.cycle.shards import Shards
from tests import toys


class Sizes(LossStrategy):
    """Records how many examples the loss is given."""

    def __init__(self, scalar=False, **options):
        self.scalar, self.options, self.seen = scalar, options, set()

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], **self.options)]

    def loss(self, nets, batch, noise):
        y = nets["net"](batch["x"], training=True)[:, 0]
        self.seen.add((y.shape[0], noise.normal("z").shape[0]))
        error = tf.square(y - batch["x"][:, 0])
        return {"error": tf.reduce_mean(error) if self.scalar else error}


class Loop(keras.layers.Layer):
    """x, three times doubled."""

    def call(self, x):
        return tf.while_loop(lambda n, _: n < 3, lambda n, x: (n + 1, 2.0 * x), [tf.constant(0), x],
                             maximum_iterations=3)[1]


def sizes(strategy, plan="xla", net=None, batch_size=8):
    made = toys.engine(strategy, {"net": net or toys.net(4, 1)}, {"fit": toys.adam()}, toys.points(batch_size),
                       plan=plan)
    strategy.seen.clear()
    made.run(2)
    return strategy.seen


@pytest.mark.parametrize("plan", ["halves", "xla"])
def test_the_loss_is_given_shards_only_where_it_says_it_may(monkeypatch, plan):
    monkeypatch.setattr(block, "BLOCK_UPDATES", 1)  # compiles faster
    assert sizes(Sizes(separable=True), plan) == {(4, 4)}
    assert sizes(Sizes(), plan) == {(8, 8)}
    assert sizes(Sizes(separable=True), plan="graph") == {(8, 8)}
    assert sizes(Sizes(separable=True), plan, batch_size=5) == {(5, 5)}
    assert sizes(Sizes(scalar=True, separable=True), plan) == {(8, 8)}
    norm = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    assert sizes(Sizes(separable=True), plan, net=norm) == {(8, 8)}
    looped = sizes(Sizes(separable=True), plan, net=keras.Sequential([Loop(), keras.layers.Dense(1)]))
    assert looped == ({(8, 8)} if plan == "xla" else {(4, 4)})  # loops of XLA share memory


@pytest.mark.parametrize("plan, accumulate", [("xla", 1), ("xla", 2), ("halves", 2)])
def test_shards_give_the_update_of_the_whole(plan, accumulate):
    ends = []
    for separable in (False, True):
        keras.utils.set_random_seed(0)
        nets = {"net": toys.net(16, 1, kernel_regularizer="l2")}
        update = toys.Update(toys.adam(), accumulate=accumulate)
        made = toys.engine(toys.Fit(separable=separable), nets, {"fit": update}, toys.points(), plan=plan)
        report = made.run(20)
        ends.append((toys.bits(made, nets), report.totals["fit"]))
    np.testing.assert_allclose(ends[1][0], ends[0][0], rtol=1e-4, atol=1e-6)
    for term, (total, count) in ends[0][1].items():
        assert ends[1][1][term] == (pytest.approx(total, rel=1e-5), count)


def test_dropout_differs_between_the_shards():
    class Ones(LossStrategy):
        def phases(self):
            return [Phase("fit", self.loss, updates=["net"], separable=True)]

        def loss(self, nets, batch, noise):
            dropped = nets["net"](tf.ones([noise.examples, 64]), training=True)
            noise.normal("z")
            return {"sum": dropped[:, 0]}

    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(1, kernel_initializer="normal")])
    made = toys.engine(Ones(), {"net": net}, {"fit": toys.adam()}, toys.points(2), plan="halves")
    step, update = made.steps["fit"], tf.constant(0, tf.int64)
    inputs = step.inputs.of(update, [update], Context()).micro(0)
    given, parts = Given(update, 1.0, step.compute.weights(), [], {}), Shards(step.compute)
    shards = [step.compute.of_part(2).gradients(given, parts.part(inputs, number)).vector[1] for number in range(2)]
    assert abs(float(shards[0] - shards[1])) > 1e-6


def test_shards_are_a_graph_where_no_phase_may_be_parted():
    ends = []
    for plan in ("graph", "halves"):
        made, nets = toys.gan(plan=plan)
        assert not made.separable
        made.run(3)
        ends.append(toys.bits(made, nets))
    np.testing.assert_array_equal(*ends)


def test_however_halves_are_parted_into_calls_the_bits_are_the_same():
    ends = []
    for calls in ((6,), (1, 3, 2)):
        keras.utils.set_random_seed(0)
        nets = {"net": keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.5),
                                         keras.layers.Dense(1)])}
        made = toys.engine(toys.Fit(separable=True), nets, {"fit": toys.adam()}, toys.points(), plan="halves")
        assert made.separable == {"fit"}
        for cycles in calls:
            made.run(cycles)
        ends.append(toys.bits(made, nets))
    np.testing.assert_array_equal(*ends)
