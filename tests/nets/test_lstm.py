"""The LSTM classifier against the equations, and that padding does not count."""

import numpy as np
import pytest
import tensorflow as tf

import nets
from engine import ArraySource, LossStrategy, Phase
from losses.classification import sigmoid_cross_entropy
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


@pytest.mark.parametrize("before, after", [(0, 3), (3, 0), (2, 4)])
def test_padding_on_either_side_changes_no_bit(before, after):
    net = small()
    padded = np.pad(TOKENS, [(0, 0), (before, after)])
    np.testing.assert_array_equal(net(padded), net(TOKENS))


def test_padding_gets_no_gradient_and_every_other_token_some():
    net = small()
    with tf.GradientTape() as tape:
        logits = net(TOKENS, training=False)
    slopes = np.abs(tf.convert_to_tensor(tape.gradient(logits, net.embedding.embeddings.value))).max(axis=1)
    np.testing.assert_array_equal(slopes > 0, [token in TOKENS and token > 0 for token in range(10)])


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
    net = nets.create("lstm", vocabulary=10, embedding=8, units=(8, 8), dropout=0.1)
    made = toys.engine(Sentiment(), {"classifier": net}, {"classifier": toys.adam(0.02)}, source, plan=plan)

    def mean(cycles):
        total, count = made.run(cycles).totals["classifier"]["cross_entropy"]
        assert count == 16 * cycles
        return total / count

    first = mean(1)
    assert first == pytest.approx(np.log(2), abs=0.1)
    assert mean(2 if plan == "eager" else 60) < first
    assert plan == "eager" or mean(1) < 0.1
