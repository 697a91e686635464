"""What AutoGraph reads: a user's own code, and not the house's."""

import keras
import tensorflow as tf

import nets
from engine.cycle.converted import converted
from engine.data.augment import Chain, scale
from losses.strategies import Supervised


def halved(x):
    """A user's function: Python's ``if`` on a tensor."""
    if tf.reduce_sum(x) > 1.0:
        x = x / 2.0
    return x


class Mine(Supervised):
    """A user's strategy that is one of the house's, but for a method."""


class OwnNet(keras.Model):
    def call(self, x):
        return x


def test_functions_and_methods_of_the_house_are_left_as_they_are():
    supervised, net = Supervised(), nets.create("mlp")
    assert converted(scale) is scale
    assert converted(supervised.loss, [net]) == supervised.loss


def test_what_may_hold_a_users_code_is_read():
    chain = Chain(scale, halved)
    for function, calls in ((halved, ()), (chain, ()), (Mine().loss, ()), (Supervised().loss, [OwnNet()])):
        assert converted(function, calls) is not function


def test_an_if_on_a_tensor_becomes_graph_and_stays_python_in_eager():
    read = converted(halved)
    graph = tf.function(read, autograph=False)
    for x, expected in ((4.0, 2.0), (1.0, 1.0)):
        assert float(graph(tf.constant(x))) == float(read(tf.constant(x))) == expected
