"""An id outside its table, or a label that is no class, is one line before the first update, under every plan."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, BucketedSource, Invalid, LossStrategy, Phase, Trainer
from losses.strategies import Binary, Supervised

PLANS = ["eager", "graph", "xla"]


def data(largest=49, least=0, label=2, **options):
    tokens = np.full([16, 5], 7, np.int32)
    tokens[3, 2], tokens[4, 1] = largest, least
    labels = np.arange(16, dtype=np.int32) % 3
    labels[5] = label
    return ArraySource({"tokens": tokens, "label": labels}, 4, **options)


def net(classes=3):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Embedding(50, 4), keras.layers.Flatten(), keras.layers.Dense(classes)])


class Words(LossStrategy):
    def __init__(self, loss):
        self.error = loss

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        return {"error": self.error(batch["label"], nets["net"](batch["tokens"], training=True))}

    def metrics(self, nets, batch, noise):
        return {"error": self.error(batch["label"], nets["net"](batch["tokens"]))}


LOSSES = {
    "TensorFlow": lambda label, logits: tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits),
    "Keras": lambda label, logits: keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True),
    "one hot": lambda label, logits: tf.nn.softmax_cross_entropy_with_logits(tf.one_hot(label, 3), logits),
    "gathered": lambda label, logits: tf.reduce_sum(tf.gather(tf.eye(3), label) * logits, axis=1),
}


def made(source, plan="graph", loss="TensorFlow"):
    return Trainer(Words(LOSSES[loss]), {"net": net()}, keras.optimizers.SGD(0.1), source, plan=plan, say=[].append)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("source, line", [
    (data(largest=70), r"`tokens of the data` \(70\) must be from 0 to 49: phase fit takes it as one of 50 classes"),
    (data(least=-3), r"`tokens of the data` \(-3\) must be from 0 to 49"),
    (data(label=3), r"`label of the data` \(3\) must be from 0 to 2: phase fit takes it as one of 3 classes"),
])
def test_it_is_the_same_line_under_every_plan(plan, source, line):
    with pytest.raises(Invalid, match=line):
        made(source, plan)


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_are_known_by_the_loss(loss):
    with pytest.raises(Invalid, match=r"`label of the data` \(-1\) must be from 0 to 2"):
        made(data(label=-1), loss=loss)
    made(data(), loss=loss).train(cycles=1)


@pytest.mark.parametrize("plan", PLANS)
def test_what_is_held_out_is_looked_at_too(plan):
    trainer = made(data(), plan)
    for source in (data(label=3), data(largest=50)):
        with pytest.raises(Invalid, match=r"must be from 0 to (2|49): evaluation takes it"):
            trainer.evaluate(source)
    assert np.isfinite(trainer.evaluate(data())["error"])


def test_only_the_examples_that_there_are_count_and_lengths_in_buckets_do_too():
    tokens, labels = np.full([16, 5], 7, np.int32), np.zeros(16, np.int32)
    tokens[3] = 70
    keep = np.flatnonzero(np.arange(16) != 3)
    made(ArraySource({"tokens": tokens, "label": labels}, 4, only=keep)).train(cycles=1)
    lists = [np.full(3, 70 if i == 5 else 1, np.int32) for i in range(16)]
    with pytest.raises(Invalid, match=r"`tokens of the data` \(70\)"):
        made(BucketedSource({"tokens": lists, "label": labels}, 4, buckets=[5]))


def test_the_shipped_strategies_are_looked_through():
    images = ArraySource({"image": np.zeros([8, 4, 4, 1], np.float32), "label": np.full(8, 9, np.int32)}, 4)
    flat = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    for smoothing in (0.0, 0.1):
        with pytest.raises(Invalid, match=r"`label of the data` \(9\) must be from 0 to 2"):
            Trainer(Supervised(smoothing), {"classifier": flat}, keras.optimizers.SGD(0.1), images, say=[].append)
    words = keras.Sequential([*net(1).layers, keras.layers.Reshape([])])
    with pytest.raises(Invalid, match=r"`tokens of the data` \(70\)"):
        Trainer(Binary(), {"classifier": words}, keras.optimizers.SGD(0.1), data(largest=70, label=1), say=[].append)
