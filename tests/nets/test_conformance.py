"""The table that every net of ``nets.NETS`` must be in, and what each of them must keep."""

from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
import tensorflow as tf

import nets
from tests.nets.test_published_sizes import PUBLISHED

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",  # Keras under NumPy 2
)


@dataclass(frozen=True)
class Case:
    net: str
    inputs: tuple[int, ...]  # shape of one example
    outputs: tuple[int, ...]
    training_matters: bool = False  # holds dropout or batch normalisation
    options: dict = field(default_factory=dict)
    vocabulary: int = 0  # above 0: the inputs are tokens below it, not numbers in [0, 1)
    full: bool = False  # runs every test, as rows with default options do
    light: str = ""  # too large for that: shape and type only (or in test_published_sizes); whose full row has its code

    def __str__(self) -> str:
        return "-".join([self.net, *(f"{key}={value}" for key, value in self.options.items())])

    def make(self) -> keras.Model:
        keras.utils.set_random_seed(7)
        return nets.create(self.net, **self.options)

    def batch(self, size: int = 4) -> tf.Tensor:
        rng, shape = np.random.default_rng(size), (size, *self.inputs)
        if self.vocabulary:
            return tf.constant(rng.integers(self.vocabulary, size=shape, dtype="int32"))
        return tf.constant(rng.random(shape, dtype="float32"))

    def build(self) -> keras.Model:
        net = self.make()
        net(self.batch(), training=False)
        return net


