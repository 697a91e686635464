"""Regression against NumPy: both errors, their gradients, what is refused."""

import numpy as np
import pytest

from engine import Invalid, Noise
from engine.testing import try_phase
from losses.strategies import Regression
from tests import references
from tests.strategies.small_nets import linear

DRAW = np.random.default_rng(0)
X, Y = DRAW.normal(size=(6, 3)).astype("float32"), (3.0 * DRAW.normal(size=(6, 2))).astype("float32")
KERNEL = DRAW.normal(size=(3, 2))
FOUND = X.astype("float64") @ KERNEL
BATCH = {"x": X, "y": Y}


@pytest.mark.parametrize("strategy, term, expected, derivative", [
    (Regression(), "squared_error", references.squared_error(Y, FOUND), 2.0 * (FOUND - Y)),
    (Regression("huber", delta=0.5), "huber", references.huber(Y, FOUND, 0.5), np.clip(FOUND - Y, -0.5, 0.5))])
def test_error_and_gradient(strategy, term, expected, derivative):
    nets = {"regressor": linear(2, KERNEL)}
    tried = try_phase(strategy, "regressor", nets, BATCH)
    assert tried.means[term] == pytest.approx(expected.mean(), rel=1e-5)
    assert tried.means["objective"] == pytest.approx(expected.mean(), rel=1e-5)
    gradient = next(each for path, each in tried.gradients.items() if path.endswith("kernel"))
    np.testing.assert_allclose(gradient, X.T @ derivative / 2 / 6, rtol=1e-4, atol=1e-6)  # 2 outputs, 6 examples
    metrics = strategy.metrics(nets, BATCH, Noise(examples=6))
    np.testing.assert_allclose(metrics["squared_error"], references.squared_error(Y, FOUND), rtol=1e-4)
    found = strategy.predictions(nets, BATCH, Noise(examples=6))["predictions"]
    np.testing.assert_allclose(found, FOUND, rtol=1e-4, atol=1e-6)


def test_targets_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"`predictions` \(shape \(6, 1\)\) must be of the shape of `targets`, \(6,\)"):
        try_phase(Regression(), "regressor", {"regressor": linear(1)}, {"x": X, "y": Y[:, 0]})


@pytest.mark.parametrize("options, text", [
    ({"error": "absolute"}, r"`error` \(absolute\) must be one of squared, huber"),
    ({"delta": 0.0}, r"`delta` \(0.0\) must be above 0")])
def test_options_out_of_range(options, text):
    with pytest.raises(Invalid, match=text):
        Regression(**options)
