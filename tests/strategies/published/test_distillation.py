"""Distillation (Hinton et al. 2015, arXiv 1503.02531, section 2): a small net learns what a large one finds likely."""

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
    values,
    variables,
)

TEMPERATURE, SOFT, RATE = 3.0, 0.7, 0.1


class Distillation(LossStrategy):
    """Soft targets at temperature T, weighed T^2 (equations 1 and 2 and the end of section 2), and the true labels."""

    def phases(self):
        weights = {"soft": SOFT * TEMPERATURE ** 2, "hard": 1.0 - SOFT}
        return [Phase("student", self.loss, updates=["student"], weights=weights, separable=True)]

    def loss(self, nets, batch, noise):
        student, teacher = nets["student"](batch["x"], training=True), nets["teacher"](batch["x"], training=False)
        soft = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher / TEMPERATURE), student / TEMPERATURE)
        return {"soft": soft, "hard": tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], student)}


def nets():
    """The teacher has batch statistics and dropout, which must neither move nor act."""
    teacher = keras.Sequential([keras.layers.Dense(16, activation="tanh"), keras.layers.BatchNormalization(),
                                keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    teacher.build([None, 6])
    teacher.layers[1].moving_mean.assign(np.linspace(-0.5, 0.5, 16))  # as of another training
    teacher.layers[1].moving_variance.assign(np.linspace(0.5, 2.0, 16))
    teacher.layers[3].kernel.assign(3.0 * teacher.layers[3].kernel)  # sure of itself
    return {"student": dense(4, 3), "teacher": teacher}


METHOD = Method(Distillation, nets, lambda: keras.optimizers.SGD(RATE), lambda: points(10), lines=10)


def by_hand(cycles):
    start = METHOD.trainer("eager")
    student = variables(start.nets["student"])
    kernel, bias, gamma, beta, mean, variance, last, last_bias = values(start.nets["teacher"])
    for update in range(cycles):
        found = batch(start.data, update)
        hidden = (np.tanh(found["x"].numpy() @ kernel + bias) - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        z = np.exp((hidden @ last + last_bias) / TEMPERATURE)
        p = z / z.sum(axis=1, keepdims=True)
        with tf.GradientTape() as tape:
            logits = mlp(student, found["x"])
            soft = -tf.reduce_sum(p * tf.nn.log_softmax(logits / TEMPERATURE), axis=1)
            hard = -tf.gather(tf.nn.log_softmax(logits), found["label"], batch_dims=1)
            loss = tf.reduce_mean(SOFT * TEMPERATURE ** 2 * soft + (1 - SOFT) * hard)
        descend(tape, loss, student, RATE)
    return numbers(student)


@pytest.mark.parametrize("plan", PLANS)
def test_the_student_follows_and_the_teacher_stays(plan):
    trainer = METHOD.trainer(plan)
    before = values(trainer.nets["teacher"])
    trainer.train(cycles=METHOD.cycles)
    assert_same(values(trainer.nets["student"]), by_hand(METHOD.cycles))
    assert all(np.array_equal(old, new) for old, new in zip(before, values(trainer.nets["teacher"]), strict=True))