GREY, COLOUR, SMALL = (28, 28, 1), (64, 64, 3), (16, 16, 3)
CASES = [
    Case("mlp", GREY, (10,)),
    Case("mlp", GREY, (10,), True, {"dropout": 0.5}),
    Case("mlp", GREY, (10,), options={"hidden": (300, 100)}),
    Case("mlp", (5,), (3,), options={"hidden": (), "classes": 3}),
    Case("convnet", GREY, (10,)),
    Case("convnet", (32, 32, 3), (10,), True, {"dropout": 0.5}),
    Case("dense-vae", GREY, GREY),
    Case("dense-vae", (8, 6, 3), (8, 6, 3), options={"latent_dim": 2, "image_shape": (8, 6, 3)}),
    Case("conv-vae", GREY, GREY),
    Case("conv-vae", (8, 12, 3), (8, 12, 3), options={"latent_dim": 2, "image_shape": (8, 12, 3)}),
    Case("generator28", (64,), GREY, True),
    Case("generator28", (3,), GREY, True, {"latent_dim": 3, "width": 4}),
    Case("critic28", GREY, ()),
    Case("critic28", GREY, (), options={"normalization": "none", "width": 4}),
    Case("critic28", GREY, (), True, {"normalization": "batch"}),
    Case("generator64", (100,), COLOUR, True),
    Case("critic64", COLOUR, ()),
    Case("critic64", COLOUR, (), True, {"normalization": "batch"}),
    Case("resnet18", COLOUR, (10,), True, light="resnet18"),
    Case("resnet18", SMALL, (10,), True, {"stem": "cifar", "width": 4, "blocks": (1, 2)}, full=True),
    Case("resnet18", COLOUR, (7,), True, {"classes": 7, "width": 4, "zero_gamma": True}),
    Case("resnet34", COLOUR, (10,), True, light="resnet18"),
    Case("resnet50", COLOUR, (10,), True, light="resnet50"),
    Case("resnet50", SMALL, (10,), True, {"stem": "cifar", "width": 2, "blocks": (1, 1)}, full=True),
    Case("resnet101", COLOUR, (10,), True, light="resnet50"),
    Case("resnet152", COLOUR, (10,), True, light="resnet50"),
    Case("preact-resnet", SMALL, (10,), True, light="preact-resnet"),
    Case("preact-resnet", SMALL, (10,), True, {"blocks": (1, 2, 1), "filters": 4}, full=True),
    Case("residual-stack", GREY, (10,), True, light="residual-stack"),
    Case("residual-stack", GREY, (10,), True, {"blocks": 2, "filters": 8}, full=True),
    Case("plain-stack", GREY, (10,), True, light="plain-stack"),
    Case("plain-stack", GREY, (10,), True, {"blocks": 2, "filters": 8}, full=True),
    Case("densenet", SMALL, (10,), True, light="densenet"),
    Case("densenet", SMALL, (10,), True, {"blocks": (2, 1), "growth": 4, "bottleneck": True, "filters": 8}, full=True),
    Case("densenet", COLOUR, (10,), True, {"growth": 4, "stem": "imagenet", "filters": 8, "compression": 1.0}),
    Case("densenet121", COLOUR, (10,), True, light="densenet"),
    Case("lstm", (7,), (), True, vocabulary=20_000),
    Case("lstm", (5,), (), options={"vocabulary": 9, "embedding": 4, "units": (6,), "dropout": 0.0}, vocabulary=9),
    Case("dense-autoencoder", GREY, GREY),
    Case("dense-autoencoder", (8, 6, 3), (8, 6, 3), options={"hidden": (), "image_shape": (8, 6, 3)}),
    Case("conv-autoencoder", GREY, GREY),
    Case("conv-autoencoder", (8, 12, 3), (8, 12, 3), options={"latent_dim": 2, "image_shape": (8, 12, 3)}),
    Case("dcgan-generator", (100,), GREY, True),
    Case("dcgan-generator", (3,), (32, 32, 1), True, {"latent_dim": 3, "side": 32, "width": 4}),
    Case("dcgan-generator", (3,), COLOUR, True, {"latent_dim": 3, "side": 64, "channels": 3, "width": 4}),
    Case("dcgan-discriminator", GREY, (), True),
    Case("dcgan-discriminator", (32, 32, 1), (), True, {"side": 32, "width": 4}),
    Case("dcgan-discriminator", COLOUR, (), True, {"side": 64, "channels": 3, "width": 4}),
    Case("linear", (5,), ()),
    Case("linear", (3,), (2,), options={"outputs": 2}),
    Case("branching", GREY, (10,)),
    Case("branching", (6,), (3,), True, {"units": 8, "classes": 3, "dropout": 0.5}),
    Case("alexnet", SMALL, (10,), True, light="alexnet"),
    Case("alexnet", SMALL, (10,), True, {"width": 12}, full=True),
    Case("alexnet", GREY, (7,), options={"classes": 7, "width": 6, "dropout": 0.0}),
    Case("alexnet", (64, 64, 1), (10,), True, {"stem": "imagenet", "width": 3}),
    Case("vgg11", SMALL, (10,), True, light="vgg11"),
    Case("vgg11", SMALL, (10,), True, {"width": 8}, full=True),
    Case("vgg11", GREY, (7,), options={"classes": 7, "width": 2, "dropout": 0.0}),
    Case("vgg11", SMALL, (10,), True, {"width": 4, "batch_norm": True, "conv_dropout": (0.3,) * 5, "l2": 5e-4}),
    Case("vgg11", COLOUR, (10,), True, {"width": 2, "head": "imagenet"}),
    Case("vgg13", SMALL, (10,), True, light="vgg11"),
    Case("vgg16", SMALL, (10,), True, light="vgg11"),
    Case("vgg19", SMALL, (10,), True, light="vgg11"),
    Case("nin", SMALL, (10,), True, light="nin"),
    Case("nin", SMALL, (10,), True, {"width": 24}, full=True),
    Case("nin", COLOUR, (7,), options={"classes": 7, "width": 6, "dropout": 0.0, "stem": "imagenet"}),
    Case("googlenet", SMALL, (10,), True, light="googlenet"),
    Case("googlenet", SMALL, (10,), True, {"width": 8}, full=True),
    Case("googlenet", COLOUR, (7,), options={"classes": 7, "width": 4, "dropout": 0.0, "stem": "imagenet"}),
]
DEFAULTS = [case for case in CASES if not case.options]
FULL = [case for case in CASES if case.full or not (case.options or case.light)]
every_form = pytest.mark.parametrize("case", [case for case in CASES if not case.light], ids=str)
every_net = pytest.mark.parametrize("case", FULL, ids=str)
LIGHT = [case for case in CASES if case.light and case.net not in PUBLISHED]
every_light = pytest.mark.parametrize("case", LIGHT, ids=str)


@pytest.fixture(scope="module")
def built():
    """{row: its net}: built once, by the first test of it, for all of them."""
    return {}


@pytest.fixture
def made(case, built):
    """The row's net, whose weights are put back after the test, and a batch."""
    if str(case) not in built:
        built[str(case)] = case.build()
    net = built[str(case)]
    before = net.get_weights()
    yield net, case.batch()
    net.set_weights(before)


