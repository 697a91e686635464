"""VQGAN's weight: by hand, against NumPy, its limits, its bounds, and extremes."""

import numpy as np
import pytest
import tensorflow as tf

from losses.gradients import adaptive_weight
from tests.losses.gradients import references
from tests.losses.gradients.pulls import PLANS, chosen, of_gradients

PATHS = ["net/first/kernel", "net/last/kernel", "net/last/bias"]
SHAPES = ((3, 2), (2, 4), (4,))
DRAW = np.random.default_rng(0)
NAMES = ("reconstruction", "perceptual", "adversarial", "codes")
GRADIENTS = {name: [DRAW.normal(size=shape) for shape in SHAPES] for name in NAMES}


def pull(gradients=GRADIENTS, dtype="float32", **options):
    return of_gradients(gradients, dtype, paths=PATHS, **options)


def at_last(*lists):
    """The sum of gradients at the last kernel."""
    return np.sum([each[1] for each in lists], axis=0)


def test_by_hand():
    # At the last layer 5 against 2: the weight is 2.5. Elsewhere it is what that makes of it: 1 + 2.5 * 4.
    gradients = {"reconstruction": [np.array([1.0]), np.array([3.0, 4.0])],
                 "adversarial": [np.array([4.0]), np.array([0.0, 2.0])]}
    made = of_gradients(gradients, paths=["net/first", "net/last"], factors={"reconstruction": 1.0, "adversarial": 0.8})
    first, last = adaptive_weight("adversarial", "reconstruction", "*/last", smallest=1e-9)(made)
    np.testing.assert_allclose(first, [1.0 + 0.8 * 2.5 * 4.0], rtol=1e-6)  # its factor counts beside the weight
    np.testing.assert_allclose(last, [3.0, 4.0 + 0.8 * 2.5 * 2.0], rtol=1e-6)
    assert made.asked == 2  # the rest of the objective is what it is measured by: not computed twice


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("relative_to", ["reconstruction", ("reconstruction", "perceptual")])
@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-13)])
def test_numpy(dtype, rtol, relative_to, plan):
    factors = {"reconstruction": 2.0, "perceptual": 0.5, "adversarial": 0.8}  # codes is watched
    choice = adaptive_weight("adversarial", relative_to, "net/last/k*", smallest=0.1)
    found = chosen(choice, lambda update: pull(dtype=dtype, factors=factors), plan)
    names = [relative_to] if isinstance(relative_to, str) else relative_to
    measure = at_last(*([factors[name] * each for each in GRADIENTS[name]] for name in names))
    weight = references.vqgan_weight(measure, at_last(GRADIENTS["adversarial"]), 1e4, 0.1)
    for place, each in enumerate(found):
        expected = sum(factors[name] * (weight if name == "adversarial" else 1.0) * GRADIENTS[name][place]
                       for name in factors)
        assert each.shape == SHAPES[place] and each.dtype == dtype
        np.testing.assert_allclose(each, expected, rtol=rtol, atol=rtol)


def test_a_watched_term_may_be_the_measure_or_be_weighed():
    found = adaptive_weight("adversarial", "codes", "net/last/kernel")(pull(factors={"adversarial": 1.0}))
    weight = references.vqgan_weight(at_last(GRADIENTS["codes"]), at_last(GRADIENTS["adversarial"]), 1e4, 1e-6)
    np.testing.assert_allclose(found[0], weight * GRADIENTS["adversarial"][0], rtol=1e-5)
    found = adaptive_weight("adversarial", "codes", "net/last/kernel")(pull(factors={"codes": 3.0}))
    np.testing.assert_allclose(found[0], 3.0 * GRADIENTS["codes"][0] + 3.0 * weight * GRADIENTS["adversarial"][0],
                               rtol=1e-5)


def test_both_pull_alike_at_the_layer_and_a_factor_of_0_leaves_the_rest():
    scaled = {**GRADIENTS, "adversarial": [1e3 * each for each in GRADIENTS["adversarial"]]}
    choice, factors = adaptive_weight("adversarial", "reconstruction", "net/last/*"), {"reconstruction": 1.0}
    ends = [choice(pull(each, "float64", factors={**factors, "adversarial": 1.0})) for each in (GRADIENTS, scaled)]
    np.testing.assert_allclose(references.long(ends[0]), references.long(ends[1]), rtol=1e-5)  # but for ``smallest``
    ours = np.linalg.norm(references.long([end - each for end, each in zip(
        ends[0][1:], GRADIENTS["reconstruction"][1:], strict=True)]))
    assert ours == pytest.approx(np.linalg.norm(references.long(GRADIENTS["reconstruction"][1:])), rel=1e-5)
    off = choice(pull(factors={**factors, "adversarial": tf.constant(0.0)}))
    np.testing.assert_array_equal(references.long(off), references.long(pull(factors=factors).gradients()[0]))


@pytest.mark.parametrize("plan", ["eager", "xla"])
@pytest.mark.parametrize("reconstruction, adversarial, weight", [
    (0.0, 1.0, 0.0), (1.0, 0.0, 1e4), (0.0, 0.0, 0.0), (1e30, 1e-30, 1e4), (1e-30, 1e30, 0.0), (1e30, 1e30, 1.0),
    (1e-30, 1e-30, 0.0), (1e37, 1.0, 1e4)])
def test_extremes(reconstruction, adversarial, weight, plan):
    gradients = {"reconstruction": [np.full(shape, reconstruction) for shape in SHAPES],
                 "adversarial": [np.full(shape, adversarial) for shape in SHAPES]}
    found = chosen(adaptive_weight("adversarial", "reconstruction", "net/last/kernel"),
                   lambda update: pull(gradients), plan)
    for each in found:
        np.testing.assert_allclose(each, np.full(each.shape, reconstruction + weight * adversarial), rtol=1e-5,
                                   atol=1e-20)


@pytest.mark.parametrize("plan", ["eager", "xla"])
@pytest.mark.parametrize("bad", ["codes", "adversarial"])
def test_what_is_not_finite_stays_so(bad, plan):
    gradients = {**GRADIENTS, bad: [np.full(shape, np.nan) for shape in SHAPES]}
    found = chosen(adaptive_weight("adversarial", "codes", "net/last/kernel"),
                   lambda update: pull(gradients, factors={"adversarial": 1.0}), plan)
    assert not np.isfinite(references.long(found)).any()


@pytest.mark.parametrize("make, message", [
    (lambda: adaptive_weight("a", "a", "*"), r"^`terms` \(\('a', 'a'\)\) must be names of terms, each once$"),
    (lambda: adaptive_weight("a", [], "*"), r"^`relative_to` \(\[\]\) must be at least one term$"),
    (lambda: adaptive_weight("a", "b", "*", most=0.0), r"^`most` \(0.0\) must be above 0$"),
    (lambda: adaptive_weight("a", "b", "*", smallest=-1.0), r"^`smallest` \(-1.0\) must be above 0$"),
    (lambda: adaptive_weight("adversarial", "codes", "net/Last/*")(pull()),
     r"^`layer` \(net/Last/\*\) must be a pattern of a weight that the phase moves, as net/first/kernel$"),
])
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
