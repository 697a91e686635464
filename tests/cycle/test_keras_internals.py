"""The private APIs that the inner loop uses, as TensorFlow 2.21 and Keras 3.15 have them."""

import keras
import tensorflow as tf

from engine.cycle import keras_internals as internals


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
