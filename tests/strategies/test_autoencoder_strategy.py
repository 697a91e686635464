"""The autoencoder against NumPy: both errors, and what its pictures show."""

import keras
import numpy as np
import pytest

from engine import Invalid, Noise
from engine.testing import try_phase
from losses.strategies import Autoencoder
from tests import references
from tests.strategies.small_nets import IMAGES, linear

KERNEL = np.random.default_rng(3).normal(size=(4, 4))
LOGITS = IMAGES.reshape(6, 4).astype("float64") @ KERNEL
SQUARED = references.squared_error(IMAGES.reshape(6, 4), references.sigmoid(LOGITS))
BERNOULLI = references.bernoulli_nll(IMAGES.reshape(6, 4).astype("float64"), LOGITS)


def nets(kernel=KERNEL):
    return {"autoencoder": keras.Sequential([linear(4, kernel), keras.layers.Reshape((2, 2, 1))])}


@pytest.mark.parametrize("error, term, expected", [("squared", "squared_error", SQUARED),
                                                   ("bernoulli", "bernoulli_nll", BERNOULLI)])
def test_minimises_one_error_and_tells_both(error, term, expected):
    strategy = Autoencoder(error)
    tried = try_phase(strategy, "autoencoder", nets(), {"image": IMAGES})
    assert tried.means[term] == pytest.approx(expected.mean(), rel=1e-5)
    assert tried.means["objective"] == pytest.approx(expected.mean(), rel=1e-5)
    metrics = strategy.metrics(nets(), {"image": IMAGES}, Noise(examples=6))
    np.testing.assert_allclose(metrics["squared_error"], SQUARED, rtol=1e-4)
    np.testing.assert_allclose(metrics["bernoulli_nll"], BERNOULLI, rtol=1e-4)


def test_the_gradient_of_squared_error_goes_through_the_sigmoid():
    tried = try_phase(Autoencoder("squared"), "autoencoder", nets(), {"image": IMAGES})
    p, x = references.sigmoid(LOGITS), IMAGES.reshape(6, 4)
    expected = x.T @ (2 * (p - x) * p * (1 - p) / 4) / 6  # mean over 4 pixels and 6 images
    gradient = next(each for path, each in tried.gradients.items() if path.endswith("kernel"))
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_pictures_are_originals_beside_reconstructions():
    pairs = Autoencoder().pictures(nets(), {"image": IMAGES}, Noise(examples=6))["reconstructions"]
    np.testing.assert_array_equal(pairs[::2], IMAGES)
    np.testing.assert_allclose(pairs[1::2], references.sigmoid(LOGITS).reshape(6, 2, 2, 1), rtol=1e-5)


def test_an_unknown_error_is_refused():
    with pytest.raises(Invalid, match=r"^`error` \(absolute\) must be one of squared, bernoulli$"):
        Autoencoder("absolute")
