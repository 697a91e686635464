"""Residual blocks against sums worked by hand, and the choices that the ResNets offer."""

import numpy as np
import pytest
import tensorflow as tf

import nets
from engine import ArraySource
from losses.strategies.supervised import Supervised
from nets.preact_resnet import PreActBlock
from nets.resnet import BasicBlock, Bottleneck
from nets.stack import StackBlock
from tests import toys

X = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 5, 4)).astype("float32"))


def passing(block, scale):
    """``block`` with convolutions that multiply each channel by ``scale``: a kernel's centre is a diagonal."""
    block(X)
    for variable in block.trainable_variables:
        if variable.path.endswith("kernel"):
            kernel = np.zeros(variable.shape, "float32")
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = scale * np.eye(*kernel.shape[2:])
            variable.assign(kernel)
    return block


def relu(x):
    return np.maximum(x, 0)


# F(x) of convolutions that double: 2 relu(2 x) and, with a third, 2 relu(2 relu(2 x)); normalisation is idle at first
@pytest.mark.parametrize(
    "block, expected",
    [
        (lambda: BasicBlock(4, 4, 1, False), lambda x: relu(x + 4 * relu(x))),
        (lambda: Bottleneck(4, 1, 1, False), lambda x: relu(x + 8 * relu(x) * [1, 0, 0, 0])),
        (lambda: PreActBlock(4, 4, 1), lambda x: x + 4 * relu(x)),
        (lambda: StackBlock(4, True), lambda x: relu(x + 4 * relu(x))),
        (lambda: StackBlock(4, False), lambda x: 4 * relu(x)),
    ],
    ids=["basic", "bottleneck", "pre-activation", "stack", "plain"],
)
def test_a_block_adds_what_its_convolutions_say_to_its_input(block, expected):
    np.testing.assert_allclose(passing(block(), 2.0)(X), expected(X.numpy()), rtol=1e-4)  # 1e-5: its epsilon


def test_a_pre_activation_block_that_convolves_to_nothing_is_the_identity_and_the_original_is_not():
    np.testing.assert_array_equal(passing(PreActBlock(4, 4, 1), 0.0)(X), X)
    np.testing.assert_array_equal(passing(BasicBlock(4, 4, 1, False), 0.0)(X), tf.nn.relu(X))


@pytest.mark.parametrize("block, width", [(BasicBlock, 4), (Bottleneck, 1)])
def test_zero_gamma_starts_with_the_shortcut_alone(block, width):
    for training in (False, True):
        np.testing.assert_array_equal(block(4, width, 1, True)(X, training=training), tf.nn.relu(X))
        assert not np.allclose(block(4, width, 1, False)(X, training=training), tf.nn.relu(X))


def test_zero_gamma_reaches_every_block_of_the_net():
    net = nets.create("resnet18", stem="cifar", width=2, zero_gamma=True)
    net(tf.zeros([1, 16, 16, 1]))
    zeros = [v for v in net.trainable_variables if v.path.endswith("gamma") and not np.any(v)]
    assert len(zeros) == 8


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck, PreActBlock])
def test_a_block_of_stride_two_reads_every_pixel(block):
    made = block(4, 8, 2) if block is PreActBlock else block(4, 8, 2, False)
    with tf.GradientTape() as tape:
        tape.watch(X)
        y = made(X)
        objective = tf.reduce_sum(y * y)
    assert y.shape == (2, 3, 3, 32 if block is Bottleneck else 8)
    read = np.abs(tape.gradient(objective, X)).sum(axis=(0, 3))
    assert np.all(read > 0)


@pytest.mark.parametrize(
    "name, stem, side, channels",
    [
        ("resnet18", "imagenet", 2, 16),  # 64 / 32
        ("resnet18", "cifar", 8, 16),  # 64 / 8
        ("resnet50", "imagenet", 2, 64),  # four times as many
    ],
)
def test_the_stem_decides_on_the_side_and_the_block_on_the_channels(name, stem, side, channels):
    net = nets.create(name, stem=stem, width=2)
    assert net.features(tf.zeros([1, 64, 64, 3])).shape == (1, side, side, channels)


