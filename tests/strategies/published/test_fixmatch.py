"""FixMatch (Sohn et al. 2020, arXiv 2001.07685, algorithm 1): labels that the net is sure of, where none are given."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Ratio
from tests.strategies.published.method import PLANS, Method, assert_same, batch, dense, normal, points, values

SURE, WEIGHT, RATE, LABELLED, UNLABELLED = 0.45, 1.5, 0.1, 4, 14


class FixMatch(LossStrategy):
    """Weak and strong views; ``consistency`` is over mu B examples, of which the unsure count as 0 (equation 4)."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], reads=["labelled", "unlabelled"], watch=["sure"],
                      weights={"consistency": WEIGHT}, separable=True)]

    def loss(self, nets, batch, noise):
        x, label, other = batch["labelled"]["x"], batch["labelled"]["label"], batch["unlabelled"]["x"]
        weak = nets["net"](other + 0.01 * noise.normal("weak", [6], of="unlabelled"), training=True)
        strong = nets["net"](other + 0.5 * noise.normal("strong", [6], of="unlabelled"), training=True)
        guess = tf.stop_gradient(tf.nn.softmax(weak))
        sure = tf.cast(tf.reduce_max(guess, axis=1) >= SURE, tf.float32)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
        return {"labelled": cross_entropy(label, nets["net"](x, training=True)),
                "consistency": sure * cross_entropy(tf.argmax(guess, axis=1), strong),
                "sure": Ratio(sure * tf.cast(tf.argmax(guess, axis=1) == tf.argmax(strong, axis=1), tf.float32), sure)}


def sources():
    return {"labelled": points(LABELLED, examples=20), "unlabelled": points(UNLABELLED, seed=1, examples=100)}


FIX = Method(FixMatch, lambda: {"net": dense(8, 3)}, lambda: keras.optimizers.SGD(RATE), sources, lines=25)


def by_hand(cycles):
    """Weights; and how many examples were sure."""
    start = FIX.trainer("eager")
    net, few, many = [tf.Variable(v) for v in values(start.nets["net"])], *start.engine.sources.values()
    counted = 0

    def logits(x):
        return tf.tanh(x @ net[0] + net[1]) @ net[2] + net[3]

    for update in range(cycles):
        labelled, other = batch(few, update), batch(many, update)["x"]
        weak, strong = (other + scale * normal("fit", update, name, UNLABELLED, (6,))
                        for scale, name in ((0.01, "weak"), (0.5, "strong")))
        guess = tf.nn.softmax(logits(weak)).numpy()
        sure = guess.max(axis=1) >= SURE
        counted += sure.sum()
        with tf.GradientTape() as tape:
            first = -tf.gather(tf.nn.log_softmax(logits(labelled["x"])), labelled["label"], batch_dims=1)
            second = -tf.gather(tf.nn.log_softmax(logits(strong)), guess.argmax(axis=1), batch_dims=1)
            loss = tf.reduce_sum(first) / LABELLED + WEIGHT * tf.reduce_sum(second[sure]) / UNLABELLED
        for variable, gradient in zip(net, tape.gradient(loss, net), strict=True):
            variable.assign_sub(RATE * gradient)
    return [v.numpy() for v in net], counted


@pytest.mark.parametrize("plan", PLANS)
def test_labelled_and_sure_examples_move_the_net(plan):
    trainer = FIX.trainer(plan)
    total = trainer.engine.run(FIX.cycles).totals["fit"]
    expected, sure = by_hand(FIX.cycles)
    assert 0 < sure < FIX.cycles * UNLABELLED
    assert_same(values(trainer.nets["net"]), expected)
    assert float(total["sure"][1]) == sure  # the ratio is over those that are sure, in all updates
    assert trainer.engine.batches == {"labelled": 12, "unlabelled": 12}
    assert (total["labelled"][1], total["consistency"][1]) == (12 * LABELLED, 12 * UNLABELLED)
