"""Data of known weights: what least squares finds in it is what was put in."""

import math

import numpy as np
import pytest

from engine.data import catalog, synthetic
from engine.errors import Invalid


def solved(data):
    """The weights and the bias that least squares finds."""
    x = np.c_[data["x"], np.ones(len(data["x"]))].astype(np.float64)
    return np.linalg.lstsq(x, data["y"][:, 0].astype(np.float64), rcond=None)[0]


def test_linear_has_the_weights_and_the_noise_that_it_says():
    data = catalog.load("linear")
    assert data.train["x"].shape == (1000, 2) and data.train["y"].shape == (1000, 1) and data.classes == ()
    assert data.test["x"].shape == (200, 2) and data.test["y"].shape == (200, 1)
    assert {array.dtype for part in (data.train, data.test) for array in part.values()} == {np.dtype("float32")}
    for part in (data.train, data.test):
        # A weight's standard deviation is 0.01 / sqrt(N), below 0.0008; four of them are 0.0032.
        np.testing.assert_allclose(solved(part), [2, -3.4, 4.2], rtol=0, atol=0.0032)
        rest = part["y"] - part["x"] @ np.float32([[2], [-3.4]]) - np.float32(4.2)
        assert abs(rest.std() / 0.01 - 1) < 4 / math.sqrt(2 * len(rest))
        assert abs(part["x"].mean()) < 0.2 and abs(part["x"].std() - 1) < 0.15


def test_linear_without_noise_is_exact():
    data = synthetic.linear(noise=0.0, examples=5, held_out=3)
    assert len(data.train["x"]) == 5 and len(data.test["x"]) == 3
    np.testing.assert_allclose(solved(data.train), [2, -3.4, 4.2], rtol=0, atol=1e-5)


def test_polynomial_features_are_powers_over_factorials():
    data = catalog.load("polynomial")
    assert data.train["x"].shape == data.test["x"].shape == (100, 20) and data.train["y"].shape == (100, 1)
    x = data.train["x"][:, 0].astype(np.float64)
    for power in range(1, 21):
        expected = x**power / math.factorial(power)
        np.testing.assert_allclose(data.train["x"][:, power - 1], expected, rtol=1e-5, atol=1e-38)


def test_polynomial_has_the_coefficients_that_it_says():
    data = synthetic.polynomial(degree=3, examples=4000)
    np.testing.assert_allclose(solved(data.train), [1.2, -3.4, 5.6, 5], rtol=0, atol=0.02)
    x = data.train["x"][:, :1].astype(np.float64)
    rest = data.train["y"] - (5 + 1.2 * x - 3.4 * x**2 / 2 + 5.6 * x**3 / 6)
    assert abs(rest.std() / 0.1 - 1) < 0.05


def test_the_degree_changes_the_features_alone():
    low, high = synthetic.polynomial(degree=1), synthetic.polynomial(degree=20)
    np.testing.assert_array_equal(low.train["x"], high.train["x"][:, :1])
    np.testing.assert_array_equal(low.test["y"], high.test["y"])


def test_too_low_a_degree_underfits_and_too_high_a_one_overfits():
    def errors(degree):
        data = synthetic.polynomial(degree=degree, examples=25)
        weights = solved(data.train)
        return [np.mean((np.c_[part["x"], np.ones(len(part["x"]))] @ weights - part["y"][:, 0])**2)
                for part in (data.train, data.test)]

    low, right, high = errors(1), errors(3), errors(20)
    assert low[0] > 10 * right[0] and high[0] < right[0] and high[1] > 10 * right[1]


@pytest.mark.parametrize("name", ["linear", "polynomial"])
def test_the_seed_alone_chooses(name):
    one, same, other = (catalog.load(name, seed=seed) for seed in (3, 3, 4))
    for key in ("x", "y"):
        np.testing.assert_array_equal(one.train[key], same.train[key])
        assert (one.train[key] != other.train[key]).all()
        assert not np.isin(one.test[key][:, 0], one.train[key][:, 0]).any()


@pytest.mark.parametrize("name, options, text", [
    ("linear", {"examples": 0}, r"`examples` \(0\) must be an integer of at least 1"),
    ("linear", {"held_out": 1.5}, r"`held_out` \(1.5\) must be an integer of at least 1"),
    ("linear", {"noise": -1}, r"`noise` \(-1\) must be a number of at least 0"),
    ("polynomial", {"noise": float("nan")}, r"`noise` \(nan\) must be a number of at least 0"),
    ("polynomial", {"degree": 0}, r"`degree` \(0\) must be an integer of at least 1"),
    ("linear", {"degree": 3}, r"`option of linear` \(degree\) must be one of examples, held_out, noise, seed; "),
])
def test_options_out_of_range(name, options, text):
    with pytest.raises(Invalid, match=f"^{text}"):
        catalog.load(name, **options)


@pytest.mark.parametrize("name", ["linear", "polynomial"])
def test_a_folder_has_no_use(name, tmp_path):
    with pytest.raises(Invalid, match=rf"^`data_dir` \(.*\) must be left out for {name}, which is made from a seed$"):
        catalog.load(name, tmp_path)
