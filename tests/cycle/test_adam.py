"""Adam in one operation: the same update as Keras's, to rounding; and used where it may be, and only there."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine.cycle import adam
from engine.run.cost import operations
from tests import toys


def updated(apply, plan, rate=0.01, **options):
    """Two variables and all slots after five updates with fixed gradients."""
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in ((3, 4), (5,))]
    optimizer = keras.optimizers.Adam(rate() if callable(rate) else rate, **options)
    optimizer.build(variables)
    compiled = tf.function(lambda *gradients: apply(optimizer, gradients, variables), jit_compile=plan == "xla")
    for _ in range(5):
        compiled(*(tf.constant(rng.normal(size=v.shape).astype("float32")) for v in variables))
    return [np.asarray(v.numpy()) for v in (*variables, *optimizer.variables)]


@pytest.mark.parametrize("plan", ["graph", "xla"])
@pytest.mark.parametrize("options", [
    {}, {"beta_1": 0.0, "beta_2": 0.9}, {"epsilon": 0.1},
    {"rate": lambda: keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)}],
    ids=["plain", "betas", "epsilon", "schedule"])
def test_the_update_is_that_of_keras(options, plan):
    ours = updated(adam.apply, plan, **options)
    theirs = updated(lambda optimizer, gradients, variables: optimizer.apply(list(gradients), variables), "graph",
                     **options)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=5e-6)


def test_the_first_update_is_the_learning_rate_against_the_sign():
    """m = (1 - b1) g and v = (1 - b2) g^2, so the corrected step is rate g / |g| when epsilon is small beside |g|."""
    variable, optimizer = keras.Variable([1.0, -2.0]), keras.optimizers.Adam(0.25)
    optimizer.build([variable])
    adam.apply(optimizer, [tf.constant([3.0, -0.5])], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.75, -1.75], rtol=1e-5)
    assert int(optimizer.iterations.numpy()) == 1


@pytest.mark.parametrize(("optimizer", "fused"), [
    (lambda: keras.optimizers.Adam(), True), (lambda: keras.optimizers.Adam(amsgrad=True), False),
    (lambda: keras.optimizers.AdamW(), False), (lambda: keras.optimizers.Nadam(), False),
    (lambda: keras.optimizers.Adam(weight_decay=0.1), False), (lambda: keras.optimizers.SGD(), False)])
def test_other_optimizers_are_left_to_keras(optimizer, fused):
    made = toys.engine(toys.Fit(), {"net": toys.net(3, 1)}, {"fit": optimizer()}, toys.points())
    made.run(1)
    assert operations(made.plan.graph)["ResourceApplyAdam"] == (2 * 4 if fused else 0)  # and of a guarded one


def test_a_constraint_is_left_to_keras():
    net = toys.net(3, 1, kernel_constraint="non_neg")
    made = toys.engine(toys.Fit(), {"net": net}, {"fit": keras.optimizers.Adam()}, toys.points())
    made.run(1)
    assert not operations(made.plan.graph)["ResourceApplyAdam"]
    assert net.layers[-1].kernel.numpy().min() >= 0.0
