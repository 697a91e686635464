"""What a net cannot take is said in one line, with net, layer and shape."""

import keras
import numpy as np
import pytest

import nets
from engine import ArraySource, Invalid, Trainer
from losses.strategies import Supervised
from tests import toys


class Deep(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = keras.layers.Conv2D(2, 5), keras.layers.Conv2D(2, 5, name="second")
        self.flat, self.last = keras.layers.Flatten(), keras.layers.Dense(3)

    def call(self, images, training=False):
        return self.last(self.flat(self.second(self.first(images))))


def trained(net, shape):
    data = ArraySource({"image": np.zeros((8, *shape), np.float32), "label": np.zeros(8, np.int32)}, 4)
    return Trainer(Supervised(), {"classifier": net}, toys.adam(), data, plan="graph")


@pytest.mark.parametrize("net, shape, layer, told", [
    (Deep, (8, 8, 1), r"second given \[4, 4, 4, 2\]", "Computed output size would be zero or negative"),
    (Deep, (8,), r"conv2d\w* given \[4, 8\]", "expected min_ndim=4, found ndim=2"),
    (lambda: keras.Sequential([keras.layers.Conv2D(2, 9), keras.layers.Flatten(), keras.layers.Dense(3)]), (8, 8, 1),
     r"conv2d\w* given \[4, 8, 8, 1\]", "Computed output size would be zero or negative"),
    (lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]), (8,), r".* given \[4, 8\]", "shape"),
    (lambda: nets.create("alexnet", stem="imagenet"), (16, 16, 1), r"\w+ given \[4, 16, 16, 1\]",
     "must be of at least 57x57 pixels")])
def test_one_line_names_net_layer_and_shape(net, shape, layer, told):
    expected = rf"^`net classifier` \(layer {layer}.*, in phase classifier\) must be one for such inputs: .*{told}"
    with pytest.raises(Invalid, match=expected) as found:
        trained(net(), shape)
    assert "\n" not in str(found.value) and "\x1b" not in str(found.value)


def test_an_error_of_the_loss_itself_is_left_alone():
    class Wrong(Supervised):
        def classify(self, *batch):
            raise ValueError("mine")

    strategy = Wrong()
    method = strategy.phases()[0].loss.__name__
    setattr(Wrong, method, Wrong.classify)
    with pytest.raises(ValueError, match="mine") as found:
        data = ArraySource({"image": np.zeros((8, 4), np.float32), "label": np.zeros(8, np.int32)}, 4)
        Trainer(strategy, {"classifier": toys.net(3)}, toys.adam(), data, plan="graph")
    assert not isinstance(found.value, Invalid)
