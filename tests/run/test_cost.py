"""Multiply-adds: counted in the graph, compared with counts by hand and with published ones."""

import keras
import pytest
import tensorflow as tf

import nets
from engine import Invalid
from engine.run.cost import multiply_adds, operations, parameters


def built(net, *shape):
    net(tf.zeros([1, *shape]))
    return net


def test_a_dense_net_takes_a_multiply_add_per_weight():
    net = built(nets.create("mlp", hidden=[32, 16], classes=10), 28, 28, 1)
    assert multiply_adds(net, [28, 28, 1]) == 784 * 32 + 32 * 16 + 16 * 10
    assert parameters(net) == 784 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10


def test_convolutions_take_their_kernel_at_each_place_of_the_output():
    layers = keras.layers
    net = built(keras.Sequential([
        layers.Conv2D(4, 5, strides=2, padding="same"),  # 28x28x3 -> 14x14x4
        layers.Conv2D(6, 3, groups=2),  # -> 12x12x6, each of 2 channels
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),  # -> 12x12x12
        layers.MaxPooling2D(2),  # -> 6x6x12
        layers.Conv2DTranspose(5, 2, strides=2),  # -> 12x12x5, each number of the input to 2x2x5
        layers.GlobalAveragePooling2D(),
        layers.Dense(7)]), 28, 28, 3)
    by_hand = [14 * 14 * 4 * 5 * 5 * 3, 12 * 12 * 6 * 3 * 3 * 2, 12 * 12 * 12 * 3 * 3, 6 * 6 * 12 * 2 * 2 * 5, 5 * 7]
    assert multiply_adds(net, [28, 28, 3]) == sum(by_hand)


def test_a_convolution_computed_as_a_product_counts_the_same():
    ours, theirs = (built(make(8, 5), 5, 5, 2) for make in (nets._convolutions.Conv2D, keras.layers.Conv2D))
    assert multiply_adds(ours, [5, 5, 2]) == multiply_adds(theirs, [5, 5, 2]) == 8 * 5 * 5 * 2


def test_products_in_functions_loops_and_branches_are_found_once():
    net = built(nets.create("branching", units=8, classes=3), 4, 4, 1)
    assert multiply_adds(net, [4, 4, 1]) == 16 * 8 + 3 * 8 * 8 + 8 * 3  # dense, shared, constant, shared, logits

    class Called(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x, training=False):
            self.dense(x)
            return tf.function(lambda x: tf.matmul(x, tf.ones([4, 5])))(x)

    assert multiply_adds(built(Called(), 4), [4]) == 4 * 3 + 4 * 5


def test_einsum_takes_the_product_of_all_its_lengths():
    net = built(keras.Sequential([keras.layers.EinsumDense("abc,cd->abd", output_shape=(None, 6))]), 5, 4)
    assert multiply_adds(net, [5, 4]) == 5 * 4 * 6


def test_resnet18_takes_the_published_number():
    net = built(nets.create("resnet18", classes=1000, stem="imagenet"), 224, 224, 3)
    assert multiply_adds(net, [224, 224, 3]) == pytest.approx(1.8e9, rel=0.02)  # He et al. 2015, table 1


def test_a_product_of_unknown_shape_is_refused_by_name():
    class Unknown(keras.Model):
        def call(self, x, training=False):
            kept = tf.boolean_mask(x, x[:, 0] > 0)  # of unknown length
            return tf.matmul(kept, tf.ones([4, 2]), name="product")

    with pytest.raises(Invalid, match=r"product` \(shape \(None, 2\)\) must be of known shape to be counted"):
        multiply_adds(Unknown(), [4])


def test_a_function_counts_once_and_may_be_left_out_by_its_name():
    def twice(x):
        return tf.exp(tf.exp(x))

    inner = tf.function(twice)
    graph = tf.function(lambda x: inner(x) + inner(x)).get_concrete_function(tf.TensorSpec([], tf.float32)).graph
    assert (operations(graph)["Exp"], operations(graph, without=["twice"])["Exp"]) == (2, 0)
    assert operations(graph, without=["twice"])["AddV2"] == 1
