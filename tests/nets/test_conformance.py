"""The table that every net of `nets.NETS` must be in, and what each of them must keep."""

from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
import tensorflow as tf

import nets

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

    def __str__(self) -> str:
        return "-".join([self.net, *(f"{key}={value}" for key, value in self.options.items())])

    def make(self) -> keras.Model:
        keras.utils.set_random_seed(7)
        return nets.create(self.net, **self.options)

    def batch(self, size: int = 4) -> tf.Tensor:
        return tf.constant(np.random.default_rng(size).random((size, *self.inputs), dtype="float32"))

    def made(self) -> tuple[keras.Model, tf.Tensor]:
        net, batch = self.make(), self.batch()
        net(batch, training=False)
        return net, batch


GREY, COLOUR = (28, 28, 1), (64, 64, 3)
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
]
DEFAULTS = [case for case in CASES if not case.options]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_net = pytest.mark.parametrize("case", DEFAULTS, ids=str)


@pytest.fixture
def policy():
    """Sets the global dtype policy, and puts back what was there."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def test_every_net_is_in_the_table_with_its_default_options():
    assert {case.net for case in DEFAULTS} == set(nets.NETS)


@every_case
def test_first_call_builds_it_with_the_layers_of_init(case):
    net = case.make()
    layers = list(net.layers)
    assert not net.trainable_variables
    output = net(case.batch(), training=False)
    assert output.shape == (4, *case.outputs)
    assert output.dtype == tf.float32
    assert net.layers == layers
    assert net.trainable_variables
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in layers)


@every_net
def test_one_trace_serves_every_batch_size_and_keeps_the_output_unsquashed(case):
    net, batch = case.made()
    traces = []

    @tf.function(input_signature=[tf.TensorSpec([None, *case.inputs])])
    def run(inputs):
        traces.append(inputs)
        return net(inputs, training=False)

    for size in (2, 3):
        assert run(case.batch(size)).shape == (size, *case.outputs)
    assert len(traces) == 1
    operations = {operation.type for operation in run.get_concrete_function().graph.get_operations()}
    assert not operations & {"Sigmoid", "Softmax", "LogSoftmax"}
    np.testing.assert_allclose(run(batch), net(batch, training=False), rtol=1e-4, atol=1e-5)


@every_case
def test_training_is_obeyed(case):
    net, batch = case.made()
    state = [variable.numpy() for variable in net.non_trainable_variables]
    inference = net(batch, training=False).numpy()
    np.testing.assert_array_equal(inference, net(batch))  # inference is the default
    for variable, before in zip(net.non_trainable_variables, state, strict=True):
        np.testing.assert_array_equal(variable, before)
    assert np.allclose(inference, net(batch, training=True)) != case.training_matters


@every_net
def test_every_trainable_variable_gets_a_gradient(case):
    net, batch = case.made()
    weights = tf.constant(np.random.default_rng(0).normal(size=(4, *case.outputs)), "float32")
    with tf.GradientTape() as tape:
        objective = tf.reduce_sum(weights * net(batch, training=True))
    for variable, gradient in zip(
        net.trainable_variables, tape.gradient(objective, net.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.path
        assert np.all(np.isfinite(gradient)), variable.path
        assert np.max(np.abs(gradient)) > 1e-5, variable.path


@every_net
def test_xla_gives_the_same_output_and_gradient(case):
    net, batch = case.made()
    values = [variable.value for variable in net.trainable_variables]

    # XLA refuses the gradient of max pooling under `enable_op_determinism`
    differentiable = not any(isinstance(layer, keras.layers.MaxPooling2D) for layer in net.layers)

    def run(inputs):
        with tf.GradientTape() as tape:
            output = net(inputs, training=False)
            objective = tf.reduce_mean(tf.square(output - 0.5))
        return output, tape.gradient(objective, values) if differentiable else []

    graph, xla = tf.function(run)(batch), tf.function(run, jit_compile=True)(batch)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), graph, xla)


@every_net
@pytest.mark.parametrize("name, kept", [("mixed_bfloat16", "float32"), ("float64", "float64")])
def test_output_and_variables_keep_the_precision_of_the_policy(case, name, kept, policy):
    policy("float32")
    net, batch = case.made()
    expected, values = net(batch, training=False), net.get_weights()
    policy(name)
    net, batch = case.made()
    net.set_weights(values)
    output = net(batch, training=False)
    assert output.dtype == kept
    assert {variable.dtype for variable in net.trainable_variables} == {kept}
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(output, expected, atol=scale * (0.1 if kept == "float32" else 1e-5))
    assert np.all(np.isfinite(net(batch, training=True)))


@every_case
def test_weights_saved_and_restored_give_the_same_output(case, tmp_path):
    net, batch = case.made()
    net(batch, training=True)  # moves the averages of batch normalisation
    expected = net(batch, training=False).numpy()
    net.save_weights(tmp_path / "net.weights.h5")
    path = tf.train.Checkpoint(net=net).write(str(tmp_path / "checkpoint"))

    fresh = case.make()
    fresh(batch, training=False)
    for restore in (
        lambda: fresh.load_weights(tmp_path / "net.weights.h5"),
        lambda: tf.train.Checkpoint(net=fresh).read(path).assert_consumed(),
    ):
        for variable in fresh.trainable_variables:
            variable.assign(variable + 1)
        assert not np.allclose(fresh(batch, training=False), expected)
        restore()
        np.testing.assert_array_equal(fresh(batch, training=False), expected)
