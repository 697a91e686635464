"""When phases run: the published critic schedule of WGAN, and a critic that rests while it is strong."""

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
    descend,
    mlp,
    normal,
    numbers,
    points,
    values,
    variables,
)

FIRST, MANY, FEW, CLIP, RATE, MARGIN = 3, 6, 2, 0.1, 0.05, 0.02


class WGAN(LossStrategy):
    """100 critic updates for the first 25 of the generator, then 5 (Arjovsky et al. 2017, the authors' code); small."""

    def phases(self):
        return [Phase("critic", self.critic, updates=["critic"], repeats=MANY, separable=True,
                      when=lambda counts, state: (counts.cycle < FIRST) | (counts.repeat < FEW)),
                Phase("generator", self.generator, updates=["generator"], reads=None, separable=True)]

    def critic(self, nets, batch, noise):
        fake = nets["generator"](noise.normal("z", [6]), training=True)
        return {"gap": (nets["critic"](fake, training=True) - nets["critic"](batch["x"] + 1.0, training=True))[:, 0]}

    def generator(self, nets, batch, noise):
        return {"fool": -nets["critic"](nets["generator"](noise.normal("z", [6]), training=True))[:, 0]}


class Resting(WGAN):
    """The critic rests while its last gap was above ``MARGIN``; the generator's updates let it come down again."""

    def phases(self):
        return [Phase("critic", self.critic, updates=["critic"], after=self.note,
                      when=lambda counts, state: state["gap"] < MARGIN),
                Phase("generator", self.generator, updates=["generator"], reads=None, after=self.fade)]

    def state(self):
        return {"gap": 0.0}

    def note(self, nets, state, seen):
        return {"gap": -seen["gap"]}

    def fade(self, nets, state, seen):
        return {"gap": 0.6 * state["gap"]}


def updates():
    return {"critic": Update(keras.optimizers.SGD(RATE), clip_weights=CLIP), "generator": keras.optimizers.SGD(RATE)}


SCHEDULE = Method(WGAN, lambda: {"critic": dense(8, 1), "generator": dense(8, 6)}, updates, lambda: points(10))
RESTING = Method(Resting, lambda: {"critic": dense(8, 1), "generator": dense(8, 6)}, updates, lambda: points(10))


def by_hand(method, cycles):
    """Weights of both nets, and in which cycles how many updates of the critic were."""
    start = method.trainer("eager")
    critic, generator = variables(start.nets["critic"]), variables(start.nets["generator"])
    done, ran, gap = 0, [], 0.0
    for cycle in range(cycles):
        many = (MANY if cycle < FIRST else FEW) if method is SCHEDULE else int(gap < MARGIN)
        ran.append(many)
        for _ in range(many):
            x, z = batch(start.data, done)["x"] + 1.0, normal("critic", done, "z", 10, (6,))
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(mlp(critic, mlp(generator, z)) - mlp(critic, x))
            descend(tape, loss, critic, RATE)
            for variable in critic:
                variable.assign(tf.clip_by_value(variable, -CLIP, CLIP))
            done, gap = done + 1, -float(loss)
        z = normal("generator", cycle, "z", 10, (6,))
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(mlp(critic, mlp(generator, z)))
        descend(tape, loss, generator, RATE)
        gap *= 0.6
    return numbers([*critic, *generator]), ran


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("method", [SCHEDULE, RESTING], ids=["schedule", "resting"])
def test_an_update_that_is_not_due_counts_draws_and_reads_nothing(method, plan):
    trainer = method.trainer(plan)
    expected, ran = by_hand(method, method.cycles)
    trainer.engine.run(method.cycles)
    assert trainer.counters.updates == {"critic": sum(ran), "generator": method.cycles}
    assert trainer.counters.batches == sum(ran)
    assert method is SCHEDULE or 0 < sum(ran) < method.cycles
    assert_same([*values(trainer.nets["critic"]), *values(trainer.nets["generator"])], expected)
