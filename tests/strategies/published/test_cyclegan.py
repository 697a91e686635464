"""CycleGAN (Zhu et al. 2017, arXiv 1703.10593): two sets of other sizes, and a pool of past fakes for the critics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    dense,
    descend,
    mlp,
    numbers,
    points,
    uniform,
    values,
    variables,
)

POOL, CYCLE, RATE, BATCH = 6, 10.0, 0.01, 4


class CycleGAN(LossStrategy):
    """Least squares GANs in both directions; the critics see fakes of the pool, half of them past ones (section 4)."""

    def phases(self):
        both = {"reads": ["a", "b"]}
        return [Phase("generators", self.generators, updates=["ab", "ba"], weights={"cycle": CYCLE}, **both),
                Phase("critics", self.critics, updates=["critic_a", "critic_b"], passes=["fake_a", "fake_b", "swap"],
                      after=self.remember, **both)]

    def state(self):
        return {"pool_a": np.zeros([POOL, 6]), "pool_b": np.zeros([POOL, 6])}

    def generators(self, nets, batch, noise):
        a, b = batch["a"]["x"], batch["b"]["x"]
        fake_a, fake_b = nets["ba"](b, training=True), nets["ab"](a, training=True)
        cycle = tf.reduce_sum(tf.abs(nets["ba"](fake_b) - a) + tf.abs(nets["ab"](fake_a) - b), axis=1)
        return {"fool_a": tf.square(nets["critic_a"](fake_a)[:, 0] - 1.0),
                "fool_b": tf.square(nets["critic_b"](fake_b)[:, 0] - 1.0), "cycle": cycle}

    def critics(self, nets, batch, noise, state):
        fresh = {"a": nets["ba"](batch["b"]["x"]), "b": nets["ab"](batch["a"]["x"])}
        swap = noise.uniform("swap") < 0.5  # of a fresh fake for a past one
        terms = {"swap": swap}
        for name, fake in fresh.items():
            shown = tf.where(swap[:, None], state[f"pool_{name}"][:BATCH], tf.stop_gradient(fake))
            terms[f"fake_{name}"] = fake
            terms[f"real_{name}"] = tf.square(nets[f"critic_{name}"](batch[name]["x"])[:, 0] - 1.0)
            terms[f"told_{name}"] = tf.square(nets[f"critic_{name}"](shown)[:, 0])
        return terms

    def remember(self, nets, state, seen):
        def pool(name):
            put = tf.where(seen["swap"][:, None], seen[f"fake_{name}"], state[f"pool_{name}"][:BATCH])
            return tf.roll(tf.concat([put, state[f"pool_{name}"][BATCH:]], axis=0), 1, axis=0)

        return {"pool_a": pool("a"), "pool_b": pool("b")}


NETS = {"ab": (8, 6), "ba": (8, 6), "critic_a": (8, 1), "critic_b": (8, 1)}
METHOD = Method(CycleGAN, lambda: {name: dense(*widths) for name, widths in NETS.items()},
                lambda: {"generators": keras.optimizers.SGD(RATE), "critics": keras.optimizers.SGD(RATE)},
                lambda: {"a": points(BATCH, examples=20), "b": points(BATCH, seed=1, examples=52)}, lines=45)


def by_hand(cycles):
    start = METHOD.trainer("eager")
    ab, ba, critic_a, critic_b = (variables(start.nets[name]) for name in NETS)
    first, second = start.engine.sources.values()
    pools = {"a": np.zeros([POOL, 6], "float32"), "b": np.zeros([POOL, 6], "float32")}
    for cycle in range(cycles):  # each of the two updates reads batches of its own
        a, b = batch(first, 2 * cycle)["x"], batch(second, 2 * cycle)["x"]
        with tf.GradientTape() as tape:
            fake_a, fake_b = mlp(ba, b), mlp(ab, a)
            there = tf.reduce_sum(tf.abs(mlp(ba, fake_b) - a) + tf.abs(mlp(ab, fake_a) - b), axis=1)
            fool = (mlp(critic_a, fake_a)[:, 0] - 1) ** 2 + (mlp(critic_b, fake_b)[:, 0] - 1) ** 2
            loss = tf.reduce_mean(fool + CYCLE * there)
        descend(tape, loss, [*ab, *ba], RATE)
        a, b = batch(first, 2 * cycle + 1)["x"], batch(second, 2 * cycle + 1)["x"]
        fresh = {"a": mlp(ba, b).numpy(), "b": mlp(ab, a).numpy()}
        swap = uniform("critics", cycle, "swap", BATCH).numpy() < 0.5
        with tf.GradientTape() as tape:
            loss = 0.0
            for name, critic, real in (("a", critic_a, a), ("b", critic_b, b)):
                shown = np.where(swap[:, None], pools[name][:BATCH], fresh[name])
                loss += tf.reduce_mean((mlp(critic, real)[:, 0] - 1) ** 2 + mlp(critic, shown)[:, 0] ** 2)
        descend(tape, loss, [*critic_a, *critic_b], RATE)
        for name, pool in pools.items():
            pool[:BATCH] = np.where(swap[:, None], fresh[name], pool[:BATCH])
            pools[name] = np.roll(pool, 1, axis=0)
    return [*numbers([*ab, *ba, *critic_a, *critic_b]), pools["a"], pools["b"]]


@pytest.mark.parametrize("plan", PLANS)
def test_both_directions_and_their_pools(plan):
    trainer = METHOD.trained(plan)
    found = [value for name in NETS for value in values(trainer.nets[name])]
    assert_same([*found, trainer.engine.state["pool_a"], trainer.engine.state["pool_b"]], by_hand(METHOD.cycles))
    assert np.abs(trainer.engine.state["pool_a"].numpy()).sum() > 0
