"""Gradual unfreezing (ULMFiT, Howard and Ruder 2018, arXiv 1801.06146, section 3.3): the last layer moves first."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, Update
from tests.strategies.published.method import (
    PLANS,
    Method,
    assert_same,
    batch,
    numbers,
    points,
    values,
    variables,
)

LAYERS = {"first": 8, "second": 4}  # updates before each moves; the head moves at once
RATE, MOMENTUM, LOW = 0.1, 0.8, 1.2


class Classes(LossStrategy):
    """Cross entropy."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        logits = nets["net"](batch["x"], training=True)
        return {"error": tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits)}


class WhenGood(Classes):
    """Here the state says how many layers move: all, once the mean of the errors has come below ``LOW``."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], after=self.thaw, separable=True)]

    def state(self):
        return {"error": 2.0, "thawed": 0.0}

    def thaw(self, nets, state, seen):
        error = 0.7 * state["error"] + 0.3 * seen["error"]
        return {"error": error, "thawed": tf.where(error < LOW, 1.0, state["thawed"])}


def after(wait):
    """The rate is 0 in the first ``wait`` updates."""
    return keras.optimizers.schedules.PiecewiseConstantDecay([wait - 1], [0.0, RATE])


def by_rate():
    later = {f"net/*{name}/*": keras.optimizers.SGD(after(wait), MOMENTUM) for name, wait in LAYERS.items()}
    return Update({**later, "net/*head/*": keras.optimizers.SGD(RATE, MOMENTUM)})


def by_count():
    def gradient(pull):
        waits = [next((wait for name, wait in LAYERS.items() if name in path), 0) for path in pull.paths]
        return [tf.where(pull.update < wait, 0.0, g) for wait, g in zip(waits, pull.gradients()[0], strict=True)]

    return Update(keras.optimizers.SGD(RATE, MOMENTUM), gradient=gradient)


def by_state():
    def gradient(pull):
        return [g if "head" in path else pull.state["thawed"] * g
                for path, g in zip(pull.paths, pull.gradients({"error": 1.0})[0], strict=True)]

    return Update(keras.optimizers.SGD(RATE, MOMENTUM), gradient=gradient)


def nets():
    net = keras.Sequential([keras.layers.Dense(8, activation="tanh", name="first"),
                            keras.layers.Dense(8, activation="tanh", name="second"),
                            keras.layers.Dense(3, name="head")])
    net.build([None, 6])
    return {"net": net}


METHODS = {"rate": Method(Classes, nets, by_rate, lambda: points(10), lines=10),
           "count": Method(Classes, nets, by_count, lambda: points(10), lines=10),
           "state": Method(WhenGood, nets, by_state, lambda: points(10), lines=15)}
RATES, COUNTED, STATE = METHODS.values()


def by_hand(kind, cycles):
    """Weights after each update; the state and the update before which all layers move."""
    start = METHODS[kind].trainer("eager")
    net, path, mean, thawed = variables(start.nets["net"]), [], 2.0, None
    speeds = [np.zeros(v.shape, "float32") for v in net]
    for update in range(cycles):
        read = batch(start.data, update)
        with tf.GradientTape() as tape:
            hidden = tf.tanh(tf.tanh(read["x"] @ net[0] + net[1]) @ net[2] + net[3])
            logs = tf.nn.log_softmax(hidden @ net[4] + net[5])
            loss = -tf.reduce_mean(tf.gather(logs, read["label"], batch_dims=1))
        if kind == "state":
            waits = [cycles if thawed is None else thawed] * 4 + [0, 0]
            mean = 0.7 * mean + 0.3 * float(loss)
            if thawed is None and mean < LOW:
                thawed = update + 1
        else:
            waits = [8, 8, 4, 4, 0, 0]
        for place, (wait, derivative) in enumerate(zip(waits, tape.gradient(loss, net), strict=True)):
            if update >= wait:
                speeds[place] = MOMENTUM * speeds[place] - RATE * derivative.numpy()
                net[place].assign_add(speeds[place])
        path.append(numbers(net))
    return path, mean, thawed


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", list(METHODS))
def test_layers_begin_to_move_one_after_the_other(kind, plan):
    trainer = METHODS[kind].trainer(plan)
    path, mean, thawed = by_hand(kind, METHODS[kind].cycles)
    begin = {"head": 0, "first": thawed, "second": thawed} if kind == "state" else {"head": 0, **LAYERS}
    start, done = values(trainer.nets["net"]), 0
    for stop in sorted({0, *begin.values()} - {None})[1:]:  # up to each update at which a layer begins
        trainer.engine.run(stop - done)
        done, now = stop, values(trainer.nets["net"])
        for layer, name in enumerate(["first", "second", "head"]):
            still = [np.array_equal(start[i], now[i]) for i in (2 * layer, 2 * layer + 1)]
            assert still == [begin[name] >= stop] * 2, (name, stop)
        assert_same(now, path[stop - 1])
    trainer.engine.run(METHODS[kind].cycles - done)
    assert 0 < done < METHODS[kind].cycles
    assert_same(values(trainer.nets["net"]), path[-1])
    if kind == "state":
        assert_same([trainer.engine.state["error"], trainer.engine.state["thawed"]], [mean, 1.0])