@pytest.mark.parametrize(
    "name, depth", [("resnet18", 18), ("resnet34", 34), ("resnet50", 50), ("resnet101", 101), ("resnet152", 152)]
)
def test_the_name_counts_the_layers_on_the_way(name, depth):
    net = nets.create(name, width=1)
    blocks = [getattr(net, f"block{i}") for i in range(net.depth)]
    convolutions = sum(hasattr(block, f"conv{i}") for block in blocks for i in (1, 2, 3))
    assert 1 + convolutions + 1 == depth  # the stem's and the logits' count, projections do not


def test_pre_activation_blocks_and_filters_are_the_callers():
    net = nets.create("preact-resnet", blocks=(1, 2, 3), filters=4)
    net(tf.zeros([1, 8, 8, 1]))
    kernels = [tuple(v.shape) for v in net.trainable_variables if v.path.endswith("kernel")]
    assert net.depth == 6
    assert kernels[0] == (3, 3, 1, 4)
    assert kernels.count((3, 3, 4, 4)) == 2  # a block has two
    assert kernels.count((3, 3, 8, 8)) == 3  # the first of two reads 4 channels
    assert kernels.count((3, 3, 16, 16)) == 5
    assert kernels[-1] == (16, 10)


def test_plain_and_residual_stack_have_the_same_parameters_and_only_one_passes_its_input_on():
    made = {name: nets.create(name, blocks=3, filters=4) for name in ("residual-stack", "plain-stack")}
    images = tf.constant(np.random.default_rng(1).random((3, 28, 28, 1), dtype="float32"))
    shapes = {}
    for name, net in made.items():
        net(images)
        shapes[name] = [tuple(variable.shape) for variable in net.variables]
        for variable in net.trainable_variables:
            if "stack_block" in variable.path and variable.path.endswith("kernel"):
                variable.assign(tf.zeros_like(variable))
    assert shapes["residual-stack"] == shapes["plain-stack"]
    assert np.ptp(made["plain-stack"](images), axis=0).max() == 0  # every image alike
    assert np.ptp(made["residual-stack"](images), axis=0).max() > 0


def test_the_default_stack_has_ten_blocks_of_64_filters():
    net = nets.create("residual-stack")
    net(tf.zeros([1, 28, 28, 1]))
    kernels = [v for v in net.trainable_variables if "stack_block" in v.path and v.path.endswith("kernel")]
    assert [tuple(v.shape) for v in kernels] == [(3, 3, 64, 64)] * 20


@pytest.mark.parametrize(
    "name, options",
    [
        ("resnet50", {"width": 2, "blocks": (1, 1), "stem": "cifar"}),
        ("preact-resnet", {"filters": 4, "blocks": (1, 1)}),
        ("densenet", {"filters": 4, "growth": 4, "blocks": (1, 1)}),
    ],
)
def test_the_engine_trains_weights_and_moves_averages(name, options):
    rng = np.random.default_rng(0)
    label = (np.arange(32) % 2).astype("int32")
    images = (rng.random((32, 8, 8, 1)) * (0.2 + 0.8 * label[:, None, None, None])).astype("float32")
    net = nets.create(name, classes=2, **options)
    source = ArraySource({"image": images, "label": label}, 16)
    made = toys.engine(Supervised(), {"classifier": net}, {"classifier": toys.adam()}, source)
    before = [variable.numpy() for variable in net.variables]

    def cross_entropy(cycles):
        total, count = made.run(cycles).totals["classifier"]["cross_entropy"]
        return total / count

    first = cross_entropy(1)
    for variable, start in zip(net.variables, before, strict=True):
        assert not np.array_equal(variable, start), variable.path
    cross_entropy(30)
    assert cross_entropy(1) < 0.2 * first
