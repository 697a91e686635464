"""PCGrad (Yu et al. 2020, arXiv 2001.06782, algorithm 1): a gradient that conflicts with another loses that part."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    dense,
    mlp,
    numbers,
    points,
    values,
    variables,
)

RATE = 0.1


class TwoTasks(LossStrategy):
    def phases(self):
        return [Phase("tasks", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        y = nets["net"](batch["x"], training=True)
        return {"sum": tf.square(y[:, 0] - tf.reduce_sum(batch["x"], axis=1)),
                "difference": tf.square(y[:, 0] + tf.reduce_sum(batch["x"], axis=1))}


def pcgrad(pull):
    """For two tasks, where the order of projections does not matter."""
    first, second = pull.gradients({"sum": 1.0}, {"difference": 1.0})
    dot = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(first, second, strict=True)])

    def projected(mine, other):
        factor = tf.minimum(dot, 0.0) / tf.add_n([tf.reduce_sum(b * b) for b in other])
        return [a - factor * b for a, b in zip(mine, other, strict=True)]

    pairs = zip(projected(first, second), projected(second, first), strict=True)
    return [a + b for a, b in pairs]


METHOD = Method(TwoTasks, lambda: {"net": dense(8, 1)}, lambda: Update(keras.optimizers.SGD(RATE), gradient=pcgrad),
                lambda: points(10))
PARTS = Method(TwoTasks, lambda: {"net": dense(8, 1)},
               lambda: Update(keras.optimizers.SGD(RATE), gradient=pcgrad, accumulate=2), lambda: points(5))


def by_hand(cycles, together=1):
    start = (METHOD if together == 1 else PARTS).trainer("eager")
    net, conflicts = variables(start.nets["net"]), 0
    for update in range(cycles):
        x = tf.concat([batch(start.data, together * update + i)["x"] for i in range(together)], axis=0)
        both = []
        for sign in (-1.0, 1.0):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((mlp(net, x)[:, 0] + sign * tf.reduce_sum(x, axis=1)) ** 2)
            both.append(tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, net)], axis=0))
        a, b = both
        dot = float(tf.tensordot(a, b, 1))
        if dot < 0:
            conflicts += 1
            a, b = a - dot / tf.tensordot(b, b, 1) * b, b - dot / tf.tensordot(a, a, 1) * a
        sizes = [int(tf.size(v)) for v in net]
        for variable, part in zip(net, tf.split(a + b, sizes), strict=True):
            variable.assign_sub(RATE * tf.reshape(part, variable.shape))
    assert conflicts
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("together", [1, 2])
def test_conflicts_are_projected_away_over_the_whole_batch(plan, together):
    method = METHOD if together == 1 else PARTS
    trainer = method.trainer(plan)
    total = trainer.engine.run(method.cycles).totals["tasks"]
    assert_same(values(trainer.nets["net"]), by_hand(method.cycles, together))
    assert float(total["objective"][0]) == pytest.approx(  # the logged objective stays that of the loss
        sum(float(total[name][0] / total[name][1]) for name in ("sum", "difference")) * method.cycles, rel=1e-5)