@pytest.fixture
def policy():
    """Sets the global dtype policy, and puts back what was there."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def test_every_net_is_in_the_table_with_its_default_options():
    assert {case.net for case in DEFAULTS} == set(nets.NETS)


def test_a_light_row_names_a_net_of_the_same_code_that_runs_every_test():
    for case in CASES:
        if case.light:
            assert case.light in {each.net for each in FULL}, case
            assert nets.NETS[case.net].call is nets.NETS[case.light].call, case


@every_form
def test_first_call_builds_it_with_the_layers_of_init(case, built):
    built[str(case)] = net = case.make()
    layers = list(net.layers)
    assert not net.trainable_variables
    output = net(case.batch(), training=False)
    assert output.shape == (4, *case.outputs)
    assert output.dtype == tf.float32
    assert net.layers == layers
    assert net.trainable_variables
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in layers)


@every_light
def test_a_light_row_has_its_form_for_any_batch_size(case):
    output = case.make()(keras.Input(case.inputs))
    assert (output.shape, output.dtype) == ((None, *case.outputs), "float32")


@every_net
def test_one_trace_serves_every_batch_size_and_keeps_the_output_unsquashed(case, made):
    net, batch = made
    traces = []

    @tf.function(input_signature=[tf.TensorSpec([None, *case.inputs], batch.dtype)])
    def run(inputs):
        traces.append(inputs)
        return net(inputs, training=False)

    for size in (2, 3):
        output = run(case.batch(size))
        assert output.shape == (size, *case.outputs)
        assert output.dtype == tf.float32
    assert len(traces) == 1
    operations = [operation.type for operation in run.get_concrete_function().graph.get_operations()]
    if case.vocabulary:  # the gates of an LSTM are sigmoids: look after its last loop
        operations = operations[max(place for place, kind in enumerate(operations) if "While" in kind):]
    assert not set(operations) & {"Sigmoid", "Softmax", "LogSoftmax"}
    np.testing.assert_allclose(run(batch), net(batch, training=False), rtol=1e-4, atol=1e-5)


@every_form
def test_training_is_obeyed(case, made):
    net, batch = made
    state = [variable.numpy() for variable in net.non_trainable_variables]
    inference = net(batch, training=False).numpy()
    np.testing.assert_array_equal(inference, net(batch))  # inference is the default
    for variable, before in zip(net.non_trainable_variables, state, strict=True):
        np.testing.assert_array_equal(variable, before)
    assert np.allclose(inference, net(batch, training=True)) != case.training_matters


@every_net
def test_every_trainable_variable_gets_a_gradient(case, made):
    net, batch = made
    weights = tf.constant(np.random.default_rng(0).normal(size=(4, *case.outputs)), "float32")
    with tf.GradientTape() as tape:
        objective = tf.reduce_sum(weights * net(batch, training=True))
    for variable, gradient in zip(
        net.trainable_variables, tape.gradient(objective, net.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.path
        gradient = tf.convert_to_tensor(gradient)  # that of an embedding is sparse
        assert np.all(np.isfinite(gradient)), variable.path
        assert np.max(np.abs(gradient)) > 1e-5, variable.path


@every_net
def test_xla_gives_the_same_output_and_gradient(case, made):
    net, batch = made
    values = [variable.value for variable in net.trainable_variables]

    # XLA refuses the gradient of max pooling under `enable_op_determinism`
    differentiable = not any(isinstance(layer, keras.layers.MaxPooling2D) for layer in net._flatten_layers())

    def run(inputs):
        with tf.GradientTape() as tape:
            output = net(inputs, training=False)
            objective = tf.reduce_mean(tf.square(output - 0.5))
        gradients = tape.gradient(objective, values, unconnected_gradients="zero") if differentiable else []
        return output, [tf.convert_to_tensor(gradient) for gradient in gradients]  # that of an embedding is sparse

    graph, xla = tf.function(run)(batch), tf.function(run, jit_compile=True)(batch)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), graph, xla)


@every_net
@pytest.mark.parametrize("name, kept", [("mixed_bfloat16", "float32"), ("float64", "float64")])
def test_output_and_variables_keep_the_precision_of_the_policy(case, name, kept, policy, made):
    net, batch = made
    expected, values = net(batch, training=False), net.get_weights()
    policy(name)
    net = case.build()
    net.set_weights(values)
    output = net(batch, training=False)
    assert output.dtype == kept
    assert {variable.dtype for variable in net.trainable_variables} == {kept}
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(output, expected, atol=scale * (0.1 if kept == "float32" else 1e-5))
    assert np.all(np.isfinite(net(batch, training=True)))


@every_form
def test_weights_saved_and_restored_give_the_same_output(case, made, tmp_path):
    net, batch = made
    net(batch, training=True)  # moves the averages of batch normalisation
    expected = net(batch, training=False).numpy()
    net.save_weights(tmp_path / "net.weights.h5")
    path = tf.train.Checkpoint(net=net).write(str(tmp_path / "checkpoint"))

    fresh = case.build()
    for restore in (
        lambda: fresh.load_weights(tmp_path / "net.weights.h5"),
        lambda: tf.train.Checkpoint(net=fresh).read(path).assert_consumed(),
    ):
        for variable in fresh.trainable_variables:
            variable.assign(variable + 1)
        assert not np.allclose(fresh(batch, training=False), expected)
        restore()
        np.testing.assert_array_equal(fresh(batch, training=False), expected)
