"""A net with a ``while`` and an ``if`` on tensors: what it computes, and that every plan carries it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nets
from engine.cycle.plan import PLANS
from tests import toys


def built(features=6, **options):
    keras.utils.set_random_seed(0)
    net = nets.create("branching", units=16, **options)
    net(tf.zeros([1, features]))
    return net


def by_hand(net, example):
    """The logits of one example [n], by plain Python on NumPy numbers, and the path that it took."""

    def relu(layer, x):
        return np.maximum(x @ layer.kernel.numpy() + layer.bias.numpy(), 0)

    x = relu(net.shared, relu(net.dense, example))
    x = relu(net.shared, relu(net.constant, x))
    halvings = 0
    while np.linalg.norm(x) > 1:
        x, halvings = x / 2, halvings + 1
    tenfold = np.linalg.norm(x) < 0.8
    return (10 * x if tenfold else x) @ net.logits.kernel.numpy() + net.logits.bias.numpy(), (halvings, tenfold)


def test_every_example_takes_its_own_path():
    net = built()
    x = np.float32(np.random.default_rng(0).normal(size=(32, 6)) * np.logspace(-2, 3, 32)[:, None])
    expected, paths = zip(*(by_hand(net, example) for example in x), strict=True)
    assert len(set(paths)) > 6
    assert {tenfold for _, tenfold in paths} == {True, False}
    for function in (net, tf.function(net), tf.function(net, jit_compile=True)):
        np.testing.assert_allclose(function(tf.constant(x)), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(function(tf.constant(x[5:6])), expected[5:6], rtol=1e-4, atol=1e-5)


def test_the_constant_weights_are_those_of_the_seed_and_are_not_trained():
    first = built()
    keras.utils.set_random_seed(99)
    second, other = nets.create("branching", units=16), nets.create("branching", units=16, seed=1)
    second(tf.zeros([1, 6])), other(tf.zeros([1, 6]))
    np.testing.assert_array_equal(first.constant.kernel, second.constant.kernel)
    assert not np.allclose(first.constant.kernel, other.constant.kernel)
    assert not np.allclose(first.dense.kernel, second.dense.kernel)
    assert [v.path for v in first.non_trainable_variables] == [v.path for v in first.constant.variables]
    assert len(first.trainable_variables) == 6  # dense, shared and logits: the shared layer once


@pytest.mark.parametrize("plan", PLANS)
def test_a_loop_that_would_not_end_is_cut_off(plan):
    net, x = built(), tf.fill([2, 6], np.float32("inf"))
    net.dense.kernel.assign(tf.ones_like(net.dense.kernel))
    net.shared.kernel.assign(tf.ones_like(net.shared.kernel))
    net.constant.kernel.assign(tf.ones_like(net.constant.kernel))
    run = net if plan == "eager" else tf.function(net, jit_compile=plan == "xla")
    assert not np.any(np.isfinite(run(x)))


def engine(plan):
    net = built(classes=1)
    return net, toys.engine(toys.Fit(), {"net": net}, {"fit": toys.adam()}, toys.points(), plan=plan)


def test_it_trains():
    net, made = engine("graph")
    constant = net.constant.kernel.numpy()
    epochs = [made.run(25).totals["fit"]["squared_error"] for _ in range(16)]
    losses = [total / count for total, count in epochs]
    assert losses[-1] < 0.5 * losses[0]
    np.testing.assert_array_equal(net.constant.kernel, constant)


def test_plans_agree():
    ends = []
    for plan in PLANS:
        net, made = engine(plan)
        made.run(3)
        ends.append(toys.bits(made, {"net": net}))
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], rtol=1e-3, atol=1e-5)
