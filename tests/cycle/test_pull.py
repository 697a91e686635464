"""``Update(gradient=...)`` and the other functions of a user's own that run in the loop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, Phase, Update
from engine.run.preflight import check_traces
from tests import toys


def made(gradient, plan="graph", **options):
    keras.utils.set_random_seed(0)
    update = Update(keras.optimizers.SGD(0.1), gradient=gradient)
    return toys.engine(toys.Fit(watch=["absolute_error"]), {"net": toys.net(3, 1)}, {"fit": update}, toys.points(),
                       plan=plan, **options)


def branching(pull):
    found = pull.gradients()[0]
    if pull.terms["squared_error"] < -1.0:
        found = [0.0 * gradient for gradient in found]
    return found


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
@pytest.mark.parametrize("gradient", [
    lambda pull: pull.gradients()[0], lambda pull: pull.gradients(pull.factors)[0],
    lambda pull: pull.gradients(at=pull.weights)[0],
    branching,
])
def test_the_phases_own_gradient_by_other_ways(gradient, plan):
    ours, plain = made(gradient, plan), made(None, plan)
    ours.run(4), plain.run(4)
    np.testing.assert_allclose(toys.bits(ours, ours.nets), toys.bits(plain, plain.nets), rtol=1e-5, atol=1e-6)


class TwoHeads(toys.Fit):
    """``second`` depends on the second net alone."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net", "other"], **self.options)]

    def loss(self, nets, batch, noise):
        return {name: tf.square(nets[net](batch["x"])[:, 0] - batch["x"][:, 0])
                for name, net in (("first", "net"), ("second", "other"))}


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_it_moves_what_only_a_watched_term_reaches(plan):
    ends = []
    for options, gradient in (({}, None), ({"watch": ["second"]},
                                           lambda pull: pull.gradients({"first": 1.0, "second": 1.0})[0])):
        keras.utils.set_random_seed(0)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.5)
        engine = toys.engine(TwoHeads(**options), {"net": toys.net(3, 1), "other": toys.net(2, 1)},
                             {"fit": Update(optimizer, gradient=gradient)}, toys.points(), plan=plan)
        assert check_traces(engine) == []
        report = engine.run(4)
        ends.append(toys.bits(engine, engine.nets))
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-6)
    objective, first = (report.totals["fit"][name][0] for name in ("objective", "first"))
    assert objective == pytest.approx(first / 8, rel=1e-6)  # the logged objective stays that of the loss


def test_its_own_gradient_is_computed_once():
    calls = []

    class Counting(toys.Fit):
        def loss(self, nets, batch, noise):
            calls.append(tf.executing_eagerly())
            return super().loss(nets, batch, noise)

    def plain(pull):
        return [0.5 * (a + b) for a, b in zip(pull.gradients()[0], pull.gradients()[0], strict=True)]

    engine = toys.engine(Counting(), {"net": toys.net(1)}, {"fit": Update(toys.adam(), gradient=plain)}, toys.points(),
                         plan="eager")
    engine.run(3)
    assert sum(calls) == 3


