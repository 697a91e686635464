"""The kit for whole strategies: each assertion passes where it should, and fails where it should."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, LossStrategy, Phase, Trainer, average_of
from engine.testing import assert_per_example, assert_resumes, assert_same_under_plans, try_phase
from tests import toys


class Following(LossStrategy):
    """Two sources, a teacher, a state that counts."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], reads=["a", "b"], after=self.after)]

    def state(self):
        return {"level": 1.0}

    def loss(self, nets, batch, noise, state):
        return {"a": tf.square(nets["net"](batch["a"]["x"])[:, 0] - state["level"]),
                "b": tf.square(nets["net"](batch["b"]["x"])[:, 0] - nets["slow"](batch["b"]["x"])[:, 0] - 1.0)}

    def after(self, nets, state, seen):
        return {"level": 0.5 * state["level"] + seen["a"]}


def make(forget=False, **options):
    keras.utils.set_random_seed(0)
    made = Trainer(Following(), {"net": toys.net(1), "slow": average_of("net", 0.5)}, toys.adam(),
                   {"a": toys.points(4), "b": toys.points(10)}, say=lambda line: None, **options)
    if forget and made.continued:
        made.engine.state["level"].assign(0.0)
    return made


def test_a_strategy_resumes():
    assert_resumes(make)
    with pytest.raises(Invalid, match=r"`stop` \(6\) must be between 0 and 6"):
        assert_resumes(make, cycles=6, stop=6)


def test_one_that_forgets_its_state_does_not():
    with pytest.raises(AssertionError, match=r"of the continued run is another: at most"):
        assert_resumes(lambda **options: make(forget=True, **options))


def test_plans_agree():
    assert_same_under_plans(make)


def test_plans_that_do_not_agree_are_told_apart():
    class Drawing(toys.Fit):
        def loss(self, nets, batch, noise):
            return {"error": nets["net"](batch["x"], training=True)[:, 0]}

    def dropping(**options):
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(1)])
        return Trainer(Drawing(), {"net": net}, toys.adam(), toys.points(), say=lambda line: None, **options)

    with pytest.raises(AssertionError, match="under xla, against eager is another"):
        assert_same_under_plans(dropping)


def test_examples_apart():
    batch = {"x": toys.POINTS[:8], "index": np.arange(8, dtype="int32")}
    assert_per_example(toys.Fit(), "fit", {"net": toys.net(1)}, batch)

    class Contrast(toys.Fit):
        def loss(self, nets, batch, noise):
            y = nets["net"](batch["x"])
            return {"info": tf.reduce_logsumexp(y @ tf.transpose(y), axis=1)}

    with pytest.raises(AssertionError, match=r"fit/\w+ is .* of the batch twice: examples depend on each other"):
        assert_per_example(Contrast(), "fit", {"net": toys.net(2)}, batch)


def test_a_phase_of_several_sources_is_tried_with_its_state():
    net = toys.net(1)
    batch = {"a": {"x": toys.POINTS[:4]}, "b": {"x": toys.POINTS[4:10]}}
    tried = try_phase(Following(), "fit", {"net": net, "slow": average_of("net", 0.5)}, batch, state={"level": 3.0})
    y = np.asarray(net(toys.POINTS[:4]))[:, 0]
    assert tried.means["a"] == pytest.approx(float(np.mean((y - 3.0) ** 2)), rel=1e-5)
    assert tried.means["b"] == pytest.approx(1.0, rel=1e-5)  # the teacher is where the net is
