"""The LSTM classifier against the equations, and that padding does not count."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import nets
from engine import ArraySource, LossStrategy, Phase
from losses.classification import sigmoid_cross_entropy
from nets._lstm import LSTM, scan
from tests import toys

TOKENS = np.array([[5, 3, 8, 2], [7, 1, 1, 4], [2, 9, 0, 0], [0, 0, 0, 0]], "int32")


def small(**options):
    net = nets.create("lstm", vocabulary=10, embedding=3, units=(4, 5), dropout=0.5, **options)
    net(TOKENS)
    for variable in net.trainable_variables:  # far from zero, so that a fault shows
        variable.assign(np.random.default_rng(variable.shape.num_elements()).normal(size=variable.shape))
    return net


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, recurrent, bias):
    """[T, E] -> [T, H]: input, forget, candidate and output gate (Gers et al. 2000, equations 1 to 6)."""
    h = c = np.zeros(recurrent.shape[0])
    out = []
    for step in x:
        i, f, g, o = np.split(step @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.array(out).reshape(len(x), len(h))


def test_the_logit_is_that_of_the_equations_on_the_tokens_that_are_not_padding():
    net = small()
    table, *weights, kernel, bias = [variable.numpy().astype("float64") for variable in net.trainable_variables]
    for tokens, logit in zip(TOKENS, net(TOKENS).numpy(), strict=True):
        x = lstm(lstm(table[tokens[tokens > 0]], *weights[:3]), *weights[3:])
        last = x[-1] if len(x) else np.zeros(5)
        np.testing.assert_allclose(logit, (last @ kernel + bias)[0], rtol=1e-4, atol=1e-5)


def test_more_than_two_classes_have_a_logit_each_of_the_same_state():
    net = small(classes=3)
    *_, kernel, bias = [variable.numpy() for variable in net.trainable_variables]
    assert kernel.shape == (5, 3) and net(TOKENS).shape == (4, 3)
    two = small()
    *states, one, _ = two.trainable_variables
    for mine, theirs in zip(states, net.trainable_variables, strict=False):
        theirs.assign(mine)
    one.assign(kernel[:, 1:2])
    two.trainable_variables[-1].assign(bias[1:2])
    np.testing.assert_allclose(net(TOKENS)[:, 1], two(TOKENS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("before, after", [(0, 3), (3, 0), (2, 4)])
def test_padding_on_either_side_changes_no_bit(before, after):
    net = small()
    padded = np.pad(TOKENS, [(0, 0), (before, after)])
    np.testing.assert_array_equal(net(padded), net(TOKENS))


def test_padding_gets_no_gradient_and_every_other_token_some():
    net = small()
    with tf.GradientTape() as tape:
        logits = net(TOKENS, training=False)
    derivatives = np.abs(tf.convert_to_tensor(tape.gradient(logits, net.embedding.embeddings.value))).max(axis=1)
    np.testing.assert_array_equal(derivatives > 0, [token in TOKENS and token > 0 for token in range(10)])


class Sentiment(LossStrategy):
    def phases(self):
        return [Phase("classifier", self.loss, updates=["classifier"])]

    def loss(self, nets, batch, noise):
        return {"cross_entropy": sigmoid_cross_entropy(
            batch["label"][:, None], nets["classifier"](batch["tokens"], training=True)[:, None])}


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_the_engine_trains_it(plan):
    rng = np.random.default_rng(0)
    label = np.arange(32) % 2
    tokens = np.where(label[:, None] == 1, rng.integers(1, 5, (32, 6)), rng.integers(5, 10, (32, 6)))
    tokens[:, 4:] = 0
    source = ArraySource({"tokens": tokens.astype("int32"), "label": label.astype("int32")}, 16)
    net = nets.create("lstm", vocabulary=10, embedding=8, units=(8,), dropout=0.1)
    made = toys.engine(Sentiment(), {"classifier": net}, {"classifier": toys.adam(0.02)}, source, plan=plan)

    def mean(cycles):
        total, count = made.run(cycles).totals["classifier"]["cross_entropy"]
        assert count == 16 * cycles
        return total / count

    first = mean(1)
    assert first == pytest.approx(np.log(2), abs=0.1)
    assert mean(2 if plan == "eager" else 60) < first
    assert plan == "eager" or mean(1) < 0.1


def _numbers(layer, x, mask, weight):
    """States, and the gradients of a weighted sum of them by the inputs and all weights."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        states = layer(x, mask)
        total = tf.reduce_sum(tf.cast(weight * states, tf.float32))
    return [states, *tape.gradient(total, [x, *(v.value for v in layer.trainable_variables)])]