def test_in_float16_it_is_computed_with_the_loss_scale():
    class Small(toys.Fit):
        def loss(self, nets, batch, noise):
            return {"error": 1e-7 * tf.square(tf.cast(nets["net"](batch["x"])[:, 0], tf.float32) - 1.0)}

    ends = []
    for gradient in (None, lambda pull: pull.gradients()[0]):
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.layers.Dense(1, dtype="mixed_float16")])
        update = Update(keras.optimizers.SGD(1e5), gradient=gradient)
        engine = toys.engine(Small(), {"net": net}, {"fit": update}, toys.points(), loss_scaling=True)
        engine.run(4)
        ends.append(net.get_weights()[0])
    np.testing.assert_allclose(*ends, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("gradient, message", [
    (lambda pull: pull.gradients({"squared": 1.0})[0], r"`objective` \(squared\) must be of terms: squared_error"),
    (lambda pull: pull.gradients({})[0], r"`objective` \(\{\}\) must be of at least one term"),
    (lambda pull: pull.gradients(), r"`gradient of phase fit` \(1 tensors\) must be a list of 4 tensors"),
    (lambda pull: None, r"`gradient of phase fit` \(None\) must be a list of 4 tensors"),
    (lambda pull: [None] * 4, r"`gradient of phase fit, net/.*kernel` \(None\) must be a tensor"),
    (lambda pull: [1.0] * 4, r"`gradient of phase fit, net/.*kernel` \(shape \[\]\) must be of shape \[6, 3\]"),
    (lambda pull: pull.gradients(at=pull.weights[:2])[0], r"`at` \(2 tensors\) must be 4, in the order of weights"),
    (lambda pull: [g + tf.random.normal(g.shape) for g in pull.gradients()[0]], r"the random operation RandomStand"),
])
def test_what_is_no_gradient_is_refused(gradient, message):
    with pytest.raises(Invalid, match=message):
        made(gradient).run(1)


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_a_variable_that_a_function_of_the_run_assigns_is_refused(plan):
    count = tf.Variable(0.0)

    def counting(pull):
        count.assign_add(1.0)
        return pull.gradients()[0]

    with pytest.raises(Invalid, match=r"`a function of the run` \(a tf.Variable, by AssignAddVariableOp\) must be"):
        made(counting, plan).run(1)


@pytest.mark.parametrize("options, update", [
    ({"weights": {"squared_error": lambda update: tf.random.uniform([])}}, {}),
    ({"when": lambda counts, state: tf.random.uniform([]) < 0.5}, {}),
    ({}, {"average": lambda count: tf.random.uniform([])}),
])
def test_random_numbers_in_other_functions_are_refused(options, update):
    engine = toys.engine(toys.Fit(**options), {"net": toys.net(1)}, {"fit": Update(toys.adam(), **update)},
                         toys.points())
    with pytest.raises(Invalid, match=r"`a function of the run` \(the random operation RandomUniform\) must be"):
        engine.run(1)


def test_a_part_at_least_must_move():
    with pytest.raises(Invalid, match=r"`optimizer of phase fit` \(None for all\) must be an optimizer for some part"):
        toys.engine(toys.Fit(), {"net": toys.net(1)}, {"fit": Update({"net/*": None})}, toys.points())


@pytest.mark.parametrize("patterns, message", [
    ({"net/*kernel": toys.adam()}, r"\(net/.*bias: none\) must be given by exactly one pattern"),
    ({"net/*": toys.adam(), "*bias": None}, r"bias: net/\*, \*bias\) must be given by exactly one pattern"),
    ({"net/*": toys.adam(), "head/*": None}, r"\(head/\*\) must be a pattern of a variable, as net/"),
])
def test_patterns_that_leave_out_or_overlap_are_refused(patterns, message):
    with pytest.raises(Invalid, match=message):
        toys.engine(toys.Fit(), {"net": toys.net(1)}, {"fit": Update(patterns)}, toys.points())


def test_paths_are_those_that_patterns_match():
    paths = []

    class Both(toys.Fit):
        def phases(self):
            return [Phase("fit", self.loss, updates=["a", "b"])]

        def loss(self, nets, batch, noise):
            return {"error": tf.square(nets["a"](batch["x"]) + nets["b"](batch["x"]))[:, 0]}

    def noting(pull):
        paths.extend(pull.paths)
        return pull.gradients()[0]

    nets = {name: keras.Sequential([keras.layers.Dense(1, name="head")], name="net") for name in "ab"}
    toys.engine(Both(), nets, {"fit": Update(toys.adam(), gradient=noting)}, toys.points(), plan="eager").run(1)
    assert paths == ["a/net/head/kernel", "a/net/head/bias", "b/net/head/kernel", "b/net/head/bias"]


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_what_none_fits_is_frozen_and_has_no_slots(plan):
    net, optimizer = toys.net(3, 1), keras.optimizers.SGD(0.1, momentum=0.9)
    net.build([None, 6])
    before = net.get_weights()
    toys.engine(toys.Fit(), {"net": net}, {"fit": Update({"net/*kernel": optimizer, "net/*bias": None})},
                toys.points(), plan=plan).run(4)
    for now, then, frozen in zip(net.get_weights(), before, [False, True] * 2, strict=True):
        assert np.array_equal(now, then) == frozen
    assert len(optimizer.variables) == 2 + 2  # the count, the rate, and the momentum of each kernel
