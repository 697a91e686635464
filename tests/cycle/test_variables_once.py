"""A variable is one variable, in however many nets it is; one that no gradient reaches is left alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Trainer, Update
from engine.errors import Invalid
from tests import toys


class Both(LossStrategy):
    """Least squares of the sum of two nets that share their first layer; ``moves`` says how the phase names them."""

    def __init__(self, moves):
        self.moves = moves

    def phases(self):
        return [Phase("fit", self.loss, updates=self.moves)]

    def loss(self, nets, batch, noise):
        found = sum(net(batch["x"], training=True) for net in nets.values())[:, 0]
        return {"error": tf.square(found - tf.reduce_sum(batch["x"], axis=1))}


def shared():
    """Two nets with one layer in common, which has a penalty on its weights."""
    keras.utils.set_random_seed(0)
    first = keras.layers.Dense(3, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.1))
    return {name: keras.Sequential([first, keras.layers.Dense(1)]) for name in ("left", "right")}


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_a_layer_of_two_nets_is_moved_and_penalised_once(plan):
    nets = shared()
    first, (left, right) = nets["left"].layers[0], (net.layers[1] for net in nets.values())
    made = toys.engine(Both(["left", "right"]), nets, {"fit": Update(keras.optimizers.SGD(0.05, momentum=0.5))},
                       toys.points(), plan=plan)
    assert len(made.parts["fit"].commit.variables) == 2 * 6 + 2  # weights and momentums, the count and the rate
    weights = [tf.Variable(v.numpy()) for layer in (first, left, right) for v in layer.trainable_variables]
    steps = [tf.zeros_like(weight) for weight in weights]
    for number in range(10):
        x = made.source.batch(tf.constant(number, tf.int64), ())["x"]
        with tf.GradientTape() as tape:
            kernel, bias, *outputs = weights
            hidden = tf.tanh(x @ kernel + bias)
            found = sum(hidden @ outputs[i] + outputs[i + 1] for i in (0, 2))[:, 0]
            penalty = 0.1 * tf.reduce_sum(kernel**2)
            objective = tf.reduce_mean(tf.square(found - tf.reduce_sum(x, axis=1))) + penalty
        for i, gradient in enumerate(tape.gradient(objective, weights)):
            steps[i] = 0.5 * steps[i] - 0.05 * gradient
            weights[i].assign_add(steps[i])
        report = made.run(1)
        assert float(report.totals["fit"]["regularization"][0]) == pytest.approx(float(penalty), rel=1e-4)
    found = [v.numpy() for layer in (first, left, right) for v in layer.trainable_variables]
    for ours, expected in zip(found, weights, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_nobody_is_warned_of_a_shared_layer():
    said = []
    Trainer(Both(["left", "right"]), shared(), keras.optimizers.Adam(1e-3), toys.points(), say=said.append)
    assert said == []


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_a_variable_that_no_gradient_reaches_does_not_move_even_by_momentum(plan):
    class Half(toys.Fit):
        def loss(self, nets, batch, noise):
            first, second = nets["net"].layers
            return {"error": tf.square(second(tf.stop_gradient(first(batch["x"])))[:, 0])}

    nets = {"net": toys.net(4, 1)}
    optimizer = keras.optimizers.Adam(1e-2)
    made = toys.engine(Half(), nets, {"fit": Update(optimizer, average=0.9)}, toys.points(), plan=plan)
    first, second = nets["net"].layers
    before = [v.numpy() for v in first.trainable_variables]
    moved = second.kernel.numpy()
    made.run(3)
    for v, value in zip(first.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(v, value)
    assert not np.array_equal(second.kernel, moved)
    assert len(optimizer.variables) == 2 + 2 * 2  # moments of the second layer alone


@pytest.mark.parametrize("make", [keras.optimizers.Adam, keras.optimizers.SGD, keras.optimizers.RMSprop])
def test_an_optimizer_that_was_used_elsewhere_is_refused(make):
    optimizer = make(1e-2)
    first = Trainer(toys.Fit(), {"net": toys.net(1)}, optimizer, toys.points(), plan="graph")
    with pytest.raises(Invalid, match=r"^`optimizer` \(\w+\) must be new: it was made ready for the variables of an"):
        Trainer(toys.Fit(), {"net": toys.net(1)}, optimizer, toys.points(), plan="graph")
    first.train(cycles=2)
    with pytest.raises(Invalid, match=r"^`optimizer` \(.*, 2 updates\) must be new: it goes on from its own moments"):
        Trainer(toys.Fit(), first.nets, optimizer, toys.points(), plan="graph")


def test_a_loss_scale_stays_below_what_float32_holds_with_room():
    made = toys.engine(toys.Fit(), {"net": toys.net(1)}, {"fit": toys.adam()}, toys.points(), loss_scaling=True)
    scale = made.parts["fit"].commit.loss_scale
    scale.scale.assign(2.0**24)
    scale.good.assign(1999)
    made.run(1)
    assert float(scale.scale) == 2.0**24
    assert int(scale.good) == 0


def test_a_phase_may_be_called_data():
    seen = []
    for name in ("data", "fit"):
        class Draws(toys.Fit):
            def phases(self, name=name):
                return [Phase(name, self.loss, updates=["net"])]

            def loss(self, nets, batch, noise):
                same = noise.uniform("shift", [1])[:, 0] - batch["drawn"]
                return {"apart": tf.abs(same) + 0.0 * nets["net"](batch["x"])[:, 0]}

        source = toys.points(transform=lambda batch, noise: {**batch, "drawn": noise.uniform("shift", [1])[:, 0]})
        made = toys.engine(Draws(), {"net": toys.net(1)}, {name: toys.adam()}, source)
        total, count = made.run(3).totals[name]["apart"]
        seen.append(float(total) / count)
    assert all(0.1 < apart < 0.6 for apart in seen)  # two draws of their own are 1/3 apart


def test_every_tensor_of_a_batch_has_an_entry_for_each_example():
    source = toys.points(transform=lambda batch, noise: {**batch, "x": tf.concat([batch["x"], -batch["x"]], axis=0)})
    with pytest.raises(Invalid, match=r"^`batch\['x'\]` \(shape \[16, 6\]\) must be \[8, \.\.\.\], an entry for each"):
        Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), source)


def test_a_run_with_other_repeats_is_another_run(tmp_path):
    class Repeated(toys.Fit):
        pass

    def trainer(repeats):
        return Trainer(Repeated(repeats=repeats), {"net": toys.net(1)}, toys.adam(), toys.points(), plan="graph",
                       run_dir=tmp_path / "run", record=False)

    trainer(1).train(cycles=2)
    with pytest.raises(Invalid, match="repeats"):
        trainer(2)
