"""The private APIs that the inner loop uses, as TensorFlow 2.21 and Keras 3.15 have them."""

import sys

import keras
import numpy as np
import tensorflow as tf

from engine.cycle import keras_internals as internals
from engine.cycle.keras_layers import can_be_whole, draws_by, statistics_by
from nets._norm import BatchNorm


def test_each_is_there_and_means_what_it_did():
    net = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
    net.build([None, 3])
    dense, norm = net.layers
    optimizer = keras.optimizers.Adam(0.1)
    assert internals.variables_built_for(optimizer) == []
    optimizer.build(net.trainable_variables)
    assert [id(v) for v in internals.variables_built_for(optimizer)] == [id(v) for v in net.trainable_variables]
    (first, second), = internals.slots_of_adam(optimizer, [dense.bias])
    assert "bias_momentum" in first.name and "bias_velocity" in second.name
    assert internals.slots_of_adam(keras.optimizers.SGD(0.1), []) is None
    assert internals.rate_of(optimizer) is optimizer.learning_rate
    assert internals.stored_dtype(dense.kernel) == "float32"
    assert internals.handles(dense.kernel)[0] is dense.kernel.value.handle
    assert {id(layer) for layer in internals.layers_of(net)} >= {id(net), id(dense), id(norm)}
    assert {id(v) for v in internals.weights_of_layer(norm)} == {id(v) for v in norm.variables}
    assert internals.current_scope() is None
    with keras.StatelessScope() as scope:
        assert internals.current_scope() is scope


def test_a_graph_is_walked_into_its_branches_and_what_it_captures_is_found():
    variable, graph = tf.Variable(1.0), internals.graph("walked")
    with graph.as_default():
        tf.cond(tf.raw_ops.Placeholder(dtype=tf.bool, shape=[]), lambda: variable.assign_add(1.0),
                lambda: variable.read_value())
    operation, = [each for each in internals.every_operation(graph) if each.type == "AssignAddVariableOp"]
    assert internals.outermost(operation.inputs[0]) is variable.handle


def test_each_executed_operation_is_told_with_the_layer_and_the_gradient_it_is_in():
    net, told = keras.Sequential([keras.layers.Dense(2)]), []
    net.build([None, 3])

    def frames():
        frame = sys._getframe(1)
        while frame:
            yield frame
            frame = frame.f_back

    def tell(kind, inputs, attributes, outputs):
        layer = next(filter(None, map(internals.layer_in, frames())), None)
        gradient = next(filter(None, map(internals.differentiated, frames())), None)
        told.append((kind, layer, gradient, [internals.number_of(each) for each in [*inputs, *outputs]]))

    @tf.custom_gradient
    def own(x):
        return tf.exp(x), lambda upstream: upstream - 1.0

    x = tf.ones([4, 3])
    with internals.told_each_operation(tell), tf.GradientTape() as tape:
        tape.watch(x)
        y = own(tf.sqrt(net(x)))
        tape.gradient(y, x)
    x + 1.0
    kinds = [kind for kind, *_ in told]
    product, root, exp = (told[kinds.index(kind)] for kind in ("MatMul", "Sqrt", "Exp"))
    assert product[1] is net.layers[0] and product[3][0] == internals.number_of(x) and root[1] is root[2] is None
    (name, made, _), = [each[2] for each in told if each[0] == "SqrtGrad"]
    assert name == "Sqrt" and made == root[3][-1:]
    name, _, took = next(each[2] for each in told if each[2] and each[2][0] == "MatMul")
    assert took[0] == internals.number_of(x)
    (name, made, took), = [each[2] for each in told if each[0] == "Sub"]
    assert name == "own" and made == exp[3][-1:] and took == [] and kinds[-1] != "AddV2"


def test_layers_take_the_statistics_and_the_draws_that_they_are_handed():
    norm, drop = keras.layers.BatchNormalization(momentum=0.0), keras.layers.Dropout(0.5, seed=3)
    x = tf.reshape(tf.range(24.0), [4, 2, 3])
    norm(x, training=True)
    given = []
    with statistics_by(lambda own, values: given.append((own, values)) or (own[0] + 1.0, own[1], values)):
        norm(x, training=True)
    (mean, variance), values = given[0]
    assert (mean.shape, variance.shape, int(values)) == ([3], [3], 8)
    np.testing.assert_allclose(norm.moving_mean, tf.reduce_mean(x, [0, 1]) + 1.0)
    seen = []

    def drawn(shape, draw, seed):
        seen.append((shape, None if seed is None else seed.shape))
        return draw([8, *shape[1:]])[4:]

    pair = drop.seed_generator.state.numpy()
    with draws_by(drawn):
        half = drop(tf.ones([4, 3]), training=True)
        numbers = keras.random.normal([4, 2], seed=7)
    drop.seed_generator.state.assign(pair)
    np.testing.assert_array_equal(half, drop(tf.ones([8, 3]), training=True)[4:])
    np.testing.assert_array_equal(numbers, keras.random.normal([8, 2], seed=7)[4:])
    assert seen == [((4, 3), [2]), ((4, 2), None)]
    assert keras.random.normal([4, 2], seed=7).shape == (4, 2)


def test_the_nets_own_batch_normalisation_goes_on_from_what_it_is_handed():
    norm, x = BatchNorm(momentum=0.5), tf.random.stateless_normal([6, 2, 3], [1, 2])
    norm.build([None, 2, 3])
    start = norm.get_weights()
    whole = norm(x, training=True).numpy(), norm.get_weights()
    norm.set_weights(start)
    with statistics_by(lambda own, values: (*own, tf.cast(values, tf.float32))):
        handed = norm(x, training=True).numpy(), norm.get_weights()
        np.testing.assert_array_equal(norm(x, training=False), norm(x))
    np.testing.assert_allclose(handed[0], whole[0], rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(handed[1], whole[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    norm.set_weights(start)
    np.testing.assert_array_equal(norm(x, training=True), whole[0])  # outside as before

    class Other(keras.layers.BatchNormalization):
        def call(self, inputs, training=None):
            return inputs

    assert [can_be_whole(each) for each in (norm, keras.layers.BatchNormalization(), Other(), keras.layers.Dense(1))
            ] == [True, True, False, False]
