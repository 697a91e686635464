"""The peers' nets: Keras's own layers, with the weights of ours in the same order."""

import keras
import numpy as np
import pytest
from benchmarks import stock
from benchmarks.workloads import WORKLOADS

import nets


@pytest.mark.parametrize("name", ["conv-vae", "densenet", "lstm", "wgan-gp-64"])
def test_nets_of_keras_own_layers_take_the_weights_and_give_the_same(name):
    workload = WORKLOADS[name]
    for net, (kind, options) in workload.nets.items():
        each = next(iter(workload.inputs.values()))
        shape = [4, workload.latent_dim] if net == "generator" else [4, *each.shape]
        x = np.random.default_rng(0).integers(1, 9, shape).astype("float32" if each.dtype == "uint8" else each.dtype)
        ours, theirs = nets.create(kind, **options), stock.create(kind, **options)
        ours(x), theirs(x)
        theirs.set_weights(ours.get_weights())
        np.testing.assert_allclose(ours(x), theirs(x), rtol=2e-3, atol=2e-3)
        layers = [layer for layer in theirs._flatten_layers() if layer.weights and not hasattr(layer, "layers")]
        own = [layer for layer in layers if type(layer).__module__.startswith("nets._")]
        assert layers and not own
    assert type(nets.create("convnet").conv1) is not keras.layers.Conv2D  # the house's are in place again
