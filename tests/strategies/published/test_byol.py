"""BYOL (Grill et al. 2020, arXiv 2006.07733): a student predicts what its moving average sees in another view."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, average_of
from tests.strategies.published.method import PLANS, Method, assert_same, batch, dense, normal, points, values

DECAY, RATE = 0.9, 0.1


class BYOL(LossStrategy):
    """Equation 2, for both orders of the two views."""

    def phases(self):
        return [Phase("online", self.loss, updates=["online", "predictor"], separable=True)]

    def loss(self, nets, batch, noise):
        views = [batch["x"] + 0.1 * noise.normal(name, [6]) for name in ("a", "b")]
        return {"distance": self.distance(nets, *views) + self.distance(nets, *views[::-1])}

    def distance(self, nets, view, other):
        predicted = nets["predictor"](nets["online"](view, training=True), training=True)
        target = tf.stop_gradient(nets["target"](other, training=True))
        return 2.0 + 2.0 * keras.losses.cosine_similarity(predicted, target)


def nets():
    predictor = keras.Sequential([keras.layers.Dense(4)])
    predictor.build([None, 4])
    return {"online": dense(8, 4), "predictor": predictor, "target": average_of("online", DECAY)}


BYOL_METHOD = Method(BYOL, nets, lambda: keras.optimizers.SGD(RATE), lambda: points(10), lines=20)


def by_hand(cycles):
    """The algorithm in plain TensorFlow; weights of the student, the predictor and the target."""
    start = BYOL_METHOD.trainer("eager")
    source = start.data
    online, predictor = ([tf.Variable(v) for v in values(start.nets[name])] for name in ("online", "predictor"))
    target = [tf.Variable(v) for v in values(start.nets["online"])]

    def encode(weights, x):
        return tf.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3]

    def unit(z):
        return z / tf.norm(z, axis=1, keepdims=True)

    for update in range(cycles):
        x = batch(source, update)["x"]
        a, b = (x + 0.1 * normal("online", update, name, 10, (6,)) for name in "ab")
        with tf.GradientTape() as tape:
            loss = 0.0
            for view, other in ((a, b), (b, a)):
                predicted = encode(online, view) @ predictor[0] + predictor[1]
                loss += tf.reduce_mean(tf.reduce_sum(tf.square(unit(predicted) - unit(encode(target, other))), axis=1))
        for variable, gradient in zip([*online, *predictor], tape.gradient(loss, [*online, *predictor]), strict=True):
            variable.assign_sub(RATE * gradient)
        for average, variable in zip(target, online, strict=True):
            average.assign(DECAY * average + (1 - DECAY) * variable)
    return [v.numpy() for v in [*online, *predictor, *target]]


@pytest.mark.parametrize("plan", PLANS)
def test_student_and_target_move_as_in_the_paper(plan):
    trainer = BYOL_METHOD.trained(plan)
    found = [value for name in ("online", "predictor", "target") for value in values(trainer.nets[name])]
    assert_same(found, by_hand(BYOL_METHOD.cycles))
