"""PCGrad (Yu et al. 2020, arXiv 2001.06782, algorithm 1): a gradient that conflicts with another loses that part.

For two tasks as a user's own function, and by ``losses.gradients``; for three by the latter, in its order.
"""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update
from losses.gradients import conflict_projection
from tests.losses.gradients.references import splitmix_order
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


class ThreeTasks(TwoTasks):
    """With factors, and a task that is only watched."""

    def phases(self):
        return [Phase("tasks", self.loss, updates=["net"], separable=True, weights={"difference": 2.0},
                      watch=["first"])]

    def loss(self, nets, batch, noise):
        first = tf.square(nets["net"](batch["x"], training=True)[:, 0] - 3.0 * batch["x"][:, 0])
        return {**super().loss(nets, batch, noise), "first": first}


def method(strategy, gradient, size=10, **options):
    return Method(strategy, lambda: {"net": dense(8, 1)},
                  lambda: Update(keras.optimizers.SGD(RATE), gradient=gradient, **options), lambda: points(size))


METHOD, PARTS = method(TwoTasks, pcgrad), method(TwoTasks, pcgrad, 5, accumulate=2)
SHIPPED = method(TwoTasks, conflict_projection())
SHIPPED_PARTS = method(TwoTasks, conflict_projection("sum", "difference"), 5, accumulate=2)
THREE = method(ThreeTasks, conflict_projection("sum", "difference", "first", seed=5))


def losses_of(found, x, three):
    yield (found - tf.reduce_sum(x, axis=1)) ** 2
    yield (2.0 if three else 1.0) * (found + tf.reduce_sum(x, axis=1)) ** 2
    if three:
        yield (found - 3.0 * x[:, 0]) ** 2


def by_hand(method):
    start = method.trainer("eager")
    net, conflicts, together = variables(start.nets["net"]), 0, method.updates().accumulate
    for update in range(method.cycles):
        x = tf.concat([batch(start.data, together * update + i)["x"] for i in range(together)], axis=0)
        with tf.GradientTape(persistent=True) as tape:
            losses = [tf.reduce_mean(each) for each in losses_of(mlp(net, x)[:, 0], x, method is THREE)]
        tasks = [tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, net)], axis=0) for loss in losses]
        total = tf.zeros_like(tasks[0])
        for mine, others in zip(tasks, splitmix_order(update, len(tasks), 5), strict=True):
            for j in others:
                dot = float(tf.tensordot(mine, tasks[j], 1))
                if dot < 0:
                    conflicts += 1
                    mine = mine - dot / tf.tensordot(tasks[j], tasks[j], 1) * tasks[j]
            total += mine
        sizes = [int(tf.size(v)) for v in net]
        for variable, part in zip(net, tf.split(total, sizes), strict=True):
            variable.assign_sub(RATE * tf.reshape(part, variable.shape))
    assert conflicts
    return numbers(net)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [METHOD, PARTS, SHIPPED, SHIPPED_PARTS, THREE],
                         ids=["own", "own in parts", "shipped", "shipped in parts", "three tasks"])
def test_conflicts_are_projected_away_over_the_whole_batch(plan, method):
    trainer = method.trainer(plan)
    total = trainer.engine.run(method.cycles).totals["tasks"]
    assert_same(values(trainer.nets["net"]), by_hand(method))
    means = {name: float(total[name][0] / total[name][1]) for name in ("sum", "difference")}
    objective = means["sum"] + (2.0 if method is THREE else 1.0) * means["difference"]
    assert float(total["objective"][0]) == pytest.approx(  # the logged objective stays that of the loss
        objective * method.cycles, rel=1e-5)
