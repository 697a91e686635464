"""Everything that an update would assign is checked, not only terms and gradients; and taken back if not finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import BadUpdate, Invalid, LossStrategy, Phase, Trainer, Update
from tests import toys

PLANS = ["eager", "graph", "halves", "xla"]


def weights(nets):
    return [v.numpy().copy() for v in nets["net"].variables]


@pytest.mark.parametrize("plan", PLANS)
def test_statistics_that_overflow_are_named_and_not_kept(plan):
    """1e37 squared is infinite: the moving variance would be for good."""
    keras.utils.set_random_seed(0)
    nets = {"net": keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(1)])}
    source = toys.points(transform=lambda batch, noise: {
        "x": tf.where(batch["index"][:, None] == 77, 1e37, batch["x"]), "index": batch["index"]})
    made = toys.engine(Bounded(), nets, {"fit": toys.adam()}, source, plan=plan)
    hit = next(k for k in range(25) if 77 in source.batch(tf.constant(k, tf.int64), ())["index"].numpy())
    made.run(hit)
    before = weights(nets)
    report = made.run(1)
    assert report.stopped and report.fault.terms.keys() == {"statistics"} and made.place.slot == hit
    for now, then in zip(weights(nets), before, strict=True):
        np.testing.assert_array_equal(now, then)


class Bounded(toys.Fit):
    """A loss that stays finite whatever comes in."""

    def loss(self, nets, batch, noise):
        return {"error": tf.sin(nets["net"](tf.clip_by_value(batch["x"], -1e37, 1e37), training=True)[:, 0])}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("make", [keras.optimizers.SGD, keras.optimizers.Adam])
def test_a_weight_that_would_overflow_is_named_by_its_own_update(plan, make):
    keras.utils.set_random_seed(0)
    nets = {"net": toys.net(4, 1)}
    optimizer = make(0.1)
    made = toys.engine(toys.Fit(separable=True), nets, {"fit": Update(optimizer, average=0.9)}, toys.points(),
                       plan=plan)
    made.run(5)
    optimizer.learning_rate.assign(1e38 if make is keras.optimizers.SGD else 3e38)
    before, bits = weights(nets), toys.bits(made, nets)
    report = made.run(3)
    assert report.stopped and made.place.slot == 5 and report.fault.update == 5
    assert report.fault.terms.keys() == {"weights"}
    for now, then in zip(weights(nets), before, strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(toys.bits(made, nets), bits)  # moments, averages and counts, too
    optimizer.learning_rate.assign(0.1)
    assert not made.run(3).fault


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_a_large_step_that_stays_finite_is_applied(plan):
    nets = {"net": toys.net(1)}
    optimizer = keras.optimizers.SGD(1e8)  # more than is calm: looked at, and kept
    made = toys.engine(Bounded(), nets, {"fit": optimizer}, toys.points(), plan=plan)
    assert not made.run(2).fault and np.abs(nets["net"].get_weights()[0]).max() > 1e5
    assert int(optimizer.iterations.numpy()) == 2


class Dividing(keras.optimizers.SGD):
    """Its third update is 0 / 0."""

    def update_step(self, gradient, variable, learning_rate):
        third = tf.cast(self.iterations.value == 2, gradient.dtype)
        super().update_step(gradient / (1.0 - third) * (1.0 - third), variable, learning_rate)


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_an_optimizer_of_a_users_own_is_looked_at_every_time(plan):
    nets = {"net": toys.net(1)}
    made = toys.engine(toys.Fit(), nets, {"fit": Dividing(0.01)}, toys.points(), plan=plan)
    report = made.run(4)
    assert report.stopped and made.place.slot == 2 and report.fault.terms.keys() == {"weights"}
    assert np.isfinite(weights(nets)[0]).all()


class Remembering(LossStrategy):
    """Its state is a NaN after the fourth update."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], after=self.after)]

    def state(self):
        return {"count": 0, "level": 1.0}

    def loss(self, nets, batch, noise, state):
        return {"error": tf.square(nets["net"](batch["x"])[:, 0] - state["level"])}

    def after(self, nets, state, seen):
        level = tf.where(state["count"] == 3, np.nan, tf.cast(seen["error"], tf.float32))
        return {"count": state["count"] + 1, "level": level}


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_a_state_that_is_not_finite_is_named_and_nothing_of_its_update_applied(plan):
    keras.utils.set_random_seed(0)
    nets = {"net": toys.net(1)}
    made = toys.engine(Remembering(), nets, {"fit": toys.adam()}, toys.points(), plan=plan)
    made.run(3)
    before, level = weights(nets), float(made.state["level"])
    report = made.run(2)
    assert report.stopped and report.fault.terms.keys() == {"state"} and made.place.slot == 3
    np.testing.assert_array_equal(weights(nets)[0], before[0])
    assert (int(made.state["count"]), float(made.state["level"])) == (3, level)


def test_what_a_checkpoint_holds_is_the_last_good_state(tmp_path):
    nets, optimizer = {"net": toys.net(1)}, keras.optimizers.SGD(0.01)
    trainer = Trainer(toys.Fit(), nets, optimizer, toys.points(), run_dir=tmp_path, record=False, plan="graph")
    trainer.train(cycles=3)
    good = nets["net"].get_weights()
    optimizer.learning_rate.assign(1e38)
    with pytest.raises(BadUpdate, match=r"cycle 3, phase fit, update 3: fit/weights is nan"):
        trainer.train(cycles=5)
    with np.load(tmp_path / "checkpoints" / "3" / "state.npz") as state:
        np.testing.assert_array_equal(state["nets/net/000.kernel"], good[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e31])
def test_weights_that_are_not_finite_at_the_start_are_refused(value):
    net = toys.net(1)
    trainer = Trainer(toys.Fit(), {"net": net}, toys.adam(), toys.points(), plan="graph")
    net.set_weights([np.full([6, 1], value), np.zeros([1])])
    with pytest.raises(Invalid, match=r"kernel of net net` \(.*\) must be finite, and below 1e\+30"):
        trainer.train(cycles=1)


def test_after_may_read_what_the_update_moved():
    """Then each update is applied, looked at and kept."""
    class Following(Remembering):
        def after(self, nets, state, seen):
            return {"level": tf.reduce_sum(tf.convert_to_tensor(nets["net"].layers[0].kernel))}

        def loss(self, nets, batch, noise, state):
            return {"error": tf.square(nets["net"](batch["x"])[:, 0] - 1.0)}

    for plan in ("eager", "graph", "xla"):
        net = toys.net(1)
        made = toys.engine(Following(), {"net": net}, {"fit": keras.optimizers.SGD(0.1)}, toys.points(), plan=plan)
        assert made.parts["fit"].commit.guards_always
        made.run(3)
        assert float(made.state["level"]) == pytest.approx(float(np.sum(net.get_weights()[0])), rel=1e-5)