class _Keras(keras.layers.LSTM):
    """Keras's layer with time first."""

    def __call__(self, x, mask):
        states = super().__call__(tf.transpose(x, [1, 0, 2]), mask=tf.transpose(mask))
        return tf.transpose(states, [1, 0, 2]) if self.return_sequences else states


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
@pytest.mark.parametrize("sequences", [True, False])
def test_the_layer_is_that_of_keras_to_the_gradients(sequences, plan):
    rng = np.random.default_rng(0)
    x, mask = tf.constant(rng.normal(size=(7, 3, 5)).astype("float32")), tf.constant(rng.random((7, 3)) < 0.6)
    weight = tf.constant(rng.normal(size=(7, 3, 4) if sequences else (3, 4)).astype("float32"))
    mine, theirs = LSTM(4, return_sequences=sequences), _Keras(4, return_sequences=sequences, use_cudnn=False)
    mine.build((7, 3, 5)), theirs.build((3, 7, 5))
    np.testing.assert_array_equal(mine.bias, theirs.weights[2])  # the forget gate begins open
    mine.set_weights(theirs.get_weights())
    numbers = _numbers if plan == "eager" else tf.function(_numbers, jit_compile=plan == "xla")
    for ours, reference in zip(numbers(mine, x, mask, weight), _numbers(theirs, x, mask, weight), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-6)


def test_its_gradients_are_those_of_finite_differences():
    rng = np.random.default_rng(1)
    projected, kernel, bias = rng.normal(size=(4, 2, 12)), rng.normal(size=(3, 12)), rng.normal(size=12)
    mask = tf.constant([[True, True], [False, True], [True, False], [True, True]])

    def total(*values):
        return tf.reduce_sum(tf.sin(scan(*values, mask)))

    given = [tf.constant(each) for each in (projected, kernel, bias)]
    with tf.GradientTape() as tape:
        tape.watch(given)
        value = total(*given)
    for place, gradient in enumerate(tape.gradient(value, given)):
        direction, step = rng.normal(size=given[place].shape), 1e-5
        ends = [total(*(each + sign * step * direction if i == place else each for i, each in enumerate(given)))
                for sign in (1, -1)]
        derivative = float(ends[0] - ends[1]) / (2 * step)
        assert float(tf.reduce_sum(gradient * direction)) == pytest.approx(derivative, rel=1e-7)


def test_under_xla_a_step_is_so_few_operations_that_it_stays_on_one_thread():
    def numbers(projected, kernel, bias, mask):
        with tf.GradientTape() as tape:
            tape.watch([projected, kernel, bias])
            total = tf.reduce_sum(tf.sin(scan(projected, kernel, bias, mask)))
        return tape.gradient(total, [projected, kernel, bias])

    given = tf.zeros([9, 32, 256]), tf.zeros([64, 256]), tf.zeros([256]), tf.ones([9, 32], tf.bool)
    text = tf.function(numbers, jit_compile=True).experimental_get_compiler_ir(*given)(stage="optimized_hlo")
    bodies = re.findall(r"^%?\S*body\S* \(.*?^}", text, re.MULTILINE | re.DOTALL)
    free = {"parameter", "constant", "get-tuple-element", "bitcast", "tuple"}
    counts = [len([kind for kind in re.findall(r" = \S+ ([\w-]+)\(", body) if kind not in free]) for body in bodies]
    assert len(counts) == 2
    assert all(4 <= count <= 8 for count in counts), counts


def test_in_bfloat16_the_gradient_of_the_bias_is_right():
    rng = np.random.default_rng(2)
    x, mask = rng.normal(size=(50, 16, 8)).astype("float32"), tf.ones([50, 16], tf.bool)
    exact, half = LSTM(4, return_sequences=True), LSTM(4, return_sequences=True, dtype="mixed_bfloat16")
    exact.build(x.shape), half.build(x.shape)
    half.set_weights(exact.get_weights())
    biases = [_numbers(layer, tf.cast(x, layer.compute_dtype), mask, tf.ones([], layer.compute_dtype))[-1]
              for layer in (exact, half)]
    assert np.linalg.norm(biases[1] - biases[0]) < 0.02 * np.linalg.norm(biases[0])


def test_lengths_need_not_be_known():
    layer = LSTM(4, return_sequences=True)
    x, mask = tf.random.stateless_normal([6, 3, 2], [0, 1]), tf.ones([6, 3], tf.bool)
    expected = layer(x, mask)
    unknown = tf.function(layer, input_signature=[tf.TensorSpec([None, None, 2]), tf.TensorSpec([None, None], tf.bool)])
    np.testing.assert_allclose(unknown(x, mask), expected, rtol=1e-6)
