"""What is minimised does not hang on how a batch is taken apart: shards, micro-batches, workers; or it is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, Phase, Ratio, Update
from tests import pairs, toys


class Summing(keras.layers.Layer):
    """Adds a loss of its outputs: their sum over the batch, or one number per example."""

    def __init__(self, each):
        super().__init__()
        self.each = each

    def call(self, x):
        self.add_loss(0.01 * (tf.reduce_sum(tf.square(x), axis=1) if self.each else tf.reduce_sum(tf.square(x))))
        return x


def regularization(plan, each, accumulate=1):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.layers.Dense(4), Summing(each), keras.layers.Dense(1)])
    made = toys.engine(toys.Fit(separable=True), {"net": net}, {"fit": Update(toys.adam(), accumulate=accumulate)},
                       toys.points(8 // accumulate), plan=plan)
    return float(made.run(1).totals["fit"]["regularization"][0])


@pytest.mark.parametrize("each", [False, True])
def test_a_loss_that_a_layer_adds_is_the_same_under_every_plan(each):
    expected = regularization("eager", each)
    assert expected > 0
    for plan in ("graph", "halves", "xla"):
        assert regularization(plan, each) == pytest.approx(expected, rel=1e-5)


def test_in_micro_batches_it_must_be_one_number_per_example():
    assert regularization("graph", True, accumulate=2) == pytest.approx(regularization("graph", True), rel=1e-5)
    with pytest.raises(Invalid, match=r"`batch of phase fit` \(in 2 parts\) must be whole: a loss that a layer"):
        regularization("graph", False, accumulate=2)


class Scalar(toys.Fit):
    """A sum over the batch as one number; and a penalty of weights, which is one anyway."""

    def __init__(self, of_batch):
        super().__init__(separable=True)
        self.of_batch = of_batch

    def loss(self, nets, batch, noise):
        y = nets["net"](batch["x"])[:, 0]
        kernel = tf.convert_to_tensor(nets["net"].layers[0].kernel)
        return {"each": tf.square(y - 1.0), "one": tf.reduce_sum(tf.square(y if self.of_batch else kernel))}


def test_one_number_of_the_batch_is_refused_in_micro_batches_and_one_of_weights_is_not():
    """A sum over half of the batch is half the sum, and the engine cannot know it from a mean."""
    def made(of_batch, accumulate):
        keras.utils.set_random_seed(0)
        return toys.engine(Scalar(of_batch), {"net": toys.net(1)}, {"fit": Update(toys.adam(), accumulate=accumulate)},
                           toys.points(8 // accumulate))

    assert made(True, 1).run(1)
    with pytest.raises(Invalid, match=r"\(in 2 parts\) must be whole: term one is one number of the whole batch; give"):
        made(True, 2)
    whole, parts = (made(False, accumulate).run(1).totals["fit"]["one"] for accumulate in (1, 2))
    assert parts == (pytest.approx(float(whole[0]), rel=1e-6), 1)


def contrasting(phase):
    """A loss across the batch."""
    class Contrast(toys.Fit):
        def phases(self):
            return [phase(self)]

        def loss(self, nets, batch, noise):
            y = nets["net"](batch["x"])
            return {"info": tf.reduce_logsumexp(y @ tf.transpose(y), axis=1)}

    return Contrast()


def test_a_phase_that_is_not_separable_is_never_taken_apart():
    strategy = contrasting(lambda self: Phase("fit", self.loss, updates=["net"]))
    message = r"`batch of phase fit` \(in 2 parts\) must be whole, unless .* say Phase\(separable=True\)"
    made = toys.named_nets({"net": toys.net(2)})
    with pytest.raises(Invalid, match=message):
        toys.StepEngine(strategy.phases(), made, {"fit": Update(toys.adam(), accumulate=2)}, toys.points())
    with pytest.raises(Invalid, match=message):
        toys.StepEngine(strategy.phases(), toys.named_nets({"net": toys.net(2)}), {"fit": Update(toys.adam())},
                        toys.points(), reproducible=2)


class Selecting(toys.Fit):
    """A mean over selected examples, whose number is another in each part of the batch."""

    def __init__(self, moving=False, **options):
        super().__init__(separable=True, **options)
        self.moving = moving

    def loss(self, nets, batch, noise):
        y = nets["net"](batch["x"])[:, 0]
        weight = tf.cast(batch["x"][:, 0] > 0.3, tf.float32) * tf.abs(batch["x"][:, 1])
        weight = weight * (1.0 + tf.square(y)) if self.moving else weight
        return {"selected": Ratio(weight * tf.square(y - 1.0), weight), "all": 0.1 * tf.square(y)}


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("plan", ["eager", "graph", "halves", "xla"])
@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_a_ratio_is_of_the_whole_batch(plan, accumulate, moving):
    """Against the quotient in NumPy and its gradient by a tape; also where a gradient comes by the weights."""
    keras.utils.set_random_seed(0)
    net = toys.net(1)
    made = toys.engine(Selecting(moving), {"net": net}, {"fit": Update(keras.optimizers.SGD(0.1),
                                                                       accumulate=accumulate)},
                       toys.points(8 // accumulate), plan=plan)
    weights = [tf.Variable(v.numpy()) for v in net.variables]
    whole, total, over = toys.points(8), 0.0, 0.0
    for update in range(5):
        if accumulate == 1:
            x = whole.batch(tf.constant(update, tf.int64), ())["x"]
        else:
            x = tf.concat([made.source.batch(tf.constant(accumulate * update + i, tf.int64), ())["x"]
                           for i in range(accumulate)], axis=0)
        with tf.GradientTape() as tape:
            y = (x @ weights[0] + weights[1])[:, 0]
            weight = tf.cast(x[:, 0] > 0.3, tf.float32) * tf.abs(x[:, 1]) * (1.0 + tf.square(y) if moving else 1.0)
            values, sums = tf.reduce_sum(weight * tf.square(y - 1.0)), tf.reduce_sum(weight)
            loss = tf.math.divide_no_nan(values, sums) + 0.1 * tf.reduce_mean(tf.square(y))
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            variable.assign_sub(0.1 * gradient)
        total, over = total + float(values), over + float(sums)
        report = made.run(1)
        assert float(report.totals["fit"]["objective"][0]) == pytest.approx(float(loss), rel=1e-4)
        found = [float(number) for number in report.totals["fit"]["selected"]]
        assert found == pytest.approx([float(values), float(sums)], rel=1e-4)
    for ours, theirs in zip(net.variables, weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("moving", [False, True])
def test_a_ratio_on_two_workers_is_that_of_one(moving):
    def made(workers=None):
        keras.utils.set_random_seed(0)
        nets = {"net": toys.net(1)}
        return toys.engine(Selecting(moving), nets, {"fit": keras.optimizers.SGD(0.1)}, toys.points(8),
                           workers=workers), nets

    one, nets = made()
    expected = one.run(5).totals["fit"]["selected"]
    for two, others, report in pairs.trained(made, 5):
        found = report.totals["fit"]["selected"]
        assert [float(each) for each in found] == pytest.approx([float(each) for each in expected], rel=1e-4)
        np.testing.assert_allclose(toys.bits(two, others), toys.bits(one, nets), rtol=1e-4, atol=1e-5)


def test_a_ratio_of_nothing_is_0_and_moves_nothing():
    class Nothing(toys.Fit):
        def loss(self, nets, batch, noise):
            y = nets["net"](batch["x"])[:, 0]
            return {"none": Ratio(0.0 * tf.square(y), tf.zeros_like(y))}

    for plan in ("eager", "graph", "xla"):
        net = toys.net(1)
        net.build([None, 6])
        before = net.get_weights()[0]
        report = toys.engine(Nothing(), {"net": net}, {"fit": keras.optimizers.SGD(0.1)}, toys.points(),
                             plan=plan).run(3)
        assert not report.fault and report.totals["fit"]["none"] == (0, 0)
        np.testing.assert_array_equal(net.get_weights()[0], before)


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_state_and_averages_move_once_per_update_whatever_its_parts(plan):
    class Counting(toys.Fit):
        def phases(self):
            return [Phase("fit", self.loss, updates=["net"], separable=True, passes=["index"], after=self.after)]

        def state(self):
            return {"updates": 0, "seen": np.zeros(200, "int32")}

        def loss(self, nets, batch, noise):
            return {"error": tf.square(nets["net"](batch["x"])[:, 0]), "index": batch["index"]}

        def after(self, nets, state, seen):
            one = tf.ones_like(seen["index"])
            return {"updates": state["updates"] + 1,
                    "seen": tf.tensor_scatter_nd_add(state["seen"], seen["index"][:, None], one)}

    update = Update(toys.adam(), accumulate=5, average=0.9)
    made = toys.engine(Counting(), {"net": toys.net(1)}, {"fit": update}, toys.points(4), plan=plan)
    made.run(10)
    assert int(made.state["updates"]) == int(made.parts["fit"].average.count.numpy()) == 10
    np.testing.assert_array_equal(made.state["seen"].numpy(), np.ones(200))  # an epoch: each example once
