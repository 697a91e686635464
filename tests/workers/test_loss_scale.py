"""The loss scale of float16 on several workers."""

import keras
import tensorflow as tf

from engine import ArraySource, LossStrategy, Phase
from tests import pairs, toys


class Steep(LossStrategy):
    """The gradient of each output, times the first loss scale, 2^15, is 3/4 of what float16 holds."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]

    def loss(self, nets, batch, noise):
        return {"height": 12.0 * tf.cast(nets["net"](batch["x"], training=True)[:, 0], tf.float32)}


def test_what_does_not_overflow_on_one_worker_does_not_on_two():
    """Although a mean over fewer examples has steeper gradients."""
    def made(workers=None):
        keras.config.set_dtype_policy("mixed_float16")  # of a thread
        keras.utils.set_random_seed(0)
        nets = {"net": toys.net(1, use_bias=False)}
        return toys.engine(Steep(), nets, {"fit": keras.optimizers.SGD(1e-6)},
                           ArraySource({"x": 1e-3 * toys.POINTS}, 8), workers=workers, loss_scaling=True), nets

    one, _ = made()
    assert one.run(3).rejected == {"fit": 0}
    for two, _, report in pairs.trained(made, 3):
        assert report.rejected == {"fit": 0}
        assert float(two.parts["fit"].commit.loss_scale.scale) == 2.0**15
