"""Mean Teacher (Tarvainen and Valpola 2017, arXiv 1703.01780): consistency with a moving average of the student."""

import keras
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase, average_of
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

DECAY, WEIGHT, RATE = 0.9, 2.0, 0.1


class MeanTeacher(LossStrategy):
    """Cross entropy on labelled examples, squared distance of probabilities on the others; ramped up (section 3)."""

    def phases(self):
        return [Phase("student", self.loss, updates=["student"], reads=["labelled", "unlabelled"], separable=True,
                      weights={"consistency": self.ramp})]

    def ramp(self, update):
        return WEIGHT * tf.minimum(tf.cast(update, tf.float32) / 5, 1.0)

    def loss(self, nets, batch, noise):
        labelled, other = batch["labelled"], batch["unlabelled"]["x"]
        views = [other + 0.2 * noise.normal(name, [6], of="unlabelled") for name in ("student", "teacher")]
        student, teacher = nets["student"](views[0], training=True), nets["teacher"](views[1], training=True)
        logits = nets["student"](labelled["x"], training=True)
        apart = tf.nn.softmax(student) - tf.stop_gradient(tf.nn.softmax(teacher))
        return {"labelled": tf.nn.sparse_softmax_cross_entropy_with_logits(labelled["label"], logits),
                "consistency": tf.reduce_sum(tf.square(apart), axis=1)}


METHOD = Method(MeanTeacher, lambda: {"student": dense(8, 3), "teacher": average_of("student", DECAY)},
                lambda: keras.optimizers.SGD(RATE), lambda: {"labelled": points(4, examples=20),
                                                             "unlabelled": points(10, seed=1)}, lines=20)


def by_hand(cycles):
    start = METHOD.trainer("eager")
    student, teacher = variables(start.nets["student"]), variables(start.nets["student"])
    few, many = start.engine.sources.values()
    for update in range(cycles):
        labelled, other = batch(few, update), batch(many, update)["x"]
        views = [other + 0.2 * normal("student", update, name, 10, (6,)) for name in ("student", "teacher")]
        target = tf.nn.softmax(mlp(teacher, views[1]))
        with tf.GradientTape() as tape:
            first = -tf.gather(tf.nn.log_softmax(mlp(student, labelled["x"])), labelled["label"], batch_dims=1)
            apart = tf.reduce_sum((tf.nn.softmax(mlp(student, views[0])) - target) ** 2, axis=1)
            loss = tf.reduce_mean(first) + WEIGHT * min(update / 5, 1.0) * tf.reduce_mean(apart)
        descend(tape, loss, student, RATE)
        for average, variable in zip(teacher, student, strict=True):
            average.assign(DECAY * average + (1 - DECAY) * variable)
    return numbers([*student, *teacher])


@pytest.mark.parametrize("plan", PLANS)
def test_the_teacher_is_the_average_of_the_student(plan):
    trainer = METHOD.trained(plan)
    assert_same([*values(trainer.nets["student"]), *values(trainer.nets["teacher"])], by_hand(METHOD.cycles))
