"""What must be the same in all buckets of a source, and is refused by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, LossStrategy, Phase, Source
from engine.data.source import BUCKET, unchanged
from tests import toys
from tests.bucketed import RATE, Steps, made


class Halving(Source):
    """A source of a user's own: batch k is k, k+1, ... in eight or four columns; every third is of the short bucket."""

    def __init__(self, **wrong):
        super().__init__(12, 4, 0, unchanged)
        self.spec = {"x": tf.TensorSpec([4, 8]), BUCKET: tf.TensorSpec([4], tf.int32)}
        self.buckets = ({"x": tf.TensorSpec([4, 4])}, {"x": tf.TensorSpec([4, 8])})
        vars(self).update(wrong)

    def batch(self, number, reader):
        start = tf.cast(number, tf.float32) / 10.0
        return {"x": start + tf.reshape(tf.range(32.0), [4, 8]) / 32.0,
                BUCKET: tf.fill([4], tf.where(number % 3 == 0, 0, 1))}


class Means(LossStrategy):
    """A number against the mean over columns."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        mean = tf.reduce_mean(batch["x"], axis=1, keepdims=True)
        return {"error": tf.square(nets["net"](mean)[:, 0] - 1.0)}


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_a_source_of_a_users_own(plan):
    keras.utils.set_random_seed(0)
    line = keras.Sequential([keras.layers.Dense(1)])
    line.build([None, 1])
    kernel, bias = (tf.Variable(each) for each in line.get_weights())
    toys.engine(Means(), {"net": line}, {"fit": keras.optimizers.SGD(RATE)}, Halving(), plan=plan).run(7)
    for number in range(7):
        x = (number / 10.0 + np.arange(32.0).reshape(4, 8) / 32.0)[:, :4 if number % 3 == 0 else 8].mean(1)
        error = x * float(kernel[0, 0]) + float(bias[0]) - 1.0
        kernel.assign_sub([[RATE * 2.0 * np.mean(error * x)]])
        bias.assign_sub([RATE * 2.0 * np.mean(error)])
    np.testing.assert_allclose(line.get_weights()[0], kernel.numpy(), rtol=1e-4)
    np.testing.assert_allclose(line.get_weights()[1], bias.numpy(), rtol=1e-4)


@pytest.mark.parametrize("wrong, text", [
    ({"spec": {"x": tf.TensorSpec([4, 8])}}, r"`spec of source data` \(None\) must be with '/bucket', int32 \[4\]"),
    ({"buckets": ({"x": tf.TensorSpec([4, 4])},)}, r"`last bucket of source data` \(.*\) must be the form of a batch"),
    ({"buckets": ({"x": tf.TensorSpec([4, 9])}, {"x": tf.TensorSpec([4, 8])})}, r"`buckets of source data` .* cut"),
    ({"buckets": ({"y": tf.TensorSpec([4, 4])}, {"x": tf.TensorSpec([4, 8])})}, r"`buckets of source data` .* cut"),
    ({"buckets": ({"x": tf.TensorSpec([2, 4])}, {"x": tf.TensorSpec([4, 8])})}, r"`buckets of source data` .* cut"),
])
def test_buckets_of_a_users_own_that_do_not_fit_are_refused(wrong, text):
    with pytest.raises(Invalid, match=text):
        toys.engine(Means(), {"net": toys.net(1)}, {"fit": toys.adam()}, Halving(**wrong))



class Other(Steps):
    """A loss that is another at the longest."""

    def __init__(self, other, **options):
        super().__init__(**options)
        self.other = other

    def loss(self, nets, batch, noise):
        return self.other(nets, batch, noise, batch["x"].shape[1])


def each(nets, batch):
    return tf.reduce_mean(tf.square(nets["net"](batch["x"])[:, :, 0]), axis=1)


@pytest.mark.parametrize("other, options, text", [
    (lambda nets, batch, noise, steps: {f"error{steps}": each(nets, batch)}, {},
     r"`terms of phase fit for x\[4, 3, 2\]` \({'error3': 'examples'}\) must be as in the longest bucket, {'error10'"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch) if steps > 6 else tf.reduce_mean(each(nets, batch))},
     {}, r"`terms of phase fit for x\[4, 3, 2\]` \({'error': 'the batch'}\) must be as in the longest bucket"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch), "x": batch["x"]},
     {"passes": ["x"], "after": lambda nets, state, seen: {}},
     r"`x of phase fit for x\[4, 3, 2\]` \(float32\[4, 3, 2\]\) must be of one form in all buckets, float32\[4, 10"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch) + noise.normal("z", [13 - steps, steps])[:, 0, 0]},
     {}, r"`noise z of phase fit` \(normal\[7, 6\] in one bucket\) must be of one kind in all, and the larger of two"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch)
                                        + tf.reduce_sum(noise.normal("z", [1] * (steps % 2)))},
     {}, r"`noise z of phase fit` \(normal\[1\] in one bucket\) must be of one kind in all"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch)
                                        + (noise.normal if steps > 3 else noise.uniform)("z")},
     {}, r"`noise z of phase fit` \(uniform\[\] in one bucket\) must be of one kind in all"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch) + tf.reshape(batch["x"], [4, 20])[:, 0]}, {},
     r"`phase fit for x\[4, 3, 2\]` \(.*\) must run, as in the longest bucket"),
])
def test_what_differs_between_buckets_is_refused_by_name(other, options, text):
    with pytest.raises(Invalid, match=text):
        made(strategy=Other(other, **options))


def test_a_net_of_one_length_is_refused_in_one_line():
    flat = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])

    class Flat(Steps):
        def loss(self, nets, batch, noise):
            return {"y": nets["net"](batch["x"])[:, 0]}

    with pytest.raises(Invalid, match=r"`phase fit for x\[4, 3, 2\]` \(.*\) must run, as in the longest") as error:
        made(strategy=Flat(), net=flat)
    assert "\n" not in str(error.value)


